//! Which paths of a table are asked for, by list, route map, communities or
//! AS path. Pages come from the core as they are and are sifted by the one who
//! asked, so that a question about a full table does not hold the core up.

use std::collections::BTreeMap;
use std::sync::Arc;

use bgp_wire::{Community, Family, LargeCommunity};
use holdfast_api::v1;
use holdfast_config::words;
use holdfast_policy::model::CommunityCompare;
use holdfast_policy::{
    AccessList, Applied, AsPathList, CommunityList, CompiledRouteMap, PathPattern, Policies,
    PrefixList, RouteView,
};
use holdfast_rib::{Attributes, PeerInfo};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::SpeakerError;

/// What a path has to pass.
#[derive(Debug, Clone)]
pub(super) enum PathTest {
    V4(Arc<PrefixList<Ipv4Net>>),
    V6(Arc<PrefixList<Ipv6Net>>),
    Access(Arc<AccessList>),
    RouteMap(Arc<CompiledRouteMap>),
    AsPath(Arc<AsPathList>),
    CommunityList(Arc<CommunityList<Community>>, CommunityCompare),
    LargeList(Arc<CommunityList<LargeCommunity>>, CommunityCompare),
    Communities(Vec<Community>, bool),
    Large(Vec<LargeCommunity>, bool),
    Regex(PathPattern),
    Alias(Vec<Community>, Vec<LargeCommunity>),
}

/// Says that there is no such thing, in FRR's words.
fn missing(name: &str, kind: &str) -> SpeakerError {
    SpeakerError::NoSuchPolicy(format!("{name} {kind} not found"))
}

const fn compare(exact: bool) -> CommunityCompare {
    match exact {
        true => CommunityCompare::Exact,
        false => CommunityCompare::All,
    }
}

impl PathTest {
    /// The test that a filter asks for.
    pub(super) fn new(
        filter: &v1::RouteFilter,
        family: Family,
        policies: &Policies,
        aliases: &BTreeMap<String, String>,
    ) -> Result<PathTest, SpeakerError> {
        use v1::route_filter::Test;
        let bad = |text: &str| SpeakerError::BadFilter(text.to_owned());
        Ok(
            match filter.test.as_ref().ok_or_else(|| bad("no filter"))? {
                Test::PrefixList(name) => Self::prefix_list(name, family, policies)
                    .ok_or_else(|| missing(name, "prefix-list"))?,
                Test::AccessList(name) => {
                    let list = match family {
                        Family::Ipv4Unicast => policies.access_list(name),
                        Family::Ipv6Unicast => policies.ipv6_access_list(name),
                    };
                    PathTest::Access(Arc::clone(
                        list.ok_or_else(|| missing(name, "access-list"))?,
                    ))
                }
                Test::RouteMap(name) => {
                    let map = policies.route_map(name);
                    PathTest::RouteMap(Arc::clone(map.ok_or_else(|| missing(name, "route-map"))?))
                }
                Test::FilterList(name) => {
                    let list = policies.as_path_list(name);
                    let list = list.ok_or_else(|| missing(name, "AS-path access-list"))?;
                    PathTest::AsPath(Arc::clone(list))
                }
                Test::CommunityList(list) => {
                    let found = policies.community_list(&list.name);
                    let found = found.ok_or_else(|| missing(&list.name, "community-list"))?;
                    PathTest::CommunityList(Arc::clone(found), compare(list.exact))
                }
                Test::LargeCommunityList(list) => {
                    let found = policies.large_community_list(&list.name).ok_or_else(|| {
                        let name = &list.name;
                        let text = format!("{name} is not a valid large-community-list name");
                        SpeakerError::NoSuchPolicy(text)
                    })?;
                    PathTest::LargeList(Arc::clone(found), compare(list.exact))
                }
                Test::Communities(wanted) => {
                    let text = wanted.communities.join(" ");
                    let known = words::communities(&text);
                    let known =
                        known.ok_or_else(|| bad(&format!("Community malformed: {text}")))?;
                    PathTest::Communities(known, wanted.exact)
                }
                Test::LargeCommunities(wanted) => {
                    let known = words::large_communities(&wanted.communities.join(" "));
                    let known = known.ok_or_else(|| bad("Large-community malformed"))?;
                    PathTest::Large(known, wanted.exact)
                }
                Test::AsPathRegex(regex) => {
                    let pattern = PathPattern::new(regex);
                    let wrong = |_| bad(&format!("Can't compile regexp {regex}"));
                    PathTest::Regex(pattern.map_err(wrong)?)
                }
                Test::Alias(alias) => Self::alias(alias, aliases),
            },
        )
    }

    fn prefix_list(name: &str, family: Family, policies: &Policies) -> Option<PathTest> {
        Some(match family {
            Family::Ipv4Unicast => PathTest::V4(Arc::clone(policies.ip_prefix_list(name)?)),
            Family::Ipv6Unicast => PathTest::V6(Arc::clone(policies.ipv6_prefix_list(name)?)),
        })
    }

    fn alias(alias: &str, aliases: &BTreeMap<String, String>) -> PathTest {
        let named = aliases.iter().filter(|(_, name)| *name == alias);
        let (mut plain, mut large) = (Vec::new(), Vec::new());
        for (community, _) in named {
            match (community.parse(), community.parse()) {
                (Ok(community), _) => plain.push(community),
                (_, Ok(community)) => large.push(community),
                _ => {}
            }
        }
        PathTest::Alias(plain, large)
    }

    /// Whether it looks at the neighbor that a path was learned from.
    pub(super) const fn needs_peers(&self) -> bool {
        matches!(self, PathTest::RouteMap(_))
    }

    /// Whether a path to a prefix passes. `from` is the neighbor that it was
    /// learned from.
    pub(super) fn lets(
        &self,
        prefix: IpNet,
        attributes: &Attributes<'_>,
        (weight, from): (u32, Option<&PeerInfo>),
    ) -> bool {
        match (self, prefix) {
            (PathTest::V4(list), IpNet::V4(net)) => list.permits(net),
            (PathTest::V6(list), IpNet::V6(net)) => list.permits(net),
            (PathTest::V4(_) | PathTest::V6(_), _) => false,
            (PathTest::Access(list), _) => list.verdict(prefix).permits(),
            (PathTest::RouteMap(map), _) => {
                let view = RouteView {
                    weight,
                    peer: from,
                    learned_from: from,
                    original_next_hop: attributes.next_hop,
                    original_med: attributes.med,
                    ..RouteView::new(prefix, attributes)
                };
                map.peek(&view) != Applied::Denied
            }
            (PathTest::AsPath(list), _) => list.verdict(&attributes.as_path).permits(),
            (PathTest::CommunityList(list, how), _) => {
                list.verdict(&attributes.communities, *how).permits()
            }
            (PathTest::LargeList(list, how), _) => {
                list.verdict(&attributes.large_communities, *how).permits()
            }
            (PathTest::Communities(wanted, exact), _) => {
                has(&attributes.communities, wanted, *exact)
            }
            (PathTest::Large(wanted, exact), _) => {
                has(&attributes.large_communities, wanted, *exact)
            }
            (PathTest::Regex(pattern), _) => pattern.matches(&attributes.as_path),
            (PathTest::Alias(plain, large), _) => {
                let of = attributes;
                plain.iter().any(|c| of.communities.contains(c))
                    || large.iter().any(|c| of.large_communities.contains(c))
            }
        }
    }
}

/// Whether a path with these communities has all that are wanted, and where it
/// is to be exact no others; without any that are wanted, whether it has some.
fn has<C: PartialEq>(communities: &[C], wanted: &[C], exact: bool) -> bool {
    if wanted.is_empty() {
        return !communities.is_empty();
    }
    wanted.iter().all(|c| communities.contains(c))
        && (!exact || communities.iter().all(|c| wanted.contains(c)))
}
