//! Sessions: the I/O around a peer's state machine.
//!
//! One task per peer owns the machine, reads its connections and takes their
//! messages apart; one task per connection writes. The core is told in order:
//! the session is up, its UPDATEs, the session is down, each with the
//! generation it belongs to.
//!
//! ```text
//!   listener --Inbound--> +---------+ --Up, Updates, Down-> core
//!   speaker  --Command--> | session |
//!             socket ---> +---------+ --Control--> +--------+
//!                                                  | writer | --> socket
//!                           core ------Outbound--> +--------+
//! ```
//!
//! While the core is busy the session stops reading, so that TCP slows the
//! peer down. Its timers go on: keepalives are sent, and a peer whose messages
//! wait unread is not taken for dead.

mod attribute_cache;
mod chunks;
pub mod connection;
mod fault_log;
mod intake;
pub mod md5;
pub mod outbound;
pub mod status;
pub mod task;
pub mod transport;
pub mod writer;

use std::net::SocketAddr;
use std::sync::Arc;

use bgp_wire::{FamilySet, RouteRefresh};
use holdfast_rib::PeerId;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use crate::fsm::{Event, Generation, Negotiated, PeerParams, Reset, State};
pub use intake::Heard;
use outbound::Outbound;
use status::Status;
use transport::TransportParams;

/// Commands that may wait for a session.
const COMMANDS: usize = 64;

/// Of these, places that accepted connections may not take: whoever can send
/// from a peer's address must not crowd out what the operator says.
const RESERVED: usize = 48;

/// What a session needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// For the state machine.
    pub params: PeerParams,
    /// For the sockets.
    pub transport: TransportParams,
}

/// What a session is told.
#[derive(Debug)]
pub enum Command {
    /// The listener accepted a connection of this peer's.
    Inbound(TcpStream),
    /// Something for the state machine: start, stop, reset.
    Event(Event),
    /// New settings, and how to reset the session where they need it.
    Configure(Box<SessionConfig>, Option<Reset>),
    /// Ask the peer to send its routes again (RFC 2918).
    RequestRefresh(FamilySet),
    /// Stop as the event says and end the task; answered when the connections
    /// are closed.
    Quit(Event, oneshot::Sender<()>),
}

/// What a session tells the core.
#[derive(Debug)]
pub struct FromSession {
    /// The peer.
    pub peer: PeerId,
    /// What happened.
    pub report: Report,
}

/// What happened in a session.
#[derive(Debug)]
pub enum Report {
    /// The session is up.
    Up {
        /// Its number: all that follows carries it.
        generation: Generation,
        /// What was agreed on.
        negotiated: Arc<Negotiated>,
        /// Our end of the connection.
        local: SocketAddr,
        /// Where announcements go.
        data: mpsc::Sender<Box<Outbound>>,
    },
    /// The UPDATEs of one read, or of the part of it before another message.
    Updates {
        /// The session they came by.
        generation: Generation,
        /// What they said.
        heard: Vec<Heard>,
        /// Octets of the prefixes in them.
        octets: usize,
    },
    /// A ROUTE-REFRESH.
    Refresh {
        /// The session it came by.
        generation: Generation,
        /// The message.
        refresh: RouteRefresh,
    },
    /// The session is down.
    Down {
        /// The session.
        generation: Generation,
        /// Keep the peer's routes as stale (RFC 4724, RFC 8538).
        keep_routes: bool,
    },
    /// The state changed: for watchers.
    State {
        /// Before.
        from: State,
        /// Now.
        to: State,
        /// Why.
        reason: String,
    },
}

/// The speaker's end of a session. Dropping it does not stop the session;
/// [`Command::Quit`] does.
#[derive(Debug, Clone)]
pub struct SessionHandle {
    /// Boxed, as in the other lanes: a lane has memory for 32 items at once,
    /// and there may be hundreds of sessions.
    commands: mpsc::Sender<Box<Command>>,
    /// What the session shows of itself.
    pub status: Arc<Status>,
}

impl SessionHandle {
    /// Whether both lead to the same session.
    pub fn is_same(&self, other: &Self) -> bool {
        self.commands.same_channel(&other.commands)
    }

    /// Starts a session's task. The machine is Idle until it is started.
    pub fn spawn(
        peer: PeerId,
        config: SessionConfig,
        core: mpsc::Sender<FromSession>,
    ) -> SessionHandle {
        let (commands, lane) = mpsc::channel(COMMANDS);
        let status = Arc::new(Status::default());
        let session = task::Session::new(peer, config, Arc::clone(&status), core);
        tokio::spawn(session.run(lane));
        SessionHandle { commands, status }
    }

    /// Hands over an accepted connection; one too many is closed.
    pub fn offer(&self, stream: TcpStream) {
        if self.commands.capacity() > RESERVED {
            self.tell(Command::Inbound(stream));
        } else {
            tracing::debug!("connection refused: too many at once from one neighbor");
        }
    }

    /// Gives a command without waiting. A session that has not taken 64
    /// commands is stuck on nothing it could wait for, so a full lane means
    /// that the same was said 64 times; the command is dropped and logged.
    pub fn tell(&self, command: Command) {
        if let Err(error) = self.commands.try_send(Box::new(command)) {
            tracing::warn!(%error, "a session does not take commands");
        }
    }
}
