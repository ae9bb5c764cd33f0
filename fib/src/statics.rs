//! Static routes: which of those that were asked for work now, and by which routers.
//!
//! Pure. A static route is resolved through routes of others and through other static routes,
//! never through itself, and not through routes of BGP. It is worked out anew from what was asked
//! for each time something changed, so that two routes can never hold up each other after what
//! led there has gone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use hashbrown::HashMap;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

use crate::family::Prefix;
use crate::handle::{RouteStatus, ViaDefault};
use crate::kernel::{Foreign, ForeignTable, Mirror};
use crate::route::{KernelHop, KernelKind, KernelRoute, NextHop, Route, RouteKind};
use crate::view::is_link_local;

/// Static routes that lead from one to the next, at most.
const ROUNDS: usize = 32;

/// What was found for each prefix of each table, in order.
type Found = BTreeMap<(u32, IpNet), Option<Arc<KernelRoute>>>;
/// Static routes that work, of the table that next hops are resolved in.
type Known = HashMap<IpNet, Arc<KernelRoute>>;

/// A static route as asked for. Of several with the same table and prefix, the one with the
/// lowest metric of those that work is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StaticRoute {
    /// The kernel's table; `None` is [`FibOptions::table`](crate::FibOptions::table).
    pub table: Option<u32>,
    /// Its prefix.
    pub prefix: IpNet,
    /// The kernel's metric: the administrative distance.
    pub metric: u32,
    /// What happens to packets that match.
    pub kind: StaticKind,
}

/// What a static route does with a packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StaticKind {
    /// Forward by one of these; those that do not work are left out.
    Via(Vec<StaticHop>),
    /// Drop without a word (`RTN_BLACKHOLE`).
    Blackhole,
    /// Drop and answer ICMP host unreachable (`RTN_UNREACHABLE`).
    Unreachable,
}

/// One way of a static route: a gateway, an interface, or both.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StaticHop {
    /// The router; without one, every destination is on the link.
    pub gateway: Option<IpAddr>,
    /// Name of the interface, which need not exist yet.
    pub interface: Option<String>,
    /// Pretend the gateway is on the link of the interface whatever the addresses say.
    pub onlink: bool,
}

/// One row of [`FibHandle::statics`](crate::FibHandle::statics).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticStatus {
    /// As asked for.
    pub route: StaticRoute,
    /// It is the one of its prefix that is used.
    pub selected: bool,
    /// What the kernel has of it, where it is.
    pub kernel: Option<RouteStatus>,
    /// For each way of a [`StaticKind::Via`], the hops in the kernel's terms; none where it does
    /// not work.
    pub hops: Vec<Vec<KernelHop>>,
}

/// A prefix whose route is to be written differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) table: u32,
    pub(crate) prefix: IpNet,
    /// What is wanted now.
    pub(crate) route: Option<Arc<Route>>,
}

/// The static routes of one prefix.
#[derive(Debug, Default)]
struct Wanted {
    /// By metric.
    candidates: Vec<StaticRoute>,
    /// The one in use, resolved.
    chosen: Option<Arc<KernelRoute>>,
}

/// One table.
#[derive(Debug, Default)]
struct Table {
    v4: PrefixMap<Ipv4Net, Wanted>,
    v6: PrefixMap<Ipv6Net, Wanted>,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Statics {
    tables: BTreeMap<u32, Table>,
}

/// Where to look: both are of the table that next hops are resolved in.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    /// Absent without a kernel: then all works.
    pub(crate) mirror: Option<&'a Mirror>,
    pub(crate) resolve_table: u32,
    /// Whether a default route counts.
    pub(crate) via_default: ViaDefault,
}

// ===== impl Statics =====

impl Statics {
    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Wants these and no others. `default` stands for the table of those that name none. What
    /// goes is in the answer; what is new comes with [`resolve`](Self::resolve).
    pub(crate) fn set(&mut self, routes: Vec<StaticRoute>, default: u32) -> Vec<Change> {
        let mut old = std::mem::take(self);
        for route in routes {
            let table = route.table.unwrap_or(default);
            let prefix = route.prefix.trunc();
            let new = self.tables.entry(table).or_default().entry(prefix);
            if new.candidates.is_empty() {
                let known = old.tables.get_mut(&table).and_then(|t| t.get_mut(prefix));
                new.chosen = known.and_then(|known| known.chosen.take());
            }
            let at = new.candidates.partition_point(|c| c.metric <= route.metric);
            new.candidates.insert(at, route);
        }
        // What is still chosen there was not asked for again.
        let mut gone = Vec::new();
        for (table, prefix, wanted) in old.iter() {
            if wanted.chosen.is_some() {
                gone.push(Change {
                    table,
                    prefix,
                    route: None,
                });
            }
        }
        gone
    }

    fn iter(&self) -> impl Iterator<Item = (u32, IpNet, &Wanted)> + '_ {
        self.tables.iter().flat_map(|(&number, table)| {
            let v4 = table.v4.iter().map(|(p, wanted)| (p.into(), wanted));
            let v6 = table.v6.iter().map(|(p, wanted)| (p.into(), wanted));
            v4.chain(v6)
                .map(move |(prefix, wanted)| (number, prefix, wanted))
        })
    }

    /// The tables that there are static routes for.
    pub(crate) fn tables(&self) -> impl Iterator<Item = u32> + '_ {
        self.tables.keys().copied()
    }

    /// The route in use for a prefix, and its router as it was asked for.
    pub(crate) fn chosen(
        &self,
        table: u32,
        prefix: IpNet,
    ) -> Option<(&Arc<KernelRoute>, Option<IpAddr>)> {
        let wanted = self.tables.get(&table)?.get(prefix)?;
        let chosen = wanted.chosen.as_ref()?;
        let candidate = wanted.candidates.iter().find(|c| c.metric == chosen.metric);
        let first = candidate.and_then(|c| c.hops().first());
        Some((chosen, first.and_then(|hop| hop.gateway)))
    }

    /// The prefixes of a table whose route is in use.
    pub(crate) fn in_use(&self, table: u32) -> impl Iterator<Item = IpNet> + '_ {
        let all = self.iter().filter(move |(number, ..)| *number == table);
        all.filter_map(|(_, prefix, wanted)| wanted.chosen.is_some().then_some(prefix))
    }

    /// Works all of them out anew. Returns what changed, in order.
    pub(crate) fn resolve(&mut self, around: Surroundings<'_>) -> Vec<Change> {
        let found = self.work_out(around);
        let mut changes = Vec::new();
        for ((table, prefix), chosen) in found {
            let wanted = self.tables.get_mut(&table).and_then(|t| t.get_mut(prefix));
            let Some(wanted) = wanted.filter(|wanted| wanted.chosen != chosen) else {
                continue;
            };
            changes.push(Change {
                table,
                prefix,
                route: chosen.as_deref().map(|chosen| Arc::new(as_route(chosen))),
            });
            wanted.chosen = chosen;
        }
        changes
    }

    /// Begins with none of them, so that what is found depends on nothing that was found earlier.
    /// Routes that come to no end, because they lead in a circle, do not work.
    fn work_out(&self, around: Surroundings<'_>) -> Found {
        let mut circular = BTreeSet::new();
        loop {
            let (found, restless) = self.rounds(around, &circular);
            if restless.is_empty() {
                return found;
            }
            circular.extend(restless);
        }
    }

    /// Goes round by round through all in the order of prefixes, each resolved through those that
    /// are known to work by then, until nothing changes. Returns also what changed in the last
    /// round.
    fn rounds(
        &self,
        around: Surroundings<'_>,
        circular: &BTreeSet<IpNet>,
    ) -> (Found, BTreeSet<IpNet>) {
        let statics = self.tables.get(&around.resolve_table);
        let mut found = Found::new();
        let mut known = Known::new();
        let mut restless = BTreeSet::new();
        let mut open: Vec<(u32, IpNet, &Wanted)> = self.iter().collect();
        open.retain(|(table, prefix, _)| {
            *table != around.resolve_table || !circular.contains(prefix)
        });
        for (table, prefix) in circular
            .iter()
            .map(|prefix| (around.resolve_table, *prefix))
        {
            found.insert((table, prefix), None);
        }
        for _ in 0..ROUNDS {
            restless.clear();
            open.retain(|(table, prefix, wanted)| {
                let mut search = Search::new(around, (statics, &known), *prefix);
                let chosen = search.choose(wanted);
                // Those that asked for no static route stay as they are.
                let asked = search.asked;
                if *table == around.resolve_table && known.get(prefix) != chosen.as_ref() {
                    restless.insert(*prefix);
                    match chosen.clone() {
                        Some(chosen) => drop(known.insert(*prefix, chosen)),
                        None => drop(known.remove(prefix)),
                    }
                }
                found.insert((*table, *prefix), chosen);
                asked
            });
            if restless.is_empty() {
                break;
            }
        }
        (found, restless)
    }

    /// Each route of a table, of both families, in the order of prefixes and metrics.
    pub(crate) fn status(&self, table: u32, around: Surroundings<'_>) -> Vec<StaticStatus> {
        let statics = self.tables.get(&around.resolve_table);
        let known = self.known(around.resolve_table);
        let mut rows = Vec::new();
        for (_, prefix, wanted) in self.iter().filter(|(number, ..)| *number == table) {
            for candidate in &wanted.candidates {
                let chosen = wanted.chosen.as_ref();
                let mut search = Search::new(around, (statics, &known), prefix);
                rows.push(StaticStatus {
                    selected: chosen.is_some_and(|chosen| chosen.metric == candidate.metric),
                    kernel: None,
                    hops: search.each_hop(candidate),
                    route: candidate.clone(),
                });
            }
        }
        rows
    }

    /// The routes in use in a table.
    fn known(&self, table: u32) -> Known {
        let of_table = self.iter().filter(|(number, ..)| *number == table);
        of_table
            .filter_map(|(_, prefix, wanted)| Some((prefix, wanted.chosen.clone()?)))
            .collect()
    }
}

impl Table {
    fn entry(&mut self, prefix: IpNet) -> &mut Wanted {
        match prefix {
            IpNet::V4(prefix) => self.v4.entry(prefix).or_default(),
            IpNet::V6(prefix) => self.v6.entry(prefix).or_default(),
        }
    }

    fn get(&self, prefix: IpNet) -> Option<&Wanted> {
        match prefix {
            IpNet::V4(prefix) => self.v4.get(&prefix),
            IpNet::V6(prefix) => self.v6.get(&prefix),
        }
    }

    fn get_mut(&mut self, prefix: IpNet) -> Option<&mut Wanted> {
        match prefix {
            IpNet::V4(prefix) => self.v4.get_mut(&prefix),
            IpNet::V6(prefix) => self.v6.get_mut(&prefix),
        }
    }
}

impl StaticRoute {
    fn hops(&self) -> &[StaticHop] {
        match &self.kind {
            StaticKind::Via(hops) => hops,
            StaticKind::Blackhole | StaticKind::Unreachable => &[],
        }
    }
}

// ===== resolving =====

/// Where packets to a router go.
#[derive(Debug)]
enum Way {
    By(Vec<KernelHop>),
    /// Dropped on the way there, as this type of route does.
    Dropped(KernelKind),
}

/// The search for the ways of one prefix.
struct Search<'a> {
    around: Surroundings<'a>,
    /// Static routes that others resolve through.
    statics: Option<&'a Table>,
    /// Those of them that are known to work.
    known: &'a Known,
    /// Whose ways are searched: it does not resolve through itself.
    own: IpNet,
    /// A static route had a say.
    asked: bool,
}

impl<'a> Search<'a> {
    const fn new(
        around: Surroundings<'a>,
        (statics, known): (Option<&'a Table>, &'a Known),
        own: IpNet,
    ) -> Self {
        Self {
            around,
            statics,
            known,
            own,
            asked: false,
        }
    }

    /// The first of the candidates that works.
    fn choose(&mut self, wanted: &Wanted) -> Option<Arc<KernelRoute>> {
        wanted.candidates.iter().find_map(|candidate| {
            let kind = match &candidate.kind {
                StaticKind::Via(hops) => self.together(hops)?,
                StaticKind::Blackhole => KernelKind::Blackhole,
                StaticKind::Unreachable => KernelKind::Unreachable,
            };
            Some(Arc::new(KernelRoute {
                metric: candidate.metric,
                kind,
                prefsrc: None,
            }))
        })
    }

    /// All ways that work; of several to the same router the first counts.
    fn together(&mut self, ways: &[StaticHop]) -> Option<KernelKind> {
        let mut hops: Vec<KernelHop> = Vec::new();
        let mut dropped = None;
        for way in ways {
            match self.way(way) {
                None => {}
                Some(Way::Dropped(kind)) => dropped = Some(kind),
                Some(Way::By(found)) => {
                    for hop in found {
                        let same =
                            |h: &KernelHop| (h.gateway, h.ifindex) == (hop.gateway, hop.ifindex);
                        if !hops.iter().any(same) {
                            hops.push(hop);
                        }
                    }
                }
            }
        }
        if hops.is_empty() {
            return dropped;
        }
        if let [only] = hops.as_mut_slice() {
            only.weight = 1;
        }
        hops.sort_unstable();
        Some(KernelKind::Unicast(hops))
    }

    fn way(&mut self, hop: &StaticHop) -> Option<Way> {
        let Some(mirror) = self.around.mirror else {
            return Some(Way::By(vec![direct(hop.gateway, 0, false)]));
        };
        let link = match &hop.interface {
            None => None,
            // Named, so it has to be there.
            Some(name) => Some(mirror.link_named(name).filter(|link| link.usable())?),
        };
        let ifindex = link.map(|link| link.ifindex);
        let Some(gateway) = hop.gateway else {
            return Some(Way::By(vec![direct(None, ifindex?, false)]));
        };
        // A router that is ourselves would send every packet back to us.
        if mirror.is_local(gateway) || gateway.is_unspecified() {
            return None;
        }
        if is_link_local(gateway) || hop.onlink {
            return Some(Way::By(vec![direct(Some(gateway), ifindex?, hop.onlink)]));
        }
        let statics = self.statics;
        match gateway {
            IpAddr::V4(_) => {
                let statics = statics.map(|table| &table.v4);
                self.look_up::<Ipv4Net>(gateway, ifindex, (mirror, &mirror.routes.v4, statics))
            }
            IpAddr::V6(_) => {
                let statics = statics.map(|table| &table.v6);
                self.look_up::<Ipv6Net>(gateway, ifindex, (mirror, &mirror.routes.v6, statics))
            }
        }
    }

    fn look_up<P: Prefix>(
        &mut self,
        gateway: IpAddr,
        ifindex: Option<u32>,
        (mirror, others, statics): (&Mirror, &ForeignTable<P>, Option<&PrefixMap<P, Wanted>>),
    ) -> Option<Way> {
        let address = P::host(gateway)?;
        let mut covering: BTreeMap<u8, (P, &[Foreign], bool)> = BTreeMap::new();
        for (prefix, list) in others.covering(address) {
            covering.insert(prefix.prefix_len(), (prefix, list, false));
        }
        for (prefix, _) in statics.iter().flat_map(|statics| statics.cover(&address)) {
            let length = prefix.prefix_len();
            covering.entry(length).or_insert((prefix, &[], true)).2 = true;
        }
        for (length, (prefix, list, is_static)) in covering.into_iter().rev() {
            let prefix: IpNet = prefix.into();
            if prefix == self.own || (length == 0 && !self.around.via_default.of(gateway)) {
                return None;
            }
            self.asked |= is_static;
            let own = self.known.get(&prefix).filter(|_| is_static);
            for route in in_order(list, own.map(Arc::as_ref)) {
                let hops = match &route.kind {
                    KernelKind::Unicast(_) | KernelKind::Nexthop(_) => mirror.hops(route),
                    // The kernel drops such packets here and looks no further.
                    KernelKind::Other(_) => return None,
                    kind => return Some(Way::Dropped(kind.clone())),
                };
                let usable = hops
                    .into_iter()
                    .filter(|hop| mirror.usable(hop.ifindex))
                    .filter(|hop| ifindex.is_none_or(|wanted| wanted == hop.ifindex))
                    .map(|hop| KernelHop {
                        gateway: hop.gateway.or(Some(gateway)),
                        ..hop
                    });
                let usable: Vec<KernelHop> = usable.collect();
                if !usable.is_empty() {
                    return Some(Way::By(usable));
                }
            }
        }
        None
    }

    fn each_hop(&mut self, route: &StaticRoute) -> Vec<Vec<KernelHop>> {
        let ways = route.hops().iter().map(|hop| match self.way(hop) {
            Some(Way::By(hops)) => hops,
            Some(Way::Dropped(_)) | None => Vec::new(),
        });
        ways.collect()
    }
}

/// The routes of others for a prefix and our static one, in the order of metrics. Where they are
/// equal, or the prefix is the subnet of a link, ours is not in the kernel.
fn in_order<'r>(
    others: &'r [Foreign],
    own: Option<&'r KernelRoute>,
) -> impl Iterator<Item = &'r KernelRoute> {
    let taken = |own: &&KernelRoute| {
        let mut others = others.iter();
        others.any(|other| other.is_subnet() || other.route.metric == own.metric)
    };
    let own = own.filter(|own| !taken(own));
    let metric = own.map_or(u32::MAX, |own| own.metric);
    let at = others.partition_point(|other| other.route.metric <= metric);
    let (before, after) = others.split_at(at);
    let before = before.iter().map(|other| &other.route);
    before
        .chain(own)
        .chain(after.iter().map(|other| &other.route))
}

const fn direct(gateway: Option<IpAddr>, ifindex: u32, onlink: bool) -> KernelHop {
    KernelHop {
        gateway,
        ifindex,
        weight: 1,
        onlink,
    }
}

/// In the terms of routes that are asked for. Every hop is on a link.
fn as_route(resolved: &KernelRoute) -> Route {
    let kind = match &resolved.kind {
        KernelKind::Blackhole => RouteKind::Blackhole,
        KernelKind::Prohibit => RouteKind::Prohibit,
        KernelKind::Unicast(hops) => RouteKind::Unicast(hops.iter().map(as_next_hop).collect()),
        KernelKind::Unreachable | KernelKind::Nexthop(_) | KernelKind::Other(_) => {
            RouteKind::Unreachable
        }
    };
    Route {
        metric: resolved.metric,
        kind,
        prefsrc: None,
        resilient: None,
    }
}

fn as_next_hop(hop: &KernelHop) -> NextHop {
    NextHop {
        gateway: hop.gateway.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        ifindex: Some(hop.ifindex).filter(|&ifindex| ifindex != 0),
        weight: hop.weight,
        table: None,
        onlink: hop.onlink,
    }
}

#[cfg(test)]
impl Statics {
    /// The route in use for each prefix of a table.
    pub(crate) fn routes(&self, table: u32) -> BTreeMap<IpNet, Arc<KernelRoute>> {
        self.known(table).into_iter().collect()
    }

    pub(crate) fn wanted(&self) -> Vec<StaticRoute> {
        let all = self
            .iter()
            .flat_map(|(_, _, wanted)| wanted.candidates.clone());
        all.collect()
    }

    /// What one more round would find.
    pub(crate) fn next_round(
        &self,
        table: u32,
        around: Surroundings<'_>,
    ) -> BTreeMap<IpNet, Arc<KernelRoute>> {
        let statics = self.tables.get(&around.resolve_table);
        let known = self.known(around.resolve_table);
        let of_table = self.iter().filter(|(number, ..)| *number == table);
        of_table
            .filter_map(|(_, prefix, wanted)| {
                let mut search = Search::new(around, (statics, &known), prefix);
                Some((prefix, search.choose(wanted)?))
            })
            .collect()
    }
}
