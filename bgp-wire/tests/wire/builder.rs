//! Messages made by hand, right and wrong ones.

use bgp_wire::{
    CodecContext, Family, FamilySet, Message, Notification, PeerKind, Prefixes, Update,
    decode_message,
};

/// A modern session: 4-octet AS numbers, both families.
pub(crate) fn context(peer_kind: PeerKind) -> CodecContext {
    CodecContext {
        four_octet_as: true,
        families: Family::ALL.into_iter().collect(),
        ..CodecContext::baseline(peer_kind)
    }
}

/// A session with a speaker of 2-octet AS numbers.
pub(crate) fn old_context(peer_kind: PeerKind) -> CodecContext {
    CodecContext {
        four_octet_as: false,
        ..context(peer_kind)
    }
}

pub(crate) fn set(family: Family) -> FamilySet {
    [family].into_iter().collect()
}

/// Octets from text; blanks are left out.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).expect("hex digits"))
        .collect()
}

pub(crate) fn to_hex(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02x}")).collect()
}

/// A message of the given type around a body.
pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![0xff; 16];
    message.extend_from_slice(&((19 + body.len()) as u16).to_be_bytes());
    message.push(kind);
    message.extend_from_slice(body);
    message
}

/// One attribute with a length of one octet.
pub(crate) fn attribute(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    let mut attribute = vec![flags, code, value.len() as u8];
    attribute.extend_from_slice(value);
    attribute
}

/// An UPDATE of its three fields.
pub(crate) fn update(withdrawn: &[u8], attributes: &[Vec<u8>], nlri: &[u8]) -> Vec<u8> {
    let attributes = attributes.concat();
    let mut body = (withdrawn.len() as u16).to_be_bytes().to_vec();
    body.extend_from_slice(withdrawn);
    body.extend_from_slice(&(attributes.len() as u16).to_be_bytes());
    body.extend_from_slice(&attributes);
    body.extend_from_slice(nlri);
    message(2, &body)
}

pub(crate) fn origin() -> Vec<u8> {
    attribute(0x40, 1, &[0])
}

/// AS_PATH: the sequence 65001.
pub(crate) fn as_path() -> Vec<u8> {
    attribute(0x40, 2, &hex("02 01 0000fde9"))
}

/// NEXT_HOP 192.0.2.1.
pub(crate) fn next_hop() -> Vec<u8> {
    attribute(0x40, 3, &[192, 0, 2, 1])
}

/// LOCAL_PREF 100.
pub(crate) fn local_pref() -> Vec<u8> {
    attribute(0x40, 5, &[0, 0, 0, 100])
}

/// MP_REACH_NLRI: 2001:db8:1::/48 by 2001:db8::1.
pub(crate) fn mp_reach() -> Vec<u8> {
    let value = "0002 01 10 20010db8000000000000000000000001 00 30 20010db80001";
    attribute(0x80, 14, &hex(value))
}

/// 203.0.113.0/24.
pub(crate) const NLRI: [u8; 4] = [24, 203, 0, 113];

/// The attributes that an UPDATE of such a peer must have.
pub(crate) fn mandatory(peer_kind: PeerKind) -> Vec<Vec<u8>> {
    let mut attributes = vec![origin(), as_path(), next_hop()];
    if peer_kind == PeerKind::Internal {
        attributes.push(local_pref());
    }
    attributes
}

pub(crate) fn decode(ctx: &CodecContext, message: &[u8]) -> Result<Update, Notification> {
    match decode_message(ctx, message)? {
        Message::Update(update) => Ok(*update),
        other => panic!("not an UPDATE: {other:?}"),
    }
}

/// The prefixes as text, for comparison.
pub(crate) fn texts(prefixes: &Prefixes) -> Vec<String> {
    match prefixes {
        Prefixes::V4(list) => list.iter().map(|n| n.prefix.to_string()).collect(),
        Prefixes::V6(list) => list.iter().map(|n| n.prefix.to_string()).collect(),
    }
}

pub(crate) fn withdrawn(update: &Update) -> Vec<String> {
    update.withdrawn.iter().flat_map(texts).collect()
}

pub(crate) fn announced(update: &Update) -> Vec<String> {
    update
        .announced
        .iter()
        .flat_map(|a| texts(&a.prefixes))
        .collect()
}

/// The code and subcode of the NOTIFICATION that a message is answered by.
pub(crate) fn answer(ctx: &CodecContext, message: &[u8]) -> (u8, u8) {
    let notification = decode_message(ctx, message).expect_err("must be refused");
    (notification.code, notification.subcode)
}
