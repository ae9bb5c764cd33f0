//! Link bandwidth (draft-ietf-idr-link-bandwidth): how the paths that are used
//! together share the traffic by it, and what they carry together.

use bgp_wire::ExtendedCommunity;

use crate::attrs::AttrRef;
use crate::config::LinkBandwidth;
use crate::forwarding::{used, ways};
use crate::shared::Shared;
use crate::table::{RibFamily, Table};
use crate::transform::Route;

/// Octets per second of the first link bandwidth among communities, as a whole
/// number. 0 is none, as for FRR.
pub(crate) fn link_bandwidth(communities: &[ExtendedCommunity]) -> Option<u64> {
    let mut found = communities.iter();
    let first = found.find_map(ExtendedCommunity::as_link_bandwidth)?;
    // Beyond any link there will be, the largest number has to do.
    Some(first as u64).filter(|bandwidth| *bandwidth > 0)
}

/// A route without link bandwidth, or with it as an integer, as it is to be
/// looked at: as a float.
pub(crate) fn with_floats(set: &AttrRef) -> AttrRef {
    let mut attributes = set.decode();
    let before = attributes.extended_communities.clone();
    for community in &mut attributes.extended_communities {
        *community = community.link_bandwidth_from_integer();
    }
    match attributes.extended_communities == before {
        true => set.clone(),
        false => AttrRef::weighted(&attributes, set.weight()),
    }
}

// ===== shares =====

/// Of a path with link bandwidth this much is what one without has where it
/// gets the default: FRR counts in hundredths of the whole, and gives it one.
const DEFAULT_SHARE: u128 = 100;

/// The share of each next hop: those of the same weight get equally much, and
/// those of none are left out. None where link bandwidth has no say.
///
/// Shares are exact where they can be: in FRR's hundredths if those come out
/// even, else in the lowest terms. Where those are too large the largest is
/// 65535, and the others are rounded, to no less than 1.
pub(crate) fn shares(bandwidths: &[Option<u64>], rule: LinkBandwidth) -> Option<Vec<Option<u16>>> {
    let missing = bandwidths.iter().any(Option::is_none);
    let total: u128 = bandwidths.iter().flatten().copied().map(u128::from).sum();
    let default = match rule {
        LinkBandwidth::Ignore => return None,
        LinkBandwidth::WhenAll if missing => return None,
        _ if total == 0 => return None,
        LinkBandwidth::DefaultWeight if missing => Some(total),
        _ => None,
    };
    let known = |bandwidth: u64| u128::from(bandwidth) * DEFAULT_SHARE;
    let parts: Vec<Option<u128>> = bandwidths
        .iter()
        .map(|bandwidth| bandwidth.map(known).or(default))
        .collect();
    let divisor = parts.iter().flatten().copied().fold(0, greatest_common);
    let terms = || parts.iter().flatten().map(|part| part / divisor.max(1));
    let (sum, largest) = (terms().sum::<u128>(), terms().max().unwrap_or(1));
    let even = default.is_none() && sum > 0 && DEFAULT_SHARE.is_multiple_of(sum);
    let share = |part: u128| {
        let term = part / divisor.max(1);
        let share = match (even, u16::try_from(largest)) {
            (true, _) => term * (DEFAULT_SHARE / sum),
            (false, Ok(_)) => term,
            (false, Err(_)) => scaled(term, largest),
        };
        u16::try_from(share).unwrap_or(u16::MAX)
    };
    Some(parts.into_iter().map(|part| part.map(share)).collect())
}

/// Rounded, where the largest becomes 65535.
fn scaled(term: u128, largest: u128) -> u128 {
    let max = u128::from(u16::MAX);
    ((term * max + largest / 2) / largest).max(1)
}

fn greatest_common(a: u128, b: u128) -> u128 {
    match b {
        0 => a,
        _ => greatest_common(b, a % b),
    }
}

// ===== what is carried together =====

/// What the paths that are used together carry, in octets per second: the bits
/// of a float, which is what a link bandwidth is. The sign says that a path says
/// nothing of it. 0 where the best path is used alone, or is the one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Carried(u32);

/// The bit of a float's sign.
const INCOMPLETE: u32 = 1 << 31;

impl Carried {
    /// In four octets.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// From [`bits`](Self::bits).
    pub(crate) const fn from_bits(bits: u32) -> Carried {
        Carried(bits)
    }

    fn of(paths: &[Option<u64>]) -> Carried {
        let sum: u128 = paths.iter().flatten().copied().map(u128::from).sum();
        let missing = paths.iter().any(Option::is_none);
        let sign = if missing { INCOMPLETE } else { 0 };
        Carried((sum as f32).to_bits() | sign)
    }

    /// What a receiver is told in place of the best path's own, for whom we are
    /// the next hop; nothing where traffic is not shared by it.
    pub(crate) fn told(self, rule: LinkBandwidth) -> Carried {
        let shared = match rule {
            LinkBandwidth::Ignore => false,
            LinkBandwidth::WhenAll => self.0 & INCOMPLETE == 0,
            LinkBandwidth::SkipMissing | LinkBandwidth::DefaultWeight => true,
        };
        match shared {
            true => Carried(self.0 & !INCOMPLETE),
            false => Carried::default(),
        }
    }

    /// Puts it in place of a link bandwidth that may leave the AS, with our AS;
    /// one that may not stays (FRR does the same).
    pub(crate) fn replace(self, asn: u32, communities: &mut [ExtendedCommunity]) {
        let is_bandwidth = |c: &ExtendedCommunity| c.as_link_bandwidth().is_some();
        let first = communities.iter().position(is_bandwidth);
        let Some(first) = first.filter(|_| self != Carried::default()) else {
            return;
        };
        if let Some(place) = communities.get_mut(first).filter(|c| c.is_transitive()) {
            *place = ExtendedCommunity::link_bandwidth(asn, f32::from_bits(self.0), true);
        }
    }
}

/// What the paths used for a prefix carry, where the best of them has link
/// bandwidth.
pub(crate) fn carried<F: RibFamily>(table: &Table<F>, shared: &Shared, slot: u32) -> Carried {
    let entry = table.get(slot).filter(|entry| entry.outcome.multipath());
    let best = entry.and_then(|entry| entry.best()?.post);
    if !best.is_some_and(|post| shared.interner.has_link_bandwidth(post)) {
        return Carried::default();
    }
    let ways = ways(shared, used(table, slot));
    let bandwidths: Vec<Option<u64>> = ways.into_iter().map(|(_, bandwidth)| bandwidth).collect();
    match bandwidths.len() {
        0 | 1 => Carried::default(),
        _ => Carried::of(&bandwidths),
    }
}

/// The best path of a prefix, or what was it before the last path was gone, as
/// far as anybody is told of it.
pub(crate) fn best_route<F: RibFamily>(
    table: &Table<F>,
    shared: &Shared,
    slot: u32,
) -> Option<Route> {
    let entry = table.get(slot)?;
    match (entry.best(), entry.ghost()) {
        (Some(best), _) => best.route(shared, carried(table, shared, slot)),
        (None, Some(ghost)) => ghost.route(shared, Carried::default()),
        (None, None) => None,
    }
}
