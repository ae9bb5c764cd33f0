//! What the forwarding table is told.

use std::sync::Arc;

use bgp_wire::NextHop;
use ipnet::IpNet;

use crate::peer::PeerId;

/// Which distance applies to a route in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FibKind {
    /// The best path is external (FRR: distance 20).
    Ebgp,
    /// The best path is internal (FRR: distance 200).
    Ibgp,
    /// The best path is an aggregate of our own: packets that no contributor
    /// takes are dropped, or they would go round in circles (RFC 4632 section
    /// 5.1; FRR: distance 200).
    Aggregate,
}

/// One next hop of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FibNextHop {
    /// As received: for IPv6 both addresses, where the peer sent both.
    pub next_hop: NextHop,
    /// Where it means something, if not here: [`PeerInfo::imported`](crate::PeerInfo::imported).
    pub elsewhere: Option<u32>,
    /// The peer that it was learned from: tells the interface where the next
    /// hop is link-local.
    pub peer: PeerId,
    /// Share of the traffic relative to the others, 1 to 65535: 1 each, unless
    /// link bandwidth says otherwise.
    pub weight: u16,
}

/// A route to install. The set of next hops is sorted and without duplicates,
/// so two equal sets are equal values; equal values are one allocation inside
/// of the table, so a consumer may share next-hop objects by pointer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FibRoute {
    /// Where it is from.
    pub kind: FibKind,
    /// The best path's MED, 0 if it has none: FRR's metric of the route.
    pub metric: u32,
    /// The multipath set; empty for an aggregate, and for nothing else.
    pub next_hops: Vec<FibNextHop>,
}

/// The newest state of a prefix whose forwarding changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FibChange {
    /// The prefix.
    pub prefix: IpNet,
    /// What to install; none removes it.
    pub route: Option<Arc<FibRoute>>,
}

/// What became of a route that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FibAnswer {
    /// The kernel has it in the form asked for.
    Installed,
    /// Not in the kernel: a route of another origin is there.
    Foreign,
    /// Not in the kernel for another reason.
    Failed,
}

/// How far the best path of a prefix is on its way into the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forwarding {
    /// It was asked for in its present form, or is about to be, and the answer
    /// is not there.
    Awaited,
    /// The kernel has it.
    Installed,
    /// The kernel does not have it; peers are not told of it.
    Absent,
}
