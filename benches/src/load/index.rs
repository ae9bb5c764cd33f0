//! From a prefix on the wire to its position in the table.
//!
//! The receiver does this once per NLRI, so it decides what the generator
//! costs. Routes mostly come back in the order in which they were sent: the
//! position after the last one is tried first, which needs no random memory
//! access. The rest goes to an open-addressed table of eight octets a slot.

use crate::load::prefix::Prefix;

const K1: u64 = 0x9e37_79b9_7f4a_7c15;
const K2: u64 = 0xd6e8_feb8_6659_fd93;
const K3: u64 = 0xa076_1d64_78bd_642f;
const EMPTY: u64 = u64::MAX;

/// Positions of the prefixes of one table.
///
/// Exact for the prefixes of the table: the build takes another seed until
/// all 64-bit hashes differ. A foreign prefix is taken for one of the table
/// with a probability of about 2^-32.
#[derive(Debug)]
pub struct PrefixIndex {
    seed: u64,
    mask: usize,
    /// Upper half: upper half of the hash. Lower half: the position.
    slots: Vec<u64>,
    hashes: Vec<u64>,
}

/// The hash of a prefix given as the two halves of its left-aligned address.
#[inline]
fn hash(seed: u64, high: u64, low: u64, len: u8) -> u64 {
    let x = high ^ seed;
    let y = low.wrapping_mul(K2) ^ u64::from(len).wrapping_mul(K3) ^ K1;
    let product = u128::from(x) * u128::from(y);
    let folded = (product as u64) ^ ((product >> 64) as u64);
    folded.wrapping_mul(K1) ^ (folded >> 29)
}

impl PrefixIndex {
    /// Indexes `prefixes`, which must be distinct; a repeated one gets the
    /// position of its first occurrence.
    pub fn new(prefixes: &[Prefix]) -> Self {
        let mut seed = K2;
        loop {
            if let Some(index) = Self::with_seed(prefixes, seed) {
                return index;
            }
            seed = seed.wrapping_mul(K3).wrapping_add(K1);
        }
    }

    fn with_seed(prefixes: &[Prefix], seed: u64) -> Option<Self> {
        let capacity = (prefixes.len() * 2).next_power_of_two().max(16);
        let mut index = Self {
            seed,
            mask: capacity - 1,
            slots: vec![EMPTY; capacity],
            hashes: Vec::with_capacity(prefixes.len()),
        };
        for (position, prefix) in prefixes.iter().enumerate() {
            let bits = prefix.bits();
            let h = hash(seed, (bits >> 64) as u64, bits as u64, prefix.len);
            index.hashes.push(h);
            let mut slot = h as usize & index.mask;
            while index.slots[slot] != EMPTY {
                let held = index.slots[slot];
                let other = (held & 0xffff_ffff) as usize;
                if held >> 32 == h >> 32 && prefixes[other] != *prefix {
                    return None;
                }
                slot = (slot + 1) & index.mask;
            }
            index.slots[slot] = (h >> 32) << 32 | position as u64;
        }
        Some(index)
    }

    /// How many prefixes were indexed.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// True without a prefix.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The position of the prefix with these left-aligned address halves.
    /// `expected` is the position that is tried first.
    #[inline]
    pub fn find(&self, (high, low): (u64, u64), len: u8, expected: u32) -> Option<u32> {
        let h = hash(self.seed, high, low, len);
        if self.hashes.get(expected as usize) == Some(&h) {
            return Some(expected);
        }
        let mut slot = h as usize & self.mask;
        loop {
            let held = self.slots[slot];
            if held == EMPTY {
                return None;
            }
            if held >> 32 == h >> 32 {
                return Some(held as u32);
            }
            slot = (slot + 1) & self.mask;
        }
    }

    /// The position of `prefix`.
    pub fn position(&self, prefix: &Prefix) -> Option<u32> {
        let bits = prefix.bits();
        self.find(((bits >> 64) as u64, bits as u64), prefix.len, u32::MAX)
    }
}
