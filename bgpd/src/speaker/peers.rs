//! Peers: from the configuration to sessions, and from sessions to the table.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bgp_wire::{
    AddPathMode, Cease, Family, FamilySet, GracefulRestart, PeerKind, RouteRefreshKind,
};
use holdfast_api::v1;
use holdfast_config::model::{
    AddPathTx, AllowAsIn as ConfigAllowAsIn, Bgp, EffectivePeer, Family as ConfigFamily,
    NextHopSelf, PeerKind as ConfigPeerKind, Shutdown, UpdateSource,
};
use holdfast_fib::{Interface, KernelView};
use holdfast_rib::{
    AddPathSend, AllowAsIn, CommunityKinds, PeerFamily, PeerId, PeerInfo, Region, Watcher,
};
use tokio::sync::{mpsc, oneshot};

use super::configure::registry;
use super::convert;
use super::core::{Core, StaleTimer, is_link_local};
use super::policies::{Own, PolicyBook};
use super::realm::Realm;
use crate::fsm::{
    AddPathOffer, AutomaticStop, Event, Generation, Hostname, Negotiated, PeerParams, RemoteAs,
    Reset, ResetCause, Restart, State, Stop,
};
use crate::session::outbound::{self, Outbound};
use crate::session::status::now_ms;
use crate::session::transport::TransportParams;
use crate::session::{Command, FromSession, Heard, Report, SessionConfig, SessionHandle};

/// A configured peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: PeerId,
    pub(super) settings: EffectivePeer,
    pub(super) session: SessionHandle,
    /// What the session was last told.
    config: SessionConfig,
    pub(super) up: Option<Up>,
    /// What its routes go through, while it is up.
    pub(super) policy: Option<Own>,
    /// Families in which routes of the session before are kept.
    pub(super) stale: FamilySet,
    /// When they go unless they are heard again, in Unix milliseconds.
    pub(super) stale_until_ms: u64,
}

/// A session that is up, as the core sees it.
#[derive(Debug)]
pub(super) struct Up {
    generation: Generation,
    pub(super) since: Instant,
    pub(super) negotiated: Arc<Negotiated>,
    pub(super) link: Link,
    /// Our end of the connection.
    local: SocketAddr,
    pub(super) data: mpsc::Sender<Box<Outbound>>,
    /// Families whose refresh has to be announced with the next batch.
    pub(super) begin_refresh: FamilySet,
    /// Families in which it was announced and is not complete.
    pub(super) refreshing: FamilySet,
    pub(super) end_of_rib_sent: FamilySet,
    /// Those of them that followed routes, not an empty table.
    pub(super) end_of_rib_after_update: FamilySet,
    pub(super) end_of_rib_received: FamilySet,
}

/// The interface that is shared with a peer, and our addresses on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) ifindex: Option<u32>,
    pub(super) v4: Option<Ipv4Addr>,
    pub(super) v6: Option<Ipv6Addr>,
    pub(super) link_local: Option<Ipv6Addr>,
    subnets: Vec<ipnet::IpNet>,
}

impl Link {
    /// Our side of a session that runs from `local` to `remote`.
    fn new(view: &KernelView, local: SocketAddr, remote: IpAddr) -> Link {
        let scope = match local {
            SocketAddr::V6(addr) if addr.scope_id() != 0 => Some(addr.scope_id()),
            _ => None,
        };
        let interface = scope
            .and_then(|index| view.interface(index))
            .or_else(|| view.connected_interface(remote));
        let mut link = Link::default();
        if let Some(interface) = interface {
            let like = |like: IpAddr| view.global_address(interface.ifindex, like);
            link.ifindex = Some(interface.ifindex);
            link.link_local = view.link_local(interface.ifindex);
            link.v4 = like(Ipv4Addr::UNSPECIFIED.into()).and_then(v4);
            link.v6 = like(Ipv6Addr::UNSPECIFIED.into()).and_then(v6);
            // What else is on the link the peer may not be on.
            let subnets = interface.addresses.iter().map(|a| a.subnet());
            link.subnets = subnets.filter(|subnet| subnet.contains(&remote)).collect();
        }
        match local.ip() {
            IpAddr::V4(addr) => link.v4 = Some(addr),
            IpAddr::V6(addr) if !addr.is_unicast_link_local() => link.v6 = Some(addr),
            IpAddr::V6(addr) => link.link_local = Some(addr),
        }
        link
    }
}

fn v4(addr: IpAddr) -> Option<Ipv4Addr> {
    match addr {
        IpAddr::V4(addr) => Some(addr),
        IpAddr::V6(_) => None,
    }
}

fn v6(addr: IpAddr) -> Option<Ipv6Addr> {
    match addr {
        IpAddr::V6(addr) => Some(addr),
        IpAddr::V4(_) => None,
    }
}

impl Link {
    /// Takes over what was not known before.
    fn complete(&mut self, newer: Link) {
        if self.ifindex.is_none() {
            self.subnets = newer.subnets;
        } else if self.ifindex != newer.ifindex {
            return;
        }
        self.ifindex = self.ifindex.or(newer.ifindex);
        self.v4 = self.v4.or(newer.v4);
        self.v6 = self.v6.or(newer.v6);
        self.link_local = self.link_local.or(newer.link_local);
    }
}

impl Peer {
    /// Interface shared with the peer while the session is up.
    pub(super) fn shared_ifindex(&self) -> Option<u32> {
        self.up.as_ref().and_then(|up| up.link.ifindex)
    }

    /// What its routes go through, while it is up.
    pub(super) fn policy(&self) -> Option<&Own> {
        self.policy.as_ref().filter(|_| self.up.is_some())
    }

    /// The table was told of another one.
    pub(super) fn set_policy(&mut self, policy: Own) {
        self.policy = Some(policy);
    }

    /// Ends the session for good.
    pub(super) fn quit(&self, graceful: bool) -> oneshot::Receiver<()> {
        self.quit_with(if graceful {
            Event::GracefulStop
        } else {
            Event::ManualStop(Stop::shutdown())
        })
    }

    fn quit_with(&self, event: Event) -> oneshot::Receiver<()> {
        let (done, waiting) = oneshot::channel();
        self.session.tell(Command::Quit(event, done));
        waiting
    }

    /// An external peer that has to be on a link of ours.
    fn is_single_hop(&self) -> bool {
        self.settings.remote.kind != ConfigPeerKind::Internal
            && self.settings.ebgp_multihop.is_none_or(|hops| hops <= 1)
            && !self.settings.disable_connected_check
    }

    /// The families active in the configuration.
    pub(super) fn families(&self) -> FamilySet {
        families(&self.settings)
    }
}

pub(super) fn config_family(family: Family) -> ConfigFamily {
    match family {
        Family::Ipv4Unicast => ConfigFamily::Ipv4Unicast,
        Family::Ipv6Unicast => ConfigFamily::Ipv6Unicast,
    }
}

fn families(settings: &EffectivePeer) -> FamilySet {
    families_where(settings, |af| af.activate)
}

fn families_where(
    settings: &EffectivePeer,
    wanted: impl Fn(&holdfast_config::model::EffectiveAf) -> bool,
) -> FamilySet {
    Family::ALL
        .into_iter()
        .filter(|f| wanted(settings.af(config_family(*f))))
        .collect()
}

// ===== from the configuration =====

impl Core {
    /// Brings the sessions to what the configuration says: peers that are gone
    /// quit, new ones start, changed ones are told, and reset only where they
    /// need it.
    pub(super) fn apply_peers(&mut self) {
        let wanted: HashMap<IpAddr, EffectivePeer> = self
            .config
            .bgp
            .iter()
            .flat_map(Bgp::effective_peers)
            .map(|p| (p.address, p))
            .collect();
        let gone: Vec<IpAddr> = self
            .peers
            .keys()
            .filter(|address| !wanted.contains_key(address))
            .copied()
            .collect();
        for address in gone {
            self.remove_peer(address);
        }
        let mut wanted: Vec<EffectivePeer> = wanted.into_values().collect();
        wanted.sort_unstable_by_key(|p| p.address);
        for settings in wanted {
            self.apply_peer(settings);
        }
    }

    fn remove_peer(&mut self, address: IpAddr) {
        if let Some(peer) = self.peers.remove(&address) {
            self.unregister(&peer);
            // Its last change of state finds nobody who would log it.
            if peer.up.is_some() && self.logs_changes() {
                tracing::info!(neighbor = %address, from = "Established", to = "removed", "session");
            }
            self.suspend(peer.id, address, peer.shared_ifindex());
            self.rib.peer_down(peer.id, FamilySet::EMPTY);
            self.forget_dampening(peer.id);
            self.ids.remove(&peer.id);
            self.stale.retain(|(_, of, _)| *of != peer.id);
            // Only the end of the core waits for the answer: the session says
            // goodbye by itself.
            let closing = Err(oneshot::error::TryRecvError::Empty);
            self.leaving.retain_mut(|end| end.try_recv() == closing);
            self.leaving.push(peer.quit_with(Event::ManualStop(Stop {
                subcode: Cease::PeerDeconfigured,
                message: None,
                hard: true,
            })));
        }
    }

    /// Connections are offered to the peer's session no more. Another instance
    /// may have its address already.
    pub(super) fn unregister(&self, peer: &Peer) {
        let mut sessions = registry(&self.registry);
        let address = peer.settings.address;
        if sessions
            .get(&address)
            .is_some_and(|s| s.is_same(&peer.session))
        {
            sessions.remove(&address);
        }
    }

    fn apply_peer(&mut self, settings: EffectivePeer) {
        let config = self.session_config(&settings);
        let address = settings.address;
        let known = self.peers.get(&address);
        let before_may_run = known.is_some_and(|p| self.may_run(&p.settings, &p.config));
        let may_run = self.may_run(&settings, &config);
        let Some(peer) = self.peers.get_mut(&address) else {
            return self.add_peer(settings, config);
        };
        if peer.settings == settings && peer.config == config {
            return;
        }
        peer.settings = settings;
        if peer.config != config {
            let reset = reset_cause(&peer.config, &config).map(Reset::configuration);
            peer.config = config.clone();
            peer.session
                .tell(Command::Configure(Box::new(config), reset));
        }
        match (before_may_run, may_run) {
            (false, true) => peer.session.tell(Command::Event(Event::ManualStart)),
            (true, false) => {
                let message = match &peer.settings.shutdown {
                    Shutdown::On { message } => message.clone(),
                    Shutdown::Off => None,
                };
                peer.session.tell(Command::Event(Event::ManualStop(Stop {
                    message,
                    ..Stop::shutdown()
                })));
            }
            _ => {}
        }
        self.refresh_peer(address);
    }

    fn add_peer(&mut self, settings: EffectivePeer, config: SessionConfig) {
        let id = PeerId(self.next_id);
        self.next_id += 1;
        let address = settings.address;
        let session = SessionHandle::spawn(id, config.clone(), self.reports.clone());
        let start = self.may_run(&settings, &config);
        registry(&self.registry).insert(address, session.clone());
        if start {
            session.tell(Command::Event(Event::ManualStart));
        }
        self.ids.insert(id, address);
        self.peers.insert(
            address,
            Peer {
                id,
                settings,
                session,
                config,
                up: None,
                policy: None,
                stale: FamilySet::EMPTY,
                stale_until_ms: 0,
            },
        );
    }

    /// Settings of a running session changed that need no new one. The policy
    /// is no part of them: to apply it costs a look at every route.
    fn refresh_peer(&mut self, address: IpAddr) {
        if let Some(peer) = self.peers.get(&address)
            && let Some(up) = &peer.up
        {
            let info = peer_info(&peer.settings, up);
            self.rib.set_peer(peer.id, info);
        }
    }

    /// Policies may be others than they were: whom that concerns is looked at
    /// again, without asking the peer for anything.
    pub(super) fn refresh_policies(&mut self) {
        let requires_policy = self.requires_policy();
        let mut changed = Vec::new();
        for peer in self.peers.values_mut().filter(|peer| peer.up.is_some()) {
            let policy =
                self.conditions
                    .policy(&mut self.policies, requires_policy, &peer.settings);
            if let Some(redo) = PolicyBook::redo(peer.policy.as_ref(), &policy) {
                changed.push((peer.id, Arc::clone(&policy.both), redo));
                peer.policy = Some(policy);
            }
        }
        if !changed.is_empty() {
            // At once, so that those that are told the same stay together.
            let everywhere = Region::everything();
            self.rib.set_policies_within(changed, &everywhere);
        }
        self.tidy_policies();
        self.refresh_table_policies();
        self.apply_defaults();
    }

    /// Lets go of policies that no neighbor has any more.
    pub(super) fn tidy_policies(&mut self) {
        let in_use = self.peers.values().filter_map(|peer| peer.policy.clone());
        let in_use: Vec<Own> = in_use.collect();
        self.policies.tidy(&in_use);
    }

    /// The same for policies that are no neighbor's.
    pub(super) fn refresh_table_policies(&mut self) {
        for family in self.policies.configure_protocol_maps(&self.config).iter() {
            self.rib.repeat_forwarding(family);
        }
        let Some(bgp) = &self.config.bgp else {
            return self.rib.set_aggregates([], now_ms() / 1000);
        };
        for family in Family::ALL {
            if let Some(policy) = self.policies.table_map(bgp, family) {
                self.rib.set_forwarding_policy(family, policy);
            }
        }
        let aggregates = self.policies.aggregates(bgp);
        self.rib.set_aggregates(aggregates, now_ms() / 1000);
        if let Some(redo) = self.policies.configure_taken(bgp) {
            let policy = self.policies.taken();
            for id in self.leaks.sources.keys() {
                self.rib.set_policies(*id, Arc::clone(&policy), redo);
            }
        }
    }

    pub(super) fn requires_policy(&self) -> bool {
        let bgp = self.config.bgp.as_ref();
        bgp.is_none_or(|bgp| bgp.ebgp_requires_policy)
    }

    fn session_config(&self, settings: &EffectivePeer) -> SessionConfig {
        SessionConfig {
            params: self.peer_params(settings),
            transport: self.transport_params(settings),
        }
    }

    fn peer_params(&self, settings: &EffectivePeer) -> PeerParams {
        let remote_as = match (settings.remote.asn, settings.remote.kind) {
            (Some(asn), _) => RemoteAs::Number(asn),
            (None, ConfigPeerKind::Internal) => RemoteAs::Internal,
            (None, ConfigPeerKind::External | ConfigPeerKind::Confederation) => RemoteAs::External,
        };
        let mut params = PeerParams::new(settings.local_as, self.router_id(), remote_as);
        params.confederation = settings.remote.kind == ConfigPeerKind::Confederation;
        params.add_path = add_path_offers(settings);
        params.hold_time_secs = settings.timers.hold_secs;
        params.keepalive_secs = settings.timers.keepalive_secs;
        params.timing.connect_retry = Duration::from_secs(settings.connect_retry_secs.into());
        params.passive = settings.passive;
        params.families = families(settings);
        if settings.extended_nexthop {
            params.extended_next_hop.insert(Family::Ipv4Unicast);
        }
        params.graceful_restart = Some(self.graceful_restart(settings));
        params.restarting = self.restart.is_some();
        params.hostname = self.hostname().map(|host| Hostname {
            host,
            domain: String::new(),
        });
        params
    }

    /// A helper announces no families; a restarter those whose routes stay in
    /// the kernel while it is away (RFC 4724 section 3).
    fn graceful_restart(&self, settings: &EffectivePeer) -> GracefulRestart {
        let configured = self.config.bgp.as_ref().map(|bgp| bgp.graceful_restart);
        let configured = configured.unwrap_or_default();
        let kept = self.options.kernel && self.empty_until.is_none();
        let preserved = configured.preserve_fw_state || kept;
        GracefulRestart {
            restarting: false,
            notification: true,
            restart_time_secs: configured.restart_time_secs,
            families: families(settings)
                .iter()
                .filter(|_| configured.enabled)
                .map(|family| (family.afi_safi(), preserved))
                .collect(),
        }
    }

    pub(super) fn hostname(&self) -> Option<String> {
        self.config.hostname.clone().or_else(|| {
            let name = nix::unistd::gethostname().ok()?;
            name.into_string().ok()
        })
    }

    fn transport_params(&self, settings: &EffectivePeer) -> TransportParams {
        let view = self.view();
        let interface = match &settings.update_source {
            Some(UpdateSource::Interface(name)) => view.interface_named(name),
            _ => None,
        };
        let ifindex = interface.map_or(0, |i| i.ifindex);
        let source = match &settings.update_source {
            Some(UpdateSource::Address(address)) => Some(*address),
            // A link-local address is reached by its interface, from that
            // interface's own.
            _ if is_link_local(settings.address) => view.link_local(ifindex).map(IpAddr::V6),
            _ => interface.and_then(|i| view.global_address(i.ifindex, settings.address)),
        };
        TransportParams {
            peer: settings.address,
            port: settings.port,
            source,
            password: settings.password.clone(),
            hops: match settings.remote.kind {
                ConfigPeerKind::Internal => None,
                ConfigPeerKind::External | ConfigPeerKind::Confederation => {
                    Some(settings.ebgp_multihop.unwrap_or(1))
                }
            },
            ifindex,
            device: self.realm.device().map(|device| device.name.clone()),
        }
    }

    /// Whether a session may come up: it is not shut down, there is a place for
    /// it, and we have a router ID to open it with (peers refuse 0.0.0.0,
    /// RFC 6286).
    fn may_run(&self, settings: &EffectivePeer, config: &SessionConfig) -> bool {
        let wanted = matches!(settings.shutdown, Shutdown::Off) && self.realm != Realm::Nowhere;
        wanted && !config.params.local_id.is_unspecified()
    }

    /// Interfaces or addresses changed: update sources, router id and shared
    /// links may have.
    pub(super) fn host_changed(&mut self) {
        if self.config.bgp.is_some() {
            self.apply_instance();
            self.apply_peers();
        }
    }
}

/// Why a session has to be built anew for these settings.
fn reset_cause(old: &SessionConfig, new: &SessionConfig) -> Option<ResetCause> {
    old.params.needs_reset(&new.params).or_else(|| {
        let (old, new) = (&old.transport, &new.transport);
        if old.password != new.password || old.port != new.port {
            // FRR names no cause of its own for these.
            Some(ResetCause::UserReset)
        } else if old.source != new.source || old.ifindex != new.ifindex {
            Some(ResetCause::UpdateSourceChanged)
        } else if old.hops != new.hops {
            Some(ResetCause::MultihopChanged)
        } else {
            None
        }
    })
}

/// In each active family several paths are taken, unless that is turned off,
/// and sent where some are to be.
fn add_path_offers(settings: &EffectivePeer) -> Vec<AddPathOffer> {
    let offer = |family: Family| {
        let af = settings.af(config_family(family));
        let mode = match (af.addpath_rx, af.addpath_tx.is_some()) {
            (true, true) => AddPathMode::Both,
            (true, false) => AddPathMode::Receive,
            (false, true) => AddPathMode::Send,
            (false, false) => return None,
        };
        Some(AddPathOffer { family, mode })
    };
    families(settings).iter().filter_map(offer).collect()
}

/// What the configuration says of a family, as the table knows it.
fn peer_family(settings: &EffectivePeer, negotiated: &Negotiated, family: Family) -> PeerFamily {
    let af = settings.af(config_family(family));
    let sends_paths = negotiated.add_path_send.contains(family);
    PeerFamily {
        weight: af.weight.into(),
        allow_as_in: match af.allowas_in {
            None => AllowAsIn::Times(0),
            Some(ConfigAllowAsIn::Times(times)) => AllowAsIn::Times(times),
            Some(ConfigAllowAsIn::Origin) => AllowAsIn::Origin,
        },
        add_path: match af.addpath_tx.filter(|_| sends_paths) {
            None => AddPathSend::Best,
            Some(AddPathTx::AllPaths) => AddPathSend::All,
            Some(AddPathTx::BestPerAs) => AddPathSend::BestPerAs,
        },
        next_hop_unchanged: af.next_hop_unchanged,
        send_communities: CommunityKinds {
            standard: af.policy.send_community,
            extended: af.policy.send_extended_community,
            large: af.policy.send_large_community,
        },
    }
}

fn peer_info(settings: &EffectivePeer, up: &Up) -> PeerInfo {
    let negotiated = &up.negotiated;
    let internal = negotiated.peer_kind() == PeerKind::Internal;
    let mut info = PeerInfo::new(
        negotiated.peer_kind(),
        settings.local_as,
        negotiated.remote_as,
        settings.address,
    );
    info.router_id = negotiated.remote_id;
    info.local_v4 = up.link.v4;
    info.local_v6 = up.link.v6;
    info.local_link_local = up.link.link_local;
    info.shared_subnets = up.link.subnets.clone();
    info.families = negotiated.families;
    info.extended_next_hop = negotiated.extended_next_hop;
    info.next_hop_self = families_where(settings, |af| af.next_hop_self != NextHopSelf::Off);
    info.next_hop_self_force =
        families_where(settings, |af| af.next_hop_self == NextHopSelf::Force);
    if internal {
        info.reflector_client = families_where(settings, |af| af.route_reflector_client);
    }
    info.encoding = outbound::encoding(&negotiated.codec);
    if info.is_external() {
        info.route_server_client = families_where(settings, |af| af.route_server_client);
    }
    info.ipv4 = peer_family(settings, negotiated, Family::Ipv4Unicast);
    info.ipv6 = peer_family(settings, negotiated, Family::Ipv6Unicast);
    info.ebgp_multihop =
        settings.ebgp_multihop.is_some_and(|hops| hops > 1) || settings.disable_connected_check;
    info.aigp = settings.aigp;
    info.integer_bandwidth = settings.disable_link_bw_encoding_ieee;
    info
}

// ===== from the host =====

impl Core {
    /// Our side of a session.
    fn link(&self, view: &KernelView, local: SocketAddr, remote: IpAddr) -> Link {
        let mut link = Link::new(view, local, remote);
        link.v4 = self.options.next_hop_v4.or(link.v4);
        link.v6 = self.options.next_hop_v6.or(link.v6);
        link
    }

    /// A session may be up before it is known that its link is, and before the
    /// link's own address can be used: what was missing then is made up for.
    pub(super) fn complete_links(&mut self, view: &KernelView) {
        let mut found = false;
        let peers = self
            .peers
            .iter()
            .filter_map(|(a, p)| Some((*a, p.up.as_ref()?)));
        let newer: Vec<(IpAddr, Link)> = peers
            .map(|(address, up)| (address, self.link(view, up.local, address)))
            .collect();
        for (address, newer) in newer {
            let peer = self.peers.get_mut(&address);
            let Some(up) = peer.and_then(|peer| peer.up.as_mut()) else {
                continue;
            };
            let before = up.link.clone();
            up.link.complete(newer);
            if before != up.link {
                let ifindex = up.link.ifindex;
                found |= before.ifindex != ifindex;
                if let Some(ifindex) = ifindex.filter(|_| is_link_local(address)) {
                    self.link_local.insert(address, ifindex);
                }
                self.refresh_peer(address);
            }
        }
        if found {
            // Next hops on the link may be written with it now.
            for family in Family::ALL {
                self.rib.repeat_forwarding(family);
            }
            // So they may where they were taken over.
            self.rib.watch_all(Watcher::Table);
        }
    }

    /// Fast external failover: an external peer on the link of an interface
    /// that went down cannot be heard from; waiting for the hold time would
    /// only keep its routes.
    pub(super) fn interface_down(&mut self, ifindex: u32) {
        let bgp = self.config.bgp.as_ref();
        if bgp.is_some_and(|bgp| !bgp.fast_external_failover) {
            return;
        }
        for peer in self.peers.values() {
            if peer.shared_ifindex() == Some(ifindex) && peer.is_single_hop() {
                tracing::info!(neighbor = %peer.settings.address, ifindex, "interface down");
                let stop = AutomaticStop {
                    cause: ResetCause::InterfaceDown,
                    // It would have to leave by that interface.
                    notification: None,
                    restart: Restart::WhenStarted,
                };
                peer.session
                    .tell(Command::Event(Event::AutomaticStop(stop)));
            }
        }
    }

    /// Peers on the link of an interface that came up need not wait for their
    /// ConnectRetry time. Those that are up do not care (RFC 4271 section
    /// 8.2.2); but one may only seem so, since it was told to stop a moment
    /// ago when the link was down, and would wait for this forever.
    pub(super) fn interface_up(&mut self, interface: &Interface) {
        let on_link = |peer: &&Peer| {
            let address = peer.settings.address;
            let mut subnets = interface.addresses.iter().map(|a| a.subnet());
            self.may_run(&peer.settings, &peer.config)
                && subnets.any(|subnet| subnet.contains(&address))
        };
        for peer in self.peers.values().filter(on_link) {
            peer.session.tell(Command::Event(Event::AutomaticStart));
        }
    }
}

// ===== from the sessions =====

impl Core {
    pub(super) fn report(&mut self, message: FromSession) {
        let FromSession { peer: id, report } = message;
        let Some(address) = self.ids.get(&id).copied() else {
            // A peer that was removed has its last words.
            return;
        };
        match report {
            Report::Up {
                generation,
                negotiated,
                local,
                data,
            } => {
                let link = self.link(&self.view(), local, address);
                let up = Up {
                    generation,
                    since: Instant::now(),
                    negotiated,
                    link,
                    local,
                    data,
                    begin_refresh: FamilySet::EMPTY,
                    refreshing: FamilySet::EMPTY,
                    end_of_rib_sent: FamilySet::EMPTY,
                    end_of_rib_after_update: FamilySet::EMPTY,
                    end_of_rib_received: FamilySet::EMPTY,
                };
                self.session_up(address, up);
            }
            Report::Updates {
                generation, heard, ..
            } => {
                if self.runs(address, generation) {
                    self.updates(address, id, &heard);
                }
            }
            Report::Refresh {
                generation,
                refresh,
            } => {
                let family = Family::from_afi_safi(refresh.family);
                if let Some(family) = family.filter(|_| self.runs(address, generation)) {
                    self.refresh_asked(address, family, refresh.kind);
                }
            }
            Report::Down {
                generation,
                keep_routes,
            } => {
                if self.runs(address, generation) {
                    self.session_down(address, keep_routes);
                }
            }
            Report::State { from, to, reason } => self.state_changed(address, from, to, &reason),
        }
    }

    /// Every event carries the session it belongs to; one of an earlier
    /// session must not touch this one's routes.
    fn runs(&self, address: IpAddr, generation: Generation) -> bool {
        self.peers
            .get(&address)
            .and_then(|p| p.up.as_ref())
            .is_some_and(|up| up.generation == generation)
    }

    fn session_up(&mut self, address: IpAddr, up: Up) {
        let requires_policy = self.requires_policy();
        let Some(peer) = self.peers.get_mut(&address) else {
            return;
        };
        let policy = self
            .conditions
            .policy(&mut self.policies, requires_policy, &peer.settings);
        if is_link_local(address)
            && let Some(ifindex) = up.link.ifindex
        {
            self.link_local.insert(address, ifindex);
        }
        let info = peer_info(&peer.settings, &up);
        self.rib.peer_up(peer.id, info, Arc::clone(&policy.both));
        peer.policy = Some(policy);
        // Of most peers it is the next hop of what they will send.
        self.rib.foresee_next_hop(address);
        let stale = std::mem::replace(&mut peer.stale, FamilySet::EMPTY);
        let kept = preserved(up.negotiated.graceful_restart.as_ref());
        peer.up = Some(up);
        let id = peer.id;
        self.stale.retain(|(_, of, _)| *of != id);
        // What the peer did not preserve goes at once, the rest when it has
        // said everything, or has had the time to (RFC 4724 section 4.2).
        for family in stale.iter().filter(|f| !kept.contains(*f)) {
            self.rib.sweep_stale(id, family);
        }
        if !stale.intersection(kept).is_empty() {
            self.stale_for(id, self.stalepath_time(), StaleTimer::EndOfRib);
        }
        self.apply_default(address);
    }

    fn session_down(&mut self, address: IpAddr, keep_routes: bool) {
        let Some(peer) = self.peers.get_mut(&address) else {
            return;
        };
        let Some(up) = peer.up.take() else { return };
        self.rib.dismiss_next_hop(address);
        peer.policy = None;
        let id = peer.id;
        let restart = up.negotiated.graceful_restart.as_ref();
        let keep = if keep_routes {
            announced(restart).intersection(up.negotiated.families)
        } else {
            FamilySet::EMPTY
        };
        peer.stale = keep;
        self.stale.retain(|(_, of, _)| *of != id);
        if keep.is_empty() {
            self.suspend(id, address, up.link.ifindex);
        }
        self.rib.peer_down(id, keep);
        if !keep.is_empty() {
            let secs = restart.map_or(0, |r| r.restart_time_secs);
            self.stale_for(id, Duration::from_secs(secs.into()), StaleTimer::Restart);
        }
    }

    fn stale_for(&mut self, id: PeerId, time: Duration, timer: StaleTimer) {
        self.stale.insert((Instant::now() + time, id, timer));
        if let Some(peer) = self.ids.get(&id).and_then(|a| self.peers.get_mut(a)) {
            let left = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            peer.stale_until_ms = now_ms().saturating_add(left);
        }
    }

    pub(super) fn stale_expired(&mut self, id: PeerId, timer: StaleTimer) {
        tracing::info!(peer = ?self.ids.get(&id), ?timer, "stale routes go");
        for family in Family::ALL {
            self.rib.sweep_stale(id, family);
        }
        if let Some(peer) = self.ids.get(&id).and_then(|a| self.peers.get_mut(a)) {
            peer.stale = FamilySet::EMPTY;
        }
    }

    fn stalepath_time(&self) -> Duration {
        let configured = self.config.bgp.as_ref().map(|bgp| bgp.graceful_restart);
        let configured = configured.unwrap_or_default();
        Duration::from_secs(configured.stalepath_time_secs.into())
    }

    fn updates(&mut self, address: IpAddr, id: PeerId, heard: &[Heard]) {
        let now = now_ms() / 1000;
        let (mut rejected, mut why, mut without_aigp) = (0, None, 0);
        for heard in heard {
            match heard {
                Heard::Routes(event) => {
                    let summary = self.rib.apply(id, event, now);
                    rejected += summary.rejected;
                    why = why.or(summary.first_rejection);
                    without_aigp += summary.aigp_ignored;
                }
                Heard::EndOfRib(family) => self.end_of_rib(address, *family),
            }
        }
        if let Some(why) = why {
            tracing::debug!(peer = %address, count = rejected, why = why.text(), "routes not used");
        }
        if without_aigp > 0 {
            tracing::debug!(peer = %address, count = without_aigp, "AIGP ignored: not for this peer");
        }
    }

    fn end_of_rib(&mut self, address: IpAddr, family: Family) {
        let Some(peer) = self.peers.get_mut(&address) else {
            return;
        };
        let id = peer.id;
        if let Some(up) = &mut peer.up {
            up.end_of_rib_received.insert(family);
            if up.end_of_rib_received == up.negotiated.families {
                // Nothing is left for the timer to take away.
                self.stale.retain(|(_, of, _)| *of != id);
            }
        }
        self.rib.end_of_rib(id, family);
    }

    fn refresh_asked(&mut self, address: IpAddr, family: Family, kind: RouteRefreshKind) {
        let Some(peer) = self.peers.get_mut(&address) else {
            return;
        };
        let id = peer.id;
        let Some(up) = peer.up.as_mut() else { return };
        if !up.negotiated.families.contains(family) {
            return;
        }
        let enhanced = up.negotiated.enhanced_route_refresh;
        match kind {
            RouteRefreshKind::Request => {
                // Not before the End-of-RIB (RFC 7313 section 4.1); until then
                // everything is on its way anyway.
                if enhanced && up.end_of_rib_sent.contains(family) {
                    up.begin_refresh.insert(family);
                }
                self.rib.refresh_out(id, family, true);
            }
            // RFC 7313 section 4: what is not sent again between the two marks
            // is gone.
            RouteRefreshKind::Begin if enhanced => self.rib.mark_stale(id, family),
            RouteRefreshKind::End if enhanced => self.rib.sweep_stale(id, family),
            _ => {}
        }
    }

    fn logs_changes(&self) -> bool {
        let bgp = self.config.bgp.as_ref();
        bgp.is_some_and(|bgp| bgp.log_neighbor_changes)
    }

    fn state_changed(&mut self, address: IpAddr, from: State, to: State, reason: &str) {
        let log_changes = self.logs_changes();
        let notable = from == State::Established || to == State::Established;
        if notable && log_changes {
            tracing::info!(neighbor = %address, %from, %to, reason, "session");
        } else {
            tracing::debug!(neighbor = %address, %from, %to, reason, "session");
        }
        self.emit(v1::watch_event::Event::Peer(v1::PeerChange {
            address: address.to_string(),
            from: convert::state(from) as i32,
            to: convert::state(to) as i32,
            reason: reason.to_owned(),
        }));
    }
}

/// Families that a peer's graceful restart is about.
fn announced(restart: Option<&GracefulRestart>) -> FamilySet {
    families_of(restart, |_| true)
}

/// Families whose forwarding the peer kept (F bit).
fn preserved(restart: Option<&GracefulRestart>) -> FamilySet {
    families_of(restart, |kept| kept)
}

fn families_of(restart: Option<&GracefulRestart>, wanted: impl Fn(bool) -> bool) -> FamilySet {
    restart
        .iter()
        .flat_map(|r| &r.families)
        .filter(|(_, kept)| wanted(*kept))
        .filter_map(|(pair, _)| Family::from_afi_safi(*pair))
        .collect()
}
