//! What the core wants an update group to be told, and its way into messages:
//! encoded once, by the first writer that gets to it.

use std::sync::{Arc, Mutex, PoisonError};

use bgp_wire::{
    CodecContext, EncodeError, Family, FamilySet, NextHop, PathAttributes, PeerKind, Prefixes, V4,
    V6, encode_announcements_noting, encode_withdrawals,
};
use bytes::{Bytes, BytesMut};
use holdfast_rib::{Audience, GroupAnnouncement, GroupBatch, GroupMember};
use tokio::sync::{Notify, OnceCell};

/// Octets in one piece; a keepalive waits for a few of them at most.
const PIECE: usize = 64 * 1024;

/// What one member of an update group is told.
#[derive(Debug)]
pub struct Outbound {
    /// The member, and the next hop that it is told where each has its own.
    pub member: GroupMember,
    /// A resend begins with this batch (BoRR, RFC 7313).
    pub begin_refresh: bool,
    /// The routes.
    pub batch: Arc<SharedBatch>,
    /// The first transfer ends with this batch (RFC 4724 section 2).
    pub end_of_rib: bool,
    /// The resend ends with this batch (EoRR).
    pub end_of_refresh: bool,
    /// Told when the writer takes the batch: there is room for the next.
    pub ready: Arc<Notify>,
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

/// A number for what messages to a peer look like: equal for sessions that can
/// be sent the same octets.
pub fn encoding(context: &CodecContext) -> u32 {
    // Taken apart, so that a new field cannot be forgotten.
    let CodecContext {
        peer_kind,
        four_octet_as,
        extended_message,
        // What is received is nobody's business here.
        families: _,
        add_path_receive: _,
        add_path_send,
        extended_next_hop,
    } = *context;
    let kind = match peer_kind {
        PeerKind::External => 0,
        PeerKind::Internal => 1,
        PeerKind::Confederation => 2,
    };
    let bits = Family::ALL.into_iter().flat_map(|family| {
        [
            add_path_send.contains(family),
            extended_next_hop.contains(family),
        ]
    });
    [four_octet_as, extended_message]
        .into_iter()
        .chain(bits)
        .fold(kind, |number, bit| number << 1 | u32::from(bit))
}

/// A portion for an update group, shared by the writers of its members.
#[derive(Debug)]
pub struct SharedBatch {
    family: Family,
    /// Until somebody has encoded it.
    routes: Mutex<Option<GroupBatch>>,
    parts: OnceCell<Vec<Part>>,
}

impl SharedBatch {
    /// A batch whose members all read messages of one encoding.
    pub fn new(batch: GroupBatch) -> SharedBatch {
        SharedBatch {
            family: batch.group.family(),
            routes: Mutex::new(Some(batch)),
            parts: OnceCell::new(),
        }
    }

    /// The family of its routes.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The messages. The first who asks encodes; those who ask meanwhile wait
    /// without holding up a thread.
    pub async fn parts(&self, context: &CodecContext) -> &[Part] {
        let encode = async || {
            let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
            // Let go of with this: the octets are all that is needed.
            let routes = routes.take();
            routes.map_or_else(Vec::new, |routes| Encoder::new(context).encode(routes))
        };
        self.parts.get_or_init(encode).await
    }
}

/// Messages for some of the members.
#[derive(Debug)]
pub struct Part {
    audience: Audience,
    /// Number of UPDATEs.
    pub updates: u64,
    octets: Bytes,
    /// The next hop that was written where each member has its own.
    own: Option<NextHop>,
    /// Where it was written: offsets of addresses.
    places: Vec<u32>,
}

impl Part {
    /// The messages for a member; none where they are not for it. Only those
    /// whose next hop is another than the one written get a copy.
    pub fn octets_for(&self, member: &GroupMember) -> Option<Bytes> {
        if !self.audience.includes(member.peer) {
            return None;
        }
        match member.next_hop {
            Some(own) if !self.places.is_empty() && self.own != Some(own) => {
                let mut copy = BytesMut::from(&self.octets[..]);
                for at in &self.places {
                    patch(&mut copy, *at as usize, own);
                }
                Some(copy.freeze())
            }
            _ => Some(self.octets.clone()),
        }
    }
}

/// Writes an address over one of the same kind: the members of a group have
/// the same kinds of address.
fn patch(messages: &mut BytesMut, at: usize, next_hop: NextHop) {
    let mut put = |at: usize, octets: &[u8]| {
        if let Some(place) = messages.get_mut(at..at + octets.len()) {
            place.copy_from_slice(octets);
        }
    };
    match next_hop {
        NextHop::V4(address) => put(at, &address.octets()),
        NextHop::V6 { global, link_local } => {
            put(at, &global.octets());
            if let Some(link_local) = link_local {
                put(at + 16, &link_local.octets());
            }
        }
    }
}

/// Turns a batch into messages.
struct Encoder<'a> {
    context: &'a CodecContext,
    done: Vec<Part>,
    audience: Audience,
    updates: u64,
    out: BytesMut,
    own: Option<NextHop>,
    places: Vec<u32>,
}

impl<'a> Encoder<'a> {
    fn new(context: &'a CodecContext) -> Encoder<'a> {
        Encoder {
            context,
            done: Vec::new(),
            audience: Audience::All,
            updates: 0,
            out: BytesMut::new(),
            own: None,
            places: Vec::new(),
        }
    }

    fn encode(mut self, batch: GroupBatch) -> Vec<Part> {
        for (audience, prefixes) in batch.withdrawn {
            self.turn_to(audience, None);
            self.withdraw(&prefixes);
        }
        for announcement in batch.announced {
            self.announce(announcement);
        }
        self.close();
        self.done
    }

    /// Goes on with the part at hand if it is for the same members.
    fn turn_to(&mut self, audience: Audience, own: Option<NextHop>) {
        let other = own.is_some() && self.own.is_some() && own != self.own;
        if audience != self.audience || other || self.out.len() >= PIECE {
            self.close();
            self.audience = audience;
        }
        self.own = self.own.or(own);
    }

    fn close(&mut self) {
        let part = Part {
            audience: self.audience.clone(),
            updates: std::mem::take(&mut self.updates),
            octets: self.out.split().freeze(),
            own: self.own.take(),
            places: std::mem::take(&mut self.places),
        };
        if !part.octets.is_empty() {
            self.done.push(part);
        }
    }

    fn withdraw(&mut self, prefixes: &Prefixes) {
        let (context, out) = (self.context, &mut self.out);
        let result = match prefixes {
            Prefixes::V4(list) => encode_withdrawals::<V4>(context, list, out),
            Prefixes::V6(list) => encode_withdrawals::<V6>(context, list, out),
        };
        match result {
            Ok(count) => self.updates += count as u64,
            Err(error) => tracing::error!(%error, "withdrawals not encoded"),
        }
    }

    /// Attributes that do not fit into a message cannot be announced: then the
    /// peers must not keep what they had either.
    fn announce(&mut self, announcement: GroupAnnouncement) {
        let GroupAnnouncement {
            attributes,
            own_next_hop,
            audience,
            prefixes,
        } = announcement;
        self.turn_to(audience, attributes.next_hop.filter(|_| own_next_hop));
        match self.put(&attributes, &prefixes, own_next_hop) {
            Ok(count) => self.updates += count as u64,
            Err(error) => {
                tracing::error!(%error, prefixes = prefixes.len(), "routes withdrawn instead of announced");
                self.withdraw(&prefixes);
            }
        }
    }

    fn put(
        &mut self,
        attributes: &PathAttributes,
        prefixes: &Prefixes,
        note: bool,
    ) -> Result<usize, EncodeError> {
        let (context, out, places) = (self.context, &mut self.out, &mut self.places);
        let noted = places.len();
        let written = match prefixes {
            Prefixes::V4(list) => {
                encode_announcements_noting::<V4>(context, attributes, list, out, places)
            }
            Prefixes::V6(list) => {
                encode_announcements_noting::<V6>(context, attributes, list, out, places)
            }
        };
        if !note {
            places.truncate(noted);
        }
        written
    }
}
