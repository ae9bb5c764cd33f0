//! What the tests of the table share: short ways to say things, and policies.
#![allow(dead_code, unreachable_pub)]

pub mod kernel;
pub mod pair;
pub mod world;

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bgp_wire::update::{Announcement, Nlri, Prefixes};
use bgp_wire::{
    AsPath, Community, Family, FamilySet, NextHop, Origin, PathAttributes, PeerKind, Update,
};
use holdfast_rib::{
    AggregatePolicy, AggregateRoute, Confederation, DenyReason, ExportBatch, FibChange,
    NextHopState, PeerId, PeerInfo, Policy, Rewritten, Rib, RibConfig, RouteContext, TrackEvent,
    Verdict,
};
use ipnet::IpNet;

pub const LOCAL_AS: u32 = 65000;
pub const V4: Family = Family::Ipv4Unicast;
pub const V6: Family = Family::Ipv6Unicast;

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn v4(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

pub fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

pub fn hop(text: &str) -> NextHop {
    match ip(text) {
        IpAddr::V4(addr) => NextHop::V4(addr),
        IpAddr::V6(global) => NextHop::V6 {
            global,
            link_local: None,
        },
    }
}

pub fn config() -> RibConfig {
    RibConfig::new(LOCAL_AS, v4("10.255.0.1"))
}

/// An external peer on the subnet 192.0.2.0/24 (and 2001:db8::/64), where we
/// are .100 and ::100.
pub fn external(asn: u32, address: &str) -> PeerInfo {
    PeerInfo {
        local_v4: Some(v4("192.0.2.100")),
        local_v6: Some("2001:db8::100".parse().unwrap()),
        shared_subnets: vec![net("192.0.2.0/24"), net("2001:db8::/64")],
        ..PeerInfo::new(PeerKind::External, LOCAL_AS, asn, ip(address))
    }
}

/// An internal peer, reached over 10.0.0.0/8, where we are 10.0.0.100.
pub fn internal(address: &str) -> PeerInfo {
    PeerInfo {
        local_v4: Some(v4("10.0.0.100")),
        local_v6: Some("2001:db8:a::100".parse().unwrap()),
        ..PeerInfo::new(PeerKind::Internal, LOCAL_AS, LOCAL_AS, ip(address))
    }
}

/// A peer in another member AS of our confederation, on the subnet of the
/// internal ones.
pub fn member(asn: u32, address: &str) -> PeerInfo {
    PeerInfo {
        kind: PeerKind::Confederation,
        remote_as: asn,
        ..internal(address)
    }
}

/// The confederation 65500 of 65000, which is us, and 65100 and 65101.
pub fn confederation() -> RibConfig {
    RibConfig {
        confederation: Some(Confederation {
            identifier: 65500,
            members: [65100, 65101].into(),
        }),
        ..config()
    }
}

pub fn client(address: &str) -> PeerInfo {
    PeerInfo {
        reflector_client: both(),
        ..internal(address)
    }
}

pub fn both() -> FamilySet {
    Family::ALL.into_iter().collect()
}

pub fn only(family: Family) -> FamilySet {
    [family].into_iter().collect()
}

/// Attributes with an AS path and next hop.
pub fn attributes(path: &[u32], next_hop: &str) -> PathAttributes {
    PathAttributes {
        origin: Origin::Igp,
        as_path: AsPath::from_sequence(path),
        next_hop: Some(hop(next_hop)),
        ..PathAttributes::default()
    }
}

pub fn prefixes(family: Family, list: &[(IpNet, u32)]) -> Prefixes {
    match family {
        Family::Ipv4Unicast => Prefixes::V4(
            list.iter()
                .filter_map(|(net, path_id)| match net {
                    IpNet::V4(prefix) => Some(Nlri {
                        path_id: *path_id,
                        prefix: *prefix,
                    }),
                    IpNet::V6(_) => None,
                })
                .collect(),
        ),
        Family::Ipv6Unicast => Prefixes::V6(
            list.iter()
                .filter_map(|(net, path_id)| match net {
                    IpNet::V6(prefix) => Some(Nlri {
                        path_id: *path_id,
                        prefix: *prefix,
                    }),
                    IpNet::V4(_) => None,
                })
                .collect(),
        ),
    }
}

pub fn nets(prefixes: &Prefixes) -> Vec<IpNet> {
    match prefixes {
        Prefixes::V4(list) => list.iter().map(|nlri| nlri.prefix.into()).collect(),
        Prefixes::V6(list) => list.iter().map(|nlri| nlri.prefix.into()).collect(),
    }
}

/// Prefixes with their path identifiers.
pub fn paths(prefixes: &Prefixes) -> Vec<(IpNet, u32)> {
    match prefixes {
        Prefixes::V4(list) => list.iter().map(|n| (n.prefix.into(), n.path_id)).collect(),
        Prefixes::V6(list) => list.iter().map(|n| (n.prefix.into(), n.path_id)).collect(),
    }
}

pub fn family_of(net: IpNet) -> Family {
    match net {
        IpNet::V4(_) => V4,
        IpNet::V6(_) => V6,
    }
}

pub fn announcement(list: &[(IpNet, u32)], mut attributes: PathAttributes) -> Update {
    let next_hop = attributes.next_hop.take().unwrap();
    Update {
        announced: vec![Announcement {
            next_hop,
            prefixes: prefixes(family_of(list[0].0), list),
        }],
        attributes,
        ..Update::default()
    }
}

pub fn withdrawal(list: &[(IpNet, u32)]) -> Update {
    Update {
        withdrawn: vec![prefixes(family_of(list[0].0), list)],
        ..Update::default()
    }
}

pub fn announce(rib: &mut Rib, peer: u32, prefix: &str, attributes: PathAttributes) {
    rib.update(
        PeerId(peer),
        announcement(&[(net(prefix), 0)], attributes),
        0,
    );
    resolve(rib);
}

pub fn withdraw(rib: &mut Rib, peer: u32, prefix: &str) {
    rib.update(PeerId(peer), withdrawal(&[(net(prefix), 0)]), 0);
}

/// Makes every next hop that is asked for connected.
pub fn resolve(rib: &mut Rib) {
    for event in rib.take_tracking() {
        if let TrackEvent::Track(addr) = event {
            rib.next_hop_changed(addr, state(10, true));
        }
    }
}

pub fn state(metric: u32, connected: bool) -> Option<NextHopState> {
    Some(NextHopState::new(metric, connected))
}

/// Everything that is to be sent to a peer, as one portion.
pub fn drain(rib: &mut Rib, peer: u32) -> ExportBatch {
    let mut whole = ExportBatch::default();
    while rib.pending(PeerId(peer)) {
        let batch = rib.export(PeerId(peer), 100);
        whole.withdrawn.extend(batch.withdrawn);
        whole.announced.extend(batch.announced);
        for family in batch.end_of_rib.iter() {
            whole.end_of_rib.insert(family);
        }
        for family in batch.end_of_refresh.iter() {
            whole.end_of_refresh.insert(family);
        }
    }
    whole
}

pub fn announced_nets(batch: &ExportBatch) -> Vec<IpNet> {
    batch.announced.iter().flat_map(|(_, p)| nets(p)).collect()
}

pub fn withdrawn_nets(batch: &ExportBatch) -> Vec<IpNet> {
    batch.withdrawn.iter().flat_map(nets).collect()
}

/// What a peer is sent for its only announcement.
pub fn sent(rib: &mut Rib, peer: u32) -> Option<PathAttributes> {
    let batch = drain(rib, peer);
    assert!(batch.announced.len() < 2, "{batch:?}");
    batch.announced.first().map(|(attrs, _)| (**attrs).clone())
}

pub fn fib(rib: &mut Rib) -> Vec<FibChange> {
    rib.take_fib_changes(usize::MAX)
}

pub fn accept() -> Arc<dyn Policy> {
    Arc::new(TestPolicy::Accept)
}

/// Policies for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestPolicy {
    Accept,
    Deny,
    /// Denies prefixes of odd length, sets attributes on the others.
    Rewrite {
        local_pref: u32,
        weight: u32,
    },
    /// Denies routes with a community, in both directions.
    DenyCommunity(Community),
    /// Denies routes of a weight on export.
    DenyWeight(u32),
    /// Sets another next hop on export.
    NextHop(NextHop),
}

impl TestPolicy {
    fn verdict(&self, route: &RouteContext<'_>, import: bool) -> Verdict {
        match *self {
            TestPolicy::Accept => Verdict::Accept,
            TestPolicy::Deny => Verdict::Deny(DenyReason::NoPolicy),
            TestPolicy::Rewrite { .. } if route.prefix.prefix_len() % 2 == 1 => {
                Verdict::Deny(DenyReason::Filtered)
            }
            TestPolicy::Rewrite { local_pref, weight } => {
                // One for all prefixes that are to get the same.
                let known = route.attributes.memo(
                    std::ptr::from_ref(self).addr(),
                    RefCell::<HashMap<u8, Arc<Rewritten>>>::default,
                );
                let len = route.prefix.prefix_len();
                let mut known = known.borrow_mut();
                let new = known.entry(len).or_insert_with(|| {
                    let mut attributes = PathAttributes::clone(route.attributes);
                    attributes.local_pref = Some(local_pref);
                    attributes.med = Some(len.into());
                    let weight = Some(weight);
                    Arc::new(Rewritten { attributes, weight })
                });
                Verdict::AcceptWith(Arc::clone(new))
            }
            TestPolicy::DenyCommunity(community) => {
                if route.attributes.communities.contains(&community) {
                    Verdict::Deny(DenyReason::Filtered)
                } else {
                    Verdict::Accept
                }
            }
            TestPolicy::NextHop(_) | TestPolicy::DenyWeight(_) if import => Verdict::Accept,
            TestPolicy::DenyWeight(weight) if weight == route.weight => {
                Verdict::Deny(DenyReason::Filtered)
            }
            TestPolicy::DenyWeight(_) => Verdict::Accept,
            TestPolicy::NextHop(next_hop) => {
                let mut attributes = PathAttributes::clone(route.attributes);
                attributes.next_hop = Some(next_hop);
                Verdict::rewrite(attributes)
            }
        }
    }
}

impl Policy for TestPolicy {
    fn import(&self, route: &RouteContext<'_>) -> Verdict {
        self.verdict(route, true)
    }

    fn export(&self, route: &RouteContext<'_>) -> Verdict {
        self.verdict(route, false)
    }

    fn export_depends_on_peer(&self) -> bool {
        false
    }

    fn unsuppresses(&self, route: &RouteContext<'_>) -> bool {
        match self {
            TestPolicy::DenyCommunity(_) => route.prefix.prefix_len() == 24,
            _ => false,
        }
    }

    /// What else is set of a route that is suppressed shows that it was.
    fn export_suppressed(&self, route: &RouteContext<'_>) -> Verdict {
        match self {
            TestPolicy::Rewrite { local_pref, .. } => {
                let mut attributes = PathAttributes::clone(route.attributes);
                attributes.local_pref = Some(local_pref + 1);
                attributes.med = Some(99);
                Verdict::rewrite(attributes)
            }
            _ if self.unsuppresses(route) => self.export(route),
            _ => Verdict::Deny(DenyReason::Filtered),
        }
    }

    fn export_may_deny(&self) -> bool {
        *self != TestPolicy::Accept
    }
}

/// Policies of aggregates for tests.
#[derive(Debug)]
pub struct TestAggregatePolicy(pub u8);

impl AggregatePolicy for TestAggregatePolicy {
    fn suppresses(&self, route: &AggregateRoute<'_>) -> bool {
        let marked = route
            .attributes
            .communities
            .contains(&Community(0xffde_0001));
        route.prefix.prefix_len().is_multiple_of(2) || marked || route.weight == 5
    }

    /// Denies what is incomplete; or else a mark comes with it, and no weight.
    fn originate(&self, route: &AggregateRoute<'_>) -> Verdict {
        if self.0 == 0 && route.attributes.origin == Origin::Incomplete {
            return Verdict::Deny(DenyReason::Filtered);
        }
        let mut attributes = PathAttributes::clone(route.attributes);
        attributes.communities = vec![Community(0xffde_0002)];
        let weight = (self.0 == 1).then_some(0);
        Verdict::AcceptWith(Arc::new(Rewritten { attributes, weight }))
    }
}
