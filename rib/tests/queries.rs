//! Answers to queries: order, pieces, and what is in them.

mod common;

use common::*;
use holdfast_rib::{LocalRoute, LocalSource, Page, PeerId, Rib};
use ipnet::IpNet;

/// A table with prefixes of two peers, added in no order.
fn rib() -> Rib {
    let mut rib = Rib::new(config());
    rib.peer_up(PeerId(1), external(65001, "192.0.2.1"), accept());
    rib.peer_up(PeerId(2), external(65002, "192.0.2.2"), accept());
    for prefix in [
        "203.0.113.0/24",
        "10.0.0.0/8",
        "203.0.113.128/25",
        "10.1.0.0/16",
        "0.0.0.0/0",
        "10.1.2.0/24",
    ] {
        announce(&mut rib, 1, prefix, attributes(&[65001], "192.0.2.1"));
    }
    let route = attributes(&[65002], "192.0.2.2");
    announce(&mut rib, 2, "10.1.0.0/16", route);
    rib
}

fn all<T>(mut page: impl FnMut(Option<IpNet>) -> Page<T>) -> Vec<T> {
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let next = page(after);
        items.extend(next.items);
        after = next.next;
        if after.is_none() {
            return items;
        }
    }
}

#[test]
fn the_table_comes_in_order_whatever_the_size_of_the_pieces() {
    let rib = rib();
    for limit in 1..8 {
        let shown: Vec<String> = all(|after| rib.table(V4, after, limit))
            .iter()
            .map(|view| view.prefix.to_string())
            .collect();
        let expected = [
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.0/24",
            "203.0.113.0/24",
            "203.0.113.128/25",
        ];
        assert_eq!(shown, expected);
    }
}

#[test]
fn a_piece_goes_on_after_a_prefix_that_is_gone() {
    let mut rib = rib();
    let first = rib.table(V4, None, 2);
    assert_eq!(first.next, Some(net("10.0.0.0/8")));
    withdraw(&mut rib, 1, "10.0.0.0/8");
    let rest = rib.table(V4, first.next, 1);
    assert_eq!(rest.items[0].prefix, net("10.1.0.0/16"));
}

#[test]
fn longer_prefixes_are_those_inside() {
    let rib = rib();
    for limit in 1..4 {
        let shown: Vec<IpNet> = all(|after| rib.longer(net("10.1.0.0/16"), after, limit))
            .iter()
            .map(|view| view.prefix)
            .collect();
        assert_eq!(shown, [net("10.1.0.0/16"), net("10.1.2.0/24")]);
    }
    assert!(rib.longer(net("11.0.0.0/8"), None, 10).items.is_empty());
    assert!(rib.longer(net("2001:db8::/32"), None, 10).items.is_empty());
}

#[test]
fn the_longest_match_is_the_most_specific_prefix_with_a_path() {
    let rib = rib();
    for (addr, prefix) in [
        ("10.1.2.3", "10.1.2.0/24"),
        ("10.1.3.3", "10.1.0.0/16"),
        ("203.0.113.1", "203.0.113.0/24"),
        ("8.8.8.8", "0.0.0.0/0"),
    ] {
        assert_eq!(rib.longest_match(ip(addr)).unwrap().prefix, net(prefix));
    }
    assert_eq!(rib.longest_match(ip("2001:db8::1")), None);
}

#[test]
fn a_peers_accepted_routes_are_its_paths_alone() {
    let rib = rib();
    let routes = all(|after| rib.accepted(PeerId(2), V4, after, 1));
    assert_eq!(routes.len(), 1);
    assert_eq!(routes[0].prefix, net("10.1.0.0/16"));
    assert_eq!(routes[0].paths.len(), 1);
    assert!(!routes[0].paths[0].best);
    let received = all(|after| rib.received(PeerId(1), V4, after, 4));
    assert_eq!(received.len(), 6);
}

#[test]
fn few_matches_in_a_large_table_come_in_bounded_steps() {
    let mut rib = rib();
    for i in 0..200u32 {
        let prefix = net(&format!("172.16.{i}.0/24"));
        rib.originate(prefix, LocalRoute::new(LocalSource::Static, None, 0), 0);
    }
    let first = rib.accepted(PeerId(2), V4, None, 2);
    assert_eq!(first.items.len(), 1);
    assert!(first.next.is_some());
    let routes = all(|after| rib.accepted(PeerId(2), V4, after, 2));
    assert_eq!(routes.len(), 1);
}

#[test]
fn what_was_advertised_can_be_asked_from_both_sides() {
    let mut rib = rib();
    assert!(rib.advertised(PeerId(2), V4, None, 10).items.is_empty());
    drain(&mut rib, 1);
    drain(&mut rib, 2);
    let routes = all(|after| rib.advertised(PeerId(2), V4, after, 2));
    assert_eq!(routes.len(), 6);
    assert_eq!(routes[0].next_hop(), Some(hop("192.0.2.1")));
    assert_eq!(rib.advertised_to(net("10.1.0.0/16")), [PeerId(2)]);
    assert!(rib.advertised_to(net("10.9.0.0/16")).is_empty());
    assert_eq!(rib.counters(PeerId(2), V4).sent, 6);
}

#[test]
fn versions_grow_with_each_change_of_a_best_path() {
    let mut rib = rib();
    let before = rib.summary(V4);
    assert_eq!((before.prefixes, before.paths), (6, 7));
    let version = |rib: &Rib, prefix| rib.prefix(net(prefix)).unwrap().version;
    let other = version(&rib, "10.0.0.0/8");
    withdraw(&mut rib, 1, "10.1.0.0/16");
    assert_eq!(rib.summary(V4).version, before.version + 1);
    assert_eq!(version(&rib, "10.1.0.0/16"), before.version + 1);
    assert_eq!(version(&rib, "10.0.0.0/8"), other);
}

#[test]
fn unknown_peers_and_prefixes_have_empty_answers() {
    let rib = rib();
    assert_eq!(rib.prefix(net("198.51.100.0/24")), None);
    assert_eq!(rib.counters(PeerId(99), V4), Default::default());
    assert!(rib.received(PeerId(99), V4, None, 5).items.is_empty());
    assert!(rib.advertised(PeerId(99), V4, None, 5).items.is_empty());
    assert!(!rib.pending(PeerId(99)));
    assert_eq!(rib.peers().count(), 2);
}
