//! What ROAs cost, of a table as large as the world's: to build it, to make a
//! snapshot of it, to change it beside one, and to ask it about a route.
//!
//! `cargo bench -p holdfast-policy --bench roas`
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;

use holdfast_policy::RoaTable;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const PAYLOADS: usize = 500_000;
const CHANGES: usize = 1_000;
const QUESTIONS: usize = 1_000_000;

fn next(state: &mut u64) -> u32 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as u32
}

/// Four of five are of IPv4.
fn prefix(state: &mut u64) -> IpNet {
    if next(state).is_multiple_of(5) {
        let high = 0x2001_0000 + next(state) % 0x0a00_0000;
        let address = u128::from(high) << 96 | u128::from(next(state)) << 64;
        let len = [32, 36, 44, 48][next(state) as usize % 4];
        return Ipv6Net::new(address.into(), len).unwrap().trunc().into();
    }
    let len = match next(state) % 300 {
        0 => 14,
        n => [24, 24, 24, 23, 22, 20, 16][n as usize % 7],
    };
    let address = next(state) << 1 | next(state) & 1;
    Ipv4Net::new((address % 0xe000_0000).into(), len)
        .unwrap()
        .trunc()
        .into()
}

fn insert(roas: &mut RoaTable, state: &mut u64) {
    let prefix = prefix(state);
    roas.insert(prefix, prefix.prefix_len(), next(state) % 70_000);
}

fn main() {
    let mut state = 1;
    let start = Instant::now();
    let mut roas = RoaTable::new();
    for _ in 0..PAYLOADS {
        insert(&mut roas, &mut state);
    }
    println!("build {} payloads: {:?}", roas.len(), start.elapsed());
    let start = Instant::now();
    let snapshot = black_box(roas.clone());
    println!("snapshot: {:?}", start.elapsed());
    let start = Instant::now();
    for _ in 0..CHANGES {
        insert(&mut roas, &mut state);
    }
    println!("{CHANGES} changes beside a snapshot: {:?}", start.elapsed());
    let prefixes: Vec<IpNet> = (0..QUESTIONS).map(|_| prefix(&mut state)).collect();
    let start = Instant::now();
    for prefix in &prefixes {
        black_box(snapshot.validate(*prefix, Some(64500)));
    }
    let nanos = start.elapsed().as_nanos() as f64 / QUESTIONS as f64;
    println!("a question: {nanos:.0} ns");
    let start = Instant::now();
    let listed = black_box(roas.iter().collect::<Vec<_>>()).len();
    println!("list {listed} by prefix: {:?}", start.elapsed());
}
