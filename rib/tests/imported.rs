//! Paths that were taken over from another table.

mod common;

use bgp_wire::{Family, FamilySet, PathAttributes};
use common::*;
use holdfast_rib::{
    AttrRef, FibKind, LOCAL_WEIGHT, PathSource, PeerId, PeerInfo, Rib, RibConfig, RouteEvent,
    TrackEvent, Watcher,
};
use ipnet::IpNet;

const PREFIX: &str = "198.51.100.0/24";
/// Stands for a peer of another table.
const THEIRS: u32 = 7;

fn imported(of: PeerInfo) -> PeerInfo {
    PeerInfo {
        imported: Some(1001),
        ..of
    }
}

/// Peers 1 (external) and 2 (internal), and one of another table.
fn rib() -> Rib {
    let mut rib = Rib::new(config());
    rib.set_local_addresses(&[ip("10.9.9.9")]);
    rib.peer_up(PeerId(1), external(65001, "192.0.2.1"), accept());
    rib.peer_up(PeerId(2), internal("192.0.2.2"), accept());
    let theirs = imported(external(65007, "10.1.1.1"));
    rib.peer_up(PeerId(THEIRS), theirs, accept());
    rib
}

fn take_over(rib: &mut Rib, attributes: &PathAttributes) {
    let prefix: IpNet = net(PREFIX);
    let list = prefixes(Family::Ipv4Unicast, &[(prefix, 0)]);
    let packed = bgp_wire::PackedPrefixes::from_list(&list);
    let event = RouteEvent::Announce(AttrRef::new(attributes), packed);
    rib.apply(PeerId(THEIRS), &event, 0);
}

#[test]
fn it_is_valid_as_it_comes_and_nothing_is_tracked_for_it() {
    let mut rib = rib();
    rib.take_tracking();
    // A loop and a next hop of our own would be rejected from a peer of ours.
    let own = rib.config().local_as;
    for (path, next_hop) in [(&[65007, own][..], "10.5.5.5"), (&[65007], "10.9.9.9")] {
        take_over(&mut rib, &attributes(path, next_hop));
        let view = rib.prefix(net(PREFIX)).unwrap();
        let [path] = view.paths.as_slice() else {
            panic!("{view:?}");
        };
        assert!(path.best && path.invalid.is_none());
        assert_eq!(path.source, PathSource::Peer(PeerId(THEIRS)));
        assert_eq!(rib.take_tracking(), []);
        let changes = fib(&mut rib);
        let route = changes[0].route.as_ref().unwrap();
        assert_eq!(route.kind, FibKind::Ebgp);
        assert_eq!(route.next_hops[0].elsewhere, Some(1001));
        assert_eq!(route.next_hops[0].next_hop.addr(), ip(next_hop));
    }
}

/// Equal attributes are one set, but a peer of ours has to reach the next hop.
#[test]
fn a_path_of_ours_with_the_same_attributes_is_judged_by_its_own_next_hop() {
    let mut rib = rib();
    let same = attributes(&[65001], "10.5.5.5");
    take_over(&mut rib, &same);
    rib.update(PeerId(1), announcement(&[(net(PREFIX), 0)], same), 0);
    assert_eq!(rib.take_tracking(), [TrackEvent::Track(ip("10.5.5.5"))]);
    rib.next_hop_changed(ip("10.5.5.5"), None);
    let validity = |rib: &Rib| {
        let view = rib.prefix(net(PREFIX)).unwrap();
        let mut paths: Vec<_> = view
            .paths
            .iter()
            .map(|path| (path.source, path.invalid.is_none()))
            .collect();
        paths.sort_unstable();
        paths
    };
    let [ours, theirs] = [1, THEIRS].map(|number| PathSource::Peer(PeerId(number)));
    assert_eq!(validity(&rib), [(ours, false), (theirs, true)]);
    rib.next_hop_changed(ip("10.5.5.5"), state(0, true));
    assert_eq!(validity(&rib), [(ours, true), (theirs, true)]);
    rib.update(PeerId(1), withdrawal(&[(net(PREFIX), 0)]), 0);
    assert_eq!(rib.take_tracking(), [TrackEvent::Untrack(ip("10.5.5.5"))]);
    assert_eq!(validity(&rib), [(theirs, true)]);
}

#[test]
fn it_is_announced_with_us_as_the_next_hop_to_everybody_and_to_none_that_it_stands_for() {
    for of in [external(65007, "10.1.1.1"), internal("10.1.1.1")] {
        let mut rib = rib();
        rib.set_peer(PeerId(THEIRS), imported(of));
        // On the subnet that is shared with peer 1, were it here.
        let mut path = attributes(&[65007], "192.0.2.77");
        path.med = Some(9);
        path.local_pref = Some(300);
        take_over(&mut rib, &path);
        let told = sent(&mut rib, 1).unwrap();
        assert_eq!(
            told.next_hop,
            rib.peer(PeerId(1))
                .unwrap()
                .local_v4
                .map(Into::into)
                .map(as_hop)
        );
        assert_eq!(
            told.as_path.to_string(),
            format!("{} 65007", rib.config().local_as)
        );
        assert_eq!((told.med, told.local_pref), (None, None));
        // Even where it is internal over there.
        let told = sent(&mut rib, 2).unwrap();
        assert_eq!((told.med, told.local_pref), (Some(9), Some(300)));
        assert_eq!(
            told.next_hop,
            rib.peer(PeerId(2))
                .unwrap()
                .local_v4
                .map(Into::into)
                .map(as_hop)
        );
        assert!(told.originator_id.is_none());
        assert!(!rib.pending(PeerId(THEIRS)));
        assert!(
            rib.groups()
                .iter()
                .all(|g| !rib.members(*g).contains(&PeerId(THEIRS)))
        );
    }
}

fn as_hop(address: std::net::IpAddr) -> bgp_wire::NextHop {
    hop(&address.to_string())
}

#[test]
fn what_the_other_table_originates_is_no_route_of_ours() {
    let mut rib = rib();
    let local = PathAttributes {
        next_hop: None,
        ..attributes(&[], "192.0.2.1")
    };
    take_over(&mut rib, &local);
    assert_eq!(fib(&mut rib), []);
    let told = sent(&mut rib, 1).unwrap();
    assert_eq!(told.as_path.to_string(), rib.config().local_as.to_string());
    // One that is ours comes first.
    let ours = holdfast_rib::LocalRoute::new(holdfast_rib::LocalSource::Network, None, 0);
    rib.originate(net(PREFIX), ours, 0);
    let view = rib.prefix(net(PREFIX)).unwrap();
    assert_eq!(view.paths[0].weight, LOCAL_WEIGHT);
    assert!(matches!(view.paths[0].source, PathSource::Local(_)));
}

#[test]
fn all_of_it_goes_when_the_other_table_does() {
    let mut rib = rib();
    take_over(&mut rib, &attributes(&[65007], "10.5.5.5"));
    assert_eq!(fib(&mut rib).len(), 1);
    // A new configuration and new addresses judge it no more than before.
    rib.set_local_addresses(&[ip("10.5.5.5")]);
    rib.set_config(RibConfig {
        default_local_pref: 50,
        ..config()
    });
    assert!(rib.prefix(net(PREFIX)).unwrap().paths[0].best);
    rib.peer_down(PeerId(THEIRS), FamilySet::EMPTY);
    assert!(rib.prefix(net(PREFIX)).is_none());
    let changes = fib(&mut rib);
    assert!(changes[0].route.is_none());
}

#[test]
fn tables_and_onlookers_watch_each_at_a_pace_of_its_own() {
    let mut rib = rib();
    take_over(&mut rib, &attributes(&[65007], "10.5.5.5"));
    rib.set_watching(Watcher::Table, true);
    assert!(!rib.has_watched(Watcher::Table));
    rib.watch_all(Watcher::Table);
    rib.watch_all(Watcher::Onlooker);
    assert_eq!(rib.take_watched(Watcher::Onlooker, 9), []);
    assert!(rib.has_watched(Watcher::Table));
    assert_eq!(rib.take_watched(Watcher::Table, 9), [net(PREFIX)]);
    rib.set_watching(Watcher::Onlooker, true);
    rib.peer_down(PeerId(THEIRS), FamilySet::EMPTY);
    assert_eq!(rib.take_watched(Watcher::Onlooker, 9), [net(PREFIX)]);
    // The entry is still held for the other one.
    assert_eq!(rib.take_watched(Watcher::Table, 9), [net(PREFIX)]);
    assert!(!rib.has_watched(Watcher::Table));
}
