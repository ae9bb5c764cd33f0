//! Capabilities (RFC 5492).

use crate::family::AfiSafi;

/// What ADD-PATH (RFC 7911) offers for a family; the value on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AddPathMode {
    /// Able to receive.
    Receive = 1,
    /// Able to send.
    Send = 2,
    /// Both.
    Both = 3,
}

/// Graceful Restart (RFC 4724, RFC 8538).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct GracefulRestart {
    /// R: the sender has restarted.
    pub restarting: bool,
    /// N: NOTIFICATION keeps the routes too (RFC 8538).
    pub notification: bool,
    /// Seconds until the session is expected back, 0 to 4095.
    pub restart_time_secs: u16,
    /// Families, each with its F bit (forwarding state preserved).
    pub families: Vec<(AfiSafi, bool)>,
}

/// A family's part of the Long-Lived Graceful Restart capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LongLivedFamily {
    /// The family.
    pub family: AfiSafi,
    /// F: forwarding state was preserved.
    pub forwarding_preserved: bool,
    /// Seconds for which stale routes are kept, 0 to 16,777,215.
    pub stale_time_secs: u32,
}

/// The BGP role of a speaker (RFC 9234 section 4.1); the value on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Role {
    /// Provider.
    Provider = 0,
    /// Route server.
    RouteServer = 1,
    /// Route server client.
    RouteServerClient = 2,
    /// Customer.
    Customer = 3,
    /// Peer.
    Peer = 4,
}

/// One capability.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Capability {
    /// 1, RFC 4760.
    Multiprotocol(AfiSafi),
    /// 2, RFC 2918.
    RouteRefresh,
    /// 5, RFC 8950: (NLRI family, next-hop AFI).
    ExtendedNextHop(Vec<(AfiSafi, u16)>),
    /// 6, RFC 8654.
    ExtendedMessage,
    /// 9, RFC 9234.
    Role(Role),
    /// 64, RFC 4724.
    GracefulRestart(GracefulRestart),
    /// 65, RFC 6793.
    FourOctetAs(u32),
    /// 69, RFC 7911.
    AddPath(Vec<(AfiSafi, AddPathMode)>),
    /// 70, RFC 7313.
    EnhancedRouteRefresh,
    /// 71, RFC 9494.
    LongLivedGracefulRestart(Vec<LongLivedFamily>),
    /// 73, draft-walton-bgp-hostname-capability: host and domain name.
    Fqdn {
        /// Host name.
        hostname: String,
        /// Domain name, may be empty.
        domain: String,
    },
    /// Any other, as it came.
    Unknown {
        /// Capability code.
        code: u8,
        /// Value.
        value: Vec<u8>,
    },
}
