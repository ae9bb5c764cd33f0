//! Views with real peers: each is a routing table of its own, heard by its own
//! neighbors alone, and out of the kernel.
//!
//! ```text
//!  AS 65101 10.1.0.2 ---+           +--- 10.2.0.2 AS 65102     view BLUE
//!  AS 65103 10.3.0.2 ---+- router --+--- 10.4.0.2 AS 65104     view RED
//!                       |  10.N.0.1
//!  AS 65105 10.5.0.2 ---+                                      default
//! ```
//!
//! Those on the left announce the same prefix, each with a path of its own.

mod harness;

use harness::{Bird, Family, Holdfast, Namespace, Router, SOON, Topology, need, wait_for};

const SHARED: &str = "203.0.113.0/24";

const CONFIG: &str = "frr version 8.4.4
hostname router
router bgp 65001 view BLUE
 bgp router-id 192.0.2.1
 no bgp ebgp-requires-policy
 neighbor 10.1.0.2 remote-as 65101
 neighbor 10.2.0.2 remote-as 65102
exit
router bgp 65001 view RED
 bgp router-id 192.0.2.1
 no bgp ebgp-requires-policy
 neighbor 10.3.0.2 remote-as 65103
 neighbor 10.4.0.2 remote-as 65104
 neighbor 10.4.0.2 password secret
exit
";

const DEFAULT: &str = "router bgp 65001
 bgp router-id 192.0.2.1
 no bgp ebgp-requires-policy
 neighbor 10.5.0.2 remote-as 65105
exit
";

struct Lab {
    router: Holdfast,
    at: Namespace,
    /// From 10.1.0.2 on.
    peers: Vec<Bird>,
    _topology: Topology,
}

impl Lab {
    fn start(config: &str) -> Self {
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
        let router = Holdfast::start(&topology, &at, config);
        let peers = numbers.iter().zip(&spaces);
        let peers = peers.map(|(n, space)| Bird::start(&topology, space, &bird(*n)));
        Self {
            router,
            at,
            peers: peers.collect(),
            _topology: topology,
        }
    }

    /// Waits until a peer has the shared prefix by this path, or not at all.
    fn hears(&self, n: usize, path: Option<&str>) {
        let bird = &self.peers[n - 1];
        wait_for(SOON, &format!("{path:?} at 10.{n}.0.2"), || {
            let text = bird.birdc("show route table master4 protocol session all");
            let paths: Vec<&str> = text
                .lines()
                .filter_map(|line| line.trim().strip_prefix("BGP.as_path: "))
                .collect();
            if paths == path.into_iter().collect::<Vec<_>>() {
                Ok(())
            } else {
                Err(text)
            }
        });
    }

    /// The prefixes of BGP routes in the kernel, with their gateways.
    fn forwarded(&self) -> Vec<(String, String)> {
        let routes = self.at.routes(Family::V4).into_iter();
        routes
            .filter(|route| route.protocol == "bgp")
            .map(|route| (route.destination.clone(), route.gateways().join(" ")))
            .collect()
    }
}

/// Odd ones announce the prefix.
fn bird(n: u32) -> String {
    let route = if n % 2 == 1 {
        format!("route {SHARED} blackhole;")
    } else {
        String::new()
    };
    let password = if n == 4 { "password \"secret\";" } else { "" };
    format!(
        "router id 10.{n}.0.2;
protocol static {{
  ipv4;
  {route}
}}
protocol bgp session {{
  local 10.{n}.0.2 as 6510{n};
  neighbor 10.{n}.0.1 as 65001;
  {password}
  connect retry time 1;
  connect delay time 1;
  error wait time 1, 2;
  ipv4 {{ import all; export where source = RTS_STATIC; }};
}}
"
    )
}

#[test]
fn a_view_is_heard_by_its_own_neighbors_and_stays_out_of_the_kernel() {
    need!("/usr/sbin/bird");
    let mut lab = Lab::start(CONFIG);
    // There is no default instance at first.
    lab.hears(2, Some("65001 65101"));
    lab.hears(4, Some("65001 65103"));
    assert_eq!(lab.forwarded(), []);
    // It comes, with the same prefix, and only its route is forwarded by.
    lab.router.reload(&format!("{DEFAULT}{CONFIG}"));
    wait_for(SOON, "the default instance's route", || {
        let forwarded = lab.forwarded();
        let expected = [(SHARED.to_owned(), "10.5.0.2".to_owned())];
        if forwarded == expected {
            Ok(())
        } else {
            Err(format!("{forwarded:?}"))
        }
    });
    for (n, path) in [(2, "65001 65101"), (4, "65001 65103")] {
        lab.hears(n, Some(path));
    }
    // A link that goes down is noticed in a view as well, before the hold time.
    lab.at.ip("link set eth3 down");
    lab.hears(4, None);
    lab.at.ip("link set eth3 up");
    lab.hears(4, Some("65001 65103"));
    // What goes in one view goes nowhere else.
    lab.peers[0].kill();
    lab.router.vtysh("clear bgp view BLUE 10.1.0.2");
    lab.hears(2, None);
    lab.hears(4, Some("65001 65103"));
    lab.peers[0].restart();
    lab.hears(2, Some("65001 65101"));
    // A view that goes takes its sessions along, and nobody else's.
    let lines = ["configure terminal", "no router bgp 65001 view RED"];
    lab.router.shell(&lines);
    lab.hears(4, None);
    lab.hears(2, Some("65001 65101"));
    for (view, neighbor) in [("BLUE", "10.2.0.2"), ("default", "10.5.0.2")] {
        let command = format!("show bgp vrf {view} neighbors {neighbor} json");
        let shown = &lab.router.json(&command)[neighbor];
        assert_eq!(shown["connectionsEstablished"], 1, "{shown}");
    }
    assert_eq!(lab.forwarded().len(), 1);
    // The stop takes the default instance out of the kernel, the start brings
    // the view back.
    assert!(lab.router.stop().success());
    assert_eq!(lab.forwarded(), []);
    lab.router.restart();
    lab.hears(2, Some("65001 65101"));
}
