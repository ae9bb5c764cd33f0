//! The routes of one family: Adj-RIB-In and Loc-RIB in one table, Adj-RIB-Out
//! beside it. Every change of a prefix goes the same way: look at what was
//! (`Before`), change its paths, decide again, and tell who has to know.

use std::sync::Arc;

use bgp_wire::Family;

use crate::adj_out::{AdjRibOut, Difference, Groups, Next};
use crate::attrs::AttrRef;
use crate::decision::{Candidate, Selection, select};
use crate::export::ExportBatch;
use crate::fib::{FibChange, FibKind, FibNextHop, FibRoute};
use crate::import::{Imported, import};
use crate::local::{LocalRoute, LocalSource};
use crate::path::{Path, Reach};
use crate::peer::PeerId;
use crate::shared::{Shared, put};
use crate::slots::SlotSet;
use crate::table::{Entry, RibFamily, Table};
use crate::transform::{Exporter, Route};
use crate::view::{PathSource, PeerCounters, Rejection, TableSummary};

/// What a peer's paths come to.
#[derive(Debug, Default)]
pub(crate) struct AdjRibIn {
    /// Prefixes of which the peer has a path.
    pub(crate) slots: SlotSet,
    received: usize,
    accepted: usize,
}

#[derive(Debug)]
pub(crate) struct FamilyRib<F: RibFamily> {
    pub(crate) table: Table<F>,
    pub(crate) ins: Vec<AdjRibIn>,
    pub(crate) outs: Vec<Option<AdjRibOut>>,
    /// Prefixes whose forwarding may have changed.
    fib_dirty: SlotSet,
    /// Prefixes whose best paths changed, while somebody wants to know.
    pub(crate) watched: Option<SlotSet>,
    summary: TableSummary,
}

/// A prefix before a change.
struct Before {
    best: Option<Identity>,
    /// The paths used beside the best; mostly none.
    multipath: Vec<Identity>,
    accepted: usize,
}

/// What tells one best path from another, as far as anybody is told of it.
#[derive(PartialEq)]
struct Identity {
    source: PathSource,
    path_id: u32,
    attributes: Option<AttrRef>,
    weight: u32,
}

impl Before {
    fn of<P>(entry: &Entry<P>) -> Before {
        Before {
            best: identity(entry),
            multipath: multipath(entry),
            accepted: entry.accepted(),
        }
    }
}

impl Identity {
    fn of(path: &Path) -> Identity {
        Identity {
            source: path.source,
            path_id: path.path_id,
            attributes: path.post.clone(),
            weight: path.weight,
        }
    }
}

fn identity<P>(entry: &Entry<P>) -> Option<Identity> {
    entry.best().map(Identity::of)
}

fn multipath<P>(entry: &Entry<P>) -> Vec<Identity> {
    let paths = entry.paths.iter();
    paths
        .filter(|path| path.multipath && !path.best)
        .map(Identity::of)
        .collect()
}

// ===== Changes =====

impl<F: RibFamily> FamilyRib<F> {
    pub(crate) fn new() -> FamilyRib<F> {
        FamilyRib {
            table: Table::new(),
            ins: Vec::new(),
            outs: Vec::new(),
            fib_dirty: SlotSet::default(),
            watched: None,
            summary: TableSummary::default(),
        }
    }

    /// Puts a peer's route in; why it is not used, if it is not.
    pub(crate) fn announce(
        &mut self,
        shared: &mut Shared,
        (peer, path_id): (PeerId, u32),
        prefix: F::Prefix,
        pre: &AttrRef,
        now: u64,
    ) -> Option<Rejection> {
        let imported = import(shared, peer, F::FAMILY, prefix.into(), pre);
        let rejected = imported.rejected;
        let slot = self.table.find_or_add(prefix);
        let path = received_path((peer, path_id), pre.clone(), imported, now);
        self.put(shared, slot, path);
        rejected
    }

    /// Removes a peer's route, if it is there.
    pub(crate) fn withdraw(
        &mut self,
        shared: &mut Shared,
        (peer, path_id): (PeerId, u32),
        prefix: F::Prefix,
    ) {
        if let Some(slot) = self.table.find(&prefix) {
            self.remove(shared, slot, PathSource::Peer(peer), |p| {
                p.path_id == path_id
            });
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
        let attributes = shared.interner.intern(route.attributes);
        let slot = self.table.find_or_add(prefix);
        let path = Path {
            pre: attributes.clone(),
            post: Some(attributes),
            last_update: now,
            source: PathSource::Local(route.source),
            reach: Reach::Always,
            path_id: 0,
            weight: route.weight,
            rejected: None,
            stale: false,
            best: false,
            multipath: false,
        };
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

    /// Removes the peer's paths that `gone` says, or all.
    pub(crate) fn drop_paths(
        &mut self,
        shared: &mut Shared,
        peer: PeerId,
        gone: impl Fn(&Path) -> bool,
    ) {
        self.for_each_slot(peer, |rib, slot| {
            rib.remove(shared, slot, PathSource::Peer(peer), &gone);
        });
    }

    /// Marks the peer's paths stale. Stale paths stay in the decision as they
    /// were.
    pub(crate) fn mark_stale(&mut self, peer: PeerId) {
        let source = PathSource::Peer(peer);
        self.for_each_slot(peer, |rib, slot| {
            if let Some(entry) = rib.table.get_mut(slot) {
                for path in entry.paths.iter_mut().filter(|p| p.source == source) {
                    path.stale = true;
                }
            }
        });
    }

    /// Passes the peer's routes through import once more.
    pub(crate) fn reimport(&mut self, shared: &mut Shared, peer: PeerId) {
        let source = PathSource::Peer(peer);
        self.for_each_slot(peer, |rib, slot| {
            let Some(entry) = rib.table.get(slot) else {
                return;
            };
            let prefix = entry.prefix;
            let before = Before::of(entry);
            let ours: Vec<Path> = entry
                .paths
                .iter()
                .filter(|p| p.source == source)
                .cloned()
                .collect();
            for old in ours {
                let imported = import(shared, peer, F::FAMILY, prefix.into(), &old.pre);
                let mut path =
                    received_path((peer, old.path_id), old.pre, imported, old.last_update);
                path.stale = old.stale;
                rib.replace(shared, slot, path);
            }
            rib.decide(shared, slot, before);
        });
    }

    /// Decides again for the paths of a next hop.
    pub(crate) fn next_hop_changed(&mut self, shared: &Shared, peer: PeerId, id: u32) {
        self.for_each_slot(peer, |rib, slot| {
            let uses = |entry: &Entry<F::Prefix>| {
                let mut paths = entry.paths.iter();
                paths.any(|path| path.reach == Reach::Tracked(id))
            };
            if let Some(entry) = rib.table.get(slot).filter(|entry| uses(entry)) {
                let before = Before::of(entry);
                rib.decide(shared, slot, before);
            }
        });
    }

    /// Decides again for every prefix of which the peer has a path, and has
    /// everybody look at it: what they are told may depend on who the peer is.
    pub(crate) fn peer_changed(&mut self, shared: &Shared, peer: PeerId) {
        self.for_each_slot(peer, |rib, slot| {
            let Some(entry) = rib.table.get_mut(slot) else {
                return;
            };
            for out in rib.outs.iter_mut().flatten() {
                entry.holds += u32::from(out.mark(slot));
            }
            let before = Before::of(entry);
            rib.decide(shared, slot, before);
        });
    }

    /// Decides again for every prefix.
    pub(crate) fn decide_all(&mut self, shared: &Shared) {
        for slot in 0..self.table.end() {
            if let Some(entry) = self.table.get(slot) {
                let before = Before::of(entry);
                self.decide(shared, slot, before);
            }
        }
    }

    /// Calls for each prefix of which the peer has a path; the call may take
    /// it away.
    fn for_each_slot(&mut self, peer: PeerId, mut call: impl FnMut(&mut Self, u32)) {
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

    fn put(&mut self, shared: &mut Shared, slot: u32, path: Path) {
        let Some(entry) = self.table.get(slot) else {
            return;
        };
        let before = Before::of(entry);
        if self.replace(shared, slot, path) {
            self.decide(shared, slot, before);
        }
    }

    /// Puts a path in place of the one with the same source and identifier;
    /// whether anything changed.
    fn replace(&mut self, shared: &mut Shared, slot: u32, mut path: Path) -> bool {
        let Some(entry) = self.table.get_mut(slot) else {
            return false;
        };
        let place = entry
            .paths
            .iter_mut()
            .find(|p| p.source == path.source && p.path_id == path.path_id);
        if let Some((id, user)) = path.track_key(F::FAMILY) {
            shared.tracker.hold(id, user);
        }
        count_in(&mut self.ins, slot, &path);
        match place {
            Some(old) => {
                let changed = !old.same_as(&path);
                if !changed {
                    path.last_update = old.last_update;
                }
                path.best = old.best;
                path.multipath = old.multipath;
                let old = core::mem::replace(old, path);
                forget(shared, &mut self.ins, &old, F::FAMILY);
                changed
            }
            None => {
                if entry.paths.capacity() < 4 {
                    entry.paths.reserve_exact(1);
                }
                entry.paths.push(path);
                true
            }
        }
    }

    /// Removes the paths of a source that `gone` says.
    fn remove(
        &mut self,
        shared: &mut Shared,
        slot: u32,
        source: PathSource,
        gone: impl Fn(&Path) -> bool,
    ) {
        let Some(entry) = self.table.get_mut(slot) else {
            return;
        };
        let gone = |path: &Path| path.source == source && gone(path);
        if !entry.paths.iter().any(gone) {
            return;
        }
        let before = Before::of(entry);
        for old in entry.paths.extract_if(.., |path| gone(path)) {
            forget(shared, &mut self.ins, &old, F::FAMILY);
        }
        if let PathSource::Peer(peer) = source
            && let Some(adj) = self.ins.get_mut(peer.0 as usize)
            && !entry.paths.iter().any(|path| path.source == source)
        {
            adj.slots.remove(slot);
        }
        self.decide(shared, slot, before);
    }

    /// Decides for a prefix whose paths changed, and notes who has to know.
    fn decide(&mut self, shared: &Shared, slot: u32, before: Before) {
        let Some(entry) = self.table.get_mut(slot) else {
            return;
        };
        let choice = choose(entry, shared, F::FAMILY);
        for (place, path) in entry.paths.iter_mut().enumerate() {
            let chosen = choice.as_ref();
            path.best = chosen.is_some_and(|c| c.best == place);
            path.multipath = chosen.is_some_and(|c| c.multipath.contains(&place));
        }
        entry.reason = choice.map(|choice| choice.reason);
        let accepted = entry.accepted();
        self.summary.paths = self.summary.paths + accepted - before.accepted;
        self.summary.prefixes =
            self.summary.prefixes + usize::from(accepted > 0) - usize::from(before.accepted > 0);
        if entry.fib.is_some() || entry.reason.is_some() {
            self.fib_dirty.insert(slot);
        }
        let new_best = identity(entry) != before.best;
        if let Some(watched) = &mut self.watched
            && (new_best || multipath(entry) != before.multipath)
        {
            entry.holds += u32::from(watched.insert(slot));
        }
        if new_best {
            self.summary.version += 1;
            entry.version = self.summary.version;
            for out in self.outs.iter_mut().flatten() {
                entry.holds += u32::from(out.mark(slot));
            }
        }
        release_if_idle(&mut self.table, slot);
    }
}

fn received_path(
    (peer, path_id): (PeerId, u32),
    pre: AttrRef,
    imported: Imported,
    now: u64,
) -> Path {
    Path {
        pre,
        post: imported.post,
        last_update: now,
        source: PathSource::Peer(peer),
        reach: imported.reach,
        path_id,
        weight: imported.weight,
        rejected: imported.rejected,
        stale: false,
        best: false,
        multipath: false,
    }
}

/// The decision over an entry's paths; the places are those of the paths.
fn choose<P>(entry: &Entry<P>, shared: &Shared, family: Family) -> Option<Selection> {
    if let [only] = entry.paths.as_slice() {
        return only.candidate(shared).map(|_| Selection::only());
    }
    let (places, candidates): (Vec<usize>, Vec<Candidate<'_>>) = entry
        .paths
        .iter()
        .enumerate()
        .filter_map(|(place, path)| Some((place, path.candidate(shared)?)))
        .unzip();
    let max_paths = shared.config.max_paths(family);
    let choice = select(&candidates, &shared.config, max_paths)?;
    let place = |candidate: usize| places.get(candidate).copied();
    Some(Selection {
        best: place(choice.best)?,
        reason: choice.reason,
        multipath: choice.multipath.into_iter().filter_map(place).collect(),
    })
}

/// Counts a path of a peer.
fn count_in(ins: &mut [AdjRibIn], slot: u32, path: &Path) {
    let PathSource::Peer(peer) = path.source else {
        return;
    };
    if let Some(adj) = ins.get_mut(peer.0 as usize) {
        adj.slots.insert(slot);
        adj.received += 1;
        adj.accepted += usize::from(path.post.is_some());
    }
}

/// Takes a path that is gone out of the counts and the next hop's users.
fn forget(shared: &mut Shared, ins: &mut [AdjRibIn], path: &Path, family: Family) {
    if let Some((id, user)) = path.track_key(family) {
        shared.tracker.release(id, user);
    }
    let PathSource::Peer(peer) = path.source else {
        return;
    };
    if let Some(adj) = ins.get_mut(peer.0 as usize) {
        adj.received -= 1;
        adj.accepted -= usize::from(path.post.is_some());
    }
}

/// Frees a slot that nobody needs to hear of any more. It may still be in the
/// set of those whose forwarding is to be looked at: the look finds nothing.
pub(crate) fn release_if_idle<F: RibFamily>(table: &mut Table<F>, slot: u32) {
    let idle = |e: &Entry<F::Prefix>| e.paths.is_empty() && e.holds == 0 && e.fib.is_none();
    if table.get(slot).is_some_and(idle) {
        table.release(slot);
    }
}

// ===== Peers =====

impl<F: RibFamily> FamilyRib<F> {
    /// Makes room for a peer's routes, and the whole table pending for it if
    /// the family was negotiated.
    pub(crate) fn peer_up(&mut self, peer: PeerId, negotiated: bool) {
        if self.ins.len() <= peer.0 as usize {
            put(&mut self.ins, peer, AdjRibIn::default());
        }
        if negotiated {
            put(&mut self.outs, peer, Some(AdjRibOut::new()));
            self.mark_all(peer);
        }
    }

    /// Forgets what the peer was told.
    pub(crate) fn close_out(&mut self, peer: PeerId) {
        let Some(out) = self.outs.get_mut(peer.0 as usize).and_then(Option::take) else {
            return;
        };
        for slot in out.held() {
            if let Some(entry) = self.table.get_mut(slot) {
                entry.holds -= 1;
            }
            release_if_idle(&mut self.table, slot);
        }
    }

    /// Looks at everything again for the peer, and sends it again if asked to.
    pub(crate) fn refresh_out(&mut self, peer: PeerId, resend: bool) {
        if let Some(out) = self.out_mut(peer) {
            if resend {
                out.start_refresh();
            }
            self.mark_all(peer);
        }
    }

    /// Everything that could be or was told is looked at. What only an entry
    /// without paths was advertised for is pending already.
    fn mark_all(&mut self, peer: PeerId) {
        let Some(Some(out)) = self.outs.get_mut(peer.0 as usize) else {
            return;
        };
        let slots: Vec<u32> = self.table.slots().collect();
        for slot in slots {
            if let Some(entry) = self.table.get_mut(slot).filter(|e| !e.paths.is_empty()) {
                entry.holds += u32::from(out.mark(slot));
            }
        }
    }

    fn out_mut(&mut self, peer: PeerId) -> Option<&mut AdjRibOut> {
        self.outs.get_mut(peer.0 as usize)?.as_mut()
    }

    pub(crate) fn out(&self, peer: PeerId) -> Option<&AdjRibOut> {
        self.outs.get(peer.0 as usize)?.as_ref()
    }

    pub(crate) fn is_pending(&self, peer: PeerId) -> bool {
        self.out(peer).is_some_and(AdjRibOut::is_pending)
    }

    pub(crate) fn summary(&self) -> TableSummary {
        self.summary
    }

    pub(crate) fn counters(&self, peer: PeerId) -> PeerCounters {
        let adj_in = self.ins.get(peer.0 as usize);
        PeerCounters {
            received: adj_in.map_or(0, |adj| adj.received),
            accepted: adj_in.map_or(0, |adj| adj.accepted),
            sent: self.out(peer).map_or(0, AdjRibOut::sent),
        }
    }
}

// ===== Deltas =====

impl<F: RibFamily> FamilyRib<F> {
    /// Looks at up to `budget` pending prefixes; how many it were.
    pub(crate) fn export(
        &mut self,
        shared: &mut Shared,
        peer: PeerId,
        budget: usize,
        batch: &mut ExportBatch,
    ) -> usize {
        let Some(Some(out)) = self.outs.get_mut(peer.0 as usize) else {
            return 0;
        };
        let Some(mut exporter) = Exporter::new(shared, peer, F::FAMILY) else {
            return 0;
        };
        let mut withdrawn = Vec::new();
        let mut groups = Groups::new();
        let mut used = 0;
        while used < budget {
            let slot = match out.next() {
                Next::Idle => break,
                Next::Slot(slot) => slot,
                Next::Lap(lap) => {
                    if lap.initial {
                        batch.end_of_rib.insert(F::FAMILY);
                    }
                    if lap.refresh {
                        batch.end_of_refresh.insert(F::FAMILY);
                    }
                    // What comes after the marker is of the next portion.
                    break;
                }
            };
            used += 1;
            let Some(entry) = self.table.get_mut(slot) else {
                continue;
            };
            entry.holds -= 1;
            let prefix = entry.prefix;
            let wanted = wanted(entry, &mut exporter);
            let had = out.advertised(slot).is_some();
            match out.advance(slot, wanted) {
                Difference::None => {}
                Difference::Withdraw => {
                    entry.holds -= 1;
                    withdrawn.push(bgp_wire::update::Nlri { path_id: 0, prefix });
                }
                Difference::Announce(attributes) => {
                    entry.holds += u32::from(!had);
                    groups.push(attributes, prefix);
                }
            }
            release_if_idle(&mut self.table, slot);
        }
        if !withdrawn.is_empty() {
            batch.withdrawn.push(F::prefixes(withdrawn));
        }
        let groups = groups.into_groups().into_iter();
        batch
            .announced
            .extend(groups.map(|(attributes, list)| (attributes, F::prefixes(list))));
        used
    }

    /// Up to `budget` changes of the forwarding table.
    pub(crate) fn take_fib_changes(
        &mut self,
        shared: &mut Shared,
        budget: usize,
        changes: &mut Vec<FibChange>,
    ) {
        while changes.len() < budget {
            let Some(slot) = self.fib_dirty.next_from(0) else {
                return;
            };
            self.fib_dirty.remove(slot);
            if let Some(entry) = self.table.get_mut(slot) {
                let route = fib_route(entry, shared);
                if route != entry.fib {
                    entry.fib.clone_from(&route);
                    changes.push(FibChange {
                        prefix: entry.prefix.into(),
                        route,
                    });
                }
            }
            release_if_idle(&mut self.table, slot);
        }
    }
}

/// What a peer is to hold for a prefix.
fn wanted<P: Copy + Into<ipnet::IpNet>>(
    entry: &Entry<P>,
    exporter: &mut Exporter<'_>,
) -> Option<AttrRef> {
    let best = entry.best()?;
    exporter.export(&Route {
        prefix: entry.prefix.into(),
        source: best.source,
        attributes: best.post.as_ref()?,
        weight: best.weight,
    })
}

/// What is to be forwarded for a prefix; none where the best path is our own.
fn fib_route<P>(entry: &Entry<P>, shared: &mut Shared) -> Option<Arc<FibRoute>> {
    let best = entry.best()?;
    let PathSource::Peer(peer) = best.source else {
        return None;
    };
    let kind = if shared.peer(peer)?.info.is_external() {
        FibKind::Ebgp
    } else {
        FibKind::Ibgp
    };
    let metric = best.post.as_ref()?.med.unwrap_or(0);
    let mut next_hops: Vec<FibNextHop> = entry
        .paths
        .iter()
        .filter(|path| path.best || path.multipath)
        .filter_map(fib_next_hop)
        .collect();
    next_hops.sort_unstable();
    next_hops.dedup_by(|b, a| same_way(a, b));
    Some(shared.fib_routes.intern(FibRoute {
        kind,
        metric,
        next_hops,
    }))
}

fn fib_next_hop(path: &Path) -> Option<FibNextHop> {
    let PathSource::Peer(peer) = path.source else {
        return None;
    };
    Some(FibNextHop {
        next_hop: path.post.as_ref()?.next_hop?,
        peer,
        weight: 1,
    })
}

/// Whether two next hops are one: a link-local address says nothing without
/// its interface.
fn same_way(a: &FibNextHop, b: &FibNextHop) -> bool {
    a.next_hop == b.next_hop
        && (a.peer == b.peer || !crate::import::is_link_local(a.next_hop.addr()))
}
