//! What is known of one prefix's route helps the next one only where the lines
//! that were applied left it as it was.

mod common;

use bgp_wire::{Family, LargeCommunity, Origin};
use common::{communities, compile, net};
use holdfast_policy::model::*;
use holdfast_policy::{Applied, RouteView};
use holdfast_rib::Attributes;

/// Lists with the name L that match what the lines below set.
fn lists() -> PolicyConfig {
    let large = CommunityMatcher::All(vec![LargeCommunity::new(1, 2, 3)]);
    let extended = CommunityMatcher::All(vec!["rt:1:1".parse().unwrap()]);
    let plain = CommunityMatcher::All(communities("1:1"));
    let inside = PrefixEntry {
        le: Some(32),
        ..PrefixEntry::exactly(Action::Permit, "10.0.0.0/8".parse().unwrap())
    };
    let mut config = PolicyConfig::default()
        .with_ip_prefix_list("TEN", PrefixList::new().entry(5, inside))
        .with_as_path_list("L", AsPathList::new().entry(5, Action::Permit, "^7_"))
        .with_community_list(
            "L",
            CommunityList::standard().entry(5, Action::Permit, plain),
        );
    let list = CommunityList::standard().entry(5, Action::Permit, large);
    config.large_community_lists.insert("L".into(), list);
    let list = CommunityList::standard().entry(5, Action::Permit, extended);
    config.ext_community_lists.insert("L".into(), list);
    config.community_aliases.insert("1:2:3".into(), "A".into());
    config
}

/// Lines that make others match.
fn pairs() -> Vec<(Set, Match)> {
    let list = || "L".to_owned();
    let all = CommunityCompare::All;
    let five = || Delta::To(5);
    let large = || Set::LargeCommunity(CommunityChange::Add(vec![LargeCommunity::new(1, 2, 3)]));
    let hop = NextHopSet::Address("10.9.9.9".parse().unwrap());
    let at = NextHopKind::Address("10.9.9.9".parse().unwrap());
    let inside = NextHopKind::List(ListKind::Prefix("TEN".into()));
    let v4 = Family::Ipv4Unicast;
    let prepend = AsPathPrepend::Asns(vec![7]);
    let plain = CommunityChange::Add(communities("1:1"));
    let target = vec!["rt:1:1".parse().unwrap()];
    vec![
        (Set::Metric(MetricSet::By(five())), Match::Metric(5)),
        (Set::LocalPreference(five()), Match::LocalPreference(5)),
        (Set::Origin(Origin::Egp), Match::Origin(Origin::Egp)),
        (Set::Tag(5), Match::Tag(5)),
        (Set::AsPathPrepend(prepend), Match::AsPath(list())),
        (Set::Community(plain), Match::Community(list(), all)),
        (large(), Match::LargeCommunity(list(), all)),
        (large(), Match::Alias("A".into())),
        (Set::ExtCommunityRt(target), Match::ExtCommunity(list())),
        (Set::NextHop(hop), Match::NextHop(v4, at)),
        (Set::NextHop(hop), Match::NextHop(v4, inside)),
    ]
}

#[test]
fn what_was_changed_is_looked_at_again() {
    for (set, wanted) in pairs() {
        let ten = Match::ip_address(ListKind::Prefix("TEN".into()));
        let changing = RouteMapEntry::permit().matching(ten).setting(set);
        let seeing = RouteMapEntry::permit().matching(wanted.clone());
        let map = RouteMap::new()
            .entry(10, changing.then(OnMatch::Next))
            .entry(20, seeing.setting(Set::Weight(9)))
            .entry(30, RouteMapEntry::permit());
        let policies = compile(&lists().with_route_map("M", map));
        let map = policies.route_map("M").unwrap();
        let attributes = Attributes::new(common::attributes());
        let weight = |prefix| match map.apply(&RouteView::new(net(prefix), &attributes)) {
            Applied::Changed(new) => new.weight,
            Applied::Unchanged => 0,
            Applied::Denied => panic!("denied"),
        };
        // The first one learns that entry 20 does not match what came.
        let weights = ["192.0.2.0/24", "10.0.0.0/24", "192.0.2.0/25"].map(weight);
        assert_eq!(weights, [0, 9, 0], "{wanted:?}");
    }
}
