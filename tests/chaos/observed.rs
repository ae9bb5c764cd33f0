//! What the kernel says, and how it differs from what it should.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use super::model::{METRIC, Ways, World};
use super::plan;
use crate::harness::Namespace;

/// Destinations of bursts of routes, which no step leaves behind.
pub(crate) const STORM: &str = "100.64.0.0/16";

/// The router's routes and nexthop objects.
pub(crate) struct Observed {
    routes: Vec<Route>,
    /// By number, those of `proto bgp`.
    pub(crate) objects: BTreeMap<u64, Value>,
    /// All of them.
    known: BTreeMap<u64, Value>,
}

struct Route {
    prefix: IpNet,
    protocol: String,
    metric: u32,
    object: Option<u64>,
    row: Value,
}

impl Observed {
    pub(crate) fn read(router: &Namespace) -> Self {
        let objects = router.listing("nexthop show");
        let mut routes = Vec::new();
        for family in ["-4", "-6"] {
            let rows = router.listing(&format!("{family} route show table main"));
            routes.extend(rows.into_iter().map(|row| Route::new(row, family)));
        }
        let id = |object: &Value| object["id"].as_u64().unwrap_or_default();
        let known: BTreeMap<u64, Value> = objects.into_iter().map(|o| (id(&o), o)).collect();
        let ours = known.iter().filter(|(_, o)| o["protocol"] == "bgp");
        Self {
            routes,
            objects: ours.map(|(id, object)| (*id, object.clone())).collect(),
            known,
        }
    }

    /// The daemon's prefixes.
    pub(crate) fn prefixes(&self) -> BTreeSet<IpNet> {
        self.ours().map(|route| route.prefix).collect()
    }

    /// Nothing of the daemon's.
    pub(crate) fn is_clean(&self) -> bool {
        self.objects.is_empty() && self.ours().next().is_none()
    }

    /// A line for each route and object of the daemon's.
    pub(crate) fn summary(&self) -> String {
        let routes = self.ours().map(|route| route.row.to_string());
        let objects = self.objects.values().map(Value::to_string);
        routes.chain(objects).collect::<Vec<_>>().join("\n")
    }

    fn ours(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().filter(|route| route.protocol == "bgp")
    }

    /// The next hops of a route.
    fn ways(&self, route: &Route) -> Ways {
        let Some(id) = route.object else {
            return ways_of(&route.row);
        };
        let object = self.known.get(&id).unwrap_or(&Value::Null);
        let Some(members) = object["group"].as_array() else {
            return ways_of(object);
        };
        let mut ways = Ways::new();
        for member in members {
            let hop = member["id"].as_u64().and_then(|id| self.known.get(&id));
            let weight = member["weight"].as_u64().unwrap_or(1);
            let weight = u16::try_from(weight).unwrap_or(u16::MAX);
            let hops = ways_of(hop.unwrap_or(&Value::Null));
            ways.extend(hops.into_keys().map(|key| (key, weight)));
        }
        // Alone a next hop has no weight.
        if ways.len() == 1 {
            ways.values_mut().for_each(|weight| *weight = 1);
        }
        ways
    }

    /// What is not as it should be; a line each.
    pub(crate) fn differences(&self, world: &World) -> Vec<String> {
        let mut found = self.differences_of_ours(world);
        found.extend(self.differences_of_others(world));
        found.extend(self.orphans(world));
        found
    }

    fn differences_of_ours(&self, world: &World) -> Vec<String> {
        let mut found = Vec::new();
        let mut expected = world.expected();
        expected.retain(|prefix, _| !world.is_barred(*prefix));
        for route in self.ours() {
            let prefix = route.prefix;
            let wanted = match route.metric == METRIC {
                true => expected.remove(&prefix),
                false => None,
            };
            let ways = self.ways(route);
            match wanted {
                Some(wanted) if wanted == ways => {}
                Some(wanted) => found.push(format!(
                    "{prefix}: {ways:?} (object {:?}), expected {wanted:?}",
                    route.object
                )),
                None => found.push(format!(
                    "{prefix} metric {}: {ways:?}, expected none, or once",
                    route.metric
                )),
            }
        }
        for (prefix, wanted) in expected {
            found.push(format!("{prefix}: none, expected {wanted:?}"));
        }
        found
    }

    fn differences_of_others(&self, world: &World) -> Vec<String> {
        let mut found = Vec::new();
        let mut expected = world.foreign.clone();
        let others = self.routes.iter().filter(|route| {
            let storm = plan::parse(STORM).contains(&route.prefix);
            !storm && !["bgp", "kernel", "ra"].contains(&&*route.protocol)
        });
        for route in others {
            let known = expected.remove(&(route.prefix, route.metric));
            let wanted = known.map(|known| {
                let hop = |h: super::model::Hop| ((h.gateway, plan::interface(h.link)), h.weight);
                let hops: Ways = known.hops.into_iter().map(hop).collect();
                (known.protocol.to_owned(), hops)
            });
            let seen = (route.protocol.clone(), self.ways(route));
            if wanted.as_ref() != Some(&seen) {
                let (prefix, metric) = (route.prefix, route.metric);
                found.push(format!(
                    "of others: {prefix} metric {metric}: {seen:?}, expected {wanted:?}"
                ));
            }
        }
        for ((prefix, metric), route) in expected {
            found.push(format!(
                "of others: {prefix} metric {metric}: none, expected {route:?}"
            ));
        }
        found
    }

    /// Objects of the daemon's that nothing uses, and nothing would.
    fn orphans(&self, world: &World) -> Vec<String> {
        let direct: BTreeSet<u64> = self
            .routes
            .iter()
            .filter_map(|route| route.object)
            .collect();
        let mut used = direct.clone();
        for id in direct {
            used.extend(self.members(id));
        }
        // Routes that are kept out have their next hops ready.
        let expected = world.expected();
        let barred = expected
            .iter()
            .filter(|(prefix, _)| world.is_barred(**prefix));
        let ready: BTreeSet<_> = barred.flat_map(|(_, ways)| ways.keys()).collect();
        let is_ready = |id: u64| {
            let ways = ways_of(self.known.get(&id).unwrap_or(&Value::Null));
            !ways.is_empty() && ways.keys().all(|way| ready.contains(way))
        };
        let ours = self.known.iter().filter(|(id, _)| **id >= 1_000_000_000);
        let orphans = ours.filter(|(id, _)| !used.contains(id));
        let orphans = orphans.filter(|(id, _)| match self.members(**id).as_slice() {
            [] => !is_ready(**id),
            members => !members.iter().all(|member| is_ready(*member)),
        });
        orphans
            .map(|(id, object)| format!("object {id} has no use: {object}"))
            .collect()
    }

    /// The members of a group; none of anything else.
    fn members(&self, id: u64) -> Vec<u64> {
        let group = self.known.get(&id).and_then(|o| o["group"].as_array());
        let members = group.into_iter().flatten();
        members.filter_map(|member| member["id"].as_u64()).collect()
    }
}

impl Route {
    fn new(row: Value, family: &str) -> Self {
        let destination = row["dst"].as_str().unwrap_or_default();
        let (any, length) = match family {
            "-4" => ("0.0.0.0/0", 32),
            _ => ("::/0", 128),
        };
        let prefix = match destination {
            "default" => plan::parse(any),
            net if net.contains('/') => plan::parse(net),
            host => plan::parse(&format!("{host}/{length}")),
        };
        Self {
            prefix,
            protocol: row["protocol"].as_str().unwrap_or("boot").to_owned(),
            metric: row["metric"].as_u64().map_or(0, |m| m as u32),
            object: row["nhid"].as_u64(),
            row,
        }
    }
}

/// The next hops that a row of `ip -j route` or `ip -j nexthop` names.
fn ways_of(row: &Value) -> Ways {
    let one = |value: &Value| {
        let gateway = value["gateway"].as_str().or(value["via"]["host"].as_str());
        let gateway: IpAddr = gateway?.parse().ok()?;
        let weight = value["weight"].as_u64().unwrap_or(1);
        let interface = value["dev"].as_str().unwrap_or_default().to_owned();
        Some((
            (gateway, interface),
            u16::try_from(weight).unwrap_or(u16::MAX),
        ))
    };
    match row["nexthops"].as_array() {
        Some(hops) => hops.iter().filter_map(one).collect(),
        None => one(row).into_iter().collect(),
    }
}
