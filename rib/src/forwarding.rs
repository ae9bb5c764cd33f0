//! From changed prefixes to changes of the forwarding table.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::attrs::AttrId;
use crate::bandwidth::shares;
use crate::family_rib::FamilyRib;
use crate::fib::{FibChange, FibKind, FibNextHop, FibRoute};
use crate::local::LocalSource;
use crate::path::Path;
use crate::policy::{Attributes, DenyReason, ForwardingPolicy, RouteContext, Verdict};
use crate::shared::{FibId, Shared};
use crate::table::{RibFamily, Table};
use crate::view::PathSource;

/// The route of the last prefix with one path: mostly the next one's too.
type Last = Option<((AttrId, PathSource), Option<FibId>)>;

impl<F: RibFamily> FamilyRib<F> {
    /// Up to `budget` changes of the forwarding table.
    pub(crate) fn take_fib_changes(
        &mut self,
        shared: &mut Shared,
        budget: usize,
        changes: &mut Vec<FibChange>,
    ) {
        let mut last: Last = None;
        let batch = shared.fib_batch + 1;
        while changes.len() < budget {
            let next = self.fib_dirty.next_from(self.fib_cursor);
            let Some(slot) = next.or_else(|| self.fib_dirty.next_from(0)) else {
                self.fib_dirty = crate::slots::SlotSet::default();
                self.fib_repeat = crate::slots::SlotSet::default();
                self.fib_cursor = 0;
                break;
            };
            self.fib_cursor = slot.saturating_add(1);
            self.fib_dirty.remove(slot);
            let repeat = self.fib_repeat.remove(slot);
            let route = self.fib_route(shared, slot, &mut last);
            let Some(entry) = self.table.get_mut(slot) else {
                continue;
            };
            let gate = self.gate.as_mut();
            let to_ask = gate.as_ref().is_some_and(|gate| gate.is_to_ask(slot));
            if route == entry.fib && !to_ask && (!repeat || route.is_none()) {
                if let Some(id) = route {
                    shared.fib_routes.release(id);
                }
                self.forwarding_stands(slot);
            } else {
                if let Some(old) = core::mem::replace(&mut entry.fib, route) {
                    shared.fib_routes.release(old);
                }
                let again = self.in_round && !self.fib_given.insert(slot);
                shared.fib_again += usize::from(again);
                changes.push(FibChange {
                    prefix: entry.prefix.into(),
                    route: route.and_then(|id| shared.fib_routes.route(id)),
                });
                match gate {
                    Some(gate) if route.is_some() => gate.ask(slot, batch),
                    _ if route.is_none() => self.forget_forwarding(slot),
                    _ => {}
                }
            }
            self.release_if_idle(slot);
        }
        if let Some((_, Some(id))) = last {
            shared.fib_routes.release(id);
        }
    }

    /// What is to be forwarded for a prefix, with one more user; none where
    /// the best path is our own, and no aggregate.
    fn fib_route(&self, shared: &mut Shared, slot: u32, last: &mut Last) -> Option<FibId> {
        let entry = self.table.get(slot)?;
        let best = entry.best()?;
        let key = (best.post?, best.source());
        if let Some((known, id)) = last
            && *known == key
            && !entry.outcome.multipath()
            && self.forwarding_policy.is_none()
        {
            if let Some(id) = *id {
                shared.fib_routes.hold_again(id);
            }
            return *id;
        }
        let id = self
            .build(shared, slot)
            .and_then(|route| shared.fib_routes.hold(route));
        if !entry.outcome.multipath() {
            if let Some(id) = id {
                shared.fib_routes.hold_again(id);
            }
            if let Some((_, Some(old))) = last.replace((key, id)) {
                shared.fib_routes.release(old);
            }
        }
        id
    }

    fn build(&self, shared: &Shared, slot: u32) -> Option<FibRoute> {
        let best = self.table.get(slot)?.best()?;
        let peer = match best.source() {
            PathSource::Peer(peer) => peer,
            PathSource::Local(LocalSource::Aggregate) => {
                return Some(FibRoute {
                    kind: FibKind::Aggregate,
                    metric: 0,
                    next_hops: Vec::new(),
                });
            }
            PathSource::Local(_) => return None,
        };
        let kind = if shared.peer(peer)?.info.is_external() {
            FibKind::Ebgp
        } else {
            FibKind::Ibgp
        };
        // Where the policy denies the best path the others may do without it.
        let metric = match self.verdict(shared, slot, best) {
            Verdict::AcceptWith(new) => new.attributes.med,
            Verdict::Accept | Verdict::Deny(_) => best.attributes(shared)?.med(),
        };
        let metric = metric.unwrap_or(0);
        let used = used(&self.table, slot);
        let installed =
            used.filter(|path| !matches!(self.verdict(shared, slot, path), Verdict::Deny(_)));
        let next_hops = next_hops(shared, installed);
        if next_hops.is_empty() {
            // Another table's own route: the packets do not end here.
            return None;
        }
        Some(FibRoute {
            kind,
            metric,
            next_hops,
        })
    }

    /// What the forwarding policy says of a path.
    fn verdict(&self, shared: &Shared, slot: u32, path: &Path) -> Verdict {
        let Some(policy) = &self.forwarding_policy else {
            return Verdict::Accept;
        };
        let nothing = Verdict::Deny(DenyReason::Filtered);
        let PathSource::Peer(peer) = path.source() else {
            return nothing;
        };
        let known = self.table.get(slot).zip(shared.peer(peer));
        let Some(((entry, peer), set)) = known.zip(path.attributes(shared)) else {
            return nothing;
        };
        policy.install(&RouteContext {
            peer: &peer.info,
            learned_from: Some(&peer.info),
            family: F::FAMILY,
            prefix: entry.prefix.into(),
            attributes: &Attributes::of(set),
            weight: set.weight(),
            source: None,
            original_next_hop: set.next_hop(),
            original_med: set.med(),
        })
    }

    /// Other rules for what the forwarding table is told: all is looked at.
    pub(crate) fn set_forwarding_policy(&mut self, policy: Option<Arc<dyn ForwardingPolicy>>) {
        self.forwarding_policy = policy;
        for (slot, entry) in self.table.iter() {
            if entry.fib.is_some() || entry.reason.is_some() {
                self.fib_dirty.insert(slot);
            }
        }
    }

    /// Prefixes that were reported are reported once more.
    pub(crate) fn repeat_forwarding(&mut self) {
        for (slot, _) in self.table.iter().filter(|(_, entry)| entry.fib.is_some()) {
            self.fib_dirty.insert(slot);
            self.fib_repeat.insert(slot);
        }
    }

    /// Prefixes that were reported are reported again, and everything from now
    /// on; or nothing is any more.
    pub(crate) fn set_forwarding(&mut self, shared: &mut Shared, on: bool) {
        if !on {
            self.refused = crate::slots::SlotSet::default();
            self.open_gate();
        }
        for slot in 0..self.table.end() {
            let Some(entry) = self.table.get_mut(slot) else {
                continue;
            };
            if on {
                self.fib_dirty.insert(slot);
            } else if let Some(id) = entry.fib.take() {
                shared.fib_routes.release(id);
                self.release_if_idle(slot);
            }
        }
        if !on {
            self.fib_dirty = crate::slots::SlotSet::default();
            self.fib_repeat = crate::slots::SlotSet::default();
        }
    }
}

/// The paths that are used for a prefix.
pub(crate) fn used<F: RibFamily>(table: &Table<F>, slot: u32) -> impl Iterator<Item = &Path> {
    let paths = table.paths(slot).map(|(_, path)| path);
    paths.filter(|path| path.best() || path.multipath())
}

/// The next hops of the paths that are used for a prefix, sorted, each with the link
/// bandwidth of its path. Of several paths with one next hop the one that
/// promises most counts.
pub(crate) fn ways<'a>(
    shared: &Shared,
    used: impl Iterator<Item = &'a Path>,
) -> Vec<(FibNextHop, Option<u64>)> {
    let way = |path: &Path| {
        let bandwidth = path.attributes(shared)?.link_bandwidth();
        Some((fib_next_hop(shared, path)?, bandwidth))
    };
    let mut ways: Vec<(FibNextHop, Option<u64>)> = used.filter_map(way).collect();
    ways.sort_unstable();
    ways.dedup_by(|b, a| {
        let same = same_way(&a.0, &b.0);
        if same {
            a.1 = a.1.max(b.1);
        }
        same
    });
    ways
}

/// The next hops of the paths that are used for a prefix, each with its share.
fn next_hops<'a>(shared: &Shared, used: impl Iterator<Item = &'a Path>) -> Vec<FibNextHop> {
    let ways = ways(shared, used);
    let bandwidths: SmallVec<[Option<u64>; 16]> = ways.iter().map(|(_, b)| *b).collect();
    let shares = match ways.len() {
        0 | 1 => None,
        _ => shares(&bandwidths, shared.config.link_bandwidth),
    };
    let hops = ways.into_iter().map(|(hop, _)| hop);
    let Some(shares) = shares else {
        return hops.collect();
    };
    let share = |(hop, share): (FibNextHop, Option<u16>)| {
        let weight = share?;
        Some(FibNextHop { weight, ..hop })
    };
    let mut hops: Vec<FibNextHop> = hops.zip(shares).filter_map(share).collect();
    if let [only] = hops.as_mut_slice() {
        only.weight = 1;
    }
    hops
}

fn fib_next_hop(shared: &Shared, path: &Path) -> Option<FibNextHop> {
    let PathSource::Peer(peer) = path.source() else {
        return None;
    };
    Some(FibNextHop {
        next_hop: path.attributes(shared)?.next_hop()?,
        elsewhere: shared.peer(peer)?.info.imported,
        peer,
        weight: 1,
    })
}

/// Whether two next hops are one: a link-local address says nothing without
/// its interface.
fn same_way(a: &FibNextHop, b: &FibNextHop) -> bool {
    a.next_hop == b.next_hop
        && a.elsewhere == b.elsewhere
        && (a.peer == b.peer || !crate::import::is_link_local(a.next_hop.addr()))
}
