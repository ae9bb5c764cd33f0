//! The daemon's beginning and end, the shell's exit codes, and the commands
//! that act on running sessions.

mod harness;

use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use harness::wire::{self, Open, UPDATE, Update, as_path, next_hop, origin};
use harness::{Event, Fate, Holdfast, Namespace, Router, RouterKind, SOON, Scripted, Topology};
use harness::{need, router, wait_for, wait_until};

const ROUTER: &str = "10.0.0.1";
const PEER: &str = "10.0.0.11";
const PEER_AS: u32 = 65001;
const FIRST: &str = "198.51.100.0/24";
const SECOND: &str = "203.0.113.0/24";

struct Bench {
    router: Box<dyn Router>,
    peers: Namespace,
    _topology: Topology,
}

fn network() -> (Topology, Namespace, Namespace) {
    let topology = Topology::new();
    let namespace = topology.namespace("router");
    let peers = topology.namespace("peers");
    topology.link(
        namespace.end("eth0", "10.0.0.1/24"),
        peers.end("eth0", "10.0.0.11/24"),
    );
    (topology, namespace, peers)
}

fn config(extra: &str) -> String {
    format!(
        "router bgp 65000
 bgp router-id {ROUTER}
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor {PEER} remote-as {PEER_AS}
 neighbor {PEER} timers connect 1
{extra} address-family ipv4 unicast
  network 192.0.2.0/24
 exit-address-family
exit
"
    )
}

/// Graceful restart: 120 seconds, IPv4 unicast with its forwarding state kept.
fn restartable() -> Open {
    let mut open = Open::good(PEER_AS, PEER);
    open.parameters.extend(wire::parameter(
        2,
        &wire::capability(64, &[0, 120, 0, 1, 1, 0x80]),
    ));
    open
}

impl Bench {
    fn up(extra: &str) -> Self {
        let (topology, namespace, peers) = network();
        let router = router::start(&topology, &namespace, &config(extra));
        Self {
            router,
            peers,
            _topology: topology,
        }
    }

    fn establish(&self, open: &Open) -> Scripted {
        Scripted::establish(&self.peers, PEER, ROUTER, open)
    }

    /// Announces these prefixes and End-of-RIB, and waits for the kernel.
    fn announce(&self, session: &Scripted, prefixes: &[&str]) {
        let attributes = [origin(0), as_path(&[PEER_AS]), next_hop(PEER)];
        session.send(&wire::update(&[], &attributes, prefixes));
        session.send(&wire::update(&[], &[], &[]));
        for prefix in prefixes {
            self.wait_installed(prefix, true);
        }
    }

    #[track_caller]
    fn wait_installed(&self, prefix: &str, wanted: bool) {
        let kernel = self.router.namespace();
        wait_until(SOON, &format!("{prefix} in the kernel: {wanted}"), || {
            kernel.routes_to(prefix).is_empty() != wanted
        });
    }
}

#[test]
fn a_clean_stop_says_so_and_takes_its_routes_along() {
    need!();
    let mut bench = Bench::up("");
    let session = bench.establish(&Open::good(PEER_AS, PEER));
    bench.announce(&session, &[FIRST]);
    let status = bench.router.stop();
    let fate = session.fate(SOON);
    match router::kind() {
        RouterKind::Holdfast => {
            assert_eq!(status.code(), Some(0));
            assert!(matches!(fate, Fate::Notification(6, 2, _)), "{fate:?}");
        }
        RouterKind::Frr => println!("FRR deviates: {fate:?}, {status}"),
    }
    bench.wait_installed(FIRST, false);
}

#[test]
fn a_stop_with_graceful_restart_is_silent_and_leaves_the_routes() {
    need!();
    let mut bench = Bench::up(" bgp graceful-restart\n");
    let session = bench.establish(&restartable());
    bench.announce(&session, &[FIRST]);
    bench.router.stop();
    let fate = session.fate(SOON);
    if router::kind() == RouterKind::Frr {
        println!("FRR deviates: {fate:?}, and zebra takes the routes along");
        return;
    }
    assert_eq!(fate, Fate::Closed);
    assert_eq!(
        bench.router.namespace().routes_to(FIRST).len(),
        1,
        "forwarding goes on"
    );
}

#[test]
fn routes_of_before_a_crash_stay_until_it_is_known_which_are_gone() {
    need!();
    let mut bench = Bench::up(" bgp graceful-restart\n");
    let session = bench.establish(&restartable());
    bench.announce(&session, &[FIRST, SECOND]);
    bench.router.kill();
    drop(session);
    let kernel = bench.router.namespace().clone();
    assert_eq!(kernel.routes_to(FIRST).len(), 1, "forwarding goes on");
    bench.router.restart();
    let session = bench.establish(&restartable());
    if router::kind() == RouterKind::Holdfast {
        assert_eq!(
            kernel.routes_to(FIRST).len(),
            1,
            "forwarding goes on, the daemon being back"
        );
        assert_eq!(
            kernel.routes_to(SECOND).len(),
            1,
            "forwarding goes on, the daemon being back"
        );
    }
    bench.announce(&session, &[FIRST]);
    bench.wait_installed(SECOND, false);
    assert_eq!(kernel.routes_to(FIRST).len(), 1);
}

#[test]
fn end_of_rib_follows_the_first_routes() {
    need!();
    let bench = Bench::up(" bgp graceful-restart\n");
    let session = bench.establish(&restartable());
    session.send(&wire::update(&[], &[], &[]));
    let mut announced = false;
    let end = session.wait_match(SOON, |event| match event {
        Event::Message(UPDATE, body) if body == &[0, 0, 0, 0] => Some(()),
        Event::Message(UPDATE, body) => {
            announced |= Update::parse(body)
                .announced
                .contains(&"192.0.2.0/24".to_owned());
            None
        }
        _ => None,
    });
    assert_eq!(end, Ok(()));
    assert!(announced, "End-of-RIB came before the router's own network");
}

#[test]
fn clear_resets_the_session_and_clear_soft_does_not() {
    need!();
    let bench = Bench::up("");
    let session = bench.establish(&Open::good(PEER_AS, PEER));
    bench.router.wait_established(&[PEER]);
    session
        .wait_kind(UPDATE, SOON)
        .expect("the router's own network");
    let answer = bench.router.shell(&["clear bgp * soft out"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    session
        .wait_match(SOON, |event| match event {
            Event::Message(UPDATE, body) if !Update::parse(body).announced.is_empty() => Some(()),
            _ => None,
        })
        .expect("the network once more");
    assert_eq!(bench.router.connections(PEER), 1);

    let answer = bench.router.shell(&["clear bgp *"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert_eq!(session.fate(SOON), Fate::Notification(6, 4, Vec::new()));
    let _again = bench.establish(&Open::good(PEER_AS, PEER));
    wait_until(SOON, "the second session", || {
        bench.router.connections(PEER) == 2
    });
}

#[test]
fn a_neighbor_that_is_shut_down_hears_why() {
    need!();
    let bench = Bench::up("");
    let session = bench.establish(&Open::good(PEER_AS, PEER));
    bench.router.wait_established(&[PEER]);
    let set = |line: &str| {
        let answer = bench
            .router
            .shell(&["configure terminal", "router bgp 65000", line]);
        assert_eq!(answer.code, Some(0), "{answer:?}");
    };
    set(&format!("neighbor {PEER} shutdown message back at noon"));
    // RFC 9003: a length octet, then UTF-8.
    assert_eq!(
        session.fate(SOON),
        Fate::Notification(6, 2, b"\x0cback at noon".to_vec())
    );
    wait_until(SOON, "Idle", || bench.router.state(PEER) == "Idle");
    set(&format!("no neighbor {PEER} shutdown"));
    bench.establish(&Open::good(PEER_AS, PEER));
}

#[test]
fn a_neighbor_that_is_shut_down_is_not_started_by_its_interface() {
    need!();
    let shut = "10.0.0.12";
    let bench = Bench::up(&format!(
        " neighbor {shut} remote-as 65002\n neighbor {shut} shutdown\n"
    ));
    let session = bench.establish(&Open::good(PEER_AS, PEER));
    bench.router.wait_established(&[PEER]);
    let namespace = bench.router.namespace();
    namespace.ip("link set eth0 down");
    wait_until(SOON, "the other session to end with its link", || {
        bench.router.state(PEER) != "Established"
    });
    drop(session);
    namespace.ip("link set eth0 up");
    // What starts one starts all that may be started.
    let _session = bench.establish(&Open::good(PEER_AS, PEER));
    bench.router.wait_established(&[PEER]);
    assert_eq!(bench.router.state(shut), "Idle");
}

#[test]
fn an_address_of_our_own_is_no_neighbor() {
    need!();
    let bench = Bench::up("");
    let line = format!("neighbor {ROUTER} remote-as 65009");
    let answer = bench
        .router
        .shell(&["configure terminal", "router bgp 65000", &line]);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    let error = "Can not configure the local system as neighbor";
    assert!(answer.text.contains(error), "{answer:?}");
    let running = bench.router.vtysh("show running-config");
    assert!(!running.contains(&line), "{running}");
}

#[test]
fn the_shell_tells_success_from_failure() {
    need!();
    let bench = Bench::up("");
    let good = bench.router.shell(&["show version", "show bgp summary"]);
    assert_eq!(good.code, Some(0), "{good:?}");
    assert!(good.text.contains("local AS number 65000"), "{good:?}");
    for wrong in ["show nonsense", "show bgp neighbors nonsense nonsense"] {
        let bad = bench.router.shell(&[wrong]);
        assert_ne!(bad.code, Some(0), "{wrong}: {bad:?}");
        let all = format!("{}{}", bad.text, bad.errors);
        assert!(all.contains("% "), "{wrong}: {bad:?}");
    }
    let refused = bench.router.shell(&[
        "configure terminal",
        "router bgp 65000",
        "neighbor 10.0.0.77 shutdown",
    ]);
    assert_ne!(
        refused.code,
        Some(0),
        "a neighbour that does not exist: {refused:?}"
    );
}

#[test]
fn a_shell_without_a_daemon_says_so() {
    need!();
    let mut bench = Bench::up("");
    bench.router.stop();
    let answer = bench.router.shell(&["show version"]);
    assert_ne!(answer.code, Some(0), "{answer:?}");
    assert!(
        !answer.errors.is_empty() || !answer.text.is_empty(),
        "{answer:?}"
    );
}

#[test]
fn write_memory_keeps_changes_over_a_restart() {
    need!();
    let mut bench = Bench::up("");
    let file = bench.router.config_file();
    let before = std::fs::metadata(&file)
        .expect("the configuration's file")
        .ino();
    let answer = bench.router.shell(&[
        "configure terminal",
        "router bgp 65000",
        "address-family ipv4 unicast",
        "network 203.0.113.0/24",
        "end",
        "write memory",
    ]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let text = std::fs::read_to_string(&file).expect("the configuration's file");
    assert!(text.contains("network 203.0.113.0/24"), "{text}");
    assert!(
        text.contains(&format!("neighbor {PEER} remote-as {PEER_AS}")),
        "{text}"
    );
    if router::kind() == RouterKind::Holdfast {
        // Written beside and renamed, so that no reader sees half of it.
        let after = std::fs::metadata(&file)
            .expect("the configuration's file")
            .ino();
        assert_ne!(before, after, "the file was written in place");
    }
    bench.router.stop();
    bench.router.restart();
    bench.router.wait_paths("203.0.113.0/24", 1);
    bench.router.wait_paths("192.0.2.0/24", 1);
}

#[test]
fn a_broken_configuration_ends_the_daemon_with_the_line_at_fault() {
    need!();
    if router::kind() == RouterKind::Frr {
        println!("FRR deviates: it starts without the lines that it does not understand");
        return;
    }
    let (topology, namespace, _peers) = network();
    let text = config(" nieghbor 10.0.0.12 remote-as 65002\n");
    let line = text
        .lines()
        .position(|line| line.contains("nieghbor"))
        .expect("the line")
        + 1;
    let mut daemon = Holdfast::prepare(&topology, &namespace, &text);
    daemon.spawn();
    let status = daemon.process().wait(SOON);
    let log = daemon.process().log();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(
        log.contains(&line.to_string()) && log.contains("nieghbor"),
        "line {line} is not named: {log}"
    );
}

#[test]
fn a_missing_configuration_ends_the_daemon() {
    need!();
    if router::kind() == RouterKind::Frr {
        return;
    }
    let (topology, namespace, _peers) = network();
    let mut daemon = Holdfast::prepare(&topology, &namespace, "");
    std::fs::remove_file(daemon.config_file()).expect("the file was there");
    daemon.spawn();
    let status = daemon.process().wait(SOON);
    let log = daemon.process().log();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("frr.conf"), "{log}");
}

#[test]
fn a_lone_change_goes_out_at_once() {
    need!();
    let bench = Bench::up("");
    let session = bench.establish(&Open::good(PEER_AS, PEER));
    session
        .wait_kind(UPDATE, SOON)
        .expect("the router's own network");
    let start = Instant::now();
    let answer = bench.router.shell(&[
        "configure terminal",
        "router bgp 65000",
        "address-family ipv4 unicast",
        "network 203.0.113.0/24",
    ]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let seen = wait_for(SOON, "the new network", || {
        session.wait_match(Duration::from_secs(5), |event| match event {
            Event::Message(UPDATE, body) => Update::parse(body)
                .announced
                .contains(&SECOND.to_owned())
                .then(|| start.elapsed()),
            _ => None,
        })
    });
    println!("announced {seen:?} after the command was started");
    assert!(
        seen < Duration::from_secs(5),
        "an advertisement timer holds it back: {seen:?}"
    );
}
