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

use crate::codec::{Dump, PROTOCOL_BGP, PROTOCOL_STATIC, Place};
use crate::family::Prefix;
use crate::handle::{
    Channels, Command, Event, FibError, FibOptions, Kernel, OnShutdown, Source, Stale, Statistics,
    TrackKey,
};
use crate::kernel::Touched;
use crate::netlink::{self, Heard, Monitor, RequestError, Requests};
use crate::outbox::Outbox;
use crate::reconcile::{Reconciler, Seconds};
use crate::redistribute::{Offer, Offers};
use crate::resolve::{NARROW_WEIGHT, WIDE_WEIGHT};
use crate::route::Resolution;
use crate::sets::Sets;
use crate::state::State;
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

impl Io {
    /// The largest weight that the kernel takes.
    fn max_weight(&self, objects: bool) -> u16 {
        match objects && netlink::takes_wide_weights() {
            true => WIDE_WEIGHT,
            false => NARROW_WEIGHT,
        }
    }
}

/// A next hop someone follows.
struct Tracked {
    users: u32,
    resolution: Option<Arc<Resolution>>,
}

struct Task {
    state: State,
    io: Option<Io>,
    commands: mpsc::Receiver<Command>,
    urgent: mpsc::UnboundedReceiver<Command>,
    outbox: Outbox,
    view: watch::Sender<Arc<KernelView>>,
    /// Next hops not to be used, as the handles say; and whether they said more since.
    suspended: watch::Sender<BTreeSet<TrackKey>>,
    suspensions: watch::Receiver<BTreeSet<TrackKey>>,
    /// Whether routes that were installed or removed are reported.
    report: Arc<AtomicBool>,
    tracked: BTreeMap<TrackKey, Tracked>,
    redistributed: Offers,
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

/// Opens the sockets, reads the kernel's state and starts the task. Returns the largest weight
/// that the kernel takes.
///
/// With a kernel the task has a thread and a runtime of its own: it spends most of its time in
/// system calls, and a busy runtime must not make a lost next hop wait for its turn. Nor must
/// sessions wait with their KEEPALIVEs when others write more routes than can be listened to.
pub(crate) async fn start(options: FibOptions, channels: Channels) -> Result<u16, FibError> {
    if options.kernel == Kernel::Off {
        let mut task = Task::new(&options, channels, None);
        task.first_dump().await?;
        let max_weight = task.state.max_weight;
        tokio::spawn(task.run());
        return Ok(max_weight);
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
    ready: oneshot::Sender<Result<u16, FibError>>,
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
                let _ = ready.send(Ok(task.state.max_weight));
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

// ===== impl Task =====

impl Task {
    fn new(options: &FibOptions, channels: Channels, io: Option<Io>) -> Self {
        let now = Instant::now();
        let keep = options.stale != Stale::Sweep;
        let objects = options.objects && io.as_ref().is_some_and(|io| io.objects);
        let max_weight = io.as_ref().map_or(WIDE_WEIGHT, |io| io.max_weight(objects));
        let mut tables = Tables::new(options.table, keep, objects);
        if let Some(block) = options.object_block {
            tables.number_objects(block, keep);
        }
        if !netlink::has_resilient_groups() {
            tables.sets.forgo_resilience();
        }
        Self {
            state: State::new(options, tables, max_weight),
            io,
            commands: channels.commands,
            urgent: channels.urgent,
            outbox: Outbox::new(channels.events),
            view: channels.view,
            suspensions: channels.suspended.subscribe(),
            suspended: channels.suspended,
            report: channels.report,
            tracked: BTreeMap::new(),
            redistributed: Offers::new(),
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
            urgent,
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
            Some(command) = urgent.recv() => {
                inbox.push(command);
                inbox.extend(std::iter::from_fn(|| urgent.try_recv().ok()));
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
        self.read_tables().await;
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
        let more = more || self.state.effects.is_pending();
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
            Command::ResolveViaDefault(which) => {
                self.state.via_default = which;
                self.state.effects.everything();
            }
            Command::UseObjects(yes) => self.use_objects(yes),
            Command::Resolve(next_hops, answer) => {
                let found = next_hops.into_iter().map(|key| self.state.resolve(key));
                let _ = answer.send(found.collect());
            }
            Command::Resume(next_hops) => {
                self.suspended.send_modify(|all| {
                    for next_hop in &next_hops {
                        all.remove(next_hop);
                    }
                });
                self.suspend();
            }
            Command::SetStatics(routes) => {
                let now = self.seconds();
                self.state.set_statics(routes, now);
            }
            Command::FollowTables(tables) => self.state.follow(tables),
            Command::Statics(answer) => {
                let _ = answer.send(self.state.static_status(self.started.into_std()));
            }
            Command::Others(family, answer) => {
                let _ = answer.send(self.state.mirror.others(family));
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

    fn use_objects(&mut self, yes: bool) {
        let Some(io) = &self.io else { return };
        if yes && !io.objects {
            tracing::warn!("this kernel has no nexthop objects");
        }
        let yes = yes && io.objects;
        let max_weight = io.max_weight(yes);
        self.state.use_objects(yes, max_weight);
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
        for (what, dump) in dumps(state.dumped()) {
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
            Ok(()) => state.end_dump(&old),
            Err(_) => state.abort_dump(old),
        }
        self.timers.last_resync = Instant::now();
        result
    }

    /// Reads the tables that were not read so far.
    async fn read_tables(&mut self) {
        let Some(io) = &mut self.io else { return };
        let state = &mut self.state;
        for table in state.take_unread() {
            for (_, dump) in routes_of(table) {
                let answer = io.requests.dump(dump, |notice| state.hear_dump(notice));
                if let Err(error) = answer.await {
                    tracing::warn!(table, ?error, "cannot read a table; reading all of them");
                    self.timers.ask_for_resync();
                }
            }
            state.read(table);
        }
    }

    /// Draws the consequences of what was heard.
    fn digest(&mut self) {
        self.state.settle_losses();
        let now = self.seconds();
        self.state.resolve_statics(now);
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
        }
        self.redistribute(effects.touched);
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
        self.state.track(key);
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
        self.state.untrack(key);
        tracked.users -= 1;
        if tracked.users == 0 {
            self.tracked.remove(&key);
        }
    }

    /// Tells what may be redistributed differently. A table that flaps must not cost a look at
    /// another that is as large.
    fn redistribute(&mut self, touched: Touched) {
        if touched.all {
            let now = self.state.redistributable();
            let old = std::mem::take(&mut self.redistributed);
            for (key, offer) in news(&old, &now) {
                self.offer(key, offer);
            }
            self.redistributed = now;
            return;
        }
        for prefix in touched.prefixes {
            let now = self.state.redistributable_at(prefix);
            let of_prefix = (prefix, Source::MIN)..=(prefix, Source::MAX);
            let old: Offers = self
                .redistributed
                .range(of_prefix)
                .map(|(key, offer)| (*key, *offer))
                .collect();
            for (key, offer) in news(&old, &now) {
                match offer {
                    Some(offer) => drop(self.redistributed.insert(key, offer)),
                    None => drop(self.redistributed.remove(&key)),
                }
                self.offer(key, offer);
            }
        }
    }

    fn offer(&mut self, (prefix, source): (IpNet, Source), offer: Option<Offer>) {
        self.outbox.push(Event::KernelRoute {
            prefix,
            source,
            metric: offer.map(|offer| offer.metric),
            next_hop: offer.and_then(|offer| offer.next_hop),
            ifindex: offer.and_then(|offer| offer.ifindex),
        });
    }

    fn report(&mut self) {
        for (prefix, error) in self.state.tables.static_failures() {
            tracing::warn!(%prefix, %error, "static route not in the kernel");
        }
        for event in self.state.tables.take_events(self.taken) {
            self.outbox.push(event);
        }
    }

    // ===== Speaking to the kernel =====

    async fn write(&mut self) {
        self.write_objects().await;
        let now = self.seconds();
        let place = |table, protocol| Place { table, protocol };
        let bgp = place(self.state.table, PROTOCOL_BGP);
        let hides = self.state.has_statics();
        let tables = &mut self.state.tables;
        let (sets, io) = (&tables.sets, &mut self.io);
        let mut done = vec![
            write_batch((&mut tables.v4, sets), io.as_mut(), (bgp, hides), now).await,
            write_batch((&mut tables.v6, sets), io.as_mut(), (bgp, hides), now).await,
        ];
        for (&number, table) in &mut tables.statics {
            let own = (place(number, PROTOCOL_STATIC), false);
            done.push(write_batch((&mut table.v4, sets), io.as_mut(), own, now).await);
            done.push(write_batch((&mut table.v6, sets), io.as_mut(), own, now).await);
        }
        for written in done {
            self.statistics.operations += written.operations;
            self.statistics.refused += written.refused;
            if written.lost {
                self.timers.ask_for_resync();
            }
            for prefix in written.prefixes {
                self.state.bgp_changed(prefix);
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

fn dumps(tables: impl IntoIterator<Item = u32>) -> Vec<(&'static str, Dump)> {
    let mut dumps = vec![
        ("links", Dump::Links),
        ("addresses", Dump::Addresses),
        ("nexthop objects", Dump::Nexthops),
    ];
    dumps.extend(tables.into_iter().flat_map(routes_of));
    dumps
}

fn routes_of(table: u32) -> [(&'static str, Dump); 2] {
    [
        ("IPv4 routes", Dump::Routes { ipv6: false, table }),
        ("IPv6 routes", Dump::Routes { ipv6: true, table }),
    ]
}

/// What is in `now` and not the same in `old`, after what is gone.
fn news<'o>(
    old: &'o Offers,
    now: &'o Offers,
) -> impl Iterator<Item = ((IpNet, Source), Option<Offer>)> + 'o {
    let gone = old.keys().filter(|key| !now.contains_key(*key));
    let news = now
        .iter()
        .filter(|(key, offer)| old.get(*key) != Some(*offer));
    gone.map(|key| (*key, None))
        .chain(news.map(|(key, offer)| (*key, Some(*offer))))
}

/// How a batch went.
#[derive(Default)]
struct Written {
    operations: u64,
    refused: u64,
    /// Answers were lost, and the kernel's state has to be read again.
    lost: bool,
    /// What was written, where that is asked for.
    prefixes: Vec<IpNet>,
}

/// Writes one batch of a family, and says which prefixes it was if they are to be `listed`.
async fn write_batch<P: Prefix>(
    (reconciler, sets): (&mut Reconciler<P>, &Sets),
    io: Option<&mut Io>,
    (place, listed): (Place, bool),
    now: Seconds,
) -> Written {
    let mut batch = Vec::new();
    reconciler.next_operations(&mut batch, BATCH, sets);
    let mut written = Written {
        operations: batch.len() as u64,
        ..Written::default()
    };
    if listed {
        let prefixes = batch.iter().map(|operation| operation.prefix.into());
        written.prefixes = prefixes.collect();
    }
    let answer = match io {
        // Without a kernel all goes well.
        Some(io) if !batch.is_empty() => io.requests.write(&batch, place).await,
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
