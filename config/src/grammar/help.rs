//! `?` and TAB: what may follow a line.

use super::pattern::{Rank, TokenKind};
use super::tree::{CR, MatchError, Node};
use super::{Word, words};

/// One line of help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelpItem {
    /// The token as it is shown: a keyword, `A.B.C.D`, `<cr>`, ...
    pub token: String,
    /// What it means; empty for `<cr>`.
    pub text: String,
    /// What the token accepts; `None` for `<cr>`.
    pub kind: Option<TokenKind>,
    /// The name of the value, for asking which ones there are.
    pub name: Option<String>,
}

/// A place in a line where a value is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Slot<'g> {
    /// What the token accepts.
    pub kind: &'g TokenKind,
    /// The name of the value in the command's pattern.
    pub name: Option<&'g str>,
    /// The words of the line before the place.
    pub before: &'g [Word<'g>],
}

/// A word that completes a line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The whole word.
    pub word: String,
    /// What it means.
    pub help: String,
}

/// Splits a line into its finished words and the unfinished one.
fn split(line: &str) -> (Vec<Word<'_>>, &str) {
    let mut words = words(line);
    if line.ends_with(char::is_whitespace) {
        return (words, "");
    }
    let last = words.pop().map_or("", |word| word.text);
    (words, last)
}

/// The nodes that the finished words lead to. There are several only when a
/// word fits several value tokens equally well.
fn follow<'g, T: Clone>(
    root: &'g Node<T>,
    finished: &[Word<'_>],
) -> Result<Vec<&'g Node<T>>, MatchError> {
    let mut nodes = vec![root];
    for (index, word) in finished.iter().enumerate() {
        if nodes
            .iter()
            .any(|node| index > 0 && node.kind == TokenKind::Line)
        {
            return Ok(nodes);
        }
        let rank_of = |node: &Node<T>| node.kind.read(word.text).map(|(rank, _)| rank);
        let children: Vec<&'g Node<T>> = nodes.iter().flat_map(|node| &node.children).collect();
        let Some(best) = children.iter().filter_map(|child| rank_of(child)).max() else {
            let expected = nodes.iter().flat_map(|node| node.expected()).collect();
            return Err(MatchError::Unknown {
                word: index,
                expected,
            });
        };
        nodes = children
            .into_iter()
            .filter(|child| rank_of(child) == Some(best))
            .collect();
        if best == Rank::KeywordPrefix && nodes.len() > 1 {
            let mut expected: Vec<String> =
                nodes.iter().map(|node| node.kind.to_string()).collect();
            expected.sort();
            return Err(MatchError::Ambiguous {
                word: index,
                expected,
            });
        }
    }
    Ok(nodes)
}

/// What fits the unfinished word below `nodes`, in the order it is shown.
fn next<'g, T>(nodes: &[&'g Node<T>], unfinished: &str) -> Vec<&'g Node<T>> {
    let mut next: Vec<&'g Node<T>> = nodes
        .iter()
        .flat_map(|node| &node.children)
        .filter(|child| child.visible && child.kind.may_start_with(unfinished))
        .collect();
    next.sort_by_cached_key(|node| node.kind.to_string());
    next.dedup_by(|a, b| a.kind == b.kind);
    next
}

pub(super) fn help<T: Clone>(root: &Node<T>, line: &str) -> Result<Vec<HelpItem>, MatchError> {
    let (finished, unfinished) = split(line);
    let nodes = follow(root, &finished)?;
    let mut items = Vec::new();
    let executable = nodes
        .iter()
        .any(|node| node.end.as_ref().is_some_and(|end| end.visible));
    if unfinished.is_empty() && executable {
        items.push(HelpItem {
            token: CR.to_owned(),
            text: String::new(),
            kind: None,
            name: None,
        });
    }
    let in_line = nodes
        .iter()
        .filter(|node| !finished.is_empty() && node.kind == TokenKind::Line);
    for node in in_line.copied().chain(next(&nodes, unfinished)) {
        items.push(HelpItem {
            token: node.kind.to_string(),
            text: node.help.to_owned(),
            kind: Some(node.kind),
            name: node.name.map(str::to_owned),
        });
    }
    if items.is_empty() {
        let expected = nodes.iter().flat_map(|node| node.expected()).collect();
        return Err(MatchError::Unknown {
            word: finished.len(),
            expected,
        });
    }
    Ok(items)
}

pub(super) fn complete<T, F>(root: &Node<T>, line: &str, mut values: F) -> Vec<Candidate>
where
    T: Clone,
    F: FnMut(&Slot<'_>) -> Vec<String>,
{
    let (finished, unfinished) = split(line);
    let Ok(nodes) = follow(root, &finished) else {
        return Vec::new();
    };
    let mut candidates = Vec::new();
    let below = nodes
        .iter()
        .flat_map(|node| &node.children)
        .filter(|child| child.visible);
    for node in below {
        let words = match &node.kind {
            TokenKind::Keyword(keyword) => vec![(*keyword).to_owned()],
            kind => values(&Slot {
                kind,
                name: node.name,
                before: &finished,
            }),
        };
        let fitting = words
            .into_iter()
            .filter(|word| word.starts_with(unfinished));
        candidates.extend(fitting.map(|word| Candidate {
            word,
            help: node.help.to_owned(),
        }));
    }
    candidates.sort();
    candidates.dedup_by(|a, b| a.word == b.word);
    candidates
}
