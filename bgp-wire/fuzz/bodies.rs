//! What each fuzz target does with its input. The tests of the crate run the
//! same bodies on a stable compiler.

use bgp_wire::{
    AsPath, CodecContext, Decoder, Family, FamilySet, Message, PackedPrefixes, PathAttributes,
    PeerKind, V4, V6, decode_attribute_block, decode_message, decode_update_packed,
    encode_attribute_block,
};
use bytes::{Bytes, BytesMut};

fn set(bits: u8) -> FamilySet {
    let families = Family::ALL.into_iter().enumerate();
    families
        .filter(|(index, _)| bits & 1 << index != 0)
        .map(|(_, family)| family)
        .collect()
}

/// A session made of two octets.
pub fn context(bits: u8, families: u8) -> CodecContext {
    CodecContext {
        peer_kind: match bits & 3 {
            0 => PeerKind::External,
            1 => PeerKind::Confederation,
            _ => PeerKind::Internal,
        },
        four_octet_as: bits & 4 != 0,
        extended_message: bits & 8 != 0,
        extended_next_hop: set(bits >> 4 & 1),
        families: set(!families & 3),
        add_path_receive: set(families >> 2 & 3),
        add_path_send: set(families >> 2 & 3),
    }
}

/// The session of the first two octets, and the rest.
fn split(data: &[u8]) -> Option<(CodecContext, &[u8])> {
    match data {
        [bits, families, rest @ ..] => Some((context(*bits, *families), rest)),
        _ => None,
    }
}

/// A message of this type around the input.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = (19 + body.len()).min(usize::from(u16::MAX)) as u16;
    let mut message = vec![0xff; 16];
    message.extend_from_slice(&len.to_be_bytes());
    message.push(kind);
    message.extend_from_slice(body);
    message
}

/// What one message says is the same after it was written and read again,
/// except for what was wrong with it.
fn assert_stable(ctx: &CodecContext, bytes: &[u8]) {
    let Ok(mut first) = decode_message(ctx, bytes) else {
        return;
    };
    if let Message::Update(update) = &mut first {
        update.faults.clear();
        // A message without an effect has no other form.
        let is_empty = update.withdrawn.is_empty() && update.announced.is_empty();
        if is_empty && update.end_of_rib.is_none() {
            return;
        }
        for raw in &mut update.attributes.unknown {
            raw.flags |= 0x20;
        }
    }
    let mut out = BytesMut::new();
    // Some messages grow: shorter forms of what we write longer exist.
    if first.encode(ctx, &mut out).is_ok() {
        let second = decode_message(ctx, &out).expect("what we write can be read");
        if ctx.four_octet_as || !matches!(first, Message::Update(_)) {
            assert_eq!(first, second);
        } else {
            assert_converges(ctx, second);
        }
    }
}

/// AS4_PATH and AS_PATH of an old speaker may say things that cannot be said
/// again (segments of a confederation between others); the second time they
/// can.
fn assert_converges(ctx: &CodecContext, second: Message) {
    let mut out = BytesMut::new();
    if second.encode(ctx, &mut out).is_ok() {
        let third = decode_message(ctx, &out).expect("what we write can be read");
        assert_eq!(second, third);
    }
}

/// An UPDATE whose prefixes stay where they are says the same.
fn assert_packed_agrees(ctx: &CodecContext, body: &[u8]) {
    let lists = decode_message(ctx, &message(2, body));
    let packed = decode_update_packed(ctx, &Bytes::copy_from_slice(body));
    match (lists, packed) {
        (Ok(Message::Update(lists)), Ok(packed)) => {
            assert_eq!(packed.to_update(), *lists);
            assert_block_is_exact(&packed.attributes);
        }
        // The header refuses the message, for its length.
        (Err(lists), _) if lists.code == 1 => {}
        (Err(lists), Err(packed)) => assert_eq!(lists, packed),
        (lists, packed) => panic!("{lists:?} and {packed:?}"),
    }
}

/// The octets that stand for an attribute set lead back to it.
fn assert_block_is_exact(attributes: &PathAttributes) {
    let block = encode_attribute_block(attributes);
    assert_eq!(decode_attribute_block(&block).as_ref(), Some(attributes));
}

/// Octets as an attribute block: none, or a set with a block of its own.
pub fn attribute_block(data: &[u8]) {
    if let Some(attributes) = decode_attribute_block(data) {
        assert_block_is_exact(&attributes);
    }
}

/// Whether there are path identifiers, and prefixes of either family.
pub fn prefixes(data: &[u8]) {
    let Some((first, octets)) = data.split_first() else {
        return;
    };
    for family in Family::ALL {
        let octets = Bytes::copy_from_slice(octets);
        let Ok(packed) = PackedPrefixes::new(family, first & 1 != 0, octets) else {
            continue;
        };
        let list = packed.to_list();
        assert_eq!(packed.count(), list.len());
        let read = packed.iter::<V4>().count() + packed.iter::<V6>().count();
        assert_eq!(read, list.len());
        assert_eq!(PackedPrefixes::from_list(&list).to_list(), list);
    }
}

/// An OPEN's body.
pub fn open(data: &[u8]) {
    assert_stable(&context(4, 0), &message(1, data));
}

/// A session, and an UPDATE's body.
pub fn update(data: &[u8]) {
    if let Some((ctx, body)) = split(data) {
        assert_stable(&ctx, &message(2, body));
        assert_packed_agrees(&ctx, body);
    }
}

/// A NOTIFICATION's body.
pub fn notification(data: &[u8]) {
    let bytes = message(3, data);
    let ctx = context(4, 0);
    assert_stable(&ctx, &bytes);
    if let Ok(Message::Notification(notification)) = decode_message(&ctx, &bytes) {
        let _ = notification.to_string();
        let _ = notification.shutdown_communication();
        let _ = notification.hard_reset_cause();
    }
}

/// A session, and what arrives on the connection.
pub fn stream(data: &[u8]) {
    let Some((ctx, data)) = split(data) else {
        return;
    };
    let mut decoder = Decoder::new();
    decoder.set_extended_message(ctx.extended_message);
    let mut buffer = BytesMut::from(data);
    while let Ok(Some(frame)) = decoder.decode(&mut buffer) {
        assert_stable(&ctx, &frame.bytes);
    }
}

/// The text of an AS path.
pub fn as_path(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    if let Ok(path) = text.parse::<AsPath>() {
        let again: AsPath = path.to_string().parse().expect("our own text");
        assert_eq!(path.to_string(), again.to_string());
        assert_eq!(
            path.hop_count(),
            path.segments().map(|s| s.hop_count()).sum()
        );
    }
}
