//! The message header (RFC 4271 section 4.1) and the cutting of a byte stream
//! into messages.

use bytes::{Bytes, BytesMut};

use crate::notification::{HeaderError, Notification};

/// Octets of a message header.
pub const HEADER_LEN: usize = 19;
/// Longest message without RFC 8654, and longest OPEN and KEEPALIVE with it.
pub const MAX_MESSAGE_LEN: usize = 4_096;
/// Longest message with RFC 8654.
pub const MAX_EXTENDED_MESSAGE_LEN: usize = 65_535;
/// The marker: all ones.
pub const MARKER: [u8; 16] = [0xff; 16];

/// The type of a message; the value is the one on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MessageKind {
    /// OPEN.
    Open = 1,
    /// UPDATE.
    Update = 2,
    /// NOTIFICATION.
    Notification = 3,
    /// KEEPALIVE.
    Keepalive = 4,
    /// ROUTE-REFRESH (RFC 2918).
    RouteRefresh = 5,
}

impl MessageKind {
    /// The kind of a type field, none where it is not defined.
    pub const fn from_wire(value: u8) -> Option<MessageKind> {
        match value {
            1 => Some(MessageKind::Open),
            2 => Some(MessageKind::Update),
            3 => Some(MessageKind::Notification),
            4 => Some(MessageKind::Keepalive),
            5 => Some(MessageKind::RouteRefresh),
            _ => None,
        }
    }

    /// Whether a message of this kind may have this length (RFC 4271 section
    /// 6.1, RFC 8654 section 3). A ROUTE-REFRESH is looked at as a whole later
    /// on: RFC 7313 section 5 wants all of it in the NOTIFICATION.
    const fn accepts_len(self, len: usize, max_len: usize) -> bool {
        match self {
            MessageKind::Open => len >= 29 && len <= MAX_MESSAGE_LEN,
            MessageKind::Update => len >= 23 && len <= max_len,
            MessageKind::Notification => len >= 21 && len <= max_len,
            MessageKind::Keepalive => len == HEADER_LEN,
            MessageKind::RouteRefresh => len >= HEADER_LEN && len <= max_len,
        }
    }
}

/// A complete message whose header is sound: a part of the buffer that it was
/// read into, not a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The type.
    pub kind: MessageKind,
    /// The message, header included.
    pub bytes: Bytes,
}

impl Frame {
    /// What follows the header, as a part of the same buffer: what
    /// [`crate::decode_update_packed`] reads.
    pub fn body(&self) -> Bytes {
        self.bytes.slice(HEADER_LEN.min(self.bytes.len())..)
    }
}

/// What the header at the start of `data` says: the kind and the length of the
/// message; none while the header is not complete.
///
/// # Errors
/// The NOTIFICATION to send: 1/1 for a marker that is not all ones, 1/2 with
/// the length field, 1/3 with the type field (RFC 4271 section 6.1).
pub fn parse_header(
    data: &[u8],
    extended_message: bool,
) -> Result<Option<(MessageKind, usize)>, Notification> {
    // A wrong marker is known before the header is complete.
    if data.iter().take(MARKER.len()).any(|b| *b != 0xff) {
        return Err(Notification::header(HeaderError::NotSynchronized, []));
    }
    let Some(header) = data.first_chunk::<HEADER_LEN>() else {
        return Ok(None);
    };
    let [.., high, low, kind] = *header;
    let len = usize::from(u16::from_be_bytes([high, low]));
    let max_len = if extended_message {
        MAX_EXTENDED_MESSAGE_LEN
    } else {
        MAX_MESSAGE_LEN
    };
    let bad_length = || Notification::header(HeaderError::BadLength, [high, low]);
    if len < HEADER_LEN || len > max_len {
        return Err(bad_length());
    }
    let Some(kind) = MessageKind::from_wire(kind) else {
        return Err(Notification::header(HeaderError::BadType, [kind]));
    };
    if !kind.accepts_len(len, max_len) {
        return Err(bad_length());
    }
    Ok(Some((kind, len)))
}

/// Cuts what a connection delivers into messages.
#[derive(Debug, Clone, Copy, Default)]
pub struct Decoder {
    extended_message: bool,
}

impl Decoder {
    /// A decoder for a new connection: messages of up to 4,096 octets.
    pub const fn new() -> Decoder {
        Decoder {
            extended_message: false,
        }
    }

    /// Sets whether messages of up to 65,535 octets are accepted: once both
    /// OPENs carried the capability (RFC 8654 section 4).
    pub const fn set_extended_message(&mut self, extended_message: bool) {
        self.extended_message = extended_message;
    }

    /// Takes the next message off the front of `buffer`; none while it is not
    /// complete.
    ///
    /// # Errors
    /// The NOTIFICATION to send; the stream cannot be read on from there. See
    /// [`parse_header`].
    pub fn decode(&self, buffer: &mut BytesMut) -> Result<Option<Frame>, Notification> {
        let Some((kind, len)) = parse_header(buffer, self.extended_message)? else {
            return Ok(None);
        };
        if buffer.len() < len {
            buffer.reserve(len - buffer.len());
            return Ok(None);
        }
        let bytes = buffer.split_to(len).freeze();
        Ok(Some(Frame { kind, bytes }))
    }
}
