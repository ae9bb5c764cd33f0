//! What the table knows of a peer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bgp_wire::{Family, FamilySet, PeerKind};
use ipnet::IpNet;

/// A peer's number. The caller hands them out, small and dense: they index
/// vectors. The last tie-break of the decision is the lower number, so a peer
/// should keep its number as long as it is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub u32);

/// How often our own AS may stand in a received path before it is a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AllowAsIn {
    /// So many times; 0 is never.
    Times(u8),
    /// As often as it likes where it is the origin, else never.
    Origin,
}

/// Which paths a peer that takes several gets (RFC 7911).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddPathSend {
    /// The best one.
    Best,
    /// All that are valid.
    All,
    /// The best of each neighbouring AS.
    BestPerAs,
}

/// Kinds of communities (FRR's `send-community`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommunityKinds {
    /// RFC 1997.
    pub standard: bool,
    /// RFC 4360, and those of IPv6 addresses (RFC 5701).
    pub extended: bool,
    /// RFC 8092.
    pub large: bool,
}

impl CommunityKinds {
    /// All of them.
    pub const ALL: CommunityKinds = CommunityKinds {
        standard: true,
        extended: true,
        large: true,
    };

    /// None of them.
    pub const NONE: CommunityKinds = CommunityKinds {
        standard: false,
        extended: false,
        large: false,
    };
}

/// What is said about a peer for one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerFamily {
    /// Weight of the peer's paths where the policy sets none.
    pub weight: u32,
    /// How often our own AS may stand in a received path.
    pub allow_as_in: AllowAsIn,
    /// Which paths the peer gets, where it takes several.
    pub add_path: AddPathSend,
    /// The next hop of what was learned stays as it came, where the peer can
    /// use it, whatever the rules say.
    pub next_hop_unchanged: bool,
    /// Which communities the peer gets; the others are taken off after export
    /// policy has seen them.
    pub send_communities: CommunityKinds,
}

impl PeerFamily {
    /// No knob set.
    pub const PLAIN: PeerFamily = PeerFamily {
        weight: 0,
        allow_as_in: AllowAsIn::Times(0),
        add_path: AddPathSend::Best,
        next_hop_unchanged: false,
        send_communities: CommunityKinds::ALL,
    };
}

/// A peer as its session came up. Plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerInfo {
    /// eBGP, iBGP, or another member AS of our confederation.
    pub kind: PeerKind,
    /// The peer's AS.
    pub remote_as: u32,
    /// The AS we present to this peer. Where an external peer sees another one
    /// than [`RibConfig::outer_as`](crate::RibConfig::outer_as), both are
    /// prepended towards it, this one outermost.
    pub local_as: u32,
    /// Prepend only [`local_as`](Self::local_as), never the table's own AS.
    pub replace_as: bool,
    /// The peer's BGP identifier.
    pub router_id: Ipv4Addr,
    /// The address the session runs to.
    pub address: IpAddr,
    /// Our IPv4 address towards the peer, for next-hop-self.
    pub local_v4: Option<Ipv4Addr>,
    /// Our global IPv6 address towards the peer, for next-hop-self.
    pub local_v6: Option<Ipv6Addr>,
    /// Our link-local address on the interface shared with the peer; none
    /// where no interface is shared.
    pub local_link_local: Option<Ipv6Addr>,
    /// Subnets of the interface shared with the peer: a next hop inside of one
    /// may be passed on to an external peer (RFC 4271 section 5.1.3).
    pub shared_subnets: Vec<IpNet>,
    /// The families negotiated.
    pub families: FamilySet,
    /// Families in which an IPv4 prefix may have an IPv6 next hop (RFC 8950).
    pub extended_next_hop: FamilySet,
    /// Families in which our address becomes the next hop of all routes but
    /// reflected ones.
    pub next_hop_self: FamilySet,
    /// The same for reflected routes too.
    pub next_hop_self_force: FamilySet,
    /// Families in which an external peer is a client of our route server
    /// (RFC 7947): next hop, AS path and MED stay untouched. Where its export
    /// policy [may deny](crate::Policy::export_may_deny) paths, the client is
    /// told the best of those that it could be told.
    pub route_server_client: FamilySet,
    /// Families in which an internal peer is a client of our route reflector
    /// (RFC 4456).
    pub reflector_client: FamilySet,
    /// What is said about the peer for IPv4 unicast.
    pub ipv4: PeerFamily,
    /// What is said about the peer for IPv6 unicast.
    pub ipv6: PeerFamily,
    /// The peer in another AS may be several hops away: its next hops need to be
    /// resolvable only, not connected.
    pub ebgp_multihop: bool,
    /// An external peer is in our AIGP administrative domain: AIGP_SESSION
    /// (RFC 7311 section 3.3). All others are in any case.
    pub aigp: bool,
    /// The peer writes and reads link bandwidth as an integer, not as a float.
    pub integer_bandwidth: bool,
    /// This is no peer of ours but one of another table, from which routes are
    /// taken over: they were judged there, next hops included, and nothing is
    /// announced back. What else is said here is that of the other table's peer.
    /// A number of the caller's for where its next hops mean something.
    pub imported: Option<u32>,
    /// What else tells peers apart that cannot read the same messages: a
    /// number of the caller's, equal for those whose sessions negotiated the
    /// same encoding.
    pub encoding: u32,
}

impl PeerInfo {
    /// A peer without knobs or addresses of ours, for both unicast families.
    pub fn new(kind: PeerKind, local_as: u32, remote_as: u32, address: IpAddr) -> PeerInfo {
        PeerInfo {
            kind,
            remote_as,
            local_as,
            replace_as: false,
            router_id: match address {
                IpAddr::V4(v4) => v4,
                IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
            },
            address,
            local_v4: None,
            local_v6: None,
            local_link_local: None,
            shared_subnets: Vec::new(),
            families: Family::ALL.into_iter().collect(),
            extended_next_hop: FamilySet::EMPTY,
            next_hop_self: FamilySet::EMPTY,
            next_hop_self_force: FamilySet::EMPTY,
            route_server_client: FamilySet::EMPTY,
            reflector_client: FamilySet::EMPTY,
            ipv4: PeerFamily::PLAIN,
            ipv6: PeerFamily::PLAIN,
            ebgp_multihop: false,
            aigp: false,
            integer_bandwidth: false,
            imported: None,
            encoding: 0,
        }
    }

    /// Whether nothing differs but what our side of the link is.
    pub(crate) fn differs_on_our_side_only(&self, other: &PeerInfo) -> bool {
        let alike = PeerInfo {
            local_v4: other.local_v4,
            local_v6: other.local_v6,
            local_link_local: other.local_link_local,
            shared_subnets: other.shared_subnets.clone(),
            ..self.clone()
        };
        alike == *other
    }

    /// Our addresses of which the peer may name one as next hop in a family.
    pub(crate) fn own_addresses(&self, family: Family) -> [Option<IpAddr>; 3] {
        let v6 = family == Family::Ipv6Unicast || self.extended_next_hop.contains(family);
        let of_v6 = |address: Option<Ipv6Addr>| address.filter(|_| v6).map(IpAddr::V6);
        [
            self.local_v4.map(IpAddr::V4),
            of_v6(self.local_v6),
            of_v6(self.local_link_local),
        ]
    }

    /// What is said about the peer for a family.
    pub const fn family(&self, family: Family) -> &PeerFamily {
        match family {
            Family::Ipv4Unicast => &self.ipv4,
            Family::Ipv6Unicast => &self.ipv6,
        }
    }

    /// Whether the peer is in another AS, and outside of our confederation.
    pub fn is_external(&self) -> bool {
        self.kind == PeerKind::External
    }

    /// Whether AIGP is accepted from the peer and sent to it.
    pub fn takes_aigp(&self) -> bool {
        self.aigp || self.imported.is_some() || !self.is_external()
    }

    /// Whether the peer is in our AS; in a confederation, in our member AS.
    pub fn is_internal(&self) -> bool {
        self.kind == PeerKind::Internal
    }
}
