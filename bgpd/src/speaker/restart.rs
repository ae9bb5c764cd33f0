//! A graceful restart of our own (RFC 4724 section 4.1).
//!
//! The run before left its routes in the kernel, and its peers keep ours. So
//! that neither loses a packet, nothing changes until we know again what we
//! knew: the kernel keeps what it has, and nobody is told anything, least of
//! all End-of-RIB, which would make the peers drop what we have not learned
//! yet. When every peer has said everything, or time is up, the kernel gets the
//! new routes, then what is left of the old ones goes, and the peers are told.

use std::time::{Duration, Instant};

use holdfast_config::model::Shutdown;
use holdfast_fib::{Family, FibError, FibHandle};

use super::core::Core;
use super::peers::{Peer, Up};

/// How often progress is looked at when nothing happens.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What a peer gets to send its table that may send no End-of-RIB: one without
/// graceful restart, and one that restarts itself and may be waiting for ours
/// (RFC 4724 section 4.1 excludes it).
const UNMARKED: Duration = Duration::from_secs(10);

/// The restart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Restarting {
    deadline: Instant,
}

impl Restarting {
    /// Whether this is a restart: an earlier run left routes in the kernel.
    /// `time` is how long it may take; none where no restart is configured.
    pub(super) async fn found(
        fib: &FibHandle,
        time: Option<Duration>,
    ) -> Result<Option<Restarting>, FibError> {
        let Some(time) = time else { return Ok(None) };
        for family in [Family::V4, Family::V6] {
            if !fib.routes(family).await?.is_empty() {
                tracing::info!("routes of an earlier run are kept while they are learned again");
                return Ok(Some(Restarting {
                    deadline: Instant::now() + time,
                }));
            }
        }
        // Nexthop objects without routes serve nobody.
        fib.sweep_stale().await?;
        Ok(None)
    }

    /// When to look at progress again.
    pub(super) fn look_again(&self) -> Instant {
        self.deadline.min(Instant::now() + LOOK_AGAIN)
    }
}

impl Core {
    /// Ends the restart when it is time.
    pub(super) fn check_restart(&mut self) {
        let Some(restart) = self.restart else { return };
        let why = if restart.deadline <= Instant::now() {
            "time is up"
        } else if (!self.peers.is_empty() || self.leaks.are_taken())
            && self.has_learned()
            && self.leaks.are_complete()
        {
            "every peer said everything"
        } else {
            return;
        };
        tracing::info!(why, "the graceful restart is over");
        self.restart = None;
        self.sweep = true;
        self.more = true;
        // Sessions from now on are not those of a restarting router.
        self.apply_peers();
    }

    /// Whether we know again what our own neighbors told before.
    pub(super) fn has_learned(&self) -> bool {
        let learned = || {
            self.peers.values().all(said_everything)
                // What was learned last may wait for its next hop.
                && self.in_flight.is_none()
                && self.unanswered.is_empty()
        };
        self.restart.is_none() || learned()
    }

    /// The kernel has all that we know: the rest of its routes are those of
    /// the run before.
    pub(super) fn pump_sweep(&mut self) {
        if self.restart.is_none() && std::mem::take(&mut self.sweep) {
            let fib = self.fib.clone();
            self.in_flight = Some(Box::pin(async move { fib.sweep_stale().await }));
        }
    }
}

fn said_everything(peer: &Peer) -> bool {
    match &peer.up {
        Some(up) => peer_said_everything(up),
        None => matches!(peer.settings.shutdown, Shutdown::On { .. }),
    }
}

fn peer_said_everything(up: &Up) -> bool {
    if up.end_of_rib_received == up.negotiated.families {
        return true;
    }
    let marks = up.negotiated.graceful_restart.as_ref();
    marks.is_none_or(|restart| restart.restarting) && up.since.elapsed() >= UNMARKED
}
