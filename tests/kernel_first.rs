//! `bgp suppress-fib-pending`: peers are told what the kernel has. A route of
//! another origin with the metric of ours keeps it out, for as long as a test
//! wants.

mod harness;

use harness::wire::{self, Open, Update, as_path, local_pref, next_hop, origin};
use harness::{Bird, Event, Holdfast, Namespace, Router, SOON, Scripted, Topology, need};
use harness::{wait_for, wait_until};

const PREFIX: &str = "203.0.113.0/24";
/// Announced after something else, it says that the rest was announced too.
const MARK: &str = "198.51.100.0/24";
const SECOND_MARK: &str = "198.18.0.0/24";
const ROUTER: &str = "10.1.0.1";
/// An external neighbor, whose routes get metric 20.
const EXTERNAL: (&str, u32) = ("10.1.0.2", 65101);
/// An internal one, whose routes get metric 200.
const INTERNAL: (&str, u32) = ("10.1.0.3", 65000);
const OBSERVER: (&str, u32) = ("10.2.0.2", 65300);

const CONFIG: &str = "router bgp 65000
 bgp router-id 10.0.0.1
 bgp suppress-fib-pending
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor 10.1.0.2 remote-as 65101
 neighbor 10.1.0.2 passive
 neighbor 10.1.0.3 remote-as 65000
 neighbor 10.1.0.3 passive
 neighbor 10.2.0.2 remote-as 65300
 neighbor 10.2.0.2 timers connect 1
exit
";

const BIRD: &str = "router id 10.2.0.2;
protocol bgp upstream {
  local 10.2.0.2 as 65300;
  neighbor 10.2.0.1 as 65000;
  connect delay time 1;
  connect retry time 2;
  error wait time 1, 2;
  ipv4 { import all; export none; };
}
";

/// The router with a neighbor that has routes; dropped from the top.
struct Lab {
    external: Scripted,
    router: Holdfast,
    source: Namespace,
    middle: Namespace,
    observer: Namespace,
    topology: Topology,
}

impl Lab {
    fn up() -> Self {
        Self::with(CONFIG, &Open::good(EXTERNAL.1, EXTERNAL.0))
    }

    fn with(config: &str, open: &Open) -> Self {
        let topology = Topology::new();
        let (source, middle, observer) = (
            topology.namespace("source"),
            topology.namespace("router"),
            topology.namespace("observer"),
        );
        topology.link(
            source.end("eth0", "10.1.0.2/24 10.1.0.3/24"),
            middle.end("eth1", "10.1.0.1/24"),
        );
        topology.link(
            observer.end("eth0", "10.2.0.2/24"),
            middle.end("eth2", "10.2.0.1/24"),
        );
        let router = Holdfast::start(&topology, &middle, config);
        let external = Scripted::establish(&source, EXTERNAL.0, ROUTER, open);
        Self {
            external,
            router,
            source,
            middle,
            observer,
            topology,
        }
    }

    fn bird(&self) -> Bird {
        let bird = Bird::start(&self.topology, &self.observer, BIRD);
        self.router.wait_established(&[OBSERVER.0]);
        bird
    }

    /// A route of somebody else's in place of ours.
    fn block(&self, metric: u32) {
        let words = format!("route replace blackhole {PREFIX} proto static metric {metric}");
        self.middle.ip(&words);
    }

    fn unblock(&self, metric: u32) {
        let words = format!("route del blackhole {PREFIX} proto static metric {metric}");
        self.middle.ip(&words);
    }

    fn announce(&self, prefix: &str) {
        self.announce_by(prefix, &[EXTERNAL.1]);
    }

    fn announce_by(&self, prefix: &str, path: &[u32]) {
        let attributes = [origin(0), as_path(path), next_hop(EXTERNAL.0)];
        self.external
            .send(&wire::update(&[], &attributes, &[prefix]));
    }

    fn withdraw(&self, prefix: &str) {
        self.external.send(&wire::update(&[prefix], &[], &[]));
    }

    fn configure(&self, lines: &[&str]) {
        let commands = [&["configure terminal", "router bgp 65000"], lines].concat();
        let answer = self.router.shell(&commands);
        assert_eq!(answer.code, Some(0), "{answer:?}");
    }

    /// What is said of the prefix: a key of its JSON, and its line's marks.
    #[track_caller]
    fn wait_shown(&self, key: &str, marks: &str) {
        let line = format!("{marks:3}{PREFIX}");
        wait_for(SOON, &format!("{key} and {line}"), || {
            let paths = self.router.paths(PREFIX);
            let table = self.router.vtysh("show bgp ipv4 unicast");
            let said = paths.first().is_some_and(|path| path[key] == true);
            match said && table.contains(&line) {
                true => Ok(()),
                false => Err(format!("{paths:?}\n{table}")),
            }
        });
    }
}

fn dial(source: &Namespace, (address, asn): (&str, u32)) -> Scripted {
    Scripted::establish(source, address, ROUTER, &Open::good(asn, address))
}

fn knows(bird: &Bird, prefix: &str) -> bool {
    bird.birdc(&format!("show route {prefix}"))
        .contains("upstream")
}

#[track_caller]
fn wait_known(bird: &Bird, prefix: &str) {
    wait_until(SOON, &format!("the observer has {prefix}"), || {
        knows(bird, prefix)
    });
}

#[track_caller]
fn wait_unknown(bird: &Bird, prefix: &str) {
    wait_until(SOON, &format!("the observer loses {prefix}"), || {
        !knows(bird, prefix)
    });
}

#[test]
fn a_route_is_announced_while_the_kernel_has_it() {
    need!("/usr/sbin/bird", "/usr/sbin/birdc");
    let lab = Lab::up();
    let bird = lab.bird();
    lab.block(20);
    lab.announce(PREFIX);
    lab.announce(MARK);
    wait_known(&bird, MARK);
    lab.wait_shown("fibPending", "r>");
    assert!(!knows(&bird, PREFIX), "announced, and not in the kernel");

    lab.unblock(20);
    wait_known(&bird, PREFIX);
    lab.wait_shown("fibInstalled", "*>");
    assert_eq!(lab.middle.routes_to(PREFIX)[0].protocol, "bgp");

    // Another route takes the place of ours.
    lab.block(20);
    wait_unknown(&bird, PREFIX);
    lab.wait_shown("fibPending", "r>");
    lab.unblock(20);
    wait_known(&bird, PREFIX);

    // One is preferred to ours, which stays in the kernel.
    lab.block(5);
    wait_unknown(&bird, PREFIX);
    lab.wait_shown("fibPending", "r>");
    assert_eq!(lab.middle.routes_to(PREFIX).len(), 2);
    lab.unblock(5);
    wait_known(&bird, PREFIX);
    lab.wait_shown("fibInstalled", "*>");

    // One that gives way to ours is nobody's business.
    lab.block(30);
    lab.announce(SECOND_MARK);
    wait_known(&bird, SECOND_MARK);
    assert!(knows(&bird, PREFIX));
    lab.unblock(30);

    // What is not there any more is not announced, whatever the kernel has.
    lab.withdraw(PREFIX);
    wait_unknown(&bird, PREFIX);
    assert_eq!(lab.router.connections(OBSERVER.0), 1);
}

#[test]
fn what_is_deleted_by_hand_is_back_before_anybody_is_told() {
    need!("/usr/sbin/bird", "/usr/sbin/birdc");
    let lab = Lab::up();
    let bird = lab.bird();
    lab.announce(PREFIX);
    wait_known(&bird, PREFIX);
    let withdrawals = || {
        let text = bird.birdc("show protocols all upstream");
        let line = text.lines().find(|line| line.contains("Import withdraws:"));
        line.expect("a count of withdrawals").to_owned()
    };
    let before = withdrawals();
    lab.middle.ip(&format!("route del {PREFIX} proto bgp"));
    wait_until(SOON, "the route is back", || {
        !lab.middle.routes_to(PREFIX).is_empty()
    });
    lab.announce(MARK);
    wait_known(&bird, MARK);
    assert_eq!(withdrawals(), before);
}

#[test]
fn the_line_can_come_and_go() {
    need!("/usr/sbin/bird", "/usr/sbin/birdc");
    let lab = Lab::up();
    let bird = lab.bird();
    lab.block(20);
    lab.announce(PREFIX);
    lab.announce(MARK);
    wait_known(&bird, MARK);
    lab.wait_shown("fibPending", "r>");
    lab.configure(&["no bgp suppress-fib-pending"]);
    wait_known(&bird, PREFIX);
    lab.wait_shown("ribFailure", "r>");
    assert!(lab.router.paths(PREFIX)[0]["fibPending"].is_null());
    lab.configure(&["bgp suppress-fib-pending"]);
    wait_unknown(&bird, PREFIX);
    assert!(knows(&bird, MARK), "the kernel has {MARK}");
    // A route of our own never waits.
    lab.configure(&["address-family ipv4 unicast", "network 203.0.113.0/24"]);
    wait_known(&bird, PREFIX);
    assert_eq!(lab.router.connections(OBSERVER.0), 1);
}

/// What a neighbor was told of the prefix until it was told of the mark: the
/// AS paths, none for a withdrawal.
fn told(observer: &Scripted) -> Vec<Option<Vec<u8>>> {
    let mut told = Vec::new();
    let end = observer.wait_match(SOON, |event| {
        let Event::Message(2, body) = event else {
            return None;
        };
        let update = Update::parse(body);
        if update.withdrawn.iter().any(|prefix| prefix == PREFIX) {
            told.push(None);
        }
        if update.announced.iter().any(|prefix| prefix == PREFIX) {
            told.push(Some(update.attribute(2).expect("an AS path").to_vec()));
        }
        update
            .announced
            .iter()
            .any(|prefix| prefix == MARK)
            .then_some(())
    });
    end.expect("the mark");
    told
}

fn path(numbers: &[u32]) -> Option<Vec<u8>> {
    // Without flags, type and length.
    Some(as_path(numbers)[3..].to_vec())
}

#[test]
fn a_change_is_announced_when_the_kernel_has_the_new_route() {
    need!();
    let lab = Lab::up();
    let listener = harness::scripted::Listener::bind(&lab.observer, OBSERVER.0);
    let mut observer = listener.accept(SOON);
    observer
        .handshake(&Open::good(OBSERVER.1, OBSERVER.0))
        .expect("a session");
    let internal = dial(&lab.source, INTERNAL);
    // Another path each time, so that it is news.
    let mark = |number: u32| lab.announce_by(MARK, &[EXTERNAL.1, number]);
    lab.announce(PREFIX);
    lab.wait_shown("fibInstalled", "*>");
    mark(1);
    assert_eq!(told(&observer), [path(&[65000, EXTERNAL.1])]);

    // The other path is better, and the kernel does not take it: nobody hears
    // of it, and the former one is gone from the kernel.
    lab.block(200);
    let preferred = [
        origin(0),
        as_path(&[65400]),
        next_hop(INTERNAL.0),
        local_pref(300),
    ];
    internal.send(&wire::update(&[], &preferred, &[PREFIX]));
    lab.wait_shown("fibPending", "r>i");
    mark(2);
    assert_eq!(told(&observer), [None]);

    lab.unblock(200);
    lab.wait_shown("fibInstalled", "*>i");
    mark(3);
    assert_eq!(told(&observer), [path(&[65000, 65400])]);

    // Back again: one change, no withdrawal between.
    internal.send(&wire::update(&[PREFIX], &[], &[]));
    wait_until(SOON, "the external path is best again", || {
        let paths = lab.router.paths(PREFIX);
        paths.len() == 1 && paths[0]["fibInstalled"] == true
    });
    mark(4);
    assert_eq!(told(&observer), [path(&[65000, EXTERNAL.1])]);
}

/// IPv4 unicast only, with graceful restart (RFC 4724).
fn restarting(asn: u32, id: &str) -> Open {
    let mut capabilities = wire::capability(1, &[0, 1, 0, 1]);
    capabilities.extend(wire::capability(64, &[0, 120, 0, 1, 1, 0x80]));
    capabilities.extend(wire::capability(65, &asn.to_be_bytes()));
    Open {
        parameters: wire::parameter(2, &capabilities),
        ..Open::good(asn, id)
    }
}

#[test]
fn after_a_restart_the_end_of_rib_comes_behind_what_the_kernel_kept() {
    need!();
    let config = CONFIG.replace(
        " neighbor 10.1.0.3 passive",
        " neighbor 10.1.0.3 shutdown\n bgp graceful-restart",
    );
    let end_of_rib = wire::update(&[], &[], &[]);
    let source = restarting(EXTERNAL.1, EXTERNAL.0);
    let mut lab = Lab::with(&config, &source);
    let listener = harness::scripted::Listener::bind(&lab.observer, OBSERVER.0);
    let observe = |listener: &harness::scripted::Listener| {
        let mut observer = listener.accept(SOON);
        let open = restarting(OBSERVER.1, OBSERVER.0);
        observer.handshake(&open).expect("a session");
        observer.send(&end_of_rib);
        observer
    };
    let observer = observe(&listener);
    lab.announce(PREFIX);
    lab.external.send(&end_of_rib);
    lab.wait_shown("fibInstalled", "*>");
    assert!(lab.router.stop().success());
    drop(observer);
    assert_eq!(lab.middle.routes_to(PREFIX).len(), 1, "it is kept");

    lab.router.restart();
    lab.external = Scripted::establish(&lab.source, EXTERNAL.0, ROUTER, &source);
    let observer = observe(&listener);
    lab.announce(PREFIX);
    lab.external.send(&end_of_rib);
    let mut announced = Vec::new();
    let end = observer.wait_match(SOON, |event| {
        let Event::Message(2, body) = event else {
            return None;
        };
        announced.extend(Update::parse(body).announced);
        (body.as_slice() == [0; 4]).then_some(())
    });
    end.expect("an End-of-RIB");
    assert_eq!(announced, [PREFIX]);
}
