//! The bodies of the fuzz targets, with input that is likely to get far.

use bgp_wire::Message;
use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::strategies::{as_paths, messages};

#[path = "../../fuzz/bodies.rs"]
#[allow(unreachable_pub)]
mod bodies;

/// Octets that are not all equally likely: small numbers are lengths, types
/// and flags.
fn octets(max: usize) -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![
        4 => 0..6u8,
        1 => prop_oneof![Just(0x40u8), Just(0x80), Just(0xc0), Just(0x50), Just(14), Just(16)],
        2 => any::<u8>(),
    ];
    vec(octet, 0..max)
}

/// Attributes with sound headers and any value.
fn blocks() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![1..=18u8, Just(25), Just(32), Just(35), any::<u8>()];
    let flags = prop_oneof![Just(0x40u8), Just(0x80), Just(0xc0)];
    let attribute = (flags, code, octets(40)).prop_map(|(flags, code, value)| {
        let mut attribute = vec![flags, code, value.len() as u8];
        attribute.extend(value);
        attribute
    });
    vec(attribute, 0..6).prop_map(|attributes| attributes.concat())
}

proptest! {
    #[test]
    fn open(body in octets(80)) {
        let mut sound = vec![4, 0xfd, 0xe9, 0, 90, 192, 0, 2, 1];
        sound.extend_from_slice(&body);
        bodies::open(&sound);
        bodies::open(&body);
    }

    #[test]
    fn update(session in any::<[u8; 2]>(), body in octets(120)) {
        bodies::update(&[&session[..], &body].concat());
    }

    #[test]
    fn update_of_sound_attributes(
        session in any::<[u8; 2]>(),
        withdrawn in octets(8),
        block in blocks(),
        nlri in octets(12),
    ) {
        let body = [
            &session[..],
            &(withdrawn.len() as u16).to_be_bytes(),
            &withdrawn,
            &(block.len() as u16).to_be_bytes(),
            &block,
            &nlri,
        ];
        bodies::update(&body.concat());
    }

    #[test]
    fn update_with_one_change(
        (ctx, message) in messages(),
        families in any::<u8>(),
        bits in any::<u8>(),
        at in any::<prop::sample::Index>(),
        octet in any::<u8>(),
    ) {
        let mut out = BytesMut::new();
        if matches!(message, Message::Update(_)) && message.encode(&ctx, &mut out).is_ok() {
            let mut data = vec![bits, families];
            data.extend_from_slice(&out[19..]);
            bodies::update(&data);
            let at = 2 + at.index(data.len() - 2);
            data[at] = octet;
            bodies::update(&data);
        }
    }

    #[test]
    fn stream(parts in vec(messages(), 1..4), session in any::<[u8; 2]>(), tail in octets(30)) {
        let mut out = BytesMut::from(&session[..]);
        for (ctx, message) in parts {
            let _ = message.encode(&ctx, &mut out);
        }
        out.extend_from_slice(&tail);
        bodies::stream(&out);
    }

    #[test]
    fn attribute_block(block in blocks(), body in octets(60)) {
        bodies::attribute_block(&block);
        bodies::attribute_block(&body);
    }

    #[test]
    fn prefixes(body in octets(60)) {
        bodies::prefixes(&body);
    }

    #[test]
    fn notification(body in octets(40)) {
        bodies::notification(&body);
    }

    #[test]
    fn as_path(path in as_paths(), text in "[0-9 ,{}()\\[\\]]{0,40}") {
        bodies::as_path(path.to_string().as_bytes());
        bodies::as_path(text.as_bytes());
    }
}
