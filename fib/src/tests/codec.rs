//! What is written is what is read, and what `netlink-packet-route` would write.

use std::hint::black_box;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use netlink_packet_core::{
    NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteNextHop, RouteNextHopFlags,
    RouteProtocol, RouteScope, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use proptest::prelude::*;

use crate::codec::{Body, Notice, PROTOCOL_BGP, Place, append_operation, ask_for_answer, messages};
use crate::reconcile::{Operation, Verb};
use crate::route::{KernelHop, KernelKind, KernelRoute};

const fn bgp(table: u32) -> Place {
    Place {
        table,
        protocol: PROTOCOL_BGP,
    }
}

fn address(ipv6: bool) -> BoxedStrategy<std::net::IpAddr> {
    match ipv6 {
        true => any::<std::net::Ipv6Addr>().prop_map(Into::into).boxed(),
        false => any::<std::net::Ipv4Addr>().prop_map(Into::into).boxed(),
    }
}

fn hop(ipv6: bool) -> impl Strategy<Value = KernelHop> {
    // IPv4 routes may have IPv6 routers, not the other way round.
    let gateway = any::<bool>().prop_flat_map(move |six| address(ipv6 || six));
    (
        prop::option::of(gateway),
        1..1000u32,
        1..=256u16,
        any::<bool>(),
    )
        .prop_map(|(gateway, ifindex, weight, onlink)| KernelHop {
            gateway,
            ifindex,
            weight,
            onlink,
        })
}

fn kind(ipv6: bool) -> impl Strategy<Value = KernelKind> {
    let hops = prop::collection::vec(hop(ipv6), 1..20).prop_map(|mut hops| {
        hops.sort_unstable();
        if let [only] = hops.as_mut_slice() {
            only.weight = 1;
        }
        KernelKind::Unicast(hops)
    });
    prop_oneof![
        4 => hops,
        2 => any::<u32>().prop_map(KernelKind::Nexthop),
        1 => prop::sample::select(vec![KernelKind::Blackhole, KernelKind::Unreachable, KernelKind::Prohibit]),
    ]
}

fn route() -> impl Strategy<Value = (IpNet, KernelRoute)> {
    any::<bool>().prop_flat_map(|ipv6| {
        let length = 0..=if ipv6 { 128u8 } else { 32 };
        (
            address(ipv6),
            length,
            any::<u32>(),
            kind(ipv6),
            prop::option::of(address(ipv6)),
        )
            .prop_map(|(address, length, metric, kind, prefsrc)| {
                let prefix = IpNet::new(address, length).unwrap().trunc();
                (
                    prefix,
                    KernelRoute {
                        metric,
                        kind,
                        prefsrc,
                    },
                )
            })
    })
}

fn operation() -> impl Strategy<Value = Operation<IpNet>> {
    (route(), 0..3).prop_map(|((prefix, route), verb)| Operation {
        prefix,
        verb: match verb {
            0 => Verb::Create(route.into()),
            1 => Verb::Replace(route.into()),
            _ => Verb::Delete {
                metric: route.metric,
            },
        },
    })
}

// ===== The same with the library's types =====

/// What the library makes of an operation.
fn library(operation: &Operation<IpNet>, table: u32) -> NetlinkMessage<RouteNetlinkMessage> {
    let (message, flags) = match &operation.verb {
        Verb::Create(route) => (
            RouteNetlinkMessage::NewRoute(library_route(operation.prefix, route, table)),
            NLM_F_CREATE | NLM_F_EXCL,
        ),
        Verb::Replace(route) => (
            RouteNetlinkMessage::NewRoute(library_route(operation.prefix, route, table)),
            NLM_F_CREATE | NLM_F_REPLACE,
        ),
        Verb::Delete { metric } => {
            let mut message = library_key(operation.prefix, *metric, table);
            message.header.scope = RouteScope::NoWhere;
            message.header.kind = RouteType::Unspec;
            (RouteNetlinkMessage::DelRoute(message), 0)
        }
    };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    header.sequence_number = 7;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
    message.finalize();
    message
}

fn library_key(prefix: IpNet, metric: u32, table: u32) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = match prefix {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    };
    message.header.destination_prefix_length = prefix.prefix_len();
    message.header.protocol = RouteProtocol::from(PROTOCOL_BGP);
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

fn library_route(prefix: IpNet, route: &KernelRoute, table: u32) -> RouteMessage {
    let mut message = library_key(prefix, route.metric, table);
    message.header.scope = RouteScope::Universe;
    message.header.kind = match &route.kind {
        KernelKind::Unicast(_) | KernelKind::Nexthop(_) => RouteType::Unicast,
        KernelKind::Blackhole => RouteType::BlackHole,
        KernelKind::Unreachable => RouteType::Unreachable,
        KernelKind::Prohibit => RouteType::Prohibit,
        KernelKind::Other(kind) => RouteType::from(*kind),
    };
    let source = route.prefsrc.map(|s| RouteAttribute::PrefSource(s.into()));
    message.attributes.extend(source);
    if let KernelKind::Nexthop(id) = route.kind {
        message.attributes.push(RouteAttribute::NhId(id));
    }
    let ipv6 = matches!(prefix, IpNet::V6(_));
    match route.hops() {
        [] => {}
        [hop] => {
            message.attributes.push(RouteAttribute::Oif(hop.ifindex));
            message
                .attributes
                .extend(hop.gateway.map(|gateway| library_gateway(ipv6, gateway)));
            if hop.gateway.is_none() && !ipv6 {
                message.header.scope = RouteScope::Link;
            }
            if hop.onlink {
                message.header.flags = RouteFlags::Onlink;
            }
        }
        hops => {
            let list = hops.iter().map(|hop| library_hop(ipv6, hop)).collect();
            message.attributes.push(RouteAttribute::MultiPath(list));
        }
    }
    message
}

fn library_hop(ipv6: bool, hop: &KernelHop) -> RouteNextHop {
    let mut entry = RouteNextHop::default();
    entry.interface_index = hop.ifindex;
    entry.hops = u8::try_from(hop.weight - 1).unwrap();
    if hop.onlink {
        entry.flags = RouteNextHopFlags::Onlink;
    }
    entry
        .attributes
        .extend(hop.gateway.map(|gateway| library_gateway(ipv6, gateway)));
    entry
}

fn library_gateway(ipv6: bool, gateway: IpAddr) -> RouteAttribute {
    if gateway.is_ipv6() == ipv6 {
        RouteAttribute::Gateway(RouteAddress::from(gateway))
    } else {
        RouteAttribute::Via(RouteVia::from(gateway))
    }
}

/// Nanoseconds that `encode` takes for each of `operations`, in the best of some rounds.
fn nanoseconds(
    operations: &[Operation<IpNet>],
    mut encode: impl FnMut(&mut Vec<u8>, &Operation<IpNet>),
) -> u128 {
    let mut bytes = Vec::new();
    let mut round = || {
        let started = Instant::now();
        for operation in operations {
            // As long as the datagrams are.
            if bytes.len() > 32 << 10 {
                bytes.clear();
            }
            encode(&mut bytes, black_box(operation));
        }
        black_box(&bytes);
        started.elapsed()
    };
    let best: Duration = (0..5).map(|_| round()).min().unwrap();
    best.as_nanos() / operations.len() as u128
}

/// A measurement: `cargo test --release -p holdfast-fib --lib faster -- --ignored --nocapture`.
#[test]
#[ignore = "measures; meant for a release build"]
fn routes_are_written_faster_than_by_the_library() {
    let hop = |n: u8| KernelHop {
        gateway: Some(IpAddr::from([10, 0, n, 2])),
        ifindex: 2 + u32::from(n),
        weight: 1,
        onlink: false,
    };
    let kinds = [
        ("one hop", KernelKind::Unicast(vec![hop(1)])),
        ("four hops", KernelKind::Unicast((1..5).map(hop).collect())),
        ("an object", KernelKind::Nexthop(1_000_000_000)),
    ];
    for (name, kind) in kinds {
        let route = std::sync::Arc::new(KernelRoute {
            metric: 20,
            kind,
            prefsrc: None,
        });
        let operations: Vec<_> = (0..100_000u32)
            .map(|n| Operation {
                prefix: IpNet::new(IpAddr::from((n << 8).to_be_bytes()), 24).unwrap(),
                verb: Verb::Replace(route.clone()),
            })
            .collect();
        let ours = nanoseconds(&operations, |bytes, operation| {
            append_operation(bytes, operation, bgp(254), 7);
        });
        let theirs = nanoseconds(&operations, |bytes, operation| {
            let message = library(operation, 254);
            let start = bytes.len();
            bytes.resize(start + message.buffer_len(), 0);
            message.serialize(&mut bytes[start..]);
        });
        println!("{name}: {ours} ns, with the library's types {theirs} ns");
        assert!(ours < theirs);
    }
}

proptest! {
    #[test]
    fn routes_are_written_as_the_library_would(operation in operation(), table in 1..5000u32) {
        let mut bytes = Vec::new();
        append_operation(&mut bytes, &operation, bgp(table), 7);
        let expected = library(&operation, table);
        let read = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&bytes).unwrap();
        prop_assert_eq!(&read, &expected);
        let mut octets = vec![0; expected.buffer_len()];
        expected.serialize(&mut octets);
        prop_assert_eq!(bytes, octets);
    }

    #[test]
    fn routes_survive_the_way_through_bytes(
        routes in prop::collection::vec(route(), 1..5),
        table in 1..5000u32,
    ) {
        let mut bytes = Vec::new();
        for (n, (prefix, route)) in routes.iter().enumerate() {
            let verb = Verb::Replace(route.clone().into());
            append_operation(&mut bytes, &Operation { prefix: *prefix, verb }, bgp(table), n as u32);
        }
        ask_for_answer(&mut bytes, 0);
        let read: Vec<_> = messages(&bytes).collect();
        prop_assert_eq!(read.len(), routes.len());
        for (n, (message, (prefix, route))) in read.into_iter().zip(routes).enumerate() {
            prop_assert_eq!(message.sequence as usize, n);
            let Body::Notice(Notice::Route(notice)) = message.body else {
                return Err(TestCaseError::fail("not a route"));
            };
            prop_assert_eq!((notice.prefix, notice.table), (prefix, table));
            prop_assert_eq!((notice.protocol, notice.replaced, notice.gone), (PROTOCOL_BGP, true, false));
            prop_assert_eq!(notice.route, route);
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(messages(&bytes).count() <= bytes.len());
    }

    /// As above, but with a header that lets the rest be looked at.
    #[test]
    fn any_message_is_survived(
        kind in prop_oneof![16..30u16, 104..107u16],
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&(16 + body.len() as u32).to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&[0; 10]);
        bytes.extend_from_slice(&body);
        prop_assert_eq!(messages(&bytes).count(), 1);
    }
}

#[test]
fn a_truncated_datagram_ends_the_reading() {
    let mut bytes = Vec::new();
    let route = KernelRoute {
        metric: 20,
        kind: KernelKind::Blackhole,
        prefsrc: None,
    };
    let operation = Operation::<IpNet> {
        prefix: "192.0.2.0/24".parse().unwrap(),
        verb: Verb::Create(route.into()),
    };
    append_operation(&mut bytes, &operation, bgp(254), 1);
    append_operation(&mut bytes, &operation, bgp(254), 2);
    for length in 0..bytes.len() {
        assert_eq!(
            messages(&bytes[..length]).count(),
            usize::from(length >= bytes.len() / 2)
        );
    }
    // A length of zero must not be read for ever.
    bytes[..4].fill(0);
    assert_eq!(messages(&bytes).count(), 0);
}
