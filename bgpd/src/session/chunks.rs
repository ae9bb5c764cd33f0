//! Messages on their way into a socket, in the pieces that they were made in.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// A queue of pieces, each of whole messages. As a [`Buf`] it is written by as
/// few system calls as it can be.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    list: VecDeque<Bytes>,
    /// Octets of the first piece that are gone.
    sent: usize,
    left: usize,
}

/// Room for pieces that is kept while there are none.
const KEPT: usize = 8;

impl Chunks {
    /// Appends a piece that begins and ends with a message.
    pub(super) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.left += piece.len();
            self.list.push_back(piece);
        }
    }

    /// Pieces that are not gone yet.
    pub(super) fn pieces(&self) -> usize {
        self.list.len()
    }

    /// What is left of the message that the peer has a part of.
    pub(super) fn rest_of_message(&self) -> Bytes {
        let Some(piece) = self.list.front() else {
            return Bytes::new();
        };
        let mut end = 0;
        while end < self.sent {
            let length = match piece.get(end + 16..end + 18) {
                Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
                _ => break,
            };
            end += length.max(1);
        }
        piece.slice(self.sent..end.clamp(self.sent, piece.len()))
    }
}

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.left
    }

    fn chunk(&self) -> &[u8] {
        let first = self.list.front();
        first
            .and_then(|piece| piece.get(self.sent..))
            .unwrap_or_default()
    }

    fn advance(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count);
        self.sent += count;
        while let Some(first) = self.list.front()
            && first.len() <= self.sent
        {
            self.sent -= first.len();
            self.list.pop_front();
        }
        // Hundreds of writers that wait keep nothing for what may come.
        if self.list.is_empty() && self.list.capacity() > KEPT {
            self.list = VecDeque::new();
        }
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let mut skip = self.sent;
        let mut count = 0;
        for (slice, piece) in into.iter_mut().zip(&self.list) {
            *slice = IoSlice::new(piece.get(skip..).unwrap_or_default());
            skip = 0;
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of this length, as far as the queue looks at it.
    fn message(len: u8) -> Vec<u8> {
        let mut message = vec![len; usize::from(len)];
        message[16] = 0;
        message[17] = len;
        message
    }

    #[test]
    fn what_is_left_of_a_message_ends_with_it() {
        let mut chunks = Chunks::default();
        chunks.push([message(20), message(30)].concat().into());
        chunks.push(message(40).into());
        assert_eq!(
            (chunks.remaining(), chunks.rest_of_message().len()),
            (90, 0)
        );
        chunks.advance(25);
        assert_eq!(chunks.rest_of_message(), message(30)[5..]);
        chunks.advance(25);
        assert_eq!(
            (chunks.remaining(), chunks.rest_of_message().len()),
            (40, 0)
        );
        chunks.advance(1);
        assert_eq!(chunks.rest_of_message().len(), 39);
        chunks.advance(39);
        assert!(!chunks.has_remaining());
    }

    #[test]
    fn pieces_are_seen_side_by_side() {
        let mut chunks = Chunks::default();
        chunks.push(message(20).into());
        chunks.push(Bytes::new());
        chunks.push(message(30).into());
        chunks.advance(5);
        let mut slices = [IoSlice::new(&[]); 4];
        assert_eq!(chunks.chunks_vectored(&mut slices), 2);
        assert_eq!((slices[0].len(), slices[1].len()), (15, 30));
        assert_eq!(chunks.chunk().len(), 15);
    }
}
