//! Interned attribute sets.

use core::fmt;
use core::hash::{BuildHasher, Hash, Hasher};
use core::ops::Deref;
use std::sync::Arc;

use bgp_wire::PathAttributes;
use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// A pointer to attributes that exist once in a table. Two pointers of the
/// same table are equal exactly when the attributes are, so equality is a
/// comparison of addresses. (Pointers of different tables always differ.)
#[derive(Clone)]
pub struct AttrRef(Arc<Interned>);

struct Interned {
    hash: u64,
    hop_count: u32,
    neighbor_as: Option<u32>,
    attributes: PathAttributes,
}

impl AttrRef {
    /// Length of the AS path as the decision counts it, computed once.
    pub fn hop_count(&self) -> u32 {
        self.0.hop_count
    }

    /// The neighbouring AS: the leftmost of the AS path, computed once.
    pub fn neighbor_as(&self) -> Option<u32> {
        self.0.neighbor_as
    }

    /// The address that identifies the set, for maps keyed by it. Valid as
    /// long as a pointer to the set is held.
    pub fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl Deref for AttrRef {
    type Target = PathAttributes;

    fn deref(&self) -> &PathAttributes {
        &self.0.attributes
    }
}

impl PartialEq for AttrRef {
    fn eq(&self, other: &AttrRef) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for AttrRef {}

impl Hash for AttrRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address().hash(state);
    }
}

impl fmt::Debug for AttrRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.attributes.fmt(f)
    }
}

/// Gives out [`AttrRef`]. Sets that nobody else holds are dropped when the
/// number of sets has doubled since the last look, so the cost of looking is
/// spread over the insertions that made it necessary.
#[derive(Debug)]
pub(crate) struct Interner {
    sets: HashTable<AttrRef>,
    hasher: RandomState,
    purge_at: usize,
}

const PURGE_MIN: usize = 1024;

impl Interner {
    pub(crate) fn new() -> Interner {
        Interner {
            sets: HashTable::new(),
            hasher: RandomState::default(),
            purge_at: PURGE_MIN,
        }
    }

    /// The pointer to these attributes.
    pub(crate) fn intern(&mut self, attributes: PathAttributes) -> AttrRef {
        let hash = self.hasher.hash_one(&attributes);
        if let Some(known) = self.sets.find(hash, |set| {
            set.0.hash == hash && set.0.attributes == attributes
        }) {
            return known.clone();
        }
        if self.sets.len() >= self.purge_at {
            self.purge();
        }
        let set = AttrRef(Arc::new(Interned {
            hash,
            hop_count: u32::try_from(attributes.as_path.hop_count()).unwrap_or(u32::MAX),
            neighbor_as: attributes.as_path.first_as(),
            attributes,
        }));
        self.sets.insert_unique(hash, set.clone(), |set| set.0.hash);
        set
    }

    /// Drops what only the interner holds.
    pub(crate) fn purge(&mut self) {
        self.sets.retain(|set| Arc::strong_count(&set.0) > 1);
        self.purge_at = (self.sets.len() * 2).max(PURGE_MIN);
        if self.sets.capacity() > self.purge_at * 4 {
            self.sets.shrink_to(self.purge_at, |set| set.0.hash);
        }
    }

    /// Number of sets held, dead ones included.
    pub(crate) fn len(&self) -> usize {
        self.sets.len()
    }
}
