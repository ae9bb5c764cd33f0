//! Attribute blocks that a session said lately: a block that comes again is
//! not taken apart again.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use holdfast_rib::AttrRef;

/// Places of a cache that is used for the first time.
const MIN: usize = 4;
/// Most places: a full table comes by attributes, so those of the last few
/// hundred messages are enough.
const MAX: usize = 1024;

/// A direct-mapped table from the octets of path attributes to the set that
/// they stand for. It has no memory until it is used, and grows where two
/// blocks want one place.
#[derive(Debug, Default)]
pub(super) struct AttributeCache {
    /// Seeded: the peer chooses the octets.
    state: RandomState,
    places: Vec<Option<Known>>,
    /// Asked since the last [`rest`](AttributeCache::rest).
    used: bool,
}

#[derive(Debug)]
struct Known {
    hash: u64,
    /// A copy: a part of the read buffer would keep all of it.
    octets: Vec<u8>,
    set: AttrRef,
}

impl AttributeCache {
    /// The hash that the other calls want.
    pub(super) fn hash(&self, octets: &[u8]) -> u64 {
        self.state.hash_one(octets)
    }

    fn place(&mut self, hash: u64) -> Option<&mut Option<Known>> {
        let mask = self.places.len().checked_sub(1)?;
        // The length is a power of two that fits into the hash.
        self.places.get_mut(hash as usize & mask)
    }

    /// The set of a block that came before.
    pub(super) fn get(&mut self, hash: u64, octets: &[u8]) -> Option<AttrRef> {
        self.used = true;
        let known = self.place(hash)?.as_ref()?;
        (known.hash == hash && known.octets == octets).then(|| known.set.clone())
    }

    /// Remembers a block in place of another.
    pub(super) fn insert(&mut self, hash: u64, octets: &[u8], set: AttrRef) {
        if self.places.is_empty() {
            self.places.resize_with(MIN, || None);
        }
        while self.places.len() < MAX && matches!(self.place(hash), Some(Some(_))) {
            self.grow();
        }
        match self.place(hash) {
            Some(Some(known)) => {
                known.hash = hash;
                known.octets.clear();
                known.octets.extend_from_slice(octets);
                known.set = set;
            }
            Some(place) => {
                *place = Some(Known {
                    hash,
                    octets: octets.to_vec(),
                    set,
                });
            }
            None => {}
        }
    }

    fn grow(&mut self) {
        let wider = self.places.len() * 2;
        let old = std::mem::take(&mut self.places);
        self.places.resize_with(wider, || None);
        for known in old.into_iter().flatten() {
            if let Some(place) = self.place(known.hash) {
                *place = Some(known);
            }
        }
    }

    /// Forgets everything: another session may mean something else.
    pub(super) fn clear(&mut self) {
        self.places = Vec::new();
    }

    /// Called now and then: a cache that nobody asked meanwhile gives its
    /// memory back.
    pub(super) fn rest(&mut self) {
        if !std::mem::take(&mut self.used) {
            self.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use bgp_wire::PathAttributes;

    use super::*;

    fn set(med: u32) -> AttrRef {
        AttrRef::new(&PathAttributes {
            med: Some(med),
            ..PathAttributes::default()
        })
    }

    #[test]
    fn a_block_is_known_by_all_of_its_octets() {
        let mut cache = AttributeCache::default();
        let hash = cache.hash(b"one");
        assert_eq!(cache.get(hash, b"one"), None);
        cache.insert(hash, b"one", set(1));
        assert_eq!(cache.get(hash, b"one"), Some(set(1)));
        // The same hash alone says nothing.
        assert_eq!(cache.get(hash, b"two"), None);
        cache.insert(hash, b"two", set(2));
        assert_eq!(cache.get(hash, b"one"), None);
        assert_eq!(cache.get(hash, b"two"), Some(set(2)));
    }

    #[test]
    fn it_grows_to_its_bound_and_rests_when_nobody_asks() {
        let mut cache = AttributeCache::default();
        for number in 0..10_000u32 {
            let octets = number.to_be_bytes();
            let hash = cache.hash(&octets);
            cache.insert(hash, &octets, set(number));
            assert_eq!(cache.get(hash, &octets), Some(set(number)));
        }
        assert_eq!(cache.places.len(), MAX);
        cache.rest();
        assert_eq!(cache.places.len(), MAX);
        cache.rest();
        assert_eq!(cache.places.capacity(), 0);
    }
}
