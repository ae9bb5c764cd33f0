//! What `redistribute` may take: routes of others, subnets of interfaces, and our own static
//! routes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::codec::PROTOCOL_STATIC as PROTOCOL_STATICD;
use crate::handle::{Family, OtherRoute, Source};
use crate::kernel::{Foreign, Mirror};
use crate::route::{KernelKind, KernelRoute};
use crate::view::is_link_local;

pub(crate) const PROTOCOL_KERNEL: u8 = 2;
const PROTOCOL_BOOT: u8 = 3;
const PROTOCOL_STATIC: u8 = 4;
const PROTOCOL_RA: u8 = 9;
const PROTOCOL_DHCP: u8 = 16;

/// What is told about a route that may be redistributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) metric: u32,
    /// Its first router.
    pub(crate) next_hop: Option<IpAddr>,
    /// The interface of that one, or of the subnet.
    pub(crate) ifindex: Option<u32>,
}

/// By prefix, so that one prefix can be looked at alone.
pub(crate) type Offers = BTreeMap<(IpNet, Source), Offer>;

impl Mirror {
    /// What there is to offer, but for static routes of ours.
    pub(crate) fn redistributable(&self) -> Offers {
        let mut found = Offers::new();
        for (prefix, foreign) in self.routes.iter() {
            if let Some(source) = self.source_of(prefix, foreign) {
                let offer = || self.offer(foreign);
                found.entry((prefix, source)).or_insert_with(offer);
            }
        }
        for (key, offer) in self.subnets().map(connected) {
            // Of a subnet on two interfaces the first one, as below.
            found.entry(key).or_insert(offer);
        }
        found
    }

    /// The same for one prefix.
    pub(crate) fn redistributable_at(&self, prefix: IpNet) -> Offers {
        let mut found = Offers::new();
        for foreign in self.routes.at(prefix) {
            if let Some(source) = self.source_of(prefix, foreign) {
                let offer = || self.offer(foreign);
                found.entry((prefix, source)).or_insert_with(offer);
            }
        }
        let subnet = self.subnets().find(|(_, subnet)| *subnet == prefix);
        found.extend(subnet.map(connected));
        found
    }

    /// The subnets of interfaces that are up.
    fn subnets(&self) -> impl Iterator<Item = (u32, IpNet)> + '_ {
        let up = self
            .addresses
            .iter()
            .filter(|(ifindex, _)| self.usable(**ifindex) && self.counts(**ifindex));
        up.flat_map(|(ifindex, addresses)| addresses.iter().map(|a| (*ifindex, a.subnet())))
            .filter(|(_, subnet)| worth_telling(*subnet))
    }

    /// All routes, for people to see.
    pub(crate) fn others(&self, family: Family) -> Vec<OtherRoute> {
        let of_family = self.routes.iter().filter(|(prefix, foreign)| {
            prefix.addr().is_ipv4() == (family == Family::V4)
                && worth_showing(*prefix)
                && !matches!(foreign.route.kind, KernelKind::Other(_))
        });
        let rows = of_family.map(|(prefix, foreign)| OtherRoute {
            prefix,
            route: KernelRoute {
                kind: match foreign.route.kind {
                    KernelKind::Nexthop(_) => KernelKind::Unicast(self.hops(&foreign.route)),
                    ref kind => kind.clone(),
                },
                ..foreign.route.clone()
            },
            connected: foreign.protocol == PROTOCOL_KERNEL && self.is_subnet(prefix),
            active: self.is_alive(foreign),
        });
        rows.collect()
    }

    /// A route of another table; none where it leads nowhere.
    pub(crate) fn offer_of(&self, prefix: IpNet, foreign: &Foreign) -> Option<Offer> {
        (self.is_alive(foreign) && worth_telling(prefix)).then(|| self.offer(foreign))
    }

    fn offer(&self, foreign: &Foreign) -> Offer {
        let hops = self.hops(&foreign.route);
        let gateway = hops.first().and_then(|hop| hop.gateway);
        Offer {
            ifindex: hops.first().map(|hop| hop.ifindex),
            metric: foreign.route.metric,
            next_hop: gateway.filter(|gateway| !is_link_local(*gateway)),
        }
    }

    fn is_alive(&self, foreign: &Foreign) -> bool {
        match &foreign.route.kind {
            KernelKind::Unicast(_) | KernelKind::Nexthop(_) => {
                let hops = self.hops(&foreign.route);
                hops.iter().any(|hop| self.usable(hop.ifindex))
            }
            KernelKind::Other(_) => false,
            _ => true,
        }
    }

    fn source_of(&self, prefix: IpNet, foreign: &Foreign) -> Option<Source> {
        if !self.is_alive(foreign) || !worth_telling(prefix) {
            return None;
        }
        match foreign.protocol {
            PROTOCOL_STATIC | PROTOCOL_STATICD => Some(Source::Static),
            PROTOCOL_KERNEL if self.is_subnet(prefix) => None,
            PROTOCOL_KERNEL | PROTOCOL_BOOT | PROTOCOL_RA | PROTOCOL_DHCP => Some(Source::Kernel),
            _ => None,
        }
    }

    fn is_subnet(&self, prefix: IpNet) -> bool {
        self.addresses
            .values()
            .flatten()
            .any(|a| a.subnet() == prefix || a.net.trunc() == prefix)
    }
}

const fn connected((ifindex, subnet): (u32, IpNet)) -> ((IpNet, Source), Offer) {
    let offer = Offer {
        ifindex: Some(ifindex),
        metric: 0,
        next_hop: None,
    };
    ((subnet, Source::Connected), offer)
}

/// Neither host-local, nor link-local, nor multicast.
pub(crate) fn worth_telling(prefix: IpNet) -> bool {
    let on_link = match prefix.network() {
        // RFC 3927 section 2.7: packets to such addresses are not forwarded.
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(_) => false,
    };
    worth_showing(prefix) && !on_link
}

/// The same with what IPv4 has of link-local addresses.
fn worth_showing(prefix: IpNet) -> bool {
    let address = prefix.network();
    !(address.is_loopback() || is_link_local(address) || address.is_multicast())
}
