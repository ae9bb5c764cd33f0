//! The walk of a route through a route map: the one place that knows what its
//! lines mean together.
//!
//! What `set` lines make of a set of attributes depends on which entries the
//! route went through, and on nothing else. So the walk goes from state to
//! state, each of them attributes together with what is known of them; prefixes
//! that share attributes share the states.

use core::cell::{OnceCell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use holdfast_rib::{PeerInfo, Rewritten};
use smallvec::SmallVec;

use super::condition::Condition;
use super::route::{Changed, Direction, Kept, RouteView, Seen};
use super::route_map::{CALLS_MAX, CompiledRouteMap, Entry, Then};
use crate::model::Action;

/// The state in which attributes are as they came.
const BEGIN: usize = 0;
/// With more states than that, it is begun anew.
const STATES_MAX: usize = 64;

/// A number that nothing else has or had that keeps a memo. An address is none:
/// the next policy may come to lie where one was.
pub(crate) fn number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// How a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Denied,
    /// In this state.
    Permitted(usize),
}

/// Hears of what happens on the way.
pub(crate) trait Visitor {
    /// A map begins.
    fn map(&mut self, _name: &str) {}
    /// An entry's turn.
    fn entry(&mut self, _seq: u16, _action: Action) {}
    /// What a `match` line said.
    fn condition(&mut self, _condition: &Condition, _holds: bool, _route: Seen<'_>) {}
    /// An entry matched, and these lines were applied.
    fn matched(&mut self, _entry: &Entry) {}
    /// A map is called, if it is there.
    fn call(&mut self, _name: &str, _is_there: bool) {}
    /// Where it goes on after an entry that permits.
    fn then(&mut self, _next: Option<u16>) {}
    /// A map ends.
    fn end(&mut self, _name: &str, _permitted: bool) {}
}

/// Nobody listens.
pub(crate) struct NoVisitor;

impl Visitor for NoVisitor {}

/// Attributes at some point of a walk.
#[derive(Debug)]
struct State {
    /// None as they came.
    kept: Option<Kept>,
    /// What is known of the conditions, by their places.
    known: SmallVec<[Known; 32]>,
    /// The states after an entry.
    next: SmallVec<[(u32, u32); 2]>,
    path_text: OnceCell<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    No,
    Holds,
    Fails,
}

/// What is known about one set of attributes.
#[derive(Debug)]
pub(crate) struct Memo {
    states: Vec<State>,
    /// What all routes have in common that it is about.
    context: Option<Context>,
    /// What else the policy wants to keep: the word of its AS-path list.
    pub(crate) filter: Option<bool>,
    hits: Option<Hits>,
}

/// A check that the caller keeps its promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Context {
    direction: Direction,
    peer: Option<usize>,
    learned_from: Option<usize>,
    weight: u32,
    tag: u32,
    rtt_ms: u32,
    igp_metric: u32,
}

/// Counts that are added to the map's in the end: an atomic for every entry of
/// every route costs more than the entries.
#[derive(Debug)]
struct Hits {
    map: Arc<CompiledRouteMap>,
    maps: SmallVec<[u32; 2]>,
    entries: SmallVec<[[u32; 2]; 16]>,
}

impl Drop for Hits {
    fn drop(&mut self) {
        for (map, invoked) in self.map.maps.iter().zip(&self.maps) {
            if *invoked == 0 {
                continue;
            }
            map.counters.add_invoked(u64::from(*invoked));
            for (at, entry) in map.entries.iter().enumerate() {
                if let Some([invoked, matched]) = self.entries.get(entry.number as usize)
                    && *invoked > 0
                {
                    map.counters
                        .add(at, u64::from(*invoked), u64::from(*matched));
                }
            }
        }
    }
}

impl Context {
    fn of(route: &RouteView<'_>) -> Context {
        let address = |peer: &PeerInfo| core::ptr::from_ref(peer).addr();
        Context {
            direction: route.direction,
            peer: route.peer.map(address),
            learned_from: route.learned_from.map(address),
            weight: route.weight,
            tag: route.tag,
            rtt_ms: route.rtt_ms,
            igp_metric: route.igp_metric,
        }
    }
}

// ===== impl Memo =====

impl Memo {
    /// For routes that count.
    pub(crate) fn shared(map: &Arc<CompiledRouteMap>) -> RefCell<Memo> {
        RefCell::new(Memo::new(Some(map)))
    }

    /// With counts for a map, if there is one.
    pub(crate) fn new(map: Option<&Arc<CompiledRouteMap>>) -> Memo {
        Memo {
            states: Vec::new(),
            context: None,
            filter: None,
            hits: map.map(|map| Hits {
                map: Arc::clone(map),
                maps: SmallVec::from_elem(0, map.maps.len()),
                entries: SmallVec::from_elem([0; 2], map.entries),
            }),
        }
    }

    /// What was set up to a state.
    pub(crate) fn kept(&self, state: usize) -> Option<&Kept> {
        self.states.get(state)?.kept.as_ref()
    }

    /// What the table gets in a state: none where nothing is new. The same
    /// allocation for every route that comes to it.
    pub(crate) fn rewritten(&self, state: usize) -> Option<Arc<Rewritten>> {
        let kept = self.kept(state).filter(|kept| kept.is_new);
        kept.map(|kept| Arc::clone(&kept.new))
    }

    /// Takes a route through a map.
    pub(crate) fn walk<V: Visitor>(
        &mut self,
        map: &CompiledRouteMap,
        route: &RouteView<'_>,
        visitor: &mut V,
    ) -> Outcome {
        let context = Some(Context::of(route));
        if self.context != context || self.states.len() > STATES_MAX || self.states.is_empty() {
            self.context = context;
            self.states.clear();
            self.states.push(State::begin(map));
        }
        let mut walk = Walk {
            map,
            memo: self,
            route,
            visitor,
            state: BEGIN,
        };
        let permitted = walk.through(0, 0);
        let state = walk.state;
        match permitted {
            true => Outcome::Permitted(state),
            false => Outcome::Denied,
        }
    }
}

impl State {
    fn begin(map: &CompiledRouteMap) -> State {
        State {
            kept: None,
            known: SmallVec::from_elem(Known::No, map.places.len()),
            next: SmallVec::new(),
            path_text: OnceCell::new(),
        }
    }

    /// The state after an entry. What it did not touch is as it was known.
    fn after(&self, entry: &Entry, map: &CompiledRouteMap, kept: Kept) -> State {
        let known = self.known.iter().zip(&map.places);
        State {
            kept: Some(kept),
            known: known
                .map(|(known, reads)| match reads.is_apart(entry.writes) {
                    true => *known,
                    false => Known::No,
                })
                .collect(),
            next: SmallVec::new(),
            path_text: OnceCell::new(),
        }
    }
}

// ===== the walk =====

struct Walk<'w, V> {
    map: &'w CompiledRouteMap,
    memo: &'w mut Memo,
    route: &'w RouteView<'w>,
    visitor: &'w mut V,
    state: usize,
}

impl<V: Visitor> Walk<'_, V> {
    /// Takes the route through one of the maps; whether it is permitted.
    fn through(&mut self, number: usize, depth: usize) -> bool {
        let all = self.map;
        let Some(map) = all.maps.get(number).filter(|_| depth <= CALLS_MAX) else {
            return false;
        };
        self.visitor.map(&map.name);
        if let Some(hits) = &mut self.memo.hits
            && let Some(invoked) = hits.maps.get_mut(number)
        {
            *invoked += 1;
        }
        let mut permitted = false;
        let mut at = 0;
        while let Some(entry) = map.entries.get(at) {
            self.visitor.entry(entry.seq, entry.action);
            let matches = self.matches(entry);
            self.count(entry, matches);
            if !matches {
                // What an earlier entry permitted is permitted no more.
                permitted = false;
                at += 1;
                continue;
            }
            self.visitor.matched(entry);
            permitted = entry.action.permits();
            if !permitted {
                break;
            }
            self.change(entry);
            if !self.call(entry, depth) {
                permitted = false;
                break;
            }
            let Then::At(next) = entry.then else {
                self.visitor.then(None);
                break;
            };
            self.visitor
                .then(map.entries.get(next).map(|entry| entry.seq));
            at = next;
        }
        self.visitor.end(&map.name, permitted);
        permitted
    }

    fn count(&mut self, entry: &Entry, matches: bool) {
        let hits = self.memo.hits.as_mut();
        let counts = hits.and_then(|hits| hits.entries.get_mut(entry.number as usize));
        if let Some([invoked, matched]) = counts {
            *invoked = invoked.saturating_add(1);
            *matched = matched.saturating_add(u32::from(matches));
        }
    }

    fn matches(&mut self, entry: &Entry) -> bool {
        let of_set = entry.per_set.iter().all(|condition| self.holds(condition));
        of_set
            && entry
                .per_prefix
                .iter()
                .all(|condition| self.holds(condition))
    }

    fn holds(&mut self, condition: &Condition) -> bool {
        let counts = self.memo.hits.is_some();
        let Some(state) = self.memo.states.get_mut(self.state) else {
            return false;
        };
        let State {
            kept,
            known,
            path_text,
            ..
        } = state;
        let route = Seen {
            view: self.route,
            kept: kept.as_ref(),
            path_text,
            counts,
        };
        let place = condition.place.and_then(|place| known.get_mut(place));
        let holds = match place {
            None => condition.test.holds(route),
            Some(Known::Holds) => true,
            Some(Known::Fails) => false,
            Some(known) => {
                let holds = condition.test.holds(route);
                *known = if holds { Known::Holds } else { Known::Fails };
                holds
            }
        };
        self.visitor.condition(condition, holds, route);
        holds
    }

    /// Goes to the state after the entry's `set` lines.
    fn change(&mut self, entry: &Entry) {
        let Some(state) = self.memo.states.get(self.state) else {
            return;
        };
        if entry.changes.is_empty() {
            return;
        }
        let mut known = state.next.iter();
        if let Some((_, next)) = known.find(|(after, _)| *after == entry.number) {
            self.state = *next as usize;
            return;
        }
        let mut changed = match &state.kept {
            Some(kept) => kept.changed(),
            None => Changed::before(self.route),
        };
        for change in &entry.changes {
            change.apply(&mut changed, self.route, self.map.router);
        }
        let after = state.after(entry, self.map, Kept::new(changed, self.route));
        let next = self.memo.states.len();
        let from = std::mem::replace(&mut self.state, next);
        self.memo.states.push(after);
        if let Some(state) = self.memo.states.get_mut(from) {
            state.next.push((entry.number, next as u32));
        }
    }

    /// Lets the entry's other map have its say. One that is not there has none.
    fn call(&mut self, entry: &Entry, depth: usize) -> bool {
        let Some((name, map)) = &entry.call else {
            return true;
        };
        self.visitor.call(name, map.is_some());
        map.is_none_or(|map| self.through(map, depth + 1))
    }
}
