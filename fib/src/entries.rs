//! All that is known by prefix, in one block of memory, and found by number.
//!
//! Prefixes come and go in runs. An entry keeps its number while it exists, so a run that was
//! announced in order is worked through in order, without a search for each step.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use crate::family::Prefix;

/// An entry with its prefix.
#[derive(Debug)]
struct Slot<P, E> {
    prefix: P,
    entry: E,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Entries<P, E> {
    slots: Vec<Option<Slot<P, E>>>,
    /// Numbers that are not in use.
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl<P, E> Entries<P, E> {
    /// What an entry takes, the index apart.
    pub(crate) const OCTETS: usize = size_of::<Option<Slot<P, E>>>();
}

impl<P: Prefix, E: Default> Entries<P, E> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// The number of the prefix's entry.
    pub(crate) fn find(&self, prefix: P) -> Option<u32> {
        let hash = self.hasher.hash_one(prefix);
        self.index
            .find(hash, |&at| self.has_prefix(at, prefix))
            .copied()
    }

    fn has_prefix(&self, at: u32, prefix: P) -> bool {
        self.get(at).is_some_and(|(found, _)| found == prefix)
    }

    /// The number of the prefix's entry, which is made if there is none; then the second is true.
    pub(crate) fn obtain(&mut self, prefix: P) -> (u32, bool) {
        if let Some(at) = self.find(prefix) {
            return (at, false);
        }
        let entry = E::default();
        let slot = Some(Slot { prefix, entry });
        let at = match self.free.pop() {
            Some(at) => {
                if let Some(old) = self.slots.get_mut(at as usize) {
                    *old = slot;
                }
                at
            }
            None => {
                self.slots.push(slot);
                // Two to the power of 32 prefixes are all that IPv4 has.
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let (slots, hasher) = (&self.slots, &self.hasher);
        let hash = |at: &u32| match slots.get(*at as usize) {
            Some(Some(slot)) => hasher.hash_one(slot.prefix),
            _ => 0,
        };
        self.index.insert_unique(hasher.hash_one(prefix), at, hash);
        (at, true)
    }

    /// The entry of this number, and its prefix.
    pub(crate) fn get(&self, at: u32) -> Option<(P, &E)> {
        let slot = self.slots.get(at as usize)?.as_ref()?;
        Some((slot.prefix, &slot.entry))
    }

    /// [`get`](Self::get), to be changed.
    pub(crate) fn get_mut(&mut self, at: u32) -> Option<(P, &mut E)> {
        let slot = self.slots.get_mut(at as usize)?.as_mut()?;
        Some((slot.prefix, &mut slot.entry))
    }

    /// Drops the entry; its number may be given to another prefix.
    pub(crate) fn remove(&mut self, at: u32) {
        let slot = self.slots.get_mut(at as usize);
        let Some(slot) = slot.and_then(Option::take) else {
            return;
        };
        let hash = self.hasher.hash_one(slot.prefix);
        if let Ok(found) = self.index.find_entry(hash, |&found| found == at) {
            found.remove();
        }
        self.free.push(at);
        if self.index.is_empty() {
            *self = Self::new();
        }
    }

    /// All entries with their numbers and prefixes, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (P, &E)> + '_ {
        let present = self.slots.iter().flatten();
        present.map(|slot| (slot.prefix, &slot.entry))
    }

    /// The numbers of the entries that `hit` says yes to, in the order of their prefixes.
    pub(crate) fn select(&mut self, mut hit: impl FnMut(&mut E) -> bool) -> Vec<u32> {
        let mut found: Vec<(P, u32)> = Vec::new();
        for (at, slot) in (0..).zip(&mut self.slots) {
            let Some(slot) = slot else { continue };
            if hit(&mut slot.entry) {
                found.push((slot.prefix, at));
            }
        }
        found.sort_unstable();
        found.into_iter().map(|(_, at)| at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipnet::Ipv4Net;

    fn net(n: u8) -> Ipv4Net {
        Ipv4Net::new([10, n, 0, 0].into(), 16).unwrap()
    }

    #[test]
    fn an_entry_keeps_its_number_and_a_number_is_used_again() {
        let mut entries = Entries::<Ipv4Net, u32>::new();
        let numbers: Vec<u32> = (0..3).map(|n| entries.obtain(net(n)).0).collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert_eq!(entries.obtain(net(1)), (1, false));
        entries.remove(1);
        assert_eq!(entries.find(net(1)), None);
        assert_eq!(entries.obtain(net(9)), (1, true));
        assert_eq!(entries.find(net(9)), Some(1));
        assert_eq!(entries.get(2), Some((net(2), &0)));
    }

    #[test]
    fn what_was_removed_is_neither_listed_nor_removed_twice() {
        let mut entries = Entries::<Ipv4Net, u32>::new();
        for n in [7, 3, 5] {
            let (at, _) = entries.obtain(net(n));
            *entries.get_mut(at).unwrap().1 = n.into();
        }
        entries.remove(1);
        entries.remove(1);
        let mut all: Vec<_> = entries.iter().map(|(p, e)| (p, *e)).collect();
        all.sort_unstable();
        assert_eq!(all, [(net(5), 5), (net(7), 7)]);
        assert_eq!(entries.select(|e| *e > 0), [2, 0]);
        entries.remove(0);
        entries.remove(2);
        assert_eq!(entries.obtain(net(4)), (0, true));
    }
}
