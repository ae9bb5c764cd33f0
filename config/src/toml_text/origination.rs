//! The keys of what is announced as our own, and of dampening.

use std::collections::BTreeMap;

use crate::model::{
    AfConfig, Aggregate, Dampening, Network, Prefix, Redistribute, RedistributeSource,
};
use crate::origination::{ORIGINS, origin_word};

use super::keys::{Key, inline, put, quoted, read_table};
use super::reader::Item;

/// What a prefix has to look like.
fn expected<P: Prefix>() -> &'static str {
    match P::FAMILY {
        crate::model::Family::Ipv4Unicast => "an IPv4 prefix in quotes",
        crate::model::Family::Ipv6Unicast => "an IPv6 prefix in quotes",
    }
}

fn read_prefix<P: Prefix>(item: &mut Item<'_, '_, '_, '_>) -> Option<P> {
    let prefix: P = item.parsed(expected::<P>())?;
    if prefix != prefix.truncated() {
        let message = format!("{prefix} has bits set after its length");
        let right = format!("\"{}\"", prefix.truncated());
        item.sink.expected(item.value.span(), &message, &[&right]);
    }
    Some(prefix)
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

// ===== networks and aggregates =====

/// An entry of `network` or `aggregate` as far as it was read.
pub(super) struct Draft<P, O> {
    prefix: Option<P>,
    options: O,
}

impl<P, O: Default> Default for Draft<P, O> {
    fn default() -> Self {
        Self {
            prefix: None,
            options: O::default(),
        }
    }
}

/// The keys of an entry with options.
pub(super) trait Options<P: Prefix>: Default + Clone + PartialEq + 'static {
    const KEYS: &'static [Key<Draft<P, Self>>];
}

macro_rules! prefix_key {
    () => {
        Key {
            name: "prefix",
            doc: "The prefix. Required.",
            read: |draft, item| draft.prefix = read_prefix(item),
            write: |draft| draft.prefix.map(quoted),
        }
    };
}

macro_rules! flag {
    ($name:literal, $field:ident, $doc:literal) => {
        Key {
            name: $name,
            doc: concat!($doc, ": true or false."),
            read: |draft, item| put(&mut draft.options.$field, item.boolean()),
            write: |draft| draft.options.$field.then(|| "true".to_owned()),
        }
    };
}

impl<P: Prefix> Options<P> for Network {
    const KEYS: &'static [Key<Draft<P, Self>>] = &[
        prefix_key!(),
        Key {
            name: "route-map",
            doc: "The route map that the route goes through.",
            read: |draft, item| draft.options.route_map = item.text(),
            write: |draft| draft.options.route_map.as_ref().map(quoted),
        },
    ];
}

impl<P: Prefix> Options<P> for Aggregate {
    const KEYS: &'static [Key<Draft<P, Self>>] = &[
        prefix_key!(),
        flag!(
            "as-set",
            as_set,
            "The path has the ASes of what is aggregated"
        ),
        flag!(
            "summary-only",
            summary_only,
            "What is aggregated is not announced"
        ),
        flag!(
            "matching-med-only",
            matching_med_only,
            "Aggregate only routes of the same MED"
        ),
        Key {
            name: "origin",
            doc: "The origin: \"egp\", \"igp\" or \"incomplete\".",
            read: |draft, item| draft.options.origin = item.one_of(&ORIGINS),
            write: |draft| {
                draft
                    .options
                    .origin
                    .map(|origin| quoted(origin_word(origin)))
            },
        },
        Key {
            name: "route-map",
            doc: "The route map that the aggregate goes through.",
            read: |draft, item| draft.options.route_map = item.text(),
            write: |draft| draft.options.route_map.as_ref().map(quoted),
        },
        Key {
            name: "suppress-map",
            doc: "Route map of what is not announced.",
            read: |draft, item| draft.options.suppress_map = item.text(),
            write: |draft| draft.options.suppress_map.as_ref().map(quoted),
        },
    ];
}

/// A list of prefixes: texts, and tables where there are options.
pub(super) fn read_prefixes<P: Prefix, O: Options<P>>(
    item: &mut Item<'_, '_, '_, '_>,
) -> BTreeMap<P, O> {
    let mut all = BTreeMap::new();
    for value in item.list() {
        let mut item = item.other(value);
        let mut draft = Draft::default();
        if value.get_ref().is_table() {
            let errors = item.sink.errors();
            read_table(O::KEYS, &mut draft, &mut item);
            if draft.prefix.is_none() && item.sink.errors() == errors {
                item.sink.error(value.span(), "there is no prefix");
            }
        } else {
            draft.prefix = read_prefix(&mut item);
        }
        if let Some(prefix) = draft.prefix {
            all.insert(prefix, draft.options);
        }
    }
    all
}

pub(super) fn write_prefixes<P: Prefix, O: Options<P>>(all: &BTreeMap<P, O>) -> Option<String> {
    let text = |(prefix, options): (&P, &O)| {
        if *options == O::default() {
            return quoted(prefix);
        }
        let draft = Draft {
            prefix: Some(*prefix),
            options: options.clone(),
        };
        inline(O::KEYS, &draft).unwrap_or_default()
    };
    Some(list(all.iter().map(text)))
}

// ===== redistribution =====

const SOURCES: [(&str, RedistributeSource); 3] = [
    ("kernel", RedistributeSource::Kernel),
    ("connected", RedistributeSource::Connected),
    ("static", RedistributeSource::Static),
];

/// One entry of `redistribute` as far as it was read.
#[derive(Default)]
pub(super) struct SourceDraft {
    source: Option<RedistributeSource>,
    table: Option<u16>,
    options: Redistribute,
}

pub(super) const SOURCE: &[Key<SourceDraft>] = &[
    Key {
        name: "source",
        doc: "\"kernel\", \"connected\" or \"static\".",
        read: |draft, item| draft.source = item.one_of(&SOURCES),
        write: |draft| draft.source.map(|source| quoted(source.as_str())),
    },
    Key {
        name: "table",
        doc: "Instead of `source`: a table of the kernel, 1 to 65535.",
        read: |draft, item| draft.table = item.number(1..=u16::MAX),
        write: |draft| draft.table.map(|table| table.to_string()),
    },
    Key {
        name: "metric",
        doc: "MED of the routes, 0 to 4294967295. Unset takes the route's own.",
        read: |draft, item| draft.options.metric = item.number(0..=u32::MAX),
        write: |draft| draft.options.metric.map(|metric| metric.to_string()),
    },
    Key {
        name: "route-map",
        doc: "The route map that the routes go through.",
        read: |draft, item| draft.options.route_map = item.text(),
        write: |draft| draft.options.route_map.as_ref().map(quoted),
    },
];

pub(super) fn read_redistribute<P: Prefix>(af: &mut AfConfig<P>, item: &mut Item<'_, '_, '_, '_>) {
    for value in item.list() {
        let mut item = item.other(value);
        let mut draft = SourceDraft::default();
        if item.as_text().is_some() {
            draft.source = item.one_of(&SOURCES);
        } else {
            read_table(SOURCE, &mut draft, &mut item);
            let named = value
                .get_ref()
                .as_table()
                .is_some_and(|table| table.contains_key("source") != table.contains_key("table"));
            if !named && value.get_ref().is_table() {
                let message = "redistribute needs either source or table";
                item.sink.error(value.span(), message);
            }
        }
        let table = draft.table.map(RedistributeSource::Table);
        if let Some(source) = draft.source.or(table) {
            af.redistribute.insert(source, draft.options);
        }
    }
}

pub(super) fn write_redistribute<P: Prefix>(af: &AfConfig<P>) -> Option<String> {
    let text = |(source, options): (&RedistributeSource, &Redistribute)| {
        let (source, table) = match *source {
            RedistributeSource::Table(table) => (None, Some(table)),
            source => (Some(source), None),
        };
        if let (Some(source), true) = (source, *options == Redistribute::default()) {
            return quoted(source.as_str());
        }
        let draft = SourceDraft {
            source,
            table,
            options: options.clone(),
        };
        inline(SOURCE, &draft).unwrap_or_default()
    };
    Some(list(af.redistribute.iter().map(text)))
}

// ===== dampening =====

pub(super) const DAMPENING: &[Key<DampeningDraft>] = &[
    Key {
        name: "half-life-mins",
        doc: "Minutes in which a penalty halves, 1 to 45; 15 if unset.",
        read: |draft, item| draft.half_life_mins = item.number(1..=45),
        write: |draft| draft.half_life_mins.map(|minutes| minutes.to_string()),
    },
    Key {
        name: "reuse",
        doc: "A suppressed route whose penalty falls below is used again, 1 to 20000; 750 if \
              unset.",
        read: |draft, item| draft.reuse = item.number(1..=20_000),
        write: |draft| draft.reuse.map(|penalty| penalty.to_string()),
    },
    Key {
        name: "suppress",
        doc: "A route whose penalty rises to this is suppressed, 1 to 50000; 2000 if unset.",
        read: |draft, item| draft.suppress = item.number(1..=50_000),
        write: |draft| draft.suppress.map(|penalty| penalty.to_string()),
    },
    Key {
        name: "max-suppress-mins",
        doc: "Minutes after which a route is used again in any case, 1 to 255; four half-lives if \
              unset.",
        read: |draft, item| draft.max_suppress_mins = item.number(1..=u8::MAX),
        write: |draft| draft.max_suppress_mins.map(|minutes| minutes.to_string()),
    },
];

/// Dampening as far as it was read.
#[derive(Default)]
pub(super) struct DampeningDraft {
    half_life_mins: Option<u8>,
    reuse: Option<u16>,
    suppress: Option<u16>,
    max_suppress_mins: Option<u8>,
}

/// True, or a table.
pub(super) fn read_dampening(item: &mut Item<'_, '_, '_, '_>) -> Option<Dampening> {
    match item.as_bool() {
        Some(true) => return Some(Dampening::default()),
        Some(false) => return None,
        None if !item.value.get_ref().is_table() => {
            return item.wrong(&["true", "false", "a table"]);
        }
        None => {}
    }
    let mut draft = DampeningDraft::default();
    read_table(DAMPENING, &mut draft, item);
    let usual = match draft.half_life_mins {
        Some(minutes) => Dampening::with_half_life(minutes),
        None => Dampening::default(),
    };
    Some(Dampening {
        half_life_mins: usual.half_life_mins,
        reuse: draft.reuse.unwrap_or(usual.reuse),
        suppress: draft.suppress.unwrap_or(usual.suppress),
        max_suppress_mins: draft.max_suppress_mins.unwrap_or(usual.max_suppress_mins),
    })
}

pub(super) fn write_dampening(damping: Dampening) -> Option<String> {
    if damping == Dampening::default() {
        return Some("true".to_owned());
    }
    let usual = Dampening::with_half_life(damping.half_life_mins);
    let draft = DampeningDraft {
        half_life_mins: Some(damping.half_life_mins),
        reuse: Some(damping.reuse).filter(|value| *value != usual.reuse),
        suppress: Some(damping.suppress).filter(|value| *value != usual.suppress),
        max_suppress_mins: Some(damping.max_suppress_mins)
            .filter(|value| *value != usual.max_suppress_mins),
    };
    inline(DAMPENING, &draft)
}
