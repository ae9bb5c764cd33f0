//! A router, and BIRD's sessions around it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::generate::{PEERS, Version};
use super::harness::{Bird, Namespace, Router, SOON, Topology, wait_for};

/// A router between BIRD's sessions.
pub(crate) struct Lab<R: Router> {
    pub(crate) router: R,
    pub(crate) at: Namespace,
    bird: Bird,
    /// Of the sessions.
    versions: &'static [Version],
    _topology: Topology,
}

impl<R: Router> Lab<R> {
    /// The router and BIRD, each with its configuration, and sessions of IPv4.
    pub(crate) fn start(
        configs: (&str, &str),
        start: impl Fn(&Topology, &Namespace, &str) -> R,
    ) -> Self {
        Self::start_of(&[Version::V4], configs, start)
    }

    /// The same with sessions of these families.
    pub(crate) fn start_of(
        versions: &'static [Version],
        (config, bird): (&str, &str),
        start: impl Fn(&Topology, &Namespace, &str) -> R,
    ) -> Self {
        let topology = Topology::new();
        let (here, there) = (topology.namespace("router"), topology.namespace("peers"));
        for namespace in [&here, &there] {
            // Link-local addresses are told to peers: they are the same in each lab.
            namespace.sysctl("net.ipv6.conf.default.addr_gen_mode", "1");
        }
        let addresses = |host: usize| -> String {
            let each = (1..=PEERS).map(|n| {
                let (four, six) = (Version::V4.host(n, host), Version::V6.host(n, host));
                format!("{four}/24 {six}/64 ")
            });
            each.collect::<String>() + &format!("fe80::{host}/64")
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
            versions,
            _topology: topology,
        }
    }

    /// The sessions.
    fn sessions(&self) -> impl Iterator<Item = (Version, usize)> {
        let versions = self.versions.iter();
        versions.flat_map(|&version| (1..=PEERS).map(move |n| (version, n)))
    }

    /// Waits until everything was said in both directions.
    pub(crate) fn settle(&self) {
        for (version, n) in self.sessions() {
            let neighbor = version.host(n, 2);
            wait_for(SOON, &format!("End-of-RIB with {neighbor}"), || {
                let info = self.router.neighbor(&neighbor)["gracefulRestartInfo"].clone();
                let family = format!("{}Unicast", version.word());
                match info["endOfRibSend"][&family] == true && info["endOfRibRecv"][&family] == true
                {
                    true => Ok(()),
                    false => Err(info.to_string()),
                }
            });
        }
    }

    /// What the router took, and what its peers heard, by peer and prefix.
    pub(crate) fn outcome(&self) -> BTreeMap<String, String> {
        let mut all = self.heard();
        for (version, n) in self.sessions() {
            let (word, neighbor) = (version.word(), version.host(n, 2));
            let command = format!("show bgp {word} unicast neighbors {neighbor} routes json");
            let document = self.router.json(&command);
            for (prefix, paths) in document["routes"].as_object().into_iter().flatten() {
                let path = &paths[0];
                let of = |key: &str| match &path[key] {
                    Value::Null => "-".to_owned(),
                    value => value.to_string(),
                };
                let keys = ["path", "metric", "locPrf", "weight", "origin", "bestpath"];
                let shown = keys.map(|key| format!("{key} {}", of(key)));
                let hops = path["nexthops"].as_array().into_iter().flatten();
                let used = hops.clone().find(|hop| hop["used"] == true);
                // After `prefer-global` FRR shows the link-local one all the same.
                let used = used.map(|hop| (&hop["ip"], &hop["scope"]));
                let first = hops.clone().next().map(|hop| &hop["ip"]);
                all.insert(
                    format!("in {n} {prefix}"),
                    format!("{} hop {first:?} by {used:?}", shown.join(" ")),
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
        for (version, n) in self.sessions() {
            let mark = version.mark();
            let command = format!("show route table t{mark}{n} protocol p{mark}{n} all");
            let router = version.host(n, 1);
            for (prefix, heard) in heard(&self.bird.birdc(&command), &router) {
                all.insert(format!("out {n} {prefix}"), heard);
            }
        }
        all
    }
}

/// Prefixes and attributes in what BIRD shows of a session with this router.
fn heard(text: &str, router: &str) -> BTreeMap<String, String> {
    let mut heard: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut prefix = String::new();
    for line in text.lines() {
        if line.contains("unicast") && line.contains('/') {
            let word = line.split_whitespace().next();
            prefix = word.unwrap_or_default().to_owned();
        }
        if let Some(attribute) = line.trim().strip_prefix("BGP.") {
            let list = heard.entry(prefix.clone()).or_default();
            if let Some(hop) = attribute.strip_prefix("next_hop: ") {
                list.push(format!("next_hop: {}", next_hop(hop, router)));
                continue;
            }
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

/// What a session with this router says of a next hop. Beside another's global
/// address FRR puts its own link-local one.
fn next_hop<'t>(addresses: &'t str, router: &str) -> &'t str {
    match addresses.split_once(' ') {
        Some((global, _)) if global != router => global,
        _ => addresses,
    }
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
