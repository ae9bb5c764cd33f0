//! What a receiver has of a known table, prefix by prefix.
//!
//! Presence is a bit per prefix, so that duplicates, withdrawals and implicit
//! replacements all count right: a table is complete when every bit is set,
//! not when enough announcements were seen.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use crate::load::index::PrefixIndex;
use crate::load::prefix::Family;
use crate::load::walk::{self, Nlri, Parts};

/// When a prefix counts as present.
#[derive(Debug, Clone)]
pub enum Expect {
    /// When it was announced.
    Any,
    /// When its last announcement came by way of its winner. The AS number at
    /// `position` of the AS path (0 the first) minus `first_asn` is the
    /// number of the sender; `winners` has the number that is expected for
    /// each prefix.
    Via {
        /// Where in the path the sender stands: 1 behind an external speaker.
        position: usize,
        /// The AS number of sender 0.
        first_asn: u32,
        /// The expected sender of each prefix.
        winners: Arc<[u16]>,
    },
    /// When its last announcement had this community.
    Community(u32),
    /// When so many paths with different identifiers were announced
    /// (RFC 7911).
    Paths(u8),
}

/// The state that a receiver waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// At least so many prefixes present.
    Present(usize),
    /// No prefix present, and no path of one.
    Absent,
}

/// What a receiver counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct TrackerStats {
    /// UPDATE messages, End-of-RIB included.
    pub updates: u64,
    /// Announced prefixes, repetitions included.
    pub announced: u64,
    /// Withdrawn prefixes, repetitions included.
    pub withdrawn: u64,
    /// Announced or withdrawn prefixes that are not in the table.
    pub foreign: u64,
    /// When the first UPDATE with a prefix came.
    pub first_update: Option<Instant>,
    /// When the last UPDATE came.
    pub last_update: Option<Instant>,
    /// When the End-of-RIB marker came.
    pub end_of_rib: Option<Instant>,
}

/// Watches the routes that one session receives.
#[derive(Debug)]
pub struct Tracker {
    family: Family,
    index: Arc<PrefixIndex>,
    expect: Expect,
    /// Positions that the peer does not send: the session's own.
    excluded: Range<u32>,
    present: Vec<u64>,
    count: usize,
    /// Path identifiers per prefix; only with [`Expect::Paths`].
    paths: Vec<Vec<u32>>,
    path_count: usize,
    goal: Goal,
    reached: Option<Instant>,
    marks: Option<Vec<(u32, Instant)>>,
    expected_position: u32,
    /// The counters.
    pub stats: TrackerStats,
}

impl Tracker {
    /// A tracker of the prefixes of `index`, all of which it waits for.
    pub fn new(family: Family, index: Arc<PrefixIndex>, expect: Expect) -> Self {
        let paths = match expect {
            Expect::Paths(wanted) => (0..index.len())
                .map(|_| Vec::with_capacity(usize::from(wanted)))
                .collect(),
            _ => Vec::new(),
        };
        Self {
            family,
            present: vec![0; index.len().div_ceil(64)],
            count: 0,
            paths,
            path_count: 0,
            goal: Goal::Present(index.len()),
            reached: None,
            marks: None,
            expected_position: 0,
            excluded: 0..0,
            stats: TrackerStats::default(),
            index,
            expect,
        }
    }

    /// Does not count, nor wait for, the prefixes at `positions`: the ones
    /// that the session itself announced.
    pub fn exclude(&mut self, positions: Range<u32>) {
        let wanted = self.index.len() - positions.len();
        self.excluded = positions;
        self.goal = Goal::Present(wanted);
    }

    /// Takes any announcement from now on; what is present stays so.
    pub fn expect_any(&mut self) {
        self.expect = Expect::Any;
    }

    /// Waits for announcements with a community from now on; nothing has been
    /// announced with it so far.
    pub fn expect_community(&mut self, community: u32) {
        self.expect = Expect::Community(community);
        self.present.fill(0);
        self.count = 0;
    }

    /// Waits for the winners that `expect` names from now on. All prefixes
    /// were announced by way of `sender` so far.
    pub fn expect_via(&mut self, expect: Expect, sender: u16) {
        if let Expect::Via { winners, .. } = &expect {
            let winners = Arc::clone(winners);
            for (position, &winner) in winners.iter().enumerate() {
                match winner == sender {
                    true => self.set(position as u32),
                    false => self.unset(position as u32),
                }
            }
        }
        self.expect = expect;
    }

    /// Remembers marked routes from now on.
    pub fn watch_marks(&mut self) {
        self.marks = Some(Vec::new());
    }

    /// The marks that came since the last call, with their time of arrival.
    pub fn take_marks(&mut self) -> Vec<(u32, Instant)> {
        match &mut self.marks {
            Some(marks) => std::mem::take(marks),
            None => Vec::new(),
        }
    }

    /// Waits for another goal. It may be reached at once.
    pub fn set_goal(&mut self, goal: Goal) {
        self.goal = goal;
        self.reached = None;
        self.judge();
    }

    /// When the goal was reached first.
    pub fn reached(&self) -> Option<Instant> {
        self.reached
    }

    /// How many prefixes are present.
    pub fn present(&self) -> usize {
        self.count
    }

    /// Whether the prefix at `position` is present.
    pub fn has(&self, position: usize) -> bool {
        self.present[position / 64] >> (position % 64) & 1 == 1
    }

    /// The first `limit` positions that are not present.
    pub fn missing(&self, limit: usize) -> Vec<usize> {
        (0..self.index.len())
            .filter(|&position| !self.excluded.contains(&(position as u32)) && !self.has(position))
            .take(limit)
            .collect()
    }

    /// How many paths are present, with [`Expect::Paths`].
    pub fn paths_present(&self) -> usize {
        self.path_count
    }

    /// Forgets what was received, because the session went down.
    pub fn clear(&mut self) {
        self.present.fill(0);
        self.count = 0;
        self.paths.iter_mut().for_each(Vec::clear);
        self.path_count = 0;
        self.reached = None;
    }

    /// Starts new counters, and keeps what is present.
    pub fn reset_stats(&mut self) {
        self.stats = TrackerStats::default();
    }

    /// Takes in the body of an UPDATE that was read at `now`. False if it is
    /// malformed.
    pub(crate) fn update(&mut self, body: &[u8], add_path: bool, now: Instant) -> bool {
        let Some(parts) = walk::parts(body, self.family) else {
            return false;
        };
        self.stats.updates += 1;
        self.stats.last_update = Some(now);
        if parts.end_of_rib {
            self.stats.end_of_rib.get_or_insert(now);
            return true;
        }
        self.stats.first_update.get_or_insert(now);
        for (path_id, key) in Nlri::new(parts.withdrawn, self.family, add_path) {
            self.stats.withdrawn += 1;
            if let Some(position) = self.find(key) {
                self.withdraw(position, path_id);
            }
        }
        self.announce(&parts, add_path, now);
        true
    }

    fn announce(&mut self, parts: &Parts<'_>, add_path: bool, now: Instant) {
        let via = match &self.expect {
            Expect::Via {
                position,
                first_asn,
                ..
            } => walk::path_hop(parts.attributes, *position)
                .and_then(|asn| u16::try_from(asn.wrapping_sub(*first_asn)).ok()),
            _ => None,
        };
        let has = match self.expect {
            Expect::Community(wanted) => walk::has_community(parts.attributes, wanted),
            _ => false,
        };
        for (path_id, key) in Nlri::new(parts.announced, self.family, add_path) {
            self.stats.announced += 1;
            let Some(position) = self.find(key) else {
                continue;
            };
            match &self.expect {
                Expect::Any => self.set(position),
                Expect::Community(_) if has => self.set(position),
                Expect::Community(_) => self.unset(position),
                Expect::Via { winners, .. } => match via == Some(winners[position as usize]) {
                    true => self.set(position),
                    false => self.unset(position),
                },
                Expect::Paths(wanted) => {
                    let wanted = usize::from(*wanted);
                    self.add_path(position, path_id, wanted);
                }
            }
        }
        if let Some(marks) = &mut self.marks
            && let Some(number) = walk::mark(parts.attributes)
        {
            marks.push((number, now));
        }
    }

    /// Looks at whether the goal is reached. Called after each read.
    pub(crate) fn judge(&mut self) {
        if self.reached.is_some() {
            return;
        }
        let there = match self.goal {
            Goal::Present(wanted) => self.count >= wanted,
            Goal::Absent => self.count == 0 && self.path_count == 0,
        };
        if there {
            self.reached = Some(Instant::now());
        }
    }

    #[inline]
    fn find(&mut self, (halves, len): walk::Key) -> Option<u32> {
        match self.index.find(halves, len, self.expected_position) {
            Some(position) => {
                self.expected_position = position.wrapping_add(1);
                (!self.excluded.contains(&position)).then_some(position)
            }
            None => {
                self.stats.foreign += 1;
                None
            }
        }
    }

    #[inline]
    fn set(&mut self, position: u32) {
        let word = &mut self.present[position as usize / 64];
        let bit = 1 << (position % 64);
        self.count += usize::from(*word & bit == 0);
        *word |= bit;
    }

    #[inline]
    fn unset(&mut self, position: u32) {
        let word = &mut self.present[position as usize / 64];
        let bit = 1 << (position % 64);
        self.count -= usize::from(*word & bit != 0);
        *word &= !bit;
    }

    fn withdraw(&mut self, position: u32, path_id: u32) {
        let Expect::Paths(wanted) = self.expect else {
            self.unset(position);
            return;
        };
        let paths = &mut self.paths[position as usize];
        if let Some(at) = paths.iter().position(|&id| id == path_id) {
            paths.swap_remove(at);
            self.path_count -= 1;
        }
        if paths.len() < usize::from(wanted) {
            self.unset(position);
        }
    }

    fn add_path(&mut self, position: u32, path_id: u32, wanted: usize) {
        let paths = &mut self.paths[position as usize];
        if !paths.contains(&path_id) {
            paths.push(path_id);
            self.path_count += 1;
        }
        if paths.len() >= wanted {
            self.set(position);
        }
    }
}
