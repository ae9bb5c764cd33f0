//! What a decision about one route costs, in nanoseconds: the median of rounds,
//! and the best one, which is what a machine that does nothing else would have.
//!
//! `cargo bench -p holdfast-policy`
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;

use bgp_wire::{AsPath, Community, Family, PathAttributes, PeerKind};
use holdfast_policy::model::*;
use holdfast_policy::{Compiler, Direction, Filters, PeerPolicy};
use holdfast_rib::{AttrRef, Attributes, PeerInfo, Policy, RouteContext};
use ipnet::Ipv4Net;

/// Prefixes that share a set of attributes, as in a full table.
const TOGETHER: usize = 11;
const ROUNDS: usize = 15;

fn next(state: &mut u64) -> u32 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as u32
}

struct Feed(Vec<(AttrRef, Vec<Ipv4Net>)>);

impl Feed {
    fn new(sets: usize) -> Feed {
        let mut state = 1;
        let prefix = |state: &mut u64| {
            let len = [24, 24, 24, 22, 20, 16][next(state) as usize % 6];
            Ipv4Net::new((next(state) % 0xe000_0000).into(), len)
                .unwrap()
                .trunc()
        };
        let set = |state: &mut u64| {
            let hops = 2 + next(state) % 5;
            let path: Vec<u32> = (0..hops).map(|_| 1 + next(state) % 70_000).collect();
            let communities = (0..6).map(|_| Community::new(64500, (next(state) % 50) as u16));
            AttrRef::new(&PathAttributes {
                as_path: AsPath::from_sequence(path),
                communities: communities.collect(),
                med: Some(next(state) % 100),
                ..PathAttributes::default()
            })
        };
        let one = |_| {
            (
                set(&mut state),
                (0..TOGETHER).map(|_| prefix(&mut state)).collect(),
            )
        };
        Feed((0..sets).map(one).collect())
    }

    /// Prints the nanoseconds for each route.
    fn time(&self, policy: &PeerPolicy) {
        let peer = PeerInfo::new(PeerKind::External, 64500, 64501, [192, 0, 2, 1].into());
        let mut rounds: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let before = Instant::now();
                let mut routes = 0u32;
                for (set, prefixes) in &self.0 {
                    let attributes = Attributes::of(set);
                    for prefix in prefixes {
                        routes += 1;
                        black_box(policy.import(&RouteContext {
                            peer: &peer,
                            learned_from: Some(&peer),
                            family: Family::Ipv4Unicast,
                            prefix: (*prefix).into(),
                            attributes: &attributes,
                            weight: 0,
                            source: None,
                            original_next_hop: None,
                            original_med: None,
                        }));
                    }
                }
                before.elapsed().as_nanos() as f64 / f64::from(routes)
            })
            .collect();
        rounds.sort_by(f64::total_cmp);
        println!(
            "    {:.0} ns per route, at best {:.0}",
            rounds[ROUNDS / 2],
            rounds[0]
        );
    }
}

fn prefix_list(entries: u32) -> PrefixList<Ipv4Net> {
    let mut state = 7;
    (1..=entries).fold(PrefixList::new(), |list, seq| {
        let len = [24, 24, 22, 20, 16][next(&mut state) as usize % 5];
        let net = Ipv4Net::new((next(&mut state) % 0xe000_0000).into(), len)
            .unwrap()
            .trunc();
        let entry = PrefixEntry {
            le: Some(24),
            ..PrefixEntry::exactly(
                if seq % 3 == 0 {
                    Action::Deny
                } else {
                    Action::Permit
                },
                net,
            )
        };
        list.entry(seq, entry)
    })
}

fn policy(config: &PolicyConfig) -> PeerPolicy {
    let before = Instant::now();
    let policies = Compiler::new(config).local_as(64500).compile().unwrap();
    println!(
        "    compiled in {:.1} ms",
        before.elapsed().as_secs_f64() * 1e3
    );
    let filters = Filters::route_map("M");
    PeerPolicy::new().with(&policies, Family::Ipv4Unicast, Direction::In, &filters)
}

/// A prefix list and three communities.
fn prefixes_and_communities(entries: u32) -> PolicyConfig {
    let all = |value| CommunityMatcher::All(vec![Community::new(64500, value)]);
    let one = |value| CommunityList::standard().entry(5, Action::Permit, all(value));
    let by_community = |name: &str, value| {
        RouteMapEntry::permit()
            .matching(Match::Community(name.into(), CommunityCompare::All))
            .setting(Set::LocalPreference(Delta::To(value)))
    };
    let listed = Match::ip_address(ListKind::Prefix("P".into()));
    let map = RouteMap::new()
        .entry(5, RouteMapEntry::deny().matching(listed))
        .entry(10, by_community("C1", 200))
        .entry(20, by_community("C2", 150))
        .entry(30, by_community("C3", 50))
        .entry(40, RouteMapEntry::permit());
    PolicyConfig::default()
        .with_ip_prefix_list("P", prefix_list(entries))
        .with_community_list("C1", one(1))
        .with_community_list("C2", one(2))
        .with_community_list("C3", one(3))
        .with_route_map("M", map)
}

/// Twenty entries, a call, and expressions over AS paths.
fn many_entries() -> PolicyConfig {
    let path = |text: &str| AsPathList::new().entry(5, Action::Permit, text);
    let common = RouteMap::new()
        .entry(
            10,
            RouteMapEntry::deny().matching(Match::AsPath("BAD".into())),
        )
        .entry(20, RouteMapEntry::permit());
    let first = RouteMapEntry::permit()
        .calling("COMMON")
        .setting(Set::Community(CommunityChange::Add(vec![Community::new(
            64500, 999,
        )])))
        .then(OnMatch::Next);
    let numbered = (2..20u16).fold(RouteMap::new().entry(10, first), |map, n| {
        let line = match n % 3 {
            0 => Match::AsPath(format!("A{n}")),
            1 => Match::ip_address(ListKind::Prefix("P".into())),
            _ => Match::Metric(u32::from(n)),
        };
        let entry = RouteMapEntry::permit().matching(line);
        map.entry(
            n * 10,
            entry.setting(Set::LocalPreference(Delta::To(n.into()))),
        )
    });
    let map = numbered.entry(200, RouteMapEntry::permit());
    let config = PolicyConfig::default()
        .with_ip_prefix_list("P", prefix_list(10))
        .with_as_path_list("BAD", path("_(64512|6451[3-9]|645[2-9].)_.*$"))
        .with_route_map("COMMON", common)
        .with_route_map("M", map);
    (2..20).fold(config, |config, n| {
        config.with_as_path_list(format!("A{n}"), path(&format!("^{n}[0-9]+_(.*_)?{n}0+$")))
    })
}

fn main() {
    let feed = Feed::new(20_000);
    for entries in [10, 10_000, 100_000] {
        println!("prefix list of {entries} entries, three communities");
        let policy = policy(&prefixes_and_communities(entries));
        feed.time(&policy);
    }
    println!("20 entries, a call, AS-path expressions");
    feed.time(&policy(&many_entries()));
}
