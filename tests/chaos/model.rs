//! What is the case around the daemon, and what the kernel has to have then.
//!
//! Everything is worked out anew from the definitions, prefix by prefix; there
//! is nothing here that could be out of date.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::plan::{self, LINKS, SUBNETS};

/// Metric of the daemon's routes: all sessions are external.
pub(crate) const METRIC: u32 = 20;

/// A link, as seen from the router.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// The router's end is up.
    pub(crate) up: bool,
    /// The other end is.
    pub(crate) far_up: bool,
    /// Whether the router has its addresses, by family (IPv6 second) and
    /// subnet.
    pub(crate) addresses: [[bool; SUBNETS]; 2],
}

impl Link {
    pub(crate) fn usable(&self) -> bool {
        self.up && self.far_up
    }
}

/// A way out of a route of others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hop {
    pub(crate) gateway: IpAddr,
    pub(crate) link: usize,
    pub(crate) weight: u16,
}

/// A route of others.
#[derive(Clone, Debug)]
pub(crate) struct Foreign {
    pub(crate) protocol: &'static str,
    /// None for a black hole.
    pub(crate) hops: Vec<Hop>,
}

/// What a speaker says of a prefix.
#[derive(Clone, Debug)]
pub(crate) struct Announcement {
    pub(crate) next_hop: IpAddr,
    /// The speaker's link-local address goes with it.
    pub(crate) link_local: bool,
    /// ASes in the path beside the speaker's own.
    pub(crate) longer: usize,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Speaker {
    /// It has a session.
    pub(crate) up: bool,
    /// It wants one.
    pub(crate) wants: bool,
    pub(crate) table: BTreeMap<IpNet, Announcement>,
}

/// Gateway and interface, with a weight.
pub(crate) type Ways = BTreeMap<(IpAddr, String), u16>;

/// See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) links: Vec<Link>,
    /// By prefix and metric.
    pub(crate) foreign: BTreeMap<(IpNet, u32), Foreign>,
    pub(crate) speakers: Vec<Speaker>,
    pub(crate) maximum_paths: usize,
    /// The daemon runs.
    pub(crate) runs: bool,
    /// It restarts gracefully.
    pub(crate) graceful: bool,
}

/// How an address is reached.
struct Reached {
    connected: bool,
    metric: u32,
    hops: Vec<Hop>,
}

impl World {
    pub(crate) fn new() -> Self {
        let link = Link {
            up: true,
            far_up: true,
            addresses: [[true; SUBNETS]; 2],
        };
        let speaker = Speaker {
            wants: true,
            ..Speaker::default()
        };
        Self {
            links: vec![link; LINKS],
            foreign: BTreeMap::new(),
            speakers: vec![speaker; LINKS],
            maximum_paths: LINKS,
            runs: true,
            graceful: false,
        }
    }

    /// Whether a speaker can have a session.
    pub(crate) fn may_be_up(&self, speaker: usize) -> bool {
        let link = &self.links[speaker];
        let v6 = usize::from(plan::session_is_v6(speaker));
        self.runs && link.usable() && link.addresses[v6][0]
    }

    /// What the kernel does to routes of others when the router's end of a
    /// link goes down: those with no other way are gone.
    pub(crate) fn link_down(&mut self, link: usize) {
        let state = &mut self.links[link];
        state.up = false;
        state.addresses[1] = [false; SUBNETS];
        let links = &self.links;
        self.foreign.retain(|_, route| {
            route.hops.is_empty() || route.hops.iter().any(|hop| links[hop.link].up)
        });
    }

    // ===== Next hops =====

    /// The longest match among subnets of the host and routes of others, and
    /// with `leading` routes of the daemon's; the default route is not good
    /// enough.
    fn reach(&self, address: IpAddr, leading: bool) -> Option<Reached> {
        let mut routes = self.routes_to(address);
        for prefix in plan::LEADING
            .map(plan::parse)
            .into_iter()
            .filter(|_| leading)
        {
            let there = prefix.contains(&address) && !self.is_barred(prefix);
            if let Some((ways, metric)) = self.ways(prefix).filter(|_| there) {
                let hop = |((gateway, interface), weight): ((IpAddr, String), u16)| Hop {
                    gateway,
                    link: plan::link(&interface),
                    weight,
                };
                let route = Reached {
                    connected: false,
                    metric,
                    hops: ways.into_iter().map(hop).collect(),
                };
                routes.push((prefix.prefix_len(), METRIC, route));
            }
        }
        routes.sort_by_key(|(length, metric, _)| (Reverse(*length), *metric));
        for (length, _, mut route) in routes {
            if length == 0 || route.hops.is_empty() {
                return None;
            }
            route.hops.retain(|hop| self.links[hop.link].usable());
            if !route.hops.is_empty() {
                return Some(route);
            }
        }
        None
    }

    /// The routes that the daemon has no part in.
    fn routes_to(&self, address: IpAddr) -> Vec<(u8, u32, Reached)> {
        let mut routes = Vec::new();
        let v6 = address.is_ipv6();
        let kernel_metric = if v6 { 256 } else { 0 };
        for (number, link) in self.links.iter().enumerate().filter(|(_, l)| l.usable()) {
            for second in 0..SUBNETS {
                let subnet = plan::subnet(number, v6, second);
                if !link.addresses[usize::from(v6)][second] || !subnet.contains(&address) {
                    continue;
                }
                let hop = Hop {
                    gateway: address,
                    link: number,
                    weight: 1,
                };
                let route = Reached {
                    connected: true,
                    metric: 0,
                    hops: vec![hop],
                };
                routes.push((subnet.prefix_len(), kernel_metric, route));
            }
        }
        for ((prefix, metric), foreign) in &self.foreign {
            if prefix.contains(&address) {
                let route = Reached {
                    connected: false,
                    metric: *metric,
                    hops: foreign.hops.clone(),
                };
                routes.push((prefix.prefix_len(), *metric, route));
            }
        }
        routes
    }

    // ===== The decision =====

    /// Whether the prefix is a link's subnet, which is left to the link.
    fn is_subnet(&self, prefix: IpNet) -> bool {
        let v6 = plan::is_v6(prefix);
        let up = self.links.iter().enumerate().filter(|(_, link)| link.up);
        let has = |(number, link): (usize, &Link), second: usize| {
            link.addresses[usize::from(v6)][second] && plan::subnet(number, v6, second) == prefix
        };
        up.into_iter()
            .any(|link| (0..SUBNETS).any(|second| has(link, second)))
    }

    /// The routes that the daemon has to have in the kernel, where none is
    /// barred.
    pub(crate) fn expected(&self) -> BTreeMap<IpNet, Ways> {
        let tables = self.speakers.iter().filter(|s| s.up).map(|s| &s.table);
        let prefixes: BTreeSet<IpNet> = tables.flat_map(|t| t.keys().copied()).collect();
        let ways = |prefix: IpNet| Some((prefix, self.ways(prefix)?.0));
        prefixes.into_iter().filter_map(ways).collect()
    }

    /// Whether a route of others keeps the daemon's out.
    pub(crate) fn is_barred(&self, prefix: IpNet) -> bool {
        self.foreign.contains_key(&(prefix, METRIC)) || self.is_subnet(prefix)
    }

    /// The ways of a prefix, with the metric of the nearest next hop.
    fn ways(&self, prefix: IpNet) -> Option<(Ways, u32)> {
        // What leads to next hops is itself reached without such help.
        let leading = !plan::is_leading(prefix);
        // Speakers are in the order of their router IDs.
        let mut candidates = Vec::new();
        for (speaker, state) in self.speakers.iter().enumerate().filter(|(_, s)| s.up) {
            let Some(said) = state.table.get(&prefix) else {
                continue;
            };
            let Some(reached) = self.reach(said.next_hop, leading) else {
                continue;
            };
            if reached.connected || plan::is_multihop(speaker) {
                candidates.push((said.longer, reached.metric, speaker, said));
            }
        }
        candidates.sort_by_key(|(longer, metric, speaker, _)| (*longer, *metric, *speaker));
        let best = candidates.first().map(|c| (c.0, c.1))?;
        candidates.retain(|c| (c.0, c.1) == best);
        candidates.truncate(self.maximum_paths);
        candidates.sort_by_key(|(_, _, _, said)| said.next_hop);
        let mut ways = Ways::new();
        for (_, _, speaker, said) in candidates {
            let hops = match said.link_local {
                true => vec![Hop {
                    gateway: plan::link_local(speaker),
                    link: speaker,
                    weight: 1,
                }],
                false => self.reach(said.next_hop, leading)?.hops,
            };
            for hop in hops.iter().filter(|hop| self.links[hop.link].usable()) {
                let key = (hop.gateway, plan::interface(hop.link));
                ways.entry(key).or_insert(hop.weight);
            }
        }
        if ways.len() == 1 {
            ways.values_mut().for_each(|weight| *weight = 1);
        }
        (!ways.is_empty()).then_some((ways, best.1))
    }
}
