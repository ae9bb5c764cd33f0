//! Validated ROA payloads, and what they say of routes (RFC 6811).

use std::collections::BTreeSet;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

use crate::model::RpkiState;

/// Which AS may originate prefixes up to which length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Payload {
    asn: u32,
    max_len: u8,
}

/// A table of validated ROA payloads: prefix, greatest length, AS.
///
/// ```
/// use holdfast_policy::{RoaTable, model::RpkiState};
///
/// let mut roas = RoaTable::new();
/// roas.insert("192.0.2.0/24".parse()?, 24, 64500);
/// let route = "192.0.2.0/24".parse()?;
/// assert_eq!(roas.validate(route, Some(64500)), RpkiState::Valid);
/// assert_eq!(roas.validate(route, Some(64501)), RpkiState::Invalid);
/// assert_eq!(roas.validate("198.51.100.0/24".parse()?, None), RpkiState::NotFound);
/// # Ok::<(), ipnet::AddrParseError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct RoaTable {
    v4: PrefixMap<Ipv4Net, BTreeSet<Payload>>,
    v6: PrefixMap<Ipv6Net, BTreeSet<Payload>>,
    len: usize,
}

impl RoaTable {
    /// A table without payloads, which finds nothing.
    pub fn new() -> RoaTable {
        RoaTable::default()
    }

    /// Puts a payload in; whether it is new.
    pub fn insert(&mut self, prefix: IpNet, max_len: u8, asn: u32) -> bool {
        let payload = Payload { asn, max_len };
        let is_new = match prefix {
            IpNet::V4(net) => self.v4.entry(net.trunc()).or_default().insert(payload),
            IpNet::V6(net) => self.v6.entry(net.trunc()).or_default().insert(payload),
        };
        self.len += usize::from(is_new);
        is_new
    }

    /// Takes a payload out; whether it was there.
    pub fn remove(&mut self, prefix: IpNet, max_len: u8, asn: u32) -> bool {
        let payload = Payload { asn, max_len };
        let was_there = match prefix {
            IpNet::V4(net) => take(&mut self.v4, net.trunc(), payload),
            IpNet::V6(net) => take(&mut self.v6, net.trunc(), payload),
        };
        self.len -= usize::from(was_there);
        was_there
    }

    /// Takes all payloads out.
    pub fn clear(&mut self) {
        *self = RoaTable::new();
    }

    /// How many payloads there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The payloads, by prefix: greatest length and AS of each.
    pub fn iter(&self) -> impl Iterator<Item = (IpNet, u8, u32)> + '_ {
        let v4 = self.v4.iter().map(|(net, list)| (IpNet::V4(net), list));
        let v6 = self.v6.iter().map(|(net, list)| (IpNet::V6(net), list));
        v4.chain(v6)
            .flat_map(|(net, list)| list.iter().map(move |p| (net, p.max_len, p.asn)))
    }

    /// What the table says of a route (RFC 6811 section 2). `origin` is none
    /// where the path ends with an AS_SET: nothing then matches, as nothing
    /// does AS 0 (RFC 6483 section 4).
    pub fn validate(&self, prefix: IpNet, origin: Option<u32>) -> RpkiState {
        let len = prefix.prefix_len();
        match prefix {
            IpNet::V4(net) => state(self.v4.cover(&net).map(|(_, list)| list), len, origin),
            IpNet::V6(net) => state(self.v6.cover(&net).map(|(_, list)| list), len, origin),
        }
    }
}

fn take<N: prefix_trie::Prefix>(
    map: &mut PrefixMap<N, BTreeSet<Payload>>,
    net: N,
    payload: Payload,
) -> bool {
    let Some(list) = map.get_mut(&net) else {
        return false;
    };
    let was_there = list.remove(&payload);
    if list.is_empty() {
        map.remove(&net);
    }
    was_there
}

fn state<'a>(
    covering: impl Iterator<Item = &'a BTreeSet<Payload>>,
    len: u8,
    origin: Option<u32>,
) -> RpkiState {
    let mut state = RpkiState::NotFound;
    let origin = origin.filter(|asn| *asn != 0);
    for payload in covering.flatten() {
        if len <= payload.max_len && Some(payload.asn) == origin {
            return RpkiState::Valid;
        }
        state = RpkiState::Invalid;
    }
    state
}
