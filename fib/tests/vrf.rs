//! Routes in a table whose next hops mean something in another, and VRF devices
//! where the kernel has them.

mod support;

use std::sync::Arc;

use holdfast_fib::{NextHop, OnShutdown, Route, RouteKind, Source};
use serde_json::Value;
use support::{Net, event, eventually, gateways, ip, net, set, via};

/// Routes of ours in a table for a prefix: gateways and interfaces, and whether
/// all are on the link whatever the addresses say.
fn ways(ns: &Net, table: u32, prefix: &str) -> Vec<(String, String, bool)> {
    let routes = ns.json(&format!("-N route show {prefix} table {table} proto 186"));
    let hops = routes
        .iter()
        .flat_map(|route| match route["nexthops"].as_array() {
            Some(hops) => hops.clone(),
            None => vec![route.clone()],
        });
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let onlink = |hop: &Value| hop["flags"].to_string().contains("onlink");
    hops.map(|hop| (text(&hop["gateway"]), text(&hop["dev"]), onlink(&hop)))
        .collect()
}

fn way(gateway: &str, dev: &str) -> Vec<(String, String, bool)> {
    vec![(gateway.to_owned(), dev.to_owned(), true)]
}

#[tokio::test]
async fn next_hops_of_another_table_are_followed_there() {
    let Some(ns) = Net::with_links("elsewhere", 2) else {
        return;
    };
    // The address leads elsewhere here.
    ns.ip("route add 10.50.0.0/16 via 10.0.1.9");
    ns.ip("route add 10.50.0.0/16 via 10.0.2.2 table 77");
    let (fib, _events) = ns.fib_with(|options| options.table = 88).await;
    let next_hop = NextHop {
        table: Some(77),
        ..NextHop::new(ip("10.50.0.5"))
    };
    let route = Arc::new(Route {
        metric: 20,
        kind: RouteKind::Unicast(vec![next_hop]),
        prefsrc: None,
        resilient: None,
    });
    fib.apply(set(&[
        ("192.0.2.0/24", &route),
        ("198.51.100.0/24", &via(&["10.50.0.5"])),
    ]))
    .await
    .unwrap();
    eventually("by way of the other table", || {
        ways(&ns, 88, "192.0.2.0/24") == way("10.0.2.2", "e2")
    })
    .await;
    let main = ns.json("-N route show 198.51.100.0/24 table 88 proto 186");
    assert_eq!(gateways(&main[0]), ["10.0.1.9"]);
    // What changes there, changes here.
    ns.ip("route replace 10.50.0.0/16 via 10.0.1.2 table 77");
    eventually("the other way", || {
        ways(&ns, 88, "192.0.2.0/24") == way("10.0.1.2", "e1")
    })
    .await;
    ns.ip("route del 10.50.0.0/16 table 77");
    eventually("no way", || ways(&ns, 88, "192.0.2.0/24").is_empty()).await;
    // BGP's routes over there lead nowhere.
    ns.ip("route add 10.50.0.0/24 via 10.0.2.2 table 77 proto bgp");
    ns.ip("route add 10.50.0.0/16 via 10.0.1.2 table 77");
    eventually("a way again", || {
        ways(&ns, 88, "192.0.2.0/24") == way("10.0.1.2", "e1")
    })
    .await;
    fib.shutdown(OnShutdown::Withdraw).await.unwrap();
    assert!(ns.json("-N route show table 88").is_empty());
    assert_eq!(ns.json("-N route show table 77").len(), 2);
}

#[tokio::test]
async fn routes_of_others_in_another_table_go_without_a_word_as_in_main() {
    let Some(ns) = Net::with_links("lost", 2) else {
        return;
    };
    let (fib, _events) = ns.fib_with(|options| options.table = 88).await;
    let (prefix, ours) = ("198.51.100.0/24", via(&["10.0.2.2"]));
    let there = || ns.json(&format!("-N route show {prefix} table 88 proto 186"));
    ns.ip("nexthop add id 7 via 10.0.1.2 dev e1 proto static");
    for (theirs, goes) in [
        ("via 10.0.1.2", "link set e1 down"),
        ("nhid 7", "nexthop del id 7"),
        ("nhid 7", "link set e1 down"),
    ] {
        ns.ip(&format!(
            "route add {prefix} {theirs} table 88 proto static metric 20"
        ));
        fib.apply(set(&[(prefix, &ours)])).await.unwrap();
        fib.settled().await.unwrap();
        assert!(there().is_empty(), "theirs was there first");
        ns.ip(goes);
        eventually("ours in place of theirs", || {
            there().iter().map(gateways).collect::<Vec<_>>() == [["10.0.2.2"]]
        })
        .await;
        fib.apply(support::unset(&[prefix])).await.unwrap();
        fib.settled().await.unwrap();
        ns.ip("link set e1 up");
        ns.ip("nexthop replace id 7 via 10.0.1.2 dev e1 proto static");
    }
}

#[tokio::test]
async fn the_interfaces_of_a_vrf_device_are_its_own() {
    let Some(ns) = Net::with_links("device", 2) else {
        return;
    };
    if let Err(error) = ns.try_ip("link add RED type vrf table 1001") {
        eprintln!("skipped: this kernel has no VRF devices: {}", error.trim());
        return;
    }
    ns.ip("link set RED up");
    ns.ip("link set e2 master RED");
    let device = ns.ifindex("RED");
    let (fib, mut events) = ns
        .fib_with(|options| {
            (options.table, options.resolve_table) = (1001, 1001);
            options.vrf = Some(device);
        })
        .await;
    let view = fib.view().of_vrf(Some(device));
    let names: Vec<_> = view.interfaces().iter().map(|i| i.name.as_str()).collect();
    assert!(names.contains(&"e2") && !names.contains(&"e1"), "{names:?}");
    event("the subnet of e2", &mut events, |event| match event {
        holdfast_fib::Event::KernelRoute { prefix, source, .. } => {
            assert_ne!(prefix, net("10.0.1.0/24"));
            (prefix == net("10.0.2.0/24") && source == Source::Connected).then_some(())
        }
        _ => None,
    })
    .await;
    fib.apply(set(&[
        ("192.0.2.0/24", &via(&["10.0.2.2"])),
        ("198.51.100.0/24", &via(&["10.0.1.2"])),
    ]))
    .await
    .unwrap();
    fib.settled().await.unwrap();
    let routes = ns.json("-N route show table 1001 proto 186");
    assert_eq!(routes.len(), 1, "{routes:?}");
    assert_eq!(gateways(&routes[0]), ["10.0.2.2"]);
}
