//! Watchers: what they see, and what they cost.

use bgpd::speaker::Watch;
use holdfast_api::v1;
use holdfast_api::v1::watch_event::Event;

use crate::peer::{Hello, Peer, attributes, nlri, passive};
use crate::rig::{Net, Router, soon};

fn all() -> v1::WatchRequest {
    v1::WatchRequest {
        peers: true,
        routes: true,
        fib: true,
        ..v1::WatchRequest::default()
    }
}

async fn next(watch: &mut Watch) -> Event {
    let event = soon("an event", watch.next()).await;
    event.expect("the speaker runs").event.unwrap()
}

async fn find<T>(watch: &mut Watch, mut pick: impl FnMut(Event) -> Option<T>) -> T {
    loop {
        if let Some(found) = pick(next(watch).await) {
            return found;
        }
    }
}

fn route(event: Event) -> Option<v1::RouteChange> {
    match event {
        Event::Route(change) => Some(change),
        _ => None,
    }
}

async fn up() -> (Router, Peer) {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    router.run(&passive(&router, 2, 65002)).await;
    let peer = Peer::up(&router, 2, Hello::new(65002)).await;
    router.established(2).await;
    (router, peer)
}

#[tokio::test]
async fn a_watcher_sees_routes_and_the_fib_change() {
    let (router, mut peer) = up().await;
    peer.announce(&["192.0.2.0/25"], &attributes(&[65002]))
        .await;
    router.has(&["192.0.2.0/25"]).await;
    let mut watch = router.speaker.watch(all()).unwrap();
    let mut only_routes = router
        .speaker
        .watch(v1::WatchRequest {
            routes: true,
            ..v1::WatchRequest::default()
        })
        .unwrap();
    peer.announce(&["203.0.113.0/24"], &attributes(&[65002, 65007]))
        .await;
    let (mut in_table, mut in_fib) = (None, None);
    while in_table.is_none() || in_fib.is_none() {
        match next(&mut watch).await {
            Event::Route(change) => in_table = Some(change),
            Event::Fib(change) => in_fib = Some(change),
            other => panic!("{other:?}"),
        }
    }
    let change = in_table.unwrap();
    assert_eq!(
        (change.prefix.as_str(), change.family),
        ("203.0.113.0/24", 1)
    );
    let path = &change.route.unwrap().paths[0];
    assert!(path.best);
    assert_eq!(
        path.attributes.as_ref().unwrap().as_path_text,
        "65002 65007"
    );
    let installed = in_fib.unwrap().route.unwrap();
    assert!(installed.installed);
    assert_eq!((installed.distance, installed.next_hops.len()), (20, 1));
    assert_eq!(installed.next_hops[0].address, "192.0.2.200");

    peer.withdraw(&["203.0.113.0/24"]).await;
    let gone = find(&mut watch, route).await;
    assert_eq!((gone.prefix.as_str(), gone.route), ("203.0.113.0/24", None));
    let (first, second) = (next(&mut only_routes).await, next(&mut only_routes).await);
    assert!(matches!(first, Event::Route(c) if c.route.is_some()));
    assert!(matches!(second, Event::Route(c) if c.route.is_none()));
}

#[tokio::test]
async fn a_watcher_sees_sessions_and_our_own_routes() {
    let (router, peer) = up().await;
    let mut watch = router.speaker.watch(all()).unwrap();
    router.line("network 198.51.100.0/24").await;
    let change = find(&mut watch, route).await;
    assert!(change.route.unwrap().paths[0].local);
    drop(peer);
    let change = find(&mut watch, |event| match event {
        Event::Peer(change) => Some(change),
        _ => None,
    })
    .await;
    assert_eq!(change.address, router.net.host(2).to_string());
    assert_eq!(change.from(), v1::SessionState::Established);
}

#[tokio::test]
async fn one_family_is_watched_alone() {
    let (router, mut peer) = up().await;
    let mut watch = router
        .speaker
        .watch(v1::WatchRequest {
            family: v1::Family::Ipv6Unicast.into(),
            ..all()
        })
        .unwrap();
    peer.announce(&["203.0.113.0/24"], &attributes(&[65002]))
        .await;
    router.has(&["203.0.113.0/24"]).await;
    router
        .lines(
            &["router bgp 65001", "address-family ipv6 unicast"],
            &["network 2001:db8::/32"],
        )
        .await;
    let change = find(&mut watch, route).await;
    assert_eq!(change.prefix, "2001:db8::/32");
}

/// It is told how much it missed, goes on with what is current, and neither
/// the router nor another watcher notices.
#[tokio::test]
async fn a_watcher_that_stands_still_loses_events_and_nothing_else() {
    let (router, mut peer) = up().await;
    let routes = v1::WatchRequest {
        routes: true,
        ..v1::WatchRequest::default()
    };
    let mut asleep = router.speaker.watch(routes.clone()).unwrap();
    let mut awake = router.speaker.watch(routes.clone()).unwrap();
    let list: Vec<_> = (0..8000u32)
        .map(|n| nlri(&format!("10.{}.{}.0/24", n / 256, n % 256)))
        .collect();
    peer.announce_all(&list, &attributes(&[65002])).await;
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < list.len() {
        match next(&mut awake).await {
            Event::Route(change) => {
                seen.insert(change.prefix);
            }
            other => panic!("the one that reads lost something: {other:?}"),
        }
    }
    assert!(matches!(next(&mut asleep).await, Event::Lagged(lost) if lost > 0));
    let last = "203.0.113.0/24";
    peer.announce(&[last], &attributes(&[65002])).await;
    let change = find(&mut asleep, |e| route(e).filter(|c| c.prefix == last)).await;
    assert!(change.route.is_some());
}

#[tokio::test]
async fn a_watch_ends_with_the_speaker() {
    let (router, peer) = up().await;
    drop(peer);
    let mut watch = router.speaker.watch(all()).unwrap();
    router.speaker.stop(false).await;
    soon("the end", async { while watch.next().await.is_some() {} }).await;
    assert!(router.speaker.watch(all()).unwrap().next().await.is_none());
}
