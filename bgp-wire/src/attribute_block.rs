//! Attribute sets as octets to keep in memory: one form for each set, so that
//! octets can be hashed and compared in place of attributes.
//!
//! It is the form of the wire between speakers of 4-octet AS numbers, by
//! ascending code, with these differences, none of which is ever sent:
//!
//! - an IPv6 next hop is MP_REACH_NLRI (14) with one octet of length and the
//!   addresses, and nothing else;
//! - an attribute without a value stands for a Partial bit whose attribute is
//!   not there;
//! - the lower four flags, which are unused on the wire, mark values of more
//!   than 65,535 octets (`HUGE`) and uninterpreted attributes that no peer
//!   would have sent that way (`RAW`).

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::{BufMut, BytesMut};

use crate::as_path::{AsPath, Builder, SegmentKind};
use crate::attribute::flag::{EXTENDED_LENGTH, OPTIONAL, PARTIAL, TRANSITIVE};
use crate::attribute::{Aggregator, Aigp, NextHop, Origin, PathAttributes, RawAttribute, code};
use crate::attribute_encode::{HEADER_LEN, Outgoing, Slot};
use crate::attribute_table::{TABLE, descriptor};
use crate::community::{Community, ExtendedCommunity, Ipv6ExtendedCommunity, LargeCommunity};
use crate::context::{CodecContext, PeerKind};

/// The length has four octets.
const HUGE: u8 = 0x01;
/// The first octet of the value holds the true flags.
const RAW: u8 = 0x02;

/// The session whose form the block has.
const MODERN: CodecContext = CodecContext {
    four_octet_as: true,
    ..CodecContext::baseline(PeerKind::Internal)
};

// ===== encoding =====

/// The octets that stand for an attribute set: equal for equal sets and
/// different for different ones. Every set has them, however long it is. They
/// are for memory: `attribute_block` says where they are not those of the wire.
pub fn encode_attribute_block(attributes: &PathAttributes) -> Vec<u8> {
    let mut out = BytesMut::with_capacity(128);
    put_attribute_block(attributes, &mut out);
    out.into()
}

/// Appends what [`encode_attribute_block`] returns.
pub fn put_attribute_block(attributes: &PathAttributes, out: &mut BytesMut) {
    let outgoing = Outgoing {
        ctx: &MODERN,
        attributes,
        next_hop: match attributes.next_hop {
            Some(NextHop::V4(addr)) => Some(addr),
            _ => None,
        },
    };
    let mut unknown = attributes.unknown.iter().peekable();
    let mut slot = Slot::open(out);
    for row in TABLE {
        while let Some(raw) = unknown.next_if(|raw| raw.code < row.code) {
            put_raw(raw, &mut slot, out);
        }
        let partial = attributes.partial.contains(row.code);
        let flags = row.flags | if partial { PARTIAL } else { 0 };
        put(&mut slot, out, (flags, row.code), |out| {
            let is_there = match row.code {
                code::MP_REACH_NLRI => put_ipv6_next_hop(attributes.next_hop, out),
                _ => (row.encode)(&outgoing, out),
            };
            is_there || partial
        });
    }
    unknown.for_each(|raw| put_raw(raw, &mut slot, out));
    slot.close(out);
}

/// Writes one attribute of any length; nothing where `write` says false.
#[inline]
fn put(
    slot: &mut Slot,
    out: &mut BytesMut,
    (flags, code): (u8, u8),
    write: impl FnOnce(&mut BytesMut) -> bool,
) {
    if slot.put(out, (flags, code), write).is_err() {
        widen(slot, out, (flags, code));
    }
}

/// Gives a value that is too long for a length of two octets one of four.
#[cold]
fn widen(slot: &mut Slot, out: &mut BytesMut, (flags, code): (u8, u8)) {
    let value = slot.start + HEADER_LEN;
    let len = out.len() - value;
    out.put_slice(&[0; 3]);
    out.copy_within(value..value + len, value + 3);
    if let Some(header) = out.get_mut(slot.start..value + 3) {
        let [a, b, c, d] = (len as u32).to_be_bytes();
        header.copy_from_slice(&[flags | HUGE, code, a, b, c, d]);
    }
    *slot = Slot::open(out);
}

fn put_ipv6_next_hop(next_hop: Option<NextHop>, out: &mut BytesMut) -> bool {
    let Some(NextHop::V6 { global, link_local }) = next_hop else {
        return false;
    };
    out.put_u8(if link_local.is_some() { 32 } else { 16 });
    out.put_slice(&global.octets());
    if let Some(link_local) = link_local {
        out.put_slice(&link_local.octets());
    }
    true
}

/// Writes an uninterpreted attribute as it is. One that decoding would take for
/// another (a code that we know, unusual flags) keeps its flags in its value.
fn put_raw(raw: &RawAttribute, slot: &mut Slot, out: &mut BytesMut) {
    let is_usual = raw.flags & !PARTIAL == OPTIONAL | TRANSITIVE && descriptor(raw.code).is_none();
    let flags = if is_usual { raw.flags } else { RAW };
    put(slot, out, (flags, raw.code), |out| {
        if !is_usual {
            out.put_u8(raw.flags);
        }
        out.put_slice(&raw.value);
        true
    });
}

// ===== decoding =====

/// The attribute set that the octets stand for: what
/// [`encode_attribute_block`] was given. None for octets that it did not make;
/// what such octets hold is not judged beyond what reading them needs.
pub fn decode_attribute_block(mut octets: &[u8]) -> Option<PathAttributes> {
    let mut attributes = PathAttributes::default();
    while let Some((&[flags, code], rest)) = octets.split_first_chunk() {
        let (len, rest) = split_length(flags, rest)?;
        let (value, rest) = rest.split_at_checked(len)?;
        octets = rest;
        if flags & RAW != 0 {
            let (flags, value) = value.split_first()?;
            push_raw(&mut attributes, *flags, code, value);
            continue;
        }
        read(&mut attributes, flags, code, value)?;
    }
    octets.is_empty().then_some(attributes)
}

fn split_length(flags: u8, octets: &[u8]) -> Option<(usize, &[u8])> {
    if flags & (EXTENDED_LENGTH | HUGE) == 0 {
        let (len, rest) = octets.split_first()?;
        return Some((usize::from(*len), rest));
    }
    if flags & HUGE == 0 {
        let (len, rest) = octets.split_first_chunk()?;
        return Some((usize::from(u16::from_be_bytes(*len)), rest));
    }
    let (len, rest) = octets.split_first_chunk()?;
    Some((u32::from_be_bytes(*len) as usize, rest))
}

fn push_raw(attributes: &mut PathAttributes, flags: u8, code: u8, value: &[u8]) {
    attributes.unknown.push(RawAttribute {
        flags,
        code,
        value: value.to_vec(),
    });
}

/// Reads one value.
fn read(to: &mut PathAttributes, flags: u8, code: u8, value: &[u8]) -> Option<()> {
    if flags & PARTIAL != 0 {
        to.partial.insert(code);
    }
    match code {
        code::ORIGIN => to.origin = Origin::from_wire(*value.first()?)?,
        code::AS_PATH => to.as_path = read_as_path(value)?,
        code::NEXT_HOP => to.next_hop = Some(NextHop::V4(number(value)?.into())),
        code::MED => to.med = Some(number(value)?),
        code::LOCAL_PREF => to.local_pref = Some(number(value)?),
        code::ATOMIC_AGGREGATE => to.atomic_aggregate = true,
        code::AGGREGATOR => to.aggregator = read_aggregator(value)?,
        code::COMMUNITIES => to.communities = list(value, |c| Community(u32::from_be_bytes(c))),
        code::ORIGINATOR_ID => to.originator_id = Some(number(value)?.into()),
        code::CLUSTER_LIST => to.cluster_list = list::<4, _>(value, Ipv4Addr::from),
        code::MP_REACH_NLRI => to.next_hop = Some(read_ipv6_next_hop(value)?),
        code::EXTENDED_COMMUNITIES => to.extended_communities = list(value, ExtendedCommunity),
        code::IPV6_EXTENDED_COMMUNITIES => {
            to.ipv6_extended_communities = list(value, Ipv6ExtendedCommunity);
        }
        code::AIGP => to.aigp = Some(read_aigp(value)?),
        code::LARGE_COMMUNITIES => to.large_communities = list(value, large_community),
        code::ONLY_TO_CUSTOMER if value.is_empty() => {}
        code::ONLY_TO_CUSTOMER => to.only_to_customer = Some(number(value)?),
        _ => push_raw(to, flags & !(EXTENDED_LENGTH | HUGE), code, value),
    }
    Some(())
}

fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

fn list<const N: usize, T>(value: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
    value
        .as_chunks()
        .0
        .iter()
        .map(|octets| f(*octets))
        .collect()
}

fn large_community(octets: [u8; 12]) -> LargeCommunity {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = octets;
    LargeCommunity {
        global: u32::from_be_bytes([a, b, c, d]),
        local1: u32::from_be_bytes([e, f, g, h]),
        local2: u32::from_be_bytes([i, j, k, l]),
    }
}

fn read_as_path(mut value: &[u8]) -> Option<AsPath> {
    if value.is_empty() {
        return Some(AsPath::empty());
    }
    let mut builder = Builder::with_capacity(value.len() / 4 + 1);
    while let Some((&[kind, len], rest)) = value.split_first_chunk() {
        let kind = SegmentKind::from_wire(kind)?;
        let (asns, rest) = rest.split_at_checked(usize::from(len) * 4)?;
        let asns = asns.as_chunks().0.iter();
        builder.push_iter(kind, len, asns.map(|asn| u32::from_be_bytes(*asn)));
        value = rest;
    }
    Some(builder.finish())
}

fn read_aigp(value: &[u8]) -> Option<Aigp> {
    let (_header, value) = value.split_first_chunk::<3>()?;
    let (metric, others) = value.split_first_chunk()?;
    Some(Aigp {
        metric: u64::from_be_bytes(*metric),
        others: others.to_vec(),
    })
}

/// None inside where the attribute has only a Partial bit.
fn read_aggregator(value: &[u8]) -> Option<Option<Aggregator>> {
    if value.is_empty() {
        return Some(None);
    }
    let (asn, id) = value.split_first_chunk()?;
    Some(Some(Aggregator {
        asn: u32::from_be_bytes(*asn),
        id: number(id)?.into(),
    }))
}

fn read_ipv6_next_hop(value: &[u8]) -> Option<NextHop> {
    let (_, addresses) = value.split_first()?;
    let (global, link_local) = addresses.split_first_chunk::<16>()?;
    let link_local: Option<[u8; 16]> = match link_local {
        [] => None,
        octets => Some(octets.try_into().ok()?),
    };
    Some(NextHop::V6 {
        global: Ipv6Addr::from(*global),
        link_local: link_local.map(Ipv6Addr::from),
    })
}
