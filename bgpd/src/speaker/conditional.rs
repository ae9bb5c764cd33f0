//! Conditional advertisement: what a route map permits is announced to a
//! neighbor while the table has, or has not, a path that another one permits.
//!
//! FRR looks through the table for that by a timer. Here the prefixes whose
//! paths changed are looked at, soon after, and for each condition it is known
//! which prefixes fulfil it. When that becomes none, or some, neighbors get
//! another policy, as policies have to answer alike.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bgp_wire::{Family, FamilySet, PathAttributes};
use holdfast_api::v1;
use holdfast_config::model::{
    AdvertiseMap, AdvertiseWhen, Config, DEFAULT_CONDITIONAL_TIMER_SECS, EffectivePeer,
    PeerKind as ConfigPeerKind,
};
use holdfast_policy::{Applied, CompiledRouteMap, Direction, Filters, PeerPolicy, RouteView};
use holdfast_rib::{
    Attributes, DenyReason, PathSource, PathView, Policy, Redo, Rib, RouteContext, Verdict, Watcher,
};
use ipnet::IpNet;

use super::core::Core;
use super::peers::config_family;
use super::policies::{Own, PolicyBook, filters};

#[cfg(test)]
mod tests;

/// How long changes are gathered before they are looked at.
const GATHER: Duration = Duration::from_millis(100);
/// How long a neighbor is left alone after what it is told has changed: to
/// find out what is different takes a look at the whole table.
const HOLD: Duration = Duration::from_millis(500);
/// Prefixes that are looked at at a time.
const BUDGET: usize = 4_096;
/// As many prefixes that fulfil a condition are remembered. Are there more, and
/// all of these are gone, the table is looked through for others.
const WITNESSES_MAX: usize = 1_024;

// ===== the policy =====

/// What a neighbor is told in a family while a condition holds, or does not.
#[derive(Debug, PartialEq)]
struct Part {
    /// What the map permits is announced, as the map leaves it; else it is
    /// not.
    advertised: bool,
    /// The neighbor's lists with this map in place of its own.
    with_map: PeerPolicy,
}

/// The policy of a neighbor that is told something on a condition.
#[derive(Debug)]
pub(super) struct Conditional {
    base: Arc<dyn Policy>,
    /// IPv4, IPv6.
    parts: [Option<Part>; 2],
}

impl PartialEq for Conditional {
    fn eq(&self, other: &Conditional) -> bool {
        Arc::ptr_eq(&self.base, &other.base) && self.parts == other.parts
    }
}

impl Conditional {
    const fn part(&self, family: Family) -> Option<&Part> {
        let [v4, v6] = &self.parts;
        match family {
            Family::Ipv4Unicast => v4.as_ref(),
            Family::Ipv6Unicast => v6.as_ref(),
        }
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().flatten()
    }
}

impl Policy for Conditional {
    fn import(&self, route: &RouteContext<'_>) -> Verdict {
        self.base.import(route)
    }

    fn export(&self, route: &RouteContext<'_>) -> Verdict {
        let Some(part) = self.part(route.family) else {
            return self.base.export(route);
        };
        // What the lists deny, they deny either way.
        match (part.with_map.export(route), part.advertised) {
            (Verdict::Deny(_), _) => self.base.export(route),
            (verdict, true) => verdict,
            (_, false) => Verdict::Deny(DenyReason::Filtered),
        }
    }

    fn unsuppresses(&self, route: &RouteContext<'_>) -> bool {
        self.base.unsuppresses(route)
    }

    fn export_suppressed(&self, route: &RouteContext<'_>) -> Verdict {
        self.base.export_suppressed(route)
    }

    fn export_depends_on_peer(&self) -> bool {
        let mut parts = self.parts();
        self.base.export_depends_on_peer() || parts.any(|p| p.with_map.export_depends_on_peer())
    }

    fn export_may_deny(&self) -> bool {
        self.base.export_may_deny() || self.parts().any(|part| !part.advertised)
    }
}

/// Whether two policies of a neighbor announce the same on conditions.
pub(super) fn alike(before: &Own, now: &Own) -> bool {
    match (&before.conditional, &now.conditional) {
        (None, None) => true,
        (Some(before), Some(now)) => Arc::ptr_eq(before, now),
        _ => false,
    }
}

/// The families in which something else is announced on conditions.
pub(super) fn differs(before: &Own, now: &Own) -> FamilySet {
    let part = |own: &Own, family| own.conditional.clone().map(|all| (all, family));
    let differs = |family: &Family| {
        let (before, now) = (part(before, *family), part(now, *family));
        let before = before.as_ref().and_then(|(all, family)| all.part(*family));
        before != now.as_ref().and_then(|(all, family)| all.part(*family))
    };
    Family::ALL.into_iter().filter(differs).collect()
}

// ===== conditions =====

/// A route map that some path of the table has to pass.
#[derive(Debug)]
struct Condition {
    map: Arc<CompiledRouteMap>,
    /// Prefixes with such a path, not more than [`WITNESSES_MAX`].
    witnesses: BTreeSet<IpNet>,
    /// There are more.
    more: bool,
    /// Whether there are any, where that is known.
    holds: Option<bool>,
}

/// What announcements of an instance hang on.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    known: BTreeMap<(Family, String), Condition>,
    /// What neighbors were told by.
    acted: Vec<Option<bool>>,
    /// Those in use: equal ones are one.
    policies: Vec<Arc<Conditional>>,
    /// When the prefixes that changed are looked at.
    due: Option<Instant>,
    /// Until when neighbors are left alone.
    hold: Option<Instant>,
}

impl Conditions {
    /// When something has to be looked at.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether a neighbor is told what is announced on a condition; none where
    /// that is not known, or a map does not exist.
    fn advertised(&self, family: Family, configured: &AdvertiseMap) -> Option<bool> {
        // Only the name is looked for.
        let key = (family, configured.condition.clone());
        let holds = self.known.get(&key)?.holds?;
        Some(holds == (configured.when == AdvertiseWhen::Exists))
    }

    /// The first prefix in the table with a path that passes a map, as far as
    /// is known.
    pub(super) fn witness(&self, family: Family, map: &str) -> Option<IpNet> {
        let condition = self.known.get(&(family, map.to_owned()))?;
        condition.witnesses.first().copied()
    }

    /// The policy of a neighbor as it is now.
    pub(super) fn policy(
        &mut self,
        book: &mut PolicyBook,
        requires_policy: bool,
        settings: &EffectivePeer,
    ) -> Own {
        let mut own = book.of(requires_policy, settings);
        let mut parts = [None, None];
        for (part, family) in parts.iter_mut().zip(Family::ALL) {
            *part = self.part(book, (family, requires_policy), settings);
        }
        if parts.iter().all(Option::is_none) {
            return own;
        }
        let conditional = self.shared(Conditional {
            base: Arc::clone(&own.both),
            parts,
        });
        own.both = conditional.clone();
        own.conditional = Some(conditional);
        own
    }

    fn part(
        &self,
        book: &PolicyBook,
        (family, requires_policy): (Family, bool),
        settings: &EffectivePeer,
    ) -> Option<Part> {
        let of_family = config_family(family);
        let policy = &settings.af(of_family).policy;
        let configured = policy.advertise_map.as_ref()?;
        book.compiled().route_map(&configured.advertise)?;
        let external = settings.remote.kind != ConfigPeerKind::Internal;
        if requires_policy && external && !policy.filters_outbound() {
            // RFC 8212: this is no policy for all that may be announced.
            return None;
        }
        let lists = filters(settings, of_family, Direction::Out);
        let with_map = Filters {
            route_map: Some(configured.advertise.clone()),
            ..lists
        };
        Some(Part {
            advertised: self.advertised(family, configured)?,
            with_map: PeerPolicy::new().requires_policy(requires_policy).with(
                book.compiled(),
                family,
                Direction::Out,
                &with_map,
            ),
        })
    }

    /// The one that is equal, or the new one.
    fn shared(&mut self, policy: Conditional) -> Arc<Conditional> {
        self.policies.retain(|known| Arc::strong_count(known) > 1);
        if let Some(known) = self.policies.iter().find(|known| ***known == policy) {
            return Arc::clone(known);
        }
        let policy = Arc::new(policy);
        self.policies.push(Arc::clone(&policy));
        policy
    }

    // ===== looking =====

    /// Looks at the paths of a prefix.
    fn look(&mut self, rib: &Rib, prefix: IpNet) {
        let family = match prefix {
            IpNet::V4(_) => Family::Ipv4Unicast,
            IpNet::V6(_) => Family::Ipv6Unicast,
        };
        if !self.known.keys().any(|(of, _)| *of == family) {
            return;
        }
        let view = rib.prefix(prefix);
        let paths = view.iter().flat_map(|view| &view.paths);
        let paths: Vec<&PathView> = paths.filter(counts).collect();
        for ((of, _), condition) in &mut self.known {
            if *of != family {
                continue;
            }
            let passes = paths
                .iter()
                .any(|path| permits(&condition.map, rib, prefix, path));
            if !passes {
                condition.witnesses.remove(&prefix);
            } else if condition.witnesses.len() < WITNESSES_MAX {
                condition.witnesses.insert(prefix);
            } else if !condition.witnesses.contains(&prefix) {
                condition.more = true;
            }
            if passes {
                condition.holds = Some(true);
            }
        }
    }

    /// Everything that changed was looked at. Whether the table has to be
    /// looked through once more.
    fn conclude(&mut self) -> bool {
        let mut again = false;
        for condition in self.known.values_mut() {
            if !condition.witnesses.is_empty() {
                condition.holds = Some(true);
            } else if condition.more {
                condition.more = false;
                again = true;
            } else {
                condition.holds = Some(false);
            }
        }
        again
    }

    /// The conditions, and whether they are known to hold.
    fn state(&self) -> Vec<Option<bool>> {
        self.known
            .values()
            .map(|condition| condition.holds)
            .collect()
    }
}

/// Whether a path may fulfil a condition: it could be used.
pub(super) fn counts(path: &&PathView) -> bool {
    path.invalid.is_none() && !path.is_damped() && !path.is_withdrawn()
}

fn permits(map: &Arc<CompiledRouteMap>, rib: &Rib, prefix: IpNet, path: &PathView) -> bool {
    !matches!(passed(map, rib, (prefix, path), None), Applied::Denied)
}

/// What a map makes of a path; what it sets is set on other attributes, where
/// some are given.
pub(super) fn passed(
    map: &Arc<CompiledRouteMap>,
    rib: &Rib,
    (prefix, path): (IpNet, &PathView),
    onto: Option<&PathAttributes>,
) -> Applied {
    let attributes = Attributes::of(&path.attributes);
    let peer = match path.source {
        PathSource::Peer(id) => rib.peer(id),
        PathSource::Local(_) => None,
    };
    let view = RouteView {
        peer,
        learned_from: peer,
        weight: path.weight,
        igp_metric: path.igp_metric.unwrap_or(0),
        original_next_hop: path.attributes.next_hop(),
        original_med: path.attributes.med(),
        onto,
        ..RouteView::new(prefix, &attributes)
    };
    map.apply(&view)
}

// ===== the core =====

impl Core {
    /// Takes the conditions that the configuration names. Those that are as
    /// they were stay known; for others the table is looked through.
    pub(super) fn apply_conditions(&mut self) {
        let mut known = std::mem::take(&mut self.conditions.known);
        let mut fresh = false;
        for peer in self.peers.values() {
            let names = Family::ALL.into_iter().flat_map(|family| {
                let policy = &peer.settings.af(config_family(family)).policy;
                let advertised = policy.advertise_map.as_ref().map(|map| &map.condition);
                let default = policy.default_originate.as_ref();
                let default = default.and_then(|default| default.route_map.as_ref());
                let names = advertised.into_iter().chain(default);
                names.map(move |name| (family, name.clone()))
            });
            for key in names {
                let Some(map) = self.policies.compiled().route_map(&key.1) else {
                    continue;
                };
                if self.conditions.known.contains_key(&key) {
                    continue;
                }
                let same = |known: &Condition| Arc::ptr_eq(&known.map, map);
                let condition = known.remove(&key).filter(same).unwrap_or_else(|| {
                    fresh = true;
                    Condition {
                        map: Arc::clone(map),
                        witnesses: BTreeSet::new(),
                        more: false,
                        holds: None,
                    }
                });
                self.conditions.known.insert(key, condition);
            }
        }
        self.conditions.acted = self.conditions.state();
        let any = !self.conditions.known.is_empty();
        self.rib.set_watching(Watcher::Paths, any);
        if fresh {
            self.rib.watch_all(Watcher::Paths);
            self.conditions.due = Some(Instant::now());
        } else if !any {
            self.conditions.due = None;
        }
    }

    /// Looks at what changed, when it is time to.
    pub(super) fn pump_conditions(&mut self) {
        if self.conditions.known.is_empty() {
            return;
        }
        let now = Instant::now();
        let Some(due) = self.conditions.due else {
            if self.rib.has_watched(Watcher::Paths) {
                let hold = self.conditions.hold.filter(|hold| *hold > now);
                self.conditions.due = Some(hold.unwrap_or(now).max(now + GATHER));
            }
            return;
        };
        if due > now {
            return;
        }
        let changed = self.rib.take_watched(Watcher::Paths, BUDGET);
        for prefix in &changed {
            self.conditions.look(&self.rib, *prefix);
        }
        let all = changed.len() < BUDGET;
        let again = all && self.conditions.conclude();
        if again {
            self.rib.watch_all(Watcher::Paths);
        }
        self.more |= !all || again;
        self.conditions.due = (!all || again).then_some(now);
        let state = self.conditions.state();
        if state != self.conditions.acted {
            self.conditions.acted = state;
            self.conditions.hold = Some(now + HOLD);
            self.conditions_changed();
        }
        // What a default route is like may hang on which route it hangs on.
        self.apply_defaults();
    }

    /// Neighbors whose conditions are others now get another policy.
    fn conditions_changed(&mut self) {
        let requires_policy = self.requires_policy();
        let (policies, conditions) = (&mut self.policies, &mut self.conditions);
        for peer in self.peers.values_mut() {
            let Some(before) = &peer.policy else { continue };
            let policy = conditions.policy(policies, requires_policy, &peer.settings);
            let export = differs(before, &policy);
            if export.is_empty() {
                continue;
            }
            tracing::debug!(neighbor = %peer.settings.address, "a condition changed");
            let redo = match before.is(&policy) {
                true => Redo {
                    export,
                    ..Redo::NOTHING
                },
                false => Redo::ALL,
            };
            self.rib
                .set_policies(peer.id, Arc::clone(&policy.both), redo);
            peer.policy = Some(policy);
        }
    }
}

// ===== what is shown =====

/// What a neighbor is told on a condition.
pub(super) fn shown(
    config: &Config,
    settings: &EffectivePeer,
    policy: Option<&Own>,
    family: Family,
) -> Option<v1::ConditionalAdvertisement> {
    let af = settings.af(config_family(family));
    let configured = af.policy.advertise_map.as_ref()?;
    let known = |name: &String| config.policy.route_maps.contains_key(name);
    let part = policy.and_then(|own| own.conditional.as_ref()?.part(family));
    let bgp = config.bgp.as_ref();
    let secs = bgp.and_then(|bgp| bgp.conditional_advertisement_secs);
    Some(v1::ConditionalAdvertisement {
        advertise_map: configured.advertise.clone(),
        condition_map: configured.condition.clone(),
        advertise_map_known: known(&configured.advertise),
        condition_map_known: known(&configured.condition),
        non_exist: configured.when == AdvertiseWhen::Missing,
        advertised: part.is_some_and(|part| part.advertised),
        interval_secs: secs.unwrap_or(DEFAULT_CONDITIONAL_TIMER_SECS).into(),
    })
}
