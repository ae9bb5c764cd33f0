//! Many prefixes in as few UPDATEs as the session's message size allows: what
//! an update group sends. Each message has one of WITHDRAWN ROUTES,
//! MP_UNREACH_NLRI, MP_REACH_NLRI and NLRI (RFC 7606 section 5.1).

use core::marker::PhantomData;

use bytes::{BufMut, BytesMut};

use crate::attribute::{PathAttributes, code, flag};
use crate::attribute_encode::{Outgoing, put_attribute, put_attributes};
use crate::context::CodecContext;
use crate::encode::{
    EncodeError, classic_next_hop, put_family, put_field, put_message, put_mp_reach_head,
};
use crate::family::{AddressFamily, Family};
use crate::frame::{HEADER_LEN, MAX_MESSAGE_LEN, MessageKind};
use crate::nlri;
use crate::update::Nlri;

/// Octets of an UPDATE without prefixes and attributes: header and two lengths.
const EMPTY_UPDATE_LEN: usize = HEADER_LEN + 4;
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
    let family = F::FAMILY;
    let next_hop = attributes.next_hop.ok_or(EncodeError::NextHop { family })?;
    let classic = classic_next_hop(ctx, family, next_hop)?;
    let outgoing = Outgoing {
        ctx,
        attributes,
        next_hop: classic,
    };
    let max = ctx.max_message_len();
    let mut block = BytesMut::with_capacity(256);
    put_attributes(&outgoing, &mut block).map_err(|error| match error {
        EncodeError::TooLong { len } => EncodeError::AttributesTooLong { len, max },
        other => other,
    })?;
    let mut mp_head = BytesMut::new();
    if classic.is_none() {
        put_mp_reach_head(family, next_hop, &mut mp_head);
    }
    let fixed = match classic {
        Some(_) => block.len(),
        None => block.len() + ATTRIBUTE_HEADER_LEN + mp_head.len(),
    };
    let too_long = EncodeError::AttributesTooLong { len: fixed, max };
    let packer = Packer::<F> {
        family: PhantomData,
        add_path: ctx.add_path_send.contains(family),
        room: (max - EMPTY_UPDATE_LEN)
            .checked_sub(fixed)
            .ok_or(too_long)?,
    };
    packer.pack(prefixes, out, too_long, |part, out| {
        put_message(out, MessageKind::Update, max, |out| {
            out.put_u16(0);
            put_field(out, |out| {
                if classic.is_none() {
                    put_attribute(out, (flag::OPTIONAL, code::MP_REACH_NLRI), |out| {
                        out.put_slice(&mp_head);
                        packer.put(part, out);
                        true
                    })?;
                }
                out.put_slice(&block);
                Ok(())
            })?;
            if classic.is_some() {
                packer.put(part, out);
            }
            Ok(())
        })
    })
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
    let packer = Packer::<F> {
        family: PhantomData,
        add_path: ctx.add_path_send.contains(family),
        room: max - EMPTY_UPDATE_LEN - fixed,
    };
    packer.pack(prefixes, out, EncodeError::too_long(fixed), |part, out| {
        put_message(out, MessageKind::Update, max, |out| {
            if classic {
                put_field(out, |out| {
                    packer.put(part, out);
                    Ok(())
                })?;
                out.put_u16(0);
                return Ok(());
            }
            out.put_u16(0);
            put_field(out, |out| {
                put_attribute(out, (flag::OPTIONAL, code::MP_UNREACH_NLRI), |out| {
                    put_family(family, out);
                    packer.put(part, out);
                    true
                })
            })
        })
    })
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
    /// Octets for prefixes in each message.
    room: usize,
    family: PhantomData<F>,
}

impl<F: AddressFamily> Packer<F> {
    /// Calls `write` with one message's prefixes after the other. Returns the
    /// number of messages; fails with `too_long` where not even one prefix
    /// fits.
    fn pack(
        &self,
        prefixes: &[Nlri<F::Prefix>],
        out: &mut BytesMut,
        too_long: EncodeError,
        mut write: impl FnMut(&[Nlri<F::Prefix>], &mut BytesMut) -> Result<(), EncodeError>,
    ) -> Result<usize, EncodeError> {
        let start = out.len();
        let mut messages = 0;
        let mut left = prefixes;
        while !left.is_empty() {
            let count = self.fitting(left);
            let (part, rest) = left.split_at_checked(count).unwrap_or((left, &[]));
            let written = if part.is_empty() {
                Err(too_long)
            } else {
                write(part, out)
            };
            if let Err(error) = written {
                out.truncate(start);
                return Err(error);
            }
            messages += 1;
            left = rest;
        }
        Ok(messages)
    }

    /// How many of the prefixes fit into one message.
    fn fitting(&self, prefixes: &[Nlri<F::Prefix>]) -> usize {
        let mut room = self.room;
        let fitting = prefixes.iter().take_while(|nlri| {
            let fits = room.checked_sub(nlri::encoded_len::<F>(nlri, self.add_path));
            room = fits.unwrap_or(0);
            fits.is_some()
        });
        fitting.count()
    }

    fn put(&self, prefixes: &[Nlri<F::Prefix>], out: &mut BytesMut) {
        for nlri in prefixes {
            nlri::encode::<F>(nlri, self.add_path, out);
        }
    }
}
