//! Conditional advertisement: what neighbors are told while the table has a
//! route, and while it has not. FRR in the router's place tells them the same.
//!
//! ```text
//!        BIRD 10.0.1.2 AS 65002, has the routes and the condition
//!          |
//!   router 10.0.N.1 AS 65001
//!          |
//!        FRR 10.0.2.2 AS 65003, is told while the condition is there
//!            10.0.3.2 AS 65003, is told while it is not
//! ```

mod harness;

use std::collections::BTreeMap;

use harness::{Bird, Frr, Holdfast, Router, SOON, Topology, need, wait_for};
use serde_json::Value;

/// 198.51.2.0/24 does not pass the second neighbor's own route map, and
/// 198.51.3.0/24 passes its list no more than it passes anything.
const ROUTER: &str = "\
hostname router
ip prefix-list HAVE seq 5 permit 192.0.2.0/24
ip prefix-list SOME seq 5 permit 198.51.0.0/16 ge 24 le 24
ip prefix-list NO2 seq 5 deny 198.51.2.0/24
ip prefix-list NO2 seq 10 permit any
ip prefix-list NO3 seq 5 deny 198.51.3.0/24
ip prefix-list NO3 seq 10 permit any
route-map HAVE permit 10
 match ip address prefix-list HAVE
route-map SOME permit 10
 match ip address prefix-list SOME
 set community 65001:1 additive
route-map OUT permit 10
 match ip address prefix-list NO2
 set community 65001:2 additive
router bgp 65001
 bgp router-id 10.0.1.1
 bgp conditional-advertisement timer 5
 no bgp ebgp-requires-policy
 neighbor 10.0.1.2 remote-as 65002
 neighbor 10.0.1.2 timers connect 1
 neighbor 10.0.2.2 remote-as 65003
 neighbor 10.0.2.2 timers connect 1
 neighbor 10.0.3.2 remote-as 65003
 neighbor 10.0.3.2 timers connect 1
 address-family ipv4 unicast
  neighbor 10.0.2.2 prefix-list NO3 out
  neighbor 10.0.2.2 advertise-map SOME exist-map HAVE
  neighbor 10.0.3.2 route-map OUT out
  neighbor 10.0.3.2 advertise-map SOME non-exist-map HAVE
 exit-address-family
";

const RECEIVER: &str = "\
hostname receiver
router bgp 65003
 bgp router-id 10.0.2.2
 no bgp ebgp-requires-policy
 neighbor 10.0.2.1 remote-as 65001
 neighbor 10.0.2.1 timers connect 1
 neighbor 10.0.3.1 remote-as 65001
 neighbor 10.0.3.1 timers connect 1
";

const BIRD: &str = "\
router id 10.0.1.2;
protocol static some { ipv4;
  route 198.51.1.0/24 blackhole;
  route 198.51.2.0/24 blackhole;
  route 198.51.3.0/24 blackhole;
  route 203.0.113.0/24 blackhole; }
protocol static have { disabled; ipv4; route 192.0.2.0/24 blackhole; }
protocol bgp up { local 10.0.1.2 as 65002; neighbor 10.0.1.1 as 65001;
  connect delay time 1; connect retry time 2; error wait time 1, 2;
  ipv4 { import none; export all; next hop self; }; }
";

struct Lab {
    router: Box<dyn Router>,
    receiver: Frr,
    bird: Bird,
    _topology: Topology,
}

/// Prefixes with their communities.
type Told = BTreeMap<String, String>;

impl Lab {
    fn start(
        start: impl Fn(&Topology, &harness::Namespace, &str) -> Box<dyn Router>,
        config: &str,
    ) -> Self {
        let topology = Topology::new();
        let here = topology.namespace("router");
        let (source, there) = (topology.namespace("source"), topology.namespace("receiver"));
        topology.link(
            source.end("eth0", "10.0.1.2/24"),
            here.end("eth1", "10.0.1.1/24"),
        );
        topology.link(
            there.end("eth0", "10.0.2.2/24 10.0.3.2/24"),
            here.end("eth2", "10.0.2.1/24 10.0.3.1/24"),
        );
        let router = start(&topology, &here, config);
        let receiver = Frr::start(&topology, &there, RECEIVER);
        let bird = Bird::start(&topology, &source, BIRD);
        Self {
            router,
            receiver,
            bird,
            _topology: topology,
        }
    }

    fn told(&self, n: u32) -> Told {
        let neighbor = format!("10.0.{n}.1");
        let command = format!("show bgp ipv4 unicast neighbors {neighbor} routes json");
        let document = self.receiver.json(&command);
        let mut told = Told::new();
        for prefix in document["routes"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(p, _)| p)
        {
            let paths = self.receiver.paths(prefix);
            let from = |path: &&Value| path["peer"]["peerId"] == neighbor.as_str();
            let path = paths.iter().find(from).cloned().unwrap_or(Value::Null);
            let communities = path["community"]["string"].as_str().unwrap_or_default();
            told.insert(prefix.clone(), communities.to_owned());
        }
        told
    }

    #[track_caller]
    fn wait_told(&self, n: u32, wanted: &[(&str, &str)]) {
        let wanted = wanted
            .iter()
            .map(|(p, c)| ((*p).to_owned(), (*c).to_owned()));
        let wanted: Told = wanted.collect();
        wait_for(
            2 * SOON,
            &format!("neighbor {n} is told {wanted:?}"),
            || {
                let told = self.told(n);
                if told == wanted {
                    Ok(())
                } else {
                    Err(format!("{told:?}"))
                }
            },
        );
    }

    fn status(&self, n: u32) -> Value {
        let neighbor = self.router.neighbor(&format!("10.0.{n}.2"));
        neighbor["addressFamilyInfo"]["ipv4Unicast"]["advertiseMap"].clone()
    }

    fn configure(&self, lines: &[&str]) {
        let commands: Vec<&str> = ["configure terminal"]
            .iter()
            .chain(lines)
            .copied()
            .collect();
        self.router.shell(&commands);
    }

    /// The condition is not there.
    #[track_caller]
    fn wait_missing(&self) {
        self.wait_told(2, &[("203.0.113.0/24", "")]);
        self.wait_told(
            3,
            &[
                ("198.51.1.0/24", "65001:1"),
                ("198.51.2.0/24", "65001:1"),
                ("198.51.3.0/24", "65001:1"),
                ("203.0.113.0/24", "65001:2"),
            ],
        );
    }

    /// The condition is there.
    #[track_caller]
    fn wait_there(&self) {
        self.wait_told(
            2,
            &[
                ("192.0.2.0/24", ""),
                ("198.51.1.0/24", "65001:1"),
                ("198.51.2.0/24", "65001:1"),
                ("203.0.113.0/24", ""),
            ],
        );
        self.wait_told(
            3,
            &[("192.0.2.0/24", "65001:2"), ("203.0.113.0/24", "65001:2")],
        );
    }
}

fn comes_and_goes(lab: &Lab) {
    lab.wait_missing();
    assert_eq!(lab.status(2)["advertiseStatus"], "Withdraw");
    assert_eq!(lab.status(3)["advertiseStatus"], "Advertise");
    lab.bird.birdc("enable have");
    lab.wait_there();
    assert_eq!(lab.status(2)["advertiseStatus"], "Advertise");
    assert_eq!(lab.status(3)["advertiseStatus"], "Withdraw");
    lab.bird.birdc("disable have");
    lab.wait_missing();
}

#[test]
fn what_is_told_hangs_on_a_route() {
    need!("/usr/sbin/bird", "/usr/lib/frr/bgpd");
    let lab = Lab::start(|t, n, c| Box::new(Holdfast::start(t, n, c)), ROUTER);
    comes_and_goes(&lab);
    let text = lab.router.vtysh("show bgp neighbors 10.0.3.2");
    let line = "  Condition NON_EXIST, Condition-map *HAVE, Advertise-map *SOME, status: Advertise";
    assert!(text.contains(line), "{text}");
    // A map that is another one is looked for at once.
    lab.configure(&["ip prefix-list HAVE seq 5 permit 203.0.113.0/24"]);
    lab.wait_told(3, &[("203.0.113.0/24", "65001:2")]);
    lab.configure(&["no route-map HAVE"]);
    // On no condition it is told what it is told anyway.
    lab.wait_told(
        3,
        &[
            ("198.51.1.0/24", "65001:2"),
            ("198.51.3.0/24", "65001:2"),
            ("203.0.113.0/24", "65001:2"),
        ],
    );
    assert_eq!(lab.router.connections("10.0.3.2"), 1);
}

#[test]
fn frr_in_its_place_tells_the_same() {
    need!("/usr/sbin/bird", "/usr/lib/frr/bgpd");
    let lab = Lab::start(|t, n, c| Box::new(Frr::start(t, n, c)), ROUTER);
    comes_and_goes(&lab);
}

/// Paths that are not the best count, as they do for FRR; suppressed ones do
/// not.
#[test]
fn any_path_that_could_be_used_counts() {
    need!("/usr/sbin/bird", "/usr/lib/frr/bgpd");
    let config = ROUTER.replace(
        "  neighbor 10.0.2.2 prefix",
        "  network 192.0.2.0/24\n  neighbor 10.0.2.2 prefix",
    );
    let config = config.replace(" no bgp ebgp", " no bgp network import-check\n no bgp ebgp");
    let config = config.replace(
        " match ip address prefix-list HAVE",
        " match ip address prefix-list HAVE\n match as-path FAR",
    );
    let config = config.replace(
        "hostname router\n",
        "hostname router\nbgp as-path access-list FAR seq 5 permit ^65002$\n",
    );
    let lab = Lab::start(|t, n, c| Box::new(Holdfast::start(t, n, c)), &config);
    lab.wait_told(2, &[("192.0.2.0/24", ""), ("203.0.113.0/24", "")]);
    lab.bird.birdc("enable have");
    lab.wait_there();
    let paths = lab.router.wait_paths("192.0.2.0/24", 2);
    assert_eq!(paths[0]["local"], true, "the best one is ours");
    lab.configure(&[
        "router bgp 65001",
        "address-family ipv4 unicast",
        "bgp dampening 1 100 900 1",
    ]);
    lab.bird.birdc("disable have");
    lab.wait_told(2, &[("192.0.2.0/24", ""), ("203.0.113.0/24", "")]);
    lab.bird.birdc("enable have");
    lab.router.wait_paths("192.0.2.0/24", 2);
    wait_for(SOON, "the path is suppressed", || {
        let paths = lab.router.paths("192.0.2.0/24");
        match paths.get(1).map(|path| path["dampeningSuppressed"] == true) {
            Some(true) => Ok(()),
            _ => Err(format!("{paths:?}")),
        }
    });
    lab.wait_told(2, &[("192.0.2.0/24", ""), ("203.0.113.0/24", "")]);
    lab.router.vtysh("clear ip bgp dampening");
    lab.wait_there();
}
