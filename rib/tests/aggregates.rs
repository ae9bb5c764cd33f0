//! Aggregates: when they are there, what they say, and what peers are not told
//! because of them.

mod common;

use std::sync::Arc;

use bgp_wire::{AsPath, Community, LargeCommunity, Origin, PathAttributes};
use common::*;
use holdfast_rib::{
    Aggregate, AggregatePolicy, AggregateRoute, DenyReason, FibKind, LOCAL_WEIGHT, LocalRoute,
    LocalSource, PathSource, PathView, PeerId, Rib, RibConfig, Verdict,
};
use ipnet::IpNet;

const WIDE: &str = "10.1.0.0/16";
const ONE: &str = "10.1.1.0/24";
const TWO: &str = "10.1.2.0/24";

fn plain() -> Aggregate {
    Aggregate::default()
}

fn summary() -> Aggregate {
    Aggregate {
        summary_only: true,
        ..plain()
    }
}

fn as_set() -> Aggregate {
    Aggregate {
        as_set: true,
        ..plain()
    }
}

/// A peer 1 that routes come from, a peer 2 that they go to, and aggregates.
fn with(list: &[(&str, Aggregate)]) -> Rib {
    let mut rib = Rib::new(config());
    rib.peer_up(PeerId(1), external(65001, "192.0.2.1"), accept());
    rib.peer_up(PeerId(2), external(65002, "192.0.2.2"), accept());
    set(&mut rib, list);
    drain(&mut rib, 2);
    rib
}

fn set(rib: &mut Rib, list: &[(&str, Aggregate)]) {
    let list = list.iter().map(|(prefix, a)| (net(prefix), a.clone()));
    rib.set_aggregates(list, 7);
    rib.settle_aggregates();
}

fn route(path: &str) -> PathAttributes {
    PathAttributes {
        as_path: path.parse::<AsPath>().unwrap(),
        ..attributes(&[], "192.0.2.1")
    }
}

fn aggregate_at(rib: &mut Rib, prefix: &str) -> Option<PathView> {
    rib.settle_aggregates();
    let paths = rib.prefix(net(prefix))?.paths.into_iter();
    let source = PathSource::Local(LocalSource::Aggregate);
    paths.into_iter().find(|path| path.source == source)
}

fn said(rib: &mut Rib) -> Option<PathAttributes> {
    aggregate_at(rib, WIDE).map(|path| path.attributes.decode())
}

fn suppressed(rib: &mut Rib, prefix: &str) -> bool {
    rib.settle_aggregates();
    rib.prefix(net(prefix)).unwrap().suppressed
}

/// What peer 2 is told from now on: announced, withdrawn.
fn told(rib: &mut Rib) -> (Vec<IpNet>, Vec<IpNet>) {
    let batch = drain(rib, 2);
    let mut announced = announced_nets(&batch);
    let mut withdrawn = withdrawn_nets(&batch);
    announced.sort_unstable();
    withdrawn.sort_unstable();
    (announced, withdrawn)
}

/// When everybody knows, nothing is kept of what is gone.
fn assert_nothing_is_held(rib: &mut Rib) {
    drain(rib, 1);
    drain(rib, 2);
    fib(rib);
    assert_eq!(rib.attribute_holds(), 0);
}

fn nets_of(list: &[&str]) -> Vec<IpNet> {
    list.iter().map(|prefix| net(prefix)).collect()
}

// ===== When it is there =====

#[test]
fn it_is_there_while_something_more_specific_is() {
    let mut rib = with(&[(WIDE, plain())]);
    assert_eq!(said(&mut rib), None);
    announce(&mut rib, 1, ONE, route("65001"));
    announce(&mut rib, 1, TWO, route("65001"));
    assert!(rib.pending(PeerId(2)));
    assert_eq!(told(&mut rib).0, nets_of(&[WIDE, ONE, TWO]));
    withdraw(&mut rib, 1, ONE);
    assert_eq!(told(&mut rib), (vec![], nets_of(&[ONE])));
    withdraw(&mut rib, 1, TWO);
    assert_eq!(told(&mut rib), (vec![], nets_of(&[WIDE, TWO])));
    assert_nothing_is_held(&mut rib);
}

#[test]
fn neither_its_own_prefix_nor_one_beside_it_contributes() {
    let mut rib = with(&[(WIDE, plain())]);
    announce(&mut rib, 1, WIDE, route("65001"));
    announce(&mut rib, 1, "10.2.1.0/24", route("65001"));
    announce(&mut rib, 1, "10.0.0.0/8", route("65001"));
    assert_eq!(said(&mut rib), None);
}

#[test]
fn a_route_that_cannot_be_used_does_not_contribute() {
    let mut rib = with(&[(WIDE, plain())]);
    announce(&mut rib, 1, ONE, route("65001"));
    assert!(said(&mut rib).is_some());
    rib.next_hop_changed(ip("192.0.2.1"), None);
    assert_eq!(said(&mut rib), None);
    rib.next_hop_changed(ip("192.0.2.1"), state(1, true));
    assert!(said(&mut rib).is_some());
}

#[test]
fn it_stands_for_what_was_there_before_it_was_set() {
    let mut rib = with(&[]);
    announce(&mut rib, 1, ONE, route("65001"));
    told(&mut rib);
    set(&mut rib, &[(WIDE, summary())]);
    assert_eq!(told(&mut rib), (nets_of(&[WIDE]), nets_of(&[ONE])));
    set(&mut rib, &[]);
    assert_eq!(told(&mut rib), (nets_of(&[ONE]), nets_of(&[WIDE])));
}

#[test]
fn what_an_aggregate_says_contributes_nothing_and_is_not_suppressed() {
    let inner = Aggregate {
        origin: Some(Origin::Incomplete),
        ..plain()
    };
    let mut rib = with(&[("10.1.1.0/20", inner), (WIDE, summary())]);
    announce(&mut rib, 1, ONE, route("65001"));
    assert_eq!(told(&mut rib).0, nets_of(&[WIDE, "10.1.0.0/20"]));
    assert_eq!(said(&mut rib).unwrap().origin, Origin::Igp);
    assert!(suppressed(&mut rib, ONE));
    assert!(!suppressed(&mut rib, "10.1.0.0/20"));
}

#[test]
fn the_last_change_is_all_that_is_told_of_several() {
    let mut rib = with(&[(WIDE, as_set())]);
    for path in ["65001 65010", "65001 65011", "65001 65012"] {
        announce(&mut rib, 1, ONE, route(path));
    }
    let batch = drain(&mut rib, 2);
    let of_wide: Vec<_> = batch
        .announced
        .iter()
        .filter(|(_, list)| nets(list).contains(&net(WIDE)))
        .collect();
    assert_eq!(of_wide.len(), 1);
    assert_eq!(of_wide[0].0.as_path.to_string(), "65000 65001 65012");
}

// ===== What it says =====

#[test]
fn it_says_what_frr_says() {
    let mut rib = with(&[(WIDE, plain())]);
    announce(&mut rib, 1, ONE, route("65001 65010"));
    let path = aggregate_at(&mut rib, WIDE).unwrap();
    assert_eq!((path.weight, path.last_update), (LOCAL_WEIGHT, 0));
    let said = path.attributes.decode();
    assert_eq!((said.med, said.origin), (Some(0), Origin::Igp));
    assert!(said.atomic_aggregate && said.as_path.is_empty());
    let aggregator = said.aggregator.unwrap();
    assert_eq!((aggregator.asn, aggregator.id), (65000, v4("10.255.0.1")));
    assert_eq!((said.next_hop, said.local_pref), (None, None));
}

#[test]
fn its_origin_is_the_worst_or_the_one_set() {
    let mut rib = with(&[(WIDE, plain())]);
    announce(&mut rib, 1, ONE, route("65001"));
    let egp = PathAttributes {
        origin: Origin::Egp,
        ..route("65001")
    };
    announce(&mut rib, 1, TWO, egp);
    assert_eq!(said(&mut rib).unwrap().origin, Origin::Egp);
    withdraw(&mut rib, 1, TWO);
    assert_eq!(said(&mut rib).unwrap().origin, Origin::Igp);
    let incomplete = Aggregate {
        origin: Some(Origin::Incomplete),
        ..plain()
    };
    set(&mut rib, &[(WIDE, incomplete)]);
    assert_eq!(said(&mut rib).unwrap().origin, Origin::Incomplete);
}

#[test]
fn as_set_unites_paths_and_communities() {
    let mut rib = with(&[(WIDE, as_set())]);
    let large = LargeCommunity {
        global: 65001,
        local1: 1,
        local2: 1,
    };
    let one = PathAttributes {
        communities: vec![Community(0xfde9_0001), Community::GRACEFUL_SHUTDOWN],
        large_communities: vec![large],
        ..route("65001 65010 65011")
    };
    let two = PathAttributes {
        communities: vec![Community(0xfde9_0002), Community(0xfde9_0001)],
        ..route("65001 65020")
    };
    announce(&mut rib, 1, ONE, one);
    announce(&mut rib, 1, TWO, two);
    let united = said(&mut rib).unwrap();
    // As FRR 8.4 has it.
    assert_eq!(united.as_path.to_string(), "65001 {65010,65011,65020}");
    assert_eq!(
        united.communities,
        [
            Community(0xfde9_0001),
            Community(0xfde9_0002),
            Community::GRACEFUL_SHUTDOWN
        ]
    );
    assert_eq!(united.large_communities, [large]);
    assert!(!united.atomic_aggregate);
    withdraw(&mut rib, 1, ONE);
    let left = said(&mut rib).unwrap();
    assert_eq!(left.as_path.to_string(), "65001 65020");
    assert_eq!(left.large_communities, []);
}

#[test]
fn what_was_lost_before_stays_lost() {
    let mut rib = with(&[(WIDE, as_set())]);
    let atomic = PathAttributes {
        atomic_aggregate: true,
        ..route("65001")
    };
    announce(&mut rib, 1, ONE, atomic);
    assert!(said(&mut rib).unwrap().atomic_aggregate);
    announce(&mut rib, 1, ONE, route("65001"));
    assert!(!said(&mut rib).unwrap().atomic_aggregate);
}

#[test]
fn the_configuration_is_part_of_it() {
    let mut rib = with(&[(WIDE, plain())]);
    announce(&mut rib, 1, ONE, route("65001"));
    told(&mut rib);
    let router_id = v4("10.255.0.9");
    rib.set_config(RibConfig {
        router_id,
        ..config()
    });
    assert_eq!(said(&mut rib).unwrap().aggregator.unwrap().id, router_id);
    assert_eq!(told(&mut rib).0, nets_of(&[WIDE]));
}

fn with_med(med: Option<u32>) -> PathAttributes {
    PathAttributes {
        med,
        ..route("65001")
    }
}

#[test]
fn with_matching_med_it_is_there_while_all_are_the_same() {
    let matching = Aggregate {
        matching_med_only: true,
        ..summary()
    };
    let mut rib = with(&[(WIDE, matching)]);
    announce(&mut rib, 1, ONE, with_med(Some(5)));
    announce(&mut rib, 1, TWO, with_med(Some(5)));
    assert_eq!(told(&mut rib).0, nets_of(&[WIDE]));
    assert_eq!(said(&mut rib).unwrap().med, Some(0));
    announce(&mut rib, 1, TWO, with_med(Some(6)));
    assert_eq!(told(&mut rib), (nets_of(&[ONE, TWO]), nets_of(&[WIDE])));
    // A path without MED has the best there is.
    announce(&mut rib, 1, ONE, with_med(None));
    announce(&mut rib, 1, TWO, with_med(Some(0)));
    assert_eq!(told(&mut rib), (nets_of(&[WIDE]), nets_of(&[ONE, TWO])));
    rib.set_config(RibConfig {
        missing_as_worst: true,
        ..config()
    });
    assert_eq!(told(&mut rib), (nets_of(&[ONE, TWO]), nets_of(&[WIDE])));
}

// ===== What is not told =====

#[test]
fn summary_only_keeps_contributors_from_peers() {
    let mut rib = with(&[(WIDE, summary())]);
    announce(&mut rib, 1, ONE, route("65001"));
    assert_eq!(told(&mut rib), (nets_of(&[WIDE]), vec![]));
    assert!(suppressed(&mut rib, ONE));
    assert_eq!(rib.advertised_to(net(ONE)), []);
    // A better path of the same prefix is suppressed as well.
    let mine = LocalRoute::new(LocalSource::Network, None, 0);
    rib.originate(net(ONE), mine, 1);
    assert_eq!(told(&mut rib), (vec![], vec![]));
    rib.withdraw_local(net(ONE), LocalSource::Network);
    withdraw(&mut rib, 1, ONE);
    assert_eq!(told(&mut rib), (vec![], nets_of(&[WIDE])));
    assert_nothing_is_held(&mut rib);
}

#[test]
fn a_contributor_of_two_aggregates_is_suppressed_until_both_are_gone() {
    let both = [("10.0.0.0/8", summary()), (WIDE, summary())];
    let mut rib = with(&both);
    announce(&mut rib, 1, ONE, route("65001"));
    told(&mut rib);
    set(&mut rib, &both[..1]);
    assert_eq!(told(&mut rib), (vec![], nets_of(&[WIDE])));
    set(&mut rib, &[]);
    assert_eq!(told(&mut rib), (nets_of(&[ONE]), nets_of(&["10.0.0.0/8"])));
}

#[test]
fn settings_that_come_back_before_anybody_looked_are_no_news() {
    let mut rib = with(&[(WIDE, summary())]);
    announce(&mut rib, 1, ONE, route("65001"));
    told(&mut rib);
    set(&mut rib, &[]);
    set(&mut rib, &[(WIDE, summary())]);
    assert_eq!(told(&mut rib), (vec![], vec![]));
    // The same once more is not even looked at.
    set(&mut rib, &[(WIDE, summary())]);
    assert!(!rib.pending(PeerId(2)));
}

#[test]
fn who_unsuppresses_is_told_all_the_same() {
    let mut rib = with(&[(WIDE, summary())]);
    let policy = TestPolicy::DenyCommunity(Community(1));
    rib.set_policy(PeerId(2), Arc::new(policy));
    announce(&mut rib, 1, ONE, route("65001"));
    announce(&mut rib, 1, "10.1.4.0/23", route("65001"));
    assert_eq!(told(&mut rib).0, nets_of(&[WIDE, ONE]));
    // Its policy is asked about what it unsuppresses.
    let marked = PathAttributes {
        communities: vec![Community(1)],
        ..route("65001")
    };
    announce(&mut rib, 1, ONE, marked);
    assert_eq!(told(&mut rib), (vec![], nets_of(&[ONE])));
    announce(&mut rib, 1, ONE, route("65001"));
    told(&mut rib);
    rib.set_policy(PeerId(2), accept());
    assert_eq!(told(&mut rib), (vec![], nets_of(&[ONE])));
}

#[test]
fn what_was_told_unsuppressed_is_withdrawn_when_it_goes_with_its_aggregate() {
    let mut rib = with(&[(WIDE, summary())]);
    let policy = TestPolicy::DenyCommunity(Community(1));
    rib.set_policy(PeerId(2), Arc::new(policy));
    announce(&mut rib, 1, ONE, route("65001"));
    told(&mut rib);
    withdraw(&mut rib, 1, ONE);
    set(&mut rib, &[]);
    rib.set_policy(PeerId(2), Arc::new(TestPolicy::Deny));
    assert_eq!(told(&mut rib), (vec![], nets_of(&[WIDE, ONE])));
}

// ===== Its policy =====

/// Suppresses one prefix; denies the aggregate where it is told to, or else
/// sets its weight.
#[derive(Debug)]
struct Maps {
    quiet: IpNet,
    denies: bool,
}

impl AggregatePolicy for Maps {
    fn suppresses(&self, contributor: &AggregateRoute<'_>) -> bool {
        assert_eq!(contributor.source, PathSource::Peer(PeerId(1)));
        contributor.prefix == self.quiet
    }

    fn originate(&self, aggregate: &AggregateRoute<'_>) -> Verdict {
        assert_eq!(aggregate.prefix, net(WIDE));
        if self.denies {
            return Verdict::Deny(DenyReason::Filtered);
        }
        let mut attributes = PathAttributes::clone(aggregate.attributes);
        attributes.med = Some(77);
        Verdict::AcceptWith(Arc::new(holdfast_rib::Rewritten {
            attributes,
            weight: Some(9),
        }))
    }
}

fn mapped(denies: bool) -> Aggregate {
    let quiet = net(ONE);
    Aggregate {
        policy: Some(Arc::new(Maps { quiet, denies })),
        ..plain()
    }
}

#[test]
fn its_policy_says_what_is_suppressed_and_what_it_says() {
    let mut rib = with(&[(WIDE, mapped(false))]);
    announce(&mut rib, 1, ONE, route("65001"));
    announce(&mut rib, 1, TWO, route("65001"));
    assert_eq!(told(&mut rib).0, nets_of(&[WIDE, TWO]));
    let path = aggregate_at(&mut rib, WIDE).unwrap();
    assert_eq!((path.weight, path.attributes.med()), (9, Some(77)));
}

#[test]
fn an_aggregate_that_is_denied_suppresses_nothing() {
    let denied = Aggregate {
        summary_only: true,
        ..mapped(true)
    };
    let mut rib = with(&[(WIDE, denied)]);
    announce(&mut rib, 1, ONE, route("65001"));
    assert_eq!(told(&mut rib).0, nets_of(&[ONE]));
    assert_eq!(said(&mut rib), None);
}

// ===== Beside other routes =====

#[test]
fn it_is_one_path_beside_others_of_its_prefix() {
    let mut rib = with(&[(WIDE, plain())]);
    announce(&mut rib, 1, WIDE, route("65001"));
    announce(&mut rib, 1, ONE, route("65001"));
    let best = |rib: &Rib| rib.prefix(net(WIDE)).unwrap().paths[0].source;
    rib.settle_aggregates();
    assert_eq!(best(&rib), PathSource::Local(LocalSource::Aggregate));
    let mine = LocalRoute::new(LocalSource::Network, None, 0);
    rib.originate(net(WIDE), mine, 1);
    assert_eq!(best(&rib), PathSource::Local(LocalSource::Network));
    withdraw(&mut rib, 1, ONE);
    assert_eq!(said(&mut rib), None);
    assert_eq!(rib.prefix(net(WIDE)).unwrap().paths.len(), 2);
}

#[test]
fn what_no_contributor_takes_is_dropped_and_the_rest_forwarded() {
    let mut rib = with(&[(WIDE, summary())]);
    announce(&mut rib, 1, ONE, route("65001"));
    let changes = fib(&mut rib);
    let kinds: Vec<_> = changes
        .iter()
        .map(|change| (change.prefix, change.route.as_ref().unwrap().kind))
        .collect();
    let expected = [(net(ONE), FibKind::Ebgp), (net(WIDE), FibKind::Aggregate)];
    assert_eq!(kinds, expected);
    withdraw(&mut rib, 1, ONE);
    assert!(fib(&mut rib).iter().all(|change| change.route.is_none()));
}

#[test]
fn thousands_of_contributors_are_counted_not_searched() {
    let mut rib = with(&[(WIDE, summary()), ("10.0.0.0/8", as_set())]);
    let prefix = |at: u32| net(&format!("10.1.{}.{}/32", at / 250, at % 250));
    for at in 0..5000 {
        let path = route(&format!("65001 {}", 65100 + at % 7));
        rib.update(PeerId(1), announcement(&[(prefix(at), 0)], path), 0);
    }
    resolve(&mut rib);
    assert_eq!(told(&mut rib).0, nets_of(&["10.0.0.0/8", WIDE]));
    for at in 0..4999 {
        rib.update(PeerId(1), withdrawal(&[(prefix(at), 0)]), 0);
    }
    let wide = aggregate_at(&mut rib, "10.0.0.0/8").unwrap();
    let last = 65100 + 4999 % 7;
    let path = wide.attributes.decode().as_path.to_string();
    assert_eq!(path, format!("65001 {last}"));
    rib.update(PeerId(1), withdrawal(&[(prefix(4999), 0)]), 0);
    assert_eq!(told(&mut rib).1, nets_of(&["10.0.0.0/8", WIDE]));
    assert_nothing_is_held(&mut rib);
}
