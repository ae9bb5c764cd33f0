//! The task of one peer: bytes and passed deadlines become events, actions
//! become bytes.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bgp_wire::{ErrorCode, Message, Notification, RouteRefresh, RouteRefreshKind};
use futures::future::select_all;
use holdfast_rib::PeerId;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};

use super::connection::{Connection, Happened, Incoming};
use super::fault_log::FaultLog;
use super::intake::Intake;
use super::status::{Status, now_ms};
use super::writer::WriterEvent;
use super::{Command, FromSession, Report, SessionConfig, transport};
use crate::fsm::{
    Action, ConnId, Event, Fsm, Generation, Outgoing, Reset, Role, SessionDown, SessionUp,
};

/// A connection may stand still for at least this long before it is given up
/// (RFC 9687 section 3.2: the greater of 8 minutes and twice the hold time).
const SEND_HOLD_MIN: Duration = Duration::from_secs(480);

/// How long the end of the task waits for its connections to close.
const QUIT_TIMEOUT: Duration = Duration::from_secs(3);

/// The state of the task.
#[derive(Debug)]
pub struct Session {
    peer: PeerId,
    config: SessionConfig,
    status: Arc<Status>,
    core: mpsc::Sender<FromSession>,
    fsm: Fsm,
    connections: Vec<Connection>,
    attempts: JoinSet<(ConnId, io::Result<TcpStream>)>,
    attempt_handles: Vec<(ConnId, AbortHandle)>,
    closing: JoinSet<()>,
    /// Reports that the core had no room for, in order. Nothing is read while
    /// any wait.
    waiting: VecDeque<FromSession>,
    generation: Option<Generation>,
    intake: Intake,
    faults: FaultLog,
    quit: Option<oneshot::Sender<()>>,
}

/// What woke the task.
enum Woken {
    Command(Option<Box<Command>>),
    Attempt(ConnId, io::Result<TcpStream>),
    Connection(ConnId, Happened),
    Room,
    /// A task of ours ended that nobody waits for.
    Closed,
    Deadline,
    /// The core is gone.
    Orphaned,
}

impl Session {
    /// A session that was not started yet.
    pub fn new(
        peer: PeerId,
        config: SessionConfig,
        status: Arc<Status>,
        core: mpsc::Sender<FromSession>,
    ) -> Session {
        let fsm = Fsm::new(config.params.clone(), rand::random());
        Session {
            peer,
            config,
            status,
            core,
            fsm,
            // There is one but for moments.
            connections: Vec::with_capacity(1),
            attempts: JoinSet::new(),
            attempt_handles: Vec::new(),
            closing: JoinSet::new(),
            waiting: VecDeque::new(),
            generation: None,
            intake: Intake::default(),
            faults: FaultLog::default(),
            quit: None,
        }
    }

    /// Runs until told to quit, or until nobody can command it any more.
    pub async fn run(mut self, mut commands: mpsc::Receiver<Box<Command>>) {
        while self.quit.is_none() {
            match self.wait(&mut commands).await {
                Woken::Command(Some(command)) => self.command(*command),
                // Without a core nobody uses the peer's routes: it must not
                // be kept believing that we forward by them.
                Woken::Command(None) | Woken::Orphaned => {
                    self.handle(Event::ManualStop(crate::fsm::Stop::shutdown()));
                    break;
                }
                Woken::Attempt(id, result) => self.attempted(id, result),
                Woken::Connection(id, happened) => self.happened(id, happened),
                Woken::Room => self.deliver(),
                Woken::Closed => {}
                Woken::Deadline => self.deadline(),
            }
        }
        // Boxed: what is needed once at the end has no place in every task.
        Box::pin(self.finish()).await;
    }

    async fn wait(&mut self, commands: &mut mpsc::Receiver<Box<Command>>) -> Woken {
        let deadline = self.fsm.next_deadline();
        let reading = self.waiting.is_empty();
        let has_connections = !self.connections.is_empty();
        let next_of_connections = async {
            let (id, happened) = match self.connections.as_mut_slice() {
                // But for the moments around a session's start there is one.
                [only] => only.next(reading).await,
                several => {
                    let each = several.iter_mut().map(|c| Box::pin(c.next(reading)));
                    select_all(each).await.0
                }
            };
            Woken::Connection(id, happened)
        };
        tokio::select! {
            biased;
            command = commands.recv() => Woken::Command(command),
            () = self.core.closed() => Woken::Orphaned,
            () = sleep_until(deadline) => Woken::Deadline,
            room = self.core.reserve(), if !reading => match room {
                Ok(permit) => {
                    if let Some(report) = self.waiting.pop_front() {
                        permit.send(report);
                    }
                    Woken::Room
                }
                Err(_) => Woken::Orphaned,
            },
            // One that was given up ends here too: were it not taken, the set
            // would not be asked again before something else happens.
            Some(ended) = self.attempts.join_next() => match ended {
                Ok((id, result)) => Woken::Attempt(id, result),
                Err(_) => Woken::Closed,
            },
            Some(_) = self.closing.join_next() => Woken::Closed,
            woken = next_of_connections, if has_connections => woken,
        }
    }

    /// Closes what is open and waits for it, so that the last words go out.
    async fn finish(mut self) {
        for connection in self.connections.drain(..) {
            self.closing.spawn(connection.close());
        }
        let mut closing = self.closing;
        let all = async { while closing.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(QUIT_TIMEOUT, all).await;
        // The last reports (the session is down) matter to a core that runs on.
        for report in self.waiting {
            let _ = self.core.send(report).await;
        }
        if let Some(done) = self.quit {
            let _ = done.send(());
        }
    }

    // ===== what comes in =====

    fn command(&mut self, command: Command) {
        match command {
            Command::Inbound(stream) => self.inbound(stream),
            Command::Event(event) => self.handle(event),
            Command::Configure(config, reset) => self.configure(*config, reset),
            Command::RequestRefresh(families) => {
                let established = self.connections.iter().find(|c| c.established);
                if let Some(connection) = established {
                    for family in families.iter() {
                        connection.send(Message::RouteRefresh(RouteRefresh {
                            family: family.afi_safi(),
                            kind: RouteRefreshKind::Request,
                        }));
                    }
                }
            }
            Command::Quit(event, done) => {
                self.handle(event);
                self.quit = Some(done);
            }
        }
    }

    fn configure(&mut self, config: SessionConfig, reset: Option<Reset>) {
        self.fsm.update_params(config.params.clone());
        self.config = config;
        if let Some(reset) = reset {
            self.handle(Event::Reset(reset));
        }
    }

    fn inbound(&mut self, stream: TcpStream) {
        let id = self.fsm.next_conn_id();
        if let Err(error) = transport::adopt(&stream, &self.config.transport) {
            tracing::warn!(peer = %self.config.transport.peer, %error, "socket options");
        }
        self.connected(id, Role::Inbound, stream);
    }

    fn attempted(&mut self, id: ConnId, result: io::Result<TcpStream>) {
        let wanted = self.attempt_handles.iter().any(|(a, _)| *a == id);
        self.attempt_handles.retain(|(attempt, _)| *attempt != id);
        if !wanted {
            // Given up just as it succeeded; dropping the socket closes it.
            return;
        }
        match result {
            Ok(stream) => self.connected(id, Role::Outbound, stream),
            Err(error) => self.handle(Event::ConnectFailed {
                conn: id,
                error: error.to_string(),
            }),
        }
    }

    fn connected(&mut self, id: ConnId, role: Role, stream: TcpStream) {
        match Connection::new(id, stream, Arc::clone(&self.status), self.send_hold()) {
            Ok(connection) => {
                let (local, remote) = (connection.local, connection.remote);
                self.connections.push(connection);
                self.handle(Event::ConnectionUp {
                    conn: id,
                    role,
                    local,
                    remote,
                });
            }
            Err(error) => self.handle(Event::ConnectFailed {
                conn: id,
                error: error.to_string(),
            }),
        }
    }

    /// How long a write may make no progress; none for ever.
    fn send_hold(&self) -> Option<Duration> {
        let params = &self.config.params;
        let hold = Duration::from_secs(params.hold_time_secs.into());
        let time = params.timing.send_hold;
        let time = time.unwrap_or_else(|| SEND_HOLD_MIN.max(hold * 2));
        (!time.is_zero()).then_some(time)
    }

    fn happened(&mut self, id: ConnId, happened: Happened) {
        match happened {
            Happened::Read(Ok(0)) => {
                self.connection_lost(id, None);
            }
            Happened::Read(Ok(_)) => self.take_apart(id),
            Happened::Read(Err(error)) => self.connection_lost(id, Some(error.to_string())),
            Happened::Writer(Some(WriterEvent::Failed(error))) => {
                // What the peer said before it closed is worth reading first:
                // its NOTIFICATION.
                if let Some(c) = self.connections.iter_mut().find(|c| c.id == id) {
                    let _ = c.try_read();
                    self.take_apart(id);
                }
                self.connection_lost(id, Some(error.to_string()));
            }
            Happened::Writer(Some(WriterEvent::SendHoldExpired)) => {
                self.handle(Event::WireError(id, notification(ErrorCode::SendHoldTimer)));
            }
            Happened::Writer(None) => self.connection_lost(id, None),
        }
    }

    fn connection_lost(&mut self, id: ConnId, error: Option<String>) {
        let Some(at) = self.connections.iter().position(|c| c.id == id) else {
            return;
        };
        let connection = self.connections.swap_remove(at);
        self.closing.spawn(connection.close());
        self.handle(Event::ConnectionClosed { conn: id, error });
    }

    /// A deadline passed. What the peer sent meanwhile is read first: after we
    /// stood still ourselves, it must not look as if the peer had been silent.
    fn deadline(&mut self) {
        let now = Instant::now();
        if self.waiting.is_empty() {
            let ready: Vec<ConnId> = self
                .connections
                .iter_mut()
                .filter_map(|c| matches!(c.try_read(), Ok(n) if n > 0).then_some(c.id))
                .collect();
            for id in ready {
                self.take_apart(id);
            }
        } else if let Some(c) = self.connections.iter().find(|c| c.established) {
            // Messages of the peer wait in our queue: it is alive.
            self.handle(Event::Update(c.id));
        }
        if self.fsm.next_deadline().is_some_and(|d| d <= now) {
            self.intake.rest();
            self.handle(Event::Tick);
        }
    }

    // ===== messages =====

    /// Takes whole messages from a connection's buffer, until it holds none or
    /// the connection is closed by one of them.
    fn take_apart(&mut self, id: ConnId) {
        loop {
            let Some(connection) = self.connections.iter_mut().find(|c| c.id == id) else {
                return;
            };
            let message = match connection.next_message() {
                Ok(Some(Incoming::Message(message))) => message,
                Ok(Some(Incoming::Update(frame))) => {
                    match self.intake.update(&connection.context, &frame) {
                        Ok(faults) => self.faults.log(&self.config.transport.peer, &faults),
                        Err(notification) => return self.wire_error(id, notification),
                    }
                    continue;
                }
                Ok(Some(Incoming::EarlyUpdate)) => {
                    self.handle(Event::Update(id));
                    continue;
                }
                Ok(Some(Incoming::EarlyRefresh)) => {
                    self.handle(Event::RouteRefresh(id));
                    continue;
                }
                Ok(None) => {
                    connection.rest();
                    return self.flush(id);
                }
                Err(notification) => return self.wire_error(id, notification),
            };
            // What was said before another message is reported before it.
            if !matches!(message, Message::Keepalive) {
                self.flush(id);
            }
            self.status.count_received(&message);
            self.message(id, message);
        }
    }

    fn wire_error(&mut self, id: ConnId, notification: Notification) {
        self.flush(id);
        self.handle(Event::WireError(id, notification));
    }

    /// Reports the UPDATEs that were taken apart. For the machine they are one
    /// sign of life.
    fn flush(&mut self, id: ConnId) {
        let Some(batch) = self.intake.take() else {
            return;
        };
        self.status.count_received_updates(batch.updates);
        self.handle(Event::Update(id));
        if let Some(generation) = self.running_on(id).filter(|_| !batch.heard.is_empty()) {
            self.report(Report::Updates {
                generation,
                heard: batch.heard,
                octets: batch.octets,
            });
        }
    }

    fn message(&mut self, id: ConnId, message: Message) {
        match message {
            Message::Open(open) => self.handle(Event::Open(id, Box::new(open))),
            Message::Keepalive => self.handle(Event::Keepalive(id)),
            Message::Notification(n) => self.handle(Event::NotificationReceived(id, n)),
            // Those go another way.
            Message::Update(_) => self.handle(Event::Update(id)),
            Message::RouteRefresh(refresh) => {
                self.handle(Event::RouteRefresh(id));
                if let Some(generation) = self.running_on(id) {
                    self.report(Report::Refresh {
                        generation,
                        refresh,
                    });
                }
            }
        }
    }

    /// The generation, if the session runs on this connection.
    fn running_on(&self, id: ConnId) -> Option<Generation> {
        let on = self.connections.iter().any(|c| c.id == id && c.established);
        self.generation.filter(|_| on)
    }

    // ===== the machine =====

    fn handle(&mut self, event: Event) {
        let mut next = Some(event);
        // Most events have no follow-up: then nothing is allocated.
        let mut events = VecDeque::new();
        while let Some(event) = next.take().or_else(|| events.pop_front()) {
            let changes_shown = !matches!(
                event,
                Event::Update(_) | Event::Keepalive(_) | Event::RouteRefresh(_) | Event::Tick
            );
            let actions = self.fsm.handle(event, Instant::now());
            let changed =
                changes_shown || actions.iter().any(|a| !matches!(a, Action::Send { .. }));
            for action in actions {
                if let Some(follow_up) = self.act(action) {
                    events.push_back(follow_up);
                }
            }
            if changed {
                self.show();
            }
        }
    }

    /// Carries an action out; returns the event of one that failed.
    fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Connect { conn } => self.connect(conn),
            Action::CancelConnect { conn } => {
                self.attempt_handles.retain(|(id, handle)| {
                    let this = *id == conn;
                    if this {
                        handle.abort();
                    }
                    !this
                });
            }
            Action::Send { conn, message } => return self.send(conn, message),
            Action::Close { conn } => self.close(conn),
            Action::RefuseInbound { conn, notification } => {
                if let Some(notification) = notification {
                    self.send(conn, Outgoing::Notification(notification));
                }
                self.close(conn);
            }
            Action::SessionUp(up) => self.session_up(*up),
            Action::SessionDown(down) => self.session_down(&down),
            Action::StateChanged {
                from, to, detail, ..
            } => self.report(Report::State {
                from,
                to,
                reason: detail,
            }),
        }
        None
    }

    fn connect(&mut self, conn: ConnId) {
        let params = self.config.transport.clone();
        let handle = self
            .attempts
            .spawn(async move { (conn, transport::connect(&params).await) });
        self.attempt_handles.push((conn, handle));
    }

    fn send(&mut self, conn: ConnId, message: Outgoing) -> Option<Event> {
        let connection = self.connections.iter().find(|c| c.id == conn)?;
        let last = matches!(message, Outgoing::Notification(_));
        let message = match message {
            Outgoing::Open(open) => Message::Open(*open),
            Outgoing::Keepalive => Message::Keepalive,
            Outgoing::Notification(notification) => Message::Notification(notification),
        };
        let sent = connection.send(message);
        // A Close follows a NOTIFICATION anyway.
        (!sent && !last).then(|| Event::ConnectionClosed {
            conn,
            error: Some("the peer takes no data".to_owned()),
        })
    }

    fn close(&mut self, conn: ConnId) {
        if let Some(at) = self.connections.iter().position(|c| c.id == conn) {
            let connection = self.connections.swap_remove(at);
            self.closing.spawn(connection.close());
        }
    }

    fn session_up(&mut self, up: SessionUp) {
        let Some(connection) = self.connections.iter_mut().find(|c| c.id == up.conn) else {
            return;
        };
        let data = connection.establish(up.negotiated.codec);
        let local = connection.local;
        let ends = Some((connection.local, connection.remote));
        self.generation = Some(up.generation);
        self.status.established.fetch_add(1, Ordering::Relaxed);
        {
            let mut shown = self.status.shown();
            shown.negotiated = Some(Arc::clone(&up.negotiated));
            shown.ends = ends;
            shown.established_ms = now_ms();
        }
        self.report(Report::Up {
            generation: up.generation,
            negotiated: up.negotiated,
            local,
            data,
        });
    }

    fn session_down(&mut self, down: &SessionDown) {
        self.generation = None;
        self.intake.clear();
        self.status.dropped.fetch_add(1, Ordering::Relaxed);
        {
            let mut shown = self.status.shown();
            shown.negotiated = None;
            shown.ends = None;
            shown.established_ms = now_ms();
        }
        self.report(Report::Down {
            generation: down.generation,
            keep_routes: down.reason.keep_routes,
        });
    }

    // ===== what goes out =====

    fn report(&mut self, report: Report) {
        let message = FromSession {
            peer: self.peer,
            report,
        };
        if self.waiting.is_empty() {
            match self.core.try_send(message) {
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
                Err(mpsc::error::TrySendError::Full(message)) => self.waiting.push_back(message),
            }
        } else {
            self.waiting.push_back(message);
        }
    }

    /// The core made room once; more may fit.
    fn deliver(&mut self) {
        while let Some(message) = self.waiting.pop_front() {
            match self.core.try_send(message) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(message)) => {
                    self.waiting.push_front(message);
                    return;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return,
            }
        }
    }

    /// Brings what others see up to date.
    fn show(&self) {
        let (now, now_ms) = (Instant::now(), now_ms());
        let unix = |at: Instant| {
            let ago = now.saturating_duration_since(at).as_millis();
            now_ms.saturating_sub(u64::try_from(ago).unwrap_or(u64::MAX))
        };
        let history = self.fsm.history();
        let mut shown = self.status.shown();
        shown.state = self.fsm.state();
        let timers = self.fsm.timers();
        let next_connect = timers.connect_retry.or(timers.idle_hold);
        shown.next_connect_ms = next_connect.map_or(0, |at| {
            let left = at.saturating_duration_since(now).as_millis();
            now_ms.saturating_add(u64::try_from(left).unwrap_or(u64::MAX))
        });
        shown.last_reset = self.fsm.last_reset().map(|r| (r.clone(), unix(r.when)));
        shown.history = history
            .major()
            .iter()
            .map(|entry| (entry.clone(), unix(entry.at)))
            .collect();
    }
}

fn notification(code: ErrorCode) -> Notification {
    Notification {
        code: code as u8,
        subcode: 0,
        data: Vec::new(),
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
