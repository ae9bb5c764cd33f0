//! How often routes flapped, and which are suppressed for it (RFC 2439).
//!
//! Knows routes by number, and nothing of what they say. There is a record of
//! what flapped and was not forgotten yet, and of nothing else. Each has one
//! moment at which something becomes of it by itself: it may be used again, or
//! is forgotten. They stand in order of that, so nobody looks through them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::path::Path;
use crate::peer::PeerId;
use crate::slots::SlotSet;

/// What a withdrawal adds to the penalty.
const WITHDRAWN: u32 = 1000;
/// What other attributes add.
const CHANGED: u32 = 500;
/// Seconds in which a penalty stays what it is, as in FRR: who flaps twice in
/// less than that is not let off a point.
const STEP: u64 = 5;

/// When routes that flap are suppressed (RFC 2439 section 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dampening {
    /// Seconds in which a penalty halves; 0 counts as 1.
    pub half_life_secs: u32,
    /// A suppressed route is used again when its penalty falls below.
    pub reuse: u32,
    /// A route is suppressed from this penalty on.
    pub suppress: u32,
    /// Seconds after its last flap for which a route is suppressed at most.
    /// After as long, a penalty is gone.
    pub max_suppress_secs: u32,
}

impl Default for Dampening {
    /// FRR's values: 15 minutes, 750, 2000, an hour.
    fn default() -> Dampening {
        Dampening {
            half_life_secs: 15 * 60,
            reuse: 750,
            suppress: 2000,
            max_suppress_secs: 60 * 60,
        }
    }
}

impl Dampening {
    /// The highest penalty: it falls below `reuse` in the longest time that a
    /// route may be suppressed.
    pub fn ceiling(&self) -> u32 {
        let halves = f64::from(self.max_suppress_secs) / f64::from(self.half_life_secs.max(1));
        (f64::from(self.reuse) * halves.exp2()) as u32
    }
}

/// A flapping route, for queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flapping {
    /// The penalty as it is now.
    pub penalty: u32,
    /// How often it flapped since there is a record of it.
    pub flaps: u32,
    /// For how many seconds there is one.
    pub age_secs: u64,
    /// Whether it takes no part in the decision.
    pub suppressed: bool,
    /// Whether it is withdrawn: what it was is kept for those who ask.
    pub withdrawn: bool,
    /// Seconds until it may be used, where it is suppressed.
    pub reuse_secs: u64,
}

/// Settings, and what penalties become by them.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) settings: Dampening,
    ceiling: u32,
    /// What is left of a penalty after so many steps; nothing after those.
    decay: Vec<f64>,
}

impl Profile {
    pub(crate) fn new(settings: Dampening) -> Profile {
        let half_life = f64::from(settings.half_life_secs.max(1));
        let steps = (u64::from(settings.max_suppress_secs) / STEP).max(1);
        let left = |step: u64| (-((step * STEP) as f64) / half_life).exp2();
        Profile {
            settings,
            ceiling: settings.ceiling(),
            decay: (0..steps).map(left).collect(),
        }
    }

    /// A penalty after so many seconds.
    fn decayed(&self, penalty: u32, secs: u64) -> u32 {
        let step = usize::try_from(secs / STEP).unwrap_or(usize::MAX);
        let left = self.decay.get(step).copied().unwrap_or(0.0);
        (f64::from(penalty) * left) as u32
    }

    /// Seconds until a penalty is below a limit.
    fn below(&self, penalty: u32, limit: u32) -> u64 {
        let above = |left: &f64| (f64::from(penalty) * left) as u32 >= limit;
        self.decay.partition_point(above) as u64 * STEP
    }

    /// The highest penalty that is not worth a record.
    const fn negligible(&self) -> u32 {
        self.settings.reuse / 2
    }
}

/// A route: its prefix, peer and path identifier.
pub(crate) type Key = (u32, PeerId, u32);

/// What is known of a route that flapped.
#[derive(Debug)]
pub(crate) struct Record {
    penalty: u32,
    flaps: u32,
    /// When the penalty was this.
    updated: u64,
    since: u64,
    pub(crate) suppressed: bool,
    /// What it was, while it is withdrawn. Its attributes are held.
    pub(crate) withdrawn: Option<Path>,
    /// When something becomes of it.
    due: u64,
}

impl Record {
    fn new(now: u64) -> Record {
        Record {
            penalty: 0,
            flaps: 0,
            updated: now,
            since: now,
            suppressed: false,
            withdrawn: None,
            due: 0,
        }
    }

    /// Brings the penalty up to now.
    fn decay(&mut self, profile: &Profile, now: u64) {
        let secs = now.saturating_sub(self.updated);
        self.penalty = profile.decayed(self.penalty, secs);
        self.updated = now;
    }

    fn view(&self, profile: &Profile, now: u64) -> Flapping {
        let secs = now.saturating_sub(self.updated);
        Flapping {
            penalty: profile.decayed(self.penalty, secs),
            flaps: self.flaps,
            age_secs: now.saturating_sub(self.since),
            suppressed: self.suppressed,
            withdrawn: self.withdrawn.is_some(),
            reuse_secs: match self.suppressed {
                true => self.due.saturating_sub(now),
                false => 0,
            },
        }
    }
}

/// How a route flapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flap {
    /// It is gone; this is what it was.
    Withdrawn(Path),
    /// It has other attributes.
    Changed,
}

/// What became of a record when its time came.
#[derive(Debug)]
pub(crate) struct Released {
    pub(crate) key: Key,
    /// It was suppressed, and is not any more.
    pub(crate) usable: bool,
    /// There is no record of it any more; what it held is the caller's.
    pub(crate) forgotten: Option<Record>,
}

/// The flapping routes of a family.
#[derive(Debug, Default)]
pub(crate) struct Flaps {
    /// For peers that have no settings of their own.
    everybody: Option<Arc<Profile>>,
    peers: BTreeMap<PeerId, Arc<Profile>>,
    records: BTreeMap<Key, Record>,
    due: BTreeSet<(u64, Key)>,
    /// Prefixes of which there are records.
    slots: SlotSet,
}

impl Flaps {
    /// Whether there is neither a setting nor a record.
    pub(crate) fn is_idle(&self) -> bool {
        self.everybody.is_none() && self.peers.is_empty() && self.records.is_empty()
    }

    /// The settings of all peers, or of one; whether they are others now.
    pub(crate) fn set(&mut self, peer: Option<PeerId>, settings: Option<Dampening>) -> bool {
        let known = match peer {
            None => self.everybody.as_ref(),
            Some(peer) => self.peers.get(&peer),
        };
        if known.map(|profile| profile.settings) == settings {
            return false;
        }
        let profile = settings.map(|settings| Arc::new(Profile::new(settings)));
        match (peer, profile) {
            (None, profile) => self.everybody = profile,
            (Some(peer), Some(profile)) => {
                self.peers.insert(peer, profile);
            }
            (Some(peer), None) => {
                self.peers.remove(&peer);
            }
        }
        true
    }

    /// Whether a peer has settings of its own.
    pub(crate) fn is_own(&self, peer: PeerId) -> bool {
        self.peers.contains_key(&peer)
    }

    pub(crate) fn profile(&self, peer: PeerId) -> Option<&Arc<Profile>> {
        self.peers.get(&peer).or(self.everybody.as_ref())
    }

    /// Whether there is a record of a route to the prefix.
    pub(crate) fn holds(&self, slot: u32) -> bool {
        self.slots.contains(slot)
    }

    pub(crate) const fn slots(&self) -> &SlotSet {
        &self.slots
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Record> {
        let known = self.slots.contains(key.0);
        known.then(|| self.records.get(&key)).flatten()
    }

    /// The records of a prefix.
    pub(crate) fn of(&self, slot: u32) -> impl Iterator<Item = (Key, &Record)> {
        let all = (slot, PeerId(0), 0)..=(slot, PeerId(u32::MAX), u32::MAX);
        let held = self.holds(slot).then(|| self.records.range(all));
        held.into_iter()
            .flatten()
            .map(|(key, record)| (*key, record))
    }

    /// Routes of which there are records.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> {
        self.records.keys().copied()
    }

    pub(crate) fn view(&self, key: Key, now: u64) -> Option<Flapping> {
        let record = self.get(key)?;
        Some(record.view(self.profile(key.1)?, now))
    }

    // ===== what happens =====

    /// A route flapped (RFC 2439 section 4.8.2).
    pub(crate) fn flap(&mut self, key: Key, flap: Flap, now: u64) {
        let Some(profile) = self.profile(key.1).map(Arc::clone) else {
            return;
        };
        let record = self.records.entry(key).or_insert_with(|| Record::new(now));
        record.decay(&profile, now);
        let worth = match flap {
            Flap::Withdrawn(path) => {
                record.withdrawn = Some(path);
                WITHDRAWN
            }
            Flap::Changed => CHANGED,
        };
        record.penalty = record.penalty.saturating_add(worth);
        // Settings by which one flap is more than the most leave it at that, as
        // in FRR.
        if record.flaps > 0 {
            record.penalty = record.penalty.min(profile.ceiling);
        }
        record.flaps = record.flaps.saturating_add(1);
        record.suppressed |= record.penalty >= profile.settings.suppress;
        self.slots.insert(key.0);
        self.schedule(key, &profile);
    }

    /// A route was announced that may have a record (RFC 2439 section 4.8.3).
    /// The record that it has now: what it was while withdrawn is the caller's,
    /// and whether it is suppressed.
    pub(crate) fn announced(&mut self, key: Key, now: u64) -> (Option<Path>, bool) {
        let Some(profile) = self.profile(key.1).map(Arc::clone) else {
            return (None, false);
        };
        if !self.slots.contains(key.0) {
            return (None, false);
        }
        let Some(record) = self.records.get_mut(&key) else {
            return (None, false);
        };
        record.decay(&profile, now);
        let was = record.withdrawn.take();
        record.suppressed &= record.penalty >= profile.settings.reuse;
        let suppressed = record.suppressed;
        if record.penalty <= profile.negligible() {
            self.forget(key);
        } else {
            self.schedule(key, &profile);
        }
        (was, suppressed)
    }

    /// Forgets a route.
    pub(crate) fn forget(&mut self, key: Key) -> Option<Record> {
        let record = self.records.remove(&key)?;
        self.due.remove(&(record.due, key));
        if self.records_of(key.0).next().is_none() {
            self.slots.remove(key.0);
        }
        Some(record)
    }

    fn records_of(&self, slot: u32) -> impl Iterator<Item = (&Key, &Record)> {
        self.records
            .range((slot, PeerId(0), 0)..=(slot, PeerId(u32::MAX), u32::MAX))
    }

    /// Works out when something becomes of a route that was looked at now.
    fn schedule(&mut self, key: Key, profile: &Profile) {
        let Some(record) = self.records.get_mut(&key) else {
            return;
        };
        let limit = match record.suppressed {
            true => profile.settings.reuse,
            false => profile.negligible() + 1,
        };
        self.due.remove(&(record.due, key));
        record.due = record.updated + profile.below(record.penalty, limit);
        self.due.insert((record.due, key));
    }

    /// When the next route may be used again, or is forgotten.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The next route whose time has come (RFC 2439 section 4.8.7).
    pub(crate) fn release(&mut self, now: u64) -> Option<Released> {
        let (at, key) = self.due.first().copied()?;
        if at > now {
            return None;
        }
        let profile = self.profile(key.1).map(Arc::clone);
        let record = self.records.get_mut(&key);
        let (Some(profile), Some(record)) = (profile, record) else {
            self.due.remove(&(at, key));
            let forgotten = self.forget(key);
            let usable = forgotten.as_ref().is_some_and(|r| r.suppressed);
            return Some(Released {
                key,
                usable,
                forgotten,
            });
        };
        record.decay(&profile, now);
        let usable = core::mem::replace(&mut record.suppressed, false);
        let mut forgotten = None;
        if record.penalty <= profile.negligible() {
            forgotten = self.forget(key);
        } else {
            self.schedule(key, &profile);
        }
        Some(Released {
            key,
            usable,
            forgotten,
        })
    }
}
