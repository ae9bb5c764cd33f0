//! What happened to a peer, in two bounded rings: the few entries that changed
//! its state, and everything else. A burst of messages cannot push out the
//! reason why the session was lost yesterday.

use std::collections::VecDeque;
use std::time::Instant;

use super::ids::{ConnId, State};

/// Entries that are kept of state changes.
const MAJOR: usize = 64;
/// Entries that are kept of all events.
const MINOR: usize = 128;
/// How far back an equal entry is looked for: in a running session KEEPALIVEs,
/// UPDATEs and timers alternate, and should not fill the ring.
const MERGE_DEPTH: usize = 4;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When; of a repeated entry the last time.
    pub at: Instant,
    /// Name of the event.
    pub event: &'static str,
    /// Connection that it belongs to.
    pub conn: Option<ConnId>,
    /// The peer's state before.
    pub from: State,
    /// The peer's state after.
    pub to: State,
    /// In words; may be empty.
    pub detail: String,
    /// How many times it happened.
    pub count: u64,
}

/// A bounded list, oldest entry first.
#[derive(Debug, Clone)]
pub struct Ring {
    entries: VecDeque<Entry>,
    capacity: usize,
}

impl Ring {
    const fn new(capacity: usize) -> Ring {
        Ring {
            entries: VecDeque::new(),
            capacity,
        }
    }

    fn push(&mut self, entry: Entry) {
        if self.entries.len() == self.capacity {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// The entries, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The most there can be.
    pub const fn capacity(&self) -> usize {
        self.capacity
    }
}

/// Both rings of a peer.
#[derive(Debug, Clone)]
pub struct History {
    major: Ring,
    minor: Ring,
}

impl History {
    pub(super) const fn new() -> History {
        History {
            major: Ring::new(MAJOR),
            minor: Ring::new(MINOR),
        }
    }

    /// Changes of state.
    pub const fn major(&self) -> &Ring {
        &self.major
    }

    /// Every event; equal ones that follow each other closely and change
    /// nothing are one entry with a count.
    pub const fn minor(&self) -> &Ring {
        &self.minor
    }

    pub(super) fn transition(&mut self, entry: Entry) {
        self.major.push(entry);
    }

    pub(super) fn event(&mut self, entry: Entry) {
        let same = self
            .minor
            .entries
            .iter_mut()
            .rev()
            .take(MERGE_DEPTH)
            .find(|old| {
                entry.from == entry.to
                    && old.event == entry.event
                    && old.conn == entry.conn
                    && old.from == entry.from
                    && old.to == entry.to
                    && old.detail == entry.detail
            });
        match same {
            Some(old) => {
                old.at = entry.at;
                old.count = old.count.saturating_add(entry.count);
            }
            None => self.minor.push(entry),
        }
    }
}
