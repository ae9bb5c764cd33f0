//! FRR's JSON read back into the API's messages.
//!
//! The recordings of a real router come in as JSON; what the shell prints of
//! them, text and JSON, must be what that router printed.

use holdfast_api::v1;
use serde_json::Value;

/// The document, with its text.
pub(crate) fn read(name: &str) -> Value {
    let path = format!(
        "{}/tests/golden/lab/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn small(value: &Value) -> u32 {
    u32::try_from(number(value)).expect("a small number")
}

fn yes(value: &Value) -> bool {
    value.as_bool().unwrap_or_default()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn texts(value: &Value) -> Vec<String> {
    items(value).map(text).collect()
}

/// Words of a list's text form.
fn words(value: &Value) -> Vec<String> {
    text(value).split_whitespace().map(str::to_owned).collect()
}

fn origin(value: &Value) -> i32 {
    (match value.as_str() {
        Some("IGP" | "i") => v1::Origin::Igp,
        Some("EGP" | "e") => v1::Origin::Egp,
        _ => v1::Origin::Incomplete,
    }) as i32
}

fn set_number(value: &Value) -> Option<u32> {
    value.as_u64().map(|_| small(value))
}

// ===== routes =====

/// `show bgp ... json detail`: lists of a head and paths in full.
pub(crate) fn detailed_routes(document: &Value) -> Vec<v1::Route> {
    fields(&document["routes"])
        .map(|(_, list)| {
            let mut list = items(list);
            detailed_route(list.next().expect("a head"), list)
        })
        .collect()
}

/// `show bgp ... PREFIX json`.
pub(crate) fn detailed_route<'p>(
    head: &Value,
    paths: impl Iterator<Item = &'p Value>,
) -> v1::Route {
    v1::Route {
        prefix: text(&head["prefix"]),
        version: number(&head["version"]),
        paths: paths.map(detailed_path).collect(),
        advertised_to: fields(&head["advertisedTo"])
            .map(|(address, peer)| v1::AdvertisedTo {
                address: address.clone(),
                hostname: text(&peer["hostname"]),
                peer_group: String::new(),
            })
            .collect(),
    }
}

fn next_hops(path: &Value, attributes: &mut v1::Attributes) {
    for hop in items(&path["nexthops"]) {
        if hop["scope"] == "link-local" {
            attributes.next_hop_link_local = text(&hop["ip"]);
        } else {
            attributes.next_hop = text(&hop["ip"]);
        }
    }
}

fn detailed_path(path: &Value) -> v1::Path {
    let as_path = &path["aspath"];
    let string = text(&as_path["string"]);
    let mut attributes = v1::Attributes {
        origin: origin(&path["origin"]),
        as_path: items(&as_path["segments"]).map(segment).collect(),
        as_path_text: if string == "Local" {
            String::new()
        } else {
            string
        },
        as_path_length: small(&as_path["length"]),
        med: set_number(&path["metric"]),
        local_pref: set_number(&path["locPrf"]),
        atomic_aggregate: yes(&path["atomicAggregate"]),
        aggregator_as: small(&path["aggregatorAs"]),
        aggregator_id: text(&path["aggregatorId"]),
        communities: words(&path["community"]["string"]),
        large_communities: words(&path["largeCommunity"]["string"]),
        extended_communities: words(&path["extendedCommunity"]["string"]),
        originator_id: text(&path["originatorId"]),
        cluster_list: texts(&path["clusterList"]["list"]),
        ..Default::default()
    };
    next_hops(path, &mut attributes);
    let peer = &path["peer"];
    let learned = !peer["type"].is_null();
    let learned_text = |value: &Value| if learned { text(value) } else { String::new() };
    let hop = &path["nexthops"][0];
    v1::Path {
        valid: yes(&path["valid"]),
        best: yes(&path["bestpath"]["overall"]),
        multipath: yes(&path["multipath"]),
        stale: yes(&path["stale"]),
        external: peer["type"] == "external",
        internal: peer["type"] == "internal",
        local: yes(&path["local"]),
        sourced: yes(&path["sourced"]),
        selection_reason: text(&path["bestpath"]["selectionReason"]),
        peer: learned_text(&peer["peerId"]),
        peer_router_id: learned_text(&peer["routerId"]),
        peer_hostname: learned_text(&peer["hostname"]),
        attributes: Some(attributes),
        weight: small(&path["weight"]),
        igp_metric: small(&hop["metric"]),
        accessible: yes(&hop["accessible"]),
        last_update_ms: number(&path["lastUpdate"]["epoch"]) * 1000,
        ..Default::default()
    }
}

fn segment(segment: &Value) -> v1::AsSegment {
    let kind = match segment["type"].as_str() {
        Some("as-set") => v1::SegmentKind::SegmentSet,
        _ => v1::SegmentKind::SegmentSequence,
    };
    v1::AsSegment {
        kind: kind as i32,
        asns: items(&segment["list"]).map(small).collect(),
    }
}

/// `show bgp ... json`: lists of paths in brief.
pub(crate) fn brief_routes(document: &Value) -> Vec<v1::Route> {
    fields(&document["routes"])
        .map(|(prefix, list)| v1::Route {
            prefix: prefix.clone(),
            version: number(&list[0]["version"]),
            paths: items(list).map(brief_path).collect(),
            advertised_to: Vec::new(),
        })
        .collect()
}

fn brief_path(path: &Value) -> v1::Path {
    let mut attributes = v1::Attributes {
        origin: origin(&path["origin"]),
        as_path_text: text(&path["path"]),
        med: set_number(&path["metric"]),
        local_pref: set_number(&path["locPrf"]),
        ..Default::default()
    };
    next_hops(path, &mut attributes);
    let learned = path["peerId"] != "(unspec)";
    v1::Path {
        valid: yes(&path["valid"]),
        best: yes(&path["bestpath"]),
        multipath: yes(&path["multipath"]),
        external: learned && path["pathFrom"] == "external",
        internal: path["pathFrom"] == "internal",
        selection_reason: text(&path["selectionReason"]),
        peer: if learned {
            text(&path["peerId"])
        } else {
            String::new()
        },
        peer_hostname: text(&path["nexthops"][0]["hostname"]),
        attributes: Some(attributes),
        weight: small(&path["weight"]),
        accessible: true,
        ..Default::default()
    }
}

/// `show bgp neighbors X advertised-routes json`.
pub(crate) fn advertised_routes(document: &Value) -> Vec<v1::Route> {
    fields(&document["advertisedRoutes"])
        .map(|(prefix, route)| {
            let next_hop = if route["nextHop"].is_null() {
                &route["nextHopGlobal"]
            } else {
                &route["nextHop"]
            };
            let attributes = v1::Attributes {
                origin: origin(&route["bgpOriginCode"]),
                as_path_text: text(&route["path"]),
                next_hop: text(next_hop),
                med: set_number(&route["metric"]),
                local_pref: set_number(&route["locPrf"]),
                ..Default::default()
            };
            let path = v1::Path {
                attributes: Some(attributes),
                weight: small(&route["weight"]),
                ..Default::default()
            };
            v1::Route {
                prefix: prefix.clone(),
                paths: vec![path],
                ..Default::default()
            }
        })
        .collect()
}

// ===== neighbors =====

/// `show bgp neighbors json` as of `now_ms`.
pub(crate) fn peers(document: &Value, now_ms: u64) -> Vec<v1::Peer> {
    fields(document)
        .filter(|(_, peer)| peer.is_object())
        .map(|(address, value)| peer(address, value, now_ms))
        .collect()
}

/// The peers of `show bgp summary json`, as far as a summary knows them.
pub(crate) fn summary_peers(document: &Value, now_ms: u64) -> Vec<v1::Peer> {
    fields(&document["peers"])
        .map(|(address, entry)| {
            let admin_down = entry["state"] == "Idle (Admin)";
            let up = number(&entry["peerUptimeMsec"]);
            let total = |key: &str| v1::MessageCounts {
                total: number(&entry[key]),
                ..Default::default()
            };
            let policy_missing = entry["peerState"] == "Policy";
            v1::Peer {
                address: address.clone(),
                remote_as: small(&entry["remoteAs"]),
                local_as: small(&entry["localAs"]),
                external: entry["remoteAs"] != entry["localAs"],
                hostname: text(&entry["hostname"]),
                description: text(&entry["desc"]),
                admin_down,
                state: if admin_down {
                    v1::SessionState::Idle
                } else {
                    state(&entry["state"])
                } as i32,
                established_ms: if up == 0 { 0 } else { now_ms - up },
                connections_established: number(&entry["connectionsEstablished"]),
                connections_dropped: number(&entry["connectionsDropped"]),
                received: Some(total("msgRcvd")),
                sent: Some(total("msgSent")),
                families: vec![v1::PeerFamily {
                    family: v1::Family::Ipv4Unicast as i32,
                    active: true,
                    inbound_policy_missing: policy_missing,
                    outbound_policy_missing: policy_missing,
                    ..Default::default()
                }],
                memory_bytes: 741_464,
                ..Default::default()
            }
        })
        .collect()
}

/// FRR's age of what never happened.
const NEVER_MSECS: u64 = 900_000;

fn peer(address: &str, peer: &Value, now_ms: u64) -> v1::Peer {
    let since = |key: &str| match peer[key].as_u64() {
        None => 0,
        Some(age) if age > NEVER_MSECS => 0,
        Some(age) => now_ms - age,
    };
    let seconds = |key: &str| small(&peer[key]) / 1000;
    let connected = peer["hostLocal"] != "Unknown";
    let connected_text = |key: &str| {
        if connected {
            text(&peer[key])
        } else {
            String::new()
        }
    };
    let port = |key: &str| u32::try_from(peer[key].as_i64().unwrap_or(0)).unwrap_or(0);
    let reason = text(&peer["lastNotificationReason"]);
    let hard = if yes(&peer["lastNotificationHardReset"]) {
        "/Hard Reset"
    } else {
        ""
    };
    let code = u32::from_str_radix(&text(&peer["lastErrorCodeSubcode"]), 16).unwrap_or(0);
    let (local, remote) = capabilities(peer);
    let external = yes(&peer["nbrExternalLink"]);
    v1::Peer {
        address: address.to_owned(),
        remote_as: small(&peer["remoteAs"]),
        local_as: small(&peer["localAs"]),
        external,
        peer_group: text(&peer["peerGroup"]),
        remote_as_configured_external: peer["peerGroup"] == "FAB",
        description: text(&peer["nbrDesc"]),
        state: state(&peer["bgpState"]) as i32,
        admin_down: yes(&peer["adminShutDown"]),
        hostname: text(&peer["hostname"]),
        remote_router_id: text(&peer["remoteRouterId"]),
        local_router_id: text(&peer["localRouterId"]),
        established_ms: since("bgpTimerUpMsec"),
        last_reset_ms: since("lastResetTimerMsecs"),
        last_reset_reason: text(&peer["lastResetDueTo"]),
        last_reset_code: small(&peer["lastResetCode"]),
        last_notification: if reason.is_empty() {
            reason
        } else {
            reason + hard
        },
        last_notification_code: code >> 8,
        last_notification_subcode: code & 0xff,
        connections_established: number(&peer["connectionsEstablished"]),
        connections_dropped: number(&peer["connectionsDropped"]),
        last_read_ms: since("bgpTimerLastRead"),
        last_write_ms: since("bgpTimerLastWrite"),
        last_update_ms: since("bgpInUpdateElapsedTimeMsecs"),
        configured_hold_time_secs: seconds("bgpTimerConfiguredHoldTimeMsecs"),
        configured_keepalive_secs: seconds("bgpTimerConfiguredKeepAliveIntervalMsecs"),
        hold_time_secs: seconds("bgpTimerHoldTimeMsecs"),
        keepalive_secs: seconds("bgpTimerKeepAliveIntervalMsecs"),
        connect_retry_secs: small(&peer["connectRetryTimer"]),
        next_connect_ms: peer["nextConnectTimerDueInMsecs"]
            .as_u64()
            .map_or(0, |due| now_ms + due),
        round_trip_ms: small(&peer["estimatedRttInMsecs"]),
        ebgp_multihop: if external {
            small(&peer["externalBgpNbrMaxHopsAway"])
        } else {
            0
        },
        update_source: text(&peer["updateSource"]),
        password_set: !peer["authenticationEnabled"].is_null(),
        local_address: connected_text("hostLocal"),
        local_port: port("portLocal"),
        foreign_address: connected_text("hostForeign"),
        foreign_port: port("portForeign"),
        next_hop_v4: text(&peer["nexthop"]),
        next_hop_v6_global: text(&peer["nexthopGlobal"]),
        next_hop_v6_local: text(&peer["nexthopLocal"]),
        shared_network: peer["bgpConnection"] == "sharedNetwork",
        sent: Some(counts(&peer["messageStats"], "Sent")),
        received: Some(counts(&peer["messageStats"], "Recv")),
        local_capabilities: local,
        remote_capabilities: remote,
        families: families(peer),
        memory_bytes: 741_464,
        ..Default::default()
    }
}

fn state(value: &Value) -> v1::SessionState {
    match value.as_str() {
        Some("Established") => v1::SessionState::Established,
        Some("Active") => v1::SessionState::Active,
        Some("Idle") => v1::SessionState::Idle,
        other => panic!("state {other:?}"),
    }
}

fn counts(statistics: &Value, way: &str) -> v1::MessageCounts {
    let of = |key: &str| number(&statistics[format!("{key}{way}")]);
    v1::MessageCounts {
        opens: of("opens"),
        notifications: of("notifications"),
        updates: of("updates"),
        keepalives: of("keepalives"),
        route_refreshes: of("routeRefresh"),
        total: of("total"),
    }
}

/// `ipv4Unicast` and `ipv6Unicast` among the keys.
fn family(key: &str) -> Option<v1::Family> {
    match key {
        "ipv4Unicast" => Some(v1::Family::Ipv4Unicast),
        "ipv6Unicast" => Some(v1::Family::Ipv6Unicast),
        _ => None,
    }
}

fn families(peer: &Value) -> Vec<v1::PeerFamily> {
    let restart = &peer["gracefulRestartInfo"];
    fields(&peer["addressFamilyInfo"])
        .filter_map(|(key, info)| {
            let status = &restart[key]["endOfRibStatus"];
            Some(v1::PeerFamily {
                family: family(key)? as i32,
                active: true,
                negotiated: peer["bgpState"] == "Established",
                received: number(&info["acceptedPrefixCounter"]),
                accepted: number(&info["acceptedPrefixCounter"]),
                sent: number(&info["sentPrefixCounter"]),
                end_of_rib_sent: yes(&status["endOfRibSend"]),
                end_of_rib_after_update: yes(&status["endOfRibSentAfterUpdate"]),
                end_of_rib_received: yes(&status["endOfRibRecv"]),
                inbound_policy_missing: !info["inboundEbgpRequiresPolicy"].is_null(),
                outbound_policy_missing: !info["outboundEbgpRequiresPolicy"].is_null(),
                next_hop_self: yes(&info["routerAlwaysNextHop"]),
                soft_reconfiguration_inbound: yes(&info["inboundSoftConfigPermit"]),
                route_reflector_client: yes(&info["routeReflectorClient"]),
                update_group: small(&info["updateGroupId"]),
                ..Default::default()
            })
        })
        .collect()
}

/// The local and the remote side's, from what FRR says was exchanged.
fn capabilities(peer: &Value) -> (Option<v1::Capabilities>, Option<v1::Capabilities>) {
    let known = &peer["neighborCapabilities"];
    let timers = &peer["gracefulRestartInfo"]["timers"];
    let received_secs = small(&timers["receivedRestartTimer"]);
    let remote_restart = || v1::GracefulRestart {
        restart_time_secs: received_secs,
        ..Default::default()
    };
    if known.is_null() {
        let restart = (received_secs != 0).then(remote_restart);
        let remote = v1::Capabilities {
            graceful_restart: restart,
            ..Default::default()
        };
        return (None, Some(remote));
    }
    let side = |local: bool| {
        let (own, lower) = if local {
            ("dvertised", "advertised")
        } else {
            ("eceived", "received")
        };
        let said = |key: &str| {
            let words = text(&known[key]);
            words == lower || words.starts_with("advertisedAndReceived")
        };
        let listed = |key: &str, fits: &dyn Fn(&str) -> bool| -> Vec<i32> {
            fields(&known[key])
                .filter(|(_, ways)| fields(ways).any(|(way, _)| fits(way)))
                .filter_map(|(key, _)| Some(family(key)? as i32))
                .collect()
        };
        let exchanged = |way: &str| way.contains(own) || way.ends_with("AndReceived");
        let add_path = listed("addPath", &|way| way.starts_with("rx") && exchanged(way));
        let prefix = if local { "adv" } else { "rcv" };
        let name = |what: &str| {
            let name = text(&known["hostName"][format!("{prefix}{what}")]);
            if name == "n/a" { String::new() } else { name }
        };
        v1::Capabilities {
            present: true,
            four_octet_as: said("4byteAs"),
            extended_message: said("extendedMessage"),
            route_refresh: said("routeRefresh"),
            enhanced_route_refresh: said("enhancedRouteRefresh"),
            multiprotocol: listed("multiprotocolExtensions", &exchanged),
            add_path: add_path
                .into_iter()
                .map(|family| v1::AddPath {
                    family,
                    send: false,
                    receive: true,
                })
                .collect(),
            fqdn: !known["hostName"][format!("{prefix}HostName")].is_null(),
            hostname: name("HostName"),
            domain: name("DomainName"),
            long_lived_graceful_restart: said("longLivedGracefulRestart"),
            other: if text(&known["routeRefresh"]).ends_with("OldNew") {
                vec![128]
            } else {
                vec![]
            },
            graceful_restart: (said("gracefulRestart") || said("gracefulRestartCapability")).then(
                || {
                    if local {
                        let secs = small(&timers["configuredRestartTimer"]);
                        v1::GracefulRestart {
                            restart_time_secs: secs,
                            ..Default::default()
                        }
                    } else {
                        restart_of_peer(peer, remote_restart())
                    }
                },
            ),
            ..Default::default()
        }
    };
    (Some(side(true)), Some(side(false)))
}

fn restart_of_peer(peer: &Value, mut restart: v1::GracefulRestart) -> v1::GracefulRestart {
    let info = &peer["gracefulRestartInfo"];
    restart.restarting = yes(&info["rBit"]);
    restart.notification = yes(&info["nBit"]);
    for (key, kept) in fields(&peer["neighborCapabilities"]["addressFamiliesByPeer"]) {
        let family = family(key).expect("a family") as i32;
        restart.families.push(family);
        if yes(&kept["preserved"]) {
            restart.preserved.push(family);
        }
    }
    restart
}

// ===== the kernel =====

/// `show ip route bgp json` as of `now_ms`.
pub(crate) fn fib(document: &Value, now_ms: u64) -> Vec<v1::FibRoute> {
    fields(document)
        .map(|(_, list)| fib_route(&list[0], now_ms))
        .collect()
}

fn fib_route(route: &Value, now_ms: u64) -> v1::FibRoute {
    let uptime = text(&route["uptime"]);
    let seconds = uptime.split(':').fold(0, |sum, part| {
        sum * 60 + part.parse::<u64>().expect("a time")
    });
    let mut next_hops: Vec<v1::FibNextHop> = Vec::new();
    let mut recursive = String::new();
    for hop in items(&route["nexthops"]).filter(|hop| !yes(&hop["blackhole"])) {
        if yes(&hop["recursive"]) {
            recursive = text(&hop["ip"]);
            continue;
        }
        let address = text(&hop["ip"]);
        let resolves = yes(&hop["resolver"]);
        next_hops.push(v1::FibNextHop {
            via: if resolves {
                address.clone()
            } else {
                String::new()
            },
            address: if resolves { recursive.clone() } else { address },
            ifindex: small(&hop["interfaceIndex"]),
            interface: text(&hop["interfaceName"]),
            active: yes(&hop["active"]),
            weight: small(&hop["weight"]),
            onlink: yes(&hop["onLink"]),
        });
    }
    v1::FibRoute {
        prefix: text(&route["prefix"]),
        distance: small(&route["distance"]),
        metric: small(&route["metric"]),
        selected: yes(&route["selected"]),
        installed: yes(&route["installed"]),
        error: String::new(),
        table: small(&route["table"]),
        since_ms: now_ms - seconds * 1000,
        next_hops,
        nexthop_group: small(&route["nexthopGroupId"]),
        protocol: text(&route["protocol"]),
        drop: String::new(),
        tag: small(&route["tag"]),
    }
}
