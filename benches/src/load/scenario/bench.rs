//! What all scenarios share: sessions, trackers, and a stopwatch.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::load::scenario::params::{Outcome, Params, Peer, Role, Stage};
use crate::load::{
    AddPath, Announcer, Control, Encoded, Error, Expect, Goal, Hub, PrefixIndex, SessionConfig,
    SessionId, Table, Tracker,
};
use std::net::SocketAddr;

/// The sessions of a scenario, up or on their way, and its table.
pub(crate) struct Bench<'a> {
    pub(crate) params: Params,
    pub(crate) control: &'a mut Control,
    pub(crate) hub: Hub,
    pub(crate) table: Table,
    pub(crate) index: Arc<PrefixIndex>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) senders: Vec<SessionId>,
    pub(crate) receivers: Vec<SessionId>,
    pub(crate) outcome: Outcome,
}

/// The beginning of a timed part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    pub(crate) start: Instant,
    cpu: f64,
}

impl Watch {
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
            cpu: thread_cpu_seconds(),
        }
    }

    pub(crate) fn stop(self, name: &str, end: Instant) -> Stage {
        Stage {
            name: name.into(),
            seconds: end.saturating_duration_since(self.start).as_secs_f64(),
            generator_cpu_seconds: thread_cpu_seconds() - self.cpu,
        }
    }
}

/// Processor time of this thread, user and system.
pub(crate) fn thread_cpu_seconds() -> f64 {
    match getrusage(UsageWho::RUSAGE_THREAD) {
        Ok(usage) => {
            let micros =
                usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
            micros as f64 / 1e6
        }
        Err(_) => 0.0,
    }
}

impl<'a> Bench<'a> {
    /// Makes the table and adds the sessions, which connect when the hub is
    /// stepped first. Late receivers are not added.
    pub(crate) fn new(params: &Params, control: &'a mut Control) -> Result<Self, Error> {
        let params = params.clone().resolve();
        let peers = params.peers();
        params.check()?;
        let table = params.table()?;
        let index = Arc::new(PrefixIndex::new(table.prefixes()));
        let mut hub = Hub::new()?;
        let (mut senders, mut receivers) = (Vec::new(), Vec::new());
        for peer in peers.iter().filter(|peer| peer.role != Role::Late) {
            let id = hub.add(session(&params, peer))?;
            match peer.role {
                Role::Receiver => receivers.push(id),
                _ => senders.push(id),
            }
        }
        let outcome = Outcome {
            scenario: params.scenario,
            prefixes: table.len(),
            sets: table.sets().len(),
            senders: senders.len(),
            receivers: receivers.len(),
            ..Outcome::default()
        };
        Ok(Self {
            params,
            control,
            hub,
            table,
            index,
            peers,
            senders,
            receivers,
            outcome,
        })
    }

    /// What sender `number` adds to an attribute set.
    pub(crate) fn announcer(&self, number: usize, path_id: Option<u32>) -> Announcer {
        let peer = &self.peers[number];
        Announcer {
            asn: peer.asn,
            ibgp: self.params.ibgp(),
            next_hop: self.params.next_hop_of(peer.address),
            path_id,
        }
    }

    /// Gives each of `ids` a tracker of the whole table.
    pub(crate) fn track(&mut self, ids: &[SessionId], expect: &Expect) {
        for &id in ids {
            let mut tracker =
                Tracker::new(self.table.family(), Arc::clone(&self.index), expect.clone());
            if let Some(wanted) = self.params.expect {
                tracker.set_goal(Goal::Present(wanted));
            }
            self.hub.track(id, tracker);
        }
    }

    /// Which prefixes sender `number` announces where the senders share them.
    pub(crate) fn share(&self, number: usize) -> Range<usize> {
        let size = self.table.len();
        let senders = self.senders.len();
        size * number / senders..size * (number + 1) / senders
    }

    /// Waits until all sessions are up.
    pub(crate) fn bring_up(&mut self) -> Result<(), Error> {
        self.control.tell("start", &[]);
        let all: Vec<SessionId> = self
            .senders
            .iter()
            .chain(&self.receivers)
            .copied()
            .collect();
        self.params.bring_up(&mut self.hub, &all)?;
        // A moment for End-of-RIB markers and what a daemon does behind them.
        self.hub.run_for(Duration::from_millis(100))?;
        self.control.stage(&mut self.hub, "up", &[])
    }

    /// Sends each sender its messages, and waits until all of `ids` have
    /// reached their goal. The part is called `name`.
    pub(crate) fn exchange(
        &mut self,
        name: &str,
        messages: &[(SessionId, Encoded)],
        ids: &[SessionId],
    ) -> Result<(), Error> {
        self.hub.set_bulk(true);
        let watch = Watch::start();
        for (id, encoded) in messages {
            self.hub.send(*id, encoded);
        }
        let end = self.hub.wait_goal(name, ids, self.params.deadline())?;
        self.hub.set_bulk(false);
        let stage = watch.stop(name, end);
        let seconds = stage.seconds;
        self.outcome.stages.push(stage);
        self.first_update(name, watch.start, ids);
        self.control
            .stage(&mut self.hub, name, &[("seconds", seconds)])
    }

    /// Notes when the first UPDATE came in, and starts new counters.
    pub(crate) fn first_update(&mut self, name: &str, start: Instant, ids: &[SessionId]) {
        let mut first: Option<Instant> = None;
        let mut totals = [0u64; 4];
        for &id in ids {
            let octets = self.hub.stats(id).octets_received;
            if let Some(tracker) = self.hub.tracker_mut(id) {
                let stats = tracker.stats;
                let new = [stats.updates, stats.announced, stats.withdrawn, octets];
                totals.iter_mut().zip(new).for_each(|(sum, n)| *sum += n);
                first = [first, stats.first_update].into_iter().flatten().min();
                tracker.reset_stats();
            }
        }
        if let Some(first) = first {
            self.outcome.stages.push(Stage {
                name: format!("{name}-first-update"),
                seconds: first.saturating_duration_since(start).as_secs_f64(),
                generator_cpu_seconds: 0.0,
            });
        }
        let names = ["updates", "announced", "withdrawn", "octets-so-far"];
        for (what, total) in names.iter().zip(totals) {
            self.outcome.counts.insert(format!("{name}-{what}"), total);
        }
    }

    /// Withdraws what the senders announced, unless that was not wanted.
    pub(crate) fn withdraw(&mut self, messages: &[(SessionId, Encoded)]) -> Result<(), Error> {
        if self.params.no_withdraw {
            return Ok(());
        }
        let ids = self.receivers.clone();
        self.hub.set_goal(&ids, Goal::Absent);
        self.exchange("withdrawn", messages, &ids)
    }

    /// Ends the scenario.
    pub(crate) fn finish(mut self) -> Result<Outcome, Error> {
        self.control.stage(&mut self.hub, "done", &[])?;
        Ok(self.outcome)
    }
}

/// The configuration of the session that plays `peer`.
pub(crate) fn session(params: &Params, peer: &Peer) -> SessionConfig {
    let remote = SocketAddr::new(params.to, params.port);
    let mut config = SessionConfig::new(peer.address, remote, peer.asn);
    config.listen = params.listen;
    config.hold_time_secs = params.hold_time;
    config.families = vec![peer.family];
    config.add_path = peer.add_path;
    config.end_of_rib = matches!(peer.role, Role::Receiver | Role::Late);
    debug_assert!(config.add_path != AddPath::Both);
    config
}
