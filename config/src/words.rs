//! Lists and route maps in the words of FRR's lines, for those who show them.

use std::collections::BTreeMap;

use bgp_wire::{Community, ExtendedCommunity, LargeCommunity};
use holdfast_policy::model::{AccessEntry, CommunityEntry, Match, PrefixEntry, Set};
use ipnet::{Ipv4Net, Ipv6Net};

use crate::frr::{ListedCommunity, community_entry_text};

/// The rest of a line without its first word.
fn rest(line: &str) -> String {
    let rest = line.split_once(' ').map(|(_, rest)| rest);
    rest.unwrap_or_default().to_owned()
}

/// A `match` line without `match`.
pub fn match_words(line: &Match) -> String {
    rest(&crate::clause::match_text(line).to_string())
}

/// A `set` line without `set`.
pub fn set_words(line: &Set) -> String {
    rest(&crate::clause::set_text(line).to_string())
}

/// An entry of an IPv4 prefix list after its action: `10.0.0.0/8 ge 16`.
pub fn ip_prefix_words(entry: &PrefixEntry<Ipv4Net>) -> String {
    rest(&crate::frr::prefix_entry_text(entry))
}

/// An entry of an IPv6 prefix list after its action.
pub fn ipv6_prefix_words(entry: &PrefixEntry<Ipv6Net>) -> String {
    rest(&crate::frr::prefix_entry_text(entry))
}

/// An entry of an access list after its action: `10.0.0.0/8 exact-match`.
pub fn access_words(entry: &AccessEntry) -> String {
    rest(&crate::frr::access_entry_text(entry))
}

/// An entry of a community list after its action: `65000:1 no-export`.
pub fn community_words(entry: &CommunityEntry<Community>) -> String {
    rest(&community_entry_text(entry))
}

/// The same of large communities.
pub fn large_community_words(entry: &CommunityEntry<LargeCommunity>) -> String {
    rest(&community_entry_text(entry))
}

/// The same of extended communities.
pub fn ext_community_words(entry: &CommunityEntry<ExtendedCommunity>) -> String {
    rest(&community_entry_text(entry))
}

/// Communities from words of a line; none where one of the words is none.
pub fn communities(words: &str) -> Option<Vec<Community>> {
    Community::read(words)
}

/// The same of large communities.
pub fn large_communities(words: &str) -> Option<Vec<LargeCommunity>> {
    LargeCommunity::read(words)
}

/// Lists in FRR's order: those named by a number first, by that, then the
/// others by name.
pub fn in_order<L>(lists: &BTreeMap<String, L>) -> Vec<(&str, &L)> {
    crate::policy::in_order(lists)
}
