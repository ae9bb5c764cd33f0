//! A confederation (RFC 5065): one AS to those outside, several to each other.

mod common;

use bgp_wire::{AsPath, Community, ExtendedCommunity, PathAttributes};
use common::pair::{PREFIX, joined};
use common::*;
use holdfast_rib::{AllowAsIn, Invalid, PeerId, PeerInfo, Rejection, Rib};

/// A table of member AS 65000 with a peer 1 that routes come from and a peer 2
/// that they go to.
fn between(from: PeerInfo, to: PeerInfo) -> Rib {
    joined(confederation(), from, to)
}

fn passed(from: PeerInfo, to: PeerInfo, route: PathAttributes) -> Option<PathAttributes> {
    let mut rib = between(from, to);
    announce(&mut rib, 1, PREFIX, route);
    sent(&mut rib, 2)
}

fn outside() -> PeerInfo {
    PeerInfo {
        local_as: 65500,
        ..external(65001, "192.0.2.1")
    }
}

/// An external peer that shares no subnet with anybody.
fn elsewhere() -> PeerInfo {
    PeerInfo {
        local_as: 65500,
        shared_subnets: Vec::new(),
        local_v4: Some(v4("198.51.100.100")),
        ..external(65002, "198.51.100.2")
    }
}

fn path(text: &str) -> AsPath {
    text.parse().unwrap()
}

fn with_path(text: &str, next_hop: &str) -> PathAttributes {
    PathAttributes {
        as_path: path(text),
        ..attributes(&[], next_hop)
    }
}

fn rejection(from: PeerInfo, as_path: &str) -> Option<Rejection> {
    let mut rib = between(from, elsewhere());
    announce(&mut rib, 1, PREFIX, with_path(as_path, "10.0.0.7"));
    rib.received(PeerId(1), V4, None, 1).items[0].rejected
}

// ===== What goes out =====

#[test]
fn a_member_sees_our_member_as_and_what_an_internal_peer_sees() {
    let route = PathAttributes {
        med: Some(5),
        extended_communities: vec![ExtendedCommunity([0x40, 4, 0, 1, 0, 0, 0, 9])],
        ..with_path("65001 65010", "192.0.2.1")
    };
    let told = passed(outside(), member(65100, "10.0.0.9"), route.clone()).unwrap();
    assert_eq!(told.as_path, path("(65000) 65001 65010"));
    assert_eq!(told.local_pref, Some(100));
    assert_eq!(told.med, Some(5));
    assert_eq!(told.next_hop, Some(hop("192.0.2.1")));
    assert_eq!(told.extended_communities, route.extended_communities);
}

#[test]
fn the_members_stand_in_one_segment() {
    let route = PathAttributes {
        local_pref: Some(300),
        ..with_path("(65100) 65010", "10.0.0.7")
    };
    let told = passed(
        member(65100, "10.0.0.7"),
        member(65101, "10.0.0.9"),
        route.clone(),
    );
    let told = told.unwrap();
    assert_eq!(told.as_path, path("(65000 65100) 65010"));
    assert_eq!(told.local_pref, Some(300));
    assert_eq!(told.next_hop, Some(hop("10.0.0.7")));
    let inside = passed(member(65100, "10.0.0.7"), internal("10.0.0.9"), route).unwrap();
    assert_eq!(inside.as_path, path("(65100) 65010"));
    assert_eq!(inside.local_pref, Some(300));
    assert_eq!(inside.originator_id, None);
    assert!(inside.cluster_list.is_empty());
}

#[test]
fn outside_there_is_one_as() {
    for as_path in ["(65100) 65010", "(65100 65101) [7,8] 65010"] {
        let route = PathAttributes {
            local_pref: Some(300),
            med: Some(3),
            ..with_path(as_path, "10.0.0.7")
        };
        let told = passed(member(65100, "10.0.0.7"), elsewhere(), route).unwrap();
        assert_eq!(told.as_path, path("65500 65010"));
        assert_eq!((told.local_pref, told.med), (None, None));
        assert_eq!(told.next_hop, Some(hop("198.51.100.100")));
    }
}

#[test]
fn a_client_of_the_route_server_sees_nothing_of_the_inside() {
    let to = PeerInfo {
        route_server_client: both(),
        ..elsewhere()
    };
    let route = with_path("(65100) 65010", "10.0.0.7");
    let told = passed(member(65100, "10.0.0.7"), to, route).unwrap();
    assert_eq!(told.as_path, path("65010"));
}

#[test]
fn an_as_of_its_own_towards_a_neighbour_stands_before_the_confederation() {
    let other = PeerInfo {
        local_as: 64999,
        ..elsewhere()
    };
    let route = || with_path("(65100) 65010", "10.0.0.7");
    let told = passed(member(65100, "10.0.0.7"), other.clone(), route()).unwrap();
    assert_eq!(told.as_path, path("64999 65500 65010"));
    let replaced = PeerInfo {
        replace_as: true,
        ..other
    };
    let told = passed(member(65100, "10.0.0.7"), replaced, route()).unwrap();
    assert_eq!(told.as_path, path("64999 65010"));
}

#[test]
fn internal_routes_leave_the_member_without_their_reflections() {
    let route = PathAttributes {
        originator_id: Some(v4("9.9.9.9")),
        cluster_list: vec![v4("8.8.8.8")],
        ..with_path("65010", "10.0.0.1")
    };
    let told = passed(internal("10.0.0.1"), member(65100, "10.0.0.9"), route).unwrap();
    assert_eq!(told.originator_id, None);
    assert!(told.cluster_list.is_empty());
    assert_eq!(told.as_path, path("(65000) 65010"));
}

#[test]
fn next_hop_self_works_towards_members_and_from_them() {
    let own = |to: PeerInfo| PeerInfo {
        next_hop_self: both(),
        ..to
    };
    let route = with_path("65010", "10.0.0.1");
    let told = passed(internal("10.0.0.1"), own(member(65100, "10.0.0.9")), route).unwrap();
    assert_eq!(told.next_hop, Some(hop("10.0.0.100")));
    let route = with_path("(65100) 65010", "10.0.0.7");
    let told = passed(member(65100, "10.0.0.7"), own(internal("10.0.0.9")), route).unwrap();
    assert_eq!(told.next_hop, Some(hop("10.0.0.100")));
}

#[test]
fn no_export_stays_inside_of_the_confederation() {
    let route = |community| PathAttributes {
        communities: vec![community],
        ..with_path("65001 65010", "192.0.2.1")
    };
    let told = |to, community| passed(outside(), to, route(community)).is_some();
    assert!(told(member(65100, "10.0.0.9"), Community::NO_EXPORT));
    assert!(!told(elsewhere(), Community::NO_EXPORT));
    assert!(!told(
        member(65100, "10.0.0.9"),
        Community::NO_EXPORT_SUBCONFED
    ));
    assert!(!told(elsewhere(), Community::NO_EXPORT_SUBCONFED));
    assert!(told(internal("10.0.0.9"), Community::NO_EXPORT_SUBCONFED));
    assert!(!told(member(65100, "10.0.0.9"), Community::NO_ADVERTISE));
}

// ===== What comes in =====

#[test]
fn our_member_as_and_the_confederation_are_loops() {
    let from = || member(65100, "10.0.0.7");
    assert_eq!(rejection(from(), "(65100) 65010"), None);
    let looped = Some(Rejection::AsPathLoop);
    assert_eq!(rejection(from(), "(65100 65000) 65010"), looped);
    assert_eq!(rejection(from(), "(65100) 65010 65500"), looped);
    // A member with the confederation's number is no loop.
    assert_eq!(rejection(from(), "(65100 65500) 65010"), None);
    let mut allowed = from();
    allowed.ipv4.allow_as_in = AllowAsIn::Times(1);
    assert_eq!(rejection(allowed, "(65100) 65010 65500"), None);
}

#[test]
fn a_member_has_a_say_in_local_preference_and_none_in_reflection() {
    let mut rib = between(member(65100, "10.0.0.7"), elsewhere());
    let route = PathAttributes {
        local_pref: Some(300),
        originator_id: Some(v4("10.255.0.1")),
        cluster_list: vec![v4("10.255.0.1")],
        ..with_path("(65100) 65010", "10.0.0.7")
    };
    announce(&mut rib, 1, PREFIX, route);
    let view = rib.prefix(net(PREFIX)).unwrap();
    assert_eq!(view.paths[0].attributes.local_pref(), Some(300));
    assert_eq!(view.paths[0].attributes.cluster_len(), 0);
}

#[test]
fn a_members_next_hop_is_connected_unless_multihop() {
    for (multihop, invalid) in [(false, Some(Invalid::NotConnected)), (true, None)] {
        let from = PeerInfo {
            ebgp_multihop: multihop,
            ..member(65100, "10.0.0.7")
        };
        let mut rib = between(from, elsewhere());
        announce(&mut rib, 1, PREFIX, with_path("(65100)", "10.0.0.7"));
        rib.next_hop_changed(ip("10.0.0.7"), state(1, false));
        let view = rib.prefix(net(PREFIX)).unwrap();
        assert_eq!(view.paths[0].invalid, invalid);
    }
}
