//! Peers are told what the kernel has: what waits for which answer.

mod common;

use std::sync::Arc;

use common::*;
use holdfast_rib::{
    AddPathSend, ExportBatch, FibAnswer, Forwarding, LocalRoute, LocalSource, MaxPaths, PeerId,
    Rib, RibConfig, Watcher,
};

const ONE: &str = "198.51.100.0/24";
const TWO: &str = "203.0.113.0/24";
/// The peer that is told.
const OBSERVER: u32 = 3;

fn rib() -> Rib {
    let mut rib = Rib::new(RibConfig {
        multipath_relax: true,
        max_paths_v4: MaxPaths {
            ebgp: 2,
            ..MaxPaths::default()
        },
        ..config()
    });
    rib.set_fib_gate(true);
    for number in [1, 2, OBSERVER] {
        let address = format!("192.0.2.{number}");
        rib.peer_up(PeerId(number), external(65000 + number, &address), accept());
        drain(&mut rib, number);
    }
    rib
}

fn put(rib: &mut Rib, peer: u32, prefix: &str, path: &[u32]) {
    let hop = format!("192.0.2.{peer}");
    announce(rib, peer, prefix, attributes(path, &hop));
}

/// The kernel takes what there is to take; the number of the batch.
fn ask(rib: &mut Rib) -> u64 {
    fib(rib);
    rib.fib_batch()
}

fn answer(rib: &mut Rib, prefix: &str, answer: FibAnswer) {
    let batch = rib.fib_batch();
    rib.fib_answered(net(prefix), answer, batch);
}

/// AS paths that the observer is told now, by prefix.
fn told(rib: &mut Rib) -> Vec<(String, String)> {
    let batch = drain(rib, OBSERVER);
    let one = |batch: &ExportBatch| -> Vec<(String, String)> {
        let parts = batch.announced.iter();
        parts
            .flat_map(|(attributes, list)| {
                let path = attributes.as_path.to_string();
                nets(list)
                    .into_iter()
                    .map(move |net| (net.to_string(), path.clone()))
            })
            .collect()
    };
    let gone = withdrawn_nets(&batch).into_iter();
    let gone = gone.map(|net| (net.to_string(), "gone".to_owned()));
    gone.chain(one(&batch)).collect()
}

fn line(prefix: &str, path: &str) -> (String, String) {
    (prefix.to_owned(), path.to_owned())
}

fn forwarding(rib: &Rib, prefix: &str) -> Option<Forwarding> {
    rib.prefix(net(prefix)).unwrap().forwarding
}

#[test]
fn a_new_route_is_told_when_it_is_installed() {
    let mut rib = rib();
    put(&mut rib, 1, ONE, &[65001]);
    assert_eq!(told(&mut rib), []);
    ask(&mut rib);
    assert_eq!(told(&mut rib), []);
    assert_eq!(forwarding(&rib, ONE), Some(Forwarding::Awaited));
    answer(&mut rib, ONE, FibAnswer::Installed);
    assert_eq!(forwarding(&rib, ONE), Some(Forwarding::Installed));
    assert_eq!(told(&mut rib), [line(ONE, "65000 65001")]);
}

#[test]
fn a_change_leaves_what_was_told_until_it_is_installed() {
    let mut rib = rib();
    put(&mut rib, 1, ONE, &[65001, 65009]);
    ask(&mut rib);
    answer(&mut rib, ONE, FibAnswer::Installed);
    told(&mut rib);
    put(&mut rib, 2, ONE, &[65002]);
    assert_eq!(told(&mut rib), []);
    let shown = rib.advertised(PeerId(OBSERVER), V4, None, 9).items;
    let shown = shown[0].attributes.decode().as_path.to_string();
    assert_eq!(shown, "65000 65001 65009", "told is what was told");
    ask(&mut rib);
    assert_eq!(told(&mut rib), []);
    answer(&mut rib, ONE, FibAnswer::Installed);
    assert_eq!(told(&mut rib), [line(ONE, "65000 65002")]);
}

#[test]
fn an_answer_about_the_former_route_is_none_about_this_one() {
    let mut rib = rib();
    put(&mut rib, 1, ONE, &[65001, 65009]);
    let first = ask(&mut rib);
    put(&mut rib, 2, ONE, &[65002]);
    let second = ask(&mut rib);
    assert_ne!(first, second);
    rib.fib_answered(net(ONE), FibAnswer::Installed, first);
    assert_eq!(told(&mut rib), []);
    rib.fib_answered(net(ONE), FibAnswer::Failed, first);
    assert_eq!(forwarding(&rib, ONE), Some(Forwarding::Awaited));
    rib.fib_answered(net(ONE), FibAnswer::Installed, second);
    assert_eq!(told(&mut rib), [line(ONE, "65000 65002")]);
}

#[test]
fn an_answer_that_came_before_the_question_left_is_none() {
    let mut rib = rib();
    put(&mut rib, 1, ONE, &[65001, 65009]);
    ask(&mut rib);
    put(&mut rib, 2, ONE, &[65002]);
    // The kernel has the first one; the second one is not asked for yet.
    answer(&mut rib, ONE, FibAnswer::Installed);
    assert_eq!(told(&mut rib), []);
    ask(&mut rib);
    answer(&mut rib, ONE, FibAnswer::Installed);
    assert_eq!(told(&mut rib), [line(ONE, "65000 65002")]);
}

#[test]
fn what_forwarding_does_not_depend_on_is_told_without_an_answer() {
    let mut rib = rib();
    put(&mut rib, 1, ONE, &[65001, 65009]);
    ask(&mut rib);
    answer(&mut rib, ONE, FibAnswer::Installed);
    told(&mut rib);
    put(&mut rib, 1, ONE, &[65001, 65008]);
    assert_eq!(fib(&mut rib), []);
    assert_eq!(told(&mut rib), [line(ONE, "65000 65001 65008")]);
}

#[test]
fn a_loss_is_told_and_so_is_what_comes_back() {
    let mut rib = rib();
    put(&mut rib, 1, ONE, &[65001]);
    ask(&mut rib);
    answer(&mut rib, ONE, FibAnswer::Installed);
    told(&mut rib);
    for loss in [FibAnswer::Failed, FibAnswer::Foreign] {
        answer(&mut rib, ONE, loss);
        assert_eq!(told(&mut rib), [line(ONE, "gone")]);
        assert_eq!(forwarding(&rib, ONE), Some(Forwarding::Absent));
        let failure = rib.prefix(net(ONE)).unwrap().rib_failure;
        assert_eq!(failure, loss == FibAnswer::Foreign);
        answer(&mut rib, ONE, FibAnswer::Installed);
        assert_eq!(told(&mut rib), [line(ONE, "65000 65001")]);
    }
}

#[test]
fn a_second_next_hop_that_fails_takes_the_announcement_along() {
    let mut rib = rib();
    put(&mut rib, 1, ONE, &[65001]);
    ask(&mut rib);
    answer(&mut rib, ONE, FibAnswer::Installed);
    told(&mut rib);
    // The best path is the same, its form in the kernel is not.
    put(&mut rib, 2, ONE, &[65002]);
    ask(&mut rib);
    assert_eq!(told(&mut rib), []);
    answer(&mut rib, ONE, FibAnswer::Failed);
    assert_eq!(told(&mut rib), [line(ONE, "gone")]);
}

#[test]
fn withdrawals_and_routes_of_our_own_do_not_wait() {
    let mut rib = rib();
    put(&mut rib, 1, ONE, &[65001]);
    ask(&mut rib);
    answer(&mut rib, ONE, FibAnswer::Installed);
    told(&mut rib);
    withdraw(&mut rib, 1, ONE);
    assert_eq!(told(&mut rib), [line(ONE, "gone")]);
    let route = LocalRoute::new(LocalSource::Network, None, 0);
    rib.originate(net(TWO), route, 0);
    assert_eq!(told(&mut rib), [line(TWO, "65000")]);
    assert_eq!(forwarding(&rib, TWO), None);
}

#[test]
fn nothing_waits_without_a_forwarding_side() {
    let mut rib = rib();
    put(&mut rib, 1, ONE, &[65001]);
    ask(&mut rib);
    answer(&mut rib, ONE, FibAnswer::Foreign);
    put(&mut rib, 1, TWO, &[65001]);
    assert_eq!(told(&mut rib), []);
    rib.set_forwarding(false);
    let both = [line(ONE, "65000 65001"), line(TWO, "65000 65001")];
    assert_eq!(told(&mut rib), both);
    assert!(!rib.prefix(net(ONE)).unwrap().rib_failure);
}

#[test]
fn turning_it_on_asks_again_and_leaves_what_is_told() {
    let mut rib = rib();
    rib.set_fib_gate(false);
    for prefix in [ONE, TWO] {
        put(&mut rib, 1, prefix, &[65001]);
    }
    assert_eq!(told(&mut rib).len(), 2);
    ask(&mut rib);
    answer(&mut rib, ONE, FibAnswer::Failed);
    rib.set_fib_gate(true);
    assert_eq!(told(&mut rib), [], "not known yet");
    assert_eq!(fib(&mut rib).len(), 2, "both are asked for again");
    answer(&mut rib, ONE, FibAnswer::Failed);
    answer(&mut rib, TWO, FibAnswer::Installed);
    assert_eq!(told(&mut rib), [line(ONE, "gone")]);
    rib.set_fib_gate(false);
    assert_eq!(told(&mut rib), [line(ONE, "65000 65001")]);
    assert_eq!(fib(&mut rib), []);
}

#[test]
fn an_end_of_rib_waits_for_what_waits_for_the_kernel() {
    let mut rib = rib();
    put(&mut rib, 1, ONE, &[65001]);
    put(&mut rib, 1, TWO, &[65001]);
    ask(&mut rib);
    let new = external(65007, "192.0.2.7");
    rib.peer_up(PeerId(7), new, accept());
    let first = drain(&mut rib, 7);
    assert!(first.announced.is_empty());
    assert_eq!(first.end_of_rib, only(V6), "of IPv4 there is more");
    answer(&mut rib, ONE, FibAnswer::Failed);
    assert!(drain(&mut rib, 7).is_empty());
    answer(&mut rib, TWO, FibAnswer::Installed);
    let last = drain(&mut rib, 7);
    assert_eq!(announced_nets(&last), [net(TWO)]);
    assert_eq!(last.end_of_rib, only(V4));
    // What changes later does not bring another one.
    put(&mut rib, 2, TWO, &[65002]);
    ask(&mut rib);
    answer(&mut rib, TWO, FibAnswer::Installed);
    assert!(drain(&mut rib, 7).end_of_rib.is_empty());
}

#[test]
fn a_refresh_ends_when_what_waits_was_sent() {
    let mut rib = rib();
    put(&mut rib, 1, ONE, &[65001, 65009]);
    ask(&mut rib);
    answer(&mut rib, ONE, FibAnswer::Installed);
    told(&mut rib);
    put(&mut rib, 2, ONE, &[65002]);
    ask(&mut rib);
    rib.refresh_out(PeerId(OBSERVER), V4, true);
    assert!(drain(&mut rib, OBSERVER).is_empty());
    answer(&mut rib, ONE, FibAnswer::Installed);
    let batch = drain(&mut rib, OBSERVER);
    assert_eq!(announced_nets(&batch), [net(ONE)]);
    assert_eq!(batch.end_of_refresh, only(V4));
}

#[test]
fn an_end_of_rib_comes_after_what_was_let_through_in_the_middle_of_the_transfer() {
    let mut rib = rib();
    put(&mut rib, 1, ONE, &[65001]);
    put(&mut rib, 1, TWO, &[65001]);
    ask(&mut rib);
    rib.peer_up(PeerId(7), external(65007, "192.0.2.7"), accept());
    // The walk is past the first prefix, and not at the end.
    assert!(rib.export(PeerId(7), 1).announced.is_empty());
    answer(&mut rib, ONE, FibAnswer::Installed);
    answer(&mut rib, TWO, FibAnswer::Installed);
    let mut sent = Vec::new();
    while rib.pending(PeerId(7)) {
        let batch = rib.export(PeerId(7), 1);
        sent.extend(announced_nets(&batch));
        if batch.end_of_rib.contains(V4) {
            assert_eq!(sent.len(), 2, "{sent:?}");
        }
    }
    assert_eq!(sent.len(), 2);
}

#[test]
fn groups_join_when_nothing_waits() {
    let mut rib = rib();
    put(&mut rib, 1, ONE, &[65001]);
    ask(&mut rib);
    let settle = |rib: &mut Rib| {
        while let Some(group) = rib.pending_groups().first().copied() {
            rib.export_group(group, 100);
        }
    };
    // One policy is one allocation.
    let policy = accept();
    for number in [7, 8] {
        let address = format!("192.0.2.{number}");
        let info = external(65000 + number, &address);
        rib.peer_up(PeerId(number), info, Arc::clone(&policy));
    }
    settle(&mut rib);
    let of = |rib: &Rib| {
        let groups = rib.groups().into_iter();
        groups.filter(|group| group.family() == V4).count()
    };
    let waiting = of(&rib);
    answer(&mut rib, ONE, FibAnswer::Foreign);
    settle(&mut rib);
    assert!(of(&rib) < waiting, "{} of {waiting}", of(&rib));
}

#[test]
fn several_paths_wait_for_the_best_one() {
    let mut rib = rib();
    let mut info = external(65007, "192.0.2.7");
    info.ipv4.add_path = AddPathSend::All;
    rib.peer_up(PeerId(7), info, accept());
    drain(&mut rib, 7);
    put(&mut rib, 1, ONE, &[65001]);
    put(&mut rib, 2, ONE, &[65002, 65009]);
    ask(&mut rib);
    assert!(drain(&mut rib, 7).is_empty());
    answer(&mut rib, ONE, FibAnswer::Installed);
    assert_eq!(announced_nets(&drain(&mut rib, 7)).len(), 2);
    answer(&mut rib, ONE, FibAnswer::Failed);
    assert_eq!(withdrawn_nets(&drain(&mut rib, 7)).len(), 2);
}

#[test]
fn a_watcher_hears_of_a_route_that_a_foreign_one_keeps_out() {
    let mut rib = rib();
    rib.set_fib_gate(false);
    put(&mut rib, 1, ONE, &[65001]);
    ask(&mut rib);
    rib.set_watching(Watcher::Onlooker, true);
    for (said, news) in [
        (FibAnswer::Foreign, true),
        (FibAnswer::Foreign, false),
        (FibAnswer::Installed, true),
        (FibAnswer::Installed, false),
    ] {
        answer(&mut rib, ONE, said);
        assert_eq!(
            !rib.take_watched(Watcher::Onlooker, 9).is_empty(),
            news,
            "{said:?}"
        );
    }
    // Nobody asked for this one.
    answer(&mut rib, TWO, FibAnswer::Foreign);
    assert_eq!(rib.take_watched(Watcher::Onlooker, 9), []);
}

#[test]
fn routes_that_are_repeated_are_asked_for_again_and_told_as_before() {
    let mut rib = rib();
    put(&mut rib, 1, ONE, &[65001]);
    put(&mut rib, 1, "2001:db8::/32", &[65001]);
    let first = fib(&mut rib);
    let batch = rib.fib_batch();
    for change in &first {
        rib.fib_answered(change.prefix, FibAnswer::Installed, batch);
    }
    drain(&mut rib, OBSERVER);
    assert!(fib(&mut rib).is_empty());
    rib.repeat_forwarding(bgp_wire::Family::Ipv4Unicast);
    let again = fib(&mut rib);
    let v4 = first.iter().filter(|change| change.prefix.addr().is_ipv4());
    assert!(again.iter().eq(v4));
    // Nobody else hears of it, before the answer and after.
    assert!(drain(&mut rib, OBSERVER).announced.is_empty());
    rib.fib_answered(ONE.parse().unwrap(), FibAnswer::Installed, rib.fib_batch());
    let told = drain(&mut rib, OBSERVER);
    assert!(told.announced.is_empty() && told.withdrawn.is_empty());
    // One that goes before it was told once more is gone.
    rib.repeat_forwarding(bgp_wire::Family::Ipv4Unicast);
    withdraw(&mut rib, 1, ONE);
    let gone = fib(&mut rib);
    assert!(gone.len() == 1 && gone.iter().all(|change| change.route.is_none()));
    assert!(fib(&mut rib).is_empty());
}
