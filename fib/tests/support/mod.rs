//! Network namespaces for the tests, made with iproute2 and removed when dropped.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use holdfast_fib::{
    Changes, Event, FibHandle, FibOptions, NextHop, Route, RouteKind, Stale, spawn,
};
use ipnet::IpNet;
use serde_json::Value;
use tokio::sync::mpsc::Receiver;

/// How long a condition may take before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A namespace of its own.
pub(crate) struct Net {
    pub(crate) name: String,
}

impl Net {
    /// `None`, with the reason printed, where namespaces cannot be made.
    pub(crate) fn new(purpose: &str) -> Option<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("hf-fib-{}-{number}-{purpose}", std::process::id());
        match Command::new("ip").args(["netns", "add", &name]).output() {
            Ok(output) if output.status.success() => {}
            Ok(output) => {
                let reason = String::from_utf8_lossy(&output.stderr).into_owned();
                eprintln!("skipped: cannot make a network namespace: {reason}");
                return None;
            }
            Err(error) => {
                eprintln!("skipped: cannot run ip: {error}");
                return None;
            }
        }
        let net = Self { name };
        net.ip("link set lo up");
        Some(net)
    }

    /// With `count` interfaces `e1`, `e2`, ... each up, with 10.0.N.1/24 and fd00:N::1/64, the
    /// other ends being `p1`, `p2`, ... in the same namespace.
    pub(crate) fn with_links(purpose: &str, count: u32) -> Option<Self> {
        let net = Self::new(purpose)?;
        for n in 1..=count {
            net.ip(&format!("link add e{n} type veth peer name p{n}"));
            net.ip(&format!("link set p{n} up"));
            net.ip(&format!("link set e{n} up"));
            net.ip(&format!("addr add 10.0.{n}.1/24 dev e{n}"));
            net.ip(&format!("addr add fd00:{n}::1/64 dev e{n} nodad"));
        }
        Some(net)
    }

    /// Runs `ip` in here; fails the test when it fails.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        self.try_ip(arguments)
            .unwrap_or_else(|error| panic!("ip {arguments}: {error}"))
    }

    /// Runs `ip` in here.
    pub(crate) fn try_ip(&self, arguments: &str) -> Result<String, String> {
        let output = Command::new("ip")
            .args(["-n", &self.name])
            .args(arguments.split_whitespace())
            .output()
            .map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// Runs many commands in one `ip`.
    pub(crate) fn batch(&self, commands: &str) {
        let file = std::env::temp_dir().join(format!("{}.batch", self.name));
        std::fs::write(&file, commands).unwrap();
        self.ip(&format!("-force -batch {}", file.display()));
        std::fs::remove_file(&file).unwrap();
    }

    /// What `ip -j` says.
    pub(crate) fn json(&self, arguments: &str) -> Vec<Value> {
        let text = match self.try_ip(&format!("-j {arguments}")) {
            // The kernel makes a table with its first route.
            Err(error) if error.contains("FIB table does not exist") => return Vec::new(),
            answer => answer.unwrap_or_else(|error| panic!("ip {arguments}: {error}")),
        };
        if text.trim().is_empty() {
            return Vec::new();
        }
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Our routes for a prefix, family by the prefix.
    pub(crate) fn ours(&self, prefix: &str) -> Vec<Value> {
        let family = if prefix.contains(':') { "-6" } else { "-4" };
        self.json(&format!("{family} route show {prefix} proto 186"))
    }

    /// How many routes of ours there are, both families.
    pub(crate) fn count(&self) -> usize {
        ["-4", "-6"]
            .iter()
            .map(|family| {
                self.ip(&format!("{family} -o route show proto 186"))
                    .lines()
                    .count()
            })
            .sum()
    }

    pub(crate) fn ifindex(&self, name: &str) -> u32 {
        let link = self.json(&format!("link show {name}"));
        u32::try_from(link[0]["ifindex"].as_u64().unwrap()).unwrap()
    }

    /// Starts a FIB in here.
    pub(crate) async fn fib(&self) -> (FibHandle, Receiver<Event>) {
        self.fib_with(|_| {}).await
    }

    /// Starts a FIB in here with options changed.
    pub(crate) async fn fib_with(
        &self,
        change: impl FnOnce(&mut FibOptions),
    ) -> (FibHandle, Receiver<Event>) {
        let mut options = FibOptions {
            netns: Some(self.name.clone()),
            ..FibOptions::default()
        };
        options.stale = Stale::Sweep;
        change(&mut options);
        spawn(options).await.unwrap()
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .output();
    }
}

/// Waits for a condition, or fails the test.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "did not happen in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits for an event that `wanted` makes something of, skipping others.
pub(crate) async fn event<T>(
    what: &str,
    events: &mut Receiver<Event>,
    mut wanted: impl FnMut(Event) -> Option<T>,
) -> T {
    let search = async {
        loop {
            let event = events.recv().await.expect("the task ended");
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    };
    match tokio::time::timeout(PATIENCE, search).await {
        Ok(found) => found,
        Err(_) => panic!("no event in time: {what}"),
    }
}

/// A unicast route of metric 20.
pub(crate) fn via(gateways: &[&str]) -> Arc<Route> {
    let hops = gateways
        .iter()
        .map(|g| NextHop::new(g.parse().unwrap()))
        .collect();
    Arc::new(Route {
        metric: 20,
        kind: RouteKind::Unicast(hops),
        prefsrc: None,
        resilient: None,
    })
}

/// A route that is not unicast, of metric 20.
pub(crate) fn drops(kind: RouteKind) -> Arc<Route> {
    Arc::new(Route {
        metric: 20,
        kind,
        prefsrc: None,
        resilient: None,
    })
}

/// Changes from prefixes and one route each.
pub(crate) fn set(routes: &[(&str, &Arc<Route>)]) -> Changes {
    routes
        .iter()
        .map(|(p, route)| (net(p), Some((*route).clone())))
        .collect()
}

pub(crate) fn unset(prefixes: &[&str]) -> Changes {
    prefixes.iter().map(|p| (net(p), None)).collect()
}

pub(crate) fn net(prefix: &str) -> IpNet {
    prefix.parse().unwrap()
}

pub(crate) fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

/// The gateways of a route in `ip -j` form, sorted.
pub(crate) fn gateways(route: &Value) -> Vec<String> {
    let one = |hop: &Value| {
        let via = hop["via"]["host"].as_str();
        hop["gateway"].as_str().or(via).unwrap_or("none").to_owned()
    };
    let mut found: Vec<String> = match route["nexthops"].as_array() {
        Some(hops) => hops.iter().map(one).collect(),
        None => vec![one(route)],
    };
    found.sort();
    found
}
