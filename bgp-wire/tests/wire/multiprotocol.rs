//! RFC 4760, 2545, 8950, 7911: MP_REACH_NLRI and MP_UNREACH_NLRI.

use std::net::Ipv6Addr;

use bgp_wire::{Action, Family, NextHop, PeerKind, Prefixes, Update};

use crate::builder::*;

const EXTERNAL: PeerKind = PeerKind::External;
const GLOBAL: &str = "20010db8000000000000000000000001";
const LINK_LOCAL: &str = "fe800000000000000000000000000002";
const PREFIX: &str = "30 20010db80001";

/// An UPDATE with MP_REACH_NLRI of this value in front of ORIGIN and AS_PATH.
fn reach(value: &str) -> Vec<u8> {
    let attributes = [attribute(0x80, 14, &hex(value)), origin(), as_path()];
    update(&[], &attributes, &[])
}

fn next_hop_of(value: &str) -> NextHop {
    let decoded = decode(&context(EXTERNAL), &reach(value)).expect("fine");
    assert_eq!(announced(&decoded), ["2001:db8:1::/48"]);
    decoded.announced[0].next_hop
}

fn v6(global: &str, link_local: Option<&str>) -> NextHop {
    let addr = |text: &str| text.parse::<Ipv6Addr>().expect("an address");
    NextHop::V6 {
        global: addr(global),
        link_local: link_local.map(addr),
    }
}

#[test]
fn next_hops_of_16_and_32_octets() {
    let one = format!("0002 01 10 {GLOBAL} 00 {PREFIX}");
    assert_eq!(next_hop_of(&one), v6("2001:db8::1", None));
    let two = format!("0002 01 20 {GLOBAL} {LINK_LOCAL} 00 {PREFIX}");
    assert_eq!(next_hop_of(&two), v6("2001:db8::1", Some("fe80::2")));
    let link_local = format!("0002 01 10 {LINK_LOCAL} 00 {PREFIX}");
    assert_eq!(next_hop_of(&link_local), v6("fe80::2", None));
    let zero = format!("0002 01 20 {} {LINK_LOCAL} 00 {PREFIX}", "00".repeat(16));
    assert_eq!(next_hop_of(&zero), v6("fe80::2", None));
    let two_global = format!("0002 01 20 {GLOBAL} {GLOBAL} 00 {PREFIX}");
    assert_eq!(next_hop_of(&two_global), v6("2001:db8::1", None));
}

#[test]
fn the_reserved_octet_is_ignored() {
    let value = format!("0002 01 10 {GLOBAL} ff {PREFIX}");
    assert_eq!(next_hop_of(&value), v6("2001:db8::1", None));
}

#[test]
fn other_next_hop_lengths_reset_with_the_attribute() {
    for len in [0, 4, 8, 12, 15, 17, 24, 31, 33, 48] {
        let value = format!("0002 01 {len:02x} {} 00 {PREFIX}", "20".repeat(len));
        let attributes = [attribute(0x80, 14, &hex(&value)), origin(), as_path()];
        for peer_kind in [EXTERNAL, PeerKind::Internal] {
            for position in [0, 2] {
                let mut attributes = attributes.clone();
                attributes.swap(0, position);
                let error = decode(&context(peer_kind), &update(&[], &attributes, &[]));
                let error = error.expect_err("reset");
                assert_eq!((error.code, error.subcode), (3, 9), "{len}");
                assert_eq!(error.data, attributes[position]);
            }
        }
    }
}

#[test]
fn cut_attributes_reset() {
    let full = hex(&format!("0002 01 10 {GLOBAL} 00 {PREFIX}"));
    for len in 0..full.len() {
        if len == 21 {
            continue; // Ends behind the reserved octet: no prefixes, valid.
        }
        let cut = attribute(0x80, 14, &full[..len]);
        let bytes = update(&[], &[cut, origin(), as_path()], &[]);
        assert_eq!(answer(&context(EXTERNAL), &bytes), (3, 9), "{len}");
    }
}

#[test]
fn prefixes_that_cannot_be_read_reset() {
    let ctx = context(EXTERNAL);
    for bad in [
        "81 20010db8000000000000000000000001 00",
        "30 20010db800",
        "ff",
    ] {
        let value = format!("0002 01 10 {GLOBAL} 00 {bad}");
        assert_eq!(answer(&ctx, &reach(&value)), (3, 9), "{bad}");
        let unreach = attribute(0x80, 15, &hex(&format!("0002 01 {bad}")));
        assert_eq!(answer(&ctx, &update(&[], &[unreach], &[])), (3, 9), "{bad}");
    }
    for short in ["", "00", "0002"] {
        let unreach = attribute(0x80, 15, &hex(short));
        assert_eq!(answer(&ctx, &update(&[], &[unreach], &[])), (3, 9));
    }
}

#[test]
fn wrong_flags_withdraw() {
    for flags in [0x40, 0xc0, 0x00] {
        let mut bad = mp_reach();
        bad[0] = flags;
        for peer_kind in [EXTERNAL, PeerKind::Internal] {
            for first in [true, false] {
                let mut attributes = vec![origin(), as_path(), local_pref()];
                attributes.insert(if first { 0 } else { 3 }, bad.clone());
                let decoded = decode(&context(peer_kind), &update(&[], &attributes, &[]));
                let decoded = decoded.expect("no reset");
                assert_eq!(withdrawn(&decoded), ["2001:db8:1::/48"]);
                assert_eq!(decoded.worst_action(), Some(Action::TreatAsWithdraw));
            }
        }
        // A lone MP_UNREACH_NLRI was read whole, so nothing is in doubt.
        let unreach = attribute(flags, 15, &hex("0002 01 30 20010db80002"));
        let decoded = decode(&context(EXTERNAL), &update(&[], &[unreach], &[]));
        assert_eq!(withdrawn(&decoded.expect("no reset")), ["2001:db8:2::/48"]);
    }
}

#[test]
fn next_hops_of_no_host_withdraw() {
    let loopback = "00000000000000000000000000000001".to_owned();
    for addr in [
        "00".repeat(16),
        loopback,
        format!("ff02{}", "00".repeat(14)),
    ] {
        let value = format!("0002 01 10 {addr} 00 {PREFIX}");
        let decoded = decode(&context(EXTERNAL), &reach(&value)).expect("no reset");
        assert_eq!(withdrawn(&decoded), ["2001:db8:1::/48"], "{addr}");
    }
}

#[test]
fn families_that_were_not_negotiated_are_ignored() {
    let mut ctx = context(EXTERNAL);
    ctx.families = set(Family::Ipv4Unicast);
    // IPv6 unicast without negotiation; multicast, VPN, nonsense behind it.
    for value in [
        format!("0002 01 10 {GLOBAL} 00 {PREFIX}"),
        "0001 02 04 c0000201 00 18cb0071".to_owned(),
        "0001 80 ff 00".to_owned(),
        "4004 47".to_owned(),
        "0002 01 05 ff".to_owned(),
    ] {
        let decoded = decode(&ctx, &reach(&value)).expect("no reset");
        assert_eq!(decoded, Update::default(), "{value}");
        // What is beside it counts.
        let mut attributes = mandatory(EXTERNAL);
        attributes.insert(0, attribute(0x80, 14, &hex(&value)));
        let decoded = decode(&ctx, &update(&[], &attributes, &NLRI)).expect("no reset");
        assert_eq!(announced(&decoded), ["203.0.113.0/24"], "{value}");
    }
    for value in ["0002 01 30 20010db80002", "0001 80 ff", "0002 01"] {
        let unreach = attribute(0x80, 15, &hex(value));
        let decoded = decode(&ctx, &update(&[], &[unreach], &[]));
        assert_eq!(decoded, Ok(Update::default()), "{value}");
    }
}

#[test]
fn next_hop_attribute_is_ignored_beside_mp_reach_only() {
    for bad in [vec![], vec![0; 4], vec![127, 0, 0, 1]] {
        let attributes = [mp_reach(), origin(), as_path(), attribute(0xc0, 3, &bad)];
        let decoded = decode(&context(EXTERNAL), &update(&[], &attributes, &[]));
        let decoded = decoded.expect("no reset");
        assert_eq!(announced(&decoded), ["2001:db8:1::/48"]);
        assert!(decoded.faults.is_empty());
        // With IPv4 prefixes it is needed, and all routes are withdrawn.
        let decoded = decode(&context(EXTERNAL), &update(&[], &attributes, &NLRI));
        let both = ["203.0.113.0/24", "2001:db8:1::/48"];
        assert_eq!(withdrawn(&decoded.expect("no reset")), both);
    }
}

#[test]
fn mandatory_attributes_beside_mp_reach() {
    for (attributes, missing) in [
        (vec![mp_reach(), as_path()], 1),
        (vec![mp_reach(), origin()], 2),
    ] {
        let decoded = decode(&context(EXTERNAL), &update(&[], &attributes, &[]));
        let decoded = decoded.expect("no reset");
        assert_eq!(withdrawn(&decoded), ["2001:db8:1::/48"]);
        assert_eq!(decoded.faults[0].attribute, missing);
    }
}

#[test]
fn end_of_rib_of_both_families() {
    let ctx = context(EXTERNAL);
    for (value, family) in [
        ("0001 01", Family::Ipv4Unicast),
        ("0002 01", Family::Ipv6Unicast),
    ] {
        let empty = attribute(0x80, 15, &hex(value));
        let decoded = decode(&ctx, &update(&[], std::slice::from_ref(&empty), &[]));
        assert_eq!(decoded, Ok(Update::end_of_rib(family)));
        // Not with anything beside it.
        let decoded = decode(&ctx, &update(&NLRI, &[empty], &[])).expect("fine");
        assert_eq!(decoded.end_of_rib, None);
    }
}

#[test]
fn ipv4_in_mp_reach() {
    let value = "0001 01 04 c0000201 00 18 cb0071";
    let decoded = decode(&context(EXTERNAL), &reach(value)).expect("fine");
    assert_eq!(announced(&decoded), ["203.0.113.0/24"]);
    assert_eq!(
        decoded.announced[0].next_hop,
        NextHop::V4([192, 0, 2, 1].into())
    );
}

#[test]
fn ipv4_with_an_ipv6_next_hop_needs_the_capability() {
    let mut ctx = context(EXTERNAL);
    for next_hop in [format!("10 {GLOBAL}"), format!("20 {GLOBAL} {LINK_LOCAL}")] {
        let value = format!("0001 01 {next_hop} 00 18 cb0071");
        ctx.extended_next_hop = set(Family::Ipv4Unicast);
        let decoded = decode(&ctx, &reach(&value)).expect("fine");
        assert_eq!(announced(&decoded), ["203.0.113.0/24"]);
        assert!(matches!(decoded.announced[0].next_hop, NextHop::V6 { .. }));
        ctx.extended_next_hop = bgp_wire::FamilySet::EMPTY;
        assert_eq!(answer(&ctx, &reach(&value)), (3, 9));
    }
}

#[test]
fn path_identifiers_in_both_directions_and_families() {
    let mut ctx = context(EXTERNAL);
    ctx.add_path_receive = set(Family::Ipv4Unicast);
    let nlri = hex("00000007 18 cb0071 00000008 18 cb0071");
    let decoded = decode(&ctx, &update(&nlri, &mandatory(EXTERNAL), &nlri)).expect("fine");
    for prefixes in [&decoded.withdrawn[0], &decoded.announced[0].prefixes] {
        let Prefixes::V4(list) = prefixes else {
            panic!("IPv4");
        };
        let ids: Vec<u32> = list.iter().map(|n| n.path_id).collect();
        assert_eq!(ids, [7, 8]);
    }
    // IPv6 is still without.
    let decoded = decode(&ctx, &update(&[], &[mp_reach(), origin(), as_path()], &[]));
    assert_eq!(announced(&decoded.expect("fine")), ["2001:db8:1::/48"]);
    ctx.add_path_receive = set(Family::Ipv6Unicast);
    let value = format!("0002 01 10 {GLOBAL} 00 00000009 {PREFIX}");
    let decoded = decode(&ctx, &reach(&value)).expect("fine");
    assert_eq!(announced(&decoded), ["2001:db8:1::/48"]);
    // A cut identifier is a field that cannot be read.
    ctx.add_path_receive = set(Family::Ipv4Unicast);
    assert_eq!(answer(&ctx, &update(&[0, 0, 7], &[], &[])), (3, 10));
}
