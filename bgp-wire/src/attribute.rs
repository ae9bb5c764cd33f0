//! Path attributes (RFC 4271 section 5, and the RFCs that added to it).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::as_path::AsPath;
use crate::community::{Community, ExtendedCommunity, Ipv6ExtendedCommunity, LargeCommunity};

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
}

/// AGGREGATOR (RFC 4271 section 5.1.7), AS4_AGGREGATOR merged in (RFC 6793).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Aggregator {
    /// The AS that aggregated.
    pub asn: u32,
    /// The BGP identifier of the speaker that aggregated.
    pub id: Ipv4Addr,
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
    /// LARGE_COMMUNITY, code 32 (RFC 8092).
    pub large_communities: Vec<LargeCommunity>,
    /// Only to Customer, code 35 (RFC 9234 section 5): an AS number.
    pub only_to_customer: Option<u32>,
    /// Optional transitive attributes that are passed on unread, by code.
    pub unknown: Vec<RawAttribute>,
}
