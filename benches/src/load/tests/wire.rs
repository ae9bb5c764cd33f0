//! Messages: what is encoded is walked over again; what is counted is right.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use crate::load::encode::put_message;
use crate::load::walk::{mark, parts, path_hop, split_message};
use crate::load::{
    AddPath, Announcer, Encoded, Encoder, Expect, Family, Goal, Latency, Marks, Open, Prefix,
    PrefixIndex, Table, Tracker,
};

fn announcer(path_id: Option<u32>) -> Announcer {
    Announcer {
        asn: 65001,
        ibgp: false,
        next_hop: "192.0.2.1".parse().unwrap(),
        path_id,
    }
}

/// The bodies of the UPDATE messages in `encoded`.
fn bodies(encoded: &Encoded) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for chunk in &encoded.chunks {
        let mut rest: &[u8] = chunk;
        while let Some((kind, body, tail)) = split_message(rest).unwrap() {
            assert_eq!(kind, 2);
            assert!(body.len() + 19 <= 4096);
            all.push(body.to_vec());
            rest = tail;
        }
        assert!(rest.is_empty(), "a message is cut by a buffer");
    }
    all
}

fn tracker(table: &Table, expect: Expect) -> Tracker {
    let index = Arc::new(PrefixIndex::new(table.prefixes()));
    Tracker::new(table.family(), index, expect)
}

fn feed(tracker: &mut Tracker, encoded: &Encoded, add_path: bool) {
    for body in bodies(encoded) {
        assert!(tracker.update(&body, add_path, Instant::now()));
    }
    tracker.judge();
}

#[test]
fn framing_waits_for_whole_messages() {
    let mut octets = bytes::BytesMut::new();
    put_message(&mut octets, 4, &[]);
    put_message(&mut octets, 2, &[0, 0, 0, 0]);
    for length in 0..19 {
        assert_eq!(split_message(&octets[..length]), Ok(None));
    }
    let (kind, body, rest) = split_message(&octets).unwrap().unwrap();
    assert_eq!((kind, body.len(), rest.len()), (4, 0, 23));
    assert_eq!(split_message(&rest[..22]), Ok(None));
    octets[17] = 18;
    assert_eq!(split_message(&octets), Err(18));
}

#[test]
fn tables_survive_the_wire() {
    for table in [Table::ipv4(5000, 2), Table::ipv6(5000, 2)] {
        for path_id in [None, Some(9)] {
            let add_path = path_id.is_some();
            let mut tracker = tracker(&table, Expect::Any);
            let encoded = Encoded::table(&table, &announcer(path_id));
            assert_eq!(encoded.prefixes, 5000);
            assert_eq!(encoded.messages as usize, bodies(&encoded).len());
            feed(&mut tracker, &encoded, add_path);
            assert_eq!(tracker.present(), 5000);
            assert_eq!(tracker.stats.foreign, 0);
            assert!(tracker.reached().is_some() && tracker.stats.end_of_rib.is_some());

            tracker.set_goal(Goal::Absent);
            feed(
                &mut tracker,
                &Encoded::withdrawal(&table, path_id),
                add_path,
            );
            assert!(tracker.reached().is_some());
            assert_eq!(tracker.stats.withdrawn, 5000);
        }
    }
}

/// Counting announcements would call this complete.
#[test]
fn duplicates_do_not_complete_a_table() {
    let table = Table::ipv4(100, 2);
    let mut tracker = tracker(&table, Expect::Any);
    let part = Encoded::table(&table.slice(0..99), &announcer(None));
    feed(&mut tracker, &part, false);
    feed(&mut tracker, &part, false);
    assert_eq!((tracker.present(), tracker.reached()), (99, None));
    assert_eq!(tracker.missing(5), [99]);
    let one = Encoded::withdrawal(&table.slice(0..1), None);
    feed(&mut tracker, &one, false);
    let last = Encoded::table(&table.slice(99..100), &announcer(None));
    feed(&mut tracker, &last, false);
    assert_eq!((tracker.present(), tracker.missing(5)), (99, vec![0]));
    assert!(tracker.reached().is_none());
}

#[test]
fn host_bits_do_not_hide_a_prefix() {
    let prefix = Prefix::v4(Ipv4Addr::new(198, 51, 0, 0), 20);
    let table = Table::from_groups(Family::Ipv4, vec![(Default::default(), vec![prefix])]);
    let mut tracker = tracker(&table, Expect::Any);
    // 198.51.15.0 has host bits in its third octet.
    assert!(tracker.update(&[0, 0, 0, 0, 20, 198, 51, 15], false, Instant::now()));
    assert_eq!(tracker.present(), 1);
    assert!(!tracker.update(&[0, 9, 0, 0], false, Instant::now()));
}

#[test]
fn best_paths_are_told_from_others() {
    let table = Table::ipv4(2000, 4);
    let expect = Expect::Via {
        position: 0,
        first_asn: 65001,
        winners: table.winners(2).into(),
    };
    let mut tracker = tracker(&table, expect);
    let zero = Encoded::table(&table.variant(0, 2), &announcer(None));
    let mut second = announcer(None);
    second.asn = 65002;
    let one = Encoded::table(&table.variant(1, 2), &second);
    let wins = table.winners(2).iter().filter(|&&w| w == 0).count();
    feed(&mut tracker, &zero, false);
    assert_eq!(tracker.present(), wins);
    feed(&mut tracker, &one, false);
    assert_eq!(
        tracker.present(),
        2000 - wins,
        "the last announcement counts"
    );
}

#[test]
fn paths_are_counted_by_identifier() {
    let table = Table::ipv4(300, 4);
    let mut tracker = tracker(&table, Expect::Paths(2));
    feed(
        &mut tracker,
        &Encoded::table(&table, &announcer(Some(1))),
        true,
    );
    feed(
        &mut tracker,
        &Encoded::table(&table, &announcer(Some(1))),
        true,
    );
    assert_eq!((tracker.present(), tracker.paths_present()), (0, 300));
    feed(
        &mut tracker,
        &Encoded::table(&table, &announcer(Some(2))),
        true,
    );
    assert_eq!((tracker.present(), tracker.paths_present()), (300, 600));
    feed(&mut tracker, &Encoded::withdrawal(&table, Some(1)), true);
    assert_eq!((tracker.present(), tracker.paths_present()), (0, 300));
}

#[test]
fn own_prefixes_are_not_waited_for() {
    let table = Table::ipv4(100, 4);
    let mut tracker = tracker(&table, Expect::Any);
    tracker.exclude(10..30);
    feed(
        &mut tracker,
        &Encoded::table(&table.slice(0..10), &announcer(None)),
        false,
    );
    assert!(tracker.reached().is_none());
    feed(
        &mut tracker,
        &Encoded::table(&table.slice(30..100), &announcer(None)),
        false,
    );
    assert_eq!((tracker.present(), tracker.reached().is_some()), (80, true));
}

#[test]
fn long_prefix_lists_take_several_messages() {
    let table = Table::ipv4(5000, 2);
    let mut encoder = Encoder::new(Family::Ipv4);
    encoder.announce(
        &announcer(None),
        &table.sets()[0],
        table.prefixes(),
        Some(77),
    );
    let encoded = encoder.finish();
    assert!(
        encoded.messages > 4 && encoded.messages < 8,
        "{}",
        encoded.messages
    );
    for body in bodies(&encoded) {
        let attributes = parts(&body, Family::Ipv4).unwrap().attributes;
        assert_eq!(mark(attributes), Some(77));
        assert_eq!(path_hop(attributes, 0), Some(65001));
        assert_eq!(
            path_hop(attributes, 1),
            table.sets()[0].path[0].asns.first().copied()
        );
    }
}

#[test]
fn open_messages_there_and_back() {
    let open = Open {
        asn: 4_200_000_001,
        hold_time_secs: 240,
        router_id: Ipv4Addr::new(192, 0, 2, 1),
        families: vec![Family::Ipv4, Family::Ipv6],
        four_octet_as: true,
        route_refresh: true,
        add_path: AddPath::Both,
        restart_time_secs: Some(120),
    };
    let body = open.encode();
    assert_eq!(&body[1..3], &23_456u16.to_be_bytes());
    assert_eq!(Open::decode(&body), Some(open));
    assert_eq!(Open::decode(&body[..body.len() - 1]), None);
    // Version 4, AS 65010, hold time 90, no parameters.
    let plain = Open::decode(&[4, 0xfd, 0xf2, 0, 90, 192, 0, 2, 2, 0]).unwrap();
    assert_eq!((plain.asn, plain.families), (65010, vec![Family::Ipv4]));
}

#[test]
fn later_marks_answer_earlier_ones_of_the_same_prefix() {
    let table = Table::ipv4(10, 1);
    let mut marks = Marks::new(vec![0, 1]);
    for _ in 0..5 {
        marks.next(&table, &announcer(None));
    }
    // Marks 0, 2 and 4 are on the first prefix; 0 and 2 were passed over.
    marks.arrived([
        (4, Instant::now()),
        (1, Instant::now()),
        (4, Instant::now()),
    ]);
    assert_eq!(marks.outstanding(), 1);
    assert!(marks.arrival(2).is_some() && marks.arrival(3).is_none());
    let latency = marks.latency();
    assert_eq!((latency.count, latency.lost), (4, 1));
}

#[test]
fn percentiles_are_of_the_nearest_rank() {
    let samples = (1..=200)
        .rev()
        .map(std::time::Duration::from_micros)
        .collect();
    let latency = Latency::of(samples, 3);
    let all = [
        latency.p50,
        latency.p90,
        latency.p99,
        latency.max,
        latency.mean,
    ];
    let close = |(got, want): (f64, f64)| (got - want).abs() < 0.01;
    assert!(
        all.into_iter()
            .zip([100.0, 180.0, 198.0, 200.0, 100.5])
            .all(close),
        "{all:?}"
    );
    assert_eq!((latency.count, latency.lost), (200, 3));
}
