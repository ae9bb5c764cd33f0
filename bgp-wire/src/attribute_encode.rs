//! The values of path attributes, written: one function per row of the table,
//! and the header in front of them.

use std::net::Ipv4Addr;

use bytes::{BufMut, BytesMut};

use crate::as_path::{AS_TRANS, AsPath};
use crate::attribute::flag::{EXTENDED_LENGTH, OPTIONAL, PARTIAL, TRANSITIVE};
use crate::attribute::{Aggregator, Aigp, PathAttributes, RawAttribute, code};
use crate::attribute_table::{TABLE, descriptor};
use crate::context::CodecContext;
use crate::encode::EncodeError;

/// Octets of an attribute's header with the narrow length.
pub(crate) const HEADER_LEN: usize = 3;

/// What the rows write from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) ctx: &'a CodecContext,
    pub(crate) attributes: &'a PathAttributes,
    /// NEXT_HOP, where the message has NLRI of its own.
    pub(crate) next_hop: Option<Ipv4Addr>,
}

/// Writes one attribute: flags, code, length, and the value that `write`
/// appends. Nothing where `write` says false.
pub(crate) fn put_attribute(
    out: &mut BytesMut,
    head: (u8, u8),
    write: impl FnOnce(&mut BytesMut) -> bool,
) -> Result<(), EncodeError> {
    let mut slot = Slot::open(out);
    slot.put(out, head, write)?;
    slot.close(out);
    Ok(())
}

/// Room for the header of the next attribute at the end of a buffer. Most
/// attributes are not there, and asking for them must not cost a header that is
/// written and taken back.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) start: usize,
}

impl Slot {
    pub(crate) fn open(out: &mut BytesMut) -> Slot {
        let start = out.len();
        out.put_slice(&[0; HEADER_LEN]);
        Slot { start }
    }

    /// Writes an attribute as [`put_attribute`] does, and opens the next slot.
    /// An error leaves the value behind the header, for the caller to remove.
    #[inline]
    pub(crate) fn put(
        &mut self,
        out: &mut BytesMut,
        (flags, code): (u8, u8),
        write: impl FnOnce(&mut BytesMut) -> bool,
    ) -> Result<(), EncodeError> {
        if !write(out) {
            return Ok(());
        }
        let len = out.len() - self.start - HEADER_LEN;
        if let Some([f, c, _]) = out.get_mut(self.start..self.start + HEADER_LEN) {
            (*f, *c) = (flags, code);
        }
        put_length(out, self.start, len)?;
        *self = Slot::open(out);
        Ok(())
    }

    /// Takes the room back that no attribute needs.
    pub(crate) fn close(self, out: &mut BytesMut) {
        out.truncate(self.start);
    }
}

/// Puts the length of a value into the three octets of the header at `start`;
/// makes room for the wider length where it needs that.
fn put_length(out: &mut BytesMut, start: usize, len: usize) -> Result<(), EncodeError> {
    if let Ok(narrow) = u8::try_from(len) {
        if let Some(field) = out.get_mut(start + 2) {
            *field = narrow;
        }
        return Ok(());
    }
    let wide = u16::try_from(len).map_err(|_| EncodeError::too_long(len))?;
    let value = start + HEADER_LEN;
    out.put_u8(0);
    out.copy_within(value..value + len, value + 1);
    if let Some(header) = out.get_mut(start..start + 4) {
        let [high, low] = wide.to_be_bytes();
        if let [flags, _, length @ ..] = header {
            *flags |= EXTENDED_LENGTH;
            length.copy_from_slice(&[high, low]);
        }
    }
    Ok(())
}

/// Writes flags, code and length.
pub(crate) fn put_attribute_header(out: &mut impl BufMut, (flags, code): (u8, u8), len: u16) {
    if let Ok(narrow) = u8::try_from(len) {
        out.put_slice(&[flags, code, narrow]);
        return;
    }
    let [high, low] = len.to_be_bytes();
    out.put_slice(&[flags | EXTENDED_LENGTH, code, high, low]);
}

/// Writes all attributes of a route but the MP ones, by ascending code. Returns
/// where the value of NEXT_HOP is, if it is there.
pub(crate) fn put_attributes(
    outgoing: &Outgoing<'_>,
    out: &mut BytesMut,
) -> Result<usize, EncodeError> {
    let mut next_hop = out.len();
    let mut unknown = outgoing.attributes.unknown.iter().peekable();
    let mut slot = Slot::open(out);
    for row in TABLE {
        while let Some(raw) = unknown.next_if(|raw| raw.code < row.code) {
            put_unknown(raw, &mut slot, out)?;
        }
        if row.code == code::NEXT_HOP {
            next_hop = slot.start + HEADER_LEN;
        }
        let partial = outgoing.attributes.partial.contains(row.code);
        let flags = row.flags | if partial { PARTIAL } else { 0 };
        slot.put(out, (flags, row.code), |out| (row.encode)(outgoing, out))?;
    }
    unknown.try_for_each(|raw| put_unknown(raw, &mut slot, out))?;
    slot.close(out);
    Ok(next_hop)
}

/// RFC 4271 section 5: an unrecognised optional transitive attribute is passed
/// on with the Partial bit set. All others must not be passed on unread.
fn put_unknown(raw: &RawAttribute, slot: &mut Slot, out: &mut BytesMut) -> Result<(), EncodeError> {
    let is_transitive = raw.flags & OPTIONAL != 0 && raw.flags & TRANSITIVE != 0;
    if !is_transitive || descriptor(raw.code).is_some() {
        return Err(EncodeError::RawAttribute { code: raw.code });
    }
    let flags = OPTIONAL | TRANSITIVE | PARTIAL;
    slot.put(out, (flags, raw.code), |out| {
        out.put_slice(&raw.value);
        true
    })
}

/// Writes an optional number.
fn put_number(number: Option<u32>, out: &mut BytesMut) -> bool {
    if let Some(number) = number {
        out.put_u32(number);
    }
    number.is_some()
}

/// Writes values of one size, the buffer grown once for all of them; whether
/// there are any.
#[inline]
fn put_list<T, const N: usize>(list: &[T], out: &mut BytesMut, f: impl Fn(&T) -> [u8; N]) -> bool {
    let at = out.len();
    out.resize(at + list.len() * N, 0);
    let (room, _) = out.get_mut(at..).unwrap_or_default().as_chunks_mut();
    for (to, value) in room.iter_mut().zip(list) {
        *to = f(value);
    }
    !list.is_empty()
}

// ===== the rows =====

pub(crate) fn origin(outgoing: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    out.put_u8(outgoing.attributes.origin as u8);
    true
}

pub(crate) fn as_path(outgoing: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    put_as_path(
        &outgoing.attributes.as_path,
        outgoing.ctx.four_octet_as,
        out,
    );
    true
}

fn put_as_path(path: &AsPath, four_octet_as: bool, out: &mut BytesMut) {
    for segment in path.segments() {
        out.put_slice(&[segment.kind as u8, segment.asns.len() as u8]);
        if four_octet_as {
            put_list(segment.asns, out, |asn| asn.to_be_bytes());
        } else {
            put_list(segment.asns, out, |asn| two_octet(*asn).to_be_bytes());
        }
    }
}

/// The number as an old speaker can read it (RFC 6793 section 4.2.2).
fn two_octet(asn: u32) -> u16 {
    u16::try_from(asn).unwrap_or(AS_TRANS as u16)
}

pub(crate) fn next_hop(outgoing: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    if let Some(addr) = outgoing.next_hop {
        out.put_slice(&addr.octets());
    }
    outgoing.next_hop.is_some()
}

pub(crate) fn med(outgoing: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    put_number(outgoing.attributes.med, out)
}

pub(crate) fn local_pref(outgoing: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    put_number(outgoing.attributes.local_pref, out)
}

pub(crate) fn atomic_aggregate(outgoing: &Outgoing<'_>, _: &mut BytesMut) -> bool {
    outgoing.attributes.atomic_aggregate
}

pub(crate) fn aggregator(outgoing: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    let Some(Aggregator { asn, id }) = outgoing.attributes.aggregator else {
        return false;
    };
    if outgoing.ctx.four_octet_as {
        out.put_u32(asn);
    } else {
        out.put_u16(two_octet(asn));
    }
    out.put_slice(&id.octets());
    true
}

pub(crate) fn communities(outgoing: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    put_list(&outgoing.attributes.communities, out, |c| c.0.to_be_bytes())
}

pub(crate) fn originator_id(outgoing: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    put_number(outgoing.attributes.originator_id.map(u32::from), out)
}

pub(crate) fn cluster_list(outgoing: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    put_list(&outgoing.attributes.cluster_list, out, Ipv4Addr::octets)
}

/// MP_REACH_NLRI and MP_UNREACH_NLRI: written with the message, in front.
pub(crate) fn absent(_: &Outgoing<'_>, _: &mut BytesMut) -> bool {
    false
}

pub(crate) fn extended_communities(outgoing: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    put_list(&outgoing.attributes.extended_communities, out, |c| c.0)
}

/// Only where AS_PATH had to lie, and never with segments of a confederation
/// (RFC 6793 section 4.2.2).
pub(crate) fn as4_path(outgoing: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    if outgoing.ctx.four_octet_as {
        return false;
    }
    let path = &outgoing.attributes.as_path;
    let is_needed = path
        .segments()
        .filter(|s| !s.kind.is_confederation())
        .any(|s| s.asns.iter().any(|asn| *asn > u32::from(u16::MAX)));
    if is_needed {
        put_as_path(&path.without_confederation(), true, out);
    }
    is_needed
}

pub(crate) fn as4_aggregator(outgoing: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    match outgoing.attributes.aggregator {
        Some(Aggregator { asn, id })
            if !outgoing.ctx.four_octet_as && asn > u32::from(u16::MAX) =>
        {
            out.put_u32(asn);
            out.put_slice(&id.octets());
            true
        }
        _ => false,
    }
}

pub(crate) fn ipv6_extended_communities(outgoing: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    put_list(&outgoing.attributes.ipv6_extended_communities, out, |c| c.0)
}

pub(crate) fn aigp(outgoing: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    if let Some(Aigp { metric, others }) = &outgoing.attributes.aigp {
        out.put_u8(Aigp::TLV);
        out.put_u16(Aigp::TLV_LEN);
        out.put_u64(*metric);
        out.put_slice(others);
    }
    outgoing.attributes.aigp.is_some()
}

pub(crate) fn large_communities(outgoing: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    put_list(&outgoing.attributes.large_communities, out, |c| {
        let [a, b, c] = [c.global, c.local1, c.local2].map(u32::to_be_bytes);
        let mut octets = [0; 12];
        let (words, _) = octets.as_chunks_mut();
        words.copy_from_slice(&[a, b, c]);
        octets
    })
}

pub(crate) fn only_to_customer(outgoing: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    put_number(outgoing.attributes.only_to_customer, out)
}
