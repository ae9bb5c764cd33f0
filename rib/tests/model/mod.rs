//! The table again, without any cleverness: it keeps what was said, and works
//! everything out from nothing whenever it is asked.

#![allow(unreachable_pub)]

mod aggregates;
mod bandwidth;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use bgp_wire::{Community, Family, NextHop, PathAttributes, PeerKind};
use holdfast_rib::{
    AddPathSend, Aggregate, AllowAsIn, Attributes, FibKind, FibNextHop, FibRoute, LocalRoute,
    LocalSource, NextHopState, PathSource, PeerId, PeerInfo, Policy, Rewritten, RibConfig,
    RouteContext, Step, Verdict,
};
use ipnet::IpNet;

use crate::common::{TestPolicy, family_of};

#[derive(Debug, Clone)]
pub struct ModelPeer {
    pub info: PeerInfo,
    pub policy: TestPolicy,
    pub up: bool,
    /// Told beside the table, by family.
    pub defaults: BTreeMap<u8, PathAttributes>,
}

#[derive(Debug, Clone)]
pub struct Said {
    pub attributes: PathAttributes,
    pub stale: bool,
    pub weight: u32,
}

#[derive(Debug)]
pub struct Model {
    pub config: RibConfig,
    pub peers: BTreeMap<PeerId, ModelPeer>,
    pub routes: BTreeMap<(IpNet, PathSource, u32), Said>,
    /// The world's next hops, known to the table as far as it asks.
    pub next_hops: BTreeMap<IpAddr, NextHopState>,
    pub own: Vec<IpAddr>,
    pub aggregates: BTreeMap<IpNet, Aggregate>,
    /// What was worked out since something changed.
    known_aggregates: RefCell<BTreeMap<IpNet, Option<ModelPath>>>,
}

/// What export policy is asked about a path.
#[derive(Debug, Clone, Copy)]
enum Ask {
    Policy,
    Suppressed,
    Nobody,
}

/// A path that import let pass.
#[derive(Debug, Clone)]
pub struct ModelPath {
    pub source: PathSource,
    pub path_id: u32,
    pub attributes: PathAttributes,
    pub weight: u32,
    pub stale: bool,
    pub valid: bool,
    tracked: Option<IpAddr>,
    metric: u32,
    router_id: Ipv4Addr,
    external: bool,
    confederation: bool,
    address: IpAddr,
}

#[derive(Debug)]
pub struct Outcome {
    pub paths: Vec<ModelPath>,
    pub best: Option<usize>,
    pub multipath: BTreeSet<usize>,
    pub reason: Option<Step>,
}

// ===== Events =====

impl Model {
    pub fn new(config: RibConfig) -> Model {
        Model {
            config,
            peers: BTreeMap::new(),
            routes: BTreeMap::new(),
            next_hops: BTreeMap::new(),
            own: Vec::new(),
            aggregates: BTreeMap::new(),
            known_aggregates: RefCell::default(),
        }
    }

    pub fn peer_up(&mut self, peer: PeerId, info: PeerInfo, policy: TestPolicy) {
        let families = info.families;
        let was_up = self.peers.get(&peer).is_some_and(|p| p.up);
        let new = ModelPeer {
            info,
            policy,
            up: true,
            defaults: BTreeMap::new(),
        };
        self.peers.insert(peer, new);
        self.routes.retain(|(prefix, source, _), _| {
            *source != PathSource::Peer(peer) || (!was_up && families.contains(family_of(*prefix)))
        });
    }

    pub fn peer_down(&mut self, peer: PeerId, keep: bgp_wire::FamilySet) {
        let Some(state) = self.peers.get_mut(&peer) else {
            return;
        };
        state.up = false;
        state.defaults.clear();
        self.routes.retain(|(prefix, source, _), said| {
            *source != PathSource::Peer(peer) || (keep.contains(family_of(*prefix)) && !said.stale)
        });
        for family in Family::ALL {
            self.mark_stale(peer, family);
        }
    }

    pub fn mark_stale(&mut self, peer: PeerId, family: Family) {
        for ((prefix, source, _), said) in &mut self.routes {
            if *source == PathSource::Peer(peer) && family_of(*prefix) == family {
                said.stale = true;
            }
        }
    }

    pub fn sweep(&mut self, peer: PeerId, family: Family) {
        self.routes.retain(|(prefix, source, _), said| {
            *source != PathSource::Peer(peer) || family_of(*prefix) != family || !said.stale
        });
    }

    fn listens(&self, peer: PeerId, prefix: IpNet) -> bool {
        self.peers
            .get(&peer)
            .is_some_and(|p| p.up && p.info.families.contains(family_of(prefix)))
    }

    pub fn announce(&mut self, peer: PeerId, prefix: IpNet, path_id: u32, a: &PathAttributes) {
        if !self.listens(peer, prefix) {
            return;
        }
        let mut attributes = a.clone();
        let info = &self.peers[&peer].info;
        if info.is_external() {
            attributes.local_pref = None;
        }
        if !info.is_internal() {
            attributes.originator_id = None;
            attributes.cluster_list.clear();
        }
        let said = Said {
            attributes,
            stale: false,
            weight: 0,
        };
        self.routes
            .insert((prefix, PathSource::Peer(peer), path_id), said);
    }

    pub fn withdraw(&mut self, peer: PeerId, prefix: IpNet, path_id: u32) {
        if self.listens(peer, prefix) {
            self.routes
                .remove(&(prefix, PathSource::Peer(peer), path_id));
        }
    }

    pub fn originate(&mut self, prefix: IpNet, route: LocalRoute) {
        let said = Said {
            attributes: route.attributes,
            stale: false,
            weight: route.weight,
        };
        self.routes
            .insert((prefix, PathSource::Local(route.source), 0), said);
    }

    pub fn withdraw_local(&mut self, prefix: IpNet, source: LocalSource) {
        self.routes.remove(&(prefix, PathSource::Local(source), 0));
    }
}

// ===== Paths =====

impl Model {
    pub fn prefixes(&self) -> BTreeSet<IpNet> {
        let said = self.routes.keys().map(|(prefix, _, _)| *prefix);
        said.chain(self.aggregates.keys().copied()).collect()
    }

    fn path(&self, prefix: IpNet, source: PathSource, path_id: u32) -> Option<ModelPath> {
        let said = &self.routes[&(prefix, source, path_id)];
        let mut path = ModelPath {
            path_id,
            stale: said.stale,
            ..accepted_as_local(source, said.attributes.clone(), said.weight)
        };
        let PathSource::Peer(peer) = source else {
            return Some(path);
        };
        let peer = &self.peers[&peer];
        let info = &peer.info;
        let mut heard = said.attributes.clone();
        heard.aigp = heard.aigp.filter(|_| info.aigp || !info.is_external());
        for community in &mut heard.extended_communities {
            if info.integer_bandwidth {
                *community = community.link_bandwidth_from_integer();
            }
        }
        (path.attributes, path.weight) = self.accepted(peer, prefix, &heard)?;
        path.router_id = path.attributes.originator_id.unwrap_or(info.router_id);
        path.external = info.is_external();
        path.confederation = info.kind == PeerKind::Confederation;
        path.address = info.address;
        let addr = path.attributes.next_hop.unwrap().addr();
        if !link_local(addr) {
            path.tracked = Some(addr);
            let state = self.next_hops.get(&addr);
            let connected = info.ebgp_multihop || info.is_internal();
            path.valid = state.is_some_and(|s| s.connected || connected);
            path.metric = state.map_or(0, |s| s.metric);
        }
        Some(path)
    }

    /// Attributes and weight after import; none if the route is not used.
    fn accepted(
        &self,
        peer: &ModelPeer,
        prefix: IpNet,
        said: &PathAttributes,
    ) -> Option<(PathAttributes, u32)> {
        let info = &peer.info;
        let cluster = self.config.cluster_id.unwrap_or(self.config.router_id);
        let knobs = info.family(family_of(prefix));
        let looped = |own: u32| match knobs.allow_as_in {
            AllowAsIn::Times(times) => {
                said.as_path.asns().filter(|asn| *asn == own).count() > times.into()
            }
            AllowAsIn::Origin => {
                said.as_path.contains(own) && said.as_path.origin_as() != Some(own)
            }
        };
        let outside = said.as_path.without_confederation();
        let outer = self.config.outer_as();
        if looped(self.config.local_as)
            || looped(info.local_as)
            || (outside.contains(outer) && looped(outer))
            || said.originator_id == Some(self.config.router_id)
            || said.cluster_list.contains(&cluster)
        {
            return None;
        }
        let verdict = peer.policy.import(&RouteContext {
            peer: info,
            learned_from: Some(info),
            family: family_of(prefix),
            prefix,
            attributes: &Attributes::new(said.clone()),
            weight: knobs.weight,
            source: None,
            original_next_hop: said.next_hop,
            original_med: said.med,
        });
        let (mut attributes, weight) = match verdict {
            Verdict::Deny(_) => return None,
            Verdict::Accept => (said.clone(), knobs.weight),
            Verdict::AcceptWith(new) => {
                let Rewritten { attributes, weight } = (*new).clone();
                (attributes, weight.unwrap_or(knobs.weight))
            }
        };
        let drained = attributes
            .communities
            .contains(&Community::GRACEFUL_SHUTDOWN);
        if drained && info.kind == PeerKind::External {
            attributes.local_pref = Some(0);
        }
        let next_hop = attributes.next_hop?;
        let is_v6_hop = matches!(next_hop, NextHop::V6 { .. });
        let fits = match family_of(prefix) {
            Family::Ipv4Unicast => {
                !is_v6_hop || info.extended_next_hop.contains(Family::Ipv4Unicast)
            }
            Family::Ipv6Unicast => is_v6_hop,
        };
        let addr = next_hop.addr();
        let ours = [
            info.local_v4.map(IpAddr::V4),
            info.local_v6.map(IpAddr::V6),
            info.local_link_local.map(IpAddr::V6),
        ];
        let unreachable_link = link_local(addr) && info.local_link_local.is_none();
        let usable = fits
            && !addr.is_multicast()
            && !addr.is_loopback()
            && !addr.is_unspecified()
            && !self.own.contains(&addr)
            && !ours.contains(&Some(addr))
            && !unreachable_link;
        usable.then_some((attributes, weight))
    }

    pub fn tracked(&self) -> BTreeSet<IpAddr> {
        self.routes
            .keys()
            .filter_map(|(prefix, source, id)| self.path(*prefix, *source, *id)?.tracked)
            .collect()
    }
}

/// A path that nobody has to judge.
fn accepted_as_local(source: PathSource, attributes: PathAttributes, weight: u32) -> ModelPath {
    ModelPath {
        source,
        path_id: 0,
        attributes,
        weight,
        stale: false,
        valid: true,
        tracked: None,
        metric: 0,
        router_id: Ipv4Addr::UNSPECIFIED,
        external: false,
        confederation: false,
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

fn link_local(addr: IpAddr) -> bool {
    matches!(addr, IpAddr::V6(addr) if addr.is_unicast_link_local())
}

// ===== Decision: by elimination, as RFC 4271 section 9.1.2.2 tells it =====

impl Model {
    pub fn decide(&self, prefix: IpNet) -> Outcome {
        let paths: Vec<ModelPath> = self
            .routes
            .range((prefix, PathSource::Local(LocalSource::Network), 0)..)
            .take_while(|((p, _, _), _)| *p == prefix)
            .filter_map(|((p, source, id), _)| self.path(*p, *source, *id))
            .chain(self.aggregate(prefix))
            .collect();
        let valid: Vec<usize> = (0..paths.len()).filter(|i| paths[*i].valid).collect();
        let (equal, best) = self.eliminate(&paths, valid.clone());
        let rest: Vec<usize> = valid.into_iter().filter(|i| Some(*i) != best).collect();
        let runner_up = self.eliminate(&paths, rest).1;
        let reason = best.map(|best| match runner_up {
            None => Step::OnlyPath,
            Some(second) => self.difference(&paths[best], &paths[second]),
        });
        let multipath = best.map_or(BTreeSet::new(), |best| {
            self.multipath(&paths, equal, best, family_of(prefix))
        });
        Outcome {
            paths,
            best,
            multipath,
            reason,
        }
    }

    fn local_pref(&self, path: &ModelPath) -> u32 {
        let own = path.attributes.local_pref;
        own.unwrap_or(self.config.default_local_pref)
    }

    fn length(&self, path: &ModelPath) -> usize {
        let as_path = &path.attributes.as_path;
        match (
            self.config.as_path_ignore,
            self.config.as_path_confederation,
        ) {
            (true, _) => 0,
            (false, false) => as_path.hop_count(),
            (false, true) => as_path.hop_count() + as_path.confederation_hop_count(),
        }
    }

    fn med(&self, path: &ModelPath) -> u32 {
        let missing = if self.config.missing_as_worst {
            u32::MAX
        } else {
            0
        };
        path.attributes.med.unwrap_or(missing)
    }

    /// Those of equal merit, and the best one.
    fn eliminate(&self, paths: &[ModelPath], mut left: Vec<usize>) -> (Vec<usize>, Option<usize>) {
        let local = |p: &ModelPath| matches!(p.source, PathSource::Local(_));
        keep_least(&mut left, |i| u32::MAX - paths[i].weight);
        keep_least(&mut left, |i| u32::MAX - self.local_pref(&paths[i]));
        keep_least(&mut left, |i| !local(&paths[i]));
        if self.config.compare_aigp {
            keep_least(&mut left, |i| paths[i].attributes.aigp.is_none());
            keep_least(&mut left, |i| accumulated(&paths[i]));
        }
        keep_least(&mut left, |i| self.length(&paths[i]));
        keep_least(&mut left, |i| paths[i].attributes.origin);
        let before_med = left.clone();
        left.retain(|i| {
            !before_med.iter().any(|other| {
                let same = paths[*i].attributes.as_path.first_as()
                    == paths[*other].attributes.as_path.first_as();
                (same || self.config.always_compare_med)
                    && self.med(&paths[*other]) < self.med(&paths[*i])
            })
        });
        let before_type = left.clone();
        keep_least(&mut left, |i| !paths[i].external);
        keep_least(&mut left, |i| !paths[i].confederation);
        keep_least(&mut left, |i| paths[i].metric);
        let mut equal = left.clone();
        if self.config.peer_type_multipath_relax {
            equal = before_type;
            let metric = left.first().map(|i| paths[*i].metric);
            equal.retain(|i| Some(paths[*i].metric) == metric);
        }
        self.break_ties(paths, &mut left);
        (equal, left.first().copied())
    }

    fn break_ties(&self, paths: &[ModelPath], left: &mut Vec<usize>) {
        keep_least(left, |i| paths[i].router_id);
        keep_least(left, |i| paths[i].attributes.cluster_list.len());
        keep_least(left, |i| paths[i].address);
        keep_least(left, |i| paths[i].source);
        keep_least(left, |i| paths[i].path_id);
    }

    fn difference(&self, a: &ModelPath, b: &ModelPath) -> Step {
        let local = |p: &ModelPath| matches!(p.source, PathSource::Local(_));
        let (x, y) = (&a.attributes, &b.attributes);
        let same_as = x.as_path.first_as() == y.as_path.first_as();
        if a.weight != b.weight {
            Step::Weight
        } else if self.local_pref(a) != self.local_pref(b) {
            Step::LocalPref
        } else if local(a) != local(b) {
            Step::LocalRoute
        } else if self.config.compare_aigp && accumulated(a) != accumulated(b) {
            Step::Aigp
        } else if self.length(a) != self.length(b) {
            Step::AsPath
        } else if x.origin != y.origin {
            Step::Origin
        } else if (same_as || self.config.always_compare_med) && self.med(a) != self.med(b) {
            Step::Med
        } else if a.external != b.external {
            Step::PeerType
        } else if a.confederation != b.confederation {
            Step::ConfederationType
        } else if a.metric != b.metric {
            Step::IgpMetric
        } else if a.router_id != b.router_id {
            Step::RouterId
        } else if x.cluster_list.len() != y.cluster_list.len() {
            Step::ClusterLength
        } else if a.address != b.address {
            Step::NeighborIp
        } else {
            Step::TieBreak
        }
    }

    fn multipath(
        &self,
        paths: &[ModelPath],
        mut equal: Vec<usize>,
        best: usize,
        family: Family,
    ) -> BTreeSet<usize> {
        let max = self.config.max_paths(family);
        let limit = match (
            paths[best].source,
            paths[best].external || paths[best].confederation,
        ) {
            (PathSource::Local(_), _) => 1,
            (PathSource::Peer(_), true) => usize::from(max.ebgp),
            (PathSource::Peer(_), false) => usize::from(max.ibgp),
        };
        if !self.config.multipath_relax {
            let peer_as = |i: usize| match paths[i].source {
                PathSource::Peer(peer) => self.peers[&peer].info.remote_as,
                PathSource::Local(_) => 0,
            };
            equal.retain(|i| {
                if paths[*i].external || paths[*i].confederation {
                    peer_as(*i) == peer_as(best)
                } else {
                    paths[*i].attributes.as_path == paths[best].attributes.as_path
                }
            });
        }
        let mut members = BTreeSet::new();
        while members.len() < limit && !equal.is_empty() {
            let mut next = equal.clone();
            keep_least(&mut next, |i| !paths[i].external);
            keep_least(&mut next, |i| !paths[i].confederation);
            self.break_ties(paths, &mut next);
            members.insert(next[0]);
            equal.retain(|i| *i != next[0]);
        }
        if members.len() < 2 {
            members.clear();
        }
        members
    }
}

/// The metric over our own part of the way, if the path has one.
fn accumulated(path: &ModelPath) -> Option<u64> {
    let aigp = path.attributes.aigp.as_ref()?.metric;
    Some(aigp.saturating_add(path.metric.into()))
}

fn keep_least<K: Ord>(left: &mut Vec<usize>, key: impl Fn(usize) -> K) {
    if let Some(least) = left.iter().map(|i| key(*i)).min() {
        left.retain(|i| key(*i) == least);
    }
}

// ===== What follows from the decision =====

impl Model {
    pub fn fib(&self) -> BTreeMap<IpNet, FibRoute> {
        self.prefixes()
            .into_iter()
            .filter_map(|prefix| Some((prefix, self.fib_route(prefix)?)))
            .collect()
    }

    fn fib_route(&self, prefix: IpNet) -> Option<FibRoute> {
        let outcome = self.decide(prefix);
        let best = outcome.best?;
        if outcome.paths[best].source == PathSource::Local(LocalSource::Aggregate) {
            return Some(FibRoute {
                kind: FibKind::Aggregate,
                metric: 0,
                next_hops: Vec::new(),
            });
        }
        let ways = self.ways(&outcome)?;
        let bandwidths: Vec<Option<u64>> = ways.values().map(|way| way.1).collect();
        let weights = bandwidth::weights(&bandwidths, self.config.link_bandwidth);
        let best = &outcome.paths[best];
        Some(FibRoute {
            kind: if best.external {
                FibKind::Ebgp
            } else {
                FibKind::Ibgp
            },
            metric: best.attributes.med.unwrap_or(0),
            next_hops: ways
                .into_iter()
                .zip(weights)
                .filter_map(|(((next_hop, _), (peer, _)), weight)| {
                    Some(FibNextHop {
                        elsewhere: None,
                        next_hop,
                        peer,
                        weight: weight?,
                    })
                })
                .collect(),
        })
    }

    /// What the peer holds of each prefix, in no order that matters.
    pub fn advertised(&self, peer: PeerId) -> BTreeMap<IpNet, Vec<PathAttributes>> {
        let everything = ["0.0.0.0/0", "::/0"].map(|prefix| prefix.parse().unwrap());
        let prefixes = self.prefixes().into_iter().chain(everything);
        let mut told: BTreeMap<_, _> = prefixes
            .map(|prefix| (prefix, self.offered(peer, prefix)))
            .collect();
        told.retain(|_, paths| !paths.is_empty());
        told
    }

    fn offered(&self, id: PeerId, prefix: IpNet) -> Vec<PathAttributes> {
        let Some(peer) = self.peers.get(&id) else {
            return Vec::new();
        };
        if let Some(told) = self.told_beside(id, prefix) {
            return told;
        }
        let family = family_of(prefix);
        let outcome = self.decide(prefix);
        let paths = &outcome.paths;
        let carried = self.carried(&outcome);
        let suppressed = match self.suppressed(prefix) {
            true => Ask::Suppressed,
            false => Ask::Policy,
        };
        let tell = |i: usize| {
            let carried = carried.filter(|_| outcome.best == Some(i));
            self.told((id, prefix), &paths[i], carried, suppressed)
        };
        let mut valid: Vec<usize> = (0..paths.len()).filter(|i| paths[*i].valid).collect();
        let client = peer.info.is_external() && peer.info.route_server_client.contains(family);
        match peer.info.family(family).add_path {
            AddPathSend::All => valid.into_iter().filter_map(tell).collect(),
            AddPathSend::BestPerAs => {
                let asn = |i: &usize| paths[*i].attributes.as_path.first_as();
                let all: BTreeSet<Option<u32>> = valid.iter().map(asn).collect();
                let of =
                    |wanted: Option<u32>| valid.iter().copied().filter(move |i| asn(i) == wanted);
                all.into_iter()
                    .filter_map(|wanted| self.eliminate(paths, of(wanted).collect()).1)
                    .filter_map(tell)
                    .collect()
            }
            AddPathSend::Best if client && peer.policy.export_may_deny() => {
                while let Some(next) = self.eliminate(paths, valid.clone()).1 {
                    if let Some(told) = tell(next) {
                        return vec![told];
                    }
                    valid.retain(|i| *i != next);
                }
                Vec::new()
            }
            AddPathSend::Best => outcome.best.and_then(tell).into_iter().collect(),
        }
    }

    /// The default route that a peer is told beside the table, if this is one.
    pub fn default_route(&self, id: PeerId, prefix: IpNet) -> Option<&PathAttributes> {
        let peer = self.peers.get(&id).filter(|_| prefix.prefix_len() == 0)?;
        peer.defaults.get(&(family_of(prefix) as u8))
    }

    fn told_beside(&self, id: PeerId, prefix: IpNet) -> Option<Vec<PathAttributes>> {
        let attributes = self.default_route(id, prefix)?.clone();
        let path = ModelPath {
            source: PathSource::Local(LocalSource::Network),
            path_id: 0,
            attributes,
            weight: 0,
            stale: false,
            valid: true,
            tracked: None,
            metric: 0,
            router_id: Ipv4Addr::UNSPECIFIED,
            external: false,
            confederation: false,
            address: Ipv4Addr::UNSPECIFIED.into(),
        };
        let told = self.told((id, prefix), &path, None, Ask::Nobody);
        Some(told.into_iter().collect())
    }

    fn told(
        &self,
        (id, prefix): (PeerId, IpNet),
        path: &ModelPath,
        carried: Option<f32>,
        ask: Ask,
    ) -> Option<PathAttributes> {
        let peer = self.peers.get(&id).filter(|peer| peer.up)?;
        let to = &peer.info;
        let family = family_of(prefix);
        let from = match path.source {
            PathSource::Local(_) => None,
            PathSource::Peer(from) if from == id => return None,
            PathSource::Peer(from) => Some(&self.peers[&from].info),
        };
        if !to.families.contains(family) || !self.may_tell(from, to, path, family) {
            return None;
        }
        let (next_hop, ours) = told_next_hop(from, to, path.attributes.next_hop, family)?;
        let mut told = path.attributes.clone();
        told.next_hop = Some(next_hop);
        if let Some(aigp) = told.aigp.as_mut().filter(|_| ours && from.is_some()) {
            aigp.metric = aigp.metric.saturating_add(path.metric.max(1).into());
        }
        told.aigp = told.aigp.filter(|_| to.aigp || !to.is_external());
        if let Some(carried) = carried.filter(|_| ours) {
            self.replace_bandwidth(to, carried, &mut told.extended_communities);
        }
        let local_pref = told.local_pref.unwrap_or(self.config.default_local_pref);
        match (from.map(PeerInfo::is_internal), to.kind) {
            (Some(_), PeerKind::External) if !to.route_server_client.contains(family) => {
                told.med = None;
            }
            (_, PeerKind::External) => {}
            (Some(true), PeerKind::Internal) => {
                told.local_pref = Some(local_pref);
                let originator = told.originator_id.or(from.map(|p| p.router_id));
                told.originator_id = originator;
                let cluster = self.config.cluster_id.unwrap_or(self.config.router_id);
                told.cluster_list.insert(0, cluster);
            }
            (_, PeerKind::Internal | PeerKind::Confederation) => {
                told.local_pref = Some(local_pref);
            }
        }
        let attributes = Attributes::new(told.clone());
        let context = RouteContext {
            peer: to,
            learned_from: from,
            family,
            prefix,
            attributes: &attributes,
            weight: path.weight,
            source: None,
            original_next_hop: None,
            original_med: None,
        };
        let verdict = match ask {
            Ask::Suppressed => peer.policy.export_suppressed(&context),
            Ask::Policy => peer.policy.export(&context),
            Ask::Nobody => Verdict::Accept,
        };
        match verdict {
            Verdict::Deny(_) => return None,
            Verdict::Accept => {}
            Verdict::AcceptWith(new) => told = new.attributes.clone(),
        }
        if !to.is_internal() {
            told.originator_id = None;
            told.cluster_list = Vec::new();
        }
        match to.kind {
            PeerKind::Internal => {}
            PeerKind::Confederation => {
                told.as_path = told.as_path.prepend_confederation(self.config.local_as, 1);
            }
            PeerKind::External => {
                told.local_pref = None;
                told.extended_communities.retain(|c| c.is_transitive());
                told.as_path = told.as_path.without_confederation();
                if !to.route_server_client.contains(family) {
                    let outer = self.config.outer_as();
                    told.as_path = told.as_path.prepend(outer, 1);
                    if to.local_as != outer {
                        told.as_path = told.as_path.prepend(to.local_as, 1);
                    }
                }
            }
        }
        let kinds = to.family(family).send_communities;
        told.communities.retain(|_| kinds.standard);
        told.extended_communities.retain(|_| kinds.extended);
        told.large_communities.retain(|_| kinds.large);
        for community in &mut told.extended_communities {
            if to.integer_bandwidth {
                *community = community.link_bandwidth_to_integer();
            }
        }
        Some(told)
    }

    fn may_tell(
        &self,
        from: Option<&PeerInfo>,
        to: &PeerInfo,
        path: &ModelPath,
        family: Family,
    ) -> bool {
        let communities = &path.attributes.communities;
        let has = |community| communities.contains(&community);
        if has(Community::NO_ADVERTISE)
            || (has(Community::NO_EXPORT) && to.is_external())
            || (has(Community::NO_EXPORT_SUBCONFED) && !to.is_internal())
        {
            return false;
        }
        match from {
            Some(from) if from.is_internal() && to.is_internal() => {
                let clients = [from, to].map(|peer| peer.reflector_client.contains(family));
                let reflects = match clients {
                    [true, true] => self.config.client_to_client_reflection,
                    [a, b] => a || b,
                };
                reflects && path.attributes.originator_id != Some(to.router_id)
            }
            _ => true,
        }
    }
}

/// And whether it is our address.
fn told_next_hop(
    from: Option<&PeerInfo>,
    to: &PeerInfo,
    current: Option<NextHop>,
    family: Family,
) -> Option<(NextHop, bool)> {
    let v6_for_v4 = to.extended_next_hop.contains(family);
    let ours_v6 = to
        .local_v6
        .or(to.local_link_local)
        .map(|global| NextHop::V6 {
            global,
            link_local: to.local_link_local,
        });
    let ours = match family {
        Family::Ipv6Unicast => ours_v6,
        Family::Ipv4Unicast => to
            .local_v4
            .map(NextHop::V4)
            .or(ours_v6.filter(|_| v6_for_v4)),
    };
    let ours = ours.map(|ours| (ours, true));
    let Some(current) = current else { return ours };
    let addr = current.addr();
    let foreign = match family {
        Family::Ipv4Unicast => addr.is_ipv6() && !v6_for_v4,
        Family::Ipv6Unicast => addr.is_ipv4(),
    };
    if foreign || addr == to.address || link_local(addr) || addr.is_unspecified() {
        return ours;
    }
    let forced = to.next_hop_self_force.contains(family);
    let wanted = forced || to.next_hop_self.contains(family);
    let shared = !to.ebgp_multihop && to.shared_subnets.iter().any(|net| net.contains(&addr));
    let off_link = match current {
        NextHop::V4(_) => current,
        NextHop::V6 { global, .. } => NextHop::V6 {
            global,
            link_local: None,
        },
    };
    let transparent = to.is_external() && to.route_server_client.contains(family);
    if transparent && from.is_some_and(PeerInfo::is_external) {
        return Some((current, false));
    }
    if from.is_some() && to.family(family).next_hop_unchanged {
        return Some((off_link, false));
    }
    match (from, to.is_external()) {
        (_, true) if shared && !wanted => Some((current, false)),
        (_, true) | (None, false) => ours,
        (Some(from), false) if !(from.is_internal() && to.is_internal()) && wanted => ours,
        (Some(_), false) if forced => ours,
        (Some(_), false) => Some((off_link, false)),
    }
}
