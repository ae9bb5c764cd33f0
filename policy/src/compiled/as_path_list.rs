//! AS-path access lists, compiled.

use core::cell::OnceCell;

use bgp_wire::{AsPath, as_path::SegmentKind};

use super::ListVerdict;
use super::pattern::{Pattern, PatternError};
use crate::model::{self, Action};

/// An AS-path access list.
#[derive(Debug, Clone)]
pub struct AsPathList {
    source: model::AsPathList,
    entries: Vec<(u32, Action, PathPattern)>,
}

/// Two lists are equal where they were compiled of the same.
impl PartialEq for AsPathList {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl AsPathList {
    /// The list, compiled.
    ///
    /// # Errors
    ///
    /// The sequence number of an entry with a bad expression, and what is wrong
    /// with it.
    pub fn new(source: &model::AsPathList) -> Result<AsPathList, (u32, PatternError)> {
        let entries = source.entries.iter().map(|(seq, entry)| {
            let pattern = PathPattern::new(&entry.regex).map_err(|error| (*seq, error))?;
            Ok((*seq, entry.action, pattern))
        });
        Ok(AsPathList {
            entries: entries.collect::<Result<_, _>>()?,
            source: source.clone(),
        })
    }

    /// What it was compiled of.
    pub const fn source(&self) -> &model::AsPathList {
        &self.source
    }

    /// What it says of a path.
    pub fn verdict(&self, path: &AsPath) -> ListVerdict {
        self.verdict_with(path, &OnceCell::new())
    }

    /// The same, with the path's text, which is made if need be.
    pub(crate) fn verdict_with(&self, path: &AsPath, text: &OnceCell<String>) -> ListVerdict {
        let mut entries = self.entries.iter();
        let found = entries.find(|(_, _, pattern)| pattern.matches_with(path, text));
        found.map_or(ListVerdict::REFUSED, |(seq, action, _)| ListVerdict {
            action: *action,
            seq: Some(*seq),
        })
    }
}

/// An expression over AS paths. Common ones look at the numbers and need no
/// text.
#[derive(Debug, Clone, PartialEq)]
pub struct PathPattern {
    plain: Option<Plain>,
    pattern: Pattern,
}

/// What common expressions ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plain {
    /// `.*`
    Any,
    /// `^$`
    Empty,
    /// `^N_`
    First(u32),
    /// `_N$`
    Last(u32),
    /// `_N_`
    Contains(u32),
    /// `^N$`
    Only(u32),
}

impl PathPattern {
    /// Compiles an expression.
    ///
    /// # Errors
    ///
    /// Those of [`Pattern::new`].
    pub fn new(text: &str) -> Result<PathPattern, PatternError> {
        Ok(PathPattern {
            plain: Plain::of(text),
            pattern: Pattern::new(text)?,
        })
    }

    /// Whether it is found in the text of a path.
    pub fn matches(&self, path: &AsPath) -> bool {
        self.matches_with(path, &OnceCell::new())
    }

    /// The same, with the text where somebody made it before.
    fn matches_with(&self, path: &AsPath, text: &OnceCell<String>) -> bool {
        match self.plain {
            Some(plain) => plain.matches(path),
            None => self.pattern.matches(text.get_or_init(|| path.to_string())),
        }
    }
}

impl Plain {
    fn of(text: &str) -> Option<Plain> {
        match text {
            ".*" | "" => return Some(Plain::Any),
            "^$" => return Some(Plain::Empty),
            _ => {}
        }
        let number = text.trim_matches(['^', '_', '$']);
        let (before, after) = text.split_once(number)?;
        let asn: u32 = number.parse().ok()?;
        // As it is written in a path: no sign, no leading zero.
        if asn.to_string() != number {
            return None;
        }
        Some(match (before, after) {
            ("^", "_") => Plain::First(asn),
            ("_", "$") => Plain::Last(asn),
            ("_", "_") => Plain::Contains(asn),
            ("^", "$") => Plain::Only(asn),
            _ => return None,
        })
    }

    fn matches(self, path: &AsPath) -> bool {
        let mut segments = path.segments();
        let in_sequence = |kind| kind == SegmentKind::Sequence;
        match self {
            Plain::Any => true,
            Plain::Empty => path.is_empty(),
            Plain::First(asn) => {
                let first = segments.next().filter(|first| in_sequence(first.kind));
                first.is_some_and(|first| first.asns.first() == Some(&asn))
            }
            Plain::Last(asn) => {
                let last = segments.last();
                let last = last.filter(|last| in_sequence(last.kind));
                last.is_some_and(|last| last.asns.last() == Some(&asn))
            }
            Plain::Only(asn) => {
                let only = segments.next().filter(|only| in_sequence(only.kind));
                only.is_some_and(|only| only.asns == [asn]) && segments.next().is_none()
            }
            Plain::Contains(asn) => segments.any(|segment| match segment.kind {
                // Square brackets are no delimiters.
                SegmentKind::ConfedSet => {
                    let inner = segment.asns.get(1..segment.asns.len() - 1);
                    inner.is_some_and(|inner| inner.contains(&asn))
                }
                _ => segment.asns.contains(&asn),
            }),
        }
    }
}
