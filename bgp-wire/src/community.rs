//! Communities of every size, and their text as FRR writes it.

use core::fmt;
use core::str::FromStr;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A standard community (RFC 1997), in host order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Community(pub u32);

/// A large community (RFC 8092).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LargeCommunity {
    /// Global administrator: an AS number.
    pub global: u32,
    /// First local part.
    pub local1: u32,
    /// Second local part.
    pub local2: u32,
}

/// An extended community (RFC 4360): eight octets as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExtendedCommunity(pub [u8; 8]);

/// An IPv6 address specific extended community (RFC 5701): twenty octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ipv6ExtendedCommunity(pub [u8; 20]);

/// Text that is not a community of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {kind}: '{text}'")]
pub struct ParseCommunityError {
    kind: &'static str,
    text: String,
}

impl ParseCommunityError {
    fn new(kind: &'static str, text: &str) -> ParseCommunityError {
        ParseCommunityError {
            kind,
            text: text.to_owned(),
        }
    }
}

/// A run of decimal digits; unlike `parse` alone no sign is taken.
fn decimal<T: FromStr>(text: &str) -> Option<T> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

// ===== impl Community =====

/// The names of IANA's "BGP Well-known Communities" as FRR spells them.
const WELL_KNOWN: &[(Community, &str)] = &[
    (Community(0), "internet"),
    (Community::GRACEFUL_SHUTDOWN, "graceful-shutdown"),
    (Community::ACCEPT_OWN, "accept-own"),
    (Community(0xffff_0002), "route-filter-translated-v4"),
    (Community(0xffff_0003), "route-filter-v4"),
    (Community(0xffff_0004), "route-filter-translated-v6"),
    (Community(0xffff_0005), "route-filter-v6"),
    (Community::LLGR_STALE, "llgr-stale"),
    (Community::NO_LLGR, "no-llgr"),
    (Community(0xffff_0008), "accept-own-nexthop"),
    (Community::BLACKHOLE, "blackhole"),
    (Community::NO_EXPORT, "no-export"),
    (Community::NO_ADVERTISE, "no-advertise"),
    (Community::NO_EXPORT_SUBCONFED, "local-AS"),
    (Community::NO_PEER, "no-peer"),
];

impl Community {
    /// GRACEFUL_SHUTDOWN (RFC 8326).
    pub const GRACEFUL_SHUTDOWN: Community = Community(0xffff_0000);
    /// ACCEPT_OWN (RFC 7611).
    pub const ACCEPT_OWN: Community = Community(0xffff_0001);
    /// LLGR_STALE (RFC 9494).
    pub const LLGR_STALE: Community = Community(0xffff_0006);
    /// NO_LLGR (RFC 9494).
    pub const NO_LLGR: Community = Community(0xffff_0007);
    /// BLACKHOLE (RFC 7999).
    pub const BLACKHOLE: Community = Community(0xffff_029a);
    /// NO_EXPORT (RFC 1997).
    pub const NO_EXPORT: Community = Community(0xffff_ff01);
    /// NO_ADVERTISE (RFC 1997).
    pub const NO_ADVERTISE: Community = Community(0xffff_ff02);
    /// NO_EXPORT_SUBCONFED (RFC 1997), "local-AS" in text.
    pub const NO_EXPORT_SUBCONFED: Community = Community(0xffff_ff03);
    /// NOPEER (RFC 3765).
    pub const NO_PEER: Community = Community(0xffff_ff04);

    /// The community `asn:value`.
    pub const fn new(asn: u16, value: u16) -> Community {
        Community((asn as u32) << 16 | value as u32)
    }

    /// The upper half, an AS number by convention.
    pub const fn asn(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// The lower half.
    pub const fn value(self) -> u16 {
        self.0 as u16
    }

    /// The name of a well-known community.
    pub fn well_known_name(self) -> Option<&'static str> {
        WELL_KNOWN
            .iter()
            .find(|(community, _)| *community == self)
            .map(|(_, name)| *name)
    }
}

impl fmt::Display for Community {
    /// `65000:1`, or the name of a well-known community.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.well_known_name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}:{}", self.asn(), self.value()),
        }
    }
}

impl FromStr for Community {
    type Err = ParseCommunityError;

    /// Reads a well-known name, `65000:1`, or one number of 32 bits.
    fn from_str(text: &str) -> Result<Community, ParseCommunityError> {
        if let Some((community, _)) = WELL_KNOWN
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(text))
        {
            return Ok(*community);
        }
        let parsed = match text.split_once(':') {
            Some((asn, value)) => decimal(asn)
                .zip(decimal(value))
                .map(|(asn, value)| Community::new(asn, value)),
            None => decimal(text).map(Community),
        };
        parsed.ok_or_else(|| ParseCommunityError::new("community", text))
    }
}

// ===== impl LargeCommunity =====

impl LargeCommunity {
    /// The community `global:local1:local2`.
    pub const fn new(global: u32, local1: u32, local2: u32) -> LargeCommunity {
        LargeCommunity {
            global,
            local1,
            local2,
        }
    }
}

impl fmt::Display for LargeCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.global, self.local1, self.local2)
    }
}

impl FromStr for LargeCommunity {
    type Err = ParseCommunityError;

    /// Reads `65000:1:2` (RFC 8092 section 4).
    fn from_str(text: &str) -> Result<LargeCommunity, ParseCommunityError> {
        let mut parts = text.split(':').map(decimal::<u32>);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Some(global)), Some(Some(local1)), Some(Some(local2)), None) => {
                Ok(LargeCommunity::new(global, local1, local2))
            }
            _ => Err(ParseCommunityError::new("large community", text)),
        }
    }
}

// ===== impl ExtendedCommunity =====

const TYPE_AS2: u8 = 0x00;
const TYPE_IPV4: u8 = 0x01;
const TYPE_AS4: u8 = 0x02;
const TYPE_OPAQUE: u8 = 0x03;
const TYPE_NON_TRANSITIVE: u8 = 0x40;
const TYPE_NON_TRANSITIVE_OPAQUE: u8 = 0x43;
const SUBTYPE_ROUTE_TARGET: u8 = 0x02;
const SUBTYPE_ROUTE_ORIGIN: u8 = 0x03;
const SUBTYPE_LINK_BANDWIDTH: u8 = 0x04;
const SUBTYPE_COLOR: u8 = 0x0b;
const SUBTYPE_ORIGIN_VALIDATION: u8 = 0x00;

impl ExtendedCommunity {
    /// Route target of an AS (RFC 4360 section 4, RFC 5668): the 2-octet form
    /// where the AS fits into it, else the 4-octet form, whose value has 16
    /// bits. None where neither holds both numbers.
    pub fn route_target(asn: u32, value: u32) -> Option<ExtendedCommunity> {
        Self::of_as(SUBTYPE_ROUTE_TARGET, asn, value)
    }

    /// Route origin ("site of origin") of an AS; as
    /// [`ExtendedCommunity::route_target`].
    pub fn route_origin(asn: u32, value: u32) -> Option<ExtendedCommunity> {
        Self::of_as(SUBTYPE_ROUTE_ORIGIN, asn, value)
    }

    /// Route target of an IPv4 address (RFC 4360 section 3.2).
    pub fn route_target_ipv4(addr: Ipv4Addr, value: u16) -> ExtendedCommunity {
        Self::of_ipv4(SUBTYPE_ROUTE_TARGET, addr, value)
    }

    /// Route origin of an IPv4 address.
    pub fn route_origin_ipv4(addr: Ipv4Addr, value: u16) -> ExtendedCommunity {
        Self::of_ipv4(SUBTYPE_ROUTE_ORIGIN, addr, value)
    }

    fn of_as(subtype: u8, asn: u32, value: u32) -> Option<ExtendedCommunity> {
        let [v0, v1, v2, v3] = value.to_be_bytes();
        if let Ok(asn) = u16::try_from(asn) {
            let [a0, a1] = asn.to_be_bytes();
            return Some(ExtendedCommunity([
                TYPE_AS2, subtype, a0, a1, v0, v1, v2, v3,
            ]));
        }
        let [a0, a1, a2, a3] = asn.to_be_bytes();
        u16::try_from(value).is_ok().then_some(ExtendedCommunity([
            TYPE_AS4, subtype, a0, a1, a2, a3, v2, v3,
        ]))
    }

    fn of_ipv4(subtype: u8, addr: Ipv4Addr, value: u16) -> ExtendedCommunity {
        let [a0, a1, a2, a3] = addr.octets();
        let [v0, v1] = value.to_be_bytes();
        ExtendedCommunity([TYPE_IPV4, subtype, a0, a1, a2, a3, v0, v1])
    }

    /// Link bandwidth (draft-ietf-idr-link-bandwidth): octets per second as a
    /// float. `asn` is cut to AS_TRANS where it doesn't fit into 16 bits.
    /// `transitive` clears the bit that keeps it inside of the AS.
    pub fn link_bandwidth(asn: u32, bytes_per_second: f32, transitive: bool) -> ExtendedCommunity {
        let kind = if transitive {
            TYPE_AS2
        } else {
            TYPE_NON_TRANSITIVE
        };
        let asn = u16::try_from(asn).unwrap_or(crate::as_path::AS_TRANS as u16);
        let [a0, a1] = asn.to_be_bytes();
        let [b0, b1, b2, b3] = bytes_per_second.to_be_bytes();
        ExtendedCommunity([kind, SUBTYPE_LINK_BANDWIDTH, a0, a1, b0, b1, b2, b3])
    }

    /// Octets per second, where this is a link bandwidth community that makes
    /// sense: a finite number that is not negative.
    pub fn as_link_bandwidth(&self) -> Option<f32> {
        let [kind, subtype, _, _, value @ ..] = self.0;
        let bandwidth = f32::from_be_bytes(value);
        let is_bandwidth = matches!(kind, TYPE_AS2 | TYPE_NON_TRANSITIVE)
            && subtype == SUBTYPE_LINK_BANDWIDTH
            && bandwidth.is_finite()
            && bandwidth >= 0.0;
        is_bandwidth.then_some(bandwidth)
    }

    /// Link bandwidth with an unsigned integer in place of the float, which is
    /// what some speakers read; any other community as it is.
    #[must_use]
    pub fn link_bandwidth_to_integer(self) -> ExtendedCommunity {
        let [kind, subtype, a0, a1, ..] = self.0;
        match self.as_link_bandwidth() {
            // As close as the integer comes.
            Some(bandwidth) => {
                let [b0, b1, b2, b3] = (bandwidth as u32).to_be_bytes();
                ExtendedCommunity([kind, subtype, a0, a1, b0, b1, b2, b3])
            }
            None => self,
        }
    }

    /// The way back from
    /// [`link_bandwidth_to_integer`](Self::link_bandwidth_to_integer).
    #[must_use]
    pub fn link_bandwidth_from_integer(self) -> ExtendedCommunity {
        let [kind, subtype, a0, a1, value @ ..] = self.0;
        match (kind, subtype) {
            (TYPE_AS2 | TYPE_NON_TRANSITIVE, SUBTYPE_LINK_BANDWIDTH) => {
                let [b0, b1, b2, b3] = (u32::from_be_bytes(value) as f32).to_be_bytes();
                ExtendedCommunity([kind, subtype, a0, a1, b0, b1, b2, b3])
            }
            _ => self,
        }
    }

    /// Whether it may leave the AS (RFC 4360 section 2: the T bit is clear).
    pub const fn is_transitive(&self) -> bool {
        let [kind, ..] = self.0;
        kind & 0x40 == 0
    }
}

impl Ipv6ExtendedCommunity {
    /// Whether it may leave the AS (RFC 5701 section 2: the T bit is clear).
    pub const fn is_transitive(&self) -> bool {
        let [kind, ..] = self.0;
        kind & 0x40 == 0
    }
}

/// Writes `65000:1`, `4200000000:1` or `192.0.2.1:1` by the type's format.
fn write_administrator(f: &mut fmt::Formatter<'_>, bytes: [u8; 8]) -> fmt::Result {
    let [kind, _, a0, a1, a2, a3, a4, a5] = bytes;
    match kind & 0x3f {
        TYPE_AS2 => write!(
            f,
            "{}:{}",
            u16::from_be_bytes([a0, a1]),
            u32::from_be_bytes([a2, a3, a4, a5])
        ),
        TYPE_IPV4 => write!(
            f,
            "{}:{}",
            Ipv4Addr::new(a0, a1, a2, a3),
            u16::from_be_bytes([a4, a5])
        ),
        _ => write!(
            f,
            "{}:{}",
            u32::from_be_bytes([a0, a1, a2, a3]),
            u16::from_be_bytes([a4, a5])
        ),
    }
}

/// Writes the rate in the unit that FRR picks: whole units, three zeros.
fn write_rate(f: &mut fmt::Formatter<'_>, bytes_per_second: u32) -> fmt::Result {
    const UNITS: [(u32, &str); 3] = [(125_000_000, "Gbps"), (125_000, "Mbps"), (125, "Kbps")];
    for (unit, name) in UNITS {
        if bytes_per_second >= unit {
            return write!(f, "({}.000 {name})", bytes_per_second / unit);
        }
    }
    write!(f, "({} bps)", bytes_per_second * 8)
}

impl fmt::Display for ExtendedCommunity {
    /// `RT:65000:1`, `SoO:192.0.2.1:7`, `LB:65000:12500000 (100.000 Mbps)`,
    /// `OVS:valid`, `Color:100`, `UNK:type, subtype` for the rest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kind, subtype, a0, a1, value @ ..] = self.0;
        match (kind, subtype) {
            (TYPE_AS2 | TYPE_IPV4 | TYPE_AS4, SUBTYPE_ROUTE_TARGET) => {
                f.write_str("RT:")?;
                write_administrator(f, self.0)
            }
            (TYPE_AS2 | TYPE_IPV4 | TYPE_AS4, SUBTYPE_ROUTE_ORIGIN) => {
                f.write_str("SoO:")?;
                write_administrator(f, self.0)
            }
            (TYPE_AS2 | TYPE_NON_TRANSITIVE, SUBTYPE_LINK_BANDWIDTH) => {
                let asn = u16::from_be_bytes([a0, a1]);
                let bandwidth = f32::from_be_bytes(value) as u32;
                write!(f, "LB:{asn}:{bandwidth} ")?;
                write_rate(f, bandwidth)
            }
            (TYPE_OPAQUE, SUBTYPE_COLOR) => write!(f, "Color:{}", u32::from_be_bytes(value)),
            (TYPE_NON_TRANSITIVE_OPAQUE, SUBTYPE_ORIGIN_VALIDATION) => {
                let [.., state] = value;
                f.write_str(match state {
                    0 => "OVS:valid",
                    1 => "OVS:not-found",
                    2 => "OVS:invalid",
                    _ => "OVS:unknown",
                })
            }
            _ => write!(f, "UNK:{kind}, {subtype}"),
        }
    }
}

impl FromStr for ExtendedCommunity {
    type Err = ParseCommunityError;

    /// Reads `RT:65000:1`, `SoO:192.0.2.1:7` and the like; the prefix is taken
    /// in any case.
    fn from_str(text: &str) -> Result<ExtendedCommunity, ParseCommunityError> {
        let error = || ParseCommunityError::new("extended community", text);
        let (kind, rest) = text.split_once(':').ok_or_else(error)?;
        let (admin, value) = rest.rsplit_once(':').ok_or_else(error)?;
        let subtype = match kind.to_ascii_lowercase().as_str() {
            "rt" => SUBTYPE_ROUTE_TARGET,
            "soo" => SUBTYPE_ROUTE_ORIGIN,
            _ => return Err(error()),
        };
        if let Ok(addr) = admin.parse::<Ipv4Addr>() {
            let value = decimal(value).ok_or_else(error)?;
            return Ok(Self::of_ipv4(subtype, addr, value));
        }
        let (asn, value) = decimal(admin).zip(decimal(value)).ok_or_else(error)?;
        Self::of_as(subtype, asn, value).ok_or_else(error)
    }
}

// ===== impl Ipv6ExtendedCommunity =====

impl fmt::Display for Ipv6ExtendedCommunity {
    /// `RT:2001:db8::1:7`, `SoO:...`, `UNK:type, subtype` for the rest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kind, subtype, middle @ .., v0, v1] = self.0;
        let addr = Ipv6Addr::from(middle);
        let value = u16::from_be_bytes([v0, v1]);
        match (kind, subtype) {
            (0, SUBTYPE_ROUTE_TARGET) => write!(f, "RT:{addr}:{value}"),
            (0, SUBTYPE_ROUTE_ORIGIN) => write!(f, "SoO:{addr}:{value}"),
            _ => write!(f, "UNK:{kind}, {subtype}"),
        }
    }
}
