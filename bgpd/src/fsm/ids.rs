//! States, roles and the ids that tell one connection or session from the next.

use core::fmt;

/// The state of the peer (RFC 4271 section 8.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Not started, shut down, or holding off after an error.
    Idle,
    /// Waiting for our TCP connection to complete.
    Connect,
    /// Waiting for the peer's connection, or for the next attempt of ours.
    Active,
    /// OPEN sent, waiting for the peer's.
    OpenSent,
    /// OPENs exchanged, waiting for the peer's KEEPALIVE.
    OpenConfirm,
    /// The session is up.
    Established,
}

impl State {
    /// All six, in their order.
    pub const ALL: [State; 6] = [
        State::Idle,
        State::Connect,
        State::Active,
        State::OpenSent,
        State::OpenConfirm,
        State::Established,
    ];

    /// The name as operators know it.
    pub const fn name(self) -> &'static str {
        match self {
            State::Idle => "Idle",
            State::Connect => "Connect",
            State::Active => "Active",
            State::OpenSent => "OpenSent",
            State::OpenConfirm => "OpenConfirm",
            State::Established => "Established",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// We did.
    Outbound,
    /// The peer did.
    Inbound,
}

impl Role {
    /// The other role.
    pub const fn other(self) -> Role {
        match self {
            Role::Outbound => Role::Inbound,
            Role::Inbound => Role::Outbound,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Outbound => "outbound",
            Role::Inbound => "inbound",
        })
    }
}

/// One connection, or one attempt at one. Unique in its machine, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub(super) u64);

impl ConnId {
    /// The number, for logs.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One time in Established. Counts up by one per session of the peer; the first
/// is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation(pub(super) u64);

impl Generation {
    /// The number, for messages to the core.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The state of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConnState {
    /// TCP is connecting (outbound only).
    Connecting,
    /// Our OPEN is sent.
    OpenSent,
    /// The peer's OPEN was accepted and answered with a KEEPALIVE.
    OpenConfirm,
    /// The session runs on it.
    Established,
}

impl ConnState {
    /// What the peer's state is as far as this connection goes.
    pub const fn state(self) -> State {
        match self {
            ConnState::Connecting => State::Connect,
            ConnState::OpenSent => State::OpenSent,
            ConnState::OpenConfirm => State::OpenConfirm,
            ConnState::Established => State::Established,
        }
    }
}
