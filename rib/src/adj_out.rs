//! Adj-RIB-Out: what a peer was told, and what it still has to be told.

use bgp_wire::update::Nlri;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::attrs::AttrRef;
use crate::slots::SlotSet;

/// One peer's state in one family, indexed by slot.
///
/// The pending set is walked in a circle: a slot that changes again before its
/// turn comes is sent once. The first transfer of the table is the set of all
/// slots, and is complete when the walk reaches its end for the first time.
#[derive(Debug, Default)]
pub(crate) struct AdjRibOut {
    advertised: Vec<Option<AttrRef>>,
    sent: usize,
    pending: SlotSet,
    /// Slots to be sent even if the peer has the same already.
    resend: SlotSet,
    cursor: u32,
    /// The first transfer is not complete.
    initial: bool,
    /// A requested resend is not complete.
    refresh: bool,
}

/// How the pending set's walk goes on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// This slot is to be looked at.
    Slot(u32),
    /// The end of the table was reached; there may be more.
    Lap(Lap),
    /// Nothing is pending.
    Idle,
}

/// What was complete at the end of the table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lap {
    pub(crate) initial: bool,
    pub(crate) refresh: bool,
}

/// What to send for a slot.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    None,
    Withdraw,
    Announce(AttrRef),
}

impl AdjRibOut {
    /// For a peer that just came up.
    pub(crate) fn new() -> AdjRibOut {
        AdjRibOut {
            initial: true,
            ..AdjRibOut::default()
        }
    }

    pub(crate) fn sent(&self) -> usize {
        self.sent
    }

    pub(crate) fn advertised(&self, slot: u32) -> Option<&AttrRef> {
        self.advertised.get(slot as usize)?.as_ref()
    }

    /// Slots that hold their entry: advertised or pending, those that are both
    /// twice.
    pub(crate) fn held(&self) -> impl Iterator<Item = u32> + '_ {
        let advertised = (0u32..)
            .zip(&self.advertised)
            .filter_map(|(slot, sent)| sent.is_some().then_some(slot));
        advertised.chain(self.pending.iter())
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.initial || self.refresh || !self.pending.is_empty()
    }

    /// Asks for a look at the slot; whether that is news.
    pub(crate) fn mark(&mut self, slot: u32) -> bool {
        self.pending.insert(slot)
    }

    /// Sends everything again that is advertised when its turn comes. The
    /// caller marks the slots.
    pub(crate) fn start_refresh(&mut self) {
        self.refresh = true;
        self.cursor = 0;
        for (slot, sent) in (0u32..).zip(&self.advertised) {
            if sent.is_some() {
                self.resend.insert(slot);
            }
        }
    }

    /// Goes one step on; the slot is not pending any more.
    pub(crate) fn next(&mut self) -> Next {
        if let Some(slot) = self.pending.next_from(self.cursor) {
            self.cursor = slot.saturating_add(1);
            self.pending.remove(slot);
            return Next::Slot(slot);
        }
        self.cursor = 0;
        if self.initial || self.refresh {
            return Next::Lap(Lap {
                initial: core::mem::take(&mut self.initial),
                refresh: core::mem::take(&mut self.refresh),
            });
        }
        match self.pending.next_from(0) {
            Some(_) => self.next(),
            None => Next::Idle,
        }
    }

    /// Makes `wanted` what the peer has; what has to be sent for that.
    pub(crate) fn advance(&mut self, slot: u32, wanted: Option<AttrRef>) -> Difference {
        let resend = self.resend.remove(slot);
        let index = slot as usize;
        if index >= self.advertised.len() {
            if wanted.is_none() {
                return Difference::None;
            }
            self.advertised.resize_with(index + 1, || None);
        }
        let Some(place) = self.advertised.get_mut(index) else {
            return Difference::None;
        };
        match (place.is_some(), &wanted) {
            (false, None) => Difference::None,
            (true, None) => {
                *place = None;
                self.sent -= 1;
                Difference::Withdraw
            }
            (true, Some(_)) if *place == wanted && !resend => Difference::None,
            (had, Some(attributes)) => {
                let announce = Difference::Announce(attributes.clone());
                self.sent += usize::from(!had);
                *place = wanted;
                announce
            }
        }
    }
}

/// Announcements by attributes, in the order in which each set came first.
pub(crate) struct Groups<P> {
    places: HashMap<usize, usize, RandomState>,
    groups: Vec<(AttrRef, Vec<Nlri<P>>)>,
}

impl<P> Groups<P> {
    pub(crate) fn new() -> Groups<P> {
        Groups {
            places: HashMap::default(),
            groups: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, attributes: AttrRef, prefix: P) {
        let next = self.groups.len();
        let place = *self.places.entry(attributes.address()).or_insert(next);
        let nlri = Nlri { path_id: 0, prefix };
        match self.groups.get_mut(place) {
            Some((_, list)) => list.push(nlri),
            None => self.groups.push((attributes, vec![nlri])),
        }
    }

    pub(crate) fn into_groups(self) -> Vec<(AttrRef, Vec<Nlri<P>>)> {
        self.groups
    }
}
