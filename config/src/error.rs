//! Errors and warnings with their place in the file.

use std::collections::HashMap;
use std::fmt;

use crate::frr::{LineError, LineErrorKind, MANY};
use crate::grammar::CR;
use crate::instances::InstanceName;
use crate::validate::{Problem, Subject};

/// Something wrong in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The name of the file as it was given.
    pub file: String,
    /// Line, counted from 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// Column, counted from 1; 0 when the line or file as a whole is meant.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What would have been right there.
    pub expected: Vec<String>,
    /// What was probably meant.
    pub nearest: Option<String>,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(f, "{}: {}", self.file, self.message)?,
            (line, 0) => write!(f, "{}:{line}: {}", self.file, self.message)?,
            (line, column) => write!(f, "{}:{line}:{column}: {}", self.file, self.message)?,
        }
        if let Some(nearest) = &self.nearest {
            return write!(f, "; did you mean \"{nearest}\"?");
        }
        let shown = |token: &String| match token.as_str() {
            CR => "the end of the line".to_owned(),
            token => token.to_owned(),
        };
        let expected: Vec<String> = self.expected.iter().map(shown).collect();
        match expected.as_slice() {
            [] => Ok(()),
            many if many.len() > MANY => Ok(()),
            [one] => write!(f, "; expected {one}"),
            [all @ .., last] => write!(f, "; expected {} or {last}", all.join(", ")),
        }
    }
}

impl ConfigError {
    /// An error about a file as a whole.
    pub fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            column: 0,
            message: message.into(),
            expected: Vec::new(),
            nearest: None,
        }
    }

    pub(crate) fn of_line(file: &str, line: usize, error: LineError) -> Self {
        let message = match &error.kind {
            LineErrorKind::Unknown => format!("unknown command \"{}\"", error.line),
            LineErrorKind::Ambiguous => format!("ambiguous command \"{}\"", error.line),
            LineErrorKind::Incomplete => format!("incomplete command \"{}\"", error.line),
            LineErrorKind::Rejected(message) => message.trim_end_matches('.').to_owned(),
        };
        Self {
            file: file.to_owned(),
            line,
            column: error.column,
            message,
            expected: error.expected,
            nearest: error.nearest,
        }
    }

    pub(crate) fn of_problem(file: &str, problem: Problem, places: &Places) -> Self {
        let (line, column) = places.of(&problem.instance, &problem.subject);
        Self {
            line,
            column,
            ..Self::of_file(file, problem.message)
        }
    }
}

/// Where in a file the subjects of problems were first named.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(HashMap<(InstanceName, Subject), (usize, usize)>);

impl Places {
    /// Notes the line and column of a subject, unless it has one already.
    pub(crate) fn note(
        &mut self,
        instance: &InstanceName,
        subject: Subject,
        (line, column): (usize, usize),
    ) {
        let subject = (instance.clone(), subject);
        self.0.entry(subject).or_insert((line, column));
    }

    /// The place of a subject, or of what it is in; (0, 0) if there is none.
    fn of(&self, instance: &InstanceName, subject: &Subject) -> (usize, usize) {
        let of = |subject: &Subject| self.0.get(&(instance.clone(), subject.clone()));
        of(subject)
            .or_else(|| of(&Subject::Bgp))
            .copied()
            .unwrap_or((0, 0))
    }
}
