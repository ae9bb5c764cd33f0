//! `default-originate`: a neighbor is told a default route of ours, whatever the
//! table has, or while it has something that a route map permits.

use std::net::IpAddr;

use bgp_wire::{Family, Origin, PathAttributes};
use holdfast_config::model::EffectivePeer;
use holdfast_policy::Applied;

use super::conditional::{counts, passed};
use super::core::Core;
use super::peers::config_family;

impl Core {
    /// Has those neighbors be told a default route that are to be.
    pub(super) fn apply_defaults(&mut self) {
        let up = self.peers.iter().filter(|(_, peer)| peer.up.is_some());
        for address in up.map(|(address, _)| *address).collect::<Vec<_>>() {
            self.apply_default(address);
        }
    }

    /// The same for one that is up.
    pub(super) fn apply_default(&mut self, address: IpAddr) {
        let Some(peer) = self.peers.get(&address) else {
            return;
        };
        for family in Family::ALL {
            let route = self.default_route(&peer.settings, family);
            self.rib.set_default_route(peer.id, family, route);
        }
    }

    fn default_route(&self, settings: &EffectivePeer, family: Family) -> Option<PathAttributes> {
        let policy = &settings.af(config_family(family)).policy;
        let asked = policy.default_originate.as_ref()?;
        let route = PathAttributes {
            origin: Origin::Igp,
            med: Some(0),
            ..PathAttributes::default()
        };
        let Some(name) = &asked.route_map else {
            return Some(route);
        };
        let map = self.policies.compiled().route_map(name)?;
        let prefix = self.conditions.witness(family, name)?;
        let view = self.rib.prefix(prefix)?;
        let mut paths = view.paths.iter().filter(counts);
        paths.find_map(
            |path| match passed(map, &self.rib, (prefix, path), Some(&route)) {
                Applied::Denied => None,
                Applied::Unchanged => Some(route.clone()),
                Applied::Changed(changed) => Some(changed.attributes),
            },
        )
    }
}
