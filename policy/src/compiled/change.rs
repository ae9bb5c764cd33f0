//! `set` lines, compiled.

use std::sync::Arc;

use bgp_wire::attribute::code;
use bgp_wire::{
    Aggregator, Aigp, AsPath, Community, ExtendedCommunity, Family, LargeCommunity, NextHop,
    Segment, SegmentKind,
};
use std::net::{IpAddr, Ipv6Addr};

use super::as_path_list::AsPathList;
use super::community_list::{CommunityList, Comparable, sorted};
use super::route::{Changed, Direction, RouteView};
use crate::model::{
    AsPathPrepend, BandwidthSet, CommunityChange, Delta, ExcludeAsns, MetricSet, NextHopSet, Set,
};

/// A `set` line with the lists that it names; one that does not exist is none,
/// and the line then changes nothing.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) source: Set,
    lists: Lists,
}

#[derive(Debug, Clone)]
pub(crate) enum Lists {
    None,
    AsPath(Arc<AsPathList>),
    Community(Arc<CommunityList<Community>>),
    Large(Arc<CommunityList<LargeCommunity>>),
}

/// What of the router itself the lines need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Router {
    pub(crate) local_as: u32,
    pub(crate) default_local_pref: u32,
}

/// `num-multipaths` counts links of this rate, in octets per second: 1 Mbit/s.
const REFERENCE_BANDWIDTH: u64 = 125_000;
const SUBTYPE_LINK_BANDWIDTH: u8 = 4;

impl Delta {
    /// The new value of an old one.
    pub const fn of(self, old: u32) -> u32 {
        match self {
            Delta::To(value) => value,
            Delta::Add(value) => old.saturating_add(value),
            Delta::Subtract(value) => old.saturating_sub(value),
        }
    }
}

impl Change {
    pub(crate) const fn new(source: Set, lists: Lists) -> Change {
        Change { source, lists }
    }

    pub(crate) fn apply(&self, route: &mut Changed, view: &RouteView<'_>, router: Router) {
        let attributes = &mut route.attributes;
        match &self.source {
            Set::LocalPreference(delta) => {
                // FRR gives its own routes the default before, and learned ones
                // after policy.
                let none = match view.learned_from {
                    Some(_) => 0,
                    None => router.default_local_pref,
                };
                let old = attributes.local_pref.unwrap_or(none);
                attributes.local_pref = Some(delta.of(old));
            }
            Set::Metric(metric) => {
                attributes.med = Some(metric.of(attributes.med, attributes.aigp.as_ref(), view));
            }
            Set::Weight(weight) => route.weight = *weight,
            Set::Origin(origin) => attributes.origin = *origin,
            Set::AsPathPrepend(_) | Set::AsPathExclude(_) | Set::AsPathReplace(_) => {
                attributes.as_path = self.path(&attributes.as_path, view, router);
            }
            Set::Community(_)
            | Set::CommListDelete(_)
            | Set::LargeCommunity(_)
            | Set::LargeCommListDelete(_)
            | Set::ExtCommunityRt(_)
            | Set::ExtCommunitySoo(_)
            | Set::ExtCommunityBandwidth { .. }
            | Set::ExtCommunityNone => self.communities(route, view, router),
            Set::NextHop(_)
            | Set::Ipv6NextHopGlobal(_)
            | Set::Ipv6NextHopLocal(_)
            | Set::Ipv6NextHopPeerAddress
            | Set::Ipv6NextHopPreferGlobal => self.set_next_hop(route, view),
            Set::Src(address) => route.src = Some(*address),
            Set::Tag(tag) => route.tag = *tag,
            Set::Table(table) => route.table = Some(*table),
            Set::Distance(distance) => route.distance = Some(*distance),
            Set::OriginatorId(id) => attributes.originator_id = Some(*id),
            Set::AtomicAggregate => attributes.atomic_aggregate = true,
            Set::Aggregator(by) => {
                attributes.partial.remove(code::AGGREGATOR);
                attributes.aggregator = Some(Aggregator {
                    asn: by.asn,
                    id: by.address,
                });
            }
            Set::AigpMetric(metric) => {
                let metric = u64::from(metric.unwrap_or(view.igp_metric));
                attributes
                    .aigp
                    .get_or_insert_with(|| Aigp::new(metric))
                    .metric = metric;
            }
        }
    }

    // ===== AS path =====

    fn path(&self, path: &AsPath, view: &RouteView<'_>, router: Router) -> AsPath {
        match (&self.source, &self.lists) {
            (Set::AsPathPrepend(AsPathPrepend::Asns(asns)), _) => prepend(path, asns),
            (Set::AsPathPrepend(AsPathPrepend::LastAs(times)), _) => match leftmost(path) {
                Some(asn) => path.prepend(asn, usize::from(*times)),
                None => path.clone(),
            },
            (Set::AsPathExclude(ExcludeAsns::All), _) => AsPath::empty(),
            (Set::AsPathExclude(ExcludeAsns::Asns(asns)), _) => {
                without(path, |asn| asns.contains(&asn))
            }
            (Set::AsPathExclude(ExcludeAsns::List(_)), Lists::AsPath(list)) => {
                without(path, |asn| {
                    list.verdict(&AsPath::from_sequence([asn])).permits()
                })
            }
            // Within the AS nobody's number is another's: a path with our own is
            // a loop.
            (Set::AsPathReplace(_), _) if view.peer.is_some_and(|peer| !peer.is_external()) => {
                path.clone()
            }
            (Set::AsPathReplace(replace), _) => {
                let ours = view.peer.map_or(router.local_as, |peer| peer.local_as);
                let to = replace.to.unwrap_or(ours);
                let is_meant = |asn| replace.from.is_none_or(|from| from == asn);
                path.map_asns(|asn| if is_meant(asn) { to } else { asn })
            }
            _ => path.clone(),
        }
    }

    // ===== communities =====

    fn communities(&self, route: &mut Changed, view: &RouteView<'_>, router: Router) {
        let attributes = &mut route.attributes;
        let plain = &mut attributes.communities;
        let large = &mut attributes.large_communities;
        let extended = &mut attributes.extended_communities;
        let is_anew = match (&self.source, &self.lists) {
            (Set::Community(change), _) => change_list(plain, change),
            (Set::LargeCommunity(change), _) => change_list(large, change),
            (Set::CommListDelete(_), Lists::Community(list)) => delete(plain, list),
            (Set::LargeCommListDelete(_), Lists::Large(list)) => delete(large, list),
            (Set::ExtCommunityRt(list) | Set::ExtCommunitySoo(list), _) => {
                let new = list.iter().filter(|new| !extended.contains(new));
                let new: Vec<_> = new.copied().collect();
                extended.extend(new);
                false
            }
            (
                Set::ExtCommunityBandwidth {
                    bandwidth,
                    non_transitive,
                },
                _,
            ) => {
                if let Some(bandwidth) = octets_per_second(*bandwidth, view) {
                    put_bandwidth(extended, bandwidth, !non_transitive, router.local_as);
                }
                false
            }
            (Set::ExtCommunityNone, _) => {
                extended.clear();
                true
            }
            _ => false,
        };
        // What is made anew here, or is gone, was not passed on by one who did
        // not know it.
        let (code, is_gone) = match &self.source {
            Set::Community(_) | Set::CommListDelete(_) => {
                (code::COMMUNITIES, attributes.communities.is_empty())
            }
            Set::LargeCommunity(_) | Set::LargeCommListDelete(_) => {
                let is_gone = attributes.large_communities.is_empty();
                (code::LARGE_COMMUNITIES, is_gone)
            }
            _ => {
                let is_gone = attributes.extended_communities.is_empty();
                (code::EXTENDED_COMMUNITIES, is_gone)
            }
        };
        if is_anew || is_gone {
            attributes.partial.remove(code);
        }
    }

    // ===== next hop =====

    fn set_next_hop(&self, route: &mut Changed, view: &RouteView<'_>) {
        if route.is_peer_address {
            return;
        }
        // Preferring the global address is how we forward, and nothing to tell others;
        // our own address to the peer is nothing to learn.
        let v6 = view.family() == Family::Ipv6Unicast;
        match (&self.source, view.direction) {
            (Set::Ipv6NextHopPreferGlobal, Direction::In) => route.prefers_global = true,
            (Set::Ipv6NextHopPeerAddress, Direction::Out) => route.is_peer_address = v6,
            _ => {}
        }
        let hop = self.next_hop(route.attributes.next_hop, view);
        route.attributes.next_hop = hop;
        if let Some(NextHop::V6 { global, link_local }) = hop
            && route.prefers_global
            && !global.is_unicast_link_local()
        {
            route.let_go = link_local.or(route.let_go);
            let link_local = None;
            route.attributes.next_hop = Some(NextHop::V6 { global, link_local });
        }
    }

    fn next_hop(&self, current: Option<NextHop>, view: &RouteView<'_>) -> Option<NextHop> {
        let v4 = view.family() == Family::Ipv4Unicast;
        let peer = view.peer;
        match &self.source {
            Set::NextHop(NextHopSet::Address(addr)) if v4 => Some(NextHop::V4(*addr)),
            Set::NextHop(NextHopSet::PeerAddress) if v4 => {
                let addr = peer.and_then(|peer| match (view.direction, peer.address) {
                    (Direction::In, IpAddr::V4(addr)) => Some(addr),
                    (Direction::In, IpAddr::V6(_)) => None,
                    (Direction::Out, _) => peer.local_v4,
                });
                addr.map(NextHop::V4).or(current)
            }
            Set::NextHop(NextHopSet::Unchanged) if v4 => match view.direction {
                Direction::In => current,
                Direction::Out => view.original_next_hop.or(current),
            },
            Set::Ipv6NextHopGlobal(global) if has_v6(current, v4) => Some(NextHop::V6 {
                global: *global,
                link_local: link_local(current),
            }),
            Set::Ipv6NextHopLocal(local) if has_v6(current, v4) => {
                let global = match current {
                    Some(NextHop::V6 { global, .. }) => global,
                    _ => *local,
                };
                let link_local = Some(*local);
                Some(NextHop::V6 { global, link_local })
            }
            Set::Ipv6NextHopPeerAddress if has_v6(current, v4) => {
                let hop = peer.and_then(|peer| match (view.direction, peer.address) {
                    (Direction::In, IpAddr::V6(addr)) => Some(by_address(addr, current)),
                    (Direction::In, IpAddr::V4(_)) => None,
                    (Direction::Out, _) => {
                        let global = peer.local_v6.or(peer.local_link_local)?;
                        let link_local = peer.local_link_local;
                        Some(NextHop::V6 { global, link_local })
                    }
                });
                hop.or(current)
            }
            _ => current,
        }
    }
}

impl MetricSet {
    fn of(self, med: Option<u32>, aigp: Option<&Aigp>, view: &RouteView<'_>) -> u32 {
        let old = med.unwrap_or(0);
        match self {
            MetricSet::By(delta) => delta.of(old),
            MetricSet::Rtt => view.rtt_ms,
            MetricSet::AddRtt => old.saturating_add(view.rtt_ms),
            MetricSet::SubtractRtt => old.saturating_sub(view.rtt_ms),
            MetricSet::Igp => view.igp_metric,
            MetricSet::Aigp => match aigp {
                Some(aigp) => u32::try_from(aigp.metric).unwrap_or(u32::MAX),
                None => old,
            },
        }
    }
}

/// The numbers in front of a path, the first outermost.
fn prepend(path: &AsPath, asns: &[u32]) -> AsPath {
    let mut path = path.clone();
    for asn in asns.iter().rev() {
        path = path.prepend(*asn, 1);
    }
    path
}

/// The first number, where the path begins with a sequence.
fn leftmost(path: &AsPath) -> Option<u32> {
    let first = path.segments().next()?;
    match first.kind {
        SegmentKind::Sequence => first.asns.first().copied(),
        _ => None,
    }
}

fn without(path: &AsPath, is_gone: impl Fn(u32) -> bool) -> AsPath {
    AsPath::from_segments(path.segments().map(|segment| {
        Segment {
            kind: segment.kind,
            asns: segment
                .asns
                .iter()
                .copied()
                .filter(|asn| !is_gone(*asn))
                .collect(),
        }
    }))
}

/// Sorted in the end, each once, as FRR has them. Whether all are new.
fn change_list<C: Comparable>(communities: &mut Vec<C>, change: &CommunityChange<C>) -> bool {
    match change {
        CommunityChange::Replace(new) => *communities = sorted(new),
        CommunityChange::None => communities.clear(),
        CommunityChange::Add(new) => {
            communities.extend(new);
            *communities = sorted(communities);
            return false;
        }
    }
    true
}

/// Takes those away that the list permits. Whether all are new: never.
fn delete<C: Comparable>(communities: &mut Vec<C>, list: &CommunityList<C>) -> bool {
    let mut left = sorted(communities);
    left.retain(|community| !list.verdict_on(*community).permits());
    *communities = left;
    false
}

fn octets_per_second(bandwidth: BandwidthSet, view: &RouteView<'_>) -> Option<u64> {
    let octets = match bandwidth {
        BandwidthSet::Mbits(mbits) => u64::from(mbits) * 125_000,
        BandwidthSet::Cumulative => view.cumulative_bandwidth,
        BandwidthSet::NumMultipaths => REFERENCE_BANDWIDTH * u64::from(view.num_multipaths),
    };
    (octets > 0).then_some(octets)
}

/// In place of another link bandwidth of the same kind.
fn put_bandwidth(list: &mut Vec<ExtendedCommunity>, octets: u64, transitive: bool, asn: u32) {
    let new = ExtendedCommunity::link_bandwidth(asn, octets as f32, transitive);
    let kind = |community: &ExtendedCommunity| {
        let [kind, subtype, ..] = community.0;
        (kind, subtype)
    };
    list.retain(|old| kind(old) != kind(&new) || kind(old).1 != SUBTYPE_LINK_BANDWIDTH);
    list.push(new);
    *list = sorted(list);
}

/// Whether an IPv6 next hop makes sense: the prefix is of that family, or has
/// one (RFC 8950).
const fn has_v6(current: Option<NextHop>, v4: bool) -> bool {
    !v4 || matches!(current, Some(NextHop::V6 { .. }))
}

const fn link_local(current: Option<NextHop>) -> Option<Ipv6Addr> {
    match current {
        Some(NextHop::V6 { link_local, .. }) => link_local,
        Some(NextHop::V4(_)) | None => None,
    }
}

/// Packets go to this address; a peer's global one stands beside the link-local
/// one that it told.
fn by_address(addr: Ipv6Addr, current: Option<NextHop>) -> NextHop {
    match (addr.is_unicast_link_local(), current) {
        (true, Some(NextHop::V6 { global, .. })) => NextHop::V6 {
            global,
            link_local: Some(addr),
        },
        (true, _) => NextHop::V6 {
            global: addr,
            link_local: Some(addr),
        },
        (false, current) => NextHop::V6 {
            global: addr,
            link_local: link_local(current),
        },
    }
}
