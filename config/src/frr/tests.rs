use super::*;
use crate::model::{Config, Family};

const MODES: [Mode; 8] = [
    Mode::Config,
    Mode::RouterBgp,
    Mode::AddressFamily(Family::Ipv4Unicast),
    Mode::AddressFamily(Family::Ipv6Unicast),
    Mode::Vrf,
    Mode::RouteMap,
    Mode::Rpki,
    Mode::LineVty,
];

#[test]
fn every_pattern_is_read_and_every_token_explained() {
    for mode in MODES {
        assert_eq!(grammar(mode).pattern_errors(), [], "{mode:?}");
        assert_eq!(
            grammar(mode).unexplained(),
            Vec::<String>::new(),
            "{mode:?}"
        );
    }
}

#[test]
fn every_row_has_its_no() {
    for mode in MODES {
        let commands: Vec<&str> = grammar(mode).commands().collect();
        let moving = [
            "exit",
            "quit",
            "end",
            "line vty",
            "exit-address-family",
            "exit-vrf",
            "exit-route-map",
        ];
        for command in &commands {
            let moves = moving.contains(command) || command.starts_with("address-family");
            if command.starts_with("no ") || moves {
                continue;
            }
            let keyword = |word: &&str| word.starts_with(|c: char| c.is_ascii_lowercase());
            let first: Vec<&str> = command.split(' ').take_while(keyword).take(2).collect();
            let no = format!("no {}", first.join(" "));
            assert!(
                commands.iter().any(|other| other.starts_with(&no)),
                "{mode:?}: {command}"
            );
        }
    }
}

fn session(lines: &str) -> Session {
    let mut session = Session::default();
    for line in lines.lines() {
        session
            .apply_line(line)
            .unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    session
}

#[test]
fn modes_lead_up_and_down() {
    let mut session = Session::default();
    let steps = [
        ("router bgp 65000", Outcome::Entered(Mode::RouterBgp)),
        ("neighbor 10.0.0.1 remote-as 1", Outcome::Applied),
        (
            "address-family ipv6",
            Outcome::Entered(Mode::AddressFamily(Family::Ipv6Unicast)),
        ),
        ("neighbor 10.0.0.1 activate", Outcome::Applied),
        ("! a comment", Outcome::Empty),
        ("", Outcome::Empty),
        ("exit-address-family", Outcome::Entered(Mode::RouterBgp)),
        (
            "address-family ipv4 unicast",
            Outcome::Entered(Mode::AddressFamily(Family::Ipv4Unicast)),
        ),
        ("exit", Outcome::Entered(Mode::RouterBgp)),
        ("exit", Outcome::Entered(Mode::Config)),
        ("router bgp", Outcome::Entered(Mode::RouterBgp)),
        ("end", Outcome::Left),
        ("line vty", Outcome::Entered(Mode::LineVty)),
        ("quit", Outcome::Entered(Mode::Config)),
        ("exit", Outcome::Left),
    ];
    for (line, outcome) in steps {
        assert_eq!(session.apply_line(line), Ok(outcome), "{line}");
    }
}

#[test]
fn lines_of_a_higher_mode_lead_there() {
    let mut session = session("router bgp 65000\naddress-family ipv6");
    session.apply_line("neighbor 10.0.0.1 remote-as 1").unwrap();
    assert_eq!(session.mode, Mode::RouterBgp);
    session.apply_line("address-family ipv4").unwrap();
    session.apply_line("hostname r1").unwrap();
    assert_eq!(session.mode, Mode::Config);
    assert_eq!(session.config.hostname.as_deref(), Some("r1"));
    session.apply_line("router bgp 65000").unwrap();
    session.apply_line("address-family ipv6").unwrap();
    session.apply_line("router bgp").unwrap();
    assert_eq!(session.mode, Mode::RouterBgp);
}

#[test]
fn errors_are_frrs() {
    let base = "router bgp 65000\nneighbor G peer-group\nneighbor 10.0.0.1 remote-as 65001";
    for (line, error) in [
        (
            "neighbor 10.0.0.9 passive",
            "% Specify remote-as or peer-group commands first",
        ),
        (
            "neighbor H passive",
            "% Specify remote-as or peer-group commands first",
        ),
        (
            "neighbor 10.0.0.9 peer-group H",
            "% Configure the peer-group first",
        ),
        (
            "neighbor H remote-as 1",
            "% Create the peer-group or interface first",
        ),
        ("no neighbor H peer-group", "% Create the peer-group first"),
        ("no bgp router-id 5.5.5.5", "% BGP router-id doesn't match"),
        ("router bgp 65001", "% BGP is already running; AS is 65000"),
        (
            "timers bgp 1 2",
            "% hold time value must be either 0 or greater than 3",
        ),
        (
            "neighbor 10.0.0.1 route-reflector-client",
            "% Invalid command. Not an internal neighbor",
        ),
        (
            "no network 10.0.0.0/8",
            "% Can't find static route specified",
        ),
        (
            "bgp cluster-id 0.0.0.0",
            "% Malformed bgp cluster identifier",
        ),
        (
            "bgp confederation peers 64512 65000",
            "% Local member-AS not allowed in confed peer list",
        ),
        (
            "bgp confederation peers 64512 many",
            "% \"many\" is no AS number",
        ),
        (
            "network 10.0.0.0 mask 255.0.255.0",
            "% the ones of a netmask are all in front",
        ),
        (
            "neighbor 10.0.0.1 allowas-in 11",
            "% Unknown command: neighbor 10.0.0.1 allowas-in 11",
        ),
        ("bgp foo", "% Unknown command: bgp foo"),
        ("  log s", "% Ambiguous command: log s"),
        ("bgp router-id", "% Command incomplete: bgp router-id"),
    ] {
        let mut session = session(base);
        let before = session.config.clone();
        assert_eq!(session.apply_line(line).unwrap_err().to_string(), error);
        assert_eq!(session.config, before, "{line}");
        assert_eq!(session.mode, Mode::RouterBgp, "{line}");
    }
}

#[test]
fn what_a_file_refuses_is_not_taken_when_typed() {
    let base = "router bgp 65000\nneighbor G peer-group\nneighbor 10.0.0.1 remote-as 65001";
    let long = format!("neighbor 10.0.0.1 password {}", "p".repeat(81));
    let mut lines = vec![(long.as_str(), 28)];
    lines.extend([
        ("neighbor 0.0.0.0 remote-as 3", 10),
        ("neighbor 224.0.0.5 remote-as 3", 10),
        ("neighbor 255.255.255.255 peer-group G", 10),
        ("neighbor :: remote-as internal", 10),
        ("neighbor ff02::1 peer-group G", 10),
        ("neighbor G password p\u{1}", 21),
        ("neighbor 10.0.0.1 description a \u{1b}[31m", 31),
        ("neighbor 10.0.0.1 shutdown message \u{7f}", 36),
        ("neighbor 10.0.0.1 update-source e\u{7}0", 33),
        ("neighbor \u{1b}H peer-group", 10),
        ("hostname r\u{1b}1", 10),
        ("log file /var/log/\u{1b}", 10),
        ("frr version 8\u{1b}", 13),
    ]);
    for (line, column) in lines {
        let mut session = session(base);
        let before = session.config.clone();
        let error = session.apply_line(line).unwrap_err();
        assert!(
            matches!(error.kind, LineErrorKind::Rejected(_)),
            "{error:?}"
        );
        assert_eq!(error.column, column, "{error:?}");
        assert_eq!(session.config, before, "{line:?}");
        assert_eq!(session.mode, Mode::RouterBgp, "{line:?}");
    }
}

#[test]
fn what_is_typed_in_steps_or_taken_back_is_not_refused() {
    let mut session = session("router bgp 65000\nneighbor G peer-group");
    let limit = format!("neighbor 10.0.0.1 password {}", "p".repeat(80));
    for line in [
        "neighbor 10.0.0.1 peer-group G",
        &limit,
        "no neighbor 10.0.0.1 password p\u{1}",
        "no neighbor 224.0.0.5 remote-as 3",
        "neighbor G remote-as 65001",
    ] {
        assert_eq!(session.apply_line(line), Ok(Outcome::Applied), "{line}");
    }
    assert_eq!(crate::validate(&session.config), []);
}

#[test]
fn a_member_stays_in_its_group() {
    let mut session = session(
        "router bgp 65000\nneighbor G peer-group\nneighbor G remote-as 65001
         neighbor H peer-group\nneighbor 10.0.0.1 peer-group G",
    );
    let error = |result: Result<Outcome, LineError>| result.unwrap_err().to_string();
    assert_eq!(
        error(session.apply_line("neighbor 10.0.0.1 peer-group H")),
        "% Cannot change the peer-group. Deconfigure first"
    );
    assert_eq!(
        error(session.apply_line("neighbor 10.0.0.1 remote-as 5")),
        "% Peer-group member cannot override remote-as of peer-group."
    );
}

#[test]
fn what_a_group_goes_without_its_members_go_without() {
    let base = "router bgp 65000\nneighbor G peer-group\nneighbor G remote-as 65001
        neighbor 10.0.0.1 peer-group G\nneighbor 10.0.0.2 remote-as 65001";
    for line in [
        "no neighbor G peer-group",
        "no neighbor G",
        "no neighbor G remote-as",
    ] {
        let session = session(&format!("{base}\n{line}"));
        let neighbors: Vec<String> = session
            .config
            .bgp
            .unwrap()
            .neighbors
            .keys()
            .map(ToString::to_string)
            .collect();
        assert_eq!(neighbors, ["10.0.0.2"], "{line}");
    }
}

#[test]
fn a_member_contradicts_its_group() {
    let session = session(
        "router bgp 65000\nneighbor G peer-group\nneighbor G remote-as 65001\nneighbor G passive
         neighbor G shutdown\nneighbor 10.0.0.1 peer-group G\nneighbor 10.0.0.2 peer-group G
         no neighbor 10.0.0.1 passive\nno neighbor 10.0.0.1 shutdown",
    );
    let config = session.into_config();
    let bgp = config.bgp.as_ref().unwrap();
    let passive = |address: &str| bgp.effective(address.parse().unwrap()).unwrap().passive;
    assert!(!passive("10.0.0.1") && passive("10.0.0.2"));
    let text = to_frr(&config);
    assert!(
        text.contains(" no neighbor 10.0.0.1 shutdown\n no neighbor 10.0.0.1 passive\n"),
        "{text}"
    );
}

#[test]
fn next_hop_self_force_survives_the_plain_form() {
    // FRR prints both lines, `force` first.
    let session = session(
        "router bgp 65000\nneighbor 10.0.0.1 remote-as 65000
         neighbor 10.0.0.1 next-hop-self force\nneighbor 10.0.0.1 next-hop-self",
    );
    let text = to_frr(&session.into_config());
    assert!(
        text.contains("  neighbor 10.0.0.1 next-hop-self force\n"),
        "{text}"
    );
}

#[test]
fn a_group_activation_goes_for_all_members() {
    let lines = "router bgp 65000\nneighbor G peer-group\nneighbor G remote-as 65001
        neighbor 10.0.0.1 peer-group G\naddress-family ipv6\nneighbor 10.0.0.1 activate
        neighbor G activate\nno neighbor G activate";
    let config = session(lines).into_config();
    let bgp = config.bgp.as_ref().unwrap();
    assert!(
        !bgp.effective("10.0.0.1".parse().unwrap())
            .unwrap()
            .ipv6_unicast
            .activate
    );
}

#[test]
fn an_external_peer_is_no_client_any_more() {
    let config = session(
        "router bgp 65000\nneighbor 10.0.0.1 remote-as internal
         neighbor 10.0.0.1 route-reflector-client\nneighbor 10.0.0.1 remote-as 65001",
    )
    .into_config();
    assert!(!to_frr(&config).contains("route-reflector-client"));
    assert_eq!(crate::validate(&config), []);
}

#[test]
fn profiles_choose_the_defaults() {
    let text = |defaults: &str| to_frr(&session(&format!("{defaults}\nrouter bgp 65000")).config);
    assert!(text("frr defaults datacenter").contains("router bgp 65000\nexit\n"));
    let datacenter = session("frr defaults datacenter\nrouter bgp 65000")
        .config
        .bgp
        .unwrap();
    assert_eq!(
        (
            datacenter.timers.keepalive_secs,
            datacenter.timers.hold_secs
        ),
        (3, 9)
    );
    assert!(!datacenter.ebgp_requires_policy);
    let old = session("frr version 7.3\nrouter bgp 65000")
        .config
        .bgp
        .unwrap();
    assert!(!old.ebgp_requires_policy && !old.network_import_check);
    let new = session("frr version 8.4.4\nrouter bgp 65000")
        .config
        .bgp
        .unwrap();
    assert!(new.ebgp_requires_policy && new.network_import_check);
    // Changed afterwards, the profile does not change what the instance does.
    let later = session("router bgp 65000\nfrr defaults datacenter").config;
    assert!(to_frr(&later).contains(" timers bgp 60 180\n"));
}

#[test]
fn help_shows_the_lines_of_a_mode() {
    let tokens = |line: &str| -> Vec<String> {
        let items = grammar(Mode::RouterBgp).help(line).unwrap();
        items.into_iter().map(|item| item.token).collect()
    };
    assert_eq!(tokens("neighbor 10.0.0.1 shutdown "), ["<cr>", "message"]);
    assert_eq!(
        tokens("no neighbor 10.0.0.3 timers "),
        ["<cr>", "(0-65535)", "connect"]
    );
    assert_eq!(tokens("neighbor "), ["A.B.C.D", "WORD", "X:X::X:X"]);
    // FRR's old places for family lines work, and are not offered.
    assert!(!tokens("neighbor 10.0.0.1 ").contains(&"activate".to_owned()));
}

#[test]
fn comments_and_blanks_do_nothing() {
    let mut session = Session::new(Config::default());
    for line in ["", "   ", "!", " ! x", "# x", "\t"] {
        assert_eq!(session.apply_line(line), Ok(Outcome::Empty), "{line:?}");
    }
}

#[test]
fn a_network_without_a_length_is_of_its_class_or_mask() {
    for (line, printed) in [
        ("network 10.0.0.0", "network 10.0.0.0/8"),
        ("network 172.16.1.1", "network 172.16.0.0/16"),
        (
            "network 192.168.1.1 route-map M",
            "network 192.168.1.0/24 route-map M",
        ),
        ("network 10.1.0.0 mask 255.255.0.0", "network 10.1.0.0/16"),
    ] {
        let mut session = session("router bgp 65000");
        session.apply_line(line).unwrap();
        assert!(
            to_frr(&session.config).contains(&format!("  {printed}\n")),
            "{line}"
        );
        session.apply_line(&format!("no {line}")).unwrap();
        assert!(!to_frr(&session.config).contains("network"), "{line}");
    }
}

#[test]
fn a_map_that_is_not_there_is_noticed() {
    let mut session = session("router bgp 65000\n neighbor 10.0.0.1 remote-as 1");
    for (line, missing) in [
        ("neighbor 10.0.0.1 route-map M in", Some("M")),
        ("network 10.0.0.0/8 route-map N", Some("N")),
        ("no network 10.0.0.0/8 route-map N", None),
        ("neighbor 10.0.0.1 shutdown", None),
    ] {
        session.apply_line(line).unwrap();
        let notice = missing.map(|name| format!("The route-map '{name}' does not exist."));
        assert_eq!(session.notice(line), notice, "{line}");
    }
    session.apply_line("route-map M permit 10").unwrap();
    assert_eq!(session.notice("route-map M permit 10"), None);
    for line in ["router bgp 65000", "neighbor 10.0.0.1 route-map M in"] {
        session.apply_line(line).unwrap();
        assert_eq!(session.notice(line), None);
    }
}

#[test]
fn the_address_of_an_ipv6_next_hop_needs_no_word_before_it() {
    let mut session = session("route-map M permit 10");
    session
        .apply_line("match ipv6 next-hop 2001:db8::1")
        .unwrap();
    let printed = to_frr(&session.config);
    assert!(
        printed.contains(" match ipv6 next-hop address 2001:db8::1\n"),
        "{printed}"
    );
    session
        .apply_line("no match ipv6 next-hop 2001:db8::1")
        .unwrap();
    assert!(!to_frr(&session.config).contains("next-hop"));
}

#[test]
fn a_next_hop_is_an_address_of_one_host() {
    let mut session = session("route-map M permit 10");
    for address in ["0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255"] {
        let line = format!("set ip next-hop {address}");
        assert!(session.apply_line(&line).is_err(), "{line}");
    }
    let error = session
        .apply_line("set as-path prepend last-as 11")
        .unwrap_err();
    assert!(error.to_string().contains("from 1 to 10"), "{error}");
    let error = session.apply_line("set metric x").unwrap_err();
    assert_eq!(error.column, 12);
}
