//! What goes wrong in a run.

use std::path::{Path, PathBuf};

/// Why a run has no numbers.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written, or a program not be started.
    #[error("{what}: {source}")]
    Io {
        /// The file or the program.
        what: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// A program that sets something up said no.
    #[error("{command}: {output}")]
    Command {
        /// Its command line.
        command: String,
        /// What it printed.
        output: String,
    },
    /// The daemon under test ended or did not come up.
    #[error("{0}")]
    Daemon(String),
    /// The load did not come to its end.
    #[error("{0}")]
    Load(String),
    /// What was waited for did not come before the deadline.
    #[error("{0}")]
    Timeout(String),
    /// A results file that is none.
    #[error("{file}: {source}")]
    Results {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A file that cannot be what it was given as.
    #[error("{file}: {reason}")]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A variant that none of the scenarios has.
    #[error("the scenarios have no variant {name:?}, but {known}")]
    Variant {
        /// What was asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// No run came to its end.
    #[error("no run came to its end; {0}")]
    NoRun(String),
    /// A plot could not be drawn.
    #[error("plot: {0}")]
    Plot(String),
}

/// A result with the runner's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Adds the name of what was touched to an I/O error.
pub(crate) fn io(what: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Io {
        what: what.as_ref().to_owned(),
        source,
    }
}
