//! The tree itself: how commands are merged and lines are matched.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

use super::Word;
use super::pattern::{Rank, Step, TokenKind, Value};

/// How the end of a line is shown.
pub const CR: &str = "<cr>";

/// Help texts, by the last token of their keys: a tree has thousands of nodes.
#[derive(Debug, Default)]
pub(super) struct Glossary {
    texts: HashMap<&'static str, Vec<(Vec<&'static str>, &'static str)>>,
}

impl Glossary {
    pub(super) fn add(&mut self, key: &'static str, text: &'static str) {
        let key: Vec<&'static str> = key.split(' ').collect();
        let last = key.last().copied().unwrap_or_default();
        self.texts.entry(last).or_default().push((key, text));
    }

    /// The text of the longest key that ends the path, and of several the
    /// first.
    fn text(&self, path: &[Cow<'static, str>]) -> &'static str {
        let last = path.last().and_then(|last| self.texts.get(&**last));
        let ends = |key: &[&str]| {
            let from = path.len().checked_sub(key.len());
            let end = from.and_then(|from| path.get(from..));
            end.is_some_and(|end| end.iter().zip(key).all(|(token, word)| token == word))
        };
        let mut found: Option<&(Vec<&str>, &'static str)> = None;
        for entry in last.into_iter().flatten().filter(|(key, _)| ends(key)) {
            if found.is_none_or(|(known, _)| known.len() < entry.0.len()) {
                found = Some(entry);
            }
        }
        found.map_or("", |(_, text)| text)
    }
}

/// A token of one or more commands.
#[derive(Debug)]
pub(super) struct Node<T> {
    pub(super) kind: TokenKind,
    pub(super) help: &'static str,
    /// The name of the value in the first command declared with it.
    pub(super) name: Option<&'static str>,
    pub(super) visible: bool,
    pub(super) children: Vec<Node<T>>,
    pub(super) end: Option<End<T>>,
}

/// The end of a command: its payload and the names of its values, by depth.
#[derive(Debug)]
pub(super) struct End<T> {
    pub(super) payload: T,
    pub(super) visible: bool,
    names: Vec<Option<&'static str>>,
}

/// Why a line is no command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatchError {
    /// No command continues with the word at index `word`.
    #[error("unknown command")]
    Unknown {
        /// Index of the first word that fits nowhere.
        word: usize,
        /// The tokens that would have fitted there.
        expected: Vec<String>,
    },
    /// The word at index `word` is the beginning of several keywords.
    #[error("ambiguous command")]
    Ambiguous {
        /// Index of the word.
        word: usize,
        /// What it may stand for.
        expected: Vec<String>,
    },
    /// The line stops in the middle of a command.
    #[error("command incomplete")]
    Incomplete {
        /// Index after the last word.
        word: usize,
        /// The tokens that may follow.
        expected: Vec<String>,
    },
}

impl MatchError {
    /// Index of the word at fault.
    pub fn word(&self) -> usize {
        match self {
            Self::Unknown { word, .. }
            | Self::Ambiguous { word, .. }
            | Self::Incomplete { word, .. } => *word,
        }
    }

    /// The tokens that would have been right there.
    pub fn expected(&self) -> &[String] {
        match self {
            Self::Unknown { expected, .. }
            | Self::Ambiguous { expected, .. }
            | Self::Incomplete { expected, .. } => expected,
        }
    }
}

#[derive(Clone, Debug)]
struct Capture {
    name: String,
    word: usize,
    value: Value,
}

/// A line that is a command.
#[derive(Clone, Debug)]
pub struct Match<'g, T> {
    /// The payload of the command's row.
    pub payload: &'g T,
    captures: Vec<Capture>,
}

impl<T> Match<'_, T> {
    /// The value called `name`. Keywords without a name of their own are found
    /// under their text.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.captures
            .iter()
            .find(|capture| capture.name == name)
            .map(|capture| &capture.value)
    }

    /// Whether the line has the value or keyword.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The index of the word that the value was read from.
    pub fn word_of(&self, name: &str) -> Option<usize> {
        self.captures
            .iter()
            .find(|capture| capture.name == name)
            .map(|capture| capture.word)
    }

    /// The index of the word where a text with a control character starts, if
    /// a value is one.
    pub fn unprintable(&self) -> Option<usize> {
        let bad = |text: &str| text.chars().any(char::is_control);
        self.captures
            .iter()
            .find(|capture| capture.value.text().is_some_and(bad))
            .map(|capture| capture.word)
    }

    /// The value as an address.
    pub fn address(&self, name: &str) -> Option<IpAddr> {
        self.get(name)?.address()
    }

    /// The value as text: keywords, words and lines.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.text()
    }

    /// The value as a number that fits `N`.
    pub fn number<N: TryFrom<u64>>(&self, name: &str) -> Option<N> {
        N::try_from(self.get(name)?.number()?).ok()
    }
}

/// What was found below a node.
struct Found<'g, T> {
    complete: Vec<Vec<&'g Node<T>>>,
    /// Paths that used up the line in the middle of a command.
    partial: Vec<Vec<&'g Node<T>>>,
    /// The furthest word that fitted nowhere, and the nodes whose children would
    /// have.
    stuck: (usize, Vec<&'g Node<T>>),
}

impl<T: Clone> Node<T> {
    pub(super) fn root() -> Self {
        Self::new(
            &Step {
                kind: TokenKind::Line,
                name: None,
            },
            true,
        )
    }

    fn new(step: &Step, visible: bool) -> Self {
        Self {
            kind: step.kind,
            help: "",
            name: step.name,
            visible,
            children: Vec::new(),
            end: None,
        }
    }

    pub(super) fn insert(&mut self, steps: &[Step], payload: &T, visible: bool) {
        let names: Vec<_> = steps.iter().map(|step| step.name).collect();
        self.insert_rest(steps, &names, payload, visible);
    }

    fn insert_rest(
        &mut self,
        steps: &[Step],
        names: &[Option<&'static str>],
        payload: &T,
        visible: bool,
    ) {
        let Some((step, rest)) = steps.split_first() else {
            // The first declaration of a command stays.
            let end = || End {
                payload: payload.clone(),
                visible,
                names: names.to_vec(),
            };
            self.end.get_or_insert_with(end);
            return;
        };
        if !self.children.iter().any(|child| child.kind == step.kind) {
            self.children.push(Self::new(step, visible));
        }
        for child in self
            .children
            .iter_mut()
            .filter(|child| child.kind == step.kind)
        {
            child.visible |= visible;
            child.insert_rest(rest, names, payload, visible);
        }
    }

    /// Gives every node its help text from the longest key that ends its path.
    pub(super) fn explain(&mut self, glossary: &Glossary, path: &mut Vec<Cow<'static, str>>) {
        for child in &mut self.children {
            path.push(child.kind.text());
            child.help = glossary.text(path);
            child.explain(glossary, path);
            path.pop();
        }
    }

    pub(super) fn unexplained(&self, path: &mut Vec<String>, found: &mut Vec<String>) {
        for child in self.children.iter().filter(|child| child.visible) {
            path.push(child.kind.to_string());
            if child.help.is_empty() {
                found.push(path.join(" "));
            }
            child.unexplained(path, found);
            path.pop();
        }
    }

    pub(super) fn parse(&self, words: &[Word<'_>]) -> Result<Match<'_, T>, MatchError> {
        let found = self.search(words, 0);
        match found.complete.as_slice() {
            [path] => path.last().and_then(|node| node.end.as_ref()).map_or_else(
                || {
                    Err(MatchError::Incomplete {
                        word: words.len(),
                        expected: Vec::new(),
                    })
                },
                |end| {
                    Ok(Match {
                        payload: &end.payload,
                        captures: captures(path, end, words),
                    })
                },
            ),
            [] => Err(self.failure(&found, words.len())),
            several => Err(ambiguous(several)),
        }
    }

    fn failure(&self, found: &Found<'_, T>, length: usize) -> MatchError {
        match found.partial.as_slice() {
            [] => MatchError::Unknown {
                word: found.stuck.0,
                expected: wanted(&found.stuck.1),
            },
            [path] => MatchError::Incomplete {
                word: length,
                expected: path
                    .last()
                    .map_or_else(|| self.expected(), |node| node.expected()),
            },
            several => ambiguous(several),
        }
    }

    /// The tokens that may follow this node, as they are shown.
    pub(super) fn expected(&self) -> Vec<String> {
        let mut tokens: Vec<String> = self
            .children
            .iter()
            .filter(|child| child.visible)
            .map(|child| child.kind.to_string())
            .collect();
        tokens.sort();
        tokens.dedup();
        tokens
    }

    /// All ways to read `words` from `at` on below this node. A better rank
    /// that leads to a command hides the worse ones.
    fn search<'g>(&'g self, words: &[Word<'_>], at: usize) -> Found<'g, T> {
        let mut found = Found {
            complete: Vec::new(),
            partial: Vec::new(),
            stuck: (at, vec![self]),
        };
        let Some(word) = words.get(at) else {
            let list = if self.end.is_some() {
                &mut found.complete
            } else {
                &mut found.partial
            };
            list.push(Vec::new());
            return found;
        };
        for rank in Rank::ALL {
            let mut partial = Vec::new();
            for child in &self.children {
                if child.kind.read(word.text).map(|(rank, _)| rank) != Some(rank) {
                    continue;
                }
                let next = if child.kind == TokenKind::Line {
                    words.len()
                } else {
                    at + 1
                };
                let below = child.search(words, next);
                found
                    .complete
                    .extend(below.complete.into_iter().map(|path| led_by(child, path)));
                partial.extend(below.partial.into_iter().map(|path| led_by(child, path)));
                found.stuck = further(found.stuck, below.stuck);
            }
            if found.partial.is_empty() {
                found.partial = partial;
            }
            if !found.complete.is_empty() {
                return found;
            }
        }
        found
    }
}

fn led_by<'g, T>(first: &'g Node<T>, mut path: Vec<&'g Node<T>>) -> Vec<&'g Node<T>> {
    path.insert(0, first);
    path
}

type Stuck<'g, T> = (usize, Vec<&'g Node<T>>);

fn further<'g, T>(mut a: Stuck<'g, T>, mut b: Stuck<'g, T>) -> Stuck<'g, T> {
    match a.0.cmp(&b.0) {
        std::cmp::Ordering::Less => b,
        std::cmp::Ordering::Greater => a,
        std::cmp::Ordering::Equal => {
            a.1.append(&mut b.1);
            a
        }
    }
}

/// What may follow any of these nodes.
fn wanted<T: Clone>(nodes: &[&Node<T>]) -> Vec<String> {
    let mut expected: Vec<String> = nodes.iter().flat_map(|node| node.expected()).collect();
    if nodes.iter().any(|node| node.end.is_some()) {
        expected.push(CR.to_owned());
    }
    if nodes.len() > 1 {
        expected.sort();
        expected.dedup();
    }
    expected
}

/// The first word at which the paths differ, and what it may stand for.
fn ambiguous<T>(paths: &[Vec<&Node<T>>]) -> MatchError {
    let length = paths.iter().map(Vec::len).min().unwrap_or(0);
    for word in 0..length {
        let mut expected: Vec<String> = paths
            .iter()
            .filter_map(|path| path.get(word))
            .map(|node| node.kind.to_string())
            .collect();
        expected.sort();
        expected.dedup();
        if expected.len() > 1 {
            return MatchError::Ambiguous { word, expected };
        }
    }
    MatchError::Ambiguous {
        word: length,
        expected: Vec::new(),
    }
}

fn captures<T>(path: &[&Node<T>], end: &End<T>, words: &[Word<'_>]) -> Vec<Capture> {
    // Names that the pattern gives come before the texts of keywords, which
    // may be the same: `shutdown message LINE...$message`.
    let (mut named, mut keywords) = (Vec::new(), Vec::new());
    for (word, (node, name)) in path.iter().zip(&end.names).enumerate() {
        let value = if node.kind == TokenKind::Line {
            let rest: Vec<&str> = words.iter().skip(word).map(|word| word.text).collect();
            Some(Value::Line(rest.join(" ")))
        } else {
            words
                .get(word)
                .and_then(|word| node.kind.read(word.text))
                .map(|(_, value)| value)
        };
        if let Some(value) = value {
            match name {
                Some(name) => named.push(Capture {
                    name: (*name).to_owned(),
                    word,
                    value,
                }),
                None => keywords.push(Capture {
                    name: node.kind.to_string(),
                    word,
                    value,
                }),
            }
        }
    }
    named.append(&mut keywords);
    named
}
