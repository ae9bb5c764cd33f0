//! Routes that flap: suppressed at the same flap as FRR suppresses them, used
//! again when it is time, by the settings of the family or of the neighbor.
//!
//! ```text
//!             BIRD 10.0.1.2 AS 65002, has routes that come and go
//!               |   10.0.2.2 AS 65003, the same
//!        router 10.0.N.1 AS 65001
//!               |
//!             BIRD 10.0.3.2 AS 65004, hears what is used
//! ```

mod harness;

use std::time::{Duration, Instant};

use harness::{Bird, Frr, Holdfast, Router, SOON, Topology, need, wait_for};
use serde_json::Value;

/// A half-life of a minute. Of two withdrawals in five seconds the second one
/// suppresses, and 2000 is below 1800 after ten seconds.
const SETTINGS: &str = "1 1800 2000 1";

fn router(dampening: &str) -> String {
    let mut text = "hostname router\nrouter bgp 65001\n bgp router-id 10.0.1.1\n \
                    no bgp ebgp-requires-policy\n"
        .to_owned();
    for n in 1..=3 {
        text += &format!(" neighbor 10.0.{n}.2 remote-as {}\n", 65001 + n);
        text += &format!(" neighbor 10.0.{n}.2 timers connect 1\n");
    }
    text + &format!(" address-family ipv4 unicast\n{dampening} exit-address-family\n")
}

/// Two speakers that have the same route by names of their own, and one that
/// listens.
fn bird(med: u32) -> String {
    let mut text = "router id 10.0.1.2;\n".to_owned();
    for n in 1..=2 {
        text += &format!(
            "ipv4 table t{n};\n\
             protocol static s{n} {{ ipv4 {{ table t{n}; }};\n\
               route 198.51.{n}.0/24 blackhole {{ bgp_med = {med}; }}; }}\n\
             protocol bgp p{n} {{ local 10.0.{n}.2 as {asn}; neighbor 10.0.{n}.1 as 65001;\n\
               connect delay time 1; connect retry time 3; error wait time 1, 3;\n\
               ipv4 {{ table t{n}; import none; export all; next hop self; }}; }}\n",
            asn = 65001 + n,
        );
    }
    text + "ipv4 table t3;\n\
            protocol bgp p3 { local 10.0.3.2 as 65004; neighbor 10.0.3.1 as 65001;\n\
              connect delay time 1; connect retry time 3; error wait time 1, 3;\n\
              ipv4 { table t3; import all; export none; }; }\n"
}

struct Lab {
    router: Box<dyn Router>,
    bird: Bird,
    _topology: Topology,
}

type Starter = fn(&Topology, &harness::Namespace, &str) -> Box<dyn Router>;

fn holdfast(topology: &Topology, namespace: &harness::Namespace, config: &str) -> Box<dyn Router> {
    Box::new(Holdfast::start(topology, namespace, config))
}

fn frr(topology: &Topology, namespace: &harness::Namespace, config: &str) -> Box<dyn Router> {
    Box::new(Frr::start(topology, namespace, config))
}

/// What is known of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    flaps: u64,
    suppressed: bool,
    history: bool,
}

impl Lab {
    fn start(start: Starter, dampening: &str) -> Self {
        let topology = Topology::new();
        let (here, there) = (topology.namespace("router"), topology.namespace("peers"));
        let addresses = |host: u8| -> String {
            let all = (1..=3).map(|n| format!("10.0.{n}.{host}/24 "));
            all.collect()
        };
        topology.link(
            there.end("eth0", &addresses(2)),
            here.end("eth1", &addresses(1)),
        );
        let router = start(&topology, &here, &router(dampening));
        let bird = Bird::start(&topology, &there, &bird(1));
        let lab = Self {
            router,
            bird,
            _topology: topology,
        };
        lab.wait_heard("198.51.1.0/24", true);
        lab.wait_heard("198.51.2.0/24", true);
        lab
    }

    fn prefix(&self, prefix: &str) -> Value {
        self.router
            .json(&format!("show bgp ipv4 unicast {prefix} json"))
    }

    fn known(&self, prefix: &str) -> Option<Known> {
        let document = self.prefix(prefix);
        let path = &document["paths"][0];
        Some(Known {
            flaps: path["dampeningFlapCount"].as_u64()?,
            suppressed: path["dampeningSuppressed"] == true,
            history: path["dampeningHistoryEntry"] == true,
        })
    }

    #[track_caller]
    fn wait_known(&self, prefix: &str, wanted: Option<(u64, bool, bool)>) {
        let wanted = wanted.map(|(flaps, suppressed, history)| Known {
            flaps,
            suppressed,
            history,
        });
        wait_for(SOON, &format!("{prefix} {wanted:?}"), || {
            let known = self.known(prefix);
            if known == wanted {
                Ok(())
            } else {
                Err(format!("{known:?}"))
            }
        });
    }

    fn hears(&self, prefix: &str) -> bool {
        let text = self.bird.birdc("show route table t3");
        text.lines().any(|line| line.starts_with(prefix))
    }

    #[track_caller]
    fn wait_heard(&self, prefix: &str, wanted: bool) {
        wait_for(2 * SOON, &format!("{prefix} heard: {wanted}"), || {
            if self.hears(prefix) == wanted {
                Ok(())
            } else {
                Err(String::new())
            }
        });
    }

    /// Withdraws a neighbor's route, and announces it once more.
    fn flap(&self, n: u32, flaps: u64, suppressed: bool) {
        let prefix = format!("198.51.{n}.0/24");
        self.bird.birdc(&format!("disable s{n}"));
        self.wait_known(&prefix, Some((flaps, false, true)));
        self.bird.birdc(&format!("enable s{n}"));
        self.wait_known(&prefix, Some((flaps, suppressed, false)));
    }

    fn configure(&self, line: &str) {
        let commands = [
            "configure terminal",
            "router bgp 65001",
            "address-family ipv4 unicast",
            line,
        ];
        self.router.shell(&commands);
    }
}

fn on(line: &str) -> String {
    format!("  {line} {SETTINGS}\n")
}

/// Both suppress at the second flap, and use the route again when its penalty
/// is below the limit. FRR looks every fifteen seconds.
#[test]
fn a_route_is_suppressed_at_the_flap_at_which_frr_suppresses_it() {
    need!("/usr/sbin/bird", "/usr/lib/frr/bgpd");
    let labs = [holdfast as Starter, frr as Starter].map(|s| Lab::start(s, &on("bgp dampening")));
    for lab in &labs {
        let started = Instant::now();
        lab.flap(1, 1, false);
        lab.wait_heard("198.51.1.0/24", true);
        lab.flap(1, 2, true);
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "too slow to tell"
        );
        lab.wait_heard("198.51.1.0/24", false);
        assert!(lab.hears("198.51.2.0/24"), "the other one's route stays");
    }
    let tables = ["dampened-paths", "flap-statistics"];
    for (table, lab) in tables
        .iter()
        .flat_map(|table| labs.iter().map(move |lab| (table, lab)))
    {
        let command = format!("show bgp ipv4 unicast dampening {table} json");
        let routes = lab.router.json(&command)["routes"].clone();
        let prefixes: Vec<&String> = routes.as_object().unwrap().keys().collect();
        assert_eq!(prefixes, ["198.51.1.0/24"], "{table}");
        assert_eq!(routes["198.51.1.0/24"][0]["damped"], true, "{table}");
    }
    for lab in &labs {
        let paths = lab.prefix("198.51.1.0/24")["paths"].clone();
        assert_eq!(paths[0]["dampeningSuppressed"], true);
        lab.wait_heard("198.51.1.0/24", true);
        assert_eq!(
            lab.known("198.51.1.0/24").map(|known| known.suppressed),
            Some(false)
        );
    }
}

/// Other attributes are half a flap. Here the route goes where FRR goes on to
/// announce what it was: see `RFC_NOTES.md`.
#[test]
fn other_attributes_are_half_a_flap() {
    need!("/usr/sbin/bird");
    let lab = Lab::start(holdfast, "  bgp dampening 1 900 1500 4\n");
    for flaps in 1..=3u32 {
        lab.bird.configure(&bird(1 + flaps));
        lab.wait_known("198.51.1.0/24", Some((flaps.into(), flaps == 3, false)));
    }
    lab.wait_heard("198.51.1.0/24", false);
    lab.router.vtysh("clear ip bgp dampening 198.51.1.0/24");
    lab.wait_heard("198.51.1.0/24", true);
    lab.wait_known("198.51.1.0/24", None);
    lab.wait_known("198.51.2.0/24", Some((3, true, false)));
    lab.configure("no bgp dampening");
    lab.wait_heard("198.51.2.0/24", true);
    lab.wait_known("198.51.2.0/24", None);
}

#[test]
fn a_neighbor_has_settings_of_its_own() {
    need!("/usr/sbin/bird");
    let own = "neighbor 10.0.1.2 dampening 1 900 900 4";
    let lab = Lab::start(holdfast, &format!("  {own}\n"));
    lab.flap(1, 1, true);
    lab.wait_heard("198.51.1.0/24", false);
    // Nobody looks at the other neighbor's.
    lab.bird.birdc("disable s2");
    lab.wait_heard("198.51.2.0/24", false);
    assert_eq!(lab.known("198.51.2.0/24"), None);
    lab.bird.birdc("enable s2");
    lab.wait_heard("198.51.2.0/24", true);
    let text = lab
        .router
        .vtysh("show bgp ipv4 neighbors 10.0.1.2 dampening parameters");
    assert!(text.contains("Suppress penalty: 900"), "{text}");
    assert!(lab.router.vtysh("show running-config").contains(own));
    lab.configure("no neighbor 10.0.1.2 dampening");
    lab.wait_heard("198.51.1.0/24", true);
    assert_eq!(lab.known("198.51.1.0/24"), None);
}
