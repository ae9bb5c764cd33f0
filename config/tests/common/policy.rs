//! Random lists and route maps.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bgp_wire::{Community, ExtendedCommunity, Family, LargeCommunity, Origin};
use holdfast_config::{
    AdvertiseMap, AdvertiseWhen, Aggregate, Dampening, DefaultOriginate, InOut, PeerPolicy, Rpki,
    RpkiCache,
};
use holdfast_policy::model::{
    AccessEntry, AccessList, AccessMatch, Action, AggregatorSet, AsPathEntry, AsPathList,
    AsPathPrepend, BandwidthSet, CommunityChange, CommunityCompare, CommunityEntry, CommunityList,
    CommunityMatcher, Delta, ExcludeAsns, ListKind, Listable, Lists, Match, MetricSet, NextHopKind,
    NextHopSet, OnMatch, OtherProtocol, PeerMatch, PolicyConfig, PrefixEntry, PrefixList,
    ReplaceAs, RouteMap, RouteMapEntry, RpkiState, Set, SourceProtocol, WildcardAddress,
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::line;

/// Names of every kind, numbers among them.
pub(crate) fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => "[A-Z][a-zA-Z0-9_.-]{0,6}",
        1 => (1_u32..=600).prop_map(|number| number.to_string()),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    select(vec![Action::Permit, Action::Deny])
}

fn ipv4() -> impl Strategy<Value = Ipv4Addr> {
    any::<u32>().prop_map(Ipv4Addr::from)
}

fn ipv6() -> impl Strategy<Value = Ipv6Addr> {
    any::<u128>().prop_map(|bits| Ipv6Addr::from(bits >> 4 | 0x2 << 124))
}

pub(crate) fn ipv4_net() -> impl Strategy<Value = Ipv4Net> {
    (any::<u32>(), 0_u8..=32).prop_map(|(bits, length)| {
        let net = Ipv4Net::new(bits.into(), length);
        net.unwrap().trunc()
    })
}

pub(crate) fn ipv6_net() -> impl Strategy<Value = Ipv6Net> {
    (any::<u128>(), 0_u8..=128).prop_map(|(bits, length)| {
        let net = Ipv6Net::new(bits.into(), length);
        net.unwrap().trunc()
    })
}

fn expression() -> impl Strategy<Value = String> {
    select(vec!["^65001_", ".*", "_65001:[0-9]+_", "^$", "_7_ _8_"]).prop_map(str::to_owned)
}

fn path_expression() -> impl Strategy<Value = String> {
    select(vec!["^65001_", ".*", "_(65001|[0-9]+)_", "^$", "_7_ _8_"]).prop_map(str::to_owned)
}

// ===== lists =====

fn prefix_list<P: std::fmt::Debug + Clone + 'static>(
    prefix: impl Strategy<Value = P> + Clone + 'static,
    (length, bits): (fn(&P) -> u8, u8),
) -> impl Strategy<Value = PrefixList<P>> {
    let entry = (action(), prefix, any::<[u8; 2]>(), 0_u8..5);
    let entry = entry.prop_map(move |(action, prefix, random, form)| {
        let least = length(&prefix);
        let between = |from: u8, random: u8| from + random % (bits - from + 1);
        let ge = between(least, random[0]);
        let le = between(ge, random[1]);
        PrefixEntry {
            action,
            prefix: (form != 0).then_some(prefix),
            ge: (form == 1 || form == 2).then_some(ge),
            le: (form == 2 || form == 3).then_some(le),
        }
    });
    let entries = btree_map(1_u32..=60, entry, 0..5);
    (option::of(line()), entries).prop_map(|(description, entries)| PrefixList {
        description,
        entries,
    })
}

fn wildcard() -> impl Strategy<Value = WildcardAddress> {
    prop_oneof![
        Just(WildcardAddress::ANY),
        ipv4().prop_map(|address| WildcardAddress {
            address,
            wildcard: Ipv4Addr::UNSPECIFIED,
        }),
        (ipv4(), ipv4()).prop_map(|(address, wildcard)| WildcardAddress { address, wildcard }),
    ]
}

fn access_list(matches: BoxedStrategy<AccessMatch>) -> impl Strategy<Value = AccessList> {
    let entry = (action(), matches).prop_map(|(action, matches)| AccessEntry { action, matches });
    let entries = btree_map(1_u32..=60, entry, 0..4);
    (option::of(line()), entries).prop_map(|(remark, entries)| AccessList { remark, entries })
}

fn access_matches() -> (BoxedStrategy<AccessMatch>, BoxedStrategy<AccessMatch>) {
    let ipv4 = ipv4_net().prop_map(IpNet::V4).boxed();
    let ipv6 = ipv6_net().prop_map(IpNet::V6).boxed();
    let plain = |net: BoxedStrategy<IpNet>| {
        let exact = net.clone().prop_map(AccessMatch::Exact);
        prop_oneof![
            Just(AccessMatch::Any),
            net.prop_map(AccessMatch::Prefix),
            exact
        ]
    };
    let wild = prop_oneof![
        wildcard().prop_map(AccessMatch::Standard),
        (wildcard(), wildcard()).prop_map(|(one, two)| AccessMatch::Extended(one, two)),
    ];
    (prop_oneof![plain(ipv4), wild].boxed(), plain(ipv6).boxed())
}

fn community() -> impl Strategy<Value = Community> {
    prop_oneof![
        any::<u32>().prop_map(Community),
        select(vec![
            Community::NO_EXPORT,
            Community::GRACEFUL_SHUTDOWN,
            Community(0)
        ]),
    ]
}

fn large() -> impl Strategy<Value = LargeCommunity> {
    any::<(u32, u32, u32)>().prop_map(|(a, b, c)| LargeCommunity::new(a, b, c))
}

fn extended(kind: &'static str) -> impl Strategy<Value = ExtendedCommunity> {
    let number = prop_oneof![
        (any::<u16>(), any::<u32>()).prop_map(|(asn, value)| format!("{asn}:{value}")),
        (ipv4(), any::<u16>()).prop_map(|(id, value)| format!("{id}:{value}")),
        (65_536_u32.., any::<u16>()).prop_map(|(asn, value)| format!("{asn}:{value}")),
    ];
    number.prop_map(move |number| format!("{kind}:{number}").parse().unwrap())
}

fn community_lists<C: Listable + 'static>(
    community: BoxedStrategy<C>,
) -> impl Strategy<Value = Lists<CommunityList<C>>> {
    let entries = vec(
        (1_u32..=60, action(), vec(community, 1..4), expression()),
        1..4,
    );
    let list = (any::<bool>(), entries).prop_map(|(expanded, entries)| {
        let entry = |(seq, action, all, regex)| {
            let matcher = match expanded {
                true => CommunityMatcher::Regex(regex),
                false => CommunityMatcher::All(all),
            };
            (seq, CommunityEntry { action, matcher })
        };
        CommunityList {
            expanded,
            entries: entries.into_iter().map(entry).collect(),
        }
    });
    btree_map(name(), list, 0..3)
}

fn as_path_list() -> impl Strategy<Value = AsPathList> {
    let entry =
        (action(), path_expression()).prop_map(|(action, regex)| AsPathEntry { action, regex });
    btree_map(0_u32..=60, entry, 1..4).prop_map(|entries| AsPathList { entries })
}

// ===== route maps =====

fn list_kind() -> impl Strategy<Value = ListKind> {
    prop_oneof![
        name().prop_map(ListKind::Access),
        name().prop_map(ListKind::Prefix)
    ]
}

fn next_hop(family: Family) -> impl Strategy<Value = NextHopKind> {
    let (address, bits) = match family {
        Family::Ipv4Unicast => (ipv4().prop_map(IpAddr::V4).boxed(), 32),
        Family::Ipv6Unicast => (ipv6().prop_map(IpAddr::V6).boxed(), 128),
    };
    prop_oneof![
        list_kind().prop_map(NextHopKind::List),
        address.prop_map(NextHopKind::Address),
        (0_u8..=bits).prop_map(NextHopKind::PrefixLen),
        Just(NextHopKind::Blackhole),
    ]
}

fn origin() -> impl Strategy<Value = Origin> {
    select(vec![Origin::Igp, Origin::Egp, Origin::Incomplete])
}

fn matching() -> BoxedStrategy<Match> {
    let compare = || {
        select(vec![
            CommunityCompare::All,
            CommunityCompare::Exact,
            CommunityCompare::Any,
        ])
    };
    let v4 = Family::Ipv4Unicast;
    let v6 = Family::Ipv6Unicast;
    let families = prop_oneof![
        (select(vec![v4, v6]), list_kind()).prop_map(|(f, list)| Match::Address(f, list)),
        (0_u8..=32).prop_map(move |length| Match::PrefixLen(v4, length)),
        (0_u8..=128).prop_map(move |length| Match::PrefixLen(v6, length)),
        next_hop(v4).prop_map(move |kind| Match::NextHop(v4, kind)),
        next_hop(v6).prop_map(move |kind| Match::NextHop(v6, kind)),
        list_kind().prop_map(Match::RouteSource),
    ];
    let attributes = prop_oneof![
        name().prop_map(Match::AsPath),
        (name(), compare()).prop_map(|(name, compare)| Match::Community(name, compare)),
        (name(), compare()).prop_map(|(name, compare)| Match::LargeCommunity(name, compare)),
        name().prop_map(Match::ExtCommunity),
        name().prop_map(Match::Alias),
        any::<u32>().prop_map(Match::LocalPreference),
        any::<u32>().prop_map(Match::Metric),
        origin().prop_map(Match::Origin),
    ];
    let peer = prop_oneof![
        ipv4().prop_map(|address| PeerMatch::Address(address.into())),
        ipv6().prop_map(|address| PeerMatch::Address(address.into())),
        "eth[0-9]".prop_map(PeerMatch::Interface),
        Just(PeerMatch::Local),
    ];
    let protocols = vec![
        SourceProtocol::Bgp,
        SourceProtocol::Connected,
        SourceProtocol::Static,
        SourceProtocol::Other(OtherProtocol::Ospf),
        SourceProtocol::Other(OtherProtocol::VncDirect),
    ];
    let rest = prop_oneof![
        peer.prop_map(Match::Peer),
        "eth[0-9]".prop_map(Match::Interface),
        (1..=u32::MAX).prop_map(Match::Tag),
        select(protocols).prop_map(Match::SourceProtocol),
        any::<u8>().prop_map(Match::SourceInstance),
        name().prop_map(Match::SourceVrf),
        select(vec![
            RpkiState::Valid,
            RpkiState::Invalid,
            RpkiState::NotFound
        ])
        .prop_map(Match::Rpki),
        (0_u8..=100).prop_map(Match::Probability),
    ];
    prop_oneof![families, attributes, rest].boxed()
}

fn delta() -> impl Strategy<Value = Delta> {
    prop_oneof![
        any::<u32>().prop_map(Delta::To),
        (1..=u32::MAX).prop_map(Delta::Add),
        (1..=u32::MAX).prop_map(Delta::Subtract),
    ]
}

fn asns() -> impl Strategy<Value = Vec<u32>> {
    vec(1..=u32::MAX, 1..4)
}

fn change<C: Listable + 'static>(
    community: BoxedStrategy<C>,
) -> impl Strategy<Value = CommunityChange<C>> {
    let all = vec(community, 1..4);
    (all, 0_u8..3).prop_map(|(all, form)| match form {
        0 => CommunityChange::Replace(all),
        1 => CommunityChange::Add(all),
        _ => CommunityChange::None,
    })
}

fn path_set() -> BoxedStrategy<Set> {
    let aggregator = (1..=u32::MAX, ipv4());
    prop_oneof![
        origin().prop_map(Set::Origin),
        asns().prop_map(|asns| Set::AsPathPrepend(AsPathPrepend::Asns(asns))),
        (1_u8..=10).prop_map(|times| Set::AsPathPrepend(AsPathPrepend::LastAs(times))),
        asns().prop_map(|asns| Set::AsPathExclude(ExcludeAsns::Asns(asns))),
        Just(Set::AsPathExclude(ExcludeAsns::All)),
        name().prop_map(|name| Set::AsPathExclude(ExcludeAsns::List(name))),
        (option::of(1..=u32::MAX), option::of(1..=u32::MAX))
            .prop_map(|(from, to)| Set::AsPathReplace(ReplaceAs { from, to })),
        Just(Set::AtomicAggregate),
        aggregator.prop_map(|(asn, address)| Set::Aggregator(AggregatorSet { asn, address })),
    ]
    .boxed()
}

fn community_set() -> BoxedStrategy<Set> {
    let bandwidth = prop_oneof![
        (1_u32..=25_600).prop_map(BandwidthSet::Mbits),
        Just(BandwidthSet::Cumulative),
        Just(BandwidthSet::NumMultipaths),
    ];
    prop_oneof![
        change(community().boxed()).prop_map(Set::Community),
        name().prop_map(Set::CommListDelete),
        change(large().boxed()).prop_map(Set::LargeCommunity),
        name().prop_map(Set::LargeCommListDelete),
        vec(extended("rt"), 1..3).prop_map(Set::ExtCommunityRt),
        vec(extended("soo"), 1..3).prop_map(Set::ExtCommunitySoo),
        (bandwidth, any::<bool>()).prop_map(|(bandwidth, non_transitive)| {
            Set::ExtCommunityBandwidth {
                bandwidth,
                non_transitive,
            }
        }),
        Just(Set::ExtCommunityNone),
    ]
    .boxed()
}

fn set() -> BoxedStrategy<Set> {
    let numbers = prop_oneof![
        delta().prop_map(Set::LocalPreference),
        delta().prop_map(|delta| Set::Metric(MetricSet::By(delta))),
        select(vec![
            MetricSet::Rtt,
            MetricSet::AddRtt,
            MetricSet::SubtractRtt
        ])
        .prop_map(Set::Metric),
        select(vec![MetricSet::Igp, MetricSet::Aigp]).prop_map(Set::Metric),
        any::<u32>().prop_map(Set::Weight),
        (1..=u32::MAX).prop_map(Set::Tag),
        (1..=u32::MAX).prop_map(Set::Table),
        any::<u8>().prop_map(Set::Distance),
        option::of(1..=u32::MAX).prop_map(Set::AigpMetric),
    ];
    let link_local = ipv6().prop_map(|address| {
        Set::Ipv6NextHopLocal(Ipv6Addr::from(u128::from(address) >> 64 | 0xfe80 << 112))
    });
    let address = (0x0100_0000_u32..=0xdfff_ffff).prop_map(Ipv4Addr::from);
    let addresses = prop_oneof![
        address.prop_map(|address| Set::NextHop(NextHopSet::Address(address))),
        select(vec![NextHopSet::PeerAddress, NextHopSet::Unchanged]).prop_map(Set::NextHop),
        ipv6().prop_map(Set::Ipv6NextHopGlobal),
        link_local,
        Just(Set::Ipv6NextHopPeerAddress),
        Just(Set::Ipv6NextHopPreferGlobal),
        ipv4().prop_map(|address| Set::Src(address.into())),
        ipv6().prop_map(|address| Set::Src(address.into())),
        ipv4().prop_map(Set::OriginatorId),
    ];
    prop_oneof![numbers, path_set(), community_set(), addresses].boxed()
}

fn route_map() -> impl Strategy<Value = RouteMap> {
    let on_match = prop_oneof![
        2 => Just(OnMatch::Exit),
        1 => Just(OnMatch::Next),
        1 => (1000..=u16::MAX).prop_map(OnMatch::Goto),
    ];
    let clauses = (vec(matching(), 0..4), vec(set(), 0..4));
    // Longer than the name of any map, so that none calls itself.
    let call = option::weighted(0.3, "[a-z]{9}");
    let entry = (
        action(),
        option::of(line()),
        clauses.boxed(),
        call,
        on_match,
    );
    let entry = entry.prop_map(
        |(action, description, clauses, call, on_match)| RouteMapEntry {
            action,
            description,
            matches: clauses.0,
            sets: clauses.1,
            call,
            on_match,
        },
    );
    let entries = btree_map(1_u16..1000, entry, 0..3);
    (entries, prop::bool::weighted(0.8)).prop_map(|(entries, optimization)| RouteMap {
        entries,
        optimization,
    })
}

/// All lists and route maps, not yet in their normal form.
pub(crate) fn policy() -> BoxedStrategy<PolicyConfig> {
    let prefixes = (
        btree_map(
            name(),
            prefix_list(ipv4_net().boxed(), (Ipv4Net::prefix_len_of, 32)),
            0..3,
        ),
        btree_map(
            name(),
            prefix_list(ipv6_net().boxed(), (Ipv6Net::prefix_len_of, 128)),
            0..3,
        ),
    );
    let (ipv4, ipv6) = access_matches();
    let access = (
        btree_map(name(), access_list(ipv4), 0..3),
        btree_map(name(), access_list(ipv6), 0..3),
    );
    let communities = (
        community_lists(community().boxed()),
        community_lists(large().boxed()),
        community_lists(prop_oneof![extended("rt"), extended("soo")].boxed()),
    );
    let aliases = btree_map("[1-9]{1,4}:[1-9]{1,4}(:[1-9]{1,4})?", "[a-z]{1,6}", 0..3);
    let rest = (
        btree_map(name(), as_path_list(), 0..3),
        aliases,
        btree_map(name(), route_map().boxed(), 0..3),
    );
    (
        prefixes.boxed(),
        access.boxed(),
        communities.boxed(),
        rest.boxed(),
    )
        .prop_map(|(prefixes, access, communities, rest)| PolicyConfig {
            ip_prefix_lists: prefixes.0,
            ipv6_prefix_lists: prefixes.1,
            access_lists: access.0,
            ipv6_access_lists: access.1,
            as_path_lists: rest.0,
            community_lists: communities.0,
            large_community_lists: communities.1,
            ext_community_lists: communities.2,
            community_aliases: one_each(rest.1),
            route_maps: rest.2,
        })
        .boxed()
}

/// An alias is one community's alone.
fn one_each(aliases: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut taken = std::collections::BTreeSet::new();
    let fresh = |(_, alias): &(String, String)| taken.insert(alias.clone());
    aliases.into_iter().filter(fresh).collect()
}

/// The length of a prefix, as a function of one.
trait Length {
    fn prefix_len_of(&self) -> u8;
}

impl Length for Ipv4Net {
    fn prefix_len_of(&self) -> u8 {
        self.prefix_len()
    }
}

impl Length for Ipv6Net {
    fn prefix_len_of(&self) -> u8 {
        self.prefix_len()
    }
}

// ===== what refers to them =====

fn in_out() -> impl Strategy<Value = InOut> {
    let one = || option::weighted(0.3, name());
    (one(), one()).prop_map(|(inbound, outbound)| InOut { inbound, outbound })
}

/// The policy of a peer in one family.
pub(crate) fn peer_policy() -> BoxedStrategy<PeerPolicy> {
    let lists = (in_out(), in_out(), in_out(), any::<bool>());
    let default = option::weighted(0.3, option::of(name()));
    let when = select(AdvertiseWhen::ALL.to_vec());
    let advertise = option::weighted(0.3, (name(), when, name()));
    let sent = || option::of(any::<bool>());
    let damping = option::weighted(0.2, dampening());
    let maps = (option::weighted(0.3, name()), default, advertise, damping);
    (lists, maps, (sent(), sent(), sent()))
        .prop_map(|((route_map, filter_list, prefixes, access), maps, sent)| {
            let (prefix_list, distribute_list) = match access {
                true => (InOut::default(), prefixes),
                false => (prefixes, InOut::default()),
            };
            PeerPolicy {
                dampening: maps.3,
                route_map,
                prefix_list,
                distribute_list,
                filter_list,
                unsuppress_map: maps.0,
                default_originate: maps.1.map(|route_map| DefaultOriginate { route_map }),
                advertise_map: maps.2.map(|(advertise, when, condition)| AdvertiseMap {
                    advertise,
                    when,
                    condition,
                }),
                send_community: sent.0,
                send_extended_community: sent.1,
                send_large_community: sent.2,
            }
        })
        .boxed()
}

pub(crate) fn aggregate() -> impl Strategy<Value = Aggregate> {
    let flags = any::<[bool; 3]>();
    let names = (option::of(name()), option::of(name()));
    (flags, option::of(origin()), names).prop_map(|(flags, origin, names)| Aggregate {
        as_set: flags[0],
        summary_only: flags[1],
        matching_med_only: flags[2],
        origin,
        route_map: names.0,
        suppress_map: names.1.filter(|_| !flags[1]),
    })
}

pub(crate) fn dampening() -> impl Strategy<Value = Dampening> {
    prop_oneof![
        Just(Dampening::default()),
        (1_u8..=45).prop_map(Dampening::with_half_life),
        (1_u8..=45, 1_u16..=20_000, 20_000_u16..=50_000, 1..=u8::MAX).prop_map(
            |(half_life_mins, reuse, suppress, max_suppress_mins)| Dampening {
                half_life_mins,
                reuse,
                suppress,
                max_suppress_mins,
            }
        ),
    ]
}

pub(crate) fn rpki() -> impl Strategy<Value = Rpki> {
    let host = prop_oneof![
        ipv4().prop_map(|address| address.to_string()),
        "rtr[0-9]\\.example\\.net",
    ];
    let cache = (host, 1..=u16::MAX, option::of(ipv4()));
    let cache = cache.prop_map(|(host, port, source)| RpkiCache { host, port, source });
    (
        option::of(1_u32..=86_400),
        option::of(600_u32..=172_800),
        option::of(1_u32..=7200),
        btree_map(1..=u8::MAX, cache, 0..3),
    )
        .prop_map(|(polling, expire, retry, caches)| Rpki {
            polling_period_secs: polling,
            expire_interval_secs: expire,
            retry_interval_secs: retry,
            caches,
        })
}
