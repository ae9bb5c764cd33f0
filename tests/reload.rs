//! A changed configuration is applied to the running daemon, and sessions that
//! it does not touch stay up.

mod harness;

use std::time::Duration;

use harness::wire::{Open, UPDATE, Update};
use harness::{
    Fate, Holdfast, Namespace, Router, RouterKind, SOON, Scripted, Topology, need, router, wait_for,
};

const ROUTER: &str = "10.0.0.1";

struct Bench {
    router: Box<dyn Router>,
    namespace: Namespace,
    peers: Namespace,
    _topology: Topology,
}

fn network() -> (Topology, Namespace, Namespace) {
    let topology = Topology::new();
    let namespace = topology.namespace("router");
    let peers = topology.namespace("peers");
    let addresses = "10.0.0.11/24 10.0.0.12/24 10.0.0.13/24";
    topology.link(
        namespace.end("eth0", "10.0.0.1/24"),
        peers.end("eth0", addresses),
    );
    (topology, namespace, peers)
}

impl Bench {
    fn up(config: &str) -> Self {
        let (topology, namespace, peers) = network();
        let router = router::start(&topology, &namespace, config);
        Self {
            router,
            namespace,
            peers,
            _topology: topology,
        }
    }

    /// A session of the neighbour 10.0.0.`host`, whose AS is 65`host`.
    fn establish(&self, host: u32) -> Scripted {
        let address = format!("10.0.0.{host}");
        Scripted::establish(
            &self.peers,
            &address,
            ROUTER,
            &Open::good(65000 + host, &address),
        )
    }
}

/// A configuration with these neighbours and networks.
fn config(hosts: &[u32], networks: &[&str], extra: &str) -> String {
    let mut text = format!(
        "router bgp 65000\n bgp router-id {ROUTER}\n no bgp ebgp-requires-policy\n no bgp network import-check\n"
    );
    for host in hosts {
        text += &format!(" neighbor 10.0.0.{host} remote-as {}\n", 65000 + host);
        text += &format!(" neighbor 10.0.0.{host} timers connect 1\n");
    }
    text += " address-family ipv4 unicast\n";
    for network in networks {
        text += &format!("  network {network}\n");
    }
    text += extra;
    text + " exit-address-family\nexit\n"
}

/// Waits for an UPDATE that announces the prefix.
#[track_caller]
fn wait_announced(session: &Scripted, prefix: &str) -> Update {
    session
        .wait_match(SOON, |event| match event {
            harness::Event::Message(UPDATE, body) => {
                let update = Update::parse(body);
                update
                    .announced
                    .iter()
                    .any(|found| found == prefix)
                    .then_some(update)
            }
            _ => None,
        })
        .unwrap_or_else(|seen| panic!("{prefix} is not announced: {seen}"))
}

#[test]
fn a_reload_leaves_untouched_sessions_alone() {
    need!();
    let mut bench = Bench::up(&config(&[11, 12], &["192.0.2.0/24"], ""));
    let stays = bench.establish(11);
    let goes = bench.establish(12);
    wait_announced(&stays, "192.0.2.0/24");
    bench.router.wait_established(&["10.0.0.11", "10.0.0.12"]);
    let since = bench.router.neighbor("10.0.0.11")["bgpTimerUpEstablishedEpoch"].clone();

    bench
        .router
        .reload(&config(&[11, 13], &["192.0.2.0/24", "198.51.100.0/24"], ""));
    wait_announced(&stays, "198.51.100.0/24");
    assert_eq!(goes.fate(SOON), Fate::Notification(6, 3, Vec::new()));
    let _comes = bench.establish(13);
    bench.router.wait_established(&["10.0.0.13"]);
    assert_eq!(bench.router.connections("10.0.0.11"), 1);
    let now = bench.router.neighbor("10.0.0.11")["bgpTimerUpEstablishedEpoch"].clone();
    let drift = now
        .as_i64()
        .zip(since.as_i64())
        .map(|(now, since)| (now - since).abs());
    assert!(
        drift.is_some_and(|seconds| seconds <= 1),
        "up since {since}, then since {now}"
    );
    assert_eq!(stays.fate(Duration::from_millis(500)), Fate::Open);
    assert_eq!(bench.router.state("10.0.0.12"), "", "the neighbour is gone");
}

#[test]
fn a_reload_withdraws_what_is_no_longer_announced() {
    need!();
    let mut bench = Bench::up(&config(&[11], &["192.0.2.0/24", "198.51.100.0/24"], ""));
    let session = bench.establish(11);
    wait_announced(&session, "198.51.100.0/24");
    bench.router.reload(&config(&[11], &["192.0.2.0/24"], ""));
    let withdrawn = session.wait_match(SOON, |event| match event {
        harness::Event::Message(UPDATE, body) => Update::parse(body)
            .withdrawn
            .contains(&"198.51.100.0/24".to_owned())
            .then_some(()),
        _ => None,
    });
    assert_eq!(withdrawn, Ok(()));
    assert_eq!(bench.router.connections("10.0.0.11"), 1);
}

#[test]
fn a_changed_metric_is_applied_without_a_reset() {
    need!();
    let with_metric = |metric: u32| {
        config(
            &[11],
            &[],
            &format!("  redistribute kernel metric {metric}\n"),
        )
    };
    let mut bench = Bench::up(&with_metric(100));
    bench.namespace.ip("route add blackhole 192.0.2.0/24");
    let session = bench.establish(11);
    let first = wait_announced(&session, "192.0.2.0/24");
    assert_eq!(first.attribute(4), Some(&100_u32.to_be_bytes()[..]));
    bench.router.reload(&with_metric(200));
    let second = wait_announced(&session, "192.0.2.0/24");
    assert_eq!(second.attribute(4), Some(&200_u32.to_be_bytes()[..]));
    assert_eq!(bench.router.connections("10.0.0.11"), 1);
}

#[test]
fn a_reload_of_the_same_configuration_changes_nothing() {
    need!();
    let text = config(&[11], &["192.0.2.0/24"], "");
    let mut bench = Bench::up(&text);
    let session = bench.establish(11);
    wait_announced(&session, "192.0.2.0/24");
    bench.router.reload(&text);
    let next = session.wait_kind(UPDATE, Duration::from_secs(3));
    if let Ok(body) = next {
        // End-of-RIB may come after the first routes.
        assert_eq!(
            body.len(),
            4,
            "an UPDATE after a reload of the same configuration"
        );
    }
    assert_eq!(bench.router.connections("10.0.0.11"), 1);
}

#[test]
fn a_broken_configuration_is_refused_and_the_old_one_stays() {
    need!();
    if router::kind() == RouterKind::Frr {
        println!("FRR deviates: its reload applies the lines that it understands");
        return;
    }
    let (topology, namespace, peers) = network();
    let mut daemon = Holdfast::start(&topology, &namespace, &config(&[11], &["192.0.2.0/24"], ""));
    let open = Open::good(65011, "10.0.0.11");
    let session = Scripted::establish(&peers, "10.0.0.11", ROUTER, &open);
    wait_announced(&session, "192.0.2.0/24");
    let networks = ["192.0.2.0/24", "198.51.100.0/24"];
    daemon.reload(&config(&[11], &networks, "  nieghbor 10.0.0.11 activate\n"));
    wait_for(SOON, "the log names the broken line", || {
        let log = daemon.process().log();
        if log.contains("nieghbor") {
            Ok(())
        } else {
            Err(log)
        }
    });
    assert!(
        daemon.paths("198.51.100.0/24").is_empty(),
        "half of the broken file was applied"
    );
    assert_eq!(daemon.connections("10.0.0.11"), 1);
    assert_eq!(session.fate(Duration::from_millis(500)), Fate::Open);

    daemon.reload(&config(&[11], &["192.0.2.0/24", "203.0.113.0/24"], ""));
    wait_announced(&session, "203.0.113.0/24");
    assert_eq!(daemon.connections("10.0.0.11"), 1);
}
