//! What should be in the kernel, what is, and the operations that close the difference.
//!
//! Pure and deterministic: no clock, no I/O, and nothing that leaves depends on hash order. One
//! [`Reconciler`] serves one family of one table. It is told what is wanted
//! ([`desire`](Reconciler::desire)) and what the kernel says; it hands out
//! [`Operation`]s and is told how they went.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use nix::errno::Errno;

use crate::class::{ClassId, Classes};
use crate::entries::Entries;
use crate::family::Prefix;
use crate::handle::RouteError;
use crate::kernel::Loss;
use crate::resolve::Resolve;
use crate::route::{KernelKind, KernelRoute, Route};
use crate::sets::{SetId, Sets};

/// Seconds since the FIB was started.
pub(crate) type Seconds = u32;

/// One message to the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation<P> {
    pub(crate) prefix: P,
    pub(crate) verb: Verb,
}

/// What to do with a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Add; must fail where prefix and metric are taken.
    Create(Arc<KernelRoute>),
    /// Take the place of our own route of the same metric.
    Replace(Arc<KernelRoute>),
    /// Delete our route of this metric.
    Delete { metric: u32 },
}

/// What the owner of a route is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome<P> {
    Installed(P),
    Removed(P),
    Failed(P, RouteError),
}

/// A route the kernel has.
#[derive(Debug, Clone)]
struct Installed {
    route: Arc<KernelRoute>,
    /// The kernel changed it in a way that is not known in full; write it again.
    tainted: bool,
    /// The dump that saw it last.
    epoch: u8,
}

/// The routes of ours that the kernel has for one prefix, one per metric; mostly one.
#[derive(Debug, Default)]
enum Actual {
    #[default]
    None,
    One(Installed),
    // Boxed so that the common cases stay at 16 bytes.
    #[allow(clippy::box_collection)]
    Many(Box<Vec<Installed>>),
}

/// How many routes in the kernel use what.
#[derive(Debug, Default)]
struct Uses {
    objects: HashMap<u32, u32>,
    /// Routes that name their next hops themselves.
    plain: usize,
}

impl Uses {
    fn add(&mut self, route: &KernelRoute) {
        match route.kind {
            KernelKind::Nexthop(id) => *self.objects.entry(id).or_default() += 1,
            KernelKind::Unicast(_) => self.plain += 1,
            _ => {}
        }
    }

    fn remove(&mut self, route: &KernelRoute) {
        let id = match route.kind {
            KernelKind::Nexthop(id) => id,
            KernelKind::Unicast(_) => return self.plain = self.plain.saturating_sub(1),
            _ => return,
        };
        if let Some(count) = self.objects.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                self.objects.remove(&id);
            }
        }
    }
}

impl Actual {
    fn as_slice(&self) -> &[Installed] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    fn at(&self, metric: u32) -> Option<&Installed> {
        self.as_slice().iter().find(|i| i.route.metric == metric)
    }

    /// Keeps those that `keep` wants, and lets it change them.
    fn retain(&mut self, uses: &mut Uses, mut keep: impl FnMut(&mut Installed) -> bool) {
        let mut keep = |installed: &mut Installed| {
            let kept = keep(installed);
            if !kept {
                uses.remove(&installed.route);
            }
            kept
        };
        match self {
            Self::None => {}
            Self::One(one) => {
                if !keep(one) {
                    *self = Self::None;
                }
            }
            Self::Many(many) => {
                many.retain_mut(keep);
                if many.is_empty() {
                    *self = Self::None;
                }
            }
        }
    }

    fn set(&mut self, uses: &mut Uses, new: Installed) {
        let metric = new.route.metric;
        self.retain(uses, |i| i.route.metric != metric);
        uses.add(&new.route);
        match self {
            Self::None => *self = Self::One(new),
            Self::One(one) => {
                let mut both = vec![one.clone(), new];
                both.sort_by_key(|i| i.route.metric);
                *self = Self::Many(Box::new(both));
            }
            Self::Many(many) => {
                let at = many.partition_point(|i| i.route.metric < metric);
                many.insert(at, new);
            }
        }
    }
}

/// How others have a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Taken {
    /// It is the subnet of a link: a route of ours to it would take the place of the link
    /// wherever the kernel gives subnets a metric, as for IPv6.
    Subnet,
    /// By a route of this metric.
    By(u32),
}

/// What keeps a wanted route out of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Trouble {
    #[default]
    None,
    Unresolved,
    Foreign,
    /// It is in the kernel, and not used.
    Hidden,
    /// With the error's number; they are small.
    Kernel(u16),
    /// Refused before, and being tried again.
    Retrying(u16),
}

impl Trouble {
    fn refused(errno: Errno) -> Self {
        Self::Kernel(u16::try_from(errno as i32).unwrap_or(u16::MAX))
    }

    /// Whether `new` is what the owner knows already.
    fn is_known(self, new: Self) -> bool {
        self == new || matches!((self, new), (Self::Retrying(a), Self::Kernel(b)) if a == b)
    }

    fn error(self) -> Option<RouteError> {
        match self {
            Self::None => None,
            Self::Unresolved => Some(RouteError::Unresolved),
            Self::Foreign => Some(RouteError::Foreign),
            Self::Hidden => Some(RouteError::Hidden),
            Self::Kernel(errno) | Self::Retrying(errno) => {
                Some(RouteError::Kernel(Errno::from_raw(errno.into())))
            }
        }
    }
}

/// All that is known about a prefix.
#[derive(Debug, Default)]
struct Entry {
    desired: Option<ClassId>,
    actual: Actual,
    since: Seconds,
    trouble: Trouble,
    /// In the queue.
    queued: bool,
    /// Of an earlier run, and kept for now.
    adopted: bool,
    said: Said,
    /// The kernel had something where we wanted to create.
    doubted: bool,
}

/// What the owner was told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Said {
    /// Nothing about the present form.
    #[default]
    Nothing,
    /// That the present form is installed.
    Installed,
    /// That something is wrong.
    Failed,
}

impl Entry {
    /// What was said of success does not hold any longer.
    fn unsay(&mut self) {
        if self.said == Said::Installed {
            self.said = Said::Nothing;
        }
    }
}

/// One row of [`Reconciler::status`].
#[derive(Debug)]
pub(crate) struct Status<P> {
    pub(crate) prefix: P,
    pub(crate) route: Option<Arc<Route>>,
    pub(crate) resolved: Option<Arc<KernelRoute>>,
    pub(crate) object: Option<u32>,
    pub(crate) installed: bool,
    pub(crate) since: Seconds,
    pub(crate) error: Option<RouteError>,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Reconciler<P: Prefix> {
    entries: Entries<P, Entry>,
    classes: Classes<P>,
    /// Entries to look at, by number.
    queue: VecDeque<u32>,
    /// The entries of the operations that were handed out, in their order.
    in_flight: VecDeque<u32>,
    /// Prefix and metric of routes that are not ours.
    foreign: BTreeSet<(P, Taken)>,
    /// Routes found in the kernel, so that equal ones are one allocation.
    found: HashSet<Arc<KernelRoute>>,
    uses: Uses,
    /// Refused by the kernel, to be tried again.
    refused: Vec<P>,
    outcomes: Outcomes<P>,
    epoch: u8,
    /// Routes of an earlier run stay.
    keep_adopted: bool,
}

impl<P: Prefix> Reconciler<P> {
    /// With `keep_adopted`, routes found by the first dump stay until
    /// [`sweep_stale`](Self::sweep_stale).
    pub(crate) fn new(keep_adopted: bool) -> Self {
        Self {
            entries: Entries::new(),
            classes: Classes::default(),
            queue: VecDeque::new(),
            in_flight: VecDeque::new(),
            foreign: BTreeSet::new(),
            found: HashSet::new(),
            uses: Uses::default(),
            refused: Vec::new(),
            outcomes: Outcomes {
                list: Vec::new(),
                all: true,
            },
            epoch: 0,
            keep_adopted,
        }
    }

    // ===== What is wanted =====

    /// Wants `route` for `prefix`, or nothing.
    pub(crate) fn desire(
        &mut self,
        prefix: P,
        route: Option<&Arc<Route>>,
        now: Seconds,
        sets: &mut Sets,
        resolver: &impl Resolve,
    ) {
        let class = route.map(|route| self.classes.acquire(route, sets, resolver));
        let at = match class {
            Some(_) => Some(self.entries.obtain(prefix).0),
            None => self.entries.find(prefix),
        };
        let Some((at, (_, entry))) = at.and_then(|at| Some((at, self.entries.get_mut(at)?))) else {
            return;
        };
        let old = std::mem::replace(&mut entry.desired, class);
        entry.adopted = false;
        // The same again is no news and does not restart the clock, but it is answered.
        if old != class || class.is_none() {
            entry.trouble = Trouble::None;
            entry.unsay();
            entry.since = now;
            enqueue(&mut self.queue, at, entry);
        } else if entry.said == Said::Installed {
            self.outcomes.installed(prefix, entry);
        } else if let Some(error) = entry.trouble.error() {
            self.outcomes.failed(prefix, entry, error);
        }
        if let Some(old) = old {
            self.classes.release(old, sets);
        }
    }

    /// The route that is wanted for a prefix.
    pub(crate) fn wanted(&self, prefix: P) -> Option<&Arc<Route>> {
        let (_, entry) = self.entries.get(self.entries.find(prefix)?)?;
        self.classes.route(entry.desired?)
    }

    /// Whether the owner is to be told of what goes well; of what does not it is told anyway, and
    /// when that is over.
    pub(crate) fn report_all(&mut self, yes: bool) {
        self.outcomes.all = yes;
    }

    /// These sets resolve differently. Only prefixes that are written differently for it are
    /// looked at.
    pub(crate) fn sets_changed(&mut self, changed: &HashSet<SetId>, sets: &Sets) {
        let changed = self.classes.update(changed, sets);
        if changed.is_empty() {
            return;
        }
        self.visit(|entry| {
            let hit = entry.desired.is_some_and(|class| changed.contains(&class));
            if hit {
                entry.trouble = Trouble::None;
                entry.unsay();
            }
            hit
        });
    }

    /// Deletes what an earlier run left and nobody wants.
    pub(crate) fn sweep_stale(&mut self) {
        self.keep_adopted = false;
        self.visit(|entry| std::mem::take(&mut entry.adopted));
    }

    /// Wants nothing any more.
    pub(crate) fn withdraw_all(&mut self, sets: &mut Sets) {
        self.keep_adopted = false;
        let mut released = Vec::new();
        self.visit(|entry| {
            entry.adopted = false;
            entry.unsay();
            released.extend(entry.desired.take());
            true
        });
        for class in released {
            self.classes.release(class, sets);
        }
    }

    /// Tries again what the kernel refused. Returns whether there was any.
    pub(crate) fn retry(&mut self) -> bool {
        let refused = std::mem::take(&mut self.refused);
        for prefix in &refused {
            if let Some(at) = self.entries.find(*prefix)
                && let Some((_, entry)) = self.entries.get_mut(at)
                && let Trouble::Kernel(errno) = entry.trouble
            {
                entry.trouble = Trouble::Retrying(errno);
                enqueue(&mut self.queue, at, entry);
            }
        }
        !refused.is_empty()
    }

    /// Whether something waits for [`retry`](Self::retry).
    pub(crate) fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Queues the entries that `hit` says yes to, in the order of prefixes.
    fn visit(&mut self, mut hit: impl FnMut(&mut Entry) -> bool) {
        let found = self
            .entries
            .select(|entry| hit(entry) && !std::mem::replace(&mut entry.queued, true));
        self.queue.extend(found);
    }

    // ===== What the kernel says =====

    /// The kernel has this route of ours. `replaced`: in place of any of the same metric.
    pub(crate) fn kernel_added(&mut self, prefix: P, route: KernelRoute, replaced: bool) {
        let metric = route.metric;
        let keep = self.keep_adopted;
        let epoch = self.epoch;
        let (at, fresh) = self.entries.obtain(prefix);
        let Some((_, entry)) = self.entries.get_mut(at) else {
            return;
        };
        entry.adopted |= fresh && keep;
        let known = entry.actual.at(metric);
        let same = known.is_some_and(|known| *known.route == route);
        // A second route of the same metric that did not replace the first: the one that counts
        // is not known, so write ours again.
        let tainted = known.is_some_and(|known| known.epoch == epoch) && !same && !replaced;
        let shared = match known {
            Some(known) if same => known.route.clone(),
            _ => intern(&mut self.found, route),
        };
        entry.actual.set(
            &mut self.uses,
            Installed {
                route: shared,
                tainted,
                epoch,
            },
        );
        if matches!(entry.trouble, Trouble::Kernel(_)) {
            entry.trouble = Trouble::None;
        }
        enqueue(&mut self.queue, at, entry);
    }

    /// The kernel no longer has this route of ours.
    pub(crate) fn kernel_removed(&mut self, prefix: P, route: &KernelRoute) {
        let at = self.entries.find(prefix);
        let Some((at, (_, entry))) = at.and_then(|at| Some((at, self.entries.get_mut(at)?))) else {
            return;
        };
        entry.actual.retain(&mut self.uses, |installed| {
            if installed.route.metric != route.metric {
                return true;
            }
            // Another form of it is gone, or a part of it.
            installed.tainted = true;
            *installed.route != *route
        });
        entry.unsay();
        enqueue(&mut self.queue, at, entry);
    }

    /// The kernel dropped routes of ours, or parts of them, without telling each.
    pub(crate) fn lose(&mut self, loss: Loss) {
        // Those that use objects are lost with them.
        if self.uses.plain == 0 && !matches!(loss, Loss::Address(_)) {
            return;
        }
        let mut uses = std::mem::take(&mut self.uses);
        self.visit(|entry| {
            let mut hit = false;
            entry.actual.retain(&mut uses, |installed| {
                if loss.kills(&installed.route) {
                    hit = true;
                    return false;
                }
                if loss.maims(&installed.route) {
                    hit = true;
                    installed.tainted = true;
                }
                true
            });
            if hit {
                entry.unsay();
            }
            hit
        });
        self.uses = uses;
    }

    /// The kernel dropped these nexthop objects, and the routes that use them.
    pub(crate) fn lose_objects(&mut self, objects: &BTreeSet<u32>) {
        if !objects.iter().any(|id| self.uses(*id)) {
            return;
        }
        let mut uses = std::mem::take(&mut self.uses);
        self.visit(|entry| {
            let before = entry.actual.as_slice().len();
            entry.actual.retain(&mut uses, |installed| {
                !matches!(installed.route.kind, KernelKind::Nexthop(id) if objects.contains(&id))
            });
            let hit = entry.actual.as_slice().len() != before;
            if hit {
                entry.unsay();
            }
            hit
        });
        self.uses = uses;
    }

    /// The lowest metric of our routes of a prefix in the kernel.
    pub(crate) fn best_metric(&self, prefix: P) -> Option<u32> {
        let (_, entry) = self.entries.get(self.entries.find(prefix)?)?;
        let installed = entry.actual.as_slice().first()?;
        Some(installed.route.metric)
    }

    /// Whether a route in the kernel uses the nexthop object.
    pub(crate) fn uses(&self, object: u32) -> bool {
        self.uses.objects.contains_key(&object)
    }

    /// How many routes in the kernel use the nexthop object.
    pub(crate) fn use_count(&self, object: u32) -> u32 {
        self.uses.objects.get(&object).copied().unwrap_or(0)
    }

    /// Whether others have a route of this prefix and metric. `overwritten`: it took the place
    /// of ours.
    pub(crate) fn set_foreign(&mut self, prefix: P, metric: u32, present: bool, overwritten: bool) {
        self.set_taken(prefix, Taken::By(metric), present, overwritten);
    }

    /// Whether the prefix is the subnet of a link.
    pub(crate) fn set_subnet(&mut self, prefix: P, is_subnet: bool) {
        if self.foreign.contains(&(prefix, Taken::Subnet)) != is_subnet {
            self.set_taken(prefix, Taken::Subnet, is_subnet, false);
        }
    }

    fn set_taken(&mut self, prefix: P, taken: Taken, present: bool, overwritten: bool) {
        if present {
            self.foreign.insert((prefix, taken));
        } else {
            self.foreign.remove(&(prefix, taken));
        }
        let at = self.entries.find(prefix);
        let Some((at, (_, entry))) = at.and_then(|at| Some((at, self.entries.get_mut(at)?))) else {
            return;
        };
        if overwritten {
            entry
                .actual
                .retain(&mut self.uses, |i| Taken::By(i.route.metric) != taken);
        }
        entry.trouble = Trouble::None;
        entry.unsay();
        enqueue(&mut self.queue, at, entry);
    }

    /// Takes `keys` as all routes of others.
    pub(crate) fn restore_foreign(&mut self, keys: &BTreeSet<(P, Taken)>) {
        let gone = self.foreign.difference(keys).map(|key| (*key, false));
        let new = keys.difference(&self.foreign).map(|key| (*key, true));
        let mut changes: Vec<((P, Taken), bool)> = gone.chain(new).collect();
        changes.sort_unstable();
        for ((prefix, taken), present) in changes {
            self.set_taken(prefix, taken, present, false);
        }
    }

    /// A dump begins: every route of ours follows as [`kernel_added`](Self::kernel_added), and
    /// every foreign one as [`set_foreign`](Self::set_foreign).
    pub(crate) fn begin_dump(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.foreign.clear();
    }

    /// The dump is complete: what it did not show is gone.
    pub(crate) fn end_dump(&mut self) {
        let epoch = self.epoch;
        self.found.retain(|route| Arc::strong_count(route) > 1);
        let mut uses = std::mem::take(&mut self.uses);
        self.visit(|entry| {
            let before = entry.actual.as_slice().len();
            entry
                .actual
                .retain(&mut uses, |installed| installed.epoch == epoch);
            let foreign = matches!(entry.trouble, Trouble::Foreign | Trouble::Hidden);
            if foreign {
                entry.trouble = Trouble::None;
            }
            foreign || entry.actual.as_slice().len() != before
        });
        self.uses = uses;
    }

    // ===== Closing the difference =====

    /// Whether there is something to look at.
    pub(crate) fn is_settled(&self) -> bool {
        self.queue.is_empty()
    }

    /// Appends operations to `batch` until it holds `limit` or nothing is left to do. Every one
    /// must be answered by [`completed`](Self::completed) before the next call.
    pub(crate) fn next_operations(
        &mut self,
        batch: &mut Vec<Operation<P>>,
        limit: usize,
        sets: &Sets,
    ) {
        while batch.len() < limit {
            let Some(at) = self.queue.pop_front() else {
                break;
            };
            self.close(at, batch, sets);
        }
    }

    fn close(&mut self, at: u32, batch: &mut Vec<Operation<P>>, sets: &Sets) {
        let Some((prefix, entry)) = self.entries.get_mut(at) else {
            return;
        };
        entry.queued = false;
        if entry.desired.is_none() && entry.adopted {
            return;
        }
        let written = entry.desired.and_then(|class| self.classes.written(class));
        let obstacle = written.and_then(|route| sets.obstacle(&route.kind));
        let want = match (entry.trouble, written) {
            (Trouble::Kernel(_), _) => None,
            (_, Some(route)) if is_taken(&self.foreign, prefix, route.metric) => {
                note(&mut self.outcomes, prefix, entry, Trouble::Foreign);
                None
            }
            (_, None) if entry.desired.is_some() => {
                note(&mut self.outcomes, prefix, entry, Trouble::Unresolved);
                None
            }
            (_, Some(_)) if let Some(errno) = obstacle => {
                note(&mut self.outcomes, prefix, entry, Trouble::refused(errno));
                self.refused.push(prefix);
                None
            }
            (_, written) => written,
        };
        let present = want.and_then(|want| entry.actual.at(want.metric));
        let verb = match (want, present) {
            (Some(want), None) => Some(Verb::Create(want.clone())),
            (Some(want), Some(p)) if p.tainted || p.route != *want => {
                Some(Verb::Replace(want.clone()))
            }
            _ => None,
        };
        // The new route first, the old one when the new one is in: no packet is dropped between.
        if let Some(verb) = verb {
            batch.push(Operation { prefix, verb });
            self.in_flight.push_back(at);
            return;
        }
        let spared = want.map(|want| want.metric);
        let others = entry.actual.as_slice().iter().map(|i| i.route.metric);
        let surplus = others.filter(|&metric| spared != Some(metric));
        let before = batch.len();
        batch.extend(surplus.map(|metric| Operation {
            prefix,
            verb: Verb::Delete { metric },
        }));
        let deletions = batch.len() - before;
        self.in_flight.extend(std::iter::repeat_n(at, deletions));
        match want {
            Some(want) if is_hidden(&self.foreign, prefix, want.metric) => {
                note(&mut self.outcomes, prefix, entry, Trouble::Hidden);
            }
            Some(_) if entry.said != Said::Installed => {
                entry.trouble = Trouble::None;
                self.outcomes.installed(prefix, entry);
            }
            _ => {}
        }
        self.forget(at);
    }

    /// Drops an entry that holds nothing. Returns whether it did.
    fn forget(&mut self, at: u32) -> bool {
        let empty = |e: &Entry| e.desired.is_none() && e.actual.as_slice().is_empty() && !e.queued;
        let Some((prefix, entry)) = self.entries.get(at).filter(|(_, entry)| empty(entry)) else {
            return false;
        };
        self.outcomes.removed(prefix, entry);
        self.entries.remove(at);
        true
    }

    /// The entry of an operation. Answers come in the order of the operations, so it is known.
    fn answered(&mut self, prefix: P) -> Option<u32> {
        let next = self.in_flight.pop_front();
        let is_it = |at: &u32| self.entries.get(*at).is_some_and(|(p, _)| p == prefix);
        next.filter(is_it).or_else(|| self.entries.find(prefix))
    }

    /// How an operation went.
    pub(crate) fn completed(
        &mut self,
        operation: &Operation<P>,
        result: Result<(), Errno>,
        now: Seconds,
    ) {
        let prefix = operation.prefix;
        let at = self.answered(prefix);
        let Some((at, (_, entry))) = at.and_then(|at| Some((at, self.entries.get_mut(at)?))) else {
            return;
        };
        match (&operation.verb, result) {
            (Verb::Create(route) | Verb::Replace(route), Ok(())) => {
                let epoch = self.epoch;
                entry.actual.set(
                    &mut self.uses,
                    Installed {
                        route: route.clone(),
                        tainted: false,
                        epoch,
                    },
                );
                entry.since = now;
                entry.unsay();
                entry.doubted = false;
                if self.stands(at, route) {
                    return;
                }
            }
            // Somebody's was there first, of which the notification is on its way; or it is our
            // own after all, when others deleted it and we had written it anew before hearing of
            // that. The next look tells.
            (Verb::Create(route), Err(Errno::EEXIST)) if !entry.doubted => {
                let epoch = self.epoch;
                entry.doubted = true;
                entry.actual.set(
                    &mut self.uses,
                    Installed {
                        route: route.clone(),
                        tainted: true,
                        epoch,
                    },
                );
            }
            (Verb::Delete { metric }, Ok(()) | Err(Errno::ESRCH)) => {
                entry.actual.retain(&mut self.uses, |installed| {
                    installed.route.metric != *metric
                });
                if self.forget(at) {
                    return;
                }
            }
            (_, Err(errno)) => {
                let trouble = Trouble::refused(errno);
                note(&mut self.outcomes, prefix, entry, trouble);
                self.refused.push(prefix);
                // Deleting has nothing left to try before the retry.
                if matches!(operation.verb, Verb::Delete { .. }) {
                    return;
                }
            }
        }
        if let Some((_, entry)) = self.entries.get_mut(at) {
            enqueue(&mut self.queue, at, entry);
        }
    }

    /// Whether the route that was just written is what is wanted, and all there is: then nothing
    /// is left to do. That is almost always so.
    fn stands(&mut self, at: u32, route: &Arc<KernelRoute>) -> bool {
        let Some((prefix, entry)) = self.entries.get_mut(at) else {
            return false;
        };
        let written = entry.desired.and_then(|class| self.classes.written(class));
        let alone = matches!(entry.actual, Actual::One(_)) && !entry.queued;
        let stands = alone
            && written.is_some_and(|written| Arc::ptr_eq(written, route))
            && !is_taken(&self.foreign, prefix, route.metric)
            && !is_hidden(&self.foreign, prefix, route.metric);
        if stands {
            entry.trouble = Trouble::None;
            self.outcomes.installed(prefix, entry);
        }
        stands
    }

    /// What the owners are to be told, in order.
    pub(crate) fn take_outcomes(&mut self) -> Vec<Outcome<P>> {
        std::mem::take(&mut self.outcomes.list)
    }

    /// Every route, in no order.
    pub(crate) fn status<'a>(&'a self, sets: &'a Sets) -> impl Iterator<Item = Status<P>> + 'a {
        self.entries.iter().map(|(prefix, entry)| {
            let found = || entry.actual.as_slice().first().map(|i| i.route.clone());
            let (resolved, written) = match entry.desired {
                Some(class) => (
                    self.classes.resolved(class).cloned(),
                    self.classes.written(class).cloned(),
                ),
                None => (found().map(|route| with_hops(route, sets)), found()),
            };
            let present = written.as_ref().and_then(|r| entry.actual.at(r.metric));
            Status {
                prefix,
                route: entry
                    .desired
                    .and_then(|class| self.classes.route(class).cloned()),
                installed: present
                    .is_some_and(|p| !p.tainted && Some(&p.route) == written.as_ref()),
                object: written.and_then(|route| match route.kind {
                    KernelKind::Nexthop(id) => Some(id),
                    _ => None,
                }),
                resolved,
                since: entry.since,
                error: entry.trouble.error(),
            }
        })
    }
}

/// Whether others leave no room for a route of ours.
fn is_taken<P: Prefix>(foreign: &BTreeSet<(P, Taken)>, prefix: P, metric: u32) -> bool {
    foreign.contains(&(prefix, Taken::By(metric))) || foreign.contains(&(prefix, Taken::Subnet))
}

/// Whether the kernel prefers a route of others.
fn is_hidden<P: Prefix>(foreign: &BTreeSet<(P, Taken)>, prefix: P, metric: u32) -> bool {
    let better = (prefix, Taken::Subnet)..(prefix, Taken::By(metric));
    foreign.range(better).next().is_some()
}

fn enqueue(queue: &mut VecDeque<u32>, at: u32, entry: &mut Entry) {
    if !std::mem::replace(&mut entry.queued, true) {
        queue.push_back(at);
    }
}

/// Remembers what is wrong, and tells it when it is news.
fn note<P>(outcomes: &mut Outcomes<P>, prefix: P, entry: &mut Entry, trouble: Trouble) {
    let old = std::mem::replace(&mut entry.trouble, trouble);
    entry.unsay();
    if let (false, Some(error)) = (old.is_known(trouble), trouble.error()) {
        outcomes.failed(prefix, entry, error);
    }
}

/// What the owners are to be told.
#[derive(Debug)]
struct Outcomes<P> {
    list: Vec<Outcome<P>>,
    /// Also of what goes well and was not told to go wrong before.
    all: bool,
}

impl<P> Outcomes<P> {
    fn installed(&mut self, prefix: P, entry: &mut Entry) {
        let before = std::mem::replace(&mut entry.said, Said::Installed);
        if before == Said::Failed || self.all {
            self.list.push(Outcome::Installed(prefix));
        }
    }

    fn removed(&mut self, prefix: P, entry: &Entry) {
        if entry.said == Said::Failed || self.all {
            self.list.push(Outcome::Removed(prefix));
        }
    }

    fn failed(&mut self, prefix: P, entry: &mut Entry, error: RouteError) {
        entry.said = Said::Failed;
        self.list.push(Outcome::Failed(prefix, error));
    }
}

/// The route with the next hops of its nexthop object.
fn with_hops(route: Arc<KernelRoute>, sets: &Sets) -> Arc<KernelRoute> {
    let KernelKind::Nexthop(id) = route.kind else {
        return route;
    };
    Arc::new(KernelRoute {
        kind: KernelKind::Unicast(sets.objects.hops(id)),
        ..*route
    })
}

fn intern(found: &mut HashSet<Arc<KernelRoute>>, route: KernelRoute) -> Arc<KernelRoute> {
    found
        .get_or_insert_with(&route, |route| Arc::new(route.clone()))
        .clone()
}

// A full table holds a million of these, each with its prefix.
const _: () = assert!(std::mem::size_of::<Actual>() == 16 && std::mem::size_of::<Entry>() <= 32);
const _: () = assert!(Entries::<ipnet::Ipv4Net, Entry>::OCTETS <= 40);
