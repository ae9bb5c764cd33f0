//! `bgp as-path access-list`, the three kinds of community lists, and
//! `bgp community alias`.

use bgp_wire::{Community, ExtendedCommunity, LargeCommunity};
use holdfast_policy::model::{
    AsPathEntry, CommunityEntry, CommunityList, CommunityMatcher, ExtCommunityList,
    LargeCommunityList, Listable, Lists, PolicyConfig, StandardCommunityList,
};

use crate::clause::{INTERNET, community_of, community_word};
use crate::model::Config;
use crate::policy::{
    in_order, insert_new, is_aliased, normal_communities, number, remove, wrong_as_path,
    wrong_regex,
};

use super::lists::{action, list_name};
use super::row::{Apply, Args, Done, Print, Rejection, Row};

macro_rules! standard {
    ($list:literal, $name:literal) => {
        concat!(
            $list,
            " <(1-99)$number|standard ",
            $name,
            "$list> [seq (0-4294967295)$seq] <deny|permit>$action LINE...$value"
        )
    };
}

macro_rules! expanded {
    ($list:literal, $name:literal) => {
        concat!(
            $list,
            " <(100-500)$number|expanded ",
            $name,
            "$list> [seq (0-4294967295)$seq] <deny|permit>$action LINE...$value"
        )
    };
}

macro_rules! rows {
    ($kind:ty, $list:literal, $name:literal) => {
        [
            Row::new(
                standard!($list, $name),
                concat!("no ", standard!($list, $name)),
                Apply::Config(entry::<$kind>),
                Print::Nothing,
            ),
            Row::new(
                expanded!($list, $name),
                concat!("no ", expanded!($list, $name)),
                Apply::Config(entry::<$kind>),
                Print::Nothing,
            ),
            Row::new(
                concat!(
                    "no ",
                    $list,
                    " <(1-99)$number|(100-500)$number|standard ",
                    $name,
                    "$list|expanded ",
                    $name,
                    "$list>"
                ),
                "",
                Apply::Config(no_list::<$kind>),
                Print::Nothing,
            ),
        ]
    };
}

/// [`blocks`] prints them.
pub(super) const ROWS: [&[Row]; 4] = [
    &[
        Row::new(
            "bgp as-path access-list AS_PATH_FILTER_NAME$list [seq (0-4294967295)$seq] \
             <deny|permit>$action LINE...$value",
            "no bgp as-path access-list AS_PATH_FILTER_NAME$list [seq (0-4294967295)$seq] \
             <deny|permit>$action LINE...$value",
            Apply::Config(as_path_entry),
            Print::Nothing,
        ),
        Row::new(
            "no bgp as-path access-list AS_PATH_FILTER_NAME$list",
            "",
            Apply::Config(no_as_path_list),
            Print::Nothing,
        ),
        Row::new(
            "bgp community alias COMMUNITY$community ALIAS_NAME$alias",
            "no bgp community alias COMMUNITY$community [ALIAS_NAME$alias]",
            Apply::Config(alias),
            Print::Nothing,
        ),
    ],
    &rows!(Community, "bgp community-list", "COMMUNITY_LIST_NAME"),
    &rows!(
        LargeCommunity,
        "bgp large-community-list",
        "LCOMMUNITY_LIST_NAME"
    ),
    &rows!(
        ExtendedCommunity,
        "bgp extcommunity-list",
        "EXTCOMMUNITY_LIST_NAME"
    ),
];

/// The blocks of all lists, in FRR's order.
pub(super) fn blocks(config: &Config) -> [Vec<String>; 3] {
    let policy = &config.policy;
    let mut as_paths = Vec::new();
    for (name, list) in in_order(&policy.as_path_lists) {
        for (seq, entry) in &list.entries {
            let (action, regex) = (entry.action.as_str(), &entry.regex);
            as_paths.push(format!(
                "bgp as-path access-list {name} seq {seq} {action} {regex}"
            ));
        }
    }
    let mut lists = lines::<Community>(policy);
    lists.extend(lines::<ExtendedCommunity>(policy));
    lists.extend(lines::<LargeCommunity>(policy));
    let aliases = policy.community_aliases.iter();
    let aliases =
        aliases.map(|(community, alias)| format!("bgp community alias {community} {alias}"));
    [as_paths, lists, aliases.collect()]
}

// ===== AS paths =====

fn as_path_entry(config: &mut Config, args: &Args<'_>) -> Done {
    let entry = AsPathEntry {
        action: action(args),
        regex: args.text("value").unwrap_or_default(),
    };
    if let Some(message) = wrong_as_path(&entry.regex).filter(|_| args.on) {
        return Err(Rejection::at("value", message));
    }
    let lists = &mut config.policy.as_path_lists;
    let (name, seq) = (list_name(args), args.number("seq"));
    if args.on {
        let list = lists.entry(name).or_default();
        return insert_new(&mut list.entries, seq, entry)
            .map_err(|message| Rejection::at("list", message));
    }
    let Some(list) = lists.get_mut(&name) else {
        return Err(no_such_as_path_list(&name));
    };
    if !remove(&mut list.entries, seq, &entry) {
        let message = format!("Regex entered {} does not exist", entry.regex);
        return Err(Rejection::at("value", message));
    }
    if list.entries.is_empty() {
        lists.remove(&name);
    }
    Ok(())
}

fn no_as_path_list(config: &mut Config, args: &Args<'_>) -> Done {
    let name = list_name(args);
    match config.policy.as_path_lists.remove(&name) {
        Some(_) => Ok(()),
        None => Err(no_such_as_path_list(&name)),
    }
}

fn no_such_as_path_list(name: &str) -> Rejection {
    let message = format!("bgp as-path access-list {name} doesn't exist");
    Rejection::at("list", message)
}

// ===== communities =====

/// A kind of community that there are lists of.
pub(crate) trait Kind: Listable {
    /// How lines about the lists begin.
    const LIST: &'static str;
    fn lists(policy: &PolicyConfig) -> &Lists<CommunityList<Self>>;
    fn lists_mut(policy: &mut PolicyConfig) -> &mut Lists<CommunityList<Self>>;
    /// The communities of an entry; `None` if they cannot be read.
    fn read(text: &str) -> Option<Vec<Self>>;
    fn write(all: &[Self]) -> String;
}

impl Kind for Community {
    const LIST: &'static str = "bgp community-list";

    fn lists(policy: &PolicyConfig) -> &Lists<StandardCommunityList> {
        &policy.community_lists
    }

    fn lists_mut(policy: &mut PolicyConfig) -> &mut Lists<StandardCommunityList> {
        &mut policy.community_lists
    }

    fn read(text: &str) -> Option<Vec<Self>> {
        let all: Option<Vec<Self>> = text.split_whitespace().map(community_of).collect();
        Some(normal_communities(all?, |community| community.0 == 0))
    }

    fn write(all: &[Self]) -> String {
        if all.is_empty() {
            return INTERNET.to_owned();
        }
        join(all.iter().map(community_word))
    }
}

impl Kind for LargeCommunity {
    const LIST: &'static str = "bgp large-community-list";

    fn lists(policy: &PolicyConfig) -> &Lists<LargeCommunityList> {
        &policy.large_community_lists
    }

    fn lists_mut(policy: &mut PolicyConfig) -> &mut Lists<LargeCommunityList> {
        &mut policy.large_community_lists
    }

    fn read(text: &str) -> Option<Vec<Self>> {
        let all: Option<Vec<Self>> = text.split_whitespace().map(|w| w.parse().ok()).collect();
        Some(normal_communities(all?, |_| false))
    }

    fn write(all: &[Self]) -> String {
        join(all.iter().map(Self::to_string))
    }
}

impl Kind for ExtendedCommunity {
    const LIST: &'static str = "bgp extcommunity-list";

    fn lists(policy: &PolicyConfig) -> &Lists<ExtCommunityList> {
        &policy.ext_community_lists
    }

    fn lists_mut(policy: &mut PolicyConfig) -> &mut Lists<ExtCommunityList> {
        &mut policy.ext_community_lists
    }

    /// `rt 65000:1 soo 65000:2`: the word holds for all numbers up to the next.
    fn read(text: &str) -> Option<Vec<Self>> {
        let mut kind = None;
        let mut all = Vec::new();
        for word in text.split_whitespace() {
            match word {
                "rt" | "soo" => kind = Some(word),
                _ => all.push(format!("{}:{word}", kind?).parse().ok()?),
            }
        }
        (!all.is_empty()).then(|| normal_communities(all, |_| false))
    }

    fn write(all: &[Self]) -> String {
        let word = |community: &Self| {
            let text = community.to_string();
            match text.split_once(':') {
                Some((kind, value)) => format!("{} {value}", kind.to_ascii_lowercase()),
                None => text,
            }
        };
        join(all.iter().map(word))
    }
}

fn join(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(" ")
}

/// How the lines of a list begin.
pub(crate) fn list_title<K: Kind>(name: &str, expanded: bool) -> String {
    let list = K::LIST;
    let (range, style) = match expanded {
        true => (100..=500, "expanded"),
        false => (1..=99, "standard"),
    };
    match number(name).filter(|number| range.contains(number)) {
        Some(number) => format!("{list} {number}"),
        None => format!("{list} {style} {name}"),
    }
}

/// An entry of a community list as lines have it.
pub(crate) fn entry_text<K: Kind>(entry: &CommunityEntry<K>) -> String {
    let action = entry.action.as_str();
    match &entry.matcher {
        CommunityMatcher::All(all) => format!("{action} {}", K::write(all)),
        CommunityMatcher::Regex(regex) => format!("{action} {regex}"),
    }
}

fn lines<K: Kind>(policy: &PolicyConfig) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, list) in in_order(K::lists(policy)) {
        let title = list_title::<K>(name, list.expanded);
        for (seq, entry) in &list.entries {
            lines.push(format!("{title} seq {seq} {}", entry_text(entry)));
        }
    }
    lines
}

/// The list's name, and whether it is an expanded one.
fn named(args: &Args<'_>) -> (String, bool) {
    match args.number::<u32>("number") {
        Some(number) => (number.to_string(), number >= 100),
        None => (list_name(args), args.found.has("expanded")),
    }
}

const MALFORMED: &str = "Malformed community-list value";
const NOT_FOUND: &str = "Can't find community-list";

fn entry<K: Kind>(config: &mut Config, args: &Args<'_>) -> Done {
    let (name, expanded) = named(args);
    let text = args.text("value").unwrap_or_default();
    let matcher = match expanded {
        true => {
            if let Some(message) = wrong_regex(&text).filter(|_| args.on) {
                return Err(Rejection::at("value", message));
            }
            CommunityMatcher::Regex(text)
        }
        false => {
            let all = K::read(&text).ok_or_else(|| Rejection::at("value", MALFORMED))?;
            CommunityMatcher::All(all)
        }
    };
    let entry = CommunityEntry {
        action: action(args),
        matcher,
    };
    let seq = args.number("seq");
    let lists = K::lists_mut(&mut config.policy);
    if !args.on {
        let list = lists.get_mut(&name);
        let removed = list.is_some_and(|list| {
            list.expanded == expanded && remove(&mut list.entries, seq, &entry)
        });
        if lists.get(&name).is_some_and(|list| list.entries.is_empty()) {
            lists.remove(&name);
        }
        return match removed {
            true => Ok(()),
            false => Err(Rejection::new(NOT_FOUND)),
        };
    }
    let list = lists.entry(name).or_insert_with(|| CommunityList {
        expanded,
        entries: Default::default(),
    });
    if list.expanded != expanded {
        let style = if expanded { "standard" } else { "expanded" };
        let message = format!("Community name conflict, previously defined as {style} community");
        return Err(Rejection::new(message));
    }
    insert_new(&mut list.entries, seq, entry).map_err(Rejection::new)
}

fn no_list<K: Kind>(config: &mut Config, args: &Args<'_>) -> Done {
    let (name, expanded) = named(args);
    let lists = K::lists_mut(&mut config.policy);
    let found = lists
        .get(&name)
        .is_some_and(|list| list.expanded == expanded);
    if !found {
        return Err(Rejection::new(NOT_FOUND));
    }
    lists.remove(&name);
    Ok(())
}

// ===== aliases =====

fn alias(config: &mut Config, args: &Args<'_>) -> Done {
    let community = args.text("community").unwrap_or_default();
    let aliases = &mut config.policy.community_aliases;
    if !args.on {
        aliases.remove(&community);
        return Ok(());
    }
    if !is_aliased(&community) {
        return Err(Rejection::at("community", "Invalid community format"));
    }
    let name = args.text("alias").unwrap_or_default();
    if let Some((owner, _)) = aliases
        .iter()
        .find(|(owner, alias)| **alias == name && **owner != community)
    {
        let message = format!("community ({owner}) already has this alias ({name})");
        return Err(Rejection::at("alias", message));
    }
    if let Some(other) = aliases.get(&community).filter(|other| **other != name) {
        let message = format!("community ({community}) already has this alias ({other})");
        return Err(Rejection::at("alias", message));
    }
    aliases.insert(community, name);
    Ok(())
}
