//! The BGP instances: a core for each, made, changed and ended as the
//! configuration says.
//!
//! What there is once for the whole process is here: the running
//! configuration, the listening sockets and their keys. Each core knows its
//! own instance only. The default one's is always there, because it is the one
//! that the kernel's routes belong to; a view's has no kernel, so that every
//! next hop counts as reachable and nothing of it is forwarded.
//!
//! ```text
//!   Speaker --Order(16)--> instances --Request::Apply, Stop--> core (default)
//!      |                                                  \--> core (a view)
//!      +------- Request, by way of the directory --------------^
//! ```

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use holdfast_api::v1;
use holdfast_config::InstanceName;
use holdfast_config::model::{Bgp, Config};
use holdfast_fib::{self as fib, FibHandle};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::{Id, JoinError, JoinSet};

use super::core::{Answer, Core, Lanes, Parts, Registry};
use super::request::Request;
use super::restart::Restarting;
use super::watch::{Interest, Watchers};
use super::{SpeakerError, SpeakerOptions};
use crate::session::md5;

/// Requests that may wait for a core.
const REQUESTS: usize = 64;
/// Reports of sessions that may wait for a core, each of up to one read:
/// enough that the core has something to do, few enough that memory stays small
/// when peers are faster than we are.
const REPORTS: usize = 16;
/// Orders that may wait.
pub(super) const ORDERS: usize = 16;

/// What is asked of the process as a whole.
pub(super) enum Order {
    /// The running configuration and its revision.
    Config(oneshot::Sender<(Config, u64)>),
    /// Validated already; answers with a line per change and the revision.
    Apply(Box<Config>, Answer<(Vec<String>, u64)>),
    Stop {
        graceful: bool,
        done: oneshot::Sender<()>,
    },
}

/// The way to a core.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub(super) requests: mpsc::Sender<Request>,
    /// The core has the strong one, so that watches end with it.
    pub(super) watchers: broadcast::WeakSender<Arc<v1::WatchEvent>>,
    pub(super) interest: Arc<Interest>,
}

/// The way to each core.
#[derive(Debug, Clone, Default)]
pub(super) struct Directory(Arc<RwLock<HashMap<InstanceName, Door>>>);

impl Directory {
    /// The way to one core; none where there is no such instance.
    pub(super) fn door(&self, name: &InstanceName) -> Option<Door> {
        let doors = self.0.read().unwrap_or_else(PoisonError::into_inner);
        doors.get(name).cloned()
    }

    fn edit<T>(&self, edit: impl FnOnce(&mut HashMap<InstanceName, Door>) -> T) -> T {
        edit(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The task that owns all of this.
pub(super) struct Instances {
    options: SpeakerOptions,
    config: Config,
    /// Counts changes of the configuration.
    revision: u64,
    directory: Directory,
    registry: Registry,
    listeners: Arc<[TcpListener]>,
    /// The tasks that accept on them.
    accepting: JoinSet<()>,
    /// MD5 keys that the listeners have.
    keys: BTreeMap<IpAddr, String>,
    /// The default instance's FIB, which knows the host's interfaces.
    host: FibHandle,
    cores: JoinSet<()>,
    /// The cores that were not asked to end.
    running: HashMap<Id, InstanceName>,
}

impl Instances {
    /// With the default instance's core, and nothing configured.
    pub(super) fn new(
        options: SpeakerOptions,
        (host, fib_events): (FibHandle, mpsc::Receiver<fib::Event>),
        restart: Option<Restarting>,
        (listeners, registry): (Arc<[TcpListener]>, Registry),
        accepting: JoinSet<()>,
    ) -> Self {
        let mut instances = Self {
            options: options.clone(),
            config: Config::default(),
            revision: 0,
            directory: Directory::default(),
            registry,
            listeners,
            accepting,
            keys: BTreeMap::new(),
            host: host.clone(),
            cores: JoinSet::new(),
            running: HashMap::new(),
        };
        instances.start(InstanceName::Default, options, (host, fib_events), restart);
        instances
    }

    pub(super) fn directory(&self) -> Directory {
        self.directory.clone()
    }

    /// Runs until told to stop, until nobody is left who could tell it, or
    /// until a core ends by itself: better no speaker than half of one.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Config(answer)) => {
                        drop(answer.send((self.config.clone(), self.revision)));
                    }
                    Some(Order::Apply(config, answer)) => {
                        let result = self.apply(*config).await;
                        drop(answer.send(result.map(|changes| (changes, self.revision))));
                    }
                    Some(Order::Stop { graceful, done }) => {
                        self.stop(graceful).await;
                        let _ = done.send(());
                        return;
                    }
                    None => return self.stop(false).await,
                },
                Some(end) = self.cores.join_next_with_id() => {
                    if let Some(name) = self.running.remove(&id_of(&end)) {
                        tracing::error!(instance = %name, "a routing core has ended");
                        // Nobody finds those that are cut off now.
                        self.directory.edit(HashMap::clear);
                        return;
                    }
                }
            }
        }
    }

    // ===== cores =====

    fn start(
        &mut self,
        name: InstanceName,
        options: SpeakerOptions,
        (fib, fib_events): (FibHandle, mpsc::Receiver<fib::Event>),
        restart: Option<Restarting>,
    ) {
        let (requests, request_lane) = mpsc::channel(REQUESTS);
        let (reports, report_lane) = mpsc::channel(REPORTS);
        let watchers = Watchers::new(options.kernel);
        let door = Door {
            requests,
            watchers: watchers.events.downgrade(),
            interest: Arc::clone(&watchers.interest),
        };
        let core = Core::new(Parts {
            name: name.clone(),
            options,
            host: self.host.clone(),
            fib,
            reports,
            watchers,
            registry: Arc::clone(&self.registry),
            restart,
        });
        let lanes = Lanes {
            requests: request_lane,
            reports: report_lane,
            fib: fib_events,
        };
        let task = self.cores.spawn(core.run(lanes));
        self.running.insert(task.id(), name.clone());
        self.directory.edit(|doors| doors.insert(name, door));
    }

    /// Starts the core of a view, which has nothing to do with the kernel.
    async fn start_view(&mut self, name: &InstanceName) -> Result<(), SpeakerError> {
        let options = SpeakerOptions {
            kernel: false,
            adopt_stale: None,
            ..self.options.clone()
        };
        let fib = fib::spawn(fib::FibOptions {
            kernel: fib::Kernel::Off,
            ..fib::FibOptions::default()
        });
        let fib = fib.await?;
        self.start(name.clone(), options, fib, None);
        Ok(())
    }

    /// Has a core end. It is not to be found any more; the answer comes when
    /// its sessions are closed.
    async fn end(&mut self, name: &InstanceName, graceful: bool) -> oneshot::Receiver<()> {
        let (done, ended) = oneshot::channel();
        self.running.retain(|_, running| running != name);
        if let Some(door) = self.directory.edit(|doors| doors.remove(name)) {
            // One that is gone already drops the answer's sender.
            let _ = door.requests.send(Request::Stop { graceful, done }).await;
        }
        ended
    }

    async fn stop(&mut self, graceful: bool) {
        // The ports are free again when this returns.
        self.accepting.shutdown().await;
        self.listeners = Arc::new([]);
        super::configure::registry(&self.registry).clear();
        // The default one first: without it, nobody takes what ends now for a
        // view that is not configured.
        let mut names: Vec<InstanceName> = self.running.values().cloned().collect();
        names.sort_unstable();
        let mut ends = Vec::new();
        for name in names {
            let graceful = match self.config.instance(&name) {
                Some(bgp) if name.is_view() => bgp.graceful_restart.enabled,
                _ => graceful,
            };
            ends.push(self.end(&name, graceful).await);
        }
        for end in ends {
            let _ = end.await;
        }
    }

    // ===== the configuration =====

    /// Takes a configuration that was validated. Returns a line per change, as
    /// a dry run would have told it. Each core compares its own part.
    async fn apply(&mut self, config: Config) -> Result<Vec<String>, SpeakerError> {
        if config == self.config {
            return Ok(Vec::new());
        }
        self.revision += 1;
        let old = std::mem::replace(&mut self.config, config);
        let plan = holdfast_config::diff(&old, &self.config).to_string();
        // Those that go say goodbye before others may take their neighbors.
        let gone = |name: &InstanceName| name.is_view() && self.config.instance(name).is_none();
        let names = old.instances().map(|(name, _)| name);
        let mut ends = Vec::new();
        for name in names.filter(gone).collect::<Vec<_>>() {
            // Its peers are told that they are not configured any more.
            self.tell(&name).await?;
            ends.push(self.end(&name, false).await);
        }
        for end in ends {
            let _ = end.await;
        }
        self.apply_keys();
        let views = self.config.views.keys().cloned().map(InstanceName::View);
        let names: Vec<_> = [InstanceName::Default].into_iter().chain(views).collect();
        for name in names {
            if self.directory.door(&name).is_none() {
                self.start_view(&name).await?;
            }
            self.tell(&name).await?;
        }
        Ok(plan.lines().map(str::to_owned).collect())
    }

    /// Gives a core its part of the configuration.
    async fn tell(&self, name: &InstanceName) -> Result<(), SpeakerError> {
        let door = self.directory.door(name).ok_or(SpeakerError::Stopped)?;
        let (done, applied) = oneshot::channel();
        let config = Box::new(self.config.of_instance(name));
        let request = Request::Apply(config, done);
        let sent = door.requests.send(request).await;
        sent.map_err(|_| SpeakerError::Stopped)?;
        applied.await.map_err(|_| SpeakerError::Stopped)
    }

    /// A listener needs the key of every peer that may connect to it.
    fn apply_keys(&mut self) {
        let peers = self.config.instances().map(|(_, bgp)| bgp);
        let wanted: BTreeMap<IpAddr, String> = peers
            .flat_map(Bgp::effective_peers)
            .filter_map(|peer| Some((peer.address, peer.password?)))
            .collect();
        let before = std::mem::replace(&mut self.keys, wanted);
        for address in before.keys().filter(|a| !self.keys.contains_key(a)) {
            self.set_key(*address, "");
        }
        for (address, key) in &self.keys {
            if before.get(address) != Some(key) {
                self.set_key(*address, key);
            }
        }
    }

    fn set_key(&self, peer: IpAddr, key: &str) {
        for listener in self.listeners.iter() {
            let fits = listener
                .local_addr()
                .is_ok_and(|local| local.is_ipv4() == peer.is_ipv4());
            if !fits {
                continue;
            }
            if let Err(error) = md5::set_key(listener, peer, key) {
                tracing::error!(%peer, %error, "MD5 key not set; the peer cannot connect");
            }
        }
    }
}

fn id_of(end: &Result<(Id, ()), JoinError>) -> Id {
    match end {
        Ok((id, ())) => *id,
        Err(error) => error.id(),
    }
}
