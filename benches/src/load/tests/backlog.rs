//! Churn through a daemon that stops to deliver.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::load::scenario::{self, Outcome, Params, Scenario};
use crate::load::{AddPath, Control, Family, Open};

const OPEN: u8 = 1;
const UPDATE: u8 = 2;
const KEEPALIVE: u8 = 4;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = 19 + u16::try_from(body.len()).unwrap();
    let mut octets = vec![0xff; 16];
    octets.extend(length.to_be_bytes());
    octets.push(kind);
    octets.extend(body);
    octets
}

/// The next message and its type; `None` when the connection ends.
fn read(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut octets = vec![0; 19];
    stream.read_exact(&mut octets).ok()?;
    let length = u16::from_be_bytes([octets[16], octets[17]]);
    octets.resize(length.into(), 0);
    stream.read_exact(&mut octets[19..]).ok()?;
    Some((octets[18], octets))
}

/// The other end of a session, up to its OPEN.
fn accept(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().unwrap();
    let open = Open {
        asn: 65000,
        hold_time_secs: 240,
        router_id: Ipv4Addr::new(192, 0, 2, 1),
        families: vec![Family::Ipv4],
        four_octet_as: true,
        route_refresh: true,
        add_path: AddPath::Off,
        restart_time_secs: None,
    };
    assert_eq!(read(&mut stream).unwrap().0, OPEN);
    stream.write_all(&message(OPEN, &open.encode())).unwrap();
    stream.write_all(&message(KEEPALIVE, &[])).unwrap();
    stream
}

/// Hands UPDATEs on as they are, and swallows them once it is `full`.
fn relay(listener: &TcpListener, full: &AtomicBool) {
    let (one, other) = (accept(listener), accept(listener));
    let is_sender = |stream: &TcpStream| {
        stream.peer_addr().unwrap().ip() == IpAddr::V4(Ipv4Addr::new(127, 1, 0, 1))
    };
    let (mut from, mut to) = match is_sender(&one) {
        true => (one, other),
        false => (other, one),
    };
    while let Some((kind, octets)) = read(&mut from) {
        if kind == UPDATE && !full.load(Ordering::Relaxed) && to.write_all(&octets).is_err() {
            break;
        }
    }
}

/// The outcome, if the daemon is full from stage `full_at` on.
fn churn(full_at: &'static str) -> Outcome {
    let full = Arc::new(AtomicBool::new(false));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let params = Params {
        scenario: Scenario::Churn,
        port: listener.local_addr().unwrap().port(),
        timeout: 2.0,
        prefixes: Some(100),
        seconds: 0.2,
        rate: 500,
        flood: 10_000,
        ..Params::default()
    };
    let at_relay = Arc::clone(&full);
    let daemon = std::thread::spawn(move || relay(&listener, &at_relay));
    let mut control = Control::new().with_listener(move |event| {
        if event.event == full_at {
            full.store(true, Ordering::Relaxed);
        }
    });
    let outcome = scenario::run(&params, &mut control).unwrap();
    daemon.join().unwrap();
    outcome
}

#[test]
fn latencies_outlive_a_backlog_without_end() {
    let outcome = churn("paced");
    let latency = outcome.latency_micros["paced"];
    assert!(latency.count > 0 && latency.p99 > 0.0, "{latency:?}");
    assert_eq!(latency.lost, 0);
    assert_eq!(outcome.rates.get("full-speed-updates"), None);
    let [note] = outcome.notes.as_slice() else {
        panic!("{:?}", outcome.notes);
    };
    assert!(note.starts_with("no number at full speed"), "{note}");
}

#[test]
fn a_daemon_that_is_behind_is_not_flooded() {
    let outcome = churn("running");
    assert!(outcome.latency_micros["paced"].lost > 0);
    assert_eq!(outcome.counts.get("full-speed-updates"), None);
    assert_eq!(outcome.notes.len(), 1, "{:?}", outcome.notes);
}

#[test]
fn a_number_at_full_speed_has_no_note() {
    let outcome = churn("never");
    assert!(outcome.rates["full-speed-updates"] > 0.0);
    assert!(outcome.counts["full-speed-updates"] >= 10_000);
    assert_eq!(outcome.notes, Vec::<String>::new());
}
