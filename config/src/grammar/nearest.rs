//! "Did you mean": the nearest word and the nearest command.

use super::pattern::{self, Step, TokenKind};
use super::{Declared, Word};

/// How many letters must be inserted, removed, replaced or swapped with their
/// neighbor to make `b` of `a`.
pub fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
            let replaced = at(&last, j) + usize::from(x != y);
            let mut best = replaced.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&before_last, j - 1) + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

/// How far a mistyped `word` of that length may be from what was meant.
fn tolerance(word: &str) -> usize {
    (word.chars().count() / 3).max(1)
}

/// The one of `known` that `word` most likely meant, if one is close.
pub fn nearest_word<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= tolerance(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A value of the wrong type weighs as much as two wrong letters.
const WRONG_VALUE: usize = 2;
/// A word too many, or one that is missing.
const WRONG_LENGTH: usize = 1;

pub(super) fn command<'d>(
    declared: &'d [Declared],
    words: &[Word<'_>],
) -> Option<(usize, &'d str)> {
    // Looked for after a mistake only, so the sequences are not kept.
    let cost = |declared: &Declared| {
        let sequences = pattern::sequences(declared.pattern).unwrap_or_default();
        sequences
            .iter()
            .filter_map(|steps| cost(steps, words))
            .min()
    };
    declared
        .iter()
        .filter_map(|declared| Some((cost(declared)?, declared.text.as_str())))
        .min_by_key(|(cost, _)| *cost)
}

/// How far `words` are from the command; `None` when no one would mix them up.
fn cost(steps: &[Step], words: &[Word<'_>]) -> Option<usize> {
    let mut total = 0;
    let mut keywords = 0;
    let mut in_line = false;
    for (step, word) in steps.iter().zip(words) {
        match step.kind {
            TokenKind::Keyword(keyword) if keyword.starts_with(word.text) => keywords += 1,
            TokenKind::Keyword(keyword) => {
                let distance = distance(word.text, keyword);
                if distance > tolerance(keyword) {
                    return None;
                }
                keywords += 1;
                total += distance;
            }
            TokenKind::Line => in_line = true,
            value if value.read(word.text).is_none() => total += WRONG_VALUE,
            _ => {}
        }
    }
    if keywords == 0 {
        return None;
    }
    if !in_line {
        total += steps.len().abs_diff(words.len()) * WRONG_LENGTH;
    }
    Some(total)
}
