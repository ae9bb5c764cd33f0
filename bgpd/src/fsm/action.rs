//! What the session task has to do, in the order of the list.

use std::sync::Arc;

use bgp_wire::{Notification, Open};

use super::ids::{ConnId, Generation, Role, State};
use super::negotiate::Negotiated;
use super::reset::DownReason;

/// A message that the machine wants written. UPDATEs and ROUTE-REFRESHes are
/// the speaker's affair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// OPEN.
    Open(Box<Open>),
    /// KEEPALIVE.
    Keepalive,
    /// NOTIFICATION; a `Close` of the connection follows.
    Notification(Notification),
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open a TCP connection; answer with `ConnectionUp` or `ConnectFailed`.
    Connect {
        /// The id that the answer carries.
        conn: ConnId,
    },
    /// Give that attempt up. If it has just succeeded, close it.
    CancelConnect {
        /// The attempt.
        conn: ConnId,
    },
    /// Write a message.
    Send {
        /// The connection.
        conn: ConnId,
        /// The message.
        message: Outgoing,
    },
    /// Write what was sent before, then close.
    Close {
        /// The connection.
        conn: ConnId,
    },
    /// An accepted connection is not wanted: write the NOTIFICATION where there
    /// is one, and close.
    RefuseInbound {
        /// The connection.
        conn: ConnId,
        /// What the peer is told.
        notification: Option<Notification>,
    },
    /// The session is up.
    SessionUp(Box<SessionUp>),
    /// The session is down.
    SessionDown(Box<SessionDown>),
    /// The state of the peer changed: for logs and watchers.
    StateChanged {
        /// Before.
        from: State,
        /// Now.
        to: State,
        /// The event that did it, by name.
        event: &'static str,
        /// In words; may be empty.
        detail: String,
    },
}

/// A session that came up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionUp {
    /// The connection it runs on.
    pub conn: ConnId,
    /// Who opened that connection.
    pub role: Role,
    /// The session's number.
    pub generation: Generation,
    /// What the OPENs agreed on.
    pub negotiated: Arc<Negotiated>,
}

/// A session that went down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionDown {
    /// The connection it ran on.
    pub conn: ConnId,
    /// The session's number.
    pub generation: Generation,
    /// Why, and whether the peer's routes stay.
    pub reason: DownReason,
}
