//! Which prefixes changed, for those who watch the table.

use ipnet::IpNet;

use crate::family_rib::FamilyRib;
use crate::slots::SlotSet;
use crate::table::RibFamily;

/// Who watches the table, each at a pace of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watcher {
    /// Those who look on.
    Onlooker,
    /// Other tables, which take routes over.
    Table,
    /// Who looks at all paths, those too that are not used.
    Paths,
}

/// The prefixes that changed, for each watcher there is.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    onlooker: Option<SlotSet>,
    table: Option<SlotSet>,
    paths: Option<SlotSet>,
}

impl Watched {
    fn of(&mut self, watcher: Watcher) -> &mut Option<SlotSet> {
        match watcher {
            Watcher::Onlooker => &mut self.onlooker,
            Watcher::Table => &mut self.table,
            Watcher::Paths => &mut self.paths,
        }
    }

    /// Whether anybody watches which paths are used.
    pub(crate) fn is_watched(&self) -> bool {
        self.onlooker.is_some() || self.table.is_some()
    }

    /// A path of the prefix changed, or whether it is used.
    pub(crate) fn note_paths(&mut self, slot: u32) {
        if let Some(set) = &mut self.paths {
            set.insert(slot);
        }
    }

    /// The paths that are used changed.
    pub(crate) fn note(&mut self, slot: u32) {
        for set in [&mut self.onlooker, &mut self.table].into_iter().flatten() {
            set.insert(slot);
        }
    }

    /// Whether somebody has to hear of the prefix.
    pub(crate) fn holds(&self, slot: u32) -> bool {
        let sets = [&self.onlooker, &self.table, &self.paths];
        let mut sets = sets.into_iter().flatten();
        sets.any(|set| set.contains(slot))
    }
}

impl<F: RibFamily> FamilyRib<F> {
    /// Begins to note changes, or ends it.
    pub(crate) fn set_watching(&mut self, watcher: Watcher, watching: bool) {
        if watching {
            self.watched.of(watcher).get_or_insert_default();
            return;
        }
        let gone = self.watched.of(watcher).take();
        for slot in gone.iter().flat_map(SlotSet::iter) {
            self.let_go(slot);
        }
    }

    /// Notes all prefixes that have a path, for a watcher who knows none yet.
    pub(crate) fn watch_all(&mut self, watcher: Watcher) {
        let table = &self.table;
        let all = (0..table.end()).filter(|slot| table.get(*slot).is_some_and(|e| e.has_paths()));
        if let Some(watched) = self.watched.of(watcher) {
            for slot in all {
                watched.insert(slot);
            }
        }
    }

    /// Whether the watcher has something to take.
    pub(crate) fn has_watched(&mut self, watcher: Watcher) -> bool {
        let watched = self.watched.of(watcher).as_ref();
        watched.is_some_and(|watched| watched.next_from(0).is_some())
    }

    /// Moves up to `budget` changed prefixes, those in `changed` included.
    pub(crate) fn take_watched(
        &mut self,
        watcher: Watcher,
        budget: usize,
        changed: &mut Vec<IpNet>,
    ) {
        while changed.len() < budget {
            let Some(watched) = self.watched.of(watcher) else {
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
