//! Which static routes work, without a kernel.

use std::collections::BTreeMap;

use ipnet::IpNet;
use proptest::prelude::*;

use super::mirror::{KERNEL, STATIC, UP, address, ip, link, mirror, route, tell, tell_route};
use crate::handle::ViaDefault;
use crate::kernel::Mirror;
use crate::redistribute::Offers;
use crate::route::{KernelKind, KernelRoute};
use crate::statics::{StaticHop, StaticKind, StaticRoute, Statics, Surroundings};

const MAIN: u32 = 254;

fn around(mirror: &Mirror, via_default: bool) -> Surroundings<'_> {
    Surroundings {
        mirror: Some(mirror),
        resolve_table: MAIN,
        via_default: ViaDefault {
            v4: via_default,
            v6: via_default,
        },
    }
}

fn via(prefix: &str, metric: u32, gateways: &[&str]) -> StaticRoute {
    let hop = |gateway: &&str| StaticHop {
        gateway: Some(ip(gateway)),
        interface: None,
        onlink: false,
    };
    StaticRoute {
        table: None,
        prefix: prefix.parse().unwrap(),
        metric,
        kind: StaticKind::Via(gateways.iter().map(hop).collect()),
    }
}

fn resolved(routes: Vec<StaticRoute>, mirror: &Mirror, via_default: bool) -> Vec<String> {
    let mut statics = Statics::default();
    assert_eq!(statics.set(routes, MAIN), []);
    let changes = statics.resolve(around(mirror, via_default));
    let routes = statics.routes(MAIN);
    assert_eq!(changes.len(), routes.len());
    assert_eq!(statics.resolve(around(mirror, via_default)), []);
    routes.iter().map(|(p, route)| text(*p, route)).collect()
}

fn text(prefix: IpNet, route: &KernelRoute) -> String {
    let hops = route.hops().iter().map(|hop| {
        let gateway = hop.gateway.map(|g| g.to_string());
        format!("{}@{}", gateway.unwrap_or_default(), hop.ifindex)
    });
    let hops: Vec<String> = hops.collect();
    let to = match &route.kind {
        KernelKind::Unicast(_) => hops.join(","),
        kind => format!("{kind:?}"),
    };
    format!("{prefix} {} {to}", route.metric)
}

#[test]
fn the_lowest_metric_that_works_is_used() {
    let mirror = mirror();
    let routes = || {
        vec![
            via("192.0.2.0/24", 9, &["10.0.2.9"]),
            via("192.0.2.0/24", 1, &["10.77.0.1"]),
            via("192.0.2.0/24", 200, &["10.0.1.9"]),
        ]
    };
    let used = ["192.0.2.0/24 9 10.0.2.9@2"];
    assert_eq!(resolved(routes(), &mirror, false), used);
}

#[test]
fn a_default_route_counts_where_that_is_said() {
    let mut mirror = mirror();
    tell_route(&mut mirror, route("0.0.0.0/0", 0, KERNEL, &["10.0.1.9@1"]));
    let routes = || {
        vec![
            via("192.0.2.0/24", 1, &["172.16.0.1"]),
            // Not even then by itself.
            via("0.0.0.0/0", 5, &["172.16.0.1"]),
        ]
    };
    assert_eq!(resolved(routes(), &mirror, false), Vec::<String>::new());
    let used = ["192.0.2.0/24 1 10.0.1.9@1"];
    assert_eq!(resolved(routes(), &mirror, true), used);
}

#[test]
fn a_route_of_others_with_the_same_metric_is_the_one_in_the_kernel() {
    let mut mirror = mirror();
    tell_route(
        &mut mirror,
        route("10.50.0.0/16", 4, STATIC, &["10.0.1.9@1"]),
    );
    for (metric, gateway) in [(3, "10.0.2.9@2"), (4, "10.0.1.9@1"), (5, "10.0.1.9@1")] {
        let routes = vec![
            via("10.50.0.0/16", metric, &["10.0.2.9"]),
            via("192.0.2.0/24", 1, &["10.50.0.1"]),
        ];
        let found = resolved(routes, &mirror, false);
        let wanted = format!("192.0.2.0/24 1 {gateway}");
        assert!(found.contains(&wanted), "{metric}: {found:?}");
    }
}

#[test]
fn without_a_kernel_all_works() {
    let mut statics = Statics::default();
    statics.set(vec![via("192.0.2.0/24", 1, &["10.77.0.1"])], MAIN);
    let nothing = Surroundings {
        mirror: None,
        resolve_table: MAIN,
        via_default: ViaDefault::default(),
    };
    assert_eq!(statics.resolve(nothing).len(), 1);
}

/// Static routes and routes of others that meet often, in circles as well.
fn tangle() -> impl Strategy<Value = (Vec<StaticRoute>, Vec<(String, u32, String)>)> {
    let octet = || prop::sample::select(vec![50_u8, 51, 52, 53]);
    let prefix = (octet(), prop::sample::select(vec![14_u8, 15, 16, 24]));
    let prefix = prefix.prop_map(|(octet, length)| {
        let prefix: IpNet = format!("10.{octet}.0.0/{length}").parse().unwrap();
        prefix.trunc().to_string()
    });
    let inside = octet().prop_map(|octet| format!("10.{octet}.0.1"));
    let outside = prop::sample::select(vec!["10.0.1.9", "10.0.2.9", "172.16.0.1"]);
    let gateway = prop_oneof![3 => inside, 1 => outside.prop_map(str::to_owned)];
    let gateways = prop::collection::vec(gateway, 0..3);
    let one = (prefix, 1_u32..4, gateways);
    let statics = prop::collection::vec(one, 1..8).prop_map(|routes| {
        let routes = routes.iter().map(|(prefix, metric, gateways)| {
            let gateways: Vec<&str> = gateways.iter().map(String::as_str).collect();
            match gateways.as_slice() {
                [] => StaticRoute {
                    kind: StaticKind::Blackhole,
                    ..via(prefix, *metric, &[])
                },
                gateways => via(prefix, *metric, gateways),
            }
        });
        routes.collect()
    });
    let other = (
        octet().prop_map(|octet| format!("10.{octet}.0.0/16")),
        0_u32..4,
        prop::sample::select(vec!["10.0.1.9@1".to_owned(), "10.0.2.9@2".to_owned()]),
    );
    (statics, prop::collection::vec(other, 0..3))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn rounds_come_to_an_end_and_nothing_holds_itself_up(
        (routes, others) in tangle(),
        via_default in any::<bool>(),
    ) {
        let mut mirror = mirror();
        for (prefix, metric, hop) in &others {
            tell_route(&mut mirror, route(prefix, *metric, STATIC, &[hop]));
        }
        let mut statics = Statics::default();
        statics.set(routes, MAIN);
        tell(&mut mirror, link(1, 0));
        statics.resolve(around(&mirror, via_default));
        tell(&mut mirror, link(1, UP));
        tell_route(&mut mirror, route("10.0.1.0/24", 0, KERNEL, &["@1"]));
        for (prefix, metric, hop) in &others {
            tell_route(&mut mirror, route(prefix, *metric, STATIC, &[hop]));
        }
        statics.resolve(around(&mirror, via_default));
        let found = statics.routes(MAIN);
        let next = statics.next_round(MAIN, around(&mirror, via_default));
        for (prefix, route) in &found {
            prop_assert_eq!(Some(route), next.get(prefix));
        }
        // What was there before has no say.
        let mut again = Statics::default();
        again.set(statics.wanted(), MAIN);
        again.resolve(around(&mirror, via_default));
        prop_assert_eq!(again.routes(MAIN), found);
        // With the links down nothing is left but what needs none.
        tell(&mut mirror, link(1, 0));
        tell(&mut mirror, link(2, 0));
        statics.resolve(around(&mirror, via_default));
        let left = statics.routes(MAIN);
        prop_assert!(left.values().all(|route| route.hops().is_empty()), "{:?}", left);
    }

    #[test]
    fn one_prefix_is_offered_as_all_of_them_are((_, others) in tangle()) {
        let mut mirror = mirror();
        tell(&mut mirror, address(2, "10.51.0.1/16", false));
        for (prefix, metric, hop) in &others {
            for protocol in [STATIC, KERNEL, 3] {
                tell_route(&mut mirror, route(prefix, *metric + 1, protocol, &[hop]));
            }
        }
        let all = mirror.redistributable();
        let mut by_prefix: BTreeMap<IpNet, Offers> = BTreeMap::new();
        for (key, offer) in &all {
            by_prefix.entry(key.0).or_default().insert(*key, *offer);
        }
        let absent: IpNet = "203.0.113.0/24".parse().unwrap();
        prop_assert_eq!(mirror.redistributable_at(absent), Offers::new());
        for (prefix, offers) in by_prefix {
            prop_assert_eq!(mirror.redistributable_at(prefix), offers);
        }
    }
}
