//! Which routes an aggregate stands for, and what comes of it.
//!
//! Contributors are counted as best paths come and go: a change costs as much
//! as there are aggregates that cover the prefix. What an aggregate says is
//! worked out when somebody takes something out of the table, once for all
//! changes until then.

use core::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use bgp_wire::{Aggregator, Family, Origin, PathAttributes, V4, V6};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ipnet::IpNet;
use smallvec::SmallVec;

use crate::aggregate::{Aggregate, AggregateRoute, united};
use crate::attrs::{AttrId, AttrRef, Interner};
use crate::bandwidth::best_route;
use crate::config::RibConfig;
use crate::family_rib::FamilyRib;
use crate::local::{LOCAL_WEIGHT, LocalSource};
use crate::policy::{Attributes, Verdict};
use crate::rib::Rib;
use crate::shared::Shared;
use crate::slots::SlotSet;
use crate::table::{RibFamily, Table};
use crate::transform::Route;
use crate::view::PathSource;

const SOURCE: PathSource = PathSource::Local(LocalSource::Aggregate);

/// A best path as far as aggregates go.
pub(crate) type Contribution = (PathSource, AttrId);

/// What a best path contributes; what an aggregate says contributes nothing.
pub(crate) fn contribution(source: PathSource, attributes: Option<AttrId>) -> Option<Contribution> {
    Some((source, attributes.filter(|_| source != SOURCE)?))
}

/// An aggregate and those it stands for.
#[derive(Debug, Default)]
struct Known {
    settings: Aggregate,
    /// Attributes of contributors, and how many have them. Held.
    sets: HashMap<AttrId, usize, RandomState>,
    /// How many of these sets have each ORIGIN.
    origins: BTreeMap<Origin, usize>,
    /// How many of these sets have ATOMIC_AGGREGATE.
    atomic: usize,
    /// How many of these sets have each MED, where it matters.
    meds: BTreeMap<Option<u32>, usize>,
    /// Contributors that are suppressed while the aggregate is there.
    quiet: SlotSet,
    /// What the table has of it; none while it is not there.
    said: Option<AttrRef>,
}

/// Counts one more or one less.
fn count<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K, more: bool) {
    if more {
        *counts.entry(key).or_default() += 1;
    } else if let Entry::Occupied(mut users) = counts.entry(key) {
        *users.get_mut() -= 1;
        if *users.get() == 0 {
            users.remove();
        }
    }
}

impl Known {
    /// A contributor has these attributes.
    fn add(&mut self, interner: &mut Interner, id: AttrId) {
        let users = self.sets.entry(id).or_default();
        *users += 1;
        if *users == 1 {
            interner.hold(id);
            self.count(interner, id, true);
        }
    }

    /// A contributor has these attributes no more.
    fn remove(&mut self, interner: &mut Interner, id: AttrId) {
        let Some(users) = self.sets.get_mut(&id) else {
            return;
        };
        *users -= 1;
        if *users == 0 {
            self.sets.remove(&id);
            self.count(interner, id, false);
            interner.release(id);
        }
    }

    fn count(&mut self, interner: &Interner, id: AttrId, more: bool) {
        let Some(set) = interner.set(id) else { return };
        count(&mut self.origins, set.origin(), more);
        if self.settings.matching_med_only {
            count(&mut self.meds, set.med(), more);
        }
        if set.is_atomic() {
            self.atomic = match more {
                true => self.atomic + 1,
                false => self.atomic.saturating_sub(1),
            };
        }
    }

    /// Whether the settings can suppress this contributor.
    fn silences(&self, route: &AggregateRoute<'_>) -> bool {
        let policy = self.settings.policy.as_ref();
        self.settings.summary_only || policy.is_some_and(|policy| policy.suppresses(route))
    }

    fn suppresses(&self, slot: u32) -> bool {
        self.said.is_some() && self.quiet.contains(slot)
    }

    /// Whether the MEDs of the contributors forbid the aggregate.
    fn is_divided(&self, config: &RibConfig) -> bool {
        let missing = match config.missing_as_worst {
            true => u32::MAX,
            false => 0,
        };
        let mut meds = self.meds.keys().map(|med| med.unwrap_or(missing));
        let first = meds.next();
        meds.any(|med| Some(med) != first)
    }

    /// What the table is to have of the aggregate.
    fn wanted(&self, prefix: IpNet, shared: &Shared) -> Option<AttrRef> {
        let worst = self.origins.keys().next_back()?;
        let config = &shared.config;
        if self.settings.matching_med_only && self.is_divided(config) {
            return None;
        }
        let as_set = self.settings.as_set;
        let sets = self.sets.keys().filter_map(|id| shared.interner.set(*id));
        let attributes = PathAttributes {
            origin: self.settings.origin.unwrap_or(*worst),
            med: Some(0),
            // RFC 4271 section 5.1.6: unless the path says all.
            atomic_aggregate: !as_set || self.atomic > 0,
            aggregator: Some(Aggregator {
                asn: config.outer_as(),
                id: config.router_id,
            }),
            ..match as_set {
                true => united(sets),
                false => PathAttributes::default(),
            }
        };
        let Some(policy) = &self.settings.policy else {
            return Some(AttrRef::weighted(&attributes, LOCAL_WEIGHT));
        };
        let attributes = Attributes::new(attributes);
        let verdict = policy.originate(&AggregateRoute {
            prefix,
            attributes: &attributes,
            weight: LOCAL_WEIGHT,
            source: SOURCE,
        });
        match verdict {
            Verdict::Deny(_) => None,
            Verdict::Accept => Some(AttrRef::weighted(&attributes, LOCAL_WEIGHT)),
            Verdict::AcceptWith(new) => {
                let weight = new.weight.unwrap_or(LOCAL_WEIGHT);
                Some(AttrRef::weighted(&new.attributes, weight))
            }
        }
    }
}

/// The aggregates of a family.
#[derive(Debug)]
pub(crate) struct Aggregates<F: RibFamily> {
    known: HashMap<F::Prefix, Known, RandomState>,
    /// How many there are of each length.
    lengths: BTreeMap<u8, usize>,
    /// Those whose contributors changed, the longest first: what becomes of
    /// them may matter to the others.
    unsettled: BTreeSet<(Reverse<u8>, F::Prefix)>,
    /// Prefixes that peers are not told of.
    suppressed: SlotSet,
}

impl<F: RibFamily> Default for Aggregates<F> {
    fn default() -> Aggregates<F> {
        Aggregates {
            known: HashMap::default(),
            lengths: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            suppressed: SlotSet::default(),
        }
    }
}

impl<F: RibFamily> Aggregates<F> {
    pub(crate) fn is_suppressed(&self, slot: u32) -> bool {
        self.suppressed.contains(slot)
    }

    fn is_settled(&self) -> bool {
        self.unsettled.is_empty()
    }

    fn unsettle(&mut self, prefix: F::Prefix) {
        let len = Reverse(F::prefix_len(&prefix));
        self.unsettled.insert((len, prefix));
    }

    fn unsettle_all(&mut self) {
        let all: Vec<F::Prefix> = self.known.keys().copied().collect();
        all.into_iter().for_each(|prefix| self.unsettle(prefix));
    }

    /// Aggregates that cover a prefix and are not it.
    fn covering(&self, prefix: F::Prefix) -> SmallVec<[F::Prefix; 4]> {
        let octets = F::octets(&prefix);
        let lengths = self.lengths.range(..F::prefix_len(&prefix));
        let wider = lengths.filter_map(|(len, _)| F::from_wire(&octets, *len));
        wider.filter(|p| self.known.contains_key(p)).collect()
    }

    /// Whether one of the aggregates that cover the slot's prefix suppresses it.
    fn suppresses(&self, slot: u32, prefix: F::Prefix) -> bool {
        let covering = self.covering(prefix);
        let mut covering = covering.iter().filter_map(|p| self.known.get(p));
        covering.any(|known| known.suppresses(slot))
    }

    fn set_suppressed(&mut self, slot: u32, suppressed: bool) {
        match suppressed {
            true => self.suppressed.insert(slot),
            false => self.suppressed.remove(slot),
        };
    }

    /// Another best path contributes than before, to these aggregates or to all.
    fn replace(
        &mut self,
        interner: &mut Interner,
        (slot, prefix): (u32, F::Prefix),
        (was, is): (Option<Contribution>, Option<Contribution>),
        only: Option<&BTreeSet<F::Prefix>>,
    ) {
        let set = is.and_then(|(_, id)| interner.set(id).cloned());
        let attributes = set.as_ref().map(Attributes::of);
        for wider in self.covering(prefix) {
            if only.is_some_and(|only| !only.contains(&wider)) {
                continue;
            }
            let Some(known) = self.known.get_mut(&wider) else {
                continue;
            };
            if let Some((_, id)) = is {
                known.add(interner, id);
            }
            if let Some((_, id)) = was {
                known.remove(interner, id);
            }
            let route = is.zip(attributes.as_ref());
            let quiet = route.is_some_and(|((source, _), attributes)| {
                known.silences(&AggregateRoute {
                    prefix: prefix.into(),
                    attributes,
                    weight: set.as_ref().map_or(0, AttrRef::weight),
                    source,
                })
            });
            match quiet {
                true => known.quiet.insert(slot),
                false => known.quiet.remove(slot),
            };
            self.unsettle(wider);
        }
    }
}

/// The route of a slot as peers were told it last, unless there are notes.
pub(crate) fn last_route<F: RibFamily>(
    (table, aggregates): (&Table<F>, Option<&Aggregates<F>>),
    shared: &Shared,
    slot: u32,
) -> Option<Route> {
    let mut route = best_route(table, shared, slot)?;
    // What is gone knows it itself.
    route.suppressed |= aggregates.is_some_and(|aggregates| aggregates.is_suppressed(slot));
    Some(route)
}

impl<F: RibFamily> FamilyRib<F> {
    /// Whether peers are not told of the prefix, since an aggregate stands for
    /// it.
    pub(crate) fn is_suppressed(&self, slot: u32) -> bool {
        let aggregates = self.aggregates.as_ref();
        aggregates.is_some_and(|aggregates| aggregates.is_suppressed(slot))
    }

    /// Whether something is to be worked out before anybody is told anything.
    pub(crate) fn is_settled(&self) -> bool {
        let aggregates = self.aggregates.as_ref();
        aggregates.is_none_or(|aggregates| aggregates.is_settled())
    }

    /// A slot's best path is another than before. Whether it is suppressed now.
    pub(crate) fn contribute(
        &mut self,
        shared: &mut Shared,
        slot: u32,
        change: (Option<Contribution>, Option<Contribution>),
    ) -> bool {
        let Some(aggregates) = &mut self.aggregates else {
            return false;
        };
        if change.0 == change.1 {
            return aggregates.is_suppressed(slot);
        }
        let Some(prefix) = self.table.get(slot).map(|entry| entry.prefix) else {
            return false;
        };
        aggregates.replace(&mut shared.interner, (slot, prefix), change, None);
        let suppressed = aggregates.suppresses(slot, prefix);
        aggregates.set_suppressed(slot, suppressed);
        suppressed
    }

    /// Works out what aggregates say whose contributors changed.
    pub(crate) fn settle_aggregates(&mut self, shared: &mut Shared) {
        while let Some(aggregates) = &mut self.aggregates
            && let Some((_, prefix)) = aggregates.unsettled.pop_first()
        {
            let Some(known) = aggregates.known.get_mut(&prefix) else {
                continue;
            };
            let wanted = known.wanted(prefix.into(), shared);
            if wanted == known.said {
                continue;
            }
            let before = core::mem::replace(&mut known.said, wanted.clone());
            let turned = before.is_some() != wanted.is_some();
            let quiet = turned.then(|| known.quiet.clone());
            match wanted {
                Some(set) => self.put_local(shared, prefix, (LocalSource::Aggregate, &set)),
                None => self.withdraw_local(shared, prefix, LocalSource::Aggregate),
            }
            self.suppress_again(shared, &quiet.unwrap_or_default());
        }
    }

    /// An aggregate that these contribute to came or went.
    fn suppress_again(&mut self, shared: &mut Shared, slots: &SlotSet) {
        for slot in slots.iter() {
            let Some(aggregates) = &mut self.aggregates else {
                return;
            };
            let Some(prefix) = self.table.get(slot).map(|entry| entry.prefix) else {
                continue;
            };
            let suppressed = aggregates.suppresses(slot, prefix);
            if suppressed == aggregates.is_suppressed(slot) {
                continue;
            }
            let told = last_route((&self.table, Some(&**aggregates)), shared, slot);
            aggregates.set_suppressed(slot, suppressed);
            for group in self.groups.iter_mut() {
                group.mark(slot, told, &mut shared.interner);
            }
        }
    }

    // ----- settings -----

    /// Replaces the aggregates. Those that stay the same are left alone.
    pub(crate) fn set_aggregates(
        &mut self,
        shared: &mut Shared,
        mut wanted: BTreeMap<F::Prefix, Aggregate>,
    ) {
        let aggregates = self.aggregates.get_or_insert_default();
        let mut gone = Vec::new();
        for (prefix, known) in &aggregates.known {
            match wanted.get(prefix) {
                Some(settings) if settings.says_the_same(&known.settings) => {
                    wanted.remove(prefix);
                }
                _ => gone.push(*prefix),
            }
        }
        gone.sort_unstable();
        for prefix in gone {
            self.drop_aggregate(shared, prefix);
        }
        self.add_aggregates(shared, wanted);
        if self.aggregates.as_ref().is_some_and(|a| a.known.is_empty()) {
            self.aggregates = None;
        }
    }

    fn drop_aggregate(&mut self, shared: &mut Shared, prefix: F::Prefix) {
        let Some(aggregates) = &mut self.aggregates else {
            return;
        };
        let Some(known) = aggregates.known.remove(&prefix) else {
            return;
        };
        let len = F::prefix_len(&prefix);
        count(&mut aggregates.lengths, len, false);
        aggregates.unsettled.remove(&(Reverse(len), prefix));
        for id in known.sets.keys() {
            shared.interner.release(*id);
        }
        if known.said.is_some() {
            self.withdraw_local(shared, prefix, LocalSource::Aggregate);
            self.suppress_again(shared, &known.quiet);
        }
    }

    fn add_aggregates(&mut self, shared: &mut Shared, wanted: BTreeMap<F::Prefix, Aggregate>) {
        let Some(aggregates) = &mut self.aggregates else {
            return;
        };
        let new: BTreeSet<F::Prefix> = wanted.keys().copied().collect();
        for (prefix, settings) in wanted {
            let known = Known {
                settings,
                ..Known::default()
            };
            aggregates.known.insert(prefix, known);
            count(&mut aggregates.lengths, F::prefix_len(&prefix), true);
        }
        if new.is_empty() {
            return;
        }
        for (slot, entry) in self.table.iter() {
            let best = entry.best();
            let is = best.and_then(|best| contribution(best.source(), best.post));
            if is.is_some() {
                let at = (slot, entry.prefix);
                aggregates.replace(&mut shared.interner, at, (None, is), Some(&new));
            }
        }
    }

    /// What aggregates say is made of the configuration too.
    pub(crate) fn unsettle_aggregates(&mut self) {
        if let Some(aggregates) = &mut self.aggregates {
            aggregates.unsettle_all();
        }
    }
}

impl Rib {
    /// Replaces the aggregates of both families. Those that are the same as
    /// before, policy included, are left alone; host bits are ignored. A path of
    /// [`LocalSource::Aggregate`] is the table's own business. `now` is kept as
    /// the time of their last update, as that of later events is.
    pub fn set_aggregates(
        &mut self,
        aggregates: impl IntoIterator<Item = (IpNet, Aggregate)>,
        now: u64,
    ) {
        let (mut v4, mut v6) = (BTreeMap::new(), BTreeMap::new());
        for (prefix, aggregate) in aggregates {
            if let Some(prefix) = <V4 as bgp_wire::AddressFamily>::prefix(prefix) {
                v4.insert(prefix, aggregate);
            } else if let Some(prefix) = <V6 as bgp_wire::AddressFamily>::prefix(prefix) {
                v6.insert(prefix, aggregate);
            }
        }
        self.shared.now = now;
        self.v4.set_aggregates(&mut self.shared, v4);
        self.v6.set_aggregates(&mut self.shared, v6);
        self.sweep();
    }

    /// Works out what the aggregates say whose contributors changed. Whatever
    /// is taken out of the table is preceded by this; for queries, which show
    /// what was worked out last, it may be called at any time.
    pub fn settle_aggregates(&mut self) {
        if !self.v4.is_settled() {
            self.v4.settle_aggregates(&mut self.shared);
        }
        if !self.v6.is_settled() {
            self.v6.settle_aggregates(&mut self.shared);
        }
    }

    /// Whether the aggregates of a family say what their contributors make of
    /// them; see [`settle_aggregates`](Self::settle_aggregates).
    pub fn are_aggregates_settled(&self, family: Family) -> bool {
        match family {
            Family::Ipv4Unicast => self.v4.is_settled(),
            Family::Ipv6Unicast => self.v6.is_settled(),
        }
    }
}
