//! How entries, `call` and `on-match` mean together. Each case was put to
//! FRR 8.4.4 first, as the route map of a `network` line; what is expected is
//! what it answered.

mod common;

use bgp_wire::PathAttributes;
use common::{apply, changed, communities, compile, net};
use holdfast_policy::model::*;
use holdfast_policy::{Applied, RouteView};
use holdfast_rib::Attributes;

fn metric(value: u32) -> Set {
    Set::Metric(MetricSet::By(Delta::To(value)))
}

fn with(maps: impl IntoIterator<Item = (&'static str, RouteMap)>) -> PolicyConfig {
    let config = PolicyConfig::default();
    maps.into_iter().fold(config, |config, (name, map)| {
        config.with_route_map(name, map)
    })
}

fn denies(config: &PolicyConfig) -> bool {
    let policies = compile(config);
    let denied = apply(config, "10.0.0.0/24", common::attributes()) == Applied::Denied;
    // What it said beforehand holds.
    assert!(!denied || policies.route_map("M").unwrap().may_deny());
    denied
}

fn permit() -> RouteMapEntry {
    RouteMapEntry::permit()
}

fn first_metric(value: u32) -> RouteMapEntry {
    permit().setting(metric(value)).then(OnMatch::Next)
}

#[test]
fn what_was_permitted_is_denied_by_a_later_entry_that_does_not_match() {
    let map = RouteMap::new()
        .entry(10, first_metric(5))
        .entry(20, permit().matching(Match::Metric(7)));
    assert!(denies(&with([("M", map)])));
    let map = RouteMap::new()
        .entry(10, first_metric(5))
        .entry(20, RouteMapEntry::deny().matching(Match::Metric(6)));
    assert!(denies(&with([("M", map)])));
}

#[test]
fn next_after_the_last_entry_permits() {
    let config = with([("M", RouteMap::new().entry(10, first_metric(5)))]);
    assert_eq!(
        changed(&config, common::attributes()).attributes.med,
        Some(5)
    );
    assert!(!compile(&config).route_map("M").unwrap().may_deny());
}

#[test]
fn match_sees_what_earlier_entries_set() {
    let map = RouteMap::new().entry(10, first_metric(5)).entry(
        20,
        permit()
            .matching(Match::Metric(5))
            .setting(Set::LocalPreference(Delta::To(77))),
    );
    let new = changed(&with([("M", map)]), common::attributes()).attributes;
    assert_eq!((new.med, new.local_pref), (Some(5), Some(77)));
}

#[test]
fn goto_goes_to_the_first_entry_from_there_on() {
    let map = RouteMap::new()
        .entry(10, permit().setting(metric(5)).then(OnMatch::Goto(40)))
        .entry(30, permit().setting(metric(30)))
        .entry(50, permit().matching(Match::Metric(5)).setting(metric(50)));
    let new = changed(&with([("M", map)]), common::attributes()).attributes;
    assert_eq!(new.med, Some(50));
}

#[test]
fn goto_beyond_the_last_entry_permits() {
    let map = RouteMap::new()
        .entry(10, permit().then(OnMatch::Goto(30)))
        .entry(20, permit().matching(Match::Metric(9999)));
    assert!(!denies(&with([("M", map)])));
}

#[test]
fn a_call_to_nothing_is_as_none() {
    let map = RouteMap::new().entry(10, permit().calling("NOTHING").setting(metric(4)));
    assert_eq!(
        changed(&with([("M", map)]), common::attributes())
            .attributes
            .med,
        Some(4)
    );
}

#[test]
fn a_called_map_that_denies_ends_it() {
    let denying = RouteMap::new().entry(10, RouteMapEntry::deny());
    let map = RouteMap::new()
        .entry(10, permit().calling("D").then(OnMatch::Next))
        .entry(20, permit());
    assert!(denies(&with([("D", denying), ("M", map.clone())])));
    assert!(denies(&with([("D", RouteMap::new()), ("M", map)])));
}

#[test]
fn changes_of_a_called_map_stay() {
    let called = RouteMap::new()
        .entry(
            10,
            permit()
                .matching(Match::Metric(1))
                .setting(metric(100))
                .then(OnMatch::Next),
        )
        .entry(
            20,
            permit()
                .matching(Match::Metric(100))
                .setting(metric(200))
                .then(OnMatch::Goto(40)),
        )
        .entry(30, permit().setting(metric(300)));
    let map = RouteMap::new()
        .entry(
            10,
            permit().setting(metric(1)).calling("C").then(OnMatch::Next),
        )
        .entry(
            20,
            permit()
                .matching(Match::Metric(200))
                .setting(Set::LocalPreference(Delta::To(7))),
        );
    let new = changed(&with([("C", called), ("M", map)]), common::attributes()).attributes;
    assert_eq!((new.med, new.local_pref), (Some(200), Some(7)));
}

#[test]
fn what_a_called_map_permitted_is_denied_if_nothing_else_matches() {
    let called = RouteMap::new().entry(10, permit().setting(metric(16)));
    let map = RouteMap::new()
        .entry(10, permit().calling("C").then(OnMatch::Next))
        .entry(20, permit().matching(Match::Metric(7)));
    assert!(denies(&with([("C", called), ("M", map)])));
}

#[test]
fn on_match_of_an_entry_that_denies_means_nothing() {
    let map = RouteMap::new()
        .entry(10, RouteMapEntry::deny().then(OnMatch::Next))
        .entry(20, permit());
    assert!(denies(&with([("M", map)])));
}

// FRR 8.4.4 crashes when it reads such a pair.
#[test]
fn maps_that_call_each_other_deny() {
    let more = || Set::Metric(MetricSet::By(Delta::Add(1)));
    let one = RouteMap::new().entry(10, permit().setting(more()).calling("B"));
    let other = RouteMap::new().entry(10, permit().setting(more()).calling("M"));
    assert!(denies(&with([("M", one), ("B", other)])));
}

/// M calls M1, that M2, and so on; the last one calls nothing.
fn chain(calls: usize) -> PolicyConfig {
    let name = |at: usize| match at {
        0 => "M".to_owned(),
        _ => format!("M{at}"),
    };
    (0..=calls).fold(PolicyConfig::default(), |config, at| {
        let entry = match at == calls {
            true => permit(),
            false => permit().calling(name(at + 1)),
        };
        config.with_route_map(name(at), RouteMap::new().entry(10, entry))
    })
}

#[test]
fn ten_calls_within_each_other_are_the_most() {
    assert!(!denies(&chain(10)));
    assert!(!compile(&chain(10)).route_map("M").unwrap().may_deny());
    assert!(denies(&chain(11)));
}

#[test]
fn lists_that_do_not_exist_match_nothing() {
    let prefix_list = |name: &str| Match::ip_address(ListKind::Prefix(name.into()));
    let map = RouteMap::new()
        .entry(
            10,
            permit()
                .matching(Match::Community("NOTHING".into(), CommunityCompare::All))
                .setting(metric(1)),
        )
        .entry(
            20,
            permit().matching(prefix_list("NOTHING")).setting(metric(2)),
        )
        .entry(
            30,
            permit().matching(prefix_list("EMPTY")).setting(metric(3)),
        );
    // One without entries permits; in FRR where `route-map optimization` is
    // off.
    let config = with([("M", map)]).with_ip_prefix_list("EMPTY", PrefixList::new());
    assert_eq!(
        changed(&config, common::attributes()).attributes.med,
        Some(3)
    );
    let map = RouteMap::new()
        .entry(
            10,
            permit()
                .matching(Match::ip_address(ListKind::Access("EMPTY".into())))
                .setting(metric(1)),
        )
        .entry(20, permit().setting(metric(2)));
    let mut config = with([("M", map)]);
    config
        .access_lists
        .insert("EMPTY".into(), AccessList::new());
    assert_eq!(
        changed(&config, common::attributes()).attributes.med,
        Some(2)
    );
}

#[test]
fn a_family_of_the_other_kind_does_not_match() {
    let list = || ListKind::Prefix("ANY".into());
    let map = RouteMap::new()
        .entry(
            10,
            permit()
                .matching(Match::ipv6_address(list()))
                .setting(metric(6)),
        )
        .entry(
            20,
            permit()
                .matching(Match::ip_address(list()))
                .setting(metric(4)),
        );
    let any4 = PrefixList::new().entry(5, PrefixEntry::any(Action::Permit));
    let any6 = PrefixList::new().entry(5, PrefixEntry::any(Action::Permit));
    let config = with([("M", map)])
        .with_ip_prefix_list("ANY", any4)
        .with_ipv6_prefix_list("ANY", any6);
    let med = |prefix| match apply(&config, prefix, PathAttributes::default()) {
        Applied::Changed(new) => new.attributes.med,
        other => panic!("{other:?}"),
    };
    assert_eq!(med("10.0.0.0/8"), Some(4));
    assert_eq!(med("2001:db8::/32"), Some(6));
}

#[test]
fn prefixes_of_one_set_are_counted() {
    let inside = PrefixEntry {
        le: Some(32),
        ..PrefixEntry::exactly(Action::Permit, "10.0.0.0/8".parse().unwrap())
    };
    let map = RouteMap::new()
        .entry(
            10,
            permit().matching(Match::ip_address(ListKind::Prefix("TEN".into()))),
        )
        .entry(20, permit());
    let config = with([("M", map)]).with_ip_prefix_list("TEN", PrefixList::new().entry(5, inside));
    let policies = compile(&config);
    let map = policies.route_map("M").unwrap();
    let attributes = Attributes::new(PathAttributes {
        communities: communities("1:1"),
        ..PathAttributes::default()
    });
    for prefix in ["10.1.0.0/16", "10.2.0.0/16", "192.0.2.0/24"] {
        map.apply(&RouteView::new(net(prefix), &attributes));
    }
    drop(attributes);
    let counters = map.counters().unwrap();
    let entries: Vec<_> = counters
        .entries()
        .map(|e| (e.seq, e.invoked, e.matched))
        .collect();
    assert_eq!(counters.invoked(), 3);
    assert_eq!(entries, [(10, 3, 2), (20, 1, 1)]);
    // Explanations do not count.
    let attributes = Attributes::new(PathAttributes::default());
    map.explain(&RouteView::new(net("10.0.0.0/8"), &attributes));
    assert_eq!(counters.invoked(), 3);
}
