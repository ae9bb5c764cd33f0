//! Update groups: Adj-RIB-Out of all peers that are told the same.
//!
//! What was told is not stored. A slot that is not pending was told what the
//! best path says by the rules in force; one that is pending was told what the
//! best path said when it was last looked at, which is noted if it changed
//! since, by the rules of then, which are kept if they changed since.

use core::cmp::Reverse;
use std::sync::Arc;

use bgp_wire::{Family, PeerKind};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::attrs::{AttrRef, Interner};
use crate::listed::Listing;
use crate::listing::Offer;
use crate::peer::{AddPathSend, CommunityKinds, PeerFamily, PeerId, PeerInfo};
use crate::plan::Plan;
use crate::shared::{Peer, Rules};
use crate::slots::SlotSet;
use crate::transform::{Route, own_next_hop};

/// The number of an update group: peers that are told the same in a family.
/// Groups come and go; numbers are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId {
    pub(crate) family: Family,
    pub(crate) number: u32,
}

impl GroupId {
    /// The family that the group is about.
    pub fn family(self) -> Family {
        self.family
    }

    /// A number for people: no two groups have the same at a time.
    pub fn number(self) -> u64 {
        u64::from(self.number) * 2 + self.family as u64 + 1
    }
}

/// Everything that what a peer is told depends on, but for which routes are
/// its own and which subnets it shares with us: those are looked at one by
/// one. Made by taking the structs apart, so that a new setting cannot be
/// forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct GroupKey {
    kind: PeerKind,
    local_as: u32,
    replace_as: bool,
    /// Which kind of address of ours the peer is named as next hop.
    own_next_hop: Option<(bool, bool)>,
    extended_next_hop: bool,
    next_hop_self: bool,
    next_hop_self_force: bool,
    route_server_client: bool,
    reflector_client: bool,
    offer: Offer,
    next_hop_unchanged: bool,
    send_communities: CommunityKinds,
    takes_aigp: bool,
    integer_bandwidth: bool,
    encoding: u32,
    /// [`Policy::export_identity`](crate::Policy::export_identity).
    policy: usize,
    default_route: Option<AttrRef>,
    /// Set where the peer is told what nobody else is.
    alone: Option<PeerId>,
}

impl GroupKey {
    pub(crate) fn new(id: PeerId, peer: &Peer, family: Family, grouping: bool) -> GroupKey {
        let Peer {
            info,
            policy,
            up: _,
            defaults: _,
        } = peer;
        let PeerInfo {
            kind,
            remote_as: _,
            imported: _,
            local_as,
            replace_as,
            router_id: _,
            address: _,
            local_v4: _,
            local_v6: _,
            local_link_local: _,
            shared_subnets: _,
            families: _,
            extended_next_hop,
            next_hop_self,
            next_hop_self_force,
            route_server_client,
            reflector_client,
            ipv4: _,
            ipv6: _,
            ebgp_multihop: _,
            aigp: _,
            integer_bandwidth,
            encoding,
        } = info;
        // Weight and loops are questions of import.
        let PeerFamily {
            weight: _,
            allow_as_in: _,
            add_path,
            next_hop_unchanged,
            send_communities,
        } = *info.family(family);
        let own = own_next_hop(info, family).map(|hop| match hop {
            bgp_wire::NextHop::V4(_) => (false, false),
            bgp_wire::NextHop::V6 { link_local, .. } => (true, link_local.is_some()),
        });
        // A client of the route server does without paths that its own policy
        // denies, not without the prefix (RFC 7947 section 2.3.2.2).
        let client = route_server_client.contains(family) && info.is_external();
        let offer = match add_path {
            AddPathSend::All => Offer::All,
            AddPathSend::BestPerAs => Offer::BestPerAs,
            AddPathSend::Best if client && policy.export_may_deny() => Offer::BestAllowed,
            AddPathSend::Best => Offer::Best,
        };
        let alone = !grouping || policy.export_depends_on_peer() || offer != Offer::Best;
        GroupKey {
            kind: *kind,
            local_as: *local_as,
            replace_as: *replace_as,
            own_next_hop: own,
            extended_next_hop: extended_next_hop.contains(family),
            next_hop_self: next_hop_self.contains(family),
            next_hop_self_force: next_hop_self_force.contains(family),
            route_server_client: route_server_client.contains(family),
            reflector_client: reflector_client.contains(family),
            offer,
            next_hop_unchanged,
            send_communities,
            takes_aigp: info.takes_aigp(),
            integer_bandwidth: *integer_bandwidth,
            encoding: *encoding,
            policy: policy.export_identity(),
            default_route: peer.default_route(family).cloned(),
            alone: alone.then_some(id),
        }
    }

    /// Which paths its peers are told.
    pub(crate) fn offer(&self) -> Offer {
        self.offer
    }

    /// Whether its peers are told a default route beside the table.
    pub(crate) fn has_default_route(&self) -> bool {
        self.default_route.is_some()
    }

    /// Whether what its peers were told has to be written down.
    pub(crate) fn needs_listing(&self) -> bool {
        self.offer != Offer::Best
    }

    /// No other peer may join this one.
    pub(crate) fn stay_alone(&mut self, peer: PeerId) {
        self.alone = Some(peer);
    }
}

/// A peer in a group.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) peer: PeerId,
    /// Slots that are advertised to others of the group and not to it.
    pub(crate) withheld: usize,
}

/// The rules by which some slots were told what they were told.
#[derive(Debug, Clone)]
pub(crate) struct Previous {
    pub(crate) rules: Arc<Rules>,
    pub(crate) slots: SlotSet,
}

/// Marks that wait for slots which are held back.
#[derive(Debug, Clone)]
struct Postponed {
    lap: Lap,
    slots: SlotSet,
}

/// Room for notes of what was told that is kept while there are none.
const OLD_KEPT: usize = 1 << 15;

/// One group in one family.
///
/// The pending set is walked in a circle: a slot that changes again before its
/// turn comes is sent once. The first transfer of the table is the set of all
/// slots, and is complete when the walk reaches its end for the first time.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) key: GroupKey,
    /// Ascending by peer.
    pub(crate) members: Vec<Member>,
    /// Slots that somebody of the group was told.
    pub(crate) advertised: SlotSet,
    pub(crate) pending: SlotSet,
    /// Slots to be sent even if the peer has the same already.
    pub(crate) resend: SlotSet,
    /// Slots that were looked at and wait for the kernel: what was told of
    /// them is as it was, and so are the notes of it.
    held: SlotSet,
    /// Marks to be sent when the slots that were held then are through.
    postponed: Option<Box<Postponed>>,
    /// What was told of slots that are advertised, where the best path is
    /// another by now.
    old: HashMap<u32, Route, RandomState>,
    pub(crate) previous: Vec<Previous>,
    /// What was told, where the rest does not say it: of a single peer.
    pub(crate) listing: Option<Box<Listing>>,
    cursor: u32,
    /// The first transfer is not complete.
    initial: bool,
    /// A requested resend is not complete.
    refresh: bool,
}

/// How the pending set's walk goes on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// This slot is to be looked at.
    Slot(u32),
    /// The end of the table was reached; there may be more.
    Lap(Lap),
    /// Nothing is pending.
    Idle,
}

/// What was complete at the end of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lap {
    pub(crate) initial: bool,
    pub(crate) refresh: bool,
}

impl Group {
    /// For a peer that just came up.
    pub(crate) fn new(key: GroupKey, peer: PeerId) -> Group {
        let listing = key.needs_listing().then(Box::default);
        Group {
            key,
            listing,
            members: vec![Member { peer, withheld: 0 }],
            advertised: SlotSet::default(),
            pending: SlotSet::default(),
            resend: SlotSet::default(),
            held: SlotSet::default(),
            postponed: None,
            old: HashMap::default(),
            previous: Vec::new(),
            cursor: 0,
            initial: true,
            refresh: false,
        }
    }

    pub(crate) fn peers(&self) -> Vec<PeerId> {
        self.members.iter().map(|member| member.peer).collect()
    }

    fn member(&self, peer: PeerId) -> Option<&Member> {
        let at = self.members.binary_search_by_key(&peer, |m| m.peer).ok()?;
        self.members.get(at)
    }

    /// Number of prefixes that a member was told.
    pub(crate) fn sent_to(&self, peer: PeerId) -> usize {
        let withheld = self.member(peer).map_or(0, |member| member.withheld);
        self.advertised.len().saturating_sub(withheld)
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.initial || self.refresh || !self.pending.is_empty()
    }

    /// Whether all that the table says was told.
    pub(crate) fn is_in_sync(&self) -> bool {
        !self.is_pending() && self.held.is_empty()
    }

    /// Whether the slot's entry has to stay.
    pub(crate) fn needs(&self, slot: u32) -> bool {
        self.advertised.contains(slot) || self.pending.contains(slot) || self.held.contains(slot)
    }

    // ----- slots that wait for the kernel -----

    /// The slot was looked at, and waits: nothing is told now.
    pub(crate) fn hold(&mut self, slot: u32) {
        self.held.insert(slot);
    }

    /// The slot waits no more. Whether it did.
    pub(crate) fn let_go(&mut self, slot: u32) -> bool {
        if !self.held.remove(slot) {
            return false;
        }
        if let Some(postponed) = &mut self.postponed {
            postponed.slots.remove(slot);
            if postponed.slots.is_empty() {
                self.resume();
            }
        }
        true
    }

    /// As [`let_go`](Self::let_go), and looks at it again.
    pub(crate) fn release(&mut self, slot: u32) {
        if self.let_go(slot) {
            self.pending.insert(slot);
            if self.initial || self.refresh {
                // The mark at the end of this round says that it was sent.
                self.cursor = self.cursor.min(slot);
            }
        }
    }

    /// Nothing waits any more.
    pub(crate) fn release_all(&mut self) {
        self.pending.unite(&core::mem::take(&mut self.held));
        self.cursor = 0;
        self.resume();
    }

    /// Marks that were postponed are sent when all that is pending was.
    fn resume(&mut self) {
        if let Some(postponed) = self.postponed.take() {
            self.initial |= postponed.lap.initial;
            self.refresh |= postponed.lap.refresh;
            self.cursor = 0;
        }
    }

    /// A mark says that everything was sent: it waits for what is held.
    fn postpone(&mut self, mut lap: Lap) {
        if let Some(before) = self.postponed.take() {
            lap.initial |= before.lap.initial;
            lap.refresh |= before.lap.refresh;
        }
        let slots = self.held.clone();
        self.postponed = Some(Box::new(Postponed { lap, slots }));
    }

    /// Notes what a slot was told, where that was noted nowhere yet and is
    /// about to be forgotten.
    pub(crate) fn note(&mut self, slot: u32, told: Route, interner: &mut Interner) {
        if self.listing.is_none() && self.advertised.contains(slot) && !self.old.contains_key(&slot)
        {
            interner.hold(told.attributes);
            self.old.insert(slot, told);
        }
    }

    /// Asks for a look at a slot whose best path was `told` until now.
    pub(crate) fn mark(&mut self, slot: u32, told: Option<Route>, interner: &mut Interner) {
        if let Some(told) = told {
            self.note(slot, told, interner);
        }
        self.pending.insert(slot);
    }

    /// What a slot was told last, if that is not what the best path says.
    pub(crate) fn told(&self, slot: u32) -> Option<Route> {
        self.old.get(&slot).copied()
    }

    /// The rules by which a slot was told, if they are not those in force.
    pub(crate) fn told_by(&self, slot: u32) -> Option<&Arc<Rules>> {
        let previous = self.previous.iter();
        previous
            .filter(|previous| previous.slots.contains(slot))
            .map(|previous| &previous.rules)
            .next()
    }

    /// As [`told`](Self::told), and forgets it: the caller has its hold on the
    /// attributes.
    pub(crate) fn take_told(&mut self, slot: u32) -> Option<Route> {
        if self.old.is_empty() {
            return None;
        }
        let told = self.old.remove(&slot);
        if self.old.is_empty() && self.old.capacity() > OLD_KEPT {
            self.old = HashMap::default();
        }
        told
    }

    /// The slot was looked at: what it was told is what the rules say now.
    /// Returns whether it is to be sent though nothing changed.
    pub(crate) fn looked_at(&mut self, slot: u32) -> bool {
        if !self.previous.is_empty() {
            for previous in &mut self.previous {
                previous.slots.remove(slot);
            }
            self.previous.retain(|previous| !previous.slots.is_empty());
        }
        self.resend.remove(slot)
    }

    /// The rules change for these slots of the group, or for all.
    pub(crate) fn rules_change(&mut self, rules: &Arc<Rules>, slots: Option<&SlotSet>) {
        if self.listing.is_some() {
            return;
        }
        let mut changed = self.advertised.clone();
        if let Some(slots) = slots {
            changed.intersect(slots);
        }
        for previous in &self.previous {
            changed.subtract(&previous.slots);
        }
        if !changed.is_empty() {
            self.previous.push(Previous {
                rules: Arc::clone(rules),
                slots: changed,
            });
        }
    }

    /// Slots that were told a route of the peer and have another by now.
    pub(crate) fn told_from(&self, source: crate::view::PathSource) -> impl Iterator<Item = u32> {
        let told = self.old.iter();
        told.filter(move |(_, route)| route.source == source)
            .map(|(slot, _)| *slot)
    }

    /// Sends everything again that is advertised when its turn comes. The
    /// caller marks the slots.
    pub(crate) fn start_refresh(&mut self) {
        self.refresh = true;
        self.cursor = 0;
        self.resend = self.advertised.clone();
    }

    /// Goes one step on; the slot is not pending any more.
    pub(crate) fn next(&mut self) -> Next {
        if let Some(slot) = self.pending.next_from(self.cursor) {
            self.cursor = slot.saturating_add(1);
            self.pending.remove(slot);
            return Next::Slot(slot);
        }
        self.cursor = 0;
        if self.initial || self.refresh {
            let lap = Lap {
                initial: core::mem::take(&mut self.initial),
                refresh: core::mem::take(&mut self.refresh),
            };
            if self.held.is_empty() {
                return Next::Lap(lap);
            }
            self.postpone(lap);
        }
        match self.pending.next_from(0) {
            Some(_) => self.next(),
            None => Next::Idle,
        }
    }

    /// Counts what changed from one plan to the other. What nobody of the
    /// present members was told may be advertised still: to one that left.
    pub(crate) fn account(&mut self, slot: u32, old: Option<&Plan>, new: Option<&Plan>) {
        let (was, is) = (self.advertised.contains(slot), new.is_some());
        let simple = |plan: Option<&Plan>| plan.is_some_and(Plan::is_simple);
        if (was && !simple(old)) || (is && !simple(new)) {
            for member in &mut self.members {
                let told = |plan: Option<&Plan>| {
                    plan.is_some_and(|plan| plan.form_of(member.peer).is_some())
                };
                let (before, after) = (was && !told(old), is && !told(new));
                let withheld = member.withheld + usize::from(after);
                member.withheld = withheld.saturating_sub(usize::from(before));
            }
        }
        if is {
            self.advertised.insert(slot);
        } else if was {
            self.advertised.remove(slot);
        }
    }

    /// Takes a member out, as a group that was told what it was told. The
    /// slots that it was not told itself are given.
    pub(crate) fn split(
        &mut self,
        peer: PeerId,
        withheld: impl IntoIterator<Item = u32>,
        interner: &mut Interner,
    ) -> Group {
        let mut own = self.clone();
        self.members.retain(|member| member.peer != peer);
        own.members = vec![Member { peer, withheld: 0 }];
        for slot in withheld {
            own.advertised.remove(slot);
            own.resend.remove(slot);
            own.old.remove(&slot);
            for previous in &mut own.previous {
                previous.slots.remove(slot);
            }
        }
        own.previous.retain(|previous| !previous.slots.is_empty());
        for told in own.old.values() {
            interner.hold(told.attributes);
        }
        own
    }

    /// Takes in a group that is in sync with the table, as this one is.
    pub(crate) fn merge(&mut self, other: Group) {
        let sent = |group: &Group| -> Vec<(PeerId, usize)> {
            let members = group.members.iter();
            members.map(|m| (m.peer, group.sent_to(m.peer))).collect()
        };
        let mut sent_to = sent(self);
        sent_to.extend(sent(&other));
        sent_to.sort_unstable_by_key(|(peer, _)| *peer);
        self.advertised.unite(&other.advertised);
        let all = self.advertised.len();
        self.members = sent_to
            .into_iter()
            .map(|(peer, sent)| Member {
                peer,
                withheld: all.saturating_sub(sent),
            })
            .collect();
    }

    /// Forgets everything; what it held of the interner is given back.
    pub(crate) fn dissolve(&mut self, interner: &mut Interner) -> Vec<u32> {
        self.forget_notes(interner);
        if let Some(listing) = &mut self.listing {
            listing.clear(interner);
        }
        let mut pending = core::mem::take(&mut self.pending);
        pending.unite(&core::mem::take(&mut self.held));
        let pending = pending.iter().collect();
        self.advertised = SlotSet::default();
        pending
    }

    fn forget_notes(&mut self, interner: &mut Interner) {
        for (_, told) in self.old.drain() {
            interner.release(told.attributes);
        }
    }

    /// Takes the peer out, without looking at what it was told.
    pub(crate) fn leave(&mut self, peer: PeerId) {
        self.members.retain(|member| member.peer != peer);
    }
}

// ===== all groups of a family =====

/// The groups of a family, and which peer is in which.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    list: Vec<Option<Group>>,
    of: Vec<Option<u32>>,
    /// How many have a listing.
    listings: usize,
    /// The group that others with its key join when they are in sync.
    mains: HashMap<GroupKey, u32, RandomState>,
}

impl Groups {
    pub(crate) fn number_of(&self, peer: PeerId) -> Option<u32> {
        self.of.get(peer.0 as usize).copied().flatten()
    }

    pub(crate) fn of(&self, peer: PeerId) -> Option<&Group> {
        self.get(self.number_of(peer)?)
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Group> {
        self.list.get(number as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut Group> {
        self.list.get_mut(number as usize)?.as_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Group)> {
        let list = (0u32..).zip(&self.list);
        list.filter_map(|(number, group)| Some((number, group.as_ref()?)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Group> {
        self.list.iter_mut().flatten()
    }

    /// A path of the slot changed that is not the best one.
    pub(crate) fn mark_listings(&mut self, slot: u32) {
        if self.listings > 0 {
            for group in self.iter_mut().filter(|group| group.listing.is_some()) {
                group.pending.insert(slot);
            }
        }
    }

    /// Gives a group of one peer a listing in place of notes of what it was
    /// told, empty yet.
    pub(crate) fn start_listing(&mut self, number: u32, interner: &mut Interner) {
        let Some(group) = self.get_mut(number).filter(|g| g.listing.is_none()) else {
            return;
        };
        group.forget_notes(interner);
        group.previous.clear();
        for member in &mut group.members {
            member.withheld = 0;
        }
        group.listing = Some(Box::default());
        self.listings += 1;
    }

    /// Whether any group needs the slot's entry. From the last group to the
    /// first, since they are served from the first to the last.
    pub(crate) fn need(&self, slot: u32) -> bool {
        self.list
            .iter()
            .rev()
            .flatten()
            .any(|group| group.needs(slot))
    }

    pub(crate) fn insert(&mut self, group: Group) -> u32 {
        self.listings += usize::from(group.listing.is_some());
        let free = self.list.iter().position(Option::is_none);
        let at = free.unwrap_or_else(|| {
            self.list.push(None);
            self.list.len() - 1
        });
        // Fewer groups than peers, and peers are numbered with 32 bits.
        let number = at as u32;
        for member in &group.members {
            let index = member.peer.0 as usize;
            if index >= self.of.len() {
                self.of.resize(index + 1, None);
            }
            if let Some(place) = self.of.get_mut(index) {
                *place = Some(number);
            }
        }
        if let Some(place) = self.list.get_mut(at) {
            *place = Some(group);
        }
        number
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<Group> {
        let group = self.list.get_mut(number as usize)?.take()?;
        self.listings -= usize::from(group.listing.is_some());
        if self.mains.get(&group.key) == Some(&number) {
            self.mains.remove(&group.key);
        }
        for member in &group.members {
            if let Some(place) = self.of.get_mut(member.peer.0 as usize)
                && *place == Some(number)
            {
                *place = None;
            }
        }
        while matches!(self.list.last(), Some(None)) {
            self.list.pop();
        }
        Some(group)
    }

    pub(crate) fn forget_peer(&mut self, peer: PeerId) {
        if let Some(place) = self.of.get_mut(peer.0 as usize) {
            *place = None;
        }
    }

    /// The group's key is another now: it is nobody's main group under the old
    /// one.
    pub(crate) fn rekey(&mut self, number: u32, key: GroupKey) {
        let Some(group) = self.list.get_mut(number as usize).and_then(Option::as_mut) else {
            return;
        };
        if self.mains.get(&group.key) == Some(&number) {
            self.mains.remove(&group.key);
        }
        group.key = key;
    }

    /// Joins groups with the key of this one which are in sync with the table,
    /// as this one is: what they were told is the same.
    pub(crate) fn join(&mut self, number: u32) {
        let Some(key) = self.get(number).map(|group| group.key.clone()) else {
            return;
        };
        let main = *self.mains.entry(key.clone()).or_insert(number);
        let others: Vec<u32> = if main == number {
            self.iter()
                .filter(|(at, group)| *at != number && group.key == key && group.is_in_sync())
                .map(|(at, _)| at)
                .collect()
        } else if self.get(main).is_some_and(Group::is_in_sync) {
            vec![number]
        } else {
            return;
        };
        for other in others {
            let Some(other) = self.remove(other) else {
                continue;
            };
            for member in &other.members {
                if let Some(place) = self.of.get_mut(member.peer.0 as usize) {
                    *place = Some(main);
                }
            }
            if let Some(group) = self.get_mut(main) {
                group.merge(other);
            }
        }
    }

    /// Groups with work to do, those with the most members first; with `all`
    /// nobody knows of any that it has none.
    pub(crate) fn pending(&self, all: bool) -> Vec<u32> {
        let mut pending: Vec<(u32, usize)> = self
            .iter()
            .filter(|(_, group)| all || group.is_pending())
            .map(|(number, group)| (number, group.members.len()))
            .collect();
        pending.sort_by_key(|(_, members)| Reverse(*members));
        pending.into_iter().map(|(number, _)| number).collect()
    }
}
