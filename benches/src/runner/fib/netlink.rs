//! Just enough rtnetlink to write routes in batches and to ask for them.
//!
//! By hand and not by a crate that a daemon under test uses as well, so that
//! an error in one cannot hide in the other. Integers are in the host's order
//! unless it is said otherwise.

use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

pub(super) const NEWROUTE: u16 = 24;
pub(super) const DELROUTE: u16 = 25;
pub(super) const GETROUTE: u16 = 26;
pub(super) const NEWNEXTHOP: u16 = 104;
pub(super) const DELNEXTHOP: u16 = 105;
pub(super) const GETNEXTHOP: u16 = 106;

const ERROR: u16 = 2;
const DONE: u16 = 3;

const REQUEST: u16 = 0x1;
pub(super) const ACK: u16 = 0x4;
pub(super) const REPLACE: u16 = 0x100;
pub(super) const DUMP: u16 = 0x300;
pub(super) const EXCLUSIVE: u16 = 0x200;
pub(super) const CREATE: u16 = 0x400;

/// The family of IPv4 routes.
pub(super) const INET: u8 = 2;
/// The number of the main table.
pub(super) const MAIN: u8 = 254;

const HEADER: usize = 16;
/// Room for what the kernel answers while a batch is still being sent.
const RECEIVE_BUFFER: usize = 16 << 20;
const SCRATCH: usize = 1 << 20;
/// After so many seconds without an answer there will be none.
const SILENCE_SECONDS: i64 = 60;

/// A message from the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    /// What it is, such as [`NEWROUTE`].
    pub(super) kind: u16,
    /// The sequence number of the request.
    pub(super) sequence: u32,
    /// What is behind the header.
    pub(super) body: &'a [u8],
}

impl Message<'_> {
    /// The kernel's verdict if this is one; no error is `Ok`.
    fn verdict(&self) -> Option<Result<(), Errno>> {
        let (code, _) = self.body.split_first_chunk::<4>()?;
        let code = i32::from_ne_bytes(*code);
        (self.kind == ERROR).then(|| match code {
            0 => Ok(()),
            code => Err(Errno::from_raw(code.saturating_neg())),
        })
    }
}

/// The messages in a datagram; ends where it is cut off.
pub(super) fn messages(mut rest: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*rest.first_chunk::<4>()?) as usize;
        let message = rest.get(..length)?;
        let (header, body) = message.split_first_chunk::<HEADER>()?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        let [_, _, _, _, k0, k1, _, _, s0, s1, s2, s3, ..] = *header;
        Some(Message {
            kind: u16::from_ne_bytes([k0, k1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            body,
        })
    })
}

/// The attributes in a body behind its fixed part: type without flags, value.
pub(super) fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [l0, l1, k0, k1] = *rest.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([k0, k1]) & 0x3fff, value))
    })
}

/// Requests that are sent together. Their sequence numbers count from 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    octets: Vec<u8>,
    count: u32,
    /// Where the last request begins.
    last: usize,
}

impl Batch {
    /// The requests as they are on the wire.
    #[cfg(test)]
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// How many requests there are.
    pub(super) fn len(&self) -> usize {
        self.count as usize
    }

    /// Forgets the requests, keeps the room.
    pub(super) fn clear(&mut self) {
        self.octets.clear();
        self.count = 0;
    }

    /// Begins a request; `fixed` is what comes before its attributes.
    pub(super) fn begin(&mut self, kind: u16, flags: u16, fixed: &[u8]) {
        self.last = self.octets.len();
        self.octets.extend_from_slice(&[0; 4]);
        self.octets.extend_from_slice(&kind.to_ne_bytes());
        self.octets
            .extend_from_slice(&(flags | REQUEST).to_ne_bytes());
        self.octets.extend_from_slice(&self.count.to_ne_bytes());
        self.octets.extend_from_slice(&[0; 4]);
        self.octets.extend_from_slice(fixed);
        self.count += 1;
        self.close();
    }

    /// Adds an attribute to the last request.
    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) {
        put_attribute(&mut self.octets, kind, value);
        self.close();
    }

    /// Adds attributes to the last request that are encoded already.
    pub(super) fn append(&mut self, attributes: &[u8]) {
        self.octets.extend_from_slice(attributes);
        self.close();
    }

    /// Makes the kernel acknowledge the last request. It reports errors of
    /// the others all the same.
    pub(super) fn acknowledge_last(&mut self) {
        if let Some(flags) = self.octets.get_mut(self.last + 6..self.last + 8) {
            let with = u16::from_ne_bytes([flags[0], flags[1]]) | ACK;
            flags.copy_from_slice(&with.to_ne_bytes());
        }
    }

    /// Writes the length of the last request as it is now.
    fn close(&mut self) {
        let length = (self.octets.len() - self.last) as u32;
        if let Some(field) = self.octets.get_mut(self.last..self.last + 4) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
    }
}

/// Appends an attribute, padded to four octets.
pub(super) fn put_attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    // The longest one is a list of some tens of next hops.
    let length = (value.len() + 4) as u16;
    out.extend_from_slice(&length.to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// A socket to the routing part of the kernel, of the namespace of the thread
/// that made it.
#[derive(Debug)]
pub(super) struct Socket {
    socket: OwnedFd,
    scratch: Vec<u8>,
}

impl Socket {
    /// Opens one.
    pub(super) fn new() -> nix::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?;
        setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
        let silence = TimeVal::seconds(SILENCE_SECONDS);
        setsockopt(&socket, sockopt::ReceiveTimeout, &silence)?;
        Ok(Self {
            socket,
            scratch: vec![0; SCRATCH],
        })
    }

    /// Sends a batch and reads until its last request is answered. `on` gets
    /// each answer with the number of its request: a message, or the kernel's
    /// verdict.
    pub(super) fn ask(
        &mut self,
        batch: &Batch,
        mut on: impl FnMut(usize, Result<Option<Message<'_>>, Errno>),
    ) -> nix::Result<()> {
        let Some(last) = batch.count.checked_sub(1) else {
            return Ok(());
        };
        send(self.socket.as_raw_fd(), &batch.octets, MsgFlags::empty())?;
        loop {
            let mut through = false;
            let length = recv(
                self.socket.as_raw_fd(),
                &mut self.scratch,
                MsgFlags::empty(),
            )?;
            for message in messages(&self.scratch[..length]) {
                let answer = match message.verdict() {
                    Some(verdict) => verdict.map(|()| None),
                    None => Ok(Some(message)),
                };
                on(message.sequence as usize, answer);
                through |= message.sequence == last;
            }
            if through {
                return Ok(());
            }
        }
    }

    /// Has a batch done whose last request is acknowledged; the error of the
    /// first request that fails.
    pub(super) fn run(&mut self, batch: &Batch) -> nix::Result<()> {
        let mut result = Ok(());
        self.ask(batch, |_, answer| result = result.and(answer.map(drop)))?;
        result
    }

    /// Asks for all there is; `fixed` is what comes before the attributes of
    /// the request.
    pub(super) fn dump(
        &mut self,
        kind: u16,
        fixed: &[u8],
        mut on: impl FnMut(Message<'_>),
    ) -> nix::Result<()> {
        let mut batch = Batch::default();
        batch.begin(kind, DUMP, fixed);
        send(self.socket.as_raw_fd(), &batch.octets, MsgFlags::empty())?;
        loop {
            let length = recv(
                self.socket.as_raw_fd(),
                &mut self.scratch,
                MsgFlags::empty(),
            )?;
            for message in messages(&self.scratch[..length]) {
                if let Some(verdict) = message.verdict() {
                    return verdict;
                }
                if message.kind == DONE {
                    return Ok(());
                }
                on(message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_together_is_taken_apart_again() {
        let mut batch = Batch::default();
        batch.begin(NEWROUTE, CREATE, &[2; 12]);
        batch.attribute(1, &[1, 2, 3]);
        batch.attribute(30, &7u32.to_ne_bytes());
        batch.begin(DELROUTE, 0, &[3; 12]);
        batch.acknowledge_last();
        assert_eq!(batch.len(), 2);
        let all: Vec<Message<'_>> = messages(&batch.octets).collect();
        assert_eq!(
            all.iter().map(|m| (m.kind, m.sequence)).collect::<Vec<_>>(),
            [(NEWROUTE, 0), (DELROUTE, 1)]
        );
        let of_first: Vec<(u16, &[u8])> = attributes(&all[0].body[12..]).collect();
        assert_eq!(
            of_first,
            [(1, &[1, 2, 3][..]), (30, &7u32.to_ne_bytes()[..])]
        );
        assert_eq!(all[1].body, [3; 12]);
        // Flags of the second one, whose length is 28.
        let flags = &batch.octets[batch.octets.len() - 28 + 6..][..2];
        assert_eq!(flags, (REQUEST | ACK).to_ne_bytes());
        batch.clear();
        assert_eq!(batch.len(), 0);
    }

    #[test]
    fn what_is_cut_off_ends_the_list() {
        let mut batch = Batch::default();
        batch.begin(NEWROUTE, 0, &[0; 12]);
        batch.attribute(1, &[9; 4]);
        let cut = &batch.octets[..batch.octets.len() - 1];
        assert_eq!(messages(cut).count(), 0);
        assert_eq!(attributes(&[8, 0, 1, 0, 9, 9]).count(), 0);
        assert_eq!(attributes(&[3, 0, 1, 0, 9, 9]).count(), 0);
        assert_eq!(messages(&[0; 64]).count(), 0);
    }

    #[test]
    fn a_verdict_is_an_error_or_none() {
        let message = |code: i32| {
            let body = code.to_ne_bytes();
            let message = Message {
                kind: ERROR,
                sequence: 0,
                body: &body,
            };
            message.verdict()
        };
        assert_eq!(message(0), Some(Ok(())));
        assert_eq!(message(-17), Some(Err(Errno::EEXIST)));
    }
}
