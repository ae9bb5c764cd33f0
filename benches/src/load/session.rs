//! One BGP session: the handshake, keepalives, and octets in both directions.
//!
//! The generator is a patient peer: it checks only what it needs, has no hold
//! timer of its own (a stalled daemon is a result, not a reason to leave) and
//! connects again after every loss.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

use crate::load::encode::{Encoded, put_message};
use crate::load::open::{AddPath, Open};
use crate::load::prefix::Family;
use crate::load::tracker::Tracker;
use crate::load::walk;

const OPEN: u8 = 1;
const NOTIFICATION: u8 = 3;
const KEEPALIVE: u8 = 4;
/// Octets that one session writes, and reads that it does, before the others
/// have their turn.
const WRITE_BUDGET: usize = 1 << 20;
const READ_BUDGET: usize = 4;

/// How a session comes up.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// The address that the session is bound to.
    pub local: IpAddr,
    /// The daemon's address and port.
    pub remote: SocketAddr,
    /// Listens at `local` on this port instead of connecting.
    pub listen: Option<u16>,
    /// The session's AS number.
    pub asn: u32,
    /// The BGP identifier.
    pub router_id: Ipv4Addr,
    /// The offered hold time in seconds; 0 for none.
    pub hold_time_secs: u16,
    /// The address families offered.
    pub families: Vec<Family>,
    /// What is offered of ADD-PATH (RFC 7911).
    pub add_path: AddPath,
    /// Offers route refresh (RFC 2918). Requests are counted, not answered.
    pub route_refresh: bool,
    /// Offers graceful restart with this time in seconds (RFC 4724).
    pub restart_time_secs: Option<u16>,
    /// The pause between attempts to connect.
    pub retry: Duration,
    /// Sends an End-of-RIB for each family as soon as the session is up: for
    /// sessions that announce nothing.
    pub end_of_rib: bool,
}

impl SessionConfig {
    /// A session from `local` to `remote` with usual capabilities and without
    /// routes of its own.
    pub fn new(local: IpAddr, remote: SocketAddr, asn: u32) -> Self {
        let router_id = match local {
            IpAddr::V4(address) => address,
            IpAddr::V6(address) => {
                let o = address.octets();
                Ipv4Addr::new(10, o[13], o[14], o[15])
            }
        };
        Self {
            local,
            remote,
            listen: None,
            asn,
            router_id,
            hold_time_secs: 240,
            families: vec![Family::Ipv4],
            add_path: AddPath::Off,
            route_refresh: true,
            restart_time_secs: None,
            retry: Duration::from_millis(50),
            end_of_rib: true,
        }
    }
}

/// What a session has done so far.
#[derive(Debug, Clone, Default)]
pub struct SessionStats {
    /// When it was established last.
    pub established: Option<Instant>,
    /// How often it was established.
    pub established_count: u32,
    /// How often it went down after it had been established.
    pub losses: u32,
    /// Why it went down, or did not come up, the last time.
    pub last_error: Option<String>,
    /// Octets received in UPDATE messages, headers included.
    pub octets_received: u64,
    /// Octets written.
    pub octets_sent: u64,
    /// ROUTE-REFRESH messages received.
    pub refresh_requests: u64,
    /// What the daemon said in its last OPEN.
    pub peer_open: Option<Open>,
}

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Tries to connect at this time.
    Idle(Instant),
    Connecting,
    OpenSent,
    OpenConfirm,
    Established,
    /// Closed for good.
    Stopped,
}

/// A session and its socket.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) config: SessionConfig,
    pub(crate) state: State,
    pub(crate) stream: Option<TcpStream>,
    pub(crate) tracker: Option<Tracker>,
    /// What is announced each time the session comes up.
    pub(crate) greeting: Option<Encoded>,
    pub(crate) stats: SessionStats,
    pub(crate) next_keepalive: Option<Instant>,
    /// When the connection was tried.
    pub(crate) tried: Instant,
    keepalive_every: Option<Duration>,
    add_path_receive: bool,
    out: VecDeque<Bytes>,
    /// How much of the first buffer in `out` is written.
    written: usize,
    writable: bool,
    partial: Vec<u8>,
}

impl Session {
    pub(crate) fn new(config: SessionConfig, now: Instant) -> Self {
        Self {
            config,
            state: State::Idle(now),
            stream: None,
            tracker: None,
            greeting: None,
            stats: SessionStats::default(),
            next_keepalive: None,
            tried: now,
            keepalive_every: None,
            add_path_receive: false,
            out: VecDeque::new(),
            written: 0,
            writable: false,
            partial: Vec::new(),
        }
    }

    /// Starts to connect. The socket is ready when it becomes writable.
    pub(crate) fn connect(&mut self) -> io::Result<()> {
        let domain = Domain::for_address(self.config.remote);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        // Buffer sizes stay at the kernel's own tuning: setting them would
        // cap them at the much smaller net.core maximum.
        socket.set_tcp_nodelay(true)?;
        socket.bind(&SocketAddr::new(self.config.local, 0).into())?;
        match socket.connect(&self.config.remote.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(nix::libc::EINPROGRESS) => {}
            Err(error) => return Err(error),
        }
        self.stream = Some(TcpStream::from_std(socket.into()));
        self.state = State::Connecting;
        Ok(())
    }

    /// Takes an accepted connection.
    pub(crate) fn adopt(&mut self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        self.stream = Some(stream);
        self.state = State::Connecting;
    }

    /// The socket became writable.
    pub(crate) fn on_writable(&mut self) -> io::Result<()> {
        let Some(stream) = &self.stream else {
            return Ok(());
        };
        self.writable = true;
        if self.state == State::Connecting {
            if let Some(error) = stream.take_error()? {
                return Err(error);
            }
            match stream.peer_addr() {
                Ok(_) => self.send_open(),
                Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn send_open(&mut self) {
        let open = Open {
            asn: self.config.asn,
            hold_time_secs: self.config.hold_time_secs,
            router_id: self.config.router_id,
            families: self.config.families.clone(),
            four_octet_as: true,
            route_refresh: self.config.route_refresh,
            add_path: self.config.add_path,
            restart_time_secs: self.config.restart_time_secs,
        };
        self.state = State::OpenSent;
        self.queue_message(OPEN, &open.encode());
    }

    fn queue_message(&mut self, kind: u8, body: &[u8]) {
        let mut message = BytesMut::with_capacity(64);
        put_message(&mut message, kind, body);
        self.out.push_back(message.freeze());
    }

    /// Queues encoded messages.
    pub(crate) fn queue(&mut self, encoded: &Encoded) {
        self.out.extend(encoded.chunks.iter().cloned());
    }

    /// Whether all that was queued is in the socket.
    pub(crate) fn drained(&self) -> bool {
        self.out.is_empty()
    }

    /// Sends a keepalive when it is time and nothing else is on its way: an
    /// UPDATE does as well (RFC 4271 section 4.4).
    pub(crate) fn keep_alive(&mut self, now: Instant) {
        if self.next_keepalive.is_some_and(|at| at <= now) {
            if self.out.is_empty() {
                self.queue_message(KEEPALIVE, &[]);
            }
            self.next_keepalive = self.keepalive_every.map(|every| now + every);
        }
    }

    /// Writes what fits. True when there is more that could be written now.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        let Some(stream) = &mut self.stream else {
            return Ok(false);
        };
        let mut budget = WRITE_BUDGET;
        while self.writable
            && let Some(front) = self.out.front()
        {
            if budget == 0 {
                return Ok(true);
            }
            let rest = &front[self.written..];
            match stream.write(&rest[..rest.len().min(budget)]) {
                Ok(count) => {
                    self.stats.octets_sent += count as u64;
                    budget -= count;
                    self.written += count;
                    if self.written == front.len() {
                        self.out.pop_front();
                        self.written = 0;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Reads what is there. True when there may be more.
    pub(crate) fn on_readable(&mut self, scratch: &mut [u8]) -> io::Result<bool> {
        for _ in 0..READ_BUDGET {
            let Some(stream) = &mut self.stream else {
                return Ok(false);
            };
            let held = self.partial.len();
            scratch[..held].copy_from_slice(&self.partial);
            let count = match stream.read(&mut scratch[held..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let now = Instant::now();
            let used = self.messages(&scratch[..held + count], now)?;
            self.partial.clear();
            self.partial.extend_from_slice(&scratch[used..held + count]);
            if let Some(tracker) = &mut self.tracker {
                tracker.judge();
            }
        }
        Ok(true)
    }

    /// Handles whole messages; returns how many octets they had.
    fn messages(&mut self, octets: &[u8], now: Instant) -> io::Result<usize> {
        let mut rest = octets;
        loop {
            match walk::split_message(rest) {
                Ok(Some((kind, body, tail))) => {
                    self.message(kind, body, now)?;
                    rest = tail;
                }
                Ok(None) => return Ok(octets.len() - rest.len()),
                Err(length) => return Err(other(format!("a message of length {length}"))),
            }
        }
    }

    fn message(&mut self, kind: u8, body: &[u8], now: Instant) -> io::Result<()> {
        match kind {
            walk::UPDATE => {
                self.stats.octets_received += body.len() as u64 + 19;
                if let Some(tracker) = &mut self.tracker
                    && !tracker.update(body, self.add_path_receive, now)
                {
                    return Err(other("a malformed UPDATE"));
                }
            }
            KEEPALIVE => {
                if self.state == State::OpenConfirm {
                    self.establish(now);
                }
            }
            OPEN => self.on_open(body, now)?,
            NOTIFICATION => {
                let code = body.first().copied().unwrap_or(0);
                let subcode = body.get(1).copied().unwrap_or(0);
                return Err(other(format!("NOTIFICATION {code}/{subcode} received")));
            }
            5 => self.stats.refresh_requests += 1,
            other_kind => return Err(other(format!("a message of type {other_kind}"))),
        }
        Ok(())
    }

    fn on_open(&mut self, body: &[u8], now: Instant) -> io::Result<()> {
        let open = Open::decode(body).ok_or_else(|| other("a malformed OPEN"))?;
        if !open.four_octet_as {
            return Err(other("the peer has no four-octet AS numbers"));
        }
        let hold = open.hold_time_secs.min(self.config.hold_time_secs);
        self.keepalive_every = match hold {
            0 => None,
            seconds => Some(Duration::from_secs(u64::from(seconds)) / 3),
        };
        self.next_keepalive = self.keepalive_every.map(|every| now + every);
        let receives = matches!(self.config.add_path, AddPath::Receive | AddPath::Both);
        self.add_path_receive = receives && matches!(open.add_path, AddPath::Send | AddPath::Both);
        self.stats.peer_open = Some(open);
        self.queue_message(KEEPALIVE, &[]);
        self.state = State::OpenConfirm;
        Ok(())
    }

    fn establish(&mut self, now: Instant) {
        self.state = State::Established;
        self.stats.established = Some(now);
        self.stats.established_count += 1;
        if let Some(greeting) = self.greeting.clone() {
            self.queue(&greeting);
        }
        if self.config.end_of_rib {
            for family in self.config.families.clone() {
                self.queue(&Encoded::end_of_rib(family));
            }
        }
    }

    /// Whether the daemon has yet to answer.
    pub(crate) fn is_knocking(&self) -> bool {
        matches!(self.state, State::Connecting | State::OpenSent)
    }

    /// Drops the connection; the next attempt is due after the pause.
    pub(crate) fn drop_connection(&mut self, reason: &io::Error, now: Instant) {
        if self.state == State::Established {
            self.stats.losses += 1;
        }
        self.stats.last_error = Some(reason.to_string());
        self.stream = None;
        self.out.clear();
        self.written = 0;
        self.writable = false;
        self.partial.clear();
        self.next_keepalive = None;
        self.keepalive_every = None;
        if let Some(tracker) = &mut self.tracker {
            tracker.clear();
        }
        if self.state != State::Stopped {
            self.state = State::Idle(now + self.config.retry);
        }
    }
}

fn other(message: impl Into<String>) -> io::Error {
    io::Error::other(message.into())
}
