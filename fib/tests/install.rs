//! Routes into a real kernel and out again, judged by what `ip route` says.

mod support;

use std::sync::Arc;
use std::time::Instant;

use holdfast_fib::{
    Errno, Event, Family, NextHop, OnShutdown, Route, RouteError, RouteKind, Stale,
};
use support::{Net, drops, event, eventually, gateways, ip, net, set, unset, via};

#[tokio::test]
async fn installs_replaces_and_withdraws_in_both_families() {
    let Some(ns) = Net::with_links("basic", 3) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    for (prefix, three, two, one) in [
        (
            "192.0.2.0/24",
            ["10.0.1.2", "10.0.2.2", "10.0.3.2"],
            ["10.0.1.2", "10.0.3.2"],
            "10.0.2.2",
        ),
        (
            "2001:db8::/48",
            ["fd00:1::2", "fd00:2::2", "fd00:3::2"],
            ["fd00:1::2", "fd00:3::2"],
            "fd00:2::2",
        ),
    ] {
        for hops in [&three[..], &two[..], &[one][..], &three[..], &two[..]] {
            fib.apply(set(&[(prefix, &via(hops))])).await.unwrap();
            fib.settled().await.unwrap();
            let routes = ns.ours(prefix);
            assert_eq!(routes.len(), 1, "{routes:?}");
            assert_eq!(gateways(&routes[0]), hops);
            assert_eq!(routes[0]["metric"], 20);
        }
        fib.apply(unset(&[prefix])).await.unwrap();
        fib.settled().await.unwrap();
        assert!(ns.ours(prefix).is_empty());
    }
}

#[tokio::test]
async fn the_subnet_of_a_link_stays_with_the_kernel() {
    let Some(ns) = Net::with_links("subnet", 2) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let (subnet, route) = ("fd00:1::/64", via(&["fd00:2::2"]));
    fib.apply(set(&[(subnet, &route)])).await.unwrap();
    fib.settled().await.unwrap();
    assert!(ns.ours(subnet).is_empty(), "it would outdo the link itself");
    ns.ip("addr del fd00:1::1/64 dev e1");
    eventually("the route is in", || ns.ours(subnet).len() == 1).await;
    ns.ip("addr add fd00:1::1/64 dev e1 nodad");
    eventually("the link has its subnet back", || {
        ns.ours(subnet).is_empty()
    })
    .await;
}

#[tokio::test]
async fn keeps_weights_and_source_address() {
    let Some(ns) = Net::with_links("weights", 2) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let heavy = NextHop {
        weight: 5,
        ..NextHop::new(ip("10.0.2.2"))
    };
    let route = Arc::new(Route {
        metric: 200,
        kind: RouteKind::Unicast(vec![NextHop::new(ip("10.0.1.2")), heavy]),
        prefsrc: Some(ip("10.0.1.1")),
        resilient: None,
    });
    fib.apply(set(&[("192.0.2.0/24", &route)])).await.unwrap();
    fib.settled().await.unwrap();
    let found = &ns.ours("192.0.2.0/24")[0];
    assert_eq!(
        (&found["metric"], &found["prefsrc"]),
        (&200.into(), &"10.0.1.1".into())
    );
    let hops = found["nexthops"].as_array().unwrap();
    let weight = |g: &str| hops.iter().find(|h| h["gateway"] == g).unwrap()["weight"].clone();
    assert_eq!(
        (weight("10.0.1.2"), weight("10.0.2.2")),
        (1.into(), 5.into())
    );
}

#[tokio::test]
async fn a_new_metric_replaces_the_old_route() {
    let Some(ns) = Net::with_links("metric", 1) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    for prefix in ["192.0.2.0/24", "2001:db8::/48"] {
        let gateway = if prefix.contains(':') {
            "fd00:1::2"
        } else {
            "10.0.1.2"
        };
        for metric in [20, 200, 20] {
            let mut route = (*via(&[gateway])).clone();
            route.metric = metric;
            fib.apply(set(&[(prefix, &Arc::new(route))])).await.unwrap();
            fib.settled().await.unwrap();
            let routes = ns.ours(prefix);
            assert_eq!(routes.len(), 1, "{routes:?}");
            assert_eq!(routes[0]["metric"], metric);
        }
    }
}

#[tokio::test]
async fn ipv4_through_ipv6_routers() {
    let Some(ns) = Net::with_links("via", 2) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let local = NextHop::on_interface(ip("fe80::99"), ns.ifindex("e2"));
    let mixed = Arc::new(Route {
        metric: 20,
        kind: RouteKind::Unicast(vec![NextHop::new(ip("fd00:1::2")), local]),
        prefsrc: None,
        resilient: None,
    });
    let single = Arc::new(Route {
        kind: RouteKind::Unicast(vec![local]),
        ..(*mixed).clone()
    });
    let v6 = Arc::new(Route {
        kind: RouteKind::Unicast(vec![local]),
        ..(*mixed).clone()
    });
    fib.apply(set(&[
        ("192.0.2.0/24", &mixed),
        ("198.51.100.0/24", &single),
        ("2001:db8::/48", &v6),
    ]))
    .await
    .unwrap();
    fib.settled().await.unwrap();
    assert_eq!(
        gateways(&ns.ours("192.0.2.0/24")[0]),
        ["fd00:1::2", "fe80::99"]
    );
    let single = &ns.ours("198.51.100.0/24")[0];
    assert_eq!(
        (&single["dev"], &single["via"]["host"]),
        (&"e2".into(), &"fe80::99".into())
    );
    let v6 = &ns.ours("2001:db8::/48")[0];
    assert_eq!(
        (&v6["dev"], &v6["gateway"]),
        (&"e2".into(), &"fe80::99".into())
    );
}

#[tokio::test]
async fn discards_and_turns_into_unicast_and_back() {
    let Some(ns) = Net::with_links("discard", 2) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    for (prefix, hops) in [
        ("192.0.2.0/24", ["10.0.1.2", "10.0.2.2"]),
        ("2001:db8::/48", ["fd00:1::2", "fd00:2::2"]),
    ] {
        for (kind, name) in [
            (RouteKind::Blackhole, "blackhole"),
            (RouteKind::Unreachable, "unreachable"),
            (RouteKind::Prohibit, "prohibit"),
        ] {
            for (route, name) in [(drops(kind.clone()), Some(name)), (via(&hops), None)] {
                fib.apply(set(&[(prefix, &route)])).await.unwrap();
                fib.settled().await.unwrap();
                let routes = ns.ours(prefix);
                assert_eq!(routes.len(), 1, "{routes:?}");
                assert_eq!(routes[0]["type"].as_str(), name);
            }
        }
    }
}

#[tokio::test]
async fn foreign_routes_are_left_alone() {
    let Some(ns) = Net::with_links("foreign", 2) else {
        return;
    };
    let prefixes = ["192.0.2.0/24", "198.51.100.0/24", "2001:db8::/48"];
    ns.ip("route add 192.0.2.0/24 via 10.0.2.9 proto static metric 20");
    ns.ip("-6 route add 2001:db8::/48 via fd00:2::9 proto static metric 20");
    ns.ip("route add 198.51.100.0/24 via 10.0.2.9 proto static");
    let (fib, mut events) = ns.fib().await;
    let (v4, v6) = (via(&["10.0.1.2"]), via(&["fd00:1::2"]));
    let all = [(prefixes[0], &v4), (prefixes[1], &v4), (prefixes[2], &v6)];
    fib.apply(set(&all)).await.unwrap();
    let mut refused = Vec::new();
    while refused.len() < 2 {
        refused.push(
            event("two conflicts", &mut events, |e| match e {
                Event::RouteFailed {
                    prefix,
                    error: RouteError::Foreign,
                    ..
                } => Some(prefix),
                _ => None,
            })
            .await,
        );
    }
    assert_eq!(refused, [net(prefixes[0]), net(prefixes[2])]);
    fib.settled().await.unwrap();
    assert!(ns.ours(prefixes[0]).is_empty() && ns.ours(prefixes[2]).is_empty());
    assert_eq!(
        ns.ours(prefixes[1]).len(),
        1,
        "another metric is no conflict"
    );
    // When the other one goes, ours comes in.
    ns.ip("route del 192.0.2.0/24 proto static");
    ns.ip("-6 route del 2001:db8::/48 proto static");
    eventually("ours take over", || ns.count() == 3).await;
    fib.shutdown(OnShutdown::Withdraw).await.unwrap();
    assert_eq!(ns.count(), 0);
    assert_eq!(ns.json("route show 198.51.100.0/24").len(), 1);
}

#[tokio::test]
async fn a_foreign_route_written_over_ours_stays() {
    let Some(ns) = Net::with_links("usurp", 2) else {
        return;
    };
    let (fib, mut events) = ns.fib().await;
    let six = via(&["fd00:1::2"]);
    fib.apply(set(&[
        ("192.0.2.0/24", &via(&["10.0.1.2"])),
        ("2001:db8::/48", &six),
    ]))
    .await
    .unwrap();
    fib.settled().await.unwrap();
    ns.ip("route replace 192.0.2.0/24 via 10.0.2.9 proto static metric 20");
    ns.ip("-6 route replace 2001:db8::/48 via fd00:2::9 proto static metric 20");
    for _ in 0..2 {
        event("the loss is told", &mut events, |e| match e {
            Event::RouteFailed {
                error: RouteError::Foreign,
                ..
            } => Some(()),
            _ => None,
        })
        .await;
    }
    fib.settled().await.unwrap();
    assert_eq!(
        gateways(&ns.json("route show 192.0.2.0/24")[0]),
        ["10.0.2.9"]
    );
    assert_eq!(
        gateways(&ns.json("-6 route show 2001:db8::/48")[0]),
        ["fd00:2::9"]
    );
    assert_eq!(ns.count(), 0);
}

#[tokio::test]
async fn stale_routes_are_adopted_then_swept() {
    let Some(ns) = Net::with_links("stale", 2) else {
        return;
    };
    ns.ip("route add 192.0.2.0/24 via 10.0.1.2 proto bgp metric 20");
    ns.ip("route add 198.51.100.0/24 via 10.0.1.2 proto bgp metric 20");
    ns.ip("-6 route add 2001:db8::/48 via fd00:1::2 proto bgp metric 20");
    ns.ip("route add 203.0.113.0/24 via 10.0.1.2 proto static metric 20");
    let keep = Stale::Keep(std::time::Duration::from_secs(3600));
    let (fib, mut events) = ns.fib_with(|o| o.stale = keep).await;
    // The same again is adopted, a changed one is replaced.
    fib.apply(set(&[("192.0.2.0/24", &via(&["10.0.1.2"]))]))
        .await
        .unwrap();
    fib.settled().await.unwrap();
    event("adopted", &mut events, |e| match e {
        Event::RouteInstalled { prefix, .. } => (prefix == net("192.0.2.0/24")).then_some(()),
        _ => None,
    })
    .await;
    assert_eq!(ns.count(), 3);
    let status = fib.routes(Family::V4).await.unwrap();
    assert_eq!(status.len(), 2);
    assert!(status[0].route.is_some() && status[1].route.is_none());
    fib.sweep_stale().await.unwrap();
    fib.settled().await.unwrap();
    assert_eq!(ns.count(), 1);
    assert_eq!(gateways(&ns.ours("192.0.2.0/24")[0]), ["10.0.1.2"]);
    assert_eq!(ns.json("route show 203.0.113.0/24").len(), 1);

    // Left in place, and swept at once by the next run.
    fib.shutdown(OnShutdown::Leave).await.unwrap();
    assert_eq!(ns.count(), 1);
    let (fib, _events) = ns.fib().await;
    fib.settled().await.unwrap();
    assert_eq!(ns.count(), 0);
}

#[tokio::test]
async fn stale_routes_go_when_their_time_is_up() {
    let Some(ns) = Net::with_links("stale-time", 1) else {
        return;
    };
    ns.ip("route add 192.0.2.0/24 via 10.0.1.2 proto bgp metric 20");
    let keep = Stale::Keep(std::time::Duration::from_millis(300));
    let (fib, _events) = ns.fib_with(|o| o.stale = keep).await;
    assert_eq!(ns.count(), 1);
    eventually("the stale route goes", || ns.count() == 0).await;
    drop(fib);
}

#[tokio::test]
async fn a_route_deleted_by_hand_comes_back() {
    let Some(ns) = Net::with_links("by-hand", 2) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let (v4, v6) = (
        via(&["10.0.1.2", "10.0.2.2"]),
        via(&["fd00:1::2", "fd00:2::2"]),
    );
    fib.apply(set(&[("192.0.2.0/24", &v4), ("2001:db8::/48", &v6)]))
        .await
        .unwrap();
    fib.settled().await.unwrap();
    ns.ip("route del 192.0.2.0/24 proto bgp metric 20");
    ns.ip("-6 route del 2001:db8::/48 proto bgp metric 20");
    eventually("both come back", || ns.count() == 2).await;
    // One member of the IPv6 set, which the kernel tells as a route of one next hop.
    ns.ip("-6 route del 2001:db8::/48 via fd00:1::2 dev e1 proto bgp metric 20");
    eventually("the member comes back", || {
        ns.ours("2001:db8::/48")
            .first()
            .is_some_and(|r| gateways(r).len() == 2)
    })
    .await;
    // A stranger in our clothes.
    ns.ip("route add 198.51.100.0/24 via 10.0.1.9 proto bgp metric 20");
    ns.ip("route replace 192.0.2.0/24 via 10.0.1.9 proto bgp metric 20");
    eventually("it is as wanted again", || {
        ns.ours("198.51.100.0/24").is_empty()
            && ns
                .ours("192.0.2.0/24")
                .first()
                .is_some_and(|r| gateways(r) == ["10.0.1.2", "10.0.2.2"])
    })
    .await;
}

#[tokio::test]
async fn a_refused_route_is_told_and_tried_again() {
    let Some(ns) = Net::with_links("refused", 1) else {
        return;
    };
    let (fib, mut events) = ns.fib().await;
    let mut route = (*via(&["10.0.1.2"])).clone();
    route.prefsrc = Some(ip("10.9.9.9"));
    fib.apply(set(&[
        ("192.0.2.0/24", &Arc::new(route)),
        ("198.51.100.0/24", &via(&["10.0.1.2"])),
    ]))
    .await
    .unwrap();
    let (prefix, error) = event("a refusal", &mut events, |e| match e {
        Event::RouteFailed { prefix, error, .. } => Some((prefix, error)),
        _ => None,
    })
    .await;
    assert_eq!(
        (prefix, error),
        (net("192.0.2.0/24"), RouteError::Kernel(Errno::EINVAL))
    );
    fib.settled().await.unwrap();
    assert_eq!(
        ns.ours("198.51.100.0/24").len(),
        1,
        "its neighbour in the batch is in"
    );
    ns.ip("addr add 10.9.9.9/32 dev lo");
    eventually("it is in", || ns.ours("192.0.2.0/24").len() == 1).await;
}

#[tokio::test]
async fn another_table_resolves_through_main() {
    let Some(ns) = Net::with_links("table", 1) else {
        return;
    };
    let (fib, _events) = ns.fib_with(|o| o.table = 1000).await;
    ns.ip("route add 192.0.2.0/24 via 10.0.1.9 proto bgp metric 20");
    fib.apply(set(&[("192.0.2.0/24", &via(&["10.0.1.2"]))]))
        .await
        .unwrap();
    fib.settled().await.unwrap();
    let routes = ns.json("-N route show table 1000");
    assert_eq!(routes.len(), 1);
    assert_eq!(gateways(&routes[0]), ["10.0.1.2"]);
    assert_eq!(
        gateways(&ns.ours("192.0.2.0/24")[0]),
        ["10.0.1.9"],
        "main is not ours"
    );
}

#[tokio::test]
async fn a_hundred_thousand_routes_in_and_out() {
    let Some(ns) = Net::with_links("many", 2) else {
        return;
    };
    let (fib, _events) = ns.fib_with(|o| o.route_events = false).await;
    let sets = [
        via(&["10.0.1.2"]),
        via(&["10.0.2.2"]),
        via(&["10.0.1.2", "10.0.2.2"]),
    ];
    let prefix = |n: u32| {
        net(&format!(
            "{}.{}.{}.0/24",
            20 + (n >> 16),
            (n >> 8) & 255,
            n & 255
        ))
    };
    let started = Instant::now();
    for start in (0..100_000).step_by(1000) {
        let changes =
            (start..start + 1000).map(|n| (prefix(n), Some(sets[n as usize % 3].clone())));
        fib.apply(changes.collect()).await.unwrap();
    }
    fib.settled().await.unwrap();
    let added = started.elapsed();
    assert_eq!(ns.ip("-4 -o route show proto 186").lines().count(), 100_000);
    assert_eq!(gateways(&ns.ours("20.0.2.0/24")[0]).len(), 2);
    let started = Instant::now();
    for start in (0..100_000).step_by(1000) {
        let changes = (start..start + 1000).map(|n| (prefix(n), None));
        fib.apply(changes.collect()).await.unwrap();
    }
    fib.settled().await.unwrap();
    let deleted = started.elapsed();
    assert_eq!(ns.ip("-4 -o route show proto 186").lines().count(), 0);
    println!("100,000 routes in {added:?}, out {deleted:?}");
    assert!(added.as_secs() < 60 && deleted.as_secs() < 60);
}

#[tokio::test]
async fn every_change_is_answered_with_the_number_of_its_batch() {
    let Some(ns) = Net::with_links("answers", 1) else {
        return;
    };
    let (fib, mut events) = ns.fib().await;
    let blocked = net("198.51.100.0/24");
    ns.ip("route add blackhole 198.51.100.0/24 metric 20 proto static");
    // The second batch is the same as the first.
    for batch in 1..=2 {
        let route = via(&["10.0.1.2"]);
        fib.apply(set(&[
            ("192.0.2.0/24", &route),
            ("198.51.100.0/24", &route),
        ]))
        .await
        .unwrap();
        let mut answers = Vec::new();
        while answers.len() < 2 {
            let answer = event("an answer", &mut events, |e| match e {
                Event::RouteInstalled { prefix, taken } => Some((prefix, true, taken)),
                Event::RouteFailed { prefix, taken, .. } => Some((prefix, false, taken)),
                _ => None,
            });
            answers.push(answer.await);
        }
        answers.sort();
        let installed = (net("192.0.2.0/24"), true, batch);
        assert_eq!(answers, [installed, (blocked, false, batch)]);
    }
}
