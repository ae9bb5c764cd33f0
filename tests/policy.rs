//! Random lists and route maps, read by FRR and by us: what each accepts and
//! sends on is the same, attribute by attribute.
//!
//! ```text
//!            BIRD: 10.0.1.2 to 10.0.8.2, a table and a session each
//!              |
//!   FRR 10.0.N.1            and the same once more with Holdfast
//! ```
//!
//! `HOLDFAST_POLICY_SEED` begins with another configuration, and
//! `HOLDFAST_POLICY_ROUNDS` tries more of them.

#[path = "policy/generate.rs"]
mod generate;
mod harness;
#[path = "chaos/random.rs"]
mod random;

use std::collections::BTreeMap;

use generate::{PEERS, Scene, peer_as};
use harness::{Bird, Frr, Holdfast, Router, SOON, Topology, need, wait_for};
use random::Random;
use serde_json::Value;

/// A router between BIRD's sessions.
struct Lab<R: Router> {
    router: R,
    bird: Bird,
    _topology: Topology,
}

impl<R: Router> Lab<R> {
    fn start(scene: &Scene, start: impl Fn(&Topology, &harness::Namespace, &str) -> R) -> Self {
        let topology = Topology::new();
        let (here, there) = (topology.namespace("router"), topology.namespace("peers"));
        let addresses = |host: u8| -> String {
            let all = (1..=PEERS).map(|n| format!("10.0.{n}.{host}/24 "));
            all.collect()
        };
        topology.link(
            there.end("eth0", &addresses(2)),
            here.end("eth1", &addresses(1)),
        );
        let router = start(&topology, &here, &scene.router());
        let bird = Bird::start(&topology, &there, &scene.bird());
        Self {
            router,
            bird,
            _topology: topology,
        }
    }

    /// Waits until everything was said in both directions.
    fn settle(&self) {
        for n in 1..=PEERS {
            let neighbor = format!("10.0.{n}.2");
            wait_for(SOON, &format!("End-of-RIB with {neighbor}"), || {
                let info = self.router.neighbor(&neighbor)["gracefulRestartInfo"].clone();
                let family = "ipv4Unicast";
                match info["endOfRibSend"][family] == true && info["endOfRibRecv"][family] == true {
                    true => Ok(()),
                    false => Err(info.to_string()),
                }
            });
        }
    }

    /// What the router took, and what its peers heard, by peer and prefix.
    fn outcome(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for n in 1..=PEERS {
            let command = format!("show bgp ipv4 unicast neighbors 10.0.{n}.2 routes json");
            let document = self.router.json(&command);
            for (prefix, paths) in document["routes"].as_object().into_iter().flatten() {
                let path = &paths[0];
                let of = |key: &str| match &path[key] {
                    Value::Null => "-".to_owned(),
                    value => value.to_string(),
                };
                let keys = ["path", "metric", "locPrf", "weight", "origin", "bestpath"];
                let shown = keys.map(|key| format!("{key} {}", of(key)));
                let hop = &path["nexthops"][0]["ip"];
                all.insert(
                    format!("in {n} {prefix}"),
                    format!("{} via {hop}", shown.join(" ")),
                );
            }
            let command = format!("show route table t{n} protocol p{n} all");
            for (prefix, heard) in heard(&self.bird.birdc(&command)) {
                all.insert(format!("out {n} {prefix}"), heard);
            }
        }
        all
    }
}

/// Prefixes and attributes in what BIRD shows.
fn heard(text: &str) -> BTreeMap<String, String> {
    let mut heard: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut prefix = String::new();
    for line in text.lines() {
        if line.contains("unicast") && line.contains('/') {
            let word = line.split_whitespace().next();
            prefix = word.unwrap_or_default().to_owned();
        }
        if let Some(attribute) = line.trim().strip_prefix("BGP.") {
            let list = heard.entry(prefix.clone()).or_default();
            list.push(attribute.to_owned());
        }
    }
    let join = |(prefix, mut list): (String, Vec<String>)| {
        list.sort();
        (prefix, list.join("; "))
    };
    heard.into_iter().map(join).collect()
}

fn differences(ours: &BTreeMap<String, String>, theirs: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    let keys: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for key in keys {
        let (ours, theirs) = (ours.get(key), theirs.get(key));
        if ours != theirs {
            text += &format!("{key}\n  ours   {ours:?}\n  theirs {theirs:?}\n");
        }
    }
    text
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn frr_and_we_make_the_same_of_random_policies() {
    need!("/usr/lib/frr/bgpd", "/usr/sbin/bird");
    let seed = setting("HOLDFAST_POLICY_SEED").unwrap_or(1);
    let rounds = setting("HOLDFAST_POLICY_ROUNDS").unwrap_or(2);
    for seed in seed..seed + rounds {
        let scene = Scene::new(&mut Random::new(seed));
        let ours = Lab::start(&scene, |topology, namespace, config| {
            Holdfast::start(topology, namespace, config)
        });
        let theirs = Lab::start(&scene, |topology, namespace, config| {
            Frr::start(topology, namespace, config)
        });
        ours.settle();
        theirs.settle();
        let mut last = String::new();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(SOON, "the same", || {
                let (ours, theirs) = (ours.outcome(), theirs.outcome());
                last = differences(&ours, &theirs);
                match last.is_empty() && !ours.is_empty() {
                    true => Ok(()),
                    false => Err(String::new()),
                }
            });
        }));
        assert!(
            result.is_ok(),
            "seed {seed}, AS {}...:\n{last}\n{}",
            peer_as(1),
            scene.router()
        );
    }
}
