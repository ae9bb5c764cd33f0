//! `static-routes`: a list with a table for each `ip route` line.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::Config;
use crate::statics::{
    DEFAULT_STATIC_DISTANCE, StaticDrop, StaticPath, StaticTarget, insert, misfit,
};

use super::keys::{Key, inline, quoted, read_table};
use super::reader::Item;

const DROPS: [(&str, StaticDrop); 3] = [
    ("blackhole", StaticDrop::Blackhole),
    ("Null0", StaticDrop::Null0),
    ("reject", StaticDrop::Reject),
];

/// One entry as far as it was read.
#[derive(Default)]
pub(super) struct Draft {
    prefix: Option<IpNet>,
    gateway: Option<IpAddr>,
    interface: Option<String>,
    onlink: bool,
    drop: Option<StaticDrop>,
    distance: Option<u8>,
    tag: Option<u32>,
    table: Option<u32>,
}

pub(super) const ENTRY: &[Key<Draft>] = &[
    Key {
        name: "prefix",
        doc: "The prefix, IPv4 or IPv6. Required.",
        read: |draft, item| draft.prefix = item.parsed("a prefix in quotes"),
        write: |draft| draft.prefix.map(quoted),
    },
    Key {
        name: "gateway",
        doc: "Address of the router.",
        read: |draft, item| draft.gateway = item.parsed("an IP address in quotes"),
        write: |draft| draft.gateway.map(quoted),
    },
    Key {
        name: "interface",
        doc: "Name of the interface, beside a gateway or instead of it.",
        read: |draft, item| draft.interface = item.text(),
        write: |draft| draft.interface.as_ref().map(quoted),
    },
    Key {
        name: "onlink",
        doc: "Take the gateway for a neighbor on the interface: true or false.",
        read: |draft, item| draft.onlink = item.boolean().unwrap_or_default(),
        write: |draft| draft.onlink.then(|| "true".to_owned()),
    },
    Key {
        name: "drop",
        doc: "Drop packets instead: \"blackhole\", \"Null0\" (the same) or \"reject\".",
        read: |draft, item| draft.drop = item.one_of(&DROPS),
        write: |draft| draft.drop.map(|drop| quoted(drop.as_str())),
    },
    Key {
        name: "distance",
        doc: "Administrative distance, 1 to 255; 1 if unset. It is the kernel's metric.",
        read: |draft, item| draft.distance = item.number(1..=u8::MAX),
        write: |draft| {
            let distance = draft.distance?;
            (distance != DEFAULT_STATIC_DISTANCE).then(|| distance.to_string())
        },
    },
    Key {
        name: "tag",
        doc: "A number for policy, 1 to 4294967295.",
        read: |draft, item| draft.tag = item.number(1..=u32::MAX),
        write: |draft| draft.tag.map(|tag| tag.to_string()),
    },
    Key {
        name: "table",
        doc: "The kernel's table, 1 to 4294967295. Unset is that of all other routes.",
        read: |draft, item| draft.table = item.number(1..=u32::MAX),
        write: |draft| draft.table.map(|table| table.to_string()),
    },
];

pub(super) fn read(config: &mut Config, item: &mut Item<'_, '_, '_, '_>) {
    for value in item.list() {
        let mut item = item.other(value);
        let mut draft = Draft::default();
        let errors = item.sink.errors();
        read_table(ENTRY, &mut draft, &mut item);
        // What was wrong inside of it has been told.
        if item.sink.errors() != errors {
            continue;
        }
        let taken = draft.into_path().and_then(|(prefix, path)| {
            insert(&mut config.static_routes, prefix, path).map_err(str::to_owned)
        });
        if let Err(message) = taken {
            item.sink.error(value.span(), &message);
        }
    }
}

impl Draft {
    fn into_path(self) -> Result<(IpNet, StaticPath), String> {
        let prefix = self.prefix.ok_or("static route without prefix")?;
        let onlink = self.onlink;
        let target = match (self.gateway, self.interface, self.drop) {
            (None, None, Some(drop)) => StaticTarget::Drop(drop),
            (Some(gateway), Some(interface), None) => StaticTarget::GatewayOn {
                gateway,
                interface,
                onlink,
            },
            (Some(gateway), None, None) => StaticTarget::Gateway(gateway),
            (None, Some(interface), None) => StaticTarget::Interface(interface),
            _ => {
                return Err(
                    "a static route needs gateway, interface or both of them, or drop".to_owned(),
                );
            }
        };
        if onlink && !target.onlink() {
            return Err("onlink needs gateway and interface".to_owned());
        }
        let path = StaticPath {
            table: self.table,
            distance: self.distance.unwrap_or(DEFAULT_STATIC_DISTANCE),
            target,
            tag: self.tag,
        };
        match misfit(&prefix, &path) {
            Some(message) => Err(message),
            None => Ok((prefix.trunc(), path)),
        }
    }

    fn of(prefix: IpNet, path: &StaticPath) -> Self {
        Self {
            prefix: Some(prefix),
            gateway: path.target.gateway(),
            interface: path.target.interface().map(str::to_owned),
            onlink: path.target.onlink(),
            drop: match path.target {
                StaticTarget::Drop(drop) => Some(drop),
                _ => None,
            },
            distance: Some(path.distance),
            tag: path.tag,
            table: path.table,
        }
    }
}

/// A line for each route.
pub(super) fn write(config: &Config) -> Option<String> {
    let routes = config.static_routes();
    let lines: Vec<String> = routes
        .filter_map(|(prefix, path)| inline(ENTRY, &Draft::of(prefix, path)))
        .map(|entry| format!("  {entry},\n"))
        .collect();
    (!lines.is_empty()).then(|| format!("[\n{}]", lines.concat()))
}
