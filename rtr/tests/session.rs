//! What is said to a cache, and what is made of what it says.

use std::time::{Duration, Instant};

use holdfast_rtr::Vrp;
use holdfast_rtr::pdu::{ErrorCode, Pdu, Timing, Version};
use holdfast_rtr::session::{Action, Delta, Overrides, Session};

const TIMING: Timing = Timing {
    refresh: 100,
    retry: 10,
    expire: 1_000,
};

fn vrp(n: u8) -> Vrp {
    Vrp {
        prefix: format!("192.0.{n}.0/24").parse().unwrap(),
        max_length: 24,
        asn: 65_000 + u32::from(n),
    }
}

fn delta(announced: &[u8], withdrawn: &[u8]) -> Action {
    Action::Changed(Delta {
        announced: announced.iter().map(|n| vrp(*n)).collect(),
        withdrawn: withdrawn.iter().map(|n| vrp(*n)).collect(),
    })
}

/// A session, and a clock.
struct World {
    session: Session,
    now: Instant,
}

impl World {
    fn new() -> World {
        let now = Instant::now();
        World {
            session: Session::new(Overrides::default(), now),
            now,
        }
    }

    fn connect(&mut self) -> Vec<Action> {
        assert!(self.session.wants_connection(self.now));
        self.session.connected(self.now)
    }

    fn hear(&mut self, pdu: Pdu) -> Vec<Action> {
        self.session.received(Version::V1, pdu, self.now)
    }

    fn pass(&mut self, secs: u64) {
        self.now += Duration::from_secs(secs);
    }

    /// The cache says this much, as the answer to a question.
    fn answer(&mut self, session: u16, serial: u32, payloads: &[(bool, u8)]) -> Vec<Action> {
        let mut actions = self.hear(Pdu::CacheResponse { session });
        for (announce, n) in payloads {
            actions.extend(self.hear(Pdu::Prefix {
                announce: *announce,
                vrp: vrp(*n),
            }));
        }
        let timing = Some(TIMING);
        actions.extend(self.hear(Pdu::EndOfData {
            session,
            serial,
            timing,
        }));
        actions
    }

    fn has(&self) -> Vec<u32> {
        self.session
            .data()
            .iter()
            .map(|vrp| vrp.asn - 65_000)
            .collect()
    }
}

fn query(session: u16, serial: u32) -> Vec<Action> {
    let query = Pdu::SerialQuery { session, serial };
    vec![Action::Send(Version::V1, query)]
}

fn reset() -> Vec<Action> {
    vec![Action::Send(Version::V1, Pdu::ResetQuery)]
}

fn is_report(actions: &[Action], code: ErrorCode) -> bool {
    matches!(actions, [Action::Send(_, Pdu::ErrorReport { code: found, .. }), Action::Close] if *found == code)
}

#[test]
fn everything_is_asked_for_once_and_then_what_is_new() {
    let mut world = World::new();
    assert_eq!(world.connect(), reset());
    assert!(!world.session.has_data());
    assert_eq!(
        world.answer(7, 1, &[(true, 1), (true, 2)]),
        [delta(&[1, 2], &[])]
    );
    assert!(world.session.has_data());
    // Time passes, or the cache says so.
    world.pass(100);
    assert_eq!(world.session.deadline(), world.now);
    assert_eq!(world.session.tick(world.now), query(7, 1));
    assert_eq!(
        world.answer(7, 2, &[(true, 3), (false, 1)]),
        [delta(&[3], &[1])]
    );
    assert_eq!(world.has(), [2, 3]);
    let notify = |serial| Pdu::SerialNotify { session: 7, serial };
    assert_eq!(world.hear(notify(2)), [], "known");
    assert_eq!(world.hear(notify(3)), query(7, 2));
    assert_eq!(world.hear(notify(3)), [], "asked");
    // Nothing came of it in the end.
    let nothing = [(true, 4), (false, 4), (false, 2), (true, 2)];
    assert_eq!(world.answer(7, 3, &nothing), [delta(&[], &[])]);
    assert_eq!(world.has(), [2, 3]);
}

#[test]
fn data_counts_when_it_is_complete_and_stays_over_a_lost_connection() {
    let mut world = World::new();
    world.connect();
    world.answer(7, 1, &[(true, 1)]);
    world.pass(100);
    world.session.tick(world.now);
    world.hear(Pdu::CacheResponse { session: 7 });
    let payload = |announce, n| Pdu::Prefix {
        announce,
        vrp: vrp(n),
    };
    assert_eq!(world.hear(payload(false, 1)), []);
    assert_eq!(world.has(), [1]);
    world.session.closed(world.now);
    assert_eq!(world.has(), [1]);
    assert!(!world.session.wants_connection(world.now));
    world.pass(10);
    assert_eq!(world.connect(), query(7, 1));
    assert_eq!(world.answer(7, 5, &[(true, 2)]), [delta(&[2], &[])]);
    assert_eq!(world.has(), [1, 2]);
}

#[test]
fn data_that_is_too_old_goes() {
    let mut world = World::new();
    world.connect();
    world.answer(7, 1, &[(true, 1)]);
    world.session.closed(world.now);
    world.pass(999);
    assert_eq!(world.session.tick(world.now), []);
    world.pass(1);
    assert_eq!(world.session.tick(world.now), [delta(&[], &[1])]);
    assert!(!world.session.has_data());
    assert_eq!(world.connect(), reset());
}

#[test]
fn a_cache_that_restarted_or_forgot_is_asked_for_everything() {
    // A new session in the answer: no data of two sessions is mixed.
    let mut world = World::new();
    world.connect();
    world.answer(7, 1, &[(true, 1), (true, 2)]);
    world.session.closed(world.now);
    world.pass(10);
    assert_eq!(world.connect(), query(7, 1));
    assert_eq!(
        world.hear(Pdu::CacheResponse { session: 8 }),
        [Action::Close]
    );
    assert_eq!(world.has(), [1, 2]);
    assert_eq!(world.connect(), reset());
    assert_eq!(
        world.answer(8, 1, &[(true, 2), (true, 3)]),
        [delta(&[3], &[1])]
    );
    // A new session in a notification.
    let notify = Pdu::SerialNotify {
        session: 9,
        serial: 1,
    };
    assert_eq!(world.hear(notify), reset());
    assert_eq!(world.answer(9, 1, &[(true, 3)]), [delta(&[], &[2])]);
    // The cache does not know any more.
    world.pass(100);
    assert_eq!(world.session.tick(world.now), query(9, 1));
    assert_eq!(world.hear(Pdu::CacheReset), reset());
    assert_eq!(world.answer(9, 4, &[(true, 3)]), [delta(&[], &[])]);
    assert_eq!(world.session.serial(), Some((9, 4)));
}

#[test]
fn an_older_version_is_spoken_where_the_cache_speaks_no_other() {
    let mut world = World::new();
    world.connect();
    let unsupported = Pdu::ErrorReport {
        code: ErrorCode::UnsupportedVersion,
        about: bytes::Bytes::new(),
        text: String::new(),
    };
    assert_eq!(
        world.session.received(Version::V0, unsupported, world.now),
        [Action::Close]
    );
    assert_eq!(
        world.connect(),
        [Action::Send(Version::V0, Pdu::ResetQuery)]
    );
    // Or it just answers in it.
    let mut world = World::new();
    world.connect();
    let response = Pdu::CacheResponse { session: 1 };
    assert_eq!(world.session.received(Version::V0, response, world.now), []);
    assert_eq!(world.session.version(), Version::V0);
    // But then all of it is.
    let actions = world.hear(Pdu::CacheReset);
    assert!(
        is_report(&actions, ErrorCode::UnexpectedVersion),
        "{actions:?}"
    );
}

#[test]
fn a_cache_without_data_is_asked_again_and_keeps_nobody_from_what_there_is() {
    let mut world = World::new();
    world.connect();
    let none = Pdu::ErrorReport {
        code: ErrorCode::NoDataAvailable,
        about: bytes::Bytes::new(),
        text: String::new(),
    };
    assert_eq!(world.hear(none), []);
    assert!(world.session.is_connected() && !world.session.has_data());
    world.pass(600);
    assert_eq!(world.session.tick(world.now), reset());
    assert_eq!(world.answer(1, 1, &[]), [delta(&[], &[])]);
    assert!(world.session.has_data(), "none is an answer");
}

#[test]
fn contradictions_end_the_connection_and_the_data_is_asked_for_anew() {
    for (first, payload, code) in [
        (true, (true, 1), ErrorCode::DuplicateAnnouncement),
        (true, (false, 2), ErrorCode::UnknownWithdrawal),
        (false, (true, 1), ErrorCode::DuplicateAnnouncement),
        (false, (false, 2), ErrorCode::UnknownWithdrawal),
    ] {
        let mut world = World::new();
        world.connect();
        if first {
            world.hear(Pdu::CacheResponse { session: 1 });
            let (announce, vrp) = (true, vrp(1));
            world.hear(Pdu::Prefix { announce, vrp });
        } else {
            world.answer(1, 1, &[(true, 1)]);
            world.pass(100);
            world.session.tick(world.now);
            world.hear(Pdu::CacheResponse { session: 1 });
        }
        let (announce, n) = payload;
        let actions = world.hear(Pdu::Prefix {
            announce,
            vrp: vrp(n),
        });
        assert!(
            is_report(&actions, code),
            "{first} {payload:?}: {actions:?}"
        );
        assert_eq!(world.has(), if first { vec![] } else { vec![1] });
        world.pass(600);
        assert_eq!(world.connect(), reset());
    }
}

#[test]
fn a_cache_that_says_nothing_is_left() {
    let mut world = World::new();
    world.connect();
    world.pass(60);
    assert_eq!(world.session.tick(world.now), [Action::Close]);
    assert!(!world.session.is_connected());
    // What comes out of turn is an error.
    let mut world = World::new();
    world.connect();
    let timing = None;
    let actions = world.hear(Pdu::EndOfData {
        session: 1,
        serial: 1,
        timing,
    });
    assert!(
        is_report(&actions, ErrorCode::InvalidRequest),
        "{actions:?}"
    );
}

#[test]
fn the_operator_has_the_last_word_on_times() {
    let now = Instant::now();
    let overrides = Overrides {
        refresh: Some(30),
        ..Overrides::default()
    };
    let mut world = World {
        session: Session::new(overrides, now),
        now,
    };
    world.connect();
    world.answer(1, 1, &[]);
    assert_eq!(world.session.deadline(), now + Duration::from_secs(30));
}
