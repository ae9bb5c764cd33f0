//! IPv6 sessions between link-local addresses, the interface given as the
//! update source.

mod harness;

use harness::{Holdfast, Namespace, Router, SOON, Topology, need, wait_until};

/// The link-local address of an interface, once it may be used.
fn link_local(namespace: &Namespace, interface: &str) -> String {
    let address = || {
        let text = namespace.ip(&format!(
            "-6 -o addr show dev {interface} scope link -tentative"
        ));
        let mut words = text.split_whitespace().skip_while(|word| *word != "inet6");
        let address = words.nth(1)?.split('/').next()?;
        Some(address.to_owned())
    };
    wait_until(SOON, "a link-local address", || address().is_some());
    address().expect("it was there")
}

fn config(asn: u32, interface: &str, peer: (&str, u32), network: &str) -> String {
    let (address, peer_as) = peer;
    format!(
        "router bgp {asn}
 bgp router-id 10.0.0.{host}
 no bgp ebgp-requires-policy
 no bgp network import-check
 no bgp default ipv4-unicast
 neighbor {address} remote-as {peer_as}
 neighbor {address} update-source {interface}
 neighbor {address} timers connect 1
 address-family ipv6 unicast
  neighbor {address} activate
  network {network}
 exit-address-family
exit
",
        host = asn - 65000
    )
}

#[test]
fn routes_of_a_link_local_peer_leave_by_its_interface() {
    need!();
    let topology = Topology::new();
    let (left, right) = (topology.namespace("left"), topology.namespace("right"));
    // The first link is a decoy: the same prefix is on every link.
    topology.link(left.end("eth0", ""), right.end("eth0", ""));
    topology.link(left.end("eth1", ""), right.end("eth1", ""));
    let (near, far) = (link_local(&left, "eth1"), link_local(&right, "eth1"));
    let one = config(65001, "eth1", (&far, 65002), "2001:db8:1::/48");
    let two = config(65002, "eth1", (&near, 65001), "2001:db8:2::/48");
    let one = Holdfast::start(&topology, &left, &one);
    let two = Holdfast::start(&topology, &right, &two);
    one.wait_established(&[&far]);
    two.wait_established(&[&near]);
    wait_until(SOON, "the route in the kernel, by its interface", || {
        let routes = left.ip("-6 route show proto bgp");
        let way = format!("via {far} dev eth1");
        let mut lines = routes.lines();
        lines.any(|line| line.starts_with("2001:db8:2::/48 ") && line.contains(&way))
    });
}
