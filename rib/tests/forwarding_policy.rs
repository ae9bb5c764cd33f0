//! What the forwarding table is told where a policy decides about it.

mod common;

use std::sync::Arc;

use bgp_wire::{Community, PathAttributes};
use common::*;
use holdfast_rib::{
    DenyReason, ForwardingPolicy, MaxPaths, PeerId, Rib, RibConfig, RouteContext, Verdict,
};

const PREFIX: &str = "203.0.113.0/24";
const OTHER: &str = "198.51.100.0/24";
const MARK: Community = Community(0xffde_0001);

/// Denies marked paths of prefixes with 24 bits; others get a metric.
#[derive(Debug)]
struct Marked {
    metric: Option<u32>,
}

impl ForwardingPolicy for Marked {
    fn install(&self, route: &RouteContext<'_>) -> Verdict {
        assert_eq!(route.learned_from, Some(route.peer));
        if route.prefix.prefix_len() == 24 && route.attributes.communities.contains(&MARK) {
            return Verdict::Deny(DenyReason::Filtered);
        }
        let Some(metric) = self.metric else {
            return Verdict::Accept;
        };
        let mut attributes = PathAttributes::clone(route.attributes);
        attributes.med = Some(metric);
        Verdict::rewrite(attributes)
    }
}

fn set(rib: &mut Rib, metric: Option<u32>) {
    rib.set_forwarding_policy(V4, Some(Arc::new(Marked { metric })));
}

fn path(peer: u32, marked: bool) -> PathAttributes {
    PathAttributes {
        communities: marked.then_some(MARK).into_iter().collect(),
        ..attributes(&[65001], &format!("192.0.2.{peer}"))
    }
}

/// Two peers of one AS, whose paths are used together.
fn rib() -> Rib {
    let two = MaxPaths {
        ebgp: 2,
        ..config().max_paths_v4
    };
    let mut rib = Rib::new(RibConfig {
        max_paths_v4: two,
        ..config()
    });
    for peer in [1, 2] {
        let info = external(65001, &format!("192.0.2.{peer}"));
        rib.peer_up(PeerId(peer), info, accept());
    }
    rib
}

/// A prefix, and unless it is gone its metric and the peers gone by.
type Reported = (String, Option<(u32, Vec<u32>)>);

/// What is reported, sorted.
fn reported(rib: &mut Rib) -> Vec<Reported> {
    let mut changes: Vec<_> = fib(rib)
        .into_iter()
        .map(|change| {
            let route = change.route.map(|route| {
                let peers = route.next_hops.iter().map(|hop| hop.peer.0);
                (route.metric, peers.collect())
            });
            (change.prefix.to_string(), route)
        })
        .collect();
    changes.sort();
    changes
}

fn gone(prefix: &str) -> Reported {
    (prefix.to_string(), None)
}

fn by(prefix: &str, metric: u32, peers: &[u32]) -> Reported {
    (prefix.to_string(), Some((metric, peers.to_vec())))
}

#[test]
fn what_is_denied_is_not_forwarded_by_and_still_told() {
    let mut rib = rib();
    set(&mut rib, None);
    announce(&mut rib, 1, PREFIX, path(1, true));
    announce(&mut rib, 1, OTHER, path(1, false));
    assert_eq!(reported(&mut rib), [by(OTHER, 0, &[1])]);
    assert_eq!(announced_nets(&drain(&mut rib, 2)).len(), 2);
    announce(&mut rib, 1, PREFIX, path(1, false));
    assert_eq!(reported(&mut rib), [by(PREFIX, 0, &[1])]);
    announce(&mut rib, 1, PREFIX, path(1, true));
    assert_eq!(reported(&mut rib), [gone(PREFIX)]);
}

#[test]
fn prefixes_that_share_attributes_are_asked_about_one_by_one() {
    let mut rib = rib();
    set(&mut rib, None);
    let list = [
        (net(PREFIX), 0),
        (net("203.0.112.0/23"), 0),
        (net(OTHER), 0),
    ];
    rib.update(PeerId(1), announcement(&list, path(1, true)), 0);
    resolve(&mut rib);
    assert_eq!(reported(&mut rib), [by("203.0.112.0/23", 0, &[1])]);
}

#[test]
fn a_policy_that_comes_or_goes_is_applied_to_what_is_there() {
    let mut rib = rib();
    announce(&mut rib, 1, PREFIX, path(1, true));
    announce(&mut rib, 1, OTHER, path(1, false));
    assert_eq!(reported(&mut rib).len(), 2);
    set(&mut rib, None);
    assert_eq!(reported(&mut rib), [gone(PREFIX)]);
    set(&mut rib, Some(50));
    assert_eq!(reported(&mut rib), [by(OTHER, 50, &[1])]);
    rib.set_forwarding_policy(V4, None);
    let all = [by(OTHER, 0, &[1]), by(PREFIX, 0, &[1])];
    assert_eq!(reported(&mut rib), all);
}

#[test]
fn the_other_paths_do_without_one_that_is_denied() {
    let mut rib = rib();
    set(&mut rib, None);
    announce(&mut rib, 1, PREFIX, path(1, false));
    announce(&mut rib, 2, PREFIX, path(2, false));
    assert_eq!(reported(&mut rib), [by(PREFIX, 0, &[1, 2])]);
    announce(&mut rib, 1, PREFIX, path(1, true));
    assert_eq!(reported(&mut rib), [by(PREFIX, 0, &[2])]);
    announce(&mut rib, 2, PREFIX, path(2, true));
    assert_eq!(reported(&mut rib), [gone(PREFIX)]);
}

#[test]
fn what_is_not_reported_does_not_wait_for_the_kernel() {
    let mut rib = rib();
    set(&mut rib, None);
    rib.set_fib_gate(true);
    announce(&mut rib, 1, PREFIX, path(1, true));
    assert_eq!(reported(&mut rib), []);
    assert_eq!(announced_nets(&drain(&mut rib, 2)), [net(PREFIX)]);
}
