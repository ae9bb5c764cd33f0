//! How connections end: what the peer is told, what the session task is told,
//! what is remembered, and where the peer goes from there.

use std::time::Duration;

use bgp_wire::{Cease, Notification};

use super::action::{Action, SessionDown};
use super::conn::{Conn, Phase};
use super::ids::State;
use super::machine::{Fsm, IdleReason, Mode, Running, Turn};
use super::negotiate::Negotiated;
use super::reset::{Direction, DownReason, LastReset, ResetCause};

/// How one connection ends.
#[derive(Debug, Clone)]
pub(super) struct Ending {
    pub(super) cause: ResetCause,
    pub(super) notification: Option<(Direction, Notification)>,
    /// The socket is gone already: there is nothing to close.
    pub(super) gone: bool,
}

impl Ending {
    pub(super) const fn quiet(cause: ResetCause) -> Ending {
        Ending {
            cause,
            notification: None,
            gone: false,
        }
    }

    pub(super) const fn gone(cause: ResetCause) -> Ending {
        Ending {
            cause,
            notification: None,
            gone: true,
        }
    }

    pub(super) const fn sent(cause: ResetCause, notification: Notification) -> Ending {
        Ending {
            cause,
            notification: Some((Direction::Sent, notification)),
            gone: false,
        }
    }

    pub(super) const fn received(notification: Notification) -> Ending {
        Ending {
            cause: ResetCause::NotificationReceived,
            notification: Some((Direction::Received, notification)),
            gone: false,
        }
    }

    pub(super) fn collision() -> Ending {
        Ending::sent(
            ResetCause::Collision,
            Notification::cease(Cease::ConnectionCollision),
        )
    }

    /// Whether the session's routes are to be kept as stale.
    fn keeps_routes(&self, negotiated: &Negotiated) -> bool {
        let restart = negotiated.graceful_restart.as_ref();
        // A peer that lists no family only helps others; its own routes do not
        // come back the same.
        let preserving = restart.is_some_and(|r| !r.families.is_empty());
        match self.cause {
            ResetCause::GracefulStop => restart.is_some(),
            // RFC 4724 section 4.2: the connection ended without a NOTIFICATION.
            ResetCause::PeerClosed | ResetCause::PeerRestarted => preserving,
            // What took the peer away takes its routes away.
            ResetCause::AdminShutdown
            | ResetCause::NeighborDeleted
            | ResetCause::BfdDown
            | ResetCause::InterfaceDown
            | ResetCause::NeighborAddressLost
            | ResetCause::WaitingForNextHop
            | ResetCause::MaximumPrefixes => false,
            // RFC 8538 section 4: with the N bit a NOTIFICATION, or the end of
            // the hold time, is no worse than a lost connection, but for a Hard
            // Reset.
            _ => preserving && negotiated.graceful_notification && !self.is_hard_reset(),
        }
    }

    fn is_hard_reset(&self) -> bool {
        self.notification
            .as_ref()
            .is_some_and(|(_, n)| n.cease_reason() == Some(Cease::HardReset))
    }
}

/// Where the peer goes when its last connection ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next {
    /// Active: wait for the peer and for ConnectRetry (RFC 4271, event 18 in
    /// OpenSent).
    Retry,
    /// The peer would not have us now (Cease/5). Active: listen, and try again
    /// after the back-off. Were we to go Idle and refuse in turn, two ends that
    /// hold off at different times could refuse each other for ever.
    Rejected,
    /// Idle, and back after a while; the while grows with each failure.
    Failed(ResetCause),
    /// The same, but nobody did anything wrong: the while does not grow.
    Unlucky(ResetCause),
    /// Idle for that time.
    After(Duration, ResetCause),
    /// Idle for good.
    Stay(IdleReason),
}

/// A Cease with the operator's words, with those subcodes only that may carry
/// them (RFC 9003).
pub(super) fn cease_with_words(subcode: Cease, words: Option<&str>) -> Notification {
    match subcode {
        Cease::AdministrativeShutdown | Cease::AdministrativeReset => {
            Notification::shutdown(subcode, words.unwrap_or_default())
        }
        _ => Notification::cease(subcode),
    }
}

pub(super) fn describe(ending: &Ending) -> String {
    match &ending.notification {
        Some((Direction::Sent, n)) => {
            format!("{}, sent {}/{}", ending.cause.words(), n.code, n.subcode)
        }
        Some((Direction::Received, n)) => {
            format!("{} {}/{}", ending.cause.words(), n.code, n.subcode)
        }
        None => ending.cause.words().to_owned(),
    }
}

impl Fsm {
    /// Ends a connection that was taken out. The peer's mode is left to
    /// [`Fsm::settle`].
    pub(super) fn end(&mut self, conn: Conn, mut ending: Ending, turn: &mut Turn) {
        if matches!(conn.phase, Phase::Connecting) {
            // There is no one to tell yet.
            ending.notification = None;
        }
        if turn.detail.is_empty() {
            turn.detail = describe(&ending);
        }
        if let Some((Direction::Sent, message)) = &ending.notification {
            turn.notify(conn.id, message.clone());
        }
        if !ending.gone {
            turn.act(match conn.phase {
                Phase::Connecting => Action::CancelConnect { conn: conn.id },
                _ => Action::Close { conn: conn.id },
            });
        }
        self.note_reset(&conn, &ending, turn);
        if let Phase::Established(session) = conn.phase {
            self.counters.dropped += 1;
            if turn.now.saturating_duration_since(session.since) >= self.params.timing.stable_after
            {
                self.failures = 0;
            }
            turn.act(Action::SessionDown(Box::new(SessionDown {
                conn: conn.id,
                generation: session.generation,
                reason: DownReason {
                    cause: ending.cause,
                    keep_routes: ending.keeps_routes(&session.agreed.negotiated),
                    notification: ending.notification,
                },
            })));
        }
    }

    /// Why the peer was last reset. The reason why a session was lost is not
    /// overwritten by attempts that do not get as far as a NOTIFICATION, nor by
    /// what happens to a second connection.
    fn note_reset(&mut self, conn: &Conn, ending: &Ending, turn: &Turn) {
        let told = ending.notification.is_some() || conn.is_established();
        let beside = self.conns().iter().any(|c| c.state() >= conn.state());
        let fresh = self
            .last_reset
            .as_ref()
            .is_none_or(|r| r.cause == ResetCause::WaitingForOpen);
        let spare = ending.cause == ResetCause::Collision && !conn.is_established();
        if spare || (beside && !conn.is_established()) || !(told || fresh) {
            return;
        }
        self.last_reset = Some(LastReset {
            when: turn.now,
            cause: ending.cause,
            notification: ending.notification.clone(),
            detail: turn.detail.clone(),
        });
    }

    /// After a connection ended: a failure is counted; where no connection is
    /// left, the peer goes where `next` says.
    pub(super) fn settle(&mut self, next: Next, turn: &Turn) {
        let session_goes_on = self.state() == State::Established;
        if matches!(next, Next::Failed(_) | Next::Rejected) && !session_goes_on {
            self.failures = self.failures.saturating_add(1);
        }
        let Some(running) = self.running() else {
            return;
        };
        if !running.conns.is_empty() {
            return;
        }
        self.mode = match next {
            Next::Retry => Mode::Running(Running {
                conns: Vec::new(),
                retry: self.retry_deadline(turn),
            }),
            Next::Rejected => Mode::Running(Running {
                conns: Vec::new(),
                retry: (!self.params.passive).then(|| turn.now + self.back_off()),
            }),
            Next::Failed(cause) | Next::Unlucky(cause) => Mode::Idle(IdleReason::Hold {
                until: turn.now + self.back_off(),
                cause,
                damped: self.failures > 1,
            }),
            Next::After(time, cause) => Mode::Idle(IdleReason::Hold {
                until: turn.now + time,
                cause,
                damped: true,
            }),
            Next::Stay(reason) => Mode::Idle(reason),
        };
    }

    /// The back-off: doubles from its least to its longest.
    fn back_off(&mut self) -> Duration {
        let timing = self.params.timing;
        let doublings = self.failures.saturating_sub(1).min(31);
        let time = timing
            .idle_hold_min
            .saturating_mul(1 << doublings)
            .min(timing.idle_hold_max);
        self.jitter.scale(time)
    }
}
