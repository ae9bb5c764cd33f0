//! Why a session ended, in the words and numbers that operators know.

use std::time::Instant;

use bgp_wire::Notification;

/// Which way a NOTIFICATION went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the peer.
    Received,
    /// To the peer.
    Sent,
}

/// Why a session, or an attempt at one, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResetCause {
    /// Our router id changed.
    RouterIdChanged,
    /// The peer's configured AS changed.
    RemoteAsChanged,
    /// Our AS towards the peer changed.
    LocalAsChanged,
    /// The route reflector's cluster id changed.
    ClusterIdChanged,
    /// The confederation identifier changed.
    ConfederationIdChanged,
    /// The list of confederation members changed.
    ConfederationPeerChanged,
    /// Route reflector client or not.
    ReflectorClientChanged,
    /// Route server client or not.
    RouteServerClientChanged,
    /// The local address changed.
    UpdateSourceChanged,
    /// An address family was activated or deactivated.
    FamilyActivated,
    /// Shut down by the operator.
    AdminShutdown,
    /// `clear bgp`.
    UserReset,
    /// The peer sent a NOTIFICATION.
    NotificationReceived,
    /// We found an error and sent a NOTIFICATION.
    NotificationSent,
    /// The peer closed the connection, or it broke.
    PeerClosed,
    /// The peer was deleted.
    NeighborDeleted,
    /// The peer joined a peer group.
    PeerGroupJoined,
    /// The peer left a peer group.
    PeerGroupLeft,
    /// What we announce as capabilities changed.
    CapabilityChanged,
    /// Passive or not.
    PassiveChanged,
    /// eBGP multihop, or TTL security.
    MultihopChanged,
    /// The peer restarted: a new connection came while the session was up
    /// (RFC 4724 section 5).
    PeerRestarted,
    /// BFD (RFC 9384).
    BfdDown,
    /// The interface went down.
    InterfaceDown,
    /// The peer's address is not on the interface any more.
    NeighborAddressLost,
    /// The peer's address is not reachable.
    WaitingForNextHop,
    /// Unnumbered: the peer's link-local address is not known.
    WaitingForPeerAddress,
    /// No address family is active.
    NoFamily,
    /// AS_SET rejection changed.
    AsSetsChanged,
    /// The connection ended before the peer's OPEN came.
    WaitingForOpen,
    /// Too many prefixes.
    MaximumPrefixes,
    /// The system refused the connection.
    SocketError,
    /// The peer was silent for the hold time.
    HoldTimerExpired,
    /// The peer took no data for the send hold time (RFC 9687).
    SendHoldTimerExpired,
    /// The other of two connections won (RFC 4271 section 6.8).
    Collision,
    /// We restart gracefully.
    GracefulStop,
}

impl ResetCause {
    /// The number that FRR shows as `lastResetCode`. Causes that FRR does not
    /// tell apart have the number of the one it would show.
    pub const fn frr_code(self) -> u8 {
        match self {
            ResetCause::RouterIdChanged => 1,
            ResetCause::RemoteAsChanged => 2,
            ResetCause::LocalAsChanged => 3,
            ResetCause::ClusterIdChanged => 4,
            ResetCause::ConfederationIdChanged => 5,
            ResetCause::ConfederationPeerChanged => 6,
            ResetCause::ReflectorClientChanged => 7,
            ResetCause::RouteServerClientChanged => 8,
            ResetCause::UpdateSourceChanged => 9,
            ResetCause::FamilyActivated => 10,
            ResetCause::AdminShutdown => 11,
            ResetCause::UserReset => 12,
            ResetCause::NotificationReceived => 13,
            ResetCause::NotificationSent
            | ResetCause::HoldTimerExpired
            | ResetCause::SendHoldTimerExpired
            | ResetCause::Collision => 14,
            ResetCause::PeerClosed | ResetCause::GracefulStop => 15,
            ResetCause::NeighborDeleted => 16,
            ResetCause::PeerGroupJoined => 17,
            ResetCause::PeerGroupLeft => 18,
            ResetCause::CapabilityChanged => 19,
            ResetCause::PassiveChanged => 20,
            ResetCause::MultihopChanged => 21,
            ResetCause::PeerRestarted => 22,
            ResetCause::BfdDown => 24,
            ResetCause::InterfaceDown => 25,
            ResetCause::NeighborAddressLost => 26,
            ResetCause::WaitingForNextHop => 27,
            ResetCause::WaitingForPeerAddress => 28,
            ResetCause::NoFamily => 30,
            ResetCause::AsSetsChanged => 31,
            ResetCause::WaitingForOpen => 32,
            ResetCause::MaximumPrefixes => 33,
            ResetCause::SocketError => 34,
        }
    }

    /// The words that FRR shows as `lastResetDueTo`.
    pub const fn frr_words(self) -> &'static str {
        match self.frr_code() {
            1 => "Router ID changed",
            2 => "Remote AS changed",
            3 => "Local AS change",
            4 => "Cluster ID changed",
            5 => "Confederation identifier changed",
            6 => "Confederation peer changed",
            7 => "RR client config change",
            8 => "RS client config change",
            9 => "Update source change",
            10 => "Address family activated",
            11 => "Admin. shutdown",
            12 => "User reset",
            13 => "BGP Notification received",
            14 => "BGP Notification send",
            15 => "Peer closed the session",
            16 => "Neighbor deleted",
            17 => "Peer-group add member",
            18 => "Peer-group delete member",
            19 => "Capability changed",
            20 => "Passive config change",
            21 => "Multihop config change",
            22 => "NSF peer closed the session",
            24 => "BFD down received",
            25 => "Interface down",
            26 => "Neighbor address lost",
            27 => "Waiting for NHT",
            28 => "Waiting for Peer IPv6 LLA",
            30 => "No AFI/SAFI activated for peer",
            31 => "AS Set config change",
            32 => "Waiting for peer OPEN",
            33 => "Reached received prefix count",
            _ => "Socket Error",
        }
    }

    /// Our own words, which tell more causes apart.
    pub const fn words(self) -> &'static str {
        match self {
            ResetCause::HoldTimerExpired => "Hold Timer Expired",
            ResetCause::SendHoldTimerExpired => "Send Hold Timer Expired",
            ResetCause::Collision => "Connection collision",
            ResetCause::GracefulStop => "Graceful restart",
            _ => self.frr_words(),
        }
    }
}

/// Why a session went down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownReason {
    /// The cause.
    pub cause: ResetCause,
    /// The NOTIFICATION that went with it.
    pub notification: Option<(Direction, Notification)>,
    /// The peer's routes are to be kept as stale: both ends did graceful
    /// restart, and the session ended in a way that RFC 4724 or RFC 8538
    /// covers. For how long is in the session's `Negotiated`.
    pub keep_routes: bool,
}

/// The last time that the peer was reset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastReset {
    /// When.
    pub when: Instant,
    /// Why.
    pub cause: ResetCause,
    /// The NOTIFICATION that went with it.
    pub notification: Option<(Direction, Notification)>,
    /// The system's or our words; may be empty.
    pub detail: String,
}
