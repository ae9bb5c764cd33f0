//! `rpki`: where ROAs come from.

use std::net::Ipv4Addr;

use crate::model::{Rpki, RpkiCache};

use super::keys::{Key, inline, quoted, read_table};
use super::reader::Item;

pub(super) const KEYS: &[Key<Rpki>] = &[
    Key {
        name: "polling-period-secs",
        doc: "Seconds between questions for news, 1 to 86400; 3600 if unset.",
        read: |rpki, item| rpki.polling_period_secs = item.number(1..=86_400),
        write: |rpki| rpki.polling_period_secs.map(|secs| secs.to_string()),
    },
    Key {
        name: "retry-interval-secs",
        doc: "Seconds between attempts after a failure, 1 to 7200; 600 if unset.",
        read: |rpki, item| rpki.retry_interval_secs = item.number(1..=7200),
        write: |rpki| rpki.retry_interval_secs.map(|secs| secs.to_string()),
    },
    Key {
        name: "expire-interval-secs",
        doc: "Seconds after which data that cannot be refreshed is dropped, 600 to 172800; 7200 \
              if unset.",
        read: |rpki, item| rpki.expire_interval_secs = item.number(600..=172_800),
        write: |rpki| rpki.expire_interval_secs.map(|secs| secs.to_string()),
    },
    Key {
        name: "cache",
        doc: "The servers: a list of tables, see `rpki.cache`.",
        read: read_caches,
        write: |rpki| {
            let caches = rpki.caches.iter();
            let texts: Vec<String> = caches
                .filter_map(|(preference, cache)| inline(CACHE, &Draft::of(*preference, cache)))
                .collect();
            (!texts.is_empty()).then(|| format!("[{}]", texts.join(", ")))
        },
    },
];

/// A cache as far as it was read.
#[derive(Default)]
pub(super) struct Draft {
    preference: Option<u8>,
    host: Option<String>,
    port: Option<u16>,
    source: Option<Ipv4Addr>,
}

pub(super) const CACHE: &[Key<Draft>] = &[
    Key {
        name: "preference",
        doc: "1 to 255: the lowest that works is used. Required, and no two have the same.",
        read: |draft, item| draft.preference = item.number(1..=u8::MAX),
        write: |draft| draft.preference.map(|number| number.to_string()),
    },
    Key {
        name: "host",
        doc: "Address or name of the server. Required.",
        read: |draft, item| draft.host = item.text(),
        write: |draft| draft.host.as_ref().map(quoted),
    },
    Key {
        name: "port",
        doc: "Its TCP port, 1 to 65535. Required.",
        read: |draft, item| draft.port = item.number(1..=u16::MAX),
        write: |draft| draft.port.map(|port| port.to_string()),
    },
    Key {
        name: "source",
        doc: "The local IPv4 address of the connection.",
        read: |draft, item| draft.source = item.parsed("an IPv4 address in quotes"),
        write: |draft| draft.source.map(quoted),
    },
];

impl Draft {
    fn of(preference: u8, cache: &RpkiCache) -> Self {
        Self {
            preference: Some(preference),
            host: Some(cache.host.clone()),
            port: Some(cache.port),
            source: cache.source,
        }
    }

    fn into_cache(self) -> Option<(u8, RpkiCache)> {
        let cache = RpkiCache {
            host: self.host?,
            port: self.port?,
            source: self.source,
        };
        Some((self.preference?, cache))
    }
}

fn read_caches(rpki: &mut Rpki, item: &mut Item<'_, '_, '_, '_>) {
    for value in item.list() {
        let mut item = item.other(value);
        let mut draft = Draft::default();
        let errors = item.sink.errors();
        read_table(CACHE, &mut draft, &mut item);
        // What was wrong inside of it has been told.
        if item.sink.errors() != errors {
            continue;
        }
        let Some((preference, cache)) = draft.into_cache() else {
            let message = "a cache needs preference, host and port";
            item.sink.error(value.span(), message);
            continue;
        };
        if rpki.caches.insert(preference, cache).is_some() {
            let message = format!("Cache with preference {preference} is already configured");
            item.sink.error(value.span(), &message);
        }
    }
}
