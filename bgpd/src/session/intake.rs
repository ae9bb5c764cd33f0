//! From the UPDATEs of one read to what the table is told, in one piece.

use bgp_wire::frame::HEADER_LEN;
use bgp_wire::reader::Reader;
use bgp_wire::{CodecContext, Family, Fault, Frame, Notification, UpdateParts};
use holdfast_rib::{AttrRef, RouteEvent};

use super::attribute_cache::AttributeCache;

/// What a peer said, in the order in which it said it.
#[derive(Debug)]
pub enum Heard {
    /// Something about routes.
    Routes(RouteEvent),
    /// That it has said everything (RFC 4724 section 2).
    EndOfRib(Family),
}

/// UPDATEs that were taken apart and not reported yet.
#[derive(Debug, Default)]
pub(super) struct Intake {
    cache: AttributeCache,
    heard: Vec<Heard>,
    octets: usize,
    updates: u64,
}

/// The UPDATEs between two other messages, or of one read.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) heard: Vec<Heard>,
    /// Octets of the prefixes.
    pub(super) octets: usize,
    pub(super) updates: u64,
}

impl Intake {
    /// Takes an UPDATE apart. What was wrong and can be lived with
    /// (RFC 7606) is returned.
    ///
    /// # Errors
    /// The NOTIFICATION that ends the session.
    pub(super) fn update(
        &mut self,
        context: &CodecContext,
        frame: &Frame,
    ) -> Result<Vec<Fault>, Notification> {
        let body = frame.body();
        let parts = UpdateParts::split(Reader::at(&body, HEADER_LEN))?;
        let block = parts.attribute_block();
        let classic = parts.has_nlri() && context.families.contains(Family::Ipv4Unicast);
        let hash = if classic { self.cache.hash(block) } else { 0 };
        if classic && let Some(set) = self.cache.get(hash, block) {
            let (withdrawn, announced) = parts.packed_prefixes(context, &body)?;
            self.updates += 1;
            self.routes(RouteEvent::Withdraw(withdrawn));
            self.routes(RouteEvent::Announce(set, announced));
            return Ok(Vec::new());
        }
        let update = parts.decode_packed(context, &body)?;
        self.updates += 1;
        for withdrawn in update.withdrawn {
            self.routes(RouteEvent::Withdraw(withdrawn));
        }
        // What another message may do with the same block is in the docs of
        // `attribute_block`.
        let lasting = classic && update.faults.is_empty() && !parts.has_mp_attributes();
        let mut attributes = update.attributes;
        let mut left = update.announced.into_iter().peekable();
        while let Some(announcement) = left.next() {
            let mut own = match left.peek() {
                Some(_) => attributes.clone(),
                None => std::mem::take(&mut attributes),
            };
            own.next_hop = Some(announcement.next_hop);
            let set = AttrRef::received(context.peer_kind, own);
            if lasting {
                self.cache.insert(hash, block, set.clone());
            }
            self.routes(RouteEvent::Announce(set, announcement.prefixes));
        }
        self.heard.extend(update.end_of_rib.map(Heard::EndOfRib));
        Ok(update.faults)
    }

    fn routes(&mut self, event: RouteEvent) {
        let (RouteEvent::Withdraw(prefixes) | RouteEvent::Announce(_, prefixes)) = &event;
        if !prefixes.is_empty() {
            self.octets += prefixes.octets().len();
            self.heard.push(Heard::Routes(event));
        }
    }

    /// What came since the last call; none where no UPDATE did.
    pub(super) fn take(&mut self) -> Option<Batch> {
        (self.updates > 0).then(|| Batch {
            heard: std::mem::take(&mut self.heard),
            octets: std::mem::take(&mut self.octets),
            updates: std::mem::take(&mut self.updates),
        })
    }

    /// The session is over.
    pub(super) fn clear(&mut self) {
        self.cache.clear();
    }

    /// Time passed: gives back memory that was not needed.
    pub(super) fn rest(&mut self) {
        self.cache.rest();
    }
}
