//! Many prefixes in few messages, and what cannot be sent.

use bgp_wire::{
    AddressFamily, Community, Decoder, EncodeError, Family, Message, NextHop, Nlri, PathAttributes,
    PeerKind, Prefixes, Update, V4, V6, decode_message, encode_announcements, encode_end_of_rib,
    encode_withdrawals,
};
use bytes::BytesMut;
use proptest::prelude::*;

use crate::builder::*;
use crate::strategies::{attributes, contexts, next_hop_v6, nlri};

/// Cuts what was written and reads each message.
fn read_all(ctx: &bgp_wire::CodecContext, out: &mut BytesMut) -> Vec<Update> {
    let mut decoder = Decoder::new();
    decoder.set_extended_message(ctx.extended_message);
    let mut updates = Vec::new();
    while let Some(frame) = decoder.decode(out).expect("sound headers") {
        match decode_message(ctx, &frame.bytes).expect("a sound UPDATE") {
            Message::Update(update) => updates.push(*update),
            other => panic!("not an UPDATE: {other:?}"),
        }
    }
    assert!(out.is_empty());
    updates
}

fn v4_route() -> PathAttributes {
    PathAttributes {
        as_path: "65001".parse().expect("a path"),
        next_hop: Some(NextHop::V4([192, 0, 2, 1].into())),
        ..PathAttributes::default()
    }
}

fn slash_24s(count: u32) -> Vec<Nlri<ipnet::Ipv4Net>> {
    (0..count)
        .map(|i| Nlri {
            path_id: i,
            prefix: V4::from_wire(&(0x0a00_0000 + (i << 8)).to_be_bytes(), 24).expect("a /24"),
        })
        .collect()
}

#[test]
fn messages_are_filled() {
    // 4096 - 23 - (4 ORIGIN, 9 AS_PATH, 7 NEXT_HOP) = 4053 octets: 1013 of 4.
    let ctx = context(PeerKind::External);
    for (count, messages) in [(0, 0), (1, 1), (1013, 1), (1014, 2), (2026, 2), (2027, 3)] {
        let mut out = BytesMut::new();
        let written = encode_announcements::<V4>(&ctx, &v4_route(), &slash_24s(count), &mut out);
        assert_eq!(written, Ok(messages), "{count}");
        let updates = read_all(&ctx, &mut out);
        assert_eq!(updates.len(), messages);
        let total: usize = updates.iter().map(|u| u.announced[0].prefixes.len()).sum();
        assert_eq!(total, count as usize);
    }
    // 4073 octets: 1018 of 4.
    for (count, messages) in [(0, 0), (1018, 1), (1019, 2)] {
        let mut out = BytesMut::new();
        let written = encode_withdrawals::<V4>(&ctx, &slash_24s(count), &mut out);
        assert_eq!(written, Ok(messages), "{count}");
        read_all(&ctx, &mut out);
    }
}

#[test]
fn long_messages_take_more() {
    let mut ctx = context(PeerKind::External);
    ctx.extended_message = true;
    let mut out = BytesMut::new();
    let written = encode_announcements::<V4>(&ctx, &v4_route(), &slash_24s(16_000), &mut out);
    assert_eq!(written, Ok(1));
    assert!(out.len() > 64_000);
    assert_eq!(
        read_all(&ctx, &mut out)[0].announced[0].prefixes.len(),
        16_000
    );
}

#[test]
fn attributes_that_leave_no_room_are_told() {
    let ctx = context(PeerKind::External);
    let mut route = v4_route();
    // 4053 octets are left (see above), 4 go to the header, 4 to a prefix.
    for (communities, fits) in [(1010, true), (1011, true), (1012, false), (30_000, false)] {
        route.communities = (0..communities).map(Community).collect();
        let mut out = BytesMut::from(&b"before"[..]);
        let written = encode_announcements::<V4>(&ctx, &route, &slash_24s(3), &mut out);
        match fits {
            true => assert!(written.is_ok(), "{communities}"),
            false => {
                let is_told = matches!(written, Err(EncodeError::AttributesTooLong { .. }));
                assert!(is_told, "{communities}");
                assert_eq!(&out[..], b"before");
            }
        }
    }
}

#[test]
fn next_hops_that_a_family_cannot_have() {
    let ctx = context(PeerKind::External);
    let v6 = NextHop::V6 {
        global: "2001:db8::1".parse().expect("an address"),
        link_local: None,
    };
    let family = Family::Ipv4Unicast;
    for next_hop in [None, Some(v6)] {
        let route = PathAttributes {
            next_hop,
            ..v4_route()
        };
        let written = encode_announcements::<V4>(&ctx, &route, &slash_24s(1), &mut BytesMut::new());
        assert_eq!(written, Err(EncodeError::NextHop { family }));
    }
    let prefixes = [Nlri {
        path_id: 0,
        prefix: "2001:db8::/32".parse().expect("a prefix"),
    }];
    let written = encode_announcements::<V6>(&ctx, &v4_route(), &prefixes, &mut BytesMut::new());
    let family = Family::Ipv6Unicast;
    assert_eq!(written, Err(EncodeError::NextHop { family }));
}

#[test]
fn mp_reach_is_the_first_attribute() {
    let mut ctx = context(PeerKind::External);
    ctx.extended_next_hop = set(Family::Ipv4Unicast);
    let route = PathAttributes {
        next_hop: Some(NextHop::V6 {
            global: "2001:db8::1".parse().expect("an address"),
            link_local: Some("fe80::1".parse().expect("an address")),
        }),
        ..v4_route()
    };
    let mut out = BytesMut::new();
    encode_announcements::<V4>(&ctx, &route, &slash_24s(1), &mut out).expect("fits");
    assert_eq!(out[23..25], [0x80, 14]);
    let updates = read_all(&ctx, &mut out);
    assert_eq!(announced(&updates[0]), ["10.0.0.0/24"]);
    assert_eq!(Some(updates[0].announced[0].next_hop), route.next_hop);
    // Such a session withdraws the same way.
    encode_withdrawals::<V4>(&ctx, &slash_24s(1), &mut out).expect("fits");
    assert_eq!(out[19..25], [0, 0, 0, 10, 0x80, 15]);
    assert_eq!(withdrawn(&read_all(&ctx, &mut out)[0]), ["10.0.0.0/24"]);
}

#[test]
fn markers() {
    let ctx = context(PeerKind::External);
    for (family, octets) in [
        (Family::Ipv4Unicast, "0000 0000"),
        (Family::Ipv6Unicast, "0000 0006 800f03 000201"),
    ] {
        let mut out = BytesMut::new();
        encode_end_of_rib(family, &mut out).expect("fits");
        assert_eq!(to_hex(&out), to_hex(&message(2, &hex(octets))));
        assert_eq!(read_all(&ctx, &mut out), [Update::end_of_rib(family)]);
    }
}

/// The prefixes of all updates in order, announced ones or withdrawn ones.
fn collect<F: AddressFamily>(updates: &[Update], announced: bool) -> Vec<Nlri<ipnet::IpNet>> {
    let lists = updates.iter().flat_map(|update| {
        let announced = update
            .announced
            .iter()
            .map(|a| &a.prefixes)
            .filter(move |_| announced);
        announced.chain(update.withdrawn.iter())
    });
    let mut all = Vec::new();
    for list in lists.filter(|list| list.family() == F::FAMILY) {
        match list {
            Prefixes::V4(list) => all.extend(list.iter().map(generic)),
            Prefixes::V6(list) => all.extend(list.iter().map(generic)),
        }
    }
    all
}

fn generic<P: Copy + Into<ipnet::IpNet>>(nlri: &Nlri<P>) -> Nlri<ipnet::IpNet> {
    Nlri {
        path_id: nlri.path_id,
        prefix: nlri.prefix.into(),
    }
}

fn check<F: AddressFamily>(
    ctx: &bgp_wire::CodecContext,
    route: &PathAttributes,
    prefixes: &[Nlri<F::Prefix>],
) {
    let expected: Vec<_> = prefixes.iter().map(generic).collect();
    let mut out = BytesMut::new();
    match encode_announcements::<F>(ctx, route, prefixes, &mut out) {
        Ok(messages) => {
            let updates = read_all(ctx, &mut out);
            assert_eq!(updates.len(), messages);
            assert_eq!(collect::<F>(&updates, true), expected);
            for update in &updates {
                let mut found = update.attributes.clone();
                found.next_hop = Some(update.announced[0].next_hop);
                assert_eq!(&found, route);
            }
        }
        Err(error) => {
            assert!(
                matches!(error, EncodeError::AttributesTooLong { .. }),
                "{error}"
            );
            assert!(out.is_empty());
        }
    }
    let messages = encode_withdrawals::<F>(ctx, prefixes, &mut out).expect("fits");
    let updates = read_all(ctx, &mut out);
    assert_eq!(updates.len(), messages);
    assert_eq!(collect::<F>(&updates, false), expected);
}

fn cases() -> impl Strategy<Value = (bgp_wire::CodecContext, PathAttributes)> {
    contexts().prop_flat_map(|ctx| (Just(ctx), attributes(ctx.peer_kind)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn packed_ipv4_is_read_back(
        (ctx, mut route) in cases(),
        plain in nlri::<V4>(0..2500, false),
    ) {
        route.next_hop = v4_route().next_hop;
        let prefixes = with_ids(plain, ctx.add_path_send.contains(Family::Ipv4Unicast));
        check::<V4>(&ctx, &route, &prefixes);
    }

    #[test]
    fn packed_ipv6_is_read_back(
        (ctx, mut route) in cases(),
        next_hop in next_hop_v6(),
        plain in nlri::<V6>(0..1000, false),
    ) {
        route.next_hop = Some(next_hop);
        let prefixes = with_ids(plain, ctx.add_path_send.contains(Family::Ipv6Unicast));
        check::<V6>(&ctx, &route, &prefixes);
    }
}

fn with_ids<P>(mut prefixes: Vec<Nlri<P>>, add_path: bool) -> Vec<Nlri<P>> {
    if add_path {
        for (nlri, id) in prefixes.iter_mut().zip(1..) {
            nlri.path_id = id;
        }
    }
    prefixes
}
