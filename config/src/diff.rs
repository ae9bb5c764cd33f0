//! What changes between two configurations, and what that does to sessions.
//!
//! Structs are taken apart without `..`, so that a new setting does not compile
//! until somebody decided what a change of it means.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use ipnet::{Ipv4Net, Ipv6Net};

use crate::instances::InstanceName;
use crate::model::{
    AfConfig, Aggregate, Bgp, Config, Dampening, EffectiveAf, EffectivePeer, EffectivePolicy,
    Family, GracefulRestart, PeerKind, Prefix, Redistribute, RedistributeSource, ResilientPaths,
    Shutdown,
};

/// The difference between two configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigDiff {
    /// Settings outside of BGP that differ.
    pub global: Vec<GlobalChange>,
    /// What happens to the default BGP instance.
    pub bgp: BgpDiff,
    /// What happens to the VRFs' instances; those that stay as they are are left out.
    pub vrfs: BTreeMap<String, BgpDiff>,
    /// VRFs with another table than before: their routes move.
    pub tables: BTreeMap<String, Option<u32>>,
    /// What happens to the views; those that stay as they are are left out.
    pub views: BTreeMap<String, BgpDiff>,
}

/// A setting outside of BGP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GlobalChange {
    /// The `frr version` line, which only chooses defaults.
    FrrVersion,
    /// The profile, which only chooses defaults.
    FrrDefaults,
    /// The host name.
    Hostname,
    /// Where log lines go.
    Log,
    /// `ip forwarding`.
    IpForwarding,
    /// `ipv6 forwarding`.
    Ipv6Forwarding,
    /// `ip nht resolve-via-default`, `ipv6 nht resolve-via-default`.
    ResolveViaDefault,
    /// `zebra nexthop kernel enable`.
    NexthopObjects,
    /// `zebra nexthop compat-mode`.
    NexthopCompatMode,
    /// `service integrated-vtysh-config`.
    IntegratedVtysh,
    /// `bgp suppress-fib-pending` of all instances.
    SuppressFibPending,
    /// Static routes.
    StaticRoutes,
    /// Named lists and route maps.
    Policy,
    /// `bgp route-map delay-timer`.
    RouteMapDelay,
    /// `ip protocol bgp route-map`, `ipv6 protocol bgp route-map`.
    ProtocolRouteMap,
    /// Where ROAs come from.
    Rpki,
    /// Where the API listens.
    Api,
}

/// What happens to a BGP instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BgpDiff {
    /// Nothing.
    #[default]
    Unchanged,
    /// There was none before.
    Started,
    /// There is none any more.
    Stopped,
    /// It goes on with these changes.
    Changed(Box<InstanceDiff>),
}

/// Changes inside of a BGP instance that goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceDiff {
    /// Settings of the instance itself.
    pub settings: Vec<SettingChange>,
    /// Neighbors that are new, or can come up for the first time.
    pub added: Vec<EffectivePeer>,
    /// Neighbors that are gone.
    pub removed: Vec<IpAddr>,
    /// Neighbors that stay, with something changed.
    pub changed: Vec<PeerChange>,
    /// IPv4 unicast.
    pub ipv4_unicast: FamilyDiff<Ipv4Net>,
    /// IPv6 unicast.
    pub ipv6_unicast: FamilyDiff<Ipv6Net>,
}

/// A changed setting of the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SettingChange {
    /// The setting, as the TOML key names it.
    pub setting: &'static str,
    /// What the change asks for.
    pub effect: Effect,
}

/// What a changed setting of the instance asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Nothing beyond taking the new value. Where neighbors inherit it, they
    /// are listed as changed.
    Nothing,
    /// New sessions offer it.
    NextSession,
    /// `network` statements are checked again.
    CheckNetworks,
    /// What was learned is announced or withdrawn by what the kernel has.
    AskKernel,
    /// Best paths are chosen again.
    Decide,
    /// Routes of external peers are filtered again, both ways.
    RefreshExternal,
    /// All sessions are reset.
    ResetAll,
}

/// What happens to a neighbor that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerChange {
    /// What it was.
    pub old: EffectivePeer,
    /// What it is now.
    pub new: EffectivePeer,
    /// The settings for whose sake the session is reset; empty if it stays.
    pub reset: Vec<&'static str>,
    /// The session stays and what is announced to the peer is computed again.
    pub refresh_out: bool,
    /// The session stays and the peer's routes are evaluated again.
    pub refresh_in: bool,
    /// Shut down now, or no longer.
    pub shutdown: Option<bool>,
    /// The settings that take effect without any of that.
    pub quiet: Vec<&'static str>,
}

/// Changes to what is originated into one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyDiff<P> {
    /// New or changed `network` statements.
    pub networks_added: Vec<P>,
    /// `network` statements that are gone.
    pub networks_removed: Vec<P>,
    /// New or changed `aggregate-address` statements.
    pub aggregates_set: Vec<(P, Aggregate)>,
    /// `aggregate-address` statements that are gone.
    pub aggregates_removed: Vec<P>,
    /// New or changed `redistribute` statements.
    pub redistribute_set: Vec<(RedistributeSource, Redistribute)>,
    /// `redistribute` statements that are gone.
    pub redistribute_removed: Vec<RedistributeSource>,
    /// `maximum-paths`, if it changed.
    pub maximum_paths: Option<u16>,
    /// `maximum-paths ibgp`, if it changed.
    pub maximum_paths_ibgp: Option<u16>,
    /// `equal-cluster-length`, if it changed.
    pub equal_cluster_length: Option<bool>,
    /// `maximum-paths resilient`, if it changed.
    pub resilient: Option<Option<ResilientPaths>>,
    /// Instances whose routes are taken over from now on.
    pub imports_added: Vec<String>,
    /// Instances whose routes are taken over no more.
    pub imports_removed: Vec<String>,
    /// `import vrf route-map`, if it changed.
    pub import_route_map: Option<Option<String>>,
    /// `table-map`, if it changed.
    pub table_map: Option<Option<String>>,
    /// `bgp dampening`, if it changed.
    pub dampening: Option<Option<Dampening>>,
}

impl<P> Default for FamilyDiff<P> {
    fn default() -> Self {
        Self {
            networks_added: Vec::new(),
            networks_removed: Vec::new(),
            aggregates_set: Vec::new(),
            aggregates_removed: Vec::new(),
            redistribute_set: Vec::new(),
            redistribute_removed: Vec::new(),
            maximum_paths: None,
            maximum_paths_ibgp: None,
            equal_cluster_length: None,
            resilient: None,
            imports_added: Vec::new(),
            imports_removed: Vec::new(),
            import_route_map: None,
            table_map: None,
            dampening: None,
        }
    }
}

impl<P: PartialEq> FamilyDiff<P> {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl ConfigDiff {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl InstanceDiff {
    /// Whether all sessions are reset.
    pub fn resets_all(&self) -> bool {
        self.settings
            .iter()
            .any(|change| change.effect == Effect::ResetAll)
    }
}

/// What changes from `old` to `new`. Neighbors are compared by what they get
/// in the end, so a change to a peer group is a change of its members.
pub fn diff(old: &Config, new: &Config) -> ConfigDiff {
    let names: BTreeSet<&String> = old.views.keys().chain(new.views.keys()).collect();
    let views = names.into_iter().filter_map(|name| {
        let diff = diff_bgp(old.views.get(name), new.views.get(name));
        (diff != BgpDiff::Unchanged).then(|| (name.clone(), diff))
    });
    let names: BTreeSet<&String> = old.vrfs.keys().chain(new.vrfs.keys()).collect();
    let bgp_of = |config: &'_ Config, name: &String| {
        let name = InstanceName::Vrf(name.clone());
        config.instance(&name).cloned()
    };
    let vrfs = names.iter().filter_map(|name| {
        let diff = diff_bgp(bgp_of(old, name).as_ref(), bgp_of(new, name).as_ref());
        (diff != BgpDiff::Unchanged).then(|| ((*name).clone(), diff))
    });
    let table_of = |config: &Config, name: &String| config.vrfs.get(name)?.table;
    let tables = names.iter().filter_map(|name| {
        let table = table_of(new, name);
        (table != table_of(old, name)).then(|| ((*name).clone(), table))
    });
    ConfigDiff {
        global: diff_global(old, new),
        bgp: diff_bgp(old.bgp.as_ref(), new.bgp.as_ref()),
        vrfs: vrfs.collect(),
        tables: tables.collect(),
        views: views.collect(),
    }
}

/// What happens to one instance; nothing about it depends on the others.
fn diff_bgp(old: Option<&Bgp>, new: Option<&Bgp>) -> BgpDiff {
    match (old, new) {
        (None, None) => BgpDiff::Unchanged,
        (None, Some(_)) => BgpDiff::Started,
        (Some(_), None) => BgpDiff::Stopped,
        (Some(old), Some(new)) => {
            let instance = diff_instance(old, new);
            if instance == InstanceDiff::default() {
                BgpDiff::Unchanged
            } else {
                BgpDiff::Changed(Box::new(instance))
            }
        }
    }
}

fn diff_global(old: &Config, new: &Config) -> Vec<GlobalChange> {
    let Config {
        frr_version,
        frr_defaults,
        hostname,
        log,
        ip_forwarding,
        ipv6_forwarding,
        // With what the profile says where they do not.
        ip_nht_resolve_via_default: _,
        ipv6_nht_resolve_via_default: _,
        // Unset is a value as well.
        nexthop_objects: _,
        nexthop_compat_mode,
        integrated_vtysh,
        suppress_fib_pending,
        static_routes,
        policy,
        route_map_delay_secs,
        ip_protocol_route_map,
        ipv6_protocol_route_map,
        rpki,
        api,
        bgp: _,
        vrfs: _,
        views: _,
    } = old;
    let via_default = |config: &Config| Family::ALL.map(|f| config.resolves_via_default(f));
    [
        (*frr_version != new.frr_version, GlobalChange::FrrVersion),
        (*frr_defaults != new.frr_defaults, GlobalChange::FrrDefaults),
        (*hostname != new.hostname, GlobalChange::Hostname),
        (*log != new.log, GlobalChange::Log),
        (
            *ip_forwarding != new.ip_forwarding,
            GlobalChange::IpForwarding,
        ),
        (
            *ipv6_forwarding != new.ipv6_forwarding,
            GlobalChange::Ipv6Forwarding,
        ),
        (
            via_default(old) != via_default(new),
            GlobalChange::ResolveViaDefault,
        ),
        (
            old.uses_nexthop_objects() != new.uses_nexthop_objects(),
            GlobalChange::NexthopObjects,
        ),
        (
            *nexthop_compat_mode != new.nexthop_compat_mode,
            GlobalChange::NexthopCompatMode,
        ),
        (
            *integrated_vtysh != new.integrated_vtysh,
            GlobalChange::IntegratedVtysh,
        ),
        (
            *suppress_fib_pending != new.suppress_fib_pending,
            GlobalChange::SuppressFibPending,
        ),
        (
            *static_routes != new.static_routes,
            GlobalChange::StaticRoutes,
        ),
        (*policy != new.policy, GlobalChange::Policy),
        (
            *route_map_delay_secs != new.route_map_delay_secs,
            GlobalChange::RouteMapDelay,
        ),
        (
            *ip_protocol_route_map != new.ip_protocol_route_map
                || *ipv6_protocol_route_map != new.ipv6_protocol_route_map,
            GlobalChange::ProtocolRouteMap,
        ),
        (*rpki != new.rpki, GlobalChange::Rpki),
        (*api != new.api, GlobalChange::Api),
    ]
    .into_iter()
    .filter_map(|(changed, change)| changed.then_some(change))
    .collect()
}

fn diff_instance(old: &Bgp, new: &Bgp) -> InstanceDiff {
    let mut diff = InstanceDiff {
        settings: diff_settings(old, new),
        ipv4_unicast: diff_family(&old.ipv4_unicast, &new.ipv4_unicast),
        ipv6_unicast: diff_family(&old.ipv6_unicast, &new.ipv6_unicast),
        ..InstanceDiff::default()
    };
    let addresses: BTreeSet<IpAddr> = old
        .neighbors
        .keys()
        .chain(new.neighbors.keys())
        .copied()
        .collect();
    for address in addresses {
        match (old.effective(address), new.effective(address)) {
            (None, None) => {}
            (None, Some(new)) => diff.added.push(new),
            (Some(_), None) => diff.removed.push(address),
            (Some(old), Some(new)) if old != new => diff.changed.push(diff_peer(old, new)),
            (Some(_), Some(_)) => {}
        }
    }
    diff
}

fn diff_settings(old: &Bgp, new: &Bgp) -> Vec<SettingChange> {
    // Peers and families are compared elsewhere.
    let Bgp {
        asn,
        router_id,
        ebgp_requires_policy,
        multipath_relax,
        graceful_restart,
        timers,
        connect_retry_secs,
        default_ipv4_unicast,
        log_neighbor_changes,
        network_import_check,
        deterministic_med,
        always_compare_med,
        bestpath_compare_routerid,
        bestpath_med_missing_as_worst,
        bestpath_med_confed,
        bestpath_as_path_ignore,
        bestpath_as_path_confed,
        bestpath_peer_type_multipath_relax,
        bestpath_aigp,
        bestpath_bandwidth,
        suppress_fib_pending,
        fast_external_failover,
        client_to_client_reflection,
        confederation_identifier,
        confederation_peers,
        coalesce_time_ms,
        conditional_advertisement_secs,
        default_local_preference,
        cluster_id,
        peer_groups: _,
        neighbors: _,
        ipv4_unicast: _,
        ipv6_unicast: _,
    } = old;
    let GracefulRestart {
        enabled,
        restart_time_secs,
        stalepath_time_secs,
        preserve_fw_state,
    } = graceful_restart;
    let restart = &new.graceful_restart;
    let offered = *enabled != restart.enabled
        || *restart_time_secs != restart.restart_time_secs
        || *preserve_fw_state != restart.preserve_fw_state;
    let stalepath = *stalepath_time_secs != restart.stalepath_time_secs;
    let policy = *ebgp_requires_policy != new.ebgp_requires_policy;
    let import_check = *network_import_check != new.network_import_check;
    let local_preference = *default_local_preference != new.default_local_preference;
    let compare_routerid = *bestpath_compare_routerid != new.bestpath_compare_routerid;
    let missing_med = *bestpath_med_missing_as_worst != new.bestpath_med_missing_as_worst;
    let default_ipv4 = *default_ipv4_unicast != new.default_ipv4_unicast;
    let changes = [
        ("asn", Effect::ResetAll, *asn != new.asn),
        ("router-id", Effect::ResetAll, *router_id != new.router_id),
        // Peers would see loops where there are none: start afresh.
        (
            "cluster-id",
            Effect::ResetAll,
            *cluster_id != new.cluster_id,
        ),
        ("ebgp-requires-policy", Effect::RefreshExternal, policy),
        (
            "multipath-relax",
            Effect::Decide,
            *multipath_relax != new.multipath_relax,
        ),
        ("graceful-restart", Effect::NextSession, offered),
        (
            "graceful-restart.stalepath-time-secs",
            Effect::Nothing,
            stalepath,
        ),
        ("timers", Effect::Nothing, *timers != new.timers),
        (
            "connect-retry-secs",
            Effect::Nothing,
            *connect_retry_secs != new.connect_retry_secs,
        ),
        ("default-ipv4-unicast", Effect::Nothing, default_ipv4),
        (
            "log-neighbor-changes",
            Effect::Nothing,
            *log_neighbor_changes != new.log_neighbor_changes,
        ),
        ("network-import-check", Effect::CheckNetworks, import_check),
        (
            "deterministic-med",
            Effect::Decide,
            *deterministic_med != new.deterministic_med,
        ),
        (
            "always-compare-med",
            Effect::Decide,
            *always_compare_med != new.always_compare_med,
        ),
        (
            "bestpath-compare-routerid",
            Effect::Decide,
            compare_routerid,
        ),
        ("bestpath-med-missing-as-worst", Effect::Decide, missing_med),
        ("default-local-preference", Effect::Decide, local_preference),
        (
            "bestpath-med-confed",
            Effect::Nothing,
            *bestpath_med_confed != new.bestpath_med_confed,
        ),
        (
            "bestpath-as-path-ignore",
            Effect::Decide,
            *bestpath_as_path_ignore != new.bestpath_as_path_ignore,
        ),
        (
            "bestpath-as-path-confed",
            Effect::Decide,
            *bestpath_as_path_confed != new.bestpath_as_path_confed,
        ),
        (
            "bestpath-peer-type-multipath-relax",
            Effect::Decide,
            *bestpath_peer_type_multipath_relax != new.bestpath_peer_type_multipath_relax,
        ),
        (
            "bestpath-aigp",
            Effect::Decide,
            *bestpath_aigp != new.bestpath_aigp,
        ),
        (
            "bestpath-bandwidth",
            Effect::Decide,
            *bestpath_bandwidth != new.bestpath_bandwidth,
        ),
        (
            "suppress-fib-pending",
            Effect::AskKernel,
            *suppress_fib_pending != new.suppress_fib_pending,
        ),
        (
            "fast-external-failover",
            Effect::Nothing,
            *fast_external_failover != new.fast_external_failover,
        ),
        (
            "client-to-client-reflection",
            Effect::Decide,
            *client_to_client_reflection != new.client_to_client_reflection,
        ),
        // Every route that came or went was looked at as what it is not now.
        (
            "confederation-identifier",
            Effect::ResetAll,
            *confederation_identifier != new.confederation_identifier,
        ),
        // The peers that are something else now are reset by themselves.
        (
            "confederation-peers",
            Effect::Nothing,
            *confederation_peers != new.confederation_peers,
        ),
        (
            "coalesce-time-ms",
            Effect::Nothing,
            *coalesce_time_ms != new.coalesce_time_ms,
        ),
        (
            "conditional-advertisement-secs",
            Effect::Nothing,
            *conditional_advertisement_secs != new.conditional_advertisement_secs,
        ),
    ];
    let changed = changes.into_iter().filter(|(_, _, changed)| *changed);
    changed
        .map(|(setting, effect, _)| SettingChange { setting, effect })
        .collect()
}

fn diff_peer(old: EffectivePeer, new: EffectivePeer) -> PeerChange {
    let EffectivePeer {
        address: _,
        peer_group,
        remote,
        local_as,
        description,
        timers,
        connect_retry_secs,
        ebgp_multihop,
        update_source,
        passive,
        shutdown,
        password,
        port,
        extended_nexthop,
        disable_connected_check,
        aigp,
        disable_link_bw_encoding_ieee,
        ipv4_unicast,
        ipv6_unicast,
    } = &old;
    let mut reset = names([
        ("remote-as", *remote != new.remote),
        ("local-as", *local_as != new.local_as),
        // How far away the peer may be says nothing about an internal one.
        (
            "ebgp-multihop",
            *ebgp_multihop != new.ebgp_multihop && new.remote.kind != PeerKind::Internal,
        ),
        ("update-source", *update_source != new.update_source),
        ("passive", *passive != new.passive),
        ("password", *password != new.password),
        ("port", *port != new.port),
        (
            "extended-nexthop",
            *extended_nexthop != new.extended_nexthop,
        ),
    ]);
    let checked_anew = *disable_connected_check != new.disable_connected_check;
    // Internal peers have AIGP in any case.
    let aigp_changed = *aigp != new.aigp && new.remote.kind == PeerKind::External;
    let encoding = *disable_link_bw_encoding_ieee != new.disable_link_bw_encoding_ieee;
    let as_seen = aigp_changed || encoding;
    let quiet = names([
        ("peer-group", *peer_group != new.peer_group),
        ("description", *description != new.description),
        ("timers", *timers != new.timers),
        (
            "connect-retry-secs",
            *connect_retry_secs != new.connect_retry_secs,
        ),
    ]);
    let is_shut = |shutdown: &Shutdown| matches!(shutdown, Shutdown::On { .. });
    let (was_shut, shut) = (is_shut(shutdown), is_shut(&new.shutdown));
    let names = ["ipv4-unicast.activate", "ipv4-unicast.addpath"];
    let ipv4 = diff_peer_af(ipv4_unicast, &new.ipv4_unicast, names);
    let names = ["ipv6-unicast.activate", "ipv6-unicast.addpath"];
    let ipv6 = diff_peer_af(ipv6_unicast, &new.ipv6_unicast, names);
    reset.extend(ipv4.reset.iter().chain(&ipv6.reset));
    PeerChange {
        // A session that is reset starts from nothing anyway.
        refresh_out: reset.is_empty() && (as_seen || ipv4.refresh_out || ipv6.refresh_out),
        refresh_in: reset.is_empty()
            && (as_seen || checked_anew || ipv4.refresh_in || ipv6.refresh_in),
        shutdown: (was_shut != shut).then_some(shut),
        reset,
        quiet,
        old,
        new,
    }
}

struct PeerAfDiff {
    reset: Vec<&'static str>,
    refresh_out: bool,
    refresh_in: bool,
}

/// What differs for a family; `names` are those of its activation and of what
/// is offered as add-path.
fn diff_peer_af(old: &EffectiveAf, new: &EffectiveAf, names_of: [&'static str; 2]) -> PeerAfDiff {
    let EffectiveAf {
        activate,
        next_hop_self,
        // What a peer sent is always kept as it came.
        soft_reconfiguration_inbound: _,
        route_reflector_client,
        route_server_client,
        next_hop_unchanged,
        allowas_in,
        weight,
        addpath_tx,
        addpath_rx,
        policy,
    } = old;
    let policy = diff_peer_policy(policy, &new.policy);
    let both = *activate && new.activate;
    // The OPEN says only that several paths are sent, not which.
    let offers = addpath_tx.is_some() != new.addpath_tx.is_some() || *addpath_rx != new.addpath_rx;
    let [activate_name, addpath_name] = names_of;
    PeerAfDiff {
        reset: names([
            (activate_name, *activate != new.activate),
            (addpath_name, both && offers),
        ]),
        refresh_out: both
            && (*next_hop_self != new.next_hop_self
                || *route_reflector_client != new.route_reflector_client
                || *route_server_client != new.route_server_client
                || *next_hop_unchanged != new.next_hop_unchanged
                || *addpath_tx != new.addpath_tx
                || policy.outbound),
        refresh_in: both
            && (*allowas_in != new.allowas_in || *weight != new.weight || policy.inbound),
    }
}

/// Which way of a peer's policy differs.
struct PolicyDiff {
    inbound: bool,
    outbound: bool,
}

fn diff_peer_policy(old: &EffectivePolicy, new: &EffectivePolicy) -> PolicyDiff {
    let EffectivePolicy {
        route_map,
        prefix_list,
        distribute_list,
        filter_list,
        unsuppress_map,
        default_originate,
        advertise_map,
        dampening,
        send_community,
        send_extended_community,
        send_large_community,
    } = old;
    let names = [
        (route_map, &new.route_map),
        (prefix_list, &new.prefix_list),
        (distribute_list, &new.distribute_list),
        (filter_list, &new.filter_list),
    ];
    PolicyDiff {
        inbound: names.iter().any(|(old, new)| old.inbound != new.inbound)
            || *dampening != new.dampening,
        outbound: names.iter().any(|(old, new)| old.outbound != new.outbound)
            || *unsuppress_map != new.unsuppress_map
            || *default_originate != new.default_originate
            || *advertise_map != new.advertise_map
            || *send_community != new.send_community
            || *send_extended_community != new.send_extended_community
            || *send_large_community != new.send_large_community,
    }
}

fn names<const N: usize>(changes: [(&'static str, bool); N]) -> Vec<&'static str> {
    changes
        .into_iter()
        .filter_map(|(name, changed)| changed.then_some(name))
        .collect()
}

fn diff_family<P: Prefix>(old: &AfConfig<P>, new: &AfConfig<P>) -> FamilyDiff<P> {
    let AfConfig {
        networks,
        aggregates,
        redistribute,
        maximum_paths,
        maximum_paths_ibgp,
        equal_cluster_length,
        resilient,
        import_vrfs,
        import_vrf_route_map,
        table_map,
        dampening,
    } = old;
    let changed = |old: u16, new: u16| (old != new).then_some(new);
    FamilyDiff {
        networks_added: set(networks, &new.networks).map(|(p, _)| *p).collect(),
        networks_removed: removed(networks, &new.networks).copied().collect(),
        aggregates_set: set(aggregates, &new.aggregates)
            .map(|(prefix, options)| (*prefix, options.clone()))
            .collect(),
        aggregates_removed: removed(aggregates, &new.aggregates).copied().collect(),
        redistribute_set: set(redistribute, &new.redistribute)
            .map(|(source, options)| (*source, options.clone()))
            .collect(),
        redistribute_removed: removed(redistribute, &new.redistribute).copied().collect(),
        maximum_paths: changed(*maximum_paths, new.maximum_paths),
        maximum_paths_ibgp: changed(*maximum_paths_ibgp, new.maximum_paths_ibgp),
        equal_cluster_length: (*equal_cluster_length != new.equal_cluster_length)
            .then_some(new.equal_cluster_length),
        resilient: (*resilient != new.resilient).then_some(new.resilient),
        imports_added: new.import_vrfs.difference(import_vrfs).cloned().collect(),
        imports_removed: import_vrfs.difference(&new.import_vrfs).cloned().collect(),
        import_route_map: (*import_vrf_route_map != new.import_vrf_route_map)
            .then(|| new.import_vrf_route_map.clone()),
        table_map: (*table_map != new.table_map).then(|| new.table_map.clone()),
        dampening: (*dampening != new.dampening).then_some(new.dampening),
    }
}

/// What is new or changed.
fn set<'m, K: Ord, V: PartialEq>(
    old: &'m BTreeMap<K, V>,
    new: &'m BTreeMap<K, V>,
) -> impl Iterator<Item = (&'m K, &'m V)> {
    new.iter()
        .filter(move |(key, value)| old.get(key) != Some(value))
}

/// What is gone.
fn removed<'m, K: Ord, V>(
    old: &'m BTreeMap<K, V>,
    new: &'m BTreeMap<K, V>,
) -> impl Iterator<Item = &'m K> {
    old.keys().filter(move |key| !new.contains_key(key))
}

// ===== the plan, as people read it =====

impl fmt::Display for PeerChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut effects = Vec::new();
        match self.shutdown {
            Some(true) => effects.push("is shut down".to_owned()),
            Some(false) => effects.push("may come up".to_owned()),
            None => {}
        }
        if !self.reset.is_empty() {
            effects.push(format!("session is reset ({})", self.reset.join(", ")));
        }
        if self.refresh_out {
            effects.push("announcements are refreshed".to_owned());
        }
        if self.refresh_in {
            effects.push("received routes are refreshed".to_owned());
        }
        if effects.is_empty() {
            effects.push("session stays".to_owned());
        }
        write!(f, "neighbor {}: {}", self.new.address, effects.join(", "))
    }
}

impl fmt::Display for ConfigDiff {
    /// One line per change, with what it does; nothing when nothing changed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.global {
            writeln!(f, "{} changes", change.name())?;
        }
        self.bgp.fmt(f)?;
        for (name, table) in &self.tables {
            match table {
                Some(table) => writeln!(f, "vrf {name}: table is {table}")?,
                None => writeln!(f, "vrf {name}: table is that of its device")?,
            }
        }
        let vrf = |name: &String| InstanceName::Vrf(name.clone());
        let view = |name: &String| InstanceName::View(name.clone());
        let vrfs = self.vrfs.iter().map(|(name, diff)| (vrf(name), diff));
        let views = self.views.iter().map(|(name, diff)| (view(name), diff));
        for (name, diff) in vrfs.chain(views) {
            for line in diff.to_string().lines() {
                writeln!(f, "{}{line}", name.prefix())?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for BgpDiff {
    /// One line per change.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unchanged => Ok(()),
            Self::Started => writeln!(f, "BGP starts"),
            Self::Stopped => writeln!(f, "BGP stops"),
            Self::Changed(instance) => instance.fmt(f),
        }
    }
}

impl GlobalChange {
    /// The setting, as the TOML key names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::FrrVersion => "frr-version",
            Self::FrrDefaults => "frr-defaults",
            Self::Hostname => "hostname",
            Self::Log => "log",
            Self::IpForwarding => "ip-forwarding",
            Self::Ipv6Forwarding => "ipv6-forwarding",
            Self::ResolveViaDefault => "nht-resolve-via-default",
            Self::NexthopObjects => "nexthop-objects",
            Self::NexthopCompatMode => "nexthop-compat-mode",
            Self::IntegratedVtysh => "integrated-vtysh",
            Self::SuppressFibPending => "bgp-suppress-fib-pending",
            Self::StaticRoutes => "static-routes",
            Self::Policy => "policy",
            Self::RouteMapDelay => "route-map-delay-secs",
            Self::ProtocolRouteMap => "protocol-route-map",
            Self::Rpki => "rpki",
            Self::Api => "api",
        }
    }
}

impl fmt::Display for InstanceDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.settings {
            let effect = match change.effect {
                Effect::Nothing => "takes effect quietly",
                Effect::NextSession => "offered by new sessions",
                Effect::CheckNetworks => "networks are checked again",
                Effect::AskKernel => "routes are announced by what the kernel has",
                Effect::Decide => "best paths are chosen again",
                Effect::RefreshExternal => "routes of external peers are filtered again",
                Effect::ResetAll => "all sessions are reset",
            };
            writeln!(f, "{} changes: {effect}", change.setting)?;
        }
        for peer in &self.added {
            writeln!(f, "neighbor {}: is added", peer.address)?;
        }
        for address in &self.removed {
            writeln!(f, "neighbor {address}: is removed")?;
        }
        for change in &self.changed {
            writeln!(f, "{change}")?;
        }
        write_family(f, &self.ipv4_unicast)?;
        write_family(f, &self.ipv6_unicast)
    }
}

fn write_family<P: Prefix>(f: &mut fmt::Formatter<'_>, diff: &FamilyDiff<P>) -> fmt::Result {
    let family = P::FAMILY.as_str();
    for prefix in &diff.networks_added {
        writeln!(f, "{family}: network {prefix} is announced")?;
    }
    for prefix in &diff.networks_removed {
        writeln!(f, "{family}: network {prefix} is withdrawn")?;
    }
    for (prefix, _) in &diff.aggregates_set {
        writeln!(f, "{family}: aggregate {prefix} is announced")?;
    }
    for prefix in &diff.aggregates_removed {
        writeln!(f, "{family}: aggregate {prefix} is withdrawn")?;
    }
    for (source, _) in &diff.redistribute_set {
        writeln!(f, "{family}: {source} routes are announced")?;
    }
    for source in &diff.redistribute_removed {
        writeln!(f, "{family}: {source} routes are withdrawn")?;
    }
    for (name, paths) in [
        ("maximum-paths", diff.maximum_paths),
        ("maximum-paths-ibgp", diff.maximum_paths_ibgp),
    ] {
        if let Some(paths) = paths {
            writeln!(f, "{family}: {name} is {paths}")?;
        }
    }
    if let Some(on) = diff.equal_cluster_length {
        writeln!(f, "{family}: equal-cluster-length is {on}")?;
    }
    if let Some(resilient) = diff.resilient {
        let kind = match resilient {
            Some(_) => "resilient groups as configured now",
            None => "plain groups",
        };
        writeln!(f, "{family}: routes are written with {kind}")?;
    }
    for name in &diff.imports_added {
        writeln!(f, "{family}: routes of {name} are taken over")?;
    }
    for name in &diff.imports_removed {
        writeln!(f, "{family}: routes of {name} are left")?;
    }
    for (what, changed) in [
        ("import vrf route-map", &diff.import_route_map),
        ("table-map", &diff.table_map),
    ] {
        match changed {
            Some(Some(name)) => writeln!(f, "{family}: {what} is {name}")?,
            Some(None) => writeln!(f, "{family}: {what} is gone")?,
            None => {}
        }
    }
    match diff.dampening {
        Some(Some(_)) => writeln!(f, "{family}: flapping routes are damped as configured now")?,
        Some(None) => writeln!(f, "{family}: flapping routes are damped no more")?,
        None => {}
    }
    Ok(())
}
