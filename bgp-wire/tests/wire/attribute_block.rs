//! Attribute sets as octets: one form for each set, and the way back.

use std::net::{Ipv4Addr, Ipv6Addr};

use bgp_wire::{
    Aggregator, Aigp, AsPath, Community, ExtendedCommunity, Ipv6ExtendedCommunity, LargeCommunity,
    NextHop, Origin, PartialBits, PathAttributes, PeerKind, RawAttribute, Segment, SegmentKind,
    decode_attribute_block, decode_attributes, encode::encode_attributes, encode_attribute_block,
    put_attribute_block,
};
use bytes::BytesMut;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::builder::{context, hex, to_hex};
use crate::strategies::attributes;

// ===== any set at all =====

fn paths() -> impl Strategy<Value = AsPath> {
    let kinds = prop_oneof![
        Just(SegmentKind::Sequence),
        Just(SegmentKind::Set),
        Just(SegmentKind::ConfedSequence),
        Just(SegmentKind::ConfedSet)
    ];
    let segment =
        (kinds, vec(any::<u32>(), 1..300)).prop_map(|(kind, asns)| Segment { kind, asns });
    vec(segment, 0..4).prop_map(AsPath::from_segments)
}

fn next_hops() -> impl Strategy<Value = NextHop> {
    let ipv6 = (any::<Ipv6Addr>(), any::<Option<Ipv6Addr>>());
    prop_oneof![
        any::<Ipv4Addr>().prop_map(NextHop::V4),
        ipv6.prop_map(|(global, link_local)| NextHop::V6 { global, link_local }),
    ]
}

/// Any code in any order with any flags: more than a peer could make us keep.
fn unknown() -> impl Strategy<Value = Vec<RawAttribute>> {
    let flags = prop_oneof![Just(0xe0u8), Just(0xc0), any::<u8>()];
    let raw = (flags, any::<u8>(), vec(any::<u8>(), 0..300));
    let raw = raw.prop_map(|(flags, code, value)| RawAttribute { flags, code, value });
    vec(raw, 0..4)
}

/// Whether the attributes are there or not.
fn partial() -> impl Strategy<Value = PartialBits> {
    vec(any::<u8>(), 0..60).prop_map(|codes| {
        let mut bits = PartialBits::default();
        codes.into_iter().for_each(|code| bits.insert(code % 40));
        bits
    })
}

fn fill_numbers(set: PathAttributes) -> BoxedStrategy<PathAttributes> {
    let aggregator = option::of(any::<(u32, Ipv4Addr)>());
    let id = any::<Option<Ipv4Addr>>();
    let aigp = option::of(any::<(u64, Vec<u8>)>());
    let values = (
        any::<[Option<u32>; 3]>(),
        any::<bool>(),
        aggregator,
        id,
        aigp,
    );
    values
        .prop_map(
            move |([med, local_pref, otc], atomic, aggregator, id, aigp)| {
                let mut set = set.clone();
                set.med = med;
                set.local_pref = local_pref;
                set.only_to_customer = otc;
                set.atomic_aggregate = atomic;
                set.aggregator = aggregator.map(|(asn, id)| Aggregator { asn, id });
                set.originator_id = id;
                set.aigp = aigp.map(|(metric, others)| Aigp { metric, others });
                set
            },
        )
        .boxed()
}

fn fill_lists(set: PathAttributes) -> BoxedStrategy<PathAttributes> {
    let lists = (
        vec(any::<u32>(), 0..100),
        vec(any::<Ipv4Addr>(), 0..4),
        vec(any::<[u8; 8]>(), 0..40),
        vec(any::<[u8; 20]>(), 0..3),
        vec(any::<(u32, u32, u32)>(), 0..30),
    );
    lists
        .prop_map(move |(standard, clusters, extended, ipv6, large)| {
            let mut set = set.clone();
            set.communities = standard.into_iter().map(Community).collect();
            set.cluster_list = clusters;
            set.extended_communities = extended.into_iter().map(ExtendedCommunity).collect();
            let ipv6 = ipv6.into_iter().map(Ipv6ExtendedCommunity);
            set.ipv6_extended_communities = ipv6.collect();
            let large = large
                .into_iter()
                .map(|(a, b, c)| LargeCommunity::new(a, b, c));
            set.large_communities = large.collect();
            set
        })
        .boxed()
}

fn any_attributes() -> impl Strategy<Value = PathAttributes> {
    let origins = prop_oneof![
        Just(Origin::Igp),
        Just(Origin::Egp),
        Just(Origin::Incomplete)
    ];
    let rest = (
        origins,
        paths(),
        option::of(next_hops()),
        unknown(),
        partial(),
    );
    rest.prop_map(
        |(origin, as_path, next_hop, unknown, partial)| PathAttributes {
            origin,
            as_path,
            next_hop,
            unknown,
            partial,
            ..PathAttributes::default()
        },
    )
    .prop_flat_map(fill_numbers)
    .prop_flat_map(fill_lists)
}

/// One of the fields of another set.
fn take_one(to: &mut PathAttributes, from: PathAttributes, field: u8) {
    match field % 17 {
        0 => to.origin = from.origin,
        1 => to.as_path = from.as_path,
        2 => to.next_hop = from.next_hop,
        3 => to.med = from.med,
        4 => to.local_pref = from.local_pref,
        5 => to.atomic_aggregate = from.atomic_aggregate,
        6 => to.aggregator = from.aggregator,
        7 => to.communities = from.communities,
        8 => to.originator_id = from.originator_id,
        9 => to.cluster_list = from.cluster_list,
        10 => to.extended_communities = from.extended_communities,
        11 => to.ipv6_extended_communities = from.ipv6_extended_communities,
        12 => to.large_communities = from.large_communities,
        13 => to.only_to_customer = from.only_to_customer,
        14 => to.unknown = from.unknown,
        15 => to.aigp = from.aigp,
        _ => to.partial = from.partial,
    }
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(set in any_attributes()) {
        let block = encode_attribute_block(&set);
        prop_assert_eq!(decode_attribute_block(&block), Some(set));
    }

    #[test]
    fn sets_of_peers_survive(set in attributes(PeerKind::Internal), hop in option::of(next_hops())) {
        let set = PathAttributes { next_hop: hop, ..set };
        let block = encode_attribute_block(&set);
        prop_assert_eq!(decode_attribute_block(&block), Some(set));
    }

    #[test]
    fn equal_octets_are_equal_sets(a in any_attributes(), other in any_attributes(), field: u8) {
        let mut b = a.clone();
        take_one(&mut b, other, field);
        let same = encode_attribute_block(&a) == encode_attribute_block(&b);
        prop_assert_eq!(a == b, same);
        // And built another way, with capacity that differs.
        let again = decode_attribute_block(&encode_attribute_block(&a)).expect("our own");
        prop_assert_eq!(encode_attribute_block(&again), encode_attribute_block(&a));
    }

    /// With an IPv4 next hop it is what a modern session sends.
    #[test]
    fn is_the_form_of_the_wire(set in attributes(PeerKind::Internal), hop: Ipv4Addr) {
        let set = PathAttributes { next_hop: Some(NextHop::V4(hop)), ..set };
        let mut wire = BytesMut::new();
        let ctx = context(PeerKind::Internal);
        encode_attributes(&ctx, &set, &mut wire).expect("fits");
        prop_assert_eq!(to_hex(&encode_attribute_block(&set)), to_hex(&wire));
        if set.next_hop.is_some_and(NextHop::is_host) {
            let (read, faults) = decode_attributes(&ctx, &wire).expect("no reset");
            prop_assert_eq!(faults.len(), 0);
            prop_assert_eq!(decode_attribute_block(&wire), Some(read));
        }
    }

    #[test]
    fn appending_leaves_what_is_there(set in any_attributes(), before in vec(any::<u8>(), 0..9)) {
        let mut out = BytesMut::from(&before[..]);
        put_attribute_block(&set, &mut out);
        prop_assert_eq!(&out[..before.len()], &before[..]);
        prop_assert_eq!(&out[before.len()..], &encode_attribute_block(&set)[..]);
    }

    #[test]
    fn octets_that_are_no_set_do_no_harm(octets in vec(any::<u8>(), 0..80)) {
        if let Some(set) = decode_attribute_block(&octets) {
            let block = encode_attribute_block(&set);
            prop_assert_eq!(decode_attribute_block(&block), Some(set));
        }
    }

    #[test]
    fn a_cut_block_is_another_set_or_none(set in any_attributes(), at: prop::sample::Index) {
        let block = encode_attribute_block(&set);
        let cut = &block[..at.index(block.len())];
        prop_assert_ne!(decode_attribute_block(cut), Some(set));
    }
}

// ===== by hand =====

fn assert_survives(set: PathAttributes) -> Vec<u8> {
    let block = encode_attribute_block(&set);
    assert_eq!(decode_attribute_block(&block), Some(set));
    block
}

#[test]
fn the_default_set_has_origin_and_path() {
    let block = assert_survives(PathAttributes::default());
    assert_eq!(to_hex(&block), "40010102400200");
    assert_eq!(
        to_hex(&assert_survives(PathAttributes {
            origin: Origin::Igp,
            ..PathAttributes::default()
        })),
        "40010100400200"
    );
}

#[test]
fn ipv6_next_hops_stand_alone() {
    let set = PathAttributes {
        next_hop: Some(NextHop::V6 {
            global: "2001:db8::1".parse().expect("an address"),
            link_local: Some("fe80::2".parse().expect("an address")),
        }),
        ..PathAttributes::default()
    };
    let expected = hex("40010102 400200 800e21 20
        20010db8000000000000000000000001 fe800000000000000000000000000002");
    assert_eq!(to_hex(&assert_survives(set)), to_hex(&expected));
}

/// An attribute that a filter removed may leave its Partial bit behind.
#[test]
fn a_partial_bit_without_its_attribute_survives() {
    for code in [7, 8, 16, 25, 32, 35] {
        let mut set = PathAttributes::default();
        let without = assert_survives(set.clone());
        set.partial.insert(code);
        assert_ne!(assert_survives(set), without, "{code}");
    }
}

#[test]
fn uninterpreted_attributes_are_in_their_place() {
    let raw = |code| RawAttribute {
        flags: 0xe0,
        code,
        value: vec![code],
    };
    let set = PathAttributes {
        med: Some(1),
        large_communities: vec![LargeCommunity::new(1, 2, 3)],
        unknown: vec![raw(0), raw(20), raw(40)],
        ..PathAttributes::default()
    };
    let expected = hex("e0000100 40010102 400200 80040400000001 e0140114
        c0200c000000010000000200000003 e0280128");
    assert_eq!(to_hex(&assert_survives(set)), to_hex(&expected));
}

/// Nobody sends these; a caller that makes them gets them back nevertheless.
#[test]
fn strange_uninterpreted_attributes_survive() {
    let raw = |flags, code| RawAttribute {
        flags,
        code,
        value: vec![1, 2, 3, 4],
    };
    for unknown in [
        vec![raw(0xc0, 8)],
        vec![raw(0xc0, 14), raw(0xc0, 4)],
        vec![raw(0xff, 99)],
        vec![raw(0x10, 99)],
        vec![raw(0xc0, 99), raw(0xc0, 98), raw(0xc0, 98)],
    ] {
        assert_survives(PathAttributes {
            unknown,
            ..PathAttributes::default()
        });
    }
}

/// More than the two octets of a length on the wire can say.
#[test]
fn values_of_more_than_64k_survive() {
    let block = assert_survives(PathAttributes {
        as_path: AsPath::from_sequence(vec![4_200_000_000; 20_000]),
        communities: (0..20_000).map(Community).collect(),
        unknown: vec![RawAttribute {
            flags: 0xc0,
            code: 99,
            value: vec![7; 70_000],
        }],
        ..PathAttributes::default()
    });
    assert!(block.len() > 230_000);
    for len in [255, 256, 65_535, 65_536] {
        assert_survives(PathAttributes {
            unknown: vec![RawAttribute {
                flags: 0xe0,
                code: 99,
                value: vec![7; len],
            }],
            ..PathAttributes::default()
        });
    }
}
