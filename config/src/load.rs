//! From a file to a configuration that may take effect.

use std::path::Path;

use crate::error::{ConfigError, Places};
use crate::model::Config;
use crate::validate::validate;
use crate::{frr, toml_text};

/// The two ways to write a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spelling {
    /// The native file.
    Toml,
    /// FRR's `frr.conf`.
    Frr,
}

/// What happens to what is not understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Leniency {
    /// It is an error.
    #[default]
    Strict,
    /// It is a warning. What is understood and wrong stays an error.
    Lenient,
}

/// A configuration that was read and validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration, in its normal form.
    pub config: Config,
    /// How it was written.
    pub spelling: Spelling,
    /// What was not understood, when read leniently.
    pub warnings: Vec<ConfigError>,
}

/// What a reader of one spelling makes of a text.
#[derive(Default)]
pub(crate) struct Parsed {
    pub(crate) config: Config,
    pub(crate) warnings: Vec<ConfigError>,
    pub(crate) errors: Vec<ConfigError>,
    pub(crate) places: Places,
}

impl Spelling {
    /// The spelling that a file name's extension says, if it says one.
    pub fn of_extension(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "toml" => Some(Self::Toml),
            "conf" => Some(Self::Frr),
            _ => None,
        }
    }

    /// The spelling that the first line with content looks like.
    pub fn of_content(text: &str) -> Self {
        let lines = text.lines().map(str::trim);
        let content = lines.filter(|line| !line.is_empty() && !line.starts_with(['!', '#']));
        let toml = |line: &str| line.starts_with('[') || line.contains('=');
        if content.take(1).any(toml) {
            Self::Toml
        } else {
            Self::Frr
        }
    }
}

/// Reads, validates and normalises a configuration file. The spelling follows
/// the extension (`.toml` or `.conf`), or else the content.
///
/// # Errors
/// The file cannot be read, or has errors: all of them that can be told at once.
pub fn load(path: &Path, leniency: Leniency) -> Result<Loaded, Vec<ConfigError>> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path)
        .map_err(|error| vec![ConfigError::of_file(&name, error.to_string())])?;
    let text = String::from_utf8(bytes).map_err(|error| vec![not_utf8(&name, &error)])?;
    // Some editors begin a file with a mark that nobody sees.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
    let spelling = Spelling::of_extension(path).unwrap_or_else(|| Spelling::of_content(&text));
    parse_str(&name, &text, spelling, leniency)
}

/// Where a file stops being UTF-8.
fn not_utf8(name: &str, error: &std::string::FromUtf8Error) -> ConfigError {
    let good = error.utf8_error().valid_up_to();
    let before = error.as_bytes().get(..good).unwrap_or_default();
    let line_start = before
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    let line = before.get(line_start..).unwrap_or_default();
    ConfigError {
        line: before.iter().filter(|b| **b == b'\n').count() + 1,
        column: String::from_utf8_lossy(line).chars().count() + 1,
        ..ConfigError::of_file(name, "this is not UTF-8")
    }
}

/// As [`load`], for text in memory. `name` stands for the file in messages.
///
/// # Errors
/// The text has errors: all of them that can be told at once.
pub fn parse_str(
    name: &str,
    text: &str,
    spelling: Spelling,
    leniency: Leniency,
) -> Result<Loaded, Vec<ConfigError>> {
    let parsed = match spelling {
        Spelling::Toml => toml_text::parse(name, text, leniency),
        Spelling::Frr => frr::parse(name, text, leniency),
    };
    let Parsed {
        config,
        mut warnings,
        mut errors,
        places,
    } = parsed;
    if errors.is_empty() {
        let problems = validate(&config).into_iter();
        errors = problems
            .map(|problem| ConfigError::of_problem(name, problem, &places))
            .collect();
        errors.sort_by_key(|error| (error.line, error.column));
    }
    if errors.is_empty() {
        Ok(Loaded {
            config,
            spelling,
            warnings,
        })
    } else {
        // What would have been a warning is told along with them.
        errors.append(&mut warnings);
        errors.sort_by_key(|error| (error.line, error.column));
        Err(errors)
    }
}
