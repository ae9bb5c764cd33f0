//! Policies whose answers change for some prefixes: only those are looked at
//! again, and only what is another then is said.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::*;
use holdfast_rib::{DenyReason, PeerId, Policy, Redo, Region, Rib, RouteContext, Verdict};
use ipnet::IpNet;

const PREFIXES: [&str; 4] = [
    "198.51.100.0/24",
    "198.51.101.0/24",
    "203.0.113.0/24",
    "203.0.113.128/25",
];

/// Denies what is inside of these prefixes, and counts how often it is asked.
#[derive(Debug)]
struct Denies {
    region: Region,
    asked: AtomicUsize,
}

impl Denies {
    fn new(prefixes: &[&str]) -> Arc<Denies> {
        Arc::new(Denies {
            region: region(prefixes),
            asked: AtomicUsize::new(0),
        })
    }

    fn verdict(&self, route: &RouteContext<'_>) -> Verdict {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.region.contains(route.prefix) {
            true => Verdict::Deny(DenyReason::Filtered),
            false => Verdict::Accept,
        }
    }

    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::Relaxed)
    }
}

impl Policy for Denies {
    fn import(&self, route: &RouteContext<'_>) -> Verdict {
        self.verdict(route)
    }

    fn export(&self, route: &RouteContext<'_>) -> Verdict {
        self.verdict(route)
    }

    fn export_depends_on_peer(&self) -> bool {
        false
    }
}

fn region(prefixes: &[&str]) -> Region {
    prefixes.iter().map(|prefix| net(prefix)).collect()
}

fn sorted(mut nets: Vec<IpNet>) -> Vec<IpNet> {
    nets.sort_unstable();
    nets
}

/// Peer 1 sends all prefixes; peers 2 and 3 were told of them.
fn rib(import: &Arc<Denies>, export: &Arc<Denies>) -> Rib {
    let mut rib = Rib::new(config());
    rib.peer_up(
        PeerId(1),
        external(65001, "192.0.2.1"),
        Arc::<Denies>::clone(import),
    );
    for peer in [2, 3] {
        let info = external(65002, &format!("192.0.2.{peer}"));
        rib.peer_up(PeerId(peer), info, Arc::<Denies>::clone(export));
    }
    for prefix in PREFIXES {
        announce(&mut rib, 1, prefix, attributes(&[65001], "192.0.2.1"));
    }
    for group in rib.pending_groups() {
        while rib.group_pending(group) {
            rib.export_group(group, 100);
        }
    }
    rib
}

/// What the groups of IPv4 are told: announced, withdrawn, and how many groups
/// there were.
fn told(rib: &mut Rib) -> (Vec<IpNet>, Vec<IpNet>, usize) {
    let (mut announced, mut withdrawn) = (Vec::new(), Vec::new());
    let groups = rib.pending_groups();
    for group in &groups {
        while rib.group_pending(*group) {
            let batch = rib.export_group(*group, 100).unwrap();
            announced.extend(batch.announced.iter().flat_map(|a| nets(&a.prefixes)));
            withdrawn.extend(batch.withdrawn.iter().flat_map(|(_, list)| nets(list)));
        }
    }
    (sorted(announced), sorted(withdrawn), groups.len())
}

fn redo(import: bool, export: bool) -> Redo {
    let families = |yes| {
        if yes {
            Redo::ALL.import
        } else {
            Redo::NOTHING.import
        }
    };
    Redo {
        import: families(import),
        export: families(export),
    }
}

#[test]
fn a_region_has_what_is_inside_of_its_prefixes() {
    let mut all = region(&["10.0.0.0/8", "10.1.0.0/16", "192.0.2.0/24", "2001:db8::/32"]);
    assert_eq!(all.iter().count(), 3);
    for (prefix, inside) in [
        ("10.0.0.0/8", true),
        ("10.255.255.255/32", true),
        ("10.2.0.0/16", true),
        ("0.0.0.0/0", false),
        ("11.0.0.0/8", false),
        ("9.255.0.0/16", false),
        ("192.0.2.0/23", false),
        ("192.0.2.128/25", true),
        ("192.0.3.0/24", false),
        ("2001:db8::/32", true),
        ("2001:db8:ffff::/48", true),
        ("2001::/16", false),
        ("2001:db9::/32", false),
    ] {
        assert_eq!(all.contains(net(prefix)), inside, "{prefix}");
    }
    all.unite(region(&["192.0.2.0/23", "0.0.0.0/0"]));
    assert!(all.contains(net("11.0.0.0/8")) && all.iter().count() == 2);
    assert!(Region::default().is_empty() && !all.is_empty());
    assert!(all.concerns(V4) && all.concerns(V6) && !region(&["::/0"]).concerns(V4));
}

#[test]
fn import_asks_again_inside_of_the_region_alone() {
    let (all, export) = (Denies::new(&[]), Denies::new(&[]));
    let mut rib = rib(&all, &export);
    let new = Denies::new(&["203.0.113.0/24"]);
    let change = (
        PeerId(1),
        Arc::<Denies>::clone(&new) as _,
        redo(true, false),
    );
    rib.set_policies_within(vec![change], &region(&["203.0.113.0/24"]));
    assert_eq!(rib.counters(PeerId(1), V4).accepted, 4, "not at once");
    export.asked();
    assert!(rib.import_noted(1));
    assert_eq!(rib.counters(PeerId(1), V4).accepted, 3);
    assert!(!rib.import_noted(1));
    assert!(!rib.import_noted(100));
    assert_eq!(rib.counters(PeerId(1), V4).accepted, 2);
    assert_eq!(new.asked(), 2);
    let gone = sorted(vec![net(PREFIXES[2]), net(PREFIXES[3])]);
    // The peer that sent them has a group of its own, which hears nothing.
    assert_eq!(told(&mut rib), (vec![], gone.clone(), 2));
    // And back, and once more without any difference.
    let again = (PeerId(1), Denies::new(&[]) as _, redo(true, false));
    rib.set_policies_within(vec![again], &region(&["203.0.113.0/24"]));
    assert!(!rib.import_noted(100));
    assert_eq!(told(&mut rib), (gone, vec![], 2));
    let same = (PeerId(1), Denies::new(&[]) as _, redo(true, false));
    rib.set_policies_within(vec![same], &region(&["0.0.0.0/0"]));
    assert!(!rib.import_noted(100));
    assert_eq!(told(&mut rib), (vec![], vec![], 0));
}

#[test]
fn a_route_that_is_gone_or_new_meanwhile_is_judged_once() {
    let (all, export) = (Denies::new(&[]), Denies::new(&[]));
    let mut rib = rib(&all, &export);
    let new = Denies::new(&["198.51.0.0/16"]);
    let change = (
        PeerId(1),
        Arc::<Denies>::clone(&new) as _,
        redo(true, false),
    );
    rib.set_policies_within(vec![change], &region(&["198.51.0.0/16"]));
    withdraw(&mut rib, 1, PREFIXES[0]);
    announce(
        &mut rib,
        1,
        "198.51.102.0/24",
        attributes(&[65001], "192.0.2.1"),
    );
    assert_eq!(new.asked(), 1, "the new one");
    rib.import_noted(100);
    assert_eq!(new.asked(), 1, "the one that is left");
    assert_eq!(rib.counters(PeerId(1), V4).accepted, 2);
    assert_eq!(rib.counters(PeerId(1), V4).received, 4);
}

#[test]
fn a_group_is_told_the_difference_as_a_group() {
    let (import, all) = (Denies::new(&[]), Denies::new(&[]));
    let mut rib = rib(&import, &all);
    let changes = |policy: &Arc<Denies>| {
        let of = |peer| {
            (
                PeerId(peer),
                Arc::<Denies>::clone(policy) as _,
                redo(false, true),
            )
        };
        vec![of(2), of(3)]
    };
    let some = Denies::new(&["203.0.113.128/25"]);
    rib.set_policies_within(changes(&some), &region(&["203.0.113.0/24"]));
    assert_eq!(rib.groups().iter().filter(|g| g.family() == V4).count(), 2);
    all.asked();
    assert_eq!(told(&mut rib), (vec![], vec![net(PREFIXES[3])], 1));
    assert_eq!((some.asked(), all.asked()), (2, 2), "what is and what was");
    assert_eq!(rib.counters(PeerId(3), V4).sent, 3);
    // Another change before the one before was told.
    let others = Denies::new(&["198.51.0.0/16", "203.0.113.128/25"]);
    rib.set_policies_within(changes(&others), &region(&["198.51.0.0/16"]));
    let none = Denies::new(&[]);
    rib.set_policies_within(
        changes(&none),
        &region(&["198.51.0.0/16", "203.0.113.0/24"]),
    );
    assert_eq!(told(&mut rib), (vec![net(PREFIXES[3])], vec![], 1));
    assert_eq!(rib.counters(PeerId(2), V4).sent, 4);
}

#[test]
fn a_member_that_changes_alone_leaves_the_group() {
    let (import, all) = (Denies::new(&[]), Denies::new(&[]));
    let mut rib = rib(&import, &all);
    let some = Denies::new(&["198.51.100.0/24"]);
    let change = |policy: &Arc<Denies>| {
        vec![(
            PeerId(3),
            Arc::<Denies>::clone(policy) as _,
            redo(false, true),
        )]
    };
    rib.set_policies_within(change(&some), &region(&["198.51.100.0/24"]));
    assert_eq!(withdrawn_nets(&drain(&mut rib, 3)), [net(PREFIXES[0])]);
    assert_eq!(rib.counters(PeerId(2), V4).sent, 4);
    // Back to the policy of the other, and to its group.
    rib.set_policies_within(change(&all), &region(&["198.51.100.0/24"]));
    assert_eq!(told(&mut rib), (vec![net(PREFIXES[0])], vec![], 1));
    let groups = rib.groups();
    let of_v4: Vec<_> = groups.iter().filter(|g| g.family() == V4).collect();
    let members = of_v4.iter().map(|group| rib.members(**group).len()).max();
    assert_eq!(members, Some(2));
}
