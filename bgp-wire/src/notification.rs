//! NOTIFICATION (RFC 4271 section 4.5): typed codes, subcodes and data.

/// A NOTIFICATION. `code` and `subcode` are kept as numbers so that what a
/// peer sends can always be shown; [`ErrorCode`] and [`Cease`] name them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Notification {
    /// Error code.
    pub code: u8,
    /// Error subcode; 0 is "unspecific".
    pub subcode: u8,
    /// Data, what RFC 4271 section 6 asks for.
    pub data: Vec<u8>,
}

/// Error codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ErrorCode {
    /// Message Header Error.
    Header = 1,
    /// OPEN Message Error.
    Open = 2,
    /// UPDATE Message Error.
    Update = 3,
    /// Hold Timer Expired.
    HoldTimer = 4,
    /// Finite State Machine Error.
    Fsm = 5,
    /// Cease.
    Cease = 6,
    /// ROUTE-REFRESH Message Error (RFC 7313).
    RouteRefresh = 7,
    /// Send Hold Timer Expired (RFC 9687).
    SendHoldTimer = 8,
}

/// Cease subcodes (RFC 4486, RFC 8203, RFC 8538, RFC 9384).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cease {
    /// Maximum Number of Prefixes Reached.
    MaximumPrefixes = 1,
    /// Administrative Shutdown.
    AdministrativeShutdown = 2,
    /// Peer De-configured.
    PeerDeconfigured = 3,
    /// Administrative Reset.
    AdministrativeReset = 4,
    /// Connection Rejected.
    ConnectionRejected = 5,
    /// Other Configuration Change.
    OtherConfigurationChange = 6,
    /// Connection Collision Resolution.
    ConnectionCollision = 7,
    /// Out of Resources.
    OutOfResources = 8,
    /// Hard Reset (RFC 8538).
    HardReset = 9,
    /// BFD Down (RFC 9384).
    BfdDown = 10,
}
