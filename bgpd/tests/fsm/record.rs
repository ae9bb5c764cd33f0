//! What is remembered: ids, counters, the last reset, the history.

use bgpd::fsm::{Action, ConnId, Direction, Event, ResetCause, State};

use crate::rig::{
    HIGH_ID, Rig, clear, down_of, notification, params, peer_open, secs, shutdown, up_of,
};

// ===== generations =====

#[test]
fn ids_are_never_used_again() {
    let (mut rig, _) = Rig::connecting(params());
    let mut ids = Vec::new();
    for _ in 0..50 {
        ids.extend(rig.fsm.connections().map(|c| c.conn));
        ids.push(rig.inbound().0);
        rig.event(clear());
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), count), (100, 100));
}

#[test]
fn generations_count_sessions() {
    let mut rig = Rig::listening(params());
    for expected in 1..=5 {
        let (conn, _) = rig.inbound();
        rig.open(conn, peer_open(HIGH_ID));
        let actions = rig.event(Event::Keepalive(conn));
        let up = up_of(&actions).expect("up").generation;
        assert_eq!(up.get(), expected);
        let actions = rig.lose(conn);
        assert_eq!(down_of(&actions).expect("down").generation, up);
        rig.run(secs(60));
    }
    let counters = rig.fsm.counters();
    assert_eq!((counters.established, counters.dropped), (5, 5));
}

/// Every event of a connection, after that connection has ended and another one
/// runs.
#[test]
fn events_of_dead_connections_do_nothing() {
    let events: [fn(ConnId) -> Event; 11] = [
        |conn| Event::ConnectFailed {
            conn,
            error: String::new(),
        },
        |conn| Event::ConnectionClosed { conn, error: None },
        |conn| Event::Open(conn, Box::new(peer_open(HIGH_ID))),
        Event::Keepalive,
        Event::Update,
        Event::RouteRefresh,
        |conn| Event::NotificationReceived(conn, notification(6, 2)),
        |conn| Event::WireError(conn, notification(1, 1)),
        Event::WriteBlocked,
        Event::WriteProgress,
        Event::UpdateSent,
    ];
    let (mut rig, dead) = Rig::established(params(), peer_open(HIGH_ID));
    rig.lose(dead);
    let alive = rig.establish_inbound();
    let timers = rig.fsm.timers();
    for (n, event) in (1..).zip(events) {
        rig.now += secs(1);
        assert_eq!(rig.event(event(dead)), vec![], "{:?}", event(dead));
        assert_eq!(rig.fsm.counters().stale_events, n);
    }
    assert!(rig.outbound(dead).is_empty());
    assert_eq!(rig.fsm.timers(), timers, "no timer was touched");
    assert!(rig.fsm.session().is_some_and(|s| s.conn == alive));
}

#[test]
fn an_accepted_connection_is_announced_once() {
    let mut rig = Rig::listening(params());
    let (conn, actions) = rig.inbound();
    assert!(!actions.is_empty());
    let again = Event::ConnectionUp {
        conn,
        role: bgpd::fsm::Role::Inbound,
        local: crate::rig::addr(1, 179),
        remote: crate::rig::addr(2, 50_000),
    };
    assert!(rig.event(again.clone()).is_empty());
    rig.lose(conn);
    assert!(rig.event(again).is_empty(), "nor after its end");
    assert_eq!(rig.fsm.connections().count(), 0);
}

/// The socket was gone before its ends could be read.
#[test]
fn an_accepted_connection_may_fail_before_it_is_announced() {
    let mut rig = Rig::listening(params());
    let conn = rig.fsm.next_conn_id();
    let error = "not connected".to_owned();
    assert!(rig.event(Event::ConnectFailed { conn, error }).is_empty());
    assert_eq!(rig.fsm.counters().stale_events, 0);
    assert!(rig.lose(conn).is_empty());
    assert_eq!(rig.fsm.counters().stale_events, 1, "it is dead now");
    assert_eq!(rig.fsm.state(), State::Active);
}

// ===== last reset =====

fn last(rig: &Rig) -> (u8, &'static str) {
    let reset = rig.fsm.last_reset().expect("something is remembered");
    (reset.cause.frr_code(), reset.cause.frr_words())
}

#[test]
fn a_peer_that_was_never_up_waits_for_its_open() {
    let (mut rig, conn) = Rig::connecting(params());
    assert_eq!(rig.fsm.last_reset(), None);
    let error = "Connection refused".to_owned();
    rig.event(Event::ConnectFailed { conn, error });
    assert_eq!(last(&rig), (32, "Waiting for peer OPEN"));
    assert_eq!(
        rig.fsm.last_reset().map(|r| r.detail.as_str()),
        Some("Connection refused")
    );
}

#[test]
fn the_last_reset_has_the_words_and_numbers_operators_know() {
    let ended = |event: fn(ConnId) -> Event| {
        let (mut rig, conn) = Rig::established(params(), peer_open(HIGH_ID));
        rig.event(event(conn));
        let when = rig.now;
        rig.now += secs(1);
        assert_eq!(rig.fsm.last_reset().map(|r| r.when), Some(when));
        let told = rig.fsm.last_reset().and_then(|r| r.notification.clone());
        (last(&rig), told.map(|(way, n)| (way, n.code, n.subcode)))
    };
    let closed = ended(|conn| Event::ConnectionClosed { conn, error: None });
    assert_eq!(closed, ((15, "Peer closed the session"), None));
    let received = ended(|conn| Event::NotificationReceived(conn, notification(6, 3)));
    let way = Some((Direction::Received, 6, 3));
    assert_eq!(received, ((13, "BGP Notification received"), way));
    let sent = ended(|conn| Event::WireError(conn, notification(3, 1)));
    assert_eq!(
        sent,
        ((14, "BGP Notification send"), Some((Direction::Sent, 3, 1)))
    );
    let reset = ended(|_| clear());
    assert_eq!(reset, ((12, "User reset"), Some((Direction::Sent, 6, 4))));
    let stopped = ended(|_| shutdown());
    assert_eq!(
        stopped,
        ((11, "Admin. shutdown"), Some((Direction::Sent, 6, 2)))
    );
}

#[test]
fn failed_attempts_do_not_hide_why_the_session_was_lost() {
    let (mut rig, conn) = Rig::established(params(), peer_open(HIGH_ID));
    rig.event(Event::NotificationReceived(conn, notification(6, 2)));
    rig.run(secs(1));
    let attempt = rig.fsm.connections().next().expect("connects again").conn;
    let error = "Connection refused".to_owned();
    rig.event(Event::ConnectFailed {
        conn: attempt,
        error,
    });
    assert_eq!(last(&rig), (13, "BGP Notification received"));
    // A NOTIFICATION is news.
    let (second, _) = rig.inbound();
    rig.event(Event::WireError(second, notification(2, 6)));
    assert_eq!(last(&rig), (14, "BGP Notification send"));
}

#[test]
fn a_shutdown_is_remembered_even_where_nothing_ran() {
    let mut rig = Rig::listening(params());
    rig.event(shutdown());
    assert_eq!(last(&rig), (11, "Admin. shutdown"));
    let (mut rig, _) = Rig::connecting(params());
    rig.event(shutdown());
    assert_eq!(last(&rig), (11, "Admin. shutdown"));
    let told = rig.fsm.last_reset().and_then(|r| r.notification.as_ref());
    assert_eq!(told, None, "there was no one to tell");
}

/// FRR's numbers are an interface: other tools compare them.
#[test]
fn causes_without_a_number_of_their_own_use_a_related_one() {
    assert_eq!(
        ResetCause::HoldTimerExpired.frr_words(),
        "BGP Notification send"
    );
    assert_eq!(ResetCause::HoldTimerExpired.words(), "Hold Timer Expired");
    assert_eq!(ResetCause::Collision.frr_code(), 14);
    assert_eq!(ResetCause::SocketError.frr_words(), "Socket Error");
    assert_eq!(
        ResetCause::MaximumPrefixes.frr_words(),
        "Reached received prefix count"
    );
}

// ===== history =====

#[test]
fn changes_of_state_are_remembered_with_their_reasons() {
    let (mut rig, conn) = Rig::established(params(), peer_open(HIGH_ID));
    let actions = rig.event(Event::NotificationReceived(conn, notification(6, 2)));
    let change = actions.last();
    assert_eq!(
        change,
        Some(&Action::StateChanged {
            from: State::Established,
            to: State::Idle,
            event: "NotificationReceived",
            detail: "BGP Notification received 6/2".to_owned(),
        })
    );
    let changes: Vec<_> = rig
        .fsm
        .history()
        .major()
        .iter()
        .map(|e| (e.event, e.from, e.to))
        .collect();
    assert_eq!(
        changes,
        [
            ("ManualStart", State::Idle, State::Connect),
            ("TcpConnected", State::Connect, State::OpenSent),
            ("OpenReceived", State::OpenSent, State::OpenConfirm),
            ("KeepaliveReceived", State::OpenConfirm, State::Established),
            ("NotificationReceived", State::Established, State::Idle),
        ]
    );
    let entry = rig.fsm.history().major().iter().next_back();
    let entry = entry.expect("there are five");
    assert_eq!((entry.conn, entry.at), (Some(conn), rig.now));
}

#[test]
fn timers_are_remembered_by_their_names() {
    let (mut rig, _) = Rig::established(params(), peer_open(HIGH_ID));
    rig.run(secs(182));
    let names: Vec<_> = rig.fsm.history().minor().iter().map(|e| e.event).collect();
    for name in ["KeepaliveTimer", "HoldTimer", "IdleHoldTimer"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(!names.contains(&"Tick"), "{names:?}");
}

#[test]
fn a_running_session_does_not_push_out_what_happened_before() {
    let (mut rig, conn) = Rig::established(params(), peer_open(HIGH_ID));
    for _ in 0..1000 {
        rig.event(Event::Update(conn));
        rig.event(Event::Update(conn));
        rig.event(Event::Keepalive(conn));
        rig.event(Event::RouteRefresh(conn));
        rig.pass(secs(50));
    }
    let minor = rig.fsm.history().minor();
    assert!(minor.iter().any(|e| e.event == "ManualStart"));
    let updates = minor
        .iter()
        .find(|e| e.event == "UpdateReceived")
        .expect("there were some");
    assert_eq!((updates.count, minor.len() < 20), (2000, true));
}

#[test]
fn both_rings_are_bounded_and_lose_the_oldest() {
    let (mut rig, _) = Rig::connecting(params());
    for _ in 0..500 {
        rig.now += secs(1);
        rig.event(shutdown());
        rig.now += secs(1);
        rig.event(Event::ManualStart);
    }
    for ring in [rig.fsm.history().major(), rig.fsm.history().minor()] {
        assert_eq!(ring.len(), ring.capacity());
        let newest = ring.iter().next_back().expect("full").at;
        assert_eq!(newest, rig.now);
        assert!(ring.iter().is_sorted_by_key(|e| e.at));
    }
}

#[test]
fn every_change_of_state_is_announced_once_and_last() {
    let (mut rig, conn) = Rig::open_sent(params());
    let actions = rig.open(conn, peer_open(HIGH_ID));
    let changes = |a: &Action| matches!(a, Action::StateChanged { .. });
    assert_eq!(actions.iter().filter(|a| changes(a)).count(), 1);
    assert!(actions.last().is_some_and(changes));
    let actions = rig.event(Event::WriteBlocked(conn));
    assert!(!actions.iter().any(changes));
}
