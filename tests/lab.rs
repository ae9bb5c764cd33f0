//! The lab: one router and three GoBGP nodes on two subnets.
//!
//! ```text
//!  k8s-ctr 192.168.10.100 -+                        +- k8s-w0 192.168.20.100
//!                          +- 192.168.10.0/24 - router - 192.168.20.0/24
//!  k8s-w1  192.168.10.101 -+  .10.200          .20.200
//!  node AS 65001, router AS 65000; a client on 192.168.30.0/24 behind the router
//! ```
//!
//! The router runs on `examples/lab/router.frr.conf` as it is, and announces
//! 10.10.1.0/24 of its `loop1`.

mod harness;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use harness::netns::Greeter;
use harness::{Gobgp, Namespace, Router, SOON, Topology, need, router, wait_for, wait_until};

const VIP: &str = "172.16.1.1/32";
const CONNECTIONS: usize = 100;

/// Name, address, the router's address on its subnet, pod network.
const NODES: [NodePlan; 3] = [
    NodePlan {
        name: "k8s-ctr",
        address: "192.168.10.100",
        gateway: "192.168.10.200",
        pods: "172.20.0.0/24",
    },
    NodePlan {
        name: "k8s-w1",
        address: "192.168.10.101",
        gateway: "192.168.10.200",
        pods: "172.20.1.0/24",
    },
    NodePlan {
        name: "k8s-w0",
        address: "192.168.20.100",
        gateway: "192.168.20.200",
        pods: "172.20.2.0/24",
    },
];

struct NodePlan {
    name: &'static str,
    address: &'static str,
    gateway: &'static str,
    pods: &'static str,
}

struct Node {
    plan: &'static NodePlan,
    namespace: Namespace,
    gobgp: Gobgp,
}

/// Dropped from the top: the daemons before their network.
struct Lab {
    router: Box<dyn Router>,
    nodes: Vec<Node>,
    client: Namespace,
    _topology: Topology,
}

impl Lab {
    /// Brings everything up, the three sessions included.
    fn up() -> Self {
        let topology = Topology::new();
        let router_namespace = topology.namespace("router");
        let switch = topology.namespace("switch");
        switch.ip("link add subnet10 type bridge");
        switch.ip("link set subnet10 up");
        topology.link(
            router_namespace.end("eth1", "192.168.10.200/24"),
            switch.end("router", ""),
        );
        switch.ip("link set router master subnet10");
        prepare_router(&router_namespace);

        let mut nodes = Vec::new();
        for (index, plan) in NODES.iter().enumerate() {
            let namespace = topology.namespace(plan.name);
            let address = format!("{}/24", plan.address);
            if plan.gateway == "192.168.10.200" {
                let port = format!("node{index}");
                topology.link(namespace.end("eth0", &address), switch.end(&port, ""));
                switch.ip(&format!("link set {port} master subnet10"));
            } else {
                topology.link(
                    namespace.end("eth0", &address),
                    router_namespace.end("eth2", "192.168.20.200/24"),
                );
            }
            namespace.ip(&format!("route add default via {}", plan.gateway));
            namespace.ip("addr add 172.16.1.1/32 dev lo");
            let gobgp = Gobgp::start(&topology, &namespace, &node_config(plan));
            gobgp.gobgp(&format!("global rib add {} origin igp", plan.pods));
            nodes.push(Node {
                plan,
                namespace,
                gobgp,
            });
        }
        let client = topology.namespace("client");
        topology.link(
            client.end("eth0", "192.168.30.100/24"),
            router_namespace.end("eth3", "192.168.30.200/24"),
        );
        client.ip("route add default via 192.168.30.200");

        let config = harness::repository_file("examples/lab/router.frr.conf");
        let router = router::start(&topology, &router_namespace, &config);
        router.wait_established(&NODES.each_ref().map(|plan| plan.address));
        Self {
            router,
            nodes,
            client,
            _topology: topology,
        }
    }

    /// Has all nodes announce the VIP at one moment, as far as the router can
    /// tell: it is frozen meanwhile. Were one path there before the others, it
    /// would stay the best for its age, whatever the router IDs are.
    fn announce_vip(&self) {
        self.router.freeze();
        for node in &self.nodes {
            node.gobgp
                .gobgp(&format!("global rib add {VIP} origin igp"));
        }
        self.router.thaw();
        self.router.wait_paths(VIP, NODES.len());
        self.wait_vip_gateways(&["192.168.10.100", "192.168.10.101", "192.168.20.100"]);
    }

    /// Waits until the kernel's VIP route has exactly these gateways.
    #[track_caller]
    fn wait_vip_gateways(&self, expected: &[&str]) -> Duration {
        let start = Instant::now();
        wait_for(SOON, &format!("the VIP's route via {expected:?}"), || {
            let routes = self.router.namespace().routes_to(VIP);
            match routes.as_slice() {
                [route] if route.gateways() == expected => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
        start.elapsed()
    }

    fn node(&self, name: &str) -> &Node {
        self.nodes
            .iter()
            .find(|node| node.plan.name == name)
            .expect("a node of the lab")
    }
}

fn prepare_router(namespace: &Namespace) {
    namespace.sysctl("net.ipv4.ip_forward", "1");
    namespace.sysctl("net.ipv4.fib_multipath_hash_policy", "1");
    namespace.stub("loop1", "10.10.1.200/24");
}

fn node_config(plan: &NodePlan) -> String {
    format!(
        "[global.config]
as = 65001
router-id = \"{}\"
[[neighbors]]
[neighbors.config]
neighbor-address = \"{}\"
peer-as = 65000
[neighbors.timers.config]
connect-retry = 5
idle-hold-time-after-reset = 5
",
        plan.address, plan.gateway
    )
}

#[test]
fn pod_networks_reach_the_kernel_and_the_routers_network_the_nodes() {
    need!("gobgpd", "gobgp");
    let lab = Lab::up();
    for plan in &NODES {
        let route = wait_for(SOON, &format!("{} in the kernel", plan.pods), || {
            let routes = lab.router.namespace().routes_to(plan.pods);
            routes.first().cloned().ok_or_else(|| "no route".to_owned())
        });
        assert_eq!(route.protocol, "bgp", "{route:?}");
        assert_eq!(route.metric, Some(20), "{route:?}");
        assert_eq!(route.gateways(), [plan.address], "{route:?}");
    }
    for node in &lab.nodes {
        wait_until(SOON, &format!("10.10.1.0/24 at {}", node.plan.name), || {
            node.gobgp.paths("10.10.1.0/24").len() == 1
        });
    }
    let summary = lab.router.json("show ip bgp summary json");
    assert_eq!(summary["ipv4Unicast"]["totalPeers"], 3, "{summary}");
    assert_eq!(summary["ipv4Unicast"]["failedPeers"], 0, "{summary}");
}

#[test]
fn a_virtual_address_of_three_nodes_has_three_next_hops() {
    need!("gobgpd", "gobgp");
    let lab = Lab::up();
    lab.announce_vip();

    let route = lab.router.namespace().routes_to(VIP).remove(0);
    assert_eq!(
        (route.protocol.as_str(), route.metric),
        ("bgp", Some(20)),
        "{route:?}"
    );
    let interfaces: Vec<&str> = route
        .next_hops
        .iter()
        .map(|hop| hop.interface.as_str())
        .collect();
    assert_eq!(interfaces, ["eth1", "eth1", "eth2"]);

    let table = lab.router.vtysh("show ip bgp");
    let marks = vip_marks(&table);
    assert_eq!(
        marks.iter().filter(|mark| *mark == "*>").count(),
        1,
        "{table}"
    );
    assert_eq!(
        marks.iter().filter(|mark| *mark == "*=").count(),
        2,
        "{table}"
    );

    let detail = lab.router.vtysh("show ip bgp 172.16.1.1/32");
    assert!(detail.contains("Paths: (3 available, best #"), "{detail}");
    let lines: Vec<&str> = detail
        .lines()
        .filter(|line| line.contains("Origin IGP"))
        .collect();
    assert_eq!(lines.len(), 3, "{detail}");
    assert!(
        lines
            .iter()
            .all(|line| line.contains("Origin IGP, valid, external, multipath")),
        "{detail}"
    );
    let best: Vec<&&str> = lines.iter().filter(|line| line.contains("best")).collect();
    assert_eq!(best.len(), 1, "{detail}");
    assert!(best[0].contains("best (Router ID)"), "{detail}");
}

/// The two marks of each of the VIP's lines in `show ip bgp`; the lines after
/// the first have no prefix of their own.
fn vip_marks(table: &str) -> Vec<String> {
    table
        .lines()
        .skip_while(|line| !line.contains(VIP))
        .enumerate()
        .take_while(|(index, line)| {
            *index == 0 || line.get(5..9).is_some_and(|gap| gap.trim().is_empty())
        })
        .map(|(_, line)| line.chars().take(3).collect::<String>().trim().to_owned())
        .collect()
}

#[test]
fn a_withdrawn_virtual_address_shrinks_to_two_next_hops() {
    need!("gobgpd", "gobgp");
    let lab = Lab::up();
    lab.announce_vip();
    lab.node("k8s-w1")
        .gobgp
        .gobgp(&format!("global rib del {VIP}"));
    let elapsed = lab.wait_vip_gateways(&["192.168.10.100", "192.168.20.100"]);
    println!("two next hops after {elapsed:?}");
    lab.node("k8s-w1")
        .gobgp
        .gobgp(&format!("global rib add {VIP} origin igp"));
    lab.wait_vip_gateways(&["192.168.10.100", "192.168.10.101", "192.168.20.100"]);
}

#[test]
fn a_closed_session_takes_its_routes_from_the_kernel() {
    need!("gobgpd", "gobgp");
    let mut lab = Lab::up();
    lab.announce_vip();
    let pods = NODES[0].pods;
    wait_until(SOON, "the pod network's route", || {
        !lab.router.namespace().routes_to(pods).is_empty()
    });

    lab.node("k8s-ctr")
        .gobgp
        .gobgp("neighbor 192.168.10.200 disable");
    let start = Instant::now();
    wait_until(
        Duration::from_secs(5),
        "the pod network's route is gone",
        || lab.router.namespace().routes_to(pods).is_empty(),
    );
    lab.wait_vip_gateways(&["192.168.10.101", "192.168.20.100"]);
    println!(
        "routes gone after {:?} (session shut down)",
        start.elapsed()
    );

    lab.node("k8s-ctr")
        .gobgp
        .gobgp("neighbor 192.168.10.200 enable");
    lab.router.wait_established(&["192.168.10.100"]);
    lab.wait_vip_gateways(&["192.168.10.100", "192.168.10.101", "192.168.20.100"]);

    let node = lab
        .nodes
        .iter_mut()
        .find(|node| node.plan.name == "k8s-w0")
        .expect("k8s-w0");
    let start = Instant::now();
    node.gobgp.kill();
    lab.wait_vip_gateways(&["192.168.10.100", "192.168.10.101"]);
    wait_until(
        Duration::from_secs(5),
        "the killed node's pod network is gone",
        || lab.router.namespace().routes_to(NODES[2].pods).is_empty(),
    );
    println!("routes gone after {:?} (daemon killed)", start.elapsed());
}

#[test]
fn connections_to_a_virtual_address_spread_over_all_nodes() {
    need!("gobgpd", "gobgp");
    let lab = Lab::up();
    lab.announce_vip();
    let address = "172.16.1.1:8080".parse().expect("an address");
    let _greeters: Vec<Greeter> = lab
        .nodes
        .iter()
        .map(|node| node.namespace.greeter(address, node.plan.name))
        .collect();
    let spread = lab.client.inside(|| {
        let mut spread: BTreeMap<String, usize> = BTreeMap::new();
        for _ in 0..CONNECTIONS {
            let mut name = String::new();
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))
                .expect("a connection to the VIP");
            stream.read_to_string(&mut name).expect("a node's name");
            *spread.entry(name).or_default() += 1;
        }
        spread
    });
    println!("spread: {spread:?}");
    assert_eq!(spread.len(), NODES.len(), "{spread:?}");
    assert_eq!(spread.values().sum::<usize>(), CONNECTIONS);
    // Three even shares are 33 each; under 10 of a hundred would be no hash.
    assert!(spread.values().all(|share| *share >= 10), "{spread:?}");
}
