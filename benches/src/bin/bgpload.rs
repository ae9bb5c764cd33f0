//! `bgpload`: puts the load of a routing table on a BGP daemon, and measures
//! how long the daemon takes to pass it on.

use std::io::BufRead;
use std::process::ExitCode;
use std::sync::mpsc;

use clap::{Args, Parser, Subcommand};
use holdfast_bench::load::manual::{self, Stay};
use holdfast_bench::load::scenario::{self, Params, Scenario};
use holdfast_bench::load::{Command, Control, Error};

/// Puts the load of a routing table on a BGP daemon and measures how long the
/// daemon takes to pass it on.
///
/// One JSON object with the results goes to standard output, events (with
/// --events) and errors go to standard error. The daemon needs a neighbor for
/// each session; --print-peers lists them.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Verb,
}

const EXAMPLES: &str = "Examples:
  bgpload send --table 100000 --to 192.0.2.1 --as 65001
      a neighbor with 100,000 routes, until it is interrupted
  bgpload send --mrt rib.20240101.0000.bz2 --to 192.0.2.1 --as 65001
      the same with a table of the internet
  bgpload receive --to 192.0.2.1 --as 65002
      a neighbor that counts
  bgpload full-table --to 192.0.2.1 --local 192.0.2.11 --print-peers
      the neighbors that a measurement needs (192.0.2.11, 192.0.2.12)
  bgpload full-table --to 192.0.2.1 --local 192.0.2.11 --table 1000000
      how long a full table takes to pass through the daemon
  bgpload growth --to 127.0.0.1 --events --hold-at step-10000,step-100000
      waits at these stages for a line {\"cmd\":\"continue\"} on standard input";

const SEND_EXAMPLES: &str = "Examples:
  bgpload send --table 100000 --to 192.0.2.1 --as 65001
      100,000 synthetic routes, until it is interrupted
  bgpload send --mrt rib.20240101.0000.bz2 --to 192.0.2.1 --as 65001
      the routes of a collector's dump (MRT TABLE_DUMP_V2): of the peer that has
      most of them, in whose place --as is put into the paths; --family ipv6
      takes the IPv6 routes of the same file";

#[derive(Subcommand)]
enum Verb {
    /// Announce a table and stay; commands on standard input: {"cmd":"withdraw"}, announce, stop.
    #[command(after_help = SEND_EXAMPLES)]
    Send(ByHand),
    /// Count the routes that come in; with --table until that table is complete.
    Receive(ByHand),
    /// A full table passes from one session to another, and is withdrawn.
    FullTable(Measure),
    /// Several senders announce the same prefixes with different paths.
    FanIn(Measure),
    /// Two senders, many receivers.
    FanOut(Measure),
    /// A part of a stable table flaps, at a fixed rate and at full speed.
    Churn(Measure),
    /// Many sessions come up at once with a daemon that just starts.
    ColdStart(Measure),
    /// A full table of IPv6.
    Ipv6(Measure),
    /// Internal sessions through a route reflector.
    Reflector(Measure),
    /// Several paths per prefix (RFC 7911).
    AddPath(Measure),
    /// As full-table, for a daemon with policies.
    Policy(Measure),
    /// A policy is edited while a full table stands.
    Reload(Measure),
    /// As churn, while somebody asks the daemon for its tables.
    Queries(Measure),
    /// Single changes in a full and quiet table.
    LoneChange(Measure),
    /// More and more routes, with a halt after each step.
    Growth(Measure),
    /// Run the scenario that is named in --json-params.
    Run(Measure),
}

#[derive(Args)]
struct Common {
    #[command(flatten)]
    params: Params,
    /// All parameters as a JSON object, or @FILE with one, in place of the options.
    #[arg(long, value_name = "JSON")]
    json_params: Option<String>,
    /// Write an event as a line of JSON to standard error at each stage.
    #[arg(long)]
    events: bool,
}

#[derive(Args)]
struct Measure {
    #[command(flatten)]
    common: Common,
    /// Wait at these stages for {"cmd":"continue"} on standard input.
    #[arg(long, value_delimiter = ',', value_name = "STAGES")]
    hold_at: Vec<String>,
    /// Print the sessions as JSON, and do nothing else.
    #[arg(long)]
    print_peers: bool,
}

#[derive(Args)]
struct ByHand {
    #[command(flatten)]
    common: Common,
    /// End after so many seconds.
    #[arg(long = "for", value_name = "SECONDS")]
    stay: Option<f64>,
    /// Flap a part of the table, at --rate.
    #[arg(long)]
    flap: bool,
}

impl Verb {
    fn scenario(&self) -> Option<Scenario> {
        match self {
            Self::FullTable(_) => Some(Scenario::FullTable),
            Self::FanIn(_) => Some(Scenario::FanIn),
            Self::FanOut(_) => Some(Scenario::FanOut),
            Self::Churn(_) => Some(Scenario::Churn),
            Self::ColdStart(_) => Some(Scenario::ColdStart),
            Self::Ipv6(_) => Some(Scenario::Ipv6),
            Self::Reflector(_) => Some(Scenario::Reflector),
            Self::AddPath(_) => Some(Scenario::AddPath),
            Self::Policy(_) => Some(Scenario::Policy),
            Self::Reload(_) => Some(Scenario::Reload),
            Self::Queries(_) => Some(Scenario::Queries),
            Self::LoneChange(_) => Some(Scenario::LoneChange),
            Self::Growth(_) => Some(Scenario::Growth),
            Self::Send(_) | Self::Receive(_) | Self::Run(_) => None,
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match execute(cli.command) {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bgpload: {error}");
            println!("{}", serde_json::json!({ "error": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked for; returns what goes to standard output.
fn execute(verb: Verb) -> Result<String, Error> {
    let scenario = verb.scenario();
    match verb {
        Verb::Send(by_hand) => {
            let (params, stay, mut control) = prepare_by_hand(by_hand)?;
            json(&manual::send(&params, stay, &mut control)?)
        }
        Verb::Receive(by_hand) => {
            let (params, stay, mut control) = prepare_by_hand(by_hand)?;
            json(&manual::receive(&params, stay, &mut control)?)
        }
        Verb::FullTable(m)
        | Verb::FanIn(m)
        | Verb::FanOut(m)
        | Verb::Churn(m)
        | Verb::ColdStart(m)
        | Verb::Ipv6(m)
        | Verb::Reflector(m)
        | Verb::AddPath(m)
        | Verb::Policy(m)
        | Verb::Reload(m)
        | Verb::Queries(m)
        | Verb::LoneChange(m)
        | Verb::Growth(m)
        | Verb::Run(m) => measure(scenario, m),
    }
}

fn measure(scenario: Option<Scenario>, measure: Measure) -> Result<String, Error> {
    let events = measure.common.events;
    let mut params = parameters(measure.common)?;
    if let Some(scenario) = scenario {
        params.scenario = scenario;
    }
    let params = params.resolve();
    if measure.print_peers {
        params.check()?;
        return json(&params.peers());
    }
    let mut control = control(events);
    if !measure.hold_at.is_empty() {
        control = control.with_commands(commands(), measure.hold_at);
    }
    json(&scenario::run(&params, &mut control)?)
}

fn prepare_by_hand(by_hand: ByHand) -> Result<(Params, Stay, Control), Error> {
    let stay = Stay {
        seconds: by_hand.stay,
        flap: by_hand.flap,
    };
    let control = control(by_hand.common.events).with_commands(commands(), []);
    Ok((parameters(by_hand.common)?, stay, control))
}

fn parameters(common: Common) -> Result<Params, Error> {
    let Some(text) = common.json_params else {
        return Ok(common.params);
    };
    let text = match text.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).map_err(|source| Error::Io {
            what: path.into(),
            source,
        })?,
        None => text,
    };
    serde_json::from_str(&text).map_err(|e| Error::Parameters(format!("--json-params: {e}")))
}

fn control(events: bool) -> Control {
    let control = Control::new();
    match events {
        true => control.with_listener(|event| match serde_json::to_string(event) {
            Ok(line) => eprintln!("{line}"),
            Err(error) => eprintln!("bgpload: event {}: {error}", event.event),
        }),
        false => control,
    }
}

/// Commands from standard input, a line of JSON each.
fn commands() -> mpsc::Receiver<Command> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if line.trim().is_empty() {
                continue;
            }
            match serde_json::from_str(&line) {
                Ok(command) => {
                    if sender.send(command).is_err() {
                        return;
                    }
                }
                Err(error) => eprintln!("bgpload: command {line:?}: {error}"),
            }
        }
    });
    receiver
}

fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string_pretty(value).map_err(|e| Error::Parameters(e.to_string()))
}
