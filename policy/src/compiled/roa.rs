//! Validated ROA payloads, and what they say of routes (RFC 6811).

use std::sync::Arc;

use bgp_wire::AsPath;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::{Prefix, PrefixMap};
use smallvec::SmallVec;

use crate::model::RpkiState;

/// Which AS may originate prefixes up to which length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Payload {
    asn: u32,
    max_len: u8,
}

/// Most prefixes have one payload.
type Payloads = SmallVec<[Payload; 1]>;
type Part<N> = PrefixMap<N, Payloads>;

/// Parts of a family's payloads, each shared by all tables that have it as it is.
const PARTS: usize = 1 << 12;
/// A prefix that belongs to a part.
trait Net: Prefix + Copy + Ord {
    /// Payloads are told apart by so many bits of their prefix; shorter ones stand
    /// together.
    const SPLIT: u8;
    /// Those bits.
    fn first_bits(&self) -> u32;
}

impl Net for Ipv4Net {
    const SPLIT: u8 = 16;

    fn first_bits(&self) -> u32 {
        self.addr().to_bits() >> (32 - Self::SPLIT)
    }
}

impl Net for Ipv6Net {
    const SPLIT: u8 = 28;

    fn first_bits(&self) -> u32 {
        // Less than 32 of them.
        (self.addr().to_bits() >> (128 - Self::SPLIT)) as u32
    }
}

/// The payloads of a family.
#[derive(Debug, Clone)]
struct Parts<N: Prefix> {
    /// Prefixes shorter than [`Net::SPLIT`].
    short: Arc<Part<N>>,
    /// The others, by what their first bits hash to: all [`PARTS`], or none while
    /// there is no such prefix.
    long: Vec<Arc<Part<N>>>,
}

/// A table of validated ROA payloads: prefix, greatest length, AS.
///
/// A clone is a snapshot: it costs some thousand pointers, and a change to one
/// of the two copies the some hundred payloads near it.
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
    v4: Parts<Ipv4Net>,
    v6: Parts<Ipv6Net>,
    /// Payloads of IPv4 and IPv6.
    len: [usize; 2],
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
            IpNet::V4(net) => self.v4.insert(net.trunc(), payload),
            IpNet::V6(net) => self.v6.insert(net.trunc(), payload),
        };
        *self.len_mut(prefix) += usize::from(is_new);
        is_new
    }

    /// Takes a payload out; whether it was there.
    pub fn remove(&mut self, prefix: IpNet, max_len: u8, asn: u32) -> bool {
        let payload = Payload { asn, max_len };
        let was_there = match prefix {
            IpNet::V4(net) => self.v4.remove(net.trunc(), payload),
            IpNet::V6(net) => self.v6.remove(net.trunc(), payload),
        };
        *self.len_mut(prefix) -= usize::from(was_there);
        was_there
    }

    const fn len_mut(&mut self, prefix: IpNet) -> &mut usize {
        let [v4, v6] = &mut self.len;
        match prefix {
            IpNet::V4(_) => v4,
            IpNet::V6(_) => v6,
        }
    }

    /// Takes all payloads out.
    pub fn clear(&mut self) {
        *self = RoaTable::new();
    }

    /// How many payloads there are.
    pub const fn len(&self) -> usize {
        let (v4, v6) = self.lens();
        v4 + v6
    }

    /// How many of them are for IPv4 and for IPv6.
    pub const fn lens(&self) -> (usize, usize) {
        let [v4, v6] = self.len;
        (v4, v6)
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payloads, by prefix: greatest length and AS of each. IPv4 comes
    /// first.
    pub fn iter(&self) -> impl Iterator<Item = (IpNet, u8, u32)> + '_ {
        fn each(
            (net, list): (IpNet, &Payloads),
        ) -> impl Iterator<Item = (IpNet, u8, u32)> + use<'_> {
            list.iter().map(move |p| (net, p.max_len, p.asn))
        }
        let v4 = self.v4.sorted().into_iter();
        let v6 = self.v6.sorted().into_iter();
        let v4 = v4.map(|(net, list)| (IpNet::V4(net), list));
        let v6 = v6.map(|(net, list)| (IpNet::V6(net), list));
        v4.chain(v6).flat_map(each)
    }

    /// The payloads whose prefix covers this one: prefix, greatest length, AS.
    pub fn covering(&self, prefix: IpNet) -> Vec<(IpNet, u8, u32)> {
        let mut found = Vec::new();
        let mut add = |net: IpNet, list: &Payloads| {
            found.extend(list.iter().map(|p| (net, p.max_len, p.asn)));
        };
        match prefix.trunc() {
            IpNet::V4(net) => {
                let covering = self.v4.covering(&net);
                covering.for_each(|(net, list)| add(IpNet::V4(net), list));
            }
            IpNet::V6(net) => {
                let covering = self.v6.covering(&net);
                covering.for_each(|(net, list)| add(IpNet::V6(net), list));
            }
        }
        found
    }

    /// What the table says of a route (RFC 6811 section 2). `origin` is none
    /// where the path ends with an AS_SET: nothing then matches, as nothing
    /// does AS 0 (RFC 6483 section 4).
    pub fn validate(&self, prefix: IpNet, origin: Option<u32>) -> RpkiState {
        let len = prefix.prefix_len();
        match prefix {
            IpNet::V4(net) => state(self.v4.covering(&net).map(|(_, list)| list), len, origin),
            IpNet::V6(net) => state(self.v6.covering(&net).map(|(_, list)| list), len, origin),
        }
    }
}

/// The AS that a path says a route is from; none where that is an AS_SET. A path
/// that is empty, or in our confederation alone, is of the AS that has it (RFC
/// 6811 section 2).
pub fn origin_of(path: &AsPath, local_as: u32) -> Option<u32> {
    match path.without_confederation().is_empty() {
        true => Some(local_as),
        false => path.origin_as(),
    }
}

/// What routes are validated with.
#[derive(Debug, Clone)]
pub(crate) struct Validation {
    pub(crate) roas: Arc<RoaTable>,
    /// The AS that our own routes are from, as others know it.
    pub(crate) asn: u32,
}

impl Validation {
    /// Whether the answers are the same, as far as that is seen without a look
    /// at the payloads.
    pub(crate) fn is_same(&self, other: &Validation) -> bool {
        Arc::ptr_eq(&self.roas, &other.roas) && self.asn == other.asn
    }
}

impl<N: Prefix> Default for Parts<N> {
    fn default() -> Parts<N> {
        Parts {
            short: Arc::default(),
            long: Vec::new(),
        }
    }
}

impl<N: Net> Parts<N> {
    /// Where the long prefixes around this one are.
    fn place(net: &N) -> usize {
        // Neighbouring blocks come to stand apart.
        let mixed = u64::from(net.first_bits()).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 52) as usize % PARTS
    }

    /// The part that a prefix belongs to.
    fn part(&self, net: &N) -> Option<&Part<N>> {
        match net.prefix_len() < N::SPLIT {
            true => Some(&self.short),
            false => self.long.get(Self::place(net)).map(Arc::as_ref),
        }
    }

    /// The same, as one that no other table has.
    fn part_mut(&mut self, net: &N) -> Option<&mut Part<N>> {
        if net.prefix_len() < N::SPLIT {
            return Some(Arc::make_mut(&mut self.short));
        }
        if self.long.is_empty() {
            self.long = vec![Arc::default(); PARTS];
        }
        self.long.get_mut(Self::place(net)).map(Arc::make_mut)
    }

    fn has(&self, net: &N, payload: Payload) -> bool {
        let list = self.part(net).and_then(|part| part.get(net));
        list.is_some_and(|list| list.contains(&payload))
    }

    fn insert(&mut self, net: N, payload: Payload) -> bool {
        if self.has(&net, payload) {
            return false;
        }
        if let Some(part) = self.part_mut(&net) {
            let list = part.entry(net).or_default();
            let at = list.partition_point(|known| *known < payload);
            list.insert(at, payload);
        }
        true
    }

    fn remove(&mut self, net: N, payload: Payload) -> bool {
        if !self.has(&net, payload) {
            return false;
        }
        if let Some(part) = self.part_mut(&net)
            && let Some(list) = part.get_mut(&net)
        {
            list.retain(|known| *known != payload);
            if list.is_empty() {
                part.remove(&net);
            }
        }
        true
    }

    /// Payloads of prefixes that cover this one.
    fn covering<'a>(&'a self, net: &N) -> impl Iterator<Item = (N, &'a Payloads)> + use<'a, N> {
        let long = match net.prefix_len() < N::SPLIT {
            true => None,
            false => self.long.get(Self::place(net)),
        };
        let long = long.map(|part| part.cover(net));
        self.short.cover(net).chain(long.into_iter().flatten())
    }

    fn sorted(&self) -> Vec<(N, &Payloads)> {
        let parts = core::iter::once(&self.short).chain(&self.long);
        let mut all: Vec<(N, &Payloads)> = parts.flat_map(|part| part.iter()).collect();
        all.sort_unstable_by_key(|(net, _)| *net);
        all
    }
}

fn state<'a>(
    covering: impl Iterator<Item = &'a Payloads>,
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
