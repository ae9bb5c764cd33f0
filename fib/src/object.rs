//! Nexthop objects in the kernel's terms.

use std::collections::{BTreeMap, BTreeSet};

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

impl Object {
    /// With the members of a group sorted.
    pub(crate) fn sorted(mut self) -> Self {
        if let Self::Group(group) = &mut self {
            group.members.sort_unstable();
        }
        self
    }
}

/// A group of nexthop objects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Group {
    /// Sorted by number.
    pub(crate) members: Vec<GroupMember>,
    /// Flows stay where they are when members come and go.
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

/// Nexthop objects by number, as the kernel has them: ours, or those of others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ObjectTable(BTreeMap<u32, Object>);

impl ObjectTable {
    pub(crate) fn get(&self, id: u32) -> Option<&Object> {
        self.0.get(&id)
    }

    pub(crate) fn insert(&mut self, id: u32, object: Object) {
        self.0.insert(id, object);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Object)> + '_ {
        self.0.iter().map(|(&id, object)| (id, object))
    }

    /// Groups, by number.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (u32, &Group)> + '_ {
        self.iter().filter_map(|(id, object)| match object {
            Object::Group(group) => Some((id, group)),
            _ => None,
        })
    }

    /// The next hops on a link.
    pub(crate) fn on_link(&self, ifindex: u32) -> BTreeSet<u32> {
        let on_link = |object: &Object| matches!(object, Object::Hop(h) if h.ifindex == ifindex);
        let objects = self.iter().filter(|(_, object)| on_link(object));
        objects.map(|(id, _)| id).collect()
    }

    /// The next hops that an object stands for, sorted.
    pub(crate) fn hops(&self, id: u32) -> Vec<KernelHop> {
        let hop = |id: u32, weight: u32| match self.get(id) {
            Some(Object::Hop(hop)) => Some(KernelHop {
                weight: u16::try_from(weight).unwrap_or(u16::MAX),
                ..*hop
            }),
            _ => None,
        };
        let mut hops: Vec<KernelHop> = match self.get(id) {
            Some(Object::Group(group)) => {
                let members = group.members.iter();
                members.filter_map(|m| hop(m.id, m.weight)).collect()
            }
            _ => hop(id, 1).into_iter().collect(),
        };
        hops.sort_unstable();
        hops
    }

    /// Takes `gone` out, out of their groups, and groups that are empty then: what the kernel
    /// does. Returns all that went, and the groups that are smaller now.
    pub(crate) fn take_out(&mut self, mut gone: BTreeSet<u32>) -> (BTreeSet<u32>, Vec<u32>) {
        gone.retain(|id| self.0.remove(id).is_some());
        let mut smaller = Vec::new();
        let mut empty = BTreeSet::new();
        for (&id, object) in &mut self.0 {
            let Object::Group(group) = object else {
                continue;
            };
            let before = group.members.len();
            group.members.retain(|member| !gone.contains(&member.id));
            match group.members.len() {
                0 => drop(empty.insert(id)),
                after if after < before => smaller.push(id),
                _ => {}
            }
        }
        self.0.retain(|id, _| !empty.contains(id));
        gone.extend(empty);
        (gone, smaller)
    }
}

impl Group {
    /// Whether the kernel can change the one into the other; a group has its kind and its buckets
    /// for good.
    pub(crate) fn can_become(&self, other: &Self) -> bool {
        let buckets = |group: &Self| group.resilient.map(|resilient| resilient.buckets);
        buckets(self) == buckets(other)
    }

    /// The group without some of its members.
    pub(crate) fn without(&self, gone: &BTreeSet<u32>) -> Self {
        let members = self.members.iter().filter(|m| !gone.contains(&m.id));
        Self {
            members: members.copied().collect(),
            resilient: self.resilient,
        }
    }
}
