//! AIGP, the accumulated IGP metric (RFC 7311): who may have it, what it
//! decides, and what is added to it.

mod common;

use bgp_wire::{Aigp, PathAttributes};
use common::*;
use holdfast_rib::{AddPathSend, MaxPaths, PeerFamily, PeerId, PeerInfo, Rib, RibConfig, Step};

const PREFIX: &str = "198.18.0.0/15";

fn accumulated(path: &[u32], next_hop: &str, metric: u64) -> PathAttributes {
    PathAttributes {
        aigp: Some(Aigp::new(metric)),
        ..attributes(path, next_hop)
    }
}

/// An external peer in our administrative domain.
fn allowed(asn: u32, address: &str) -> PeerInfo {
    PeerInfo {
        aigp: true,
        ..external(asn, address)
    }
}

fn with_peers(config: RibConfig, peers: &[PeerInfo]) -> Rib {
    let mut rib = Rib::new(config);
    for (number, info) in (0..).zip(peers) {
        rib.peer_up(PeerId(number), info.clone(), accept());
        drain(&mut rib, number);
    }
    rib
}

fn sent_metric(rib: &mut Rib, peer: u32) -> Option<u64> {
    let told = sent(rib, peer).expect("an announcement");
    told.aigp.map(|aigp| aigp.metric)
}

/// What the table says that the peer holds of the only prefix.
fn held(rib: &Rib, peer: u32) -> Vec<Option<u64>> {
    let page = rib.advertised(PeerId(peer), V4, None, 9);
    page.items.iter().map(|r| r.attributes.aigp()).collect()
}

fn best(rib: &Rib) -> (PeerId, Option<Step>) {
    let view = rib.prefix(net(PREFIX)).expect("a prefix");
    let best = view.paths.iter().find(|path| path.best).expect("a best");
    let holdfast_rib::PathSource::Peer(peer) = best.source else {
        panic!("not of a peer: {best:?}");
    };
    (peer, view.reason)
}

// ===== who may have it =====

#[test]
fn an_external_peer_is_not_believed_and_not_told() {
    let peers = [
        external(65001, "192.0.2.1"),
        external(65002, "192.0.2.2"),
        internal("10.0.0.5"),
    ];
    let mut rib = with_peers(config(), &peers);
    let heard = accumulated(&[65001], "192.0.2.1", 7);
    let summary = rib.update(PeerId(0), announcement(&[(net(PREFIX), 0)], heard), 0);
    assert_eq!((summary.announced, summary.aigp_ignored), (1, 1));
    resolve(&mut rib);
    let view = rib.prefix(net(PREFIX)).expect("the route stays");
    assert_eq!(view.paths[0].attributes.aigp(), None);
    assert_eq!(sent_metric(&mut rib, 2), None);
    // What it said is shown as it was.
    let said = rib.received(PeerId(0), V4, None, 9).items;
    assert_eq!(said[0].attributes.aigp(), Some(7));
    withdraw(&mut rib, 0, PREFIX);
    announce(&mut rib, 2, PREFIX, accumulated(&[65009], "10.0.0.5", 7));
    assert_eq!(sent_metric(&mut rib, 1), None);
    assert_eq!(held(&rib, 1), [None]);
}

#[test]
fn peers_of_the_domain_have_it() {
    let peers = [
        allowed(65001, "192.0.2.1"),
        internal("10.0.0.5"),
        member(65100, "10.0.0.10"),
    ];
    let mut rib = with_peers(confederation(), &peers);
    announce(&mut rib, 0, PREFIX, accumulated(&[65001], "192.0.2.1", 7));
    // The next hop stays inside of the confederation, and the value with it.
    assert_eq!(sent_metric(&mut rib, 1), Some(7));
    assert_eq!(sent_metric(&mut rib, 2), Some(7));
}

#[test]
fn leave_given_later_is_for_what_came_before() {
    let elsewhere = PeerInfo {
        shared_subnets: Vec::new(),
        ..allowed(65002, "203.0.113.8")
    };
    let peers = [
        external(65001, "192.0.2.1"),
        client("10.0.0.5"),
        elsewhere.clone(),
    ];
    let mut rib = with_peers(config(), &peers);
    announce(&mut rib, 0, PREFIX, accumulated(&[65001], "192.0.2.1", 7));
    assert_eq!(sent_metric(&mut rib, 1), None);
    rib.set_peer(PeerId(0), allowed(65001, "192.0.2.1"));
    assert_eq!(sent_metric(&mut rib, 1), Some(7));
    assert_eq!(sent_metric(&mut rib, 2), Some(17));
    let denied = PeerInfo {
        aigp: false,
        ..elsewhere
    };
    rib.set_peer(PeerId(2), denied);
    assert_eq!(held(&rib, 2), [Some(17)]);
    assert_eq!(sent_metric(&mut rib, 2), None);
    assert_eq!(held(&rib, 2), [None]);
    rib.set_peer(PeerId(0), external(65001, "192.0.2.1"));
    assert_eq!(sent_metric(&mut rib, 1), None);
    assert_eq!(sent(&mut rib, 2), None);
}

// ===== what it decides =====

/// Two peers whose paths differ in length, and in AIGP against it.
fn contest(compare_aigp: bool) -> Rib {
    let config = RibConfig {
        compare_aigp,
        ..config()
    };
    let peers = [internal("10.0.0.5"), internal("10.0.0.6")];
    let mut rib = with_peers(config, &peers);
    announce(&mut rib, 0, PREFIX, attributes(&[65001], "10.0.0.5"));
    announce(
        &mut rib,
        1,
        PREFIX,
        accumulated(&[65001, 65002], "10.0.0.6", 500),
    );
    rib
}

#[test]
fn it_is_compared_where_that_is_wanted() {
    let mut rib = contest(false);
    assert_eq!(best(&rib), (PeerId(0), Some(Step::AsPath)));
    rib.set_config(RibConfig {
        compare_aigp: true,
        ..config()
    });
    assert_eq!(best(&rib), (PeerId(1), Some(Step::Aigp)));
}

#[test]
fn the_way_to_the_next_hop_counts() {
    let mut rib = contest(true);
    assert_eq!(best(&rib), (PeerId(1), Some(Step::Aigp)));
    announce(
        &mut rib,
        0,
        PREFIX,
        accumulated(&[65001, 65002], "10.0.0.5", 490),
    );
    assert_eq!(best(&rib), (PeerId(0), Some(Step::Aigp)));
    rib.next_hop_changed(ip("10.0.0.5"), state(21, true));
    assert_eq!(best(&rib), (PeerId(1), Some(Step::Aigp)));
    rib.next_hop_changed(ip("10.0.0.5"), state(20, true));
    // 510 both ways.
    assert_eq!(best(&rib), (PeerId(1), Some(Step::IgpMetric)));
}

#[test]
fn paths_of_another_accumulated_metric_are_not_used_together() {
    let max_paths_v4 = MaxPaths {
        ebgp: 2,
        ibgp: 2,
        ..MaxPaths::default()
    };
    for (other, used) in [(500, 2), (501, 1)] {
        let config = RibConfig {
            compare_aigp: true,
            max_paths_v4,
            ..config()
        };
        let mut rib = with_peers(config, &[internal("10.0.0.5"), internal("10.0.0.6")]);
        announce(&mut rib, 0, PREFIX, accumulated(&[65001], "10.0.0.5", 500));
        announce(
            &mut rib,
            1,
            PREFIX,
            accumulated(&[65001], "10.0.0.6", other),
        );
        let routes = fib(&mut rib);
        let route = routes
            .last()
            .and_then(|c| c.route.clone())
            .expect("a route");
        assert_eq!(route.next_hops.len(), used, "{other}");
    }
}

// ===== what is added to it =====

/// An internal peer's route for an external one: with our next hop.
fn passing_on(metric: u64) -> Rib {
    let peers = [
        internal("10.0.0.5"),
        allowed(65002, "203.0.113.8"),
        allowed(65003, "203.0.113.9"),
        client("10.0.0.6"),
    ];
    let mut rib = with_peers(config(), &peers);
    announce(
        &mut rib,
        0,
        PREFIX,
        accumulated(&[65001], "10.0.0.5", metric),
    );
    rib
}

#[test]
fn who_becomes_the_next_hop_adds_the_way_to_the_old_one() {
    let mut rib = passing_on(100);
    assert_eq!(sent_metric(&mut rib, 1), Some(110));
    assert_eq!(sent_metric(&mut rib, 3), Some(100));
    assert_eq!(
        (held(&rib, 1), held(&rib, 3)),
        (vec![Some(110)], vec![Some(100)])
    );
}

#[test]
fn it_does_not_wrap_around() {
    let mut rib = passing_on(u64::MAX - 3);
    assert_eq!(sent_metric(&mut rib, 1), Some(u64::MAX));
}

/// "A MUST be increased by a non-zero amount" (section 3.4.3).
#[test]
fn a_next_hop_without_a_metric_adds_one() {
    let mut rib = passing_on(100);
    rib.next_hop_changed(ip("10.0.0.5"), state(0, true));
    assert_eq!(sent_metric(&mut rib, 1), Some(101));
    rib.next_hop_changed(ip("10.0.0.5"), state(1, true));
    assert_eq!(sent(&mut rib, 1), None);
}

#[test]
fn a_change_of_the_metric_alone_is_told() {
    let mut rib = passing_on(100);
    for peer in [1, 2, 3] {
        drain(&mut rib, peer);
    }
    rib.next_hop_changed(ip("10.0.0.5"), state(25, true));
    // Until it is sent, the view is what was.
    assert_eq!(held(&rib, 1), [Some(110)]);
    assert_eq!(sent_metric(&mut rib, 1), Some(125));
    assert_eq!(
        (held(&rib, 1), held(&rib, 2)),
        (vec![Some(125)], vec![Some(110)])
    );
    // It came back before anybody looked: the one knows of it, the other one
    // never heard.
    rib.next_hop_changed(ip("10.0.0.5"), state(10, true));
    assert_eq!(sent_metric(&mut rib, 1), Some(110));
    assert_eq!(sent(&mut rib, 2), None);
    // The next hop did not change, and neither did the value.
    assert_eq!(sent(&mut rib, 3), None);
    assert_eq!(held(&rib, 3), [Some(100)]);
}

#[test]
fn a_metric_that_nobody_is_told_of_tells_nobody_anything() {
    let peers = [internal("10.0.0.5"), allowed(65002, "203.0.113.8")];
    let mut rib = with_peers(config(), &peers);
    announce(&mut rib, 0, PREFIX, attributes(&[65001], "10.0.0.5"));
    drain(&mut rib, 1);
    let version = rib.summary(V4).version;
    rib.next_hop_changed(ip("10.0.0.5"), state(25, true));
    assert!(!rib.pending(PeerId(1)));
    assert_eq!(rib.summary(V4).version, version);
}

/// Both paths are told by the same next hop, and looked at once.
#[test]
fn paths_of_several_peers_by_one_next_hop_change_together() {
    let peers = [
        internal("10.0.0.5"),
        internal("10.0.0.6"),
        allowed(65002, "203.0.113.8"),
    ];
    let mut rib = with_peers(config(), &peers);
    for peer in [1, 0] {
        announce(
            &mut rib,
            peer,
            PREFIX,
            accumulated(&[65001], "10.0.0.7", 100),
        );
    }
    drain(&mut rib, 2);
    let version = rib.summary(V4).version;
    rib.next_hop_changed(ip("10.0.0.7"), state(25, true));
    assert_eq!(rib.summary(V4).version, version + 1);
    assert_eq!(held(&rib, 2), [Some(110)]);
    assert_eq!(sent_metric(&mut rib, 2), Some(125));
}

/// What was told of a path that is gone goes by the metric of then.
#[test]
fn a_route_that_comes_back_with_another_metric_is_told_once() {
    let mut rib = passing_on(100);
    drain(&mut rib, 1);
    withdraw(&mut rib, 0, PREFIX);
    assert_eq!(held(&rib, 1), [Some(110)]);
    rib.next_hop_changed(ip("10.0.0.5"), state(25, true));
    assert_eq!(held(&rib, 1), [Some(110)]);
    announce(&mut rib, 0, PREFIX, accumulated(&[65001], "10.0.0.5", 100));
    assert_eq!(held(&rib, 1), [Some(110)]);
    assert_eq!(sent_metric(&mut rib, 1), Some(125));
    withdraw(&mut rib, 0, PREFIX);
    rib.next_hop_changed(ip("10.0.0.5"), state(30, true));
    announce(&mut rib, 0, PREFIX, accumulated(&[65001], "10.0.0.5", 95));
    assert_eq!(sent(&mut rib, 1), None);
}

#[test]
fn a_peer_that_takes_all_paths_is_told_the_metric_of_each() {
    let peers = [
        internal("10.0.0.5"),
        internal("10.0.0.6"),
        PeerInfo {
            ipv4: PeerFamily {
                add_path: AddPathSend::All,
                ..PeerFamily::PLAIN
            },
            ..allowed(65002, "203.0.113.8")
        },
    ];
    let mut rib = with_peers(config(), &peers);
    announce(&mut rib, 0, PREFIX, accumulated(&[65001], "10.0.0.5", 100));
    announce(&mut rib, 1, PREFIX, accumulated(&[65001], "10.0.0.6", 200));
    assert_eq!(drain(&mut rib, 2).announced.len(), 2);
    rib.next_hop_changed(ip("10.0.0.6"), state(30, true));
    // Of the path that is not the best alone.
    assert_eq!(sent_metric(&mut rib, 2), Some(230));
    let mut held = held(&rib, 2);
    held.sort_unstable();
    assert_eq!(held, [Some(110), Some(230)]);
}
