//! Connections to several caches. The data of those counts that the operator
//! prefers among those that have any (RFC 8210 section 10).

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use futures::future::{OptionFuture, select_all};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep_until, timeout};

use crate::Vrp;
use crate::pdu::{self, Version};
use crate::session::{Action, Delta, Overrides, Session};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// Reads of one cache before others have their turn.
const READS: usize = 64;
/// Deltas that may wait for the receiver.
const LANE: usize = 4;

/// A cache as the operator describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheConfig {
    /// Name or address.
    pub host: String,
    /// The local address of the connection; none leaves it to the kernel.
    pub source: Option<IpAddr>,
    /// TCP port; 323 is that of RFC 8210 section 9.
    pub port: u16,
    /// Lower is better. Caches of one preference are used together.
    pub preference: u8,
    /// Times in place of those of the cache.
    pub overrides: Overrides,
}

/// How it stands with a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheStatus {
    /// As configured.
    pub config: CacheConfig,
    /// There is a connection.
    pub connected: bool,
    /// Its data counts.
    pub in_use: bool,
    /// The version of the protocol.
    pub version: Version,
    /// Session and serial number of its data.
    pub serial: Option<(u16, u32)>,
    /// How many payloads it has.
    pub payloads: usize,
    /// Why the last connection ended, or none came about.
    pub error: Option<String>,
}

enum Command {
    Configure(Vec<CacheConfig>),
    Reset,
}

/// Talks to the task; when the last one is dropped the task ends.
#[derive(Debug, Clone)]
pub struct Client {
    commands: mpsc::UnboundedSender<Command>,
    status: watch::Receiver<Vec<CacheStatus>>,
}

impl Client {
    /// Uses these caches and no others. Those that were there before keep their
    /// connections and data, with other times as well.
    pub fn configure(&self, caches: Vec<CacheConfig>) {
        // Without a task nobody asks for payloads.
        let _ = self.commands.send(Command::Configure(caches));
    }

    /// Asks all caches again for everything (`rpki reset`).
    pub fn reset(&self) {
        let _ = self.commands.send(Command::Reset);
    }

    /// How it stands with the caches, in the order of their preference.
    pub fn status(&self) -> Vec<CacheStatus> {
        self.status.borrow().clone()
    }

    /// Wakes up when that changes.
    pub fn watch_status(&self) -> watch::Receiver<Vec<CacheStatus>> {
        self.status.clone()
    }
}

/// Starts the task, without caches. What it sends, taken together from the
/// start, are the payloads that count; a payload comes when it was not there
/// and goes when it was.
pub fn spawn() -> (Client, mpsc::Receiver<Delta>) {
    let (commands, orders) = mpsc::unbounded_channel();
    let (deltas, news) = mpsc::channel(LANE);
    let (shown, status) = watch::channel(Vec::new());
    let task = Task {
        caches: Vec::new(),
        attempts: JoinSet::new(),
        next_number: 0,
        merged: BTreeSet::new(),
        in_use: BTreeSet::new(),
        deltas,
        shown,
    };
    tokio::spawn(task.run(orders));
    (Client { commands, status }, news)
}

#[derive(Debug)]
struct Cache {
    /// No other cache has or had this number.
    number: u64,
    config: CacheConfig,
    session: Session,
    socket: Option<TcpStream>,
    attempt: Option<AbortHandle>,
    buffer: BytesMut,
    error: Option<String>,
}

struct Task {
    caches: Vec<Cache>,
    attempts: JoinSet<(u64, io::Result<TcpStream>)>,
    next_number: u64,
    /// What counts: of the cache in use, or of all of them.
    merged: BTreeSet<Vrp>,
    /// Numbers of the caches whose data that is.
    in_use: BTreeSet<u64>,
    deltas: mpsc::Sender<Delta>,
    shown: watch::Sender<Vec<CacheStatus>>,
}

impl Task {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Command>) {
        loop {
            let changes = self.act(Instant::now());
            if self.publish(changes).await.is_err() {
                return;
            }
            let next = self.deadline();
            let sleep = OptionFuture::from(next.map(|at| sleep_until(at.into())));
            let changes = tokio::select! {
                order = orders.recv() => match order {
                    Some(Command::Configure(caches)) => self.configure(caches),
                    Some(Command::Reset) => self.reset(),
                    None => return,
                },
                Some(ended) = self.attempts.join_next() => match ended {
                    Ok((number, result)) => self.attempted(number, result),
                    // It was given up.
                    Err(_) => Vec::new(),
                },
                at = readable(&self.caches) => self.read(at),
                Some(()) = sleep => Vec::new(),
            };
            if self.publish(changes).await.is_err() {
                return;
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let waiting = self.caches.iter().filter(|cache| cache.attempt.is_none());
        waiting.map(|cache| cache.session.deadline()).min()
    }

    fn configure(&mut self, wanted: Vec<CacheConfig>) -> Vec<(u64, Delta)> {
        let now = Instant::now();
        let mut before = std::mem::take(&mut self.caches);
        for config in wanted {
            let same = |cache: &Cache| {
                let known = &cache.config;
                (&known.host, known.port, known.source)
                    == (&config.host, config.port, config.source)
            };
            let cache = match before.iter().position(same) {
                Some(at) => {
                    let mut cache = before.swap_remove(at);
                    if cache.config.overrides != config.overrides {
                        cache.session.set_overrides(config.overrides, now);
                    }
                    cache.config = config;
                    cache
                }
                None => {
                    self.next_number += 1;
                    Cache {
                        number: self.next_number,
                        session: Session::new(config.overrides, now),
                        config,
                        socket: None,
                        attempt: None,
                        buffer: BytesMut::new(),
                        error: None,
                    }
                }
            };
            self.caches.push(cache);
        }
        for gone in before {
            if let Some(attempt) = gone.attempt {
                attempt.abort();
            }
        }
        self.caches.sort_by_key(|cache| cache.config.preference);
        Vec::new()
    }

    fn reset(&mut self) -> Vec<(u64, Delta)> {
        let now = Instant::now();
        for cache in &mut self.caches {
            let data = cache.session.data().clone();
            let updated = cache.session.updated();
            cache.socket = None;
            if let Some(attempt) = cache.attempt.take() {
                attempt.abort();
            }
            cache.buffer.clear();
            cache.session = Session::new(cache.config.overrides, now);
            cache.session.keep(data, updated);
        }
        Vec::new()
    }

    /// Connects, and does what is due.
    fn act(&mut self, now: Instant) -> Vec<(u64, Delta)> {
        let mut changes = Vec::new();
        for cache in &mut self.caches {
            if cache.session.wants_connection(now) && cache.attempt.is_none() {
                let config = cache.config.clone();
                let number = cache.number;
                cache.attempt = Some(self.attempts.spawn(async move {
                    let connect = connect(&config);
                    let late = |_| Err(io::ErrorKind::TimedOut.into());
                    (number, timeout(CONNECT, connect).await.unwrap_or_else(late))
                }));
            }
            if now >= cache.session.deadline() {
                let actions = cache.session.tick(now);
                cache.carry_out(actions, &mut changes);
            }
        }
        changes
    }

    fn attempted(&mut self, number: u64, result: io::Result<TcpStream>) -> Vec<(u64, Delta)> {
        let mut changes = Vec::new();
        let now = Instant::now();
        let Some(cache) = self.caches.iter_mut().find(|cache| cache.number == number) else {
            return changes;
        };
        cache.attempt = None;
        match result {
            Ok(socket) => {
                cache.socket = Some(socket);
                cache.buffer.clear();
                let actions = cache.session.connected(now);
                cache.carry_out(actions, &mut changes);
            }
            Err(error) => {
                cache.error = Some(error.to_string());
                cache.session.closed(now);
            }
        }
        changes
    }

    fn read(&mut self, at: usize) -> Vec<(u64, Delta)> {
        let mut changes = Vec::new();
        if let Some(cache) = self.caches.get_mut(at) {
            for _ in 0..READS {
                match cache.read(&mut changes) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        cache.error = Some(error.to_string());
                        cache.socket = None;
                        cache.session.closed(Instant::now());
                        break;
                    }
                }
            }
        }
        changes
    }

    // ===== what counts =====

    /// Tells what came of changes of single caches. An error: nobody listens.
    async fn publish(&mut self, changes: Vec<(u64, Delta)>) -> Result<(), ()> {
        let in_use = self.preferred();
        let same = in_use == self.in_use;
        let relevant = changes.iter().any(|(number, _)| in_use.contains(number));
        let deltas = match in_use.len() {
            _ if same && !relevant => Vec::new(),
            // The rule: one cache, and its changes are those of all.
            1 if same => {
                let changes = changes.into_iter();
                let of_it = changes.filter(|(number, _)| in_use.contains(number));
                of_it.map(|(_, delta)| delta).collect()
            }
            _ => vec![self.merge(&in_use)],
        };
        self.in_use = in_use;
        for delta in deltas.into_iter().filter(|delta| !delta.is_empty()) {
            for vrp in &delta.withdrawn {
                self.merged.remove(vrp);
            }
            self.merged.extend(&delta.announced);
            self.deltas.send(delta).await.map_err(drop)?;
        }
        self.show();
        Ok(())
    }

    /// The caches that have data and a connection, of the best preference that
    /// has any. Without any, it is those whose data counted last, until that is
    /// too old.
    fn preferred(&self) -> BTreeSet<u64> {
        let best = |usable: &dyn Fn(&Cache) -> bool| -> BTreeSet<u64> {
            let usable = || self.caches.iter().filter(|cache| usable(cache));
            let best = usable().map(|cache| cache.config.preference).min();
            usable()
                .filter(|cache| Some(cache.config.preference) == best)
                .map(|cache| cache.number)
                .collect()
        };
        let current = best(&|cache| cache.session.is_current());
        if !current.is_empty() {
            return current;
        }
        let had = |cache: &Cache| cache.session.has_data() && self.in_use.contains(&cache.number);
        let last = best(&had);
        match last.is_empty() {
            true => best(&|cache| cache.session.has_data()),
            false => last,
        }
    }

    /// From what counted to the data of these caches.
    fn merge(&self, in_use: &BTreeSet<u64>) -> Delta {
        let caches = self.caches.iter().filter(|c| in_use.contains(&c.number));
        let wanted: BTreeSet<Vrp> = caches.flat_map(|c| c.session.data()).copied().collect();
        Delta {
            announced: wanted.difference(&self.merged).copied().collect(),
            withdrawn: self.merged.difference(&wanted).copied().collect(),
        }
    }

    fn show(&self) {
        let status = self.caches.iter().map(|cache| CacheStatus {
            config: cache.config.clone(),
            connected: cache.session.is_connected(),
            in_use: self.in_use.contains(&cache.number),
            version: cache.session.version(),
            serial: cache.session.serial(),
            payloads: cache.session.data().len(),
            error: cache.error.clone(),
        });
        let status: Vec<CacheStatus> = status.collect();
        self.shown.send_if_modified(|shown| {
            let news = *shown != status;
            *shown = status;
            news
        });
    }
}

impl Cache {
    /// One read, and the messages that are complete with it. Whether there may
    /// be more.
    fn read(&mut self, changes: &mut Vec<(u64, Delta)>) -> io::Result<bool> {
        let Some(socket) = &self.socket else {
            return Ok(false);
        };
        self.buffer.reserve(pdu::MAX_LENGTH);
        match socket.try_read_buf(&mut self.buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        let now = Instant::now();
        while self.socket.is_some() {
            let actions = match pdu::take(&mut self.buffer) {
                Ok(Some((version, pdu))) => self.session.received(version, pdu, now),
                Ok(None) => break,
                Err(error) => {
                    self.error = Some(error.to_string());
                    self.session.broken(error, now)
                }
            };
            self.carry_out(actions, changes);
        }
        Ok(self.socket.is_some())
    }

    fn carry_out(&mut self, actions: Vec<Action>, changes: &mut Vec<(u64, Delta)>) {
        for action in actions {
            match action {
                Action::Send(version, pdu) => {
                    let mut octets = BytesMut::new();
                    pdu::put(version, &pdu, &mut octets);
                    let sent = self.socket.as_ref().map(|socket| socket.try_write(&octets));
                    // A question is a few octets: who has no room for it does
                    // not read.
                    if !matches!(sent, Some(Ok(count)) if count == octets.len()) {
                        self.error = Some("the cache reads nothing".to_owned());
                        self.socket = None;
                        self.session.closed(Instant::now());
                    }
                }
                Action::Close => self.socket = None,
                Action::Changed(delta) => {
                    self.error = None;
                    changes.push((self.number, delta));
                }
            }
        }
    }
}

/// Connects to the first address that answers.
async fn connect(config: &CacheConfig) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for to in lookup_host((config.host.as_str(), config.port)).await? {
        match connect_from(config.source, to).await {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn connect_from(source: Option<IpAddr>, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = match to {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if let Some(source) = source {
        socket.bind((source, 0).into())?;
    }
    socket.connect(to).await
}

/// The place of a cache that has something to say.
async fn readable(caches: &[Cache]) -> usize {
    let sockets = caches.iter().enumerate();
    let waits = sockets.filter_map(|(at, cache)| {
        let socket = cache.socket.as_ref()?;
        Some(Box::pin(async move {
            // An error is found by reading.
            let _ = socket.readable().await;
            at
        }))
    });
    let waits: Vec<_> = waits.collect();
    if waits.is_empty() {
        return std::future::pending().await;
    }
    select_all(waits).await.0
}
