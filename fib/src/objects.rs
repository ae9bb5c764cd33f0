//! Our nexthop objects: what should exist, what the kernel has, and the operations that close
//! the difference. Pure, as [`reconcile`](crate::reconcile) is for routes.
//!
//! The kernel does more than it tells. An object whose link goes down is deleted without a
//! notification; an object that is deleted leaves its groups; a group that is empty is deleted,
//! and so are all IPv4 routes that use what is deleted. [`Objects`] does the same to its picture
//! of the kernel, and tells which objects vanished so that their routes can be taken for lost.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use nix::errno::Errno;

use crate::codec::PROTOCOL_BGP;
use crate::object::{
    Group, GroupMember, Object, ObjectNotice, ObjectOperation, ObjectTable, ObjectVerb,
    ResilientGroup,
};
use crate::route::KernelHop;

/// The first number of all. Far from where zebra and the kernel begin to count.
const FIRST_ID: u32 = 1_000_000_000;
/// How many numbers each block has.
const IDS: u32 = 1_000_000;
/// How many blocks of numbers for nexthop objects there are. All objects with numbers of a block
/// belong to the one FIB that has it: blocks that several daemons use must differ.
pub const OBJECT_BLOCKS: u32 = 3_000;

/// The block of numbers that the nexthop objects for a table have, unless
/// [`FibOptions::object_block`](crate::FibOptions::object_block) says another one.
#[must_use]
pub const fn object_block(table: u32) -> u32 {
    table % OBJECT_BLOCKS
}

/// What an object is for. A next hop that is in groups has an object for that alone: deleting it
/// takes it out of all groups with one message, and must not take routes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Role {
    ForRoutes,
    ForGroups,
}

/// An object that should exist.
#[derive(Debug)]
struct Wanted {
    object: Object,
    role: Role,
    /// Sets that use it, and groups that it is in.
    users: u32,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Objects {
    wanted: BTreeMap<u32, Wanted>,
    by_object: HashMap<(Object, Role), u32>,
    /// What the kernel has under our numbers.
    kernel: ObjectTable,
    /// What the kernel did not take, and why.
    refused: BTreeMap<u32, Errno>,
    /// Numbers that may differ between the two.
    dirty: BTreeSet<u32>,
    /// Numbers that may have no users any more.
    idle: BTreeSet<u32>,
    /// The first of our numbers.
    first: u32,
    /// Where to look for a free number.
    next: u32,
    /// Objects of an earlier run stay.
    keep: bool,
}

impl Objects {
    /// With numbers of a block. With `keep`, objects of an earlier run stay until
    /// [`sweep`](Self::sweep).
    pub(crate) fn new(block: u32, keep: bool) -> Self {
        let first = FIRST_ID + block % OBJECT_BLOCKS * IDS;
        Self {
            wanted: BTreeMap::new(),
            by_object: HashMap::new(),
            kernel: ObjectTable::default(),
            refused: BTreeMap::new(),
            dirty: BTreeSet::new(),
            idle: BTreeSet::new(),
            first,
            next: first,
            keep,
        }
    }

    /// Whether the number is one of ours.
    pub(crate) fn is_ours(&self, id: u32) -> bool {
        (self.first..self.first + IDS).contains(&id)
    }

    // ===== What is wanted =====

    /// The object for one next hop, with one more user.
    pub(crate) fn acquire_hop(&mut self, hop: KernelHop) -> u32 {
        let object = Object::Hop(KernelHop { weight: 1, ..hop });
        self.acquire(object, Role::ForRoutes)
    }

    /// The group of these next hops and this kind, with one more user.
    pub(crate) fn acquire_group(
        &mut self,
        hops: &[KernelHop],
        resilient: Option<ResilientGroup>,
    ) -> u32 {
        let group = self.group_of(hops, resilient);
        let members = member_ids(&group);
        let key = (group, Role::ForRoutes);
        let known = self.by_object.contains_key(&key);
        let id = self.acquire(key.0, key.1);
        if known {
            // The group holds its members already.
            members.into_iter().for_each(|member| self.release(member));
        }
        id
    }

    /// Whether there is a group of this kind with this next hop alone.
    pub(crate) fn has_group_of(&self, hop: KernelHop, resilient: Option<ResilientGroup>) -> bool {
        let hop = Object::Hop(KernelHop { weight: 1, ..hop });
        let Some(&id) = self.by_object.get(&(hop, Role::ForGroups)) else {
            return false;
        };
        let group = Object::Group(Group {
            members: vec![GroupMember { id, weight: 1 }],
            resilient,
        });
        self.by_object.contains_key(&(group, Role::ForRoutes))
    }

    /// A group with its members, each with one more user.
    fn group_of(&mut self, hops: &[KernelHop], resilient: Option<ResilientGroup>) -> Object {
        let member = |hop: &KernelHop| GroupMember {
            id: self.acquire(
                Object::Hop(KernelHop { weight: 1, ..*hop }),
                Role::ForGroups,
            ),
            weight: u32::from(hop.weight),
        };
        let mut members: Vec<GroupMember> = hops.iter().map(member).collect();
        members.sort_unstable();
        Object::Group(Group { members, resilient })
    }

    fn acquire(&mut self, object: Object, role: Role) -> u32 {
        let key = (object, role);
        let id = match self.by_object.get(&key) {
            Some(&id) => id,
            None => {
                let id = self.free_id();
                self.insert(id, key.0, key.1);
                self.dirty.insert(id);
                id
            }
        };
        if let Some(wanted) = self.wanted.get_mut(&id) {
            wanted.users += 1;
        }
        id
    }

    /// Groups that were changed may be equal, and what an earlier run left may have routes.
    fn insert(&mut self, id: u32, object: Object, role: Role) {
        let key = (object.clone(), role);
        self.by_object.entry(key).or_insert(id);
        let wanted = Wanted {
            object,
            role,
            users: 0,
        };
        self.wanted.insert(id, wanted);
    }

    /// Whether there are numbers for a group of so many members.
    pub(crate) fn has_room(&self, members: usize) -> bool {
        let taken = self.wanted.len() + self.kernel.len();
        taken + members < IDS as usize / 2
    }

    fn free_id(&mut self) -> u32 {
        loop {
            let id = self.next;
            self.next = match id + 1 {
                end if end == self.first + IDS => self.first,
                next => next,
            };
            if !self.wanted.contains_key(&id) && self.kernel.get(id).is_none() {
                return id;
            }
        }
    }

    /// Makes the group consist of these next hops from now on. Its users stay. Of `resilient`
    /// only the timers may differ from what it is.
    pub(crate) fn edit_group(
        &mut self,
        id: u32,
        hops: &[KernelHop],
        resilient: Option<ResilientGroup>,
    ) {
        let new = self.group_of(hops, resilient);
        let Some(wanted) = self.wanted.get_mut(&id) else {
            return;
        };
        self.refused.remove(&id);
        let old = std::mem::replace(&mut wanted.object, new.clone());
        let role = wanted.role;
        self.unindex(&old, role, id);
        self.by_object.entry((new, role)).or_insert(id);
        self.dirty.insert(id);
        for member in member_ids(&old) {
            self.release(member);
        }
    }

    /// One user less. What has none goes with [`collect`](Self::collect).
    pub(crate) fn release(&mut self, id: u32) {
        if let Some(wanted) = self.wanted.get_mut(&id) {
            wanted.users = wanted.users.saturating_sub(1);
            if wanted.users == 0 {
                self.idle.insert(id);
            }
        }
    }

    fn unindex(&mut self, object: &Object, role: Role, id: u32) {
        let key = (object.clone(), role);
        if self.by_object.get(&key) == Some(&id) {
            self.by_object.remove(&key);
        }
    }

    /// Gives up what has no users, and no routes in the kernel.
    pub(crate) fn collect(&mut self, routes: impl Fn(u32) -> bool) {
        let mut waiting = BTreeSet::new();
        // Members get idle with the last of their groups.
        while let Some(id) = self.idle.pop_last() {
            if self.wanted.get(&id).is_none_or(|wanted| wanted.users > 0) {
                continue;
            }
            if self.is_kept(id) || routes(id) {
                waiting.insert(id);
                continue;
            }
            let Some(wanted) = self.wanted.remove(&id) else {
                continue;
            };
            self.unindex(&wanted.object, wanted.role, id);
            self.refused.remove(&id);
            self.dirty.insert(id);
            for member in member_ids(&wanted.object) {
                self.release(member);
            }
        }
        self.idle = waiting;
    }

    /// Whether there is something that [`collect`](Self::collect) would give up.
    pub(crate) fn has_idle(&self, routes: impl Fn(u32) -> bool) -> bool {
        let users = |id: &u32| self.wanted.get(id).is_some_and(|wanted| wanted.users > 0);
        let waits = |id: &u32| users(id) || self.is_kept(*id) || routes(*id);
        self.idle.iter().any(|id| !waits(id))
    }

    /// Whether it is of an earlier run, or as good as that, and may be asked for again.
    fn is_kept(&self, id: u32) -> bool {
        self.keep && self.kernel.get(id).is_some()
    }

    /// Objects of an earlier run need not be kept any longer.
    pub(crate) fn sweep(&mut self) {
        self.keep = false;
    }

    /// The next hops that an object stands for in the kernel.
    pub(crate) fn hops(&self, id: u32) -> Vec<KernelHop> {
        self.kernel.hops(id)
    }

    /// Whether routes may use the object now.
    ///
    /// # Errors
    /// Why the kernel did not take it.
    pub(crate) fn ready(&self, id: u32) -> Result<(), Errno> {
        match self.refused.get(&id) {
            Some(errno) => Err(*errno),
            None if self.kernel.get(id).is_some() => Ok(()),
            None => Err(Errno::ENOENT),
        }
    }

    // ===== Closing the difference =====

    /// Whether nothing differs that could be mended now.
    pub(crate) fn is_settled(&self) -> bool {
        self.dirty.is_empty()
    }

    /// The operations that are due, in the order in which they have to be carried out. Each must
    /// be answered by [`completed`](Self::completed); there may be more after that.
    pub(crate) fn next_operations(&mut self) -> Vec<ObjectOperation> {
        let dirty = std::mem::take(&mut self.dirty);
        let mut operations = Vec::new();
        let (mut groups, mut surplus) = (Vec::new(), BTreeSet::new());
        for id in dirty {
            match self.wanted.get(&id).map(|wanted| &wanted.object) {
                Some(object) if self.kernel.get(id) == Some(object) => {}
                Some(Object::Group(group)) => groups.push((id, group)),
                Some(object) => operations.push(set(id, object.clone())),
                None if self.kernel.get(id).is_some() => {
                    surplus.insert(id);
                }
                None => {}
            }
        }
        // A next hop that goes leaves all its groups with one message; but never as the last
        // member, since that would take the group along, and its routes.
        let (leave, wait) = self.split_surplus(&surplus);
        for &id in &leave {
            operations.push(delete(id));
        }
        for (id, group) in groups {
            let left = match self.kernel.get(id) {
                Some(Object::Group(present)) => Some(present.without(&leave)),
                _ => None,
            };
            match left {
                Some(left) if left == *group => {}
                // Somebody else made it. It is wanted again once it is gone.
                Some(left) if !left.can_become(group) => operations.push(delete(id)),
                _ => operations.push(set(id, Object::Group(self.in_order(group)))),
            }
        }
        for id in wait {
            match self.kernel.get(id) {
                Some(Object::Group(_)) => operations.push(delete(id)),
                // Once the groups are changed.
                _ if operations.is_empty() => operations.push(delete(id)),
                _ => {
                    self.dirty.insert(id);
                }
            }
        }
        operations
    }

    /// The group with its members in the order of their next hops: by their places the kernel
    /// says which flows go where, and a group that is made anew is to give them the same.
    fn in_order(&self, group: &Group) -> Group {
        let hop = |id: u32| match self.wanted.get(&id).map(|wanted| &wanted.object) {
            Some(Object::Hop(hop)) => Some(*hop),
            _ => None,
        };
        let mut members = group.members.clone();
        members.sort_by_key(|member| hop(member.id));
        Group { members, ..*group }
    }

    /// Next hops that may leave their groups at once, and everything else.
    fn split_surplus(&self, surplus: &BTreeSet<u32>) -> (BTreeSet<u32>, BTreeSet<u32>) {
        let is_hop = |id: &u32| matches!(self.kernel.get(*id), Some(Object::Hop(_)));
        let hops: BTreeSet<u32> = surplus.iter().copied().filter(is_hop).collect();
        let lonely: BTreeSet<u32> = self
            .kernel
            .groups()
            .filter(|(id, _)| !surplus.contains(id))
            .filter(|(_, group)| group.members.iter().all(|m| hops.contains(&m.id)))
            .flat_map(|(_, group)| group.members.iter().map(|m| m.id))
            .collect();
        let leave: BTreeSet<u32> = hops.difference(&lonely).copied().collect();
        let wait = surplus.difference(&leave).copied().collect();
        (leave, wait)
    }

    /// How an operation went. Returns the objects that vanished with it.
    pub(crate) fn completed(
        &mut self,
        operation: &ObjectOperation,
        result: Result<(), Errno>,
    ) -> BTreeSet<u32> {
        let id = operation.id;
        match (&operation.verb, result) {
            (ObjectVerb::Set(object), Ok(())) => {
                self.kernel.insert(id, object.clone().sorted());
                BTreeSet::new()
            }
            (ObjectVerb::Delete, Ok(()) | Err(Errno::ENOENT)) => self.take_out([id].into()),
            (ObjectVerb::Set(_), Err(errno)) => {
                if self.wanted.contains_key(&id) {
                    self.refused.insert(id, errno);
                }
                BTreeSet::new()
            }
            (ObjectVerb::Delete, Err(_)) => BTreeSet::new(),
        }
    }

    /// Next hops that the kernel did not take.
    pub(crate) fn refused_hops(&self) -> impl Iterator<Item = KernelHop> + '_ {
        let refused = self.refused.keys().filter_map(|id| self.wanted.get(id));
        refused.filter_map(|wanted| match wanted.object {
            Object::Hop(hop) => Some(hop),
            _ => None,
        })
    }

    /// Resilient groups that the kernel did not take though it has their members, and why.
    pub(crate) fn refused_resilient(&self) -> impl Iterator<Item = (u32, Errno)> + '_ {
        let complete = |id: &u32| {
            let group = self.group(*id).filter(|group| group.resilient.is_some());
            let present = |member: &GroupMember| self.kernel.get(member.id).is_some();
            group.is_some_and(|group| group.members.iter().all(present))
        };
        let refused = self.refused.iter();
        refused
            .filter(move |(id, _)| complete(id))
            .map(|(id, errno)| (*id, *errno))
    }

    /// A group as it should be.
    pub(crate) fn group(&self, id: u32) -> Option<&Group> {
        match &self.wanted.get(&id)?.object {
            Object::Group(group) => Some(group),
            _ => None,
        }
    }

    /// Resilient groups that the kernel is to be given anew.
    pub(crate) fn new_resilient(&self) -> Vec<u32> {
        let missing = |id: &u32| self.kernel.get(*id).is_none() && !self.refused.contains_key(id);
        let resilient = |id: &u32| {
            self.group(*id)
                .is_some_and(|group| group.resilient.is_some())
        };
        let new = self.dirty.iter().copied();
        new.filter(|id| missing(id) && resilient(id)).collect()
    }

    /// The group in the kernel that nobody wants any more and that is the nearest to this one,
    /// among those that `fits` says may become it.
    pub(crate) fn heir_of(&self, id: u32, fits: impl Fn(u32) -> bool) -> Option<u32> {
        let new = self.group(id)?;
        let common = |group: &Group| {
            let is_in = |member: &&GroupMember| new.members.iter().any(|m| m.id == member.id);
            group.members.iter().filter(is_in).count()
        };
        let near = self.idle.iter().copied().filter_map(|idle| {
            let unused = self.wanted.get(&idle)?.users == 0;
            let present = matches!(self.kernel.get(idle), Some(Object::Group(_)));
            let group = self.group(idle).filter(|group| group.can_become(new))?;
            (unused && present && common(group) > 0 && fits(idle)).then(|| (common(group), idle))
        });
        near.max_by_key(|(common, id)| (*common, std::cmp::Reverse(*id)))
            .map(|(_, idle)| idle)
    }

    /// `heir` takes the place of `id`, a group that is not in the kernel, with all its users.
    pub(crate) fn replace_group(&mut self, id: u32, heir: u32, hops: &[KernelHop]) {
        let Some(resilient) = self.group(id).map(|group| group.resilient) else {
            return;
        };
        self.edit_group(heir, hops, resilient);
        let users = self
            .wanted
            .get_mut(&id)
            .map(|wanted| std::mem::take(&mut wanted.users));
        self.idle.insert(id);
        if let Some(wanted) = self.wanted.get_mut(&heir) {
            wanted.users += users.unwrap_or(0);
            let key = (wanted.object.clone(), wanted.role);
            self.by_object.insert(key, heir);
        }
    }

    /// Tries again what the kernel refused. Returns whether there was any.
    pub(crate) fn retry(&mut self) -> bool {
        let refused = std::mem::take(&mut self.refused);
        self.dirty.extend(refused.keys());
        !refused.is_empty()
    }

    pub(crate) fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    // ===== What the kernel says =====

    /// The kernel has the object, or no longer. Returns the objects that vanished with it.
    pub(crate) fn heard(&mut self, notice: &ObjectNotice) -> BTreeSet<u32> {
        if !self.is_ours(notice.id) {
            return BTreeSet::new();
        }
        self.dirty.insert(notice.id);
        if notice.gone {
            return self.take_out([notice.id].into());
        }
        let object = match notice.protocol {
            PROTOCOL_BGP => notice.object.clone(),
            _ => Object::Other,
        };
        self.kernel.insert(notice.id, object);
        BTreeSet::new()
    }

    /// The link went down: its objects are gone, without a word.
    pub(crate) fn lose_link(&mut self, ifindex: u32) -> BTreeSet<u32> {
        self.take_out(self.kernel.on_link(ifindex))
    }

    fn take_out(&mut self, gone: BTreeSet<u32>) -> BTreeSet<u32> {
        let (gone, smaller) = self.kernel.take_out(gone);
        self.dirty.extend(gone.iter().chain(&smaller));
        gone
    }

    /// A dump begins: every object follows as [`heard`](Self::heard). Returns what was known, for
    /// [`restore`](Self::restore).
    pub(crate) fn begin_dump(&mut self) -> ObjectTable {
        std::mem::take(&mut self.kernel)
    }

    /// The dump broke off.
    pub(crate) fn restore(&mut self, old: ObjectTable) {
        self.kernel = old;
    }

    /// The dump is complete. What an earlier run left is ours from now on.
    pub(crate) fn end_dump(&mut self) {
        self.dirty.extend(self.wanted.keys());
        self.dirty.extend(self.kernel.iter().map(|(id, _)| id));
        let known = |id: &u32| self.wanted.contains_key(id);
        let mut found: Vec<(u32, Object)> = self
            .kernel
            .iter()
            .filter(|(id, _)| !known(id))
            .map(|(id, object)| (id, object.clone()))
            .collect();
        let in_groups: BTreeSet<u32> = found.iter().flat_map(|(_, o)| member_ids(o)).collect();
        // Members before their groups.
        found.sort_by_key(|(_, object)| matches!(object, Object::Group(_)));
        for (id, object) in found {
            let members = member_ids(&object);
            let role = match in_groups.contains(&id) {
                true => Role::ForGroups,
                false => Role::ForRoutes,
            };
            let sound = match &object {
                Object::Other => false,
                _ => members
                    .iter()
                    .all(|member| self.wanted.contains_key(member)),
            };
            if !sound {
                continue;
            }
            self.insert(id, object, role);
            self.idle.insert(id);
            for member in members {
                if let Some(wanted) = self.wanted.get_mut(&member) {
                    wanted.users += 1;
                }
            }
        }
    }
}

fn set(id: u32, object: Object) -> ObjectOperation {
    ObjectOperation {
        id,
        verb: ObjectVerb::Set(object),
    }
}

fn delete(id: u32) -> ObjectOperation {
    ObjectOperation {
        id,
        verb: ObjectVerb::Delete,
    }
}

fn member_ids(object: &Object) -> Vec<u32> {
    match object {
        Object::Group(group) => group.members.iter().map(|member| member.id).collect(),
        _ => Vec::new(),
    }
}
