//! The table's public face: every event goes in here, every delta comes out.

use std::net::IpAddr;
use std::sync::Arc;

use bgp_wire::{Family, FamilySet, Update};
use ipnet::IpNet;

use crate::config::RibConfig;
use crate::export::ExportBatch;
use crate::fib::FibChange;
use crate::local::{LocalRoute, LocalSource};
use crate::nexthop::{NextHopState, TrackEvent};
use crate::peer::{PeerId, PeerInfo};
use crate::policy::Policy;
use crate::view::{
    AdvertisedRoute, Page, PeerCounters, PrefixView, ReceivedRoute, Rejection, TableSummary,
};

/// What an UPDATE did, for logs and counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UpdateSummary {
    /// Prefixes announced in negotiated families.
    pub announced: u32,
    /// Prefixes withdrawn in negotiated families, known or not.
    pub withdrawn: u32,
    /// Announced prefixes that are kept but not used.
    pub rejected: u32,
    /// Why, for the first of these.
    pub first_rejection: Option<Rejection>,
}

/// The routing information base: Adj-RIB-In, Loc-RIB and Adj-RIB-Out of every
/// peer, for every family.
///
/// It does no I/O and has no clock: `now` is the caller's, opaque, and comes
/// back in the answers to queries. The same calls in the same order give the
/// same results in the same order.
///
/// Changes are pulled: after any event, ask [`take_tracking`](Self::take_tracking),
/// [`take_fib_changes`](Self::take_fib_changes), and for each peer
/// [`export`](Self::export) while it is [`pending`](Self::pending). Between
/// two pulls changes of a prefix coalesce; only the newest state comes out.
#[derive(Debug)]
pub struct Rib {
    config: RibConfig,
}

// ===== Set-up =====

impl Rib {
    /// An empty table.
    pub fn new(config: RibConfig) -> Rib {
        Rib { config }
    }

    /// The configuration in force.
    pub fn config(&self) -> &RibConfig {
        &self.config
    }

    /// Replaces the configuration and decides everything again, if it differs.
    pub fn set_config(&mut self, config: RibConfig) {
        self.config = config;
    }

    /// Says which addresses are our own: no route may have one as next hop
    /// (RFC 4271 section 5.1.3).
    pub fn set_local_addresses(&mut self, _addresses: &[IpAddr]) {}
}

// ===== Peers =====

impl Rib {
    /// A session is Established. Routes kept stale from the session before
    /// stay until [`end_of_rib`](Self::end_of_rib) or
    /// [`sweep_stale`](Self::sweep_stale). The peer's whole table becomes
    /// pending. A peer that was up is taken down first.
    pub fn peer_up(&mut self, _peer: PeerId, _info: PeerInfo, _policy: Arc<dyn Policy>) {}

    /// A session ended. In the families of `keep_stale` the peer's routes stay
    /// in use and are marked stale (RFC 4724 section 4.2), except for those
    /// that were stale already; in the others they go.
    pub fn peer_down(&mut self, _peer: PeerId, _keep_stale: FamilySet) {}

    /// Changes what is known of a peer that is up, without a new session:
    /// applies both policies and the export rules again.
    pub fn set_peer(&mut self, _peer: PeerId, _info: PeerInfo) {}

    /// Replaces a peer's policy and applies it in both directions.
    pub fn set_policy(&mut self, _peer: PeerId, _policy: Arc<dyn Policy>) {}

    /// Marks all routes of the peer stale: the beginning of an enhanced route
    /// refresh (BoRR, RFC 7313).
    pub fn mark_stale(&mut self, _peer: PeerId, _family: Family) {}

    /// Removes the peer's stale routes: a timer ran out, or EoRR came.
    pub fn sweep_stale(&mut self, _peer: PeerId, _family: Family) {}

    /// The peer's End-of-RIB marker came: what is still stale goes.
    pub fn end_of_rib(&mut self, peer: PeerId, family: Family) {
        self.sweep_stale(peer, family);
    }

    /// The peers that are up, ascending.
    pub fn peers(&self) -> impl Iterator<Item = (PeerId, &PeerInfo)> {
        core::iter::empty()
    }
}

// ===== Routes =====

impl Rib {
    /// Applies an UPDATE of a peer: withdrawals, then announcements. Prefixes
    /// of families that were not negotiated, and everything from a peer that
    /// is not up, are ignored. `now` is kept as the routes' last update.
    pub fn update(&mut self, _peer: PeerId, _update: Update, _now: u64) -> UpdateSummary {
        UpdateSummary::default()
    }

    /// Puts a route of our own into the table, or replaces that of the same
    /// source.
    pub fn originate(&mut self, _prefix: IpNet, _route: LocalRoute, _now: u64) {}

    /// Removes the route of this source. Unknown ones are ignored.
    pub fn withdraw_local(&mut self, _prefix: IpNet, _source: LocalSource) {}

    /// Applies the import policy again to what the peer sent; no route is
    /// asked for again. For when the policy's answers changed.
    pub fn refresh_in(&mut self, _peer: PeerId) {}

    /// Applies the export policy again. With `resend_all` everything is sent
    /// again, changed or not (ROUTE-REFRESH received); else only differences.
    pub fn refresh_out(&mut self, _peer: PeerId, _family: Family, _resend_all: bool) {}

    /// A tracked next hop's state; none where it cannot be reached. Addresses
    /// that are not tracked are ignored.
    pub fn next_hop_changed(&mut self, _addr: IpAddr, _state: Option<NextHopState>) {}
}

// ===== Deltas =====

impl Rib {
    /// Next hops that came into use or fell out of it since the last call.
    pub fn take_tracking(&mut self) -> Vec<TrackEvent> {
        Vec::new()
    }

    /// Prefixes whose forwarding changed since they were last reported, each
    /// once, at most `budget`. Local routes are not forwarded by us. An answer
    /// shorter than `budget` means that nothing is left.
    pub fn take_fib_changes(&mut self, _budget: usize) -> Vec<FibChange> {
        Vec::new()
    }

    /// Whether [`export`](Self::export) has work to do for the peer.
    pub fn pending(&self, _peer: PeerId) -> bool {
        false
    }

    /// The next portion for a peer; looks at no more than `budget` prefixes,
    /// so a portion may be empty though more is [`pending`](Self::pending).
    pub fn export(&mut self, _peer: PeerId, _budget: usize) -> ExportBatch {
        ExportBatch::default()
    }
}

// ===== Queries =====

impl Rib {
    /// The table in order of the prefixes, from the first after `after`.
    pub fn table(&self, _family: Family, _after: Option<IpNet>, _limit: usize) -> Page<PrefixView> {
        Page {
            items: Vec::new(),
            next: None,
        }
    }

    /// One prefix.
    pub fn prefix(&self, _prefix: IpNet) -> Option<PrefixView> {
        None
    }

    /// The most specific prefix that holds the address.
    pub fn longest_match(&self, _addr: IpAddr) -> Option<PrefixView> {
        None
    }

    /// The prefix and everything more specific.
    pub fn longer(&self, _prefix: IpNet, _after: Option<IpNet>, _limit: usize) -> Page<PrefixView> {
        Page {
            items: Vec::new(),
            next: None,
        }
    }

    /// Adj-RIB-In of a peer, before policy.
    pub fn received(
        &self,
        _peer: PeerId,
        _family: Family,
        _after: Option<IpNet>,
        _limit: usize,
    ) -> Page<ReceivedRoute> {
        Page {
            items: Vec::new(),
            next: None,
        }
    }

    /// The prefixes in which the peer has an accepted path, with that peer's
    /// paths alone.
    pub fn accepted(
        &self,
        _peer: PeerId,
        _family: Family,
        _after: Option<IpNet>,
        _limit: usize,
    ) -> Page<PrefixView> {
        Page {
            items: Vec::new(),
            next: None,
        }
    }

    /// Adj-RIB-Out of a peer: what was exported to it.
    pub fn advertised(
        &self,
        _peer: PeerId,
        _family: Family,
        _after: Option<IpNet>,
        _limit: usize,
    ) -> Page<AdvertisedRoute> {
        Page {
            items: Vec::new(),
            next: None,
        }
    }

    /// The peers that a prefix is advertised to, ascending.
    pub fn advertised_to(&self, _prefix: IpNet) -> Vec<PeerId> {
        Vec::new()
    }

    /// Numbers of a family.
    pub fn summary(&self, _family: Family) -> TableSummary {
        TableSummary::default()
    }

    /// Numbers of a peer in a family; zero for an unknown peer.
    pub fn counters(&self, _peer: PeerId, _family: Family) -> PeerCounters {
        PeerCounters::default()
    }
}
