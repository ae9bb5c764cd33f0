//! What the recorded routers knew.

use holdfast_api::v1;

use crate::frr_json;
use crate::server::Recorded;

const V4: v1::Family = v1::Family::Ipv4Unicast;
const V6: v1::Family = v1::Family::Ipv6Unicast;

/// No BGP at all.
pub(crate) fn none() -> Recorded {
    Recorded {
        global: v1::Global {
            hostname: "r1".into(),
            ..Default::default()
        },
        ..Default::default()
    }
}

/// The router of three peers, three network namespaces and one table of every
/// sort of path.
pub(crate) fn lab() -> Recorded {
    let neighbors = frr_json::read("neighbors");
    let aggregate = frr_json::read("prefix-v6");
    let mut v6 = frr_json::brief_routes(&frr_json::read("routes-v6"));
    let paths = aggregate["paths"].as_array().expect("paths").iter();
    let known = v6
        .iter_mut()
        .find(|route| route.prefix == "2001:db8:aaaa::/48");
    *known.expect("the prefix") = frr_json::detailed_route(&aggregate, paths);
    let mut peers = frr_json::peers(&neighbors["default"], 1_795_247_017_000);
    let client = peers.iter_mut().find(|peer| peer.address == "10.0.14.4");
    client.expect("the client").descriptor = Some(26);
    Recorded {
        global: v1::Global {
            version: "0.1.0".into(),
            frr_version: "8.4.4".into(),
            hostname: "vm".into(),
            bgp_configured: true,
            asn: 65001,
            router_id: "1.1.1.1".into(),
            default_local_pref: 100,
            multipath_relax: true,
            tables: vec![table(V4, 18, 28), table(V6, 7, 9)],
            peer_groups: vec!["FAB".into()],
            ..Default::default()
        },
        peers,
        tables: vec![
            (
                V4,
                v1::Table::LocRib,
                String::new(),
                frr_json::detailed_routes(&frr_json::read("routes-v4")),
            ),
            (V6, v1::Table::LocRib, String::new(), v6),
            (
                V4,
                v1::Table::Advertised,
                "10.0.14.4".into(),
                frr_json::advertised_routes(&frr_json::read("advertised")),
            ),
        ],
        fib: vec![
            (
                V4,
                frr_json::fib(&frr_json::read("fib-v4"), 1_795_247_016_000),
            ),
            (
                V6,
                frr_json::fib(&frr_json::read("fib-v6"), 1_795_247_016_000),
            ),
        ],
        ..Default::default()
    }
}

/// The same router, with RFC 8212 in force, one session shut by the peer and
/// one by us.
pub(crate) fn policy() -> Recorded {
    const NOW: u64 = 1_795_247_084_000;
    let mut lab = lab();
    lab.global.tables = vec![table(V4, 32, 11), table(V6, 0, 0)];
    lab.peers = frr_json::summary_peers(&frr_json::read("summary-policy")["ipv4Unicast"], NOW);
    for peer in &mut lab.peers {
        peer.last_reset_reason = match peer.address.as_str() {
            "10.9.9.9" => "Waiting for NHT",
            "10.0.14.99" => "Waiting for peer OPEN",
            _ => "Admin. shutdown",
        }
        .into();
    }
    let mut down = frr_json::peers(&frr_json::read("neighbor-down"), NOW).remove(0);
    down.established_ms = lab.peers[0].established_ms;
    lab.peers[0] = down;
    keep_paths(&mut lab, |path| path.local);
    lab
}

/// The same router, one peer of which is restarting.
pub(crate) fn stale() -> Recorded {
    let mut lab = policy();
    lab.global.tables = vec![table(V4, 38, 12), table(V6, 14, 0)];
    lab.peers.retain(|peer| !peer.address.contains(':'));
    keep_paths(&mut lab, |path| path.local);
    let mut all = self::lab();
    keep_paths(&mut all, |path| path.local || path.peer == "10.0.13.3");
    for route in all.tables.iter_mut().flat_map(|(_, _, _, routes)| routes) {
        for path in route.paths.iter_mut().filter(|path| !path.local) {
            path.stale = true;
            path.stale_until_ms = 1_795_247_230_000;
            path.best = true;
            path.multipath = false;
            path.selection_reason = "First path received".into();
            path.peer_router_id = "0.0.0.0".into();
            path.last_update_ms = 1_795_247_109_000;
            route.version = 38;
            route.advertised_to.clear();
        }
    }
    all.tables
        .retain(|(family, table, _, _)| *family == V4 && *table == v1::Table::LocRib);
    lab.tables = all.tables;
    lab
}

/// Drops the other paths, and the prefixes and totals that go with them. The
/// aggregate goes with its last contributor.
fn keep_paths(recorded: &mut Recorded, keep: fn(&v1::Path) -> bool) {
    let contributes = |route: &v1::Route| {
        route.prefix.starts_with("100.64.") && route.paths.iter().any(|path| !path.local)
    };
    for (_, _, _, routes) in &mut recorded.tables {
        for route in routes.iter_mut() {
            route.paths.retain(keep);
        }
        let aggregated = routes.iter().any(contributes);
        routes.retain(|route| {
            !route.paths.is_empty() && (aggregated || route.prefix != "100.64.0.0/10")
        });
    }
}

fn table(family: v1::Family, version: u64, entries: u64) -> v1::TableInfo {
    v1::TableInfo {
        family: family as i32,
        version,
        prefixes: entries,
        paths: entries,
        memory_bytes: entries * 192,
        dampening: None,
    }
}

// ===== the router of the first recording =====

const T: u64 = 1_795_208_000_000;

/// Two IPv4 peers, one of them dead, and one IPv6 peer.
pub(crate) fn r1() -> Recorded {
    let running = include_str!("../golden/r1.txt");
    let (_, running) = running
        .split_once("] show running-config\n")
        .expect("the section");
    let (running, _) = running.split_once("\n=== ").expect("the next section");
    Recorded {
        global: v1::Global {
            version: "0.1.0".into(),
            frr_version: "8.4.4".into(),
            hostname: "r1".into(),
            bgp_configured: true,
            asn: 65001,
            router_id: "1.1.1.1".into(),
            default_local_pref: 100,
            tables: vec![table(V4, 3, 5), table(V6, 1, 1)],
            config_path: "/etc/frr/r1/frr.conf".into(),
            ..Default::default()
        },
        peers: vec![r2(), dead(), r2_v6()],
        tables: vec![
            (
                V4,
                v1::Table::LocRib,
                String::new(),
                vec![
                    route("10.0.0.0/24", 1, local_path()),
                    route("192.0.2.0/24", 2, tagged_path()),
                    route("198.51.100.0/24", 3, learned_path(Some(0))),
                ],
            ),
            (
                V4,
                v1::Table::Received,
                "10.0.0.2".into(),
                vec![
                    route("10.0.0.0/24", 0, path("65002 65001", "10.0.0.2", None)),
                    route("192.0.2.0/24", 0, path("65002", "10.0.0.2", Some(0))),
                    route("198.51.100.0/24", 0, path("65002", "10.0.0.2", Some(0))),
                ],
            ),
            (
                V4,
                v1::Table::Advertised,
                "10.0.0.2".into(),
                vec![
                    route(
                        "10.0.0.0/24",
                        0,
                        v1::Path {
                            weight: 32768,
                            ..path("", "0.0.0.0", Some(0))
                        },
                    ),
                    route("192.0.2.0/24", 0, path("65002", "0.0.0.0", None)),
                    route("198.51.100.0/24", 0, path("65002", "0.0.0.0", None)),
                ],
            ),
        ],
        fib: vec![(
            V4,
            vec![
                kernel_route("192.0.2.0/24"),
                kernel_route("198.51.100.0/24"),
            ],
        )],
        config: Some(running.to_owned()),
        ..Default::default()
    }
}

fn capabilities(hostname: &str) -> v1::Capabilities {
    v1::Capabilities {
        present: true,
        four_octet_as: true,
        extended_message: true,
        route_refresh: true,
        enhanced_route_refresh: true,
        multiprotocol: vec![V4 as i32],
        add_path: vec![v1::AddPath {
            family: V4 as i32,
            send: false,
            receive: true,
        }],
        fqdn: true,
        hostname: hostname.into(),
        graceful_restart: Some(v1::GracefulRestart {
            restarting: true,
            notification: true,
            restart_time_secs: 120,
            ..Default::default()
        }),
        long_lived_graceful_restart: true,
        other: vec![128],
        ..Default::default()
    }
}

fn base(address: &str, remote_as: u32) -> v1::Peer {
    v1::Peer {
        address: address.into(),
        remote_as,
        local_as: 65001,
        external: true,
        local_router_id: "1.1.1.1".into(),
        configured_hold_time_secs: 180,
        configured_keepalive_secs: 60,
        hold_time_secs: 180,
        keepalive_secs: 60,
        connect_retry_secs: 120,
        memory_bytes: 741_464,
        sent: Some(v1::MessageCounts::default()),
        received: Some(v1::MessageCounts::default()),
        ..Default::default()
    }
}

fn r2() -> v1::Peer {
    let counts = v1::MessageCounts {
        opens: 1,
        updates: 3,
        keepalives: 1,
        total: 5,
        ..Default::default()
    };
    v1::Peer {
        description: "leaf-uplink".into(),
        state: v1::SessionState::Established as i32,
        hostname: "r2".into(),
        remote_router_id: "2.2.2.2".into(),
        established_ms: T + 590_000,
        last_reset_ms: T + 589_000,
        last_reset_reason: "Waiting for peer OPEN".into(),
        last_reset_code: 32,
        connections_established: 1,
        last_read_ms: T + 595_000,
        last_write_ms: T + 595_000,
        last_update_ms: T + 595_000,
        local_address: "10.0.0.1".into(),
        local_port: 56502,
        foreign_address: "10.0.0.2".into(),
        foreign_port: 179,
        next_hop_v4: "10.0.0.1".into(),
        next_hop_v6_global: "2001:db8::1".into(),
        next_hop_v6_local: "fe80::7c82:4cff:fee5:9b2f".into(),
        shared_network: true,
        sent: Some(counts),
        received: Some(counts),
        local_capabilities: Some(capabilities("r1")),
        remote_capabilities: Some(capabilities("r2")),
        families: vec![v1::PeerFamily {
            family: V4 as i32,
            active: true,
            negotiated: true,
            received: 2,
            accepted: 2,
            sent: 3,
            end_of_rib_sent: true,
            end_of_rib_received: true,
            soft_reconfiguration_inbound: true,
            update_group: 1,
            ..Default::default()
        }],
        descriptor: Some(21),
        ..base("10.0.0.2", 65002)
    }
}

fn dead() -> v1::Peer {
    v1::Peer {
        state: v1::SessionState::Active as i32,
        last_reset_ms: T + 589_000,
        last_reset_reason: "Waiting for peer OPEN".into(),
        last_reset_code: 32,
        families: vec![v1::PeerFamily {
            family: V4 as i32,
            active: true,
            ..Default::default()
        }],
        ..base("10.0.0.9", 65009)
    }
}

fn r2_v6() -> v1::Peer {
    let counts = v1::MessageCounts {
        total: 4,
        ..Default::default()
    };
    v1::Peer {
        state: v1::SessionState::Established as i32,
        hostname: "r2".into(),
        established_ms: T + 590_000,
        connections_established: 1,
        sent: Some(counts),
        received: Some(counts),
        families: vec![v1::PeerFamily {
            family: V6 as i32,
            active: true,
            received: 1,
            accepted: 1,
            sent: 1,
            ..Default::default()
        }],
        ..base("2001:db8::2", 65002)
    }
}

fn route(prefix: &str, version: u64, path: v1::Path) -> v1::Route {
    let advertised_to = vec![v1::AdvertisedTo {
        address: "10.0.0.2".into(),
        hostname: "r2".into(),
        peer_group: String::new(),
    }];
    v1::Route {
        prefix: prefix.into(),
        version,
        paths: vec![path],
        advertised_to,
    }
}

fn path(as_path: &str, next_hop: &str, med: Option<u32>) -> v1::Path {
    let asns: Vec<u32> = as_path
        .split_whitespace()
        .map(|asn| asn.parse().expect("an AS"))
        .collect();
    let segment = v1::AsSegment {
        kind: v1::SegmentKind::SegmentSequence as i32,
        asns,
    };
    v1::Path {
        attributes: Some(v1::Attributes {
            as_path_text: as_path.into(),
            as_path_length: u32::try_from(segment.asns.len()).expect("a short path"),
            as_path: if segment.asns.is_empty() {
                vec![]
            } else {
                vec![segment]
            },
            next_hop: next_hop.into(),
            med,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn local_path() -> v1::Path {
    v1::Path {
        valid: true,
        best: true,
        local: true,
        sourced: true,
        selection_reason: "First path received".into(),
        weight: 32768,
        accessible: true,
        ..path("", "0.0.0.0", Some(0))
    }
}

fn learned_path(med: Option<u32>) -> v1::Path {
    v1::Path {
        valid: true,
        best: true,
        external: true,
        selection_reason: "First path received".into(),
        peer: "10.0.0.2".into(),
        peer_router_id: "2.2.2.2".into(),
        peer_hostname: "r2".into(),
        peer_as: 65002,
        accessible: true,
        last_update_ms: T + 596_000,
        ..path("65002", "10.0.0.2", med)
    }
}

fn tagged_path() -> v1::Path {
    let mut path = learned_path(Some(0));
    let attributes = path.attributes.as_mut().expect("attributes");
    attributes.communities = vec!["65002:100".into()];
    attributes.large_communities = vec!["65002:1:2".into()];
    // Announced 600 seconds into the recording's thousand.
    path.last_update_ms = T + 596_000;
    path
}

fn kernel_route(prefix: &str) -> v1::FibRoute {
    v1::FibRoute {
        prefix: prefix.into(),
        distance: 20,
        metric: 0,
        selected: true,
        installed: true,
        error: String::new(),
        table: 254,
        since_ms: T + 596_000,
        next_hops: vec![v1::FibNextHop {
            address: "10.0.0.2".into(),
            via: String::new(),
            ifindex: 2,
            interface: "veth1".into(),
            active: true,
            weight: 1,
            onlink: false,
        }],
        nexthop_group: 9,
        protocol: "bgp".into(),
        drop: String::new(),
        tag: 0,
    }
}
