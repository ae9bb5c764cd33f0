//! RFC 4271 section 6.1, RFC 8654: the header and the framing.

use bgp_wire::{
    Cease, Decoder, EncodeError, Message, MessageKind, Notification, PeerKind, RouteRefreshKind,
    decode_message,
};
use bytes::BytesMut;

use crate::builder::*;

fn frame_error(bytes: &[u8], extended: bool) -> Notification {
    let mut decoder = Decoder::new();
    decoder.set_extended_message(extended);
    let error = decoder.decode(&mut BytesMut::from(bytes));
    error.expect_err("must be refused")
}

/// A header of the given length and type.
fn header(len: u16, kind: u8) -> Vec<u8> {
    let mut header = vec![0xff; 16];
    header.extend_from_slice(&len.to_be_bytes());
    header.push(kind);
    header
}

#[test]
fn marker_not_all_ones() {
    for index in 0..16 {
        let mut bytes = message(4, &[]);
        bytes[index] = 0xfe;
        assert_eq!(frame_error(&bytes, false), Notification::new(1, 1, []));
        // Known as soon as the octet is there.
        let partial = frame_error(&bytes[..=index], false);
        assert_eq!((partial.code, partial.subcode), (1, 1));
    }
}

#[test]
fn bad_lengths_come_back_as_data() {
    // (length, type, extended messages)
    for (len, kind, extended) in [
        (0, 4, false),
        (18, 4, false),
        (18, 2, true),
        (4097, 2, false),
        (65535, 2, false),
        (28, 1, false),
        (4097, 1, true),
        (22, 2, false),
        (20, 3, false),
        (4097, 3, false),
        (20, 4, false),
        (4096, 4, true),
        (4097, 5, false),
    ] {
        let expected = Notification::new(1, 2, u16::to_be_bytes(len));
        let error = frame_error(&header(len, kind), extended);
        assert_eq!(error, expected, "{len} {kind} {extended}");
    }
}

#[test]
fn shortest_and_longest_lengths_are_accepted() {
    for (len, kind, extended) in [
        (29, 1, false),
        (4096, 1, true),
        (23, 2, false),
        (4096, 2, false),
        (65535, 2, true),
        (21, 3, false),
        (65535, 3, true),
        (19, 4, false),
        (23, 5, false),
    ] {
        let mut decoder = Decoder::new();
        decoder.set_extended_message(extended);
        let mut buffer = BytesMut::from(&header(len, kind)[..]);
        if len > 19 {
            assert_eq!(decoder.decode(&mut buffer), Ok(None), "{len} {kind}");
        }
        buffer.resize(usize::from(len), 0);
        let frame = decoder.decode(&mut buffer).expect("fine").expect("whole");
        assert_eq!(frame.kind as u8, kind);
        assert_eq!(frame.bytes.len(), usize::from(len));
        assert!(buffer.is_empty());
    }
}

#[test]
fn unknown_types_come_back_as_data() {
    for kind in [0, 6, 7, 128, 255] {
        let error = frame_error(&header(19, kind), false);
        assert_eq!(error, Notification::new(1, 3, [kind]));
    }
}

#[test]
fn messages_are_cut_at_any_boundary() {
    let stream = [message(4, &[]), update(&[], &[], &[]), message(4, &[])].concat();
    let kinds = [
        MessageKind::Keepalive,
        MessageKind::Update,
        MessageKind::Keepalive,
    ];
    for step in 1..stream.len() {
        let decoder = Decoder::new();
        let mut buffer = BytesMut::new();
        let mut seen = Vec::new();
        for part in stream.chunks(step) {
            buffer.extend_from_slice(part);
            while let Some(frame) = decoder.decode(&mut buffer).expect("fine") {
                seen.push(frame.kind);
            }
        }
        assert_eq!(seen, kinds, "{step}");
    }
}

#[test]
fn route_refresh_lengths() {
    let ctx = context(PeerKind::External);
    // A request of a wrong length is a header error.
    for body in ["", "0001", "000100", "00010001ff"] {
        let bytes = message(5, &hex(body));
        let expected = Notification::new(1, 2, (bytes.len() as u16).to_be_bytes());
        assert_eq!(decode_message(&ctx, &bytes), Err(expected));
    }
    // The ends of a refresh have their own code, and the message as data
    // (RFC 7313 section 5).
    for body in ["000101", "0001010100", "000102", "00010201ffff"] {
        let bytes = message(5, &hex(body));
        let expected = Notification::new(7, 1, bytes.clone());
        assert_eq!(decode_message(&ctx, &bytes), Err(expected));
    }
}

#[test]
fn route_refresh_subtypes_and_families() {
    let ctx = context(PeerKind::External);
    for (body, afi, safi, kind) in [
        ("00010001", 1, 1, RouteRefreshKind::Request),
        ("00020101", 2, 1, RouteRefreshKind::Begin),
        ("00020201", 2, 1, RouteRefreshKind::End),
        ("00190746", 25, 70, RouteRefreshKind::Unknown(7)),
    ] {
        let decoded = decode_message(&ctx, &message(5, &hex(body))).expect("fine");
        let Message::RouteRefresh(refresh) = decoded else {
            panic!("not a ROUTE-REFRESH");
        };
        assert_eq!((refresh.family.afi, refresh.family.safi), (afi, safi));
        assert_eq!(refresh.kind, kind);
    }
}

#[test]
fn a_long_notification_is_cut_to_the_session_s_size() {
    for extended in [false, true] {
        let mut ctx = context(PeerKind::External);
        ctx.extended_message = extended;
        let long = Notification::new(3, 1, vec![7; 70_000]);
        let mut out = BytesMut::new();
        Message::Notification(long)
            .encode(&ctx, &mut out)
            .expect("always fits");
        assert_eq!(out.len(), ctx.max_message_len());
        assert!(decode_message(&ctx, &out).is_ok());
    }
}

#[test]
fn not_one_whole_message_is_an_error() {
    let ctx = context(PeerKind::External);
    let bytes = message(4, &[]);
    for wrong in [&bytes[..10], &[&bytes[..], &[0]].concat()] {
        let error = decode_message(&ctx, wrong).expect_err("refused");
        assert_eq!((error.code, error.subcode), (1, 2));
    }
    let cease = Message::Notification(Notification::cease(Cease::PeerDeconfigured));
    let mut out = BytesMut::new();
    cease.encode(&ctx, &mut out).expect("fits");
    assert_eq!(decode_message(&ctx, &out), Ok(cease));
}

#[test]
fn an_open_that_does_not_fit_is_refused_and_leaves_nothing_behind() {
    let mut open = crate::open::plain();
    let unknown = bgp_wire::Capability::Unknown {
        code: 200,
        value: vec![0; 255],
    };
    open.capabilities = vec![unknown; 16];
    let mut out = BytesMut::from(&b"before"[..]);
    let error = Message::Open(open).encode(&context(PeerKind::External), &mut out);
    assert!(matches!(error, Err(EncodeError::TooLong { .. })));
    assert_eq!(&out[..], b"before");
}
