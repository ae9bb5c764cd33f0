//! Groups of next hops whose flows stay where they are (`maximum-paths
//! resilient`), and how nexthop objects are written and told (`zebra nexthop`).
//!
//! ```text
//!  one   10.1.0.2 (AS 65100) -+
//!  two   10.2.0.2 (AS 65100) -- router
//!  three 10.3.0.2 (AS 65100) -+
//! ```

mod harness;

use std::collections::BTreeMap;

use harness::{Bird, Family, Holdfast, Namespace, Router, SOON, Topology, need, wait_until};
use serde_json::Value;

const V4: &str = "198.18.7.0/24";
const V6: &str = "2001:db8:7::/48";
const PEERS: [&str; 3] = ["10.1.0.2", "10.2.0.2", "10.3.0.2"];
const ROUTES: usize = 20;

/// With the lines of both families and of no block.
fn config(outside: &str, lines: &str) -> String {
    let peers: String = (1..=3)
        .map(|n| {
            format!(" neighbor 10.{n}.0.2 remote-as 65100\n neighbor 10.{n}.0.2 timers connect 1\n")
        })
        .collect();
    let activate: String = (1..=3)
        .map(|n| format!("  neighbor 10.{n}.0.2 activate\n"))
        .collect();
    format!(
        "{outside}router bgp 65000
 bgp router-id 10.0.0.1
 no bgp ebgp-requires-policy
{peers} address-family ipv4 unicast
{lines} exit-address-family
 address-family ipv6 unicast
{activate}{lines} exit-address-family
exit
"
    )
}

const RESILIENT: &str = "  maximum-paths resilient buckets 60 idle-timer 600\n";

fn bird(network: u8) -> String {
    let v4: String = (0..ROUTES)
        .map(|n| format!("  route 198.18.{n}.0/24 blackhole;\n"))
        .collect();
    let v6: String = (0..ROUTES)
        .map(|n| format!("  route 2001:db8:{n:x}::/48 blackhole;\n"))
        .collect();
    format!(
        "router id 10.{network}.0.2;
protocol static {{
  ipv4;
{v4}}}
protocol static {{
  ipv6;
{v6}}}
protocol bgp upstream {{
  local 10.{network}.0.2 as 65100;
  neighbor 10.{network}.0.1 as 65000;
  connect delay time 1;
  connect retry time 2;
  error wait time 1, 2;
  ipv4 {{ import none; export all; next hop self; }};
  ipv6 {{ import none; export all; next hop address fd00:{network}::2; }};
}}
"
    )
}

/// Dropped from the top.
struct Lab {
    holdfast: Holdfast,
    birds: Vec<Bird>,
    router: Namespace,
    _topology: Topology,
}

impl Lab {
    fn up(config: &str) -> Self {
        let topology = Topology::new();
        let router = topology.namespace("router");
        let attach = |n: u8| {
            let peer = topology.namespace(&format!("peer{n}"));
            let (far, near) = (
                format!("10.{n}.0.2/24 fd00:{n}::2/64"),
                format!("10.{n}.0.1/24 fd00:{n}::1/64"),
            );
            topology.link(
                peer.end("eth0", &far),
                router.end(&format!("eth{n}"), &near),
            );
            peer
        };
        let peers: Vec<Namespace> = (1..=3).map(attach).collect();
        let holdfast = Holdfast::start(&topology, &router, config);
        let birds = (1..).zip(&peers);
        let birds = birds.map(|(n, peer)| Bird::start(&topology, peer, &bird(n)));
        let lab = Self {
            holdfast,
            birds: birds.collect(),
            router,
            _topology: topology,
        };
        lab.holdfast.wait_established(&PEERS);
        lab.wait_members(3);
        lab
    }

    /// What `ip` says; nothing about an object that is gone meanwhile.
    fn json(&self, words: &str) -> Vec<Value> {
        let words: Vec<&str> = ["-j", "-d"].into_iter().chain(words.split(' ')).collect();
        let text = self.router.exec("ip", &words).stdout;
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// The object that a prefix uses.
    fn object(&self, prefix: &str) -> Option<Value> {
        let family = if prefix.contains(':') { "-6" } else { "-4" };
        let route = self.json(&format!("{family} route show {prefix} proto bgp"));
        let id = route.first()?["nhid"].as_u64()?;
        self.json(&format!("nexthop show id {id}")).pop()
    }

    /// All routes of both families use a group of so many.
    fn wait_members(&self, count: usize) {
        let members = |prefix| {
            let object = self.object(prefix)?;
            Some(object["group"].as_array()?.len())
        };
        wait_until(SOON, &format!("groups of {count}"), || {
            let routes = |family| self.router.routes(family).into_iter();
            let ours = |family| routes(family).filter(|route| route.protocol == "bgp");
            let complete = [Family::V4, Family::V6].map(|family| {
                ours(family).all(|route| route.next_hops.len() == count)
                    && ours(family).count() == ROUTES
            });
            complete == [true, true] && [V4, V6].map(members) == [Some(count), Some(count)]
        });
    }

    /// The interface of each bucket of a prefix's group.
    fn buckets(&self, prefix: &str) -> Vec<String> {
        let hops: BTreeMap<u64, String> = self
            .json("nexthop show")
            .iter()
            .filter_map(|hop| Some((hop["id"].as_u64()?, hop["dev"].as_str()?.to_owned())))
            .collect();
        let Some(group) = self.object(prefix) else {
            return Vec::new();
        };
        let mut rows = self.json(&format!("nexthop bucket show id {}", group["id"]));
        rows.sort_by_key(|row| row["bucket"]["index"].as_u64());
        let hop = |row: &Value| hops.get(&row["bucket"]["nhid"].as_u64()?).cloned();
        rows.iter().filter_map(hop).collect()
    }

    /// How often each session was established.
    fn sessions(&self) -> [u64; 3] {
        let answer = self.holdfast.shell(&["show bgp neighbors json"]);
        let peers: Value = serde_json::from_str(&answer.text).expect("JSON");
        let count = |peer: &str| peers[peer]["connectionsEstablished"].as_u64();
        PEERS.map(|peer| count(peer).expect("a number"))
    }
}

/// How many buckets moved, but for those that went by `gone`.
fn moved(before: &[String], after: &[String], gone: &str) -> usize {
    assert_eq!(before.len(), after.len());
    let both = before.iter().zip(after);
    both.filter(|(before, after)| before != after && *before != gone)
        .count()
}

#[test]
fn flows_stay_when_a_neighbor_goes_and_when_the_daemon_restarts() {
    need!("bird");
    let text = config("", RESILIENT).replace(
        " no bgp ebgp",
        " bgp graceful-restart\n bgp graceful-restart preserve-fw-state\n no bgp ebgp",
    );
    let mut lab = Lab::up(&text);
    for prefix in [V4, V6] {
        let args = &lab.object(prefix).expect("a group")["resilient_args"];
        assert_eq!(
            (&args["buckets"], &args["idle_timer"]),
            (&60.into(), &600.into())
        );
    }
    let before = [V4, V6].map(|prefix| lab.buckets(prefix));
    assert_eq!(before[0].len(), 60);
    let groups = |lab: &Lab| {
        let id = |prefix| lab.object(prefix).expect("a group")["id"].clone();
        [V4, V6].map(id)
    };
    let at_first = groups(&lab);
    let over = "the graceful restart is over";
    let restarts = lab.holdfast.log().matches(over).count();
    lab.holdfast.restart();
    wait_until(SOON, over, || {
        lab.holdfast.log().matches(over).count() > restarts
    });
    lab.holdfast.wait_established(&PEERS);
    wait_until(SOON, "all routes as the table has them", || {
        let text = lab.holdfast.shell(&["show ip route bgp"]).text;
        text.matches("B>*").count() == ROUTES
    });
    assert_eq!([V4, V6].map(|prefix| lab.buckets(prefix)), before);
    assert_eq!(groups(&lab), at_first);
    lab.birds[2].kill();
    lab.wait_members(2);
    for (prefix, before) in [V4, V6].iter().zip(&before) {
        let after = lab.buckets(prefix);
        let moved = moved(before, &after, "eth3");
        assert_eq!(moved, 0, "{before:?} became {after:?}");
    }
    assert_eq!(groups(&lab), at_first);
    // Its routes come all at once, and none is written.
    lab.birds[2].restart();
    lab.wait_members(3);
    assert_eq!(groups(&lab), at_first);
}

#[test]
fn groups_become_resilient_and_plain_again_and_no_session_hears_of_it() {
    need!("bird");
    let mut lab = Lab::up(&config("", ""));
    let sessions = lab.sessions();
    let kinds = |lab: &Lab| {
        [V4, V6].map(|prefix| {
            let object = lab.object(prefix)?;
            object["resilient_args"]["buckets"].as_u64()
        })
    };
    assert_eq!(kinds(&lab), [None, None]);
    lab.holdfast.reload(&config("", RESILIENT));
    wait_until(SOON, "resilient groups", || {
        kinds(&lab) == [Some(60), Some(60)]
    });
    lab.wait_members(3);
    let lines = [
        "configure terminal",
        "router bgp 65000",
        "address-family ipv6 unicast",
        "maximum-paths resilient buckets 30",
    ];
    assert_eq!(lab.holdfast.shell(&lines).code, Some(0));
    wait_until(SOON, "another in one family", || {
        kinds(&lab) == [Some(60), Some(30)]
    });
    let running = lab.holdfast.shell(&["show running-config"]).text;
    assert!(running.contains("\n  maximum-paths resilient buckets 60 idle-timer 600\n"));
    assert!(running.contains("\n  maximum-paths resilient buckets 30\n"));
    lab.holdfast.reload(&config("", ""));
    wait_until(SOON, "plain groups", || kinds(&lab) == [None, None]);
    lab.wait_members(3);
    assert_eq!(lab.sessions(), sessions);
}

#[test]
fn objects_are_switched_off_and_on_while_it_runs() {
    need!("bird");
    let mut lab = Lab::up(&config("", RESILIENT));
    let sessions = lab.sessions();
    lab.holdfast
        .reload(&config("no zebra nexthop kernel enable\n", RESILIENT));
    let full = |lab: &Lab| {
        let routes = lab.router.routes(Family::V4);
        let ours = routes.iter().filter(|route| route.protocol == "bgp");
        ours.filter(|route| route.gateways() == PEERS).count() == ROUTES
    };
    wait_until(SOON, "routes without objects", || {
        lab.json("nexthop show").is_empty() && full(&lab)
    });
    assert!(lab.holdfast.log().contains("no resilient groups"));
    let running = lab.holdfast.shell(&["show running-config"]).text;
    assert!(running.contains("\nno zebra nexthop kernel enable\n"));
    lab.holdfast
        .reload(&config("zebra nexthop kernel enable\n", RESILIENT));
    lab.wait_members(3);
    assert_eq!(lab.sessions(), sessions);
}

#[test]
fn the_compatibility_mode_is_turned_and_brought_back() {
    need!("bird");
    const KEY: &str = "net.ipv4.nexthop_compat_mode";
    let extra = "  redistribute static\n";
    let mut lab = Lab::up(&config("zebra nexthop compat-mode 0\n", extra));
    let router = lab.router.clone();
    let mode = || {
        let found = router.exec("sysctl", &["-n", KEY]);
        String::from_utf8_lossy(&found.stdout).trim().to_owned()
    };
    assert_eq!(mode(), "0");
    // The kernel tells objects alone now, of ours and of others.
    let route = lab.json(&format!("route show {V4}"));
    assert!(route[0]["nhid"].is_u64() && route[0].get("nexthops").is_none());
    router.ip("nexthop add id 7 via 10.1.0.2 dev eth1");
    router.ip("nexthop add id 8 via 10.2.0.2 dev eth2");
    router.ip("nexthop add id 9 group 7/8");
    router.ip("route add 192.0.2.0/24 nhid 9 proto static");
    wait_until(SOON, "a route by an object is redistributed", || {
        lab.holdfast.paths("192.0.2.0/24").len() == 1
    });
    lab.holdfast.reload(&config(
        "zebra nexthop compat-mode 0\nip route 203.0.113.0/24 192.0.2.77\n",
        extra,
    ));
    wait_until(SOON, "a static route resolves through it", || {
        let routes = router.routes(Family::V4);
        let route = routes.iter().find(|r| r.destination == "203.0.113.0/24");
        route.is_some_and(|route| route.gateways() == ["10.1.0.2", "10.2.0.2"])
    });
    // A neighbor that is lost and comes back, as without.
    lab.birds[1].kill();
    lab.wait_members(2);
    lab.birds[1].restart();
    lab.wait_members(3);
    lab.holdfast.reload(&config("", extra));
    wait_until(SOON, "without the line as before", || mode() == "1");
    lab.holdfast
        .reload(&config("zebra nexthop compat-mode 0\n", extra));
    wait_until(SOON, "the line is back", || mode() == "0");
    lab.holdfast.stop();
    assert_eq!(mode(), "1");
}
