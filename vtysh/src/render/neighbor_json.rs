//! `show bgp neighbors json`.

use holdfast_api::v1;
use serde_json::{Map, Value, json};

use super::neighbor::{
    Exchange, Negotiation, PolicyNames, RestartState, SELECTION_DEFERRAL_SECS, STALE_PATH_SECS,
    condition_status, condition_word, conditional_secs, max_hops, next_connect_secs, or_none,
    or_zero, remote_router_id, sent_after_update, timers,
};
use super::summary::LastReset;
use super::{Family, View, is_established, state_name};

/// A JSON object that is filled in order.
struct Object(Map<String, Value>);

impl Object {
    fn new() -> Self {
        Self(Map::new())
    }

    fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    fn flag(&mut self, key: &str, set: bool) {
        if set {
            self.put(key, true);
        }
    }

    fn text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.put(key, text);
        }
    }

    fn exchange(&mut self, key: &str, exchange: Exchange) {
        self.text(key, exchange.key());
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Value::Object(object.0)
    }
}

/// Everything about `peer`, as the value of its address.
pub(crate) fn neighbor_json(view: View<'_>, peer: &v1::Peer) -> Value {
    let mut entry = Object::new();
    identity(&mut entry, view, peer);
    session(&mut entry, view, peer);
    if let Some(negotiation) = Negotiation::of(peer) {
        entry.put("neighborCapabilities", capabilities(&negotiation));
    }
    entry.put("gracefulRestartInfo", graceful_restart(view, peer));
    entry.put("messageStats", statistics(peer));
    entry.put("minBtwnAdvertisementRunsTimerMsecs", 0);
    entry.text("updateSource", &peer.update_source);
    let mut families = Object::new();
    for found in peer.families.iter().filter(|found| found.active) {
        if let Some(family) = Family::from_api(found.family) {
            families.put(family.key(), address_family(peer, found));
        }
    }
    entry.put("addressFamilyInfo", families);
    history(&mut entry, view, peer);
    connection(&mut entry, view, peer);
    entry.into()
}

fn identity(entry: &mut Object, view: View<'_>, peer: &v1::Peer) {
    entry.put("remoteAs", peer.remote_as);
    entry.put("localAs", peer.local_as);
    entry.put(
        match (peer.external, peer.confederation) {
            (true, true) => "nbrConfedExternalLink",
            (true, false) => "nbrExternalLink",
            (false, _) if view.is_confederation() => "nbrConfedInternalLink",
            (false, _) => "nbrInternalLink",
        },
        true,
    );
    entry.put("localRole", "undefined");
    entry.put("remoteRole", "undefined");
    entry.text("nbrDesc", &peer.description);
    entry.text("hostname", &peer.hostname);
    entry.text("domainname", &peer.domain);
    entry.text("peerGroup", &peer.peer_group);
    entry.flag("adminShutDown", peer.admin_down);
}

fn session(entry: &mut Object, view: View<'_>, peer: &v1::Peer) {
    let clock = view.clock;
    let elapsed = |ms: u64| {
        if ms == 0 {
            0
        } else {
            clock.seconds_since(ms) * 1000
        }
    };
    entry.put("bgpVersion", 4);
    entry.put("remoteRouterId", remote_router_id(peer));
    entry.put("localRouterId", peer.local_router_id.as_str());
    entry.flag("nbrCommonAdmin", peer.confederation);
    entry.put("bgpState", state_name(peer));
    if is_established(peer) {
        entry.put("bgpTimerUpMsec", elapsed(peer.established_ms));
        entry.put("bgpTimerUpString", clock.interval(peer.established_ms));
        entry.put("bgpTimerUpEstablishedEpoch", peer.established_ms / 1000);
    } else {
        entry.flag(
            "passiveNSF",
            peer.families.iter().any(|family| family.stale),
        );
    }
    let (hold, keepalive) = timers(peer);
    entry.put("bgpTimerLastRead", elapsed(peer.last_read_ms));
    entry.put("bgpTimerLastWrite", elapsed(peer.last_write_ms));
    entry.put("bgpInUpdateElapsedTimeMsecs", elapsed(peer.last_update_ms));
    let milliseconds = |seconds: u32| u64::from(seconds) * 1000;
    entry.put(
        "bgpTimerConfiguredHoldTimeMsecs",
        milliseconds(peer.configured_hold_time_secs),
    );
    entry.put(
        "bgpTimerConfiguredKeepAliveIntervalMsecs",
        milliseconds(peer.configured_keepalive_secs),
    );
    entry.put("bgpTimerHoldTimeMsecs", milliseconds(hold));
    entry.put("bgpTimerKeepAliveIntervalMsecs", milliseconds(keepalive));
    entry.put(
        "extendedOptionalParametersLength",
        peer.extended_open_parameters,
    );
    entry.put(
        "bgpTimerConfiguredConditionalAdvertisementsSec",
        conditional_secs(peer),
    );
}

fn capabilities(negotiation: &Negotiation<'_>) -> Object {
    let mut entry = Object::new();
    entry.exchange("4byteAs", negotiation.exchange(|side| side.four_octet_as));
    entry.exchange(
        "extendedMessage",
        negotiation.exchange(|side| side.extended_message),
    );
    if negotiation.exchange(|side| !side.add_path.is_empty()).any() {
        entry.put("addPath", add_path(negotiation));
    }
    let extended = negotiation.exchange(|side| !side.extended_next_hop.is_empty());
    entry.exchange("extendedNexthop", extended);
    if extended.received {
        let mut families = Object::new();
        for family in &negotiation.remote.extended_next_hop {
            let key = Family::from_api(*family).map_or("unknown", Family::key);
            // FRR's own spelling, here and in the key below.
            families.put(key, "recieved");
        }
        entry.put("extendedNexthopFamililesByPeer", families);
    }
    let long_lived = negotiation.exchange(|side| side.long_lived_graceful_restart);
    entry.exchange("longLivedGracefulRestart", long_lived);
    if long_lived.received {
        entry.put("longLivedGracefulRestartByPeer", Object::new());
    }
    let refresh = negotiation.route_refresh();
    let kind = match (refresh.received, negotiation.refresh_kind()) {
        (false, _) => "",
        (true, "old & new") => "OldNew",
        (true, "old") => "Old",
        (true, _) => "New",
    };
    entry.text("routeRefresh", &format!("{}{kind}", refresh.key()));
    let enhanced = negotiation.exchange(|side| side.enhanced_route_refresh);
    entry.exchange("enhancedRouteRefresh", enhanced);
    entry.put("multiprotocolExtensions", multiprotocol(negotiation));
    entry.put("hostName", hostname(negotiation));
    restart_capability(&mut entry, negotiation);
    entry
}

fn add_path(negotiation: &Negotiation<'_>) -> Object {
    let mut all = Object::new();
    for family in Family::ALL {
        let mut ways = Object::new();
        for (sends, way) in [(true, "tx"), (false, "rx")] {
            let exchange = negotiation.add_path(family, sends);
            let words = match exchange.key() {
                "" => continue,
                "advertisedAndReceived" => "AdvertisedAndReceived",
                "advertised" => "Advertised",
                _ => "Received",
            };
            ways.put(&format!("{way}{words}"), true);
        }
        if !ways.0.is_empty() {
            all.put(family.key(), ways);
        }
    }
    all
}

fn multiprotocol(negotiation: &Negotiation<'_>) -> Object {
    let mut families = Object::new();
    for family in Family::ALL {
        let exchange = negotiation.multiprotocol(family);
        if exchange.any() {
            let mut entry = Object::new();
            entry.put(exchange.key(), true);
            families.put(family.key(), entry);
        }
    }
    families
}

fn hostname(negotiation: &Negotiation<'_>) -> Object {
    let mut entry = Object::new();
    let (local, remote) = (negotiation.local, negotiation.remote);
    if local.fqdn {
        entry.put("advHostName", or_none(&local.hostname));
        entry.put("advDomainName", or_none(&local.domain));
    }
    if remote.fqdn {
        entry.put("rcvHostName", or_none(&remote.hostname));
        entry.put("rcvDomainName", or_none(&remote.domain));
    }
    entry
}

fn restart_capability(entry: &mut Object, negotiation: &Negotiation<'_>) {
    let exchange = negotiation.graceful_restart();
    if !exchange.both() {
        // Another key than that of the negotiated capability, as in FRR.
        entry.exchange("gracefulRestartCapability", exchange);
    } else {
        entry.exchange("gracefulRestart", exchange);
    }
    let Some(remote) = &negotiation.remote.graceful_restart else {
        return;
    };
    entry.put(
        "gracefulRestartRemoteTimerMsecs",
        u64::from(remote.restart_time_secs) * 1000,
    );
    if remote.families.is_empty() {
        entry.put("addressFamiliesByPeer", "none");
        return;
    }
    let mut families = Object::new();
    for family in &remote.families {
        let Some(known) = Family::from_api(*family) else {
            continue;
        };
        let mut kept = Object::new();
        kept.flag("preserved", remote.preserved.contains(family));
        families.put(known.key(), kept);
    }
    entry.put("addressFamiliesByPeer", families);
}

fn graceful_restart(view: View<'_>, peer: &v1::Peer) -> Object {
    let state = RestartState::of(view, peer);
    let mut entry = Object::new();
    let done = |done: fn(&v1::PeerFamily) -> bool| {
        let mut families = Object::new();
        for (family, _, found) in &state.families {
            families.flag(family.key(), done(found));
        }
        families
    };
    entry.put("endOfRibSend", done(|found| found.end_of_rib_sent));
    entry.put("endOfRibRecv", done(|found| found.end_of_rib_received));
    entry.put("localGrMode", state.local_mode);
    entry.put("remoteGrMode", state.remote_mode);
    entry.put("rBit", state.restarting);
    entry.put("nBit", state.notification);
    entry.put(
        "timers",
        json!({
            "configuredRestartTimer": state.configured_secs,
            "receivedRestartTimer": state.received_secs,
        }),
    );
    for (family, preserved, found) in &state.families {
        let mut timers = Object::new();
        timers.put("stalePathTimer", STALE_PATH_SECS);
        if view.global.graceful_restart {
            timers.put("selectionDeferralTimer", SELECTION_DEFERRAL_SECS);
        }
        let value = json!({
            "fBit": preserved,
            "endOfRibStatus": {
                "endOfRibSend": found.end_of_rib_sent,
                "endOfRibSentAfterUpdate": sent_after_update(found),
                "endOfRibRecv": found.end_of_rib_received,
            },
            "timers": Value::from(timers),
        });
        entry.put(family.key(), value);
    }
    entry
}

fn statistics(peer: &v1::Peer) -> Value {
    let (sent, received) = (
        peer.sent.unwrap_or_default(),
        peer.received.unwrap_or_default(),
    );
    json!({
        "depthInq": 0,
        "depthOutq": peer.out_queue,
        "opensSent": sent.opens,
        "opensRecv": received.opens,
        "notificationsSent": sent.notifications,
        "notificationsRecv": received.notifications,
        "updatesSent": sent.updates,
        "updatesRecv": received.updates,
        "keepalivesSent": sent.keepalives,
        "keepalivesRecv": received.keepalives,
        "routeRefreshSent": sent.route_refreshes,
        "routeRefreshRecv": received.route_refreshes,
        "capabilitySent": 0,
        "capabilityRecv": 0,
        "totalSent": sent.total,
        "totalRecv": received.total,
    })
}

fn address_family(peer: &v1::Peer, found: &v1::PeerFamily) -> Object {
    let mut entry = Object::new();
    entry.text("peerGroupMember", &peer.peer_group);
    if is_established(peer) && found.update_group != 0 {
        entry.put("updateGroupId", found.update_group);
        entry.put("subGroupId", found.update_group);
        entry.put("packetQueueLength", peer.out_queue);
    }
    entry.flag("routeReflectorClient", found.route_reflector_client);
    entry.flag(
        "inboundSoftConfigPermit",
        found.soft_reconfiguration_inbound,
    );
    entry.flag("routerAlwaysNextHop", found.next_hop_self);
    let names = PolicyNames::of(peer, found.family);
    if let Some(kinds) = names.communities_json() {
        entry.put("commAttriSentToNbr", kinds);
    }
    if names.0.default_originate {
        if let Some(map) = &names.0.default_route_map {
            entry.put("defaultRouteMap", map.name.as_str());
        }
        entry.flag("defaultSent", names.0.default_sent);
        entry.flag("defaultNotSent", !names.0.default_sent);
    }
    entry.flag("inboundPathPolicyConfig", names.inbound());
    entry.flag("outboundPathPolicyConfig", names.outbound());
    for (name, key, _) in names.rows() {
        entry.put(key, name.name.as_str());
    }
    if found.inbound_policy_missing {
        entry.put(
            "inboundEbgpRequiresPolicy",
            "Inbound updates discarded due to missing policy",
        );
    }
    if found.outbound_policy_missing {
        entry.put(
            "outboundEbgpRequiresPolicy",
            "Outbound updates discarded due to missing policy",
        );
    }
    if let Some(map) = &names.0.unsuppress_map {
        entry.put("selectiveUnsuppressRouteMap", map.name.as_str());
    }
    if let Some(told) = &found.conditional {
        entry.put(
            "advertiseMap",
            json!({
                "condition": condition_word(told),
                "conditionMap": told.condition_map,
                "advertiseMap": told.advertise_map,
                "advertiseStatus": condition_status(told),
            }),
        );
    }
    entry.put("acceptedPrefixCounter", found.accepted);
    if is_established(peer) {
        entry.put("sentPrefixCounter", found.sent);
    }
    entry
}

fn history(entry: &mut Object, view: View<'_>, peer: &v1::Peer) {
    entry.put("connectionsEstablished", peer.connections_established);
    entry.put("connectionsDropped", peer.connections_dropped);
    let reset = LastReset::of(view, peer);
    if reset.at_ms == 0 {
        entry.put("lastReset", "never");
        return;
    }
    entry.put(
        "lastResetTimerMsecs",
        view.clock.seconds_since(reset.at_ms) * 1000,
    );
    if !peer.last_notification.is_empty() {
        if peer.last_notification_code != 0 {
            let (code, subcode) = (peer.last_notification_code, peer.last_notification_subcode);
            entry.put("lastErrorCodeSubcode", format!("{code:02X}{subcode:02X}"));
        }
        // A hard reset (RFC 8538) wraps another reason.
        let (reason, hard) = match peer.last_notification.strip_suffix("/Hard Reset") {
            Some(reason) => (reason, true),
            None => (peer.last_notification.as_str(), false),
        };
        entry.put("lastNotificationReason", reason);
        entry.flag("lastNotificationHardReset", hard);
    }
    entry.put("lastResetDueTo", reset.reason);
    entry.put("lastResetCode", reset.code);
}

fn connection(entry: &mut Object, view: View<'_>, peer: &v1::Peer) {
    let link = if peer.external {
        "externalBgpNbrMaxHopsAway"
    } else {
        "internalBgpNbrMaxHopsAway"
    };
    entry.put(link, max_hops(peer));
    if peer.local_address.is_empty() {
        entry.put("hostLocal", "Unknown");
        entry.put("portLocal", -1);
        entry.put("hostForeign", "Unknown");
        entry.put("portForeign", -1);
    } else {
        entry.put("hostLocal", peer.local_address.as_str());
        entry.put("portLocal", peer.local_port);
        entry.put("hostForeign", peer.foreign_address.as_str());
        entry.put("portForeign", peer.foreign_port);
        entry.put("nexthop", or_zero(&peer.next_hop_v4, "0.0.0.0"));
        entry.put("nexthopGlobal", or_zero(&peer.next_hop_v6_global, "::"));
        entry.put("nexthopLocal", or_zero(&peer.next_hop_v6_local, "::"));
        let kind = if peer.shared_network {
            "sharedNetwork"
        } else {
            "nonSharedNetwork"
        };
        entry.put("bgpConnection", kind);
    }
    entry.put("connectRetryTimer", peer.connect_retry_secs);
    if peer.round_trip_ms != 0 {
        entry.put("estimatedRttInMsecs", peer.round_trip_ms);
    }
    if let Some(seconds) = next_connect_secs(view, peer) {
        entry.put("nextConnectTimerDueInMsecs", seconds * 1000);
    }
    if peer.password_set {
        entry.put("authenticationEnabled", 1);
    }
    let threads = if is_established(peer) { "on" } else { "off" };
    entry.put("readThread", threads);
    entry.put("writeThread", threads);
}
