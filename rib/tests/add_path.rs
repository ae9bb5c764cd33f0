//! Peers that are told several paths of a prefix (RFC 7911), or the best one
//! that they may be told (RFC 7947).

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bgp_wire::{Community, PathAttributes};
use common::*;
use holdfast_rib::{AddPathSend, ExportBatch, LocalRoute, LocalSource, PeerId, PeerInfo, Rib};
use ipnet::IpNet;

const PREFIX: &str = "203.0.113.0/24";
const RECEIVER: u32 = 9;

fn sender(number: u32) -> PeerInfo {
    let address = format!("192.0.2.{number}");
    external(65000 + number, &address)
}

fn receiver(which: AddPathSend) -> PeerInfo {
    let mut info = internal("10.0.0.9");
    info.ipv4.add_path = which;
    info
}

/// A table with external peers 1 to 4, and the receiver.
fn rib(to: PeerInfo) -> Rib {
    let mut rib = Rib::new(config());
    for number in 1..5 {
        rib.peer_up(PeerId(number), sender(number), accept());
    }
    rib.peer_up(PeerId(RECEIVER), to, accept());
    drain(&mut rib, RECEIVER);
    rib
}

fn route(number: u32) -> PathAttributes {
    attributes(&[65000 + number], &format!("192.0.2.{number}"))
}

/// Identifiers and neighbouring ASes of what is announced, sorted.
fn announced(batch: &ExportBatch) -> Vec<(u32, u32)> {
    let mut all: Vec<(u32, u32)> = batch
        .announced
        .iter()
        .flat_map(|(set, prefixes)| {
            let asn = set.as_path.first_as().unwrap_or(0);
            paths(prefixes).into_iter().map(move |(_, id)| (id, asn))
        })
        .collect();
    all.sort_unstable();
    all
}

fn withdrawn(batch: &ExportBatch) -> Vec<(IpNet, u32)> {
    batch.withdrawn.iter().flat_map(paths).collect()
}

/// Identifiers and neighbouring ASes of what the table says that it told.
fn held(rib: &Rib) -> Vec<(u32, u32)> {
    let page = rib.advertised(PeerId(RECEIVER), V4, None, 10);
    let items = page.items.iter();
    let mut held: Vec<(u32, u32)> = items
        .map(|route| (route.path_id, route.attributes.neighbor_as().unwrap_or(0)))
        .collect();
    held.sort_unstable();
    held
}

#[test]
fn all_paths_go_out_with_identifiers_of_their_own() {
    let mut rib = rib(receiver(AddPathSend::All));
    for number in 1..5 {
        announce(&mut rib, number, PREFIX, route(number));
    }
    let told = announced(&drain(&mut rib, RECEIVER));
    assert_eq!(told, [(1, 65001), (2, 65002), (3, 65003), (4, 65004)]);
    assert_eq!(held(&rib), told);
    assert_eq!(rib.counters(PeerId(RECEIVER), V4).sent, 1);
    assert_eq!(rib.advertised_to(net(PREFIX)), [PeerId(RECEIVER)]);
}

#[test]
fn a_path_that_goes_is_withdrawn_by_its_identifier_and_the_others_stay() {
    let mut rib = rib(receiver(AddPathSend::All));
    for number in 1..4 {
        announce(&mut rib, number, PREFIX, route(number));
    }
    drain(&mut rib, RECEIVER);
    // The best one.
    withdraw(&mut rib, 1, PREFIX);
    let batch = drain(&mut rib, RECEIVER);
    assert_eq!(withdrawn(&batch), [(net(PREFIX), 1)]);
    assert_eq!(announced(&batch), []);
    // One that is not.
    withdraw(&mut rib, 3, PREFIX);
    let batch = drain(&mut rib, RECEIVER);
    assert_eq!(withdrawn(&batch), [(net(PREFIX), 3)]);
    assert_eq!(held(&rib), [(2, 65002)]);
    withdraw(&mut rib, 2, PREFIX);
    assert_eq!(withdrawn(&drain(&mut rib, RECEIVER)), [(net(PREFIX), 2)]);
    assert_eq!(rib.counters(PeerId(RECEIVER), V4).sent, 0);
}

#[test]
fn a_path_that_changes_keeps_its_identifier() {
    let mut rib = rib(receiver(AddPathSend::All));
    for number in 1..4 {
        announce(&mut rib, number, PREFIX, route(number));
    }
    drain(&mut rib, RECEIVER);
    let changed = PathAttributes {
        med: Some(7),
        ..route(2)
    };
    announce(&mut rib, 2, PREFIX, changed.clone());
    let batch = drain(&mut rib, RECEIVER);
    assert_eq!(announced(&batch), [(2, 65002)]);
    assert!(batch.withdrawn.is_empty());
    announce(&mut rib, 2, PREFIX, route(2));
    announce(&mut rib, 2, PREFIX, changed);
    // Back where it was before anybody looked.
    assert!(drain(&mut rib, RECEIVER).announced.is_empty());
}

#[test]
fn a_new_path_may_take_the_place_of_one_that_goes() {
    let mut rib = rib(receiver(AddPathSend::All));
    announce(&mut rib, 1, PREFIX, route(1));
    announce(&mut rib, 2, PREFIX, route(2));
    drain(&mut rib, RECEIVER);
    withdraw(&mut rib, 1, PREFIX);
    announce(&mut rib, 3, PREFIX, route(3));
    let batch = drain(&mut rib, RECEIVER);
    assert!(batch.withdrawn.is_empty());
    assert_eq!(announced(&batch), [(1, 65003)]);
}

#[test]
fn identifiers_of_one_source_are_told_apart() {
    let mut rib = rib(receiver(AddPathSend::All));
    for (path_id, med) in [(7, 1), (8, 2)] {
        let set = PathAttributes {
            med: Some(med),
            ..route(1)
        };
        rib.update(PeerId(1), announcement(&[(net(PREFIX), path_id)], set), 0);
    }
    resolve(&mut rib);
    let told = announced(&drain(&mut rib, RECEIVER));
    assert_eq!(told, [(1, 65001), (2, 65001)]);
    rib.update(PeerId(1), withdrawal(&[(net(PREFIX), 7)]), 0);
    let batch = drain(&mut rib, RECEIVER);
    assert_eq!(withdrawn(&batch), [(net(PREFIX), 1)]);
}

#[test]
fn nobody_gets_a_path_of_his_own_back() {
    let mut to = external(65001, "192.0.2.9");
    to.ipv4.add_path = AddPathSend::All;
    let mut rib = rib(to);
    for number in 1..3 {
        announce(&mut rib, number, PREFIX, route(number));
    }
    announce(&mut rib, RECEIVER, PREFIX, route(9));
    let told = drain(&mut rib, RECEIVER);
    let neighbors = announced(&told);
    assert_eq!(neighbors.len(), 2);
    let all = told.announced.iter();
    assert!(all.clone().all(|(set, _)| !set.as_path.contains(65009)));
}

#[test]
fn paths_that_are_not_valid_are_not_told() {
    let mut rib = rib(receiver(AddPathSend::All));
    for number in 1..3 {
        announce(&mut rib, number, PREFIX, route(number));
    }
    drain(&mut rib, RECEIVER);
    // The worse path: the best one stays as it is.
    rib.next_hop_changed(ip("192.0.2.2"), None);
    let batch = drain(&mut rib, RECEIVER);
    assert_eq!(withdrawn(&batch), [(net(PREFIX), 2)]);
    rib.next_hop_changed(ip("192.0.2.2"), state(10, true));
    assert_eq!(announced(&drain(&mut rib, RECEIVER)), [(2, 65002)]);
}

#[test]
fn the_best_of_each_as_is_told() {
    let mut rib = rib(receiver(AddPathSend::BestPerAs));
    let through = |number: u32, path: &[u32]| attributes(path, &format!("192.0.2.{number}"));
    announce(&mut rib, 1, PREFIX, through(1, &[65010, 65011]));
    announce(&mut rib, 2, PREFIX, through(2, &[65010]));
    announce(&mut rib, 3, PREFIX, through(3, &[65020, 65021]));
    let local = LocalRoute::new(LocalSource::Static, Some(hop("192.0.2.77")), 0);
    rib.originate(net(PREFIX), local, 0);
    let told = announced(&drain(&mut rib, RECEIVER));
    let neighbors: Vec<u32> = told.iter().map(|(_, asn)| *asn).collect();
    assert_eq!(told.len(), 3);
    for asn in [0, 65010, 65020] {
        assert!(neighbors.contains(&asn), "{neighbors:?}");
    }
    let page = rib.advertised(PeerId(RECEIVER), V4, None, 10);
    let longest = page.items.iter().map(|route| route.attributes.hop_count());
    assert_eq!(longest.sum::<u32>(), 3);
}

#[test]
fn a_resend_sends_all_paths_again_with_the_same_identifiers() {
    let mut rib = rib(receiver(AddPathSend::All));
    for number in 1..4 {
        announce(&mut rib, number, PREFIX, route(number));
    }
    let first = announced(&drain(&mut rib, RECEIVER));
    rib.refresh_out(PeerId(RECEIVER), V4, true);
    let again = drain(&mut rib, RECEIVER);
    assert_eq!(announced(&again), first);
    assert!(again.end_of_refresh.contains(V4));
}

#[test]
fn one_peer_with_several_paths_leaves_the_groups_of_the_others_alone() {
    let mut rib = rib(receiver(AddPathSend::All));
    for peer in [10, 11] {
        let info = internal(&format!("10.0.0.{peer}"));
        rib.peer_up(PeerId(peer), info, accept());
    }
    for number in 1..4 {
        announce(&mut rib, number, PREFIX, route(number));
    }
    for peer in [RECEIVER, 10, 11] {
        drain(&mut rib, peer);
    }
    let members = rib.groups().into_iter().map(|group| rib.members(group));
    let sizes: Vec<Vec<PeerId>> = members.filter(|list| list.contains(&PeerId(10))).collect();
    assert!(sizes.iter().all(|list| !list.contains(&PeerId(RECEIVER))));
    // A change of a worse path is nothing to them.
    withdraw(&mut rib, 3, PREFIX);
    assert!(rib.pending(PeerId(RECEIVER)));
    assert!(!rib.pending(PeerId(10)) && !rib.pending(PeerId(11)));
}

#[test]
fn nothing_is_held_for_a_peer_that_left() {
    let mut rib = rib(receiver(AddPathSend::All));
    for number in 1..4 {
        announce(&mut rib, number, PREFIX, route(number));
    }
    drain(&mut rib, RECEIVER);
    for number in [1, 2, 3, 4, RECEIVER] {
        rib.peer_down(PeerId(number), bgp_wire::FamilySet::EMPTY);
    }
    assert_eq!(rib.attribute_holds(), 0);
}

/// The prefixes of these numbers.
fn many(numbers: std::ops::Range<u32>) -> Vec<(IpNet, u32)> {
    let net = |n: u32| {
        IpNet::from(ipnet::Ipv4Net::new_assert(
            (0x1400_0000 + (n << 8)).into(),
            24,
        ))
    };
    numbers.map(|n| (net(n), 0)).collect()
}

/// What the receiver has by what it was sent: prefix and AS, by identifier.
fn replay(rib: &mut Rib, has: &mut BTreeMap<(IpNet, u32), u32>) -> Vec<(IpNet, u32)> {
    let batch = drain(rib, RECEIVER);
    for key in withdrawn(&batch) {
        assert!(
            has.remove(&key).is_some(),
            "withdrawn and not told: {key:?}"
        );
    }
    for (set, prefixes) in &batch.announced {
        let asn = set.as_path.first_as().unwrap_or(0);
        has.extend(paths(prefixes).into_iter().map(|key| (key, asn)));
    }
    let mut list: Vec<_> = has.iter().map(|((net, _), asn)| (*net, *asn)).collect();
    list.sort_unstable();
    list
}

/// A table of some size, with places that are used again.
#[test]
fn thousands_of_prefixes_come_and_go() {
    let mut rib = rib(receiver(AddPathSend::All));
    let (mut has, mut wanted) = (BTreeMap::new(), BTreeSet::new());
    let steps = [
        (1, true, 0..3000),
        (2, true, 500..3500),
        (1, false, 900..2600),
        (2, false, 600..2300),
        (3, true, 2200..4000),
        (1, true, 5000..6500),
        (2, false, 500..3500),
        (4, true, 0..7000),
        (3, false, 2200..3900),
        (4, false, 0..6400),
    ];
    for (number, comes, range) in steps {
        let asn = 65000 + number;
        let list = many(range);
        let keys = list.iter().map(|(net, _)| (*net, asn));
        let update = if comes {
            wanted.extend(keys);
            announcement(&list, route(number))
        } else {
            for key in keys {
                wanted.remove(&key);
            }
            withdrawal(&list)
        };
        rib.update(PeerId(number), update, 0);
        resolve(&mut rib);
        assert!(
            replay(&mut rib, &mut has)
                .into_iter()
                .eq(wanted.iter().copied())
        );
    }
    for number in [1, 2, 3, 4] {
        rib.peer_down(PeerId(number), bgp_wire::FamilySet::EMPTY);
    }
    assert_eq!(replay(&mut rib, &mut has), []);
    assert_eq!(rib.attribute_holds(), 0);
}

// ===== Clients of the route server =====

const REFUSED: Community = Community(0xffde_0001);

fn rs_client() -> PeerInfo {
    PeerInfo {
        route_server_client: both(),
        ..external(65009, "192.0.2.9")
    }
}

fn refused(number: u32) -> PathAttributes {
    PathAttributes {
        communities: vec![REFUSED],
        ..route(number)
    }
}

#[test]
fn a_client_that_may_not_have_the_best_path_gets_the_next_one() {
    let mut rib = rib(rs_client());
    let policy = Arc::new(TestPolicy::DenyCommunity(REFUSED));
    rib.set_policy(PeerId(RECEIVER), policy);
    announce(&mut rib, 1, PREFIX, refused(1));
    announce(&mut rib, 2, PREFIX, refused(2));
    announce(&mut rib, 3, PREFIX, route(3));
    announce(&mut rib, 4, PREFIX, route(4));
    let batch = drain(&mut rib, RECEIVER);
    assert_eq!(announced(&batch), [(0, 65003)]);
    assert_eq!(batch.announced[0].0.next_hop, Some(hop("192.0.2.3")));
    // The best path is another one; the client's is not.
    withdraw(&mut rib, 1, PREFIX);
    assert_eq!(drain(&mut rib, RECEIVER), ExportBatch::default());
    withdraw(&mut rib, 3, PREFIX);
    assert_eq!(announced(&drain(&mut rib, RECEIVER)), [(0, 65004)]);
    withdraw(&mut rib, 4, PREFIX);
    assert_eq!(withdrawn(&drain(&mut rib, RECEIVER)), [(net(PREFIX), 0)]);
}

#[test]
fn a_policy_that_comes_while_the_client_is_up_replaces_what_it_denies() {
    let mut rib = rib(rs_client());
    announce(&mut rib, 1, PREFIX, refused(1));
    announce(&mut rib, 2, PREFIX, route(2));
    assert_eq!(announced(&drain(&mut rib, RECEIVER)), [(0, 65001)]);
    let policy = Arc::new(TestPolicy::DenyCommunity(REFUSED));
    rib.set_policy(PeerId(RECEIVER), policy);
    let batch = drain(&mut rib, RECEIVER);
    assert_eq!(announced(&batch), [(0, 65002)]);
    assert!(batch.withdrawn.is_empty());
    rib.set_policy(PeerId(RECEIVER), accept());
    assert_eq!(announced(&drain(&mut rib, RECEIVER)), [(0, 65001)]);
}

#[test]
fn a_peer_that_is_no_client_is_told_the_best_path_or_nothing() {
    let mut rib = rib(external(65009, "192.0.2.9"));
    let policy = Arc::new(TestPolicy::DenyCommunity(REFUSED));
    rib.set_policy(PeerId(RECEIVER), policy);
    announce(&mut rib, 1, PREFIX, refused(1));
    announce(&mut rib, 2, PREFIX, route(2));
    assert_eq!(announced(&drain(&mut rib, RECEIVER)), []);
}
