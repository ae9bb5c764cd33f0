//! VRFs with real peers: each has a table of the kernel's, and what crosses
//! from one to another crosses because a line says so.
//!
//! ```text
//!  AS 65101 10.1.0.2 ---+           +--- 10.2.0.2 AS 65102     RED, table 101
//!  AS 65103 10.3.0.2 ---+- router --+--- 10.4.0.2 AS 65104     BLUE, table 102
//!                       |  10.N.0.1
//!  AS 65105 10.5.0.2 ---+                                      default, main
//! ```
//!
//! Those on the left announce the same prefix, and one of their own each; the
//! one in BLUE by a longer path. This kernel may have no VRF devices; then the
//! tables are plain ones.

mod harness;

use std::collections::{BTreeMap, BTreeSet};

use harness::process::Process;
use harness::{Bird, Family, Frr, Holdfast, Namespace, Router, SOON, Topology, need};
use harness::{wait_for, wait_until};
use serde_json::Value;

const SHARED: &str = "203.0.113.0/24";
const MAIN: u32 = 254;
const RED: u32 = 101;
const BLUE: u32 = 102;

const CONFIG: &str = "frr version 8.4.4
hostname router
vrf RED
 table 101
exit-vrf
vrf BLUE
 table 102
exit-vrf
router bgp 65001
 bgp router-id 192.0.2.1
 no bgp ebgp-requires-policy
 bgp graceful-restart
 neighbor 10.5.0.2 remote-as 65105
 neighbor 10.5.0.2 timers connect 1
exit
router bgp 65001 vrf RED
 bgp router-id 192.0.2.1
 no bgp ebgp-requires-policy
 bgp graceful-restart
 neighbor 10.1.0.2 remote-as 65101
 neighbor 10.1.0.2 timers connect 1
 neighbor 10.2.0.2 remote-as 65102
 neighbor 10.2.0.2 timers connect 1
exit
router bgp 65001 vrf BLUE
 bgp router-id 192.0.2.1
 no bgp ebgp-requires-policy
 bgp graceful-restart
 neighbor 10.3.0.2 remote-as 65103
 neighbor 10.3.0.2 timers connect 1
 neighbor 10.4.0.2 remote-as 65104
 neighbor 10.4.0.2 password secret
 neighbor 10.4.0.2 timers connect 1
exit
";

/// Each takes the other's, and RED what the default instance has.
const IMPORTS: [&str; 8] = [
    "configure terminal",
    "router bgp 65001 vrf RED",
    "address-family ipv4 unicast",
    "import vrf BLUE",
    "import vrf default",
    "router bgp 65001 vrf BLUE",
    "address-family ipv4 unicast",
    "import vrf RED",
];

struct Lab {
    router: Holdfast,
    at: Namespace,
    /// From 10.1.0.2 on.
    peers: Vec<Bird>,
    topology: Topology,
}

impl Lab {
    fn start() -> Self {
        let topology = Topology::new();
        let at = topology.namespace("router");
        let numbers = [1, 2, 3, 4, 5];
        let spaces = numbers.map(|n| {
            let peer = topology.namespace(&format!("peer{n}"));
            topology.link(
                peer.end("eth0", &format!("10.{n}.0.2/24")),
                at.end(&format!("eth{n}"), &format!("10.{n}.0.1/24")),
            );
            peer
        });
        let router = Holdfast::start(&topology, &at, CONFIG);
        let peers = numbers.iter().zip(&spaces);
        let peers = peers.map(|(n, space)| Bird::start(&topology, space, &bird(*n)));
        Self {
            router,
            at,
            peers: peers.collect(),
            topology,
        }
    }

    /// Waits until a table has these routes of BGP, and no others.
    #[track_caller]
    fn forwards(&self, table: u32, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(prefix, gateway)| ((*prefix).to_owned(), (*gateway).to_owned()))
            .collect();
        wait_for(SOON, &format!("{expected:?} in table {table}"), || {
            let routes = self.at.bgp_routes(Family::V4, table);
            if routes == expected {
                Ok(())
            } else {
                Err(format!("{routes:?}"))
            }
        });
    }

    /// Waits until a peer has these prefixes by these paths, and no others.
    #[track_caller]
    fn hears(&self, n: usize, expected: &[(&str, &str)]) {
        let expected: BTreeMap<String, String> = expected
            .iter()
            .map(|(prefix, path)| ((*prefix).to_owned(), (*path).to_owned()))
            .collect();
        let bird = &self.peers[n - 1];
        wait_for(SOON, &format!("{expected:?} at 10.{n}.0.2"), || {
            let text = bird.birdc("show route table master4 protocol session all");
            let heard = heard(&text);
            if heard == expected {
                Ok(())
            } else {
                Err(format!("{heard:?}\n{text}"))
            }
        });
    }
}

/// Prefixes and paths in what BIRD shows.
fn heard(text: &str) -> BTreeMap<String, String> {
    let mut heard = BTreeMap::new();
    let mut prefix = String::new();
    for line in text.lines() {
        if line.contains("unicast") && line.contains('/') {
            prefix = line
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned();
        }
        if let Some(path) = line.trim().strip_prefix("BGP.as_path: ") {
            heard.insert(prefix.clone(), path.to_owned());
        }
    }
    heard
}

/// Odd ones announce the shared prefix and one of their own.
fn bird(n: u32) -> String {
    let routes = if n % 2 == 1 {
        format!("route {SHARED} blackhole; route 198.51.{n}.0/24 blackhole;")
    } else {
        String::new()
    };
    let password = if n == 4 { "password \"secret\";" } else { "" };
    let farther = match n {
        3 => format!("if net = {SHARED} then bgp_path.prepend(65103);"),
        _ => String::new(),
    };
    format!(
        "router id 10.{n}.0.2;
protocol static {{
  ipv4;
  {routes}
}}
protocol bgp session {{
  local 10.{n}.0.2 as 6510{n};
  neighbor 10.{n}.0.1 as 65001;
  {password}
  graceful restart on;
  connect retry time 1;
  connect delay time 1;
  error wait time 1, 2;
  ipv4 {{
    import all;
    export filter {{ if source != RTS_STATIC then reject; {farther} accept; }};
  }};
}}
"
    )
}

const ALONE: [(u32, &[(&str, &str)]); 3] = [
    (RED, &[("198.51.1.0/24", "10.1.0.2"), (SHARED, "10.1.0.2")]),
    (BLUE, &[("198.51.3.0/24", "10.3.0.2"), (SHARED, "10.3.0.2")]),
    (MAIN, &[("198.51.5.0/24", "10.5.0.2"), (SHARED, "10.5.0.2")]),
];

#[test]
fn each_vrf_has_a_table_of_its_own() {
    need!("/usr/sbin/bird");
    let mut lab = Lab::start();
    for (table, routes) in ALONE {
        lab.forwards(table, routes);
    }
    lab.hears(
        2,
        &[("198.51.1.0/24", "65001 65101"), (SHARED, "65001 65101")],
    );
    lab.hears(
        4,
        &[
            ("198.51.3.0/24", "65001 65103"),
            (SHARED, "65001 65103 65103"),
        ],
    );
    // What another program has in one of the tables is left alone.
    lab.at
        .ip("route add 198.51.77.0/24 dev eth1 table 101 proto static");
    lab.at
        .ip("route add 203.0.113.0/24 dev eth1 table 102 metric 5 proto static");
    // What the shell says of them.
    let shown = lab.router.vtysh("show bgp vrfs");
    for name in [
        "DFLT  0      192.0.2.1",
        " VRF  101    192.0.2.1",
        " VRF  102    192.0.2.1",
    ] {
        assert!(shown.contains(name), "{name}:\n{shown}");
    }
    assert!(
        shown.contains("Total number of VRFs (including default): 3"),
        "{shown}"
    );
    let shown = lab.router.vtysh("show vrf");
    assert_eq!(
        shown,
        "vrf BLUE id 102 table 102\nvrf RED id 101 table 101\n"
    );
    let shown = lab.router.json("show ip route vrf RED json");
    let route = &shown[SHARED][0];
    assert_eq!(route["vrfName"], "RED", "{shown}");
    assert_eq!(
        (&route["table"], &route["vrfId"]),
        (&101.into(), &101.into())
    );
    assert_eq!(
        shown.as_object().map(serde_json::Map::len),
        Some(2),
        "{shown}"
    );
    let shown = lab
        .router
        .json("show bgp vrf BLUE ipv4 unicast summary json");
    assert_eq!(
        (&shown["vrfId"], &shown["vrfName"]),
        (&102.into(), &"BLUE".into())
    );
    let shown = lab.router.json("show bgp vrf all ipv4 unicast json");
    for (name, prefix) in [("default", 5), ("RED", 1), ("BLUE", 3)] {
        let routes = &shown[name]["routes"];
        assert!(
            routes[format!("198.51.{prefix}.0/24")].is_array(),
            "{shown}"
        );
        assert_eq!(
            routes.as_object().map(serde_json::Map::len),
            Some(2),
            "{shown}"
        );
    }
    // A session of one is cleared, and nobody else's.
    lab.router.vtysh("clear bgp vrf RED 10.1.0.2");
    lab.router.json("show bgp vrf RED neighbors 10.1.0.2 json");
    wait_until(SOON, "another session with 10.1.0.2", || {
        let shown = lab.router.json("show bgp vrf RED neighbors 10.1.0.2 json");
        shown["10.1.0.2"]["connectionsEstablished"] == 2
    });
    for (table, routes) in ALONE {
        lab.forwards(table, routes);
    }
    let shown = lab.router.json("show bgp vrf BLUE neighbors 10.3.0.2 json");
    assert_eq!(shown["10.3.0.2"]["connectionsEstablished"], 1, "{shown}");
    // One that goes takes its routes along, and nobody else's.
    lab.router
        .shell(&["configure terminal", "no router bgp 65001 vrf BLUE"]);
    lab.forwards(BLUE, &[]);
    lab.hears(4, &[]);
    for (table, routes) in [ALONE[0], ALONE[2]] {
        lab.forwards(table, routes);
    }
    // Its table moves.
    lab.router
        .shell(&["configure terminal", "vrf RED", "table 103"]);
    lab.forwards(RED, &[]);
    lab.forwards(103, ALONE[0].1);
    let foreign = lab.at.ip("route show table 101");
    assert_eq!(
        foreign.trim(),
        "198.51.77.0/24 dev eth1 proto static scope link"
    );
    // It has neither table nor device: it waits.
    lab.router
        .shell(&["configure terminal", "vrf RED", "no table"]);
    lab.forwards(103, &[]);
    let shown = lab.router.vtysh("show bgp vrfs");
    assert!(
        shown.contains("No VRF device and no table: sessions wait"),
        "{shown}"
    );
    assert!(shown.contains(" VRF  -1     192.0.2.1"), "{shown}");
    assert_eq!(lab.router.vtysh("show vrf"), "vrf RED inactive\n");
    lab.router
        .shell(&["configure terminal", "vrf RED", "table 101"]);
    lab.forwards(RED, ALONE[0].1);
    assert!(lab.router.stop().success());
    // Each is a graceful restart's: the routes wait for it.
    lab.forwards(RED, ALONE[0].1);
    lab.forwards(MAIN, ALONE[2].1);
}

/// Numbers of nexthop objects come in blocks, of which there are 3,000.
#[test]
fn tables_whose_blocks_would_be_the_same_have_objects_of_their_own() {
    need!("/usr/sbin/bird");
    let lab = Lab::start();
    for (table, routes) in ALONE {
        lab.forwards(table, routes);
    }
    let objects = |table: u32| -> BTreeSet<u64> {
        let table = table.to_string();
        let words = ["-j", "route", "show", "table", &table, "proto", "bgp"];
        let output = lab.at.exec("ip", &words);
        let routes: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let routes = routes.as_array().into_iter().flatten();
        routes.filter_map(|route| route["nhid"].as_u64()).collect()
    };
    let move_red = |table: u32| {
        let line = format!("table {table}");
        lab.router.shell(&["configure terminal", "vrf RED", &line]);
        lab.forwards(table, ALONE[0].1);
        lab.forwards(MAIN, ALONE[2].1);
        let (red, main) = (objects(table), objects(MAIN));
        assert!(!red.is_empty() && !main.is_empty(), "{red:?} {main:?}");
        assert!(red.is_disjoint(&main), "{red:?} {main:?}");
    };
    move_red(MAIN + 3_000);
    // From one that took the next block to one that has it.
    move_red(MAIN + 3_001);
    move_red(MAIN + 6_000);
}

#[test]
fn routes_cross_where_a_line_says_so_and_only_once() {
    need!("/usr/sbin/bird");
    let mut lab = Lab::start();
    for (table, routes) in ALONE {
        lab.forwards(table, routes);
    }
    lab.router.shell(&IMPORTS);
    let red = [
        ("198.51.1.0/24", "10.1.0.2"),
        ("198.51.3.0/24", "10.3.0.2"),
        ("198.51.5.0/24", "10.5.0.2"),
    ];
    // The default instance's path of the shared prefix is as short as RED's
    // own, so one of them is older.
    let shared = |n: &'static str| [&red[..], &[(SHARED, n)]].concat();
    lab.forwards(RED, &shared("10.1.0.2"));
    // What RED took from the default instance does not go on to BLUE.
    lab.forwards(
        BLUE,
        &[
            ("198.51.1.0/24", "10.1.0.2"),
            ("198.51.3.0/24", "10.3.0.2"),
            (SHARED, "10.1.0.2"),
        ],
    );
    lab.forwards(MAIN, ALONE[2].1);
    // Peers hear of it with us as the next hop.
    lab.hears(
        2,
        &[
            ("198.51.1.0/24", "65001 65101"),
            ("198.51.3.0/24", "65001 65103"),
            ("198.51.5.0/24", "65001 65105"),
            (SHARED, "65001 65101"),
        ],
    );
    let shown = lab.peers[1].birdc("show route table master4 protocol session all");
    assert!(!shown.contains("BGP.next_hop: 10.3.0.2"), "{shown}");
    let shown = lab.router.vtysh("show bgp vrf RED ipv4 unicast");
    assert!(shown.contains("198.51.3.0/24    10.3.0.2@102<"), "{shown}");
    let shown = lab
        .router
        .json("show bgp vrf RED ipv4 unicast 198.51.3.0/24 json");
    let path = &shown["paths"][0];
    assert_eq!(path["nhVrfName"], "BLUE", "{shown}");
    assert_eq!(path["nhVrfId"], 102, "{shown}");
    assert_eq!(path["announceNexthopSelf"], true, "{shown}");
    // RED's own path goes: BLUE's is one again that is BLUE's own, and crosses.
    lab.router.shell(&[
        "configure terminal",
        "router bgp 65001 vrf RED",
        "address-family ipv4 unicast",
        "no import vrf default",
    ]);
    lab.peers[0].birdc("disable session");
    lab.forwards(RED, &[("198.51.3.0/24", "10.3.0.2"), (SHARED, "10.3.0.2")]);
    lab.forwards(BLUE, ALONE[1].1);
    lab.hears(
        2,
        &[
            ("198.51.3.0/24", "65001 65103"),
            (SHARED, "65001 65103 65103"),
        ],
    );
    lab.peers[0].birdc("enable session");
    lab.forwards(
        RED,
        &[
            ("198.51.1.0/24", "10.1.0.2"),
            ("198.51.3.0/24", "10.3.0.2"),
            (SHARED, "10.1.0.2"),
        ],
    );
    // An instance that goes takes along what others took from it, and one that
    // comes back brings it.
    lab.router
        .shell(&["configure terminal", "no router bgp 65001 vrf RED"]);
    lab.forwards(RED, &[]);
    lab.forwards(BLUE, ALONE[1].1);
    lab.router.reload(CONFIG);
    lab.router.shell(&IMPORTS);
    lab.forwards(RED, &shared("10.1.0.2"));
    // The line goes.
    lab.router.shell(&[
        "configure terminal",
        "router bgp 65001 vrf BLUE",
        "address-family ipv4 unicast",
        "no import vrf RED",
    ]);
    lab.forwards(BLUE, ALONE[1].1);
    // What the configuration says is what it was told.
    let running = lab.router.vtysh("show running-config");
    assert!(
        running.contains("  import vrf BLUE\n  import vrf default\n"),
        "{running}"
    );
}

#[test]
fn a_network_of_a_vrf_stands_by_its_own_table() {
    need!("/usr/sbin/bird");
    let lab = Lab::start();
    lab.forwards(RED, ALONE[0].1);
    lab.router.shell(&[
        "configure terminal",
        "router bgp 65001 vrf RED",
        "address-family ipv4 unicast",
        "network 192.0.2.128/25",
        "exit-address-family",
        "router bgp 65001 vrf BLUE",
        "address-family ipv4 unicast",
        "import vrf RED",
    ]);
    let alone = [("198.51.1.0/24", "65001 65101"), (SHARED, "65001 65101")];
    lab.at.ip("route add blackhole 192.0.2.128/25 proto static");
    // Somebody else's table is no reason.
    let view = || {
        lab.router
            .json("show bgp vrf RED ipv4 unicast 192.0.2.128/25 json")
    };
    lab.at
        .ip("route add blackhole 192.0.2.128/25 table 101 proto static");
    let with = [&[("192.0.2.128/25", "65001")], &alone[..]].concat();
    lab.hears(2, &with);
    assert_eq!(view()["paths"][0]["valid"], true);
    // Leaked, it is announced, and stays out of the kernel: packets would have
    // to be looked up in the other table.
    lab.hears(
        4,
        &[
            ("192.0.2.128/25", "65001"),
            ("198.51.1.0/24", "65001 65101"),
            ("198.51.3.0/24", "65001 65103"),
            (SHARED, "65001 65101"),
        ],
    );
    lab.at
        .ip("route del blackhole 192.0.2.128/25 table 101 proto static");
    lab.hears(2, &alone);
}

#[test]
fn a_restart_finds_the_routes_of_every_table() {
    need!("/usr/sbin/bird");
    let mut lab = Lab::start();
    lab.router.shell(&IMPORTS);
    lab.router.shell(&["write memory"]);
    let red = [
        ("198.51.1.0/24", "10.1.0.2"),
        ("198.51.3.0/24", "10.3.0.2"),
        ("198.51.5.0/24", "10.5.0.2"),
        (SHARED, "10.1.0.2"),
    ];
    lab.forwards(RED, &red);
    lab.forwards(MAIN, ALONE[2].1);
    lab.router.kill();
    let monitor = monitor(&lab);
    lab.router.restart();
    wait_until(SOON, "the end of the restart of three instances", || {
        lab.router
            .log()
            .matches("the graceful restart is over")
            .count()
            == 3
    });
    lab.forwards(RED, &red);
    lab.forwards(MAIN, ALONE[2].1);
    lab.at.ip("route add blackhole 192.0.2.255/32 proto static");
    wait_until(SOON, "the monitor's last line", || {
        monitor.log().contains("192.0.2.255")
    });
    let log = monitor.log();
    let lost: Vec<_> = log
        .lines()
        .filter(|line| line.starts_with("Deleted") && line.contains("proto bgp"))
        .collect();
    assert!(lost.is_empty(), "{lost:#?}");
    assert!(lab.router.log().contains("every peer said everything"));
}

const SIX: &str = "2001:db8:77::/48";

fn frr(n: u32) -> String {
    let own = format!(
        "frr defaults traditional
router bgp 6510{n}
 bgp router-id 10.{n}.0.2
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor 2001:db8:{n}::1 remote-as 65001
 neighbor 2001:db8:{n}::1 timers connect 1
 address-family ipv6 unicast
  neighbor 2001:db8:{n}::1 activate
"
    );
    let networks = match n {
        1 | 2 => format!("  network {SIX}\n"),
        _ => String::new(),
    };
    format!("{own}{networks} exit-address-family\nexit\n")
}

/// Two ways that share the load over there share it here, each by its link.
#[test]
fn ipv6_routes_cross_with_the_links_of_their_next_hops() {
    need!("/usr/lib/frr/bgpd", "/usr/lib/frr/zebra", "/usr/bin/vtysh");
    let topology = Topology::new();
    let at = topology.namespace("router");
    let spaces = [1, 2, 3].map(|n| {
        let peer = topology.namespace(&format!("frr{n}"));
        topology.link(
            peer.end("eth0", &format!("2001:db8:{n}::2/64")),
            at.end(&format!("eth{n}"), &format!("2001:db8:{n}::1/64")),
        );
        peer
    });
    let neighbor = |n: u32| {
        format!(
            " neighbor 2001:db8:{n}::2 remote-as 6510{n}\n neighbor 2001:db8:{n}::2 timers connect 1\n"
        )
    };
    let activate = |n: u32| format!("  neighbor 2001:db8:{n}::2 activate\n");
    let instance = |name: &str, neighbors: &[u32], lines: &str| {
        let neighbor: String = neighbors.iter().map(|n| neighbor(*n)).collect();
        let activate: String = neighbors.iter().map(|n| activate(*n)).collect();
        format!(
            "router bgp 65001 vrf {name}
 bgp router-id 192.0.2.1
 no bgp ebgp-requires-policy
 bgp bestpath as-path multipath-relax
{neighbor} address-family ipv6 unicast
{activate}{lines} exit-address-family
exit
"
        )
    };
    let config = format!(
        "vrf RED\n table 101\nexit-vrf\nvrf BLUE\n table 102\nexit-vrf\n{}{}",
        instance("RED", &[1, 2], ""),
        instance("BLUE", &[3], "  import vrf RED\n")
    );
    let mut router = Holdfast::start(&topology, &at, &config);
    let peers = [1, 2, 3].map(|n| Frr::start(&topology, &spaces[n as usize - 1], &frr(n)));
    let ways = |table: u32| {
        let routes = at.routes_in(Family::V6, table);
        let mut links: Vec<String> = routes
            .iter()
            .filter(|route| route.destination == SIX)
            .flat_map(|route| &route.next_hops)
            .map(|hop| {
                let gateway = hop.gateway.as_deref().unwrap_or_default();
                assert!(gateway.starts_with("fe80::"), "{gateway}");
                hop.interface.clone()
            })
            .collect();
        links.sort();
        links
    };
    for table in [RED, BLUE] {
        wait_until(SOON, &format!("both links in table {table}"), || {
            ways(table) == ["eth1", "eth2"]
        });
    }
    let heard = || peers[2].paths(SIX);
    wait_until(SOON, "the route at the peer of the other VRF", || {
        heard().len() == 1
    });
    let path = &heard()[0];
    let next_hops = path["nexthops"].to_string();
    assert!(next_hops.contains("2001:db8:3::1"), "{path}");
    // One of the links goes.
    at.ip("link set eth1 down");
    for table in [RED, BLUE] {
        wait_until(SOON, &format!("one link in table {table}"), || {
            ways(table) == ["eth2"]
        });
    }
    at.ip("link set eth2 down");
    for table in [RED, BLUE] {
        wait_until(SOON, &format!("nothing in table {table}"), || {
            ways(table).is_empty()
        });
    }
    wait_until(SOON, "the route is withdrawn", || heard().is_empty());
    assert!(router.stop().success());
}

/// The same address is a neighbor in two devices, and another address of ours
/// is the same in both.
#[test]
fn vrf_devices_hold_sessions_addresses_and_routes_apart() {
    need!("/usr/sbin/bird");
    let topology = Topology::new();
    let at = topology.namespace("router");
    let probe = at.exec("ip", &["link", "add", "probe", "type", "vrf", "table", "9"]);
    if !probe.status.success() {
        let why = String::from_utf8_lossy(&probe.stderr).into_owned();
        eprintln!("skipped: this kernel has no VRF devices: {}", why.trim());
        return;
    }
    let spaces = [1, 3].map(|n| {
        let peer = topology.namespace(&format!("peer{n}"));
        topology.link(peer.end("eth0", ""), at.end(&format!("eth{n}"), ""));
        peer.ip("addr add 10.0.0.2/24 dev eth0");
        peer
    });
    let device = |name: &str, table: u32, link: &str| {
        at.ip(&format!("link add {name} type vrf table {table}"));
        at.ip(&format!("link set {name} up"));
        at.ip(&format!("link set {link} master {name}"));
        at.ip(&format!("addr add 10.0.0.1/24 dev {link}"));
    };
    let instance = |name: &str, asn: u32, import: &str| {
        format!(
            "router bgp 65001 vrf {name}
 bgp router-id 192.0.2.1
 no bgp ebgp-requires-policy
 neighbor 10.0.0.2 remote-as {asn}
 neighbor 10.0.0.2 timers connect 1
 address-family ipv4 unicast
{import} exit-address-family
exit
"
        )
    };
    let red = instance("RED", 65101, "  import vrf BLUE\n");
    let config = format!("{red}{}", instance("BLUE", 65103, ""));
    let mut router = Holdfast::start(&topology, &at, &config);
    let birds = [1, 3].map(|n| bird(n).replace(&format!("10.{n}.0."), "10.0.0."));
    let peers = spaces.iter().zip(&birds);
    let _peers: Vec<Bird> = peers
        .map(|(s, config)| Bird::start(&topology, s, config))
        .collect();
    // They come while it runs.
    assert_eq!(
        router.vtysh("show vrf"),
        "vrf BLUE inactive\nvrf RED inactive\n"
    );
    device("RED", RED, "eth1");
    device("BLUE", BLUE, "eth3");
    let in_table = |table: u32| {
        let text = at.ip(&format!("route show table {table} proto bgp"));
        let mut lines: Vec<String> = text
            .lines()
            .map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let after = |word: &str| {
                    let at = words.iter().position(|known| *known == word);
                    at.and_then(|at| words.get(at + 1))
                        .copied()
                        .unwrap_or_default()
                };
                format!("{} {} {}", words[0], after("via"), after("dev"))
            })
            .collect();
        lines.sort();
        lines
    };
    let expected = |table: u32, lines: &[&str]| {
        wait_for(SOON, &format!("{lines:?} in table {table}"), || {
            let found = in_table(table);
            if found == lines {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        });
    };
    let red = [
        "198.51.1.0/24 10.0.0.2 eth1",
        "198.51.3.0/24 10.0.0.2 eth3",
        "203.0.113.0/24 10.0.0.2 eth1",
    ];
    expected(RED, &red);
    expected(
        BLUE,
        &[
            "198.51.3.0/24 10.0.0.2 eth3",
            "203.0.113.0/24 10.0.0.2 eth3",
        ],
    );
    at.ip("link del BLUE");
    expected(RED, &[red[0], red[2]]);
    wait_until(SOON, "BLUE waits", || {
        router.vtysh("show vrf").contains("vrf BLUE inactive")
    });
    assert!(router.stop().success());
}

const PROBE: &str = "192.0.2.254";

/// Writes down what happens to the kernel's routes.
fn monitor(lab: &Lab) -> Process {
    let log = lab.topology.daemon_directory("monitor").join("log");
    let mut command = lab.at.command("ip");
    command.args(["-o", "monitor", "route"]);
    let monitor = Process::start("ip monitor", command, &log);
    wait_until(SOON, "the monitor listens", || {
        lab.at
            .ip(&format!("route add blackhole {PROBE} proto static"));
        lab.at
            .ip(&format!("route del blackhole {PROBE} proto static"));
        monitor.log().contains(PROBE)
    });
    monitor
}
