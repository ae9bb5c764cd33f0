//! `bench`: compares BGP daemons and writes the report.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use holdfast_bench::runner::arena::sweep_abandoned;
use holdfast_bench::runner::daemons::{Daemon, Programs};
use holdfast_bench::runner::report;
use holdfast_bench::runner::results::{Outcome, Record, Results};
use holdfast_bench::runner::rounds::{Plan, run};
use holdfast_bench::runner::scenarios::{Scale, Scenario};

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
    /// Rounds; in each, every daemon has its turn
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Rounds for a daemon whose first run of a scenario takes over a minute
    #[arg(long, value_name = "ROUNDS")]
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
    /// The raw results, which are added to
    #[arg(
        long,
        value_name = "FILE",
        default_value = "target/bench/results.jsonl"
    )]
    results: PathBuf,
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
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all runs came to their end.
fn work(cli: &Cli) -> holdfast_bench::runner::Result<bool> {
    let results = Results::new(&cli.results);
    let mut complete = true;
    let mut quick_records = Vec::new();
    if !cli.report_only {
        sweep_abandoned();
        let last = results.read()?.last().map(|record| record.batch);
        // After each scenario, since whoever stops a run that takes hours
        // still wants what there is.
        let records = run(&plan(cli, last), &results, |_| write_page(cli, &results))?;
        complete = !records
            .iter()
            .any(|record| matches!(record.outcome, Outcome::Failed { .. }));
        if cli.quick {
            quick_records = records;
        }
    }
    if cli.quick {
        print_tables(cli, &as_reported(quick_records));
        return Ok(complete);
    }
    print_tables(cli, &results.read()?);
    if cli.report_only {
        write_page(cli, &results)?;
    }
    if !cli.no_page {
        println!("{} is written", cli.page.display());
    }
    Ok(complete)
}

/// Puts what is measured so far into the page, if that is wanted.
fn write_page(cli: &Cli, results: &Results) -> holdfast_bench::runner::Result<()> {
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
