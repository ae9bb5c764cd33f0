//! Routes that flap, as FRR 8.4.4 shows them, and what `clear` asks for.

use holdfast_api::v1;

use crate::answers::{answer, compare};
use crate::server::{Daemon, Recorded};

const V4: v1::Family = v1::Family::Ipv4Unicast;
/// When the recording was made, and when the routes flapped.
const NOW: u64 = 1_795_315_792;
const SINCE_MS: u64 = (NOW - 1) * 1000;

/// A route that is suppressed, or one that is withdrawn.
fn flapping(prefix: &str, version: u64, withdrawn: bool) -> v1::Route {
    let segment = v1::AsSegment {
        kind: v1::SegmentKind::SegmentSequence as i32,
        asns: vec![65002],
    };
    v1::Route {
        prefix: prefix.into(),
        version,
        paths: vec![v1::Path {
            valid: !withdrawn,
            external: true,
            accessible: true,
            peer: "10.9.0.2".into(),
            peer_router_id: "2.2.2.2".into(),
            peer_as: 65002,
            last_update_ms: SINCE_MS,
            attributes: Some(v1::Attributes {
                as_path_text: "65002".into(),
                as_path_length: 1,
                as_path: vec![segment],
                next_hop: "10.9.0.2".into(),
                med: Some(6),
                ..Default::default()
            }),
            flapping: Some(v1::Flapping {
                penalty: 2000,
                flaps: 2,
                since_ms: SINCE_MS,
                suppressed: true,
                withdrawn,
                reuse_ms: 69_000,
            }),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn recorded() -> Recorded {
    let routes = vec![
        flapping("10.3.0.0/16", 4, false),
        flapping("10.4.0.0/16", 8, true),
    ];
    let table = |table, peer: &str| (V4, table, peer.to_owned(), routes.clone());
    Recorded {
        global: v1::Global {
            bgp_configured: true,
            asn: 65001,
            router_id: "10.0.0.1".into(),
            default_local_pref: 100,
            tables: vec![v1::TableInfo {
                family: V4 as i32,
                version: 8,
                dampening: Some(v1::Dampening {
                    half_life_secs: 60,
                    reuse: 900,
                    suppress: 1500,
                    ceiling: 14_400,
                    max_suppress_secs: 240,
                }),
                ..Default::default()
            }],
            ..Default::default()
        },
        peers: vec![v1::Peer {
            address: "10.9.0.2".into(),
            remote_as: 65002,
            families: vec![v1::PeerFamily {
                family: V4 as i32,
                active: true,
                ..Default::default()
            }],
            ..Default::default()
        }],
        tables: vec![
            table(v1::Table::LocRib, ""),
            table(v1::Table::Flapping, ""),
            table(v1::Table::Flapping, "10.9.0.2"),
        ],
        ..Default::default()
    }
}

#[tokio::test]
async fn flapping_routes_are_shown_as_frr_shows_them() {
    compare(recorded(), "dampening").await;
}

#[tokio::test]
async fn settings_of_a_neighbor_come_first() {
    let mut recorded = recorded();
    recorded.peers[0].families[0].dampening = Some(v1::Dampening {
        half_life_secs: 120,
        reuse: 100,
        suppress: 200,
        ceiling: 1600,
        max_suppress_secs: 480,
    });
    let daemon = Daemon::start(recorded);
    let command = "show bgp ipv4 unicast neighbors 10.9.0.2 dampening parameters";
    let (_, text) = answer(&daemon, NOW, command).await;
    assert!(text.starts_with("Half-life time: 2 min\n"), "{text}");
    let (_, text) = answer(&daemon, NOW, "show bgp ipv4 summary").await;
    assert!(text.contains("\nDampening enabled.\n"), "{text}");
}

#[tokio::test]
async fn flaps_are_cleared_by_family_and_prefix() {
    let recorded = recorded();
    let cleared = std::sync::Arc::clone(&recorded.cleared_flaps);
    let daemon = Daemon::start(recorded);
    for (command, family, prefix) in [
        ("clear ip bgp dampening", V4, ""),
        ("clear bgp dampening", v1::Family::Unspecified, ""),
        ("clear ip bgp dampening 10.3.9.9", V4, "10.3.9.9"),
        (
            "clear bgp ipv6 unicast dampening 2001:db8::/32",
            v1::Family::Ipv6Unicast,
            "2001:db8::/32",
        ),
    ] {
        answer(&daemon, NOW, command).await;
        let asked = cleared.lock().expect("what was cleared").pop();
        let asked = asked.expect("a request");
        assert_eq!((asked.family(), asked.prefix.as_str()), (family, prefix));
    }
}
