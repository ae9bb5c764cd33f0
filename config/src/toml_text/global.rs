//! The keys outside of `[bgp]`.

use std::path::PathBuf;

use crate::model::{
    Api, Config, DEFAULT_API_GROUP, DEFAULT_API_SOCKET, Log, LogFile, LogLevel, Profile,
};

use super::keys::{Key, inline, put, quoted, read_table};
use super::reader::Item;
use super::{rpki, statics};

const PROFILES: [(&str, Profile); 2] = [
    ("traditional", Profile::Traditional),
    ("datacenter", Profile::Datacenter),
];

pub(super) const KEYS: &[Key<Config>] = &[
    Key {
        name: "frr-version",
        doc: "The FRR version that a converted file was written by. Before 7.4, policies \
              towards external peers were not required, and networks not checked.",
        read: |config, item| config.frr_version = item.text(),
        write: |config| config.frr_version.as_ref().map(quoted),
    },
    Key {
        name: "frr-defaults",
        doc: "Which defaults `[bgp]` takes: \"traditional\" or \"datacenter\".",
        read: |config, item| put(&mut config.frr_defaults, item.one_of(&PROFILES)),
        write: |config| Some(quoted(config.frr_defaults.as_str())),
    },
    Key {
        name: "hostname",
        doc: "The name of this router, as the shell's prompt shows it.",
        read: |config, item| config.hostname = item.text(),
        write: |config| config.hostname.as_ref().map(quoted),
    },
    Key {
        name: "ip-forwarding",
        doc: "Forward IPv4 packets: true or false. Unset leaves the kernel's setting alone.",
        read: |config, item| config.ip_forwarding = item.boolean(),
        write: |config| config.ip_forwarding.map(|on| on.to_string()),
    },
    Key {
        name: "ipv6-forwarding",
        doc: "Forward IPv6 packets: true or false. Unset leaves the kernel's setting alone.",
        read: |config, item| config.ipv6_forwarding = item.boolean(),
        write: |config| config.ipv6_forwarding.map(|on| on.to_string()),
    },
    Key {
        name: "ip-nht-resolve-via-default",
        doc: "IPv4 next hops resolve through a default route: true or false. Unset is the \
              profile's: false, and true in \"datacenter\".",
        read: |config, item| config.ip_nht_resolve_via_default = item.boolean(),
        write: |config| config.ip_nht_resolve_via_default.map(|on| on.to_string()),
    },
    Key {
        name: "ipv6-nht-resolve-via-default",
        doc: "The same for IPv6 next hops.",
        read: |config, item| config.ipv6_nht_resolve_via_default = item.boolean(),
        write: |config| config.ipv6_nht_resolve_via_default.map(|on| on.to_string()),
    },
    Key {
        name: "nexthop-objects",
        doc: "Routes share nexthop objects: true or false. Without, each names its next hops.",
        read: |config, item| config.nexthop_objects = item.boolean().filter(|on| !on),
        write: |config| Some(config.uses_nexthop_objects().to_string()),
    },
    Key {
        name: "nexthop-compat-mode",
        doc: "The kernel tells the next hops of routes that use objects: true or false. Unset \
              leaves its setting alone.",
        read: |config, item| config.nexthop_compat_mode = item.boolean(),
        write: |config| config.nexthop_compat_mode.map(|on| on.to_string()),
    },
    Key {
        name: "integrated-vtysh",
        doc: "Print `service integrated-vtysh-config` in FRR text: true or false.",
        read: |config, item| put(&mut config.integrated_vtysh, item.boolean()),
        write: |config| Some(config.integrated_vtysh.to_string()),
    },
    Key {
        name: "bgp-suppress-fib-pending",
        doc: "`suppress-fib-pending` of all instances: true or false.",
        read: |config, item| put(&mut config.suppress_fib_pending, item.boolean()),
        write: |config| Some(config.suppress_fib_pending.to_string()),
    },
    Key {
        name: "route-map-delay-secs",
        doc: "FRR's `bgp route-map delay-timer`, 0 to 600; 5 if unset. Kept; edits take effect \
              as a whole anyway.",
        read: |config, item| config.route_map_delay_secs = item.number(0..=600),
        write: |config| config.route_map_delay_secs.map(|secs| secs.to_string()),
    },
    Key {
        name: "ip-protocol-route-map",
        doc: "Route map of the IPv4 routes that go into the kernel.",
        read: |config, item| config.ip_protocol_route_map = item.text(),
        write: |config| config.ip_protocol_route_map.as_ref().map(quoted),
    },
    Key {
        name: "ipv6-protocol-route-map",
        doc: "Route map of the IPv6 routes that go into the kernel.",
        read: |config, item| config.ipv6_protocol_route_map = item.text(),
        write: |config| config.ipv6_protocol_route_map.as_ref().map(quoted),
    },
    Key {
        name: "rpki",
        doc: "Where ROAs come from (RFC 8210): a table, see `rpki`.",
        read: |config, item| read_table(rpki::KEYS, &mut config.rpki, item),
        write: |config| inline(rpki::KEYS, &config.rpki),
    },
    Key {
        name: "static-routes",
        doc: "Static routes: a list of tables, see `static-routes`.",
        read: statics::read,
        write: statics::write,
    },
    Key {
        name: "log",
        doc: "Where log lines go: a table, see `log`.",
        read: |config, item| read_table(LOG, &mut config.log, item),
        write: |config| inline(LOG, &config.log),
    },
    Key {
        name: "api",
        doc: "Where the API listens: a table, see `api`.",
        read: |config, item| read_table(API, &mut config.api, item),
        write: |config| inline(API, &config.api),
    },
];

fn level(item: &mut Item<'_, '_, '_, '_>) -> Option<LogLevel> {
    item.one_of(&LogLevel::ALL.map(|level| (level.as_str(), level)))
}

pub(super) const LOG: &[Key<Log>] = &[
    Key {
        name: "syslog",
        doc: "The least severe level that goes to the system log, \"emergencies\" to \
              \"debugging\". Unset is off.",
        read: |log, item| log.syslog = level(item),
        write: |log| log.syslog.map(|level| quoted(level.as_str())),
    },
    Key {
        name: "stdout",
        doc: "The least severe level that goes to the standard output. Unset is off.",
        read: |log, item| log.stdout = level(item),
        write: |log| log.stdout.map(|level| quoted(level.as_str())),
    },
    Key {
        name: "file",
        doc: "A log file: `{ path = \"...\", level = \"...\" }`. Unset is off.",
        read: read_log_file,
        write: |log| inline(LOG_FILE, log.file.as_ref()?),
    },
    Key {
        name: "timestamp-precision",
        doc: "Digits after the second, 0 to 12.",
        read: |log, item| log.timestamp_precision = item.number(0..=12),
        write: |log| log.timestamp_precision.map(|digits| digits.to_string()),
    },
];

pub(super) const LOG_FILE: &[Key<LogFile>] = &[
    Key {
        name: "path",
        doc: "Where the file is, without blanks.",
        read: |file, item| put(&mut file.path, item.text().map(PathBuf::from)),
        write: |file| Some(quoted(file.path.display())),
    },
    Key {
        name: "level",
        doc: "The least severe level, \"debugging\" if unset.",
        read: |file, item| put(&mut file.level, level(item)),
        write: |file| Some(quoted(file.level.as_str())),
    },
];

fn read_log_file(log: &mut Log, item: &mut Item<'_, '_, '_, '_>) {
    let mut file = LogFile {
        path: PathBuf::new(),
        level: LogLevel::default(),
    };
    read_table(LOG_FILE, &mut file, item);
    log.file = Some(file);
}

pub(super) const API: &[Key<Api>] = &[
    Key {
        name: "socket",
        doc: "Path of the Unix socket.",
        read: |api, item| api.socket = item.text().map(PathBuf::from),
        write: |api| api.socket.as_ref().map(|path| quoted(path.display())),
    },
    Key {
        name: "group",
        doc: "The group that may connect.",
        read: |api, item| api.group = item.text(),
        write: |api| api.group.as_ref().map(quoted),
    },
];

/// The API's table with its defaults filled in.
pub(super) fn concrete_api(api: &Api) -> Api {
    Api {
        socket: Some(
            api.socket
                .clone()
                .unwrap_or_else(|| PathBuf::from(DEFAULT_API_SOCKET)),
        ),
        group: Some(
            api.group
                .clone()
                .unwrap_or_else(|| DEFAULT_API_GROUP.to_owned()),
        ),
    }
}
