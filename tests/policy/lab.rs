//! A router, and BIRD's sessions around it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::generate::PEERS;
use super::harness::{Bird, Namespace, Router, SOON, Topology, wait_for};

/// A router between BIRD's sessions.
pub(crate) struct Lab<R: Router> {
    pub(crate) router: R,
    pub(crate) at: Namespace,
    bird: Bird,
    _topology: Topology,
}

impl<R: Router> Lab<R> {
    /// The router and BIRD, each with its configuration.
    pub(crate) fn start(
        (config, bird): (&str, &str),
        start: impl Fn(&Topology, &Namespace, &str) -> R,
    ) -> Self {
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
        let router = start(&topology, &here, config);
        let bird = Bird::start(&topology, &there, bird);
        Self {
            router,
            at: here,
            bird,
            _topology: topology,
        }
    }

    /// Waits until everything was said in both directions.
    pub(crate) fn settle(&self) {
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
    pub(crate) fn outcome(&self) -> BTreeMap<String, String> {
        let mut all = self.heard();
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
        }
        all
    }

    /// What BIRD's shell answers.
    pub(crate) fn birdc(&self, command: &str) -> String {
        self.bird.birdc(command)
    }

    /// What its peers heard, by peer and prefix.
    pub(crate) fn heard(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for n in 1..=PEERS {
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
            list.push(match attribute.strip_prefix("ext_community:") {
                // FRR adds what is there already.
                Some(communities) => {
                    let mut each: Vec<&str> = communities.split_inclusive(')').collect();
                    each.iter_mut().for_each(|one| *one = one.trim());
                    each.sort_unstable();
                    each.dedup();
                    format!("ext_community: {}", each.join(" "))
                }
                None => attribute.to_owned(),
            });
        }
    }
    let join = |(prefix, mut list): (String, Vec<String>)| {
        list.sort();
        (prefix, list.join("; "))
    };
    heard.into_iter().map(join).collect()
}

/// What is not the same in both.
pub(crate) fn differences(
    ours: &BTreeMap<String, String>,
    theirs: &BTreeMap<String, String>,
) -> String {
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
