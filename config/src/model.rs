//! The one configuration model. TOML and FRR text are two spellings of it.
//!
//! Everything here is plain data: a value says what the operator asked for,
//! never what the daemon made of it. What a neighbor gets in the end, after its
//! peer group and the defaults had their say, is [`Bgp::effective`].
//!
//! Booleans and numbers of [`Bgp`] are concrete; those whose default depends on
//! the profile take it when the instance is made ([`Bgp::new`]). Settings of a
//! neighbor or peer group are options, where `None` means "not said here".

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use holdfast_policy::model::PolicyConfig;
use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

pub use crate::filter::{
    AdvertiseMap, AdvertiseWhen, DefaultOriginate, EffectivePolicy, InOut, PeerPolicy,
};
pub use crate::instances::InstanceName;
pub use crate::origination::{Aggregate, Dampening, Network};
pub use crate::peer::{
    AddPathTx, AllowAsIn, EffectiveAf, EffectivePeer, Neighbor, NextHopSelf, PeerAf, PeerKind,
    PeerSettings, Remote, RemoteAs, Shutdown, UpdateSource,
};
pub use crate::rpki::{
    DEFAULT_RPKI_EXPIRE_SECS, DEFAULT_RPKI_POLLING_SECS, DEFAULT_RPKI_RETRY_SECS, Rpki, RpkiCache,
};
pub use crate::statics::{
    DEFAULT_STATIC_DISTANCE, StaticDrop, StaticPath, StaticRoutes, StaticTarget, UNUSABLE_DISTANCE,
};

/// The TCP port of BGP (RFC 4271 section 8.2.1).
pub const BGP_PORT: u16 = 179;
/// LOCAL_PREF given to routes that carry none.
pub const DEFAULT_LOCAL_PREFERENCE: u32 = 100;
/// How many equal paths are used when `maximum-paths` is not configured.
pub const DEFAULT_MAXIMUM_PATHS: u16 = 256;
/// Seconds without packets after which a bucket of a resilient group may move, as the kernel's.
pub const DEFAULT_IDLE_TIMER_SECS: u32 = 120;
/// The longest timer of a resilient group in seconds, which the kernel counts in thousandths.
pub const MAX_RESILIENT_TIMER_SECS: u32 = 4_294_967;
/// Graceful restart: seconds the peers wait for the session (RFC 4724 section 3).
pub const DEFAULT_RESTART_TIME_SECS: u16 = 120;
/// Graceful restart: seconds for which a restarting peer's routes are kept.
pub const DEFAULT_STALEPATH_TIME_SECS: u16 = 360;
/// Seconds between looks at the conditions of conditional advertisements.
pub const DEFAULT_CONDITIONAL_TIMER_SECS: u16 = 60;
/// Seconds from an edit of a list or route map to its effect in FRR.
pub const DEFAULT_ROUTE_MAP_DELAY_SECS: u16 = 5;
/// Where the API listens when nothing else is configured.
pub const DEFAULT_API_SOCKET: &str = "/run/holdfast/api.sock";
/// The group that owns the API socket when nothing else is configured.
pub const DEFAULT_API_GROUP: &str = "holdfast";

/// A whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// The `frr version` line of the file, kept so that it can be printed back.
    pub frr_version: Option<String>,
    /// Which set of defaults a new BGP instance takes.
    pub frr_defaults: Profile,
    /// The name of this router, as the shell's prompt shows it.
    pub hostname: Option<String>,
    /// Where log lines go.
    pub log: Log,
    /// `ip forwarding`; `None` leaves the kernel's setting alone.
    pub ip_forwarding: Option<bool>,
    /// `ipv6 forwarding`; `None` leaves the kernel's setting alone.
    pub ipv6_forwarding: Option<bool>,
    /// `ip nht resolve-via-default`: IPv4 next hops resolve through a default
    /// route; `None` takes the profile's word.
    pub ip_nht_resolve_via_default: Option<bool>,
    /// The same for IPv6 next hops.
    pub ipv6_nht_resolve_via_default: Option<bool>,
    /// `zebra nexthop kernel enable`: routes share nexthop objects, where the kernel has them;
    /// `None` is yes.
    pub nexthop_objects: Option<bool>,
    /// `zebra nexthop compat-mode`: the kernel tells the next hops of routes that use objects;
    /// `None` leaves its setting alone.
    pub nexthop_compat_mode: Option<bool>,
    /// `service integrated-vtysh-config`: all daemons share one file.
    pub integrated_vtysh: bool,
    /// `bgp suppress-fib-pending` of all instances.
    pub suppress_fib_pending: bool,
    /// `ip route` and `ipv6 route`.
    pub static_routes: StaticRoutes,
    /// Named lists and route maps.
    pub policy: PolicyConfig,
    /// `bgp route-map delay-timer`: seconds from an edit of a list or route map
    /// to its effect, 0 to 600; kept to be printed back, edits are whole.
    pub route_map_delay_secs: Option<u16>,
    /// `ip protocol bgp route-map NAME`: what goes into the kernel, and how.
    pub ip_protocol_route_map: Option<String>,
    /// The same for IPv6.
    pub ipv6_protocol_route_map: Option<String>,
    /// Where ROAs come from.
    pub rpki: Rpki,
    /// Where the API listens.
    pub api: Api,
    /// The default BGP instance, if it is configured.
    pub bgp: Option<Bgp>,
    /// The VRFs by name: instances whose routes go into a table of the kernel's
    /// of their own.
    pub vrfs: BTreeMap<String, Vrf>,
    /// The views by name: instances with neighbors and a table of their own,
    /// which share nothing with each other or the default one, and whose
    /// routes stay out of the kernel.
    pub views: BTreeMap<String, Bgp>,
}

/// A VRF: `vrf NAME` and `router bgp N vrf NAME`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Vrf {
    /// The kernel's table, where no VRF device says it.
    pub table: Option<u32>,
    /// Its BGP instance, if it is configured.
    pub bgp: Option<Bgp>,
}

/// `frr defaults`: which defaults a new BGP instance takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// RFC timers and RFC 8212 (policy required towards external peers).
    #[default]
    Traditional,
    /// Short timers, no required policy, neighbor changes are logged.
    Datacenter,
}

impl Profile {
    /// The word that names the profile in both spellings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Traditional => "traditional",
            Self::Datacenter => "datacenter",
        }
    }
}

/// Severity of a log line, the most severe first (RFC 5424 section 6.2.1).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// The system is unusable.
    Emergencies,
    /// Action must be taken at once.
    Alerts,
    /// Critical conditions.
    Critical,
    /// Errors.
    Errors,
    /// Warnings.
    Warnings,
    /// Normal but significant.
    Notifications,
    /// Informational.
    Informational,
    /// Everything.
    #[default]
    Debugging,
}

impl LogLevel {
    /// Every level, the most severe first.
    pub const ALL: [Self; 8] = [
        Self::Emergencies,
        Self::Alerts,
        Self::Critical,
        Self::Errors,
        Self::Warnings,
        Self::Notifications,
        Self::Informational,
        Self::Debugging,
    ];

    /// The word that names the level in both spellings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Emergencies => "emergencies",
            Self::Alerts => "alerts",
            Self::Critical => "critical",
            Self::Errors => "errors",
            Self::Warnings => "warnings",
            Self::Notifications => "notifications",
            Self::Informational => "informational",
            Self::Debugging => "debugging",
        }
    }
}

/// Where log lines go. A target that is `None` is off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Log {
    /// `log syslog LEVEL`.
    pub syslog: Option<LogLevel>,
    /// `log stdout LEVEL`.
    pub stdout: Option<LogLevel>,
    /// `log file PATH LEVEL`.
    pub file: Option<LogFile>,
    /// `log timestamp precision N`: digits after the second, 0 to 12.
    pub timestamp_precision: Option<u8>,
}

/// A log file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LogFile {
    /// Where the file is.
    pub path: PathBuf,
    /// The least severe level written to it.
    #[serde(default)]
    pub level: LogLevel,
}

/// Where the API listens. `None` takes the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Api {
    /// Path of the Unix socket; [`DEFAULT_API_SOCKET`] when `None`.
    pub socket: Option<PathBuf>,
    /// Group that may connect; [`DEFAULT_API_GROUP`] when `None`.
    pub group: Option<String>,
}

/// Keepalive interval and hold time, in seconds (RFC 4271 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Timers {
    /// Seconds between keepalives; 0 sends none.
    pub keepalive_secs: u16,
    /// Hold time in seconds: 0 (never expires) or 3 and more.
    pub hold_secs: u16,
}

/// The values of a new BGP instance that depend on the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// Keepalive interval and hold time.
    pub timers: Timers,
    /// Seconds between connection attempts.
    pub connect_retry_secs: u16,
    /// Whether external peers need a policy (RFC 8212).
    pub ebgp_requires_policy: bool,
    /// Whether a `network` must be in the routing table to be announced.
    pub network_import_check: bool,
    /// Whether MEDs are compared per neighboring AS, whatever the arrival order.
    pub deterministic_med: bool,
    /// Whether session changes are logged.
    pub log_neighbor_changes: bool,
    /// Whether next hops resolve through default routes.
    pub resolve_via_default: bool,
}

impl Defaults {
    /// The defaults of `profile` for a file that says it was written by
    /// `version`. FRR before 7.4 neither required policies nor checked
    /// networks, and a file of that time is still read that way.
    pub fn of(profile: Profile, version: Option<&str>) -> Self {
        let datacenter = profile == Profile::Datacenter;
        let modern = version.and_then(major_minor).is_none_or(|v| v >= (7, 4));
        let (timers, connect_retry_secs) = if datacenter {
            (
                Timers {
                    keepalive_secs: 3,
                    hold_secs: 9,
                },
                10,
            )
        } else {
            (
                Timers {
                    keepalive_secs: 60,
                    hold_secs: 180,
                },
                120,
            )
        };
        Self {
            timers,
            connect_retry_secs,
            ebgp_requires_policy: !datacenter && modern,
            network_import_check: datacenter || modern,
            deterministic_med: datacenter,
            log_neighbor_changes: datacenter,
            resolve_via_default: datacenter,
        }
    }
}

/// Reads `8.4.4` as (8, 4).
fn major_minor(version: &str) -> Option<(u32, u32)> {
    let digits = |text: &str| {
        text.chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
    };
    let mut parts = version.split('.');
    let major = digits(parts.next()?).parse().ok()?;
    let minor = parts
        .next()
        .map_or(Some(0), |part| digits(part).parse().ok())?;
    Some((major, minor))
}

impl Config {
    /// The defaults that a BGP instance of this configuration takes.
    pub fn defaults(&self) -> Defaults {
        Defaults::of(self.frr_defaults, self.frr_version.as_deref())
    }

    /// Whether routes share nexthop objects.
    pub fn uses_nexthop_objects(&self) -> bool {
        self.nexthop_objects.unwrap_or(true)
    }

    /// Whether next hops of a family resolve through a default route.
    pub fn resolves_via_default(&self, family: Family) -> bool {
        let said = match family {
            Family::Ipv4Unicast => self.ip_nht_resolve_via_default,
            Family::Ipv6Unicast => self.ipv6_nht_resolve_via_default,
        };
        said.unwrap_or(self.defaults().resolve_via_default)
    }
}

/// A BGP instance (`router bgp N`, `router bgp N vrf NAME`, `router bgp N view NAME`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Bgp {
    /// The local AS number.
    pub asn: u32,
    /// The BGP identifier; `None` lets the daemon pick the highest address.
    pub router_id: Option<Ipv4Addr>,
    /// External peers without policy neither get nor give routes (RFC 8212).
    pub ebgp_requires_policy: bool,
    /// AS paths of equal length are equal for multipath, whatever is in them.
    pub multipath_relax: bool,
    /// Graceful restart (RFC 4724).
    pub graceful_restart: GracefulRestart,
    /// Keepalive interval and hold time of peers that do not set their own.
    pub timers: Timers,
    /// Seconds between connection attempts of peers that do not set their own.
    pub connect_retry_secs: u16,
    /// Whether new neighbors have IPv4 unicast activated.
    pub default_ipv4_unicast: bool,
    /// Log when a session comes up or goes down.
    pub log_neighbor_changes: bool,
    /// Announce a `network` only while the routing table has the prefix.
    pub network_import_check: bool,
    /// Compare MEDs per neighboring AS, whatever the order of arrival.
    pub deterministic_med: bool,
    /// Compare MEDs of routes from different neighboring ASes too.
    pub always_compare_med: bool,
    /// Prefer the lower router ID over the older external route.
    pub bestpath_compare_routerid: bool,
    /// Treat a missing MED as the worst instead of 0.
    pub bestpath_med_missing_as_worst: bool,
    /// Compare MEDs of paths from inside of the confederation, which is always
    /// done.
    pub bestpath_med_confed: bool,
    /// Leave the length of the AS path out of the decision.
    pub bestpath_as_path_ignore: bool,
    /// Count confederation segments into the length of the AS path.
    pub bestpath_as_path_confed: bool,
    /// Paths of internal and external peers share the load.
    pub bestpath_peer_type_multipath_relax: bool,
    /// Compare AIGP before the AS path (RFC 7311 section 4.1).
    pub bestpath_aigp: bool,
    /// What link bandwidth does to paths that share the load; `None` is by link
    /// bandwidth where all of them have it.
    pub bestpath_bandwidth: Option<BestpathBandwidth>,
    /// Routes of peers are announced while the kernel has them.
    pub suppress_fib_pending: bool,
    /// A session goes down with the link of a peer on a connected network.
    pub fast_external_failover: bool,
    /// Reflect routes between clients of this route reflector.
    pub client_to_client_reflection: bool,
    /// The AS of the confederation that `asn` is a member of (RFC 5065).
    pub confederation_identifier: Option<u32>,
    /// The other member ASes of the confederation.
    pub confederation_peers: BTreeSet<u32>,
    /// `coalesce-time`, in milliseconds; nothing is held back anyway.
    pub coalesce_time_ms: Option<u32>,
    /// Seconds between looks at the conditions of conditional advertisements,
    /// 5 to 240; `None` is [`DEFAULT_CONDITIONAL_TIMER_SECS`].
    pub conditional_advertisement_secs: Option<u16>,
    /// LOCAL_PREF of routes that carry none.
    pub default_local_preference: u32,
    /// The cluster ID of this route reflector; the router ID when `None`.
    pub cluster_id: Option<Ipv4Addr>,
    /// The peer groups by name.
    pub peer_groups: BTreeMap<String, PeerSettings>,
    /// The neighbors by address, IPv4 first.
    pub neighbors: BTreeMap<IpAddr, Neighbor>,
    /// IPv4 unicast.
    pub ipv4_unicast: AfConfig<Ipv4Net>,
    /// IPv6 unicast.
    pub ipv6_unicast: AfConfig<Ipv6Net>,
}

impl Bgp {
    /// A new instance with the values of `defaults`.
    pub fn new(asn: u32, defaults: &Defaults) -> Self {
        Self {
            asn,
            router_id: None,
            ebgp_requires_policy: defaults.ebgp_requires_policy,
            multipath_relax: false,
            graceful_restart: GracefulRestart::default(),
            timers: defaults.timers,
            connect_retry_secs: defaults.connect_retry_secs,
            default_ipv4_unicast: true,
            log_neighbor_changes: defaults.log_neighbor_changes,
            network_import_check: defaults.network_import_check,
            deterministic_med: defaults.deterministic_med,
            always_compare_med: false,
            bestpath_compare_routerid: false,
            bestpath_med_missing_as_worst: false,
            bestpath_med_confed: false,
            bestpath_as_path_ignore: false,
            bestpath_as_path_confed: false,
            bestpath_peer_type_multipath_relax: false,
            bestpath_aigp: false,
            bestpath_bandwidth: None,
            suppress_fib_pending: false,
            fast_external_failover: true,
            client_to_client_reflection: true,
            confederation_identifier: None,
            confederation_peers: BTreeSet::new(),
            coalesce_time_ms: None,
            conditional_advertisement_secs: None,
            default_local_preference: DEFAULT_LOCAL_PREFERENCE,
            cluster_id: None,
            peer_groups: BTreeMap::new(),
            neighbors: BTreeMap::new(),
            ipv4_unicast: AfConfig::default(),
            ipv6_unicast: AfConfig::default(),
        }
    }
}

/// What link bandwidth does to paths that share the load
/// (draft-ietf-idr-link-bandwidth).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BestpathBandwidth {
    /// Nothing: all get the same.
    Ignore,
    /// Paths without it are not used where others have it.
    SkipMissing,
    /// Paths without it get little where others have it.
    DefaultWeightForMissing,
}

impl BestpathBandwidth {
    /// Every word.
    pub const ALL: [Self; 3] = [
        Self::Ignore,
        Self::SkipMissing,
        Self::DefaultWeightForMissing,
    ];

    /// The word that names it in both spellings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::SkipMissing => "skip-missing",
            Self::DefaultWeightForMissing => "default-weight-for-missing",
        }
    }
}

/// Graceful restart of the whole instance (RFC 4724).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct GracefulRestart {
    /// Offer to restart gracefully; helping a peer that does needs no setting.
    pub enabled: bool,
    /// Seconds that peers wait for the session to come back, 1 to 4095.
    pub restart_time_secs: u16,
    /// Seconds for which a restarting peer's routes are kept, 1 to 4095.
    pub stalepath_time_secs: u16,
    /// Say that forwarding survived the restart (the F bit).
    pub preserve_fw_state: bool,
}

impl Default for GracefulRestart {
    fn default() -> Self {
        Self {
            enabled: false,
            restart_time_secs: DEFAULT_RESTART_TIME_SECS,
            stalepath_time_secs: DEFAULT_STALEPATH_TIME_SECS,
            preserve_fw_state: false,
        }
    }
}

/// Which unicast family a line or setting is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// AFI 1, SAFI 1.
    Ipv4Unicast,
    /// AFI 2, SAFI 1.
    Ipv6Unicast,
}

impl Family {
    /// Both families, IPv4 first.
    pub const ALL: [Self; 2] = [Self::Ipv4Unicast, Self::Ipv6Unicast];

    /// As the `address-family` line writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ipv4Unicast => "ipv4 unicast",
            Self::Ipv6Unicast => "ipv6 unicast",
        }
    }
}

/// What is originated into one address family. `P` is the family's prefix type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[serde(bound(deserialize = "P: Ord + Deserialize<'de>"))]
pub struct AfConfig<P: Ord> {
    /// Prefixes announced by this router, without host bits.
    pub networks: BTreeMap<P, Network>,
    /// Prefixes announced while the table has more specific ones, without host
    /// bits.
    pub aggregates: BTreeMap<P, Aggregate>,
    /// Sources of routes that are announced, with their options.
    pub redistribute: BTreeMap<RedistributeSource, Redistribute>,
    /// How many equal external paths are used, 1 to 256.
    pub maximum_paths: u16,
    /// How many equal internal paths are used, 1 to 256.
    pub maximum_paths_ibgp: u16,
    /// Internal paths share the load where their cluster lists are equally
    /// long.
    pub equal_cluster_length: bool,
    /// Flows stay with a next hop when others of the same routes come and go.
    pub resilient: Option<ResilientPaths>,
    /// The instances whose best paths are taken over: names of VRFs, or
    /// `default`.
    pub import_vrfs: BTreeSet<String>,
    /// The route map that they go through.
    pub import_vrf_route_map: Option<String>,
    /// `table-map NAME`: what goes into the kernel, and how.
    pub table_map: Option<String>,
    /// Routes that flap are suppressed for a while.
    pub dampening: Option<Dampening>,
}

/// How flows are shared so that they stay where they are: they are hashed to buckets, and next
/// hops own buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ResilientPaths {
    /// Buckets of a group, 1 to 65535.
    pub buckets: u16,
    /// Seconds without packets after which a bucket may move, 0 to 4294967.
    pub idle_timer_secs: u32,
    /// Seconds out of balance after which busy buckets move too, 0 to 4294967; 0 is never.
    pub unbalanced_timer_secs: u32,
}

impl ResilientPaths {
    /// With the usual timers: idle buckets move after two minutes, and busy ones never.
    pub fn new(buckets: u16) -> Self {
        Self {
            buckets,
            idle_timer_secs: DEFAULT_IDLE_TIMER_SECS,
            unbalanced_timer_secs: 0,
        }
    }
}

impl<P: Ord> Default for AfConfig<P> {
    fn default() -> Self {
        Self {
            networks: BTreeMap::new(),
            aggregates: BTreeMap::new(),
            redistribute: BTreeMap::new(),
            maximum_paths: DEFAULT_MAXIMUM_PATHS,
            maximum_paths_ibgp: DEFAULT_MAXIMUM_PATHS,
            equal_cluster_length: false,
            resilient: None,
            import_vrfs: BTreeSet::new(),
            import_vrf_route_map: None,
            table_map: None,
            dampening: None,
        }
    }
}

/// Where redistributed routes come from, in the order in which FRR prints them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RedistributeSource {
    /// Routes that somebody else put into the kernel.
    Kernel,
    /// Prefixes of this router's interfaces.
    Connected,
    /// Static routes.
    Static,
    /// Routes of this table of the kernel, which is not the one in use, 1 to 65535.
    Table(u16),
}

impl RedistributeSource {
    /// The sources that a word alone names, in print order.
    pub const ALL: [Self; 3] = [Self::Kernel, Self::Connected, Self::Static];

    /// The word that names the kind of source in both spellings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Connected => "connected",
            Self::Static => "static",
            Self::Table(_) => "table",
        }
    }
}

impl fmt::Display for RedistributeSource {
    /// As a line names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            Self::Table(number) => write!(f, " {number}"),
            _ => Ok(()),
        }
    }
}

/// Options of one `redistribute` line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Redistribute {
    /// MED given to the routes; the route's own metric when `None`.
    pub metric: Option<u32>,
    /// The route map that the routes go through.
    pub route_map: Option<String>,
}

/// The prefix types of the two families, so that code about prefixes is
/// written once.
pub trait Prefix:
    'static + Copy + Ord + std::fmt::Debug + std::fmt::Display + std::str::FromStr + Sized
{
    /// The family that the type belongs to.
    const FAMILY: Family;
    /// The prefix with its host bits cleared.
    fn truncated(self) -> Self;
    /// The part of `bgp` that is about this family.
    fn af(bgp: &Bgp) -> &AfConfig<Self>;
    /// The part of `bgp` that is about this family.
    fn af_mut(bgp: &mut Bgp) -> &mut AfConfig<Self>;
}

impl Prefix for Ipv4Net {
    const FAMILY: Family = Family::Ipv4Unicast;

    fn truncated(self) -> Self {
        self.trunc()
    }

    fn af(bgp: &Bgp) -> &AfConfig<Self> {
        &bgp.ipv4_unicast
    }

    fn af_mut(bgp: &mut Bgp) -> &mut AfConfig<Self> {
        &mut bgp.ipv4_unicast
    }
}

impl Prefix for Ipv6Net {
    const FAMILY: Family = Family::Ipv6Unicast;

    fn truncated(self) -> Self {
        self.trunc()
    }

    fn af(bgp: &Bgp) -> &AfConfig<Self> {
        &bgp.ipv6_unicast
    }

    fn af_mut(bgp: &mut Bgp) -> &mut AfConfig<Self> {
        &mut bgp.ipv6_unicast
    }
}
