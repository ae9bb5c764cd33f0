//! What peers' policies are, and what they are told beside the table.

use std::sync::Arc;

use bgp_wire::{Family, PathAttributes};

use super::{Rib, with_family};
use crate::attrs::AttrRef;
use crate::peer::PeerId;
use crate::policy::{Policy, Redo};
use crate::region::Region;

impl Rib {
    /// Replaces a peer's policy and applies it in both directions.
    pub fn set_policy(&mut self, peer: PeerId, policy: Arc<dyn Policy>) {
        self.set_policies(peer, policy, Redo::ALL);
    }

    /// Replaces a peer's policy and applies it where its answers are others
    /// than those of the policy before. Where they are not, nothing is looked
    /// at again.
    pub fn set_policies(&mut self, peer: PeerId, policy: Arc<dyn Policy>, redo: Redo) {
        let before = self.rules();
        let Some(state) = self.shared.peer_mut(peer) else {
            return;
        };
        state.policy = policy;
        for family in Family::ALL {
            with_family!(self, family, rib => {
                if redo.export.contains(family) {
                    rib.peer_rules_change(&mut self.shared, peer, &before);
                } else {
                    rib.policy_stands(&mut self.shared, peer, &before);
                }
            });
        }
        for family in redo.import.iter() {
            with_family!(self, family, rib => rib.reimport(&mut self.shared, peer));
        }
        self.sweep();
    }

    /// Has the peer be told a default route of ours whether the table has one or
    /// not, and none that the table has (FRR's `default-originate`); or no more.
    /// It does not go through the peer's policy. Ends with the session; a next
    /// hop in the attributes is ignored.
    pub fn set_default_route(
        &mut self,
        peer: PeerId,
        family: Family,
        route: Option<PathAttributes>,
    ) {
        let before = self.rules();
        let Some(state) = self.shared.peer_mut(peer) else {
            return;
        };
        let route = route.map(|mut attributes| {
            attributes.next_hop = None;
            AttrRef::new(&attributes)
        });
        let [v4, v6] = &mut state.defaults;
        let known = match family {
            Family::Ipv4Unicast => v4,
            Family::Ipv6Unicast => v6,
        };
        if *known == route {
            return;
        }
        *known = route;
        with_family!(self, family, rib => {
            rib.default_route_changes(&mut self.shared, peer, &before);
        });
        self.sweep();
    }

    /// Replaces policies of peers by others that answer otherwise only for
    /// prefixes of the region, and there only where `Redo` says so. What they
    /// sent is passed through import again by
    /// [`import_noted`](Self::import_noted); until then it is what the policy
    /// before made of it.
    pub fn set_policies_within(
        &mut self,
        policies: Vec<(PeerId, Arc<dyn Policy>, Redo)>,
        region: &Region,
    ) {
        let before = self.rules();
        let mut changed = Vec::new();
        for (peer, policy, redo) in policies {
            if let Some(state) = self.shared.peer_mut(peer) {
                state.policy = policy;
                changed.push((peer, redo));
            }
        }
        for family in Family::ALL {
            with_family!(self, family, rib => {
                rib.policies_change_within(&mut self.shared, &changed, region, &before);
            });
        }
        self.sweep();
    }

    /// Passes through import what [`set_policies_within`](Self::set_policies_within)
    /// noted, up to `budget` prefixes, counted for each peer. Whether there is
    /// more.
    pub fn import_noted(&mut self, mut budget: usize) -> bool {
        if !(self.v4.has_noted() || self.v6.has_noted()) {
            return false;
        }
        self.v4.reimport_noted(&mut self.shared, &mut budget);
        self.v6.reimport_noted(&mut self.shared, &mut budget);
        self.sweep();
        self.v4.has_noted() || self.v6.has_noted()
    }

    /// Whether the peer is told a default route [beside the
    /// table](Self::set_default_route).
    pub fn has_default_route(&self, peer: PeerId, family: Family) -> bool {
        let peer = self.shared.peer(peer);
        peer.is_some_and(|peer| peer.up && peer.default_route(family).is_some())
    }
}
