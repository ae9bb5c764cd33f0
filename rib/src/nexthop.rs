//! Next-hop tracking: which addresses are in use, and what is known of them.

use std::net::IpAddr;

/// What the table asks of whoever knows the routes to next hops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackEvent {
    /// Report the state of this address, now and whenever it changes, through
    /// [`Rib::next_hop_changed`](crate::Rib::next_hop_changed).
    Track(IpAddr),
    /// No path needs this address any more.
    Untrack(IpAddr),
}

/// How a next hop is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NextHopState {
    /// Metric of the route that resolves it; lower is nearer.
    pub metric: u32,
    /// It lies on a connected subnet.
    pub connected: bool,
}
