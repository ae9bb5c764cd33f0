//! What a scenario wants from the daemon, in no daemon's words.

use std::net::IpAddr;

use super::arena::{DAEMON_V4, DAEMON_V6, load_address};
use super::policies::Policy;

/// The daemon's AS.
pub const DAEMON_AS: u32 = 65000;
/// The AS of the load's session 0; each further session has the next.
pub const FIRST_LOAD_AS: u32 = 4_200_000_000;

/// How many next hops a route may have in [`Setup::kernel`].
pub const MAX_PATHS: u16 = 64;

/// One session of the load, as the daemon sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// Number of the session, from 0.
    pub index: u16,
    /// Its address.
    pub address: IpAddr,
    /// Its AS.
    pub asn: u32,
}

/// How the daemon is configured for a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// All neighbours; all of them are passive on the daemon's side.
    pub neighbors: Vec<Neighbor>,
    /// Sessions and routes are IPv6 instead of IPv4.
    pub ipv6: bool,
    /// Neighbours are internal, and clients of the daemon as route reflector.
    pub reflector: bool,
    /// Multiple paths per prefix are received and sent (RFC 7911).
    pub add_path: bool,
    /// What routes go through, if anything.
    pub policy: Option<Policy>,
    /// Routes are put into the kernel, each by way of all its best paths.
    pub kernel: bool,
    /// FRR's `coalesce-time`, milliseconds; its default if there is none.
    pub coalesce_ms: Option<u32>,
}

impl Setup {
    /// External IPv4 sessions without policy.
    pub fn external(sessions: u16) -> Self {
        Self::build(sessions, false, false)
    }

    /// External IPv6 sessions without policy.
    pub fn external_ipv6(sessions: u16) -> Self {
        Self::build(sessions, true, false)
    }

    /// Internal IPv4 sessions, clients of a route reflector.
    pub fn reflector(sessions: u16) -> Self {
        Self::build(sessions, false, true)
    }

    fn build(sessions: u16, ipv6: bool, reflector: bool) -> Self {
        let neighbors = (0..sessions)
            .map(|index| Neighbor {
                index,
                address: load_address(index, ipv6),
                asn: if reflector {
                    DAEMON_AS
                } else {
                    FIRST_LOAD_AS + u32::from(index)
                },
            })
            .collect();
        Self {
            neighbors,
            ipv6,
            reflector,
            add_path: false,
            policy: None,
            kernel: false,
            coalesce_ms: None,
        }
    }

    /// The daemon's address that the sessions go to.
    pub fn daemon_address(&self) -> IpAddr {
        if self.ipv6 {
            DAEMON_V6.into()
        } else {
            DAEMON_V4.into()
        }
    }
}
