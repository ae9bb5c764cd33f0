//! Messages (RFC 8210 section 5, RFC 6810 section 5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use ipnet::IpNet;

use crate::Vrp;

/// Octets of the header that all messages have.
pub const HEADER: usize = 8;
/// The longest message that is taken. Router keys and error reports have no
/// fixed length; both are far shorter.
pub const MAX_LENGTH: usize = 64 * 1024;

/// The version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// RFC 6810.
    V0 = 0,
    /// RFC 8210.
    V1 = 1,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pdu {
    /// The cache has something new.
    SerialNotify {
        /// Of the cache.
        session: u16,
        /// Of its newest data.
        serial: u32,
    },
    /// What came after a serial number?
    SerialQuery {
        /// Of the cache.
        session: u16,
        /// What the router has.
        serial: u32,
    },
    /// Everything, please.
    ResetQuery,
    /// Data follows.
    CacheResponse {
        /// Of the cache.
        session: u16,
    },
    /// A payload comes or goes.
    Prefix {
        /// It comes.
        announce: bool,
        /// The payload.
        vrp: Vrp,
    },
    /// That was all.
    EndOfData {
        /// Of the cache.
        session: u16,
        /// Of the data.
        serial: u32,
        /// When to ask again; version 0 does not say.
        timing: Option<Timing>,
    },
    /// The cache does not know any more what came after that serial number.
    CacheReset,
    /// A BGPsec router key, which is not used.
    RouterKey,
    /// Something is wrong.
    ErrorReport {
        /// What.
        code: ErrorCode,
        /// The message it is about, or a part of it.
        about: Bytes,
        /// For people.
        text: String,
    },
}

/// Seconds that End of Data gives (RFC 8210 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// After so long the router asks again.
    pub refresh: u32,
    /// After a failure, after so long.
    pub retry: u32,
    /// So long the data may be used.
    pub expire: u32,
}

/// What an error report says (RFC 8210 section 12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// Corrupt Data.
    CorruptData,
    /// Internal Error.
    Internal,
    /// No Data Available; not fatal.
    NoDataAvailable,
    /// Invalid Request.
    InvalidRequest,
    /// Unsupported Protocol Version.
    UnsupportedVersion,
    /// Unsupported PDU Type.
    UnsupportedType,
    /// Withdrawal of Unknown Record.
    UnknownWithdrawal,
    /// Duplicate Announcement Received.
    DuplicateAnnouncement,
    /// Unexpected Protocol Version.
    UnexpectedVersion,
    /// One that neither RFC knows.
    Other(u16),
}

impl ErrorCode {
    const KNOWN: [ErrorCode; 9] = [
        ErrorCode::CorruptData,
        ErrorCode::Internal,
        ErrorCode::NoDataAvailable,
        ErrorCode::InvalidRequest,
        ErrorCode::UnsupportedVersion,
        ErrorCode::UnsupportedType,
        ErrorCode::UnknownWithdrawal,
        ErrorCode::DuplicateAnnouncement,
        ErrorCode::UnexpectedVersion,
    ];

    fn of(number: u16) -> ErrorCode {
        let known = Self::KNOWN.get(usize::from(number));
        known.copied().unwrap_or(ErrorCode::Other(number))
    }

    fn number(self) -> u16 {
        if let ErrorCode::Other(number) = self {
            return number;
        }
        let at = Self::KNOWN.iter().position(|code| *code == self);
        at.and_then(|at| u16::try_from(at).ok()).unwrap_or(1)
    }
}

/// Octets that are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct PduError {
    /// What to report.
    pub code: ErrorCode,
    /// Why, for people.
    pub why: String,
    /// The octets, to be reported.
    pub about: Bytes,
}

const SERIAL_NOTIFY: u8 = 0;
const SERIAL_QUERY: u8 = 1;
const RESET_QUERY: u8 = 2;
const CACHE_RESPONSE: u8 = 3;
const IPV4_PREFIX: u8 = 4;
const IPV6_PREFIX: u8 = 6;
const END_OF_DATA: u8 = 7;
const CACHE_RESET: u8 = 8;
const ROUTER_KEY: u8 = 9;
const ERROR_REPORT: u8 = 10;

/// The header of a message.
struct Header {
    version: u8,
    kind: u8,
    /// Session, error code, or nothing.
    number: u16,
    length: usize,
}

/// Takes the next message from the front of `buffer`, with the version that it
/// came in; none while it is not complete.
///
/// # Errors
/// The octets are no message of either version; nothing after them can be made
/// sense of.
pub fn take(buffer: &mut BytesMut) -> Result<Option<(Version, Pdu)>, PduError> {
    let Some(mut front) = buffer.get(..HEADER) else {
        return Ok(None);
    };
    let header = Header {
        version: front.get_u8(),
        kind: front.get_u8(),
        number: front.get_u16(),
        length: usize::try_from(front.get_u32()).unwrap_or(usize::MAX),
    };
    let error = |code, why: String| PduError {
        code,
        why,
        about: Bytes::copy_from_slice(buffer.get(..HEADER).unwrap_or_default()),
    };
    let version = match header.version {
        0 => Version::V0,
        1 => Version::V1,
        other => {
            let why = format!("version {other} of the protocol");
            return Err(error(ErrorCode::UnsupportedVersion, why));
        }
    };
    if !(HEADER..=MAX_LENGTH).contains(&header.length) {
        let why = format!("a message of {} octets", header.length);
        return Err(error(ErrorCode::CorruptData, why));
    }
    if buffer.len() < header.length {
        return Ok(None);
    }
    let whole = buffer.split_to(header.length).freeze();
    match read(version, &header, whole.slice(HEADER..)) {
        Ok(pdu) => Ok(Some((version, pdu))),
        Err((code, why)) => Err(PduError {
            code,
            why,
            about: whole,
        }),
    }
}

fn read(version: Version, header: &Header, mut body: Bytes) -> Result<Pdu, (ErrorCode, String)> {
    let corrupt = |why: String| (ErrorCode::CorruptData, why);
    let expect = |length: usize| match header.length == length {
        true => Ok(()),
        false => Err(corrupt(format!(
            "a message of type {} has {length} octets, not {}",
            header.kind, header.length
        ))),
    };
    let session = header.number;
    Ok(match header.kind {
        SERIAL_NOTIFY => {
            expect(12)?;
            let serial = body.get_u32();
            Pdu::SerialNotify { session, serial }
        }
        SERIAL_QUERY => {
            expect(12)?;
            let serial = body.get_u32();
            Pdu::SerialQuery { session, serial }
        }
        RESET_QUERY => {
            expect(8)?;
            Pdu::ResetQuery
        }
        CACHE_RESPONSE => {
            expect(8)?;
            Pdu::CacheResponse { session }
        }
        IPV4_PREFIX => {
            expect(20)?;
            prefix(body, 4).map_err(corrupt)?
        }
        IPV6_PREFIX => {
            expect(32)?;
            prefix(body, 16).map_err(corrupt)?
        }
        END_OF_DATA => {
            expect(if version == Version::V0 { 12 } else { 24 })?;
            let serial = body.get_u32();
            let timing = (version == Version::V1).then(|| Timing {
                refresh: body.get_u32(),
                retry: body.get_u32(),
                expire: body.get_u32(),
            });
            Pdu::EndOfData {
                session,
                serial,
                timing,
            }
        }
        CACHE_RESET => {
            expect(8)?;
            Pdu::CacheReset
        }
        ROUTER_KEY if version == Version::V1 => Pdu::RouterKey,
        ERROR_REPORT => error_report(header.number, body).map_err(corrupt)?,
        other => {
            let why = format!("a message of type {other}");
            return Err((ErrorCode::UnsupportedType, why));
        }
    })
}

fn prefix(mut body: Bytes, octets: usize) -> Result<Pdu, String> {
    let (flags, length, max_length) = (body.get_u8(), body.get_u8(), body.get_u8());
    body.advance(1);
    let address: IpAddr = match octets {
        4 => Ipv4Addr::from_bits(body.get_u32()).into(),
        _ => Ipv6Addr::from_bits(body.get_u128()).into(),
    };
    let asn = body.get_u32();
    let bits = octets * 8;
    let prefix = IpNet::new(address, length).map_err(|_| format!("a prefix of {length} bits"))?;
    if prefix != prefix.trunc() {
        return Err(format!("{prefix} has host bits"));
    }
    if max_length < length || usize::from(max_length) > bits {
        return Err(format!("a maximum length of {max_length} for {prefix}"));
    }
    Ok(Pdu::Prefix {
        announce: flags & 1 != 0,
        vrp: Vrp {
            prefix,
            max_length,
            asn,
        },
    })
}

fn error_report(code: u16, mut body: Bytes) -> Result<Pdu, String> {
    let mut part = |what: &str| {
        let long = format!("{what} of an error report is longer than the report");
        if body.len() < 4 {
            return Err(long);
        }
        let length = usize::try_from(body.get_u32()).unwrap_or(usize::MAX);
        match body.len() >= length {
            true => Ok(body.split_to(length)),
            false => Err(long),
        }
    };
    let about = part("the message")?;
    let text = part("the text")?;
    Ok(Pdu::ErrorReport {
        code: ErrorCode::of(code),
        about,
        text: String::from_utf8_lossy(&text).into_owned(),
    })
}

/// Writes a message behind what is in `out`.
pub fn put(version: Version, pdu: &Pdu, out: &mut BytesMut) {
    let mut head = |kind: u8, number: u16, length: u32| {
        out.put_u8(version as u8);
        out.put_u8(kind);
        out.put_u16(number);
        out.put_u32(length);
    };
    match pdu {
        Pdu::SerialNotify { session, serial } => {
            head(SERIAL_NOTIFY, *session, 12);
            out.put_u32(*serial);
        }
        Pdu::SerialQuery { session, serial } => {
            head(SERIAL_QUERY, *session, 12);
            out.put_u32(*serial);
        }
        Pdu::ResetQuery => head(RESET_QUERY, 0, 8),
        Pdu::CacheResponse { session } => head(CACHE_RESPONSE, *session, 8),
        Pdu::Prefix { announce, vrp } => {
            let (kind, length) = match vrp.prefix {
                IpNet::V4(_) => (IPV4_PREFIX, 20),
                IpNet::V6(_) => (IPV6_PREFIX, 32),
            };
            head(kind, 0, length);
            out.put_u8(u8::from(*announce));
            out.put_u8(vrp.prefix.prefix_len());
            out.put_u8(vrp.max_length);
            out.put_u8(0);
            match vrp.prefix.network() {
                IpAddr::V4(address) => out.put_u32(address.to_bits()),
                IpAddr::V6(address) => out.put_u128(address.to_bits()),
            }
            out.put_u32(vrp.asn);
        }
        Pdu::EndOfData {
            session,
            serial,
            timing,
        } => {
            let timing = timing.filter(|_| version == Version::V1);
            head(
                END_OF_DATA,
                *session,
                if timing.is_some() { 24 } else { 12 },
            );
            out.put_u32(*serial);
            if let Some(timing) = timing {
                out.put_u32(timing.refresh);
                out.put_u32(timing.retry);
                out.put_u32(timing.expire);
            }
        }
        Pdu::CacheReset => head(CACHE_RESET, 0, 8),
        // One without a key, for tests: nobody sends these to a cache.
        Pdu::RouterKey => head(ROUTER_KEY, 0, 8),
        Pdu::ErrorReport { code, about, text } => {
            let parts = 16 + about.len() + text.len();
            head(
                ERROR_REPORT,
                code.number(),
                u32::try_from(parts).unwrap_or(u32::MAX),
            );
            for part in [&about[..], text.as_bytes()] {
                out.put_u32(u32::try_from(part.len()).unwrap_or(u32::MAX));
                out.put_slice(part);
            }
        }
    }
}
