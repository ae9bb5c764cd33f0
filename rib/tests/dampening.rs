//! Dampening (RFC 2439): what counts as a flap, when a route is suppressed and
//! used again, what is kept of it, and that random input does what a model
//! that looks at everything every second does.

mod common;

use std::collections::BTreeMap;

use bgp_wire::PathAttributes;
use common::*;
use holdfast_rib::{Dampening, Flapping, PathView, PeerId, PeerInfo, Policy, Rib, TrackEvent};
use proptest::prelude::*;

const ONE: &str = "198.18.0.0/15";
const TWO: &str = "198.18.1.0/24";

/// A half-life of a minute, at most four.
const SHORT: Dampening = Dampening {
    half_life_secs: 60,
    reuse: 900,
    suppress: 1500,
    max_suppress_secs: 240,
};

/// External peers 1 and 2, and an internal one, 3.
fn rib() -> Rib {
    let mut rib = Rib::new(config());
    rib.set_dampening(V4, None, Some(SHORT));
    for number in [1, 2, 3] {
        up(&mut rib, number);
    }
    rib
}

fn info(number: u32) -> PeerInfo {
    match number {
        3 => internal("10.0.0.3"),
        _ => external(65000 + number, &format!("192.0.2.{number}")),
    }
}

fn up(rib: &mut Rib, number: u32) {
    rib.peer_up(PeerId(number), info(number), accept());
}

fn attrs(peer: u32, med: u32) -> PathAttributes {
    let path: &[u32] = if peer == 3 { &[] } else { &[65000 + peer] };
    let hop = match peer {
        3 => "10.0.0.3".to_owned(),
        _ => format!("192.0.2.{peer}"),
    };
    PathAttributes {
        med: Some(med),
        local_pref: (peer == 3).then_some(50),
        ..attributes(path, &hop)
    }
}

fn put(rib: &mut Rib, peer: u32, prefix: &str, med: u32) {
    announce(rib, peer, prefix, attrs(peer, med));
}

fn flapping(rib: &Rib, prefix: &str) -> Option<Flapping> {
    let view = rib.prefix(net(prefix))?;
    view.paths.iter().find_map(|path| path.flapping)
}

fn best(rib: &Rib, prefix: &str) -> bool {
    let view = rib.prefix(net(prefix));
    view.is_some_and(|view| view.paths.iter().any(|path| path.best))
}

/// Announces and withdraws.
fn flap(rib: &mut Rib, peer: u32, prefix: &str) {
    put(rib, peer, prefix, 0);
    withdraw(rib, peer, prefix);
}

#[test]
fn the_second_withdrawal_suppresses_and_time_releases() {
    let mut rib = rib();
    flap(&mut rib, 1, ONE);
    let known = flapping(&rib, ONE).unwrap();
    assert_eq!((known.penalty, known.flaps), (1000, 1));
    assert!(known.withdrawn && !known.suppressed);
    put(&mut rib, 1, ONE, 0);
    assert!(best(&rib, ONE), "one flap is not enough");
    rib.advance(2);
    withdraw(&mut rib, 1, ONE);
    drain(&mut rib, 2);
    put(&mut rib, 1, ONE, 0);
    let known = flapping(&rib, ONE).unwrap();
    assert_eq!((known.penalty, known.flaps, known.age_secs), (2000, 2, 2));
    assert!(known.suppressed && !known.withdrawn);
    assert!(!best(&rib, ONE));
    assert!(announced_nets(&drain(&mut rib, 2)).is_empty());
    assert!(fib(&mut rib).iter().all(|change| change.route.is_none()));
    // 2000 is below 900 after 1.15 half-lives: 70 seconds, in steps of five.
    assert_eq!(known.reuse_secs, 70);
    assert_eq!(rib.dampening_due(), Some(72));
    rib.advance(71);
    assert!(!best(&rib, ONE));
    rib.advance(72);
    assert!(best(&rib, ONE));
    assert_eq!(announced_nets(&drain(&mut rib, 2)), [net(ONE)]);
    // At half of 900 it is forgotten.
    assert!(flapping(&rib, ONE).is_some());
    while let Some(due) = rib.dampening_due() {
        rib.advance(due);
    }
    assert_eq!(flapping(&rib, ONE), None);
    assert!(best(&rib, ONE));
}

#[test]
fn other_attributes_are_half_a_flap_and_take_the_route_out_at_once() {
    let mut rib = rib();
    put(&mut rib, 1, ONE, 0);
    put(&mut rib, 1, ONE, 0);
    assert_eq!(flapping(&rib, ONE), None, "the same again is nothing");
    put(&mut rib, 1, ONE, 1);
    assert_eq!(flapping(&rib, ONE).unwrap().penalty, 500);
    put(&mut rib, 1, ONE, 2);
    drain(&mut rib, 2);
    put(&mut rib, 1, ONE, 3);
    assert!(flapping(&rib, ONE).unwrap().suppressed);
    assert!(!best(&rib, ONE));
    assert_eq!(withdrawn_nets(&drain(&mut rib, 2)), [net(ONE)]);
}

#[test]
fn a_suppressed_route_makes_room_for_another_one() {
    let mut rib = rib();
    put(&mut rib, 2, ONE, 0);
    for med in 0..4 {
        put(&mut rib, 1, ONE, med);
    }
    let view = rib.prefix(net(ONE)).unwrap();
    let best: Vec<&PathView> = view.paths.iter().filter(|path| path.best).collect();
    assert_eq!(best.len(), 1);
    assert_eq!(best[0].flapping, None);
    assert!(view.paths.iter().any(PathView::is_damped));
    assert_eq!(
        rib.counters(PeerId(1), V4).accepted,
        1,
        "it is not rejected"
    );
}

#[test]
fn internal_routes_are_not_damped() {
    let mut rib = rib();
    for _ in 0..5 {
        flap(&mut rib, 3, ONE);
    }
    put(&mut rib, 3, ONE, 0);
    assert!(best(&rib, ONE));
    assert_eq!(flapping(&rib, ONE), None);
    assert_eq!(rib.dampening_due(), None);
}

#[test]
fn the_end_of_a_session_is_no_flap_and_what_was_withdrawn_stays_known() {
    let mut rib = rib();
    for prefix in [ONE, TWO] {
        flap(&mut rib, 1, prefix);
        flap(&mut rib, 1, prefix);
    }
    put(&mut rib, 1, ONE, 0);
    rib.peer_down(PeerId(1), bgp_wire::FamilySet::EMPTY);
    assert_eq!(flapping(&rib, ONE), None);
    assert_eq!(flapping(&rib, TWO).unwrap().flaps, 2);
    up(&mut rib, 1);
    put(&mut rib, 1, ONE, 0);
    put(&mut rib, 1, TWO, 0);
    assert!(best(&rib, ONE));
    assert!(!best(&rib, TWO));
    rib.forget_flaps(PeerId(1));
    assert!(best(&rib, TWO));
}

#[test]
fn policy_that_changes_is_no_flap() {
    let mut rib = rib();
    flap(&mut rib, 1, ONE);
    flap(&mut rib, 1, ONE);
    put(&mut rib, 1, ONE, 0);
    let before = flapping(&rib, ONE).unwrap();
    let rewrite: std::sync::Arc<dyn Policy> = std::sync::Arc::new(TestPolicy::Deny);
    rib.set_policy(PeerId(1), rewrite);
    assert!(rib.prefix(net(ONE)).is_none());
    rib.set_policy(PeerId(1), accept());
    assert_eq!(flapping(&rib, ONE), Some(before));
    assert!(!best(&rib, ONE), "still suppressed");
}

#[test]
fn no_penalty_is_higher_than_the_longest_time_allows() {
    let mut rib = rib();
    for _ in 0..100 {
        flap(&mut rib, 1, ONE);
    }
    put(&mut rib, 1, ONE, 0);
    let known = flapping(&rib, ONE).unwrap();
    assert_eq!(known.penalty, SHORT.ceiling());
    assert_eq!(known.penalty, 14400);
    assert_eq!(known.reuse_secs, u64::from(SHORT.max_suppress_secs));
}

#[test]
fn other_settings_forget_and_none_release() {
    let mut rib = rib();
    for (peer, prefix) in [(1, ONE), (2, TWO)] {
        flap(&mut rib, peer, prefix);
        flap(&mut rib, peer, prefix);
        put(&mut rib, peer, prefix, 0);
    }
    // Settings of one peer concern nobody else.
    let own = Dampening {
        suppress: 900,
        ..SHORT
    };
    rib.set_dampening(V4, Some(PeerId(1)), Some(own));
    assert!(best(&rib, ONE) && !best(&rib, TWO));
    assert_eq!(flapping(&rib, ONE), None);
    flap(&mut rib, 1, ONE);
    assert!(flapping(&rib, ONE).unwrap().suppressed, "by its own limit");
    put(&mut rib, 1, ONE, 0);
    // The same again changes nothing.
    rib.set_dampening(V4, None, Some(SHORT));
    assert!(!best(&rib, ONE) && !best(&rib, TWO));
    rib.set_dampening(V4, None, None);
    assert!(!best(&rib, ONE) && best(&rib, TWO));
    rib.set_dampening(V4, Some(PeerId(1)), None);
    assert!(best(&rib, ONE));
    assert!(!rib.is_dampening());
    flap(&mut rib, 1, ONE);
    assert!(rib.prefix(net(ONE)).is_none());
}

#[test]
fn flaps_are_cleared_by_prefix_or_all() {
    let mut rib = rib();
    for prefix in [ONE, TWO] {
        flap(&mut rib, 1, prefix);
        flap(&mut rib, 1, prefix);
    }
    put(&mut rib, 1, ONE, 0);
    rib.clear_dampening(V4, Some(net(ONE)));
    assert!(best(&rib, ONE));
    assert!(flapping(&rib, TWO).is_some());
    let page = rib.flapping(V4, None, 10);
    assert_eq!(page.items.len(), 1);
    assert_eq!(page.items[0].prefix, net(TWO));
    rib.clear_dampening(V4, None);
    assert!(rib.prefix(net(TWO)).is_none());
    assert!(rib.flapping(V4, None, 10).items.is_empty());
}

#[test]
fn nothing_is_left_of_what_is_forgotten() {
    let mut rib = rib();
    for number in 0..2000u32 {
        let prefix = format!("100.{}.{}.0/24", number / 256, number % 256);
        flap(&mut rib, 1, &prefix);
    }
    let mut pages = 0;
    let mut after = None;
    loop {
        let page = rib.flapping(V4, after, 100);
        pages += page.items.len();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(pages, 2000);
    assert_eq!(rib.longest_match(ip("100.1.2.3")).unwrap().paths.len(), 1);
    for peer in [1, 2, 3] {
        drain(&mut rib, peer);
    }
    fib(&mut rib);
    assert_eq!(rib.attribute_holds(), 4000, "a record and a ghost each");
    rib.advance(1000);
    assert_eq!(rib.dampening_due(), None);
    assert!(rib.table(V4, None, 10).items.is_empty());
    assert_eq!(rib.attribute_holds(), 0);
}

// ===== against the model =====

/// A route as the model knows it.
#[derive(Debug, Clone, Default)]
struct Model {
    med: Option<u32>,
    record: Option<Known>,
}

#[derive(Debug, Clone, PartialEq)]
struct Known {
    penalty: f64,
    updated: u64,
    flaps: u32,
    suppressed: bool,
}

fn left(settings: &Dampening, known: &Known, now: u64) -> f64 {
    let secs = (now - known.updated) / 5 * 5;
    if secs >= u64::from(settings.max_suppress_secs) / 5 * 5 {
        return 0.0;
    }
    let halves = secs as f64 / f64::from(settings.half_life_secs);
    (known.penalty * 0.5f64.powf(halves)).floor()
}

impl Model {
    fn flap(&mut self, settings: &Dampening, worth: f64, now: u64) {
        let known = self.record.get_or_insert(Known {
            penalty: 0.0,
            updated: now,
            flaps: 0,
            suppressed: false,
        });
        let mut penalty = left(settings, known, now) + worth;
        if known.flaps > 0 {
            penalty = penalty.min(f64::from(settings.ceiling()));
        }
        known.penalty = penalty;
        known.updated = now;
        known.flaps += 1;
        known.suppressed |= penalty >= f64::from(settings.suppress);
    }

    fn announce(&mut self, settings: &Dampening, med: u32, now: u64) {
        if self.med == Some(med) {
            return;
        }
        if self.med.is_some() {
            self.flap(settings, 500.0, now);
        }
        self.med = Some(med);
        if let Some(known) = &mut self.record {
            known.penalty = left(settings, known, now);
            known.updated = now;
            known.suppressed &= known.penalty >= f64::from(settings.reuse);
            if known.penalty * 2.0 <= f64::from(settings.reuse) {
                self.record = None;
            }
        }
    }

    fn withdraw(&mut self, settings: &Dampening, now: u64) {
        if self.med.take().is_some() {
            self.flap(settings, 1000.0, now);
        }
    }

    fn second(&mut self, settings: &Dampening, now: u64) {
        if let Some(known) = &mut self.record {
            let penalty = left(settings, known, now);
            if known.suppressed && penalty < f64::from(settings.reuse) {
                known.suppressed = false;
                known.penalty = penalty;
                known.updated = now;
            }
            if !known.suppressed && penalty * 2.0 <= f64::from(settings.reuse) {
                self.record = None;
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Event {
    Announce(u32, usize, u32),
    Withdraw(u32, usize),
    Wait(u64),
    Down(u32),
    Clear(Option<usize>),
    Settings(usize),
}

const PREFIXES: [&str; 3] = [ONE, TWO, "203.0.113.0/25"];

/// The last one's ceiling is below what suppresses.
const SETTINGS: [Dampening; 4] = [
    SHORT,
    Dampening {
        half_life_secs: 60,
        reuse: 100,
        suppress: 3000,
        max_suppress_secs: 600,
    },
    Dampening {
        half_life_secs: 900,
        reuse: 750,
        suppress: 2000,
        max_suppress_secs: 60,
    },
    Dampening {
        half_life_secs: 60,
        reuse: 1,
        suppress: 1,
        max_suppress_secs: 120,
    },
];

fn an_event() -> impl Strategy<Value = Event> {
    let peer = 1..=3u32;
    let prefix = 0..PREFIXES.len();
    prop_oneof![
        8 => (peer.clone(), prefix.clone(), 0..3u32).prop_map(|(p, n, m)| Event::Announce(p, n, m)),
        6 => (peer.clone(), prefix.clone()).prop_map(|(p, n)| Event::Withdraw(p, n)),
        5 => (1..40u64).prop_map(Event::Wait),
        1 => (100..400u64).prop_map(Event::Wait),
        1 => peer.prop_map(Event::Down),
        1 => proptest::option::of(prefix).prop_map(Event::Clear),
        1 => (0..SETTINGS.len()).prop_map(Event::Settings),
    ]
}

struct World {
    rib: Rib,
    now: u64,
    settings: Dampening,
    routes: BTreeMap<(usize, u32), Model>,
    /// What peer 9 has heard.
    told: BTreeMap<ipnet::IpNet, PathAttributes>,
}

impl World {
    fn new() -> World {
        let mut rib = rib();
        rib.peer_up(PeerId(9), external(65009, "192.0.2.9"), accept());
        World {
            rib,
            now: 0,
            settings: SHORT,
            routes: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    fn apply(&mut self, event: &Event) {
        let settings = self.settings;
        match event {
            Event::Announce(peer, number, med) => {
                put(&mut self.rib, *peer, PREFIXES[*number], *med);
                let route = self.routes.entry((*number, *peer)).or_default();
                match peer {
                    3 => route.med = Some(*med),
                    _ => route.announce(&settings, *med, self.now),
                }
            }
            Event::Withdraw(peer, number) => {
                withdraw(&mut self.rib, *peer, PREFIXES[*number]);
                let route = self.routes.entry((*number, *peer)).or_default();
                match peer {
                    3 => route.med = None,
                    _ => route.withdraw(&settings, self.now),
                }
            }
            Event::Wait(secs) => {
                for _ in 0..*secs {
                    self.now += 1;
                    for route in self.routes.values_mut() {
                        route.second(&settings, self.now);
                    }
                }
                // Not each second: only when something is due, and in the end.
                while let Some(due) = self.rib.dampening_due().filter(|due| *due <= self.now) {
                    self.rib.advance(due);
                }
                self.rib.advance(self.now);
            }
            Event::Down(peer) => {
                self.rib
                    .peer_down(PeerId(*peer), bgp_wire::FamilySet::EMPTY);
                up(&mut self.rib, *peer);
                for ((_, of), route) in &mut self.routes {
                    if of == peer && route.med.take().is_some() {
                        route.record = None;
                    }
                }
            }
            Event::Clear(number) => {
                let prefix = number.map(|number| net(PREFIXES[number]));
                self.rib.clear_dampening(V4, prefix);
                for ((of, _), route) in &mut self.routes {
                    if number.is_none_or(|number| number == *of) {
                        route.record = None;
                    }
                }
            }
            Event::Settings(number) => {
                let settings = SETTINGS[*number];
                self.rib.set_dampening(V4, None, Some(settings));
                if std::mem::replace(&mut self.settings, settings) != settings {
                    for route in self.routes.values_mut() {
                        route.record = None;
                    }
                }
            }
        }
    }

    fn hear(&mut self) {
        for event in self.rib.take_tracking() {
            if let TrackEvent::Track(addr) = event {
                self.rib.next_hop_changed(addr, state(10, true));
            }
        }
        let batch = drain(&mut self.rib, 9);
        for prefix in withdrawn_nets(&batch) {
            self.told.remove(&prefix);
        }
        for (attributes, prefixes) in &batch.announced {
            for prefix in nets(prefixes) {
                self.told.insert(prefix, (**attributes).clone());
            }
        }
    }

    fn check(&mut self) {
        self.hear();
        for (number, prefix) in PREFIXES.iter().enumerate() {
            let mut shown = Vec::new();
            let view = self.rib.prefix(net(prefix));
            for path in view.iter().flat_map(|view| &view.paths) {
                shown.push((path.source, path.attributes.med(), path.flapping));
            }
            let mut usable = Vec::new();
            for peer in 1..=3 {
                let Some(route) = self.routes.get(&(number, peer)) else {
                    continue;
                };
                let known = route.record.as_ref();
                let source = holdfast_rib::PathSource::Peer(PeerId(peer));
                let mut found = shown.iter().filter(|(of, ..)| *of == source);
                let flapping = found.next().and_then(|(.., flapping)| *flapping);
                assert!(found.next().is_none(), "{shown:?}");
                let told = flapping.map(|f| (f.penalty, f.flaps, f.suppressed, f.withdrawn));
                let wanted = known.map(|known| {
                    let penalty = left(&self.settings, known, self.now) as u32;
                    let gone = route.med.is_none();
                    (penalty, known.flaps, known.suppressed, gone)
                });
                assert_eq!(told, wanted, "{prefix} of {peer} at {}", self.now);
                if route.med.is_some() && known.is_none_or(|known| !known.suppressed) {
                    usable.push(peer);
                }
            }
            assert_eq!(best(&self.rib, prefix), !usable.is_empty(), "{prefix}");
            assert_eq!(self.told.contains_key(&net(prefix)), !usable.is_empty());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_flaps_do_what_a_model_does_that_looks_at_all(
        events in proptest::collection::vec(an_event(), 1..80)
    ) {
        let mut world = World::new();
        for event in &events {
            world.apply(event);
            world.check();
        }
        // Everything ends.
        world.apply(&Event::Wait(2000));
        world.check();
        prop_assert_eq!(world.rib.dampening_due(), None);
        prop_assert!(world.rib.flapping(V4, None, 10).items.is_empty());
    }
}
