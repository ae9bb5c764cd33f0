//! How sessions and peers are stopped, what the other end is told, and whether
//! its routes stay.

use bgp_wire::{AfiSafi, Capability, Cease, GracefulRestart, Notification, Open};
use bgpd::fsm::{
    Action, AutomaticStop, Direction, Event, IdleReason, PeerParams, Reset, ResetCause, Restart,
    State, Stop,
};

use crate::rig::{
    HIGH_ID, Rig, clear, closes, connect_of, down_of, notification, params, peer_open, secs,
    sent_notification, shutdown, too_many_prefixes,
};

fn stop(subcode: Cease, message: Option<&str>) -> Event {
    Event::ManualStop(Stop {
        subcode,
        message: message.map(str::to_owned),
        hard: false,
    })
}

// ===== what the peer is told =====

#[test]
fn a_shutdown_carries_the_operators_words() {
    let told = |subcode, message: Option<&str>| {
        let (mut rig, conn) = Rig::established(params(), peer_open(HIGH_ID));
        let actions = rig.event(stop(subcode, message));
        sent_notification(&actions, conn).map(|n| (n.code, n.subcode, n.data))
    };
    let shutdown = Cease::AdministrativeShutdown;
    assert_eq!(told(shutdown, None), Some((6, 2, vec![])));
    assert_eq!(told(shutdown, Some("")), Some((6, 2, vec![])));
    assert_eq!(
        told(shutdown, Some("fan")),
        Some((6, 2, b"\x03fan".to_vec()))
    );
    // RFC 9003 allows words with 6/2 and 6/4 only.
    assert_eq!(
        told(Cease::PeerDeconfigured, Some("fan")),
        Some((6, 3, vec![]))
    );
}

#[test]
fn words_are_cut_at_a_character_and_not_over_255_octets() {
    let (mut rig, conn) = Rig::established(params(), peer_open(HIGH_ID));
    let actions = rig.event(stop(Cease::AdministrativeShutdown, Some(&"ä".repeat(200))));
    let data = sent_notification(&actions, conn).expect("told").data;
    assert_eq!(data[0], 254);
    assert_eq!(
        std::str::from_utf8(&data[1..]),
        Ok("ä".repeat(127).as_str())
    );
}

#[test]
fn a_reset_carries_words_too_and_connects_at_once() {
    let (mut rig, conn) = Rig::established(params(), peer_open(HIGH_ID));
    let actions = rig.event(Event::Reset(Reset {
        message: Some("now".to_owned()),
        ..Reset::user()
    }));
    let told = sent_notification(&actions, conn).expect("told");
    assert_eq!(
        (told.code, told.subcode, told.data),
        (6, 4, b"\x03now".to_vec())
    );
    assert!(connect_of(&actions).is_some());
    assert_eq!(rig.fsm.state(), State::Connect);
}

#[test]
fn a_notification_is_never_answered() {
    for (code, subcode) in [(6, 2), (2, 2), (1, 3), (99, 99)] {
        let (mut rig, conn) = Rig::established(params(), peer_open(HIGH_ID));
        let actions = rig.event(Event::NotificationReceived(
            conn,
            notification(code, subcode),
        ));
        assert!(sent_notification(&actions, conn).is_none());
        assert!(closes(&actions, conn));
        let (direction, told) = down_of(&actions)
            .and_then(|d| d.reason.notification.clone())
            .expect("the reason has it");
        assert_eq!(direction, Direction::Received);
        assert_eq!((told.code, told.subcode), (code, subcode));
    }
}

/// RFC 6608 section 3: the data is the type of the message.
#[test]
fn an_unexpected_message_is_named_in_the_data() {
    let (mut rig, conn) = Rig::open_sent(params());
    let actions = rig.event(Event::Update(conn));
    assert_eq!(
        sent_notification(&actions, conn).map(|n| n.data),
        Some(vec![2])
    );
    let (mut rig, conn) = Rig::established(params(), peer_open(HIGH_ID));
    let actions = rig.open(conn, peer_open(HIGH_ID));
    assert_eq!(
        sent_notification(&actions, conn).map(|n| n.data),
        Some(vec![1])
    );
}

#[test]
fn both_connections_are_told() {
    let (mut rig, ours) = Rig::open_sent(params());
    let (theirs, _) = rig.inbound();
    let actions = rig.event(shutdown());
    for conn in [ours, theirs] {
        assert_eq!(sent_notification(&actions, conn), Some(notification(6, 2)));
    }
    assert_eq!(rig.fsm.connections().count(), 0);
}

// ===== graceful restart =====

fn restart(notification: bool) -> GracefulRestart {
    GracefulRestart {
        notification,
        restart_time_secs: 120,
        families: vec![(AfiSafi::IPV4_UNICAST, true)],
        ..GracefulRestart::default()
    }
}

fn graceful(notification: bool) -> (PeerParams, Open) {
    let mut open = peer_open(HIGH_ID);
    open.capabilities
        .push(Capability::GracefulRestart(restart(notification)));
    let params = PeerParams {
        graceful_restart: Some(restart(notification)),
        ..params()
    };
    (params, open)
}

/// Whether the routes stay when that event ends a session: without graceful
/// restart, with it, with it and the N bit.
fn keeps(event: fn(bgpd::fsm::ConnId) -> Event) -> [bool; 3] {
    [None, Some(false), Some(true)].map(|kind| {
        let (params, open) = match kind {
            None => (params(), peer_open(HIGH_ID)),
            Some(n_bit) => graceful(n_bit),
        };
        let (mut rig, conn) = Rig::established(params, open);
        let actions = rig.event(event(conn));
        down_of(&actions).expect("down").reason.keep_routes
    })
}

#[test]
fn routes_stay_over_a_lost_connection_with_graceful_restart() {
    let lost = keeps(|conn| Event::ConnectionClosed { conn, error: None });
    assert_eq!(lost, [false, true, true]);
    assert_eq!(keeps(|_| Event::GracefulStop), [false, true, true]);
}

/// A peer that lists no family helps others to restart; it does not keep its
/// own forwarding over a restart.
#[test]
fn the_routes_of_a_mere_helper_go() {
    let (params, mut open) = graceful(true);
    open.capabilities
        .retain(|c| !matches!(c, Capability::GracefulRestart(_)));
    open.capabilities
        .push(Capability::GracefulRestart(GracefulRestart {
            notification: true,
            ..GracefulRestart::default()
        }));
    for event in [
        (|conn| Event::ConnectionClosed { conn, error: None }) as fn(_) -> Event,
        |conn| Event::NotificationReceived(conn, notification(6, 4)),
    ] {
        let (mut rig, conn) = Rig::established(params.clone(), open.clone());
        let actions = rig.event(event(conn));
        assert!(!down_of(&actions).expect("down").reason.keep_routes);
    }
}

/// RFC 8538 section 4.
#[test]
fn routes_stay_over_a_notification_with_the_n_bit_only() {
    let expected = [false, false, true];
    let received = keeps(|conn| Event::NotificationReceived(conn, notification(6, 4)));
    assert_eq!(received, expected);
    assert_eq!(
        keeps(|conn| Event::WireError(conn, notification(3, 1))),
        expected
    );
    let soft = keeps(|_| Event::Reset(Reset::configuration(ResetCause::CapabilityChanged)));
    assert_eq!(soft, expected);
}

#[test]
fn routes_stay_over_an_expired_hold_time_with_the_n_bit_only() {
    for (n_bit, expected) in [(false, false), (true, true)] {
        let (params, open) = graceful(n_bit);
        let (mut rig, _) = Rig::established(params, open);
        let actions = rig.run(secs(180));
        assert_eq!(
            down_of(&actions).expect("down").reason.keep_routes,
            expected
        );
    }
}

#[test]
fn routes_go_with_a_hard_reset_and_with_what_took_the_peer_away() {
    let never = [false; 3];
    let hard = keeps(|conn| Event::NotificationReceived(conn, notification(6, 9)));
    assert_eq!(hard, never);
    assert_eq!(keeps(|_| shutdown()), never);
    assert_eq!(keeps(|_| clear()), never, "clear is a hard reset");
    assert_eq!(keeps(|_| too_many_prefixes(Restart::IdleHold)), never);
    let interface = keeps(|_| {
        Event::AutomaticStop(AutomaticStop {
            cause: ResetCause::InterfaceDown,
            notification: None,
            restart: Restart::WhenStarted,
        })
    });
    assert_eq!(interface, never);
}

/// RFC 8538 section 3.1: with the N bit a plain Cease would keep our routes at
/// the peer; a Hard Reset around it does not.
#[test]
fn a_hard_reset_has_the_cease_inside() {
    let (params, open) = graceful(true);
    let (mut rig, conn) = Rig::established(params, open);
    let actions = rig.event(Event::ManualStop(Stop {
        message: Some("off".to_owned()),
        ..Stop::shutdown()
    }));
    let expected = Notification {
        code: 6,
        subcode: 9,
        data: b"\x06\x02\x03off".to_vec(),
    };
    assert_eq!(sent_notification(&actions, conn), Some(expected));

    let (params, open) = graceful(false);
    let (mut rig, conn) = Rig::established(params, open);
    let actions = rig.event(shutdown());
    assert_eq!(sent_notification(&actions, conn), Some(notification(6, 2)));
}

#[test]
fn a_graceful_stop_says_nothing() {
    let (params, open) = graceful(true);
    let (mut rig, conn) = Rig::established(params, open);
    let actions = rig.event(Event::GracefulStop);
    assert!(sent_notification(&actions, conn).is_none());
    assert!(closes(&actions, conn));
    let (_, actions) = rig.inbound();
    let silent = |a: &Action| {
        matches!(
            a,
            Action::RefuseInbound {
                notification: None,
                ..
            }
        )
    };
    assert!(actions.iter().any(silent));
    assert!(rig.run(secs(3600)).is_empty());
}

// ===== stopped by the daemon =====

#[test]
fn a_peer_with_too_many_prefixes_comes_back_when_it_is_told_to() {
    let (mut rig, conn) = Rig::established(params(), peer_open(HIGH_ID));
    let actions = rig.event(too_many_prefixes(Restart::WhenStarted));
    assert_eq!(sent_notification(&actions, conn), Some(notification(6, 1)));
    let limit = ResetCause::MaximumPrefixes;
    assert_eq!(rig.fsm.idle_reason(), Some(IdleReason::Waiting(limit)));
    assert!(rig.run(secs(100_000)).is_empty());
    assert!(connect_of(&rig.event(clear())).is_some());
}

#[test]
fn an_interface_that_flaps_does_not_bring_back_a_peer_with_too_many_prefixes() {
    let flap = |rig: &mut Rig| {
        rig.event(Event::AutomaticStop(AutomaticStop {
            cause: ResetCause::InterfaceDown,
            notification: None,
            restart: Restart::WhenStarted,
        }));
        rig.event(Event::AutomaticStart);
    };
    for restart in [Restart::WhenStarted, Restart::After(secs(300))] {
        let (mut rig, _) = Rig::established(params(), peer_open(HIGH_ID));
        rig.event(too_many_prefixes(restart));
        flap(&mut rig);
        assert_eq!(rig.fsm.state(), State::Idle, "{restart:?}");
    }
}

#[test]
fn a_restart_after_a_time_waits_that_time() {
    let (mut rig, _) = Rig::established(params(), peer_open(HIGH_ID));
    rig.event(too_many_prefixes(Restart::After(secs(300))));
    assert!(rig.run(secs(299)).is_empty());
    assert!(connect_of(&rig.run(secs(1))).is_some());
}

#[test]
fn an_interface_that_comes_back_starts_the_peer() {
    let (mut rig, conn) = Rig::established(params(), peer_open(HIGH_ID));
    let actions = rig.event(Event::AutomaticStop(AutomaticStop {
        cause: ResetCause::InterfaceDown,
        notification: None,
        restart: Restart::WhenStarted,
    }));
    assert!(closes(&actions, conn) && sent_notification(&actions, conn).is_none());
    assert!(rig.run(secs(100_000)).is_empty());
    assert!(connect_of(&rig.event(Event::AutomaticStart)).is_some());
    let reset = rig.fsm.last_reset().expect("remembered");
    assert_eq!(
        (reset.cause.frr_code(), reset.cause.frr_words()),
        (25, "Interface down")
    );
}

/// An interface that goes down during a back-off: the timer must not start the
/// peer on an interface that is not there.
#[test]
fn a_stop_during_a_back_off_ends_the_back_off() {
    let (mut rig, conn) = Rig::established(params(), peer_open(HIGH_ID));
    rig.lose(conn);
    rig.event(Event::AutomaticStop(AutomaticStop {
        cause: ResetCause::InterfaceDown,
        notification: None,
        restart: Restart::WhenStarted,
    }));
    assert!(rig.run(secs(100_000)).is_empty());
}

#[test]
fn a_peer_that_is_shut_down_is_not_started_by_the_daemon() {
    let (mut rig, _) = Rig::established(params(), peer_open(HIGH_ID));
    rig.event(shutdown());
    for event in [
        Event::AutomaticStart,
        clear(),
        too_many_prefixes(Restart::IdleHold),
        Event::GracefulStop,
        Event::Tick,
    ] {
        rig.now += secs(1000);
        assert!(rig.event(event.clone()).is_empty(), "{event:?}");
        assert_eq!(
            rig.fsm.idle_reason(),
            Some(IdleReason::AdminShutdown),
            "{event:?}"
        );
    }
    assert!(connect_of(&rig.event(Event::ManualStart)).is_some());
}
