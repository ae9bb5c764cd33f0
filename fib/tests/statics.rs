//! Static routes of our own in a real kernel.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use holdfast_fib::{
    Event, FibHandle, OnShutdown, RouteError, Source, Stale, StaticHop, StaticKind, StaticRoute,
};
use support::{Net, event, eventually, gateways, ip, net, set, unset, via};
use tokio::sync::mpsc::Receiver;

/// `PREFIX WAY[,WAY...] [DISTANCE] [table N]`, where a way is `GATEWAY`, `@INTERFACE`,
/// `GATEWAY@INTERFACE` or `GATEWAY@INTERFACE!` for onlink, or all of them `blackhole` or `reject`.
fn route(text: &str) -> StaticRoute {
    let words: Vec<&str> = text.split(' ').collect();
    let way = |text: &str| {
        let (gateway, interface) = text.split_once('@').unwrap_or((text, ""));
        StaticHop {
            gateway: (!gateway.is_empty()).then(|| ip(gateway)),
            interface: Some(interface.trim_end_matches('!').to_owned()).filter(|i| !i.is_empty()),
            onlink: interface.ends_with('!'),
        }
    };
    let table = words.iter().position(|word| *word == "table");
    let distance = words.get(2).filter(|word| **word != "table");
    StaticRoute {
        table: table.map(|at| words[at + 1].parse().unwrap()),
        prefix: net(words[0]),
        metric: distance.map_or(1, |word| word.parse().unwrap()),
        kind: match words[1] {
            "blackhole" => StaticKind::Blackhole,
            "reject" => StaticKind::Unreachable,
            ways => StaticKind::Via(ways.split(',').map(way).collect()),
        },
    }
}

async fn statics(fib: &FibHandle, routes: &[&str]) {
    let routes = routes.iter().map(|text| route(text)).collect();
    fib.set_statics(routes).await.unwrap();
    fib.settled().await.unwrap();
}

/// Our static routes of a table, `PREFIX METRIC GATEWAYS`, sorted.
fn kernel_in(ns: &Net, table: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for family in ["-4", "-6"] {
        // A table that never had a route of the family is none.
        if ns
            .try_ip(&format!("{family} route show table {table}"))
            .is_err()
        {
            continue;
        }
        for route in ns.json(&format!("{family} route show table {table} proto 196")) {
            let dst = route["dst"].as_str().unwrap().to_owned();
            let kind = route["type"].as_str().unwrap_or_default();
            let to = match kind {
                "" | "unicast" => gateways(&route).join(","),
                kind => kind.to_owned(),
            };
            lines.push(format!("{dst} {} {to}", route["metric"]));
        }
    }
    lines.sort();
    lines
}

fn kernel(ns: &Net) -> Vec<String> {
    kernel_in(ns, "main")
}

async fn becomes(ns: &Net, expected: &[&str]) {
    let what = format!("{expected:?}");
    eventually(&what, || kernel(ns) == expected).await;
}

/// The next thing told about a route of this source.
async fn told(events: &mut Receiver<Event>, wanted: &str, from: Source) -> Option<u32> {
    event(&format!("{from:?} {wanted}"), events, |e| match e {
        Event::KernelRoute {
            prefix,
            source,
            metric,
            ..
        } if prefix == net(wanted) && source == from => Some(metric),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn every_kind_is_written_and_taken_back() {
    let Some(ns) = Net::with_links("kinds", 2) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let all = [
        "192.0.2.0/24 10.0.1.2,10.0.2.2",
        "192.0.3.0/24 10.9.9.9@e1! 20",
        "192.0.4.0/24 @e2",
        "192.0.5.0/24 blackhole",
        "192.0.6.0/24 reject 200",
        "192.0.7.0/24 10.0.1.2@e2",
        "192.0.8.0/24 172.16.0.1",
        "192.0.9.0/24 10.0.1.1",
        "2001:db8:1::/48 fe80::2@e1",
        "2001:db8:2::/48 fd00:2::2 7",
        "2001:db8:3::/48 @e1",
    ];
    statics(&fib, &all).await;
    assert_eq!(
        kernel(&ns),
        [
            "192.0.2.0/24 1 10.0.1.2,10.0.2.2",
            "192.0.3.0/24 20 10.9.9.9",
            "192.0.4.0/24 1 none",
            "192.0.5.0/24 1 blackhole",
            "192.0.6.0/24 200 unreachable",
            "2001:db8:1::/48 1 fe80::2",
            "2001:db8:2::/48 7 fd00:2::2",
            "2001:db8:3::/48 1 none",
        ]
    );
    let rows = fib.statics().await.unwrap();
    assert_eq!(rows.len(), all.len());
    let used = rows.iter().filter(|row| row.selected).count();
    let installed = |row: &&holdfast_fib::StaticStatus| {
        row.kernel.as_ref().is_some_and(|status| status.installed)
    };
    assert_eq!((used, rows.iter().filter(installed).count()), (8, 8));
    // One that stays as it is is not touched; all others go.
    let writes = fib.statistics().await.unwrap().operations;
    statics(&fib, &["192.0.5.0/24 blackhole"]).await;
    assert_eq!(kernel(&ns), ["192.0.5.0/24 1 blackhole"]);
    let again = fib.statistics().await.unwrap().operations;
    statics(&fib, &["192.0.5.0/24 blackhole"]).await;
    assert!(again > writes);
    assert_eq!(fib.statistics().await.unwrap().operations, again);
    fib.shutdown(OnShutdown::Withdraw).await.unwrap();
    assert_eq!(kernel(&ns), Vec::<String>::new());
}

#[tokio::test]
async fn a_route_of_a_higher_distance_waits_for_its_turn() {
    let Some(ns) = Net::with_links("floating", 2) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let floating = ["192.0.2.0/24 10.0.1.2", "192.0.2.0/24 10.0.2.2 200"];
    statics(&fib, &floating).await;
    becomes(&ns, &["192.0.2.0/24 1 10.0.1.2"]).await;
    for _ in 0..3 {
        ns.ip("link set e1 down");
        becomes(&ns, &["192.0.2.0/24 200 10.0.2.2"]).await;
        ns.ip("link set e1 up");
        becomes(&ns, &["192.0.2.0/24 1 10.0.1.2"]).await;
    }
}

#[tokio::test]
async fn an_interface_may_come_later() {
    let Some(ns) = Net::with_links("later", 1) else {
        return;
    };
    let (fib, mut events) = ns.fib().await;
    let routes = ["192.0.2.0/24 10.7.0.2@late", "192.0.3.0/24 @late"];
    statics(&fib, &routes).await;
    assert_eq!(kernel(&ns), Vec::<String>::new());
    ns.ip("link add late type veth peer name other");
    ns.ip("link set other up");
    ns.ip("link set late up");
    becomes(&ns, &["192.0.3.0/24 1 none"]).await;
    ns.ip("addr add 10.7.0.1/24 dev late");
    let both = ["192.0.2.0/24 1 10.7.0.2", "192.0.3.0/24 1 none"];
    becomes(&ns, &both).await;
    assert_eq!(
        told(&mut events, "192.0.3.0/24", Source::Static).await,
        Some(0)
    );
    // Another interface of that name has another number.
    ns.ip("link del late");
    becomes(&ns, &[]).await;
    assert_eq!(
        told(&mut events, "192.0.3.0/24", Source::Static).await,
        None
    );
    ns.ip("link add late type veth peer name other");
    ns.ip("addr add 10.7.0.1/24 dev late");
    ns.ip("link set other up");
    ns.ip("link set late up");
    becomes(&ns, &both).await;
}

#[tokio::test]
async fn static_routes_lead_to_each_other_and_never_to_themselves() {
    let Some(ns) = Net::with_links("recursive", 2) else {
        return;
    };
    ns.ip("route add 10.50.0.0/16 via 10.0.2.2 proto static");
    let (fib, _events) = ns.fib().await;
    let routes = [
        "192.0.2.0/24 10.0.1.2,10.0.2.2",
        "192.0.3.0/24 192.0.2.77",
        "192.0.4.0/24 192.0.3.77",
        "192.0.5.0/24 192.0.5.1",
        "192.0.6.0/24 10.50.0.1",
        "10.50.0.0/16 10.50.3.3 5",
        "192.0.7.0/24 blackhole",
        "192.0.8.0/24 192.0.7.1",
        "10.0.1.0/24 10.0.1.2 3",
        // In a circle, held up from nowhere.
        "10.61.0.0/16 10.62.0.1",
        "10.62.0.0/16 10.61.0.1",
    ];
    statics(&fib, &routes).await;
    let settled = [
        "192.0.2.0/24 1 10.0.1.2,10.0.2.2",
        "192.0.3.0/24 1 10.0.1.2,10.0.2.2",
        "192.0.4.0/24 1 10.0.1.2,10.0.2.2",
        "192.0.6.0/24 1 10.0.2.2",
        "192.0.7.0/24 1 blackhole",
        "192.0.8.0/24 1 blackhole",
    ];
    assert_eq!(kernel(&ns), settled);
    // A way into the circle holds up both, and lets go of both.
    ns.ip("route add 10.62.0.0/24 via 10.0.1.9 proto static");
    eventually("the circle is entered", || {
        let now = kernel(&ns);
        now.contains(&"10.61.0.0/16 1 10.0.1.9".to_owned())
            && now.contains(&"10.62.0.0/16 1 10.0.1.9".to_owned())
    })
    .await;
    ns.ip("route del 10.62.0.0/24");
    becomes(&ns, &settled).await;
    ns.ip("link set e1 down");
    eventually("one member is lost all the way", || {
        kernel(&ns).contains(&"192.0.4.0/24 1 10.0.2.2".to_owned())
    })
    .await;
}

#[tokio::test]
async fn bgp_resolves_through_static_routes() {
    let Some(ns) = Net::with_links("through", 2) else {
        return;
    };
    let (fib, mut events) = ns.fib().await;
    fib.track(vec![ip("192.0.2.77").into()]).unwrap();
    let resolved = |e| match e {
        Event::NextHopChanged { resolution, .. } => Some(resolution),
        _ => None,
    };
    let none = event("not yet", &mut events, resolved).await;
    assert_eq!(none, None);
    fib.apply(set(&[("198.51.100.0/24", &via(&["192.0.2.77"]))]))
        .await
        .unwrap();
    statics(&fib, &["192.0.2.0/24 10.0.1.2 30"]).await;
    let found = event("resolved", &mut events, resolved).await.unwrap();
    assert_eq!((found.gateway, found.metric), (Some(ip("10.0.1.2")), 0));
    eventually("the route follows", || {
        ns.ours("198.51.100.0/24")
            .first()
            .is_some_and(|r| gateways(r) == ["10.0.1.2"])
    })
    .await;
    statics(&fib, &["192.0.2.0/24 10.0.2.2 30"]).await;
    eventually("the route follows the change", || {
        ns.ours("198.51.100.0/24")
            .first()
            .is_some_and(|r| gateways(r) == ["10.0.2.2"])
    })
    .await;
    statics(&fib, &[]).await;
    eventually("and goes", || ns.ours("198.51.100.0/24").is_empty()).await;
}

#[tokio::test]
async fn the_kernel_decides_between_bgp_and_static_by_distance() {
    let Some(ns) = Net::with_links("distance", 2) else {
        return;
    };
    // Nobody needs to ask for what became of routes.
    let (fib, mut events) = ns.fib_with(|options| options.route_events = false).await;
    let prefix = "192.0.2.0/24";
    statics(&fib, &["192.0.2.0/24 10.0.2.2 200"]).await;
    assert_eq!(told(&mut events, prefix, Source::Static).await, Some(0));
    fib.apply(set(&[(prefix, &via(&["10.0.1.2"]))]))
        .await
        .unwrap();
    fib.settled().await.unwrap();
    // Both are there; what BGP hides is not told of.
    assert_eq!(kernel(&ns), ["192.0.2.0/24 200 10.0.2.2"]);
    assert_eq!(ns.ours(prefix).len(), 1);
    assert_eq!(told(&mut events, prefix, Source::Static).await, None);
    assert!(
        ns.ip("route get 192.0.2.1").contains("via 10.0.1.2"),
        "metric 20 wins"
    );
    fib.apply(unset(&[prefix])).await.unwrap();
    assert_eq!(told(&mut events, prefix, Source::Static).await, Some(0));
    eventually("the static route takes over", || {
        ns.ip("route get 192.0.2.1").contains("via 10.0.2.2")
    })
    .await;
}

#[tokio::test]
async fn of_equal_distances_the_static_route_has_the_place() {
    let Some(ns) = Net::with_links("equal", 2) else {
        return;
    };
    let (fib, mut events) = ns.fib().await;
    let prefix = "192.0.2.0/24";
    fib.apply(set(&[(prefix, &via(&["10.0.1.2"]))]))
        .await
        .unwrap();
    fib.settled().await.unwrap();
    for _ in 0..3 {
        statics(&fib, &["192.0.2.0/24 10.0.2.2 20"]).await;
        becomes(&ns, &["192.0.2.0/24 20 10.0.2.2"]).await;
        assert!(ns.ours(prefix).is_empty());
        event("BGP is told why", &mut events, |e| match e {
            Event::RouteFailed {
                error: RouteError::Foreign,
                ..
            } => Some(()),
            _ => None,
        })
        .await;
        statics(&fib, &[]).await;
        eventually("BGP has it again", || ns.ours(prefix).len() == 1).await;
        assert_eq!(kernel(&ns), Vec::<String>::new());
    }
    // Routes of others keep their place.
    ns.ip("route add 192.0.3.0/24 via 10.0.1.9 metric 9");
    statics(&fib, &["192.0.3.0/24 10.0.2.2 9"]).await;
    assert!(ns.ip("route show 192.0.3.0/24").contains("10.0.1.9"));
    ns.ip("route del 192.0.3.0/24 metric 9");
    becomes(&ns, &["192.0.3.0/24 9 10.0.2.2"]).await;
}

#[tokio::test]
async fn what_others_delete_is_written_again() {
    let Some(ns) = Net::with_links("deleted", 1) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    statics(&fib, &["192.0.2.0/24 10.0.1.2", "192.0.3.0/24 blackhole"]).await;
    let both = ["192.0.2.0/24 1 10.0.1.2", "192.0.3.0/24 1 blackhole"];
    becomes(&ns, &both).await;
    ns.ip("route del 192.0.2.0/24 proto 196");
    ns.ip("route del blackhole 192.0.3.0/24 proto 196");
    becomes(&ns, &both).await;
}

#[tokio::test]
async fn a_restart_adopts_what_is_wanted_and_deletes_the_rest() {
    let Some(ns) = Net::with_links("restart", 2) else {
        return;
    };
    let keep = |options: &mut holdfast_fib::FibOptions| {
        options.stale = Stale::Keep(Duration::from_secs(60));
    };
    let (fib, _events) = ns.fib_with(keep).await;
    let first = [
        "192.0.2.0/24 10.0.1.2,10.0.2.2",
        "192.0.3.0/24 10.0.1.2",
        "192.0.4.0/24 blackhole",
        "192.0.5.0/24 10.0.2.2 table 77",
    ];
    statics(&fib, &first).await;
    fib.shutdown(OnShutdown::Leave).await.unwrap();
    let kept = kernel(&ns);
    assert_eq!(kept.len(), 3);
    assert_eq!(kernel_in(&ns, "77").len(), 1);
    let (fib, _events) = ns.fib_with(keep).await;
    // Without a line for a static route they may well be somebody else's.
    fib.settled().await.unwrap();
    assert_eq!(kernel(&ns), kept);
    statics(&fib, &[first[0], first[2], first[3]]).await;
    assert_eq!(
        kernel(&ns),
        [
            "192.0.2.0/24 1 10.0.1.2,10.0.2.2",
            "192.0.4.0/24 1 blackhole"
        ]
    );
    assert_eq!(kernel_in(&ns, "77").len(), 1);
    let deleted = fib.statistics().await.unwrap().operations;
    assert!(deleted <= 1, "{deleted} writes instead of one deletion");
    fib.sweep_stale().await.unwrap();
    fib.settled().await.unwrap();
    assert_eq!(kernel(&ns).len(), 2);
}

#[tokio::test]
async fn another_table_has_routes_of_its_own() {
    let Some(ns) = Net::with_links("table", 2) else {
        return;
    };
    ns.ip("route add 192.0.4.0/24 via 10.0.1.9 metric 4 table 100");
    let (fib, _events) = ns.fib().await;
    let routes = [
        "192.0.2.0/24 10.0.1.2 table 100",
        "192.0.2.0/24 10.0.2.2",
        "192.0.3.0/24 192.0.2.1 table 100",
        "192.0.4.0/24 10.0.1.2 4 table 100",
    ];
    statics(&fib, &routes).await;
    assert_eq!(kernel(&ns), ["192.0.2.0/24 1 10.0.2.2"]);
    // Resolved through the main table, and others' routes are left alone here as well.
    let own = ["192.0.2.0/24 1 10.0.1.2", "192.0.3.0/24 1 10.0.2.2"];
    assert_eq!(kernel_in(&ns, "100"), own);
    ns.ip("route del 192.0.4.0/24 table 100");
    eventually("the place is free", || kernel_in(&ns, "100").len() == 3).await;
    fib.shutdown(OnShutdown::Withdraw).await.unwrap();
    assert_eq!(kernel_in(&ns, "100"), Vec::<String>::new());
}

#[tokio::test]
async fn a_followed_table_is_told_of() {
    let Some(ns) = Net::with_links("followed", 1) else {
        return;
    };
    ns.ip("route add 192.0.2.0/24 via 10.0.1.2 table 100");
    ns.ip("-6 route add 2001:db8:1::/48 via fd00:1::2 table 100 metric 7");
    let (fib, mut events) = ns.fib().await;
    let table = Source::Table(100);
    fib.follow_tables(BTreeSet::from([100])).await.unwrap();
    assert_eq!(told(&mut events, "192.0.2.0/24", table).await, Some(0));
    assert_eq!(told(&mut events, "2001:db8:1::/48", table).await, Some(7));
    ns.ip("route add 192.0.3.0/24 via 10.0.1.2 table 100");
    assert_eq!(told(&mut events, "192.0.3.0/24", table).await, Some(0));
    ns.ip("route del 192.0.3.0/24 table 100");
    assert_eq!(told(&mut events, "192.0.3.0/24", table).await, None);
    ns.ip("link set e1 down");
    assert_eq!(told(&mut events, "192.0.2.0/24", table).await, None);
    ns.ip("link set e1 up");
    ns.ip("route add 192.0.2.0/24 via 10.0.1.2 table 100");
    assert_eq!(told(&mut events, "192.0.2.0/24", table).await, Some(0));
    fib.follow_tables(BTreeSet::new()).await.unwrap();
    assert_eq!(told(&mut events, "192.0.2.0/24", table).await, None);
}

/// A table that flaps beside a large one: each change is told, and nothing else.
#[tokio::test]
async fn a_change_of_one_route_is_told_alone() {
    let Some(ns) = Net::with_links("alone", 1) else {
        return;
    };
    let many: String = (0..2000)
        .map(|n| {
            let (high, low) = (n / 256, n % 256);
            format!("route add 172.16.{high}.{low}/32 via 10.0.1.2 proto static\n")
        })
        .collect();
    ns.batch(&many);
    let (_fib, mut events) = ns.fib().await;
    let mut first = 0;
    while first < 2000 {
        event("what is there", &mut events, |e| match e {
            Event::KernelRoute {
                source: Source::Static,
                ..
            } => Some(()),
            _ => None,
        })
        .await;
        first += 1;
    }
    for round in 0..50 {
        let metric = round + 1;
        ns.ip(&format!(
            "route add 192.0.2.0/24 via 10.0.1.2 proto static metric {metric}"
        ));
        let found = told(&mut events, "192.0.2.0/24", Source::Static).await;
        assert_eq!(found, Some(metric));
        ns.ip("route del 192.0.2.0/24");
        let next = event("the change", &mut events, |e| match e {
            Event::KernelRoute { prefix, metric, .. } => Some((prefix, metric)),
            _ => None,
        })
        .await;
        assert_eq!(next, (net("192.0.2.0/24"), None));
    }
}
