//! VRF devices as the kernel tells of them, and what belongs to them.

use netlink_packet_core::{NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoBridge, InfoData, InfoKind, InfoVrf, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};

use super::mirror::{UP, address, ip, link, tell, tell_route};
use crate::codec::{Body, Notice, messages};
use crate::handle::{TrackKey, ViaDefault};
use crate::kernel::{ForeignTables, Mirror};
use crate::redistribute::Offers;
use crate::resolve::{ByMirror, Resolve, WIDE_WEIGHT};
use crate::route::{KernelHop, NextHop};

/// A link as the kernel writes it.
fn written(ifindex: u32, name: &str, more: Vec<LinkAttribute>) -> Vec<u8> {
    let mut message = LinkMessage::default();
    message.header.index = ifindex;
    message.header.flags = LinkFlags::Up | LinkFlags::Running;
    message.attributes = vec![LinkAttribute::IfName(name.to_owned())];
    message.attributes.extend(more);
    let mut message = NetlinkMessage::new(
        NetlinkHeader::default(),
        NetlinkPayload::from(RouteNetlinkMessage::NewLink(message)),
    );
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

fn vrf_device(table: u32) -> Vec<LinkAttribute> {
    vec![LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Vrf),
        LinkInfo::Data(InfoData::Vrf(vec![InfoVrf::TableId(table)])),
    ])]
}

fn read(bytes: &[u8]) -> Notice {
    let mut messages = messages(bytes);
    match messages.next().map(|message| message.body) {
        Some(Body::Notice(notice)) => notice,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_vrf_device_tells_its_table_and_its_interfaces_their_master() {
    let Notice::Link { link, .. } = read(&written(5, "RED", vrf_device(1001))) else {
        panic!("a link");
    };
    assert_eq!((link.name.as_str(), link.vrf_table), ("RED", Some(1001)));
    let member = vec![LinkAttribute::Controller(5)];
    let Notice::Link { link, .. } = read(&written(6, "eth6", member)) else {
        panic!("a link");
    };
    assert_eq!((link.master, link.vrf_table), (Some(5), None));
    // The same attribute of another kind is something else.
    let bridge = LinkInfo::Data(InfoData::Bridge(vec![InfoBridge::ForwardDelay(7)]));
    let kind = LinkInfo::Kind(InfoKind::Bridge);
    let bridge = vec![LinkAttribute::LinkInfo(vec![kind, bridge])];
    let Notice::Link { link, .. } = read(&written(7, "br0", bridge)) else {
        panic!("a link");
    };
    assert_eq!(link.vrf_table, None);
}

#[test]
fn what_is_cut_short_is_no_vrf() {
    let whole = written(5, "RED", vrf_device(1001));
    for end in 0..whole.len() {
        let mut cut = whole[..end].to_vec();
        if cut.len() >= 4 {
            let length = u32::try_from(cut.len()).unwrap();
            cut[..4].copy_from_slice(&length.to_ne_bytes());
        }
        // Whatever it is taken for, nobody falls over.
        for message in messages(&cut) {
            if let Body::Notice(Notice::Link { link, .. }) = message.body {
                assert!(link.vrf_table.is_none_or(|table| table == 1001));
            }
        }
    }
}

/// e2 in RED by itself, e3 by way of a bridge, e4 in BLUE, e1 in none; each
/// with the same address.
fn mirror(vrf: Option<u32>) -> Mirror {
    let mut mirror = Mirror::default();
    mirror.vrf = vrf;
    tell(&mut mirror, read(&written(10, "RED", vrf_device(1001))));
    tell(&mut mirror, read(&written(20, "BLUE", vrf_device(1002))));
    let under = |master| vec![LinkAttribute::Controller(master)];
    tell(&mut mirror, link(1, UP));
    tell(&mut mirror, read(&written(2, "e2", under(10))));
    tell(&mut mirror, read(&written(30, "br0", under(10))));
    tell(&mut mirror, read(&written(3, "e3", under(30))));
    tell(&mut mirror, read(&written(4, "e4", under(20))));
    for ifindex in 1..=4 {
        tell(&mut mirror, address(ifindex, "10.0.0.1/24", false));
        let own = format!("10.1.{ifindex}.1/24");
        tell(&mut mirror, address(ifindex, &own, false));
    }
    mirror
}

#[test]
fn interfaces_and_addresses_are_those_of_the_vrf() {
    for (vrf, own) in [(None, &[1][..]), (Some(10), &[2, 3]), (Some(20), &[4])] {
        let mirror = mirror(vrf);
        for ifindex in 1..=4u32 {
            let address = ip(&format!("10.1.{ifindex}.1"));
            assert_eq!(mirror.is_own(address), own.contains(&ifindex), "{vrf:?}");
            let subnet = format!("10.1.{ifindex}.0/24").parse().unwrap();
            let offers: Offers = mirror.redistributable_at(subnet);
            assert_eq!(!offers.is_empty(), own.contains(&ifindex), "{vrf:?}");
        }
        let view = mirror.view();
        assert!(view.has_vrfs());
        let view = view.of_vrf(vrf);
        let numbers: Vec<u32> = view.interfaces().iter().map(|i| i.ifindex).collect();
        let expected: &[u32] = match vrf {
            None => &[1],
            Some(10) => &[2, 3, 10, 30],
            Some(_) => &[4, 20],
        };
        assert_eq!(numbers, expected);
        let connected = view.connected_interface(ip("10.0.0.9")).unwrap();
        assert!(own.contains(&connected.ifindex));
    }
}

#[test]
fn masters_in_a_circle_are_in_no_vrf() {
    let mut mirror = mirror(None);
    let under = |master| vec![LinkAttribute::Controller(master)];
    tell(&mut mirror, read(&written(6, "e6", under(7))));
    tell(&mut mirror, read(&written(7, "e7", under(6))));
    assert!(mirror.counts(6));
    assert!(mirror.view().of_vrf(None).interface(7).is_some());
}

#[test]
fn a_next_hop_of_another_table_is_reached_as_from_there() {
    let mut here = mirror(None);
    tell_route(
        &mut here,
        super::mirror::route("10.9.0.0/16", 0, 4, &["10.0.0.7@1"]),
    );
    let mut there = ForeignTables::default();
    // A way of BGP's is none, though it is longer.
    there.update(&super::mirror::route(
        "10.9.9.0/24",
        0,
        186,
        &["10.0.0.6@4"],
    ));
    there.update(&super::mirror::route("10.9.0.0/16", 0, 4, &["10.0.0.8@2"]));
    there.update(&super::mirror::route("10.0.0.0/24", 0, 2, &["@2"]));
    let elsewhere = [(1001, there)].into();
    let resolver = ByMirror {
        mirror: &here,
        elsewhere: &elsewhere,
        ways: None,
        via_default: ViaDefault::default(),
        max_weight: WIDE_WEIGHT,
    };
    let hops = |gateway: &str, table| {
        let next_hop = NextHop {
            table,
            ..NextHop::new(ip(gateway))
        };
        resolver.kernel_hops(&[next_hop]).map(|found| found.hops)
    };
    let hop = |gateway: &str, ifindex, onlink| {
        Some(vec![KernelHop {
            gateway: Some(ip(gateway)),
            ifindex,
            weight: 1,
            onlink,
        }])
    };
    assert_eq!(hops("10.9.9.9", None), hop("10.0.0.7", 1, false));
    assert_eq!(hops("10.9.9.9", Some(1001)), hop("10.0.0.8", 2, true));
    // Our own address, but not over there.
    assert_eq!(hops("10.0.0.1", Some(1001)), hop("10.0.0.1", 2, true));
    assert_eq!(hops("10.9.9.9", Some(1002)), None);
    assert_eq!(hops("192.0.2.1", Some(1001)), None);
    let key = TrackKey::from(ip("10.0.0.1"));
    assert_eq!(resolver.resolve(key, false), None);
}
