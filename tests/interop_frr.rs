//! FRR on the other end: both families, external and internal, MD5, attributes
//! on their way through, End-of-RIB, and a peer that comes back.

mod harness;

use harness::process::Process;
use harness::{
    Frr, Namespace, Router, RouterKind, SOON, Topology, need, router, wait_for, wait_until,
};

/// A source, the router, and an observer in a row; dropped from the top.
struct Chain {
    source: Frr,
    observer: Frr,
    router: Box<dyn Router>,
    topology: Topology,
}

/// The router: the source's AS is given, the observer is AS 4200000003.
fn router_config(source_as: u32, extra: &str) -> String {
    let neighbors = [
        ("10.1.0.2", source_as),
        ("2001:db8:1::2", source_as),
        ("10.2.0.2", 4_200_000_003),
    ];
    let mut text =
        String::from("router bgp 65000\n bgp router-id 10.0.0.1\n no bgp ebgp-requires-policy\n");
    for (address, asn) in neighbors.iter().chain(&[("2001:db8:2::2", 4_200_000_003)]) {
        text +=
            &format!(" neighbor {address} remote-as {asn}\n neighbor {address} timers connect 1\n");
    }
    text += extra;
    text += " address-family ipv4 unicast
  no neighbor 2001:db8:1::2 activate
  no neighbor 2001:db8:2::2 activate
 exit-address-family
 address-family ipv6 unicast
  neighbor 2001:db8:1::2 activate
  neighbor 2001:db8:2::2 activate
 exit-address-family
exit
";
    text
}

/// A peer of the router on subnet `number`, announcing what `networks` says
/// through the route map OUT.
fn peer_config(asn: u32, number: u8, networks: (&str, &str), extra: &str) -> String {
    let (v4, v6) = (format!("10.{number}.0.1"), format!("2001:db8:{number}::1"));
    format!(
        "router bgp {asn}
 bgp router-id 10.{number}.0.2
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor {v4} remote-as 65000
 neighbor {v4} timers connect 1
 neighbor {v6} remote-as 65000
 neighbor {v6} timers connect 1
{extra} address-family ipv4 unicast
  no neighbor {v6} activate
  network {}
  neighbor {v4} route-map OUT out
 exit-address-family
 address-family ipv6 unicast
  neighbor {v6} activate
  network {}
  neighbor {v6} route-map OUT out
 exit-address-family
exit
route-map OUT permit 10
 set as-path prepend 4200000001 65010
 set community 65001:100 65001:200
 set large-community 4200000001:1:2
 set metric 55
 set local-preference 300
exit
",
        networks.0, networks.1
    )
}

const SOURCE_NETWORKS: (&str, &str) = ("203.0.113.0/24", "2001:db8:a::/48");
const OBSERVER_NETWORKS: (&str, &str) = ("198.51.100.0/24", "2001:db8:b::/48");
const NEIGHBORS: [&str; 4] = ["10.1.0.2", "10.2.0.2", "2001:db8:1::2", "2001:db8:2::2"];

impl Chain {
    fn up(source_as: u32, extra: &str) -> Self {
        let topology = Topology::new();
        let (source, middle, observer) = topology.three_in_a_row();
        let router = router::start(&topology, &middle, &router_config(source_as, extra));
        let source = Frr::start(
            &topology,
            &source,
            &peer_config(source_as, 1, SOURCE_NETWORKS, ""),
        );
        let observer = Frr::start(
            &topology,
            &observer,
            &peer_config(4_200_000_003, 2, OBSERVER_NETWORKS, ""),
        );
        router.wait_established(&NEIGHBORS);
        Self {
            source,
            observer,
            router,
            topology,
        }
    }
}

/// The one path of a prefix, once it is there.
#[track_caller]
fn path(router: &dyn Router, prefix: &str) -> serde_json::Value {
    router.wait_paths(prefix, 1).remove(0)
}

/// Waits until both sides have told each other everything.
fn end_of_rib(router: &dyn Router, neighbor: &str, family: &str) {
    wait_for(SOON, &format!("End-of-RIB with {neighbor}"), || {
        let info = router.neighbor(neighbor)["gracefulRestartInfo"].clone();
        let done = info["endOfRibSend"][family] == true && info["endOfRibRecv"][family] == true;
        if done { Ok(()) } else { Err(info.to_string()) }
    });
}

#[test]
fn external_routes_pass_with_their_attributes() {
    need!("/usr/lib/frr/bgpd");
    let chain = Chain::up(4_200_000_002, "");
    for prefix in [SOURCE_NETWORKS.0, SOURCE_NETWORKS.1] {
        let here = path(&*chain.router, prefix);
        assert_eq!(
            here["aspath"]["string"], "4200000002 4200000001 65010",
            "{here}"
        );
        assert_eq!(here["community"]["string"], "65001:100 65001:200", "{here}");
        assert_eq!(here["largeCommunity"]["string"], "4200000001:1:2", "{here}");
        assert_eq!(here["metric"], 55, "{here}");
        assert_eq!(here["origin"], "IGP", "{here}");
        // Local preference is for the inside of an AS.
        assert!(here["locPrf"].is_null() || here["locPrf"] == 100, "{here}");

        let beyond = path(&chain.observer, prefix);
        assert_eq!(
            beyond["aspath"]["string"], "65000 4200000002 4200000001 65010",
            "{beyond}"
        );
        assert_eq!(
            beyond["community"]["string"], "65001:100 65001:200",
            "{beyond}"
        );
        assert_eq!(
            beyond["largeCommunity"]["string"], "4200000001:1:2",
            "{beyond}"
        );
        // The MED of one neighbouring AS is not for another.
        assert!(
            beyond["metric"].is_null() || beyond["metric"] == 0,
            "{beyond}"
        );
    }
    for prefix in [OBSERVER_NETWORKS.0, OBSERVER_NETWORKS.1] {
        path(&chain.source, prefix);
    }
    let kernel = chain.router.namespace();
    let route = wait_for(SOON, "the IPv4 route in the kernel", || {
        kernel
            .routes_to(SOURCE_NETWORKS.0)
            .first()
            .cloned()
            .ok_or_else(|| "none".to_owned())
    });
    assert_eq!(
        (route.protocol.as_str(), route.metric, route.gateways()),
        ("bgp", Some(20), vec!["10.1.0.2"])
    );
    let route = wait_for(SOON, "the IPv6 route in the kernel", || {
        kernel
            .routes_to(SOURCE_NETWORKS.1)
            .first()
            .cloned()
            .ok_or_else(|| "none".to_owned())
    });
    assert_eq!((route.protocol.as_str(), route.metric), ("bgp", Some(20)));
    assert!(
        route.gateways()[0].starts_with("fe80:") || route.gateways() == ["2001:db8:1::2"],
        "{route:?}"
    );
}

#[test]
fn internal_routes_keep_their_preference() {
    need!("/usr/lib/frr/bgpd");
    let chain = Chain::up(65000, "");
    for prefix in [SOURCE_NETWORKS.0, SOURCE_NETWORKS.1] {
        let here = path(&*chain.router, prefix);
        assert_eq!(here["aspath"]["string"], "4200000001 65010", "{here}");
        assert_eq!(here["locPrf"], 300, "{here}");
        assert_eq!(here["metric"], 55, "{here}");
        let beyond = path(&chain.observer, prefix);
        assert_eq!(
            beyond["aspath"]["string"], "65000 4200000001 65010",
            "{beyond}"
        );
    }
    // What came from outside keeps its next hop on the inside.
    let inside = path(&chain.source, OBSERVER_NETWORKS.0);
    assert_eq!(inside["nexthops"][0]["ip"], "10.2.0.2", "{inside}");
    assert_eq!(inside["locPrf"], 100, "{inside}");
    let kernel = chain.router.namespace();
    let route = wait_for(SOON, "the internal route in the kernel", || {
        kernel
            .routes_to(SOURCE_NETWORKS.0)
            .first()
            .cloned()
            .ok_or_else(|| "none".to_owned())
    });
    assert_eq!(route.gateways(), ["10.1.0.2"], "{route:?}");
    // FRR gives the kernel metric 20 whatever the distance is.
    assert!(matches!(route.metric, Some(20 | 200)), "{route:?}");
}

#[test]
fn a_withdrawal_passes_both_ways() {
    need!("/usr/lib/frr/bgpd");
    let chain = Chain::up(4_200_000_002, "");
    path(&chain.observer, SOURCE_NETWORKS.0);
    path(&chain.source, OBSERVER_NETWORKS.1);
    // A network that is taken back before FRR's own End-of-RIB may never be withdrawn by it.
    end_of_rib(&*chain.router, "10.1.0.2", "ipv4Unicast");
    end_of_rib(&*chain.router, "2001:db8:2::2", "ipv6Unicast");
    let withdraw = |frr: &Frr, asn: u32, family: &str, network: &str| {
        let answer = frr.shell(&[
            "configure terminal",
            &format!("router bgp {asn}"),
            &format!("address-family {family} unicast"),
            &format!("no network {network}"),
        ]);
        assert_eq!(answer.code, Some(0), "{answer:?}");
    };
    withdraw(&chain.source, 4_200_000_002, "ipv4", SOURCE_NETWORKS.0);
    withdraw(&chain.observer, 4_200_000_003, "ipv6", OBSERVER_NETWORKS.1);
    chain.router.wait_paths(SOURCE_NETWORKS.0, 0);
    chain.observer.wait_paths(SOURCE_NETWORKS.0, 0);
    chain.source.wait_paths(OBSERVER_NETWORKS.1, 0);
    let kernel = chain.router.namespace();
    wait_until(SOON, "both routes are gone from the kernel", || {
        kernel.routes_to(SOURCE_NETWORKS.0).is_empty()
            && kernel.routes_to(OBSERVER_NETWORKS.1).is_empty()
    });
    path(&*chain.router, SOURCE_NETWORKS.1);
}

#[test]
fn a_peer_that_was_killed_comes_back_with_its_routes() {
    need!("/usr/lib/frr/bgpd");
    let mut chain = Chain::up(4_200_000_002, "");
    path(&chain.observer, SOURCE_NETWORKS.0);
    chain.source.kill();
    chain.observer.wait_paths(SOURCE_NETWORKS.0, 0);
    chain.observer.wait_paths(SOURCE_NETWORKS.1, 0);
    chain.source.restart();
    path(&chain.observer, SOURCE_NETWORKS.0);
    path(&chain.observer, SOURCE_NETWORKS.1);
    assert_eq!(
        chain.router.connections("10.2.0.2"),
        1,
        "the other session was not touched"
    );
    assert_eq!(chain.router.connections("10.1.0.2"), 2);
}

#[test]
fn a_link_that_goes_down_ends_the_session_at_once_and_comes_back() {
    need!("/usr/lib/frr/bgpd");
    let chain = Chain::up(4_200_000_002, "");
    path(&chain.observer, SOURCE_NETWORKS.0);
    // Long before the hold time of 180 s.
    chain.router.namespace().ip("link set eth1 down");
    wait_until(SOON, "the session to end with its link", || {
        chain.router.state("10.1.0.2") != "Established"
    });
    chain.observer.wait_paths(SOURCE_NETWORKS.0, 0);
    if router::kind() == RouterKind::Holdfast {
        // FRR shows what the attempts after it came to.
        let neighbor = chain.router.neighbor("10.1.0.2");
        assert_eq!(neighbor["lastResetDueTo"], "Interface down");
    }
    chain.router.namespace().ip("link set eth1 up");
    // Going down took the interface's IPv6 addresses along.
    chain
        .router
        .namespace()
        .ip("address replace 2001:db8:1::1/64 dev eth1 nodad");
    path(&chain.observer, SOURCE_NETWORKS.0);
    path(&chain.observer, SOURCE_NETWORKS.1);
    assert_eq!(chain.router.connections("10.2.0.2"), 1);
}

/// Writes down what happens to the routes of a namespace's kernel.
fn monitor(topology: &Topology, namespace: &Namespace) -> Process {
    let log = topology.daemon_directory(namespace.label()).join("routes");
    let mut command = namespace.command("ip");
    command.args(["monitor", "route"]);
    let monitor = Process::start("ip monitor", command, &log);
    // It listens when it sees a change of ours.
    let probe = [
        "route add blackhole 192.0.2.255/32",
        "route del 192.0.2.255/32",
    ];
    wait_until(SOON, "the monitor to listen", || {
        for change in probe {
            namespace.ip(change);
        }
        monitor.log().contains("192.0.2.255")
    });
    monitor
}

#[test]
fn a_graceful_restart_of_the_router_takes_no_route_from_anybody() {
    need!("/usr/lib/frr/bgpd");
    if router::kind() == RouterKind::Frr {
        println!("FRR deviates: zebra removes its routes when it stops");
        return;
    }
    let extra = " bgp graceful-restart\n bgp graceful-restart restart-time 60\n";
    let mut chain = Chain::up(4_200_000_002, extra);
    let networks = [SOURCE_NETWORKS.0, SOURCE_NETWORKS.1];
    for network in networks {
        path(&chain.observer, network);
    }
    let here = monitor(&chain.topology, chain.router.namespace());
    let there = monitor(&chain.topology, chain.observer.namespace());
    assert!(chain.router.stop().success());
    chain.router.restart();
    chain.router.wait_established(&NEIGHBORS);
    for network in networks {
        path(&*chain.router, network);
        wait_until(SOON, "the observer to hear the route again", || {
            let paths = chain.observer.paths(network);
            paths.len() == 1 && paths[0]["stale"].is_null()
        });
    }
    for monitor in [here, there] {
        let log = monitor.log();
        for network in networks {
            assert!(!log.contains(&format!("Deleted {network}")), "{log}");
        }
    }
}

#[test]
fn a_router_that_was_killed_comes_back_with_its_routes() {
    need!("/usr/lib/frr/bgpd");
    let mut chain = Chain::up(4_200_000_002, "");
    path(&chain.observer, SOURCE_NETWORKS.0);
    chain.router.kill();
    chain.observer.wait_paths(SOURCE_NETWORKS.0, 0);
    chain.router.restart();
    path(&chain.observer, SOURCE_NETWORKS.0);
    path(&chain.observer, SOURCE_NETWORKS.1);
}

#[test]
fn end_of_rib_is_sent_and_understood() {
    need!("/usr/lib/frr/bgpd");
    let chain = Chain::up(4_200_000_002, " bgp graceful-restart\n");
    end_of_rib(&*chain.router, "10.1.0.2", "ipv4Unicast");
    end_of_rib(&*chain.router, "2001:db8:1::2", "ipv6Unicast");
}

#[test]
fn md5_lets_in_the_right_password_only() {
    need!("/usr/lib/frr/bgpd", "/usr/lib/frr/frr-reload.py");
    let topology = Topology::new();
    let (source, middle, observer) = topology.three_in_a_row();
    let passwords = " neighbor 10.1.0.2 password right\n neighbor 2001:db8:1::2 password right
 neighbor 10.2.0.2 password right\n neighbor 2001:db8:2::2 password right\n";
    let router = router::start(&topology, &middle, &router_config(4_200_000_002, passwords));
    let with = |number: u8, word: &str| {
        format!(
            " neighbor 10.{number}.0.1 password {word}\n neighbor 2001:db8:{number}::1 password {word}\n"
        )
    };
    let source_config = peer_config(4_200_000_002, 1, SOURCE_NETWORKS, &with(1, "right"));
    let wrong = peer_config(4_200_000_003, 2, OBSERVER_NETWORKS, &with(2, "wrong"));
    let right = peer_config(4_200_000_003, 2, OBSERVER_NETWORKS, &with(2, "right"));
    let _source = Frr::start(&topology, &source, &source_config);
    let mut observer = Frr::start(&topology, &observer, &wrong);
    router.wait_established(&["10.1.0.2", "2001:db8:1::2"]);
    wait_for(
        SOON,
        "the kernel refuses the wrong password, several times",
        || {
            let refused = middle.counter("TCPMD5Failure");
            if refused >= 4 {
                Ok(())
            } else {
                Err(format!("{refused} times"))
            }
        },
    );
    for neighbor in ["10.2.0.2", "2001:db8:2::2"] {
        assert_eq!(
            router.connections(neighbor),
            0,
            "{neighbor} came up with the wrong password"
        );
    }
    observer.reload(&right);
    router.wait_established(&["10.2.0.2", "2001:db8:2::2"]);
}
