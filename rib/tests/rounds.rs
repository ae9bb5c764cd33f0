//! What changes again and again while more news waits.

mod common;

use common::*;
use holdfast_rib::{PeerId, Rib};

const PREFIXES: [&str; 3] = ["198.51.100.0/24", "203.0.113.0/24", "192.0.2.0/25"];

fn rib() -> Rib {
    let mut rib = Rib::new(config());
    for number in [1, 2] {
        let address = format!("10.0.0.{number}");
        rib.peer_up(PeerId(number), external(65001, &address), accept());
    }
    rib
}

/// Of a path that is so long.
fn put(rib: &mut Rib, peer: u32, prefix: &str, length: usize) {
    let path: Vec<u32> = (0..length).map(|_| 65001).collect();
    let hop = format!("192.0.2.20{peer}");
    announce(rib, peer, prefix, attributes(&path, &hop));
}

#[test]
fn what_the_fib_is_told_again_is_counted_in_a_round_and_not_outside_of_one() {
    let mut rib = rib();
    let told = |rib: &mut Rib| (rib.take_fib_changes(usize::MAX).len(), rib.fib_again());
    let change = |rib: &mut Rib, length| {
        PREFIXES
            .iter()
            .for_each(|prefix| put(rib, 1, prefix, length));
        put(rib, 2, PREFIXES[0], length + 1);
        rib.repeat_forwarding(V4);
    };
    change(&mut rib, 1);
    assert_eq!(told(&mut rib), (3, 0));
    change(&mut rib, 2);
    assert_eq!(told(&mut rib), (3, 0));
    rib.begin_round();
    change(&mut rib, 1);
    assert_eq!(told(&mut rib), (3, 0));
    change(&mut rib, 2);
    rib.begin_round();
    assert_eq!(told(&mut rib), (3, 3), "still the same round");
    rib.end_round();
    change(&mut rib, 1);
    assert_eq!(told(&mut rib), (3, 0));
}

#[test]
fn best_paths_that_change_again_are_counted() {
    let mut rib = rib();
    rib.begin_round();
    PREFIXES
        .iter()
        .for_each(|prefix| put(&mut rib, 1, prefix, 3));
    assert_eq!(rib.take_churn(), (3, 0));
    put(&mut rib, 2, PREFIXES[1], 2);
    assert_eq!(rib.take_churn(), (1, 1));
    put(&mut rib, 2, PREFIXES[2], 4);
    assert_eq!(rib.take_churn(), (0, 0), "not the best");
    withdraw(&mut rib, 2, PREFIXES[1]);
    assert_eq!(rib.take_churn(), (1, 1));
    rib.end_round();
    rib.begin_round();
    withdraw(&mut rib, 1, PREFIXES[1]);
    assert_eq!(rib.take_churn(), (1, 0));
}

#[test]
fn changes_are_taken_in_a_circle() {
    let mut rib = rib();
    PREFIXES
        .iter()
        .for_each(|prefix| put(&mut rib, 1, prefix, 1));
    let mut order = Vec::new();
    for length in 2..6 {
        // The first one changes all the time.
        put(&mut rib, 1, PREFIXES[0], length);
        rib.repeat_forwarding(V4);
        let change = rib.take_fib_changes(1).remove(0);
        order.push(change.prefix);
    }
    let first_three: std::collections::BTreeSet<_> = order.iter().take(3).collect();
    assert_eq!(first_three.len(), 3, "{order:?}");
    assert_eq!(order[3], order[0]);
}
