//! Malformed UPDATEs (RFC 7606): what becomes of the session, and of the
//! routes that it carried before.
//!
//! Each malformed attribute is sent as the first and as the last of its
//! UPDATE, from an external and from an internal peer. The RFC decides what is
//! right; the cases that FRR 8.4 fails are listed by name.

mod harness;

use std::time::Duration;

use harness::wire::{self, O, Open, T, as_path, attribute, next_hop, nlri, origin};
use harness::{Fate, Namespace, Router, RouterKind, SOON, Scripted, Topology, need, router};
use harness::{wait_for, wait_until};

const ROUTER: &str = "10.0.0.1";
const ROUTER_AS: u32 = 65000;
const PEER_AS: u32 = 65001;

/// The extended-length bit of the attribute flags.
const EXTENDED: u8 = 0x10;

const MED: u8 = 4;
const LOCAL_PREF: u8 = 5;
const ATOMIC_AGGREGATE: u8 = 6;
const AGGREGATOR: u8 = 7;
const COMMUNITIES: u8 = 8;
const ORIGINATOR_ID: u8 = 9;
const CLUSTER_LIST: u8 = 10;
const MP_REACH: u8 = 14;
const MP_UNREACH: u8 = 15;
const EXTENDED_COMMUNITIES: u8 = 16;
const AS4_PATH: u8 = 17;
const AS4_AGGREGATOR: u8 = 18;
const IPV6_EXTENDED_COMMUNITIES: u8 = 25;
const AIGP: u8 = 26;
const LARGE_COMMUNITIES: u8 = 32;
const OTC: u8 = 35;
const PREFIX_SID: u8 = 40;

/// The MED of the good announcement, and of the malformed one: it tells which
/// of the two the router uses.
const GOOD_MED: u64 = 10;
const MALFORMED_MED: u64 = 77;

/// What the malformed UPDATE has to do, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// The route is used, without the attribute.
    Discard,
    /// The route that was announced before is gone; the session stays.
    Withdraw,
    /// NOTIFICATION 3, with this subcode if one is prescribed.
    Reset(Option<u8>),
}

use Action::{Discard, Reset, Withdraw};

/// Which peers a case is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    External,
    Internal,
}

/// Where the malformed attribute stands among the good ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    First,
    Last,
}

/// One malformed UPDATE.
struct Case {
    name: &'static str,
    /// The malformed attribute, in place of a good one of the same code.
    bytes: Vec<u8>,
    external: Option<Action>,
    internal: Option<Action>,
    /// Codes of good attributes to leave out beside that of `bytes`.
    without: &'static [u8],
    /// Makes sense at the end only.
    last_only: bool,
}

impl Case {
    fn action(&self, kind: Kind) -> Option<Action> {
        match kind {
            Kind::External => self.external,
            Kind::Internal => self.internal,
        }
    }

    fn external(mut self, action: Option<Action>) -> Self {
        self.external = action;
        self
    }

    fn internal(mut self, action: Option<Action>) -> Self {
        self.internal = action;
        self
    }

    fn last_only(mut self) -> Self {
        self.last_only = true;
        self
    }

    fn without(mut self, codes: &'static [u8]) -> Self {
        self.without = codes;
        self
    }
}

/// A malformed attribute that has the same effect from both kinds of peers.
fn case(name: &'static str, action: Action, bytes: Vec<u8>) -> Case {
    Case {
        name,
        bytes,
        external: Some(action),
        internal: Some(action),
        without: &[],
        last_only: false,
    }
}

/// Sections 7.1 to 7.7, and the flag conflicts of section 3(c).
fn well_known_cases() -> Vec<Case> {
    let path = |value: &[u8]| attribute(T, 2, value);
    let [a, b, c, d] = PEER_AS.to_be_bytes();
    vec![
        case("ORIGIN of 2 octets", Withdraw, attribute(T, 1, &[0, 0])),
        case("ORIGIN of 0 octets", Withdraw, attribute(T, 1, &[])),
        case("ORIGIN 3", Withdraw, origin(3)),
        case("ORIGIN optional", Withdraw, attribute(O | T, 1, &[0])),
        case(
            "AS_PATH segment type 0",
            Withdraw,
            path(&[0, 1, a, b, c, d]),
        ),
        case(
            "AS_PATH segment type 5",
            Withdraw,
            path(&[5, 1, a, b, c, d]),
        ),
        case(
            "AS_PATH empty segment",
            Withdraw,
            path(&[2, 1, a, b, c, d, 2, 0]),
        ),
        case("AS_PATH overrun", Withdraw, path(&[2, 2, a, b, c, d])),
        case(
            "AS_PATH half a segment header",
            Withdraw,
            path(&[2, 1, a, b, c, d, 2]),
        ),
        case(
            "AS_PATH AS 0",
            Withdraw,
            path(&[2, 2, a, b, c, d, 0, 0, 0, 0]),
        ),
        case(
            "AS_PATH optional",
            Withdraw,
            attribute(O | T, 2, &[2, 1, a, b, c, d]),
        ),
        case("AS_PATH confederation", Withdraw, path(&[3, 1, a, b, c, d])).internal(None),
        case(
            "NEXT_HOP of 3 octets",
            Withdraw,
            attribute(T, 3, &[10, 0, 0]),
        ),
        case(
            "NEXT_HOP of 5 octets",
            Withdraw,
            attribute(T, 3, &[10, 0, 0, 11, 0]),
        ),
        case(
            "NEXT_HOP optional",
            Withdraw,
            attribute(O | T, 3, &[10, 0, 0, 11]),
        ),
        case(
            "LOCAL_PREF of 3 octets",
            Withdraw,
            attribute(T, LOCAL_PREF, &[0, 0, 1]),
        )
        .external(Some(Discard)),
        case(
            "ATOMIC_AGGREGATE of 1 octet",
            Discard,
            attribute(T, ATOMIC_AGGREGATE, &[0]),
        ),
        case("no ORIGIN", Withdraw, Vec::new()).without(&[1]),
        case("no AS_PATH", Withdraw, Vec::new()).without(&[2]),
        case("no NEXT_HOP", Withdraw, Vec::new()).without(&[3]),
    ]
}

/// Sections 7.4 to 7.15, and the attributes of later RFCs.
fn optional_cases() -> Vec<Case> {
    let [a, b, c, d] = PEER_AS.to_be_bytes();
    let communities = |code: u8, length: usize| attribute(O | T, code, &vec![1; length]);
    vec![
        case("MED of 3 octets", Withdraw, attribute(O, MED, &[0, 0, 1])),
        case(
            "MED transitive",
            Withdraw,
            attribute(O | T, MED, &[0, 0, 0, 77]),
        ),
        case(
            "AGGREGATOR of 7 octets",
            Discard,
            attribute(O | T, AGGREGATOR, &[a, b, c, d, 10, 0, 0]),
        ),
        case(
            "AGGREGATOR AS 0",
            Discard,
            attribute(O | T, AGGREGATOR, &[0, 0, 0, 0, 10, 0, 0, 9]),
        ),
        case(
            "COMMUNITIES of 3 octets",
            Withdraw,
            communities(COMMUNITIES, 3),
        ),
        case(
            "COMMUNITIES of 0 octets",
            Withdraw,
            communities(COMMUNITIES, 0),
        ),
        case(
            "COMMUNITIES not transitive",
            Withdraw,
            attribute(O, COMMUNITIES, &[253, 233, 0, 1]),
        ),
        case(
            "EXTENDED_COMMUNITIES of 7 octets",
            Withdraw,
            communities(EXTENDED_COMMUNITIES, 7),
        ),
        case(
            "EXTENDED_COMMUNITIES of 0 octets",
            Withdraw,
            communities(EXTENDED_COMMUNITIES, 0),
        ),
        case(
            "IPV6_EXTENDED_COMMUNITIES of 19 octets",
            Withdraw,
            communities(IPV6_EXTENDED_COMMUNITIES, 19),
        ),
        case(
            "LARGE_COMMUNITIES of 11 octets",
            Withdraw,
            communities(LARGE_COMMUNITIES, 11),
        ),
        case(
            "LARGE_COMMUNITIES of 0 octets",
            Withdraw,
            communities(LARGE_COMMUNITIES, 0),
        ),
        case(
            "ORIGINATOR_ID of 3 octets",
            Withdraw,
            attribute(O, ORIGINATOR_ID, &[1, 1, 1]),
        )
        .external(Some(Discard)),
        case(
            "CLUSTER_LIST of 3 octets",
            Withdraw,
            attribute(O, CLUSTER_LIST, &[1, 1, 1]),
        )
        .external(Some(Discard)),
        case(
            "CLUSTER_LIST of 0 octets",
            Withdraw,
            attribute(O, CLUSTER_LIST, &[]),
        )
        .external(Some(Discard)),
        case(
            "AS4_PATH of 3 octets",
            Discard,
            attribute(O | T, AS4_PATH, &[2, 1, 0]),
        ),
        case(
            "AS4_AGGREGATOR of 7 octets",
            Discard,
            attribute(O | T, AS4_AGGREGATOR, &[a, b, c, d, 10, 0, 0]),
        ),
        case("AIGP of 2 octets", Discard, attribute(O, AIGP, &[1, 0])),
        case(
            "PREFIX_SID of 2 octets",
            Discard,
            attribute(O | T, PREFIX_SID, &[1, 0]),
        ),
        case(
            "OTC of 3 octets",
            Withdraw,
            attribute(O | T, OTC, &[0, 0, 1]),
        ),
    ]
}

/// Sections 3(g), 4, 5 and 7.11: the shape of the whole.
fn framing_cases() -> Vec<Case> {
    // AFI 2, SAFI 1; a next hop of 15 octets, which no family has.
    let mut bad_next_hop = vec![0, 2, 1, 15];
    bad_next_hop.extend([0x20; 15]);
    bad_next_hop.extend([0, 32, 0x20, 1, 0x0d, 0xb8]);
    // A next hop of 16 octets of which four are there.
    let truncated = [0, 2, 1, 16, 0x20, 1, 0x0d, 0xb8];
    let mut reach = vec![0, 2, 1, 16, 0x20, 1, 0x0d, 0xb8];
    reach.extend([0; 11]);
    reach.extend([1, 0, 32, 0x20, 1, 0x0d, 0xb8]);
    let reach = attribute(O, MP_REACH, &reach);
    let twice = |bytes: &[u8]| [bytes, bytes].concat();
    // Prefix length 64, but two octets.
    let overrun = [0, 2, 1, 64, 0x20, 1];
    vec![
        case(
            "attribute overrun",
            Withdraw,
            vec![O | T, COMMUNITIES, 40, 0, 1],
        )
        .last_only(),
        case("half an attribute header", Withdraw, vec![O | T]).last_only(),
        case(
            "extended length overrun",
            Withdraw,
            vec![O | T | EXTENDED, COMMUNITIES, 4, 0, 1],
        )
        .last_only(),
        case(
            "unknown well-known attribute",
            Reset(Some(2)),
            attribute(T, 200, &[1]),
        ),
        case(
            "MED twice",
            Discard,
            twice(&attribute(O, MED, &77_u32.to_be_bytes())),
        ),
        case(
            "COMMUNITIES twice",
            Discard,
            twice(&attribute(O | T, COMMUNITIES, &[253, 233, 0, 1])),
        ),
        case("MP_REACH twice", Reset(Some(1)), twice(&reach)),
        case(
            "MP_REACH next hop of 15 octets",
            Reset(None),
            attribute(O, MP_REACH, &bad_next_hop),
        ),
        case(
            "MP_REACH truncated",
            Reset(None),
            attribute(O, MP_REACH, &truncated),
        ),
        case(
            "MP_UNREACH overrun",
            Reset(None),
            attribute(O, MP_UNREACH, &overrun),
        ),
    ]
}

/// Cases that FRR 8.4 fails from an external peer, too, with the malformed
/// attribute in last position.
const FRR_DEVIATES: &[&str] = &[
    "AS4_PATH of 3 octets",
    "CLUSTER_LIST of 0 octets",
    "CLUSTER_LIST of 3 octets",
    "COMMUNITIES twice",
    "MED twice",
    "ORIGINATOR_ID of 3 octets",
    "PREFIX_SID of 2 octets",
    "attribute overrun",
    "extended length overrun",
    "half an attribute header",
    "unknown well-known attribute",
];

/// Whether FRR 8.4 is known to do otherwise than RFC 7606 says: it resets the
/// session on any error of an internal peer, and after an error it does not
/// read the attributes that follow, so that it misreads the prefixes.
fn frr_deviates(name: &str, kind: Kind, position: Position) -> bool {
    kind == Kind::Internal || position == Position::First || FRR_DEVIATES.contains(&name)
}

/// One session of a scripted peer, and where in the table its routes are.
struct Bench<'a> {
    router: &'a dyn Router,
    peers: &'a Namespace,
    kind: Kind,
    position: Position,
    /// The second octet of the session's prefixes.
    block: u8,
    session: Scripted,
}

impl Bench<'_> {
    fn address(kind: Kind, position: Position) -> &'static str {
        match (kind, position) {
            (Kind::External, Position::First) => "10.0.0.11",
            (Kind::External, Position::Last) => "10.0.0.12",
            (Kind::Internal, Position::First) => "10.0.0.13",
            (Kind::Internal, Position::Last) => "10.0.0.14",
        }
    }

    fn establish(peers: &Namespace, kind: Kind, position: Position) -> Scripted {
        let address = Self::address(kind, position);
        let asn = if kind == Kind::External {
            PEER_AS
        } else {
            ROUTER_AS
        };
        Scripted::establish(peers, address, ROUTER, &Open::good(asn, address))
    }

    /// Good attributes with the given MED, ascending by code.
    fn attributes(&self, med: u64) -> Vec<(u8, Vec<u8>)> {
        let med = u32::try_from(med).expect("a MED").to_be_bytes();
        let path = if self.kind == Kind::External {
            as_path(&[PEER_AS])
        } else {
            as_path(&[])
        };
        let mut attributes = vec![
            (1, origin(0)),
            (2, path),
            (3, next_hop(Self::address(self.kind, self.position))),
            (MED, attribute(O, MED, &med)),
        ];
        if self.kind == Kind::Internal {
            attributes.push((LOCAL_PREF, wire::local_pref(100)));
        }
        attributes
    }

    fn announce(&self, prefix: &str) {
        let good: Vec<Vec<u8>> = self
            .attributes(GOOD_MED)
            .into_iter()
            .map(|(_, bytes)| bytes)
            .collect();
        self.session.send(&wire::update(&[], &good, &[prefix]));
    }

    /// The UPDATE of a case for a prefix.
    fn malformed(&self, case: &Case, prefix: &str) -> Vec<u8> {
        let code = case.bytes.get(1).copied().unwrap_or_default();
        let mut attributes: Vec<Vec<u8>> = self
            .attributes(MALFORMED_MED)
            .into_iter()
            .filter(|(good, _)| *good != code && !case.without.contains(good))
            .map(|(_, bytes)| bytes)
            .collect();
        let at = if self.position == Position::First {
            0
        } else {
            attributes.len()
        };
        attributes.insert(at, case.bytes.clone());
        wire::update(&[], &attributes, &[prefix])
    }

    fn prefix(&self, number: usize, host: u8) -> String {
        format!("10.{}.{number}.{host}/32", self.block)
    }

    /// The MED of a prefix; `None` if it is not in the table.
    fn med(&self, prefix: &str) -> Option<u64> {
        self.router
            .paths(prefix)
            .first()
            .map(|path| path["metric"].as_u64().unwrap_or_default())
    }

    fn wait_med(&self, prefix: &str, wanted: Option<u64>) -> Result<(), String> {
        let end = std::time::Instant::now() + SOON;
        loop {
            let found = self.med(prefix);
            if found == wanted {
                return Ok(());
            }
            if std::time::Instant::now() > end {
                return Err(format!(
                    "MED of {prefix} is {found:?} instead of {wanted:?}"
                ));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs one case; `Err` says what was wrong. The session is up afterwards.
    fn check(&mut self, number: usize, case: &Case, wanted: Action) -> Result<(), String> {
        let (target, bystander, marker) = (
            self.prefix(number, 1),
            self.prefix(number, 2),
            self.prefix(number, 3),
        );
        self.announce(&target);
        self.announce(&bystander);
        self.wait_med(&bystander, Some(GOOD_MED))?;
        self.session.send(&self.malformed(case, &target));
        // What follows is seen only when the malformed UPDATE was dealt with.
        self.announce(&marker);
        let fate = match self.wait_dealt_with(&marker) {
            Fate::Open => None,
            fate => Some(fate),
        };
        let outcome = match (wanted, &fate) {
            (Reset(subcode), Some(Fate::Notification(3, found, _)))
                if subcode.is_none_or(|wanted| wanted == *found) =>
            {
                self.wait_med(&target, None)
                    .and_then(|()| self.wait_med(&bystander, None))
            }
            (Discard | Withdraw, None) => self.check_routes(case, wanted, &target, &bystander),
            (_, fate) => Err(format!("the session's fate is {fate:?}")),
        };
        if fate.is_some() {
            self.session = Self::establish(self.peers, self.kind, self.position);
        }
        outcome
    }

    fn check_routes(
        &self,
        case: &Case,
        wanted: Action,
        target: &str,
        bystander: &str,
    ) -> Result<(), String> {
        let med = if wanted == Withdraw {
            None
        } else {
            Some(MALFORMED_MED)
        };
        let found = self.med(target);
        if found != med {
            return Err(format!(
                "{target} of {} has MED {found:?} instead of {med:?}",
                case.name
            ));
        }
        if self.med(bystander) != Some(GOOD_MED) {
            return Err(format!("{bystander} is gone, too"));
        }
        Ok(())
    }

    /// Waits until the marker is in the table, or the session has met its end.
    fn wait_dealt_with(&self, marker: &str) -> Fate {
        wait_for(SOON, "the malformed UPDATE is dealt with", || {
            match self.session.fate(Duration::from_millis(50)) {
                Fate::Open if self.med(marker).is_some() => Ok(Fate::Open),
                Fate::Open => Err("the session goes on".to_owned()),
                fate => Ok(fate),
            }
        })
    }
}

fn config() -> String {
    let mut text =
        format!("router bgp {ROUTER_AS}\n bgp router-id {ROUTER}\n no bgp ebgp-requires-policy\n");
    for (address, asn) in [
        ("10.0.0.11", PEER_AS),
        ("10.0.0.12", PEER_AS),
        ("10.0.0.13", ROUTER_AS),
        ("10.0.0.14", ROUTER_AS),
    ] {
        text +=
            &format!(" neighbor {address} remote-as {asn}\n neighbor {address} timers connect 1\n");
    }
    text += " address-family ipv6 unicast\n";
    for host in 11..=14 {
        text += &format!("  neighbor 10.0.0.{host} activate\n");
    }
    text + " exit-address-family\nexit\n"
}

/// Runs all cases from both kinds of peers and in both positions, each on a
/// session of its own, side by side.
fn check_all(cases: &[Case]) {
    let topology = Topology::new();
    let namespace = topology.namespace("router");
    let peers = topology.namespace("peers");
    let addresses = "10.0.0.11/24 10.0.0.12/24 10.0.0.13/24 10.0.0.14/24";
    topology.link(
        namespace.end("eth0", "10.0.0.1/24"),
        peers.end("eth0", addresses),
    );
    let router = router::start(&topology, &namespace, &config());
    let ways = [Kind::External, Kind::Internal]
        .into_iter()
        .flat_map(|kind| [Position::First, Position::Last].map(|position| (kind, position)));
    let failures: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = (101..)
            .zip(ways)
            .map(|(block, (kind, position))| {
                let (router, peers) = (&*router, &peers);
                scope.spawn(move || {
                    let session = Bench::establish(peers, kind, position);
                    let bench = Bench {
                        router,
                        peers,
                        kind,
                        position,
                        block,
                        session,
                    };
                    check_session(bench, cases)
                })
            })
            .collect();
        let ended = running.into_iter().map(|thread| thread.join());
        ended
            .flat_map(|failures| failures.unwrap_or_else(|_| vec!["a thread panicked".to_owned()]))
            .collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The cases that make sense on a session, one after the other.
fn check_session(mut bench: Bench<'_>, cases: &[Case]) -> Vec<String> {
    let (kind, position) = (bench.kind, bench.position);
    let mut failures = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        if case.last_only && position == Position::First {
            continue;
        }
        let Some(wanted) = case.action(kind) else {
            continue;
        };
        if let Err(seen) = bench.check(number, case, wanted) {
            let seen = format!("wanted {wanted:?}: {seen}");
            report(&mut failures, case.name, kind, position, &seen);
        }
    }
    failures
}

fn report(failures: &mut Vec<String>, name: &str, kind: Kind, position: Position, seen: &str) {
    let full = format!("{name}/{kind:?}/{position:?}");
    if router::kind() == RouterKind::Frr && frr_deviates(name, kind, position) {
        println!("FRR deviates: {full}: {seen}");
    } else {
        failures.push(format!("{full}: {seen}"));
    }
}

#[test]
fn malformed_well_known_attributes_withdraw_the_route() {
    need!();
    check_all(&well_known_cases());
}

#[test]
fn malformed_optional_attributes_withdraw_the_route_or_are_dropped() {
    need!();
    check_all(&optional_cases());
}

#[test]
fn malformed_framing_withdraws_the_route_or_resets_the_session() {
    need!();
    check_all(&framing_cases());
}

/// A session of an external peer with one good route.
fn one_route() -> (Topology, Box<dyn Router>, Namespace, Scripted) {
    let topology = Topology::new();
    let namespace = topology.namespace("router");
    let peers = topology.namespace("peers");
    topology.link(
        namespace.end("eth0", "10.0.0.1/24"),
        peers.end("eth0", "10.0.0.11/24"),
    );
    let router = router::start(&topology, &namespace, &config());
    let session = Bench::establish(&peers, Kind::External, Position::First);
    let good = [origin(0), as_path(&[PEER_AS]), next_hop("10.0.0.11")];
    session.send(&wire::update(&[], &good, &["198.51.100.0/24"]));
    router.wait_paths("198.51.100.0/24", 1);
    wait_until(SOON, "the route in the kernel", || {
        !namespace.routes_to("198.51.100.0/24").is_empty()
    });
    (topology, router, peers, session)
}

/// Sends an UPDATE that has to end the session with 3 and one of `subcodes`,
/// and checks that the routes go and that a good session comes up again.
fn check_reset(message: &[u8], subcodes: &[u8]) {
    let (_topology, router, peers, session) = one_route();
    session.send(message);
    let fate = session.fate(SOON);
    assert!(
        matches!(&fate, Fate::Notification(3, subcode, _) if subcodes.contains(subcode)),
        "{fate:?}"
    );
    let kernel = router.namespace();
    wait_until(SOON, "the route is gone", || {
        kernel.routes_to("198.51.100.0/24").is_empty()
    });
    Bench::establish(&peers, Kind::External, Position::First);
}

fn good_attributes() -> Vec<u8> {
    [origin(0), as_path(&[PEER_AS]), next_hop("10.0.0.11")].concat()
}

#[test]
fn withdrawn_routes_longer_than_the_message_reset_the_session() {
    need!();
    check_reset(&wire::message(wire::UPDATE, &[0, 200, 24, 10, 1, 2]), &[1]);
}

#[test]
fn attributes_longer_than_the_message_reset_the_session() {
    need!();
    check_reset(
        &wire::update_with_length(&[], 500, &good_attributes(), &["198.51.101.0/24"]),
        &[1],
    );
}

#[test]
fn a_prefix_longer_than_its_family_allows_resets_the_session() {
    need!();
    let mut message = wire::update(&[], &[good_attributes()], &[]);
    message.extend([33, 10, 1, 2, 3, 0]);
    let length = u16::try_from(message.len())
        .expect("a short message")
        .to_be_bytes();
    message[16..18].copy_from_slice(&length);
    check_reset(&message, &[10]);
}

#[test]
fn a_truncated_prefix_resets_the_session() {
    need!();
    let mut message = wire::update(&[], &[good_attributes()], &[]);
    message.extend([24, 10, 1]);
    let length = u16::try_from(message.len())
        .expect("a short message")
        .to_be_bytes();
    message[16..18].copy_from_slice(&length);
    check_reset(&message, &[10]);
}

/// RFC 7606 section 5.2: with no prefix that could be withdrawn, the error
/// would go unseen.
#[test]
fn a_malformed_attribute_without_a_reachable_prefix_resets_the_session() {
    need!();
    let attributes = [
        attribute(T, 1, &[9, 9]),
        as_path(&[PEER_AS]),
        next_hop("10.0.0.11"),
    ];
    let message = wire::update(&["198.51.101.0/24"], &attributes, &[]);
    if router::kind() == RouterKind::Frr {
        println!("FRR deviates: it keeps the session");
        return;
    }
    check_reset(&message, &(0..=11).collect::<Vec<u8>>());
}

#[test]
fn withdrawing_an_unknown_prefix_and_host_bits_do_no_harm() {
    need!();
    let (_topology, router, _peers, session) = one_route();
    session.send(&wire::update(&["203.0.113.0/24"], &[], &[]));
    // 23 bits, with the 24th set: the same as 198.18.0.0/23.
    let mut message = wire::update(&[], &[good_attributes()], &[]);
    message.extend([23, 198, 18, 1]);
    let length = u16::try_from(message.len())
        .expect("a short message")
        .to_be_bytes();
    message[16..18].copy_from_slice(&length);
    session.send(&message);
    router.wait_paths("198.18.0.0/23", 1);
    // RFC 4271 section 4.3: in both fields means announced.
    session.send(&wire::update(
        &["198.51.100.0/24"],
        &[good_attributes()],
        &["198.51.100.0/24", "198.51.102.0/24"],
    ));
    router.wait_paths("198.51.102.0/24", 1);
    match router.paths("198.51.100.0/24").len() {
        1 => {}
        0 if router::kind() == RouterKind::Frr => {
            println!("FRR deviates: it withdraws what is in both fields")
        }
        other => panic!("{other} paths"),
    }
    assert_eq!(session.fate(Duration::from_millis(500)), Fate::Open);
    let length = nlri("198.18.0.0/23").len();
    assert_eq!(length, 4, "three octets for 23 bits, and the length's");
}
