//! Next hops behind a default route, which count where that is configured.

mod harness;

use harness::{Gobgp, SOON, Topology, need, router, wait_for};

const PREFIX: &str = "203.0.113.0/24";
/// Behind the default route, and nothing else.
const FAR: &str = "172.31.0.9";

const ROUTER: &str = "router bgp 65000
 bgp router-id 10.1.0.1
 neighbor 10.1.0.2 remote-as 65000
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

#[test]
fn a_default_route_resolves_next_hops_where_it_may() {
    need!("gobgpd", "gobgp");
    let topology = Topology::new();
    let kernel = topology.namespace("router");
    let speaker = topology.namespace("speaker");
    topology.link(
        speaker.end("eth0", "10.1.0.2/24"),
        kernel.end("eth1", "10.1.0.1/24"),
    );
    kernel.ip("route add default via 10.1.0.2 metric 7");
    let router = router::start(&topology, &kernel, ROUTER);
    let gobgp = Gobgp::start(&topology, &speaker, SPEAKER);
    router.wait_established(&["10.1.0.2"]);
    gobgp.gobgp(&format!("global rib add {PREFIX} nexthop {FAR}"));

    let wait = |answers: &[(&str, &str)], installed: bool| {
        for (command, wanted) in answers {
            wait_for(SOON, &format!("{wanted:?} of {command}"), || {
                let text = router.vtysh(command);
                if text.contains(wanted) {
                    Ok(())
                } else {
                    Err(text)
                }
            });
        }
        wait_for(
            SOON,
            &format!("the route in the kernel: {installed}"),
            || {
                let routes = kernel.routes_to(PREFIX);
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
