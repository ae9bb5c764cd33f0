//! The keys of `[bgp]` and of its address families.

use std::collections::BTreeSet;

use ipnet::{Ipv4Net, Ipv6Net};

use crate::model::{
    AfConfig, BestpathBandwidth, Bgp, GracefulRestart, MAX_RESILIENT_TIMER_SECS, Prefix,
    ResilientPaths, Timers, Vrf,
};

use super::keys::{Key, inline, put, quoted, read_table};
use super::origination;
use super::reader::Item;

macro_rules! switch {
    ($name:literal, $field:ident, $doc:literal) => {
        Key {
            name: $name,
            doc: concat!($doc, ": true or false."),
            read: |bgp: &mut Bgp, item| put(&mut bgp.$field, item.boolean()),
            write: |bgp| Some(bgp.$field.to_string()),
        }
    };
}

pub(super) const KEYS: &[Key<Bgp>] = &[
    Key {
        name: "router-id",
        doc: "The BGP identifier, written as an IPv4 address. Unset takes the highest address.",
        read: |bgp, item| bgp.router_id = item.parsed("an IPv4 address in quotes"),
        write: |bgp| bgp.router_id.map(quoted),
    },
    switch!(
        "ebgp-requires-policy",
        ebgp_requires_policy,
        "External peers without policy neither get nor give routes (RFC 8212)"
    ),
    switch!(
        "multipath-relax",
        multipath_relax,
        "Paths of equal length share the load"
    ),
    Key {
        name: "graceful-restart",
        doc: "Keep forwarding over a restart (RFC 4724): true, false, or a table, see \
              `graceful-restart`.",
        read: read_graceful_restart,
        write: |bgp| write_graceful_restart(&bgp.graceful_restart),
    },
    Key {
        name: "timers",
        doc: "Timers of peers that set none: `{ keepalive-secs = 60, hold-secs = 180 }`.",
        read: |bgp, item| put(&mut bgp.timers, read_timers(item)),
        write: |bgp| Some(write_timers(bgp.timers)),
    },
    Key {
        name: "connect-retry-secs",
        doc: "Seconds between connection attempts of peers that set none, 1 to 65535.",
        read: |bgp, item| put(&mut bgp.connect_retry_secs, item.number(1..=u16::MAX)),
        write: |bgp| Some(bgp.connect_retry_secs.to_string()),
    },
    switch!(
        "default-ipv4-unicast",
        default_ipv4_unicast,
        "IPv4 unicast is active for neighbors that do not say otherwise"
    ),
    switch!(
        "log-neighbor-changes",
        log_neighbor_changes,
        "Log sessions that come up or go down"
    ),
    switch!(
        "network-import-check",
        network_import_check,
        "Announce a network only while the routing table has it"
    ),
    switch!(
        "deterministic-med",
        deterministic_med,
        "Compare MEDs per neighboring AS"
    ),
    switch!(
        "always-compare-med",
        always_compare_med,
        "Compare MEDs of different ASes too"
    ),
    switch!(
        "bestpath-compare-routerid",
        bestpath_compare_routerid,
        "Prefer the lower router ID over the older external path"
    ),
    switch!(
        "bestpath-med-missing-as-worst",
        bestpath_med_missing_as_worst,
        "Treat a missing MED as the worst"
    ),
    switch!(
        "bestpath-med-confed",
        bestpath_med_confed,
        "Compare MEDs of paths from inside of the confederation, which is always done"
    ),
    switch!(
        "bestpath-as-path-ignore",
        bestpath_as_path_ignore,
        "Leave the length of the AS path out of the decision"
    ),
    switch!(
        "bestpath-as-path-confed",
        bestpath_as_path_confed,
        "Count confederation segments into the length of the AS path"
    ),
    switch!(
        "bestpath-peer-type-multipath-relax",
        bestpath_peer_type_multipath_relax,
        "Paths of internal and external peers share the load"
    ),
    switch!(
        "bestpath-aigp",
        bestpath_aigp,
        "Compare accumulated IGP metrics before AS paths (RFC 7311)"
    ),
    Key {
        name: "bestpath-bandwidth",
        doc: "What link bandwidth does to paths that share the load: \"ignore\", \
              \"skip-missing\" or \"default-weight-for-missing\". Unset weighs them by it \
              where all have it.",
        read: |bgp, item| {
            let words = BestpathBandwidth::ALL.map(|rule| (rule.as_str(), rule));
            bgp.bestpath_bandwidth = item.one_of(&words);
        },
        write: |bgp| bgp.bestpath_bandwidth.map(|rule| quoted(rule.as_str())),
    },
    switch!(
        "suppress-fib-pending",
        suppress_fib_pending,
        "Announce routes of neighbors only while the kernel has them"
    ),
    switch!(
        "fast-external-failover",
        fast_external_failover,
        "A session goes down with the link of a peer on a connected network"
    ),
    switch!(
        "client-to-client-reflection",
        client_to_client_reflection,
        "Reflect routes between clients"
    ),
    Key {
        name: "confederation-identifier",
        doc: "The AS of the confederation that `asn` is a member of (RFC 5065), 1 to 4294967295.",
        read: |bgp, item| bgp.confederation_identifier = item.number(1..=u32::MAX),
        write: |bgp| bgp.confederation_identifier.map(|asn| asn.to_string()),
    },
    Key {
        name: "confederation-peers",
        doc: "The other member ASes of the confederation: a list of numbers.",
        read: |bgp, item| {
            let mut members = BTreeSet::new();
            for value in item.list() {
                members.extend(item.other(value).number(1..=u32::MAX));
            }
            bgp.confederation_peers = members;
        },
        write: |bgp| Some(list(bgp.confederation_peers.iter().map(u32::to_string))),
    },
    Key {
        name: "coalesce-time-ms",
        doc: "FRR's `coalesce-time`, 0 to 4294967295. Kept; nothing is held back anyway.",
        read: |bgp, item| bgp.coalesce_time_ms = item.number(0..=u32::MAX),
        write: |bgp| bgp.coalesce_time_ms.map(|ms| ms.to_string()),
    },
    Key {
        name: "conditional-advertisement-secs",
        doc: "Seconds between looks at the conditions of `advertise-map`, 5 to 240; 60 if unset.",
        read: |bgp, item| bgp.conditional_advertisement_secs = item.number(5..=240),
        write: |bgp| {
            let secs = bgp.conditional_advertisement_secs;
            secs.map(|secs| secs.to_string())
        },
    },
    Key {
        name: "default-local-preference",
        doc: "LOCAL_PREF of routes that carry none, 0 to 4294967295.",
        read: |bgp, item| put(&mut bgp.default_local_preference, item.number(0..=u32::MAX)),
        write: |bgp| Some(bgp.default_local_preference.to_string()),
    },
    Key {
        name: "cluster-id",
        doc: "Cluster ID of this route reflector, written as an IPv4 address. Unset takes the \
              router ID.",
        read: |bgp, item| bgp.cluster_id = item.parsed("an IPv4 address in quotes"),
        write: |bgp| bgp.cluster_id.map(quoted),
    },
    Key {
        name: "ipv4-unicast",
        doc: "What is originated into IPv4 unicast: a table, see `ipv4-unicast`.",
        read: |bgp, item| read_table(af_keys::<Ipv4Net>(), &mut bgp.ipv4_unicast, item),
        write: |_| None,
    },
    Key {
        name: "ipv6-unicast",
        doc: "What is originated into IPv6 unicast: a table, see `ipv6-unicast`.",
        read: |bgp, item| read_table(af_keys::<Ipv6Net>(), &mut bgp.ipv6_unicast, item),
        write: |_| None,
    },
];

pub(super) const VRF: &[Key<Vrf>] = &[Key {
    name: "table",
    doc: "The kernel's table, 1 to 4294967295 without 253 to 255. Unset takes that of the VRF \
          device of this name.",
    read: |vrf, item| vrf.table = item.number(1..=u32::MAX),
    write: |vrf| vrf.table.map(|table| table.to_string()),
}];

pub(super) const GRACEFUL_RESTART: &[Key<GracefulRestart>] = &[
    Key {
        name: "enabled",
        doc: "Offer to restart gracefully: true or false.",
        read: |restart, item| put(&mut restart.enabled, item.boolean()),
        write: |restart| Some(restart.enabled.to_string()),
    },
    Key {
        name: "restart-time-secs",
        doc: "How long peers wait for the session, 1 to 4095.",
        read: |restart, item| put(&mut restart.restart_time_secs, item.number(1..=4095)),
        write: |restart| Some(restart.restart_time_secs.to_string()),
    },
    Key {
        name: "stalepath-time-secs",
        doc: "How long the routes of a restarting peer are kept, 1 to 4095.",
        read: |restart, item| put(&mut restart.stalepath_time_secs, item.number(1..=4095)),
        write: |restart| Some(restart.stalepath_time_secs.to_string()),
    },
    Key {
        name: "preserve-fw-state",
        doc: "Say that forwarding survived the restart: true or false.",
        read: |restart, item| put(&mut restart.preserve_fw_state, item.boolean()),
        write: |restart| Some(restart.preserve_fw_state.to_string()),
    },
];

fn read_graceful_restart(bgp: &mut Bgp, item: &mut Item<'_, '_, '_, '_>) {
    match item.as_bool() {
        Some(enabled) => bgp.graceful_restart.enabled = enabled,
        None => read_table(GRACEFUL_RESTART, &mut bgp.graceful_restart, item),
    }
}

/// The short form when there is nothing more to say.
fn write_graceful_restart(restart: &GracefulRestart) -> Option<String> {
    let short = GracefulRestart {
        enabled: restart.enabled,
        ..GracefulRestart::default()
    };
    if *restart == short {
        return Some(restart.enabled.to_string());
    }
    inline(GRACEFUL_RESTART, restart)
}

/// Timers as far as they were read.
#[derive(Default)]
pub(super) struct TimersDraft {
    keepalive_secs: Option<u16>,
    hold_secs: Option<u16>,
}

pub(super) const TIMERS: &[Key<TimersDraft>] = &[
    Key {
        name: "keepalive-secs",
        doc: "Seconds between keepalives, 0 to 65535; at most a third of the hold time is used.",
        read: |timers, item| timers.keepalive_secs = item.number(0..=u16::MAX),
        write: |timers| timers.keepalive_secs.map(|seconds| seconds.to_string()),
    },
    Key {
        name: "hold-secs",
        doc: "Hold time in seconds: 0, or 3 to 65535.",
        read: |timers, item| timers.hold_secs = item.number(0..=u16::MAX),
        write: |timers| timers.hold_secs.map(|seconds| seconds.to_string()),
    },
];

pub(super) fn read_timers(item: &mut Item<'_, '_, '_, '_>) -> Option<Timers> {
    let table = item.table()?;
    let mut draft = TimersDraft::default();
    super::keys::read_keys(TIMERS, &[], &mut draft, table, item.sink);
    for key in TIMERS {
        if !table.iter().any(|(name, _)| name.get_ref() == key.name) {
            item.sink
                .error(item.value.span(), &format!("timers without {}", key.name));
        }
    }
    Some(Timers {
        keepalive_secs: draft.keepalive_secs?,
        hold_secs: draft.hold_secs?,
    })
}

pub(super) fn write_timers(timers: Timers) -> String {
    let draft = TimersDraft {
        keepalive_secs: Some(timers.keepalive_secs),
        hold_secs: Some(timers.hold_secs),
    };
    inline(TIMERS, &draft).unwrap_or_default()
}

/// A resilient group as far as it was read.
#[derive(Default)]
pub(super) struct ResilientDraft {
    buckets: Option<u16>,
    idle_timer_secs: Option<u32>,
    unbalanced_timer_secs: Option<u32>,
}

pub(super) const RESILIENT: &[Key<ResilientDraft>] = &[
    Key {
        name: "buckets",
        doc: "Shares that flows are hashed to, and next hops own, 1 to 65535. Required.",
        read: |draft, item| draft.buckets = item.number(1..=u16::MAX),
        write: |draft| draft.buckets.map(|buckets| buckets.to_string()),
    },
    Key {
        name: "idle-timer-secs",
        doc: "Seconds without packets after which a bucket may move, 0 to 4294967; 120 if unset.",
        read: |draft, item| draft.idle_timer_secs = item.number(0..=MAX_RESILIENT_TIMER_SECS),
        write: |draft| draft.idle_timer_secs.map(|secs| secs.to_string()),
    },
    Key {
        name: "unbalanced-timer-secs",
        doc: "Seconds with uneven shares after which busy buckets move, 0 to 4294967; 0, which \
              is unset, is never.",
        read: |draft, item| draft.unbalanced_timer_secs = item.number(0..=MAX_RESILIENT_TIMER_SECS),
        write: |draft| draft.unbalanced_timer_secs.map(|secs| secs.to_string()),
    },
];

impl ResilientDraft {
    fn of(resilient: ResilientPaths) -> Self {
        let usual = ResilientPaths::new(resilient.buckets);
        let (idle, unbalanced) = (resilient.idle_timer_secs, resilient.unbalanced_timer_secs);
        Self {
            buckets: Some(resilient.buckets),
            idle_timer_secs: Some(idle).filter(|secs| *secs != usual.idle_timer_secs),
            unbalanced_timer_secs: Some(unbalanced)
                .filter(|secs| *secs != usual.unbalanced_timer_secs),
        }
    }
}

fn read_resilient(item: &mut Item<'_, '_, '_, '_>) -> Option<ResilientPaths> {
    let mut draft = ResilientDraft::default();
    let errors = item.sink.errors();
    read_table(RESILIENT, &mut draft, item);
    if draft.buckets.is_none() && item.sink.errors() == errors {
        item.sink
            .error(item.value.span(), "resilient without buckets");
    }
    let usual = ResilientPaths::new(draft.buckets?);
    Some(ResilientPaths {
        idle_timer_secs: draft.idle_timer_secs.unwrap_or(usual.idle_timer_secs),
        unbalanced_timer_secs: draft
            .unbalanced_timer_secs
            .unwrap_or(usual.unbalanced_timer_secs),
        ..usual
    })
}

/// The keys of an address family.
pub(super) fn af_keys<P: Prefix>() -> &'static [Key<AfConfig<P>>] {
    const {
        &[
            Key {
                name: "network",
                doc: "Prefixes to announce: a list, with a table in place of a prefix that has \
                      a route map: `{ prefix = \"192.0.2.0/24\", route-map = \"A\" }`.",
                read: |af, item| af.networks = origination::read_prefixes(item),
                write: |af| origination::write_prefixes(&af.networks),
            },
            Key {
                name: "aggregate",
                doc: "Prefixes to announce while the table has more specific ones: a list, with \
                      a table in place of a prefix that has options, see `aggregate`.",
                read: |af, item| af.aggregates = origination::read_prefixes(item),
                write: |af| origination::write_prefixes(&af.aggregates),
            },
            Key {
                name: "redistribute",
                doc: "Sources of routes to announce: a list of \"kernel\", \"connected\", \
                      \"static\", `{ table = 100 }`, or \
                      `{ source = \"static\", metric = 5 }`.",
                read: origination::read_redistribute::<P>,
                write: origination::write_redistribute::<P>,
            },
            Key {
                name: "maximum-paths",
                doc: "How many equal external paths share the load, 1 to 256.",
                read: |af, item| put(&mut af.maximum_paths, item.number(1..=256)),
                write: |af| Some(af.maximum_paths.to_string()),
            },
            Key {
                name: "maximum-paths-ibgp",
                doc: "How many equal internal paths share the load, 1 to 256.",
                read: |af, item| put(&mut af.maximum_paths_ibgp, item.number(1..=256)),
                write: |af| Some(af.maximum_paths_ibgp.to_string()),
            },
            Key {
                name: "equal-cluster-length",
                doc: "Internal paths share the load where their cluster lists are equally long: \
                      true or false.",
                read: |af, item| put(&mut af.equal_cluster_length, item.boolean()),
                write: |af| Some(af.equal_cluster_length.to_string()),
            },
            Key {
                name: "resilient",
                doc: "Flows stay with a next hop when others come and go: a table, see \
                      `resilient`.",
                read: |af, item| af.resilient = read_resilient(item),
                write: |af| inline(RESILIENT, &ResilientDraft::of(af.resilient?)),
            },
            Key {
                name: "import-vrf",
                doc: "Instances whose best paths are taken over: a list of names of VRFs, or \
                      \"default\".",
                read: |af, item| {
                    let mut names = BTreeSet::new();
                    for value in item.list() {
                        names.extend(item.other(value).text());
                    }
                    af.import_vrfs = names;
                },
                write: |af| Some(list(af.import_vrfs.iter().map(quoted))),
            },
            Key {
                name: "import-vrf-route-map",
                doc: "Route map that the routes of `import-vrf` go through.",
                read: |af, item| af.import_vrf_route_map = item.text(),
                write: |af| af.import_vrf_route_map.as_ref().map(quoted),
            },
            Key {
                name: "table-map",
                doc: "Route map of what goes into the kernel.",
                read: |af, item| af.table_map = item.text(),
                write: |af| af.table_map.as_ref().map(quoted),
            },
            Key {
                name: "dampening",
                doc: "Routes that flap are suppressed for a while (RFC 2439): true, false, or a \
                      table, see `dampening`.",
                read: |af, item| af.dampening = origination::read_dampening(item),
                write: |af| origination::write_dampening(af.dampening?),
            },
        ]
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}
