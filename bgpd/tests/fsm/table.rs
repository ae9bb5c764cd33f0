//! Every situation with every event: the state afterwards and the actions.
//!
//! A row is `situation | event | state | actions`, with `stale` where the event
//! is of a connection that is not alive. A missing row fails, as does a row
//! for something that does not exist.

use std::collections::BTreeMap;
use std::time::Duration;

use bgpd::fsm::{AutomaticStop, ConnId, Event, Reset, ResetCause, Restart, Role};

use crate::rig::{
    HIGH_ID, Rig, addr, brief, clear, notification, params, peer_open, secs, shutdown,
    too_many_prefixes,
};

/// Where the machine is when the event comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Situation {
    NotStarted,
    AdminShutdown,
    GracefulStop,
    TooManyPrefixes,
    HoldFirst,
    HoldDamped,
    Connect,
    Active,
    ActivePassive,
    OpenSent,
    OpenSentInbound,
    OpenConfirm,
    Established,
}

const SITUATIONS: [Situation; 13] = [
    Situation::NotStarted,
    Situation::AdminShutdown,
    Situation::GracefulStop,
    Situation::TooManyPrefixes,
    Situation::HoldFirst,
    Situation::HoldDamped,
    Situation::Connect,
    Situation::Active,
    Situation::ActivePassive,
    Situation::OpenSent,
    Situation::OpenSentInbound,
    Situation::OpenConfirm,
    Situation::Established,
];

/// The machine in that situation, and the connection that is, or last was,
/// alive.
fn arrange(situation: Situation) -> (Rig, ConnId) {
    match situation {
        Situation::NotStarted => {
            let rig = Rig::new(params());
            // An id that this machine never gave out.
            let mut other = Rig::new(params());
            let conn = (0..1000).map(|_| other.fsm.next_conn_id()).last();
            let conn = conn.expect("a thousand ids");
            (rig, conn)
        }
        Situation::AdminShutdown => after(Situation::Established, shutdown()),
        Situation::GracefulStop => after(Situation::Established, Event::GracefulStop),
        Situation::TooManyPrefixes => after(
            Situation::Established,
            too_many_prefixes(Restart::WhenStarted),
        ),
        Situation::HoldFirst => {
            let (mut rig, conn) = arrange(Situation::Established);
            rig.lose(conn);
            (rig, conn)
        }
        Situation::HoldDamped => {
            let (mut rig, conn) = arrange(Situation::HoldFirst);
            rig.run(secs(1));
            let (second, _) = rig.inbound();
            rig.event(Event::WireError(second, notification(1, 1)));
            let attempt = rig.fsm.connections().next().expect("still connecting").conn;
            rig.outbound(attempt);
            rig.event(Event::WireError(attempt, notification(1, 1)));
            (rig, conn)
        }
        Situation::Connect => Rig::connecting(params()),
        Situation::Active => {
            let (mut rig, conn) = Rig::connecting(params());
            let error = "refused".to_owned();
            rig.event(Event::ConnectFailed { conn, error });
            (rig, conn)
        }
        Situation::ActivePassive => {
            let mut rig = Rig::listening(params());
            let (conn, _) = rig.inbound();
            rig.lose(conn);
            (rig, conn)
        }
        Situation::OpenSent => Rig::open_sent(params()),
        Situation::OpenSentInbound => {
            let mut rig = Rig::listening(params());
            let (conn, _) = rig.inbound();
            (rig, conn)
        }
        Situation::OpenConfirm => Rig::open_confirm(params(), peer_open(HIGH_ID)),
        Situation::Established => Rig::established(params(), peer_open(HIGH_ID)),
    }
}

fn after(situation: Situation, event: Event) -> (Rig, ConnId) {
    let (mut rig, conn) = arrange(situation);
    rig.event(event);
    (rig, conn)
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    ManualStart,
    AutomaticStart,
    ManualStop,
    StopWithHold,
    StopForGood,
    Reset,
    ConfigReset,
    GracefulStop,
    OutboundUp,
    InboundUp,
    ConnectFailed,
    ConnectionClosed,
    Open,
    WrongOpen,
    Keepalive,
    Update,
    RouteRefresh,
    Notification,
    WireError,
    WriteBlocked,
    WriteProgress,
    UpdateSent,
    /// Nothing is due.
    TickEarly,
    /// The next deadline is due.
    TickNext,
    /// Everything is due.
    TickLate,
}

const HAPPENINGS: [Happening; 25] = [
    Happening::ManualStart,
    Happening::AutomaticStart,
    Happening::ManualStop,
    Happening::StopWithHold,
    Happening::StopForGood,
    Happening::Reset,
    Happening::ConfigReset,
    Happening::GracefulStop,
    Happening::OutboundUp,
    Happening::InboundUp,
    Happening::ConnectFailed,
    Happening::ConnectionClosed,
    Happening::Open,
    Happening::WrongOpen,
    Happening::Keepalive,
    Happening::Update,
    Happening::RouteRefresh,
    Happening::Notification,
    Happening::WireError,
    Happening::WriteBlocked,
    Happening::WriteProgress,
    Happening::UpdateSent,
    Happening::TickEarly,
    Happening::TickNext,
    Happening::TickLate,
];

fn up(conn: ConnId, role: Role) -> Event {
    Event::ConnectionUp {
        conn,
        role,
        local: addr(1, 179),
        remote: addr(2, 179),
    }
}

fn event(happening: Happening, rig: &mut Rig, conn: ConnId) -> Event {
    match happening {
        Happening::ManualStart => Event::ManualStart,
        Happening::AutomaticStart => Event::AutomaticStart,
        Happening::ManualStop => shutdown(),
        Happening::StopWithHold => too_many_prefixes(Restart::IdleHold),
        Happening::StopForGood => Event::AutomaticStop(AutomaticStop {
            cause: ResetCause::InterfaceDown,
            notification: None,
            restart: Restart::WhenStarted,
        }),
        Happening::Reset => clear(),
        Happening::ConfigReset => Event::Reset(Reset::configuration(ResetCause::CapabilityChanged)),
        Happening::GracefulStop => Event::GracefulStop,
        Happening::OutboundUp => up(conn, Role::Outbound),
        Happening::InboundUp => up(rig.fsm.next_conn_id(), Role::Inbound),
        Happening::ConnectFailed => Event::ConnectFailed {
            conn,
            error: "refused".to_owned(),
        },
        Happening::ConnectionClosed => Event::ConnectionClosed { conn, error: None },
        Happening::Open => Event::Open(conn, Box::new(peer_open(HIGH_ID))),
        Happening::WrongOpen => {
            let mut open = peer_open(HIGH_ID);
            open.my_as = 1;
            Event::Open(conn, Box::new(open))
        }
        Happening::Keepalive => Event::Keepalive(conn),
        Happening::Update => Event::Update(conn),
        Happening::RouteRefresh => Event::RouteRefresh(conn),
        Happening::Notification => Event::NotificationReceived(conn, notification(6, 2)),
        Happening::WireError => Event::WireError(conn, notification(3, 1)),
        Happening::WriteBlocked => Event::WriteBlocked(conn),
        Happening::WriteProgress => Event::WriteProgress(conn),
        Happening::UpdateSent => Event::UpdateSent(conn),
        Happening::TickEarly => {
            rig.now += Duration::from_millis(1);
            Event::Tick
        }
        Happening::TickNext => {
            rig.now = rig.fsm.next_deadline().unwrap_or(rig.now);
            Event::Tick
        }
        Happening::TickLate => {
            rig.now += secs(3600);
            Event::Tick
        }
    }
}

/// A new event does not compile until it is in the table.
const fn happening_of(event: &Event) -> Happening {
    match event {
        Event::ManualStart => Happening::ManualStart,
        Event::AutomaticStart => Happening::AutomaticStart,
        Event::ManualStop(_) => Happening::ManualStop,
        Event::AutomaticStop(_) => Happening::StopWithHold,
        Event::Reset(_) => Happening::Reset,
        Event::GracefulStop => Happening::GracefulStop,
        Event::ConnectionUp { .. } => Happening::InboundUp,
        Event::ConnectFailed { .. } => Happening::ConnectFailed,
        Event::ConnectionClosed { .. } => Happening::ConnectionClosed,
        Event::Open(..) => Happening::Open,
        Event::Keepalive(_) => Happening::Keepalive,
        Event::Update(_) => Happening::Update,
        Event::RouteRefresh(_) => Happening::RouteRefresh,
        Event::NotificationReceived(..) => Happening::Notification,
        Event::WireError(..) => Happening::WireError,
        Event::WriteBlocked(_) => Happening::WriteBlocked,
        Event::WriteProgress(_) => Happening::WriteProgress,
        Event::UpdateSent(_) => Happening::UpdateSent,
        Event::Tick => Happening::TickNext,
    }
}

/// What the machine does, as a row says it.
fn outcome(situation: Situation, happening: Happening) -> (String, String) {
    let (mut rig, conn) = arrange(situation);
    let stale_before = rig.fsm.counters().stale_events;
    let event = event(happening, &mut rig, conn);
    assert!(HAPPENINGS.contains(&happening_of(&event)));
    let actions = rig.event(event);
    let stale = rig.fsm.counters().stale_events > stale_before;
    let words = if stale {
        assert!(actions.is_empty(), "a dead connection caused {actions:?}");
        "stale".to_owned()
    } else {
        brief(&actions, conn)
    };
    (rig.fsm.state().to_string(), words)
}

type Rows = BTreeMap<(String, String), (String, String)>;

fn rows() -> Rows {
    let mut rows = Rows::new();
    for line in include_str!("table.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [situation, event, state, actions] = cells[..] else {
            panic!("not a row: {line}");
        };
        let old = rows.insert(
            (situation.to_owned(), event.to_owned()),
            (state.to_owned(), actions.to_owned()),
        );
        assert!(old.is_none(), "twice: {line}");
    }
    rows
}

#[test]
fn every_situation_with_every_event_is_as_the_table_says() {
    let mut rows = rows();
    let mut wrong = Vec::new();
    for situation in SITUATIONS {
        for happening in HAPPENINGS {
            let (state, actions) = outcome(situation, happening);
            let key = (format!("{situation:?}"), format!("{happening:?}"));
            let got = format!("{} | {} | {state} | {actions}", key.0, key.1);
            match rows.remove(&key) {
                None => wrong.push(format!("no row: {got}")),
                Some(row) if row != (state, actions) => {
                    wrong.push(format!("wrong:  {got}\n  table says {} | {}", row.0, row.1));
                }
                Some(_) => {}
            }
        }
    }
    wrong.extend(rows.keys().map(|k| format!("row for nothing: {k:?}")));
    assert!(
        wrong.is_empty(),
        "{} rows:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// The state that a situation is called by is the state it is in.
#[test]
fn all_six_states_are_in_the_table() {
    let states: std::collections::BTreeSet<_> = SITUATIONS
        .iter()
        .map(|s| arrange(*s).0.fsm.state())
        .collect();
    assert_eq!(
        states.into_iter().collect::<Vec<_>>(),
        bgpd::fsm::State::ALL
    );
}
