//! Policies of neighbors: made of what the configuration says by name, and
//! shared by all that have the same. One policy is one allocation: peers that
//! share it can be told the same.

use std::sync::Arc;

use bgp_wire::Family;
use holdfast_config::model::{Config, EffectivePeer, Family as ConfigFamily};
use holdfast_policy::model::{OtherProtocol, PolicyConfig, SourceProtocol};
use holdfast_policy::{
    AcceptAll, Applied, Compiler, Direction, Directional, Filters, PeerFacts, PeerPolicy, Policies,
    RouteView,
};
use holdfast_rib::{Attributes, LocalRoute, LocalSource, Policy};
use ipnet::IpNet;

use super::conditional::{self, Conditional};

/// What compiled policies depend on.
#[derive(Debug, Clone, PartialEq)]
struct Source {
    policy: PolicyConfig,
    asn: u32,
    local_pref: u32,
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
    accept_all: Arc<dyn Policy>,
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
            accept_all: Arc::new(AcceptAll),
        }
    }
}

impl PolicyBook {
    /// A policy that lets everything pass.
    pub(super) fn accept_all(&self) -> Arc<dyn Policy> {
        Arc::clone(&self.accept_all)
    }

    /// Compiles what is configured, if that is something else. Lists and maps
    /// that are as they were stay the same allocations.
    pub(super) fn configure(&mut self, config: &Config) {
        let Some(bgp) = &config.bgp else { return };
        let source = Source {
            policy: config.policy.clone(),
            asn: bgp.asn,
            local_pref: bgp.default_local_preference,
        };
        if self.source.as_ref() == Some(&source) {
            return;
        }
        let compiler = Compiler::new(&source.policy)
            .local_as(source.asn)
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

    /// Whether a neighbor has another policy than it had.
    pub(super) fn differs(before: Option<&Own>, now: &Own) -> bool {
        before.is_none_or(|before| !before.is(now) || !conditional::alike(before, now))
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

    /// What is compiled.
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
    ) -> Option<LocalRoute> {
        let map = self.compiled.route_map(name)?;
        let attributes = Attributes::new(route.attributes.clone());
        let view = RouteView {
            weight: route.weight,
            source_protocol: Some(match route.source {
                LocalSource::Network | LocalSource::Aggregate => SourceProtocol::Bgp,
                LocalSource::Connected => SourceProtocol::Connected,
                LocalSource::Static => SourceProtocol::Static,
                LocalSource::Kernel => SourceProtocol::Kernel,
                LocalSource::Table => SourceProtocol::Other(OtherProtocol::Table),
            }),
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
    let name = |names: &holdfast_config::model::InOut| match direction {
        Direction::In => names.inbound.clone(),
        _ => names.outbound.clone(),
    };
    Filters {
        distribute_list: name(&policy.distribute_list),
        prefix_list: name(&policy.prefix_list),
        filter_list: name(&policy.filter_list),
        route_map: name(&policy.route_map),
    }
}
