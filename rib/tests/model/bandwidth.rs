//! What link bandwidth comes to, naively.

use std::collections::BTreeMap;

use bgp_wire::ExtendedCommunity;
use holdfast_rib::LinkBandwidth;

use super::*;

/// Octets per second; 0 is none.
pub fn bandwidth(attributes: &PathAttributes) -> Option<u64> {
    let mut list = attributes.extended_communities.iter();
    let first = list.find_map(ExtendedCommunity::as_link_bandwidth)?;
    Some(first as u64).filter(|bandwidth| *bandwidth != 0)
}

/// Whether traffic is shared by it.
fn applies(all: &[Option<u64>], rule: LinkBandwidth) -> bool {
    let known = all.iter().flatten().count();
    match rule {
        LinkBandwidth::Ignore => false,
        LinkBandwidth::WhenAll => known == all.len(),
        LinkBandwidth::SkipMissing | LinkBandwidth::DefaultWeight => known > 0,
    }
}

/// The weight of each, none for those that are not used.
pub fn weights(all: &[Option<u64>], rule: LinkBandwidth) -> Vec<Option<u16>> {
    if all.len() < 2 || !applies(all, rule) {
        return vec![Some(1); all.len()];
    }
    let total: u128 = all.iter().flatten().map(|b| u128::from(*b)).sum();
    let whole = |b: &Option<u64>| b.is_none_or(|b| (u128::from(b) * 100).is_multiple_of(total));
    if rule == LinkBandwidth::SkipMissing && all.iter().flatten().count() == 1 {
        return all.iter().map(|b| b.map(|_| 1)).collect();
    }
    if all.iter().all(whole) {
        // As FRR has it, who rounds where that is not exact.
        let missing = (rule == LinkBandwidth::DefaultWeight).then_some(1);
        let share = |b: u64| (u128::from(b) * 100 / total) as u16;
        return all.iter().map(|b| b.map(share).or(missing)).collect();
    }
    let missing = (rule == LinkBandwidth::DefaultWeight).then_some(total);
    let parts: Vec<Option<u128>> = all
        .iter()
        .map(|b| b.map(|b| u128::from(b) * 100).or(missing))
        .collect();
    let known = || parts.iter().flatten().copied();
    let mut divisor = known().min().unwrap_or(1);
    while let Some(part) = known().find(|part| !part.is_multiple_of(divisor)) {
        divisor = part % divisor;
    }
    let largest = known().max().unwrap_or(1);
    let weight = |part: u128| match largest / divisor {
        terms if terms <= 65535 => (part / divisor) as u16,
        _ => ((part as f64 / largest as f64 * 65535.0).round() as u16).max(1),
    };
    parts.into_iter().map(|part| part.map(weight)).collect()
}

/// Next hops, with the peer where they are link-local; the peer that names each,
/// and the bandwidth.
pub type Ways = BTreeMap<(NextHop, Option<PeerId>), (PeerId, Option<u64>)>;

impl Model {
    /// Of each next hop that is used, the first peer that names it and the
    /// largest bandwidth that is promised by it.
    pub fn ways(&self, outcome: &Outcome) -> Option<Ways> {
        let mut used = outcome.multipath.clone();
        used.insert(outcome.best?);
        let mut ways: BTreeMap<_, (PeerId, Option<u64>)> = BTreeMap::new();
        for path in used.iter().map(|i| &outcome.paths[*i]) {
            let PathSource::Peer(peer) = path.source else {
                return None;
            };
            let hop = path.attributes.next_hop?;
            let by_interface = link_local(hop.addr()).then_some(peer);
            let way = ways.entry((hop, by_interface)).or_insert((peer, None));
            *way = (peer.min(way.0), bandwidth(&path.attributes).max(way.1));
        }
        Some(ways)
    }

    /// What we are told to carry for the prefix, where that is more than the
    /// best path's.
    pub fn carried(&self, outcome: &Outcome) -> Option<f32> {
        let ways: Vec<Option<u64>> = self.ways(outcome)?.into_values().map(|w| w.1).collect();
        bandwidth(&outcome.paths[outcome.best?].attributes)?;
        let shared = ways.len() > 1 && applies(&ways, self.config.link_bandwidth);
        shared.then(|| ways.into_iter().flatten().map(u128::from).sum::<u128>() as f32)
    }

    /// The communities of a route whose next hop we become.
    pub fn replace_bandwidth(&self, to: &PeerInfo, carried: f32, list: &mut [ExtendedCommunity]) {
        let asn = match to.is_external() {
            true => self.config.outer_as(),
            false => self.config.local_as,
        };
        let first = list.iter_mut().find(|c| c.as_link_bandwidth().is_some());
        if let Some(place) = first.filter(|c| c.is_transitive()) {
            *place = ExtendedCommunity::link_bandwidth(asn, carried, true);
        }
    }
}
