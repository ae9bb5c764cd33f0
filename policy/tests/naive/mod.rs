//! Policy as its documentation says it, read line by line from the model: slow,
//! and with nothing in common with what it is compared with.
#![allow(unreachable_pub, reason = "tests have no callers outside")]

use bgp_wire::{AsPath, Community, Family, NextHop, PathAttributes, Segment};
use holdfast_policy::Pattern;
use holdfast_policy::model::*;
use ipnet::{IpNet, Ipv4Net};

#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    pub prefix: Ipv4Net,
    pub attributes: PathAttributes,
    pub weight: u32,
    pub tag: u32,
}

pub struct Naive<'c> {
    pub config: &'c PolicyConfig,
    pub local_as: u32,
}

fn contains(net: Ipv4Net, prefix: Ipv4Net) -> bool {
    net.contains(&prefix)
}

impl Naive<'_> {
    /// Whether the map permits the route; it may change it in any case.
    pub fn apply(&self, name: &str, route: &mut Route, depth: usize) -> bool {
        let Some(map) = self.config.route_maps.get(name).filter(|_| depth <= 10) else {
            return false;
        };
        let mut permitted = false;
        let mut from = 0;
        for (seq, entry) in &map.entries {
            if *seq < from {
                continue;
            }
            if !entry.matches.iter().all(|line| self.matches(line, route)) {
                permitted = false;
                continue;
            }
            if entry.action == Action::Deny {
                return false;
            }
            permitted = true;
            for line in &entry.sets {
                self.set(line, route);
            }
            if let Some(called) = &entry.call
                && self.config.route_maps.contains_key(called)
                && !self.apply(called, route, depth + 1)
            {
                return false;
            }
            match entry.on_match {
                OnMatch::Exit => return true,
                OnMatch::Next => {}
                OnMatch::Goto(to) => {
                    if !map.entries.keys().any(|later| later > seq && *later >= to) {
                        return true;
                    }
                    from = to;
                }
            }
        }
        permitted
    }

    fn prefix_list(&self, name: &str, prefix: Ipv4Net) -> bool {
        let Some(list) = self.config.ip_prefix_lists.get(name) else {
            return false;
        };
        if list.entries.is_empty() {
            return true;
        }
        let len = prefix.prefix_len();
        let found = list.entries.values().find(|entry| match entry.prefix {
            None => true,
            Some(net) => {
                contains(net, prefix)
                    && match (entry.ge, entry.le) {
                        (None, None) => len == net.prefix_len(),
                        (ge, le) => len >= ge.unwrap_or(0) && len <= le.unwrap_or(32),
                    }
            }
        });
        found.is_some_and(|entry| entry.action == Action::Permit)
    }

    fn access_list(&self, name: &str, prefix: Ipv4Net) -> bool {
        let Some(list) = self.config.access_lists.get(name) else {
            return false;
        };
        let found = list.entries.values().find(|entry| match entry.matches {
            AccessMatch::Any => true,
            AccessMatch::Prefix(IpNet::V4(net)) => contains(net, prefix),
            AccessMatch::Exact(IpNet::V4(net)) => net == prefix,
            AccessMatch::Standard(address) => address.matches(prefix.network()),
            AccessMatch::Extended(address, mask) => {
                address.matches(prefix.network()) && mask.matches(prefix.netmask())
            }
            _ => false,
        });
        found.is_some_and(|entry| entry.action == Action::Permit)
    }

    fn list(&self, list: &ListKind, prefix: Ipv4Net) -> bool {
        match list {
            ListKind::Prefix(name) => self.prefix_list(name, prefix),
            ListKind::Access(name) => self.access_list(name, prefix),
        }
    }

    fn as_path(&self, name: &str, path: &AsPath) -> bool {
        let list = self.config.as_path_lists.get(name);
        let text = path.to_string();
        let found = list.and_then(|list| {
            let mut entries = list.entries.values();
            entries.find(|entry| Pattern::new(&entry.regex).unwrap().matches(&text))
        });
        found.is_some_and(|entry| entry.action == Action::Permit)
    }

    fn community_list(&self, name: &str, of: &[Community], compare: CommunityCompare) -> bool {
        let mut sorted = of.to_vec();
        sorted.sort();
        sorted.dedup();
        let texts: Vec<String> = sorted.iter().map(ToString::to_string).collect();
        let list = self.config.community_lists.get(name);
        let found = list.and_then(|list| {
            list.entries
                .values()
                .find(|entry| match (&entry.matcher, compare) {
                    (CommunityMatcher::All(all), _) if all.is_empty() => true,
                    (CommunityMatcher::All(all), CommunityCompare::All) => {
                        all.iter().all(|c| of.contains(c))
                    }
                    (CommunityMatcher::All(all), CommunityCompare::Exact) => {
                        all.iter().all(|c| of.contains(c)) && of.iter().all(|c| all.contains(c))
                    }
                    (CommunityMatcher::All(all), CommunityCompare::Any) => {
                        of.iter().any(|c| all.contains(c))
                    }
                    (CommunityMatcher::Regex(regex), CommunityCompare::Any) => {
                        let regex = Pattern::new(regex).unwrap();
                        texts.iter().any(|text| regex.matches(text))
                    }
                    (CommunityMatcher::Regex(regex), _) => {
                        Pattern::new(regex).unwrap().matches(&texts.join(" "))
                    }
                })
        });
        found.is_some_and(|entry| entry.action == Action::Permit)
    }

    fn matches(&self, line: &Match, route: &Route) -> bool {
        let attributes = &route.attributes;
        match line {
            Match::Address(Family::Ipv4Unicast, list) => self.list(list, route.prefix),
            Match::PrefixLen(Family::Ipv4Unicast, len) => route.prefix.prefix_len() == *len,
            Match::NextHop(Family::Ipv4Unicast, NextHopKind::List(list)) => {
                match attributes.next_hop {
                    Some(NextHop::V4(addr)) => self.list(list, Ipv4Net::from(addr)),
                    _ => false,
                }
            }
            Match::NextHop(_, NextHopKind::Address(addr)) => {
                attributes.next_hop.map(NextHop::addr) == Some(*addr)
            }
            Match::AsPath(name) => self.as_path(name, &attributes.as_path),
            Match::Community(name, compare) => {
                self.community_list(name, &attributes.communities, *compare)
            }
            Match::Metric(value) => attributes.med.unwrap_or(0) == *value,
            Match::LocalPreference(value) => attributes.local_pref.unwrap_or(0) == *value,
            Match::Origin(origin) => attributes.origin == *origin,
            Match::Tag(tag) => route.tag == *tag,
            Match::Peer(PeerMatch::Local) => true,
            _ => false,
        }
    }

    fn set(&self, line: &Set, route: &mut Route) {
        let attributes = &mut route.attributes;
        let adjusted = |delta: &Delta, old: u32| -> u32 {
            let value: i128 = match delta {
                Delta::To(value) => i128::from(*value),
                Delta::Add(value) => i128::from(old) + i128::from(*value),
                Delta::Subtract(value) => i128::from(old) - i128::from(*value),
            };
            value.clamp(0, i128::from(u32::MAX)) as u32
        };
        match line {
            Set::LocalPreference(delta) => {
                let old = attributes.local_pref.unwrap_or(100);
                attributes.local_pref = Some(adjusted(delta, old));
            }
            Set::Metric(MetricSet::By(delta)) => {
                attributes.med = Some(adjusted(delta, attributes.med.unwrap_or(0)));
            }
            Set::Weight(weight) => route.weight = *weight,
            Set::Tag(tag) => route.tag = *tag,
            Set::Origin(origin) => attributes.origin = *origin,
            Set::AsPathPrepend(AsPathPrepend::Asns(asns)) => {
                let all: Vec<u32> = asns
                    .iter()
                    .copied()
                    .chain(attributes.as_path.asns())
                    .collect();
                attributes.as_path = AsPath::from_sequence(all);
            }
            Set::AsPathPrepend(AsPathPrepend::LastAs(times)) => {
                let first = attributes.as_path.asns().next();
                if let Some(first) = first {
                    let again = std::iter::repeat_n(first, usize::from(*times));
                    let all: Vec<u32> = again.chain(attributes.as_path.asns()).collect();
                    attributes.as_path = AsPath::from_sequence(all);
                }
            }
            Set::AsPathExclude(exclude) => {
                let is_gone = |asn: u32| match exclude {
                    ExcludeAsns::All => true,
                    ExcludeAsns::Asns(asns) => asns.contains(&asn),
                    ExcludeAsns::List(name) => {
                        let list = self.config.as_path_lists.contains_key(name);
                        list && self.as_path(name, &AsPath::from_sequence([asn]))
                    }
                };
                let left = attributes.as_path.segments().map(|segment| Segment {
                    kind: segment.kind,
                    asns: segment
                        .asns
                        .iter()
                        .copied()
                        .filter(|asn| !is_gone(*asn))
                        .collect(),
                });
                attributes.as_path = AsPath::from_segments(left.collect::<Vec<_>>());
            }
            Set::AsPathReplace(replace) => {
                let to = replace.to.unwrap_or(self.local_as);
                let one = |asn: u32| match replace.from {
                    Some(from) if from != asn => asn,
                    _ => to,
                };
                let all: Vec<u32> = attributes.as_path.asns().map(one).collect();
                attributes.as_path = AsPath::from_sequence(all);
            }
            Set::Community(change) => {
                let mut all = match change {
                    CommunityChange::Replace(list) => list.clone(),
                    CommunityChange::None => Vec::new(),
                    CommunityChange::Add(list) => {
                        attributes.communities.iter().chain(list).copied().collect()
                    }
                };
                all.sort();
                all.dedup();
                attributes.communities = all;
            }
            Set::CommListDelete(name) => {
                if !self.config.community_lists.contains_key(name) {
                    return;
                }
                let any = CommunityCompare::Any;
                let mut left = attributes.communities.clone();
                left.sort();
                left.dedup();
                left.retain(|c| !self.community_list(name, &[*c], any));
                attributes.communities = left;
            }
            Set::NextHop(NextHopSet::Address(addr)) => {
                attributes.next_hop = Some(NextHop::V4(*addr));
            }
            Set::AtomicAggregate => attributes.atomic_aggregate = true,
            other => panic!("not generated: {other:?}"),
        }
    }
}
