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

impl<F: RibFamily> FamilyRib<F> {
    /// What `item` makes of each prefix in the range, in order.
    fn page<T>(&self, range: Range, item: impl Fn(u32, &Entry<F::Prefix>) -> Vec<T>) -> Page<T> {
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
        self.page(range, |_, entry| {
            view(shared, entry, |_| true).into_iter().collect()
        })
    }

    pub(crate) fn accepted_page(
        &self,
        shared: &Shared,
        peer: PeerId,
        range: Range,
    ) -> Page<PrefixView> {
        let source = PathSource::Peer(peer);
        self.page(range, |_, entry| {
            view(shared, entry, |path| path.source == source)
                .into_iter()
                .collect()
        })
    }

    pub(crate) fn received_page(&self, peer: PeerId, range: Range) -> Page<ReceivedRoute> {
        let source = PathSource::Peer(peer);
        self.page(range, |_, entry| {
            let mut routes: Vec<ReceivedRoute> = entry
                .paths
                .iter()
                .filter(|path| path.source == source)
                .map(|path| ReceivedRoute {
                    prefix: entry.prefix.into(),
                    path_id: path.path_id,
                    attributes: path.pre.clone(),
                    rejected: path.rejected,
                    stale: path.stale,
                    last_update: path.last_update,
                })
                .collect();
            routes.sort_unstable_by_key(|route| route.path_id);
            routes
        })
    }

    pub(crate) fn advertised_page(&self, peer: PeerId, range: Range) -> Page<AdvertisedRoute> {
        let Some(out) = self.out(peer) else {
            return Page {
                items: Vec::new(),
                next: None,
            };
        };
        self.page(range, |slot, entry| {
            let attributes = out.advertised(slot).cloned();
            attributes
                .map(|attributes| AdvertisedRoute {
                    prefix: entry.prefix.into(),
                    attributes,
                })
                .into_iter()
                .collect()
        })
    }

    pub(crate) fn advertised_to(&self, prefix: IpNet) -> Vec<PeerId> {
        let Some(slot) = F::prefix(prefix).and_then(|prefix| self.table.find(&prefix)) else {
            return Vec::new();
        };
        (0u32..)
            .zip(&self.outs)
            .filter(|(_, out)| {
                out.as_ref()
                    .is_some_and(|out| out.advertised(slot).is_some())
            })
            .map(|(peer, _)| PeerId(peer))
            .collect()
    }

    pub(crate) fn lookup(&self, shared: &Shared, prefix: IpNet) -> Option<PrefixView> {
        let slot = self.table.find(&F::prefix(prefix)?)?;
        view(shared, self.table.get(slot)?, |_| true)
    }

    pub(crate) fn longest_match(&self, shared: &Shared, addr: IpAddr) -> Option<PrefixView> {
        let host = F::prefix(IpNet::from(addr))?;
        self.table
            .covering(&host)
            .filter(|entry| entry.accepted() > 0)
            .last()
            .and_then(|entry| view(shared, entry, |_| true))
    }
}

/// The accepted paths that `show` lets through; none if there are none.
fn view<P: Copy + Into<IpNet>>(
    shared: &Shared,
    entry: &Entry<P>,
    show: impl Fn(&Path) -> bool,
) -> Option<PrefixView> {
    let mut paths: Vec<PathView> = entry
        .paths
        .iter()
        .filter(|path| show(path))
        .filter_map(|path| {
            Some(PathView {
                source: path.source,
                path_id: path.path_id,
                attributes: path.post.clone()?,
                weight: path.weight,
                invalid: path.invalid(shared),
                best: path.best,
                multipath: path.multipath,
                stale: path.stale,
                igp_metric: path.igp_metric(shared),
                last_update: path.last_update,
            })
        })
        .collect();
    if paths.is_empty() {
        return None;
    }
    paths.sort_unstable_by_key(|path| (!path.best, path.source, path.path_id));
    Some(PrefixView {
        prefix: entry.prefix.into(),
        version: entry.version,
        reason: entry.reason,
        paths,
    })
}
