//! AIGP (RFC 7311) between the router and BIRD and GoBGP: we decide by what they
//! say, and they hear what we add to it.

mod harness;

use harness::router::RouterKind;
use harness::{Bird, Gobgp, Namespace, Router, SOON, Topology, need, router, wait_for};
use serde_json::Value;

const PREFIX: &str = "203.0.113.0/24";
/// What the one behind the static route says that the prefix costs from there.
const FAR: u64 = 50;
/// And the one on our link.
const NEAR: u64 = 100;

const ROUTER: &str = "router bgp 65000
 bgp router-id 10.0.0.1
 no bgp ebgp-requires-policy
 bgp bestpath aigp
 neighbor 10.1.0.2 remote-as 65000
 neighbor 10.1.0.2 timers connect 1
 neighbor 10.3.0.2 remote-as 65000
 neighbor 10.3.0.2 timers connect 1
 neighbor 10.2.0.2 remote-as 65002
 neighbor 10.2.0.2 timers connect 1
 neighbor 10.2.0.2 aigp
exit
";

/// Makes AIGP of its IGP metric.
const NEAR_BIRD: &str = "router id 10.1.0.2;
protocol static own {
  ipv4;
  route 203.0.113.0/24 blackhole { igp_metric = 100; };
}
protocol bgp upstream {
  local 10.1.0.2 as 65000;
  neighbor 10.1.0.1 as 65000;
  connect delay time 1;
  connect retry time 2;
  error wait time 1, 2;
  ipv4 {
    aigp originate;
    next hop self;
    import none;
    export where source = RTS_STATIC;
  };
}
";

const FAR_GOBGP: &str = "[global.config]
as = 65000
router-id = \"10.3.0.2\"
[[neighbors]]
[neighbors.config]
neighbor-address = \"10.3.0.1\"
peer-as = 65000
[neighbors.timers.config]
connect-retry = 5
";

const OBSERVER: &str = "router id 10.2.0.2;
protocol bgp upstream {
  local 10.2.0.2 as 65002;
  neighbor 10.2.0.1 as 65000;
  connect delay time 1;
  connect retry time 2;
  error wait time 1, 2;
  ipv4 { aigp yes; import all; export none; };
}
";

/// Dropped from the top.
struct Lab {
    observer: Bird,
    near: Bird,
    far: Gobgp,
    router: Box<dyn Router>,
    kernel: Namespace,
    _topology: Topology,
}

impl Lab {
    fn up() -> Self {
        let topology = Topology::new();
        let (source, middle, observer) = topology.three_in_a_row();
        let far = topology.namespace("far");
        topology.link(
            far.end("eth0", "10.3.0.2/24"),
            middle.end("eth3", "10.3.0.1/24"),
        );
        middle.ip("route add 10.9.0.0/24 via 10.3.0.2 metric 30");
        let lab = Self {
            router: router::start(&topology, &middle, ROUTER),
            near: Bird::start(&topology, &source, NEAR_BIRD),
            far: Gobgp::start(&topology, &far, FAR_GOBGP),
            observer: Bird::start(&topology, &observer, OBSERVER),
            kernel: middle,
            _topology: topology,
        };
        let peers = ["10.1.0.2", "10.3.0.2", "10.2.0.2"];
        lab.router.wait_established(&peers);
        lab.far.gobgp(&format!(
            "global rib add {PREFIX} nexthop 10.9.0.3 aspath 65010,65011 aigp metric {FAR}"
        ));
        lab
    }

    /// The way to the next hop of the far one gets another metric.
    fn reroute(&self, from: u32, to: u32) {
        let route = |word: &str, metric: u32| {
            let text = format!("route {word} 10.9.0.0/24 via 10.3.0.2 metric {metric}");
            self.kernel.ip(&text);
        };
        route("add", to);
        route("del", from);
    }

    fn path_from(&self, peer: &str) -> Value {
        let paths = self.router.wait_paths(PREFIX, 2).into_iter();
        let mut of_peer = paths.filter(|path| path["peer"]["peerId"] == peer);
        of_peer.next().expect("a path of the peer")
    }

    /// Waits until the observer holds the prefix with this metric, or none.
    #[track_caller]
    fn wait_heard(&self, metric: Option<u64>) {
        let wanted = metric.map(|metric| metric.to_string());
        wait_for(SOON, &format!("the observer hears {wanted:?}"), || {
            let show = format!("show route for {PREFIX} all");
            let text = self.observer.birdc(&show);
            let mut lines = text.lines().map(str::trim);
            let heard = lines.find_map(|line| line.strip_prefix("BGP.aigp: "));
            let known = text.contains("BGP.as_path");
            if known && heard == wanted.as_deref() {
                Ok(())
            } else {
                Err(text)
            }
        });
    }
}

#[test]
fn metrics_of_others_decide_and_are_passed_on_with_ours() {
    need!("bird", "birdc", "gobgpd", "gobgp");
    if router::kind() == RouterKind::Frr {
        eprintln!("skipped: FRR knows AIGP from 8.5 on");
        return;
    }
    let lab = Lab::up();

    // 50 + 30 against 100 + 0, and against two ASes in the path.
    lab.wait_heard(Some(FAR + 30));
    let far = lab.path_from("10.3.0.2");
    assert_eq!(far["aigpMetric"], FAR, "{far}");
    assert_eq!(far["bestpath"]["selectionReason"], "AIGP", "{far}");
    assert_eq!(far["nexthops"][0]["metric"], 30, "{far}");
    let near = lab.path_from("10.1.0.2");
    assert_eq!(near["aigpMetric"], NEAR, "{near}");
    let show = format!("show bgp ipv4 unicast {PREFIX}");
    let text = lab.router.vtysh(&show);
    assert!(
        text.contains("localpref 100, aigp-metric 50, valid"),
        "{text}"
    );

    // The metric alone changes, and the one who was told hears of it.
    lab.reroute(30, 45);
    lab.wait_heard(Some(FAR + 45));
    let advertised = "show bgp ipv4 unicast neighbors 10.2.0.2 advertised-routes json";
    let told = lab.router.json(advertised);
    assert_eq!(
        told["advertisedRoutes"][PREFIX]["path"], "65000 65010 65011",
        "{told}"
    );

    // Now the other one is nearer. Its next hop is on our link, which counts 1
    // for whoever has us as next hop.
    lab.reroute(45, 60);
    lab.wait_heard(Some(NEAR + 1));
    let near = lab.path_from("10.1.0.2");
    assert_eq!(near["bestpath"]["selectionReason"], "AIGP", "{near}");

    // An external peer is told only where that is configured.
    let configure = |line: &str| {
        let lines = ["configure terminal", "router bgp 65000", line];
        let answer = lab.router.shell(&lines);
        assert_eq!(answer.code, Some(0), "{answer:?}");
    };
    configure("no neighbor 10.2.0.2 aigp");
    lab.wait_heard(None);
    // Without it as a step, the shorter AS path wins, as it did.
    configure("no bgp bestpath aigp");
    configure("neighbor 10.2.0.2 aigp");
    lab.wait_heard(Some(NEAR + 1));
    let near = lab.path_from("10.1.0.2");
    assert_eq!(near["bestpath"]["selectionReason"], "AS Path", "{near}");
    drop(lab.near);
}
