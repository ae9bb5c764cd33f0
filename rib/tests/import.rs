//! What becomes of received routes: loops, next hops, policy, stale routes.

mod common;

use std::sync::Arc;

use bgp_wire::{Community, FamilySet, PathAttributes};
use common::*;
use holdfast_rib::{
    AllowAsIn, DenyReason, Invalid, PathSource, PeerId, PeerInfo, Rejection, Rib, Step, TrackEvent,
    UpdateSummary,
};

const PREFIX: &str = "203.0.113.0/24";

fn rib(info: PeerInfo) -> Rib {
    let mut rib = Rib::new(config());
    rib.peer_up(PeerId(1), info, accept());
    rib
}

fn good() -> PathAttributes {
    attributes(&[65001], "192.0.2.1")
}

fn from_external() -> PeerInfo {
    external(65001, "192.0.2.1")
}

/// Why the peer's only route is not used.
fn rejection(rib: &Rib) -> Option<Rejection> {
    let page = rib.received(PeerId(1), V4, None, 10);
    assert_eq!(page.items.len(), 1);
    page.items[0].rejected
}

/// A good route is replaced by one that is kept, not used, and takes the good
/// one with it.
fn replaces_and_rejects(info: PeerInfo, bad: PathAttributes, reason: Rejection) {
    let first = if info.is_external() {
        good()
    } else {
        attributes(&[65010], "10.0.0.1")
    };
    let mut rib = rib(info);
    announce(&mut rib, 1, PREFIX, first);
    assert!(rib.prefix(net(PREFIX)).is_some());
    let summary = rib.update(PeerId(1), announcement(&[(net(PREFIX), 0)], bad), 0);
    assert_eq!((summary.announced, summary.rejected), (1, 1));
    assert_eq!(summary.first_rejection, Some(reason));
    assert_eq!(rejection(&rib), Some(reason));
    assert_eq!(rib.prefix(net(PREFIX)), None);
    let counters = rib.counters(PeerId(1), V4);
    assert_eq!((counters.received, counters.accepted), (1, 0));
}

// ===== Prefixes =====

#[test]
fn prefixes_that_nothing_is_routed_by_are_ignored() {
    for prefix in [
        "224.0.0.0/4",
        "224.1.0.0/16",
        "127.0.0.0/8",
        "127.1.0.0/16",
        "255.255.255.255/32",
    ] {
        let mut rib = rib(from_external());
        announce(&mut rib, 1, prefix, good());
        assert_eq!(rejection(&rib), Some(Rejection::MartianPrefix), "{prefix}");
        assert_eq!(rib.prefix(net(prefix)), None, "{prefix}");
    }
    for prefix in ["0.0.0.0/0", "224.0.0.0/3", "240.0.0.0/4", "126.0.0.0/7"] {
        let mut rib = rib(from_external());
        announce(&mut rib, 1, prefix, good());
        assert_eq!(rejection(&rib), None, "{prefix}");
    }
}

#[test]
fn ipv6_prefixes_that_nothing_is_routed_by_are_ignored() {
    let received = |prefix: &str| {
        let mut rib = rib(from_external());
        let attributes = attributes(&[65001], "2001:db8::1");
        rib.update(PeerId(1), announcement(&[(net(prefix), 0)], attributes), 0);
        let page = rib.received(PeerId(1), V6, None, 10);
        assert_eq!(page.items.len(), 1, "{prefix}");
        page.items[0].rejected
    };
    for prefix in [
        "ff00::/8",
        "ff02::1/128",
        "fe80::/10",
        "fe80::/64",
        "::1/128",
        "::/128",
    ] {
        assert_eq!(received(prefix), Some(Rejection::MartianPrefix), "{prefix}");
    }
    for prefix in ["::/0", "fe00::/7", "fc00::/7"] {
        assert_eq!(received(prefix), None, "{prefix}");
    }
}

// ===== Loops =====

#[test]
fn our_as_in_the_path_is_a_loop_that_withdraws_the_old_route() {
    let looped = attributes(&[65001, LOCAL_AS], "192.0.2.1");
    replaces_and_rejects(from_external(), looped, Rejection::AsPathLoop);
}

#[test]
fn our_as_may_come_as_often_as_allowed() {
    let mut info = from_external();
    info.ipv4.allow_as_in = AllowAsIn::Times(1);
    let mut rib = rib(info.clone());
    let once = attributes(&[65001, LOCAL_AS], "192.0.2.1");
    announce(&mut rib, 1, PREFIX, once);
    assert_eq!(rejection(&rib), None);
    let twice = attributes(&[65001, LOCAL_AS, LOCAL_AS], "192.0.2.1");
    replaces_and_rejects(info, twice, Rejection::AsPathLoop);
}

#[test]
fn a_route_that_we_originated_is_a_loop() {
    let mut looped = attributes(&[65010], "10.0.0.1");
    looped.originator_id = Some(v4("10.255.0.1"));
    replaces_and_rejects(internal("10.0.0.1"), looped, Rejection::OriginatorLoop);
}

#[test]
fn a_route_that_our_cluster_reflected_is_a_loop() {
    let mut looped = attributes(&[65010], "10.0.0.1");
    looped.cluster_list = vec![v4("10.0.0.8"), v4("10.255.0.1")];
    replaces_and_rejects(internal("10.0.0.1"), looped, Rejection::ClusterLoop);
}

#[test]
fn reflection_attributes_of_an_external_peer_are_ignored() {
    let mut rib = rib(from_external());
    let mut route = good();
    route.originator_id = Some(v4("10.255.0.1"));
    route.cluster_list = vec![v4("10.255.0.1")];
    route.local_pref = Some(500);
    announce(&mut rib, 1, PREFIX, route);
    let view = rib.prefix(net(PREFIX)).unwrap();
    assert_eq!(view.paths[0].attributes.decode(), good());
}

#[test]
fn a_changed_configuration_finds_loops_anew() {
    let mut rib = rib(from_external());
    announce(
        &mut rib,
        1,
        PREFIX,
        attributes(&[65001, 64999], "192.0.2.1"),
    );
    let mut other = config();
    other.local_as = 64999;
    rib.set_config(other);
    assert_eq!(rejection(&rib), Some(Rejection::AsPathLoop));
    rib.set_config(config());
    assert_eq!(rejection(&rib), None);
}

// ===== Next hops =====

#[test]
fn our_own_address_is_no_next_hop() {
    let own = attributes(&[65001], "192.0.2.100");
    replaces_and_rejects(from_external(), own, Rejection::OwnNextHop);
    let mut rib = rib(from_external());
    announce(&mut rib, 1, PREFIX, good());
    rib.set_local_addresses(&[ip("10.0.0.1"), ip("192.0.2.1")]);
    assert_eq!(rejection(&rib), Some(Rejection::OwnNextHop));
    rib.set_local_addresses(&[]);
    assert_eq!(rejection(&rib), None);
}

#[test]
fn addresses_that_no_host_has_are_no_next_hops() {
    for bad in [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "224.0.0.1",
        "255.255.255.255",
    ] {
        let route = attributes(&[65001], bad);
        replaces_and_rejects(from_external(), route, Rejection::MartianNextHop);
    }
}

#[test]
fn an_ipv6_next_hop_of_an_ipv4_prefix_has_to_be_negotiated() {
    let route = attributes(&[65001], "2001:db8::1");
    replaces_and_rejects(from_external(), route.clone(), Rejection::NoNextHop);
    let mut rib = rib(PeerInfo {
        extended_next_hop: only(V4),
        ..from_external()
    });
    announce(&mut rib, 1, PREFIX, route);
    assert_eq!(rejection(&rib), None);
}

#[test]
fn a_link_local_next_hop_needs_a_shared_link() {
    let route = attributes(&[65001], "fe80::1");
    let info = PeerInfo {
        extended_next_hop: only(V4),
        ..from_external()
    };
    replaces_and_rejects(info, route, Rejection::NoNextHop);
}

#[test]
fn a_path_is_invalid_until_its_next_hop_resolves() {
    let mut rib = rib(internal("10.0.0.1"));
    let route = attributes(&[65010], "10.0.0.77");
    rib.update(PeerId(1), announcement(&[(net(PREFIX), 0)], route), 0);
    let invalid = |rib: &Rib| rib.prefix(net(PREFIX)).unwrap().paths[0].invalid;
    assert_eq!(rib.take_tracking(), [TrackEvent::Track(ip("10.0.0.77"))]);
    assert_eq!(invalid(&rib), Some(Invalid::Unresolved));
    rib.next_hop_changed(ip("10.0.0.77"), state(5, false));
    assert_eq!(invalid(&rib), None);
    assert_eq!(fib(&mut rib).len(), 1);
    rib.next_hop_changed(ip("10.0.0.77"), None);
    assert_eq!(invalid(&rib), Some(Invalid::Unresolved));
    assert_eq!(fib(&mut rib)[0].route, None);
    assert_eq!(rib.counters(PeerId(1), V4).accepted, 1);
}

#[test]
fn a_single_hop_peers_next_hop_has_to_be_connected() {
    for (multihop, invalid) in [(false, Some(Invalid::NotConnected)), (true, None)] {
        let mut rib = rib(PeerInfo {
            ebgp_multihop: multihop,
            ..from_external()
        });
        announce(&mut rib, 1, PREFIX, good());
        rib.next_hop_changed(ip("192.0.2.1"), state(5, false));
        let view = rib.prefix(net(PREFIX)).unwrap();
        assert_eq!(view.paths[0].invalid, invalid);
    }
}

#[test]
fn a_next_hop_that_was_foreseen_is_known_when_the_first_path_comes() {
    let mut rib = rib(internal("10.0.0.1"));
    let hop = ip("10.0.0.77");
    rib.foresee_next_hop(hop);
    rib.foresee_next_hop(hop);
    assert_eq!(rib.take_tracking(), [TrackEvent::Track(hop)]);
    rib.next_hop_changed(hop, state(5, false));
    assert_eq!(rib.next_hops(), [], "no path has it");
    let route = attributes(&[65010], "10.0.0.77");
    rib.update(PeerId(1), announcement(&[(net(PREFIX), 0)], route), 0);
    assert_eq!(rib.take_tracking(), []);
    assert_eq!(fib(&mut rib).len(), 1);
    rib.dismiss_next_hop(hop);
    rib.dismiss_next_hop(hop);
    assert_eq!(rib.take_tracking(), [], "a path has it");
    withdraw(&mut rib, 1, PREFIX);
    assert_eq!(rib.take_tracking(), [TrackEvent::Untrack(hop)]);
}

#[test]
fn our_own_link_local_address_costs_ipv4_routes_nothing() {
    let mut rib = rib(from_external());
    announce(&mut rib, 1, PREFIX, good());
    rib.next_hop_changed(ip("192.0.2.1"), state(0, true));
    fib(&mut rib);
    while rib.pending(PeerId(1)) {
        rib.export(PeerId(1), 10);
    }
    let version = rib.summary(V4).version;
    let info = PeerInfo {
        local_link_local: Some("fe80::100".parse().unwrap()),
        ..from_external()
    };
    rib.set_peer(PeerId(1), info);
    assert!(!rib.pending(PeerId(1)));
    assert_eq!(rib.summary(V4).version, version);
    assert_eq!(fib(&mut rib), []);
}

#[test]
fn next_hops_are_tracked_as_long_as_a_path_uses_them() {
    let mut rib = rib(from_external());
    let tracked = |rib: &mut Rib| rib.take_tracking();
    for prefix in [PREFIX, "198.51.100.0/24"] {
        let list = [(net(prefix), 0)];
        rib.update(PeerId(1), announcement(&list, good()), 0);
    }
    assert_eq!(tracked(&mut rib), [TrackEvent::Track(ip("192.0.2.1"))]);
    withdraw(&mut rib, 1, PREFIX);
    assert_eq!(tracked(&mut rib), []);
    withdraw(&mut rib, 1, "198.51.100.0/24");
    let list = [(net(PREFIX), 0)];
    rib.update(PeerId(1), announcement(&list, good()), 0);
    assert_eq!(tracked(&mut rib), []);
    rib.peer_down(PeerId(1), FamilySet::EMPTY);
    assert_eq!(tracked(&mut rib), [TrackEvent::Untrack(ip("192.0.2.1"))]);
}

#[test]
fn a_next_hop_that_came_and_went_is_not_mentioned() {
    let mut rib = rib(from_external());
    for _ in 0..2 {
        rib.update(PeerId(1), announcement(&[(net(PREFIX), 0)], good()), 0);
        withdraw(&mut rib, 1, PREFIX);
        assert_eq!(rib.take_tracking(), []);
    }
    announce(&mut rib, 1, PREFIX, good());
    assert!(rib.prefix(net(PREFIX)).unwrap().paths[0].best);
}

#[test]
fn a_more_specific_prefix_withdrawn_leaves_the_less_specific_one() {
    let mut rib = rib(from_external());
    announce(&mut rib, 1, "203.0.112.0/20", good());
    announce(&mut rib, 1, PREFIX, good());
    let longest = |rib: &Rib| rib.longest_match(ip("203.0.113.9")).unwrap().prefix;
    assert_eq!(longest(&rib), net(PREFIX));
    withdraw(&mut rib, 1, PREFIX);
    assert_eq!(longest(&rib), net("203.0.112.0/20"));
}

// ===== Policy =====

#[test]
fn a_denied_route_is_kept_and_used_once_policy_allows() {
    let mut rib = rib(from_external());
    announce(&mut rib, 1, PREFIX, good());
    rib.set_policy(PeerId(1), Arc::new(TestPolicy::Deny));
    let denied = Rejection::Policy(DenyReason::NoPolicy);
    assert_eq!(rejection(&rib), Some(denied));
    assert_eq!(denied.text(), "Policy");
    assert_eq!(rib.prefix(net(PREFIX)), None);
    rib.set_policy(PeerId(1), accept());
    resolve(&mut rib);
    assert!(rib.prefix(net(PREFIX)).unwrap().paths[0].best);
}

#[test]
fn a_newly_denied_route_withdraws_the_old_one() {
    let mut rib = rib(from_external());
    let filter = TestPolicy::DenyCommunity(Community(1));
    rib.set_policy(PeerId(1), Arc::new(filter));
    announce(&mut rib, 1, PREFIX, good());
    fib(&mut rib);
    let mut bad = good();
    bad.communities = vec![Community(1)];
    announce(&mut rib, 1, PREFIX, bad);
    assert_eq!(fib(&mut rib)[0].route, None);
}

#[test]
fn our_as_may_come_as_the_origin_alone() {
    let mut info = from_external();
    info.ipv4.allow_as_in = AllowAsIn::Origin;
    let mut rib = rib(info.clone());
    for path in [&[65001, LOCAL_AS][..], &[65001, LOCAL_AS, LOCAL_AS]] {
        announce(&mut rib, 1, PREFIX, attributes(path, "192.0.2.1"));
        assert_eq!(rejection(&rib), None);
    }
    let within = attributes(&[65001, LOCAL_AS, 65002], "192.0.2.1");
    replaces_and_rejects(info, within, Rejection::AsPathLoop);
}

#[test]
fn knobs_of_one_family_leave_the_other_alone() {
    let mut info = from_external();
    info.ipv6.allow_as_in = AllowAsIn::Times(3);
    info.ipv6.weight = 4;
    let mut rib = rib(info);
    let looped = attributes(&[65001, LOCAL_AS], "192.0.2.1");
    announce(&mut rib, 1, PREFIX, looped);
    assert_eq!(rejection(&rib), Some(Rejection::AsPathLoop));
    announce(&mut rib, 1, PREFIX, good());
    assert_eq!(rib.prefix(net(PREFIX)).unwrap().paths[0].weight, 0);
    let v6 = attributes(&[65001, LOCAL_AS], "2001:db8::1");
    announce(&mut rib, 1, "2001:db8:7::/48", v6);
    let view = rib.prefix(net("2001:db8:7::/48")).unwrap();
    assert_eq!(view.paths[0].weight, 4);
}

#[test]
fn policy_sets_weight_and_attributes_and_the_received_ones_stay() {
    let mut rib = rib(from_external());
    let policy = TestPolicy::Rewrite {
        local_pref: 200,
        weight: 9,
    };
    rib.set_policy(PeerId(1), Arc::new(policy));
    announce(&mut rib, 1, PREFIX, good());
    let view = rib.prefix(net(PREFIX)).unwrap();
    assert_eq!(view.paths[0].weight, 9);
    assert_eq!(view.paths[0].attributes.local_pref(), Some(200));
    let page = rib.received(PeerId(1), V4, None, 10);
    assert_eq!(page.items[0].attributes.decode(), good());
}

#[test]
fn unchanged_attributes_are_one_pointer() {
    let mut rib = rib(from_external());
    announce(&mut rib, 1, PREFIX, good());
    announce(&mut rib, 1, "198.51.100.0/24", good());
    let views = rib.table(V4, None, 10).items;
    let received = rib.received(PeerId(1), V4, None, 10).items;
    assert_eq!(views[0].paths[0].attributes, views[1].paths[0].attributes);
    assert_eq!(views[0].paths[0].attributes, received[0].attributes);
    assert_eq!(rib.attribute_sets(), 1);
}

// ===== UPDATE =====

#[test]
fn a_prefix_both_withdrawn_and_announced_is_announced() {
    let mut rib = rib(from_external());
    let list = [(net(PREFIX), 0)];
    let mut update = announcement(&list, good());
    update.withdrawn = withdrawal(&list).withdrawn;
    let summary = rib.update(PeerId(1), update, 0);
    assert_eq!((summary.announced, summary.withdrawn), (1, 1));
    assert!(rib.prefix(net(PREFIX)).is_some());
}

#[test]
fn withdrawing_what_is_unknown_is_harmless() {
    let mut rib = rib(from_external());
    withdraw(&mut rib, 1, PREFIX);
    assert_eq!(rib.summary(V4).version, 0);
    assert_eq!(rib.prefix(net(PREFIX)), None);
}

#[test]
fn the_same_route_again_changes_nothing() {
    let mut rib = rib(from_external());
    announce(&mut rib, 1, PREFIX, good());
    let version = rib.summary(V4).version;
    fib(&mut rib);
    rib.update(PeerId(1), announcement(&[(net(PREFIX), 0)], good()), 99);
    assert_eq!(rib.summary(V4).version, version);
    assert!(fib(&mut rib).is_empty());
    assert_eq!(rib.prefix(net(PREFIX)).unwrap().paths[0].last_update, 0);
}

#[test]
fn a_path_identifier_that_changes_is_another_path() {
    let mut rib = rib(from_external());
    for id in [1, 2] {
        rib.update(PeerId(1), announcement(&[(net(PREFIX), id)], good()), 0);
    }
    assert_eq!(rib.prefix(net(PREFIX)).unwrap().paths.len(), 2);
    rib.update(PeerId(1), withdrawal(&[(net(PREFIX), 1)]), 0);
    let view = rib.prefix(net(PREFIX)).unwrap();
    let ids: Vec<u32> = view.paths.iter().map(|p| p.path_id).collect();
    assert_eq!(ids, [2]);
}

#[test]
fn nothing_comes_from_a_peer_that_is_down_or_a_family_not_negotiated() {
    let info = PeerInfo {
        families: only(V6),
        ..from_external()
    };
    let mut rib = rib(info);
    let list = [(net(PREFIX), 0)];
    for peer in [1, 2] {
        let summary = rib.update(PeerId(peer), announcement(&list, good()), 0);
        assert_eq!(summary, UpdateSummary::default());
    }
    assert_eq!(rib.summary(V4).paths, 0);
}

// ===== Stale routes =====

fn stale(rib: &Rib) -> Vec<(String, bool)> {
    let page = rib.table(V4, None, 10);
    let shown = page.items.iter();
    shown
        .map(|view| (view.prefix.to_string(), view.paths[0].stale))
        .collect()
}

#[test]
fn stale_routes_stay_in_use_until_end_of_rib() {
    let mut rib = rib(from_external());
    announce(&mut rib, 1, PREFIX, good());
    announce(&mut rib, 1, "198.51.100.0/24", good());
    fib(&mut rib);
    rib.peer_down(PeerId(1), only(V4));
    assert!(stale(&rib).iter().all(|(_, stale)| *stale));
    assert!(fib(&mut rib).is_empty());
    rib.peer_up(PeerId(1), from_external(), accept());
    announce(&mut rib, 1, PREFIX, good());
    let expected = [
        ("198.51.100.0/24".to_string(), true),
        (PREFIX.to_string(), false),
    ];
    assert_eq!(stale(&rib), expected);
    rib.end_of_rib(PeerId(1), V4);
    assert_eq!(stale(&rib), [(PREFIX.to_string(), false)]);
    assert_eq!(fib(&mut rib).len(), 1);
}

#[test]
fn a_second_restart_drops_what_was_stale_already() {
    let mut rib = rib(from_external());
    announce(&mut rib, 1, PREFIX, good());
    rib.peer_down(PeerId(1), both());
    rib.peer_up(PeerId(1), from_external(), accept());
    rib.peer_down(PeerId(1), both());
    assert_eq!(rib.summary(V4).paths, 0);
}

#[test]
fn a_timer_can_sweep_while_the_peer_is_down() {
    let mut rib = rib(from_external());
    announce(&mut rib, 1, PREFIX, good());
    rib.peer_down(PeerId(1), both());
    rib.sweep_stale(PeerId(1), V6);
    assert_eq!(rib.summary(V4).paths, 1);
    rib.sweep_stale(PeerId(1), V4);
    assert_eq!(rib.summary(V4).paths, 0);
    assert_eq!(rib.counters(PeerId(1), V4).received, 0);
}

#[test]
fn a_family_that_is_not_negotiated_again_loses_its_stale_routes() {
    let mut rib = rib(from_external());
    announce(&mut rib, 1, PREFIX, good());
    rib.peer_down(PeerId(1), both());
    let info = PeerInfo {
        families: only(V6),
        ..from_external()
    };
    rib.peer_up(PeerId(1), info, accept());
    assert_eq!(rib.summary(V4).paths, 0);
}

#[test]
fn an_enhanced_refresh_sweeps_what_was_not_sent_again() {
    let mut rib = rib(from_external());
    announce(&mut rib, 1, PREFIX, good());
    announce(&mut rib, 1, "198.51.100.0/24", good());
    rib.mark_stale(PeerId(1), V4);
    announce(&mut rib, 1, PREFIX, good());
    rib.sweep_stale(PeerId(1), V4);
    assert_eq!(stale(&rib), [(PREFIX.to_string(), false)]);
}

#[test]
fn a_family_that_a_peer_comes_back_without_leaves_no_trace_in_the_decision() {
    let far = PeerInfo {
        ebgp_multihop: true,
        ..from_external()
    };
    let mut rib = rib(far);
    rib.peer_up(PeerId(2), external(65002, "192.0.2.2"), accept());
    announce(
        &mut rib,
        1,
        PREFIX,
        attributes(&[65001, 65002], "192.0.2.1"),
    );
    announce(&mut rib, 2, PREFIX, attributes(&[65002], "192.0.2.2"));
    rib.next_hop_changed(ip("192.0.2.1"), state(1, false));
    let reason = |rib: &Rib| rib.prefix(net(PREFIX)).unwrap().reason;
    assert_eq!(reason(&rib), Some(Step::AsPath));
    // The path is neither kept nor valid by what the peer is now.
    rib.peer_down(PeerId(1), only(V4));
    let back = PeerInfo {
        families: only(V6),
        ..from_external()
    };
    rib.peer_up(PeerId(1), back, accept());
    assert_eq!(reason(&rib), Some(Step::OnlyPath));
}

#[test]
fn a_neighbor_that_asks_for_it_is_avoided_before_it_goes() {
    let mut rib = Rib::new(config());
    rib.peer_up(PeerId(1), external(65001, "192.0.2.1"), accept());
    rib.peer_up(PeerId(2), external(65002, "192.0.2.2"), accept());
    rib.peer_up(PeerId(3), client("10.0.0.4"), accept());
    let prefix = "203.0.113.0/24";
    let drained = |path: &[u32], from: &str| bgp_wire::PathAttributes {
        communities: vec![bgp_wire::Community::GRACEFUL_SHUTDOWN],
        ..attributes(path, from)
    };
    let best = |rib: &Rib| {
        let view = rib.prefix(net(prefix)).unwrap();
        let best = view.paths.into_iter().find(|path| path.best).unwrap();
        (best.source, best.attributes.decode().local_pref)
    };
    announce(&mut rib, 1, prefix, attributes(&[65001], "192.0.2.1"));
    announce(
        &mut rib,
        2,
        prefix,
        attributes(&[65002, 65009], "192.0.2.2"),
    );
    assert_eq!(best(&rib), (PathSource::Peer(PeerId(1)), None));
    announce(&mut rib, 1, prefix, drained(&[65001], "192.0.2.1"));
    assert_eq!(best(&rib), (PathSource::Peer(PeerId(2)), None));
    // The only path there is stays in use.
    withdraw(&mut rib, 2, prefix);
    assert_eq!(best(&rib), (PathSource::Peer(PeerId(1)), Some(0)));
    // Inside of the AS local preference says it already.
    announce(
        &mut rib,
        3,
        prefix,
        bgp_wire::PathAttributes {
            local_pref: Some(50),
            ..drained(&[65009], "10.0.0.4")
        },
    );
    assert_eq!(best(&rib), (PathSource::Peer(PeerId(3)), Some(50)));
}
