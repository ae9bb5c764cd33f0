//! The decision process (RFC 4271 section 9.1.2).
//!
//! Paths have no `Ord`: MED is compared between paths of one neighbouring AS
//! only, which is not transitive. [`compare`] says which of two paths is
//! preferred and at which step they differ; [`select`] groups by neighbouring
//! AS before it compares groups, so the order of its input never matters.

use core::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr};

use bgp_wire::{AsPath, Origin};

use crate::attrs::AttrRef;
use crate::config::{MaxPaths, RibConfig};
use crate::local::LocalSource;
use crate::view::PathSource;

/// The step at which two paths differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Step {
    /// There was nothing to compare with.
    OnlyPath,
    /// 1. The higher weight.
    Weight,
    /// 2. The higher LOCAL_PREF.
    LocalPref,
    /// 3. A route of our own.
    LocalRoute,
    /// 4. The shorter AS path.
    AsPath,
    /// 5. The lower ORIGIN.
    Origin,
    /// 6. The lower MED.
    Med,
    /// 7. External before internal.
    PeerType,
    /// 8. The nearer next hop.
    IgpMetric,
    /// 9. The lower router ID.
    RouterId,
    /// 10. The shorter CLUSTER_LIST.
    ClusterLength,
    /// 11. The lower peer address.
    NeighborIp,
    /// 12. What is left: source, then path identifier.
    TieBreak,
}

impl Step {
    /// The text that FRR 8.4 shows as the selection reason.
    pub const fn reason(self) -> &'static str {
        match self {
            Step::OnlyPath => "First path received",
            Step::Weight => "Weight",
            Step::LocalPref => "Local Pref",
            Step::LocalRoute => "Local Route",
            Step::AsPath => "AS Path",
            Step::Origin => "Origin",
            Step::Med => "MED",
            Step::PeerType => "Peer Type",
            Step::IgpMetric => "IGP Metric",
            Step::RouterId => "Router ID",
            Step::ClusterLength => "Cluster length",
            Step::NeighborIp => "Neighbor IP",
            Step::TieBreak => "Nothing left to compare",
        }
    }

    /// Whether paths that differ only here are of equal merit: the steps after
    /// this point say which of them is the best, not which may be used.
    pub const fn is_past_multipath(self) -> bool {
        self as u8 > Step::IgpMetric as u8
    }
}

/// A valid path as the decision sees it, defaults filled in.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Weight.
    pub weight: u32,
    /// LOCAL_PREF, or the default.
    pub local_pref: u32,
    /// A route of our own.
    pub local: bool,
    /// The AS path.
    pub as_path: &'a AsPath,
    /// Its length as RFC 4271 section 9.1.2.2 a counts it.
    pub hop_count: u32,
    /// ORIGIN.
    pub origin: Origin,
    /// The AS that MED is compared within; none is a group of its own.
    pub neighbor_as: Option<u32>,
    /// MED, or what a missing one counts as.
    pub med: u32,
    /// Learned from an external peer.
    pub external: bool,
    /// The AS of the peer, 0 for a route of our own.
    pub peer_as: u32,
    /// Metric to the next hop.
    pub igp_metric: u32,
    /// ORIGINATOR_ID, or the peer's router ID.
    pub router_id: Ipv4Addr,
    /// Length of CLUSTER_LIST.
    pub cluster_len: usize,
    /// The peer's address.
    pub peer_address: IpAddr,
    /// Source.
    pub source: PathSource,
    /// Path identifier.
    pub path_id: u32,
}

impl<'a> Candidate<'a> {
    /// What attributes and configuration say, with everything that depends on
    /// the source as for a route of our own.
    pub fn local(attributes: &'a AttrRef, config: &RibConfig) -> Candidate<'a> {
        let missing_med = if config.missing_as_worst { u32::MAX } else { 0 };
        Candidate {
            weight: 0,
            local_pref: attributes.local_pref.unwrap_or(config.default_local_pref),
            local: true,
            as_path: &attributes.as_path,
            hop_count: attributes.hop_count(),
            origin: attributes.origin,
            neighbor_as: attributes.neighbor_as(),
            med: attributes.med.unwrap_or(missing_med),
            external: false,
            peer_as: 0,
            igp_metric: 0,
            router_id: Ipv4Addr::UNSPECIFIED,
            cluster_len: attributes.cluster_list.len(),
            peer_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            source: PathSource::Local(LocalSource::Network),
            path_id: 0,
        }
    }
}

/// Compares two paths: [`Ordering::Less`] means that `a` is preferred. Total,
/// but not transitive where the paths are of several neighbouring ASes and
/// `always_compare_med` is off.
pub fn compare(a: &Candidate<'_>, b: &Candidate<'_>, always_compare_med: bool) -> (Ordering, Step) {
    let same_neighbor = always_compare_med || a.neighbor_as == b.neighbor_as;
    let steps = [
        // 1. The operator of this router has the first word.
        (Step::Weight, b.weight.cmp(&a.weight)),
        // 2. Then the policy of the AS (section 9.1.1).
        (Step::LocalPref, b.local_pref.cmp(&a.local_pref)),
        // 3. What is ours needs no neighbour to be reached.
        (Step::LocalRoute, b.local.cmp(&a.local)),
        // 4. Fewer ASes on the way (section 9.1.2.2 a).
        (Step::AsPath, a.hop_count.cmp(&b.hop_count)),
        // 5. The more trustworthy origin (section 9.1.2.2 b).
        (Step::Origin, a.origin.cmp(&b.origin)),
        // 6. The neighbour's own wish which of its links to use, which says
        //    nothing about other neighbours' links (section 9.1.2.2 c).
        (
            Step::Med,
            if same_neighbor {
                a.med.cmp(&b.med)
            } else {
                Ordering::Equal
            },
        ),
        // 7. Out of the AS at once, and no loops inside (section 9.1.2.2 d).
        (Step::PeerType, b.external.cmp(&a.external)),
        // 8. The shortest way out (section 9.1.2.2 e).
        (Step::IgpMetric, a.igp_metric.cmp(&b.igp_metric)),
        // Paths equal up to here are of equal merit: multipath.
        // 9. All routers should choose alike (section 9.1.2.2 f, and RFC 4456
        //    section 9 for ORIGINATOR_ID).
        (Step::RouterId, a.router_id.cmp(&b.router_id)),
        // 10. Fewer reflections (RFC 4456 section 9).
        (Step::ClusterLength, a.cluster_len.cmp(&b.cluster_len)),
        // 11. Two sessions with one router (section 9.1.2.2 g).
        (Step::NeighborIp, a.peer_address.cmp(&b.peer_address)),
        // 12. Several paths of one session, or several sources of our own.
        (
            Step::TieBreak,
            (a.source, a.path_id).cmp(&(b.source, b.path_id)),
        ),
    ];
    steps
        .into_iter()
        .find(|(_, ordering)| ordering.is_ne())
        .map_or((Ordering::Equal, Step::TieBreak), |(step, ordering)| {
            (ordering, step)
        })
}

/// What the decision came to. The numbers are places in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The best path.
    pub best: usize,
    /// The step that decided against the runner-up.
    pub reason: Step,
    /// The best path and those used beside it, in the order of preference;
    /// empty where the best path is used alone.
    pub multipath: Vec<usize>,
}

impl Selection {
    /// The outcome where there is one path.
    pub(crate) fn only() -> Selection {
        Selection {
            best: 0,
            reason: Step::OnlyPath,
            multipath: Vec::new(),
        }
    }
}

/// Chooses among the valid paths of a prefix; none if there are none. The
/// input's order makes no difference.
pub fn select(
    candidates: &[Candidate<'_>],
    config: &RibConfig,
    max_paths: MaxPaths,
) -> Option<Selection> {
    if candidates.len() < 2 {
        return candidates.first().map(|_| Selection::only());
    }
    let contest = Contest::new(candidates, config.always_compare_med);
    let best = contest.winner()?;
    let reason = contest
        .runner_up(best)
        .map_or(Step::OnlyPath, |second| contest.step(best, second));
    let multipath = contest.multipath(best, config.multipath_relax, max_paths);
    Some(Selection {
        best,
        reason,
        multipath,
    })
}

/// The candidates and their groups: places in the input, sorted by neighbouring
/// AS, and of each group the winner.
struct Contest<'a> {
    candidates: &'a [Candidate<'a>],
    always_compare_med: bool,
    winners: Vec<usize>,
}

impl<'a> Contest<'a> {
    fn new(candidates: &'a [Candidate<'a>], always_compare_med: bool) -> Contest<'a> {
        let mut contest = Contest {
            candidates,
            always_compare_med,
            winners: Vec::new(),
        };
        let mut places: Vec<usize> = (0..candidates.len()).collect();
        places.sort_unstable_by_key(|place| contest.group(*place));
        contest.winners = places
            .chunk_by(|a, b| contest.group(*a) == contest.group(*b))
            .filter_map(|group| contest.preferred(group.iter().copied()))
            .collect();
        contest
    }

    /// What MED is compared within.
    fn group(&self, place: usize) -> Option<u32> {
        if self.always_compare_med {
            return None;
        }
        self.candidates.get(place)?.neighbor_as
    }

    fn order(&self, a: usize, b: usize) -> (Ordering, Step) {
        match (self.candidates.get(a), self.candidates.get(b)) {
            (Some(a), Some(b)) => compare(a, b, self.always_compare_med),
            _ => (Ordering::Equal, Step::TieBreak),
        }
    }

    fn step(&self, a: usize, b: usize) -> Step {
        self.order(a, b).1
    }

    /// The most preferred of places between which comparing is transitive.
    fn preferred(&self, places: impl Iterator<Item = usize>) -> Option<usize> {
        places.min_by(|a, b| self.order(*a, *b).0)
    }

    fn winner(&self) -> Option<usize> {
        self.preferred(self.winners.iter().copied())
    }

    /// Who would win without the winner: the second of its group, or the
    /// winner of another.
    fn runner_up(&self, best: usize) -> Option<usize> {
        let group = self.group(best);
        let second = self.preferred(
            (0..self.candidates.len())
                .filter(|place| *place != best && self.group(*place) == group),
        );
        let others = self.winners.iter().copied().filter(|place| *place != best);
        self.preferred(others.chain(second))
    }

    /// The paths used together with the best one.
    fn multipath(&self, best: usize, relax: bool, max_paths: MaxPaths) -> Vec<usize> {
        let Some(chosen) = self.candidates.get(best) else {
            return Vec::new();
        };
        let max = match (chosen.local, chosen.external) {
            (true, _) => 1,
            (false, true) => max_paths.ebgp,
            (false, false) => max_paths.ibgp,
        };
        if max < 2 {
            return Vec::new();
        }
        let mut members: Vec<usize> = self
            .candidates
            .iter()
            .enumerate()
            .filter(|(place, path)| {
                (relax || alike(path, chosen))
                    && self.equal_merit(*place, best)
                    && self.survives_med(*place)
            })
            .map(|(place, _)| place)
            .collect();
        members.sort_unstable_by(|a, b| self.order(*a, *b).0);
        members.truncate(usize::from(max));
        if members.len() < 2 {
            members.clear();
        }
        members
    }

    fn equal_merit(&self, a: usize, b: usize) -> bool {
        a == b || self.step(a, b).is_past_multipath()
    }

    /// A path that MED rules out within its group is not used either, however
    /// it compares to a best path of another group.
    fn survives_med(&self, place: usize) -> bool {
        self.winners
            .iter()
            .filter(|winner| self.group(**winner) == self.group(place))
            .all(|winner| self.equal_merit(place, *winner))
    }
}

/// Whether two equally long paths may be used together though multipath is not
/// relaxed: the same neighbouring AS on external sessions, which is what FRR
/// goes by, and the same AS path on internal ones.
fn alike(a: &Candidate<'_>, b: &Candidate<'_>) -> bool {
    if b.external {
        a.peer_as == b.peer_as
    } else {
        a.as_path == b.as_path
    }
}
