//! Applying a configuration: what differs is done, the rest is left alone.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::PoisonError;

use bgp_wire::{Cease, Family};
use holdfast_api::v1;
use holdfast_config::model::{
    AfConfig, BestpathBandwidth, Bgp, Config, Family as ConfigFamily, RedistributeSource,
};
use holdfast_fib::{Source, ViaDefault};
use holdfast_rib::{Confederation, LinkBandwidth, LocalRoute, LocalSource, MaxPaths, RibConfig};
use ipnet::IpNet;

use super::SpeakerError;
use super::core::Core;
use super::peers::Peer;
use crate::fsm::{Event, Reset, ResetCause};
use crate::session::Command;
use crate::session::status::now_ms;

impl Core {
    /// Takes a configuration that was validated.
    pub(super) fn configure(&mut self, config: Config) {
        if config == self.config {
            return;
        }
        let old = std::mem::replace(&mut self.config, config);
        if old.ip_forwarding != self.config.ip_forwarding
            || old.ipv6_forwarding != self.config.ipv6_forwarding
        {
            self.apply_forwarding();
        }
        let before = via_default(&old);
        let now = via_default(&self.config);
        self.via_default = (before != now).then_some(now).or(self.via_default);
        self.apply_instance();
        self.apply_peers();
        let policy = |config: &Config| config.bgp.as_ref().map(|b| b.ebgp_requires_policy);
        if policy(&old) != policy(&self.config) {
            self.refresh_policies();
        }
        self.originate();
    }

    /// The instance's own settings, as the table knows them.
    pub(super) fn apply_instance(&mut self) {
        let router_id = self.router_id();
        let Some(bgp) = &self.config.bgp else {
            return;
        };
        if router_id.is_unspecified() && !bgp.neighbors.is_empty() {
            tracing::error!(
                "no IPv4 address to take as router ID: sessions wait for `bgp router-id`"
            );
        }
        let rib = rib_config(bgp, router_id);
        if rib != *self.rib.config() {
            self.rib.set_config(rib);
        }
        let waits = self.waits_for_kernel();
        self.rib.set_fib_gate(waits);
    }

    /// Whether routes of peers are announced while the kernel has them. A view
    /// puts nothing into it.
    pub(super) fn waits_for_kernel(&self) -> bool {
        let of_instance = |bgp: &Bgp| bgp.suppress_fib_pending;
        let asked = self.config.bgp.as_ref().is_some_and(of_instance);
        self.options.kernel && (asked || self.config.suppress_fib_pending)
    }

    /// The kernel's switches, where the configuration names them.
    fn apply_forwarding(&self) {
        if !self.options.kernel {
            return;
        }
        let switches = [
            ("/proc/sys/net/ipv4/ip_forward", self.config.ip_forwarding),
            (
                "/proc/sys/net/ipv6/conf/all/forwarding",
                self.config.ipv6_forwarding,
            ),
        ];
        for (path, wanted) in switches {
            let Some(wanted) = wanted else { continue };
            if let Err(error) = std::fs::write(path, if wanted { "1" } else { "0" }) {
                tracing::warn!(path, %error, "forwarding not set");
            }
        }
    }

    // ===== routes of our own =====

    /// Brings what is originated to what the configuration asks for and the
    /// kernel has.
    pub(super) fn originate(&mut self) {
        let wanted = self.wanted_routes();
        let gone: Vec<_> = self
            .originated
            .keys()
            .filter(|key| !wanted.contains_key(key))
            .copied()
            .collect();
        for (prefix, source) in gone {
            self.rib.withdraw_local(prefix, source);
        }
        let now = now_ms() / 1000;
        for ((prefix, source), metric) in &wanted {
            if self.originated.get(&(*prefix, *source)) != Some(metric) {
                let route = LocalRoute::new(*source, None, *metric);
                self.rib.originate(*prefix, route, now);
            }
        }
        self.originated = wanted;
    }

    /// The same for what one route of the kernel's may have changed: with a
    /// full table beside us, every change of it must not cost a look at all.
    pub(super) fn originate_from(&mut self, prefix: IpNet, source: Source) {
        let Some(bgp) = &self.config.bgp else {
            return;
        };
        let network = networks(bgp, prefix) && self.network_stands(bgp, prefix);
        let redistributed = self.redistributed(bgp, prefix, source);
        let wanted = [
            (LocalSource::Network, network.then_some(0)),
            (local_source(source), redistributed),
        ];
        for (source, metric) in wanted {
            let key = (prefix, source);
            if self.originated.get(&key).copied() == metric {
                continue;
            }
            if let Some(metric) = metric {
                self.originated.insert(key, metric);
                let route = LocalRoute::new(source, None, metric);
                self.rib.originate(prefix, route, now_ms() / 1000);
            } else {
                self.originated.remove(&key);
                self.rib.withdraw_local(prefix, source);
            }
        }
    }

    fn wanted_routes(&self) -> BTreeMap<(IpNet, LocalSource), u32> {
        let mut wanted = BTreeMap::new();
        let Some(bgp) = &self.config.bgp else {
            return wanted;
        };
        let v4 = bgp.ipv4_unicast.networks.iter().copied().map(IpNet::V4);
        let v6 = bgp.ipv6_unicast.networks.iter().copied().map(IpNet::V6);
        for prefix in v4.chain(v6) {
            if self.network_stands(bgp, prefix) {
                wanted.insert((prefix, LocalSource::Network), 0);
            }
        }
        for (prefix, source) in self.kernel_routes.keys() {
            if let Some(metric) = self.redistributed(bgp, *prefix, *source) {
                wanted.insert((*prefix, local_source(*source)), metric);
            }
        }
        wanted
    }

    /// Whether a `network` line takes effect.
    fn network_stands(&self, bgp: &Bgp, prefix: IpNet) -> bool {
        !bgp.network_import_check || !self.options.kernel || self.kernel_has(prefix)
    }

    /// The MED that a route of the kernel's is redistributed with, if it is.
    fn redistributed(&self, bgp: &Bgp, prefix: IpNet, source: Source) -> Option<u32> {
        let metric = self.kernel_routes.get(&(prefix, source))?;
        let configured = match prefix {
            IpNet::V4(_) => redistribute(&bgp.ipv4_unicast, source),
            IpNet::V6(_) => redistribute(&bgp.ipv6_unicast, source),
        };
        Some(configured?.unwrap_or(*metric))
    }

    fn kernel_has(&self, prefix: IpNet) -> bool {
        [Source::Connected, Source::Static, Source::Kernel]
            .into_iter()
            .any(|source| self.kernel_routes.contains_key(&(prefix, source)))
    }

    // ===== clear =====

    pub(super) fn clear(&mut self, request: &v1::ClearRequest) -> Result<u32, SpeakerError> {
        let addresses = self.cleared(request)?;
        for address in &addresses {
            if let Some(peer) = self.peers.get(address) {
                let families = families(request.family());
                match request.kind() {
                    v1::ClearKind::ClearHard => {
                        peer.session.tell(Command::Event(Event::Reset(Reset {
                            cause: ResetCause::UserReset,
                            subcode: Cease::AdministrativeReset,
                            message: None,
                            hard: true,
                        })));
                    }
                    v1::ClearKind::ClearSoft => {
                        soft_in(&mut self.rib, peer, &families);
                        soft_out(&mut self.rib, peer, &families);
                    }
                    v1::ClearKind::ClearSoftIn => soft_in(&mut self.rib, peer, &families),
                    v1::ClearKind::ClearSoftOut => soft_out(&mut self.rib, peer, &families),
                }
            }
        }
        Ok(u32::try_from(addresses.len()).unwrap_or(u32::MAX))
    }

    /// The peers that a `clear` is about.
    fn cleared(&self, request: &v1::ClearRequest) -> Result<Vec<IpAddr>, SpeakerError> {
        use v1::clear_request::Target;
        if self.config.bgp.is_none() {
            return Err(SpeakerError::NoBgp);
        }
        let target = request.target.as_ref().ok_or(SpeakerError::NoSuchPeer)?;
        let external = holdfast_config::model::PeerKind::External;
        let matches = |peer: &Peer| match target {
            Target::All(_) => true,
            Target::Address(address) => address.parse() == Ok(peer.settings.address),
            Target::Asn(asn) => {
                let up = peer.up.as_ref().map(|up| up.negotiated.remote_as);
                up.or(peer.settings.remote.asn) == Some(*asn)
            }
            Target::External(_) => peer.settings.remote.kind == external,
            Target::PeerGroup(name) => peer.settings.peer_group.as_ref() == Some(name),
        };
        let found: Vec<IpAddr> = self
            .peers
            .values()
            .filter(|peer| matches(peer))
            .map(|peer| peer.settings.address)
            .collect();
        let named = !matches!(target, Target::All(_) | Target::External(_));
        if found.is_empty() && named {
            return Err(SpeakerError::NoSuchPeer);
        }
        Ok(found)
    }
}

fn families(family: v1::Family) -> Vec<Family> {
    match family {
        v1::Family::Unspecified => Family::ALL.to_vec(),
        v1::Family::Ipv4Unicast => vec![Family::Ipv4Unicast],
        v1::Family::Ipv6Unicast => vec![Family::Ipv6Unicast],
    }
}

/// Policy is applied again to what is stored, and the peer is asked for what
/// may have been missed.
fn soft_in(rib: &mut holdfast_rib::Rib, peer: &Peer, families: &[Family]) {
    rib.refresh_in(peer.id);
    let negotiated = peer.up.as_ref().map(|up| &up.negotiated);
    if let Some(negotiated) = negotiated.filter(|n| n.route_refresh) {
        let families = families
            .iter()
            .copied()
            .filter(|f| negotiated.families.contains(*f));
        peer.session
            .tell(Command::RequestRefresh(families.collect()));
    }
}

fn soft_out(rib: &mut holdfast_rib::Rib, peer: &Peer, families: &[Family]) {
    for family in families {
        rib.refresh_out(peer.id, *family, true);
    }
}

fn rib_config(bgp: &Bgp, router_id: std::net::Ipv4Addr) -> RibConfig {
    RibConfig {
        local_as: bgp.asn,
        router_id,
        cluster_id: bgp.cluster_id,
        multipath_relax: bgp.multipath_relax,
        peer_type_multipath_relax: bgp.bestpath_peer_type_multipath_relax,
        as_path_ignore: bgp.bestpath_as_path_ignore,
        as_path_confederation: bgp.bestpath_as_path_confed,
        compare_aigp: bgp.bestpath_aigp,
        link_bandwidth: link_bandwidth(bgp.bestpath_bandwidth),
        always_compare_med: bgp.always_compare_med,
        missing_as_worst: bgp.bestpath_med_missing_as_worst,
        client_to_client_reflection: bgp.client_to_client_reflection,
        confederation: bgp
            .confederation_identifier
            .map(|identifier| Confederation {
                identifier,
                members: bgp.confederation_peers.clone(),
            }),
        default_local_pref: bgp.default_local_preference,
        max_paths_v4: max_paths(&bgp.ipv4_unicast),
        max_paths_v6: max_paths(&bgp.ipv6_unicast),
    }
}

fn via_default(config: &Config) -> ViaDefault {
    ViaDefault {
        v4: config.resolves_via_default(ConfigFamily::Ipv4Unicast),
        v6: config.resolves_via_default(ConfigFamily::Ipv6Unicast),
    }
}

const fn link_bandwidth(rule: Option<BestpathBandwidth>) -> LinkBandwidth {
    match rule {
        None => LinkBandwidth::WhenAll,
        Some(BestpathBandwidth::Ignore) => LinkBandwidth::Ignore,
        Some(BestpathBandwidth::SkipMissing) => LinkBandwidth::SkipMissing,
        Some(BestpathBandwidth::DefaultWeightForMissing) => LinkBandwidth::DefaultWeight,
    }
}

const fn max_paths<P: Ord>(af: &AfConfig<P>) -> MaxPaths {
    MaxPaths {
        ebgp: af.maximum_paths,
        ibgp: af.maximum_paths_ibgp,
        equal_cluster_length: af.equal_cluster_length,
    }
}

/// Whether there is a `network` line for the prefix.
fn networks(bgp: &Bgp, prefix: IpNet) -> bool {
    match prefix {
        IpNet::V4(prefix) => bgp.ipv4_unicast.networks.contains(&prefix),
        IpNet::V6(prefix) => bgp.ipv6_unicast.networks.contains(&prefix),
    }
}

/// Whether routes of this source are wanted, and the MED they get.
fn redistribute<P: Ord>(af: &AfConfig<P>, source: Source) -> Option<Option<u32>> {
    let source = match source {
        Source::Connected => RedistributeSource::Connected,
        Source::Static => RedistributeSource::Static,
        Source::Kernel => RedistributeSource::Kernel,
    };
    af.redistribute.get(&source).map(|r| r.metric)
}

const fn local_source(source: Source) -> LocalSource {
    match source {
        Source::Connected => LocalSource::Connected,
        Source::Static => LocalSource::Static,
        Source::Kernel => LocalSource::Kernel,
    }
}

/// The registry's lock cannot be poisoned for long: nobody panics holding it.
pub(super) fn registry(
    registry: &super::core::Registry,
) -> std::sync::MutexGuard<'_, std::collections::HashMap<IpAddr, crate::session::SessionHandle>> {
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}
