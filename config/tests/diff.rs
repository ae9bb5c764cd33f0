//! What a change does to the sessions.

use std::net::IpAddr;

use holdfast_config::diff::{BgpDiff, Effect, GlobalChange, InstanceDiff};
use holdfast_config::frr::Session;
use holdfast_config::{Config, diff};

const BASE: &str = "router bgp 65000
neighbor G peer-group
neighbor G remote-as external
neighbor 10.0.0.1 peer-group G
neighbor 10.0.0.2 peer-group G
neighbor 10.0.0.3 remote-as internal
network 10.0.0.0/8
redistribute connected";

fn after(lines: &str) -> Config {
    let mut session = Session::default();
    for line in BASE.lines().chain(lines.lines()) {
        session
            .apply_line(line)
            .unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    session.into_config()
}

fn change(lines: &str) -> InstanceDiff {
    match diff(&after(""), &after(lines)).bgp {
        BgpDiff::Changed(instance) => *instance,
        other => panic!("{lines}: {other:?}"),
    }
}

/// The neighbor's reset reasons, and whether it is refreshed out and in.
fn impact(lines: &str) -> (Vec<&'static str>, bool, bool) {
    let changed = change(lines).changed;
    let [peer] = changed.as_slice() else {
        panic!("{lines}: {changed:?}");
    };
    (peer.reset.clone(), peer.refresh_out, peer.refresh_in)
}

#[test]
fn what_the_open_or_the_connection_needs_resets_the_session() {
    for (line, reason) in [
        ("password x", "password"),
        ("update-source lo", "update-source"),
        ("ebgp-multihop 2", "ebgp-multihop"),
        ("port 1179", "port"),
        ("passive", "passive"),
        ("capability extended-nexthop", "extended-nexthop"),
    ] {
        let lines = format!("neighbor 10.0.0.1 {line}");
        assert_eq!(impact(&lines), (vec![reason], false, false), "{line}");
    }
    for (line, reason) in [
        ("addpath-tx-all-paths", "ipv4-unicast.addpath"),
        ("disable-addpath-rx", "ipv4-unicast.addpath"),
    ] {
        let lines = format!("neighbor 10.0.0.1 {line}");
        assert_eq!(impact(&lines), (vec![reason], false, false), "{line}");
    }
    let activate = "address-family ipv6\nneighbor 10.0.0.1 activate";
    assert_eq!(
        impact(activate),
        (vec!["ipv6-unicast.activate"], false, false)
    );
    let remote_as = "neighbor 10.0.0.3 remote-as 65001";
    assert_eq!(impact(remote_as), (vec!["remote-as"], false, false));
}

#[test]
fn what_only_routes_need_refreshes_them() {
    assert_eq!(
        impact("neighbor 10.0.0.1 next-hop-self"),
        (vec![], true, false)
    );
    let client = "neighbor 10.0.0.3 route-reflector-client";
    assert_eq!(impact(client), (vec![], true, false));
    let check = "neighbor 10.0.0.1 disable-connected-check";
    assert_eq!(impact(check), (vec![], false, true));
    let aigp = "neighbor 10.0.0.1 aigp";
    assert_eq!(impact(aigp), (vec![], true, true));
    let has_it_anyway = "neighbor 10.0.0.3 aigp";
    assert_eq!(impact(has_it_anyway), (vec![], false, false));
    let serves = "neighbor 10.0.0.1 route-server-client";
    assert_eq!(impact(serves), (vec![], true, false));
    for line in ["weight 7", "allowas-in"] {
        let lines = format!("neighbor 10.0.0.1 {line}");
        assert_eq!(impact(&lines), (vec![], false, true), "{line}");
    }
    // IPv6 is not active: nobody gets a route with another next hop.
    let lines = "address-family ipv6\nneighbor 10.0.0.1 next-hop-self";
    assert_eq!(impact(lines), (vec![], false, false));
}

/// Both ends know already that there may be several paths.
#[test]
fn another_choice_of_paths_keeps_the_session() {
    let all = "neighbor 10.0.0.1 addpath-tx-all-paths";
    let per_as = "neighbor 10.0.0.1 addpath-tx-bestpath-per-AS";
    let BgpDiff::Changed(diff) = diff(&after(all), &after(per_as)).bgp else {
        panic!("no change");
    };
    let [change] = diff.changed.as_slice() else {
        panic!("{diff:?}");
    };
    assert!(change.reset.is_empty() && change.refresh_out && !change.refresh_in);
}

#[test]
fn a_peer_that_becomes_a_member_is_reset_and_no_other() {
    let base = "bgp confederation identifier 64999\nneighbor 10.0.0.8 remote-as 65001
        neighbor 10.0.0.9 remote-as 65002";
    let member = format!("{base}\nbgp confederation peers 65002");
    let BgpDiff::Changed(diff) = diff(&after(base), &after(&member)).bgp else {
        panic!("no change");
    };
    assert!(!diff.resets_all());
    let [change] = diff.changed.as_slice() else {
        panic!("{diff:?}");
    };
    assert_eq!(change.new.address, "10.0.0.9".parse::<IpAddr>().unwrap());
    assert_eq!(change.reset, ["remote-as", "local-as"]);
}

#[test]
fn what_nobody_sees_does_nothing() {
    for (line, setting) in [
        ("description new", "description"),
        ("timers 3 9", "timers"),
        ("timers connect 5", "connect-retry-secs"),
    ] {
        let changed = change(&format!("neighbor 10.0.0.1 {line}")).changed;
        assert_eq!(changed.len(), 1);
        assert_eq!(
            (&changed[0].reset[..], &changed[0].quiet[..]),
            (&[][..], &[setting][..])
        );
        assert_eq!(changed[0].to_string(), "neighbor 10.0.0.1: session stays");
    }
    assert!(diff(&after(""), &after("network 10.0.0.0/8")).is_empty());
}

#[test]
fn a_groups_change_is_its_members_change() {
    let addresses = |diff: &InstanceDiff| -> Vec<String> {
        diff.changed
            .iter()
            .map(|change| change.new.address.to_string())
            .collect()
    };
    assert_eq!(
        addresses(&change("neighbor G password x")),
        ["10.0.0.1", "10.0.0.2"]
    );
    // A member that says something else does not change.
    let own = "neighbor 10.0.0.2 timers 3 9";
    let BgpDiff::Changed(diff) = diff(
        &after(own),
        &after(&format!("{own}\nneighbor G timers 10 30")),
    )
    .bgp
    else {
        panic!("no change");
    };
    assert_eq!(addresses(&diff), ["10.0.0.1"]);
}

#[test]
fn shutting_down_is_no_reset() {
    let changed = change("neighbor 10.0.0.1 shutdown message bye").changed;
    assert_eq!(
        (changed[0].shutdown, changed[0].reset.len()),
        (Some(true), 0)
    );
    let config = after("neighbor 10.0.0.1 shutdown");
    let BgpDiff::Changed(diff) = diff(&config, &after("")).bgp else {
        panic!("no change");
    };
    assert_eq!(diff.changed[0].shutdown, Some(false));
}

#[test]
fn neighbors_come_and_go() {
    let diff = change("no neighbor 10.0.0.1\nneighbor 10.0.0.9 remote-as 1");
    assert_eq!(diff.removed, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
    assert_eq!(diff.added[0].address, "10.0.0.9".parse::<IpAddr>().unwrap());
    assert_eq!((diff.added.len(), diff.changed.len()), (1, 0));
    // Without an AS there is nobody to talk to yet.
    let base = after("neighbor H peer-group");
    let waiting = after("neighbor H peer-group\nneighbor 10.0.0.9 peer-group H");
    assert!(holdfast_config::diff(&base, &waiting).is_empty());
}

#[test]
fn families_change_by_statement() {
    let diff = change(
        "no network 10.0.0.0/8\nnetwork 10.1.0.0/16\nno redistribute connected
         redistribute static metric 5\nmaximum-paths 4\naddress-family ipv6\nnetwork fd00::/8",
    );
    let ipv4 = &diff.ipv4_unicast;
    assert_eq!(ipv4.networks_added, ["10.1.0.0/16".parse().unwrap()]);
    assert_eq!(ipv4.networks_removed, ["10.0.0.0/8".parse().unwrap()]);
    assert_eq!(
        (ipv4.redistribute_set.len(), ipv4.redistribute_removed.len()),
        (1, 1)
    );
    assert_eq!(
        (ipv4.maximum_paths, ipv4.maximum_paths_ibgp),
        (Some(4), None)
    );
    assert_eq!(
        diff.ipv6_unicast.networks_added,
        ["fd00::/8".parse().unwrap()]
    );
    assert_eq!((diff.changed.len(), diff.settings.len()), (0, 0));
}

#[test]
fn resilient_groups_are_a_change_of_the_family_alone() {
    let diff = change("maximum-paths resilient buckets 64 unbalanced-timer 300");
    let now = diff.ipv4_unicast.resilient.unwrap().unwrap();
    assert_eq!((now.buckets, now.idle_timer_secs), (64, 120));
    assert_eq!(now.unbalanced_timer_secs, 300);
    assert!(diff.ipv6_unicast.is_empty());
    assert_eq!((diff.changed.len(), diff.settings.len()), (0, 0));
    let line = "ipv4 unicast: routes are written with resilient groups as configured now\n";
    assert_eq!(diff.to_string(), line);
}

#[test]
fn settings_of_the_instance_say_what_they_need() {
    for (line, effect) in [
        ("bgp router-id 1.1.1.1", Effect::ResetAll),
        ("bgp cluster-id 1.1.1.1", Effect::ResetAll),
        ("bgp bestpath as-path multipath-relax", Effect::Decide),
        ("bgp bestpath as-path ignore", Effect::Decide),
        ("bgp bestpath as-path confed", Effect::Decide),
        ("bgp bestpath peer-type multipath-relax", Effect::Decide),
        ("bgp bestpath aigp", Effect::Decide),
        ("bgp bestpath bandwidth ignore", Effect::Decide),
        ("bgp suppress-fib-pending", Effect::AskKernel),
        ("no bgp client-to-client reflection", Effect::Decide),
        ("bgp bestpath med confed", Effect::Nothing),
        ("no bgp fast-external-failover", Effect::Nothing),
        ("bgp confederation peers 64512", Effect::Nothing),
        ("coalesce-time 100", Effect::Nothing),
        ("bgp default local-preference 200", Effect::Decide),
        ("no bgp ebgp-requires-policy", Effect::RefreshExternal),
        ("no bgp network import-check", Effect::CheckNetworks),
        ("bgp graceful-restart", Effect::NextSession),
        ("bgp log-neighbor-changes", Effect::Nothing),
    ] {
        let settings = change(line).settings;
        assert_eq!(settings.len(), 1, "{line}");
        assert_eq!(settings[0].effect, effect, "{line}");
    }
    // Timers of the instance reach the sessions that have none of their own.
    let timers = change("timers bgp 3 9");
    assert_eq!((timers.resets_all(), timers.changed.len()), (false, 3));
}

#[test]
fn the_plan_can_be_read() {
    let plan = diff(
        &after(""),
        &after(
            "neighbor 10.0.0.1 timers 3 9\nno neighbor 10.0.0.2\nneighbor 10.0.0.3 next-hop-self
             bgp router-id 1.1.1.1\nnetwork 10.9.0.0/16\nhostname r1",
        ),
    );
    assert_eq!(plan.global, [GlobalChange::Hostname]);
    let expected = "hostname changes
router-id changes: all sessions are reset
neighbor 10.0.0.2: is removed
neighbor 10.0.0.1: session stays
neighbor 10.0.0.3: announcements are refreshed
ipv4 unicast: network 10.9.0.0/16 is announced
";
    assert_eq!(plan.to_string(), expected);
}

#[test]
fn vrfs_tables_and_imports_are_compared() {
    let old = after("vrf RED\n table 10\nrouter bgp 65001 vrf RED\n neighbor 10.1.0.1 remote-as 1");
    let new = after(
        "vrf RED\n table 11\nrouter bgp 65001 vrf RED\n neighbor 10.1.0.1 remote-as 1\n\
         address-family ipv4 unicast\n import vrf default\nrouter bgp 65001 vrf BLUE",
    );
    let expected = "vrf RED: table is 11
vrf BLUE: BGP starts
vrf RED: ipv4 unicast: routes of default are taken over
";
    assert_eq!(diff(&old, &new).to_string(), expected);
    let expected = "vrf RED: table is 10
vrf BLUE: BGP stops
vrf RED: ipv4 unicast: routes of default are left
";
    assert_eq!(diff(&new, &old).to_string(), expected);
    assert!(diff(&new, &new).is_empty());
}

#[test]
fn each_view_is_compared_with_itself_alone() {
    let views = "router bgp 65001 view RED
neighbor 10.1.0.1 remote-as 1
router bgp 65002 view BLUE
neighbor 10.2.0.1 remote-as 2";
    let old = after(views);
    assert!(diff(&old, &after(views)).is_empty());
    let new = after(&format!(
        "{views}
neighbor 10.2.0.1 password x
neighbor 10.2.0.2 remote-as 2
network 10.9.0.0/16
no router bgp 65001 view RED
router bgp 65001 view GREEN"
    ));
    let plan = diff(&old, &new);
    assert_eq!(plan.bgp, BgpDiff::Unchanged);
    let expected = "view BLUE: neighbor 10.2.0.2: is added
view BLUE: neighbor 10.2.0.1: session is reset (password)
view BLUE: ipv4 unicast: network 10.9.0.0/16 is announced
view GREEN: BGP starts
view RED: BGP stops
";
    assert_eq!(plan.to_string(), expected);
}

#[test]
fn an_instance_starts_and_stops() {
    assert_eq!(diff(&Config::default(), &after("")).bgp, BgpDiff::Started);
    assert_eq!(diff(&after(""), &Config::default()).bgp, BgpDiff::Stopped);
}
