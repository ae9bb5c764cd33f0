//! Sender and receiver with nothing in between.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::load::{
    Announcer, Encoded, Expect, Family, Goal, Hub, PrefixIndex, SessionConfig, SessionId, Table,
    Tracker,
};

/// A listening receiver and a sender that connects to it.
fn pair(hub: &mut Hub, family: Family) -> (SessionId, SessionId) {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut config = SessionConfig::new(here, SocketAddr::new(here, 0), 65002);
    config.listen = Some(0);
    config.families = vec![family];
    let receiver = hub.add(config).unwrap();
    let at = hub.listening_at(0).unwrap();
    let mut config = SessionConfig::new(here, at, 65001);
    config.families = vec![family];
    config.end_of_rib = false;
    let sender = hub.add(config).unwrap();
    (sender, receiver)
}

fn there_and_back(table: &Table) -> (f64, f64) {
    let announcer = Announcer {
        asn: 65001,
        ibgp: false,
        next_hop: "192.0.2.1".parse().unwrap(),
        path_id: None,
    };
    let announcement = Encoded::table(table, &announcer);
    let withdrawal = Encoded::withdrawal(table, None);
    let index = Arc::new(PrefixIndex::new(table.prefixes()));
    let mut hub = Hub::new().unwrap();
    let (sender, receiver) = pair(&mut hub, table.family());
    hub.track(receiver, Tracker::new(table.family(), index, Expect::Any));
    let deadline = Instant::now() + Duration::from_secs(60);
    hub.bring_up(&[sender, receiver], deadline).unwrap();

    let start = Instant::now();
    hub.send(sender, &announcement);
    let full = hub.wait_goal("full", &[receiver], deadline).unwrap();
    let tracker = hub.tracker(receiver).unwrap();
    assert_eq!(tracker.present(), table.len());
    assert_eq!(tracker.stats.announced, table.len() as u64);
    assert_eq!(tracker.stats.foreign, 0);
    hub.run_until("end of RIB", deadline, |hub| {
        hub.tracker(receiver).unwrap().stats.end_of_rib.is_some()
    })
    .unwrap();

    let octets = hub.stats(receiver).octets_received;
    assert_eq!(octets, announcement.octets() as u64);
    assert_eq!(
        hub.tracker(receiver).unwrap().stats.updates,
        announcement.messages
    );
    hub.set_goal(&[receiver], Goal::Absent);
    let second = Instant::now();
    hub.send(sender, &withdrawal);
    let gone = hub.wait_goal("gone", &[receiver], deadline).unwrap();
    assert_eq!(hub.tracker(receiver).unwrap().present(), 0);
    ((full - start).as_secs_f64(), (gone - second).as_secs_f64())
}

#[test]
fn hundred_thousand_prefixes_there_and_back() {
    there_and_back(&Table::ipv4(100_000, 1));
}

#[test]
fn ipv6_there_and_back() {
    there_and_back(&Table::ipv6(20_000, 1));
}

/// Not a check but a measurement, so it runs only when asked for.
#[test]
#[ignore = "a measurement of a second or two in a release build"]
fn million() {
    let table = Table::ipv4(1_000_000, 1);
    eprintln!(
        "{} sets, {} distinct",
        table.sets().len(),
        table.distinct_sets()
    );
    for _ in 0..3 {
        let (full, gone) = there_and_back(&table);
        eprintln!("1,000,000 prefixes: {full:.3} s, withdrawn {gone:.3} s");
    }
}
