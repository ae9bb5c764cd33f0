//! Multipath and what the forwarding side is told.

mod common;

use common::*;
use holdfast_rib::{
    FibKind, LocalRoute, LocalSource, MaxPaths, PeerId, PeerInfo, Rib, RibConfig, Step,
};

const PREFIX: &str = "203.0.113.0/24";

fn rib(ebgp: u16, ibgp: u16, relax: bool) -> Rib {
    Rib::new(RibConfig {
        max_paths_v4: MaxPaths {
            ebgp,
            ibgp,
            ..MaxPaths::default()
        },
        multipath_relax: relax,
        ..config()
    })
}

fn peer(rib: &mut Rib, number: u32, asn: u32) {
    let address = format!("192.0.2.{number}");
    rib.peer_up(PeerId(number), external(asn, &address), accept());
    let route = attributes(&[asn, 65010], &address);
    announce(rib, number, PREFIX, route);
}

fn used(rib: &Rib) -> Vec<String> {
    let view = rib.prefix(net(PREFIX)).unwrap();
    let used = view.paths.iter().filter(|p| p.multipath);
    used.map(|p| p.attributes.next_hop().unwrap().addr().to_string())
        .collect()
}

fn installed(rib: &mut Rib) -> Vec<Option<Vec<String>>> {
    let changes = fib(rib);
    assert!(changes.iter().all(|c| c.prefix == net(PREFIX)));
    changes
        .into_iter()
        .map(|change| {
            let hops = &change.route?.next_hops;
            Some(hops.iter().map(|h| h.next_hop.addr().to_string()).collect())
        })
        .collect()
}

fn hops(list: &[&str]) -> Vec<Option<Vec<String>>> {
    vec![Some(list.iter().map(|s| s.to_string()).collect())]
}

#[test]
fn one_path_is_used_unless_told_otherwise() {
    let mut rib = rib(1, 1, false);
    peer(&mut rib, 1, 65001);
    peer(&mut rib, 2, 65001);
    assert!(used(&rib).is_empty());
    assert_eq!(installed(&mut rib), hops(&["192.0.2.1"]));
}

#[test]
fn external_paths_of_one_neighbouring_as_are_used_together() {
    let mut rib = rib(8, 1, false);
    peer(&mut rib, 1, 65001);
    peer(&mut rib, 2, 65001);
    peer(&mut rib, 3, 65003);
    assert_eq!(used(&rib), ["192.0.2.1", "192.0.2.2"]);
    // Measured with FRR 8.4.4: the rest of the AS path may differ.
    let route = attributes(&[65001, 65099], "192.0.2.2");
    announce(&mut rib, 2, PREFIX, route);
    assert_eq!(used(&rib), ["192.0.2.1", "192.0.2.2"]);
    let longer = attributes(&[65001, 65099, 65098], "192.0.2.2");
    announce(&mut rib, 2, PREFIX, longer);
    assert!(used(&rib).is_empty());
}

#[test]
fn internal_paths_need_the_same_as_path_unless_relaxed() {
    for (relax, count) in [(false, 0), (true, 2)] {
        let mut rib = rib(1, 8, relax);
        for (number, asn) in [(1, 65010), (2, 65011)] {
            let address = format!("10.0.0.{number}");
            rib.peer_up(PeerId(number), internal(&address), accept());
            announce(&mut rib, number, PREFIX, attributes(&[asn], &address));
        }
        assert_eq!(used(&rib).len(), count);
    }
}

#[test]
fn equally_long_as_paths_are_enough_if_relaxed() {
    let mut rib = rib(8, 1, true);
    peer(&mut rib, 1, 65001);
    peer(&mut rib, 2, 65002);
    peer(&mut rib, 3, 65003);
    assert_eq!(used(&rib), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
}

#[test]
fn no_more_paths_than_the_maximum() {
    let mut rib = rib(2, 1, true);
    for number in [4, 3, 2, 1] {
        peer(&mut rib, number, 65000 + number);
    }
    assert_eq!(used(&rib), ["192.0.2.1", "192.0.2.2"]);
}

#[test]
fn a_path_that_med_rules_out_in_its_group_is_not_used() {
    let mut rib = rib(8, 1, true);
    peer(&mut rib, 1, 65001);
    peer(&mut rib, 2, 65002);
    peer(&mut rib, 3, 65002);
    let mut worse = attributes(&[65002, 65010], "192.0.2.3");
    worse.med = Some(10);
    announce(&mut rib, 3, PREFIX, worse);
    assert_eq!(used(&rib), ["192.0.2.1", "192.0.2.2"]);
}

#[test]
fn internal_paths_have_a_maximum_of_their_own() {
    let mut rib = rib(1, 2, false);
    for number in [1, 2, 3] {
        let address = format!("10.0.0.{number}");
        rib.peer_up(PeerId(number), internal(&address), accept());
        announce(&mut rib, number, PREFIX, attributes(&[65010], &address));
    }
    assert_eq!(used(&rib), ["10.0.0.1", "10.0.0.2"]);
    let kind = fib(&mut rib)[0].route.as_ref().unwrap().kind;
    assert_eq!(kind, FibKind::Ibgp);
}

#[test]
fn an_internal_path_never_joins_external_ones() {
    let mut rib = rib(8, 8, true);
    peer(&mut rib, 1, 65001);
    rib.peer_up(PeerId(9), internal("10.0.0.9"), accept());
    announce(&mut rib, 9, PREFIX, attributes(&[65001, 65010], "10.0.0.9"));
    assert!(used(&rib).is_empty());
    let view = rib.prefix(net(PREFIX)).unwrap();
    assert_eq!(view.reason, Some(Step::PeerType));
}

#[test]
fn the_forwarding_side_hears_of_a_new_member_though_the_best_stays() {
    let mut rib = rib(8, 1, true);
    peer(&mut rib, 1, 65001);
    assert_eq!(installed(&mut rib), hops(&["192.0.2.1"]));
    let version = rib.summary(V4).version;
    peer(&mut rib, 2, 65002);
    assert_eq!(installed(&mut rib), hops(&["192.0.2.1", "192.0.2.2"]));
    rib.peer_down(PeerId(2), bgp_wire::FamilySet::EMPTY);
    assert_eq!(installed(&mut rib), hops(&["192.0.2.1"]));
    assert_eq!(rib.summary(V4).version, version);
}

#[test]
fn the_forwarding_side_hears_nothing_if_the_best_moves_within_the_set() {
    let mut rib = rib(8, 1, true);
    peer(&mut rib, 1, 65001);
    peer(&mut rib, 2, 65002);
    assert_eq!(installed(&mut rib).len(), 1);
    let info = PeerInfo {
        router_id: v4("0.0.0.1"),
        ..external(65002, "192.0.2.2")
    };
    rib.set_peer(PeerId(2), info);
    assert_eq!(used(&rib), ["192.0.2.2", "192.0.2.1"]);
    assert!(installed(&mut rib).is_empty());
}

#[test]
fn changes_between_two_looks_are_one_change() {
    let mut rib = rib(1, 1, false);
    peer(&mut rib, 1, 65001);
    peer(&mut rib, 2, 65001);
    withdraw(&mut rib, 1, PREFIX);
    assert_eq!(installed(&mut rib), hops(&["192.0.2.2"]));
    withdraw(&mut rib, 2, PREFIX);
    assert_eq!(installed(&mut rib), [None]);
    peer(&mut rib, 1, 65001);
    withdraw(&mut rib, 1, PREFIX);
    assert!(installed(&mut rib).is_empty());
}

#[test]
fn a_local_best_path_takes_the_route_out() {
    let mut rib = rib(1, 1, false);
    peer(&mut rib, 1, 65001);
    assert_eq!(installed(&mut rib), hops(&["192.0.2.1"]));
    let local = LocalRoute::new(LocalSource::Connected, None, 0);
    rib.originate(net(PREFIX), local, 0);
    assert_eq!(installed(&mut rib), [None]);
    rib.withdraw_local(net(PREFIX), LocalSource::Connected);
    assert_eq!(installed(&mut rib), hops(&["192.0.2.1"]));
}

#[test]
fn equal_routes_are_one_allocation() {
    let mut rib = rib(8, 1, true);
    peer(&mut rib, 1, 65001);
    let route = attributes(&[65001, 65011], "192.0.2.1");
    announce(&mut rib, 1, "198.51.100.0/24", route);
    let changes = fib(&mut rib);
    let routes: Vec<_> = changes.iter().map(|c| c.route.clone().unwrap()).collect();
    assert_eq!(routes.len(), 2);
    assert!(std::sync::Arc::ptr_eq(&routes[0], &routes[1]));
}

#[test]
fn the_med_is_the_metric() {
    let mut rib = rib(1, 1, false);
    peer(&mut rib, 1, 65001);
    let mut route = attributes(&[65001, 65010], "192.0.2.1");
    route.med = Some(77);
    announce(&mut rib, 1, PREFIX, route);
    assert_eq!(fib(&mut rib)[0].route.as_ref().unwrap().metric, 77);
}

#[test]
fn both_addresses_of_a_next_hop_are_there() {
    let mut rib = rib(1, 1, false);
    rib.peer_up(PeerId(1), external(65001, "2001:db8::1"), accept());
    let next_hop = bgp_wire::NextHop::V6 {
        global: "2001:db8::1".parse().unwrap(),
        link_local: Some("fe80::1".parse().unwrap()),
    };
    let mut route = attributes(&[65001], "2001:db8::1");
    route.next_hop = Some(next_hop);
    announce(&mut rib, 1, "2001:db8:100::/48", route);
    let changes = fib(&mut rib);
    let hops = &changes[0].route.as_ref().unwrap().next_hops;
    assert_eq!((hops[0].next_hop, hops[0].peer), (next_hop, PeerId(1)));
}

#[test]
fn the_same_link_local_next_hop_of_two_peers_is_two_ways() {
    let mut rib = Rib::new(RibConfig {
        max_paths_v6: MaxPaths {
            ebgp: 8,
            ibgp: 1,
            ..MaxPaths::default()
        },
        multipath_relax: true,
        ..config()
    });
    for number in [1, 2] {
        let info = PeerInfo {
            local_link_local: Some("fe80::100".parse().unwrap()),
            router_id: v4("1.1.1.1"),
            ..external(65000 + number, "fe80::1")
        };
        rib.peer_up(PeerId(number), info, accept());
        let route = attributes(&[65000 + number], "fe80::1");
        announce(&mut rib, number, "2001:db8:100::/48", route);
    }
    assert!(rib.take_tracking().is_empty());
    let changes = fib(&mut rib);
    let hops = &changes[0].route.as_ref().unwrap().next_hops;
    let peers: Vec<PeerId> = hops.iter().map(|h| h.peer).collect();
    assert_eq!(peers, [PeerId(1), PeerId(2)]);
}

#[test]
fn what_is_forwarded_is_reported_once_more_when_asked_for() {
    let mut rib = Rib::new(config());
    rib.peer_up(PeerId(1), external(65001, "192.0.2.1"), accept());
    for prefix in ["198.51.100.0/24", "203.0.113.0/24"] {
        announce(&mut rib, 1, prefix, attributes(&[65001], "192.0.2.1"));
    }
    resolve(&mut rib);
    let first = fib(&mut rib);
    assert_eq!(first.len(), 2);
    rib.repeat_forwarding(bgp_wire::Family::Ipv4Unicast);
    assert_eq!(fib(&mut rib), first);
    assert_eq!(fib(&mut rib), []);
    rib.repeat_forwarding(bgp_wire::Family::Ipv4Unicast);
    withdraw(&mut rib, 1, "198.51.100.0/24");
    let gone = fib(&mut rib)
        .into_iter()
        .find(|change| change.route.is_none());
    assert_eq!(
        gone.expect("a withdrawal").prefix,
        "198.51.100.0/24".parse().unwrap()
    );
}
