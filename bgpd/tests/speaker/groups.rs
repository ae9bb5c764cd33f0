//! Update groups: peers that are told the same are told it by one look at the
//! table, and yet each gets what is for it.

use std::collections::BTreeSet;

use bgp_wire::{Family, Reason, RouteRefreshKind, Update};
use bgpd::SpeakerOptions;

use crate::load::feed;
use crate::peer::{Hello, Peer, attributes, passive, said};
use crate::rig::{Net, Router, eventually, options};

/// A router that waits for external peers at these hosts; the AS of host 3 is
/// 65003.
async fn router(net: Net, hosts: &[u8], options: SpeakerOptions) -> Router {
    let router = Router::with(net, 1, 65001, options).await;
    let neighbor = |host: &u8| passive(&router, *host, asn(*host).into());
    router
        .run(&hosts.iter().map(neighbor).collect::<String>())
        .await;
    router
}

fn asn(host: u8) -> u16 {
    65000 + u16::from(host)
}

/// A peer that was told everything there is.
async fn up(router: &Router, host: u8) -> Peer {
    let mut peer = Peer::up(router, host, Hello::new(asn(host))).await;
    peer.initial().await;
    peer
}

/// The number of a peer's update group.
async fn group(router: &Router, host: u8) -> u32 {
    router.peer(host).await.families[0].update_group
}

async fn in_one_group(router: &Router, hosts: [u8; 2]) {
    eventually("one group", || async {
        let both = (group(router, hosts[0]).await, group(router, hosts[1]).await);
        (both.0 == both.1).then_some(())
    })
    .await;
}

/// The UPDATEs until so many prefixes were announced. Their order is that of
/// the table, which a sender's is not.
async fn told(peer: &mut Peer, prefixes: usize) -> Vec<Update> {
    let mut updates = Vec::new();
    let mut seen = BTreeSet::new();
    while seen.len() < prefixes {
        let update = peer.next_update().await;
        seen.extend(said(&update).0);
        updates.push(update);
    }
    updates
}

fn announced(updates: &[Update]) -> BTreeSet<String> {
    updates.iter().flat_map(|update| said(update).0).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_a_group_are_told_the_same_in_the_same_order() {
    let net = Net::new();
    let router = router(net, &[2, 3, 4], options(net, 1)).await;
    let mut feeder = up(&router, 2).await;
    let (mut one, mut other) = (up(&router, 3).await, up(&router, 4).await);
    in_one_group(&router, [3, 4]).await;
    feed(&mut feeder, 0..300, 65_100).await;
    feeder.withdraw(&["10.0.7.0/24", "10.0.9.0/24"]).await;
    feeder
        .announce(&["192.0.2.0/24"], &attributes(&[65002]))
        .await;
    let told = tokio::join!(told(&mut one, 299), told(&mut other, 299));
    assert_eq!(told.0, told.1);
    for host in [3, 4] {
        eventually("what was sent is counted", || async {
            let sent = router.peer(host).await.families[0].sent;
            (sent == 299).then_some(())
        })
        .await;
    }
}

/// Each is told our address on its own side.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_a_group_have_their_own_next_hop() {
    let net = Net::new();
    let both_sides = SpeakerOptions {
        listen: vec![net.at(1), net.at(10)],
        next_hop_v4: None,
        ..options(net, 1)
    };
    let router = router(net, &[2, 3, 4], both_sides).await;
    let other_side = Router {
        speaker: router.speaker.clone(),
        host: 10,
        ..router
    };
    let mut feeder = up(&router, 2).await;
    let (mut here, mut there) = (up(&router, 3).await, up(&other_side, 4).await);
    in_one_group(&router, [3, 4]).await;
    // In two messages, as two sets.
    let mut set = attributes(&[65002]);
    feeder.announce(&["10.1.0.0/16"], &set).await;
    set.med = Some(5);
    feeder.announce(&["10.2.0.0/16"], &set).await;
    feeder
        .announce(&["10.3.0.0/16"], &attributes(&[65002]))
        .await;
    for (peer, host) in [(&mut here, 1), (&mut there, 10)] {
        let own = net.host(host);
        let mut left =
            BTreeSet::from(["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"].map(String::from));
        while !left.is_empty() {
            let update = peer.next_update().await;
            // A loopback address: the codec objects to it, and says which.
            let reasons: Vec<Reason> = update.faults.iter().map(|f| f.reason).collect();
            assert_eq!(reasons, [Reason::NextHop(own)], "{update:?}");
            for prefix in said(&update).1 {
                assert!(left.remove(&prefix), "{prefix} again");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_of_one_sends_nothing_to_the_others() {
    let net = Net::new();
    let router = router(net, &[2, 3, 4], options(net, 1)).await;
    let mut feeder = up(&router, 2).await;
    let (mut asks, mut other) = (up(&router, 3).await, up(&router, 4).await);
    feed(&mut feeder, 0..50, 65_100).await;
    feeder
        .announce(&["192.0.2.0/24"], &attributes(&[65002]))
        .await;
    told(&mut asks, 51).await;
    told(&mut other, 51).await;
    in_one_group(&router, [3, 4]).await;
    asks.refresh(Family::Ipv4Unicast, RouteRefreshKind::Request)
        .await;
    let mut again = BTreeSet::new();
    while again.len() < 51 {
        again.extend(said(&asks.next_update().await).0);
    }
    in_one_group(&router, [3, 4]).await;
    feeder
        .announce(&["198.51.100.0/24"], &attributes(&[65002]))
        .await;
    for peer in [&mut other, &mut asks] {
        let next = peer.next_update().await;
        assert_eq!(said(&next), (vec!["198.51.100.0/24".to_owned()], vec![]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_its_own_routes_back() {
    let net = Net::new();
    let router = router(net, &[2, 3], options(net, 1)).await;
    let (mut one, mut two) = (up(&router, 2).await, up(&router, 3).await);
    in_one_group(&router, [2, 3]).await;
    for turn in 0..20 {
        let of = |host: u8| format!("10.{host}.{turn}.0/24");
        one.announce(&[&of(2)], &attributes(&[65002])).await;
        two.announce(&[&of(3)], &attributes(&[65003])).await;
    }
    // A route that both have: each may hear of the other's.
    two.withdraw(&["10.3.5.0/24"]).await;
    one.announce(&["10.3.5.0/24"], &attributes(&[65002])).await;
    one.announce(&["192.0.2.0/24"], &attributes(&[65002])).await;
    let mut at_two = told(&mut two, 22).await;
    two.announce(&["198.51.100.0/24"], &attributes(&[65003]))
        .await;
    let mut at_one = told(&mut one, 20).await;
    // Nothing is on its way any more but this.
    one.announce(&["203.0.113.0/24"], &attributes(&[65002]))
        .await;
    at_two.extend(told(&mut two, 1).await);
    two.announce(&["203.0.113.128/25"], &attributes(&[65003]))
        .await;
    at_one.extend(told(&mut one, 1).await);
    let own = |updates: &[Update], path: u32| {
        let from = |u: &&Update| u.attributes.as_path.asns().last() == Some(path);
        updates.iter().filter(|u| from(u)).count()
    };
    assert_eq!(own(&at_one, 65002), 0, "{at_one:?}");
    assert_eq!(own(&at_two, 65003), 0, "{at_two:?}");
    assert!(announced(&at_two).contains("10.2.19.0/24"));
    assert!(announced(&at_one).contains("10.3.19.0/24"));
    in_one_group(&router, [2, 3]).await;
    for (host, counts) in [(2, (21, 23)), (3, (23, 21))] {
        eventually("what was sent is counted", || async {
            let family = router.peer(host).await.families[0].clone();
            ((family.sent, family.received) == counts).then_some(())
        })
        .await;
    }
}

/// One that reads nothing leaves the group, and comes back when it has read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_lags_is_a_group_of_its_own_for_that_time() {
    const ROUTES: u32 = 4000;
    let net = Net::new();
    let router = router(net, &[2, 3, 4], options(net, 1)).await;
    let mut feeder = up(&router, 2).await;
    let mut fast = up(&router, 3).await;
    let mut slow = Peer::up_with(&router, 4, Hello::new(asn(4)), Some(4096)).await;
    in_one_group(&router, [3, 4]).await;
    let feeding = async {
        feed(&mut feeder, 0..ROUTES, 65_100).await;
        feeder
            .announce(&["192.0.2.0/24"], &attributes(&[65002]))
            .await;
    };
    let ((), at_fast) = tokio::join!(feeding, told(&mut fast, ROUTES as usize + 1));
    assert_eq!(announced(&at_fast).len(), ROUTES as usize + 1);
    // As long as its lane has room for the rest it does not lag.
    let mut routes = ROUTES;
    while group(&router, 3).await == group(&router, 4).await {
        assert!(routes < 10 * ROUTES, "the slow one never lags");
        let feeding = feed(&mut feeder, routes..routes + 200, 65_100);
        tokio::join!(feeding, told(&mut fast, 200));
        routes += 200;
    }
    // In which order it hears what is there already does not matter.
    let mut at_slow = BTreeSet::new();
    while at_slow.len() < routes as usize + 1 {
        at_slow.extend(said(&slow.next_update().await).0);
    }
    in_one_group(&router, [3, 4]).await;
    feeder.withdraw(&["192.0.2.0/24"]).await;
    for peer in [&mut fast, &mut slow] {
        loop {
            let (again, gone) = said(&peer.next_update().await);
            assert!(again.is_empty(), "{again:?}");
            if gone == ["192.0.2.0/24"] {
                break;
            }
        }
    }
}
