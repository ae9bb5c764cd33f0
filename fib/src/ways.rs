//! Routes of BGP that next hops of BGP may be reached by.
//!
//! Of a full table these are few: the ones that cover a next hop in use. They are kept apart, so
//! that resolving a next hop needs no search in the whole table, and so that a change of any
//! other route costs no more than finding out that it is not one of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

use crate::family::Prefix;
use crate::route::Route;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Ways {
    pub(crate) v4: PrefixMap<Ipv4Net, Arc<Route>>,
    pub(crate) v6: PrefixMap<Ipv6Net, Arc<Route>>,
    /// Next hops in use, and how often.
    next_hops: BTreeMap<IpAddr, u32>,
}

impl Ways {
    /// A next hop has one more user. Returns whether it is the first.
    pub(crate) fn add(&mut self, next_hop: IpAddr) -> bool {
        let users = self.next_hops.entry(next_hop).or_default();
        *users += 1;
        *users == 1
    }

    /// A next hop has one user less. What was here for its sake goes with the last.
    pub(crate) fn remove(&mut self, next_hop: IpAddr) {
        let Some(users) = self.next_hops.get_mut(&next_hop) else {
            return;
        };
        *users -= 1;
        if *users > 0 {
            return;
        }
        self.next_hops.remove(&next_hop);
        for prefix in covering(next_hop) {
            if !self.leads_anywhere(prefix) {
                self.put(prefix, None);
            }
        }
    }

    /// The wanted route of a prefix is another, or none. Returns whether a next hop may be
    /// reached differently for it.
    pub(crate) fn changed(&mut self, prefix: IpNet, route: Option<&Arc<Route>>) -> bool {
        let prefix = prefix.trunc();
        if !self.leads_anywhere(prefix) {
            return false;
        }
        let old = self.put(prefix, route.cloned());
        old.as_ref() != route
    }

    /// Whether a next hop is inside of the prefix.
    fn leads_anywhere(&self, prefix: IpNet) -> bool {
        let addresses = prefix.network()..=prefix.broadcast();
        self.next_hops.range(addresses).next().is_some()
    }

    fn put(&mut self, prefix: IpNet, route: Option<Arc<Route>>) -> Option<Arc<Route>> {
        match (prefix, route) {
            (IpNet::V4(prefix), Some(route)) => self.v4.insert(prefix, route),
            (IpNet::V6(prefix), Some(route)) => self.v6.insert(prefix, route),
            (IpNet::V4(prefix), None) => self.v4.remove(&prefix),
            (IpNet::V6(prefix), None) => self.v6.remove(&prefix),
        }
    }
}

/// All prefixes that an address is inside of.
pub(crate) fn covering(address: IpAddr) -> impl Iterator<Item = IpNet> {
    let host = IpNet::from(address);
    (0..=host.max_prefix_len())
        .filter_map(move |length| IpNet::new(address, length).ok())
        .map(|prefix| prefix.trunc())
}

/// The ways to an address with their prefixes, the longest first.
pub(crate) fn ways_to<P: Prefix>(
    ways: &PrefixMap<P, Arc<Route>>,
    address: P,
) -> Vec<(P, &Arc<Route>)> {
    let mut found: Vec<(P, &Arc<Route>)> = ways.cover(&address).collect();
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{NextHop, RouteKind};

    fn route(next_hop: &str) -> Arc<Route> {
        Arc::new(Route {
            metric: 20,
            kind: RouteKind::Unicast(vec![NextHop::new(next_hop.parse().unwrap())]),
            prefsrc: None,
            resilient: None,
        })
    }

    #[test]
    fn only_routes_to_next_hops_are_kept() {
        let mut ways = Ways::default();
        let next_hop = "10.9.0.1".parse().unwrap();
        let (inside, outside) = (
            "10.9.0.0/16".parse().unwrap(),
            "10.8.0.0/16".parse().unwrap(),
        );
        assert!(!ways.changed(inside, Some(&route("10.1.0.2"))));
        assert!(ways.add(next_hop) && !ways.add(next_hop));
        assert!(ways.changed(inside, Some(&route("10.1.0.2"))));
        assert!(!ways.changed(inside, Some(&route("10.1.0.2"))), "no news");
        assert!(!ways.changed(outside, Some(&route("10.1.0.2"))));
        assert!(ways.changed("0.0.0.0/0".parse().unwrap(), Some(&route("10.1.0.2"))));
        let lengths = |ways: &Ways| -> Vec<u8> {
            let found = ways_to(&ways.v4, "10.9.0.1/32".parse().unwrap());
            found
                .iter()
                .map(|(prefix, _)| prefix.prefix_len())
                .collect()
        };
        assert_eq!(lengths(&ways), [16, 0]);
        ways.remove(next_hop);
        assert_eq!(lengths(&ways), [16, 0]);
        ways.remove(next_hop);
        assert!(lengths(&ways).is_empty());
        assert_eq!(covering("2001:db8::1".parse().unwrap()).count(), 129);
    }
}
