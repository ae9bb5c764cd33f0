//! A path: one route to a prefix, from one source.

use bgp_wire::{Family, PeerKind};
use ipnet::IpNet;

use crate::attrs::{AttrId, AttrRef, Interner};
use crate::bandwidth::Carried;
use crate::decision::Candidate;
use crate::local::LocalSource;
use crate::peer::PeerId;
use crate::policy::DenyReason;
use crate::shared::Shared;
use crate::transform::Route;
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

/// A path in 20 octets: a full table has millions. Attributes before and after
/// import policy are one number where policy changed nothing. The tracked next
/// hop is that of the attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) pre: AttrId,
    /// None where the route is not used.
    pub(crate) post: Option<AttrId>,
    pub(crate) path_id: u32,
    /// The caller's clock, in seconds.
    updated: u32,
    /// Bits 0 to 23 the source, then the flags, then why it was rejected.
    packed: u32,
}

const SOURCE: u32 = 0x00ff_ffff;
/// Sources from here on are our own.
const LOCAL: u32 = SOURCE - 15;
const STALE: u32 = 1 << 24;
const BEST: u32 = 1 << 25;
const MULTIPATH: u32 = 1 << 26;
const REJECTED: u32 = 27;
/// Why a path was rejected has four bits.
const REASON: u32 = 15;
/// Taken over from another table: such a path is never rejected.
const IMPORTED: u32 = REASON << REJECTED;
/// Suppressed since it flaps (RFC 2439), in place of why it was rejected: it was not.
const DAMPED: u32 = 10 << REJECTED;
/// The path is gone; what it was is kept for those who were told of it.
const GHOST: u32 = 1 << 31;

/// What is left of a path that peers were not told of. No ghost is stale.
const SUPPRESSED: u32 = STALE;

/// The highest number that a peer can have.
pub(crate) const MAX_PEER: u32 = LOCAL - 1;

/// What a path is made of.
pub(crate) struct Parts {
    pub(crate) pre: AttrId,
    pub(crate) post: Option<AttrId>,
    pub(crate) source: PathSource,
    pub(crate) path_id: u32,
    pub(crate) updated: u64,
    pub(crate) rejected: Option<Rejection>,
    /// Taken over from another table, which knows how to reach the next hop.
    pub(crate) imported: bool,
}

/// A source in 24 bits.
pub(crate) const fn pack_source(source: PathSource) -> u32 {
    match source {
        PathSource::Local(source) => LOCAL + source as u32,
        PathSource::Peer(PeerId(peer)) => peer & SOURCE,
    }
}

/// The source that was packed.
pub(crate) const fn unpack_source(packed: u32) -> PathSource {
    match packed.checked_sub(LOCAL) {
        None => PathSource::Peer(PeerId(packed)),
        Some(0) => PathSource::Local(LocalSource::Network),
        Some(1) => PathSource::Local(LocalSource::Aggregate),
        Some(2) => PathSource::Local(LocalSource::Connected),
        Some(3) => PathSource::Local(LocalSource::Static),
        Some(4) => PathSource::Local(LocalSource::Kernel),
        Some(_) => PathSource::Local(LocalSource::Table),
    }
}

const fn pack_rejection(rejected: Option<Rejection>) -> u32 {
    match rejected {
        None => 0,
        Some(Rejection::AsPathLoop) => 1,
        Some(Rejection::OriginatorLoop) => 2,
        Some(Rejection::ClusterLoop) => 3,
        Some(Rejection::OwnNextHop) => 4,
        Some(Rejection::MartianNextHop) => 5,
        Some(Rejection::MartianPrefix) => 6,
        Some(Rejection::NoNextHop) => 7,
        Some(Rejection::Policy(DenyReason::NoPolicy)) => 8,
        Some(Rejection::Policy(DenyReason::Filtered)) => 9,
    }
}

impl Path {
    pub(crate) fn new(parts: Parts) -> Path {
        Path {
            pre: parts.pre,
            post: parts.post,
            path_id: parts.path_id,
            updated: u32::try_from(parts.updated).unwrap_or(u32::MAX),
            packed: pack_source(parts.source)
                | match parts.imported {
                    true => IMPORTED,
                    false => pack_rejection(parts.rejected) << REJECTED,
                },
        }
    }

    pub(crate) const fn source(&self) -> PathSource {
        unpack_source(self.packed & SOURCE)
    }

    /// Whether the path is of this source, without taking the source apart.
    pub(crate) fn is_of(&self, source: PathSource) -> bool {
        self.packed & SOURCE == pack_source(source)
    }

    pub(crate) fn rejected(&self) -> Option<Rejection> {
        Some(match self.packed >> REJECTED & REASON {
            0 => return None,
            1 => Rejection::AsPathLoop,
            2 => Rejection::OriginatorLoop,
            3 => Rejection::ClusterLoop,
            4 => Rejection::OwnNextHop,
            5 => Rejection::MartianNextHop,
            6 => Rejection::MartianPrefix,
            7 => Rejection::NoNextHop,
            8 => Rejection::Policy(DenyReason::NoPolicy),
            10 | REASON => return None,
            _ => Rejection::Policy(DenyReason::Filtered),
        })
    }

    /// Whether the path was taken over from another table.
    pub(crate) fn is_imported(&self) -> bool {
        self.packed & IMPORTED == IMPORTED
    }

    /// Whether the path was accepted and takes no part in the decision, since it
    /// flaps.
    pub(crate) fn is_damped(&self) -> bool {
        self.packed & IMPORTED == DAMPED
    }

    /// Says so, of a path that was accepted.
    pub(crate) fn set_damped(&mut self, on: bool) {
        let reason = self.packed & IMPORTED;
        if self.post.is_some() && !self.is_ghost() && (reason == 0 || reason == DAMPED) {
            self.packed = (self.packed & !IMPORTED) | if on { DAMPED } else { 0 };
        }
    }

    pub(crate) fn reach(&self, interner: &Interner) -> Reach {
        let tracked = match self.source() {
            PathSource::Local(_) => None,
            PathSource::Peer(_) if self.is_imported() => None,
            PathSource::Peer(_) => self.post.and_then(|post| interner.reach(post)),
        };
        tracked.map_or(Reach::Always, Reach::Tracked)
    }

    pub(crate) fn updated(&self) -> u64 {
        self.updated.into()
    }

    pub(crate) fn stale(&self) -> bool {
        self.packed & STALE != 0
    }

    pub(crate) fn best(&self) -> bool {
        self.packed & BEST != 0
    }

    pub(crate) fn multipath(&self) -> bool {
        self.packed & MULTIPATH != 0
    }

    fn set(&mut self, bit: u32, on: bool) {
        if on {
            self.packed |= bit;
        } else {
            self.packed &= !bit;
        }
    }

    pub(crate) fn is_ghost(&self) -> bool {
        self.packed & GHOST != 0
    }

    /// What is left of a best path when it is gone. The distance stands where
    /// others have their identifier, what it carried where others have the time.
    pub(crate) fn ghost(told: Route) -> Path {
        Path {
            pre: told.attributes,
            post: Some(told.attributes),
            path_id: told.distance,
            updated: told.carried.bits(),
            packed: pack_source(told.source)
                | GHOST
                | match told.suppressed {
                    true => SUPPRESSED,
                    false => 0,
                },
        }
    }

    /// How far the next hop is, where others are told so: of a path with AIGP.
    pub(crate) fn distance(&self, shared: &Shared) -> u32 {
        if self.is_ghost() {
            return self.path_id;
        }
        let told = |post: &AttrId| shared.interner.has_aigp(*post);
        match self.post.filter(told) {
            Some(_) => match self.reach(&shared.interner) {
                Reach::Always => 0,
                Reach::Tracked(id) => shared.tracker.state(id).map_or(0, |state| state.metric),
            },
            None => 0,
        }
    }

    /// The path as far as anybody is told of it; `carried` together with others,
    /// which a ghost knows itself; that another one is suppressed is up to the caller.
    pub(crate) fn route(&self, shared: &Shared, carried: Carried) -> Option<Route> {
        Some(Route {
            attributes: self.post?,
            source: self.source(),
            distance: self.distance(shared),
            carried: match self.is_ghost() {
                true => Carried::from_bits(self.updated),
                false => carried,
            },
            suppressed: self.is_ghost() && self.packed & SUPPRESSED != 0,
        })
    }

    pub(crate) fn set_stale(&mut self, on: bool) {
        self.set(STALE, on);
    }

    pub(crate) fn set_best(&mut self, on: bool) {
        self.set(BEST, on);
    }

    pub(crate) fn set_multipath(&mut self, on: bool) {
        self.set(MULTIPATH, on);
    }

    /// Takes over what outlives an update: the decision's marks, and the time
    /// where nothing changed. Whether anything that matters to anybody did.
    pub(crate) fn succeed(&mut self, old: &Path) -> bool {
        let marks = BEST | MULTIPATH;
        let changed = self.pre != old.pre
            || self.post != old.post
            || (self.packed ^ old.packed) & !marks != 0;
        if !changed {
            self.updated = old.updated;
        }
        self.packed = (self.packed & !marks) | (old.packed & marks);
        changed
    }

    /// Why the path to `prefix` takes no part in the decision; none for a valid
    /// one.
    pub(crate) fn invalid(
        &self,
        shared: &Shared,
        prefix: impl Copy + Into<IpNet>,
    ) -> Option<Invalid> {
        let Reach::Tracked(id) = self.reach(&shared.interner) else {
            return None;
        };
        let state = shared.tracker.state(id);
        let Some(state) = state.and_then(|state| state.for_paths_to(prefix)) else {
            return Some(Invalid::Unresolved);
        };
        if state.connected {
            return None;
        }
        let PathSource::Peer(peer) = self.source() else {
            return None;
        };
        let needs_connected = shared
            .peer(peer)
            .is_some_and(|peer| !peer.info.is_internal() && !peer.info.ebgp_multihop);
        needs_connected.then_some(Invalid::NotConnected)
    }

    /// Metric to the next hop of the path to `prefix`, where it is resolved.
    pub(crate) fn igp_metric(
        &self,
        shared: &Shared,
        prefix: impl Copy + Into<IpNet>,
    ) -> Option<u32> {
        let Reach::Tracked(id) = self.reach(&shared.interner) else {
            return None;
        };
        let state = shared.tracker.state(id)?.for_paths_to(prefix)?;
        Some(state.metric)
    }

    /// The attributes after import policy.
    pub(crate) fn attributes<'a>(&self, shared: &'a Shared) -> Option<&'a AttrRef> {
        shared.interner.set(self.post?)
    }

    /// The path to `prefix` as the decision sees it; none where it takes no part.
    pub(crate) fn candidate<'a>(
        &self,
        shared: &'a Shared,
        prefix: impl Copy + Into<IpNet>,
    ) -> Option<Candidate<'a>> {
        let attributes = self.attributes(shared)?;
        if self.is_damped() || self.invalid(shared, prefix).is_some() {
            return None;
        }
        let mut candidate = Candidate::local(attributes, &shared.config);
        candidate.weight = attributes.weight();
        candidate.source = self.source();
        candidate.path_id = self.path_id;
        candidate.igp_metric = self.igp_metric(shared, prefix).unwrap_or(0);
        if let PathSource::Peer(id) = candidate.source {
            let info = &shared.peer(id)?.info;
            candidate.local = false;
            candidate.external = info.is_external();
            candidate.confederation = info.kind == PeerKind::Confederation;
            candidate.peer_as = info.remote_as;
            candidate.router_id = attributes.originator_id().unwrap_or(info.router_id);
            candidate.peer_address = info.address;
        }
        Some(candidate)
    }

    /// Whether the path takes part in the decision.
    pub(crate) fn is_usable(&self, shared: &Shared, prefix: impl Copy + Into<IpNet>) -> bool {
        self.post.is_some() && !self.is_damped() && self.invalid(shared, prefix).is_none()
    }

    /// The family's and peer's share in a tracked next hop, if there is one.
    pub(crate) fn track_key(
        &self,
        interner: &Interner,
        family: Family,
    ) -> Option<(u32, crate::nexthop::User)> {
        match (self.reach(interner), self.source()) {
            (Reach::Tracked(id), PathSource::Peer(peer)) => Some((id, (family, peer))),
            (Reach::Always, _) | (Reach::Tracked(_), PathSource::Local(_)) => None,
        }
    }
}

const _: () = assert!(size_of::<Path>() == 20);
