//! Static routes (`ip route`) and what becomes of them: the kernel, BGP, and FRR's staticd with
//! the same lines.

mod harness;

use std::collections::BTreeSet;

use harness::wire::{self, Open, as_path, next_hop, origin};
use harness::{Frr, Holdfast, Namespace, Router, SOON, Scripted, Topology, need};
use harness::{wait_for, wait_until};
use serde_json::Value;

const PEER: (&str, u32) = ("10.1.0.2", 65101);

const BGP: &str = "router bgp 65000
 bgp router-id 10.0.0.1
 no bgp ebgp-requires-policy
 neighbor 10.1.0.2 remote-as 65101
 neighbor 10.1.0.2 timers connect 1
";

/// A router with a neighbor on each of two links; dropped from the top.
struct Lab {
    router: Holdfast,
    one: Namespace,
    middle: Namespace,
    topology: Topology,
}

impl Lab {
    fn up(statics: &str, bgp: &str) -> Self {
        let topology = Topology::new();
        let (one, middle) = links(&topology);
        let config = format!("{statics}!\n{BGP}{bgp}exit\n");
        let router = Holdfast::start(&topology, &middle, &config);
        Self {
            router,
            one,
            middle,
            topology,
        }
    }

    fn configure(&self, lines: &[&str]) {
        let commands = [&["configure terminal"], lines].concat();
        let answer = self.router.shell(&commands);
        assert_eq!((answer.code, answer.text.as_str()), (Some(0), ""));
    }

    fn frr(&self) -> Frr {
        let config = "router bgp 65101
 bgp router-id 10.1.0.2
 no bgp ebgp-requires-policy
 neighbor 10.1.0.1 remote-as 65000
 neighbor 10.1.0.1 timers connect 1
 address-family ipv6 unicast
  neighbor 10.1.0.1 activate
 exit-address-family
exit
";
        let frr = Frr::start_without_kernel(&self.topology, &self.one, config);
        self.router.wait_established(&[PEER.0]);
        frr
    }

    /// Where the kernel sends a packet: the words of `ip route get`.
    fn way(&self, address: &str) -> String {
        let found = self.middle.exec("ip", &["route", "get", address]);
        String::from_utf8_lossy(&found.stdout).into_owned()
    }
}

/// A router between two hosts.
fn links(topology: &Topology) -> (Namespace, Namespace) {
    let (one, two) = (topology.namespace("one"), topology.namespace("two"));
    let middle = topology.namespace("router");
    topology.link(
        one.end("eth0", "10.1.0.2/24 2001:db8:1::2/64"),
        middle.end("eth1", "10.1.0.1/24 2001:db8:1::1/64"),
    );
    topology.link(
        two.end("eth0", "10.2.0.2/24 2001:db8:2::2/64"),
        middle.end("eth2", "10.2.0.1/24 2001:db8:2::1/64"),
    );
    (one, middle)
}

/// The next hop of the only path of a prefix.
fn next_hop_of(router: &dyn Router, prefix: &str) -> String {
    let paths = router.wait_paths(prefix, 1);
    let ip = paths[0]["nexthops"][0]["ip"].as_str();
    ip.unwrap_or_default().to_owned()
}

#[test]
fn redistributed_static_routes_reach_a_peer() {
    need!("/usr/lib/frr/bgpd");
    let statics = "ip route 192.0.2.0/24 10.2.0.2
ip route 192.0.3.0/24 blackhole
ip route 192.0.4.0/24 10.1.0.9
ip route 192.0.5.0/24 172.16.0.1
ip route 192.0.6.0/24 192.0.2.77 tag 6
ipv6 route 2001:db8:a::/48 2001:db8:2::2
";
    let families = " neighbor 10.1.0.2 remote-as 65101
 address-family ipv4 unicast
  redistribute static
  network 192.0.3.0/24
 exit-address-family
 address-family ipv6 unicast
  neighbor 10.1.0.2 activate
  redistribute static metric 77
 exit-address-family
";
    let lab = Lab::up(statics, families);
    lab.middle
        .ip("route add 192.0.7.0/24 via 10.2.0.2 proto static metric 9");
    let frr = lab.frr();
    // The router for its own table, and who it is for those that are not on a link with it.
    for (prefix, ours, told) in [
        ("192.0.2.0/24", "10.2.0.2", "10.1.0.1"),
        ("192.0.4.0/24", "10.1.0.9", "10.1.0.9"),
        ("192.0.6.0/24", "192.0.2.77", "10.1.0.1"),
        ("192.0.7.0/24", "10.2.0.2", "10.1.0.1"),
    ] {
        assert_eq!(next_hop_of(&lab.router, prefix), ours, "{prefix}");
        assert_eq!(next_hop_of(&frr, prefix), told, "{prefix}");
    }
    // As `network` and as static.
    lab.router.wait_paths("192.0.3.0/24", 2);
    frr.wait_paths("192.0.3.0/24", 1);
    let six = frr.wait_paths("2001:db8:a::/48", 1);
    assert_eq!(six[0]["metric"], 77);
    frr.wait_paths("192.0.5.0/24", 0);
    // A link that goes takes its routes along, here and there, and brings them back.
    for _ in 0..2 {
        lab.middle.ip("link set eth2 down");
        for prefix in ["192.0.2.0/24", "192.0.6.0/24", "2001:db8:a::/48"] {
            frr.wait_paths(prefix, 0);
        }
        frr.wait_paths("192.0.4.0/24", 1);
        lab.middle.ip("link set eth2 up");
        lab.middle
            .ip("-6 addr replace 2001:db8:2::1/64 dev eth2 nodad");
        for prefix in ["192.0.2.0/24", "192.0.6.0/24", "2001:db8:a::/48"] {
            frr.wait_paths(prefix, 1);
        }
    }
    lab.configure(&["no ip route 192.0.2.0/24 10.2.0.2"]);
    frr.wait_paths("192.0.2.0/24", 0);
    frr.wait_paths("192.0.6.0/24", 0);
    lab.configure(&["ip route 192.0.2.0/24 reject"]);
    frr.wait_paths("192.0.2.0/24", 1);
    let ours = listed(&lab.middle);
    let unreachable = "main \"192.0.2.0/24\" unreachable {}".to_owned();
    assert!(ours.contains(&unreachable), "{ours:#?}");
}

#[test]
fn a_floating_static_route_takes_over_when_the_bgp_route_goes() {
    need!();
    let prefix = "203.0.113.0/24";
    let statics = "ip route 203.0.113.0/24 10.2.0.2 200\n";
    let lab = Lab::up(statics, "");
    let peer = Scripted::establish(&lab.one, PEER.0, "10.1.0.1", &Open::good(PEER.1, PEER.0));
    let by = |gateway: &str| lab.way("203.0.113.1").contains(&format!("via {gateway}"));
    wait_until(SOON, "the static route is used", || by("10.2.0.2"));
    for _ in 0..2 {
        let attributes = [origin(0), as_path(&[PEER.1]), next_hop(PEER.0)];
        peer.send(&wire::update(&[], &attributes, &[prefix]));
        wait_until(SOON, "BGP's is used", || by(PEER.0));
        let shown = lab.router.vtysh("show ip route 203.0.113.0/24");
        assert!(
            shown.contains("\"bgp\", distance 20, metric 0, best"),
            "{shown}"
        );
        assert!(
            shown.contains("\"static\", distance 200, metric 0\n"),
            "{shown}"
        );
        peer.send(&wire::update(&[prefix], &[], &[]));
        wait_until(SOON, "the static route is used again", || by("10.2.0.2"));
    }
    // The session's end does the same.
    let attributes = [origin(0), as_path(&[PEER.1]), next_hop(PEER.0)];
    peer.send(&wire::update(&[], &attributes, &[prefix]));
    wait_until(SOON, "BGP's is used", || by(PEER.0));
    drop(peer);
    wait_until(SOON, "the static route is used after all", || {
        by("10.2.0.2")
    });
}

#[test]
fn bgp_routes_resolve_through_a_static_route() {
    need!();
    let statics = "ip route 192.0.2.0/24 10.2.0.2 5\n";
    let lab = Lab::up(statics, " neighbor 10.1.0.2 disable-connected-check\n");
    let peer = Scripted::establish(&lab.one, PEER.0, "10.1.0.1", &Open::good(PEER.1, PEER.0));
    let attributes = [origin(0), as_path(&[PEER.1]), next_hop("192.0.2.9")];
    peer.send(&wire::update(&[], &attributes, &["203.0.113.0/24"]));
    let leads = |gateway: &str| lab.way("203.0.113.1").contains(&format!("via {gateway}"));
    wait_until(SOON, "through the static route", || leads("10.2.0.2"));
    lab.configure(&[
        "ip route 192.0.2.0/24 10.1.0.7 5",
        "no ip route 192.0.2.0/24 10.2.0.2",
    ]);
    wait_until(SOON, "through its new gateway", || leads("10.1.0.7"));
    lab.configure(&["no ip route 192.0.2.0/24 10.1.0.7"]);
    wait_until(SOON, "not at all", || {
        lab.middle.routes_to("203.0.113.0/24").is_empty()
    });
}

#[test]
fn a_table_is_redistributed() {
    need!("/usr/lib/frr/bgpd");
    let lab = Lab::up(
        "",
        " address-family ipv4 unicast\n  redistribute table 100 metric 5\n exit-address-family\n",
    );
    lab.middle
        .ip("route add 192.0.2.0/24 via 10.2.0.2 table 100");
    lab.middle
        .ip("route add 192.0.3.0/24 via 10.2.0.2 table 101");
    let frr = lab.frr();
    assert_eq!(frr.wait_paths("192.0.2.0/24", 1)[0]["metric"], 5);
    lab.middle.ip("route del 192.0.2.0/24 table 100");
    frr.wait_paths("192.0.2.0/24", 0);
    let family = ["router bgp 65000", "address-family ipv4 unicast"];
    lab.configure(&[family[0], family[1], "redistribute table 101"]);
    frr.wait_paths("192.0.3.0/24", 1);
    lab.configure(&[family[0], family[1], "no redistribute table 101"]);
    frr.wait_paths("192.0.3.0/24", 0);
}

#[test]
fn a_restart_keeps_static_routes_or_does_not() {
    need!();
    let statics = "ip route 192.0.2.0/24 10.2.0.2\nip route 192.0.3.0/24 10.1.0.2\n";
    let mut lab = Lab::up(statics, " bgp graceful-restart\n");
    let count = |lab: &Lab| listed(&lab.middle).len();
    wait_until(SOON, "both are there", || count(&lab) == 2);
    lab.router.stop();
    assert_eq!(count(&lab), 2, "a graceful stop leaves them");
    let fewer = format!("ip route 192.0.3.0/24 10.1.0.2\n!\n{BGP} bgp graceful-restart\nexit\n");
    std::fs::write(lab.router.config_file(), fewer).unwrap();
    lab.router.restart();
    wait_until(SOON, "what is not wanted any more goes", || {
        count(&lab) == 1
    });
    assert_eq!(lab.middle.routes_to("192.0.3.0/24").len(), 1);
    lab.configure(&["router bgp 65000", "no bgp graceful-restart"]);
    lab.router.stop();
    assert_eq!(count(&lab), 0, "a plain stop takes them along");
}

#[test]
fn forwarding_is_what_it_was_when_the_line_or_the_daemon_goes() {
    need!();
    let topology = Topology::new();
    let namespace = topology.namespace("router");
    let read = |key: &str| {
        let found = namespace.exec("sysctl", &["-n", key]);
        String::from_utf8_lossy(&found.stdout).trim().to_owned()
    };
    let (v4, v6) = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding");
    namespace.sysctl(v4, "0");
    namespace.sysctl(v6, "1");
    let both = || (read(v4), read(v6));
    let is = |v4: &str, v6: &str| both() == (v4.to_owned(), v6.to_owned());
    let config = "ip forwarding\nno ipv6 forwarding\n";
    let mut router = Holdfast::start(&topology, &namespace, config);
    wait_until(SOON, "as configured", || is("1", "0"));
    router.reload("no ipv6 forwarding\n");
    wait_until(SOON, "without the line as before", || is("0", "0"));
    router.reload("ip forwarding\nipv6 forwarding\n");
    wait_until(SOON, "both on", || is("1", "1"));
    router.reload("no ip forwarding\nno ipv6 forwarding\n");
    wait_until(SOON, "both off", || is("0", "0"));
    router.reload("ip forwarding\nno ipv6 forwarding\n");
    wait_until(SOON, "one on", || is("1", "0"));
    router.stop();
    assert_eq!(both(), ("0".to_owned(), "1".to_owned()));
}

// ===== the same lines in FRR =====

const LINES: &str = "ip route 192.0.2.0/24 10.1.0.2
ip route 192.0.2.0/24 10.2.0.2
ip route 192.0.3.0/24 10.1.0.2 eth1 tag 7 20 onlink
ip route 192.0.3.0/24 10.2.0.2 tag 9 30
ip route 192.0.4.0/24 eth2
ip route 192.0.5.0/24 blackhole
ip route 192.0.6.0/24 Null0
ip route 192.0.7.0/24 reject 200
ip route 192.0.8.0/24 10.1.0.2 tag 5 99 table 100
ip route 192.0.9.0/24 192.0.2.77
ip route 192.0.10.0/24 nosuch
ip route 192.0.17.0/24 192.0.5.1
ip route 192.0.18.0/24 192.0.18.1
ip route 192.0.19.0/24 10.1.0.1
ip route 192.0.20.0/24 10.1.0.2 eth2
ip route 192.0.21.0/24 172.16.0.1
ip route 192.0.22.0/24 10.9.9.9 eth1 onlink
ip route 192.0.23.0/24 192.0.9.1
ip route 192.0.25.0/24 10.1.0.2 255
ip route 192.0.41.0/24 eth1
ip route 192.0.41.0/24 10.1.0.2
ip route 192.0.41.0/24 10.2.0.2 eth2
ipv6 route 2001:db8:100::/48 2001:db8:1::2
ipv6 route 2001:db8:101::/48 fe80::2 eth1
ipv6 route 2001:db8:103::/48 blackhole 7
ipv6 route 2001:db8:104::/48 eth2 tag 3
ipv6 route 2001:db8:106::/48 reject tag 4 9
ipv6 route 2001:db8:107::/48 2001:db8:2::2 eth2 tag 12 77 onlink
ipv6 route 2001:db8:108::/48 2001:db8:100::9
ipv6 route 2001:db8:109::/48 2001:db8:1::2
ipv6 route 2001:db8:109::/48 2001:db8:2::2
";

/// What `ip` lists as static, without what is the daemon's own affair: who wrote it, and with
/// which metric and object.
fn listed(namespace: &Namespace) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (family, table) in [("-4", "main"), ("-4", "100"), ("-6", "main")] {
        let words = [
            family, "-j", "route", "show", "table", table, "proto", "196",
        ];
        let output = namespace.exec("ip", &words);
        let routes: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        for route in routes.as_array().into_iter().flatten() {
            let hops = match route["nexthops"].as_array() {
                Some(hops) => hops.iter().map(hop).collect::<BTreeSet<String>>(),
                None => BTreeSet::from([hop(route)]),
            };
            let kind = route["type"].as_str().unwrap_or("unicast");
            let hops = if kind == "unicast" {
                hops
            } else {
                BTreeSet::new()
            };
            found.insert(format!("{table} {} {kind} {hops:?}", route["dst"]));
        }
    }
    found
}

fn hop(hop: &Value) -> String {
    let onlink = hop["flags"].to_string().contains("onlink");
    format!("{} {} {onlink}", hop["gateway"], hop["dev"])
}

/// `show ip route static` without uptimes, sorted.
fn shown(router: &dyn Router, command: &str) -> BTreeSet<String> {
    let text = router.vtysh(command);
    let routes = text.lines().filter(|line| line.contains("weight"));
    let without_time = routes.map(|line| line.rsplit_once(", ").map_or(line, |(head, _)| head));
    without_time.map(str::to_owned).collect()
}

/// Routes of others without uptimes; link-local ones we leave out.
fn others(router: &dyn Router, command: &str) -> BTreeSet<String> {
    let text = router.vtysh(command);
    let routes = text.lines().filter(|line| line.starts_with(['C', 'K']));
    let routes = routes.filter(|line| line.contains('/') && !line.contains("fe80"));
    let without_time = routes.map(|line| line.rsplit_once(", ").map_or(line, |(head, _)| head));
    without_time.map(str::to_owned).collect()
}

/// The routes in use as JSON has them, without times and numbers of objects and interfaces.
fn documents(router: &dyn Router, command: &str) -> BTreeSet<String> {
    let document = router.json(command);
    let routes = document.as_object().into_iter().flatten();
    let entries = routes.flat_map(|(_, list)| list.as_array().into_iter().flatten());
    let used = entries.filter(|entry| {
        let hops = entry["nexthops"].as_array().into_iter().flatten();
        entry["selected"] == true && hops.clone().all(|hop| hop["active"] == true)
    });
    let plain = used.cloned().map(|mut entry| {
        let own = ["uptime", "nexthopGroupId", "installedNexthopGroupId"];
        let fields = entry.as_object_mut().expect("an object");
        fields.retain(|key, _| !own.contains(&key.as_str()));
        for hop in fields["nexthops"].as_array_mut().into_iter().flatten() {
            hop.as_object_mut().map(|hop| hop.remove("interfaceIndex"));
        }
        entry.to_string()
    });
    plain.collect()
}

#[test]
fn the_same_lines_become_the_same_routes_in_frr() {
    need!("/usr/lib/frr/staticd");
    let topology = Topology::new();
    let (_one, ours) = links(&topology);
    let router = Holdfast::start(&topology, &ours, LINES);
    let other = Topology::new();
    let (_one, theirs) = links(&other);
    let frr = Frr::start_with_staticd(&other, &theirs, LINES);
    // On the way there both may have the same part of it.
    let same_of =
        |least: usize, what: &str, probe: &dyn Fn() -> (BTreeSet<String>, BTreeSet<String>)| {
            wait_for(SOON, what, || {
                let (ours, theirs) = probe();
                let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| -> Vec<String> {
                    a.difference(b).cloned().collect()
                };
                match ours == theirs && ours.len() >= least {
                    true => Ok(ours.len()),
                    false => Err(format!(
                        "of {} only ours {:#?}\nonly theirs {:#?}",
                        ours.len(),
                        only(&ours, &theirs),
                        only(&theirs, &ours)
                    )),
                }
            })
        };
    let same = |what: &str, probe: &dyn Fn() -> (BTreeSet<String>, BTreeSet<String>)| {
        same_of(1, what, probe)
    };
    let kernels = || (listed(&ours), listed(&theirs));
    let count = same_of(20, "the kernels have the same", &kernels);
    assert_eq!(count, 20, "{:#?}", listed(&ours));
    // What leads nowhere FRR leaves out, or not, depending on why.
    let usable = |lines: BTreeSet<String>| -> BTreeSet<String> {
        let used = lines.into_iter().filter(|line| !line.contains("inactive"));
        used.filter(|line| !line.contains("192.0.25.0")).collect()
    };
    for command in ["show ip route static", "show ipv6 route static"] {
        let shells = || {
            (
                usable(shown(&router, command)),
                usable(shown(&frr, command)),
            )
        };
        same(command, &shells);
    }
    for namespace in [&ours, &theirs] {
        namespace.ip("route add 203.0.113.0/24 via 10.1.0.9 metric 5");
        namespace.ip("route add blackhole 203.0.114.0/24");
    }
    for command in ["show ip route connected", "show ip route kernel"] {
        let shells = || (others(&router, command), others(&frr, command));
        assert_eq!(same_of(2, command, &shells), 2, "{command}");
    }
    let shells = || {
        let command = "show ipv6 route connected";
        (others(&router, command), others(&frr, command))
    };
    same("show ipv6 route connected", &shells);
    for command in ["show ip route static json", "show ipv6 route static json"] {
        let shells = || (documents(&router, command), documents(&frr, command));
        same_of(7, command, &shells);
    }
    let lines = |router: &dyn Router| -> BTreeSet<String> {
        let text = router.vtysh("show running-config");
        let lines = text.lines().filter(|line| line.contains(" route "));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(lines(&router), lines(&frr));
    assert_eq!(lines(&router).len(), LINES.lines().count());
    let before = listed(&ours);
    for namespace in [&ours, &theirs] {
        namespace.ip("link set eth1 down");
    }
    same("without a link", &kernels);
    // When the link is back, zebra 8.4.4 leaves it out of routes that have another.
    ours.ip("link set eth1 up");
    ours.ip("-6 addr replace 2001:db8:1::1/64 dev eth1 nodad");
    wait_until(SOON, "with the link as before", || listed(&ours) == before);
}

/// Prefixes and their MEDs, of routes of the router's own.
fn originated(router: &dyn Router) -> BTreeSet<String> {
    let table = router.vtysh("show bgp ipv4 unicast json");
    let table: Value = serde_json::from_str(&table).unwrap_or_default();
    let routes = table["routes"].as_object().cloned().unwrap_or_default();
    let med = |paths: &Value| paths[0]["metric"].as_u64().unwrap_or_default();
    routes
        .iter()
        .map(|(prefix, paths)| format!("{prefix} {}", med(paths)))
        .collect()
}

#[test]
fn what_is_redistributed_is_asked_for_its_tag_and_interface_as_in_frr() {
    need!("/usr/lib/frr/staticd");
    let config = "ip route 192.0.2.0/24 10.2.0.2 tag 7
ip route 192.0.3.0/24 10.2.0.2
ip route 192.0.4.0/24 10.1.0.2 tag 8
ip route 192.0.5.0/24 blackhole tag 7
!
route-map STATIC permit 10
 match tag 7
 set metric 107
route-map STATIC permit 20
 match tag 8
 match interface eth1
 set metric 108
!
route-map CONNECTED permit 10
 match interface eth2
 set metric 2
!
router bgp 65000
 address-family ipv4 unicast
  redistribute static route-map STATIC
  redistribute connected route-map CONNECTED
 exit-address-family
exit
";
    let (ours, theirs) = (Topology::new(), Topology::new());
    let (_one, here) = links(&ours);
    let (_two, there) = links(&theirs);
    let router = Holdfast::start(&ours, &here, config);
    let frr = Frr::start_with_staticd(&theirs, &there, config);
    let steps: [(&[&str], &[&str]); 5] = [
        (
            &[],
            &[
                "10.2.0.0/24 2",
                "192.0.2.0/24 107",
                "192.0.4.0/24 108",
                "192.0.5.0/24 107",
            ],
        ),
        (
            &["ip route 192.0.3.0/24 10.2.0.2 tag 7"],
            &[
                "10.2.0.0/24 2",
                "192.0.2.0/24 107",
                "192.0.3.0/24 107",
                "192.0.4.0/24 108",
                "192.0.5.0/24 107",
            ],
        ),
        (
            &[
                "no ip route 192.0.2.0/24 10.2.0.2 tag 7",
                "ip route 192.0.2.0/24 10.2.0.2 tag 9",
            ],
            &[
                "10.2.0.0/24 2",
                "192.0.3.0/24 107",
                "192.0.4.0/24 108",
                "192.0.5.0/24 107",
            ],
        ),
        (
            &["route-map CONNECTED permit 10", "match interface eth1"],
            &[
                "10.1.0.0/24 2",
                "192.0.3.0/24 107",
                "192.0.4.0/24 108",
                "192.0.5.0/24 107",
            ],
        ),
        (
            &["route-map STATIC permit 20", "match interface eth2"],
            &["10.1.0.0/24 2", "192.0.3.0/24 107", "192.0.5.0/24 107"],
        ),
    ];
    for (lines, expected) in steps {
        let commands = [&["configure terminal"], lines].concat();
        let expected: BTreeSet<String> = expected.iter().map(|line| (*line).to_owned()).collect();
        for router in [&router as &dyn Router, &frr] {
            router.shell(&commands);
            wait_for(SOON, "what is redistributed", || match originated(router) {
                found if found == expected => Ok(()),
                found => Err(format!("after {lines:?}: {found:#?}")),
            });
        }
    }
}
