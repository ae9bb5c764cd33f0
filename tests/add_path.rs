//! Several paths of a prefix to peers that take them (RFC 7911): BIRD and GoBGP
//! as those peers, scripted neighbors as where the paths come from.

mod harness;

use harness::wire::{self, Open, as_path, next_hop, origin};
use harness::{Bird, Gobgp, Namespace, Router, SOON, Scripted, Topology, need, router};
use harness::{wait_for, wait_until};

const PREFIX: &str = "203.0.113.0/24";
const ROUTER: &str = "10.1.0.1";
const RECEIVER: &str = "10.2.0.2";

/// Addresses and ASes of the neighbors that have a path each.
const SOURCES: [(&str, u32); 4] = [
    ("10.1.0.2", 65101),
    ("10.1.0.3", 65101),
    ("10.1.0.4", 65102),
    ("10.1.0.5", 65102),
];

/// The router with its neighbors; dropped from the top.
struct Sources {
    sessions: Vec<Scripted>,
    router: Box<dyn Router>,
    observer: Namespace,
    topology: Topology,
}

impl Sources {
    /// The router sends paths to its internal peer as the line says.
    fn up(line: &str) -> Self {
        let topology = Topology::new();
        let (source, middle, observer) = (
            topology.namespace("source"),
            topology.namespace("router"),
            topology.namespace("observer"),
        );
        topology.link(
            source.end("eth0", "10.1.0.2/24 10.1.0.3/24 10.1.0.4/24 10.1.0.5/24"),
            middle.end("eth1", "10.1.0.1/24"),
        );
        topology.link(
            observer.end("eth0", "10.2.0.2/24"),
            middle.end("eth2", "10.2.0.1/24"),
        );
        let router = router::start(&topology, &middle, &router_config(line));
        let sessions = SOURCES.map(|(address, asn)| {
            let open = Open::good(asn, address);
            Scripted::establish(&source, address, ROUTER, &open)
        });
        let up = Self {
            sessions: sessions.into(),
            router,
            observer,
            topology,
        };
        for number in 0..SOURCES.len() {
            up.announce(number);
        }
        up.router.wait_paths(PREFIX, SOURCES.len());
        up
    }

    fn announce(&self, number: usize) {
        let (address, asn) = SOURCES[number];
        // The later ones come from farther away, so the first is the best.
        let path: Vec<u32> = [asn]
            .into_iter()
            .chain((0..number).map(|_| 65200))
            .collect();
        let attributes = [origin(0), as_path(&path), next_hop(address)];
        self.sessions[number].send(&wire::update(&[], &attributes, &[PREFIX]));
    }

    fn withdraw(&self, number: usize) {
        self.sessions[number].send(&wire::update(&[PREFIX], &[], &[]));
    }
}

fn router_config(line: &str) -> String {
    let mut text =
        String::from("router bgp 65000\n bgp router-id 10.0.0.1\n no bgp ebgp-requires-policy\n");
    for (address, asn) in SOURCES {
        text += &format!(" neighbor {address} remote-as {asn}\n neighbor {address} passive\n");
    }
    text += &format!(
        " neighbor {RECEIVER} remote-as 65000
 neighbor {RECEIVER} timers connect 1
 address-family ipv4 unicast
  neighbor {RECEIVER} {line}
 exit-address-family
exit
"
    );
    text
}

const BIRD: &str = "router id 10.2.0.2;
protocol bgp upstream {
  local 10.2.0.2 as 65000;
  neighbor 10.2.0.1 as 65000;
  connect delay time 1;
  connect retry time 2;
  error wait time 1, 2;
  ipv4 { add paths rx; import all; export none; };
}
";

const GOBGP: &str = "[global.config]
as = 65000
router-id = \"10.2.0.2\"
[[neighbors]]
[neighbors.config]
neighbor-address = \"10.2.0.1\"
peer-as = 65000
[neighbors.timers.config]
connect-retry = 5
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = \"ipv4-unicast\"
[neighbors.afi-safis.add-paths.config]
receive = true
";

/// Next hops of the paths that BIRD holds, reachable or not.
fn held_by(bird: &Bird) -> (Vec<String>, String) {
    let text = bird.birdc(&format!("show route for {PREFIX} all"));
    let hops = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("BGP.next_hop: "));
    let mut hops: Vec<String> = hops.map(str::to_owned).collect();
    hops.sort();
    (hops, text)
}

#[track_caller]
fn wait_held(bird: &Bird, numbers: &[usize]) {
    let wanted: Vec<&str> = numbers.iter().map(|at| SOURCES[*at].0).collect();
    wait_for(SOON, &format!("bird holds the paths of {wanted:?}"), || {
        let (hops, text) = held_by(bird);
        if hops == wanted { Ok(()) } else { Err(text) }
    });
}

#[test]
fn bird_holds_all_paths_and_loses_those_that_go() {
    need!("bird", "birdc");
    let up = Sources::up("addpath-tx-all-paths");
    let bird = Bird::start(&up.topology, &up.observer, BIRD);
    up.router.wait_established(&[RECEIVER]);
    wait_held(&bird, &[0, 1, 2, 3]);
    // One in the middle, then the best one.
    up.withdraw(2);
    wait_held(&bird, &[0, 1, 3]);
    up.withdraw(0);
    wait_held(&bird, &[1, 3]);
    up.announce(2);
    wait_held(&bird, &[1, 2, 3]);
    let shown = up.router.vtysh(&format!(
        "show bgp ipv4 unicast neighbors {RECEIVER} advertised-routes"
    ));
    for number in [1, 2, 3] {
        assert!(shown.contains(SOURCES[number].0), "{shown}");
    }
    for number in [1, 2, 3] {
        up.withdraw(number);
    }
    wait_held(&bird, &[]);
}

#[test]
fn gobgp_holds_the_best_path_of_each_as() {
    need!("gobgpd", "gobgp");
    let up = Sources::up("addpath-tx-bestpath-per-AS");
    let gobgp = Gobgp::start(&up.topology, &up.observer, GOBGP);
    up.router.wait_established(&[RECEIVER]);
    let hops = || {
        let text = gobgp.gobgp("neighbor 10.2.0.1 adj-in");
        let held = |(address, _): &&(&str, u32)| text.contains(&format!("{address} "));
        let held: Vec<&str> = SOURCES.iter().filter(held).map(|(a, _)| *a).collect();
        (held == ["10.1.0.2", "10.1.0.4"], text)
    };
    wait_for(SOON, "gobgp holds two paths", || match hops() {
        (true, _) => Ok(()),
        (false, text) => Err(text),
    });
    up.withdraw(0);
    wait_until(SOON, "the next best path of its AS comes instead", || {
        let text = gobgp.gobgp("neighbor 10.2.0.1 adj-in");
        !text.contains("10.1.0.2 ") && text.contains("10.1.0.3 ") && text.contains("10.1.0.4 ")
    });
}
