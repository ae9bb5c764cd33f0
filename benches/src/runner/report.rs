//! The page: tables between markers, everything else left as it is.
//!
//! A block begins with the line `<!-- bench:NAME -->` and ends with
//! `<!-- /bench:NAME -->`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::daemons::Daemon;
use super::error::{Error, Result, io};
use super::plot::{self, Line};
use super::results::{Record, Row};
use super::scenarios::{Metric, Scale, Scenario, growth};
use super::stats::Summary;

/// Writes the blocks of all scenarios that have results, and the pictures.
///
/// # Errors
///
/// A file cannot be read or written, or a block is missing in the page.
pub fn write(page: &Path, pictures: &Path, records: &[Record]) -> Result<()> {
    let mut text = std::fs::read_to_string(page).map_err(io(page))?;
    if records.iter().any(|record| !record.quick) {
        text = replace_block(&text, "machine", &environment(records))
            .map_err(|error| of_page(page, &error))?;
    }
    for scenario in Scenario::ALL {
        let table = table(scenario, records);
        if !table.is_empty() {
            text = replace_block(&text, scenario.name(), &table)
                .map_err(|error| of_page(page, &error))?;
        }
    }
    std::fs::write(page, text).map_err(io(page))?;
    draw_growth(pictures, records)
}

/// Whether the page has the blocks of `scenarios`, to be asked before runs that
/// take hours.
///
/// # Errors
///
/// The page cannot be read, or a block is missing.
pub fn check(page: &Path, scenarios: &[Scenario]) -> Result<()> {
    let text = std::fs::read_to_string(page).map_err(io(page))?;
    let names = scenarios.iter().map(|scenario| scenario.name());
    for name in std::iter::once("machine").chain(names) {
        replace_block(&text, name, "").map_err(|error| of_page(page, &error))?;
    }
    Ok(())
}

fn of_page(page: &Path, error: &Error) -> Error {
    Error::File {
        file: page.to_owned(),
        reason: error.to_string(),
    }
}

/// Puts `content` between the markers of the block `name`.
fn replace_block(page: &str, name: &str, content: &str) -> Result<String> {
    let (open, close) = (
        format!("<!-- bench:{name} -->"),
        format!("<!-- /bench:{name} -->"),
    );
    let missing = || Error::Load(format!("the page has no block {open} ... {close}"));
    let (before, rest) = page.split_once(&open).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&close).ok_or_else(missing)?;
    Ok(format!(
        "{before}{open}\n\n{}\n\n{close}{after}",
        content.trim()
    ))
}

/// A line of a table with its title.
struct Shown<'a> {
    scenario: Scenario,
    daemon: Daemon,
    variant: String,
    row: Row<'a>,
}

impl Shown<'_> {
    fn title(&self) -> String {
        if self.variant.is_empty() {
            return self.daemon.title().to_owned();
        }
        let of_what = match (self.scenario.is_fib(), self.variant.as_str()) {
            (true, "1") => "next hop",
            (true, _) => "next hops",
            (false, _) => "routes",
        };
        let variant = self.variant.parse::<u64>().map_or_else(
            |_| format!("`{}`", self.variant),
            |number| format!("{} {of_what}", grouped(&number.to_string())),
        );
        format!("{}, {variant}", self.daemon.title())
    }
}

fn rows(scenario: Scenario, records: &[Record]) -> Vec<Shown<'_>> {
    let mut shown: Vec<Shown<'_>> = Daemon::ALL
        .into_iter()
        .flat_map(|daemon| scenario.cases(daemon, Scale::Full))
        .filter_map(|case| {
            let row = Row::latest(records, scenario, case.daemon, &case.variant)?;
            Some(Shown {
                scenario,
                daemon: case.daemon,
                variant: case.variant,
                row,
            })
        })
        .collect();
    if scenario == Scenario::Growth || scenario.is_fib() {
        shown.sort_by_key(|shown| shown.variant.parse::<u64>().unwrap_or_default());
    }
    shown
}

/// The table of a scenario with its notes; empty without results.
pub fn table(scenario: Scenario, records: &[Record]) -> String {
    let rows = rows(scenario, records);
    if rows.is_empty() {
        return String::new();
    }
    let metrics = scenario.metrics();
    let mut text = head(&metrics);
    let newest = rows
        .iter()
        .map(|shown| shown.row.batch())
        .max()
        .unwrap_or_default();
    let mut notes = Vec::new();
    for shown in &rows {
        let ours = rows.iter().find(|other| {
            other.daemon == Daemon::Holdfast
                && (other.variant == shown.variant || other.variant.is_empty())
        });
        text.push_str(&line(shown, ours, &metrics));
        notes.extend(notes_of(shown, newest));
    }
    notes.extend(disturbance(&rows));
    if scenario == Scenario::Growth && rows.iter().any(|shown| shown.variant == "1000000") {
        notes.push(
            "[Time](img/growth-time.svg) and [memory](img/growth-memory.svg) as pictures."
                .to_owned(),
        );
    }
    if !notes.is_empty() {
        text.push('\n');
        for note in notes {
            let _ = writeln!(text, "- {note}");
        }
    }
    text
}

fn head(metrics: &[Metric]) -> String {
    let mut text = "| | runs |".to_owned();
    for metric in metrics {
        let _ = write!(text, " {}, {} |", metric.heading, metric.unit);
    }
    for metric in metrics {
        let _ = write!(text, " ours/its {} |", metric.heading);
    }
    text.push_str(" spread |\n| --- | --- |");
    for _ in 0..=2 * metrics.len() {
        text.push_str(" ---: |");
    }
    text.push('\n');
    text
}

fn line(shown: &Shown<'_>, ours: Option<&Shown<'_>>, metrics: &[Metric]) -> String {
    let summary = |shown: &Shown<'_>, metric: &Metric| Summary::of(shown.row.values(metric.key));
    let failed: usize = shown.row.failures().iter().map(|(_, count)| count).sum();
    let total = shown.row.runs();
    let runs = if shown.row.obstacle().is_some() {
        "-".to_owned()
    } else if failed > 0 {
        format!("{total}, {failed} failed")
    } else {
        total.to_string()
    };
    let mut text = format!("| {} | {runs} |", shown.title());
    for metric in metrics {
        let cell = summary(shown, metric).map_or_else(
            || "-".to_owned(),
            |found| {
                grouped(&format!(
                    "{:.*}",
                    metric.digits,
                    found.median / metric.divisor
                ))
            },
        );
        let _ = write!(text, " {cell} |");
    }
    for metric in metrics {
        let theirs = summary(shown, metric).filter(|theirs| theirs.median > 0.0);
        let ratio = ours
            .filter(|ours| ours.daemon != shown.daemon)
            .and_then(|ours| summary(ours, metric))
            .zip(theirs)
            .map_or_else(String::new, |(ours, theirs)| {
                format!("{:.2}", ours.median / theirs.median)
            });
        let _ = write!(text, " {ratio} |");
    }
    let spread = metrics
        .first()
        .and_then(|metric| summary(shown, metric))
        .filter(|found| found.count > 1)
        .map_or_else(
            || "-".to_owned(),
            |found| format!("{:.0} %", 100.0 * found.spread()),
        );
    let _ = writeln!(text, " {spread} |");
    text
}

fn notes_of(shown: &Shown<'_>, newest: u64) -> Vec<String> {
    let title = shown.title();
    let mut notes = Vec::new();
    if let Some(reason) = shown.row.obstacle() {
        notes.push(format!("{title}: {reason}."));
    }
    let total = shown.row.runs();
    let in_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (reason, count) in shown.row.failures() {
        let reason = in_line(&reason);
        notes.push(format!("{title}: {count} of {total} runs failed: {reason}"));
    }
    for (reason, count) in shown.row.gaps() {
        let reason = in_line(&reason);
        notes.push(format!("{title}: in {count} of {total} runs {reason}"));
    }
    for (reason, count) in shown.row.skipped() {
        notes.push(format!("{title}: {count} runs were left out: {reason}"));
    }
    if shown.row.batch() != newest {
        notes.push(format!(
            "{title}: measured earlier than the others, not in turns with them."
        ));
    }
    notes
}

/// A note for a table whose runs began while others worked on the machine.
fn disturbance(rows: &[Shown<'_>]) -> Option<String> {
    let records = || rows.iter().flat_map(|shown| &shown.row.records);
    let load = Summary::of(records().map(|record| record.load_average))?;
    let cores = records().next().map_or(1, |record| record.machine.cores);
    // What the runs before left behind is at most about one for each core.
    (load.high > 1.5 * cores as f64).then(|| {
        format!(
            "The load average was {:.1} to {:.1} when the runs began: other work disturbed them.",
            load.low, load.high
        )
    })
}

/// Machine and versions, of the latest runs.
fn environment(records: &[Record]) -> String {
    let shown: Vec<&Record> = records.iter().filter(|record| !record.quick).collect();
    let Some(last) = shown.last() else {
        return String::new();
    };
    let machine = &last.machine;
    let mut text = format!(
        "| | |\n| --- | --- |\n| processor | {}, {} cores |\n| memory | {:.1} GB |\n\
         | kernel | Linux {} |\n",
        machine.processor,
        machine.cores,
        machine.memory as f64 / 1e9,
        machine.kernel,
    );
    for daemon in Daemon::ALL {
        let versions: BTreeSet<&str> = shown
            .iter()
            .filter(|record| record.daemon == daemon && !record.version.is_empty())
            .filter(|record| {
                let row = Row::latest(records, record.scenario, daemon, &record.variant);
                row.is_some_and(|row| row.batch() == record.batch)
            })
            .map(|record| record.version.as_str())
            .collect();
        if versions.is_empty() {
            continue;
        }
        let command = daemon.command_line().unwrap_or_default();
        let versions: Vec<&str> = versions.into_iter().collect();
        let _ = writeln!(
            text,
            "| {} | {}; `{command}` |",
            daemon.title(),
            versions.join(", ")
        );
    }
    let machines: BTreeSet<String> = shown
        .iter()
        .map(|record| format!("{:?}", record.machine))
        .collect();
    if machines.len() > 1 {
        text.push_str("\nSome of the results are of other machines than this one.\n");
    }
    text
}

fn draw_growth(pictures: &Path, records: &[Record]) -> Result<()> {
    let lines = |key: &str, divisor: f64| -> Vec<Line> {
        Daemon::ALL
            .into_iter()
            .map(|daemon| {
                let points = growth(Scale::Full)
                    .into_iter()
                    .filter_map(|(variant, _)| {
                        let row = Row::latest(records, Scenario::Growth, daemon, variant)?;
                        let summary = Summary::of(row.values(key))?;
                        Some((variant.parse().ok()?, summary.median / divisor))
                    })
                    .collect();
                (daemon.title().to_owned(), points)
            })
            .filter(|(_, points): &Line| !points.is_empty())
            .collect()
    };
    let (time, memory) = (lines("announce_s", 1.0), lines("peak_rss", 1e6));
    if time.is_empty() {
        return Ok(());
    }
    std::fs::create_dir_all(pictures).map_err(io(pictures))?;
    let file = pictures.join("growth-time.svg");
    plot::draw(&file, "Until the last route has arrived", "seconds", &time)?;
    let file = pictures.join("growth-memory.svg");
    plot::draw(&file, "Peak resident memory", "MB", &memory)
}

/// Digits in groups of three from 10,000 on.
fn grouped(number: &str) -> String {
    let (whole, rest) = number
        .split_once('.')
        .map_or((number, None), |(w, r)| (w, Some(r)));
    if whole.len() < 5 {
        return number.to_owned();
    }
    let mut text = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(rest) = rest {
        text.push('.');
        text.push_str(rest);
    }
    text
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
