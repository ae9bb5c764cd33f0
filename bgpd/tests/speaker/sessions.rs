//! Sessions that come, go and change.

use std::net::Ipv4Addr;

use bgp_wire::{Cease, Message};
use holdfast_api::v1;

use crate::peer::{Hello, Peer, attributes, passive};
use crate::rig::{Net, Router, eventually, parse};

#[tokio::test]
async fn two_speakers_exchange_routes_and_end_of_rib() {
    let net = Net::new();
    let one = Router::start(net, 1, 65001).await;
    let two = Router::start(net, 2, 65002).await;
    let network = " address-family ipv4 unicast\n  network 198.51.100.0/24\n exit-address-family\n";
    one.run(&format!("{}{network}", one.neighbor(2, 65002)))
        .await;
    two.run(&two.neighbor(1, 65001)).await;
    two.has(&["198.51.100.0/24"]).await;
    for (router, other, after_routes) in [(&one, 2, true), (&two, 1, false)] {
        eventually("both markers", || async {
            let peer = router.peer(other).await;
            let family = peer.families.first()?;
            (family.end_of_rib_sent && family.end_of_rib_received).then_some(())
        })
        .await;
        let peer = router.peer(other).await;
        assert_eq!(peer.families[0].end_of_rib_after_update, after_routes);
    }
    one.speaker.stop(false).await;
    two.has(&[]).await;
    two.speaker.stop(false).await;
}

/// What one session said must not be taken for what the next one says.
#[tokio::test]
async fn routes_of_a_session_end_with_it_however_fast_the_next_one_comes() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    router.run(&passive(&router, 2, 65002)).await;
    for round in 0..2u8 {
        let mut peer = Peer::up(&router, 2, Hello::new(65002)).await;
        for host in 0..200u8 {
            let prefix = format!("10.{round}.{host}.0/24");
            peer.announce(&[&prefix], &attributes(&[65002])).await;
        }
        // Closed without a word and at once opened anew.
    }
    let mut last = Peer::up(&router, 2, Hello::new(65002)).await;
    last.announce(&["203.0.113.0/24"], &attributes(&[65002]))
        .await;
    router.has(&["203.0.113.0/24"]).await;
    let peer = router.peer(2).await;
    assert_eq!(peer.families[0].received, 1);
    assert_eq!(peer.connections_established, 3);
    assert_eq!(peer.connections_dropped, 2);
}

#[tokio::test]
async fn a_neighbor_removed_is_told_so_and_its_routes_go() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    router.run(&passive(&router, 2, 65002)).await;
    let mut peer = Peer::up(&router, 2, Hello::new(65002)).await;
    peer.announce(&["203.0.113.0/24"], &attributes(&[65002]))
        .await;
    router.has(&["203.0.113.0/24"]).await;
    let changes = router.run("").await;
    assert_eq!(changes, [format!("neighbor {}: is removed", net.host(2))]);
    router.has(&[]).await;
    let last = peer.farewell().await;
    assert_eq!(last.cease_reason(), Some(Cease::PeerDeconfigured));
    assert!(router.speaker.peers(None).await.unwrap().is_empty());
    // Whoever calls now is nobody.
    let mut stranger = Peer::dial(net, 2, 1).await;
    assert!(stranger.next().await.is_none());
}

#[tokio::test]
async fn a_neighbor_removed_and_added_at_once_is_a_new_one() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    let lines = passive(&router, 2, 65002);
    router.run(&lines).await;
    for _ in 0..3 {
        let mut peer = Peer::up(&router, 2, Hello::new(65002)).await;
        peer.announce(&["203.0.113.0/24"], &attributes(&[65002]))
            .await;
        router.has(&["203.0.113.0/24"]).await;
        router.run("").await;
        router.run(&lines).await;
        assert_eq!(router.peer(2).await.connections_established, 0);
        assert!(router.prefixes().await.is_empty());
    }
    let _peer = Peer::up(&router, 2, Hello::new(65002)).await;
    router.established(2).await;
}

#[tokio::test]
async fn changed_parameters_reset_the_session_only_where_they_must() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    let lines = passive(&router, 2, 65002);
    router.run(&lines).await;
    let mut peer = Peer::up(&router, 2, Hello::new(65002)).await;
    router.established(2).await;
    let address = net.host(2);
    for quiet in [
        format!(" neighbor {address} description core\n"),
        format!(" neighbor {address} timers 20 60\n"),
    ] {
        let changes = router.run(&format!("{lines}{quiet}")).await;
        assert_eq!(changes, [format!("neighbor {address}: session stays")]);
    }
    assert_eq!(router.peer(2).await.connections_established, 1);

    let changes = router
        .speaker
        .configure(parse(
            &router
                .text(&lines)
                .replace("router-id 10.0.0.1", "router-id 10.0.0.77"),
        ))
        .await
        .unwrap();
    assert_eq!(changes[0], "router-id changes: all sessions are reset");
    let last = peer.farewell().await;
    assert_eq!(last.cease_reason(), Some(Cease::OtherConfigurationChange));
    let peer = Peer::up(&router, 2, Hello::new(65002)).await;
    let open = peer.theirs.as_ref().unwrap();
    assert_eq!(open.bgp_id, Ipv4Addr::new(10, 0, 0, 77));
}

#[tokio::test]
async fn another_as_of_our_own_takes_effect_with_a_reload() {
    let net = Net::new();
    let mut router = Router::start(net, 1, 65001).await;
    router.run(&passive(&router, 2, 65002)).await;
    let mut peer = Peer::up(&router, 2, Hello::new(65002)).await;
    assert_eq!(peer.theirs.as_ref().unwrap().asn(), 65001);
    router.established(2).await;
    router.asn = 65111;
    let lines = passive(&router, 2, 65002);
    let network = " address-family ipv4 unicast\n  network 198.51.100.0/24\n exit-address-family\n";
    router.run(&format!("{lines}{network}")).await;
    let last = peer.farewell().await;
    assert_eq!(last.cease_reason(), Some(Cease::OtherConfigurationChange));
    let mut peer = Peer::up(&router, 2, Hello::new(65002)).await;
    assert_eq!(peer.theirs.as_ref().unwrap().asn(), 65111);
    let update = peer.next_update().await;
    assert!(update.attributes.as_path.asns().eq([65111]));
}

#[tokio::test]
async fn no_router_bgp_ends_everything_and_it_can_begin_again() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    let network = " address-family ipv4 unicast\n  network 198.51.100.0/24\n exit-address-family\n";
    let lines = format!("{}{network}", passive(&router, 2, 65002));
    router.run(&lines).await;
    for _ in 0..2 {
        let mut peer = Peer::up(&router, 2, Hello::new(65002)).await;
        assert_eq!(peer.initial().await.len(), 1);
        let changes = router
            .speaker
            .configure(parse("hostname h\n"))
            .await
            .unwrap();
        assert_eq!(changes, ["hostname changes", "BGP stops"]);
        let last = peer.farewell().await;
        assert_eq!(last.cease_reason(), Some(Cease::PeerDeconfigured));
        let global = router.speaker.global().await.unwrap();
        assert!(!global.bgp_configured);
        assert!(global.tables.iter().all(|t| t.prefixes == 0));
        router.run(&lines).await;
        router.has(&["198.51.100.0/24"]).await;
    }
}

#[tokio::test]
async fn a_shut_down_neighbor_gets_the_words_and_comes_back() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    router.run(&passive(&router, 2, 65002)).await;
    let mut peer = Peer::up(&router, 2, Hello::new(65002)).await;
    router.established(2).await;
    let address = net.host(2);
    router
        .line(&format!("neighbor {address} shutdown message back at noon"))
        .await;
    let last = peer.farewell().await;
    assert_eq!(last.cease_reason(), Some(Cease::AdministrativeShutdown));
    assert_eq!(last.shutdown_communication(), Some("back at noon"));
    assert!(router.peer(2).await.admin_down);
    router
        .line(&format!("no neighbor {address} shutdown"))
        .await;
    let _peer = Peer::up(&router, 2, Hello::new(65002)).await;
    router.established(2).await;
}

#[tokio::test]
async fn a_notification_of_the_peer_is_read_before_its_close() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    router.run(&passive(&router, 2, 65002)).await;
    let mut peer = Peer::up(&router, 2, Hello::new(65002)).await;
    router.established(2).await;
    let words = bgp_wire::Notification::shutdown(Cease::AdministrativeReset, "bye");
    peer.send(Message::Notification(words)).await;
    drop(peer);
    let last = eventually("the session's end", || async {
        let peer = router.peer(2).await;
        (peer.state() != v1::SessionState::Established).then_some(peer)
    })
    .await;
    assert_eq!(
        (last.last_notification_code, last.last_notification_subcode),
        (6, 4)
    );
    assert!(!last.last_notification_sent);
}

#[tokio::test]
async fn clear_resets_hard_and_the_session_comes_back() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    router.run(&passive(&router, 2, 65002)).await;
    let mut peer = Peer::up(&router, 2, Hello::new(65002)).await;
    router.established(2).await;
    let clear = |target| {
        router.speaker.clear(v1::ClearRequest {
            kind: v1::ClearKind::ClearHard.into(),
            target: Some(target),
            ..v1::ClearRequest::default()
        })
    };
    use v1::clear_request::Target;
    assert_eq!(
        clear(Target::Address(net.host(2).to_string()))
            .await
            .unwrap(),
        1
    );
    let last = peer.farewell().await;
    assert_eq!(last.cease_reason(), Some(Cease::AdministrativeReset));
    let mut peer = Peer::up(&router, 2, Hello::new(65002)).await;
    router.established(2).await;
    assert_eq!(clear(Target::Asn(65002)).await.unwrap(), 1);
    peer.farewell().await;
    assert_eq!(
        clear(Target::Asn(65003)).await.unwrap_err().to_string(),
        "no such neighbor"
    );
    assert!(
        clear(Target::Address("192.0.2.77".to_owned()))
            .await
            .is_err()
    );
}

/// The listener's keys follow the configuration, whoever connects first.
#[tokio::test]
async fn sessions_need_the_same_password_at_both_ends() {
    let net = Net::new();
    let one = Router::start(net, 1, 65001).await;
    let two = Router::start(net, 2, 65002).await;
    let with = |router: &Router, other: u8, asn: u32, password: &str| {
        let address = net.host(other);
        format!(
            "{} neighbor {address} password {password}\n",
            router.neighbor(other, asn)
        )
    };
    one.run(&with(&one, 2, 65002, "right")).await;
    two.run(&with(&two, 1, 65001, "right")).await;
    one.established(2).await;
    // Taken away and given back at once: the key must not go with the old one.
    one.run("").await;
    one.run(&with(&one, 2, 65002, "right")).await;
    one.established(2).await;
    two.established(1).await;
    // Changed at one end, the session ends; changed at the other, it is back.
    one.run(&with(&one, 2, 65002, "other")).await;
    eventually("the end of the session", || async {
        (two.state(1).await != v1::SessionState::Established).then_some(())
    })
    .await;
    two.run(&with(&two, 1, 65001, "other")).await;
    one.established(2).await;
    // Without one at all.
    let before = one.peer(2).await.connections_established;
    one.run(&one.neighbor(2, 65002)).await;
    two.run(&two.neighbor(1, 65001)).await;
    eventually("a session without a password", || async {
        let peer = one.peer(2).await;
        let up = peer.state() == v1::SessionState::Established;
        (up && peer.connections_established > before).then_some(())
    })
    .await;
}

#[tokio::test]
async fn sessions_wait_for_a_router_id() {
    let net = Net::new();
    let (left, right) = (
        Router::start(net, 1, 65001).await,
        Router::start(net, 2, 65002).await,
    );
    let nameless = left.text(&left.neighbor(2, 65002));
    let nameless = nameless.replace(" bgp router-id 10.0.0.1\n", "");
    left.speaker.configure(parse(&nameless)).await.unwrap();
    right.run(&right.neighbor(1, 65001)).await;
    // An identifier of 0.0.0.0 is never shown to a peer.
    eventually("the connection to be refused", || async {
        let peer = right.peer(1).await;
        peer.received
            .is_some_and(|r| r.notifications > 0)
            .then_some(())
    })
    .await;
    assert_eq!(left.peer(2).await.sent.unwrap().opens, 0);
    left.line("bgp router-id 10.0.0.1").await;
    left.established(2).await;
}
