//! Which prefixes are reported to those who watch the table.

mod common;

use common::*;
use holdfast_rib::{LocalRoute, LocalSource, MaxPaths, PeerId, Rib, RibConfig, Watcher};
use ipnet::IpNet;

const ONE: &str = "198.51.100.0/24";
const TWO: &str = "203.0.113.0/24";
const SIX: &str = "2001:db8:1::/48";

fn rib() -> Rib {
    let mut rib = Rib::new(RibConfig {
        max_paths_v4: MaxPaths {
            ebgp: 4,
            ibgp: 4,
            ..MaxPaths::default()
        },
        ..config()
    });
    for number in [1, 2, 3] {
        let address = format!("192.0.2.{number}");
        rib.peer_up(PeerId(number), external(65001, &address), accept());
    }
    rib
}

fn put(rib: &mut Rib, peer: u32, prefix: &str, path: &[u32]) {
    let hop = format!("192.0.2.{peer}");
    announce(rib, peer, prefix, attributes(path, &hop));
    resolve(rib);
}

fn taken(rib: &mut Rib) -> Vec<IpNet> {
    rib.take_watched(Watcher::Onlooker, usize::MAX)
}

#[test]
fn nothing_is_noted_while_nobody_watches() {
    let mut rib = rib();
    put(&mut rib, 1, ONE, &[65001]);
    assert!(taken(&mut rib).is_empty());
    rib.set_watching(Watcher::Onlooker, true);
    assert!(taken(&mut rib).is_empty(), "from now on, not from before");
    put(&mut rib, 1, TWO, &[65001]);
    rib.set_watching(Watcher::Onlooker, false);
    assert!(taken(&mut rib).is_empty());
    rib.set_watching(Watcher::Onlooker, true);
    assert!(
        taken(&mut rib).is_empty(),
        "what was not taken is forgotten"
    );
}

#[test]
fn a_prefix_that_changed_often_is_reported_once() {
    let mut rib = rib();
    rib.set_watching(Watcher::Onlooker, true);
    put(&mut rib, 1, ONE, &[65001, 65002]);
    put(&mut rib, 1, ONE, &[65001, 65003]);
    put(&mut rib, 2, ONE, &[65001]);
    assert_eq!(taken(&mut rib), [net(ONE)]);
    assert!(taken(&mut rib).is_empty());
}

#[test]
fn a_path_that_is_not_used_is_no_change() {
    let mut rib = rib();
    put(&mut rib, 1, ONE, &[65001]);
    rib.set_watching(Watcher::Onlooker, true);
    put(&mut rib, 2, ONE, &[65001, 65002]);
    withdraw(&mut rib, 2, ONE);
    assert!(taken(&mut rib).is_empty());
}

#[test]
fn a_member_of_the_multipath_set_is_a_change() {
    let mut rib = rib();
    put(&mut rib, 1, ONE, &[65001]);
    rib.set_watching(Watcher::Onlooker, true);
    put(&mut rib, 2, ONE, &[65001]);
    assert_eq!(taken(&mut rib), [net(ONE)], "one more");
    put(&mut rib, 3, ONE, &[65001]);
    assert_eq!(taken(&mut rib), [net(ONE)], "and one more");
    let hop = attributes(&[65001], "192.0.2.99");
    announce(&mut rib, 3, ONE, hop);
    resolve(&mut rib);
    assert_eq!(taken(&mut rib), [net(ONE)], "by another next hop");
    withdraw(&mut rib, 2, ONE);
    assert_eq!(taken(&mut rib), [net(ONE)], "one less");
    withdraw(&mut rib, 3, ONE);
    assert_eq!(taken(&mut rib), [net(ONE)], "and alone again");
}

#[test]
fn a_prefix_that_is_gone_is_reported_as_itself() {
    let mut rib = rib();
    put(&mut rib, 1, ONE, &[65001]);
    drain(&mut rib, 2);
    drain(&mut rib, 3);
    fib(&mut rib);
    rib.set_watching(Watcher::Onlooker, true);
    withdraw(&mut rib, 1, ONE);
    drain(&mut rib, 2);
    drain(&mut rib, 3);
    fib(&mut rib);
    // A new prefix would get the slot, were it free.
    put(&mut rib, 1, TWO, &[65001]);
    assert_eq!(taken(&mut rib), [net(ONE), net(TWO)]);
    assert!(rib.prefix(net(ONE)).is_none());
}

#[test]
fn both_families_and_our_own_routes_within_the_budget() {
    let mut rib = rib();
    rib.set_watching(Watcher::Onlooker, true);
    for prefix in [ONE, TWO, SIX] {
        let route = LocalRoute::new(LocalSource::Network, None, 0);
        rib.originate(net(prefix), route, 0);
    }
    assert_eq!(rib.take_watched(Watcher::Onlooker, 2), [net(ONE), net(TWO)]);
    assert_eq!(rib.take_watched(Watcher::Onlooker, 2), [net(SIX)]);
    rib.withdraw_local(net(SIX), LocalSource::Network);
    assert_eq!(rib.take_watched(Watcher::Onlooker, 2), [net(SIX)]);
}
