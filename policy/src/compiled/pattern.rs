//! Regular expressions as they stand in AS-path and community lists: POSIX
//! extended ones with what the GNU library adds, but for references back, and
//! with `_` for a delimiter, the beginning or the end.
//!
//! They are rewritten for an engine that runs automata, so that no text takes
//! longer than its length.

use core::fmt;
use core::iter::Peekable;
use core::str::CharIndices;

use regex::bytes::{Regex, RegexBuilder};

/// An expression that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError {
    /// Where, counted in characters from 1.
    pub column: usize,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.reason)
    }
}

impl std::error::Error for PatternError {}

/// A compiled expression. Two are equal where their texts are.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    automaton: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.text == other.text
    }
}

/// Octets of automaton that one expression may take.
const SIZE_LIMIT: usize = 1 << 20;
/// The highest count in braces.
const COUNT_MAX: u32 = 255;
/// How deep parentheses may be.
const DEPTH_MAX: usize = 100;
/// What `_` means.
const DELIMITER: &str = "(?:^|[,{}() ]|$)";

// ===== impl Pattern =====

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    ///
    /// It is not well formed, refers back (`\1`), or is too large.
    pub fn new(text: &str) -> Result<Pattern, PatternError> {
        let translated = Translator::translate(text)?;
        let automaton = RegexBuilder::new(&translated)
            .unicode(false)
            .dot_matches_new_line(true)
            .size_limit(SIZE_LIMIT)
            .build()
            .map_err(|error| PatternError {
                column: 1,
                reason: match error {
                    regex::Error::CompiledTooBig(_) => "the expression is too large".to_owned(),
                    other => other.to_string(),
                },
            })?;
        Ok(Pattern {
            text: text.to_owned(),
            automaton,
        })
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is found anywhere in a text.
    pub fn matches(&self, text: &str) -> bool {
        self.automaton.is_match(text.as_bytes())
    }
}

// ===== translation =====

struct Translator<'a> {
    left: Peekable<CharIndices<'a>>,
    text: &'a str,
    out: String,
    depth: usize,
}

impl<'a> Translator<'a> {
    fn translate(text: &'a str) -> Result<String, PatternError> {
        let mut translator = Translator {
            left: text.char_indices().peekable(),
            text,
            out: String::with_capacity(text.len() * 2),
            depth: 0,
        };
        translator.alternatives()?;
        Ok(translator.out)
    }

    fn peek(&mut self) -> Option<char> {
        self.left.peek().map(|(_, c)| *c)
    }

    fn next(&mut self) -> Option<char> {
        self.left.next().map(|(_, c)| c)
    }

    /// An error at what comes next.
    fn error(&mut self, reason: &str) -> PatternError {
        let at = self.left.peek().map_or(self.text.len(), |(at, _)| *at);
        let before = self.text.get(..at).unwrap_or(self.text);
        PatternError {
            column: before.chars().count() + 1,
            reason: reason.to_owned(),
        }
    }

    fn alternatives(&mut self) -> Result<(), PatternError> {
        loop {
            self.branch()?;
            if self.peek() != Some('|') {
                return Ok(());
            }
            self.next();
            self.out.push('|');
        }
    }

    fn branch(&mut self) -> Result<(), PatternError> {
        while let Some(c) = self.peek() {
            // A parenthesis that closes nothing stands for itself.
            if c == '|' || (c == ')' && self.depth > 0) {
                break;
            }
            if matches!(c, '*' | '+' | '?' | '{') {
                return Err(self.error("there is nothing to repeat"));
            }
            if matches!(c, '^' | '$') {
                self.next();
                self.out.push(c);
                // An anchor can't be repeated.
                continue;
            }
            let from = self.out.len();
            self.atom(c)?;
            while let Some(count) = self.repetition()? {
                self.out.insert_str(from, "(?:");
                self.out.push(')');
                self.out.push_str(&count);
            }
        }
        Ok(())
    }

    fn atom(&mut self, first: char) -> Result<(), PatternError> {
        match first {
            '(' => return self.group(),
            '[' => return self.bracket(),
            '\\' => return self.escape(),
            '_' => self.out.push_str(DELIMITER),
            '.' => self.out.push('.'),
            c => self.literal(c),
        }
        self.next();
        Ok(())
    }

    fn literal(&mut self, c: char) {
        let mut buffer = [0; 4];
        let text = c.encode_utf8(&mut buffer);
        if c.is_ascii() {
            self.out.push_str(&regex::escape(text));
            return;
        }
        // Texts that are matched have none of these.
        text.bytes().for_each(|byte| self.octet(byte));
    }

    fn octet(&mut self, byte: u8) {
        self.out.push_str(&format!("(?-u:\\x{byte:02x})"));
    }

    fn group(&mut self) -> Result<(), PatternError> {
        if self.depth >= DEPTH_MAX {
            return Err(self.error("too many parentheses within each other"));
        }
        let opened = self.error("this parenthesis is not closed");
        self.next();
        self.depth += 1;
        self.out.push_str("(?:");
        self.alternatives()?;
        self.depth -= 1;
        if self.next() != Some(')') {
            return Err(opened);
        }
        self.out.push(')');
        Ok(())
    }

    fn escape(&mut self) -> Result<(), PatternError> {
        let at = self.error("a backslash at the end");
        self.next();
        match self.peek() {
            None => return Err(at),
            Some('1'..='9') => return Err(self.error("references back are not supported")),
            Some(c @ ('w' | 'W' | 's' | 'S' | 'b' | 'B')) => {
                self.out.push('\\');
                self.out.push(c);
            }
            Some('<') => self.out.push_str(r"\b{start}"),
            Some('>') => self.out.push_str(r"\b{end}"),
            Some('`') => self.out.push_str(r"\A"),
            Some('\'') => self.out.push_str(r"\z"),
            Some(c) => self.literal(c),
        }
        self.next();
        Ok(())
    }

    /// `*`, `+`, `?` or a count in braces, if there is one.
    fn repetition(&mut self) -> Result<Option<String>, PatternError> {
        match self.peek() {
            Some(c @ ('*' | '+' | '?')) => {
                self.next();
                Ok(Some(c.to_string()))
            }
            Some('{') => self.count().map(Some),
            _ => Ok(None),
        }
    }

    fn count(&mut self) -> Result<String, PatternError> {
        let opened = self.error("not a count: '{N}', '{N,}', '{,M}' or '{N,M}'");
        self.next();
        let min = self.number()?;
        let (min, max) = match self.next() {
            Some('}') => {
                let min = min.ok_or(opened)?;
                return Ok(format!("{{{min}}}"));
            }
            Some(',') => (min, self.number()?),
            _ => return Err(opened),
        };
        if self.next() != Some('}') || max.is_some_and(|max| max < min.unwrap_or(0)) {
            return Err(opened);
        }
        let max = max.map(|max| max.to_string()).unwrap_or_default();
        Ok(format!("{{{},{max}}}", min.unwrap_or(0)))
    }

    fn number(&mut self) -> Result<Option<u32>, PatternError> {
        let mut number = None;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            let so_far: u32 = number.unwrap_or(0);
            let next = so_far * 10 + digit;
            if next > COUNT_MAX {
                return Err(self.error("a count of more than 255"));
            }
            number = Some(next);
            self.next();
        }
        Ok(number)
    }

    // ===== brackets =====

    fn bracket(&mut self) -> Result<(), PatternError> {
        let opened = self.error("this bracket is not closed");
        self.next();
        let not = self.peek() == Some('^');
        if not {
            self.next();
        }
        let mut set = [false; 256];
        let mut is_first = true;
        loop {
            match self.peek() {
                None => return Err(opened),
                Some(']') if !is_first => break,
                Some(_) => self.bracket_item(&mut set)?,
            }
            is_first = false;
        }
        self.next();
        self.out.push_str("(?-u:[");
        for (byte, is_in) in (0..=u8::MAX).zip(set) {
            if is_in != not {
                self.out.push_str(&format!("\\x{byte:02x}"));
            }
        }
        self.out.push_str("])");
        Ok(())
    }

    fn bracket_item(&mut self, set: &mut [bool; 256]) -> Result<(), PatternError> {
        let mut ahead = self.left.clone();
        ahead.next();
        if self.peek() == Some('[') && ahead.peek().is_some_and(|(_, c)| *c == ':') {
            return self.class(set);
        }
        let from = self.bracket_char()?;
        let mut ahead = self.left.clone();
        let is_range = ahead.next().is_some_and(|(_, c)| c == '-')
            && ahead.next().is_some_and(|(_, c)| c != ']');
        let to = match is_range {
            true => {
                self.next();
                self.bracket_char()?
            }
            false => from,
        };
        if from > to {
            return Err(self.error("the range ends before it begins"));
        }
        let range = usize::from(from)..=usize::from(to);
        set.iter_mut()
            .take(range.end() + 1)
            .skip(*range.start())
            .for_each(|is_in| *is_in = true);
        Ok(())
    }

    /// A character of a bracket: itself, `[.x.]` or `[=x=]`.
    fn bracket_char(&mut self) -> Result<u8, PatternError> {
        let error = self.error("only ASCII characters can stand in brackets");
        let first = self.next();
        let mut ahead = self.left.clone();
        let kind = ahead.next().map(|(_, c)| c);
        let one = ahead.next().map(|(_, c)| c);
        let is_named = first == Some('[')
            && matches!(kind, Some('.' | '='))
            && ahead.next().map(|(_, c)| c) == kind
            && ahead.next().is_some_and(|(_, c)| c == ']');
        let c = match is_named {
            true => {
                self.left = ahead;
                one
            }
            false => first,
        };
        let ascii = c.filter(char::is_ascii);
        ascii.and_then(|c| u8::try_from(c).ok()).ok_or(error)
    }

    fn class(&mut self, set: &mut [bool; 256]) -> Result<(), PatternError> {
        let error = self.error("no such class of characters");
        let mut name = String::new();
        self.next();
        self.next();
        while let Some(c) = self.peek().filter(char::is_ascii_lowercase) {
            name.push(c);
            self.next();
        }
        if (self.next(), self.next()) != (Some(':'), Some(']')) {
            return Err(error);
        }
        let is_in: fn(&u8) -> bool = match name.as_str() {
            "alnum" => u8::is_ascii_alphanumeric,
            "alpha" => u8::is_ascii_alphabetic,
            "blank" => |c| matches!(c, b' ' | b'\t'),
            "cntrl" => u8::is_ascii_control,
            "digit" => u8::is_ascii_digit,
            "graph" => u8::is_ascii_graphic,
            "lower" => u8::is_ascii_lowercase,
            "print" => |c| matches!(c, b' '..=b'~'),
            "punct" => u8::is_ascii_punctuation,
            "space" => |c| matches!(c, b' ' | b'\t'..=b'\r'),
            "upper" => u8::is_ascii_uppercase,
            "xdigit" => u8::is_ascii_hexdigit,
            _ => return Err(error),
        };
        for (byte, place) in (0..=u8::MAX).zip(set) {
            *place |= is_in(&byte);
        }
        Ok(())
    }
}
