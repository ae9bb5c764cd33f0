//! A command tree: commands are declared as rows of text, and the tree parses,
//! explains, completes and corrects lines.
//!
//! It knows nothing of BGP, of line editors or of what a command does: a row
//! carries a payload of any type, and a match gives it back with the typed
//! values of the line.
//!
//! ```
//! use holdfast_config::grammar::Grammar;
//!
//! let grammar = Grammar::builder()
//!     .glossary(&[("show", "Show something"), ("neighbor", "One peer"), ("A.B.C.D", "Address")])
//!     .row("show neighbor A.B.C.D$peer", "a command of yours")
//!     .build();
//! let found = grammar.parse("sh nei 10.0.0.1").unwrap();
//! assert_eq!(*found.payload, "a command of yours");
//! assert_eq!(found.address("peer").unwrap().to_string(), "10.0.0.1");
//! ```

mod help;
mod nearest;
mod pattern;
mod tree;

pub use help::{Candidate, HelpItem, Slot};
pub use nearest::{distance, nearest_word};
pub use pattern::{PatternError, TokenKind, Value};
pub use tree::{CR, Match, MatchError};

use tree::{Glossary, Node};

/// A word of a line and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'l> {
    /// The word.
    pub text: &'l str,
    /// The column of its first character, counted from 1.
    pub column: usize,
}

/// The words of a line.
pub fn words(line: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut start: Option<(usize, usize)> = None;
    let end = std::iter::once((line.len(), ' '));
    for (column, (offset, c)) in line.char_indices().chain(end).enumerate() {
        match (start, c.is_whitespace()) {
            (None, false) => start = Some((offset, column + 1)),
            (Some((from, column)), true) => {
                words.extend(line.get(from..offset).map(|text| Word { text, column }));
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// One declared command, in the form that is shown to people.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) pattern: &'static str,
    pub(crate) text: String,
}

/// Collects commands into a [`Grammar`].
#[derive(Debug)]
pub struct Builder<T> {
    glossary: Vec<(&'static str, &'static str)>,
    rows: Vec<(&'static str, T, bool)>,
}

/// A tree of commands with payloads of type `T`.
#[derive(Debug)]
pub struct Grammar<T> {
    root: Node<T>,
    declared: Vec<Declared>,
    errors: Vec<PatternError>,
}

impl<T: Clone> Builder<T> {
    /// Adds help texts. The key is a token as it is shown (`A.B.C.D`,
    /// `(0-65535)`, `neighbor`), or the tokens leading to it and itself
    /// (`timers connect`). The longest key that fits the path wins.
    #[must_use]
    pub fn glossary(mut self, entries: &[(&'static str, &'static str)]) -> Self {
        self.glossary.extend_from_slice(entries);
        self
    }

    /// Declares a command.
    #[must_use]
    pub fn row(mut self, pattern: &'static str, payload: T) -> Self {
        self.rows.push((pattern, payload, true));
        self
    }

    /// Declares a command that parses, but that help, completion and
    /// suggestions keep to themselves.
    #[must_use]
    pub fn hidden_row(mut self, pattern: &'static str, payload: T) -> Self {
        self.rows.push((pattern, payload, false));
        self
    }

    /// Builds the tree. Rows that cannot be read are left out and reported by
    /// [`Grammar::pattern_errors`]: patterns are part of the program, and its
    /// tests assert that there are none.
    pub fn build(self) -> Grammar<T> {
        let mut grammar = Grammar {
            root: Node::root(),
            declared: Vec::new(),
            errors: Vec::new(),
        };
        for (text, payload, visible) in self.rows {
            let sequences = match pattern::sequences(text) {
                Ok(sequences) => sequences,
                Err(error) => {
                    grammar.errors.push(error);
                    continue;
                }
            };
            for sequence in &sequences {
                grammar.root.insert(sequence, &payload, visible);
            }
            if visible {
                grammar.declared.push(Declared {
                    pattern: text,
                    text: pattern::without_names(text),
                });
            }
        }
        let mut glossary = Glossary::default();
        for (key, text) in self.glossary {
            glossary.add(key, text);
        }
        grammar.root.explain(&glossary, &mut Vec::new());
        grammar
    }
}

impl<T: Clone> Grammar<T> {
    /// Starts an empty grammar.
    pub fn builder() -> Builder<T> {
        Builder {
            glossary: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Rows whose pattern could not be read.
    pub fn pattern_errors(&self) -> &[PatternError] {
        &self.errors
    }

    /// Every visible command as declared, without the names of values.
    pub fn commands(&self) -> impl Iterator<Item = &str> {
        self.declared.iter().map(|declared| declared.text.as_str())
    }

    /// The paths of visible tokens that no help text explains.
    pub fn unexplained(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.root.unexplained(&mut Vec::new(), &mut paths);
        paths
    }

    /// The command that `line` names, with its values.
    ///
    /// # Errors
    /// No command, more than one, or only the beginning of one.
    pub fn parse(&self, line: &str) -> Result<Match<'_, T>, MatchError> {
        self.root.parse(&words(line))
    }

    /// What may follow `line`. The last word is taken as unfinished unless a
    /// blank follows it. `<cr>` comes first when the line is a command.
    ///
    /// # Errors
    /// The words before the last one name no command, or more than one.
    pub fn help(&self, line: &str) -> Result<Vec<HelpItem>, MatchError> {
        help::help(&self.root, line)
    }

    /// The words that complete the last word of `line`: keywords, and what
    /// `values` knows for a value token.
    pub fn complete<F>(&self, line: &str, values: F) -> Vec<Candidate>
    where
        F: FnMut(&Slot<'_>) -> Vec<String>,
    {
        help::complete(&self.root, line, values)
    }

    /// The declared command that `line` most likely meant, if one is close.
    pub fn suggest(&self, line: &str) -> Option<&str> {
        self.suggest_ranked(line).map(|(_, text)| text)
    }

    /// As [`Grammar::suggest`], with the distance, so that the suggestions of
    /// several grammars can be compared.
    pub fn suggest_ranked(&self, line: &str) -> Option<(usize, &str)> {
        nearest::command(&self.declared, &words(line))
    }
}

#[cfg(test)]
mod tests;
