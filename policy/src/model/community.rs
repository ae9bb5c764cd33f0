//! Community lists of the three kinds.

use core::fmt::{Debug, Display};
use core::str::FromStr;
use std::collections::BTreeMap;

use bgp_wire::{Community, ExtendedCommunity, LargeCommunity};
use serde::{Deserialize, Serialize};

use super::{Action, text};

/// What a community list can list.
pub trait Listable: Copy + Debug + Display + Eq + Ord + FromStr<Err: Display> {}

impl Listable for Community {}
impl Listable for LargeCommunity {}
impl Listable for ExtendedCommunity {}

/// `bgp community-list`.
pub type StandardCommunityList = CommunityList<Community>;
/// `bgp large-community-list`.
pub type LargeCommunityList = CommunityList<LargeCommunity>;
/// `bgp extcommunity-list`.
pub type ExtCommunityList = CommunityList<ExtendedCommunity>;

/// A community list. The first entry that matches decides; what none matches is
/// refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[serde(bound = "C: Listable")]
pub struct CommunityList<C> {
    /// `expanded` lists have regular expressions, `standard` ones communities.
    pub expanded: bool,
    /// By sequence number.
    pub entries: BTreeMap<u32, CommunityEntry<C>>,
}

/// An entry of a community list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[serde(bound = "C: Listable")]
pub struct CommunityEntry<C> {
    /// What becomes of what matches.
    pub action: Action,
    /// What it matches.
    pub matcher: CommunityMatcher<C>,
}

/// What an entry of a community list matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[serde(bound = "C: Listable")]
pub enum CommunityMatcher<C> {
    /// Routes with all of these; none is every route (`internet`).
    All(#[serde(with = "text::many")] Vec<C>),
    /// Routes whose communities, sorted and as text, match.
    Regex(String),
}
