//! Path attributes (RFC 4271 section 5, and the RFCs that added to it).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::as_path::AsPath;
use crate::community::{Community, ExtendedCommunity, Ipv6ExtendedCommunity, LargeCommunity};

/// Path attribute codes (IANA "BGP Path Attributes").
pub mod code {
    /// ORIGIN.
    pub const ORIGIN: u8 = 1;
    /// AS_PATH.
    pub const AS_PATH: u8 = 2;
    /// NEXT_HOP.
    pub const NEXT_HOP: u8 = 3;
    /// MULTI_EXIT_DISC.
    pub const MED: u8 = 4;
    /// LOCAL_PREF.
    pub const LOCAL_PREF: u8 = 5;
    /// ATOMIC_AGGREGATE.
    pub const ATOMIC_AGGREGATE: u8 = 6;
    /// AGGREGATOR.
    pub const AGGREGATOR: u8 = 7;
    /// COMMUNITIES.
    pub const COMMUNITIES: u8 = 8;
    /// ORIGINATOR_ID.
    pub const ORIGINATOR_ID: u8 = 9;
    /// CLUSTER_LIST.
    pub const CLUSTER_LIST: u8 = 10;
    /// MP_REACH_NLRI.
    pub const MP_REACH_NLRI: u8 = 14;
    /// MP_UNREACH_NLRI.
    pub const MP_UNREACH_NLRI: u8 = 15;
    /// EXTENDED COMMUNITIES.
    pub const EXTENDED_COMMUNITIES: u8 = 16;
    /// AS4_PATH.
    pub const AS4_PATH: u8 = 17;
    /// AS4_AGGREGATOR.
    pub const AS4_AGGREGATOR: u8 = 18;
    /// IPv6 Address Specific Extended Community.
    pub const IPV6_EXTENDED_COMMUNITIES: u8 = 25;
    /// AIGP, the accumulated IGP metric.
    pub const AIGP: u8 = 26;
    /// LARGE_COMMUNITY.
    pub const LARGE_COMMUNITIES: u8 = 32;
    /// Only to Customer (OTC).
    pub const ONLY_TO_CUSTOMER: u8 = 35;
}

/// Attribute flags (RFC 4271 section 4.3).
pub mod flag {
    /// Optional, else well-known.
    pub const OPTIONAL: u8 = 0x80;
    /// Transitive.
    pub const TRANSITIVE: u8 = 0x40;
    /// Partial: some speaker on the way did not know the attribute.
    pub const PARTIAL: u8 = 0x20;
    /// The length has two octets.
    pub const EXTENDED_LENGTH: u8 = 0x10;
}

pub use crate::attribute_table::code_name;

/// Which of the optional transitive attributes that we interpret came with the
/// Partial bit: "once the Partial bit has been set to 1, it MUST NOT be set
/// back to 0" (RFC 4271 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PartialBits(u8);

impl PartialBits {
    const fn bit(attribute: u8) -> u8 {
        match attribute {
            code::AGGREGATOR => 0x01,
            code::COMMUNITIES => 0x02,
            code::EXTENDED_COMMUNITIES => 0x04,
            code::IPV6_EXTENDED_COMMUNITIES => 0x08,
            code::LARGE_COMMUNITIES => 0x10,
            code::ONLY_TO_CUSTOMER => 0x20,
            _ => 0,
        }
    }

    /// Whether the attribute of this code came with the Partial bit.
    pub const fn contains(self, attribute: u8) -> bool {
        self.0 & Self::bit(attribute) != 0
    }

    /// Notes the Partial bit of an attribute; of no effect for those that
    /// cannot have it.
    pub const fn insert(&mut self, attribute: u8) {
        self.0 |= Self::bit(attribute);
    }

    /// Forgets the bit: the attribute is made anew here.
    pub const fn remove(&mut self, attribute: u8) {
        self.0 &= !Self::bit(attribute);
    }
}

/// ORIGIN (RFC 4271 section 5.1.1); lower is preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Origin {
    /// Interior to the originating AS.
    Igp = 0,
    /// Learned by EGP.
    Egp = 1,
    /// Learned by other means.
    #[default]
    Incomplete = 2,
}

impl Origin {
    /// The origin of a value on the wire.
    pub const fn from_wire(value: u8) -> Option<Origin> {
        match value {
            0 => Some(Origin::Igp),
            1 => Some(Origin::Egp),
            2 => Some(Origin::Incomplete),
            _ => None,
        }
    }
}

/// Where to send packets for a route: NEXT_HOP, or the next hop field of
/// MP_REACH_NLRI (RFC 2545, RFC 8950).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NextHop {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, with the link-local one beside it where the
    /// speakers share a subnet (RFC 2545 section 3). `global` may itself be
    /// link-local when a peer sends nothing else.
    V6 {
        /// The first (usually global) address.
        global: Ipv6Addr,
        /// The link-local address.
        link_local: Option<Ipv6Addr>,
    },
}

impl NextHop {
    /// The address that packets are sent by: the link-local one if present is
    /// *not* chosen here; the caller knows whether the subnet is shared.
    pub const fn addr(self) -> IpAddr {
        match self {
            NextHop::V4(addr) => IpAddr::V4(addr),
            NextHop::V6 { global, .. } => IpAddr::V6(global),
        }
    }

    /// Whether the address can be that of a host: not of 0/8, 127/8, or from
    /// 224.0.0.0 on; not `::`, `::1`, or multicast.
    pub const fn is_host(self) -> bool {
        match self.addr() {
            IpAddr::V4(addr) => {
                let [first, ..] = addr.octets();
                !matches!(first, 0 | 127 | 224..)
            }
            IpAddr::V6(addr) => {
                !addr.is_unspecified() && !addr.is_loopback() && !addr.is_multicast()
            }
        }
    }
}

/// AGGREGATOR (RFC 4271 section 5.1.7), AS4_AGGREGATOR merged in (RFC 6793).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Aggregator {
    /// The AS that aggregated.
    pub asn: u32,
    /// The BGP identifier of the speaker that aggregated.
    pub id: Ipv4Addr,
}

/// AIGP, the accumulated IGP metric (RFC 7311 section 3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Aigp {
    /// The value of the first AIGP TLV, the only one that says anything: what
    /// it costs to get from the next hop to the destination, in the units of
    /// the IGPs on the way.
    pub metric: u64,
    /// The TLVs beside it, with their headers and in their order: further AIGP
    /// TLVs and those of other types are passed along unread.
    pub others: Vec<u8>,
}

impl Aigp {
    /// The type of an AIGP TLV.
    pub const TLV: u8 = 1;
    /// Octets of an AIGP TLV with its header.
    pub const TLV_LEN: u16 = 11;

    /// An attribute of one TLV.
    pub const fn new(metric: u64) -> Aigp {
        Aigp {
            metric,
            others: Vec::new(),
        }
    }
}

/// An attribute that this speaker does not interpret, as it came.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RawAttribute {
    /// Flags as on the wire without the extended-length bit; for an unknown
    /// transitive attribute the Partial bit is set when it is passed on.
    pub flags: u8,
    /// Type code.
    pub code: u8,
    /// Value.
    pub value: Vec<u8>,
}

/// The attributes of a route, typed. What MP_REACH_NLRI and MP_UNREACH_NLRI
/// carry besides the next hop belongs to the message, not to the route.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct PathAttributes {
    /// ORIGIN, code 1.
    pub origin: Origin,
    /// AS_PATH, code 2, with AS4_PATH (17) merged in.
    pub as_path: AsPath,
    /// NEXT_HOP, code 3, or MP_REACH_NLRI's next hop.
    pub next_hop: Option<NextHop>,
    /// MULTI_EXIT_DISC, code 4.
    pub med: Option<u32>,
    /// LOCAL_PREF, code 5.
    pub local_pref: Option<u32>,
    /// ATOMIC_AGGREGATE, code 6.
    pub atomic_aggregate: bool,
    /// AGGREGATOR, code 7, with AS4_AGGREGATOR (18) merged in.
    pub aggregator: Option<Aggregator>,
    /// COMMUNITIES, code 8 (RFC 1997), in the order received.
    pub communities: Vec<Community>,
    /// ORIGINATOR_ID, code 9 (RFC 4456).
    pub originator_id: Option<Ipv4Addr>,
    /// CLUSTER_LIST, code 10 (RFC 4456), nearest first.
    pub cluster_list: Vec<Ipv4Addr>,
    /// EXTENDED COMMUNITIES, code 16 (RFC 4360).
    pub extended_communities: Vec<ExtendedCommunity>,
    /// IPv6 Address Specific Extended Community, code 25 (RFC 5701).
    pub ipv6_extended_communities: Vec<Ipv6ExtendedCommunity>,
    /// AIGP, code 26 (RFC 7311). Not transitive: whoever passes the route on
    /// decides whether the receiver may have it (section 3.3).
    pub aigp: Option<Aigp>,
    /// LARGE_COMMUNITY, code 32 (RFC 8092).
    pub large_communities: Vec<LargeCommunity>,
    /// Only to Customer, code 35 (RFC 9234 section 5): an AS number.
    pub only_to_customer: Option<u32>,
    /// Optional transitive attributes that are passed on unread, by code.
    pub unknown: Vec<RawAttribute>,
    /// Which of the attributes above came with the Partial bit.
    pub partial: PartialBits,
}
