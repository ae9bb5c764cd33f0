//! `ip route` and `ipv6 route`.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use crate::grammar::Value;
use crate::model::Config;
use crate::statics::{
    DEFAULT_STATIC_DISTANCE, StaticDrop, StaticPath, StaticTarget, insert, is_interface, remove,
};

use super::row::{Apply, Args, Done, Print, Rejection, Row};

/// To a router, an interface or nowhere.
macro_rules! plain {
    ($prefix:literal, $gateway:literal) => {
        concat!(
            $prefix,
            " <",
            $gateway,
            "|INTERFACE$interface|<blackhole|Null0|reject>$drop> \
             {tag (1-4294967295)$tag_value|(1-255)$distance|\
             table (1-4294967295)$table_value}"
        )
    };
}

/// To a router on an interface.
macro_rules! on_interface {
    ($prefix:literal, $gateway:literal) => {
        concat!(
            $prefix,
            " ",
            $gateway,
            " <INTERFACE|Null0>$interface \
             {onlink|tag (1-4294967295)$tag_value|(1-255)$distance|\
             table (1-4294967295)$table_value}"
        )
    };
}

macro_rules! row {
    ($form:ident, $prefix:literal, $gateway:literal) => {
        Row::new(
            $form!($prefix, $gateway),
            // The same after `no`.
            concat!("no ", $form!($prefix, $gateway)),
            Apply::Config(route),
            Print::Nothing,
        )
    };
}

/// `lines` prints them.
pub(super) const ROWS: &[Row] = &[
    row!(
        plain,
        "ip route <A.B.C.D/M$prefix|A.B.C.D$prefix A.B.C.D$mask>",
        "A.B.C.D$gateway"
    ),
    row!(
        on_interface,
        "ip route <A.B.C.D/M$prefix|A.B.C.D$prefix A.B.C.D$mask>",
        "A.B.C.D$gateway"
    ),
    row!(plain, "ipv6 route X:X::X:X/M$prefix", "X:X::X:X$gateway"),
    row!(
        on_interface,
        "ipv6 route X:X::X:X/M$prefix",
        "X:X::X:X$gateway"
    ),
];

/// The lines of all static routes.
pub(super) fn lines(config: &Config) -> Vec<String> {
    let routes = config.static_routes();
    let line = |(prefix, path): (IpNet, &StaticPath)| {
        let ip = if prefix.addr().is_ipv6() {
            "ipv6"
        } else {
            "ip"
        };
        format!("{ip} route {prefix} {path}")
    };
    routes.map(line).collect()
}

fn route(config: &mut Config, args: &Args<'_>) -> Done {
    let Some(prefix) = prefix(args)? else {
        return Ok(());
    };
    let Some(target) = target(args)? else {
        return Ok(());
    };
    let table = args.number("table_value");
    let routes = &mut config.static_routes;
    if !args.on {
        // As in FRR, only the target says which route goes.
        return match remove(routes, prefix, (table, &target)) {
            true => Ok(()),
            false => Err(Rejection::at(
                "prefix",
                "Refusing to remove a non-existent route",
            )),
        };
    }
    let path = StaticPath {
        table,
        distance: args.number("distance").unwrap_or(DEFAULT_STATIC_DISTANCE),
        target,
        tag: args.number("tag_value"),
    };
    insert(routes, prefix, path).map_err(|message| Rejection::at("prefix", message))
}

/// The prefix without its host bits; FRR clears them as well.
fn prefix(args: &Args<'_>) -> Result<Option<IpNet>, Rejection> {
    let mask = match args.found.get("mask") {
        Some(Value::Ipv4(mask)) => Some(*mask),
        _ => None,
    };
    let prefix = match (args.found.get("prefix"), mask) {
        (Some(Value::Ipv4Prefix(prefix)), _) => IpNet::V4(*prefix),
        (Some(Value::Ipv6Prefix(prefix)), _) => IpNet::V6(*prefix),
        (Some(Value::Ipv4(address)), Some(mask)) => masked(*address, mask)
            .ok_or_else(|| Rejection::at("mask", format!("{mask} is not a netmask")))?
            .into(),
        _ => return Ok(None),
    };
    Ok(Some(prefix.trunc()))
}

fn masked(address: Ipv4Addr, mask: Ipv4Addr) -> Option<Ipv4Net> {
    Ipv4Net::with_netmask(address, mask).ok()
}

fn target(args: &Args<'_>) -> Result<Option<StaticTarget>, Rejection> {
    if let Some(word) = args.found.text("drop") {
        let drop = StaticDrop::ALL.into_iter().find(|d| d.as_str() == word);
        return Ok(drop.map(StaticTarget::Drop));
    }
    let gateway = args.address("gateway");
    let interface = args.text("interface");
    // FRR takes it in any spelling, and does without it beside a router.
    let null0 = |name: &String| name.eq_ignore_ascii_case(StaticDrop::Null0.as_str());
    let is_null0 = interface.as_ref().is_some_and(null0);
    if let Some(name) = interface.as_ref().filter(|name| !null0(name))
        && !is_interface(name)
    {
        return Err(Rejection::at("interface", no_interface(name)));
    }
    Ok(match (gateway, interface) {
        (Some(gateway), Some(interface)) if !is_null0 => Some(StaticTarget::GatewayOn {
            gateway,
            interface,
            onlink: args.found.has("onlink"),
        }),
        (Some(gateway), _) => Some(StaticTarget::Gateway(gateway)),
        (None, Some(_)) if is_null0 => Some(StaticTarget::Drop(StaticDrop::Null0)),
        (None, Some(interface)) => Some(StaticTarget::Interface(interface)),
        (None, None) => None,
    })
}

/// Why a word where a router, an interface or a distance may stand is none of them.
fn no_interface(word: &str) -> String {
    match (word.parse::<IpAddr>(), word.parse::<u64>()) {
        (Ok(IpAddr::V4(_)), _) => format!("{word} is no router of an IPv6 route"),
        (Ok(IpAddr::V6(_)), _) => format!("{word} is no router of an IPv4 route"),
        (_, Ok(_)) => format!("{word} is no interface, and distances are 1 to 255"),
        _ => format!("\"{word}\" cannot be the name of an interface"),
    }
}
