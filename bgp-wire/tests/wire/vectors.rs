//! Whole messages in octets, read and written: the form that others depend on.

use bgp_wire::family::AfiSafi;
use bgp_wire::{
    Announcement, Capability, Cease, CodecContext, LargeCommunity, Message, NextHop, Nlri,
    Notification, Open, Origin, PathAttributes, PeerKind, Prefixes, RouteRefresh, RouteRefreshKind,
    Update, decode_message,
};
use bytes::BytesMut;

use crate::builder::*;

fn v4(text: &str) -> Nlri<ipnet::Ipv4Net> {
    Nlri {
        path_id: 0,
        prefix: text.parse().expect("a prefix"),
    }
}

fn v6(text: &str) -> Nlri<ipnet::Ipv6Net> {
    Nlri {
        path_id: 0,
        prefix: text.parse().expect("a prefix"),
    }
}

fn open() -> Message {
    Message::Open(Open {
        version: 4,
        my_as: 23456,
        hold_time_secs: 180,
        bgp_id: [10, 0, 0, 1].into(),
        capabilities: vec![
            Capability::Multiprotocol(AfiSafi::IPV4_UNICAST),
            Capability::RouteRefresh,
            Capability::FourOctetAs(4_200_000_000),
        ],
    })
}

fn ipv4_update() -> Message {
    let attributes = PathAttributes {
        origin: Origin::Igp,
        as_path: "65001 65002 {65003}".parse().expect("a path"),
        med: Some(10),
        communities: vec!["65000:1".parse().expect("a community")],
        large_communities: vec![LargeCommunity::new(65000, 1, 2)],
        ..PathAttributes::default()
    };
    let announcement = Announcement {
        next_hop: NextHop::V4([192, 0, 2, 1].into()),
        prefixes: Prefixes::V4(vec![
            v4("203.0.113.0/24"),
            v4("10.128.0.0/9"),
            v4("0.0.0.0/0"),
        ]),
    };
    Message::Update(Box::new(Update {
        withdrawn: vec![Prefixes::V4(vec![v4("198.51.100.0/25")])],
        announced: vec![announcement],
        attributes,
        ..Update::default()
    }))
}

fn ipv6_update() -> Message {
    let attributes = PathAttributes {
        origin: Origin::Incomplete,
        local_pref: Some(200),
        ..PathAttributes::default()
    };
    let announcement = Announcement {
        next_hop: NextHop::V6 {
            global: "2001:db8::1".parse().expect("an address"),
            link_local: Some("fe80::1".parse().expect("an address")),
        },
        prefixes: Prefixes::V6(vec![v6("2001:db8:1::/48"), v6("::/0")]),
    };
    Message::Update(Box::new(Update {
        withdrawn: vec![Prefixes::V6(vec![v6("2001:db8:2::/47")])],
        announced: vec![announcement],
        attributes,
        ..Update::default()
    }))
}

/// (session, type, body, message)
fn table() -> Vec<(CodecContext, u8, &'static str, Message)> {
    let external = context(PeerKind::External);
    let internal = context(PeerKind::Internal);
    vec![
        (
            external,
            1,
            "04 5ba0 00b4 0a000001 10 02 0e 0104 0001 00 01 0200 4104 fa56ea00",
            open(),
        ),
        (
            external,
            2,
            "0005 19 c6336400
             003b
             40 01 01 00
             40 02 10 02 02 0000fde9 0000fdea 01 01 0000fdeb
             40 03 04 c0000201
             80 04 04 0000000a
             c0 08 04 fde80001
             c0 20 0c 0000fde8 00000001 00000002
             18 cb0071 09 0a80 00",
            ipv4_update(),
        ),
        (
            internal,
            2,
            "0000
             004b
             80 0e 2d 0002 01 20 20010db8000000000000000000000001
                fe800000000000000000000000000001 00 30 20010db80001 00
             80 0f 0a 0002 01 2f 20010db80002
             40 01 01 02
             40 02 00
             40 05 04 000000c8",
            ipv6_update(),
        ),
        (
            external,
            3,
            "06 02 04 62796521",
            Message::Notification(Notification::shutdown(
                Cease::AdministrativeShutdown,
                "bye!",
            )),
        ),
        (
            external,
            3,
            "06 03",
            Message::Notification(Notification::cease(Cease::PeerDeconfigured)),
        ),
        (external, 4, "", Message::Keepalive),
        (
            external,
            5,
            "0002 01 01",
            Message::RouteRefresh(RouteRefresh {
                family: AfiSafi::IPV6_UNICAST,
                kind: RouteRefreshKind::Begin,
            }),
        ),
    ]
}

#[test]
fn octets_are_read() {
    for (ctx, kind, body, expected) in table() {
        let decoded = decode_message(&ctx, &message(kind, &hex(body)));
        assert_eq!(decoded, Ok(expected), "{body}");
    }
}

#[test]
fn octets_are_written() {
    for (ctx, kind, body, given) in table() {
        let mut out = BytesMut::new();
        given.encode(&ctx, &mut out).expect("fits");
        assert_eq!(to_hex(&out), to_hex(&message(kind, &hex(body))), "{body}");
    }
}
