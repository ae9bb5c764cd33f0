//! What the kernel's routing table holds, as `ip -j route` tells it.

use std::collections::HashMap;

use serde_json::Value;

use super::run;

/// An address family of the kernel's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    fn flag(self) -> &'static str {
        match self {
            Self::V4 => "-4",
            Self::V6 => "-6",
        }
    }
}

/// One route of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KernelRoute {
    /// `address/length`, host routes included, or `default`.
    pub(crate) destination: String,
    pub(crate) protocol: String,
    pub(crate) metric: Option<u64>,
    /// Sorted by gateway, so that sets compare.
    pub(crate) next_hops: Vec<NextHop>,
}

impl KernelRoute {
    /// The gateways, sorted.
    pub(crate) fn gateways(&self) -> Vec<&str> {
        self.next_hops
            .iter()
            .filter_map(|hop| hop.gateway.as_deref())
            .collect()
    }
}

/// One way out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NextHop {
    pub(crate) gateway: Option<String>,
    pub(crate) interface: String,
}

/// Reads the main table of a namespace.
pub(crate) fn routes(namespace: &str, family: Family) -> Vec<KernelRoute> {
    routes_in(namespace, family, "main")
}

/// Reads a table of a namespace; one that is not there is empty.
pub(crate) fn routes_in(namespace: &str, family: Family, table: &str) -> Vec<KernelRoute> {
    let words = ["route", "show", "table", table];
    let [flag, options] = [family.flag(), "-j"];
    let arguments = [&["-n", namespace, options, flag][..], &words].concat();
    let listing = match run("ip", &arguments) {
        Err(error) if error.contains("FIB table does not exist") => return Vec::new(),
        Err(error) => panic!("{error}"),
        Ok(text) => parsed(&arguments, &text),
    };
    let listing = listing.as_array().map(Vec::as_slice).unwrap_or_default();
    // With nexthop_compat_mode off the kernel names only the object.
    let objects = if listing.iter().any(|route| route.get("nhid").is_some()) {
        nexthop_objects(namespace)
    } else {
        HashMap::new()
    };
    listing
        .iter()
        .map(|route| parse(route, family, &objects))
        .collect()
}

fn parse(route: &Value, family: Family, objects: &HashMap<u64, Vec<NextHop>>) -> KernelRoute {
    let text = |key: &str| route[key].as_str().unwrap_or_default().to_owned();
    let mut next_hops = match route["nexthops"].as_array() {
        Some(hops) => hops.iter().map(next_hop).collect(),
        None if route.get("gateway").is_some() || route.get("via").is_some() => {
            vec![next_hop(route)]
        }
        None => match route["nhid"].as_u64().and_then(|id| objects.get(&id)) {
            Some(hops) => hops.clone(),
            None => vec![next_hop(route)],
        },
    };
    next_hops.sort();
    KernelRoute {
        destination: with_length(&text("dst"), family),
        protocol: text("protocol"),
        metric: route["metric"].as_u64(),
        next_hops,
    }
}

fn next_hop(value: &Value) -> NextHop {
    let gateway = value["gateway"]
        .as_str()
        .or_else(|| value["via"]["host"].as_str());
    NextHop {
        gateway: gateway.map(str::to_owned),
        interface: value["dev"].as_str().unwrap_or_default().to_owned(),
    }
}

fn nexthop_objects(namespace: &str) -> HashMap<u64, Vec<NextHop>> {
    let listing = json(&["-n", namespace, "-j", "nexthop", "show"]);
    let objects = listing.as_array().map(Vec::as_slice).unwrap_or_default();
    let single: HashMap<u64, NextHop> = objects
        .iter()
        .filter_map(|object| Some((object["id"].as_u64()?, next_hop(object))))
        .collect();
    objects
        .iter()
        .filter_map(|object| {
            let id = object["id"].as_u64()?;
            let members = match object["group"].as_array() {
                Some(group) => group
                    .iter()
                    .filter_map(|member| single.get(&member["id"].as_u64()?).cloned())
                    .collect(),
                None => vec![single.get(&id)?.clone()],
            };
            Some((id, members))
        })
        .collect()
}

fn with_length(destination: &str, family: Family) -> String {
    match family {
        _ if destination.contains('/') || destination == "default" => destination.to_owned(),
        Family::V4 => format!("{destination}/32"),
        Family::V6 => format!("{destination}/128"),
    }
}

/// What `ip -j` in a namespace lists.
pub(crate) fn listing(namespace: &str, words: &str) -> Vec<Value> {
    let mut arguments = vec!["-n", namespace, "-j"];
    arguments.extend(words.split_whitespace());
    match json(&arguments) {
        Value::Array(rows) => rows,
        _ => Vec::new(),
    }
}

fn json(arguments: &[&str]) -> Value {
    let text = run("ip", arguments).unwrap_or_else(|error| panic!("{error}"));
    parsed(arguments, &text)
}

fn parsed(arguments: &[&str], text: &str) -> Value {
    if text.trim().is_empty() {
        return Value::Array(Vec::new());
    }
    serde_json::from_str(text).unwrap_or_else(|error| panic!("ip {arguments:?}: {error}: {text}"))
}
