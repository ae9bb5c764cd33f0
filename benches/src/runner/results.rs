//! The raw results: a file with one JSON object per run, only ever added to.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::daemons::Daemon;
use super::error::{Error, Result, io};
use super::machine::Machine;
use super::scenarios::Scenario;

/// One run of one daemon through one scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Which call of the runner it belongs to: the second since 1970 in which
    /// that began.
    pub batch: u64,
    /// What was run.
    pub scenario: Scenario,
    /// Who was in the middle.
    pub daemon: Daemon,
    /// Which of the daemon's settings or of the scenario's sizes; often empty.
    pub variant: String,
    /// What the program says of its version.
    pub version: String,
    /// Where it ran.
    pub machine: Machine,
    /// The load average of the last minute when it began.
    pub load_average: f64,
    /// Sizes were scaled down; such runs are in no report.
    pub quick: bool,
    /// What came out.
    pub outcome: Outcome,
}

/// What came out of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Outcome {
    /// It came to its end; the numbers by the keys of
    /// [`super::scenarios::Metric`].
    Done {
        /// The numbers.
        values: BTreeMap<String, f64>,
        /// Why some of them lack.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// It was left out, to save time.
    Skipped {
        /// Why.
        reason: String,
    },
    /// It did not come to its end.
    Failed {
        /// What happened.
        reason: String,
    },
    /// The daemon cannot do this.
    Impossible {
        /// Why.
        reason: String,
    },
}

/// The file with the records.
#[derive(Clone, Debug)]
pub struct Results {
    path: PathBuf,
}

impl Results {
    /// Names the file; it need not exist.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Creates the directories on the way to the file.
    ///
    /// # Errors
    ///
    /// One of them cannot be created.
    pub fn create_directory(&self) -> Result<()> {
        match self.path.parent() {
            Some(directory) => std::fs::create_dir_all(directory).map_err(io(directory)),
            None => Ok(()),
        }
    }

    /// Opens the file for adding to it, and creates it if it is not there, so
    /// that a path that cannot be written is known before anything is run.
    ///
    /// # Errors
    ///
    /// The file cannot be written, or it is a device, a pipe or a directory.
    pub fn check_writable(&self) -> Result<()> {
        self.exists()?;
        self.open().map(drop)
    }

    /// Adds a record.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn add(&self, record: &Record) -> Result<()> {
        let mut line = serde_json::to_string(record).map_err(|source| self.broken(source))?;
        line.push('\n');
        self.open()?
            .write_all(line.as_bytes())
            .map_err(io(&self.path))
    }

    fn open(&self) -> Result<File> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .map_err(io(&self.path))
    }

    /// Whether the file is there. Anything but a regular file is an error,
    /// since reading it may never end (`/dev/full`, a pipe).
    fn exists(&self) -> Result<bool> {
        match std::fs::metadata(&self.path) {
            Ok(metadata) if metadata.is_file() => Ok(true),
            Ok(_) => Err(Error::File {
                file: self.path.clone(),
                reason: "not a regular file".to_owned(),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(io(&self.path)(error)),
        }
    }

    /// All records, in the order in which they were added; none if the file
    /// is not there.
    ///
    /// # Errors
    ///
    /// The file cannot be read or is no regular file, or a line is no record.
    pub fn read(&self) -> Result<Vec<Record>> {
        if !self.exists()? {
            return Ok(Vec::new());
        }
        let text = std::fs::read_to_string(&self.path).map_err(io(&self.path))?;
        text.lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| serde_json::from_str(line).map_err(|source| self.broken(source)))
            .collect()
    }

    /// As [`Self::read`], for a report, which is of no use without records.
    ///
    /// # Errors
    ///
    /// As [`Self::read`]; the file is not there, or has no record of a run in
    /// full size.
    pub fn read_for_report(&self) -> Result<Vec<Record>> {
        let records = self.read()?;
        if records.iter().any(|record| !record.quick) {
            return Ok(records);
        }
        let reason = match self.exists()? {
            false => "there is no such file",
            true if records.is_empty() => "there are no results in it",
            true => "there are only results of quick runs in it, which are not reported",
        };
        Err(Error::File {
            file: self.path.clone(),
            reason: reason.to_owned(),
        })
    }

    fn broken(&self, source: serde_json::Error) -> Error {
        Error::Results {
            file: self.path.clone(),
            source,
        }
    }
}

/// What the report shows for one daemon in one scenario.
#[derive(Clone, Debug, Default)]
pub struct Row<'a> {
    /// The runs.
    pub records: Vec<&'a Record>,
}

impl<'a> Row<'a> {
    /// The runs of the last batch in which this daemon went through this
    /// scenario in this variant.
    pub fn latest(
        records: &'a [Record],
        scenario: Scenario,
        daemon: Daemon,
        variant: &str,
    ) -> Option<Self> {
        let mut mine: Vec<&Record> = records
            .iter()
            .filter(|record| {
                record.scenario == scenario
                    && record.daemon == daemon
                    && record.variant == variant
                    && !record.quick
            })
            .collect();
        let batch = mine.last()?.batch;
        mine.retain(|record| record.batch == batch);
        Some(Self { records: mine })
    }

    /// The batch of the runs.
    pub fn batch(&self) -> u64 {
        self.records.first().map_or(0, |record| record.batch)
    }

    /// The values of one number in the runs that came to their end.
    pub fn values(&self, key: &str) -> Vec<f64> {
        self.records
            .iter()
            .filter_map(|record| match &record.outcome {
                Outcome::Done { values, .. } => values.get(key).copied(),
                Outcome::Failed { .. } | Outcome::Impossible { .. } | Outcome::Skipped { .. } => {
                    None
                }
            })
            .collect()
    }

    /// How many runs there were, those left out not counted.
    pub fn runs(&self) -> usize {
        let skipped: usize = self.skipped().iter().map(|(_, count)| count).sum();
        self.records.len() - skipped
    }

    /// Why runs failed, each reason once, with how many runs it was.
    pub fn failures(&self) -> Vec<(String, usize)> {
        self.tally(|outcome| match outcome {
            Outcome::Failed { reason } => std::slice::from_ref(reason),
            _ => &[],
        })
    }

    /// Why runs were left out, each reason once, with how many runs it was.
    pub fn skipped(&self) -> Vec<(String, usize)> {
        self.tally(|outcome| match outcome {
            Outcome::Skipped { reason } => std::slice::from_ref(reason),
            _ => &[],
        })
    }

    /// Which numbers lack in runs that came to their end, each reason once,
    /// with how many runs it was.
    pub fn gaps(&self) -> Vec<(String, usize)> {
        self.tally(|outcome| match outcome {
            Outcome::Done { notes, .. } => notes,
            _ => &[],
        })
    }

    /// The texts that `pick` finds, each once, with how often it was found.
    fn tally(&self, pick: impl Fn(&Outcome) -> &[String]) -> Vec<(String, usize)> {
        let mut found: Vec<(String, usize)> = Vec::new();
        for text in self.records.iter().flat_map(|record| pick(&record.outcome)) {
            match found.iter_mut().find(|(known, _)| known == text) {
                Some((_, count)) => *count += 1,
                None => found.push((text.clone(), 1)),
            }
        }
        found
    }

    /// Why the daemon cannot do it, if it cannot.
    pub fn obstacle(&self) -> Option<&str> {
        self.records
            .iter()
            .find_map(|record| match &record.outcome {
                Outcome::Impossible { reason } => Some(reason.as_str()),
                Outcome::Done { .. } | Outcome::Failed { .. } | Outcome::Skipped { .. } => None,
            })
    }
}

/// What to say when not one of the runs came to its end: the first reason.
/// Nothing when one did.
pub fn complaint(records: &[Record]) -> Option<String> {
    let done = |record: &Record| matches!(record.outcome, Outcome::Done { .. });
    if records.iter().any(done) {
        return None;
    }
    let reasons = records.iter().filter_map(|record| match &record.outcome {
        Outcome::Failed { reason }
        | Outcome::Impossible { reason }
        | Outcome::Skipped { reason } => Some((record, reason)),
        Outcome::Done { .. } => None,
    });
    Some(match reasons.into_iter().next() {
        Some((record, reason)) => {
            let (scenario, daemon) = (record.scenario.name(), record.daemon.name());
            let reason: Vec<&str> = reason.split_whitespace().collect();
            format!("the first one, {scenario} {daemon}: {}", reason.join(" "))
        }
        None => "none of the daemons takes part in the scenarios".to_owned(),
    })
}

#[cfg(test)]
#[path = "results_tests.rs"]
mod tests;
