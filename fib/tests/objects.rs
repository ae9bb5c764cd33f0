//! Nexthop objects in a real kernel, judged by what `ip nexthop` and `ip route` say.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use holdfast_fib::{
    Family, FibHandle, FibOptions, NextHop, OnShutdown, Route, RouteKind, Stale, TrackKey,
};
use serde_json::Value;
use support::{Net, event, eventually, gateways, ip, net, set, unset, via};

/// Our objects, groups apart from the rest.
fn objects(ns: &Net) -> (Vec<Value>, Vec<Value>) {
    let all = ns.json("nexthop show protocol 186");
    all.into_iter().partition(|o| o.get("group").is_some())
}

/// The routers of the group that a prefix uses, by way of `ip nexthop`.
fn routers(ns: &Net, prefix: &str) -> Vec<String> {
    let routes = ns.ours(prefix);
    let Some(id) = routes.first().and_then(|route| route["nhid"].as_u64()) else {
        return Vec::new();
    };
    let (groups, hops) = objects(ns);
    let gateway = |id: &Value| {
        let hop = hops.iter().find(|hop| hop["id"] == *id);
        hop.map(|hop| hop["gateway"].as_str().unwrap().to_owned())
    };
    let mut found: Vec<String> = match groups.iter().find(|group| group["id"] == id) {
        Some(group) => {
            let members = group["group"].as_array().unwrap().iter();
            members
                .filter_map(|member| gateway(&member["id"]))
                .collect()
        }
        None => gateway(&id.into()).into_iter().collect(),
    };
    found.sort();
    found
}

fn prefixes(count: u32) -> Vec<String> {
    (0..count)
        .map(|n| format!("198.{}.{}.0/24", 18 + n / 256, n % 256))
        .collect()
}

async fn apply(fib: &FibHandle, prefixes: &[String], route: &Arc<Route>) {
    let changes = prefixes.iter().map(|p| (net(p), Some(route.clone())));
    fib.apply(changes.collect()).await.unwrap();
    fib.settled().await.unwrap();
}

async fn operations(fib: &FibHandle) -> u64 {
    fib.settled().await.unwrap();
    fib.statistics().await.unwrap().operations
}

#[tokio::test]
async fn prefixes_of_both_families_share_one_group() {
    let Some(ns) = Net::with_links("share", 3) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let three = via(&["fd00:1::2", "fd00:2::2", "fd00:3::2"]);
    apply(&fib, &prefixes(100), &three).await;
    fib.apply(set(&[("2001:db8::/48", &three)])).await.unwrap();
    fib.settled().await.unwrap();
    let (groups, hops) = objects(&ns);
    assert_eq!((groups.len(), hops.len()), (1, 3));
    let used: BTreeSet<u64> = prefixes(100)
        .iter()
        .map(String::as_str)
        .chain(["2001:db8::/48"])
        .map(|prefix| ns.ours(prefix)[0]["nhid"].as_u64().unwrap())
        .collect();
    assert_eq!(used.len(), 1);
    let status = fib.routes(Family::V4).await.unwrap();
    assert!(
        status
            .iter()
            .all(|row| row.object.map(u64::from) == used.first().copied())
    );
    fib.shutdown(OnShutdown::Withdraw).await.unwrap();
    assert_eq!(objects(&ns), (vec![], vec![]));
}

#[tokio::test]
async fn a_suspended_next_hop_leaves_with_one_message_and_comes_back() {
    let Some(ns) = Net::with_links("suspend", 4) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let four = ["10.0.1.2", "10.0.2.2", "10.0.3.2", "10.0.4.2"];
    apply(&fib, &prefixes(1000), &via(&four)).await;
    // A prefix that has no other way keeps what it has.
    apply(&fib, &["203.0.113.0/24".to_owned()], &via(&["10.0.2.2"])).await;
    let before = operations(&fib).await;
    let gone = TrackKey::from(ip("10.0.2.2"));
    fib.suspend([gone]);
    eventually("the next hop is gone", || {
        routers(&ns, "198.18.7.0/24") == ["10.0.1.2", "10.0.3.2", "10.0.4.2"]
    })
    .await;
    assert_eq!(operations(&fib).await - before, 1);
    assert_eq!(routers(&ns, "203.0.113.0/24"), ["10.0.2.2"]);
    // The routes that say so find the group as they want it.
    let rest = via(&["10.0.1.2", "10.0.3.2", "10.0.4.2"]);
    apply(&fib, &prefixes(1000), &rest).await;
    assert_eq!(operations(&fib).await - before, 1);
    fib.resume(vec![gone]).await.unwrap();
    assert_eq!(operations(&fib).await - before, 1);
    apply(&fib, &prefixes(1), &via(&four)).await;
    assert_eq!(routers(&ns, "198.18.0.0/24"), four);
    assert_eq!(routers(&ns, "198.18.1.0/24").len(), 3);
}

#[tokio::test]
async fn what_is_resumed_without_other_routes_is_used_again() {
    let Some(ns) = Net::with_links("resume", 2) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    apply(&fib, &prefixes(10), &via(&["10.0.1.2", "10.0.2.2"])).await;
    let gone = TrackKey::from(ip("10.0.2.2"));
    fib.suspend([gone]);
    eventually("the next hop is gone", || {
        routers(&ns, "198.18.7.0/24") == ["10.0.1.2"]
    })
    .await;
    fib.resume(vec![gone]).await.unwrap();
    fib.settled().await.unwrap();
    assert_eq!(routers(&ns, "198.18.7.0/24"), ["10.0.1.2", "10.0.2.2"]);
}

#[tokio::test]
async fn links_that_flap_end_with_every_route_and_member() {
    let Some(ns) = Net::with_links("flap", 3) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let three = ["10.0.1.2", "10.0.2.2", "10.0.3.2"];
    apply(&fib, &prefixes(300), &via(&three)).await;
    apply(&fib, &["203.0.113.0/24".to_owned()], &via(&["10.0.2.2"])).await;
    for commands in [
        "link set e2 down\nlink set e2 up\n",
        "link set p2 down\nlink set p2 up\n",
        "link set e1 down\nlink set e2 down\nlink set e3 down\n\
         link set e1 up\nlink set e2 up\nlink set e3 up\n",
        "link set p1 down\nlink set p2 down\nlink set p3 down\n\
         link set p1 up\nlink set p2 up\nlink set p3 up\n",
        "addr del 10.0.2.1/24 dev e2\naddr add 10.0.2.1/24 dev e2\n",
        "nexthop del id ID\n",
        // `ip route flush` names next hops and object, which the kernel refuses for IPv4.
        "route del 198.18.0.0/24\nroute del 198.18.7.0/24\nroute del 203.0.113.0/24\n",
    ] {
        if commands.contains("ID") {
            for object in ns.json("nexthop") {
                // The last member has taken its group along.
                let _ = ns.try_ip(&commands.replace("ID", &object["id"].to_string()));
            }
        } else {
            ns.batch(commands);
        }
        eventually(&format!("all is back after {commands}"), || {
            ns.count() == 301
                && routers(&ns, "198.18.7.0/24") == three
                && routers(&ns, "203.0.113.0/24") == ["10.0.2.2"]
        })
        .await;
    }
    ns.ip("link set p2 down");
    eventually("the link without carrier is left out", || {
        routers(&ns, "198.18.7.0/24") == ["10.0.1.2", "10.0.3.2"] && ns.count() == 300
    })
    .await;
}

#[tokio::test]
async fn a_restart_adopts_objects_and_routes_without_a_write() {
    let Some(ns) = Net::with_links("adopt", 3) else {
        return;
    };
    let three = via(&["10.0.1.2", "10.0.2.2", "10.0.3.2"]);
    let one = via(&["10.0.3.2"]);
    let (fib, _events) = ns.fib().await;
    apply(&fib, &prefixes(500), &three).await;
    apply(&fib, &["203.0.113.0/24".to_owned()], &one).await;
    let before = (ns.json("nexthop"), ns.json("route show proto 186"));
    fib.shutdown(OnShutdown::Leave).await.unwrap();
    let keep = |options: &mut FibOptions| options.stale = Stale::Keep(Duration::from_secs(600));
    let (fib, _events) = ns.fib_with(keep).await;
    apply(&fib, &prefixes(500), &three).await;
    apply(&fib, &["203.0.113.0/24".to_owned()], &one).await;
    assert_eq!(operations(&fib).await, 0);
    fib.sweep_stale().await.unwrap();
    assert_eq!(operations(&fib).await, 0);
    let after = (ns.json("nexthop"), ns.json("route show proto 186"));
    assert_eq!(before, after);
    // What is not wanted again goes with the sweep, objects and all.
    fib.shutdown(OnShutdown::Leave).await.unwrap();
    let (fib, _events) = ns.fib_with(keep).await;
    apply(&fib, &["203.0.113.0/24".to_owned()], &one).await;
    assert_eq!(ns.count(), 501);
    fib.sweep_stale().await.unwrap();
    fib.settled().await.unwrap();
    assert_eq!(ns.count(), 1);
    let (groups, hops) = objects(&ns);
    assert_eq!((groups.len(), hops.len()), (0, 1));
}

#[tokio::test]
async fn a_restart_keeps_the_routes_of_groups_that_are_equal() {
    let Some(ns) = Net::with_links("equal", 2) else {
        return;
    };
    let first = 1_254_000_000;
    for n in 1..=2 {
        let id = first + n;
        ns.ip(&format!(
            "nexthop add id {id} via 10.0.{n}.2 dev e{n} proto bgp"
        ));
    }
    // Groups become equal when they are changed in place.
    for n in 3..=4 {
        let (id, one, two) = (first + n, first + 1, first + 2);
        ns.ip(&format!("nexthop add id {id} group {one}/{two} proto bgp"));
        ns.ip(&format!(
            "route add 198.18.{n}.0/24 nhid {id} proto bgp metric 20"
        ));
    }
    let keep = |options: &mut FibOptions| options.stale = Stale::Keep(Duration::from_secs(600));
    let (fib, _events) = ns.fib_with(keep).await;
    fib.settled().await.unwrap();
    assert_eq!(ns.count(), 2, "a packet would have been lost");
    let wanted = ["198.18.3.0/24".to_owned(), "198.18.4.0/24".to_owned()];
    apply(&fib, &wanted, &via(&["10.0.1.2", "10.0.2.2"])).await;
    fib.sweep_stale().await.unwrap();
    fib.settled().await.unwrap();
    let (groups, hops) = objects(&ns);
    assert_eq!((ns.count(), groups.len(), hops.len()), (2, 1, 2));
}

#[tokio::test]
async fn a_route_behind_the_next_hop_changes_and_no_prefix_is_written() {
    let Some(ns) = Net::with_links("recursive", 2) else {
        return;
    };
    ns.ip("route add 192.0.2.1/32 via 10.0.1.2 proto 189");
    let (fib, _events) = ns.fib().await;
    apply(&fib, &prefixes(1000), &via(&["192.0.2.1"])).await;
    assert_eq!(routers(&ns, "198.18.7.0/24"), ["10.0.1.2"]);
    let before = operations(&fib).await;
    ns.ip("route replace 192.0.2.1/32 via 10.0.2.2 proto 189");
    eventually("the group has moved", || {
        routers(&ns, "198.18.7.0/24") == ["10.0.2.2"]
    })
    .await;
    // The new member in, the group changed, the old member out.
    assert_eq!(operations(&fib).await - before, 3);
    ns.ip("route replace 192.0.2.1/32 proto 189 nexthop via 10.0.1.2 nexthop via 10.0.2.2");
    eventually("the group has both", || {
        routers(&ns, "198.18.7.0/24") == ["10.0.1.2", "10.0.2.2"]
    })
    .await;
    assert!(operations(&fib).await - before <= 6);
}

#[tokio::test]
async fn others_routes_by_nexthop_objects_resolve_next_hops() {
    let Some(ns) = Net::with_links("others", 2) else {
        return;
    };
    let compat = format!("/proc/sys/net/ipv4/{}", "nexthop_compat_mode");
    let hidden = format!("netns exec {} sh -c", ns.name);
    let command = format!("echo 0 > {compat}");
    let run = std::process::Command::new("ip")
        .args(hidden.split(' '))
        .arg(command)
        .status();
    if !run.unwrap().success() {
        eprintln!("skipped: nexthop_compat_mode cannot be set");
        return;
    }
    ns.ip("nexthop add id 7 via 10.0.1.2 dev e1");
    ns.ip("nexthop add id 8 via 10.0.2.2 dev e2");
    ns.ip("nexthop add id 9 group 7/8");
    ns.ip("route add 192.0.2.0/24 nhid 9 proto static");
    let (fib, mut events) = ns.fib().await;
    let key = TrackKey::from(ip("192.0.2.1"));
    fib.track(vec![key]).unwrap();
    let reached = |count: usize| {
        move |e| match e {
            holdfast_fib::Event::NextHopChanged { resolution, .. } => resolution
                .is_some_and(|r| r.multipath.len() == count)
                .then_some(()),
            _ => None,
        }
    };
    event("both ways", &mut events, reached(2)).await;
    ns.ip("nexthop del id 8");
    event("one way", &mut events, reached(1)).await;
    let (mine, theirs) = ("198.18.0.0/24", via(&["192.0.2.1"]));
    fib.apply(set(&[(mine, &theirs)])).await.unwrap();
    fib.settled().await.unwrap();
    assert_eq!(routers(&ns, mine), ["10.0.1.2"]);
    // The kernel deletes the route with the link, and tells nobody.
    ns.ip("link set e1 down");
    eventually("the route is gone", || ns.ours(mine).is_empty()).await;
}

#[tokio::test]
async fn without_objects_each_route_names_its_next_hops() {
    let Some(ns) = Net::with_links("plain", 2) else {
        return;
    };
    let (fib, _events) = ns.fib_with(|options| options.objects = false).await;
    let both = ["10.0.1.2", "10.0.2.2"];
    apply(&fib, &prefixes(2), &via(&both)).await;
    assert_eq!(gateways(&ns.ours("198.18.1.0/24")[0]), both);
    assert_eq!(ns.json("nexthop"), Vec::<Value>::new());
    // From one way to the other and back, without a route missing.
    fib.shutdown(OnShutdown::Leave).await.unwrap();
    let keep = Stale::Keep(Duration::from_secs(600));
    for objects in [true, false] {
        let (fib, _events) = ns
            .fib_with(|options| {
                options.objects = objects;
                options.stale = keep;
            })
            .await;
        apply(&fib, &prefixes(2), &via(&both)).await;
        fib.sweep_stale().await.unwrap();
        fib.settled().await.unwrap();
        assert_eq!(ns.ours("198.18.1.0/24")[0].get("nhid").is_some(), objects);
        assert_eq!(ns.json("nexthop").is_empty(), !objects);
        fib.shutdown(OnShutdown::Leave).await.unwrap();
    }
}

#[tokio::test]
async fn a_next_hop_that_the_kernel_refuses_is_left_out() {
    let Some(ns) = Net::with_links("refused", 2) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    // On a link that the router is not on, and not called onlink: the kernel says no.
    let elsewhere = NextHop {
        onlink: true,
        ..NextHop::on_interface(ip("10.9.9.9"), 4_000_000)
    };
    let mixed = Arc::new(Route {
        metric: 20,
        kind: RouteKind::Unicast(vec![NextHop::new(ip("10.0.1.2")), elsewhere]),
        prefsrc: None,
        resilient: None,
    });
    apply(&fib, &prefixes(1), &mixed).await;
    assert_eq!(routers(&ns, "198.18.0.0/24"), ["10.0.1.2"]);
    fib.apply(unset(&["198.18.0.0/24"])).await.unwrap();
    fib.settled().await.unwrap();
    assert_eq!(objects(&ns), (vec![], vec![]));
}

#[tokio::test]
async fn daemons_of_two_tables_leave_each_others_objects_alone() {
    let Some(ns) = Net::with_links("tables", 2) else {
        return;
    };
    let both = via(&["10.0.1.2", "10.0.2.2"]);
    let (one, _events) = ns.fib().await;
    apply(&one, &prefixes(3), &both).await;
    let (other, _events) = ns.fib_with(|options| options.table = 1000).await;
    apply(&other, &prefixes(3), &both).await;
    let (groups, hops) = objects(&ns);
    assert_eq!((groups.len(), hops.len()), (2, 4));
    other.shutdown(OnShutdown::Withdraw).await.unwrap();
    one.settled().await.unwrap();
    assert_eq!(routers(&ns, "198.18.1.0/24"), ["10.0.1.2", "10.0.2.2"]);
    let (groups, hops) = objects(&ns);
    assert_eq!((groups.len(), hops.len()), (1, 2));
}

#[tokio::test]
async fn a_foreign_route_that_goes_with_its_link_or_object_makes_room_for_ours() {
    let Some(ns) = Net::with_links("room", 2) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let (prefix, ours) = ("198.51.100.0/24", via(&["10.0.2.2"]));
    ns.ip("nexthop add id 7 via 10.0.1.2 dev e1 proto static");
    for (theirs, goes) in [
        ("via 10.0.1.2", "link set e1 down"),
        ("nhid 7", "nexthop del id 7"),
    ] {
        ns.ip(&format!(
            "route add {prefix} {theirs} proto static metric 20"
        ));
        fib.apply(set(&[(prefix, &ours)])).await.unwrap();
        fib.settled().await.unwrap();
        assert!(ns.ours(prefix).is_empty(), "theirs was there first");
        ns.ip(goes);
        eventually("the route in place of theirs", || {
            routers(&ns, prefix) == ["10.0.2.2"]
        })
        .await;
        fib.apply(unset(&[prefix])).await.unwrap();
        fib.settled().await.unwrap();
        // The link's objects went with it.
        ns.ip("link set e1 up");
        ns.ip("nexthop replace id 7 via 10.0.1.2 dev e1 proto static");
    }
}

/// `ip nexthop` of iproute2 6.1 shows the lower octet alone; that a second run has nothing to
/// write says the rest.
#[tokio::test]
async fn weights_of_16_bits_reach_the_kernel_and_are_read_back() {
    let Some(ns) = Net::with_links("weights", 3) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let hops = [("10.0.1.2", 10_000), ("10.0.2.2", 1), ("10.0.3.2", 500)];
    let hop = |(gateway, weight)| NextHop {
        weight,
        ..NextHop::new(ip(gateway))
    };
    let route = Arc::new(Route {
        metric: 20,
        kind: RouteKind::Unicast(hops.map(hop).to_vec()),
        prefsrc: None,
        resilient: None,
    });
    apply(&fib, &prefixes(1), &route).await;
    let (groups, _) = objects(&ns);
    let weight = |member: &Value| member["weight"].as_u64().unwrap_or(1);
    let mut shown: Vec<u64> = groups[0]["group"]
        .as_array()
        .unwrap()
        .iter()
        .map(weight)
        .collect();
    shown.sort_unstable();
    let wide = fib.max_weight() == u16::MAX;
    let low = |weight: u64| (weight - 1) % 256 + 1;
    let mut expected = match wide {
        true => vec![low(10_000), 1, low(500)],
        false => vec![256, 1, 13],
    };
    expected.sort_unstable();
    assert_eq!(shown, expected);
    fib.shutdown(OnShutdown::Leave).await.unwrap();
    let keep = |options: &mut FibOptions| options.stale = Stale::Keep(Duration::from_secs(60));
    let (fib, _events) = ns.fib_with(keep).await;
    apply(&fib, &prefixes(1), &route).await;
    fib.sweep_stale().await.unwrap();
    assert_eq!(operations(&fib).await, 0);
    assert_eq!(objects(&ns).0, groups);
    fib.shutdown(OnShutdown::Withdraw).await.unwrap();
}
