//! The `rpki` block: where ROAs come from.

use std::net::IpAddr;

use crate::model::{Config, Rpki, RpkiCache};

use super::row::{Apply, Args, Done, Print, Rejection, Row};
use super::session::{Mode, Outcome, Session};

/// The lines that lead to the block; [`block`] prints them.
pub(super) const ENTER: Row = Row::new("rpki", "no rpki", Apply::Session(enter), Print::Nothing);

macro_rules! interval {
    ($name:literal, $range:literal, $field:ident) => {
        Row::new(
            concat!("rpki ", $name, " ", $range, "$seconds"),
            concat!("no rpki ", $name, " [", $range, "]"),
            Apply::Config(|config, args| {
                config.rpki.$field = args.when_on(args.number("seconds"));
                Ok(())
            }),
            Print::Nothing,
        )
    };
}

macro_rules! cache {
    ($before:literal) => {
        concat!(
            $before,
            "<A.B.C.D|X:X::X:X|HOST>$host (1-65535)$port [source A.B.C.D$address] ",
            "preference (1-255)$number"
        )
    };
}

/// The lines of the block.
pub(super) const ROWS: &[Row] = &[
    interval!("polling_period", "(1-86400)", polling_period_secs),
    interval!("retry_interval", "(1-7200)", retry_interval_secs),
    interval!("expire_interval", "(600-172800)", expire_interval_secs),
    Row::new(
        cache!("rpki cache "),
        cache!("no rpki cache "),
        Apply::Config(cache),
        Print::Nothing,
    ),
    // As FRR has it from 10.0 on.
    Row::new(
        cache!("rpki cache tcp "),
        cache!("no rpki cache tcp "),
        Apply::Config(cache),
        Print::Nothing,
    )
    .hidden(),
];

fn enter(session: &mut Session, args: &Args<'_>) -> Result<Outcome, Rejection> {
    if !args.on {
        session.config.rpki = Rpki::default();
        return Ok(Outcome::Applied);
    }
    session.mode = Mode::Rpki;
    Ok(Outcome::Entered(session.mode))
}

/// A cache is known by its preference.
fn cache(config: &mut Config, args: &Args<'_>) -> Done {
    let preference = args.number::<u8>("number").unwrap_or_default();
    let caches = &mut config.rpki.caches;
    if !args.on {
        return match caches.remove(&preference) {
            Some(_) => Ok(()),
            None => {
                let message = format!("Could not find cache with preference {preference}");
                Err(Rejection::at("number", message))
            }
        };
    }
    let host = match args.address("host") {
        Some(address) => address.to_string(),
        None => args.text("host").unwrap_or_default(),
    };
    let cache = RpkiCache {
        host,
        port: args.number("port").unwrap_or_default(),
        source: match args.address("address") {
            Some(IpAddr::V4(address)) => Some(address),
            _ => None,
        },
    };
    if caches.get(&preference).is_some_and(|known| *known != cache) {
        let message = format!("Cache with preference {preference} is already configured");
        return Err(Rejection::at("number", message));
    }
    caches.insert(preference, cache);
    Ok(())
}

/// The block, if there is anything in it.
pub(super) fn block(config: &Config) -> Vec<String> {
    let rpki = &config.rpki;
    if rpki.is_empty() {
        return Vec::new();
    }
    let mut lines = vec!["rpki".to_owned()];
    for (name, seconds) in [
        ("polling_period", rpki.polling_period_secs),
        ("retry_interval", rpki.retry_interval_secs),
        ("expire_interval", rpki.expire_interval_secs),
    ] {
        lines.extend(seconds.map(|seconds| format!(" rpki {name} {seconds}")));
    }
    for (preference, cache) in &rpki.caches {
        let RpkiCache { host, port, source } = cache;
        let source = source.map(|source| format!(" source {source}"));
        let source = source.unwrap_or_default();
        lines.push(format!(
            " rpki cache {host} {port}{source} preference {preference}"
        ));
    }
    lines.push("exit".to_owned());
    lines
}
