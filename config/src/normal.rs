//! The normal form: of all the ways to say the same, the shortest.
//!
//! FRR text cannot say some things that hold anyway, such as "not passive"
//! about a neighbor whose group is not passive either. The normal form leaves
//! them out, so that both spellings carry a normal model without loss.

use crate::model::AfConfig;
use crate::model::{
    AddPathTx, Bgp, Config, DEFAULT_CONDITIONAL_TIMER_SECS, DEFAULT_ROUTE_MAP_DELAY_SECS, Family,
    NextHopSelf, PeerSettings, Prefix, Shutdown, Timers,
};
use crate::statics::normalized;

impl Timers {
    /// Whether the hold time is 0 or at least 3 seconds (RFC 4271 section 4.2).
    pub fn is_valid(&self) -> bool {
        self.hold_secs == 0 || self.hold_secs >= 3
    }

    /// The same with keepalives at least every third of the hold time.
    #[must_use]
    pub fn clamped(self) -> Self {
        Self {
            keepalive_secs: self.keepalive_secs.min(self.hold_secs / 3),
            ..self
        }
    }
}

impl Config {
    /// Brings the configuration into its normal form. What it means does not
    /// change.
    pub fn normalize(&mut self) {
        for text in [
            &mut self.frr_version,
            &mut self.hostname,
            &mut self.api.group,
        ] {
            *text = text.take().and_then(|text| single_spaced(&text));
        }
        let usual = self.defaults().resolve_via_default;
        for said in [
            &mut self.ip_nht_resolve_via_default,
            &mut self.ipv6_nht_resolve_via_default,
        ] {
            *said = said.filter(|on| *on != usual);
        }
        self.nexthop_objects = self.nexthop_objects.filter(|on| !on);
        self.static_routes = normalized(std::mem::take(&mut self.static_routes));
        crate::policy::normalize(&mut self.policy);
        let usual = Some(DEFAULT_ROUTE_MAP_DELAY_SECS);
        self.route_map_delay_secs = self.route_map_delay_secs.filter(|s| Some(*s) != usual);
        self.rpki.normalize();
        for bgp in self.instances_mut() {
            bgp.normalize();
        }
    }
}

impl Bgp {
    fn normalize(&mut self) {
        self.timers = self.timers.clamped();
        self.router_id = self.router_id.filter(|id| !id.is_unspecified());
        // FRR turns the one on with the other, and it always holds anyway.
        self.deterministic_med |= self.announces_best_per_as();
        let secs = self.conditional_advertisement_secs;
        self.conditional_advertisement_secs = secs.filter(|s| *s != DEFAULT_CONDITIONAL_TIMER_SECS);
        normalize_networks(&mut self.ipv4_unicast);
        normalize_networks(&mut self.ipv6_unicast);
        let default_activate = Family::ALL.map(|family| (family, self.default_activate(family)));
        let none = PeerSettings::default();
        for group in self.peer_groups.values_mut() {
            normalize_peer(group, &none, default_activate);
        }
        for neighbor in self.neighbors.values_mut() {
            let group = neighbor
                .peer_group
                .as_ref()
                .and_then(|name| self.peer_groups.get(name));
            normalize_peer(
                &mut neighbor.settings,
                group.unwrap_or(&none),
                default_activate,
            );
        }
    }
}

impl Bgp {
    fn announces_best_per_as(&self) -> bool {
        let neighbors = self.neighbors.values().map(|neighbor| &neighbor.settings);
        let mut all = neighbors.chain(self.peer_groups.values());
        let per_as = |settings: &PeerSettings, family| {
            settings.af(family).addpath_tx == Some(AddPathTx::BestPerAs)
        };
        all.any(|settings| {
            Family::ALL
                .into_iter()
                .any(|family| per_as(settings, family))
        })
    }
}

fn normalize_networks<P: Prefix>(af: &mut AfConfig<P>) {
    af.networks = std::mem::take(&mut af.networks)
        .into_iter()
        .map(|(prefix, options)| (prefix.truncated(), options))
        .collect();
    af.aggregates = std::mem::take(&mut af.aggregates)
        .into_iter()
        .map(|(prefix, options)| (prefix.truncated(), options))
        .collect();
}

/// The text with single blanks, or `None` if nothing is left.
pub(crate) fn single_spaced(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// Drops "off" where the group does not say "on".
fn drop_idle_off(own: &mut Option<bool>, group: Option<bool>) {
    if *own == Some(false) && group != Some(true) {
        *own = None;
    }
}

fn normalize_peer(
    own: &mut PeerSettings,
    group: &PeerSettings,
    default_activate: [(Family, bool); 2],
) {
    own.description = own.description.take().and_then(|text| single_spaced(&text));
    own.timers = own.timers.map(Timers::clamped);
    drop_idle_off(&mut own.passive, group.passive);
    drop_idle_off(&mut own.extended_nexthop, group.extended_nexthop);
    drop_idle_off(
        &mut own.disable_connected_check,
        group.disable_connected_check,
    );
    drop_idle_off(&mut own.aigp, group.aigp);
    drop_idle_off(
        &mut own.disable_link_bw_encoding_ieee,
        group.disable_link_bw_encoding_ieee,
    );
    let group_is_shut = matches!(group.shutdown, Some(Shutdown::On { .. }));
    own.shutdown = match own.shutdown.take() {
        Some(Shutdown::Off) if !group_is_shut => None,
        Some(Shutdown::On { message }) => Some(Shutdown::On {
            message: message.and_then(|text| single_spaced(&text)),
        }),
        other => other,
    };
    for (family, default) in default_activate {
        let (own, group) = (own.af_mut(family), group.af(family));
        let inherited = group.activate.unwrap_or(default);
        own.activate = own.activate.filter(|activate| *activate != inherited);
        drop_idle_off(
            &mut own.soft_reconfiguration_inbound,
            group.soft_reconfiguration_inbound,
        );
        drop_idle_off(
            &mut own.route_reflector_client,
            group.route_reflector_client,
        );
        // FRR does not repeat what the group says.
        own.addpath_tx = own.addpath_tx.filter(|own| group.addpath_tx != Some(*own));
        // FRR's text of the one says the other.
        if own.route_server_client == Some(true) {
            own.next_hop_unchanged = Some(true);
        }
        for (own, group) in [
            (&mut own.route_server_client, group.route_server_client),
            (&mut own.next_hop_unchanged, group.next_hop_unchanged),
            (&mut own.disable_addpath_rx, group.disable_addpath_rx),
        ] {
            drop_idle_off(own, group);
        }
        let group_changes = matches!(
            group.next_hop_self,
            Some(NextHopSelf::On | NextHopSelf::Force)
        );
        own.policy.normalize(&group.policy);
        if own.next_hop_self == Some(NextHopSelf::Off) && !group_changes {
            own.next_hop_self = None;
        }
    }
}

/// Changes something that others inherit the activation of `family` from, and
/// leaves what exists activated as it was.
pub(crate) fn keep_activation(bgp: &mut Bgp, family: Family, change: impl FnOnce(&mut Bgp)) {
    let before = bgp.default_activate(family);
    change(bgp);
    let after = bgp.default_activate(family);
    let groups = bgp.peer_groups.values_mut();
    let alone = bgp
        .neighbors
        .values_mut()
        .filter(|neighbor| neighbor.peer_group.is_none());
    for settings in groups.chain(alone.map(|neighbor| &mut neighbor.settings)) {
        let af = settings.af_mut(family);
        af.activate = Some(af.activate.unwrap_or(before)).filter(|activate| *activate != after);
    }
}
