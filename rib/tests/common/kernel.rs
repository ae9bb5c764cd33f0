//! A forwarding side that takes its time: changes wait before it takes them,
//! routes before it writes them, and answers before anybody hears them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use holdfast_rib::{FibAnswer, FibChange, FibRoute};
use ipnet::IpNet;

/// What it says of a prefix.
#[derive(Debug, Clone)]
pub struct Answer {
    pub prefix: IpNet,
    pub answer: FibAnswer,
    /// The last batch that it had taken.
    pub batch: u64,
    /// What it has for the prefix.
    pub has: Option<Arc<FibRoute>>,
}

#[derive(Debug, Default)]
pub struct Kernel {
    batches: VecDeque<(u64, Vec<FibChange>)>,
    taken: u64,
    wanted: BTreeMap<IpNet, Arc<FibRoute>>,
    has: BTreeMap<IpNet, Arc<FibRoute>>,
    unwritten: BTreeSet<IpNet>,
    /// Prefixes that it takes no route of.
    blocked: BTreeMap<IpNet, FibAnswer>,
    /// A later answer about a prefix takes the place of one that waits.
    answers: BTreeMap<IpNet, Answer>,
    order: VecDeque<IpNet>,
}

impl Kernel {
    pub fn ask(&mut self, batch: u64, changes: Vec<FibChange>) {
        if !changes.is_empty() {
            self.batches.push_back((batch, changes));
        }
    }

    pub fn take(&mut self, count: usize) {
        for _ in 0..count {
            let Some((batch, changes)) = self.batches.pop_front() else {
                return;
            };
            self.taken = batch;
            for FibChange { prefix, route } in changes {
                self.unwritten.insert(prefix);
                match route {
                    Some(route) => self.wanted.insert(prefix, route),
                    None => self.wanted.remove(&prefix),
                };
            }
        }
    }

    pub fn write(&mut self, count: usize) {
        for _ in 0..count {
            let Some(prefix) = self.unwritten.pop_first() else {
                return;
            };
            let wanted = self.wanted.get(&prefix);
            match (wanted, self.blocked.get(&prefix)) {
                (Some(route), None) => {
                    self.has.insert(prefix, Arc::clone(route));
                    self.say(prefix, FibAnswer::Installed);
                }
                (Some(_), Some(answer)) => {
                    let answer = *answer;
                    self.has.remove(&prefix);
                    self.say(prefix, answer);
                }
                (None, _) => {
                    self.has.remove(&prefix);
                }
            }
        }
    }

    fn say(&mut self, prefix: IpNet, answer: FibAnswer) {
        let answer = Answer {
            prefix,
            answer,
            batch: self.taken,
            has: self.has.get(&prefix).cloned(),
        };
        if self.answers.insert(prefix, answer).is_none() {
            self.order.push_back(prefix);
        }
    }

    pub fn hear(&mut self, count: usize) -> Vec<Answer> {
        let count = count.min(self.order.len());
        let heard = self.order.drain(..count);
        heard.map(|p| self.answers.remove(&p).unwrap()).collect()
    }

    /// Takes no route of the prefix from now on, or takes them again.
    pub fn block(&mut self, prefix: IpNet, answer: Option<FibAnswer>) {
        match answer {
            Some(answer) => self.blocked.insert(prefix, answer),
            None => self.blocked.remove(&prefix),
        };
        self.unwritten.insert(prefix);
    }

    /// Loses a route that it had.
    pub fn lose(&mut self, prefix: IpNet) {
        self.has.remove(&prefix);
        self.unwritten.insert(prefix);
    }

    pub fn blocked(&self, prefix: IpNet) -> Option<FibAnswer> {
        self.blocked.get(&prefix).copied()
    }
}
