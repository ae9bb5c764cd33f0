//! How a speaker ends.

use std::time::{Duration, Instant};

use bgp_wire::{Capability, Cease, Family, GracefulRestart};
use bgpd::Speaker;
use tokio::net::TcpListener;

use crate::peer::{Hello, Peer, accept, attributes, passive};
use crate::rig::{Net, Router, options, soon};

/// Longer than the end may wait for connections that do not close.
const PATIENCE: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_stop_tells_the_peers_and_frees_the_port() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    router.run(&passive(&router, 2, 65002)).await;
    let mut peer = Peer::up(&router, 2, Hello::new(65002)).await;
    let (_, last) = tokio::join!(router.speaker.stop(false), peer.farewell());
    assert_eq!(last.cease_reason(), Some(Cease::AdministrativeShutdown));
    let error = router.speaker.peers(None).await.unwrap_err();
    assert_eq!(error.to_string(), "the speaker has stopped");
    soon("the news", router.speaker.stopped()).await;
    router.speaker.stop(false).await;
    // Another one may have the port at once.
    let again = Speaker::start(options(net, 1)).await.unwrap();
    again.stop(false).await;
}

#[tokio::test]
async fn the_port_is_free_when_the_last_handle_is_gone() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    drop(router.speaker);
    let bind = async {
        loop {
            if let Ok(listener) = TcpListener::bind(net.at(1)).await {
                return listener;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("the port", bind).await;
}

#[tokio::test]
async fn a_graceful_stop_says_nothing() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    router
        .run(&format!(
            " bgp graceful-restart\n{}",
            passive(&router, 2, 65002)
        ))
        .await;
    let restart = Capability::GracefulRestart(GracefulRestart {
        restarting: false,
        notification: true,
        restart_time_secs: 120,
        families: vec![(Family::Ipv4Unicast.afi_safi(), true)],
    });
    let mut peer = Peer::up(&router, 2, Hello::new(65002).and(restart)).await;
    peer.initial().await;
    let (_, end) = tokio::join!(router.speaker.stop(true), peer.next());
    assert_eq!(end, None);
}

/// A peer that neither reads nor closes.
#[tokio::test]
async fn a_stop_does_not_wait_for_a_peer_that_stands_still() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    let both = format!(
        "{}{}",
        passive(&router, 2, 65002),
        passive(&router, 3, 65003)
    );
    router.run(&both).await;
    let stuck = Peer::up_with(&router, 2, Hello::new(65002), Some(4096)).await;
    let mut feeder = Peer::up(&router, 3, Hello::new(65003)).await;
    for index in 0..=255u8 {
        for part in 0..16u8 {
            let mut route = attributes(&[65003, 65100 + u32::from(index)]);
            route.med = Some(part.into());
            route.communities = vec![bgp_wire::Community(7); 200];
            let prefix = format!("10.{index}.{part}.0/24");
            feeder.announce(&[&prefix], &route).await;
        }
    }
    crate::rig::eventually("all routes", || async {
        (router.peer(3).await.families[0].received == 4096).then_some(())
    })
    .await;
    let start = Instant::now();
    router.speaker.stop(false).await;
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    drop(stuck);
}

/// One whose address answers to nothing, and one that is being connected to.
#[tokio::test]
async fn a_stop_while_connecting_is_quick() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    let listener = TcpListener::bind(net.at(3)).await.unwrap();
    router
        .run(&format!(
            "{}{}",
            router.neighbor(2, 65002),
            router.neighbor(3, 65003)
        ))
        .await;
    let silent = accept(&listener).await;
    let start = Instant::now();
    router.speaker.stop(false).await;
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    drop(silent);
}
