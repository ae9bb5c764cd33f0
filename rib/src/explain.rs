//! Why a path is the best one, and what policy was asked: for people, and off
//! the way that routes take.

use core::cmp::Ordering;

use bgp_wire::{NextHop, PathAttributes};
use ipnet::IpNet;

use crate::attrs::AttrRef;
use crate::bandwidth::carried;
use crate::decision::{Candidate, Rules, Step, compare, select};
use crate::family_rib::FamilyRib;
use crate::import::as_imported;
use crate::local::LocalSource;
use crate::path::Path;
use crate::peer::{PeerId, PeerInfo};
use crate::policy::{Attributes, RouteContext};
use crate::query::Range;
use crate::shared::Shared;
use crate::table::RibFamily;
use crate::transform::Exporter;
use crate::view::{Invalid, Page, PathSource, Rejection};

/// Which path is meant: its source and identifier.
pub type PathName = (PathSource, u32);

/// What became of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is the best one; with the runner-up and what decided against it,
    /// where there is one.
    Best(Option<Comparison>),
    /// It is used beside the best one, and differs from it only here.
    Beside(Comparison),
    /// Another one was preferred.
    Lost(Comparison),
    /// It takes no part in the decision.
    Invalid(Invalid),
    /// It is not in the table.
    Rejected(Rejection),
}

/// The first step at which two paths differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The step.
    pub step: Step,
    /// The other path. Where it is not the best one, it is of the same
    /// neighbouring AS, within which MED is compared first.
    pub with: PathName,
    /// What this path has there, in words.
    pub value: String,
    /// What the other has.
    pub other: String,
}

/// A path, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedPath {
    /// Which path it is.
    pub name: PathName,
    /// What it says; of one that policy refused, what came.
    pub attributes: AttrRef,
    /// What became of it.
    pub standing: Standing,
}

/// A prefix with all its paths: the best one first, then those beside it, then
/// the others by how far they came, refused ones last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The prefix.
    pub prefix: IpNet,
    /// The paths.
    pub paths: Vec<ExplainedPath>,
}

/// A route as export policy of a peer is asked about it.
#[derive(Debug, Clone)]
pub struct Offered {
    /// The prefix.
    pub prefix: IpNet,
    /// What [`RouteContext::attributes`] has.
    pub attributes: PathAttributes,
    /// The peer that it was learned from; none for one of ours.
    pub learned_from: Option<PeerId>,
    /// Weight.
    pub weight: u32,
    /// Where a route of our own comes from.
    pub source: Option<LocalSource>,
    /// What [`RouteContext::original_next_hop`] has.
    pub original_next_hop: Option<NextHop>,
    /// What [`RouteContext::original_med`] has.
    pub original_med: Option<u32>,
}

impl<F: RibFamily> FamilyRib<F> {
    pub(crate) fn explain(&self, shared: &Shared, prefix: IpNet) -> Option<Explained> {
        let slot = self.table.find(&F::prefix(prefix)?)?;
        let prefix = self.table.get(slot)?.prefix;
        let paths: Vec<Path> = self.table.paths(slot).map(|(_, path)| *path).collect();
        let usable: Vec<(PathName, Candidate<'_>)> = paths
            .iter()
            .filter_map(|path| Some((name_of(path), path.candidate(shared, prefix)?)))
            .collect();
        let judge = Judge::new(shared, F::FAMILY, &usable);
        let explained = paths.iter().filter_map(|path| {
            let standing = match (path.rejected(), path.invalid(shared, prefix)) {
                (Some(rejection), _) => Standing::Rejected(rejection),
                (None, Some(invalid)) => Standing::Invalid(invalid),
                (None, None) => judge.standing(path)?,
            };
            let set = path.post.unwrap_or(path.pre);
            Some(ExplainedPath {
                name: name_of(path),
                attributes: shared.interner.set(set)?.clone(),
                standing,
            })
        });
        let mut explained: Vec<ExplainedPath> = explained.collect();
        explained.sort_by_key(|path| (rank(&path.standing), path.name));
        (!explained.is_empty()).then(|| Explained {
            prefix: prefix.into(),
            paths: explained,
        })
    }

    /// What export policy of a peer is asked about, prefix by prefix.
    pub(crate) fn offered_page(
        &self,
        shared: &Shared,
        peer: PeerId,
        range: Range,
    ) -> Page<Offered> {
        let rules = shared.rules();
        let exporter = std::cell::RefCell::new(Exporter::new(&rules, &[peer], F::FAMILY));
        self.page(range, |slot, entry| {
            let suppressed = self.is_suppressed(slot);
            let offered = entry.best().and_then(|best| {
                let route = best.route(shared, carried(&self.table, shared, slot))?;
                let mut exporter = exporter.borrow_mut();
                exporter.offered(&shared.interner, entry.prefix.into(), route)
            });
            offered.filter(|_| !suppressed).into_iter().collect()
        })
    }
}

const fn name_of(path: &Path) -> PathName {
    (path.source(), path.path_id)
}

/// How far a path came: less is farther.
fn rank(standing: &Standing) -> (u8, u8) {
    match standing {
        Standing::Best(_) => (0, 0),
        Standing::Beside(lost) => (1, u8::MAX - lost.step as u8),
        Standing::Lost(lost) => (2, u8::MAX - lost.step as u8),
        Standing::Invalid(_) => (3, 0),
        Standing::Rejected(_) => (4, 0),
    }
}

/// Tells paths why they lost.
struct Judge<'a> {
    usable: &'a [(PathName, Candidate<'a>)],
    rules: Rules,
    best: Option<usize>,
    config: &'a crate::config::RibConfig,
    max_paths: crate::config::MaxPaths,
}

impl<'a> Judge<'a> {
    fn new(
        shared: &'a Shared,
        family: bgp_wire::Family,
        usable: &'a [(PathName, Candidate<'a>)],
    ) -> Judge<'a> {
        let max_paths = shared.config.max_paths(family);
        let candidates: Vec<Candidate<'_>> = usable.iter().map(|(_, c)| *c).collect();
        let selection = select(&candidates, &shared.config, max_paths);
        Judge {
            usable,
            rules: Rules::new(&shared.config, max_paths),
            best: selection.map(|selection| selection.best),
            config: &shared.config,
            max_paths,
        }
    }

    fn standing(&self, path: &Path) -> Option<Standing> {
        let name = name_of(path);
        let at = self.usable.iter().position(|(known, _)| *known == name)?;
        let (_, this) = self.usable.get(at)?;
        let best = self.best?;
        if at == best {
            return Some(Standing::Best(self.runner_up(best)));
        }
        let (of, other) = self.winner_over(at, best)?;
        let lost = self.comparison(this, (of, other));
        Some(match path.multipath() {
            true => Standing::Beside(lost),
            false => Standing::Lost(lost),
        })
    }

    /// The best path, or where that one did not beat the path by itself, the
    /// best of the path's neighbouring AS.
    fn winner_over(&self, at: usize, best: usize) -> Option<(PathName, &Candidate<'a>)> {
        let (_, this) = self.usable.get(at)?;
        let (name, chosen) = self.usable.get(best)?;
        if compare(chosen, this, self.rules).0 == Ordering::Less {
            return Some((*name, chosen));
        }
        let group: Vec<usize> = (0..self.usable.len())
            .filter(|other| {
                let other = self.usable.get(*other);
                other.is_some_and(|(_, other)| other.neighbor_as == this.neighbor_as)
            })
            .collect();
        let candidates: Vec<Candidate<'_>> = group
            .iter()
            .filter_map(|at| self.usable.get(*at).map(|(_, c)| *c))
            .collect();
        let first = select(&candidates, self.config, self.max_paths)?.best;
        let (name, first) = self.usable.get(*group.get(first)?)?;
        Some((*name, first))
    }

    /// Which of the others came closest to the best one.
    fn runner_up(&self, best: usize) -> Option<Comparison> {
        let others = (0..self.usable.len()).filter(|at| *at != best);
        let left: Vec<usize> = others.collect();
        let candidates: Vec<Candidate<'_>> = left
            .iter()
            .filter_map(|at| self.usable.get(*at).map(|(_, c)| *c))
            .collect();
        let second = select(&candidates, self.config, self.max_paths)?.best;
        let (name, second) = self.usable.get(*left.get(second)?)?;
        let (_, best) = self.usable.get(best)?;
        Some(self.comparison(best, (*name, second)))
    }

    fn comparison(
        &self,
        this: &Candidate<'_>,
        (with, other): (PathName, &Candidate<'_>),
    ) -> Comparison {
        let (_, step) = compare(this, other, self.rules);
        Comparison {
            step,
            with,
            value: self.value(step, this),
            other: self.value(step, other),
        }
    }

    /// What a step looks at, in words.
    fn value(&self, step: Step, path: &Candidate<'_>) -> String {
        match step {
            Step::OnlyPath => String::new(),
            Step::Weight => path.weight.to_string(),
            Step::LocalPref => path.local_pref.to_string(),
            Step::LocalRoute if path.local => "local".to_owned(),
            Step::LocalRoute => "learned".to_owned(),
            Step::Aigp => path.aigp.map_or_else(
                || "none".to_owned(),
                |aigp| aigp.saturating_add(path.igp_metric.into()).to_string(),
            ),
            Step::AsPath => path.hop_count.to_string(),
            Step::Origin => match path.origin {
                bgp_wire::Origin::Igp => "IGP",
                bgp_wire::Origin::Egp => "EGP",
                bgp_wire::Origin::Incomplete => "incomplete",
            }
            .to_owned(),
            Step::Med => path.med.to_string(),
            Step::PeerType if path.external => "external".to_owned(),
            Step::PeerType => "internal".to_owned(),
            Step::ConfederationType if path.confederation => "confed-external".to_owned(),
            Step::ConfederationType => "confed-internal".to_owned(),
            Step::IgpMetric if self.rules.equal_cluster_length => {
                let hops = path.cluster_len;
                format!("{} (cluster list {hops})", path.igp_metric)
            }
            Step::IgpMetric => path.igp_metric.to_string(),
            Step::RouterId => path.router_id.to_string(),
            Step::ClusterLength => path.cluster_len.to_string(),
            Step::NeighborIp => path.peer_address.to_string(),
            Step::TieBreak => path.path_id.to_string(),
        }
    }
}

/// Asks about a route that came from a peer as import policy is asked. `set` is
/// what [`ReceivedRoute::attributes`](crate::ReceivedRoute::attributes) has.
pub fn ask_import<T>(
    peer: &PeerInfo,
    prefix: IpNet,
    set: &AttrRef,
    ask: impl FnOnce(&RouteContext<'_>) -> T,
) -> T {
    let set = as_imported(peer, set);
    let attributes = Attributes::of(&set);
    let family = match prefix {
        IpNet::V4(_) => bgp_wire::Family::Ipv4Unicast,
        IpNet::V6(_) => bgp_wire::Family::Ipv6Unicast,
    };
    ask(&RouteContext {
        peer,
        learned_from: Some(peer),
        family,
        prefix,
        attributes: &attributes,
        weight: peer.family(family).weight,
        source: None,
        original_next_hop: set.next_hop(),
        original_med: set.med(),
    })
}
