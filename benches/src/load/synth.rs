//! Synthetic prefixes and attributes whose shares are those of the internet's
//! table, as route collectors see it.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use crate::load::prefix::{Family, Prefix};
use crate::load::random::Random;
use crate::load::table::{AttributeSet, Segment, fingerprint};

/// Prefix lengths of IPv4 and their weights.
const LENGTHS_V4: [(u8, u32); 17] = [
    (24, 60_000),
    (23, 9_900),
    (22, 11_500),
    (21, 5_300),
    (20, 4_500),
    (19, 2_700),
    (18, 1_500),
    (17, 900),
    (16, 1_400),
    (15, 220),
    (14, 130),
    (13, 65),
    (12, 32),
    (11, 11),
    (10, 5),
    (9, 2),
    (8, 2),
];

/// Prefix lengths of IPv6 and their weights.
const LENGTHS_V6: [(u8, u32); 16] = [
    (48, 45_000),
    (32, 12_500),
    (44, 9_500),
    (40, 9_000),
    (36, 6_000),
    (46, 4_000),
    (47, 3_000),
    (42, 3_000),
    (29, 2_600),
    (33, 1_800),
    (34, 1_300),
    (45, 1_100),
    (38, 700),
    (35, 700),
    (30, 150),
    (28, 100),
];

/// `n` distinct prefixes. Neighbours in the address space are often
/// neighbours in the result, in runs of a few, as the prefixes of one origin
/// are; the runs are in random order.
pub(crate) fn prefixes(family: Family, n: usize, random: &mut Random) -> Vec<Prefix> {
    let mut all: Vec<Prefix> = Vec::with_capacity(n);
    let mut seen: HashSet<Prefix> = HashSet::with_capacity(n);
    let counts = counts_per_length(family, n);
    for (len, count) in counts {
        let mut last = None;
        let mut left = count;
        while left > 0 {
            let prefix = next_prefix(family, len, last, random);
            last = Some(prefix);
            if usable(family, &prefix) && seen.insert(prefix) {
                all.push(prefix);
                left -= 1;
            }
        }
    }
    drop(seen);
    all.sort_unstable();
    scatter(all, random)
}

/// How many prefixes of each length. No length takes more than half of the
/// prefixes there are of it; the rest goes to the most common length.
fn counts_per_length(family: Family, n: usize) -> Vec<(u8, usize)> {
    let (lengths, space): (&[(u8, u32)], f64) = match family {
        Family::Ipv4 => (&LENGTHS_V4, 220.0 / 256.0),
        Family::Ipv6 => (&LENGTHS_V6, 1.0 / 4096.0),
    };
    let total: u64 = lengths.iter().map(|&(_, weight)| u64::from(weight)).sum();
    let mut counts: Vec<(u8, usize)> = Vec::with_capacity(lengths.len());
    let mut given = 0;
    for &(len, weight) in lengths.iter().skip(1) {
        let fair = (n as u128 * u128::from(weight) / u128::from(total)) as usize;
        let room = (2f64.powi(i32::from(len)) * space * 0.5) as usize;
        let count = fair.min(room);
        given += count;
        counts.push((len, count));
    }
    counts.insert(0, (lengths[0].0, n - given));
    counts
}

/// The prefix after the last one, or one elsewhere.
fn next_prefix(family: Family, len: u8, last: Option<Prefix>, random: &mut Random) -> Prefix {
    let step = 1u128 << (128 - u32::from(len));
    match last {
        Some(last) if random.chance(0.6) => Prefix::from_bits(
            last.bits()
                .wrapping_add(step * u128::from(1 + random.below(2))),
            len,
        ),
        _ => {
            let bits = match family {
                Family::Ipv4 => u128::from(random.bits() >> 32) << 96,
                // 2000::/12 to 2f00::/12: global unicast without its rim.
                Family::Ipv6 => {
                    let registry = [0x2001, 0x2400, 0x2600, 0x2800, 0x2a00, 0x2c00];
                    let top = registry[random.pick(&[2, 7, 5, 3, 8, 1])] + random.below(16) as u128;
                    top << 112 | u128::from(random.bits()) << 48
                }
            };
            Prefix::from_bits(bits, len)
        }
    }
}

/// False for addresses that routers refuse, and for the private ones that
/// test networks use.
fn usable(family: Family, prefix: &Prefix) -> bool {
    let [a, b, c, ..] = prefix.octets;
    match family {
        Family::Ipv4 => !matches!(
            (a, b, c),
            (0 | 10 | 127 | 224..=255, _, _)
                | (100, 64..=127, _)
                | (169, 254, _)
                | (172, 16..=31, _)
                | (192, 168, _)
                | (192, 0, 0 | 2)
                | (198, 18 | 19, _)
                | (198, 51, 100)
                | (203, 0, 113)
        ),
        // 2001:db8::/32 and 2001::/23 are not for the internet, 2002::/16 is 6to4.
        Family::Ipv6 => {
            let top = u16::from_be_bytes([a, b]);
            let second = u16::from_be_bytes([c, prefix.octets[3]]);
            (0x2000..0x3000).contains(&top)
                && top != 0x2002
                && !(top == 0x2001 && (second < 0x200 || second == 0xdb8))
        }
    }
}

/// Cuts sorted prefixes into short runs and shuffles those.
fn scatter(sorted: Vec<Prefix>, random: &mut Random) -> Vec<Prefix> {
    let mut runs = Vec::new();
    let mut start = 0;
    while start < sorted.len() {
        let mut end = start + 1;
        while end < sorted.len() && random.chance(0.7) {
            end += 1;
        }
        runs.push(start..end);
        start = end;
    }
    random.shuffle(&mut runs);
    runs.into_iter()
        .flat_map(|run| sorted[run].iter().copied())
        .collect()
}

/// Where each of `sets` runs of prefixes ends: every set has one prefix, and
/// what is left is shared out by weights with a heavy tail.
pub(crate) fn set_ends(prefixes: usize, sets: usize, random: &mut Random) -> Vec<u32> {
    if sets == 0 {
        return Vec::new();
    }
    // A Pareto tail of exponent 1.15, cut where one set would get 2 %.
    let mut weights: Vec<f64> = (0..sets)
        .map(|_| (1.0 - random.unit()).powf(-1.0 / 1.15) - 0.9)
        .collect();
    let limit = (weights.iter().sum::<f64>() * 0.02).max(1.0);
    for weight in &mut weights {
        *weight = weight.min(limit);
    }
    let total: f64 = weights.iter().sum();
    let spare = (prefixes - sets) as f64;
    let mut ends = Vec::with_capacity(sets);
    let mut share = 0.0;
    for (number, weight) in weights.iter().enumerate() {
        share += weight;
        ends.push((number + 1) as u32 + (share / total * spare) as u32);
    }
    ends[sets - 1] = prefixes as u32;
    ends
}

/// `count` distinct attribute sets.
pub(crate) fn attribute_sets(
    count: usize,
    as_sets: bool,
    random: &mut Random,
) -> Vec<AttributeSet> {
    let mut sets = Vec::with_capacity(count);
    let mut seen = HashSet::with_capacity(count);
    while sets.len() < count {
        let set = attribute_set(as_sets, random);
        if seen.insert(fingerprint(&set)) {
            sets.push(set);
        }
    }
    sets
}

fn attribute_set(as_sets: bool, random: &mut Random) -> AttributeSet {
    let path = as_path(as_sets, random);
    let origin_as = path
        .first()
        .and_then(|s| s.asns.last())
        .copied()
        .unwrap_or(1);
    let aggregated = random.chance(0.06);
    AttributeSet {
        origin: random.pick(&[880, 4, 116]) as u8,
        med: random.chance(0.25).then(|| match random.chance(0.4) {
            true => 0,
            false => random.skewed(2000) as u32,
        }),
        atomic: aggregated && random.chance(0.6),
        aggregator: aggregated.then(|| {
            let address = Ipv4Addr::from_bits(0xc000_0200 | random.below(256) as u32);
            (origin_as, address)
        }),
        communities: communities(&path, random),
        large_communities: large_communities(origin_as, random),
        path,
    }
}

/// A path of transit networks and an origin, without the sender: 3.6 hops in
/// the mean with what is prepended.
fn as_path(as_sets: bool, random: &mut Random) -> Vec<Segment> {
    let hops = 1 + random.pick(&[50, 240, 380, 220, 80, 22, 8]);
    let mut asns = Vec::with_capacity(hops + 2);
    for hop in 1..hops {
        asns.push(transit_as(hop, random));
    }
    let origin = origin_as(random);
    let repeats = match random.chance(0.13) {
        true => 2 + random.skewed(5),
        false => 1,
    };
    asns.extend((0..repeats).map(|_| origin));
    let mut path = vec![Segment {
        is_set: false,
        asns,
    }];
    if as_sets && random.chance(0.002) {
        let members = 1 + random.below(4);
        path.push(Segment {
            is_set: true,
            asns: (0..members).map(|_| origin_as(random)).collect(),
        });
    }
    path
}

/// A network that sells transit: few and large ones next to the sender, more
/// of them further away.
fn transit_as(hop: usize, random: &mut Random) -> u32 {
    let rank = match hop {
        1 => random.skewed(120),
        _ => random.skewed(4000),
    };
    asn_of_rank(rank * 17 + 174)
}

/// One of 75,000 networks that announce prefixes.
fn origin_as(random: &mut Random) -> u32 {
    asn_of_rank(random.below(75_000))
}

/// Ranks to AS numbers in public use: six in ten of two octets, none that is
/// private or reserved.
fn asn_of_rank(rank: u64) -> u32 {
    let number = match rank % 5 {
        0..3 => 1 + (rank * 13 % 64_000) as u32,
        _ => 196_608 + (rank * 3 % 205_000) as u32,
    };
    match number {
        23_456 => 23_455,
        other => other,
    }
}

/// None to more than twenty communities, few of them in most sets, given by
/// the networks on the path.
fn communities(path: &[Segment], random: &mut Random) -> Vec<u32> {
    let count = match random.pick(&[22, 38, 28, 12]) {
        0 => 0,
        1 => 1 + random.below(4),
        2 => 4 + random.below(7),
        _ => 10 + random.below(14),
    };
    let givers: Vec<u32> = path
        .iter()
        .flat_map(|segment| segment.asns.iter().copied())
        .filter(|&asn| asn <= 0xffff)
        .collect();
    let mut all: Vec<u32> = (0..count)
        .map(|_| {
            let giver = match givers.get(random.below(givers.len() as u64) as usize) {
                Some(&asn) => asn,
                None => 3356,
            };
            giver << 16 | random.skewed(10_000) as u32
        })
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn large_communities(origin: u32, random: &mut Random) -> Vec<[u32; 3]> {
    let count = match random.chance(0.08) {
        true => 1 + random.skewed(6),
        false => 0,
    };
    let mut all: Vec<[u32; 3]> = (0..count)
        .map(|_| [origin, random.below(20) as u32, random.skewed(1000) as u32])
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Makes the path of `set` one to three hops longer through other networks,
/// and gives it their communities.
pub(crate) fn detour(set: &mut AttributeSet, random: &mut Random) {
    let extra = 1 + random.pick(&[60, 30, 10]);
    let hops: Vec<u32> = (0..extra).map(|hop| transit_as(hop + 1, random)).collect();
    match set.path.first_mut() {
        Some(first) if !first.is_set => {
            first.asns.splice(0..0, hops);
        }
        _ => set.path.insert(
            0,
            Segment {
                is_set: false,
                asns: hops,
            },
        ),
    }
    set.communities = communities(&set.path, random);
}
