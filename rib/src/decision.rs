//! The decision process (RFC 4271 section 9.1.2).
//!
//! Paths have no `Ord`: MED is compared between paths of one neighbouring AS
//! only, which is not transitive. [`compare`] says which of two paths is
//! preferred and at which step they differ; [`select`] groups by neighbouring
//! AS before it compares groups, so the order of its input never matters.
//!
//! The steps before MED need no groups: for them [`appended`] and
//! [`removal_is_idle`] say what one path more or less comes to without a look
//! at the others. And where no two paths differ in MED, or all MEDs are
//! compared, the paths are [`in_line`]: [`joined`] and [`parted`] do the same
//! for all steps.

use core::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr};

use bgp_wire::Origin;
use smallvec::SmallVec;

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
    /// 4. The lower accumulated IGP metric.
    Aigp,
    /// 5. The shorter AS path.
    AsPath,
    /// 6. The lower ORIGIN.
    Origin,
    /// 7. The lower MED.
    Med,
    /// 8. External before internal.
    PeerType,
    /// 9. Another member AS before our own.
    ConfederationType,
    /// 10. The nearer next hop.
    IgpMetric,
    /// 11. The lower router ID.
    RouterId,
    /// 12. The shorter CLUSTER_LIST.
    ClusterLength,
    /// 13. The lower peer address.
    NeighborIp,
    /// 14. What is left: source, then path identifier.
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
            Step::Aigp => "AIGP",
            Step::AsPath => "AS Path",
            Step::Origin => "Origin",
            Step::Med => "MED",
            Step::PeerType => "Peer Type",
            Step::ConfederationType => "Confed Peer Type",
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

    /// Whether the step orders all paths, whatever their neighbouring AS.
    pub const fn is_before_med(self) -> bool {
        self as u8 > Step::OnlyPath as u8 && (self as u8) < Step::Med as u8
    }
}

/// [`Step::is_before_med`], for where a function is wanted.
pub const fn step_before_med(step: Step) -> bool {
    step.is_before_med()
}

/// What AS paths are told apart by: equal paths are equal keys.
pub type AsPathKey = [u8];

/// A valid path as the decision sees it, defaults filled in.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Weight.
    pub weight: u32,
    /// LOCAL_PREF, or the default.
    pub local_pref: u32,
    /// A route of our own.
    pub local: bool,
    /// AIGP as received (RFC 7311); none where it is not compared.
    pub aigp: Option<u64>,
    /// The AS path.
    pub as_path: &'a AsPathKey,
    /// Its length as RFC 4271 section 9.1.2.2 a counts it, or as the knobs
    /// say: 0 where it is ignored.
    pub hop_count: u32,
    /// ORIGIN.
    pub origin: Origin,
    /// The AS that MED is compared within: the leftmost outside of the
    /// confederation. Paths without one, those from inside of the AS or
    /// confederation, are a group of their own.
    pub neighbor_as: Option<u32>,
    /// MED, or what a missing one counts as.
    pub med: u32,
    /// Learned from an external peer; other member ASes are not.
    pub external: bool,
    /// Learned from another member AS of the confederation.
    pub confederation: bool,
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

impl Candidate<'_> {
    /// The accumulated metric with our own share, and in front of it whether
    /// there is none (RFC 7311 section 4.1).
    fn accumulated(&self) -> (bool, u64) {
        match self.aigp {
            Some(aigp) => (false, aigp.saturating_add(self.igp_metric.into())),
            None => (true, 0),
        }
    }

    /// A route of our own before anything is said about it.
    const fn blank() -> Candidate<'static> {
        Candidate {
            weight: 0,
            local_pref: 0,
            local: true,
            aigp: None,
            as_path: &[],
            hop_count: 0,
            origin: Origin::Igp,
            neighbor_as: None,
            med: 0,
            external: false,
            confederation: false,
            peer_as: 0,
            igp_metric: 0,
            router_id: Ipv4Addr::UNSPECIFIED,
            cluster_len: 0,
            peer_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            source: PathSource::Local(LocalSource::Network),
            path_id: 0,
        }
    }
}

/// The knobs that a comparison of two paths needs; the others are in the
/// candidates already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// Compare MED between different neighbouring ASes too.
    pub always_compare_med: bool,
    /// The length of CLUSTER_LIST counts as a part of the metric.
    pub equal_cluster_length: bool,
    /// External and internal paths may be used together.
    pub peer_type_relax: bool,
}

impl Rules {
    /// The rules of a table for a family with these limits.
    pub const fn new(config: &RibConfig, max_paths: MaxPaths) -> Rules {
        Rules {
            always_compare_med: config.always_compare_med,
            equal_cluster_length: max_paths.equal_cluster_length,
            peer_type_relax: config.peer_type_multipath_relax,
        }
    }
}

// ===== Two paths =====

type Difference = Option<(Ordering, Step)>;

/// The difference at a step, if there is one there.
#[inline]
fn at(step: Step, ordering: Ordering) -> Difference {
    match ordering {
        Ordering::Equal => None,
        other => Some((other, step)),
    }
}

/// Compares two paths: [`Ordering::Less`] means that `a` is preferred. Total,
/// but not transitive where the paths are of several neighbouring ASes and
/// `always_compare_med` is off. Nothing is looked at after the first
/// difference.
pub fn compare(a: &Candidate<'_>, b: &Candidate<'_>, rules: Rules) -> (Ordering, Step) {
    before_med(a, b)
        .or_else(|| by_med(a, b, rules))
        .or_else(|| by_type(a, b))
        .or_else(|| by_metric(a, b, rules))
        .or_else(|| by_identity(a, b))
        .unwrap_or((Ordering::Equal, Step::TieBreak))
}

/// The steps that order all paths alike.
#[inline]
fn before_med(a: &Candidate<'_>, b: &Candidate<'_>) -> Difference {
    // 1. The operator of this router has the first word.
    at(Step::Weight, b.weight.cmp(&a.weight))
        // 2. Then the policy of the AS (section 9.1.1).
        .or_else(|| at(Step::LocalPref, b.local_pref.cmp(&a.local_pref)))
        // 3. What is ours needs no neighbour to be reached.
        .or_else(|| at(Step::LocalRoute, b.local.cmp(&a.local)))
        // 4. Networks under one administration are as far as their metrics
        //    say; a path without the metric gives way (RFC 7311 section 4.1).
        .or_else(|| at(Step::Aigp, a.accumulated().cmp(&b.accumulated())))
        // 5. Fewer ASes on the way (section 9.1.2.2 a).
        .or_else(|| at(Step::AsPath, a.hop_count.cmp(&b.hop_count)))
        // 6. The more trustworthy origin (section 9.1.2.2 b).
        .or_else(|| at(Step::Origin, a.origin.cmp(&b.origin)))
}

/// 7. The neighbour's own wish which of its links to use, which says nothing
///    about other neighbours' links (section 9.1.2.2 c).
#[inline]
fn by_med(a: &Candidate<'_>, b: &Candidate<'_>, rules: Rules) -> Difference {
    if rules.always_compare_med || a.neighbor_as == b.neighbor_as {
        return at(Step::Med, a.med.cmp(&b.med));
    }
    None
}

#[inline]
fn by_type(a: &Candidate<'_>, b: &Candidate<'_>) -> Difference {
    // 8. Out of the AS at once, and no loops inside (section 9.1.2.2 d).
    at(Step::PeerType, b.external.cmp(&a.external))
        // 9. The same between member ASes, where RFC 5065 section 5.3 sees no
        //    difference and FRR does.
        .or_else(|| {
            at(
                Step::ConfederationType,
                b.confederation.cmp(&a.confederation),
            )
        })
}

#[inline]
fn by_metric(a: &Candidate<'_>, b: &Candidate<'_>, rules: Rules) -> Difference {
    // 10. The shortest way out (section 9.1.2.2 e); where there is no metric
    //     to tell, reflections may stand for hops.
    at(Step::IgpMetric, a.igp_metric.cmp(&b.igp_metric)).or_else(|| {
        let hops = a.cluster_len.cmp(&b.cluster_len);
        at(Step::IgpMetric, hops).filter(|_| rules.equal_cluster_length)
    })
}

/// Paths that differ here only are of equal merit: multipath.
#[inline]
fn by_identity(a: &Candidate<'_>, b: &Candidate<'_>) -> Difference {
    // 11. All routers should choose alike (section 9.1.2.2 f, and RFC 4456
    //     section 9 for ORIGINATOR_ID).
    at(Step::RouterId, a.router_id.cmp(&b.router_id))
        // 12. Fewer reflections (RFC 4456 section 9).
        .or_else(|| at(Step::ClusterLength, a.cluster_len.cmp(&b.cluster_len)))
        // 13. Two sessions with one router (section 9.1.2.2 g).
        .or_else(|| at(Step::NeighborIp, a.peer_address.cmp(&b.peer_address)))
        // 14. Several paths of one session, or several sources of our own.
        .or_else(|| {
            let left = (a.source, a.path_id).cmp(&(b.source, b.path_id));
            at(Step::TieBreak, left)
        })
}

/// Whether two paths may be used together as far as their merit goes.
fn equal_merit(a: &Candidate<'_>, b: &Candidate<'_>, rules: Rules) -> bool {
    before_med(a, b).is_none()
        && by_med(a, b, rules).is_none()
        && (rules.peer_type_relax || by_type(a, b).is_none())
        && by_metric(a, b, rules).is_none()
}

/// Whether two equally long paths may be used together though multipath is not
/// relaxed: the same neighbouring AS where the one beside the best came by an
/// external session, which is what FRR goes by, and the same AS path where it
/// came by an internal one.
fn alike(path: &Candidate<'_>, best: &Candidate<'_>) -> bool {
    if path.external || path.confederation {
        path.peer_as == best.peer_as
    } else {
        path.as_path == best.as_path
    }
}

// ===== One path more or less =====

/// What one path more comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The best path and those used beside it stay, and this is the reason.
    Loses(Step),
    /// The new path is the best, for this reason, and used alone.
    Wins(Step),
    /// The best path stays, and the new one is used beside it; at least one of
    /// the two was used already.
    Beside(Step),
    /// The new path is the best, and what was used is used beside it.
    Leads(Step),
    /// Only [`select`] can tell.
    Unclear,
}

/// What a path more comes to, given the present best path and the step that
/// decided for it. `new` must not be among the paths already: a path that
/// takes the place of another one is a removal first.
///
/// Before MED all steps order all paths alike. So a path that loses to the best
/// there loses to whatever is used beside it, too; and one that wins there wins
/// against all.
pub fn appended(best: &Candidate<'_>, reason: Step, new: &Candidate<'_>) -> Appended {
    match before_med(new, best) {
        None => Appended::Unclear,
        Some((Ordering::Less, step)) => Appended::Wins(step),
        Some((_, step)) => Appended::Loses(reason.max(step)),
    }
}

/// [`appended`] where the paths are [`in_line`], the new one among them. `used`
/// is how many are used at present.
pub fn joined(
    (best, reason, used): (&Candidate<'_>, Step, usize),
    new: &Candidate<'_>,
    config: &RibConfig,
    max_paths: MaxPaths,
) -> Appended {
    let rules = Rules::new(config, max_paths);
    // Paths of equal merit are then not those that differ at the last steps.
    if rules.peer_type_relax {
        return Appended::Unclear;
    }
    let (order, step) = compare(new, best, rules);
    let max = limit(best, max_paths);
    match (order.is_lt(), step.is_past_multipath() && max > 1) {
        (true, false) => Appended::Wins(step),
        (false, false) => Appended::Loses(reason.max(step)),
        (true, true) if !(config.multipath_relax || alike(new, best)) => Appended::Unclear,
        (false, true) if !(config.multipath_relax || alike(new, best)) => {
            Appended::Loses(reason.max(step))
        }
        // One of them has to give way.
        (_, true) if used >= max => Appended::Unclear,
        (true, true) => Appended::Leads(step),
        (false, true) => Appended::Beside(reason.max(step)),
    }
}

/// What one path less comes to where the paths are [`in_line`] and `gone`, not
/// the best one, was among them: the step at which it lost to the best. The
/// reason stays if that step comes before it, or if another path lost there.
/// Of those used together with the best one, `used` with `gone` if it was, the
/// others are used as before; none where one that was not used comes in.
pub fn parted(
    (best, used): (&Candidate<'_>, usize),
    gone: &Candidate<'_>,
    config: &RibConfig,
    max_paths: MaxPaths,
) -> Option<Step> {
    let rules = Rules::new(config, max_paths);
    let full = used > 1 && used >= limit(best, max_paths);
    (!full && !rules.peer_type_relax).then(|| compare(gone, best, rules).1)
}

/// Whether comparing any two of these paths is transitive: no path is ruled
/// out by the wish of its neighbouring AS alone.
pub fn in_line(candidates: &[Candidate<'_>], config: &RibConfig) -> bool {
    let same_med = |pair: &[Candidate<'_>]| match pair {
        [a, b] => a.med == b.med,
        _ => true,
    };
    config.always_compare_med || candidates.windows(2).all(same_med)
}

/// Whether the outcome stays when `gone`, which is not the best path, is
/// removed: it lost to the best one before MED, and others came closer.
pub fn removal_is_idle(best: &Candidate<'_>, reason: Step, gone: &Candidate<'_>) -> bool {
    before_med(gone, best).is_some_and(|(order, step)| order.is_gt() && step < reason)
}

// ===== All paths =====

/// Places in the input; more than these are rare enough to be allocated.
type Places = SmallVec<[usize; 16]>;

/// What the decision came to. The numbers are places in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The best path.
    pub best: usize,
    /// The step that decided against the runner-up.
    pub reason: Step,
    /// The best path and those used beside it, in no order; empty where the
    /// best path is used alone.
    pub multipath: SmallVec<[usize; 16]>,
}

impl Selection {
    /// The outcome where there is one path.
    pub(crate) fn only() -> Selection {
        Selection {
            best: 0,
            reason: Step::OnlyPath,
            multipath: Places::new(),
        }
    }
}

/// Chooses among the valid paths of a prefix; none if there are none. The
/// input's order makes no difference. Up to 16 paths cost no allocation.
pub fn select(
    candidates: &[Candidate<'_>],
    config: &RibConfig,
    max_paths: MaxPaths,
) -> Option<Selection> {
    let rules = Rules::new(config, max_paths);
    match candidates {
        [] => None,
        [_] => Some(Selection::only()),
        [a, b] => {
            let (order, reason) = compare(a, b, rules);
            let best = usize::from(order.is_gt());
            let (chosen, other) = if best == 0 { (a, b) } else { (b, a) };
            let fits = limit(chosen, max_paths) > 1
                && (config.multipath_relax || alike(other, chosen))
                && equal_merit(other, chosen, rules);
            let multipath = if fits {
                [best, 1 - best][..].into()
            } else {
                Places::new()
            };
            Some(Selection {
                best,
                reason,
                multipath,
            })
        }
        _ if in_line(candidates, config) => Some(select_in_line(candidates, config, max_paths)),
        _ => select_many(candidates, config, max_paths),
    }
}

/// [`select`] where comparing is transitive.
fn select_in_line(
    candidates: &[Candidate<'_>],
    config: &RibConfig,
    max_paths: MaxPaths,
) -> Selection {
    let rules = Rules::new(config, max_paths);
    let mut selection = Selection::only();
    let Some(mut chosen) = candidates.first() else {
        return selection;
    };
    for (place, path) in candidates.iter().enumerate().skip(1) {
        if compare(path, chosen, rules).0.is_lt() {
            (selection.best, chosen) = (place, path);
        }
    }
    let max = limit(chosen, max_paths);
    for (place, path) in candidates.iter().enumerate() {
        if place == selection.best {
            selection.multipath.push(place);
            continue;
        }
        let step = compare(path, chosen, rules).1;
        selection.reason = selection.reason.max(step);
        let equal = match rules.peer_type_relax {
            true => equal_merit(path, chosen, rules),
            false => step.is_past_multipath(),
        };
        if max > 1 && equal && (config.multipath_relax || alike(path, chosen)) {
            selection.multipath.push(place);
        }
    }
    match selection.multipath.len() {
        0 | 1 => selection.multipath.clear(),
        members if members > max => {
            let order = |a: &usize, b: &usize| match (candidates.get(*a), candidates.get(*b)) {
                (Some(a), Some(b)) => compare(a, b, rules).0,
                _ => Ordering::Equal,
            };
            selection.multipath.sort_unstable_by(order);
            selection.multipath.truncate(max);
        }
        _ => {}
    }
    selection
}

fn select_many(
    candidates: &[Candidate<'_>],
    config: &RibConfig,
    max_paths: MaxPaths,
) -> Option<Selection> {
    let contest = Contest::new(candidates, Rules::new(config, max_paths));
    let best = contest.winner()?;
    let reason = contest
        .runner_up(best)
        .map_or(Step::OnlyPath, |second| contest.order(best, second).1);
    let multipath = contest.multipath(best, config.multipath_relax, max_paths);
    Some(Selection {
        best,
        reason,
        multipath,
    })
}

/// How many paths may be used where this one is the best.
fn limit(best: &Candidate<'_>, max_paths: MaxPaths) -> usize {
    let paths = match (best.local, best.external || best.confederation) {
        (true, _) => 1,
        (false, true) => max_paths.ebgp,
        (false, false) => max_paths.ibgp,
    };
    usize::from(paths)
}

/// The candidates and their groups: places in the input, sorted by neighbouring
/// AS, and of each group the winner.
struct Contest<'a> {
    candidates: &'a [Candidate<'a>],
    rules: Rules,
    winners: Places,
}

impl<'a> Contest<'a> {
    fn new(candidates: &'a [Candidate<'a>], rules: Rules) -> Contest<'a> {
        let mut contest = Contest {
            candidates,
            rules,
            winners: Places::new(),
        };
        let mut places: Places = (0..candidates.len()).collect();
        places.sort_unstable_by_key(|place| contest.group(*place));
        contest.winners = places
            .chunk_by(|a, b| contest.group(*a) == contest.group(*b))
            .filter_map(|group| contest.preferred(group.iter().copied()))
            .collect();
        contest
    }

    /// What MED is compared within.
    fn group(&self, place: usize) -> Option<u32> {
        if self.rules.always_compare_med {
            return None;
        }
        self.candidates.get(place)?.neighbor_as
    }

    fn order(&self, a: usize, b: usize) -> (Ordering, Step) {
        match (self.candidates.get(a), self.candidates.get(b)) {
            (Some(a), Some(b)) => compare(a, b, self.rules),
            _ => (Ordering::Equal, Step::TieBreak),
        }
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
    fn multipath(&self, best: usize, relax: bool, max_paths: MaxPaths) -> Places {
        let Some(chosen) = self.candidates.get(best) else {
            return Places::new();
        };
        let max = limit(chosen, max_paths);
        if max < 2 {
            return Places::new();
        }
        let mut members: Places = self
            .candidates
            .iter()
            .enumerate()
            .filter(|(place, path)| {
                *place == best
                    || ((relax || alike(path, chosen))
                        && equal_merit(path, chosen, self.rules)
                        && self.survives_med(*place))
            })
            .map(|(place, _)| place)
            .collect();
        members.sort_unstable_by(|a, b| self.order(*a, *b).0);
        members.truncate(max);
        if members.len() < 2 {
            members.clear();
        }
        members
    }

    /// A path that MED rules out within its group is not used either, however
    /// it compares to a best path of another group.
    fn survives_med(&self, place: usize) -> bool {
        let group = self.group(place);
        let winner = self.winners.iter().find(|w| self.group(**w) == group);
        match (
            self.candidates.get(place),
            winner.and_then(|w| self.candidates.get(*w)),
        ) {
            // The winner has the least MED of those that come so far; what
            // follows is no affair of the AS.
            (Some(path), Some(winner)) => {
                before_med(path, winner).is_none() && by_med(path, winner, self.rules).is_none()
            }
            _ => false,
        }
    }
}

// ===== From attributes =====

impl<'a> Candidate<'a> {
    /// What attributes and configuration say, with everything that depends on
    /// the source as for a route of our own.
    pub fn local(attributes: &'a AttrRef, config: &RibConfig) -> Candidate<'a> {
        let missing_med = if config.missing_as_worst { u32::MAX } else { 0 };
        let hop_count = match (config.as_path_ignore, config.as_path_confederation) {
            (true, _) => 0,
            (false, false) => attributes.hop_count(),
            (false, true) => {
                let more = attributes.confederation_hop_count();
                attributes.hop_count().saturating_add(more)
            }
        };
        Candidate {
            local_pref: attributes.local_pref().unwrap_or(config.default_local_pref),
            as_path: attributes.as_path_octets(),
            hop_count,
            origin: attributes.origin(),
            neighbor_as: attributes.neighbor_as(),
            med: attributes.med().unwrap_or(missing_med),
            cluster_len: attributes.cluster_len(),
            aigp: attributes.aigp().filter(|_| config.compare_aigp),
            ..Candidate::blank()
        }
    }
}
