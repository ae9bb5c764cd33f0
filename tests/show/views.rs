//! What the shell shows of views, held against FRR.
//!
//! ```text
//!  default   10.1.0.2 (AS 65101) ---+
//!  BLUE      10.2.0.2 (AS 65102) ---+--- router 10.N.0.1 (AS 65000, 65001, 65002)
//!  RED       10.3.0.2 (AS 65103) ---+
//! ```
//!
//! Each peer announces 203.0.113.0/24 and a prefix of its own.

use super::comparison::Comparison;
use super::harness::{
    Bird, Frr, Holdfast, Namespace, Router, RouterKind, SOON, Topology, need, wait_for,
};

const CONFIG: &str = "frr version 8.4.4
frr defaults traditional
hostname HOST
no ip forwarding
no ipv6 forwarding
service integrated-vtysh-config
!
router bgp 65000
 bgp router-id 192.0.2.1
 no bgp ebgp-requires-policy
 neighbor 10.1.0.2 remote-as 65101
exit
!
router bgp 65001 view BLUE
 bgp router-id 192.0.2.2
 no bgp ebgp-requires-policy
 neighbor G peer-group
 neighbor G remote-as external
 neighbor 10.2.0.2 peer-group G
 !
 address-family ipv4 unicast
  network 198.51.100.0/24
 exit-address-family
exit
!
router bgp 65002 view RED
 bgp router-id 192.0.2.3
 no bgp ebgp-requires-policy
 neighbor 10.3.0.2 remote-as 65103
 neighbor 10.3.0.9 remote-as 65109
 neighbor 10.3.0.9 shutdown
 !
 address-family ipv6 unicast
  network 2001:db8:50::/64
  neighbor 10.3.0.2 activate
 exit-address-family
exit
!
end
";

const NUMBERS: [u32; 3] = [1, 2, 3];

/// Commands whose text and JSON are compared.
const SHOWN: &[&str] = &[
    "show bgp view RED summary",
    "show ip bgp view RED summary",
    "show bgp view BLUE ipv4 unicast summary",
    "show bgp view RED ipv6 unicast summary",
    "show bgp vrf RED summary",
    "show bgp view RED summary established",
    "show bgp view RED summary failed",
    "show bgp view all summary",
    "show bgp vrf all summary",
    "show ip bgp view all summary",
    "show bgp view all ipv4 summary",
    "show bgp view all ipv4 unicast summary",
    "show bgp vrf all ipv6 unicast summary",
    "show bgp view NOWHERE summary",
    "show bgp summary",
    "show bgp view BLUE ipv4 unicast",
    "show ip bgp view RED",
    "show bgp view RED",
    "show bgp vrf RED ipv6 unicast",
    "show bgp view all ipv4 unicast",
    "show bgp vrf all ipv4 unicast",
    "show bgp view all",
    "show bgp view NOWHERE ipv4 unicast",
    "show ip bgp",
    "show bgp view RED ipv4 unicast 203.0.113.0/24",
    "show bgp view BLUE ipv4 unicast 198.51.100.0/24",
    "show ip bgp view BLUE 203.0.113.7",
    "show bgp view NOWHERE ipv4 unicast 203.0.113.0/24",
    "show bgp view all ipv4 unicast 203.0.113.0/24",
    "show ip bgp 203.0.113.0/24",
    "show bgp view RED neighbors",
    "show ip bgp view RED neighbors",
    "show bgp view BLUE neighbors 10.2.0.2",
    "show bgp view BLUE neighbors 10.3.0.2",
    "show bgp view all neighbors",
    "show bgp view all neighbors 10.3.0.2",
    "show bgp vrf all neighbors",
    "show bgp view NOWHERE neighbors",
    "show bgp view BLUE ipv4 unicast neighbors 10.2.0.2 advertised-routes",
    "show bgp view BLUE ipv4 unicast neighbors 10.2.0.2 routes",
    "show bgp view BLUE ipv4 unicast neighbors 10.3.0.2 routes",
    "show bgp view NOWHERE ipv4 unicast neighbors 10.2.0.2 routes",
    "show bgp view all ipv4 unicast neighbors 10.2.0.2 routes",
    "show bgp view BLUE peer-group",
    "show bgp view NOWHERE peer-group",
    "show bgp view all peer-group",
    "show bgp vrfs",
];

/// Commands whose text is compared, errors included; ` / ` is between the
/// lines of one shell.
const TEXT_ONLY: &[&str] = &[
    "show running-config",
    "show bgp view BLUE foo",
    "clear bgp view NOWHERE *",
    "clear bgp view BLUE 10.3.0.2",
    "clear ip bgp view BLUE peer-group NONE",
    "configure terminal / router bgp 65009 view RED",
    "configure terminal / router bgp 65002 view RED / neighbor 10.3.0.9 timers 70000 3",
    "configure terminal / no router bgp 65009 view RED",
    "configure terminal / no router bgp 65009 view NOWHERE",
    "configure terminal / no router bgp",
];

struct Network {
    router: Box<dyn Router>,
    at: Namespace,
    _peers: Vec<Bird>,
    _topology: Topology,
}

impl Network {
    fn start(kind: RouterKind) -> Self {
        let host = nix::unistd::gethostname().expect("the host's name");
        let config = CONFIG.replace("HOST", &host.to_string_lossy());
        let topology = Topology::new();
        let at = topology.namespace("router");
        let peers: Vec<(u32, Namespace)> = NUMBERS
            .iter()
            .map(|n| {
                let peer = topology.namespace(&format!("peer{n}"));
                topology.link(
                    peer.end("eth0", &format!("10.{n}.0.2/24")),
                    at.end(&format!("eth{n}"), &format!("10.{n}.0.1/24")),
                );
                (*n, peer)
            })
            .collect();
        for (n, peer) in &peers {
            let (eth, mac) = (format!("eth{n}"), format!("02:00:00:00:0{n}:0"));
            super::fixed_hardware_addresses(&[
                (&at, &eth, &format!("{mac}1")),
                (peer, "eth0", &format!("{mac}2")),
            ]);
        }
        let router: Box<dyn Router> = match kind {
            RouterKind::Holdfast => Box::new(Holdfast::start(&topology, &at, &config)),
            RouterKind::Frr => Box::new(Frr::start(&topology, &at, &config)),
        };
        let peers = peers.iter().map(|(n, at)| peer(&topology, at, *n));
        Self {
            router,
            at,
            _peers: peers.collect(),
            _topology: topology,
        }
    }

    /// Waits until every session is up, and every route has come and gone: our
    /// own, and in FRR also those that go back to where they came from.
    fn converge(&self, echo: u64) {
        let sent = [
            ("default", "ipv4", "10.1.0.2", 2, echo),
            ("BLUE", "ipv4", "10.2.0.2", 2, 1 + echo),
            ("RED", "ipv4", "10.3.0.2", 2, echo),
            ("RED", "ipv6", "10.3.0.2", 0, 1),
        ];
        for (view, family, peer, received, sent) in sent {
            let command = format!("show bgp vrf {view} {family} unicast summary json");
            wait_for(SOON, &format!("{family} of {view}"), || {
                let summary = self.router.json(&command);
                let shown = &summary["peers"][peer];
                let all = shown["pfxRcd"] == received && shown["pfxSnt"] == sent;
                if all { Ok(()) } else { Err(shown.to_string()) }
            });
        }
    }
}

fn peer(topology: &Topology, at: &Namespace, n: u32) -> Bird {
    let config = format!(
        "router id 10.{n}.0.2;
protocol static {{
  ipv4;
  route 203.0.113.0/24 blackhole;
  route 10.{n}.50.0/24 blackhole;
}}
protocol bgp {{
  local 10.{n}.0.2 as 6510{n};
  neighbor 10.{n}.0.1 as 6500{};
  connect retry time 1;
  error wait time 1, 2;
  ipv4 {{ import all; export where source = RTS_STATIC; }};
  ipv6 {{ import all; export none; }};
}}
",
        n - 1
    );
    Bird::start(topology, at, &config)
}

#[test]
fn views_are_shown_as_frr_shows_them() {
    need!(
        "/usr/sbin/bird",
        "/usr/lib/frr/bgpd",
        "/usr/lib/frr/zebra",
        "/usr/bin/vtysh"
    );
    let theirs = Network::start(RouterKind::Frr);
    let ours = Network::start(RouterKind::Holdfast);
    theirs.converge(2);
    ours.converge(0);
    let mut comparison = Comparison::new([ours.router.as_ref(), theirs.router.as_ref()]);
    comparison.text_and_json(SHOWN);
    comparison.text(TEXT_ONLY);
    comparison.finish();
    // FRR's list has the default instance in it, without a name.
    for command in ["show bgp views", "show bgp view"] {
        let listed = ours.router.vtysh(command);
        assert_eq!(
            listed,
            "Defined BGP views:\n\tBLUE (AS65001)\n\tRED (AS65002)\n"
        );
        let frrs = theirs.router.vtysh(command);
        assert_eq!(frrs.replace("\t(null) (AS65000)\n", ""), listed);
    }
    for network in [&ours, &theirs] {
        let prefixes: Vec<String> = network
            .at
            .routes(super::harness::Family::V4)
            .into_iter()
            .filter(|route| route.protocol == "bgp")
            .map(|route| route.destination)
            .collect();
        assert_eq!(prefixes, ["10.1.50.0/24", "203.0.113.0/24"]);
    }
}
