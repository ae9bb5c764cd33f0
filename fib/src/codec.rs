//! Netlink messages to bytes and back.
//!
//! Writing uses the types of `netlink-packet-route`. Reading walks the attributes itself: the
//! kernel of tomorrow may put attributes into a link or a route that the library cannot parse,
//! and a link that is not understood in every detail is still a link. It also costs a quarter.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteNextHop, RouteNextHopFlags,
    RouteProtocol, RouteScope, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::kernel::Link;
use crate::reconcile::{Operation, Verb};
use crate::route::{KernelHop, KernelKind, KernelRoute};
use crate::view::Address;

/// `RTPROT_BGP`: how our routes are told from those of others.
pub(crate) const PROTOCOL_BGP: u8 = 186;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_DUMP_INTR: u16 = 0x10;
const RTNH_F_ONLINK: u8 = 4;
const RTM_F_CLONED: u32 = 0x200;
const IFA_F_SECONDARY: u32 = 0x01;
const IFA_F_DADFAILED: u32 = 0x08;
const IFA_F_TENTATIVE: u32 = 0x40;

/// A route as the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RouteNotice {
    pub(crate) prefix: IpNet,
    pub(crate) table: u32,
    pub(crate) protocol: u8,
    pub(crate) route: KernelRoute,
    /// It took the place of whatever had the same prefix and metric.
    pub(crate) replaced: bool,
    pub(crate) gone: bool,
}

/// What a message from the kernel says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    Link {
        link: Link,
        gone: bool,
    },
    Address {
        ifindex: u32,
        address: Address,
        gone: bool,
    },
    Route(RouteNotice),
}

/// One message of a datagram.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) sequence: u32,
    /// The dump was interrupted by a change and may miss something.
    pub(crate) interrupted: bool,
    pub(crate) body: Body,
}

/// The kinds of message that matter here.
#[derive(Debug)]
pub(crate) enum Body {
    /// An acknowledgement (0), or the `errno` of a request that failed.
    Ack(i32),
    /// The end of a dump, with its `errno`.
    Done(i32),
    Notice(Notice),
    /// Something else, or something malformed.
    Other,
}

// ===== Reading =====

/// The messages of one datagram. Ends at the first one whose length makes no sense.
pub(crate) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Received> + '_ {
    std::iter::from_fn(move || {
        let length = u32_at(datagram, 0)? as usize;
        let message = datagram.get(..length)?;
        let payload = message.get(16..)?;
        let kind = u16_at(message, 4)?;
        let flags = u16_at(message, 6)?;
        let sequence = u32_at(message, 8)?;
        datagram = datagram
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
        let body = match kind {
            NLMSG_ERROR => Body::Ack(error_number(payload)),
            NLMSG_DONE => Body::Done(error_number(payload)),
            _ => notice(kind, flags, payload).map_or(Body::Other, Body::Notice),
        };
        Some(Received {
            sequence,
            interrupted: flags & NLM_F_DUMP_INTR != 0,
            body,
        })
    })
}

fn error_number(payload: &[u8]) -> i32 {
    u32_at(payload, 0).map_or(0, |v| (v.cast_signed()).wrapping_neg())
}

fn notice(kind: u16, flags: u16, payload: &[u8]) -> Option<Notice> {
    match kind {
        16 | 17 => link(payload, kind == 17),
        20 | 21 => address(payload, kind == 21),
        24 | 25 => route(payload, flags & NLM_F_REPLACE != 0, kind == 25),
        _ => None,
    }
}

/// `struct ifinfomsg`. A bridge tells about its ports with the same message in its own family,
/// where "deleted" means "no longer a port".
fn link(payload: &[u8], gone: bool) -> Option<Notice> {
    if *payload.first()? != 0 {
        return None;
    }
    let mut link = Link {
        ifindex: u32_at(payload, 4)?,
        name: String::new(),
        flags: u32_at(payload, 8)?,
        mtu: 0,
        master: None,
    };
    for (kind, value) in attributes(payload.get(16..)?) {
        match kind {
            3 => link.name = text(value),
            4 => link.mtu = u32_at(value, 0)?,
            10 => link.master = u32_at(value, 0).filter(|&m| m != 0),
            _ => {}
        }
    }
    Some(Notice::Link { link, gone })
}

/// `struct ifaddrmsg`.
fn address(payload: &[u8], gone: bool) -> Option<Notice> {
    let family = *payload.first()?;
    let length = *payload.get(1)?;
    let mut flags = u32::from(*payload.get(2)?);
    let ifindex = u32_at(payload, 4)?;
    let (mut near, mut far) = (None, None);
    for (kind, value) in attributes(payload.get(8..)?) {
        match kind {
            1 => far = ip(family, value),
            2 => near = ip(family, value),
            8 => flags = u32_at(value, 0)?,
            _ => {}
        }
    }
    // IFA_LOCAL is the host's own where it is given, and IFA_ADDRESS is then the other end.
    let own = near.or(far)?;
    let peer = far.filter(|&far| far != own);
    let address = Address {
        net: IpNet::new(own, length).ok()?,
        peer: peer.and_then(|peer| IpNet::new(peer, length).ok()),
        tentative: flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) != 0,
        secondary: family == AF_INET && flags & IFA_F_SECONDARY != 0,
    };
    Some(Notice::Address {
        ifindex,
        address,
        gone,
    })
}

/// `struct rtmsg`. Cached clones, routes for one type of service and routes by source are not
/// what a next hop resolves through, and pass unseen.
fn route(payload: &[u8], replaced: bool, gone: bool) -> Option<Notice> {
    let family = *payload.first()?;
    let (length, source_length, tos) = (*payload.get(1)?, *payload.get(2)?, *payload.get(3)?);
    let flags = u32_at(payload, 8)?;
    if flags & RTM_F_CLONED != 0 || tos != 0 || source_length != 0 {
        return None;
    }
    let mut notice = RouteNotice {
        prefix: IpNet::new(unspecified(family)?, length).ok()?,
        table: u32::from(*payload.get(4)?),
        protocol: *payload.get(5)?,
        route: KernelRoute {
            metric: 0,
            kind: KernelKind::Blackhole,
            prefsrc: None,
        },
        replaced,
        gone,
    };
    let mut single = KernelHop {
        gateway: None,
        ifindex: 0,
        weight: 1,
        onlink: flags & u32::from(RTNH_F_ONLINK) != 0,
    };
    let mut hops = Vec::new();
    for (kind, value) in attributes(payload.get(12..)?) {
        match kind {
            1 => notice.prefix = IpNet::new(ip(family, value)?, length).ok()?,
            4 => single.ifindex = u32_at(value, 0)?,
            6 => notice.route.metric = u32_at(value, 0)?,
            7 => notice.route.prefsrc = ip(family, value),
            9 => hops = multipath(family, value),
            15 => notice.table = u32_at(value, 0)?,
            5 | 18 => single.gateway = gateway(family, kind, value),
            _ => {}
        }
    }
    if hops.is_empty() && single.ifindex != 0 {
        hops.push(single);
    }
    notice.route.kind = kernel_kind(*payload.get(7)?, hops);
    Some(Notice::Route(notice))
}

fn kernel_kind(kind: u8, mut hops: Vec<KernelHop>) -> KernelKind {
    match kind {
        1 => {
            hops.sort_unstable();
            KernelKind::Unicast(hops)
        }
        6 => KernelKind::Blackhole,
        7 => KernelKind::Unreachable,
        8 => KernelKind::Prohibit,
        other => KernelKind::Other(other),
    }
}

/// A list of `struct rtnexthop`, each with its own attributes.
fn multipath(family: u8, mut list: &[u8]) -> Vec<KernelHop> {
    let mut hops = Vec::new();
    while let Some(length) = u16_at(list, 0) {
        let (Some(entry), Some(ifindex)) = (list.get(..usize::from(length)), u32_at(list, 4))
        else {
            break;
        };
        let (Some(&flags), Some(&weight), Some(rest)) =
            (entry.get(2), entry.get(3), entry.get(8..))
        else {
            break;
        };
        let mut hop = KernelHop {
            gateway: None,
            ifindex,
            weight: u16::from(weight) + 1,
            onlink: flags & RTNH_F_ONLINK != 0,
        };
        for (kind, value) in attributes(rest).filter(|(kind, _)| matches!(kind, 5 | 18)) {
            hop.gateway = gateway(family, kind, value);
        }
        hops.push(hop);
        list = list
            .get(usize::from(length).next_multiple_of(4)..)
            .unwrap_or_default();
    }
    hops
}

/// `RTA_GATEWAY` (5) is of the route's family, `RTA_VIA` (18) names its own.
fn gateway(family: u8, kind: u16, value: &[u8]) -> Option<IpAddr> {
    match kind {
        5 => ip(family, value),
        _ => ip(u8::try_from(u16_at(value, 0)?).ok()?, value.get(2..)?),
    }
}

/// `struct rtattr` after `struct rtattr`, each on four bytes. Ends where a length makes no sense.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    const TYPE_MASK: u16 = 0x3fff;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & TYPE_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn unspecified(family: u8) -> Option<IpAddr> {
    match family {
        AF_INET => Some(Ipv4Addr::UNSPECIFIED.into()),
        AF_INET6 => Some(Ipv6Addr::UNSPECIFIED.into()),
        _ => None,
    }
}

fn ip(family: u8, value: &[u8]) -> Option<IpAddr> {
    match family {
        AF_INET => Some(IpAddr::from(<[u8; 4]>::try_from(value).ok()?)),
        AF_INET6 => Some(IpAddr::from(<[u8; 16]>::try_from(value).ok()?)),
        _ => None,
    }
}

fn text(value: &[u8]) -> String {
    let end = value.iter().position(|&b| b == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

// ===== Writing =====

/// What to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dump {
    Links,
    Addresses,
    Routes { ipv6: bool, table: u32 },
}

/// A request to list everything of a kind.
pub(crate) fn dump_request(dump: Dump, sequence: u32) -> Vec<u8> {
    let message = match dump {
        Dump::Links => RouteNetlinkMessage::GetLink(LinkMessage::default()),
        Dump::Addresses => RouteNetlinkMessage::GetAddress(AddressMessage::default()),
        Dump::Routes { ipv6, table } => {
            let mut message = RouteMessage::default();
            message.header.address_family = family_of(ipv6);
            message.attributes.push(RouteAttribute::Table(table));
            RouteNetlinkMessage::GetRoute(message)
        }
    };
    let mut bytes = Vec::new();
    append(&mut bytes, message, NLM_F_REQUEST | NLM_F_DUMP, sequence);
    bytes
}

/// Appends the message for `operation`, which asks for no acknowledgement: the kernel reports
/// errors anyway.
pub(crate) fn append_operation(
    bytes: &mut Vec<u8>,
    operation: &Operation<IpNet>,
    table: u32,
    sequence: u32,
) {
    let (message, flags) = match &operation.verb {
        // EXCL, so that a foreign route we do not know of yet is never overwritten.
        Verb::Create(route) => (
            RouteNetlinkMessage::NewRoute(new_route(operation.prefix, route, table)),
            NLM_F_CREATE | NLM_F_EXCL,
        ),
        Verb::Replace(route) => (
            RouteNetlinkMessage::NewRoute(new_route(operation.prefix, route, table)),
            NLM_F_CREATE | NLM_F_REPLACE,
        ),
        Verb::Delete { metric } => (
            RouteNetlinkMessage::DelRoute(old_route(operation.prefix, *metric, table)),
            0,
        ),
    };
    append(bytes, message, NLM_F_REQUEST | flags, sequence);
}

/// Makes the message that begins at `at` ask for an acknowledgement: the last of a batch, so
/// that the end of the answers is known.
pub(crate) fn ask_for_answer(bytes: &mut [u8], at: usize) {
    let Some(field) = bytes.get_mut(at + 6..at + 8) else {
        return;
    };
    if let Ok(flags) = <[u8; 2]>::try_from(&*field) {
        field.copy_from_slice(&(u16::from_ne_bytes(flags) | NLM_F_ACK).to_ne_bytes());
    }
}

fn append(bytes: &mut Vec<u8>, message: RouteNetlinkMessage, flags: u16, sequence: u32) {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    header.sequence_number = sequence;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
    message.finalize();
    let start = bytes.len();
    let end = start + message.buffer_len();
    bytes.resize(end.next_multiple_of(4), 0);
    if let Some(space) = bytes.get_mut(start..end) {
        message.serialize(space);
    }
}

fn family_of(ipv6: bool) -> AddressFamily {
    if ipv6 {
        AddressFamily::Inet6
    } else {
        AddressFamily::Inet
    }
}

fn is_v6(net: &IpNet) -> bool {
    matches!(net, IpNet::V6(_))
}

fn base(prefix: IpNet, metric: u32, table: u32) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family_of(is_v6(&prefix));
    message.header.destination_prefix_length = prefix.prefix_len();
    message.header.protocol = RouteProtocol::from(PROTOCOL_BGP);
    // Tables above 255 only fit into the attribute.
    message.header.table = u8::try_from(table).unwrap_or(0);
    message
        .attributes
        .push(RouteAttribute::Destination(prefix.network().into()));
    message.attributes.push(RouteAttribute::Table(table));
    if metric != 0 {
        message.attributes.push(RouteAttribute::Priority(metric));
    }
    message
}

/// With the protocol, so that a foreign route never matches; without next hops, so that all of
/// them go.
fn old_route(prefix: IpNet, metric: u32, table: u32) -> RouteMessage {
    let mut message = base(prefix, metric, table);
    message.header.scope = RouteScope::NoWhere;
    message.header.kind = RouteType::Unspec;
    message
}

fn new_route(prefix: IpNet, route: &KernelRoute, table: u32) -> RouteMessage {
    let mut message = base(prefix, route.metric, table);
    message.header.scope = RouteScope::Universe;
    message.header.kind = match &route.kind {
        KernelKind::Unicast(_) | KernelKind::Nexthop(_) => RouteType::Unicast,
        KernelKind::Blackhole => RouteType::BlackHole,
        KernelKind::Unreachable => RouteType::Unreachable,
        KernelKind::Prohibit => RouteType::Prohibit,
        KernelKind::Other(kind) => RouteType::from(*kind),
    };
    if let Some(source) = route.prefsrc {
        message
            .attributes
            .push(RouteAttribute::PrefSource(source.into()));
    }
    if let KernelKind::Nexthop(id) = route.kind {
        message.attributes.push(RouteAttribute::NhId(id));
    }
    let ipv6 = is_v6(&prefix);
    match route.hops() {
        [] => {}
        [hop] => {
            message.attributes.push(RouteAttribute::Oif(hop.ifindex));
            match hop.gateway {
                Some(gateway) => message.attributes.push(gateway_attribute(ipv6, gateway)),
                None if !ipv6 => message.header.scope = RouteScope::Link,
                None => {}
            }
            if hop.onlink {
                message.header.flags = RouteFlags::Onlink;
            }
        }
        hops => {
            let list = hops.iter().map(|hop| next_hop(ipv6, hop)).collect();
            message.attributes.push(RouteAttribute::MultiPath(list));
        }
    }
    message
}

fn next_hop(ipv6: bool, hop: &KernelHop) -> RouteNextHop {
    let mut entry = RouteNextHop::default();
    entry.interface_index = hop.ifindex;
    entry.hops = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
    if hop.onlink {
        entry.flags = RouteNextHopFlags::Onlink;
    }
    entry
        .attributes
        .extend(hop.gateway.map(|gateway| gateway_attribute(ipv6, gateway)));
    entry
}

/// An IPv4 route through an IPv6 router (RFC 8950) has its gateway in `RTA_VIA`.
fn gateway_attribute(ipv6: bool, gateway: IpAddr) -> RouteAttribute {
    if gateway.is_ipv6() == ipv6 {
        RouteAttribute::Gateway(RouteAddress::from(gateway))
    } else {
        RouteAttribute::Via(RouteVia::from(gateway))
    }
}
