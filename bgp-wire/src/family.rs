//! Address families: the numbers on the wire, the families this speaker
//! implements, and the trait that lets one generic code path serve them all.

use core::fmt;
use core::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::update::{Nlri, Prefixes};

/// An (AFI, SAFI) pair as it stands on the wire (RFC 4760), known or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AfiSafi {
    /// Address family identifier (IANA "Address Family Numbers").
    pub afi: u16,
    /// Subsequent address family identifier.
    pub safi: u8,
}

impl AfiSafi {
    /// IPv4 unicast, 1/1.
    pub const IPV4_UNICAST: AfiSafi = AfiSafi { afi: 1, safi: 1 };
    /// IPv6 unicast, 2/1.
    pub const IPV6_UNICAST: AfiSafi = AfiSafi { afi: 2, safi: 1 };
}

/// A family whose routes this speaker carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4 unicast.
    Ipv4Unicast,
    /// IPv6 unicast.
    Ipv6Unicast,
}

impl Family {
    /// Every family, in the order in which they are shown and announced.
    pub const ALL: [Family; 2] = [Family::Ipv4Unicast, Family::Ipv6Unicast];

    /// The pair on the wire.
    pub const fn afi_safi(self) -> AfiSafi {
        match self {
            Family::Ipv4Unicast => AfiSafi::IPV4_UNICAST,
            Family::Ipv6Unicast => AfiSafi::IPV6_UNICAST,
        }
    }

    /// The family of a pair on the wire, or none where it is not implemented.
    pub const fn from_afi_safi(pair: AfiSafi) -> Option<Family> {
        match (pair.afi, pair.safi) {
            (1, 1) => Some(Family::Ipv4Unicast),
            (2, 1) => Some(Family::Ipv6Unicast),
            _ => None,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Ipv4Unicast => "IPv4 Unicast",
            Family::Ipv6Unicast => "IPv6 Unicast",
        })
    }
}

/// A set of [`Family`] values, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FamilySet(u8);

impl FamilySet {
    /// No family.
    pub const EMPTY: FamilySet = FamilySet(0);

    const fn bit(family: Family) -> u8 {
        1 << family as u8
    }

    /// Whether the family is in the set.
    pub const fn contains(self, family: Family) -> bool {
        self.0 & Self::bit(family) != 0
    }

    /// Puts the family into the set.
    pub const fn insert(&mut self, family: Family) {
        self.0 |= Self::bit(family);
    }

    /// Takes the family out of the set.
    pub const fn remove(&mut self, family: Family) {
        self.0 &= !Self::bit(family);
    }

    /// Whether no family is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The families in both sets.
    pub const fn intersection(self, other: FamilySet) -> FamilySet {
        FamilySet(self.0 & other.0)
    }

    /// The families in one of the sets.
    pub const fn union(self, other: FamilySet) -> FamilySet {
        FamilySet(self.0 | other.0)
    }

    /// The families in the set, in the order of [`Family::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Family> {
        Family::ALL.into_iter().filter(move |f| self.contains(*f))
    }
}

impl FromIterator<Family> for FamilySet {
    fn from_iter<I: IntoIterator<Item = Family>>(iter: I) -> Self {
        let mut set = FamilySet::EMPTY;
        for family in iter {
            set.insert(family);
        }
        set
    }
}

/// What generic code needs to know of a family. Its prefixes are family-typed,
/// because [`IpNet`] is 18 bytes and an [`Ipv4Net`] is 5.
pub trait AddressFamily: Copy + fmt::Debug + Eq + Hash + Send + Sync + 'static {
    /// The prefix type. Host bits are always zero ("truncated").
    type Prefix: Copy + Eq + Ord + Hash + fmt::Debug + fmt::Display + Into<IpNet> + Send + Sync;
    /// The family's value form.
    const FAMILY: Family;
    /// Bits of an address.
    const MAX_LEN: u8;

    /// The prefix of this family inside a generic one, truncated.
    fn prefix(net: IpNet) -> Option<Self::Prefix>;
    /// First address of a prefix.
    fn network(prefix: &Self::Prefix) -> IpAddr;
    /// Length of a prefix in bits.
    fn prefix_len(prefix: &Self::Prefix) -> u8;
    /// The prefix of the leading octets of an address and a length in bits,
    /// truncated; none where the length is more than [`Self::MAX_LEN`]. Octets
    /// that are missing are zero.
    fn from_wire(octets: &[u8], len: u8) -> Option<Self::Prefix>;
    /// The first address in network order, padded with zeros.
    fn octets(prefix: &Self::Prefix) -> [u8; 16];
    /// The list with its family as a value.
    fn wrap(prefixes: Vec<Nlri<Self::Prefix>>) -> Prefixes;
}

/// IPv4 unicast as a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct V4;

/// IPv6 unicast as a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct V6;

impl AddressFamily for V4 {
    type Prefix = Ipv4Net;
    const FAMILY: Family = Family::Ipv4Unicast;
    const MAX_LEN: u8 = 32;

    fn prefix(net: IpNet) -> Option<Ipv4Net> {
        match net {
            IpNet::V4(net) => Some(net.trunc()),
            IpNet::V6(_) => None,
        }
    }

    fn network(prefix: &Ipv4Net) -> IpAddr {
        prefix.network().into()
    }

    fn prefix_len(prefix: &Ipv4Net) -> u8 {
        prefix.prefix_len()
    }

    fn from_wire(octets: &[u8], len: u8) -> Option<Ipv4Net> {
        let address = match *octets {
            [] => [0; 4],
            [a] => [a, 0, 0, 0],
            [a, b] => [a, b, 0, 0],
            [a, b, c] => [a, b, c, 0],
            [a, b, c, d, ..] => [a, b, c, d],
        };
        let mask = u32::MAX
            .checked_shl(32 - u32::from(len.min(32)))
            .unwrap_or(0);
        let address = u32::from_be_bytes(address) & mask;
        Ipv4Net::new(Ipv4Addr::from(address), len).ok()
    }

    fn octets(prefix: &Ipv4Net) -> [u8; 16] {
        let [a, b, c, d] = prefix.network().octets();
        [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    }

    fn wrap(prefixes: Vec<Nlri<Ipv4Net>>) -> Prefixes {
        Prefixes::V4(prefixes)
    }
}

impl AddressFamily for V6 {
    type Prefix = Ipv6Net;
    const FAMILY: Family = Family::Ipv6Unicast;
    const MAX_LEN: u8 = 128;

    fn prefix(net: IpNet) -> Option<Ipv6Net> {
        match net {
            IpNet::V6(net) => Some(net.trunc()),
            IpNet::V4(_) => None,
        }
    }

    fn network(prefix: &Ipv6Net) -> IpAddr {
        prefix.network().into()
    }

    fn prefix_len(prefix: &Ipv6Net) -> u8 {
        prefix.prefix_len()
    }

    fn from_wire(octets: &[u8], len: u8) -> Option<Ipv6Net> {
        let address = match octets.first_chunk() {
            Some(address) => *address,
            None => {
                let mut address = [0; 16];
                address.get_mut(..octets.len())?.copy_from_slice(octets);
                address
            }
        };
        let mask = u128::MAX
            .checked_shl(128 - u32::from(len.min(128)))
            .unwrap_or(0);
        let address = u128::from_be_bytes(address) & mask;
        Ipv6Net::new(Ipv6Addr::from(address), len).ok()
    }

    fn octets(prefix: &Ipv6Net) -> [u8; 16] {
        prefix.network().octets()
    }

    fn wrap(prefixes: Vec<Nlri<Ipv6Net>>) -> Prefixes {
        Prefixes::V6(prefixes)
    }
}
