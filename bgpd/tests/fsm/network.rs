//! Two machines and a network between them that is slow and unreliable, and
//! that repeats itself with its seed. While it misbehaves the invariants must
//! hold after every event; when it behaves again, both ends must come to one
//! session on one connection.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use bgp_wire::{AfiSafi, GracefulRestart, Notification};
use bgpd::fsm::{
    Action, ConnId, ConnState, Event, Fsm, Outgoing, PeerParams, RemoteAs, Role, State, Stop,
};

use crate::chance::Chance;
use crate::rig::{addr, clear, secs, shutdown};

/// The network misbehaves until then.
const NOISE: Duration = secs(600);
/// And behaves from then on. Longer than every back-off and every wait for an
/// OPEN taken together.
const QUIET: Duration = secs(1800);

// ===== the network =====

/// One of the two machines.
type Side = usize;

/// What travels on a connection.
#[derive(Debug, Clone)]
enum Packet {
    Open(Box<bgp_wire::Open>),
    Keepalive,
    Notification(Notification),
    Fin,
}

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// A connection attempt reaches the other side.
    Syn { wire: usize },
    /// The answer comes back.
    SynAck { wire: usize },
    /// An attempt fails.
    Refused { wire: usize },
    /// Something arrives at a side.
    Arrive {
        wire: usize,
        at: Side,
        packet: Packet,
    },
    /// A connection breaks, which this side notices.
    Break { wire: usize, at: Side },
    /// A machine's deadline may be due.
    Wake { at: Side },
    /// Something goes wrong somewhere.
    Trouble,
}

/// A TCP connection between the two.
#[derive(Debug, Default)]
struct Wire {
    opener: Side,
    /// The id that each side knows it by, once it does.
    ids: [Option<ConnId>; 2],
    /// Whether each side's end is open.
    open: [bool; 2],
    /// Broken: nothing arrives any more.
    dead: bool,
    /// When the last packet towards each side arrives: TCP keeps the order.
    last: [Option<Instant>; 2],
}

/// What a side sent and got on a connection.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Seen {
    open_sent: bool,
    open_received: bool,
    keepalive_sent: bool,
    keepalive_received: bool,
}

struct Network {
    now: Instant,
    start: Instant,
    chance: Chance,
    fsms: [Fsm; 2],
    wires: Vec<Wire>,
    by_id: [BTreeMap<ConnId, usize>; 2],
    seen: [BTreeMap<ConnId, Seen>; 2],
    session: [Option<ConnId>; 2],
    generation: [u64; 2],
    queue: BinaryHeap<Reverse<(Instant, u64)>>,
    steps: BTreeMap<u64, Step>,
    serial: u64,
    /// Largest delay in milliseconds.
    delay: u64,
}

impl Network {
    fn new(seed: u64) -> Network {
        let mut chance = Chance::new(seed);
        let start = Instant::now();
        let fsms = machines(&mut chance);
        let delay = [5, 200, 3000][chance.below(3) as usize];
        let mut network = Network {
            now: start,
            start,
            chance,
            fsms,
            wires: Vec::new(),
            by_id: Default::default(),
            seen: Default::default(),
            session: [None; 2],
            generation: [0; 2],
            queue: BinaryHeap::new(),
            steps: BTreeMap::new(),
            serial: 0,
            delay,
        };
        network.later(Duration::ZERO, Step::Trouble);
        network
    }

    fn noisy(&self) -> bool {
        self.now < self.start + NOISE
    }

    fn at(&mut self, when: Instant, step: Step) {
        self.serial += 1;
        self.queue.push(Reverse((when, self.serial)));
        self.steps.insert(self.serial, step);
    }

    fn later(&mut self, delay: Duration, step: Step) {
        self.at(self.now + delay, step);
    }

    fn send(&mut self, wire: usize, to: Side, packet: Packet) {
        let arrival = self.now + self.chance.millis(self.delay);
        let last = &mut self.wires[wire].last[to];
        let arrival = last.map_or(arrival, |last| last.max(arrival));
        *last = Some(arrival);
        self.at(
            arrival,
            Step::Arrive {
                wire,
                at: to,
                packet,
            },
        );
    }

    fn run(&mut self) {
        self.handle(0, Event::ManualStart);
        let delay = self.chance.millis(2000);
        self.now += delay;
        self.handle(1, Event::ManualStart);
        let end = self.start + NOISE + QUIET;
        while let Some(Reverse((when, serial))) = self.queue.pop() {
            if when > end {
                break;
            }
            self.now = self.now.max(when);
            let step = self.steps.remove(&serial).expect("queued with its step");
            self.step(step);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Wake { at } => {
                if self.fsms[at].next_deadline().is_some_and(|d| d <= self.now) {
                    self.handle(at, Event::Tick);
                }
            }
            Step::Trouble => self.trouble(),
            Step::Syn { wire } => self.syn(wire),
            Step::SynAck { wire } => self.syn_ack(wire),
            Step::Refused { wire } => {
                let side = self.wires[wire].opener;
                let was_open = std::mem::take(&mut self.wires[wire].open[side]);
                if let Some(conn) = self.wires[wire].ids[side].filter(|_| was_open) {
                    let error = "refused".to_owned();
                    self.handle(side, Event::ConnectFailed { conn, error });
                }
            }
            Step::Arrive { wire, at, packet } => self.arrive(wire, at, packet),
            Step::Break { wire, at } => self.lost(wire, at),
        }
    }

    fn syn(&mut self, wire: usize) {
        let opener = self.wires[wire].opener;
        let side = 1 - opener;
        if !self.wires[wire].open[opener] {
            return; // Given up meanwhile.
        }
        let back = self.chance.millis(self.delay);
        if self.noisy() && self.chance.one_in(4) {
            self.later(back, Step::Refused { wire });
            return;
        }
        let conn = self.fsms[side].next_conn_id();
        self.wires[wire].ids[side] = Some(conn);
        self.wires[wire].open[side] = true;
        self.by_id[side].insert(conn, wire);
        // The answer is the first thing that travels on the connection.
        let arrival = self.now + back;
        self.wires[wire].last[opener] = Some(arrival);
        self.at(arrival, Step::SynAck { wire });
        self.handle(side, up(conn, Role::Inbound));
    }

    fn syn_ack(&mut self, wire: usize) {
        let side = self.wires[wire].opener;
        if self.wires[wire].open[side]
            && let Some(conn) = self.wires[wire].ids[side]
        {
            self.handle(side, up(conn, Role::Outbound));
        }
    }

    fn arrive(&mut self, wire: usize, at: Side, packet: Packet) {
        if self.wires[wire].dead || !self.wires[wire].open[at] {
            return;
        }
        let Some(conn) = self.wires[wire].ids[at] else {
            return;
        };
        let seen = self.seen[at].entry(conn).or_default();
        match packet {
            Packet::Open(open) => {
                seen.open_received = true;
                self.handle(at, Event::Open(conn, open));
            }
            Packet::Keepalive => {
                seen.keepalive_received = true;
                self.handle(at, Event::Keepalive(conn));
            }
            Packet::Notification(n) => self.handle(at, Event::NotificationReceived(conn, n)),
            Packet::Fin => self.lost(wire, at),
        }
    }

    fn lost(&mut self, wire: usize, at: Side) {
        if !self.wires[wire].open[at] {
            return;
        }
        self.wires[wire].open[at] = false;
        if let Some(conn) = self.wires[wire].ids[at] {
            self.handle(at, Event::ConnectionClosed { conn, error: None });
        }
    }

    /// Something goes wrong, as long as it may.
    fn trouble(&mut self) {
        if !self.noisy() {
            // Whoever is shut down is started again, so that all can be well.
            (0..2).for_each(|side| self.handle(side, Event::ManualStart));
            return;
        }
        let side = self.chance.below(2) as usize;
        match self.chance.below(8) {
            0..=3 => self.cut(),
            4 => self.handle(side, clear()),
            5 => self.handle(side, shutdown()),
            6 => self.handle(side, Event::ManualStart),
            _ => {
                let stop = Stop {
                    hard: false,
                    ..Stop::shutdown()
                };
                self.handle(side, Event::ManualStop(stop));
                self.handle(side, Event::ManualStart);
            }
        }
        let pause = self.chance.millis(30_000);
        self.later(pause, Step::Trouble);
    }

    /// Breaks a connection; the ends notice at different times.
    fn cut(&mut self) {
        let alive: Vec<usize> = (0..self.wires.len())
            .filter(|w| self.wires[*w].open == [true; 2] && !self.wires[*w].dead)
            .collect();
        if alive.is_empty() {
            return;
        }
        let wire = alive[self.chance.below(alive.len() as u64) as usize];
        // An end that does not even know that it is connected must learn first.
        let settled = self.wires[wire].last.iter().flatten().max();
        let from = settled.map_or(self.now, |last| (*last).max(self.now));
        self.wires[wire].dead = true;
        for at in 0..2 {
            let delay = self.chance.millis(20_000);
            self.at(from + delay, Step::Break { wire, at });
        }
    }
}

fn up(conn: ConnId, role: Role) -> Event {
    Event::ConnectionUp {
        conn,
        role,
        local: addr(1, 179),
        remote: addr(2, 179),
    }
}

/// Two peers: eBGP or iBGP, with or without graceful restart, at most one of
/// them passive.
fn machines(chance: &mut Chance) -> [Fsm; 2] {
    let internal = chance.one_in(3);
    let asns = if internal { [100, 100] } else { [100, 200] };
    let first = chance.below(4) as u8;
    let second = chance.below(4) as u8;
    // Within an AS identifiers differ, or it is a misconfiguration.
    let second = if internal && first == second {
        9
    } else {
        second
    };
    let graceful = chance.one_in(2);
    let passive = chance.below(6) as usize;
    let ids = [first, second];
    [0, 1].map(|side| {
        let id = Ipv4Addr::new(10, 0, 0, ids[side] + 1);
        let mut params = PeerParams::new(asns[side], id, RemoteAs::Number(asns[1 - side]));
        params.hold_time_secs = 30;
        params.keepalive_secs = 10;
        params.passive = passive == side;
        params.graceful_restart = graceful.then(|| GracefulRestart {
            notification: true,
            families: vec![(AfiSafi::IPV4_UNICAST, true)],
            ..GracefulRestart::default()
        });
        Fsm::new(params, chance.next())
    })
}

// ===== what must always be true =====

impl Network {
    fn handle(&mut self, side: Side, event: Event) {
        let actions = self.fsms[side].handle(event, self.now);
        for action in actions {
            self.carry_out(side, action);
        }
        self.check(side);
        if let Some(deadline) = self.fsms[side].next_deadline() {
            self.at(deadline.max(self.now), Step::Wake { at: side });
        }
    }

    /// The connection of an action, which must be alive.
    fn live_wire(&self, side: Side, conn: ConnId) -> usize {
        let wire = self.by_id[side].get(&conn).copied();
        let wire = wire.unwrap_or_else(|| panic!("an action on {conn}, which never was"));
        assert!(
            self.wires[wire].open[side],
            "an action on {conn}, which is dead"
        );
        wire
    }

    fn carry_out(&mut self, side: Side, action: Action) {
        match action {
            Action::Connect { conn } => {
                let wire = self.wires.len();
                let mut new = Wire {
                    opener: side,
                    ..Wire::default()
                };
                new.ids[side] = Some(conn);
                new.open[side] = true;
                self.wires.push(new);
                let old = self.by_id[side].insert(conn, wire);
                assert!(old.is_none(), "{conn} was used before");
                let delay = self.chance.millis(self.delay);
                self.later(delay, Step::Syn { wire });
            }
            Action::Send { conn, message } => {
                let wire = self.live_wire(side, conn);
                let seen = self.seen[side].entry(conn).or_default();
                let packet = match message {
                    Outgoing::Open(open) => {
                        assert!(!seen.open_sent, "a second OPEN on {conn}");
                        seen.open_sent = true;
                        Packet::Open(open)
                    }
                    Outgoing::Keepalive => {
                        assert!(seen.open_received, "a KEEPALIVE before the OPEN on {conn}");
                        seen.keepalive_sent = true;
                        Packet::Keepalive
                    }
                    Outgoing::Notification(n) => Packet::Notification(n),
                };
                self.send(wire, 1 - side, packet);
            }
            Action::Close { conn } | Action::CancelConnect { conn } => self.close(side, conn),
            Action::RefuseInbound { conn, notification } => {
                let wire = self.live_wire(side, conn);
                if let Some(n) = notification {
                    self.send(wire, 1 - side, Packet::Notification(n));
                }
                self.close(side, conn);
            }
            Action::SessionUp(up) => {
                let seen = self.seen[side].get(&up.conn).copied();
                let everything = Seen {
                    open_sent: true,
                    open_received: true,
                    keepalive_sent: true,
                    keepalive_received: true,
                };
                assert_eq!(seen, Some(everything), "a session that was not agreed on");
                assert_eq!(self.session[side], None, "a second session");
                assert_eq!(up.generation.get(), self.generation[side] + 1);
                self.generation[side] += 1;
                self.session[side] = Some(up.conn);
            }
            Action::SessionDown(down) => {
                assert_eq!(self.session[side], Some(down.conn), "down, but not up");
                assert_eq!(down.generation.get(), self.generation[side]);
                self.session[side] = None;
            }
            Action::StateChanged { from, to, .. } => assert_ne!(from, to),
        }
    }

    fn close(&mut self, side: Side, conn: ConnId) {
        let wire = self.live_wire(side, conn);
        self.wires[wire].open[side] = false;
        self.send(wire, 1 - side, Packet::Fin);
    }

    fn check(&self, side: Side) {
        let fsm = &self.fsms[side];
        let conns: Vec<_> = fsm.connections().collect();
        assert!(conns.len() <= 2, "{conns:?}");
        let established: Vec<_> = conns
            .iter()
            .filter(|c| c.state == ConnState::Established)
            .map(|c| c.conn)
            .collect();
        assert!(established.len() <= 1, "{conns:?}");
        assert_eq!(established.first().copied(), self.session[side]);
        assert_eq!(fsm.state() == State::Established, !established.is_empty());
        // What the machine holds is what is open, and the other way round.
        let open = self.by_id[side]
            .iter()
            .filter(|(_, wire)| self.wires[**wire].open[side])
            .map(|(conn, _)| *conn);
        let mut held: Vec<_> = conns.iter().map(|c| c.conn).collect();
        held.sort_unstable();
        assert!(open.eq(held.iter().copied()), "side {side} holds {held:?}");
        // A peer that is started always waits for something, or only listens.
        assert!(
            fsm.state() == State::Idle || fsm.params().passive || fsm.next_deadline().is_some()
        );
        assert!(fsm.state() != State::Idle || conns.is_empty());
    }

    fn check_end(&self, seed: u64) {
        let sessions: Vec<Option<usize>> = (0..2)
            .map(|side| self.session[side].and_then(|c| self.by_id[side].get(&c).copied()))
            .collect();
        let states = [self.fsms[0].state(), self.fsms[1].state()];
        assert!(
            sessions[0].is_some() && sessions[0] == sessions[1],
            "seed {seed}: {states:?} {sessions:?}"
        );
        for (index, wire) in self.wires.iter().enumerate() {
            let expected = if Some(index) == sessions[0] {
                [true; 2]
            } else {
                [false; 2]
            };
            assert_eq!(wire.open, expected, "seed {seed}: {wire:?}");
        }
    }
}

#[test]
fn two_machines_come_to_one_session_over_a_bad_network() {
    let mut sessions = 0;
    let mut collisions = 0;
    for seed in 1..=300 {
        let mut network = Network::new(seed);
        network.run();
        network.check_end(seed);
        sessions += network.generation[0];
        collisions += network.fsms[0].counters().collisions;
    }
    // The runs must have had something to get wrong.
    assert!(sessions > 1500, "{sessions} sessions");
    assert!(collisions > 100, "{collisions} collisions");
}
