//! Random events into the table and into a naive model: both must agree on
//! everything that anybody can see, whatever is asked for when.

mod common;
mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use bgp_wire::{Family, FamilySet, PathAttributes};
use common::kernel::Kernel;
use common::world::{self, Event};
use common::*;
use holdfast_rib::{
    AddPathSend, ExportBatch, FibAnswer, FibRoute, Forwarding, LocalSource, PathSource, PeerId,
    Redo, Rib, TrackEvent,
};
use ipnet::IpNet;
use model::Model;
use proptest::prelude::*;

/// The other end of a peer's session.
#[derive(Debug, Default)]
struct Remote {
    /// By prefix and path identifier.
    holds: BTreeMap<(IpNet, u32), Arc<PathAttributes>>,
    awaits_end_of_rib: FamilySet,
    awaits_refresh: FamilySet,
}

struct Harness {
    rib: Rib,
    model: Model,
    tracked: BTreeSet<IpAddr>,
    fib: BTreeMap<IpNet, Arc<FibRoute>>,
    kernel: Kernel,
    /// What was heard of the kernel last: the form that it has of a prefix.
    heard: BTreeMap<IpNet, Option<Arc<FibRoute>>>,
    /// Peers are told what the kernel has.
    gated: bool,
    /// Prefixes that are to be written once more.
    repeated: BTreeSet<IpNet>,
    remotes: BTreeMap<u32, Remote>,
    /// Peers that are told the same share one allocation of their policy.
    policies: BTreeMap<u8, Arc<TestPolicy>>,
    /// Portions are taken for whole groups.
    grouped: bool,
    /// Everything that is taken reaches the remotes.
    delivers: bool,
    events: usize,
}

impl Harness {
    fn new() -> Harness {
        Harness {
            rib: Rib::new(config()),
            model: Model::new(config()),
            tracked: BTreeSet::new(),
            fib: BTreeMap::new(),
            kernel: Kernel::default(),
            heard: BTreeMap::new(),
            gated: false,
            repeated: BTreeSet::new(),
            remotes: BTreeMap::new(),
            policies: BTreeMap::new(),
            grouped: false,
            delivers: true,
            events: 0,
        }
    }

    fn policy(&mut self, number: u8) -> (Arc<TestPolicy>, TestPolicy) {
        let policy = world::policy(number);
        if number & 128 != 0 {
            // Another allocation that says the same.
            self.policies.remove(&(number % 6));
        }
        let shared = self.policies.entry(number % 6);
        (Arc::clone(shared.or_insert(Arc::new(policy))), policy)
    }

    fn run(&mut self, event: &Event) {
        match event {
            Event::Export(peer, budget) => self.export(*peer, *budget),
            Event::TakeFib(budget) => self.take_fib(*budget),
            Event::Settle => self.settle(),
            Event::Isolate(peer, family) => self.rib.isolate(PeerId(*peer), *family),
            Event::RepeatFib(family) => {
                let of_family =
                    |prefix: &&IpNet| prefix.addr().is_ipv4() == (*family == Family::Ipv4Unicast);
                self.repeated.extend(self.fib.keys().filter(of_family));
                self.rib.repeat_forwarding(*family);
            }
            Event::Gate(on) => {
                self.gated = *on;
                self.rib.set_fib_gate(*on);
            }
            Event::KernelTakes(count) => self.kernel.take(*count),
            Event::KernelWrites(count) => self.kernel.write(*count),
            Event::KernelSays(count) => self.hear(*count),
            Event::Block(prefix, answer) => self.kernel.block(*prefix, *answer),
            Event::Lose(prefix) => self.kernel.lose(*prefix),
            Event::Up(..)
            | Event::Down(..)
            | Event::SetPolicy(..)
            | Event::DefaultRoute(..)
            | Event::SetPeer(..)
            | Event::OurSide(..)
            | Event::MarkStale(..)
            | Event::Sweep(..)
            | Event::EndOfRib(..)
            | Event::RefreshIn(..)
            | Event::RefreshOut(..) => self.peer_event(event),
            _ => self.route_event(event),
        }
        self.model.forget();
        self.answer_tracking();
        self.events += 1;
        // Mostly many changes come to an aggregate before somebody looks.
        let settled = Family::ALL.map(|f| self.rib.are_aggregates_settled(f));
        if self.events.is_multiple_of(4) || settled == [true, true] {
            self.rib.settle_aggregates();
            self.check_table();
        }
        // What is shown is what was told, whatever is to be told yet.
        for peer in self.remotes.keys().filter(|_| self.delivers) {
            self.check_advertised(*peer);
        }
    }

    fn peer_event(&mut self, event: &Event) {
        let (shared, policy) = match *event {
            Event::Up(_, _, policy) | Event::SetPolicy(_, policy) => self.policy(policy),
            _ => self.policy(0),
        };
        let (rib, model) = (&mut self.rib, &mut self.model);
        match *event {
            Event::Up(peer, variant, _) => {
                let info = world::peer(peer, variant);
                let remote = Remote {
                    awaits_end_of_rib: info.families,
                    ..Remote::default()
                };
                rib.peer_up(PeerId(peer), info.clone(), shared);
                model.peer_up(PeerId(peer), info, policy);
                self.remotes.insert(peer, remote);
            }
            Event::Down(peer, keep) => {
                let keep: FamilySet = Family::ALL
                    .into_iter()
                    .filter(|f| keep & 1 << *f as u8 != 0)
                    .collect();
                rib.peer_down(PeerId(peer), keep);
                model.peer_down(PeerId(peer), keep);
                self.remotes.remove(&peer);
            }
            Event::SetPolicy(peer, _) => {
                let before = model.peers.get_mut(&PeerId(peer));
                let before = before.map(|peer| std::mem::replace(&mut peer.policy, policy));
                let redo = match before == Some(policy) {
                    true => Redo::NOTHING,
                    false => Redo::ALL,
                };
                if peer % 2 == 0 {
                    rib.set_policies(PeerId(peer), shared, redo);
                } else {
                    let everywhere = ["0.0.0.0/0", "::/0"].map(net).into_iter().collect();
                    let change = (PeerId(peer), shared as _, redo);
                    rib.set_policies_within(vec![change], &everywhere);
                    while rib.import_noted(1) {}
                }
            }
            Event::DefaultRoute(peer, family, med) => {
                let route = med.map(|med| PathAttributes {
                    med: Some(med),
                    ..PathAttributes::default()
                });
                rib.set_default_route(PeerId(peer), family, route.clone());
                if let Some(peer) = model.peers.get_mut(&PeerId(peer)) {
                    match route {
                        Some(route) => peer.defaults.insert(family as u8, route),
                        None => peer.defaults.remove(&(family as u8)),
                    };
                }
            }
            Event::SetPeer(peer, variant) => {
                let info = world::peer(peer, variant);
                rib.set_peer(PeerId(peer), info.clone());
                if let Some(peer) = model.peers.get_mut(&PeerId(peer)) {
                    let families = peer.info.families;
                    peer.info = holdfast_rib::PeerInfo { families, ..info };
                }
            }
            Event::OurSide(peer, bits) => {
                if let Some(state) = model.peers.get_mut(&PeerId(peer)) {
                    state.info = world::our_side(state.info.clone(), bits);
                    rib.set_peer(PeerId(peer), state.info.clone());
                }
            }
            Event::MarkStale(peer, family) => {
                rib.mark_stale(PeerId(peer), family);
                model.mark_stale(PeerId(peer), family);
            }
            Event::Sweep(peer, family) => {
                rib.sweep_stale(PeerId(peer), family);
                model.sweep(PeerId(peer), family);
            }
            Event::EndOfRib(peer, family) => {
                rib.end_of_rib(PeerId(peer), family);
                model.sweep(PeerId(peer), family);
            }
            Event::RefreshIn(peer) => rib.refresh_in(PeerId(peer)),
            Event::RefreshOut(peer, family, resend) => {
                rib.refresh_out(PeerId(peer), family, resend);
                if let Some(remote) = self.remotes.get_mut(&peer)
                    && resend
                    && model.peers[&PeerId(peer)].info.families.contains(family)
                {
                    remote.awaits_refresh.insert(family);
                }
            }
            _ => panic!("no event of a peer: {event:?}"),
        }
    }

    fn route_event(&mut self, event: &Event) {
        let (rib, model) = (&mut self.rib, &mut self.model);
        match event {
            Event::Announce(peer, list, attributes) => {
                let peer = PeerId(*peer);
                rib.update(peer, announcement(list, (**attributes).clone()), 1);
                for (prefix, path_id) in list {
                    model.announce(peer, *prefix, *path_id, attributes);
                }
            }
            Event::Withdraw(peer, list) => {
                rib.update(PeerId(*peer), withdrawal(list), 1);
                for (prefix, path_id) in list {
                    model.withdraw(PeerId(*peer), *prefix, *path_id);
                }
            }
            Event::NextHop(addr, state) => {
                rib.next_hop_changed(*addr, *state);
                match state {
                    Some(state) => model.next_hops.insert(*addr, *state),
                    None => model.next_hops.remove(addr),
                };
            }
            Event::Originate(prefix, route) => {
                rib.originate(*prefix, (**route).clone(), 1);
                model.originate(*prefix, (**route).clone());
            }
            Event::WithdrawLocal(prefix, source) => {
                rib.withdraw_local(*prefix, *source);
                model.withdraw_local(*prefix, *source);
            }
            Event::Config(variant) => {
                rib.set_config(world::config_variant(*variant));
                model.config = world::config_variant(*variant);
            }
            Event::Aggregates(bits) => {
                rib.set_aggregates(world::aggregates(*bits), 1);
                model.aggregates = world::aggregates(*bits).into_iter().collect();
            }
            Event::Own(yes) => {
                rib.set_local_addresses(&world::own_addresses(*yes));
                model.own = world::own_addresses(*yes);
            }
            _ => panic!("no event of a route: {event:?}"),
        }
    }

    fn answer_tracking(&mut self) {
        for event in self.rib.take_tracking() {
            match event {
                TrackEvent::Track(addr) => {
                    assert!(self.tracked.insert(addr), "{addr} tracked twice");
                    let state = self.model.next_hops.get(&addr).copied();
                    self.rib.next_hop_changed(addr, state);
                }
                TrackEvent::Untrack(addr) => {
                    assert!(self.tracked.remove(&addr), "{addr} was not tracked");
                }
            }
        }
        assert_eq!(self.tracked, self.model.tracked());
        assert_eq!(self.rib.take_tracking(), []);
    }

    fn take_fib(&mut self, budget: usize) {
        let changes = self.rib.take_fib_changes(budget);
        for change in &changes {
            let prefix = change.prefix;
            let before = match &change.route {
                Some(route) => self.fib.insert(prefix, route.clone()),
                None => self.fib.remove(&prefix),
            };
            // What is there when the gate comes is asked for again.
            let again = self.gated && before.is_some();
            let again = self.repeated.remove(&prefix) || again;
            assert!(before != change.route || again, "no change of {prefix}");
        }
        self.kernel.ask(self.rib.fib_batch(), changes);
    }

    /// Passes on what the kernel says.
    fn hear(&mut self, count: usize) {
        for answer in self.kernel.hear(count) {
            self.rib
                .fib_answered(answer.prefix, answer.answer, answer.batch);
            self.heard.insert(answer.prefix, answer.has);
        }
    }

    /// Whether the gate is about the prefix: the best path is a peer's.
    fn is_forwarded(&self, prefix: IpNet) -> bool {
        let outcome = self.model.decide(prefix);
        let best = outcome.best.map(|best| outcome.paths[best].source);
        matches!(best, Some(PathSource::Peer(_)))
    }

    /// With the gate, nobody is told of a route that the kernel was not heard
    /// to have in this form.
    fn check_gate(&self, peer: u32, batch: &ExportBatch) {
        if !self.gated || batch.announced.is_empty() {
            return;
        }
        let fib = self.model.fib();
        for (prefix, _) in batch.announced.iter().flat_map(|(_, list)| paths(list)) {
            let has = self.heard.get(&prefix).and_then(Option::as_deref);
            let beside = self.model.default_route(PeerId(peer), prefix).is_some();
            let through = beside || !self.is_forwarded(prefix) || has == fib.get(&prefix);
            assert!(through, "{prefix} is told, the kernel has {has:?}");
        }
    }

    /// Takes a portion for a peer, or for the groups that it is in.
    fn export(&mut self, peer: u32, budget: usize) {
        if !self.grouped {
            let batch = self.rib.export(PeerId(peer), budget);
            return self.deliver(peer, &batch);
        }
        for group in self.rib.groups() {
            if !self.rib.members(group).contains(&PeerId(peer)) {
                continue;
            }
            let Some(batch) = self.rib.export_group(group, budget) else {
                continue;
            };
            assert!(batch.members.is_sorted_by_key(|member| member.peer));
            for member in &batch.members {
                self.deliver(member.peer.0, &batch.of_member(member.peer));
            }
        }
    }

    fn deliver(&mut self, peer: u32, batch: &ExportBatch) {
        self.check_gate(peer, batch);
        let Some(remote) = self.remotes.get_mut(&peer) else {
            assert!(batch.is_empty());
            return;
        };
        for path in batch.withdrawn.iter().flat_map(paths) {
            let held = remote.holds.remove(&path);
            assert!(held.is_some(), "{path:?} was not announced to {peer}");
        }
        for (attributes, prefixes) in &batch.announced {
            for path in paths(prefixes) {
                let held = remote.holds.insert(path, attributes.clone());
                let resent = remote.awaits_refresh.contains(family_of(path.0));
                let news = held.as_ref() != Some(attributes);
                assert!(news || resent, "{path:?} again to {peer}");
            }
        }
        for family in batch.end_of_rib.iter() {
            assert!(remote.awaits_end_of_rib.contains(family));
            remote.awaits_end_of_rib.remove(family);
        }
        for family in batch.end_of_refresh.iter() {
            assert!(remote.awaits_refresh.contains(family));
            remote.awaits_refresh.remove(family);
        }
    }

    /// Empties the table and looks whether anything is held still.
    fn end(&mut self) {
        for peer in 0..world::PEERS {
            self.run(&Event::Down(peer, 0));
        }
        for prefix in world::PREFIXES {
            for source in [
                LocalSource::Network,
                LocalSource::Connected,
                LocalSource::Static,
            ] {
                self.run(&Event::WithdrawLocal(net(prefix), source));
            }
        }
        self.run(&Event::Aggregates(0));
        self.settle();
        assert_eq!(self.rib.attribute_holds(), 0);
        assert_eq!(self.rib.groups(), []);
    }

    /// Takes everything and compares what came out with the model.
    fn settle(&mut self) {
        self.take_fib(usize::MAX);
        assert!(self.repeated.is_empty(), "not written again");
        self.kernel.take(usize::MAX);
        self.kernel.write(usize::MAX);
        self.hear(usize::MAX);
        self.check_forwarding();
        let fib: BTreeMap<IpNet, FibRoute> = self
            .fib
            .iter()
            .map(|(prefix, route)| (*prefix, (**route).clone()))
            .collect();
        assert_eq!(fib, self.model.fib());
        for peer in 0..world::PEERS {
            while self.rib.pending(PeerId(peer)) {
                self.export(peer, 2);
            }
        }
        for peer in 0..world::PEERS {
            let Some(remote) = self.remotes.get(&peer) else {
                continue;
            };
            assert!(remote.awaits_end_of_rib.is_empty());
            assert!(remote.awaits_refresh.is_empty());
            self.check_held(peer, remote);
        }
    }

    fn check_held(&self, peer: u32, remote: &Remote) {
        let info = &self.model.peers[&PeerId(peer)].info;
        let mut holds: BTreeMap<IpNet, Vec<PathAttributes>> = BTreeMap::new();
        for ((prefix, path_id), attributes) in &remote.holds {
            let several = info.family(family_of(*prefix)).add_path != AddPathSend::Best;
            assert_eq!(*path_id != 0, several, "{prefix} to {peer}");
            holds
                .entry(*prefix)
                .or_default()
                .push((**attributes).clone());
        }
        let mut wanted = self.model.advertised(PeerId(peer));
        wanted.retain(|prefix, _| {
            let absent = self.gated && self.kernel.blocked(*prefix).is_some();
            let beside = self.model.default_route(PeerId(peer), *prefix).is_some();
            beside || !absent || !self.is_forwarded(*prefix)
        });
        for paths in holds.values_mut().chain(wanted.values_mut()) {
            paths.sort_by_cached_key(|path| format!("{path:?}"));
        }
        assert_eq!(holds, wanted, "peer {peer}");
    }

    /// All answers were heard: what is shown is what the kernel has.
    fn check_forwarding(&self) {
        let fib = self.model.fib();
        for prefix in self.model.prefixes() {
            let Some(view) = self.rib.prefix(prefix) else {
                continue;
            };
            let blocked = self.kernel.blocked(prefix);
            let ours = self.is_forwarded(prefix);
            let foreign = fib.contains_key(&prefix) && blocked == Some(FibAnswer::Foreign);
            assert_eq!(view.rib_failure, foreign, "{view:?}");
            let forwarding = match blocked {
                None => Forwarding::Installed,
                Some(_) => Forwarding::Absent,
            };
            let shown = (ours && self.gated).then_some(forwarding);
            assert_eq!(view.forwarding, shown, "{view:?}");
        }
    }

    fn check_advertised(&self, peer: u32) {
        let mut shown = BTreeMap::new();
        for family in Family::ALL {
            let mut after = None;
            loop {
                let page = self.rib.advertised(PeerId(peer), family, after, 2);
                shown.extend(
                    page.items
                        .into_iter()
                        .map(|r| ((r.prefix, r.path_id), Arc::new(r.attributes.decode()))),
                );
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        assert_eq!(shown, self.remotes[&peer].holds);
        let sent: usize = Family::ALL
            .iter()
            .map(|f| self.rib.counters(PeerId(peer), *f).sent)
            .sum();
        let prefixes: BTreeSet<IpNet> = shown.keys().map(|(prefix, _)| *prefix).collect();
        assert_eq!(sent, prefixes.len());
    }

    /// Compares the table with the model, prefix by prefix.
    fn check_table(&self) {
        for family in Family::ALL {
            let mut views = Vec::new();
            let mut after = None;
            loop {
                let page = self.rib.table(family, after, 2);
                views.extend(page.items);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert!(views.is_sorted_by(|a, b| a.prefix < b.prefix));
            let shown: Vec<IpNet> = views.iter().map(|view| view.prefix).collect();
            let mut prefixes = self.model.prefixes();
            prefixes.retain(|prefix| {
                family_of(*prefix) == family && !self.model.decide(*prefix).paths.is_empty()
            });
            assert!(shown.iter().eq(prefixes.iter()), "{shown:?} {prefixes:?}");
            let paths = views.iter().map(|view| self.check_prefix(view)).sum();
            let summary = self.rib.summary(family);
            assert_eq!((summary.prefixes, summary.paths), (views.len(), paths));
        }
        self.check_counters();
    }

    fn check_prefix(&self, view: &holdfast_rib::PrefixView) -> usize {
        let outcome = self.model.decide(view.prefix);
        assert_eq!(view.reason, outcome.reason, "{view:?} {outcome:?}");
        assert_eq!(view.suppressed, self.model.suppressed(view.prefix));
        assert_eq!(view.paths.len(), outcome.paths.len());
        for shown in &view.paths {
            let place = outcome
                .paths
                .iter()
                .position(|p| (p.source, p.path_id) == (shown.source, shown.path_id))
                .unwrap();
            let path = &outcome.paths[place];
            assert_eq!(shown.attributes.decode(), path.attributes);
            assert_eq!(shown.invalid.is_none(), path.valid);
            assert_eq!(shown.stale, path.stale);
            assert_eq!(shown.weight, path.weight);
            assert_eq!(shown.best, outcome.best == Some(place), "{view:?}");
            assert_eq!(shown.multipath, outcome.multipath.contains(&place));
        }
        view.paths.len()
    }

    fn check_counters(&self) {
        for peer in (0..world::PEERS).map(PeerId) {
            for family in Family::ALL {
                let said = |(prefix, source, _): &&(IpNet, PathSource, u32)| {
                    *source == PathSource::Peer(peer) && family_of(*prefix) == family
                };
                let received = self.model.routes.keys().filter(said).count();
                let accepted = self.model.routes.keys().filter(said);
                let accepted = accepted
                    .filter(|(prefix, source, id)| {
                        let paths = self.model.decide(*prefix).paths;
                        paths
                            .iter()
                            .any(|p| (p.source, p.path_id) == (*source, *id))
                    })
                    .count();
                let counters = self.rib.counters(peer, family);
                assert_eq!((counters.received, counters.accepted), (received, accepted));
            }
        }
    }
}

/// Events in one run of the tests, at most. Half of it is the mean.
const MOST: usize = 160;

/// As many runs as make the steps that `HOLDFAST_STEPS` asks for; without it as
/// many as proptest takes.
fn cases() -> ProptestConfig {
    let mut config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    if let Ok(steps) = std::env::var("HOLDFAST_STEPS") {
        let steps: u32 = steps.parse().expect("HOLDFAST_STEPS is a number");
        // Less than the mean, so that it is no fewer in any case.
        config.cases = steps / (MOST as u32 * 2 / 5) + 1;
    }
    config
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn table_agrees_with_the_model(
        events in prop::collection::vec(world::an_event(), 1..MOST),
    ) {
        let mut harness = Harness::new();
        for event in events.iter().chain([&Event::Settle]) {
            harness.run(event);
        }
        prop_assert_eq!(harness.rib.pending(PeerId(0)), false);
        harness.end();
    }

    #[test]
    fn groups_are_told_what_each_member_would_be(
        events in prop::collection::vec(world::an_event(), 1..MOST),
    ) {
        let mut harness = Harness::new();
        harness.grouped = true;
        for event in events.iter().chain([&Event::Settle]) {
            harness.run(event);
        }
        harness.end();
    }

    #[test]
    fn groups_of_peers_that_announce_are_told_what_each_would_be(
        events in prop::collection::vec(world::an_event(), 1..MOST),
    ) {
        let mut harness = Harness::new();
        harness.grouped = true;
        let events = events.into_iter().map(Event::among_alike);
        let events = world::alike_and_up().into_iter().chain(events);
        for event in events.chain([Event::Settle]) {
            harness.run(&event);
        }
        harness.end();
    }

    #[test]
    fn the_same_events_give_the_same_deltas(
        events in prop::collection::vec(world::an_event(), 1..MOST),
    ) {
        let trace = |events: &[Event]| {
            let mut harness = Harness::new();
            harness.delivers = false;
            let mut out = Vec::new();
            for event in events {
                harness.run(event);
                out.push(format!("{:?}", harness.rib.take_fib_changes(3)));
                for peer in 0..world::PEERS {
                    out.push(format!("{:?}", harness.rib.export(PeerId(peer), 3)));
                }
            }
            out
        };
        let quiet: Vec<Event> = events
            .into_iter()
            .filter(|e| !matches!(e, Event::Export(..) | Event::TakeFib(_) | Event::Settle))
            .collect();
        prop_assert_eq!(trace(&quiet), trace(&quiet));
    }
}
