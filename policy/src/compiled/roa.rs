//! Validated ROA payloads, and what they say of routes (RFC 6811).

use std::sync::Arc;

use bgp_wire::AsPath;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::model::RpkiState;

/// Who may originate a prefix, up to which length.
#[derive(Debug, Clone, Copy)]
struct Row<N> {
    net: N,
    asn: u32,
    max_len: u8,
    /// The row before that is of the same prefix, or the last one of the
    /// shortest way up: of the next prefix that covers this one.
    up: Option<u32>,
}

impl<N: Net> Row<N> {
    const fn key(&self) -> (N, u8, u32) {
        (self.net, self.max_len, self.asn)
    }
}

/// Rows by prefix, then by length and AS.
#[derive(Debug, Clone)]
struct Part<N>(Vec<Row<N>>);

impl<N> Default for Part<N> {
    fn default() -> Part<N> {
        Part(Vec::new())
    }
}

impl<N: Net> Part<N> {
    fn insert(&mut self, at: usize, (net, max_len, asn): (N, u8, u32)) {
        let up = None;
        self.0.insert(
            at,
            Row {
                net,
                asn,
                max_len,
                up,
            },
        );
        self.connect(at);
    }

    fn remove(&mut self, at: usize) {
        self.0.remove(at);
        self.connect(at);
    }

    /// Finds out again what covers the rows from one on.
    fn connect(&mut self, from: usize) {
        let mut up = from.checked_sub(1);
        for at in from..self.0.len() {
            let Some(net) = self.0.get(at).map(|row| row.net) else {
                return;
            };
            while let Some(row) = up.and_then(|up| self.0.get(up)) {
                if row.net.covers(&net) {
                    break;
                }
                up = row.up.map(|up| up as usize);
            }
            if let Some(row) = self.0.get_mut(at) {
                // Fewer rows than 32 bits can count.
                row.up = up.map(|up| up as u32);
            }
            up = Some(at);
        }
    }

    /// The rows whose prefix covers this one, the longest first.
    fn covering<'a>(&'a self, net: &N) -> impl Iterator<Item = &'a Row<N>> + use<'a, N> {
        let net = *net;
        let after = self.0.partition_point(|row| row.net <= net);
        let mut next = after.checked_sub(1);
        let up = core::iter::from_fn(move || {
            let row = self.0.get(next?)?;
            next = row.up.map(|up| up as usize);
            Some(row)
        });
        // Between the one before and those that cover it there may be some that
        // do not.
        up.filter(move |row| row.net.covers(&net))
    }
}

/// Parts of a family's payloads, each shared by all tables that have it as it is.
const PARTS: usize = 1 << 12;
/// A prefix that belongs to a part. The order is by address, then by length.
trait Net: Copy + Ord {
    /// Payloads are told apart by so many bits of their prefix; shorter ones stand
    /// together.
    const SPLIT: u8;
    /// Those bits.
    fn first_bits(&self) -> u32;
    /// Whether it is the other one, or the other one is inside of it.
    fn covers(&self, other: &Self) -> bool;
    /// How many bits it has.
    fn len(&self) -> u8;
}

impl Net for Ipv4Net {
    const SPLIT: u8 = 16;

    fn first_bits(&self) -> u32 {
        self.addr().to_bits() >> (32 - Self::SPLIT)
    }

    fn covers(&self, other: &Self) -> bool {
        self.contains(other)
    }

    fn len(&self) -> u8 {
        self.prefix_len()
    }
}

impl Net for Ipv6Net {
    const SPLIT: u8 = 28;

    fn first_bits(&self) -> u32 {
        // Less than 32 of them.
        (self.addr().to_bits() >> (128 - Self::SPLIT)) as u32
    }

    fn covers(&self, other: &Self) -> bool {
        self.contains(other)
    }

    fn len(&self) -> u8 {
        self.prefix_len()
    }
}

/// The payloads of a family.
#[derive(Debug, Clone)]
struct Parts<N> {
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
        let is_new = match prefix {
            IpNet::V4(net) => self.v4.insert((net.trunc(), max_len, asn)),
            IpNet::V6(net) => self.v6.insert((net.trunc(), max_len, asn)),
        };
        *self.len_mut(prefix) += usize::from(is_new);
        is_new
    }

    /// Takes a payload out; whether it was there.
    pub fn remove(&mut self, prefix: IpNet, max_len: u8, asn: u32) -> bool {
        let was_there = match prefix {
            IpNet::V4(net) => self.v4.remove((net.trunc(), max_len, asn)),
            IpNet::V6(net) => self.v6.remove((net.trunc(), max_len, asn)),
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
        let v4 = self.v4.sorted().into_iter();
        let v6 = self.v6.sorted().into_iter();
        let v4 = v4.map(|(net, max_len, asn)| (IpNet::V4(net), max_len, asn));
        v4.chain(v6.map(|(net, max_len, asn)| (IpNet::V6(net), max_len, asn)))
    }

    /// The payloads whose prefix covers this one: prefix, greatest length, AS.
    pub fn covering(&self, prefix: IpNet) -> Vec<(IpNet, u8, u32)> {
        match prefix.trunc() {
            IpNet::V4(net) => {
                let rows = self.v4.covering(&net).map(Row::key);
                rows.map(|(net, max_len, asn)| (net.into(), max_len, asn))
                    .collect()
            }
            IpNet::V6(net) => {
                let rows = self.v6.covering(&net).map(Row::key);
                rows.map(|(net, max_len, asn)| (net.into(), max_len, asn))
                    .collect()
            }
        }
    }

    /// What the table says of a route (RFC 6811 section 2). `origin` is none
    /// where the path ends with an AS_SET: nothing then matches, as nothing
    /// does AS 0 (RFC 6483 section 4).
    pub fn validate(&self, prefix: IpNet, origin: Option<u32>) -> RpkiState {
        let len = prefix.prefix_len();
        match prefix {
            IpNet::V4(net) => state(self.v4.covering(&net), len, origin),
            IpNet::V6(net) => state(self.v6.covering(&net), len, origin),
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

impl<N> Default for Parts<N> {
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
        match net.len() < N::SPLIT {
            true => Some(&self.short),
            false => self.long.get(Self::place(net)).map(Arc::as_ref),
        }
    }

    /// The same, as one that no other table has.
    fn part_mut(&mut self, net: &N) -> Option<&mut Part<N>> {
        if net.len() < N::SPLIT {
            return Some(Arc::make_mut(&mut self.short));
        }
        if self.long.is_empty() {
            self.long = vec![Arc::default(); PARTS];
        }
        self.long.get_mut(Self::place(net)).map(Arc::make_mut)
    }

    /// Where a payload is, or would be.
    fn find(&self, payload: (N, u8, u32)) -> Result<usize, usize> {
        let rows = self.part(&payload.0).map(|part| part.0.as_slice());
        rows.unwrap_or_default()
            .binary_search_by_key(&payload, Row::key)
    }

    fn insert(&mut self, payload: (N, u8, u32)) -> bool {
        let Err(at) = self.find(payload) else {
            return false;
        };
        if let Some(part) = self.part_mut(&payload.0) {
            part.insert(at, payload);
        }
        true
    }

    fn remove(&mut self, payload: (N, u8, u32)) -> bool {
        let Ok(at) = self.find(payload) else {
            return false;
        };
        if let Some(part) = self.part_mut(&payload.0) {
            part.remove(at);
        }
        true
    }

    /// Payloads of prefixes that cover this one, the longest first.
    fn covering<'a>(&'a self, net: &N) -> impl Iterator<Item = &'a Row<N>> + use<'a, N> {
        let long = match net.len() < N::SPLIT {
            true => None,
            false => self.long.get(Self::place(net)),
        };
        let long = long.map(|part| part.covering(net));
        long.into_iter().flatten().chain(self.short.covering(net))
    }

    fn sorted(&self) -> Vec<(N, u8, u32)> {
        let parts = core::iter::once(&self.short).chain(&self.long);
        let rows = parts.flat_map(|part| &part.0);
        let mut all: Vec<_> = rows.map(Row::key).collect();
        all.sort_unstable();
        all
    }
}

fn state<'a, N: Net + 'a>(
    covering: impl Iterator<Item = &'a Row<N>>,
    len: u8,
    origin: Option<u32>,
) -> RpkiState {
    let mut state = RpkiState::NotFound;
    let origin = origin.filter(|asn| *asn != 0);
    for row in covering {
        if len <= row.max_len && Some(row.asn) == origin {
            return RpkiState::Valid;
        }
        state = RpkiState::Invalid;
    }
    state
}
