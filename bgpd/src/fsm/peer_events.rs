//! Events of the peer as a whole: started, stopped, reset, time passed.

use std::time::Instant;

use bgp_wire::{Cease, Notification};

use super::action::{Action, Outgoing};
use super::conn::{Conn, Phase};
use super::ending::{Ending, Next, cease_with_words, describe};
use super::event::{AutomaticStop, Reset, Restart, Stop};
use super::ids::{ConnId, Role};
use super::machine::{Fsm, IdleReason, Mode, Running, Turn};
use super::reset::{LastReset, ResetCause};

// ===== start =====

impl Fsm {
    pub(super) fn manual_start(&mut self, turn: &mut Turn) {
        // RFC 4271 section 8.2.2: start events are ignored in all other states.
        if let Mode::Idle(_) = self.mode {
            self.failures = 0;
            self.start(turn);
        }
    }

    pub(super) fn automatic_start(&mut self, turn: &mut Turn) {
        let Mode::Idle(reason) = self.mode else {
            return;
        };
        match reason {
            IdleReason::AdminShutdown
            | IdleReason::GracefulStop
            | IdleReason::Waiting(ResetCause::MaximumPrefixes)
            | IdleReason::Hold { damped: true, .. } => {}
            IdleReason::NotStarted
            | IdleReason::Waiting(_)
            | IdleReason::Hold { damped: false, .. } => self.start(turn),
        }
    }

    /// Leaves Idle: connects at once, or only listens. A peer without families
    /// has nothing to say.
    fn start(&mut self, turn: &mut Turn) {
        if self.params.families.is_empty() {
            let cause = ResetCause::NoFamily;
            self.mode = Mode::Idle(IdleReason::Waiting(cause));
            self.note_cause(&Ending::quiet(cause), turn);
            return;
        }
        self.mode = Mode::Running(Running::default());
        if !self.params.passive {
            self.connect(turn);
        }
    }

    fn connect(&mut self, turn: &mut Turn) {
        let id = self.new_conn_id();
        let retry = self.retry_deadline(turn);
        if let Some(running) = self.running() {
            running.retry = retry;
            running.conns.reserve_exact(1);
            running.conns.push(Conn {
                id,
                role: Role::Outbound,
                ends: None,
                phase: Phase::Connecting,
            });
            self.counters.connects += 1;
            turn.act(Action::Connect { conn: id });
        }
    }

    /// ConnectRetryTimer with its jitter (RFC 4271 section 10); none where we
    /// never connect.
    pub(super) fn retry_deadline(&mut self, turn: &Turn) -> Option<Instant> {
        let time = self.params.timing.connect_retry;
        (!self.params.passive).then(|| turn.now + self.jitter.scale(time))
    }

    fn note_cause(&mut self, ending: &Ending, turn: &mut Turn) {
        turn.detail = describe(ending);
        self.last_reset = Some(LastReset {
            when: turn.now,
            cause: ending.cause,
            notification: ending.notification.clone(),
            detail: turn.detail.clone(),
        });
    }
}

// ===== stop =====

impl Fsm {
    pub(super) fn manual_stop(&mut self, stop: Stop, turn: &mut Turn) {
        let cause = match stop.subcode {
            Cease::PeerDeconfigured => ResetCause::NeighborDeleted,
            _ => ResetCause::AdminShutdown,
        };
        let message = cease_with_words(stop.subcode, stop.message.as_deref());
        self.stop_all(cause, Some((message, stop.hard)), turn);
        self.failures = 0;
        self.mode = Mode::Idle(IdleReason::AdminShutdown);
    }

    pub(super) fn automatic_stop(&mut self, stop: AutomaticStop, turn: &mut Turn) {
        let limit = ResetCause::MaximumPrefixes;
        if let Mode::Idle(reason) = self.mode
            && (matches!(
                reason,
                IdleReason::NotStarted | IdleReason::AdminShutdown | IdleReason::GracefulStop
            ) || reason == IdleReason::Waiting(limit)
                || matches!(reason, IdleReason::Hold { cause, .. } if cause == limit))
        {
            // Stopped for a better reason: an interface that goes down and up
            // again must not bring back a peer that sent too much.
            return;
        }
        let AutomaticStop {
            cause,
            notification,
            restart,
        } = stop;
        self.stop_all(cause, notification.map(|n| (n, false)), turn);
        // Also out of a hold-off: a peer whose interface went down must not be
        // tried when the timer ends.
        self.mode = Mode::Running(Running::default());
        let next = match restart {
            Restart::IdleHold => Next::Failed(cause),
            Restart::After(time) => Next::After(time, cause),
            Restart::WhenStarted => Next::Stay(IdleReason::Waiting(cause)),
        };
        self.settle(next, turn);
    }

    pub(super) fn graceful_stop(&mut self, turn: &mut Turn) {
        self.stop_all(ResetCause::GracefulStop, None, turn);
        self.mode = Mode::Idle(match self.mode {
            Mode::Idle(IdleReason::AdminShutdown) => IdleReason::AdminShutdown,
            _ => IdleReason::GracefulStop,
        });
    }

    /// Drops what there is, and begins anew at once. A peer that is shut down
    /// stays so.
    pub(super) fn reset(&mut self, reset: Reset, turn: &mut Turn) {
        if let Mode::Idle(
            IdleReason::NotStarted | IdleReason::AdminShutdown | IdleReason::GracefulStop,
        ) = self.mode
        {
            return;
        }
        let message = cease_with_words(reset.subcode, reset.message.as_deref());
        self.stop_all(reset.cause, Some((message, reset.hard)), turn);
        self.failures = 0;
        self.start(turn);
    }

    /// Ends every connection. The session's NOTIFICATION goes inside of a Hard
    /// Reset where that is asked for, and where the peer would keep our routes
    /// otherwise.
    fn stop_all(
        &mut self,
        cause: ResetCause,
        message: Option<(Notification, bool)>,
        turn: &mut Turn,
    ) {
        let graceful = self
            .session()
            .is_some_and(|s| s.negotiated.graceful_notification);
        let told = self.conns().iter().any(|c| c.ends.is_some());
        let (plain, last) = match message {
            Some((message, hard)) => {
                let wrapped = (hard && graceful).then(|| Notification::hard_reset(&message));
                let last = wrapped.unwrap_or_else(|| message.clone());
                (Ending::sent(cause, message), Ending::sent(cause, last))
            }
            None => (Ending::quiet(cause), Ending::quiet(cause)),
        };
        // The session comes last, so that its end is what is remembered.
        while let Some(conn) = self.take_where(|c| !c.is_established()) {
            self.end(conn, plain.clone(), turn);
        }
        if let Some(conn) = self.take_where(Conn::is_established) {
            self.end(conn, last, turn);
        }
        if !told {
            self.note_cause(&Ending::quiet(cause), turn);
        }
    }
}

// ===== time =====

impl Fsm {
    /// Every timer that is due, the fatal ones first: a connection that ends
    /// now gets no KEEPALIVE.
    pub(super) fn tick(&mut self, turn: &mut Turn) {
        if let Mode::Idle(reason) = self.mode {
            if let IdleReason::Hold { until, .. } = reason
                && until <= turn.now
            {
                turn.event = "IdleHoldTimer";
                self.start(turn);
            }
            return;
        }
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= turn.now);
        let hold: Vec<ConnId> = self.ids_where(|c| due(c.hold()));
        let send_hold: Vec<ConnId> = self.ids_where(|c| due(c.send_hold()));
        for id in hold {
            turn.event = "HoldTimer";
            self.timed_out(id, ResetCause::HoldTimerExpired, turn);
        }
        for id in send_hold {
            turn.event = "SendHoldTimer";
            self.timed_out(id, ResetCause::SendHoldTimerExpired, turn);
        }
        self.keepalives(turn);
        let now = turn.now;
        if self
            .running()
            .is_some_and(|r| r.retry.is_some_and(|at| at <= now))
        {
            turn.event = "ConnectRetryTimer";
            self.connect_retry(turn);
        }
    }

    fn ids_where(&self, wanted: impl Fn(&Conn) -> bool) -> Vec<ConnId> {
        self.conns()
            .iter()
            .filter(|c| wanted(c))
            .map(|c| c.id)
            .collect()
    }

    fn timed_out(&mut self, id: ConnId, cause: ResetCause, turn: &mut Turn) {
        // Both of its timers may have been due.
        let Some(conn) = self.take_where(|c| c.id == id) else {
            return;
        };
        let message = match cause {
            ResetCause::SendHoldTimerExpired => Notification::send_hold_timer_expired(),
            _ => Notification::hold_timer_expired(),
        };
        let ending = Ending::sent(cause, message);
        self.end(conn, ending, turn);
        self.settle(Next::Failed(cause), turn);
    }

    fn keepalives(&mut self, turn: &mut Turn) {
        let Mode::Running(running) = &mut self.mode else {
            return;
        };
        for conn in &mut running.conns {
            let id = conn.id;
            let Some(agreed) = conn.agreed_mut() else {
                continue;
            };
            if agreed.keepalive.is_some_and(|at| at <= turn.now) {
                agreed.restart_keepalive(turn.now, &mut self.jitter);
                if turn.actions.is_empty() {
                    turn.event = "KeepaliveTimer";
                }
                turn.send(id, Outgoing::Keepalive);
            }
        }
    }

    /// RFC 4271 section 8.2.2, event 9: an attempt that hangs is given up, and
    /// the next one made. While the peer's connection is under way there is no
    /// need for ours.
    fn connect_retry(&mut self, turn: &mut Turn) {
        if let Some(conn) = self.take_where(|c| matches!(c.phase, Phase::Connecting)) {
            self.end(conn, Ending::quiet(ResetCause::WaitingForOpen), turn);
        }
        let Some(running) = self.running() else {
            return;
        };
        running.retry = None;
        if running.conns.is_empty() && !self.params.passive {
            self.connect(turn);
        }
    }
}
