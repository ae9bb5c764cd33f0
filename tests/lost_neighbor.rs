//! A neighbor that is lost takes its next hop out of the kernel's groups with
//! one message; the routes that use them are not written.

mod harness;

use harness::process::Process;
use harness::{Bird, Holdfast, Namespace, Router, SOON, Topology, need, wait_for, wait_until};

const ROUTES: usize = 300;

const CONFIG: &str = "router bgp 65000
 bgp router-id 10.0.0.1
 no bgp ebgp-requires-policy
 neighbor 10.1.0.2 remote-as 65100
 neighbor 10.1.0.2 timers connect 1
 neighbor 10.2.0.2 remote-as 65100
 neighbor 10.2.0.2 timers connect 1
 address-family ipv4 unicast
  maximum-paths 4
 exit-address-family
exit
";

fn bird(network: u8) -> String {
    let routes = |n: usize| format!("  route 198.18.{}.{}/32 blackhole;\n", n / 256, n % 256);
    let routes: String = (0..ROUTES).map(routes).collect();
    format!(
        "router id 10.{network}.0.2;
protocol static {{
  ipv4;
{routes}}}
protocol bgp upstream {{
  local 10.{network}.0.2 as 65100;
  neighbor 10.{network}.0.1 as 65000;
  connect delay time 1;
  connect retry time 2;
  error wait time 1, 2;
  ipv4 {{ import none; export all; next hop self; }};
}}
"
    )
}

/// The next hops of BGP's routes, where all of them have the same, and how many
/// routes there are.
fn ways(router: &Namespace, family: harness::Family) -> Option<(Vec<String>, usize)> {
    let routes = router.routes(family);
    let ours = routes.iter().filter(|route| route.protocol == "bgp");
    let mut ours = ours.map(|route| {
        let gateways = route.gateways();
        let mut gateways: Vec<String> = gateways.iter().map(|g| (*g).to_owned()).collect();
        gateways.sort_unstable();
        gateways
    });
    let first = ours.next()?;
    let mut count = 1;
    for gateways in ours {
        count += 1;
        if gateways != first {
            return None;
        }
    }
    Some((first, count))
}

/// How many routes of BGP there are, if all have `next_hops`.
fn routes(router: &Namespace, next_hops: &[&str]) -> Option<usize> {
    let (found, count) = ways(router, harness::Family::V4)?;
    (found == next_hops).then_some(count)
}

/// One of two neighbors is killed while somebody listens to the kernel.
fn lose_one_of_two((config, family): (&str, harness::Family), speaker: impl Fn(u8) -> String) {
    let topology = Topology::new();
    let (one, router, two) = topology.three_in_a_row();
    let holdfast = Holdfast::start(&topology, &router, config);
    let _stays = Bird::start(&topology, &one, &speaker(1));
    let mut goes = Bird::start(&topology, &two, &speaker(2));
    let both = wait_for(SOON, "all routes by both neighbors", || {
        match ways(&router, family) {
            Some((both, ROUTES)) if both.len() == 2 => Ok(both),
            other => Err(format!("{other:?}")),
        }
    });

    let log = topology.daemon_directory("monitor").join("routes");
    topology.add_log("route notifications", &log);
    let mut command = router.command("ip");
    command.args(["-o", "monitor", "route"]);
    let monitor = Process::start("ip monitor", command, &log);
    // It listens once it tells of something.
    let mut sign = 0..;
    wait_until(SOON, "the monitor listens", || {
        let route = format!("192.0.2.{}/32", sign.next().unwrap_or(0) % 256);
        router.ip(&format!("route replace blackhole {route} proto static"));
        monitor.log().contains("192.0.2.")
    });

    goes.kill();
    wait_for(
        SOON,
        "all routes by the neighbor that is left",
        || match ways(&router, family) {
            Some((left, ROUTES)) if left.len() == 1 && both.contains(&left[0]) => Ok(()),
            other => Err(format!("{other:?}")),
        },
    );
    let prefix = match family {
        harness::Family::V4 => "198.18.0.7/32",
        harness::Family::V6 => "2001:db8:ffff::7/128",
    };
    wait_until(SOON, "the table without the lost neighbor's paths", || {
        holdfast.paths(prefix).len() == 1
    });
    let log = monitor.log();
    let ours = |line: &&str| line.contains("198.18.") || line.contains("2001:db8:ffff:");
    let told: Vec<&str> = log.lines().filter(ours).collect();
    assert!(told.is_empty(), "routes were written: {told:?}");
}

#[test]
fn its_next_hop_leaves_the_kernel_and_no_route_is_written() {
    need!("bird");
    lose_one_of_two((CONFIG, harness::Family::V4), bird);
}

#[test]
fn so_does_its_link_local_address() {
    need!("bird");
    let config = "router bgp 65000
 bgp router-id 10.0.0.1
 no bgp ebgp-requires-policy
 neighbor 2001:db8:1::2 remote-as 65100
 neighbor 2001:db8:1::2 timers connect 1
 neighbor 2001:db8:2::2 remote-as 65100
 neighbor 2001:db8:2::2 timers connect 1
 address-family ipv6 unicast
  neighbor 2001:db8:1::2 activate
  neighbor 2001:db8:2::2 activate
  maximum-paths 4
 exit-address-family
exit
";
    let speaker = |network: u8| {
        let route = |n: usize| format!("  route 2001:db8:ffff::{n:x}/128 blackhole;\n");
        let routes: String = (1..=ROUTES).map(route).collect();
        format!(
            "router id 10.{network}.0.2;
protocol static {{
  ipv6;
{routes}}}
protocol bgp upstream {{
  local 2001:db8:{network}::2 as 65100;
  neighbor 2001:db8:{network}::1 as 65000;
  connect delay time 1;
  connect retry time 2;
  error wait time 1, 2;
  ipv6 {{ import none; export all; next hop self; }};
}}
"
        )
    };
    lose_one_of_two((config, harness::Family::V6), speaker);
}

#[test]
fn a_link_that_flaps_within_a_moment_does_not_end_its_session_for_good() {
    need!("bird");
    let topology = Topology::new();
    let (source, router, _) = topology.three_in_a_row();
    let holdfast = Holdfast::start(&topology, &router, CONFIG);
    let _bird = Bird::start(&topology, &source, &bird(1));
    let batch = topology.daemon_directory("flap").join("batch");
    std::fs::write(&batch, "link set eth1 down\nlink set eth1 up\n").expect("a file");
    for _ in 0..3 {
        holdfast.wait_established(&["10.1.0.2"]);
        wait_until(SOON, "all routes", || {
            routes(&router, &["10.1.0.2"]) == Some(ROUTES)
        });
        router.ip(&format!("-batch {}", batch.display()));
        wait_until(SOON, "the session was reset", || {
            routes(&router, &["10.1.0.2"]) != Some(ROUTES)
                || holdfast.paths("198.18.0.7/32").is_empty()
        });
    }
    holdfast.wait_established(&["10.1.0.2"]);
}
