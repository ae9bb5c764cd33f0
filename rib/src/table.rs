//! Where prefixes live: slots found by hash, listed in order by a trie.

use core::hash::BuildHasher;
use std::sync::Arc;

use bgp_wire::update::{Nlri, Prefixes};
use bgp_wire::{AddressFamily, V4, V6};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use prefix_trie::PrefixMap;

use crate::decision::Step;
use crate::fib::FibRoute;
use crate::path::Path;

/// What this crate needs of a family beyond [`AddressFamily`].
pub(crate) trait RibFamily: AddressFamily<Prefix: prefix_trie::Prefix> {
    /// A list as a message carries it.
    fn prefixes(list: Vec<Nlri<Self::Prefix>>) -> Prefixes;
}

impl RibFamily for V4 {
    fn prefixes(list: Vec<Nlri<Self::Prefix>>) -> Prefixes {
        Prefixes::V4(list)
    }
}

impl RibFamily for V6 {
    fn prefixes(list: Vec<Nlri<Self::Prefix>>) -> Prefixes {
        Prefixes::V6(list)
    }
}

/// A prefix and all that is known of it. It stays after its last path is gone
/// until everyone who was told of it knows.
#[derive(Debug)]
pub(crate) struct Entry<P> {
    pub(crate) prefix: P,
    pub(crate) paths: Vec<Path>,
    /// Table version of the last change of the best path.
    pub(crate) version: u64,
    /// The route that the forwarding side was told last.
    pub(crate) fib: Option<Arc<FibRoute>>,
    /// How many Adj-RIB-Outs hold the prefix as advertised, plus how many
    /// still have to look at it.
    pub(crate) holds: u32,
    /// Why the best path is the best.
    pub(crate) reason: Option<Step>,
}

impl<P> Entry<P> {
    pub(crate) fn best(&self) -> Option<&Path> {
        self.paths.iter().find(|path| path.best)
    }

    /// Number of paths that import policy accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.paths.iter().filter(|p| p.post.is_some()).count()
    }
}

/// The prefixes of a family. A slot number is a prefix's name for as long as
/// its entry lives, which is what sets and vectors elsewhere are indexed by.
#[derive(Debug)]
pub(crate) struct Table<F: RibFamily> {
    entries: Vec<Option<Entry<F::Prefix>>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    order: PrefixMap<F::Prefix, u32>,
    hasher: RandomState,
}

impl<F: RibFamily> Table<F> {
    pub(crate) fn new() -> Table<F> {
        Table {
            entries: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            order: PrefixMap::new(),
            hasher: RandomState::default(),
        }
    }

    pub(crate) fn find(&self, prefix: &F::Prefix) -> Option<u32> {
        let hash = self.hasher.hash_one(prefix);
        let entries = &self.entries;
        self.index
            .find(hash, |slot| has_prefix::<F>(entries, *slot, prefix))
            .copied()
    }

    /// The prefix's slot, new if need be.
    pub(crate) fn find_or_add(&mut self, prefix: F::Prefix) -> u32 {
        if let Some(slot) = self.find(&prefix) {
            return slot;
        }
        let entry = Some(Entry {
            prefix,
            paths: Vec::new(),
            version: 0,
            fib: None,
            holds: 0,
            reason: None,
        });
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.entries.push(None);
                // 2^32 prefixes do not fit into memory before they fit here.
                (self.entries.len() - 1) as u32
            }
        };
        if let Some(place) = self.entries.get_mut(slot as usize) {
            *place = entry;
        }
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.index
            .insert_unique(hasher.hash_one(prefix), slot, |slot| {
                entries
                    .get(*slot as usize)
                    .and_then(|e| e.as_ref())
                    .map_or(0, |e| hasher.hash_one(e.prefix))
            });
        self.order.insert(prefix, slot);
        slot
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Entry<F::Prefix>> {
        self.entries.get(slot as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Entry<F::Prefix>> {
        self.entries.get_mut(slot as usize)?.as_mut()
    }

    /// Gives the slot free.
    pub(crate) fn release(&mut self, slot: u32) {
        let Some(entry) = self.entries.get_mut(slot as usize).and_then(Option::take) else {
            return;
        };
        let hash = self.hasher.hash_one(entry.prefix);
        if let Ok(found) = self.index.find_entry(hash, |s| *s == slot) {
            found.remove();
        }
        self.order.remove(&entry.prefix);
        self.free.push(slot);
    }

    /// Slots in use, ascending.
    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..)
            .zip(&self.entries)
            .filter_map(|(slot, entry)| entry.is_some().then_some(slot))
    }

    /// One more than the highest slot.
    pub(crate) fn end(&self) -> u32 {
        self.entries.len() as u32
    }

    /// Entries in the order of their prefixes: all, or those after one.
    pub(crate) fn ordered(
        &self,
        start: Start<F::Prefix>,
    ) -> impl Iterator<Item = (u32, &Entry<F::Prefix>)> {
        let slots = match start {
            Start::First => self.order.iter(),
            Start::At(prefix) => self.order.iter_from(&prefix, true),
            Start::After(prefix) => self.order.iter_from(&prefix, false),
        };
        slots.filter_map(|(_, slot)| self.get(*slot).map(|entry| (*slot, entry)))
    }

    /// Entries that cover the prefix, shortest first.
    pub(crate) fn covering(&self, prefix: &F::Prefix) -> impl Iterator<Item = &Entry<F::Prefix>> {
        self.order
            .cover(prefix)
            .filter_map(|(_, slot)| self.get(*slot))
    }
}

/// Where to begin in the order of prefixes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start<P> {
    First,
    At(P),
    After(P),
}

fn has_prefix<F: RibFamily>(
    entries: &[Option<Entry<F::Prefix>>],
    slot: u32,
    prefix: &F::Prefix,
) -> bool {
    entries
        .get(slot as usize)
        .and_then(|entry| entry.as_ref())
        .is_some_and(|entry| entry.prefix == *prefix)
}
