//! How many turns a daemon has in a scenario: slow ones fewer, so that the
//! others' numbers are not hours away, and quick ones more where runs are short.

use std::time::Duration;

/// A run that takes longer is a slow one.
const SLOW: Duration = Duration::from_secs(60);
/// A run whose first number is below that, in seconds, is a short one.
const SHORT: f64 = 3.0;
/// After so many runs that did not end in time the daemon is given up.
const PATIENCE: u32 = 2;

/// Which turns there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Rounds for everybody.
    pub(super) rounds: u32,
    /// How many times as many for short runs.
    pub(super) multiplier: u32,
    /// Rounds for those whose first run was slow, if they have fewer.
    pub(super) slow_rounds: Option<u32>,
}

/// What a daemon may do in a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It has its turn.
    Run,
    /// It would have had one, but for this reason.
    Skip(String),
    /// It has had all of its turns.
    Over,
}

/// How a run went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run {
    /// From the making of its network to its end.
    pub(super) took: Duration,
    /// Its first number.
    pub(super) main: Option<f64>,
    /// It did not end in time.
    pub(super) timed_out: bool,
}

/// The runs of one case so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Past {
    runs: Vec<Run>,
}

impl Limits {
    /// The number of the last round that anybody may be in.
    pub(super) fn last_round(&self) -> u32 {
        self.rounds * self.multiplier
    }

    /// What a case with this past may do in round `round`, from 1.
    pub(super) fn turn(&self, past: &Past, round: u32) -> Turn {
        let timeouts = past.runs.iter().filter(|run| run.timed_out).count();
        let slow_first = past.runs.first().filter(|run| run.took > SLOW);
        let had = past.runs.len();
        if round > self.rounds {
            let short = |run: &Run| run.main.is_some_and(|seconds| seconds < SHORT);
            return match had > 0 && past.runs.iter().all(short) {
                true => Turn::Run,
                false => Turn::Over,
            };
        }
        if timeouts >= PATIENCE as usize {
            return Turn::Skip(format!("{PATIENCE} did not end in time"));
        }
        match (slow_first, self.slow_rounds) {
            (Some(first), Some(rounds)) if had >= rounds as usize => {
                let seconds = first.took.as_secs_f64();
                Turn::Skip(format!("the first one took {seconds:.0} s"))
            }
            _ => Turn::Run,
        }
    }
}

impl Past {
    pub(super) fn add(&mut self, run: Run) {
        self.runs.push(run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seconds: u64, main: f64) -> Run {
        Run {
            took: Duration::from_secs(seconds),
            main: Some(main),
            timed_out: false,
        }
    }

    fn past(runs: &[Run]) -> Past {
        Past {
            runs: runs.to_vec(),
        }
    }

    const LIMITS: Limits = Limits {
        rounds: 4,
        multiplier: 3,
        slow_rounds: Some(1),
    };

    #[test]
    fn a_slow_first_run_is_the_last_one() {
        assert_eq!(LIMITS.turn(&past(&[]), 1), Turn::Run);
        assert_eq!(LIMITS.turn(&past(&[run(59, 50.0)]), 2), Turn::Run);
        let slow = past(&[run(61, 50.0)]);
        let reason = "the first one took 61 s".to_owned();
        assert_eq!(LIMITS.turn(&slow, 2), Turn::Skip(reason));
        let patient = Limits {
            slow_rounds: None,
            ..LIMITS
        };
        assert_eq!(patient.turn(&slow, 2), Turn::Run);
        // Slow ones in the middle are the machine's doing rather.
        let later = past(&[run(59, 50.0), run(61, 50.0)]);
        assert_eq!(LIMITS.turn(&later, 3), Turn::Run);
    }

    #[test]
    fn two_timeouts_end_it() {
        let late = Run {
            timed_out: true,
            main: None,
            ..run(30, 0.0)
        };
        assert_eq!(LIMITS.turn(&past(&[late]), 2), Turn::Run);
        let twice = past(&[late, run(5, 4.0), late]);
        let reason = "2 did not end in time".to_owned();
        assert_eq!(LIMITS.turn(&twice, 4), Turn::Skip(reason));
    }

    #[test]
    fn further_rounds_are_for_short_runs() {
        assert_eq!(LIMITS.last_round(), 12);
        let short = run(5, 0.2);
        assert_eq!(LIMITS.turn(&past(&[short; 4]), 5), Turn::Run);
        assert_eq!(LIMITS.turn(&past(&[short, run(5, 3.1)]), 5), Turn::Over);
        let failed = Run {
            main: None,
            ..short
        };
        assert_eq!(LIMITS.turn(&past(&[short, failed]), 5), Turn::Over);
        // One that cannot do it at all.
        assert_eq!(LIMITS.turn(&past(&[]), 5), Turn::Over);
    }
}
