//! Origin validation, as FRR 8.4.4 shows it.

use holdfast_api::v1;
use serde_json::{Value, json};

use crate::answers::{answer, compare};
use crate::recorded;
use crate::server::{Daemon, Recorded};

const UPDATED_MS: u64 = 1_795_314_398_000;

/// A route of the neighbor in AS 65002 with this path, or one of our own.
fn route(prefix: &str, version: u64, path: &[u32], state: v1::RpkiState) -> v1::Route {
    let own = path.is_empty();
    let text: Vec<String> = path.iter().map(ToString::to_string).collect();
    let segment = v1::AsSegment {
        kind: v1::SegmentKind::SegmentSequence as i32,
        asns: path.to_vec(),
    };
    let attributes = v1::Attributes {
        as_path: (!own).then_some(segment).into_iter().collect(),
        as_path_text: text.join(" "),
        as_path_length: path.len() as u32,
        next_hop: if own { "0.0.0.0" } else { "10.0.1.2" }.into(),
        med: own.then_some(0),
        ..Default::default()
    };
    let neighbor = if own { "" } else { "10.0.1.2" };
    let path = v1::Path {
        valid: !own,
        accessible: !own,
        best: !own,
        external: !own,
        sourced: own,
        local: own,
        selection_reason: if own { "" } else { "First path received" }.into(),
        peer: neighbor.into(),
        peer_router_id: neighbor.into(),
        weight: if own { 32_768 } else { 0 },
        attributes: Some(attributes),
        last_update_ms: UPDATED_MS,
        rpki_state: state as i32,
        ..Default::default()
    };
    let told = v1::AdvertisedTo {
        address: neighbor.into(),
        ..Default::default()
    };
    v1::Route {
        prefix: prefix.into(),
        version,
        paths: vec![path],
        advertised_to: (!own).then_some(told).into_iter().collect(),
    }
}

fn cache(port: u32, preference: u32, up: bool) -> v1::RpkiCache {
    v1::RpkiCache {
        host: "127.0.0.1".into(),
        port,
        preference,
        connected: up,
        in_use: up,
        version: 1,
        session: up.then_some(7),
        serial: up.then_some(3),
        payloads: if up { 4 } else { 0 },
        error: if up { "" } else { "Connection refused" }.into(),
        ..Default::default()
    }
}

fn router() -> Recorded {
    use v1::RpkiState::{RpkiInvalid, RpkiNotFound, RpkiValid};
    let mut recorded = recorded::none();
    recorded.global = v1::Global {
        bgp_configured: true,
        asn: 65_001,
        router_id: "10.0.1.1".into(),
        default_local_pref: 100,
        tables: vec![v1::TableInfo {
            family: v1::Family::Ipv4Unicast as i32,
            version: 4,
            prefixes: 6,
            paths: 6,
            memory_bytes: 0,
            dampening: None,
        }],
        ..recorded.global
    };
    let routes = vec![
        route("8.8.8.0/24", 3, &[65002], RpkiNotFound),
        route("192.0.2.0/24", 2, &[65002], RpkiValid),
        route("192.0.2.128/25", 0, &[], RpkiInvalid),
        route("198.51.100.0/24", 1, &[65002], RpkiInvalid),
        route("198.51.101.0/24", 4, &[65002, 65009], RpkiValid),
        route("203.0.113.0/24", 0, &[], RpkiNotFound),
    ];
    let table = v1::Table::LocRib;
    recorded.tables = vec![(v1::Family::Ipv4Unicast, table, String::new(), routes)];
    recorded.caches = vec![cache(8282, 1, true), cache(8283, 2, false)];
    let roa = |prefix: &str, max_length, asn| v1::Roa {
        prefix: prefix.into(),
        max_length,
        asn,
    };
    recorded.roas = vec![
        roa("198.51.100.0/22", 24, 65_009),
        roa("198.51.100.0/22", 23, 65_010),
        roa("192.0.2.0/24", 24, 65_002),
        roa("2001:db8::/32", 48, 65_002),
    ];
    recorded
}

#[tokio::test]
async fn answers_are_those_of_frr() {
    compare(router(), "rpki").await;
}

#[tokio::test]
async fn programs_are_told_how_it_stands_with_caches() {
    let daemon = Daemon::start(router());
    let (_, text) = answer(&daemon, 0, "show rpki cache-connection json").await;
    let answer: Value = serde_json::from_str(&text).expect("one document");
    let of = |at: usize, key: &str| answer["connections"][at][key].clone();
    assert_eq!(answer["connectedGroup"], 1);
    assert_eq!(
        (of(0, "state"), of(1, "state")),
        (json!("connected"), json!("disconnected"))
    );
    assert_eq!((of(0, "sessionId"), of(0, "serial")), (json!(7), json!(3)));
    assert_eq!(of(1, "lastError"), "Connection refused");
}

#[tokio::test]
async fn without_a_cache_there_is_nothing_to_show() {
    let daemon = Daemon::start(recorded::none());
    for (command, expected) in [
        (
            "show rpki prefix-table",
            "No connection to RPKI cache server.\n",
        ),
        ("show rpki prefix-table json", "{\n}\n"),
        (
            "show rpki prefix 192.0.2.0/24",
            "No Connection to RPKI cache server.\n",
        ),
        (
            "show rpki as-number 1",
            "No Connection to RPKI cache server.\n",
        ),
        (
            "show rpki cache-connection",
            "No connection to RPKI cache server.\n",
        ),
        ("show rpki cache-connection json", "{\n}\n"),
        ("show rpki cache-server", ""),
    ] {
        let (_, text) = answer(&daemon, 0, command).await;
        assert_eq!(text, expected, "{command}");
    }
}

#[tokio::test]
async fn orders_reach_the_daemon() {
    let recorded = recorded::none();
    let ordered = std::sync::Arc::clone(&recorded.ordered);
    let daemon = Daemon::start(recorded);
    for command in ["rpki stop", "rpki start", "rpki reset"] {
        let (_, text) = answer(&daemon, 0, command).await;
        assert_eq!(text, "");
    }
    use v1::RpkiOrder::{RpkiReset, RpkiStart, RpkiStop};
    let ordered = ordered.lock().expect("the orders").clone();
    assert_eq!(ordered, [RpkiStop, RpkiStart, RpkiReset]);
}
