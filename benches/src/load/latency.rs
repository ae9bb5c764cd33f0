//! Marked routes: when each was sent, when it arrived, and what that means.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::load::encode::{Announcer, Encoded, Encoder};
use crate::load::table::Table;

/// Times from sending a route to receiving it, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// How many marks arrived.
    pub count: usize,
    /// How many did not.
    pub lost: usize,
    /// The median.
    pub p50: f64,
    /// Nine of ten were faster.
    pub p90: f64,
    /// Ninety-nine of a hundred were faster.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
    /// The mean.
    pub mean: f64,
}

impl Latency {
    /// The percentiles of `samples` (nearest rank).
    pub fn of(mut samples: Vec<Duration>, lost: usize) -> Self {
        samples.sort_unstable();
        let micros = |d: &Duration| d.as_secs_f64() * 1e6;
        let rank = |q: f64| {
            let position = (q * samples.len() as f64).ceil() as usize;
            samples.get(position.saturating_sub(1)).map_or(0.0, micros)
        };
        let total: f64 = samples.iter().map(micros).sum();
        Self {
            count: samples.len(),
            lost,
            p50: rank(0.5),
            p90: rank(0.9),
            p99: rank(0.99),
            max: rank(1.0),
            mean: total / samples.len().max(1) as f64,
        }
    }
}

/// Marks on a ring of prefixes. Mark number `n` goes on prefix `n` modulo the
/// size of the ring; a later mark on the same prefix that arrives answers the
/// earlier ones that a daemon may rightly have passed over.
#[derive(Debug)]
pub struct Marks {
    positions: Vec<usize>,
    sent: Vec<Instant>,
    arrived: Vec<Option<Instant>>,
    outstanding: usize,
}

impl Marks {
    /// Marks for the prefixes of a table at `positions`.
    pub fn new(positions: Vec<usize>) -> Self {
        Self {
            positions,
            sent: Vec::new(),
            arrived: Vec::new(),
            outstanding: 0,
        }
    }

    /// The announcement of the next mark, and its number. It is taken as sent
    /// now.
    pub fn next(&mut self, table: &Table, announcer: &Announcer) -> (u32, Encoded) {
        let number = self.sent.len();
        let position = self.positions[number % self.positions.len()];
        let mut encoder = Encoder::new(table.family());
        let set = &table.sets()[table.set_of(position)];
        let prefix = &table.prefixes()[position..=position];
        encoder.announce(announcer, set, prefix, Some(number as u32));
        self.arrived.push(None);
        self.outstanding += 1;
        self.sent.push(Instant::now());
        (number as u32, encoder.finish())
    }

    /// Takes in what arrived.
    pub fn arrived(&mut self, marks: impl IntoIterator<Item = (u32, Instant)>) {
        let ring = self.positions.len();
        for (number, when) in marks {
            let mut at = number as usize;
            while let Some(slot @ None) = self.arrived.get_mut(at) {
                *slot = Some(when);
                self.outstanding -= 1;
                match at.checked_sub(ring) {
                    Some(earlier) => at = earlier,
                    None => break,
                }
            }
        }
    }

    /// How many marks are on their way.
    pub fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// When mark `number` arrived.
    pub fn arrival(&self, number: u32) -> Option<Instant> {
        self.arrived.get(number as usize).copied().flatten()
    }

    /// The latencies of the marks so far.
    pub fn latency(&self) -> Latency {
        let samples = self.sent.iter().zip(&self.arrived);
        let samples = samples
            .filter_map(|(sent, arrived)| Some(arrived.as_ref()?.saturating_duration_since(*sent)));
        Latency::of(samples.collect(), self.outstanding)
    }
}
