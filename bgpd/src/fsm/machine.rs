//! The machine: what it holds, how an event gets to its handler, and what can
//! be asked of it.

use std::net::SocketAddr;
use std::time::Instant;

use bgp_wire::Notification;

use super::action::{Action, Outgoing};
use super::conn::{Conn, Phase, Session};
use super::event::Event;
use super::history::{Entry, History};
use super::ids::{ConnId, ConnState, Generation, Role, State};
use super::jitter::Jitter;
use super::negotiate::Negotiated;
use super::params::PeerParams;
use super::reset::{LastReset, ResetCause};

/// The state machine of one peer. See the module for how to drive it.
#[derive(Debug, Clone)]
pub struct Fsm {
    pub(super) params: PeerParams,
    pub(super) jitter: Jitter,
    pub(super) mode: Mode,
    /// Failures in a row: the exponent of the back-off.
    pub(super) failures: u32,
    next_conn: u64,
    /// Ids given out for accepted connections that have not been used yet.
    pub(super) offered: Vec<ConnId>,
    pub(super) generation: u64,
    pub(super) last_reset: Option<LastReset>,
    pub(super) counters: Counters,
    history: History,
}

/// Started or not.
#[derive(Debug, Clone)]
pub(super) enum Mode {
    Idle(IdleReason),
    Running(Running),
}

/// What exists only in a peer that is started. At most two connections: before
/// a session, one of each role; with a session, one that the peer opened anew.
#[derive(Debug, Clone, Default)]
pub(super) struct Running {
    pub(super) conns: Vec<Conn>,
    /// ConnectRetryTimer.
    pub(super) retry: Option<Instant>,
}

/// Why a peer is Idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdleReason {
    /// Never started.
    NotStarted,
    /// Shut down by the operator. Connections are refused with Cease/5.
    AdminShutdown,
    /// We are about to restart. Connections are closed without a word.
    GracefulStop,
    /// Stopped by the daemon until a start: Cease/5. A peer with too many
    /// prefixes waits for `ManualStart` or `Reset`, others start with
    /// `AutomaticStart` too.
    Waiting(ResetCause),
    /// Holding off after an error (IdleHoldTimer).
    Hold {
        /// Until then.
        until: Instant,
        /// The error.
        cause: ResetCause,
        /// Not the first failure in a row: connections are refused with
        /// Cease/5, and `AutomaticStart` has no effect. In the first hold-off
        /// the peer may connect, which ends it: the side that noticed the
        /// loss earlier need not wait for the other.
        damped: bool,
    },
}

/// Numbers that only go up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Sessions that came up.
    pub established: u64,
    /// Sessions that went down.
    pub dropped: u64,
    /// Attempts to connect.
    pub connects: u64,
    /// Events of connections that were not alive.
    pub stale_events: u64,
    /// Accepted connections that were refused.
    pub refused: u64,
    /// Collisions resolved.
    pub collisions: u64,
}

/// A connection, for `show`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnInfo {
    /// Its id.
    pub conn: ConnId,
    /// Who opened it.
    pub role: Role,
    /// Where it is.
    pub state: ConnState,
    /// Both ends, ours first; none while TCP connects.
    pub ends: Option<(SocketAddr, SocketAddr)>,
}

/// The running session, for `show`.
#[derive(Debug, Clone, Copy)]
pub struct SessionInfo<'a> {
    /// The connection it runs on.
    pub conn: ConnId,
    /// The session's number.
    pub generation: Generation,
    /// Since when.
    pub since: Instant,
    /// What was agreed on.
    pub negotiated: &'a Negotiated,
}

/// When which timer is due, for `show`; of the most advanced connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timers {
    /// ConnectRetryTimer.
    pub connect_retry: Option<Instant>,
    /// IdleHoldTimer.
    pub idle_hold: Option<Instant>,
    /// HoldTimer.
    pub hold: Option<Instant>,
    /// KeepaliveTimer.
    pub keepalive: Option<Instant>,
    /// SendHoldTimer (RFC 9687).
    pub send_hold: Option<Instant>,
}

/// One call of `handle`: the time, what has been decided, what to remember.
pub(super) struct Turn {
    pub(super) now: Instant,
    pub(super) event: &'static str,
    pub(super) detail: String,
    pub(super) actions: Vec<Action>,
}

impl Turn {
    pub(super) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(super) fn send(&mut self, conn: ConnId, message: Outgoing) {
        self.act(Action::Send { conn, message });
    }

    pub(super) fn notify(&mut self, conn: ConnId, notification: Notification) {
        self.send(conn, Outgoing::Notification(notification));
    }
}

// ===== impl Fsm: the outside =====

impl Fsm {
    /// A machine that is not started. The seed is for the timers' jitter only.
    pub const fn new(params: PeerParams, seed: u64) -> Fsm {
        Fsm {
            params,
            jitter: Jitter::new(seed),
            mode: Mode::Idle(IdleReason::NotStarted),
            failures: 0,
            next_conn: 1,
            offered: Vec::new(),
            generation: 0,
            last_reset: None,
            counters: Counters {
                established: 0,
                dropped: 0,
                connects: 0,
                stale_events: 0,
                refused: 0,
                collisions: 0,
            },
            history: History::new(),
        }
    }

    /// Takes an event, and says what to do, in order.
    pub fn handle(&mut self, event: Event, now: Instant) -> Vec<Action> {
        let from = self.state();
        let conn = event.conn();
        let is_tick = matches!(event, Event::Tick);
        let mut turn = Turn {
            now,
            event: event.name(),
            detail: String::new(),
            actions: Vec::new(),
        };
        self.dispatch(event, &mut turn);
        let to = self.state();
        let idle_tick = is_tick && turn.actions.is_empty() && from == to;
        if !idle_tick {
            self.remember(&mut turn, conn, from, to);
        }
        turn.actions
    }

    /// An id for a connection that was accepted, to be used in the
    /// `ConnectionUp` that follows.
    pub fn next_conn_id(&mut self) -> ConnId {
        let conn = self.new_conn_id();
        self.offered.push(conn);
        conn
    }

    /// When `Tick` is needed next.
    pub fn next_deadline(&self) -> Option<Instant> {
        match &self.mode {
            Mode::Idle(IdleReason::Hold { until, .. }) => Some(*until),
            Mode::Idle(_) => None,
            Mode::Running(running) => running
                .conns
                .iter()
                .filter_map(Conn::next_deadline)
                .chain(running.retry)
                .min(),
        }
    }

    /// Takes parameters that do not need a reset; those that go into the OPEN
    /// are used with the next connection. Where [`PeerParams::needs_reset`]
    /// says so, follow with `Event::Reset`.
    pub fn update_params(&mut self, params: PeerParams) {
        self.params = params;
    }

    /// The present parameters.
    pub const fn params(&self) -> &PeerParams {
        &self.params
    }

    /// The peer's state: that of its most advanced connection.
    pub fn state(&self) -> State {
        match &self.mode {
            Mode::Idle(_) => State::Idle,
            Mode::Running(running) => running
                .conns
                .iter()
                .map(|c| c.state().state())
                .max()
                .unwrap_or(State::Active),
        }
    }

    /// Why the peer is Idle, if it is.
    pub const fn idle_reason(&self) -> Option<IdleReason> {
        match &self.mode {
            Mode::Idle(reason) => Some(*reason),
            Mode::Running(_) => None,
        }
    }

    /// The live connections.
    pub fn connections(&self) -> impl Iterator<Item = ConnInfo> {
        self.conns().iter().map(|c| ConnInfo {
            conn: c.id,
            role: c.role,
            state: c.state(),
            ends: c.ends,
        })
    }

    /// The running session.
    pub fn session(&self) -> Option<SessionInfo<'_>> {
        self.conns().iter().find_map(|c| match &c.phase {
            Phase::Established(session) => {
                let Session {
                    agreed,
                    generation,
                    since,
                } = session.as_ref();
                Some(SessionInfo {
                    conn: c.id,
                    generation: *generation,
                    since: *since,
                    negotiated: &agreed.negotiated,
                })
            }
            _ => None,
        })
    }

    /// When which timer is due.
    pub fn timers(&self) -> Timers {
        match &self.mode {
            Mode::Idle(IdleReason::Hold { until, .. }) => Timers {
                idle_hold: Some(*until),
                ..Timers::default()
            },
            Mode::Idle(_) => Timers::default(),
            Mode::Running(running) => {
                let conn = running.conns.iter().max_by_key(|c| c.state());
                Timers {
                    connect_retry: running.retry,
                    idle_hold: None,
                    hold: conn.and_then(Conn::hold),
                    keepalive: conn.and_then(Conn::keepalive),
                    send_hold: conn.and_then(Conn::send_hold),
                }
            }
        }
    }

    /// The last reset.
    pub const fn last_reset(&self) -> Option<&LastReset> {
        self.last_reset.as_ref()
    }

    /// What happened.
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// Numbers that only go up.
    pub const fn counters(&self) -> Counters {
        self.counters
    }
}

// ===== impl Fsm: the inside =====

impl Fsm {
    fn dispatch(&mut self, event: Event, turn: &mut Turn) {
        match event {
            Event::ManualStart => self.manual_start(turn),
            Event::AutomaticStart => self.automatic_start(turn),
            Event::ManualStop(stop) => self.manual_stop(stop, turn),
            Event::AutomaticStop(stop) => self.automatic_stop(stop, turn),
            Event::Reset(reset) => self.reset(reset, turn),
            Event::GracefulStop => self.graceful_stop(turn),
            Event::ConnectionUp {
                conn,
                role,
                local,
                remote,
            } => match role {
                Role::Outbound => self.connected(conn, (local, remote), turn),
                Role::Inbound => self.accepted(conn, (local, remote), turn),
            },
            Event::ConnectFailed { conn, error } => self.connection_lost(conn, Some(error), turn),
            Event::ConnectionClosed { conn, error } => self.connection_lost(conn, error, turn),
            Event::Open(conn, open) => self.open_received(conn, &open, turn),
            Event::Keepalive(conn) => self.keepalive_received(conn, turn),
            Event::Update(conn) => self.update_received(conn, turn),
            Event::RouteRefresh(conn) => self.route_refresh_received(conn, turn),
            Event::NotificationReceived(conn, notification) => {
                self.notification_received(conn, notification, turn);
            }
            Event::WireError(conn, notification) => self.wire_error(conn, notification, turn),
            Event::WriteBlocked(conn) => self.write_blocked(conn, turn),
            Event::WriteProgress(conn) => self.write_progress(conn, turn),
            Event::UpdateSent(conn) => self.update_sent(conn, turn),
            Event::Tick => self.tick(turn),
        }
    }

    fn remember(&mut self, turn: &mut Turn, conn: Option<ConnId>, from: State, to: State) {
        let entry = Entry {
            at: turn.now,
            event: turn.event,
            conn,
            from,
            to,
            detail: std::mem::take(&mut turn.detail),
            count: 1,
        };
        if from != to {
            turn.actions.push(Action::StateChanged {
                from,
                to,
                event: entry.event,
                detail: entry.detail.clone(),
            });
            self.history.transition(entry.clone());
        }
        self.history.event(entry);
    }

    pub(super) const fn new_conn_id(&mut self) -> ConnId {
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        conn
    }

    pub(super) fn conns(&self) -> &[Conn] {
        match &self.mode {
            Mode::Idle(_) => &[],
            Mode::Running(running) => &running.conns,
        }
    }

    pub(super) const fn running(&mut self) -> Option<&mut Running> {
        match &mut self.mode {
            Mode::Idle(_) => None,
            Mode::Running(running) => Some(running),
        }
    }

    /// Takes a connection out, to decide what becomes of it. One that is not
    /// alive is counted.
    pub(super) fn take(&mut self, id: ConnId, turn: &mut Turn) -> Option<Conn> {
        let conn = self.take_where(|c| c.id == id);
        if conn.is_none() {
            self.stale(turn);
        }
        conn
    }

    pub(super) fn take_where(&mut self, wanted: impl Fn(&Conn) -> bool) -> Option<Conn> {
        let running = self.running()?;
        let index = running.conns.iter().position(wanted)?;
        Some(running.conns.remove(index))
    }

    pub(super) fn put(&mut self, conn: Conn) {
        if let Some(running) = self.running() {
            // One but for moments, in each of hundreds of peers.
            running.conns.reserve_exact(1);
            running.conns.push(conn);
        }
    }

    pub(super) fn stale(&mut self, turn: &mut Turn) {
        self.counters.stale_events += 1;
        turn.detail = "no such connection".to_owned();
    }
}
