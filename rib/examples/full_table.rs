//! Times a full table through the RIB alone: in from one peer or several, out
//! to one update group, and all withdrawn again.
//!
//! `cargo run --release -p holdfast-rib --example full_table -- [prefixes] [feeds]`
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use bgp_wire::update::{Nlri, Prefixes};
use bgp_wire::{AsPath, Community, NextHop, PackedPrefixes, PathAttributes, PeerKind};
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

fn next(state: &mut u64) -> u32 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as u32
}

/// Prefixes in sets of about eleven, in a random order of sets.
fn feed(prefixes: u32, number: u32) -> Vec<(PathAttributes, Vec<Nlri<Ipv4Net>>)> {
    let mut state = u64::from(number) + 1;
    let sets = prefixes / 11 + 1;
    let mut feed: Vec<(PathAttributes, Vec<Nlri<Ipv4Net>>)> = (0..sets)
        .map(|_| {
            let hops = 2 + next(&mut state) as usize % 6;
            let path: Vec<u32> = std::iter::once(65_001 + number)
                .chain((0..hops).map(|_| 1 + next(&mut state) % 400_000))
                .collect();
            let communities = next(&mut state) % 6;
            let attributes = PathAttributes {
                as_path: AsPath::from_sequence(&path),
                next_hop: Some(NextHop::V4([10, 0, number as u8, 1].into())),
                communities: (0..communities)
                    .map(|_| Community(next(&mut state)))
                    .collect(),
                ..PathAttributes::default()
            };
            (attributes, Vec::new())
        })
        .collect();
    // The same prefixes in every feed.
    let mut state = 77;
    let mut list: Vec<u32> = (0..prefixes).map(|i| 0x0100_0000 + i * 0xc0).collect();
    for at in (1..list.len()).rev() {
        list.swap(at, next(&mut state) as usize % (at + 1));
    }
    for (at, bits) in list.into_iter().enumerate() {
        let prefix = Ipv4Net::new(bits.into(), 26).unwrap().trunc();
        let prefix = Nlri { path_id: 0, prefix };
        feed[at / 11].1.push(prefix);
    }
    feed
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |or: u32| arguments.next().map_or(or, |a| a.parse().unwrap());
    let (prefixes, feeds) = (number(1_000_000), number(1));
    let mut rib = Rib::new(RibConfig::new(65_000, [10, 255, 0, 1].into()));
    rib.set_forwarding(false);
    let policy: Arc<dyn Policy> = Arc::new(AcceptAll);
    let peer = |asn, last: u8| PeerInfo {
        local_v4: Some([10, 0, last, 100].into()),
        ..PeerInfo::new(
            PeerKind::External,
            65_000,
            asn,
            std::net::IpAddr::from([10, 0, last, 1]),
        )
    };
    let receiver = PeerId(feeds);
    for at in 0..feeds {
        rib.peer_up(PeerId(at), peer(65_001 + at, at as u8), Arc::clone(&policy));
    }
    rib.peer_up(receiver, peer(64_999, 200), Arc::clone(&policy));
    let drain = |rib: &mut Rib| {
        let (mut told, mut sets) = (0, 0);
        let start = cpu();
        while let Some(group) = rib.pending_groups().first().copied() {
            let batch = rib.export_group(group, 16_384).unwrap();
            sets += batch.announced.len();
            told += batch
                .announced
                .iter()
                .map(|p| p.prefixes.len())
                .sum::<usize>();
            told += batch.withdrawn.iter().map(|p| p.1.len()).sum::<usize>();
        }
        (told, sets, (cpu() - start))
    };
    // What the daemon takes before it looks what came of it.
    let portion = 32_768 / 11;
    drain(&mut rib);
    for at in 0..feeds {
        let events: Vec<(AttrRef, PackedPrefixes)> = feed(prefixes, at)
            .into_iter()
            .map(|(attributes, list)| {
                let list = PackedPrefixes::from_list(&Prefixes::V4(list));
                (AttrRef::received(PeerKind::External, attributes), list)
            })
            .collect();
        let rss = resident();
        let (start, mut out) = (cpu(), Duration::ZERO);
        let (mut told, mut sets) = (0, 0);
        for portion in events.chunks(portion) {
            for (set, list) in portion {
                let event = RouteEvent::Announce(set.clone(), list.clone());
                rib.apply(PeerId(at), &event, 1);
            }
            for event in rib.take_tracking() {
                if let TrackEvent::Track(addr) = event {
                    let state = NextHopState::new(0, true);
                    rib.next_hop_changed(addr, Some(state));
                }
            }
            let drained = drain(&mut rib);
            (told, sets, out) = (told + drained.0, sets + drained.1, out + drained.2);
        }
        println!(
            "feed {at}: in {:?}, out {out:?} ({told} in {sets}), {} MB more",
            (cpu() - start) - out,
            (resident() - rss) / 1024
        );
    }
    for at in 0..feeds {
        let lists: Vec<PackedPrefixes> = feed(prefixes, at)
            .into_iter()
            .map(|(_, list)| PackedPrefixes::from_list(&Prefixes::V4(list)))
            .collect();
        let (start, mut out) = (cpu(), Duration::ZERO);
        let (mut told, mut sets) = (0, 0);
        for portion in lists.chunks(portion) {
            for list in portion {
                rib.apply(PeerId(at), &RouteEvent::Withdraw(list.clone()), 2);
            }
            let drained = drain(&mut rib);
            (told, sets, out) = (told + drained.0, sets + drained.1, out + drained.2);
        }
        println!(
            "feed {at}: gone {:?}, out {out:?} ({told} in {sets})",
            (cpu() - start) - out
        );
    }
    println!(
        "holds {}, prefixes {}",
        rib.attribute_holds(),
        rib.summary(bgp_wire::Family::Ipv4Unicast).prefixes
    );
}

/// Time on the processor so far: other programs do not count.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

/// Resident memory in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
