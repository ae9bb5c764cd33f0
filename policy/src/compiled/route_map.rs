//! Route maps, compiled: entries with their lists at hand, and what can be said
//! of a map without asking it about a route.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::aspect::Aspects;
use super::change::{Change, Router};
use super::condition::{Condition, Test};
use super::linker::Linker;
use super::lists::{Lists, Object, ObjectKind};
use super::roa::{RoaTable, Validation};
use super::route::{Changed, Kept, RouteView};
use super::trace::Trace;
use super::walk::{Memo, NoVisitor, Outcome, number};
use crate::model::{self, Action, Match, MetricSet, NextHopSet, PeerMatch, Set};

/// Maps that call each other deeper than this deny.
pub(crate) const CALLS_MAX: usize = 10;

/// A route map and those that it calls, with all lists that they name.
///
/// Two are equal where they decide alike: their lines are the same, and so is
/// what their names stand for. Names that stand for nothing match nothing; a
/// map that does not exist denies, and calling it changes nothing.
#[derive(Debug, Clone)]
pub struct CompiledRouteMap {
    name: String,
    /// By which [`Attributes`](holdfast_rib::Attributes) know it.
    number: usize,
    /// The first is the map itself. None where it does not exist.
    pub(crate) maps: Vec<Map>,
    /// Of outcomes that are kept for a set of attributes, what they depend on.
    pub(crate) places: Vec<Aspects>,
    /// How many entries the maps have together.
    pub(crate) entries: usize,
    pub(crate) router: Router,
    uses: BTreeSet<Object>,
    /// The lists that `uses` means.
    lists: Vec<Arc<dyn SameList>>,
    export_depends_on_peer: bool,
    may_deny: bool,
    uses_rpki: bool,
    validation: Validation,
}

/// One of the maps.
#[derive(Debug, Clone)]
pub(crate) struct Map {
    pub(crate) name: String,
    source: model::RouteMap,
    pub(crate) entries: Vec<Entry>,
    pub(crate) counters: Arc<Counters>,
}

/// One entry of a map.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Among the entries of all maps.
    pub(crate) number: u32,
    pub(crate) seq: u16,
    pub(crate) action: Action,
    /// What depends on attributes alone.
    pub(crate) per_set: Vec<Condition>,
    pub(crate) per_prefix: Vec<Condition>,
    pub(crate) changes: Vec<Change>,
    /// What the changes may change.
    pub(crate) writes: Aspects,
    /// The map to call, and where it is.
    pub(crate) call: Option<(String, Option<usize>)>,
    pub(crate) then: Then,
}

/// Where the walk goes on after an entry that permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Exit,
    At(usize),
}

/// How often a map was asked, and its entries.
#[derive(Debug, Default)]
pub struct Counters {
    invoked: AtomicU64,
    entries: Vec<(u16, [AtomicU64; 2])>,
}

/// What one entry did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EntryHits {
    /// The entry.
    pub seq: u16,
    /// How often a route came by.
    pub invoked: u64,
    /// How often all its `match` lines did.
    pub matched: u64,
}

impl Counters {
    fn new(source: &model::RouteMap) -> Counters {
        let seqs = source.entries.keys();
        Counters {
            invoked: AtomicU64::new(0),
            entries: seqs.map(|seq| (*seq, Default::default())).collect(),
        }
    }

    /// How often the map was asked. Counts arrive when the table is through
    /// with a set of attributes.
    pub fn invoked(&self) -> u64 {
        self.invoked.load(Ordering::Relaxed)
    }

    /// What the entries did, in their order.
    pub fn entries(&self) -> impl Iterator<Item = EntryHits> + '_ {
        self.entries
            .iter()
            .map(|(seq, [invoked, matched])| EntryHits {
                seq: *seq,
                invoked: invoked.load(Ordering::Relaxed),
                matched: matched.load(Ordering::Relaxed),
            })
    }

    /// Begins anew.
    pub fn clear(&self) {
        self.invoked.store(0, Ordering::Relaxed);
        for (_, counters) in &self.entries {
            counters
                .iter()
                .for_each(|counter| counter.store(0, Ordering::Relaxed));
        }
    }

    pub(crate) fn add_invoked(&self, count: u64) {
        self.invoked.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, at: usize, invoked: u64, matched: u64) {
        if let Some((_, [i, m])) = self.entries.get(at) {
            i.fetch_add(invoked, Ordering::Relaxed);
            m.fetch_add(matched, Ordering::Relaxed);
        }
    }
}

impl Map {
    pub(crate) fn new(name: &str, source: model::RouteMap) -> Map {
        Map {
            name: name.to_owned(),
            counters: Arc::new(Counters::new(&source)),
            source,
            entries: Vec::new(),
        }
    }
}

impl PartialEq for CompiledRouteMap {
    fn eq(&self, other: &CompiledRouteMap) -> bool {
        let same_map = |(one, other): (&Map, &Map)| {
            one.name == other.name && one.source.entries == other.source.entries
        };
        let same_list =
            |(one, other): (&Arc<dyn SameList>, &Arc<dyn SameList>)| one.same(other.as_ref());
        (&self.name, self.router, &self.uses) == (&other.name, other.router, &other.uses)
            && (!self.uses_rpki || self.validation.is_same(&other.validation))
            && self.maps.len() == other.maps.len()
            && self.maps.iter().zip(&other.maps).all(same_map)
            && self.lists.len() == other.lists.len()
            && self.lists.iter().zip(&other.lists).all(same_list)
    }
}

/// What a route map makes of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It is denied.
    Denied,
    /// It is permitted as it is.
    Unchanged,
    /// It is permitted with changes.
    Changed(Box<Changed>),
}

// ===== impl CompiledRouteMap =====

impl CompiledRouteMap {
    pub(crate) fn new(
        name: &str,
        sources: &model::Lists<model::RouteMap>,
        lists: &Lists,
        (validation, router): (&Validation, Router),
    ) -> CompiledRouteMap {
        let mut linker = Linker::new(lists, sources, validation);
        linker.link(name);
        let Linker {
            uses, places, maps, ..
        } = linker;
        let mut map = CompiledRouteMap {
            name: name.to_owned(),
            number: number(),
            entries: maps.iter().map(|map| map.entries.len()).sum(),
            maps,
            places,
            router,
            lists: uses.iter().flat_map(|object| lists.get(object)).collect(),
            uses,
            export_depends_on_peer: false,
            may_deny: true,
            uses_rpki: false,
            validation: validation.clone(),
        };
        map.export_depends_on_peer = map.any_line(match_of_peer, set_of_peer);
        map.uses_rpki = map.any_line(|line| matches!(line, Match::Rpki(_)), |_| false);
        map.may_deny = map.can_deny(0, 0, &mut BTreeMap::new());
        map
    }

    /// The same with other ROAs; counters go on.
    pub(crate) fn with_roas(&self, roas: &Arc<RoaTable>) -> CompiledRouteMap {
        let mut map = CompiledRouteMap {
            // Outcomes that were kept are those of the ROAs before.
            number: number(),
            ..self.clone()
        };
        map.validation.roas = Arc::clone(roas);
        let entries = map.maps.iter_mut().flat_map(|map| &mut map.entries);
        for condition in entries.flat_map(|entry| &mut entry.per_prefix) {
            if let Test::Rpki(_, by) = &mut condition.test {
                by.roas = Arc::clone(roas);
            }
        }
        map
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it uses, itself included: whether it exists or not.
    pub const fn uses(&self) -> &BTreeSet<Object> {
        &self.uses
    }

    /// Whether anything depends on the peer that a route goes to, but for
    /// whether it is internal or external.
    pub const fn export_depends_on_peer(&self) -> bool {
        self.export_depends_on_peer
    }

    /// Whether it denies any route.
    pub const fn may_deny(&self) -> bool {
        self.may_deny
    }

    /// Whether it asks for origin validation.
    pub const fn uses_rpki(&self) -> bool {
        self.uses_rpki
    }

    /// How often it was asked, counted over all that share it.
    pub fn counters(&self) -> Option<&Arc<Counters>> {
        self.maps.first().map(|map| &map.counters)
    }

    /// The counters of this map and those that it calls, by name.
    pub(crate) fn all_counters(&self) -> impl Iterator<Item = (String, Arc<Counters>)> + '_ {
        let maps = self.maps.iter();
        maps.map(|map| (map.name.clone(), Arc::clone(&map.counters)))
    }

    /// Counts into the counters of another compilation, where the entries of a
    /// map are the same; `find` gives them by name.
    pub(crate) fn share_counters(&mut self, find: impl Fn(&str) -> Option<Arc<Counters>>) {
        for map in &mut self.maps {
            let seqs = |counters: &Counters| -> Vec<u16> {
                counters.entries.iter().map(|(seq, _)| *seq).collect()
            };
            if let Some(counters) = find(&map.name)
                && seqs(&counters) == seqs(&map.counters)
            {
                map.counters = counters;
            }
        }
    }

    /// Asks it about one route.
    ///
    /// What does not depend on the prefix is found out once for one value of
    /// [`Attributes`](holdfast_rib::Attributes).
    pub fn apply(self: &Arc<Self>, route: &RouteView<'_>) -> Applied {
        let memo = route.attributes.memo(self.number, || Memo::shared(self));
        let mut memo = memo.borrow_mut();
        let outcome = memo.walk(self, route, &mut NoVisitor);
        outcome_to_applied(outcome, &memo, route)
    }

    /// The same, and what happened on the way.
    pub fn explain(&self, route: &RouteView<'_>) -> (Applied, Trace) {
        let mut memo = Memo::new(None);
        let mut trace = Trace::default();
        let outcome = memo.walk(self, route, &mut trace);
        (outcome_to_applied(outcome, &memo, route), trace)
    }

    /// The same, and neither counted nor told.
    pub fn peek(&self, route: &RouteView<'_>) -> Applied {
        let mut memo = Memo::new(None);
        let outcome = memo.walk(self, route, &mut NoVisitor);
        outcome_to_applied(outcome, &memo, route)
    }

    // ===== what can be said of it =====

    fn any_line(&self, of_match: fn(&Match) -> bool, of_set: fn(&Set) -> bool) -> bool {
        self.maps.iter().flat_map(|map| &map.entries).any(|entry| {
            let conditions = entry.per_set.iter().chain(&entry.per_prefix);
            conditions.map(|c| &c.source).any(of_match)
                || entry.changes.iter().map(|c| &c.source).any(of_set)
        })
    }

    /// Whether a walk through a map can end with a denial. Every `match` line
    /// may hold or not.
    ///
    /// `cleared` has the maps that cannot, by how deep they were when that was
    /// found out.
    fn can_deny(&self, number: usize, depth: usize, cleared: &mut BTreeMap<usize, usize>) -> bool {
        let Some(map) = self.maps.get(number).filter(|_| depth <= CALLS_MAX) else {
            return true;
        };
        if cleared
            .get(&number)
            .is_some_and(|deepest| depth <= *deepest)
        {
            return false;
        }
        // Positions that can be reached, with whether a route is permitted
        // that gets no further.
        let mut left = vec![(0, false)];
        let mut seen = BTreeSet::new();
        while let Some((at, permitted)) = left.pop() {
            if !seen.insert((at, permitted)) {
                continue;
            }
            let Some(entry) = map.entries.get(at) else {
                if permitted {
                    continue;
                }
                return true;
            };
            let called = entry.call.as_ref().and_then(|(_, map)| *map);
            if entry.action == Action::Deny
                || called.is_some_and(|called| self.can_deny(called, depth + 1, cleared))
            {
                return true;
            }
            if let Then::At(next) = entry.then {
                left.push((next, true));
            }
            if !(entry.per_set.is_empty() && entry.per_prefix.is_empty()) {
                left.push((at + 1, false));
            }
        }
        cleared.insert(number, depth);
        false
    }
}

fn outcome_to_applied(outcome: Outcome, memo: &Memo, route: &RouteView<'_>) -> Applied {
    match outcome {
        Outcome::Denied => Applied::Denied,
        Outcome::Permitted(state) => match memo.kept(state).map(Kept::changed) {
            Some(changed) if changed.differs(route) => Applied::Changed(Box::new(changed)),
            _ => Applied::Unchanged,
        },
    }
}

fn match_of_peer(line: &Match) -> bool {
    matches!(
        line,
        Match::Peer(PeerMatch::Address(_) | PeerMatch::Interface(_))
    )
}

fn set_of_peer(line: &Set) -> bool {
    match line {
        Set::NextHop(hop) => *hop == NextHopSet::PeerAddress,
        Set::Ipv6NextHopPeerAddress => true,
        Set::Metric(metric) => matches!(
            metric,
            MetricSet::Rtt | MetricSet::AddRtt | MetricSet::SubtractRtt
        ),
        Set::AsPathReplace(replace) => replace.to.is_none(),
        _ => false,
    }
}

// ===== lists that are compared =====

/// A list that can be compared with another one, whatever their kinds.
pub(crate) trait SameList: core::fmt::Debug + Send + Sync {
    fn same(&self, other: &dyn SameList) -> bool;
    fn as_any(&self) -> &dyn core::any::Any;
}

impl<L: PartialEq + core::fmt::Debug + Send + Sync + 'static> SameList for L {
    fn same(&self, other: &dyn SameList) -> bool {
        let other = other.as_any().downcast_ref::<L>();
        other.is_some_and(|other| core::ptr::eq(self, other) || self == other)
    }

    fn as_any(&self) -> &dyn core::any::Any {
        self
    }
}

impl Lists {
    /// The list that is meant, or the communities with an alias.
    fn get(&self, object: &Object) -> Option<Arc<dyn SameList>> {
        fn of<L: SameList + 'static>(list: Option<&Arc<L>>) -> Option<Arc<dyn SameList>> {
            let list: Arc<dyn SameList> = Arc::<L>::clone(list?);
            Some(list)
        }
        let name = &object.name;
        match object.kind {
            ObjectKind::IpPrefixList => of(self.ip_prefix.get(name)),
            ObjectKind::Ipv6PrefixList => of(self.ipv6_prefix.get(name)),
            ObjectKind::AccessList => of(self.access.get(name)),
            ObjectKind::Ipv6AccessList => of(self.ipv6_access.get(name)),
            ObjectKind::AsPathList => of(self.as_path.get(name)),
            ObjectKind::CommunityList => of(self.community.get(name)),
            ObjectKind::LargeCommunityList => of(self.large.get(name)),
            ObjectKind::ExtCommunityList => of(self.extended.get(name)),
            ObjectKind::CommunityAlias => {
                let named = self.aliases.iter().filter(|(_, alias)| *alias == name);
                let named: Vec<String> = named.map(|(text, _)| text.clone()).collect();
                Some(Arc::new(named))
            }
            // Those are compared by themselves.
            ObjectKind::RouteMap => None,
        }
    }
}
