//! Both families' reconcilers, and the way from a prefix to the right one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use nix::errno::Errno;

use crate::codec::RouteNotice;
use crate::family::Prefix;
use crate::handle::{Event, Family, RouteStatus};
use crate::kernel::{ForeignTables, Loss};
use crate::object::{ObjectNotice, ObjectOperation, ObjectTable};
use crate::objects::Objects;
use crate::reconcile::{Outcome, Reconciler, Seconds};
use crate::resolve::Resolve;
use crate::route::Route;
use crate::sets::Sets;

/// Our routes of both families.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) v4: Reconciler<Ipv4Net>,
    pub(crate) v6: Reconciler<Ipv6Net>,
    /// Next hops, for both.
    pub(crate) sets: Sets,
}

impl Tables {
    /// With `objects`, routes of the table are written by way of nexthop objects.
    pub(crate) fn new(table: u32, keep_adopted: bool, objects: bool) -> Self {
        Self {
            v4: Reconciler::new(keep_adopted),
            v6: Reconciler::new(keep_adopted),
            sets: Sets::new(Objects::new(table, keep_adopted), objects),
        }
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

    /// See [`Reconciler::report_all`].
    pub(crate) fn report_all(&mut self, yes: bool) {
        self.v4.report_all(yes);
        self.v6.report_all(yes);
    }

    /// Resolves everything again.
    pub(crate) fn re_resolve(&mut self, resolver: &impl Resolve) {
        let changed = self.sets.re_resolve(resolver);
        if !changed.is_empty() {
            self.v4.sets_changed(&changed, &self.sets);
            self.v6.sets_changed(&changed, &self.sets);
        }
    }

    /// A nexthop object appeared, changed or went.
    pub(crate) fn object(&mut self, notice: &ObjectNotice) {
        let gone = self.sets.objects.heard(notice);
        self.lose_objects(&gone);
    }

    fn lose_objects(&mut self, gone: &BTreeSet<u32>) {
        if !gone.is_empty() {
            self.v4.lose_objects(gone);
            self.v6.lose_objects(gone);
        }
    }

    /// The operations on nexthop objects that are due before routes are written.
    pub(crate) fn object_operations(&mut self) -> Vec<ObjectOperation> {
        let (v4, v6) = (&self.v4, &self.v6);
        self.sets.objects.collect(|id| v4.uses(id) || v6.uses(id));
        self.sets.objects.next_operations()
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

    /// A route of ours appeared or went.
    pub(crate) fn own(&mut self, notice: RouteNotice) {
        match notice.prefix {
            IpNet::V4(prefix) => own(&mut self.v4, prefix, notice),
            IpNet::V6(prefix) => own(&mut self.v6, prefix, notice),
        }
    }

    pub(crate) fn set_foreign(&mut self, prefix: IpNet, metric: u32, present: bool, over: bool) {
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
        }
        if loss.concerns_v6() {
            self.v6.lose(loss);
        }
    }

    /// Returns what was known of nexthop objects, for [`abort_dump`](Self::abort_dump).
    pub(crate) fn begin_dump(&mut self) -> ObjectTable {
        self.v4.begin_dump();
        self.v6.begin_dump();
        self.sets.objects.begin_dump()
    }

    /// The dump broke off.
    pub(crate) fn abort_dump(&mut self, objects: ObjectTable) {
        self.sets.objects.restore(objects);
    }

    /// Takes `foreign` as all routes of others in our table.
    pub(crate) fn restore_foreign(&mut self, foreign: &ForeignTables) {
        self.v4.restore_foreign(&foreign.v4.keys().collect());
        self.v6.restore_foreign(&foreign.v6.keys().collect());
    }

    /// The dump is complete: what it did not show is gone.
    pub(crate) fn end_dump(&mut self) {
        self.sets.objects.end_dump();
        self.v4.end_dump();
        self.v6.end_dump();
    }

    pub(crate) fn sweep_stale(&mut self) {
        self.v4.sweep_stale();
        self.v6.sweep_stale();
        self.sets.objects.sweep();
    }

    pub(crate) fn withdraw_all(&mut self) {
        self.v4.withdraw_all(&mut self.sets);
        self.v6.withdraw_all(&mut self.sets);
        self.sets.objects.sweep();
    }

    /// Tries again what the kernel refused. Returns whether there was any.
    pub(crate) fn retry(&mut self, resolver: &impl Resolve) -> bool {
        let sets = self.sets.retry();
        if sets {
            self.re_resolve(resolver);
        }
        let v4 = self.v4.retry();
        self.v6.retry() || v4 || sets
    }

    pub(crate) fn has_refused(&self) -> bool {
        self.v4.has_refused() || self.v6.has_refused() || self.sets.has_refused()
    }

    pub(crate) fn is_settled(&self) -> bool {
        let used = |id| self.v4.uses(id) || self.v6.uses(id);
        let objects = &self.sets.objects;
        self.v4.is_settled()
            && self.v6.is_settled()
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
