//! Prefix lists, access lists, AS-path access lists and community lists.

use std::io::{self, Write};

use holdfast_api::v1;
use ipnet::IpNet;
use serde_json::{Map, Value, json};

use super::json::document;
use super::{Family as Afi, action_word};

/// How much is told of prefix lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListStyle {
    /// Their entries.
    Plain,
    /// How many there are.
    Summary,
    /// Both, and how often they decided.
    Detail,
}

/// Which entries of a prefix list are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PrefixQuestion<'a> {
    pub(crate) prefix: &'a str,
    /// Those inside of it too.
    pub(crate) longer: bool,
    /// Only the first one.
    pub(crate) first: bool,
}

/// `ip` or `ipv6`, as lines begin.
fn ip(afi: Afi) -> &'static str {
    match afi {
        Afi::V4 => "ip",
        Afi::V6 => "ipv6",
    }
}

// ===== prefix lists =====

fn entry_line(entry: &v1::PolicyEntry) -> String {
    let (seq, action) = (entry.seq, action_word(entry.permit));
    format!("   seq {seq} {action} {}", entry.text)
}

fn counted_line(entry: &v1::PolicyEntry) -> String {
    let line = entry_line(entry);
    format!("{line} (hit count: {}, refcount: 0)", entry.hits)
}

/// The first and the last number; 0 where there is no entry.
fn sequences(list: &v1::PolicyObject) -> (u32, u32) {
    let number = |entry: Option<&v1::PolicyEntry>| entry.map_or(0, |entry| entry.seq);
    (number(list.entries.first()), number(list.entries.last()))
}

/// Writes whole lists.
pub(crate) fn prefix_lists(
    out: &mut dyn Write,
    afi: Afi,
    lists: &[v1::PolicyObject],
    style: ListStyle,
) -> io::Result<()> {
    for list in lists {
        let count = list.entries.len();
        let title = format!("BGP: {} prefix-list {}:", ip(afi), list.name);
        match style {
            ListStyle::Plain => writeln!(out, "{title} {count} entries")?,
            ListStyle::Summary | ListStyle::Detail => writeln!(out, "{title}")?,
        }
        if !list.description.is_empty() {
            writeln!(out, "   Description: {}", list.description)?;
        }
        if style != ListStyle::Plain {
            let (first, last) = sequences(list);
            writeln!(
                out,
                "   count: {count}, range entries: 0, sequences: {first} - {last}"
            )?;
        }
        for entry in &list.entries {
            match style {
                ListStyle::Plain => writeln!(out, "{}", entry_line(entry))?,
                ListStyle::Detail => writeln!(out, "{}", counted_line(entry))?,
                ListStyle::Summary => {}
            }
        }
    }
    Ok(())
}

/// Writes the entry of a number.
pub(crate) fn prefix_list_entry(
    out: &mut dyn Write,
    list: &v1::PolicyObject,
    seq: u32,
) -> io::Result<()> {
    let entry = list.entries.iter().find(|entry| entry.seq == seq);
    match entry {
        Some(entry) => writeln!(out, "BGP: {}", counted_line(entry)),
        None => Ok(()),
    }
}

/// Writes the entries of a prefix, or of those inside of it.
pub(crate) fn prefix_list_search(
    out: &mut dyn Write,
    list: &v1::PolicyObject,
    asked: &PrefixQuestion<'_>,
) -> io::Result<()> {
    let Ok(wanted) = asked.prefix.parse::<IpNet>().map(|net| net.trunc()) else {
        return Ok(());
    };
    for entry in &list.entries {
        let is = match entry.prefix.parse::<IpNet>() {
            Ok(net) => net,
            // `any`
            Err(_) => match wanted {
                IpNet::V4(_) => IpNet::V4(ipnet::Ipv4Net::default()),
                IpNet::V6(_) => IpNet::V6(ipnet::Ipv6Net::default()),
            },
        };
        if asked.longer {
            if wanted.contains(&is) {
                writeln!(out, "{}", entry_line(entry))?;
            }
        } else if wanted == is {
            writeln!(out, "{}", counted_line(entry))?;
            if asked.first {
                break;
            }
        }
    }
    Ok(())
}

/// Writes one JSON document; with a number, only that entry.
pub(crate) fn prefix_lists_json(
    out: &mut dyn Write,
    afi: Afi,
    lists: &[v1::PolicyObject],
    (style, seq): (ListStyle, Option<u32>),
) -> io::Result<()> {
    let mut all = Map::new();
    for list in lists {
        let counts = style == ListStyle::Detail || seq.is_some();
        let entries: Vec<Value> = list
            .entries
            .iter()
            .filter(|entry| seq.is_none_or(|seq| entry.seq == seq))
            .map(|entry| prefix_entry(afi, entry, counts))
            .collect();
        let mut object = Map::new();
        let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
        if seq.is_none() {
            put("addressFamily", json!(afi.afi_title()));
        }
        let description = || json!(list.description);
        if style != ListStyle::Plain {
            if !list.description.is_empty() {
                put("description", description());
            }
            let (first, last) = sequences(list);
            put("count", json!(list.entries.len()));
            put("rangeEntries", json!(0));
            put("sequenceStart", json!(first));
            put("sequenceEnd", json!(last));
        }
        if style != ListStyle::Summary {
            put("entries", json!(entries));
        }
        if style == ListStyle::Plain && seq.is_none() && !list.description.is_empty() {
            put("description", description());
        }
        all.insert(list.name.clone(), Value::Object(object));
    }
    document(out, &json!({ "BGP": all }))
}

fn prefix_entry(afi: Afi, entry: &v1::PolicyEntry, counts: bool) -> Value {
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    put("sequenceNumber", json!(entry.seq));
    put("type", json!(action_word(entry.permit)));
    let any = entry.prefix.is_empty();
    put("prefix", json!(prefix_or_any(afi, entry)));
    if let Some(ge) = entry.ge {
        put("minimumPrefixLength", json!(ge));
    }
    let whole = match afi {
        Afi::V4 => 32,
        Afi::V6 => 128,
    };
    if let Some(le) = entry.le.or(any.then_some(whole)) {
        put("maximumPrefixLength", json!(le));
    }
    if counts {
        put("hitCount", json!(entry.hits));
        put("referenceCount", json!(0));
    }
    Value::Object(object)
}

fn prefix_or_any(afi: Afi, entry: &v1::PolicyEntry) -> &str {
    match (entry.prefix.as_str(), afi) {
        ("", Afi::V4) => "0.0.0.0/0",
        ("", Afi::V6) => "::/0",
        (prefix, _) => prefix,
    }
}

// ===== access lists =====

/// What a list's entries are by, in FRR's word.
fn access_type(list: &v1::PolicyObject) -> &'static str {
    let named = |first: u32, last: u32| {
        let number = list.name.parse::<u32>();
        number.is_ok_and(|number| (first..=last).contains(&number))
    };
    if named(1, 99) || named(1300, 1999) {
        "Standard"
    } else if named(100, 199) || named(2000, 2699) {
        "Extended"
    } else {
        "Zebra"
    }
}

pub(crate) fn access_lists(
    out: &mut dyn Write,
    afi: Afi,
    lists: &[v1::PolicyObject],
) -> io::Result<()> {
    writeln!(out, "BGP:")?;
    for list in lists {
        let family = match afi {
            Afi::V4 => "IP",
            // Two blanks are FRR's.
            Afi::V6 => "IPv6 ",
        };
        let kind = access_type(list);
        writeln!(out, "{kind} {family} access list {}", list.name)?;
        for entry in &list.entries {
            let action = action_word(entry.permit);
            let text = match (entry.address.as_str(), entry.wildcard.as_str()) {
                _ if !entry.mask_address.is_empty() => entry.text.clone(),
                ("", _) => entry.text.clone(),
                (address, "0.0.0.0") => address.to_owned(),
                (address, wildcard) => format!("{address}, wildcard bits {wildcard}"),
            };
            writeln!(out, "    seq {} {action:6} {text}", entry.seq)?;
        }
    }
    Ok(())
}

pub(crate) fn access_lists_json(
    out: &mut dyn Write,
    afi: Afi,
    lists: &[v1::PolicyObject],
) -> io::Result<()> {
    let mut all = Map::new();
    for list in lists {
        let rules: Vec<Value> = list.entries.iter().map(|e| access_rule(afi, e)).collect();
        let value = json!({
            "type": access_type(list),
            "addressFamily": afi.afi_title(),
            "rules": rules,
        });
        all.insert(list.name.clone(), value);
    }
    document(out, &json!({ "BGP": all }))
}

fn access_rule(afi: Afi, entry: &v1::PolicyEntry) -> Value {
    let (seq, action) = (entry.seq, action_word(entry.permit));
    if !entry.mask_address.is_empty() {
        return json!({
            "sequenceNumber": seq,
            "filterType": action,
            "extended": true,
            "sourceAddress": entry.address,
            "sourceMask": entry.wildcard,
            "destinationAddress": entry.mask_address,
            "destinationMask": entry.mask_wildcard,
        });
    }
    if !entry.address.is_empty() {
        return json!({
            "sequenceNumber": seq,
            "filterType": action,
            "address": entry.address,
            "mask": entry.wildcard,
        });
    }
    json!({
        "sequenceNumber": seq,
        "filterType": action,
        "prefix": prefix_or_any(afi, entry),
        "exact-match": entry.exact,
    })
}

// ===== lists of attributes =====

fn lines(out: &mut dyn Write, list: &v1::PolicyObject) -> io::Result<()> {
    for entry in &list.entries {
        let action = action_word(entry.permit);
        writeln!(out, "    {action} {}", entry.text)?;
    }
    Ok(())
}

pub(crate) fn as_path_lists(out: &mut dyn Write, lists: &[v1::PolicyObject]) -> io::Result<()> {
    for list in lists {
        writeln!(out, "AS path access list {}", list.name)?;
        lines(out, list)?;
    }
    Ok(())
}

pub(crate) fn as_path_lists_json(
    out: &mut dyn Write,
    lists: &[v1::PolicyObject],
) -> io::Result<()> {
    let mut all = Map::new();
    for list in lists {
        let entries = list.entries.iter().map(|entry| {
            json!({
                "sequenceNumber": entry.seq,
                "type": action_word(entry.permit),
                "regExp": entry.text,
            })
        });
        all.insert(list.name.clone(), entries.collect());
    }
    document(out, &Value::Object(all))
}

pub(crate) fn community_lists(
    out: &mut dyn Write,
    kind: v1::PolicyKind,
    lists: &[v1::PolicyObject],
) -> io::Result<()> {
    let what = match kind {
        v1::PolicyKind::PolicyLargeCommunityList => "large community",
        v1::PolicyKind::PolicyExtCommunityList => "extended community",
        _ => "community",
    };
    for list in lists {
        let style = match list.expanded {
            true => "expanded",
            false => "standard",
        };
        let is_number = list.name.bytes().all(|byte| byte.is_ascii_digit());
        let title = match (is_number, kind) {
            (false, v1::PolicyKind::PolicyCommunityList) => format!("Named Community {style}"),
            (false, _) => format!("Named {what} {style}"),
            (true, v1::PolicyKind::PolicyCommunityList) if list.expanded => {
                "Community (expanded) access".to_owned()
            }
            (true, _) => {
                let (first, rest) = what.split_at(1);
                format!("{}{rest} {style}", first.to_uppercase())
            }
        };
        writeln!(out, "{title} list {}", list.name)?;
        lines(out, list)?;
    }
    Ok(())
}

// ===== aliases =====

fn alias(object: &v1::PolicyObject) -> impl Iterator<Item = (&str, &str)> {
    let entries = object.entries.iter();
    entries.map(|entry| (entry.prefix.as_str(), entry.text.as_str()))
}

pub(crate) fn aliases(out: &mut dyn Write, objects: &[v1::PolicyObject]) -> io::Result<()> {
    for (community, name) in objects.iter().flat_map(alias) {
        writeln!(out, "{community} {name}")?;
    }
    Ok(())
}

pub(crate) fn aliases_json(out: &mut dyn Write, objects: &[v1::PolicyObject]) -> io::Result<()> {
    let all: Map<String, Value> = objects
        .iter()
        .flat_map(alias)
        .map(|(community, name)| (community.to_owned(), json!(name)))
        .collect();
    document(out, &Value::Object(all))
}
