//! The speaker: everything that makes a BGP router, as a library.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use bgpd::speaker::{Speaker, SpeakerOptions};
//! use holdfast_config::{Leniency, Spelling, parse_str};
//!
//! let text = "router bgp 65000\n bgp router-id 192.0.2.1\n neighbor 192.0.2.2 remote-as 65001\n";
//! let loaded = parse_str("example", text, Spelling::Frr, Leniency::Strict).map_err(|e| e[0].clone())?;
//! let speaker = Speaker::start(SpeakerOptions::default()).await?;
//! speaker.configure(loaded.config).await?;
//! let peers = speaker.peers(None).await?;
//! println!("{} peers", peers.len());
//! speaker.stop(false).await;
//! # Ok(())
//! # }
//! ```

mod answers;
mod conditional;
mod configure;
mod convert;
mod core;
mod dampening;
mod defaults;
mod edit;
mod exports;
mod filter;
mod instances;
mod leak;
mod listener;
mod named;
mod nexthops;
mod objects;
mod originate;
mod pace;
mod peers;
mod policies;
mod realm;
mod request;
mod restart;
mod rows;
mod rpki;
mod switches;
mod trace;
mod trial;
mod watch;
mod why;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bgp_wire::Family;
use holdfast_api::v1;
use holdfast_config::Spelling;
use holdfast_fib as fib;
use ipnet::IpNet;
use tokio::sync::{Mutex, broadcast, mpsc, oneshot};

use crate::session::status::now_ms;
use filter::PathTest;
use instances::{Directory, Door, Instances, Order};
use listener::Listening;
use request::{Request, RoutesQuery, Selection};
use rows::Row;

/// The FRR whose formats are followed.
pub const FRR_VERSION: &str = "8.4.4";

/// How much longer than the core the FIB waits before it removes what an
/// earlier run left.
const SWEEP_SLACK: Duration = Duration::from_secs(30);
/// Routes of the FIB in one chunk.
const FIB_CHUNK: usize = 512;
/// The default instance's name.
const DEFAULT: &str = "default";

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum SpeakerError {
    /// No `router bgp`.
    #[error("BGP instance not found")]
    NoBgp,
    /// No VRF or view of that name.
    #[error("no BGP instance is named \"{0}\"")]
    NoInstance(String),
    /// No peer like that.
    #[error("no such neighbor")]
    NoSuchPeer,
    /// An address or prefix that is none.
    #[error("\"{0}\" is not an address or prefix of the family")]
    BadPrefix(String),
    /// No list or route map of that name.
    #[error("{0}")]
    NoSuchPolicy(String),
    /// What routes were asked for by is wrong.
    #[error("{0}")]
    BadFilter(String),
    /// No path of that prefix.
    #[error("Network not in table")]
    NoSuchPrefix,
    /// The neighbor has no session.
    #[error("the session with {0} is not up")]
    NotUp(IpAddr),
    /// The configuration is wrong; one message per error.
    #[error("{}", .0.join("\n"))]
    Config(Vec<String>),
    /// The file could not be written.
    #[error("{path}: {error}")]
    Write {
        /// The file.
        path: String,
        /// The system's error.
        error: std::io::Error,
    },
    /// There is no file: the speaker is embedded, or was started without one.
    #[error("there is no configuration file to write to")]
    NoFile,
    /// A listening socket could not be opened.
    #[error("cannot listen on {addr}: {error}")]
    Listen {
        /// The socket.
        addr: SocketAddr,
        /// The system's error.
        error: std::io::Error,
    },
    /// The kernel's FIB could not be opened.
    #[error("cannot use the kernel's routing table: {0}")]
    Fib(#[from] fib::FibError),
    /// The process may not write routes.
    #[error("may not write the kernel's routes: CAP_NET_ADMIN is missing")]
    NoNetAdmin,
    /// The speaker has stopped.
    #[error("the speaker has stopped")]
    Stopped,
}

/// How to start a speaker.
#[derive(Debug, Clone)]
pub struct SpeakerOptions {
    /// Sockets to listen on; none for a speaker that only connects.
    pub listen: Vec<SocketAddr>,
    /// Whether routes go into the kernel. Without it every next hop counts as
    /// reachable, and the FIB is empty until somebody watches it.
    pub kernel: bool,
    /// The kernel's table.
    pub table: u32,
    /// Whether routes share their next hops as nexthop objects of the kernel, where it has them;
    /// else each route names its own.
    pub nexthop_objects: bool,
    /// Receive buffer, in octets, of the socket that follows the kernel's changes; none for the
    /// usual one, which holds those of a full table. What does not fit costs a look at all of the
    /// kernel's tables.
    pub netlink_buffer: Option<usize>,
    /// What peers are told as our own IPv4 next hop, in place of the session's
    /// address: for sessions over loopback or through address translation.
    pub next_hop_v4: Option<Ipv4Addr>,
    /// The same for IPv6.
    pub next_hop_v6: Option<Ipv6Addr>,
    /// Keep forwarding by the routes of an earlier run for this long, while
    /// they are learned anew; none removes them at the start.
    pub adopt_stale: Option<Duration>,
    /// The file that `write memory` writes.
    pub config_path: Option<String>,
    /// That file's spelling.
    pub spelling: Spelling,
}

impl Default for SpeakerOptions {
    /// No listening socket, no kernel, no file.
    fn default() -> Self {
        SpeakerOptions {
            listen: Vec::new(),
            kernel: false,
            table: fib::MAIN_TABLE,
            nexthop_objects: true,
            netlink_buffer: None,
            next_hop_v4: None,
            next_hop_v6: None,
            adopt_stale: None,
            config_path: None,
            spelling: Spelling::Frr,
        }
    }
}

/// A running speaker; cheap to clone. All calls may be made from anywhere; the
/// types are those of the API.
///
/// Calls about peers and routes are about the default BGP instance, or the one
/// of [`Speaker::instance`]; a request that names an instance is about that.
#[derive(Debug, Clone)]
pub struct Speaker {
    orders: mpsc::Sender<Order>,
    directory: Directory,
    /// Its name, as the directory has it.
    instance: String,
    /// The default instance's, which knows the host.
    fib: fib::FibHandle,
    started_ms: u64,
    options: Arc<SpeakerOptions>,
    /// Edits of the configuration take turns.
    editing: Arc<Mutex<()>>,
    rpki: rpki::View,
}

impl Speaker {
    /// Opens the sockets and starts the tasks on the current runtime. Nothing
    /// is configured yet.
    ///
    /// # Errors
    /// A socket cannot be listened on, or the kernel does not let us in.
    pub async fn start(options: SpeakerOptions) -> Result<Speaker, SpeakerError> {
        // Reading works without; every route would fail one by one.
        if options.kernel && !may_write_routes() {
            return Err(SpeakerError::NoNetAdmin);
        }
        let listening = Listening::on_host(&options.listen)?;
        let (fib, fib_events) = fib::spawn(fib_options(&options)).await?;
        let restart = restart::Restarting::found(&fib, options.adopt_stale).await?;
        let (caches, roa_news, rpki) = rpki::spawn();
        let instances = Instances::new(
            options.clone(),
            (fib.clone(), fib_events),
            restart,
            listening,
            (caches, roa_news),
        );
        let directory = instances.directory();
        let (orders, lane) = mpsc::channel(instances::ORDERS);
        tokio::spawn(instances.run(lane));
        Ok(Speaker {
            orders,
            directory,
            instance: DEFAULT.to_owned(),
            fib,
            started_ms: now_ms(),
            options: Arc::new(options),
            editing: Arc::default(),
            rpki,
        })
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, SpeakerError> {
        let (answer, waiting) = oneshot::channel();
        let door = self.door()?;
        // An instance may end after the way to it was found.
        let sent = door.requests.send(request(answer)).await;
        sent.map_err(|_| self.no_instance())?;
        waiting.await.map_err(|_| self.no_instance())
    }

    /// The way to this handle's instance.
    fn door(&self) -> Result<Door, SpeakerError> {
        let door = self.directory.door(&self.instance);
        door.ok_or_else(|| self.no_instance())
    }

    /// This handle with the instance's own FIB and table in place of the
    /// default instance's.
    fn with_own_fib(&self, door: &Door) -> Speaker {
        let options = SpeakerOptions {
            table: door.table.unwrap_or(self.options.table),
            ..(*self.options).clone()
        };
        Speaker {
            fib: door.fib.clone(),
            options: Arc::new(options),
            ..self.clone()
        }
    }

    /// What is said where there is no core to ask.
    fn no_instance(&self) -> SpeakerError {
        // The default one is there as long as the speaker runs.
        let runs = self.directory.door(DEFAULT).is_some();
        if runs && self.instance != DEFAULT {
            SpeakerError::NoInstance(self.instance.clone())
        } else {
            SpeakerError::Stopped
        }
    }

    /// Asks for something that is the whole process's.
    async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<T>) -> Order,
    ) -> Result<T, SpeakerError> {
        let (answer, waiting) = oneshot::channel();
        self.orders
            .send(order(answer))
            .await
            .map_err(|_| SpeakerError::Stopped)?;
        waiting.await.map_err(|_| SpeakerError::Stopped)
    }

    /// The same speaker, for calls about the VRF or view of this name; the
    /// default instance is `default`. Whether there is such a one, each call
    /// tells.
    #[must_use]
    pub fn instance(&self, name: &str) -> Speaker {
        Speaker {
            instance: match name {
                "" => DEFAULT.to_owned(),
                name => name.to_owned(),
            },
            ..self.clone()
        }
    }

    /// The handle for a request that may name an instance.
    fn named(&self, name: &str) -> Speaker {
        if name.is_empty() {
            self.clone()
        } else {
            self.instance(name)
        }
    }

    /// The configured BGP instances: the default one, then VRFs and views by name.
    ///
    /// # Errors
    /// [`SpeakerError::Stopped`].
    pub async fn instances(&self) -> Result<Vec<v1::Instance>, SpeakerError> {
        let (config, _) = self.config().await?;
        let instances = config.instances().map(|(name, bgp)| v1::Instance {
            name: name.word().to_owned(),
            kind: convert::instance_kind(&name) as i32,
            asn: bgp.asn,
        });
        Ok(instances.collect())
    }

    /// What the speaker is and runs.
    ///
    /// # Errors
    /// [`SpeakerError::Stopped`].
    pub async fn global(&self) -> Result<v1::Global, SpeakerError> {
        self.ask(Request::Global).await
    }

    /// All peers in address order, or one.
    ///
    /// # Errors
    /// [`SpeakerError::Stopped`].
    pub async fn peers(&self, address: Option<IpAddr>) -> Result<Vec<v1::Peer>, SpeakerError> {
        self.ask(|answer| Request::Peers(address, answer)).await
    }

    /// Routes in prefix order, a chunk at a time; the core is free between
    /// two chunks. The first chunk always comes.
    ///
    /// # Errors
    /// The request names a prefix that is none, or a table that needs a peer
    /// and names none.
    pub fn routes(&self, request: &v1::ListRoutesRequest) -> Result<Routes, SpeakerError> {
        let family = family(request.family())?;
        let peer = match request.peer.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| SpeakerError::NoSuchPeer)?),
        };
        Ok(Routes {
            speaker: self.named(&request.instance),
            rpki: request.rpki(),
            query: Some(RoutesQuery {
                family,
                table: request.table(),
                peer,
                selection: selection(family, &request.prefix, request.longer)?,
                after: None,
                with_peers: false,
            }),
            filter: request.filter.clone(),
            test: None,
        })
    }

    /// What the kernel holds for us, in prefix order, a chunk at a time.
    ///
    /// # Errors
    /// A prefix that is none, or [`SpeakerError::Stopped`].
    pub async fn fib_routes(
        &self,
        request: &v1::ListFibRequest,
    ) -> Result<FibRoutes, SpeakerError> {
        let family = family(request.family())?;
        let wanted = selection(family, &request.prefix, false)?;
        let table = match family {
            Family::Ipv4Unicast => fib::Family::V4,
            Family::Ipv6Unicast => fib::Family::V6,
        };
        let speaker = self.named(&request.instance);
        let door = speaker.door()?;
        let speaker = speaker.with_own_fib(&door);
        let asked = (request.protocol.as_str(), door.owns_table);
        let mut rows = match door.name.is_view() {
            // Nothing of a view is forwarded.
            true => Vec::new(),
            false => Row::gather(&speaker, table, asked).await?,
        };
        match wanted {
            Selection::All | Selection::Longer(_) => {}
            Selection::Prefix(prefix) => rows.retain(|row| row.prefix() == prefix),
            Selection::Longest(address) => {
                let best = rows
                    .iter()
                    .map(Row::prefix)
                    .filter(|prefix| prefix.contains(&address))
                    .max_by_key(IpNet::prefix_len);
                rows.retain(|row| Some(row.prefix()) == best);
            }
        }
        Ok(FibRoutes {
            speaker,
            rows: rows.into_iter(),
        })
    }

    /// Changes as they happen, from now on.
    ///
    /// # Errors
    /// [`SpeakerError::NoInstance`].
    pub fn watch(&self, wanted: v1::WatchRequest) -> Result<Watch, SpeakerError> {
        let speaker = self.named(&wanted.instance);
        let door = match speaker.door() {
            Err(SpeakerError::Stopped) => None,
            other => Some(other?),
        };
        let events = door.as_ref().and_then(|door| door.watchers.upgrade());
        let events = match events {
            Some(events) => events.subscribe(),
            // Of a speaker that has stopped: ends at once.
            None => broadcast::channel(1).1,
        };
        let wanted = v1::WatchRequest {
            // Nothing of a view is forwarded.
            fib: wanted.fib && !door.as_ref().is_some_and(|door| door.name.is_view()),
            ..wanted
        };
        let interest = door.map(|door| door.interest).unwrap_or_default();
        Ok(Watch::new(wanted, events, interest))
    }

    /// Resets or refreshes sessions; returns how many.
    ///
    /// # Errors
    /// [`SpeakerError::NoSuchPeer`], [`SpeakerError::NoBgp`].
    pub async fn clear(&self, request: v1::ClearRequest) -> Result<u32, SpeakerError> {
        let speaker = self.named(&request.instance);
        speaker
            .ask(|answer| Request::Clear(request, answer))
            .await?
    }

    /// Forgets how routes flapped; those that were suppressed for it are used.
    ///
    /// # Errors
    /// A prefix that is none, or of another family, [`SpeakerError::NoBgp`].
    pub async fn clear_dampening(
        &self,
        request: &v1::ClearDampeningRequest,
    ) -> Result<(), SpeakerError> {
        let family = match request.family() {
            v1::Family::Unspecified if request.prefix.is_empty() => None,
            v1::Family::Unspecified if request.prefix.contains(':') => Some(Family::Ipv6Unicast),
            v1::Family::Unspecified => Some(Family::Ipv4Unicast),
            named => Some(family(named)?),
        };
        let selection = match family {
            Some(family) if !request.prefix.is_empty() => {
                Some(selection(family, &request.prefix, false)?)
            }
            _ => None,
        };
        let speaker = self.named(&request.instance);
        speaker
            .ask(|answer| Request::ClearDampening(family, selection, answer))
            .await?
    }

    /// Returns when the speaker has stopped, asked to or not.
    pub async fn stopped(&self) {
        self.orders.closed().await;
    }

    /// Ends sessions (gracefully: without a NOTIFICATION, leaving the kernel's
    /// routes in place; else with Cease and without routes), then all tasks.
    /// The sessions of a view end gracefully where the view has graceful restart
    /// configured.
    pub async fn stop(&self, graceful: bool) {
        // One that has stopped already needs no stopping.
        let _ = self.order(|done| Order::Stop { graceful, done }).await;
    }
}

/// An answer in chunks.
#[derive(Debug)]
pub struct Routes {
    speaker: Speaker,
    /// Only paths in this state, if it is one.
    rpki: v1::RpkiState,
    query: Option<RoutesQuery>,
    /// Until it is known what it means.
    filter: Option<v1::RouteFilter>,
    test: Option<PathTest>,
}

impl Routes {
    /// What the filter means to the instance that is asked.
    async fn test(
        &self,
        filter: &v1::RouteFilter,
        family: Family,
    ) -> Result<PathTest, SpeakerError> {
        let (config, _) = self.speaker.config().await?;
        let policies = self.speaker.policies().await?;
        PathTest::new(filter, family, &policies, &config.policy.community_aliases)
    }

    /// The next chunk; none at the end.
    ///
    /// # Errors
    /// [`SpeakerError::NoSuchPeer`] and the like, with the first chunk.
    pub async fn next(&mut self) -> Result<Option<v1::RouteChunk>, SpeakerError> {
        let Some(mut query) = self.query.take() else {
            return Ok(None);
        };
        if let Some(filter) = self.filter.take() {
            let test = self.test(&filter, query.family).await?;
            query.with_peers = test.needs_peers();
            self.test = Some(test);
        }
        let asked = query.clone();
        let mut page = self
            .speaker
            .ask(|answer| Request::Routes(asked, answer))
            .await??;
        if page.next.is_some() {
            query.after = page.next;
            self.query = Some(query);
        }
        if let Some(test) = &self.test {
            page.sift(test);
        }
        let mut chunk = page.into_chunk(&self.speaker.rpki.snapshot());
        if self.rpki != v1::RpkiState::RpkiNotInUse {
            for route in &mut chunk.routes {
                route.paths.retain(|path| path.rpki_state() == self.rpki);
            }
            chunk.routes.retain(|route| !route.paths.is_empty());
        }
        Ok(Some(chunk))
    }
}

/// The kernel's routes in chunks. The rows are what they were when they were
/// asked for; a chunk is put into words when it is taken.
#[derive(Debug)]
pub struct FibRoutes {
    speaker: Speaker,
    rows: std::vec::IntoIter<Row>,
}

impl FibRoutes {
    /// The next chunk; none at the end.
    ///
    /// # Errors
    /// [`SpeakerError::Stopped`].
    pub async fn next(&mut self) -> Result<Option<v1::FibChunk>, SpeakerError> {
        let rows: Vec<_> = self.rows.by_ref().take(FIB_CHUNK).collect();
        if rows.is_empty() {
            return Ok(None);
        }
        let prefixes = rows.iter().map(Row::prefix).collect();
        let meds = self.speaker.ask(|answer| Request::Meds(prefixes, answer));
        let meds = meds.await?;
        let view = self.speaker.fib.view();
        let (table, started_ms) = (self.speaker.options.table, self.speaker.started_ms);
        let routes = rows.iter().zip(meds).map(|(row, med)| match row {
            Row::Bgp { status, selected } => v1::FibRoute {
                selected: *selected,
                ..fib_route(status, med, table, &view)
            },
            row => row.fib_route(table, started_ms, &view),
        });
        Ok(Some(v1::FibChunk {
            routes: routes.collect(),
        }))
    }
}

/// Whether the process has CAP_NET_ADMIN. Where that cannot be told, the kernel
/// will say.
fn may_write_routes() -> bool {
    const CAP_NET_ADMIN: u32 = 12;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    effective.is_none_or(|bits| bits >> CAP_NET_ADMIN & 1 == 1)
}

fn fib_options(options: &SpeakerOptions) -> fib::FibOptions {
    let defaults = fib::FibOptions::default();
    fib::FibOptions {
        kernel: if options.kernel {
            fib::Kernel::On
        } else {
            fib::Kernel::Off
        },
        table: options.table,
        objects: options.nexthop_objects,
        monitor_buffer: options.netlink_buffer.unwrap_or(defaults.monitor_buffer),
        stale: match options.adopt_stale {
            // The core says when; this is for a core that does not.
            Some(time) => fib::Stale::Keep(time + SWEEP_SLACK),
            None => fib::Stale::Sweep,
        },
        ..defaults
    }
}

fn family(family: v1::Family) -> Result<Family, SpeakerError> {
    match family {
        v1::Family::Ipv4Unicast => Ok(Family::Ipv4Unicast),
        v1::Family::Ipv6Unicast => Ok(Family::Ipv6Unicast),
        v1::Family::Unspecified => Err(SpeakerError::BadPrefix(String::new())),
    }
}

fn selection(family: Family, text: &str, longer: bool) -> Result<Selection, SpeakerError> {
    let bad = || SpeakerError::BadPrefix(text.to_owned());
    let fits = |v4: bool| v4 == (family == Family::Ipv4Unicast);
    if text.is_empty() {
        return Ok(Selection::All);
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return match fits(address.is_ipv4()) {
            true => Ok(Selection::Longest(address)),
            false => Err(bad()),
        };
    }
    let prefix: IpNet = text.parse().map_err(|_| bad())?;
    let prefix = prefix.trunc();
    if !fits(matches!(prefix, IpNet::V4(_))) {
        return Err(bad());
    }
    Ok(if longer {
        Selection::Longer(prefix)
    } else {
        Selection::Prefix(prefix)
    })
}

fn fib_route(row: &fib::RouteStatus, med: u32, table: u32, view: &fib::KernelView) -> v1::FibRoute {
    let ago = u64::try_from(row.since.elapsed().as_millis()).unwrap_or(u64::MAX);
    let distance = match (&row.route, &row.resolved) {
        (Some(route), _) => route.metric,
        (None, Some(resolved)) => resolved.metric,
        (None, None) => 0,
    };
    v1::FibRoute {
        prefix: row.prefix.to_string(),
        distance,
        metric: med,
        selected: row.installed,
        installed: row.installed,
        error: row
            .error
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        table,
        since_ms: now_ms().saturating_sub(ago),
        next_hops: fib_next_hops(row, view),
        nexthop_group: row.object.unwrap_or(0),
        drop: row
            .resolved
            .as_ref()
            .map(|resolved| rows::drop_word(&resolved.kind))
            .unwrap_or_default(),
        protocol: "bgp".to_owned(),
        ..v1::FibRoute::default()
    }
}

/// The next hops that packets take; where none resolves, or packets are dropped on the way to
/// them, those asked for.
fn fib_next_hops(row: &fib::RouteStatus, view: &fib::KernelView) -> Vec<v1::FibNextHop> {
    let name = |ifindex: u32| {
        let interface = view.interface(ifindex);
        interface.map(|i| i.name.clone()).unwrap_or_default()
    };
    let dropped = row.resolved.as_ref().is_some_and(|r| r.hops().is_empty());
    if let Some(resolved) = row.resolved.as_ref().filter(|_| !dropped) {
        let hops = resolved.hops().iter().map(|hop| v1::FibNextHop {
            address: hop.gateway.map(|g| g.to_string()).unwrap_or_default(),
            via: String::new(),
            ifindex: hop.ifindex,
            interface: name(hop.ifindex),
            active: true,
            weight: hop.weight.into(),
            onlink: hop.onlink,
        });
        return hops.collect();
    }
    match row.route.as_deref().map(|route| &route.kind) {
        Some(fib::RouteKind::Unicast(hops)) => hops
            .iter()
            .map(|hop| v1::FibNextHop {
                address: hop.gateway.to_string(),
                via: String::new(),
                ifindex: hop.ifindex.unwrap_or(0),
                interface: hop.ifindex.map(name).unwrap_or_default(),
                active: dropped,
                weight: hop.weight.into(),
                onlink: hop.onlink,
            })
            .collect(),
        _ => Vec::new(),
    }
}

pub use edit::write_atomically;
pub use rpki::Roas;
pub use watch::Watch;
