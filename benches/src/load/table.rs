//! Routing tables: prefixes grouped by the attributes that they share.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::path::Path;

use crate::load::prefix::{Family, Prefix};
use crate::load::random::{Random, mix};
use crate::load::{Error, mrt, synth};

/// A segment of an AS path (RFC 4271 section 4.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Segment {
    /// An AS_SET instead of an AS_SEQUENCE.
    pub is_set: bool,
    /// The AS numbers in the order of the wire.
    pub asns: Vec<u32>,
}

/// Path attributes as the neighbour of the sender announced them: without
/// the sender's own AS number and without a next hop.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct AttributeSet {
    /// ORIGIN: 0 IGP, 1 EGP, 2 INCOMPLETE.
    pub origin: u8,
    /// AS_PATH.
    pub path: Vec<Segment>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// ATOMIC_AGGREGATE.
    pub atomic: bool,
    /// AGGREGATOR.
    pub aggregator: Option<(u32, Ipv4Addr)>,
    /// COMMUNITIES (RFC 1997).
    pub communities: Vec<u32>,
    /// LARGE_COMMUNITY (RFC 8092).
    pub large_communities: Vec<[u32; 3]>,
}

impl AttributeSet {
    /// The length of the AS path as the decision counts it: an AS_SET is one
    /// hop (RFC 4271 section 9.1.2.2).
    pub fn hops(&self) -> usize {
        let length = |segment: &Segment| match segment.is_set {
            true => 1,
            false => segment.asns.len(),
        };
        self.path.iter().map(length).sum()
    }
}

/// What a synthetic table looks like.
#[derive(Debug, Clone)]
pub struct TableSpec {
    /// The address family.
    pub family: Family,
    /// How many prefixes.
    pub prefixes: usize,
    /// How many distinct attribute sets; 0 takes [`SETS_PER_1000`].
    pub sets: usize,
    /// The seed. The same seed gives the same table.
    pub seed: u64,
    /// Lets about two sets in a thousand end in an AS_SET. Some daemons
    /// refuse those by default (RFC 9774).
    pub as_sets: bool,
}

/// Attribute sets per thousand prefixes where nothing else is said.
pub const SETS_PER_1000: usize = 93;

/// Prefixes and the attribute sets that they share.
#[derive(Debug, Clone)]
pub struct Table {
    family: Family,
    seed: u64,
    prefixes: Vec<Prefix>,
    sets: Vec<AttributeSet>,
    /// The end of each set's run of prefixes.
    ends: Vec<u32>,
}

impl Table {
    /// A table of `n` IPv4 prefixes like one of the internet's.
    pub fn ipv4(n: usize, seed: u64) -> Self {
        Self::synthetic(&TableSpec {
            family: Family::Ipv4,
            prefixes: n,
            sets: 0,
            seed,
            as_sets: true,
        })
    }

    /// A table of `n` IPv6 prefixes like one of the internet's.
    pub fn ipv6(n: usize, seed: u64) -> Self {
        Self::synthetic(&TableSpec {
            family: Family::Ipv6,
            prefixes: n,
            sets: 0,
            seed,
            as_sets: true,
        })
    }

    /// A table as `spec` describes it.
    pub fn synthetic(spec: &TableSpec) -> Self {
        let mut random = Random::new(mix(spec.seed ^ 0x7461_626c));
        let sets = match spec.sets {
            0 => (spec.prefixes * SETS_PER_1000).div_ceil(1000),
            sets => sets.min(spec.prefixes),
        };
        let prefixes = synth::prefixes(spec.family, spec.prefixes, &mut random);
        let ends = synth::set_ends(spec.prefixes, sets, &mut random);
        let sets = synth::attribute_sets(sets, spec.as_sets, &mut random);
        Self {
            family: spec.family,
            seed: spec.seed,
            prefixes,
            sets,
            ends,
        }
    }

    /// A table of chosen sets and the prefixes of each. A prefix must not be
    /// in two sets.
    pub fn from_groups(family: Family, groups: Vec<(AttributeSet, Vec<Prefix>)>) -> Self {
        let mut table = Self {
            family,
            seed: 0,
            prefixes: Vec::new(),
            sets: Vec::with_capacity(groups.len()),
            ends: Vec::with_capacity(groups.len()),
        };
        for (set, prefixes) in groups {
            table.prefixes.extend(prefixes);
            table.sets.push(set);
            table.ends.push(table.prefixes.len() as u32);
        }
        table
    }

    /// The unicast routes of `family` that the first peer with a full table
    /// announced, from an MRT dump (TABLE_DUMP_V2, RFC 6396). Files that end
    /// in `.gz` or `.bz2` go through `gzip` or `bzip2`.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, [`Error::Mrt`] when it is
    /// not such a dump.
    pub fn from_mrt(path: &Path, family: Family) -> Result<Self, Error> {
        mrt::read(path, family)
    }

    /// The address family.
    pub fn family(&self) -> Family {
        self.family
    }

    /// All prefixes; those of one set are neighbours.
    pub fn prefixes(&self) -> &[Prefix] {
        &self.prefixes
    }

    /// How many prefixes.
    pub fn len(&self) -> usize {
        self.prefixes.len()
    }

    /// True without a prefix.
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    /// The attribute sets.
    pub fn sets(&self) -> &[AttributeSet] {
        &self.sets
    }

    /// Where the prefixes of set number `set` are in [`Self::prefixes`].
    pub fn range(&self, set: usize) -> Range<usize> {
        let start = match set {
            0 => 0,
            _ => self.ends[set - 1] as usize,
        };
        start..self.ends[set] as usize
    }

    /// Each set with its prefixes.
    pub fn groups(&self) -> impl Iterator<Item = (&AttributeSet, &[Prefix])> {
        (0..self.sets.len()).map(|set| (&self.sets[set], &self.prefixes[self.range(set)]))
    }

    /// The set that the prefix at `position` has.
    pub fn set_of(&self, position: usize) -> usize {
        self.ends.partition_point(|&end| end as usize <= position)
    }

    /// The part of the table whose prefixes are at `positions`.
    pub fn slice(&self, positions: Range<usize>) -> Self {
        let mut groups = Vec::new();
        for set in 0..self.sets.len() {
            let range = self.range(set);
            let start = range.start.max(positions.start);
            let end = range.end.min(positions.end);
            if start < end {
                groups.push((self.sets[set].clone(), self.prefixes[start..end].to_vec()));
            }
        }
        let mut table = Self::from_groups(self.family, groups);
        table.seed = self.seed;
        table
    }

    /// The same prefixes as sender `k` of `of` would know them: other paths
    /// and communities. Of the `of` variants of a set exactly one has the
    /// shortest AS path, the one of [`Self::winner`], so that every daemon
    /// has to choose the same best path whatever its later tie-breaks are.
    pub fn variant(&self, k: usize, of: usize) -> Self {
        let mut table = self.clone();
        for (number, set) in table.sets.iter_mut().enumerate() {
            if self.winner(number, of) != k {
                let mut random = Random::new(mix(self.seed ^ (number * of + k) as u64));
                synth::detour(set, &mut random);
            }
        }
        table
    }

    /// Which of `of` variants has the best path of set number `set`.
    pub fn winner(&self, set: usize, of: usize) -> usize {
        (mix(self.seed.wrapping_add(set as u64)) % of.max(1) as u64) as usize
    }

    /// The winner of each prefix, in the order of [`Self::prefixes`].
    pub fn winners(&self, of: usize) -> Vec<u16> {
        let mut winners = Vec::with_capacity(self.len());
        for set in 0..self.sets.len() {
            let winner = self.winner(set, of) as u16;
            winners.resize(self.range(set).end, winner);
        }
        winners
    }

    /// The number of distinct attribute sets, counted.
    pub fn distinct_sets(&self) -> usize {
        let hashes: HashSet<u64> = self.sets.iter().map(fingerprint).collect();
        hashes.len()
    }
}

/// A hash of everything in a set.
pub(crate) fn fingerprint(set: &AttributeSet) -> u64 {
    let mut hasher = DefaultHasher::new();
    set.hash(&mut hasher);
    hasher.finish()
}
