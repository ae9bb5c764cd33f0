//! OPEN (RFC 4271 section 4.2, RFC 5492, RFC 6793, RFC 9072).

use std::net::Ipv4Addr;

use bytes::{BufMut, BytesMut};

use crate::capability::Capability;
use crate::encode::EncodeError;
use crate::notification::{Notification, OpenError};
use crate::reader::{Reader, Truncated};

/// The version of BGP that this is.
pub const VERSION: u8 = 4;

/// Optional parameter type: Capabilities (RFC 5492).
const PARAMETER_CAPABILITIES: u8 = 2;
/// Optional parameter type that announces the extended format (RFC 9072).
const PARAMETER_EXTENDED: u8 = 255;

/// An OPEN, with the capabilities of all its optional parameters in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Version, 4.
    pub version: u8,
    /// My Autonomous System: 2 octets on the wire; AS_TRANS (23456) where the
    /// true number does not fit.
    pub my_as: u16,
    /// Hold time in seconds: 0, or at least 3.
    pub hold_time_secs: u16,
    /// BGP identifier.
    pub bgp_id: Ipv4Addr,
    /// Capabilities.
    pub capabilities: Vec<Capability>,
}

impl Open {
    /// The sender's AS: the 4-octet capability's where it was sent.
    pub fn asn(&self) -> u32 {
        self.capabilities
            .iter()
            .find_map(|c| match c {
                Capability::FourOctetAs(asn) => Some(*asn),
                _ => None,
            })
            .unwrap_or(u32::from(self.my_as))
    }
}

/// RFC 4271 section 6.2: a parameter that is recognised and malformed.
fn malformed() -> Notification {
    Notification::open(OpenError::Unspecific, [])
}

// ===== decode =====

impl Open {
    /// Reads what follows the header, and checks what does not depend on
    /// configuration (RFC 4271 section 6.2, RFC 6286, RFC 7607).
    ///
    /// # Errors
    /// The NOTIFICATION to send: 2/1 with the version 4 as data, 2/2 for AS 0,
    /// 2/3 for an identifier of 0, 2/4 for an unknown parameter, 2/6 for a hold
    /// time of 1 or 2 seconds, 2/0 for what is malformed.
    pub fn decode(body: Reader<'_>) -> Result<Open, Notification> {
        let mut reader = body;
        // First of all, because what follows may look different elsewhere.
        let version = reader.u8().map_err(|_| malformed())?;
        if version != VERSION {
            return Err(Notification::open(
                OpenError::UnsupportedVersion,
                u16::from(VERSION).to_be_bytes(),
            ));
        }
        let mut open = Open::decode_fixed(version, &mut reader).map_err(|_| malformed())?;
        open.capabilities = decode_parameters(reader)?;
        open.check()?;
        Ok(open)
    }

    fn decode_fixed(version: u8, reader: &mut Reader<'_>) -> Result<Open, Truncated> {
        Ok(Open {
            version,
            my_as: reader.u16()?,
            hold_time_secs: reader.u16()?,
            bgp_id: Ipv4Addr::from(reader.array::<4>()?),
            capabilities: Vec::new(),
        })
    }

    fn check(&self) -> Result<(), Notification> {
        // "If a BGP speaker receives zero as the peer AS in an OPEN message, it
        // MUST abort the connection" (RFC 7607 section 2).
        if self.my_as == 0 || self.asn() == 0 {
            return Err(Notification::open(OpenError::BadPeerAs, []));
        }
        if matches!(self.hold_time_secs, 1 | 2) {
            return Err(Notification::open(OpenError::UnacceptableHoldTime, []));
        }
        // Any other identifier is fine (RFC 6286 section 2.1).
        if self.bgp_id.is_unspecified() {
            return Err(Notification::open(OpenError::BadBgpIdentifier, []));
        }
        Ok(())
    }
}

/// Reads the optional parameters in either format, their length first.
fn decode_parameters(mut reader: Reader<'_>) -> Result<Vec<Capability>, Notification> {
    let len = reader.u8().map_err(|_| malformed())?;
    let mut checkpoint = reader;
    // RFC 9072 section 2: the type decides; the length is then ignored, except
    // that it is never 0.
    let extended = len != 0 && checkpoint.u8() == Ok(PARAMETER_EXTENDED);
    let declared = if extended {
        reader = checkpoint;
        usize::from(reader.u16().map_err(|_| malformed())?)
    } else {
        usize::from(len)
    };
    if declared != reader.len() {
        return Err(malformed());
    }
    let mut capabilities = Vec::new();
    while !reader.is_empty() {
        let (kind, value) = read_tlv(&mut reader, extended).map_err(|_| malformed())?;
        if kind != PARAMETER_CAPABILITIES {
            return Err(Notification::open(OpenError::UnsupportedParameter, []));
        }
        decode_capabilities(value, &mut capabilities)?;
    }
    Ok(capabilities)
}

fn read_tlv<'a>(reader: &mut Reader<'a>, extended: bool) -> Result<(u8, Reader<'a>), Truncated> {
    let kind = reader.u8()?;
    let len = if extended {
        usize::from(reader.u16()?)
    } else {
        usize::from(reader.u8()?)
    };
    Ok((kind, reader.take(len)?))
}

fn decode_capabilities(
    mut reader: Reader<'_>,
    capabilities: &mut Vec<Capability>,
) -> Result<(), Notification> {
    while !reader.is_empty() {
        let (code, value) = read_tlv(&mut reader, false).map_err(|_| malformed())?;
        capabilities.push(Capability::decode(code, value).map_err(|_| malformed())?);
    }
    Ok(())
}

// ===== encode =====

impl Open {
    /// Writes what follows the header: all capabilities in one parameter, in
    /// the format of RFC 9072 only where the usual one is too short for them.
    ///
    /// # Errors
    /// [`EncodeError::Capability`] where a capability does not fit.
    pub(crate) fn encode_body(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        out.put_u8(self.version);
        out.put_u16(self.my_as);
        out.put_u16(self.hold_time_secs);
        out.put_slice(&self.bgp_id.octets());
        let mut capabilities = BytesMut::new();
        for capability in &self.capabilities {
            capability.encode(&mut capabilities)?;
        }
        let len = capabilities.len();
        if len == 0 {
            out.put_u8(0);
            return Ok(());
        }
        match (u8::try_from(len), u8::try_from(len + 2)) {
            (Ok(len), Ok(parameter_len)) => {
                out.put_u8(parameter_len);
                out.put_u8(PARAMETER_CAPABILITIES);
                out.put_u8(len);
            }
            _ => {
                let parameter_len = u16::try_from(len + 3);
                let parameter_len = parameter_len.map_err(|_| EncodeError::too_long(len))?;
                out.put_u8(u8::MAX);
                out.put_u8(PARAMETER_EXTENDED);
                out.put_u16(parameter_len);
                out.put_u8(PARAMETER_CAPABILITIES);
                out.put_u16(parameter_len - 3);
            }
        }
        out.put_slice(&capabilities);
        Ok(())
    }
}
