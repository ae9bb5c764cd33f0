//! Where prefixes and their paths live.
//!
//! Entries stand in chunks that never move, found by a hash of the prefix. The
//! first path of an entry, which is the best one where there is a best, is in
//! the entry itself; the others hang from it, each with the number of the next.

use core::hash::BuildHasher;
use core::num::NonZeroU32;
use std::sync::OnceLock;

use bgp_wire::update::{Nlri, Prefixes};
use bgp_wire::{AddressFamily, V4, V6};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use ipnet::{Ipv4Net, Ipv6Net};

use crate::chunks::Chunks;
use crate::decision::Step;
use crate::order::Order;
use crate::path::Path;
use crate::shared::FibId;

/// What this crate needs of a family beyond [`AddressFamily`].
pub(crate) trait RibFamily: AddressFamily {
    /// A list as a message carries it.
    fn prefixes(list: Vec<Nlri<Self::Prefix>>) -> Prefixes;
    /// A prefix as numbers, quicker to hash than its fields.
    fn key(prefix: &Self::Prefix) -> (u64, u64);
    /// The prefix of all addresses.
    fn everything() -> Self::Prefix;
}

impl RibFamily for V4 {
    fn prefixes(list: Vec<Nlri<Ipv4Net>>) -> Prefixes {
        Prefixes::V4(list)
    }

    fn everything() -> Ipv4Net {
        Ipv4Net::default()
    }

    fn key(prefix: &Ipv4Net) -> (u64, u64) {
        let addr = u64::from(prefix.addr().to_bits());
        (addr << 8 | u64::from(prefix.prefix_len()), 0)
    }
}

impl RibFamily for V6 {
    fn prefixes(list: Vec<Nlri<Ipv6Net>>) -> Prefixes {
        Prefixes::V6(list)
    }

    fn everything() -> Ipv6Net {
        Ipv6Net::default()
    }

    fn key(prefix: &Ipv6Net) -> (u64, u64) {
        let bits = prefix.addr().to_bits();
        // The length goes where few prefixes have bits.
        let low = (bits as u64).rotate_left(8) ^ u64::from(prefix.prefix_len());
        ((bits >> 64) as u64, low)
    }
}

/// A prefix and what is known of it. It stays after its last path is gone
/// until everyone who was told of it knows.
#[derive(Debug)]
pub(crate) struct Entry<P> {
    pub(crate) prefix: P,
    /// Why the best path is the best.
    pub(crate) reason: Option<Step>,
    pub(crate) outcome: Outcome,
    /// Nobody needs the entry: it waits for the prefix to come back, or for
    /// so many like it that it is worth to clear them away.
    released: bool,
    /// Table version of the last change of the best path: the low half.
    pub(crate) version: u32,
    /// The route that the forwarding side was told last.
    pub(crate) fib: Option<FibId>,
    first: Option<Path>,
    /// The next path, if there are several.
    more: Option<Node>,
}

/// What the last decision says of a prefix's paths beside which is the best. In
/// an octet, because a full table holds a million of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Outcome(u8);

impl Outcome {
    const MULTIPATH: u8 = 1;
    const IN_LINE: u8 = 2;

    pub(crate) const fn new(multipath: bool, in_line: bool) -> Outcome {
        Outcome((multipath as u8 * Outcome::MULTIPATH) | (in_line as u8 * Outcome::IN_LINE))
    }

    /// Paths are used beside the best one.
    pub(crate) const fn multipath(self) -> bool {
        self.0 & Outcome::MULTIPATH != 0
    }

    /// The valid paths are in line ([`crate::decision::in_line`]); false where
    /// that is not known.
    pub(crate) const fn in_line(self) -> bool {
        self.0 & Outcome::IN_LINE != 0
    }
}

/// A path's place beyond the first.
type Node = NonZeroU32;

/// A path that is not its entry's first.
#[derive(Debug)]
struct Link {
    path: Path,
    next: Option<Node>,
}

/// Where a path of an entry is. Valid until a path of the entry is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    First,
    At(Node),
}

impl<P> Entry<P> {
    /// The first path; if there is a best one, that is it.
    pub(crate) fn first(&self) -> Option<&Path> {
        self.first.as_ref().filter(|path| !path.is_ghost())
    }

    pub(crate) fn best(&self) -> Option<&Path> {
        self.first.as_ref().filter(|path| path.best())
    }

    pub(crate) fn has_paths(&self) -> bool {
        self.first().is_some()
    }

    /// What was the best path until the last one was gone: what those were
    /// told who do not know yet.
    pub(crate) fn ghost(&self) -> Option<&Path> {
        self.first.as_ref().filter(|path| path.is_ghost())
    }

    pub(crate) fn has_several(&self) -> bool {
        self.more.is_some()
    }
}

/// The prefixes of a family. A slot number is a prefix's name for as long as
/// its entry lives, which is what sets elsewhere are indexed by.
#[derive(Debug)]
pub(crate) struct Table<F: RibFamily> {
    entries: Chunks<Entry<F::Prefix>>,
    links: Chunks<Link>,
    index: HashTable<u32>,
    order: OnceLock<Order<F::Prefix>>,
    hasher: RandomState,
    /// Entries that nobody needs.
    released: usize,
}

/// Entries that are not worth a thought.
const SMALL: usize = 1024;

fn node_index(node: Node) -> u32 {
    node.get() - 1
}

impl<F: RibFamily> Table<F> {
    pub(crate) fn new() -> Table<F> {
        Table {
            entries: Chunks::new(),
            links: Chunks::new(),
            index: HashTable::new(),
            order: OnceLock::new(),
            hasher: RandomState::default(),
            released: 0,
        }
    }

    fn hash(&self, prefix: &F::Prefix) -> u64 {
        self.hasher.hash_one(F::key(prefix))
    }

    pub(crate) fn find(&self, prefix: &F::Prefix) -> Option<u32> {
        let entries = &self.entries;
        self.index
            .find(self.hash(prefix), |slot| {
                entries.get(*slot).is_some_and(|e| e.prefix == *prefix)
            })
            .copied()
    }

    /// The prefix's slot, new if need be.
    pub(crate) fn find_or_add(&mut self, prefix: F::Prefix) -> u32 {
        if let Some(slot) = self.find(&prefix) {
            if let Some(entry) = self.entries.get_mut(slot)
                && entry.released
            {
                entry.released = false;
                self.released -= 1;
            }
            return slot;
        }
        if self.index.len() == self.index.capacity() {
            self.rebuild_index((self.index.len() * 2).max(SMALL));
        }
        let slot = self.entries.insert(Entry {
            prefix,
            reason: None,
            outcome: Outcome::new(false, false),
            released: false,
            version: 0,
            fib: None,
            first: None,
            more: None,
        });
        let hash = self.hash(&prefix);
        // There is room, so nothing is hashed again.
        self.index.insert_unique(hash, slot, |_| 0);
        if let Some(order) = self.order.get_mut()
            && !order.add(prefix)
        {
            self.order.take();
        }
        slot
    }

    /// Makes the index anew. From the entries, which stand in a row, not from
    /// the old index, which would look at them in no order.
    fn rebuild_index(&mut self, room: usize) {
        self.index = HashTable::new();
        self.index = HashTable::with_capacity(room);
        for (slot, entry) in self.entries.iter() {
            let hash = self.hasher.hash_one(F::key(&entry.prefix));
            self.index.insert_unique(hash, slot, |_| 0);
        }
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Entry<F::Prefix>> {
        self.entries.get(slot)
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Entry<F::Prefix>> {
        self.entries.get_mut(slot)
    }

    /// Nobody needs the slot any more; its paths are gone already. Whether so
    /// many are like that that [`clear_away`](Self::clear_away) is worth it.
    pub(crate) fn release(&mut self, slot: u32) -> bool {
        if let Some(entry) = self.entries.get_mut(slot)
            && !entry.released
        {
            entry.released = true;
            self.released += 1;
        }
        let kept = self.index.len() - self.released;
        self.released > kept + if kept == 0 { 0 } else { SMALL }
    }

    /// Clears away what was released: each slot once for each time that half
    /// of the table became empty.
    pub(crate) fn clear_away(&mut self) {
        for slot in 0..self.entries.end() {
            if self.entries.get(slot).is_some_and(|entry| entry.released) {
                self.entries.remove(slot);
            }
        }
        let kept = self.index.len() - self.released;
        self.released = 0;
        self.rebuild_index(if kept == 0 { 0 } else { kept.max(SMALL) });
        self.order.take();
    }

    /// Entries in use with their slots, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Entry<F::Prefix>)> + '_ {
        self.entries.iter()
    }

    /// One more than the highest slot.
    pub(crate) fn end(&self) -> u32 {
        self.entries.end()
    }

    /// Gives back what is not needed now: the order of prefixes, which is built
    /// again when it is wanted, and room for what is gone.
    pub(crate) fn rest(&mut self) {
        self.order.take();
        self.entries.rest();
        self.links.rest();
    }

    /// Entries in the order of their prefixes: all, or those after one.
    pub(crate) fn ordered(
        &self,
        start: Start<F::Prefix>,
    ) -> impl Iterator<Item = (u32, &Entry<F::Prefix>)> {
        let order = self
            .order
            .get_or_init(|| Order::new(self.entries.iter().map(|(_, entry)| entry.prefix)));
        order.from(start).filter_map(|prefix| {
            let slot = self.find(&prefix)?;
            Some((slot, self.get(slot)?))
        })
    }

    /// Slots of prefixes that cover this one, the longest first.
    pub(crate) fn covering(&self, prefix: F::Prefix) -> impl Iterator<Item = u32> + '_ {
        let octets = F::octets(&prefix);
        (0..=F::prefix_len(&prefix))
            .rev()
            .filter_map(move |len| self.find(&F::from_wire(&octets, len)?))
    }
}

// ===== paths =====

impl<F: RibFamily> Table<F> {
    /// The paths of a prefix, the first one first.
    pub(crate) fn paths(&self, slot: u32) -> impl Iterator<Item = (Place, &Path)> + '_ {
        let entry = self.entries.get(slot);
        let first = entry.and_then(Entry::first);
        let mut next = entry.and_then(|e| e.more);
        let rest = core::iter::from_fn(move || {
            let node = next?;
            let link = self.links.get(node_index(node))?;
            next = link.next;
            Some((Place::At(node), &link.path))
        });
        first
            .map(|path| (Place::First, path))
            .into_iter()
            .chain(rest)
    }

    pub(crate) fn path_mut(&mut self, slot: u32, place: Place) -> Option<&mut Path> {
        match place {
            Place::First => {
                let first = self.entries.get_mut(slot)?.first.as_mut();
                first.filter(|path| !path.is_ghost())
            }
            Place::At(node) => Some(&mut self.links.get_mut(node_index(node))?.path),
        }
    }

    /// Adds a path to an entry.
    pub(crate) fn add_path(&mut self, slot: u32, path: Path) -> Option<Place> {
        let entry = self.entries.get_mut(slot)?;
        if entry.first.is_none() {
            entry.first = Some(path);
            return Some(Place::First);
        }
        let link = Link {
            path,
            next: entry.more,
        };
        let node = Node::new(self.links.insert(link).checked_add(1)?);
        self.entries.get_mut(slot)?.more = node;
        node.map(Place::At)
    }

    /// Leaves a ghost in an entry without paths.
    pub(crate) fn put_ghost(&mut self, slot: u32, ghost: Path) {
        if let Some(entry) = self.entries.get_mut(slot)
            && entry.first.is_none()
        {
            entry.first = Some(ghost);
        }
    }

    /// Takes the ghost out of an entry, if it has one.
    pub(crate) fn take_ghost(&mut self, slot: u32) -> Option<Path> {
        let entry = self.entries.get_mut(slot)?;
        entry.first.take_if(|path| path.is_ghost())
    }

    /// Makes the path at a place the first one.
    pub(crate) fn bring_forward(&mut self, slot: u32, place: Place) {
        if let Place::At(node) = place
            && let Some(entry) = self.entries.get_mut(slot)
            && let Some(first) = &mut entry.first
            && let Some(link) = self.links.get_mut(node_index(node))
        {
            core::mem::swap(first, &mut link.path);
        }
    }

    /// Removes the paths that `gone` says and hands them over.
    pub(crate) fn remove_paths(
        &mut self,
        slot: u32,
        gone: impl Fn(&Path) -> bool,
        mut removed: impl FnMut(Path),
    ) {
        let Some(entry) = self.entries.get_mut(slot) else {
            return;
        };
        let mut first = entry.first.take();
        let mut next = entry.more.take();
        if first.as_ref().is_some_and(&gone) {
            first.take().into_iter().for_each(&mut removed);
        }
        let mut kept = None;
        while let Some(node) = next {
            let index = node_index(node);
            let Some(link) = self.links.get_mut(index) else {
                break;
            };
            next = link.next;
            let (leaves, rises) = (gone(&link.path), first.is_none());
            if !leaves && !rises {
                link.next = kept;
                kept = Some(node);
            } else if let Some(link) = self.links.remove(index) {
                if leaves {
                    removed(link.path);
                } else {
                    first = Some(link.path);
                }
            }
        }
        if let Some(entry) = self.entries.get_mut(slot) {
            entry.first = first;
            entry.more = kept;
        }
    }
}

/// Where to begin in the order of prefixes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start<P> {
    First,
    At(P),
    After(P),
}

const _: () = assert!(size_of::<Option<Entry<Ipv4Net>>>() <= 40);
const _: () = assert!(size_of::<Option<Entry<Ipv6Net>>>() <= 52);
const _: () = assert!(size_of::<Option<Link>>() == 24);
