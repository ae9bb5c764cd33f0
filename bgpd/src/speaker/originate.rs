//! Routes of our own: `network`, `redistribute` and `ip route` lines, and what the kernel says
//! about them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bgp_wire::NextHop;
use holdfast_config::model::{
    AfConfig, Bgp, Config, Redistribute, RedistributeSource, StaticDrop, StaticPath, StaticTarget,
    UNUSABLE_DISTANCE,
};
use holdfast_fib::{Source, StaticHop, StaticKind, StaticRoute};
use holdfast_rib::{LocalRoute, LocalSource, Region};
use ipnet::IpNet;

use super::core::Core;
use super::policies::Redistributed;
use super::realm::Realm;
use crate::session::status::now_ms;

/// What there is to say about a route that is originated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origination {
    /// Its MED.
    pub(super) metric: u32,
    /// The router that packets go to from here.
    pub(super) next_hop: Option<IpAddr>,
    /// The edition of policy whose route map it goes through, if it does.
    pub(super) edition: Option<u32>,
    /// The kernel's table it is from, where a line names it; else 0.
    pub(super) table: u32,
    /// The interface that packets leave by from here.
    pub(super) ifindex: Option<u32>,
    /// The tag of the static route.
    pub(super) tag: u32,
}

impl Origination {
    /// As the kernel tells of it.
    pub(super) const fn of_kernel(metric: u32, next_hop: Option<IpAddr>) -> Origination {
        Origination {
            metric,
            next_hop,
            ..HERE
        }
    }
}

/// A route that packets end at here.
const HERE: Origination = Origination {
    metric: 0,
    next_hop: None,
    edition: None,
    table: 0,
    ifindex: None,
    tag: 0,
};

/// What the FIB is to be told of a new configuration.
#[derive(Debug, Default)]
pub(super) struct KernelTables {
    pub(super) statics: Option<Vec<StaticRoute>>,
    pub(super) followed: Option<BTreeSet<u32>>,
}

impl KernelTables {
    pub(super) fn is_empty(&self) -> bool {
        self.statics.is_none() && self.followed.is_none()
    }
}

impl Core {
    /// Notes what the FIB has to know of static routes and of tables to redistribute from.
    pub(super) fn apply_kernel_tables(&mut self, old: &Config) {
        if old.static_routes != self.config.static_routes {
            let statics = static_routes(&self.config, self.options.table);
            self.kernel_tables.statics = Some(statics);
        }
        let tables = redistributed_tables(&self.config);
        if tables != redistributed_tables(old) {
            self.kernel_tables.followed = Some(self.with_own_table(tables));
        }
    }

    /// A VRF without a device has its routes in a table that next hops are not
    /// resolved in: `network` looks there.
    pub(super) fn with_own_table(&self, mut tables: BTreeSet<u32>) -> BTreeSet<u32> {
        if let (Realm::Table(table), true) = (&self.realm, self.options.kernel) {
            tables.insert(*table);
        }
        tables
    }

    /// Brings what is originated to what the configuration asks for and the
    /// kernel has.
    pub(super) fn originate(&mut self) {
        let wanted = self.wanted_routes();
        let gone: Vec<_> = self
            .originated
            .keys()
            .filter(|key| !wanted.contains_key(key))
            .copied()
            .collect();
        for (prefix, source) in gone {
            self.rib.withdraw_local(prefix, source);
        }
        let now = now_ms() / 1000;
        for (&(prefix, source), &origination) in &wanted {
            if self.originated.get(&(prefix, source)) != Some(&origination) {
                self.put((prefix, source), origination, now);
            }
        }
        self.originated = wanted;
    }

    /// Originates a route, unless its route map denies it.
    fn put(&mut self, (prefix, source): (IpNet, LocalSource), origination: Origination, now: u64) {
        let route = local_route(prefix, source, origination);
        let map = match origination.edition {
            Some(_) => self.route_map_of(prefix, source, origination.table),
            None => None,
        };
        let route = match map {
            Some(name) => {
                let view = self.fib.view();
                let interface = origination.ifindex.and_then(|index| view.interface(index));
                let from = Redistributed {
                    interface: interface.map(|interface| interface.name.as_str()),
                    tag: origination.tag,
                };
                self.policies.originate(name, prefix, route, from)
            }
            None => Some(route),
        };
        match route {
            Some(route) => self.rib.originate(prefix, route, now),
            None => self.rib.withdraw_local(prefix, source),
        }
    }

    /// Has route maps that ask for ROAs judge again what is in a region.
    pub(super) fn originate_within(&mut self, region: &Region) {
        let asks = |((prefix, source), origination): (&(IpNet, LocalSource), &Origination)| {
            let map = origination
                .edition
                .and_then(|_| self.route_map_of(*prefix, *source, origination.table));
            let asks = map.is_some_and(|map| self.policies.uses_rpki(map));
            (asks && region.contains(*prefix)).then_some(((*prefix, *source), *origination))
        };
        let again: Vec<_> = self.originated.iter().filter_map(asks).collect();
        let now = now_ms() / 1000;
        for (key, origination) in again {
            self.put(key, origination, now);
        }
    }

    /// The route map that a route of our own goes through.
    fn route_map_of(&self, prefix: IpNet, source: LocalSource, table: u32) -> Option<&str> {
        let bgp = self.config.bgp.as_ref()?;
        let of = |source: Source| match prefix {
            IpNet::V4(_) => redistribute(&bgp.ipv4_unicast, source),
            IpNet::V6(_) => redistribute(&bgp.ipv6_unicast, source),
        };
        let source = match source {
            LocalSource::Network => {
                let network = match prefix {
                    IpNet::V4(prefix) => bgp.ipv4_unicast.networks.get(&prefix),
                    IpNet::V6(prefix) => bgp.ipv6_unicast.networks.get(&prefix),
                };
                return network?.route_map.as_deref();
            }
            LocalSource::Connected => Source::Connected,
            LocalSource::Static => Source::Static,
            LocalSource::Kernel => Source::Kernel,
            LocalSource::Table => Source::Table(table),
            // The table makes them.
            LocalSource::Aggregate => return None,
        };
        of(source)?.route_map.as_deref()
    }

    /// The same for what one route of the kernel's may have changed: with a
    /// full table beside us, every change of it must not cost a look at all.
    pub(super) fn originate_from(&mut self, prefix: IpNet, source: Source) {
        let Some(bgp) = &self.config.bgp else {
            return;
        };
        let network = networks(bgp, prefix) && self.network_stands(bgp, prefix);
        let redistributed = match source {
            // The first of several tables that have it.
            Source::Table(_) => redistributed_tables(&self.config)
                .into_iter()
                .find_map(|table| self.redistributed(bgp, prefix, Source::Table(table))),
            source => self.redistributed(bgp, prefix, source),
        };
        let wanted = [
            (
                LocalSource::Network,
                network.then(|| self.network_route(prefix)),
            ),
            (local_source(source), redistributed),
        ];
        for (source, origination) in wanted {
            let key = (prefix, source);
            if self.originated.get(&key).copied() == origination {
                continue;
            }
            if let Some(origination) = origination {
                self.originated.insert(key, origination);
                self.put(key, origination, now_ms() / 1000);
            } else {
                self.originated.remove(&key);
                self.rib.withdraw_local(prefix, source);
            }
        }
    }

    fn wanted_routes(&self) -> BTreeMap<(IpNet, LocalSource), Origination> {
        let mut wanted = BTreeMap::new();
        let Some(bgp) = &self.config.bgp else {
            return wanted;
        };
        let v4 = bgp.ipv4_unicast.networks.keys().copied().map(IpNet::V4);
        let v6 = bgp.ipv6_unicast.networks.keys().copied().map(IpNet::V6);
        for prefix in v4.chain(v6) {
            if self.network_stands(bgp, prefix) {
                let route = self.network_route(prefix);
                wanted.insert((prefix, LocalSource::Network), route);
            }
        }
        for (prefix, source) in self.kernel_routes.keys() {
            if let Some(origination) = self.redistributed(bgp, *prefix, *source) {
                let key = (*prefix, local_source(*source));
                wanted.entry(key).or_insert(origination);
            }
        }
        wanted
    }

    fn network_route(&self, prefix: IpNet) -> Origination {
        let map = self.route_map_of(prefix, LocalSource::Network, 0);
        Origination {
            edition: map.map(|_| self.policies.edition()),
            ..HERE
        }
    }

    /// Whether a `network` line takes effect.
    fn network_stands(&self, bgp: &Bgp, prefix: IpNet) -> bool {
        !bgp.network_import_check || !self.options.kernel || self.kernel_has(prefix)
    }

    /// What a route of the kernel's is redistributed with, if it is.
    fn redistributed(&self, bgp: &Bgp, prefix: IpNet, source: Source) -> Option<Origination> {
        let known = self.kernel_routes.get(&(prefix, source))?;
        let configured = match prefix {
            IpNet::V4(_) => redistribute(&bgp.ipv4_unicast, source),
            IpNet::V6(_) => redistribute(&bgp.ipv6_unicast, source),
        };
        let configured = configured?;
        let map = configured.route_map.as_ref();
        Some(Origination {
            metric: configured.metric.unwrap_or(known.metric),
            edition: map.map(|_| self.policies.edition()),
            table: match source {
                Source::Table(table) => table,
                _ => 0,
            },
            tag: match source {
                Source::Static => self.tag(prefix),
                _ => 0,
            },
            ..*known
        })
    }

    /// The tag of our static route of a prefix: of several, of the one that is preferred.
    fn tag(&self, prefix: IpNet) -> u32 {
        let here = (self.options.table, self.options.table);
        let first = static_paths(&self.config, prefix, here)
            .filter(|path| path.distance != UNUSABLE_DISTANCE)
            .min_by_key(|path| path.distance);
        first.and_then(|path| path.tag).unwrap_or(0)
    }

    fn kernel_has(&self, prefix: IpNet) -> bool {
        let sources = match self.realm {
            Realm::Table(table) => [
                Source::Connected,
                Source::Table(table),
                Source::Table(table),
            ],
            _ => [Source::Connected, Source::Static, Source::Kernel],
        };
        sources
            .into_iter()
            .any(|source| self.kernel_routes.contains_key(&(prefix, source)))
    }
}

fn local_route(prefix: IpNet, source: LocalSource, origination: Origination) -> LocalRoute {
    let next_hop = match (prefix, origination.next_hop) {
        (IpNet::V4(_), Some(IpAddr::V4(address))) => Some(NextHop::V4(address)),
        (IpNet::V6(_), Some(IpAddr::V6(global))) => Some(NextHop::V6 {
            global,
            link_local: None,
        }),
        // BGP has no way to say it without a capability of the peer.
        _ => None,
    };
    LocalRoute::new(source, next_hop, origination.metric)
}

/// Whether there is a `network` line for the prefix.
fn networks(bgp: &Bgp, prefix: IpNet) -> bool {
    match prefix {
        IpNet::V4(prefix) => bgp.ipv4_unicast.networks.contains_key(&prefix),
        IpNet::V6(prefix) => bgp.ipv6_unicast.networks.contains_key(&prefix),
    }
}

/// What is said of routes of this source, where they are wanted.
fn redistribute<P: Ord>(af: &AfConfig<P>, source: Source) -> Option<&Redistribute> {
    let source = match source {
        Source::Connected => RedistributeSource::Connected,
        Source::Static => RedistributeSource::Static,
        Source::Kernel => RedistributeSource::Kernel,
        Source::Table(table) => RedistributeSource::Table(u16::try_from(table).ok()?),
    };
    af.redistribute.get(&source)
}

const fn local_source(source: Source) -> LocalSource {
    match source {
        Source::Connected => LocalSource::Connected,
        Source::Static => LocalSource::Static,
        Source::Kernel => LocalSource::Kernel,
        Source::Table(_) => LocalSource::Table,
    }
}

fn redistributed_tables(config: &Config) -> BTreeSet<u32> {
    let bgp = config.bgp.as_ref();
    let v4 = bgp
        .into_iter()
        .flat_map(|b| b.ipv4_unicast.redistribute.keys());
    let v6 = bgp
        .into_iter()
        .flat_map(|b| b.ipv6_unicast.redistribute.keys());
    let tables = v4.chain(v6).filter_map(|source| match source {
        RedistributeSource::Table(table) => Some(u32::from(*table)),
        _ => None,
    });
    tables.collect()
}

// ===== static routes =====

/// The configured paths of a prefix in a table; the other one is that of paths without a table.
pub(super) fn static_paths(
    config: &Config,
    prefix: IpNet,
    (table, default_table): (u32, u32),
) -> impl Iterator<Item = &StaticPath> {
    let paths = config.static_routes.get(&prefix).into_iter().flatten();
    paths.filter(move |path| path.table.unwrap_or(default_table) == table)
}

/// The static routes in the FIB's terms: paths of one table and distance are one route.
fn static_routes(config: &Config, default_table: u32) -> Vec<StaticRoute> {
    let mut routes = Vec::new();
    for (prefix, paths) in &config.static_routes {
        let mut groups: BTreeMap<(u32, u8), Vec<&StaticPath>> = BTreeMap::new();
        for path in paths.iter().filter(|p| p.distance != UNUSABLE_DISTANCE) {
            let table = path.table.unwrap_or(default_table);
            groups.entry((table, path.distance)).or_default().push(path);
        }
        routes.extend(
            groups
                .into_iter()
                .map(|((table, distance), paths)| StaticRoute {
                    table: Some(table),
                    prefix: *prefix,
                    metric: distance.into(),
                    kind: static_kind(&paths),
                }),
        );
    }
    routes
}

fn static_kind(paths: &[&StaticPath]) -> StaticKind {
    let drop = paths.iter().find_map(|path| match path.target {
        StaticTarget::Drop(drop) => Some(drop),
        _ => None,
    });
    match drop {
        Some(StaticDrop::Blackhole | StaticDrop::Null0) => StaticKind::Blackhole,
        Some(StaticDrop::Reject) => StaticKind::Unreachable,
        None => StaticKind::Via(paths.iter().map(|path| static_hop(&path.target)).collect()),
    }
}

fn static_hop(target: &StaticTarget) -> StaticHop {
    StaticHop {
        gateway: target.gateway(),
        interface: target.interface().map(str::to_owned),
        onlink: target.onlink(),
    }
}
