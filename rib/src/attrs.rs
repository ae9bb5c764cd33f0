//! Interned attribute sets: canonical octets, and beside them what the
//! decision looks at.

use core::fmt;
use core::hash::{BuildHasher, Hash, Hasher};
use core::num::NonZeroU32;
use core::sync::atomic::{AtomicU32, Ordering};
use std::net::Ipv4Addr;
use std::sync::Arc;

use bgp_wire::attribute::code;
use bgp_wire::{
    Community, ExtendedCommunity, NextHop, Origin, PathAttributes, PeerKind,
    decode_attribute_block, encode_attribute_block,
};
use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;
use hashbrown::HashTable;

use crate::bandwidth::link_bandwidth;
use crate::chunks::Chunks;

/// A pointer to a set of path attributes, held as canonical octets
/// ([`bgp_wire::encode_attribute_block`]). Equal sets compare equal; inside of
/// a table they are one allocation, so that is mostly a comparison of
/// pointers. Clones are cheap and may go to other threads.
#[derive(Clone)]
pub struct AttrRef(Arc<Interned>);

struct Interned {
    hash: u32,
    /// Where the table that saw it last keeps it: a hint, checked before use.
    hint: AtomicU32,
    facts: Facts,
    octets: Box<[u8]>,
}

/// What the decision and the export rules look at for every path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Facts {
    weight: u32,
    hop_count: u16,
    cluster_len: u16,
    flags: u16,
    origin: Origin,
    local_pref: u32,
    med: u32,
    neighbor_as: u32,
    next_hop: Ipv4Addr,
}

/// Which of the facts are there.
mod flag {
    pub(super) const LOCAL_PREF: u16 = 1;
    pub(super) const MED: u16 = 2;
    pub(super) const NEIGHBOR: u16 = 4;
    pub(super) const ORIGINATOR: u16 = 8;
    pub(super) const NEXT_HOP_V4: u16 = 16;
    pub(super) const NO_EXPORT: u16 = 32;
    pub(super) const NO_ADVERTISE: u16 = 64;
    pub(super) const NO_EXPORT_SUBCONFED: u16 = 128;
    pub(super) const CONFEDERATION: u16 = 256;
    pub(super) const AIGP: u16 = 512;
    pub(super) const LINK_BANDWIDTH: u16 = 1024;
}

impl Facts {
    fn of(attributes: &PathAttributes, weight: u32) -> Facts {
        let mut flags = 0;
        let mut note = |bit: u16, is: bool| flags |= if is { bit } else { 0 };
        let has = |community| attributes.communities.contains(&community);
        note(flag::LOCAL_PREF, attributes.local_pref.is_some());
        note(flag::MED, attributes.med.is_some());
        note(flag::ORIGINATOR, attributes.originator_id.is_some());
        note(flag::NO_EXPORT, has(Community::NO_EXPORT));
        note(flag::NO_ADVERTISE, has(Community::NO_ADVERTISE));
        note(
            flag::NO_EXPORT_SUBCONFED,
            has(Community::NO_EXPORT_SUBCONFED),
        );
        note(
            flag::CONFEDERATION,
            attributes.as_path.has_confederation_segments(),
        );
        note(flag::AIGP, attributes.aigp.is_some());
        let bandwidth = link_bandwidth(&attributes.extended_communities);
        note(flag::LINK_BANDWIDTH, bandwidth.is_some());
        let neighbor = attributes.as_path.first_as();
        note(flag::NEIGHBOR, neighbor.is_some());
        let next_hop = match attributes.next_hop {
            Some(NextHop::V4(addr)) => Some(addr),
            Some(NextHop::V6 { .. }) | None => None,
        };
        note(flag::NEXT_HOP_V4, next_hop.is_some());
        Facts {
            weight,
            hop_count: u16::try_from(attributes.as_path.hop_count()).unwrap_or(u16::MAX),
            cluster_len: u16::try_from(attributes.cluster_list.len()).unwrap_or(u16::MAX),
            flags,
            origin: attributes.origin,
            local_pref: attributes.local_pref.unwrap_or(0),
            med: attributes.med.unwrap_or(0),
            neighbor_as: neighbor.unwrap_or(0),
            next_hop: next_hop.unwrap_or(Ipv4Addr::UNSPECIFIED),
        }
    }
}

/// The seed is one for the process, so that a set hashed by a session's task
/// is found by the table.
fn hash_of(octets: &[u8], weight: u32) -> u32 {
    let state = SeedableRandomState::with_seed(0, SharedSeed::global_random());
    let mut hasher = state.build_hasher();
    hasher.write(octets);
    hasher.write_u32(weight);
    // Half of it is enough to find a set among millions.
    hasher.finish() as u32
}

/// The hash as the index wants it: with something in the upper bits.
const fn spread(hash: u32) -> u64 {
    (hash as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl AttrRef {
    /// A set of attributes.
    pub fn new(attributes: &PathAttributes) -> AttrRef {
        AttrRef::weighted(attributes, 0)
    }

    /// What a peer sent, without what one in another AS has no say in:
    /// ORIGINATOR_ID and CLUSTER_LIST (RFC 7606 sections 7.9 and 7.10), and
    /// outside of the confederation LOCAL_PREF (RFC 4271 section 5.1.5,
    /// RFC 5065 section 4).
    pub fn received(kind: PeerKind, mut attributes: PathAttributes) -> AttrRef {
        if !kind.carries_local_pref() {
            attributes.local_pref = None;
        }
        if kind != PeerKind::Internal {
            attributes.originator_id = None;
            attributes.cluster_list.clear();
        }
        AttrRef::new(&attributes)
    }

    /// A set with the weight that policy gave it: what is looked at together
    /// is kept together.
    pub(crate) fn weighted(attributes: &PathAttributes, weight: u32) -> AttrRef {
        let octets = encode_attribute_block(attributes).into_boxed_slice();
        AttrRef(Arc::new(Interned {
            hash: hash_of(&octets, weight),
            hint: AtomicU32::new(0),
            facts: Facts::of(attributes, weight),
            octets,
        }))
    }

    /// The same set with another weight.
    pub(crate) fn with_weight(&self, weight: u32) -> AttrRef {
        if weight == self.0.facts.weight {
            return self.clone();
        }
        AttrRef(Arc::new(Interned {
            hash: hash_of(&self.0.octets, weight),
            hint: AtomicU32::new(0),
            facts: Facts {
                weight,
                ..self.0.facts
            },
            octets: self.0.octets.clone(),
        }))
    }

    /// The same set without AIGP, of the same weight.
    pub(crate) fn without_aigp(&self) -> AttrRef {
        if !self.has_aigp() {
            return self.clone();
        }
        let mut attributes = self.decode();
        attributes.aigp = None;
        AttrRef::weighted(&attributes, self.weight())
    }

    /// The attributes, taken apart.
    pub fn decode(&self) -> PathAttributes {
        // The octets were made by the encoder, which has an exact inverse.
        decode_attribute_block(&self.0.octets).unwrap_or_default()
    }

    /// The canonical octets.
    pub fn octets(&self) -> &[u8] {
        &self.0.octets
    }

    fn when<T>(&self, bit: u16, value: T) -> Option<T> {
        (self.0.facts.flags & bit != 0).then_some(value)
    }

    /// Weight, which never travels.
    pub fn weight(&self) -> u32 {
        self.0.facts.weight
    }

    /// Length of the AS path as the decision counts it.
    pub fn hop_count(&self) -> u32 {
        self.0.facts.hop_count.into()
    }

    /// What the segments inside of the confederation would add to the length.
    pub fn confederation_hop_count(&self) -> u32 {
        if self.0.facts.flags & flag::CONFEDERATION == 0 {
            return 0;
        }
        let count = self.decode().as_path.confederation_hop_count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// The neighbouring AS: the leftmost of the AS path.
    pub fn neighbor_as(&self) -> Option<u32> {
        self.when(flag::NEIGHBOR, self.0.facts.neighbor_as)
    }

    /// ORIGIN.
    pub fn origin(&self) -> Origin {
        self.0.facts.origin
    }

    /// LOCAL_PREF.
    pub fn local_pref(&self) -> Option<u32> {
        self.when(flag::LOCAL_PREF, self.0.facts.local_pref)
    }

    /// MULTI_EXIT_DISC.
    pub fn med(&self) -> Option<u32> {
        self.when(flag::MED, self.0.facts.med)
    }

    /// ORIGINATOR_ID.
    pub fn originator_id(&self) -> Option<Ipv4Addr> {
        if self.0.facts.flags & flag::ORIGINATOR == 0 {
            return None;
        }
        let octets: [u8; 4] = self.attribute(code::ORIGINATOR_ID)?.try_into().ok()?;
        Some(octets.into())
    }

    pub(crate) fn has_aigp(&self) -> bool {
        self.0.facts.flags & flag::AIGP != 0
    }

    /// The accumulated IGP metric (RFC 7311).
    pub fn aigp(&self) -> Option<u64> {
        if !self.has_aigp() {
            return None;
        }
        let (_header, tlv) = self.attribute(code::AIGP)?.split_first_chunk::<3>()?;
        tlv.first_chunk().copied().map(u64::from_be_bytes)
    }

    fn has_link_bandwidth(&self) -> bool {
        self.0.facts.flags & flag::LINK_BANDWIDTH != 0
    }

    /// Octets per second of the first link bandwidth community
    /// (draft-ietf-idr-link-bandwidth), where it is 1 or more.
    pub fn link_bandwidth(&self) -> Option<u64> {
        if !self.has_link_bandwidth() {
            return None;
        }
        let (list, _) = self.attribute(code::EXTENDED_COMMUNITIES)?.as_chunks();
        let list: Vec<ExtendedCommunity> = list.iter().copied().map(ExtendedCommunity).collect();
        link_bandwidth(&list)
    }

    /// Number of clusters in CLUSTER_LIST.
    pub fn cluster_len(&self) -> usize {
        self.0.facts.cluster_len.into()
    }

    /// Whether ATOMIC_AGGREGATE is there.
    pub(crate) fn is_atomic(&self) -> bool {
        self.attribute(code::ATOMIC_AGGREGATE).is_some()
    }

    /// The value of AS_PATH as canonical octets: equal paths are equal octets.
    pub fn as_path_octets(&self) -> &[u8] {
        self.attribute(code::AS_PATH).unwrap_or_default()
    }

    /// The next hop.
    pub fn next_hop(&self) -> Option<NextHop> {
        if self.0.facts.flags & flag::NEXT_HOP_V4 != 0 {
            return Some(NextHop::V4(self.0.facts.next_hop));
        }
        self.attribute(code::MP_REACH_NLRI)?;
        self.decode().next_hop
    }

    /// Whether a well-known community (RFC 1997) forbids to pass it on: to
    /// anybody, out of the AS, out of the member AS.
    pub(crate) fn scope(&self) -> Scope {
        let has = |bit| self.0.facts.flags & bit != 0;
        Scope {
            no_advertise: has(flag::NO_ADVERTISE),
            no_export: has(flag::NO_EXPORT),
            no_export_subconfed: has(flag::NO_EXPORT_SUBCONFED),
        }
    }

    /// The value of an attribute of the block.
    fn attribute(&self, wanted: u8) -> Option<&[u8]> {
        let mut left = self.octets();
        while let [flags, code, rest @ ..] = left {
            let (len, rest) = match rest {
                [high, low, rest @ ..] if flags & 0x10 != 0 => {
                    (usize::from(u16::from_be_bytes([*high, *low])), rest)
                }
                [len, rest @ ..] => (usize::from(*len), rest),
                [] => return None,
            };
            let (value, rest) = rest.split_at_checked(len)?;
            if *code == wanted {
                return Some(value);
            }
            left = rest;
        }
        None
    }
}

/// How far the communities let a route go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    pub(crate) no_advertise: bool,
    pub(crate) no_export: bool,
    pub(crate) no_export_subconfed: bool,
}

impl PartialEq for AttrRef {
    fn eq(&self, other: &AttrRef) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.hash == other.0.hash
                && self.0.facts.weight == other.0.facts.weight
                && self.0.octets == other.0.octets)
    }
}

impl Eq for AttrRef {}

impl Hash for AttrRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash.hash(state);
    }
}

impl fmt::Debug for AttrRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.decode().fmt(f)
    }
}

// ===== the table's =====

/// A set's number in its table. Equal numbers are equal sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AttrId(NonZeroU32);

impl AttrId {
    fn new(slot: u32) -> Option<AttrId> {
        NonZeroU32::new(slot.checked_add(1)?).map(AttrId)
    }

    fn slot(self) -> u32 {
        self.0.get() - 1
    }
}

#[derive(Debug)]
struct Slot {
    set: AttrRef,
    /// Paths and notes of what was told that use it; the upper bit is set
    /// while it is in the list of those to look at.
    users: u32,
    /// The number of the tracked next hop of those paths.
    reach: Option<NonZeroU32>,
}

const IDLE: u32 = 1 << 31;

/// Numbers the sets that a table uses. A set without users stays until a
/// sweep, so that what flaps is not built up again and again.
#[derive(Debug)]
pub(crate) struct Interner {
    slots: Chunks<Slot>,
    index: HashTable<u32>,
    idle: Vec<AttrId>,
    /// How many of the sets have AIGP: mostly none, and then nobody needs to
    /// look into one.
    with_aigp: usize,
    /// The same of link bandwidth.
    with_bandwidth: usize,
}

/// Idle sets that are not worth a sweep.
const IDLE_MIN: usize = 1024;

impl Interner {
    pub(crate) fn new() -> Interner {
        Interner {
            slots: Chunks::new(),
            index: HashTable::new(),
            idle: Vec::new(),
            with_aigp: 0,
            with_bandwidth: 0,
        }
    }

    /// Gives back room for sets that are all gone.
    pub(crate) fn rest(&mut self) {
        self.slots.rest();
    }

    /// The number of a set. It has no user yet: [`hold`](Self::hold) it before
    /// the next [`sweep`](Self::sweep).
    pub(crate) fn intern(&mut self, set: &AttrRef) -> Option<AttrId> {
        let hint = set.0.hint.load(Ordering::Relaxed);
        if let Some(id) = NonZeroU32::new(hint).map(AttrId)
            && self.set(id).is_some_and(|known| known == set)
        {
            return Some(id);
        }
        let slots = &self.slots;
        let at = |slot: u32| slots.get(slot).map(|s| &s.set);
        let found = self
            .index
            .find(spread(set.0.hash), |slot| at(*slot) == Some(set))
            .copied();
        let id = match found {
            Some(slot) => AttrId::new(slot)?,
            None => self.add(set)?,
        };
        set.0.hint.store(id.0.get(), Ordering::Relaxed);
        Some(id)
    }

    fn add(&mut self, set: &AttrRef) -> Option<AttrId> {
        let slot = self.slots.insert(Slot {
            set: set.clone(),
            users: IDLE,
            reach: None,
        });
        let id = AttrId::new(slot)?;
        self.with_aigp += usize::from(set.has_aigp());
        self.with_bandwidth += usize::from(set.has_link_bandwidth());
        self.idle.push(id);
        let slots = &self.slots;
        self.index
            .insert_unique(spread(set.0.hash), slot, |slot| hash_at(slots, *slot));
        Some(id)
    }

    pub(crate) fn set(&self, id: AttrId) -> Option<&AttrRef> {
        Some(&self.slots.get(id.slot())?.set)
    }

    /// Whether the set has AIGP.
    pub(crate) fn has_aigp(&self, id: AttrId) -> bool {
        self.with_aigp > 0 && self.set(id).is_some_and(AttrRef::has_aigp)
    }

    /// Whether the set has link bandwidth.
    pub(crate) fn has_link_bandwidth(&self, id: AttrId) -> bool {
        self.with_bandwidth > 0 && self.set(id).is_some_and(AttrRef::has_link_bandwidth)
    }

    /// The tracked next hop of the paths of peers that use the set.
    pub(crate) fn reach(&self, id: AttrId) -> Option<u32> {
        Some(self.slots.get(id.slot())?.reach?.get() - 1)
    }

    pub(crate) fn set_reach(&mut self, id: AttrId, reach: Option<u32>) {
        if let Some(slot) = self.slots.get_mut(id.slot()) {
            slot.reach = reach.and_then(|number| NonZeroU32::new(number.checked_add(1)?));
        }
    }

    pub(crate) fn hold(&mut self, id: AttrId) {
        if let Some(slot) = self.slots.get_mut(id.slot()) {
            slot.users += 1;
        }
    }

    pub(crate) fn release(&mut self, id: AttrId) {
        let Some(slot) = self.slots.get_mut(id.slot()) else {
            return;
        };
        if slot.users & !IDLE > 0 {
            slot.users -= 1;
        }
        if slot.users == 0 {
            slot.users = IDLE;
            self.idle.push(id);
        }
    }

    /// Drops sets that nobody uses, when there are many. Numbers without users
    /// mean nothing afterwards.
    pub(crate) fn sweep(&mut self) {
        if self.idle.len() > (self.index.len() / 4).max(IDLE_MIN) {
            self.purge();
        }
    }

    fn purge(&mut self) {
        for id in core::mem::take(&mut self.idle) {
            let Some(slot) = self.slots.get_mut(id.slot()) else {
                continue;
            };
            slot.users &= !IDLE;
            if slot.users > 0 {
                continue;
            }
            let Some(gone) = self.slots.remove(id.slot()) else {
                continue;
            };
            self.with_aigp -= usize::from(gone.set.has_aigp());
            self.with_bandwidth -= usize::from(gone.set.has_link_bandwidth());
            let hash = spread(gone.set.0.hash);
            if let Ok(found) = self.index.find_entry(hash, |s| *s == id.slot()) {
                found.remove();
            }
        }
        if self.index.capacity() > self.index.len() * 4 + IDLE_MIN {
            let (slots, target) = (&self.slots, self.index.len() * 2);
            self.index.shrink_to(target, |slot| hash_at(slots, *slot));
        }
    }

    /// Number of sets held, idle ones included.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// How often sets are held, for tests of the counting.
    pub(crate) fn users(&self) -> usize {
        let slots = self.slots.iter();
        slots.map(|(_, slot)| (slot.users & !IDLE) as usize).sum()
    }
}

fn hash_at(slots: &Chunks<Slot>, slot: u32) -> u64 {
    slots.get(slot).map_or(0, |slot| spread(slot.set.0.hash))
}

const _: () = assert!(size_of::<Option<Slot>>() == 16);
const _: () = assert!(size_of::<Interned>() <= 56);
