//! Where policies apply, beside FRR: aggregates, what is suppressed, the kernel's
//! table, the kinds of communities, routes of our own. One configuration is
//! edited step by step in both, and after each step both have told their
//! neighbors and their kernels the same.
//!
//! ```text
//!   BIRD, a table and a session each        10.0.8.2 is of our own AS
//!              |
//!   FRR 10.0.N.1            and the same once more with Holdfast
//! ```

#[path = "policy/generate.rs"]
#[allow(dead_code, reason = "its random half is another test's")]
mod generate;
mod harness;
#[path = "policy/lab.rs"]
#[allow(dead_code, reason = "other tests ask other questions")]
mod lab;
#[path = "chaos/random.rs"]
#[allow(dead_code, reason = "what is generated is another test's")]
mod random;

use std::collections::BTreeMap;
use std::fmt::Write;

use generate::{PEERS, Version, bird_session};
use harness::{Frr, Holdfast, Router, SOON, need, wait_for};
use lab::{Lab, differences};
use serde_json::Value;

/// What BIRD announces: by which peer, the prefix, and what its filter sets.
const ROUTES: [(usize, &str, &str); 9] = [
    (1, "10.1.0.0/24", "bgp_path.prepend(64500); bgp_med = 5;"),
    (
        1,
        "10.1.1.0/24",
        "bgp_path.prepend(64501); bgp_med = 5; bgp_origin = ORIGIN_INCOMPLETE;",
    ),
    (
        2,
        "10.1.2.0/24",
        "bgp_path.prepend(64500); bgp_med = 7; bgp_community.add((65001,1));",
    ),
    (2, "10.1.2.128/25", "bgp_community.add((65001,2));"),
    (
        1,
        "10.2.0.0/16",
        "bgp_community.add((65001,3)); bgp_large_community.add((1,2,3));",
    ),
    (2, "10.2.0.0/16", "bgp_ext_community.add((rt,1,1));"),
    (2, "10.2.3.0/24", ""),
    (8, "10.3.0.0/24", ""),
    (8, "10.3.1.0/24", "bgp_local_pref = 200;"),
];

const fn asn(peer: usize) -> usize {
    match peer {
        8 => 65_000,
        _ => 65_100 + peer,
    }
}

fn bird() -> String {
    let mut text = "router id 10.0.1.2;\n".to_owned();
    for n in 1..=PEERS {
        let own = ROUTES.iter().filter(|(peer, ..)| *peer == n);
        let (mut routes, mut dress) = (String::new(), String::new());
        for (_, prefix, attributes) in own {
            let _ = writeln!(routes, "  route {prefix} blackhole;");
            let _ = writeln!(dress, "      if net = {prefix} then {{ {attributes} }}");
        }
        text += &bird_session(Version::V4, n, asn(n), &routes, &dress);
    }
    text
}

const LISTS: &str = "frr version 8.4.4
hostname router
ip prefix-list ONE seq 5 permit 10.1.1.0/24
ip prefix-list TWO seq 5 permit 10.1.2.0/24 le 32
bgp community-list standard TAGGED seq 5 permit 65001:1
!
";

const MAPS: &str = "route-map ONE permit 10
 match ip address prefix-list ONE
exit
route-map TWO permit 10
 match ip address prefix-list TWO
 set metric 77
exit
route-map DRESS permit 10
 set community 65009:9
 set metric 33
 set local-preference 300
exit
route-map NOTHING deny 10
exit
route-map KERNEL deny 10
 match community TAGGED
exit
route-map KERNEL permit 20
 set metric 40
exit
route-map SOURCE permit 10
 match ip address prefix-list TWO
 set src 10.0.1.1
exit
route-map SOURCE deny 20
 match ip address prefix-list ONE
exit
route-map SOURCE permit 30
exit
";

fn router() -> String {
    let mut text = format!("{LISTS}router bgp 65000\n bgp router-id 10.0.0.1\n");
    text += " no bgp ebgp-requires-policy\n no bgp network import-check\n";
    for n in 1..=PEERS {
        let _ = writeln!(text, " neighbor 10.0.{n}.2 remote-as {}", asn(n));
        let _ = writeln!(text, " neighbor 10.0.{n}.2 timers connect 1");
    }
    format!("{text}exit\n{MAPS}")
}

/// What is typed below `router bgp 65000` and `address-family ipv4 unicast`,
/// step by step.
type Steps = [(&'static str, &'static [&'static str])];

const AGGREGATES: &Steps = &[
    ("nothing is aggregated", &[]),
    ("an aggregate", &["aggregate-address 10.1.0.0/16"]),
    ("as a set", &["aggregate-address 10.1.0.0/16 as-set"]),
    (
        "alone",
        &["aggregate-address 10.1.0.0/16 as-set summary-only"],
    ),
    ("unsuppressed", &["neighbor 10.0.3.2 unsuppress-map TWO"]),
    (
        "with an origin",
        &["aggregate-address 10.1.0.0/16 summary-only origin egp"],
    ),
    (
        "of the same MED",
        &["aggregate-address 10.1.0.0/16 matching-MED-only"],
    ),
    (
        "with a suppress-map",
        &["aggregate-address 10.1.0.0/16 suppress-map ONE"],
    ),
    (
        "with a route-map",
        &["aggregate-address 10.1.0.0/16 summary-only route-map DRESS"],
    ),
    (
        "denied",
        &["aggregate-address 10.1.0.0/16 summary-only route-map NOTHING"],
    ),
    (
        "by a map that is not there",
        &["aggregate-address 10.1.0.0/16 summary-only route-map MISSING"],
    ),
    (
        "suppressed by none",
        &["aggregate-address 10.1.0.0/16 suppress-map MISSING"],
    ),
    (
        "two in each other",
        &[
            "aggregate-address 10.1.0.0/16",
            "aggregate-address 10.0.0.0/8 summary-only",
        ],
    ),
    (
        "none again",
        &[
            "no aggregate-address 10.1.0.0/16",
            "no aggregate-address 10.0.0.0/8",
        ],
    ),
    ("of nothing", &["aggregate-address 172.16.0.0/12"]),
    (
        "of networks",
        &[
            "network 172.16.1.0/24",
            "network 172.16.2.0/24 route-map DRESS",
        ],
    ),
];

/// The same, where there are no aggregates.
const OTHERS: &Steps = &[
    ("no communities", &["no neighbor 10.0.3.2 send-community"]),
    (
        "no large ones",
        &["no neighbor 10.0.4.2 send-community large"],
    ),
    (
        "no extended ones",
        &["no neighbor 10.0.5.2 send-community extended"],
    ),
    ("none at all", &["no neighbor 10.0.6.2 send-community all"]),
    ("a table map", &["table-map KERNEL"]),
    ("one that is not there", &["table-map MISSING"]),
    ("none", &["no table-map MISSING"]),
    ("weights", &["neighbor 10.0.2.2 weight 50"]),
    ("a default route", &["neighbor 10.0.7.2 default-originate"]),
    ("to our own AS", &["neighbor 10.0.8.2 default-originate"]),
    (
        "which a map dresses",
        &["neighbor 10.0.7.2 default-originate route-map TWO"],
    ),
    (
        "or takes away",
        &["neighbor 10.0.7.2 default-originate route-map NOTHING"],
    ),
    ("beside one in the table", &["network 0.0.0.0/0"]),
    (
        "no more",
        &[
            "no neighbor 10.0.7.2 default-originate",
            "no neighbor 10.0.8.2 default-originate",
        ],
    ),
];

/// What a router has, has told, and what its kernel has.
fn outcome<R: Router>(lab: &Lab<R>) -> BTreeMap<String, String> {
    let mut all = lab.heard();
    let table = lab.router.json("show bgp ipv4 unicast json");
    for (prefix, paths) in table["routes"].as_object().into_iter().flatten() {
        for path in paths.as_array().into_iter().flatten() {
            let of = |key: &str| match &path[key] {
                Value::Null => "-".to_owned(),
                value => value.to_string(),
            };
            let keys = [
                "valid",
                "locPrf",
                "suppressed",
                "bestpath",
                "path",
                "metric",
                "weight",
                "origin",
            ];
            let shown = keys.map(|key| format!("{key} {}", of(key)));
            let from = path["peerId"].as_str().unwrap_or_default();
            all.insert(format!("table {prefix} of {from}"), shown.join(" "));
        }
    }
    for route in lab.at.listing("-d route show proto bgp") {
        let of = |key: &str| route[key].as_str().unwrap_or("-").to_owned();
        let shown = ["type", "prefsrc"].map(of).join(" ");
        all.insert(format!("kernel {}", of("dst")), shown);
    }
    all
}

#[test]
fn frr_and_we_aggregate_alike() {
    need!("/usr/lib/frr/bgpd", "/usr/sbin/bird");
    compare(AGGREGATES);
}

#[test]
fn frr_and_we_apply_policies_in_the_same_places() {
    need!("/usr/lib/frr/bgpd", "/usr/sbin/bird");
    compare(OTHERS);
}

fn compare(steps: &Steps) {
    let (config, bird) = (router(), bird());
    let ours = Lab::start((&config, &bird), |topology, namespace, config| {
        Holdfast::start(topology, namespace, config)
    });
    let theirs = Lab::start((&config, &bird), |topology, namespace, config| {
        Frr::start(topology, namespace, config)
    });
    ours.settle();
    theirs.settle();
    for (step, lines) in steps {
        let head = [
            "configure terminal",
            "router bgp 65000",
            "address-family ipv4 unicast",
        ];
        let commands: Vec<&str> = head.iter().chain(*lines).copied().collect();
        for router in [&ours.router as &dyn Router, &theirs.router] {
            let answer = router.shell(&commands);
            assert_eq!(answer.code, Some(0), "{step}: {answer:?}");
        }
        same(step, &ours, &theirs);
    }
}

fn same(step: &str, ours: &Lab<Holdfast>, theirs: &Lab<Frr>) {
    let mut last = String::new();
    let compared = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for(SOON, "the same", || {
            let (ours, theirs) = (outcome(ours), outcome(theirs));
            last = differences(&ours, &theirs);
            match last.is_empty() && !ours.is_empty() {
                true => Ok(()),
                false => Err(String::new()),
            }
        });
    }));
    assert!(compared.is_ok(), "{step}:\n{last}");
}
