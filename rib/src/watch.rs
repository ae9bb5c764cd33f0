//! Which prefixes changed, for those who watch the table.

use ipnet::IpNet;

use crate::family_rib::FamilyRib;
use crate::slots::SlotSet;
use crate::table::RibFamily;

impl<F: RibFamily> FamilyRib<F> {
    /// Begins to note changes, or ends it.
    pub(crate) fn set_watching(&mut self, watching: bool) {
        if watching {
            self.watched.get_or_insert_default();
            return;
        }
        for slot in self.watched.take().iter().flat_map(SlotSet::iter) {
            self.let_go(slot);
        }
    }

    /// Moves up to `budget` changed prefixes, those in `changed` included.
    pub(crate) fn take_watched(&mut self, budget: usize, changed: &mut Vec<IpNet>) {
        while changed.len() < budget {
            let Some(watched) = &mut self.watched else {
                return;
            };
            let Some(slot) = watched.next_from(0) else {
                return;
            };
            watched.remove(slot);
            changed.extend(self.let_go(slot));
        }
    }

    /// Ends the hold that a noted change has on its entry, which keeps the
    /// slot from being another prefix's by then.
    fn let_go(&mut self, slot: u32) -> Option<IpNet> {
        let prefix = self.table.get(slot)?.prefix.into();
        self.release_if_idle(slot);
        Some(prefix)
    }
}
