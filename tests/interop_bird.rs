//! BIRD on the other end: both families, external and internal, MD5, attributes
//! on their way through, and a peer that comes back.

mod harness;

use harness::{Bird, Router, SOON, Topology, need, router, wait_for, wait_until};

/// A source, the router, and an observer in a row; dropped from the top.
struct Chain {
    source: Bird,
    observer: Bird,
    router: Box<dyn Router>,
    _topology: Topology,
}

const NEIGHBORS: [&str; 4] = ["10.1.0.2", "10.2.0.2", "2001:db8:1::2", "2001:db8:2::2"];
const SOURCE_NETWORKS: [&str; 2] = ["203.0.113.0/24", "2001:db8:a::/48"];
const OBSERVER_NETWORKS: [&str; 2] = ["198.51.100.0/24", "2001:db8:b::/48"];
const OBSERVER_AS: u32 = 4_200_000_003;

fn router_config(source_as: u32, password: Option<&str>) -> String {
    let mut text =
        String::from("router bgp 65000\n bgp router-id 10.0.0.1\n no bgp ebgp-requires-policy\n");
    for address in NEIGHBORS {
        let asn = if address.contains(":1::") || address.contains("10.1.") {
            source_as
        } else {
            OBSERVER_AS
        };
        text +=
            &format!(" neighbor {address} remote-as {asn}\n neighbor {address} timers connect 1\n");
        if let Some(word) = password {
            text += &format!(" neighbor {address} password {word}\n");
        }
    }
    text + " address-family ipv4 unicast
  no neighbor 2001:db8:1::2 activate
  no neighbor 2001:db8:2::2 activate
 exit-address-family
 address-family ipv6 unicast
  neighbor 2001:db8:1::2 activate
  neighbor 2001:db8:2::2 activate
 exit-address-family
exit
"
}

/// BIRD on subnet `number`; `decorate` is put into the export filter.
struct Speaker<'a> {
    asn: u32,
    number: u8,
    networks: &'a [&'a str],
    decorate: &'a str,
    password: Option<&'a str>,
}

impl Speaker<'_> {
    fn config(&self) -> String {
        let mut text = format!("router id 10.{}.0.2;\n", self.number);
        text += &format!(
            "filter to_router {{\n  if source != RTS_STATIC then reject;\n{}  accept;\n}}\n",
            self.decorate
        );
        let password = self
            .password
            .map(|word| format!("  password \"{word}\";\n"))
            .unwrap_or_default();
        for (family, local, remote) in [
            (
                "ipv4",
                format!("10.{}.0.2", self.number),
                format!("10.{}.0.1", self.number),
            ),
            (
                "ipv6",
                format!("2001:db8:{}::2", self.number),
                format!("2001:db8:{}::1", self.number),
            ),
        ] {
            let routes: String = self
                .networks
                .iter()
                .filter(|network| network.contains(':') == (family == "ipv6"))
                .map(|network| format!("  route {network} blackhole;\n"))
                .collect();
            text += &format!(
                "protocol static {family}_networks {{
  {family};
{routes}}}
protocol bgp {family}_upstream {{
  local {local} as {};
  neighbor {remote} as 65000;
  connect delay time 1;
  connect retry time 2;
  error wait time 1, 2;
{password}  {family} {{ import all; export filter to_router; }};
}}
",
                self.asn
            );
        }
        text
    }
}

const DECORATE: &str = "  bgp_path.prepend(65010);
  bgp_path.prepend(4200000001);
  bgp_community.add((65001, 100));
  bgp_community.add((65001, 200));
  bgp_large_community.add((4200000001, 1, 2));
  bgp_med = 55;
  bgp_local_pref = 300;
";

fn source(asn: u32) -> Speaker<'static> {
    Speaker {
        asn,
        number: 1,
        networks: &SOURCE_NETWORKS,
        decorate: DECORATE,
        password: None,
    }
}

fn observer() -> Speaker<'static> {
    Speaker {
        asn: OBSERVER_AS,
        number: 2,
        networks: &OBSERVER_NETWORKS,
        decorate: "",
        password: None,
    }
}

impl Chain {
    fn up(source_as: u32) -> Self {
        let topology = Topology::new();
        let (source_namespace, middle, observer_namespace) = topology.three_in_a_row();
        let router = router::start(&topology, &middle, &router_config(source_as, None));
        let source = Bird::start(&topology, &source_namespace, &source(source_as).config());
        let observer = Bird::start(&topology, &observer_namespace, &observer().config());
        router.wait_established(&NEIGHBORS);
        Self {
            source,
            observer,
            router,
            _topology: topology,
        }
    }
}

/// What BIRD knows of a prefix from BGP, once it is there.
#[track_caller]
fn seen_by(bird: &Bird, prefix: &str) -> String {
    wait_for(SOON, &format!("bird has {prefix}"), || {
        let text = bird.birdc(&format!("show route for {prefix} all"));
        if text.contains("BGP.as_path") {
            Ok(text)
        } else {
            Err(text)
        }
    })
}

#[track_caller]
fn wait_unseen(bird: &Bird, prefix: &str) {
    wait_until(SOON, &format!("bird has lost {prefix}"), || {
        !bird
            .birdc(&format!("show route for {prefix} all"))
            .contains("BGP.as_path")
    });
}

#[test]
fn external_routes_pass_with_their_attributes() {
    need!("bird", "birdc");
    let chain = Chain::up(4_200_000_002);
    for prefix in SOURCE_NETWORKS {
        let here = chain.router.wait_paths(prefix, 1).remove(0);
        assert_eq!(
            here["aspath"]["string"], "4200000002 4200000001 65010",
            "{here}"
        );
        assert_eq!(here["community"]["string"], "65001:100 65001:200", "{here}");
        assert_eq!(here["largeCommunity"]["string"], "4200000001:1:2", "{here}");
        assert_eq!(here["metric"], 55, "{here}");
        assert_eq!(here["origin"], "IGP", "{here}");

        let beyond = seen_by(&chain.observer, prefix);
        assert!(
            beyond.contains("BGP.as_path: 65000 4200000002 4200000001 65010"),
            "{beyond}"
        );
        assert!(
            beyond.contains("BGP.community: (65001,100) (65001,200)"),
            "{beyond}"
        );
        assert!(
            beyond.contains("BGP.large_community: (4200000001, 1, 2)"),
            "{beyond}"
        );
        assert!(!beyond.contains("BGP.med: 55"), "{beyond}");
    }
    for prefix in OBSERVER_NETWORKS {
        seen_by(&chain.source, prefix);
    }
    let kernel = chain.router.namespace();
    for prefix in SOURCE_NETWORKS {
        let route = wait_for(SOON, &format!("{prefix} in the kernel"), || {
            kernel
                .routes_to(prefix)
                .first()
                .cloned()
                .ok_or_else(|| "none".to_owned())
        });
        assert_eq!(
            (route.protocol.as_str(), route.metric),
            ("bgp", Some(20)),
            "{route:?}"
        );
    }
}

#[test]
fn internal_routes_keep_their_preference_and_next_hop() {
    need!("bird", "birdc");
    let chain = Chain::up(65000);
    for prefix in SOURCE_NETWORKS {
        let here = chain.router.wait_paths(prefix, 1).remove(0);
        assert_eq!(here["aspath"]["string"], "4200000001 65010", "{here}");
        assert_eq!(here["locPrf"], 300, "{here}");
        assert_eq!(here["metric"], 55, "{here}");
        let beyond = seen_by(&chain.observer, prefix);
        assert!(
            beyond.contains("BGP.as_path: 65000 4200000001 65010"),
            "{beyond}"
        );
    }
    // What came from outside keeps its next hop on the inside; BIRD has no
    // route to it, and so may not use it, but shows it.
    let inside = wait_for(SOON, "bird has the external route", || {
        let text = chain.source.birdc("show route all");
        if text.contains(OBSERVER_NETWORKS[0]) {
            Ok(text)
        } else {
            Err(text)
        }
    });
    assert!(inside.contains("BGP.next_hop: 10.2.0.2"), "{inside}");
    assert!(inside.contains("BGP.local_pref: 100"), "{inside}");
}

#[test]
fn a_withdrawal_passes_both_ways() {
    need!("bird", "birdc");
    let chain = Chain::up(4_200_000_002);
    seen_by(&chain.observer, SOURCE_NETWORKS[0]);
    seen_by(&chain.source, OBSERVER_NETWORKS[1]);
    chain.source.birdc("disable ipv4_networks");
    chain.observer.birdc("disable ipv6_networks");
    wait_unseen(&chain.observer, SOURCE_NETWORKS[0]);
    wait_unseen(&chain.source, OBSERVER_NETWORKS[1]);
    let kernel = chain.router.namespace();
    wait_until(SOON, "both routes are gone from the kernel", || {
        kernel.routes_to(SOURCE_NETWORKS[0]).is_empty()
            && kernel.routes_to(OBSERVER_NETWORKS[1]).is_empty()
    });
    chain.router.wait_paths(SOURCE_NETWORKS[1], 1);
}

#[test]
fn a_peer_that_was_killed_comes_back_with_its_routes() {
    need!("bird", "birdc");
    let mut chain = Chain::up(4_200_000_002);
    seen_by(&chain.observer, SOURCE_NETWORKS[0]);
    // No graceful restart is negotiated, so the routes go with the session.
    chain.source.kill();
    wait_unseen(&chain.observer, SOURCE_NETWORKS[0]);
    wait_unseen(&chain.observer, SOURCE_NETWORKS[1]);
    chain.source.restart();
    seen_by(&chain.observer, SOURCE_NETWORKS[0]);
    seen_by(&chain.observer, SOURCE_NETWORKS[1]);
    assert_eq!(
        chain.router.connections("10.2.0.2"),
        1,
        "the other session was not touched"
    );
}

#[test]
fn md5_lets_in_the_right_password_only() {
    need!("bird", "birdc");
    let topology = Topology::new();
    let (source_namespace, middle, observer_namespace) = topology.three_in_a_row();
    let router = router::start(
        &topology,
        &middle,
        &router_config(4_200_000_002, Some("right")),
    );
    let right = Speaker {
        password: Some("right"),
        ..source(4_200_000_002)
    };
    let wrong = Speaker {
        password: Some("wrong"),
        ..observer()
    };
    let _source = Bird::start(&topology, &source_namespace, &right.config());
    let observer_bird = Bird::start(&topology, &observer_namespace, &wrong.config());
    router.wait_established(&["10.1.0.2", "2001:db8:1::2"]);
    wait_for(
        SOON,
        "the kernel refuses the wrong password, several times",
        || {
            let refused = middle.counter("TCPMD5Failure");
            if refused >= 4 {
                Ok(())
            } else {
                Err(format!("{refused} times"))
            }
        },
    );
    for neighbor in ["10.2.0.2", "2001:db8:2::2"] {
        assert_eq!(
            router.connections(neighbor),
            0,
            "{neighbor} came up with the wrong password"
        );
    }
    let mended = Speaker {
        password: Some("right"),
        ..observer()
    };
    observer_bird.configure(&mended.config());
    router.wait_established(&["10.2.0.2", "2001:db8:2::2"]);
}
