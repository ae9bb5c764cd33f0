//! What it would cost and bring to cut the table into shards by prefix: each
//! shard is a table of its own in a thread of its own, and gets of every
//! UPDATE the prefixes that are its own.
//!
//! `cargo run --release -p holdfast-rib --example shards -- [prefixes] [shards]`
//!
//! The time on the processor of the slowest shard is what the table would take
//! with as many cores as shards; the sum is what it takes away from others.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bgp_wire::update::{Nlri, Prefixes};
use bgp_wire::{AsPath, NextHop, PackedPrefixes, PathAttributes, PeerKind};
use holdfast_rib::{
    AttrRef, NextHopState, PeerId, PeerInfo, Policy, Rib, RibConfig, RouteContext, RouteEvent,
    TrackEvent, Verdict,
};
use ipnet::Ipv4Net;

#[derive(Debug)]
struct AcceptAll;

impl Policy for AcceptAll {
    fn import(&self, _: &RouteContext<'_>) -> Verdict {
        Verdict::Accept
    }
    fn export(&self, _: &RouteContext<'_>) -> Verdict {
        Verdict::Accept
    }
    fn export_depends_on_peer(&self) -> bool {
        false
    }
}

/// Every eleventh prefix begins a new set, as in a table of the internet.
fn shares(prefixes: u32, shards: u32) -> Vec<Vec<(AttrRef, PackedPrefixes)>> {
    let mut shares: Vec<Vec<(AttrRef, PackedPrefixes)>> = vec![Vec::new(); shards as usize];
    for set in 0..prefixes.div_ceil(11) {
        let path = [65_001, 1 + set % 70_000, 100_000 + set, 7];
        let attributes = PathAttributes {
            as_path: AsPath::from_sequence(path),
            next_hop: Some(NextHop::V4([10, 0, 0, 1].into())),
            ..PathAttributes::default()
        };
        let set_ref = AttrRef::received(PeerKind::External, attributes);
        let mut lists = vec![Vec::new(); shards as usize];
        for number in set * 11..(set * 11 + 11).min(prefixes) {
            // All over the table, as in the order in which sets come.
            let scattered = number.wrapping_mul(0x9e37_79b1) >> 8;
            let prefix = Ipv4Net::new((scattered << 8).into(), 24).unwrap();
            let shard = (scattered.wrapping_mul(0x85eb_ca6b) >> 16) % shards;
            lists[shard as usize].push(Nlri { path_id: 0, prefix });
        }
        for (share, list) in shares.iter_mut().zip(lists) {
            if !list.is_empty() {
                let list = PackedPrefixes::from_list(&Prefixes::V4(list));
                share.push((set_ref.clone(), list));
            }
        }
    }
    shares
}

/// In from one peer and out to another; the time on the processor.
fn run(share: &[(AttrRef, PackedPrefixes)]) -> Duration {
    let start = cpu();
    let mut rib = Rib::new(RibConfig::new(65_000, [10, 255, 0, 1].into()));
    rib.set_forwarding(false);
    let policy: Arc<dyn Policy> = Arc::new(AcceptAll);
    for (number, asn) in [(0u8, 65_001), (1, 65_002)] {
        let address = std::net::IpAddr::from([10, 0, number, 1]);
        let info = PeerInfo {
            local_v4: Some([10, 0, number, 100].into()),
            ..PeerInfo::new(PeerKind::External, 65_000, asn, address)
        };
        rib.peer_up(PeerId(number.into()), info, Arc::clone(&policy));
    }
    for portion in share.chunks(3_000) {
        for (set, list) in portion {
            let event = RouteEvent::Announce(set.clone(), list.clone());
            rib.apply(PeerId(0), &event, 1);
        }
        for event in rib.take_tracking() {
            if let TrackEvent::Track(addr) = event {
                let state = NextHopState::new(0, true);
                rib.next_hop_changed(addr, Some(state));
            }
        }
        while let Some(group) = rib.pending_groups().first().copied() {
            rib.export_group(group, 4_096);
        }
    }
    let time = cpu() - start;
    std::mem::forget(rib);
    time
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |or: u32| arguments.next().map_or(or, |a| a.parse().unwrap());
    let (prefixes, shards) = (number(1_000_000), number(2).max(1));
    let shares = shares(prefixes, shards);
    let start = Instant::now();
    let times: Vec<Duration> = std::thread::scope(|scope| {
        let runs: Vec<_> = shares
            .iter()
            .map(|share| scope.spawn(|| run(share)))
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    println!(
        "{shards} shards: {:?} here, slowest {:?}, together {:?}",
        start.elapsed(),
        times.iter().max().unwrap(),
        times.iter().sum::<Duration>()
    );
}

/// Time on the processor of this thread so far.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}
