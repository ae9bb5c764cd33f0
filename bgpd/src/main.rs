//! `bgpd`: the daemon's command line.

mod cli;
mod daemon;
mod logging;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli.command {
        Some(cli::Command::Check { file, lenient }) => cli::check(&file, lenient),
        Some(cli::Command::Convert { from, to, lenient }) => cli::convert(&from, &to, lenient),
        Some(cli::Command::Config { command }) => cli::config(&command),
        None => daemon::run(&cli.run),
    }
}
