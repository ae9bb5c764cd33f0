//! `bench`: compares BGP daemons and writes the report.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use holdfast_bench::runner::arena::sweep_abandoned;
use holdfast_bench::runner::daemons::{Daemon, Programs};
use holdfast_bench::runner::results::{Outcome, Record, Results, complaint};
use holdfast_bench::runner::rounds::{Plan, run};
use holdfast_bench::runner::scenarios::{Scale, Scenario};
use holdfast_bench::runner::{Error, Result, report};

/// Compares BGP daemons under the same load
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
struct Cli {
    /// Scenarios, separated by commas; all if there are none
    #[arg(long, value_delimiter = ',')]
    scenarios: Vec<Scenario>,
    /// Daemons, separated by commas; all if there are none
    #[arg(long, value_delimiter = ',')]
    daemons: Vec<Daemon>,
    /// Variants of the scenarios as they are in the results, separated by
    /// commas, such as 1,4 for the next hops of fib; all if there are none
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    variants: Vec<String>,
    /// Rounds; in each, every daemon has its turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Rounds for a daemon whose first run of a scenario takes over a minute
    #[arg(long, value_name = "ROUNDS", value_parser = clap::value_parser!(u32).range(1..))]
    slow_rounds: Option<u32>,
    /// Small sizes, for a look whether everything works; reports nothing
    #[arg(long)]
    quick: bool,
    /// Our daemon; vtysh is beside it [default: beside this program]
    #[arg(long, value_name = "PATH")]
    bgpd: Option<PathBuf>,
    /// The commit from which our daemon was built, for the report
    #[arg(long, value_name = "NAME")]
    commit: Option<String>,
    /// The raw results, which are added to; a regular file in a directory that
    /// exists [default: bench/results.jsonl in cargo's target directory]
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// The page whose tables are replaced
    #[arg(long, value_name = "FILE", default_value = "docs/benchmarks.md")]
    page: PathBuf,
    /// Leave the page alone
    #[arg(long)]
    no_page: bool,
    /// Count with the runs of the last batch instead of replacing them
    #[arg(long)]
    append: bool,
    /// Run nothing, only write the page from the results
    #[arg(long)]
    report_only: bool,
    /// Keep the daemons' configurations and logs below this directory
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

fn main() -> ExitCode {
    match work(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all runs came to their end.
fn work(cli: &Cli) -> Result<bool> {
    let default = default_results();
    let results = Results::new(cli.results.as_ref().unwrap_or(&default));
    if cli.report_only {
        let records = results.read_for_report()?;
        print_tables(cli, &records);
        write_page(cli, &results)?;
        tell_page(cli);
        return Ok(true);
    }
    if results.path() == default {
        results.create_directory()?;
    }
    let last = results.read()?.last().map(|record| record.batch);
    let plan = plan(cli, last);
    check(cli, &plan, &results)?;
    sweep_abandoned();
    // After each scenario, since whoever stops a run that takes hours still
    // wants what there is.
    let records = run(&plan, &results, |_| write_page(cli, &results))?;
    let none = complaint(&records);
    let complete = !records
        .iter()
        .any(|record| matches!(record.outcome, Outcome::Failed { .. }));
    if cli.quick {
        print_tables(cli, &as_reported(records));
    } else {
        print_tables(cli, &results.read()?);
        tell_page(cli);
    }
    match none {
        Some(reason) => Err(Error::NoRun(reason)),
        None => Ok(complete),
    }
}

/// Where the results are if nothing was said: where cargo puts what it builds,
/// as in the Makefile. That directory is ours to create, no other is.
fn default_results() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").filter(|target| !target.is_empty());
    let target = target.map_or_else(|| PathBuf::from("target"), PathBuf::from);
    target.join("bench/results.jsonl")
}

/// Finds out before anything is run what would make the runs useless.
fn check(cli: &Cli, plan: &Plan, results: &Results) -> Result<()> {
    if let Some(bgpd) = &cli.bgpd
        && plan.daemons.contains(&Daemon::Holdfast)
        && !bgpd.is_file()
    {
        return Err(Error::File {
            file: bgpd.clone(),
            reason: "there is no such program".to_owned(),
        });
    }
    if !cli.quick && !cli.no_page {
        report::check(&cli.page, &plan.scenarios)?;
    }
    plan.check_variants()?;
    results.check_writable()
}

fn tell_page(cli: &Cli) {
    if !cli.quick && !cli.no_page {
        println!("{} is written", cli.page.display());
    }
}

/// Puts what is measured so far into the page, if that is wanted.
fn write_page(cli: &Cli, results: &Results) -> Result<()> {
    if cli.quick || cli.no_page {
        return Ok(());
    }
    let pictures = cli.page.with_file_name("img");
    report::write(&cli.page, &pictures, &results.read()?)
}

fn plan(cli: &Cli, last_batch: Option<u64>) -> Plan {
    let or_all = |given: &[Scenario]| {
        if given.is_empty() {
            Scenario::ALL.to_vec()
        } else {
            given.to_vec()
        }
    };
    Plan {
        scenarios: or_all(&cli.scenarios),
        daemons: if cli.daemons.is_empty() {
            Daemon::ALL.to_vec()
        } else {
            cli.daemons.clone()
        },
        variants: cli.variants.clone(),
        rounds: cli.runs,
        slow_rounds: cli.slow_rounds,
        scale: if cli.quick { Scale::Quick } else { Scale::Full },
        programs: Programs::find(cli.bgpd.clone()),
        commit: cli.commit.clone(),
        batch: last_batch.filter(|_| cli.append),
        keep: cli.keep.clone(),
    }
}

/// Quick runs, for once to be shown in a table.
fn as_reported(mut records: Vec<Record>) -> Vec<Record> {
    for record in &mut records {
        record.quick = false;
    }
    records
}

fn print_tables(cli: &Cli, records: &[Record]) {
    for scenario in Scenario::ALL {
        if !cli.scenarios.is_empty() && !cli.scenarios.contains(&scenario) {
            continue;
        }
        let table = report::table(scenario, records);
        if !table.is_empty() {
            println!("\n{}\n\n{table}", scenario.name());
        }
    }
}
