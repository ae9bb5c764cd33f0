//! What the command line says, and the commands that need no daemon.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use holdfast_config::{Leniency, Loaded, Spelling, frr, load, to_toml, to_toml_with_defaults};

/// A BGP routing daemon with a kernel FIB.
#[derive(Debug, Parser)]
#[command(
    name = "bgpd",
    version,
    about = "A BGP routing daemon with a kernel FIB",
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) run: Run,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// How to run the daemon, in the foreground.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Configuration file, in FRR's syntax or TOML
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Unix socket of the API
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// Do not touch the kernel's routes
    #[arg(short = 'n', long = "no-kernel")]
    pub(crate) no_kernel: bool,
    /// Warn of configuration lines that are not understood, and go on
    #[arg(long)]
    pub(crate) lenient: bool,
    /// TCP port to listen on; 0 listens nowhere
    #[arg(
        short = 'p',
        long = "bgp-port",
        value_name = "PORT",
        default_value_t = 179
    )]
    pub(crate) port: u16,
    /// Address to listen on, instead of all; may be repeated
    #[arg(short = 'l', long = "listen-on", value_name = "ADDRESS")]
    pub(crate) listen_on: Vec<std::net::IpAddr>,
    /// Kernel table for routes
    #[arg(long, value_name = "TABLE", default_value_t = holdfast_fib::MAIN_TABLE,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) table: u32,
    /// Write next hops into each route instead of sharing them as nexthop objects
    #[arg(long)]
    pub(crate) no_nexthop_objects: bool,
    /// Receive buffer of the socket that follows the kernel's changes, in octets
    #[arg(long, value_name = "OCTETS")]
    pub(crate) netlink_buffer: Option<usize>,
    /// error, warn, info, debug, trace, or a filter such as `bgpd::session=debug`
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// Write log lines as JSON
    #[arg(long)]
    pub(crate) log_json: bool,
}

/// Commands that need no running daemon.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what is wrong with a configuration file; exit 1 if something is
    Check {
        /// The file
        file: PathBuf,
        /// What is not understood is no error
        #[arg(long)]
        lenient: bool,
    },
    /// Rewrite a configuration in the other spelling, as the names' endings say
    Convert {
        /// The file to read (.conf or .toml)
        from: PathBuf,
        /// The file to write (.conf or .toml), or - for TOML on standard output
        to: PathBuf,
        /// What is not understood is left out, with a warning
        #[arg(long)]
        lenient: bool,
    },
    /// Work with configurations
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

/// `bgpd config ...`
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print a configuration as TOML
    Show {
        /// The file; without one, an empty configuration
        file: Option<PathBuf>,
        /// Write every default out
        #[arg(long)]
        defaults: bool,
    },
}

/// Reads a file; what is wrong goes to standard error.
pub(crate) fn read(file: &Path, lenient: bool) -> Option<Loaded> {
    let leniency = if lenient {
        Leniency::Lenient
    } else {
        Leniency::Strict
    };
    match load(file, leniency) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                eprintln!("{warning} (ignored)");
            }
            Some(loaded)
        }
        Err(errors) => {
            for error in &errors {
                eprintln!("{error}");
            }
            None
        }
    }
}

/// `bgpd check`.
pub(crate) fn check(file: &Path, lenient: bool) -> ExitCode {
    match read(file, lenient) {
        Some(_) => {
            println!("{}: OK", file.display());
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}

/// `bgpd convert`.
pub(crate) fn convert(from: &Path, to: &Path, lenient: bool) -> ExitCode {
    let Some(loaded) = read(from, lenient) else {
        return ExitCode::FAILURE;
    };
    let spelling = match to.to_str() {
        Some("-") => Some(Spelling::Toml),
        _ => Spelling::of_extension(to),
    };
    let text = match spelling {
        Some(Spelling::Toml) => to_toml(&loaded.config),
        Some(Spelling::Frr) => frr::to_frr(&loaded.config),
        None => {
            eprintln!(
                "{}: the name ends neither in .toml nor in .conf",
                to.display()
            );
            return ExitCode::FAILURE;
        }
    };
    if to.to_str() == Some("-") {
        print!("{text}");
        return ExitCode::SUCCESS;
    }
    match bgpd::speaker::write_atomically(to, &text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", to.display());
            ExitCode::FAILURE
        }
    }
}

/// `bgpd config show`.
pub(crate) fn config(command: &ConfigCommand) -> ExitCode {
    let ConfigCommand::Show { file, defaults } = command;
    let config = match file {
        Some(file) => match read(file, false) {
            Some(loaded) => loaded.config,
            None => return ExitCode::FAILURE,
        },
        None => holdfast_config::model::Config::default(),
    };
    let text = if *defaults {
        to_toml_with_defaults(&config)
    } else {
        to_toml(&config)
    };
    print!("{text}");
    ExitCode::SUCCESS
}
