//! What the families have in common.

use core::num::NonZeroU32;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use bgp_wire::{Family, NextHop};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::attrs::{AttrRef, Interner};
use crate::config::RibConfig;
use crate::fib::FibRoute;
use crate::nexthop::Tracker;
use crate::peer::{PeerId, PeerInfo};
use crate::policy::Policy;

/// A peer that is up, or was and may have left stale routes.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) info: PeerInfo,
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) up: bool,
    /// Default routes that it is told beside the table, of both families.
    pub(crate) defaults: [Option<AttrRef>; 2],
}

impl Peer {
    /// The default route that the peer is told beside the table.
    pub(crate) const fn default_route(&self, family: Family) -> Option<&AttrRef> {
        let [v4, v6] = &self.defaults;
        match family {
            Family::Ipv4Unicast => v4.as_ref(),
            Family::Ipv6Unicast => v6.as_ref(),
        }
    }
}

/// What export goes by: a snapshot says what somebody was told before a
/// change.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) config: Arc<RibConfig>,
    pub(crate) peers: Vec<Option<Arc<Peer>>>,
}

impl Rules {
    pub(crate) fn peer(&self, id: PeerId) -> Option<&Arc<Peer>> {
        self.peers.get(id.0 as usize)?.as_ref()
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Arc<RibConfig>,
    pub(crate) peers: Vec<Option<Arc<Peer>>>,
    pub(crate) interner: Interner,
    pub(crate) tracker: Tracker,
    /// Our own addresses, sorted.
    pub(crate) own_addresses: Vec<IpAddr>,
    pub(crate) fib_routes: FibInterner,
    /// Whether somebody asks for changes of the forwarding table.
    pub(crate) forwarding: bool,
    /// Number of the last batch of changes of the forwarding table.
    pub(crate) fib_batch: u64,
    /// How many of the last changes had been reported in this round before.
    pub(crate) fib_again: usize,
    /// Whether peers share update groups.
    pub(crate) grouping: bool,
    /// The caller's clock at the last event that said it.
    pub(crate) now: u64,
    /// The clock that dampening goes by.
    pub(crate) clock: u64,
}

impl Shared {
    pub(crate) fn new(config: RibConfig) -> Shared {
        Shared {
            config: Arc::new(config),
            peers: Vec::new(),
            interner: Interner::new(),
            tracker: Tracker::new(),
            own_addresses: Vec::new(),
            fib_routes: FibInterner::default(),
            forwarding: true,
            fib_batch: 0,
            fib_again: 0,
            grouping: true,
            now: 0,
            clock: 0,
        }
    }

    pub(crate) fn peer(&self, id: PeerId) -> Option<&Arc<Peer>> {
        self.peers.get(id.0 as usize)?.as_ref()
    }

    pub(crate) fn peer_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.peers
            .get_mut(id.0 as usize)?
            .as_mut()
            .map(Arc::make_mut)
    }

    /// Sets what is known of a peer.
    pub(crate) fn put_peer(&mut self, id: PeerId, peer: Peer) {
        put(&mut self.peers, id, Some(Arc::new(peer)));
    }

    /// What export goes by now.
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            config: Arc::clone(&self.config),
            peers: self.peers.clone(),
        }
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

/// The number of a route of the forwarding table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FibId(NonZeroU32);

/// Makes equal routes of the forwarding table one allocation and one number.
#[derive(Debug, Default)]
pub(crate) struct FibInterner {
    /// With the number of prefixes that use each.
    routes: Vec<Option<(Arc<FibRoute>, u32)>>,
    known: HashMap<Arc<FibRoute>, FibId, RandomState>,
    free: Vec<FibId>,
}

impl FibInterner {
    /// The number of a route, with one more user.
    pub(crate) fn hold(&mut self, route: FibRoute) -> Option<FibId> {
        if let Some(id) = self.known.get(&route).copied() {
            self.hold_again(id);
            return Some(id);
        }
        let route = Arc::new(route);
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                self.routes.push(None);
                FibId(NonZeroU32::new(u32::try_from(self.routes.len()).ok()?)?)
            }
        };
        *self.place(id)? = Some((Arc::clone(&route), 1));
        self.known.insert(route, id);
        Some(id)
    }

    pub(crate) fn hold_again(&mut self, id: FibId) {
        if let Some(Some((_, users))) = self.place(id) {
            *users += 1;
        }
    }

    pub(crate) fn release(&mut self, id: FibId) {
        let Some(place) = self.place(id) else { return };
        if let Some((_, users)) = place {
            *users -= 1;
            if *users > 0 {
                return;
            }
        }
        if let Some((route, _)) = place.take() {
            self.known.remove(&route);
            self.free.push(id);
        }
    }

    pub(crate) fn route(&self, id: FibId) -> Option<Arc<FibRoute>> {
        let place = self.routes.get(id.0.get() as usize - 1)?;
        place.as_ref().map(|(route, _)| Arc::clone(route))
    }

    /// The next hops of a peer that are in use, each once.
    pub(crate) fn next_hops(&self, peer: PeerId) -> BTreeSet<NextHop> {
        let routes = self.routes.iter().flatten();
        let hops = routes.flat_map(|(route, _)| &route.next_hops);
        let of_peer = hops.filter(|hop| hop.peer == peer);
        of_peer.map(|hop| hop.next_hop).collect()
    }

    fn place(&mut self, id: FibId) -> Option<&mut Option<(Arc<FibRoute>, u32)>> {
        self.routes.get_mut(id.0.get() as usize - 1)
    }
}
