//! What was wrong with a peer's UPDATEs, for the log: a peer that sends nothing
//! else must not fill the disk.

use std::time::{Duration, Instant};

use bgp_wire::Fault;

/// Time in which a peer has so many lines.
const WINDOW: Duration = Duration::from_secs(10);
/// Lines of a peer in a window.
const LINES: u32 = 10;

/// Lines that were written, and those that were not.
#[derive(Debug, Default)]
pub(super) struct FaultLog {
    since: Option<Instant>,
    written: u32,
    left_out: u64,
}

impl FaultLog {
    /// Logs what there is room for.
    pub(super) fn log(&mut self, peer: &dyn std::fmt::Display, faults: &[Fault]) {
        for fault in faults {
            let left_out = self.left_out;
            if self.may_write(Instant::now()) {
                if left_out > 0 {
                    tracing::warn!(%peer, left_out, "more malformed UPDATEs came than were logged");
                }
                tracing::warn!(%peer, %fault, "malformed UPDATE");
            }
        }
    }

    /// Whether there is room for a line. The first of a new window says what
    /// was left out in the last.
    fn may_write(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now - since >= WINDOW) {
            *self = FaultLog {
                since: Some(now),
                ..FaultLog::default()
            };
        }
        let room = self.written < LINES;
        if room {
            self.written += 1;
        } else {
            self.left_out += 1;
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_a_new_window_has_room_again() {
        let mut log = FaultLog::default();
        let start = Instant::now();
        let written = (0..1000).filter(|_| log.may_write(start)).count();
        assert_eq!((written, log.left_out), (10, 990));
        assert!(!log.may_write(start + WINDOW / 2));
        assert!(log.may_write(start + WINDOW));
        assert_eq!((log.written, log.left_out), (1, 0));
    }
}
