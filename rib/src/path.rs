//! A path: one route to a prefix, from one source.

use bgp_wire::Family;

use crate::attrs::AttrRef;
use crate::decision::Candidate;
use crate::shared::Shared;
use crate::view::{Invalid, PathSource, Rejection};

/// Whether a path's next hop has to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// There is nothing to resolve: our own route, or a link-local next hop on
    /// the interface of the session.
    Always,
    /// The tracked next hop of this number.
    Tracked(u32),
}

/// A path. Attributes before and after import policy are one pointer where
/// policy changed nothing.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    pub(crate) pre: AttrRef,
    pub(crate) post: Option<AttrRef>,
    pub(crate) last_update: u64,
    pub(crate) source: PathSource,
    pub(crate) reach: Reach,
    pub(crate) path_id: u32,
    pub(crate) weight: u32,
    pub(crate) rejected: Option<Rejection>,
    pub(crate) stale: bool,
    pub(crate) best: bool,
    pub(crate) multipath: bool,
}

impl Path {
    /// Whether nothing that matters to anybody differs.
    pub(crate) fn same_as(&self, other: &Path) -> bool {
        self.pre == other.pre
            && self.post == other.post
            && self.reach == other.reach
            && self.weight == other.weight
            && self.rejected == other.rejected
            && self.stale == other.stale
    }

    /// Why the path takes no part in the decision; none for a valid one.
    pub(crate) fn invalid(&self, shared: &Shared) -> Option<Invalid> {
        let Reach::Tracked(id) = self.reach else {
            return None;
        };
        let Some(state) = shared.tracker.state(id) else {
            return Some(Invalid::Unresolved);
        };
        let PathSource::Peer(peer) = self.source else {
            return None;
        };
        let needs_connected = shared
            .peer(peer)
            .is_some_and(|peer| peer.info.is_external() && !peer.info.ebgp_multihop);
        (needs_connected && !state.connected).then_some(Invalid::NotConnected)
    }

    /// Metric to the next hop, where it is resolved.
    pub(crate) fn igp_metric(&self, shared: &Shared) -> Option<u32> {
        match self.reach {
            Reach::Always => None,
            Reach::Tracked(id) => shared.tracker.state(id).map(|state| state.metric),
        }
    }

    /// The path as the decision sees it; none where it takes no part.
    pub(crate) fn candidate<'a>(&'a self, shared: &'a Shared) -> Option<Candidate<'a>> {
        let attributes = self.post.as_ref()?;
        if self.invalid(shared).is_some() {
            return None;
        }
        let mut candidate = Candidate::local(attributes, &shared.config);
        candidate.weight = self.weight;
        candidate.source = self.source;
        candidate.path_id = self.path_id;
        candidate.igp_metric = self.igp_metric(shared).unwrap_or(0);
        if let PathSource::Peer(id) = self.source {
            let info = &shared.peer(id)?.info;
            candidate.local = false;
            candidate.external = info.is_external();
            candidate.peer_as = info.remote_as;
            candidate.router_id = attributes.originator_id.unwrap_or(info.router_id);
            candidate.peer_address = info.address;
        }
        Some(candidate)
    }

    /// The family's and peer's share in a tracked next hop, if there is one.
    pub(crate) fn track_key(&self, family: Family) -> Option<(u32, crate::nexthop::User)> {
        match (self.reach, self.source) {
            (Reach::Tracked(id), PathSource::Peer(peer)) => Some((id, (family, peer))),
            (Reach::Always, _) | (Reach::Tracked(_), PathSource::Local(_)) => None,
        }
    }
}
