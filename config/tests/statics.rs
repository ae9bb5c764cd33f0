//! Static routes: the lines as FRR's staticd takes and prints them.

use holdfast_config::frr::{Session, to_frr};
use holdfast_config::{Config, Leniency, Spelling, parse_str, to_toml, validate};

fn session(lines: &str) -> Session {
    let mut session = Session::default();
    for line in lines.lines() {
        let applied = session.apply_line(line);
        applied.unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    session
}

fn printed(config: &Config) -> Vec<String> {
    let text = to_frr(config);
    let lines = text.lines().filter(|line| line.contains(" route "));
    lines.map(str::to_owned).collect()
}

#[track_caller]
fn becomes(lines: &str, expected: &[&str]) {
    let session = session(lines);
    assert_eq!(printed(&session.config), expected, "{lines}");
    assert_eq!(validate(&session.config), []);
}

/// What 8.4.4 prints for these lines, one by one.
#[test]
fn lines_are_printed_as_frr_prints_them() {
    for (typed, line) in [
        (
            "ip route 192.0.2.0/24 10.0.0.2",
            "ip route 192.0.2.0/24 10.0.0.2",
        ),
        (
            "ip route 192.0.3.0 255.255.255.0 10.0.0.2 e0 onlink tag 7 20",
            "ip route 192.0.3.0/24 10.0.0.2 e0 tag 7 20 onlink",
        ),
        (
            "ip route 192.0.3.0/24 10.0.1.2 30 tag 9",
            "ip route 192.0.3.0/24 10.0.1.2 tag 9 30",
        ),
        ("ip route 192.0.4.0/24 e1", "ip route 192.0.4.0/24 e1"),
        (
            "ip route 192.0.5.0/24 black",
            "ip route 192.0.5.0/24 blackhole",
        ),
        (
            "ip route 192.0.6.0/24 null0 9",
            "ip route 192.0.6.0/24 Null0 9",
        ),
        (
            "ip route 192.0.7.0/24 reject 200",
            "ip route 192.0.7.0/24 reject 200",
        ),
        (
            "ip route 192.0.8.0/24 10.0.0.2 table 100 tag 5 99",
            "ip route 192.0.8.0/24 10.0.0.2 tag 5 99 table 100",
        ),
        (
            "ip route 192.0.11.5/24 10.0.0.3 1",
            "ip route 192.0.11.0/24 10.0.0.3",
        ),
        (
            "ip route 192.0.16.0/24 10.0.0.2 Null0",
            "ip route 192.0.16.0/24 10.0.0.2",
        ),
        (
            "ipv6 route 2001:db8:101::/48 fe80::2 e0",
            "ipv6 route 2001:db8:101::/48 fe80::2 e0",
        ),
        (
            "ipv6 route 2001:db8:106::/48 reject tag 4 9",
            "ipv6 route 2001:db8:106::/48 reject tag 4 9",
        ),
        (
            "ipv6 route 2001:db8:107::/48 2001:db8:1::2 e1 onlink 77 tag 12 table 5",
            "ipv6 route 2001:db8:107::/48 2001:db8:1::2 e1 tag 12 77 table 5 onlink",
        ),
        (
            "ipv6 route 2001:db8:108::1/48 2001:db8:0::2",
            "ipv6 route 2001:db8:108::/48 2001:db8::2",
        ),
    ] {
        becomes(typed, &[line]);
    }
}

#[test]
fn short_prefixes_come_first_and_paths_in_frrs_order() {
    becomes(
        "ip route 192.0.41.0/24 e1
        ip route 192.0.41.0/24 10.0.0.2
        ip route 192.0.41.0/24 10.0.0.2 e1
        ip route 192.0.41.0/24 e0
        ip route 192.0.41.0/24 10.0.0.11
        ip route 192.0.41.0/24 10.0.0.3
        ipv6 route ::/0 blackhole
        ip route 224.1.0.0/16 10.0.0.2
        ip route 0.0.0.0/0 10.0.0.9",
        &[
            "ip route 0.0.0.0/0 10.0.0.9",
            "ip route 224.1.0.0/16 10.0.0.2",
            "ip route 192.0.41.0/24 e0",
            "ip route 192.0.41.0/24 e1",
            "ip route 192.0.41.0/24 10.0.0.2",
            "ip route 192.0.41.0/24 10.0.0.3",
            "ip route 192.0.41.0/24 10.0.0.11",
            "ip route 192.0.41.0/24 10.0.0.2 e1",
            "ipv6 route ::/0 blackhole",
        ],
    );
}

#[test]
fn a_line_about_the_same_target_takes_the_place_of_the_old_one() {
    let line = "ip route 192.0.2.0/24 10.0.0.2";
    becomes(
        &format!("{line} 5\n{line} 6"),
        &["ip route 192.0.2.0/24 10.0.0.2 6"],
    );
    becomes(
        &format!("{line} e0 onlink\n{line} e0"),
        &["ip route 192.0.2.0/24 10.0.0.2 e0"],
    );
    let drop = "ip route 192.0.2.0/24";
    becomes(
        &format!("{drop} blackhole 5\n{drop} reject 6"),
        &["ip route 192.0.2.0/24 reject 6"],
    );
    // Of another distance or table, it is another route.
    becomes(
        &format!("{drop} blackhole 5\n{line} 6\n{line} table 9"),
        &[
            "ip route 192.0.2.0/24 blackhole 5",
            "ip route 192.0.2.0/24 10.0.0.2 6",
            "ip route 192.0.2.0/24 10.0.0.2 table 9",
        ],
    );
}

#[test]
fn the_tag_is_that_of_all_paths_of_a_distance() {
    becomes(
        "ip route 192.0.14.0/24 10.0.0.2 tag 5
        ip route 192.0.14.0/24 10.0.1.2 tag 6
        ip route 192.0.14.0/24 10.0.2.2 tag 7 200
        ip route 192.0.14.0/24 10.0.0.2 tag 8",
        &[
            "ip route 192.0.14.0/24 10.0.0.2 tag 8",
            "ip route 192.0.14.0/24 10.0.1.2 tag 8",
            "ip route 192.0.14.0/24 10.0.2.2 tag 7 200",
        ],
    );
}

#[test]
fn only_the_target_says_what_no_takes_back() {
    let all = "ip route 192.0.3.0/24 10.0.0.2 e0 tag 7 20
        ip route 192.0.3.0/24 10.0.1.2 30
        ip route 192.0.5.0/24 blackhole
        ip route 192.0.8.0/24 10.0.0.2 table 100";
    let no = "no ip route 192.0.3.0/24 10.0.0.2 e0 21 tag 9
        no ip route 192.0.3.0 255.255.255.0 10.0.1.2
        no ip route 192.0.5.0/24 Null0
        no ip route 192.0.8.0/24 10.0.0.2 table 100";
    becomes(&format!("{all}\n{no}"), &[]);
    let mut session = session(all);
    for line in [
        "no ip route 192.0.3.0/24 10.0.0.2",
        "no ip route 192.0.3.0/24 e0",
        "no ip route 192.0.8.0/24 10.0.0.2",
        "no ip route 192.0.99.0/24 10.0.0.2",
    ] {
        let error = session.apply_line(line).unwrap_err().to_string();
        assert_eq!(error, "% Refusing to remove a non-existent route", "{line}");
    }
    assert_eq!(printed(&session.config).len(), 4);
}

#[test]
fn errors_say_where_and_why() {
    let mixed = "Route cannot have blackhole and non-blackhole nexthops simultaneously";
    for (line, column, error) in [
        ("ip route 192.0.12.0/24 10.0.0.2", 10, mixed),
        (
            "ip route 10.0.0.0 255.0.255.0 10.0.0.2",
            19,
            "255.0.255.0 is not a netmask",
        ),
        (
            "ip route 10.0.0.0/8 10.0.0.2 256",
            30,
            "256 is no interface, and distances are 1 to 255",
        ),
        (
            "ip route 10.0.0.0/8 10.0.0.2 onlink",
            30,
            "\"onlink\" cannot be the name of an interface",
        ),
        (
            "ip route 10.0.0.0/8 2001:db8::1",
            21,
            "2001:db8::1 is no router of an IPv4 route",
        ),
        (
            "ip route 10.0.0.0/8 10.0.0.2 label 16",
            30,
            "\"label\" cannot be the name of an interface",
        ),
        (
            "ip route 10.0.0.0/8 10.0.0.2 ?",
            30,
            "\"?\" cannot be the name of an interface",
        ),
    ] {
        let mut session = session("ip route 192.0.12.0/24 blackhole");
        let failure = session.apply_line(line).unwrap_err();
        assert_eq!(failure.to_string(), format!("% {error}"), "{line}");
        assert_eq!(failure.column, column, "{line}");
        assert_eq!(printed(&session.config).len(), 1);
    }
    for line in [
        "ip route 10.0.0.0/8",
        "ip route 10.0.0.0/8 10.0.0.2 tag 0",
        "ip route 10.0.0.0/8 10.0.0.2 tag 5 tag 6",
        "ip route 10.0.0.0/8 e0 onlink",
        "ip route 10.0.0.0/8 e0 10.0.0.2",
        "ip route 10.0.0.0/8 blackhole e0",
    ] {
        assert!(Session::default().apply_line(line).is_err(), "{line}");
    }
}

#[test]
fn toml_has_a_table_for_each_line() {
    let text = "static-routes = [
  { prefix = \"10.1.0.0/16\", gateway = \"192.0.2.1\", interface = \"e0\", onlink = true, distance = 20, tag = 7 },
  { prefix = \"10.2.0.0/16\", drop = \"reject\", table = 100 },
  { prefix = \"2001:db8::/32\", interface = \"e1\" },
]
";
    let loaded = parse_str("f.toml", text, Spelling::Toml, Leniency::Strict).unwrap();
    let lines = [
        "ip route 10.1.0.0/16 192.0.2.1 e0 tag 7 20 onlink",
        "ip route 10.2.0.0/16 reject table 100",
        "ipv6 route 2001:db8::/32 e1",
    ];
    assert_eq!(printed(&loaded.config), lines);
    assert_eq!(to_toml(&loaded.config), text);
}

#[test]
fn toml_errors_have_their_places() {
    let one = |entry: &str| {
        let text = format!("static-routes = [\n  {{ {entry} }},\n]\n");
        let errors = parse_str("f.toml", &text, Spelling::Toml, Leniency::Strict).unwrap_err();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    for (entry, error) in [
        (
            "gateway = \"192.0.2.1\"",
            "f.toml:2:3: static route without prefix",
        ),
        (
            "prefix = \"10.0.0.0/8\"",
            "f.toml:2:3: a static route needs gateway, interface or both of them, or drop",
        ),
        (
            "prefix = \"10.0.0.0/8\", gateway = \"192.0.2.1\", onlink = true",
            "f.toml:2:3: onlink needs gateway and interface",
        ),
        (
            "prefix = \"10.0.0.0/8\", gateway = \"2001:db8::1\"",
            "f.toml:2:3: 10.0.0.0/8 needs a gateway of its own family",
        ),
        (
            "prefix = \"10.0.0.0/8\", interface = \"a b\"",
            "f.toml:2:3: \"a b\" cannot be the name of an interface",
        ),
        (
            "prefix = \"10.0.0.0/8\", drop = \"reject\", distance = 0",
            "f.toml:2:56: 0 does not fit here; expected a number from 1 to 255",
        ),
    ] {
        assert_eq!(one(entry), [error], "{entry}");
    }
}

#[test]
fn redistribution_of_a_table_is_said_in_both_spellings() {
    let lines = "router bgp 65000
        address-family ipv4 unicast
        redistribute table 100 metric 5
        redistribute table 7
        redistribute static
        address-family ipv6 unicast
        redistribute table 65535
        no redistribute table 65535";
    let session = session(lines);
    let text = to_frr(&session.config);
    let found: Vec<&str> = text.lines().filter(|l| l.contains("redis")).collect();
    assert_eq!(
        found,
        [
            "  redistribute static",
            "  redistribute table 7",
            "  redistribute table 100 metric 5",
        ]
    );
    let toml = to_toml(&session.config);
    assert!(
        toml.contains("[\"static\", { table = 7 }, { table = 100, metric = 5 }]"),
        "{toml}"
    );
    let read = parse_str("f.toml", &toml, Spelling::Toml, Leniency::Strict).unwrap();
    assert_eq!(read.config, session.config);
}

#[test]
fn a_static_route_in_the_block_of_a_vrf_is_refused_and_goes_nowhere() {
    for (block, table) in [("vrf RED\n table 100\n", "100"), ("vrf RED\n", "N")] {
        for line in [
            " ip route 10.0.0.0/8 10.0.0.2",
            " no ip route 10.0.0.0/8 10.0.0.2",
            " ipv6 route 2001:db8::/32 2001:db8::2",
        ] {
            let mut session = session(block);
            let error = session.apply_line(line).unwrap_err().to_string();
            assert!(error.starts_with("% a VRF has no static routes"), "{error}");
            assert!(error.contains(&format!("\"table {table}\"")), "{error}");
            assert!(session.config.static_routes.is_empty());
            // It is still the block.
            session.apply_line("exit-vrf").unwrap();
        }
    }
}
