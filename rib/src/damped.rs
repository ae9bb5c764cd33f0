//! Dampening in the table (RFC 2439): what of what happens to routes is a flap,
//! and what becomes of routes that are suppressed.
//!
//! Routes of external peers are damped, by the instance whose peers they are. A withdrawal is a flap, and so is an
//! announcement with other attributes, after import policy, than the route has.
//! That a session ends is none: what was there goes without a record. Nor is
//! what import policy of ours makes of routes that stay as they came.

use bgp_wire::{AddressFamily, Family, V4, V6};
use ipnet::IpNet;

use crate::dampening::{Dampening, Flap, Flaps, Key};
use crate::family_rib::FamilyRib;
use crate::path::Path;
use crate::peer::{PeerId, PeerInfo};
use crate::query::path_view;
use crate::rib::Rib;
use crate::shared::Shared;
use crate::table::{Place, RibFamily};
use crate::view::{Page, PathSource, PathView, PrefixView};

impl PathView {
    /// Whether the path is withdrawn, and listed since it flaps.
    pub fn is_withdrawn(&self) -> bool {
        self.flapping.is_some_and(|flapping| flapping.withdrawn)
    }

    /// Whether the path is suppressed since it flaps.
    pub fn is_damped(&self) -> bool {
        self.flapping.is_some_and(|flapping| flapping.suppressed)
    }
}

impl<F: RibFamily> FamilyRib<F> {
    // ===== flaps =====

    /// Whether a peer's routes are damped.
    fn damps(&self, shared: &Shared, peer: PeerId) -> bool {
        let damped = |info: &PeerInfo| info.is_external() && info.imported.is_none();
        let external = shared.peer(peer).is_some_and(|p| damped(&p.info));
        let flaps = self.flaps.as_ref().filter(|_| external);
        flaps.is_some_and(|flaps| flaps.profile(peer).is_some())
    }

    /// A path about to take the place of another one, or a new place.
    pub(crate) fn judge(
        &mut self,
        shared: &mut Shared,
        slot: u32,
        place: Option<Place>,
        mut path: Path,
    ) -> Path {
        let (PathSource::Peer(peer), Some(post)) = (path.source(), path.post) else {
            return path;
        };
        if !self.damps(shared, peer) {
            return path;
        }
        let key = (slot, peer, path.path_id);
        let old = place.and_then(|place| self.table.path_mut(slot, place)?.post);
        let Some(flaps) = &mut self.flaps else {
            return path;
        };
        if old == Some(post) {
            path.set_damped(flaps.get(key).is_some_and(|record| record.suppressed));
            return path;
        }
        if old.is_some() {
            flaps.flap(key, Flap::Changed, shared.clock);
        }
        let (was, suppressed) = flaps.announced(key, shared.clock);
        path.set_damped(suppressed);
        if let Some(was) = was.and_then(|was| was.post) {
            shared.interner.release(was);
        }
        path
    }

    /// A path is about to be taken out, since its peer withdraws it.
    pub(crate) fn note_withdrawal(
        &mut self,
        shared: &mut Shared,
        slot: u32,
        (peer, path_id): (PeerId, u32),
    ) {
        if !self.damps(shared, peer) {
            return;
        }
        let source = PathSource::Peer(peer);
        let mut paths = self.table.paths(slot).map(|(_, path)| path);
        let path = paths.find(|path| path.is_of(source) && path.path_id == path_id);
        let Some(mut path) = path.filter(|path| path.post.is_some()).copied() else {
            return;
        };
        drop(paths);
        path.set_best(false);
        path.set_multipath(false);
        path.set_stale(false);
        if let (Some(flaps), Some(post)) = (&mut self.flaps, path.post) {
            shared.interner.hold(post);
            flaps.flap((slot, peer, path_id), Flap::Withdrawn(path), shared.clock);
        }
    }

    /// A path is gone: unless it was withdrawn, nothing is kept of it.
    pub(crate) fn forget_flaps(&mut self, slot: u32, path: &Path) {
        let PathSource::Peer(peer) = path.source() else {
            return;
        };
        if let Some(flaps) = &mut self.flaps {
            let key = (slot, peer, path.path_id);
            if flaps
                .get(key)
                .is_some_and(|known| known.withdrawn.is_none())
            {
                flaps.forget(key);
            }
        }
    }

    /// Whether a route, if it is there, is suppressed.
    pub(crate) fn is_suppressing(&self, key: Key) -> bool {
        let record = self.flaps.as_ref().and_then(|flaps| flaps.get(key));
        record.is_some_and(|record| record.suppressed)
    }

    // ===== release =====

    /// Does what is due.
    fn release_damped(&mut self, shared: &mut Shared) {
        while let Some(flaps) = &mut self.flaps
            && let Some(released) = flaps.release(shared.clock)
        {
            let forgotten = released.forgotten.and_then(|record| record.withdrawn);
            self.resolve_flaps(shared, released.key, forgotten, released.usable);
        }
    }

    /// Forgets the routes that `which` says; those that were suppressed are
    /// used.
    fn forget_where(&mut self, shared: &mut Shared, which: impl Fn(Key) -> bool) {
        let Some(flaps) = &mut self.flaps else { return };
        let keys: Vec<Key> = flaps.keys().filter(|key| which(*key)).collect();
        for key in keys {
            let record = self.flaps.as_mut().and_then(|flaps| flaps.forget(key));
            if let Some(record) = record {
                self.resolve_flaps(shared, key, record.withdrawn, record.suppressed);
            }
        }
        if self.flaps.as_ref().is_some_and(|flaps| flaps.is_idle()) {
            self.flaps = None;
        }
    }

    /// A route may be used, or what it was is forgotten.
    fn resolve_flaps(&mut self, shared: &mut Shared, key: Key, was: Option<Path>, usable: bool) {
        let (slot, peer, path_id) = key;
        if let Some(was) = was.and_then(|was| was.post) {
            shared.interner.release(was);
        }
        if usable {
            let before = self.before(shared, slot);
            let mut found = false;
            for place in self.places(slot, PathSource::Peer(peer)) {
                if let Some(path) = self.table.path_mut(slot, place)
                    && path.path_id == path_id
                    && path.is_damped()
                {
                    path.set_damped(false);
                    found = true;
                }
            }
            if found {
                self.decide(shared, slot, before);
            }
        }
        self.release_if_idle(slot);
    }

    fn set_dampening(
        &mut self,
        shared: &mut Shared,
        peer: Option<PeerId>,
        settings: Option<Dampening>,
    ) {
        let flaps = self.flaps.get_or_insert_with(Box::<Flaps>::default);
        let own = |flaps: &Flaps| -> Vec<PeerId> {
            let of = flaps.keys().map(|(_, peer, _)| peer);
            of.filter(|peer| flaps.is_own(*peer)).collect()
        };
        let own = match peer {
            None => own(flaps),
            Some(_) => Vec::new(),
        };
        let changed = flaps.set(peer, settings);
        self.forget_where(shared, |(_, of, _)| match peer {
            _ if !changed => false,
            Some(peer) => peer == of,
            None => !own.contains(&of),
        });
    }

    // ===== queries =====

    /// Says of paths how they flap, and adds those that are withdrawn.
    pub(crate) fn add_flapping(
        &self,
        shared: &Shared,
        slot: u32,
        show: &impl Fn(&Path) -> bool,
        paths: &mut Vec<PathView>,
    ) {
        let Some(flaps) = &self.flaps else { return };
        let Some(prefix) = self.table.get(slot).map(|entry| entry.prefix) else {
            return;
        };
        for (key, record) in flaps.of(slot) {
            let flapping = flaps.view(key, shared.clock);
            let (_, peer, path_id) = key;
            if let Some(was) = &record.withdrawn {
                let view = path_view(shared, prefix, was).filter(|_| show(was));
                paths.extend(view.map(|view| PathView {
                    flapping,
                    invalid: None,
                    igp_metric: None,
                    ..view
                }));
                continue;
            }
            let of = |path: &&mut PathView| {
                path.source == PathSource::Peer(peer) && path.path_id == path_id
            };
            if let Some(path) = paths.iter_mut().find(of) {
                path.flapping = flapping;
            }
        }
    }

    /// Whether a path to the prefix is withdrawn and remembered.
    pub(crate) fn has_withdrawn(&self, slot: u32) -> bool {
        let flaps = self.flaps.as_ref();
        flaps.is_some_and(|flaps| flaps.of(slot).any(|(_, record)| record.withdrawn.is_some()))
    }

    fn flapping_page(
        &self,
        shared: &Shared,
        after: Option<IpNet>,
        limit: usize,
    ) -> Page<PrefixView> {
        let mut slots: Vec<(F::Prefix, u32)> = Vec::new();
        let mut from = 0;
        while let Some(slot) = self.flaps.as_ref().and_then(|f| f.slots().next_from(from)) {
            from = slot.saturating_add(1);
            let prefix = self.table.get(slot).map(|entry| entry.prefix);
            slots.extend(prefix.map(|prefix| (prefix, slot)));
        }
        slots.sort_unstable();
        let after = after.and_then(F::prefix);
        let mut rest = slots
            .into_iter()
            .filter(|(prefix, _)| Some(*prefix) > after);
        let mut page = Page {
            items: Vec::new(),
            next: None,
        };
        for (prefix, slot) in rest.by_ref() {
            let view = self.view(shared, slot, |_| true).map(|mut view| {
                view.paths.retain(|path| path.flapping.is_some());
                view
            });
            page.items
                .extend(view.filter(|view| !view.paths.is_empty()));
            if page.items.len() >= limit.max(1) {
                page.next = rest.next().map(|_| prefix.into());
                break;
            }
        }
        page
    }
}

// ===== the public face =====

impl Rib {
    /// Sets the clock that dampening goes by, in seconds from anywhere, and does
    /// what is due by it: routes are used again, others forgotten. It must not
    /// be set back, as the time of day may be. To be told before events are
    /// applied, and when [`dampening_due`](Self::dampening_due) says.
    pub fn advance(&mut self, clock: u64) {
        self.shared.clock = self.shared.clock.max(clock);
        if self.is_dampening() {
            self.v4.release_damped(&mut self.shared);
            self.v6.release_damped(&mut self.shared);
            self.sweep();
        }
    }

    /// The clock as it was [set](Self::advance) last.
    pub fn clock(&self) -> u64 {
        self.shared.clock
    }

    /// When [`advance`](Self::advance) will have something to do, by its clock.
    pub fn dampening_due(&self) -> Option<u64> {
        let v4 = self.v4.flaps.as_ref().and_then(|flaps| flaps.next_due());
        let v6 = self.v6.flaps.as_ref().and_then(|flaps| flaps.next_due());
        v4.into_iter().chain(v6).min()
    }

    /// Whether any peer's routes are damped, or were.
    pub fn is_dampening(&self) -> bool {
        self.v4.flaps.is_some() || self.v6.flaps.is_some()
    }

    /// Damps routes of a family from external peers (RFC 2439): from all that
    /// have no settings of their own, or from one. Without settings no more.
    /// Routes by other settings than before are forgotten, and those that were
    /// suppressed are used.
    pub fn set_dampening(
        &mut self,
        family: Family,
        peer: Option<PeerId>,
        settings: Option<Dampening>,
    ) {
        let shared = &mut self.shared;
        match family {
            Family::Ipv4Unicast => self.v4.set_dampening(shared, peer, settings),
            Family::Ipv6Unicast => self.v6.set_dampening(shared, peer, settings),
        }
        self.sweep();
    }

    /// Forgets the flaps of a peer's routes, as far as it is known: it is
    /// removed.
    pub fn forget_flaps(&mut self, peer: PeerId) {
        let shared = &mut self.shared;
        self.v4.forget_where(shared, |(_, of, _)| of == peer);
        self.v6.forget_where(shared, |(_, of, _)| of == peer);
        self.sweep();
    }

    /// Forgets flaps: of all routes of the family, or of those to a prefix. What
    /// was suppressed is used.
    pub fn clear_dampening(&mut self, family: Family, prefix: Option<IpNet>) {
        let shared = &mut self.shared;
        match family {
            Family::Ipv4Unicast => {
                let of = |net| V4::prefix(net).and_then(|net| self.v4.table.find(&net));
                let slot = prefix.map(of);
                let named = |key: Key| slot.is_none_or(|slot| slot == Some(key.0));
                self.v4.forget_where(shared, named);
            }
            Family::Ipv6Unicast => {
                let of = |net| V6::prefix(net).and_then(|net| self.v6.table.find(&net));
                let slot = prefix.map(of);
                let named = |key: Key| slot.is_none_or(|slot| slot == Some(key.0));
                self.v6.forget_where(shared, named);
            }
        }
        self.sweep();
    }

    /// Prefixes with routes that flapped, in order, from the first after
    /// `after`, at most `limit` of them, with those routes alone. Costs as much
    /// as there are such routes.
    pub fn flapping(&self, family: Family, after: Option<IpNet>, limit: usize) -> Page<PrefixView> {
        match family {
            Family::Ipv4Unicast => self.v4.flapping_page(&self.shared, after, limit),
            Family::Ipv6Unicast => self.v6.flapping_page(&self.shared, after, limit),
        }
    }
}
