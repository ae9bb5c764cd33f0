//! One machine and a clock that is turned by hand.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bgp_wire::{Capability, Notification, Open};
use bgpd::fsm::{
    Action, AutomaticStop, ConnId, Event, Fsm, IdleReason, Outgoing, PeerParams, RemoteAs, Reset,
    ResetCause, Restart, Role, SessionDown, SessionUp, State, Stop,
};

pub(crate) const LOCAL_AS: u32 = 65_001;
pub(crate) const REMOTE_AS: u32 = 65_002;
pub(crate) const LOCAL_ID: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
/// Above ours: the peer's connection wins a collision.
pub(crate) const HIGH_ID: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
/// Below ours: our connection wins.
pub(crate) const LOW_ID: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

pub(crate) fn params() -> PeerParams {
    PeerParams::new(LOCAL_AS, LOCAL_ID, RemoteAs::Number(REMOTE_AS))
}

/// The OPEN of a peer that does everything we do.
pub(crate) fn peer_open(bgp_id: Ipv4Addr) -> Open {
    PeerParams::new(REMOTE_AS, bgp_id, RemoteAs::Number(LOCAL_AS)).open()
}

pub(crate) fn open_with(capabilities: Vec<Capability>) -> Open {
    Open {
        capabilities,
        ..peer_open(HIGH_ID)
    }
}

pub(crate) fn notification(code: u8, subcode: u8) -> Notification {
    Notification {
        code,
        subcode,
        data: Vec::new(),
    }
}

pub(crate) fn addr(last: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], port))
}

pub(crate) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A machine, and the time.
pub(crate) struct Rig {
    pub(crate) fsm: Fsm,
    pub(crate) now: Instant,
}

impl Rig {
    pub(crate) fn new(params: PeerParams) -> Rig {
        Rig {
            fsm: Fsm::new(params, 7),
            now: Instant::now(),
        }
    }

    /// Started, not connected yet.
    pub(crate) fn connecting(params: PeerParams) -> (Rig, ConnId) {
        let mut rig = Rig::new(params);
        let actions = rig.event(Event::ManualStart);
        let conn = connect_of(&actions).expect("starts with an attempt to connect");
        (rig, conn)
    }

    /// Started, only listening.
    pub(crate) fn listening(params: PeerParams) -> Rig {
        let mut rig = Rig::new(PeerParams {
            passive: true,
            ..params
        });
        rig.event(Event::ManualStart);
        assert_eq!(rig.fsm.state(), State::Active);
        rig
    }

    /// Our connection is up, our OPEN sent.
    pub(crate) fn open_sent(params: PeerParams) -> (Rig, ConnId) {
        let (mut rig, conn) = Rig::connecting(params);
        rig.outbound(conn);
        (rig, conn)
    }

    /// The peer's OPEN was accepted.
    pub(crate) fn open_confirm(params: PeerParams, open: Open) -> (Rig, ConnId) {
        let (mut rig, conn) = Rig::open_sent(params);
        rig.open(conn, open);
        assert_eq!(rig.fsm.state(), State::OpenConfirm);
        (rig, conn)
    }

    /// The session is up, on our connection.
    pub(crate) fn established(params: PeerParams, open: Open) -> (Rig, ConnId) {
        let (mut rig, conn) = Rig::open_confirm(params, open);
        rig.event(Event::Keepalive(conn));
        assert_eq!(rig.fsm.state(), State::Established);
        (rig, conn)
    }

    pub(crate) fn event(&mut self, event: Event) -> Vec<Action> {
        self.fsm.handle(event, self.now)
    }

    /// Moves the clock and ticks once.
    pub(crate) fn pass(&mut self, time: Duration) -> Vec<Action> {
        self.now += time;
        self.event(Event::Tick)
    }

    /// Ticks at every deadline on the way, as a session task does.
    pub(crate) fn run(&mut self, time: Duration) -> Vec<Action> {
        let end = self.now + time;
        let mut actions = Vec::new();
        while let Some(at) = self.fsm.next_deadline().filter(|at| *at <= end) {
            assert!(
                at >= self.now,
                "a deadline that was due has not been served"
            );
            self.now = at;
            actions.extend(self.event(Event::Tick));
        }
        self.now = end;
        actions
    }

    pub(crate) fn until_deadline(&self) -> Option<Duration> {
        self.fsm.next_deadline().map(|at| at - self.now)
    }

    pub(crate) fn outbound(&mut self, conn: ConnId) -> Vec<Action> {
        self.event(Event::ConnectionUp {
            conn,
            role: Role::Outbound,
            local: addr(1, 40_000),
            remote: addr(2, 179),
        })
    }

    pub(crate) fn inbound(&mut self) -> (ConnId, Vec<Action>) {
        let conn = self.fsm.next_conn_id();
        let actions = self.event(Event::ConnectionUp {
            conn,
            role: Role::Inbound,
            local: addr(1, 179),
            remote: addr(2, 50_000),
        });
        (conn, actions)
    }

    pub(crate) fn open(&mut self, conn: ConnId, open: Open) -> Vec<Action> {
        self.event(Event::Open(conn, Box::new(open)))
    }

    pub(crate) fn lose(&mut self, conn: ConnId) -> Vec<Action> {
        self.event(Event::ConnectionClosed { conn, error: None })
    }

    /// Brings a started machine to Established on a new inbound connection.
    pub(crate) fn establish_inbound(&mut self) -> ConnId {
        let (conn, _) = self.inbound();
        self.open(conn, peer_open(HIGH_ID));
        self.event(Event::Keepalive(conn));
        assert_eq!(self.fsm.state(), State::Established);
        conn
    }

    /// How long the back-off is, and whether it refuses connections.
    pub(crate) fn holding_off(&self) -> Option<(Duration, bool)> {
        match self.fsm.idle_reason() {
            Some(IdleReason::Hold { until, damped, .. }) => Some((until - self.now, damped)),
            _ => None,
        }
    }
}

pub(crate) fn connect_of(actions: &[Action]) -> Option<ConnId> {
    actions.iter().find_map(|a| match a {
        Action::Connect { conn } => Some(*conn),
        _ => None,
    })
}

pub(crate) fn up_of(actions: &[Action]) -> Option<&SessionUp> {
    actions.iter().find_map(|a| match a {
        Action::SessionUp(up) => Some(up.as_ref()),
        _ => None,
    })
}

pub(crate) fn down_of(actions: &[Action]) -> Option<&SessionDown> {
    actions.iter().find_map(|a| match a {
        Action::SessionDown(down) => Some(down.as_ref()),
        _ => None,
    })
}

/// The NOTIFICATION that is sent on a connection, which must be closed next.
pub(crate) fn sent_notification(actions: &[Action], conn: ConnId) -> Option<Notification> {
    let at = actions.iter().position(
        |a| matches!(a, Action::Send { conn: c, message: Outgoing::Notification(_) } if *c == conn),
    )?;
    assert_eq!(
        actions.get(at + 1),
        Some(&Action::Close { conn }),
        "a NOTIFICATION is followed by the end of the connection"
    );
    match &actions[at] {
        Action::Send {
            message: Outgoing::Notification(n),
            ..
        } => Some(n.clone()),
        _ => None,
    }
}

pub(crate) fn closes(actions: &[Action], conn: ConnId) -> bool {
    actions.contains(&Action::Close { conn })
}

/// The actions in short, without changes of state. A connection other than
/// `main` is `new`.
pub(crate) fn brief(actions: &[Action], main: ConnId) -> String {
    let words: Vec<String> = actions.iter().filter_map(|a| brief_one(a, main)).collect();
    words.join(", ")
}

fn brief_one(action: &Action, main: ConnId) -> Option<String> {
    let name = |conn: &ConnId| if *conn == main { "" } else { " new" };
    Some(match action {
        Action::Connect { .. } => "connect".to_owned(),
        Action::CancelConnect { conn } => format!("cancel{}", name(conn)),
        Action::Send { conn, message } => match message {
            Outgoing::Open(_) => format!("OPEN{}", name(conn)),
            Outgoing::Keepalive => format!("KEEPALIVE{}", name(conn)),
            Outgoing::Notification(n) => format!("{}/{}{}", n.code, n.subcode, name(conn)),
        },
        Action::Close { conn } => format!("close{}", name(conn)),
        Action::RefuseInbound { notification, .. } => match notification {
            Some(n) => format!("refuse {}/{}", n.code, n.subcode),
            None => "refuse".to_owned(),
        },
        Action::SessionUp(_) => "up".to_owned(),
        Action::SessionDown(down) => format!("down {:?}", down.reason.cause),
        Action::StateChanged { .. } => return None,
    })
}

pub(crate) fn shutdown() -> Event {
    Event::ManualStop(Stop::shutdown())
}

pub(crate) fn clear() -> Event {
    Event::Reset(Reset::user())
}

pub(crate) fn too_many_prefixes(restart: Restart) -> Event {
    Event::AutomaticStop(AutomaticStop {
        cause: ResetCause::MaximumPrefixes,
        notification: Some(notification(6, 1)),
        restart,
    })
}
