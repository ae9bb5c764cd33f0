//! The routing core: one task per BGP instance that owns the table, the peers
//! and what the kernel is to hold.
//!
//! It takes events in batches, then pumps what came of them: next hops to
//! track, routes for the kernel, announcements for peers with room. It never
//! waits for anybody: what a receiver has no room for stays in the table as
//! "changed", and only its newest state is sent when there is room.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bgp_wire::{NextHop, PeerKind};
use holdfast_config::model::{Config, Family as ConfigFamily, InstanceName};
use holdfast_fib::{self as fib, FibError, FibHandle, KernelView, TrackKey};
use holdfast_policy::RoaTable;
use holdfast_rib::{
    Attributes, FibChange, FibKind, FibRoute, LocalSource, NextHopState, PeerId, Rib, RibConfig,
    Through, TrackEvent,
};
use ipnet::IpNet;
use tokio::sync::{Notify, mpsc, oneshot};

use super::answers::answer;
use super::conditional::Conditions;
use super::configure::resilient;
use super::exports::Exports;
use super::leak::{Leak, Leaks};
use super::originate::{KernelTables, Origination};
use super::pace::Pace;
use super::peers::Peer;
use super::policies::PolicyBook;
use super::realm::Realm;
use super::request::Request;
use super::restart::Restarting;
use super::switches::Switches;
use super::watch::Watchers;
use super::{SpeakerError, SpeakerOptions};
use crate::session::status::now_ms;
use crate::session::{FromSession, Report, SessionHandle};

/// Reports taken from the sessions before what came of them is pumped. Large
/// enough to pack prefixes well, small enough that a keystroke is answered.
const BATCH: usize = 256;
/// Octets of prefixes in those reports after which the batch is large enough:
/// of IPv4, some 30,000 prefixes.
const BATCH_OCTETS: usize = 128 * 1024;
/// Routes handed to the FIB at a time.
const FIB_BUDGET: usize = 8_192;
/// Prefixes that are passed through import again at a time, for each peer that
/// has them.
const IMPORT_BUDGET: usize = 4_096;
/// How long the end waits for what is on its way to the FIB.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Administrative distance of external and internal routes, as FRR's.
const DISTANCE_EBGP: u32 = 20;
const DISTANCE_IBGP: u32 = 200;

/// Which sessions there are, for the listener.
pub(super) type Registry = Arc<Mutex<HashMap<IpAddr, SessionHandle>>>;

pub(super) type InFlight = Pin<Box<dyn Future<Output = Result<(), FibError>> + Send>>;

/// Everything the core owns.
pub(super) struct Core {
    pub(super) name: InstanceName,
    pub(super) realm: Realm,
    /// Tells this core from others of the same name, before and after.
    pub(super) serial: u64,
    /// What is shared with other instances.
    pub(super) leaks: Leaks,
    pub(super) options: SpeakerOptions,
    /// What holds for the whole process, and this instance as `bgp`.
    pub(super) config: Config,
    pub(super) started_ms: u64,
    /// The table; empty while BGP is not configured.
    pub(super) rib: Rib,
    pub(super) peers: BTreeMap<IpAddr, Peer>,
    /// Sessions of peers that were removed, while they close.
    pub(super) leaving: Vec<oneshot::Receiver<()>>,
    pub(super) policies: PolicyBook,
    pub(super) conditions: Conditions,
    pub(super) exports: Exports,
    /// Addresses by peer number.
    pub(super) ids: HashMap<PeerId, IpAddr>,
    pub(super) next_id: u32,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) registry: Registry,
    pub(super) reports: mpsc::Sender<FromSession>,
    pub(super) ready: Arc<Notify>,
    /// Where this instance's routes go.
    pub(super) fib: FibHandle,
    /// The FIB that knows the host's interfaces and addresses; the same one,
    /// unless this is a view.
    pub(super) host: FibHandle,
    /// The host as it was last seen, where the FIB does not tell of links.
    links: Option<Arc<KernelView>>,
    pub(super) watchers: Watchers,
    /// What `redistribute` and `network` may take from the kernel.
    pub(super) kernel_routes: BTreeMap<(IpNet, fib::Source), Origination>,
    /// What is originated now, and how.
    pub(super) originated: BTreeMap<(IpNet, LocalSource), Origination>,
    /// What the FIB was not told yet of the configuration.
    pub(super) kernel_tables: KernelTables,
    /// The host's switches that we turn.
    pub(super) switches: Switches,
    /// Interface of link-local next hops, by the peer that sent them.
    pub(super) link_local: HashMap<IpAddr, u32>,
    /// What the FIB was asked to track, as it was asked.
    tracked: HashMap<IpAddr, TrackKey>,
    /// Deadlines of stale routes.
    pub(super) stale: BTreeSet<(Instant, PeerId, StaleTimer)>,
    /// A graceful restart of our own, while it lasts.
    pub(super) restart: Option<Restarting>,
    /// Until when a start that found no routes of ours may be a restart to the
    /// peers: the kernel did not keep what they believe it did.
    pub(super) empty_until: Option<Instant>,
    /// What is left of the run before has to go once the kernel has the rest.
    pub(super) sweep: bool,
    /// Next hops that the FIB was asked to track and has not answered yet.
    pub(super) unanswered: HashSet<IpAddr>,
    /// When next hops that are tracked last became reached another way.
    pub(super) next_hop_changed_ms: HashMap<IpAddr, u64>,
    /// Whether next hops resolve through default routes, where the FIB is to be
    /// told.
    pub(super) via_default: Option<fib::ViaDefault>,
    /// Whether routes share nexthop objects, where the FIB is to be told.
    pub(super) use_objects: Option<bool>,
    pub(super) in_flight: Option<InFlight>,
    /// Next hops of sessions that ended, which the FIB does without until it
    /// has the routes that follow from that.
    pub(super) suspended: Vec<TrackKey>,
    /// The FIB's task has ended.
    fib_gone: bool,
    pub(super) more: bool,
    /// When the FIB is told, while more news waits to be taken in.
    fib_pace: Pace,
    /// When peers are.
    pub(super) export_pace: Pace,
    /// When to give back what questions about routes needed.
    pub(super) rest_at: Option<Instant>,
    /// From when on the clock counts that dampening goes by.
    pub(super) epoch: Instant,
}

/// What a deadline of stale routes is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StaleTimer {
    /// The peer did not come back.
    Restart,
    /// The peer came back and did not finish.
    EndOfRib,
}

/// The channels that lead to the core.
pub(super) struct Lanes {
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) reports: mpsc::Receiver<FromSession>,
    pub(super) leaks: mpsc::Receiver<Leak>,
    pub(super) fib: mpsc::Receiver<fib::Event>,
}

/// What the core is made of.
pub(super) struct Parts {
    pub(super) name: InstanceName,
    pub(super) realm: Realm,
    pub(super) serial: u64,
    pub(super) options: SpeakerOptions,
    pub(super) host: FibHandle,
    pub(super) fib: FibHandle,
    pub(super) reports: mpsc::Sender<FromSession>,
    pub(super) watchers: Watchers,
    pub(super) registry: Registry,
    pub(super) restart: Option<Restarting>,
    pub(super) roas: Arc<RoaTable>,
}

enum Woken {
    Request(Option<Request>),
    Report(Option<FromSession>),
    Leak(Leak),
    Leaked,
    Fib(Option<fib::Event>),
    Written(Result<(), FibError>),
    Pump,
    Deadline,
    View,
}

impl Core {
    pub(super) fn new(parts: Parts) -> Core {
        let Parts {
            name,
            realm,
            serial,
            options,
            host,
            fib,
            reports,
            watchers,
            registry,
            restart,
            roas,
        } = parts;
        let empty_for = options.adopt_stale;
        let mut rib = Rib::new(RibConfig::new(0, Ipv4Addr::UNSPECIFIED));
        rib.set_forwarding(options.kernel);
        Core {
            links: name.is_view().then(|| host.view()),
            name,
            realm,
            serial,
            leaks: Leaks::default(),
            options,
            config: Config::default(),
            started_ms: now_ms(),
            rib,
            peers: BTreeMap::new(),
            leaving: Vec::new(),
            policies: PolicyBook::new(&roas),
            conditions: Conditions::default(),
            exports: Exports::default(),
            ids: HashMap::new(),
            next_id: 0,
            addresses: Vec::new(),
            registry,
            reports,
            ready: Arc::new(Notify::new()),
            fib,
            host,
            watchers,
            kernel_routes: BTreeMap::new(),
            originated: BTreeMap::new(),
            kernel_tables: KernelTables::default(),
            switches: Switches::default(),
            link_local: HashMap::new(),
            tracked: HashMap::new(),
            stale: BTreeSet::new(),
            empty_until: match restart {
                Some(_) => None,
                None => empty_for.map(|time| Instant::now() + time),
            },
            restart,
            sweep: false,
            unanswered: HashSet::new(),
            next_hop_changed_ms: HashMap::new(),
            via_default: None,
            use_objects: None,
            in_flight: None,
            suspended: Vec::new(),
            fib_gone: false,
            more: false,
            fib_pace: Pace::new(Instant::now()),
            export_pace: Pace::new(Instant::now()),
            rest_at: None,
            epoch: Instant::now(),
        }
    }

    /// Runs until told to stop.
    pub(super) async fn run(mut self, mut lanes: Lanes) {
        let mut view = self.host.watch_view();
        let ready = Arc::clone(&self.ready);
        let own = self.with_own_table(BTreeSet::new());
        self.kernel_tables.followed = (!own.is_empty()).then_some(own);
        self.view_changed();
        loop {
            let deadline = self.next_deadline();
            let woken = tokio::select! {
                request = lanes.requests.recv() => Woken::Request(request),
                report = lanes.reports.recv() => Woken::Report(report),
                Some(leak) = lanes.leaks.recv() => Woken::Leak(leak),
                () = self.leaks.sent() => Woken::Leaked,
                // A lane that has ended is always ready.
                event = lanes.fib.recv(), if !self.fib_gone => Woken::Fib(event),
                result = poll_in_flight(&mut self.in_flight) => Woken::Written(result),
                () = ready.notified() => Woken::Pump,
                () = std::future::ready(()), if self.more => Woken::Pump,
                () = sleep_until(deadline) => Woken::Deadline,
                Ok(()) = view.changed() => Woken::View,
            };
            self.look_at_interest();
            self.advance_dampening();
            match woken {
                Woken::Request(Some(Request::Stop { graceful, done })) => {
                    self.stop(graceful, &mut lanes).await;
                    let _ = done.send(());
                    return;
                }
                Woken::Request(Some(request)) => self.request(request),
                Woken::Request(None) => {
                    self.stop(false, &mut lanes).await;
                    return;
                }
                Woken::Report(Some(report)) => self.reports(report, &mut lanes.reports),
                Woken::Leak(leak) => self.leaked(&leak),
                Woken::Leaked => {}
                Woken::Fib(Some(event)) => self.fib_events(event, &mut lanes.fib),
                Woken::Written(Ok(())) => self.in_flight = None,
                Woken::Written(Err(_)) | Woken::Fib(None) => self.fib_ended(),
                Woken::Deadline => self.deadlines(),
                Woken::View => self.view_changed(),
                // The lane does not end while we hold a sender.
                Woken::Report(None) | Woken::Pump => {}
            }
            if !lanes.reports.is_empty() {
                let now = Instant::now();
                self.fib_pace.backlog_after_lag(now);
                self.export_pace.backlog(now);
                self.rib.begin_round();
            }
            self.pump();
            // A busy core lets the other tasks of a single-threaded runtime run.
            tokio::task::yield_now().await;
        }
    }

    fn fib_ended(&mut self) {
        self.in_flight = None;
        if !std::mem::replace(&mut self.fib_gone, true) {
            tracing::error!("the FIB is gone; routes do not reach the kernel");
        }
    }

    fn reports(&mut self, first: FromSession, lane: &mut mpsc::Receiver<FromSession>) {
        let mut octets = size_of(&first.report);
        self.report(first);
        for _ in 1..BATCH {
            if octets >= BATCH_OCTETS {
                break;
            }
            let Ok(report) = lane.try_recv() else { break };
            octets += size_of(&report.report);
            self.report(report);
        }
    }

    fn fib_events(&mut self, first: fib::Event, lane: &mut mpsc::Receiver<fib::Event>) {
        let mut failures = Failures::default();
        self.fib_event(first, &mut failures);
        for _ in 1..BATCH {
            match lane.try_recv() {
                Ok(event) => self.fib_event(event, &mut failures),
                Err(_) => break,
            }
        }
        failures.log();
    }

    fn fib_event(&mut self, event: fib::Event, failures: &mut Failures) {
        if let Some((prefix, answer, taken)) = answer(&event) {
            self.rib.fib_answered(prefix, answer, taken);
        }
        match event {
            fib::Event::NextHopChanged { key, resolution } => {
                let state = resolution.map(|r| NextHopState {
                    metric: r.metric,
                    connected: r.connected,
                    through: through(&r),
                });
                self.unanswered.remove(&key.address);
                self.next_hop_changed_ms.insert(key.address, now_ms());
                self.rib.next_hop_changed(key.address, state);
            }
            fib::Event::KernelRoute {
                prefix,
                source,
                metric,
                next_hop,
                ifindex,
            } => {
                let known = metric.map(|metric| Origination {
                    ifindex,
                    ..Origination::of_kernel(metric, next_hop)
                });
                match known {
                    Some(known) => self.kernel_routes.insert((prefix, source), known),
                    None => self.kernel_routes.remove(&(prefix, source)),
                };
                self.originate_from(prefix, source);
            }
            fib::Event::RouteFailed { prefix, error, .. } => {
                self.watch_fib(prefix, Some(error.to_string()));
                failures.add(prefix, error);
            }
            fib::Event::RouteInstalled { prefix, .. } => self.watch_fib(prefix, None),
            fib::Event::RouteRemoved(prefix) => self.watch_fib_removed(prefix),
            fib::Event::InterfaceChanged(interface) if !self.is_mine(&interface) => {}
            fib::Event::InterfaceChanged(interface) if interface.up => {
                self.interface_up(&interface);
            }
            fib::Event::InterfaceChanged(interface) => self.interface_down(interface.ifindex),
            fib::Event::InterfaceRemoved { ifindex, .. } => self.interface_down(ifindex),
        }
    }

    /// Whether an interface is this instance's. One that is up and belongs to a
    /// VRF now is none to the others.
    fn is_mine(&self, interface: &fib::Interface) -> bool {
        // The one that told of it knows it already.
        let view = self.fib.view();
        let device = self.realm.device().map(|device| device.ifindex);
        let belongs = || view.of_vrf(device).interface(interface.ifindex).is_some();
        !interface.up || !view.has_vrfs() || belongs()
    }

    // ===== the pump =====

    /// Hands on what came of the last events.
    pub(super) fn pump(&mut self) {
        // Before anybody is told what comes of it.
        self.more = self.rib.import_noted(IMPORT_BUDGET);
        self.pump_tracking();
        self.pump_conditions();
        self.pump_fib();
        self.check_restart();
        if self.restart.is_none() {
            self.pump_exports();
        }
        self.more |= self.pump_watch();
        self.pump_leaks();
    }

    /// Asks about next hops as soon as there are any: paths that come later find the answer.
    fn pump_tracking(&mut self) {
        let tracking = self.rib.take_tracking();
        if tracking.is_empty() {
            return;
        }
        let (mut track, mut untrack) = (Vec::new(), Vec::new());
        for event in tracking {
            match event {
                TrackEvent::Track(address) => {
                    let key = self.track_key(address);
                    self.tracked.insert(address, key);
                    self.unanswered.insert(address);
                    track.push(key);
                }
                TrackEvent::Untrack(address) => {
                    self.unanswered.remove(&address);
                    self.next_hop_changed_ms.remove(&address);
                    untrack.extend(self.tracked.remove(&address));
                }
            }
        }
        let told = match track.is_empty() {
            true => Ok(()),
            false => self.fib.track(track),
        };
        let told = told.and_then(|()| match untrack.is_empty() {
            true => Ok(()),
            false => self.fib.untrack(untrack),
        });
        if told.is_err() {
            self.fib_ended();
        }
    }

    fn pump_fib(&mut self) {
        if self.in_flight.is_some() || self.fib_gone {
            return;
        }
        let now = Instant::now();
        let allowed = self.fib_pace.allows(now);
        let changes = match allowed && self.restart.is_none() {
            true => self.rib.take_fib_changes(FIB_BUDGET),
            false => Vec::new(),
        };
        let all = changes.len() < FIB_BUDGET && allowed;
        let resume = match all {
            true => std::mem::take(&mut self.suspended),
            false => Vec::new(),
        };
        if allowed {
            let count = (changes.len(), self.rib.fib_again());
            if self.fib_pace.told(now, count, all) {
                self.rib.end_round();
            }
        }
        let via_default = self.via_default.take();
        let use_objects = self.use_objects.take();
        let tables = std::mem::take(&mut self.kernel_tables);
        let idle = changes.is_empty() && resume.is_empty();
        let set_up = via_default.is_none() && use_objects.is_none() && tables.is_empty();
        if idle && set_up {
            // What is put off is not known to the FIB: it would be swept.
            if all {
                self.pump_sweep();
            }
            return;
        }
        let changes = self.fib_routes(changes);
        let fib = self.fib.clone();
        self.in_flight = Some(Box::pin(async move {
            if let Some(which) = via_default {
                fib.resolve_via_default(which).await?;
            }
            if let Some(yes) = use_objects {
                fib.use_objects(yes).await?;
            }
            if let Some(statics) = tables.statics {
                fib.set_statics(statics).await?;
            }
            if let Some(followed) = tables.followed {
                fib.follow_tables(followed).await?;
            }
            if !changes.is_empty() {
                fib.apply(changes).await?;
            }
            if !resume.is_empty() {
                fib.resume(resume).await?;
            }
            Ok(())
        }));
    }

    /// The session with this neighbor ended: what goes by it alone will be
    /// withdrawn, which takes its time; what has other ways goes there at once.
    pub(super) fn suspend(&mut self, id: PeerId, neighbor: IpAddr, ifindex: Option<u32>) {
        let key = TrackKey {
            address: neighbor,
            ifindex: ifindex.filter(|_| is_link_local(neighbor)),
        };
        // On a shared link it goes by its link-local address.
        let others = self.rib.fib_next_hops(id).filter_map(|next_hop| {
            let hop = gateway(next_hop, ifindex);
            is_link_local(hop.gateway).then_some(TrackKey {
                address: hop.gateway,
                ifindex: hop.ifindex,
            })
        });
        let keys: Vec<TrackKey> = others.chain([key]).collect();
        self.fib.suspend(keys.iter().copied());
        self.suspended.extend(keys);
    }

    pub(super) fn track_key(&self, address: IpAddr) -> TrackKey {
        TrackKey {
            address,
            ifindex: self.link_local.get(&address).copied(),
        }
    }

    /// The table's routes in the FIB's terms. Equal ones are one allocation
    /// there, and stay one here.
    fn fib_routes(&self, changes: Vec<FibChange>) -> fib::Changes {
        type Key = (*const FibRoute, ConfigFamily, Option<IpAddr>);
        let mut known: HashMap<Key, Arc<fib::Route>> = HashMap::new();
        let mut route_of = |prefix: IpNet, route: Arc<FibRoute>| {
            let family = family_of(prefix);
            let source = self.source_address(prefix, &route)?;
            let known = known.entry((Arc::as_ptr(&route), family, source));
            let made = known.or_insert_with(|| {
                Arc::new(fib::Route {
                    prefsrc: source,
                    ..self.fib_route(&route, family)
                })
            });
            Some(Arc::clone(made))
        };
        changes
            .into_iter()
            .map(|FibChange { prefix, route }| {
                let route = route.and_then(|route| route_of(prefix, route));
                (prefix, route)
            })
            .collect()
    }

    /// The source address that a route of ours is to have in the kernel, if any;
    /// none at all where the kernel is not to have it.
    fn source_address(&self, prefix: IpNet, route: &FibRoute) -> Option<Option<IpAddr>> {
        let Some(map) = self.policies.protocol_map(family_of(prefix)) else {
            return Some(None);
        };
        let attributes = Attributes::new(bgp_wire::PathAttributes {
            next_hop: route.next_hops.first().map(|hop| hop.next_hop),
            med: Some(route.metric),
            ..bgp_wire::PathAttributes::default()
        });
        let source = map.source(prefix, &attributes).ok()?;
        // An address that is not ours would cost the route.
        Some(source.filter(|source| self.addresses.binary_search(source).is_ok()))
    }

    fn fib_route(&self, route: &FibRoute, family: ConfigFamily) -> fib::Route {
        let hops = route.next_hops.iter().map(|hop| {
            let peer = self.peer_by_id(hop.peer);
            let source = self.leaks.sources.get(&hop.peer);
            let ifindex = match source {
                Some(source) => source.ifindex,
                None => peer.and_then(|p| p.shared_ifindex()),
            };
            let here = self.realm.resolve_table();
            fib::NextHop {
                weight: hop.weight,
                table: hop.elsewhere.filter(|table| *table != here),
                ..gateway(hop.next_hop, ifindex)
            }
        });
        fib::Route {
            metric: distance(match route.kind {
                FibKind::Ebgp => PeerKind::External,
                FibKind::Ibgp | FibKind::Aggregate => PeerKind::Internal,
            }),
            kind: match route.kind {
                FibKind::Aggregate => fib::RouteKind::Blackhole,
                _ => fib::RouteKind::Unicast(hops.collect()),
            },
            prefsrc: None,
            resilient: resilient(&self.config, family),
        }
    }

    // ===== time =====

    fn next_deadline(&self) -> Option<Instant> {
        let stale = self.stale.first().map(|(at, ..)| *at);
        stale
            .into_iter()
            .chain(self.restart.as_ref().map(Restarting::look_again))
            .chain(self.empty_until)
            .chain(self.watchers.again)
            .chain(self.exports.deadline())
            .chain(self.fib_pace.due)
            .chain(self.export_pace.due)
            .chain(self.rest_at)
            .chain(self.dampening_deadline())
            .chain(self.conditions.due())
            .min()
    }

    fn deadlines(&mut self) {
        let now = Instant::now();
        while let Some((at, id, timer)) = self.stale.first().copied() {
            if at > now {
                break;
            }
            self.stale.pop_first();
            self.stale_expired(id, timer);
        }
        if self.empty_until.is_some_and(|at| at <= now) {
            self.empty_until = None;
            self.apply_peers();
        }
        if self.rest_at.is_some_and(|at| at <= now) {
            self.rest_at = None;
            self.rib.rest();
        }
    }

    // ===== the end =====

    async fn stop(&mut self, graceful: bool, lanes: &mut Lanes) {
        for peer in self.peers.values() {
            self.unregister(peer);
        }
        let mut ends = std::mem::take(&mut self.leaving);
        ends.extend(self.peers.values().map(|p| p.quit(graceful)));
        if !graceful {
            self.switches.restore();
        }
        let in_flight = self.in_flight.take();
        let fib = self.fib.clone();
        let end = async {
            for end in ends {
                let _ = end.await;
            }
            if let Some(in_flight) = in_flight {
                let _ = tokio::time::timeout(STOP_TIMEOUT, in_flight).await;
            }
            let _ = fib
                .shutdown(if graceful {
                    fib::OnShutdown::Leave
                } else {
                    fib::OnShutdown::Withdraw
                })
                .await;
        };
        tokio::pin!(end);
        // Last reports of the sessions and the FIB must find room meanwhile.
        loop {
            tokio::select! {
                () = &mut end => break,
                _ = lanes.reports.recv() => {}
                Some(_) = lanes.leaks.recv() => {}
                Some(_) = lanes.fib.recv() => {}
            }
        }
    }

    // ===== the host =====

    /// Addresses or interfaces changed.
    fn view_changed(&mut self) {
        let view = self.view();
        self.links_changed(&view);
        self.complete_links(&view);
        let mut addresses: Vec<IpAddr> = view.local_addresses().collect();
        addresses.sort_unstable();
        addresses.dedup();
        self.rib.set_local_addresses(&addresses);
        self.addresses = addresses;
        self.host_changed();
    }

    /// Tells a view of links, as the FIB tells the default instance.
    fn links_changed(&mut self, view: &Arc<KernelView>) {
        let Some(before) = self.links.as_mut() else {
            return;
        };
        let before = std::mem::replace(before, Arc::clone(view));
        for old in before.interfaces() {
            let gone = view.interface(old.ifindex).is_none_or(|new| !new.up);
            if old.up && gone {
                self.interface_down(old.ifindex);
            }
        }
        for new in view.interfaces().iter().filter(|new| new.up) {
            if before.interface(new.ifindex) != Some(new) {
                self.interface_up(new);
            }
        }
    }

    /// The interfaces and addresses that are this instance's.
    pub(super) fn view(&self) -> Arc<KernelView> {
        let view = self.host.view();
        match self.realm {
            // With -n there is nothing to take apart.
            _ if !view.has_vrfs() => view,
            _ => Arc::new(view.of_vrf(self.realm.device().map(|device| device.ifindex))),
        }
    }

    /// The identifier in force: the configured one, else the highest address of
    /// a loopback, else the highest of all (as FRR chooses).
    pub(super) fn router_id(&self) -> Ipv4Addr {
        let configured = self.config.bgp.as_ref().and_then(|bgp| bgp.router_id);
        configured.unwrap_or_else(|| {
            let view = self.view();
            let highest = |loopback: bool| {
                view.interfaces()
                    .iter()
                    .filter(|i| i.loopback == loopback && i.admin_up)
                    .flat_map(|i| &i.addresses)
                    .filter_map(|a| match a.net.addr() {
                        IpAddr::V4(addr) if !addr.is_loopback() => Some(addr),
                        _ => None,
                    })
                    .max()
            };
            highest(true)
                .or_else(|| highest(false))
                .unwrap_or(Ipv4Addr::UNSPECIFIED)
        })
    }

    pub(super) fn peer_by_id(&self, id: PeerId) -> Option<&Peer> {
        self.peers.get(self.ids.get(&id)?)
    }
}

/// Where packets to a next hop go, the link known that is shared with its peer.
fn gateway(next_hop: NextHop, ifindex: Option<u32>) -> fib::NextHop {
    match (next_hop, ifindex) {
        // On a shared link the link-local address is the one that is always
        // there (RFC 2545 section 3).
        (
            NextHop::V6 {
                link_local: Some(address),
                ..
            },
            Some(ifindex),
        ) => fib::NextHop::on_interface(address.into(), ifindex),
        (next_hop, Some(ifindex)) if is_link_local(next_hop.addr()) => {
            fib::NextHop::on_interface(next_hop.addr(), ifindex)
        }
        (next_hop, _) => fib::NextHop::new(next_hop.addr()),
    }
}

/// Octets of the prefixes in a report.
fn size_of(report: &Report) -> usize {
    match report {
        Report::Updates { octets, .. } => *octets,
        _ => 0,
    }
}

fn family_of(prefix: IpNet) -> ConfigFamily {
    match prefix {
        IpNet::V4(_) => ConfigFamily::Ipv4Unicast,
        IpNet::V6(_) => ConfigFamily::Ipv6Unicast,
    }
}

/// The route of our own table that reaches a next hop, if it is one.
fn through(found: &fib::Resolution) -> Option<Through> {
    let otherwise = found.otherwise.as_ref();
    found.through_own.then_some(Through {
        prefix: found.via?,
        otherwise: otherwise.map(|other| (other.metric, other.connected)),
    })
}

/// The administrative distance of a peer's routes.
pub(super) const fn distance(kind: PeerKind) -> u32 {
    match kind {
        PeerKind::External => DISTANCE_EBGP,
        PeerKind::Internal | PeerKind::Confederation => DISTANCE_IBGP,
    }
}

/// Routes that did not get into the kernel: a line for many, because a link
/// that goes down takes a whole table along.
#[derive(Debug, Default)]
struct Failures {
    count: usize,
    first: Option<(IpNet, fib::RouteError)>,
}

impl Failures {
    fn add(&mut self, prefix: IpNet, error: fib::RouteError) {
        tracing::debug!(%prefix, %error, "route not in the kernel");
        self.count += 1;
        self.first.get_or_insert((prefix, error));
    }

    fn log(self) {
        if let Some((prefix, error)) = self.first {
            tracing::warn!(count = self.count, first = %prefix, %error, "routes not in the kernel");
        }
    }
}

/// Whether packets to the address need an interface beside it.
pub(super) fn is_link_local(addr: IpAddr) -> bool {
    matches!(addr, IpAddr::V6(addr) if addr.is_unicast_link_local())
}

async fn poll_in_flight(in_flight: &mut Option<InFlight>) -> Result<(), FibError> {
    match in_flight {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// Why the core did not do as asked.
pub(super) type Answer<T> = oneshot::Sender<Result<T, SpeakerError>>;
