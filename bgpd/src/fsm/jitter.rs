//! Jitter for timers (RFC 4271 section 10), from a generator of its own so that
//! a seed repeats everything.

use std::time::Duration;

/// Parts of which the scale has this many: 75 % to 100 % in steps of 2^-16.
const STEPS: u64 = 1 << 16;

/// A small generator (SplitMix64). Not for secrets.
#[derive(Debug, Clone)]
pub(super) struct Jitter {
    state: u64,
}

impl Jitter {
    pub(super) const fn new(seed: u64) -> Jitter {
        Jitter { state: seed }
    }

    const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The time, times a random factor from 0.75 to 1.
    pub(super) fn scale(&mut self, time: Duration) -> Duration {
        let part = self.next() % (STEPS + 1);
        // 3/4 + part / (4 * STEPS), in integers.
        let nanos = time.as_nanos();
        let scaled = nanos.saturating_mul(u128::from(3 * STEPS + part)) / u128::from(4 * STEPS);
        Duration::from_nanos(u64::try_from(scaled).unwrap_or(u64::MAX))
    }
}
