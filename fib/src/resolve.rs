//! Next hops to routers and interfaces, through the kernel's routes of others.
//!
//! The kernel itself only takes gateways that are on a link, so the route that covers a next hop
//! says all: its own gateways, or "on this link". Nothing resolves through itself: static routes
//! of ours are resolved apart from all of this ([`statics`](crate::statics)), and a route of BGP
//! leads to other next hops than its own, if these are reached without routes of BGP.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

use crate::codec::{PROTOCOL_BGP, PROTOCOL_STATIC};
use crate::family::Prefix;
use crate::handle::{TrackKey, ViaDefault};
use crate::kernel::{Foreign, ForeignTable, ForeignTables, Mirror};
use crate::redistribute::PROTOCOL_KERNEL;
use crate::route::{Drop, KernelHop, KernelKind, NextHop, Resolution, Route, RouteKind};
use crate::view::is_link_local;
use crate::ways::{Ways, ways_to};

/// The kernel's largest weight of a next hop in a route of its own, and in a group before Linux
/// 6.12.
pub(crate) const NARROW_WEIGHT: u16 = 256;
/// The largest in a group since then, but for one.
pub(crate) const WIDE_WEIGHT: u16 = u16::MAX;

/// Next hops in the kernel's terms.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Resolved {
    /// Sorted, without duplicates; none only where packets are dropped.
    pub(crate) hops: Vec<KernelHop>,
    /// All next hops are behind routes that drop packets.
    pub(crate) drops: Option<Drop>,
    /// Each next hop is itself on a link; no route of others has a say.
    pub(crate) direct: bool,
}

impl Resolved {
    /// What routes by these next hops are in the kernel.
    pub(crate) fn kind(&self) -> KernelKind {
        match self.drops {
            Some(drop) => drop.into(),
            None => KernelKind::Unicast(self.hops.clone()),
        }
    }

    /// Alone a next hop gets all, and the kernel keeps no weight for it.
    pub(crate) fn alone(&mut self) {
        if let [only] = self.hops.as_mut_slice() {
            only.weight = 1;
        }
    }
}

/// Answers how next hops are reached.
pub(crate) trait Resolve {
    /// How an address is reached, `None` when it is not.
    fn resolve(&self, key: TrackKey, onlink: bool) -> Option<Resolution>;

    /// The same for a next hop that means something in another table: its hops say `onlink`,
    /// since no route here leads to them.
    fn resolve_in(&self, _table: u32, key: TrackKey) -> Option<Resolution> {
        self.resolve(key, true)
    }

    /// The largest weight that a next hop can have.
    fn max_weight(&self) -> u16;

    /// None where none of them resolves. Of several next hops that end up at the same router the
    /// first counts, or their weights together where they have any. Next hops behind routes that
    /// drop packets count where there are no others.
    fn kernel_hops(&self, next_hops: &[NextHop]) -> Option<Resolved> {
        let mut hops: Vec<(KernelHop, u32)> = Vec::with_capacity(next_hops.len());
        let weighted = next_hops.iter().any(|next_hop| next_hop.weight != 1);
        let mut direct = true;
        let mut drops = None;
        for next_hop in next_hops {
            let key = TrackKey {
                address: next_hop.gateway,
                ifindex: next_hop.ifindex,
            };
            let found = match next_hop.table {
                None => self.resolve(key, next_hop.onlink),
                Some(table) => self.resolve_in(table, key),
            };
            let Some(found) = found else {
                continue;
            };
            if found.drops.is_some() {
                drops = drops.or(found.drops);
                continue;
            }
            direct &= found.connected;
            for via in found.multipath {
                // Without a router, all is on the link.
                let on_link = Some(next_hop.gateway).filter(|g| !g.is_unspecified());
                let hop = KernelHop {
                    gateway: via.gateway.or(on_link),
                    ifindex: via.ifindex,
                    weight: 1,
                    onlink: next_hop.onlink || via.onlink,
                };
                let weight = u32::from(next_hop.weight.max(1)) * u32::from(via.weight.max(1));
                let place = |h: &KernelHop| (h.gateway, h.ifindex);
                match hops.iter_mut().find(|(h, _)| place(h) == place(&hop)) {
                    None => hops.push((hop, weight)),
                    Some((_, sum)) if weighted => *sum = sum.saturating_add(weight),
                    Some(_) => {}
                }
            }
        }
        hops.sort_unstable();
        let hops = weighed(hops, self.max_weight());
        let drops = drops.filter(|_| hops.is_empty());
        let mut resolved = Resolved {
            direct: direct && drops.is_none(),
            hops,
            drops,
        };
        resolved.alone();
        (!resolved.hops.is_empty() || drops.is_some()).then_some(resolved)
    }
}

/// Weights as they are, if the largest is at most `max`; else in the lowest terms; or, if that is
/// not enough, as close to their ratio as `max` allows. No next hop is left without a share.
fn weighed(hops: Vec<(KernelHop, u32)>, max: u16) -> Vec<KernelHop> {
    let max = u32::from(max);
    let largest = |divisor: u32| hops.iter().map(|(_, weight)| weight / divisor).max();
    let mut divisor = 1;
    if largest(divisor) > Some(max) {
        let weights = hops.iter().map(|(_, weight)| *weight);
        divisor = weights.fold(0, greatest_common).max(1);
    }
    let largest = u64::from(largest(divisor).unwrap_or(1));
    let fitted = |weight: u32| {
        let weight = weight / divisor;
        if largest <= u64::from(max) {
            return weight;
        }
        let rounded = (u64::from(weight) * u64::from(max) + largest / 2) / largest;
        u32::try_from(rounded).unwrap_or(max)
    };
    let fitted = |(hop, weight): &(KernelHop, u32)| KernelHop {
        weight: u16::try_from(fitted(*weight)).unwrap_or(u16::MAX).max(1),
        ..*hop
    };
    hops.iter().map(fitted).collect()
}

fn greatest_common(a: u32, b: u32) -> u32 {
    match b {
        0 => a,
        _ => greatest_common(b, a % b),
    }
}

/// A route that may reach a next hop.
enum Candidate<'a> {
    /// Of others, or a static one.
    Known(&'a Foreign),
    /// Of BGP.
    Own(&'a Route),
}

/// Where a look at a route ends.
enum Step {
    /// The next one may do.
    Further,
    End(Option<Resolution>),
}

/// The routes of one prefix in the order in which the kernel takes them. Where a link has the
/// prefix or another route the metric, ours is not there.
fn in_order<'a>(known: Vec<&'a Foreign>, own: Option<&'a Arc<Route>>) -> Vec<Candidate<'a>> {
    let taken = |own: &&Arc<Route>| {
        let takes = |foreign: &&Foreign| foreign.is_subnet() || foreign.route.metric == own.metric;
        known.iter().any(takes)
    };
    let own = own.filter(|own| !taken(own));
    let better = |foreign: &&Foreign| own.is_none_or(|own| foreign.route.metric < own.metric);
    let at = known.partition_point(better);
    let mut found: Vec<Candidate<'_>> = known.into_iter().map(Candidate::Known).collect();
    if let Some(own) = own {
        found.insert(at, Candidate::Own(own));
    }
    found
}

/// Resolves through a mirror of the kernel.
#[derive(Debug)]
pub(crate) struct ByMirror<'a> {
    pub(crate) mirror: &'a Mirror,
    /// Other tables, without routes of BGP.
    pub(crate) elsewhere: &'a BTreeMap<u32, ForeignTables>,
    pub(crate) via_default: ViaDefault,
    pub(crate) max_weight: u16,
    /// Routes of BGP that count, if any does.
    pub(crate) ways: Option<&'a Ways>,
}

/// Everything is connected: for running without a kernel.
#[derive(Debug)]
pub(crate) struct Always;

impl Resolve for Always {
    fn resolve(&self, key: TrackKey, onlink: bool) -> Option<Resolution> {
        Some(direct(key.ifindex.unwrap_or(0), String::new(), onlink))
    }

    fn max_weight(&self) -> u16 {
        WIDE_WEIGHT
    }
}

impl Resolve for ByMirror<'_> {
    fn resolve(&self, key: TrackKey, onlink: bool) -> Option<Resolution> {
        // A router that is ourselves would send every packet back to us.
        if self.mirror.is_own(key.address) {
            return None;
        }
        let names_link = is_link_local(key.address) || key.address.is_unspecified();
        if names_link || (onlink && key.ifindex.is_some()) {
            let link = self
                .mirror
                .link(key.ifindex?)
                .filter(|link| link.usable())?;
            return Some(direct(link.ifindex, link.name.clone(), onlink));
        }
        match key.address {
            IpAddr::V4(_) => {
                let (others, own) = (&self.mirror.routes.v4, &self.mirror.statics.v4);
                let ways = self.ways.map(|ways| &ways.v4);
                self.look_up::<Ipv4Net>((others, own), ways, key)
            }
            IpAddr::V6(_) => {
                let (others, own) = (&self.mirror.routes.v6, &self.mirror.statics.v6);
                let ways = self.ways.map(|ways| &ways.v6);
                self.look_up::<Ipv6Net>((others, own), ways, key)
            }
        }
    }

    fn resolve_in(&self, table: u32, key: TrackKey) -> Option<Resolution> {
        let none = ForeignTables::default();
        let mut found = match key.address {
            address if is_link_local(address) => self.resolve(key, true)?,
            IpAddr::V4(_) => {
                let others = &self.elsewhere.get(&table)?.v4;
                self.look_up::<Ipv4Net>((others, &none.v4), None, key)?
            }
            IpAddr::V6(_) => {
                let others = &self.elsewhere.get(&table)?.v6;
                self.look_up::<Ipv6Net>((others, &none.v6), None, key)?
            }
        };
        for hop in &mut found.multipath {
            hop.onlink = true;
        }
        Some(found)
    }

    fn max_weight(&self) -> u16 {
        self.max_weight
    }
}

impl ByMirror<'_> {
    fn look_up<P: Prefix>(
        &self,
        (others, own): (&ForeignTable<P>, &ForeignTable<P>),
        ways: Option<&PrefixMap<P, Arc<Route>>>,
        key: TrackKey,
    ) -> Option<Resolution> {
        let address = P::host(key.address)?;
        let ways = ways.map_or_else(Vec::new, |ways| ways_to(ways, address));
        let mut ways = ways.into_iter().peekable();
        let known = covering(others, own, address);
        // After the last known prefix come the ways that are shorter.
        let known = known.into_iter().map(Some).chain([None]);
        for known in known {
            let is_longer = |prefix: P| match &known {
                Some((known, _)) => prefix.prefix_len() > known.prefix_len(),
                None => true,
            };
            while let Some((prefix, way)) = ways.next_if(|(prefix, _)| is_longer(*prefix)) {
                if let Step::End(found) = self.by(prefix.into(), vec![Candidate::Own(way)], key) {
                    return found;
                }
            }
            let Some((prefix, routes)) = known else { break };
            let way = ways.next_if(|(other, _)| *other == prefix);
            let candidates = in_order(routes, way.map(|(_, way)| way));
            if let Step::End(found) = self.by(prefix.into(), candidates, key) {
                return found;
            }
        }
        None
    }

    /// The way by the routes of one prefix, best first.
    fn by(&self, prefix: IpNet, candidates: Vec<Candidate<'_>>, key: TrackKey) -> Step {
        if prefix.prefix_len() == 0 && !self.via_default.of(key.address) {
            return Step::End(None);
        }
        for candidate in candidates {
            let step = match candidate {
                Candidate::Known(foreign) => self.by_known(prefix, foreign, key),
                Candidate::Own(way) => self.by_own(prefix, way, key),
            };
            if let Step::End(_) = step {
                return step;
            }
        }
        Step::Further
    }

    fn by_known(&self, prefix: IpNet, foreign: &Foreign, key: TrackKey) -> Step {
        // What BGP has in another table is no way to anywhere.
        if foreign.protocol == PROTOCOL_BGP {
            return Step::Further;
        }
        let hops = match foreign.route.kind {
            KernelKind::Unicast(_) | KernelKind::Nexthop(_) => self.mirror.hops(&foreign.route),
            // The kernel drops such packets here and looks no further: so it does with what goes
            // by the next hop (RFC 5635). That there is no default route is no such thing.
            ref kind => {
                let drop = Drop::of(kind).filter(|_| prefix.prefix_len() > 0);
                return Step::End(drop.map(|drop| self.dropped(prefix, foreign, drop)));
            }
        };
        let usable: Vec<KernelHop> = hops
            .iter()
            .filter(|hop| self.mirror.usable(hop.ifindex))
            .filter(|hop| key.ifindex.is_none_or(|wanted| wanted == hop.ifindex))
            .copied()
            .collect();
        match usable.first() {
            Some(&first) => Step::End(Some(self.found(prefix, foreign, first, usable))),
            None => Step::Further,
        }
    }

    /// The way by a route of BGP. Its own next hops must be reached without one, so that no two
    /// lead to each other; and it is none to its own next hops.
    fn by_own(&self, prefix: IpNet, way: &Route, key: TrackKey) -> Step {
        // An aggregate leads nowhere: what it stands for does.
        let RouteKind::Unicast(next_hops) = &way.kind else {
            return Step::Further;
        };
        if next_hops.iter().any(|hop| hop.gateway == key.address) {
            return Step::Further;
        }
        let plain = ByMirror {
            mirror: self.mirror,
            elsewhere: self.elsewhere,
            via_default: self.via_default,
            max_weight: self.max_weight,
            ways: None,
        };
        let resolved = plain.kernel_hops(next_hops);
        let drops = resolved.as_ref().and_then(|resolved| resolved.drops);
        let hops = resolved.map_or_else(Vec::new, |resolved| resolved.hops);
        let wanted = |hop: &KernelHop| key.ifindex.is_none_or(|wanted| wanted == hop.ifindex);
        let multipath: Vec<KernelHop> = hops.into_iter().filter(wanted).collect();
        let first = multipath.first().copied();
        if first.is_none() && drops.is_none() {
            return Step::Further;
        }
        let metrics = next_hops.iter().filter_map(|hop| {
            let key = TrackKey {
                address: hop.gateway,
                ifindex: hop.ifindex,
            };
            Some(plain.resolve(key, hop.onlink)?.metric)
        });
        let link = first.and_then(|first| self.mirror.link(first.ifindex));
        Step::End(Some(Resolution {
            gateway: first.and_then(|first| first.gateway),
            ifindex: first.map_or(0, |first| first.ifindex),
            ifname: link.map(|link| link.name.clone()).unwrap_or_default(),
            metric: metrics.min().unwrap_or(0),
            connected: false,
            via: Some(prefix),
            protocol: PROTOCOL_BGP,
            multipath,
            drops,
            through_own: true,
            otherwise: plain.resolve(key, false).map(Box::new),
        }))
    }

    fn found(
        &self,
        prefix: IpNet,
        foreign: &Foreign,
        first: KernelHop,
        multipath: Vec<KernelHop>,
    ) -> Resolution {
        let connected = first.gateway.is_none();
        let name = self
            .mirror
            .link(first.ifindex)
            .map(|link| link.name.clone());
        Resolution {
            gateway: first.gateway,
            ifindex: first.ifindex,
            ifname: name.unwrap_or_default(),
            metric: match connected {
                true => 0,
                false => metric_of(foreign),
            },
            connected,
            via: Some(prefix),
            protocol: foreign.protocol,
            multipath,
            drops: None,
            through_own: false,
            otherwise: None,
        }
    }

    fn dropped(&self, prefix: IpNet, foreign: &Foreign, drop: Drop) -> Resolution {
        Resolution {
            gateway: None,
            ifindex: 0,
            ifname: String::new(),
            metric: metric_of(foreign),
            connected: false,
            via: Some(prefix),
            protocol: foreign.protocol,
            multipath: Vec::new(),
            drops: Some(drop),
            through_own: false,
            otherwise: None,
        }
    }
}

/// Of a static route of ours the metric is a distance, and no way is longer for it.
fn metric_of(foreign: &Foreign) -> u32 {
    match foreign.protocol {
        PROTOCOL_STATIC => 0,
        _ => foreign.route.metric,
    }
}

/// The routes of both tables that cover `address`, longest prefix first, each in the order of
/// metrics; where these are equal, the other's is the one that is in the kernel.
fn covering<'t, P: Prefix>(
    others: &'t ForeignTable<P>,
    own: &'t ForeignTable<P>,
    address: P,
) -> Vec<(P, Vec<&'t Foreign>)> {
    let found = others.covering(address).into_iter();
    let mut found: Vec<(P, Vec<&Foreign>)> =
        found.map(|(p, list)| (p, list.iter().collect())).collect();
    for (prefix, list) in own.covering(address) {
        let longer = |(other, _): &(P, _)| other.prefix_len() > prefix.prefix_len();
        let at = found.partition_point(longer);
        match found.get_mut(at).filter(|(other, _)| *other == prefix) {
            // It is not written over what the kernel makes of an address.
            Some((_, routes)) if routes.iter().any(|foreign| foreign.is_subnet()) => {}
            Some((_, routes)) => {
                routes.extend(list);
                routes.sort_by_key(|foreign| foreign.route.metric);
            }
            None => found.insert(at, (prefix, list.iter().collect())),
        }
    }
    found
}

fn direct(ifindex: u32, ifname: String, onlink: bool) -> Resolution {
    Resolution {
        gateway: None,
        ifindex,
        ifname,
        metric: 0,
        connected: true,
        via: None,
        protocol: PROTOCOL_KERNEL,
        multipath: vec![KernelHop {
            gateway: None,
            ifindex,
            weight: 1,
            onlink,
        }],
        drops: None,
        through_own: false,
        otherwise: None,
    }
}
