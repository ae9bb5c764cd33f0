//! What single `match` and `set` lines mean.

mod common;

use bgp_wire::attribute::code;
use bgp_wire::{
    Aggregator, Aigp, ExtendedCommunity, Family, LargeCommunity, NextHop, PathAttributes, PeerKind,
};
use common::{changed, communities, compile, net, one_map, path, peer, set};
use holdfast_policy::model::*;
use holdfast_policy::{Applied, Changed, Compiler, Direction, Policies, RoaTable, RouteView};
use holdfast_rib::{Attributes, PeerInfo};
use std::slice::from_ref;
use std::sync::Arc;

/// Whether the line matches the route.
fn holds(line: Match, view: &RouteView<'_>) -> bool {
    holds_in(&PolicyConfig::default(), line, view)
}

fn holds_in(config: &PolicyConfig, line: Match, view: &RouteView<'_>) -> bool {
    let map = RouteMap::new().entry(10, RouteMapEntry::permit().matching(line));
    let policies = compile(&config.clone().with_route_map("M", map));
    policies.route_map("M").unwrap().apply(view) != Applied::Denied
}

fn view<'a>(attributes: &'a Attributes<'static>) -> RouteView<'a> {
    RouteView::new(net("10.0.0.0/24"), attributes)
}

// ===== match =====

#[test]
fn match_of_what_the_caller_knows() {
    let attributes = Attributes::new(common::attributes());
    let route = RouteView {
        tag: 7,
        interface: Some("eth0"),
        source_protocol: Some(SourceProtocol::Static),
        source_instance: 3,
        source_vrf: Some("red"),
        next_hop_prefix_len: Some(30),
        ..view(&attributes)
    };
    let v4 = Family::Ipv4Unicast;
    let len = |family, len| Match::NextHop(family, NextHopKind::PrefixLen(len));
    let yes = [
        Match::Tag(7),
        Match::Interface("eth0".into()),
        Match::SourceProtocol(SourceProtocol::Static),
        Match::SourceInstance(3),
        Match::SourceVrf("red".into()),
        len(v4, 30),
        Match::PrefixLen(v4, 24),
        Match::Peer(PeerMatch::Local),
        Match::Metric(0),
    ];
    let no = [
        Match::Tag(0),
        Match::Interface("eth1".into()),
        Match::SourceProtocol(SourceProtocol::Kernel),
        Match::SourceInstance(0),
        Match::SourceVrf("blue".into()),
        len(v4, 31),
        len(Family::Ipv6Unicast, 30),
        Match::PrefixLen(Family::Ipv6Unicast, 24),
        Match::NextHop(v4, NextHopKind::Blackhole),
        Match::Metric(1),
        Match::LocalPreference(100),
    ];
    for line in yes {
        assert!(holds(line.clone(), &route), "{line:?}");
    }
    for line in no {
        assert!(!holds(line.clone(), &route), "{line:?}");
    }
}

#[test]
fn match_peer_and_route_source() {
    let from = peer(PeerKind::External);
    let attributes = Attributes::new(common::attributes());
    let route = RouteView {
        peer: Some(&from),
        learned_from: Some(&from),
        peer_interface: Some("eth3"),
        ..view(&attributes)
    };
    assert!(holds(Match::Peer(PeerMatch::Address(from.address)), &route));
    assert!(holds(
        Match::Peer(PeerMatch::Interface("eth3".into())),
        &route
    ));
    assert!(!holds(
        Match::Peer(PeerMatch::Interface("eth4".into())),
        &route
    ));
    assert!(!holds(Match::Peer(PeerMatch::Local), &route));
    let other = "192.0.2.2".parse().unwrap();
    assert!(!holds(Match::Peer(PeerMatch::Address(other)), &route));
    let host = PrefixEntry::exactly(Action::Permit, "192.0.2.1/32".parse().unwrap());
    let config =
        PolicyConfig::default().with_ip_prefix_list("PEER", PrefixList::new().entry(5, host));
    let source = || Match::RouteSource(ListKind::Prefix("PEER".into()));
    assert!(holds_in(&config, source(), &route));
    assert!(!holds_in(&config, source(), &view(&attributes)));
}

#[test]
fn match_next_hop() {
    let attributes = Attributes::new(common::attributes());
    let route = view(&attributes);
    let v4 = Family::Ipv4Unicast;
    let host = PrefixEntry::exactly(Action::Permit, "192.0.2.1/32".parse().unwrap());
    let config =
        PolicyConfig::default().with_ip_prefix_list("HOP", PrefixList::new().entry(5, host));
    let by_list = NextHopKind::List(ListKind::Prefix("HOP".into()));
    assert!(holds_in(&config, Match::NextHop(v4, by_list), &route));
    let address = |text: &str| NextHopKind::Address(text.parse().unwrap());
    assert!(holds(Match::NextHop(v4, address("192.0.2.1")), &route));
    assert!(!holds(Match::NextHop(v4, address("192.0.2.2")), &route));
    let nowhere = Attributes::new(PathAttributes::default());
    assert!(holds(
        Match::NextHop(v4, NextHopKind::Blackhole),
        &view(&nowhere)
    ));
}

#[test]
fn match_alias_of_both_kinds() {
    let mut config = PolicyConfig::default();
    config.community_aliases.insert("1:1".into(), "GOLD".into());
    config
        .community_aliases
        .insert("1:2:3".into(), "BIG".into());
    let gold = Attributes::new(PathAttributes {
        communities: communities("1:1 2:2"),
        ..PathAttributes::default()
    });
    let big = Attributes::new(PathAttributes {
        large_communities: vec![LargeCommunity::new(1, 2, 3)],
        ..PathAttributes::default()
    });
    let holds = |name: &str, of: &Attributes<'static>| {
        holds_in(&config, Match::Alias(name.into()), &view(of))
    };
    assert!(holds("GOLD", &gold) && holds("BIG", &big));
    assert!(!holds("GOLD", &big) && !holds("NONE", &gold));
}

#[test]
fn aliases_are_words_of_expanded_lists() {
    let word = |text: &str| CommunityMatcher::Regex(text.to_owned());
    let list = |text| CommunityList::expanded().entry(5, Action::Permit, word(text));
    let mut config = PolicyConfig::default()
        .with_community_list("BY-NAME", list("GOLD"))
        .with_community_list("BY-NUMBER", list("^1:1 2:2$"));
    config.community_aliases.insert("1:1".into(), "GOLD".into());
    let gold = Attributes::new(PathAttributes {
        communities: communities("2:2 1:1"),
        ..PathAttributes::default()
    });
    for name in ["BY-NAME", "BY-NUMBER"] {
        let line = Match::Community(name.into(), CommunityCompare::All);
        assert!(holds_in(&config, line, &view(&gold)), "{name}");
    }
}

#[test]
fn communities_are_compared_in_three_ways() {
    let all = |text: &str| CommunityMatcher::All(communities(text));
    let list = CommunityList::standard().entry(5, Action::Permit, all("1:1 2:2"));
    let internet = CommunityList::standard().entry(5, Action::Permit, all("internet"));
    let config = PolicyConfig::default()
        .with_community_list("L", list)
        .with_community_list("I", internet);
    let holds = |of: &str, name: &str, compare| {
        let attributes = Attributes::new(PathAttributes {
            communities: communities(of),
            ..PathAttributes::default()
        });
        holds_in(
            &config,
            Match::Community(name.into(), compare),
            &view(&attributes),
        )
    };
    use CommunityCompare::{All, Any, Exact};
    assert!(holds("3:3 2:2 1:1", "L", All) && !holds("1:1", "L", All));
    assert!(holds("2:2 1:1", "L", Exact) && !holds("1:1 2:2 3:3", "L", Exact));
    assert!(holds("3:3 1:1", "L", Any) && !holds("3:3", "L", Any) && !holds("", "L", Any));
    assert!(holds("", "I", All) && holds("", "I", Exact) && holds("9:9", "I", Any));
}

#[test]
fn match_rpki_asks_the_snapshot_that_a_policy_was_made_with() {
    let line = RouteMapEntry::permit().matching(Match::Rpki(RpkiState::Valid));
    let other = RouteMap::new().entry(10, RouteMapEntry::permit());
    let config = one_map(RouteMap::new().entry(10, line)).with_route_map("OTHER", other);
    let before = Compiler::new(&config).compile().unwrap();
    let mut roas = RoaTable::new();
    roas.insert(net("10.0.0.0/16"), 24, 64502);
    let after = before.with_roas(&Arc::new(roas));
    let [old, new] = [&before, &after].map(|policies| policies.route_map("M").unwrap());
    assert!(old.uses_rpki() && old != new);
    let attributes = Attributes::new(common::attributes());
    let route = view(&attributes);
    assert_eq!(old.apply(&route), Applied::Denied);
    assert_eq!(new.apply(&route), Applied::Unchanged);
    // What was made of the route by the ROAs of before is not asked again.
    assert_eq!(old.apply(&route), Applied::Denied);
    let counters = new.counters().unwrap();
    drop(attributes);
    assert_eq!(counters.invoked(), 3);
    let [old, new] = [&before, &after].map(|policies| policies.route_map("OTHER").unwrap());
    assert!(Arc::ptr_eq(old, new) && !old.uses_rpki());
    // A new configuration keeps the ROAs.
    let again = Compiler::new(&config).after(&after).compile().unwrap();
    assert!(Arc::ptr_eq(again.roas(), after.roas()));
    assert!(Arc::ptr_eq(
        again.route_map("M").unwrap(),
        after.route_map("M").unwrap()
    ));
}

#[test]
fn a_route_of_our_own_is_of_the_as_that_others_know() {
    let line = RouteMapEntry::permit().matching(Match::Rpki(RpkiState::Valid));
    let config = one_map(RouteMap::new().entry(10, line));
    let mut roas = RoaTable::new();
    roas.insert(net("10.0.0.0/16"), 24, 64500);
    let roas = Arc::new(roas);
    let compiler = || {
        Compiler::new(&config)
            .roas(Arc::clone(&roas))
            .local_as(65000)
    };
    let attributes = Attributes::new(PathAttributes::default());
    let holds = |policies: Policies| {
        let map = Arc::clone(policies.route_map("M").unwrap());
        map.apply(&RouteView::new(net("10.0.0.0/24"), &attributes)) != Applied::Denied
    };
    assert!(!holds(compiler().compile().unwrap()));
    assert!(holds(compiler().origin_as(64500).compile().unwrap()));
}

#[test]
fn probability_chooses_the_same_prefixes_every_time() {
    let percent = |percent| {
        let line = RouteMapEntry::permit().matching(Match::Probability(percent));
        let policies = compile(&one_map(RouteMap::new().entry(10, line)));
        let map = Arc::clone(policies.route_map("M").unwrap());
        let attributes = Attributes::new(PathAttributes::default());
        (0..10_000u32)
            .filter(|n| {
                let prefix = ipnet::Ipv4Net::new((10 << 24 | n << 8).into(), 24).unwrap();
                map.apply(&RouteView::new(prefix.into(), &attributes)) != Applied::Denied
            })
            .count()
    };
    assert_eq!((percent(0), percent(100)), (0, 10_000));
    assert!((2_700..3_300).contains(&percent(30)));
    assert_eq!(percent(30), percent(30));
}

// ===== set =====

#[test]
fn numbers_stay_within_32_bits() {
    let with = |med, local_pref| PathAttributes {
        med,
        local_pref,
        ..PathAttributes::default()
    };
    let metric = |delta| set([Set::Metric(MetricSet::By(delta))], with(Some(5), None)).med;
    assert_eq!(metric(Delta::To(9)), Some(9));
    assert_eq!(metric(Delta::Add(u32::MAX)), Some(u32::MAX));
    assert_eq!(metric(Delta::Subtract(6)), Some(0));
    let local_pref = |delta, old| set([Set::LocalPreference(delta)], with(None, old)).local_pref;
    // Of our own routes: FRR counts from the default where there is none.
    assert_eq!(local_pref(Delta::Add(10), None), Some(110));
    assert_eq!(local_pref(Delta::Subtract(300), None), Some(0));
    assert_eq!(local_pref(Delta::Subtract(1), Some(200)), Some(199));
}

/// What an external peer announces has none.
#[test]
fn local_preference_of_what_was_learned_without_counts_from_nothing() {
    let map = RouteMap::new().entry(
        10,
        RouteMapEntry::permit().setting(Set::LocalPreference(Delta::Add(50))),
    );
    let config = PolicyConfig::default().with_route_map("M", map);
    let policies = Compiler::new(&config).compile().unwrap();
    let from = PeerInfo::new(
        PeerKind::External,
        65000,
        65001,
        "10.0.0.2".parse().unwrap(),
    );
    let attributes = Attributes::new(PathAttributes::default());
    let view = RouteView {
        learned_from: Some(&from),
        ..RouteView::new(net("192.0.2.0/24"), &attributes)
    };
    let applied = policies.route_map("M").unwrap().apply(&view);
    assert!(matches!(applied, Applied::Changed(new) if new.attributes.local_pref == Some(50)));
}

#[test]
fn metric_of_other_things() {
    let attributes = Attributes::new(PathAttributes {
        med: Some(5),
        aigp: Some(Aigp::new(77)),
        ..PathAttributes::default()
    });
    let route = RouteView {
        rtt_ms: 30,
        igp_metric: 40,
        ..view(&attributes)
    };
    let med = |metric| {
        let entry = RouteMapEntry::permit().setting(Set::Metric(metric));
        let policies = compile(&one_map(RouteMap::new().entry(10, entry)));
        match policies.route_map("M").unwrap().apply(&route) {
            Applied::Changed(new) => new.attributes.med,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(med(MetricSet::Rtt), Some(30));
    assert_eq!(med(MetricSet::AddRtt), Some(35));
    assert_eq!(med(MetricSet::SubtractRtt), Some(0));
    assert_eq!(med(MetricSet::Igp), Some(40));
    assert_eq!(med(MetricSet::Aigp), Some(77));
}

#[test]
fn as_paths() {
    let of = |line, before: &str| {
        let attributes = PathAttributes {
            as_path: path(before),
            ..PathAttributes::default()
        };
        set([line], attributes).as_path.to_string()
    };
    let prepend = |line| Set::AsPathPrepend(line);
    assert_eq!(
        of(prepend(AsPathPrepend::Asns(vec![5, 6])), "1 2"),
        "5 6 1 2"
    );
    assert_eq!(of(prepend(AsPathPrepend::LastAs(2)), "5 6"), "5 5 5 6");
    assert_eq!(of(prepend(AsPathPrepend::LastAs(3)), ""), "");
    assert_eq!(of(prepend(AsPathPrepend::LastAs(3)), "{1,2} 3"), "{1,2} 3");
    let exclude = |line| Set::AsPathExclude(line);
    assert_eq!(
        of(exclude(ExcludeAsns::Asns(vec![8])), "7 8 9 {8,1}"),
        "7 9 {1}"
    );
    assert_eq!(of(exclude(ExcludeAsns::Asns(vec![5, 6])), "5 6 5"), "");
    assert_eq!(of(exclude(ExcludeAsns::All), "5 6 {5}"), "");
    let replace = |from, to| Set::AsPathReplace(ReplaceAs { from, to });
    assert_eq!(of(replace(Some(8), Some(1)), "7 8 9 8"), "7 1 9 1");
    assert_eq!(of(replace(None, None), "7 {8,9}"), "64500 {64500,64500}");
}

#[test]
fn within_the_as_no_number_of_a_path_is_replaced() {
    let as_path: bgp_wire::AsPath = "7 8".parse().unwrap();
    let attributes = Attributes::new(PathAttributes {
        as_path: as_path.clone(),
        ..PathAttributes::default()
    });
    let line = Set::AsPathReplace(ReplaceAs {
        from: None,
        to: None,
    });
    let entry = RouteMapEntry::permit().setting(line);
    let policies = compile(&one_map(RouteMap::new().entry(10, entry)));
    for (kind, changes) in [
        (PeerKind::Internal, false),
        (PeerKind::Confederation, false),
        (PeerKind::External, true),
    ] {
        for direction in [Direction::In, Direction::Out] {
            let peer = peer(kind);
            let route = RouteView {
                direction,
                peer: Some(&peer),
                ..view(&attributes)
            };
            let after = match policies.route_map("M").unwrap().apply(&route) {
                Applied::Changed(new) => new.attributes.as_path.clone(),
                Applied::Unchanged => as_path.clone(),
                Applied::Denied => panic!("denied"),
            };
            assert_eq!(after != as_path, changes, "{kind:?} {direction:?}");
        }
    }
}

#[test]
fn exclusion_by_a_list_looks_at_each_as() {
    let list = AsPathList::new().entry(5, Action::Permit, "^645");
    let line = Set::AsPathExclude(ExcludeAsns::List("L".into()));
    let entry = RouteMapEntry::permit().setting(line);
    let config = one_map(RouteMap::new().entry(10, entry)).with_as_path_list("L", list);
    let attributes = PathAttributes {
        as_path: path("64501 1 64502 2"),
        ..Default::default()
    };
    assert_eq!(changed(&config, attributes).attributes.as_path, path("1 2"));
}

#[test]
fn communities_end_up_sorted() {
    let before = PathAttributes {
        communities: communities("3:3 1:1 2:2"),
        ..Default::default()
    };
    let after = |change| set([Set::Community(change)], before.clone()).communities;
    let add = CommunityChange::Add(communities("0:5 9:9 2:2"));
    assert_eq!(after(add), communities("0:5 1:1 2:2 3:3 9:9"));
    let replace = CommunityChange::Replace(communities("9:9 8:8"));
    assert_eq!(after(replace), communities("8:8 9:9"));
    assert_eq!(after(CommunityChange::None), []);
}

#[test]
fn deletion_looks_at_each_community() {
    let all = CommunityMatcher::All(communities("1:1 2:2"));
    let regex = CommunityMatcher::Regex("^9:".into());
    let list = CommunityList::standard()
        .entry(5, Action::Deny, CommunityMatcher::All(communities("2:2")))
        .entry(10, Action::Permit, all)
        .entry(15, Action::Permit, regex);
    let entry = RouteMapEntry::permit().setting(Set::CommListDelete("L".into()));
    let config = one_map(RouteMap::new().entry(10, entry)).with_community_list("L", list);
    let mut attributes = PathAttributes {
        communities: communities("9:1 1:1 2:2 3:3"),
        ..PathAttributes::default()
    };
    let after = changed(&config, attributes.clone()).attributes;
    assert_eq!(after.communities, communities("2:2 3:3"));
    // What is gone has no flag either.
    attributes.communities = communities("1:1");
    attributes.partial.insert(code::COMMUNITIES);
    let after = changed(&config, attributes).attributes;
    assert_eq!(after, PathAttributes::default());
}

#[test]
fn extended_communities_are_added() {
    let rt = |text: &str| Set::ExtCommunityRt(vec![text.parse().unwrap()]);
    let soo = Set::ExtCommunitySoo(vec!["soo:5:5".parse().unwrap()]);
    let bandwidth = |mbits| Set::ExtCommunityBandwidth {
        bandwidth: BandwidthSet::Mbits(mbits),
        non_transitive: false,
    };
    let lines = [
        rt("rt:1:1"),
        rt("rt:2:2"),
        bandwidth(100),
        bandwidth(200),
        soo,
    ];
    let after = set(lines.clone(), PathAttributes::default()).extended_communities;
    let texts: Vec<String> = after.iter().map(ToString::to_string).collect();
    let link = "LB:64500:25000000 (200.000 Mbps)";
    assert_eq!(texts, ["RT:1:1", "RT:2:2", link, "SoO:5:5"]);
    let all = lines.into_iter().chain([Set::ExtCommunityNone]);
    assert_eq!(
        set(all, PathAttributes::default()),
        PathAttributes::default()
    );
}

#[test]
fn bandwidth_of_paths_together() {
    let attributes = Attributes::new(PathAttributes::default());
    let route = RouteView {
        num_multipaths: 3,
        cumulative_bandwidth: 1_000_000,
        ..view(&attributes)
    };
    let of = |bandwidth| {
        let line = Set::ExtCommunityBandwidth {
            bandwidth,
            non_transitive: true,
        };
        let entry = RouteMapEntry::permit().setting(line);
        let policies = compile(&one_map(RouteMap::new().entry(10, entry)));
        match policies.route_map("M").unwrap().apply(&route) {
            Applied::Changed(new) => new.attributes.extended_communities,
            other => panic!("{other:?}"),
        }
    };
    let expected = |octets| [ExtendedCommunity::link_bandwidth(64500, octets, false)];
    assert_eq!(of(BandwidthSet::Cumulative), expected(1_000_000.0));
    assert_eq!(of(BandwidthSet::NumMultipaths), expected(375_000.0));
}

#[test]
fn next_hops() {
    let peer = peer(PeerKind::External);
    let attributes = Attributes::new(common::attributes());
    let original = NextHop::V4("198.51.100.9".parse().unwrap());
    let hop = |line, direction| {
        let route = RouteView {
            direction,
            peer: Some(&peer),
            original_next_hop: Some(original),
            ..view(&attributes)
        };
        let entry = RouteMapEntry::permit().setting(line);
        let policies = compile(&one_map(RouteMap::new().entry(10, entry)));
        match policies.route_map("M").unwrap().apply(&route) {
            Applied::Changed(new) => new.attributes.next_hop,
            Applied::Unchanged => attributes.next_hop,
            Applied::Denied => None,
        }
    };
    let v4 = |text: &str| Some(NextHop::V4(text.parse().unwrap()));
    use Direction::{In, Out};
    let address = NextHopSet::Address("198.51.100.1".parse().unwrap());
    assert_eq!(hop(Set::NextHop(address), In), v4("198.51.100.1"));
    assert_eq!(
        hop(Set::NextHop(NextHopSet::PeerAddress), In),
        v4("192.0.2.1")
    );
    assert_eq!(
        hop(Set::NextHop(NextHopSet::PeerAddress), Out),
        v4("192.0.2.254")
    );
    assert_eq!(
        hop(Set::NextHop(NextHopSet::Unchanged), In),
        v4("192.0.2.1")
    );
    assert_eq!(
        hop(Set::NextHop(NextHopSet::Unchanged), Out),
        Some(original)
    );
    // Those of IPv6 do not concern a route of IPv4, nor the other way around.
    let unchanged = RouteMapEntry::permit().setting(Set::NextHop(NextHopSet::Unchanged));
    let policies = compile(&one_map(RouteMap::new().entry(10, unchanged)));
    let route = RouteView {
        prefix: net("2001:db8:1::/48"),
        direction: Out,
        peer: Some(&peer),
        original_next_hop: Some(original),
        ..view(&attributes)
    };
    assert_eq!(
        policies.route_map("M").unwrap().apply(&route),
        Applied::Unchanged
    );
    let global = "2001:db8::1".parse().unwrap();
    assert_eq!(hop(Set::Ipv6NextHopGlobal(global), In), v4("192.0.2.1"));
}

/// `GLOBAL` or `GLOBAL LINK-LOCAL`.
fn hop_of_ipv6(text: &str) -> NextHop {
    let mut words = text.split(' ').map(|word| word.parse().unwrap());
    NextHop::V6 {
        global: words.next().unwrap(),
        link_local: words.next(),
    }
}

/// What becomes of 2001:db8::1 and fe80::1 in an entry with these lines.
fn set_hop_of_ipv6(address: &str, direction: Direction, lines: &[Set]) -> NextHop {
    let attributes = Attributes::new(PathAttributes {
        next_hop: Some(hop_of_ipv6("2001:db8::1 fe80::1")),
        ..PathAttributes::default()
    });
    let peer = PeerInfo {
        address: address.parse().unwrap(),
        local_v6: Some("2001:db8::fe".parse().unwrap()),
        local_link_local: Some("fe80::fe".parse().unwrap()),
        ..peer(PeerKind::External)
    };
    let route = RouteView {
        direction,
        peer: Some(&peer),
        ..RouteView::new(net("2001:db8:1::/48"), &attributes)
    };
    let mut entry = RouteMapEntry::permit();
    entry.sets = lines.to_vec();
    let policies = compile(&one_map(RouteMap::new().entry(10, entry)));
    match policies.route_map("M").unwrap().apply(&route) {
        Applied::Changed(new) => new.attributes.next_hop.unwrap(),
        Applied::Unchanged => attributes.next_hop.unwrap(),
        Applied::Denied => panic!("denied"),
    }
}

#[test]
fn next_hops_of_ipv6() {
    use Direction::{In, Out};
    let v6 = hop_of_ipv6;
    let hop = |direction, lines: &[Set]| set_hop_of_ipv6("2001:db8::2", direction, lines);
    let global = Set::Ipv6NextHopGlobal("2001:db8::9".parse().unwrap());
    let local = Set::Ipv6NextHopLocal("fe80::9".parse().unwrap());
    let (peer, prefer) = (Set::Ipv6NextHopPeerAddress, Set::Ipv6NextHopPreferGlobal);
    assert_eq!(hop(In, from_ref(&global)), v6("2001:db8::9 fe80::1"));
    assert_eq!(hop(In, from_ref(&local)), v6("2001:db8::1 fe80::9"));
    assert_eq!(hop(In, from_ref(&peer)), v6("2001:db8::2 fe80::1"));
    assert_eq!(hop(Out, from_ref(&peer)), v6("2001:db8::fe fe80::fe"));
    let both = [peer.clone(), global, local.clone()];
    assert_eq!(hop(In, &both), v6("2001:db8::9 fe80::9"));
    assert_eq!(hop(Out, &both), v6("2001:db8::fe fe80::fe"));
    let at_link_local = set_hop_of_ipv6("fe80::2", In, &[peer]);
    assert_eq!(at_link_local, v6("2001:db8::1 fe80::2"));
    // It stays so, and is about our own packets alone.
    assert_eq!(hop(In, from_ref(&prefer)), v6("2001:db8::1"));
    assert_eq!(hop(In, &[prefer.clone(), local]), v6("2001:db8::1"));
    assert_eq!(hop(Out, &[prefer]), v6("2001:db8::1 fe80::1"));
}

#[test]
fn match_of_a_next_hop_of_ipv6_is_of_both_its_addresses() {
    let attributes = Attributes::new(PathAttributes {
        next_hop: Some(hop_of_ipv6("2001:db8::1 fe80::1")),
        ..PathAttributes::default()
    });
    let line = |address: &str| {
        let address = NextHopKind::Address(address.parse().unwrap());
        Match::NextHop(Family::Ipv6Unicast, address)
    };
    let view = |direction| RouteView {
        direction,
        ..RouteView::new(net("2001:db8:1::/48"), &attributes)
    };
    let inward = view(Direction::In);
    assert!(holds(line("2001:db8::1"), &inward));
    assert!(holds(line("fe80::1"), &inward));
    assert!(!holds(line("fe80::2"), &inward));
    // FRR has let go of it when it announces the route.
    assert!(!holds(line("fe80::1"), &view(Direction::Out)));
    let prefix = "fe80::/10".parse().unwrap();
    let within = PrefixEntry {
        le: Some(128),
        ..PrefixEntry::exactly(Action::Permit, prefix)
    };
    let list = PrefixList::new().entry(5, within);
    let mut config = PolicyConfig::default().with_ipv6_prefix_list("LINK", list);
    let entry = AccessEntry {
        action: Action::Permit,
        matches: AccessMatch::Prefix(prefix.into()),
    };
    let list = AccessList::new().entry(5, entry);
    config.ipv6_access_lists.insert("LINK".into(), list);
    for kind in [ListKind::Prefix, ListKind::Access] {
        let line = Match::NextHop(
            Family::Ipv6Unicast,
            NextHopKind::List(kind("LINK".to_owned())),
        );
        assert!(holds_in(&config, line.clone(), &inward));
        assert!(!holds_in(&config, line, &view(Direction::Out)));
    }
    // Nor is it forgotten where the global one is used.
    let prefer = RouteMapEntry::permit().setting(Set::Ipv6NextHopPreferGlobal);
    let map = RouteMap::new()
        .entry(10, prefer.then(OnMatch::Next))
        .entry(20, RouteMapEntry::permit().matching(line("fe80::1")));
    let policies = compile(&one_map(map));
    let applied = policies.route_map("M").unwrap().apply(&inward);
    assert_ne!(applied, Applied::Denied);
}

#[test]
fn the_rest() {
    let by = AggregatorSet {
        asn: 64999,
        address: "192.0.2.9".parse().unwrap(),
    };
    let entry = RouteMapEntry::permit()
        .setting(Set::AtomicAggregate)
        .setting(Set::Aggregator(by))
        .setting(Set::OriginatorId("192.0.2.8".parse().unwrap()))
        .setting(Set::AigpMetric(Some(12)))
        .setting(Set::Weight(3))
        .setting(Set::Tag(4))
        .setting(Set::Table(5))
        .setting(Set::Distance(6))
        .setting(Set::Src("192.0.2.7".parse().unwrap()));
    let new = changed(
        &one_map(RouteMap::new().entry(10, entry)),
        PathAttributes::default(),
    );
    let expected = Changed {
        attributes: PathAttributes {
            atomic_aggregate: true,
            aggregator: Some(Aggregator {
                asn: by.asn,
                id: by.address,
            }),
            originator_id: Some("192.0.2.8".parse().unwrap()),
            aigp: Some(Aigp::new(12)),
            ..PathAttributes::default()
        },
        weight: 3,
        tag: 4,
        table: Some(5),
        distance: Some(6),
        src: Some("192.0.2.7".parse().unwrap()),
        prefers_global: false,
        let_go: None,
        is_peer_address: false,
    };
    assert_eq!(new, expected);
}
