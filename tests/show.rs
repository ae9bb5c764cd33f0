//! What the shell shows, held against FRR: the same network twice, once with
//! this project's daemon as the router and once with FRR, and every answer of
//! the one compared with the other's.
//!
//! ```text
//!  ctr 192.168.10.100, w1 .101 (AS 65001) -+         +- core 192.168.30.1 (AS 65000, FRR)
//!                   192.168.10.0/24 .200 - router - 192.168.30.0/24 .200
//!             w0 192.168.20.100 (AS 65001) -+         +- edge 2001:db8:40::1 (AS 65020, FRR)
//! ```
//!
//! `HOLDFAST_SHOW_DIR` names a directory to write all answers to.

#[path = "show/compare.rs"]
mod compare;
#[path = "show/comparison.rs"]
mod comparison;
mod harness;
#[path = "show/text.rs"]
mod text;
#[path = "show/views.rs"]
mod views;
#[path = "show/vrfs.rs"]
mod vrfs;

use comparison::Comparison;
use harness::{
    Frr, Gobgp, Holdfast, Namespace, Router, RouterKind, SOON, Topology, need, wait_for,
};

const VIP: &str = "172.16.1.1/32";

/// Name, address, the router's address, pod network.
const NODES: [[&str; 4]; 3] = [
    ["ctr", "192.168.10.100", "192.168.10.200", "172.20.0.0/24"],
    ["w1", "192.168.10.101", "192.168.10.200", "172.20.1.0/24"],
    ["w0", "192.168.20.100", "192.168.20.200", "172.20.2.0/24"],
];
const CORE: &str = "192.168.30.1";
const EDGE: &str = "2001:db8:40::1";

/// The router.
/// A host name of its own would not reach FRR's bgpd in time, so it is the
/// machine's.
const CONFIG: &str = "frr version 8.4.4
frr defaults traditional
hostname HOST
no ipv6 forwarding
service integrated-vtysh-config
!
router bgp 65000
 bgp router-id 192.168.10.200
 no bgp ebgp-requires-policy
 bgp graceful-restart
 bgp bestpath as-path multipath-relax
 neighbor CILIUM peer-group
 neighbor CILIUM remote-as external
 neighbor 192.168.10.100 peer-group CILIUM
 neighbor 192.168.10.101 peer-group CILIUM
 neighbor 192.168.20.100 peer-group CILIUM
 neighbor 192.168.10.250 remote-as 65099
 neighbor 192.168.10.250 description nobody listens there
 neighbor 192.168.10.251 remote-as 65098
 neighbor 192.168.10.251 shutdown
 neighbor 192.168.30.1 remote-as internal
 neighbor 192.168.30.1 description core
 neighbor 192.168.30.1 timers 20 60
 neighbor 2001:db8:40::1 remote-as 65020
 neighbor 2001:db8:40::1 description edge over IPv6, with a long description
 !
 address-family ipv4 unicast
  network 10.10.1.0/24
  redistribute connected
  redistribute static
  neighbor 192.168.10.101 next-hop-self
  neighbor 192.168.20.100 next-hop-self force
  neighbor 192.168.30.1 next-hop-self
  neighbor 192.168.30.1 soft-reconfiguration inbound
  no neighbor 2001:db8:40::1 activate
  maximum-paths 4
 exit-address-family
 !
 address-family ipv6 unicast
  network 2001:db8:50::/64
  neighbor 192.168.30.1 activate
  neighbor 2001:db8:40::1 activate
  neighbor 2001:db8:40::1 soft-reconfiguration inbound
 exit-address-family
exit
!
end
";

/// Prefixes that each peer is sent in the end. FRR also sends some back to
/// where they came from.
const SENT: &[(&str, &str, u64)] = &[
    ("ipv4Unicast", "192.168.10.100", 7),
    ("ipv4Unicast", "192.168.10.101", 8),
    ("ipv4Unicast", "192.168.20.100", 8),
    ("ipv4Unicast", CORE, 8),
    ("ipv6Unicast", CORE, 3),
    ("ipv6Unicast", EDGE, 2),
];

const CORE_CONFIG: &str = "hostname core
router bgp 65000
 bgp router-id 192.168.30.1
 no bgp network import-check
 neighbor 192.168.30.200 remote-as 65000
 neighbor 192.168.30.200 timers connect 1
 address-family ipv4 unicast
  network 198.51.100.0/24
  network 198.51.101.0/24
  network 203.0.113.0/25
  neighbor 192.168.30.200 route-map OUT out
 exit-address-family
 address-family ipv6 unicast
  network 2001:db8:b::/48
  neighbor 192.168.30.200 activate
 exit-address-family
exit
ip prefix-list PLAIN permit 203.0.113.0/25
route-map OUT permit 5
 match ip address prefix-list PLAIN
 set as-path prepend 64999 4200000001
exit
route-map OUT permit 10
 set community 65000:100 65000:200 no-export
 set large-community 65000:1:2 4200000001:3:4
 set extcommunity rt 65000:7
 set metric 55
 set local-preference 300
exit
";

const EDGE_CONFIG: &str = "hostname edge
router bgp 65020
 bgp router-id 192.0.2.40
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor 2001:db8:40::200 remote-as 65000
 neighbor 2001:db8:40::200 timers connect 1
 address-family ipv4 unicast
  no neighbor 2001:db8:40::200 activate
 exit-address-family
 address-family ipv6 unicast
  network 2001:db8:a::/48
  network 2001:db8:a:1::/64
  neighbor 2001:db8:40::200 activate
  neighbor 2001:db8:40::200 route-map OUT out
 exit-address-family
exit
route-map OUT permit 10
 set community 65020:1
 set metric 7
exit
";

/// One of the two networks; dropped from the top.
struct Network {
    router: Box<dyn Router>,
    _nodes: Vec<Gobgp>,
    _peers: [Frr; 2],
    _topology: Topology,
}

impl Network {
    fn start(kind: RouterKind) -> Self {
        let host = nix::unistd::gethostname().expect("the host's name");
        let config = CONFIG.replace("HOST", &host.to_string_lossy());
        let topology = Topology::new();
        let at = topology.namespace("router");
        at.sysctl("net.ipv4.ip_forward", "1");
        let switch = topology.namespace("switch");
        switch.ip("link add subnet10 type bridge");
        switch.ip("link set subnet10 up");
        // An address where nobody answers but the kernel.
        switch.ip("addr add 192.168.10.250/24 dev subnet10");
        topology.link(
            at.end("eth1", "192.168.10.200/24"),
            switch.end("router", ""),
        );
        switch.ip("link set router master subnet10");
        at.stub("loop1", "10.10.1.200/24");
        at.stub("loop6", "2001:db8:50::200/64");

        let namespaces: Vec<Namespace> = NODES
            .iter()
            .map(|node| node_link(&topology, &at, &switch, node))
            .collect();
        let core = topology.namespace("core");
        topology.link(
            core.end("eth0", "192.168.30.1/24 2001:db8:30::1/64"),
            at.end("eth3", "192.168.30.200/24 2001:db8:30::200/64"),
        );
        let edge = topology.namespace("edge");
        topology.link(
            edge.end("eth0", "2001:db8:40::1/64"),
            at.end("eth4", "2001:db8:40::200/64"),
        );
        fixed_hardware_addresses(&[
            (&at, "eth1", "02:00:00:00:01:02"),
            (&at, "eth2", "02:00:00:00:02:02"),
            (&at, "eth3", "02:00:00:00:03:02"),
            (&at, "eth4", "02:00:00:00:04:02"),
            (&core, "eth0", "02:00:00:00:03:01"),
            (&edge, "eth0", "02:00:00:00:04:01"),
        ]);

        let router: Box<dyn Router> = match kind {
            RouterKind::Holdfast => Box::new(Holdfast::start(&topology, &at, &config)),
            RouterKind::Frr => Box::new(Frr::start(&topology, &at, &config)),
        };
        let nodes: Vec<Gobgp> = NODES
            .iter()
            .zip(&namespaces)
            .map(|(node, namespace)| start_node(&topology, namespace, node))
            .collect();
        let peers = [
            Frr::start_without_kernel(&topology, &core, CORE_CONFIG),
            Frr::start_without_kernel(&topology, &edge, EDGE_CONFIG),
        ];
        Self {
            router,
            _nodes: nodes,
            _peers: peers,
            _topology: topology,
        }
    }

    /// Whether every peer has been sent everything; else what is missing.
    fn sent(&self) -> Result<(), String> {
        let summary = self.router.json("show bgp summary json");
        for (family, peer, count) in SENT {
            let shown = &summary[*family]["peers"][*peer];
            if shown["pfxSnt"].as_u64() < Some(*count) || shown["outq"] != 0 {
                return Err(format!("{peer}: {shown}"));
            }
        }
        Ok(())
    }

    /// Waits until every session is up and every route has come.
    fn converge(&self) {
        self.router
            .wait_established(&[NODES[0][1], NODES[1][1], NODES[2][1], CORE, EDGE]);
        self.router.freeze();
        for node in &self._nodes {
            node.gobgp(&format!("global rib add {VIP} origin igp"));
        }
        self.router.thaw();
        for (family, prefixes) in [("ipv4", 11), ("ipv6", 4)] {
            wait_for(SOON, &format!("{family} prefixes"), || {
                let count = self.router.prefix_count(family);
                if count == prefixes {
                    Ok(())
                } else {
                    Err(count.to_string())
                }
            });
        }
        self.router.wait_paths(VIP, NODES.len());
        wait_for(SOON, "updates sent", || self.sent());
    }
}

fn node_link(
    topology: &Topology,
    at: &Namespace,
    switch: &Namespace,
    [name, address, gateway, _]: &[&'static str; 4],
) -> Namespace {
    let namespace = topology.namespace(name);
    let address = format!("{address}/24");
    if *gateway == "192.168.10.200" {
        let port = format!("port-{name}");
        topology.link(namespace.end("eth0", &address), switch.end(&port, ""));
        switch.ip(&format!("link set {port} master subnet10"));
    } else {
        topology.link(
            namespace.end("eth0", &address),
            at.end("eth2", "192.168.20.200/24"),
        );
    }
    namespace
}

/// Link-local addresses come from hardware addresses, and are shown.
fn fixed_hardware_addresses(interfaces: &[(&Namespace, &str, &str)]) {
    for (namespace, interface, address) in interfaces {
        let kept: Vec<String> = namespace
            .ip(&format!("-6 -o addr show dev {interface} scope global"))
            .split_whitespace()
            .filter(|word| word.starts_with("2001:db8:"))
            .map(ToOwned::to_owned)
            .collect();
        namespace.ip(&format!("link set {interface} down"));
        namespace.ip(&format!("link set {interface} address {address}"));
        namespace.ip(&format!("link set {interface} up"));
        for lost in kept {
            namespace.ip(&format!("addr replace {lost} dev {interface}"));
        }
        wait_for(SOON, "a link-local address", || {
            let shown = namespace.ip(&format!("-6 -o addr show dev {interface} scope link"));
            if shown.contains("fe80:") && !shown.contains("tentative") {
                Ok(())
            } else {
                Err(shown)
            }
        });
    }
}

fn start_node(
    topology: &Topology,
    namespace: &Namespace,
    [_, address, gateway, pods]: &[&str; 4],
) -> Gobgp {
    let config = format!(
        "[global.config]
as = 65001
router-id = \"{address}\"
[[neighbors]]
[neighbors.config]
neighbor-address = \"{gateway}\"
peer-as = 65000
[neighbors.timers.config]
connect-retry = 5
idle-hold-time-after-reset = 5
[neighbors.graceful-restart.config]
enabled = true
restart-time = 90
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = \"ipv4-unicast\"
[neighbors.afi-safis.mp-graceful-restart.config]
enabled = true
"
    );
    let gobgp = Gobgp::start(topology, namespace, &config);
    gobgp.gobgp(&format!("global rib add {pods} origin igp"));
    gobgp
}

/// Commands whose text and JSON are compared.
const SHOWN: &[&str] = &[
    "show ip bgp summary",
    "show bgp summary",
    "show bgp ipv4 unicast summary",
    "show bgp ipv6 unicast summary",
    "show bgp ipv6 summary",
    "show bgp summary wide",
    "show bgp summary established",
    "show bgp summary failed",
    "show bgp vrf all summary",
    "show bgp vrf all ipv4 unicast summary",
    "show bgp vrf default summary",
    "show bgp vrf nowhere summary",
    "show ip bgp",
    "show bgp",
    "show bgp ipv4 unicast",
    "show bgp ipv6 unicast",
    "show bgp vrf all",
    "show bgp vrf all ipv4 unicast",
    "show bgp vrf nowhere ipv4 unicast",
    "show ip bgp 172.16.1.1/32",
    "show ip bgp 172.16.1.1",
    "show ip bgp 172.16.1.1/32 bestpath",
    "show ip bgp 172.16.1.1/32 multipath",
    "show ip bgp 10.10.1.0/24",
    "show ip bgp 192.168.10.0/24",
    "show bgp ipv4 unicast 172.20.0.0/24",
    "show bgp ipv4 unicast 198.51.100.0/24",
    "show bgp ipv4 unicast 203.0.113.0/25",
    "show bgp ipv4 unicast 198.51.100.0/23 longer-prefixes",
    "show bgp ipv4 unicast 100.64.0.0/10",
    "show bgp ipv6 unicast 2001:db8:a::/48",
    "show bgp ipv6 unicast 2001:db8:b::/48",
    "show bgp ipv6 unicast 2001:db8:50::/64",
    "show bgp ipv6 unicast 2001:db8:a:1::5",
    "show bgp neighbors",
    "show ip bgp neighbors",
    "show bgp ipv4 neighbors",
    "show bgp ipv6 neighbors",
    "show bgp vrf all neighbors",
    "show bgp vrf default neighbors",
    "show bgp neighbors 192.168.10.100",
    "show bgp neighbors 192.168.10.250",
    "show bgp neighbors 192.168.10.251",
    "show bgp neighbors 192.168.30.1",
    "show bgp neighbors 2001:db8:40::1",
    "show bgp neighbors 192.0.2.9",
    "show bgp neighbors nobody",
    "show bgp ipv4 unicast neighbors 192.168.10.100 advertised-routes",
    "show bgp ipv4 unicast neighbors 192.168.10.100 routes",
    "show bgp ipv4 unicast neighbors 192.168.10.100 received-routes",
    "show bgp ipv4 unicast neighbors 192.168.30.1 advertised-routes",
    "show bgp ipv4 unicast neighbors 192.168.30.1 routes",
    "show bgp ipv4 unicast neighbors 192.168.30.1 received-routes",
    "show bgp ipv6 unicast neighbors 192.168.30.1 advertised-routes",
    "show bgp ipv6 unicast neighbors 192.168.30.1 routes",
    "show bgp ipv6 unicast neighbors 2001:db8:40::1 advertised-routes",
    "show bgp ipv6 unicast neighbors 2001:db8:40::1 routes",
    "show bgp ipv6 unicast neighbors 2001:db8:40::1 received-routes",
    "show bgp ipv4 unicast neighbors 2001:db8:40::1 routes",
    "show bgp ipv4 unicast neighbors 2001:db8:40::1 advertised-routes",
    "show bgp ipv4 unicast neighbors 192.168.10.250 advertised-routes",
    "show bgp ipv4 unicast neighbors 192.168.10.250 routes",
    "show bgp ipv4 unicast neighbors 192.0.2.9 routes",
    "show bgp vrf default ipv4 unicast neighbors 192.168.10.100 routes",
    "show bgp peer-group",
    "show bgp peer-group CILIUM",
    "show bgp peer-group NONE",
    "show bgp vrfs",
    "show ip route bgp",
    "show ipv6 route bgp",
    "show ip route 172.16.1.1/32",
    "show ip route 172.20.2.0/24",
    "show ip route 198.51.100.0/24",
    "show ipv6 route 2001:db8:a::/48",
];

/// Commands whose text is compared, errors included.
const TEXT_ONLY: &[&str] = &[
    "show running-config",
    "show vrf",
    "show bgp nexthop 192.168.10.100",
    "show bgp nexthop 192.168.20.100 detail",
    "show ip bgp nexthop 192.168.10.250",
    "show ip bgp nexthop 192.168.30.1",
    "show bgp nexthop 192.0.2.9",
    "show bgp view NONE nexthop",
    "show bgp nexthop | include 192.168",
    "show ip nht 192.168.10.100",
    "show ip nht 192.168.10.250",
    "show ip nht 192.168.30.1",
    "show ip nht 192.0.2.9",
    "show ipv6 nht 2001:db8:40::1",
    "show ip nht | include 192.168",
    "clear bgp 192.0.2.9",
    "clear bgp peer-group NONE",
    "show bgp foo",
    "show ip bgp summry",
    "show bgp neighbors 192.168.10.100 json | include remoteAs",
    "show bgp ipv4 unicast summary | include 65001",
    "show bgp summary json | include totalPeers",
    "show bgp summary | include",
    "show bgp summary | frobnicate x",
    "show ip bgp wide",
];

/// Lines of one shell, separated by ` / `, that change nothing.
const CONVERSATIONS: &[&str] = &[
    "configure terminal / foo",
    "configure terminal / router bgp 65001",
    "configure terminal / router bgp 65000 / neighbor 192.0.2.77 timers 5 15",
    "configure terminal / router bgp 65000 / neighbor 192.168.10.250 timers 70000 3",
    "configure terminal / router bgp 65000 / no neighbor 192.0.2.77",
    "configure terminal / router bgp 65000 / neighbor 192.168.10.250 peer-group NONE",
    "configure terminal / router bgp 65000 / neighbor 192.168.10.100 remote-as 65009",
    "configure terminal / router bgp 65000 / neighbor 192.168.10.250 foo",
    "configure terminal / router bgp 65000 / neighbor 192.168.10.250",
    "configure terminal / router bgp 65000 / address-family ipv4 unicast / no network 192.0.2.0/24",
    "configure terminal / router bgp 65000 / address-family ipv4 unicast \
     / neighbor 192.168.10.250 route-reflector-client",
    "configure terminal / do show bgp summary json | include totalPeers",
    "configure terminal / router bgp 65000 / end / show bgp ipv4 unicast summary | include 65099",
    "show bgp nothing / show bgp summary json | include totalPeers",
    "write terminal no-header",
];

/// What is shown again when external peers lack the policy that RFC 8212
/// asks for.
const WITHOUT_POLICY: &[&str] = &[
    "show bgp summary",
    "show bgp vrf all ipv4 unicast summary",
    "show bgp vrf all neighbors",
    "show ip bgp",
    "show bgp ipv4 unicast 172.16.1.1/32",
    "show bgp ipv4 unicast 10.10.1.0/24",
    "show bgp ipv4 unicast neighbors 192.168.10.100 advertised-routes",
    "show bgp ipv4 unicast neighbors 192.168.10.100 routes",
    "show bgp ipv6 unicast neighbors 2001:db8:40::1 received-routes",
    "show ip route bgp",
    "show ipv6 route bgp",
];

/// The network twice.
struct Pair {
    ours: Network,
    theirs: Network,
}

impl Pair {
    fn up() -> Self {
        // A daemon ends with the thread that started it, so one after the other.
        let theirs = Network::start(RouterKind::Frr);
        let ours = Network::start(RouterKind::Holdfast);
        theirs.converge();
        ours.converge();
        Self { ours, theirs }
    }

    fn routers(&self) -> [&dyn Router; 2] {
        [self.ours.router.as_ref(), self.theirs.router.as_ref()]
    }

    /// Takes away what lets external peers go without a policy, and waits
    /// until their routes are gone.
    fn require_policy(&self) {
        for network in [&self.ours, &self.theirs] {
            let lines = [
                "configure terminal",
                "router bgp 65000",
                "bgp ebgp-requires-policy",
                "end",
                "clear bgp * soft",
            ];
            network.router.shell(&lines);
        }
        for network in [&self.ours, &self.theirs] {
            for (family, prefixes) in [("ipv4", 7), ("ipv6", 2)] {
                wait_for(SOON, &format!("{family} prefixes without a policy"), || {
                    let count = network.router.prefix_count(family);
                    if count == prefixes {
                        Ok(())
                    } else {
                        Err(count.to_string())
                    }
                });
            }
        }
    }
}

#[test]
fn every_answer_is_as_frr_gives_it() {
    need!(
        "gobgpd",
        "gobgp",
        "/usr/lib/frr/bgpd",
        "/usr/lib/frr/zebra",
        "/usr/bin/vtysh"
    );
    let pair = Pair::up();
    let mut comparison = Comparison::new(pair.routers());
    comparison.text_and_json(SHOWN);
    comparison.text(TEXT_ONLY);
    comparison.text(CONVERSATIONS);
    pair.require_policy();
    comparison.text_and_json(WITHOUT_POLICY);
    comparison.finish();
}
