//! IPv6 sessions between link-local addresses, the interface given as the
//! update source.

mod harness;

use harness::wire::{Open, UPDATE};
use harness::{Event, Holdfast, Namespace, Router, SOON, Scripted, Topology, need, wait_until};

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

/// The length of the next hop in an UPDATE of IPv6 routes, the attribute being
/// the first one of MP_REACH_NLRI's kind.
fn next_hop_length(update: &[u8]) -> Option<u8> {
    // Code 14, a length of one octet, then AFI 2 and SAFI 1.
    let starts = |window: &[u8]| window[0] == 14 && window[2..5] == [0, 2, 1];
    let reach = update.windows(6).find(|window| starts(window))?;
    Some(reach[5])
}

#[test]
fn a_link_local_address_that_comes_after_the_session_is_announced() {
    need!();
    let topology = Topology::new();
    let (near, far) = (topology.namespace("near"), topology.namespace("far"));
    topology.link(
        near.end("eth0", "10.0.0.1/24 2001:db8::1/64"),
        far.end("eth0", "10.0.0.2/24"),
    );
    near.ip("addr flush dev eth0 scope link");
    let config = "router bgp 65001
 bgp router-id 10.0.0.1
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor 10.0.0.2 remote-as 65002
 address-family ipv6 unicast
  neighbor 10.0.0.2 activate
  network 2001:db8:1::/48
 exit-address-family
exit
";
    let _router = Holdfast::start(&topology, &near, config);
    let open = Open::good(65002, "10.0.0.2");
    let session = Scripted::establish(&far, "10.0.0.2", "10.0.0.1", &open);
    let told = |length: u8| {
        session.wait_match(SOON, |event| match event {
            Event::Message(UPDATE, body) if next_hop_length(body) == Some(length) => Some(()),
            _ => None,
        })
    };
    told(16).expect("the global address alone");
    near.ip("addr add fe80::1/64 dev eth0 nodad");
    told(32).expect("both addresses");
}
