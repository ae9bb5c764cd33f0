//! What a peer is to be told.

use bgp_wire::{FamilySet, update::Prefixes};

use crate::attrs::AttrRef;

/// A portion of what a peer has to be told, in the order in which it is to be
/// sent: withdrawals first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportBatch {
    /// Prefixes to withdraw, at most one list for each family. All had been
    /// announced.
    pub withdrawn: Vec<Prefixes>,
    /// Announcements: prefixes that share attributes stand together. The
    /// attributes are ready for the wire, the next hop is in them.
    pub announced: Vec<(AttrRef, Prefixes)>,
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
