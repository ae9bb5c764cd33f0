//! Capabilities (RFC 5492).

use bytes::{BufMut, BytesMut};

use crate::encode::EncodeError;
use crate::family::AfiSafi;
use crate::reader::{Reader, Truncated};

/// Capability codes (IANA "Capability Codes").
pub mod code {
    /// Multiprotocol Extensions.
    pub const MULTIPROTOCOL: u8 = 1;
    /// Route Refresh.
    pub const ROUTE_REFRESH: u8 = 2;
    /// Extended Next Hop Encoding.
    pub const EXTENDED_NEXT_HOP: u8 = 5;
    /// BGP Extended Message.
    pub const EXTENDED_MESSAGE: u8 = 6;
    /// BGP Role.
    pub const ROLE: u8 = 9;
    /// Graceful Restart.
    pub const GRACEFUL_RESTART: u8 = 64;
    /// Support for 4-octet AS number.
    pub const FOUR_OCTET_AS: u8 = 65;
    /// ADD-PATH.
    pub const ADD_PATH: u8 = 69;
    /// Enhanced Route Refresh.
    pub const ENHANCED_ROUTE_REFRESH: u8 = 70;
    /// Long-Lived Graceful Restart.
    pub const LONG_LIVED_GRACEFUL_RESTART: u8 = 71;
    /// FQDN.
    pub const FQDN: u8 = 73;
}

/// What ADD-PATH (RFC 7911) offers for a family; the value on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AddPathMode {
    /// Able to receive.
    Receive = 1,
    /// Able to send.
    Send = 2,
    /// Both.
    Both = 3,
}

impl AddPathMode {
    /// The mode of a value on the wire.
    pub const fn from_wire(value: u8) -> Option<AddPathMode> {
        match value {
            1 => Some(AddPathMode::Receive),
            2 => Some(AddPathMode::Send),
            3 => Some(AddPathMode::Both),
            _ => None,
        }
    }
}

/// Graceful Restart (RFC 4724, RFC 8538).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct GracefulRestart {
    /// R: the sender has restarted.
    pub restarting: bool,
    /// N: NOTIFICATION keeps the routes too (RFC 8538).
    pub notification: bool,
    /// Seconds until the session is expected back, 0 to 4095.
    pub restart_time_secs: u16,
    /// Families, each with its F bit (forwarding state preserved).
    pub families: Vec<(AfiSafi, bool)>,
}

/// A family's part of the Long-Lived Graceful Restart capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LongLivedFamily {
    /// The family.
    pub family: AfiSafi,
    /// F: forwarding state was preserved.
    pub forwarding_preserved: bool,
    /// Seconds for which stale routes are kept, 0 to 16,777,215.
    pub stale_time_secs: u32,
}

/// The BGP role of a speaker (RFC 9234 section 4.1); the value on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Role {
    /// Provider.
    Provider = 0,
    /// Route server.
    RouteServer = 1,
    /// Route server client.
    RouteServerClient = 2,
    /// Customer.
    Customer = 3,
    /// Peer.
    Peer = 4,
}

impl Role {
    /// The role of a value on the wire.
    pub const fn from_wire(value: u8) -> Option<Role> {
        match value {
            0 => Some(Role::Provider),
            1 => Some(Role::RouteServer),
            2 => Some(Role::RouteServerClient),
            3 => Some(Role::Customer),
            4 => Some(Role::Peer),
            _ => None,
        }
    }
}

/// One capability.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Capability {
    /// 1, RFC 4760.
    Multiprotocol(AfiSafi),
    /// 2, RFC 2918.
    RouteRefresh,
    /// 5, RFC 8950: (NLRI family, next-hop AFI).
    ExtendedNextHop(Vec<(AfiSafi, u16)>),
    /// 6, RFC 8654.
    ExtendedMessage,
    /// 9, RFC 9234.
    Role(Role),
    /// 64, RFC 4724.
    GracefulRestart(GracefulRestart),
    /// 65, RFC 6793.
    FourOctetAs(u32),
    /// 69, RFC 7911.
    AddPath(Vec<(AfiSafi, AddPathMode)>),
    /// 70, RFC 7313.
    EnhancedRouteRefresh,
    /// 71, RFC 9494.
    LongLivedGracefulRestart(Vec<LongLivedFamily>),
    /// 73, draft-walton-bgp-hostname-capability: host and domain name.
    Fqdn {
        /// Host name.
        hostname: String,
        /// Domain name, may be empty.
        domain: String,
    },
    /// Any other, as it came.
    Unknown {
        /// Capability code.
        code: u8,
        /// Value.
        value: Vec<u8>,
    },
}

/// A capability that we know and that has an impossible length. RFC 5492 does
/// not say what to do; it is malformed, like an optional parameter that we
/// recognise and cannot read: OPEN Message Error, Unspecific (RFC 4271 section
/// 6.2). A value that we do not know, in a capability whose length is right,
/// makes the capability an unknown one instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl From<Truncated> for Malformed {
    fn from(_: Truncated) -> Malformed {
        Malformed
    }
}

// ===== decode =====

impl Capability {
    /// Reads the value of one capability.
    pub(crate) fn decode(code: u8, value: Reader<'_>) -> Result<Capability, Malformed> {
        let empty = |capability: Capability| {
            if value.is_empty() {
                Ok(capability)
            } else {
                Err(Malformed)
            }
        };
        let known = match code {
            code::MULTIPROTOCOL => Some(decode_multiprotocol(value)?),
            code::ROUTE_REFRESH => Some(empty(Capability::RouteRefresh)?),
            code::EXTENDED_NEXT_HOP => Some(decode_extended_next_hop(value)?),
            code::EXTENDED_MESSAGE => Some(empty(Capability::ExtendedMessage)?),
            code::ROLE => decode_role(value)?,
            code::GRACEFUL_RESTART => Some(decode_graceful_restart(value)?),
            code::FOUR_OCTET_AS => {
                let asn = value.exactly().ok_or(Malformed)?;
                Some(Capability::FourOctetAs(u32::from_be_bytes(asn)))
            }
            code::ADD_PATH => decode_add_path(value)?,
            code::ENHANCED_ROUTE_REFRESH => Some(empty(Capability::EnhancedRouteRefresh)?),
            code::LONG_LIVED_GRACEFUL_RESTART => Some(decode_long_lived(value)?),
            code::FQDN => decode_fqdn(value),
            _ => None,
        };
        Ok(known.unwrap_or_else(|| Capability::Unknown {
            code,
            value: value.as_slice().to_vec(),
        }))
    }
}

fn read_family(reader: &mut Reader<'_>) -> Result<AfiSafi, Truncated> {
    Ok(AfiSafi {
        afi: reader.u16()?,
        safi: reader.u8()?,
    })
}

fn decode_multiprotocol(value: Reader<'_>) -> Result<Capability, Malformed> {
    let [a0, a1, _reserved, safi] = value.exactly().ok_or(Malformed)?;
    Ok(Capability::Multiprotocol(AfiSafi {
        afi: u16::from_be_bytes([a0, a1]),
        safi,
    }))
}

/// RFC 8950 section 4: AFI, SAFI in two octets, next-hop AFI. A SAFI that does
/// not fit into one octet exists nowhere else: its tuple is skipped.
fn decode_extended_next_hop(mut value: Reader<'_>) -> Result<Capability, Malformed> {
    let mut tuples = Vec::with_capacity(value.len() / 6);
    while !value.is_empty() {
        let (afi, safi, next_hop) = (value.u16()?, value.u16()?, value.u16()?);
        if let Ok(safi) = u8::try_from(safi) {
            tuples.push((AfiSafi { afi, safi }, next_hop));
        }
    }
    Ok(Capability::ExtendedNextHop(tuples))
}

fn decode_role(value: Reader<'_>) -> Result<Option<Capability>, Malformed> {
    let [role] = value.exactly().ok_or(Malformed)?;
    Ok(Role::from_wire(role).map(Capability::Role))
}

fn decode_graceful_restart(mut value: Reader<'_>) -> Result<Capability, Malformed> {
    let head = value.u16()?;
    let mut families = Vec::with_capacity(value.len() / 4);
    while !value.is_empty() {
        let family = read_family(&mut value)?;
        families.push((family, value.u8()? & FORWARDING_PRESERVED != 0));
    }
    Ok(Capability::GracefulRestart(GracefulRestart {
        restarting: head & RESTARTING != 0,
        notification: head & NOTIFICATION != 0,
        restart_time_secs: head & MAX_RESTART_TIME_SECS,
        families,
    }))
}

/// RFC 7911 section 4: a mode other than 1 to 3 makes the whole capability one
/// that is not understood.
fn decode_add_path(mut value: Reader<'_>) -> Result<Option<Capability>, Malformed> {
    let mut families = Vec::with_capacity(value.len() / 4);
    while !value.is_empty() {
        let family = read_family(&mut value)?;
        match AddPathMode::from_wire(value.u8()?) {
            Some(mode) => families.push((family, mode)),
            None => return Ok(None),
        }
    }
    Ok(Some(Capability::AddPath(families)))
}

fn decode_long_lived(mut value: Reader<'_>) -> Result<Capability, Malformed> {
    let mut families = Vec::with_capacity(value.len() / 7);
    while !value.is_empty() {
        let family = read_family(&mut value)?;
        let word = value.u32()?;
        families.push(LongLivedFamily {
            family,
            forwarding_preserved: word >> 24 & u32::from(FORWARDING_PRESERVED) != 0,
            stale_time_secs: word & MAX_STALE_TIME_SECS,
        });
    }
    Ok(Capability::LongLivedGracefulRestart(families))
}

/// The draft sets no rule for a wrong length, and a name is no reason to be
/// without a session: what cannot be read is an unknown capability.
fn decode_fqdn(mut value: Reader<'_>) -> Option<Capability> {
    let mut name = || -> Option<String> {
        let len = value.u8().ok()?;
        let octets = value.take(usize::from(len)).ok()?;
        String::from_utf8(octets.as_slice().to_vec()).ok()
    };
    let (hostname, domain) = (name()?, name()?);
    value
        .is_empty()
        .then_some(Capability::Fqdn { hostname, domain })
}

// ===== encode =====

const RESTARTING: u16 = 0x8000;
const NOTIFICATION: u16 = 0x4000;
const FORWARDING_PRESERVED: u8 = 0x80;
/// Longest restart time in seconds: 12 bits (RFC 4724 section 3).
pub const MAX_RESTART_TIME_SECS: u16 = 0x0fff;
/// Longest stale time in seconds: 24 bits (RFC 9494 section 3).
pub const MAX_STALE_TIME_SECS: u32 = 0x00ff_ffff;

impl Capability {
    /// The capability code.
    pub const fn code(&self) -> u8 {
        match self {
            Capability::Multiprotocol(_) => code::MULTIPROTOCOL,
            Capability::RouteRefresh => code::ROUTE_REFRESH,
            Capability::ExtendedNextHop(_) => code::EXTENDED_NEXT_HOP,
            Capability::ExtendedMessage => code::EXTENDED_MESSAGE,
            Capability::Role(_) => code::ROLE,
            Capability::GracefulRestart(_) => code::GRACEFUL_RESTART,
            Capability::FourOctetAs(_) => code::FOUR_OCTET_AS,
            Capability::AddPath(_) => code::ADD_PATH,
            Capability::EnhancedRouteRefresh => code::ENHANCED_ROUTE_REFRESH,
            Capability::LongLivedGracefulRestart(_) => code::LONG_LIVED_GRACEFUL_RESTART,
            Capability::Fqdn { .. } => code::FQDN,
            Capability::Unknown { code, .. } => *code,
        }
    }

    /// Writes code, length and value. The data of an "Unsupported Capability"
    /// NOTIFICATION is made of these too (RFC 5492 section 3).
    ///
    /// # Errors
    /// [`EncodeError::Capability`] where the value does not fit into its
    /// length octet, or a name or a time is too long for its field.
    pub fn encode(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        let start = out.len();
        out.put_u8(self.code());
        out.put_u8(0);
        self.encode_value(out)?;
        let len = u8::try_from(out.len() - start - 2).map_err(|_| self.too_long())?;
        if let Some(field) = out.get_mut(start + 1) {
            *field = len;
        }
        Ok(())
    }

    const fn too_long(&self) -> EncodeError {
        EncodeError::Capability { code: self.code() }
    }

    fn encode_value(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        match self {
            Capability::Multiprotocol(family) => {
                out.put_u16(family.afi);
                out.put_u8(0);
                out.put_u8(family.safi);
            }
            Capability::RouteRefresh
            | Capability::ExtendedMessage
            | Capability::EnhancedRouteRefresh => {}
            Capability::ExtendedNextHop(tuples) => {
                for (family, next_hop) in tuples {
                    out.put_u16(family.afi);
                    out.put_u16(u16::from(family.safi));
                    out.put_u16(*next_hop);
                }
            }
            Capability::Role(role) => out.put_u8(*role as u8),
            Capability::GracefulRestart(restart) => return self.encode_restart(restart, out),
            Capability::FourOctetAs(asn) => out.put_u32(*asn),
            Capability::AddPath(families) => {
                for (family, mode) in families {
                    put_family(*family, out);
                    out.put_u8(*mode as u8);
                }
            }
            Capability::LongLivedGracefulRestart(families) => {
                for family in families {
                    self.encode_long_lived(family, out)?;
                }
            }
            Capability::Fqdn { hostname, domain } => {
                for name in [hostname, domain] {
                    out.put_u8(u8::try_from(name.len()).map_err(|_| self.too_long())?);
                    out.put_slice(name.as_bytes());
                }
            }
            Capability::Unknown { value, .. } => out.put_slice(value),
        }
        Ok(())
    }

    fn encode_restart(
        &self,
        restart: &GracefulRestart,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        if restart.restart_time_secs > MAX_RESTART_TIME_SECS {
            return Err(self.too_long());
        }
        let mut head = restart.restart_time_secs;
        head |= if restart.restarting { RESTARTING } else { 0 };
        head |= if restart.notification {
            NOTIFICATION
        } else {
            0
        };
        out.put_u16(head);
        for (family, preserved) in &restart.families {
            put_family(*family, out);
            out.put_u8(if *preserved { FORWARDING_PRESERVED } else { 0 });
        }
        Ok(())
    }

    fn encode_long_lived(
        &self,
        family: &LongLivedFamily,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        if family.stale_time_secs > MAX_STALE_TIME_SECS {
            return Err(self.too_long());
        }
        let flags = match family.forwarding_preserved {
            true => u32::from(FORWARDING_PRESERVED) << 24,
            false => 0,
        };
        put_family(family.family, out);
        out.put_u32(flags | family.stale_time_secs);
        Ok(())
    }
}

fn put_family(family: AfiSafi, out: &mut BytesMut) {
    out.put_u16(family.afi);
    out.put_u8(family.safi);
}
