//! What can happen to a peer (RFC 4271 section 8.1).

use std::net::SocketAddr;
use std::time::Duration;

use bgp_wire::{Cease, Notification, Open};

use super::ids::{ConnId, Role};
use super::reset::ResetCause;

/// An event. The numbers are those of RFC 4271 section 8.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// 1, 4: the operator (or the configuration) starts the peer. Whether we
    /// connect or only listen is in the parameters. Ends a back-off at once.
    ManualStart,
    /// 3, 5: the daemon starts the peer, because an interface came up or a next
    /// hop became reachable. No effect on a peer that is shut down, or that is
    /// being damped.
    AutomaticStart,
    /// 2: the operator stops the peer; it stays Idle until `ManualStart`.
    ManualStop(Stop),
    /// 8: the daemon stops the peer: too many prefixes, interface or BFD down.
    AutomaticStop(AutomaticStop),
    /// The session is to be dropped and built again without a penalty:
    /// `clear bgp`, or a change of configuration.
    Reset(Reset),
    /// We restart gracefully: connections are closed without a NOTIFICATION so
    /// that the peer keeps our routes (RFC 4724 section 4.1). The peer stays
    /// Idle until `ManualStart`.
    GracefulStop,
    /// 16, 17: a TCP connection is up: ours, or one that was accepted.
    ConnectionUp {
        /// The id from `Action::Connect`, or from `Fsm::next_conn_id`.
        conn: ConnId,
        /// Who opened it.
        role: Role,
        /// Our end.
        local: SocketAddr,
        /// The peer's end.
        remote: SocketAddr,
    },
    /// 18: our attempt failed.
    ConnectFailed {
        /// The id from `Action::Connect`.
        conn: ConnId,
        /// The system's words.
        error: String,
    },
    /// 18: a connection that was up is gone.
    ConnectionClosed {
        /// The connection.
        conn: ConnId,
        /// The system's words; none where the peer closed it in order.
        error: Option<String>,
    },
    /// 19: an OPEN that the codec accepts. The machine checks the rest.
    Open(ConnId, Box<Open>),
    /// 26: a KEEPALIVE.
    Keepalive(ConnId),
    /// 27: an UPDATE that does not end the session (RFC 7606).
    Update(ConnId),
    /// A ROUTE-REFRESH (RFC 2918): as an UPDATE, but does not restart the hold
    /// timer.
    RouteRefresh(ConnId),
    /// 24, 25: a NOTIFICATION. Never answered.
    NotificationReceived(ConnId, Notification),
    /// 20, 21, 22, 28: the codec found an error that ends the connection; this
    /// is what to tell the peer.
    WireError(ConnId, Notification),
    /// There is something to write and the socket takes nothing (RFC 9687).
    WriteBlocked(ConnId),
    /// The socket took something again. Where more is waiting still, another
    /// `WriteBlocked` follows.
    WriteProgress(ConnId),
    /// An UPDATE was written: the next KEEPALIVE can wait that much longer.
    UpdateSent(ConnId),
    /// 9, 10, 11, 13: time passed, a deadline may be due.
    Tick,
}

impl Event {
    /// A short name, for the history and for logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Event::ManualStart => "ManualStart",
            Event::AutomaticStart => "AutomaticStart",
            Event::ManualStop(_) => "ManualStop",
            Event::AutomaticStop(_) => "AutomaticStop",
            Event::Reset(_) => "Reset",
            Event::GracefulStop => "GracefulStop",
            Event::ConnectionUp { role, .. } => match role {
                Role::Outbound => "TcpConnected",
                Role::Inbound => "TcpAccepted",
            },
            Event::ConnectFailed { .. } => "TcpConnectFailed",
            Event::ConnectionClosed { .. } => "TcpClosed",
            Event::Open(..) => "OpenReceived",
            Event::Keepalive(_) => "KeepaliveReceived",
            Event::Update(_) => "UpdateReceived",
            Event::RouteRefresh(_) => "RouteRefreshReceived",
            Event::NotificationReceived(..) => "NotificationReceived",
            Event::WireError(..) => "MessageError",
            Event::WriteBlocked(_) => "WriteBlocked",
            Event::WriteProgress(_) => "WriteProgress",
            Event::UpdateSent(_) => "UpdateSent",
            Event::Tick => "Tick",
        }
    }

    /// The connection that the event belongs to.
    pub const fn conn(&self) -> Option<ConnId> {
        match self {
            Event::ConnectionUp { conn, .. }
            | Event::ConnectFailed { conn, .. }
            | Event::ConnectionClosed { conn, .. }
            | Event::Open(conn, _)
            | Event::Keepalive(conn)
            | Event::Update(conn)
            | Event::RouteRefresh(conn)
            | Event::NotificationReceived(conn, _)
            | Event::WireError(conn, _)
            | Event::WriteBlocked(conn)
            | Event::WriteProgress(conn)
            | Event::UpdateSent(conn) => Some(*conn),
            Event::ManualStart
            | Event::AutomaticStart
            | Event::ManualStop(_)
            | Event::AutomaticStop(_)
            | Event::Reset(_)
            | Event::GracefulStop
            | Event::Tick => None,
        }
    }
}

/// How an operator stops a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The Cease subcode: `AdministrativeShutdown`, or `PeerDeconfigured`.
    pub subcode: Cease,
    /// The shutdown communication (RFC 9003), for Cease/2 only; what is longer
    /// than 255 octets is cut at a character.
    pub message: Option<String>,
    /// Where both ends do graceful restart with NOTIFICATION (RFC 8538): sent
    /// inside of a Hard Reset, so that the peer drops our routes.
    pub hard: bool,
}

impl Stop {
    /// An administrative shutdown, hard, without words.
    pub const fn shutdown() -> Stop {
        Stop {
            subcode: Cease::AdministrativeShutdown,
            message: None,
            hard: true,
        }
    }
}

/// How the daemon stops a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutomaticStop {
    /// Why.
    pub cause: ResetCause,
    /// What the peer is told; none where nothing can reach it any more.
    pub notification: Option<Notification>,
    /// When to try again.
    pub restart: Restart,
}

/// When a stopped peer is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// After the usual back-off.
    IdleHold,
    /// After this time (`maximum-prefix ... restart`).
    After(Duration),
    /// With the next start or reset.
    WhenStarted,
}

/// How a session is reset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reset {
    /// Why: `UserReset`, or the setting that changed.
    pub cause: ResetCause,
    /// The Cease subcode: `AdministrativeReset` or `OtherConfigurationChange`.
    pub subcode: Cease,
    /// The words of RFC 9003, for Cease/4 only.
    pub message: Option<String>,
    /// As in [`Stop::hard`].
    pub hard: bool,
}

impl Reset {
    /// `clear bgp`.
    pub const fn user() -> Reset {
        Reset {
            cause: ResetCause::UserReset,
            subcode: Cease::AdministrativeReset,
            message: None,
            hard: true,
        }
    }

    /// A setting changed that the OPEN carries, or that needs a new connection.
    pub const fn configuration(cause: ResetCause) -> Reset {
        Reset {
            cause,
            subcode: Cease::OtherConfigurationChange,
            message: None,
            hard: false,
        }
    }
}
