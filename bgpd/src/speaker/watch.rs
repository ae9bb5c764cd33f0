//! Changes as they happen, for whoever wants to know.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bgp_wire::NextHop;
use holdfast_api::v1;
use holdfast_api::v1::watch_event::Event;
use holdfast_rib::{PathView, PrefixView, Watcher};
use ipnet::IpNet;
use tokio::sync::broadcast;

use super::convert;
use super::core::{Core, distance};
use crate::session::status::now_ms;

/// Events kept for a watcher that is slow.
pub(super) const KEPT: usize = 4096;
/// Changed routes reported before the core turns to something else.
const BUDGET: usize = 512;
/// Wait while watchers are behind: what changes again meanwhile is one event,
/// and a watcher that stands still costs the others no more than this.
const PAUSE: Duration = Duration::from_millis(20);

/// What anybody wants to know; nothing is prepared for nobody.
#[derive(Debug, Default)]
pub(super) struct Interest {
    routes: AtomicUsize,
    fib: AtomicUsize,
}

/// A watcher. Dropping it ends the watch.
#[derive(Debug)]
pub struct Watch {
    wanted: v1::WatchRequest,
    events: broadcast::Receiver<Arc<v1::WatchEvent>>,
    interest: Arc<Interest>,
}

impl Watch {
    pub(super) fn new(
        wanted: v1::WatchRequest,
        events: broadcast::Receiver<Arc<v1::WatchEvent>>,
        interest: Arc<Interest>,
    ) -> Watch {
        let count = |of: &AtomicUsize, on: bool| of.fetch_add(usize::from(on), Ordering::SeqCst);
        count(&interest.routes, wanted.routes);
        count(&interest.fib, wanted.fib);
        Watch {
            wanted,
            events,
            interest,
        }
    }

    /// The next event that was asked for, or how many were lost because they
    /// were not taken in time; none when the speaker has stopped.
    pub async fn next(&mut self) -> Option<v1::WatchEvent> {
        loop {
            match self.events.recv().await {
                Ok(event) if matches(&self.wanted, &event) => {
                    return Some(Arc::unwrap_or_clone(event));
                }
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(lost)) => {
                    return Some(v1::WatchEvent {
                        time_ms: now_ms(),
                        event: Some(Event::Lagged(lost)),
                    });
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let count = |of: &AtomicUsize, on: bool| of.fetch_sub(usize::from(on), Ordering::SeqCst);
        count(&self.interest.routes, self.wanted.routes);
        count(&self.interest.fib, self.wanted.fib);
    }
}

/// Whether a watcher asked for this event.
fn matches(wanted: &v1::WatchRequest, event: &v1::WatchEvent) -> bool {
    let family = |of: i32| wanted.family() == v1::Family::Unspecified || wanted.family == of;
    match &event.event {
        Some(Event::Peer(_)) => wanted.peers,
        Some(Event::Route(change)) => wanted.routes && family(change.family),
        Some(Event::Fib(change)) => wanted.fib && family(change.family),
        Some(Event::Lagged(_)) => true,
        None => false,
    }
}

/// What the core knows of its watchers.
pub(super) struct Watchers {
    /// The lane has memory for all that it may keep: for pointers only.
    pub(super) events: broadcast::Sender<Arc<v1::WatchEvent>>,
    pub(super) interest: Arc<Interest>,
    /// Whether the table notes its changes.
    watching: bool,
    /// Whether it notes what is to be forwarded: nobody needs that without a
    /// kernel and before somebody watches.
    forwarding: bool,
    /// When to go on after a pause.
    pub(super) again: Option<Instant>,
}

impl Watchers {
    pub(super) fn new(kernel: bool) -> Watchers {
        Watchers {
            events: broadcast::channel(KEPT).0,
            interest: Arc::default(),
            watching: false,
            forwarding: kernel,
            again: None,
        }
    }

    fn behind(&self) -> bool {
        self.events.len() > KEPT / 2
    }
}

impl Core {
    pub(super) fn emit(&self, event: Event) {
        // No watcher is no error.
        let _ = self.watchers.events.send(Arc::new(v1::WatchEvent {
            time_ms: now_ms(),
            event: Some(event),
        }));
    }

    /// Has the table note changes while somebody wants them. Called before an
    /// event is handled: a watch sees all that happens after it began.
    pub(super) fn look_at_interest(&mut self) {
        let wanted = self.watchers.interest.routes.load(Ordering::SeqCst) > 0;
        if wanted != self.watchers.watching {
            self.watchers.watching = wanted;
            self.watchers.again = None;
            self.rib.set_watching(Watcher::Onlooker, wanted);
        }
        let of_fib = self.watchers.interest.fib.load(Ordering::SeqCst) > 0;
        // At a full table the answers are as many as the routes.
        self.fib.report_routes(of_fib || self.waits_for_kernel());
        // Once on it stays on: what is withdrawn has to be reported as well.
        if !self.watchers.forwarding && of_fib {
            self.watchers.forwarding = true;
            self.rib.set_forwarding(true);
        }
    }

    /// Reports changed routes. Returns whether there are more right now.
    pub(super) fn pump_watch(&mut self) -> bool {
        let now = Instant::now();
        if !self.watchers.watching || self.watchers.again.is_some_and(|at| at > now) {
            return false;
        }
        self.watchers.again = None;
        let changed = self.rib.take_watched(Watcher::Onlooker, BUDGET);
        for prefix in &changed {
            self.watch_route(*prefix);
        }
        let more = changed.len() == BUDGET;
        if more && self.watchers.behind() {
            self.watchers.again = Some(now + PAUSE);
            return false;
        }
        more
    }

    fn watch_route(&self, prefix: IpNet) {
        let mut view = self.rib.prefix(prefix);
        if let Some(view) = &mut view {
            view.paths.retain(|path| !path.is_withdrawn());
        }
        let view = view.filter(|view| !view.paths.is_empty());
        self.emit(Event::Route(v1::RouteChange {
            family: convert::family_of(&prefix) as i32,
            prefix: prefix.to_string(),
            route: view.map(|view| self.route(&view)),
        }));
    }

    // ===== the FIB =====

    /// The kernel took a route, or did not (`error`).
    pub(super) fn watch_fib(&self, prefix: IpNet, error: Option<String>) {
        if self.watchers.interest.fib.load(Ordering::SeqCst) == 0 {
            return;
        }
        let view = self.rib.prefix(prefix);
        let route = view.map(|view| self.fib_route_of(&view, error));
        self.emit_fib(prefix, route);
    }

    /// The kernel has the prefix no more.
    pub(super) fn watch_fib_removed(&self, prefix: IpNet) {
        if self.watchers.interest.fib.load(Ordering::SeqCst) > 0 {
            self.emit_fib(prefix, None);
        }
    }

    fn emit_fib(&self, prefix: IpNet, route: Option<v1::FibRoute>) {
        self.emit(Event::Fib(v1::FibChange {
            family: convert::family_of(&prefix) as i32,
            prefix: prefix.to_string(),
            route,
        }));
    }

    /// The route as it was asked for. To ask what became of its next hops
    /// would be a question to the FIB for every event.
    fn fib_route_of(&self, view: &PrefixView, error: Option<String>) -> v1::FibRoute {
        let installed = error.is_none();
        let used = view.paths.iter().filter(|p| p.best || p.multipath);
        let best = view.paths.iter().find(|p| p.best);
        v1::FibRoute {
            prefix: view.prefix.to_string(),
            distance: best.map_or(0, |path| self.distance_of(path)),
            metric: best.and_then(|p| p.attributes.med()).unwrap_or(0),
            selected: installed,
            installed,
            error: error.unwrap_or_default(),
            table: self.options.table,
            since_ms: now_ms(),
            next_hops: used
                .filter_map(|path| path.attributes.next_hop())
                .map(|hop: NextHop| v1::FibNextHop {
                    address: hop.addr().to_string(),
                    active: installed,
                    weight: 1,
                    ..v1::FibNextHop::default()
                })
                .collect(),
            protocol: "bgp".to_owned(),
            ..v1::FibRoute::default()
        }
    }

    fn distance_of(&self, path: &PathView) -> u32 {
        match path.source {
            holdfast_rib::PathSource::Local(_) => 0,
            holdfast_rib::PathSource::Peer(id) => {
                let info = self.rib.peer(id);
                info.map_or(0, |info| distance(info.kind))
            }
        }
    }
}
