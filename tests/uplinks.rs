//! A router with several ways out, and what becomes of traffic when one of
//! them goes: with its link, with its neighbor's daemon, or without a word.
//!
//! ```text
//!                  +- switch - spine1 -+
//!  host - router --+- switch - spine2 -+-- far, 203.0.113.1
//!                  +- ...              +
//! ```

mod harness;

use std::fmt::Write as _;
use std::time::Instant;

use harness::process::Process;
use harness::{Bird, Count, Family, Frr, Holdfast, Namespace, Router, SOON, Stream};
use harness::{Topology, Traffic, need, wait_for, wait_until};

/// Routes of each family, beside the traffic's.
const ROUTES: u32 = 1_000;
/// Source ports of each family.
const FLOWS: usize = 64;
/// Datagrams before and after.
const MEANWHILE: u64 = 300;
const FAR: [&str; 2] = ["203.0.113.1", "2001:db8:ffff::1"];

/// What is between the router and its neighbors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Between {
    /// A link: who is at the other end sees it go.
    Nothing,
    /// A switch: who is behind it sees nothing.
    Switch,
}

struct Fabric {
    topology: Topology,
    host: Namespace,
    router: Namespace,
    switch: Namespace,
    spines: Vec<Namespace>,
    far: Namespace,
}

impl Fabric {
    fn new(ways: usize, between: Between) -> Self {
        let topology = Topology::new();
        let [host, router, switch, far] =
            ["host", "router", "switch", "far"].map(|label| topology.namespace(label));
        topology.link(
            host.end("eth0", "10.100.0.2/24 2001:db8:100::2/64"),
            router.end("eth0", "10.100.0.1/24 2001:db8:100::1/64"),
        );
        host.ip("route add default via 10.100.0.1");
        host.ip("route add default via 2001:db8:100::1");
        far.ip("addr add 203.0.113.1/32 dev lo");
        far.ip("addr add 2001:db8:ffff::1/128 dev lo");
        router.sysctl("net.ipv4.ip_forward", "1");
        router.sysctl("net.ipv6.conf.all.forwarding", "1");
        router.sysctl("net.ipv4.fib_multipath_hash_policy", "1");
        router.sysctl("net.ipv6.fib_multipath_hash_policy", "1");
        let mut fabric = Self {
            topology,
            host,
            router,
            switch,
            spines: Vec::new(),
            far,
        };
        for number in 1..=ways {
            fabric.add_spine(number, between);
        }
        fabric
    }

    fn add_spine(&mut self, number: usize, between: Between) {
        let Self {
            topology,
            router,
            switch,
            far,
            ..
        } = self;
        let spine = topology.namespace(&format!("spine{number}"));
        let port = format!("eth{number}");
        let address =
            |net: usize, host: u8| format!("10.{net}.0.{host}/24 2001:db8:{net}::{host}/64");
        let (here, there) = (address(number, 1), address(number, 2));
        let (here, there) = (router.end(&port, &here), spine.end("eth0", &there));
        match between {
            Between::Nothing => topology.link(here, there),
            Between::Switch => {
                let bridge = format!("sw{number}");
                switch.ip(&format!("link add {bridge} type bridge"));
                switch.ip(&format!("link set {bridge} up"));
                for (end, name) in [(here, 'r'), (there, 's')] {
                    let name = format!("{name}{number}");
                    topology.link(end, switch.end(&name, ""));
                    switch.ip(&format!("link set {name} master {bridge}"));
                }
            }
        }
        let beyond = 200 + number;
        topology.link(
            spine.end("eth1", &address(beyond, 1)),
            far.end(&port, &address(beyond, 2)),
        );
        spine.sysctl("net.ipv4.ip_forward", "1");
        spine.sysctl("net.ipv6.conf.all.forwarding", "1");
        spine.ip(&format!("route add 203.0.113.0/24 via 10.{beyond}.0.2"));
        spine.ip(&format!(
            "route add 2001:db8:ffff::/64 via 2001:db8:{beyond}::2"
        ));
        self.spines.push(spine);
    }

    fn traffic(&self) -> Traffic {
        Traffic::start(&FAR.map(|destination| Stream {
            from: &self.host,
            to: &self.far,
            destination,
            flows: FLOWS,
        }))
    }

    /// Waits until all routes of a family have so many next hops.
    #[track_caller]
    fn wait_routes(&self, family: Family, ways: usize, routes: u32) {
        let wanted = routes as usize + 1;
        wait_for(SOON, &format!("{wanted} routes, {ways} ways"), || {
            let routes = self.router.routes(family);
            let ours = routes.iter().filter(|route| route.protocol == "bgp");
            let count = ours.filter(|route| route.next_hops.len() == ways).count();
            match count == wanted {
                true => Ok(()),
                false => Err(format!("{count} of {family:?}")),
            }
        });
    }

    #[track_caller]
    fn wait_ways(&self, ways: usize, routes: u32) {
        self.wait_routes(Family::V4, ways, routes);
        self.wait_routes(Family::V6, ways, routes);
    }
}

/// The routes of each family that all spines announce.
fn prefixes(routes: u32) -> impl Iterator<Item = [String; 2]> {
    let far = ["203.0.113.0/24".to_owned(), "2001:db8:ffff::/64".to_owned()];
    let others = (0..routes).map(|index| {
        let v4 = std::net::Ipv4Addr::from((198 << 24) + (18 << 16) + index);
        [
            format!("{v4}/32"),
            format!("2001:db8:e000:{:x}::/64", index + 1),
        ]
    });
    others.chain([far])
}

/// The router's configuration; a session that hears nothing ends in 3 s.
fn config(ways: usize) -> String {
    let mut text = String::from(
        "router bgp 65000\n bgp router-id 10.0.0.1\n no bgp ebgp-requires-policy\n \
         bgp bestpath as-path multipath-relax\n timers bgp 1 3\n",
    );
    let mut activate = String::new();
    let mut deactivate = String::new();
    for number in 1..=ways {
        for neighbor in [format!("10.{number}.0.2"), format!("2001:db8:{number}::2")] {
            writeln!(text, " neighbor {neighbor} remote-as {}", 65000 + number)
                .expect("a string takes all");
            writeln!(text, " neighbor {neighbor} timers connect 1").expect("a string takes all");
        }
        writeln!(activate, "  neighbor 2001:db8:{number}::2 activate").expect("a string takes all");
        writeln!(deactivate, "  no neighbor 2001:db8:{number}::2 activate")
            .expect("a string takes all");
    }
    text + " address-family ipv4 unicast\n"
        + &deactivate
        + " exit-address-family\n address-family ipv6 unicast\n"
        + &activate
        + " exit-address-family\nexit\n"
}

fn neighbors(ways: usize) -> Vec<String> {
    let both = |number| [format!("10.{number}.0.2"), format!("2001:db8:{number}::2")];
    (1..=ways).flat_map(both).collect()
}

#[track_caller]
fn wait_established(router: &dyn Router, ways: usize) {
    let all = neighbors(ways);
    router.wait_established(&all.iter().map(String::as_str).collect::<Vec<_>>());
}

fn bird(number: usize) -> String {
    let mut text = format!("router id 10.{number}.0.2;\n");
    for (family, (name, index)) in [("ipv4", ("four", 0)), ("ipv6", ("six", 1))] {
        writeln!(text, "protocol static {name}_routes {{\n  {family};")
            .expect("a string takes all");
        for prefix in prefixes(ROUTES) {
            writeln!(text, "  route {} blackhole;", prefix[index]).expect("a string takes all");
        }
        let (here, there) = match index {
            0 => (format!("10.{number}.0.2"), format!("10.{number}.0.1")),
            _ => (
                format!("2001:db8:{number}::2"),
                format!("2001:db8:{number}::1"),
            ),
        };
        writeln!(
            text,
            "}}\nprotocol bgp {name} {{
  local {here} as {};
  neighbor {there} as 65000;
  hold time 3;
  connect delay time 1;
  connect retry time 2;
  error wait time 1, 2;
  {family} {{ import none; export where source = RTS_STATIC; }};
}}",
            65000 + number
        )
        .expect("a string takes all");
    }
    text
}

// ===== one way of several =====

/// How the first spine goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The link loses its carrier.
    Carrier,
    /// Its daemon is killed, and it forwards nothing any more.
    Daemon,
    /// Nothing is heard of it, the link being up.
    Silence,
}

impl End {
    /// How many datagrams of either family more than FRR may be lost: the
    /// machine does other things, and who falls silent does so at any time
    /// after the last of the KEEPALIVEs, which come once a second.
    fn slack(self) -> u64 {
        match self {
            Self::Carrier | Self::Daemon => 100,
            Self::Silence => 500,
        }
    }
}

/// The carrier last, since FRR does not use that way again.
const ENDS: [End; 3] = [End::Daemon, End::Silence, End::Carrier];
const WAYS: usize = 4;

/// What is lost, IPv4 and IPv6, by each way to go.
///
/// `comes_back`: whether the carrier's way is used again when it is back.
fn losses(start: impl FnOnce(&Fabric) -> Box<dyn Router>, comes_back: bool) -> [[Count; 2]; 3] {
    let fabric = Fabric::new(WAYS, Between::Switch);
    let router = start(&fabric);
    let mut spines: Vec<Bird> = (1..=WAYS)
        .map(|number| {
            let namespace = &fabric.spines[number - 1];
            Bird::start(&fabric.topology, namespace, &bird(number))
        })
        .collect();
    let counts = ENDS.map(|end| {
        wait_established(&*router, WAYS);
        fabric.wait_ways(WAYS, ROUTES);
        let traffic = fabric.traffic();
        traffic.wait_received(MEANWHILE);
        lose_spine(&fabric, &mut spines[0], end);
        fabric.wait_ways(WAYS - 1, ROUTES);
        traffic.wait_received(MEANWHILE);
        let counts = traffic.stop();
        restore_spine(&fabric, &mut spines[0], end);
        [counts[0], counts[1]]
    });
    if comes_back {
        wait_established(&*router, WAYS);
        fabric.wait_ways(WAYS, ROUTES);
    }
    counts
}

fn lose_spine(fabric: &Fabric, bird: &mut Bird, end: End) {
    match end {
        End::Carrier => drop(fabric.switch.ip("link set r1 down")),
        End::Silence => drop(fabric.switch.ip("link set s1 down")),
        End::Daemon => {
            let forwarding = fabric.topology.daemon_directory("spine").join("batch");
            let lines = "route replace blackhole 203.0.113.0/24\n\
                         route replace blackhole 2001:db8:ffff::/64 metric 1\n";
            std::fs::write(&forwarding, lines).expect("a file");
            bird.kill();
            fabric.spines[0].ip(&format!("-batch {}", forwarding.display()));
        }
    }
}

fn restore_spine(fabric: &Fabric, bird: &mut Bird, end: End) {
    match end {
        End::Carrier => drop(fabric.switch.ip("link set r1 up")),
        End::Silence => drop(fabric.switch.ip("link set s1 up")),
        End::Daemon => {
            let spine = &fabric.spines[0];
            spine.ip("route replace 203.0.113.0/24 via 10.201.0.2");
            spine.ip("route del blackhole 2001:db8:ffff::/64 metric 1");
            bird.restart();
        }
    }
}

#[test]
fn no_more_is_lost_than_with_frr_when_one_way_of_four_goes() {
    need!("bird", "birdc", "/usr/lib/frr/bgpd");
    let holdfast = |fabric: &Fabric| -> Box<dyn Router> {
        let (topology, namespace) = (&fabric.topology, &fabric.router);
        Box::new(Holdfast::start(topology, namespace, &config(WAYS)))
    };
    let frr = |fabric: &Fabric| -> Box<dyn Router> {
        let (topology, namespace) = (&fabric.topology, &fabric.router);
        Box::new(Frr::start(topology, namespace, &config(WAYS)))
    };
    // At the same time, so that what else the machine does is the same for
    // both. FRR 8.4.4 does not use the way again whose carrier was lost: it
    // reuses its old group, which the kernel took a member from.
    let (ours, theirs) = std::thread::scope(|scope| {
        let ours = scope.spawn(|| losses(holdfast, true));
        let theirs = losses(frr, false);
        match ours.join() {
            Ok(ours) => (ours, theirs),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
    for (end, (ours, theirs)) in ENDS.iter().zip(ours.iter().zip(&theirs)) {
        for (family, (ours, theirs)) in ["IPv4", "IPv6"].iter().zip(ours.iter().zip(theirs)) {
            println!("{end:?}, {family}: Holdfast {ours}; FRR {theirs}");
            assert!(ours.sent > 2 * MEANWHILE && theirs.sent > 2 * MEANWHILE);
            assert!(
                ours.lost() <= theirs.lost() + end.slack(),
                "{end:?}, {family}: Holdfast {ours}; FRR {theirs}"
            );
        }
    }
}

// ===== a restart =====

/// What the kernel forwards by.
fn forwarding(namespace: &Namespace) -> Vec<String> {
    let lists = [
        "-d -4 route show proto bgp",
        "-d -6 route show proto bgp",
        "nexthop show",
    ];
    let texts = lists.map(|words| namespace.ip(&format!("-o {words}")));
    let mut lines: Vec<String> = texts
        .iter()
        .flat_map(|text| text.lines())
        .map(str::to_owned)
        .collect();
    lines.sort_unstable();
    lines
}

#[test]
fn groups_of_before_a_restart_are_those_of_after_it() {
    need!("bird", "birdc");
    let fabric = Fabric::new(WAYS, Between::Nothing);
    let config = config(WAYS).replace(
        "router bgp 65000\n",
        "router bgp 65000\n bgp graceful-restart\n",
    );
    let mut router = Holdfast::start(&fabric.topology, &fabric.router, &config);
    let _spines: Vec<Bird> = (1..=WAYS)
        .map(|number| Bird::start(&fabric.topology, &fabric.spines[number - 1], &bird(number)))
        .collect();
    for round in 1..=2 {
        wait_established(&router, WAYS);
        fabric.wait_ways(WAYS, ROUTES);
        let before = forwarding(&fabric.router);
        assert!(
            before.iter().any(|line| line.contains(" group ")),
            "{before:?}"
        );
        let log = fabric
            .topology
            .daemon_directory("monitor")
            .join(format!("{round}"));
        let monitor = monitor(&fabric.router, &log);
        let traffic = fabric.traffic();
        traffic.wait_received(MEANWHILE);
        match round {
            1 => router.kill(),
            _ => assert!(router.stop().success()),
        }
        traffic.wait_received(MEANWHILE);
        router.restart();
        wait_until(SOON, "the restart to be over", || {
            let over = "the graceful restart is over why=\"every peer said everything\"";
            router.log().matches(over).count() == round
        });
        wait_established(&router, WAYS);
        traffic.wait_received(MEANWHILE);
        // Written last, it is seen last.
        fabric
            .router
            .ip("route add blackhole 192.0.2.254/32 proto static");
        wait_until(SOON, "the monitor's last line", || {
            monitor.log().contains("192.0.2.254")
        });
        fabric
            .router
            .ip("route del blackhole 192.0.2.254/32 proto static");
        let total = traffic.total();
        println!("restart {round} with four ways: {total}");
        assert_eq!(total.lost(), 0);
        let log = monitor.log();
        let written: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("proto bgp"))
            .collect();
        assert!(written.is_empty(), "{written:#?}");
        assert_eq!(before, forwarding(&fabric.router));
    }
}

fn monitor(namespace: &Namespace, log: &std::path::Path) -> Process {
    let mut command = namespace.command("ip");
    command.args(["-o", "monitor", "route", "nexthop"]);
    let monitor = Process::start("ip monitor", command, log);
    wait_until(SOON, "the monitor listens", || {
        namespace.ip("route add blackhole 192.0.2.255/32 proto static");
        namespace.ip("route del blackhole 192.0.2.255/32 proto static");
        monitor.log().contains("192.0.2.255")
    });
    monitor
}

// ===== all ways at once =====

const FLAPPED: u32 = 200;

/// FRR as a spine.
fn frr(number: usize) -> String {
    let (four, six) = (format!("10.{number}.0.1"), format!("2001:db8:{number}::1"));
    let mut text = format!(
        "router bgp {}
 bgp router-id 10.{number}.0.2
 no bgp ebgp-requires-policy
 no bgp network import-check
 timers bgp 1 3
",
        65000 + number
    );
    for neighbor in [&four, &six] {
        writeln!(
            text,
            " neighbor {neighbor} remote-as 65000\n neighbor {neighbor} timers connect 1"
        )
        .expect("a string takes all");
    }
    for (index, (family, on, off)) in [("ipv4", &four, &six), ("ipv6", &six, &four)]
        .iter()
        .enumerate()
    {
        writeln!(
            text,
            " address-family {family} unicast\n  no neighbor {off} activate\n  neighbor {on} activate"
        )
        .expect("a string takes all");
        for prefix in prefixes(FLAPPED) {
            writeln!(text, "  network {}", prefix[index]).expect("a string takes all");
        }
        text += " exit-address-family\n";
    }
    text + "exit\n"
}

/// All ports of the router go down and come up within a moment, some times.
fn flap_all(between: Between) {
    let fabric = Fabric::new(2, between);
    let router = Holdfast::start(&fabric.topology, &fabric.router, &config(2));
    let _spines: Vec<Frr> = (1..=2)
        .map(|number| {
            let namespace = &fabric.spines[number - 1];
            Frr::start_without_kernel(&fabric.topology, namespace, &frr(number))
        })
        .collect();
    let batch = fabric.topology.daemon_directory("flap").join("batch");
    let mut lines = String::new();
    for state in ["down", "up"] {
        for port in ["eth0", "eth1", "eth2"] {
            writeln!(lines, "link set {port} {state}").expect("a string takes all");
        }
    }
    // They went with the links.
    for (port, net) in [("eth0", "100"), ("eth1", "1"), ("eth2", "2")] {
        writeln!(lines, "addr replace 2001:db8:{net}::1/64 dev {port} nodad")
            .expect("a string takes all");
    }
    std::fs::write(&batch, lines).expect("a file");
    for _ in 0..3 {
        wait_established(&router, 2);
        fabric.wait_ways(2, FLAPPED);
        let connections = || {
            neighbors(2)
                .iter()
                .map(|n| router.connections(n))
                .sum::<u64>()
        };
        let before = connections();
        let start = Instant::now();
        fabric.router.ip(&format!("-batch {}", batch.display()));
        let flap = start.elapsed();
        // The kernel has dropped the routes by now. A session is reset where
        // its interface was seen down, and goes on where that was too quick.
        fabric.wait_routes(Family::V4, 2, FLAPPED);
        let four = start.elapsed();
        fabric.wait_routes(Family::V6, 2, FLAPPED);
        let six = start.elapsed();
        wait_established(&router, 2);
        let resets = connections() - before;
        let back = start.elapsed();
        println!(
            "{between:?} between, down and up in {flap:.1?}: IPv4 back after {four:.1?}, \
             IPv6 after {six:.1?}, all sessions up after {back:.1?}, {resets} of 4 were reset"
        );
    }
    wait_established(&router, 2);
    fabric.wait_ways(2, FLAPPED);
    fabric.traffic().wait_received(MEANWHILE);
}

#[test]
fn all_links_flap_within_a_moment_and_everything_comes_back() {
    need!("/usr/lib/frr/bgpd");
    flap_all(Between::Nothing);
}

#[test]
fn all_ports_flap_within_a_moment_unseen_by_the_neighbors_and_everything_comes_back() {
    need!("/usr/lib/frr/bgpd");
    flap_all(Between::Switch);
}
