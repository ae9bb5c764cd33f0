//! The event loop: all sessions of a measurement in one thread.
//!
//! Nothing happens outside of [`Hub::step`] and the methods built on it, so
//! whoever drives a hub comes back to it at least every few seconds; the
//! sessions are kept alive there.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use crate::load::Error;
use crate::load::encode::Encoded;
use crate::load::session::{Session, SessionConfig, SessionStats, State};
use crate::load::tracker::{Goal, Tracker};

/// The number of a session in its hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(usize);

/// Tokens from here on are listeners.
const LISTENERS: usize = 1 << 32;
const SCRATCH: usize = 256 << 10;
/// How many sessions wait for an answer to their first message at a time: the
/// listen queue of some daemons has room for 8, and what overflows it is not
/// refused but left hanging for seconds.
const KNOCKING: usize = 8;
/// After this time a session that waits does not keep others from trying.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long a bulk transfer pauses after a step that moved little.
const LULL: Duration = Duration::from_micros(500);
/// What counts as little, in octets.
const LITTLE: u64 = 64 << 10;
/// The longest the loop sleeps.
const MAX_SLEEP: Duration = Duration::from_millis(500);

/// What is known of a daemon's address: while it refuses connections only one
/// session at a time knocks.
#[derive(Debug, Default)]
struct Door {
    open: bool,
    /// Somebody has answered there, whatever became of the connection.
    answered: bool,
    knocking: Option<usize>,
}

/// Sessions and their event loop.
pub struct Hub {
    poll: Poll,
    events: Events,
    sessions: Vec<Session>,
    listeners: Vec<(SocketAddr, TcpListener)>,
    doors: HashMap<SocketAddr, Door>,
    scratch: Vec<u8>,
    /// Sessions that have something to do without an event.
    busy: Vec<usize>,
    next_timer: Instant,
    bulk: bool,
    /// Octets that the last step read, if it had anything to do.
    moved: Option<u64>,
}

impl Hub {
    /// A hub without sessions.
    ///
    /// # Errors
    /// [`Error::Io`] when there is no epoll instance to be had.
    pub fn new() -> Result<Self, Error> {
        Ok(Self {
            poll: Poll::new().map_err(Error::io("epoll"))?,
            events: Events::with_capacity(1024),
            sessions: Vec::new(),
            listeners: Vec::new(),
            doors: HashMap::new(),
            scratch: vec![0; SCRATCH],
            busy: Vec::new(),
            next_timer: Instant::now(),
            bulk: false,
            moved: None,
        })
    }

    /// Adds a session, which starts to come up in the next step.
    ///
    /// # Errors
    /// [`Error::Io`] when it is to listen and cannot.
    pub fn add(&mut self, config: SessionConfig) -> Result<SessionId, Error> {
        let now = Instant::now();
        if let Some(port) = config.listen {
            self.listen(SocketAddr::new(config.local, port))?;
        }
        self.sessions.push(Session::new(config, now));
        self.next_timer = now;
        Ok(SessionId(self.sessions.len() - 1))
    }

    fn listen(&mut self, at: SocketAddr) -> Result<(), Error> {
        if self.listeners.iter().any(|(address, _)| *address == at) {
            return Ok(());
        }
        let what = || format!("listen at {at}");
        let mut listener = TcpListener::bind(at).map_err(Error::io(what()))?;
        let token = Token(LISTENERS + self.listeners.len());
        self.poll
            .registry()
            .register(&mut listener, token, Interest::READABLE)
            .map_err(Error::io(what()))?;
        self.listeners.push((at, listener));
        Ok(())
    }

    /// The address that a listening session was bound to, of use where the
    /// port was given as 0.
    pub fn listening_at(&self, number: usize) -> Option<SocketAddr> {
        let (_, listener) = self.listeners.get(number)?;
        listener.local_addr().ok()
    }

    /// Gives a session a tracker, in place of the one that it has.
    pub fn track(&mut self, id: SessionId, tracker: Tracker) {
        self.sessions[id.0].tracker = Some(tracker);
    }

    /// The tracker of a session.
    pub fn tracker(&self, id: SessionId) -> Option<&Tracker> {
        self.sessions[id.0].tracker.as_ref()
    }

    /// The tracker of a session.
    pub fn tracker_mut(&mut self, id: SessionId) -> Option<&mut Tracker> {
        self.sessions[id.0].tracker.as_mut()
    }

    /// What a session has done.
    pub fn stats(&self, id: SessionId) -> &SessionStats {
        &self.sessions[id.0].stats
    }

    /// A session's configuration.
    pub fn config(&self, id: SessionId) -> &SessionConfig {
        &self.sessions[id.0].config
    }

    /// Whether a session is established.
    pub fn is_up(&self, id: SessionId) -> bool {
        self.sessions[id.0].state == State::Established
    }

    /// Announces `encoded` each time the session comes up.
    pub fn set_greeting(&mut self, id: SessionId, encoded: Encoded) {
        self.sessions[id.0].greeting = Some(encoded);
    }

    /// Queues messages behind those that are queued, and writes what the
    /// socket takes at once. Nothing is copied.
    pub fn send(&mut self, id: SessionId, encoded: &Encoded) {
        self.sessions[id.0].queue(encoded);
        self.flush(id.0);
    }

    /// Trades half a millisecond of latency for processor time, or takes that
    /// back. Some daemons write every message on its own; to wake up for each
    /// would take from them the processor that the measurement is about. In
    /// bulk mode a step that read little is followed by a pause.
    pub fn set_bulk(&mut self, bulk: bool) {
        self.bulk = bulk;
    }

    /// Whether all that was queued is in the socket.
    pub fn drained(&self, id: SessionId) -> bool {
        self.sessions[id.0].drained()
    }

    /// Closes a session and leaves it closed.
    pub fn stop(&mut self, id: SessionId) {
        let session = &mut self.sessions[id.0];
        session.drop_connection(&io::Error::other("stopped"), Instant::now());
        session.state = State::Stopped;
    }

    /// Does what there is to do, or waits up to `wait` for it.
    ///
    /// # Errors
    /// [`Error::Io`] when epoll fails. Sessions that fail are tried again.
    pub fn step(&mut self, wait: Duration) -> Result<(), Error> {
        let little = self.moved.take().is_some_and(|octets| octets < LITTLE);
        if self.bulk && little && self.busy.is_empty() {
            std::thread::sleep(LULL.min(wait));
        }
        let now = Instant::now();
        if now >= self.next_timer {
            self.timers(now);
        }
        let timeout = match self.busy.is_empty() {
            true => wait.min(self.next_timer.saturating_duration_since(now)),
            false => Duration::ZERO,
        };
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(Error::io("epoll")(error)),
        }
        let mut todo = std::mem::take(&mut self.busy);
        let mut knocks = Vec::new();
        for event in &self.events {
            let Token(number) = event.token();
            if number >= LISTENERS {
                knocks.push(number - LISTENERS);
                continue;
            }
            if event.is_writable()
                && let Err(error) = self.sessions[number].on_writable()
            {
                Self::lost(&mut self.sessions, &mut self.doors, number, &error);
                self.next_timer = Instant::now();
                continue;
            }
            if !todo.contains(&number) {
                todo.push(number);
            }
        }
        for listener in knocks {
            self.accept(listener);
        }
        if !todo.is_empty() {
            self.moved = Some(0);
        }
        for number in todo {
            self.work(number);
        }
        Ok(())
    }

    /// Steps until `done` says so.
    ///
    /// # Errors
    /// [`Error::Timeout`] at `deadline`; `stage` names what was waited for.
    pub fn run_until(
        &mut self,
        stage: &str,
        deadline: Instant,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Result<(), Error> {
        let start = Instant::now();
        while !done(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Timeout {
                    stage: stage.into(),
                    seconds: start.elapsed().as_secs_f64(),
                    state: self.describe(),
                });
            }
            self.step(left.min(MAX_SLEEP))?;
        }
        Ok(())
    }

    /// Steps for `duration`.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn run_for(&mut self, duration: Duration) -> Result<(), Error> {
        let end = Instant::now() + duration;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.step(left.min(MAX_SLEEP))?;
        }
    }

    /// Waits until somebody answers at one of the addresses that `ids` connect
    /// to. Sessions that listen have nobody to wait for here.
    ///
    /// # Errors
    /// [`Error::Timeout`] at `deadline`, with the address.
    pub fn reach(&mut self, ids: &[SessionId], deadline: Instant) -> Result<(), Error> {
        let config = |id: &SessionId| &self.sessions[id.0].config;
        let mut remotes: Vec<SocketAddr> = ids
            .iter()
            .map(config)
            .filter(|config| config.listen.is_none())
            .map(|config| config.remote)
            .collect();
        remotes.dedup();
        let Some(first) = remotes.first() else {
            return Ok(());
        };
        self.run_until(&format!("connect to {first}"), deadline, |hub| {
            let mut doors = remotes.iter().filter_map(|at| hub.doors.get(at));
            doors.any(|door| door.answered)
        })
    }

    /// Waits until all of `ids` are established.
    ///
    /// # Errors
    /// [`Error::Timeout`] at `deadline`.
    pub fn bring_up(&mut self, ids: &[SessionId], deadline: Instant) -> Result<(), Error> {
        let mut next = 0;
        self.run_until("sessions up", deadline, |hub| {
            while ids.get(next).is_some_and(|&id| hub.is_up(id)) {
                next += 1;
            }
            next == ids.len() && ids.iter().all(|&id| hub.is_up(id))
        })
    }

    /// Sets the goal of each of `ids` and steps until all have reached it.
    /// Returns when the last one did.
    ///
    /// # Errors
    /// [`Error::Timeout`] at `deadline`, [`Error::SessionLost`] when one of
    /// the sessions goes down.
    pub fn wait_goal(
        &mut self,
        stage: &str,
        ids: &[SessionId],
        deadline: Instant,
    ) -> Result<Instant, Error> {
        let losses: u32 = ids.iter().map(|&id| self.stats(id).losses).sum();
        let mut next = 0;
        let reached = |hub: &Self, id: SessionId| hub.tracker(id).and_then(Tracker::reached);
        self.run_until(stage, deadline, |hub| {
            while ids.get(next).is_some_and(|&id| reached(hub, id).is_some()) {
                next += 1;
            }
            next == ids.len() || ids.iter().map(|&id| hub.stats(id).losses).sum::<u32>() > losses
        })?;
        if next < ids.len() {
            return Err(self.loss(ids));
        }
        let last = ids.iter().filter_map(|&id| reached(self, id)).max();
        Ok(last.unwrap_or_else(Instant::now))
    }

    /// Sets the same goal for all of `ids`.
    pub fn set_goal(&mut self, ids: &[SessionId], goal: Goal) {
        for &id in ids {
            if let Some(tracker) = self.tracker_mut(id) {
                tracker.set_goal(goal);
            }
        }
    }

    /// The error of the first of `ids` that was lost.
    pub(crate) fn loss(&self, ids: &[SessionId]) -> Error {
        let lost = ids.iter().find(|&&id| self.stats(id).losses > 0);
        let (session, reason) = match lost {
            Some(&id) => (
                self.config(id).local.to_string(),
                self.stats(id).last_error.clone().unwrap_or_default(),
            ),
            None => ("?".into(), "unknown".into()),
        };
        Error::SessionLost { session, reason }
    }

    /// How far the sessions are, in a line.
    fn describe(&self) -> String {
        let up = self
            .sessions
            .iter()
            .filter(|s| s.state == State::Established)
            .count();
        let mut text = format!("{up} of {} sessions up", self.sessions.len());
        for session in &self.sessions {
            if let Some(tracker) = &session.tracker
                && tracker.reached().is_none()
            {
                text += &format!(
                    "; {} has {} prefixes, misses positions {:?}",
                    session.config.local,
                    tracker.present(),
                    tracker.missing(5)
                );
                break;
            }
        }
        let error = self
            .sessions
            .iter()
            .find_map(|s| Some((&s.config, s.stats.last_error.as_ref()?)));
        if let Some((config, error)) = error {
            text += &format!("; {} to {}: {error}", config.local, config.remote);
        }
        text
    }

    // ===== sockets and timers =====

    fn work(&mut self, number: usize) {
        let session = &mut self.sessions[number];
        let before = session.stats.octets_received;
        let knocking = session.is_knocking();
        let result = session.on_readable(&mut self.scratch);
        let read = session.stats.octets_received - before;
        if knocking && !session.is_knocking() {
            self.next_timer = Instant::now();
        }
        self.moved = self.moved.map(|octets| octets + read);
        match result {
            Ok(more) => {
                if let State::Connecting = session.state {
                    return;
                }
                self.door(number, true);
                if more {
                    self.mark_busy(number);
                }
                self.flush(number);
            }
            Err(error) => {
                Self::lost(&mut self.sessions, &mut self.doors, number, &error);
                self.next_timer = Instant::now();
            }
        }
    }

    fn flush(&mut self, number: usize) {
        match self.sessions[number].flush() {
            Ok(true) => self.mark_busy(number),
            Ok(false) => {}
            Err(error) => {
                Self::lost(&mut self.sessions, &mut self.doors, number, &error);
                self.next_timer = Instant::now();
            }
        }
    }

    fn mark_busy(&mut self, number: usize) {
        if !self.busy.contains(&number) {
            self.busy.push(number);
        }
    }

    /// Takes note that the daemon accepts connections, or does not.
    fn door(&mut self, number: usize, open: bool) {
        let remote = self.sessions[number].config.remote;
        let door = self.doors.entry(remote).or_default();
        door.answered |= open;
        if open && !door.open {
            door.open = true;
            // Everybody may come in now.
            self.next_timer = Instant::now();
        }
        door.knocking = door.knocking.filter(|&who| who != number);
    }

    fn lost(
        sessions: &mut [Session],
        doors: &mut HashMap<SocketAddr, Door>,
        number: usize,
        error: &io::Error,
    ) {
        let session = &mut sessions[number];
        if let Some(door) = doors.get_mut(&session.config.remote) {
            match session.state {
                State::Connecting => door.open = false,
                _ => door.answered = true,
            }
            door.knocking = door.knocking.filter(|&who| who != number);
        }
        session.drop_connection(error, Instant::now());
    }

    /// Connects whose time has come, sends keepalives, and finds out when to
    /// look again.
    fn timers(&mut self, now: Instant) {
        let mut next = now + MAX_SLEEP;
        let waits = |s: &&Session| s.is_knocking() && now < s.tried + PATIENCE;
        let mut knocking = self.sessions.iter().filter(waits).count();
        for number in 0..self.sessions.len() {
            match self.sessions[number].state {
                State::Idle(at) if self.sessions[number].config.listen.is_none() => {
                    if knocking >= KNOCKING {
                        next = next.min(now + Duration::from_millis(5));
                        continue;
                    }
                    let at = self.knock(number, at, now);
                    next = next.min(at);
                    knocking += usize::from(self.sessions[number].is_knocking());
                }
                State::Established => {
                    self.sessions[number].keep_alive(now);
                    self.flush(number);
                    if let Some(at) = self.sessions[number].next_keepalive {
                        next = next.min(at);
                    }
                }
                _ => {}
            }
        }
        self.next_timer = next;
    }

    /// Tries to connect if it is time; returns when to come back.
    fn knock(&mut self, number: usize, at: Instant, now: Instant) -> Instant {
        let session = &mut self.sessions[number];
        let again = now + session.config.retry;
        let door = self.doors.entry(session.config.remote).or_default();
        if door.open {
            // What waited only because somebody else knocked need not wait.
            let lost_before = session.stats.last_error.is_some();
            if at > now && lost_before {
                return at;
            }
        } else if at > now || door.knocking.is_some_and(|who| who != number) {
            return at.max(now + Duration::from_millis(5));
        }
        session.tried = now;
        let opened = session.connect().and_then(|()| match &mut session.stream {
            Some(stream) => {
                let interest = Interest::READABLE | Interest::WRITABLE;
                self.poll
                    .registry()
                    .register(stream, Token(number), interest)
            }
            None => Ok(()),
        });
        match opened {
            Ok(()) => {
                if !door.open {
                    door.knocking = Some(number);
                }
            }
            Err(error) => {
                door.knocking = None;
                session.drop_connection(&error, now);
            }
        }
        again
    }

    fn accept(&mut self, listener: usize) {
        loop {
            let (at, socket) = &self.listeners[listener];
            let Ok((mut stream, from)) = socket.accept() else {
                return;
            };
            let wanted = |session: &Session| {
                session.config.listen.is_some()
                    && session.config.local == at.ip()
                    && session.config.remote.ip() == from.ip()
                    && matches!(session.state, State::Idle(_))
            };
            let Some(number) = self.sessions.iter().position(wanted) else {
                continue;
            };
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registry = self.poll.registry();
            if registry
                .register(&mut stream, Token(number), interest)
                .is_ok()
            {
                self.sessions[number].adopt(stream);
            }
        }
    }
}
