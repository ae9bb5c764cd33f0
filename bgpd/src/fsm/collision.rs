//! Connection collision detection (RFC 4271 section 6.8, RFC 6286 section 2.3).
//!
//! The comparison looks at who opened a connection, not at which is older, so
//! both ends come to the same answer in whatever order the OPENs arrive.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::ids::Role;

/// Until this time after the session came up, another OPEN is the late half of
/// a collision. After it, the peer cannot know of the session any more: an end
/// that is Established opens no connection.
pub(super) const COLLISION_WINDOW: Duration = Duration::from_secs(10);

/// One end of a connection, as its OPEN tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Speaker {
    pub(super) bgp_id: Ipv4Addr,
    pub(super) asn: u32,
}

/// Of two connections in OpenConfirm, the one to keep: that which was opened by
/// the end with the higher identifier, or with the larger AS where the
/// identifiers are the same.
pub(super) fn winner(local: Speaker, remote: Speaker) -> Role {
    // The order of the fields makes the comparison.
    if local > remote {
        Role::Outbound
    } else {
        Role::Inbound
    }
}
