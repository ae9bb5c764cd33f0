//! Every timer, with a clock that is turned by hand.

use std::time::Duration;

use bgpd::fsm::{Action, Event, Outgoing, PeerParams, ResetCause, State, Timing};

use crate::rig::{
    HIGH_ID, Rig, connect_of, down_of, notification, params, peer_open, secs, sent_notification,
    up_of,
};

/// RFC 4271 section 10: from three quarters of the time to all of it.
fn jittered(actual: Duration, time: Duration) -> bool {
    (time * 3 / 4..=time).contains(&actual)
}

fn with_timing(change: fn(&mut Timing)) -> PeerParams {
    let mut params = params();
    change(&mut params.timing);
    params
}

fn with_hold(hold_time_secs: u16) -> PeerParams {
    PeerParams {
        hold_time_secs,
        ..params()
    }
}

fn keepalives(actions: &[Action]) -> usize {
    actions
        .iter()
        .filter(|a| {
            matches!(
                a,
                Action::Send {
                    message: Outgoing::Keepalive,
                    ..
                }
            )
        })
        .count()
}

// ===== ConnectRetry =====

#[test]
fn the_first_attempt_is_made_at_once_and_the_next_after_connect_retry() {
    let (mut rig, first) = Rig::connecting(params());
    let wait = rig.until_deadline().expect("a retry is due");
    assert!(jittered(wait, secs(120)), "{wait:?}");
    assert!(rig.pass(wait - Duration::from_millis(1)).is_empty());
    let actions = rig.pass(Duration::from_millis(1));
    assert_eq!(
        actions.first(),
        Some(&Action::CancelConnect { conn: first })
    );
    let second = connect_of(&actions).expect("another attempt");
    assert!(second > first);
}

#[test]
fn an_attempt_that_failed_waits_for_connect_retry_and_listens() {
    let (mut rig, conn) = Rig::connecting(with_timing(|t| t.connect_retry = secs(10)));
    rig.pass(secs(2));
    let error = "Connection refused".to_owned();
    rig.event(Event::ConnectFailed { conn, error });
    assert_eq!(rig.fsm.state(), State::Active);
    let wait = rig.until_deadline().expect("a retry is due");
    assert!(jittered(wait, secs(10)), "{wait:?}");
    // The peer comes meanwhile.
    rig.establish_inbound();
    assert!(rig.fsm.timers().connect_retry.is_none());
}

#[test]
fn a_passive_peer_never_connects() {
    let mut rig = Rig::listening(params());
    assert!(rig.run(secs(3600)).is_empty());
    assert_eq!(rig.fsm.counters().connects, 0);
    let conn = rig.establish_inbound();
    rig.lose(conn);
    rig.run(secs(3600));
    assert_eq!(rig.fsm.state(), State::Active);
    assert_eq!(rig.fsm.counters().connects, 0);
}

/// The jitter differs from one time to the next, and repeats with the seed.
#[test]
fn connect_retry_has_jitter() {
    let waits = || {
        let (mut rig, _) = Rig::connecting(params());
        let mut waits = Vec::new();
        for _ in 0..200 {
            let wait = rig.until_deadline().expect("a retry is due");
            assert!(jittered(wait, secs(120)), "{wait:?}");
            waits.push(wait);
            rig.pass(wait);
        }
        waits
    };
    let first = waits();
    assert_eq!(first, waits());
    let least = first.iter().min().expect("200 waits");
    let most = first.iter().max().expect("200 waits");
    assert!(*least < secs(95) && *most > secs(115), "{least:?} {most:?}");
}

#[test]
fn no_attempt_of_ours_while_the_peers_connection_is_under_way() {
    let (mut rig, ours) = Rig::connecting(params());
    let (theirs, _) = rig.inbound();
    let actions = rig.run(secs(121));
    assert_eq!(actions.first(), Some(&Action::CancelConnect { conn: ours }));
    assert!(connect_of(&actions).is_none());
    assert_eq!(rig.fsm.state(), State::OpenSent);
    // When it is lost, we wait our turn.
    rig.lose(theirs);
    assert_eq!(rig.fsm.state(), State::Active);
    assert!(connect_of(&rig.run(secs(120))).is_some());
}

// ===== hold =====

#[test]
fn the_wait_for_an_open_is_four_minutes() {
    let (mut rig, conn) = Rig::open_sent(with_hold(9));
    assert!(rig.pass(secs(239)).is_empty());
    let actions = rig.pass(secs(1));
    assert_eq!(sent_notification(&actions, conn), Some(notification(4, 0)));
    assert_eq!(rig.fsm.state(), State::Idle);
}

#[test]
fn the_hold_time_bounds_the_wait_for_the_first_keepalive() {
    let (mut rig, conn) = Rig::open_confirm(with_hold(9), peer_open(HIGH_ID));
    let actions = rig.run(secs(9));
    assert_eq!(sent_notification(&actions, conn), Some(notification(4, 0)));
    assert_eq!(rig.fsm.state(), State::Idle);
}

/// With a hold time of zero there is no hold timer, but a peer that never
/// answers our OPEN must not stay in OpenConfirm for ever.
#[test]
fn without_a_hold_time_the_wait_for_the_first_keepalive_is_bounded_too() {
    let (mut rig, conn) = Rig::open_confirm(with_hold(0), peer_open(HIGH_ID));
    let actions = rig.run(secs(240));
    assert_eq!(sent_notification(&actions, conn), Some(notification(4, 0)));
}

#[test]
fn a_silent_peer_is_dropped_after_the_hold_time() {
    let (mut rig, conn) = Rig::established(with_hold(9), peer_open(HIGH_ID));
    let actions = rig.run(Duration::from_millis(8_999));
    assert!(down_of(&actions).is_none());
    assert!(keepalives(&actions) >= 2);
    let actions = rig.run(Duration::from_millis(1));
    assert_eq!(sent_notification(&actions, conn), Some(notification(4, 0)));
    let down = down_of(&actions).expect("down");
    assert_eq!(down.reason.cause, ResetCause::HoldTimerExpired);
    let reset = rig.fsm.last_reset().expect("remembered");
    assert_eq!(reset.cause.words(), "Hold Timer Expired");
    assert_eq!(reset.cause.frr_code(), 14);
}

#[test]
fn keepalives_and_updates_restart_the_hold_timer_and_route_refreshes_do_not() {
    for (event, stays) in [
        (Event::Keepalive as fn(_) -> Event, true),
        (Event::Update, true),
        (Event::RouteRefresh, false),
        (Event::WriteProgress, false),
    ] {
        let (mut rig, conn) = Rig::established(with_hold(9), peer_open(HIGH_ID));
        rig.run(secs(8));
        rig.event(event(conn));
        let down = down_of(&rig.run(secs(8))).is_some();
        assert_eq!(!down, stays, "{:?}", event(conn));
    }
}

/// A process that was suspended sends no KEEPALIVE on a connection that it
/// gives up in the same moment.
#[test]
fn a_connection_that_ends_gets_no_keepalive() {
    let (mut rig, conn) = Rig::established(with_hold(9), peer_open(HIGH_ID));
    let actions = rig.pass(secs(100));
    assert_eq!(keepalives(&actions), 0);
    assert_eq!(sent_notification(&actions, conn), Some(notification(4, 0)));
}

// ===== keepalive =====

#[test]
fn keepalives_come_in_time_with_jitter_and_once_a_second_at_most() {
    for (hold, interval) in [(9, secs(3)), (180, secs(60)), (3, secs(1))] {
        let (mut rig, conn) = Rig::established(with_hold(hold), peer_open(HIGH_ID));
        let mut last = rig.now;
        for n in 0..50 {
            let at = rig.fsm.timers().keepalive.expect("a keepalive is due");
            rig.now = at;
            let actions = rig.event(Event::Tick);
            assert_eq!(keepalives(&actions), 1);
            let gap = at - last;
            // The first one was started together with OpenConfirm.
            assert!(
                n == 0 || jittered(gap, interval) && gap >= secs(1),
                "{gap:?}"
            );
            last = at;
            rig.event(Event::Keepalive(conn));
        }
    }
}

#[test]
fn without_a_hold_time_there_are_no_keepalives_and_no_end() {
    let (mut rig, _) = Rig::established(with_hold(0), peer_open(HIGH_ID));
    assert_eq!(rig.fsm.next_deadline(), None);
    assert!(rig.run(secs(100_000)).is_empty());
    assert_eq!(rig.fsm.state(), State::Established);
}

#[test]
fn an_update_that_was_sent_puts_the_keepalive_off() {
    let (mut rig, conn) = Rig::established(with_hold(180), peer_open(HIGH_ID));
    rig.now += secs(40);
    rig.event(Event::UpdateSent(conn));
    let at = rig.fsm.timers().keepalive.expect("a keepalive is due");
    assert!(jittered(at - rig.now, secs(60)));
}

// ===== send hold (RFC 9687) =====

#[test]
fn a_peer_that_takes_nothing_is_dropped() {
    let (mut rig, conn) = Rig::established(with_hold(180), peer_open(HIGH_ID));
    rig.event(Event::WriteBlocked(conn));
    let mut actions = Vec::new();
    // It goes on sending.
    for _ in 0..8 {
        assert!(down_of(&actions).is_none());
        // A second report does not start the wait again.
        rig.event(Event::WriteBlocked(conn));
        rig.event(Event::Keepalive(conn));
        actions = rig.run(secs(60));
    }
    assert_eq!(sent_notification(&actions, conn), Some(notification(8, 0)));
    let down = down_of(&actions).expect("down");
    assert_eq!(down.reason.cause, ResetCause::SendHoldTimerExpired);
}

/// The session task may watch the socket itself.
#[test]
fn an_expiry_that_the_session_task_reports_has_the_same_cause() {
    let (mut rig, conn) = Rig::established(params(), peer_open(HIGH_ID));
    let actions = rig.event(Event::WireError(conn, notification(8, 0)));
    let down = down_of(&actions).expect("down");
    assert_eq!(down.reason.cause, ResetCause::SendHoldTimerExpired);
}

#[test]
fn progress_ends_the_wait() {
    let (mut rig, conn) = Rig::established(with_hold(180), peer_open(HIGH_ID));
    rig.event(Event::WriteBlocked(conn));
    for _ in 0..4 {
        rig.run(secs(119));
        rig.event(Event::Keepalive(conn));
    }
    rig.event(Event::WriteProgress(conn));
    assert_eq!(rig.fsm.timers().send_hold, None);
    assert!(down_of(&rig.run(secs(100))).is_none());
}

#[test]
fn the_send_hold_time_is_twice_the_hold_time_or_what_is_configured() {
    let wait = |params: PeerParams| {
        let mut open = peer_open(HIGH_ID);
        open.hold_time_secs = 65_535;
        let (mut rig, conn) = Rig::established(params, open);
        rig.event(Event::WriteBlocked(conn));
        rig.fsm.timers().send_hold.map(|at| at - rig.now)
    };
    assert_eq!(wait(with_hold(9)), Some(secs(480)));
    assert_eq!(wait(with_hold(600)), Some(secs(1200)));
    assert_eq!(
        wait(with_timing(|t| t.send_hold = Some(secs(5)))),
        Some(secs(5))
    );
    assert_eq!(
        wait(with_timing(|t| t.send_hold = Some(Duration::ZERO))),
        None
    );
}

// ===== IdleHold =====

/// Fails once more, on the connection that is being attempted.
fn fail_again(rig: &mut Rig) {
    let attempt = rig.fsm.connections().next().expect("an attempt").conn;
    rig.outbound(attempt);
    rig.event(Event::WireError(attempt, notification(1, 1)));
}

#[test]
fn the_back_off_doubles_to_its_longest() {
    let (mut rig, _) = Rig::connecting(params());
    for (n, expected) in [1, 2, 4, 8, 16, 32, 60, 60, 60].into_iter().enumerate() {
        fail_again(&mut rig);
        let (wait, damped) = rig.holding_off().expect("holding off");
        assert!(jittered(wait, secs(expected)), "{n}: {wait:?}");
        assert_eq!(damped, n > 0);
        assert!(rig.pass(wait - Duration::from_nanos(1)).is_empty());
        let actions = rig.pass(Duration::from_nanos(1));
        assert!(connect_of(&actions).is_some());
    }
}

/// Two ends that both held off refused each other for ever: each was Idle
/// whenever the other one tried.
#[test]
fn an_end_that_is_refused_listens_while_it_waits() {
    let (mut rig, _) = Rig::connecting(params());
    for expected in [1, 2, 4, 8] {
        let attempt = rig.fsm.connections().next().expect("an attempt").conn;
        rig.outbound(attempt);
        rig.event(Event::NotificationReceived(attempt, notification(6, 5)));
        assert_eq!(rig.fsm.state(), State::Active);
        let wait = rig.until_deadline().expect("a retry is due");
        assert!(jittered(wait, secs(expected)), "{wait:?}");
        assert!(connect_of(&rig.pass(wait)).is_some());
    }
    rig.establish_inbound();
}

/// `clear bgp` at the other end, time and again: each cost twice the outage of
/// the one before.
#[test]
fn what_an_operator_does_at_the_other_end_is_not_damped() {
    let (mut rig, _) = Rig::connecting(params());
    for subcode in [2, 3, 4, 6, 9, 4, 4, 4] {
        let conn = rig.establish_inbound();
        rig.run(secs(2));
        rig.event(Event::NotificationReceived(conn, notification(6, subcode)));
        let (wait, damped) = rig.holding_off().expect("a short pause");
        assert!(jittered(wait, secs(1)) && !damped, "{subcode}: {wait:?}");
    }
    // The next connection of the peer ends the pause.
    rig.establish_inbound();
}

#[test]
fn an_end_that_holds_off_for_the_second_time_refuses() {
    let (mut rig, _) = Rig::connecting(params());
    fail_again(&mut rig);
    rig.run(secs(1));
    fail_again(&mut rig);
    let (conn, actions) = rig.inbound();
    let refusal = Action::RefuseInbound {
        conn,
        notification: Some(notification(6, 5)),
    };
    assert_eq!(actions, [refusal]);
    assert_eq!(rig.fsm.counters().refused, 1);
}

#[test]
fn a_session_that_was_stable_clears_the_back_off() {
    let (mut rig, _) = Rig::connecting(params());
    for _ in 0..5 {
        fail_again(&mut rig);
        rig.run(secs(60));
    }
    // Up for too short a time: goes on doubling.
    let conn = rig.establish_inbound();
    rig.run(secs(59));
    rig.lose(conn);
    let (wait, damped) = rig.holding_off().expect("holding off");
    assert!(jittered(wait, secs(32)) && damped, "{wait:?}");
    rig.run(secs(32));
    // Up for long enough.
    let conn = rig.establish_inbound();
    rig.run(secs(60));
    rig.lose(conn);
    let (wait, damped) = rig.holding_off().expect("holding off");
    assert!(jittered(wait, secs(1)) && !damped, "{wait:?}");
}

#[test]
fn the_operator_ends_the_back_off() {
    for event in [Event::ManualStart, crate::rig::clear()] {
        let (mut rig, _) = Rig::connecting(params());
        for _ in 0..5 {
            fail_again(&mut rig);
            rig.run(secs(60));
        }
        fail_again(&mut rig);
        assert!(connect_of(&rig.event(event)).is_some());
        fail_again(&mut rig);
        let (wait, _) = rig.holding_off().expect("holding off");
        assert!(wait <= secs(1), "begins at its least again: {wait:?}");
    }
}

#[test]
fn after_a_first_failure_the_peer_may_come_back_at_once() {
    let (mut rig, conn) = Rig::established(params(), peer_open(HIGH_ID));
    rig.lose(conn);
    assert_eq!(rig.fsm.state(), State::Idle);
    let conn = rig.establish_inbound();
    assert!(rig.fsm.session().is_some_and(|s| s.conn == conn));
}

#[test]
fn a_deadline_that_has_been_served_is_not_due_again() {
    let (mut rig, conn) = Rig::established(with_hold(9), peer_open(HIGH_ID));
    for _ in 0..100 {
        rig.now = rig.fsm.next_deadline().expect("timers run");
        rig.event(Event::Tick);
        assert!(rig.fsm.next_deadline().is_none_or(|at| at > rig.now));
        rig.event(Event::Keepalive(conn));
    }
    assert!(up_of(&rig.event(Event::Tick)).is_none());
}
