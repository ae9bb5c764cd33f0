//! A confederation (RFC 5065) of the router and of FRR, with BIRD outside.

mod harness;

use harness::{Bird, Frr, Router, SOON, Topology, need, router, wait_for};

const INSIDE: &str = "203.0.113.0/24";
const OUTSIDE: &str = "198.51.100.0/24";

const ROUTER: &str = "router bgp 65000
 bgp router-id 10.0.0.1
 bgp confederation identifier 65500
 bgp confederation peers 65100
 no bgp ebgp-requires-policy
 neighbor 10.1.0.2 remote-as 65100
 neighbor 10.1.0.2 timers connect 1
 neighbor 10.2.0.2 remote-as 65001
 neighbor 10.2.0.2 timers connect 1
 address-family ipv4 unicast
  neighbor 10.1.0.2 next-hop-self
 exit-address-family
exit
";

const MEMBER: &str = "router bgp 65100
 bgp router-id 10.1.0.2
 bgp confederation identifier 65500
 bgp confederation peers 65000
 no bgp ebgp-requires-policy
 neighbor 10.1.0.1 remote-as 65000
 neighbor 10.1.0.1 timers connect 1
 no bgp network import-check
 address-family ipv4 unicast
  network 203.0.113.0/24
 exit-address-family
exit
";

const NEIGHBOR: &str = "router id 10.2.0.2;
protocol static own {
  ipv4;
  route 198.51.100.0/24 blackhole;
}
protocol bgp upstream {
  local 10.2.0.2 as 65001;
  neighbor 10.2.0.1 as 65500;
  connect delay time 1;
  connect retry time 2;
  error wait time 1, 2;
  ipv4 { import all; export where source = RTS_STATIC; };
}
";

#[test]
fn one_as_from_outside_and_several_inside() {
    need!("/usr/lib/frr/bgpd", "bird", "birdc");
    let topology = Topology::new();
    let (member, middle, neighbor) = topology.three_in_a_row();
    let router = router::start(&topology, &middle, ROUTER);
    let member = Frr::start(&topology, &member, MEMBER);
    let neighbor = Bird::start(&topology, &neighbor, NEIGHBOR);
    router.wait_established(&["10.1.0.2", "10.2.0.2"]);

    let here = router.wait_paths(INSIDE, 1).remove(0);
    assert_eq!(here["aspath"]["string"], "(65100)", "{here}");
    assert_eq!(here["locPrf"], 100, "{here}");
    let outside = wait_for(SOON, "bird has the route from inside", || {
        let text = neighbor.birdc(&format!("show route for {INSIDE} all"));
        if text.contains("BGP.as_path") {
            Ok(text)
        } else {
            Err(text)
        }
    });
    assert!(outside.contains("BGP.as_path: 65500\n"), "{outside}");
    assert!(!outside.contains("65100"), "{outside}");

    let inside = member.wait_paths(OUTSIDE, 1).remove(0);
    assert_eq!(inside["aspath"]["string"], "(65000) 65001", "{inside}");
    assert_eq!(inside["locPrf"], 100, "{inside}");
    assert_eq!(inside["nexthops"][0]["ip"], "10.1.0.1", "{inside}");
    assert_eq!(inside["valid"], true, "{inside}");
    assert_eq!(inside["peer"]["type"], "confed-external", "{inside}");
    assert_eq!(here["peer"]["type"], "confed-external", "{here}");

    // Each calls the other what the other calls it.
    let pairs = [
        (&*router, "10.1.0.2", "65100, local AS 65000"),
        (&member as &dyn Router, "10.1.0.1", "65000, local AS 65100"),
    ];
    for (router, address, numbers) in pairs {
        let peer = router.neighbor(address);
        assert_eq!(peer["nbrConfedExternalLink"], true, "{peer}");
        assert_eq!(peer["nbrCommonAdmin"], true, "{peer}");
        let text = router.vtysh(&format!("show bgp neighbors {address}"));
        let first = format!("{address}, remote AS {numbers}, confed-external link\n");
        assert!(text.contains(&first), "{text}");
        let under = "  Neighbor under common administration\n";
        assert!(text.contains(under), "{text}");
        let away = "  External BGP neighbor may be up to 1 hops away.\n";
        assert!(text.contains(away), "{text}");
    }
    let text = router.vtysh("show bgp neighbors 10.2.0.2");
    let first = "remote AS 65001, local AS 65500, external link\n";
    assert!(text.contains(first), "{text}");
}
