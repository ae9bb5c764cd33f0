//! `ip prefix-list`, `access-list` and those of IPv6.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};

use holdfast_policy::model::{
    AccessEntry, AccessList, AccessMatch, Action, PrefixEntry, PrefixList, WildcardAddress,
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::grammar::Value;
use crate::model::Config;
use crate::policy::{ListPrefix, in_order, insert, insert_new, remove, wrong_lengths};

use super::row::{Apply, Args, Done, Print, Rejection, Row};
use super::session::{Outcome, Session};

/// Taken back in the same words.
macro_rules! row {
    ($pattern:expr, $kind:ident, $apply:expr) => {
        Row::new(
            $pattern,
            concat!("no ", $pattern),
            Apply::$kind($apply),
            Print::Nothing,
        )
    };
}

/// A line that only takes back.
macro_rules! no {
    ($pattern:expr, $apply:expr) => {
        Row::new($pattern, "", Apply::Config($apply), Print::Nothing)
    };
}

macro_rules! entry {
    ($list:literal, $matches:literal) => {
        concat!(
            $list,
            " WORD$list [seq (1-4294967295)$seq] <deny|permit>$action ",
            $matches
        )
    };
}

/// [`lines`] prints them.
pub(super) const ROWS: &[Row] = &[
    row!(
        entry!(
            "ip prefix-list",
            "<any|A.B.C.D/M$prefix {ge (0-32)$ge_value|le (0-32)$le_value}>"
        ),
        Session,
        prefix_entry::<Ipv4Net>
    ),
    Row::new(
        "ip prefix-list WORD$list description LINE...$text",
        "no ip prefix-list WORD$list description [LINE...]",
        Apply::Config(description::<Ipv4Net>),
        Print::Nothing,
    ),
    no!(
        "no ip prefix-list WORD$list [seq (1-4294967295)$seq]",
        no_prefix_list::<Ipv4Net>
    ),
    row!(
        entry!(
            "ipv6 prefix-list",
            "<any|X:X::X:X/M$prefix {ge (0-128)$ge_value|le (0-128)$le_value}>"
        ),
        Session,
        prefix_entry::<Ipv6Net>
    ),
    Row::new(
        "ipv6 prefix-list WORD$list description LINE...$text",
        "no ipv6 prefix-list WORD$list description [LINE...]",
        Apply::Config(description::<Ipv6Net>),
        Print::Nothing,
    ),
    no!(
        "no ipv6 prefix-list WORD$list [seq (1-4294967295)$seq]",
        no_prefix_list::<Ipv6Net>
    ),
    row!(
        entry!("access-list", "<any|A.B.C.D/M$prefix [exact-match]>"),
        Config,
        access_entry::<Ipv4Net>
    ),
    row!(
        entry!(
            "access-list",
            "<host A.B.C.D$address|A.B.C.D$address [A.B.C.D$wildcard]>"
        ),
        Config,
        access_entry::<Ipv4Net>
    ),
    row!(
        entry!(
            "access-list",
            "ip <A.B.C.D$address A.B.C.D$wildcard|host A.B.C.D$address|any> \
             <A.B.C.D$mask A.B.C.D$mask_wildcard|host A.B.C.D$mask|any>"
        ),
        Config,
        access_entry::<Ipv4Net>
    ),
    Row::new(
        "access-list WORD$list remark LINE...$text",
        "no access-list WORD$list remark [LINE...]",
        Apply::Config(remark::<Ipv4Net>),
        Print::Nothing,
    ),
    no!("no access-list WORD$list", no_access_list::<Ipv4Net>),
    row!(
        entry!("ipv6 access-list", "<any|X:X::X:X/M$prefix [exact-match]>"),
        Config,
        access_entry::<Ipv6Net>
    ),
    Row::new(
        "ipv6 access-list WORD$list remark LINE...$text",
        "no ipv6 access-list WORD$list remark [LINE...]",
        Apply::Config(remark::<Ipv6Net>),
        Print::Nothing,
    ),
    no!("no ipv6 access-list WORD$list", no_access_list::<Ipv6Net>),
];

/// The blocks of all lists, in FRR's order.
pub(super) fn blocks(config: &Config) -> [Vec<String>; 4] {
    [
        access_lines::<Ipv4Net>(config),
        prefix_lines::<Ipv4Net>(config),
        access_lines::<Ipv6Net>(config),
        prefix_lines::<Ipv6Net>(config),
    ]
}

/// The name of the list that a line is about.
pub(super) fn list_name(args: &Args<'_>) -> String {
    args.text("list").unwrap_or_default()
}

/// What a line says of what matches.
pub(super) fn action(args: &Args<'_>) -> Action {
    match args.found.text("action") {
        Some("permit") => Action::Permit,
        _ => Action::Deny,
    }
}

fn prefix<P: ListPrefix>(args: &Args<'_>) -> Option<P> {
    let text = match args.found.get("prefix")? {
        Value::Ipv4Prefix(prefix) => prefix.to_string(),
        Value::Ipv6Prefix(prefix) => prefix.to_string(),
        _ => return None,
    };
    text.parse::<P>().ok().map(P::truncated)
}

/// Takes out the entry of a number, whatever it says, or the one that says the
/// same. FRR says nothing where there is none.
fn take_out<E: PartialEq>(entries: &mut BTreeMap<u32, E>, seq: Option<u32>, entry: &E) {
    match seq {
        Some(seq) => {
            entries.remove(&seq);
        }
        None => {
            remove(entries, None, entry);
        }
    }
}

// ===== prefix lists =====

fn prefix_lines<P: ListPrefix>(config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, list) in in_order(P::prefix_lists(&config.policy)) {
        let title = format!("{} prefix-list {name}", P::IP);
        let description = list.description.iter();
        lines.extend(description.map(|text| format!("{title} description {text}")));
        let entries = list.entries.iter();
        lines.extend(
            entries.map(|(seq, entry)| format!("{title} seq {seq} {}", prefix_entry_text(entry))),
        );
    }
    lines
}

/// An entry of a prefix list as lines have it.
pub(crate) fn prefix_entry_text<P: ListPrefix>(entry: &PrefixEntry<P>) -> String {
    let action = entry.action.as_str();
    let Some(prefix) = entry.prefix else {
        return format!("{action} any");
    };
    let length = |word, value: Option<u8>| {
        value
            .map(|value| format!(" {word} {value}"))
            .unwrap_or_default()
    };
    let (ge, le) = (length("ge", entry.ge), length("le", entry.le));
    format!("{action} {prefix}{ge}{le}")
}

fn prefix_entry<P: ListPrefix>(
    session: &mut Session,
    args: &Args<'_>,
) -> Result<Outcome, Rejection> {
    let entry = PrefixEntry {
        action: action(args),
        prefix: prefix::<P>(args),
        ge: args.number("ge_value"),
        le: args.number("le_value"),
    };
    let seq = args.number("seq");
    let name = list_name(args);
    let lists = P::prefix_lists_mut(&mut session.config.policy);
    if !args.on {
        if let Some(list) = lists.get_mut(&name) {
            take_out(&mut list.entries, seq, &entry);
            forget_empty(lists, &name);
        }
        session.known = Known::default();
        return Ok(Outcome::Applied);
    }
    if let Some(message) = wrong_lengths(&entry) {
        return Err(Rejection::at("prefix", message));
    }
    let list = lists.entry(name.clone()).or_default();
    if seq.is_some() {
        session.known = Known::default();
    } else if !session.known.is_new(&name, list, &entry)
        && list.entries.values().any(|e| *e == entry)
    {
        return Ok(Outcome::Applied);
    }
    insert(&mut list.entries, seq, entry).map_err(|message| Rejection::at("list", message))?;
    session.known.entries_of_list = list.entries.len();
    Ok(Outcome::Applied)
}

/// What is in the list that was edited last, so that a long one is not searched
/// for each of its lines.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The family's word and the name.
    list: Option<(&'static str, String)>,
    /// The entries as lines have them.
    texts: HashSet<String>,
    /// How many the list had when this was right.
    entries_of_list: usize,
}

impl Known {
    /// Whether the list cannot have the entry yet. It is known from now on.
    fn is_new<P: ListPrefix>(
        &mut self,
        name: &str,
        list: &PrefixList<P>,
        entry: &PrefixEntry<P>,
    ) -> bool {
        let same = self
            .list
            .as_ref()
            .is_some_and(|(ip, n)| *ip == P::IP && n == name);
        if !same || self.entries_of_list != list.entries.len() {
            self.list = Some((P::IP, name.to_owned()));
            self.texts = list.entries.values().map(prefix_entry_text).collect();
        }
        self.texts.insert(prefix_entry_text(entry))
    }
}

fn description<P: ListPrefix>(config: &mut Config, args: &Args<'_>) -> Done {
    let lists = P::prefix_lists_mut(&mut config.policy);
    let name = list_name(args);
    if args.on {
        lists.entry(name).or_default().description = args.text("text");
    } else if let Some(list) = lists.get_mut(&name) {
        list.description = None;
        forget_empty(lists, &name);
    }
    Ok(())
}

fn no_prefix_list<P: ListPrefix>(config: &mut Config, args: &Args<'_>) -> Done {
    let lists = P::prefix_lists_mut(&mut config.policy);
    let name = list_name(args);
    let Some(seq) = args.number::<u32>("seq") else {
        lists.remove(&name);
        return Ok(());
    };
    if let Some(list) = lists.get_mut(&name) {
        list.entries.remove(&seq);
        forget_empty(lists, &name);
    }
    Ok(())
}

fn forget_empty<P: ListPrefix>(lists: &mut BTreeMap<String, PrefixList<P>>, name: &str) {
    if lists
        .get(name)
        .is_some_and(|list| list.entries.is_empty() && list.description.is_none())
    {
        lists.remove(name);
    }
}

// ===== access lists =====

fn access_lines<P: ListPrefix>(config: &Config) -> Vec<String> {
    let ipv6 = if P::IP == "ipv6" { "ipv6 " } else { "" };
    let mut lines = Vec::new();
    for (name, list) in in_order(P::access_lists(&config.policy)) {
        let title = format!("{ipv6}access-list {name}");
        let remark = list.remark.iter();
        lines.extend(remark.map(|text| format!("{title} remark {text}")));
        let entries = list.entries.iter();
        lines.extend(
            entries.map(|(seq, entry)| format!("{title} seq {seq} {}", access_entry_text(entry))),
        );
    }
    lines
}

/// An entry of an access list as lines have it.
pub(crate) fn access_entry_text(entry: &AccessEntry) -> String {
    let action = entry.action.as_str();
    match entry.matches {
        AccessMatch::Any => format!("{action} any"),
        AccessMatch::Prefix(prefix) => format!("{action} {prefix}"),
        AccessMatch::Exact(prefix) => format!("{action} {prefix} exact-match"),
        AccessMatch::Standard(WildcardAddress { address, wildcard }) => match is_host(wildcard) {
            true => format!("{action} {address}"),
            false => format!("{action} {address} {wildcard}"),
        },
        AccessMatch::Extended(address, mask) => {
            format!("{action} ip {} {}", wild_text(address), wild_text(mask))
        }
    }
}

fn is_host(wildcard: Ipv4Addr) -> bool {
    wildcard.is_unspecified()
}

fn wild_text(wild: WildcardAddress) -> String {
    let WildcardAddress { address, wildcard } = wild;
    if wild == WildcardAddress::ANY {
        "any".to_owned()
    } else if is_host(wildcard) {
        format!("host {address}")
    } else {
        format!("{address} {wildcard}")
    }
}

fn access_match<P: ListPrefix>(args: &Args<'_>) -> Option<AccessMatch> {
    let ipv4 = |name| match args.address(name) {
        Some(IpAddr::V4(address)) => Some(address),
        _ => None,
    };
    let wild = |address, wildcard| WildcardAddress {
        address,
        wildcard: ipv4(wildcard).unwrap_or(Ipv4Addr::UNSPECIFIED),
    };
    if args.found.has("ip") {
        let part = |name, wildcard| {
            ipv4(name).map_or(WildcardAddress::ANY, |address| wild(address, wildcard))
        };
        return Some(AccessMatch::Extended(
            part("address", "wildcard"),
            part("mask", "mask_wildcard"),
        ));
    }
    if let Some(address) = ipv4("address") {
        return Some(AccessMatch::Standard(wild(address, "wildcard")));
    }
    if args.found.has("any") {
        return Some(AccessMatch::Any);
    }
    let prefix: IpNet = prefix::<P>(args)?.to_string().parse().ok()?;
    Some(if args.found.has("exact-match") {
        AccessMatch::Exact(prefix)
    } else {
        AccessMatch::Prefix(prefix)
    })
}

fn access_entry<P: ListPrefix>(config: &mut Config, args: &Args<'_>) -> Done {
    let Some(matches) = access_match::<P>(args) else {
        return Ok(());
    };
    let entry = AccessEntry {
        action: action(args),
        matches,
    };
    let seq = args.number("seq");
    let lists = P::access_lists_mut(&mut config.policy);
    let name = list_name(args);
    if args.on {
        let list = lists.entry(name).or_default();
        return insert_new(&mut list.entries, seq, entry)
            .map_err(|message| Rejection::at("list", message));
    }
    if let Some(list) = lists.get_mut(&name) {
        take_out(&mut list.entries, seq, &entry);
        if *list == AccessList::default() {
            lists.remove(&name);
        }
    }
    Ok(())
}

fn remark<P: ListPrefix>(config: &mut Config, args: &Args<'_>) -> Done {
    let lists = P::access_lists_mut(&mut config.policy);
    let name = list_name(args);
    if args.on {
        lists.entry(name).or_default().remark = args.text("text");
    } else if let Some(list) = lists.get_mut(&name) {
        list.remark = None;
        if *list == AccessList::default() {
            lists.remove(&name);
        }
    }
    Ok(())
}

fn no_access_list<P: ListPrefix>(config: &mut Config, args: &Args<'_>) -> Done {
    P::access_lists_mut(&mut config.policy).remove(&list_name(args));
    Ok(())
}
