//! What happened to a route on its way through policy, for people.

use serde::Serialize;

use super::condition::Condition;
use super::prefix_list::ListVerdict;
use super::route::Seen;
use super::route_map::Entry;
use super::walk::Visitor;
use crate::model::{Action, Match, Set};

/// What happened, step by step.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Trace {
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(
    tag = "step",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum Step {
    /// Nothing is configured, and the session is external (RFC 8212).
    NoPolicy,
    /// A list of the neighbor was asked.
    List {
        /// Its kind and name.
        list: String,
        /// Whether it permits.
        action: Action,
        /// Which entry said so; none where none matches, or there is no list.
        seq: Option<u32>,
    },
    /// A route map begins.
    Map {
        /// Its name.
        name: String,
    },
    /// An entry's turn.
    Entry {
        /// Its number.
        seq: u16,
        /// What it does with what matches.
        action: Action,
    },
    /// A `match` line was looked at.
    Match {
        /// The line.
        wanted: Match,
        /// Whether it holds.
        holds: bool,
        /// What the route has.
        actual: String,
    },
    /// A `set` line was applied.
    Set {
        /// The line.
        line: Set,
    },
    /// Another map is called.
    Call {
        /// Its name.
        name: String,
        /// Whether there is such a map.
        exists: bool,
    },
    /// After an entry that permits: the entry to go on at; none is the end.
    Continue {
        /// Its number.
        seq: Option<u16>,
    },
    /// A route map ends.
    End {
        /// Its name.
        name: String,
        /// Whether the route is permitted.
        permitted: bool,
    },
}

impl Trace {
    pub(crate) fn list(&mut self, list: String, verdict: ListVerdict) {
        self.steps.push(Step::List {
            list,
            action: verdict.action,
            seq: verdict.seq,
        });
    }
}

impl Visitor for Trace {
    fn map(&mut self, name: &str) {
        let name = name.to_owned();
        self.steps.push(Step::Map { name });
    }

    fn entry(&mut self, seq: u16, action: Action) {
        self.steps.push(Step::Entry { seq, action });
    }

    fn condition(&mut self, condition: &Condition, holds: bool, route: Seen<'_>) {
        self.steps.push(Step::Match {
            wanted: condition.source.clone(),
            holds,
            actual: condition.actual(route),
        });
    }

    fn matched(&mut self, entry: &Entry) {
        if !entry.action.permits() {
            return;
        }
        let lines = entry.changes.iter().map(|change| change.source.clone());
        self.steps.extend(lines.map(|line| Step::Set { line }));
    }

    fn call(&mut self, name: &str, exists: bool) {
        let name = name.to_owned();
        self.steps.push(Step::Call { name, exists });
    }

    fn then(&mut self, seq: Option<u16>) {
        self.steps.push(Step::Continue { seq });
    }

    fn end(&mut self, name: &str, permitted: bool) {
        let name = name.to_owned();
        self.steps.push(Step::End { name, permitted });
    }
}
