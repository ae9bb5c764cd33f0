//! Prefixes as the generator holds them: octets and a length, either family.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// An address family whose unicast routes are generated.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4 unicast (AFI 1, SAFI 1).
    #[default]
    Ipv4,
    /// IPv6 unicast (AFI 2, SAFI 1).
    Ipv6,
}

impl Family {
    /// The address family identifier (RFC 4760 section 3).
    pub fn afi(self) -> u16 {
        match self {
            Self::Ipv4 => 1,
            Self::Ipv6 => 2,
        }
    }

    /// The longest prefix length.
    pub fn max_len(self) -> u8 {
        match self {
            Self::Ipv4 => 32,
            Self::Ipv6 => 128,
        }
    }
}

/// A prefix with host bits zero. An IPv4 prefix uses the first four octets.
/// 17 octets without padding, so that a table of millions stays small.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// The address, most significant octet first.
    pub octets: [u8; 16],
    /// The length in bits.
    pub len: u8,
}

impl Prefix {
    /// A prefix of the first `len` bits of `address`, whose most significant
    /// bit is bit 127 in both families.
    pub fn from_bits(address: u128, len: u8) -> Self {
        let mask = match len {
            0 => 0,
            _ => u128::MAX << (128 - u32::from(len.min(128))),
        };
        Self {
            octets: (address & mask).to_be_bytes(),
            len,
        }
    }

    /// An IPv4 prefix; host bits are cleared.
    pub fn v4(address: Ipv4Addr, len: u8) -> Self {
        Self::from_bits(u128::from(address.to_bits()) << 96, len)
    }

    /// An IPv6 prefix; host bits are cleared.
    pub fn v6(address: Ipv6Addr, len: u8) -> Self {
        Self::from_bits(address.to_bits(), len)
    }

    /// The address, left-aligned in 128 bits.
    pub fn bits(&self) -> u128 {
        u128::from_be_bytes(self.octets)
    }

    /// How many octets of address the NLRI has (RFC 4271 section 4.3).
    pub fn wire_octets(&self) -> usize {
        usize::from(self.len).div_ceil(8)
    }

    /// Appends the NLRI encoding.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.push(self.len);
        out.extend_from_slice(&self.octets[..self.wire_octets()]);
    }

    /// The prefix as text, read as one of `family`.
    pub fn display(&self, family: Family) -> String {
        match family {
            Family::Ipv4 => {
                let [a, b, c, d, ..] = self.octets;
                format!("{}/{}", Ipv4Addr::new(a, b, c, d), self.len)
            }
            Family::Ipv6 => format!("{}/{}", Ipv6Addr::from(self.octets), self.len),
        }
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv6Addr::from(self.octets), self.len)
    }
}
