//! Values of a TOML file with their places, and errors about them.

use std::ops::{Range, RangeInclusive};
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::ConfigError;
use crate::grammar::nearest_word;
use crate::instances::InstanceName;
use crate::load::{Leniency, Parsed};
use crate::model::Config;
use crate::validate::Subject;

/// Collects what is wrong, and where things are.
pub(super) struct Sink<'t> {
    name: &'t str,
    text: &'t str,
    leniency: Leniency,
    parsed: Parsed,
    /// The instance that is being read.
    pub(super) instance: InstanceName,
}

impl<'t> Sink<'t> {
    pub(super) fn new(name: &'t str, text: &'t str, leniency: Leniency) -> Self {
        Self {
            name,
            text,
            leniency,
            parsed: Parsed::default(),
            instance: InstanceName::Default,
        }
    }

    /// How many errors there are so far.
    pub(super) fn errors(&self) -> usize {
        self.parsed.errors.len()
    }

    pub(super) fn finish(mut self, config: Config) -> Parsed {
        self.parsed.config = config;
        self.parsed
            .errors
            .sort_by_key(|error| (error.line, error.column));
        self.parsed
            .warnings
            .sort_by_key(|error| (error.line, error.column));
        self.parsed
    }

    /// Line and column of a byte offset, both counted from 1.
    fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(start..).map_or(0, |text| text.chars().count()) + 1;
        (line, column)
    }

    fn at(&self, span: &Range<usize>, message: &str) -> ConfigError {
        let (line, column) = self.line_and_column(span.start);
        ConfigError {
            line,
            column,
            ..ConfigError::of_file(self.name, message)
        }
    }

    pub(super) fn place(&mut self, subject: Subject, span: Range<usize>) {
        let (line, column) = self.line_and_column(span.start);
        let places = &mut self.parsed.places;
        places.note(&self.instance, subject, (line, column));
    }

    pub(super) fn syntax(&mut self, error: &toml::de::Error) {
        let span = error.span().unwrap_or(0..0);
        let error = self.at(&span, error.message().lines().next().unwrap_or_default());
        self.parsed.errors.push(error);
    }

    pub(super) fn error(&mut self, span: Range<usize>, message: &str) {
        let error = self.at(&span, message);
        self.parsed.errors.push(error);
    }

    pub(super) fn expected(&mut self, span: Range<usize>, message: &str, expected: &[&str]) {
        let expected = expected.iter().map(|text| (*text).to_owned()).collect();
        let error = ConfigError {
            expected,
            ..self.at(&span, message)
        };
        self.parsed.errors.push(error);
    }

    /// A key that no row reads: a warning for the lenient.
    pub(super) fn unknown_key(&mut self, key: &str, span: Range<usize>, known: &[&str]) {
        let nearest = nearest_word(key, known.iter().copied()).map(str::to_owned);
        let expected = known.iter().map(|text| (*text).to_owned()).collect();
        let message = format!("unknown key \"{key}\"");
        let error = ConfigError {
            nearest,
            expected,
            ..self.at(&span, &message)
        };
        match self.leniency {
            Leniency::Strict => self.parsed.errors.push(error),
            Leniency::Lenient => self.parsed.warnings.push(error),
        }
    }
}

/// A value that is being read. Each method takes one kind of value, and
/// reports everything else.
pub(super) struct Item<'v, 'i, 's, 't> {
    pub(super) value: &'v Spanned<DeValue<'i>>,
    pub(super) sink: &'s mut Sink<'t>,
}

impl<'v, 'i, 't> Item<'v, 'i, '_, 't> {
    /// Says what was found and what was expected.
    pub(super) fn wrong<T>(&mut self, expected: &[&str]) -> Option<T> {
        let found = match self.value.get_ref() {
            DeValue::String(text) => format!("\"{text}\""),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            DeValue::Boolean(on) => on.to_string(),
            DeValue::Datetime(date) => date.to_string(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        };
        self.sink.expected(
            self.value.span(),
            &format!("{found} does not fit here"),
            expected,
        );
        None
    }

    pub(super) fn table(&mut self) -> Option<&'v DeTable<'i>> {
        match self.value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => self.wrong(&["a table"]),
        }
    }

    /// The items of a list, one after the other.
    pub(super) fn list(&mut self) -> Vec<&'v Spanned<DeValue<'i>>> {
        match self.value.get_ref() {
            DeValue::Array(items) => items.iter().collect(),
            _ => self.wrong(&["a list"]).unwrap_or_default(),
        }
    }

    /// The same sink for another value.
    pub(super) fn other<'b>(&'b mut self, value: &'v Spanned<DeValue<'i>>) -> Item<'v, 'i, 'b, 't> {
        Item {
            value,
            sink: self.sink,
        }
    }

    pub(super) fn as_bool(&self) -> Option<bool> {
        self.value.get_ref().as_bool()
    }

    pub(super) fn as_text(&self) -> Option<&'v str> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(text.as_ref()),
            _ => None,
        }
    }

    /// The number, if the value is one inside of `range`.
    pub(super) fn as_number<N: FromStr + PartialOrd>(
        &self,
        range: &RangeInclusive<N>,
    ) -> Option<N> {
        let DeValue::Integer(number) = self.value.get_ref() else {
            return None;
        };
        if number.radix() != 10 {
            return None;
        }
        number
            .as_str()
            .parse::<N>()
            .ok()
            .filter(|number| range.contains(number))
    }

    pub(super) fn boolean(&mut self) -> Option<bool> {
        self.as_bool().or_else(|| self.wrong(&["true", "false"]))
    }

    pub(super) fn number<N: FromStr + PartialOrd + std::fmt::Display>(
        &mut self,
        range: RangeInclusive<N>,
    ) -> Option<N> {
        self.as_number(&range).or_else(|| {
            self.wrong(&[&format!(
                "a number from {} to {}",
                range.start(),
                range.end()
            )])
        })
    }

    pub(super) fn text(&mut self) -> Option<String> {
        self.as_text()
            .map(str::to_owned)
            .or_else(|| self.wrong(&["text in quotes"]))
    }

    /// Text that reads as a `V`.
    pub(super) fn parsed<V: FromStr>(&mut self, expected: &str) -> Option<V> {
        let value = self.as_text().and_then(|text| text.parse().ok());
        value.or_else(|| self.wrong(&[expected]))
    }

    /// One of a set of words.
    pub(super) fn one_of<V: Copy>(&mut self, known: &[(&str, V)]) -> Option<V> {
        let text = self.as_text();
        let found = known
            .iter()
            .find(|(word, _)| Some(*word) == text)
            .map(|(_, value)| *value);
        found.or_else(|| {
            let quoted: Vec<String> = known
                .iter()
                .map(|(word, _)| format!("\"{word}\""))
                .collect();
            self.wrong(&quoted.iter().map(String::as_str).collect::<Vec<_>>())
        })
    }
}
