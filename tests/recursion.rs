//! Next hops that are reached by other routes of BGP.

mod harness;

use harness::{Gobgp, Namespace, SOON, Topology, need, router, wait_for};

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
fn a_route_of_bgp_leads_to_next_hops_of_others_and_never_to_its_own() {
    need!("gobgpd", "gobgp");
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
    let add = |prefix: &str, next_hop: &str| {
        gobgp.gobgp(&format!("global rib add {prefix} nexthop {next_hop}"));
    };
    let shown = |command: &str, wanted: &str| {
        wait_for(SOON, &format!("{wanted:?} of {command}"), || {
            let text = router.vtysh(command);
            match text.contains(wanted) {
                true => Ok(()),
                false => Err(text),
            }
        });
    };

    add(BEHIND, FAR);
    shown(&format!("show ip nht {FAR}"), "unresolved");
    assert!(kernel.routes_to(BEHIND).is_empty());
    add(WAY, "10.1.0.2");
    wait_gateways(&kernel, BEHIND, &["10.1.0.2"]);
    shown(&format!("show ip nht {FAR}"), "resolved via bgp");
    shown(&format!("show bgp nexthop {FAR}"), "valid");

    // The way changes: to another router, and to the next hop itself.
    add(WAY, "10.1.0.3");
    wait_gateways(&kernel, BEHIND, &["10.1.0.3"]);
    add(WAY, FAR);
    wait_gateways(&kernel, BEHIND, &[]);
    wait_gateways(&kernel, WAY, &[]);
    shown(&format!("show ip nht {FAR}"), "unresolved");

    // A static route of others is the way then, to both.
    kernel.ip("route add 172.16.0.0/12 via 10.1.0.4");
    wait_gateways(&kernel, BEHIND, &["10.1.0.4"]);
    wait_gateways(&kernel, WAY, &["10.1.0.4"]);
    add(WAY, "10.1.0.2");
    wait_gateways(&kernel, BEHIND, &["10.1.0.2"]);
    gobgp.gobgp(&format!("global rib del {WAY}"));
    wait_gateways(&kernel, BEHIND, &["10.1.0.4"]);
    kernel.ip("route del 172.16.0.0/12");
    wait_gateways(&kernel, BEHIND, &[]);
}
