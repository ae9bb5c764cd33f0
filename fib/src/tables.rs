//! Both families' reconcilers, and the way from a prefix to the right one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::codec::RouteNotice;
use crate::family::Prefix;
use crate::handle::{Event, Family, RouteStatus};
use crate::kernel::{ForeignTables, Loss};
use crate::reconcile::{Outcome, Reconciler, Seconds};
use crate::resolve::Resolve;
use crate::route::Route;

/// Our routes of both families.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) v4: Reconciler<Ipv4Net>,
    pub(crate) v6: Reconciler<Ipv6Net>,
}

impl Tables {
    pub(crate) fn new(keep_adopted: bool) -> Self {
        Self {
            v4: Reconciler::new(keep_adopted),
            v6: Reconciler::new(keep_adopted),
        }
    }

    pub(crate) fn desire(
        &mut self,
        prefix: IpNet,
        route: Option<&Arc<Route>>,
        now: Seconds,
        resolver: &impl Resolve,
    ) {
        match prefix.trunc() {
            IpNet::V4(prefix) => self.v4.desire(prefix, route, now, resolver),
            IpNet::V6(prefix) => self.v6.desire(prefix, route, now, resolver),
        }
    }

    pub(crate) fn re_resolve(&mut self, resolver: &impl Resolve) {
        self.v4.re_resolve(resolver);
        self.v6.re_resolve(resolver);
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
        if loss.concerns_v4() {
            self.v4.lose(loss);
        }
        if loss.concerns_v6() {
            self.v6.lose(loss);
        }
    }

    pub(crate) fn begin_dump(&mut self) {
        self.v4.begin_dump();
        self.v6.begin_dump();
    }

    /// Takes `foreign` as all routes of others in our table.
    pub(crate) fn restore_foreign(&mut self, foreign: &ForeignTables) {
        for (prefix, metric) in foreign.v4.keys() {
            self.v4.set_foreign(prefix, metric, true, false);
        }
        for (prefix, metric) in foreign.v6.keys() {
            self.v6.set_foreign(prefix, metric, true, false);
        }
    }

    /// The dump is complete: what it did not show is gone.
    pub(crate) fn end_dump(&mut self) {
        self.v4.end_dump();
        self.v6.end_dump();
    }

    pub(crate) fn sweep_stale(&mut self) {
        self.v4.sweep_stale();
        self.v6.sweep_stale();
    }

    pub(crate) fn withdraw_all(&mut self) {
        self.v4.withdraw_all();
        self.v6.withdraw_all();
    }

    /// Tries again what the kernel refused. Returns whether there was any.
    pub(crate) fn retry(&mut self) -> bool {
        let v4 = self.v4.retry();
        self.v6.retry() || v4
    }

    pub(crate) fn has_refused(&self) -> bool {
        self.v4.has_refused() || self.v6.has_refused()
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.v4.is_settled() && self.v6.is_settled()
    }

    /// What the owners are to be told.
    pub(crate) fn take_events(&mut self) -> impl Iterator<Item = Event> + use<> {
        let v4 = self.v4.take_outcomes().into_iter().map(event);
        v4.chain(self.v6.take_outcomes().into_iter().map(event))
    }

    /// Every route of a family, in no order.
    pub(crate) fn status(&self, family: Family, epoch: Instant) -> Vec<RouteStatus> {
        match family {
            Family::V4 => status(&self.v4, epoch),
            Family::V6 => status(&self.v6, epoch),
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

fn event<P: Prefix>(outcome: Outcome<P>) -> Event {
    match outcome {
        Outcome::Installed(prefix) => Event::RouteInstalled(prefix.into()),
        Outcome::Removed(prefix) => Event::RouteRemoved(prefix.into()),
        Outcome::Failed(prefix, error) => Event::RouteFailed {
            prefix: prefix.into(),
            error,
        },
    }
}

fn status<P: Prefix>(reconciler: &Reconciler<P>, epoch: Instant) -> Vec<RouteStatus> {
    let rows = reconciler.status().map(|row| RouteStatus {
        prefix: row.prefix.into(),
        route: row.route,
        resolved: row.resolved,
        installed: row.installed,
        since: epoch + Duration::from_secs(row.since.into()),
        error: row.error,
    });
    rows.collect()
}
