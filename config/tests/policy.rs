//! Lists, route maps and what refers to them: the lines as FRR 8.4.4 takes and
//! prints them.

use holdfast_config::diff::GlobalChange;
use holdfast_config::frr::{Mode, Outcome, Session, to_frr};
use holdfast_config::{Config, Leniency, Spelling, diff, parse_str, to_toml, validate};

fn session(lines: &str) -> Session {
    let mut session = Session::default();
    for line in lines.lines() {
        let applied = session.apply_line(line);
        applied.unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    session
}

/// What is printed after the heading, without the lines that part blocks.
fn printed(config: &Config) -> Vec<String> {
    let text = to_frr(config);
    let heading = ["!", "frr defaults traditional", "end"];
    let lines = text.lines().filter(|line| !heading.contains(&line.trim()));
    lines.map(str::to_owned).collect()
}

#[track_caller]
fn becomes(lines: &str, expected: &[&str]) {
    let config = session(lines).into_config();
    assert_eq!(printed(&config), expected, "{lines}");
    assert_eq!(validate(&config), []);
    let text = to_frr(&config);
    let back = parse_str("frr.conf", &text, Spelling::Frr, Leniency::Strict);
    assert_eq!(back.unwrap().config, config);
    let text = to_toml(&config);
    let back = parse_str("a.toml", &text, Spelling::Toml, Leniency::Strict);
    assert_eq!(back.expect(&text).config, config, "{text}");
}

#[track_caller]
fn refused(lines: &str, line: &str, expected: &str) {
    let mut session = session(lines);
    let before = session.config.clone();
    let error = session.apply_line(line).expect_err(line);
    assert_eq!(error.to_string(), expected);
    assert_eq!(session.config, before);
}

// ===== lists =====

#[test]
fn prefix_lists_are_numbered_and_cut() {
    becomes(
        "ip prefix-list PL permit 10.0.0.0/8 le 24 ge 16
ip prefix-list PL permit any
ip prefix-list PL seq 3 deny 10.1.2.3/16 ge 17
ip prefix-list PL permit 0.0.0.0/0 le 32
ip prefix-list PL permit 0.0.0.0/0
ip prefix-list PL permit any
ip prefix-list PL description hello   world
ip prefix-list A permit 10.0.0.0/8 ge 32
ip prefix-list DESC description only
ipv6 prefix-list PL6 permit any
ipv6 prefix-list PL6 permit 2001:db8::1/32 ge 48 le 64",
        &[
            "ip prefix-list A seq 5 permit 10.0.0.0/8 ge 32",
            "ip prefix-list DESC description only",
            "ip prefix-list PL description hello world",
            "ip prefix-list PL seq 3 deny 10.1.0.0/16 ge 17",
            "ip prefix-list PL seq 5 permit 10.0.0.0/8 ge 16 le 24",
            "ip prefix-list PL seq 10 permit any",
            "ip prefix-list PL seq 15 permit 0.0.0.0/0 le 32",
            "ip prefix-list PL seq 20 permit 0.0.0.0/0",
            "ipv6 prefix-list PL6 seq 5 permit any",
            "ipv6 prefix-list PL6 seq 10 permit 2001:db8::/32 ge 48 le 64",
        ],
    );
}

#[test]
fn lengths_of_prefix_lists_are_checked() {
    let message = "% Invalid prefix range for 10.0.0.0/24: Make sure that mask length <= ge <= le";
    for lengths in ["ge 20", "le 20", "ge 28 le 26"] {
        let line = format!("ip prefix-list E permit 10.0.0.0/24 {lengths}");
        refused("", &line, message);
    }
    for lengths in ["ge 24", "le 24", "ge 28 le 28"] {
        session(&format!("ip prefix-list E permit 10.0.0.0/24 {lengths}"));
    }
    let line = "ip prefix-list E permit 10.0.0.0/24 ge 25 le 33";
    refused("", line, &format!("% Unknown command: {line}"));
}

#[test]
fn entries_of_prefix_lists_go_by_number_or_by_what_they_say() {
    let lines = "ip prefix-list E seq 5 permit 10.0.0.0/24
ip prefix-list E seq 10 permit any
ip prefix-list E seq 15 deny 11.0.0.0/8
ip prefix-list E description x";
    let after = |more: &str| printed(&session(&format!("{lines}\n{more}")).config).len();
    assert_eq!(after(""), 4);
    assert_eq!(after("no ip prefix-list E seq 99"), 4);
    assert_eq!(after("no ip prefix-list OTHER"), 4);
    assert_eq!(after("no ip prefix-list E permit 1.0.0.0/8"), 4);
    assert_eq!(after("no ip prefix-list E permit any"), 3);
    assert_eq!(after("no ip prefix-list E seq 15"), 3);
    assert_eq!(after("no ip prefix-list E seq 5 permit 8.0.0.0/8"), 3);
    assert_eq!(after("no ip prefix-list E description"), 3);
    assert_eq!(after("no ip prefix-list E"), 0);
    let last = "ip prefix-list F seq 4294967295 permit any";
    let message = "% there is no sequence number after the last entry's";
    refused(last, "ip prefix-list F permit 1.0.0.0/8", message);
}

#[test]
fn access_lists_are_printed_as_frr_prints_them() {
    becomes(
        "access-list ACL permit 10.0.0.5/8
access-list ACL permit any
access-list ACL deny 10.1.0.0/16 exact-match
access-list ACL remark some text
access-list ACL seq 7 permit 10.9.0.0/16
access-list 10 permit 10.0.0.0 0.0.0.255
access-list 10 permit host 10.0.0.1
access-list 10 permit 10.0.0.2
access-list 9 permit any
access-list 101 permit ip 10.0.0.0 0.0.0.255 255.255.255.0 0.0.0.0
access-list 101 permit ip host 10.0.0.1 any
access-list 101 deny ip any any
access-list ONLY remark only remark
ipv6 access-list AC6 permit 2001:db8::/32 exact-match
ipv6 access-list AC6 permit any
ipv6 access-list AC6 remark six",
        &[
            "access-list 9 seq 5 permit any",
            "access-list 10 seq 5 permit 10.0.0.0 0.0.0.255",
            "access-list 10 seq 10 permit 10.0.0.1",
            "access-list 10 seq 15 permit 10.0.0.2",
            "access-list 101 seq 5 permit ip 10.0.0.0 0.0.0.255 host 255.255.255.0",
            "access-list 101 seq 10 permit ip host 10.0.0.1 any",
            "access-list 101 seq 15 deny ip any any",
            "access-list ACL remark some text",
            "access-list ACL seq 5 permit 10.0.0.0/8",
            "access-list ACL seq 7 permit 10.9.0.0/16",
            "access-list ACL seq 10 permit any",
            "access-list ACL seq 15 deny 10.1.0.0/16 exact-match",
            "access-list ONLY remark only remark",
            "ipv6 access-list AC6 remark six",
            "ipv6 access-list AC6 seq 5 permit 2001:db8::/32 exact-match",
            "ipv6 access-list AC6 seq 10 permit any",
        ],
    );
    let left = "access-list G permit any\naccess-list G remark x\nno access-list G remark
no access-list G permit any\nno access-list G";
    becomes(left, &[]);
}

#[test]
fn lists_of_paths_and_communities_are_printed_as_frr_prints_them() {
    becomes(
        "bgp as-path access-list ASP permit ^65001_
bgp as-path access-list ASP deny .*
bgp as-path access-list ASP deny .*
bgp as-path access-list 7 seq 3 permit _7_   _8_
bgp community-list standard CS seq 7 permit 65001:2 no-export 65001:1 65001:1
bgp community-list standard CS deny internet
bgp community-list 10 permit 65535:65281
bgp community-list expanded CE permit 65001:.*
bgp community-list 150 permit _65001:[0-9]+ _6
bgp large-community-list standard LS permit 4:5:6 1:2:3
bgp large-community-list expanded LE permit ^1:2:
bgp extcommunity-list standard XS permit rt 1:1 soo 10.0.0.1:4 rt 70000:1 1:1
bgp extcommunity-list 110 deny .*
bgp community alias 65001:1 one
bgp community alias 65001:1:1 large-one",
        &[
            "bgp as-path access-list 7 seq 3 permit _7_ _8_",
            "bgp as-path access-list ASP seq 5 permit ^65001_",
            "bgp as-path access-list ASP seq 10 deny .*",
            "bgp community-list 10 seq 5 permit no-export",
            "bgp community-list 150 seq 5 permit _65001:[0-9]+ _6",
            "bgp community-list expanded CE seq 5 permit 65001:.*",
            "bgp community-list standard CS seq 7 permit 65001:1 65001:2 no-export",
            "bgp community-list standard CS seq 10 deny internet",
            "bgp extcommunity-list 110 seq 5 deny .*",
            "bgp extcommunity-list standard XS seq 5 permit rt 1:1 soo 10.0.0.1:4 rt 70000:1",
            "bgp large-community-list expanded LE seq 5 permit ^1:2:",
            "bgp large-community-list standard LS seq 5 permit 1:2:3 4:5:6",
            "bgp community alias 65001:1 one",
            "bgp community alias 65001:1:1 large-one",
        ],
    );
}

#[test]
fn what_frr_says_about_wrong_lists_is_said_here() {
    let lists = "bgp community-list standard T permit 1:1\nbgp as-path access-list A permit _1_
bgp community alias 1:1 one";
    for (line, message) in [
        (
            "bgp community-list expanded T permit 8:8",
            "% Community name conflict, previously defined as standard community",
        ),
        (
            "bgp community-list 10 permit 8:8:8",
            "% Malformed community-list value",
        ),
        (
            "bgp community-list 10 permit 65536",
            "% Malformed community-list value",
        ),
        (
            "bgp extcommunity-list standard X permit 1:1",
            "% Malformed community-list value",
        ),
        (
            "no bgp community-list standard T seq 9 permit 1:1",
            "% Can't find community-list",
        ),
        (
            "no bgp community-list standard NOPE",
            "% Can't find community-list",
        ),
        (
            "no bgp as-path access-list A permit _2_",
            "% Regex entered _2_ does not exist",
        ),
        (
            "no bgp as-path access-list NOPE",
            "% bgp as-path access-list NOPE doesn't exist",
        ),
        (
            "bgp community alias 1:2 one",
            "% community (1:1) already has this alias (one)",
        ),
        (
            "bgp as-path access-list A permit _a_",
            "% Invalid character in as-path access-list _a_",
        ),
        ("bgp community alias foo xx", "% Invalid community format"),
    ] {
        refused(lists, line, message);
    }
    let gone = format!(
        "{lists}\nno bgp community-list standard T\nno bgp as-path access-list A permit _1_
no bgp community alias 1:1"
    );
    becomes(&gone, &[]);
}

// ===== route maps =====

/// As FRR prints them, by the texts of the lines.
const ROUTE_MAP: &str = "route-map R deny 10
 call OTHER
 description two words
 match alias one
 match as-path ASP
 match community 10 exact-match
 match extcommunity XS
 match interface eth0
 match ip address ACL
 match ip address prefix-len 24
 match ip address prefix-list PL
 match ip next-hop ACL
 match ip next-hop address 10.0.0.1
 match ip next-hop prefix-len 24
 match ip next-hop prefix-list PL
 match ip next-hop type blackhole
 match ip route-source ACL
 match ip route-source prefix-list PL
 match ipv6 address ACL6
 match ipv6 address prefix-len 64
 match ipv6 address prefix-list PL6
 match ipv6 next-hop ACL6
 match ipv6 next-hop address 2001:db8::1
 match ipv6 next-hop prefix-list PL6
 match ipv6 next-hop type blackhole
 match large-community LS exact-match
 match local-preference 7
 match metric 5
 match origin incomplete
 match peer 10.0.0.1
 match probability 0
 match rpki notfound
 match source-instance 3
 match source-protocol static
 match source-vrf RED
 match tag 7
 on-match goto 30
 set aggregator as 65000 1.2.3.4
 set as-path exclude 4 5
 set as-path prepend 1 2 3
 set as-path replace any
 set atomic-aggregate
 set comm-list CS delete
 set community 65001:1 65001:2 no-export additive
 set distance 0
 set extcommunity bandwidth 100 non-transitive
 set extcommunity rt 1:1 2:2
 set extcommunity soo 1:1
 set ip next-hop 10.0.0.1
 set ipv6 next-hop global 2001:db8::1
 set ipv6 next-hop local fe80::1
 set ipv6 next-hop peer-address
 set ipv6 next-hop prefer-global
 set large-comm-list LS delete
 set large-community 1:2:3 1:1:1 additive
 set local-preference +5
 set metric rtt
 set origin egp
 set originator-id 1.2.3.4
 set src 10.0.0.1
 set table 9
 set tag 7
 set weight 4294967295
exit
route-map R permit 20
 match ip address 10
 match peer eth0
 on-match next
 set as-path prepend last-as 3
 set community none
 set extcommunity bandwidth cumulative
 set extcommunity none
 set ip next-hop peer-address
 set large-community none
 set metric -rtt
exit
route-map R permit 30
 match peer local
 set community internet additive
 set extcommunity bandwidth num-multipaths non-transitive
 set ip next-hop unchanged
 set metric +5
exit";

#[test]
fn route_maps_are_printed_as_frr_prints_them() {
    let lines: Vec<&str> = ROUTE_MAP.lines().collect();
    becomes(ROUTE_MAP, &lines);
    // In whatever order it was typed, but for what changes the same thing.
    let mut session = session("");
    for block in ROUTE_MAP.split_inclusive("exit") {
        let lines: Vec<&str> = block.trim().lines().collect();
        let (head, rest) = lines.split_first().unwrap();
        session.apply_line(head).unwrap();
        for line in rest.iter().rev().filter(|line| **line != "exit") {
            session.apply_line(line).unwrap();
        }
    }
    let of = |lines: &[&str], start: &str| -> Vec<String> {
        let these = lines.iter().filter(|line| line.starts_with(start));
        these.map(|line| (*line).to_owned()).collect()
    };
    let first_entry = lines.split(|line| *line == "exit").next().unwrap();
    let text = printed(&session.config);
    let typed: Vec<&str> = text.iter().map(|line| &**line).collect();
    let typed_first = typed.split(|line| *line == "exit").next().unwrap();
    for start in [
        " set as-path",
        " set comm",
        " set large-comm",
        " set ipv6 next-hop",
    ] {
        let mut backwards = of(first_entry, start);
        assert!(backwards.len() > 1);
        backwards.reverse();
        assert_eq!(of(typed_first, start), backwards);
    }
    let sorted = |mut lines: Vec<&str>| {
        lines.sort_unstable();
        lines.join("\n")
    };
    assert_eq!(sorted(typed), sorted(lines));
    // What is printed is read back in the same order.
    becomes(
        &text.join("\n"),
        &text.iter().map(|line| &**line).collect::<Vec<_>>(),
    );
}

#[test]
fn newer_clauses_are_taken_too() {
    let block = "route-map R permit 1
 match community L any
 set aigp-metric igp-metric
 set as-path exclude as-path-access-list A
 set as-path replace 5 6
 set metric igp
exit";
    becomes(block, &block.lines().collect::<Vec<_>>());
}

#[test]
fn a_clause_takes_the_place_of_one_of_its_name() {
    becomes(
        "route-map Q permit 10
set metric +5
set metric 7
set community 5:5 additive
set community 6:6 5:5
set as-path prepend 1
set as-path prepend last-as 2
set ip next-hop 10.0.0.1
set ip next-hop unchanged
match peer local
match peer 10.0.0.1
match tag 5
no match tag 9
set weight 5
no set weight
continue 40
call X
description a
no call
no description
route-map Q deny 10",
        &[
            "route-map Q deny 10",
            " match peer 10.0.0.1",
            " on-match goto 40",
            " set as-path prepend last-as 2",
            " set community 5:5 6:6",
            " set ip next-hop unchanged",
            " set metric 7",
            "exit",
        ],
    );
}

#[test]
fn what_frr_says_about_wrong_clauses_is_said_here() {
    let entry = "route-map Q permit 10";
    for (line, message) in [
        ("set metric +0", "% Can't add zero to metric"),
        ("set metric -0", "% Can't subtract zero from metric"),
        (
            "set local-preference x",
            "% Argument form is unsupported or malformed.",
        ),
        (
            "set community 6:6 foo",
            "% Malformed communities attribute '6:6 foo'",
        ),
        (
            "set large-community 1:1",
            "% Argument form is unsupported or malformed.",
        ),
        ("call Q", "% a route map cannot call itself"),
        ("on-match goto 10", "% goto needs a later entry"),
        ("continue 5", "% goto needs a later entry"),
        ("set as-path prepend 0", "% \"0\" is no AS number"),
    ] {
        refused(entry, line, message);
    }
}

#[test]
fn on_match_is_taken_back_in_its_own_words() {
    let after = |lines: &str| {
        let session = session(&format!("route-map Q permit 10\n{lines}"));
        let lines = printed(&session.config);
        lines.into_iter().find(|line| line.contains("on-match"))
    };
    assert_eq!(
        after("on-match next\nno on-match goto").as_deref(),
        Some(" on-match next")
    );
    let goto = after("on-match goto 11\nno on-match next");
    assert_eq!(goto.as_deref(), Some(" on-match goto 11"));
    assert_eq!(after("on-match goto 11\nno on-match goto"), None);
    assert_eq!(after("continue 40\nno continue 30"), None);
    assert_eq!(after("continue").as_deref(), Some(" on-match next"));
}

#[test]
fn modes_of_route_maps_and_rpki_lead_up_and_down() {
    let mut session = Session::default();
    for (line, outcome) in [
        ("route-map A permit 5", Outcome::Entered(Mode::RouteMap)),
        ("match tag 5", Outcome::Applied),
        ("route-map A deny 10", Outcome::Entered(Mode::RouteMap)),
        ("exit-route-map", Outcome::Entered(Mode::Config)),
        ("rpki", Outcome::Entered(Mode::Rpki)),
        ("rpki retry_interval 5", Outcome::Applied),
        ("exit", Outcome::Entered(Mode::Config)),
        ("route-map A permit 5", Outcome::Entered(Mode::RouteMap)),
        ("end", Outcome::Left),
    ] {
        assert_eq!(session.apply_line(line), Ok(outcome), "{line}");
    }
    assert_eq!(Mode::RouteMap.prompt(), "(config-route-map)");
    assert_eq!(Mode::Rpki.prompt(), "(config-rpki)");
}

#[test]
fn a_route_map_goes_with_its_last_entry() {
    becomes("route-map A permit 5\nno route-map A permit 5", &[]);
    becomes(
        "route-map A permit 5\nroute-map A permit 6\nno route-map A",
        &[],
    );
    let kept = "route-map A permit 5\nexit\nno route-map A optimization";
    becomes(
        kept,
        &[
            "no route-map A optimization",
            "route-map A permit 5",
            "exit",
        ],
    );
    becomes(
        &format!("{kept}\nroute-map A optimization\nno route-map A permit 5"),
        &[],
    );
}

/// The entry may go while a shell is in it.
#[test]
fn lines_about_an_entry_that_is_gone_are_refused() {
    let mut session = session("route-map A permit 5");
    session.config.policy.route_maps.clear();
    let error = session.apply_line("match tag 5").unwrap_err();
    assert_eq!(error.to_string(), "% The entry of the route map is gone");
}

// ===== what refers to them =====

#[test]
fn policy_of_peers_is_printed_as_frr_prints_it() {
    let head = "router bgp 65000
 neighbor G peer-group
 neighbor G remote-as external
 neighbor 10.0.0.2 peer-group G
 neighbor 10.0.0.1 remote-as external";
    let family = " address-family ipv4 unicast
  network 10.0.0.0/8 route-map NM
  network 10.1.0.0/16
  aggregate-address 10.0.0.0/8 as-set summary-only route-map AM
  aggregate-address 11.0.0.0/8 origin igp matching-MED-only suppress-map SM
  redistribute kernel metric 9
  redistribute connected metric 5 route-map RC
  redistribute static route-map RS
  bgp dampening
  no neighbor G send-community
  neighbor G route-map GIN in
  neighbor 10.0.0.2 distribute-list DI in
  neighbor 10.0.0.2 distribute-list DO out
  neighbor 10.0.0.1 next-hop-self
  no neighbor 10.0.0.1 send-community extended
  neighbor 10.0.0.1 default-originate route-map DO
  neighbor 10.0.0.1 soft-reconfiguration inbound
  neighbor 10.0.0.1 allowas-in
  neighbor 10.0.0.1 weight 5
  neighbor 10.0.0.1 prefix-list PI in
  neighbor 10.0.0.1 prefix-list PO out
  neighbor 10.0.0.1 route-map IN in
  neighbor 10.0.0.1 route-map OUT out
  neighbor 10.0.0.1 unsuppress-map UM
  neighbor 10.0.0.1 advertise-map ADV exist-map EX
  neighbor 10.0.0.1 filter-list FI in
  neighbor 10.0.0.1 filter-list FO out
  neighbor 10.0.0.1 attribute-unchanged next-hop
  maximum-paths 4
  table-map TM
  import vrf route-map IVM
  import vrf RED
 exit-address-family
exit";
    let text = format!("{head}\n{family}");
    becomes(&text, &text.lines().collect::<Vec<_>>());
}

#[test]
fn communities_that_are_sent_are_switches_of_their_own() {
    let head = "router bgp 1\nneighbor G peer-group\nneighbor 10.0.0.2 remote-as 2
neighbor 10.0.0.2 peer-group G\n";
    let after = |lines: &str| {
        let lines = printed(&session(&format!("{head}{lines}")).into_config());
        let about = lines.into_iter().filter(|line| line.contains("send-comm"));
        about.map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        after("no neighbor G send-community all\nno neighbor 10.0.0.2 send-community extended"),
        ["no neighbor G send-community all"]
    );
    assert_eq!(
        after("no neighbor G send-community all\nneighbor G send-community large"),
        [
            "no neighbor G send-community",
            "no neighbor G send-community extended"
        ]
    );
    assert_eq!(
        after("no neighbor G send-community both\nneighbor 10.0.0.2 send-community"),
        [
            "no neighbor G send-community",
            "no neighbor G send-community extended",
            "neighbor 10.0.0.2 send-community"
        ]
    );
    assert_eq!(
        after("neighbor 10.0.0.2 send-community all"),
        Vec::<String>::new()
    );
}

#[test]
fn a_prefix_list_and_an_access_list_exclude_each_other() {
    let head = "router bgp 1\nneighbor 10.0.0.1 remote-as 2\nneighbor 10.0.0.1 prefix-list A in";
    let line = "neighbor 10.0.0.1 distribute-list B in";
    refused(head, line, "% Prefix/distribute list can not co-exist");
    session(&format!("{head}\nneighbor 10.0.0.1 distribute-list B out"));
}

#[test]
fn dampening_is_printed_as_short_as_it_can_be() {
    for (typed, line) in [
        ("bgp dampening 15 750 2000 60", "bgp dampening"),
        ("bgp dampening 10", "bgp dampening 10"),
        (
            "bgp dampening 15 750 2000 61",
            "bgp dampening 15 750 2000 61",
        ),
    ] {
        let family = ["router bgp 1", " address-family ipv4 unicast"];
        let indented = format!("  {line}");
        let tail = [indented.as_str(), " exit-address-family", "exit"];
        becomes(
            &format!("router bgp 1\n{typed}"),
            &[&family[..], &tail].concat(),
        );
    }
    let line = "bgp dampening 10 900 800 30";
    let message = "% Suppress value cannot be less than reuse value";
    refused("router bgp 1", line, message);
}

#[test]
fn a_neighbor_has_dampening_of_its_own_or_its_groups() {
    becomes(
        "router bgp 1\nneighbor G peer-group\nneighbor 192.0.2.1 remote-as 2\n\
         neighbor 192.0.2.1 peer-group G\nneighbor G dampening 2\n\
         neighbor 192.0.2.1 dampening 1 900 1500 4",
        &[
            "router bgp 1",
            " neighbor G peer-group",
            " neighbor 192.0.2.1 remote-as 2",
            " neighbor 192.0.2.1 peer-group G",
            " address-family ipv4 unicast",
            "  neighbor G dampening 2",
            "  neighbor 192.0.2.1 dampening 1 900 1500 4",
            " exit-address-family",
            "exit",
        ],
    );
    let line = "neighbor 192.0.2.1 dampening 10 900 800 30";
    let message = "% Suppress value cannot be less than reuse value";
    refused(
        "router bgp 1\nneighbor 192.0.2.1 remote-as 2",
        line,
        message,
    );
}

#[test]
fn aggregates_that_can_hold_nothing_are_refused() {
    let line = "aggregate-address 10.0.0.1/32";
    let message = "% Specified prefix: 10.0.0.1/32 will not result in any useful aggregation, \
                   disallowing";
    refused("router bgp 1", line, message);
    let line = "no aggregate-address 11.0.0.0/8";
    refused(
        "router bgp 1",
        line,
        "% There is no aggregate-address configuration.",
    );
}

#[test]
fn options_of_aggregates_come_in_any_order() {
    let lines = "router bgp 1
aggregate-address 10.0.0.0/8 matching-MED-only route-map A origin igp as-set summary-only
aggregate-address 11.0.0.0/8 summary-only
aggregate-address 11.0.0.0/8 as-set";
    becomes(
        lines,
        &[
            "router bgp 1",
            " address-family ipv4 unicast",
            "  aggregate-address 10.0.0.0/8 as-set summary-only route-map A origin igp \
             matching-MED-only",
            "  aggregate-address 11.0.0.0/8 as-set",
            " exit-address-family",
            "exit",
        ],
    );
    for (options, message) in [
        ("as-set fancy", "% an aggregate has no option \"fancy\""),
        ("as-set route-map", "% \"route-map\" needs a value"),
        ("as-set origin x", "% \"x\" is no origin"),
    ] {
        let line = format!("aggregate-address 10.0.0.0/8 {options}");
        refused("router bgp 1", &line, message);
    }
}

#[test]
fn what_is_outside_of_blocks_is_printed_as_frr_prints_it() {
    becomes(
        "ip protocol bgp route-map RM1
ipv6 protocol bgp route-map RM2
bgp route-map delay-timer 9
rpki
rpki polling_period 100
rpki expire_interval 800
rpki retry_interval 60
rpki cache rtr.example.net 323 source 10.0.0.9 preference 1
rpki cache tcp 192.0.2.1 3323 preference 2",
        &[
            "bgp route-map delay-timer 9",
            "ip protocol bgp route-map RM1",
            "ipv6 protocol bgp route-map RM2",
            "rpki",
            " rpki polling_period 100",
            " rpki retry_interval 60",
            " rpki expire_interval 800",
            " rpki cache rtr.example.net 323 source 10.0.0.9 preference 1",
            " rpki cache 192.0.2.1 3323 preference 2",
            "exit",
        ],
    );
    let cache = "rpki\nrpki cache 192.0.2.1 3323 preference 2";
    let line = "rpki cache 192.0.2.9 3323 preference 2";
    refused(
        cache,
        line,
        "% Cache with preference 2 is already configured",
    );
    let line = "no rpki cache 192.0.2.9 3323 preference 7";
    refused(cache, line, "% Could not find cache with preference 7");
    becomes(&format!("{cache}\nno rpki"), &[]);
    becomes("ip protocol bgp route-map A\nno ip protocol bgp", &[]);
}

// ===== TOML =====

#[test]
fn toml_has_tables_by_name() {
    let text = r#"ip-protocol-route-map = "KERNEL"
rpki = { retry-interval-secs = 60, cache = [{ preference = 1, host = "192.0.2.1", port = 3323 }] }

[ip-prefix-list.PL]
description = "ours"
entries = [
  "seq 5 permit 10.0.0.0/8 ge 16 le 24",
  "seq 10 deny any",
]

[community-list.CE]
expanded = true
entries = [
  "seq 5 permit 65001:.*",
]

[community-alias]
"65001:1" = "one"

[route-map.IN]
optimization = false

[route-map.IN.10]
match = ["as-path ASP", "ip address prefix-list PL"]
set = ["local-preference 200"]
on-match = 30

[route-map.IN.30]
action = "deny"
call = "OTHER"

[bgp]
asn = 65000

[bgp.ipv4-unicast]
network = ["10.0.0.0/16", { prefix = "10.1.0.0/16", route-map = "N" }]
aggregate = [{ prefix = "10.0.0.0/8", summary-only = true, origin = "igp" }]
redistribute = [{ source = "static", route-map = "S" }]
table-map = "T"
dampening = { half-life-mins = 10 }

[bgp.neighbor."10.0.0.1"]
remote-as = 65001
ipv4-unicast = { route-map = { in = "IN" }, default-originate = "D", advertise-map = { advertise = "A", non-exist-map = "B" }, send-large-community = false }
"#;
    let read = parse_str("a.toml", text, Spelling::Toml, Leniency::Strict);
    let config = read.unwrap().config;
    assert_eq!(to_toml(&config), text);
    let frr = to_frr(&config);
    assert!(
        frr.contains("\nroute-map IN deny 30\n call OTHER\nexit\n"),
        "{frr}"
    );
    let back = parse_str("frr.conf", &frr, Spelling::Frr, Leniency::Strict);
    assert_eq!(back.unwrap().config, config);
}

#[test]
fn errors_in_toml_have_their_places() {
    for (text, error) in [
        (
            "[ip-prefix-list.PL]\nentries = [\n  \"permit 10.0.0.0/8 ge 4\",\n]\n",
            "a.toml:3:3: Invalid prefix range for 10.0.0.0/8: Make sure that mask length <= ge <= \
             le",
        ),
        (
            "[ip-prefix-list.PL]\nentries = [\"description x\"]\n",
            "a.toml:2:12: \"description x\" is no entry; expected seq, permit or deny",
        ),
        (
            "[route-map.A.10]\nset = [\"metric +0\"]\n",
            "a.toml:2:8: Can't add zero to metric",
        ),
        (
            "[route-map.A.10]\nmatch = [\"tag x\"]\n",
            "a.toml:2:10: \"match tag x\" is no clause of a route map",
        ),
        (
            "[route-map.A]\nfast = true\n",
            "a.toml:2:1: unknown key \"fast\"; expected optimization",
        ),
    ] {
        let errors = parse_str("a.toml", text, Spelling::Toml, Leniency::Strict).unwrap_err();
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors, [error], "{text}");
    }
}

#[test]
fn errors_in_frr_text_have_their_places() {
    let text = "route-map A permit 10\n match tag x\n set metric +0\nexit\n";
    let errors = parse_str("frr.conf", text, Spelling::Frr, Leniency::Strict).unwrap_err();
    let places: Vec<_> = errors
        .iter()
        .map(|error| (error.line, error.column))
        .collect();
    assert_eq!(places, [(2, 12), (3, 13)]);
}

// ===== differences =====

#[test]
fn edits_of_policy_reset_nothing() {
    let head = "router bgp 1\nneighbor 10.0.0.1 remote-as 2\nnetwork 10.0.0.0/8\n";
    let old = session(head).into_config();
    for (line, inbound, outbound) in [
        ("neighbor 10.0.0.1 route-map A in", true, false),
        ("neighbor 10.0.0.1 filter-list A in", true, false),
        ("neighbor 10.0.0.1 prefix-list A out", false, true),
        ("neighbor 10.0.0.1 default-originate", false, true),
        ("no neighbor 10.0.0.1 send-community large", false, true),
        ("neighbor 10.0.0.1 advertise-map A exist-map B", false, true),
    ] {
        let new = session(&format!("{head}{line}")).into_config();
        let text = diff(&old, &new).to_string();
        assert_eq!(text.contains("received routes"), inbound, "{line}: {text}");
        assert_eq!(text.contains("announcements"), outbound, "{line}: {text}");
        assert!(!text.contains("reset"), "{line}: {text}");
    }
    for (line, text) in [
        (
            "network 10.0.0.0/8 route-map A",
            "ipv4 unicast: network 10.0.0.0/8 is announced\n",
        ),
        (
            "aggregate-address 10.0.0.0/8",
            "ipv4 unicast: aggregate 10.0.0.0/8 is announced\n",
        ),
        ("table-map A", "ipv4 unicast: table-map is A\n"),
        (
            "bgp dampening",
            "ipv4 unicast: flapping routes are damped as configured now\n",
        ),
    ] {
        let new = session(&format!("{head}{line}")).into_config();
        assert_eq!(diff(&old, &new).to_string(), text, "{line}");
    }
    for (line, change) in [
        ("ip prefix-list A permit any", GlobalChange::Policy),
        ("route-map A permit 5", GlobalChange::Policy),
        ("rpki\nrpki retry_interval 5", GlobalChange::Rpki),
        (
            "ip protocol bgp route-map A",
            GlobalChange::ProtocolRouteMap,
        ),
    ] {
        let new = session(&format!("{head}{line}")).into_config();
        assert_eq!(diff(&old, &new).global, [change], "{line}");
    }
}

/// A file of many lines without numbers is read in the time it takes to read it.
#[test]
fn long_lists_are_read() {
    let lines = |n: u32| -> String {
        let net = |i: u32| format!("ip prefix-list L permit 10.{}.{}.0/24\n", i / 256, i % 256);
        (0..n).map(net).collect()
    };
    let text = lines(20_000);
    let read = parse_str("frr.conf", &text, Spelling::Frr, Leniency::Strict).unwrap();
    let list = &read.config.policy.ip_prefix_lists["L"];
    assert_eq!(list.entries.len(), 20_000);
    assert_eq!(list.entries.keys().next_back(), Some(&100_000));
}
