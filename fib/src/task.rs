//! The one task that owns all state.
//!
//! ```text
//!  handle --commands--> task <--notifications-- monitor socket
//!  handle <---events--- task ------writes-----> request socket
//!  handle <----view-----
//! ```
//!
//! Each turn of its loop: listen until the kernel has said all, digest what that means for next
//! hops, write nexthop objects and then a batch of routes per family, and listen again. What was
//! written is known from the answers; the notifications are about what others do, and about what
//! the kernel does by itself. Whatever they touch of ours is looked at again, so it does not
//! matter whether it happened before or after a write.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ipnet::IpNet;
use nix::errno::Errno;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use crate::codec::{Dump, Notice, PROTOCOL_BGP, RouteNotice};
use crate::family::Prefix;
use crate::handle::{
    Changes, Channels, Command, Event, FibError, FibOptions, Kernel, OnShutdown, Source, Stale,
    Statistics, TrackKey,
};
use crate::kernel::{Effects, ForeignTables, Mirror, Redistribution};
use crate::netlink::{self, Heard, Monitor, RequestError, Requests};
use crate::object::ObjectTable;
use crate::outbox::Outbox;
use crate::reconcile::{Reconciler, Seconds};
use crate::resolve::{Always, ByMirror, Resolve};
use crate::route::Resolution;
use crate::sets::Sets;
use crate::tables::Tables;
use crate::view::KernelView;

/// Operations in one write.
const BATCH: usize = 256;
/// Notifications taken in before anything else gets a turn.
const EARFUL: usize = 4096;
/// Commands taken in one turn.
const COMMANDS: usize = 64;
/// First and longest pause before the kernel is asked again for what it refused.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Least time between the ends of one full dump and the start of the next.
const RESYNC_PAUSE: Duration = Duration::from_millis(100);

/// The sockets; absent when running without a kernel.
struct Io {
    requests: Requests,
    monitor: Monitor,
    /// The kernel has nexthop objects.
    objects: bool,
}

/// A next hop someone follows.
struct Tracked {
    users: u32,
    resolution: Option<Arc<Resolution>>,
}

/// Our routes, and the part of the kernel's state they depend on. Apart from the sockets, so
/// that a dump may fill it while they are in use.
struct State {
    table: u32,
    resolve_table: u32,
    via_default: bool,
    kernel: Kernel,
    mirror: Mirror,
    /// Routes of others in our table, when next hops are resolved in another one.
    neighbours: ForeignTables,
    tables: Tables,
    effects: Effects,
}

/// What was known before a dump.
struct Before {
    objects: ObjectTable,
    mirror: Mirror,
    neighbours: ForeignTables,
}

struct Task {
    state: State,
    io: Option<Io>,
    commands: mpsc::Receiver<Command>,
    outbox: Outbox,
    view: watch::Sender<Arc<KernelView>>,
    /// Next hops not to be used, as the handles say; and whether they said more since.
    suspended: watch::Sender<BTreeSet<TrackKey>>,
    suspensions: watch::Receiver<BTreeSet<TrackKey>>,
    /// Whether routes that were installed or removed are reported.
    report: Arc<AtomicBool>,
    tracked: BTreeMap<TrackKey, Tracked>,
    redistributed: BTreeMap<(IpNet, Source), u32>,
    waiting: Vec<oneshot::Sender<()>>,
    started: Instant,
    timers: Timers,
    /// Batches of changes taken in.
    taken: u64,
    statistics: Statistics,
}

/// Points in time at which something is due.
struct Timers {
    sweep: Option<Instant>,
    retry: Option<Instant>,
    backoff: Duration,
    resync: Option<Instant>,
    last_resync: Instant,
}

/// Why the task woke up.
#[derive(Debug, PartialEq, Eq)]
enum Wake {
    /// There is something to do.
    Work,
    /// All handles are gone.
    Orphaned,
}

/// Opens the sockets, reads the kernel's state and starts the task.
///
/// With a kernel the task has a thread and a runtime of its own: it spends most of its time in
/// system calls, and a busy runtime must not make a lost next hop wait for its turn. Nor must
/// sessions wait with their KEEPALIVEs when others write more routes than can be listened to.
pub(crate) async fn start(options: FibOptions, channels: Channels) -> Result<(), FibError> {
    if options.kernel == Kernel::Off {
        let mut task = Task::new(&options, channels, None);
        task.first_dump().await?;
        tokio::spawn(task.run());
        return Ok(());
    }
    let (ready, started) = oneshot::channel();
    let thread = std::thread::Builder::new().name("fib".to_owned());
    let spawned = thread.spawn(move || run_here(&options, channels, ready));
    spawned.map_err(|source| FibError::Socket {
        what: "start a thread",
        source,
    })?;
    started.await.unwrap_or(Err(FibError::Closed))
}

/// The life of the thread. `ready` is told how the start went.
fn run_here(
    options: &FibOptions,
    channels: Channels,
    ready: oneshot::Sender<Result<(), FibError>>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(source) => {
            let what = "start a runtime";
            let _ = ready.send(Err(FibError::Socket { what, source }));
            return;
        }
    };
    runtime.block_on(async move {
        let begun = async {
            let io = connect(options).await?;
            let mut task = Task::new(options, channels, Some(io));
            task.first_dump().await?;
            Ok(task)
        };
        match begun.await {
            Ok(task) => {
                let _ = ready.send(Ok(()));
                task.run().await;
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    });
}

async fn connect(options: &FibOptions) -> Result<Io, FibError> {
    let raw = netlink::open(options.netns.clone(), options.monitor_buffer).await?;
    let objects = raw.objects;
    let (requests, monitor) = netlink::register(raw).map_err(|source| FibError::Socket {
        what: "register the sockets",
        source,
    })?;
    Ok(Io {
        requests,
        monitor,
        objects,
    })
}

// ===== impl State =====

impl State {
    /// Takes in one notification.
    fn hear(&mut self, notice: Notice) {
        let vanished = matches!(&notice, Notice::Nexthop(object) if object.gone);
        match notice {
            Notice::Route(route) => self.hear_route(route),
            Notice::Nexthop(object) if self.tables.sets.objects.is_ours(object.id) => {
                self.tables.object(&object)
            }
            notice => self.mirror.update(&notice, &mut self.effects),
        }
        // At once, since the next notification may be about a route that came after the loss.
        let losses = std::mem::take(&mut self.effects.losses);
        for &loss in &losses {
            self.tables.lose(loss);
            self.neighbours.lose(loss);
        }
        // Of others' routes that went with it the kernel says as little.
        if !losses.is_empty() || vanished {
            self.restore_foreign();
        }
    }

    fn hear_route(&mut self, notice: RouteNotice) {
        let ours = notice.protocol == PROTOCOL_BGP;
        let (prefix, metric) = (notice.prefix, notice.route.metric);
        if !ours && notice.table == self.resolve_table {
            self.mirror.routes.update(&notice);
            self.effects.touch(prefix, notice.protocol);
        }
        if notice.table != self.table {
            return;
        }
        if !ours && self.table != self.resolve_table {
            self.neighbours.update(&notice);
        }
        let over = notice.replaced && !notice.gone;
        if !ours {
            let present = self.others_here().has(prefix, metric);
            self.tables.set_foreign(prefix, metric, present, over);
            return;
        }
        if over && self.others_here().has(prefix, metric) {
            self.others_here().overwritten(prefix, metric);
            self.effects.touch_all();
            self.tables.set_foreign(prefix, metric, false, false);
        }
        self.tables.own(notice);
    }

    /// Routes of others in the table we write to.
    fn others_here(&mut self) -> &mut ForeignTables {
        if self.table == self.resolve_table {
            &mut self.mirror.routes
        } else {
            &mut self.neighbours
        }
    }

    /// A full dump is about to begin. Returns what was known before.
    fn begin_dump(&mut self) -> Before {
        Before {
            objects: self.tables.begin_dump(),
            mirror: std::mem::take(&mut self.mirror),
            neighbours: std::mem::take(&mut self.neighbours),
        }
    }

    /// The dump is complete; `old` is what was known before.
    fn end_dump(&mut self, old: &Mirror) {
        self.effects = old.effects_of(&self.mirror);
        self.restore_foreign();
        self.tables.end_dump();
    }

    /// The dump broke off. Half a picture is worse than an old one.
    fn abort_dump(&mut self, old: Before) {
        self.tables.abort_dump(old.objects);
        self.mirror = old.mirror;
        self.neighbours = old.neighbours;
        self.restore_foreign();
    }

    fn restore_foreign(&mut self) {
        let others = match self.table == self.resolve_table {
            true => &self.mirror.routes,
            false => &self.neighbours,
        };
        self.tables.restore_foreign(others);
    }

    /// One message of a dump.
    fn hear_dump(&mut self, notice: Notice) {
        match notice {
            Notice::Nexthop(object) if self.tables.sets.objects.is_ours(object.id) => {
                self.tables.object(&object)
            }
            Notice::Route(route) if route.protocol == PROTOCOL_BGP => {
                if route.table == self.table {
                    self.tables.own(route);
                }
            }
            Notice::Route(route) => {
                if route.table == self.resolve_table {
                    self.mirror.routes.update(&route);
                } else if route.table == self.table {
                    self.neighbours.update(&route);
                }
            }
            notice => self.mirror.update(&notice, &mut Effects::default()),
        }
    }

    fn resolve(&self, key: TrackKey) -> Option<Arc<Resolution>> {
        let resolver = ByMirror {
            mirror: &self.mirror,
            via_default: self.via_default,
        };
        let found = match self.kernel {
            Kernel::On => resolver.resolve(key, false),
            Kernel::Off => Always.resolve(key, false),
        };
        found.map(Arc::new)
    }

    fn apply(&mut self, changes: Changes, now: Seconds) {
        let resolver = ByMirror {
            mirror: &self.mirror,
            via_default: self.via_default,
        };
        for (prefix, route) in changes {
            match self.kernel {
                Kernel::On => self.tables.desire(prefix, route.as_ref(), now, &resolver),
                Kernel::Off => self.tables.desire(prefix, route.as_ref(), now, &Always),
            }
        }
    }

    fn re_resolve(&mut self) {
        if self.kernel == Kernel::On {
            let resolver = ByMirror {
                mirror: &self.mirror,
                via_default: self.via_default,
            };
            self.tables.re_resolve(&resolver);
        }
    }

    /// Tries again what the kernel refused.
    fn retry(&mut self) {
        if self.kernel == Kernel::On {
            let resolver = ByMirror {
                mirror: &self.mirror,
                via_default: self.via_default,
            };
            self.tables.retry(&resolver);
        }
    }
}

// ===== impl Task =====

impl Task {
    fn new(options: &FibOptions, channels: Channels, io: Option<Io>) -> Self {
        let now = Instant::now();
        let keep = options.stale != Stale::Sweep;
        let objects = options.objects && io.as_ref().is_some_and(|io| io.objects);
        Self {
            state: State {
                table: options.table,
                resolve_table: options.resolve_table,
                via_default: options.resolve_via_default,
                kernel: options.kernel,
                mirror: Mirror::default(),
                neighbours: ForeignTables::default(),
                tables: Tables::new(options.table, keep, objects),
                effects: Effects::default(),
            },
            io,
            commands: channels.commands,
            outbox: Outbox::new(channels.events),
            view: channels.view,
            suspensions: channels.suspended.subscribe(),
            suspended: channels.suspended,
            report: channels.report,
            tracked: BTreeMap::new(),
            redistributed: BTreeMap::new(),
            waiting: Vec::new(),
            started: now,
            timers: Timers {
                sweep: match options.stale {
                    Stale::Sweep => None,
                    Stale::Keep(time) => Some(now + time),
                },
                retry: None,
                backoff: RETRY.0,
                resync: None,
                last_resync: now,
            },
            taken: 0,
            statistics: Statistics::default(),
        }
    }

    async fn first_dump(&mut self) -> Result<(), FibError> {
        if self.io.is_none() {
            let view = KernelView {
                assume_connected: true,
                ..KernelView::default()
            };
            self.view.send_replace(Arc::new(view));
            return Ok(());
        }
        self.resync().await?;
        self.digest();
        Ok(())
    }

    async fn run(mut self) {
        let mut inbox = Vec::new();
        loop {
            let busy = self.turn().await;
            if self.wake(busy, &mut inbox).await == Wake::Orphaned {
                return self.finish(OnShutdown::Leave).await;
            }
            for command in inbox.drain(..) {
                if let Command::Shutdown(how, answer) = command {
                    self.finish(how).await;
                    let _ = answer.send(());
                    return;
                }
                self.obey(command);
            }
        }
    }

    /// Waits until there is something to do; not at all when `busy`. Takes all commands that
    /// wait, so that small changes share a write.
    async fn wake(&mut self, busy: bool, inbox: &mut Vec<Command>) -> Wake {
        let due = self.timers.next();
        let Self {
            commands,
            outbox,
            io,
            suspensions,
            ..
        } = self;
        let has_mail = !outbox.is_empty();
        tokio::select! {
            biased;
            Ok(()) = suspensions.changed() => {
                self.suspend();
            }
            count = commands.recv_many(inbox, COMMANDS) => {
                if count == 0 {
                    return Wake::Orphaned;
                }
            }
            () = outbox.deliver(), if has_mail => {}
            () = std::future::ready(()), if busy => {}
            () = listen(io.as_ref()) => {}
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
        }
        Wake::Work
    }

    /// One turn of the loop. Returns whether there is more to do right now.
    async fn turn(&mut self) -> bool {
        self.fire_timers().await;
        let more = self.listen();
        self.digest();
        // What is not known must not be written over; the dump is due in an instant.
        if self.timers.resync.is_none() {
            self.write().await;
        }
        // What happened meanwhile, before judging again.
        let more = self.listen() || more;
        self.digest();
        self.report();
        let settled = self.state.tables.is_settled();
        if settled && !more && self.timers.resync.is_none() {
            for waiting in self.waiting.drain(..) {
                let _ = waiting.send(());
            }
        }
        self.set_retry();
        more || (!settled && self.timers.resync.is_none())
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Apply(changes) => {
                let now = self.seconds();
                let report = self.report.load(Ordering::Acquire);
                self.state.tables.report_all(report);
                self.taken += 1;
                self.state.apply(changes, now);
            }
            Command::Track(keys) => keys.into_iter().for_each(|key| self.track(key)),
            Command::Untrack(keys) => keys.into_iter().for_each(|key| self.untrack(key)),
            Command::ResolveViaDefault(yes) => {
                self.state.via_default = yes;
                self.state.effects.resolution = true;
            }
            Command::Resume(next_hops) => {
                self.suspended.send_modify(|all| {
                    for next_hop in &next_hops {
                        all.remove(next_hop);
                    }
                });
                self.suspend();
            }
            Command::SweepStale => self.state.tables.sweep_stale(),
            Command::Routes(family, answer) => {
                let _ = answer.send(self.state.tables.status(family, self.started.into_std()));
            }
            Command::Statistics(answer) => {
                let _ = answer.send(self.statistics);
            }
            Command::Settled(answer) => self.waiting.push(answer),
            // Handled where the loop can end.
            Command::Shutdown(..) => {}
        }
    }

    /// Leaves out the next hops that are suspended now, and no others.
    fn suspend(&mut self) {
        let now = self.suspensions.borrow_and_update().clone();
        if self.state.tables.sets.suspend(now) {
            self.state.re_resolve();
        }
    }

    fn seconds(&self) -> Seconds {
        Seconds::try_from(self.started.elapsed().as_secs()).unwrap_or(Seconds::MAX)
    }

    /// Writes what is still to be written, or deletes all.
    async fn finish(&mut self, how: OnShutdown) {
        if how == OnShutdown::Withdraw {
            self.state.tables.withdraw_all();
        }
        // What the kernel refuses is tried again later, and is not waited for.
        while self.turn().await || self.timers.resync.is_some() {
            if let Some(at) = self.timers.resync {
                sleep_until(at).await;
            }
        }
    }

    // ===== The kernel speaks =====

    /// Takes in notifications. Returns whether there may be more.
    fn listen(&mut self) -> bool {
        let Some(io) = &mut self.io else { return false };
        let (state, heard) = (&mut self.state, &mut self.statistics.notifications);
        let answer = io.monitor.drain(EARFUL, |notice| {
            *heard += 1;
            state.hear(notice);
        });
        match answer {
            Ok(Heard::All) => false,
            Ok(Heard::Enough) => true,
            Ok(Heard::Overflow) => {
                tracing::info!("the kernel dropped notifications; reading its tables again");
                self.timers.ask_for_resync();
                true
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read notifications; reading the tables instead");
                self.timers.ask_for_resync();
                false
            }
        }
    }

    /// Reads everything anew.
    async fn resync(&mut self) -> Result<(), FibError> {
        let Some(io) = &mut self.io else {
            return Ok(());
        };
        let state = &mut self.state;
        let empty = io.monitor.discard().map_err(|source| FibError::Socket {
            what: "empty the monitoring socket",
            source,
        })?;
        if !empty {
            // More comes than can be thrown away; what is missed meanwhile is read next time.
            self.timers.resync = Some(Instant::now() + RETRY.0);
        }
        let old = state.begin_dump();
        let mut result = Ok(());
        for (what, dump) in dumps(state.table, state.resolve_table) {
            let answer = io
                .requests
                .dump(dump, |notice| state.hear_dump(notice))
                .await;
            if let Err(error) = answer {
                let source = match error {
                    RequestError::Io(source) => source,
                    RequestError::Lost => Errno::ENOBUFS.into(),
                };
                result = Err(FibError::Dump { what, source });
                break;
            }
        }
        match result {
            Ok(()) => state.end_dump(&old.mirror),
            Err(_) => state.abort_dump(old),
        }
        self.timers.last_resync = Instant::now();
        result
    }

    /// Draws the consequences of what was heard.
    fn digest(&mut self) {
        let effects = std::mem::take(&mut self.state.effects);
        if !effects.interfaces.is_empty() {
            self.view.send_replace(Arc::new(self.state.mirror.view()));
        }
        for ifindex in effects.interfaces {
            match (
                self.state.mirror.interface(ifindex),
                effects.removed.get(&ifindex),
            ) {
                (Some(interface), _) => self.outbox.push(Event::InterfaceChanged(interface.into())),
                (None, Some(name)) => {
                    self.outbox.push(Event::InterfaceRemoved {
                        ifindex,
                        name: name.clone(),
                    });
                }
                (None, None) => {}
            }
        }
        if effects.resolution {
            self.state.re_resolve();
            self.state.retry();
            self.follow();
            match effects.redistribution {
                Redistribution::All => self.redistribute(),
                Redistribution::Of(prefixes) => self.redistribute_to(&prefixes),
            }
        }
    }

    fn follow(&mut self) {
        for (key, tracked) in &mut self.tracked {
            let resolution = self.state.resolve(*key);
            if resolution != tracked.resolution {
                tracked.resolution.clone_from(&resolution);
                self.outbox.push(Event::NextHopChanged {
                    key: *key,
                    resolution,
                });
            }
        }
    }

    fn track(&mut self, key: TrackKey) {
        let resolution = self.state.resolve(key);
        let tracked = self.tracked.entry(key).or_insert(Tracked {
            users: 0,
            resolution: None,
        });
        tracked.users += 1;
        tracked.resolution.clone_from(&resolution);
        self.outbox.push(Event::NextHopChanged { key, resolution });
    }

    fn untrack(&mut self, key: TrackKey) {
        let Some(tracked) = self.tracked.get_mut(&key) else {
            return;
        };
        tracked.users -= 1;
        if tracked.users == 0 {
            self.tracked.remove(&key);
        }
    }

    fn redistribute(&mut self) {
        let now = self.state.mirror.redistributable();
        let old = std::mem::take(&mut self.redistributed);
        for &(prefix, source) in old.keys().filter(|key| !now.contains_key(*key)) {
            self.outbox.push(Event::KernelRoute {
                prefix,
                source,
                metric: None,
            });
        }
        for (&(prefix, source), &metric) in &now {
            if old.get(&(prefix, source)) != Some(&metric) {
                self.outbox.push(Event::KernelRoute {
                    prefix,
                    source,
                    metric: Some(metric),
                });
            }
        }
        self.redistributed = now;
    }

    fn redistribute_to(&mut self, prefixes: &BTreeSet<IpNet>) {
        for &prefix in prefixes {
            for source in [Source::Static, Source::Kernel] {
                let metric = self.state.mirror.redistributable_to(prefix, source);
                let old = match metric {
                    Some(metric) => self.redistributed.insert((prefix, source), metric),
                    None => self.redistributed.remove(&(prefix, source)),
                };
                if metric != old {
                    self.outbox.push(Event::KernelRoute {
                        prefix,
                        source,
                        metric,
                    });
                }
            }
        }
    }

    fn report(&mut self) {
        for event in self.state.tables.take_events(self.taken) {
            self.outbox.push(event);
        }
    }

    // ===== Speaking to the kernel =====

    async fn write(&mut self) {
        self.write_objects().await;
        let now = self.seconds();
        let table = self.state.table;
        let Tables { v4, v6, sets } = &mut self.state.tables;
        let four = write_batch((v4, sets), self.io.as_mut(), table, now).await;
        let six = write_batch((v6, sets), self.io.as_mut(), table, now).await;
        for written in [four, six] {
            self.statistics.operations += written.operations;
            self.statistics.refused += written.refused;
            if written.lost {
                self.timers.ask_for_resync();
            }
        }
    }

    /// Brings nexthop objects into the form that routes need. What the kernel does not take is
    /// left out of the groups, and they are written again.
    async fn write_objects(&mut self) {
        loop {
            let operations = self.state.tables.object_operations();
            let Some(io) = self.io.as_mut().filter(|_| !operations.is_empty()) else {
                return;
            };
            self.statistics.operations += operations.len() as u64;
            let failed = match io.requests.write_objects(&operations).await {
                Ok(failed) => failed,
                Err(error) => {
                    tracing::warn!(?error, "no answer to a batch of nexthop objects");
                    self.timers.ask_for_resync();
                    return;
                }
            };
            let mut failed = failed.into_iter().peekable();
            for (index, operation) in operations.iter().enumerate() {
                let result = match failed.next_if(|(at, _)| *at == index) {
                    Some((_, errno)) => Err(errno),
                    None => Ok(()),
                };
                if let Err(errno) = result {
                    self.statistics.refused += 1;
                    tracing::debug!(?operation, %errno, "the kernel refused a nexthop object");
                }
                self.state.tables.object_completed(operation, result);
            }
            if self.state.tables.sets.note_refused() {
                self.state.re_resolve();
            }
        }
    }

    // ===== Time =====

    async fn fire_timers(&mut self) {
        let now = Instant::now();
        if due(&mut self.timers.sweep, now) {
            self.state.tables.sweep_stale();
        }
        if due(&mut self.timers.retry, now) {
            self.state.retry();
            self.timers.backoff = (self.timers.backoff * 2).min(RETRY.1);
        }
        if due(&mut self.timers.resync, now) {
            self.statistics.resyncs += 1;
            if let Err(error) = self.resync().await {
                tracing::warn!(%error, "cannot read the kernel's tables; trying again");
                self.timers.resync = Some(now + RETRY.0);
            }
        }
    }

    fn set_retry(&mut self) {
        if !self.state.tables.has_refused() {
            self.timers.retry = None;
            if self.state.tables.is_settled() {
                self.timers.backoff = RETRY.0;
            }
        } else if self.timers.retry.is_none() {
            self.timers.retry = Some(Instant::now() + self.timers.backoff);
        }
    }
}

// ===== impl Timers =====

impl Timers {
    fn next(&self) -> Option<Instant> {
        [self.sweep, self.retry, self.resync]
            .into_iter()
            .flatten()
            .min()
    }

    fn ask_for_resync(&mut self) {
        let at = self.last_resync + RESYNC_PAUSE;
        self.resync.get_or_insert(at);
    }
}

/// Whether the time has come; then it is cleared.
fn due(timer: &mut Option<Instant>, now: Instant) -> bool {
    timer.take_if(|at| *at <= now).is_some()
}

async fn listen(io: Option<&Io>) {
    match io {
        // A failing socket must not spin the loop; commands and timers still wake it.
        Some(io) if io.monitor.readable().await.is_ok() => {}
        _ => pending().await,
    }
}

fn dumps(table: u32, resolve_table: u32) -> Vec<(&'static str, Dump)> {
    let mut dumps = vec![
        ("links", Dump::Links),
        ("addresses", Dump::Addresses),
        ("nexthop objects", Dump::Nexthops),
    ];
    let mut tables = vec![resolve_table, table];
    tables.dedup();
    for table in tables {
        dumps.push(("IPv4 routes", Dump::Routes { ipv6: false, table }));
        dumps.push(("IPv6 routes", Dump::Routes { ipv6: true, table }));
    }
    dumps
}

/// How a batch went.
#[derive(Default)]
struct Written {
    operations: u64,
    refused: u64,
    /// Answers were lost, and the kernel's state has to be read again.
    lost: bool,
}

/// Writes one batch of a family.
async fn write_batch<P: Prefix>(
    (reconciler, sets): (&mut Reconciler<P>, &Sets),
    io: Option<&mut Io>,
    table: u32,
    now: Seconds,
) -> Written {
    let mut batch = Vec::new();
    reconciler.next_operations(&mut batch, BATCH, sets);
    let mut written = Written {
        operations: batch.len() as u64,
        ..Written::default()
    };
    let answer = match io {
        // Without a kernel all goes well.
        Some(io) if !batch.is_empty() => io.requests.write(&batch, table).await,
        _ => Ok(Vec::new()),
    };
    let mut failed = match answer {
        Ok(failed) => failed.into_iter().peekable(),
        Err(error) => {
            tracing::warn!(?error, "no answer to a batch of routes");
            written.lost = true;
            let all = (0..batch.len()).map(|index| (index, Errno::ENOBUFS));
            all.collect::<Vec<_>>().into_iter().peekable()
        }
    };
    for (index, operation) in batch.iter().enumerate() {
        let result = match failed.next_if(|(at, _)| *at == index) {
            Some((_, errno)) => Err(errno),
            None => Ok(()),
        };
        if let Err(errno) = result {
            written.refused += 1;
            tracing::debug!(prefix = ?operation.prefix, %errno, "the kernel refused an operation");
        }
        reconciler.completed(operation, result, now);
    }
    written
}
