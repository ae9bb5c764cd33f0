//! The table's public face: every event goes in here, every delta comes out.

use std::net::IpAddr;
use std::sync::Arc;

use bgp_wire::update::{Nlri, Prefixes};
use bgp_wire::{Family, FamilySet, NextHop, Update, V4, V6};
use ipnet::IpNet;

use crate::attrs::AttrRef;
use crate::config::RibConfig;
use crate::export::ExportBatch;
use crate::family_rib::FamilyRib;
use crate::fib::FibChange;
use crate::import::normalise;
use crate::local::{LocalRoute, LocalSource};
use crate::nexthop::{NextHopState, TrackEvent};
use crate::peer::{PeerId, PeerInfo};
use crate::policy::Policy;
use crate::query::Range;
use crate::shared::{Peer, Shared};
use crate::table::RibFamily;
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
    shared: Shared,
    v4: FamilyRib<V4>,
    v6: FamilyRib<V6>,
}

/// Evaluates an expression with `$rib` bound to a family's table.
macro_rules! with_family {
    ($self:ident, $family:expr, $rib:ident => $body:expr) => {
        match $family {
            Family::Ipv4Unicast => {
                let $rib = &mut $self.v4;
                $body
            }
            Family::Ipv6Unicast => {
                let $rib = &mut $self.v6;
                $body
            }
        }
    };
    (ref $self:ident, $family:expr, $rib:ident => $body:expr) => {
        match $family {
            Family::Ipv4Unicast => {
                let $rib = &$self.v4;
                $body
            }
            Family::Ipv6Unicast => {
                let $rib = &$self.v6;
                $body
            }
        }
    };
}

fn family_of(prefix: IpNet) -> Family {
    match prefix {
        IpNet::V4(_) => Family::Ipv4Unicast,
        IpNet::V6(_) => Family::Ipv6Unicast,
    }
}

// ===== Set-up =====

impl Rib {
    /// An empty table.
    pub fn new(config: RibConfig) -> Rib {
        Rib {
            shared: Shared::new(config),
            v4: FamilyRib::new(),
            v6: FamilyRib::new(),
        }
    }

    /// The configuration in force.
    pub fn config(&self) -> &RibConfig {
        &self.shared.config
    }

    /// Replaces the configuration and, if it differs, decides everything
    /// again: loops, best paths, and what everybody is to be told.
    pub fn set_config(&mut self, config: RibConfig) {
        if self.shared.config == config {
            return;
        }
        self.shared.config = config;
        self.reimport_all();
        for family in Family::ALL {
            with_family!(self, family, rib => rib.decide_all(&self.shared));
        }
        for peer in self.known_peers() {
            self.reexport(peer);
        }
    }

    /// Says which addresses are our own: no route may have one as next hop
    /// (RFC 4271 section 5.1.3).
    pub fn set_local_addresses(&mut self, addresses: &[IpAddr]) {
        let mut addresses = addresses.to_vec();
        addresses.sort_unstable();
        addresses.dedup();
        if self.shared.own_addresses != addresses {
            self.shared.own_addresses = addresses;
            self.reimport_all();
        }
    }

    fn reimport_all(&mut self) {
        for peer in self.known_peers() {
            self.refresh_in(peer);
        }
    }

    /// Peers that are or were up, whose routes may be here.
    fn known_peers(&self) -> Vec<PeerId> {
        (0u32..)
            .zip(&self.shared.peers)
            .filter(|(_, peer)| peer.is_some())
            .map(|(id, _)| PeerId(id))
            .collect()
    }

    fn reexport(&mut self, peer: PeerId) {
        for family in Family::ALL {
            self.refresh_out(peer, family, false);
        }
    }
}

// ===== Peers =====

impl Rib {
    /// A session is Established. Routes kept stale from the session before
    /// stay, in the families negotiated again, until
    /// [`end_of_rib`](Self::end_of_rib) or [`sweep_stale`](Self::sweep_stale).
    /// The whole table becomes pending for the peer. A peer that was up is
    /// taken down first, keeping nothing.
    pub fn peer_up(&mut self, peer: PeerId, info: PeerInfo, policy: Arc<dyn Policy>) {
        if self.is_up(peer) {
            self.peer_down(peer, FamilySet::EMPTY);
        }
        let families = info.families;
        let up = true;
        self.shared.put_peer(peer, Peer { info, policy, up });
        for family in Family::ALL {
            let negotiated = families.contains(family);
            with_family!(self, family, rib => {
                rib.peer_up(peer, negotiated);
                if !negotiated {
                    rib.drop_paths(&mut self.shared, peer, |_| true);
                }
            });
        }
        // Stale routes are judged by what the peer is now.
        self.peer_changed(peer);
    }

    /// A session ended. In the families of `keep_stale` the peer's routes stay
    /// in use and are marked stale (RFC 4724 section 4.2), except for those
    /// that were stale already; in the others they go.
    pub fn peer_down(&mut self, peer: PeerId, keep_stale: FamilySet) {
        let Some(state) = self.shared.peer_mut(peer) else {
            return;
        };
        state.up = false;
        for family in Family::ALL {
            let keep = keep_stale.contains(family);
            with_family!(self, family, rib => {
                rib.close_out(peer);
                rib.drop_paths(&mut self.shared, peer, |path| !keep || path.stale);
                rib.mark_stale(peer);
            });
        }
    }

    /// Changes what is known of a peer that is up, without a new session:
    /// applies both policies and the export rules again. The families
    /// negotiated stay those of the session.
    pub fn set_peer(&mut self, peer: PeerId, mut info: PeerInfo) {
        let Some(state) = self.shared.peer_mut(peer) else {
            return;
        };
        info.families = state.info.families;
        if state.info == info {
            return;
        }
        state.info = info;
        self.peer_changed(peer);
        self.reexport(peer);
    }

    /// Replaces a peer's policy and applies it in both directions.
    pub fn set_policy(&mut self, peer: PeerId, policy: Arc<dyn Policy>) {
        if let Some(state) = self.shared.peer_mut(peer) {
            state.policy = policy;
            self.refresh_in(peer);
            self.reexport(peer);
        }
    }

    /// Marks all routes of the peer stale: the beginning of an enhanced route
    /// refresh (BoRR, RFC 7313).
    pub fn mark_stale(&mut self, peer: PeerId, family: Family) {
        with_family!(self, family, rib => rib.mark_stale(peer));
    }

    /// Removes the peer's stale routes: a timer ran out, or EoRR came.
    pub fn sweep_stale(&mut self, peer: PeerId, family: Family) {
        with_family!(self, family, rib => {
            rib.drop_paths(&mut self.shared, peer, |path| path.stale);
        });
    }

    /// The peer's End-of-RIB marker came: what is still stale goes.
    pub fn end_of_rib(&mut self, peer: PeerId, family: Family) {
        self.sweep_stale(peer, family);
    }

    /// The peers that are up, ascending.
    pub fn peers(&self) -> impl Iterator<Item = (PeerId, &PeerInfo)> {
        (0u32..)
            .zip(&self.shared.peers)
            .filter_map(|(id, peer)| Some((PeerId(id), peer.as_ref()?)))
            .filter(|(_, peer)| peer.up)
            .map(|(id, peer)| (id, &peer.info))
    }

    /// What is known of a peer that is up, or was.
    pub fn peer(&self, peer: PeerId) -> Option<&PeerInfo> {
        Some(&self.shared.peer(peer)?.info)
    }

    fn is_up(&self, peer: PeerId) -> bool {
        self.shared.peer(peer).is_some_and(|peer| peer.up)
    }

    /// Imports the peer's routes again, decides again, and has everybody look
    /// at the outcome: the originator's ID and whether the peer is a client
    /// are part of what others are told.
    fn peer_changed(&mut self, peer: PeerId) {
        self.refresh_in(peer);
        for family in Family::ALL {
            with_family!(self, family, rib => rib.peer_changed(&self.shared, peer));
        }
    }
}

// ===== Routes =====

impl Rib {
    /// Applies an UPDATE of a peer: withdrawals, then announcements. Prefixes
    /// of families that were not negotiated, and everything from a peer that
    /// is not up, are ignored. `now` is kept as the routes' last update. An
    /// End-of-RIB marker is left to the caller.
    pub fn update(&mut self, peer: PeerId, update: Update, now: u64) -> UpdateSummary {
        let mut summary = UpdateSummary::default();
        if !self.is_up(peer) {
            return summary;
        }
        let shared = &mut self.shared;
        for prefixes in &update.withdrawn {
            summary.withdrawn += match prefixes {
                Prefixes::V4(list) => withdraw(&mut self.v4, shared, peer, list),
                Prefixes::V6(list) => withdraw(&mut self.v6, shared, peer, list),
            };
        }
        for announcement in &update.announced {
            let Some(attributes) = self.intern(peer, &update, announcement.next_hop) else {
                continue;
            };
            let (shared, route) = (&mut self.shared, (peer, &attributes, now));
            match &announcement.prefixes {
                Prefixes::V4(list) => announce(&mut self.v4, shared, route, list, &mut summary),
                Prefixes::V6(list) => announce(&mut self.v6, shared, route, list, &mut summary),
            }
        }
        summary
    }

    fn intern(&mut self, peer: PeerId, update: &Update, next_hop: NextHop) -> Option<AttrRef> {
        let mut attributes = update.attributes.clone();
        attributes.next_hop = Some(next_hop);
        normalise(&self.shared.peer(peer)?.info, &mut attributes);
        Some(self.shared.interner.intern(attributes))
    }

    /// Puts a route of our own into the table, or replaces that of the same
    /// source.
    pub fn originate(&mut self, prefix: IpNet, route: LocalRoute, now: u64) {
        let shared = &mut self.shared;
        if let Some(prefix) = <V4 as bgp_wire::AddressFamily>::prefix(prefix) {
            self.v4.originate(shared, prefix, route, now);
        } else if let Some(prefix) = <V6 as bgp_wire::AddressFamily>::prefix(prefix) {
            self.v6.originate(shared, prefix, route, now);
        }
    }

    /// Removes the route of this source. Unknown ones are ignored.
    pub fn withdraw_local(&mut self, prefix: IpNet, source: LocalSource) {
        let shared = &mut self.shared;
        if let Some(prefix) = <V4 as bgp_wire::AddressFamily>::prefix(prefix) {
            self.v4.withdraw_local(shared, prefix, source);
        } else if let Some(prefix) = <V6 as bgp_wire::AddressFamily>::prefix(prefix) {
            self.v6.withdraw_local(shared, prefix, source);
        }
    }

    /// Applies the import policy again to what the peer sent; no route is
    /// asked for again. For when the policy's answers changed.
    pub fn refresh_in(&mut self, peer: PeerId) {
        for family in Family::ALL {
            with_family!(self, family, rib => rib.reimport(&mut self.shared, peer));
        }
    }

    /// Applies the export policy again. With `resend_all` everything is sent
    /// again, changed or not (ROUTE-REFRESH received); else only differences.
    pub fn refresh_out(&mut self, peer: PeerId, family: Family, resend_all: bool) {
        with_family!(self, family, rib => rib.refresh_out(peer, resend_all));
    }

    /// A tracked next hop's state; none where it cannot be reached. Addresses
    /// that are not tracked are ignored.
    pub fn next_hop_changed(&mut self, addr: IpAddr, state: Option<NextHopState>) {
        let Some((id, users)) = self.shared.tracker.set(addr, state) else {
            return;
        };
        for (family, peer) in users {
            with_family!(self, family, rib => rib.next_hop_changed(&self.shared, peer, id));
        }
    }
}

/// Withdraws a list of prefixes; how many it were.
fn withdraw<F: RibFamily>(
    rib: &mut FamilyRib<F>,
    shared: &mut Shared,
    peer: PeerId,
    prefixes: &[Nlri<F::Prefix>],
) -> u32 {
    let mut count = 0;
    if rib.out(peer).is_none() {
        return count;
    }
    for nlri in prefixes {
        rib.withdraw(shared, (peer, nlri.path_id), nlri.prefix);
        count += 1;
    }
    count
}

/// Announces a list of prefixes that share attributes.
fn announce<F: RibFamily>(
    rib: &mut FamilyRib<F>,
    shared: &mut Shared,
    (peer, attributes, now): (PeerId, &AttrRef, u64),
    prefixes: &[Nlri<F::Prefix>],
    summary: &mut UpdateSummary,
) {
    if rib.out(peer).is_none() {
        return;
    }
    for nlri in prefixes {
        let path = (peer, nlri.path_id);
        let rejected = rib.announce(shared, path, nlri.prefix, attributes, now);
        summary.announced += 1;
        summary.rejected += u32::from(rejected.is_some());
        summary.first_rejection = summary.first_rejection.or(rejected);
    }
}

// ===== Deltas =====

impl Rib {
    /// Next hops that came into use or fell out of it since the last call.
    pub fn take_tracking(&mut self) -> Vec<TrackEvent> {
        self.shared.tracker.take()
    }

    /// Prefixes whose forwarding changed since they were last reported, each
    /// once, at most `budget`. Local routes are not forwarded by us. An answer
    /// shorter than `budget` means that nothing is left.
    pub fn take_fib_changes(&mut self, budget: usize) -> Vec<FibChange> {
        let mut changes = Vec::new();
        for family in Family::ALL {
            with_family!(self, family, rib => {
                rib.take_fib_changes(&mut self.shared, budget, &mut changes);
            });
        }
        changes
    }

    /// Notes from now on, or no more, which prefixes change for those who
    /// watch the table. What was noted and not taken is forgotten at the end.
    pub fn set_watching(&mut self, watching: bool) {
        for family in Family::ALL {
            with_family!(self, family, rib => rib.set_watching(watching));
        }
    }

    /// Prefixes whose best path or set of multipaths changed since they were
    /// last reported, each once, at most `budget`; a prefix may have no path
    /// any more. An answer shorter than `budget` means that nothing is left.
    pub fn take_watched(&mut self, budget: usize) -> Vec<IpNet> {
        let mut changed = Vec::new();
        for family in Family::ALL {
            with_family!(self, family, rib => rib.take_watched(budget, &mut changed));
        }
        changed
    }

    /// Whether [`export`](Self::export) has work to do for the peer.
    pub fn pending(&self, peer: PeerId) -> bool {
        self.v4.is_pending(peer) || self.v6.is_pending(peer)
    }

    /// The next portion for a peer; looks at no more than `budget` prefixes of
    /// each family, so a portion may be empty though more is
    /// [`pending`](Self::pending). A budget of 0 counts as 1.
    pub fn export(&mut self, peer: PeerId, budget: usize) -> ExportBatch {
        let mut batch = ExportBatch::default();
        let budget = budget.max(1);
        for family in Family::ALL {
            with_family!(self, family, rib => {
                rib.export(&mut self.shared, peer, budget, &mut batch);
            });
        }
        batch
    }
}

// ===== Queries =====

impl Rib {
    /// The table in order of the prefixes, from the first after `after`, at
    /// most `limit` of them.
    pub fn table(&self, family: Family, after: Option<IpNet>, limit: usize) -> Page<PrefixView> {
        let range = Range {
            within: None,
            after,
            limit,
        };
        with_family!(ref self, family, rib => rib.table_page(&self.shared, range))
    }

    /// One prefix.
    pub fn prefix(&self, prefix: IpNet) -> Option<PrefixView> {
        with_family!(ref self, family_of(prefix), rib => rib.lookup(&self.shared, prefix))
    }

    /// The most specific prefix with a path that holds the address.
    pub fn longest_match(&self, addr: IpAddr) -> Option<PrefixView> {
        let family = family_of(IpNet::from(addr));
        with_family!(ref self, family, rib => rib.longest_match(&self.shared, addr))
    }

    /// The prefix and everything more specific, as [`table`](Self::table).
    pub fn longer(&self, prefix: IpNet, after: Option<IpNet>, limit: usize) -> Page<PrefixView> {
        let range = Range {
            within: Some(prefix),
            after,
            limit,
        };
        with_family!(ref self, family_of(prefix), rib => rib.table_page(&self.shared, range))
    }

    /// Adj-RIB-In of a peer, before policy. All of a prefix's add-path routes
    /// come in one piece, so there may be a few more items than `limit`.
    pub fn received(
        &self,
        peer: PeerId,
        family: Family,
        after: Option<IpNet>,
        limit: usize,
    ) -> Page<ReceivedRoute> {
        let range = Range {
            within: None,
            after,
            limit,
        };
        with_family!(ref self, family, rib => rib.received_page(peer, range))
    }

    /// The prefixes in which the peer has an accepted path, with that peer's
    /// paths alone.
    pub fn accepted(
        &self,
        peer: PeerId,
        family: Family,
        after: Option<IpNet>,
        limit: usize,
    ) -> Page<PrefixView> {
        let range = Range {
            within: None,
            after,
            limit,
        };
        with_family!(ref self, family, rib => rib.accepted_page(&self.shared, peer, range))
    }

    /// Adj-RIB-Out of a peer: what was exported to it.
    pub fn advertised(
        &self,
        peer: PeerId,
        family: Family,
        after: Option<IpNet>,
        limit: usize,
    ) -> Page<AdvertisedRoute> {
        let range = Range {
            within: None,
            after,
            limit,
        };
        with_family!(ref self, family, rib => rib.advertised_page(peer, range))
    }

    /// The peers that a prefix is advertised to, ascending.
    pub fn advertised_to(&self, prefix: IpNet) -> Vec<PeerId> {
        with_family!(ref self, family_of(prefix), rib => rib.advertised_to(prefix))
    }

    /// Numbers of a family.
    pub fn summary(&self, family: Family) -> TableSummary {
        with_family!(ref self, family, rib => rib.summary())
    }

    /// Numbers of a peer in a family; zero for an unknown peer.
    pub fn counters(&self, peer: PeerId, family: Family) -> PeerCounters {
        with_family!(ref self, family, rib => rib.counters(peer))
    }

    /// Number of distinct attribute sets held, those not yet swept included.
    pub fn attribute_sets(&self) -> usize {
        self.shared.interner.len()
    }
}
