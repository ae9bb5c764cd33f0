//! Routes asked for again (RFC 2918, RFC 7313), and soft resets.

use bgp_wire::{Capability, Family, Message, RouteRefresh, RouteRefreshKind};
use holdfast_api::v1;

use crate::peer::{Hello, Peer, attributes, passive, said};
use crate::rig::{Net, Router, eventually};

const V4: Family = Family::Ipv4Unicast;

fn networks() -> &'static str {
    " address-family ipv4 unicast\n  network 198.51.100.0/24\n  network 203.0.113.0/24\n \
     exit-address-family\n"
}

/// Everything up to a mark of the refresh or a new route, as words.
async fn words(peer: &mut Peer, count: usize) -> Vec<String> {
    let mut words = Vec::new();
    while words.len() < count {
        match peer.next().await.expect("a message") {
            Message::RouteRefresh(refresh) => words.push(format!("{:?}", refresh.kind)),
            Message::Update(update) if update.end_of_rib.is_some() => {
                words.push("EndOfRib".to_owned());
            }
            Message::Update(update) => {
                let (announced, withdrawn) = said(&update);
                words.extend(announced);
                words.extend(withdrawn.into_iter().map(|p| format!("no {p}")));
            }
            _ => {}
        }
    }
    words
}

#[tokio::test]
async fn a_plain_request_is_answered_with_everything_and_no_marks() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    router
        .run(&format!("{}{}", passive(&router, 2, 65002), networks()))
        .await;
    let mut peer = Peer::up(&router, 2, Hello::new(65002)).await;
    peer.initial().await;
    peer.refresh(V4, RouteRefreshKind::Request).await;
    let mut got = words(&mut peer, 2).await;
    got.sort();
    assert_eq!(got, ["198.51.100.0/24", "203.0.113.0/24"]);
    // The next thing said is the next thing that happens: no mark follows.
    router.line("network 192.0.2.0/24").await;
    assert_eq!(words(&mut peer, 1).await, ["192.0.2.0/24"]);
}

#[tokio::test]
async fn an_enhanced_request_is_answered_between_marks() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    router
        .run(&format!("{}{}", passive(&router, 2, 65002), networks()))
        .await;
    let hello = Hello::new(65002).and(Capability::EnhancedRouteRefresh);
    let mut peer = Peer::up(&router, 2, hello).await;
    peer.initial().await;
    // A family that was not negotiated is no business of ours.
    peer.refresh(Family::Ipv6Unicast, RouteRefreshKind::Request)
        .await;
    for _ in 0..2 {
        peer.refresh(V4, RouteRefreshKind::Request).await;
        let got = words(&mut peer, 4).await;
        assert_eq!(
            (got[0].as_str(), got[3].as_str()),
            ("Begin", "End"),
            "{got:?}"
        );
    }
}

/// RFC 7313 section 4.1: no BoRR before the End-of-RIB. The first transfer
/// stands still while the request comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_in_the_middle_of_the_first_transfer_begins_nothing() {
    // One portion that is being written and larger than all buffers, two that
    // wait, and a bit.
    const ROUTES: u32 = 3 * 4096 + 100;
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    let both = [2, 3].map(|h| passive(&router, h, 65000 + u32::from(h)));
    router.run(&both.concat()).await;
    let mut feeder = Peer::up(&router, 2, Hello::new(65002)).await;
    for index in 0..ROUTES {
        let mut route = attributes(&[65002, 100_000 + index]);
        route.communities = vec![bgp_wire::Community(index); 240];
        let prefix = format!("10.{}.{}.0/24", index / 256, index % 256);
        feeder.announce(&[&prefix], &route).await;
    }
    eventually("all routes", || async {
        (router.peer(2).await.families[0].accepted == u64::from(ROUTES)).then_some(())
    })
    .await;
    let hello = Hello::new(65003).and(Capability::EnhancedRouteRefresh);
    let mut peer = Peer::up_with(&router, 3, hello, Some(4096)).await;
    peer.refresh(V4, RouteRefreshKind::Request).await;
    eventually("the request", || async {
        let received = router.peer(3).await.received.unwrap();
        (received.route_refreshes == 1).then_some(())
    })
    .await;
    assert!(!router.peer(3).await.families[0].end_of_rib_sent);
    let mut routes = 0;
    loop {
        match peer.next().await.expect("a message") {
            Message::RouteRefresh(refresh) => panic!("{refresh:?} after {routes} routes"),
            Message::Update(update) if update.end_of_rib == Some(V4) => break,
            Message::Update(update) => routes += said(&update).0.len(),
            _ => {}
        }
    }
    assert!(routes >= ROUTES as usize, "{routes}");
    // And none of an end that has no beginning.
    router.line("network 192.0.2.0/24").await;
    assert_eq!(words(&mut peer, 1).await, ["192.0.2.0/24"]);
}

#[tokio::test]
async fn what_is_not_sent_again_between_the_marks_goes() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    router.run(&passive(&router, 2, 65002)).await;
    let hello = Hello::new(65002).and(Capability::EnhancedRouteRefresh);
    let mut peer = Peer::up(&router, 2, hello).await;
    let route = attributes(&[65002]);
    peer.announce(&["198.51.100.0/24", "203.0.113.0/24"], &route)
        .await;
    router.has(&["198.51.100.0/24", "203.0.113.0/24"]).await;
    peer.refresh(V4, RouteRefreshKind::Begin).await;
    peer.announce(&["203.0.113.0/24"], &route).await;
    peer.refresh(V4, RouteRefreshKind::End).await;
    router.has(&["203.0.113.0/24"]).await;
}

#[tokio::test]
async fn marks_of_a_peer_that_may_not_send_them_change_nothing() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    router.run(&passive(&router, 2, 65002)).await;
    let mut peer = Peer::up(&router, 2, Hello::new(65002)).await;
    let route = attributes(&[65002]);
    peer.announce(&["198.51.100.0/24"], &route).await;
    peer.refresh(V4, RouteRefreshKind::Begin).await;
    peer.refresh(V4, RouteRefreshKind::End).await;
    peer.announce(&["203.0.113.0/24"], &route).await;
    router.has(&["198.51.100.0/24", "203.0.113.0/24"]).await;
}

#[tokio::test]
async fn soft_resets_ask_the_peer_and_send_again() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    router
        .run(&format!("{}{}", passive(&router, 2, 65002), networks()))
        .await;
    let mut peer = Peer::up(&router, 2, Hello::new(65002)).await;
    peer.initial().await;
    let clear = |kind: v1::ClearKind| {
        router.speaker.clear(v1::ClearRequest {
            kind: kind.into(),
            target: Some(v1::clear_request::Target::All(true)),
            ..v1::ClearRequest::default()
        })
    };
    assert_eq!(clear(v1::ClearKind::ClearSoftIn).await.unwrap(), 1);
    let asked = peer
        .find(|m| match m {
            Message::RouteRefresh(refresh) => Some(*refresh),
            _ => None,
        })
        .await;
    let family = V4.afi_safi();
    let kind = RouteRefreshKind::Request;
    assert_eq!(asked, RouteRefresh { family, kind });
    assert_eq!(clear(v1::ClearKind::ClearSoftOut).await.unwrap(), 1);
    assert_eq!(words(&mut peer, 2).await.len(), 2);
    eventually("no reset", || async {
        (router.peer(2).await.connections_dropped == 0).then_some(())
    })
    .await;
}
