//! A set of slot numbers, one bit each.

/// Slots of a table. A second level has one bit for each word that is not
/// empty, so the next member of a sparse set over a million slots is found by
/// looking at some 250 words at most. Members come out in ascending order.
#[derive(Debug, Clone, Default)]
pub(crate) struct SlotSet {
    words: Vec<u64>,
    summary: Vec<u64>,
    len: usize,
}

const fn split(index: usize) -> (usize, u64) {
    (index / 64, 1 << (index % 64))
}

impl SlotSet {
    /// Puts the slot in; whether it was not there.
    pub(crate) fn insert(&mut self, slot: u32) -> bool {
        let (word, bit) = split(slot as usize);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
            self.summary.resize(word / 64 + 1, 0);
        }
        let Some(bits) = self.words.get_mut(word) else {
            return false;
        };
        if *bits & bit != 0 {
            return false;
        }
        *bits |= bit;
        let (group, mark) = split(word);
        if let Some(marks) = self.summary.get_mut(group) {
            *marks |= mark;
        }
        self.len += 1;
        true
    }

    /// Takes the slot out; whether it was there.
    pub(crate) fn remove(&mut self, slot: u32) -> bool {
        let (word, bit) = split(slot as usize);
        let Some(bits) = self.words.get_mut(word) else {
            return false;
        };
        if *bits & bit == 0 {
            return false;
        }
        *bits &= !bit;
        if *bits == 0 {
            let (group, mark) = split(word);
            if let Some(marks) = self.summary.get_mut(group) {
                *marks &= !mark;
            }
        }
        self.len -= 1;
        true
    }

    pub(crate) fn contains(&self, slot: u32) -> bool {
        let (word, bit) = split(slot as usize);
        self.words.get(word).is_some_and(|bits| bits & bit != 0)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Puts in what the other has.
    pub(crate) fn unite(&mut self, other: &SlotSet) {
        if other.words.len() > self.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
        self.count();
    }

    /// Takes out what the other has not.
    pub(crate) fn intersect(&mut self, other: &SlotSet) {
        self.words.truncate(other.words.len());
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
        self.count();
    }

    /// Takes out what the other has.
    pub(crate) fn subtract(&mut self, other: &SlotSet) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= !other;
        }
        self.count();
    }

    /// Makes the second level and the number of members anew.
    fn count(&mut self) {
        let words = self.words.chunks(64);
        self.summary = words
            .map(|group| {
                let marks = group.iter().enumerate();
                marks.fold(0, |marks, (at, word)| marks | u64::from(*word != 0) << at)
            })
            .collect();
        let bits = self.words.iter().map(|word| word.count_ones() as usize);
        self.len = bits.sum();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first member that is not below `slot`.
    pub(crate) fn next_from(&self, slot: u32) -> Option<u32> {
        let start = slot as usize;
        let word = start / 64;
        let here = self.words.get(word)? & (u64::MAX << (start % 64));
        if here != 0 {
            return Some(Self::member(word, here));
        }
        let word = self.next_word(word + 1)?;
        let bits = *self.words.get(word)?;
        (bits != 0).then(|| Self::member(word, bits))
    }

    /// The first word with a member, from `word` on.
    fn next_word(&self, word: usize) -> Option<usize> {
        let group = word / 64;
        let here = self.summary.get(group)? & (u64::MAX << (word % 64));
        if here != 0 {
            return Some(group * 64 + here.trailing_zeros() as usize);
        }
        let (skip, marks) = self
            .summary
            .iter()
            .skip(group + 1)
            .enumerate()
            .find(|(_, marks)| **marks != 0)?;
        Some((group + 1 + skip) * 64 + marks.trailing_zeros() as usize)
    }

    fn member(word: usize, bits: u64) -> u32 {
        // A table has at most u32::MAX slots, so the sum fits.
        (word * 64) as u32 + bits.trailing_zeros()
    }

    /// Members in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let mut from = Some(0);
        core::iter::from_fn(move || {
            let slot = self.next_from(from?)?;
            from = slot.checked_add(1);
            Some(slot)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn agrees_with_an_ordered_set() {
        let mut set = SlotSet::default();
        let mut model = BTreeSet::new();
        let mut state = 1u64;
        for _ in 0..20_000 {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let slot = (state >> 33) as u32 % 40_000;
            if state >> 32 & 1 == 0 {
                assert_eq!(set.insert(slot), model.insert(slot));
            } else {
                assert_eq!(set.remove(slot), model.remove(&slot));
            }
            let from = (state >> 40) as u32 % 45_000;
            assert_eq!(set.next_from(from), model.range(from..).next().copied());
        }
        assert_eq!(set.is_empty(), model.is_empty());
        assert!(set.iter().eq(model.iter().copied()));
    }
}
