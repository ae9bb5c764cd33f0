//! One connection: its phase, and what exists only in that phase.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bgp_wire::Open;

use super::ids::{ConnId, ConnState, Generation, Role};
use super::jitter::Jitter;
use super::negotiate::Negotiated;

/// RFC 9687 section 4: no less than 8 minutes, and twice the hold time.
const SEND_HOLD_MIN: Duration = Duration::from_secs(8 * 60);
/// RFC 4271 section 4.4: no more than one KEEPALIVE in a second.
const KEEPALIVE_MIN: Duration = Duration::from_secs(1);

/// A connection.
#[derive(Debug, Clone)]
pub(super) struct Conn {
    pub(super) id: ConnId,
    pub(super) role: Role,
    /// Both ends, ours first; none while TCP connects.
    pub(super) ends: Option<(SocketAddr, SocketAddr)>,
    pub(super) phase: Phase,
}

/// Where a connection is.
#[derive(Debug, Clone)]
pub(super) enum Phase {
    Connecting,
    OpenSent(Waiting),
    OpenConfirm(Box<Agreed>),
    Established(Box<Session>),
}

/// Waiting for the peer's OPEN.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    /// What we sent: the parameters may have changed since.
    pub(super) ours: Box<Open>,
    pub(super) hold: Instant,
}

/// Both OPENs are known.
#[derive(Debug, Clone)]
pub(super) struct Agreed {
    pub(super) negotiated: Arc<Negotiated>,
    pub(super) hold: Option<Instant>,
    pub(super) keepalive: Option<Instant>,
    pub(super) send_hold: Option<Instant>,
}

/// The session runs.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) agreed: Agreed,
    pub(super) generation: Generation,
    pub(super) since: Instant,
}

impl Agreed {
    /// Starts the timers. With a hold time of zero the wait for the first
    /// KEEPALIVE is still bounded, by `open_hold`.
    pub(super) fn new(
        negotiated: Arc<Negotiated>,
        open_hold: Duration,
        now: Instant,
        jitter: &mut Jitter,
    ) -> Agreed {
        let hold = if negotiated.hold_time.is_zero() {
            open_hold
        } else {
            negotiated.hold_time
        };
        let mut agreed = Agreed {
            negotiated,
            hold: Some(now + hold),
            keepalive: None,
            send_hold: None,
        };
        agreed.restart_keepalive(now, jitter);
        agreed
    }

    pub(super) fn restart_hold(&mut self, now: Instant) {
        let time = self.negotiated.hold_time;
        self.hold = (!time.is_zero()).then(|| now + time);
    }

    pub(super) fn restart_keepalive(&mut self, now: Instant, jitter: &mut Jitter) {
        let time = self.negotiated.keepalive;
        self.keepalive = (!time.is_zero()).then(|| now + jitter.scale(time).max(KEEPALIVE_MIN));
    }

    /// The socket takes nothing. A timer that runs already goes on.
    pub(super) fn write_blocked(&mut self, configured: Option<Duration>, now: Instant) {
        let time = configured.unwrap_or_else(|| SEND_HOLD_MIN.max(self.negotiated.hold_time * 2));
        if self.send_hold.is_none() && !time.is_zero() {
            self.send_hold = Some(now + time);
        }
    }
}

impl Conn {
    pub(super) const fn state(&self) -> ConnState {
        match self.phase {
            Phase::Connecting => ConnState::Connecting,
            Phase::OpenSent(_) => ConnState::OpenSent,
            Phase::OpenConfirm(_) => ConnState::OpenConfirm,
            Phase::Established(_) => ConnState::Established,
        }
    }

    pub(super) const fn is_established(&self) -> bool {
        matches!(self.phase, Phase::Established(_))
    }

    pub(super) const fn agreed(&self) -> Option<&Agreed> {
        match &self.phase {
            Phase::Connecting | Phase::OpenSent(_) => None,
            Phase::OpenConfirm(agreed) => Some(agreed),
            Phase::Established(session) => Some(&session.agreed),
        }
    }

    pub(super) const fn agreed_mut(&mut self) -> Option<&mut Agreed> {
        match &mut self.phase {
            Phase::Connecting | Phase::OpenSent(_) => None,
            Phase::OpenConfirm(agreed) => Some(agreed),
            Phase::Established(session) => Some(&mut session.agreed),
        }
    }

    pub(super) const fn hold(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Connecting => None,
            Phase::OpenSent(waiting) => Some(waiting.hold),
            Phase::OpenConfirm(agreed) => agreed.hold,
            Phase::Established(session) => session.agreed.hold,
        }
    }

    pub(super) fn keepalive(&self) -> Option<Instant> {
        self.agreed().and_then(|a| a.keepalive)
    }

    pub(super) fn send_hold(&self) -> Option<Instant> {
        self.agreed().and_then(|a| a.send_hold)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        [self.hold(), self.keepalive(), self.send_hold()]
            .into_iter()
            .flatten()
            .min()
    }
}
