//! Policies of neighbors: made of what the configuration says by name, and
//! shared by all that have the same. One policy is one allocation: peers that
//! share it can be told the same.

use std::sync::Arc;

use bgp_wire::{Family, FamilySet};
use holdfast_config::model::{
    Aggregate as ConfigAggregate, Bgp, Config, EffectivePeer, Family as ConfigFamily,
};
use holdfast_policy::model::PolicyConfig;
use holdfast_policy::{
    AggregateMaps, Applied, Compiler, Direction, Directional, Filters, PeerFacts, PeerPolicy,
    Policies, RoaTable, RouteView, TableMap, source_protocol,
};
use holdfast_rib::{
    Aggregate, AggregatePolicy, Attributes, ForwardingPolicy, LocalRoute, Policy, Redo,
};
use ipnet::IpNet;

use super::conditional::{self, Conditional};

/// What compiled policies depend on.
#[derive(Debug, Clone, PartialEq)]
struct Source {
    policy: PolicyConfig,
    asn: u32,
    local_pref: u32,
    /// What others take our own routes to be from.
    origin_as: u32,
}

/// The policy of a neighbor.
#[derive(Debug, Clone)]
pub(super) struct Own {
    import: Arc<PeerPolicy>,
    export: Arc<PeerPolicy>,
    /// Both, as the table asks.
    pub(super) both: Arc<dyn Policy>,
    /// What it announces on conditions, if it does; that is `both` then.
    pub(super) conditional: Option<Arc<Conditional>>,
}

impl Own {
    /// What is asked about what comes.
    pub(super) fn import(&self) -> &PeerPolicy {
        &self.import
    }

    /// Whether it is the same, but for what is announced on conditions.
    pub(super) fn is(&self, other: &Own) -> bool {
        Arc::ptr_eq(&self.import, &other.import) && Arc::ptr_eq(&self.export, &other.export)
    }
}

/// The compiled policies of an instance, and those of neighbors that are in use.
#[derive(Debug)]
pub(super) struct PolicyBook {
    source: Option<Source>,
    compiled: Policies,
    /// How often that was something else.
    edition: u32,
    imports: Vec<Arc<PeerPolicy>>,
    exports: Vec<Arc<PeerPolicy>>,
    pairs: Vec<Own>,
    /// Of aggregates.
    aggregates: Vec<Arc<AggregateMaps>>,
    /// `table-map` of both families.
    table_maps: [Option<Arc<TableMap>>; 2],
    /// `ip protocol bgp route-map` of both families.
    protocol_maps: [Option<Arc<TableMap>>; 2],
    /// What goes for routes of other instances.
    taken: Arc<PeerPolicy>,
}

impl Default for PolicyBook {
    fn default() -> PolicyBook {
        PolicyBook {
            source: None,
            // Nothing in it can be wrong.
            compiled: Compiler::new(&PolicyConfig::default())
                .compile()
                .unwrap_or_default(),
            edition: 0,
            imports: Vec::new(),
            exports: Vec::new(),
            pairs: Vec::new(),
            aggregates: Vec::new(),
            table_maps: [None, None],
            protocol_maps: [None, None],
            taken: Arc::new(PeerPolicy::new().requires_policy(false)),
        }
    }
}

impl PolicyBook {
    /// The policy for routes of other instances (`import vrf route-map`).
    pub(super) fn taken(&self) -> Arc<dyn Policy> {
        let policy: Arc<PeerPolicy> = Arc::clone(&self.taken);
        policy
    }

    /// The same as it is configured now; where it is another, what it is
    /// another for.
    pub(super) fn configure_taken(&mut self, bgp: &Bgp) -> Option<Redo> {
        let families = [
            (Family::Ipv4Unicast, &bgp.ipv4_unicast.import_vrf_route_map),
            (Family::Ipv6Unicast, &bgp.ipv6_unicast.import_vrf_route_map),
        ];
        let mut policy = PeerPolicy::new().requires_policy(false);
        for (family, name) in families {
            let filters = Filters {
                route_map: name.clone(),
                ..Filters::default()
            };
            policy = policy.with(&self.compiled, family, Direction::In, &filters);
        }
        if *self.taken == policy {
            return None;
        }
        let import = changed(Some(&self.taken), &policy, Direction::In);
        self.taken = Arc::new(policy);
        let export = FamilySet::EMPTY;
        Some(Redo { import, export })
    }

    /// The aggregates of an instance. What is as it was is the same allocation.
    pub(super) fn aggregates(&mut self, bgp: &Bgp) -> Vec<(IpNet, Aggregate)> {
        let v4 = bgp.ipv4_unicast.aggregates.iter();
        let v6 = bgp.ipv6_unicast.aggregates.iter();
        let v4 = v4.map(|(prefix, aggregate)| (IpNet::V4(*prefix), aggregate));
        let v6 = v6.map(|(prefix, aggregate)| (IpNet::V6(*prefix), aggregate));
        let known = std::mem::take(&mut self.aggregates);
        let lines: Vec<_> = v4.chain(v6).collect();
        let wanted = lines.into_iter();
        wanted
            .map(|(prefix, line)| (prefix, self.aggregate(line, &known)))
            .collect()
    }

    fn aggregate(&mut self, line: &ConfigAggregate, known: &[Arc<AggregateMaps>]) -> Aggregate {
        let (suppress, map) = (line.suppress_map.as_deref(), line.route_map.as_deref());
        let maps = AggregateMaps::new(&self.compiled, suppress, map).map(|maps| {
            let mut like = known.iter().chain(&self.aggregates);
            let same = like.find(|known| ***known == maps).cloned();
            let maps = same.unwrap_or_else(|| Arc::new(maps));
            self.aggregates.push(Arc::clone(&maps));
            maps
        });
        Aggregate {
            as_set: line.as_set,
            summary_only: line.summary_only,
            matching_med_only: line.matching_med_only,
            origin: line.origin,
            policy: maps.map(|maps| -> Arc<dyn AggregatePolicy> { maps }),
        }
    }

    /// What decides what a family's forwarding table is told (`table-map`),
    /// where that is another than it was.
    pub(super) fn table_map(
        &mut self,
        bgp: &Bgp,
        family: Family,
    ) -> Option<Option<Arc<dyn ForwardingPolicy>>> {
        let [v4, v6] = &mut self.table_maps;
        let (known, name) = match family {
            Family::Ipv4Unicast => (v4, &bgp.ipv4_unicast.table_map),
            Family::Ipv6Unicast => (v6, &bgp.ipv6_unicast.table_map),
        };
        let map = name.as_deref();
        let map = map.map(|name| TableMap::new(&self.compiled, name));
        if known.as_deref() == map.as_ref() {
            return None;
        }
        *known = map.map(Arc::new);
        let policy = known.clone();
        Some(policy.map(|policy| -> Arc<dyn ForwardingPolicy> { policy }))
    }

    /// What decides about a family's routes on their way into the kernel (`ip
    /// protocol bgp route-map`).
    pub(super) fn protocol_map(&self, family: ConfigFamily) -> Option<&TableMap> {
        let [v4, v6] = &self.protocol_maps;
        match family {
            ConfigFamily::Ipv4Unicast => v4.as_deref(),
            ConfigFamily::Ipv6Unicast => v6.as_deref(),
        }
    }

    /// The same as it is configured now; returns the families in which it is
    /// another.
    pub(super) fn configure_protocol_maps(&mut self, config: &Config) -> FamilySet {
        let names = [
            &config.ip_protocol_route_map,
            &config.ipv6_protocol_route_map,
        ];
        let mut changed = FamilySet::EMPTY;
        let places = self.protocol_maps.iter_mut().zip(names);
        for ((known, name), family) in places.zip(Family::ALL) {
            let map = name.as_deref();
            let map = map.map(|name| TableMap::new(&self.compiled, name));
            if known.as_deref() != map.as_ref() {
                *known = map.map(Arc::new);
                changed.insert(family);
            }
        }
        changed
    }

    /// Of nothing, where policies will ask these ROAs.
    pub(super) fn new(roas: &Arc<RoaTable>) -> PolicyBook {
        let mut book = PolicyBook::default();
        book.set_roas(roas);
        book
    }

    /// Compiles what is configured, if that is something else. Lists and maps
    /// that are as they were stay the same allocations.
    pub(super) fn configure(&mut self, config: &Config) {
        let Some(bgp) = &config.bgp else { return };
        let source = Source {
            policy: config.policy.clone(),
            asn: bgp.asn,
            local_pref: bgp.default_local_preference,
            origin_as: bgp.confederation_identifier.unwrap_or(bgp.asn),
        };
        if self.source.as_ref() == Some(&source) {
            return;
        }
        let compiler = Compiler::new(&source.policy)
            .local_as(source.asn)
            .origin_as(source.origin_as)
            .default_local_pref(source.local_pref)
            .after(&self.compiled);
        match compiler.compile() {
            Ok(compiled) => {
                self.compiled = compiled;
                self.edition = self.edition.wrapping_add(1);
            }
            // What was checked before it came here does not end here.
            Err(errors) => tracing::error!(%errors, "policy stays as it was"),
        }
        self.source = Some(source);
    }

    /// Has policies ask other ROAs; whether any asks for them.
    pub(super) fn set_roas(&mut self, roas: &Arc<RoaTable>) -> bool {
        self.compiled = self.compiled.with_roas(roas);
        let mut maps = self.compiled.route_maps();
        maps.any(|(_, map)| map.uses_rpki())
    }

    /// Whether a route map asks for ROAs.
    pub(super) fn uses_rpki(&self, map: &str) -> bool {
        let map = self.compiled.route_map(map);
        map.is_some_and(|map| map.uses_rpki())
    }

    /// The policy of a neighbor. Equal ones are one.
    pub(super) fn of(&mut self, requires_policy: bool, settings: &EffectivePeer) -> Own {
        let facts = PeerFacts::default();
        let make = |direction| {
            let mut policy = PeerPolicy::new()
                .requires_policy(requires_policy)
                .facts(facts.clone());
            for (family, configured) in [
                (Family::Ipv4Unicast, ConfigFamily::Ipv4Unicast),
                (Family::Ipv6Unicast, ConfigFamily::Ipv6Unicast),
            ] {
                let filters = filters(settings, configured, direction);
                policy = policy.with(&self.compiled, family, direction, &filters);
            }
            policy
        };
        let (import, export) = (make(Direction::In), make(Direction::Out));
        let import = shared(&mut self.imports, import);
        let export = shared(&mut self.exports, export);
        let own = Own {
            both: Arc::new(Directional {
                import: import.clone(),
                export: export.clone(),
            }),
            import,
            export,
            conditional: None,
        };
        if let Some(known) = self.pairs.iter().find(|known| known.is(&own)) {
            return known.clone();
        }
        self.pairs.push(own.clone());
        own
    }

    /// Where a neighbor's policy is another than it was; none where it is
    /// the same.
    pub(super) fn redo(before: Option<&Own>, now: &Own) -> Option<Redo> {
        let same = |before: &Own| before.is(now) && conditional::alike(before, now);
        if before.is_some_and(same) {
            return None;
        }
        let import = before.map(|before| &*before.import);
        let export = before.map(|before| &*before.export);
        let export = changed(export, &now.export, Direction::Out);
        let on_conditions = before.map(|before| conditional::differs(before, now));
        Some(Redo {
            import: changed(import, &now.import, Direction::In),
            export: export.union(on_conditions.unwrap_or(FamilySet::EMPTY)),
        })
    }

    /// Lets go of those that no neighbor has any more.
    pub(super) fn tidy(&mut self, in_use: &[Own]) {
        self.pairs
            .retain(|pair| in_use.iter().any(|own| own.is(pair)));
        let pairs = &self.pairs;
        let import = |policy: &Arc<PeerPolicy>| {
            let mut pairs = pairs.iter();
            pairs.any(|pair| Arc::ptr_eq(&pair.import, policy))
        };
        self.imports.retain(import);
        let export = |policy: &Arc<PeerPolicy>| {
            let mut pairs = pairs.iter();
            pairs.any(|pair| Arc::ptr_eq(&pair.export, policy))
        };
        self.exports.retain(export);
    }

    /// Lists and route maps as they are asked.
    pub(super) const fn compiled(&self) -> &Policies {
        &self.compiled
    }

    /// How often what is compiled was something else.
    pub(super) fn edition(&self) -> u32 {
        self.edition
    }

    /// What a route map makes of a route of our own; one that does not exist
    /// denies all, as in FRR.
    pub(super) fn originate(
        &self,
        name: &str,
        prefix: IpNet,
        route: LocalRoute,
        from: Redistributed<'_>,
    ) -> Option<LocalRoute> {
        let map = self.compiled.route_map(name)?;
        let attributes = Attributes::new(route.attributes.clone());
        let view = RouteView {
            weight: route.weight,
            interface: from.interface,
            tag: from.tag,
            source_protocol: Some(source_protocol(Some(route.source))),
            original_next_hop: route.attributes.next_hop,
            original_med: route.attributes.med,
            ..RouteView::new(prefix, &attributes)
        };
        match map.apply(&view) {
            Applied::Denied => None,
            Applied::Unchanged => Some(route),
            Applied::Changed(changed) => Some(LocalRoute {
                attributes: changed.attributes,
                weight: changed.weight,
                ..route
            }),
        }
    }
}

/// What a route map may ask of a route of our own beside its attributes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Redistributed<'a> {
    /// The interface that packets leave by.
    pub(super) interface: Option<&'a str>,
    /// The tag of a static route; 0 is none.
    pub(super) tag: u32,
}

/// The families that are decided differently in a direction.
fn changed(before: Option<&PeerPolicy>, now: &PeerPolicy, direction: Direction) -> FamilySet {
    let differs = |family: &Family| {
        let same = |before: &PeerPolicy| before.same(now, *family, direction);
        !before.is_some_and(same)
    };
    Family::ALL.into_iter().filter(differs).collect()
}

/// The one of the list that is equal, or the new one. What looks at the one
/// peer it is for is nobody else's.
fn shared(list: &mut Vec<Arc<PeerPolicy>>, policy: PeerPolicy) -> Arc<PeerPolicy> {
    if let Some(known) = list.iter().find(|known| ***known == policy) {
        return Arc::clone(known);
    }
    let policy = Arc::new(policy);
    list.push(Arc::clone(&policy));
    policy
}

pub(super) fn filters(
    settings: &EffectivePeer,
    family: ConfigFamily,
    direction: Direction,
) -> Filters {
    let policy = &settings.af(family).policy;
    let out = direction == Direction::Out;
    let name = |names: &holdfast_config::model::InOut| match direction {
        Direction::In => names.inbound.clone(),
        _ => names.outbound.clone(),
    };
    Filters {
        distribute_list: name(&policy.distribute_list),
        prefix_list: name(&policy.prefix_list),
        filter_list: name(&policy.filter_list),
        route_map: name(&policy.route_map),
        unsuppress_map: policy.unsuppress_map.clone().filter(|_| out),
        default_originate: out && policy.default_originate.is_some(),
    }
}
