//! Traffic by link bandwidth (draft-ietf-idr-link-bandwidth): three FRR say what their links
//! carry, the kernel gets the weights, and a fourth hears what we carry together.
//!
//! ```text
//!  one   10.1.0.2 (AS 65001) -+
//!  two   10.2.0.2 (AS 65002) -- router - 10.4.0.2 (AS 65004) observer
//!  three 10.3.0.2 (AS 65003) -+
//! ```

mod harness;

use std::collections::BTreeMap;

use harness::router::RouterKind;
use harness::{Frr, Namespace, Router, SOON, Topology, need, router, wait_for};

const PREFIX: &str = "198.18.0.0/15";

const ROUTER: &str = "router bgp 65000
 bgp router-id 10.0.0.1
 no bgp ebgp-requires-policy
 bgp bestpath as-path multipath-relax
 neighbor 10.1.0.2 remote-as 65001
 neighbor 10.2.0.2 remote-as 65002
 neighbor 10.3.0.2 remote-as 65003
 neighbor 10.4.0.2 remote-as 65004
exit
";

fn sender(number: u32) -> String {
    format!(
        "router bgp {asn}
 bgp router-id 10.{number}.0.2
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor 10.{number}.0.1 remote-as 65000
 neighbor 10.{number}.0.1 timers connect 1
 address-family ipv4 unicast
  network {PREFIX}
  neighbor 10.{number}.0.1 route-map OUT out
 exit-address-family
exit
bgp route-map delay-timer 1
route-map OUT permit 10
exit
",
        asn = 65000 + number
    )
}

const OBSERVER: &str = "router bgp 65004
 bgp router-id 10.4.0.2
 no bgp ebgp-requires-policy
 neighbor 10.4.0.1 remote-as 65000
 neighbor 10.4.0.1 timers connect 1
exit
";

/// Dropped from the top.
struct Lab {
    router: Box<dyn Router>,
    senders: Vec<Frr>,
    observer: Frr,
    kernel: Namespace,
    _topology: Topology,
}

/// Weights of the kernel's next hops, by router.
type Weights = BTreeMap<String, u64>;

impl Lab {
    fn up() -> Self {
        let topology = Topology::new();
        let kernel = topology.namespace("router");
        let attach = |number: u32| {
            let peer = topology.namespace(&format!("peer{number}"));
            let (far, near) = (format!("10.{number}.0.2/24"), format!("10.{number}.0.1/24"));
            let port = format!("eth{number}");
            topology.link(peer.end("eth0", &far), kernel.end(&port, &near));
            peer
        };
        let peers: Vec<Namespace> = (1..=4).map(attach).collect();
        let router = router::start(&topology, &kernel, ROUTER);
        let start = |(number, peer)| Frr::start_without_kernel(&topology, peer, &sender(number));
        let lab = Self {
            router,
            senders: (1..).zip(&peers[..3]).map(start).collect(),
            observer: Frr::start_without_kernel(&topology, &peers[3], OBSERVER),
            kernel,
            _topology: topology,
        };
        let peers = ["10.1.0.2", "10.2.0.2", "10.3.0.2", "10.4.0.2"];
        lab.router.wait_established(&peers);
        lab.router.wait_paths(PREFIX, 3);
        lab
    }

    /// What a sender says of its link from now on, as FRR takes it: in Mbit/s.
    fn say(&self, number: usize, bandwidth: &str) {
        let set = match bandwidth {
            "" => "no set extcommunity bandwidth".to_owned(),
            bandwidth => format!("set extcommunity bandwidth {bandwidth}"),
        };
        let lines = ["configure terminal", "route-map OUT permit 10", &set];
        let answer = self.senders[number - 1].shell(&lines);
        assert_eq!(answer.code, Some(0), "{answer:?}");
    }

    fn configure(&self, lines: &[&str]) {
        let mut all = vec!["configure terminal", "router bgp 65000"];
        all.extend(lines);
        let answer = self.router.shell(&all);
        assert_eq!(answer.code, Some(0), "{answer:?}");
    }

    /// As the kernel has them. `ip` shows the lower octet of a weight.
    fn weights(&self) -> Weights {
        let text = self.kernel.ip(&format!("-j route show {PREFIX}"));
        let routes: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let hops = routes[0]["nexthops"].as_array().cloned();
        let hops = hops.unwrap_or_default().into_iter().map(|hop| {
            let gateway = hop["gateway"].as_str().unwrap_or_default().to_owned();
            (gateway, hop["weight"].as_u64().unwrap_or(1))
        });
        hops.collect()
    }

    #[track_caller]
    fn wait_weights(&self, wanted: &[(u32, u64)]) {
        let wanted = wanted
            .iter()
            .map(|(n, weight)| (format!("10.{n}.0.2"), *weight));
        let wanted: Weights = wanted.collect();
        wait_for(SOON, &format!("weights {wanted:?}"), || {
            let found = self.weights();
            if found == wanted {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        });
    }

    /// Waits until a path says this of link bandwidth.
    #[track_caller]
    fn wait_said(&self, wanted: &str) {
        wait_for(SOON, &format!("a path with {wanted}"), || {
            let text = self
                .router
                .vtysh(&format!("show bgp ipv4 unicast {PREFIX}"));
            if text.contains(&format!("Extended Community: {wanted}\n")) {
                Ok(())
            } else {
                Err(text)
            }
        });
    }

    /// Waits until the observer hears this of link bandwidth.
    #[track_caller]
    fn wait_heard(&self, wanted: &str) {
        wait_for(SOON, &format!("the observer hears {wanted:?}"), || {
            let shown = self
                .observer
                .json(&format!("show bgp ipv4 unicast {PREFIX} json"));
            let heard = shown["paths"][0]["extendedCommunity"]["string"].as_str();
            let found = shown["paths"]
                .as_array()
                .is_some_and(|paths| !paths.is_empty());
            if found && heard.unwrap_or_default() == wanted {
                Ok(())
            } else {
                Err(shown.to_string())
            }
        });
    }

    /// How many of many destinations the kernel sends to each router.
    fn shares(&self) -> BTreeMap<String, f64> {
        const DESTINATIONS: u32 = 4000;
        let file = std::env::temp_dir().join(format!("{}.routes", self.kernel.label()));
        let get = |n: u32| format!("route get 198.18.{}.{}\n", n / 250, n % 250 + 1);
        let queries: String = (0..DESTINATIONS).map(get).collect();
        std::fs::write(&file, queries).expect("a file of queries");
        let text = self.kernel.ip(&format!("-o -batch {}", file.display()));
        std::fs::remove_file(&file).expect("the file");
        let mut shares = BTreeMap::new();
        for line in text.lines() {
            let (_, rest) = line.split_once(" via ").unwrap_or_else(|| panic!("{line}"));
            let gateway = rest.split_whitespace().next().unwrap_or_default();
            *shares.entry(gateway.to_owned()).or_insert(0.0) += 1.0 / f64::from(DESTINATIONS);
        }
        shares
    }
}

#[test]
fn traffic_is_shared_by_what_links_carry() {
    need!("/usr/lib/frr/bgpd");
    let lab = Lab::up();
    lab.wait_weights(&[(1, 1), (2, 1), (3, 1)]);
    lab.wait_heard("");

    // All say it.
    lab.say(1, "10");
    lab.say(2, "30");
    lab.say(3, "60");
    lab.wait_weights(&[(1, 10), (2, 30), (3, 60)]);
    lab.wait_heard("LB:65000:12500000 (100.000 Mbps)");
    let shares = lab.shares();
    for (router, wanted) in [("10.1.0.2", 0.1), ("10.2.0.2", 0.3), ("10.3.0.2", 0.6)] {
        let share = shares.get(router).copied().unwrap_or_default();
        assert!((share - wanted).abs() < 0.05, "{shares:?}");
    }
    let route = lab.router.json(&format!("show ip route {PREFIX} json"));
    let hops = route[PREFIX][0]["nexthops"].as_array().expect("next hops");
    let mut weights: Vec<u64> = hops
        .iter()
        .filter_map(|hop| hop["weight"].as_u64())
        .collect();
    weights.sort_unstable();
    assert_eq!(weights, [10, 30, 60], "{route}");
    lab.wait_said("LB:65003:7500000 (60.000 Mbps)");
    let path = lab.router.wait_paths(PREFIX, 3);
    let said = |path: &serde_json::Value| {
        path["extendedCommunity"]["string"] == "LB:65002:3750000 (30.000 Mbps)"
    };
    assert!(path.iter().any(said), "{path:?}");

    // One does not.
    lab.say(3, "");
    lab.wait_weights(&[(1, 1), (2, 1), (3, 1)]);
    lab.wait_heard("LB:65001:1250000 (10.000 Mbps)");
    lab.configure(&["bgp bestpath bandwidth skip-missing"]);
    lab.wait_weights(&[(1, 25), (2, 75)]);
    lab.configure(&["bgp bestpath bandwidth default-weight-for-missing"]);
    lab.wait_weights(&[(1, 25), (2, 75), (3, 1)]);
    lab.configure(&["bgp bestpath bandwidth ignore"]);
    lab.wait_weights(&[(1, 1), (2, 1), (3, 1)]);
    let shown = lab.router.vtysh("show running-config");
    assert!(
        shown.contains("\n bgp bestpath bandwidth ignore\n"),
        "{shown}"
    );
    lab.configure(&["no bgp bestpath bandwidth"]);
    // A non-transitive one does not come here from another AS.
    lab.say(3, "60 non-transitive");
    lab.wait_weights(&[(1, 1), (2, 1), (3, 1)]);
    lab.say(3, "60");
    lab.wait_weights(&[(1, 10), (2, 30), (3, 60)]);

    // One goes.
    let lines = [
        "configure terminal",
        "router bgp 65002",
        "no neighbor 10.2.0.1",
    ];
    let answer = lab.senders[1].shell(&lines);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    match router::kind() {
        // Of 70 parts, 10 and 60 are 1 and 6; in hundredths 14 and 85.
        RouterKind::Holdfast => lab.wait_weights(&[(1, 1), (3, 6)]),
        RouterKind::Frr => lab.wait_weights(&[(1, 14), (3, 85)]),
    }
    lab.wait_heard("LB:65000:8750000 (70.000 Mbps)");
}

#[test]
fn far_apart_links_keep_their_ratio_and_integers_are_understood() {
    need!("/usr/lib/frr/bgpd");
    if router::kind() == RouterKind::Frr {
        eprintln!("skipped: FRR 8.4 rounds to hundredths");
        return;
    }
    let lab = Lab::up();
    lab.say(1, "1");
    lab.say(2, "1000");
    lab.say(3, "10000");
    let route = wait_for(SOON, "the ratio", || {
        let route = lab.router.json(&format!("show ip route {PREFIX} json"));
        let hops = route[PREFIX][0]["nexthops"].as_array().cloned();
        let hops = hops.unwrap_or_default();
        let mut weights: Vec<u64> = hops
            .iter()
            .filter_map(|hop| hop["weight"].as_u64())
            .collect();
        weights.sort_unstable();
        match weights.as_slice() {
            [1, _, 256] | [1, 1000, 10_000] => Ok(weights),
            _ => Err(route.to_string()),
        }
    });
    match route[2] {
        // Linux 6.12 and later; iproute2 6.1 shows the lower octet.
        10_000 => lab.wait_weights(&[(1, 1), (2, 999 % 256 + 1), (3, 9_999 % 256 + 1)]),
        _ => lab.wait_weights(&[(1, 1), (2, 26), (3, 256)]),
    }
    lab.wait_heard("LB:65000:1375124992 (11.000 Gbps)");

    // The observer reads integers from now on.
    let line = "neighbor 10.4.0.1 disable-link-bw-encoding-ieee";
    let lines = ["configure terminal", "router bgp 65004", line];
    let answer = lab.observer.shell(&lines);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    lab.configure(&["neighbor 10.4.0.2 disable-link-bw-encoding-ieee"]);
    lab.say(1, "2");
    lab.wait_heard("LB:65000:1375250048 (11.000 Gbps)");

    // The first is said to write them, and does not: the bits of 250000.0 are that.
    lab.configure(&["neighbor 10.1.0.2 disable-link-bw-encoding-ieee"]);
    lab.wait_said("LB:65001:1215570944 (9.000 Gbps)");
    lab.configure(&["no neighbor 10.1.0.2 disable-link-bw-encoding-ieee"]);
    lab.wait_said("LB:65001:250000 (2.000 Mbps)");
}
