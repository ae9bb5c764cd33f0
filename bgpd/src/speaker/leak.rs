//! Routes that cross from one instance to another: `import vrf`.
//!
//! A core tells those that take its routes over of every prefix whose best
//! paths changed, with all of them as they are now; theirs to compare. It tells
//! of what its own neighbors announced and what it originates itself, never of
//! what it took over: a route crosses once. A lane that is full is waited for
//! while the table goes on noting what changes, so the one who takes gets the
//! newest state, and needs no more memory for being slow.
//!
//! What is taken over is a path of the table like others, from a source that
//! stands for the other instance's neighbor. Its next hop was found reachable
//! over there, and means something there.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;

use bgp_wire::{AddressFamily, Family, FamilySet, Nlri, PackedPrefixes, PeerKind, V4, V6};
use holdfast_config::InstanceName;
use holdfast_rib::{AttrRef, PathSource, PathView, PeerId, PeerInfo, RouteEvent, Watcher};
use ipnet::IpNet;
use tokio::sync::mpsc;

use super::convert::Shown;
use super::core::Core;
use crate::session::status::now_ms;

/// Prefixes told at a time.
const BUDGET: usize = 1024;

/// Prefixes of one instance as they are now, for another.
#[derive(Debug, Clone)]
pub(super) struct Leak {
    from: InstanceName,
    /// Of the core that tells.
    serial: u64,
    routes: Arc<Vec<LeakedPrefix>>,
    /// All that there was has been told by now.
    complete: bool,
}

#[derive(Debug)]
struct LeakedPrefix {
    prefix: IpNet,
    /// Its best paths; none where there is nothing to take over.
    paths: Vec<LeakedPath>,
}

#[derive(Debug)]
struct LeakedPath {
    origin: Arc<Origin>,
    path_id: u32,
    attributes: AttrRef,
}

/// Where a path comes from, over there.
#[derive(Debug)]
struct Origin {
    /// None for what the instance originates itself.
    peer: Option<PeerId>,
    info: PeerInfo,
    /// The interface of link-local next hops.
    ifindex: Option<u32>,
    shown: Shown,
}

/// What an instance takes from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// Of the core that tells.
    pub(super) serial: u64,
    /// The table in which its next hops mean something.
    pub(super) resolve_table: u32,
    pub(super) vrf_id: i32,
    pub(super) families: FamilySet,
}

/// The way to one who takes routes over.
#[derive(Debug, Clone)]
pub(super) struct Taker {
    pub(super) serial: u64,
    pub(super) families: FamilySet,
    pub(super) lane: mpsc::Sender<Leak>,
}

impl Taker {
    fn is_as(&self, other: &Taker) -> bool {
        (self.serial, self.families) == (other.serial, other.families)
    }
}

/// An instance whose routes we take over.
#[derive(Debug)]
struct Giver {
    link: Link,
    complete: bool,
    /// The sources that stand for its neighbors and for itself.
    sources: HashMap<Option<PeerId>, PeerId>,
}

/// A source that stands for another instance's neighbor.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) ifindex: Option<u32>,
    pub(super) shown: Shown,
}

type Sending = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a core knows of the instances that it shares routes with.
#[derive(Default)]
pub(super) struct Leaks {
    takers: Vec<Taker>,
    sending: Option<Sending>,
    /// Somebody who takes routes over waits to hear that these were all.
    unfinished: bool,
    givers: BTreeMap<InstanceName, Giver>,
    pub(super) sources: HashMap<PeerId, Source>,
}

impl Leaks {
    /// Ends when what is being told has been.
    pub(super) async fn sent(&mut self) {
        match &mut self.sending {
            Some(sending) => sending.await,
            None => std::future::pending().await,
        }
        self.sending = None;
    }

    /// Whether all whose routes we take over have told what they had.
    pub(super) fn are_complete(&self) -> bool {
        self.givers.values().all(|giver| giver.complete)
    }

    /// Whether routes of others are taken over.
    pub(super) fn are_taken(&self) -> bool {
        !self.givers.is_empty()
    }
}

// ===== giving =====

impl Core {
    /// Tells these from now on, from the beginning.
    pub(super) fn set_takers(&mut self, takers: Vec<Taker>) {
        let known = &self.leaks.takers;
        let same =
            known.len() == takers.len() && known.iter().zip(&takers).all(|(a, b)| a.is_as(b));
        self.leaks.takers = takers;
        if same {
            return;
        }
        let any = !self.leaks.takers.is_empty();
        self.rib.set_watching(Watcher::Table, any);
        self.rib.watch_all(Watcher::Table);
        self.leaks.unfinished = any;
    }

    /// Tells of a few prefixes that changed. What follows is told when they have
    /// been taken.
    pub(super) fn pump_leaks(&mut self) {
        // Before we know again what we knew, there is nothing to tell.
        if self.leaks.takers.is_empty() || self.leaks.sending.is_some() || !self.has_learned() {
            return;
        }
        let prefixes = self.rib.take_watched(Watcher::Table, BUDGET);
        let complete = prefixes.len() < BUDGET;
        if prefixes.is_empty() && !self.leaks.unfinished {
            return;
        }
        self.leaks.unfinished &= !complete;
        let mut origins = HashMap::new();
        let routes = prefixes.iter().map(|prefix| LeakedPrefix {
            prefix: *prefix,
            paths: self.leaked_paths(*prefix, &mut origins),
        });
        let leak = Leak {
            from: self.name.clone(),
            serial: self.serial,
            routes: Arc::new(routes.collect()),
            complete,
        };
        let lanes: Vec<_> = self.leaks.takers.iter().map(|t| t.lane.clone()).collect();
        self.leaks.sending = Some(Box::pin(async move {
            for lane in lanes {
                // One that has ended takes nothing more.
                let _ = lane.send(leak.clone()).await;
            }
        }));
    }

    /// The paths in use, unless they were taken over themselves.
    fn leaked_paths(
        &self,
        prefix: IpNet,
        origins: &mut HashMap<PathSource, Option<Arc<Origin>>>,
    ) -> Vec<LeakedPath> {
        let Some(view) = self.rib.prefix(prefix) else {
            return Vec::new();
        };
        let used = |path: &&PathView| path.best || path.multipath;
        let paths = view.paths.iter().filter(used);
        let taken = |path: &PathView| {
            let source = match path.source {
                // One is like the other to those who take it over.
                PathSource::Local(_) => PathSource::Local(holdfast_rib::LocalSource::Network),
                source => source,
            };
            let origin = origins.entry(source).or_insert_with(|| self.origin(source));
            Some(LeakedPath {
                origin: Arc::clone(origin.as_ref()?),
                path_id: path.path_id,
                attributes: path.attributes.clone(),
            })
        };
        // Where the best path was taken over, so was what goes beside it.
        match view.paths.iter().find(|path| path.best) {
            Some(best) if !self.is_taken_over(best) => paths.filter_map(taken).collect(),
            _ => Vec::new(),
        }
    }

    fn is_taken_over(&self, path: &PathView) -> bool {
        match path.source {
            PathSource::Local(_) => false,
            PathSource::Peer(id) => self.leaks.sources.contains_key(&id),
        }
    }

    /// What is told of a source; none where it is another instance's.
    fn origin(&self, source: PathSource) -> Option<Arc<Origin>> {
        let config = self.rib.config();
        let origin = match source {
            PathSource::Local(_) => {
                let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
                let (asn, kind) = (config.local_as, PeerKind::External);
                let mut info = PeerInfo::new(kind, asn, asn, nobody);
                info.router_id = config.router_id;
                Origin {
                    peer: None,
                    info,
                    ifindex: None,
                    shown: Shown::local(),
                }
            }
            PathSource::Peer(id) => {
                let peer = self.peer_by_id(id)?;
                let known = self.rib.peer(id)?;
                let (own, remote) = (known.local_as, known.remote_as);
                let mut info = PeerInfo::new(known.kind, own, remote, known.address);
                info.router_id = known.router_id;
                Origin {
                    peer: Some(id),
                    info,
                    ifindex: peer.shared_ifindex(),
                    shown: Shown::of(peer),
                }
            }
        };
        Some(Arc::new(origin))
    }
}

// ===== taking =====

impl Core {
    /// Takes routes from these from now on, and from no others. What was taken
    /// from one that is another now goes.
    pub(super) fn set_givers(&mut self, links: BTreeMap<InstanceName, Link>) {
        let known = std::mem::take(&mut self.leaks.givers);
        for (name, giver) in known {
            if links.get(&name) == Some(&giver.link) {
                self.leaks.givers.insert(name, giver);
                continue;
            }
            for id in giver.sources.into_values() {
                self.rib.peer_down(id, FamilySet::EMPTY);
                self.leaks.sources.remove(&id);
            }
        }
        for (name, link) in links {
            self.leaks.givers.entry(name).or_insert_with(|| Giver {
                link,
                complete: false,
                sources: HashMap::new(),
            });
        }
    }

    /// Takes over what another instance told.
    pub(super) fn leaked(&mut self, leak: &Leak) {
        let giver = self.leaks.givers.get_mut(&leak.from);
        // It may have been told before it was known that nobody wants it.
        let Some(giver) = giver.filter(|giver| giver.link.serial == leak.serial) else {
            return;
        };
        giver.complete |= leak.complete;
        let families = giver.link.families;
        for route in leak.routes.iter() {
            if families.contains(family_of(route.prefix)) {
                self.take_over(&leak.from, route);
            }
        }
    }

    fn take_over(&mut self, from: &InstanceName, route: &LeakedPrefix) {
        let mut gone = self.taken_over(from, route.prefix);
        for path in &route.paths {
            let Some(id) = self.source(from, &path.origin) else {
                continue;
            };
            gone.retain(|known| *known != (id, path.path_id));
            let prefixes = packed(route.prefix, path.path_id);
            let event = RouteEvent::Announce(path.attributes.clone(), prefixes);
            self.rib.apply(id, &event, now_ms() / 1000);
        }
        for (id, path_id) in gone {
            let event = RouteEvent::Withdraw(packed(route.prefix, path_id));
            self.rib.apply(id, &event, now_ms() / 1000);
        }
    }

    /// The paths of a prefix that were taken over from an instance.
    fn taken_over(&self, from: &InstanceName, prefix: IpNet) -> Vec<(PeerId, u32)> {
        let Some(giver) = self.leaks.givers.get(from) else {
            return Vec::new();
        };
        let view = self.rib.prefix(prefix);
        let paths = view.iter().flat_map(|view| &view.paths);
        let known = paths.filter_map(|path| match path.source {
            PathSource::Peer(id) => Some((id, path.path_id)),
            PathSource::Local(_) => None,
        });
        known
            .filter(|(id, _)| giver.sources.values().any(|known| known == id))
            .collect()
    }

    /// The source that stands for another instance's.
    fn source(&mut self, from: &InstanceName, origin: &Origin) -> Option<PeerId> {
        let giver = self.leaks.givers.get_mut(from)?;
        let (table, vrf_id) = (giver.link.resolve_table, giver.link.vrf_id);
        let info = PeerInfo {
            imported: Some(table),
            families: giver.link.families,
            ..origin.info.clone()
        };
        let known = giver.sources.get(&origin.peer).copied();
        let id = known.unwrap_or_else(|| {
            self.next_id += 1;
            PeerId(self.next_id - 1)
        });
        giver.sources.insert(origin.peer, id);
        if known.is_none() {
            self.rib.peer_up(id, info, self.policies.taken());
        } else {
            self.rib.set_peer(id, info);
        }
        let source = Source {
            ifindex: origin.ifindex,
            shown: origin.shown.taken_over(from.word(), vrf_id),
        };
        let before = self.leaks.sources.insert(id, source);
        if before.is_some_and(|before| before.ifindex != origin.ifindex) {
            // Its next hops may be written with the interface now.
            for family in Family::ALL {
                self.rib.repeat_forwarding(family);
            }
        }
        Some(id)
    }
}

fn family_of(prefix: IpNet) -> Family {
    match prefix {
        IpNet::V4(_) => Family::Ipv4Unicast,
        IpNet::V6(_) => Family::Ipv6Unicast,
    }
}

fn packed(prefix: IpNet, path_id: u32) -> PackedPrefixes {
    match prefix {
        IpNet::V4(_) => packed_of::<V4>(prefix, path_id),
        IpNet::V6(_) => packed_of::<V6>(prefix, path_id),
    }
}

fn packed_of<F: AddressFamily>(prefix: IpNet, path_id: u32) -> PackedPrefixes {
    let nlri = F::prefix(prefix).map(|prefix| Nlri { path_id, prefix });
    PackedPrefixes::pack::<F>(nlri.as_slice())
}
