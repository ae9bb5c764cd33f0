//! GoBGP on the other end: both families, external and internal, attributes on
//! their way through, and a peer that comes back.

mod harness;

use harness::{Gobgp, Router, SOON, Topology, need, router, wait_for, wait_until};
use serde_json::Value;

/// A source, the router, and an observer in a row; dropped from the top.
struct Chain {
    source: Gobgp,
    observer: Gobgp,
    router: Box<dyn Router>,
    _topology: Topology,
}

const NEIGHBORS: [&str; 2] = ["10.1.0.2", "10.2.0.2"];
const OBSERVER_AS: u32 = 4_200_000_003;
const V4: &str = "203.0.113.0/24";
const V6: &str = "2001:db8:a::/48";

/// Both families on each IPv4 session, which GoBGP's users do.
fn router_config(source_as: u32) -> String {
    let mut text =
        String::from("router bgp 65000\n bgp router-id 10.0.0.1\n no bgp ebgp-requires-policy\n");
    for (address, asn) in NEIGHBORS.iter().zip([source_as, OBSERVER_AS]) {
        text +=
            &format!(" neighbor {address} remote-as {asn}\n neighbor {address} timers connect 1\n");
    }
    text += " address-family ipv6 unicast\n";
    for address in NEIGHBORS {
        text += &format!("  neighbor {address} activate\n");
    }
    text + " exit-address-family\nexit\n"
}

fn speaker(asn: u32, number: u8) -> String {
    format!(
        "[global.config]
as = {asn}
router-id = \"10.{number}.0.2\"
[[neighbors]]
[neighbors.config]
neighbor-address = \"10.{number}.0.1\"
peer-as = 65000
[neighbors.timers.config]
connect-retry = 5
idle-hold-time-after-reset = 5
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = \"ipv4-unicast\"
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = \"ipv6-unicast\"
"
    )
}

impl Chain {
    fn up(source_as: u32) -> Self {
        let topology = Topology::new();
        let (source, middle, observer) = topology.three_in_a_row();
        let source = Gobgp::start(&topology, &source, &speaker(source_as, 1));
        let observer = Gobgp::start(&topology, &observer, &speaker(OBSERVER_AS, 2));
        let router = router::start(&topology, &middle, &router_config(source_as));
        router.wait_established(&NEIGHBORS);
        Self {
            source,
            observer,
            router,
            _topology: topology,
        }
    }

    fn announce(&self) {
        self.source.gobgp(&format!(
            "global rib add {V4} origin igp aspath 4200000001,65010 community 65001:100,65001:200 \
             large-community 4200000001:1:2 med 55 local-pref 300"
        ));
        self.source.gobgp(&format!(
            "global rib add -a ipv6 {V6} nexthop 2001:db8:1::2 origin igp aspath 4200000001,65010 \
             community 65001:100,65001:200 large-community 4200000001:1:2 med 55 local-pref 300"
        ));
    }
}

/// The attributes of the one path that GoBGP has of a prefix, once it is there.
#[track_caller]
fn seen_by(gobgp: &Gobgp, prefix: &str) -> Vec<Value> {
    wait_for(SOON, &format!("gobgp has {prefix}"), || {
        match gobgp.paths(prefix).as_slice() {
            [path] => Ok(path["attrs"].as_array().cloned().unwrap_or_default()),
            other => Err(format!("{other:?}")),
        }
    })
}

/// An attribute, by its code.
fn attribute(attributes: &[Value], code: u64) -> &Value {
    attributes
        .iter()
        .find(|attribute| attribute["type"] == code)
        .unwrap_or(&Value::Null)
}

#[track_caller]
fn wait_unseen(gobgp: &Gobgp, prefix: &str) {
    wait_until(SOON, &format!("gobgp has lost {prefix}"), || {
        gobgp.paths(prefix).is_empty()
    });
}

#[test]
fn external_routes_pass_with_their_attributes() {
    need!("gobgpd", "gobgp");
    let chain = Chain::up(4_200_000_002);
    chain.announce();
    for prefix in [V4, V6] {
        let here = chain.router.wait_paths(prefix, 1).remove(0);
        assert_eq!(
            here["aspath"]["string"], "4200000002 4200000001 65010",
            "{here}"
        );
        assert_eq!(here["community"]["string"], "65001:100 65001:200", "{here}");
        assert_eq!(here["largeCommunity"]["string"], "4200000001:1:2", "{here}");
        assert_eq!(here["metric"], 55, "{here}");

        let beyond = seen_by(&chain.observer, prefix);
        let path = attribute(&beyond, 2);
        assert_eq!(
            path["as_paths"][0]["asns"],
            serde_json::json!([65000, 4_200_000_002_u32, 4_200_000_001_u32, 65010])
        );
        assert_eq!(
            attribute(&beyond, 8)["communities"],
            serde_json::json!([4_259_905_636_u32, 4_259_905_736_u32])
        );
        assert_eq!(
            attribute(&beyond, 32)["value"][0]["ASN"],
            4_200_000_001_u32,
            "{beyond:?}"
        );
        assert!(
            attribute(&beyond, 4).is_null() || attribute(&beyond, 4)["metric"] != 55,
            "{beyond:?}"
        );
    }
    let kernel = chain.router.namespace();
    for prefix in [V4, V6] {
        wait_until(SOON, &format!("{prefix} in the kernel"), || {
            kernel
                .routes_to(prefix)
                .iter()
                .any(|route| route.protocol == "bgp" && route.metric == Some(20))
        });
    }
}

#[test]
fn routes_of_the_observer_reach_an_internal_source() {
    need!("gobgpd", "gobgp");
    let chain = Chain::up(65000);
    chain.announce();
    for prefix in [V4, V6] {
        let here = chain.router.wait_paths(prefix, 1).remove(0);
        assert_eq!(here["aspath"]["string"], "4200000001 65010", "{here}");
        assert_eq!(here["locPrf"], 300, "{here}");
    }
    chain
        .observer
        .gobgp("global rib add 198.51.100.0/24 origin igp");
    let inside = seen_by(&chain.source, "198.51.100.0/24");
    assert_eq!(attribute(&inside, 5)["value"], 100, "{inside:?}");
    assert_eq!(attribute(&inside, 3)["nexthop"], "10.2.0.2", "{inside:?}");
}

#[test]
fn a_withdrawal_passes() {
    need!("gobgpd", "gobgp");
    let chain = Chain::up(4_200_000_002);
    chain.announce();
    seen_by(&chain.observer, V4);
    seen_by(&chain.observer, V6);
    chain.source.gobgp(&format!("global rib del {V4}"));
    wait_unseen(&chain.observer, V4);
    let kernel = chain.router.namespace();
    wait_until(SOON, "the route is gone from the kernel", || {
        kernel.routes_to(V4).is_empty()
    });
    seen_by(&chain.observer, V6);
}

#[test]
fn a_peer_that_was_killed_comes_back_with_its_routes() {
    need!("gobgpd", "gobgp");
    let mut chain = Chain::up(4_200_000_002);
    chain.announce();
    seen_by(&chain.observer, V4);
    chain.source.kill();
    wait_unseen(&chain.observer, V4);
    wait_unseen(&chain.observer, V6);
    chain.source.restart();
    chain.router.wait_established(&["10.1.0.2"]);
    chain.announce();
    seen_by(&chain.observer, V4);
    seen_by(&chain.observer, V6);
    assert_eq!(
        chain.router.connections("10.2.0.2"),
        1,
        "the other session was not touched"
    );
}
