//! Link bandwidth: the weights of next hops, and what is said of paths that are
//! used together.

mod common;

use bgp_wire::{ExtendedCommunity, PathAttributes};
use common::*;
use holdfast_rib::{LinkBandwidth, MaxPaths, PeerId, PeerInfo, Rib, RibConfig};
use proptest::prelude::*;

const PREFIX: &str = "203.0.113.0/24";
/// Who hears of it.
const OBSERVER: u32 = 9;
/// 1 Mbit/s in octets per second.
const MEGABIT: f32 = 125_000.0;

fn rib(rule: LinkBandwidth) -> Rib {
    let mut rib = Rib::new(RibConfig {
        max_paths_v4: MaxPaths {
            ebgp: 16,
            ibgp: 16,
            ..MaxPaths::default()
        },
        multipath_relax: true,
        link_bandwidth: rule,
        ..config()
    });
    rib.peer_up(PeerId(OBSERVER), elsewhere(65009, "198.51.100.9"), accept());
    drain(&mut rib, OBSERVER);
    rib
}

/// An external peer that cannot use the next hops of the others, so that ours is
/// the one it is told.
fn elsewhere(asn: u32, address: &str) -> PeerInfo {
    PeerInfo {
        shared_subnets: Vec::new(),
        ..external(asn, address)
    }
}

fn with(number: u32, communities: Vec<ExtendedCommunity>) -> PathAttributes {
    PathAttributes {
        extended_communities: communities,
        ..attributes(&[65000 + number], &format!("192.0.2.{number}"))
    }
}

fn transitive(number: u32, octets: f32) -> ExtendedCommunity {
    ExtendedCommunity::link_bandwidth(65000 + number, octets, true)
}

fn peer(rib: &mut Rib, number: u32, info: PeerInfo, communities: Vec<ExtendedCommunity>) {
    rib.peer_up(PeerId(number), info, accept());
    drain(rib, number);
    announce(rib, number, PREFIX, with(number, communities));
}

/// Peers 1, 2 and so on announce this many octets per second; 0 for none.
fn announced(rule: LinkBandwidth, octets: &[f32]) -> Rib {
    let mut rib = rib(rule);
    for (number, octets) in (1..).zip(octets) {
        let info = external(65000 + number, &format!("192.0.2.{number}"));
        let said = (*octets > 0.0).then(|| transitive(number, *octets));
        peer(&mut rib, number, info, said.into_iter().collect());
    }
    rib
}

/// Peers and weights of what is to be installed.
fn weights(rib: &mut Rib) -> Vec<(u32, u16)> {
    let changes = fib(rib);
    let route = changes.last().and_then(|change| change.route.clone());
    let route = route.expect("a route");
    route
        .next_hops
        .iter()
        .map(|h| (h.peer.0, h.weight))
        .collect()
}

/// What the observer hears.
fn heard(rib: &mut Rib) -> Vec<String> {
    let told = sent(rib, OBSERVER).expect("an announcement");
    let communities = told.extended_communities.iter();
    communities.map(ToString::to_string).collect()
}

fn megabits(list: &[f32]) -> Vec<f32> {
    list.iter().map(|n| n * MEGABIT).collect()
}

#[test]
fn weights_are_hundredths_where_those_are_exact() {
    for (list, expected) in [
        (&[10.0, 30.0, 60.0][..], &[10, 30, 60][..]),
        (&[50.0, 50.0], &[50, 50]),
        (&[1.0, 1.0, 2.0], &[25, 25, 50]),
        // Else the lowest terms.
        (&[1.0, 1000.0], &[1, 1000]),
        (&[100.0, 200.0, 300.0], &[1, 2, 3]),
        (&[7.0, 7.0, 7.0], &[1, 1, 1]),
        // Else what fits: 1 to 100,000.
        (&[1.0, 100_000.0], &[1, 65_535]),
        (&[1.0, 50_000.0, 100_000.0], &[1, 32_768, 65_535]),
    ] {
        let mut rib = announced(LinkBandwidth::WhenAll, &megabits(list));
        let found: Vec<u16> = weights(&mut rib).into_iter().map(|(_, w)| w).collect();
        assert_eq!(found, expected, "{list:?}");
    }
}

#[test]
fn a_path_without_bandwidth_is_treated_as_configured() {
    let list = megabits(&[10.0, 30.0, 0.0]);
    for (rule, expected) in [
        (LinkBandwidth::WhenAll, &[(1, 1), (2, 1), (3, 1)][..]),
        (LinkBandwidth::Ignore, &[(1, 1), (2, 1), (3, 1)]),
        (LinkBandwidth::SkipMissing, &[(1, 25), (2, 75)]),
        (LinkBandwidth::DefaultWeight, &[(1, 25), (2, 75), (3, 1)]),
    ] {
        assert_eq!(weights(&mut announced(rule, &list)), expected, "{rule:?}");
    }
    let alone = megabits(&[10.0, 0.0]);
    let mut rib = announced(LinkBandwidth::SkipMissing, &alone);
    assert_eq!(weights(&mut rib), [(1, 1)]);
    let nobody = megabits(&[0.0, 0.0]);
    let mut rib = announced(LinkBandwidth::SkipMissing, &nobody);
    assert_eq!(weights(&mut rib), [(1, 1), (2, 1)]);
}

#[test]
fn the_sum_is_announced_while_it_is_what_traffic_goes_by() {
    let mut rib = announced(LinkBandwidth::WhenAll, &megabits(&[10.0, 30.0]));
    assert_eq!(heard(&mut rib), ["LB:65000:5000000 (40.000 Mbps)"]);
    // A path that is not the best one changes it.
    let more = vec![transitive(2, 90.0 * MEGABIT)];
    announce(&mut rib, 2, PREFIX, with(2, more));
    assert_eq!(heard(&mut rib), ["LB:65000:12500000 (100.000 Mbps)"]);
    announce(&mut rib, 2, PREFIX, with(2, Vec::new()));
    assert_eq!(heard(&mut rib), ["LB:65001:1250000 (10.000 Mbps)"]);
    // So does the rule, at once.
    let skipping = RibConfig {
        link_bandwidth: LinkBandwidth::SkipMissing,
        ..rib.config().clone()
    };
    let third = external(65003, "192.0.2.3");
    peer(&mut rib, 3, third, vec![transitive(3, 40.0 * MEGABIT)]);
    drain(&mut rib, OBSERVER);
    rib.set_config(skipping);
    assert_eq!(heard(&mut rib), ["LB:65000:6250000 (50.000 Mbps)"]);
    withdraw(&mut rib, 3, PREFIX);
    assert_eq!(heard(&mut rib), ["LB:65000:1250000 (10.000 Mbps)"]);
}

#[test]
fn what_may_not_leave_the_as_is_neither_summed_nor_sent() {
    let mut rib = rib(LinkBandwidth::WhenAll);
    for number in [1, 2] {
        let said = ExtendedCommunity::link_bandwidth(65000, MEGABIT * 10.0, false);
        let info = internal(&format!("192.0.2.{number}"));
        peer(&mut rib, number, info, vec![said]);
    }
    assert_eq!(weights(&mut rib), [(1, 50), (2, 50)]);
    assert_eq!(heard(&mut rib), Vec::<String>::new());
}

#[test]
fn integers_are_read_and_written_where_they_are_expected() {
    let mut rib = rib(LinkBandwidth::WhenAll);
    let ten = transitive(1, MEGABIT * 10.0);
    let writer = PeerInfo {
        integer_bandwidth: true,
        ..external(65001, "192.0.2.1")
    };
    peer(&mut rib, 1, writer, vec![ten.link_bandwidth_to_integer()]);
    let other = external(65002, "192.0.2.2");
    peer(&mut rib, 2, other, vec![transitive(2, MEGABIT * 30.0)]);
    assert_eq!(weights(&mut rib), [(1, 25), (2, 75)]);
    assert_eq!(heard(&mut rib), ["LB:65000:5000000 (40.000 Mbps)"]);
    let reader = PeerInfo {
        integer_bandwidth: true,
        ..elsewhere(65008, "198.51.100.8")
    };
    rib.peer_up(PeerId(8), reader, accept());
    let told = sent(&mut rib, 8).expect("an announcement");
    let [asn, value] = [[0xfd, 0xe8], [0, 0x4c]];
    let expected = [0, 4, asn[0], asn[1], value[0], value[1], 0x4b, 0x40];
    assert_eq!(told.extended_communities, [ExtendedCommunity(expected)]);
}

proptest! {
    /// Every two next hops are to each other as their bandwidths, exactly where
    /// the numbers allow it.
    #[test]
    fn weights_are_to_each_other_as_bandwidths(
        list in prop::collection::vec(1u32..=20_000_000, 2..6),
    ) {
        // Floats of this size are whole numbers up to 2^24.
        let list: Vec<u32> = list.into_iter().map(|n| n.min(1 << 24)).collect();
        let octets: Vec<f32> = list.iter().map(|n| *n as f32).collect();
        let mut rib = announced(LinkBandwidth::WhenAll, &octets);
        let found: Vec<u64> = weights(&mut rib).iter().map(|(_, w)| u64::from(*w)).collect();
        let largest = u64::from(*list.iter().max().unwrap());
        let exact = list.iter().zip(&found).all(|(n, w)| {
            u64::from(*n) * found.iter().max().unwrap() == largest * w
        });
        let lowest = list.iter().fold(0, |a, b| greatest_common(a, *b));
        if largest / u64::from(lowest) <= 65_535 {
            prop_assert!(exact, "{:?}", found);
        } else {
            for (n, w) in list.iter().zip(&found) {
                let ideal = f64::from(*n) / largest as f64 * 65_535.0;
                let near = (ideal - *w as f64).abs() <= 0.5;
                prop_assert!(near || (*w == 1 && ideal < 1.0), "{} for {}", w, n);
            }
        }
    }
}

fn greatest_common(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common(b, a % b) }
}
