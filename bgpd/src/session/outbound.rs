//! What the core wants a peer to be told, and its way into messages.

use std::sync::Arc;

use bgp_wire::{
    CodecContext, EncodeError, Family, FamilySet, Message, PathAttributes, PeerKind, Prefixes,
    RouteRefresh, RouteRefreshKind, V4, V6, encode_announcements, encode_end_of_rib,
    encode_withdrawals,
};
use bytes::BytesMut;
use holdfast_rib::ExportBatch;
use tokio::sync::Notify;

use super::status::Status;

/// A batch on its way to the writer.
#[derive(Debug)]
pub struct Outbound {
    /// Families whose resend begins with this batch (BoRR, RFC 7313).
    pub begin_refresh: FamilySet,
    /// Whether the peer understands begin and end of a resend.
    pub enhanced_refresh: bool,
    /// The routes.
    pub batch: ExportBatch,
    /// Told when the writer takes the batch: there is room for the next.
    pub ready: Arc<Notify>,
}

impl Outbound {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.begin_refresh.is_empty() && self.batch.is_empty()
    }
}

/// What messages are read and written with before anything was agreed on.
pub const fn initial_context() -> CodecContext {
    CodecContext {
        peer_kind: PeerKind::External,
        four_octet_as: true,
        extended_message: false,
        families: FamilySet::EMPTY,
        add_path_receive: FamilySet::EMPTY,
        add_path_send: FamilySet::EMPTY,
        extended_next_hop: FamilySet::EMPTY,
    }
}

/// Turns a batch into messages, a chunk at a time.
#[derive(Debug)]
pub struct Encoder {
    context: CodecContext,
    begin: Vec<Family>,
    withdrawn: std::vec::IntoIter<Prefixes>,
    announced: std::vec::IntoIter<(Arc<PathAttributes>, Prefixes)>,
    end_of_rib: Vec<Family>,
    end_of_refresh: Vec<Family>,
}

impl Encoder {
    /// An encoder for one batch.
    pub fn new(outbound: Outbound, context: CodecContext) -> Encoder {
        let Outbound {
            begin_refresh,
            enhanced_refresh,
            batch,
            ready: _,
        } = outbound;
        let reversed = |set: FamilySet| {
            let mut list: Vec<Family> = set.iter().collect();
            list.reverse();
            list
        };
        Encoder {
            context,
            begin: reversed(begin_refresh),
            withdrawn: batch.withdrawn.into_iter(),
            announced: batch.announced.into_iter(),
            end_of_rib: reversed(batch.end_of_rib),
            end_of_refresh: if enhanced_refresh {
                reversed(batch.end_of_refresh)
            } else {
                Vec::new()
            },
        }
    }

    /// Appends messages until `buffer` holds about `chunk` octets. Returns
    /// whether there are more.
    pub fn fill(&mut self, buffer: &mut BytesMut, chunk: usize, status: &Status) -> bool {
        while buffer.len() < chunk {
            match self.step(buffer) {
                Some(Wrote::Updates(count)) => status.count_sent_updates(count as u64),
                Some(Wrote::Refresh(message)) => status.count_sent(&message),
                None => return false,
            }
        }
        true
    }

    fn step(&mut self, out: &mut BytesMut) -> Option<Wrote> {
        if let Some(family) = self.begin.pop() {
            return Some(self.mark(family, RouteRefreshKind::Begin, out));
        }
        if let Some(prefixes) = self.withdrawn.next() {
            return Some(Wrote::Updates(self.withdraw(&prefixes, out)));
        }
        if let Some((attributes, prefixes)) = self.announced.next() {
            return Some(Wrote::Updates(self.announce(&attributes, &prefixes, out)));
        }
        if let Some(family) = self.end_of_rib.pop() {
            // The marker is of a fixed size that fits into every message.
            let sent = encode_end_of_rib(family, out).is_ok();
            return Some(Wrote::Updates(usize::from(sent)));
        }
        let family = self.end_of_refresh.pop()?;
        Some(self.mark(family, RouteRefreshKind::End, out))
    }

    fn mark(&self, family: Family, kind: RouteRefreshKind, out: &mut BytesMut) -> Wrote {
        let message = Message::RouteRefresh(RouteRefresh {
            family: family.afi_safi(),
            kind,
        });
        if let Err(error) = message.encode(&self.context, out) {
            tracing::error!(%error, "ROUTE-REFRESH not encoded");
        }
        Wrote::Refresh(message)
    }

    fn withdraw(&self, prefixes: &Prefixes, out: &mut BytesMut) -> usize {
        let result = match prefixes {
            Prefixes::V4(list) => encode_withdrawals::<V4>(&self.context, list, out),
            Prefixes::V6(list) => encode_withdrawals::<V6>(&self.context, list, out),
        };
        result.unwrap_or_else(|error| {
            tracing::error!(%error, "withdrawals not encoded");
            0
        })
    }

    /// Attributes that do not fit into a message cannot be announced: then the
    /// peer must not keep what it had either.
    fn announce(
        &self,
        attributes: &PathAttributes,
        prefixes: &Prefixes,
        out: &mut BytesMut,
    ) -> usize {
        let context = &self.context;
        let result: Result<usize, EncodeError> = match prefixes {
            Prefixes::V4(list) => encode_announcements::<V4>(context, attributes, list, out),
            Prefixes::V6(list) => encode_announcements::<V6>(context, attributes, list, out),
        };
        result.unwrap_or_else(|error| {
            tracing::error!(%error, prefixes = prefixes.len(), "routes withdrawn instead of announced");
            self.withdraw(prefixes, out)
        })
    }
}

enum Wrote {
    Updates(usize),
    Refresh(Message),
}
