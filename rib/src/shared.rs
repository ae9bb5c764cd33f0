//! What the families have in common.

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use crate::attrs::Interner;
use crate::config::RibConfig;
use crate::fib::FibRoute;
use crate::nexthop::Tracker;
use crate::peer::{PeerId, PeerInfo};
use crate::policy::Policy;

/// A peer that is up, or was and may have left stale routes.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) info: PeerInfo,
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) up: bool,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: RibConfig,
    pub(crate) peers: Vec<Option<Peer>>,
    pub(crate) interner: Interner,
    pub(crate) tracker: Tracker,
    /// Our own addresses, sorted.
    pub(crate) own_addresses: Vec<IpAddr>,
    pub(crate) fib_routes: FibInterner,
}

impl Shared {
    pub(crate) fn new(config: RibConfig) -> Shared {
        Shared {
            config,
            peers: Vec::new(),
            interner: Interner::new(),
            tracker: Tracker::new(),
            own_addresses: Vec::new(),
            fib_routes: FibInterner::default(),
        }
    }

    pub(crate) fn peer(&self, id: PeerId) -> Option<&Peer> {
        self.peers.get(id.0 as usize)?.as_ref()
    }

    pub(crate) fn peer_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.peers.get_mut(id.0 as usize)?.as_mut()
    }

    /// Sets what is known of a peer.
    pub(crate) fn put_peer(&mut self, id: PeerId, peer: Peer) {
        put(&mut self.peers, id, Some(peer));
    }
}

/// Puts a value into a vector indexed by peer, which grows as needed.
pub(crate) fn put<T: Default>(list: &mut Vec<T>, id: PeerId, value: T) {
    let index = id.0 as usize;
    if index >= list.len() {
        list.resize_with(index + 1, T::default);
    }
    if let Some(place) = list.get_mut(index) {
        *place = value;
    }
}

/// Makes equal routes of the forwarding table one allocation.
#[derive(Debug, Default)]
pub(crate) struct FibInterner {
    routes: HashSet<Arc<FibRoute>, RandomState>,
    purge_at: usize,
}

impl FibInterner {
    pub(crate) fn intern(&mut self, route: FibRoute) -> Arc<FibRoute> {
        if let Some(known) = self.routes.get(&route) {
            return known.clone();
        }
        if self.routes.len() >= self.purge_at {
            self.routes.retain(|route| Arc::strong_count(route) > 1);
            self.purge_at = (self.routes.len() * 2).max(64);
        }
        let route = Arc::new(route);
        self.routes.insert(route.clone());
        route
    }
}
