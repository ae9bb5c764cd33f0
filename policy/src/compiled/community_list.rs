//! Community lists of the three kinds, compiled.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use bgp_wire::{Community, ExtendedCommunity, LargeCommunity};

use super::ListVerdict;
use super::pattern::{Pattern, PatternError};
use crate::model::{self, Action, CommunityCompare, CommunityMatcher, Listable};

/// A community that lists are compiled for.
pub trait Comparable: Listable {
    /// Whether an entry with this one is for every route: `internet`.
    fn is_internet(self) -> bool {
        false
    }
}

impl Comparable for Community {
    fn is_internet(self) -> bool {
        self == Community(0)
    }
}

impl Comparable for LargeCommunity {}
impl Comparable for ExtendedCommunity {}

/// A community list.
#[derive(Debug, Clone)]
pub struct CommunityList<C> {
    source: model::CommunityList<C>,
    entries: Vec<(u32, Action, Matcher<C>)>,
}

/// Two lists are equal where they were compiled of the same, with the same
/// aliases.
impl<C: PartialEq> PartialEq for CommunityList<C> {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.entries == other.entries
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Matcher<C> {
    /// `internet`.
    Everything,
    /// Ascending.
    All(Vec<C>),
    Regex(Pattern),
}

impl<C: Comparable> CommunityList<C> {
    /// The list, compiled. Words of an expression that are aliases stand for
    /// their communities.
    ///
    /// # Errors
    ///
    /// The sequence number of an entry with a bad expression, and what is wrong
    /// with it.
    pub fn new(
        source: &model::CommunityList<C>,
        aliases: &BTreeMap<String, String>,
    ) -> Result<CommunityList<C>, (u32, PatternError)> {
        let entries = source.entries.iter().map(|(seq, entry)| {
            let matcher = match &entry.matcher {
                CommunityMatcher::All(list)
                    if list.is_empty() || list.iter().any(|c| c.is_internet()) =>
                {
                    Matcher::Everything
                }
                CommunityMatcher::All(list) => Matcher::All(sorted(list)),
                CommunityMatcher::Regex(text) => {
                    let text = without_aliases(text, aliases);
                    Matcher::Regex(Pattern::new(&text).map_err(|error| (*seq, error))?)
                }
            };
            Ok((*seq, entry.action, matcher))
        });
        Ok(CommunityList {
            entries: entries.collect::<Result<_, _>>()?,
            source: source.clone(),
        })
    }

    /// What it was compiled of.
    pub const fn source(&self) -> &model::CommunityList<C> {
        &self.source
    }

    /// What it says of a route with these communities.
    pub fn verdict(&self, communities: &[C], compare: CommunityCompare) -> ListVerdict {
        let mut text = None;
        let mut entries = self.entries.iter();
        let found = entries.find(|(_, _, m)| m.matches(communities, compare, &mut text));
        found.map_or(ListVerdict::REFUSED, ListVerdict::of_entry)
    }

    /// What it says of one community by itself, as where communities are
    /// deleted: an entry matches each of its communities.
    pub fn verdict_on(&self, community: C) -> ListVerdict {
        let mut entries = self.entries.iter();
        let found = entries.find(|(_, _, matcher)| matcher.matches_one(community));
        found.map_or(ListVerdict::REFUSED, ListVerdict::of_entry)
    }
}

impl ListVerdict {
    fn of_entry<M>((seq, action, _): &(u32, Action, M)) -> ListVerdict {
        ListVerdict {
            action: *action,
            seq: Some(*seq),
        }
    }
}

impl<C: Comparable> Matcher<C> {
    fn matches(
        &self,
        communities: &[C],
        compare: CommunityCompare,
        text: &mut Option<String>,
    ) -> bool {
        match (self, compare) {
            (Matcher::Everything, _) => true,
            (Matcher::All(list), CommunityCompare::All) => {
                list.iter().all(|c| communities.contains(c))
            }
            (Matcher::All(list), CommunityCompare::Exact) => {
                list.iter().all(|c| communities.contains(c))
                    && communities.iter().all(|c| list.contains(c))
            }
            (Matcher::All(_) | Matcher::Regex(_), CommunityCompare::Any) => {
                communities.iter().any(|c| self.matches_one(*c))
            }
            (Matcher::Regex(pattern), CommunityCompare::All | CommunityCompare::Exact) => {
                pattern.matches(text.get_or_insert_with(|| text_of(communities)))
            }
        }
    }

    fn matches_one(&self, community: C) -> bool {
        match self {
            Matcher::Everything => true,
            Matcher::All(list) => list.contains(&community),
            Matcher::Regex(pattern) => pattern.matches(&community.to_string()),
        }
    }
}

/// Ascending, each once.
pub(crate) fn sorted<C: Copy + Ord>(communities: &[C]) -> Vec<C> {
    let mut sorted = communities.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

/// The text that expressions are looked for in: sorted, with spaces between.
fn text_of<C: Comparable>(communities: &[C]) -> String {
    let mut text = String::new();
    for community in sorted(communities) {
        if !text.is_empty() {
            text.push(' ');
        }
        // Writing to a string does not fail.
        let _ = write!(text, "{community}");
    }
    text
}

/// An expression with communities in place of the words that are aliases.
fn without_aliases(text: &str, aliases: &BTreeMap<String, String>) -> String {
    if aliases.is_empty() {
        return text.to_owned();
    }
    let word = |word: &str| {
        let named = aliases.iter().find(|(_, name)| *name == word);
        named.map_or_else(|| word.to_owned(), |(community, _)| community.clone())
    };
    let words: Vec<String> = text.split(' ').map(word).collect();
    words.join(" ")
}
