//! Lines of `router bgp` about the instance itself.

use std::net::{IpAddr, Ipv4Addr};

use crate::model::{
    BestpathBandwidth, Bgp, DEFAULT_CONDITIONAL_TIMER_SECS, DEFAULT_LOCAL_PREFERENCE,
    DEFAULT_RESTART_TIME_SECS, DEFAULT_STALEPATH_TIME_SECS, Defaults, Family, Timers,
};
use crate::normal::keep_activation;

use super::row::{Apply, Args, BgpFlag, Done, Print, Rejection, Row};

macro_rules! flag {
    ($set:literal, $no:literal, $($field:ident).+) => {
        Row::new(
            $set,
            $no,
            Apply::BgpFlag(BgpFlag {
                get: |bgp| bgp.$($field).+,
                set: |bgp, on| bgp.$($field).+ = on,
            }),
            Print::Flag,
        )
    };
}

/// In the order in which FRR prints them.
pub(super) const ROWS: &[Row] = &[
    flag!(
        "bgp fast-external-failover",
        "no bgp fast-external-failover",
        fast_external_failover
    ),
    Row::new(
        "bgp router-id A.B.C.D$id",
        "no bgp router-id [A.B.C.D$id]",
        Apply::Bgp(router_id),
        Print::Bgp(|bgp, _| said(bgp.router_id, |id| format!("bgp router-id {id}"))),
    ),
    flag!(
        "bgp suppress-fib-pending",
        "no bgp suppress-fib-pending",
        suppress_fib_pending
    ),
    flag!(
        "bgp log-neighbor-changes",
        "no bgp log-neighbor-changes",
        log_neighbor_changes
    ),
    flag!(
        "bgp always-compare-med",
        "no bgp always-compare-med",
        always_compare_med
    ),
    flag!(
        "bgp ebgp-requires-policy",
        "no bgp ebgp-requires-policy",
        ebgp_requires_policy
    ),
    Row::new(
        "bgp default ipv4-unicast",
        "no bgp default ipv4-unicast",
        Apply::Bgp(default_ipv4_unicast),
        Print::Bgp(|bgp, _| {
            let off = (!bgp.default_ipv4_unicast).then_some(());
            said(off, |()| "no bgp default ipv4-unicast".to_owned())
        }),
    ),
    Row::new(
        "bgp default local-preference (0-4294967295)$preference",
        "no bgp default local-preference [(0-4294967295)]",
        Apply::Bgp(|bgp, args| {
            let preference = args.when_on(args.number("preference"));
            bgp.default_local_preference = preference.unwrap_or(DEFAULT_LOCAL_PREFERENCE);
            Ok(())
        }),
        Print::Bgp(|bgp, _| {
            let changed = differs(bgp.default_local_preference, DEFAULT_LOCAL_PREFERENCE);
            said(changed, |value| {
                format!("bgp default local-preference {value}")
            })
        }),
    ),
    flag!(
        "bgp client-to-client reflection",
        "no bgp client-to-client reflection",
        client_to_client_reflection
    ),
    Row::new(
        "bgp cluster-id <A.B.C.D|(1-4294967295)>$id",
        "no bgp cluster-id [<A.B.C.D|(1-4294967295)>]",
        Apply::Bgp(cluster_id),
        Print::Bgp(|bgp, _| said(bgp.cluster_id, |id| format!("bgp cluster-id {id}"))),
    ),
    Row::new(
        "bgp confederation identifier (1-4294967295)$as",
        "no bgp confederation identifier [(1-4294967295)]",
        Apply::Bgp(confederation_identifier),
        Print::Bgp(|bgp, _| {
            said(bgp.confederation_identifier, |asn| {
                format!("bgp confederation identifier {asn}")
            })
        }),
    ),
    Row::new(
        "bgp confederation peers LINE...$members",
        "no bgp confederation peers LINE...$members",
        Apply::Bgp(confederation_peers),
        Print::Bgp(|bgp, _| {
            let members: Vec<String> = bgp.confederation_peers.iter().map(u32::to_string).collect();
            let some = (!members.is_empty()).then_some(());
            said(some, |()| {
                format!("bgp confederation peers {}", members.join(" "))
            })
        }),
    ),
    flag!(
        "bgp deterministic-med",
        "no bgp deterministic-med",
        deterministic_med
    ),
    Row::new(
        "coalesce-time (0-4294967295)$ms",
        "no coalesce-time [(0-4294967295)]",
        Apply::Bgp(|bgp, args| {
            bgp.coalesce_time_ms = args.when_on(args.number("ms"));
            Ok(())
        }),
        Print::Bgp(|bgp, _| said(bgp.coalesce_time_ms, |ms| format!("coalesce-time {ms}"))),
    ),
    Row::new(
        "bgp graceful-restart stalepath-time (1-4095)$seconds",
        "no bgp graceful-restart stalepath-time [(1-4095)]",
        Apply::Bgp(|bgp, args| {
            let seconds = args.when_on(args.number("seconds"));
            bgp.graceful_restart.stalepath_time_secs =
                seconds.unwrap_or(DEFAULT_STALEPATH_TIME_SECS);
            Ok(())
        }),
        Print::Bgp(|bgp, _| {
            let seconds = bgp.graceful_restart.stalepath_time_secs;
            let changed = differs(seconds, DEFAULT_STALEPATH_TIME_SECS);
            said(changed, |seconds| {
                format!("bgp graceful-restart stalepath-time {seconds}")
            })
        }),
    ),
    Row::new(
        "bgp graceful-restart restart-time (1-4095)$seconds",
        "no bgp graceful-restart restart-time [(1-4095)]",
        Apply::Bgp(|bgp, args| {
            let seconds = args.when_on(args.number("seconds"));
            bgp.graceful_restart.restart_time_secs = seconds.unwrap_or(DEFAULT_RESTART_TIME_SECS);
            Ok(())
        }),
        Print::Bgp(|bgp, _| {
            let seconds = bgp.graceful_restart.restart_time_secs;
            let changed = differs(seconds, DEFAULT_RESTART_TIME_SECS);
            said(changed, |seconds| {
                format!("bgp graceful-restart restart-time {seconds}")
            })
        }),
    ),
    flag!(
        "bgp graceful-restart",
        "no bgp graceful-restart",
        graceful_restart.enabled
    ),
    flag!(
        "bgp graceful-restart preserve-fw-state",
        "no bgp graceful-restart preserve-fw-state",
        graceful_restart.preserve_fw_state
    ),
    flag!(
        "bgp bestpath as-path ignore",
        "no bgp bestpath as-path ignore",
        bestpath_as_path_ignore
    ),
    flag!(
        "bgp bestpath as-path confed",
        "no bgp bestpath as-path confed",
        bestpath_as_path_confed
    ),
    Row::new(
        "bgp bestpath as-path multipath-relax [no-as-set]",
        "no bgp bestpath as-path multipath-relax [no-as-set]",
        Apply::Bgp(|bgp, args| {
            bgp.multipath_relax = args.on;
            Ok(())
        }),
        Print::Bgp(|bgp, _| {
            said(bgp.multipath_relax.then_some(()), |()| {
                "bgp bestpath as-path multipath-relax".to_owned()
            })
        }),
    ),
    flag!(
        "bgp bestpath compare-routerid",
        "no bgp bestpath compare-routerid",
        bestpath_compare_routerid
    ),
    Row::new(
        "bgp bestpath med <confed [missing-as-worst]|missing-as-worst [confed]>",
        "no bgp bestpath med [confed [missing-as-worst]|missing-as-worst [confed]]",
        Apply::Bgp(bestpath_med),
        Print::Bgp(bestpath_med_lines),
    ),
    flag!(
        "bgp bestpath peer-type multipath-relax",
        "no bgp bestpath peer-type multipath-relax",
        bestpath_peer_type_multipath_relax
    ),
    Row::new(
        "bgp bestpath bandwidth <ignore|skip-missing|default-weight-for-missing>$rule",
        "no bgp bestpath bandwidth [<ignore|skip-missing|default-weight-for-missing>]",
        Apply::Bgp(|bgp, args| {
            let word = args.text("rule");
            let mut all = BestpathBandwidth::ALL.into_iter();
            let rule = all.find(|rule| Some(rule.as_str()) == word.as_deref());
            bgp.bestpath_bandwidth = args.when_on(rule);
            Ok(())
        }),
        Print::Bgp(|bgp, _| {
            said(bgp.bestpath_bandwidth, |rule| {
                format!("bgp bestpath bandwidth {}", rule.as_str())
            })
        }),
    ),
    flag!("bgp bestpath aigp", "no bgp bestpath aigp", bestpath_aigp),
    flag!(
        "bgp network import-check",
        "no bgp network import-check",
        network_import_check
    ),
    Row::new(
        "timers bgp (0-65535)$keepalive (0-65535)$hold",
        "no timers bgp [(0-65535) (0-65535)]",
        Apply::Bgp(timers),
        Print::Bgp(|bgp, defaults| {
            said(differs(bgp.timers, defaults.timers), |timers| {
                format!("timers bgp {} {}", timers.keepalive_secs, timers.hold_secs)
            })
        }),
    ),
    Row::new(
        "timers bgp connect (1-65535)$seconds",
        "no timers bgp connect [(1-65535)]",
        Apply::Bgp(|bgp, args| {
            let seconds = args.when_on(args.number("seconds"));
            bgp.connect_retry_secs = seconds.unwrap_or(args.defaults.connect_retry_secs);
            Ok(())
        }),
        Print::Bgp(|bgp, defaults: &Defaults| {
            let changed = differs(bgp.connect_retry_secs, defaults.connect_retry_secs);
            said(changed, |seconds| format!("timers bgp connect {seconds}"))
        }),
    ),
    Row::new(
        "bgp conditional-advertisement timer (5-240)$seconds",
        "no bgp conditional-advertisement timer [(5-240)]",
        Apply::Bgp(|bgp, args| {
            let seconds = args.when_on(args.number("seconds"));
            let usual = DEFAULT_CONDITIONAL_TIMER_SECS;
            bgp.conditional_advertisement_secs = seconds.filter(|seconds| *seconds != usual);
            Ok(())
        }),
        Print::Bgp(|bgp, _| {
            said(bgp.conditional_advertisement_secs, |seconds| {
                format!("bgp conditional-advertisement timer {seconds}")
            })
        }),
    ),
];

fn differs<T: PartialEq>(value: T, default: T) -> Option<T> {
    (value != default).then_some(value)
}

fn said<T>(value: Option<T>, text: impl Fn(T) -> String) -> Vec<String> {
    value.into_iter().map(text).collect()
}

fn router_id(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    let id = match args.address("id") {
        Some(IpAddr::V4(id)) => Some(id),
        _ => None,
    };
    if !args.on && id.is_some_and(|id| bgp.router_id != Some(id)) {
        return Err(Rejection::at("id", "BGP router-id doesn't match"));
    }
    // FRR takes 0.0.0.0 as "pick one".
    bgp.router_id = args.when_on(id).filter(|id| !id.is_unspecified());
    Ok(())
}

fn cluster_id(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    let id = match args.address("id") {
        Some(IpAddr::V4(id)) => Some(id),
        _ => args.number::<u32>("id").map(Ipv4Addr::from),
    };
    if args.on && id.is_some_and(|id| id.is_unspecified()) {
        return Err(Rejection::at("id", "Malformed bgp cluster identifier"));
    }
    bgp.cluster_id = args.when_on(id);
    Ok(())
}

/// Each word is a switch of its own; `no` alone takes both back.
fn bestpath_med(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    let (confed, worst) = (args.found.has("confed"), args.found.has("missing-as-worst"));
    let all = !args.on && !confed && !worst;
    if confed || all {
        bgp.bestpath_med_confed = args.on;
    }
    if worst || all {
        bgp.bestpath_med_missing_as_worst = args.on;
    }
    Ok(())
}

fn bestpath_med_lines(bgp: &Bgp, _: &Defaults) -> Vec<String> {
    let words: String = [
        (bgp.bestpath_med_confed, " confed"),
        (bgp.bestpath_med_missing_as_worst, " missing-as-worst"),
    ]
    .into_iter()
    .filter_map(|(on, word)| on.then_some(word))
    .collect();
    let some = (!words.is_empty()).then_some(words);
    said(some, |words| format!("bgp bestpath med{words}"))
}

fn confederation_identifier(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    bgp.confederation_identifier = args.when_on(args.number("as"));
    Ok(())
}

fn confederation_peers(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    let text = args.text("members").unwrap_or_default();
    let mut members = Vec::new();
    for word in text.split_whitespace() {
        match word.parse::<u32>() {
            Ok(asn) if asn == bgp.asn && args.on => {
                return Err(Rejection::at(
                    "members",
                    "Local member-AS not allowed in confed peer list",
                ));
            }
            Ok(asn) if asn > 0 => members.push(asn),
            _ => {
                let message = format!("\"{word}\" is no AS number");
                return Err(Rejection::at("members", message));
            }
        }
    }
    for asn in members {
        if args.on {
            bgp.confederation_peers.insert(asn);
        } else {
            bgp.confederation_peers.remove(&asn);
        }
    }
    Ok(())
}

/// The default is for neighbors to come: those that exist stay as they are.
fn default_ipv4_unicast(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    keep_activation(bgp, Family::Ipv4Unicast, |bgp| {
        bgp.default_ipv4_unicast = args.on
    });
    Ok(())
}

/// FRR's text, used for the neighbors' timers too.
pub(super) const BAD_HOLD_TIME: &str = "hold time value must be either 0 or greater than 3";

/// Reads `$keepalive` and `$hold`. Keepalives more seldom than a third of the
/// hold time are shortened to that, as in FRR.
pub(super) fn read_timers(args: &Args<'_>) -> Result<Option<Timers>, Rejection> {
    let (Some(keepalive_secs), Some(hold_secs)) = (args.number("keepalive"), args.number("hold"))
    else {
        return Ok(None);
    };
    let timers = Timers {
        keepalive_secs,
        hold_secs,
    };
    if !timers.is_valid() {
        return Err(Rejection::at("hold", BAD_HOLD_TIME));
    }
    Ok(Some(timers.clamped()))
}

fn timers(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    let timers = if args.on { read_timers(args)? } else { None };
    bgp.timers = timers.unwrap_or(args.defaults.timers);
    Ok(())
}
