//! How fast routes get into the kernel and out again.
//!
//! ```text
//! ip netns add t && ip -n t link add e1 type veth peer p1 && ip -n t link set p1 up
//! ip -n t link set e1 up && ip -n t addr add 10.0.0.1/16 dev e1
//! cargo run --release -p holdfast-fib --example throughput -- t 1000000 4
//! ```
//!
//! Arguments: a network namespace, the number of routes, and the number of next hops of each.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use holdfast_fib::{FibHandle, FibOptions, NextHop, OnShutdown, Route, RouteKind, spawn};
use ipnet::{IpNet, Ipv4Net};

/// Distinct next-hop sets.
const SETS: u32 = 64;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let netns = arguments.next().ok_or("a network namespace is missing")?;
    let count: u32 = arguments
        .next()
        .ok_or("the number of routes is missing")?
        .parse()?;
    let width: u8 = arguments
        .next()
        .ok_or("the number of next hops is missing")?
        .parse()?;
    let options = FibOptions {
        netns: Some(netns),
        route_events: false,
        ..FibOptions::default()
    };
    let (fib, _events) = spawn(options).await?;
    let before = resident_kib();
    phase(&fib, "add", count, |n| Some(set(n % SETS, width, 1))).await?;
    println!(
        "memory: {} bytes per route",
        (resident_kib() - before) * 1024 / u64::from(count)
    );
    phase(&fib, "replace", count, |n| Some(set(n % SETS, width, 100))).await?;
    phase(&fib, "delete", count, |_| None).await?;
    println!("{:?}", fib.statistics().await?);
    fib.shutdown(OnShutdown::Withdraw).await?;
    Ok(())
}

async fn phase(
    fib: &FibHandle,
    name: &str,
    count: u32,
    route: impl Fn(u32) -> Option<Arc<Route>>,
) -> Result<(), Box<dyn Error>> {
    let shared: Vec<_> = (0..SETS).map(&route).collect();
    let started = Instant::now();
    for start in (0..count).step_by(1000) {
        let block = start..count.min(start + 1000);
        let changes = block
            .zip(shared.iter().cycle())
            .map(|(n, route)| (prefix(n), route.clone()));
        fib.apply(changes.collect()).await?;
    }
    fib.settled().await?;
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{name}: {seconds:.2} s, {:.0} routes/s",
        f64::from(count) / seconds
    );
    Ok(())
}

fn prefix(n: u32) -> IpNet {
    Ipv4Net::new_assert(Ipv4Addr::from((20 << 24) + (n << 8)), 24).into()
}

fn set(n: u32, width: u8, from: u8) -> Arc<Route> {
    let third = u8::try_from(n).unwrap_or(0);
    let hop = |i| NextHop::new(IpAddr::from([10, 0, third, from + i]));
    let hops = (1..=width).map(hop).collect();
    Arc::new(Route {
        metric: 20,
        kind: RouteKind::Unicast(hops),
        prefsrc: None,
        resilient: None,
    })
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|l| l.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
