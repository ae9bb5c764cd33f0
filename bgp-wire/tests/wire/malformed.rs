//! RFC 7606: every malformed attribute, as the first and as the last of its
//! UPDATE, from eBGP and from iBGP.

use bgp_wire::{Action, PeerKind, Reason, decode_message};

use crate::builder::*;

/// What must become of the UPDATE.
#[derive(Debug, Clone, Copy)]
enum Expect {
    /// The prefix is withdrawn.
    Withdraw,
    /// The prefix is announced without the attribute.
    Discard,
    /// NOTIFICATION 3/x.
    Reset(u8),
}

/// The good attributes with the bad one in front of or behind them; one of the
/// same code is left out.
fn placed(peer_kind: PeerKind, bad: &[u8], first: bool) -> Vec<Vec<u8>> {
    let mut attributes = mandatory(peer_kind);
    attributes.retain(|good| good[1] != bad[1]);
    let index = if first { 0 } else { attributes.len() };
    attributes.insert(index, bad.to_vec());
    attributes
}

fn check_one(peer_kind: PeerKind, bad: &[u8], first: bool, expect: Expect) {
    let bytes = update(&[], &placed(peer_kind, bad, first), &NLRI);
    let result = decode(&context(peer_kind), &bytes);
    let case = format!("{peer_kind:?} first={first} {}", to_hex(bad));
    match (expect, result) {
        (Expect::Withdraw, Ok(update)) => {
            assert!(update.announced.is_empty(), "{case}");
            assert_eq!(withdrawn(&update), ["203.0.113.0/24"], "{case}");
            assert_eq!(
                update.worst_action(),
                Some(Action::TreatAsWithdraw),
                "{case}"
            );
            assert!(
                update.faults.iter().any(|f| f.attribute == bad[1]),
                "{case}"
            );
        }
        (Expect::Discard, Ok(update)) => {
            assert_eq!(announced(&update), ["203.0.113.0/24"], "{case}");
            assert!(update.withdrawn.is_empty(), "{case}");
            assert_eq!(update.worst_action(), Some(Action::Discard), "{case}");
            assert!(
                update.faults.iter().any(|f| f.attribute == bad[1]),
                "{case}"
            );
        }
        (Expect::Reset(subcode), Err(notification)) => {
            assert_eq!(
                (notification.code, notification.subcode),
                (3, subcode),
                "{case}"
            );
        }
        (expect, result) => panic!("{case}: expected {expect:?}, got {result:?}"),
    }
}

/// Checks all four cases. What is wrong with a route is no reason to end the
/// session as long as there are prefixes; without any, RFC 7606 section 5.2
/// asks for a reset.
fn check(bad: &[u8], external: Expect, internal: Expect) {
    for first in [true, false] {
        check_one(PeerKind::External, bad, first, external);
        check_one(PeerKind::Internal, bad, first, internal);
    }
    for (peer_kind, expect) in [
        (PeerKind::External, external),
        (PeerKind::Internal, internal),
    ] {
        let without_routes = update(&[], &[bad.to_vec()], &[]);
        let result = decode_message(&context(peer_kind), &without_routes);
        match expect {
            Expect::Discard => assert!(result.is_ok(), "{}", to_hex(bad)),
            _ => assert_eq!(result.expect_err("no routes").code, 3, "{}", to_hex(bad)),
        }
    }
}

fn withdraws(bad: &[u8]) {
    check(bad, Expect::Withdraw, Expect::Withdraw);
}

fn discards(bad: &[u8]) {
    check(bad, Expect::Discard, Expect::Discard);
}

/// Of attributes that only internal peers send.
fn withdraws_internal_only(bad: &[u8]) {
    check(bad, Expect::Discard, Expect::Withdraw);
}

macro_rules! cases {
    ($($name:ident: $check:ident($flags:literal, $code:literal, $value:literal);)*) => {
        $(#[test]
        fn $name() {
            $check(&attribute($flags, $code, &hex($value)));
        })*
    };
}

cases! {
    // RFC 7606 section 3 c: flags
    origin_marked_optional: withdraws(0xc0, 1, "00");
    origin_not_transitive: withdraws(0x00, 1, "00");
    as_path_marked_optional: withdraws(0xc0, 2, "02010000fde9");
    next_hop_not_transitive: withdraws(0x00, 3, "c0000201");
    med_marked_well_known: withdraws(0x40, 4, "00000001");
    med_marked_transitive: withdraws(0xc0, 4, "00000001");
    local_pref_marked_optional: withdraws_internal_only(0xc0, 5, "00000064");
    atomic_aggregate_marked_optional: withdraws(0xc0, 6, "");
    aggregator_not_transitive: withdraws(0x80, 7, "0000fde9c0000201");
    communities_not_transitive: withdraws(0x80, 8, "fde80001");
    originator_id_marked_transitive: withdraws_internal_only(0xc0, 9, "c0000201");
    cluster_list_marked_well_known: withdraws_internal_only(0x40, 10, "c0000201");
    extended_communities_not_transitive: withdraws(0x80, 16, "0002fde800000001");
    ipv6_extended_communities_not_transitive: withdraws(0x80, 25, "000220010db80000000000000000000000010001");
    large_communities_marked_well_known: withdraws(0x40, 32, "0000fde80000000100000002");
    otc_not_transitive: withdraws(0x80, 35, "0000fde8");

    // 7.1 ORIGIN
    origin_empty: withdraws(0x40, 1, "");
    origin_long: withdraws(0x40, 1, "0000");
    origin_value_3: withdraws(0x40, 1, "03");
    origin_value_255: withdraws(0x40, 1, "ff");

    // 7.2 AS_PATH, RFC 7607
    as_path_segment_type_0: withdraws(0x40, 2, "00010000fde9");
    as_path_segment_type_5: withdraws(0x40, 2, "05010000fde9");
    as_path_segment_empty: withdraws(0x40, 2, "0200");
    as_path_second_segment_empty: withdraws(0x40, 2, "02010000fde90100");
    as_path_segment_overrun: withdraws(0x40, 2, "02020000fde9");
    as_path_segment_underrun: withdraws(0x40, 2, "02010000fde900");
    as_path_type_only: withdraws(0x40, 2, "02");
    as_path_with_as_0: withdraws(0x40, 2, "02020000fde900000000");

    // 7.3 NEXT_HOP
    next_hop_empty: withdraws(0x40, 3, "");
    next_hop_short: withdraws(0x40, 3, "c00002");
    next_hop_long: withdraws(0x40, 3, "c000020101");
    next_hop_0: withdraws(0x40, 3, "00000000");
    next_hop_loopback: withdraws(0x40, 3, "7f000001");
    next_hop_multicast: withdraws(0x40, 3, "e0000001");
    next_hop_class_e: withdraws(0x40, 3, "f0000001");
    next_hop_broadcast: withdraws(0x40, 3, "ffffffff");

    // 7.4 MULTI_EXIT_DISC, 7.5 LOCAL_PREF
    med_short: withdraws(0x80, 4, "000001");
    med_long: withdraws(0x80, 4, "0000000001");
    med_empty: withdraws(0x80, 4, "");
    local_pref_short: withdraws_internal_only(0x40, 5, "000064");
    local_pref_long: withdraws_internal_only(0x40, 5, "0000006400");

    // 7.6 ATOMIC_AGGREGATE, 7.7 AGGREGATOR
    atomic_aggregate_not_empty: discards(0x40, 6, "00");
    aggregator_short: discards(0xc0, 7, "fde9c0000201");
    aggregator_long: discards(0xc0, 7, "0000fde9c000020100");
    aggregator_empty: discards(0xc0, 7, "");
    aggregator_as_0: discards(0xc0, 7, "00000000c0000201");

    // 7.8 COMMUNITIES, 7.14 EXTENDED COMMUNITIES, 7.15 IPv6, RFC 8092
    communities_empty: withdraws(0xc0, 8, "");
    communities_odd: withdraws(0xc0, 8, "fde8000100");
    extended_communities_empty: withdraws(0xc0, 16, "");
    extended_communities_odd: withdraws(0xc0, 16, "0002fde8000000");
    ipv6_extended_communities_empty: withdraws(0xc0, 25, "");
    ipv6_extended_communities_odd: withdraws(0xc0, 25, "0002fde800000001");
    large_communities_empty: withdraws(0xc0, 32, "");
    large_communities_odd: withdraws(0xc0, 32, "0000fde800000001000000");

    // 7.9 ORIGINATOR_ID, 7.10 CLUSTER_LIST
    originator_id_short: withdraws_internal_only(0x80, 9, "c00002");
    originator_id_long: withdraws_internal_only(0x80, 9, "c000020100");
    cluster_list_empty: withdraws_internal_only(0x80, 10, "");
    cluster_list_odd: withdraws_internal_only(0x80, 10, "c000020101");

    // RFC 9234
    otc_short: withdraws(0xc0, 35, "00fde8");
    otc_long: withdraws(0xc0, 35, "0000fde800");
    otc_as_0: withdraws(0xc0, 35, "00000000");

    // RFC 7311 section 3.2
    aigp_empty: discards(0x80, 26, "");
    aigp_half_a_header: discards(0x80, 26, "0100");
    aigp_length_below_the_header: discards(0x80, 26, "630002");
    aigp_length_of_10: discards(0x80, 26, "01000a00000000000000");
    aigp_length_of_12: discards(0x80, 26, "01000c000000000000000000");
    aigp_tlv_cut_short: discards(0x80, 26, "01000b00000000000000");
    aigp_octets_behind: discards(0x80, 26, "01000b0000000000000001ff");
    aigp_bad_tlv_behind: discards(0x80, 26, "01000b0000000000000001 630004");
    aigp_second_of_wrong_length: discards(0x80, 26, "01000b0000000000000001 01000400");
    aigp_highest_metric: discards(0x80, 26, "01000bffffffffffffffff");
    aigp_marked_transitive: discards(0xc0, 26, "01000b0000000000000001");
    aigp_marked_well_known: discards(0x40, 26, "01000b0000000000000001");

    // From a speaker of 4-octet AS numbers (RFC 6793 section 4.1)
    as4_path_from_new_speaker: discards(0xc0, 17, "02010000fde9");
    as4_aggregator_from_new_speaker: discards(0xc0, 18, "0000fde9c0000201");
    as4_path_from_new_speaker_malformed: discards(0x40, 17, "0201");
}

#[test]
fn attributes_of_internal_peers_are_discarded_from_external_ones() {
    for good in [
        local_pref(),
        attribute(0x80, 9, &[192, 0, 2, 1]),
        attribute(0x80, 10, &[192, 0, 2, 1]),
    ] {
        for first in [true, false] {
            check_one(PeerKind::External, &good, first, Expect::Discard);
        }
        let attributes = placed(PeerKind::External, &good, false);
        let bytes = update(&[], &attributes, &NLRI);
        let decoded = decode(&context(PeerKind::External), &bytes).expect("fine");
        assert_eq!(decoded.attributes.local_pref, None);
        assert_eq!(decoded.attributes.originator_id, None);
        assert!(decoded.attributes.cluster_list.is_empty());
        assert_eq!(decoded.faults[0].reason, Reason::UnexpectedPeer);
    }
}

#[test]
fn confederation_segments_from_outside() {
    for kind in ["03", "04"] {
        let bad = attribute(0x40, 2, &hex(&format!("{kind}010000fde9")));
        for first in [true, false] {
            check_one(PeerKind::External, &bad, first, Expect::Withdraw);
        }
        let bytes = update(&[], &placed(PeerKind::Internal, &bad, true), &NLRI);
        let inside = decode(&context(PeerKind::Internal), &bytes).expect("fine");
        assert_eq!(announced(&inside), ["203.0.113.0/24"]);
    }
}

#[test]
fn confederation_sequence_must_be_in_front_from_another_member() {
    let ctx = context(PeerKind::Confederation);
    for (value, good) in [
        ("03010000fde902010000fdea", true),
        ("02010000fde903010000fdea", false),
        ("04010000fde9", false),
        ("", false),
    ] {
        let path = attribute(0x40, 2, &hex(value));
        let bytes = update(&[], &[origin(), path, next_hop()], &NLRI);
        let decoded = decode(&ctx, &bytes).expect("no reset");
        assert_eq!(decoded.announced.is_empty(), !good, "{value}");
    }
}

#[test]
fn unknown_well_known_attribute_resets_with_the_attribute() {
    let bad = attribute(0x40, 99, &[1, 2, 3]);
    for peer_kind in [PeerKind::External, PeerKind::Internal] {
        for first in [true, false] {
            check_one(peer_kind, &bad, first, Expect::Reset(2));
            let bytes = update(&[], &placed(peer_kind, &bad, first), &NLRI);
            let notification = decode(&context(peer_kind), &bytes).expect_err("reset");
            assert_eq!(notification.data, bad);
        }
    }
}

#[test]
fn missing_mandatory_attributes_withdraw() {
    for (peer_kind, count) in [(PeerKind::External, 3), (PeerKind::Internal, 4)] {
        for missing in 0..count {
            let mut attributes = mandatory(peer_kind);
            let code = attributes.remove(missing)[1];
            let bytes = update(&[], &attributes, &NLRI);
            let decoded = decode(&context(peer_kind), &bytes).expect("no reset");
            assert_eq!(withdrawn(&decoded), ["203.0.113.0/24"]);
            assert_eq!(decoded.faults[0].attribute, code);
            assert_eq!(decoded.faults[0].reason, Reason::Missing);
        }
    }
}

#[test]
fn of_repeated_attributes_the_first_is_used() {
    let ctx = context(PeerKind::External);
    let again = attribute(0x40, 1, &[2]);
    let malformed_again = attribute(0x40, 1, &[9, 9]);
    for second in [again, malformed_again] {
        let mut attributes = mandatory(PeerKind::External);
        attributes.push(second);
        let decoded = decode(&ctx, &update(&[], &attributes, &NLRI)).expect("no reset");
        assert_eq!(announced(&decoded), ["203.0.113.0/24"]);
        assert_eq!(decoded.attributes.origin, bgp_wire::Origin::Igp);
        assert_eq!(decoded.worst_action(), Some(Action::Discard));
        assert_eq!(decoded.faults[0].reason, Reason::Duplicate);
    }
    // Unknown ones too.
    let mut attributes = mandatory(PeerKind::External);
    attributes.push(attribute(0xc0, 99, &[1]));
    attributes.push(attribute(0xc0, 99, &[2]));
    let decoded = decode(&ctx, &update(&[], &attributes, &NLRI)).expect("no reset");
    assert_eq!(decoded.attributes.unknown.len(), 1);
    assert_eq!(decoded.attributes.unknown[0].value, [1]);
}

#[test]
fn repeated_mp_attributes_reset() {
    let unreach = attribute(0x80, 15, &hex("0002 01 30 20010db80002"));
    for attributes in [vec![mp_reach(), mp_reach()], vec![unreach.clone(), unreach]] {
        for peer_kind in [PeerKind::External, PeerKind::Internal] {
            let all = [attributes.clone(), mandatory(peer_kind)].concat();
            assert_eq!(answer(&context(peer_kind), &update(&[], &all, &[])), (3, 1));
        }
    }
}

#[test]
fn attribute_overrun_and_short_header_withdraw() {
    // Each ends the block; RFC 7606 section 4.
    for (tail, reason) in [
        ("40 04 05 00000001", Reason::Overrun),
        ("c0 08 ff", Reason::Overrun),
        ("d0 08 0005 01", Reason::Overrun),
        ("40", Reason::ShortHeader),
        ("40 01", Reason::ShortHeader),
        ("50 01 00", Reason::ShortHeader),
    ] {
        for peer_kind in [PeerKind::External, PeerKind::Internal] {
            let mut attributes = mandatory(peer_kind);
            attributes.push(hex(tail));
            let decoded =
                decode(&context(peer_kind), &update(&[], &attributes, &NLRI)).expect("no reset");
            assert_eq!(withdrawn(&decoded), ["203.0.113.0/24"], "{tail}");
            assert_eq!(decoded.faults[0].reason, reason, "{tail}");
            // As the first one, it swallows what follows.
            let mut attributes = vec![hex("40 01 ff")];
            attributes.extend(mandatory(peer_kind));
            let decoded =
                decode(&context(peer_kind), &update(&[], &attributes, &NLRI)).expect("no reset");
            assert_eq!(withdrawn(&decoded), ["203.0.113.0/24"]);
            assert_eq!(decoded.faults[0].reason, Reason::Overrun);
            // Without reachable prefixes it is 3/1.
            let without = update(&NLRI, &[hex(tail)], &[]);
            assert_eq!(answer(&context(peer_kind), &without), (3, 1), "{tail}");
        }
    }
}

#[test]
fn cut_mp_attributes_reset() {
    let ctx = context(PeerKind::External);
    for code in [14, 15] {
        let mut attributes = mandatory(PeerKind::External);
        attributes.push(vec![0x80, code, 200, 0, 2, 1]);
        assert_eq!(answer(&ctx, &update(&[], &attributes, &NLRI)), (3, 1));
    }
}

#[test]
fn the_strongest_action_wins() {
    let ctx = context(PeerKind::External);
    let discard = attribute(0xc0, 7, &[0; 8]);
    let withdraw = attribute(0x80, 4, &[1]);
    let reset = attribute(0x40, 99, &[]);
    let base = mandatory(PeerKind::External);
    for order in [[0, 1], [1, 0]] {
        let pair = [&discard, &withdraw];
        let attributes = [&base[..], &order.map(|i| pair[i].clone())].concat();
        let decoded = decode(&ctx, &update(&[], &attributes, &NLRI)).expect("no reset");
        assert_eq!(decoded.worst_action(), Some(Action::TreatAsWithdraw));
        assert_eq!(decoded.faults.len(), 2);
        assert_eq!(withdrawn(&decoded), ["203.0.113.0/24"]);
    }
    let attributes = [&base[..], &[discard, withdraw, reset]].concat();
    assert_eq!(answer(&ctx, &update(&[], &attributes, &NLRI)), (3, 2));
    assert!(Action::Discard < Action::TreatAsWithdraw);
    assert!(Action::TreatAsWithdraw < Action::DisableFamily);
    assert!(Action::DisableFamily < Action::Reset);
}

#[test]
fn an_error_without_routes_resets_with_its_own_subcode() {
    let ctx = context(PeerKind::External);
    for (flags, code, value, subcode, with_data) in [
        (0x40, 1, "09", 6, true),
        (0x40, 1, "0000", 5, true),
        (0xc0, 1, "00", 4, true),
        (0x40, 2, "0500", 11, false),
        (0x40, 2, "020100000000", 11, false),
        (0xc0, 35, "00000000", 9, true),
        (0x40, 3, "00000000", 8, true),
        (0xc0, 8, "", 5, true),
    ] {
        let bad = attribute(flags, code, &hex(value));
        for withdrawn in [&[][..], &NLRI] {
            let bytes = update(withdrawn, std::slice::from_ref(&bad), &[]);
            let notification = decode(&ctx, &bytes).expect_err("reset");
            assert_eq!((notification.code, notification.subcode), (3, subcode));
            let data: &[u8] = if with_data { &bad } else { &[] };
            assert_eq!(notification.data, data);
        }
    }
}

#[test]
fn faults_tell_where_and_what() {
    let mut attributes = mandatory(PeerKind::External);
    attributes[0] = attribute(0x40, 1, &[3]);
    let bytes = update(&[], &attributes, &NLRI);
    let decoded = decode(&context(PeerKind::External), &bytes).expect("no reset");
    assert_eq!(
        decoded.faults[0].to_string(),
        "treat-as-withdraw: ORIGIN at octet 23: value 3 is undefined"
    );
    assert_eq!(bytes[23..26], attributes[0][..3]);
}

#[test]
fn withdrawals_of_both_families_and_a_broken_route_come_together() {
    // The withdrawn field, MP_UNREACH_NLRI, and two treat-as-withdraw fields.
    let attributes = [
        mp_reach(),
        attribute(0x80, 15, &hex("0002 01 30 20010db80002")),
        attribute(0x40, 1, &[7]),
        as_path(),
        next_hop(),
    ];
    let bytes = update(&hex("18 c63364"), &attributes, &NLRI);
    let decoded = decode(&context(PeerKind::External), &bytes).expect("no reset");
    assert_eq!(
        withdrawn(&decoded),
        [
            "198.51.100.0/24",
            "203.0.113.0/24",
            "2001:db8:2::/48",
            "2001:db8:1::/48"
        ]
    );
    assert_eq!(decoded.withdrawn.len(), 2);
}
