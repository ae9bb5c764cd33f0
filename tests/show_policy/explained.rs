//! Policies that explain themselves: why a path is the best, what a route map
//! would do, and how often its entries were used.

use serde_json::Value;

use super::Network;
use crate::harness::{Holdfast, Router, SOON, need, wait_for};

/// The path of a `why` that came from this neighbor.
fn path_of<'a>(document: &'a Value, peer: &str) -> &'a Value {
    let paths = document["paths"].as_array().expect("paths");
    let found = paths.iter().find(|path| path["peer"] == peer);
    found.unwrap_or_else(|| panic!("no path of {peer}: {document}"))
}

fn is_in(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[test]
fn paths_say_why_they_lost() {
    need!("bird");
    let network = Network::start(Holdfast::start);
    let router = &network.router;
    let why = |prefix: &str| router.json(&format!("show bgp ipv4 unicast {prefix} why json"));

    let lost = why("10.1.0.0/16");
    let (first, second) = (path_of(&lost, "10.0.1.2"), path_of(&lost, "10.0.2.2"));
    assert_eq!(first["standing"], "best");
    assert_eq!(second["standing"], "lost");
    for (key, value) in [
        ("step", "weight"),
        ("value", "0"),
        ("relation", "<"),
        ("otherValue", "7"),
    ] {
        assert_eq!(second[key], value, "{lost}");
    }
    let text = router.vtysh("show bgp ipv4 unicast 10.1.0.0/16 why");
    is_in(
        &text,
        &["best: weight 7 > 0 of the runner-up", "lost: weight 0 < 7"],
    );

    let refused = why("10.2.0.0/20");
    let of = path_of(&refused, "10.0.1.2");
    assert_eq!(of["standing"], "refused");
    assert_eq!(
        of["reason"],
        "denied by import policy: route-map IN entry 10"
    );
    assert_eq!(path_of(&refused, "10.0.2.2")["standing"], "best");

    // Without the weight, other steps decide.
    let edit = [
        "configure terminal",
        "route-map SUB permit 10",
        "no set weight",
        "end",
    ];
    assert_eq!(router.shell(&edit).code, Some(0));
    wait_for(SOON, "local preference decides", || {
        let now = why("10.1.0.0/16");
        let second = path_of(&now, "10.0.2.2");
        match (second["step"].as_str(), second["value"].as_str()) {
            (Some("local preference"), Some("120")) => Ok(()),
            _ => Err(now.to_string()),
        }
    });
    assert_eq!(
        router.vtysh("show bgp ipv4 unicast 100.64.0.0/10 why"),
        "% Network not in table\n"
    );
}

#[test]
fn a_route_map_is_tried_without_effect() {
    need!("bird");
    let network = Network::start(Holdfast::start);
    let router = &network.router;
    let counters = || router.vtysh("show route-map IN");
    let before = counters();

    let made_up = "policy test IN in prefix 10.9.0.0/16 as-path \"64512 65001\" med 3 \
                   community 65001:2 local-preference 50";
    let text = router.vtysh(made_up);
    is_in(
        &text,
        &[
            "10.9.0.0/16: permitted, changed",
            "  med 3 -> 8",
            "  local-preference 50 -> 150",
            "  weight 0 -> 7",
            "match metric 7: no, it is 3",
            "match as-path AP: yes",
            "call SUB",
            "go on at 40",
        ],
    );
    let denied = "policy test IN in prefix 10.9.0.0/16 as-path 65009 json";
    let denied = router.json(denied);
    assert_eq!(denied["denied"], 1, "{denied}");
    assert_eq!(denied["entries"][0]["routeMap"], "SUB");

    let live = router.json("policy test IN in peer 10.0.1.2 json");
    assert_eq!(
        (&live["permitted"], &live["denied"]),
        (&Value::from(5), &Value::from(1)),
        "{live}"
    );
    let one = router.json("policy test IN in peer 10.0.1.2 prefix 198.51.100.0/24 json");
    assert_eq!(one["routes"][0]["changes"]["med"]["before"], "7", "{one}");
    assert_eq!(one["routes"][0]["changes"]["med"]["after"], "12");
    // What goes to the other neighbor is what it did not say itself.
    let out = router.json("policy test OUT out peer 10.0.2.2 json");
    assert_eq!(out["permitted"], 5, "{out}");
    assert_eq!(out["routes"][0]["changes"]["med"]["after"], "99");

    for (line, answer) in [
        (
            "policy test NOPE in prefix 10.0.0.0/8",
            "% NOPE route-map not found\n",
        ),
        ("policy test IN med 1", "% prefix or peer is missing\n"),
        (
            "policy test IN peer 10.0.3.9",
            "% the session with 10.0.3.9 is not up\n",
        ),
        (
            "policy test IN prefix 10.0.0.0/8 community x",
            "% Community malformed: x\n",
        ),
    ] {
        assert_eq!(router.vtysh(line), answer, "{line}");
    }
    assert_eq!(counters(), before, "a test does not count");
}

#[test]
fn hits_are_counted_and_cleared() {
    need!("bird");
    let network = Network::start(Holdfast::start);
    let router = &network.router;
    let rules = || router.json("show route-map IN json")["BGP"]["IN"].clone();
    let counts = |map: &Value, key: &str| -> Vec<u64> {
        let rules = map["rules"].as_array().expect("rules").iter();
        rules.filter_map(|rule| rule[key].as_u64()).collect()
    };
    let map = rules();
    assert_eq!(map["invoked"], 6, "{map}");
    assert_eq!(counts(&map, "invoked"), [1, 1, 5, 5], "{map}");
    assert_eq!(counts(&map, "evaluated"), [6, 6, 5, 5], "{map}");
    let hits = |name: &str, seq: u64| -> u64 {
        let list = router.json("show ip prefix-list detail json")["BGP"][name].clone();
        let entries = list["entries"].as_array().expect("entries").iter();
        let mut entries = entries.filter(|entry| entry["sequenceNumber"] == seq);
        entries
            .next()
            .and_then(|e| e["hitCount"].as_u64())
            .expect("a count")
    };
    assert!(hits("P4", 5) > 0 && hits("P4", 15) > 0);
    router.vtysh("clear ip prefix-list P4 10.0.0.0/8");
    assert_eq!(hits("P4", 5), 0);
    assert!(hits("P4", 15) > 0);
    router.vtysh("clear ip prefix-list");
    assert_eq!(hits("P4", 15), 0);
    router.vtysh("clear route-map counters");
    let map = rules();
    assert_eq!(map["invoked"], 0);
    assert_eq!(counts(&map, "evaluated"), [0, 0, 0, 0]);
    // What the shell asks for by a list counts nothing.
    router.vtysh("show bgp ipv4 unicast prefix-list P4");
    router.vtysh("show bgp ipv4 unicast route-map IN");
    assert_eq!(hits("P4", 5), 0);
    assert_eq!(rules()["invoked"], 0);
}
