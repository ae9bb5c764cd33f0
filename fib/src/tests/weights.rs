//! Weights of next hops: what is asked for, by what resolves them, within what the kernel takes.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use crate::handle::TrackKey;
use crate::resolve::{NARROW_WEIGHT, Resolve, WIDE_WEIGHT};
use crate::route::{KernelHop, NextHop, Resolution};

/// Next hop 10.0.0.N is reached by the routers given for N, each with a weight.
struct Fixed {
    ways: BTreeMap<u8, Vec<(u8, u16)>>,
    max: u16,
}

fn address(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

impl Resolve for Fixed {
    fn resolve(&self, key: TrackKey, _onlink: bool) -> Option<Resolution> {
        let IpAddr::V4(wanted) = key.address else {
            return None;
        };
        let ways = self.ways.get(&wanted.octets()[3])?;
        let hop = |&(router, weight): &(u8, u16)| KernelHop {
            gateway: Some(address(router)),
            ifindex: 1,
            weight,
            onlink: false,
        };
        Some(Resolution {
            gateway: None,
            ifindex: 1,
            ifname: String::new(),
            metric: 0,
            connected: false,
            via: None,
            protocol: 2,
            multipath: ways.iter().map(hop).collect(),
            drops: None,
            through_own: false,
            otherwise: None,
        })
    }

    fn max_weight(&self) -> u16 {
        self.max
    }
}

/// The weights of 10.0.0.1, 10.0.0.2 and so on, each a router itself.
fn written(weights: &[u16], max: u16) -> Vec<u16> {
    let numbers = || (1..).zip(weights);
    let ways = numbers().map(|(n, _)| (n, vec![(n, 1)])).collect();
    let asked: Vec<(u8, u16)> = numbers().map(|(n, weight)| (n, *weight)).collect();
    resolved(&Fixed { ways, max }, &asked)
        .into_values()
        .collect()
}

/// Weights by router.
fn resolved(resolver: &Fixed, asked: &[(u8, u16)]) -> BTreeMap<IpAddr, u16> {
    let next_hop = |&(last, weight): &(u8, u16)| NextHop {
        weight,
        ..NextHop::new(address(last))
    };
    let next_hops: Vec<NextHop> = asked.iter().map(next_hop).collect();
    let found = resolver.kernel_hops(&next_hops).expect("a way");
    let hops = found.hops.into_iter();
    hops.map(|hop| (hop.gateway.expect("a router"), hop.weight))
        .collect()
}

#[test]
fn a_ratio_beyond_the_kernel_is_kept_as_far_as_it_goes() {
    for (asked, narrow, wide) in [
        (&[10_000, 1][..], &[256, 1][..], &[10_000, 1][..]),
        (&[10_000, 5_000, 1], &[256, 128, 1], &[10_000, 5_000, 1]),
        (&[65_535, 65_535], &[1, 1], &[65_535, 65_535]),
        // The lowest terms say the same.
        (&[600, 300, 900], &[2, 1, 3], &[600, 300, 900]),
        (&[100, 256], &[100, 256], &[100, 256]),
        (&[0, 2], &[1, 2], &[1, 2]),
        (&[1_000, 999], &[256, 256], &[1_000, 999]),
    ] {
        assert_eq!(written(asked, NARROW_WEIGHT), narrow, "{asked:?}");
        assert_eq!(written(asked, WIDE_WEIGHT), wide, "{asked:?}");
    }
    assert_eq!(written(&[9], NARROW_WEIGHT), [1], "a single hop has none");
}

#[test]
fn weights_multiply_along_the_way_and_add_up_at_a_router() {
    let ways = BTreeMap::from([
        (1, vec![(101, 1), (102, 2)]),
        (2, vec![(101, 1)]),
        (3, vec![(103, 60_000), (104, 1)]),
    ]);
    let resolver = Fixed {
        ways,
        max: WIDE_WEIGHT,
    };
    let of =
        |asked: &[(u8, u16)]| -> Vec<u16> { resolved(&resolver, asked).into_values().collect() };
    assert_eq!(of(&[(1, 3), (2, 9)]), [12, 6]);
    // Without weights a router is one, however often it is named.
    assert_eq!(of(&[(1, 1), (2, 1)]), [1, 2]);
    // Past 16 bits: 2000 * 60000 to 2000 to 1.
    assert_eq!(of(&[(3, 2_000), (2, 1)]), [1, 65_535, 1]);
    assert_eq!(of(&[(3, 2_000), (2, 40_000)]), [20, 60_000, 1]);
}

proptest! {
    /// Within rounding, and never without a share.
    #[test]
    fn shares_are_as_near_as_the_kernel_allows(
        asked in prop::collection::vec(1u16.., 2..9),
        wide in any::<bool>(),
    ) {
        let max = if wide { WIDE_WEIGHT } else { NARROW_WEIGHT };
        let found = written(&asked, max);
        let largest = f64::from(*asked.iter().max().unwrap());
        let top = f64::from(*found.iter().max().unwrap());
        for (asked, found) in asked.iter().zip(&found) {
            prop_assert!((1..=max).contains(found));
            let ideal = f64::from(*asked) / largest * top;
            let near = (ideal - f64::from(*found)).abs() <= 0.5 + 1e-9;
            prop_assert!(near || (*found == 1 && ideal < 1.0), "{} for {}", found, ideal);
        }
    }
}
