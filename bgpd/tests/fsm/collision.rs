//! Two connections at once (RFC 4271 section 6.8, RFC 6286 section 2.3).

use std::net::Ipv4Addr;

use bgp_wire::AfiSafi;
use bgp_wire::{Capability, GracefulRestart, Notification, Open};
use bgpd::fsm::{Action, ConnId, ConnState, Event, PeerParams, RemoteAs, ResetCause, Role, State};

use crate::rig::{
    HIGH_ID, LOCAL_AS, LOCAL_ID, LOW_ID, REMOTE_AS, Rig, closes, down_of, notification, params,
    peer_open, secs, sent_notification, up_of,
};

const LOST: (u8, u8) = (6, 7);

fn code(notification: Option<Notification>) -> Option<(u8, u8)> {
    notification.map(|n| (n.code, n.subcode))
}

/// Both connections are up, both OPENs sent: ours, the peer's.
fn two_open_sent(params: PeerParams, outbound_first: bool) -> (Rig, ConnId, ConnId) {
    let (mut rig, ours) = Rig::connecting(params);
    if outbound_first {
        rig.outbound(ours);
    }
    let (theirs, _) = rig.inbound();
    if !outbound_first {
        rig.outbound(ours);
    }
    let states: Vec<_> = rig.fsm.connections().map(|c| c.state).collect();
    assert_eq!(states, [ConnState::OpenSent, ConnState::OpenSent]);
    (rig, ours, theirs)
}

fn only_connection(rig: &Rig) -> (ConnId, Role, ConnState) {
    let all: Vec<_> = rig.fsm.connections().collect();
    assert_eq!(all.len(), 1, "{all:?}");
    (all[0].conn, all[0].role, all[0].state)
}

/// Lets both OPENs arrive in the given order; returns what remains.
fn resolve(open: &Open, outbound_up_first: bool, outbound_open_first: bool) -> Role {
    let (mut rig, ours, theirs) = two_open_sent(params(), outbound_up_first);
    let (first, second) = if outbound_open_first {
        (ours, theirs)
    } else {
        (theirs, ours)
    };
    let actions = rig.open(first, open.clone());
    assert!(
        sent_notification(&actions, first).is_none(),
        "nothing to collide with yet"
    );
    assert_eq!(rig.fsm.state(), State::OpenConfirm);
    assert_eq!(rig.fsm.connections().count(), 2);

    let actions = rig.open(second, open.clone());
    let (kept, role, state) = only_connection(&rig);
    let loser = if kept == ours { theirs } else { ours };
    assert_eq!(code(sent_notification(&actions, loser)), Some(LOST));
    assert!(!closes(&actions, kept));
    assert_eq!(state, ConnState::OpenConfirm);
    assert_eq!(rig.fsm.counters().collisions, 1);

    // The loser is dead, the winner becomes the session.
    assert!(rig.event(Event::Keepalive(loser)).is_empty());
    let actions = rig.event(Event::Keepalive(kept));
    let up = up_of(&actions).expect("the session comes up");
    assert_eq!((up.conn, up.role), (kept, role));
    role
}

fn in_every_order(open: &Open, winner: Role) {
    for outbound_up_first in [true, false] {
        for outbound_open_first in [true, false] {
            assert_eq!(
                resolve(open, outbound_up_first, outbound_open_first),
                winner,
                "our TCP first: {outbound_up_first}, OPEN on ours first: {outbound_open_first}"
            );
        }
    }
}

#[test]
fn the_higher_identifier_keeps_the_connection_it_opened() {
    in_every_order(&peer_open(LOW_ID), Role::Outbound);
    in_every_order(&peer_open(HIGH_ID), Role::Inbound);
}

/// Identifiers are compared as unsigned numbers in network order.
#[test]
fn identifiers_are_compared_as_numbers() {
    in_every_order(&peer_open(Ipv4Addr::new(200, 0, 0, 1)), Role::Inbound);
    in_every_order(&peer_open(Ipv4Addr::new(9, 255, 255, 255)), Role::Outbound);
}

#[test]
fn with_equal_identifiers_the_larger_as_keeps_its_connection() {
    // The peer's AS is larger than ours.
    in_every_order(&peer_open(LOCAL_ID), Role::Inbound);

    let mut smaller = params();
    smaller.remote_as = RemoteAs::External;
    let open = PeerParams::new(100, LOCAL_ID, RemoteAs::External).open();
    let (mut rig, ours, theirs) = two_open_sent(smaller, true);
    rig.open(theirs, open.clone());
    let actions = rig.open(ours, open);
    assert_eq!(code(sent_notification(&actions, theirs)), Some(LOST));
    assert_eq!(only_connection(&rig).0, ours);
}

/// The true AS numbers count, not what fits into the 2-octet field.
#[test]
fn the_tie_break_uses_four_octet_as_numbers() {
    let local = PeerParams::new(70_000, LOCAL_ID, RemoteAs::External);
    let open = PeerParams::new(80_000, LOCAL_ID, RemoteAs::External).open();
    let (mut rig, ours, theirs) = two_open_sent(local, true);
    rig.open(ours, open.clone());
    let actions = rig.open(theirs, open);
    assert_eq!(code(sent_notification(&actions, ours)), Some(LOST));
}

/// An OPEN on the second connection after the session came up on the first.
fn late_open(first: Role, bgp_id: Ipv4Addr) {
    let (mut rig, ours, theirs) = two_open_sent(params(), true);
    let (session, second) = match first {
        Role::Outbound => (ours, theirs),
        Role::Inbound => (theirs, ours),
    };
    rig.open(session, peer_open(bgp_id));
    let actions = rig.event(Event::Keepalive(session));
    assert!(up_of(&actions).is_some());
    let actions = rig.open(second, peer_open(bgp_id));
    assert_eq!(code(sent_notification(&actions, second)), Some(LOST));
    assert!(down_of(&actions).is_none());
    assert_eq!(rig.fsm.state(), State::Established);
    assert_eq!(only_connection(&rig).0, session);
}

#[test]
fn a_session_that_is_up_wins_whatever_the_identifiers_say() {
    for first in [Role::Outbound, Role::Inbound] {
        late_open(first, LOW_ID);
        late_open(first, HIGH_ID);
    }
}

#[test]
fn a_new_connection_to_a_running_session_is_heard_and_then_refused() {
    let (mut rig, session) = Rig::established(params(), peer_open(LOW_ID));
    rig.now += secs(3600);
    let (second, actions) = rig.inbound();
    assert_eq!(actions.len(), 1, "our OPEN: {actions:?}");
    assert_eq!(rig.fsm.state(), State::Established);
    let actions = rig.open(second, peer_open(LOW_ID));
    assert_eq!(code(sent_notification(&actions, second)), Some(LOST));
    assert_eq!(only_connection(&rig).0, session);
}

#[test]
fn what_goes_wrong_beside_a_session_does_not_touch_it() {
    let wrong: [fn(ConnId) -> Event; 4] = [
        |conn| Event::ConnectionClosed { conn, error: None },
        |conn| Event::WireError(conn, notification(1, 1)),
        |conn| Event::NotificationReceived(conn, notification(6, 2)),
        Event::Keepalive,
    ];
    for event in wrong {
        let (mut rig, session) = Rig::established(params(), peer_open(LOW_ID));
        let (second, _) = rig.inbound();
        let actions = rig.event(event(second));
        assert!(down_of(&actions).is_none());
        assert_eq!(only_connection(&rig).0, session);
        assert_eq!(rig.fsm.last_reset(), None);
        // It is no failure of the peer either: the back-off starts at its least.
        rig.lose(session);
        assert_eq!(rig.holding_off().map(|(_, damped)| damped), Some(false));
    }
}

#[test]
fn beside_a_session_there_is_one_more_connection_at_most() {
    let (mut rig, ours, theirs) = two_open_sent(params(), true);
    rig.open(theirs, peer_open(HIGH_ID));
    rig.event(Event::Keepalive(theirs));
    let (third, actions) = rig.inbound();
    assert_eq!(code(sent_notification(&actions, ours)), Some(LOST));
    let ids: Vec<_> = rig.fsm.connections().map(|c| c.conn).collect();
    assert_eq!(ids, [theirs, third]);
}

#[test]
fn the_peers_newer_connection_replaces_its_older_one() {
    let mut rig = Rig::listening(params());
    let (old, _) = rig.inbound();
    rig.open(old, peer_open(LOW_ID));
    let (new, actions) = rig.inbound();
    assert_eq!(code(sent_notification(&actions, old)), Some(LOST));
    assert_eq!(
        only_connection(&rig),
        (new, Role::Inbound, ConnState::OpenSent)
    );
    assert_eq!(rig.fsm.last_reset(), None, "the peer was not reset");
}

#[test]
fn an_attempt_that_hangs_is_cancelled_when_the_session_comes_up() {
    let (mut rig, ours) = Rig::connecting(params());
    let (theirs, _) = rig.inbound();
    rig.open(theirs, peer_open(LOW_ID));
    let actions = rig.event(Event::Keepalive(theirs));
    assert!(actions.contains(&Action::CancelConnect { conn: ours }));
    assert_eq!(rig.fsm.timers().connect_retry, None);
    assert_eq!(only_connection(&rig).0, theirs);
    // It completes all the same, but it is dead.
    assert!(rig.outbound(ours).is_empty());
    assert_eq!(rig.fsm.counters().stale_events, 1);
}

#[test]
fn the_loser_is_told_so_and_the_winner_goes_on() {
    let (mut rig, ours, theirs) = two_open_sent(params(), true);
    rig.open(ours, peer_open(HIGH_ID));
    let actions = rig.event(Event::NotificationReceived(ours, notification(6, 7)));
    assert!(closes(&actions, ours));
    assert!(
        sent_notification(&actions, ours).is_none(),
        "never answered"
    );
    assert_eq!(rig.fsm.state(), State::OpenSent);
    rig.open(theirs, peer_open(HIGH_ID));
    assert!(up_of(&rig.event(Event::Keepalive(theirs))).is_some());
}

/// Both ends decided against their last connection: it can happen when the
/// session was up on one end only. Nobody is punished for that.
#[test]
fn losing_the_last_connection_to_a_collision_is_no_failure() {
    let (mut rig, conn) = Rig::open_confirm(params(), peer_open(HIGH_ID));
    for _ in 0..5 {
        let last = rig.fsm.connections().next().map_or(conn, |c| c.conn);
        rig.event(Event::NotificationReceived(last, notification(6, 7)));
        let (time, damped) = rig.holding_off().expect("a short pause");
        assert!(time <= secs(1) && !damped);
        rig.run(secs(1));
        let attempt = rig.fsm.connections().next().expect("connects again").conn;
        rig.outbound(attempt);
    }
}

#[test]
fn a_wrong_open_on_one_connection_leaves_the_other() {
    let (mut rig, ours, theirs) = two_open_sent(params(), true);
    let mut wrong = peer_open(HIGH_ID);
    wrong.my_as = 1;
    let actions = rig.open(ours, wrong);
    assert_eq!(code(sent_notification(&actions, ours)), Some((2, 2)));
    assert_eq!(only_connection(&rig).0, theirs);
}

// ===== graceful restart =====

fn restarting() -> GracefulRestart {
    GracefulRestart {
        restart_time_secs: 120,
        families: vec![(AfiSafi::IPV4_UNICAST, true)],
        ..GracefulRestart::default()
    }
}

fn graceful() -> PeerParams {
    PeerParams {
        graceful_restart: Some(restarting()),
        ..params()
    }
}

fn graceful_open() -> Open {
    let mut open = peer_open(LOW_ID);
    open.capabilities
        .push(Capability::GracefulRestart(restarting()));
    open
}

/// RFC 4724 section 5: the peer has restarted before we noticed.
#[test]
fn a_peer_that_does_graceful_restart_takes_over_with_its_new_connection() {
    let (mut rig, old) = Rig::established(graceful(), graceful_open());
    rig.now += secs(60);
    let (new, _) = rig.inbound();
    assert_eq!(
        rig.fsm.state(),
        State::Established,
        "until its OPEN is here"
    );
    let actions = rig.open(new, graceful_open());
    assert!(closes(&actions, old));
    assert!(sent_notification(&actions, old).is_none());
    let down = down_of(&actions).expect("the old session is down");
    assert_eq!(down.conn, old);
    assert_eq!(down.reason.cause, ResetCause::PeerRestarted);
    assert!(down.reason.keep_routes);
    assert_eq!(
        only_connection(&rig),
        (new, Role::Inbound, ConnState::OpenConfirm)
    );

    let actions = rig.event(Event::Keepalive(new));
    let up = up_of(&actions).expect("the new session is up");
    assert!(up.generation > down.generation);
}

#[test]
fn a_late_collision_is_not_taken_for_a_restart() {
    let (mut rig, session) = Rig::established(graceful(), graceful_open());
    rig.now += secs(2);
    let (second, _) = rig.inbound();
    let actions = rig.open(second, graceful_open());
    assert_eq!(code(sent_notification(&actions, second)), Some(LOST));
    assert_eq!(only_connection(&rig).0, session);
}

/// A stranger who can connect from the peer's address does not end the session
/// with an OPEN that is not the peer's.
#[test]
fn a_wrong_open_does_not_take_over_a_session() {
    let (mut rig, session) = Rig::established(graceful(), graceful_open());
    rig.now += secs(60);
    let (second, _) = rig.inbound();
    let mut wrong = graceful_open();
    wrong.my_as = 1;
    let actions = rig.open(second, wrong);
    assert_eq!(code(sent_notification(&actions, second)), Some((2, 2)));
    assert_eq!(only_connection(&rig).0, session);
}

#[test]
fn constants_of_this_file_are_what_the_tests_assume() {
    assert!(LOW_ID < LOCAL_ID && LOCAL_ID < HIGH_ID && LOCAL_AS < REMOTE_AS);
}
