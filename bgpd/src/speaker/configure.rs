//! Applying a configuration: what differs is done, the rest is left alone.

use std::net::IpAddr;
use std::sync::PoisonError;

use bgp_wire::{Cease, Family};
use holdfast_api::v1;
use holdfast_config::model::{AfConfig, BestpathBandwidth, Bgp, Config, Family as ConfigFamily};
use holdfast_fib::{Resilient, ViaDefault};
use holdfast_rib::{Confederation, LinkBandwidth, MaxPaths, RibConfig};

use super::SpeakerError;
use super::core::Core;
use super::peers::Peer;
use crate::fsm::{Event, Reset, ResetCause};
use crate::session::Command;

impl Core {
    /// Takes a configuration that was validated.
    pub(super) fn configure(&mut self, config: Config) {
        if config == self.config {
            return;
        }
        let old = std::mem::replace(&mut self.config, config);
        // The switches are the host's: one instance turns them.
        if self.options.kernel && self.name.is_default() {
            self.switches.apply(&self.config);
        }
        let before = via_default(&old);
        let now = via_default(&self.config);
        self.via_default = (before != now).then_some(now).or(self.via_default);
        self.apply_objects(&old);
        self.apply_kernel_tables(&old);
        self.apply_instance();
        self.policies.configure(&self.config);
        self.apply_peers();
        self.apply_dampening();
        self.apply_conditions();
        self.refresh_policies();
        self.originate();
    }

    /// How routes are written.
    fn apply_objects(&mut self, old: &Config) {
        let (before, now) = (
            old.uses_nexthop_objects(),
            self.config.uses_nexthop_objects(),
        );
        if before != now && self.options.nexthop_objects {
            self.use_objects = Some(now);
        } else if before != now && now && self.options.kernel {
            tracing::warn!("nexthop objects stay off: started with --no-nexthop-objects");
        }
        for (family, routes) in [
            (ConfigFamily::Ipv4Unicast, Family::Ipv4Unicast),
            (ConfigFamily::Ipv6Unicast, Family::Ipv6Unicast),
        ] {
            if resilient(old, family) != resilient(&self.config, family) {
                self.rib.repeat_forwarding(routes);
            }
        }
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

/// What groups of next hops of a family are like.
pub(super) fn resilient(config: &Config, family: ConfigFamily) -> Option<Resilient> {
    let bgp = config.bgp.as_ref()?;
    let asked = match family {
        ConfigFamily::Ipv4Unicast => bgp.ipv4_unicast.resilient,
        ConfigFamily::Ipv6Unicast => bgp.ipv6_unicast.resilient,
    }?;
    Some(Resilient {
        buckets: asked.buckets,
        idle_timer_secs: asked.idle_timer_secs,
        unbalanced_timer_secs: asked.unbalanced_timer_secs,
    })
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

/// The registry's lock cannot be poisoned for long: nobody panics holding it.
pub(super) fn registry(
    registry: &super::core::Registry,
) -> std::sync::MutexGuard<'_, std::collections::HashMap<IpAddr, crate::session::SessionHandle>> {
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}
