//! Helping a peer through its restart (RFC 4724, RFC 8538).

use bgp_wire::{Capability, Cease, Family, FamilySet, GracefulRestart, Message, Notification};
use holdfast_api::v1;

use crate::peer::{Hello, Peer, attributes, passive};
use crate::rig::{Net, Router, eventually, loc_rib};

const V4: Family = Family::Ipv4Unicast;

fn restart(secs: u16, kept: FamilySet) -> Capability {
    Capability::GracefulRestart(GracefulRestart {
        restarting: false,
        notification: true,
        restart_time_secs: secs,
        families: vec![(V4.afi_safi(), kept.contains(V4))],
    })
}

fn kept() -> FamilySet {
    FamilySet::from_iter([V4])
}

/// A router with two routes of a peer that can restart.
async fn learned(secs: u16) -> (Router, Peer) {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    router.run(&passive(&router, 2, 65002)).await;
    let hello = Hello::new(65002).and(restart(secs, kept()));
    let mut peer = Peer::up(&router, 2, hello).await;
    let route = attributes(&[65002]);
    peer.announce(&["198.51.100.0/24", "203.0.113.0/24"], &route)
        .await;
    peer.end_of_rib(V4).await;
    router.has(&["198.51.100.0/24", "203.0.113.0/24"]).await;
    (router, peer)
}

async fn down(router: &Router) {
    eventually("the end of the session", || async {
        (router.state(2).await != v1::SessionState::Established).then_some(())
    })
    .await;
}

async fn stale(router: &Router) -> usize {
    let routes = router.routes(loc_rib(v1::Family::Ipv4Unicast)).await;
    routes
        .iter()
        .flat_map(|r| &r.paths)
        .filter(|p| p.stale)
        .count()
}

#[tokio::test]
async fn routes_stay_stale_until_the_end_of_rib() {
    let (router, peer) = learned(120).await;
    drop(peer);
    down(&router).await;
    assert_eq!(
        (stale(&router).await, router.prefixes().await.len()),
        (2, 2)
    );
    let hello = Hello::new(65002).and(restart(120, kept()));
    let mut peer = Peer::up(&router, 2, hello).await;
    peer.announce(&["203.0.113.0/24"], &attributes(&[65002]))
        .await;
    eventually("one heard again", || async {
        (stale(&router).await == 1).then_some(())
    })
    .await;
    assert_eq!(router.prefixes().await.len(), 2);
    peer.end_of_rib(V4).await;
    router.has(&["203.0.113.0/24"]).await;
}

#[tokio::test]
async fn routes_go_when_the_restart_takes_too_long() {
    let (router, peer) = learned(1).await;
    drop(peer);
    down(&router).await;
    router.has(&[]).await;
    assert_eq!(router.peer(2).await.connections_established, 1);
}

#[tokio::test]
async fn routes_go_at_once_when_the_peer_did_not_keep_forwarding() {
    let (router, peer) = learned(120).await;
    drop(peer);
    down(&router).await;
    let hello = Hello::new(65002).and(restart(120, FamilySet::EMPTY));
    let _peer = Peer::up(&router, 2, hello).await;
    router.has(&[]).await;
}

#[tokio::test]
async fn routes_go_at_once_when_the_peer_comes_back_without_the_capability() {
    let (router, peer) = learned(120).await;
    drop(peer);
    down(&router).await;
    let _peer = Peer::up(&router, 2, Hello::new(65002)).await;
    router.has(&[]).await;
}

/// RFC 8538: a NOTIFICATION is no worse than a lost connection, but for a hard
/// reset.
#[tokio::test]
async fn a_notification_keeps_routes_and_a_hard_reset_does_not() {
    let (router, mut peer) = learned(120).await;
    let soft = Notification::cease(Cease::AdministrativeReset);
    peer.send(Message::Notification(soft.clone())).await;
    drop(peer);
    down(&router).await;
    assert_eq!(stale(&router).await, 2);
    let hello = Hello::new(65002).and(restart(120, kept()));
    let mut peer = Peer::up(&router, 2, hello).await;
    let hard = Notification::hard_reset(&soft);
    peer.send(Message::Notification(hard)).await;
    router.has(&[]).await;
}

#[tokio::test]
async fn a_removed_neighbor_takes_its_stale_routes_along() {
    let (router, peer) = learned(120).await;
    drop(peer);
    down(&router).await;
    assert_eq!(stale(&router).await, 2);
    router.run("").await;
    router.has(&[]).await;
}
