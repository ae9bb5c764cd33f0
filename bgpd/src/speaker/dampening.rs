//! Dampening (RFC 2439): what the configuration says of it, its clock, and what
//! is shown and cleared.

use std::time::{Duration, Instant};

use bgp_wire::Family;
use holdfast_api::v1;
use holdfast_config::model::Dampening as Configured;
use holdfast_rib::{Dampening, Flapping, PeerId};

use super::SpeakerError;
use super::core::Core;
use super::peers::config_family;
use super::request::Selection;
use crate::session::status::now_ms;

impl Core {
    // ===== the clock =====

    /// Does what is due by now. The time of day may be set back; this clock
    /// is not.
    pub(super) fn advance_dampening(&mut self) {
        if self.rib.is_dampening() {
            self.rib.advance(self.epoch.elapsed().as_secs());
        }
    }

    /// When the next route may be used again, or is forgotten.
    pub(super) fn dampening_deadline(&self) -> Option<Instant> {
        let due = self.rib.dampening_due()?;
        Some(self.epoch + Duration::from_secs(due))
    }

    // ===== the configuration =====

    /// The settings of a family.
    pub(super) fn dampening(&self, family: Family) -> Option<Configured> {
        let bgp = self.config.bgp.as_ref()?;
        match family {
            Family::Ipv4Unicast => bgp.ipv4_unicast.dampening,
            Family::Ipv6Unicast => bgp.ipv6_unicast.dampening,
        }
    }

    /// Has the table damp routes as the configuration says. What is as it was
    /// stays as it is.
    pub(super) fn apply_dampening(&mut self) {
        for family in Family::ALL {
            let settings = self.dampening(family).map(settings);
            self.rib.set_dampening(family, None, settings);
            for peer in self.peers.values() {
                let own = peer.settings.af(config_family(family)).policy.dampening;
                let own = own.map(self::settings);
                self.rib.set_dampening(family, Some(peer.id), own);
            }
        }
        self.advance_dampening();
    }

    /// Nothing is kept of a peer that is removed.
    pub(super) fn forget_dampening(&mut self, peer: PeerId) {
        self.rib.forget_flaps(peer);
        for family in Family::ALL {
            self.rib.set_dampening(family, Some(peer), None);
        }
    }

    // ===== clear =====

    /// Forgets flaps: all, or those of one prefix.
    pub(super) fn clear_dampening(
        &mut self,
        family: Option<Family>,
        selection: Option<Selection>,
    ) -> Result<(), SpeakerError> {
        if self.config.bgp.is_none() {
            return Err(SpeakerError::NoBgp);
        }
        let prefix = match selection {
            None | Some(Selection::All) => None,
            Some(Selection::Prefix(prefix) | Selection::Longer(prefix)) => Some(prefix),
            Some(Selection::Longest(address)) => match self.rib.longest_match(address) {
                Some(found) => Some(found.prefix),
                None => return Ok(()),
            },
        };
        for known in Family::ALL {
            if family.is_none_or(|family| family == known) {
                self.rib.clear_dampening(known, prefix);
            }
        }
        Ok(())
    }
}

fn settings(configured: Configured) -> Dampening {
    let Configured {
        half_life_mins,
        reuse,
        suppress,
        max_suppress_mins,
    } = configured;
    Dampening {
        half_life_secs: u32::from(half_life_mins) * 60,
        reuse: reuse.into(),
        suppress: suppress.into(),
        max_suppress_secs: u32::from(max_suppress_mins) * 60,
    }
}

// ===== what is shown =====

/// Settings in the API's terms.
pub(super) fn shown(configured: Configured) -> v1::Dampening {
    let settings = settings(configured);
    v1::Dampening {
        half_life_secs: settings.half_life_secs,
        reuse: settings.reuse,
        suppress: settings.suppress,
        ceiling: settings.ceiling(),
        max_suppress_secs: settings.max_suppress_secs,
    }
}

/// How a route flaps, in the API's terms.
pub(super) fn flapping(flapping: Flapping) -> v1::Flapping {
    v1::Flapping {
        penalty: flapping.penalty,
        flaps: flapping.flaps,
        since_ms: now_ms().saturating_sub(flapping.age_secs * 1000),
        suppressed: flapping.suppressed,
        withdrawn: flapping.withdrawn,
        reuse_ms: flapping.reuse_secs * 1000,
    }
}
