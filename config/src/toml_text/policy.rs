//! Lists and route maps: tables by name. Entries of lists, and clauses of route
//! maps, are written as in lines, without what the table says already.

use std::ops::Range;

use bgp_wire::{Community, ExtendedCommunity, LargeCommunity};
use holdfast_policy::model::{Action, CommunityList, OnMatch, RouteMap, RouteMapEntry};
use ipnet::{Ipv4Net, Ipv6Net};
use toml::de::DeTable;

use crate::clause::{Clause, match_text, put as put_clause, set_text};
use crate::frr::{
    LineErrorKind, ListedCommunity, Session, access_entry_text, clause_of, community_entry_text,
    list_title, prefix_entry_text,
};
use crate::model::Config;
use crate::policy::{ListPrefix, in_order};

use super::keys::{Key, put, quoted, read_keys};
use super::reader::{Item, Sink};
use super::{entry, named_tables};

/// A list as its table has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ListText {
    /// The description or remark.
    note: Option<String>,
    expanded: bool,
    /// With their places in the file.
    entries: Vec<(Range<usize>, String)>,
}

const ENTRIES: Key<ListText> = Key {
    name: "entries",
    doc: "The entries: a list of texts, each what FRR's line says after the name, such as \
          \"seq 5 permit 10.0.0.0/8 le 24\". Without `seq` they are numbered.",
    read: |list, item| {
        for value in item.list() {
            let text = item.other(value).text();
            list.entries.extend(text.map(|text| (value.span(), text)));
        }
    },
    write: |list| {
        let lines = list.entries.iter();
        let lines: Vec<String> = lines
            .map(|(_, text)| format!("  {},\n", quoted(text)))
            .collect();
        (!lines.is_empty()).then(|| format!("[\n{}]", lines.concat()))
    },
};

pub(super) const PREFIX_LIST: &[Key<ListText>] = &[
    Key {
        name: "description",
        doc: "Text about the list.",
        read: |list, item| list.note = item.text(),
        write: |list| list.note.as_ref().map(quoted),
    },
    ENTRIES,
];

pub(super) const ACCESS_LIST: &[Key<ListText>] = &[
    Key {
        name: "remark",
        doc: "Text about the list.",
        read: |list, item| list.note = item.text(),
        write: |list| list.note.as_ref().map(quoted),
    },
    ENTRIES,
];

pub(super) const AS_PATH_LIST: &[Key<ListText>] = &[ENTRIES];

pub(super) const COMMUNITY_LIST: &[Key<ListText>] = &[
    Key {
        name: "expanded",
        doc: "The entries have regular expressions instead of communities: true or false.",
        read: |list, item| put(&mut list.expanded, item.boolean()),
        write: |list| list.expanded.then(|| "true".to_owned()),
    },
    ENTRIES,
];

/// One kind of list: its table, and how the lines of a list begin.
struct KindOfList {
    table: &'static str,
    keys: &'static [Key<ListText>],
    title: fn(name: &str, expanded: bool) -> String,
    /// The word of its note's line.
    note: &'static str,
    /// All lists as they are written.
    texts: fn(&Config) -> Vec<(String, ListText)>,
}

const LISTS: [KindOfList; 8] = [
    KindOfList {
        table: "ip-prefix-list",
        keys: PREFIX_LIST,
        title: |name, _| format!("ip prefix-list {name}"),
        note: "description",
        texts: prefix_lists::<Ipv4Net>,
    },
    KindOfList {
        table: "ipv6-prefix-list",
        keys: PREFIX_LIST,
        title: |name, _| format!("ipv6 prefix-list {name}"),
        note: "description",
        texts: prefix_lists::<Ipv6Net>,
    },
    KindOfList {
        table: "access-list",
        keys: ACCESS_LIST,
        title: |name, _| format!("access-list {name}"),
        note: "remark",
        texts: access_lists::<Ipv4Net>,
    },
    KindOfList {
        table: "ipv6-access-list",
        keys: ACCESS_LIST,
        title: |name, _| format!("ipv6 access-list {name}"),
        note: "remark",
        texts: access_lists::<Ipv6Net>,
    },
    KindOfList {
        table: "as-path-list",
        keys: AS_PATH_LIST,
        title: |name, _| format!("bgp as-path access-list {name}"),
        note: "",
        texts: as_path_lists,
    },
    KindOfList {
        table: "community-list",
        keys: COMMUNITY_LIST,
        title: list_title::<Community>,
        note: "",
        texts: community_lists::<Community>,
    },
    KindOfList {
        table: "large-community-list",
        keys: COMMUNITY_LIST,
        title: list_title::<LargeCommunity>,
        note: "",
        texts: community_lists::<LargeCommunity>,
    },
    KindOfList {
        table: "extcommunity-list",
        keys: COMMUNITY_LIST,
        title: list_title::<ExtendedCommunity>,
        note: "",
        texts: community_lists::<ExtendedCommunity>,
    },
];

const ALIASES: &str = "community-alias";
const ROUTE_MAP: &str = "route-map";

/// The tables that are read here.
pub(super) const TABLES: [&str; 10] = [
    "ip-prefix-list",
    "ipv6-prefix-list",
    "access-list",
    "ipv6-access-list",
    "as-path-list",
    "community-list",
    "large-community-list",
    "extcommunity-list",
    ALIASES,
    ROUTE_MAP,
];

pub(super) fn read(config: &mut Config, table: &DeTable<'_>, sink: &mut Sink<'_>) {
    let mut session = Session::new(std::mem::take(config));
    for kind in &LISTS {
        for (name, span, table) in named_tables(table, kind.table, sink) {
            let mut list = ListText::default();
            read_keys(kind.keys, &[], &mut list, table, sink);
            if is_word(&name) {
                let title = (kind.title)(&name, list.expanded);
                read_list(&mut session, (kind, &title), (list, span), sink);
            } else {
                sink.error(span, &format!("\"{name}\" cannot be the name of a list"));
            }
        }
    }
    read_aliases(&mut session, table, sink);
    *config = session.config;
    for (name, span, table) in named_tables(table, ROUTE_MAP, sink) {
        if !is_word(&name) {
            let message = format!("\"{name}\" cannot be the name of a route map");
            sink.error(span, &message);
            continue;
        }
        let map = read_route_map(table, sink);
        config.policy.route_maps.insert(name, map);
    }
}

fn is_word(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn read_list(
    session: &mut Session,
    (kind, title): (&KindOfList, &str),
    (list, span): (ListText, Range<usize>),
    sink: &mut Sink<'_>,
) {
    if let Some(note) = list.note.filter(|note| !note.trim().is_empty()) {
        take_line(
            session,
            &format!("{title} {} {note}", kind.note),
            span,
            sink,
        );
    }
    for (span, text) in list.entries {
        let first = text.split_whitespace().next().unwrap_or_default();
        if ["seq", "permit", "deny"].contains(&first) {
            take_line(session, &format!("{title} {text}"), span, sink);
        } else {
            sink.expected(
                span,
                &format!("\"{text}\" is no entry"),
                &["seq", "permit", "deny"],
            );
        }
    }
}

fn take_line(session: &mut Session, line: &str, span: Range<usize>, sink: &mut Sink<'_>) {
    let Err(error) = session.apply_line(line) else {
        return;
    };
    let message = match error.kind {
        LineErrorKind::Rejected(message) => message,
        _ => format!("there is no line \"{}\"", error.line),
    };
    sink.error(span, &message);
}

fn read_aliases(session: &mut Session, table: &DeTable<'_>, sink: &mut Sink<'_>) {
    let Some((_, value)) = entry(table, ALIASES) else {
        return;
    };
    let Some(table) = (Item { value, sink }).table() else {
        return;
    };
    for (community, value) in table.iter() {
        let Some(alias) = (Item { value, sink }).text() else {
            continue;
        };
        let community = community.get_ref();
        if is_word(&alias) && is_word(community) {
            let line = format!("bgp community alias {community} {alias}");
            take_line(session, &line, value.span(), sink);
        } else {
            sink.error(value.span(), &format!("\"{alias}\" cannot be an alias"));
        }
    }
}

// ===== route maps =====

pub(super) const MAP: &[Key<RouteMap>] = &[Key {
    name: "optimization",
    doc: "Kept to be printed back: true or false. Maps are always compiled.",
    read: |map, item| put(&mut map.optimization, item.boolean()),
    write: |map| Some(map.optimization.to_string()),
}];

const ACTIONS: [(&str, Action); 2] = [("permit", Action::Permit), ("deny", Action::Deny)];

pub(super) const MAP_ENTRY: &[Key<RouteMapEntry>] = &[
    Key {
        name: "action",
        doc: "What becomes of a route that matches: \"permit\", if unset, or \"deny\".",
        read: |entry, item| put(&mut entry.action, item.one_of(&ACTIONS)),
        write: |entry| Some(quoted(entry.action.as_str())),
    },
    Key {
        name: "description",
        doc: "Text about the entry.",
        read: |entry, item| entry.description = item.text(),
        write: |entry| entry.description.as_ref().map(quoted),
    },
    Key {
        name: "match",
        doc: "What has to match: a list of texts, each what FRR's line says after `match`, such \
              as \"ip address prefix-list NAME\".",
        read: |entry, item| read_clauses("match", entry, item),
        write: |entry| {
            let texts = entry.matches.iter();
            clauses("match ", texts.map(|clause| match_text(clause).to_string()))
        },
    },
    Key {
        name: "set",
        doc: "What is changed in a route that is permitted: a list of texts, each what FRR's \
              line says after `set`, such as \"local-preference 200\".",
        read: |entry, item| read_clauses("set", entry, item),
        write: |entry| {
            let texts = entry.sets.iter();
            clauses("set ", texts.map(|clause| set_text(clause).to_string()))
        },
    },
    Key {
        name: "call",
        doc: "Name of another route map that has its say.",
        read: |entry, item| entry.call = item.text(),
        write: |entry| entry.call.as_ref().map(quoted),
    },
    Key {
        name: "on-match",
        doc: "Where the walk goes on after a route was permitted: \"next\", or the number of a \
              later entry. Unset is nowhere.",
        read: |entry, item| {
            let to = match (item.as_number(&(1..=u16::MAX)), item.as_text()) {
                (Some(to), _) => Some(OnMatch::Goto(to)),
                (None, Some("next")) => Some(OnMatch::Next),
                _ => item.wrong(&["\"next\"", "a number from 1 to 65535"]),
            };
            put(&mut entry.on_match, to);
        },
        write: |entry| match entry.on_match {
            OnMatch::Exit => None,
            OnMatch::Next => Some(quoted("next")),
            OnMatch::Goto(to) => Some(to.to_string()),
        },
    },
];

fn read_clauses(word: &str, entry: &mut RouteMapEntry, item: &mut Item<'_, '_, '_, '_>) {
    for value in item.list() {
        let Some(text) = item.other(value).text() else {
            continue;
        };
        match clause_of(&format!("{word} {text}")) {
            Ok(clause @ (Clause::Match(_) | Clause::Set(_))) => put_clause(entry, clause),
            Err(message) => item.sink.error(value.span(), &message),
        }
    }
}

fn clauses(word: &str, texts: impl Iterator<Item = String>) -> Option<String> {
    let texts = texts.map(|text| quoted(text.strip_prefix(word).unwrap_or(&text)));
    let texts: Vec<String> = texts.collect();
    (!texts.is_empty()).then(|| format!("[{}]", texts.join(", ")))
}

fn read_route_map(table: &DeTable<'_>, sink: &mut Sink<'_>) -> RouteMap {
    let mut map = RouteMap::default();
    let mut numbers = Vec::new();
    for (name, value) in table.iter() {
        let Some(seq) = name.get_ref().parse::<u16>().ok().filter(|seq| *seq > 0) else {
            continue;
        };
        numbers.push(name.get_ref().to_string());
        if let Some(table) = (Item { value, sink }).table() {
            let mut entry = RouteMapEntry::default();
            read_keys(MAP_ENTRY, &[], &mut entry, table, sink);
            map.entries.insert(seq, entry);
        }
    }
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    read_keys(MAP, &numbers, &mut map, table, sink);
    map
}

// ===== as they are written =====

/// A table of the file, which `write` gets with its path.
pub(super) enum Table<'c> {
    List(&'static [Key<ListText>], ListText),
    Aliases(Vec<(&'c str, &'c str)>),
    Map(&'c RouteMap),
    Entry(&'c RouteMapEntry),
}

/// All tables, in their order. The parts of a path are not quoted.
pub(super) fn tables(config: &Config) -> Vec<(Vec<String>, Table<'_>)> {
    let mut tables = Vec::new();
    for kind in &LISTS {
        for (name, list) in (kind.texts)(config) {
            tables.push((
                vec![kind.table.to_owned(), name],
                Table::List(kind.keys, list),
            ));
        }
    }
    let aliases = config.policy.community_aliases.iter();
    let aliases: Vec<_> = aliases
        .map(|(c, alias)| (c.as_str(), alias.as_str()))
        .collect();
    if !aliases.is_empty() {
        tables.push((vec![ALIASES.to_owned()], Table::Aliases(aliases)));
    }
    for (name, map) in &config.policy.route_maps {
        let path = |more: Option<String>| -> Vec<String> {
            let parts = [ROUTE_MAP.to_owned(), name.clone()];
            parts.into_iter().chain(more).collect()
        };
        if !map.optimization {
            tables.push((path(None), Table::Map(map)));
        }
        for (seq, entry) in &map.entries {
            tables.push((path(Some(seq.to_string())), Table::Entry(entry)));
        }
    }
    tables
}

fn numbered(entries: impl Iterator<Item = (u32, String)>) -> Vec<(Range<usize>, String)> {
    entries
        .map(|(seq, text)| (0..0, format!("seq {seq} {text}")))
        .collect()
}

fn prefix_lists<P: ListPrefix>(config: &Config) -> Vec<(String, ListText)> {
    let lists = in_order(P::prefix_lists(&config.policy)).into_iter();
    let text = |(name, list): (&str, &holdfast_policy::model::PrefixList<P>)| {
        let entries = list.entries.iter();
        let text = ListText {
            note: list.description.clone(),
            expanded: false,
            entries: numbered(entries.map(|(seq, entry)| (*seq, prefix_entry_text(entry)))),
        };
        (name.to_owned(), text)
    };
    lists.map(text).collect()
}

fn access_lists<P: ListPrefix>(config: &Config) -> Vec<(String, ListText)> {
    let lists = in_order(P::access_lists(&config.policy)).into_iter();
    let text = |(name, list): (&str, &holdfast_policy::model::AccessList)| {
        let entries = list.entries.iter();
        let text = ListText {
            note: list.remark.clone(),
            expanded: false,
            entries: numbered(entries.map(|(seq, entry)| (*seq, access_entry_text(entry)))),
        };
        (name.to_owned(), text)
    };
    lists.map(text).collect()
}

fn as_path_lists(config: &Config) -> Vec<(String, ListText)> {
    let lists = in_order(&config.policy.as_path_lists).into_iter();
    let text = |(name, list): (&str, &holdfast_policy::model::AsPathList)| {
        let entries = list
            .entries
            .iter()
            .map(|(seq, entry)| (*seq, format!("{} {}", entry.action.as_str(), entry.regex)));
        let text = ListText {
            entries: numbered(entries),
            ..ListText::default()
        };
        (name.to_owned(), text)
    };
    lists.map(text).collect()
}

fn community_lists<K: ListedCommunity>(config: &Config) -> Vec<(String, ListText)> {
    let lists = in_order(K::lists(&config.policy)).into_iter();
    let text = |(name, list): (&str, &CommunityList<K>)| {
        let entries = list.entries.iter();
        let text = ListText {
            note: None,
            expanded: list.expanded,
            entries: numbered(entries.map(|(seq, entry)| (*seq, community_entry_text(entry)))),
        };
        (name.to_owned(), text)
    };
    lists.map(text).collect()
}
