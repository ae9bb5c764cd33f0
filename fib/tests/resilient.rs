//! Resilient groups in a real kernel: which flow goes where, as `ip nexthop bucket` says.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use holdfast_fib::{FibHandle, FibOptions, OnShutdown, Resilient, Route, Stale, TrackKey};
use serde_json::Value;
use support::{Net, eventually, ip, net, set, via};

const FOUR: [&str; 4] = ["10.0.1.2", "10.0.2.2", "10.0.3.2", "10.0.4.2"];
const FOUR_V6: [&str; 4] = ["fd00:1::2", "fd00:2::2", "fd00:3::2", "fd00:4::2"];

const HUNDRED: Resilient = Resilient {
    buckets: 100,
    idle_timer_secs: 600,
    unbalanced_timer_secs: 0,
};

fn resilient(gateways: &[&str], how: Resilient) -> Arc<Route> {
    Arc::new(Route {
        resilient: Some(how),
        ..Route::clone(&via(gateways))
    })
}

fn prefixes(count: u32) -> Vec<String> {
    (0..count).map(|n| format!("198.18.{n}.0/24")).collect()
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

/// The object that a prefix uses.
fn object(ns: &Net, prefix: &str) -> Option<Value> {
    let id = ns.ours(prefix).first()?["nhid"].as_u64()?;
    ns.json(&format!("-d nexthop show id {id}")).pop()
}

/// The router of each bucket of a prefix's group.
fn buckets(ns: &Net, prefix: &str) -> Vec<String> {
    let Some(group) = object(ns, prefix) else {
        return Vec::new();
    };
    let routers: BTreeMap<u64, String> = ns
        .json("nexthop show")
        .into_iter()
        .filter_map(|hop| Some((hop["id"].as_u64()?, hop["gateway"].as_str()?.to_owned())))
        .collect();
    let mut rows = ns.json(&format!("nexthop bucket show id {}", group["id"]));
    rows.sort_by_key(|row| row["bucket"]["index"].as_u64());
    let router = |row: &Value| {
        row["bucket"]["nhid"]
            .as_u64()
            .and_then(|id| routers.get(&id))
    };
    rows.iter().filter_map(router).cloned().collect()
}

/// Asks for the way to so many addresses that every bucket of the group of all prefixes is busy.
fn talk(ns: &Net) {
    let addresses = (0..3000).map(|n| format!("198.18.{}.{}", n / 250, n % 250 + 1));
    let lines: Vec<String> = addresses.map(|a| format!("route get {a}\n")).collect();
    ns.batch(&lines.concat());
}

/// How many buckets are not where they were, apart from those that `gone` had.
fn moved(before: &[String], after: &[String], gone: &[&str]) -> usize {
    assert_eq!(before.len(), after.len());
    let both = before.iter().zip(after);
    both.filter(|(before, after)| before != after && !gone.contains(&before.as_str()))
        .count()
}

#[tokio::test]
async fn a_group_is_as_asked_for_and_shared_by_both_families() {
    let Some(ns) = Net::with_links("as-asked", 4) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let how = Resilient {
        buckets: 128,
        idle_timer_secs: 45,
        unbalanced_timer_secs: 300,
    };
    let (v4, v6) = ("198.18.0.0/24", "2001:db8::/48");
    let route = resilient(&FOUR_V6, how);
    fib.apply(set(&[(v4, &route), (v6, &route)])).await.unwrap();
    fib.settled().await.unwrap();
    let group = object(&ns, v4).unwrap();
    assert_eq!(object(&ns, v6).unwrap()["id"], group["id"]);
    assert_eq!(group["type"], "resilient");
    let args = &group["resilient_args"];
    assert_eq!(args["buckets"], 128);
    assert_eq!(args["idle_timer"], 45);
    assert_eq!(args["unbalanced_timer"], 300);
    let all = buckets(&ns, v4);
    for router in FOUR_V6 {
        assert_eq!(all.iter().filter(|bucket| *bucket == router).count(), 32);
    }
    // The same next hops without are another group.
    fib.apply(set(&[(v6, &via(&FOUR_V6))])).await.unwrap();
    fib.settled().await.unwrap();
    assert_ne!(object(&ns, v6).unwrap()["id"], group["id"]);
    assert!(object(&ns, v6).unwrap().get("resilient_args").is_none());
    // The longest timers that there are.
    let longest = Resilient {
        idle_timer_secs: u32::MAX,
        unbalanced_timer_secs: Resilient::MAX_TIMER_SECS,
        ..how
    };
    fib.apply(set(&[(v4, &resilient(&FOUR, longest))]))
        .await
        .unwrap();
    fib.settled().await.unwrap();
    let args = object(&ns, v4).unwrap()["resilient_args"].clone();
    for timer in ["idle_timer", "unbalanced_timer"] {
        let secs = args[timer].as_f64().unwrap();
        let longest = f64::from(Resilient::MAX_TIMER_SECS);
        assert!((secs - longest).abs() / longest < 1e-4, "{secs}");
    }
    fib.shutdown(OnShutdown::Withdraw).await.unwrap();
    assert!(ns.json("nexthop").is_empty());
}

#[tokio::test]
async fn flows_of_those_that_stay_stay_when_one_goes_and_comes() {
    let Some(ns) = Net::with_links("stay", 4) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let used = "198.18.7.0/24";
    let four = resilient(&FOUR, HUNDRED);
    apply(&fib, &prefixes(200), &four).await;
    talk(&ns);
    let before = buckets(&ns, used);
    assert_eq!(before.len(), 100);
    let writes = operations(&fib).await;
    let gone = TrackKey::from(ip(FOUR[1]));
    fib.suspend([gone]);
    eventually("the next hop is gone", || {
        !buckets(&ns, used).contains(&FOUR[1].to_owned())
    })
    .await;
    let without = buckets(&ns, used);
    assert_eq!(moved(&before, &without, &[FOUR[1]]), 0);
    // The routes that say so, and those that take it back: one message each, no prefix written.
    let three = resilient(&[FOUR[0], FOUR[2], FOUR[3]], HUNDRED);
    apply(&fib, &prefixes(200), &three).await;
    fib.resume(vec![gone]).await.unwrap();
    assert_eq!(operations(&fib).await - writes, 1);
    assert_eq!(buckets(&ns, used), without);
    talk(&ns);
    apply(&fib, &prefixes(200), &four).await;
    assert_eq!(operations(&fib).await - writes, 3);
    let group = object(&ns, used).unwrap();
    assert_eq!(group["group"].as_array().unwrap().len(), 4);
    // All buckets are busy, and wait.
    assert_eq!(buckets(&ns, used), without);
}

#[tokio::test]
async fn a_group_shrinks_to_one_and_grows_again() {
    let Some(ns) = Net::with_links("shrink", 4) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let used = "198.18.7.0/24";
    let four = resilient(&FOUR, HUNDRED);
    apply(&fib, &prefixes(50), &four).await;
    talk(&ns);
    let before = object(&ns, used).unwrap()["id"].clone();
    let flows = buckets(&ns, used);
    let gone = FOUR[1..].iter().map(|router| TrackKey::from(ip(router)));
    fib.suspend(gone.clone());
    eventually("all go to the one that is left", || {
        let all = buckets(&ns, used);
        all.len() == 100 && all.iter().all(|bucket| bucket == FOUR[0])
    })
    .await;
    apply(&fib, &prefixes(50), &resilient(&FOUR[..1], HUNDRED)).await;
    fib.resume(gone.collect()).await.unwrap();
    fib.settled().await.unwrap();
    assert_eq!(object(&ns, used).unwrap()["id"], before);
    apply(&fib, &prefixes(50), &four).await;
    let group = object(&ns, used).unwrap();
    assert_eq!(group["id"], before);
    assert_eq!(group["group"].as_array().unwrap().len(), 4);
    // Of what came to it meanwhile the kernel does not know that it was used: it does not look
    // into a group of one.
    assert_eq!(moved(&flows, &buckets(&ns, used), &FOUR[1..]), 0);
}

#[tokio::test]
async fn a_link_that_flaps_leaves_the_flows_of_others() {
    let Some(ns) = Net::with_links("flaps", 4) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let used = "198.18.7.0/24";
    apply(&fib, &prefixes(20), &resilient(&FOUR, HUNDRED)).await;
    let group = object(&ns, used).unwrap()["id"].clone();
    talk(&ns);
    let before = buckets(&ns, used);
    for (down, up) in [("p2", "p2"), ("e2", "e2")] {
        ns.ip(&format!("link set {down} down"));
        eventually("the router is left out", || {
            let all = buckets(&ns, used);
            all.len() == 100 && !all.contains(&FOUR[1].to_owned())
        })
        .await;
        assert_eq!(moved(&before, &buckets(&ns, used), &[FOUR[1]]), 0);
        ns.ip(&format!("link set {up} up"));
        eventually("the router is back", || {
            object(&ns, used).is_some_and(|g| g["group"].as_array().unwrap().len() == 4)
        })
        .await;
        fib.settled().await.unwrap();
        assert_eq!(moved(&before, &buckets(&ns, used), &[FOUR[1]]), 0);
        assert_eq!(object(&ns, used).unwrap()["id"], group);
    }
}

#[tokio::test]
async fn a_new_group_gives_flows_to_those_that_had_them() {
    let Some(ns) = Net::with_links("anew", 4) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let four = resilient(&FOUR, HUNDRED);
    apply(&fib, &prefixes(50), &four).await;
    let before = buckets(&ns, "198.18.0.0/24");
    // The object of the second is made anew, with a higher number than the others.
    let gone = TrackKey::from(ip(FOUR[1]));
    fib.suspend([gone]);
    let three = resilient(&[FOUR[0], FOUR[2], FOUR[3]], HUNDRED);
    apply(&fib, &prefixes(50), &three).await;
    fib.resume(vec![gone]).await.unwrap();
    // One of many: the group stays with the rest.
    apply(&fib, &prefixes(1), &four).await;
    assert_eq!(buckets(&ns, "198.18.0.0/24"), before);
    assert!(!buckets(&ns, "198.18.1.0/24").contains(&FOUR[1].to_owned()));
}

#[tokio::test]
async fn a_restart_adopts_resilient_groups_without_a_write() {
    let Some(ns) = Net::with_links("re-adopt", 4) else {
        return;
    };
    let four = resilient(&FOUR, HUNDRED);
    let (fib, _events) = ns.fib().await;
    apply(&fib, &prefixes(100), &four).await;
    let used = "198.18.7.0/24";
    talk(&ns);
    let before = (object(&ns, used), buckets(&ns, used));
    fib.shutdown(OnShutdown::Leave).await.unwrap();
    let keep = |options: &mut FibOptions| options.stale = Stale::Keep(Duration::from_secs(600));
    let (fib, _events) = ns.fib_with(keep).await;
    apply(&fib, &prefixes(100), &four).await;
    fib.sweep_stale().await.unwrap();
    assert_eq!(operations(&fib).await, 0);
    assert_eq!((object(&ns, used), buckets(&ns, used)), before);
    fib.shutdown(OnShutdown::Leave).await.unwrap();
    // One less than before: the group that is there is changed.
    let (fib, _events) = ns.fib_with(keep).await;
    apply(&fib, &prefixes(100), &resilient(&FOUR[..3], HUNDRED)).await;
    fib.sweep_stale().await.unwrap();
    fib.settled().await.unwrap();
    assert_eq!(object(&ns, used).unwrap()["id"], before.0.unwrap()["id"]);
    assert_eq!(moved(&before.1, &buckets(&ns, used), &[FOUR[3]]), 0);
    assert_eq!(ns.json("nexthop").len(), 4);
}

#[tokio::test]
async fn routes_go_from_plain_to_resilient_and_back_and_timers_change_in_place() {
    let Some(ns) = Net::with_links("switch", 4) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let used = "198.18.7.0/24";
    let plain = via(&FOUR);
    for _ in 0..2 {
        apply(&fib, &prefixes(30), &plain).await;
        assert!(object(&ns, used).unwrap().get("resilient_args").is_none());
        apply(&fib, &prefixes(30), &resilient(&FOUR, HUNDRED)).await;
        assert_eq!(object(&ns, used).unwrap()["resilient_args"]["buckets"], 100);
        assert_eq!(ns.count(), 30);
    }
    let writes = operations(&fib).await;
    let longer = Resilient {
        idle_timer_secs: 900,
        ..HUNDRED
    };
    let group = object(&ns, used).unwrap()["id"].clone();
    apply(&fib, &prefixes(30), &resilient(&FOUR, longer)).await;
    let changed = object(&ns, used).unwrap();
    assert_eq!(changed["id"], group);
    assert_eq!(changed["resilient_args"]["idle_timer"], 900);
    assert_eq!(operations(&fib).await - writes, 1);
    // Other buckets are another group.
    let more = Resilient {
        buckets: 200,
        ..longer
    };
    apply(&fib, &prefixes(30), &resilient(&FOUR, more)).await;
    assert_ne!(object(&ns, used).unwrap()["id"], group);
    assert_eq!(buckets(&ns, used).len(), 200);
    assert_eq!(ns.json("nexthop").len(), 5);
}

#[tokio::test]
async fn somebody_makes_the_group_another_and_it_is_mended() {
    let Some(ns) = Net::with_links("meddle", 2) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let used = "198.18.7.0/24";
    apply(&fib, &prefixes(10), &resilient(&FOUR[..2], HUNDRED)).await;
    let group = object(&ns, used).unwrap();
    let members: Vec<String> = group["group"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member["id"].to_string())
        .collect();
    ns.ip(&format!("nexthop del id {}", group["id"]));
    // It may be there again already; then this changes nothing.
    let theirs = format!(
        "nexthop add id {} group {} proto bgp",
        group["id"],
        members.join("/")
    );
    let _ = ns.try_ip(&theirs);
    eventually("all routes by a resilient group", || {
        ns.count() == 10 && object(&ns, used).is_some_and(|o| o["resilient_args"]["buckets"] == 100)
    })
    .await;
}

#[tokio::test]
async fn objects_are_left_and_used_again_while_running() {
    let Some(ns) = Net::with_links("objects", 4) else {
        return;
    };
    let (fib, _events) = ns.fib().await;
    let used = "198.18.7.0/24";
    apply(&fib, &prefixes(30), &resilient(&FOUR, HUNDRED)).await;
    for objects in [false, true, false] {
        fib.use_objects(objects).await.unwrap();
        fib.settled().await.unwrap();
        assert_eq!(ns.count(), 30);
        assert_eq!(ns.ours(used)[0].get("nhid").is_some(), objects);
        assert_eq!(ns.json("nexthop").is_empty(), !objects);
        assert_eq!(buckets(&ns, used).len(), if objects { 100 } else { 0 });
    }
    assert_eq!(support::gateways(&ns.ours(used)[0]), FOUR);
}
