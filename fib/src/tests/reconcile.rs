//! The reconciler against a model of the kernel: whatever happens in whatever order, in the end
//! the kernel has what is wanted, and nothing of others was touched.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ipnet::Ipv4Net;
use nix::errno::Errno;
use proptest::prelude::*;

use crate::codec::PROTOCOL_BGP;
use crate::handle::{RouteError, TrackKey};
use crate::kernel::Loss;
use crate::object::{Object, ObjectNotice, ObjectOperation, ObjectVerb};
use crate::reconcile::{Operation, Outcome, Verb};
use crate::resolve::{Resolve, WIDE_WEIGHT};
use crate::route::{
    KernelHop, KernelKind, KernelRoute, NextHop, Resilient, Resolution, Route, RouteKind,
};
use crate::tables::Tables;

/// Next hop 10.0.N.2 is on link N, and resolves while that is up.
#[derive(Debug, Clone, Default)]
pub(super) struct Links {
    pub(super) down: BTreeSet<u32>,
}

impl Resolve for Links {
    fn max_weight(&self) -> u16 {
        WIDE_WEIGHT
    }

    fn resolve(&self, key: TrackKey, _onlink: bool) -> Option<Resolution> {
        let IpAddr::V4(address) = key.address else {
            return None;
        };
        let ifindex = u32::from(address.octets()[2]);
        let hop = KernelHop {
            gateway: None,
            ifindex,
            weight: 1,
            onlink: false,
        };
        (!self.down.contains(&ifindex)).then(|| Resolution {
            gateway: None,
            ifindex,
            ifname: String::new(),
            metric: 0,
            connected: true,
            via: None,
            protocol: 2,
            multipath: vec![hop],
            drops: None,
            through_own: false,
            otherwise: None,
        })
    }
}

/// The same with a resilient group, where there are buckets.
fn with_buckets(route: &Arc<Route>, buckets: u16) -> Arc<Route> {
    let resilient = Resilient {
        buckets,
        idle_timer_secs: 1,
        unbalanced_timer_secs: 0,
    };
    Arc::new(Route {
        resilient: (buckets > 0).then_some(resilient),
        ..Route::clone(route)
    })
}

fn route(metric: u32, links: &[u32]) -> Arc<Route> {
    let hop = |n: &u32| NextHop::new(Ipv4Addr::new(10, 0, u8::try_from(*n).unwrap(), 2).into());
    let kind = match links {
        [] => RouteKind::Blackhole,
        links => RouteKind::Unicast(links.iter().map(hop).collect()),
    };
    Arc::new(Route {
        metric,
        kind,
        prefsrc: None,
        resilient: None,
    })
}

/// What should be in the kernel for a route, next hops and all.
fn kernel_route(links: &Links, route: &Route) -> Option<KernelRoute> {
    let kind = match &route.kind {
        RouteKind::Unicast(hops) => KernelKind::Unicast(links.kernel_hops(hops)?.hops),
        _ => KernelKind::Blackhole,
    };
    Some(KernelRoute {
        metric: route.metric,
        kind,
        prefsrc: None,
    })
}

fn prefix(n: u8) -> Ipv4Net {
    Ipv4Net::new(Ipv4Addr::new(192, 0, n, 0), 24).unwrap()
}

/// What is in one place of the model's table.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Slot {
    Ours {
        route: KernelRoute,
        dead_members: bool,
    },
    Foreign,
}

/// A notification on its way.
#[derive(Debug, Clone)]
enum Note {
    Added(Ipv4Net, KernelRoute, bool),
    Removed(Ipv4Net, KernelRoute),
    Foreign {
        prefix: Ipv4Net,
        metric: u32,
        present: bool,
        replaced: bool,
    },
    Object(ObjectNotice),
    LinkDown(u32),
    LinkUp(u32),
}

#[derive(Debug, Default)]
struct Kernel {
    slots: BTreeMap<(Ipv4Net, u32), Slot>,
    objects: BTreeMap<u32, Object>,
    links: Links,
    notes: VecDeque<Note>,
    /// Notifications were dropped.
    lost: bool,
    /// A foreign route was written over or deleted by us.
    harm: bool,
    /// What the daemon does itself is not told back to it.
    deaf: bool,
    /// What it says to resilient groups, where it does not take them.
    not_resilient: Option<Errno>,
}

impl Kernel {
    fn execute(&mut self, operation: &Operation<Ipv4Net>) -> Result<(), Errno> {
        let told = self.notes.len();
        let result = self.carry_out(operation);
        if self.deaf {
            self.notes.truncate(told);
        }
        result
    }

    fn carry_out(&mut self, operation: &Operation<Ipv4Net>) -> Result<(), Errno> {
        let prefix = operation.prefix;
        match &operation.verb {
            Verb::Create(route) => {
                if self.slots.contains_key(&(prefix, route.metric)) {
                    return Err(Errno::EEXIST);
                }
                self.put(prefix, route, false)
            }
            Verb::Replace(route) => {
                self.harm |= self.slots.get(&(prefix, route.metric)) == Some(&Slot::Foreign);
                self.put(prefix, route, true)
            }
            Verb::Delete { metric } => match self.slots.get(&(prefix, *metric)) {
                Some(Slot::Ours { route, .. }) => {
                    self.notes.push_back(Note::Removed(prefix, route.clone()));
                    self.slots.remove(&(prefix, *metric));
                    Ok(())
                }
                _ => Err(Errno::ESRCH),
            },
        }
    }

    fn execute_object(&mut self, operation: &ObjectOperation) -> Result<(), Errno> {
        let told = self.notes.len();
        let result = self.carry_out_object(operation);
        if self.deaf {
            self.notes.truncate(told);
        }
        result
    }

    fn carry_out_object(&mut self, operation: &ObjectOperation) -> Result<(), Errno> {
        let id = operation.id;
        match &operation.verb {
            ObjectVerb::Set(object) => {
                match object {
                    Object::Hop(hop) if self.links.down.contains(&hop.ifindex) => {
                        return Err(Errno::ENETDOWN);
                    }
                    Object::Group(group) => {
                        let known = |id| matches!(self.objects.get(id), Some(Object::Hop(_)));
                        if group.members.is_empty() || !group.members.iter().all(|m| known(&m.id)) {
                            return Err(Errno::EINVAL);
                        }
                        if let (Some(_), Some(errno)) = (group.resilient, self.not_resilient) {
                            return Err(errno);
                        }
                        let other =
                            |o: &Object| !matches!(o, Object::Group(g) if g.can_become(group));
                        if self.objects.get(&id).is_some_and(other) {
                            return Err(Errno::EINVAL);
                        }
                    }
                    _ => {}
                }
                self.objects.insert(id, object.clone().sorted());
                self.tell_object(id, false);
            }
            ObjectVerb::Delete => {
                if !self.objects.contains_key(&id) {
                    return Err(Errno::ENOENT);
                }
                self.delete_objects([id].into(), true);
            }
        }
        Ok(())
    }

    fn tell_object(&mut self, id: u32, gone: bool) {
        self.notes.push_back(Note::Object(ObjectNotice {
            id,
            protocol: PROTOCOL_BGP,
            object: self.objects.get(&id).cloned().unwrap_or(Object::Other),
            gone,
        }));
    }

    /// With all that the kernel deletes along with them; of routes it tells nothing.
    fn delete_objects(&mut self, mut gone: BTreeSet<u32>, told: bool) {
        for id in self.objects.keys().copied().collect::<Vec<_>>() {
            let Some(Object::Group(group)) = self.objects.get_mut(&id) else {
                continue;
            };
            let before = group.members.len();
            group.members.retain(|m| !gone.contains(&m.id));
            if group.members.is_empty() {
                gone.insert(id);
            } else if told && group.members.len() != before {
                self.tell_object(id, false);
            }
        }
        for id in &gone {
            self.objects.remove(id);
            if told {
                self.tell_object(*id, true);
            }
        }
        self.slots.retain(|_, slot| match slot {
            Slot::Ours { route, .. } => {
                !matches!(route.kind, KernelKind::Nexthop(id) if gone.contains(&id))
            }
            Slot::Foreign => true,
        });
    }

    /// The route with the next hops of its object.
    fn shown(&self, route: &KernelRoute) -> KernelRoute {
        let KernelKind::Nexthop(id) = route.kind else {
            return route.clone();
        };
        let hop = |id: u32, weight: u32| match self.objects[&id] {
            Object::Hop(hop) => KernelHop {
                weight: weight.try_into().unwrap(),
                ..hop
            },
            _ => panic!("not a next hop"),
        };
        let mut hops = match &self.objects[&id] {
            Object::Group(group) => group.members.iter().map(|m| hop(m.id, m.weight)).collect(),
            _ => vec![hop(id, 1)],
        };
        hops.sort_unstable();
        KernelRoute {
            kind: KernelKind::Unicast(hops),
            ..*route
        }
    }

    fn put(&mut self, prefix: Ipv4Net, route: &KernelRoute, replace: bool) -> Result<(), Errno> {
        if matches!(route.kind, KernelKind::Nexthop(id) if !self.objects.contains_key(&id)) {
            return Err(Errno::EINVAL);
        }
        if route
            .hops()
            .iter()
            .any(|hop| self.links.down.contains(&hop.ifindex))
        {
            return Err(Errno::ENETDOWN);
        }
        let slot = Slot::Ours {
            route: route.clone(),
            dead_members: false,
        };
        let old = self.slots.insert((prefix, route.metric), slot);
        // Writing the same again makes no notification.
        if !matches!(old, Some(Slot::Ours { route: old, .. }) if old == *route) {
            self.notes
                .push_back(Note::Added(prefix, route.clone(), replace));
        }
        Ok(())
    }

    fn foreign(&mut self, prefix: Ipv4Net, metric: u32, present: bool) {
        let old = self.slots.get(&(prefix, metric)).cloned();
        if present {
            self.slots.insert((prefix, metric), Slot::Foreign);
        } else if old == Some(Slot::Foreign) {
            self.slots.remove(&(prefix, metric));
        } else {
            return;
        }
        let replaced = present && old.is_some();
        self.notes.push_back(Note::Foreign {
            prefix,
            metric,
            present,
            replaced,
        });
    }

    /// Someone deletes, or writes over, a route of ours by hand.
    fn meddle(&mut self, prefix: Ipv4Net, metric: u32, with: Option<KernelRoute>) {
        let Some(Slot::Ours { route: old, .. }) = self.slots.get(&(prefix, metric)).cloned() else {
            return;
        };
        if let Some(new) = with {
            let slot = Slot::Ours {
                route: new.clone(),
                dead_members: false,
            };
            self.slots.insert((prefix, metric), slot);
            self.notes.push_back(Note::Added(prefix, new, true));
        } else {
            self.slots.remove(&(prefix, metric));
            self.notes.push_back(Note::Removed(prefix, old));
        }
    }

    /// Someone deletes one next hop of ours; IPv6 can do that, and tells just that one.
    fn prune(&mut self, prefix: Ipv4Net, metric: u32) {
        let Some(Slot::Ours { route, .. }) = self.slots.get_mut(&(prefix, metric)) else {
            return;
        };
        let KernelKind::Unicast(hops) = &mut route.kind else {
            return;
        };
        if hops.len() > 1 {
            let pruned = vec![hops.remove(0)];
            let gone = KernelRoute {
                kind: KernelKind::Unicast(pruned),
                ..route.clone()
            };
            self.notes.push_back(Note::Removed(prefix, gone));
        }
    }

    /// As the kernel does for IPv4: not a word about the routes.
    fn link_down(&mut self, ifindex: u32) {
        if !self.links.down.insert(ifindex) {
            return;
        }
        let on_link = |o: &Object| matches!(o, Object::Hop(hop) if hop.ifindex == ifindex);
        let objects = self.objects.iter().filter(|(_, object)| on_link(object));
        let gone = objects.map(|(&id, _)| id).collect();
        self.delete_objects(gone, false);
        let loss = Loss::Link(ifindex);
        self.slots.retain(|_, slot| match slot {
            Slot::Ours {
                route,
                dead_members,
            } => {
                *dead_members |= loss.maims(route);
                !loss.kills(route)
            }
            Slot::Foreign => true,
        });
        self.notes.push_back(Note::LinkDown(ifindex));
    }

    fn link_up(&mut self, ifindex: u32) {
        if self.links.down.remove(&ifindex) {
            self.notes.push_back(Note::LinkUp(ifindex));
        }
    }
}

#[derive(Debug, Clone)]
enum Action {
    /// With this many buckets.
    Desire(u8, u32, Vec<u32>, u16),
    Withdraw(u8),
    Foreign(u8, u32, bool),
    Delete(u8, u32),
    Overwrite(u8, u32, u32),
    Prune(u8, u32),
    Link(u32, bool),
    /// Someone deletes the object at this place.
    DeleteObject(usize),
    /// The daemon is killed and started again.
    Restart(bool),
    /// Nexthop objects are used from now on, or not.
    UseObjects(bool),
    /// Write up to so many, of which the one at this place fails for no reason.
    Write(usize, Option<usize>),
    /// The same, while someone deletes a route that was not heard of before.
    Race(usize, u8, u32),
    Listen(usize),
    Overflow,
    Retry,
    Sweep,
}

/// The world of one test run.
struct World {
    fib: Tables,
    objects: bool,
    kernel: Kernel,
    /// Links as the notifications told them.
    heard: Links,
    wanted: BTreeMap<Ipv4Net, Arc<Route>>,
    /// What the owner was told last, per prefix.
    told: BTreeMap<Ipv4Net, Result<(), RouteError>>,
}

impl World {
    fn new(keep: bool, objects: bool, deaf: bool) -> Self {
        Self {
            fib: Tables::new(254, keep, objects),
            objects,
            kernel: Kernel {
                deaf,
                ..Kernel::default()
            },
            heard: Links::default(),
            wanted: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Desire(n, metric, links, buckets) => {
                let route = with_buckets(&route(metric, &links), buckets);
                self.fib
                    .desire(prefix(n).into(), Some(&route), 0, &self.heard);
                self.wanted.insert(prefix(n), route);
            }
            Action::Withdraw(n) => {
                self.fib.desire(prefix(n).into(), None, 0, &self.heard);
                self.wanted.remove(&prefix(n));
            }
            Action::Foreign(n, metric, present) => self.kernel.foreign(prefix(n), metric, present),
            Action::Delete(n, metric) => self.kernel.meddle(prefix(n), metric, None),
            Action::Overwrite(n, metric, link) if !self.kernel.links.down.contains(&link) => {
                let new = kernel_route(&self.kernel.links, &route(metric, &[link]));
                self.kernel.meddle(prefix(n), metric, new);
            }
            Action::Overwrite(..) => {}
            Action::Prune(n, metric) => self.kernel.prune(prefix(n), metric),
            Action::Link(n, true) => self.kernel.link_up(n),
            Action::Link(n, false) => self.kernel.link_down(n),
            Action::DeleteObject(place) => {
                if let Some(id) = self.kernel.objects.keys().nth(place).copied() {
                    self.kernel.delete_objects([id].into(), true);
                }
            }
            Action::Restart(keep) => self.restart(keep),
            Action::UseObjects(yes) => {
                self.objects = yes;
                self.fib.sets.use_objects(yes);
                self.fib.re_resolve(&self.heard);
            }
            Action::Write(count, fault) => self.write(count, fault),
            Action::Race(count, n, metric) => {
                self.catch_up();
                self.kernel.meddle(prefix(n), metric, None);
                self.write_deaf(count, None);
            }
            Action::Listen(count) => self.listen(count),
            Action::Overflow => {
                self.kernel.notes.clear();
                self.kernel.lost = true;
            }
            Action::Retry => drop(self.fib.retry(&self.heard)),
            Action::Sweep => self.fib.sweep_stale(),
        }
        for outcome in self.fib.v4.take_outcomes() {
            match outcome {
                Outcome::Installed(prefix) => self.told.insert(prefix, Ok(())),
                Outcome::Failed(prefix, error) => self.told.insert(prefix, Err(error)),
                Outcome::Removed(prefix) => self.told.remove(&prefix),
            };
        }
    }

    fn restart(&mut self, keep: bool) {
        self.fib = Tables::new(254, keep, self.objects);
        self.told.clear();
        self.kernel.notes.clear();
        self.kernel.lost = false;
        self.dump();
        for (prefix, route) in &self.wanted {
            self.fib
                .desire((*prefix).into(), Some(route), 0, &self.heard);
        }
    }

    /// Objects first, as often as the answers lead to more.
    fn write_objects(&mut self) {
        loop {
            let operations = self.fib.object_operations();
            if operations.is_empty() {
                return;
            }
            for operation in &operations {
                let result = self.kernel.execute_object(operation);
                self.fib.object_completed(operation, result);
            }
            if self.fib.sets.note_refused() {
                self.fib.re_resolve(&self.heard);
            }
        }
    }

    /// As the task does: hear everything first, and read anew when something was lost.
    fn write(&mut self, count: usize, fault: Option<usize>) {
        self.catch_up();
        self.write_deaf(count, fault);
    }

    fn catch_up(&mut self) {
        self.listen(usize::MAX);
        if std::mem::take(&mut self.kernel.lost) {
            self.dump();
        }
    }

    fn write_deaf(&mut self, count: usize, fault: Option<usize>) {
        self.write_objects();
        let mut batch = Vec::new();
        let Tables { v4, sets, .. } = &mut self.fib;
        v4.next_operations(&mut batch, count, sets);
        for (index, operation) in batch.iter().enumerate() {
            let result = match fault == Some(index) {
                true => Err(Errno::ENOMEM),
                false => self.kernel.execute(operation),
            };
            self.fib.v4.completed(operation, result, 0);
        }
    }

    fn listen(&mut self, count: usize) {
        for _ in 0..count {
            let Some(note) = self.kernel.notes.pop_front() else {
                return;
            };
            match note {
                Note::Added(prefix, route, replaced) => {
                    self.fib.v4.kernel_added(prefix, route, replaced)
                }
                Note::Removed(prefix, route) => self.fib.v4.kernel_removed(prefix, &route),
                Note::Foreign {
                    prefix,
                    metric,
                    present,
                    replaced,
                } => {
                    self.fib.v4.set_foreign(prefix, metric, present, replaced);
                }
                Note::Object(notice) => self.fib.object(&notice),
                Note::LinkDown(n) => {
                    self.heard.down.insert(n);
                    self.fib.lose(Loss::Link(n));
                    self.links_changed();
                }
                Note::LinkUp(n) => {
                    self.heard.down.remove(&n);
                    self.links_changed();
                }
            }
        }
    }

    fn links_changed(&mut self) {
        self.fib.re_resolve(&self.heard);
        self.fib.retry(&self.heard);
    }

    fn dump(&mut self) {
        self.heard = self.kernel.links.clone();
        self.fib.begin_dump();
        for (&id, object) in &self.kernel.objects {
            self.fib.object(&ObjectNotice {
                id,
                protocol: PROTOCOL_BGP,
                object: object.clone(),
                gone: false,
            });
        }
        for (&(prefix, metric), slot) in &self.kernel.slots {
            match slot {
                // A dump leaves the dead members out, as the codec's caller may not rely on them.
                Slot::Ours {
                    route,
                    dead_members: false,
                } => {
                    self.fib.v4.kernel_added(prefix, route.clone(), false);
                }
                Slot::Ours {
                    route,
                    dead_members: true,
                } => {
                    let mut shown = route.clone();
                    shown.prefsrc = Some(Ipv4Addr::LOCALHOST.into());
                    self.fib.v4.kernel_added(prefix, shown, false);
                }
                Slot::Foreign => self.fib.v4.set_foreign(prefix, metric, true, false),
            }
        }
        self.fib.end_dump();
        self.links_changed();
    }

    fn settle(&mut self) {
        self.act(Action::Sweep);
        for _ in 0..200 {
            self.act(Action::Write(3, None));
            self.act(Action::Retry);
        }
        for _ in 0..8 {
            self.act(Action::Write(3, None));
        }
        assert!(self.fib.is_settled(), "still busy");
    }

    /// The table as it should be, computed from nothing but wishes, links and foreign routes.
    fn expected(&self) -> BTreeMap<(Ipv4Net, u32), Slot> {
        let foreign = self
            .kernel
            .slots
            .iter()
            .filter(|(_, slot)| **slot == Slot::Foreign);
        let mut expected: BTreeMap<_, _> = foreign.map(|(k, v)| (*k, v.clone())).collect();
        for (prefix, route) in &self.wanted {
            if let Some(route) = kernel_route(&self.kernel.links, route) {
                let slot = expected.entry((*prefix, route.metric));
                slot.or_insert(Slot::Ours {
                    route,
                    dead_members: false,
                });
            }
        }
        expected
    }

    /// Groups are of the kind that was asked for, as far as the kernel takes it.
    fn check_kinds(&self) {
        for (prefix, wanted) in &self.wanted {
            let Some(Slot::Ours { route, .. }) = self.kernel.slots.get(&(*prefix, wanted.metric))
            else {
                continue;
            };
            let KernelKind::Nexthop(id) = route.kind else {
                assert!(!self.objects || route.kind == KernelKind::Blackhole);
                continue;
            };
            assert!(self.objects);
            if let Object::Group(group) = &self.kernel.objects[&id] {
                let asked = wanted.resilient.map(|asked| asked.buckets);
                let asked = asked.filter(|_| self.kernel.not_resilient.is_none());
                assert_eq!(group.resilient.map(|found| found.buckets), asked);
            }
        }
    }

    fn check(&self) {
        self.check_kinds();
        let shown = self.kernel.slots.iter().map(|(key, slot)| match slot {
            Slot::Ours {
                route,
                dead_members,
            } => {
                let route = self.kernel.shown(route);
                let dead_members = *dead_members;
                (
                    *key,
                    Slot::Ours {
                        route,
                        dead_members,
                    },
                )
            }
            Slot::Foreign => (*key, Slot::Foreign),
        });
        assert_eq!(shown.collect::<BTreeMap<_, _>>(), self.expected());
        assert!(!self.kernel.harm, "a foreign route was touched");
        for (prefix, route) in &self.wanted {
            let installed = self.kernel.slots.get(&(*prefix, route.metric));
            let ours = matches!(installed, Some(Slot::Ours { .. }));
            let better = (*prefix, 0)..(*prefix, route.metric);
            let mut better = self.kernel.slots.range(better).map(|(_, slot)| slot);
            let ours = ours && !better.any(|slot| matches!(slot, Slot::Foreign));
            assert_eq!(
                self.told.get(prefix).is_some_and(Result::is_ok),
                ours,
                "{prefix} told wrong"
            );
        }
        assert!(
            self.told
                .keys()
                .all(|prefix| self.wanted.contains_key(prefix))
        );
        let status: BTreeMap<_, _> = self
            .fib
            .v4
            .status(&self.fib.sets)
            .map(|s| (s.prefix, s.installed && s.error != Some(RouteError::Hidden)))
            .collect();
        assert!(
            status.keys().eq(self.wanted.keys()),
            "an entry was forgotten or kept"
        );
        assert!(
            status
                .iter()
                .all(|(prefix, up)| *up == self.told[prefix].is_ok())
        );
    }
}

fn action() -> impl Strategy<Value = Action> {
    let n = || 0..4u8;
    let metric = || prop::sample::select(vec![20u32, 200]);
    let link = || 1..4u32;
    let buckets = prop::sample::select(vec![0u16, 0, 8, 16]);
    let links = prop::collection::btree_set(link(), 0..4).prop_map(|s| s.into_iter().collect());
    prop_oneof![
        4 => (n(), metric(), links, buckets)
            .prop_map(|(n, m, l, b)| Action::Desire(n, m, l, b)),
        2 => n().prop_map(Action::Withdraw),
        2 => (n(), metric(), any::<bool>()).prop_map(|(n, m, p)| Action::Foreign(n, m, p)),
        1 => (n(), metric()).prop_map(|(n, m)| Action::Delete(n, m)),
        1 => (n(), metric(), link()).prop_map(|(n, m, l)| Action::Overwrite(n, m, l)),
        1 => (n(), metric()).prop_map(|(n, m)| Action::Prune(n, m)),
        3 => (link(), any::<bool>()).prop_map(|(n, up)| Action::Link(n, up)),
        1 => (0..6usize).prop_map(Action::DeleteObject),
        1 => any::<bool>().prop_map(Action::Restart),
        1 => any::<bool>().prop_map(Action::UseObjects),
        6 => (1..4usize, prop::option::of(0..6usize)).prop_map(|(c, f)| Action::Write(c, f)),
        3 => (1..4usize).prop_map(Action::Listen),
        2 => (1..4usize, n(), metric()).prop_map(|(c, n, m)| Action::Race(c, n, m)),
        1 => Just(Action::Overflow),
        1 => Just(Action::Retry),
        1 => Just(Action::Sweep),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn ends_as_wanted_whatever_happens(
        keep in any::<bool>(),
        objects in any::<bool>(),
        deaf in any::<bool>(),
        not_resilient in prop::sample::select(vec![
            None, None, Some(Errno::EOPNOTSUPP), Some(Errno::EINVAL), Some(Errno::ENOMEM),
        ]),
        actions in prop::collection::vec(action(), 0..80),
    ) {
        let mut world = World::new(keep, objects, deaf);
        world.kernel.not_resilient = not_resilient;
        for action in actions {
            world.act(action);
        }
        world.settle();
        world.check();
        // And leaves nothing behind.
        world.fib.withdraw_all();
        world.wanted.clear();
        world.settle();
        world.check();
        prop_assert_eq!(world.fib.v4.status(&world.fib.sets).count(), 0);
        prop_assert_eq!(world.kernel.objects, BTreeMap::new());
    }

    #[test]
    fn the_same_events_give_the_same_messages(
        actions in prop::collection::vec(action(), 0..60),
    ) {
        let run = || {
            let mut world = World::new(false, true, true);
            let mut trace = Vec::new();
            for action in actions.clone() {
                world.act(action);
                world.listen(usize::MAX);
                world.write_objects();
                let mut batch = Vec::new();
                let Tables { v4, sets, .. } = &mut world.fib;
                v4.next_operations(&mut batch, 8, sets);
                for operation in &batch {
                    let result = world.kernel.execute(operation);
                    world.fib.v4.completed(operation, result, 0);
                }
                trace.push((batch, world.fib.v4.take_outcomes()));
            }
            trace
        };
        prop_assert_eq!(run(), run());
    }
}

fn operations(fib: &mut Tables) -> Vec<Operation<Ipv4Net>> {
    let mut batch = Vec::new();
    let Tables { v4, sets, .. } = fib;
    v4.next_operations(&mut batch, 100, sets);
    batch
}

#[test]
fn a_new_metric_is_written_before_the_old_one_goes() {
    let (mut fib, links) = (Tables::new(254, false, false), Links::default());
    fib.desire(prefix(1).into(), Some(&route(20, &[1])), 0, &links);
    let batch = operations(&mut fib);
    fib.v4.completed(&batch[0], Ok(()), 0);
    fib.desire(prefix(1).into(), Some(&route(200, &[1])), 0, &links);
    let batch = operations(&mut fib);
    assert!(matches!(&batch[..], [Operation { verb: Verb::Create(r), .. }] if r.metric == 200));
    fib.v4.completed(&batch[0], Ok(()), 0);
    let batch = operations(&mut fib);
    assert!(matches!(
        &batch[..],
        [Operation {
            verb: Verb::Delete { metric: 20 },
            ..
        }]
    ));
}

#[test]
fn a_route_that_stays_is_not_written_again() {
    let (mut fib, links) = (Tables::new(254, false, false), Links::default());
    fib.desire(prefix(1).into(), Some(&route(20, &[1])), 0, &links);
    let batch = operations(&mut fib);
    fib.v4.completed(&batch[0], Ok(()), 0);
    // An equal route that is another allocation, a changed one that resolves to the same.
    fib.desire(prefix(1).into(), Some(&route(20, &[1])), 0, &links);
    let twice = route(20, &[1, 1]);
    fib.desire(prefix(1).into(), Some(&twice), 0, &links);
    assert!(operations(&mut fib).is_empty());
    assert!(
        fib.v4
            .take_outcomes()
            .contains(&Outcome::Installed(prefix(1)))
    );
}

#[test]
fn a_refusal_that_repeats_is_told_once() {
    let (mut fib, links) = (Tables::new(254, false, false), Links::default());
    fib.desire(prefix(1).into(), Some(&route(20, &[1])), 0, &links);
    for _ in 0..3 {
        for operation in operations(&mut fib) {
            fib.v4.completed(&operation, Err(Errno::EINVAL), 0);
        }
        assert!(operations(&mut fib).is_empty(), "not before the retry");
        assert!(fib.retry(&links));
    }
    let refusal = Outcome::Failed(prefix(1), RouteError::Kernel(Errno::EINVAL));
    assert_eq!(fib.v4.take_outcomes(), [refusal]);
}

#[test]
fn a_route_that_another_of_a_lower_metric_hides_is_there_and_told_to_be_hidden() {
    let (mut fib, links) = (Tables::new(254, false, false), Links::default());
    fib.v4.set_foreign(prefix(1), 5, true, false);
    fib.v4.set_foreign(prefix(1), 30, true, false);
    fib.desire(prefix(1).into(), Some(&route(20, &[1])), 0, &links);
    let batch = operations(&mut fib);
    assert_eq!(batch.len(), 1);
    fib.v4.completed(&batch[0], Ok(()), 0);
    assert!(operations(&mut fib).is_empty());
    let hidden = Outcome::Failed(prefix(1), RouteError::Hidden);
    assert_eq!(fib.v4.take_outcomes(), [hidden]);
    let row = fib.v4.status(&fib.sets).next().unwrap();
    assert_eq!((row.installed, row.error), (true, Some(RouteError::Hidden)));
    fib.v4.set_foreign(prefix(1), 5, false, false);
    assert!(operations(&mut fib).is_empty());
    let installed = Outcome::Installed(prefix(1));
    assert_eq!(fib.v4.take_outcomes(), [installed]);
}

#[test]
fn the_subnet_of_a_link_is_left_to_the_link() {
    let (mut fib, links) = (Tables::new(254, false, false), Links::default());
    fib.desire(prefix(1).into(), Some(&route(20, &[1])), 0, &links);
    let batch = operations(&mut fib);
    fib.v4.completed(&batch[0], Ok(()), 0);
    fib.v4.take_outcomes();
    // Of IPv6 with a metric that is not as good as ours.
    fib.v4.set_foreign(prefix(1), 256, true, false);
    fib.v4.set_subnet(prefix(1), true);
    let batch = operations(&mut fib);
    assert!(matches!(
        &batch[..],
        [Operation {
            verb: Verb::Delete { metric: 20 },
            ..
        }]
    ));
    fib.v4.completed(&batch[0], Ok(()), 0);
    assert!(operations(&mut fib).is_empty());
    let taken = Outcome::Failed(prefix(1), RouteError::Foreign);
    assert_eq!(fib.v4.take_outcomes(), [taken]);
    fib.v4.set_subnet(prefix(1), false);
    let batch = operations(&mut fib);
    assert!(matches!(
        &batch[..],
        [Operation {
            verb: Verb::Create(_),
            ..
        }]
    ));
}

#[test]
fn only_prefixes_of_a_changed_set_are_written_again() {
    let (mut fib, mut links) = (Tables::new(254, false, false), Links::default());
    let (one, two) = (route(20, &[1, 2]), route(20, &[2]));
    for n in 0..100 {
        fib.desire(
            prefix(n).into(),
            Some(if n % 10 == 0 { &one } else { &two }),
            0,
            &links,
        );
    }
    for operation in operations(&mut fib) {
        fib.v4.completed(&operation, Ok(()), 0);
    }
    assert!(operations(&mut fib).is_empty());
    links.down.insert(1);
    fib.re_resolve(&links);
    let written: Vec<u8> = operations(&mut fib)
        .iter()
        .map(|o| o.prefix.addr().octets()[2])
        .collect();
    assert_eq!(written, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
}
