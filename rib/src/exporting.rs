//! From changed prefixes to what update groups are told.

use std::rc::Rc;
use std::sync::Arc;

use bgp_wire::update::Nlri;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ipnet::IpNet;
use smallvec::SmallVec;

use crate::aggregating::last_route;
use crate::attrs::AttrRef;
use crate::export::{GroupAnnouncement, GroupBatch, GroupMember};
use crate::family_rib::{AdjRibIn, FamilyRib};
use crate::fib::Forwarding;
use crate::gate::forwarding;
use crate::group::{Group, GroupId, GroupKey, Next};
use crate::peer::PeerId;
use crate::plan::{Audience, Form, Plan};
use crate::shared::{Rules, Shared, put};
use crate::slots::SlotSet;
use crate::table::RibFamily;
use crate::transform::{Exporter, Route, own_next_hop};
use crate::view::PathSource;

/// What a portion consists of while it grows.
pub(crate) struct Portion<P> {
    plans: Vec<(Rc<Plan>, Vec<Nlri<P>>)>,
    places: HashMap<*const Plan, usize, RandomState>,
    /// Announcements to a few members.
    some: Vec<(Form, Audience, Vec<Nlri<P>>)>,
    withdrawn: Vec<(Audience, Vec<Nlri<P>>)>,
}

impl<P> Default for Portion<P> {
    fn default() -> Portion<P> {
        Portion {
            plans: Vec::new(),
            places: HashMap::default(),
            some: Vec::new(),
            withdrawn: Vec::new(),
        }
    }
}

impl<P: Copy> Portion<P> {
    fn announce_to(&mut self, form: Form, audience: Audience, nlri: Nlri<P>) {
        let mut known = self.some.iter_mut();
        match known.find(|(f, a, _)| *f == form && *a == audience) {
            Some((_, _, list)) => list.push(nlri),
            None => self.some.push((form, audience, vec![nlri])),
        }
    }

    pub(crate) fn announce(&mut self, plan: Rc<Plan>, nlri: Nlri<P>) {
        // Prefixes that share attributes mostly come one after the other.
        if let Some((last, list)) = self.plans.last_mut()
            && Rc::ptr_eq(last, &plan)
        {
            list.push(nlri);
            return;
        }
        let next = self.plans.len();
        let place = *self.places.entry(Rc::as_ptr(&plan)).or_insert(next);
        match self.plans.get_mut(place) {
            Some((_, list)) => list.push(nlri),
            None => self.plans.push((plan, vec![nlri])),
        }
    }

    pub(crate) fn withdraw(&mut self, audience: Audience, nlri: Nlri<P>) {
        let mut known = self.withdrawn.iter_mut();
        match known.find(|(known, _)| *known == audience) {
            Some((_, list)) => list.push(nlri),
            None => self.withdrawn.push((audience, vec![nlri])),
        }
    }
}

/// Which members a plan is news for, by form; none where it is for all that it
/// tells anything.
fn news(
    members: &[GroupMember],
    told: Option<&Plan>,
    wanted: &Plan,
) -> Option<Vec<(Form, Audience)>> {
    let told = told?;
    let simple = told.is_simple() && wanted.is_simple();
    if simple && names_alike(told, wanted) {
        return None;
    }
    let mut forms: Vec<(usize, Vec<PeerId>)> = Vec::new();
    let mut known: SmallVec<[((usize, usize), bool); 2]> = SmallVec::new();
    let mut all = true;
    // Of one member the forms name the addresses themselves, also the one that was ours then.
    let alone = members.len() == 1;
    for member in members {
        let Some(new) = wanted.form_of(member.peer) else {
            continue;
        };
        let old = told.form_of(member.peer);
        let again = |old| match alone {
            true => told.names_as(old, wanted, new),
            false => said_again((told, old), (wanted, new), member, &mut known),
        };
        if old.is_some_and(again) {
            all = false;
            continue;
        }
        match forms.iter_mut().find(|(known, _)| *known == new) {
            Some((_, list)) => list.push(member.peer),
            None => forms.push((new, vec![member.peer])),
        }
    }
    if all {
        return None;
    }
    let only =
        |(form, list): (usize, _)| Some((wanted.forms.get(form)?.clone(), Audience::Only(list)));
    Some(forms.into_iter().filter_map(only).collect())
}

/// [`said_the_same`], with what is known of two forms whoever is told.
fn said_again(
    (told, old): (&Plan, usize),
    (wanted, new): (&Plan, usize),
    member: &GroupMember,
    known: &mut SmallVec<[((usize, usize), bool); 2]>,
) -> bool {
    if let Some((_, same)) = known.iter().find(|(pair, _)| *pair == (old, new)) {
        return *same;
    }
    let (Some(from), Some(to)) = (told.forms.get(old), wanted.forms.get(new)) else {
        return false;
    };
    let same = said_the_same(from, to, member);
    if from.own_next_hop == to.own_next_hop {
        known.push(((old, new), same));
    }
    same
}

/// Whether both plans name the members their own next hop, or neither does.
fn names_alike(a: &Plan, b: &Plan) -> bool {
    let own = |plan: &Plan| plan.forms.first().map(|form| form.own_next_hop);
    own(a) == own(b)
}

/// Whether two forms are the same message to a member: the next hop of the one
/// may be by chance what the other one names.
fn said_the_same(old: &Form, new: &Form, member: &GroupMember) -> bool {
    if old.own_next_hop == new.own_next_hop {
        return old == new;
    }
    let (own, other) = if old.own_next_hop {
        (old, new)
    } else {
        (new, old)
    };
    if other.attributes().next_hop != member.next_hop {
        return false;
    }
    let mut own = bgp_wire::PathAttributes::clone(own.attributes());
    own.next_hop = member.next_hop;
    own == **other.attributes()
}

/// Members that were told and are not to be any more.
fn lost(members: &[PeerId], told: &Plan, wanted: Option<&Plan>) -> Option<Audience> {
    let simple = told.is_simple() && wanted.is_none_or(Plan::is_simple);
    if simple {
        let gone = told.rest.is_some() && wanted.is_none_or(|plan| plan.rest.is_none());
        return gone.then_some(Audience::All);
    }
    let gone = |peer: &PeerId| {
        told.form_of(*peer).is_some() && wanted.is_none_or(|plan| plan.form_of(*peer).is_none())
    };
    let list: Vec<PeerId> = members.iter().copied().filter(gone).collect();
    match list.len() {
        0 => None,
        len if len == members.len() => Some(Audience::All),
        _ => Some(Audience::Only(list)),
    }
}

// ===== peers =====

impl<F: RibFamily> FamilyRib<F> {
    pub(crate) fn key(shared: &Shared, peer: PeerId) -> Option<GroupKey> {
        let state = shared.peer(peer)?;
        Some(GroupKey::new(peer, state, F::FAMILY, shared.grouping))
    }

    /// Makes room for a peer's routes, and the whole table pending for it if
    /// the family was negotiated.
    pub(crate) fn peer_up(&mut self, shared: &Shared, peer: PeerId, negotiated: bool) {
        if self.ins.len() <= peer.0 as usize {
            put(&mut self.ins, peer, AdjRibIn::default());
        }
        if let Some(adj) = self.ins.get_mut(peer.0 as usize) {
            adj.negotiated = negotiated;
        }
        let told = shared
            .peer(peer)
            .is_some_and(|peer| peer.info.imported.is_none());
        if negotiated
            && told
            && let Some(key) = Self::key(shared, peer)
        {
            let number = self.groups.insert(Group::new(key, peer));
            self.mark_all(number);
        }
    }

    /// Forgets what the peer was told.
    pub(crate) fn close_out(&mut self, shared: &mut Shared, peer: PeerId) {
        if let Some(adj) = self.ins.get_mut(peer.0 as usize) {
            adj.negotiated = false;
        }
        let Some(number) = self.groups.number_of(peer) else {
            return;
        };
        let Some(group) = self.groups.get_mut(number) else {
            return;
        };
        if group.members.len() > 1 {
            group.leave(peer);
            self.groups.forget_peer(peer);
            return;
        }
        let Some(mut group) = self.groups.remove(number) else {
            return;
        };
        for slot in group.dissolve(&mut shared.interner) {
            self.release_if_idle(slot);
        }
        // Of what was told beside the table nothing was pending.
        if let Some(slot) = self.table.find(&F::everything()) {
            self.release_if_idle(slot);
        }
    }

    /// Makes the peer a group of its own, which catches up by itself and joins
    /// the others again when both are in sync with the table.
    pub(crate) fn isolate(&mut self, shared: &mut Shared, peer: PeerId) -> Option<u32> {
        let rules = shared.rules();
        self.isolate_by(shared, &rules, peer)
    }

    /// [`isolate`](Self::isolate), where others than the rules in force were
    /// those that the group was told by until now.
    pub(crate) fn isolate_by(
        &mut self,
        shared: &mut Shared,
        rules: &Rules,
        peer: PeerId,
    ) -> Option<u32> {
        let number = self.groups.number_of(peer)?;
        let group = self.groups.get(number)?;
        if group.members.len() < 2 {
            return Some(number);
        }
        let all = group.advertised.len();
        let withheld = if group.sent_to(peer) == all {
            Vec::new()
        } else {
            self.withheld(shared, rules, (number, peer))
        };
        let group = self.groups.get_mut(number)?;
        let own = group.split(peer, withheld, &mut shared.interner);
        Some(self.groups.insert(own))
    }

    /// Slots that the group was told and the member was not.
    fn withheld(&self, shared: &Shared, rules: &Rules, (number, peer): (u32, PeerId)) -> Vec<u32> {
        let Some(group) = self.groups.get(number) else {
            return Vec::new();
        };
        let mut told = Told::new(rules.clone(), group, &[peer], F::FAMILY);
        let slots = group.advertised.iter();
        slots
            .filter(|slot| told.plan(self, shared, group, *slot).is_none())
            .collect()
    }

    /// What the peer is told goes by other rules than before.
    pub(crate) fn peer_rules_change(
        &mut self,
        shared: &mut Shared,
        peer: PeerId,
        before: &Arc<Rules>,
    ) {
        let Some(number) = self.isolate_by(shared, before, peer) else {
            return;
        };
        if let Some(group) = self.groups.get_mut(number) {
            group.rules_change(before, None);
        }
        if let Some(mut key) = Self::key(shared, peer) {
            let listed = self.groups.get(number).is_some_and(|g| g.listing.is_some());
            if listed {
                // What is written down stays so: the listing lasts as long as
                // the session.
                key.stay_alone(peer);
            } else if key.needs_listing() {
                self.start_listing(shared, number, peer);
            }
            self.groups.rekey(number, key);
        }
        self.mark_all(number);
    }

    /// The peer's policy is another that answers export as the one before did:
    /// nothing is looked at again, but the peer may belong to other groups.
    pub(crate) fn policy_stands(&mut self, shared: &mut Shared, peer: PeerId, before: &Arc<Rules>) {
        let Some(mut key) = Self::key(shared, peer) else {
            return;
        };
        let Some(group) = self.groups.of(peer) else {
            return;
        };
        let listed = group.listing.is_some();
        if listed {
            key.stay_alone(peer);
        }
        if group.key == key {
            return;
        }
        if !listed && key.needs_listing() {
            // Which paths it is offered hangs on what the policy says of itself.
            return self.peer_rules_change(shared, peer, before);
        }
        let Some(number) = self.isolate_by(shared, before, peer) else {
            return;
        };
        self.groups.rekey(number, key);
        if !listed && self.groups.get(number).is_some_and(Group::is_in_sync) {
            self.groups.join(number);
        }
    }

    /// The peer is told another default route beside the table than before, or
    /// none any more.
    pub(crate) fn default_route_changes(
        &mut self,
        shared: &mut Shared,
        peer: PeerId,
        before: &Arc<Rules>,
    ) {
        let Some(number) = self.isolate_by(shared, before, peer) else {
            return;
        };
        let slot = self.table.find_or_add(F::everything());
        let mut slots = SlotSet::default();
        slots.insert(slot);
        let Some((group, mut key)) = self.groups.get_mut(number).zip(Self::key(shared, peer))
        else {
            return;
        };
        group.rules_change(before, Some(&slots));
        group.mark(slot, None, &mut shared.interner);
        if group.listing.is_some() {
            key.stay_alone(peer);
        }
        self.groups.rekey(number, key);
    }

    /// What everybody is told goes by other rules than before.
    pub(crate) fn all_rules_change(&mut self, before: &Arc<Rules>) {
        let numbers: Vec<u32> = self.groups.iter().map(|(number, _)| number).collect();
        for number in numbers {
            if let Some(group) = self.groups.get_mut(number) {
                group.rules_change(before, None);
            }
            self.mark_all(number);
        }
    }

    /// The peer's routes are told by other rules than before, and decided
    /// again.
    pub(crate) fn source_changed(
        &mut self,
        shared: &mut Shared,
        peer: PeerId,
        before: &Arc<Rules>,
    ) {
        let source = PathSource::Peer(peer);
        let adj = self.ins.get(peer.0 as usize);
        let slots = adj.map(|adj| adj.slots.clone()).unwrap_or_default();
        let ghosts: Vec<u32> = self
            .table
            .iter()
            .filter(|(_, entry)| entry.ghost().is_some_and(|ghost| ghost.is_of(source)))
            .map(|(slot, _)| slot)
            .collect();
        for group in self.groups.iter_mut() {
            let mut affected = slots.clone();
            for slot in group.told_from(source).chain(ghosts.iter().copied()) {
                affected.insert(slot);
            }
            group.rules_change(before, Some(&affected));
            for slot in slots.iter() {
                group.mark(slot, None, &mut shared.interner);
            }
        }
        for slot in slots.iter() {
            self.decide_again(shared, slot);
        }
    }

    /// Looks at everything again for the peer, and sends it again if asked to.
    pub(crate) fn refresh_out(&mut self, shared: &mut Shared, peer: PeerId, resend: bool) {
        if !resend {
            // What it was told went by the rules in force.
            return;
        }
        let Some(number) = self.isolate(shared, peer) else {
            return;
        };
        if let Some(group) = self.groups.get_mut(number) {
            group.start_refresh();
        }
        self.mark_all(number);
    }

    /// Everything that could be or was told is looked at. What only an entry
    /// without paths was advertised for is pending already.
    fn mark_all(&mut self, number: u32) {
        let Some(group) = self.groups.get_mut(number) else {
            return;
        };
        if group.key.has_default_route() {
            group
                .pending
                .insert(self.table.find_or_add(F::everything()));
        }
        for (slot, entry) in self.table.iter() {
            if entry.has_paths() {
                group.pending.insert(slot);
            }
        }
    }

    pub(crate) fn is_pending(&self, peer: PeerId) -> bool {
        let group = self.groups.of(peer);
        group.is_some_and(|group| group.is_pending() || !self.is_settled())
    }
}

// ===== what was told =====

/// Works out what a group was told, by the rules of the time.
pub(crate) struct Told {
    now: Rules,
    earlier: Vec<Arc<Rules>>,
    members: Vec<PeerId>,
    family: bgp_wire::Family,
}

/// What single looks at the past go by: built for each.
impl Told {
    /// `now` are the rules by which everything was told that has no note of
    /// earlier ones.
    pub(crate) fn new(
        now: Rules,
        group: &Group,
        members: &[PeerId],
        family: bgp_wire::Family,
    ) -> Told {
        let previous = group.previous.iter();
        Told {
            now,
            earlier: previous.map(|p| Arc::clone(&p.rules)).collect(),
            members: members.to_vec(),
            family,
        }
    }

    /// The route that the members were told of a slot, if they were.
    pub(crate) fn route<F: RibFamily>(
        rib: &FamilyRib<F>,
        shared: &Shared,
        group: &Group,
        slot: u32,
    ) -> Option<Route> {
        let last = || last_route((&rib.table, rib.aggregates.as_deref()), shared, slot);
        group.told(slot).or_else(last)
    }

    /// What the members were told of a slot.
    pub(crate) fn plan<F: RibFamily>(
        &mut self,
        rib: &FamilyRib<F>,
        shared: &Shared,
        group: &Group,
        slot: u32,
    ) -> Option<Rc<Plan>> {
        let entry = rib.table.get(slot)?;
        let route = Told::route(rib, shared, group, slot);
        let rules = match group.told_by(slot) {
            Some(rules) => self
                .earlier
                .iter()
                .find(|known| Arc::ptr_eq(known, rules))
                .map_or(&self.now, |rules| rules),
            None => &self.now,
        };
        Exporter::new(rules, &self.members, self.family).plan(
            &shared.interner,
            entry.prefix.into(),
            route,
        )
    }
}

impl<F: RibFamily> FamilyRib<F> {
    /// What the peer was told of a prefix, each path with its identifier.
    pub(crate) fn told_to(&self, shared: &Shared, peer: PeerId, slot: u32) -> Vec<(u32, AttrRef)> {
        let group = self.groups.of(peer);
        let Some(group) = group.filter(|group| group.advertised.contains(slot)) else {
            return Vec::new();
        };
        if group.listing.is_some() {
            return self.listed(shared, group, slot);
        }
        let mut told = Told::new(shared.rules(), group, &[peer], F::FAMILY);
        let plan = told.plan(self, shared, group, slot);
        let form = plan
            .as_ref()
            .and_then(|plan| plan.forms.get(plan.form_of(peer)?));
        let attributes = form.map(|form| (0, AttrRef::new(form.attributes())));
        attributes.into_iter().collect()
    }
}

// ===== portions =====

impl<F: RibFamily> FamilyRib<F> {
    /// The group's next portion; looks at up to `budget` pending prefixes.
    pub(crate) fn export(
        &mut self,
        shared: &mut Shared,
        number: u32,
        budget: usize,
    ) -> Option<GroupBatch> {
        if self.groups.get(number)?.listing.is_some() {
            return self.export_listed(shared, number, budget);
        }
        let group = self.groups.get_mut(number)?;
        let members = group.peers();
        let rules = shared.rules();
        let previous = group.previous.iter();
        let earlier: Vec<Arc<Rules>> = previous.map(|p| Arc::clone(&p.rules)).collect();
        let mut before: Vec<Exporter<'_>> = earlier
            .iter()
            .map(|rules| Exporter::new(rules, &members, F::FAMILY))
            .collect();
        let mut exporter = Exporter::new(&rules, &members, F::FAMILY);
        let mut portion = Portion::default();
        let mut batch = GroupBatch::new(
            GroupId {
                family: F::FAMILY,
                number,
            },
            group_members(shared, &members, F::FAMILY),
        );
        let mut idle = Vec::new();
        for _ in 0..budget {
            let slot = match group.next() {
                Next::Idle => break,
                Next::Slot(slot) => slot,
                Next::Lap(lap) => {
                    batch.end_of_rib = lap.initial;
                    batch.end_of_refresh = lap.refresh;
                    // What comes after the marker is of the next portion.
                    break;
                }
            };
            let Some(entry) = self.table.get(slot) else {
                continue;
            };
            let forwarding = forwarding(self.gate.as_deref(), &self.fib_dirty, (slot, entry));
            let aggregates = self.aggregates.as_deref();
            let last = last_route((&self.table, aggregates), shared, slot);
            let absent = forwarding == Some(Forwarding::Absent);
            let now = last.filter(|_| entry.best().is_some() && !absent);
            let nlri = Nlri {
                path_id: 0,
                prefix: entry.prefix,
            };
            let prefix: IpNet = entry.prefix.into();
            let wanted = exporter.plan(&shared.interner, prefix, now);
            let awaited = forwarding == Some(Forwarding::Awaited);
            if awaited && wanted.is_some() && !exporter.is_beside(prefix) {
                group.hold(slot);
                continue;
            }
            group.let_go(slot);
            let mut told = None;
            let noted = group.take_told(slot);
            let last = noted.or(last);
            let interner = &mut shared.interner;
            if group.advertised.contains(slot) {
                let by = group.told_by(slot);
                let at = by.and_then(|by| earlier.iter().position(|known| Arc::ptr_eq(known, by)));
                let by = at.and_then(|at| before.get_mut(at));
                told = by.unwrap_or(&mut exporter).plan(interner, prefix, last);
            }
            if let Some(noted) = noted {
                interner.release(noted.attributes);
            }
            let resend = group.looked_at(slot);
            if resend || !same(told.as_ref(), wanted.as_ref()) {
                if let Some(told) = &told
                    && let Some(audience) = lost(&members, told, wanted.as_deref())
                {
                    portion.withdraw(audience, nlri);
                }
                if let Some(wanted) = &wanted {
                    let told = told.as_deref().filter(|_| !resend);
                    match news(&batch.members, told, wanted) {
                        None => portion.announce(Rc::clone(wanted), nlri),
                        Some(forms) => {
                            for (form, audience) in forms {
                                portion.announce_to(form, audience, nlri);
                            }
                        }
                    }
                }
            }
            group.account(slot, told.as_deref(), wanted.as_deref());
            if !entry.has_paths() {
                idle.push(slot);
            }
        }
        finish::<F>(portion, &mut batch);
        let in_sync = group.is_in_sync();
        for slot in idle {
            self.release_if_idle(slot);
        }
        if in_sync {
            self.groups.join(number);
        }
        self.let_ghosts_go(shared);
        shared.interner.sweep();
        Some(batch)
    }
}

fn same(a: Option<&Rc<Plan>>, b: Option<&Rc<Plan>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Rc::ptr_eq(a, b) || a == b,
        (None, None) => true,
        _ => false,
    }
}

pub(crate) fn group_members(
    shared: &Shared,
    members: &[PeerId],
    family: bgp_wire::Family,
) -> Vec<GroupMember> {
    let members = members.iter();
    members
        .map(|peer| GroupMember {
            peer: *peer,
            next_hop: shared
                .peer(*peer)
                .and_then(|state| own_next_hop(&state.info, family)),
        })
        .collect()
}

pub(crate) fn finish<F: RibFamily>(portion: Portion<F::Prefix>, batch: &mut GroupBatch) {
    batch.withdrawn = portion
        .withdrawn
        .into_iter()
        .map(|(audience, list)| (audience, F::prefixes(list)))
        .collect();
    for (form, audience, list) in portion.some {
        batch.announced.push(GroupAnnouncement {
            attributes: Arc::clone(form.attributes()),
            own_next_hop: form.own_next_hop,
            audience,
            prefixes: F::prefixes(list),
        });
    }
    for (plan, mut list) in portion.plans {
        let last = plan.forms.len().saturating_sub(1);
        for (at, form) in plan.forms.iter().enumerate() {
            let audience = plan.audience(at);
            if audience == Audience::Only(Vec::new()) {
                continue;
            }
            let list = if at == last {
                core::mem::take(&mut list)
            } else {
                list.clone()
            };
            batch.announced.push(GroupAnnouncement {
                attributes: Arc::clone(form.attributes()),
                own_next_hop: form.own_next_hop,
                audience,
                prefixes: F::prefixes(list),
            });
        }
    }
}
