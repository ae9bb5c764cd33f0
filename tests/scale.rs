//! A hundred thousand routes from BIRD into the kernel and on to FRR: none is
//! lost, and all go when they are withdrawn.

mod harness;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use harness::{Bird, Family, Frr, Namespace, Topology, need, router, wait_for};

const ROUTES: u32 = 100_000;

/// Where a slow machine with a debug build gets in the end, too.
const DEADLINE: Duration = Duration::from_secs(240);

/// The networks 20.0.0.0/24, 20.0.1.0/24 and so on.
fn networks() -> impl Iterator<Item = String> {
    (0..ROUTES).map(|index| {
        let address = std::net::Ipv4Addr::from((20 << 24) + (index << 8));
        format!("{address}/24")
    })
}

fn bird_config() -> String {
    let mut text = String::from("router id 10.1.0.2;\nprotocol static our_routes {\n  ipv4;\n");
    for network in networks() {
        writeln!(text, "  route {network} blackhole;").expect("a string takes all");
    }
    text + "}
protocol bgp upstream {
  local 10.1.0.2 as 65001;
  neighbor 10.1.0.1 as 65000;
  connect delay time 1;
  connect retry time 2;
  error wait time 1, 2;
  ipv4 { import all; export where source = RTS_STATIC; };
}
"
}

const ROUTER: &str = "router bgp 65000
 bgp router-id 10.0.0.1
 no bgp ebgp-requires-policy
 neighbor 10.1.0.2 remote-as 65001
 neighbor 10.1.0.2 timers connect 1
 neighbor 10.2.0.2 remote-as 65002
 neighbor 10.2.0.2 timers connect 1
exit
";

const OBSERVER: &str = "router bgp 65002
 bgp router-id 10.2.0.2
 no bgp ebgp-requires-policy
 neighbor 10.2.0.1 remote-as 65000
 neighbor 10.2.0.1 timers connect 1
exit
";

/// How many prefixes the observer has from the router.
fn received(observer: &dyn harness::Router) -> u64 {
    let summary = observer.json("show bgp ipv4 unicast summary json");
    summary["peers"]["10.2.0.1"]["pfxRcd"]
        .as_u64()
        .unwrap_or_default()
}

/// The BGP routes of the kernel.
fn installed(namespace: &Namespace) -> HashSet<String> {
    namespace
        .routes(Family::V4)
        .into_iter()
        .filter(|route| route.protocol == "bgp")
        .map(|route| route.destination)
        .collect()
}

/// A count that is cheap enough to take often.
fn installed_count(namespace: &Namespace) -> usize {
    namespace
        .ip("-4 route show proto bgp")
        .lines()
        .filter(|line| !line.starts_with(char::is_whitespace))
        .count()
}

#[track_caller]
fn wait_count(what: &str, wanted: u64, mut count: impl FnMut() -> u64) {
    wait_for(DEADLINE, &format!("{wanted} routes {what}"), || {
        let found = count();
        if found == wanted {
            Ok(())
        } else {
            Err(found.to_string())
        }
    });
}

#[test]
fn a_hundred_thousand_routes_reach_the_kernel_and_the_next_peer() {
    need!("bird", "birdc", "/usr/lib/frr/bgpd");
    let topology = Topology::new();
    let (source, middle, observer) = (
        topology.namespace("source"),
        topology.namespace("router"),
        topology.namespace("observer"),
    );
    topology.link(
        source.end("eth0", "10.1.0.2/24"),
        middle.end("eth1", "10.1.0.1/24"),
    );
    topology.link(
        observer.end("eth0", "10.2.0.2/24"),
        middle.end("eth2", "10.2.0.1/24"),
    );
    let router = router::start(&topology, &middle, ROUTER);
    let observer = Frr::start_without_kernel(&topology, &observer, OBSERVER);
    router.wait_established(&["10.2.0.2"]);

    let start = Instant::now();
    let bird = Bird::start(&topology, &source, &bird_config());
    let all = u64::from(ROUTES);
    wait_count("at the observer", all, || received(&observer));
    println!(
        "at the observer after {:?}, BIRD's start included",
        start.elapsed()
    );
    wait_count("in the kernel", all, || installed_count(&middle) as u64);
    println!("in the kernel after {:?}", start.elapsed());
    let expected: HashSet<String> = networks().collect();
    assert!(
        installed(&middle) == expected,
        "the kernel has other routes than were announced"
    );

    let start = Instant::now();
    bird.birdc("disable our_routes");
    wait_count("left at the observer", 0, || received(&observer));
    println!("gone from the observer after {:?}", start.elapsed());
    wait_count("left in the kernel", 0, || installed_count(&middle) as u64);
    println!("gone from the kernel after {:?}", start.elapsed());

    bird.birdc("enable our_routes");
    wait_count("back in the kernel", all, || {
        installed_count(&middle) as u64
    });
    wait_count("back at the observer", all, || received(&observer));
    assert_eq!(
        router.connections("10.1.0.2"),
        1,
        "the session stayed up all the time"
    );
    assert_eq!(
        router.connections("10.2.0.2"),
        1,
        "the session stayed up all the time"
    );
}
