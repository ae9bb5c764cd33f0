//! Lines outside of any block.

use std::path::PathBuf;

use crate::model::{Config, DEFAULT_ROUTE_MAP_DELAY_SECS, LogFile, LogLevel, Profile};

use super::row::{Apply, Args, Done, Print, Row};

macro_rules! levels {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            "<emergencies|alerts|critical|errors|warnings|notifications|informational|debugging>",
            $after
        )
    };
}

/// In the order in which FRR prints them.
pub(super) const ROWS: &[Row] = &[
    Row::new(
        "frr version LINE...$version",
        "no frr version [LINE...]",
        Apply::Config(version),
        Print::Config(|config| each(&config.frr_version, |text| format!("frr version {text}"))),
    ),
    Row::new(
        "frr defaults <traditional|datacenter>$profile",
        "no frr defaults [<traditional|datacenter>]",
        Apply::Config(profile),
        Print::Config(|config| vec![format!("frr defaults {}", config.frr_defaults.as_str())]),
    ),
    Row::new(
        "hostname WORD$name",
        "no hostname [WORD]",
        Apply::Config(hostname),
        Print::Config(|config| each(&config.hostname, |name| format!("hostname {name}"))),
    ),
    Row::new(
        levels!("log file PATH$path [", "$level]"),
        levels!("no log file [PATH [", "]]"),
        Apply::Config(log_file),
        Print::Config(|config| {
            each(&config.log.file, |file| {
                with_level(&format!("log file {}", file.path.display()), file.level)
            })
        }),
    ),
    Row::new(
        levels!("log stdout [", "$level]"),
        levels!("no log stdout [", "]"),
        Apply::Config(|config, args| {
            config.log.stdout = args.when_on(Some(level(args)));
            Ok(())
        }),
        Print::Config(|config| each(&config.log.stdout, |level| with_level("log stdout", *level))),
    ),
    Row::new(
        levels!("log syslog [", "$level]"),
        levels!("no log syslog [", "]"),
        Apply::Config(|config, args| {
            config.log.syslog = args.when_on(Some(level(args)));
            Ok(())
        }),
        Print::Config(|config| each(&config.log.syslog, |level| with_level("log syslog", *level))),
    ),
    Row::new(
        "log timestamp precision (0-12)$digits",
        "no log timestamp precision [(0-12)]",
        Apply::Config(|config, args| {
            config.log.timestamp_precision = args.when_on(args.number("digits"));
            Ok(())
        }),
        Print::Config(|config| {
            let digits = config.log.timestamp_precision;
            each(&digits, |digits| {
                format!("log timestamp precision {digits}")
            })
        }),
    ),
    Row::new(
        "ip forwarding",
        "no ip forwarding",
        Apply::Config(|config, args| {
            config.ip_forwarding = Some(args.on);
            Ok(())
        }),
        Print::Config(|config| each(&config.ip_forwarding, |on| switch(*on, "ip forwarding"))),
    ),
    Row::new(
        "ipv6 forwarding",
        "no ipv6 forwarding",
        Apply::Config(|config, args| {
            config.ipv6_forwarding = Some(args.on);
            Ok(())
        }),
        Print::Config(|config| each(&config.ipv6_forwarding, |on| switch(*on, "ipv6 forwarding"))),
    ),
    Row::new(
        "ip nht resolve-via-default",
        "no ip nht resolve-via-default",
        Apply::Config(|config, args| {
            let usual = config.defaults().resolve_via_default;
            config.ip_nht_resolve_via_default = Some(args.on).filter(|on| *on != usual);
            Ok(())
        }),
        Print::Config(|config| {
            each(&config.ip_nht_resolve_via_default, |on| {
                switch(*on, "ip nht resolve-via-default")
            })
        }),
    ),
    Row::new(
        "ipv6 nht resolve-via-default",
        "no ipv6 nht resolve-via-default",
        Apply::Config(|config, args| {
            let usual = config.defaults().resolve_via_default;
            config.ipv6_nht_resolve_via_default = Some(args.on).filter(|on| *on != usual);
            Ok(())
        }),
        Print::Config(|config| {
            each(&config.ipv6_nht_resolve_via_default, |on| {
                switch(*on, "ipv6 nht resolve-via-default")
            })
        }),
    ),
    Row::new(
        "zebra nexthop kernel enable",
        "no zebra nexthop kernel enable",
        Apply::Config(|config, args| {
            config.nexthop_objects = (!args.on).then_some(false);
            Ok(())
        }),
        Print::Config(|config| {
            let off = (!config.uses_nexthop_objects()).then_some(());
            each(&off, |()| "no zebra nexthop kernel enable".to_owned())
        }),
    ),
    // FRR leaves the switch alone.
    Row::new(
        "zebra nexthop compat-mode (0-1)$mode",
        "no zebra nexthop compat-mode [(0-1)]",
        Apply::Config(|config, args| {
            let mode = args.when_on(args.number::<u8>("mode"));
            config.nexthop_compat_mode = mode.map(|mode| mode == 1);
            Ok(())
        }),
        Print::Config(|config| {
            each(&config.nexthop_compat_mode, |on| {
                format!("zebra nexthop compat-mode {}", u8::from(*on))
            })
        }),
    ),
    Row::new(
        "service integrated-vtysh-config",
        "no service integrated-vtysh-config",
        Apply::Config(|config, args| {
            config.integrated_vtysh = args.on;
            Ok(())
        }),
        Print::Config(|config| {
            let on = config.integrated_vtysh.then_some(());
            each(&on, |()| "service integrated-vtysh-config".to_owned())
        }),
    ),
    Row::new(
        "bgp suppress-fib-pending",
        "no bgp suppress-fib-pending",
        Apply::Config(|config, args| {
            config.suppress_fib_pending = args.on;
            Ok(())
        }),
        Print::Config(|config| {
            let on = config.suppress_fib_pending.then_some(());
            each(&on, |()| "bgp suppress-fib-pending".to_owned())
        }),
    ),
    Row::new(
        "bgp route-map delay-timer (0-600)$seconds",
        "no bgp route-map delay-timer [(0-600)]",
        Apply::Config(|config, args| {
            let seconds = args.when_on(args.number("seconds"));
            let usual = DEFAULT_ROUTE_MAP_DELAY_SECS;
            config.route_map_delay_secs = seconds.filter(|seconds| *seconds != usual);
            Ok(())
        }),
        Print::Config(|config| {
            each(&config.route_map_delay_secs, |seconds| {
                format!("bgp route-map delay-timer {seconds}")
            })
        }),
    ),
    Row::new(
        "api socket PATH$path",
        "no api socket [PATH]",
        Apply::Config(api_socket),
        Print::Config(|config| {
            each(&config.api.socket, |path| {
                format!("api socket {}", path.display())
            })
        }),
    ),
    Row::new(
        "api group WORD$group",
        "no api group [WORD]",
        Apply::Config(api_group),
        Print::Config(|config| each(&config.api.group, |group| format!("api group {group}"))),
    ),
];

fn each<T>(value: &Option<T>, text: impl Fn(&T) -> String) -> Vec<String> {
    value.iter().map(text).collect()
}

fn switch(on: bool, text: &str) -> String {
    format!("{}{text}", if on { "" } else { "no " })
}

/// FRR leaves out the level that a target has anyway.
fn with_level(text: &str, level: LogLevel) -> String {
    if level == LogLevel::default() {
        return text.to_owned();
    }
    format!("{text} {}", level.as_str())
}

fn level(args: &Args<'_>) -> LogLevel {
    let name = args.found.text("level");
    LogLevel::ALL
        .into_iter()
        .find(|level| Some(level.as_str()) == name)
        .unwrap_or_default()
}

fn version(config: &mut Config, args: &Args<'_>) -> Done {
    config.frr_version = args.when_on(args.text("version"));
    Ok(())
}

fn profile(config: &mut Config, args: &Args<'_>) -> Done {
    let datacenter = args.on && args.found.text("profile") == Some("datacenter");
    config.frr_defaults = if datacenter {
        Profile::Datacenter
    } else {
        Profile::Traditional
    };
    Ok(())
}

fn hostname(config: &mut Config, args: &Args<'_>) -> Done {
    config.hostname = args.when_on(args.text("name"));
    Ok(())
}

fn log_file(config: &mut Config, args: &Args<'_>) -> Done {
    let path = args.when_on(args.text("path")).map(PathBuf::from);
    config.log.file = path.map(|path| LogFile {
        path,
        level: level(args),
    });
    Ok(())
}

fn api_socket(config: &mut Config, args: &Args<'_>) -> Done {
    config.api.socket = args.when_on(args.text("path")).map(PathBuf::from);
    Ok(())
}

fn api_group(config: &mut Config, args: &Args<'_>) -> Done {
    config.api.group = args.when_on(args.text("group"));
    Ok(())
}
