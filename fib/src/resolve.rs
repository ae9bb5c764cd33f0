//! Next hops to routers and interfaces, through the kernel's routes of others.
//!
//! The kernel itself only takes gateways that are on a link, so the route that covers a next hop
//! says all: its own gateways, or "on this link". Our own routes take no part but for static
//! ones, which are resolved by themselves ([`statics`](crate::statics)), hence nothing resolves
//! through itself.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::codec::PROTOCOL_STATIC;
use crate::family::Prefix;
use crate::handle::{TrackKey, ViaDefault};
use crate::kernel::{Foreign, ForeignTable, Mirror};
use crate::redistribute::PROTOCOL_KERNEL;
use crate::route::{KernelHop, KernelKind, NextHop, Resolution};
use crate::view::is_link_local;

/// The kernel's largest weight of a next hop in a route of its own, and in a group before Linux
/// 6.12.
pub(crate) const NARROW_WEIGHT: u16 = 256;
/// The largest in a group since then, but for one.
pub(crate) const WIDE_WEIGHT: u16 = u16::MAX;

/// Next hops in the kernel's terms.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Resolved {
    /// Sorted, without duplicates, one or more.
    pub(crate) hops: Vec<KernelHop>,
    /// Each next hop is itself on a link; no route of others has a say.
    pub(crate) direct: bool,
}

impl Resolved {
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

    /// The largest weight that a next hop can have.
    fn max_weight(&self) -> u16;

    /// None where none of them resolves. Of several next hops that end up at the same router the
    /// first counts, or their weights together where they have any.
    fn kernel_hops(&self, next_hops: &[NextHop]) -> Option<Resolved> {
        let mut hops: Vec<(KernelHop, u32)> = Vec::with_capacity(next_hops.len());
        let weighted = next_hops.iter().any(|next_hop| next_hop.weight != 1);
        let mut direct = true;
        for next_hop in next_hops {
            let key = TrackKey {
                address: next_hop.gateway,
                ifindex: next_hop.ifindex,
            };
            let Some(found) = self.resolve(key, next_hop.onlink) else {
                continue;
            };
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
        let mut resolved = Resolved { hops, direct };
        resolved.alone();
        (!resolved.hops.is_empty()).then_some(resolved)
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

/// Resolves through a mirror of the kernel.
#[derive(Debug)]
pub(crate) struct ByMirror<'a> {
    pub(crate) mirror: &'a Mirror,
    pub(crate) via_default: ViaDefault,
    pub(crate) max_weight: u16,
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
        if self.mirror.is_local(key.address) {
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
                self.look_up::<Ipv4Net>((others, own), key)
            }
            IpAddr::V6(_) => {
                let (others, own) = (&self.mirror.routes.v6, &self.mirror.statics.v6);
                self.look_up::<Ipv6Net>((others, own), key)
            }
        }
    }

    fn max_weight(&self) -> u16 {
        self.max_weight
    }
}

impl ByMirror<'_> {
    fn look_up<P: Prefix>(
        &self,
        (others, own): (&ForeignTable<P>, &ForeignTable<P>),
        key: TrackKey,
    ) -> Option<Resolution> {
        for (prefix, routes) in covering(others, own, P::host(key.address)?) {
            let prefix: IpNet = prefix.into();
            if prefix.prefix_len() == 0 && !self.via_default.of(key.address) {
                return None;
            }
            for foreign in routes {
                let hops = match foreign.route.kind {
                    KernelKind::Unicast(_) | KernelKind::Nexthop(_) => {
                        self.mirror.hops(&foreign.route)
                    }
                    // The kernel drops such packets here and looks no further.
                    _ => return None,
                };
                let usable: Vec<KernelHop> = hops
                    .iter()
                    .filter(|hop| self.mirror.usable(hop.ifindex))
                    .filter(|hop| key.ifindex.is_none_or(|wanted| wanted == hop.ifindex))
                    .copied()
                    .collect();
                if let Some(&first) = usable.first() {
                    return Some(self.found(prefix, foreign, first, usable));
                }
            }
        }
        None
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
            // Of a static route of ours it is a distance, and no way is longer for it.
            metric: match connected || foreign.protocol == PROTOCOL_STATIC {
                true => 0,
                false => foreign.route.metric,
            },
            connected,
            via: Some(prefix),
            protocol: foreign.protocol,
            multipath,
        }
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
    }
}
