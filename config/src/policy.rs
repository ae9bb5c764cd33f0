//! Named lists and route maps: numbers of entries, the normal form, and what
//! must hold.

use std::collections::BTreeMap;

use holdfast_policy::Pattern;
use holdfast_policy::model::{
    AccessEntry, AccessList, AccessMatch, AsPathList, CommunityList, CommunityMatcher, Listable,
    Lists, OnMatch, PolicyConfig, PrefixEntry, PrefixList, RouteMap, RouteMapEntry,
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::clause;
use crate::frr::clause_of;
use crate::model::Prefix;
use crate::normal::single_spaced;

/// Prefixes of the two families, with the lists that have them.
pub(crate) trait ListPrefix: Prefix {
    /// How lines about the family begin.
    const IP: &'static str;
    /// The length of an address.
    const BITS: u8;
    fn prefix_lists(policy: &PolicyConfig) -> &Lists<PrefixList<Self>>;
    fn prefix_lists_mut(policy: &mut PolicyConfig) -> &mut Lists<PrefixList<Self>>;
    fn access_lists(policy: &PolicyConfig) -> &Lists<AccessList>;
    fn access_lists_mut(policy: &mut PolicyConfig) -> &mut Lists<AccessList>;
    fn length(self) -> u8;
}

impl ListPrefix for Ipv4Net {
    const IP: &'static str = "ip";
    const BITS: u8 = 32;

    fn prefix_lists(policy: &PolicyConfig) -> &Lists<PrefixList<Self>> {
        &policy.ip_prefix_lists
    }

    fn prefix_lists_mut(policy: &mut PolicyConfig) -> &mut Lists<PrefixList<Self>> {
        &mut policy.ip_prefix_lists
    }

    fn access_lists(policy: &PolicyConfig) -> &Lists<AccessList> {
        &policy.access_lists
    }

    fn access_lists_mut(policy: &mut PolicyConfig) -> &mut Lists<AccessList> {
        &mut policy.access_lists
    }

    fn length(self) -> u8 {
        self.prefix_len()
    }
}

impl ListPrefix for Ipv6Net {
    const IP: &'static str = "ipv6";
    const BITS: u8 = 128;

    fn prefix_lists(policy: &PolicyConfig) -> &Lists<PrefixList<Self>> {
        &policy.ipv6_prefix_lists
    }

    fn prefix_lists_mut(policy: &mut PolicyConfig) -> &mut Lists<PrefixList<Self>> {
        &mut policy.ipv6_prefix_lists
    }

    fn access_lists(policy: &PolicyConfig) -> &Lists<AccessList> {
        &policy.ipv6_access_lists
    }

    fn access_lists_mut(policy: &mut PolicyConfig) -> &mut Lists<AccessList> {
        &mut policy.ipv6_access_lists
    }

    fn length(self) -> u8 {
        self.prefix_len()
    }
}

// ===== numbers =====

/// How far apart entries without a number of their own are.
const STEP: u32 = 5;

/// Adds an entry: at its number, in place of the one there, or after all
/// others.
///
/// # Errors
/// There is no number after the last.
pub(crate) fn insert<E>(
    entries: &mut BTreeMap<u32, E>,
    seq: Option<u32>,
    entry: E,
) -> Result<(), String> {
    let seq = match seq {
        Some(seq) => seq,
        None => next_seq(entries).ok_or("there is no sequence number after the last entry's")?,
    };
    entries.insert(seq, entry);
    Ok(())
}

/// As [`insert`], unless there is an entry like it already.
///
/// # Errors
/// There is no number after the last.
pub(crate) fn insert_new<E: PartialEq>(
    entries: &mut BTreeMap<u32, E>,
    seq: Option<u32>,
    entry: E,
) -> Result<(), String> {
    if seq.is_none() && entries.values().any(|known| *known == entry) {
        return Ok(());
    }
    insert(entries, seq, entry)
}

fn next_seq<E>(entries: &BTreeMap<u32, E>) -> Option<u32> {
    let last = entries.keys().next_back().copied().unwrap_or(0);
    (last / STEP * STEP).checked_add(STEP)
}

/// Takes out the entry, at the number if there is one. Returns whether it was
/// there.
pub(crate) fn remove<E: PartialEq>(
    entries: &mut BTreeMap<u32, E>,
    seq: Option<u32>,
    entry: &E,
) -> bool {
    let found = match seq {
        Some(seq) => entries
            .get(&seq)
            .filter(|known| *known == entry)
            .map(|_| seq),
        None => entries
            .iter()
            .find(|(_, known)| *known == entry)
            .map(|(seq, _)| *seq),
    };
    found.and_then(|seq| entries.remove(&seq)).is_some()
}

/// Lists in FRR's order: by number, then by name.
pub(crate) fn in_order<L>(lists: &Lists<L>) -> Vec<(&str, &L)> {
    let mut lists: Vec<_> = lists
        .iter()
        .map(|(name, list)| (name.as_str(), list))
        .collect();
    lists.sort_by_key(|(name, _)| (number(name).is_none(), number(name), *name));
    lists
}

/// A name that is a number.
pub(crate) fn number(name: &str) -> Option<u32> {
    let digits = name.bytes().all(|byte| byte.is_ascii_digit());
    name.parse().ok().filter(|_| digits)
}

// ===== the normal form =====

/// Brings lists and route maps into their normal form.
pub(crate) fn normalize(policy: &mut PolicyConfig) {
    normalize_prefix_lists::<Ipv4Net>(policy);
    normalize_prefix_lists::<Ipv6Net>(policy);
    for list in policy.as_path_lists.values_mut() {
        for entry in list.entries.values_mut() {
            entry.regex = single_spaced(&entry.regex).unwrap_or_default();
        }
    }
    policy
        .as_path_lists
        .retain(|_, list| !list.entries.is_empty());
    normalize_communities(&mut policy.community_lists, |c| c.0 == 0);
    normalize_communities(&mut policy.large_community_lists, |_| false);
    normalize_communities(&mut policy.ext_community_lists, |_| false);
    for map in policy.route_maps.values_mut() {
        for entry in map.entries.values_mut() {
            clause::normalize(entry);
            entry.description = spaced(&entry.description);
        }
    }
    let empty = RouteMap::default();
    policy.route_maps.retain(|_, map| *map != empty);
}

fn spaced(text: &Option<String>) -> Option<String> {
    text.as_deref().and_then(single_spaced)
}

fn normalize_prefix_lists<P: ListPrefix>(policy: &mut PolicyConfig) {
    let lists = P::prefix_lists_mut(policy);
    for list in lists.values_mut() {
        list.description = spaced(&list.description);
        for entry in list.entries.values_mut() {
            entry.prefix = entry.prefix.map(P::truncated);
        }
    }
    lists.retain(|_, list| list.description.is_some() || !list.entries.is_empty());
    let lists = P::access_lists_mut(policy);
    for list in lists.values_mut() {
        list.remark = spaced(&list.remark);
        for entry in list.entries.values_mut() {
            entry.matches = match entry.matches {
                AccessMatch::Prefix(prefix) => AccessMatch::Prefix(prefix.trunc()),
                AccessMatch::Exact(prefix) => AccessMatch::Exact(prefix.trunc()),
                other => other,
            };
        }
    }
    lists.retain(|_, list| *list != AccessList::default());
}

/// Communities are in order, none twice; the one that stands for all stands
/// alone.
pub(crate) fn normal_communities<C: Ord>(mut all: Vec<C>, is_any: fn(&C) -> bool) -> Vec<C> {
    if all.iter().any(is_any) {
        return Vec::new();
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn normalize_communities<C: Listable>(lists: &mut Lists<CommunityList<C>>, is_any: fn(&C) -> bool) {
    for list in lists.values_mut() {
        for entry in list.entries.values_mut() {
            match &mut entry.matcher {
                CommunityMatcher::All(all) => {
                    *all = normal_communities(std::mem::take(all), is_any);
                }
                CommunityMatcher::Regex(regex) => {
                    *regex = single_spaced(regex).unwrap_or_default();
                }
            }
        }
    }
    lists.retain(|_, list| !list.entries.is_empty());
}

// ===== what must hold =====

/// FRR's text about the lengths of an entry of a prefix list, if they are wrong.
pub(crate) fn wrong_lengths<P: ListPrefix>(entry: &PrefixEntry<P>) -> Option<String> {
    let Some(prefix) = entry.prefix else {
        let said = entry.ge.or(entry.le);
        return said.map(|_| "any has neither ge nor le".to_owned());
    };
    let ge = entry.ge.unwrap_or(prefix.length());
    let le = entry.le.unwrap_or(P::BITS);
    let fits = prefix.length() <= ge && ge <= le && le <= P::BITS;
    (!fits).then(|| {
        format!("Invalid prefix range for {prefix}: Make sure that mask length <= ge <= le")
    })
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn is_line(text: &str) -> bool {
    !text.trim().is_empty() && !text.contains(char::is_control)
}

/// Everything wrong with lists and route maps that were not read from lines.
pub(crate) fn problems(policy: &PolicyConfig) -> Vec<String> {
    let mut found = Vec::new();
    check_family::<Ipv4Net>(policy, &mut found);
    check_family::<Ipv6Net>(policy, &mut found);
    for (name, list) in &policy.as_path_lists {
        check_as_paths(name, list, &mut found);
    }
    check_communities("community-list", &policy.community_lists, &mut found);
    check_communities(
        "large-community-list",
        &policy.large_community_lists,
        &mut found,
    );
    check_communities("extcommunity-list", &policy.ext_community_lists, &mut found);
    for (community, alias) in &policy.community_aliases {
        if !is_aliased(community) || !is_word(alias) {
            found.push(format!("\"{alias}\" cannot be an alias of \"{community}\""));
        }
    }
    for (name, map) in &policy.route_maps {
        check_route_map(name, map, &mut found);
    }
    found
}

/// Whether there can be an alias of this text.
pub(crate) fn is_aliased(community: &str) -> bool {
    let large = community.parse::<bgp_wire::LargeCommunity>().is_ok();
    large || clause::community_of(community).is_some()
}

fn no_name(what: &str, name: &str) -> String {
    format!("\"{name}\" cannot be the name of a {what}: it must be one word")
}

fn check_family<P: ListPrefix>(policy: &PolicyConfig, found: &mut Vec<String>) {
    for (name, list) in P::prefix_lists(policy) {
        let title = format!("{} prefix-list {name}", P::IP);
        if !is_word(name) {
            found.push(no_name("prefix list", name));
        }
        if list
            .description
            .as_deref()
            .is_some_and(|text| !is_line(text))
        {
            found.push(format!("{title}: the description must be one line"));
        }
        if list.entries.contains_key(&0) {
            found.push(format!("{title}: sequence numbers begin with 1"));
        }
        let wrong = list.entries.values().filter_map(wrong_lengths);
        found.extend(wrong.map(|message| format!("{title}: {message}")));
    }
    for (name, list) in P::access_lists(policy) {
        let title = format!("{} access-list {name}", P::IP);
        if !is_word(name) {
            found.push(no_name("access list", name));
        }
        if list.remark.as_deref().is_some_and(|text| !is_line(text)) {
            found.push(format!("{title}: the remark must be one line"));
        }
        if list.entries.contains_key(&0) {
            found.push(format!("{title}: sequence numbers begin with 1"));
        }
        if list.entries.values().any(|entry| !is_of_family::<P>(entry)) {
            found.push(format!("{title}: an entry is of the other family"));
        }
    }
}

fn is_of_family<P: ListPrefix>(entry: &AccessEntry) -> bool {
    let is_ipv4 = P::BITS == <Ipv4Net as ListPrefix>::BITS;
    match entry.matches {
        AccessMatch::Any => true,
        AccessMatch::Prefix(prefix) | AccessMatch::Exact(prefix) => {
            matches!(prefix, IpNet::V4(_)) == is_ipv4
        }
        AccessMatch::Standard(_) | AccessMatch::Extended(..) => is_ipv4,
    }
}

/// FRR's text about an expression over AS paths with a character that none
/// has.
pub(crate) fn wrong_as_path(regex: &str) -> Option<String> {
    let known = |c: char| c.is_ascii_digit() || "_^|[,{}() ]$*+.?-\\".contains(c);
    if !regex.chars().all(known) {
        return Some(format!("Invalid character in as-path access-list {regex}"));
    }
    wrong_regex(regex)
}

/// What is wrong with an expression.
pub(crate) fn wrong_regex(regex: &str) -> Option<String> {
    let error = Pattern::new(regex).err()?;
    Some(format!("Can't compile regexp {regex}: {error}"))
}

fn check_as_paths(name: &str, list: &AsPathList, found: &mut Vec<String>) {
    if !is_word(name) {
        found.push(no_name("AS-path access list", name));
    }
    if list.entries.values().any(|entry| !is_line(&entry.regex)) {
        found.push(format!(
            "bgp as-path access-list {name}: an expression must be one line"
        ));
    }
    let regexes = list.entries.values().map(|entry| entry.regex.as_str());
    found.extend(regexes.filter_map(wrong_as_path));
}

fn check_communities<C: Listable>(
    what: &str,
    lists: &Lists<CommunityList<C>>,
    found: &mut Vec<String>,
) {
    for (name, list) in lists {
        let title = format!("bgp {what} {name}");
        if !is_word(name) {
            found.push(no_name(what, name));
        }
        let fits = |matcher: &CommunityMatcher<C>| match matcher {
            CommunityMatcher::All(_) => !list.expanded,
            CommunityMatcher::Regex(regex) => list.expanded && is_line(regex),
        };
        let regexes = list
            .entries
            .values()
            .filter_map(|entry| match &entry.matcher {
                CommunityMatcher::Regex(regex) => wrong_regex(regex),
                CommunityMatcher::All(_) => None,
            });
        found.extend(regexes.map(|message| format!("{title}: {message}")));
        if !list.entries.values().all(|entry| fits(&entry.matcher)) {
            found.push(format!(
                "{title}: expanded lists have expressions, standard ones communities"
            ));
        }
    }
}

fn check_route_map(name: &str, map: &RouteMap, found: &mut Vec<String>) {
    if !is_word(name) {
        found.push(no_name("route map", name));
    }
    for (seq, entry) in &map.entries {
        let title = format!("route-map {name} {seq}");
        let mut check = |holds: bool, message: &str| {
            if !holds {
                found.push(format!("{title}: {message}"));
            }
        };
        check(*seq != 0, "sequence numbers begin with 1");
        let description = entry.description.as_deref();
        check(
            description.is_none_or(is_line),
            "the description must be one line",
        );
        check(
            entry.call.as_deref().is_none_or(is_word),
            "call needs a name",
        );
        check(entry.call.as_deref() != Some(name), CALLS_ITSELF);
        check(goes_on(*seq, entry.on_match), GOES_BACK);
        for text in clauses_without_line(entry) {
            check(false, &format!("there is no such clause: {text}"));
        }
    }
}

/// What is said about a route map that calls itself.
pub(crate) const CALLS_ITSELF: &str = "a route map cannot call itself";
/// What is said about a jump to an entry that is not after this one.
pub(crate) const GOES_BACK: &str = "goto needs a later entry";

/// Whether a jump leads onwards.
pub(crate) fn goes_on(seq: u16, on_match: OnMatch) -> bool {
    match on_match {
        OnMatch::Goto(to) => to > seq,
        OnMatch::Exit | OnMatch::Next => true,
    }
}

/// Clauses that no line says, in words.
fn clauses_without_line(entry: &RouteMapEntry) -> Vec<String> {
    use clause::Clause;
    let matches = entry.matches.iter().map(|clause| {
        (
            clause::match_text(clause).to_string(),
            Clause::Match(clause.clone()),
        )
    });
    let sets = entry.sets.iter().map(|clause| {
        (
            clause::set_text(clause).to_string(),
            Clause::Set(clause.clone()),
        )
    });
    matches
        .chain(sets)
        .filter(|(text, clause)| clause_of(text).as_ref() != Ok(clause))
        .map(|(text, _)| text)
        .collect()
}
