//! Policies whose answers change for some prefixes only: what came from peers
//! and what they were told is looked at again there, and nowhere else.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::family_rib::{FamilyRib, Reimporters};
use crate::group::{Group, GroupKey};
use crate::peer::PeerId;
use crate::policy::Redo;
use crate::region::Region;
use crate::shared::{Rules, Shared};
use crate::slots::SlotSet;
use crate::table::RibFamily;

impl<F: RibFamily> FamilyRib<F> {
    fn slots_within(&self, region: &Region) -> SlotSet {
        let mut slots = SlotSet::default();
        if !region.concerns(F::FAMILY) {
            return slots;
        }
        for (slot, entry) in self.table.iter() {
            if region.contains(entry.prefix.into()) {
                slots.insert(slot);
            }
        }
        slots
    }

    /// Peers have other policies than before, which answer as before outside of
    /// the region.
    pub(crate) fn policies_change_within(
        &mut self,
        shared: &mut Shared,
        changed: &[(PeerId, Redo)],
        region: &Region,
        before: &Arc<Rules>,
    ) {
        let concerned =
            |redo: &Redo| redo.import.contains(F::FAMILY) || redo.export.contains(F::FAMILY);
        let slots = match changed.iter().any(|(_, redo)| concerned(redo)) {
            true => self.slots_within(region),
            false => SlotSet::default(),
        };
        for (peer, redo) in changed {
            if redo.import.contains(F::FAMILY)
                && let Some(adj) = self.ins.get_mut(peer.0 as usize)
            {
                let mut again = slots.clone();
                again.intersect(&adj.slots);
                adj.again.unite(&again);
            }
        }
        let numbers: BTreeSet<u32> = changed
            .iter()
            .filter_map(|(peer, _)| self.groups.number_of(*peer))
            .collect();
        for number in numbers {
            self.group_changes_within(shared, (number, &slots), changed, before);
        }
    }

    /// A group with such peers: as one where all of them are told by one policy
    /// again, else each by itself.
    fn group_changes_within(
        &mut self,
        shared: &mut Shared,
        (number, slots): (u32, &SlotSet),
        changed: &[(PeerId, Redo)],
        before: &Arc<Rules>,
    ) {
        let peers = self
            .groups
            .get(number)
            .map(Group::peers)
            .unwrap_or_default();
        let redo_of = |peer: &PeerId| changed.iter().find(|(of, _)| of == peer);
        let exports = |peer: &PeerId| {
            let redo = redo_of(peer).map(|(_, redo)| redo.export);
            redo.is_some_and(|families| families.contains(F::FAMILY))
        };
        let keys: Vec<Option<GroupKey>> =
            peers.iter().map(|peer| Self::key(shared, *peer)).collect();
        let together = keys.windows(2).all(|pair| pair.first() == pair.last());
        if together && let Some(first) = peers.first() {
            let slots = peers.iter().any(exports).then_some(slots);
            return self.rules_change_within(shared, (number, *first), slots, before);
        }
        for peer in peers.iter().filter(|peer| redo_of(peer).is_some()) {
            if let Some(own) = self.isolate_by(shared, before, *peer) {
                let slots = exports(peer).then_some(slots);
                self.rules_change_within(shared, (own, *peer), slots, before);
            }
        }
    }

    /// A group with this member is told by the policy that it has now.
    fn rules_change_within(
        &mut self,
        shared: &mut Shared,
        (number, peer): (u32, PeerId),
        slots: Option<&SlotSet>,
        before: &Arc<Rules>,
    ) {
        let (Some(mut key), Some(group)) = (Self::key(shared, peer), self.groups.get_mut(number))
        else {
            return;
        };
        let listed = group.listing.is_some();
        if key.needs_listing() && !listed {
            // Which paths it is offered hangs on what the policy says of itself.
            return self.peer_rules_change(shared, peer, before);
        }
        if listed {
            key.stay_alone(peer);
        }
        if let Some(slots) = slots {
            group.rules_change(before, Some(slots));
            for slot in slots.iter() {
                if self.table.get(slot).is_some_and(|entry| entry.has_paths()) {
                    group.pending.insert(slot);
                }
            }
        }
        if group.key != key {
            self.groups.rekey(number, key);
        }
        if !listed && self.groups.get(number).is_some_and(Group::is_in_sync) {
            self.groups.join(number);
        }
    }

    /// Passes routes through import once more that wait for it, up to `budget`
    /// prefixes of peers, which is what is left of it afterwards.
    pub(crate) fn reimport_noted(&mut self, shared: &mut Shared, budget: &mut usize) {
        for at in 0..self.ins.len() {
            // Fewer peers than 32 bits can count.
            let peer = PeerId(at as u32);
            let mut importers = Reimporters::default();
            let mut from = 0;
            while *budget > 0
                && let Some(adj) = self.ins.get_mut(at)
                && let Some(slot) = adj.again.next_from(from)
            {
                adj.again.remove(slot);
                from = slot;
                *budget -= 1;
                if adj.slots.contains(slot) {
                    self.reimport_slot(shared, (peer, slot), &mut importers);
                }
            }
        }
    }

    /// Whether routes wait for that.
    pub(crate) fn has_noted(&self) -> bool {
        self.ins.iter().any(|adj| !adj.again.is_empty())
    }
}
