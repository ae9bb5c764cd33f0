//! Next hops, as FRR 8.4.4 shows them; its JSON is that of later versions.

use holdfast_api::v1;
use serde_json::{Value, json};

use crate::answers::{answer, compare};
use crate::recorded;
use crate::server::{Daemon, Recorded};

const UPDATED_MS: u64 = 1_795_292_502_000;

/// `ways` as `GATEWAY@LINK`, or `@LINK`; none for a next hop that is not
/// reached.
fn next_hop(address: &str, protocol: &str, ways: &[&str]) -> v1::NextHop {
    let way = |way: &&str| {
        let (gateway, link) = way.split_once('@').expect("a link");
        v1::NextHopWay {
            gateway: gateway.into(),
            ifindex: 7,
            interface: link.into(),
            weight: 1,
        }
    };
    v1::NextHop {
        address: address.into(),
        valid: !ways.is_empty(),
        neighbor: true,
        protocol: protocol.into(),
        ways: ways.iter().map(way).collect(),
        last_update_ms: UPDATED_MS,
        ..Default::default()
    }
}

fn connected(mut next_hop: v1::NextHop, paths: u64) -> v1::NextHop {
    next_hop.must_be_connected = true;
    next_hop.paths = paths;
    next_hop
}

/// The router that FRR's answers are of.
fn router() -> Recorded {
    let mut far = next_hop("10.77.1.1", "kernel", &["10.9.2.2@wdp2"]);
    far.metric = 5;
    let mut far_v6 = next_hop("2001:db8:77::1", "kernel", &["2001:db8:2::2@wdp2"]);
    far_v6.metric = 1024;
    let mut recorded = recorded::r1();
    recorded.next_hops = vec![
        connected(next_hop("10.9.1.2", "connected", &["@wdp1"]), 0),
        connected(next_hop("10.9.2.2", "connected", &["@wdp2"]), 1),
        connected(next_hop("10.9.3.2", "connected", &["@wdp3"]), 1),
        next_hop("10.9.4.2", "connected", &["@wddn"]),
        far,
        next_hop("10.78.1.1", "kernel", &["10.9.1.2@wdp1", "10.9.2.2@wdp2"]),
        next_hop("10.98.1.1", "", &[]),
        connected(next_hop("10.99.1.1", "", &[]), 0),
        connected(next_hop("2001:db8:1::2", "connected", &["@wdp1"]), 0),
        far_v6,
        connected(next_hop("2001:db8:99::1", "", &[]), 0),
    ];
    let routes = &mut recorded.tables[0].3;
    let mut route = routes.last().expect("a route").clone();
    route.prefix = "203.0.113.0/24".into();
    let best = route.paths.first_mut().expect("a path");
    (best.best, best.multipath) = (true, true);
    best.attributes.as_mut().expect("attributes").next_hop = "10.9.2.2".into();
    let mut second = best.clone();
    second.best = false;
    second.attributes.as_mut().expect("attributes").next_hop = "10.9.3.2".into();
    route.paths.push(second);
    routes.push(route);
    recorded
}

#[tokio::test]
async fn next_hops_are_shown_as_frr_shows_them() {
    compare(router(), "nexthops").await;
}

async fn json(daemon: &Daemon, command: &str) -> Value {
    let (_, text) = answer(daemon, 0, command).await;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{command}: {error}: {text}"))
}

#[tokio::test]
async fn programs_get_what_later_versions_of_frr_say() {
    let daemon = Daemon::start(router());
    let all = json(&daemon, "show bgp nexthop json").await;
    assert_eq!(
        all["ipv4"]["10.77.1.1"],
        json!({
            "valid": true, "complete": true, "igpMetric": 5, "pathCount": 0,
            "peer": "10.77.1.1",
            "nexthops": [{ "ip": "10.9.2.2", "interfaceName": "wdp2" }],
            "lastUpdate": {
                "epoch": UPDATED_MS / 1000, "string": "Sat Nov 21 20:21:42 2026\n",
            },
        })
    );
    assert_eq!(all["ipv6"]["2001:db8:99::1"]["isConnected"], false);
    assert_eq!(all["ipv6"]["2001:db8:99::1"]["valid"], false);
    let four = json(&daemon, "show bgp ipv4 unicast nexthop json").await;
    assert_eq!(four["ipv4"], all["ipv4"]);
    assert_eq!(four["ipv6"], Value::Null);
    let every = json(&daemon, "show ip bgp vrf all nexthop json").await;
    assert_eq!(every["default"], all);
    let one = json(&daemon, "show bgp nexthop 10.9.3.2 json").await;
    let paths = &one["ipv4"]["10.9.3.2"]["paths"];
    assert_eq!(paths[0]["prefix"], "203.0.113.0/24");
    assert_eq!(paths[0]["flags"]["multipath"], true);
    assert_eq!(paths[0]["flags"]["bestpath"], false);
    assert_eq!(paths.as_array().map(Vec::len), Some(1));
    let unknown = json(&daemon, "show bgp view NONE nexthop json").await;
    assert_eq!(unknown, json!({}));
    let tracked = json(&daemon, "show ip nht json").await;
    let tracked = &tracked["default"]["ipv4"];
    assert_eq!(
        tracked["10.9.1.2"],
        json!({
            "nhtConnected": true,
            "clientList": [{ "protocol": "bgp", "socket": 0, "protocolFiltered": "none" }],
            "nexthops": [{
                "flags": 3, "fib": true, "directlyConnected": true, "interfaceIndex": 7,
                "interfaceName": "wdp1", "active": true,
            }],
            "resolvedProtocol": "connected",
        })
    );
    assert_eq!(tracked["10.98.1.1"]["unresolved"], true);
    assert_eq!(tracked["2001:db8:1::2"], Value::Null);
    let six = json(&daemon, "show ipv6 nht 2001:db8:1::2 json").await;
    let six = six["default"]["ipv6"].as_object().expect("an object");
    assert_eq!(six.keys().collect::<Vec<_>>(), ["2001:db8:1::2"]);
}
