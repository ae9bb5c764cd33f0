//! A row: one configuration line, as it is typed, applied and printed.

use std::net::IpAddr;

use holdfast_policy::model::RouteMapEntry;

use crate::clause::Clause;
use crate::grammar::Match;
use crate::model::{Bgp, Config, Defaults, Family, PeerAf, PeerSettings};

use super::session::{Outcome, Session};

/// Why a line that was understood is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    /// The reason, in FRR's words where FRR has any.
    pub(super) message: String,
    /// The name of the value at fault.
    pub(super) value: Option<&'static str>,
}

impl Rejection {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            value: None,
        }
    }

    pub(super) fn at(value: &'static str, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            value: Some(value),
        }
    }
}

pub(super) type Done = Result<(), Rejection>;

/// What a matched line stands for: its row, said or taken back with `no`.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    pub(super) row: Row,
    pub(super) on: bool,
}

/// The values of a matched line.
pub(super) struct Args<'a> {
    pub(super) found: &'a Match<'a, Command>,
    pub(super) defaults: Defaults,
    /// False when the line starts with `no`.
    pub(super) on: bool,
}

impl Args<'_> {
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.found.text(name).map(str::to_owned)
    }

    pub(super) fn number<N: TryFrom<u64>>(&self, name: &str) -> Option<N> {
        self.found.number(name)
    }

    pub(super) fn address(&self, name: &str) -> Option<IpAddr> {
        self.found.address(name)
    }

    /// What a word stands for.
    pub(super) fn one_of<V: Copy>(&self, name: &str, known: &[(&str, V)]) -> Option<V> {
        let text = self.found.text(name)?;
        let found = known.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value)
    }

    /// The value when the line sets one, `None` when it takes it back.
    pub(super) fn when_on<T>(&self, value: Option<T>) -> Option<T> {
        value.filter(|_| self.on)
    }
}

/// A neighbor or peer group that a line is about, and the group above it.
pub(super) struct Target<'a> {
    pub(super) settings: &'a mut PeerSettings,
    pub(super) group: Option<&'a PeerSettings>,
}

/// A neighbor or peer group that is printed, and the group above it.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) settings: &'a PeerSettings,
    pub(super) group: Option<&'a PeerSettings>,
}

/// A switch of the instance.
#[derive(Clone, Copy, Debug)]
pub(super) struct BgpFlag {
    pub(super) get: fn(&Bgp) -> bool,
    pub(super) set: fn(&mut Bgp, bool),
}

/// A switch of a neighbor or peer group.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeerFlag {
    pub(super) get: fn(&PeerSettings) -> Option<bool>,
    pub(super) set: fn(&mut PeerSettings, Option<bool>),
}

/// A switch of a neighbor or peer group for one family.
#[derive(Clone, Copy, Debug)]
pub(super) struct AfFlag {
    pub(super) get: fn(&PeerAf) -> Option<bool>,
    pub(super) set: fn(&mut PeerAf, Option<bool>),
}

/// What a line does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Apply {
    /// Moves between modes.
    Session(fn(&mut Session, &Args<'_>) -> Result<Outcome, Rejection>),
    Config(fn(&mut Config, &Args<'_>) -> Done),
    Bgp(fn(&mut Bgp, &Args<'_>) -> Done),
    BgpFlag(BgpFlag),
    /// Something about the neighbor or group in `$peer`.
    Peer(fn(&mut Target<'_>, &Args<'_>) -> Done),
    PeerFlag(PeerFlag),
    AfFlag(Family, AfFlag),
    /// Something about the entry of a route map.
    Entry(fn(&mut RouteMapEntry, &Args<'_>) -> Done),
    /// A clause of the entry, by its name; `no` needs no more than that.
    Clause(&'static str, fn(&Args<'_>) -> Result<Clause, Rejection>),
    /// The row only prints.
    Nothing,
}

/// How a line is printed. Texts about a peer come without `neighbor X`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Print {
    /// The line moves between modes, or another row prints the value.
    Nothing,
    Config(fn(&Config) -> Vec<String>),
    Bgp(fn(&Bgp, &Defaults) -> Vec<String>),
    Peer(fn(Shown<'_>) -> Option<Said>),
    PeerAf(fn(&PeerAf, Option<&PeerAf>) -> Option<Said>),
    /// Printed as typed, when the switch is not at its default.
    Flag,
}

/// The text about a peer, and whether `no` goes before it.
pub(super) struct Said {
    pub(super) on: bool,
    pub(super) text: String,
}

impl Said {
    pub(super) fn on(text: impl Into<String>) -> Self {
        Self {
            on: true,
            text: text.into(),
        }
    }

    pub(super) fn off(text: impl Into<String>) -> Self {
        Self {
            on: false,
            text: text.into(),
        }
    }

    pub(super) fn about(&self, peer: &str) -> String {
        let no = if self.on { "" } else { "no " };
        format!("{no}neighbor {peer} {}", self.text)
    }
}

/// One configuration line: everything there is to know about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// The pattern that sets it.
    pub(super) set: &'static str,
    /// The pattern that takes it back; empty if nothing does.
    pub(super) no: &'static str,
    pub(super) apply: Apply,
    pub(super) print: Print,
    /// Understood, but not offered: FRR's old places for a line.
    pub(super) hidden: bool,
}

impl Row {
    pub(super) const fn new(
        set: &'static str,
        no: &'static str,
        apply: Apply,
        print: Print,
    ) -> Self {
        Self {
            set,
            no,
            apply,
            print,
            hidden: false,
        }
    }

    pub(super) const fn hidden(self) -> Self {
        Self {
            hidden: true,
            ..self
        }
    }

    /// The words after `neighbor X` of a switch's pattern.
    pub(super) fn flag_text(&self) -> &'static str {
        self.set.strip_prefix(PEER).map_or(self.set, str::trim)
    }
}

/// How the patterns of all lines about a peer start.
pub(super) const PEER: &str = "neighbor <A.B.C.D|X:X::X:X|WORD>$peer";

/// What `no` leaves of a member's own switch: only what its group says must be
/// contradicted.
pub(super) fn switched_off(group: Option<bool>) -> Option<bool> {
    (group == Some(true)).then_some(false)
}

/// What is printed for a switch: `on`, or `no` against the group.
pub(super) fn flag_said(own: Option<bool>, group: Option<bool>, text: &str) -> Option<Said> {
    match own {
        Some(true) => Some(Said::on(text)),
        Some(false) if group == Some(true) => Some(Said::off(text)),
        _ => None,
    }
}
