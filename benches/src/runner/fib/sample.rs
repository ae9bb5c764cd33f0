//! The prefixes that are asked for one by one.
//!
//! The kernel answers for an address with the most specific route, so a
//! prefix can only be asked for by an address that no longer prefix of the
//! table has. Its own first address will do, unless a longer prefix begins
//! there as well.

use crate::load::{Prefix, Random};

/// How many prefixes are asked for besides the first and the last one.
const SIZE: usize = 1000;

/// Which prefixes of a table can be asked for, and which are.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Of each position of the table: no longer prefix begins there.
    askable: Vec<bool>,
    /// Positions in the table, in the order in which they are asked for.
    positions: Vec<u32>,
}

impl Sample {
    /// A random sample of a table, and its first and its last prefix that can
    /// be asked for. The same table has the same sample.
    pub(super) fn new(prefixes: &[Prefix]) -> Self {
        let askable = askable(prefixes);
        let mut all: Vec<u32> = (0..prefixes.len() as u32)
            .filter(|&position| askable[position as usize])
            .collect();
        let ends = [all.first().copied(), all.last().copied()];
        Random::new(prefixes.len() as u64).shuffle(&mut all);
        all.truncate(SIZE);
        all.extend(ends.into_iter().flatten());
        Self {
            askable,
            positions: all,
        }
    }

    /// Positions in the table.
    pub(super) fn positions(&self) -> &[u32] {
        &self.positions
    }

    /// Takes stragglers in, which a look at all routes has found; the number
    /// of those that can be asked for.
    pub(super) fn extend(&mut self, stragglers: &[u32]) -> usize {
        let before = self.positions.len();
        let can = |position: &&u32| self.askable[**position as usize];
        self.positions
            .extend(stragglers.iter().filter(can).take(SIZE));
        self.positions.len() - before
    }
}

fn askable(prefixes: &[Prefix]) -> Vec<bool> {
    let mut order: Vec<u32> = (0..prefixes.len() as u32).collect();
    order.sort_unstable_by_key(|&position| prefixes[position as usize]);
    let mut askable = vec![true; prefixes.len()];
    for pair in order.windows(2) {
        // Shorter ones come first where the octets are the same.
        let (shorter, longer) = (pair[0] as usize, pair[1] as usize);
        askable[shorter] = prefixes[shorter].octets != prefixes[longer].octets;
    }
    askable
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::load::Table;

    fn prefix(second: u8, len: u8) -> Prefix {
        Prefix::v4(Ipv4Addr::new(20, second, 0, 0), len)
    }

    #[test]
    fn a_prefix_behind_a_longer_one_is_not_asked_for() {
        let table = [prefix(0, 24), prefix(0, 8), prefix(1, 16), prefix(0, 16)];
        let mut sample = Sample::new(&table);
        assert_eq!(sample.askable, [true, false, true, false]);
        let mut positions = sample.positions().to_vec();
        positions.sort_unstable();
        assert_eq!(positions, [0, 0, 2, 2]);
        assert_eq!(sample.extend(&[1, 2, 3]), 1);
        assert_eq!(sample.positions().last(), Some(&2));
        assert_eq!(sample.extend(&[1, 3]), 0);
    }

    #[test]
    fn a_large_table_has_a_sample_of_it_and_its_ends() {
        let table = Table::ipv4(5000, 1);
        let sample = Sample::new(table.prefixes());
        assert_eq!(sample.positions().len(), SIZE + 2);
        let askable: Vec<u32> = (0..5000u32)
            .filter(|&position| sample.askable[position as usize])
            .collect();
        let ends = [askable[0], askable[askable.len() - 1]];
        assert!(sample.positions().ends_with(&ends));
        // Most prefixes do not begin where a longer one does.
        assert!(askable.len() > 4000);
    }
}
