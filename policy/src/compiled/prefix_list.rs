//! Prefix lists and access lists, compiled.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::prefix_table::{Bits, Found, Line, Net, PrefixTable, PrefixTables};
use crate::model::{self, AccessEntry, AccessMatch, Action, PrefixEntry};

/// What a list says of something, and which of its entries said it: none where
/// none matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListVerdict {
    /// Whether it is permitted.
    pub action: Action,
    /// The sequence number of the entry.
    pub seq: Option<u32>,
}

impl ListVerdict {
    /// No entry matches.
    pub const REFUSED: ListVerdict = ListVerdict {
        action: Action::Deny,
        seq: None,
    };

    /// Whether it is permitted.
    pub const fn permits(self) -> bool {
        self.action.permits()
    }

    /// By the number of the line in a table of these entries.
    fn of(seqs: &[u32], found: Option<Found>) -> ListVerdict {
        found.map_or(ListVerdict::REFUSED, |found| ListVerdict {
            action: match found.permits() {
                true => Action::Permit,
                false => Action::Deny,
            },
            seq: seqs.get(found.line() as usize).copied(),
        })
    }
}

// ===== prefix lists =====

/// A prefix list of one family.
#[derive(Debug, Clone)]
pub struct PrefixList<N: PrefixNet> {
    source: model::PrefixList<N>,
    seqs: Vec<u32>,
    table: PrefixTable<N::Bits>,
    /// How often each entry had the word.
    hits: Arc<[AtomicU64]>,
}

/// Two lists are equal where they were compiled of the same.
impl<N: PrefixNet + PartialEq> PartialEq for PrefixList<N> {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// The prefixes of a family.
#[allow(private_bounds, reason = "nobody else has families to add")]
pub trait PrefixNet: Net + PartialEq + Clone {}
impl PrefixNet for Ipv4Net {}
impl PrefixNet for Ipv6Net {}

impl<N: PrefixNet> PrefixList<N> {
    /// The list, compiled.
    pub fn new(source: &model::PrefixList<N>) -> PrefixList<N> {
        let entries = source.entries.values();
        PrefixList {
            source: source.clone(),
            seqs: source.entries.keys().copied().collect(),
            hits: entries.clone().map(|_| AtomicU64::new(0)).collect(),
            table: PrefixTable::new(entries.map(line)),
        }
    }

    /// What it was compiled of.
    pub const fn source(&self) -> &model::PrefixList<N> {
        &self.source
    }

    /// What it says of a prefix. A list without entries permits.
    #[inline]
    pub fn verdict(&self, prefix: N) -> ListVerdict {
        if self.seqs.is_empty() {
            return ListVerdict {
                action: Action::Permit,
                seq: None,
            };
        }
        ListVerdict::of(&self.seqs, self.table.first(prefix.bits()))
    }

    /// Whether it permits a prefix.
    #[inline]
    pub fn permits(&self, prefix: N) -> bool {
        let found = self.table.first(prefix.bits());
        found.map_or(self.seqs.is_empty(), Found::permits)
    }

    /// The same, and the entry that said so is counted.
    #[inline]
    pub(crate) fn permits_counted(&self, prefix: N) -> bool {
        let found = self.table.first(prefix.bits());
        let Some(found) = found else {
            return self.seqs.is_empty();
        };
        if let Some(hits) = self.hits.get(found.line() as usize) {
            // Mostly one task asks. A locked addition costs more than the
            // lookup, and a count that is one short harms nobody.
            hits.store(hits.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        found.permits()
    }

    /// How often entries decided for or against a route, by number.
    pub fn hits(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        let hits = self.hits.iter().map(|hits| hits.load(Ordering::Relaxed));
        self.seqs.iter().copied().zip(hits)
    }

    /// Counts anew, for all entries or those of a prefix.
    pub fn clear_hits(&self, prefix: Option<N>) {
        for (entry, hits) in self.source.entries.values().zip(self.hits.iter()) {
            if prefix.is_none() || entry.prefix == prefix {
                hits.store(0, Ordering::Relaxed);
            }
        }
    }
}

fn line<N: PrefixNet>(entry: &PrefixEntry<N>) -> Line<N::Bits> {
    let whole = <N::Bits as Bits>::WIDTH;
    let Some(prefix) = entry.prefix else {
        return Line {
            bits: <N::Bits as Bits>::ZERO,
            len: 0,
            min: entry.ge.unwrap_or(0),
            max: entry.le.unwrap_or(whole),
            permits: entry.action.permits(),
        };
    };
    let (bits, len) = prefix.bits();
    let (min, max) = match (entry.ge, entry.le) {
        (None, None) => (len, len),
        (ge, le) => (ge.unwrap_or(len).max(len), le.unwrap_or(whole).min(whole)),
    };
    Line {
        bits,
        len,
        min,
        max,
        permits: entry.action.permits(),
    }
}

// ===== access lists =====

/// An access list.
#[derive(Debug, Clone)]
pub struct AccessList {
    source: model::AccessList,
    seqs: Vec<u32>,
    table: PrefixTables,
    /// Lines with wildcards, which no table can have.
    wildcards: Vec<(u32, AccessEntry)>,
}

/// Two lists are equal where they were compiled of the same.
impl PartialEq for AccessList {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl AccessList {
    /// The list, compiled.
    pub fn new(source: &model::AccessList) -> AccessList {
        let lines = source.entries.values().map(|entry| {
            let permits = entry.action.permits();
            match entry.matches {
                AccessMatch::Any => (permits, None, 0, u8::MAX),
                AccessMatch::Prefix(net) => {
                    (permits, Some(net), net.prefix_len(), net.max_prefix_len())
                }
                AccessMatch::Exact(net) => (permits, Some(net), net.prefix_len(), net.prefix_len()),
                AccessMatch::Standard(_) | AccessMatch::Extended(..) => (permits, None, 1, 0),
            }
        });
        let is_wild = |matches: &AccessMatch| {
            matches!(
                matches,
                AccessMatch::Standard(_) | AccessMatch::Extended(..)
            )
        };
        AccessList {
            source: source.clone(),
            seqs: source.entries.keys().copied().collect(),
            table: PrefixTables::new(lines),
            wildcards: (0..)
                .zip(source.entries.values())
                .filter(|(_, entry)| is_wild(&entry.matches))
                .map(|(line, entry)| (line, *entry))
                .collect(),
        }
    }

    /// What it was compiled of.
    pub const fn source(&self) -> &model::AccessList {
        &self.source
    }

    /// What it says of a prefix.
    pub fn verdict(&self, prefix: IpNet) -> ListVerdict {
        let by_table = self.table.first(prefix);
        let before = |line: u32| by_table.is_none_or(|first| line < first.line());
        let mut wildcards = self.wildcards.iter().take_while(|(line, _)| before(*line));
        let by_wildcard = wildcards.find(|(_, entry)| wildcard_matches(&entry.matches, prefix));
        match by_wildcard {
            None => ListVerdict::of(&self.seqs, by_table),
            Some((line, entry)) => ListVerdict {
                action: entry.action,
                seq: self.seqs.get(*line as usize).copied(),
            },
        }
    }

    /// What it says of an address.
    pub fn verdict_on(&self, address: IpAddr) -> ListVerdict {
        self.verdict(IpNet::from(address))
    }
}

/// A list for addresses matches the network address; one for addresses and
/// masks both.
fn wildcard_matches(matches: &AccessMatch, prefix: IpNet) -> bool {
    let IpNet::V4(net) = prefix else {
        return false;
    };
    match matches {
        AccessMatch::Standard(address) => address.matches(net.network()),
        AccessMatch::Extended(address, mask) => {
            address.matches(net.network()) && mask.matches(net.netmask())
        }
        AccessMatch::Any | AccessMatch::Prefix(_) | AccessMatch::Exact(_) => false,
    }
}
