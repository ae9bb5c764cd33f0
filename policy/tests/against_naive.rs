//! Compiled policies decide as one does who reads the configuration line by
//! line.

mod common;
mod naive;

use bgp_wire::{AsPath, Community, Family, NextHop, Origin, PathAttributes};
use holdfast_policy::model::*;
use holdfast_policy::{Applied, Changed, Compiler, RouteView};
use holdfast_rib::Attributes;
use ipnet::{IpNet, Ipv4Net};
use naive::{Naive, Route};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn prefix() -> impl Strategy<Value = Ipv4Net> {
    // Few bits differ, so that prefixes contain each other.
    (0u32..16, 4u8..=32).prop_map(|(bits, len)| {
        let addr = (10 << 24 | (bits & 3) << 22 | (bits >> 2) << 8).into();
        Ipv4Net::new(addr, len).unwrap().trunc()
    })
}

fn action() -> impl Strategy<Value = Action> {
    select(vec![Action::Permit, Action::Permit, Action::Deny])
}

/// The last one stands for nothing.
fn name() -> impl Strategy<Value = String> {
    select(vec!["A", "A", "B", "B", "Z"]).prop_map(str::to_owned)
}

fn prefix_entry() -> impl Strategy<Value = PrefixEntry<Ipv4Net>> {
    let bounds = (option::of(0u8..8), option::of(0u8..8));
    (action(), option::weighted(0.9, prefix()), bounds).prop_map(|(action, prefix, (ge, le))| {
        let len = prefix.map_or(0, |net| net.prefix_len());
        let ge = ge.map(|more| (len + more).min(32));
        let le = le.map(|more| (ge.unwrap_or(len) + more).min(32));
        let (ge, le) = if prefix.is_none() {
            (None, None)
        } else {
            (ge, le)
        };
        PrefixEntry {
            action,
            prefix,
            ge,
            le,
        }
    })
}

fn wildcard() -> impl Strategy<Value = WildcardAddress> {
    (prefix(), 0u32..4).prop_map(|(net, odd)| WildcardAddress {
        address: net.network(),
        wildcard: (net.hostmask().to_bits() | odd << 22).into(),
    })
}

fn access_entry() -> impl Strategy<Value = AccessEntry> {
    let matches = prop_oneof![
        Just(AccessMatch::Any),
        prefix().prop_map(|net| AccessMatch::Prefix(net.into())),
        prefix().prop_map(|net| AccessMatch::Exact(net.into())),
        wildcard().prop_map(AccessMatch::Standard),
        (wildcard(), Just(WildcardAddress::ANY)).prop_map(|(a, b)| AccessMatch::Extended(a, b)),
    ];
    (action(), matches).prop_map(|(action, matches)| AccessEntry { action, matches })
}

fn asn() -> impl Strategy<Value = u32> {
    1u32..5
}

fn community() -> impl Strategy<Value = Community> {
    (1u16..3, 1u16..4).prop_map(|(asn, value)| Community::new(asn, value))
}

fn as_path_list() -> impl Strategy<Value = AsPathList> {
    let regex = select(vec![
        "_1_", "^2_", "_3$", "^$", "^1_2", "^[12] 3", "(_2)+_3", ".*", "^4$", "1.*4|2 2",
    ]);
    vec((action(), regex), 0..4).prop_map(|entries| {
        let entries = (1..).zip(entries);
        entries.fold(AsPathList::new(), |list, (seq, (action, regex))| {
            list.entry(seq, action, regex)
        })
    })
}

fn community_list() -> impl Strategy<Value = StandardCommunityList> {
    let standard = vec((action(), vec(community(), 0..3)), 0..4).prop_map(|entries| {
        let entries = (1..).zip(entries);
        entries.fold(
            StandardCommunityList::standard(),
            |list, (seq, (action, all))| list.entry(seq, action, CommunityMatcher::All(all)),
        )
    });
    let regex = select(vec!["^1:1", "1:2 1:3", "_2:._", "^$", "2:[12]$"]);
    let expanded = vec((action(), regex), 0..4).prop_map(|entries| {
        let entries = (1..).zip(entries);
        entries.fold(
            StandardCommunityList::expanded(),
            |list, (seq, (action, regex))| {
                list.entry(seq, action, CommunityMatcher::Regex(regex.to_owned()))
            },
        )
    });
    prop_oneof![standard, expanded]
}

fn list() -> impl Strategy<Value = ListKind> {
    prop_oneof![
        name().prop_map(ListKind::Prefix),
        name().prop_map(ListKind::Access)
    ]
}

fn compare() -> impl Strategy<Value = CommunityCompare> {
    select(vec![
        CommunityCompare::All,
        CommunityCompare::Exact,
        CommunityCompare::Any,
    ])
}

fn match_line() -> impl Strategy<Value = Match> {
    let v4 = Family::Ipv4Unicast;
    prop_oneof![
        3 => list().prop_map(move |list| Match::Address(v4, list)),
        1 => list().prop_map(|list| Match::Address(Family::Ipv6Unicast, list)),
        1 => (20u8..28).prop_map(move |len| Match::PrefixLen(v4, len)),
        1 => list().prop_map(move |list| Match::NextHop(v4, NextHopKind::List(list))),
        3 => name().prop_map(Match::AsPath),
        3 => (name(), compare()).prop_map(|(name, compare)| Match::Community(name, compare)),
        2 => (0u32..4).prop_map(Match::Metric),
        1 => (98u32..103).prop_map(Match::LocalPreference),
        1 => select(vec![Origin::Igp, Origin::Incomplete]).prop_map(Match::Origin),
        1 => (0u32..3).prop_map(Match::Tag),
        1 => Just(Match::Peer(PeerMatch::Local)),
    ]
}

fn delta() -> impl Strategy<Value = Delta> {
    prop_oneof![
        (0u32..4).prop_map(Delta::To),
        (0u32..3).prop_map(Delta::Add),
        (0u32..3).prop_map(Delta::Subtract),
        Just(Delta::Add(u32::MAX)),
    ]
}

fn change() -> impl Strategy<Value = CommunityChange<Community>> {
    prop_oneof![
        vec(community(), 1..3).prop_map(CommunityChange::Replace),
        vec(community(), 1..3).prop_map(CommunityChange::Add),
        Just(CommunityChange::None),
    ]
}

fn set_line() -> impl Strategy<Value = Set> {
    prop_oneof![
        delta().prop_map(Set::LocalPreference),
        delta().prop_map(|delta| Set::Metric(MetricSet::By(delta))),
        (0u32..3).prop_map(Set::Weight),
        (0u32..3).prop_map(Set::Tag),
        select(vec![Origin::Igp, Origin::Egp]).prop_map(Set::Origin),
        vec(asn(), 1..3).prop_map(|asns| Set::AsPathPrepend(AsPathPrepend::Asns(asns))),
        (1u8..3).prop_map(|times| Set::AsPathPrepend(AsPathPrepend::LastAs(times))),
        vec(asn(), 1..3).prop_map(|asns| Set::AsPathExclude(ExcludeAsns::Asns(asns))),
        name().prop_map(|name| Set::AsPathExclude(ExcludeAsns::List(name))),
        (option::of(asn()), option::of(asn()))
            .prop_map(|(from, to)| Set::AsPathReplace(ReplaceAs { from, to })),
        change().prop_map(Set::Community),
        name().prop_map(Set::CommListDelete),
        prefix().prop_map(|net| Set::NextHop(NextHopSet::Address(net.network()))),
        Just(Set::AtomicAggregate),
    ]
}

fn entry() -> impl Strategy<Value = RouteMapEntry> {
    let then = prop_oneof![
        3 => Just(OnMatch::Exit),
        3 => Just(OnMatch::Next),
        1 => (0u16..9).prop_map(OnMatch::Goto),
    ];
    let lines = (vec(match_line(), 0..3), vec(set_line(), 0..3));
    (action(), lines, option::weighted(0.2, name()), then).prop_map(
        |(action, (matches, sets), call, on_match)| RouteMapEntry {
            action,
            description: None,
            matches,
            sets,
            call,
            on_match,
        },
    )
}

fn map() -> impl Strategy<Value = RouteMap> {
    btree_map(1u16..8, entry(), 0..6).prop_map(|entries| RouteMap {
        entries,
        ..RouteMap::default()
    })
}

/// The objects A and B of every kind.
fn named<T: core::fmt::Debug + Clone>(
    of: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = Lists<T>> {
    (of.clone(), of).prop_map(|(a, b)| [("A".to_owned(), a), ("B".to_owned(), b)].into())
}

fn config() -> impl Strategy<Value = PolicyConfig> {
    let prefixes = btree_map(1u32..9, prefix_entry(), 0..6).prop_map(|entries| PrefixList {
        description: None,
        entries,
    });
    let accesses = btree_map(1u32..9, access_entry(), 0..5).prop_map(|entries| AccessList {
        remark: None,
        entries,
    });
    (
        named(prefixes.boxed()),
        named(accesses.boxed()),
        named(as_path_list().boxed()),
        named(community_list().boxed()),
        named(map().boxed()),
    )
        .prop_map(
            |(prefixes, accesses, paths, communities, maps)| PolicyConfig {
                ip_prefix_lists: prefixes,
                access_lists: accesses,
                as_path_lists: paths,
                community_lists: communities,
                route_maps: maps,
                ..PolicyConfig::default()
            },
        )
}

fn attributes() -> impl Strategy<Value = PathAttributes> {
    (
        vec(asn(), 0..4),
        vec(community(), 0..4),
        option::of(0u32..4),
        option::of(98u32..103),
        prefix(),
    )
        .prop_map(|(path, communities, med, local_pref, hop)| PathAttributes {
            as_path: AsPath::from_sequence(path),
            communities,
            med,
            local_pref,
            next_hop: Some(NextHop::V4(hop.network())),
            ..PathAttributes::default()
        })
}

fn told(applied: Applied, route: &RouteView<'_>) -> Option<Changed> {
    match applied {
        Applied::Denied => None,
        Applied::Unchanged => Some(Changed::before(route)),
        Applied::Changed(changed) => Some(*changed),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn compiled_is_as_naive(
        config in config(),
        sets in vec((attributes(), vec(prefix(), 1..6)), 1..4),
    ) {
        let policies = Compiler::new(&config).local_as(64500).compile().unwrap();
        let naive = Naive { config: &config, local_as: 64500 };
        let compiled = policies.route_map("A").unwrap();
        let mut denied = false;
        for (attributes, prefixes) in sets {
            let kept = Attributes::new(attributes.clone());
            for prefix in prefixes {
                let mut expected = Route {
                    prefix,
                    attributes: attributes.clone(),
                    weight: 5,
                    tag: 1,
                };
                let permitted = naive.apply("A", &mut expected, 0);
                let view = RouteView {
                    weight: 5,
                    tag: 1,
                    ..RouteView::new(IpNet::V4(prefix), &kept)
                };
                let applied = told(compiled.apply(&view), &view);
                let (explained, _) = compiled.explain(&view);
                prop_assert_eq!(&applied, &told(explained, &view));
                prop_assert_eq!(applied.is_some(), permitted);
                denied |= !permitted;
                if let Some(applied) = applied {
                    prop_assert_eq!(applied.attributes, expected.attributes);
                    prop_assert_eq!(applied.weight, expected.weight);
                    prop_assert_eq!(applied.tag, expected.tag);
                }
            }
        }
        prop_assert!(!denied || compiled.may_deny());
    }
}
