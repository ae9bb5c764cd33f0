//! Next hops that are not on a link: behind a default route, which counts where
//! that is configured, and behind other routes of BGP.

mod harness;

use harness::{Gobgp, Namespace, Router, SOON, Topology, need, router, wait_for};

const ROUTER: &str = "router bgp 65000
 bgp router-id 10.1.0.1
 neighbor 10.1.0.2 remote-as 65000
 neighbor 10.1.0.2 timers connect 1
exit
";

const SPEAKER: &str = "[global.config]
as = 65000
router-id = \"10.1.0.2\"
[[neighbors]]
[neighbors.config]
neighbor-address = \"10.1.0.1\"
peer-as = 65000
[neighbors.timers.config]
connect-retry = 5
";

/// The far next hop, the route that leads to it, and one behind it.
const FAR: &str = "172.31.0.9";
const WAY: &str = "172.31.0.0/16";
const BEHIND: &str = "203.0.113.0/24";

/// The router, and one internal neighbor on its link.
struct Lab {
    kernel: Namespace,
    router: Box<dyn Router>,
    gobgp: Gobgp,
    _topology: Topology,
}

impl Lab {
    fn up() -> Self {
        let topology = Topology::new();
        let kernel = topology.namespace("router");
        let speaker = topology.namespace("speaker");
        topology.link(
            speaker.end("eth0", "10.1.0.2/24"),
            kernel.end("eth1", "10.1.0.1/24"),
        );
        let router = router::start(&topology, &kernel, ROUTER);
        let gobgp = Gobgp::start(&topology, &speaker, SPEAKER);
        router.wait_established(&["10.1.0.2"]);
        Self {
            kernel,
            router,
            gobgp,
            _topology: topology,
        }
    }

    /// Waits until the shell's answer has a text in it.
    fn wait_shown(&self, command: &str, wanted: &str) {
        wait_for(SOON, &format!("{wanted:?} of {command}"), || {
            let text = self.router.vtysh(command);
            match text.contains(wanted) {
                true => Ok(()),
                false => Err(text),
            }
        });
    }
}

fn wait_gateways(kernel: &Namespace, prefix: &str, wanted: &[&str]) {
    wait_for(SOON, &format!("{prefix} by {wanted:?}"), || {
        let routes = kernel.routes_to(prefix);
        let found: Vec<&str> = routes.iter().flat_map(|route| route.gateways()).collect();
        match found == wanted {
            true => Ok(()),
            false => Err(format!("{routes:?}")),
        }
    });
}

#[test]
fn a_default_route_resolves_next_hops_where_it_may() {
    need!("gobgpd", "gobgp");
    let lab = Lab::up();
    let Lab {
        kernel,
        router,
        gobgp,
        ..
    } = &lab;
    kernel.ip("route add default via 10.1.0.2 metric 7");
    gobgp.gobgp(&format!("global rib add {BEHIND} nexthop {FAR}"));

    let wait = |answers: &[(&str, &str)], installed: bool| {
        for (command, wanted) in answers {
            lab.wait_shown(command, wanted);
        }
        wait_for(
            SOON,
            &format!("the route in the kernel: {installed}"),
            || {
                let routes = kernel.routes_to(BEHIND);
                let right = match routes.as_slice() {
                    [] => !installed,
                    [one] => installed && one.gateways() == ["10.1.0.2"],
                    _ => false,
                };
                if right {
                    Ok(())
                } else {
                    Err(format!("{routes:?}"))
                }
            },
        );
    };
    let configure = |line: &str| {
        let answer = router.shell(&["configure terminal", line]);
        assert_eq!(answer.code, Some(0), "{answer:?}");
    };
    let (bgp, tracking) = (
        format!("show bgp nexthop {FAR}"),
        format!("show ip nht {FAR}"),
    );
    let invalid = format!(" {FAR} invalid, #paths 1\n");
    let unresolved = format!("{FAR}\n unresolved\n");
    let no = [(bgp.as_str(), invalid.as_str()), (&tracking, &unresolved)];
    wait(&no, false);

    configure("ip nht resolve-via-default");
    let valid = format!(" {FAR} valid [IGP metric 7], #paths 1\n  gate 10.1.0.2, if eth1\n");
    let resolved = format!("{FAR}\n resolved via kernel\n via 10.1.0.2, eth1\n");
    let yes = [(bgp.as_str(), valid.as_str()), (&tracking, &resolved)];
    wait(&yes, true);
    let shown = router.vtysh("show running-config");
    assert!(shown.contains("\nip nht resolve-via-default\n"), "{shown}");
    // The other family's line says nothing about this one.
    configure("ipv6 nht resolve-via-default");
    wait(&yes, true);

    configure("no ip nht resolve-via-default");
    wait(&no, false);
}

#[test]
fn a_route_of_bgp_leads_to_next_hops_of_others_and_never_to_its_own() {
    need!("gobgpd", "gobgp");
    let lab = Lab::up();
    let Lab { kernel, gobgp, .. } = &lab;
    let add = |prefix: &str, next_hop: &str| {
        gobgp.gobgp(&format!("global rib add {prefix} nexthop {next_hop}"));
    };
    let shown = |command: &str, wanted: &str| lab.wait_shown(command, wanted);

    add(BEHIND, FAR);
    shown(&format!("show ip nht {FAR}"), "unresolved");
    assert!(kernel.routes_to(BEHIND).is_empty());
    add(WAY, "10.1.0.2");
    wait_gateways(kernel, BEHIND, &["10.1.0.2"]);
    shown(&format!("show ip nht {FAR}"), "resolved via bgp");
    shown(&format!("show bgp nexthop {FAR}"), "valid");

    // The way changes: to another router, and to the next hop itself.
    add(WAY, "10.1.0.3");
    wait_gateways(kernel, BEHIND, &["10.1.0.3"]);
    add(WAY, FAR);
    wait_gateways(kernel, BEHIND, &[]);
    wait_gateways(kernel, WAY, &[]);
    shown(&format!("show ip nht {FAR}"), "unresolved");

    // A static route of others is the way then, to both.
    kernel.ip("route add 172.16.0.0/12 via 10.1.0.4");
    wait_gateways(kernel, BEHIND, &["10.1.0.4"]);
    wait_gateways(kernel, WAY, &["10.1.0.4"]);
    add(WAY, "10.1.0.2");
    wait_gateways(kernel, BEHIND, &["10.1.0.2"]);
    gobgp.gobgp(&format!("global rib del {WAY}"));
    wait_gateways(kernel, BEHIND, &["10.1.0.4"]);
    kernel.ip("route del 172.16.0.0/12");
    wait_gateways(kernel, BEHIND, &[]);
}

/// Remotely triggered black holes (RFC 5635).
#[test]
fn what_goes_by_a_next_hop_behind_a_route_that_drops_packets_is_dropped() {
    need!("gobgpd", "gobgp");
    let lab = Lab::up();
    let Lab { kernel, gobgp, .. } = &lab;
    gobgp.gobgp(&format!("global rib add {BEHIND} nexthop {FAR}"));
    let kind = |wanted: &str| {
        wait_for(SOON, &format!("{BEHIND} as {wanted}"), || {
            let output = kernel.exec("ip", &["-d", "route", "show", BEHIND]);
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            match text.starts_with(&format!("{wanted} {BEHIND} ")) {
                true => Ok(()),
                false => Err(text),
            }
        });
    };
    let line = |line: &str| {
        let answer = lab.router.shell(&["configure terminal", line]);
        assert_eq!(answer.code, Some(0), "{answer:?}");
    };
    line(&format!("ip route {WAY} blackhole"));
    kind("blackhole");
    let bgp = format!("show ip route {BEHIND}");
    lab.wait_shown(&bgp, FAR);
    lab.wait_shown("show ip route bgp", &format!("via {FAR} (recursive)"));
    lab.wait_shown("show ip route bgp", "unreachable (blackhole)");
    lab.wait_shown(&format!("show bgp nexthop {FAR}"), "valid");
    lab.wait_shown(&format!("show ip nht {FAR}"), "resolved via static");

    // A way that leads somewhere again, and one that answers.
    kernel.ip(&format!("route add {FAR}/32 via 10.1.0.4"));
    wait_gateways(kernel, BEHIND, &["10.1.0.4"]);
    kind("unicast");
    kernel.ip(&format!("route del {FAR}/32"));
    kind("blackhole");
    line(&format!("no ip route {WAY} blackhole"));
    wait_gateways(kernel, BEHIND, &[]);
    kernel.ip(&format!("route add unreachable {WAY}"));
    kind("unreachable");
    // That there is no default route is no way to anywhere.
    kernel.ip(&format!("route del {WAY}"));
    kernel.ip("route add unreachable default metric 4278198272");
    line("ip nht resolve-via-default");
    kernel.ip("route add default via 10.1.0.2 metric 7");
    wait_gateways(kernel, BEHIND, &["10.1.0.2"]);
    kernel.ip("route del default via 10.1.0.2 metric 7");
    wait_for(SOON, "nothing", || {
        let routes = kernel.exec("ip", &["route", "show", BEHIND]).stdout;
        match routes.is_empty() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&routes).into_owned()),
        }
    });
}
