//! What is announced: policy, networks, next hops, and what fits a message.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use bgp_wire::{Capability, Community};
use bgpd::SpeakerOptions;
use holdfast_api::v1;

use crate::peer::{Hello, Peer, attributes, nlri, passive, said};
use crate::rig::{Net, PORT, Router, eventually, options, parse};

#[tokio::test]
async fn networks_come_and_go_without_a_kernel() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    router.run(&passive(&router, 2, 65002)).await;
    let mut peer = Peer::up(&router, 2, Hello::new(65002)).await;
    assert!(peer.initial().await.is_empty());
    router.line("network 198.51.100.0/24").await;
    let update = peer.next_update().await;
    assert_eq!(said(&update).0, ["198.51.100.0/24"]);
    assert_eq!(
        update.announced[0].next_hop.addr(),
        Ipv4Addr::new(192, 0, 2, 1)
    );
    router.line("no network 198.51.100.0/24").await;
    assert_eq!(said(&peer.next_update().await).1, ["198.51.100.0/24"]);
    // Of a source that nothing comes from: neither error nor route.
    router.line("redistribute connected").await;
    router.line("no redistribute connected").await;
    router.line("network 203.0.113.0/24").await;
    assert_eq!(said(&peer.next_update().await).0, ["203.0.113.0/24"]);
}

/// RFC 8212, both ways, seen and taken back without a reset.
#[tokio::test]
async fn missing_policy_holds_routes_back_until_it_is_not_required() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    let lines = format!("{} network 198.51.100.0/24\n", passive(&router, 2, 65002));
    let strict = router
        .text(&lines)
        .replace(" no bgp ebgp-req", " bgp ebgp-req");
    router.speaker.configure(parse(&strict)).await.unwrap();
    let mut peer = Peer::up(&router, 2, Hello::new(65002)).await;
    assert!(peer.initial().await.is_empty());
    peer.announce(&["203.0.113.0/24"], &attributes(&[65002]))
        .await;
    let seen = eventually("the route", || async {
        let family = router.peer(2).await.families[0].clone();
        (family.received == 1).then_some(family)
    })
    .await;
    assert_eq!((seen.accepted, seen.sent), (0, 0));
    assert!(seen.inbound_policy_missing && seen.outbound_policy_missing);
    router.has(&["198.51.100.0/24"]).await;

    router.line("no bgp ebgp-requires-policy").await;
    assert_eq!(said(&peer.next_update().await).0, ["198.51.100.0/24"]);
    router.has(&["198.51.100.0/24", "203.0.113.0/24"]).await;
    assert!(!router.peer(2).await.families[0].inbound_policy_missing);
    router.line("bgp ebgp-requires-policy").await;
    assert_eq!(said(&peer.next_update().await).1, ["198.51.100.0/24"]);
    router.has(&["198.51.100.0/24"]).await;
    assert_eq!(router.peer(2).await.connections_dropped, 0);
}

#[tokio::test]
async fn attributes_too_large_for_a_peer_are_withdrawn_from_it_alone() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    let all = [2, 3, 4].map(|h| passive(&router, h, 65000 + u32::from(h)));
    router.run(&all.concat()).await;
    let wide = |asn| Hello::new(asn).and(Capability::ExtendedMessage);
    let mut feeder = Peer::up(&router, 2, wide(65002)).await;
    let mut able = Peer::up(&router, 3, wide(65003)).await;
    let mut small = Peer::up(&router, 4, Hello::new(65004)).await;
    able.initial().await;
    small.initial().await;
    let mut route = attributes(&[65002]);
    feeder.announce(&["203.0.113.0/24"], &route).await;
    for peer in [&mut able, &mut small] {
        assert_eq!(said(&peer.next_update().await).0, ["203.0.113.0/24"]);
    }
    route.communities = (0..2000).map(Community).collect();
    feeder.announce(&["203.0.113.0/24"], &route).await;
    let update = able.next_update().await;
    assert_eq!(update.attributes.communities.len(), 2000);
    assert_eq!(said(&small.next_update().await).1, ["203.0.113.0/24"]);
    route.communities.clear();
    feeder.announce(&["203.0.113.0/24"], &route).await;
    assert_eq!(said(&small.next_update().await).0, ["203.0.113.0/24"]);
}

#[tokio::test]
async fn ten_thousand_prefixes_arrive_once_each() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    let both = [2, 3].map(|h| passive(&router, h, 65000 + u32::from(h)));
    router.run(&both.concat()).await;
    let wide = Hello::new(65002).and(Capability::ExtendedMessage);
    let mut feeder = Peer::up(&router, 2, wide).await;
    let mut reader = Peer::up(&router, 3, Hello::new(65003)).await;
    reader.initial().await;
    let list: Vec<_> = (0..10_000u32)
        .map(|n| nlri(&format!("10.{}.{}.0/24", n / 256, n % 256)))
        .collect();
    feeder.announce_all(&list, &attributes(&[65002])).await;
    let mut got = Vec::new();
    while got.len() < list.len() {
        got.extend(said(&reader.next_update().await).0);
    }
    got.sort_unstable();
    got.dedup();
    assert_eq!(got.len(), list.len());
    assert_eq!(router.peer(3).await.families[0].sent, 10_000);
}

/// IPv4 routes over an IPv6 session (RFC 8950).
#[tokio::test]
async fn ipv4_routes_travel_with_an_ipv6_next_hop() {
    let net = Net::new();
    // There is one address ::1; ports tell the two apart.
    let port = |host: u16| PORT + 100 + 2 * (std::process::id() % 500) as u16 + host;
    let at = |host: u16| SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port(host));
    let start = |host: u8| SpeakerOptions {
        listen: vec![at(host.into())],
        next_hop_v4: None,
        next_hop_v6: Some(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into())),
        ..options(net, host)
    };
    let one = Router::with(net, 1, 65001, start(1)).await;
    let two = Router::with(net, 2, 65002, start(2)).await;
    let lines = |other: u16, asn: u32| {
        format!(
            " neighbor ::1 remote-as {asn}\n neighbor ::1 port {}\n \
             neighbor ::1 timers connect 1\n neighbor ::1 capability extended-nexthop\n",
            port(other)
        )
    };
    let network = " address-family ipv4 unicast\n  network 198.51.100.0/24\n exit-address-family\n";
    one.run(&format!("{}{network}", lines(2, 65002))).await;
    two.run(&lines(1, 65001)).await;
    two.has(&["198.51.100.0/24"]).await;
    let routes = two
        .routes(crate::rig::loc_rib(v1::Family::Ipv4Unicast))
        .await;
    let attributes = routes[0].paths[0].attributes.as_ref().unwrap();
    assert_eq!(attributes.next_hop, "2001:db8::1");
}
