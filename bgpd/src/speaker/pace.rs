//! How often the FIB hears of changes while more news waits to be taken in.
//!
//! A prefix that several peers announce is better written once, with all of its
//! next hops, than once for each of them: the kernel's time is what the news
//! needs too.

use std::time::{Duration, Instant};

/// The FIB hears of what came of the last news no sooner than this.
const LAG: Duration = Duration::from_millis(50);
/// Nor later than this, however much of it will turn out to be in vain.
const LONGEST: Duration = Duration::from_millis(500);
/// News comes in waves: so long after the last that had to wait, more is
/// expected.
const LULL: Duration = Duration::from_millis(10);

/// Decides when the FIB is told.
#[derive(Debug)]
pub(super) struct Pace {
    /// Until when more news is expected.
    busy: Option<Instant>,
    /// Not before this, while it is.
    next: Instant,
    lag: Duration,
    /// When to look again, where something was put off.
    pub(super) due: Option<Instant>,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Pace {
        Pace {
            busy: None,
            next: now,
            lag: LAG,
            due: None,
        }
    }

    /// News waits.
    pub(super) fn backlog(&mut self, now: Instant) {
        if self.busy.is_none() {
            self.next = self.next.max(now + LAG);
        }
        self.busy = Some(now + LULL);
    }

    /// Whether the FIB is told now.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        self.due = None;
        let Some(until) = self.busy else { return true };
        if now >= until {
            self.busy = None;
            return true;
        }
        if now < self.next {
            self.due = Some(until.min(self.next));
            return false;
        }
        true
    }

    /// The FIB was told of so many changes, so many of them `again`; `all` that
    /// there were or not. Whether nothing is to be expected after it.
    pub(super) fn told(&mut self, now: Instant, (count, again): (usize, usize), all: bool) -> bool {
        if self.busy.is_none() {
            self.lag = LAG;
            self.next = now;
            return all;
        }
        if again * 4 > count {
            self.lag = (self.lag * 2).min(LONGEST);
            self.next = now + self.lag;
        } else {
            self.lag = LAG;
            self.next = if all { now + LAG } else { now };
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn without_a_backlog_everything_is_told_at_once() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for ms in 0..5 {
            assert!(pace.allows(after(start, ms)));
            assert!(pace.told(after(start, ms), (10, 10), true));
        }
        assert_eq!(pace.due, None);
    }

    #[test]
    fn new_prefixes_flow_and_the_same_ones_have_to_wait_longer_each_time() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.backlog(start);
        assert!(!pace.allows(start));
        let mut now = start;
        let mut turns = Vec::new();
        for again in [0, 0, 8, 8, 8, 8, 8, 0, 0] {
            let from = now;
            while !pace.allows(now) {
                pace.backlog(now);
                now += Duration::from_millis(1);
            }
            turns.push(now.duration_since(from).as_millis());
            assert!(!pace.told(now, (10, again), false));
        }
        assert_eq!(turns, [50, 0, 0, 100, 200, 400, 500, 500, 0]);
    }

    #[test]
    fn what_was_put_off_is_told_when_no_more_comes() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.backlog(start);
        assert!(!pace.allows(after(start, 1)));
        let due = pace.due.expect("a time to look again");
        assert_eq!(due, start + LULL);
        assert!(pace.allows(due));
        assert!(pace.told(due, (10, 0), true));
    }
}
