//! Netlink messages to bytes and back.
//!
//! Reading walks the attributes itself: the kernel of tomorrow may put attributes into a link or
//! a route that `netlink-packet-route` cannot parse, and a link that is not understood in every
//! detail is still a link. It also costs a quarter.
//!
//! Writing uses the types of that library (and of [`nexthop`](crate::nexthop), which are like
//! them) for all but routes. Of those there may be a million, so they go into the buffer as they
//! are, without an allocation; the tests hold the result against the library's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::route::{RouteAttribute, RouteMessage, RouteProtocol};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::kernel::Link;
use crate::nexthop::{
    GroupMember, NEXTHOP_GRP_TYPE_MPATH, NEXTHOP_GRP_TYPE_RES, NHA_BLACKHOLE, NHA_ENCAP,
    NHA_ENCAP_TYPE, NHA_FDB, NHA_GATEWAY, NHA_GROUP, NHA_GROUP_TYPE, NHA_ID, NHA_OIF,
    NHA_RES_GROUP, NexthopAttribute, NexthopHeader, NexthopMessage, NexthopNetlinkMessage,
    RTM_DELNEXTHOP, RTM_NEWNEXTHOP, ResilientGroup,
};
use crate::object::{Group, Object, ObjectNotice, ObjectOperation, ObjectVerb};
use crate::reconcile::{Operation, Verb};
use crate::route::{KernelHop, KernelKind, KernelRoute};
use crate::view::Address;

/// `RTPROT_BGP`: how our routes are told from those of others.
pub(crate) const PROTOCOL_BGP: u8 = 186;
/// How our static routes are told from those of others: the number that FRR gives to its own
/// (`RTPROT_ZSTATIC`), which `ip` shows as `static` with FRR's `rt_protos`.
pub(crate) const PROTOCOL_STATIC: u8 = 196;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_DUMP_INTR: u16 = 0x10;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTNH_F_ONLINK: u8 = 4;
const RTN_UNSPEC: u8 = 0;
const RTN_UNICAST: u8 = 1;
const RTN_BLACKHOLE: u8 = 6;
const RTN_UNREACHABLE: u8 = 7;
const RTN_PROHIBIT: u8 = 8;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
const RT_SCOPE_NOWHERE: u8 = 255;
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
    Nexthop(ObjectNotice),
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
        RTM_NEWROUTE | RTM_DELROUTE => {
            route(payload, flags & NLM_F_REPLACE != 0, kind == RTM_DELROUTE)
        }
        RTM_NEWNEXTHOP | RTM_DELNEXTHOP => nexthop(payload, kind == RTM_DELNEXTHOP),
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
        vrf_table: None,
    };
    for (kind, value) in attributes(payload.get(16..)?) {
        match kind {
            3 => link.name = text(value),
            4 => link.mtu = u32_at(value, 0)?,
            10 => link.master = u32_at(value, 0).filter(|&m| m != 0),
            18 => link.vrf_table = vrf_table(value),
            _ => {}
        }
    }
    Some(Notice::Link { link, gone })
}

/// The table that `IFLA_LINKINFO` tells of a VRF device: `IFLA_INFO_KIND` 1,
/// `IFLA_INFO_DATA` 2, and in there `IFLA_VRF_TABLE` 1.
fn vrf_table(info: &[u8]) -> Option<u32> {
    if text(attribute(info, 1)?) != "vrf" {
        return None;
    }
    u32_at(attribute(attribute(info, 2)?, 1)?, 0)
}

fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    let mut found = attributes(bytes).filter(|(known, _)| *known == kind);
    found.next().map(|(_, value)| value)
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
    let mut nexthop = None;
    for (kind, value) in attributes(payload.get(12..)?) {
        match kind {
            1 => notice.prefix = IpNet::new(ip(family, value)?, length).ok()?,
            4 => single.ifindex = u32_at(value, 0)?,
            6 => notice.route.metric = u32_at(value, 0)?,
            7 => notice.route.prefsrc = ip(family, value),
            9 => hops = multipath(family, value),
            15 => notice.table = u32_at(value, 0)?,
            5 | 18 => single.gateway = gateway(family, kind, value),
            30 => nexthop = u32_at(value, 0),
            _ => {}
        }
    }
    if hops.is_empty() && single.ifindex != 0 {
        hops.push(single);
    }
    notice.route.kind = match (*payload.get(7)?, nexthop) {
        // What stands beside the number is the object once more, and not in each kernel.
        (RTN_UNICAST, Some(id)) => KernelKind::Nexthop(id),
        (kind, _) => kernel_kind(kind, hops),
    };
    Some(Notice::Route(notice))
}

fn kernel_kind(kind: u8, mut hops: Vec<KernelHop>) -> KernelKind {
    match kind {
        RTN_UNICAST => {
            hops.sort_unstable();
            KernelKind::Unicast(hops)
        }
        RTN_BLACKHOLE => KernelKind::Blackhole,
        RTN_UNREACHABLE => KernelKind::Unreachable,
        RTN_PROHIBIT => KernelKind::Prohibit,
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

/// `struct nhmsg`. Attributes that are not known, and those of objects that we neither make nor
/// resolve through, leave a message that still says which object it is about.
fn nexthop(payload: &[u8], gone: bool) -> Option<Notice> {
    let family = *payload.first()?;
    let protocol = *payload.get(2)?;
    let mut hop = KernelHop {
        gateway: None,
        ifindex: 0,
        weight: 1,
        onlink: u32_at(payload, 4)? & u32::from(RTNH_F_ONLINK) != 0,
    };
    let (mut id, mut blackhole, mut understood) = (None, false, true);
    let (mut members, mut group_type, mut resilient) = (None, NEXTHOP_GRP_TYPE_MPATH, None);
    for (kind, value) in attributes(payload.get(8..)?) {
        match kind {
            NHA_ID => id = u32_at(value, 0),
            NHA_BLACKHOLE => blackhole = true,
            NHA_OIF => hop.ifindex = u32_at(value, 0).unwrap_or(0),
            NHA_GATEWAY => {
                hop.gateway = ip(family, value);
                understood &= hop.gateway.is_some();
            }
            NHA_GROUP => {
                members = GroupMember::parse_list(value).ok();
                understood &= members.is_some();
            }
            NHA_GROUP_TYPE => group_type = u16_at(value, 0).unwrap_or(u16::MAX),
            NHA_RES_GROUP => resilient = ResilientGroup::parse(value).ok(),
            NHA_ENCAP_TYPE | NHA_ENCAP | NHA_FDB => understood = false,
            _ => {}
        }
    }
    let object = match members {
        _ if !understood => Object::Other,
        Some(members) => group(members, group_type, resilient),
        None if blackhole => Object::Blackhole,
        None if hop.ifindex != 0 => Object::Hop(hop),
        None => Object::Other,
    };
    Some(Notice::Nexthop(ObjectNotice {
        id: id?,
        protocol,
        object,
        gone,
    }))
}

fn group(mut members: Vec<GroupMember>, kind: u16, resilient: Option<ResilientGroup>) -> Object {
    let resilient = match (kind, resilient) {
        (NEXTHOP_GRP_TYPE_MPATH, _) => None,
        (NEXTHOP_GRP_TYPE_RES, Some(resilient)) => Some(resilient),
        _ => return Object::Other,
    };
    members.sort_unstable();
    Object::Group(Group { members, resilient })
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
    Nexthops,
}

/// A request to list everything of a kind.
pub(crate) fn dump_request(dump: Dump, sequence: u32) -> Vec<u8> {
    const FLAGS: u16 = NLM_F_REQUEST | NLM_F_DUMP;
    let mut bytes = Vec::new();
    let message = match dump {
        Dump::Links => RouteNetlinkMessage::GetLink(LinkMessage::default()),
        Dump::Addresses => RouteNetlinkMessage::GetAddress(AddressMessage::default()),
        Dump::Routes { ipv6, table } => {
            let mut message = RouteMessage::default();
            message.header.address_family = match ipv6 {
                true => AddressFamily::Inet6,
                false => AddressFamily::Inet,
            };
            message.attributes.push(RouteAttribute::Table(table));
            RouteNetlinkMessage::GetRoute(message)
        }
        Dump::Nexthops => {
            let message = NexthopNetlinkMessage::Get(NexthopMessage::default());
            append(&mut bytes, message, FLAGS, sequence);
            return bytes;
        }
    };
    append(&mut bytes, message, FLAGS, sequence);
    bytes
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

fn append<M: NetlinkSerializable>(bytes: &mut Vec<u8>, message: M, flags: u16, sequence: u32) {
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

// ===== Writing nexthop objects =====

/// More do not fit into an attribute.
const MEMBERS: usize = 8191;

/// Appends the message for `operation`, which asks for no acknowledgement: the kernel reports
/// errors anyway.
///
/// Setting [`Object::Other`], or a group of more members than an attribute has room for, is a
/// message that the kernel refuses (`EINVAL`), so that each operation has its answer.
///
/// Deleting goes by the number alone: the kernel does not look at whose object it is.
pub(crate) fn append_object_operation(
    bytes: &mut Vec<u8>,
    operation: &ObjectOperation,
    sequence: u32,
) {
    let mut message = NexthopMessage::default();
    message.attributes.push(NexthopAttribute::Id(operation.id));
    let (message, flags) = match &operation.verb {
        ObjectVerb::Set(object) => {
            message.header = header(object);
            message.attributes.extend(contents(object));
            let message = NexthopNetlinkMessage::New(message);
            (message, NLM_F_CREATE | NLM_F_REPLACE)
        }
        ObjectVerb::Delete => (NexthopNetlinkMessage::Delete(message), 0),
    };
    append(bytes, message, NLM_F_REQUEST | flags, sequence);
}

/// What has no gateway goes as IPv6, since routes of both families can use that; IPv6 routes
/// cannot use an IPv4 object.
fn header(object: &Object) -> NexthopHeader {
    let mut header = NexthopHeader {
        protocol: RouteProtocol::from(PROTOCOL_BGP),
        ..NexthopHeader::default()
    };
    match object {
        Object::Hop(hop) => {
            header.family = match hop.gateway {
                Some(IpAddr::V4(_)) => AddressFamily::Inet,
                Some(IpAddr::V6(_)) | None => AddressFamily::Inet6,
            };
            if hop.onlink {
                header.flags = u32::from(RTNH_F_ONLINK);
            }
        }
        Object::Blackhole => header.family = AddressFamily::Inet6,
        Object::Group(_) | Object::Other => {}
    }
    header
}

fn contents(object: &Object) -> Vec<NexthopAttribute> {
    match object {
        Object::Hop(hop) => {
            let mut attributes = vec![NexthopAttribute::Oif(hop.ifindex)];
            attributes.extend(hop.gateway.map(NexthopAttribute::Gateway));
            attributes
        }
        Object::Group(group) if group.members.len() <= MEMBERS => {
            let mut attributes = vec![NexthopAttribute::Group(group.members.clone())];
            if let Some(resilient) = group.resilient {
                attributes.push(NexthopAttribute::GroupType(NEXTHOP_GRP_TYPE_RES));
                attributes.push(NexthopAttribute::Resilient(resilient));
            }
            attributes
        }
        Object::Blackhole => vec![NexthopAttribute::Blackhole],
        Object::Group(_) | Object::Other => Vec::new(),
    }
}

// ===== Writing routes =====

/// Room for a message with all but `RTA_MULTIPATH`.
const ROUTE: usize = 128;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const RTA_NH_ID: u16 = 30;

/// Whose routes: in which table, and under which protocol's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) table: u32,
    pub(crate) protocol: u8,
}

/// Appends the message for `operation`, which asks for no acknowledgement: the kernel reports
/// errors anyway.
pub(crate) fn append_operation(
    bytes: &mut Vec<u8>,
    operation: &Operation<impl Copy + Into<IpNet>>,
    place: Place,
    sequence: u32,
) {
    let (kind, flags) = match &operation.verb {
        // EXCL, so that a foreign route we do not know of yet is never overwritten.
        Verb::Create(_) => (RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL),
        Verb::Replace(_) => (RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE),
        Verb::Delete { .. } => (RTM_DELROUTE, 0),
    };
    let start = bytes.len();
    bytes.reserve(ROUTE);
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&(NLM_F_REQUEST | flags).to_ne_bytes());
    bytes.extend_from_slice(&sequence.to_ne_bytes());
    bytes.extend_from_slice(&[0; 4]);
    let prefix = operation.prefix.into();
    match &operation.verb {
        Verb::Create(route) | Verb::Replace(route) => {
            append_route_header(bytes, prefix, &RouteHeader::of(prefix, route), place);
            append_key(bytes, prefix, route.metric, place.table);
            append_route(bytes, is_v6(&prefix), route);
        }
        Verb::Delete { metric } => {
            append_route_header(bytes, prefix, &RouteHeader::ANY, place);
            append_key(bytes, prefix, *metric, place.table);
        }
    }
    let length = u32::try_from(bytes.len() - start).unwrap_or(u32::MAX);
    if let Some(field) = bytes.get_mut(start..start + 4) {
        field.copy_from_slice(&length.to_ne_bytes());
    }
}

/// What of `struct rtmsg` follows from the route and not from the prefix.
struct RouteHeader {
    scope: u8,
    kind: u8,
    onlink: bool,
}

impl RouteHeader {
    /// For deleting: without type and next hops, so that all of them go.
    const ANY: Self = Self {
        scope: RT_SCOPE_NOWHERE,
        kind: RTN_UNSPEC,
        onlink: false,
    };

    fn of(prefix: IpNet, route: &KernelRoute) -> Self {
        let kind = match &route.kind {
            KernelKind::Unicast(_) | KernelKind::Nexthop(_) => RTN_UNICAST,
            KernelKind::Blackhole => RTN_BLACKHOLE,
            KernelKind::Unreachable => RTN_UNREACHABLE,
            KernelKind::Prohibit => RTN_PROHIBIT,
            KernelKind::Other(kind) => *kind,
        };
        let (scope, onlink) = match route.hops() {
            [hop] if hop.gateway.is_none() && !is_v6(&prefix) => (RT_SCOPE_LINK, hop.onlink),
            [hop] => (RT_SCOPE_UNIVERSE, hop.onlink),
            _ => (RT_SCOPE_UNIVERSE, false),
        };
        Self {
            scope,
            kind,
            onlink,
        }
    }
}

/// `struct rtmsg`, with the protocol, so that a foreign route never matches.
fn append_route_header(bytes: &mut Vec<u8>, prefix: IpNet, header: &RouteHeader, place: Place) {
    let family = if is_v6(&prefix) { AF_INET6 } else { AF_INET };
    // Tables above 255 only fit into the attribute.
    let table = u8::try_from(place.table).unwrap_or(0);
    bytes.extend_from_slice(&[family, prefix.prefix_len(), 0, 0]);
    bytes.extend_from_slice(&[table, place.protocol, header.scope, header.kind]);
    let flags = if header.onlink { RTNH_F_ONLINK } else { 0 };
    bytes.extend_from_slice(&u32::from(flags).to_ne_bytes());
}

/// What tells the route from others.
fn append_key(bytes: &mut Vec<u8>, prefix: IpNet, metric: u32, table: u32) {
    append_address(bytes, RTA_DST, prefix.network());
    append_u32(bytes, RTA_TABLE, table);
    if metric != 0 {
        append_u32(bytes, RTA_PRIORITY, metric);
    }
}

fn append_route(bytes: &mut Vec<u8>, ipv6: bool, route: &KernelRoute) {
    if let Some(source) = route.prefsrc {
        append_address(bytes, RTA_PREFSRC, source);
    }
    if let KernelKind::Nexthop(id) = route.kind {
        append_u32(bytes, RTA_NH_ID, id);
    }
    match route.hops() {
        [] => {}
        [hop] => {
            append_u32(bytes, RTA_OIF, hop.ifindex);
            append_gateway(bytes, ipv6, hop.gateway);
        }
        hops => append_multipath(bytes, ipv6, hops),
    }
}

/// A list of `struct rtnexthop`, each with its own attributes.
fn append_multipath(bytes: &mut Vec<u8>, ipv6: bool, hops: &[KernelHop]) {
    let list = bytes.len();
    append_attribute_header(bytes, RTA_MULTIPATH, 0);
    for hop in hops {
        let entry = bytes.len();
        let weight = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
        let flags = if hop.onlink { RTNH_F_ONLINK } else { 0 };
        bytes.extend_from_slice(&[0, 0, flags, weight]);
        bytes.extend_from_slice(&hop.ifindex.to_ne_bytes());
        append_gateway(bytes, ipv6, hop.gateway);
        close(bytes, entry);
    }
    close(bytes, list);
}

/// An IPv4 route through an IPv6 router (RFC 8950) has its gateway in `RTA_VIA`.
fn append_gateway(bytes: &mut Vec<u8>, ipv6: bool, gateway: Option<IpAddr>) {
    let Some(gateway) = gateway else {
        return;
    };
    if gateway.is_ipv6() == ipv6 {
        return append_address(bytes, RTA_GATEWAY, gateway);
    }
    let family = if ipv6 { AF_INET } else { AF_INET6 };
    match gateway {
        IpAddr::V4(address) => {
            append_attribute_header(bytes, RTA_VIA, 6);
            bytes.extend_from_slice(&u16::from(family).to_ne_bytes());
            bytes.extend_from_slice(&address.octets());
        }
        IpAddr::V6(address) => {
            append_attribute_header(bytes, RTA_VIA, 18);
            bytes.extend_from_slice(&u16::from(family).to_ne_bytes());
            bytes.extend_from_slice(&address.octets());
        }
    }
    // Six and eighteen octets end in the middle of a word.
    bytes.extend_from_slice(&[0; 2]);
}

fn append_address(bytes: &mut Vec<u8>, kind: u16, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            append_attribute_header(bytes, kind, 4);
            bytes.extend_from_slice(&address.octets());
        }
        IpAddr::V6(address) => {
            append_attribute_header(bytes, kind, 16);
            bytes.extend_from_slice(&address.octets());
        }
    }
}

fn append_u32(bytes: &mut Vec<u8>, kind: u16, value: u32) {
    append_attribute_header(bytes, kind, 4);
    bytes.extend_from_slice(&value.to_ne_bytes());
}

/// `struct rtattr` before a value of `length` octets.
fn append_attribute_header(bytes: &mut Vec<u8>, kind: u16, length: u16) {
    bytes.extend_from_slice(&(length + 4).to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
}

/// Puts the length of what begins at `at` and ends here into its first two octets. A list that is
/// too long for them is none that the kernel takes.
fn close(bytes: &mut [u8], at: usize) {
    let length = u16::try_from(bytes.len() - at).unwrap_or(u16::MAX);
    if let Some(field) = bytes.get_mut(at..at + 2) {
        field.copy_from_slice(&length.to_ne_bytes());
    }
}

fn is_v6(net: &IpNet) -> bool {
    matches!(net, IpNet::V6(_))
}
