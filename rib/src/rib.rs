//! The table's public face: every event goes in here, every delta comes out.

mod policies;

use std::net::IpAddr;
use std::sync::Arc;

use bgp_wire::{Family, FamilySet, NextHop, PackedPrefixes, Update, V4, V6};
use ipnet::IpNet;

use crate::attrs::AttrRef;
use crate::config::RibConfig;
use crate::explain::{Explained, Offered};
use crate::export::{ExportBatch, GroupBatch};
use crate::family_rib::FamilyRib;
use crate::fib::{FibAnswer, FibChange};
use crate::group::GroupId;
use crate::local::{LocalRoute, LocalSource};
use crate::nexthop::{NextHopState, TrackEvent, TrackedNextHop};
use crate::path::MAX_PEER;
use crate::peer::{PeerId, PeerInfo};
use crate::policy::{ForwardingPolicy, Policy};
use crate::query::Range;
use crate::shared::{Peer, Rules, Shared};
use crate::transform::own_next_hop;
use crate::view::{
    AdvertisedRoute, Page, PeerCounters, PrefixView, ReceivedRoute, Rejection, TableSummary,
};
use crate::watch::Watcher;

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
    /// Announced prefixes whose AIGP is ignored, since the peer may not set it
    /// (RFC 7311 section 3.3).
    pub aigp_ignored: u32,
}

impl UpdateSummary {
    fn add(&mut self, other: UpdateSummary) {
        self.announced += other.announced;
        self.withdrawn += other.withdrawn;
        self.rejected += other.rejected;
        self.first_rejection = self.first_rejection.or(other.first_rejection);
        self.aigp_ignored += other.aigp_ignored;
    }
}

/// What a peer says about prefixes that it says the same of.
#[derive(Debug, Clone)]
pub enum RouteEvent {
    /// They are gone.
    Withdraw(PackedPrefixes),
    /// They are reached so. Made with [`AttrRef::received`].
    Announce(AttrRef, PackedPrefixes),
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
    pub(crate) shared: Shared,
    pub(crate) v4: FamilyRib<V4>,
    pub(crate) v6: FamilyRib<V6>,
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
use with_family;

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
        if *self.shared.config == config {
            return;
        }
        let before = self.rules();
        self.shared.config = Arc::new(config);
        for family in Family::ALL {
            with_family!(self, family, rib => rib.all_rules_change(&before));
        }
        self.reimport_all();
        for family in Family::ALL {
            with_family!(self, family, rib => {
                rib.decide_all(&mut self.shared);
                rib.unsettle_aggregates();
            });
        }
    }

    /// The next hops that are tracked since paths use them, IPv4 first, by
    /// address.
    pub fn next_hops(&self) -> Vec<TrackedNextHop> {
        self.shared.tracker.in_use()
    }

    /// What export goes by, to be told from what it goes by later.
    fn rules(&self) -> Arc<Rules> {
        Arc::new(self.shared.rules())
    }

    /// Whether somebody takes changes of the forwarding table, which is so
    /// from the start. Without, [`take_fib_changes`](Self::take_fib_changes)
    /// has none, and nothing is kept for it.
    pub fn set_forwarding(&mut self, on: bool) {
        if std::mem::replace(&mut self.shared.forwarding, on) != on {
            for family in Family::ALL {
                with_family!(self, family, rib => rib.set_forwarding(&mut self.shared, on));
            }
        }
    }

    /// What decides which paths of a family packets go by; none lets all pass.
    /// Applied to all that was reported already. What is not reported for it
    /// does not wait for the [gate](Self::set_fib_gate).
    pub fn set_forwarding_policy(
        &mut self,
        family: Family,
        policy: Option<Arc<dyn ForwardingPolicy>>,
    ) {
        if self.shared.forwarding {
            with_family!(self, family, rib => rib.set_forwarding_policy(policy));
        } else {
            with_family!(self, family, rib => rib.forwarding_policy = policy);
        }
    }

    /// Routes of a family that [`take_fib_changes`](Self::take_fib_changes) gave
    /// come out of it once more, changed or not: what the caller makes of them
    /// has changed, such as the interface of a peer, or how they are written.
    pub fn repeat_forwarding(&mut self, family: Family) {
        with_family!(self, family, rib => rib.repeat_forwarding());
    }

    /// Whether peers are told of a route that another one announced only while
    /// the kernel has it, in the form that they are told of (FRR's
    /// `suppress-fib-pending`); off at the start. Every change of the
    /// forwarding table has to be answered then, with
    /// [`fib_answered`](Self::fib_answered), and so has each route that is
    /// there when it is turned on: it comes out of
    /// [`take_fib_changes`](Self::take_fib_changes) once more. Without
    /// [forwarding](Self::set_forwarding) nothing waits.
    pub fn set_fib_gate(&mut self, on: bool) {
        if self.v4.gate.is_some() != on {
            for family in Family::ALL {
                with_family!(self, family, rib => rib.set_gate(on));
            }
        }
    }

    /// Whether peers that are told the same share an update group, which is so
    /// from the start. For peers that come up from now on.
    pub fn set_grouping(&mut self, on: bool) {
        self.shared.grouping = on;
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
}

// ===== Peers =====

impl Rib {
    /// A session is Established. Routes kept stale from the session before
    /// stay, in the families negotiated again, until
    /// [`end_of_rib`](Self::end_of_rib) or [`sweep_stale`](Self::sweep_stale).
    /// The whole table becomes pending for the peer. A peer that was up is
    /// taken down first, keeping nothing. A number that is too large (there is
    /// room for 16 million) is ignored.
    pub fn peer_up(&mut self, peer: PeerId, info: PeerInfo, policy: Arc<dyn Policy>) {
        if self.is_up(peer) {
            self.peer_down(peer, FamilySet::EMPTY);
        }
        if peer.0 > MAX_PEER {
            return;
        }
        let families = info.families;
        // Before anything is said of the new session: what goes with the old
        // one was decided by what the peer was.
        for family in Family::ALL {
            if !families.contains(family) {
                with_family!(self, family, rib => {
                    rib.drop_paths(&mut self.shared, peer, |_| true);
                });
            }
        }
        let before = self.rules();
        let same = before.peer(peer).is_some_and(|old| old.info == info);
        let state = Peer {
            info,
            policy,
            up: true,
            defaults: [None, None],
        };
        self.shared.put_peer(peer, state);
        for family in Family::ALL {
            let negotiated = families.contains(family);
            with_family!(self, family, rib => {
                rib.peer_up(&self.shared, peer, negotiated);
            });
        }
        // Stale routes are judged by what the peer is now.
        self.refresh_in(peer);
        if !same {
            self.source_changed(peer, &before);
        }
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
                rib.close_out(&mut self.shared, peer);
                rib.drop_paths(&mut self.shared, peer, |path| !keep || path.stale());
                rib.mark_stale(peer);
            });
        }
        self.sweep();
    }

    /// Changes what is known of a peer that is up, without a new session:
    /// applies both policies and the export rules again. The families
    /// negotiated stay those of the session.
    pub fn set_peer(&mut self, peer: PeerId, mut info: PeerInfo) {
        let before = self.rules();
        let Some(state) = self.shared.peer_mut(peer) else {
            return;
        };
        info.families = state.info.families;
        if state.info == info {
            return;
        }
        let old = std::mem::replace(&mut state.info, info.clone());
        if old.differs_on_our_side_only(&info) {
            self.our_side_changed(peer, (&old, &info), &before);
            return;
        }
        self.peer_rules_change(peer, &before);
        self.refresh_in(peer);
        self.source_changed(peer, &before);
    }

    /// The addresses of our side of the link came or went: others are told the
    /// same of the peer's routes as before.
    fn our_side_changed(
        &mut self,
        peer: PeerId,
        (old, new): (&PeerInfo, &PeerInfo),
        before: &Arc<Rules>,
    ) {
        let subnets = old.shared_subnets != new.shared_subnets;
        for family in Family::ALL {
            let told = own_next_hop(old, family) != own_next_hop(new, family);
            let taken = old.own_addresses(family) != new.own_addresses(family);
            with_family!(self, family, rib => {
                if told || subnets {
                    rib.peer_rules_change(&mut self.shared, peer, before);
                }
                if taken {
                    rib.reimport(&mut self.shared, peer);
                }
            });
        }
        self.sweep();
    }

    /// Marks all routes of the peer stale: the beginning of an enhanced route
    /// refresh (BoRR, RFC 7313).
    pub fn mark_stale(&mut self, peer: PeerId, family: Family) {
        with_family!(self, family, rib => rib.mark_stale(peer));
    }

    /// Removes the peer's stale routes: a timer ran out, or EoRR came.
    pub fn sweep_stale(&mut self, peer: PeerId, family: Family) {
        with_family!(self, family, rib => {
            rib.drop_paths(&mut self.shared, peer, |path| path.stale());
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

    /// What the peer is told goes by other rules now.
    fn peer_rules_change(&mut self, peer: PeerId, before: &Arc<Rules>) {
        for family in Family::ALL {
            with_family!(self, family, rib => {
                rib.peer_rules_change(&mut self.shared, peer, before);
            });
        }
    }

    /// Decides again about the peer's routes, and has everybody look at the
    /// outcome: the originator's ID and whether the peer is a client are part
    /// of what others are told.
    fn source_changed(&mut self, peer: PeerId, before: &Arc<Rules>) {
        for family in Family::ALL {
            with_family!(self, family, rib => {
                rib.source_changed(&mut self.shared, peer, before);
            });
        }
    }
}

// ===== Routes =====

impl Rib {
    /// Applies an UPDATE of a peer: withdrawals, then announcements. Prefixes
    /// of families that were not negotiated, and everything from a peer that
    /// is not up, are ignored. `now` is kept as the routes' last update: the
    /// caller's clock in seconds, up to 2^32. An End-of-RIB marker is left to
    /// the caller.
    pub fn update(&mut self, peer: PeerId, update: Update, now: u64) -> UpdateSummary {
        let mut summary = UpdateSummary::default();
        let Some(kind) = self.peer(peer).map(|info| info.kind) else {
            return summary;
        };
        let withdrawn = update.withdrawn.iter();
        let mut events: Vec<RouteEvent> = withdrawn
            .map(|list| RouteEvent::Withdraw(PackedPrefixes::from_list(list)))
            .collect();
        for announcement in &update.announced {
            let mut attributes = update.attributes.clone();
            attributes.next_hop = Some(announcement.next_hop);
            events.push(RouteEvent::Announce(
                AttrRef::received(kind, attributes),
                PackedPrefixes::from_list(&announcement.prefixes),
            ));
        }
        for event in &events {
            summary.add(self.apply(peer, event, now));
        }
        summary
    }

    /// Applies one event of a peer, as [`update`](Self::update) does for a
    /// message.
    pub fn apply(&mut self, peer: PeerId, event: &RouteEvent, now: u64) -> UpdateSummary {
        let mut summary = UpdateSummary::default();
        let Some(info) = self.peer(peer).filter(|_| self.is_up(peer)) else {
            return summary;
        };
        let takes_aigp = info.takes_aigp();
        self.shared.now = now;
        let shared = &mut self.shared;
        match event {
            RouteEvent::Withdraw(prefixes) => {
                summary.withdrawn = match prefixes.family() {
                    Family::Ipv4Unicast => self.v4.withdraw(shared, peer, prefixes.iter::<V4>()),
                    Family::Ipv6Unicast => self.v6.withdraw(shared, peer, prefixes.iter::<V6>()),
                };
            }
            RouteEvent::Announce(set, prefixes) => {
                let route = (peer, set, now);
                (summary.announced, summary.rejected, summary.first_rejection) = match prefixes
                    .family()
                {
                    Family::Ipv4Unicast => self.v4.announce(shared, route, prefixes.iter::<V4>()),
                    Family::Ipv6Unicast => self.v6.announce(shared, route, prefixes.iter::<V6>()),
                };
                if set.has_aigp() && !takes_aigp {
                    summary.aigp_ignored = summary.announced;
                }
            }
        }
        self.sweep();
        summary
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
        self.sweep();
    }

    /// Applies the import policy again to what the peer sent; no route is
    /// asked for again. For when the policy's answers changed.
    pub fn refresh_in(&mut self, peer: PeerId) {
        for family in Family::ALL {
            with_family!(self, family, rib => rib.reimport(&mut self.shared, peer));
        }
        self.sweep();
    }

    /// Applies the export policy again. With `resend_all` everything is sent
    /// again, changed or not (ROUTE-REFRESH received); else only differences,
    /// of which there are none unless [`set_policy`](Self::set_policy) gave
    /// the peer another policy.
    pub fn refresh_out(&mut self, peer: PeerId, family: Family, resend_all: bool) {
        with_family!(self, family, rib => {
            rib.refresh_out(&mut self.shared, peer, resend_all);
        });
    }

    /// Has an address tracked before a path has it as next hop: what is known
    /// of it when the paths come need not be told to each of them later. Counts;
    /// [`dismiss_next_hop`](Self::dismiss_next_hop) takes one call back.
    pub fn foresee_next_hop(&mut self, addr: IpAddr) {
        self.shared.tracker.foresee(addr);
    }

    /// Takes [`foresee_next_hop`](Self::foresee_next_hop) back.
    pub fn dismiss_next_hop(&mut self, addr: IpAddr) {
        self.shared.tracker.dismiss(addr);
    }

    /// A tracked next hop's state; none where it cannot be reached. Addresses
    /// that are not tracked are ignored.
    pub fn next_hop_changed(&mut self, addr: IpAddr, state: Option<NextHopState>) {
        let Some((id, was, users)) = self.shared.tracker.set(addr, state) else {
            return;
        };
        let next_hop = (id, was.map_or(0, |state| state.metric));
        for (family, peer) in users {
            with_family!(self, family, rib => {
                rib.next_hop_changed(&mut self.shared, peer, next_hop);
            });
        }
    }
}

// ===== Deltas =====

impl Rib {
    /// Drops what nobody needs any more.
    pub(crate) fn sweep(&mut self) {
        self.v4.let_ghosts_go(&mut self.shared);
        self.v6.let_ghosts_go(&mut self.shared);
        self.shared.interner.sweep();
    }

    /// Next hops that came into use or fell out of it since the last call.
    pub fn take_tracking(&mut self) -> Vec<TrackEvent> {
        self.shared.tracker.take()
    }

    /// Prefixes whose forwarding changed since they were last reported, each
    /// once, at most `budget`. Local routes are not forwarded by us. An answer
    /// shorter than `budget` means that nothing is left.
    pub fn take_fib_changes(&mut self, budget: usize) -> Vec<FibChange> {
        self.settle_aggregates();
        let mut changes = Vec::new();
        self.shared.fib_again = 0;
        for family in Family::ALL {
            with_family!(self, family, rib => {
                rib.take_fib_changes(&mut self.shared, budget, &mut changes);
            });
        }
        self.shared.fib_batch += u64::from(!changes.is_empty());
        self.sweep();
        changes
    }

    /// Counts what changes again and again, until [`end_round`](Self::end_round).
    pub fn begin_round(&mut self) {
        self.v4.begin_round();
        self.v6.begin_round();
    }

    /// How many prefixes of the last changes had been among those before, since
    /// [`begin_round`](Self::begin_round): what was made of them then was in
    /// vain.
    pub fn fib_again(&self) -> usize {
        self.shared.fib_again
    }

    /// How often best paths changed since the last call, and how often those of
    /// prefixes whose best path had changed since
    /// [`begin_round`](Self::begin_round): who was told of it before was told
    /// in vain.
    pub fn take_churn(&mut self) -> (usize, usize) {
        let (v4, v6) = (self.v4.take_churn(), self.v6.take_churn());
        (v4.0 + v6.0, v4.1 + v6.1)
    }

    /// Counts no more, and forgets what it counted by.
    pub fn end_round(&mut self) {
        self.v4.end_round();
        self.v6.end_round();
    }

    /// Next hops of a peer's paths that are forwarded by, each once. Of peers
    /// with the same next hop it may be another one's.
    pub fn fib_next_hops(&self, peer: PeerId) -> impl Iterator<Item = NextHop> + use<> {
        self.shared.fib_routes.next_hops(peer).into_iter()
    }

    /// The number of the last batch of changes that
    /// [`take_fib_changes`](Self::take_fib_changes) gave, from 1; empty ones do
    /// not count.
    pub fn fib_batch(&self) -> u64 {
        self.shared.fib_batch
    }

    /// What became of a prefix in the kernel, now or since it was asked for.
    /// `batch` is the number of the last batch that the forwarding side had
    /// taken when it said so: what it says of an older form of the route is no
    /// answer to the question for this one. Of two answers about a prefix the
    /// later one counts.
    pub fn fib_answered(&mut self, prefix: IpNet, answer: FibAnswer, batch: u64) {
        if let Some(prefix) = <V4 as bgp_wire::AddressFamily>::prefix(prefix) {
            self.v4.fib_answered(prefix, answer, batch);
        } else if let Some(prefix) = <V6 as bgp_wire::AddressFamily>::prefix(prefix) {
            self.v6.fib_answered(prefix, answer, batch);
        }
    }

    /// Notes from now on, or no more, which prefixes change for those who
    /// watch the table. What was noted and not taken is forgotten at the end.
    pub fn set_watching(&mut self, watcher: Watcher, watching: bool) {
        for family in Family::ALL {
            with_family!(self, family, rib => rib.set_watching(watcher, watching));
        }
    }

    /// Prefixes whose best path or set of multipaths changed since they were
    /// last reported, each once, at most `budget`; a prefix may have no path
    /// any more. An answer shorter than `budget` means that nothing is left.
    pub fn take_watched(&mut self, watcher: Watcher, budget: usize) -> Vec<IpNet> {
        self.settle_aggregates();
        let mut changed = Vec::new();
        for family in Family::ALL {
            with_family!(self, family, rib => rib.take_watched(watcher, budget, &mut changed));
        }
        self.sweep();
        changed
    }

    /// Notes every prefix as changed, for a watcher who knows none yet. Of one
    /// who does not watch this is ignored.
    pub fn watch_all(&mut self, watcher: Watcher) {
        for family in Family::ALL {
            with_family!(self, family, rib => rib.watch_all(watcher));
        }
    }

    /// Whether [`take_watched`](Self::take_watched) has something to tell.
    pub fn has_watched(&mut self, watcher: Watcher) -> bool {
        self.settle_aggregates();
        self.v4.has_watched(watcher) || self.v6.has_watched(watcher)
    }

    /// Whether the peer has to be told anything.
    pub fn pending(&self, peer: PeerId) -> bool {
        self.v4.is_pending(peer) || self.v6.is_pending(peer)
    }

    /// The next portion for one peer alone, which leaves its update groups for
    /// that until it is in sync with the table; looks at no more than `budget`
    /// prefixes of each family, so a portion may be empty though more is
    /// [`pending`](Self::pending). A budget of 0 counts as 1.
    pub fn export(&mut self, peer: PeerId, budget: usize) -> ExportBatch {
        self.settle_aggregates();
        let mut batch = ExportBatch::default();
        for family in Family::ALL {
            let part = with_family!(self, family, rib => {
                let number = rib.isolate(&mut self.shared, peer);
                number.and_then(|number| rib.export(&mut self.shared, number, budget.max(1)))
            });
            let Some(mut part) = part.map(|part| part.of_member(peer)) else {
                continue;
            };
            batch.withdrawn.append(&mut part.withdrawn);
            batch.announced.append(&mut part.announced);
            for family in part.end_of_rib.iter() {
                batch.end_of_rib.insert(family);
            }
            for family in part.end_of_refresh.iter() {
                batch.end_of_refresh.insert(family);
            }
        }
        batch
    }

    // ----- update groups -----

    /// Update groups that have to be told something, those with the most
    /// members first.
    pub fn pending_groups(&self) -> Vec<GroupId> {
        let mut groups = Vec::new();
        for family in Family::ALL {
            let pending = with_family!(ref self, family, rib => {
                rib.groups.pending(!rib.is_settled())
            });
            groups.extend(pending.into_iter().map(|number| GroupId { family, number }));
        }
        groups
    }

    /// All update groups.
    pub fn groups(&self) -> Vec<GroupId> {
        let mut groups = Vec::new();
        for family in Family::ALL {
            with_family!(ref self, family, rib => {
                let numbers = rib.groups.iter();
                groups.extend(numbers.map(|(number, _)| GroupId { family, number }));
            });
        }
        groups
    }

    /// The peers of an update group, ascending.
    pub fn members(&self, group: GroupId) -> Vec<PeerId> {
        with_family!(ref self, group.family, rib => {
            rib.groups.get(group.number).map(|group| group.peers())
        })
        .unwrap_or_default()
    }

    /// Whether an update group has to be told anything.
    pub fn group_pending(&self, group: GroupId) -> bool {
        with_family!(ref self, group.family, rib => {
            let settled = rib.is_settled();
            let group = rib.groups.get(group.number);
            group.is_some_and(|group| group.is_pending() || !settled)
        })
    }

    /// The next portion for an update group; looks at no more than `budget`
    /// prefixes, so a portion may be empty though more is pending. When a
    /// group is in sync with the table it may join another one.
    pub fn export_group(&mut self, group: GroupId, budget: usize) -> Option<GroupBatch> {
        self.settle_aggregates();
        with_family!(self, group.family, rib => {
            rib.export(&mut self.shared, group.number, budget.max(1))
        })
    }

    /// Takes a peer out of its update groups: it lags behind, and the others
    /// need not wait. It is told the rest by itself, from the table, and joins
    /// the others again when both have been told everything.
    pub fn isolate(&mut self, peer: PeerId, family: Family) {
        with_family!(self, family, rib => rib.isolate(&mut self.shared, peer));
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

    /// A prefix with all its paths, those that policy refused too, and what
    /// became of each of them.
    pub fn explain(&self, prefix: IpNet) -> Option<Explained> {
        with_family!(ref self, family_of(prefix), rib => rib.explain(&self.shared, prefix))
    }

    /// What export policy of a peer is asked about: the best path of each
    /// prefix that the rules would let it hear of.
    pub fn offered(
        &self,
        peer: PeerId,
        family: Family,
        after: Option<IpNet>,
        limit: usize,
    ) -> Page<Offered> {
        let range = Range {
            within: None,
            after,
            limit,
        };
        with_family!(ref self, family, rib => rib.offered_page(&self.shared, peer, range))
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
        with_family!(ref self, family, rib => rib.received_page(&self.shared, peer, range))
    }

    /// What a peer sent for one prefix, as [`received`](Self::received).
    pub fn received_in(&self, peer: PeerId, prefix: IpNet) -> Page<ReceivedRoute> {
        with_family!(ref self, family_of(prefix), rib => {
            let page = rib.received_page(&self.shared, peer, Range::only(prefix));
            page.only(|route| route.prefix == prefix)
        })
    }

    /// What export policy of a peer is asked about one prefix.
    pub fn offered_in(&self, peer: PeerId, prefix: IpNet) -> Page<Offered> {
        with_family!(ref self, family_of(prefix), rib => {
            let page = rib.offered_page(&self.shared, peer, Range::only(prefix));
            page.only(|route| route.prefix == prefix)
        })
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
        with_family!(ref self, family, rib => rib.advertised_page(&self.shared, peer, range))
    }

    /// The peers that a prefix is advertised to, ascending.
    pub fn advertised_to(&self, prefix: IpNet) -> Vec<PeerId> {
        with_family!(ref self, family_of(prefix), rib => rib.advertised_to(&self.shared, prefix))
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

    /// How often attribute sets are held: by paths, and by notes of what
    /// somebody was told. Zero in an empty table.
    pub fn attribute_holds(&self) -> usize {
        self.shared.interner.users()
    }

    /// Gives back the memory of what only queries need, and room that a table
    /// took that is gone. Until then that room waits for the next one.
    pub fn rest(&mut self) {
        for family in Family::ALL {
            with_family!(self, family, rib => rib.table.rest());
        }
        self.shared.interner.rest();
    }
}
