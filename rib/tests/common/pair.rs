//! A table between two peers: one announces, the other is told.

use bgp_wire::PathAttributes;
use holdfast_rib::{PeerId, PeerInfo, Rib, RibConfig};

use super::{accept, announce, attributes, config, drain, external, net, sent, v4};

/// The prefix that most tests are about.
pub const PREFIX: &str = "203.0.113.0/24";

/// A table with a peer 1 that routes come from and a peer 2 that they go to.
pub fn between(from: PeerInfo, to: PeerInfo) -> Rib {
    joined(config(), from, to)
}

/// The same, of a table that is configured so.
pub fn joined(config: RibConfig, from: PeerInfo, to: PeerInfo) -> Rib {
    let mut rib = Rib::new(config);
    rib.peer_up(PeerId(1), from, accept());
    rib.peer_up(PeerId(2), to, accept());
    drain(&mut rib, 2);
    rib
}

/// What peer 2 is told of a route of peer 1.
pub fn passed(from: PeerInfo, to: PeerInfo, route: PathAttributes) -> Option<PathAttributes> {
    let mut rib = between(from, to);
    announce(&mut rib, 1, PREFIX, route);
    sent(&mut rib, 2)
}

pub fn from_external() -> PeerInfo {
    external(65001, "192.0.2.1")
}

pub fn route() -> PathAttributes {
    attributes(&[65001, 65010], "192.0.2.1")
}

/// An external peer that shares no subnet with anybody.
pub fn elsewhere() -> PeerInfo {
    PeerInfo {
        shared_subnets: vec![net("198.51.100.0/24")],
        local_v4: Some(v4("198.51.100.100")),
        ..external(65002, "198.51.100.2")
    }
}
