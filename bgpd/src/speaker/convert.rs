//! From the core's types to the API's.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;

use bgp_wire::{AddPathMode, Capability, Family, NextHop, Origin, PathAttributes, SegmentKind};
use holdfast_api::v1;
use holdfast_config::model::{Config, InstanceName, NextHopSelf, PeerKind, RemoteAs, Shutdown};
use holdfast_rib::{
    AdvertisedRoute, DenyReason, Forwarding, Invalid, LocalSource, PathSource, PathView, PeerId,
    PrefixView, ReceivedRoute, Rejection, Rib, TableSummary,
};
use ipnet::IpNet;

use super::peers::{Peer, config_family};
use crate::fsm::{Direction, Negotiated, State};

pub(super) const fn family(family: Family) -> v1::Family {
    match family {
        Family::Ipv4Unicast => v1::Family::Ipv4Unicast,
        Family::Ipv6Unicast => v1::Family::Ipv6Unicast,
    }
}

pub(super) const fn family_of(prefix: &IpNet) -> v1::Family {
    match prefix {
        IpNet::V4(_) => v1::Family::Ipv4Unicast,
        IpNet::V6(_) => v1::Family::Ipv6Unicast,
    }
}

pub(super) const fn state(state: State) -> v1::SessionState {
    match state {
        State::Idle => v1::SessionState::Idle,
        State::Connect => v1::SessionState::Connect,
        State::Active => v1::SessionState::Active,
        State::OpenSent => v1::SessionState::OpenSent,
        State::OpenConfirm => v1::SessionState::OpenConfirm,
        State::Established => v1::SessionState::Established,
    }
}

pub(super) const fn instance_kind(name: &InstanceName) -> v1::InstanceKind {
    match name {
        InstanceName::Default => v1::InstanceKind::InstanceDefault,
        InstanceName::Vrf(_) => v1::InstanceKind::InstanceVrf,
        InstanceName::View(_) => v1::InstanceKind::InstanceView,
    }
}

/// What FRR would show as `ribMemory`: an estimate from the number of entries.
pub(super) const fn table_memory(summary: &TableSummary) -> u64 {
    const PREFIX: u64 = 64;
    const PATH: u64 = 48;
    summary.prefixes as u64 * PREFIX + summary.paths as u64 * PATH
}

// ===== peers =====

/// Estimate: what the tasks of a session hold, and the buffers of one that is
/// connected.
const fn session_memory(connected: bool) -> u64 {
    const TASKS: u64 = 8 * 1024;
    const BUFFERS: u64 = 2 * 64 * 1024;
    if connected { TASKS + BUFFERS } else { TASKS }
}

/// The numbers of the update groups that peers are in.
pub(super) type Groups = HashMap<(PeerId, Family), u32>;

pub(super) fn groups(rib: &Rib) -> Groups {
    let members = rib.groups().into_iter().flat_map(|group| {
        let number = u32::try_from(group.number()).unwrap_or(u32::MAX);
        let members = rib.members(group).into_iter();
        members.map(move |peer| ((peer, group.family()), number))
    });
    members.collect()
}

pub(super) fn peer(
    peer: &Peer,
    rib: &Rib,
    config: &Config,
    (groups, policies): (&Groups, Vec<v1::PeerPolicyNames>),
) -> v1::Peer {
    let settings = &peer.settings;
    let status = &peer.session.status;
    let shown = status.shown().clone();
    let (last_read_ms, last_write_ms, last_update_ms) = status.last_times();
    let negotiated = shown.negotiated.as_deref();
    let remote_as = configured_remote_as(peer, config);
    let mut out = v1::Peer {
        address: settings.address.to_string(),
        remote_as: negotiated
            .map(|n| n.remote_as)
            .or(settings.remote.asn)
            .unwrap_or(0),
        local_as: settings.local_as,
        external: settings.remote.kind != PeerKind::Internal,
        confederation: settings.remote.kind == PeerKind::Confederation,
        peer_group: settings.peer_group.clone().unwrap_or_default(),
        description: settings.description.clone().unwrap_or_default(),
        state: state(shown.state) as i32,
        admin_down: matches!(settings.shutdown, Shutdown::On { .. }),
        passive: settings.passive,
        local_router_id: rib.config().router_id.to_string(),
        established_ms: shown.established_ms,
        next_connect_ms: shown.next_connect_ms,
        memory_bytes: session_memory(negotiated.is_some()),
        connections_established: status.established.load(Ordering::Relaxed),
        connections_dropped: status.dropped.load(Ordering::Relaxed),
        last_read_ms,
        last_write_ms,
        last_update_ms,
        configured_hold_time_secs: settings.timers.hold_secs.into(),
        configured_keepalive_secs: settings.timers.keepalive_secs.into(),
        hold_time_secs: settings.timers.hold_secs.into(),
        keepalive_secs: settings.timers.keepalive_secs.into(),
        connect_retry_secs: settings.connect_retry_secs.into(),
        ebgp_multihop: settings.ebgp_multihop.unwrap_or(0).into(),
        update_source: settings
            .update_source
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        password_set: settings.password.is_some(),
        sent: Some(status.sent.to_api()),
        received: Some(status.received.to_api()),
        shutdown_message: match &settings.shutdown {
            Shutdown::On { message } => message.clone().unwrap_or_default(),
            Shutdown::Off => String::new(),
        },
        remote_as_configured_external: remote_as == Some(RemoteAs::External),
        remote_as_configured_internal: remote_as == Some(RemoteAs::Internal),
        disable_connected_check: settings.disable_connected_check,
        families: Family::ALL
            .into_iter()
            .filter(|f| peer.families().contains(*f))
            .map(|f| v1::PeerFamily {
                update_group: groups.get(&(peer.id, f)).copied().unwrap_or(0),
                ..peer_family(peer, rib, config, f)
            })
            .collect(),
        policies,
        history: shown
            .history
            .iter()
            .map(|(entry, time_ms)| v1::HistoryEntry {
                time_ms: *time_ms,
                event: entry.event.to_owned(),
                from: entry.from.to_string(),
                to: entry.to.to_string(),
                detail: entry.detail.clone(),
            })
            .collect(),
        ..v1::Peer::default()
    };
    last_reset(&mut out, &shown);
    if let Some(negotiated) = negotiated {
        running(&mut out, negotiated);
    }
    if let Some((local, remote)) = shown.ends {
        out.local_address = local.ip().to_string();
        out.local_port = local.port().into();
        out.foreign_address = remote.ip().to_string();
        out.foreign_port = remote.port().into();
    }
    if let Some(up) = &peer.up {
        let text = |addr: Option<String>| addr.unwrap_or_default();
        // As FRR fills the gaps: the router ID for an IPv4 address, the
        // link-local address for a global one.
        let v4 = up.link.v4.unwrap_or(rib.config().router_id);
        out.next_hop_v4 = v4.to_string();
        let v6 = up.link.v6.or(up.link.link_local);
        out.next_hop_v6_global = text(v6.map(|a| a.to_string()));
        out.next_hop_v6_local = text(up.link.link_local.map(|a| a.to_string()));
        out.shared_network = up.link.ifindex.is_some();
    }
    out
}

fn configured_remote_as(peer: &Peer, config: &Config) -> Option<RemoteAs> {
    let bgp = config.bgp.as_ref()?;
    let neighbor = bgp.neighbors.get(&peer.settings.address)?;
    let group = neighbor
        .peer_group
        .as_ref()
        .and_then(|g| bgp.peer_groups.get(g));
    group
        .and_then(|g| g.remote_as)
        .or(neighbor.settings.remote_as)
}

fn last_reset(out: &mut v1::Peer, shown: &crate::session::status::Shown) {
    let Some((reset, at_ms)) = &shown.last_reset else {
        return;
    };
    out.last_reset_ms = *at_ms;
    out.last_reset_reason = reset.cause.frr_words().to_owned();
    out.last_reset_code = reset.cause.frr_code().into();
    if let Some((direction, notification)) = &reset.notification {
        out.last_notification = notification.to_string();
        out.last_notification_sent = *direction == Direction::Sent;
        out.last_notification_code = notification.code.into();
        out.last_notification_subcode = notification.subcode.into();
    }
}

fn running(out: &mut v1::Peer, negotiated: &Negotiated) {
    let secs = |d: std::time::Duration| u32::try_from(d.as_secs()).unwrap_or(u32::MAX);
    out.remote_router_id = negotiated.remote_id.to_string();
    out.hold_time_secs = secs(negotiated.hold_time);
    out.keepalive_secs = secs(negotiated.keepalive);
    if let Some(name) = &negotiated.hostname {
        out.hostname = name.host.clone();
        out.domain = name.domain.clone();
    }
    out.local_capabilities = Some(capabilities(&negotiated.local_capabilities));
    out.remote_capabilities = Some(capabilities(&negotiated.remote_capabilities));
}

fn capabilities(list: &[Capability]) -> v1::Capabilities {
    let known = |pair| Family::from_afi_safi(pair).map(|f| family(f) as i32);
    let mut out = v1::Capabilities {
        present: true,
        ..v1::Capabilities::default()
    };
    for capability in list {
        match capability {
            Capability::Multiprotocol(pair) => out.multiprotocol.extend(known(*pair)),
            Capability::RouteRefresh => out.route_refresh = true,
            Capability::ExtendedNextHop(pairs) => out
                .extended_next_hop
                .extend(pairs.iter().filter_map(|(pair, _)| known(*pair))),
            Capability::ExtendedMessage => out.extended_message = true,
            Capability::GracefulRestart(restart) => {
                let of = |only_kept: bool| {
                    let families = restart.families.iter();
                    families
                        .filter(|(_, kept)| *kept || !only_kept)
                        .filter_map(|(pair, _)| known(*pair))
                        .collect()
                };
                out.graceful_restart = Some(v1::GracefulRestart {
                    restarting: restart.restarting,
                    notification: restart.notification,
                    restart_time_secs: restart.restart_time_secs.into(),
                    families: of(false),
                    preserved: of(true),
                });
            }
            Capability::FourOctetAs(_) => out.four_octet_as = true,
            Capability::AddPath(pairs) => {
                out.add_path.extend(pairs.iter().filter_map(|(pair, mode)| {
                    Some(v1::AddPath {
                        family: known(*pair)?,
                        send: matches!(mode, AddPathMode::Send | AddPathMode::Both),
                        receive: matches!(mode, AddPathMode::Receive | AddPathMode::Both),
                    })
                }))
            }
            Capability::EnhancedRouteRefresh => out.enhanced_route_refresh = true,
            Capability::Fqdn { hostname, domain } => {
                out.fqdn = true;
                out.hostname = hostname.clone();
                out.domain = domain.clone();
            }
            Capability::LongLivedGracefulRestart(_) => out.long_lived_graceful_restart = true,
            Capability::Role(_) => out.other.push(9),
            Capability::Unknown { code, .. } => out.other.push((*code).into()),
        }
    }
    out
}

fn peer_family(peer: &Peer, rib: &Rib, config: &Config, of: Family) -> v1::PeerFamily {
    let settings = peer.settings.af(config_family(of));
    let counters = rib.counters(peer.id, of);
    let up = peer.up.as_ref();
    let external = peer.settings.remote.kind == PeerKind::External;
    let required = config.bgp.as_ref().is_some_and(|b| b.ebgp_requires_policy);
    let held_back = external && required;
    let policy = &settings.policy;
    let both = [&policy.route_map, &policy.prefix_list];
    let more = [&policy.distribute_list, &policy.filter_list];
    let mut names = both.into_iter().chain(more);
    let filters_in = names.clone().any(|names| names.inbound.is_some());
    let filters_out = names.any(|names| names.outbound.is_some());
    v1::PeerFamily {
        family: family(of) as i32,
        active: settings.activate,
        negotiated: up.is_some_and(|up| up.negotiated.families.contains(of)),
        received: counters.received as u64,
        accepted: counters.accepted as u64,
        sent: counters.sent as u64,
        end_of_rib_sent: up.is_some_and(|up| up.end_of_rib_sent.contains(of)),
        end_of_rib_received: up.is_some_and(|up| up.end_of_rib_received.contains(of)),
        inbound_policy_missing: held_back && !filters_in,
        outbound_policy_missing: held_back && !filters_out,
        next_hop_self: settings.next_hop_self != NextHopSelf::Off,
        soft_reconfiguration_inbound: settings.soft_reconfiguration_inbound,
        route_reflector_client: settings.route_reflector_client,
        update_group: 0,
        table_version: if rib.pending(peer.id) {
            0
        } else {
            rib.summary(of).version
        },
        stale: peer.stale.contains(of),
        end_of_rib_after_update: up.is_some_and(|up| up.end_of_rib_after_update.contains(of)),
        dampening: settings.policy.dampening.map(super::dampening::shown),
        conditional: super::conditional::shown(config, &peer.settings, peer.policy.as_ref(), of),
    }
}

// ===== routes =====

pub(super) fn advertised_to(peer: &Peer) -> v1::AdvertisedTo {
    v1::AdvertisedTo {
        address: peer.settings.address.to_string(),
        hostname: hostname(peer),
        peer_group: peer.settings.peer_group.clone().unwrap_or_default(),
    }
}

fn hostname(peer: &Peer) -> String {
    let up = peer.up.as_ref();
    let name = up.and_then(|up| up.negotiated.hostname.as_ref());
    name.map(|name| name.host.clone()).unwrap_or_default()
}

/// What the paths of a peer show of it. Taken from the core, so that the rest
/// can be put into words elsewhere.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    path: v1::Path,
    stale_until_ms: u64,
}

impl Shown {
    pub(super) fn of(peer: &Peer) -> Shown {
        Shown {
            path: from_peer(peer),
            stale_until_ms: peer.stale_until_ms,
        }
    }

    /// What paths show that the instance itself originated.
    pub(super) fn local() -> Shown {
        Shown {
            path: v1::Path::default(),
            stale_until_ms: 0,
        }
    }

    /// The same for another instance that took the paths over.
    pub(super) fn taken_over(&self, from: &str, vrf_id: i32) -> Shown {
        Shown {
            path: v1::Path {
                imported_from: from.to_owned(),
                imported_vrf_id: vrf_id,
                ..self.path.clone()
            },
            stale_until_ms: 0,
        }
    }
}

pub(super) fn route<'a>(
    view: &PrefixView,
    shown: impl Fn(PathSource) -> Option<&'a Shown>,
) -> v1::Route {
    v1::Route {
        prefix: view.prefix.to_string(),
        version: view.version,
        paths: view
            .paths
            .iter()
            .map(|path| self::path(path, view, shown(path.source)))
            .collect(),
        advertised_to: Vec::new(),
    }
}

fn path(path: &PathView, view: &PrefixView, shown: Option<&Shown>) -> v1::Path {
    v1::Path {
        valid: path.invalid.is_none() && !path.is_withdrawn(),
        best: path.best,
        multipath: path.multipath,
        stale: path.stale,
        stale_until_ms: match shown {
            Some(shown) if path.stale => shown.stale_until_ms,
            _ => 0,
        },
        local: matches!(
            path.source,
            PathSource::Local(LocalSource::Network | LocalSource::Aggregate)
        ),
        sourced: matches!(path.source, PathSource::Local(source) if source != LocalSource::Aggregate),
        selection_reason: match view.reason {
            Some(reason) if path.best => reason.reason().to_owned(),
            _ => String::new(),
        },
        invalid_reason: match path.invalid {
            None => String::new(),
            Some(Invalid::Unresolved) => "next hop is not reachable".to_owned(),
            Some(Invalid::NotConnected) => "next hop is not on a connected subnet".to_owned(),
        },
        weight: path.weight,
        igp_metric: path.igp_metric.unwrap_or(0),
        accessible: path.invalid.is_none(),
        last_update_ms: path.last_update * 1000,
        path_id: path.path_id,
        rib_failure: path.best && view.rib_failure,
        fib_installed: path.best && view.forwarding == Some(Forwarding::Installed),
        fib_pending: path.best
            && matches!(
                view.forwarding,
                Some(Forwarding::Awaited | Forwarding::Absent)
            ),
        suppressed: view.suppressed,
        attributes: Some(path_attributes(&path.attributes.decode(), &view.prefix)),
        flapping: path.flapping.map(super::dampening::flapping),
        ..shown.map(|shown| shown.path.clone()).unwrap_or_default()
    }
}

/// What a path shows of the peer that it came from.
fn from_peer(peer: &Peer) -> v1::Path {
    let kind = peer.settings.remote.kind;
    let external = kind != PeerKind::Internal;
    let negotiated = peer.up.as_ref().map(|up| &up.negotiated);
    v1::Path {
        external,
        internal: !external,
        confederation: kind == PeerKind::Confederation,
        peer: peer.settings.address.to_string(),
        peer_router_id: negotiated
            .map(|n| n.remote_id.to_string())
            .unwrap_or_default(),
        peer_hostname: hostname(peer),
        peer_as: negotiated
            .map(|n| n.remote_as)
            .or(peer.settings.remote.asn)
            .unwrap_or(0),
        ..v1::Path::default()
    }
}

fn received_path(received: &ReceivedRoute, shown: &Shown) -> v1::Path {
    // Where there is no policy at all, nothing was filtered: so FRR counts.
    let denied = received.rejected == Some(Rejection::Policy(DenyReason::Filtered));
    v1::Path {
        valid: true,
        best: true,
        stale: received.stale,
        filtered: denied,
        invalid_reason: received
            .rejected
            .map(|r| r.text().to_owned())
            .unwrap_or_default(),
        last_update_ms: received.last_update * 1000,
        path_id: received.path_id,
        attributes: Some(attributes(&received.attributes.decode())),
        ..shown.path.clone()
    }
}

/// The routes that a peer sent: those of a prefix are its paths.
pub(super) fn received_routes(received: &[ReceivedRoute], shown: &Shown) -> Vec<v1::Route> {
    let mut by_prefix: BTreeMap<IpNet, v1::Route> = BTreeMap::new();
    for received in received {
        let route = by_prefix
            .entry(received.prefix)
            .or_insert_with(|| v1::Route {
                prefix: received.prefix.to_string(),
                ..v1::Route::default()
            });
        route.paths.push(received_path(received, shown));
    }
    by_prefix.into_values().collect()
}

/// Paths of one prefix that a peer takes several of are one route.
pub(super) fn advertised_routes(rows: &[(AdvertisedRoute, Option<PrefixView>)]) -> Vec<v1::Route> {
    rows.chunk_by(|(a, _), (b, _)| a.prefix == b.prefix)
        .filter_map(|rows| {
            let (first, view) = rows.first()?;
            Some(v1::Route {
                prefix: first.prefix.to_string(),
                version: view.as_ref().map_or(0, |view| view.version),
                paths: rows
                    .iter()
                    .map(|(advertised, view)| advertised_path(advertised, view.as_ref()))
                    .collect(),
                advertised_to: Vec::new(),
            })
        })
        .collect()
}

fn advertised_path(advertised: &AdvertisedRoute, view: Option<&PrefixView>) -> v1::Path {
    // Which path it was that went out is known where it is the best one.
    let best = view.and_then(|view| view.paths.iter().find(|path| path.best));
    let best = best.filter(|_| advertised.path_id == 0);
    let source = best.map(|path| path.source);
    v1::Path {
        valid: true,
        best: true,
        local: source == Some(PathSource::Local(LocalSource::Network)),
        sourced: matches!(source, Some(PathSource::Local(_))),
        weight: best.map_or(0, |path| path.weight),
        path_id: advertised.path_id,
        attributes: Some(attributes(&advertised.attributes.decode())),
        ..v1::Path::default()
    }
}

/// The attributes of a path; a route of our own shows the unspecified address
/// of its family as the next hop.
fn path_attributes(attributes: &PathAttributes, prefix: &IpNet) -> v1::Attributes {
    let mut out = self::attributes(attributes);
    if attributes.next_hop.is_none() {
        out.next_hop = match prefix {
            IpNet::V4(_) => "0.0.0.0",
            IpNet::V6(_) => "::",
        }
        .to_owned();
    }
    out
}

fn attributes(attributes: &PathAttributes) -> v1::Attributes {
    let (next_hop, next_hop_link_local) = match attributes.next_hop {
        None => (String::new(), String::new()),
        Some(NextHop::V4(addr)) => (addr.to_string(), String::new()),
        Some(NextHop::V6 { global, link_local }) => (
            global.to_string(),
            link_local.map(|a| a.to_string()).unwrap_or_default(),
        ),
    };
    fn texts<T: ToString>(list: &[T]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }
    v1::Attributes {
        origin: match attributes.origin {
            Origin::Igp => v1::Origin::Igp,
            Origin::Egp => v1::Origin::Egp,
            Origin::Incomplete => v1::Origin::Incomplete,
        } as i32,
        as_path: attributes
            .as_path
            .segments()
            .map(|segment| v1::AsSegment {
                kind: segment_kind(segment.kind) as i32,
                asns: segment.asns.to_vec(),
            })
            .collect(),
        as_path_text: attributes.as_path.to_string(),
        as_path_length: u32::try_from(attributes.as_path.hop_count()).unwrap_or(u32::MAX),
        next_hop,
        next_hop_link_local,
        med: attributes.med,
        local_pref: attributes.local_pref,
        atomic_aggregate: attributes.atomic_aggregate,
        aggregator_as: attributes.aggregator.map_or(0, |a| a.asn),
        aggregator_id: attributes
            .aggregator
            .map(|a| a.id.to_string())
            .unwrap_or_default(),
        communities: texts(&attributes.communities),
        large_communities: texts(&attributes.large_communities),
        extended_communities: texts(&attributes.extended_communities),
        originator_id: attributes
            .originator_id
            .map(|id| id.to_string())
            .unwrap_or_default(),
        cluster_list: texts(&attributes.cluster_list),
        aigp_metric: attributes.aigp.as_ref().map(|aigp| aigp.metric),
        unknown: attributes
            .unknown
            .iter()
            .map(|raw| v1::UnknownAttribute {
                code: raw.code.into(),
                flags: raw.flags.into(),
                value: raw.value.to_vec(),
            })
            .collect(),
    }
}

const fn segment_kind(kind: SegmentKind) -> v1::SegmentKind {
    match kind {
        SegmentKind::Set => v1::SegmentKind::SegmentSet,
        SegmentKind::Sequence => v1::SegmentKind::SegmentSequence,
        SegmentKind::ConfedSequence => v1::SegmentKind::SegmentConfedSequence,
        SegmentKind::ConfedSet => v1::SegmentKind::SegmentConfedSet,
    }
}
