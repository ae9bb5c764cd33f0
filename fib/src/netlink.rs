//! The two netlink sockets: one that asks and writes, one that listens.
//!
//! They are apart so that a burst of notifications can never crowd out the answer to a write,
//! and so that the listener may overflow and say so without losing an answer.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use ipnet::IpNet;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{SockFilter, SockRef};
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use crate::codec::{self, Body, Dump, Notice, Place};
use crate::handle::FibError;
use crate::object::ObjectOperation;
use crate::reconcile::Operation;

/// Link, IPv4 and IPv6 addresses, IPv4 and IPv6 routes (`RTNLGRP_*`).
const GROUPS: [u32; 5] = [1, 5, 9, 7, 11];
/// `RTNLGRP_NEXTHOP`.
const NEXTHOP_GROUP: u32 = 32;
/// Larger than any datagram the kernel sends here.
const DATAGRAM: usize = 64 << 10;
/// One write is at most this and one message long, in bytes; well below the default send buffer.
const REQUEST: usize = 32 << 10;
/// Holds the errors of a whole batch.
const ANSWER_BUFFER: usize = 2 << 20;
/// The kernel answers a write before the call that sends it returns; this is for when it
/// does not.
const PATIENCE: Duration = Duration::from_secs(10);
/// More datagrams than the monitoring socket has room for.
const QUEUE: usize = 1 << 20;
/// A dump that changes meanwhile is asked for again this often.
const DUMP_ATTEMPTS: u32 = 5;

/// Both sockets, opened but not yet registered with a runtime.
pub(crate) struct RawSockets {
    requests: Socket,
    monitor: Socket,
    /// The kernel has nexthop objects (Linux 5.3).
    pub(crate) objects: bool,
}

/// Opens the sockets in the network namespace `netns`, or in the caller's.
///
/// A socket belongs to the namespace it was opened in for good, so only a short-lived thread
/// has to go there.
pub(crate) async fn open(netns: Option<String>, buffer: usize) -> Result<RawSockets, FibError> {
    let opened = tokio::task::spawn_blocking(move || match netns {
        None => open_here(buffer),
        Some(netns) => std::thread::spawn(move || {
            enter(&netns).map_err(|source| FibError::Socket {
                what: "enter the namespace",
                source,
            })?;
            open_here(buffer)
        })
        .join()
        .unwrap_or(Err(FibError::Closed)),
    });
    opened.await.unwrap_or(Err(FibError::Closed))
}

fn enter(netns: &str) -> io::Result<()> {
    let path = if netns.contains('/') {
        netns.to_owned()
    } else {
        format!("/run/netns/{netns}")
    };
    let file = std::fs::File::open(path)?;
    Ok(setns(file, CloneFlags::CLONE_NEWNET)?)
}

fn open_here(buffer: usize) -> Result<RawSockets, FibError> {
    let fail = |what| move |source| FibError::Socket { what, source };
    let mut requests = Socket::new(NETLINK_ROUTE).map_err(fail("open the request socket"))?;
    let own = requests
        .bind_auto()
        .map_err(fail("bind the request socket"))?;
    requests
        .set_non_blocking(true)
        .map_err(fail("request socket: non-blocking"))?;
    enlarge(&requests, ANSWER_BUFFER);
    // Both are optimisations and old kernels know neither.
    let _ = requests.set_cap_ack(true);
    let _ = requests.set_netlink_get_strict_chk(true);

    let mut monitor = Socket::new(NETLINK_ROUTE).map_err(fail("open the monitoring socket"))?;
    monitor
        .bind_auto()
        .map_err(fail("bind the monitoring socket"))?;
    monitor
        .set_non_blocking(true)
        .map_err(fail("monitoring socket: non-blocking"))?;
    enlarge(&monitor, buffer);
    leave_out_own(&monitor, own.port_number()).map_err(fail("filter the monitoring socket"))?;
    for group in GROUPS {
        monitor
            .add_membership(group)
            .map_err(fail("join the notification groups"))?;
    }
    // An older kernel does not know the group.
    let objects = monitor.add_membership(NEXTHOP_GROUP).is_ok();
    Ok(RawSockets {
        requests,
        monitor,
        objects,
    })
}

/// Keeps the kernel from telling what `own`, the request socket, did to routes and nexthop
/// objects: that is known from the answers, and at a full table it would be most of the work.
fn leave_out_own(monitor: &Socket, own: u32) -> io::Result<()> {
    const LOAD_WORD: u16 = 0x20;
    const LOAD_HALF: u16 = 0x28;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    /// `RTM_NEWROUTE`, `RTM_DELROUTE`, `RTM_NEWNEXTHOP`, `RTM_DELNEXTHOP`.
    const KINDS: [u16; 4] = [24, 25, 104, 105];
    let step = |code, yes, no, value| SockFilter::new(code, yes, no, value);
    // The filter reads in network order what is in the host's.
    let own = u32::from_be_bytes(own.to_ne_bytes());
    let kind = |kind: u16| u32::from(u16::from_be_bytes(kind.to_ne_bytes()));
    let [a, b, c, d] = KINDS.map(kind);
    SockRef::from(monitor).attach_filter(&[
        step(LOAD_WORD, 0, 0, 12),
        step(JUMP_IF_EQUAL, 0, 5, own),
        step(LOAD_HALF, 0, 0, 4),
        step(JUMP_IF_EQUAL, 4, 0, a),
        step(JUMP_IF_EQUAL, 3, 0, b),
        step(JUMP_IF_EQUAL, 2, 0, c),
        step(JUMP_IF_EQUAL, 1, 0, d),
        step(RETURN, 0, 0, u32::MAX),
        step(RETURN, 0, 0, 0),
    ])
}

/// Whether groups take weights above 256, as of Linux 6.12. The release says so: to make a group
/// and see would be news to everyone who listens to the kernel.
pub(crate) fn takes_wide_weights() -> bool {
    kernel_is_at_least((6, 12))
}

/// Whether groups can be resilient, as of Linux 5.13.
pub(crate) fn has_resilient_groups() -> bool {
    kernel_is_at_least((5, 13))
}

fn kernel_is_at_least(version: (u32, u32)) -> bool {
    let release = nix::sys::utsname::uname().map(|names| names.release().to_owned());
    let release = release.ok().and_then(|release| release.into_string().ok());
    release.is_some_and(|release| is_at_least(&release, version))
}

/// Whether a kernel's release, such as `6.12.9-amd64`, is this version or a later one.
fn is_at_least(release: &str, version: (u32, u32)) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next()?.parse::<u32>().ok();
    matches!((number(), number()), (Some(major), Some(minor)) if (major, minor) >= version)
}

/// Past the system's limit where that is allowed, up to it otherwise.
fn enlarge(socket: &Socket, bytes: usize) {
    if setsockopt(&socket.as_fd(), sockopt::RcvBufForce, &bytes).is_err() {
        let _ = setsockopt(&socket.as_fd(), sockopt::RcvBuf, &bytes);
    }
}

/// Why a request has no clean answer.
#[derive(Debug)]
pub(crate) enum RequestError {
    /// Answers were lost; what is in the kernel is not known.
    Lost,
    Io(io::Error),
}

impl From<io::Error> for RequestError {
    fn from(error: io::Error) -> Self {
        if error.raw_os_error() == Some(Errno::ENOBUFS as i32) {
            Self::Lost
        } else {
            Self::Io(error)
        }
    }
}

/// The socket that asks and writes.
pub(crate) struct Requests {
    socket: AsyncFd<Socket>,
    sequence: u32,
    out: Vec<u8>,
    answers: Vec<u8>,
}

impl Requests {
    /// Writes `batch` with as few system calls as its size allows. Returns the operations that
    /// failed, by index; all others were carried out.
    pub(crate) async fn write(
        &mut self,
        batch: &[Operation<impl Copy + Into<IpNet>>],
        place: Place,
    ) -> Result<Vec<(usize, Errno)>, RequestError> {
        self.write_all(batch, |out, operation, sequence| {
            codec::append_operation(out, operation, place, sequence);
        })
        .await
    }

    /// [`write`](Self::write) for nexthop objects.
    pub(crate) async fn write_objects(
        &mut self,
        batch: &[ObjectOperation],
    ) -> Result<Vec<(usize, Errno)>, RequestError> {
        self.write_all(batch, codec::append_object_operation).await
    }

    async fn write_all<T>(
        &mut self,
        batch: &[T],
        append: impl Fn(&mut Vec<u8>, &T, u32),
    ) -> Result<Vec<(usize, Errno)>, RequestError> {
        let mut failed = Vec::new();
        let mut done = 0;
        while let Some(rest) = batch.get(done..).filter(|rest| !rest.is_empty()) {
            let first = self.sequence.wrapping_add(1);
            let count = self.encode(rest, &append);
            self.send().await?;
            self.await_answers(first, count, |index, errno| {
                failed.push((done + index, errno))
            })
            .await?;
            done += count;
        }
        Ok(failed)
    }

    /// Encodes the first of `operations` until [`REQUEST`] bytes are full; returns how many.
    fn encode<T>(&mut self, operations: &[T], append: impl Fn(&mut Vec<u8>, &T, u32)) -> usize {
        self.out.clear();
        let (mut count, mut last) = (0, 0);
        for operation in operations {
            if self.out.len() > REQUEST {
                break;
            }
            last = self.out.len();
            self.sequence = self.sequence.wrapping_add(1);
            append(&mut self.out, operation, self.sequence);
            count += 1;
        }
        codec::ask_for_answer(&mut self.out, last);
        count
    }

    /// Reads until the last of `count` requests from sequence number `first` on is answered.
    async fn await_answers(
        &mut self,
        first: u32,
        count: usize,
        mut failed: impl FnMut(usize, Errno),
    ) -> Result<(), RequestError> {
        loop {
            self.receive().await?;
            for message in codec::messages(&self.answers) {
                let index = message.sequence.wrapping_sub(first) as usize;
                let Body::Ack(errno) = message.body else {
                    continue;
                };
                if index < count && errno != 0 {
                    failed(index, Errno::from_raw(errno));
                }
                if index + 1 == count {
                    return Ok(());
                }
            }
        }
    }

    /// Lists everything of a kind. A table or a family that does not exist is empty.
    pub(crate) async fn dump(
        &mut self,
        dump: Dump,
        mut each: impl FnMut(Notice),
    ) -> Result<(), RequestError> {
        for _ in 0..DUMP_ATTEMPTS {
            self.sequence = self.sequence.wrapping_add(1);
            self.out = codec::dump_request(dump, self.sequence);
            self.send().await?;
            if !self.collect_dump(&mut each).await? {
                return Ok(());
            }
        }
        tracing::debug!(
            ?dump,
            "the kernel's tables keep changing; notifications say the rest"
        );
        Ok(())
    }

    /// Returns whether the dump was interrupted by a change.
    async fn collect_dump(&mut self, each: &mut impl FnMut(Notice)) -> Result<bool, RequestError> {
        let mut interrupted = false;
        loop {
            self.receive().await?;
            for message in codec::messages(&self.answers) {
                if message.sequence != self.sequence {
                    continue;
                }
                interrupted |= message.interrupted;
                match message.body {
                    Body::Notice(notice) => each(notice),
                    Body::Done(0) => return Ok(interrupted),
                    Body::Done(errno) | Body::Ack(errno) => return absent(errno).map(|()| false),
                    Body::Other => {}
                }
            }
        }
    }

    async fn send(&mut self) -> Result<(), RequestError> {
        let kernel = SocketAddr::new(0, 0);
        loop {
            let mut ready = self.socket.writable().await?;
            match ready.try_io(|socket| socket.get_ref().send_to(&self.out, &kernel, 0)) {
                Ok(result) => return Ok(result.map(drop)?),
                Err(_would_block) => continue,
            }
        }
    }

    async fn receive(&mut self) -> Result<(), RequestError> {
        loop {
            self.answers.clear();
            // Mostly the answer is there already, and waiting would cost a turn of the loop.
            match self.socket.get_ref().recv(&mut self.answers, 0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Ok(result.map(drop)?),
            }
            match timeout(PATIENCE, self.socket.readable()).await {
                Ok(ready) => ready?.clear_ready(),
                Err(_elapsed) => return Err(RequestError::Lost),
            }
        }
    }
}

/// Errors that mean "there is nothing": no such table, or a kernel without IPv6.
fn absent(errno: i32) -> Result<(), RequestError> {
    match Errno::from_raw(errno) {
        Errno::ENOENT | Errno::EAFNOSUPPORT | Errno::EOPNOTSUPP => Ok(()),
        _ => Err(RequestError::Io(io::Error::from_raw_os_error(errno))),
    }
}

/// What listening brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing is waiting.
    All,
    /// There may be more; the caller's turn to do something else.
    Enough,
    /// The kernel had to drop notifications (`ENOBUFS`); only a dump tells the truth now.
    Overflow,
}

/// The socket that listens.
pub(crate) struct Monitor {
    socket: AsyncFd<Socket>,
    buffer: Vec<u8>,
}

impl Monitor {
    /// Waits until there may be a notification. [`drain`](Self::drain) must follow, since this
    /// forgets that there is one.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.socket
            .readable()
            .await
            .map(|mut ready| ready.clear_ready())
    }

    /// Throws away what is waiting, which a dump must begin with: once the kernel has said
    /// `ENOBUFS`, it drops notifications without saying so again until its queue was empty
    /// (`netlink_overrun`). What came before the dump would be old news after it, too. Returns
    /// whether the queue was seen empty.
    pub(crate) fn discard(&mut self) -> io::Result<bool> {
        for _ in 0..QUEUE {
            self.buffer.clear();
            match self.socket.get_ref().recv(&mut self.buffer, 0) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Hands over what is waiting, up to `limit` datagrams.
    pub(crate) fn drain(
        &mut self,
        limit: usize,
        mut each: impl FnMut(Notice),
    ) -> io::Result<Heard> {
        for _ in 0..limit {
            self.buffer.clear();
            match self.socket.get_ref().recv(&mut self.buffer, 0) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Heard::All);
                }
                Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {
                    return Ok(Heard::Overflow);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            for message in codec::messages(&self.buffer) {
                if let Body::Notice(notice) = message.body {
                    each(notice);
                }
            }
        }
        Ok(Heard::Enough)
    }
}

/// Registers the sockets with the current runtime.
pub(crate) fn register(raw: RawSockets) -> io::Result<(Requests, Monitor)> {
    let requests = Requests {
        socket: watched(raw.requests)?,
        sequence: 0,
        out: Vec::new(),
        answers: Vec::with_capacity(DATAGRAM),
    };
    let monitor = Monitor {
        socket: watched(raw.monitor)?,
        buffer: Vec::with_capacity(DATAGRAM),
    };
    Ok((requests, monitor))
}

/// The safe constructor is deprecated because it takes types that may close or swap their
/// descriptor while it is watched. `Socket` owns one descriptor and closes it when dropped.
#[allow(deprecated)]
fn watched(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    AsyncFd::new(socket)
}

#[cfg(test)]
mod tests {
    use super::is_at_least;

    #[test]
    fn releases_are_compared_by_number() {
        for release in ["6.12.0", "6.18", "7.0-rc1", "6.100.3-generic", "10.1"] {
            assert!(is_at_least(release, (6, 12)), "{release}");
        }
        for release in ["6.9.1", "5.15.0-91", "6", "", "six.12", "4.19.0+"] {
            assert!(!is_at_least(release, (6, 12)), "{release}");
        }
    }
}
