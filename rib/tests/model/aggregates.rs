//! What aggregates come to, worked out from all routes each time.

use std::collections::BTreeSet;

use bgp_wire::{Aggregator, AsPath, Origin, PathAttributes, Segment, SegmentKind};
use holdfast_rib::{
    Aggregate, AggregateRoute, Attributes, LOCAL_WEIGHT, LocalSource, PathSource, Verdict,
};
use ipnet::IpNet;

use super::{Model, ModelPath, accepted_as_local};

const SOURCE: PathSource = PathSource::Local(LocalSource::Aggregate);

fn covers(wide: IpNet, prefix: IpNet) -> bool {
    wide.contains(&prefix) && wide != prefix
}

impl Model {
    /// Something changed.
    pub fn forget(&mut self) {
        self.known_aggregates.borrow_mut().clear();
    }

    fn contribution(&self, prefix: IpNet) -> Option<ModelPath> {
        let mut outcome = self.decide(prefix);
        let best = outcome.paths.swap_remove(outcome.best?);
        (best.source != SOURCE).then_some(best)
    }

    fn contributors(&self, wide: IpNet) -> Vec<ModelPath> {
        let prefixes: BTreeSet<IpNet> = self.routes.keys().map(|(prefix, ..)| *prefix).collect();
        let inside = prefixes.into_iter().filter(|prefix| covers(wide, *prefix));
        inside.filter_map(|p| self.contribution(p)).collect()
    }

    /// The path of an aggregate of this prefix, if there is one.
    pub(super) fn aggregate(&self, prefix: IpNet) -> Option<ModelPath> {
        let settings = self.aggregates.get(&prefix)?;
        if let Some(known) = self.known_aggregates.borrow().get(&prefix) {
            return known.clone();
        }
        let path = self.work_out(prefix, settings);
        let known = path.map(|(path, weight)| accepted_as_local(SOURCE, path, weight));
        let mut cache = self.known_aggregates.borrow_mut();
        cache.insert(prefix, known.clone());
        known
    }

    fn work_out(&self, prefix: IpNet, settings: &Aggregate) -> Option<(PathAttributes, u32)> {
        let contributors = self.contributors(prefix);
        let worst = contributors.iter().map(|path| path.attributes.origin).max();
        let worst: Origin = worst?;
        let meds: BTreeSet<u32> = contributors.iter().map(|path| self.med(path)).collect();
        if settings.matching_med_only && meds.len() > 1 {
            return None;
        }
        let atomic = |path: &ModelPath| path.attributes.atomic_aggregate;
        let mut told = PathAttributes {
            origin: settings.origin.unwrap_or(worst),
            med: Some(0),
            atomic_aggregate: !settings.as_set || contributors.iter().any(atomic),
            aggregator: Some(Aggregator {
                asn: self.config.outer_as(),
                id: self.config.router_id,
            }),
            ..PathAttributes::default()
        };
        if settings.as_set {
            unite(&mut told, &contributors);
        }
        let Some(policy) = &settings.policy else {
            return Some((told, LOCAL_WEIGHT));
        };
        let verdict = policy.originate(&AggregateRoute {
            prefix,
            attributes: &Attributes::new(told.clone()),
            weight: LOCAL_WEIGHT,
            source: SOURCE,
        });
        match verdict {
            Verdict::Deny(_) => None,
            Verdict::Accept => Some((told, LOCAL_WEIGHT)),
            Verdict::AcceptWith(new) => {
                Some((new.attributes.clone(), new.weight.unwrap_or(LOCAL_WEIGHT)))
            }
        }
    }

    /// Whether an aggregate keeps peers from being told of the prefix.
    pub fn suppressed(&self, prefix: IpNet) -> bool {
        let mut wider = self.aggregates.iter().filter(|(w, _)| covers(**w, prefix));
        wider.any(|(wide, settings)| {
            let Some(best) = self.contribution(prefix) else {
                return false;
            };
            let asked = settings.policy.as_ref().is_some_and(|policy| {
                policy.suppresses(&AggregateRoute {
                    prefix,
                    attributes: &Attributes::new(best.attributes.clone()),
                    weight: best.weight,
                    source: best.source,
                })
            });
            (settings.summary_only || asked) && self.aggregate(*wide).is_some()
        })
    }
}

fn sorted<T: Ord + Clone>(all: impl Iterator<Item = T>) -> Vec<T> {
    all.collect::<BTreeSet<T>>().into_iter().collect()
}

fn unite(told: &mut PathAttributes, contributors: &[ModelPath]) {
    let all = || contributors.iter().map(|path| &path.attributes);
    told.communities = sorted(all().flat_map(|a| a.communities.clone()));
    told.large_communities = sorted(all().flat_map(|a| a.large_communities.clone()));
    let mut extended: Vec<_> = all().flat_map(|a| a.extended_communities.clone()).collect();
    extended.sort_by_key(|community| community.0);
    extended.dedup();
    told.extended_communities = extended;
    let paths: Vec<AsPath> = all().map(|a| a.as_path.without_confederation()).collect();
    if paths.iter().all(|path| *path == paths[0]) {
        told.as_path = paths[0].clone();
        return;
    }
    let lead = |path: &AsPath| -> Vec<u32> {
        let segments = path.segments();
        let sequences = segments.take_while(|segment| segment.kind == SegmentKind::Sequence);
        sequences
            .flat_map(|segment| segment.asns.to_vec())
            .collect()
    };
    let leads: Vec<Vec<u32>> = paths.iter().map(lead).collect();
    let mut common = 0;
    while leads[0].get(common).is_some()
        && leads
            .iter()
            .all(|lead| lead.get(common) == leads[0].get(common))
    {
        common += 1;
    }
    let rest = sorted(paths.iter().flat_map(|path| path.asns().skip(common)));
    told.as_path = AsPath::from_segments([
        Segment {
            kind: SegmentKind::Sequence,
            asns: leads[0][..common].to_vec(),
        },
        Segment {
            kind: SegmentKind::Set,
            asns: rest,
        },
    ]);
}
