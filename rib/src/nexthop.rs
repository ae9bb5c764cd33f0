//! Next-hop tracking: which addresses are in use, and what is known of them.

use std::net::IpAddr;

use bgp_wire::Family;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ipnet::IpNet;

use crate::peer::PeerId;

/// What the table asks of whoever knows the routes to next hops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackEvent {
    /// Report the state of this address, now and whenever it changes, through
    /// [`Rib::next_hop_changed`](crate::Rib::next_hop_changed).
    Track(IpAddr),
    /// No path needs this address any more.
    Untrack(IpAddr),
}

/// How a next hop is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NextHopState {
    /// Metric of the route that resolves it; lower is nearer.
    pub metric: u32,
    /// It lies on a connected subnet.
    pub connected: bool,
    /// The route of this table by way of which it is reached, if it is.
    pub through: Option<Through>,
}

/// A next hop that is reached by way of another route of BGP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Through {
    /// The route's prefix.
    pub prefix: IpNet,
    /// Metric to the next hop where routes of BGP do not count, and whether it
    /// is connected; none where it is not reached then.
    pub otherwise: Option<(u32, bool)>,
}

impl NextHopState {
    /// Reached without a route of BGP.
    pub const fn new(metric: u32, connected: bool) -> NextHopState {
        NextHopState {
            metric,
            connected,
            through: None,
        }
    }

    /// How it is reached as far as paths to this prefix are concerned: they
    /// must not be reached by way of themselves, or of others in their place
    /// (RFC 4271 section 9.1.2.1).
    pub(crate) fn for_paths_to(self, prefix: impl Into<IpNet>) -> Option<NextHopState> {
        match self.through {
            Some(through) if through.prefix == prefix.into() => through
                .otherwise
                .map(|(metric, connected)| NextHopState::new(metric, connected)),
            _ => Some(self),
        }
    }
}

/// A next hop in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedNextHop {
    /// Its address.
    pub addr: IpAddr,
    /// How it is reached; none where it is not, or is not known yet.
    pub state: Option<NextHopState>,
    /// How many paths of each peer have it, ascending by peer.
    pub users: Vec<(PeerId, usize)>,
}

/// Who uses a next hop: a peer's paths of a family.
pub(crate) type User = (Family, PeerId);

#[derive(Debug)]
struct Node {
    addr: IpAddr,
    state: Option<NextHopState>,
    /// How many paths of each user; users without a path are taken out.
    users: Vec<(User, u32)>,
    /// How often the caller asked for it, paths or not.
    foreseen: u32,
    /// The caller knows that the address is in use.
    told: bool,
    /// The node is in the list of those to look at.
    queued: bool,
}

impl Node {
    fn is_needed(&self) -> bool {
        !self.users.is_empty() || self.foreseen > 0
    }

    fn view(&self) -> TrackedNextHop {
        let mut users: std::collections::BTreeMap<PeerId, usize> = Default::default();
        for ((_, peer), count) in &self.users {
            *users.entry(*peer).or_default() += *count as usize;
        }
        TrackedNextHop {
            addr: self.addr,
            state: self.state,
            users: users.into_iter().collect(),
        }
    }
}

/// The next hops in use, counted by user, so that a change has to look at the
/// routes of the peers concerned and no others.
#[derive(Debug)]
pub(crate) struct Tracker {
    by_addr: HashMap<IpAddr, u32, RandomState>,
    nodes: Vec<Node>,
    free: Vec<u32>,
    queue: Vec<u32>,
}

impl Tracker {
    pub(crate) fn new() -> Tracker {
        Tracker {
            by_addr: HashMap::default(),
            nodes: Vec::new(),
            free: Vec::new(),
            queue: Vec::new(),
        }
    }

    /// The number of a next hop, in use or not yet; [`Self::hold`] keeps it.
    pub(crate) fn id(&mut self, addr: IpAddr) -> u32 {
        if let Some(id) = self.by_addr.get(&addr) {
            return *id;
        }
        let node = Node {
            addr,
            state: None,
            users: Vec::new(),
            foreseen: 0,
            told: false,
            queued: false,
        };
        let id = match self.free.pop() {
            Some(id) => id,
            None => self.nodes.len() as u32,
        };
        match self.nodes.get_mut(id as usize) {
            Some(place) => *place = node,
            None => self.nodes.push(node),
        }
        self.by_addr.insert(addr, id);
        // Looked at even if nobody holds it after all, so that it goes again.
        self.enqueue(id);
        id
    }

    fn enqueue(&mut self, id: u32) {
        if let Some(node) = self.nodes.get_mut(id as usize)
            && !node.queued
        {
            node.queued = true;
            self.queue.push(id);
        }
    }

    /// Counts one more path of the user.
    pub(crate) fn hold(&mut self, id: u32, user: User) {
        let Some(node) = self.nodes.get_mut(id as usize) else {
            return;
        };
        match node.users.iter_mut().find(|(known, _)| *known == user) {
            Some((_, count)) => *count += 1,
            None => node.users.push((user, 1)),
        }
    }

    /// Counts one path of the user less.
    pub(crate) fn release(&mut self, id: u32, user: User) {
        let Some(node) = self.nodes.get_mut(id as usize) else {
            return;
        };
        if let Some(at) = node.users.iter().position(|(known, _)| *known == user)
            && let Some((_, count)) = node.users.get_mut(at)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                node.users.swap_remove(at);
            }
        }
        if node.users.is_empty() {
            self.enqueue(id);
        }
    }

    /// Tracks an address before a path has it, until as many calls of
    /// [`dismiss`](Self::dismiss).
    pub(crate) fn foresee(&mut self, addr: IpAddr) {
        let id = self.id(addr);
        if let Some(node) = self.nodes.get_mut(id as usize) {
            node.foreseen += 1;
            self.enqueue(id);
        }
    }

    pub(crate) fn dismiss(&mut self, addr: IpAddr) {
        let Some(id) = self.by_addr.get(&addr).copied() else {
            return;
        };
        if let Some(node) = self.nodes.get_mut(id as usize) {
            node.foreseen = node.foreseen.saturating_sub(1);
            self.enqueue(id);
        }
    }

    pub(crate) fn state(&self, id: u32) -> Option<NextHopState> {
        self.nodes.get(id as usize)?.state
    }

    /// Sets the state of a next hop; its number, the state until now, and its
    /// users if that is news.
    pub(crate) fn set(
        &mut self,
        addr: IpAddr,
        state: Option<NextHopState>,
    ) -> Option<(u32, Option<NextHopState>, Vec<User>)> {
        let id = *self.by_addr.get(&addr)?;
        let node = self.nodes.get_mut(id as usize)?;
        if node.state == state {
            return None;
        }
        let was = core::mem::replace(&mut node.state, state);
        let mut users: Vec<User> = node.users.iter().map(|(user, _)| *user).collect();
        users.sort_unstable();
        Some((id, was, users))
    }

    /// The next hops that paths use, IPv4 first, by address.
    pub(crate) fn in_use(&self) -> Vec<TrackedNextHop> {
        let nodes = self.nodes.iter().filter(|node| !node.users.is_empty());
        let mut all: Vec<TrackedNextHop> = nodes.map(Node::view).collect();
        all.sort_unstable_by_key(|next_hop| next_hop.addr);
        all
    }

    /// What the caller does not know yet.
    pub(crate) fn take(&mut self) -> Vec<TrackEvent> {
        let mut events = Vec::new();
        for id in core::mem::take(&mut self.queue) {
            let Some(node) = self.nodes.get_mut(id as usize) else {
                continue;
            };
            node.queued = false;
            if node.is_needed() {
                if !node.told {
                    node.told = true;
                    events.push(TrackEvent::Track(node.addr));
                }
                continue;
            }
            if node.told {
                events.push(TrackEvent::Untrack(node.addr));
            }
            self.by_addr.remove(&node.addr);
            self.free.push(id);
        }
        events
    }
}
