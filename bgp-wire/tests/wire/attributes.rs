//! RFC 4271 sections 4.3 and 5: UPDATE framing and good attributes.

use bgp_wire::{
    Action, Aigp, Family, NextHop, PeerKind, Update, UpdateParts, decode_attributes, reader::Reader,
};
use bytes::BytesMut;

use crate::builder::*;

const EXTERNAL: PeerKind = PeerKind::External;

#[test]
fn lengths_over_the_message_are_3_1() {
    let ctx = context(EXTERNAL);
    for body in [
        "0001 0000",     // withdrawn routes reach over the attribute length
        "0005 18cb0071", // withdrawn routes reach over the end
        "0000 0001",     // attributes reach over the end
        "ffff 0000",
        "0000 ffff 4001",
        "0003 18cb00 00", // half of the attribute length
    ] {
        let bytes = message(2, &hex(body));
        let error = decode(&ctx, &bytes).expect_err(body);
        assert_eq!((error.code, error.subcode), (3, 1), "{body}");
        assert!(error.data.is_empty());
    }
}

#[test]
fn prefixes_that_cannot_be_read_are_3_10() {
    let ctx = context(EXTERNAL);
    let attributes = mandatory(EXTERNAL);
    for bad in ["21 cb007100", "ff", "18 cb00", "20 cb0071", "01"] {
        let bad = hex(bad);
        assert_eq!(answer(&ctx, &update(&[], &attributes, &bad)), (3, 10));
        assert_eq!(answer(&ctx, &update(&bad, &[], &[])), (3, 10));
        let behind_good = [&NLRI[..], &bad].concat();
        assert_eq!(
            answer(&ctx, &update(&[], &attributes, &behind_good)),
            (3, 10)
        );
    }
}

#[test]
fn an_empty_update_is_the_end_of_rib() {
    let decoded = decode(&context(EXTERNAL), &update(&[], &[], &[]));
    assert_eq!(decoded, Ok(Update::end_of_rib(Family::Ipv4Unicast)));
    let mut ctx = context(EXTERNAL);
    ctx.families = set(Family::Ipv6Unicast);
    assert_eq!(decode(&ctx, &update(&[], &[], &[])), Ok(Update::default()));
}

#[test]
fn an_update_without_prefixes_is_valid() {
    let decoded = decode(&context(EXTERNAL), &update(&[], &mandatory(EXTERNAL), &[]));
    assert_eq!(decoded, Ok(Update::default()));
}

#[test]
fn a_prefix_in_both_fields_is_announced() {
    let decoded = decode(
        &context(EXTERNAL),
        &update(&NLRI, &mandatory(EXTERNAL), &NLRI),
    );
    let decoded = decoded.expect("fine");
    // Withdrawals come first by the order of application.
    assert_eq!(withdrawn(&decoded), ["203.0.113.0/24"]);
    assert_eq!(announced(&decoded), ["203.0.113.0/24"]);
}

#[test]
fn host_bits_are_ignored() {
    let nlri = hex("18 cb0071 13 c633ff 00 01 ff");
    let decoded = decode(
        &context(EXTERNAL),
        &update(&nlri, &mandatory(EXTERNAL), &nlri),
    );
    let decoded = decoded.expect("fine");
    let expected = [
        "203.0.113.0/24",
        "198.51.224.0/19",
        "0.0.0.0/0",
        "128.0.0.0/1",
    ];
    assert_eq!(announced(&decoded), expected);
    assert_eq!(withdrawn(&decoded), expected);
}

#[test]
fn extended_length_is_fine_for_short_values() {
    let attributes = [
        hex("50 01 0001 00"),
        hex("50 02 0006 02010000fde9"),
        hex("50 03 0004 c0000201"),
    ];
    let decoded = decode(&context(EXTERNAL), &update(&[], &attributes, &NLRI)).expect("fine");
    assert_eq!(announced(&decoded), ["203.0.113.0/24"]);
    assert!(decoded.faults.is_empty());
}

#[test]
fn low_flag_bits_and_the_partial_bit_are_ignored() {
    let mut attributes = mandatory(EXTERNAL);
    for attribute in &mut attributes {
        attribute[0] |= 0x2f;
    }
    let decoded = decode(&context(EXTERNAL), &update(&[], &attributes, &NLRI)).expect("fine");
    assert_eq!(announced(&decoded), ["203.0.113.0/24"]);
    assert!(decoded.faults.is_empty());
}

#[test]
fn attributes_are_accepted_in_any_order_and_sent_in_ascending_order() {
    let mut attributes = mandatory(EXTERNAL);
    attributes.push(attribute(0x80, 4, &[0, 0, 0, 5]));
    attributes.push(attribute(0xc0, 200, &[1]));
    attributes.push(attribute(0xc0, 8, &[0xfd, 0xe8, 0, 1]));
    attributes.push(attribute(0xc0, 20, &[2]));
    let ctx = context(EXTERNAL);
    let forward = decode(&ctx, &update(&[], &attributes, &NLRI)).expect("fine");
    attributes.reverse();
    let backward = decode(&ctx, &update(&[], &attributes, &NLRI)).expect("fine");
    assert_eq!(forward, backward);
    let mut out = BytesMut::new();
    forward.encode(&ctx, &mut out).expect("fits");
    assert_eq!(codes(&out), [1, 2, 3, 4, 8, 20, 200]);
}

/// The attribute codes of a message, in order; all lengths are one octet.
fn codes(message: &[u8]) -> Vec<u8> {
    let parts = UpdateParts::split(Reader::new(&message[19..])).expect("fine");
    let mut block = parts.attribute_block();
    let mut codes = Vec::new();
    while let [flags, code, len, rest @ ..] = block {
        assert_eq!(flags & 0x1f, 0, "low bits are sent as zero");
        codes.push(*code);
        block = &rest[usize::from(*len)..];
    }
    codes
}

#[test]
fn unknown_optional_attributes() {
    let ctx = context(EXTERNAL);
    let mut attributes = mandatory(EXTERNAL);
    attributes.push(attribute(0xc0, 99, &[1, 2]));
    attributes.push(attribute(0x80, 98, &[3]));
    let decoded = decode(&ctx, &update(&[], &attributes, &NLRI)).expect("fine");
    assert!(decoded.faults.is_empty(), "dropped silently");
    assert_eq!(decoded.attributes.unknown.len(), 1);
    assert_eq!(decoded.attributes.unknown[0].flags, 0xc0);
    // Passed on with the Partial bit.
    let mut out = BytesMut::new();
    decoded.encode(&ctx, &mut out).expect("fits");
    let passed = decode(&ctx, &out).expect("fine");
    assert_eq!(passed.attributes.unknown[0].flags, 0xe0);
    assert_eq!(passed.attributes.unknown[0].value, [1, 2]);
}

#[test]
fn unknown_attributes_that_must_not_be_passed_on_are_refused() {
    let ctx = context(EXTERNAL);
    let good = decode(&ctx, &update(&[], &mandatory(EXTERNAL), &NLRI)).expect("fine");
    for (flags, code) in [(0x80, 99), (0x40, 99), (0xc0, 8), (0xc0, 14)] {
        let mut bad = good.clone();
        bad.attributes.unknown.push(bgp_wire::RawAttribute {
            flags,
            code,
            value: vec![],
        });
        let error = bad.encode(&ctx, &mut BytesMut::new());
        assert_eq!(error, Err(bgp_wire::EncodeError::RawAttribute { code }));
    }
}

#[test]
fn the_partial_bit_of_known_attributes_stays() {
    let ctx = context(EXTERNAL);
    let mut attributes = mandatory(EXTERNAL);
    attributes.push(attribute(0xe0, 8, &[0xfd, 0xe8, 0, 1]));
    attributes.push(attribute(0xc0, 32, &[0; 12]));
    let decoded = decode(&ctx, &update(&[], &attributes, &NLRI)).expect("fine");
    assert!(decoded.attributes.partial.contains(8));
    assert!(!decoded.attributes.partial.contains(32));
    let mut out = BytesMut::new();
    decoded.encode(&ctx, &mut out).expect("fits");
    let passed = decode(&ctx, &out).expect("fine");
    assert_eq!(passed.attributes.partial, decoded.attributes.partial);
}

#[test]
fn repeated_large_communities_are_removed() {
    for count in [3u32, 40] {
        let mut value = Vec::new();
        for index in (0..count).chain(0..count) {
            value.extend([65000, 1, index].map(u32::to_be_bytes).concat());
        }
        let mut attributes = mandatory(EXTERNAL);
        let mut large = vec![0xd0, 32];
        large.extend((value.len() as u16).to_be_bytes());
        large.extend(value);
        attributes.push(large);
        let decoded = decode(&context(EXTERNAL), &update(&[], &attributes, &NLRI)).expect("fine");
        let locals = decoded
            .attributes
            .large_communities
            .iter()
            .map(|c| c.local2);
        assert!(locals.eq(0..count));
    }
}

#[test]
fn ipv4_without_its_family_is_ignored() {
    let mut ctx = context(EXTERNAL);
    ctx.families = set(Family::Ipv6Unicast);
    let decoded = decode(&ctx, &update(&NLRI, &mandatory(EXTERNAL), &NLRI));
    assert_eq!(decoded, Ok(Update::default()));
    assert_eq!(answer(&ctx, &update(&[33], &[], &[])), (3, 10));
}

#[test]
fn nothing_to_say_is_not_sent_as_an_end_of_rib() {
    let mut out = BytesMut::new();
    let error = Update::default().encode(&context(EXTERNAL), &mut out);
    assert_eq!(error, Err(bgp_wire::EncodeError::NotOneUpdate));
    assert!(out.is_empty());
}

#[test]
fn parts_show_the_block_and_read_the_prefixes_alone() {
    let bytes = update(&hex("08 0a"), &mandatory(EXTERNAL), &NLRI);
    let parts = UpdateParts::split(Reader::at(&bytes[19..], 19)).expect("fine");
    assert_eq!(parts.attribute_block(), mandatory(EXTERNAL).concat());
    assert!(parts.has_nlri() && !parts.has_mp_attributes());
    let (withdrawn, nlri) = parts.prefixes(&context(EXTERNAL)).expect("fine");
    assert_eq!(texts(&withdrawn), ["10.0.0.0/8"]);
    assert_eq!(texts(&nlri), ["203.0.113.0/24"]);
}

#[test]
fn a_block_alone_can_be_read_and_written() {
    let ctx = context(PeerKind::Internal);
    let block = mandatory(PeerKind::Internal).concat();
    let (attributes, faults) = decode_attributes(&ctx, &block).expect("fine");
    assert!(faults.is_empty());
    assert_eq!(
        attributes.next_hop,
        Some(NextHop::V4([192, 0, 2, 1].into()))
    );
    let mut out = BytesMut::new();
    bgp_wire::encode::encode_attributes(&ctx, &attributes, &mut out).expect("fits");
    assert_eq!(to_hex(&out), to_hex(&block));
    let (attributes, _) = decode_attributes(&ctx, &mp_reach()).expect("fine");
    let addr = attributes.next_hop.expect("that of MP_REACH_NLRI").addr();
    assert_eq!(addr.to_string(), "2001:db8::1");
}

#[test]
fn a_block_with_mp_attributes_says_so() {
    let unreach = attribute(0x80, 15, &[0, 2, 1]);
    for mp in [mp_reach(), unreach] {
        let attributes = [origin(), mp];
        let bytes = update(&[], &attributes, &[]);
        let parts = UpdateParts::split(Reader::at(&bytes[19..], 19)).expect("fine");
        assert!(parts.has_mp_attributes());
    }
}

#[test]
fn bgp_ls_is_never_passed_on() {
    for flags in [0x80, 0xc0] {
        let mut attributes = mandatory(EXTERNAL);
        attributes.push(attribute(flags, 29, &[1, 0]));
        let decoded = decode(&context(EXTERNAL), &update(&[], &attributes, &NLRI));
        let decoded = decoded.expect("fine");
        assert_eq!(announced(&decoded), ["203.0.113.0/24"]);
        assert!(decoded.attributes.unknown.is_empty());
    }
}

// ===== AIGP (RFC 7311) =====

fn with_aigp(flags: u8, value: &str) -> Update {
    let mut attributes = mandatory(EXTERNAL);
    attributes.push(attribute(flags, 26, &hex(value)));
    let decoded = decode(&context(EXTERNAL), &update(&[], &attributes, &NLRI));
    let decoded = decoded.expect("no reset");
    assert_eq!(announced(&decoded), ["203.0.113.0/24"], "{value}");
    assert!(decoded.attributes.unknown.is_empty(), "{value}");
    decoded
}

/// And comes out again as it came in, but for TLVs in front of the first.
#[track_caller]
fn assert_aigp(value: &str, metric: u64, others: &str) {
    let decoded = with_aigp(0x80, value);
    assert!(decoded.faults.is_empty(), "{:?}", decoded.faults);
    let aigp = Aigp {
        metric,
        others: hex(others),
    };
    assert_eq!(decoded.attributes.aigp, Some(aigp));
    let mut out = BytesMut::new();
    decoded.encode(&context(EXTERNAL), &mut out).expect("fits");
    let tlv = format!("01000b{metric:016x}{}", others.replace(' ', ""));
    let attribute = format!("801a{:02x}{tlv}", tlv.len() / 2);
    assert!(to_hex(&out).contains(&attribute), "{}", to_hex(&out));
}

#[test]
fn the_first_aigp_tlv_counts() {
    assert_aigp("01 000b 00000000000004d2", 1234, "");
    assert_aigp("01 000b 0000000000000000", 0, "");
    assert_aigp("01 000b fffffffffffffffe", u64::MAX - 1, "");
    let two = "01 000b 0000000000000001 01 000b ffffffffffffffff";
    assert_aigp(two, 1, "01000bffffffffffffffff");
}

#[test]
fn tlvs_that_aigp_does_not_know_are_kept() {
    let behind = "01 000b 0000000000000007 63 0005 abcd 02 0003";
    assert_aigp(behind, 7, "630005abcd 020003");
    assert_aigp("63 0004 ab 01 000b 0000000000000007", 7, "630004ab");
}

#[test]
fn an_attribute_without_an_aigp_tlv_says_nothing() {
    let decoded = with_aigp(0x80, "63 0005 abcd");
    assert!(decoded.faults.is_empty());
    assert_eq!(decoded.attributes.aigp, None);
}

/// "A SHOULD be considered to be malformed" (section 3.2), and the transitive
/// bit makes it so.
#[test]
fn an_aigp_of_the_highest_metric_or_marked_transitive_is_discarded() {
    for (flags, value) in [
        (0x80, "01 000b ffffffffffffffff"),
        (0xc0, "01 000b 00000000000004d2"),
        (0x40, "01 000b 00000000000004d2"),
    ] {
        let decoded = with_aigp(flags, value);
        assert_eq!(decoded.attributes.aigp, None);
        assert_eq!(decoded.worst_action(), Some(Action::Discard));
    }
}

#[test]
fn two_ipv4_announcements_fit_into_one_message() {
    let ctx = context(EXTERNAL);
    let reach = attribute(0x80, 14, &hex("0001 01 04 c0000202 00 18 c63364"));
    let mut attributes = mandatory(EXTERNAL);
    attributes.push(reach);
    let decoded = decode(&ctx, &update(&[], &attributes, &NLRI)).expect("fine");
    // MP_REACH_NLRI's first.
    assert_eq!(announced(&decoded), ["198.51.100.0/24", "203.0.113.0/24"]);
    let mut out = BytesMut::new();
    decoded.encode(&ctx, &mut out).expect("fits");
    assert_eq!(decode(&ctx, &out), Ok(decoded));
}

#[test]
fn what_one_message_cannot_say_is_refused() {
    let ctx = context(EXTERNAL);
    let good = decode(&ctx, &update(&NLRI, &mandatory(EXTERNAL), &NLRI)).expect("fine");
    let mut three = good.clone();
    three.announced = vec![good.announced[0].clone(); 3];
    let mut twice = good.clone();
    twice.withdrawn.push(good.withdrawn[0].clone());
    let mut marker = good.clone();
    marker.end_of_rib = Some(Family::Ipv4Unicast);
    for bad in [three, twice, marker] {
        let error = bad.encode(&ctx, &mut BytesMut::new());
        assert_eq!(error, Err(bgp_wire::EncodeError::NotOneUpdate));
    }
}
