//! What peers are told, and in which words.

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use bgp_wire::{
    AsPath, Community, ExtendedCommunity, FamilySet, NextHop, PathAttributes, RawAttribute,
};
use common::pair::*;
use common::*;
use holdfast_rib::{
    ExportBatch, LocalRoute, LocalSource, PeerId, PeerInfo, Policy, Rib, RibConfig, RouteContext,
    Verdict,
};
use ipnet::IpNet;

// ===== Who is told =====

#[test]
fn a_route_does_not_go_back_to_its_sender() {
    let mut rib = between(from_external(), elsewhere());
    announce(&mut rib, 1, PREFIX, route());
    assert_eq!(announced_nets(&drain(&mut rib, 1)), []);
    assert_eq!(announced_nets(&drain(&mut rib, 2)), [net(PREFIX)]);
}

#[test]
fn a_new_best_of_its_own_withdraws_what_the_peer_was_told() {
    let mut rib = between(from_external(), elsewhere());
    announce(&mut rib, 1, PREFIX, route());
    drain(&mut rib, 2);
    announce(&mut rib, 2, PREFIX, attributes(&[65002], "198.51.100.2"));
    assert_eq!(withdrawn_nets(&drain(&mut rib, 2)), [net(PREFIX)]);
    assert_eq!(announced_nets(&drain(&mut rib, 1)), [net(PREFIX)]);
}

#[test]
fn internal_routes_do_not_go_to_internal_peers() {
    let route = attributes(&[65010], "10.0.0.1");
    assert_eq!(
        passed(internal("10.0.0.1"), internal("10.0.0.2"), route),
        None
    );
}

#[test]
fn clients_that_are_meshed_need_no_reflection() {
    let config = RibConfig {
        client_to_client_reflection: false,
        ..config()
    };
    let mut rib = Rib::new(config);
    for (peer, info) in [
        (1, client("10.0.0.1")),
        (2, client("10.0.0.2")),
        (3, internal("10.0.0.3")),
    ] {
        rib.peer_up(PeerId(peer), info, accept());
    }
    announce(&mut rib, 1, PREFIX, attributes(&[65010], "10.0.0.1"));
    assert_eq!(announced_nets(&drain(&mut rib, 2)), []);
    assert_eq!(announced_nets(&drain(&mut rib, 3)), [net(PREFIX)]);
    rib.set_config(common::config());
    assert_eq!(announced_nets(&drain(&mut rib, 2)), [net(PREFIX)]);
}

#[test]
fn a_client_of_the_route_server_gets_the_link_local_next_hop_too() {
    let both_addresses = NextHop::V6 {
        global: "2001:db8::1".parse().unwrap(),
        link_local: Some("fe80::1".parse().unwrap()),
    };
    for unchanged in [false, true] {
        let mut to = PeerInfo {
            route_server_client: both(),
            ..external(65002, "192.0.2.2")
        };
        to.ipv6.next_hop_unchanged = unchanged;
        let mut rib = between(from_external(), to);
        let mut v6 = attributes(&[65001], "2001:db8::1");
        v6.next_hop = Some(both_addresses);
        announce(&mut rib, 1, "2001:db8:9::/48", v6);
        assert_eq!(sent(&mut rib, 2).unwrap().next_hop, Some(both_addresses));
    }
}

#[test]
fn a_next_hop_stays_where_it_is_to_stay_unchanged() {
    let mut to = elsewhere();
    to.ipv4.next_hop_unchanged = true;
    to.next_hop_self = both();
    let told = passed(from_external(), to.clone(), route()).unwrap();
    assert_eq!(told.next_hop, Some(hop("192.0.2.1")));
    assert_eq!(told.as_path.first_as(), Some(LOCAL_AS));
    // The other family has a knob of its own.
    let mut rib = between(from_external(), to);
    let v6 = attributes(&[65001], "2001:db8::1");
    announce(&mut rib, 1, "2001:db8:9::/48", v6);
    assert_eq!(
        sent(&mut rib, 2).unwrap().next_hop,
        Some(hop("2001:db8::100"))
    );
}

#[test]
fn no_export_stays_inside_of_the_as() {
    for community in [Community::NO_EXPORT, Community::NO_EXPORT_SUBCONFED] {
        let mut route = route();
        route.communities = vec![community];
        assert!(passed(from_external(), elsewhere(), route.clone()).is_none());
        let inside = passed(from_external(), internal("10.0.0.2"), route).unwrap();
        assert_eq!(inside.communities, [community]);
    }
}

#[test]
fn no_advertise_stays_here() {
    let mut route = route();
    route.communities = vec![Community::NO_ADVERTISE];
    assert!(passed(from_external(), elsewhere(), route.clone()).is_none());
    assert!(passed(from_external(), internal("10.0.0.2"), route).is_none());
}

#[test]
fn a_community_that_comes_to_forbid_it_withdraws_the_route() {
    let mut rib = between(from_external(), elsewhere());
    announce(&mut rib, 1, PREFIX, route());
    drain(&mut rib, 2);
    let mut forbidden = route();
    forbidden.communities = vec![Community::NO_EXPORT];
    announce(&mut rib, 1, PREFIX, forbidden);
    assert_eq!(withdrawn_nets(&drain(&mut rib, 2)), [net(PREFIX)]);
}

// ===== Reflection =====

#[test]
fn a_clients_route_is_reflected_to_everybody_inside() {
    for to in [client("10.0.0.2"), internal("10.0.0.2")] {
        let route = attributes(&[65010], "10.0.0.1");
        let told = passed(client("10.0.0.1"), to, route).unwrap();
        assert_eq!(told.originator_id, Some(v4("10.0.0.1")));
        assert_eq!(told.cluster_list, [v4("10.255.0.1")]);
        assert_eq!(told.next_hop, Some(hop("10.0.0.1")));
        assert_eq!(told.local_pref, Some(100));
    }
}

#[test]
fn a_nonclients_route_is_reflected_to_clients_only() {
    let route = attributes(&[65010], "10.0.0.1");
    assert!(passed(internal("10.0.0.1"), client("10.0.0.2"), route).is_some());
}

#[test]
fn reflection_keeps_the_originator_and_puts_its_cluster_in_front() {
    let mut rib = Rib::new(RibConfig {
        cluster_id: Some(v4("7.7.7.7")),
        ..config()
    });
    rib.peer_up(PeerId(1), client("10.0.0.1"), accept());
    rib.peer_up(PeerId(2), client("10.0.0.2"), accept());
    let mut route = attributes(&[65010], "10.0.0.1");
    route.originator_id = Some(v4("9.9.9.9"));
    route.cluster_list = vec![v4("8.8.8.8")];
    announce(&mut rib, 1, PREFIX, route);
    let told = sent(&mut rib, 2).unwrap();
    assert_eq!(told.originator_id, Some(v4("9.9.9.9")));
    assert_eq!(told.cluster_list, [v4("7.7.7.7"), v4("8.8.8.8")]);
}

/// Names an originator, whoever the route came from.
#[derive(Debug)]
struct NamesOriginator;

impl Policy for NamesOriginator {
    fn import(&self, _: &RouteContext<'_>) -> Verdict {
        Verdict::Accept
    }

    fn export(&self, route: &RouteContext<'_>) -> Verdict {
        Verdict::rewrite(PathAttributes {
            originator_id: Some(v4("9.9.9.9")),
            ..PathAttributes::clone(route.attributes)
        })
    }
}

#[test]
fn only_a_reflected_route_says_an_originator() {
    for (from, originator) in [
        (from_external(), None),
        (client("10.0.0.1"), Some(v4("9.9.9.9"))),
    ] {
        let mut rib = Rib::new(config());
        rib.peer_up(PeerId(1), from, accept());
        rib.peer_up(PeerId(2), client("10.0.0.2"), Arc::new(NamesOriginator));
        announce(
            &mut rib,
            1,
            PREFIX,
            attributes(&[65001, 65010], "192.0.2.1"),
        );
        assert_eq!(sent(&mut rib, 2).unwrap().originator_id, originator);
    }
}

#[test]
fn a_route_is_not_reflected_to_its_originator() {
    let mut route = attributes(&[65010], "10.0.0.1");
    route.originator_id = Some(v4("10.0.0.2"));
    assert!(passed(client("10.0.0.1"), client("10.0.0.2"), route).is_none());
}

#[test]
fn reflection_attributes_do_not_leave_the_as() {
    let mut route = attributes(&[65010], "10.0.0.1");
    route.originator_id = Some(v4("9.9.9.9"));
    route.cluster_list = vec![v4("8.8.8.8")];
    let told = passed(internal("10.0.0.1"), elsewhere(), route).unwrap();
    assert_eq!((told.originator_id, told.cluster_list.len()), (None, 0));
}

// ===== Attributes =====

#[test]
fn our_as_is_prepended_towards_external_peers_only() {
    let told = passed(from_external(), elsewhere(), route()).unwrap();
    assert_eq!(
        told.as_path,
        AsPath::from_sequence([LOCAL_AS, 65001, 65010])
    );
    let told = passed(from_external(), internal("10.0.0.2"), route()).unwrap();
    assert_eq!(told.as_path, AsPath::from_sequence([65001, 65010]));
}

#[test]
fn another_local_as_stands_in_front_of_our_own_or_instead() {
    let mut to = elsewhere();
    to.local_as = 64999;
    let told = passed(from_external(), to.clone(), route()).unwrap();
    let both = AsPath::from_sequence([64999, LOCAL_AS, 65001, 65010]);
    assert_eq!(told.as_path, both);
    to.replace_as = true;
    let told = passed(from_external(), to, route()).unwrap();
    let one = AsPath::from_sequence([64999, 65001, 65010]);
    assert_eq!(told.as_path, one);
}

#[test]
fn local_pref_always_goes_inside_and_never_outside() {
    let mut route = attributes(&[65010], "10.0.0.1");
    let told = passed(from_external(), internal("10.0.0.2"), self::route()).unwrap();
    assert_eq!(told.local_pref, Some(100));
    route.local_pref = Some(250);
    let told = passed(client("10.0.0.1"), client("10.0.0.2"), route.clone()).unwrap();
    assert_eq!(told.local_pref, Some(250));
    let told = passed(internal("10.0.0.1"), elsewhere(), route).unwrap();
    assert_eq!(told.local_pref, None);
}

#[test]
fn med_is_not_passed_on_to_a_third_as_but_inside() {
    let mut route = route();
    route.med = Some(50);
    let told = passed(from_external(), elsewhere(), route.clone()).unwrap();
    assert_eq!(told.med, None);
    let told = passed(from_external(), internal("10.0.0.2"), route).unwrap();
    assert_eq!(told.med, Some(50));
}

#[test]
fn unknown_attributes_are_passed_on_with_the_partial_bit() {
    let raw = |flags| RawAttribute {
        flags,
        code: 200,
        value: vec![1, 2, 3],
    };
    let mut route = route();
    route.unknown = vec![raw(0xc0)];
    let told = passed(from_external(), elsewhere(), route.clone()).unwrap();
    assert_eq!(told.unknown, [raw(0xe0)]);
    route.unknown = vec![raw(0x80)];
    let told = passed(from_external(), elsewhere(), route).unwrap();
    assert_eq!(told.unknown, []);
}

#[test]
fn extended_communities_that_are_not_transitive_stay_inside() {
    let stays = ExtendedCommunity([0x40, 4, 0, 1, 0, 0, 0, 0]);
    let goes = ExtendedCommunity([0, 2, 0, 1, 0, 0, 0, 1]);
    let mut route = route();
    route.extended_communities = vec![stays, goes];
    let told = passed(from_external(), elsewhere(), route.clone()).unwrap();
    assert_eq!(told.extended_communities, [goes]);
    let told = passed(from_external(), internal("10.0.0.2"), route).unwrap();
    assert_eq!(told.extended_communities, [stays, goes]);
}

#[test]
fn our_own_routes_come_from_us() {
    for (to, next_hop, path, local_pref) in [
        (elsewhere(), "198.51.100.100", vec![LOCAL_AS], None),
        (internal("10.0.0.2"), "10.0.0.100", vec![], Some(100)),
    ] {
        let mut rib = between(from_external(), to);
        let route = LocalRoute::new(LocalSource::Network, None, 0);
        rib.originate(net(PREFIX), route, 0);
        let told = sent(&mut rib, 2).unwrap();
        assert_eq!(told.next_hop, Some(hop(next_hop)));
        assert_eq!(told.as_path, AsPath::from_sequence(path));
        assert_eq!(told.local_pref, local_pref);
        assert_eq!(told.med, Some(0));
    }
}

// ===== Next hop =====

#[test]
fn the_next_hop_is_ours_outside_and_unchanged_inside() {
    let told = passed(from_external(), elsewhere(), route()).unwrap();
    assert_eq!(told.next_hop, Some(hop("198.51.100.100")));
    let told = passed(from_external(), internal("10.0.0.2"), route()).unwrap();
    assert_eq!(told.next_hop, Some(hop("192.0.2.1")));
}

#[test]
fn next_hop_self_inside_is_for_external_routes_unless_forced() {
    let mut to = client("10.0.0.2");
    to.next_hop_self = only(V4);
    let told = passed(from_external(), to.clone(), route()).unwrap();
    assert_eq!(told.next_hop, Some(hop("10.0.0.100")));
    let inside = attributes(&[65010], "10.0.0.1");
    let told = passed(client("10.0.0.1"), to.clone(), inside.clone()).unwrap();
    assert_eq!(told.next_hop, Some(hop("10.0.0.1")));
    to.next_hop_self_force = only(V4);
    let told = passed(client("10.0.0.1"), to, inside).unwrap();
    assert_eq!(told.next_hop, Some(hop("10.0.0.100")));
}

#[test]
fn a_third_party_on_the_shared_subnet_is_named() {
    let to = external(65002, "192.0.2.2");
    let told = passed(from_external(), to.clone(), route()).unwrap();
    assert_eq!(told.next_hop, Some(hop("192.0.2.1")));
    let far = PeerInfo {
        ebgp_multihop: true,
        ..to.clone()
    };
    let told = passed(from_external(), far, route()).unwrap();
    assert_eq!(told.next_hop, Some(hop("192.0.2.100")));
    let asked = PeerInfo {
        next_hop_self: only(V4),
        ..to
    };
    let told = passed(from_external(), asked, route()).unwrap();
    assert_eq!(told.next_hop, Some(hop("192.0.2.100")));
}

#[test]
fn a_peer_never_gets_its_own_address_as_next_hop() {
    let to = external(65002, "192.0.2.2");
    let theirs = attributes(&[65001, 65010], "192.0.2.2");
    let told = passed(from_external(), to, theirs.clone()).unwrap();
    assert_eq!(told.next_hop, Some(hop("192.0.2.100")));
    let told = passed(from_external(), internal("192.0.2.2"), theirs).unwrap();
    assert_eq!(told.next_hop, Some(hop("10.0.0.100")));
}

#[test]
fn an_ipv6_next_hop_of_ours_has_both_addresses_where_a_link_is_shared() {
    let prefix = "2001:db8:100::/48";
    let ours = |link_local| NextHop::V6 {
        global: "2001:db8::100".parse().unwrap(),
        link_local,
    };
    let link_local = Some("fe80::100".parse().unwrap());
    for local_link_local in [None, link_local] {
        let to = PeerInfo {
            local_link_local,
            ..elsewhere()
        };
        let mut rib = between(external(65001, "2001:db8::1"), to);
        announce(&mut rib, 1, prefix, attributes(&[65001], "2001:db8::1"));
        assert_eq!(
            sent(&mut rib, 2).unwrap().next_hop,
            Some(ours(local_link_local))
        );
    }
}

#[test]
fn an_unnumbered_link_has_its_link_local_address_in_both_places() {
    let link_local = "fe80::100".parse().unwrap();
    let to = PeerInfo {
        local_v4: None,
        local_v6: None,
        local_link_local: Some(link_local),
        extended_next_hop: only(V4),
        shared_subnets: Vec::new(),
        ..external(65002, "fe80::2")
    };
    let told = passed(from_external(), to, route()).unwrap();
    let ours = NextHop::V6 {
        global: link_local,
        link_local: Some(link_local),
    };
    assert_eq!(told.next_hop, Some(ours));
}

#[test]
fn ipv4_over_ipv6_is_not_sent_unless_negotiated() {
    let to = PeerInfo {
        local_v4: None,
        shared_subnets: Vec::new(),
        ..external(65002, "2001:db8::2")
    };
    assert_eq!(passed(from_external(), to, route()), None);
}

#[test]
fn a_link_local_next_hop_is_not_passed_on_inside() {
    let from = PeerInfo {
        local_link_local: Some("fe80::100".parse().unwrap()),
        ..external(65001, "fe80::1")
    };
    let mut rib = between(from, internal("10.0.0.2"));
    let prefix = "2001:db8:100::/48";
    announce(&mut rib, 1, prefix, attributes(&[65001], "fe80::1"));
    let told = sent(&mut rib, 2).unwrap();
    assert_eq!(told.next_hop, Some(hop("2001:db8:a::100")));
}

#[test]
fn a_route_server_leaves_next_hop_path_and_med_alone() {
    let to = PeerInfo {
        route_server_client: only(V4),
        ..elsewhere()
    };
    let mut route = route();
    route.med = Some(9);
    let told = passed(from_external(), to, route.clone()).unwrap();
    assert_eq!(told, route);
}

// ===== Policy =====

#[test]
fn export_policy_can_deny_and_set_the_next_hop() {
    let mut rib = between(from_external(), elsewhere());
    announce(&mut rib, 1, PREFIX, route());
    drain(&mut rib, 2);
    let other = hop("198.51.100.77");
    rib.set_policy(PeerId(2), Arc::new(TestPolicy::NextHop(other)));
    assert_eq!(sent(&mut rib, 2).unwrap().next_hop, Some(other));
    rib.set_policy(PeerId(2), Arc::new(TestPolicy::Deny));
    assert_eq!(withdrawn_nets(&drain(&mut rib, 2)), [net(PREFIX)]);
    rib.set_policy(PeerId(2), accept());
    assert_eq!(announced_nets(&drain(&mut rib, 2)), [net(PREFIX)]);
}

#[test]
fn a_weight_that_changes_is_shown_to_export_policy() {
    let mut rib = between(from_external(), elsewhere());
    rib.set_policy(PeerId(2), Arc::new(TestPolicy::DenyWeight(7)));
    announce(&mut rib, 1, PREFIX, route());
    assert_eq!(announced_nets(&drain(&mut rib, 2)), [net(PREFIX)]);
    let policy = TestPolicy::Rewrite {
        local_pref: 100,
        weight: 7,
    };
    rib.set_policy(PeerId(1), Arc::new(policy));
    assert_eq!(withdrawn_nets(&drain(&mut rib, 2)), [net(PREFIX)]);
    let policy = TestPolicy::Rewrite {
        local_pref: 100,
        weight: 8,
    };
    rib.set_policy(PeerId(1), Arc::new(policy));
    assert_eq!(announced_nets(&drain(&mut rib, 2)), [net(PREFIX)]);
}

// ===== Pulling =====

#[test]
fn a_new_peer_gets_the_table_in_portions_and_then_end_of_rib() {
    let mut rib = Rib::new(config());
    for i in 0..10 {
        let prefix = net(&format!("203.0.113.{}/32", i));
        rib.originate(prefix, LocalRoute::new(LocalSource::Static, None, 0), 0);
    }
    rib.peer_up(PeerId(2), elsewhere(), accept());
    let mut got = Vec::new();
    let mut batch = ExportBatch::default();
    while rib.pending(PeerId(2)) {
        assert!(!batch.end_of_rib.contains(V4), "End-of-RIB came too early");
        batch = rib.export(PeerId(2), 3);
        let portion = announced_nets(&batch);
        assert!(portion.len() <= 3);
        got.extend(portion);
    }
    assert!(batch.end_of_rib.contains(V4));
    assert_eq!(got.len(), 10);
    assert_eq!(rib.counters(PeerId(2), V4).sent, 10);
}

#[test]
fn end_of_rib_comes_for_an_empty_table_too_and_once() {
    let mut rib = Rib::new(config());
    rib.peer_up(PeerId(2), elsewhere(), accept());
    assert!(rib.pending(PeerId(2)));
    assert_eq!(drain(&mut rib, 2).end_of_rib, both());
    rib.originate(
        net(PREFIX),
        LocalRoute::new(LocalSource::Static, None, 0),
        0,
    );
    assert_eq!(drain(&mut rib, 2).end_of_rib, FamilySet::EMPTY);
}

#[test]
fn only_the_newest_state_is_sent() {
    let mut rib = between(from_external(), elsewhere());
    for med_path in [[65001, 1], [65001, 2], [65001, 3]] {
        let route = attributes(&med_path, "192.0.2.1");
        announce(&mut rib, 1, PREFIX, route);
    }
    let told = sent(&mut rib, 2).unwrap();
    assert_eq!(told.as_path, AsPath::from_sequence([LOCAL_AS, 65001, 3]));
}

#[test]
fn a_route_that_came_and_went_is_not_mentioned() {
    let mut rib = between(from_external(), elsewhere());
    announce(&mut rib, 1, PREFIX, route());
    withdraw(&mut rib, 1, PREFIX);
    assert!(drain(&mut rib, 2).is_empty());
}

#[test]
fn a_change_that_makes_no_difference_outside_is_not_sent() {
    let mut rib = between(from_external(), elsewhere());
    announce(&mut rib, 1, PREFIX, route());
    drain(&mut rib, 2);
    let mut other = route();
    other.med = Some(12);
    announce(&mut rib, 1, PREFIX, other);
    assert!(drain(&mut rib, 2).is_empty());
    announce(&mut rib, 1, PREFIX, route());
    withdraw(&mut rib, 1, "198.51.100.0/24");
    assert!(drain(&mut rib, 2).is_empty());
}

#[test]
fn prefixes_with_the_same_attributes_come_together() {
    let mut rib = between(from_external(), elsewhere());
    for i in 0..6u32 {
        let route = attributes(&[65001, 65010 + i % 2], "192.0.2.1");
        announce(&mut rib, 1, &format!("203.0.113.{i}/32"), route);
    }
    let batch = rib.export(PeerId(2), 100);
    let sizes: Vec<usize> = batch.announced.iter().map(|(_, p)| p.len()).collect();
    assert_eq!(sizes, [3, 3]);
}

#[test]
fn all_paths_lost_is_a_withdrawal_even_if_the_peer_goes_down() {
    let mut rib = between(from_external(), elsewhere());
    announce(&mut rib, 1, PREFIX, route());
    drain(&mut rib, 2);
    rib.peer_down(PeerId(1), FamilySet::EMPTY);
    assert_eq!(withdrawn_nets(&drain(&mut rib, 2)), [net(PREFIX)]);
    assert_eq!(rib.counters(PeerId(2), V4).sent, 0);
}

#[test]
fn a_refresh_sends_everything_again_and_says_when_it_is_done() {
    let mut rib = between(from_external(), elsewhere());
    announce(&mut rib, 1, PREFIX, route());
    drain(&mut rib, 2);
    rib.refresh_out(PeerId(2), V4, false);
    assert!(drain(&mut rib, 2).is_empty());
    rib.refresh_out(PeerId(2), V4, true);
    let batch = drain(&mut rib, 2);
    assert_eq!(announced_nets(&batch), [net(PREFIX)]);
    assert_eq!(batch.end_of_refresh, only(V4));
    assert_eq!(batch.end_of_rib, FamilySet::EMPTY);
}

#[test]
fn a_family_that_was_not_negotiated_is_not_sent() {
    let to = PeerInfo {
        families: only(V6),
        ..elsewhere()
    };
    let mut rib = between(from_external(), to);
    announce(&mut rib, 1, PREFIX, route());
    assert!(!rib.pending(PeerId(2)));
}

#[test]
fn another_router_id_of_a_client_is_told_on() {
    let mut rib = between(client("10.0.0.1"), client("10.0.0.2"));
    announce(&mut rib, 1, PREFIX, attributes(&[65010], "10.0.0.1"));
    drain(&mut rib, 2);
    let info = PeerInfo {
        router_id: v4("1.2.3.4"),
        ..client("10.0.0.1")
    };
    rib.set_peer(PeerId(1), info);
    assert_eq!(
        sent(&mut rib, 2).unwrap().originator_id,
        Some(v4("1.2.3.4"))
    );
}

/// Has every group say what it has to say; what each of the peers is told.
fn settle_groups(rib: &mut Rib, peers: &[u32]) -> Vec<Vec<ExportBatch>> {
    let mut told = vec![Vec::new(); peers.len()];
    while let Some(group) = rib.pending_groups().first().copied() {
        let Some(batch) = rib.export_group(group, 100) else {
            continue;
        };
        for (peer, told) in peers.iter().zip(&mut told) {
            if batch.members.iter().any(|m| m.peer == PeerId(*peer)) {
                told.push(batch.of_member(PeerId(*peer)));
            }
        }
    }
    told
}

#[test]
fn a_member_that_announces_itself_hears_what_new_rules_take_away() {
    let mut rib = Rib::new(config());
    let policy = accept();
    for (peer, asn, address) in [
        (1, 65001, "192.0.2.1"),
        (2, 65002, "192.0.2.2"),
        (3, 65003, "192.0.2.50"),
    ] {
        rib.peer_up(PeerId(peer), external(asn, address), policy.clone());
    }
    resolve(&mut rib);
    let other = "198.51.100.0/24";
    announce(&mut rib, 1, PREFIX, route());
    announce(&mut rib, 2, other, attributes(&[65002], "192.0.2.2"));
    settle_groups(&mut rib, &[1, 2, 3]);
    resolve(&mut rib);
    settle_groups(&mut rib, &[1, 2, 3]);
    assert_eq!(rib.counters(PeerId(2), V4).sent, 1);
    rib.set_policy(PeerId(2), Arc::new(TestPolicy::Deny));
    let told = settle_groups(&mut rib, &[2]);
    let withdrawn: Vec<_> = told[0].iter().flat_map(withdrawn_nets).collect();
    assert_eq!(withdrawn, [net(PREFIX)]);
    assert_eq!(rib.counters(PeerId(2), V4).sent, 0);
}

/// Every order of a withdrawal, new addresses of ours, and portions taken.
#[test]
fn a_withdrawal_is_told_whatever_else_changes() {
    let prefix = "2001:db8:b::/48";
    let peer = |number: u32, link_local: Option<&str>| {
        let mut info = external(65000 + number, &format!("2001:db8:{number}::2"));
        info.local_link_local = link_local.map(|address| address.parse().unwrap());
        info
    };
    let steps_of = |order: u32| (0..4).map(move |at| order / 3_u32.pow(at) % 3);
    for order in 0..81 {
        let mut rib = Rib::new(config());
        for number in [1, 2] {
            rib.peer_up(PeerId(number), peer(number, None), accept());
        }
        announce(&mut rib, 2, prefix, attributes(&[65002], "2001:db8:2::2"));
        resolve(&mut rib);
        let mut told: BTreeSet<IpNet> = BTreeSet::new();
        let mut take = |rib: &mut Rib| {
            let batch = drain(rib, 1);
            told.extend(announced_nets(&batch));
            let gone = withdrawn_nets(&batch);
            told.retain(|net| !gone.contains(net));
            told.len()
        };
        assert_eq!(take(&mut rib), 1);
        let mut go = |rib: &mut Rib, own: [Option<&str>; 2]| {
            for step in steps_of(order) {
                match step {
                    0 => rib.set_peer(PeerId(1), peer(1, own[0])),
                    1 => rib.set_peer(PeerId(2), peer(2, own[1])),
                    _ => {
                        take(rib);
                    }
                }
            }
        };
        go(&mut rib, [Some("fe80::1"), Some("fe80::2")]);
        withdraw(&mut rib, 2, prefix);
        go(&mut rib, [None, None]);
        assert_eq!(
            take(&mut rib),
            0,
            "{:?}",
            steps_of(order).collect::<Vec<_>>()
        );
    }
}

/// The next hop is the same address, ours before and a third one's now.
#[test]
fn an_address_that_is_no_longer_ours_is_not_told_again_while_it_may_be_named() {
    let mut rib = Rib::new(config());
    let on_link = external(65001, "192.0.2.1");
    let info = PeerInfo {
        shared_subnets: Vec::new(),
        ..on_link.clone()
    };
    let ours = info.local_v4.map(|address| address.to_string()).unwrap();
    rib.peer_up(PeerId(1), info, accept());
    let route = LocalRoute {
        source: LocalSource::Network,
        attributes: attributes(&[], &ours),
        weight: 0,
    };
    rib.originate(net(PREFIX), route, 0);
    assert_eq!(announced_nets(&drain(&mut rib, 1)), [net(PREFIX)]);
    let local_v4 = None;
    let third = PeerInfo {
        local_v4,
        ..on_link
    };
    rib.set_peer(PeerId(1), third);
    let batch = drain(&mut rib, 1);
    assert!(batch.is_empty(), "{batch:?}");
}
