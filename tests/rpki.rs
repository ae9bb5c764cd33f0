//! Origin validation with real caches and neighbors: what states there are, what
//! becomes of routes when ROAs come and go, and what nobody hears of.
//!
//! ```text
//!   source (BIRD, AS 65002)         router         observer (BIRD, AS 65003)
//!   10.1.0.2 and the caches ----- 10.1.0.1
//!                                 10.2.0.1 ------- 10.2.0.2
//! ```

#[path = "rpki/cache.rs"]
mod cache;
mod harness;

use cache::Cache;
use harness::stayrtr::Roa;
use harness::{Bird, Frr, Holdfast, Namespace, Router, SOON, Stayrtr, Topology, need, wait_for};
use holdfast_rtr::pdu::Pdu;
use serde_json::Value;

const ROAS: [Roa; 5] = [
    ("192.0.2.0/24", 24, 65002),
    ("198.51.100.0/22", 24, 65009),
    ("198.51.100.0/22", 23, 65010),
    ("203.0.113.0/24", 24, 0),
    ("2001:db8:a000::/36", 48, 65002),
];

/// What BIRD announces, with an AS behind its own or 0, and what comes of it.
const ROUTES: [(&str, u32, &str); 8] = [
    ("192.0.2.0/24", 0, "valid"),
    ("192.0.2.128/25", 0, "invalid"),
    ("198.51.100.0/24", 0, "invalid"),
    ("198.51.101.0/24", 65009, "valid"),
    ("198.51.102.0/24", 65010, "invalid"),
    ("203.0.113.0/24", 0, "invalid"),
    ("8.8.8.0/24", 0, "not found"),
    ("9.0.0.0/8", 65009, "not found"),
];
const ROUTES_V6: [(&str, &str); 3] = [
    ("2001:db8:a001::/48", "valid"),
    ("2001:db8:a001:1::/64", "invalid"),
    ("2001:db8::/32", "not found"),
];

/// BIRD's routes, to each of these routers.
fn source(routers: &[&str]) -> String {
    let mut text = String::from("router id 10.1.0.2;\nprotocol static { ipv4;\n");
    for (prefix, behind, _) in ROUTES {
        let path = match behind {
            0 => String::new(),
            asn => format!("{{ bgp_path.prepend({asn}); }}"),
        };
        text += &format!("route {prefix} blackhole {path};\n").replace("};", "}; ");
    }
    text += "}\nprotocol static { ipv6;\n";
    for (prefix, _) in ROUTES_V6 {
        text += &format!("route {prefix} blackhole;\n");
    }
    text += "}\n";
    for router in routers {
        text += &format!(
            "protocol bgp {{ local 10.1.0.2 as 65002; neighbor {router} as 65001;
               ipv4 {{ import all; export all; next hop self; }};
               ipv6 {{ import all; export all; next hop address 2001:db8:1::2; }}; }}\n"
        );
    }
    text
}

fn observer() -> String {
    "router id 10.2.0.2;
     protocol bgp { local 10.2.0.2 as 65003; neighbor 10.2.0.1 as 65001;
       ipv4 { import all; export none; }; ipv6 { import all; export none; }; }
    "
    .to_owned()
}

fn router(caches: &[(&str, u8)], maps: &str, af: &str) -> String {
    let caches: String = caches
        .iter()
        .map(|(cache, preference)| format!(" rpki cache {cache} preference {preference}\n"))
        .collect();
    format!(
        "rpki\n rpki retry_interval 1\n{caches}exit
router bgp 65001
 bgp router-id 10.1.0.1
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor 10.1.0.2 remote-as 65002
 neighbor 10.2.0.2 remote-as 65003
 address-family ipv4 unicast
{af}
 exit-address-family
 address-family ipv6 unicast
  neighbor 10.1.0.2 activate
  neighbor 10.2.0.2 activate
 exit-address-family
exit
{maps}"
    )
}

const DENY_INVALID: &str = "route-map RPKI deny 10
 match rpki invalid
exit
route-map RPKI permit 20
exit
";

/// The router between BIRD and BIRD.
struct Lab {
    router: Holdfast,
    observer: Bird,
    caches: Namespace,
    _source: Bird,
    topology: Topology,
}

impl Lab {
    fn up(config: &str, before: impl FnOnce(&Topology, &Namespace)) -> Self {
        let topology = Topology::new();
        let (there, here, beyond) = topology.three_in_a_row();
        before(&topology, &there);
        let router = Holdfast::start(&topology, &here, config);
        let source = Bird::start(&topology, &there, &source(&["10.1.0.1"]));
        let observer = Bird::start(&topology, &beyond, &observer());
        router.wait_established(&["10.1.0.2", "10.2.0.2"]);
        Self {
            router,
            observer,
            caches: there,
            _source: source,
            topology,
        }
    }

    /// Waits until the observer has exactly these routes of IPv4.
    #[track_caller]
    fn observes(&self, wanted: &[&str]) {
        let mut wanted: Vec<String> = wanted.iter().map(|&prefix| prefix.to_owned()).collect();
        wanted.sort();
        wait_for(SOON, &format!("the observer has {wanted:?}"), || {
            let seen = prefixes(&self.observer.birdc("show route table master4"));
            if seen == wanted {
                Ok(())
            } else {
                Err(format!("{seen:?}"))
            }
        });
    }

    /// UPDATEs to the observer and to the source, and sessions so far.
    fn said(&self) -> (u64, u64, u64) {
        let sent = |neighbor: &str| {
            let stats = self.router.neighbor(neighbor)["messageStats"].clone();
            stats["updatesSent"].as_u64().expect("a number")
        };
        let sessions = ["10.1.0.2", "10.2.0.2"].map(|n| self.router.connections(n));
        (sent("10.2.0.2"), sent("10.1.0.2"), sessions.iter().sum())
    }

    #[track_caller]
    fn wait_payloads(&self, count: usize) {
        wait_for(SOON, &format!("{count} payloads"), || {
            let table = self.router.json("show rpki prefix-table json");
            let shown = table["prefixes"].as_array().map_or(0, Vec::len);
            if shown == count {
                Ok(())
            } else {
                Err(table.to_string())
            }
        });
    }

    /// Waits until the path of a prefix is in this state.
    #[track_caller]
    fn wait_state(&self, prefix: &str, wanted: &str) {
        wait_for(SOON, &format!("{prefix} is {wanted}"), || {
            let state = state(&self.router, prefix);
            if state == wanted { Ok(()) } else { Err(state) }
        });
    }

    /// The cache whose data counts, by preference.
    #[track_caller]
    fn wait_group(&self, preference: u64) {
        wait_for(SOON, &format!("group {preference}"), || {
            let shown = self.router.json("show rpki cache-connection json");
            if shown["connectedGroup"] == preference {
                Ok(())
            } else {
                Err(shown.to_string())
            }
        });
    }
}

fn prefixes(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.contains("unicast"));
    let words = lines.filter_map(|line| line.split_whitespace().next());
    let mut all: Vec<String> = words
        .filter(|w| w.contains('/'))
        .map(str::to_owned)
        .collect();
    all.sort();
    all
}

fn state(router: &dyn Router, prefix: &str) -> String {
    let paths = router.paths(prefix);
    let state = paths
        .first()
        .map(|path| path["rpkiValidationState"].clone());
    state
        .as_ref()
        .and_then(Value::as_str)
        .unwrap_or("-")
        .to_owned()
}

fn all_prefixes() -> Vec<(&'static str, &'static str)> {
    let v4 = ROUTES.iter().map(|(prefix, _, state)| (*prefix, *state));
    v4.chain(ROUTES_V6).collect()
}

/// Prefixes of IPv4 whose state is another than this.
fn all_but(state: &str) -> Vec<&'static str> {
    let others = ROUTES.iter().filter(|(_, _, of)| *of != state);
    others.map(|(prefix, ..)| *prefix).collect()
}

// ===== states =====

/// Rows of a table, without what is in front of them.
fn rows(text: &str) -> Vec<String> {
    let rows = text.lines().skip_while(|line| !line.contains("Network"));
    rows.map(|line| line.trim_end().to_owned()).collect()
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

const ROUTERS: [&str; 3] = ["10.1.0.1", "10.1.0.3", "10.1.0.4"];
const JUDGE: &str = "router id 10.1.0.4;
  roa4 table r4; roa6 table r6;
  protocol rpki { roa4 { table r4; }; roa6 { table r6; };
    remote 10.1.0.2 port 8282; retry 1; }
  protocol bgp { local 10.1.0.4 as 65001; neighbor 10.1.0.2 as 65002;
    ipv4 { import all; export none; }; ipv6 { import all; export none; }; }
";

#[test]
fn states_and_what_is_shown_are_those_of_frr_and_bird() {
    need!("stayrtr", "/usr/sbin/bird", "/usr/lib/frr/bgpd");
    if !Frr::can_validate() {
        eprintln!("skipped: FRR's module for origin validation is not installed");
        return;
    }
    let topology = Topology::new();
    let there = topology.namespace("source");
    let spaces = ["holdfast", "frr", "bird"].map(|label| topology.namespace(label));
    there.ip("link add br0 type bridge");
    there.ip("addr add 10.1.0.2/24 dev br0");
    there.ip("addr add 2001:db8:1::2/64 dev br0");
    there.ip("link set br0 up");
    for (at, (space, address)) in spaces.iter().zip(ROUTERS).enumerate() {
        let (port, six) = (format!("port{at}"), format!("2001:db8:1::{}{at}", 1));
        let addresses = format!("{address}/24 {six}/64");
        topology.link(there.end(&port, ""), space.end("eth1", &addresses));
        there.ip(&format!("link set {port} master br0"));
    }
    let _cache = Stayrtr::start(&topology, &there, "10.1.0.2:8282", &ROAS);
    let config = |address: &str| {
        let text = router(&[("10.1.0.2 8282", 1)], "", "");
        text.replace("router-id 10.1.0.1", &format!("router-id {address}"))
            .replace(" neighbor 10.2.0.2 remote-as 65003\n", "")
            .replace("  neighbor 10.2.0.2 activate\n", "")
    };
    let ours = Holdfast::start(&topology, &spaces[0], &config(ROUTERS[0]));
    let theirs = Frr::start_validating(&topology, &spaces[1], &config(ROUTERS[1]));
    let judge = Bird::start(&topology, &spaces[2], JUDGE);
    let _source = Bird::start(&topology, &there, &source(&ROUTERS));
    let routers: [&dyn Router; 2] = [&ours, &theirs];
    for router in routers {
        router.wait_established(&["10.1.0.2"]);
        for (prefix, wanted) in all_prefixes() {
            wait_for(SOON, &format!("{prefix} is {wanted}"), || {
                let seen = state(router, prefix);
                if seen == wanted { Ok(()) } else { Err(seen) }
            });
        }
    }
    for (state, word) in [
        ("valid", "VALID"),
        ("invalid", "INVALID"),
        ("not found", "UNKNOWN"),
    ] {
        for (table, roas, six) in [("master4", "r4", false), ("master6", "r6", true)] {
            let of_state =
                |(prefix, of): &(&str, &str)| *of == state && prefix.contains(':') == six;
            let wanted = all_prefixes().into_iter().filter(of_state);
            let mut wanted: Vec<String> = wanted.map(|(prefix, _)| prefix.to_owned()).collect();
            wanted.sort();
            let check = format!("roa_check({roas}, net, bgp_path.last) = ROA_{word}");
            let command = format!("show route table {table} where {check}");
            wait_for(SOON, &format!("what is {state} for BIRD"), || {
                let seen = prefixes(&judge.birdc(&command));
                if seen == wanted {
                    Ok(())
                } else {
                    Err(format!("{seen:?}"))
                }
            });
        }
    }
    same_words(&ours, &theirs);
}

/// Commands whose answers are compared, word by word.
fn same_words(ours: &Holdfast, theirs: &Frr) {
    for command in [
        "show rpki cache-server",
        "show rpki cache-connection",
        "show rpki prefix 192.0.2.0/24",
        "show rpki prefix 198.51.100.0/24 65009",
        "show rpki prefix 198.51.100.0/24 1",
        "show rpki prefix 2001:db8:a001::/48",
        "show rpki as-number 65002",
        "show rpki as-number 4",
    ] {
        assert_eq!(ours.vtysh(command), theirs.vtysh(command), "{command}");
    }
    for command in [
        "show rpki prefix 192.0.2.0/24 json",
        "show rpki as-number 65002 json",
        "show rpki as-number 4 json",
        "show rpki cache-server json",
    ] {
        assert_eq!(ours.json(command), theirs.json(command), "{command}");
    }
    // FRR's order is that of its trie.
    let command = "show rpki prefix-table";
    assert_eq!(sorted(&ours.vtysh(command)), sorted(&theirs.vtysh(command)));
    for command in [
        "show bgp ipv4 unicast",
        "show bgp ipv4 unicast rpki valid",
        "show bgp ipv4 unicast rpki invalid",
        "show bgp ipv4 unicast neighbors 10.1.0.2 routes",
        "show bgp ipv6 unicast rpki valid",
    ] {
        assert_eq!(
            rows(&ours.vtysh(command)),
            rows(&theirs.vtysh(command)),
            "{command}"
        );
    }
    let detail = |router: &dyn Router| {
        let text = router.vtysh("show bgp ipv4 unicast 192.0.2.0/24");
        let line = text.lines().find(|line| line.contains("Origin IGP"));
        line.unwrap_or_default().to_owned()
    };
    assert_eq!(detail(ours), detail(theirs));
    assert!(detail(ours).ends_with(", rpki validation-state: valid"));
    // Where FRR shows everything.
    let not_found = ours.json("show bgp ipv4 unicast rpki notfound json");
    let shown: Vec<&String> = not_found["routes"]
        .as_object()
        .expect("routes")
        .keys()
        .collect();
    assert_eq!(shown, ["8.8.8.0/24", "9.0.0.0/8"]);
}

// ===== changes =====

#[test]
fn a_route_comes_back_with_its_roa_and_no_other_is_sent_again() {
    need!("stayrtr", "/usr/sbin/bird");
    let mut cache = None;
    let import = "  neighbor 10.1.0.2 route-map RPKI in";
    let config = router(&[("10.1.0.2 8282", 1)], DENY_INVALID, import);
    let lab = Lab::up(&config, |topology, there| {
        cache = Some(Stayrtr::start(topology, there, "10.1.0.2:8282", &ROAS));
    });
    let cache = cache.expect("a cache");
    lab.wait_payloads(ROAS.len());
    lab.observes(&all_but("invalid"));
    let before = lab.said();
    // One route comes back.
    cache.set(&[ROAS[0], ROAS[1], ROAS[2], ROAS[4]]);
    let mut wanted = all_but("invalid");
    wanted.push("203.0.113.0/24");
    lab.observes(&wanted);
    lab.wait_state("203.0.113.0/24", "not found");
    let after = lab.said();
    assert_eq!(after, (before.0 + 1, before.1, before.2));
    // One goes, with the ROA that made it valid; what the ROA covers beside it
    // was invalid before. And what changes without a difference is no news.
    cache.set(&[
        ("192.0.2.0/24", 24, 65009),
        ("198.51.100.0/22", 24, 65009),
        ("198.51.100.0/22", 23, 65011),
        ("9.0.0.0/8", 8, 65009),
    ]);
    wanted.retain(|prefix| *prefix != "192.0.2.0/24");
    lab.observes(&wanted);
    lab.wait_state("9.0.0.0/8", "valid");
    assert_eq!(lab.said(), (after.0 + 1, before.1, before.2));
    // Nobody is left who says anything.
    lab.router.vtysh("rpki stop");
    let all: Vec<&str> = ROUTES.iter().map(|(prefix, ..)| *prefix).collect();
    lab.observes(&all);
    assert_eq!(state(&lab.router, "9.0.0.0/8"), "-");
    let answer = lab.router.vtysh("show rpki prefix-table");
    assert_eq!(answer, "No connection to RPKI cache server.\n");
    lab.router.vtysh("rpki start");
    lab.observes(&wanted);
    assert_eq!(lab.said().2, before.2, "sessions");
}

#[test]
fn maps_of_our_own_routes_and_on_the_way_out_follow() {
    need!("/usr/sbin/bird");
    let af = "  network 10.9.1.0/24 route-map VALID
  network 10.9.2.0/24 route-map VALID
  network 10.9.3.0/24
  neighbor 10.2.0.2 route-map RPKI out";
    let maps = format!("{DENY_INVALID}route-map VALID permit 10\n match rpki valid\nexit\n");
    let mut cache = None;
    let lab = Lab::up(&router(&[("10.1.0.2 8282", 1)], &maps, af), |_, there| {
        cache = Some(Cache::listen(there, "10.1.0.2:8282"));
    });
    let mut cache = cache.expect("a cache");
    assert_eq!(cache.hears(), Pdu::ResetQuery);
    // Before a cache says anything, nothing is found.
    let mut wanted: Vec<&str> = ROUTES.iter().map(|(prefix, ..)| *prefix).collect();
    wanted.push("10.9.3.0/24");
    lab.observes(&wanted);
    assert_eq!(state(&lab.router, "8.8.8.0/24"), "not found");
    let before = lab.said();
    cache.answers((1, 1), &["+10.9.0.0/16-24 AS65001", "+8.8.8.0/24-24 AS1"]);
    wanted.extend(["10.9.1.0/24", "10.9.2.0/24"]);
    wanted.retain(|prefix| *prefix != "8.8.8.0/24");
    lab.observes(&wanted);
    lab.wait_state("10.9.3.0/24", "valid");
    lab.wait_state("8.8.8.0/24", "invalid");
    // Ours are told in one UPDATE, or in two; the other one is withdrawn.
    let after = lab.said();
    assert!(after.0 - before.0 <= 3, "{before:?} {after:?}");
    assert_eq!(after.2, before.2);
    cache.notifies((1, 2));
    cache.answers(
        (1, 2),
        &["-10.9.0.0/16-24 AS65001", "+10.9.1.0/24-24 AS65001"],
    );
    wanted.retain(|prefix| *prefix != "10.9.2.0/24");
    lab.observes(&wanted);
    let last = lab.said();
    assert_eq!((last.0, last.2), (after.0 + 1, before.2));
}

#[test]
fn a_cache_that_begins_anew_changes_what_differs() {
    need!("/usr/sbin/bird");
    let import = "  neighbor 10.1.0.2 route-map RPKI in";
    let mut cache = None;
    let config = router(&[("10.1.0.2 8282", 1)], DENY_INVALID, import);
    let lab = Lab::up(&config, |_, there| {
        cache = Some(Cache::listen(there, "10.1.0.2:8282"));
    });
    let mut cache = cache.expect("a cache");
    let all: Vec<&str> = ROUTES.iter().map(|(prefix, ..)| *prefix).collect();
    let without = |gone: &[&str]| -> Vec<&str> {
        let left = all.iter().filter(|prefix| !gone.contains(prefix));
        left.copied().collect()
    };
    assert_eq!(cache.hears(), Pdu::ResetQuery);
    cache.answers((7, 1), &["+8.8.8.0/24-24 AS1", "+9.0.0.0/8-8 AS1"]);
    lab.observes(&without(&["8.8.8.0/24", "9.0.0.0/8"]));
    let before = lab.said();
    // It restarts: another session.
    cache.closes();
    let question = Pdu::SerialQuery {
        session: 7,
        serial: 1,
    };
    assert_eq!(cache.hears(), question);
    cache.says(&[Pdu::CacheResponse { session: 8 }]);
    assert_eq!(cache.hears(), Pdu::ResetQuery);
    cache.answers((8, 1), &["+8.8.8.0/24-24 AS1"]);
    lab.observes(&without(&["8.8.8.0/24"]));
    assert_eq!(lab.said(), (before.0 + 1, before.1, before.2));
    // It does not know how it came to where it is.
    cache.notifies((8, 5));
    cache.says(&[Pdu::CacheReset]);
    assert_eq!(cache.hears(), Pdu::ResetQuery);
    cache.answers((8, 5), &["+8.8.8.0/24-24 AS1", "+9.0.0.0/8-8 AS65009"]);
    lab.wait_state("9.0.0.0/8", "valid");
    lab.observes(&without(&["8.8.8.0/24"]));
    assert_eq!(lab.said(), (before.0 + 1, before.1, before.2));
    lab.router.vtysh("rpki reset");
    assert_eq!(cache.hears(), Pdu::ResetQuery);
    cache.answers((8, 5), &["+9.0.0.0/8-8 AS65009"]);
    lab.observes(&all);
    assert_eq!(lab.said(), (before.0 + 2, before.1, before.2));
    // Without it, what it said last goes on counting.
    drop(cache);
    wait_for(SOON, "no connection", || {
        let shown = lab.router.json("show rpki cache-connection json");
        let state = &shown["connections"][0]["state"];
        if state == "disconnected" {
            Ok(())
        } else {
            Err(shown.to_string())
        }
    });
    assert_eq!(state(&lab.router, "9.0.0.0/8"), "valid");
    assert_eq!(lab.said(), (before.0 + 2, before.1, before.2));
}

#[test]
fn the_next_cache_takes_over_and_the_configuration_may_change() {
    need!("/usr/sbin/bird");
    let import = "  neighbor 10.1.0.2 route-map RPKI in";
    let caches = [("10.1.0.2 8281", 1), ("10.1.0.2 8282", 2)];
    let mut listening = Vec::new();
    let lab = Lab::up(&router(&caches, DENY_INVALID, import), |_, there| {
        for port in [8281, 8282] {
            listening.push(Cache::listen(there, &format!("10.1.0.2:{port}")));
        }
    });
    let others: Vec<&str> = ROUTES.iter().map(|(prefix, ..)| *prefix).collect();
    let without = |gone: &str| -> Vec<&str> {
        let left = others.iter().filter(|prefix| **prefix != gone);
        left.copied().collect()
    };
    let mut second = listening.pop().expect("the second");
    let mut first = listening.pop().expect("the first");
    assert_eq!(second.hears(), Pdu::ResetQuery);
    second.answers((2, 1), &["+8.8.8.0/24-24 AS1"]);
    lab.wait_group(2);
    lab.wait_state("192.0.2.0/24", "not found");
    assert_eq!(first.hears(), Pdu::ResetQuery);
    first.answers((1, 1), &["+8.8.8.0/24-24 AS1", "+192.0.2.0/24-25 AS65002"]);
    lab.wait_group(1);
    lab.wait_state("192.0.2.0/24", "valid");
    lab.observes(&without("8.8.8.0/24"));
    let before = lab.said();
    drop(first);
    lab.wait_group(2);
    lab.wait_state("192.0.2.0/24", "not found");
    assert_eq!(lab.said(), before, "both deny the same route");
    // A third one, of another preference; the one in use stays connected.
    let mut third = Cache::listen(&lab.caches, "10.1.0.2:8283");
    let lines = [
        "configure terminal",
        "rpki",
        "rpki cache 10.1.0.2 8283 preference 9",
    ];
    assert_eq!(lab.router.shell(&lines).code, Some(0));
    assert_eq!(third.hears(), Pdu::ResetQuery);
    third.answers((3, 1), &["+9.0.0.0/8-8 AS1"]);
    let question = Pdu::SerialQuery {
        session: 2,
        serial: 1,
    };
    assert_eq!(second.notifies((2, 2)), question);
    second.answers((2, 2), &["+192.0.2.0/24-25 AS65002"]);
    lab.wait_state("192.0.2.0/24", "valid");
    let lines = [
        "configure terminal",
        "rpki",
        "no rpki cache 10.1.0.2 8282 preference 2",
    ];
    assert_eq!(lab.router.shell(&lines).code, Some(0));
    lab.wait_group(9);
    lab.observes(&without("9.0.0.0/8"));
    assert_eq!(
        lab.router.shell(&["configure terminal", "no rpki"]).code,
        Some(0)
    );
    lab.observes(&others);
    assert_eq!(state(&lab.router, "9.0.0.0/8"), "-");
    let table = lab.router.vtysh("show bgp ipv4 unicast");
    assert!(table.contains("\n*> 9.0.0.0/8 "), "{table}");
    assert_eq!(lab.said().2, before.2, "sessions");
    drop(lab.topology);
}
