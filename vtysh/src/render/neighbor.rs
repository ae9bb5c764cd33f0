//! `show bgp neighbors`, the text.

use std::io::{self, Write};

use holdfast_api::v1;

use super::summary::LastReset;
use super::{Family, View, is_established, state_name};

/// FRR's defaults, shown for what this daemon does not configure.
pub(super) const DEFAULT_RESTART_SECS: u32 = 120;
pub(super) const STALE_PATH_SECS: u32 = 360;
pub(super) const SELECTION_DEFERRAL_SECS: u32 = 360;
const CONDITIONAL_ADVERTISEMENT_SECS: u32 = 60;
/// The old code of route refresh, from before RFC 2918.
const OLD_ROUTE_REFRESH: u32 = 128;

/// Both sides' capabilities.
pub(super) struct Negotiation<'a> {
    pub(super) local: &'a v1::Capabilities,
    pub(super) remote: &'a v1::Capabilities,
}

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exchange {
    pub(super) advertised: bool,
    pub(super) received: bool,
}

impl Exchange {
    pub(super) fn any(self) -> bool {
        self.advertised || self.received
    }

    pub(super) fn both(self) -> bool {
        self.advertised && self.received
    }

    fn words(self) -> &'static str {
        match (self.advertised, self.received) {
            (true, true) => "advertised and received",
            (true, false) => "advertised",
            (false, true) => "received",
            (false, false) => "",
        }
    }

    /// `advertisedAndReceived`.
    pub(super) fn key(self) -> &'static str {
        match (self.advertised, self.received) {
            (true, true) => "advertisedAndReceived",
            (true, false) => "advertised",
            (false, true) => "received",
            (false, false) => "",
        }
    }
}

impl<'a> Negotiation<'a> {
    /// The capabilities of a session that is up.
    pub(super) fn of(peer: &'a v1::Peer) -> Option<Self> {
        let local = peer.local_capabilities.as_ref()?;
        let remote = peer.remote_capabilities.as_ref()?;
        is_established(peer).then_some(Self { local, remote })
    }

    pub(super) fn exchange(&self, has: impl Fn(&v1::Capabilities) -> bool) -> Exchange {
        Exchange {
            advertised: has(self.local),
            received: has(self.remote),
        }
    }

    pub(super) fn multiprotocol(&self, family: Family) -> Exchange {
        self.exchange(|side| side.multiprotocol.contains(&(family.api() as i32)))
    }

    pub(super) fn add_path(&self, family: Family, sends: bool) -> Exchange {
        let api = family.api() as i32;
        self.exchange(|side| {
            let mut known = side
                .add_path
                .iter()
                .filter(|add_path| add_path.family == api);
            known.any(|add_path| {
                if sends {
                    add_path.send
                } else {
                    add_path.receive
                }
            })
        })
    }

    pub(super) fn graceful_restart(&self) -> Exchange {
        self.exchange(|side| side.graceful_restart.is_some())
    }

    /// `old & new`, as the peer spelled its route refresh capability.
    pub(super) fn refresh_kind(&self) -> &'static str {
        let old = self.remote.other.contains(&OLD_ROUTE_REFRESH);
        match (old, self.remote.route_refresh) {
            (true, true) => "old & new",
            (true, false) => "old",
            (false, _) => "new",
        }
    }

    pub(super) fn route_refresh(&self) -> Exchange {
        let mut exchange = self.exchange(|side| side.route_refresh);
        exchange.received |= self.remote.other.contains(&OLD_ROUTE_REFRESH);
        exchange
    }
}

/// Writes everything about `peer`.
pub(crate) fn neighbor(out: &mut dyn Write, view: View<'_>, peer: &v1::Peer) -> io::Result<()> {
    identity(out, view, peer)?;
    session(out, view, peer)?;
    if let Some(negotiation) = Negotiation::of(peer) {
        capabilities(out, &negotiation)?;
    }
    graceful_restart(out, view, peer)?;
    statistics(out, peer)?;
    for found in peer.families.iter().filter(|found| found.active) {
        if let Some(family) = Family::from_api(found.family) {
            address_family(out, peer, found, family)?;
        }
    }
    history(out, view, peer)?;
    connection(out, view, peer)
}

fn identity(out: &mut dyn Write, view: View<'_>, peer: &v1::Peer) -> io::Result<()> {
    let link = match (peer.external, peer.confederation) {
        (true, true) => "confed-external",
        (true, false) => "external",
        (false, _) if view.is_confederation() => "confed-internal",
        (false, _) => "internal",
    };
    writeln!(
        out,
        "BGP neighbor is {}, remote AS {}, local AS {}, {link} link",
        peer.address, peer.remote_as, peer.local_as
    )?;
    writeln!(out, "  Local Role: undefined\n  Remote Role: undefined")?;
    if !peer.description.is_empty() {
        writeln!(out, " Description: {}", peer.description)?;
    }
    if !peer.hostname.is_empty() {
        let domain = &peer.domain;
        let dot = if domain.is_empty() { "" } else { "." };
        writeln!(out, "Hostname: {}{dot}{domain}", peer.hostname)?;
    }
    if !peer.peer_group.is_empty() {
        writeln!(
            out,
            " Member of peer-group {} for session parameters",
            peer.peer_group
        )?;
    }
    if peer.admin_down {
        writeln!(out, " Administratively shut down")?;
    }
    Ok(())
}

/// The peer's identifier, which is nobody's while the session is down.
pub(super) fn remote_router_id(peer: &v1::Peer) -> &str {
    if peer.remote_router_id.is_empty() {
        "0.0.0.0"
    } else {
        &peer.remote_router_id
    }
}

/// The hold time and the keepalive interval in use: what was negotiated, or
/// what will be offered.
pub(super) fn timers(peer: &v1::Peer) -> (u32, u32) {
    if is_established(peer) {
        (peer.hold_time_secs, peer.keepalive_secs)
    } else {
        (
            peer.configured_hold_time_secs,
            peer.configured_keepalive_secs,
        )
    }
}

fn session(out: &mut dyn Write, view: View<'_>, peer: &v1::Peer) -> io::Result<()> {
    let clock = view.clock;
    writeln!(
        out,
        "  BGP version 4, remote router ID {}, local router ID {}",
        remote_router_id(peer),
        peer.local_router_id
    )?;
    if peer.confederation {
        writeln!(out, "  Neighbor under common administration")?;
    }
    write!(out, "  BGP state = {}", state_name(peer))?;
    if is_established(peer) {
        write!(out, ", up for {}", clock.interval(peer.established_ms))?;
    } else if peer.families.iter().any(|family| family.stale) {
        write!(out, " (NSF passive)")?;
    }
    let (hold, keepalive) = timers(peer);
    writeln!(
        out,
        "\n  Last read {}, Last write {}",
        clock.interval(peer.last_read_ms),
        clock.interval(peer.last_write_ms)
    )?;
    writeln!(
        out,
        "  Hold time is {hold} seconds, keepalive interval is {keepalive} seconds"
    )?;
    writeln!(
        out,
        "  Configured hold time is {} seconds, keepalive interval is {} seconds",
        peer.configured_hold_time_secs, peer.configured_keepalive_secs
    )?;
    if peer.extended_open_parameters {
        writeln!(out, "  Extended Optional Parameters Length is enabled")?;
    }
    writeln!(
        out,
        "  Configured conditional advertisements interval is {} seconds",
        conditional_secs(peer)
    )
}

fn capabilities(out: &mut dyn Write, negotiation: &Negotiation<'_>) -> io::Result<()> {
    writeln!(out, "  Neighbor capabilities:")?;
    let mut line = |title: &str, exchange: Exchange| {
        if exchange.any() {
            writeln!(out, "    {title}: {}", exchange.words())
        } else {
            Ok(())
        }
    };
    line("4 Byte AS", negotiation.exchange(|side| side.four_octet_as))?;
    line(
        "Extended Message",
        negotiation.exchange(|side| side.extended_message),
    )?;
    add_path(out, negotiation)?;
    extended_next_hop(out, negotiation)?;
    let long_lived = negotiation.exchange(|side| side.long_lived_graceful_restart);
    if long_lived.any() {
        writeln!(
            out,
            "    Long-lived Graceful Restart: {}",
            long_lived.words()
        )?;
        if long_lived.received {
            writeln!(out, "      Address families by peer:")?;
        }
    }
    let refresh = negotiation.route_refresh();
    if refresh.any() {
        write!(out, "    Route refresh: {}", refresh.words())?;
        if refresh.received {
            write!(out, "({})", negotiation.refresh_kind())?;
        }
        writeln!(out)?;
    }
    let enhanced = negotiation.exchange(|side| side.enhanced_route_refresh);
    if enhanced.any() {
        writeln!(out, "    Enhanced Route Refresh: {}", enhanced.words())?;
    }
    for family in Family::ALL {
        let exchange = negotiation.multiprotocol(family);
        if exchange.any() {
            writeln!(
                out,
                "    Address Family {}: {}",
                family.title(),
                exchange.words()
            )?;
        }
    }
    hostname(out, negotiation)?;
    restart_capability(out, negotiation)
}

fn add_path(out: &mut dyn Write, negotiation: &Negotiation<'_>) -> io::Result<()> {
    if !negotiation.exchange(|side| !side.add_path.is_empty()).any() {
        return Ok(());
    }
    writeln!(out, "    AddPath:")?;
    for family in Family::ALL {
        for (sends, way) in [(true, "TX"), (false, "RX")] {
            let exchange = negotiation.add_path(family, sends);
            if exchange.any() {
                writeln!(out, "      {}: {way} {}", family.title(), exchange.words())?;
            }
        }
    }
    Ok(())
}

fn extended_next_hop(out: &mut dyn Write, negotiation: &Negotiation<'_>) -> io::Result<()> {
    let exchange = negotiation.exchange(|side| !side.extended_next_hop.is_empty());
    if !exchange.any() {
        return Ok(());
    }
    writeln!(out, "    Extended nexthop: {}", exchange.words())?;
    if exchange.received {
        writeln!(out, "      Address families by peer:")?;
        for family in &negotiation.remote.extended_next_hop {
            let title = Family::from_api(*family).map_or("unknown", Family::title);
            writeln!(out, "                   {title}")?;
        }
    }
    Ok(())
}

/// The text or what stands for none.
pub(super) fn or_none(text: &str) -> &str {
    if text.is_empty() { "n/a" } else { text }
}

fn hostname(out: &mut dyn Write, negotiation: &Negotiation<'_>) -> io::Result<()> {
    let side = |side: &v1::Capabilities| {
        format!(
            "(name: {},domain name: {})",
            or_none(&side.hostname),
            or_none(&side.domain)
        )
    };
    let (local, remote) = (negotiation.local, negotiation.remote);
    write!(out, "    Hostname Capability:")?;
    match local.fqdn {
        true => write!(out, " advertised {}", side(local))?,
        false => write!(out, " not advertised")?,
    }
    match remote.fqdn {
        true => writeln!(out, " received {}", side(remote)),
        false => writeln!(out, " not received"),
    }
}

fn restart_capability(out: &mut dyn Write, negotiation: &Negotiation<'_>) -> io::Result<()> {
    let exchange = negotiation.graceful_restart();
    if !exchange.any() {
        return Ok(());
    }
    writeln!(out, "    Graceful Restart Capability: {}", exchange.words())?;
    let Some(remote) = &negotiation.remote.graceful_restart else {
        return Ok(());
    };
    writeln!(
        out,
        "      Remote Restart timer is {} seconds",
        remote.restart_time_secs
    )?;
    let families: Vec<String> = remote
        .families
        .iter()
        .filter_map(|family| Some((family, Family::from_api(*family)?.title())))
        .map(|(family, title)| {
            let kept = if remote.preserved.contains(family) {
                "preserved"
            } else {
                "not preserved"
            };
            format!("{title}({kept})")
        })
        .collect();
    let families = if families.is_empty() {
        "none".to_owned()
    } else {
        families.join(", ")
    };
    writeln!(out, "      Address families by peer:\n        {families}")
}

/// What is known of graceful restart between the two.
pub(super) struct RestartState {
    pub(super) local_mode: &'static str,
    pub(super) remote_mode: &'static str,
    pub(super) restarting: bool,
    pub(super) notification: bool,
    pub(super) configured_secs: u32,
    pub(super) received_secs: u32,
    /// Families of the session, with whether the peer kept its forwarding
    /// state (RFC 4724 section 3), when both sides speak graceful restart.
    pub(super) families: Vec<(Family, bool, v1::PeerFamily)>,
}

impl RestartState {
    pub(super) fn of(view: View<'_>, peer: &v1::Peer) -> Self {
        let local = peer
            .local_capabilities
            .as_ref()
            .and_then(|side| side.graceful_restart.as_ref());
        let received = peer
            .remote_capabilities
            .as_ref()
            .and_then(|side| side.graceful_restart.as_ref());
        let current = received.filter(|_| is_established(peer));
        let remote_mode = match current {
            _ if !is_established(peer) => "NotApplicable",
            None => "Disable",
            Some(remote) if remote.families.is_empty() => "Helper",
            Some(_) => "Restart",
        };
        let families = match (local, current) {
            (Some(_), Some(remote)) => negotiated_families(peer, remote),
            _ => Vec::new(),
        };
        Self {
            local_mode: if view.global.graceful_restart {
                "Restart*"
            } else {
                "Helper*"
            },
            remote_mode,
            restarting: current.is_some_and(|remote| remote.restarting),
            notification: current.is_some_and(|remote| remote.notification),
            configured_secs: local.map_or(DEFAULT_RESTART_SECS, |local| local.restart_time_secs),
            received_secs: received.map_or(0, |remote| remote.restart_time_secs),
            families,
        }
    }
}

fn negotiated_families(
    peer: &v1::Peer,
    remote: &v1::GracefulRestart,
) -> Vec<(Family, bool, v1::PeerFamily)> {
    let negotiated = peer.families.iter().filter(|found| found.negotiated);
    negotiated
        .filter_map(|found| {
            let preserved = remote.preserved.contains(&found.family);
            Some((Family::from_api(found.family)?, preserved, found.clone()))
        })
        .collect()
}

fn graceful_restart(out: &mut dyn Write, view: View<'_>, peer: &v1::Peer) -> io::Result<()> {
    let state = RestartState::of(view, peer);
    let bit = |set: bool| if set { "True" } else { "False" };
    let answer = |yes: bool| if yes { "Yes" } else { "No" };
    let titles = |done: fn(&v1::PeerFamily) -> bool| {
        let titles = state.families.iter().filter(|(_, _, found)| done(found));
        titles
            .map(|(family, _, _)| family.title())
            .collect::<Vec<_>>()
            .join(", ")
    };
    writeln!(out, "  Graceful restart information:")?;
    if !state.families.is_empty() {
        writeln!(
            out,
            "    End-of-RIB send: {}",
            titles(|found| found.end_of_rib_sent)
        )?;
        writeln!(
            out,
            "    End-of-RIB received: {}",
            titles(|found| found.end_of_rib_received)
        )?;
    }
    writeln!(out, "    Local GR Mode: {}", state.local_mode)?;
    writeln!(out, "    Remote GR Mode: {}", state.remote_mode)?;
    writeln!(
        out,
        "    R bit: {}\n    N bit: {}",
        bit(state.restarting),
        bit(state.notification)
    )?;
    writeln!(
        out,
        "    Timers:\n      Configured Restart Time(sec): {}\n      Received Restart Time(sec): {}",
        state.configured_secs, state.received_secs
    )?;
    for (family, preserved, found) in &state.families {
        writeln!(
            out,
            "    {}:\n      F bit: {}\n      End-of-RIB sent: {}\n      \
             End-of-RIB sent after update: {}\n      End-of-RIB received: {}\n      Timers:\n        \
             Configured Stale Path Time(sec): {STALE_PATH_SECS}",
            family.title(),
            bit(*preserved),
            answer(found.end_of_rib_sent),
            answer(sent_after_update(found)),
            answer(found.end_of_rib_received)
        )?;
        if view.global.graceful_restart {
            writeln!(
                out,
                "        Configured Selection Deferral Time(sec): {SELECTION_DEFERRAL_SECS}"
            )?;
        }
    }
    Ok(())
}

/// Whether the End-of-RIB followed routes instead of an empty table.
pub(super) fn sent_after_update(found: &v1::PeerFamily) -> bool {
    found.end_of_rib_sent && found.end_of_rib_after_update
}

fn statistics(out: &mut dyn Write, peer: &v1::Peer) -> io::Result<()> {
    let (sent, received) = (
        peer.sent.unwrap_or_default(),
        peer.received.unwrap_or_default(),
    );
    writeln!(
        out,
        "  Message statistics:\n    Inq depth is 0\n    Outq depth is {}\n{:25}Sent       Rcvd",
        peer.out_queue, ""
    )?;
    for (title, sent, received) in [
        ("Opens:", sent.opens, received.opens),
        ("Notifications:", sent.notifications, received.notifications),
        ("Updates:", sent.updates, received.updates),
        ("Keepalives:", sent.keepalives, received.keepalives),
        (
            "Route Refresh:",
            sent.route_refreshes,
            received.route_refreshes,
        ),
        ("Capability:", 0, 0),
        ("Total:", sent.total, received.total),
    ] {
        writeln!(out, "    {title:14} {sent:>10} {received:>10}")?;
    }
    writeln!(
        out,
        "  Minimum time between advertisement runs is 0 seconds"
    )?;
    if !peer.update_source.is_empty() {
        writeln!(out, "  Update source is {}", peer.update_source)?;
    }
    writeln!(out)
}

fn address_family(
    out: &mut dyn Write,
    peer: &v1::Peer,
    found: &v1::PeerFamily,
    family: Family,
) -> io::Result<()> {
    writeln!(out, " For address family: {}", family.title())?;
    if !peer.peer_group.is_empty() {
        writeln!(out, "  {} peer-group member", peer.peer_group)?;
    }
    if is_established(peer) && found.update_group != 0 {
        writeln!(out, "  Update group {0}, subgroup {0}", found.update_group)?;
        writeln!(out, "  Packet Queue length {}", peer.out_queue)?;
    } else {
        writeln!(out, "  Not part of any update group")?;
    }
    for (set, text) in [
        (found.route_reflector_client, "Route-Reflector Client"),
        (
            found.soft_reconfiguration_inbound,
            "Inbound soft reconfiguration allowed",
        ),
        (found.next_hop_self, "NEXT_HOP is always this router"),
    ] {
        if set {
            writeln!(out, "  {text}")?;
        }
    }
    let names = PolicyNames::of(peer, found.family);
    if let Some(kinds) = names.communities() {
        writeln!(out, "  Community attribute sent to this neighbor({kinds})")?;
    }
    if names.0.default_originate {
        let map = names.0.default_route_map.as_ref().map(starred);
        let map = map.map_or(String::new(), |map| format!(" default route-map {map},"));
        let not = if names.0.default_sent { "" } else { "not " };
        writeln!(
            out,
            "  Default information originate,{map} default {not}sent"
        )?;
    }
    for (name, title) in names.titles() {
        writeln!(out, "  {title}{}", name.unwrap_or_default())?;
    }
    for (missing, text) in [
        (
            found.inbound_policy_missing,
            "Inbound updates discarded due to missing policy",
        ),
        (
            found.outbound_policy_missing,
            "Outbound updates discarded due to missing policy",
        ),
    ] {
        if missing {
            writeln!(out, "  {text}")?;
        }
    }
    if let Some(map) = &names.0.unsuppress_map {
        let map = starred(map);
        writeln!(out, "  Route map for selective unsuppress is {map}")?;
    }
    conditional(out, found)?;
    writeln!(out, "  {} accepted prefixes\n", found.accepted)
}

/// The names in a neighbor's policy for one family.
pub(super) struct PolicyNames(pub(super) v1::PeerPolicyNames);

/// A name, with a star where there is such a thing.
fn starred(name: &v1::PolicyName) -> String {
    let star = if name.exists { "*" } else { "" };
    format!("{star}{}", name.name)
}

impl PolicyNames {
    pub(super) fn of(peer: &v1::Peer, family: i32) -> Self {
        let names = peer.policies.iter().find(|names| names.family == family);
        // What nothing is said of has the defaults.
        Self(names.cloned().unwrap_or_else(|| v1::PeerPolicyNames {
            send_communities: true,
            send_extended_communities: true,
            send_large_communities: true,
            ..v1::PeerPolicyNames::default()
        }))
    }

    /// FRR's word for the communities that the neighbor is sent.
    fn communities(&self) -> Option<&'static str> {
        let names = &self.0;
        match (
            names.send_communities,
            names.send_extended_communities,
            names.send_large_communities,
        ) {
            (true, true, true) => Some("all"),
            (_, _, true) => Some("large"),
            (_, true, false) => Some("extended"),
            (true, false, false) => Some("standard"),
            (false, false, false) => None,
        }
    }

    /// The same in JSON, which knows nothing of large ones.
    pub(super) fn communities_json(&self) -> Option<&'static str> {
        match (self.0.send_communities, self.0.send_extended_communities) {
            (true, true) => Some("extendedAndStandard"),
            (false, true) => Some("extended"),
            (true, false) => Some("standard"),
            (false, false) => None,
        }
    }

    /// Whether anything is configured for what comes.
    pub(super) fn inbound(&self) -> bool {
        let names = &self.0;
        names.prefix_list_in.is_some()
            || names.distribute_list_in.is_some()
            || names.filter_list_in.is_some()
            || names.route_map_in.is_some()
    }

    /// Whether anything is configured for what goes.
    pub(super) fn outbound(&self) -> bool {
        let names = &self.0;
        names.prefix_list_out.is_some()
            || names.distribute_list_out.is_some()
            || names.filter_list_out.is_some()
            || names.route_map_out.is_some()
            || names.unsuppress_map.is_some()
    }

    /// What is configured by name, with the key of JSON and the beginning of
    /// the line, in FRR's order.
    pub(super) fn rows(
        &self,
    ) -> impl Iterator<Item = (&v1::PolicyName, &'static str, &'static str)> {
        let names = &self.0;
        [
            (
                &names.prefix_list_in,
                "incomingUpdatePrefixFilterList",
                "Incoming update prefix filter list is ",
            ),
            (
                &names.prefix_list_out,
                "outgoingUpdatePrefixFilterList",
                "Outgoing update prefix filter list is ",
            ),
            (
                &names.distribute_list_in,
                "incomingUpdateNetworkFilterList",
                "Incoming update network filter list is ",
            ),
            (
                &names.distribute_list_out,
                "outgoingUpdateNetworkFilterList",
                "Outgoing update network filter list is ",
            ),
            (
                &names.filter_list_in,
                "incomingUpdateAsPathFilterList",
                "Incoming update AS path filter list is ",
            ),
            (
                &names.filter_list_out,
                "outgoingUpdateAsPathFilterList",
                "Outgoing update AS path filter list is ",
            ),
            (
                &names.route_map_in,
                "routeMapForIncomingAdvertisements",
                "Route map for incoming advertisements is ",
            ),
            (
                &names.route_map_out,
                "routeMapForOutgoingAdvertisements",
                "Route map for outgoing advertisements is ",
            ),
        ]
        .into_iter()
        .filter_map(|(name, key, title)| Some((name.as_ref()?, key, title)))
    }

    /// Lines of the text, with the name where they end in one.
    fn titles(&self) -> Vec<(Option<String>, &'static str)> {
        let configured = [
            (self.inbound(), "Inbound path policy configured"),
            (self.outbound(), "Outbound path policy configured"),
        ];
        let configured = configured.into_iter().filter(|(set, _)| *set);
        configured
            .map(|(_, text)| (None, text))
            .chain(
                self.rows()
                    .map(|(name, _, title)| (Some(starred(name)), title)),
            )
            .collect()
    }
}

/// What the neighbor is told on a condition.
fn conditional(out: &mut dyn Write, family: &v1::PeerFamily) -> io::Result<()> {
    let Some(told) = &family.conditional else {
        return Ok(());
    };
    let mark = |known: bool| if known { "*" } else { "" };
    writeln!(
        out,
        "  Condition {}, Condition-map {}{}, Advertise-map {}{}, status: {}",
        condition_word(told),
        mark(told.condition_map_known),
        told.condition_map,
        mark(told.advertise_map_known),
        told.advertise_map,
        condition_status(told)
    )
}

/// Seconds between FRR's looks at conditions.
pub(super) fn conditional_secs(peer: &v1::Peer) -> u32 {
    let told = peer.families.iter().find_map(|f| f.conditional.as_ref());
    told.map_or(CONDITIONAL_ADVERTISEMENT_SECS, |told| told.interval_secs)
}

pub(super) fn condition_word(told: &v1::ConditionalAdvertisement) -> &'static str {
    if told.non_exist { "NON_EXIST" } else { "EXIST" }
}

pub(super) fn condition_status(told: &v1::ConditionalAdvertisement) -> &'static str {
    if told.advertised {
        "Advertise"
    } else {
        "Withdraw"
    }
}

fn history(out: &mut dyn Write, view: View<'_>, peer: &v1::Peer) -> io::Result<()> {
    writeln!(
        out,
        "  Connections established {}; dropped {}",
        peer.connections_established, peer.connections_dropped
    )?;
    let reset = LastReset::of(view, peer);
    if reset.at_ms == 0 {
        writeln!(out, "  Last reset never")
    } else {
        let since = view.clock.interval(reset.at_ms);
        writeln!(out, "  Last reset {since},  {}", reset.text(peer))
    }
}

/// How many hops away the peer may be.
pub(super) fn max_hops(peer: &v1::Peer) -> u32 {
    if peer.external {
        peer.ebgp_multihop.max(1)
    } else {
        255
    }
}

fn connection(out: &mut dyn Write, view: View<'_>, peer: &v1::Peer) -> io::Result<()> {
    let link = if peer.external {
        "External"
    } else {
        "Internal"
    };
    writeln!(
        out,
        "  {link} BGP neighbor may be up to {} hops away.",
        max_hops(peer)
    )?;
    if !peer.local_address.is_empty() {
        let shared = if peer.shared_network {
            "shared"
        } else {
            "non shared"
        };
        writeln!(
            out,
            "Local host: {}, Local port: {}",
            peer.local_address, peer.local_port
        )?;
        writeln!(
            out,
            "Foreign host: {}, Foreign port: {}",
            peer.foreign_address, peer.foreign_port
        )?;
        writeln!(
            out,
            "Nexthop: {}\nNexthop global: {}\nNexthop local: {}\nBGP connection: {shared} network",
            or_zero(&peer.next_hop_v4, "0.0.0.0"),
            or_zero(&peer.next_hop_v6_global, "::"),
            or_zero(&peer.next_hop_v6_local, "::")
        )?;
    }
    writeln!(
        out,
        "BGP Connect Retry Timer in Seconds: {}",
        peer.connect_retry_secs
    )?;
    if peer.round_trip_ms != 0 {
        writeln!(out, "Estimated round trip time: {} ms", peer.round_trip_ms)?;
    }
    if let Some(seconds) = next_connect_secs(view, peer) {
        writeln!(out, "Next connect timer due in {seconds} seconds")?;
    }
    if peer.password_set {
        writeln!(out, "Peer Authentication Enabled")?;
    }
    let threads = if is_established(peer) { "on" } else { "off" };
    let descriptor = peer.descriptor.map_or(-1, i64::from);
    writeln!(
        out,
        "Read thread: {threads}  Write thread: {threads}  FD used: {descriptor}\n"
    )
}

/// The address, or the one that stands for none.
pub(super) fn or_zero<'t>(text: &'t str, zero: &'static str) -> &'t str {
    if text.is_empty() { zero } else { text }
}

/// Seconds until the next attempt to connect, if one is waited for.
pub(super) fn next_connect_secs(view: View<'_>, peer: &v1::Peer) -> Option<u64> {
    (peer.next_connect_ms != 0)
        .then(|| peer.next_connect_ms.saturating_sub(view.clock.now_ms) / 1000)
}
