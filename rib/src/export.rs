//! What peers are to be told.

use std::sync::Arc;

use bgp_wire::{FamilySet, NextHop, PathAttributes, update::Prefixes};

use crate::group::GroupId;
use crate::peer::PeerId;
use crate::plan::Audience;

/// A portion of what a peer has to be told, in the order in which it is to be
/// sent: withdrawals first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportBatch {
    /// Prefixes to withdraw. All had been announced.
    pub withdrawn: Vec<Prefixes>,
    /// Announcements: prefixes that share attributes stand together. The
    /// attributes are ready for the wire, the next hop is in them.
    pub announced: Vec<(Arc<PathAttributes>, Prefixes)>,
    /// Families whose first full transfer is complete with this batch: send
    /// End-of-RIB (RFC 4724 section 2) after the rest of it.
    pub end_of_rib: FamilySet,
    /// Families whose requested resend is complete with this batch: send EoRR
    /// (RFC 7313) after the rest of it, where BoRR was sent.
    pub end_of_refresh: FamilySet,
}

impl ExportBatch {
    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.withdrawn.is_empty()
            && self.announced.is_empty()
            && self.end_of_rib.is_empty()
            && self.end_of_refresh.is_empty()
    }
}

/// A member of an update group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupMember {
    /// The peer.
    pub peer: PeerId,
    /// Our address towards it: the next hop of what goes out with
    /// [`GroupAnnouncement::own_next_hop`].
    pub next_hop: Option<NextHop>,
}

/// Prefixes that are announced with the same attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupAnnouncement {
    /// Ready for the wire but for the next hop, which is that of one of the
    /// members where it is each one's own.
    pub attributes: Arc<PathAttributes>,
    /// The next hop is [`GroupMember::next_hop`].
    pub own_next_hop: bool,
    /// Who is told.
    pub audience: Audience,
    /// The prefixes.
    pub prefixes: Prefixes,
}

/// A portion of what an update group has to be told, in the order in which it
/// is to be sent: withdrawals first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupBatch {
    /// The group, of one family.
    pub group: GroupId,
    /// Its members, ascending by peer.
    pub members: Vec<GroupMember>,
    /// Prefixes to withdraw, and from whom. All had been announced.
    pub withdrawn: Vec<(Audience, Prefixes)>,
    /// What to announce, and to whom.
    pub announced: Vec<GroupAnnouncement>,
    /// The first full transfer is complete with this batch: send End-of-RIB
    /// (RFC 4724 section 2) after the rest of it.
    pub end_of_rib: bool,
    /// The requested resend is complete with this batch: send EoRR (RFC 7313)
    /// after the rest of it, where BoRR was sent.
    pub end_of_refresh: bool,
}

impl GroupBatch {
    pub(crate) fn new(group: GroupId, members: Vec<GroupMember>) -> GroupBatch {
        GroupBatch {
            group,
            members,
            withdrawn: Vec::new(),
            announced: Vec::new(),
            end_of_rib: false,
            end_of_refresh: false,
        }
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.withdrawn.is_empty()
            && self.announced.is_empty()
            && !self.end_of_rib
            && !self.end_of_refresh
    }

    /// What one member is told of it.
    pub fn of_member(&self, peer: PeerId) -> ExportBatch {
        let mut batch = ExportBatch::default();
        let Some(member) = self.members.iter().find(|member| member.peer == peer) else {
            return batch;
        };
        for (audience, prefixes) in &self.withdrawn {
            if audience.includes(peer) {
                batch.withdrawn.push(prefixes.clone());
            }
        }
        for part in self.announced.iter().filter(|p| p.audience.includes(peer)) {
            let mut attributes = Arc::clone(&part.attributes);
            if part.own_next_hop && attributes.next_hop != member.next_hop {
                Arc::make_mut(&mut attributes).next_hop = member.next_hop;
            }
            batch.announced.push((attributes, part.prefixes.clone()));
        }
        if self.end_of_rib {
            batch.end_of_rib.insert(self.group.family());
        }
        if self.end_of_refresh {
            batch.end_of_refresh.insert(self.group.family());
        }
        batch
    }
}
