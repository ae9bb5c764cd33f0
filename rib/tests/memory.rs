//! What a route costs: the octets that the table asks the allocator for.

mod common;

use std::alloc::System;
use std::sync::Arc;

use bgp_wire::update::{Nlri, Prefixes};
use bgp_wire::{AsPath, Community, NextHop, PackedPrefixes, PathAttributes, PeerKind};
use cap::Cap;
use common::*;
use holdfast_rib::{AttrRef, FibAnswer, PeerId, Policy, Rib, RouteEvent};
use ipnet::Ipv4Net;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

const PREFIXES: u32 = 100_000;
/// As on the internet: a table of 577,706 prefixes had 89,642 sets in 2015, one
/// of a million has about 93,000.
const SETS: u32 = 9_300;
const FEEDS: u32 = 4;

/// The same prefixes for every feed, with attributes of its own.
fn announce_all(rib: &mut Rib, feed: u32) {
    for set in 0..SETS {
        let hops = 3 + set % 4;
        let path: Vec<u32> = std::iter::once(65_001 + feed)
            .chain((0..hops).map(|hop| 1_000 + set * 7 + hop))
            .collect();
        let attributes = PathAttributes {
            next_hop: Some(NextHop::V4([192, 0, 2, 1 + feed as u8].into())),
            as_path: AsPath::from_sequence(&path),
            communities: (0..set % 6).map(|n| Community(set << 8 | n)).collect(),
            ..PathAttributes::default()
        };
        let prefixes = (set..PREFIXES).step_by(SETS as usize).map(|number| Nlri {
            path_id: 0,
            prefix: Ipv4Net::new((0x0100_0000 + (number << 8)).into(), 24).unwrap(),
        });
        let list = PackedPrefixes::from_list(&Prefixes::V4(prefixes.collect()));
        let set = AttrRef::received(PeerKind::External, attributes);
        rib.apply(PeerId(feed), &RouteEvent::Announce(set, list), 1);
    }
    resolve(rib);
}

/// Tells everybody everything.
fn settle(rib: &mut Rib) {
    while let Some(group) = rib.pending_groups().first().copied() {
        rib.export_group(group, 16_384);
    }
}

/// Waiting for the kernel costs four octets for each prefix while it is on, a
/// bit for what the kernel does not have, and nothing afterwards.
fn assert_gate(rib: &mut Rib) {
    fib(rib);
    let before = MEMORY.allocated();
    rib.set_fib_gate(true);
    let changes = fib(rib);
    assert_eq!(changes.len(), PREFIXES as usize);
    for change in changes {
        let batch = rib.fib_batch();
        rib.fib_answered(change.prefix, FibAnswer::Installed, batch);
    }
    settle(rib);
    let each = (MEMORY.allocated() - before) as f64 / f64::from(PREFIXES);
    println!("waiting for the kernel: {each:.1} octets for each prefix");
    assert!(each < 5.5, "{each} octets for each prefix");
    rib.set_fib_gate(false);
    settle(rib);
    fib(rib);
    let left = MEMORY.allocated().saturating_sub(before);
    assert!(left < 100_000, "{left} octets stay");
}

#[test]
fn a_prefix_costs_less_than_a_hundred_octets_and_a_further_path_less_than_forty() {
    let mut rib = Rib::new(config());
    let policy: Arc<dyn Policy> = Arc::new(TestPolicy::Accept);
    for feed in 0..FEEDS {
        let address = format!("192.0.2.{}", 1 + feed);
        rib.peer_up(
            PeerId(feed),
            external(65_001 + feed, &address),
            policy.clone(),
        );
    }
    let receiver = external(64_999, "192.0.2.99");
    rib.peer_up(PeerId(FEEDS), receiver, policy.clone());
    settle(&mut rib);
    let empty = MEMORY.allocated();
    let mut last = empty;
    for feed in 0..FEEDS {
        announce_all(&mut rib, feed);
        settle(&mut rib);
        let now = MEMORY.allocated();
        let each = (now - last) as f64 / f64::from(PREFIXES);
        println!("feed {feed}: {each:.1} octets for each path");
        if feed == 0 {
            assert!(each < 70.0, "{each} octets for each prefix");
        } else {
            // The attribute sets are new with each feed.
            assert!(each < 40.0, "{each} octets for each further path");
        }
        last = now;
    }
    assert_gate(&mut rib);
    for feed in 0..FEEDS {
        rib.peer_down(PeerId(feed), bgp_wire::FamilySet::EMPTY);
        settle(&mut rib);
    }
    fib(&mut rib);
    rib.take_tracking();
    rib.rest();
    let left = MEMORY.allocated().saturating_sub(empty);
    // Places in lists and a few idle sets.
    assert!(left < 2 << 20, "{left} octets stay after the last route");
}
