//! From a [`Message`] to octets.

use bytes::{BufMut, BytesMut};

use crate::Message;
use crate::attribute::{NextHop, PathAttributes, code, flag};
use crate::attribute_encode::{Outgoing, put_attribute, put_attributes};
use crate::context::CodecContext;
use crate::family::{Family, V4, V6};
use crate::frame::{HEADER_LEN, MARKER, MAX_MESSAGE_LEN, MessageKind};
use crate::nlri;
use crate::notification::Notification;
use crate::update::{Announcement, Prefixes, RouteRefresh, RouteRefreshKind, Update};

/// Why something cannot be put on the wire. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A message or a field in it would be longer than it may.
    #[error("{len} octets do not fit")]
    TooLong {
        /// Octets that it would take.
        len: usize,
    },
    /// The attributes leave no room for a single prefix: the route is to be
    /// withdrawn from the peer, and this is to be logged.
    #[error("{len} octets of attributes leave no room for a prefix in a message of {max}")]
    AttributesTooLong {
        /// Octets of the attributes, MP_REACH_NLRI's next hop included.
        len: usize,
        /// Octets that a message of the session may have.
        max: usize,
    },
    /// A capability's value does not fit into its fields.
    #[error("capability {code} does not fit into its fields")]
    Capability {
        /// Capability code.
        code: u8,
    },
    /// The route has no next hop, or one that its family cannot have in this
    /// session (RFC 4760, RFC 8950).
    #[error("{family} cannot be announced with this next hop")]
    NextHop {
        /// The family of the prefixes.
        family: Family,
    },
    /// An attribute among the uninterpreted ones that must not be passed on
    /// unread: we know it, or it is not optional transitive.
    #[error("attribute {code} cannot be passed on uninterpreted")]
    RawAttribute {
        /// Attribute code.
        code: u8,
    },
    /// An [`Update`] that one message cannot say: nothing at all (which would
    /// be an End-of-RIB marker), a marker with routes, or more announcements
    /// than one MP_REACH_NLRI and NLRI hold.
    #[error("not the content of one UPDATE")]
    NotOneUpdate,
}

impl EncodeError {
    pub(crate) const fn too_long(len: usize) -> EncodeError {
        EncodeError::TooLong { len }
    }
}

/// Writes a header, then what `write` appends, then the length into the header.
/// Leaves `out` as it was on an error.
pub(crate) fn put_message(
    out: &mut BytesMut,
    kind: MessageKind,
    max_len: usize,
    write: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let start = out.len();
    out.put_slice(&MARKER);
    out.put_slice(&[0, 0, kind as u8]);
    let written = write(out).and_then(|()| put_len(out, start, max_len));
    if written.is_err() {
        out.truncate(start);
    }
    written
}

fn put_len(out: &mut BytesMut, start: usize, max_len: usize) -> Result<(), EncodeError> {
    let len = out.len() - start;
    if len > max_len {
        return Err(EncodeError::too_long(len));
    }
    patch_u16(out, start + MARKER.len(), len)
}

/// Puts a length into the two octets at `at`.
pub(crate) fn patch_u16(out: &mut BytesMut, at: usize, len: usize) -> Result<(), EncodeError> {
    let len = u16::try_from(len).map_err(|_| EncodeError::too_long(len))?;
    if let Some(field) = out.get_mut(at..at + 2) {
        field.copy_from_slice(&len.to_be_bytes());
    }
    Ok(())
}

/// Writes a field behind the two octets of its length.
pub(crate) fn put_field(
    out: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let at = out.len();
    out.put_u16(0);
    write(out)?;
    patch_u16(out, at, out.len() - at - 2)
}

// ===== messages =====

impl Message {
    /// Appends the message to `out`.
    ///
    /// # Errors
    /// [`EncodeError`]; nothing was appended then. An UPDATE that may not fit
    /// into one message is what [`crate::encode_announcements`] is for. A
    /// NOTIFICATION always fits: its data is cut.
    pub fn encode(&self, ctx: &CodecContext, out: &mut BytesMut) -> Result<(), EncodeError> {
        match self {
            // OPEN and KEEPALIVE never grow (RFC 8654 section 3).
            Message::Open(open) => put_message(out, MessageKind::Open, MAX_MESSAGE_LEN, |out| {
                open.encode_body(out)
            }),
            Message::Update(update) => update.encode(ctx, out),
            Message::Notification(notification) => {
                encode_notification(notification, ctx.max_message_len(), out);
                Ok(())
            }
            Message::Keepalive => put_message(out, MessageKind::Keepalive, HEADER_LEN, |_| Ok(())),
            Message::RouteRefresh(refresh) => encode_route_refresh(*refresh, out),
        }
    }
}

/// Appends a NOTIFICATION; data that does not fit is cut.
fn encode_notification(notification: &Notification, max_len: usize, out: &mut BytesMut) {
    let room = max_len - HEADER_LEN - 2;
    let len = notification.data.len().min(room);
    let data = notification.data.get(..len).unwrap_or_default();
    out.reserve(HEADER_LEN + 2 + len);
    out.put_slice(&MARKER);
    out.put_u16((HEADER_LEN + 2 + len) as u16);
    out.put_slice(&[
        MessageKind::Notification as u8,
        notification.code,
        notification.subcode,
    ]);
    out.put_slice(data);
}

fn encode_route_refresh(refresh: RouteRefresh, out: &mut BytesMut) -> Result<(), EncodeError> {
    let kind = match refresh.kind {
        RouteRefreshKind::Request => 0,
        RouteRefreshKind::Begin => 1,
        RouteRefreshKind::End => 2,
        RouteRefreshKind::Unknown(other) => other,
    };
    put_message(out, MessageKind::RouteRefresh, MAX_MESSAGE_LEN, |out| {
        out.put_u16(refresh.family.afi);
        out.put_u8(kind);
        out.put_u8(refresh.family.safi);
        Ok(())
    })
}

// ===== UPDATE =====

/// Writes a list of prefixes.
fn put_prefixes(ctx: &CodecContext, prefixes: &Prefixes, out: &mut BytesMut) {
    let add_path = ctx.add_path_send.contains(prefixes.family());
    match prefixes {
        Prefixes::V4(list) => list
            .iter()
            .for_each(|n| nlri::encode::<V4>(n, add_path, out)),
        Prefixes::V6(list) => list
            .iter()
            .for_each(|n| nlri::encode::<V6>(n, add_path, out)),
    }
}

/// The kind of next hop that decides which field a route goes into: none for
/// MP_REACH_NLRI, the address for NEXT_HOP and NLRI.
///
/// # Errors
/// [`EncodeError::NextHop`] where the family cannot have it.
pub(crate) fn classic_next_hop(
    ctx: &CodecContext,
    family: Family,
    next_hop: NextHop,
) -> Result<Option<std::net::Ipv4Addr>, EncodeError> {
    match (family, next_hop) {
        (Family::Ipv4Unicast, NextHop::V4(addr)) => Ok(Some(addr)),
        (Family::Ipv6Unicast, NextHop::V6 { .. }) => Ok(None),
        (Family::Ipv4Unicast, NextHop::V6 { .. }) if ctx.extended_next_hop.contains(family) => {
            Ok(None)
        }
        _ => Err(EncodeError::NextHop { family }),
    }
}

/// Writes MP_REACH_NLRI's fields up to the prefixes.
pub(crate) fn put_mp_reach_head(family: Family, next_hop: NextHop, out: &mut impl BufMut) {
    put_family(family, out);
    match next_hop {
        NextHop::V4(addr) => {
            out.put_u8(4);
            out.put_slice(&addr.octets());
        }
        NextHop::V6 { global, link_local } => {
            out.put_u8(if link_local.is_some() { 32 } else { 16 });
            out.put_slice(&global.octets());
            if let Some(link_local) = link_local {
                out.put_slice(&link_local.octets());
            }
        }
    }
    out.put_u8(0);
}

pub(crate) fn put_family(family: Family, out: &mut impl BufMut) {
    let pair = family.afi_safi();
    out.put_u16(pair.afi);
    out.put_u8(pair.safi);
}

/// Appends the attributes of a route as a block without the message around it
/// and without MP_REACH_NLRI; NEXT_HOP where the next hop is IPv4.
///
/// # Errors
/// [`EncodeError`]; nothing was appended then.
pub fn encode_attributes(
    ctx: &CodecContext,
    attributes: &PathAttributes,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let start = out.len();
    let next_hop = match attributes.next_hop {
        Some(NextHop::V4(addr)) => Some(addr),
        _ => None,
    };
    let outgoing = Outgoing {
        ctx,
        attributes,
        next_hop,
    };
    let written = put_attributes(&outgoing, out);
    if written.is_err() {
        out.truncate(start);
    }
    written.map(|_| ())
}

impl Update {
    /// Appends the message. MP attributes are first (RFC 7606 section 5.1).
    ///
    /// # Errors
    /// [`EncodeError`]; nothing was appended then.
    pub fn encode(&self, ctx: &CodecContext, out: &mut BytesMut) -> Result<(), EncodeError> {
        let has_routes = !self.withdrawn.is_empty() || !self.announced.is_empty();
        if let Some(family) = self.end_of_rib.filter(|_| !has_routes) {
            return crate::packing::encode_end_of_rib(family, out);
        }
        if self.end_of_rib.is_some() || !has_routes {
            return Err(EncodeError::NotOneUpdate);
        }
        let fields = Fields::of(ctx, self)?;
        put_message(out, MessageKind::Update, ctx.max_message_len(), |out| {
            put_field(out, |out| {
                fields
                    .withdrawn
                    .iter()
                    .for_each(|p| put_prefixes(ctx, p, out));
                Ok(())
            })?;
            put_field(out, |out| fields.put_attributes(ctx, &self.attributes, out))?;
            if let Some((_, prefixes)) = fields.nlri {
                put_prefixes(ctx, prefixes, out);
            }
            Ok(())
        })
    }
}

/// Which part of an [`Update`] goes into which field.
#[derive(Default)]
struct Fields<'a> {
    withdrawn: Option<&'a Prefixes>,
    mp_unreach: Option<&'a Prefixes>,
    mp_reach: Option<&'a Announcement>,
    nlri: Option<(std::net::Ipv4Addr, &'a Prefixes)>,
}

impl<'a> Fields<'a> {
    fn of(ctx: &CodecContext, update: &'a Update) -> Result<Fields<'a>, EncodeError> {
        let mut fields = Fields::default();
        for prefixes in &update.withdrawn {
            let field = match prefixes.family() {
                Family::Ipv4Unicast => &mut fields.withdrawn,
                Family::Ipv6Unicast => &mut fields.mp_unreach,
            };
            if field.replace(prefixes).is_some() {
                return Err(EncodeError::NotOneUpdate);
            }
        }
        // The last IPv4 list goes into NLRI, as it was read from there.
        for announcement in update.announced.iter().rev() {
            let family = announcement.prefixes.family();
            let classic = classic_next_hop(ctx, family, announcement.next_hop)?;
            match classic {
                Some(addr) if fields.nlri.is_none() => {
                    fields.nlri = Some((addr, &announcement.prefixes));
                }
                _ if fields.mp_reach.replace(announcement).is_some() => {
                    return Err(EncodeError::NotOneUpdate);
                }
                _ => {}
            }
        }
        Ok(fields)
    }

    fn put_attributes(
        &self,
        ctx: &CodecContext,
        attributes: &PathAttributes,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        if let Some(reach) = self.mp_reach {
            put_attribute(out, (flag::OPTIONAL, code::MP_REACH_NLRI), |out| {
                put_mp_reach_head(reach.prefixes.family(), reach.next_hop, out);
                put_prefixes(ctx, &reach.prefixes, out);
                true
            })?;
        }
        if let Some(prefixes) = self.mp_unreach {
            put_attribute(out, (flag::OPTIONAL, code::MP_UNREACH_NLRI), |out| {
                put_family(prefixes.family(), out);
                put_prefixes(ctx, prefixes, out);
                true
            })?;
        }
        if self.mp_reach.is_none() && self.nlri.is_none() {
            return Ok(());
        }
        let outgoing = Outgoing {
            ctx,
            attributes,
            next_hop: self.nlri.map(|(addr, _)| addr),
        };
        put_attributes(&outgoing, out).map(|_| ())
    }
}
