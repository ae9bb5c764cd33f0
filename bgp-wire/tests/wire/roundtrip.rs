//! What is written is read back, whatever the session.

use bgp_wire::{EncodeError, Message, Notification, decode_message};
use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::builder::{hex, message, to_hex};
use crate::strategies::{as_paths, contexts, messages};

/// Every NOTIFICATION that decoding asks for is one that the RFCs know.
fn assert_known(notification: &Notification) {
    let known = match notification.code {
        1 => (1..=3).contains(&notification.subcode),
        2 => matches!(notification.subcode, 0..=4 | 6),
        3 => matches!(notification.subcode, 1..=6 | 8..=11),
        7 => notification.subcode == 1,
        _ => false,
    };
    assert!(known, "{notification:?}");
}

proptest! {
    #[test]
    fn decoding_undoes_encoding((ctx, message) in messages()) {
        let mut out = BytesMut::new();
        match message.encode(&ctx, &mut out) {
            Ok(()) => {
                prop_assert!(out.len() <= ctx.max_message_len());
                prop_assert_eq!(decode_message(&ctx, &out), Ok(message));
            }
            Err(error) => {
                // Only size is a reason, and nothing is left behind.
                let is_size = matches!(error, EncodeError::TooLong { .. });
                prop_assert!(is_size, "{}", error);
                prop_assert!(out.is_empty());
            }
        }
    }

    #[test]
    fn any_octets_decode_or_are_answered(
        ctx in contexts(),
        kind in 1..=6u8,
        body in vec(any::<u8>(), 0..200),
    ) {
        if let Err(notification) = decode_message(&ctx, &message(kind, &body)) {
            assert_known(&notification);
        }
        if let Err(notification) = decode_message(&ctx, &body) {
            assert_known(&notification);
        }
    }

    #[test]
    fn one_changed_octet_decodes_or_is_answered(
        (ctx, message) in messages(),
        at in any::<prop::sample::Index>(),
        octet in any::<u8>(),
    ) {
        let mut out = BytesMut::new();
        if message.encode(&ctx, &mut out).is_ok() {
            let at = at.index(out.len());
            out[at] = octet;
            if let Err(notification) = decode_message(&ctx, &out) {
                assert_known(&notification);
            }
        }
    }

    #[test]
    fn one_cut_decodes_or_is_answered(
        (ctx, message) in messages(),
        at in any::<prop::sample::Index>(),
    ) {
        let mut out = BytesMut::new();
        if message.encode(&ctx, &mut out).is_ok() {
            // With the length corrected, so that the cut is inside of fields.
            out.truncate(19 + at.index(out.len() - 18));
            let len = out.len() as u16;
            out[16..18].copy_from_slice(&len.to_be_bytes());
            if let Err(notification) = decode_message(&ctx, &out) {
                assert_known(&notification);
            }
        }
    }

    #[test]
    fn paths_survive_text(path in as_paths()) {
        prop_assert_eq!(path.to_string().parse(), Ok(path));
    }

    #[test]
    fn prepending_adds_to_every_count(path in as_paths(), asn in 1..100u32, times in 0..600usize) {
        let longer = path.prepend(asn, times);
        prop_assert_eq!(longer.hop_count(), path.hop_count() + times);
        prop_assert_eq!(longer.count(asn), path.count(asn) + times);
        prop_assert_eq!(longer.origin_as(), path.origin_as().or(
            (path.is_empty() && times > 0).then_some(asn)
        ));
    }
}

/// A message of the marker alone has no length field.
#[test]
fn a_lone_marker_is_not_a_message() {
    let ctx = crate::builder::context(bgp_wire::PeerKind::External);
    let notification = decode_message(&ctx, &[0xff; 16]).expect_err("refused");
    assert_known(&notification);
}

#[test]
fn keepalive_is_nineteen_octets() {
    let ctx = crate::builder::context(bgp_wire::PeerKind::External);
    let mut out = BytesMut::new();
    Message::Keepalive.encode(&ctx, &mut out).expect("fits");
    let expected = hex("ffffffffffffffffffffffffffffffff 0013 04");
    assert_eq!(to_hex(&out), to_hex(&expected));
}
