//! Prefixes that stay in the message, and UPDATEs read that way.

use bgp_wire::nlri::NlriError;
use bgp_wire::{
    Action, AddressFamily, CodecContext, Decoder, EncodeError, Family, Message, NextHop,
    Notification, PackedPrefixes, PeerKind, Prefixes, Update, UpdateParts, V4, V6, decode_message,
    decode_update_packed, encode_announcements, encode_announcements_noting, reader::Reader,
};
use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::builder::{self, context, hex, mandatory, update};
use crate::strategies::{attributes, contexts, messages, next_hop_v6, nlri};

const EXTERNAL: PeerKind = PeerKind::External;

// ===== PackedPrefixes =====

fn packed(family: Family, add_path: bool, octets: &str) -> Result<PackedPrefixes, NlriError> {
    PackedPrefixes::new(family, add_path, Bytes::from(hex(octets)))
}

#[test]
fn host_bits_are_cleared_on_reading() {
    let prefixes = packed(
        Family::Ipv4Unicast,
        false,
        "14c0000f 00 20c0000201 180a0000",
    )
    .expect("sound");
    let texts: Vec<String> = prefixes
        .iter::<V4>()
        .map(|n| n.prefix.to_string())
        .collect();
    let expected = ["192.0.0.0/20", "0.0.0.0/0", "192.0.2.1/32", "10.0.0.0/24"];
    assert_eq!(prefixes.count(), expected.len());
    assert_eq!(texts, expected);
}

#[test]
fn the_other_family_is_empty() {
    let prefixes = packed(Family::Ipv4Unicast, false, "180a0000").expect("sound");
    assert_eq!(prefixes.iter::<V6>().count(), 0);
    assert_eq!(prefixes.iter::<V4>().count(), 1);
    let empty = PackedPrefixes::empty(Family::Ipv6Unicast);
    assert!(empty.is_empty());
    assert_eq!(empty.count(), 0);
    assert_eq!(empty.to_list(), Prefixes::V6(Vec::new()));
}

#[test]
fn what_cannot_be_read_is_refused() {
    let refused = |family, add_path, octets| packed(family, add_path, octets).expect_err("refused");
    assert_eq!(
        refused(Family::Ipv4Unicast, false, "180a0000 21c000020100"),
        NlriError::Length { at: 4, len: 33 }
    );
    assert_eq!(
        refused(Family::Ipv6Unicast, false, "81"),
        NlriError::Length { at: 0, len: 129 }
    );
    assert_eq!(
        refused(Family::Ipv4Unicast, true, "00000001 ff"),
        NlriError::Length { at: 4, len: 255 }
    );
    for (add_path, octets) in [(false, "180a00"), (true, "000001"), (true, "00000001")] {
        let error = refused(Family::Ipv4Unicast, add_path, octets);
        assert!(matches!(error, NlriError::Truncated(_)), "{error}");
    }
}

proptest! {
    #[test]
    fn lists_survive_packing(v4 in nlri::<V4>(0..40, false), ids in nlri::<V4>(0..40, true)) {
        for list in [Prefixes::V4(v4), Prefixes::V4(ids)] {
            let packed = PackedPrefixes::from_list(&list);
            prop_assert_eq!(packed.count(), list.len());
            prop_assert_eq!(packed.is_empty(), list.is_empty());
            let again = PackedPrefixes::new(packed.family(), packed.add_path(), packed.octets().clone());
            prop_assert_eq!(again.as_ref(), Ok(&packed));
            prop_assert_eq!(packed.to_list(), list);
        }
    }

    #[test]
    fn ipv6_lists_survive_packing(v6 in nlri::<V6>(0..40, false), ids in nlri::<V6>(0..40, true)) {
        for list in [Prefixes::V6(v6), Prefixes::V6(ids)] {
            let packed = PackedPrefixes::from_list(&list);
            prop_assert_eq!(packed.count(), list.len());
            prop_assert_eq!(packed.to_list(), list);
        }
    }

    /// The same octets are refused or read alike, as a list and packed.
    #[test]
    fn agrees_with_the_list(octets in vec(prop_oneof![0..40u8, any::<u8>()], 0..60), add_path: bool) {
        agree::<V4>(&octets, add_path)?;
        agree::<V6>(&octets, add_path)?;
    }
}

/// Reads prefixes one by one with the checked reader, as simply as can be.
fn plain<F: AddressFamily>(octets: &[u8], add_path: bool) -> Result<Prefixes, NlriError> {
    let mut reader = Reader::new(octets);
    let mut list = Vec::new();
    while !reader.is_empty() {
        let path_id = if add_path { reader.u32()? } else { 0 };
        let at = reader.offset();
        let len = reader.u8()?;
        if len > F::MAX_LEN {
            return Err(NlriError::Length { at, len });
        }
        let mut address = [0; 16];
        let octets = reader.take(usize::from(len).div_ceil(8))?;
        address[..octets.len()].copy_from_slice(octets.as_slice());
        for bit in usize::from(len)..128 {
            address[bit / 8] &= !(0x80 >> (bit % 8));
        }
        let prefix = F::from_wire(&address, len).expect("a possible length");
        list.push(bgp_wire::Nlri { path_id, prefix });
    }
    Ok(F::wrap(list))
}

fn agree<F: AddressFamily>(octets: &[u8], add_path: bool) -> Result<(), TestCaseError> {
    let expected = plain::<F>(octets, add_path);
    let packed = PackedPrefixes::new(F::FAMILY, add_path, Bytes::copy_from_slice(octets));
    prop_assert_eq!(
        packed.as_ref().map(PackedPrefixes::to_list).map_err(|e| *e),
        expected.clone()
    );
    let list = bgp_wire::nlri::decode::<F>(Reader::new(octets), add_path);
    prop_assert_eq!(list.map(F::wrap), expected.clone());
    if let (Ok(packed), Ok(expected)) = (packed, expected) {
        prop_assert_eq!(packed.count(), expected.len());
    }
    Ok(())
}

// ===== decode_update_packed =====

/// The body of a message that was made by hand.
fn body(message: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&message[19..])
}

/// Whether the prefixes are inside of the body.
fn is_inside(prefixes: &PackedPrefixes, body: &Bytes) -> bool {
    let range = body.as_ptr_range();
    let own = prefixes.octets().as_ptr_range();
    range.start <= own.start && own.end <= range.end
}

fn compare(ctx: &CodecContext, bytes: &[u8]) -> Result<(), TestCaseError> {
    let body = Bytes::copy_from_slice(bytes.get(19..).unwrap_or_default());
    let lists: Result<Update, Notification> = match decode_message(ctx, bytes) {
        Ok(Message::Update(update)) => Ok(*update),
        Ok(_) => return Ok(()),
        Err(notification) if notification.code == 1 => return Ok(()),
        Err(notification) => Err(notification),
    };
    let packed = decode_update_packed(ctx, &body);
    if let Ok(packed) = &packed {
        let announced = packed.announced.iter().map(|a| &a.prefixes);
        for prefixes in packed.withdrawn.iter().chain(announced) {
            prop_assert!(!prefixes.is_empty());
            prop_assert!(is_inside(prefixes, &body), "copied");
        }
        let is_refused = packed.worst_action() >= Some(Action::TreatAsWithdraw);
        prop_assert!(!is_refused || packed.announced.is_empty());
    }
    prop_assert_eq!(packed.map(|update| update.to_update()), lists);
    Ok(())
}

fn update_octets(ctx: &CodecContext, message: &Message) -> Option<BytesMut> {
    let mut out = BytesMut::new();
    let is_update = matches!(message, Message::Update(_));
    (is_update && message.encode(ctx, &mut out).is_ok()).then_some(out)
}

proptest! {
    #[test]
    fn agrees_with_decode_message((ctx, message) in messages(), other in contexts()) {
        if let Some(out) = update_octets(&ctx, &message) {
            compare(&ctx, &out)?;
            compare(&other, &out)?;
        }
    }

    #[test]
    fn agrees_after_changes(
        (ctx, message) in messages(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        if let Some(mut out) = update_octets(&ctx, &message) {
            for (at, octet) in changes {
                let at = 19 + at.index(out.len() - 19);
                out[at] = octet;
            }
            compare(&ctx, &out)?;
        }
    }

    /// A session that knows the block reads the rest with the same result.
    #[test]
    fn the_parts_make_the_whole((ctx, message) in messages()) {
        let Some(out) = update_octets(&ctx, &message) else {
            return Ok(());
        };
        let body = body(&out);
        let parts = UpdateParts::split(Reader::at(&body, 19)).expect("sound");
        if !parts.has_nlri() || parts.has_mp_attributes() {
            return Ok(());
        }
        let whole = decode_update_packed(&ctx, &body).expect("sound");
        let (withdrawn, nlri) = parts.packed_prefixes(&ctx, &body).expect("sound");
        prop_assert_eq!(&whole.announced[0].prefixes, &nlri);
        prop_assert_eq!(whole.withdrawn.is_empty(), withdrawn.is_empty());
        prop_assert!(whole.withdrawn.first().is_none_or(|list| *list == withdrawn));
    }
}

#[test]
fn treat_as_withdraw_moves_the_slices() {
    let ctx = context(EXTERNAL);
    let mut bad = mandatory(EXTERNAL);
    bad[0] = builder::attribute(0x40, 1, &[9]);
    let body = body(&update(&[8, 10], &bad, &builder::NLRI));
    let packed = decode_update_packed(&ctx, &body).expect("survived");
    assert!(packed.announced.is_empty());
    let lists: Vec<&[u8]> = packed.withdrawn.iter().map(|p| &p.octets()[..]).collect();
    assert_eq!(lists, [&[8, 10][..], &builder::NLRI[..]]);
    assert_eq!(packed.worst_action(), Some(Action::TreatAsWithdraw));
    assert_eq!(packed.attributes, Default::default());
}

#[test]
fn end_of_rib_is_seen() {
    let ctx = context(EXTERNAL);
    let packed = decode_update_packed(&ctx, &body(&update(&[], &[], &[]))).expect("a marker");
    assert_eq!(packed.end_of_rib, Some(Family::Ipv4Unicast));
    let marker = builder::attribute(0x80, 15, &[0, 2, 1]);
    let packed = decode_update_packed(&ctx, &body(&update(&[], &[marker], &[]))).expect("one too");
    assert_eq!(packed.end_of_rib, Some(Family::Ipv6Unicast));
    assert!(packed.withdrawn.is_empty() && packed.announced.is_empty());
}

/// The prefixes are those of the message split, whatever buffer comes with it.
#[test]
fn another_buffer_costs_a_copy_and_nothing_else() {
    let ctx = context(EXTERNAL);
    let message = update(&[], &mandatory(EXTERNAL), &builder::NLRI);
    let parts = UpdateParts::split(Reader::at(&message[19..], 19)).expect("sound");
    let other = Bytes::from_static(&[1, 2, 3]);
    let packed = parts.decode_packed(&ctx, &other).expect("sound");
    assert_eq!(&packed.announced[0].prefixes.octets()[..], &builder::NLRI);
}

#[test]
fn a_frame_is_a_part_of_the_read_buffer() {
    let message = update(&[], &mandatory(EXTERNAL), &builder::NLRI);
    let mut buffer = BytesMut::with_capacity(4096);
    for _ in 0..3 {
        buffer.extend_from_slice(&message);
    }
    let start = buffer.as_ptr() as usize;
    let decoder = Decoder::new();
    for index in 0..3 {
        let frame = decoder.decode(&mut buffer).expect("sound").expect("whole");
        assert_eq!(frame.bytes.as_ptr() as usize, start + index * message.len());
        let body = frame.body();
        assert_eq!(body.as_ptr() as usize, start + index * message.len() + 19);
        let packed = decode_update_packed(&context(EXTERNAL), &body).expect("sound");
        assert!(is_inside(&packed.announced[0].prefixes, &frame.bytes));
    }
}

// ===== encode_announcements_noting =====

/// The octets of the next hop at each noted place.
fn noted<F: AddressFamily>(
    ctx: &CodecContext,
    attributes: &bgp_wire::PathAttributes,
    list: &[bgp_wire::Nlri<F::Prefix>],
) -> Result<(), TestCaseError> {
    let mut plain = BytesMut::from(&b"before"[..]);
    let mut out = plain.clone();
    let mut at = vec![7];
    let messages = encode_announcements::<F>(ctx, attributes, list, &mut plain);
    let noting = encode_announcements_noting::<F>(ctx, attributes, list, &mut out, &mut at);
    prop_assert_eq!(noting, messages);
    prop_assert_eq!(&out, &plain);
    let Ok(messages) = messages else {
        let error = messages.expect_err("an error");
        prop_assert!(
            matches!(error, EncodeError::AttributesTooLong { .. }),
            "{}",
            error
        );
        prop_assert_eq!((&at[..], &out[..]), (&[7][..], &b"before"[..]));
        return Ok(());
    };
    prop_assert_eq!(at.len(), 1 + messages);
    let mut expected = Vec::new();
    match attributes.next_hop.expect("set") {
        NextHop::V4(addr) => expected.extend(addr.octets()),
        NextHop::V6 { global, link_local } => {
            expected.extend(global.octets());
            expected.extend(link_local.into_iter().flat_map(|addr| addr.octets()));
        }
    }
    let mut buffer = out.split_off(b"before".len());
    let mut start = b"before".len();
    let mut decoder = Decoder::new();
    decoder.set_extended_message(ctx.extended_message);
    let mut seen = Vec::new();
    for at in &at[1..] {
        let frame = decoder.decode(&mut buffer).expect("sound").expect("whole");
        let inside = *at as usize - start;
        prop_assert_eq!(&frame.bytes[inside..inside + expected.len()], &expected[..]);
        start += frame.bytes.len();
        let update = decode_update_packed(ctx, &frame.body()).expect("sound");
        prop_assert_eq!(update.announced.len(), 1);
        prop_assert_eq!(Some(update.announced[0].next_hop), attributes.next_hop);
        prop_assert_eq!(&update.attributes.communities, &attributes.communities);
        seen.extend(update.announced[0].prefixes.iter::<F>());
    }
    prop_assert!(buffer.is_empty());
    prop_assert_eq!(&seen[..], list);
    Ok(())
}

proptest! {
    #[test]
    fn next_hops_are_where_they_are_said_to_be(
        (ctx, set, v4, v6) in contexts().prop_flat_map(|ctx| {
            let ids = |family| ctx.add_path_send.contains(family);
            (
                Just(ctx),
                attributes(ctx.peer_kind),
                nlri::<V4>(0..1500, ids(Family::Ipv4Unicast)),
                nlri::<V6>(0..500, ids(Family::Ipv6Unicast)),
            )
        }),
        hop in next_hop_v6(),
    ) {
        let ipv6 = bgp_wire::PathAttributes { next_hop: Some(hop), ..set.clone() };
        let ipv4 = bgp_wire::PathAttributes {
            next_hop: Some(NextHop::V4([192, 0, 2, 1].into())),
            ..set
        };
        noted::<V4>(&ctx, &ipv4, &v4)?;
        noted::<V6>(&ctx, &ipv6, &v6)?;
        if ctx.extended_next_hop.contains(Family::Ipv4Unicast) {
            noted::<V4>(&ctx, &ipv6, &v4)?;
        }
    }
}
