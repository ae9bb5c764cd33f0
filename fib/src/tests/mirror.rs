//! The mirror of links, addresses and foreign routes, and resolving through it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::codec::{Notice, RouteNotice};
use crate::handle::{Source, TrackKey, ViaDefault};
use crate::kernel::{Effects, Link, Loss, Mirror};
use crate::resolve::{ByMirror, Resolve, WIDE_WEIGHT};
use crate::route::{KernelHop, KernelKind, KernelRoute};
use crate::view::Address;

pub(super) const UP: u32 = 1 | 1 << 6;
const NO_CARRIER: u32 = 1;
pub(super) const STATIC: u8 = 4;
pub(super) const KERNEL: u8 = 2;

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(super) fn link(ifindex: u32, flags: u32) -> Notice {
    let name = format!("e{ifindex}");
    Notice::Link {
        link: Link {
            ifindex,
            name,
            flags,
            mtu: 1500,
            master: None,
            vrf_table: None,
        },
        gone: false,
    }
}

pub(super) fn address(ifindex: u32, net: &str, gone: bool) -> Notice {
    let address = Address {
        net: net.parse().unwrap(),
        peer: None,
        tentative: false,
        secondary: false,
    };
    Notice::Address {
        ifindex,
        address,
        gone,
    }
}

/// Hops as `gateway@interface`, or `@interface` for on-link.
pub(super) fn route(prefix: &str, metric: u32, protocol: u8, hops: &[&str]) -> RouteNotice {
    let hop = |text: &&str| {
        let (gateway, ifindex) = text.split_once('@').unwrap();
        let gateway = (!gateway.is_empty()).then(|| ip(gateway));
        KernelHop {
            gateway,
            ifindex: ifindex.parse().unwrap(),
            weight: 1,
            onlink: false,
        }
    };
    let kind = match hops {
        [] => KernelKind::Unreachable,
        hops => KernelKind::Unicast(hops.iter().map(hop).collect()),
    };
    RouteNotice {
        prefix: prefix.parse().unwrap(),
        table: 254,
        protocol,
        route: KernelRoute {
            metric,
            kind,
            prefsrc: None,
        },
        replaced: false,
        gone: false,
    }
}

/// Two links that are up, each with a subnet in both families.
pub(super) fn mirror() -> Mirror {
    let mut mirror = Mirror::default();
    for n in 1..=2 {
        tell(&mut mirror, link(n, UP));
        tell(&mut mirror, address(n, &format!("10.0.{n}.1/24"), false));
        tell(&mut mirror, address(n, &format!("fd00:{n}::1/64"), false));
        let on_link = format!("@{n}");
        tell_route(
            &mut mirror,
            route(&format!("10.0.{n}.0/24"), 0, KERNEL, &[&on_link]),
        );
        tell_route(
            &mut mirror,
            route(&format!("fd00:{n}::/64"), 256, KERNEL, &[&on_link]),
        );
    }
    mirror
}

pub(super) fn tell(mirror: &mut Mirror, notice: Notice) -> Effects {
    let mut effects = Effects::default();
    mirror.update(&notice, &mut effects);
    effects
}

pub(super) fn tell_route(mirror: &mut Mirror, notice: RouteNotice) {
    tell(mirror, Notice::Route(notice));
}

fn gateways(mirror: &Mirror, address: &str) -> Option<Vec<(Option<IpAddr>, u32)>> {
    let elsewhere = BTreeMap::new();
    let resolver = ByMirror {
        elsewhere: &elsewhere,
        mirror,
        via_default: ViaDefault::default(),
        max_weight: WIDE_WEIGHT,
        ways: None,
    };
    let found = resolver.resolve(ip(address).into(), false)?;
    Some(
        found
            .multipath
            .iter()
            .map(|hop| (hop.gateway, hop.ifindex))
            .collect(),
    )
}

#[test]
fn the_longest_prefix_and_then_the_lowest_metric_wins() {
    let mut mirror = mirror();
    tell_route(
        &mut mirror,
        route("10.50.0.0/16", 5, STATIC, &["10.0.1.9@1"]),
    );
    tell_route(
        &mut mirror,
        route("10.50.1.0/24", 9, STATIC, &["10.0.2.9@2"]),
    );
    tell_route(
        &mut mirror,
        route("10.50.1.0/24", 7, STATIC, &["10.0.2.7@2"]),
    );
    assert_eq!(
        gateways(&mirror, "10.50.0.1"),
        Some(vec![(Some(ip("10.0.1.9")), 1)])
    );
    assert_eq!(
        gateways(&mirror, "10.50.1.1"),
        Some(vec![(Some(ip("10.0.2.7")), 2)])
    );
    assert_eq!(gateways(&mirror, "10.51.0.1"), None);
    assert_eq!(gateways(&mirror, "fd00:2::9"), Some(vec![(None, 2)]));
}

#[test]
fn links_without_carrier_are_passed_over() {
    let mut mirror = mirror();
    tell_route(
        &mut mirror,
        route("10.50.0.0/24", 1, STATIC, &["10.0.1.9@1", "10.0.2.9@2"]),
    );
    tell_route(
        &mut mirror,
        route("10.50.0.0/24", 2, STATIC, &["10.0.2.8@2"]),
    );
    assert_eq!(gateways(&mirror, "10.50.0.1").unwrap().len(), 2);
    let effects = tell(&mut mirror, link(1, NO_CARRIER));
    // The kernel keeps its routes, but not its nexthop objects.
    assert_eq!(effects.losses, [Loss::Carrier(1)]);
    assert_eq!(
        gateways(&mirror, "10.50.0.1"),
        Some(vec![(Some(ip("10.0.2.9")), 2)])
    );
    assert_eq!(gateways(&mirror, "10.0.1.9"), None);
    tell(&mut mirror, link(1, UP));
    assert_eq!(gateways(&mirror, "10.50.0.1").unwrap().len(), 2);
}

#[test]
fn a_link_going_down_takes_its_routes_along() {
    let mut mirror = mirror();
    tell_route(
        &mut mirror,
        route("10.50.0.0/24", 1, STATIC, &["10.0.1.9@1"]),
    );
    tell_route(
        &mut mirror,
        route("10.60.0.0/24", 1, STATIC, &["10.0.1.9@1", "10.0.2.9@2"]),
    );
    let effects = tell(&mut mirror, link(1, 0));
    assert_eq!(effects.losses, [Loss::Link(1)]);
    tell(&mut mirror, link(1, UP));
    // The kernel tells connected routes again, and does not bring static ones back.
    assert_eq!(gateways(&mirror, "10.50.0.1"), None);
    assert_eq!(
        gateways(&mirror, "10.60.0.1").unwrap().len(),
        2,
        "dead members revive"
    );
}

#[test]
fn a_route_goes_with_the_last_of_its_links() {
    let mut mirror = mirror();
    let both = route("10.60.0.0/24", 1, STATIC, &["10.0.1.9@1", "10.0.2.9@2"]);
    tell_route(&mut mirror, both.clone());
    let known = |mirror: &Mirror| mirror.routes.has(both.prefix, 1);
    tell(&mut mirror, link(2, 0));
    assert!(known(&mirror));
    tell(&mut mirror, link(1, 0));
    assert!(!known(&mirror), "the kernel said nothing and dropped it");
    for n in [1, 2] {
        tell(&mut mirror, link(n, UP));
    }
    assert_eq!(gateways(&mirror, "10.60.0.1"), None);
}

#[test]
fn a_route_that_drops_packets_ends_the_search_without_a_way() {
    let mut mirror = mirror();
    tell_route(&mut mirror, route("10.0.0.0/8", 1, STATIC, &["10.0.1.9@1"]));
    tell_route(&mut mirror, route("10.50.0.0/24", 1, STATIC, &[]));
    assert_eq!(gateways(&mirror, "10.50.0.1"), Some(Vec::new()));
    assert!(gateways(&mirror, "10.50.1.1").is_some_and(|ways| !ways.is_empty()));
}

#[test]
fn own_addresses_and_lonely_link_locals_do_not_resolve() {
    let mirror = mirror();
    let elsewhere = BTreeMap::new();
    let resolver = ByMirror {
        elsewhere: &elsewhere,
        mirror: &mirror,
        via_default: ViaDefault {
            v4: true,
            v6: false,
        },
        max_weight: WIDE_WEIGHT,
        ways: None,
    };
    assert_eq!(gateways(&mirror, "10.0.1.1"), None);
    assert_eq!(gateways(&mirror, "fe80::1"), None);
    let key = TrackKey {
        address: ip("fe80::1"),
        ifindex: Some(2),
    };
    let found = resolver.resolve(key, false).unwrap();
    assert_eq!((found.ifname.as_str(), found.connected), ("e2", true));
    assert_eq!(
        resolver.resolve(
            TrackKey {
                ifindex: Some(9),
                ..key
            },
            false
        ),
        None
    );
}

#[test]
fn the_last_ipv4_address_of_a_link_is_a_loss() {
    let mut mirror = mirror();
    tell(&mut mirror, address(1, "10.0.9.1/24", false));
    let effects = tell(&mut mirror, address(1, "10.0.1.1/24", true));
    assert_eq!(effects.losses, [Loss::Address(ip("10.0.1.1"))]);
    let effects = tell(&mut mirror, address(1, "10.0.9.1/24", true));
    assert_eq!(
        effects.losses,
        [Loss::Address(ip("10.0.9.1")), Loss::LinkV4(1)]
    );
    assert_eq!(
        gateways(&mirror, "10.0.1.9"),
        None,
        "IPv4 is off on this link"
    );
    assert!(gateways(&mirror, "fd00:1::9").is_some(), "IPv6 is not");
}

#[test]
fn single_members_of_a_multipath_route_come_and_go() {
    let mut mirror = mirror();
    let (one, two) = ("fd00:1::9@1", "fd00:2::9@2");
    tell_route(&mut mirror, route("2001:db8::/64", 1024, STATIC, &[one]));
    tell_route(
        &mut mirror,
        route("2001:db8::/64", 1024, STATIC, &[one, two]),
    );
    assert_eq!(gateways(&mirror, "2001:db8::1").unwrap().len(), 2);
    let gone = RouteNotice {
        gone: true,
        ..route("2001:db8::/64", 1024, STATIC, &[one])
    };
    tell_route(&mut mirror, gone);
    assert_eq!(
        gateways(&mirror, "2001:db8::1"),
        Some(vec![(Some(ip("fd00:2::9")), 2)])
    );
    let gone = RouteNotice {
        gone: true,
        ..route("2001:db8::/64", 1024, STATIC, &[two])
    };
    tell_route(&mut mirror, gone);
    assert_eq!(gateways(&mirror, "2001:db8::1"), None);
}

#[test]
fn redistributes_what_others_would() {
    let mut mirror = mirror();
    tell(&mut mirror, address(1, "fe80::1/64", false));
    tell(&mut mirror, address(1, "127.0.0.1/8", false));
    tell_route(&mut mirror, route("fe80::/64", 256, KERNEL, &["@1"]));
    tell_route(
        &mut mirror,
        route("198.51.100.0/24", 3, STATIC, &["10.0.1.9@1"]),
    );
    tell_route(&mut mirror, route("203.0.113.0/24", 0, 3, &["10.0.2.9@2"]));
    // Of staticd, or of another FIB of this daemon.
    tell_route(
        &mut mirror,
        route("203.0.114.0/24", 1, 196, &["10.0.2.9@2"]),
    );
    tell_route(&mut mirror, route("169.254.9.0/24", 0, 3, &["10.0.2.9@2"]));
    tell(&mut mirror, address(2, "169.254.8.1/24", false));
    tell_route(&mut mirror, route("192.0.2.0/24", 0, 188, &["10.0.2.9@2"]));
    let found: Vec<(IpNet, Source)> = mirror.redistributable().into_keys().collect();
    let text: Vec<String> = found.iter().map(|(p, s)| format!("{p} {s:?}")).collect();
    assert_eq!(
        text,
        [
            "10.0.1.0/24 Connected",
            "10.0.2.0/24 Connected",
            "198.51.100.0/24 Static",
            "203.0.113.0/24 Kernel",
            "203.0.114.0/24 Static",
            "fd00:1::/64 Connected",
            "fd00:2::/64 Connected",
        ]
    );
}

#[test]
fn a_fresh_picture_tells_what_differs() {
    let old = mirror();
    let mut new = mirror();
    tell(
        &mut new,
        Notice::Link {
            link: gone_link(2),
            gone: true,
        },
    );
    tell(&mut new, link(3, UP));
    let effects = old.effects_of(&new);
    assert_eq!(effects.interfaces.into_iter().collect::<Vec<_>>(), [2, 3]);
    assert_eq!(
        effects.removed.into_iter().collect::<Vec<_>>(),
        [(2, "e2".to_owned())]
    );
}

fn gone_link(ifindex: u32) -> Link {
    Link {
        ifindex,
        name: format!("e{ifindex}"),
        flags: 0,
        mtu: 0,
        master: None,
        vrf_table: None,
    }
}
