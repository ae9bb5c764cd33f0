//! The decision process: a test for each step, and for what must not matter.

mod common;

use std::net::IpAddr;

use bgp_wire::{AsPath, Origin, PathAttributes, as_path::Segment, as_path::SegmentKind};
use common::*;
use holdfast_rib::{
    LocalRoute, LocalSource, MaxPaths, NextHopState, PathSource, PeerId, PeerInfo, Rib, RibConfig,
    Step, Through,
};

const PREFIX: &str = "203.0.113.0/24";

/// A contest of two peers: 0 is the one that has to win, with the higher
/// address and number of paths announced last, so that nothing wins by chance.
struct Duel {
    config: RibConfig,
    winner: (PeerInfo, PathAttributes),
    loser: (PeerInfo, PathAttributes),
}

impl Duel {
    fn new() -> Duel {
        Duel {
            config: config(),
            winner: (
                external(65001, "192.0.2.9"),
                attributes(&[65001, 65010], "192.0.2.9"),
            ),
            loser: (
                external(65001, "192.0.2.1"),
                attributes(&[65001, 65010], "192.0.2.1"),
            ),
        }
    }

    fn fight(self) -> (PathSource, Step) {
        let mut rib = Rib::new(self.config);
        rib.peer_up(PeerId(1), self.loser.0, accept());
        rib.peer_up(PeerId(0), self.winner.0, accept());
        announce(&mut rib, 1, PREFIX, self.loser.1);
        announce(&mut rib, 0, PREFIX, self.winner.1);
        outcome(&rib)
    }

    fn decided_by(self, step: Step, text: &str) {
        assert_eq!(self.fight(), (PathSource::Peer(PeerId(0)), step));
        assert_eq!(step.reason(), text);
    }
}

fn outcome(rib: &Rib) -> (PathSource, Step) {
    let view = rib.prefix(net(PREFIX)).unwrap();
    assert!(view.paths[0].best);
    (view.paths[0].source, view.reason.unwrap())
}

// ===== Each step =====

#[test]
fn a_single_path_is_the_first_received() {
    let mut rib = Rib::new(config());
    rib.peer_up(PeerId(0), external(65001, "192.0.2.1"), accept());
    announce(&mut rib, 0, PREFIX, attributes(&[65001], "192.0.2.1"));
    assert_eq!(outcome(&rib).1, Step::OnlyPath);
    assert_eq!(Step::OnlyPath.reason(), "First path received");
}

#[test]
fn the_higher_weight_wins() {
    let mut duel = Duel::new();
    duel.winner.0.ipv4.weight = 1;
    duel.winner.1.as_path = AsPath::from_sequence([65001, 2, 3, 4]);
    duel.decided_by(Step::Weight, "Weight");
}

#[test]
fn the_higher_local_pref_wins_and_a_missing_one_is_the_default() {
    let mut duel = Duel::new();
    duel.winner.0 = internal("10.0.0.9");
    duel.loser.0 = internal("10.0.0.1");
    duel.winner.1.as_path = AsPath::from_sequence([1, 2, 3, 4]);
    duel.loser.1.local_pref = Some(99);
    duel.decided_by(Step::LocalPref, "Local Pref");
}

#[test]
fn local_pref_from_an_external_peer_is_ignored() {
    let mut duel = Duel::new();
    duel.loser.1.local_pref = Some(1000);
    duel.loser.1.origin = Origin::Egp;
    duel.decided_by(Step::Origin, "Origin");
}

#[test]
fn our_own_route_wins_if_the_weights_are_equal() {
    let mut rib = Rib::new(config());
    rib.peer_up(PeerId(0), external(65001, "192.0.2.1"), accept());
    announce(&mut rib, 0, PREFIX, attributes(&[65001], "192.0.2.1"));
    let mut route = LocalRoute::new(LocalSource::Static, None, 0);
    route.weight = 0;
    rib.originate(net(PREFIX), route, 0);
    let local = PathSource::Local(LocalSource::Static);
    assert_eq!(outcome(&rib), (local, Step::LocalRoute));
    assert_eq!(Step::LocalRoute.reason(), "Local Route");
}

#[test]
fn our_own_route_wins_by_its_weight() {
    let mut rib = Rib::new(config());
    rib.peer_up(PeerId(0), external(65001, "192.0.2.1"), accept());
    announce(&mut rib, 0, PREFIX, attributes(&[65001], "192.0.2.1"));
    rib.originate(
        net(PREFIX),
        LocalRoute::new(LocalSource::Network, None, 0),
        0,
    );
    let local = PathSource::Local(LocalSource::Network);
    assert_eq!(outcome(&rib), (local, Step::Weight));
}

#[test]
fn the_shorter_as_path_wins() {
    let mut duel = Duel::new();
    duel.winner.1.as_path = AsPath::from_sequence([65001]);
    duel.winner.1.origin = Origin::Incomplete;
    duel.decided_by(Step::AsPath, "AS Path");
}

#[test]
fn an_as_set_counts_as_one_and_confederation_segments_as_none() {
    let mut duel = Duel::new();
    let segment = |kind, asns: &[u32]| Segment {
        kind,
        asns: asns.to_vec(),
    };
    duel.winner.1.as_path = AsPath::from_segments([
        segment(SegmentKind::ConfedSequence, &[64512, 64513, 64514]),
        segment(SegmentKind::Sequence, &[65001]),
        segment(SegmentKind::Set, &[65010, 65011, 65012]),
    ]);
    duel.loser.1.as_path = AsPath::from_sequence([65001, 65010, 65011]);
    duel.decided_by(Step::AsPath, "AS Path");
}

#[test]
fn the_lower_origin_wins() {
    let mut duel = Duel::new();
    duel.winner.1.med = Some(5);
    duel.loser.1.origin = Origin::Incomplete;
    duel.decided_by(Step::Origin, "Origin");
}

#[test]
fn the_lower_med_wins_within_a_neighbouring_as() {
    let mut duel = Duel::new();
    duel.winner.1.med = Some(5);
    duel.loser.1.med = Some(6);
    duel.decided_by(Step::Med, "MED");
}

#[test]
fn a_missing_med_is_the_best() {
    let mut duel = Duel::new();
    duel.loser.1.med = Some(1);
    duel.decided_by(Step::Med, "MED");
}

#[test]
fn a_missing_med_is_the_worst_if_told_so() {
    let mut duel = Duel::new();
    duel.config.missing_as_worst = true;
    duel.winner.1.med = Some(4_000_000_000);
    duel.decided_by(Step::Med, "MED");
}

#[test]
fn med_is_not_compared_between_neighbouring_ases() {
    let mut duel = Duel::new();
    duel.winner.0 = external(65002, "192.0.2.9");
    duel.winner.0.router_id = v4("1.1.1.1");
    duel.winner.1 = attributes(&[65002, 65010], "192.0.2.9");
    duel.winner.1.med = Some(100);
    duel.loser.1.med = Some(1);
    duel.decided_by(Step::RouterId, "Router ID");
}

#[test]
fn med_is_compared_always_if_told_so() {
    let mut duel = Duel::new();
    duel.config.always_compare_med = true;
    duel.winner.0 = external(65002, "192.0.2.9");
    duel.winner.1 = attributes(&[65002, 65010], "192.0.2.9");
    duel.winner.1.med = Some(1);
    duel.loser.1.med = Some(100);
    duel.decided_by(Step::Med, "MED");
}

#[test]
fn external_wins_over_internal() {
    let mut duel = Duel::new();
    duel.loser.0 = internal("10.0.0.1");
    duel.decided_by(Step::PeerType, "Peer Type");
}

#[test]
fn the_nearer_next_hop_wins() {
    let mut rib = Rib::new(config());
    for (peer, address) in [(0, "10.0.0.9"), (1, "10.0.0.1")] {
        rib.peer_up(PeerId(peer), internal(address), accept());
        announce(&mut rib, peer, PREFIX, attributes(&[65001], address));
    }
    rib.next_hop_changed(ip("10.0.0.9"), state(9, false));
    rib.next_hop_changed(ip("10.0.0.1"), state(10, false));
    assert_eq!(
        outcome(&rib),
        (PathSource::Peer(PeerId(0)), Step::IgpMetric)
    );
    assert_eq!(Step::IgpMetric.reason(), "IGP Metric");
}

#[test]
fn the_lower_router_id_wins() {
    let mut duel = Duel::new();
    duel.winner.0.router_id = v4("1.1.1.1");
    duel.decided_by(Step::RouterId, "Router ID");
}

#[test]
fn the_originator_id_stands_for_the_router_id() {
    let mut duel = Duel::new();
    duel.winner.0 = internal("10.0.0.9");
    duel.loser.0 = internal("10.0.0.1");
    duel.winner.1.originator_id = Some(v4("1.1.1.1"));
    duel.decided_by(Step::RouterId, "Router ID");
}

#[test]
fn the_shorter_cluster_list_wins() {
    let mut duel = Duel::new();
    for side in [&mut duel.winner, &mut duel.loser] {
        side.1.originator_id = Some(v4("1.1.1.1"));
    }
    duel.winner.0 = internal("10.0.0.9");
    duel.loser.0 = internal("10.0.0.1");
    duel.loser.1.cluster_list = vec![v4("10.0.0.77")];
    duel.decided_by(Step::ClusterLength, "Cluster length");
}

#[test]
fn the_lower_peer_address_wins() {
    let mut duel = Duel::new();
    duel.winner.0.address = "192.0.2.1".parse::<IpAddr>().unwrap();
    duel.loser.0.address = "192.0.2.9".parse::<IpAddr>().unwrap();
    duel.loser.0.router_id = duel.winner.0.router_id;
    duel.decided_by(Step::NeighborIp, "Neighbor IP");
}

#[test]
fn what_is_left_goes_by_source_and_path_identifier() {
    let mut rib = Rib::new(config());
    rib.peer_up(PeerId(3), external(65001, "192.0.2.1"), accept());
    for path_id in [7, 5, 6] {
        let route = attributes(&[65001], "192.0.2.1");
        let list = [(net(PREFIX), path_id)];
        rib.update(PeerId(3), announcement(&list, route), 0);
    }
    resolve(&mut rib);
    let view = rib.prefix(net(PREFIX)).unwrap();
    assert_eq!(view.reason, Some(Step::TieBreak));
    assert_eq!(Step::TieBreak.reason(), "Nothing left to compare");
    let ids: Vec<u32> = view.paths.iter().map(|p| p.path_id).collect();
    assert_eq!(ids, [5, 6, 7]);
}

#[test]
fn sources_of_our_own_go_by_their_kind() {
    let mut rib = Rib::new(config());
    for source in [
        LocalSource::Kernel,
        LocalSource::Static,
        LocalSource::Connected,
    ] {
        rib.originate(net(PREFIX), LocalRoute::new(source, None, 0), 0);
    }
    let connected = PathSource::Local(LocalSource::Connected);
    assert_eq!(outcome(&rib), (connected, Step::TieBreak));
    rib.withdraw_local(net(PREFIX), LocalSource::Connected);
    assert_eq!(outcome(&rib).0, PathSource::Local(LocalSource::Static));
}

// ===== Order must not matter =====

/// Routes between which pairwise comparison runs in a circle: MED decides
/// between 0 and 1, the router ID between the others.
fn circle() -> Vec<(PeerInfo, PathAttributes)> {
    let route = |asn: u32, med, id: &str, address: &str| {
        let info = PeerInfo {
            router_id: v4(id),
            ..external(asn, address)
        };
        let mut route = attributes(&[asn, 65010], address);
        route.med = Some(med);
        (info, route)
    };
    vec![
        route(65001, 10, "1.1.1.1", "192.0.2.1"),
        route(65001, 5, "3.3.3.3", "192.0.2.2"),
        route(65002, 20, "2.2.2.2", "192.0.2.3"),
        route(65003, 0, "4.4.4.4", "192.0.2.4"),
        route(65002, 30, "0.0.0.1", "192.0.2.5"),
    ]
}

fn permutations(of: &[u32]) -> Vec<Vec<u32>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    of.iter()
        .flat_map(|first| {
            let rest: Vec<u32> = of.iter().copied().filter(|x| x != first).collect();
            permutations(&rest).into_iter().map(move |mut tail| {
                tail.push(*first);
                tail
            })
        })
        .collect()
}

/// Best path, reason and multipath set.
type Result = Option<(PathSource, Step, Vec<PathSource>)>;

fn result(rib: &Rib) -> Result {
    let view = rib.prefix(net(PREFIX))?;
    let used = view.paths.iter().filter(|p| p.multipath);
    let used = used.map(|p| p.source).collect();
    Some((view.paths[0].source, view.reason?, used))
}

#[test]
fn every_order_of_adding_and_removing_gives_the_same_result() {
    let routes = circle();
    let mut relaxed = config();
    relaxed.multipath_relax = true;
    relaxed.max_paths_v4 = MaxPaths {
        ebgp: 2,
        ibgp: 1,
        ..MaxPaths::default()
    };
    for config in [config(), relaxed] {
        let mut known: std::collections::BTreeMap<Vec<u32>, Result> = Default::default();
        for order in permutations(&[0, 1, 2, 3, 4]) {
            let mut rib = Rib::new(config.clone());
            for (peer, (info, _)) in (0..).zip(&routes) {
                rib.peer_up(PeerId(peer), info.clone(), accept());
            }
            let mut there = Vec::new();
            let mut check = |rib: &Rib, there: &[u32]| {
                let mut key = there.to_vec();
                key.sort_unstable();
                let now = result(rib);
                assert_eq!(known.entry(key).or_insert(now.clone()), &now, "{order:?}");
            };
            for peer in &order {
                announce(&mut rib, *peer, PREFIX, routes[*peer as usize].1.clone());
                there.push(*peer);
                check(&rib, &there);
            }
            for peer in &order {
                withdraw(&mut rib, *peer, PREFIX);
                there.retain(|p| p != peer);
                check(&rib, &there);
            }
        }
        assert_eq!(known.len(), 32);
        assert_eq!(known[&vec![]], None);
    }
}

#[test]
fn med_is_decided_within_each_group_first() {
    let mut rib = Rib::new(config());
    for (peer, (info, route)) in (0..).zip(circle().into_iter().take(3)) {
        rib.peer_up(PeerId(peer), info, accept());
        announce(&mut rib, peer, PREFIX, route);
    }
    // 1 beats 0 by MED, 2 beats 1 by router ID; that 0 would beat 2 is void.
    assert_eq!(outcome(&rib), (PathSource::Peer(PeerId(2)), Step::RouterId));
}

/// A next hop that is reached by way of a route of this table.
#[test]
fn a_path_is_not_reached_through_its_own_prefix() {
    let far = "172.16.0.1";
    let mut rib = Rib::new(config());
    rib.peer_up(PeerId(0), internal("192.0.2.1"), accept());
    rib.peer_up(PeerId(1), internal("192.0.2.2"), accept());
    announce(&mut rib, 0, "172.16.0.0/16", attributes(&[65010], far));
    announce(&mut rib, 0, PREFIX, attributes(&[65010], far));
    announce(
        &mut rib,
        1,
        "172.16.0.0/16",
        attributes(&[65010], "192.0.2.2"),
    );
    rib.take_tracking();
    rib.next_hop_changed(ip("192.0.2.2"), state(10, true));
    let through = |otherwise| NextHopState {
        through: Some(Through {
            prefix: net("172.16.0.0/16"),
            otherwise,
        }),
        ..NextHopState::new(1, false)
    };
    let best = |rib: &Rib, prefix: &str| {
        let view = rib.prefix(net(prefix));
        let paths = view.map_or_else(Vec::new, |view| view.paths);
        let best = paths.iter().find(|path| path.best);
        best.map(|path| (path.source, path.igp_metric))
    };
    let of = |peer: u32, metric: u32| Some((PathSource::Peer(PeerId(peer)), Some(metric)));
    // The nearer next hop is one that the route itself leads to.
    rib.next_hop_changed(ip(far), Some(through(None)));
    assert_eq!(best(&rib, "172.16.0.0/16"), of(1, 10));
    assert_eq!(best(&rib, PREFIX), of(0, 1));
    // Reached by something else as well, it counts with that.
    rib.next_hop_changed(ip(far), Some(through(Some((20, false)))));
    assert_eq!(best(&rib, "172.16.0.0/16"), of(1, 10));
    rib.next_hop_changed(ip(far), Some(through(Some((5, false)))));
    assert_eq!(best(&rib, "172.16.0.0/16"), of(0, 5));
    assert_eq!(best(&rib, PREFIX), of(0, 1));
}
