//! From the octets of one message to a [`Message`].

use crate::Message;
use crate::context::CodecContext;
use crate::family::AfiSafi;
use crate::frame::{HEADER_LEN, MessageKind, parse_header};
use crate::notification::{ErrorCode, HeaderError, Notification};
use crate::open::Open;
use crate::reader::{Reader, Truncated};
use crate::update::{RouteRefresh, RouteRefreshKind};
use crate::update_decode::UpdateParts;

/// Reads one complete message, header included, as [`crate::Decoder`] yields
/// it.
///
/// # Errors
/// The NOTIFICATION to send before the connection is closed. (Where `message`
/// is itself a NOTIFICATION, none is to be sent: RFC 4271 section 6.4.)
pub fn decode_message(ctx: &CodecContext, message: &[u8]) -> Result<Message, Notification> {
    let header = parse_header(message, ctx.extended_message)?;
    let Some((kind, len)) = header.filter(|(_, len)| *len == message.len()) else {
        // Not one whole message: only a caller that did the framing itself
        // can get here.
        let len = message.get(16..18).unwrap_or_default();
        return Err(Notification::header(HeaderError::BadLength, len));
    };
    let body = message.get(HEADER_LEN..len).unwrap_or_default();
    let body = Reader::at(body, HEADER_LEN);
    match kind {
        MessageKind::Open => Open::decode(body).map(Message::Open),
        MessageKind::Update => {
            let update = UpdateParts::split(body)?.decode(ctx)?;
            Ok(Message::Update(Box::new(update)))
        }
        MessageKind::Notification => decode_notification(body)
            .map(Message::Notification)
            .map_err(|_| bad_length(len)),
        MessageKind::Keepalive => Ok(Message::Keepalive),
        MessageKind::RouteRefresh => decode_route_refresh(message, body).map(Message::RouteRefresh),
    }
}

fn bad_length(len: usize) -> Notification {
    Notification::header(HeaderError::BadLength, (len as u16).to_be_bytes())
}

fn decode_notification(mut body: Reader<'_>) -> Result<Notification, Truncated> {
    Ok(Notification {
        code: body.u8()?,
        subcode: body.u8()?,
        data: body.rest().as_slice().to_vec(),
    })
}

/// RFC 7313 section 5: a message that begins or ends a refresh and has the
/// wrong length is answered by 7/1 with all of it as data. Any other of a wrong
/// length is a header error.
fn decode_route_refresh(message: &[u8], body: Reader<'_>) -> Result<RouteRefresh, Notification> {
    if let Some([a0, a1, kind, safi]) = body.exactly() {
        let kind = match kind {
            0 => RouteRefreshKind::Request,
            1 => RouteRefreshKind::Begin,
            2 => RouteRefreshKind::End,
            other => RouteRefreshKind::Unknown(other),
        };
        let afi = u16::from_be_bytes([a0, a1]);
        return Ok(RouteRefresh {
            family: AfiSafi { afi, safi },
            kind,
        });
    }
    match body.as_slice().get(2) {
        Some(1 | 2) => Err(Notification::new(ErrorCode::RouteRefresh as u8, 1, message)),
        _ => Err(bad_length(message.len())),
    }
}
