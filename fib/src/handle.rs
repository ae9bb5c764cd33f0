//! The crate's face: options, events, and the handle that talks to the task.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use tokio::sync::{mpsc, oneshot, watch};

use crate::route::{KernelRoute, Resolution, Route};
use crate::statics::{StaticRoute, StaticStatus};
use crate::view::{Interface, KernelView};

/// `RT_TABLE_MAIN`.
pub const MAIN_TABLE: u32 = 254;

/// Commands that may wait before the sender has to. Each may carry many routes.
const COMMAND_QUEUE: usize = 64;
/// Events that may wait before they begin to be merged inside of the task.
const EVENT_QUEUE: usize = 1024;

/// Whether there is a kernel to write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kernel {
    /// Write routes and follow the kernel's links, addresses and routes.
    #[default]
    On,
    /// Open no socket at all. Every next hop resolves as connected with metric 0, every route
    /// counts as installed at once, and the view is empty.
    Off,
}

/// What happens to routes of an earlier run that are found at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stale {
    /// Delete them at once: nothing restarts gracefully.
    #[default]
    Sweep,
    /// Keep forwarding by them until [`FibHandle::sweep_stale`] or until this much time has
    /// passed, whichever comes first. One that is applied again meanwhile is adopted without a
    /// write when nothing about it changed.
    Keep(Duration),
}

/// What becomes of the routes when the task ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnShutdown {
    /// Delete every route of ours.
    Withdraw,
    /// Leave them for the next run, as for a graceful restart.
    Leave,
}

/// How to [`spawn`] the FIB.
#[derive(Debug, Clone)]
pub struct FibOptions {
    /// With a kernel, or without.
    pub kernel: Kernel,
    /// The table written to.
    pub table: u32,
    /// The table next hops are resolved in, and that is redistributed from.
    pub resolve_table: u32,
    /// The number of the VRF device whose interfaces and addresses count, all others being
    /// elsewhere; without one, those in no VRF count.
    pub vrf: Option<u32>,
    /// A network namespace by name (as under `/run/netns`) or by path; `None` is the caller's.
    pub netns: Option<String>,
    /// What to do with routes of an earlier run.
    pub stale: Stale,
    /// Whether next hops resolve through default routes.
    pub resolve_via_default: ViaDefault,
    /// Whether to report [`Event::RouteInstalled`] and [`Event::RouteRemoved`]. Failures are
    /// reported anyway.
    pub route_events: bool,
    /// Receive buffer of the monitoring socket in bytes.
    pub monitor_buffer: usize,
    /// Whether next hops are written as nexthop objects that routes share, where the kernel has
    /// them (5.3 and later). Without, each route names its own (`RTA_MULTIPATH`).
    pub objects: bool,
    /// Which block of numbers the objects have, below [`OBJECT_BLOCKS`](crate::OBJECT_BLOCKS);
    /// `None` is that of the table ([`object_block`](crate::object_block)).
    pub object_block: Option<u32>,
}

impl Default for FibOptions {
    fn default() -> Self {
        Self {
            kernel: Kernel::On,
            table: MAIN_TABLE,
            resolve_table: MAIN_TABLE,
            vrf: None,
            netns: None,
            stale: Stale::Sweep,
            resolve_via_default: ViaDefault::default(),
            route_events: true,
            monitor_buffer: 16 << 20,
            objects: true,
            object_block: None,
        }
    }
}

/// Whether a default route is good enough to resolve a next hop
/// (`ip nht resolve-via-default`, `ipv6 nht resolve-via-default`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ViaDefault {
    /// An IPv4 next hop.
    pub v4: bool,
    /// An IPv6 next hop.
    pub v6: bool,
}

impl ViaDefault {
    pub(crate) fn of(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => self.v4,
            IpAddr::V6(_) => self.v6,
        }
    }
}

/// A next hop to follow: its address, and the interface for a link-local one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackKey {
    /// The next hop.
    pub address: IpAddr,
    /// The interface, needed for link-local addresses.
    pub ifindex: Option<u32>,
}

impl From<IpAddr> for TrackKey {
    fn from(address: IpAddr) -> Self {
        Self {
            address,
            ifindex: None,
        }
    }
}

/// Where a route that may be redistributed comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The subnet of an address on an interface that is up; no host-local or link-local ones.
    Connected,
    /// A static route of ours that is in use, or `proto static`.
    Static,
    /// `proto kernel` or `proto boot`, when it is not the subnet of an address.
    Kernel,
    /// A route of another table that is [followed](FibHandle::follow_tables), by its number.
    Table(u32),
}

impl Source {
    /// The first and the last in order.
    pub(crate) const MIN: Self = Self::Connected;
    pub(crate) const MAX: Self = Self::Table(u32::MAX);
}

/// Why a route is not in the kernel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Someone else's route has the same prefix and metric, and is left alone; or the prefix is
    /// the subnet of a link.
    #[error("a route of another origin has this prefix and metric, or it is a link's subnet")]
    Foreign,
    /// The kernel has it, but also a route of another origin with a lower metric, and forwards
    /// by that one.
    #[error("a route of another origin has this prefix and a lower metric")]
    Hidden,
    /// None of the next hops resolves.
    #[error("no next hop resolves")]
    Unresolved,
    /// The kernel refused it; it is tried again later.
    #[error("the kernel refused it: {0}")]
    Kernel(nix::errno::Errno),
}

/// What the FIB has to say.
///
/// Events wait in a queue inside of the task when the receiver is slow, where a newer event
/// about the same thing takes the place of the older one. Nothing is lost but intermediate
/// states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The resolution of a tracked next hop is known, or has changed. `None`: not reachable.
    NextHopChanged {
        /// What was passed to [`FibHandle::track`].
        key: TrackKey,
        /// How it is reached now.
        resolution: Option<Arc<Resolution>>,
    },
    /// The kernel has the route in its present form.
    RouteInstalled {
        /// Its prefix.
        prefix: IpNet,
        /// How many [`apply`](FibHandle::apply) had been taken in by then: what was applied
        /// later is not known yet.
        taken: u64,
    },
    /// The route is wanted and not in the kernel.
    RouteFailed {
        /// Its prefix.
        prefix: IpNet,
        /// The reason.
        error: RouteError,
        /// As with [`RouteInstalled`](Self::RouteInstalled).
        taken: u64,
    },
    /// The kernel no longer has a route of ours for this prefix, as asked for.
    RouteRemoved(IpNet),
    /// A route of the kernel that `redistribute` may take appeared, changed or went.
    KernelRoute {
        /// Its prefix.
        prefix: IpNet,
        /// Its origin.
        source: Source,
        /// Its metric while it exists, `None` when it went.
        metric: Option<u32>,
        /// Its first router, unless that is a link-local address.
        next_hop: Option<IpAddr>,
        /// The interface of its first next hop.
        ifindex: Option<u32>,
    },
    /// An interface appeared or changed. Compare [`Interface::up`] and the addresses with what
    /// was known before. The [view](FibHandle::view) has it already.
    InterfaceChanged(Box<Interface>),
    /// An interface went.
    InterfaceRemoved {
        /// Its number.
        ifindex: u32,
        /// Its last name.
        name: String,
    },
}

/// One row of [`FibHandle::routes`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteStatus {
    /// The prefix.
    pub prefix: IpNet,
    /// As asked for; `None` for a route of an earlier run that is kept for now.
    pub route: Option<Arc<Route>>,
    /// What it is resolved to; `None` while no next hop resolves.
    pub resolved: Option<Arc<KernelRoute>>,
    /// The nexthop object that stands for its next hops in the kernel (`RTA_NH_ID`).
    pub object: Option<u32>,
    /// Whether the kernel has it in this form.
    pub installed: bool,
    /// When it was last asked for in a new form, or installed.
    pub since: Instant,
    /// Why it is not installed, when that is known.
    pub error: Option<RouteError>,
}

/// One row of [`FibHandle::others`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherRoute {
    /// The prefix.
    pub prefix: IpNet,
    /// With all its next hops.
    pub route: KernelRoute,
    /// The subnet of an interface's address, as the kernel puts it there.
    pub connected: bool,
    /// It has a next hop on an interface that is up, or needs none.
    pub active: bool,
}

/// What the FIB has done since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Routes written or deleted, refused ones included.
    pub operations: u64,
    /// Of these, refused by the kernel.
    pub refused: u64,
    /// Notifications read.
    pub notifications: u64,
    /// Times the kernel's tables were read anew after the start, since notifications were lost.
    pub resyncs: u64,
}

/// An address family, to choose a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// The FIB could not be started.
#[derive(Debug, thiserror::Error)]
pub enum FibError {
    /// A socket call failed; `what` says which.
    #[error("{what}: {source}")]
    Socket {
        /// The step that failed.
        what: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// The kernel answered a dump with an error.
    #[error("the kernel refused to list its {what}: {source}")]
    Dump {
        /// What was asked for.
        what: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// The task has ended.
    #[error("the FIB task has ended")]
    Closed,
}

/// Routes to set (`Some`) or to withdraw (`None`).
pub type Changes = Vec<(IpNet, Option<Arc<Route>>)>;

/// What the handle sends to the task.
#[derive(Debug)]
pub(crate) enum Command {
    Apply(Changes),
    Track(Vec<TrackKey>),
    Untrack(Vec<TrackKey>),
    ResolveViaDefault(ViaDefault),
    UseObjects(bool),
    Resolve(Vec<TrackKey>, oneshot::Sender<Vec<Option<Arc<Resolution>>>>),
    Resume(Vec<TrackKey>),
    SetStatics(Vec<StaticRoute>),
    FollowTables(BTreeSet<u32>),
    SweepStale,
    Statics(oneshot::Sender<Vec<StaticStatus>>),
    Others(Family, oneshot::Sender<Vec<OtherRoute>>),
    Routes(Family, oneshot::Sender<Vec<RouteStatus>>),
    Statistics(oneshot::Sender<Statistics>),
    Settled(oneshot::Sender<()>),
    Shutdown(OnShutdown, oneshot::Sender<()>),
}

/// Talks to the FIB's task; cheap to clone. When the last handle is dropped the task ends and
/// leaves the routes in place.
#[derive(Debug, Clone)]
pub struct FibHandle {
    commands: mpsc::Sender<Command>,
    /// What goes before commands. As long as there are next hops, not as long as there are routes.
    urgent: mpsc::UnboundedSender<Command>,
    suspended: watch::Sender<BTreeSet<TrackKey>>,
    view: watch::Receiver<Arc<KernelView>>,
    max_weight: u16,
    report: Arc<AtomicBool>,
}

impl FibHandle {
    async fn send(&self, command: Command) -> Result<(), FibError> {
        self.commands
            .send(command)
            .await
            .map_err(|_| FibError::Closed)
    }

    fn send_urgent(&self, command: Command) -> Result<(), FibError> {
        self.urgent.send(command).map_err(|_| FibError::Closed)
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, FibError> {
        let (tx, rx) = oneshot::channel();
        self.send(command(tx)).await?;
        rx.await.map_err(|_| FibError::Closed)
    }

    /// Sets and withdraws routes. The last word on a prefix wins, and is answered by
    /// [`Event::RouteInstalled`], [`Event::RouteFailed`] or [`Event::RouteRemoved`], though it
    /// may be the same as before. Waits while the task is busy,
    /// so that memory stays bounded; returns before the kernel has them.
    ///
    /// # Errors
    /// [`FibError::Closed`] when the task has ended, as for every method here.
    pub async fn apply(&self, changes: Changes) -> Result<(), FibError> {
        self.send(Command::Apply(changes)).await
    }

    /// Follows next hops: answers each with [`Event::NextHopChanged`] at once, before what waits
    /// in the queue, and again whenever it changes. Tracking counts: a next hop tracked twice is
    /// dropped after two [`untrack`](Self::untrack).
    ///
    /// # Errors
    /// [`FibError::Closed`].
    pub fn track(&self, next_hops: Vec<TrackKey>) -> Result<(), FibError> {
        self.send_urgent(Command::Track(next_hops))
    }

    /// Stops following next hops.
    ///
    /// # Errors
    /// [`FibError::Closed`].
    pub fn untrack(&self, next_hops: Vec<TrackKey>) -> Result<(), FibError> {
        self.send_urgent(Command::Untrack(next_hops))
    }

    /// How each of these next hops is reached now, tracked or not; `None` where it is not.
    ///
    /// # Errors
    /// [`FibError::Closed`].
    pub async fn resolve(
        &self,
        next_hops: Vec<TrackKey>,
    ) -> Result<Vec<Option<Arc<Resolution>>>, FibError> {
        self.ask(|tx| Command::Resolve(next_hops, tx)).await
    }

    /// Changes [`FibOptions::resolve_via_default`] while running.
    ///
    /// # Errors
    /// [`FibError::Closed`].
    pub async fn resolve_via_default(&self, which: ViaDefault) -> Result<(), FibError> {
        self.send(Command::ResolveViaDefault(which)).await
    }

    /// Changes [`FibOptions::objects`] while running. Routes are written anew, none is missing
    /// meanwhile. [`max_weight`](Self::max_weight) stays what it was at the start.
    ///
    /// # Errors
    /// [`FibError::Closed`].
    pub async fn use_objects(&self, yes: bool) -> Result<(), FibError> {
        self.send(Command::UseObjects(yes)).await
    }

    /// Stops using these next hops for routes that have others: their routers are on their way
    /// out, and the routes that say so will follow. Takes effect before anything that waits in
    /// the queue, with one message to the kernel for each next hop, however many routes use it.
    /// A next hop without an interface stands for all.
    pub fn suspend(&self, next_hops: impl IntoIterator<Item = TrackKey>) {
        self.suspended.send_modify(|all| all.extend(next_hops));
    }

    /// Ends [`suspend`](Self::suspend), once all that was applied before has been taken in.
    ///
    /// # Errors
    /// [`FibError::Closed`].
    pub async fn resume(&self, next_hops: Vec<TrackKey>) -> Result<(), FibError> {
        self.send(Command::Resume(next_hops)).await
    }

    /// Wants these static routes and no others. They are written with a protocol of their own
    /// (`proto 196`, as FRR's) and resolved through routes of others and each other.
    ///
    /// From the first one on, all routes of that protocol in its table are ours: what an earlier
    /// run left is adopted or deleted.
    ///
    /// # Errors
    /// [`FibError::Closed`].
    pub async fn set_statics(&self, routes: Vec<StaticRoute>) -> Result<(), FibError> {
        self.send(Command::SetStatics(routes)).await
    }

    /// The static routes of [`FibOptions::table`], sorted by prefix and metric.
    ///
    /// # Errors
    /// [`FibError::Closed`].
    pub async fn statics(&self) -> Result<Vec<StaticStatus>, FibError> {
        let mut rows = self.ask(Command::Statics).await?;
        rows.sort_by_key(|row| (row.route.prefix, row.route.metric));
        Ok(rows)
    }

    /// Routes of others in the table that next hops are resolved in, without link-local ones,
    /// sorted by prefix and metric.
    ///
    /// # Errors
    /// [`FibError::Closed`].
    pub async fn others(&self, family: Family) -> Result<Vec<OtherRoute>, FibError> {
        let mut rows = self.ask(|tx| Command::Others(family, tx)).await?;
        rows.sort_by_key(|row| (row.prefix, row.route.metric));
        Ok(rows)
    }

    /// Tells of the routes in these tables, and in no others, as [`Source::Table`]. The table
    /// that next hops are resolved in is told of anyway, with other sources.
    ///
    /// # Errors
    /// [`FibError::Closed`].
    pub async fn follow_tables(&self, tables: BTreeSet<u32>) -> Result<(), FibError> {
        self.send(Command::FollowTables(tables)).await
    }

    /// Changes [`FibOptions::route_events`] while running: counts for what is applied from now on.
    /// A failure that was reported is followed by its end anyway.
    pub fn report_routes(&self, yes: bool) {
        self.report.store(yes, Ordering::Release);
    }

    /// Deletes the routes of an earlier run that were not applied again: the initial
    /// convergence is over.
    ///
    /// # Errors
    /// [`FibError::Closed`].
    pub async fn sweep_stale(&self) -> Result<(), FibError> {
        self.send(Command::SweepStale).await
    }

    /// All routes of a family, sorted by prefix. The task only copies; sorting is done here.
    ///
    /// # Errors
    /// [`FibError::Closed`].
    pub async fn routes(&self, family: Family) -> Result<Vec<RouteStatus>, FibError> {
        let mut routes = self.ask(|tx| Command::Routes(family, tx)).await?;
        routes.sort_unstable_by_key(|r| r.prefix);
        Ok(routes)
    }

    /// What was done so far.
    ///
    /// # Errors
    /// [`FibError::Closed`].
    pub async fn statistics(&self) -> Result<Statistics, FibError> {
        self.ask(Command::Statistics).await
    }

    /// Waits until all that was applied before has been written, or has failed.
    ///
    /// # Errors
    /// [`FibError::Closed`].
    pub async fn settled(&self) -> Result<(), FibError> {
        self.ask(Command::Settled).await
    }

    /// Ends the task; returns when the routes are dealt with as `how` says.
    ///
    /// # Errors
    /// [`FibError::Closed`].
    pub async fn shutdown(&self, how: OnShutdown) -> Result<(), FibError> {
        self.ask(|tx| Command::Shutdown(how, tx)).await
    }

    /// The largest weight that the kernel takes: 65535 in groups of nexthop objects since Linux
    /// 6.12, 256 elsewhere. Larger ones are scaled, as near to their ratio as that allows.
    #[must_use]
    pub fn max_weight(&self) -> u16 {
        self.max_weight
    }

    /// The newest picture of interfaces and addresses. Complete as soon as [`spawn`] returns.
    #[must_use]
    pub fn view(&self) -> Arc<KernelView> {
        self.view.borrow().clone()
    }

    /// A receiver that wakes up when interfaces or addresses change.
    #[must_use]
    pub fn watch_view(&self) -> watch::Receiver<Arc<KernelView>> {
        self.view.clone()
    }
}

/// The task's ends of the channels.
pub(crate) struct Channels {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) urgent: mpsc::UnboundedReceiver<Command>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) view: watch::Sender<Arc<KernelView>>,
    /// Next hops that are suspended. Read here, and shortened on [`Command::Resume`].
    pub(crate) suspended: watch::Sender<BTreeSet<TrackKey>>,
    /// Whether routes that were installed or removed are reported.
    pub(crate) report: Arc<AtomicBool>,
}

/// Starts the FIB, on a thread of its own where it has a kernel. When it returns, links,
/// addresses and routes have been read, and the view is complete; [`Event::InterfaceChanged`]
/// and [`Event::KernelRoute`] for what there is come first on the channel.
///
/// # Errors
/// [`FibError::Socket`] without the right to open the sockets or to enter the namespace,
/// [`FibError::Dump`] when the kernel does not answer.
pub async fn spawn(options: FibOptions) -> Result<(FibHandle, mpsc::Receiver<Event>), FibError> {
    let (command_tx, commands) = mpsc::channel(COMMAND_QUEUE);
    let (urgent_tx, urgent) = mpsc::unbounded_channel();
    let (events, event_rx) = mpsc::channel(EVENT_QUEUE);
    let (view, view_rx) = watch::channel(Arc::new(KernelView::default()));
    let suspended = watch::Sender::new(BTreeSet::new());
    let report = Arc::new(AtomicBool::new(options.route_events));
    let max_weight = crate::task::start(
        options,
        Channels {
            commands,
            urgent,
            events,
            view,
            suspended: suspended.clone(),
            report: report.clone(),
        },
    )
    .await?;
    Ok((
        FibHandle {
            commands: command_tx,
            urgent: urgent_tx,
            suspended,
            view: view_rx,
            max_weight,
            report,
        },
        event_rx,
    ))
}
