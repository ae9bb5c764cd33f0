//! Nexthop objects in the kernel's terms.

pub(crate) use crate::nexthop::{GroupMember, ResilientGroup};
use crate::route::KernelHop;

/// What a nexthop object is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Object {
    /// A router on a link, or the link alone. Its weight is 1: weights belong to groups.
    Hop(KernelHop),
    /// Several of them.
    Group(Group),
    /// Packets are dropped.
    Blackhole,
    /// Something that we neither make nor resolve through (encapsulation, FDB).
    Other,
}

/// A group of nexthop objects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Group {
    /// Sorted by number.
    pub(crate) members: Vec<GroupMember>,
    /// Flows stay where they are when members come and go; the kind of a group cannot change.
    pub(crate) resilient: Option<ResilientGroup>,
}

/// A nexthop object as the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectNotice {
    pub(crate) id: u32,
    /// Who made it (`RTPROT_*`).
    pub(crate) protocol: u8,
    pub(crate) object: Object,
    pub(crate) gone: bool,
}

/// One message to the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectOperation {
    pub(crate) id: u32,
    pub(crate) verb: ObjectVerb,
}

/// What to do with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ObjectVerb {
    /// Make it, or change what it is.
    Set(Object),
    /// Delete it. The kernel takes it out of its groups, and deletes the routes that use it and
    /// groups that are empty then.
    Delete,
}
