//! What becomes of a route that a peer sent: normalised, checked, and passed
//! through import policy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bgp_wire::{Family, NextHop, PathAttributes};
use ipnet::IpNet;

use crate::attrs::AttrRef;
use crate::config::RibConfig;
use crate::path::Reach;
use crate::peer::{PeerId, PeerInfo};
use crate::policy::{RouteContext, Verdict};
use crate::shared::Shared;
use crate::view::Rejection;

/// The outcome for one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Imported {
    pub(crate) post: Option<AttrRef>,
    pub(crate) weight: u32,
    pub(crate) rejected: Option<Rejection>,
    pub(crate) reach: Reach,
}

impl Imported {
    fn rejected(reason: Rejection) -> Imported {
        Imported {
            post: None,
            weight: 0,
            rejected: Some(reason),
            reach: Reach::Always,
        }
    }
}

/// Removes what an external peer has no say in: LOCAL_PREF (RFC 4271 section
/// 5.1.5), ORIGINATOR_ID and CLUSTER_LIST (RFC 7606 sections 7.9 and 7.10).
pub(crate) fn normalise(peer: &PeerInfo, attributes: &mut PathAttributes) {
    if peer.is_external() {
        attributes.local_pref = None;
        attributes.originator_id = None;
        attributes.cluster_list.clear();
    }
}

/// Decides on one route of a peer.
pub(crate) fn import(
    shared: &mut Shared,
    peer: PeerId,
    family: Family,
    prefix: IpNet,
    pre: &AttrRef,
) -> Imported {
    let Shared {
        config,
        peers,
        interner,
        tracker,
        own_addresses,
        ..
    } = shared;
    let Some(Some(peer)) = peers.get(peer.0 as usize) else {
        return Imported::rejected(Rejection::NoNextHop);
    };
    let info = &peer.info;
    if is_martian_prefix(prefix) {
        return Imported::rejected(Rejection::MartianPrefix);
    }
    if let Some(reason) = find_loop(config, info, pre) {
        return Imported::rejected(reason);
    }
    let verdict = peer.policy.import(&RouteContext {
        peer: info,
        learned_from: Some(info),
        family,
        prefix,
        attributes: pre,
        weight: info.weight,
    });
    let (post, weight) = match verdict {
        Verdict::Deny(reason) => return Imported::rejected(Rejection::Policy(reason)),
        Verdict::Accept => (pre.clone(), info.weight),
        Verdict::AcceptWith(new) => (
            interner.intern(new.attributes),
            new.weight.unwrap_or(info.weight),
        ),
    };
    match resolve_by(info, family, own_addresses, post.next_hop) {
        Err(reason) => Imported::rejected(reason),
        Ok(addr) => Imported {
            post: Some(post),
            weight,
            rejected: None,
            reach: addr.map_or(Reach::Always, |addr| Reach::Tracked(tracker.id(addr))),
        },
    }
}

/// Prefixes that no packet between hosts is routed by: "semantically
/// incorrect", to be logged and ignored (RFC 4271 section 6.3). The rest of
/// 240.0.0.0/4 is left alone, since some networks use it.
fn is_martian_prefix(prefix: IpNet) -> bool {
    match prefix {
        IpNet::V4(net) => {
            let addr = net.network();
            (addr.is_multicast() && net.prefix_len() >= 4)
                || (addr.is_loopback() && net.prefix_len() >= 8)
                || addr.is_broadcast()
        }
        IpNet::V6(net) => {
            let addr = net.network();
            (addr.is_multicast() && net.prefix_len() >= 8)
                || (addr.is_unicast_link_local() && net.prefix_len() >= 10)
                || (net.prefix_len() == 128 && (addr.is_loopback() || addr.is_unspecified()))
        }
    }
}

/// The loops of RFC 4271 section 9.1.2 and RFC 4456 section 8.
fn find_loop(config: &RibConfig, peer: &PeerInfo, attributes: &AttrRef) -> Option<Rejection> {
    let allowed = usize::from(peer.allow_as_in);
    let looped = |asn| attributes.as_path.count(asn) > allowed;
    if looped(config.local_as) || looped(peer.local_as) {
        return Some(Rejection::AsPathLoop);
    }
    if attributes.originator_id == Some(config.router_id) {
        return Some(Rejection::OriginatorLoop);
    }
    if attributes.cluster_list.contains(&config.cluster_id()) {
        return Some(Rejection::ClusterLoop);
    }
    None
}

/// The address that has to be resolved for a next hop, none where the
/// interface of the session says it all; or what is wrong with it.
fn resolve_by(
    peer: &PeerInfo,
    family: Family,
    own: &[IpAddr],
    next_hop: Option<NextHop>,
) -> Result<Option<IpAddr>, Rejection> {
    let next_hop = next_hop.ok_or(Rejection::NoNextHop)?;
    let fits = match (family, next_hop) {
        (Family::Ipv4Unicast, NextHop::V4(_)) => true,
        (Family::Ipv6Unicast, NextHop::V4(_)) => false,
        (Family::Ipv4Unicast, NextHop::V6 { .. }) => peer.extended_next_hop.contains(family),
        (Family::Ipv6Unicast, NextHop::V6 { .. }) => true,
    };
    if !fits {
        return Err(Rejection::NoNextHop);
    }
    let addr = next_hop.addr();
    if is_martian(addr) {
        return Err(Rejection::MartianNextHop);
    }
    if own.binary_search(&addr).is_ok() || is_session_address(peer, addr) {
        return Err(Rejection::OwnNextHop);
    }
    if !is_link_local(addr) {
        return Ok(Some(addr));
    }
    let on_link = peer.local_link_local.is_some() || is_link_local(peer.address);
    if on_link {
        Ok(None)
    } else {
        Err(Rejection::NoNextHop)
    }
}

/// Whether it is our end of the session.
fn is_session_address(peer: &PeerInfo, addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => peer.local_v4 == Some(addr),
        IpAddr::V6(addr) => peer.local_v6 == Some(addr) || peer.local_link_local == Some(addr),
    }
}

/// IPv6 link-local, which means something on one interface only.
pub(crate) fn is_link_local(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(_) => false,
        IpAddr::V6(addr) => addr.is_unicast_link_local(),
    }
}

/// No address of a host: RFC 4271 section 6.3 asks for a valid one.
fn is_martian(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => is_martian_v4(addr),
        IpAddr::V6(addr) => is_martian_v6(addr),
    }
}

fn is_martian_v4(addr: Ipv4Addr) -> bool {
    let [first, ..] = addr.octets();
    first == 0 || first == 127 || first >= 224
}

fn is_martian_v6(addr: Ipv6Addr) -> bool {
    addr.is_unspecified() || addr.is_loopback() || addr.is_multicast()
}
