//! Sets of next hops as they were asked for, each resolved once for all prefixes of both
//! families, and the nexthop object that stands for each in the kernel.
//!
//! A set that is reached by one router on a link uses that router's object; any other has a group.
//! When a set's resolution changes, its group is changed in place, and no prefix is touched.

mod form;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use nix::errno::Errno;

use crate::handle::TrackKey;
use crate::object::ResilientGroup;
use crate::objects::Objects;
use crate::resolve::{Resolve, Resolved};
use crate::route::{KernelHop, KernelKind, NextHop, Resilient};
use form::{Form, Forms};

/// Number of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SetId(u32);

#[derive(Debug)]
struct Set {
    next_hops: Arc<[NextHop]>,
    /// What its group is to be like.
    resilient: Option<ResilientGroup>,
    resolved: Option<Resolved>,
    /// As what it was bound.
    form: Form,
    /// The object that stands for it; none while nothing resolves, and without objects.
    object: Option<u32>,
    /// Classes that use it.
    users: u32,
    /// Prefixes that want it.
    prefixes: u32,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Sets {
    slots: Vec<Option<Set>>,
    free: Vec<SetId>,
    by_next_hops: HashMap<Option<ResilientGroup>, HashMap<Arc<[NextHop]>, SetId>>,
    pub(crate) objects: Objects,
    /// Sets by the group that stands for them.
    bound: BTreeMap<u32, BTreeSet<SetId>>,
    /// What the kernel takes.
    forms: Forms,
    /// Next hops that are on their way out: left out of sets that have others.
    suspended: BTreeSet<TrackKey>,
    /// What the kernel did not take: left out of sets that have others.
    refused: HashSet<KernelHop>,
}

impl Sets {
    pub(crate) fn new(objects: Objects, enabled: bool) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_next_hops: HashMap::new(),
            objects,
            bound: BTreeMap::new(),
            forms: Forms::new(enabled),
            suspended: BTreeSet::new(),
            refused: HashSet::new(),
        }
    }

    fn get(&self, id: SetId) -> Option<&Set> {
        self.slots.get(id.0 as usize)?.as_ref()
    }

    fn get_mut(&mut self, id: SetId) -> Option<&mut Set> {
        self.slots.get_mut(id.0 as usize)?.as_mut()
    }

    // ===== Users =====

    /// The set of `next_hops`, with one more user.
    pub(crate) fn acquire(
        &mut self,
        next_hops: &[NextHop],
        resilient: Option<Resilient>,
        resolver: &impl Resolve,
    ) -> SetId {
        let resilient = resilient.map(ResilientGroup::from);
        let known = self.by_next_hops.get(&resilient);
        let id = match known.and_then(|known| known.get(next_hops)) {
            Some(id) => *id,
            None => self.create(next_hops.into(), resilient, resolver),
        };
        if let Some(set) = self.get_mut(id) {
            set.users += 1;
        }
        id
    }

    fn create(
        &mut self,
        next_hops: Arc<[NextHop]>,
        resilient: Option<ResilientGroup>,
        resolver: &impl Resolve,
    ) -> SetId {
        let resolved = self.resolve(&next_hops, resolver);
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            SetId(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
        });
        let set = Set {
            next_hops: next_hops.clone(),
            resilient,
            resolved,
            form: Form::default(),
            object: None,
            users: 0,
            prefixes: 0,
        };
        if let Some(slot) = self.slots.get_mut(id.0 as usize) {
            *slot = Some(set);
        }
        let known = self.by_next_hops.entry(resilient).or_default();
        known.insert(next_hops, id);
        self.bind(id);
        id
    }

    /// One user less; the last one takes the set along.
    pub(crate) fn release(&mut self, id: SetId) {
        let Some(set) = self.get_mut(id) else {
            return;
        };
        set.users -= 1;
        if set.users > 0 {
            return;
        }
        self.unbind(id);
        if let Some(set) = self.slots.get_mut(id.0 as usize).and_then(Option::take) {
            if let Some(known) = self.by_next_hops.get_mut(&set.resilient) {
                known.remove(&set.next_hops);
            }
            self.forms.forget(id);
            self.free.push(id);
        }
    }

    /// A prefix more or less wants the set.
    pub(crate) fn count(&mut self, id: SetId, more: bool) {
        if let Some(set) = self.get_mut(id) {
            set.prefixes = match more {
                true => set.prefixes + 1,
                false => set.prefixes.saturating_sub(1),
            };
        }
    }

    // ===== What stands for a set =====

    /// What it resolves to in the kernel's terms; none where nothing does.
    pub(crate) fn resolved(&self, id: SetId) -> Option<KernelKind> {
        Some(self.get(id)?.resolved.as_ref()?.kind())
    }

    /// What routes through the set are written with.
    pub(crate) fn written(&self, id: SetId) -> Option<KernelKind> {
        let set = self.get(id)?;
        match set.object {
            Some(object) => Some(KernelKind::Nexthop(object)),
            None => Some(set.resolved.as_ref()?.kind()),
        }
    }

    fn bind(&mut self, id: SetId) {
        let form = self.form_of(id);
        let Some(set) = self.get_mut(id) else { return };
        set.form = form;
        let resolved = set.resolved.clone();
        let fits = |r: &Resolved| representable(&r.hops) && self.objects.has_room(r.hops.len());
        let (Some(resolved), Form::Objects(kind)) = (resolved.filter(fits), form) else {
            return;
        };
        let object = match resolved.hops.as_slice() {
            // Unless a group has shrunk to it: its prefixes are about to want just that.
            [only] if resolved.direct && !self.objects.has_group_of(*only, kind) => {
                self.objects.acquire_hop(*only)
            }
            hops => {
                let group = self.objects.acquire_group(hops, kind);
                self.bound.entry(group).or_default().insert(id);
                group
            }
        };
        if let Some(set) = self.get_mut(id) {
            set.object = Some(object);
        }
    }

    fn unbind(&mut self, id: SetId) {
        let Some(object) = self.get_mut(id).and_then(|set| set.object.take()) else {
            return;
        };
        if let Some(sets) = self.bound.get_mut(&object) {
            sets.remove(&id);
            if sets.is_empty() {
                self.bound.remove(&object);
            }
        }
        self.objects.release(object);
    }

    // ===== Resolution =====

    /// Without what is suspended or refused, as long as something is left.
    fn resolve(&self, next_hops: &[NextHop], resolver: &impl Resolve) -> Option<Resolved> {
        let all = || resolver.kernel_hops(next_hops);
        if self.suspended.is_empty() && self.refused.is_empty() {
            return all();
        }
        let suspended = |hop: &NextHop| {
            let anywhere = TrackKey::from(hop.gateway);
            let ifindex = hop.ifindex;
            self.suspended.contains(&anywhere)
                || self.suspended.contains(&TrackKey {
                    ifindex,
                    ..anywhere
                })
        };
        let kept: Vec<NextHop> = next_hops
            .iter()
            .filter(|h| !suspended(h))
            .copied()
            .collect();
        let mut resolved = resolver.kernel_hops(&kept).or_else(all)?;
        let refused = |hop: &KernelHop| self.refused.contains(&KernelHop { weight: 1, ..*hop });
        if resolved.hops.len() > 1 && !resolved.hops.iter().all(refused) {
            resolved.hops.retain(|hop| !refused(hop));
            resolved.alone();
        }
        Some(resolved)
    }

    /// Resolves all again. Returns the sets that came out differently, or that another object
    /// stands for now.
    pub(crate) fn re_resolve(&mut self, resolver: &impl Resolve) -> HashSet<SetId> {
        let mut changed = BTreeSet::new();
        for slot in 0..self.slots.len() {
            let id = SetId(u32::try_from(slot).unwrap_or(u32::MAX));
            let Some(set) = self.get(id) else { continue };
            let resolved = self.resolve(&set.next_hops, resolver);
            if resolved != set.resolved
                && let Some(set) = self.get_mut(id)
            {
                set.resolved = resolved;
                changed.insert(id);
            }
        }
        let object = |id: &SetId| self.get(*id)?.object;
        let (grouped, alone): (BTreeSet<SetId>, BTreeSet<SetId>) = changed
            .iter()
            .partition(|id| object(id).is_some_and(|object| self.bound.contains_key(&object)));
        let groups: BTreeSet<u32> = grouped.iter().filter_map(object).collect();
        let mut moving = alone;
        for group in groups {
            moving.extend(self.change_group(group));
        }
        for &id in &moving {
            self.unbind(id);
        }
        for &id in &moving {
            self.bind(id);
        }
        changed.union(&moving).copied().collect()
    }

    /// Changes the group in place for those of its sets that agree on what it is to be; if they
    /// don't, for those that most prefixes want. Returns the others.
    fn change_group(&mut self, group: u32) -> Vec<SetId> {
        let mut parties: BTreeMap<Option<&Resolved>, (u64, Vec<SetId>)> = BTreeMap::new();
        for id in self.bound.get(&group).into_iter().flatten() {
            let Some(set) = self.get(*id) else { continue };
            let resolved = set.resolved.as_ref().filter(|r| representable(&r.hops));
            let party = parties.entry(resolved).or_default();
            party.0 += u64::from(set.prefixes);
            party.1.push(*id);
        }
        let homeless = parties.remove(&None).map(|(_, sets)| sets);
        let largest = parties.iter().max_by_key(|(_, (prefixes, _))| *prefixes);
        let winner = largest.and_then(|(resolved, _)| *resolved);
        let losers = parties.iter().filter(|(resolved, _)| **resolved != winner);
        let mut moving: Vec<SetId> = losers.flat_map(|(_, (_, sets))| sets.clone()).collect();
        moving.extend(homeless.into_iter().flatten());
        if let Some(hops) = winner.map(|resolved| resolved.hops.clone()) {
            self.objects.edit_group(group, &hops, self.kind_of(group));
        }
        moving
    }

    // ===== Next hops that must not be used =====

    /// Leaves these next hops, and no others, out of sets that have more. Returns whether that
    /// is news.
    pub(crate) fn suspend(&mut self, next_hops: BTreeSet<TrackKey>) -> bool {
        let news = next_hops != self.suspended;
        self.suspended = next_hops;
        news
    }

    /// Takes note of what the kernel did not take. Returns whether that is news.
    pub(crate) fn note_refused(&mut self) -> bool {
        let refused: HashSet<KernelHop> = self.objects.refused_hops().collect();
        let news = !refused.is_subset(&self.refused);
        self.refused.extend(refused);
        self.note_refused_groups() || news
    }

    /// Tries again what the kernel refused. Returns whether there was any.
    pub(crate) fn retry(&mut self) -> bool {
        let objects = self.objects.retry();
        let hops = !self.refused.is_empty();
        self.refused.clear();
        self.forms.retry() || objects || hops
    }

    pub(crate) fn has_refused(&self) -> bool {
        !self.refused.is_empty() || self.objects.has_refused() || self.forms.has_refused()
    }

    /// Why routes may not use the object now.
    pub(crate) fn obstacle(&self, kind: &KernelKind) -> Option<Errno> {
        match kind {
            KernelKind::Nexthop(id) => self.objects.ready(*id).err(),
            _ => None,
        }
    }
}

/// An object needs a router: what is directly on the link has no family, and what is dropped has
/// a type.
fn representable(hops: &[KernelHop]) -> bool {
    !hops.is_empty() && hops.iter().all(|hop| hop.gateway.is_some())
}
