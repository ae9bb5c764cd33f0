//! Events of one connection: it came up, it was lost, a message arrived.

use std::net::SocketAddr;
use std::sync::Arc;

use bgp_wire::{Cease, ErrorCode, FsmError, Notification, Open};

use super::action::{Action, Outgoing, SessionUp};
use super::collision::{COLLISION_WINDOW, Speaker, winner};
use super::conn::{Agreed, Conn, Phase, Session, Waiting};
use super::ending::{Ending, Next};
use super::ids::{ConnId, ConnState, Generation, Role};
use super::machine::{Fsm, IdleReason, Mode, Running, Turn};
use super::negotiate::{Negotiated, negotiate};
use super::reset::ResetCause;

/// Message types (RFC 4271 section 4.1, RFC 2918): the data of an FSM error
/// (RFC 6608 section 3).
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum MessageType {
    Open = 1,
    Update = 2,
    Keepalive = 4,
    RouteRefresh = 5,
}

/// Both ends of a connection, ours first.
type Ends = (SocketAddr, SocketAddr);

// ===== the connection =====

impl Fsm {
    /// Our attempt succeeded.
    pub(super) fn connected(&mut self, id: ConnId, ends: Ends, turn: &mut Turn) {
        match self.take_where(|c| c.id == id && matches!(c.phase, Phase::Connecting)) {
            Some(_) => self.send_open(id, Role::Outbound, ends, turn),
            None => self.stale(turn),
        }
    }

    /// The peer connected to us.
    pub(super) fn accepted(&mut self, id: ConnId, ends: Ends, turn: &mut Turn) {
        let Some(index) = self.offered.iter().position(|o| *o == id) else {
            self.stale(turn);
            return;
        };
        self.offered.swap_remove(index);
        if let Mode::Idle(reason) = self.mode {
            let IdleReason::Hold { damped: false, .. } = reason else {
                self.refuse(id, reason, turn);
                return;
            };
            self.mode = Mode::Running(Running::default());
        }
        // The newest of the peer's connections is the one that it knows of: an
        // older one is what is left from before it restarted. Beside a session
        // there is room for one connection, whoever opened it.
        let session = self.conns().iter().any(Conn::is_established);
        let replaced = |c: &Conn| !c.is_established() && (session || c.role == Role::Inbound);
        if let Some(old) = self.take_where(replaced) {
            self.counters.collisions += 1;
            self.end(old, Ending::collision(), turn);
        }
        self.send_open(id, Role::Inbound, ends, turn);
    }

    fn refuse(&mut self, id: ConnId, reason: IdleReason, turn: &mut Turn) {
        self.counters.refused += 1;
        turn.detail = "refused".to_owned();
        // A peer that holds our routes over our restart should not be told
        // anything that could end that.
        let notification = (reason != IdleReason::GracefulStop)
            .then(|| Notification::cease(Cease::ConnectionRejected));
        turn.act(Action::RefuseInbound {
            conn: id,
            notification,
        });
    }

    /// RFC 4271 section 8.2.2, events 16 and 17.
    fn send_open(&mut self, id: ConnId, role: Role, ends: Ends, turn: &mut Turn) {
        let ours = Box::new(self.params.open());
        let hold = turn.now + self.params.timing.open_hold;
        turn.send(id, Outgoing::Open(ours.clone()));
        self.put(Conn {
            id,
            role,
            ends: Some(ends),
            phase: Phase::OpenSent(Waiting { ours, hold }),
        });
        self.stop_idle_retry();
    }

    /// ConnectRetry runs while an attempt of ours hangs, or while there is no
    /// connection at all.
    fn stop_idle_retry(&mut self) {
        if let Some(running) = self.running()
            && !running
                .conns
                .iter()
                .any(|c| matches!(c.phase, Phase::Connecting))
        {
            running.retry = None;
        }
    }

    /// TCP failed, before or after it was up.
    pub(super) fn connection_lost(&mut self, id: ConnId, error: Option<String>, turn: &mut Turn) {
        if let Some(index) = self.offered.iter().position(|o| *o == id) {
            // Accepted, and gone before anyone could say so.
            self.offered.swap_remove(index);
            turn.detail = error.unwrap_or_default();
            return;
        }
        let Some(conn) = self.take(id, turn) else {
            return;
        };
        turn.detail = error.unwrap_or_default();
        let (cause, next) = match conn.state() {
            ConnState::Connecting | ConnState::OpenSent => {
                (ResetCause::WaitingForOpen, Next::Retry)
            }
            ConnState::OpenConfirm | ConnState::Established => {
                (ResetCause::PeerClosed, Next::Failed(ResetCause::PeerClosed))
            }
        };
        self.end(conn, Ending::gone(cause), turn);
        self.stop_idle_retry();
        self.settle(next, turn);
    }

    pub(super) fn write_blocked(&mut self, id: ConnId, turn: &mut Turn) {
        let (configured, now) = (self.params.timing.send_hold, turn.now);
        self.with_agreed(id, turn, |a| a.write_blocked(configured, now));
    }

    pub(super) fn write_progress(&mut self, id: ConnId, turn: &mut Turn) {
        self.with_agreed(id, turn, |a| a.send_hold = None);
    }

    pub(super) fn update_sent(&mut self, id: ConnId, turn: &mut Turn) {
        let now = turn.now;
        let mut jitter = self.jitter.clone();
        self.with_agreed(id, turn, |a| a.restart_keepalive(now, &mut jitter));
        self.jitter = jitter;
    }

    /// Does something to a connection on which both OPENs are known. Before
    /// that there is nothing to do: the wait for the OPEN has its own timer.
    fn with_agreed(&mut self, id: ConnId, turn: &mut Turn, change: impl FnOnce(&mut Agreed)) {
        let Some(mut conn) = self.take(id, turn) else {
            return;
        };
        if let Some(agreed) = conn.agreed_mut() {
            change(agreed);
        }
        self.put(conn);
    }
}

// ===== messages =====

impl Fsm {
    /// Takes out the connection that a message came on. TCP that is not up
    /// carries no messages.
    fn take_up(&mut self, id: ConnId, turn: &mut Turn) -> Option<Conn> {
        let conn = self.take_where(|c| c.id == id && !matches!(c.phase, Phase::Connecting));
        if conn.is_none() {
            self.stale(turn);
        }
        conn
    }

    /// RFC 4271 section 8.2.2, event 19.
    pub(super) fn open_received(&mut self, id: ConnId, theirs: &Open, turn: &mut Turn) {
        let Some(conn) = self.take_up(id, turn) else {
            return;
        };
        let Phase::OpenSent(Waiting { ours, .. }) = &conn.phase else {
            self.unexpected(conn, MessageType::Open, turn);
            return;
        };
        match negotiate(&self.params, ours, theirs) {
            Err(error) => self.fail(conn, ResetCause::NotificationSent, error, turn),
            Ok(negotiated) => {
                let local = Speaker {
                    bgp_id: ours.bgp_id,
                    asn: ours.asn(),
                };
                if self.survives_collision(&conn, local, &negotiated, turn) {
                    self.confirm(conn, Arc::new(negotiated), turn);
                } else {
                    self.end(conn, Ending::collision(), turn);
                    self.stop_idle_retry();
                }
            }
        }
    }

    /// RFC 4271 section 6.8: whether the connection on which an OPEN has just
    /// come goes on. If it does, the other one that it collides with has ended.
    fn survives_collision(
        &mut self,
        conn: &Conn,
        local: Speaker,
        negotiated: &Negotiated,
        turn: &mut Turn,
    ) -> bool {
        let Some(other) = self.take_where(|c| c.state() >= ConnState::OpenConfirm) else {
            return true;
        };
        if let Phase::Established(session) = &other.phase {
            if peer_restarted(session, turn) {
                self.end(other, Ending::quiet(ResetCause::PeerRestarted), turn);
                return true;
            }
            self.counters.collisions += 1;
            self.put(other);
            return false;
        }
        self.counters.collisions += 1;
        let remote = Speaker {
            bgp_id: negotiated.remote_id,
            asn: negotiated.remote_as,
        };
        if winner(local, remote) == conn.role {
            self.end(other, Ending::collision(), turn);
            return true;
        }
        self.put(other);
        false
    }

    fn confirm(&mut self, mut conn: Conn, negotiated: Arc<Negotiated>, turn: &mut Turn) {
        turn.send(conn.id, Outgoing::Keepalive);
        let open_hold = self.params.timing.open_hold;
        conn.phase = Phase::OpenConfirm(Box::new(Agreed::new(
            negotiated,
            open_hold,
            turn.now,
            &mut self.jitter,
        )));
        self.put(conn);
    }

    /// RFC 4271 section 8.2.2, event 26.
    pub(super) fn keepalive_received(&mut self, id: ConnId, turn: &mut Turn) {
        let Some(mut conn) = self.take_up(id, turn) else {
            return;
        };
        match conn.phase {
            Phase::OpenConfirm(agreed) => {
                conn.phase = self.establish(id, conn.role, *agreed, turn);
                self.put(conn);
            }
            Phase::Established(ref mut session) => {
                session.agreed.restart_hold(turn.now);
                self.put(conn);
            }
            Phase::Connecting | Phase::OpenSent(_) => {
                self.unexpected(conn, MessageType::Keepalive, turn);
            }
        }
    }

    fn establish(&mut self, id: ConnId, role: Role, mut agreed: Agreed, turn: &mut Turn) -> Phase {
        // There is no need for an attempt that still hangs. A second connection
        // that is up waits for its OPEN, and loses then (section 6.8).
        if let Some(attempt) = self.take_where(|c| matches!(c.phase, Phase::Connecting)) {
            turn.act(Action::CancelConnect { conn: attempt.id });
        }
        self.stop_idle_retry();
        self.counters.established += 1;
        self.generation += 1;
        let generation = Generation(self.generation);
        agreed.restart_hold(turn.now);
        turn.act(Action::SessionUp(Box::new(SessionUp {
            conn: id,
            role,
            generation,
            negotiated: Arc::clone(&agreed.negotiated),
        })));
        Phase::Established(Box::new(Session {
            agreed,
            generation,
            since: turn.now,
        }))
    }

    /// RFC 4271 section 8.2.2, event 27.
    pub(super) fn update_received(&mut self, id: ConnId, turn: &mut Turn) {
        let Some(mut conn) = self.take_up(id, turn) else {
            return;
        };
        if let Phase::Established(session) = &mut conn.phase {
            session.agreed.restart_hold(turn.now);
            self.put(conn);
        } else {
            self.unexpected(conn, MessageType::Update, turn);
        }
    }

    pub(super) fn route_refresh_received(&mut self, id: ConnId, turn: &mut Turn) {
        let Some(conn) = self.take_up(id, turn) else {
            return;
        };
        if conn.is_established() {
            self.put(conn);
        } else {
            self.unexpected(conn, MessageType::RouteRefresh, turn);
        }
    }

    /// RFC 4271 section 8.2.2, events 24 and 25. Never answered (section 6.4).
    pub(super) fn notification_received(
        &mut self,
        id: ConnId,
        notification: Notification,
        turn: &mut Turn,
    ) {
        let Some(conn) = self.take_up(id, turn) else {
            return;
        };
        let cause = ResetCause::NotificationReceived;
        let next = match notification.cease_reason() {
            // The peer preferred its other connection: no reason to hold off
            // longer.
            Some(Cease::ConnectionCollision) => Next::Unlucky(cause),
            // Somebody at the other end did this on purpose: no oscillation
            // that would have to be damped (RFC 4271 section 8.1.1).
            Some(
                Cease::AdministrativeShutdown
                | Cease::PeerDeconfigured
                | Cease::AdministrativeReset
                | Cease::OtherConfigurationChange
                | Cease::HardReset,
            ) => Next::Unlucky(cause),
            Some(Cease::ConnectionRejected) if !conn.is_established() => Next::Rejected,
            _ => Next::Failed(cause),
        };
        self.end(conn, Ending::received(notification), turn);
        self.settle(next, turn);
    }

    /// RFC 4271 section 8.2.2, events 20, 21, 22 and 28.
    pub(super) fn wire_error(&mut self, id: ConnId, error: Notification, turn: &mut Turn) {
        // The session task may watch the send hold time where the bytes go out.
        let cause = match error.error_code() {
            Some(ErrorCode::SendHoldTimer) => ResetCause::SendHoldTimerExpired,
            _ => ResetCause::NotificationSent,
        };
        if let Some(conn) = self.take_up(id, turn) {
            self.fail(conn, cause, error, turn);
        }
    }

    /// A message that its state does not allow: 5/1 in OpenSent, 5/2 in
    /// OpenConfirm, 5/3 in Established, with the message's type (RFC 6608).
    fn unexpected(&mut self, conn: Conn, message: MessageType, turn: &mut Turn) {
        let state = match conn.state() {
            ConnState::Connecting => FsmError::Unspecified,
            ConnState::OpenSent => FsmError::OpenSent,
            ConnState::OpenConfirm => FsmError::OpenConfirm,
            ConnState::Established => FsmError::Established,
        };
        let error = Notification::fsm(state, [message as u8]);
        self.fail(conn, ResetCause::NotificationSent, error, turn);
    }

    fn fail(&mut self, conn: Conn, cause: ResetCause, error: Notification, turn: &mut Turn) {
        self.end(conn, Ending::sent(cause, error), turn);
        self.settle(Next::Failed(cause), turn);
    }
}

/// RFC 4724 section 5: a peer that does graceful restart and connects anew has
/// lost the session. The RFC says so as soon as TCP is up; waiting for a valid
/// OPEN keeps a session from falling to whoever can open a connection.
fn peer_restarted(session: &Session, turn: &Turn) -> bool {
    let age = turn.now.saturating_duration_since(session.since);
    let graceful = session
        .agreed
        .negotiated
        .graceful_restart
        .as_ref()
        .is_some_and(|r| !r.families.is_empty());
    graceful && age >= COLLISION_WINDOW
}
