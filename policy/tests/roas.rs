//! Origin validation (RFC 6811).

use holdfast_policy::RoaTable;
use holdfast_policy::model::RpkiState::{Invalid, NotFound, Valid};
use ipnet::IpNet;
use proptest::prelude::*;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

#[test]
fn a_route_is_valid_where_any_payload_agrees() {
    let mut roas = RoaTable::new();
    assert!(roas.is_empty());
    assert!(roas.insert(net("10.0.0.0/16"), 20, 1));
    assert!(roas.insert(net("10.0.0.0/16"), 24, 2));
    assert!(roas.insert(net("10.0.0.0/8"), 8, 3));
    assert!(!roas.insert(net("10.0.0.0/16"), 20, 1));
    assert_eq!(roas.len(), 3);
    let state = |prefix, asn| roas.validate(net(prefix), Some(asn));
    assert_eq!(state("10.0.16.0/20", 1), Valid);
    assert_eq!(state("10.0.16.0/21", 1), Invalid);
    assert_eq!(state("10.0.16.0/21", 2), Valid);
    assert_eq!(state("10.0.0.0/16", 3), Invalid);
    assert_eq!(state("10.0.0.0/8", 3), Valid);
    assert_eq!(state("10.1.0.0/16", 1), Invalid);
    assert_eq!(state("11.0.0.0/8", 1), NotFound);
    // Less specific than any payload.
    assert_eq!(state("0.0.0.0/0", 1), NotFound);
    assert_eq!(state("2001:db8::/32", 1), NotFound);
}

#[test]
fn no_origin_matches_a_set_nor_as_0() {
    let mut roas = RoaTable::new();
    roas.insert(net("2001:db8::/32"), 48, 0);
    roas.insert(net("2001:db8:1::/48"), 48, 7);
    let prefix = net("2001:db8:1::/48");
    assert_eq!(roas.validate(prefix, Some(7)), Valid);
    assert_eq!(roas.validate(prefix, None), Invalid);
    assert_eq!(roas.validate(net("2001:db8:2::/48"), Some(0)), Invalid);
    assert_eq!(roas.validate(net("2001:db9::/48"), None), NotFound);
}

#[test]
fn what_is_taken_out_says_nothing() {
    let mut roas = RoaTable::new();
    // Bits of hosts do not count.
    roas.insert(net("10.0.0.1/24"), 24, 1);
    roas.insert(net("10.0.0.0/24"), 24, 2);
    let all: Vec<_> = roas.iter().collect();
    assert_eq!(
        all,
        [(net("10.0.0.0/24"), 24, 1), (net("10.0.0.0/24"), 24, 2)]
    );
    assert!(!roas.remove(net("10.0.0.0/24"), 25, 1));
    assert!(roas.remove(net("10.0.0.0/24"), 24, 1));
    assert_eq!(roas.validate(net("10.0.0.0/24"), Some(1)), Invalid);
    assert!(roas.remove(net("10.0.0.0/24"), 24, 2));
    assert_eq!(roas.validate(net("10.0.0.0/24"), Some(1)), NotFound);
    assert_eq!((roas.len(), roas.iter().count()), (0, 0));
}

#[test]
fn a_clone_is_a_snapshot() {
    let mut roas = RoaTable::new();
    for block in 0..64u8 {
        let prefix = IpNet::from(ipnet::Ipv4Net::new([10, block, 0, 0].into(), 16).unwrap());
        roas.insert(prefix, 24, 1);
    }
    roas.insert(net("10.0.0.0/8"), 8, 2);
    roas.insert(net("2001:db8::/32"), 48, 1);
    roas.insert(net("2001::/16"), 20, 2);
    let before = roas.clone();
    assert!(roas.remove(net("10.7.0.0/16"), 24, 1));
    assert!(roas.insert(net("10.8.0.0/16"), 24, 3));
    assert!(roas.remove(net("2001:db8::/32"), 48, 1));
    let state = |roas: &RoaTable, prefix, asn| roas.validate(net(prefix), Some(asn));
    assert_eq!(state(&before, "10.7.1.0/24", 1), Valid);
    assert_eq!(state(&roas, "10.7.1.0/24", 1), Invalid);
    assert_eq!(state(&before, "10.8.1.0/24", 3), Invalid);
    assert_eq!(state(&roas, "10.8.1.0/24", 3), Valid);
    assert_eq!(state(&before, "2001:db8:1::/48", 1), Valid);
    assert_eq!(state(&roas, "2001:db8:1::/48", 1), Invalid);
    assert_eq!((before.lens(), roas.lens()), ((65, 2), (65, 1)));
}

#[test]
fn payloads_come_in_the_order_of_their_prefixes() {
    let mut roas = RoaTable::new();
    for (prefix, max_len, asn) in [
        ("2001:db8::/32", 48, 1),
        ("192.0.2.0/24", 24, 9),
        ("10.0.0.0/8", 24, 2),
        ("10.1.0.0/16", 24, 2),
        ("9.0.0.0/20", 24, 2),
        ("192.0.2.0/24", 24, 3),
    ] {
        roas.insert(net(prefix), max_len, asn);
    }
    let all: Vec<String> = roas
        .iter()
        .map(|(net, _, asn)| format!("{net} {asn}"))
        .collect();
    let expected = [
        "9.0.0.0/20 2",
        "10.0.0.0/8 2",
        "10.1.0.0/16 2",
        "192.0.2.0/24 3",
        "192.0.2.0/24 9",
        "2001:db8::/32 1",
    ];
    assert_eq!(all, expected);
    let covering = roas.covering(net("10.1.2.0/24"));
    let expected = [(net("10.1.0.0/16"), 24, 2), (net("10.0.0.0/8"), 24, 2)];
    assert_eq!(covering, expected);
}

/// Prefixes near each other, so that many cover many.
fn near(octet: u8, len: u8, six: bool) -> IpNet {
    let len = 4 + len % 29;
    let (first, rest) = (10 + octet / 128, u32::from(octet % 128) << 9);
    let address = u32::from(first) << 24 | rest;
    let net: IpNet = match six {
        false => ipnet::Ipv4Net::new(address.into(), len).unwrap().into(),
        true => {
            let address = u128::from(address) << 96;
            ipnet::Ipv6Net::new(address.into(), len).unwrap().into()
        }
    };
    net.trunc()
}

type Change = (bool, u8, u8, bool, u8, u8);

proptest! {
    /// Whatever came and went, it is as a look at every payload would have it.
    #[test]
    fn states_are_those_of_a_list(changes in proptest::collection::vec(any::<Change>(), 0..200)) {
        let (mut roas, mut list) = (RoaTable::new(), std::collections::BTreeSet::new());
        for (comes, octet, len, six, longer, asn) in changes {
            let prefix = near(octet, len, six);
            let payload = (prefix, prefix.prefix_len() + longer % 8, u32::from(asn % 4));
            let (prefix, max_len, asn) = payload;
            let changed = match comes {
                true => roas.insert(prefix, max_len, asn) == list.insert(payload),
                false => roas.remove(prefix, max_len, asn) == list.remove(&payload),
            };
            prop_assert!(changed);
        }
        prop_assert!(roas.iter().eq(list.iter().copied()));
        prop_assert_eq!(roas.len(), list.len());
        for (octet, len, six, asn) in (0..=255).map(|n: u8| (n, n.wrapping_mul(37), n.is_multiple_of(3), n % 4)) {
            let (route, asn) = (near(octet, len, six), u32::from(asn));
            let covering = list.iter().filter(|(prefix, ..)| prefix.contains(&route));
            let wanted = covering.fold(NotFound, |state, (_, max_len, of)| {
                let agrees = *of == asn && asn != 0 && route.prefix_len() <= *max_len;
                if agrees || state == Valid { Valid } else { Invalid }
            });
            prop_assert_eq!(roas.validate(route, Some(asn)), wanted, "{} of {}", route, asn);
        }
    }
}
