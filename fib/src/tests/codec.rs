//! What is written is what is read.

use ipnet::IpNet;
use proptest::prelude::*;

use crate::codec::{Body, Notice, PROTOCOL_BGP, append_operation, ask_for_answer, messages};
use crate::reconcile::{Operation, Verb};
use crate::route::{KernelHop, KernelKind, KernelRoute};

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
        1 => prop::sample::select(vec![KernelKind::Blackhole, KernelKind::Unreachable, KernelKind::Prohibit]),
    ]
}

fn operation() -> impl Strategy<Value = (IpNet, KernelRoute)> {
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

proptest! {
    #[test]
    fn routes_survive_the_way_through_bytes(
        routes in prop::collection::vec(operation(), 1..5),
        table in 1..5000u32,
    ) {
        let mut bytes = Vec::new();
        for (n, (prefix, route)) in routes.iter().enumerate() {
            let verb = Verb::Replace(route.clone().into());
            append_operation(&mut bytes, &Operation { prefix: *prefix, verb }, table, n as u32);
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
        kind in 16..30u16,
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
    let operation = Operation {
        prefix: "192.0.2.0/24".parse().unwrap(),
        verb: Verb::Create(route.into()),
    };
    append_operation(&mut bytes, &operation, 254, 1);
    append_operation(&mut bytes, &operation, 254, 2);
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
