//! How often others hear of changes while more news waits to be taken in.
//!
//! A prefix that several peers announce is better written once, with all of its
//! next hops, than once for each of them: the kernel's time is what the news
//! needs too. So it is with a best path that is the next to be withdrawn.

use std::time::{Duration, Instant};

/// Others hear of what came of the last news no sooner than this.
const LAG: Duration = Duration::from_millis(50);
/// Nor later than this, however much of it will turn out to be in vain.
const LONGEST: Duration = Duration::from_millis(500);
/// News comes in waves: so long after the last that had to wait, more is
/// expected.
const LULL: Duration = Duration::from_millis(10);

/// Decides when others are told.
#[derive(Debug)]
pub(super) struct Pace {
    /// Until when more news is expected.
    busy: Option<Instant>,
    /// Not before this, while it is.
    next: Instant,
    /// Since when others may be told.
    open: Option<Instant>,
    lag: Duration,
    /// When to look again, where something was put off.
    pub(super) due: Option<Instant>,
}

impl Pace {
    /// One with nothing to wait for.
    pub(super) fn new(now: Instant) -> Pace {
        Pace {
            busy: None,
            next: now,
            open: None,
            lag: LAG,
            due: None,
        }
    }

    /// For those who are told at once until it is known to be in vain.
    pub(super) fn backlog(&mut self, now: Instant) {
        self.busy = Some(now + LULL);
    }

    /// For those who wait for a first lot even so.
    pub(super) fn backlog_after_lag(&mut self, now: Instant) {
        if self.busy.is_none() {
            self.next = self.next.max(now + LAG);
        }
        self.backlog(now);
    }

    /// Whether others are told now.
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
        self.open.get_or_insert(now);
        true
    }

    /// Others were told. Of so many changes so many were `again`; `all` that
    /// there were have been told, or not. Whether nothing is to be expected.
    pub(super) fn told(&mut self, now: Instant, (count, again): (usize, usize), all: bool) -> bool {
        let Some(open) = self.open.filter(|_| self.busy.is_some()) else {
            *self = Pace::new(now);
            return all;
        };
        if again * 4 <= count {
            self.lag = LAG;
            if all {
                self.close(now);
            }
        } else if all || now.duration_since(open) >= self.lag / 4 {
            // What goes on and on is told a fifth of the time.
            self.lag = (self.lag * 2).min(LONGEST);
            self.close(now);
        }
        false
    }

    fn close(&mut self, now: Instant) {
        self.next = now + self.lag;
        self.open = None;
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
        pace.backlog_after_lag(start);
        assert!(!pace.allows(start));
        let mut now = start;
        let mut turns = Vec::new();
        for (again, all) in [
            (0, false),
            (0, true),
            (8, true),
            (8, true),
            (8, true),
            (8, true),
        ] {
            let from = now;
            while !pace.allows(now) {
                pace.backlog(now);
                now += Duration::from_millis(1);
            }
            turns.push(now.duration_since(from).as_millis());
            assert!(!pace.told(now, (10, again), all));
        }
        assert_eq!(turns, [50, 0, 50, 100, 200, 400]);
    }

    #[test]
    fn a_storm_without_an_end_is_told_a_fifth_of_the_time() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut told = 0;
        for ms in 0..7_500 {
            let now = after(start, ms);
            pace.backlog(now);
            if pace.allows(now) {
                told += 1;
                pace.told(now, (10, 10), false);
            }
        }
        assert!((1_400..1_700).contains(&told), "{told}");
    }

    #[test]
    fn what_was_put_off_is_told_when_no_more_comes() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.backlog_after_lag(start);
        assert!(!pace.allows(after(start, 1)));
        let due = pace.due.expect("a time to look again");
        assert_eq!(due, start + LULL);
        assert!(pace.allows(due));
        assert!(pace.told(due, (10, 0), true));
    }
}
