//! Aggregates: what is said about them, and what becomes of the attributes of
//! the routes that they stand for (RFC 4271 section 9.2.2.2).

use core::fmt;
use std::collections::BTreeSet;
use std::sync::Arc;

use bgp_wire::{AsPath, Origin, PathAttributes, Segment, SegmentKind};
use ipnet::IpNet;

use crate::attrs::AttrRef;
use crate::policy::{Attributes, Verdict};
use crate::view::PathSource;

/// A route of our own that is there while the table has a best path of a more
/// specific prefix: a contributor. What an aggregate says itself is no
/// contributor to a wider one.
#[derive(Debug, Clone, Default)]
pub struct Aggregate {
    /// AS path and communities are united from those of the contributors;
    /// without, the AS path is empty and there are no communities.
    pub as_set: bool,
    /// Peers are not told of contributors while the aggregate is there.
    pub summary_only: bool,
    /// The aggregate is there only while all contributors have the same MED.
    pub matching_med_only: bool,
    /// ORIGIN; without, the worst of the contributors'.
    pub origin: Option<Origin>,
    /// What else decides about it.
    pub policy: Option<Arc<dyn AggregatePolicy>>,
}

impl Aggregate {
    /// Whether both say the same; of two policies that are two allocations
    /// nobody knows.
    pub(crate) fn says_the_same(&self, other: &Aggregate) -> bool {
        let Aggregate {
            as_set,
            summary_only,
            matching_med_only,
            origin,
            policy,
        } = self;
        let same_policy = match (policy, &other.policy) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        same_policy
            && *as_set == other.as_set
            && *summary_only == other.summary_only
            && *matching_med_only == other.matching_med_only
            && *origin == other.origin
    }
}

/// A contributor or an aggregate as its policy sees it.
#[derive(Debug, Clone, Copy)]
pub struct AggregateRoute<'a> {
    /// Prefix.
    pub prefix: IpNet,
    /// Attributes: of a contributor those of its best path.
    pub attributes: &'a Attributes<'a>,
    /// Weight, which never travels.
    pub weight: u32,
    /// Where the path comes from.
    pub source: PathSource,
}

/// What decides about an aggregate beyond its settings. Must be pure: for other
/// answers [`Rib::set_aggregates`](crate::Rib::set_aggregates) has to be given
/// another one.
pub trait AggregatePolicy: fmt::Debug + Send + Sync {
    /// Whether peers are not told of this contributor while the aggregate is
    /// there (FRR's `suppress-map`).
    fn suppresses(&self, contributor: &AggregateRoute<'_>) -> bool {
        let _ = contributor;
        false
    }

    /// What becomes of the aggregate itself (FRR's `route-map`): where it is
    /// denied there is none, and nothing is suppressed.
    fn originate(&self, aggregate: &AggregateRoute<'_>) -> Verdict {
        let _ = aggregate;
        Verdict::Accept
    }
}

/// AS path and communities of several sets together. In no order that depends on theirs.
pub(crate) fn united<'a>(sets: impl Iterator<Item = &'a AttrRef>) -> PathAttributes {
    let mut path = UnitedPath::default();
    let mut communities = BTreeSet::new();
    let mut extended = BTreeSet::new();
    let mut of_ipv6 = BTreeSet::new();
    let mut large = BTreeSet::new();
    for set in sets {
        let attributes = set.decode();
        path.add(attributes.as_path);
        communities.extend(attributes.communities);
        extended.extend(attributes.extended_communities.iter().map(|c| c.0));
        of_ipv6.extend(attributes.ipv6_extended_communities.iter().map(|c| c.0));
        large.extend(attributes.large_communities);
    }
    PathAttributes {
        as_path: path.finish(),
        communities: communities.into_iter().collect(),
        extended_communities: extended
            .into_iter()
            .map(bgp_wire::ExtendedCommunity)
            .collect(),
        ipv6_extended_communities: of_ipv6
            .into_iter()
            .map(bgp_wire::Ipv6ExtendedCommunity)
            .collect(),
        large_communities: large.into_iter().collect(),
        ..PathAttributes::default()
    }
}

/// What AS paths have in common at their beginning, and the rest as a set
/// (RFC 4271 section 9.2.2.2 and appendix F.6).
#[derive(Default)]
struct UnitedPath {
    /// While all are the same.
    only: Option<AsPath>,
    several: bool,
    head: Vec<u32>,
    tail: BTreeSet<u32>,
}

impl UnitedPath {
    fn add(&mut self, path: AsPath) {
        // What is inside of a confederation is told to nobody outside.
        let path = path.without_confederation();
        if self.only.as_ref() == Some(&path) {
            return;
        }
        let mut lead = Vec::new();
        let mut leads = true;
        for segment in path.segments() {
            leads &= segment.kind == SegmentKind::Sequence;
            if leads {
                lead.extend(segment.asns);
            } else {
                self.tail.extend(segment.asns);
            }
        }
        if self.only.is_none() {
            self.only = Some(path);
            self.head = lead;
            return;
        }
        self.several = true;
        let pairs = self.head.iter().zip(&lead);
        let common = pairs.take_while(|(one, other)| one == other).count();
        self.tail.extend(lead.into_iter().skip(common));
        self.tail.extend(self.head.drain(common..));
    }

    fn finish(self) -> AsPath {
        if !self.several {
            return self.only.unwrap_or_default();
        }
        // Those of more numbers than one segment holds become several.
        AsPath::from_segments([
            Segment {
                kind: SegmentKind::Sequence,
                asns: self.head,
            },
            Segment {
                kind: SegmentKind::Set,
                asns: self.tail.into_iter().collect(),
            },
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bgp_wire::Community;

    fn path_of(paths: &[&str]) -> String {
        let sets: Vec<AttrRef> = paths
            .iter()
            .map(|path| {
                AttrRef::new(&PathAttributes {
                    as_path: path.parse().unwrap(),
                    ..PathAttributes::default()
                })
            })
            .collect();
        let forth = united(sets.iter()).as_path;
        assert_eq!(forth, united(sets.iter().rev()).as_path);
        forth.to_string()
    }

    #[test]
    fn paths_are_united_behind_what_they_have_in_common() {
        assert_eq!(path_of(&[]), "");
        assert_eq!(path_of(&["65001 {65010,65009}"]), "65001 {65010,65009}");
        assert_eq!(path_of(&["65001 65010", "65001 65010"]), "65001 65010");
        let both = ["65001 65010 65011", "65001 65020"];
        assert_eq!(path_of(&both), "65001 {65010,65011,65020}");
        let more = ["65001 65010 65011", "65001 65020", "65002 65020"];
        assert_eq!(path_of(&more), "{65001,65002,65010,65011,65020}");
        assert_eq!(path_of(&["65001", "65001 65020"]), "65001 {65020}");
        assert_eq!(path_of(&["", "65001 65020"]), "{65001,65020}");
        assert_eq!(path_of(&["(64512) 65001", "65001 65020"]), "65001 {65020}");
        let sets = ["65001 {65003} 65004", "65001 65002"];
        assert_eq!(path_of(&sets), "65001 {65002,65003,65004}");
    }

    #[test]
    fn a_set_of_many_numbers_is_several_segments() {
        let long = |from: u32| (from..from + 200).map(|asn| asn.to_string());
        let paths = [1, 1000].map(|from| long(from).collect::<Vec<_>>().join(" "));
        let sets = paths.map(|path| {
            AttrRef::new(&PathAttributes {
                as_path: path.parse().unwrap(),
                ..PathAttributes::default()
            })
        });
        let united = united(sets.iter()).as_path;
        assert_eq!(united.asns().count(), 400);
        let lengths: Vec<usize> = united.segments().map(|s| s.asns.len()).collect();
        assert_eq!(lengths, [255, 145]);
    }

    #[test]
    fn communities_are_united_sorted_and_once() {
        let set = |list: &[u32]| {
            AttrRef::new(&PathAttributes {
                communities: list.iter().copied().map(Community).collect(),
                ..PathAttributes::default()
            })
        };
        let sets = [set(&[7, 3]), set(&[3, 5])];
        let expected = [3, 5, 7].map(Community);
        assert_eq!(united(sets.iter()).communities, expected);
    }
}
