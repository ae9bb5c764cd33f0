//! The text in which commands are declared, and what its tokens match.
//!
//! ```text
//! keyword            a literal word; any unique beginning of it is enough
//! A.B.C.D            an IPv4 address       A.B.C.D/M    an IPv4 prefix
//! X:X::X:X           an IPv6 address       X:X::X:X/M   an IPv6 prefix
//! (1-255)            a number in a range
//! WORD, NAME, ...    one word: any token written in capitals
//! LINE...            the rest of the line
//! <a|b c>            one of these           [a|b c]     one of these, or none
//! {a|b c}            any of these, in any order, each at most once
//! token$name         the name under which the value is found after a match
//! ```

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// What a token of a command accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A literal word.
    Keyword(&'static str),
    /// `A.B.C.D`.
    Ipv4,
    /// `A.B.C.D/M`.
    Ipv4Prefix,
    /// `X:X::X:X`.
    Ipv6,
    /// `X:X::X:X/M`.
    Ipv6Prefix,
    /// `(low-high)`, both ends included.
    Range(u64, u64),
    /// One word of any kind, shown under this name.
    Word(&'static str),
    /// The rest of the line.
    Line,
}

impl TokenKind {
    /// As it is shown.
    pub(super) fn text(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Keyword(text) | Self::Word(text) => text,
            Self::Ipv4 => "A.B.C.D",
            Self::Ipv4Prefix => "A.B.C.D/M",
            Self::Ipv6 => "X:X::X:X",
            Self::Ipv6Prefix => "X:X::X:X/M",
            Self::Range(low, high) => return Cow::Owned(format!("({low}-{high})")),
            Self::Line => "LINE...",
        })
    }
}

impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// A value read from a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// The whole keyword, however short it was typed.
    Keyword(String),
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// An IPv4 prefix, host bits as typed.
    Ipv4Prefix(Ipv4Net),
    /// An IPv6 address.
    Ipv6(Ipv6Addr),
    /// An IPv6 prefix, host bits as typed.
    Ipv6Prefix(Ipv6Net),
    /// A number inside of its range.
    Number(u64),
    /// One word.
    Word(String),
    /// The rest of the line, words separated by single blanks.
    Line(String),
}

impl Value {
    /// The address, when the value is one.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Ipv4(address) => Some(IpAddr::V4(*address)),
            Self::Ipv6(address) => Some(IpAddr::V6(*address)),
            _ => None,
        }
    }

    /// The text, when the value is a keyword, a word or a line.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Keyword(text) | Self::Word(text) | Self::Line(text) => Some(text),
            _ => None,
        }
    }

    /// The number, when the value is one.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}

/// How well a word fits a token; the greater wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Line,
    Word,
    Typed,
    KeywordPrefix,
    Keyword,
}

impl Rank {
    /// From the best to the worst.
    pub(super) const ALL: [Self; 5] = [
        Self::Keyword,
        Self::KeywordPrefix,
        Self::Typed,
        Self::Word,
        Self::Line,
    ];
}

impl TokenKind {
    /// How well `word` fits, and the value it has; `None` if not at all.
    /// A [`TokenKind::Line`] gets the rest of the line as its word.
    pub(super) fn read(&self, word: &str) -> Option<(Rank, Value)> {
        let typed = |value| Some((Rank::Typed, value));
        match self {
            Self::Keyword(keyword) if word == *keyword => {
                Some((Rank::Keyword, Value::Keyword((*keyword).to_owned())))
            }
            Self::Keyword(keyword) if !word.is_empty() && keyword.starts_with(word) => {
                Some((Rank::KeywordPrefix, Value::Keyword((*keyword).to_owned())))
            }
            Self::Keyword(_) => None,
            Self::Ipv4 => typed(Value::Ipv4(word.parse().ok()?)),
            Self::Ipv4Prefix => typed(Value::Ipv4Prefix(word.parse().ok()?)),
            Self::Ipv6 => typed(Value::Ipv6(word.parse().ok()?)),
            Self::Ipv6Prefix => typed(Value::Ipv6Prefix(word.parse().ok()?)),
            Self::Range(low, high) => {
                let digits = word.bytes().all(|byte| byte.is_ascii_digit());
                let number = word.parse::<u64>().ok().filter(|_| digits)?;
                (*low..=*high)
                    .contains(&number)
                    .then_some((Rank::Typed, Value::Number(number)))
            }
            Self::Word(_) => (!word.is_empty()).then(|| (Rank::Word, Value::Word(word.to_owned()))),
            Self::Line => (!word.is_empty()).then(|| (Rank::Line, Value::Line(word.to_owned()))),
        }
    }

    /// Whether `beginning` could still become a word that fits.
    pub(super) fn may_start_with(&self, beginning: &str) -> bool {
        if beginning.is_empty() || self.read(beginning).is_some() {
            return true;
        }
        let only = |allowed: &str| {
            beginning
                .chars()
                .all(|c| c.is_ascii_digit() || allowed.contains(c))
        };
        match self {
            Self::Ipv4 => only("."),
            Self::Ipv4Prefix => only("./"),
            Self::Ipv6 => beginning
                .chars()
                .all(|c| c.is_ascii_hexdigit() || ":.".contains(c)),
            Self::Ipv6Prefix => beginning
                .chars()
                .all(|c| c.is_ascii_hexdigit() || ":./".contains(c)),
            Self::Range(_, high) => only("") && beginning.len() <= high.to_string().len(),
            Self::Keyword(_) | Self::Word(_) | Self::Line => false,
        }
    }
}

/// A pattern that cannot be read: a mistake in the program that declared it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("command pattern `{pattern}`: {problem}")]
pub struct PatternError {
    /// The pattern as declared.
    pub pattern: String,
    /// What is wrong with it.
    pub problem: String,
}

/// One token of a command without choices, with the name of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) kind: TokenKind,
    pub(super) name: Option<&'static str>,
}

/// Reads a pattern into every sequence of tokens that it stands for.
pub(super) fn sequences(pattern: &'static str) -> Result<Vec<Vec<Step>>, PatternError> {
    let mut reader = Reader { rest: pattern };
    let result = reader.alternatives(None).and_then(|sequences| {
        if reader.rest.is_empty() {
            Ok(sequences)
        } else {
            Err("unbalanced brackets".to_owned())
        }
    });
    result.map_err(|problem| PatternError {
        pattern: pattern.to_owned(),
        problem,
    })
}

struct Reader {
    rest: &'static str,
}

impl Reader {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, expected: char) -> bool {
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Sequences separated by `|`, up to the closing bracket.
    fn alternatives(&mut self, close: Option<char>) -> Result<Vec<Vec<Step>>, String> {
        let mut all = self.sequence()?;
        while self.take('|') {
            all.extend(self.sequence()?);
        }
        match close {
            Some(close) if !self.take(close) => Err(format!("no closing `{close}`")),
            _ => Ok(all),
        }
    }

    fn sequence(&mut self) -> Result<Vec<Vec<Step>>, String> {
        let mut all = vec![Vec::new()];
        loop {
            self.skip_blanks();
            let choices = match self.rest.chars().next() {
                None | Some('|' | '>' | ']' | '}') => return Ok(all),
                Some('<') => self.group('<', '>')?,
                Some('[') => {
                    let mut choices = self.group('[', ']')?;
                    choices.push(Vec::new());
                    choices
                }
                Some('{') => in_any_order(&self.group('{', '}')?),
                Some(_) => vec![vec![self.token()?]],
            };
            all = all
                .iter()
                .flat_map(|head| {
                    choices
                        .iter()
                        .map(move |tail| [head.clone(), tail.clone()].concat())
                })
                .collect();
        }
    }

    fn group(&mut self, open: char, close: char) -> Result<Vec<Vec<Step>>, String> {
        self.take(open);
        let mut choices = self.alternatives(Some(close))?;
        if let Some(name) = self.name() {
            for step in choices.iter_mut().flatten() {
                step.name.get_or_insert(name);
            }
        }
        Ok(choices)
    }

    fn token(&mut self) -> Result<Step, String> {
        let text = self.word(MARKS);
        let kind = token_kind(text)?;
        Ok(Step {
            kind,
            name: self.name(),
        })
    }

    fn name(&mut self) -> Option<&'static str> {
        self.take('$').then(|| self.word(MARKS))
    }

    fn word(&mut self, stop: &str) -> &'static str {
        let end = self
            .rest
            .find(|c: char| c.is_whitespace() || stop.contains(c))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }
}

/// What ends a word of a pattern.
const MARKS: &str = "<>[]{}|$";

/// The choices of `{a|b}`: each selection of them in each order, none as well.
fn in_any_order(choices: &[Vec<Step>]) -> Vec<Vec<Step>> {
    let mut all = vec![Vec::new()];
    for (index, first) in choices.iter().enumerate() {
        let mut others = choices.to_vec();
        others.remove(index);
        for rest in in_any_order(&others) {
            all.push([first.clone(), rest].concat());
        }
    }
    all
}

fn token_kind(text: &'static str) -> Result<TokenKind, String> {
    Ok(match text {
        "" => return Err("empty token".to_owned()),
        "A.B.C.D" => TokenKind::Ipv4,
        "A.B.C.D/M" => TokenKind::Ipv4Prefix,
        "X:X::X:X" => TokenKind::Ipv6,
        "X:X::X:X/M" => TokenKind::Ipv6Prefix,
        "LINE..." => TokenKind::Line,
        _ if text.starts_with('(') => range(text).ok_or(format!("bad range `{text}`"))?,
        _ if is_capitals(text) => TokenKind::Word(text),
        _ => TokenKind::Keyword(text),
    })
}

fn range(text: &str) -> Option<TokenKind> {
    let (low, high) = text.strip_prefix('(')?.strip_suffix(')')?.split_once('-')?;
    let (low, high) = (low.parse().ok()?, high.parse().ok()?);
    (low <= high).then_some(TokenKind::Range(low, high))
}

fn is_capitals(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || "_:-".contains(c))
}

/// The pattern as people read it: without the names of values.
pub(super) fn without_names(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len());
    let mut in_name = false;
    for c in pattern.chars() {
        match c {
            '$' => in_name = true,
            _ if in_name && (c.is_alphanumeric() || c == '_') => {}
            _ => {
                in_name = false;
                text.push(c);
            }
        }
    }
    text
}
