//! Next hops that are reached by routes of BGP, without a kernel.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use proptest::prelude::*;

use super::mirror::{STATIC, UP, ip, link, mirror, route};
use crate::codec::{Notice, RouteNotice};
use crate::handle::{FibOptions, TrackKey};
use crate::route::{NextHop, Resolution, Route, RouteKind};
use crate::state::State;
use crate::tables::Tables;

/// With both links up, and nothing else.
fn state() -> State {
    let tables = Tables::new(254, false, true);
    let mut state = State::new(&FibOptions::default(), tables, 256);
    state.mirror = mirror();
    state
}

fn by(next_hops: &[&str]) -> Option<Arc<Route>> {
    let next_hops = next_hops.iter().map(|hop| NextHop::new(ip(hop)));
    Some(Arc::new(Route {
        metric: 20,
        kind: RouteKind::Unicast(next_hops.collect()),
        prefsrc: None,
        resilient: None,
    }))
}

fn apply(state: &mut State, prefix: &str, route: Option<Arc<Route>>) {
    state.apply(vec![(prefix.parse().unwrap(), route)], 0);
}

fn resolve(state: &State, address: &str) -> Option<Arc<Resolution>> {
    state.resolve(TrackKey::from(ip(address)))
}

/// The gateway, and whether a route of BGP leads there.
fn reached(state: &State, address: &str) -> Option<(IpAddr, bool)> {
    let found = resolve(state, address)?;
    Some((found.gateway?, found.through_own))
}

const NEXT_HOP: &str = "10.9.0.1";

#[test]
fn a_next_hop_is_reached_by_a_route_of_bgp_while_it_is_wanted() {
    let mut state = state();
    apply(&mut state, "10.9.0.0/16", by(&["10.0.1.9", "10.0.2.9"]));
    assert_eq!(reached(&state, NEXT_HOP), None, "nobody asked for it");
    state.track(TrackKey::from(ip(NEXT_HOP)));
    assert!(state.effects.resolution);
    let found = resolve(&state, NEXT_HOP).unwrap();
    assert!(found.through_own && !found.connected && found.otherwise.is_none());
    assert_eq!(found.via, Some("10.9.0.0/16".parse().unwrap()));
    let gateways: Vec<_> = found
        .multipath
        .iter()
        .filter_map(|hop| hop.gateway)
        .collect();
    assert_eq!(gateways, [ip("10.0.1.9"), ip("10.0.2.9")]);

    // The rest of the way follows the links.
    state.hear(Notice::clone(&link(1, 0)));
    assert_eq!(reached(&state, NEXT_HOP), Some((ip("10.0.2.9"), true)));
    state.hear(link(1, UP));

    std::mem::take(&mut state.effects);
    apply(&mut state, "10.8.0.0/16", by(&["10.0.1.9"]));
    assert!(!state.effects.resolution, "it leads to no next hop");
    apply(&mut state, "10.9.0.0/16", None);
    assert!(state.effects.resolution);
    assert_eq!(reached(&state, NEXT_HOP), None);
}

#[test]
fn nothing_resolves_through_itself() {
    let mut state = state();
    for address in [NEXT_HOP, "20.0.0.1"] {
        state.track(TrackKey::from(ip(address)));
    }
    apply(&mut state, "10.9.0.0/16", by(&[NEXT_HOP]));
    assert_eq!(reached(&state, NEXT_HOP), None);
    // What leads there is not for its own next hops, whatever others it has.
    let fixed = route("10.0.0.0/8", 5, STATIC, &["10.0.2.7@2"]);
    state.hear(Notice::Route(fixed.clone()));
    apply(&mut state, "10.9.0.0/16", by(&[NEXT_HOP, "10.0.1.9"]));
    assert_eq!(reached(&state, NEXT_HOP), Some((ip("10.0.2.7"), false)));
    state.hear(Notice::Route(RouteNotice {
        gone: true,
        ..fixed
    }));
    apply(&mut state, "10.9.0.0/16", by(&["20.0.0.1"]));
    apply(&mut state, "20.0.0.0/8", by(&[NEXT_HOP]));
    assert_eq!(reached(&state, NEXT_HOP), None);
    assert_eq!(reached(&state, "20.0.0.1"), None);
}

#[test]
fn the_kernel_s_choice_of_routes_is_respected() {
    let mut state = state();
    state.track(TrackKey::from(ip(NEXT_HOP)));
    apply(&mut state, "10.9.0.0/16", by(&["10.0.1.9"]));
    let fixed =
        |prefix: &str, metric| Notice::Route(route(prefix, metric, STATIC, &["10.0.2.7@2"]));
    // A shorter prefix is what is left without routes of BGP.
    state.hear(fixed("10.0.0.0/8", 5));
    assert_eq!(reached(&state, NEXT_HOP), Some((ip("10.0.1.9"), true)));
    let otherwise = resolve(&state, NEXT_HOP)
        .unwrap()
        .otherwise
        .clone()
        .unwrap();
    assert_eq!(
        (otherwise.gateway, otherwise.metric),
        (Some(ip("10.0.2.7")), 5)
    );
    // Of one prefix the lower metric counts, and ours is not there beside an equal one.
    state.hear(fixed("10.9.0.0/16", 30));
    assert_eq!(reached(&state, NEXT_HOP), Some((ip("10.0.1.9"), true)));
    state.hear(fixed("10.9.0.0/16", 20));
    assert_eq!(reached(&state, NEXT_HOP), Some((ip("10.0.2.7"), false)));
    // And a longer prefix before all.
    apply(&mut state, "10.9.0.0/24", by(&["10.0.1.9"]));
    assert_eq!(reached(&state, NEXT_HOP), Some((ip("10.0.1.9"), true)));
    let drop = Route {
        metric: 20,
        kind: RouteKind::Blackhole,
        prefsrc: None,
        resilient: None,
    };
    // What an aggregate of ours drops is nothing that a contributor takes.
    apply(&mut state, "10.9.0.0/25", Some(Arc::new(drop)));
    assert_eq!(reached(&state, NEXT_HOP), Some((ip("10.0.1.9"), true)));
}

#[test]
fn a_default_route_of_bgp_counts_where_default_routes_do() {
    let mut state = state();
    state.track(TrackKey::from(ip(NEXT_HOP)));
    apply(&mut state, "0.0.0.0/0", by(&["10.0.1.9"]));
    assert_eq!(reached(&state, NEXT_HOP), None);
    state.via_default.v4 = true;
    assert_eq!(reached(&state, NEXT_HOP), Some((ip("10.0.1.9"), true)));
}

/// Prefixes inside of each other and beside, and addresses in them.
fn prefix() -> impl Strategy<Value = IpNet> {
    let lengths = prop::sample::select(vec![8u8, 12, 16, 24, 32]);
    (address(), lengths).prop_map(|(address, length)| IpNet::new(address, length).unwrap().trunc())
}

fn address() -> impl Strategy<Value = IpAddr> {
    let far = (0..2u8, 0..2u8).prop_map(|(a, b)| IpAddr::from([10, 16 * a + 1, b, 1]));
    let near = (1..3u8, 7..9u8).prop_map(|(n, host)| IpAddr::from([10, 0, n, host]));
    prop_oneof![2 => far, 1 => near]
}

/// What the rules say, told one by one.
fn naive(fixed: &[IpNet], own: &[(IpNet, IpAddr)], address: IpAddr) -> Option<IpAddr> {
    let plain = |address: IpAddr| {
        let subnet = |n: u8| IpNet::new(IpAddr::from([10, 0, n, 0]), 24).unwrap();
        let connected = (1..3).map(subnet).find(|subnet| subnet.contains(&address));
        let fixed = fixed.iter().filter(|prefix| prefix.contains(&address));
        let fixed = fixed.map(|prefix| prefix.prefix_len()).max();
        match (connected, fixed) {
            (Some(_), fixed) if fixed <= Some(24) => Some((24, address)),
            (_, Some(length)) => Some((length, ip("10.0.2.7"))),
            _ => None,
        }
    };
    let found = plain(address);
    let mut own: Vec<_> = own
        .iter()
        .filter(|(prefix, _)| prefix.contains(&address))
        .collect();
    own.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.prefix_len()));
    for (prefix, next_hop) in own {
        if found.is_some_and(|(length, _)| length >= prefix.prefix_len()) {
            break;
        }
        if *next_hop != address
            && let Some((_, gateway)) = plain(*next_hop)
        {
            return Some(gateway);
        }
    }
    found.map(|(_, gateway)| gateway)
}

proptest! {
    #[test]
    fn each_next_hop_is_reached_as_the_rules_say(
        fixed in prop::collection::btree_set(prefix(), 0..4),
        steps in prop::collection::vec((prefix(), address(), any::<bool>()), 0..12),
        asked in prop::collection::btree_set(address(), 1..6),
        late in any::<bool>(),
    ) {
        let mut state = state();
        let fixed: Vec<IpNet> = fixed.into_iter().collect();
        for prefix in &fixed {
            // Of a subnet the kernel has its own route, which is better.
            let notice = route(&prefix.to_string(), 5, STATIC, &["10.0.2.7@2"]);
            state.hear(Notice::Route(notice));
        }
        let track = |state: &mut State| asked.iter().for_each(|a| state.track(TrackKey::from(*a)));
        if !late {
            track(&mut state);
        }
        let mut own = std::collections::BTreeMap::new();
        for (prefix, next_hop, wanted) in steps {
            let wanted = wanted.then(|| by(&[&next_hop.to_string()])).flatten();
            match &wanted {
                Some(_) => drop(own.insert(prefix, next_hop)),
                None => drop(own.remove(&prefix)),
            }
            apply(&mut state, &prefix.to_string(), wanted);
        }
        if late {
            track(&mut state);
        }
        let own: Vec<(IpNet, IpAddr)> = own.into_iter().collect();
        for address in &asked {
            let found = state.resolve(TrackKey::from(*address));
            let gateway = found.map(|found| found.gateway.unwrap_or(*address));
            prop_assert_eq!(gateway, naive(&fixed, &own, *address), "{}", address);
        }
        asked.iter().for_each(|address| state.untrack(TrackKey::from(*address)));
    }
}
