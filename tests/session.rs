//! Sessions that go wrong: broken OPENs, broken headers, messages out of turn,
//! hold timers, collisions. After each of them a good session comes up.

mod harness;

use std::time::{Duration, Instant};

use harness::scripted::Listener;
use harness::wire::{self, KEEPALIVE, OPEN, Open};
use harness::{
    Bird, Event, Fate, Namespace, Router, RouterKind, SOON, Scripted, Topology, need, router,
};
use harness::{wait_for, wait_until};

const ROUTER: &str = "10.0.0.1";
const PEER_AS: u32 = 65001;
const PEER_ID: &str = "10.0.0.250";

/// How long the router has to answer something that it answers at once.
const ANSWER: Duration = Duration::from_secs(10);

/// A router with `neighbors` scripted neighbours of AS 65001 at 10.0.0.11 and
/// up. The daemon is dropped before its network.
struct Bench {
    router: Box<dyn Router>,
    peers: Namespace,
    topology: Topology,
}

impl Bench {
    fn new(neighbors: usize, extra: &str) -> Self {
        let topology = Topology::new();
        let namespace = topology.namespace("router");
        let peers = topology.namespace("peers");
        let addresses: Vec<String> = (0..neighbors)
            .map(|index| format!("{}/24", address(index)))
            .collect();
        topology.link(
            namespace.end("eth0", "10.0.0.1/24"),
            peers.end("eth0", &addresses.join(" ")),
        );
        let lines: String = (0..neighbors)
            .map(|index| {
                let peer = address(index);
                format!(" neighbor {peer} remote-as {PEER_AS}\n neighbor {peer} timers connect 1\n")
            })
            .collect();
        let config = format!(
            "router bgp 65000\n bgp router-id {ROUTER}\n no bgp ebgp-requires-policy\n{lines}{extra}exit\n"
        );
        let router = router::start(&topology, &namespace, &config);
        Self {
            router,
            peers,
            topology,
        }
    }

    fn connect(&self, index: usize) -> (Scripted, Vec<u8>) {
        Scripted::connect_until_open(&self.peers, &address(index), ROUTER)
    }

    fn establish(&self, index: usize, open: &Open) -> Scripted {
        Scripted::establish(&self.peers, &address(index), ROUTER, open)
    }
}

fn address(index: usize) -> String {
    format!("10.0.0.{}", 11 + index)
}

fn good() -> Open {
    Open::good(PEER_AS, PEER_ID)
}

/// One way to break a session, and what the router has to say to it.
struct Broken {
    name: &'static str,
    /// Sent one after the other once the router's OPEN is there.
    messages: Vec<Vec<u8>>,
    code: (u8, u8),
    /// The NOTIFICATION's data, where the RFC prescribes it.
    data: Option<Vec<u8>>,
}

fn broken(name: &'static str, message: Vec<u8>, code: u8, subcode: u8) -> Broken {
    Broken {
        name,
        messages: vec![message],
        code: (code, subcode),
        data: None,
    }
}

impl Broken {
    fn with_data(mut self, data: &[u8]) -> Self {
        self.data = Some(data.to_vec());
        self
    }

    fn after(mut self, earlier: &[Vec<u8>]) -> Self {
        self.messages.splice(0..0, earlier.iter().cloned());
        self
    }
}

/// Breaks one session per case, all at the same time, and lets a good one come
/// up after each. `frr_deviates` names cases that FRR 8.4 fails.
fn break_sessions(cases: &[Broken], frr_deviates: &[&str]) {
    let bench = Bench::new(cases.len(), "");
    let peers = &bench.peers;
    let outcomes: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = cases
            .iter()
            .enumerate()
            .map(|(index, case)| scope.spawn(move || break_session(peers, index, case)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a case's thread"))
            .collect()
    });
    let mut failures = Vec::new();
    for (case, outcome) in cases.iter().zip(outcomes) {
        let Err(seen) = outcome else { continue };
        if router::kind() == RouterKind::Frr && frr_deviates.contains(&case.name) {
            println!("FRR deviates: {}: {seen}", case.name);
        } else {
            failures.push(format!(
                "{}: wanted {:?} {:?}, {seen}",
                case.name, case.code, case.data
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn break_session(peers: &Namespace, index: usize, case: &Broken) -> Result<(), String> {
    let local = address(index);
    let (session, _) = Scripted::connect_until_open(peers, &local, ROUTER);
    for message in &case.messages {
        session.send(message);
    }
    let fate = session.fate(ANSWER);
    drop(session);
    Scripted::establish(peers, &local, ROUTER, &good());
    match &fate {
        Fate::Notification(code, subcode, data)
            if (*code, *subcode) == case.code
                && case.data.as_ref().is_none_or(|wanted| wanted == data) =>
        {
            Ok(())
        }
        other => Err(format!("got {other:?}")),
    }
}

#[test]
fn a_broken_open_is_answered_with_its_error() {
    need!();
    let with = |change: &dyn Fn(&mut Open)| {
        let mut open = good();
        change(&mut open);
        open.bytes()
    };
    let parameters = |bytes: &[u8]| with(&|open| open.parameters = bytes.to_vec());
    let as4 = |number: u32| wire::parameter(2, &wire::capability(65, &number.to_be_bytes()));
    // RFC 9072: 255, 255, then a two-octet length that the message falls short of.
    let mut extended = vec![4];
    extended.extend(65001_u16.to_be_bytes());
    extended.extend(90_u16.to_be_bytes());
    extended.extend([10, 0, 0, 250, 255, 255, 0, 40, 2, 0, 2]);

    let cases = [
        broken("version 5", with(&|open| open.version = 5), 2, 1).with_data(&[0, 4]),
        broken("version 3", with(&|open| open.version = 3), 2, 1).with_data(&[0, 4]),
        broken("another AS", Open::good(65009, PEER_ID).bytes(), 2, 2),
        broken(
            "AS 0",
            with(&|open| (open.asn, open.parameters) = (0, Vec::new())),
            2,
            2,
        ),
        broken(
            "another AS in the capability",
            parameters(&as4(65009)),
            2,
            2,
        ),
        broken("AS 0 in the capability", parameters(&as4(0)), 2, 2),
        broken(
            "router ID 0",
            with(&|open| open.id = [0, 0, 0, 0].into()),
            2,
            3,
        ),
        broken("hold time 1", with(&|open| open.hold_time = 1), 2, 6),
        broken("hold time 2", with(&|open| open.hold_time = 2), 2, 6),
        broken(
            "unknown parameter",
            parameters(&wire::parameter(9, &[1, 2])),
            2,
            4,
        ),
        broken("parameter overrun", parameters(&[2, 9, 1, 4]), 2, 0),
        broken("half a parameter header", parameters(&[2]), 2, 0),
        broken(
            "capability overrun",
            parameters(&wire::parameter(2, &[1, 9, 0, 1])),
            2,
            0,
        ),
        broken(
            "half a capability header",
            parameters(&wire::parameter(2, &[1])),
            2,
            0,
        ),
        broken(
            "truncated extended parameters",
            wire::message(OPEN, &extended),
            2,
            0,
        ),
    ];
    break_sessions(&cases, &[]);
}

#[test]
fn a_broken_header_is_answered_with_its_error() {
    need!();
    let all_ones = [0xff; 16];
    let mut marker = all_ones;
    marker[15] = 0;
    let headed =
        |length: u16, kind: u8, body: &[u8]| wire::raw_message(all_ones, length, kind, body);
    let cases = [
        broken(
            "marker",
            wire::raw_message(marker, 19, KEEPALIVE, &[]),
            1,
            1,
        ),
        broken("length 18", headed(18, KEEPALIVE, &[]), 1, 2).with_data(&[0, 18]),
        broken("length 0", headed(0, KEEPALIVE, &[]), 1, 2).with_data(&[0, 0]),
        broken("OPEN of 28", headed(28, OPEN, &[0; 9]), 1, 2).with_data(&[0, 28]),
        broken("OPEN of 4097", headed(4097, OPEN, &[0; 4078]), 1, 2).with_data(&[0x10, 0x01]),
        broken("UPDATE of 22", headed(22, wire::UPDATE, &[0; 3]), 1, 2).with_data(&[0, 22]),
        broken(
            "NOTIFICATION of 20",
            headed(20, wire::NOTIFICATION, &[6]),
            1,
            2,
        )
        .with_data(&[0, 20]),
        broken("KEEPALIVE of 20", headed(20, KEEPALIVE, &[0]), 1, 2).with_data(&[0, 20]),
        broken("type 99", headed(19, 99, &[]), 1, 3).with_data(&[99]),
        broken("type 0", headed(19, 0, &[]), 1, 3).with_data(&[0]),
    ];
    break_sessions(&cases, &[]);
}

#[test]
fn a_message_out_of_turn_is_answered_by_the_state_it_came_in() {
    need!();
    let end_of_rib = wire::update(&[], &[], &[]);
    let refresh = wire::message(wire::ROUTE_REFRESH, &[0, 1, 0, 1]);
    let open = good().bytes();
    let up = [open.clone(), wire::keepalive()];
    let cases = [
        broken("KEEPALIVE in OpenSent", wire::keepalive(), 5, 1),
        broken("UPDATE in OpenSent", end_of_rib.clone(), 5, 1),
        broken("ROUTE-REFRESH in OpenSent", refresh.clone(), 5, 1),
        broken("OPEN in OpenConfirm", open.clone(), 5, 2).after(std::slice::from_ref(&open)),
        broken("UPDATE in OpenConfirm", end_of_rib, 5, 2).after(std::slice::from_ref(&open)),
        broken("ROUTE-REFRESH in OpenConfirm", refresh, 5, 2).after(std::slice::from_ref(&open)),
        broken("OPEN in Established", open, 5, 3).after(&up),
    ];
    // FRR closes the connection without a word.
    break_sessions(&cases, &["OPEN in OpenConfirm", "OPEN in Established"]);
}

#[test]
fn a_notification_is_never_answered() {
    need!();
    let bench = Bench::new(1, "");
    let session = bench.establish(0, &good());
    session.send(&wire::notification(6, 4));
    assert_eq!(session.fate(ANSWER), Fate::Closed);
    let (opening, _) = bench.connect(0);
    opening.send(&wire::notification(2, 2));
    match opening.fate(ANSWER) {
        Fate::Closed => {}
        fate if router::kind() == RouterKind::Frr => println!("FRR deviates: {fate:?} in OpenSent"),
        fate => panic!("{fate:?} in OpenSent"),
    }
    bench.establish(0, &good());
}

#[test]
fn an_open_without_capabilities_and_one_with_unknown_ones_are_fine() {
    need!();
    let bench = Bench::new(2, "");
    let mut plain = good();
    plain.parameters = Vec::new();
    let _plain = bench.establish(0, &plain);
    let mut unknown = good();
    unknown
        .parameters
        .extend(wire::parameter(2, &wire::capability(239, &[1, 2, 3])));
    let _unknown = bench.establish(1, &unknown);
    bench.router.wait_established(&[&address(0), &address(1)]);
}

#[test]
fn a_peer_that_falls_silent_is_dropped_when_its_hold_time_is_over() {
    need!();
    let bench = Bench::new(1, "");
    let mut open = good();
    open.hold_time = 3;
    let mut session = bench.establish(0, &open);
    bench.router.wait_established(&[&address(0)]);
    session.stop_keepalives();
    let start = Instant::now();
    assert_eq!(
        session.fate(Duration::from_secs(15)),
        Fate::Notification(4, 0, Vec::new())
    );
    // The last keepalive may have left up to two seconds before it stopped.
    assert!(
        start.elapsed() >= Duration::from_millis(900),
        "after {:?} already",
        start.elapsed()
    );
    drop(session);
    bench.establish(0, &good());
}

#[test]
fn an_update_counts_as_a_sign_of_life() {
    need!();
    let bench = Bench::new(1, "");
    let mut open = good();
    open.hold_time = 3;
    let mut session = bench.establish(0, &open);
    session.stop_keepalives();
    for _ in 0..7 {
        session.send(&wire::update(&[], &[], &[]));
        assert_eq!(session.fate(Duration::from_secs(1)), Fate::Open);
    }
}

#[test]
fn a_hold_time_of_zero_means_no_keepalives() {
    need!();
    let bench = Bench::new(1, "");
    let mut open = good();
    open.hold_time = 0;
    let mut session = bench.establish(0, &open);
    session.stop_keepalives();
    let keepalive = session.wait_kind(KEEPALIVE, Duration::from_secs(8));
    assert!(keepalive.is_err_and(|seen| seen.starts_with("nothing in time")));
    bench.router.wait_established(&[&address(0)]);
}

/// A BIRD neighbour with a hold time of 6 s that announces one route.
fn bird(bench: &Bench) -> Bird {
    let config = format!(
        "router id {PEER_ID};
protocol static {{ ipv4; route 198.51.100.0/24 blackhole; }}
protocol bgp upstream {{
  local {} as {PEER_AS};
  neighbor {ROUTER} as 65000;
  hold time 6;
  connect delay time 1;
  connect retry time 2;
  error wait time 1, 2;
  ipv4 {{ import all; export where source = RTS_STATIC; }};
}}
",
        address(0)
    );
    Bird::start(&bench.topology, &bench.peers, &config)
}

#[test]
fn a_frozen_peer_loses_its_session_and_its_routes() {
    need!("bird", "birdc");
    let bench = Bench::new(1, "");
    let bird = bird(&bench);
    let kernel = bench.router.namespace().clone();
    bench.router.wait_established(&[&address(0)]);
    wait_until(SOON, "the route in the kernel", || {
        !kernel.routes_to("198.51.100.0/24").is_empty()
    });
    bird.freeze();
    let elapsed = wait_until(
        Duration::from_secs(20),
        "the frozen peer's route is gone",
        || kernel.routes_to("198.51.100.0/24").is_empty(),
    );
    assert!(
        elapsed >= Duration::from_secs(3),
        "after {elapsed:?} already, with a hold time of 6 s"
    );
    assert_ne!(bench.router.state(&address(0)), "Established");
    bird.thaw();
    wait_until(2 * SOON, "the route is back", || {
        !kernel.routes_to("198.51.100.0/24").is_empty()
    });
}

#[test]
fn a_router_that_was_frozen_comes_back() {
    need!("bird", "birdc");
    let bench = Bench::new(1, "");
    let bird = bird(&bench);
    let kernel = bench.router.namespace().clone();
    bench.router.wait_established(&[&address(0)]);
    bench.router.freeze();
    wait_for(
        Duration::from_secs(30),
        "bird gives the frozen router up",
        || {
            let text = bird.birdc("show protocols upstream");
            if text.contains("Established") {
                Err(text)
            } else {
                Ok(())
            }
        },
    );
    bench.router.thaw();
    wait_until(2 * SOON, "bird says the session is up", || {
        bird.birdc("show protocols upstream")
            .contains("Established")
    });
    bench.router.wait_established(&[&address(0)]);
    wait_until(SOON, "the route in the kernel", || {
        !kernel.routes_to("198.51.100.0/24").is_empty()
    });
}

/// Both ends connect, and both connections get their OPEN as nearly at once as
/// one thread can do it. Gives (the router's, ours).
fn collide(bench: &Bench, listener: &Listener, open: &Open) -> (Scripted, Scripted) {
    let theirs = listener.accept(SOON);
    theirs
        .wait_kind(OPEN, ANSWER)
        .expect("the router's OPEN on its own connection");
    let (ours, _) = bench.connect(0);
    theirs.send(&open.bytes());
    ours.send(&open.bytes());
    (theirs, ours)
}

/// RFC 4271 section 6.8: the connection of the speaker with the higher router
/// ID stays, the other gets Cease/7.
fn check_collision(peer_id: &str, router_wins: bool) {
    let bench = Bench::new(1, "");
    let listener = Listener::bind(&bench.peers, &address(0));
    let (theirs, ours) = collide(&bench, &listener, &Open::good(PEER_AS, peer_id));
    let (mut winner, loser) = if router_wins {
        (theirs, ours)
    } else {
        (ours, theirs)
    };
    assert_eq!(loser.fate(ANSWER), Fate::Notification(6, 7, Vec::new()));
    winner
        .wait_kind(KEEPALIVE, ANSWER)
        .expect("the router's KEEPALIVE on the connection that stays");
    winner.send(&wire::keepalive());
    winner.keep_alive();
    bench.router.wait_established(&[&address(0)]);
    assert_eq!(bench.router.connections(&address(0)), 1);
    assert_eq!(winner.fate(Duration::from_secs(3)), Fate::Open);
}

#[test]
fn of_two_connections_the_one_of_the_higher_router_id_stays_ours_being_higher() {
    need!();
    check_collision("10.0.0.250", false);
}

#[test]
fn of_two_connections_the_one_of_the_higher_router_id_stays_ours_being_lower() {
    need!();
    check_collision("1.1.1.1", true);
}

#[test]
fn an_established_session_survives_a_second_connection() {
    need!();
    let bench = Bench::new(1, "");
    let first = bench.establish(0, &good());
    bench.router.wait_established(&[&address(0)]);
    // The router may refuse at once, or hear the OPEN before it does.
    if let Ok(second) = Scripted::connect(&bench.peers, &address(0), ROUTER) {
        second.send(&good().bytes());
        let fate = second.fate(ANSWER);
        assert!(
            matches!(fate, Fate::Closed | Fate::Notification(6, 7, _)),
            "{fate:?}"
        );
    }
    assert_eq!(first.fate(Duration::from_secs(3)), Fate::Open);
    assert_eq!(bench.router.connections(&address(0)), 1);
}

#[test]
fn an_unconfigured_peer_is_turned_away() {
    need!();
    let bench = Bench::new(1, "");
    bench.peers.ip("addr add 10.0.0.99/24 dev eth0");
    bench.establish(0, &good());
    let Ok(stranger) = Scripted::connect(&bench.peers, "10.0.0.99", ROUTER) else {
        return;
    };
    let first = stranger.next(ANSWER);
    assert!(
        matches!(&first, Some(Event::Closed))
            || matches!(&first, Some(Event::Message(3, body)) if body[..2] == [6, 5]),
        "{first:?}"
    );
}
