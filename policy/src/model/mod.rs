//! What the operator asked for: named lists and route maps, as plain data.
//!
//! Names and meanings are FRR's. A value says what was configured, never what
//! became of it: references are names, which may stand for nothing yet.

mod community;
mod list;
mod route_map;
mod text;

pub use community::{
    CommunityEntry, CommunityList, CommunityMatcher, ExtCommunityList, LargeCommunityList,
    Listable, StandardCommunityList,
};
pub use list::{
    AccessEntry, AccessList, AccessMatch, AsPathEntry, AsPathList, Lists, PrefixEntry, PrefixList,
    WildcardAddress,
};
pub use route_map::{
    AggregatorSet, AsPathPrepend, BandwidthSet, CommunityChange, CommunityCompare, Delta,
    ExcludeAsns, ListKind, Match, MetricSet, NextHopKind, NextHopSet, OnMatch, OtherProtocol,
    PeerMatch, ReplaceAs, RouteMap, RouteMapEntry, RpkiState, Set, SourceProtocol,
};

use std::collections::BTreeMap;

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

/// Whether what matches is taken or refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is taken.
    #[default]
    Permit,
    /// It is refused.
    Deny,
}

impl Action {
    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Permit => "permit",
            Action::Deny => "deny",
        }
    }

    /// Whether what matches is taken.
    pub const fn permits(self) -> bool {
        matches!(self, Action::Permit)
    }
}

/// All named lists and route maps of a configuration.
///
/// Lists of different kinds may share a name, and so may those of the two
/// families.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct PolicyConfig {
    /// `ip prefix-list`.
    pub ip_prefix_lists: Lists<PrefixList<Ipv4Net>>,
    /// `ipv6 prefix-list`.
    pub ipv6_prefix_lists: Lists<PrefixList<Ipv6Net>>,
    /// `access-list`.
    pub access_lists: Lists<AccessList>,
    /// `ipv6 access-list`.
    pub ipv6_access_lists: Lists<AccessList>,
    /// `bgp as-path access-list`.
    pub as_path_lists: Lists<AsPathList>,
    /// `bgp community-list`.
    pub community_lists: Lists<StandardCommunityList>,
    /// `bgp large-community-list`.
    pub large_community_lists: Lists<LargeCommunityList>,
    /// `bgp extcommunity-list`.
    pub ext_community_lists: Lists<ExtCommunityList>,
    /// `bgp community alias COMMUNITY NAME`: names by community, of which both
    /// are texts; a large community has two colons.
    pub community_aliases: BTreeMap<String, String>,
    /// `route-map`.
    pub route_maps: Lists<RouteMap>,
}

impl PolicyConfig {
    /// Whether nothing is configured.
    pub fn is_empty(&self) -> bool {
        *self == PolicyConfig::default()
    }
}
