//! The filters of a neighbor together. What is undefined was put to FRR 8.4.4
//! on a session, in both directions.

mod common;

use std::sync::Arc;

use bgp_wire::{Family, PathAttributes, PeerKind};
use common::{communities, compile, net, peer};
use holdfast_policy::model::*;
use holdfast_policy::{
    Compiler, Direction, Filters, Object, ObjectKind, PeerFacts, PeerPolicy, Policies, Step,
};
use holdfast_rib::{
    Attributes, DenyReason, LocalSource, PeerInfo, Policy, Rewritten, RouteContext, Verdict,
};

const V4: Family = Family::Ipv4Unicast;
const DENIED: Verdict = Verdict::Deny(DenyReason::Filtered);

fn route<'a>(peer: &'a PeerInfo, prefix: &str, attributes: &'a Attributes<'a>) -> RouteContext<'a> {
    RouteContext {
        peer,
        learned_from: Some(peer),
        family: V4,
        prefix: net(prefix),
        attributes,
        weight: 0,
        source: None,
        original_next_hop: None,
        original_med: None,
    }
}

fn named(kind: &str, name: &str) -> Filters {
    let name = Some(name.to_owned());
    let mut filters = Filters::default();
    match kind {
        "distribute" => filters.distribute_list = name,
        "prefix" => filters.prefix_list = name,
        "filter" => filters.filter_list = name,
        _ => filters.route_map = name,
    }
    filters
}

const KINDS: [&str; 4] = ["distribute", "prefix", "filter", "map"];

fn both(policies: &Policies, filters: &Filters) -> PeerPolicy {
    PeerPolicy::new()
        .with(policies, V4, Direction::In, filters)
        .with(policies, V4, Direction::Out, filters)
}

/// Lists and a map of the name ALL that permit.
fn permissive() -> PolicyConfig {
    let mut config = PolicyConfig::default()
        .with_ip_prefix_list(
            "ALL",
            PrefixList::new().entry(5, PrefixEntry::any(Action::Permit)),
        )
        .with_as_path_list("ALL", AsPathList::new().entry(5, Action::Permit, ".*"))
        .with_route_map("ALL", RouteMap::new().entry(10, RouteMapEntry::permit()));
    let any = AccessEntry {
        action: Action::Permit,
        matches: AccessMatch::Any,
    };
    config
        .access_lists
        .insert("ALL".into(), AccessList::new().entry(5, any));
    config
}

#[test]
fn what_is_undefined_denies() {
    let policies = compile(&permissive());
    let peer = peer(PeerKind::Internal);
    let attributes = Attributes::new(common::attributes());
    let route = route(&peer, "10.0.0.0/8", &attributes);
    for kind in KINDS {
        let policy = both(&policies, &named(kind, "NOTHING"));
        assert_eq!(policy.import(&route), DENIED, "{kind}");
        assert_eq!(policy.export(&route), DENIED, "{kind}");
        assert!(policy.export_may_deny());
        let policy = both(&policies, &named(kind, "ALL"));
        assert_eq!(policy.import(&route), Verdict::Accept, "{kind}");
        assert_eq!(policy.export(&route), Verdict::Accept, "{kind}");
    }
}

#[test]
fn an_external_session_needs_filters_in_each_direction() {
    let policies = compile(&permissive());
    let attributes = Attributes::new(common::attributes());
    let external = peer(PeerKind::External);
    let internal = peer(PeerKind::Internal);
    let none = Verdict::Deny(DenyReason::NoPolicy);
    let policy = PeerPolicy::new().with(&policies, V4, Direction::In, &named("map", "ALL"));
    assert_eq!(
        policy.import(&route(&external, "10.0.0.0/8", &attributes)),
        Verdict::Accept
    );
    assert_eq!(
        policy.export(&route(&external, "10.0.0.0/8", &attributes)),
        none
    );
    assert_eq!(
        policy.export(&route(&internal, "10.0.0.0/8", &attributes)),
        Verdict::Accept
    );
    let (_, trace) = policy.explain(Direction::Out, &route(&external, "10.0.0.0/8", &attributes));
    assert_eq!(trace.steps, [Step::NoPolicy]);
    let policy = policy.requires_policy(false);
    assert_eq!(
        policy.export(&route(&external, "10.0.0.0/8", &attributes)),
        Verdict::Accept
    );
}

#[test]
fn filters_are_asked_in_their_order() {
    let config = permissive()
        .with_ip_prefix_list(
            "NONE",
            PrefixList::new().entry(5, PrefixEntry::any(Action::Deny)),
        )
        .with_as_path_list("NONE", AsPathList::new().entry(5, Action::Deny, ".*"));
    let policies = compile(&config);
    let filters = |prefix: &str, path: &str| Filters {
        distribute_list: Some("ALL".into()),
        prefix_list: Some(prefix.into()),
        filter_list: Some(path.into()),
        route_map: Some("ALL".into()),
        ..Filters::default()
    };
    let peer = peer(PeerKind::External);
    let attributes = Attributes::new(common::attributes());
    let asked = |filters: &Filters| {
        let policy = both(&policies, filters);
        let route = route(&peer, "10.0.0.0/8", &attributes);
        let (verdict, trace) = policy.explain(Direction::In, &route);
        assert_eq!(policy.import(&route), verdict);
        let steps = trace.steps.into_iter().map(|step| match step {
            Step::List { list, .. } => list,
            Step::Map { name } => name,
            _ => String::new(),
        });
        (
            verdict,
            steps.filter(|text| !text.is_empty()).collect::<Vec<_>>(),
        )
    };
    let all = [
        "access-list ALL",
        "ip prefix-list ALL",
        "bgp as-path access-list ALL",
        "ALL",
    ];
    assert_eq!(
        asked(&filters("ALL", "ALL")),
        (Verdict::Accept, all.map(str::to_owned).into())
    );
    let (verdict, lists) = asked(&filters("NONE", "ALL"));
    assert_eq!((verdict, lists.len()), (DENIED, 2));
    let (verdict, lists) = asked(&filters("ALL", "NONE"));
    assert_eq!((verdict, lists.len()), (DENIED, 3));
}

fn rewritten(verdict: Verdict) -> Arc<Rewritten> {
    match verdict {
        Verdict::AcceptWith(new) => new,
        other => panic!("{other:?}"),
    }
}

#[test]
fn prefixes_of_one_set_share_what_is_made_of_it() {
    let inside = PrefixEntry {
        le: Some(32),
        ..PrefixEntry::exactly(Action::Permit, "10.0.0.0/8".parse().unwrap())
    };
    let line = Match::ip_address(ListKind::Prefix("TEN".into()));
    let local_pref = |value| Set::LocalPreference(Delta::To(value));
    let map = RouteMap::new()
        .entry(
            10,
            RouteMapEntry::permit()
                .matching(line)
                .setting(local_pref(200)),
        )
        .entry(
            20,
            RouteMapEntry::permit()
                .setting(local_pref(50))
                .setting(Set::Weight(9)),
        );
    let config = permissive()
        .with_ip_prefix_list("TEN", PrefixList::new().entry(5, inside))
        .with_route_map("M", map);
    let policy = both(&compile(&config), &Filters::route_map("M"));
    let peer = peer(PeerKind::External);
    let attributes = Attributes::new(common::attributes());
    let import = |prefix| rewritten(policy.import(&route(&peer, prefix, &attributes)));
    let (one, two) = (import("10.1.0.0/16"), import("10.2.0.0/16"));
    let (other, again) = (import("192.0.2.0/24"), import("198.51.100.0/24"));
    assert!(Arc::ptr_eq(&one, &two) && Arc::ptr_eq(&other, &again));
    assert_eq!((one.attributes.local_pref, one.weight), (Some(200), None));
    assert_eq!(
        (other.attributes.local_pref, other.weight),
        (Some(50), Some(9))
    );
    // What a line sets to what it was is nothing new.
    let attributes = Attributes::new(PathAttributes {
        local_pref: Some(200),
        ..common::attributes()
    });
    assert_eq!(
        policy.import(&route(&peer, "10.1.0.0/16", &attributes)),
        Verdict::Accept
    );
}

#[test]
fn what_is_kept_is_of_one_route() {
    // Should somebody ask about other routes with the same attributes.
    let line = Match::Peer(PeerMatch::Local);
    let map = RouteMap::new().entry(10, RouteMapEntry::permit().matching(line));
    let policy = both(
        &compile(&permissive().with_route_map("M", map)),
        &Filters::route_map("M"),
    );
    let peer = peer(PeerKind::Internal);
    let attributes = Attributes::new(common::attributes());
    let learned = route(&peer, "10.0.0.0/8", &attributes);
    let local = RouteContext {
        learned_from: None,
        source: Some(LocalSource::Static),
        ..learned
    };
    assert_eq!(policy.export(&learned), DENIED);
    assert_eq!(policy.export(&local), Verdict::Accept);
    assert_eq!(policy.export(&learned), DENIED);
}

#[test]
fn where_a_redistributed_route_is_from() {
    let line = Match::SourceProtocol(SourceProtocol::Static);
    let map = RouteMap::new().entry(10, RouteMapEntry::permit().matching(line));
    let policy = both(
        &compile(&permissive().with_route_map("M", map)),
        &Filters::route_map("M"),
    );
    let peer = peer(PeerKind::Internal);
    let verdict = |source| {
        let attributes = Attributes::new(common::attributes());
        let route = RouteContext {
            learned_from: None,
            source,
            ..route(&peer, "10.0.0.0/8", &attributes)
        };
        policy.export(&route)
    };
    assert_eq!(verdict(Some(LocalSource::Static)), Verdict::Accept);
    assert_eq!(verdict(Some(LocalSource::Kernel)), DENIED);
    assert_eq!(verdict(None), DENIED);
}

/// What a policy with this map says of itself.
fn says(map: RouteMap) -> (bool, bool) {
    let deny = RouteMap::new().entry(10, RouteMapEntry::deny());
    let config = permissive()
        .with_route_map("M", map)
        .with_route_map("DENY", deny);
    let both_families = compile(&config);
    let policy = PeerPolicy::new()
        .with(&both_families, V4, Direction::Out, &Filters::route_map("M"))
        .with(
            &both_families,
            Family::Ipv6Unicast,
            Direction::Out,
            &Filters::route_map("ALL"),
        );
    (policy.export_depends_on_peer(), policy.export_may_deny())
}

#[test]
fn what_policy_says_of_itself() {
    let permit = RouteMapEntry::permit;
    let metric = || Match::Metric(5);
    let entry = |entry| RouteMap::new().entry(10, entry);
    assert_eq!(says(entry(permit())), (false, false));
    assert_eq!(
        says(entry(permit().setting(Set::Weight(1)))),
        (false, false)
    );
    assert_eq!(says(entry(permit().matching(metric()))), (false, true));
    assert_eq!(
        says(entry(permit().matching(metric())).entry(20, permit())),
        (false, false)
    );
    assert_eq!(says(entry(RouteMapEntry::deny())), (false, true));
    // No route comes to what denies.
    assert_eq!(
        says(entry(permit()).entry(20, RouteMapEntry::deny())),
        (false, false)
    );
    let next = permit().then(OnMatch::Next);
    assert_eq!(says(entry(next.clone())), (false, false));
    assert_eq!(
        says(entry(next.clone()).entry(20, RouteMapEntry::deny())),
        (false, true)
    );
    assert_eq!(
        says(entry(next).entry(20, permit().matching(metric()))),
        (false, true)
    );
    let goto = permit().then(OnMatch::Goto(30));
    let jump = entry(goto)
        .entry(20, RouteMapEntry::deny())
        .entry(30, permit());
    assert_eq!(says(jump), (false, false));
    assert_eq!(says(entry(permit().calling("ALL"))), (false, false));
    assert_eq!(says(entry(permit().calling("DENY"))), (false, true));
    assert_eq!(says(entry(permit().calling("M"))), (false, true));
    assert_eq!(says(RouteMap::new()), (false, true));
    // The peer.
    let address = || PeerMatch::Address("192.0.2.1".parse().unwrap());
    let of_peer = entry(permit().matching(Match::Peer(address()))).entry(20, permit());
    assert_eq!(says(of_peer), (true, false));
    let local = entry(permit().matching(Match::Peer(PeerMatch::Local))).entry(20, permit());
    assert_eq!(says(local), (false, false));
    let hop = permit().setting(Set::NextHop(NextHopSet::PeerAddress));
    assert_eq!(says(entry(hop)), (true, false));
    assert_eq!(
        says(entry(permit().setting(Set::Metric(MetricSet::AddRtt)))),
        (true, false)
    );
}

#[test]
fn round_trip_time_is_as_it_is_now() {
    let map = RouteMap::new().entry(
        10,
        RouteMapEntry::permit().setting(Set::Metric(MetricSet::Rtt)),
    );
    let policies = compile(&permissive().with_route_map("M", map));
    let facts = PeerFacts::default();
    let policy = both(&policies, &Filters::route_map("M")).facts(facts.clone());
    let peer = peer(PeerKind::External);
    let attributes = Attributes::new(common::attributes());
    for rtt in [7, 8] {
        facts
            .rtt_ms
            .store(rtt, std::sync::atomic::Ordering::Relaxed);
        let new = rewritten(policy.import(&route(&peer, "10.0.0.0/8", &attributes)));
        assert_eq!(new.attributes.med, Some(rtt));
    }
}

// ===== reload =====

fn uses_community(list: &str, of: &str) -> PolicyConfig {
    let line = Match::Community(list.into(), CommunityCompare::All);
    let called = RouteMap::new().entry(10, RouteMapEntry::permit().matching(line));
    let map = RouteMap::new().entry(10, RouteMapEntry::permit().calling("CALLED"));
    let all = CommunityMatcher::All(communities(of));
    permissive()
        .with_route_map("M", map)
        .with_route_map("CALLED", called)
        .with_community_list("L", CommunityList::standard().entry(5, Action::Permit, all))
}

#[test]
fn an_edit_shows_whom_it_concerns() {
    let before = compile(&uses_community("L", "1:1"));
    let old = both(&before, &Filters::route_map("M"));
    let others = both(&before, &Filters::route_map("ALL"));
    let after = |config: &PolicyConfig| {
        let policies = Compiler::new(config)
            .local_as(common::LOCAL_AS)
            .after(&before)
            .compile()
            .unwrap();
        // The same as when it is compiled from nothing.
        for (name, map) in compile(config).route_maps() {
            assert!(policies.route_map(name).unwrap() == map);
        }
        policies
    };
    let policies = after(&uses_community("L", "1:1"));
    assert!(old == both(&policies, &Filters::route_map("M")));
    let known = before.route_map("M").unwrap();
    assert!(Arc::ptr_eq(known, policies.route_map("M").unwrap()));

    let policies = after(&uses_community("L", "2:2"));
    let new = both(&policies, &Filters::route_map("M"));
    assert!(old != new && !old.same(&new, V4, Direction::In));
    assert!(old.same(&new, Family::Ipv6Unicast, Direction::In));
    assert!(others == both(&policies, &Filters::route_map("ALL")));
    // Its lines are the same, so it counts on.
    let counters = |policies: &Policies| policies.route_map("M").unwrap().counters().cloned();
    let (one, other) = (counters(&before).unwrap(), counters(&policies).unwrap());
    assert!(Arc::ptr_eq(&one, &other));

    let mut gone = uses_community("L", "1:1");
    gone.community_lists.clear();
    assert!(old != both(&after(&gone), &Filters::route_map("M")));
    let mut gone = uses_community("L", "1:1");
    gone.route_maps.remove("CALLED");
    assert!(old != both(&after(&gone), &Filters::route_map("M")));
}

#[test]
fn what_is_used_is_named_through_calls() {
    let config = uses_community("NOTHING", "1:1");
    let filters = Filters {
        prefix_list: Some("P".into()),
        ..Filters::route_map("M")
    };
    let policy = both(&compile(&config), &filters);
    let expected = [
        Object::new(ObjectKind::IpPrefixList, "P"),
        Object::new(ObjectKind::CommunityList, "NOTHING"),
        Object::new(ObjectKind::RouteMap, "CALLED"),
        Object::new(ObjectKind::RouteMap, "M"),
    ];
    assert_eq!(policy.uses().into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn all_bad_expressions_are_told_at_once() {
    let config = PolicyConfig::default()
        .with_as_path_list("BAD", AsPathList::new().entry(5, Action::Permit, "1(2"))
        .with_as_path_list("WORSE", AsPathList::new().entry(7, Action::Permit, "*"));
    let errors = Compiler::new(&config).compile().unwrap_err();
    assert_eq!(
        errors.to_string(),
        "bgp as-path access-list BAD seq 5: column 2: this parenthesis is not closed\n\
         bgp as-path access-list WORSE seq 7: column 1: there is nothing to repeat"
    );
}

#[test]
fn a_trace_says_what_failed_and_what_there_was() {
    let map = RouteMap::new()
        .entry(10, RouteMapEntry::deny().matching(Match::Metric(5)))
        .entry(
            20,
            RouteMapEntry::permit()
                .setting(Set::Weight(1))
                .calling("ALL"),
        );
    let policies = compile(&permissive().with_route_map("M", map));
    let policy = both(&policies, &Filters::route_map("M"));
    let peer = peer(PeerKind::External);
    let attributes = Attributes::new(common::attributes());
    let (_, trace) = policy.explain(Direction::In, &route(&peer, "10.0.0.0/8", &attributes));
    let json = serde_json::to_value(&trace).unwrap();
    let steps: Vec<&str> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    let expected = "map entry match entry set call map entry continue end continue end";
    assert_eq!(steps.join(" "), expected);
    assert_eq!(json[2]["actual"], "none");
    assert_eq!(json[2]["holds"], false);
    assert_eq!(json[2]["wanted"]["metric"], 5);
}
