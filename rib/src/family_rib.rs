//! The routes of one family: Adj-RIB-In and Loc-RIB in one table, Adj-RIB-Out
//! beside it. Every change of a prefix goes the same way: look at what was
//! (`Before`), change its paths, decide again, and tell who has to know.

use std::sync::Arc;

use bgp_wire::update::Nlri;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::aggregating::{Aggregates, Contribution, contribution};
use crate::attrs::{AttrId, AttrRef};
use crate::bandwidth::{Carried, carried};
use crate::dampening::Flaps;
use crate::decision::{
    Appended, Candidate, Rules, Step, appended, compare, in_line, joined, parted, removal_is_idle,
    select,
};
use crate::gate::Gate;
use crate::group::Groups;
use crate::import::{Imported, Importer};
use crate::local::{LocalRoute, LocalSource};
use crate::path::{Parts, Path, Reach};
use crate::peer::PeerId;
use crate::policy::{Attributes, ForwardingPolicy};
use crate::shared::Shared;
use crate::slots::SlotSet;
use crate::table::{Outcome, Place, RibFamily, Table};
use crate::transform::Route;
use crate::view::{PathSource, PeerCounters, Rejection, TableSummary};
use crate::watch::Watched;

/// Prefixes that are looked up together, so that the processor waits for
/// several places of memory at once.
const TOGETHER: usize = 64;

/// Decides once more on the routes of a peer that share attributes.
type Reimporter = (Importer, Attributes<'static>);

/// How many of those are kept: they have the attributes taken apart.
const REIMPORTERS_MAX: usize = 4096;

pub(crate) type Reimporters = HashMap<AttrId, Option<Reimporter>, RandomState>;

/// What a peer's paths come to.
#[derive(Debug, Default)]
pub(crate) struct AdjRibIn {
    /// Prefixes of which the peer has a path.
    pub(crate) slots: SlotSet,
    /// Those of them that are to pass through import once more.
    pub(crate) again: SlotSet,
    received: usize,
    accepted: usize,
    /// The family was negotiated in the session that is up.
    pub(crate) negotiated: bool,
}

#[derive(Debug)]
pub(crate) struct FamilyRib<F: RibFamily> {
    pub(crate) table: Table<F>,
    pub(crate) ins: Vec<AdjRibIn>,
    pub(crate) groups: Groups,
    /// Prefixes whose forwarding may have changed.
    pub(crate) fib_dirty: SlotSet,
    /// Where the walk through these goes on: who changes all the time must not
    /// keep others waiting.
    pub(crate) fib_cursor: u32,
    /// What happens again is counted.
    pub(crate) in_round: bool,
    /// What was reported in this round.
    pub(crate) fib_given: SlotSet,
    /// What got another best path in this round, how often in all, and how
    /// often again.
    best_changed: SlotSet,
    churn: (usize, usize),
    /// Of those to look at, those that are reported though nothing about them changed.
    pub(crate) fib_repeat: SlotSet,
    /// Prefixes that the kernel has a route of another origin for, in place of
    /// ours.
    pub(crate) refused: SlotSet,
    /// What the kernel said of prefixes, while peers are told by it.
    pub(crate) gate: Option<Box<Gate>>,
    /// Prefixes whose best paths changed, while somebody wants to know.
    pub(crate) watched: Watched,
    /// What decides what the forwarding table is told.
    pub(crate) forwarding_policy: Option<Arc<dyn ForwardingPolicy>>,
    /// The aggregates, if there are any.
    pub(crate) aggregates: Option<Box<Aggregates<F>>>,
    /// The routes that flapped, while some peer's are damped.
    pub(crate) flaps: Option<Box<Flaps>>,
    /// Attributes of ghosts that nobody needs, to be released.
    laid: Vec<AttrId>,
    summary: TableSummary,
}

/// A prefix before a change.
pub(crate) struct Before {
    best: Option<Identity>,
    /// The paths used beside the best, where somebody watches.
    multipath: Vec<Identity>,
    accepted: bool,
}

/// What tells one best path from another, as far as anybody is told of it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Identity {
    source: PathSource,
    path_id: u32,
    attributes: Option<AttrId>,
    distance: u32,
    /// Together with the paths used beside it.
    carried: Carried,
    /// An aggregate stands for it.
    suppressed: bool,
}

impl Identity {
    fn of(shared: &Shared, path: &Path, carried: Carried) -> Identity {
        Identity {
            source: path.source(),
            path_id: path.path_id,
            attributes: path.post,
            distance: path.distance(shared),
            carried,
            suppressed: false,
        }
    }

    fn contribution(self) -> Option<Contribution> {
        contribution(self.source, self.attributes)
    }

    fn route(self) -> Option<Route> {
        Some(Route {
            attributes: self.attributes?,
            source: self.source,
            distance: self.distance,
            carried: self.carried,
            suppressed: self.suppressed,
        })
    }
}

// ===== Changes =====

impl<F: RibFamily> FamilyRib<F> {
    pub(crate) fn new() -> FamilyRib<F> {
        FamilyRib {
            table: Table::new(),
            ins: Vec::new(),
            groups: Groups::default(),
            fib_dirty: SlotSet::default(),
            fib_cursor: 0,
            in_round: false,
            fib_given: SlotSet::default(),
            best_changed: SlotSet::default(),
            churn: (0, 0),
            fib_repeat: SlotSet::default(),
            refused: SlotSet::default(),
            gate: None,
            watched: Watched::default(),
            forwarding_policy: None,
            aggregates: None,
            flaps: None,
            laid: Vec::new(),
            summary: TableSummary::default(),
        }
    }

    /// Whether the peer is up with this family.
    pub(crate) fn is_negotiated(&self, peer: PeerId) -> bool {
        let adj = self.ins.get(peer.0 as usize);
        adj.is_some_and(|adj| adj.negotiated)
    }

    /// Puts routes of a peer in that share attributes. How many it were, how
    /// many of them are not used, and why the first of those.
    pub(crate) fn announce(
        &mut self,
        shared: &mut Shared,
        (peer, set, now): (PeerId, &AttrRef, u64),
        mut prefixes: impl Iterator<Item = Nlri<F::Prefix>>,
    ) -> (u32, u32, Option<Rejection>) {
        let mut done = (0, 0, None);
        if !self.is_negotiated(peer) {
            return done;
        }
        let Some(mut importer) = Importer::new(shared, peer, F::FAMILY, set) else {
            return done;
        };
        let set = importer.set();
        let attributes = Attributes::of(&set);
        let mut slots: SmallVec<[(u32, Nlri<F::Prefix>); TOGETHER]> = SmallVec::new();
        loop {
            slots.clear();
            for nlri in prefixes.by_ref().take(TOGETHER) {
                slots.push((self.table.find_or_add(nlri.prefix), nlri));
            }
            if slots.is_empty() {
                return done;
            }
            for (slot, nlri) in &slots {
                let imported = importer.import(shared, nlri.prefix.into(), &attributes);
                done.0 += 1;
                done.1 += u32::from(imported.rejected.is_some());
                done.2 = done.2.or(imported.rejected);
                let path = received_path((peer, nlri.path_id), importer.pre, imported, now);
                self.put(shared, *slot, path);
            }
        }
    }

    /// Removes routes of a peer, those that are there; how many were named.
    pub(crate) fn withdraw(
        &mut self,
        shared: &mut Shared,
        peer: PeerId,
        mut prefixes: impl Iterator<Item = Nlri<F::Prefix>>,
    ) -> u32 {
        let mut count = 0;
        if !self.is_negotiated(peer) {
            return count;
        }
        let mut slots: SmallVec<[(Option<u32>, u32); TOGETHER]> = SmallVec::new();
        loop {
            slots.clear();
            for nlri in prefixes.by_ref().take(TOGETHER) {
                slots.push((self.table.find(&nlri.prefix), nlri.path_id));
            }
            if slots.is_empty() {
                return count;
            }
            for (slot, path_id) in &slots {
                count += 1;
                if let Some(slot) = slot {
                    if self.flaps.is_some() {
                        self.note_withdrawal(shared, *slot, (peer, *path_id));
                    }
                    let of = |path: &Path| path.path_id == *path_id;
                    self.remove(shared, *slot, PathSource::Peer(peer), of);
                }
            }
        }
    }

    /// Puts one of our own routes in.
    pub(crate) fn originate(
        &mut self,
        shared: &mut Shared,
        prefix: F::Prefix,
        route: LocalRoute,
        now: u64,
    ) {
        let set = AttrRef::weighted(&route.attributes, route.weight);
        shared.now = now;
        self.put_local(shared, prefix, (route.source, &set));
    }

    /// Puts one of our own routes in, at the time of the last event.
    pub(crate) fn put_local(
        &mut self,
        shared: &mut Shared,
        prefix: F::Prefix,
        (source, set): (LocalSource, &AttrRef),
    ) {
        let Some(id) = shared.interner.intern(set) else {
            return;
        };
        let slot = self.table.find_or_add(prefix);
        let path = Path::new(Parts {
            pre: id,
            post: Some(id),
            source: PathSource::Local(source),
            path_id: 0,
            updated: shared.now,
            rejected: None,
            imported: false,
        });
        self.put(shared, slot, path);
    }

    /// Removes one of our own routes, if it is there.
    pub(crate) fn withdraw_local(
        &mut self,
        shared: &mut Shared,
        prefix: F::Prefix,
        source: LocalSource,
    ) {
        if let Some(slot) = self.table.find(&prefix) {
            self.remove(shared, slot, PathSource::Local(source), |_| true);
        }
    }

    /// Removes the peer's paths that `gone` says.
    pub(crate) fn drop_paths(
        &mut self,
        shared: &mut Shared,
        peer: PeerId,
        gone: impl Fn(&Path) -> bool,
    ) {
        self.for_each_slot(peer, |rib, slot| {
            rib.remove(shared, slot, PathSource::Peer(peer), &gone);
        });
        if let Some(adj) = self.ins.get_mut(peer.0 as usize)
            && adj.slots.is_empty()
        {
            adj.slots = SlotSet::default();
        }
    }

    /// Marks the peer's paths stale. Stale paths stay in the decision as they
    /// were.
    pub(crate) fn mark_stale(&mut self, peer: PeerId) {
        let source = PathSource::Peer(peer);
        self.for_each_slot(peer, |rib, slot| {
            for place in rib.places(slot, source) {
                if let Some(path) = rib.table.path_mut(slot, place) {
                    path.set_stale(true);
                }
            }
        });
    }

    /// Where the paths of a source are.
    pub(crate) fn places(&self, slot: u32, source: PathSource) -> SmallVec<[Place; 4]> {
        let paths = self.table.paths(slot);
        paths
            .filter(|(_, path)| path.is_of(source))
            .map(|(place, _)| place)
            .collect()
    }

    /// Passes the peer's routes through import once more.
    pub(crate) fn reimport(&mut self, shared: &mut Shared, peer: PeerId) {
        // Prefixes that share attributes are all over the table.
        let mut importers = Reimporters::default();
        if let Some(adj) = self.ins.get_mut(peer.0 as usize) {
            adj.again = SlotSet::default();
        }
        self.for_each_slot(peer, |rib, slot| {
            rib.reimport_slot(shared, (peer, slot), &mut importers);
        });
    }

    /// The same for one prefix.
    pub(crate) fn reimport_slot(
        &mut self,
        shared: &mut Shared,
        (peer, slot): (PeerId, u32),
        importers: &mut Reimporters,
    ) {
        let Some(prefix) = self.table.get(slot).map(|entry| entry.prefix) else {
            return;
        };
        let before = self.before(shared, slot);
        let mut changed = false;
        for place in self.places(slot, PathSource::Peer(peer)) {
            let Some(old) = self.table.path_mut(slot, place).map(|path| *path) else {
                continue;
            };
            if importers.len() >= REIMPORTERS_MAX {
                importers.clear();
            }
            let importer = importers.entry(old.pre).or_insert_with(|| {
                let set = shared.interner.set(old.pre).cloned()?;
                let importer = Importer::new(shared, peer, F::FAMILY, &set)?;
                let attributes = Attributes::keeping(importer.set());
                Some((importer, attributes))
            });
            let Some((importer, attributes)) = importer else {
                continue;
            };
            let imported = importer.import(shared, prefix.into(), attributes);
            let mut path = received_path((peer, old.path_id), old.pre, imported, old.updated());
            path.set_stale(old.stale());
            path.set_damped(self.is_suppressing((slot, peer, old.path_id)));
            changed |= self.replace(shared, slot, place, path);
        }
        if changed {
            self.decide(shared, slot, before);
        }
    }

    /// Decides again for the paths of a next hop, which had the metric `was`
    /// until now. Of a prefix with paths of several peers by it, the first one's
    /// turn is that of all.
    pub(crate) fn next_hop_changed(
        &mut self,
        shared: &mut Shared,
        peer: PeerId,
        (id, was): (u32, u32),
    ) {
        self.for_each_slot(peer, |rib, slot| {
            let by_it = |path: &Path| path.reach(&shared.interner) == Reach::Tracked(id);
            let paths = rib.table.paths(slot).map(|(_, path)| path);
            let users = paths.filter(|path| by_it(path)).map(Path::source);
            if users.min() != Some(PathSource::Peer(peer)) {
                return;
            }
            let mut before = rib.before(shared, slot);
            let entry = rib.table.get(slot);
            if let Some(told) = &mut before.best
                && let Some(best) = entry.and_then(|entry| entry.best())
                && by_it(best)
                && best.post.is_some_and(|post| shared.interner.has_aigp(post))
            {
                told.distance = was;
            }
            rib.decide(shared, slot, before);
        });
    }

    /// Decides again for every prefix.
    pub(crate) fn decide_all(&mut self, shared: &mut Shared) {
        for slot in 0..self.table.end() {
            self.decide_again(shared, slot);
        }
    }

    pub(crate) fn decide_again(&mut self, shared: &mut Shared, slot: u32) {
        let before = self.before(shared, slot);
        self.decide(shared, slot, before);
    }

    /// Calls for each prefix of which the peer has a path; the call may take
    /// it away.
    pub(crate) fn for_each_slot(&mut self, peer: PeerId, mut call: impl FnMut(&mut Self, u32)) {
        let mut from = 0;
        while let Some(slot) = self
            .ins
            .get(peer.0 as usize)
            .and_then(|peer| peer.slots.next_from(from))
        {
            call(self, slot);
            from = slot.saturating_add(1);
        }
    }

    // ===== paths in and out =====

    /// Puts a path in place of the one with the same source and identifier.
    fn put(&mut self, shared: &mut Shared, slot: u32, path: Path) {
        let source = path.source();
        let known = match source {
            PathSource::Local(_) => true,
            PathSource::Peer(peer) => {
                let adj = self.ins.get(peer.0 as usize);
                adj.is_some_and(|adj| adj.slots.contains(slot))
            }
        };
        let place = known.then(|| {
            let mut paths = self.table.paths(slot);
            paths.find(|(_, p)| p.is_of(source) && p.path_id == path.path_id)
        });
        let place = place.flatten().map(|(place, _)| place);
        let path = match &self.flaps {
            Some(_) => self.judge(shared, slot, place, path),
            None => path,
        };
        self.lay_ghost(shared, slot);
        let before = self.before(shared, slot);
        match place {
            Some(place) => {
                if self.replace(shared, slot, place, path) {
                    self.decide(shared, slot, before);
                }
            }
            None => {
                self.note(shared, slot, &path);
                if let Some(place) = self.table.add_path(slot, path) {
                    self.decide_added(shared, slot, place, before);
                }
            }
        }
    }

    /// A prefix comes back: what it was until it was gone is noted by those
    /// who were told of it.
    fn lay_ghost(&mut self, shared: &mut Shared, slot: u32) {
        let Some(ghost) = self.table.take_ghost(slot) else {
            return;
        };
        if let Some(told) = ghost.route(shared, Carried::default()) {
            for group in self.groups.iter_mut() {
                group.note(slot, told, &mut shared.interner);
            }
        }
        shared.interner.release(ghost.pre);
    }

    /// Puts a path in place of another; whether anything changed.
    fn replace(&mut self, shared: &mut Shared, slot: u32, place: Place, mut path: Path) -> bool {
        self.note(shared, slot, &path);
        let Some(old) = self.table.path_mut(slot, place) else {
            return false;
        };
        let changed = path.succeed(old);
        let old = core::mem::replace(old, path);
        self.forget(shared, &old);
        changed
    }

    /// Removes the paths of a source that `gone` says.
    fn remove(
        &mut self,
        shared: &mut Shared,
        slot: u32,
        source: PathSource,
        gone: impl Fn(&Path) -> bool,
    ) {
        let gone = |path: &Path| path.is_of(source) && gone(path);
        let mut paths = self.table.paths(slot);
        if !paths.any(|(_, path)| gone(path)) {
            return;
        }
        drop(paths);
        let before = self.before(shared, slot);
        let mut removed: SmallVec<[Path; 4]> = SmallVec::new();
        self.table
            .remove_paths(slot, gone, |path| removed.push(path));
        for old in &removed {
            self.forget(shared, old);
            if self.flaps.is_some() {
                self.forget_flaps(slot, old);
            }
        }
        if let PathSource::Peer(peer) = source
            && !self.table.paths(slot).any(|(_, path)| path.is_of(source))
            && let Some(adj) = self.ins.get_mut(peer.0 as usize)
        {
            adj.slots.remove(slot);
        }
        let forwarding = match removed.as_slice() {
            [gone] if self.is_idle_removal(shared, slot, gone) => Some(false),
            [gone] => self.part(shared, slot, gone),
            _ => None,
        };
        match forwarding {
            Some(forwarding) => self.conclude(shared, slot, &before, forwarding),
            None => self.decide(shared, slot, before),
        }
    }

    /// Takes note that a path other than the best one is gone, where the paths
    /// are in line. Whether what packets go by is another for it; none where a
    /// decision has to be made.
    fn part(&mut self, shared: &Shared, slot: u32, gone: &Path) -> Option<bool> {
        let entry = self.table.get(slot)?;
        if !entry.outcome.in_line() || gone.best() {
            return None;
        }
        let (prefix, reason) = (entry.prefix, entry.reason?);
        let best = entry.best()?.candidate(shared, prefix)?;
        let max_paths = shared.config.max_paths(F::FAMILY);
        let used = self.used(slot) + usize::from(gone.multipath());
        let candidate = gone.candidate(shared, prefix)?;
        let step = parted((&best, used), &candidate, &shared.config, max_paths)?;
        let mut others = self.table.paths(slot).map(|(_, path)| path);
        let lost_there = |path: &Path| {
            let rules = Rules::new(&shared.config, max_paths);
            let other = path.candidate(shared, prefix).filter(|_| !path.best());
            other.is_some_and(|other| compare(&other, &best, rules).1 == reason)
        };
        if step >= reason && !others.any(lost_there) {
            return None;
        }
        drop(others);
        if gone.multipath() && used == 2 {
            self.clear_multipath(slot);
        }
        Some(gone.multipath())
    }

    /// How many paths are used together.
    fn used(&self, slot: u32) -> usize {
        let paths = self.table.paths(slot);
        paths.filter(|(_, path)| path.multipath()).count()
    }

    /// The best path is used alone.
    fn clear_multipath(&mut self, slot: u32) {
        if let Some(best) = self.table.path_mut(slot, Place::First) {
            best.set_multipath(false);
        }
        if let Some(entry) = self.table.get_mut(slot) {
            entry.outcome = Outcome::new(false, entry.outcome.in_line());
        }
    }

    /// Whether a path that was removed made no difference.
    fn is_idle_removal(&self, shared: &Shared, slot: u32, gone: &Path) -> bool {
        let Some(entry) = self.table.get(slot) else {
            return false;
        };
        let prefix = entry.prefix;
        match (
            entry.best().zip(entry.reason),
            gone.candidate(shared, prefix),
        ) {
            (_, None) => !gone.best(),
            (None, Some(_)) => false,
            (Some((best, reason)), Some(gone)) => best
                .candidate(shared, prefix)
                .is_some_and(|best| removal_is_idle(&best, reason, &gone)),
        }
    }

    /// Counts a path that comes in.
    fn note(&mut self, shared: &mut Shared, slot: u32, path: &Path) {
        if let Some((id, user)) = path.track_key(&shared.interner, F::FAMILY) {
            shared.tracker.hold(id, user);
        }
        shared.interner.hold(path.pre);
        if let Some(post) = path.post {
            shared.interner.hold(post);
        }
        let accepted = usize::from(path.post.is_some());
        self.summary.paths += accepted;
        if let PathSource::Peer(peer) = path.source()
            && let Some(adj) = self.ins.get_mut(peer.0 as usize)
        {
            adj.slots.insert(slot);
            adj.received += 1;
            adj.accepted += accepted;
        }
    }

    /// Takes a path that is gone out of the counts.
    fn forget(&mut self, shared: &mut Shared, path: &Path) {
        if let Some((id, user)) = path.track_key(&shared.interner, F::FAMILY) {
            shared.tracker.release(id, user);
        }
        shared.interner.release(path.pre);
        if let Some(post) = path.post {
            shared.interner.release(post);
        }
        let accepted = usize::from(path.post.is_some());
        self.summary.paths -= accepted;
        if let PathSource::Peer(peer) = path.source()
            && let Some(adj) = self.ins.get_mut(peer.0 as usize)
        {
            adj.received -= 1;
            adj.accepted -= accepted;
        }
    }

    // ===== the decision =====

    pub(crate) fn before(&self, shared: &Shared, slot: u32) -> Before {
        let entry = self.table.get(slot);
        let best = entry.and_then(|entry| entry.best());
        let suppressed = self.is_suppressed(slot);
        Before {
            best: best.map(|best| Identity {
                suppressed,
                ..Identity::of(shared, best, carried(&self.table, shared, slot))
            }),
            multipath: self.multipath(shared, slot),
            accepted: self.is_accepted(slot),
        }
    }

    /// Whether the prefix has a path that import policy accepted.
    pub(crate) fn is_accepted(&self, slot: u32) -> bool {
        self.table.paths(slot).any(|(_, path)| path.post.is_some())
    }

    /// The paths used beside the best, where somebody wants to know.
    fn multipath(&self, shared: &Shared, slot: u32) -> Vec<Identity> {
        if !self.watched.is_watched() {
            return Vec::new();
        }
        let paths = self.table.paths(slot).map(|(_, path)| path);
        let used = paths.filter(|path| path.multipath() && !path.best());
        let mut used: Vec<Identity> = used
            .map(|path| Identity::of(shared, path, Carried::default()))
            .collect();
        used.sort_unstable_by_key(|path| (path.source, path.path_id));
        used
    }

    /// Decides for a prefix that got one more path. Mostly the new path and
    /// the best one differ at a step that is the same for all comparisons;
    /// then the other paths need not be looked at.
    fn decide_added(&mut self, shared: &mut Shared, slot: u32, place: Place, before: Before) {
        let Some(entry) = self.table.get(slot) else {
            return;
        };
        let (several, best) = (entry.has_several(), entry.best().copied());
        let (prefix, outcome) = (entry.prefix, entry.outcome);
        let reason = entry.reason.unwrap_or(Step::OnlyPath);
        if !several {
            let valid = entry
                .first()
                .is_some_and(|path| path.is_usable(shared, prefix));
            return self.choose_first(shared, slot, valid.then_some(Step::OnlyPath), before);
        }
        let new = self.table.path_mut(slot, place).map(|path| *path);
        let (Some(best), Some(new)) = (best, new) else {
            return self.decide(shared, slot, before);
        };
        let Some(candidate) = new.candidate(shared, prefix) else {
            return self.conclude(shared, slot, &before, false);
        };
        let Some(against) = best.candidate(shared, prefix) else {
            return self.decide(shared, slot, before);
        };
        let in_line = outcome.in_line() && in_line(&[candidate, against], &shared.config);
        let max_paths = shared.config.max_paths(F::FAMILY);
        let added = match appended(&against, reason, &candidate) {
            Appended::Unclear if in_line => {
                let used = match outcome.multipath() {
                    true => self.used(slot),
                    false => 1,
                };
                let present = (&against, reason, used);
                joined(present, &candidate, &shared.config, max_paths)
            }
            known => known,
        };
        if let Some(entry) = self.table.get_mut(slot) {
            entry.outcome = Outcome::new(outcome.multipath(), in_line);
        }
        match added {
            Appended::Unclear => self.decide(shared, slot, before),
            Appended::Loses(reason) => {
                if let Some(entry) = self.table.get_mut(slot) {
                    entry.reason = Some(reason);
                }
                self.conclude(shared, slot, &before, false);
            }
            Appended::Wins(reason) => {
                self.clear_marks(slot);
                self.table.bring_forward(slot, place);
                self.choose_first(shared, slot, Some(reason), before);
            }
            Appended::Beside(reason) | Appended::Leads(reason) => {
                let leads = matches!(added, Appended::Leads(_));
                self.join(slot, place, leads);
                if let Some(entry) = self.table.get_mut(slot) {
                    entry.reason = Some(reason);
                    entry.outcome = Outcome::new(true, in_line);
                }
                self.conclude(shared, slot, &before, true);
            }
        }
    }

    /// Uses the path beside the best one, or as the best one.
    fn join(&mut self, slot: u32, place: Place, leads: bool) {
        if let Some(best) = self.table.path_mut(slot, Place::First) {
            best.set_multipath(true);
            best.set_best(!leads);
        }
        if let Some(new) = self.table.path_mut(slot, place) {
            new.set_multipath(true);
            new.set_best(leads);
        }
        if leads {
            self.table.bring_forward(slot, place);
        }
    }

    fn clear_marks(&mut self, slot: u32) {
        let places: SmallVec<[Place; 16]> =
            self.table.paths(slot).map(|(place, _)| place).collect();
        for place in places {
            if let Some(path) = self.table.path_mut(slot, place) {
                path.set_best(false);
                path.set_multipath(false);
            }
        }
    }

    /// Makes the first path the best, used alone, or no path.
    fn choose_first(
        &mut self,
        shared: &mut Shared,
        slot: u32,
        reason: Option<Step>,
        before: Before,
    ) {
        if let Some(path) = self.table.path_mut(slot, Place::First) {
            path.set_best(reason.is_some());
            path.set_multipath(false);
        }
        if let Some(entry) = self.table.get_mut(slot) {
            entry.reason = reason;
            // One path is in line with itself.
            let in_line = entry.outcome.in_line() || !entry.has_several();
            entry.outcome = Outcome::new(false, in_line);
        }
        self.conclude(shared, slot, &before, true);
    }

    /// Decides for a prefix whose paths changed, and notes who has to know.
    pub(crate) fn decide(&mut self, shared: &mut Shared, slot: u32, before: Before) {
        let Some(entry) = self.table.get(slot) else {
            return;
        };
        let prefix = entry.prefix;
        if !entry.has_several() {
            let usable = entry
                .first()
                .is_some_and(|path| path.is_usable(shared, prefix));
            return self.choose_first(shared, slot, usable.then_some(Step::OnlyPath), before);
        }
        let mut places: SmallVec<[Place; 8]> = SmallVec::new();
        let mut candidates: SmallVec<[Candidate<'_>; 8]> = SmallVec::new();
        for (place, path) in self.table.paths(slot) {
            if let Some(candidate) = path.candidate(shared, prefix) {
                places.push(place);
                candidates.push(candidate);
            }
        }
        let max_paths = shared.config.max_paths(F::FAMILY);
        let choice = select(&candidates, &shared.config, max_paths);
        let in_line = in_line(&candidates, &shared.config);
        drop(candidates);
        self.clear_marks(slot);
        let place = |at: usize| places.get(at).copied();
        let mut best = None;
        if let Some(choice) = &choice {
            for at in choice.multipath.iter() {
                if let Some(path) = place(*at).and_then(|at| self.table.path_mut(slot, at)) {
                    path.set_multipath(true);
                }
            }
            best = place(choice.best);
        }
        if let Some(best) = best {
            if let Some(path) = self.table.path_mut(slot, best) {
                path.set_best(true);
            }
            self.table.bring_forward(slot, best);
        }
        if let Some(entry) = self.table.get_mut(slot) {
            let multipath = choice.as_ref().is_some_and(|c| !c.multipath.is_empty());
            entry.outcome = Outcome::new(multipath, in_line);
            entry.reason = choice.map(|choice| choice.reason);
        }
        self.conclude(shared, slot, &before, true);
    }

    /// Notes who has to know of a decision. `forwarding` is false where what
    /// packets go by is as it was.
    fn conclude(&mut self, shared: &mut Shared, slot: u32, before: &Before, forwarding: bool) {
        let accepted = self.is_accepted(slot);
        self.summary.prefixes += usize::from(accepted);
        self.summary.prefixes -= usize::from(before.accepted);
        let multipath = self.multipath(shared, slot);
        let carried = carried(&self.table, shared, slot);
        let best = self.table.get(slot).and_then(|entry| entry.best());
        let mut best = best.map(|best| Identity::of(shared, best, carried));
        let [was, is] = [before.best, best].map(|best| best?.contribution());
        let suppressed = self.contribute(shared, slot, (was, is));
        if let Some(best) = &mut best {
            best.suppressed = suppressed;
        }
        let Some(entry) = self.table.get_mut(slot) else {
            return;
        };
        if forwarding && shared.forwarding && (entry.fib.is_some() || entry.reason.is_some()) {
            self.fib_dirty.insert(slot);
        }
        let new_best = best != before.best;
        if new_best {
            if self.in_round {
                self.churn.0 += 1;
                self.churn.1 += usize::from(!self.best_changed.insert(slot));
            }
            self.summary.version += 1;
            // The low half: `version` puts the high one back.
            entry.version = self.summary.version as u32;
            let mut told = before.best.and_then(Identity::route);
            // A place for it is left where the last path was.
            let ghost = told.filter(|_| !entry.has_paths());
            if let Some(ghost) = ghost {
                shared.interner.hold(ghost.attributes);
                let ghost = Path::ghost(ghost);
                self.table.put_ghost(slot, ghost);
                told = None;
            }
            for group in self.groups.iter_mut() {
                group.mark(slot, told, &mut shared.interner);
            }
        } else {
            self.groups.mark_listings(slot);
        }
        if new_best || multipath != before.multipath {
            self.watched.note(slot);
        }
        self.watched.note_paths(slot);
        self.release_if_idle(slot);
    }

    pub(crate) fn take_churn(&mut self) -> (usize, usize) {
        core::mem::take(&mut self.churn)
    }

    pub(crate) fn begin_round(&mut self) {
        self.in_round = true;
    }

    pub(crate) fn end_round(&mut self) {
        self.in_round = false;
        self.fib_given = SlotSet::default();
        self.best_changed = SlotSet::default();
    }

    /// The table version at which an entry's best path changed, from its low
    /// half.
    pub(crate) fn version(&self, low: u32) -> u64 {
        let behind = (self.summary.version as u32).wrapping_sub(low);
        self.summary.version.saturating_sub(u64::from(behind))
    }

    /// Frees a slot that nobody needs to hear of any more. It may still be in
    /// the set of those whose forwarding is to be looked at: the look finds
    /// nothing.
    pub(crate) fn release_if_idle(&mut self, slot: u32) {
        if !self.is_idle(slot) {
            return;
        }
        if let Some(ghost) = self.table.take_ghost(slot) {
            self.laid.push(ghost.pre);
        }
        if self.table.release(slot) {
            self.table.clear_away();
        }
    }

    /// Gives back what ghosts held that nobody needs any more.
    pub(crate) fn let_ghosts_go(&mut self, shared: &mut Shared) {
        for attributes in self.laid.drain(..) {
            shared.interner.release(attributes);
        }
    }

    fn is_idle(&self, slot: u32) -> bool {
        let entry = self.table.get(slot);
        entry.is_some_and(|entry| !entry.has_paths() && entry.fib.is_none())
            && !self.watched.holds(slot)
            && !self.flaps.as_ref().is_some_and(|flaps| flaps.holds(slot))
            && !self.groups.need(slot)
    }

    pub(crate) fn summary(&self) -> TableSummary {
        self.summary
    }

    pub(crate) fn counters(&self, peer: PeerId) -> PeerCounters {
        let adj_in = self.ins.get(peer.0 as usize);
        let group = self.groups.of(peer);
        PeerCounters {
            received: adj_in.map_or(0, |adj| adj.received),
            accepted: adj_in.map_or(0, |adj| adj.accepted),
            sent: group.map_or(0, |group| group.sent_to(peer)),
        }
    }
}

fn received_path(
    (peer, path_id): (PeerId, u32),
    pre: AttrId,
    imported: Imported,
    now: u64,
) -> Path {
    Path::new(Parts {
        pre,
        post: imported.post,
        source: PathSource::Peer(peer),
        path_id,
        updated: now,
        rejected: imported.rejected,
        imported: imported.taken_over,
    })
}
