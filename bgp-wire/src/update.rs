//! UPDATE (RFC 4271 section 4.3, RFC 4760) and ROUTE-REFRESH (RFC 2918, 7313).

use ipnet::{Ipv4Net, Ipv6Net};

use crate::attribute::{NextHop, PathAttributes};
use crate::family::{AfiSafi, Family};
use crate::fault::{Action, Fault};

/// A prefix with its path identifier (RFC 7911); 0 where add-path is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nlri<P> {
    /// Path identifier.
    pub path_id: u32,
    /// The prefix, host bits zero.
    pub prefix: P,
}

/// Prefixes of one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prefixes {
    /// IPv4 unicast.
    V4(Vec<Nlri<Ipv4Net>>),
    /// IPv6 unicast.
    V6(Vec<Nlri<Ipv6Net>>),
}

impl Prefixes {
    /// The family.
    pub const fn family(&self) -> Family {
        match self {
            Prefixes::V4(_) => Family::Ipv4Unicast,
            Prefixes::V6(_) => Family::Ipv6Unicast,
        }
    }

    /// Number of prefixes.
    pub fn len(&self) -> usize {
        match self {
            Prefixes::V4(list) => list.len(),
            Prefixes::V6(list) => list.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Moves the prefixes of another list of the same family to the end of
    /// this one; gives a list of another family back.
    pub(crate) fn append(&mut self, other: Prefixes) -> Option<Prefixes> {
        match (self, other) {
            (Prefixes::V4(list), Prefixes::V4(mut other)) => list.append(&mut other),
            (Prefixes::V6(list), Prefixes::V6(mut other)) => list.append(&mut other),
            (_, other) => return Some(other),
        }
        None
    }
}

/// Prefixes that are reachable by a next hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// NEXT_HOP, or that of MP_REACH_NLRI.
    pub next_hop: NextHop,
    /// The prefixes.
    pub prefixes: Prefixes,
}

/// A decoded UPDATE. Where a treat-as-withdraw error was found, the decoder has
/// already moved the announced prefixes into `withdrawn`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Update {
    /// Withdrawn prefixes, at most one list per family, IPv4 first: those of
    /// WITHDRAWN ROUTES, then of MP_UNREACH_NLRI.
    pub withdrawn: Vec<Prefixes>,
    /// Announced prefixes: MP_REACH_NLRI, then NLRI. To be applied after the
    /// withdrawals: a prefix in both is announced (RFC 4271 section 4.3).
    pub announced: Vec<Announcement>,
    /// The attributes that the announcements share; `next_hop` is none here.
    /// The default where nothing is announced.
    pub attributes: PathAttributes,
    /// Set when the message is an End-of-RIB marker (RFC 4724 section 2) of a
    /// family that was negotiated.
    pub end_of_rib: Option<Family>,
    /// What was wrong and yet is no reason to end the session (RFC 7606), in
    /// the order of the message. Not encoded.
    pub faults: Vec<Fault>,
}

impl Update {
    /// The End-of-RIB marker of a family.
    pub fn end_of_rib(family: Family) -> Update {
        Update {
            end_of_rib: Some(family),
            ..Update::default()
        }
    }

    /// The strongest action that was taken for an error, none without one.
    pub fn worst_action(&self) -> Option<Action> {
        self.faults.iter().map(|f| f.action).max()
    }

    /// Adds to the withdrawn prefixes, one list per family, IPv4 first.
    pub(crate) fn withdraw(&mut self, prefixes: Prefixes) {
        let mut left = Some(prefixes).filter(|p| !p.is_empty());
        for list in &mut self.withdrawn {
            left = left.and_then(|prefixes| list.append(prefixes));
        }
        if let Some(prefixes) = left {
            self.withdrawn.push(prefixes);
            self.withdrawn.sort_by_key(Prefixes::family);
        }
    }
}

/// The message subtype of RFC 7313.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RouteRefreshKind {
    /// 0: a request.
    Request,
    /// 1: beginning of a route refresh.
    Begin,
    /// 2: end of a route refresh.
    End,
    /// Any other: ignored by the receiver.
    Unknown(u8),
}

/// ROUTE-REFRESH.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RouteRefresh {
    /// The family, known to us or not.
    pub family: AfiSafi,
    /// What is asked or said.
    pub kind: RouteRefreshKind,
}
