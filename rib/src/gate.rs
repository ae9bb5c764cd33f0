//! What peers are told waits for the forwarding table, where that is wanted.
//!
//! A route that a peer announced is told to others when the kernel has it in
//! the form that was asked for last, and taken back when the kernel has it no
//! more. Until the answer is there, what was told before stands: the kernel
//! goes by it still. Routes of our own and withdrawals do not wait.
//!
//! An answer says how many batches of changes the forwarding side had taken
//! when it spoke, so one about an older form is told from one about this.

use crate::family_rib::FamilyRib;
use crate::fib::{FibAnswer, Forwarding};
use crate::slots::SlotSet;
use crate::table::{Entry, RibFamily};
use crate::view::PathSource;

/// No answer is awaited.
const ANSWERED: u32 = 0;
/// The forwarding side is to be asked, changed or not. Stamps are odd.
const TO_ASK: u32 = 2;

/// A batch's number as it is kept, never 0. The bits that are lost tell apart
/// batches that are a billion of them away from each other.
const fn stamp(batch: u64) -> u32 {
    (batch as u32) << 1 | 1
}

/// What is known of the prefixes of a family that the forwarding side was
/// told of.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// By slot: the stamp of the batch that asked last, while it is not
    /// answered.
    asked: Vec<u32>,
    /// The kernel does not have them, by the last answer.
    absent: SlotSet,
}

impl Gate {
    fn state(&self, slot: u32) -> u32 {
        self.asked.get(slot as usize).copied().unwrap_or(ANSWERED)
    }

    fn set_state(&mut self, slot: u32, state: u32) {
        let index = slot as usize;
        if index >= self.asked.len() {
            if state == ANSWERED {
                return;
            }
            self.asked.resize(index + 1, ANSWERED);
        }
        if let Some(place) = self.asked.get_mut(index) {
            *place = state;
        }
    }

    /// Whether the forwarding side is to be asked though nothing changed.
    pub(crate) fn is_to_ask(&self, slot: u32) -> bool {
        self.state(slot) == TO_ASK
    }

    /// The batch asks for a new form of the slot's route.
    pub(crate) fn ask(&mut self, slot: u32, batch: u64) {
        self.set_state(slot, stamp(batch));
    }

    /// The slot is no business of the forwarding side any more. Whether it was
    /// kept from peers.
    pub(crate) fn forget(&mut self, slot: u32) -> bool {
        self.set_state(slot, ANSWERED);
        self.absent.remove(slot)
    }

    /// Takes an answer that was given when this batch was the last one taken.
    /// Whether it is about the present form, and then whether peers are to be
    /// told something else by it.
    fn answer(&mut self, slot: u32, there: bool, batch: u64) -> Option<bool> {
        let asked = self.state(slot);
        let is_old = stamp(batch).wrapping_sub(asked).cast_signed() < 0;
        if asked == TO_ASK || (asked != ANSWERED && is_old) {
            return None;
        }
        self.set_state(slot, ANSWERED);
        Some(if there {
            self.absent.remove(slot)
        } else {
            self.absent.insert(slot)
        })
    }
}

/// What the gate says of an entry's best path; none where there is no gate, or
/// where the path does not pass it: routes of our own are not forwarded by us.
pub(crate) fn forwarding<P>(
    gate: Option<&Gate>,
    dirty: &SlotSet,
    (slot, entry): (u32, &Entry<P>),
) -> Option<Forwarding> {
    let gate = gate?;
    let PathSource::Peer(_) = entry.best()?.source() else {
        return None;
    };
    Some(if dirty.contains(slot) || gate.state(slot) != ANSWERED {
        Forwarding::Awaited
    } else if gate.absent.contains(slot) {
        Forwarding::Absent
    } else {
        Forwarding::Installed
    })
}

impl<F: RibFamily> FamilyRib<F> {
    /// What peers are told waits for the kernel from now on, or no more.
    pub(crate) fn set_gate(&mut self, on: bool) {
        if !on {
            self.open_gate();
            self.gate = None;
            return;
        }
        let mut gate = Gate::default();
        let asked = self.table.iter().filter(|(_, entry)| entry.fib.is_some());
        // What became of them was of no interest until now.
        for (slot, _) in asked {
            gate.set_state(slot, TO_ASK);
            self.fib_dirty.insert(slot);
        }
        self.gate = Some(Box::new(gate));
    }

    /// Lets everything through that was kept from peers.
    pub(crate) fn open_gate(&mut self) {
        let Some(gate) = &mut self.gate else { return };
        let gate = core::mem::take(gate);
        for group in self.groups.iter_mut() {
            group.release_all();
            for slot in gate.absent.iter() {
                group.pending.insert(slot);
            }
        }
    }

    /// What is on the slot's way out, now that there is no more to wait for.
    /// `changed`: all groups have to look, not only those that waited.
    pub(crate) fn let_through(&mut self, slot: u32, changed: bool) {
        for group in self.groups.iter_mut() {
            group.release(slot);
            if changed {
                group.pending.insert(slot);
            }
        }
    }

    /// The kernel took a route or did not. Answers about routes that nobody
    /// asked for are ignored.
    pub(crate) fn fib_answered(&mut self, prefix: F::Prefix, answer: FibAnswer, batch: u64) {
        let foreign = answer == FibAnswer::Foreign;
        if self.gate.is_none() && !foreign && self.refused.is_empty() {
            return;
        }
        let slot = self.table.find(&prefix);
        let asked = |slot: &u32| self.table.get(*slot).is_some_and(|e| e.fib.is_some());
        let Some(slot) = slot.filter(asked) else {
            return;
        };
        let news = match foreign {
            true => self.refused.insert(slot),
            false => self.refused.remove(slot),
        };
        if news {
            self.watched.note(slot);
        }
        let there = answer == FibAnswer::Installed;
        let gate = self.gate.as_mut();
        if let Some(changed) = gate.and_then(|gate| gate.answer(slot, there, batch)) {
            self.let_through(slot, changed);
        }
    }

    /// The forwarding side is not told of the slot any more.
    pub(crate) fn forget_forwarding(&mut self, slot: u32) {
        self.refused.remove(slot);
        if let Some(gate) = &mut self.gate {
            let absent = gate.forget(slot);
            self.let_through(slot, absent);
        }
    }

    /// What was asked for is as it was: there may be no answer to wait for.
    pub(crate) fn forwarding_stands(&mut self, slot: u32) {
        let gate = self.gate.as_ref();
        if gate.is_some_and(|gate| gate.state(slot) == ANSWERED) {
            self.let_through(slot, false);
        }
    }

    /// What is known of the best path's way into the kernel.
    pub(crate) fn forwarding_of(&self, slot: u32) -> Option<Forwarding> {
        let entry = self.table.get(slot)?;
        forwarding(self.gate.as_deref(), &self.fib_dirty, (slot, entry))
    }
}
