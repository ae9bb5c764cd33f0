//! Times as FRR writes them.

use chrono::{DateTime, Local, TimeZone, Utc};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
const YEAR: u64 = 365 * DAY;

/// The moment an answer is given, and how its times are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// Show dates in UTC instead of the zone of this host.
    pub utc: bool,
}

impl Clock {
    /// The current time in the zone of this host.
    pub fn now() -> Self {
        let now_ms = u64::try_from(Utc::now().timestamp_millis()).unwrap_or(0);
        Self { now_ms, utc: false }
    }

    /// Whole seconds from `since_ms` until now.
    pub(crate) fn seconds_since(&self, since_ms: u64) -> u64 {
        self.now_ms.saturating_sub(since_ms) / 1000
    }

    /// `00:00:14`, `1d02h03m`, `01w2d03h`, `01y02w3d`, or `never` for 0.
    pub(crate) fn interval(&self, since_ms: u64) -> String {
        if since_ms == 0 {
            "never".to_owned()
        } else {
            interval(self.seconds_since(since_ms))
        }
    }

    /// `Fri Nov 20 21:03:16 2026`.
    pub(crate) fn date(&self, ms: u64) -> String {
        const FORMAT: &str = "%a %b %e %H:%M:%S %Y";
        let seconds = i64::try_from(ms / 1000).unwrap_or(0);
        let utc = DateTime::<Utc>::from_timestamp(seconds, 0).unwrap_or_default();
        if self.utc {
            utc.format(FORMAT).to_string()
        } else {
            Local
                .from_utc_datetime(&utc.naive_utc())
                .format(FORMAT)
                .to_string()
        }
    }
}

/// A duration of `seconds` in eight to nine characters.
pub(crate) fn interval(seconds: u64) -> String {
    if seconds < DAY {
        format!(
            "{:02}:{:02}:{:02}",
            seconds / HOUR,
            seconds % HOUR / MINUTE,
            seconds % MINUTE
        )
    } else if seconds < WEEK {
        format!(
            "{}d{:02}h{:02}m",
            seconds / DAY,
            seconds % DAY / HOUR,
            seconds % HOUR / MINUTE
        )
    } else if seconds < YEAR {
        format!(
            "{:02}w{}d{:02}h",
            seconds / WEEK,
            seconds % WEEK / DAY,
            seconds % DAY / HOUR
        )
    } else {
        format!(
            "{:02}y{:02}w{}d",
            seconds / YEAR,
            seconds % YEAR / WEEK,
            seconds % WEEK / DAY
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_change_units() {
        assert_eq!(interval(14), "00:00:14");
        assert_eq!(interval(DAY - 1), "23:59:59");
        assert_eq!(interval(DAY + 2 * HOUR + 3 * MINUTE), "1d02h03m");
        assert_eq!(interval(WEEK + 2 * DAY + 3 * HOUR), "01w2d03h");
        assert_eq!(interval(YEAR + 2 * WEEK), "01y02w1d");
    }

    #[test]
    fn days_are_padded_with_a_blank() {
        let clock = Clock {
            now_ms: 1_795_208_604_000,
            utc: true,
        };
        assert_eq!(clock.date(1_795_208_596_000), "Fri Nov 20 21:03:16 2026");
        assert_eq!(clock.date(1_793_999_000_000), "Fri Nov  6 21:03:20 2026");
        assert_eq!(clock.interval(0), "never");
        assert_eq!(clock.interval(1_795_208_590_000), "00:00:14");
        assert_eq!(clock.interval(clock.now_ms + 5000), "00:00:00");
    }
}
