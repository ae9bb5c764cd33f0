//! Answers to queries about one family.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::family_rib::FamilyRib;
use crate::path::Path;
use crate::peer::PeerId;
use crate::shared::Shared;
use crate::table::{Entry, RibFamily, Start};
use crate::view::{AdvertisedRoute, Page, PathSource, PathView, PrefixView, ReceivedRoute};

/// How many prefixes may be looked at for each item asked for: bounds the time
/// of a piece where few prefixes match.
const LOOKS_PER_ITEM: usize = 32;

/// Which part of the table an answer is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    /// Only this prefix and what is more specific; none for everything.
    pub(crate) within: Option<IpNet>,
    /// The cursor.
    pub(crate) after: Option<IpNet>,
    /// Most items.
    pub(crate) limit: usize,
}

impl Range {
    /// The prefix, and what else may come with a page.
    pub(crate) const fn only(prefix: IpNet) -> Range {
        Range {
            within: Some(prefix),
            after: None,
            limit: 1,
        }
    }
}

impl<F: RibFamily> FamilyRib<F> {
    /// What `item` makes of each prefix in the range, in order.
    pub(crate) fn page<T>(
        &self,
        range: Range,
        item: impl Fn(u32, &Entry<F::Prefix>) -> Vec<T>,
    ) -> Page<T> {
        let mut page = Page {
            items: Vec::new(),
            next: None,
        };
        let within = range.within.map(F::prefix);
        let start = match (range.after.and_then(F::prefix), within) {
            // A prefix of another family: nothing is inside of it.
            (_, Some(None)) => return page,
            (Some(after), Some(Some(within))) if after < within => Start::At(within),
            (Some(after), _) => Start::After(after),
            (None, Some(Some(within))) => Start::At(within),
            (None, None) => Start::First,
        };
        let limit = range.limit.max(1);
        let mut looks = limit.saturating_mul(LOOKS_PER_ITEM);
        for (slot, entry) in self.table.ordered(start) {
            let prefix: IpNet = entry.prefix.into();
            if range.within.is_some_and(|net| !net.contains(&prefix)) {
                return page;
            }
            page.items.extend(item(slot, entry));
            looks -= 1;
            if page.items.len() >= limit || looks == 0 {
                page.next = Some(prefix);
                return page;
            }
        }
        page
    }

    pub(crate) fn table_page(&self, shared: &Shared, range: Range) -> Page<PrefixView> {
        self.page(range, |slot, _| {
            self.view(shared, slot, |_| true).into_iter().collect()
        })
    }

    pub(crate) fn accepted_page(
        &self,
        shared: &Shared,
        peer: PeerId,
        range: Range,
    ) -> Page<PrefixView> {
        let source = PathSource::Peer(peer);
        self.page(range, |slot, _| {
            self.view(shared, slot, |path| path.is_of(source))
                .into_iter()
                .collect()
        })
    }

    pub(crate) fn received_page(
        &self,
        shared: &Shared,
        peer: PeerId,
        range: Range,
    ) -> Page<ReceivedRoute> {
        let source = PathSource::Peer(peer);
        self.page(range, |slot, entry| {
            let paths = self.table.paths(slot).map(|(_, path)| path);
            let mut routes: Vec<ReceivedRoute> = paths
                .filter(|path| path.is_of(source))
                .filter_map(|path| {
                    Some(ReceivedRoute {
                        prefix: entry.prefix.into(),
                        path_id: path.path_id,
                        attributes: shared.interner.set(path.pre)?.clone(),
                        rejected: path.rejected(),
                        stale: path.stale(),
                        last_update: path.updated(),
                    })
                })
                .collect();
            routes.sort_unstable_by_key(|route| route.path_id);
            routes
        })
    }

    pub(crate) fn advertised_page(
        &self,
        shared: &Shared,
        peer: PeerId,
        range: Range,
    ) -> Page<AdvertisedRoute> {
        if self.groups.of(peer).is_none() {
            return Page {
                items: Vec::new(),
                next: None,
            };
        }
        self.page(range, |slot, entry| {
            let paths = self.told_to(shared, peer, slot).into_iter();
            paths
                .map(|(path_id, attributes)| AdvertisedRoute {
                    prefix: entry.prefix.into(),
                    path_id,
                    attributes,
                })
                .collect()
        })
    }

    pub(crate) fn advertised_to(&self, shared: &Shared, prefix: IpNet) -> Vec<PeerId> {
        let Some(slot) = F::prefix(prefix).and_then(|prefix| self.table.find(&prefix)) else {
            return Vec::new();
        };
        let groups = self.groups.iter().map(|(_, group)| group);
        let mut peers: Vec<PeerId> = groups
            .filter(|group| group.advertised.contains(slot))
            .flat_map(|group| group.peers())
            .filter(|peer| !self.told_to(shared, *peer, slot).is_empty())
            .collect();
        peers.sort_unstable();
        peers
    }

    pub(crate) fn lookup(&self, shared: &Shared, prefix: IpNet) -> Option<PrefixView> {
        self.view(shared, self.table.find(&F::prefix(prefix)?)?, |_| true)
    }

    pub(crate) fn longest_match(&self, shared: &Shared, addr: IpAddr) -> Option<PrefixView> {
        let host = F::prefix(IpNet::from(addr))?;
        let mut covering = self.table.covering(host);
        let known = |slot: &u32| self.is_accepted(*slot) || self.has_withdrawn(*slot);
        let slot = covering.find(known)?;
        self.view(shared, slot, |_| true)
    }

    /// The accepted paths that `show` lets through; none if there are none.
    pub(crate) fn view(
        &self,
        shared: &Shared,
        slot: u32,
        show: impl Fn(&Path) -> bool,
    ) -> Option<PrefixView> {
        let entry = self.table.get(slot)?;
        let mut paths: Vec<PathView> = self
            .table
            .paths(slot)
            .map(|(_, path)| path)
            .filter(|path| show(path))
            .filter_map(|path| path_view(shared, entry.prefix, path))
            .collect();
        self.add_flapping(shared, slot, &show, &mut paths);
        if paths.is_empty() {
            return None;
        }
        paths.sort_unstable_by_key(|path| {
            (path.is_withdrawn(), !path.best, path.source, path.path_id)
        });
        Some(PrefixView {
            prefix: entry.prefix.into(),
            version: self.version(entry.version),
            reason: entry.reason,
            suppressed: self.is_suppressed(slot),
            rib_failure: self.refused.contains(slot),
            forwarding: self.forwarding_of(slot),
            paths,
        })
    }
}

pub(crate) fn path_view(
    shared: &Shared,
    prefix: impl Copy + Into<IpNet>,
    path: &Path,
) -> Option<PathView> {
    let attributes = path.attributes(shared)?.clone();
    Some(PathView {
        source: path.source(),
        path_id: path.path_id,
        weight: attributes.weight(),
        attributes,
        invalid: path.invalid(shared, prefix),
        best: path.best(),
        multipath: path.multipath(),
        stale: path.stale(),
        igp_metric: path.igp_metric(shared, prefix),
        last_update: path.updated(),
        flapping: None,
    })
}
