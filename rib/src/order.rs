//! Prefixes in order, for queries: built when somebody first asks.

use std::collections::BTreeSet;

use crate::table::Start;

/// Sorted prefixes. What came since it was built stands beside the rest; what
/// is gone since is still in it, and the reader looks whether it is there.
#[derive(Debug)]
pub(crate) struct Order<P> {
    sorted: Vec<P>,
    recent: BTreeSet<P>,
}

impl<P: Copy + Ord> Order<P> {
    pub(crate) fn new(prefixes: impl Iterator<Item = P>) -> Order<P> {
        let mut sorted: Vec<P> = prefixes.collect();
        sorted.sort_unstable();
        Order {
            sorted,
            recent: BTreeSet::new(),
        }
    }

    /// Notes a new prefix. False where so many are new that sorting again is
    /// cheaper than to go on.
    pub(crate) fn add(&mut self, prefix: P) -> bool {
        if self.sorted.binary_search(&prefix).is_err() {
            self.recent.insert(prefix);
        }
        self.recent.len() <= self.sorted.len() / 8 + 4096
    }

    /// Prefixes in order from `start` on.
    pub(crate) fn from(&self, start: Start<P>) -> impl Iterator<Item = P> + '_ {
        let before = |prefix: &P| match start {
            Start::First => false,
            Start::At(first) => *prefix < first,
            Start::After(last) => *prefix <= last,
        };
        let at = self.sorted.partition_point(before);
        let mut sorted = self.sorted.iter().skip(at).copied().peekable();
        let mut recent = match start {
            Start::First => self.recent.range(..),
            Start::At(first) => self.recent.range(first..),
            Start::After(last) => self.recent.range((
                core::ops::Bound::Excluded(last),
                core::ops::Bound::Unbounded,
            )),
        }
        .copied()
        .peekable();
        core::iter::from_fn(move || match (sorted.peek(), recent.peek()) {
            (Some(a), Some(b)) if b < a => recent.next(),
            (Some(_), _) => sorted.next(),
            (None, _) => recent.next(),
        })
    }
}
