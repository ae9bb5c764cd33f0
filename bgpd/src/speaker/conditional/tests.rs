//! What is remembered of the prefixes that fulfil a condition.

use std::net::Ipv4Addr;

use holdfast_policy::Compiler;
use holdfast_policy::model::{PolicyConfig, RouteMap, RouteMapEntry};
use holdfast_rib::{LocalRoute, LocalSource, RibConfig};

use super::*;

fn net(number: usize) -> IpNet {
    let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
    format!("100.{high}.{low}.0/24").parse().unwrap()
}

/// A condition that every path fulfils, of a table that is empty.
fn any() -> (Rib, Conditions) {
    let map = RouteMap::new().entry(10, RouteMapEntry::permit());
    let config = PolicyConfig::default().with_route_map("ANY", map);
    let policies = Compiler::new(&config).compile().unwrap();
    let condition = Condition {
        map: Arc::clone(policies.route_map("ANY").unwrap()),
        witnesses: BTreeSet::new(),
        more: false,
        holds: None,
    };
    let mut conditions = Conditions::default();
    let key = (Family::Ipv4Unicast, "ANY".to_owned());
    conditions.known.insert(key, condition);
    let mut rib = Rib::new(RibConfig::new(65001, Ipv4Addr::new(10, 0, 0, 1)));
    rib.set_watching(Watcher::Paths, true);
    (rib, conditions)
}

fn put(rib: &mut Rib, number: usize) {
    let route = LocalRoute::new(LocalSource::Network, None, 0);
    rib.originate(net(number), route, 0);
}

/// Looks at all that changed; how many rounds it took.
fn settle(rib: &mut Rib, conditions: &mut Conditions) -> usize {
    let mut rounds = 1;
    loop {
        for prefix in rib.take_watched(Watcher::Paths, usize::MAX) {
            conditions.look(rib, prefix);
        }
        if !conditions.conclude() {
            return rounds;
        }
        rib.watch_all(Watcher::Paths);
        rounds += 1;
    }
}

#[test]
fn an_empty_table_fulfils_nothing() {
    let (mut rib, mut conditions) = any();
    assert_eq!(conditions.state(), [None]);
    assert_eq!(settle(&mut rib, &mut conditions), 1);
    assert_eq!(conditions.state(), [Some(false)]);
    put(&mut rib, 1);
    settle(&mut rib, &mut conditions);
    assert_eq!(conditions.state(), [Some(true)]);
    rib.withdraw_local(net(1), LocalSource::Network);
    settle(&mut rib, &mut conditions);
    assert_eq!(conditions.state(), [Some(false)]);
}

/// However many prefixes fulfil a condition, few are remembered; when those are
/// gone others are found.
#[test]
fn what_is_not_remembered_is_found_again() {
    let (mut rib, mut conditions) = any();
    let all = 3 * WITNESSES_MAX;
    for number in 0..all {
        put(&mut rib, number);
    }
    settle(&mut rib, &mut conditions);
    let remembered: Vec<IpNet> = {
        let condition = conditions.known.values().next().unwrap();
        condition.witnesses.iter().copied().collect()
    };
    assert_eq!(remembered.len(), WITNESSES_MAX);
    for prefix in remembered {
        rib.withdraw_local(prefix, LocalSource::Network);
    }
    assert_eq!(settle(&mut rib, &mut conditions), 2, "it looked again");
    assert_eq!(conditions.state(), [Some(true)]);
    for number in 0..all {
        rib.withdraw_local(net(number), LocalSource::Network);
    }
    settle(&mut rib, &mut conditions);
    assert_eq!(conditions.state(), [Some(false)]);
}
