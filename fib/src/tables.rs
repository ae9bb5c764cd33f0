//! Both families' reconcilers, of routes of BGP and of static ones, and the way from a prefix to
//! the right one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use nix::errno::Errno;

use crate::codec::RouteNotice;
use crate::family::Prefix;
use crate::handle::{Event, Family, RouteError, RouteStatus};
use crate::kernel::{ForeignTable, ForeignTables, Loss};
use crate::object::{ObjectNotice, ObjectOperation, ObjectTable};
use crate::objects::{Objects, object_block};
use crate::reconcile::{Outcome, Reconciler, Seconds, Taken};
use crate::resolve::Resolve;
use crate::route::Route;
use crate::sets::Sets;
use crate::statics::Change;

/// Our routes of both families.
#[derive(Debug)]
pub(crate) struct Tables {
    /// Of BGP.
    pub(crate) v4: Reconciler<Ipv4Net>,
    pub(crate) v6: Reconciler<Ipv6Net>,
    /// Static ones, by the number of their table. A table stays once it was used.
    pub(crate) statics: BTreeMap<u32, StaticTable>,
    /// Next hops, for all.
    pub(crate) sets: Sets,
    /// The table that BGP's routes are in.
    table: u32,
}

/// Static routes of one table.
#[derive(Debug)]
pub(crate) struct StaticTable {
    pub(crate) v4: Reconciler<Ipv4Net>,
    pub(crate) v6: Reconciler<Ipv6Net>,
    /// What is wanted, with its metric.
    claims: BTreeMap<IpNet, u32>,
}

impl StaticTable {
    fn new() -> Self {
        // The configuration says at once what is still wanted of an earlier run.
        let mut table = Self {
            v4: Reconciler::new(false),
            v6: Reconciler::new(false),
            claims: BTreeMap::new(),
        };
        table.v4.report_all(false);
        table.v6.report_all(false);
        table
    }
}

/// Does the same with each reconciler.
macro_rules! each {
    ($tables:expr, |$reconciler:ident| $action:expr) => {{
        let $reconciler = &mut $tables.v4;
        $action;
        let $reconciler = &mut $tables.v6;
        $action;
        for table in $tables.statics.values_mut() {
            let $reconciler = &mut table.v4;
            $action;
            let $reconciler = &mut table.v6;
            $action;
        }
    }};
}

/// Whether it holds for one of the reconcilers.
macro_rules! any {
    ($v4:expr, $v6:expr, $statics:expr, |$reconciler:ident| $test:expr) => {{
        let test4 = |$reconciler: &Reconciler<Ipv4Net>| $test;
        let test6 = |$reconciler: &Reconciler<Ipv6Net>| $test;
        test4($v4)
            || test6($v6)
            || $statics
                .values()
                .any(|t: &StaticTable| test4(&t.v4) || test6(&t.v6))
    }};
}

impl Tables {
    /// With `objects`, routes of the table are written by way of nexthop objects.
    pub(crate) fn new(table: u32, keep_adopted: bool, objects: bool) -> Self {
        Self {
            v4: Reconciler::new(keep_adopted),
            v6: Reconciler::new(keep_adopted),
            statics: BTreeMap::new(),
            sets: Sets::new(Objects::new(object_block(table), keep_adopted), objects),
            table,
        }
    }

    /// Objects have the numbers of this block: for the start, before there are any.
    pub(crate) fn number_objects(&mut self, block: u32, keep_adopted: bool) {
        self.sets.objects = Objects::new(block, keep_adopted);
    }

    pub(crate) fn desire(
        &mut self,
        prefix: IpNet,
        route: Option<&Arc<Route>>,
        now: Seconds,
        resolver: &impl Resolve,
    ) {
        let sets = &mut self.sets;
        match prefix.trunc() {
            IpNet::V4(prefix) => self.v4.desire(prefix, route, now, sets, resolver),
            IpNet::V6(prefix) => self.v6.desire(prefix, route, now, sets, resolver),
        }
    }

    /// The route of BGP that is wanted for a prefix.
    pub(crate) fn wanted(&self, prefix: IpNet) -> Option<&Arc<Route>> {
        match prefix {
            IpNet::V4(prefix) => self.v4.wanted(prefix),
            IpNet::V6(prefix) => self.v6.wanted(prefix),
        }
    }

    /// See [`Reconciler::report_all`].
    pub(crate) fn report_all(&mut self, yes: bool) {
        self.v4.report_all(yes);
        self.v6.report_all(yes);
    }

    // ===== static routes =====

    /// Whether static routes of this table are ours.
    pub(crate) fn owns_statics(&self, table: u32) -> bool {
        self.statics.contains_key(&table)
    }

    /// From now on they are. Returns whether that is news.
    pub(crate) fn own_statics(&mut self, table: u32) -> bool {
        let news = !self.owns_statics(table);
        self.statics.entry(table).or_insert_with(StaticTable::new);
        news
    }

    /// Wants another static route for a prefix. Where BGP has one of the same metric, the static
    /// one takes its place; routes of others keep theirs.
    pub(crate) fn desire_static(
        &mut self,
        change: &Change,
        others: &ForeignTables,
        now: Seconds,
        resolver: &impl Resolve,
    ) {
        let (prefix, route) = (change.prefix, change.route.as_ref());
        let Some(statics) = self.statics.get_mut(&change.table) else {
            return;
        };
        let new = route.map(|route| route.metric);
        let old = match new {
            Some(metric) => statics.claims.insert(prefix, metric),
            None => statics.claims.remove(&prefix),
        };
        let present = new.map(|metric| Others {
            metric,
            here: others.has(prefix, metric),
            subnet: others.has_subnet(prefix),
        });
        let sets = &mut self.sets;
        match prefix {
            IpNet::V4(prefix) => desire(
                &mut statics.v4,
                prefix,
                (route, present),
                now,
                sets,
                resolver,
            ),
            IpNet::V6(prefix) => desire(
                &mut statics.v6,
                prefix,
                (route, present),
                now,
                sets,
                resolver,
            ),
        }
        if change.table != self.table || old == new {
            return;
        }
        for (metric, claimed) in [(old, false), (new, true)] {
            if let Some(metric) = metric {
                let present = claimed || others.has(prefix, metric);
                self.bgp_set_foreign(prefix, metric, present, false);
            }
        }
    }

    /// The lowest metric of BGP's routes of a prefix in the kernel.
    pub(crate) fn best_metric(&self, prefix: IpNet) -> Option<u32> {
        match prefix {
            IpNet::V4(prefix) => self.v4.best_metric(prefix),
            IpNet::V6(prefix) => self.v6.best_metric(prefix),
        }
    }

    fn claims(&self, prefix: IpNet, metric: u32) -> bool {
        let statics = self.statics.get(&self.table);
        statics.is_some_and(|statics| statics.claims.get(&prefix) == Some(&metric))
    }

    /// What became of static routes: why some are not in the kernel.
    pub(crate) fn static_failures(&mut self) -> Vec<(IpNet, RouteError)> {
        let mut failures = Vec::new();
        for table in self.statics.values_mut() {
            failures.extend(table.v4.take_outcomes().into_iter().filter_map(failure));
            failures.extend(table.v6.take_outcomes().into_iter().filter_map(failure));
        }
        failures
    }

    // ===== next hops =====

    /// Resolves everything again.
    pub(crate) fn re_resolve(&mut self, resolver: &impl Resolve) {
        let mut changed = self.sets.reform();
        changed.extend(self.sets.re_resolve(resolver));
        if !changed.is_empty() {
            each!(self, |r| r.sets_changed(&changed, &self.sets));
        }
    }

    /// A nexthop object appeared, changed or went.
    pub(crate) fn object(&mut self, notice: &ObjectNotice) {
        let gone = self.sets.objects.heard(notice);
        self.lose_objects(&gone);
    }

    fn lose_objects(&mut self, gone: &BTreeSet<u32>) {
        if !gone.is_empty() {
            each!(self, |r| r.lose_objects(gone));
        }
    }

    /// The operations on nexthop objects that are due before routes are written.
    pub(crate) fn object_operations(&mut self) -> Vec<ObjectOperation> {
        self.succeed();
        let (v4, v6, statics) = (&self.v4, &self.v6, &self.statics);
        let objects = &mut self.sets.objects;
        objects.collect(|id| any!(v4, v6, statics, |r| r.uses(id)));
        objects.next_operations()
    }

    /// Prefixes that all went from one set to another take their group along.
    fn succeed(&mut self) {
        let (v4, v6) = (&self.v4, &self.v6);
        let statics = self.statics.values();
        let uses = |id| {
            let statics = statics
                .clone()
                .map(|t| t.v4.use_count(id) + t.v6.use_count(id));
            v4.use_count(id) + v6.use_count(id) + statics.sum::<u32>()
        };
        let changed = self.sets.succeed(uses);
        if !changed.is_empty() {
            each!(self, |r| r.sets_changed(&changed, &self.sets));
        }
    }

    /// How an operation on a nexthop object went.
    pub(crate) fn object_completed(
        &mut self,
        operation: &ObjectOperation,
        result: Result<(), Errno>,
    ) {
        let gone = self.sets.objects.completed(operation, result);
        self.lose_objects(&gone);
    }

    // ===== what the kernel says =====

    /// A route of BGP appeared or went.
    pub(crate) fn own(&mut self, notice: RouteNotice) {
        match notice.prefix {
            IpNet::V4(prefix) => own(&mut self.v4, prefix, notice),
            IpNet::V6(prefix) => own(&mut self.v6, prefix, notice),
        }
    }

    /// A static route of ours appeared or went.
    pub(crate) fn own_static(&mut self, notice: RouteNotice) {
        let Some(statics) = self.statics.get_mut(&notice.table) else {
            return;
        };
        match notice.prefix {
            IpNet::V4(prefix) => own(&mut statics.v4, prefix, notice),
            IpNet::V6(prefix) => own(&mut statics.v6, prefix, notice),
        }
    }

    /// Whether others have a route of this prefix and metric in a table.
    pub(crate) fn set_foreign(
        &mut self,
        table: u32,
        (prefix, metric): (IpNet, u32),
        present: bool,
        over: bool,
    ) {
        let statics = self.statics.get_mut(&table);
        // Of a full table of others only that matters which ours meet.
        let meets =
            |statics: &&mut StaticTable| over || statics.claims.get(&prefix) == Some(&metric);
        if let Some(statics) = statics.filter(meets) {
            match prefix {
                IpNet::V4(prefix) => statics.v4.set_foreign(prefix, metric, present, over),
                IpNet::V6(prefix) => statics.v6.set_foreign(prefix, metric, present, over),
            }
        }
        if table == self.table {
            let present = present || self.claims(prefix, metric);
            self.bgp_set_foreign(prefix, metric, present, over);
        }
    }

    /// Whether a prefix is the subnet of a link.
    pub(crate) fn set_subnet(&mut self, table: u32, prefix: IpNet, is_subnet: bool) {
        let statics = self.statics.get_mut(&table);
        if let Some(statics) = statics.filter(|statics| statics.claims.contains_key(&prefix)) {
            match prefix {
                IpNet::V4(prefix) => statics.v4.set_subnet(prefix, is_subnet),
                IpNet::V6(prefix) => statics.v6.set_subnet(prefix, is_subnet),
            }
        }
        if table == self.table {
            match prefix {
                IpNet::V4(prefix) => self.v4.set_subnet(prefix, is_subnet),
                IpNet::V6(prefix) => self.v6.set_subnet(prefix, is_subnet),
            }
        }
    }

    fn bgp_set_foreign(&mut self, prefix: IpNet, metric: u32, present: bool, over: bool) {
        match prefix {
            IpNet::V4(prefix) => self.v4.set_foreign(prefix, metric, present, over),
            IpNet::V6(prefix) => self.v6.set_foreign(prefix, metric, present, over),
        }
    }

    pub(crate) fn lose(&mut self, loss: Loss) {
        if let Loss::Link(ifindex) | Loss::Carrier(ifindex) = loss {
            let gone = self.sets.objects.lose_link(ifindex);
            self.lose_objects(&gone);
        }
        if matches!(loss, Loss::Carrier(_)) {
            return;
        }
        if loss.concerns_v4() {
            self.v4.lose(loss);
            self.statics.values_mut().for_each(|t| t.v4.lose(loss));
        }
        if loss.concerns_v6() {
            self.v6.lose(loss);
            self.statics.values_mut().for_each(|t| t.v6.lose(loss));
        }
    }

    /// Returns what was known of nexthop objects, for [`abort_dump`](Self::abort_dump).
    pub(crate) fn begin_dump(&mut self) -> ObjectTable {
        each!(self, |r| r.begin_dump());
        self.sets.objects.begin_dump()
    }

    /// The dump broke off.
    pub(crate) fn abort_dump(&mut self, objects: ObjectTable) {
        self.sets.objects.restore(objects);
    }

    /// Takes `foreign` as all routes of others in a table.
    pub(crate) fn restore_foreign(&mut self, table: u32, foreign: &ForeignTables) {
        if let Some(statics) = self.statics.get_mut(&table) {
            restore(&mut statics.v4, &foreign.v4, &statics.claims);
            restore(&mut statics.v6, &foreign.v6, &statics.claims);
        }
        if table != self.table {
            return;
        }
        let mut v4: BTreeSet<(Ipv4Net, Taken)> = foreign.v4.keys().collect();
        let mut v6: BTreeSet<(Ipv6Net, Taken)> = foreign.v6.keys().collect();
        let claims = self.statics.get(&table).map(|statics| &statics.claims);
        for (prefix, metric) in claims.into_iter().flatten() {
            match prefix {
                IpNet::V4(prefix) => drop(v4.insert((*prefix, Taken::By(*metric)))),
                IpNet::V6(prefix) => drop(v6.insert((*prefix, Taken::By(*metric)))),
            }
        }
        self.v4.restore_foreign(&v4);
        self.v6.restore_foreign(&v6);
    }

    /// The dump is complete: what it did not show is gone.
    pub(crate) fn end_dump(&mut self) {
        self.sets.objects.end_dump();
        each!(self, |r| r.end_dump());
    }

    pub(crate) fn sweep_stale(&mut self) {
        self.v4.sweep_stale();
        self.v6.sweep_stale();
        self.sets.objects.sweep();
    }

    pub(crate) fn withdraw_all(&mut self) {
        each!(self, |r| r.withdraw_all(&mut self.sets));
        self.sets.objects.sweep();
    }

    /// Tries again what the kernel refused. Returns whether there was any.
    pub(crate) fn retry(&mut self, resolver: &impl Resolve) -> bool {
        let sets = self.sets.retry();
        if sets {
            self.re_resolve(resolver);
        }
        let mut any = sets;
        each!(self, |r| any |= r.retry());
        any
    }

    pub(crate) fn has_refused(&self) -> bool {
        any!(&self.v4, &self.v6, self.statics, |r| r.has_refused()) || self.sets.has_refused()
    }

    pub(crate) fn is_settled(&self) -> bool {
        let (v4, v6, statics) = (&self.v4, &self.v6, &self.statics);
        let used = |id| any!(v4, v6, statics, |r| r.uses(id));
        let objects = &self.sets.objects;
        !any!(v4, v6, statics, |r| !r.is_settled())
            && objects.is_settled()
            && !objects.has_idle(used)
    }

    /// What the owners are to be told, `taken` batches of theirs having been taken in.
    pub(crate) fn take_events(&mut self, taken: u64) -> impl Iterator<Item = Event> + use<> {
        let v4 = self.v4.take_outcomes().into_iter();
        let v6 = self.v6.take_outcomes().into_iter();
        v4.map(move |outcome| event(outcome, taken))
            .chain(v6.map(move |outcome| event(outcome, taken)))
    }

    /// Every route of a family, in no order.
    pub(crate) fn status(&self, family: Family, epoch: Instant) -> Vec<RouteStatus> {
        match family {
            Family::V4 => status(&self.v4, &self.sets, epoch),
            Family::V6 => status(&self.v6, &self.sets, epoch),
        }
    }

    /// Every static route of a family in BGP's table, in no order.
    pub(crate) fn static_status(&self, family: Family, epoch: Instant) -> Vec<RouteStatus> {
        let Some(statics) = self.statics.get(&self.table) else {
            return Vec::new();
        };
        match family {
            Family::V4 => status(&statics.v4, &self.sets, epoch),
            Family::V6 => status(&statics.v6, &self.sets, epoch),
        }
    }
}

/// What others have of a prefix.
#[derive(Clone, Copy)]
struct Others {
    metric: u32,
    /// A route of this metric.
    here: bool,
    /// A link whose subnet it is.
    subnet: bool,
}

fn desire<P: Prefix>(
    statics: &mut Reconciler<P>,
    prefix: P,
    (route, others): (Option<&Arc<Route>>, Option<Others>),
    now: Seconds,
    sets: &mut Sets,
    resolver: &impl Resolve,
) {
    statics.desire(prefix, route, now, sets, resolver);
    if let Some(others) = others {
        statics.set_foreign(prefix, others.metric, others.here, false);
        statics.set_subnet(prefix, others.subnet);
    }
}

fn restore<P: Prefix>(
    statics: &mut Reconciler<P>,
    foreign: &ForeignTable<P>,
    claims: &BTreeMap<IpNet, u32>,
) {
    let claimed = |(prefix, taken): &(P, Taken)| {
        let claim = claims.get(&(*prefix).into());
        claim.is_some_and(|metric| matches!(taken, Taken::Subnet) || *taken == Taken::By(*metric))
    };
    statics.restore_foreign(&foreign.keys().filter(claimed).collect());
}

fn failure<P: Prefix>(outcome: Outcome<P>) -> Option<(IpNet, RouteError)> {
    match outcome {
        Outcome::Failed(prefix, error) => Some((prefix.into(), error)),
        Outcome::Installed(_) | Outcome::Removed(_) => None,
    }
}

fn own<P: Prefix>(reconciler: &mut Reconciler<P>, prefix: P, notice: RouteNotice) {
    if notice.gone {
        reconciler.kernel_removed(prefix, &notice.route);
    } else {
        reconciler.kernel_added(prefix, notice.route, notice.replaced);
    }
}

fn event<P: Prefix>(outcome: Outcome<P>, taken: u64) -> Event {
    match outcome {
        Outcome::Installed(prefix) => Event::RouteInstalled {
            prefix: prefix.into(),
            taken,
        },
        Outcome::Removed(prefix) => Event::RouteRemoved(prefix.into()),
        Outcome::Failed(prefix, error) => Event::RouteFailed {
            prefix: prefix.into(),
            error,
            taken,
        },
    }
}

fn status<P: Prefix>(reconciler: &Reconciler<P>, sets: &Sets, epoch: Instant) -> Vec<RouteStatus> {
    let rows = reconciler.status(sets).map(|row| RouteStatus {
        prefix: row.prefix.into(),
        route: row.route,
        resolved: row.resolved,
        object: row.object,
        installed: row.installed,
        since: epoch + Duration::from_secs(row.since.into()),
        error: row.error,
    });
    rows.collect()
}
