//! Events that make no sense together: whatever comes, in whatever order, the
//! machine does nothing to connections that are not alive, and keeps count.

use std::collections::BTreeSet;

use bgp_wire::{AfiSafi, Capability, GracefulRestart};
use bgpd::fsm::{
    Action, AutomaticStop, ConnId, ConnState, Event, Outgoing, PeerParams, Reset, ResetCause,
    Restart, Role, State,
};

use crate::chance::Chance;
use crate::rig::{
    HIGH_ID, LOW_ID, Rig, addr, clear, notification, params, peer_open, secs, shutdown,
    too_many_prefixes,
};

/// A machine and every id it ever gave out.
struct Chaos {
    rig: Rig,
    chance: Chance,
    ids: Vec<ConnId>,
    /// Ids that may appear in actions.
    alive: BTreeSet<ConnId>,
    up: Option<ConnId>,
    ups: u64,
}

impl Chaos {
    fn new(seed: u64) -> Chaos {
        let mut chance = Chance::new(seed);
        let mut params = params();
        params.passive = chance.one_in(4);
        params.graceful_restart = chance.one_in(2).then(restart);
        params.hold_time_secs = [0, 9, 180][chance.below(3) as usize];
        Chaos {
            rig: Rig::new(params),
            chance,
            ids: Vec::new(),
            alive: BTreeSet::new(),
            up: None,
            ups: 0,
        }
    }

    /// One of the latest ids, mostly: alive or not.
    fn some_id(&mut self) -> ConnId {
        if self.ids.is_empty() || self.chance.one_in(20) {
            let conn = self.rig.fsm.next_conn_id();
            self.ids.push(conn);
        }
        let count = self.ids.len() as u64;
        let back = self.chance.below(count.min(4));
        self.ids[(count - 1 - back) as usize]
    }

    /// What brings a live connection on, so that there is something to disturb.
    fn next_event(&mut self) -> Option<Event> {
        let conns: Vec<_> = self.rig.fsm.connections().collect();
        if conns.is_empty() {
            return None;
        }
        let info = conns[self.chance.below(conns.len() as u64) as usize];
        Some(match info.state {
            ConnState::Connecting => self.up_event(info.conn, Role::Outbound),
            ConnState::OpenSent => self.open_event(info.conn),
            ConnState::OpenConfirm => Event::Keepalive(info.conn),
            ConnState::Established => Event::Update(info.conn),
        })
    }

    fn some_event(&mut self) -> Event {
        if self.chance.one_in(2)
            && let Some(event) = self.next_event()
        {
            return event;
        }
        let conn = self.some_id();
        match self.chance.below(30) {
            0 => Event::ManualStart,
            1 => Event::AutomaticStart,
            2 if self.chance.one_in(3) => shutdown(),
            3 if self.chance.one_in(3) => too_many_prefixes(Restart::After(secs(30))),
            4 if self.chance.one_in(3) => Event::AutomaticStop(AutomaticStop {
                cause: ResetCause::BfdDown,
                notification: None,
                restart: Restart::WhenStarted,
            }),
            5 if self.chance.one_in(3) => clear(),
            6 if self.chance.one_in(3) => {
                Event::Reset(Reset::configuration(ResetCause::FamilyActivated))
            }
            7 if self.chance.one_in(5) => Event::GracefulStop,
            8..=10 => self.up_event(conn, Role::Outbound),
            11..=13 => {
                let conn = self.rig.fsm.next_conn_id();
                self.ids.push(conn);
                self.up_event(conn, Role::Inbound)
            }
            14 => self.up_event(conn, Role::Inbound),
            15 => Event::ConnectFailed {
                conn,
                error: "refused".to_owned(),
            },
            16 => Event::ConnectionClosed { conn, error: None },
            17..=19 => self.open_event(conn),
            20..=22 => Event::Keepalive(conn),
            23 => Event::Update(conn),
            24 => Event::RouteRefresh(conn),
            25 => Event::NotificationReceived(conn, notification(6, self.chance.below(12) as u8)),
            26 => Event::WireError(conn, notification(1, 3)),
            27 => Event::WriteBlocked(conn),
            28 => Event::UpdateSent(conn),
            _ => Event::Tick,
        }
    }

    fn up_event(&mut self, conn: ConnId, role: Role) -> Event {
        // An accepted connection is open whether the machine wants it or not.
        if role == Role::Inbound {
            self.alive.insert(conn);
        }
        Event::ConnectionUp {
            conn,
            role,
            local: addr(1, 179),
            remote: addr(2, 179),
        }
    }

    fn open_event(&mut self, conn: ConnId) -> Event {
        let id = if self.chance.one_in(2) {
            HIGH_ID
        } else {
            LOW_ID
        };
        let mut open = peer_open(id);
        if self.chance.one_in(2) {
            open.capabilities
                .push(Capability::GracefulRestart(restart()));
        }
        if self.chance.one_in(10) {
            open.my_as = 1;
        }
        Event::Open(conn, Box::new(open))
    }

    fn step(&mut self) {
        self.rig.now += self.chance.millis(4_000);
        let before = self.rig.fsm.state();
        let event = self.some_event();
        for action in self.rig.event(event) {
            self.carry_out(&action, before);
        }
        self.check();
    }

    fn carry_out(&mut self, action: &Action, before: State) {
        match action {
            Action::Connect { conn } => {
                assert!(!self.ids.contains(conn), "{conn} was used before");
                self.ids.push(*conn);
                self.alive.insert(*conn);
            }
            Action::Send { conn, message } => {
                assert!(self.alive.contains(conn), "{action:?}");
                if let Outgoing::Open(open) = message {
                    assert_eq!(**open, self.rig.fsm.params().open());
                }
            }
            Action::Close { conn }
            | Action::CancelConnect { conn }
            | Action::RefuseInbound { conn, .. } => {
                assert!(self.alive.remove(conn), "{action:?}");
            }
            Action::SessionUp(up) => {
                assert_eq!(self.up.replace(up.conn), None, "a second session");
                self.ups += 1;
                assert_eq!(up.generation.get(), self.ups);
            }
            Action::SessionDown(down) => {
                assert_eq!(self.up.take(), Some(down.conn));
                assert_eq!(down.generation.get(), self.ups);
            }
            Action::StateChanged { from, to, .. } => {
                assert_eq!((*from, *to), (before, self.rig.fsm.state()));
            }
        }
    }

    fn check(&mut self) {
        let conns: Vec<_> = self.rig.fsm.connections().collect();
        assert!(conns.len() <= 2, "{conns:?}");
        // What the peer closed, or what was announced with a dead id, is gone
        // without a word.
        let held: BTreeSet<ConnId> = conns.iter().map(|c| c.conn).collect();
        assert!(held.is_subset(&self.alive), "{held:?} {:?}", self.alive);
        self.alive = held;
        let established = |c: &&bgpd::fsm::ConnInfo| c.state == ConnState::Established;
        let up: Vec<_> = conns.iter().filter(established).map(|c| c.conn).collect();
        assert_eq!(up.first().copied(), self.up);
        assert!(up.len() <= 1, "{conns:?}");
        let waits = self.rig.fsm.next_deadline().is_some();
        let may_sleep = self.rig.fsm.params().passive
            || self.rig.fsm.params().hold_time_secs == 0
            || self.rig.fsm.state() == State::Idle;
        assert!(waits || may_sleep, "{:?}", self.rig.fsm.state());
    }
}

fn restart() -> GracefulRestart {
    GracefulRestart {
        notification: true,
        families: vec![(AfiSafi::IPV4_UNICAST, true)],
        ..GracefulRestart::default()
    }
}

#[test]
fn nothing_that_can_happen_confuses_the_machine() {
    let mut sessions = 0;
    for seed in 1..=100 {
        let mut chaos = Chaos::new(seed);
        for _ in 0..2000 {
            chaos.step();
        }
        sessions += chaos.ups;
        // And it still works: from whatever is left to a session.
        chaos.rig.event(shutdown());
        assert_eq!(chaos.rig.fsm.connections().count(), 0);
        let active = PeerParams {
            passive: false,
            ..chaos.rig.fsm.params().clone()
        };
        chaos.rig.fsm.update_params(active);
        chaos.rig.event(Event::ManualStart);
        chaos.rig.establish_inbound();
    }
    assert!(sessions > 1000, "{sessions} sessions");
}
