//! Interned attribute sets.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::Deref;
use std::sync::Arc;

use bgp_wire::PathAttributes;

/// A pointer to attributes that exist once in a table. Two pointers of the
/// same table are equal exactly when the attributes are, so equality is a
/// comparison of addresses. (Pointers of different tables always differ.)
#[derive(Clone)]
pub struct AttrRef(Arc<Interned>);

struct Interned {
    attributes: PathAttributes,
}

impl AttrRef {
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
