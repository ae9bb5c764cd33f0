//! Following a real kernel: links, addresses, routes of others, lost notifications.

mod support;

use std::sync::Arc;
use std::time::Duration;

use holdfast_fib::{
    Drop, Event, Family, FibError, Kernel, NextHop, OnShutdown, Resolution, Route, RouteError,
    RouteKind, Source, TrackKey, ViaDefault, spawn,
};
use support::{Net, drops, event, eventually, gateways, ip, net, set, via};
use tokio::sync::mpsc::Receiver;

/// The next resolution told for `address`.
async fn resolution(events: &mut Receiver<Event>, address: &str) -> Option<Arc<Resolution>> {
    let wanted = TrackKey::from(ip(address));
    event(&format!("resolution of {address}"), events, |e| match e {
        Event::NextHopChanged { key, resolution } if key == wanted => Some(resolution),
        _ => None,
    })
    .await
}

/// The next thing told about a kernel route.
async fn kernel_route(events: &mut Receiver<Event>, wanted: &str) -> (Source, Option<u32>) {
    event(&format!("kernel route {wanted}"), events, |e| match e {
        Event::KernelRoute {
            prefix,
            source,
            metric,
            ..
        } if prefix == net(wanted) => Some((source, metric)),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn routes_follow_a_link_down_and_up() {
    let Some(ns) = Net::with_links("link", 2) else {
        return;
    };
    let (fib, mut events) = ns.fib().await;
    let (one, both) = (via(&["10.0.1.2"]), via(&["10.0.1.2", "10.0.2.2"]));
    let (six, six_both) = (via(&["fd00:1::2"]), via(&["fd00:1::2", "fd00:2::2"]));
    let all = [
        ("192.0.2.0/24", &one),
        ("198.51.100.0/24", &both),
        ("2001:db8:1::/48", &six),
        ("2001:db8:2::/48", &six_both),
    ];
    fib.apply(set(&all)).await.unwrap();
    fib.settled().await.unwrap();
    for _ in 0..3 {
        ns.ip("link set e1 down");
        event("the loss is told", &mut events, |e| match e {
            Event::RouteFailed {
                prefix,
                error: RouteError::Unresolved,
                ..
            } => (prefix == net("192.0.2.0/24")).then_some(()),
            _ => None,
        })
        .await;
        eventually("only e2 is used", || {
            ns.ours("192.0.2.0/24").is_empty()
                && ns.ours("2001:db8:1::/48").is_empty()
                && ns
                    .ours("198.51.100.0/24")
                    .iter()
                    .map(gateways)
                    .eq([["10.0.2.2"]])
                && ns
                    .ours("2001:db8:2::/48")
                    .iter()
                    .map(gateways)
                    .eq([["fd00:2::2"]])
        })
        .await;
        ns.ip("link set e1 up");
        // The kernel forgets IPv6 addresses of a link that goes down.
        ns.ip("addr replace fd00:1::1/64 dev e1 nodad");
        eventually("all are back", || {
            ns.ours("192.0.2.0/24").len() == 1
                && ns.ours("2001:db8:1::/48").len() == 1
                && ns
                    .ours("198.51.100.0/24")
                    .iter()
                    .all(|r| gateways(r).len() == 2)
                && ns
                    .ours("2001:db8:2::/48")
                    .iter()
                    .all(|r| gateways(r).len() == 2)
        })
        .await;
        fib.settled().await.unwrap();
    }
}

#[tokio::test]
async fn routes_survive_a_link_that_flaps_fast() {
    let Some(ns) = Net::with_links("flap", 2) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let all = [
        ("192.0.2.0/24", &via(&["10.0.1.2"])),
        ("198.51.100.0/24", &via(&["10.0.1.2", "10.0.2.2"])),
    ];
    fib.apply(set(&all)).await.unwrap();
    fib.settled().await.unwrap();
    // Many changes are read at once, since the test's own thread is the task's.
    ns.batch(&"link set e1 down\nlink set e1 up\n".repeat(10));
    eventually("both are as wanted", || {
        ns.ours("192.0.2.0/24").len() == 1
            && ns
                .ours("198.51.100.0/24")
                .iter()
                .map(gateways)
                .eq([["10.0.1.2", "10.0.2.2"]])
    })
    .await;
}

#[tokio::test]
async fn routes_follow_a_carrier_and_a_deleted_interface() {
    let Some(ns) = Net::with_links("carrier", 3) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let (v4, v6) = (
        ["10.0.1.2", "10.0.2.2", "10.0.3.2"],
        ["fd00:1::2", "fd00:2::2", "fd00:3::2"],
    );
    fib.apply(set(&[
        ("192.0.2.0/24", &via(&v4)),
        ("2001:db8::/48", &via(&v6)),
    ]))
    .await
    .unwrap();
    fib.settled().await.unwrap();
    let now = |v4: &[&str], v6: &[&str]| {
        ns.ours("192.0.2.0/24").iter().map(gateways).eq([v4])
            && ns.ours("2001:db8::/48").iter().map(gateways).eq([v6])
    };
    assert!(now(&v4, &v6));
    ns.ip("link set p1 down");
    eventually("the silent link is left out", || now(&v4[1..], &v6[1..])).await;
    ns.ip("link set p1 up");
    eventually("it is used again", || now(&v4, &v6)).await;
    ns.ip("link del e2");
    eventually("the deleted one is left out", || {
        now(&[v4[0], v4[2]], &[v6[0], v6[2]])
    })
    .await;
    ns.ip("link set p1 down");
    ns.ip("link set p3 down");
    eventually("nothing is left", || ns.count() == 0).await;
    ns.ip("link set p3 up");
    eventually("one is left", || now(&v4[2..], &v6[2..])).await;
}

#[tokio::test]
async fn losing_the_last_ipv4_address_ends_ipv4_on_the_link() {
    let Some(ns) = Net::with_links("address", 2) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let onlink = NextHop {
        onlink: true,
        ..NextHop::on_interface(ip("10.77.0.2"), ns.ifindex("e1"))
    };
    let route = Route {
        metric: 20,
        kind: RouteKind::Unicast(vec![onlink]),
        prefsrc: None,
        resilient: None,
    };
    fib.apply(set(&[
        ("192.0.2.0/24", &Arc::new(route)),
        ("198.51.100.0/24", &via(&["10.0.1.2"])),
    ]))
    .await
    .unwrap();
    fib.settled().await.unwrap();
    assert_eq!(ns.count(), 2);
    ns.ip("addr del 10.0.1.1/24 dev e1");
    eventually("the one through the subnet goes", || {
        ns.ours("198.51.100.0/24").is_empty()
    })
    .await;
    ns.ip("addr add 10.0.1.1/24 dev e1");
    eventually("both are back", || ns.count() == 2).await;
}

#[tokio::test]
async fn a_route_follows_its_preferred_source() {
    let Some(ns) = Net::with_links("prefsrc", 1) else {
        return;
    };
    ns.ip("addr add 10.9.9.9/32 dev lo");
    let (fib, mut events) = ns.fib().await;
    let route = Route {
        prefsrc: Some(ip("10.9.9.9")),
        resilient: None,
        ..(*via(&["10.0.1.2"])).clone()
    };
    fib.apply(set(&[("192.0.2.0/24", &Arc::new(route))]))
        .await
        .unwrap();
    fib.settled().await.unwrap();
    assert_eq!(ns.count(), 1);
    // The kernel drops the route without a word.
    ns.ip("addr del 10.9.9.9/32 dev lo");
    event("the refusal is told", &mut events, |e| match e {
        Event::RouteFailed {
            error: RouteError::Kernel(_),
            ..
        } => Some(()),
        _ => None,
    })
    .await;
    ns.ip("addr add 10.9.9.9/32 dev lo");
    eventually("it is back", || ns.count() == 1).await;
}

#[tokio::test]
async fn next_hops_are_followed() {
    let Some(ns) = Net::with_links("track", 2) else {
        return;
    };
    let (fib, mut events) = ns.fib().await;
    let keys = ["10.0.1.2", "10.50.0.1", "10.0.1.1"].map(|a| TrackKey::from(ip(a)));
    fib.track(keys.to_vec()).unwrap();
    let connected = resolution(&mut events, "10.0.1.2").await.unwrap();
    assert_eq!(
        (
            connected.connected,
            connected.gateway,
            connected.ifname.as_str(),
            connected.metric
        ),
        (true, None, "e1", 0)
    );
    assert_eq!(connected.via, Some(net("10.0.1.0/24")));
    assert_eq!(resolution(&mut events, "10.50.0.1").await, None);
    assert_eq!(
        resolution(&mut events, "10.0.1.1").await,
        None,
        "we are no router of ours"
    );

    ns.ip("route add 10.50.0.0/16 via 10.0.2.9 proto static metric 7");
    let found = resolution(&mut events, "10.50.0.1").await.unwrap();
    assert_eq!(
        (found.gateway, found.metric, found.connected),
        (Some(ip("10.0.2.9")), 7, false)
    );
    // A better one, then one that drops, then none.
    ns.ip("route add 10.50.0.0/24 proto static metric 3 nexthop via 10.0.1.9 nexthop via 10.0.2.8 weight 4");
    let found = resolution(&mut events, "10.50.0.1").await.unwrap();
    assert_eq!((found.metric, found.multipath.len()), (3, 2));
    ns.ip("route add blackhole 10.50.0.1/32 proto static");
    let found = resolution(&mut events, "10.50.0.1").await.unwrap();
    assert_eq!(
        (found.drops, found.multipath.len()),
        (Some(Drop::Blackhole), 0)
    );
    ns.ip("route del blackhole 10.50.0.1/32");
    let found = resolution(&mut events, "10.50.0.1").await.unwrap();
    assert_eq!((found.drops, found.multipath.len()), (None, 2));
    ns.ip("link set e1 down");
    assert_eq!(resolution(&mut events, "10.0.1.2").await, None);
    let found = resolution(&mut events, "10.50.0.1").await.unwrap();
    assert_eq!(
        found.gateway,
        Some(ip("10.0.2.8")),
        "the dead member is left out"
    );

    // A default route only when asked for.
    ns.ip("route del 10.50.0.0/24 proto static metric 3");
    ns.ip("route del 10.50.0.0/16 proto static");
    ns.ip("route add default via 10.0.2.2 proto static");
    eventually("nothing but the default is left", || {
        ns.json("route show root 10.50.0.0/16").is_empty()
    })
    .await;
    while resolution(&mut events, "10.50.0.1").await.is_some() {}
    fib.resolve_via_default(ViaDefault {
        v4: true,
        v6: false,
    })
    .await
    .unwrap();
    assert_eq!(
        resolution(&mut events, "10.50.0.1").await.unwrap().via,
        Some(net("0.0.0.0/0"))
    );
    fib.untrack(keys.to_vec()).unwrap();
}

#[tokio::test]
async fn recursive_next_hops_are_written_resolved_and_rewritten() {
    let Some(ns) = Net::with_links("recursive", 3) else {
        return;
    };
    ns.ip("route add 10.50.0.0/24 proto static nexthop via 10.0.1.9 nexthop via 10.0.2.9");
    let (fib, _events) = ns.fib().await;
    // Two next hops through the same routers count once; one that does not resolve not at all.
    let route = via(&["10.50.0.1", "10.50.0.2", "10.0.3.2", "10.99.0.1"]);
    fib.apply(set(&[("192.0.2.0/24", &route)])).await.unwrap();
    fib.settled().await.unwrap();
    assert_eq!(
        gateways(&ns.ours("192.0.2.0/24")[0]),
        ["10.0.1.9", "10.0.2.9", "10.0.3.2"]
    );
    ns.ip("route replace 10.50.0.0/24 via 10.0.2.8 proto static");
    eventually("it follows", || {
        gateways(&ns.ours("192.0.2.0/24")[0]) == ["10.0.2.8", "10.0.3.2"]
    })
    .await;
    ns.ip("route add 10.99.0.0/24 via 10.0.1.7 proto static");
    eventually("the fourth joins", || {
        gateways(&ns.ours("192.0.2.0/24")[0]).len() == 3
    })
    .await;
    let row = &fib.routes(Family::V4).await.unwrap()[0];
    assert!(row.installed && row.error.is_none());
    assert_eq!(row.resolved.as_ref().unwrap().hops().len(), 3);
}

#[tokio::test]
async fn tells_what_may_be_redistributed() {
    let Some(ns) = Net::with_links("redist", 2) else {
        return;
    };
    ns.ip("addr add 10.255.0.1/32 dev lo");
    ns.ip("route add 198.51.100.0/24 via 10.0.2.2");
    let (_fib, mut events) = ns.fib().await;
    let mut first = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Event::KernelRoute {
            prefix,
            source,
            metric,
            ..
        } = event
        {
            first.push((prefix.to_string(), source, metric));
        }
    }
    let connected = |p: &str| (p.to_owned(), Source::Connected, Some(0));
    let kernel = ("198.51.100.0/24".to_owned(), Source::Kernel, Some(0));
    let v4 = [
        connected("10.0.1.0/24"),
        connected("10.0.2.0/24"),
        connected("10.255.0.1/32"),
        kernel,
    ];
    let v6 = [connected("fd00:1::/64"), connected("fd00:2::/64")];
    assert_eq!(first, [&v4[..], &v6[..]].concat());

    ns.ip("route add 203.0.113.0/24 via 10.0.1.2 proto static metric 5");
    assert_eq!(
        kernel_route(&mut events, "203.0.113.0/24").await,
        (Source::Static, Some(5))
    );
    ns.ip("link set e1 down");
    assert_eq!(
        kernel_route(&mut events, "10.0.1.0/24").await,
        (Source::Connected, None)
    );
    ns.ip("route del 198.51.100.0/24");
    assert_eq!(
        kernel_route(&mut events, "198.51.100.0/24").await,
        (Source::Kernel, None)
    );
    ns.ip("link set e1 up");
    assert_eq!(
        kernel_route(&mut events, "10.0.1.0/24").await,
        (Source::Connected, Some(0))
    );
}

#[tokio::test]
async fn the_view_shows_interfaces_and_addresses() {
    let Some(ns) = Net::with_links("view", 1) else {
        return;
    };
    let (fib, mut events) = ns.fib().await;
    let view = fib.view();
    let e1 = view.interface_named("e1").unwrap().ifindex;
    assert!(view.is_connected(ip("10.0.1.77")) && !view.is_connected(ip("10.0.2.77")));
    assert!(view.is_local(ip("10.0.1.1")) && !view.is_local(ip("10.0.1.2")));
    assert_eq!(
        view.connected_interface(ip("fd00:1::5")).unwrap().name,
        "e1"
    );
    assert_eq!(
        view.global_address(e1, ip("fd00:1::5")),
        Some(ip("fd00:1::1"))
    );
    assert_eq!(
        view.global_address(e1, ip("10.0.1.9")),
        Some(ip("10.0.1.1"))
    );

    let mut changes = fib.watch_view();
    ns.ip("link add br0 type bridge");
    ns.ip("link set e1 master br0");
    ns.ip("link set e1 nomaster");
    ns.ip("link del br0");
    event("the bridge goes", &mut events, |e| match e {
        Event::InterfaceRemoved { name, .. } if name == "br0" => Some(()),
        _ => None,
    })
    .await;
    let port = changes
        .wait_for(|v| v.interface_named("br0").is_none())
        .await
        .unwrap()
        .clone();
    assert!(
        port.interface(e1).is_some(),
        "leaving a bridge is not going away"
    );
    ns.ip("link del e1");
    changes
        .wait_for(|v| v.interface(e1).is_none())
        .await
        .unwrap();
    assert!(!fib.view().is_connected(ip("10.0.1.77")));
}

#[tokio::test]
async fn lost_notifications_end_in_the_right_state() {
    let Some(ns) = Net::with_links("overflow", 3) else {
        return;
    };
    // The smallest buffer there is: a handful of notifications.
    let (fib, mut events) = ns.fib_with(|o| o.monitor_buffer = 1).await;
    fib.track(vec![ip("10.60.0.1").into()]).unwrap();
    let route = via(&["10.0.1.2", "10.0.2.2"]);
    let prefix = |n: u32| format!("100.{}.{}.0/24", 64 + (n >> 8), n & 255);
    let changes = (0..2000)
        .map(|n| (net(&prefix(n)), Some(route.clone())))
        .collect();
    fib.apply(changes).await.unwrap();
    fib.settled().await.unwrap();
    assert_eq!(ns.count(), 2000);
    // A flood in which ours are deleted, strangers appear, a link goes and a next hop comes.
    let mut flood = String::new();
    for n in 0..2000 {
        flood += &format!("route del {} proto bgp\n", prefix(n));
        flood += &format!(
            "route add 172.16.{}.{}/32 via 10.0.3.2 proto static\n",
            n >> 8,
            n & 255
        );
        if n % 100 == 0 {
            flood += &format!(
                "route add 172.17.{}.0/30 via 10.0.3.2 proto bgp metric 20\n",
                n / 100
            );
        }
    }
    flood += "link set e2 down\nroute add 10.60.0.0/24 via 10.0.3.9 proto static\n";
    ns.batch(&flood);
    eventually("all of ours are back and only ours", || {
        let routes = ns.json("-4 route show proto 186");
        routes.len() == 2000 && routes.iter().all(|r| gateways(r) == ["10.0.1.2"])
    })
    .await;
    while resolution(&mut events, "10.60.0.1")
        .await
        .is_none_or(|r| r.gateway != Some(ip("10.0.3.9")))
    {}
    assert_eq!(ns.json("-4 route show proto static").len(), 2001);
    assert!(
        fib.statistics().await.unwrap().resyncs > 0,
        "nothing was lost, so nothing was tested"
    );
    fib.shutdown(OnShutdown::Withdraw).await.unwrap();
    assert_eq!(ns.count(), 0);
}

#[tokio::test]
async fn a_slow_receiver_loses_nothing_but_intermediate_states() {
    let Some(ns) = Net::with_links("slow", 1) else {
        return;
    };
    let (fib, mut events) = ns.fib().await;
    let route = via(&["10.0.1.2"]);
    let prefix = |n: u32| net(&format!("100.{}.{}.0/24", 64 + (n >> 8), n & 255));
    fib.apply(
        (0..5000)
            .map(|n| (prefix(n), Some(route.clone())))
            .collect(),
    )
    .await
    .unwrap();
    fib.settled().await.unwrap();
    fib.apply((0..5000).map(|n| (prefix(n), None)).collect())
        .await
        .unwrap();
    fib.settled().await.unwrap();
    let mut last = std::collections::BTreeMap::new();
    let gone =
        |last: &std::collections::BTreeMap<_, bool>| last.values().filter(|up| !**up).count();
    while gone(&last) < 5000 {
        match tokio::time::timeout(support::PATIENCE, events.recv())
            .await
            .unwrap()
            .unwrap()
        {
            Event::RouteInstalled { prefix, .. } => last.insert(prefix, true),
            Event::RouteRemoved(prefix) => last.insert(prefix, false),
            _ => None,
        };
    }
}

#[tokio::test]
async fn without_a_kernel_everything_resolves() {
    let options = holdfast_fib::FibOptions {
        kernel: Kernel::Off,
        ..Default::default()
    };
    let (fib, mut events) = spawn(options).await.unwrap();
    fib.track(vec![ip("192.0.2.1").into()]).unwrap();
    let found = resolution(&mut events, "192.0.2.1").await.unwrap();
    assert_eq!((found.connected, found.metric, found.ifindex), (true, 0, 0));
    fib.apply(set(&[
        ("198.51.100.0/24", &via(&["192.0.2.1"])),
        ("2001:db8::/32", &drops(RouteKind::Blackhole)),
    ]))
    .await
    .unwrap();
    fib.settled().await.unwrap();
    assert!(fib.view().is_connected(ip("203.0.113.1")));
    for family in [Family::V4, Family::V6] {
        assert!(fib.routes(family).await.unwrap()[0].installed);
    }
    event("installed", &mut events, |e| match e {
        Event::RouteInstalled { prefix, .. } => (prefix == net("198.51.100.0/24")).then_some(()),
        _ => None,
    })
    .await;
    let quick = tokio::time::timeout(Duration::from_secs(5), fib.shutdown(OnShutdown::Withdraw));
    quick.await.unwrap().unwrap();
    assert!(fib.settled().await.is_err());
}

#[tokio::test]
async fn a_namespace_that_is_not_there_is_an_error() {
    let netns = Some("hf-fib-never-made".to_owned());
    let options = holdfast_fib::FibOptions {
        netns,
        ..Default::default()
    };
    let error = spawn(options).await.map(drop).unwrap_err();
    assert!(
        matches!(
            error,
            FibError::Socket {
                what: "enter the namespace",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn routes_stay_when_all_handles_are_gone() {
    let Some(ns) = Net::with_links("orphan", 1) else {
        return;
    };
    let (fib, mut events) = ns.fib().await;
    fib.apply(set(&[("192.0.2.0/24", &via(&["10.0.1.2"]))]))
        .await
        .unwrap();
    // Not settled: what was applied is written nevertheless.
    drop(fib);
    while tokio::time::timeout(support::PATIENCE, events.recv())
        .await
        .unwrap()
        .is_some()
    {}
    assert_eq!(ns.count(), 1);
}
