//! Update groups whose peer is told more, or something else, than the best
//! path: several paths of a prefix (RFC 7911), or the best one that export
//! policy lets pass (RFC 7947 section 2.3.2.2). What was told cannot be worked
//! out from the best path, so it is written down, path by path.

use std::rc::Rc;

use bgp_wire::update::Nlri;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ipnet::IpNet;
use smallvec::SmallVec;

use crate::attrs::{AttrId, AttrRef, Interner};
use crate::bandwidth::{Carried, carried};
use crate::decision::{Candidate, select};
use crate::export::GroupBatch;
use crate::exporting::{Portion, Told, finish, group_members};
use crate::family_rib::FamilyRib;
use crate::fib::Forwarding;
use crate::gate::forwarding;
use crate::group::{Group, GroupId, Next};
use crate::listed::{Listed, PathKey, Paths};
use crate::local::LocalSource;
use crate::path::Path;
use crate::peer::PeerId;
use crate::plan::{Audience, Plan};
use crate::shared::Shared;
use crate::table::{RibFamily, Table};
use crate::transform::Exporter;
use crate::view::PathSource;

/// Which paths of a prefix a peer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Offer {
    /// The best one, if the rules let it pass.
    Best,
    /// The best one of those that the rules let pass.
    BestAllowed,
    /// All that are valid.
    All,
    /// The best of each neighbouring AS.
    BestPerAs,
}

impl Offer {
    /// Whether the peer takes several, with identifiers.
    const fn is_several(self) -> bool {
        matches!(self, Offer::All | Offer::BestPerAs)
    }
}

impl Group {
    fn listed(&self, slot: u32) -> Paths {
        let listing = self.listing.as_ref();
        listing.map(|listing| listing.of(slot)).unwrap_or_default()
    }

    /// Notes what is told of a slot now.
    fn list(&mut self, slot: u32, paths: &[Listed], interner: &mut Interner) {
        if paths.is_empty() {
            self.advertised.remove(slot);
        } else {
            self.advertised.insert(slot);
        }
        if let Some(listing) = &mut self.listing {
            listing.replace(slot, paths, interner);
        }
    }
}

/// What stands for a default route that no path is behind.
const BESIDE: PathKey = (PathSource::Local(LocalSource::Network), 0);

/// A path that is to be told.
struct Wanted {
    key: PathKey,
    plan: Rc<Plan>,
}

/// Identifiers for paths that are unique within the prefix, from 1. One that was
/// told keeps its own; another may get that of a path that is not told any
/// more, and so takes its place.
fn identifiers(before: &[Listed], wanted: &[Wanted]) -> SmallVec<[u32; 4]> {
    let known = |path: &Wanted| {
        let told = before.iter().find(|told| told.key == path.key);
        // 0 is what it was told without identifiers.
        told.map_or(0, |told| told.path_id)
    };
    let mut ids: SmallVec<[u32; 4]> = wanted.iter().map(known).collect();
    let mut next = 1;
    while let Some(at) = ids.iter().position(|id| *id == 0) {
        while ids.contains(&next) {
            next += 1;
        }
        if let Some(id) = ids.get_mut(at) {
            *id = next;
        }
    }
    ids
}

// ===== which paths =====

fn key_of(path: &Path) -> PathKey {
    (path.source(), path.path_id)
}

/// The paths that take part in the decision, by source and identifier.
fn usable<'a, F: RibFamily>(
    table: &Table<F>,
    shared: &'a Shared,
    slot: u32,
) -> Vec<(Path, Candidate<'a>)> {
    let Some(prefix) = table.get(slot).map(|entry| entry.prefix) else {
        return Vec::new();
    };
    let paths = table.paths(slot).map(|(_, path)| *path);
    let mut usable: Vec<_> = paths
        .filter_map(|path| Some((path, path.candidate(shared, prefix)?)))
        .collect();
    usable.sort_unstable_by_key(|(path, _)| key_of(path));
    usable
}

/// Takes the most preferred path out.
fn take_best<F: RibFamily>(
    shared: &Shared,
    paths: &mut Vec<(Path, Candidate<'_>)>,
) -> Option<Path> {
    let candidates: SmallVec<[Candidate<'_>; 8]> = paths.iter().map(|(_, c)| *c).collect();
    let max_paths = shared.config.max_paths(F::FAMILY);
    let best = select(&candidates, &shared.config, max_paths)?.best;
    (best < paths.len()).then(|| paths.remove(best).0)
}

/// The best path of each neighbouring AS; those without one are together.
fn best_per_as<F: RibFamily>(shared: &Shared, mut paths: Vec<(Path, Candidate<'_>)>) -> Vec<Path> {
    let mut best = Vec::new();
    while let Some((_, first)) = paths.first() {
        let asn = first.neighbor_as;
        let (mut group, rest) = paths.into_iter().partition(|(_, c)| c.neighbor_as == asn);
        best.extend(take_best::<F>(shared, &mut group));
        paths = rest;
    }
    best
}

/// What the peer is to be told of a slot.
fn wanted<F: RibFamily>(
    table: &Table<F>,
    shared: &Shared,
    exporter: &mut Exporter<'_>,
    (slot, offer, suppressed): (u32, Offer, bool),
) -> Vec<Wanted> {
    let Some(entry) = table.get(slot) else {
        return Vec::new();
    };
    let prefix: IpNet = entry.prefix.into();
    if exporter.is_beside(prefix) {
        let plan = exporter.plan(&shared.interner, prefix, None);
        return plan
            .into_iter()
            .map(|plan| Wanted { key: BESIDE, plan })
            .collect();
    }
    let mut plan = |path: &Path| {
        // Of the others nobody knows what is used beside them.
        let carried = match path.best() {
            true => carried(table, shared, slot),
            false => Carried::default(),
        };
        let mut route = path.route(shared, carried)?;
        route.suppressed = suppressed;
        let plan = exporter.plan(&shared.interner, prefix, Some(route))?;
        let key = key_of(path);
        Some(Wanted { key, plan })
    };
    let best = || entry.best().copied().into_iter();
    match offer {
        Offer::Best => best().filter_map(|path| plan(&path)).collect(),
        Offer::BestAllowed => {
            let Some(best) = entry.best() else {
                return Vec::new();
            };
            if let Some(wanted) = plan(best) {
                return vec![wanted];
            }
            let mut left = usable(table, shared, slot);
            let mut next = core::iter::from_fn(|| take_best::<F>(shared, &mut left));
            next.find_map(|path| plan(&path)).into_iter().collect()
        }
        Offer::All => {
            let paths = usable(table, shared, slot).into_iter();
            paths.filter_map(|(path, _)| plan(&path)).collect()
        }
        Offer::BestPerAs => {
            let paths = best_per_as::<F>(shared, usable(table, shared, slot));
            paths.iter().filter_map(plan).collect()
        }
    }
}

// ===== portions =====

/// The number of what a plan says to a peer. It has no user yet.
fn number_of(interner: &mut Interner, peer: PeerId, plan: &Plan) -> Option<AttrId> {
    let form = plan.forms.get(plan.form_of(peer)?)?;
    interner.intern(&AttrRef::new(form.attributes()))
}

/// Numbers of what plans say, for one portion.
#[derive(Default)]
struct Said {
    known: HashMap<*const Plan, (Rc<Plan>, AttrId), RandomState>,
}

impl Said {
    /// The plan is of a group of one peer, which it tells something.
    fn number(&mut self, interner: &mut Interner, peer: PeerId, plan: &Rc<Plan>) -> Option<AttrId> {
        if let Some((_, id)) = self.known.get(&Rc::as_ptr(plan)) {
            return Some(*id);
        }
        let id = number_of(interner, peer, plan)?;
        // Kept, so that no other plan gets the address.
        let plan = Rc::clone(plan);
        self.known.insert(Rc::as_ptr(&plan), (plan, id));
        Some(id)
    }
}

impl<F: RibFamily> FamilyRib<F> {
    /// The next portion of a group with a listing, as
    /// [`export`](FamilyRib::export).
    pub(crate) fn export_listed(
        &mut self,
        shared: &mut Shared,
        number: u32,
        budget: usize,
    ) -> Option<GroupBatch> {
        let group = self.groups.get_mut(number)?;
        let members = group.peers();
        let peer = *members.first()?;
        let rules = shared.rules();
        let mut exporter = Exporter::new(&rules, &members, F::FAMILY);
        let mut said = Said::default();
        let mut portion = Portion::default();
        let family = F::FAMILY;
        let members = group_members(shared, &members, family);
        let mut batch = GroupBatch::new(GroupId { family, number }, members);
        let mut idle = Vec::new();
        for _ in 0..budget {
            let slot = match group.next() {
                Next::Idle => break,
                Next::Slot(slot) => slot,
                Next::Lap(lap) => {
                    batch.end_of_rib = lap.initial;
                    batch.end_of_refresh = lap.refresh;
                    break;
                }
            };
            let Some(entry) = self.table.get(slot) else {
                continue;
            };
            let offer = group.key.offer();
            let forwarding = forwarding(self.gate.as_deref(), &self.fib_dirty, (slot, entry));
            let aggregates = self.aggregates.as_ref();
            let suppressed = aggregates.is_some_and(|a| a.is_suppressed(slot));
            let what = (slot, offer, suppressed);
            let mut wanted = wanted(&self.table, shared, &mut exporter, what);
            match forwarding {
                _ if exporter.is_beside(entry.prefix.into()) => {}
                Some(Forwarding::Awaited) if !wanted.is_empty() => {
                    group.hold(slot);
                    continue;
                }
                Some(Forwarding::Absent) => wanted.clear(),
                _ => {}
            }
            group.let_go(slot);
            let before = group.listed(slot);
            let ids = identifiers(&before, &wanted);
            let mut now = Paths::new();
            let resend = group.looked_at(slot);
            for (Wanted { key, plan }, id) in wanted.iter().zip(ids) {
                let path_id = if offer.is_several() { id } else { 0 };
                let number = said.number(&mut shared.interner, peer, plan);
                let Some(attributes) = number else { continue };
                let path = Listed {
                    key: *key,
                    path_id,
                    attributes,
                };
                if resend || !before.iter().any(|told| told.says_the_same(&path)) {
                    let prefix = entry.prefix;
                    portion.announce(Rc::clone(plan), Nlri { path_id, prefix });
                }
                now.push(path);
            }
            for Listed { path_id, .. } in before {
                if !now.iter().any(|path| path.path_id == path_id) {
                    let prefix = entry.prefix;
                    portion.withdraw(Audience::All, Nlri { path_id, prefix });
                }
            }
            group.list(slot, &now, &mut shared.interner);
            if !entry.has_paths() {
                idle.push(slot);
            }
        }
        finish::<F>(portion, &mut batch);
        for slot in idle {
            self.release_if_idle(slot);
        }
        self.let_ghosts_go(shared);
        shared.interner.sweep();
        Some(batch)
    }
}

// ===== changes of the rules =====

impl<F: RibFamily> FamilyRib<F> {
    /// Begins a listing for a group of one peer that had none, with what it was
    /// told until now.
    pub(crate) fn start_listing(&mut self, shared: &mut Shared, number: u32, peer: PeerId) {
        let Some(group) = self.groups.get(number) else {
            return;
        };
        let mut told = Told::new(shared.rules(), group, &[peer], F::FAMILY);
        let mut lists: Vec<(u32, Paths)> = Vec::new();
        for slot in group.advertised.iter() {
            let route = Told::route(self, shared, group, slot);
            let plan = told.plan(self, shared, group, slot);
            let number = plan.and_then(|plan| number_of(&mut shared.interner, peer, &plan));
            let path = number.map(|attributes| Listed {
                key: route.map_or(BESIDE, |route| (route.source, 0)),
                path_id: 0,
                attributes,
            });
            lists.push((slot, path.into_iter().collect()));
        }
        self.groups.start_listing(number, &mut shared.interner);
        if let Some(group) = self.groups.get_mut(number) {
            for (slot, paths) in lists {
                group.list(slot, &paths, &mut shared.interner);
            }
        }
    }

    /// What the peer of a group with a listing was told of a slot.
    pub(crate) fn listed(&self, shared: &Shared, group: &Group, slot: u32) -> Vec<(u32, AttrRef)> {
        let paths = group.listed(slot).into_iter();
        paths
            .filter_map(|path| {
                let attributes = shared.interner.set(path.attributes)?;
                Some((path.path_id, attributes.clone()))
            })
            .collect()
    }
}
