//! FRR text in and out, through the library.

use std::path::{Path, PathBuf};

use holdfast_config::frr::{Session, running_config, to_frr};
use holdfast_config::{Config, Leniency, PeerKind, Spelling, Vrf, load, parse_str, validate};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn parse(text: &str) -> Config {
    parse_str("frr.conf", text, Spelling::Frr, Leniency::Strict)
        .unwrap()
        .config
}

#[test]
fn the_labs_router_loads_and_prints_back() {
    let path = repository().join("examples/lab/router.frr.conf");
    let loaded = load(&path, Leniency::Strict).unwrap();
    assert_eq!(loaded.spelling, Spelling::Frr);
    assert_eq!(loaded.warnings, []);
    let written = std::fs::read_to_string(&path).unwrap();
    let (_, without_comment) = written.split_once('\n').unwrap();
    assert_eq!(to_frr(&loaded.config), without_comment);
}

/// Every line that the model knows, as FRR 8.4.4 printed it itself.
const EVERYTHING: &str = "\
frr version 8.4.4
frr defaults traditional
hostname r9
log file /var/log/r9 warnings
log stdout
log syslog informational
log timestamp precision 6
ip forwarding
no ipv6 forwarding
ip nht resolve-via-default
ipv6 nht resolve-via-default
service integrated-vtysh-config
bgp suppress-fib-pending
!
router bgp 65001
 no bgp fast-external-failover
 bgp router-id 1.1.1.1
 bgp suppress-fib-pending
 bgp log-neighbor-changes
 bgp always-compare-med
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp default local-preference 150
 no bgp client-to-client reflection
 bgp cluster-id 9.9.9.9
 bgp confederation identifier 65000
 bgp confederation peers 64513 64514
 bgp deterministic-med
 coalesce-time 500
 bgp graceful-restart stalepath-time 200
 bgp graceful-restart restart-time 100
 bgp graceful-restart
 bgp graceful-restart preserve-fw-state
 bgp bestpath as-path ignore
 bgp bestpath as-path confed
 bgp bestpath as-path multipath-relax
 bgp bestpath compare-routerid
 bgp bestpath med confed missing-as-worst
 bgp bestpath peer-type multipath-relax
 bgp bestpath bandwidth skip-missing
 bgp bestpath aigp
 no bgp network import-check
 timers bgp 10 30
 neighbor G peer-group
 neighbor G remote-as external
 neighbor G description group text
 neighbor G shutdown message bye now
 neighbor G password secret
 neighbor G passive
 neighbor G ebgp-multihop 255
 neighbor G disable-connected-check
 neighbor G aigp
 neighbor G disable-link-bw-encoding-ieee
 neighbor G update-source lo
 neighbor G timers 5 15
 neighbor G timers connect 7
 neighbor G capability extended-nexthop
 neighbor 10.0.0.2 peer-group G
 neighbor 10.0.0.2 description hello world
 neighbor 10.0.0.2 port 1790
 neighbor 10.0.0.2 update-source 127.0.0.1
 neighbor 10.0.0.2 timers 6 18
 neighbor 10.0.0.2 timers connect 8
 neighbor 10.0.0.3 remote-as 65003
 neighbor 10.0.0.3 shutdown
 neighbor 10.0.0.3 password pw
 neighbor 10.0.0.3 passive
 neighbor 10.0.0.3 ebgp-multihop 4
 neighbor 10.0.0.3 disable-connected-check
 neighbor 10.0.0.3 aigp
 neighbor 10.0.0.3 capability extended-nexthop
 neighbor 10.0.0.4 remote-as internal
 neighbor 10.0.0.5 remote-as 65001
 neighbor 2001:db8::2 remote-as 65002
 !
 address-family ipv4 unicast
  network 10.1.0.0/24
  network 10.99.0.0/16
  redistribute kernel
  redistribute connected
  redistribute static metric 5
  neighbor G activate
  neighbor G addpath-tx-all-paths
  neighbor G next-hop-self force
  neighbor G route-server-client
  neighbor G allowas-in origin
  neighbor G weight 7
  neighbor G attribute-unchanged next-hop
  neighbor 10.0.0.2 disable-addpath-rx
  neighbor 10.0.0.2 next-hop-self
  neighbor 10.0.0.2 allowas-in 4
  neighbor 10.0.0.2 weight 500
  neighbor 10.0.0.4 activate
  neighbor 10.0.0.4 addpath-tx-bestpath-per-AS
  neighbor 10.0.0.4 route-reflector-client
  neighbor 10.0.0.4 next-hop-self
  neighbor 10.0.0.4 soft-reconfiguration inbound
  neighbor 10.0.0.4 allowas-in
  maximum-paths 4
  maximum-paths ibgp 5 equal-cluster-length
 exit-address-family
 !
 address-family ipv6 unicast
  network 2001:db8::/64
  neighbor G activate
  neighbor G soft-reconfiguration inbound
  no neighbor 10.0.0.2 activate
  neighbor 2001:db8::2 activate
 exit-address-family
exit
!
end
";

#[test]
fn what_frr_printed_prints_back() {
    assert_eq!(to_frr(&parse(EVERYTHING)), EVERYTHING);
}

/// How the running configuration shows these lines of `router bgp`.
fn shown(lines: &str) -> String {
    let mut session = Session::default();
    session.apply_line("frr version 8.4.4").unwrap();
    session.apply_line("router bgp 65001").unwrap();
    for line in lines.lines() {
        session
            .apply_line(line)
            .unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    let text = to_frr(&session.into_config());
    let (_, block) = text.split_once("router bgp 65001\n").unwrap();
    block.strip_suffix("exit\n!\nend\n").unwrap().to_owned()
}

#[test]
fn a_changed_default_is_for_neighbors_to_come() {
    let text = shown(
        "neighbor 10.0.0.3 remote-as 65002
         no bgp default ipv4-unicast
         neighbor 10.0.0.4 remote-as 65002
         neighbor G peer-group
         neighbor G remote-as external
         neighbor 10.0.0.5 peer-group G
         bgp default ipv4-unicast
         neighbor 10.0.0.6 peer-group G
         neighbor 10.0.0.6 activate
         neighbor 10.0.0.7 peer-group G",
    );
    let frr = " neighbor G peer-group
 neighbor G remote-as external
 neighbor 10.0.0.5 peer-group G
 neighbor 10.0.0.6 peer-group G
 neighbor 10.0.0.7 peer-group G
 neighbor 10.0.0.3 remote-as 65002
 neighbor 10.0.0.4 remote-as 65002
 !
 address-family ipv4 unicast
  no neighbor G activate
  neighbor 10.0.0.6 activate
  no neighbor 10.0.0.4 activate
 exit-address-family
";
    assert_eq!(text, frr);
}

#[test]
fn the_shortest_no_takes_a_line_back() {
    for (line, no) in [
        (
            "neighbor 10.0.0.2 description some text",
            "no neighbor 10.0.0.2 description",
        ),
        (
            "neighbor 10.0.0.2 timers 3 9",
            "no neighbor 10.0.0.2 timers",
        ),
        (
            "neighbor 10.0.0.2 timers connect 9",
            "no neighbor 10.0.0.2 timers connect",
        ),
        (
            "neighbor 10.0.0.2 password x",
            "no neighbor 10.0.0.2 password",
        ),
        ("neighbor 10.0.0.2 passive", "no neighbor 10.0.0.2 passive"),
        (
            "neighbor 10.0.0.2 shutdown message bye",
            "no neighbor 10.0.0.2 shutdown",
        ),
        (
            "neighbor 10.0.0.2 update-source lo",
            "no neighbor 10.0.0.2 update-source",
        ),
        (
            "neighbor 10.0.0.2 ebgp-multihop",
            "no neighbor 10.0.0.2 ebgp-multihop",
        ),
        ("neighbor 10.0.0.2 port 1179", "no neighbor 10.0.0.2 port"),
        (
            "neighbor 10.0.0.2 next-hop-self force",
            "no neighbor 10.0.0.2 next-hop-self",
        ),
        ("neighbor 10.0.0.9 remote-as 1", "no neighbor 10.0.0.9"),
        (
            "neighbor 10.0.0.9 remote-as 1",
            "no neighbor 10.0.0.9 remote-as",
        ),
        ("neighbor G peer-group", "no neighbor G peer-group"),
        ("network 10.0.0.0/8", "no network 10.0.0.0/8"),
        (
            "redistribute connected metric 4",
            "no redistribute connected",
        ),
        ("maximum-paths 4", "no maximum-paths"),
        (
            "maximum-paths resilient buckets 64",
            "no maximum-paths resilient",
        ),
        (
            "maximum-paths resilient buckets 64 idle-timer 0 unbalanced-timer 4294967",
            "no maximum-paths resilient buckets 64 idle-timer 0 unbalanced-timer 4294967",
        ),
        ("maximum-paths ibgp 4", "no maximum-paths ibgp"),
        (
            "maximum-paths ibgp 4 equal-cluster-length",
            "no maximum-paths ibgp",
        ),
        ("neighbor 10.0.0.2 weight 4", "no neighbor 10.0.0.2 weight"),
        (
            "neighbor 10.0.0.2 allowas-in origin",
            "no neighbor 10.0.0.2 allowas-in",
        ),
        (
            "neighbor 10.0.0.2 route-server-client",
            "no neighbor 10.0.0.2 route-server-client",
        ),
        (
            "neighbor 10.0.0.2 addpath-tx-all-paths",
            "no neighbor 10.0.0.2 addpath-tx-all-paths",
        ),
        (
            "bgp bestpath med missing-as-worst confed",
            "no bgp bestpath med",
        ),
        (
            "bgp confederation identifier 65000",
            "no bgp confederation identifier",
        ),
        (
            "bgp confederation peers 1 2",
            "no bgp confederation peers 2 1 3",
        ),
        (
            "no bgp fast-external-failover",
            "bgp fast-external-failover",
        ),
        ("coalesce-time 7", "no coalesce-time"),
        ("timers bgp 3 9", "no timers bgp"),
        ("bgp router-id 1.1.1.1", "no bgp router-id"),
        ("bgp cluster-id 7", "no bgp cluster-id"),
        (
            "bgp default local-preference 7",
            "no bgp default local-preference",
        ),
        (
            "bgp graceful-restart restart-time 7",
            "no bgp graceful-restart restart-time",
        ),
        ("bgp graceful-restart", "no bgp graceful-restart"),
        ("no bgp ebgp-requires-policy", "bgp ebgp-requires-policy"),
    ] {
        let base = "neighbor 10.0.0.2 remote-as 65002";
        let with = shown(&format!("{base}\n{line}"));
        let without = shown(&format!("{base}\n{line}\n{no}"));
        assert_ne!(with, shown(base), "{line} did nothing");
        assert_eq!(without, shown(base), "{no} left something");
    }
}

#[test]
fn each_word_about_med_is_a_switch_of_its_own() {
    let base = "bgp bestpath med confed missing-as-worst";
    assert_eq!(
        shown(&format!("{base}\nno bgp bestpath med confed")),
        shown("bgp bestpath med missing-as-worst")
    );
    assert_eq!(
        shown("bgp bestpath med confed\nbgp bestpath med missing-as-worst"),
        shown(base)
    );
}

#[test]
fn taking_back_the_other_kind_of_add_path_does_nothing() {
    let base = "neighbor 10.0.0.2 remote-as 65002\nneighbor 10.0.0.2 addpath-tx-all-paths";
    let other = format!("{base}\nno neighbor 10.0.0.2 addpath-tx-bestpath-per-AS");
    assert_eq!(shown(&other), shown(base));
}

#[test]
fn a_member_as_is_one_while_there_is_a_confederation() {
    let kind = |lines: &str| {
        let bgp = parse(&format!("router bgp 64512\n{lines}")).bgp.unwrap();
        let peer = bgp.effective("10.0.0.2".parse().unwrap()).unwrap();
        (peer.remote.kind, peer.local_as)
    };
    let members = "bgp confederation peers 64513\nneighbor 10.0.0.2 remote-as 64513";
    let confederation = "bgp confederation identifier 65000";
    assert_eq!(kind(members), (PeerKind::External, 64512));
    assert_eq!(
        kind(&format!("{confederation}\n{members}")),
        (PeerKind::Confederation, 64512)
    );
    assert_eq!(
        kind(&format!(
            "{confederation}\nneighbor 10.0.0.2 remote-as 64513"
        )),
        (PeerKind::External, 65000)
    );
    assert_eq!(
        kind(&format!(
            "{confederation}\nneighbor 10.0.0.2 remote-as external"
        )),
        (PeerKind::External, 65000)
    );
    assert_eq!(
        kind(&format!(
            "{confederation}\nneighbor 10.0.0.2 remote-as internal"
        )),
        (PeerKind::Internal, 64512)
    );
}

#[test]
fn views_are_instances_of_their_own() {
    let text = "frr defaults traditional
!
router bgp 65000
 neighbor 10.0.0.1 remote-as 1
exit
!
router bgp 65001 view BLUE
 bgp router-id 192.0.2.1
 neighbor 10.0.0.2 remote-as 1
 !
 address-family ipv4 unicast
  network 10.9.0.0/16
 exit-address-family
exit
!
router bgp 65000 view RED
exit
!
end
";
    let config = parse(text);
    assert_eq!(to_frr(&config), text);
    let numbers: Vec<_> = config
        .instances()
        .map(|(name, bgp)| (name.to_string(), bgp.asn, bgp.neighbors.len()))
        .collect();
    let expected = [
        ("the default instance".to_owned(), 65000, 1),
        ("view BLUE".to_owned(), 65001, 1),
        ("view RED".to_owned(), 65000, 0),
    ];
    assert_eq!(numbers, expected);
}

#[test]
fn a_view_is_entered_and_removed_by_name_and_number() {
    let mut session = Session::default();
    let mut say = |line: &str| {
        let outcome = session.apply_line(line);
        outcome.map(drop).map_err(|error| error.to_string())
    };
    let refused = |text: &str| Err(text.to_owned());
    for (line, answer) in [
        ("router bgp 65001 view RED", Ok(())),
        ("neighbor 10.0.0.1 remote-as 1", Ok(())),
        (
            "router bgp 65002 view RED",
            refused("% BGP is already running; AS is 65001"),
        ),
        ("router bgp 65002 view BLUE", Ok(())),
        (
            "neighbor 10.0.0.1 remote-as 2",
            refused("% 10.0.0.1 is a neighbor of view RED already"),
        ),
        ("neighbor 10.0.0.2 remote-as 2", Ok(())),
        // Its own neighbor again.
        ("neighbor 10.0.0.2 remote-as 3", Ok(())),
        ("router bgp 65000", Ok(())),
        (
            "neighbor 10.0.0.2 remote-as 2",
            refused("% 10.0.0.2 is a neighbor of view BLUE already"),
        ),
        ("no router bgp", refused("% Please specify ASN and VRF")),
        (
            "no router bgp 65009 view RED",
            refused("% Can't find BGP instance"),
        ),
        ("no router bgp 65001 view RED", Ok(())),
        (
            "neighbor 10.0.0.1 remote-as 2",
            refused("% Unknown command: neighbor 10.0.0.1 remote-as 2"),
        ),
        ("router bgp 65000", Ok(())),
        ("neighbor 10.0.0.1 remote-as 2", Ok(())),
        (
            "router bgp 65000 view default",
            refused(
                "% \"default\" cannot name a VRF or view: it must be one word, and not \
                 \"default\" or \"all\"",
            ),
        ),
    ] {
        assert_eq!(say(line), answer, "{line}");
    }
    let config = session.into_config();
    assert_eq!(config.views.keys().collect::<Vec<_>>(), ["BLUE"]);
    assert_eq!(config.bgp.map(|bgp| bgp.neighbors.len()), Some(1));
}

#[test]
fn vrfs_have_tables_instances_and_imports() {
    let text = "frr defaults traditional
!
vrf BLUE
 table 100
exit-vrf
!
vrf EMPTY
exit-vrf
!
router bgp 65000
 !
 address-family ipv4 unicast
  import vrf BLUE
 exit-address-family
exit
!
router bgp 65000 vrf BLUE
 neighbor 10.0.0.2 remote-as 1
 !
 address-family ipv4 unicast
  network 10.9.0.0/16
  maximum-paths 2
  import vrf RED
  import vrf default
 exit-address-family
 !
 address-family ipv6 unicast
  import vrf RED
 exit-address-family
exit
!
router bgp 65001 vrf RED
 neighbor 10.0.0.2 remote-as 1
exit
!
router bgp 65000 view GREEN
exit
!
end
";
    let config = parse(text);
    assert_eq!(to_frr(&config), text);
    assert_eq!(config.vrfs["BLUE"].table, Some(100));
    assert_eq!(config.vrfs["EMPTY"], Vrf::default());
    let names: Vec<_> = config
        .instances()
        .map(|(name, _)| name.to_string())
        .collect();
    let expected = ["the default instance", "vrf BLUE", "vrf RED", "view GREEN"];
    assert_eq!(names, expected);
}

#[test]
fn a_vrf_is_edited_line_by_line() {
    let mut session = Session::default();
    let mut say = |line: &str| {
        let outcome = session.apply_line(line);
        outcome.map(drop).map_err(|error| error.to_string())
    };
    let refused = |text: &str| Err(text.to_owned());
    for (line, answer) in [
        ("vrf RED", Ok(())),
        ("table 254", refused("% table 254 cannot be a VRF's")),
        ("table 10", Ok(())),
        ("exit-vrf", Ok(())),
        ("vrf BLUE", Ok(())),
        ("table 10", refused("% table 10 is vrf RED's already")),
        ("table 11", Ok(())),
        // Found one mode up.
        ("router bgp 65000 vrf RED", Ok(())),
        ("neighbor 10.0.0.1 remote-as 1", Ok(())),
        ("address-family ipv4 unicast", Ok(())),
        (
            "import vrf RED",
            refused("% Cannot import vrf RED into itself"),
        ),
        ("import vrf BLUE", Ok(())),
        ("import vrf default", Ok(())),
        ("no import vrf BLUE", Ok(())),
        (
            "router bgp 65000 view RED",
            refused("% there is a BGP instance of that name: vrf RED"),
        ),
        ("router bgp 65000 view GREEN", Ok(())),
        ("address-family ipv4 unicast", Ok(())),
        (
            "import vrf RED",
            refused("% a view shares no routes with other instances"),
        ),
        ("router bgp 65000 vrf BLUE", Ok(())),
        // Both are in the host's own place.
        (
            "neighbor 10.0.0.1 remote-as 1",
            refused("% 10.0.0.1 is a neighbor of vrf RED already"),
        ),
        ("router bgp 65000 vrf DEVICE", Ok(())),
        ("neighbor 10.0.0.1 remote-as 1", Ok(())),
        ("vrf DEVICE", Ok(())),
        (
            "table 12",
            refused("% 10.0.0.1 is a neighbor of vrf RED already"),
        ),
        ("no vrf BLUE", Ok(())),
        ("no vrf NONE", refused("% VRF NONE does not exist")),
        ("no router bgp 65000 vrf BLUE", Ok(())),
    ] {
        assert_eq!(say(line), answer, "{line}");
    }
    let config = session.into_config();
    assert_eq!(config.vrfs.keys().collect::<Vec<_>>(), ["DEVICE", "RED"]);
    assert_eq!(config.vrfs["RED"].table, Some(10));
    let red = config.vrfs["RED"].bgp.as_ref().unwrap();
    assert_eq!(red.ipv4_unicast.import_vrfs, ["default".to_owned()].into());
    // The device's table is named after all: the address is no longer alone.
    let mut shared = config.clone();
    shared.vrfs.get_mut("DEVICE").unwrap().table = Some(12);
    let problems = validate(&shared);
    let [problem] = problems.as_slice() else {
        panic!("{problems:?}");
    };
    assert_eq!(
        problem.message,
        "10.0.0.1 is a neighbor of vrf DEVICE already"
    );
}

#[test]
fn running_config_has_frrs_heading() {
    let text = running_config(&Config::default());
    let heading = "Building configuration...\n\nCurrent configuration:\n!\nfrr defaults";
    assert!(text.starts_with(heading), "{text}");
    assert!(text.ends_with("!\nend\n"), "{text}");
}
