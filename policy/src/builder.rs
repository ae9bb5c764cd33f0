//! Building a configuration in code.

use bgp_wire::Family;
use ipnet::{Ipv4Net, Ipv6Net};

use crate::model::{
    AccessEntry, AccessList, Action, AsPathEntry, AsPathList, CommunityEntry, CommunityList,
    CommunityMatcher, ListKind, Listable, Match, OnMatch, PolicyConfig, PrefixEntry, PrefixList,
    RouteMap, RouteMapEntry, Set,
};

// ===== route maps =====

impl RouteMap {
    /// A map without entries, which denies.
    pub fn new() -> RouteMap {
        RouteMap::default()
    }

    /// With an entry, in place of one of the same number.
    #[must_use]
    pub fn entry(mut self, seq: u16, entry: RouteMapEntry) -> RouteMap {
        self.entries.insert(seq, entry);
        self
    }
}

impl RouteMapEntry {
    /// An entry that permits everything as it is.
    ///
    /// ```
    /// use holdfast_policy::model::{Match, OnMatch, RouteMap, RouteMapEntry, Set};
    ///
    /// let map = RouteMap::new()
    ///     .entry(10, RouteMapEntry::permit()
    ///         .matching(Match::AsPath("UPSTREAM".into()))
    ///         .setting(Set::Weight(100))
    ///         .calling("COMMON")
    ///         .then(OnMatch::Next))
    ///     .entry(20, RouteMapEntry::deny());
    /// assert_eq!(map.entries.len(), 2);
    /// ```
    pub fn permit() -> RouteMapEntry {
        RouteMapEntry::default()
    }

    /// An entry that denies everything.
    pub fn deny() -> RouteMapEntry {
        RouteMapEntry {
            action: Action::Deny,
            ..RouteMapEntry::default()
        }
    }

    /// With a further line that has to match.
    #[must_use]
    pub fn matching(mut self, line: Match) -> RouteMapEntry {
        self.matches.push(line);
        self
    }

    /// With a further line that changes what is permitted.
    #[must_use]
    pub fn setting(mut self, line: Set) -> RouteMapEntry {
        self.sets.push(line);
        self
    }

    /// With another map that has its say about what is permitted.
    #[must_use]
    pub fn calling(mut self, map: impl Into<String>) -> RouteMapEntry {
        self.call = Some(map.into());
        self
    }

    /// With where to go on after what is permitted.
    #[must_use]
    pub const fn then(mut self, on_match: OnMatch) -> RouteMapEntry {
        self.on_match = on_match;
        self
    }
}

impl Match {
    /// `match ip address ...`.
    pub const fn ip_address(list: ListKind) -> Match {
        Match::Address(Family::Ipv4Unicast, list)
    }

    /// `match ipv6 address ...`.
    pub const fn ipv6_address(list: ListKind) -> Match {
        Match::Address(Family::Ipv6Unicast, list)
    }
}

// ===== lists =====

impl<N> PrefixList<N> {
    /// A list without entries.
    pub fn new() -> PrefixList<N> {
        PrefixList::default()
    }

    /// With an entry, in place of one of the same number.
    #[must_use]
    pub fn entry(mut self, seq: u32, entry: PrefixEntry<N>) -> PrefixList<N> {
        self.entries.insert(seq, entry);
        self
    }
}

impl<N> PrefixEntry<N> {
    /// Matches this prefix, and none inside of it.
    pub const fn exactly(action: Action, prefix: N) -> PrefixEntry<N> {
        PrefixEntry {
            action,
            prefix: Some(prefix),
            ge: None,
            le: None,
        }
    }

    /// Matches every prefix.
    pub const fn any(action: Action) -> PrefixEntry<N> {
        PrefixEntry {
            action,
            prefix: None,
            ge: None,
            le: None,
        }
    }
}

impl AccessList {
    /// A list without entries.
    pub fn new() -> AccessList {
        AccessList::default()
    }

    /// With an entry, in place of one of the same number.
    #[must_use]
    pub fn entry(mut self, seq: u32, entry: AccessEntry) -> AccessList {
        self.entries.insert(seq, entry);
        self
    }
}

impl AsPathList {
    /// A list without entries.
    pub fn new() -> AsPathList {
        AsPathList::default()
    }

    /// With an entry, in place of one of the same number.
    #[must_use]
    pub fn entry(mut self, seq: u32, action: Action, regex: impl Into<String>) -> AsPathList {
        let regex = regex.into();
        self.entries.insert(seq, AsPathEntry { action, regex });
        self
    }
}

impl<C: Listable> CommunityList<C> {
    /// A standard list without entries.
    pub const fn standard() -> CommunityList<C> {
        CommunityList {
            expanded: false,
            entries: std::collections::BTreeMap::new(),
        }
    }

    /// An expanded list without entries.
    pub const fn expanded() -> CommunityList<C> {
        CommunityList {
            expanded: true,
            entries: std::collections::BTreeMap::new(),
        }
    }

    /// With an entry, in place of one of the same number.
    #[must_use]
    pub fn entry(
        mut self,
        seq: u32,
        action: Action,
        matcher: CommunityMatcher<C>,
    ) -> CommunityList<C> {
        self.entries.insert(seq, CommunityEntry { action, matcher });
        self
    }
}

// ===== the whole =====

impl PolicyConfig {
    /// With a route map, in place of one of the same name.
    #[must_use]
    pub fn with_route_map(mut self, name: impl Into<String>, map: RouteMap) -> PolicyConfig {
        self.route_maps.insert(name.into(), map);
        self
    }

    /// With an `ip prefix-list`, in place of one of the same name.
    #[must_use]
    pub fn with_ip_prefix_list(
        mut self,
        name: impl Into<String>,
        list: PrefixList<Ipv4Net>,
    ) -> PolicyConfig {
        self.ip_prefix_lists.insert(name.into(), list);
        self
    }

    /// With an `ipv6 prefix-list`, in place of one of the same name.
    #[must_use]
    pub fn with_ipv6_prefix_list(
        mut self,
        name: impl Into<String>,
        list: PrefixList<Ipv6Net>,
    ) -> PolicyConfig {
        self.ipv6_prefix_lists.insert(name.into(), list);
        self
    }

    /// With a `bgp as-path access-list`, in place of one of the same name.
    #[must_use]
    pub fn with_as_path_list(mut self, name: impl Into<String>, list: AsPathList) -> PolicyConfig {
        self.as_path_lists.insert(name.into(), list);
        self
    }

    /// With a `bgp community-list`, in place of one of the same name.
    #[must_use]
    pub fn with_community_list(
        mut self,
        name: impl Into<String>,
        list: crate::model::StandardCommunityList,
    ) -> PolicyConfig {
        self.community_lists.insert(name.into(), list);
        self
    }
}
