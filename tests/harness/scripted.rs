//! A peer that says exactly what the test tells it to.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::wire::{self, KEEPALIVE, NOTIFICATION, OPEN, Open};
use super::{Namespace, SOON};

/// What came from the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A message's type and what follows its header.
    Message(u8, Vec<u8>),
    /// The connection ended.
    Closed,
}

/// How the other end took what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Code, subcode and data of a NOTIFICATION.
    Notification(u8, u8, Vec<u8>),
    /// The connection ended without one.
    Closed,
    /// The session goes on.
    Open,
}

/// One TCP connection of a scripted speaker.
pub(crate) struct Scripted {
    stream: TcpStream,
    received: Receiver<Event>,
    /// Dropping it ends the thread that sends keepalives.
    heart: Option<Sender<()>>,
}

impl Scripted {
    /// Connects from `local` in `namespace` to port 179 of `remote`.
    pub(crate) fn connect(
        namespace: &Namespace,
        local: &str,
        remote: &str,
    ) -> std::io::Result<Self> {
        let local: IpAddr = local.parse().expect("an address");
        let remote: IpAddr = remote.parse().expect("an address");
        let stream = namespace.inside(|| dial(local, remote))?;
        Ok(Self::on(stream))
    }

    /// Connects and completes the handshake, trying again until `SOON` is over,
    /// because a router that just closed a session may rest before the next.
    #[track_caller]
    pub(crate) fn establish(namespace: &Namespace, local: &str, remote: &str, open: &Open) -> Self {
        let start = Instant::now();
        let mut last = String::new();
        while start.elapsed() < 2 * SOON {
            match Self::connect(namespace, local, remote) {
                Ok(mut session) => match session.handshake(open) {
                    Ok(()) => return session,
                    Err(seen) => last = seen,
                },
                Err(error) => last = error.to_string(),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("no session from {local} to {remote}: {last}");
    }

    /// Connects until the router answers with its OPEN; nothing is sent yet.
    #[track_caller]
    pub(crate) fn connect_until_open(
        namespace: &Namespace,
        local: &str,
        remote: &str,
    ) -> (Self, Vec<u8>) {
        let start = Instant::now();
        let mut last = String::new();
        while start.elapsed() < 2 * SOON {
            match Self::connect(namespace, local, remote) {
                Ok(session) => match session.next(Duration::from_secs(5)) {
                    Some(Event::Message(OPEN, body)) => return (session, body),
                    other => last = format!("{other:?}"),
                },
                Err(error) => last = error.to_string(),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("no OPEN from {remote} to {local}: {last}");
    }

    /// Takes over a connection that was made elsewhere.
    pub(crate) fn on(stream: TcpStream) -> Self {
        stream.set_nonblocking(false).expect("a socket that blocks");
        // What a test says is on its way before the test goes on.
        stream
            .set_nodelay(true)
            .expect("a socket that waits for nothing");
        let (sender, received) = channel();
        let reader = stream.try_clone().expect("a second handle of the socket");
        std::thread::spawn(move || read_messages(reader, &sender));
        Self {
            stream,
            received,
            heart: None,
        }
    }

    /// Sends an OPEN and a KEEPALIVE, waits for both, and keeps the session
    /// alive from then on.
    pub(crate) fn handshake(&mut self, open: &Open) -> Result<(), String> {
        self.send(&open.bytes());
        match self.next(Duration::from_secs(10)) {
            Some(Event::Message(OPEN, _)) => self.send(&wire::keepalive()),
            other => return Err(format!("no OPEN but {other:?}")),
        }
        match self.next(Duration::from_secs(10)) {
            Some(Event::Message(KEEPALIVE, _)) => {}
            other => return Err(format!("no KEEPALIVE but {other:?}")),
        }
        self.keep_alive();
        Ok(())
    }

    /// Sends keepalives every two seconds from now on.
    pub(crate) fn keep_alive(&mut self) {
        let (heart, beat) = channel::<()>();
        let mut writer = self
            .stream
            .try_clone()
            .expect("a second handle of the socket");
        self.heart = Some(heart);
        std::thread::spawn(move || {
            while beat.recv_timeout(Duration::from_secs(2)) == Err(RecvTimeoutError::Timeout) {
                if writer.write_all(&wire::keepalive()).is_err() {
                    return;
                }
            }
        });
    }

    /// Stops the keepalives.
    pub(crate) fn stop_keepalives(&mut self) {
        self.heart = None;
    }

    /// Sends bytes, whatever they are. A connection that the other end has
    /// closed is no error here; [`Self::next`] tells of it.
    pub(crate) fn send(&self, bytes: &[u8]) {
        drop((&self.stream).write_all(bytes));
    }

    /// The next thing that came; `None` if nothing does in time.
    pub(crate) fn next(&self, deadline: Duration) -> Option<Event> {
        self.received.recv_timeout(deadline).ok()
    }

    /// The next message of a kind; others before it are dropped. `Err` if the
    /// connection ends or nothing comes in time.
    pub(crate) fn wait_kind(&self, kind: u8, deadline: Duration) -> Result<Vec<u8>, String> {
        self.wait_match(deadline, |event| match event {
            Event::Message(found, body) if *found == kind => Some(body.clone()),
            _ => None,
        })
    }

    /// Waits for something that `pick` likes; other events are dropped.
    pub(crate) fn wait_match<T>(
        &self,
        deadline: Duration,
        mut pick: impl FnMut(&Event) -> Option<T>,
    ) -> Result<T, String> {
        let end = Instant::now() + deadline;
        let mut dropped = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Some(event) = self.next(left) else {
                return Err(format!("nothing in time; before that: {dropped:?}"));
            };
            if let Some(found) = pick(&event) {
                return Ok(found);
            }
            if event == Event::Closed {
                return Err(format!("closed; before that: {dropped:?}"));
            }
            dropped.push(event);
        }
    }

    /// What becomes of the session within `deadline`. After a NOTIFICATION the
    /// connection has to be closed, too.
    pub(crate) fn fate(&self, deadline: Duration) -> Fate {
        let found = self.wait_match(deadline, |event| match event {
            Event::Message(NOTIFICATION, body) => {
                Some(Fate::Notification(body[0], body[1], body[2..].to_vec()))
            }
            Event::Closed => Some(Fate::Closed),
            Event::Message(..) => None,
        });
        if matches!(found, Ok(Fate::Notification(..))) {
            let closed = self.wait_match(Duration::from_secs(10), |event| {
                (*event == Event::Closed).then_some(())
            });
            assert!(
                closed.is_ok(),
                "the connection stays open after a NOTIFICATION"
            );
        }
        found.unwrap_or(Fate::Open)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        // The reader's handle would keep the connection open.
        drop(self.stream.shutdown(Shutdown::Both));
    }
}

/// A socket that waits for the router's own connection.
pub(crate) struct Listener(TcpListener);

impl Listener {
    /// Listens on port 179 of an address of the namespace.
    pub(crate) fn bind(namespace: &Namespace, address: &str) -> Self {
        let address = SocketAddr::new(address.parse().expect("an address"), 179);
        let listener = namespace
            .inside(|| TcpListener::bind(address))
            .expect("a listening socket");
        listener
            .set_nonblocking(true)
            .expect("a socket that does not block");
        Self(listener)
    }

    /// The next connection.
    #[track_caller]
    pub(crate) fn accept(&self, deadline: Duration) -> Scripted {
        let stream = super::wait_for(deadline, "the router connects", || {
            self.0
                .accept()
                .map(|(stream, _)| stream)
                .map_err(|error| error.to_string())
        });
        Scripted::on(stream)
    }
}

fn dial(local: IpAddr, remote: IpAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(
        Domain::for_address(SocketAddr::new(remote, 179)),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.bind(&SocketAddr::new(local, 0).into())?;
    socket.connect_timeout(&SocketAddr::new(remote, 179).into(), Duration::from_secs(5))?;
    Ok(socket.into())
}

fn read_messages(mut stream: TcpStream, sender: &Sender<Event>) {
    let mut header = [0; 19];
    while stream.read_exact(&mut header).is_ok() {
        let length = usize::from(u16::from_be_bytes([header[16], header[17]]));
        let mut body = vec![0; length.saturating_sub(19)];
        if stream.read_exact(&mut body).is_err()
            || sender.send(Event::Message(header[18], body)).is_err()
        {
            break;
        }
    }
    drop(sender.send(Event::Closed));
}
