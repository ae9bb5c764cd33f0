//! Many prefixes in as few UPDATEs as the session's message size allows: what
//! an update group sends. Each message has one of WITHDRAWN ROUTES,
//! MP_UNREACH_NLRI, MP_REACH_NLRI and NLRI (RFC 7606 section 5.1).

use core::marker::PhantomData;
use core::ops::Range;

use bytes::{BufMut, BytesMut};

use crate::attribute::{NextHop, PathAttributes, code, flag};
use crate::attribute_encode::{Outgoing, put_attribute, put_attribute_header, put_attributes};
use crate::context::CodecContext;
use crate::encode::{
    EncodeError, classic_next_hop, patch_u16, put_family, put_field, put_message, put_mp_reach_head,
};
use crate::family::{AddressFamily, Family};
use crate::frame::{HEADER_LEN, MARKER, MAX_MESSAGE_LEN, MessageKind};
use crate::nlri;
use crate::update::Nlri;

/// Octets of an UPDATE without prefixes and attributes: header and two lengths.
const EMPTY_UPDATE_LEN: usize = HEADER_LEN + 4;
/// Such an UPDATE; the length of the message is missing.
const EMPTY_UPDATE: [u8; EMPTY_UPDATE_LEN] = {
    let mut message = [0xff; EMPTY_UPDATE_LEN];
    let (_, fields) = message.split_at_mut(MARKER.len());
    fields.copy_from_slice(&[0, 0, MessageKind::Update as u8, 0, 0, 0, 0]);
    message
};
/// Octets of an attribute's header with the wider length.
const ATTRIBUTE_HEADER_LEN: usize = 4;

/// Appends UPDATEs that announce `prefixes` with `attributes`, whose next hop
/// decides between NLRI and MP_REACH_NLRI: IPv4 prefixes with an IPv6 next hop
/// go into the latter (RFC 8950). LOCAL_PREF, MED and the like are sent where
/// they are set: who may get them is decided by the caller. Returns the number
/// of messages.
///
/// # Errors
/// [`EncodeError`], and nothing was appended: for
/// [`EncodeError::AttributesTooLong`] the caller withdraws the routes and says
/// so.
pub fn encode_announcements<F: AddressFamily>(
    ctx: &CodecContext,
    attributes: &PathAttributes,
    prefixes: &[Nlri<F::Prefix>],
    out: &mut BytesMut,
) -> Result<usize, EncodeError> {
    Announcer::<F>::new(ctx, attributes)?.announce(prefixes, out, |_| {})
}

/// As [`encode_announcements`], and appends to `next_hops` for each message the
/// offset in `out` of the first octet of the next hop's address: the value of
/// NEXT_HOP, or the address inside of MP_REACH_NLRI (the global one where there
/// are two; the link-local one is 16 octets behind it). So what was encoded
/// once can be sent with another next hop of the same length.
///
/// # Errors
/// As [`encode_announcements`]; nothing was appended to `next_hops` either.
pub fn encode_announcements_noting<F: AddressFamily>(
    ctx: &CodecContext,
    attributes: &PathAttributes,
    prefixes: &[Nlri<F::Prefix>],
    out: &mut BytesMut,
    next_hops: &mut Vec<u32>,
) -> Result<usize, EncodeError> {
    let noted = next_hops.len();
    let announcer = Announcer::<F>::new(ctx, attributes)?;
    let written = announcer.announce(prefixes, out, |at| next_hops.push(at as u32));
    if written.is_err() {
        next_hops.truncate(noted);
    }
    written
}

/// Writes messages with one set of attributes.
struct Announcer<'a, F> {
    outgoing: Outgoing<'a>,
    next_hop: NextHop,
    packer: Packer<F>,
}

/// The attributes that every message has, as they stand in the first one.
#[derive(Clone, Copy)]
struct Block {
    at: usize,
    len: usize,
    /// From the beginning of the block to NEXT_HOP's value.
    next_hop: usize,
}

impl<'a, F: AddressFamily> Announcer<'a, F> {
    fn new(ctx: &'a CodecContext, attributes: &'a PathAttributes) -> Result<Self, EncodeError> {
        let family = F::FAMILY;
        let next_hop = attributes.next_hop.ok_or(EncodeError::NextHop { family })?;
        Ok(Announcer {
            outgoing: Outgoing {
                ctx,
                attributes,
                next_hop: classic_next_hop(ctx, family, next_hop)?,
            },
            next_hop,
            packer: Packer::new(ctx),
        })
    }

    /// Appends the messages; tells `note` where each has its next hop.
    fn announce(
        &self,
        prefixes: &[Nlri<F::Prefix>],
        out: &mut BytesMut,
        note: impl FnMut(usize),
    ) -> Result<usize, EncodeError> {
        let start = out.len();
        let written = self.write(prefixes, out, note);
        if !matches!(written, Ok(1..)) {
            out.truncate(start);
        }
        written
    }

    fn write(
        &self,
        prefixes: &[Nlri<F::Prefix>],
        out: &mut BytesMut,
        mut note: impl FnMut(usize),
    ) -> Result<usize, EncodeError> {
        let start = out.len();
        // Enough for most sets and the first prefixes, so that the buffer grows
        // once and not at every attribute.
        out.reserve(256 + prefixes.len().min(64) * 8);
        out.put_slice(&EMPTY_UPDATE);
        let mut block = self.put_block(out)?;
        let room = self.room(&block)?;
        let mut left = prefixes;
        let mut messages = 0;
        let mut at = start;
        while !left.is_empty() {
            let (count, octets) = self.packer.fitting(left, room);
            let (part, rest) = left.split_at_checked(count).unwrap_or((left, &[]));
            if part.is_empty() {
                return Err(self.too_long(&block));
            }
            note(self.put_one(at, &mut block, (part, octets), out)?);
            messages += 1;
            left = rest;
            at = out.len();
        }
        Ok(messages)
    }

    /// Writes the attributes behind the header of the first message.
    fn put_block(&self, out: &mut BytesMut) -> Result<Block, EncodeError> {
        let max = self.outgoing.ctx.max_message_len();
        let at = out.len();
        let next_hop = put_attributes(&self.outgoing, out).map_err(|error| match error {
            EncodeError::TooLong { len } => EncodeError::AttributesTooLong { len, max },
            other => other,
        })?;
        Ok(Block {
            at,
            len: out.len() - at,
            next_hop: next_hop - at,
        })
    }

    /// Octets of MP_REACH_NLRI's value before the prefixes; 0 where they go into
    /// NLRI.
    const fn mp_head_len(&self) -> usize {
        match (self.outgoing.next_hop, self.next_hop) {
            (Some(_), _) => 0,
            (None, NextHop::V4(_)) => 5 + 4,
            (
                None,
                NextHop::V6 {
                    link_local: None, ..
                },
            ) => 5 + 16,
            (None, NextHop::V6 { .. }) => 5 + 32,
        }
    }

    /// Octets that are not prefixes, the fields of every UPDATE left out.
    const fn fixed(&self, block: &Block) -> usize {
        match self.mp_head_len() {
            0 => block.len,
            head => block.len + ATTRIBUTE_HEADER_LEN + head,
        }
    }

    const fn too_long(&self, block: &Block) -> EncodeError {
        EncodeError::AttributesTooLong {
            len: self.fixed(block),
            max: self.outgoing.ctx.max_message_len(),
        }
    }

    /// Octets that each message has for prefixes.
    fn room(&self, block: &Block) -> Result<usize, EncodeError> {
        (self.outgoing.ctx.max_message_len() - EMPTY_UPDATE_LEN)
            .checked_sub(self.fixed(block))
            .ok_or_else(|| self.too_long(block))
    }

    /// Writes one message at `at`; the first one's header and attributes are
    /// there already, the others copy them. Returns where its next hop is.
    fn put_one(
        &self,
        at: usize,
        block: &mut Block,
        (part, octets): (&[Nlri<F::Prefix>], usize),
        out: &mut BytesMut,
    ) -> Result<usize, EncodeError> {
        let mp_value = match self.mp_head_len() {
            0 => 0,
            head => head + octets,
        };
        let mp_header = match mp_value {
            0 => 0,
            1..=255 => 3,
            _ => 4,
        };
        let mp = at + EMPTY_UPDATE_LEN;
        let block_at = mp + mp_header + mp_value;
        let block_end = block_at + block.len;
        let end = block_end + if mp_value == 0 { octets } else { 0 };
        out.resize(end, 0);
        out.copy_within(block.at..block.at + block.len, block_at);
        if let Some(header) = out.get_mut(at..mp) {
            header.copy_from_slice(&EMPTY_UPDATE);
        }
        // The first message's attributes may just have moved.
        block.at = block_at;
        patch_u16(out, at + MARKER.len(), end - at)?;
        patch_u16(out, mp - 2, block_end - mp)?;
        if mp_value == 0 {
            self.packer.fill(part, block_end..end, out);
            return Ok(block_at + block.next_hop);
        }
        self.put_mp_reach(out.get_mut(mp..block_at).unwrap_or_default(), mp_value);
        let value = mp + mp_header;
        self.packer.fill(part, block_at - octets..block_at, out);
        Ok(value + 4)
    }

    /// Writes MP_REACH_NLRI up to the prefixes.
    fn put_mp_reach(&self, mut to: &mut [u8], len: usize) {
        put_attribute_header(&mut to, (flag::OPTIONAL, code::MP_REACH_NLRI), len as u16);
        put_mp_reach_head(F::FAMILY, self.next_hop, &mut to);
    }
}

/// Appends UPDATEs that withdraw `prefixes`: IPv4 ones by WITHDRAWN ROUTES, or
/// by MP_UNREACH_NLRI where the session may announce them by MP_REACH_NLRI.
/// Returns the number of messages.
///
/// # Errors
/// [`EncodeError`], and nothing was appended. Cannot happen for sessions whose
/// messages are of a usual size.
pub fn encode_withdrawals<F: AddressFamily>(
    ctx: &CodecContext,
    prefixes: &[Nlri<F::Prefix>],
    out: &mut BytesMut,
) -> Result<usize, EncodeError> {
    let family = F::FAMILY;
    let classic = family == Family::Ipv4Unicast && !ctx.extended_next_hop.contains(family);
    let max = ctx.max_message_len();
    let fixed = if classic { 0 } else { ATTRIBUTE_HEADER_LEN + 3 };
    let packer = Packer::<F>::new(ctx);
    let start = out.len();
    let mut messages = 0;
    let mut left = prefixes;
    while !left.is_empty() {
        let (count, octets) = packer.fitting(left, max - EMPTY_UPDATE_LEN - fixed);
        let (part, rest) = left.split_at_checked(count).unwrap_or((left, &[]));
        let written = match part {
            [] => Err(EncodeError::too_long(fixed)),
            _ => put_message(out, MessageKind::Update, max, |out| {
                packer.put_withdrawn(classic, part, octets, out)
            }),
        };
        if written.is_err() {
            out.truncate(start);
            return written.map(|()| 0);
        }
        messages += 1;
        left = rest;
    }
    Ok(messages)
}

/// Appends the End-of-RIB marker of a family (RFC 4724 section 2).
///
/// # Errors
/// None in practice: the marker fits into every message.
pub fn encode_end_of_rib(family: Family, out: &mut BytesMut) -> Result<(), EncodeError> {
    put_message(out, MessageKind::Update, MAX_MESSAGE_LEN, |out| {
        out.put_u16(0);
        put_field(out, |out| match family {
            Family::Ipv4Unicast => Ok(()),
            Family::Ipv6Unicast => {
                put_attribute(out, (flag::OPTIONAL, code::MP_UNREACH_NLRI), |out| {
                    put_family(family, out);
                    true
                })
            }
        })
    })
}

/// Fills messages with prefixes.
struct Packer<F> {
    add_path: bool,
    family: PhantomData<F>,
}

impl<F: AddressFamily> Packer<F> {
    const fn new(ctx: &CodecContext) -> Packer<F> {
        Packer {
            add_path: ctx.add_path_send.contains(F::FAMILY),
            family: PhantomData,
        }
    }

    /// How many of the prefixes fit into `room` octets, and the octets that they
    /// take.
    fn fitting(&self, prefixes: &[Nlri<F::Prefix>], room: usize) -> (usize, usize) {
        let mut octets = 0;
        let mut count = 0;
        for nlri in prefixes {
            let more = octets + nlri::encoded_len::<F>(nlri, self.add_path);
            if more > room {
                break;
            }
            octets = more;
            count += 1;
        }
        (count, octets)
    }

    /// Writes prefixes that take so many octets.
    fn put(&self, part: &[Nlri<F::Prefix>], octets: usize, out: &mut BytesMut) {
        let at = out.len();
        out.resize(at + octets, 0);
        self.fill(part, at..at + octets, out);
    }

    /// Writes prefixes into the octets made for them.
    fn fill(&self, part: &[Nlri<F::Prefix>], at: Range<usize>, out: &mut BytesMut) {
        let to = out.get_mut(at).unwrap_or_default();
        nlri::fill::<F>(part, self.add_path, to);
    }

    /// Writes the fields of an UPDATE that withdraws prefixes.
    fn put_withdrawn(
        &self,
        classic: bool,
        part: &[Nlri<F::Prefix>],
        octets: usize,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        if classic {
            out.put_u16(octets as u16);
            self.put(part, octets, out);
            out.put_u16(0);
            return Ok(());
        }
        out.put_u16(0);
        put_field(out, |out| {
            put_attribute(out, (flag::OPTIONAL, code::MP_UNREACH_NLRI), |out| {
                put_family(F::FAMILY, out);
                self.put(part, octets, out);
                true
            })
        })
    }
}
