//! Restarts without a lost packet: two hosts talk through the router while it,
//! or a neighbor of it, goes and comes back. Each side learns the other's
//! network by BGP, so every packet depends on the routes of all three routers.
//!
//! ```text
//!  left - west AS 65001 - router AS 65000 - east AS 65002 - right
//!  10.101.0.0/24   10.1.0.0/24       10.2.0.0/24    10.102.0.0/24
//! ```

mod harness;

use std::fmt::Write as _;

use harness::process::Process;
use harness::{Count, Frr, Gobgp, Holdfast, Namespace, Router, RouterKind, SOON, Stream};
use harness::{Topology, Traffic, need, router, wait_for, wait_until};

/// Networks of each side, beside the hosts'.
const NETWORKS: u32 = 50;
/// Datagrams of each stream while something is away.
const MEANWHILE: u64 = 500;
const NEIGHBORS: [&str; 4] = ["10.1.0.2", "10.2.0.2", "2001:db8:1::2", "2001:db8:2::2"];
const HOSTS: [&str; 4] = [
    "10.101.0.0/24",
    "10.102.0.0/24",
    "2001:db8:101::/64",
    "2001:db8:102::/64",
];
/// What the west announces before a restart only, and after it only.
const BEFORE: [&str; 2] = ["198.18.101.0/24", "2001:db8:f101::/48"];
const AFTER: [&str; 2] = ["198.18.102.0/24", "2001:db8:f102::/48"];
/// The stream that goes by the IPv6 routes of the west's kernel.
const BEYOND_WEST: usize = 1;
/// Comes and goes until a monitor is seen to listen.
const PROBE: &str = "192.0.2.255";

const CONFIG: &str = "router bgp 65000
 bgp router-id 10.0.0.1
 bgp graceful-restart
 no bgp ebgp-requires-policy
 neighbor 10.1.0.2 remote-as 65001
 neighbor 10.1.0.2 timers connect 1
 neighbor 10.2.0.2 remote-as 65002
 neighbor 10.2.0.2 timers connect 1
 neighbor 2001:db8:1::2 remote-as 65001
 neighbor 2001:db8:1::2 timers connect 1
 neighbor 2001:db8:2::2 remote-as 65002
 neighbor 2001:db8:2::2 timers connect 1
 address-family ipv4 unicast
  no neighbor 2001:db8:1::2 activate
  no neighbor 2001:db8:2::2 activate
 exit-address-family
 address-family ipv6 unicast
  neighbor 2001:db8:1::2 activate
  neighbor 2001:db8:2::2 activate
 exit-address-family
exit
";

/// The networks of a side that nobody sends anything to.
fn networks(side: u32) -> Vec<String> {
    let v4 = (0..NETWORKS).map(|index| format!("198.18.{side}.{index}/32"));
    let v6 = (1..=NETWORKS).map(|index| format!("2001:db8:e10{side}:{index:x}::/64"));
    v4.chain(v6).collect()
}

/// FRR on one side, announcing the hosts' network, its networks and `more`.
fn frr(side: u32, more: &[&str], extra: &str) -> String {
    let hosts = [
        format!("10.10{side}.0.0/24"),
        format!("2001:db8:10{side}::/64"),
    ];
    let all: Vec<String> = networks(side)
        .into_iter()
        .chain(hosts)
        .chain(more.iter().map(|&prefix| prefix.to_owned()))
        .collect();
    let announced = |v6: bool| {
        let mut text = String::new();
        for prefix in all.iter().filter(|prefix| prefix.contains(':') == v6) {
            writeln!(text, "  network {prefix}").expect("a string takes all");
        }
        text
    };
    format!(
        "router bgp 6500{side}
 bgp router-id 10.{side}.0.2
{extra} no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor 10.{side}.0.1 remote-as 65000
 neighbor 10.{side}.0.1 timers connect 1
 neighbor 2001:db8:{side}::1 remote-as 65000
 neighbor 2001:db8:{side}::1 timers connect 1
 address-family ipv4 unicast
  no neighbor 2001:db8:{side}::1 activate
{} exit-address-family
 address-family ipv6 unicast
  neighbor 2001:db8:{side}::1 activate
{} exit-address-family
exit
",
        announced(false),
        announced(true)
    )
}

// ===== the network =====

struct Network {
    topology: Topology,
    left: Namespace,
    west: Namespace,
    router: Namespace,
    east: Namespace,
    right: Namespace,
}

impl Network {
    fn new() -> Self {
        let topology = Topology::new();
        let (west, router, east) = topology.three_in_a_row();
        let (left, right) = (topology.namespace("left"), topology.namespace("right"));
        for (host, edge, side) in [(&left, &west, 1), (&right, &east, 2)] {
            topology.link(
                host.end(
                    "eth0",
                    &format!("10.10{side}.0.2/24 2001:db8:10{side}::2/64"),
                ),
                edge.end(
                    "eth1",
                    &format!("10.10{side}.0.1/24 2001:db8:10{side}::1/64"),
                ),
            );
            host.ip(&format!("route add default via 10.10{side}.0.1"));
            host.ip(&format!("route add default via 2001:db8:10{side}::1"));
        }
        for namespace in [&west, &router, &east] {
            namespace.sysctl("net.ipv4.ip_forward", "1");
            namespace.sysctl("net.ipv6.conf.all.forwarding", "1");
        }
        Self {
            topology,
            left,
            west,
            router,
            east,
            right,
        }
    }

    /// Both families, both ways; [`BEYOND_WEST`] is one of them.
    fn traffic(&self) -> Traffic {
        let streams = [
            (&self.left, &self.right, "10.102.0.2"),
            (&self.left, &self.right, "2001:db8:102::2"),
            (&self.right, &self.left, "10.101.0.2"),
            (&self.right, &self.left, "2001:db8:101::2"),
        ];
        let stream = |(from, to, destination)| Stream {
            from,
            to,
            destination,
            flows: 4,
        };
        Traffic::start(&streams.map(stream))
    }

    /// What the router's kernel forwards by: routes and nexthop objects.
    fn forwarding(&self) -> Vec<String> {
        let lists = ["-d -4 route show proto bgp", "-d -6 route show proto bgp"];
        let routes = lists.map(|words| self.router.ip(&format!("-o {words}")));
        let objects = self.router.ip("-o nexthop show");
        let lines = routes
            .iter()
            .chain([&objects])
            .flat_map(|text| text.lines());
        let mut lines: Vec<String> = lines.map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    }

    #[track_caller]
    fn wait_routes(&self, prefixes: &[&str]) {
        wait_for(SOON, "routes in the router's kernel", || {
            let there = self.forwarding();
            let missing = prefixes.iter().find(|prefix| !mentions(&there, prefix));
            missing.map_or(Ok(()), |prefix| Err(format!("no {prefix}")))
        });
    }

    #[track_caller]
    fn wait_gone(&self, prefixes: &[&str]) {
        wait_for(SOON, "what was not announced again is gone", || {
            let there = self.forwarding();
            let left = prefixes.iter().find(|prefix| mentions(&there, prefix));
            left.map_or(Ok(()), |prefix| Err((*prefix).to_owned()))
        });
    }

    #[track_caller]
    fn wait_all_routes(&self) {
        let mut all = networks(1);
        all.extend(networks(2));
        all.extend(HOSTS.map(str::to_owned));
        let all: Vec<&str> = all
            .iter()
            .map(|prefix| prefix.trim_end_matches("/32"))
            .collect();
        self.wait_routes(&all);
    }

    /// Writes down what happens to routes and nexthop objects of a kernel.
    fn monitor(&self, namespace: &Namespace) -> Process {
        let directory = self.topology.daemon_directory("monitors");
        let number = std::fs::read_dir(&directory).map_or(0, Iterator::count);
        let log = directory.join(format!("{}-{number}", namespace.label()));
        let mut command = namespace.command("ip");
        command.args(["-o", "monitor", "route", "nexthop"]);
        let monitor = Process::start("ip monitor", command, &log);
        wait_until(SOON, "the monitor listens", || {
            namespace.ip(&format!("route add blackhole {PROBE} proto static"));
            namespace.ip(&format!("route del blackhole {PROBE} proto static"));
            monitor.log().contains(PROBE)
        });
        monitor
    }
}

fn mentions(lines: &[String], word: &str) -> bool {
    lines
        .iter()
        .any(|line| line.split_whitespace().any(|found| found == word))
}

/// What a monitor wrote of BGP's routes and objects.
fn changes(monitor: &Process) -> Vec<String> {
    let log = monitor.log();
    let of_bgp = log.lines().filter(|line| line.contains("proto bgp"));
    of_bgp.map(str::to_owned).collect()
}

// ===== the neighbors =====

/// A neighbor that helps the router over its restart.
enum Helper {
    Frr(Frr, Process),
    Gobgp(Gobgp, Process),
}

impl Helper {
    /// Whether it has the route, and only for as long as the restart may take.
    fn has(&self, prefix: &str, stale: bool) -> Result<(), String> {
        let paths = match self {
            Self::Frr(frr, _) => frr.paths(prefix),
            Self::Gobgp(gobgp, _) => gobgp.paths(prefix),
        };
        let is_stale = |path: &serde_json::Value| path["stale"] == true;
        match paths.as_slice() {
            [path] if is_stale(path) == stale => Ok(()),
            _ => Err(format!("{prefix}: {paths:?}")),
        }
    }

    /// The routes that it removed at any time.
    fn removed(&self) -> Vec<String> {
        let (log, mark) = match self {
            Self::Frr(_, monitor) => (monitor.log(), "Deleted "),
            Self::Gobgp(_, monitor) => (monitor.log(), "DELROUTE"),
        };
        let lines = log.lines().filter(|line| line.contains(mark));
        let expected = |line: &&str| {
            let mut changing = BEFORE.iter().chain(&AFTER).chain(&[PROBE]);
            changing.any(|prefix| line.contains(prefix))
        };
        lines
            .filter(|line| !expected(line))
            .map(str::to_owned)
            .collect()
    }

    /// Announces some routes in place of others.
    fn announce(&self, new: [&str; 2], old: [&str; 2]) {
        match self {
            Self::Frr(frr, _) => {
                for (index, family) in ["ipv4", "ipv6"].iter().enumerate() {
                    let answer = frr.shell(&[
                        "configure terminal",
                        "router bgp 65001",
                        &format!("address-family {family} unicast"),
                        &format!("no network {}", old[index]),
                        &format!("network {}", new[index]),
                    ]);
                    assert_eq!(answer.code, Some(0), "{answer:?}");
                }
            }
            Self::Gobgp(gobgp, _) => {
                for (index, family) in ["ipv4", "ipv6"].iter().enumerate() {
                    gobgp.gobgp(&format!("global rib del -a {family} {}", old[index]));
                    add(gobgp, new[index], 1);
                }
            }
        }
    }
}

/// GoBGP announces a prefix from one side.
fn add(gobgp: &Gobgp, prefix: &str, side: u32) {
    let words = match prefix.contains(':') {
        false => format!("global rib add {prefix} origin igp"),
        true => format!("global rib add -a ipv6 {prefix} nexthop 2001:db8:{side}::2 origin igp"),
    };
    gobgp.gobgp(&words);
}

fn gobgp(side: u32) -> String {
    let mut text = format!("[global.config]\nas = 6500{side}\nrouter-id = \"10.{side}.0.2\"\n");
    for (address, family) in [
        (format!("10.{side}.0.1"), "ipv4-unicast"),
        (format!("2001:db8:{side}::1"), "ipv6-unicast"),
    ] {
        write!(
            text,
            "[[neighbors]]
[neighbors.config]
neighbor-address = \"{address}\"
peer-as = 65000
[neighbors.timers.config]
connect-retry = 5
idle-hold-time-after-reset = 5
[neighbors.graceful-restart.config]
enabled = true
restart-time = 60
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = \"{family}\"
[neighbors.afi-safis.mp-graceful-restart.config]
enabled = true
"
        )
        .expect("a string takes all");
    }
    text
}

/// The router between two neighbors of one kind; dropped from the top.
struct Lab<R> {
    router: R,
    west: Helper,
    east: Helper,
    network: Network,
    restarts: usize,
}

impl<R: Router> Lab<R> {
    fn with_frr(extra: &str, router: impl FnOnce(&Network) -> R) -> Self {
        let network = Network::new();
        let start = |namespace: &Namespace, side: u32, more: &[&str], extra: &str| {
            let frr = Frr::start(&network.topology, namespace, &frr(side, more, extra));
            Helper::Frr(frr, network.monitor(namespace))
        };
        let west = start(&network.west, 1, &BEFORE, extra);
        let east = start(&network.east, 2, &[], "");
        let router = router(&network);
        Self::up(network, west, east, router)
    }

    fn with_gobgp(router: impl FnOnce(&Network) -> R) -> Self {
        let network = Network::new();
        let start = |namespace: &Namespace, side: u32| {
            let other = 3 - side;
            for (network, gateway) in [
                (format!("10.10{other}.0.0/24"), format!("10.{side}.0.1")),
                (
                    format!("2001:db8:10{other}::/64"),
                    format!("2001:db8:{side}::1"),
                ),
            ] {
                namespace.ip(&format!("route add {network} via {gateway}"));
            }
            let gobgp = Gobgp::start(&network.topology, namespace, &gobgp(side));
            let hosts = [
                format!("10.10{side}.0.0/24"),
                format!("2001:db8:10{side}::/64"),
            ];
            for prefix in networks(side).iter().chain(&hosts) {
                add(&gobgp, prefix, side);
            }
            let log = network
                .topology
                .daemon_directory("monitors")
                .join(format!("gobgp-{side}"));
            let mut command = namespace.command("/usr/bin/gobgp");
            command.args(["monitor", "global", "rib"]);
            Helper::Gobgp(gobgp, Process::start("gobgp monitor", command, &log))
        };
        let (west, east) = (start(&network.west, 1), start(&network.east, 2));
        if let Helper::Gobgp(gobgp, _) = &west {
            for prefix in BEFORE {
                add(gobgp, prefix, 1);
            }
        }
        let router = router(&network);
        Self::up(network, west, east, router)
    }

    fn up(network: Network, west: Helper, east: Helper, router: R) -> Self {
        router.wait_established(&NEIGHBORS);
        network.wait_all_routes();
        network.wait_routes(&BEFORE);
        let lab = Self {
            router,
            west,
            east,
            network,
            restarts: 0,
        };
        lab.wait_helpers(false);
        lab
    }

    /// Until both neighbors have the other's routes from us.
    #[track_caller]
    fn wait_helpers(&self, stale: bool) {
        let what = format!("the neighbors have each other's routes, stale: {stale}");
        wait_for(SOON, &what, || {
            self.west.has("10.102.0.0/24", stale)?;
            self.west.has("2001:db8:102::/64", stale)?;
            self.east.has("10.101.0.0/24", stale)?;
            self.east.has("2001:db8:101::/64", stale)
        });
    }
}

impl Lab<Holdfast> {
    /// Has the router restart under traffic. What the west announces changes
    /// meanwhile, and nothing else may be touched.
    fn restart(&mut self, how: Restart) -> Count {
        let (new, old) = match self.restarts % 2 {
            0 => (AFTER, BEFORE),
            _ => (BEFORE, AFTER),
        };
        let before = self.network.forwarding();
        let monitor = self.network.monitor(&self.network.router);
        let traffic = self.network.traffic();
        traffic.wait_received(MEANWHILE);
        match how {
            Restart::Kill => self.router.kill(),
            Restart::Stop => assert!(self.router.stop().success()),
            Restart::Upgrade => {
                self.router.upgrade();
                assert!(!self.router.runs_installed(), "the old one goes on");
                assert!(self.router.stop().success());
            }
        }
        self.wait_helpers(true);
        self.west.announce(new, old);
        traffic.wait_received(MEANWHILE);
        self.router.restart();
        assert!(self.router.runs_installed());
        self.restarts += 1;
        self.wait_over();
        self.router.wait_established(&NEIGHBORS);
        self.wait_helpers(false);
        self.network.wait_routes(&new);
        self.network.wait_gone(&old);
        traffic.wait_received(MEANWHILE);
        let count = traffic.total();
        assert_untouched(&changes(&monitor), new, old);
        assert_same(&before, &self.network.forwarding(), new, old);
        for helper in [&self.west, &self.east] {
            let removed = helper.removed();
            assert!(removed.is_empty(), "{how:?}: a neighbor lost {removed:#?}");
        }
        count
    }

    #[track_caller]
    fn wait_over(&self) {
        wait_for(SOON, "the restart to be over", || {
            let log = self.router.log();
            let over = log.matches("the graceful restart is over").count();
            match over == self.restarts {
                true => Ok(()),
                false => Err(format!("{over} of {}", self.restarts)),
            }
        });
    }
}

/// Nothing was written but what changed.
#[track_caller]
fn assert_untouched(changes: &[String], new: [&str; 2], old: [&str; 2]) {
    let touched = |line: &&String| !new.iter().chain(&old).any(|prefix| line.contains(prefix));
    let touched: Vec<&String> = changes.iter().filter(touched).collect();
    assert!(touched.is_empty(), "touched: {touched:#?}");
}

/// The same routes by the same objects, but for those that changed.
#[track_caller]
fn assert_same(before: &[String], after: &[String], new: [&str; 2], old: [&str; 2]) {
    let others = |lines: &[String]| -> Vec<String> {
        let changed = |line: &String| new.iter().chain(&old).any(|prefix| line.contains(prefix));
        lines
            .iter()
            .filter(|line| !changed(line))
            .cloned()
            .collect()
    };
    assert_eq!(others(before), others(after));
}

fn holdfast(network: &Network) -> Holdfast {
    Holdfast::start_installed(&network.topology, &network.router, CONFIG)
}

#[derive(Clone, Copy, Debug)]
enum Restart {
    Kill,
    Stop,
    Upgrade,
}

#[track_caller]
fn assert_none_lost(what: &str, count: Count) {
    println!("{what}: {count}");
    assert!(count.sent > 2 * MEANWHILE, "{what}: {count}");
    match router::kind() {
        RouterKind::Holdfast => assert_eq!(count.lost(), 0, "{what}: {count}"),
        RouterKind::Frr if count.lost() > 0 => println!("FRR deviates: loses {}", count.lost()),
        RouterKind::Frr => {}
    }
}

// ===== the tests =====

#[test]
fn no_packet_is_lost_when_the_router_restarts_between_two_of_frr() {
    need!("/usr/lib/frr/bgpd");
    if router::kind() == RouterKind::Frr {
        println!("FRR deviates: zebra removes its routes when it stops");
        return;
    }
    let mut lab = Lab::with_frr("", holdfast);
    for how in [Restart::Kill, Restart::Stop, Restart::Upgrade] {
        let count = lab.restart(how);
        assert_none_lost(&format!("FRR on either side, {how:?}"), count);
    }
}

#[test]
fn no_packet_is_lost_when_the_router_restarts_between_two_of_gobgp() {
    need!("/usr/bin/gobgpd", "/usr/bin/gobgp");
    if router::kind() == RouterKind::Frr {
        return;
    }
    let mut lab = Lab::with_gobgp(holdfast);
    for how in [Restart::Kill, Restart::Stop] {
        let count = lab.restart(how);
        assert_none_lost(&format!("GoBGP on either side, {how:?}"), count);
    }
}

/// The west as one that keeps its forwarding over a restart of its own.
const RESTARTABLE: &str = " bgp graceful-restart\n bgp graceful-restart preserve-fw-state\n";

#[test]
fn no_packet_is_lost_when_frr_restarts_beside_the_router() {
    need!("/usr/lib/frr/bgpd");
    match router::kind() {
        RouterKind::Holdfast => beside_frr(Lab::with_frr(RESTARTABLE, holdfast)),
        RouterKind::Frr => beside_frr(Lab::with_frr(RESTARTABLE, |network| {
            Frr::start(&network.topology, &network.router, CONFIG)
        })),
    }
}

fn beside_frr<R: Router>(mut lab: Lab<R>) {
    let before = lab.network.forwarding();
    let monitor = lab.network.monitor(&lab.network.router);
    let traffic = lab.network.traffic();
    traffic.wait_received(MEANWHILE);
    let Helper::Frr(west, _) = &mut lab.west else {
        unreachable!("the west is FRR");
    };
    west.kill_bgpd();
    wait_stale(&lab.router, true);
    traffic.wait_received(MEANWHILE);
    west.restart_bgpd(&frr(1, &AFTER, RESTARTABLE));
    wait_stale(&lab.router, false);
    lab.network.wait_routes(&AFTER);
    lab.network.wait_gone(&BEFORE);
    lab.wait_helpers(false);
    traffic.wait_received(MEANWHILE);
    let mut counts = traffic.stop();
    let beyond = counts.remove(BEYOND_WEST);
    for count in counts {
        assert_none_lost("FRR restarts, the router helps", count);
    }
    println!("FRR restarts, by its own IPv6 routes: {beyond}");
    if beyond.lost() > 0 {
        // zebra sweeps what is stale of IPv6 before bgpd has it again.
        let removed = lab.west.removed();
        assert!(mentions(&removed, "2001:db8:102::/64"), "{beyond}");
        println!("FRR deviates: removes its IPv6 routes for a moment when it restarts");
    }
    assert_untouched(&changes(&monitor), AFTER, BEFORE);
    assert_same(&before, &lab.network.forwarding(), AFTER, BEFORE);
    assert!(lab.east.removed().is_empty(), "{:#?}", lab.east.removed());
}

#[track_caller]
fn wait_stale(router: &impl Router, stale: bool) {
    wait_for(SOON, &format!("the west's routes, stale: {stale}"), || {
        for prefix in ["10.101.0.0/24", "2001:db8:101::/64"] {
            let paths = router.paths(prefix);
            let is_stale = |path: &serde_json::Value| path["stale"] == true;
            if paths.len() != 1 || is_stale(&paths[0]) != stale {
                return Err(format!("{prefix}: {paths:?}"));
            }
        }
        Ok(())
    });
}
