//! The decision by itself, without a table around it: the knobs, and what one
//! path more or less comes to.

use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr};

use bgp_wire::Origin;
use holdfast_rib::{
    Appended, Candidate, LocalSource, MaxPaths, PathSource, PeerId, RibConfig, Rules, Selection,
    Step, appended, compare, in_line, joined, parted, removal_is_idle, select, step_before_med,
};
use proptest::prelude::*;

fn config() -> RibConfig {
    RibConfig::new(65000, Ipv4Addr::new(10, 0, 0, 1))
}

const MANY: MaxPaths = MaxPaths {
    ebgp: 8,
    ibgp: 8,
    equal_cluster_length: false,
};

/// An external path from peer `number`, whose router ID and address grow with
/// the number.
fn external(number: u8) -> Candidate<'static> {
    Candidate {
        weight: 0,
        local_pref: 100,
        local: false,
        aigp: None,
        as_path: &[],
        hop_count: 2,
        origin: Origin::Igp,
        neighbor_as: Some(65001),
        med: 0,
        external: true,
        confederation: false,
        peer_as: 65001,
        igp_metric: 0,
        router_id: Ipv4Addr::new(10, 0, 0, number),
        cluster_len: 0,
        peer_address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, number)),
        source: PathSource::Peer(PeerId(number.into())),
        path_id: 0,
    }
}

fn internal(number: u8) -> Candidate<'static> {
    Candidate {
        external: false,
        peer_as: 65000,
        ..external(number)
    }
}

fn chosen(candidates: &[Candidate<'_>], config: &RibConfig, max: MaxPaths) -> Selection {
    let mut chosen = select(candidates, config, max).unwrap();
    chosen.multipath.sort_unstable();
    chosen
}

/// The paths that are used, in order; the best alone where there is no
/// multipath.
fn used(candidates: &[Candidate<'_>], config: &RibConfig, max: MaxPaths) -> Vec<usize> {
    let selection = chosen(candidates, config, max);
    if selection.multipath.is_empty() {
        vec![selection.best]
    } else {
        selection.multipath.to_vec()
    }
}

// ===== Knobs =====

#[test]
fn an_internal_path_as_good_as_the_best_is_used_though_a_farther_external_one_is_of_its_as() {
    let mut config = config();
    config.multipath_relax = true;
    config.peer_type_multipath_relax = true;
    let best = external(1);
    let farther = Candidate {
        neighbor_as: Some(65002),
        igp_metric: 5,
        ..external(2)
    };
    let inside = Candidate {
        neighbor_as: Some(65002),
        ..internal(3)
    };
    assert_eq!(used(&[best, farther, inside], &config, MANY), [0, 2]);
    // Unless its own AS would rather have the other.
    let unwanted = Candidate { med: 1, ..inside };
    assert_eq!(used(&[best, farther, unwanted], &config, MANY), [0]);
}

#[test]
fn nothing_is_chosen_from_nothing() {
    assert_eq!(select(&[], &config(), MANY), None);
}

#[test]
fn the_lower_accumulated_metric_wins_over_a_shorter_as_path() {
    let far = Candidate {
        aigp: Some(10),
        igp_metric: 7,
        hop_count: 1,
        ..internal(1)
    };
    let near = Candidate {
        aigp: Some(11),
        igp_metric: 5,
        ..internal(2)
    };
    let selection = chosen(&[far, near], &config(), MANY);
    assert_eq!((selection.best, selection.reason), (1, Step::Aigp));
    assert_eq!(Step::Aigp.reason(), "AIGP");
}

#[test]
fn a_path_without_accumulated_metric_gives_way_to_one_that_has_it() {
    let without = Candidate {
        hop_count: 1,
        ..external(1)
    };
    let with = Candidate {
        aigp: Some(u64::MAX),
        ..external(2)
    };
    let selection = chosen(&[without, with], &config(), MANY);
    assert_eq!((selection.best, selection.reason), (1, Step::Aigp));
}

#[test]
fn another_member_as_is_internal_to_an_external_path_and_wins_over_our_own() {
    let member = Candidate {
        confederation: true,
        peer_as: 64513,
        igp_metric: 9,
        ..internal(3)
    };
    let with_external = chosen(&[member, external(9)], &config(), MANY);
    assert_eq!(
        (with_external.best, with_external.reason),
        (1, Step::PeerType)
    );
    // FRR decides that before it looks at the metric.
    let with_internal = chosen(&[internal(1), member], &config(), MANY);
    assert_eq!(
        (with_internal.best, with_internal.reason),
        (1, Step::ConfederationType)
    );
    assert_eq!(Step::ConfederationType.reason(), "Confed Peer Type");
}

#[test]
fn paths_of_one_member_as_are_used_together_within_the_external_limit() {
    let member = |number| Candidate {
        confederation: true,
        peer_as: 64513,
        ..internal(number)
    };
    let limits = MaxPaths {
        ebgp: 2,
        ibgp: 1,
        equal_cluster_length: false,
    };
    let paths = [member(1), member(2), member(3)];
    assert_eq!(used(&paths, &config(), limits), [0, 1]);
}

#[test]
fn paths_from_inside_are_one_group_for_med() {
    let inside = |number, med| Candidate {
        neighbor_as: None,
        hop_count: 0,
        med,
        ..internal(number)
    };
    let selection = chosen(&[inside(1, 20), inside(2, 10)], &config(), MANY);
    assert_eq!((selection.best, selection.reason), (1, Step::Med));
}

#[test]
fn equally_long_cluster_lists_are_asked_for_by_a_word() {
    let reflected = |number, cluster_len| Candidate {
        cluster_len,
        ..internal(number)
    };
    let paths = [reflected(1, 2), reflected(2, 1), reflected(3, 1)];
    assert_eq!(used(&paths, &config(), MANY), [0, 1, 2]);
    let equal = MaxPaths {
        equal_cluster_length: true,
        ..MANY
    };
    assert_eq!(used(&paths, &config(), equal), [1, 2]);
    let reason = chosen(&paths[..2], &config(), equal).reason;
    assert_eq!(reason, Step::IgpMetric);
}

#[test]
fn relaxed_peer_types_are_used_together_and_the_external_path_is_the_best() {
    let mut config = config();
    config.multipath_relax = true;
    let far = Candidate {
        igp_metric: 5,
        ..internal(3)
    };
    let paths = [internal(1), external(2), far];
    assert_eq!(used(&paths, &config, MANY), [1]);
    config.peer_type_multipath_relax = true;
    assert_eq!(used(&paths, &config, MANY), [0, 1]);
    assert_eq!(chosen(&paths, &config, MANY).reason, Step::PeerType);
}

#[test]
fn as_paths_of_internal_paths_are_told_apart_by_their_key() {
    let path = |number, key| Candidate {
        as_path: key,
        ..internal(number)
    };
    let paths = [path(1, &[1, 2]), path(2, &[1, 3]), path(3, &[1, 2])];
    assert_eq!(used(&paths, &config(), MANY), [0, 2]);
}

#[test]
fn the_steps_before_med_are_these() {
    let all = [
        Step::OnlyPath,
        Step::Weight,
        Step::LocalPref,
        Step::LocalRoute,
        Step::Aigp,
        Step::AsPath,
        Step::Origin,
        Step::Med,
        Step::PeerType,
        Step::ConfederationType,
        Step::IgpMetric,
        Step::RouterId,
        Step::ClusterLength,
        Step::NeighborIp,
        Step::TieBreak,
    ];
    assert!(all.is_sorted());
    let before: Vec<Step> = all.into_iter().filter(|s| step_before_med(*s)).collect();
    assert_eq!(before, all[1..7]);
    let past: Vec<Step> = all.into_iter().filter(|s| s.is_past_multipath()).collect();
    assert_eq!(past, all[11..]);
}

// ===== Against a naive telling =====

/// The decision as RFC 4271 section 9.1.2.2 tells it: by elimination.
struct Naive<'a> {
    paths: &'a [Candidate<'static>],
    config: &'a RibConfig,
    max: MaxPaths,
}

impl Naive<'_> {
    fn least<K: Ord>(&self, left: &mut Vec<usize>, key: impl Fn(&Candidate<'static>) -> K) {
        let least = left.iter().map(|i| key(&self.paths[*i])).min();
        left.retain(|i| Some(key(&self.paths[*i])) == least);
    }

    fn to_med(&self, left: &mut Vec<usize>) {
        self.least(left, |p| u32::MAX - p.weight);
        self.least(left, |p| u32::MAX - p.local_pref);
        self.least(left, |p| !p.local);
        self.least(left, |p| p.aigp.is_none());
        self.least(left, |p| {
            p.aigp.map(|aigp| aigp.saturating_add(p.igp_metric.into()))
        });
        self.least(left, |p| p.hop_count);
        self.least(left, |p| p.origin);
        let all = left.clone();
        left.retain(|i| {
            let path = &self.paths[*i];
            !all.iter().map(|j| &self.paths[*j]).any(|other| {
                let same = path.neighbor_as == other.neighbor_as;
                (same || self.config.always_compare_med) && other.med < path.med
            })
        });
    }

    fn by_type(&self, left: &mut Vec<usize>) {
        self.least(left, |p| match (p.external, p.confederation) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        });
    }

    fn by_metric(&self, left: &mut Vec<usize>) {
        self.least(left, |p| p.igp_metric);
        if self.max.equal_cluster_length {
            self.least(left, |p| p.cluster_len);
        }
    }

    fn ties(&self, left: &mut Vec<usize>) {
        self.least(left, |p| p.router_id);
        self.least(left, |p| p.cluster_len);
        self.least(left, |p| p.peer_address);
        self.least(left, |p| (p.source, p.path_id));
    }

    fn best(&self, mut left: Vec<usize>) -> Option<usize> {
        self.to_med(&mut left);
        self.by_type(&mut left);
        self.by_metric(&mut left);
        self.ties(&mut left);
        left.first().copied()
    }

    fn select(&self) -> Selection {
        let all: Vec<usize> = (0..self.paths.len()).collect();
        let best = self.best(all.clone()).unwrap();
        let others = all.iter().copied().filter(|i| *i != best).collect();
        let rules = Rules::new(self.config, self.max);
        let reason = self.best(others).map_or(Step::OnlyPath, |second| {
            compare(&self.paths[best], &self.paths[second], rules).1
        });
        let mut members = self.members(all, best);
        members.sort_unstable();
        Selection {
            best,
            reason,
            multipath: members.into_iter().collect(),
        }
    }

    fn members(&self, all: Vec<usize>, best: usize) -> Vec<usize> {
        let chosen = &self.paths[best];
        let inside = !chosen.external && !chosen.confederation;
        let limit = match (chosen.local, inside) {
            (true, _) => 1,
            (false, true) => self.max.ibgp,
            (false, false) => self.max.ebgp,
        };
        let mut left = all;
        self.to_med(&mut left);
        if !self.config.peer_type_multipath_relax {
            self.by_type(&mut left);
        }
        let near = |p: &Candidate<'_>| {
            let clusters = if self.max.equal_cluster_length {
                p.cluster_len
            } else {
                0
            };
            (p.igp_metric, clusters)
        };
        left.retain(|i| near(&self.paths[*i]) == near(chosen));
        if !self.config.multipath_relax {
            left.retain(|i| {
                let path = &self.paths[*i];
                if path.external || path.confederation {
                    path.peer_as == chosen.peer_as
                } else {
                    path.as_path == chosen.as_path
                }
            });
        }
        let mut members = Vec::new();
        while members.len() < usize::from(limit) && !left.is_empty() {
            let mut next = left.clone();
            self.by_type(&mut next);
            self.ties(&mut next);
            members.push(next[0]);
            left.retain(|i| *i != next[0]);
        }
        if members.len() < 2 {
            members.clear();
        }
        members
    }
}

/// A random path; few values, so that most steps are ties.
fn a_path() -> impl Strategy<Value = Candidate<'static>> {
    let merit = (0..2_u32, 0..2_u32, 0..8_u8, 0..3_u64, 0..2_u32, 0..2_u8);
    let rest = (0..3_u32, 0..2_u32, 0..3_u8, 0..2_u32, 0..3_u8, 0..2_usize);
    (merit, rest, 0..2_usize).prop_map(|(merit, rest, key)| {
        let keys: [&'static [u8]; 2] = [&[1, 2], &[3, 4]];
        let kind = rest.2;
        let local = merit.2 == 0;
        let neighbor = Some(rest.0).filter(|asn| *asn > 0);
        Candidate {
            weight: merit.0,
            local_pref: 100 + merit.1,
            local,
            aigp: (merit.3 != 0).then_some(merit.3),
            as_path: keys[key],
            hop_count: merit.4,
            origin: [Origin::Igp, Origin::Incomplete][usize::from(merit.5)],
            neighbor_as: neighbor,
            med: rest.1,
            external: !local && kind == 0,
            confederation: !local && kind == 1,
            peer_as: neighbor.unwrap_or(65000),
            igp_metric: rest.3,
            router_id: Ipv4Addr::new(10, 0, 0, rest.4),
            cluster_len: rest.5,
            peer_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            source: PathSource::Local(LocalSource::Network),
            path_id: 0,
        }
    })
}

/// Paths that differ at least in their path identifier.
fn paths(most: usize) -> impl Strategy<Value = Vec<Candidate<'static>>> {
    prop::collection::vec(a_path(), 1..=most).prop_map(|mut paths| {
        for (number, path) in (0..).zip(&mut paths) {
            path.path_id = number;
        }
        paths
    })
}

fn rules() -> impl Strategy<Value = (RibConfig, MaxPaths)> {
    (any::<[bool; 4]>(), 0..4_u16, 0..4_u16).prop_map(|(flags, ebgp, ibgp)| {
        let config = RibConfig {
            always_compare_med: flags[0],
            multipath_relax: flags[1],
            peer_type_multipath_relax: flags[2],
            ..config()
        };
        let max = MaxPaths {
            ebgp,
            ibgp,
            equal_cluster_length: flags[3],
        };
        (config, max)
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        // A third of the lists have nothing to take away.
        max_global_rejects: 20_000,
        ..ProptestConfig::with_cases(2000)
    })]

    #[test]
    fn selecting_is_eliminating(paths in paths(20), (config, max) in rules()) {
        let naive = Naive { paths: &paths, config: &config, max };
        prop_assert_eq!(chosen(&paths, &config, max), naive.select());
    }

    #[test]
    fn the_order_of_the_input_never_matters(
        (paths, shuffled) in paths(7).prop_flat_map(|paths| {
            (Just(paths.clone()), Just(paths).prop_shuffle())
        }),
        (config, max) in rules(),
    ) {
        let by_id = |paths: &[Candidate<'_>]| {
            let selection = chosen(paths, &config, max);
            let id = |place: &usize| paths[*place].path_id;
            let mut multipath: Vec<u32> = selection.multipath.iter().map(id).collect();
            multipath.sort_unstable();
            (id(&selection.best), selection.reason, multipath)
        };
        prop_assert_eq!(by_id(&paths), by_id(&shuffled));
    }

    #[test]
    fn two_paths_compare_the_same_from_both_sides(
        a in a_path(),
        b in a_path(),
        (config, max) in rules(),
    ) {
        let rules = Rules::new(&config, max);
        let (order, step) = compare(&a, &b, rules);
        prop_assert_eq!(compare(&b, &a, rules), (order.reverse(), step));
        prop_assert_eq!(compare(&a, &a, rules).0, Ordering::Equal);
    }

    /// What is concluded from the best path alone is what all paths come to.
    #[test]
    fn a_path_more_is_what_selecting_again_says(paths in paths(8), (config, max) in rules()) {
        let (new, before) = paths.split_last().unwrap();
        prop_assume!(!before.is_empty());
        let old = chosen(before, &config, max);
        let after = chosen(&paths, &config, max);
        match appended(&before[old.best], old.reason, new) {
            Appended::Loses(reason) => {
                prop_assert_eq!(after, Selection { reason, ..old });
            }
            Appended::Wins(reason) => {
                let alone = Selection { best: before.len(), reason, multipath: [][..].into() };
                prop_assert_eq!(after, alone);
            }
            Appended::Unclear => {
                let step = compare(new, &before[old.best], Rules::new(&config, max)).1;
                prop_assert!(!step_before_med(step));
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }

    /// The same where the paths are in line, for every step.
    #[test]
    fn a_path_more_in_line_is_what_selecting_again_says(
        mut paths in paths(8),
        (config, max) in rules(),
        same_med in any::<bool>(),
    ) {
        if same_med {
            paths.iter_mut().for_each(|path| path.med = 0);
        }
        let (new, before) = paths.split_last().unwrap();
        prop_assume!(!before.is_empty() && in_line(&paths, &config));
        let old = chosen(before, &config, max);
        let after = chosen(&paths, &config, max);
        let used = old.multipath.len().max(1);
        let best = old.best;
        let place = before.len();
        let expected = match joined((&before[best], old.reason, used), new, &config, max) {
            Appended::Loses(reason) => Selection { reason, ..old },
            Appended::Wins(reason) => Selection { best: place, reason, multipath: [][..].into() },
            Appended::Unclear => return Ok(()),
            joins => {
                let (reason, leads) = match joins {
                    Appended::Leads(reason) => (reason, true),
                    Appended::Beside(reason) => (reason, false),
                    _ => unreachable!(),
                };
                let mut multipath = old.multipath.clone();
                if multipath.is_empty() {
                    multipath.push(best);
                }
                multipath.push(place);
                Selection { best: if leads { place } else { best }, reason, multipath }
            }
        };
        prop_assert_eq!(after, expected);
    }

    /// And one path less.
    #[test]
    fn a_path_less_in_line_is_what_selecting_again_says(
        mut paths in paths(8),
        (config, max) in rules(),
        same_med in any::<bool>(),
    ) {
        if same_med {
            paths.iter_mut().for_each(|path| path.med = 0);
        }
        prop_assume!(paths.len() > 1 && in_line(&paths, &config));
        let old = chosen(&paths, &config, max);
        let gone = paths.len() - 1;
        prop_assume!(old.best != gone);
        let left = &paths[..gone];
        let after = chosen(left, &config, max);
        let used = old.multipath.len().max(1);
        let best = &paths[old.best];
        let Some(step) = parted((best, used), &paths[gone], &config, max) else {
            return Ok(());
        };
        let rules = Rules::new(&config, max);
        let others = left.iter().enumerate().filter(|(place, _)| *place != old.best);
        let steps = others.map(|(_, other)| compare(other, best, rules).1);
        if step < old.reason || steps.max() == Some(old.reason) {
            prop_assert_eq!(after.reason, old.reason);
        }
        let mut multipath = old.multipath.clone();
        multipath.retain(|place| *place != gone);
        if multipath.len() == 1 {
            multipath.clear();
        }
        prop_assert_eq!((after.best, after.multipath), (old.best, multipath));
    }

    #[test]
    fn a_path_less_changes_nothing_where_it_is_said_so(
        paths in paths(8),
        (config, max) in rules(),
    ) {
        let (gone, left) = paths.split_last().unwrap();
        prop_assume!(!left.is_empty());
        let before = chosen(&paths, &config, max);
        prop_assume!(before.best < left.len());
        if removal_is_idle(&paths[before.best], before.reason, gone) {
            prop_assert_eq!(chosen(left, &config, max), before);
        }
    }
}
