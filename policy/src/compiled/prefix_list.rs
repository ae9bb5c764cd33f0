//! Prefix lists and access lists, compiled.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::prefix_table::{Bits, Line, Net, PrefixTable, PrefixTables};
use crate::model::{self, AccessMatch, Action, PrefixEntry};

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
    fn of(entries: &[(u32, Action)], line: Option<u32>) -> ListVerdict {
        let entry = line.and_then(|line| entries.get(line as usize));
        entry.map_or(ListVerdict::REFUSED, |(seq, action)| ListVerdict {
            action: *action,
            seq: Some(*seq),
        })
    }
}

// ===== prefix lists =====

/// A prefix list of one family.
#[derive(Debug, Clone)]
pub struct PrefixList<N: PrefixNet> {
    source: model::PrefixList<N>,
    entries: Vec<(u32, Action)>,
    table: PrefixTable<N::Bits>,
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
        let entries = source.entries.iter();
        PrefixList {
            source: source.clone(),
            entries: entries.clone().map(|(seq, e)| (*seq, e.action)).collect(),
            table: PrefixTable::new(entries.map(|(_, entry)| line(entry))),
        }
    }

    /// What it was compiled of.
    pub const fn source(&self) -> &model::PrefixList<N> {
        &self.source
    }

    /// What it says of a prefix. A list without entries permits.
    #[inline]
    pub fn verdict(&self, prefix: N) -> ListVerdict {
        if self.entries.is_empty() {
            return ListVerdict {
                action: Action::Permit,
                seq: None,
            };
        }
        ListVerdict::of(&self.entries, self.table.first(prefix.bits()))
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
    }
}

// ===== access lists =====

/// An access list.
#[derive(Debug, Clone)]
pub struct AccessList {
    source: model::AccessList,
    entries: Vec<(u32, Action)>,
    table: PrefixTables,
    /// Lines with wildcards, which no table can have.
    wildcards: Vec<(u32, AccessMatch)>,
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
        let entries = source.entries.iter();
        let lines = source.entries.values().map(|entry| match entry.matches {
            AccessMatch::Any => (None, 0, u8::MAX),
            AccessMatch::Prefix(net) => (Some(net), net.prefix_len(), net.max_prefix_len()),
            AccessMatch::Exact(net) => (Some(net), net.prefix_len(), net.prefix_len()),
            AccessMatch::Standard(_) | AccessMatch::Extended(..) => (None, 1, 0),
        });
        let is_wild = |matches: &AccessMatch| {
            matches!(
                matches,
                AccessMatch::Standard(_) | AccessMatch::Extended(..)
            )
        };
        AccessList {
            source: source.clone(),
            entries: entries.map(|(seq, e)| (*seq, e.action)).collect(),
            table: PrefixTables::new(lines),
            wildcards: (0..)
                .zip(source.entries.values())
                .filter(|(_, entry)| is_wild(&entry.matches))
                .map(|(line, entry)| (line, entry.matches))
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
        let before = |line: u32| by_table.is_none_or(|first| line < first);
        let mut wildcards = self.wildcards.iter().take_while(|(line, _)| before(*line));
        let by_wildcard = wildcards.find(|(_, matches)| wildcard_matches(matches, prefix));
        let line = by_wildcard.map(|(line, _)| *line).or(by_table);
        ListVerdict::of(&self.entries, line)
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
