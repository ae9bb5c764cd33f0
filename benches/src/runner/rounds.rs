//! Runs cases in turns and keeps what comes out.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::arena::Arena;
use super::daemons::{Daemon, Programs, spawn, wait_until_listening};
use super::error::{Error, Result};
use super::fib;
use super::load::{Measured, drive};
use super::machine::{CpuClock, Machine, load_average};
use super::process::{Process, Usage, usage_of_tree};
use super::queries::Asker;
use super::results::{Outcome, Record, Results};
use super::scenarios::{Case, Scale, Scenario};
use super::turns::{Limits, Past, Run, Turn};

/// How long a daemon may take to end.
const STOPS_WITHIN: Duration = Duration::from_secs(10);
/// The part of all cores that may be busy when a run begins.
const IDLE: f64 = 0.15;

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenarios, one after the other.
    pub scenarios: Vec<Scenario>,
    /// The daemons, in turns.
    pub daemons: Vec<Daemon>,
    /// The variants of the scenarios; all if there are none.
    pub variants: Vec<String>,
    /// How many rounds.
    pub rounds: u32,
    /// How many for a daemon whose first run took more than a minute.
    pub slow_rounds: Option<u32>,
    /// How large.
    pub scale: Scale,
    /// This project's programs.
    pub programs: Programs,
    /// The commit from which this project's programs were built.
    pub commit: Option<String>,
    /// The batch that the runs belong to; a new one without it.
    pub batch: Option<u64>,
    /// Keeps the daemon's files of each run below this directory.
    pub keep: Option<PathBuf>,
}

/// Runs everything and returns the records, which are in `results` as well.
///
/// A run that fails is a record, and the next one begins. After each scenario
/// `ended` is called, while nothing runs.
///
/// # Errors
///
/// Results cannot be written, or `ended` failed.
pub fn run(
    plan: &Plan,
    results: &Results,
    mut ended: impl FnMut(Scenario) -> Result<()>,
) -> Result<Vec<Record>> {
    let batch = plan.batch.unwrap_or_else(|| {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    });
    let machine = Machine::this();
    let mut records = Vec::new();
    for &scenario in &plan.scenarios {
        let limits = Limits {
            rounds: plan.rounds,
            multiplier: scenario.multiplier(plan.scale),
            slow_rounds: plan.slow_rounds,
        };
        let mut cases = cases(plan, scenario);
        for round in 1..=limits.last_round() {
            for (case, past) in &mut cases {
                let load_average = load_average();
                let outcome = match limits.turn(past, round) {
                    Turn::Run => take_turn(case, past, plan),
                    Turn::Skip(reason) => Outcome::Skipped { reason },
                    Turn::Over => continue,
                };
                println!("{round}/{} {}", limits.last_round(), line(case, &outcome));
                let record = Record {
                    batch,
                    scenario,
                    daemon: case.daemon,
                    variant: case.variant.clone(),
                    version: version(case.daemon, plan),
                    machine: machine.clone(),
                    load_average,
                    quick: plan.scale == Scale::Quick,
                    outcome,
                };
                results.add(&record)?;
                records.push(record);
            }
        }
        ended(scenario)?;
    }
    Ok(records)
}

impl Plan {
    /// Finds a variant that none of the scenarios has for any of the daemons.
    ///
    /// # Errors
    ///
    /// [`Error::Variant`]
    pub fn check_variants(&self) -> Result<()> {
        let known: BTreeSet<String> = self
            .scenarios
            .iter()
            .flat_map(|scenario| all_cases(self, *scenario))
            .map(|case| case.variant)
            .filter(|variant| !variant.is_empty())
            .collect();
        match self.variants.iter().find(|name| !known.contains(*name)) {
            Some(name) => Err(Error::Variant {
                name: name.clone(),
                known: match known.is_empty() {
                    true => "none at all".to_owned(),
                    false => Vec::from_iter(known).join(", "),
                },
            }),
            None => Ok(()),
        }
    }
}

fn all_cases(plan: &Plan, scenario: Scenario) -> impl Iterator<Item = Case> {
    plan.daemons
        .iter()
        .filter(move |daemon| scenario.includes(**daemon))
        .flat_map(move |daemon| scenario.cases(*daemon, plan.scale))
}

fn cases(plan: &Plan, scenario: Scenario) -> Vec<(Case, Past)> {
    all_cases(plan, scenario)
        .filter(|case| plan.variants.is_empty() || plan.variants.contains(&case.variant))
        .map(|case| (case, Past::default()))
        .collect()
}

/// Runs a case, and adds to its past how that went.
fn take_turn(case: &Case, past: &mut Past, plan: &Plan) -> Outcome {
    if let Some(impossible) = obstacle(case, plan) {
        return impossible;
    }
    warn_if_busy();
    let start = Instant::now();
    let result = measure(case, plan);
    let main = case.scenario.metrics().first().and_then(|metric| {
        let measured = result.as_ref().ok()?;
        measured.values.get(metric.key).copied()
    });
    past.add(Run {
        took: start.elapsed(),
        main,
        timed_out: matches!(result, Err(Error::Timeout(_))),
    });
    match result {
        Ok(Measured { values, notes }) => Outcome::Done { values, notes },
        Err(error) => Outcome::Failed {
            reason: error.to_string(),
        },
    }
}

/// What keeps a case from being run at all.
fn obstacle(case: &Case, plan: &Plan) -> Option<Outcome> {
    if let Some(reason) = case.daemon.obstacle(&case.setup) {
        let reason = reason.to_owned();
        return Some(Outcome::Impossible { reason });
    }
    let program = case.daemon.program(&plan.programs)?;
    (!program.exists()).then(|| Outcome::Impossible {
        reason: format!("{} is not there", program.display()),
    })
}

/// One run, from the making of its network to its end.
fn measure(case: &Case, plan: &Plan) -> Result<Measured> {
    let arena = Arena::new()?;
    let deadline = case.scenario.deadline(plan.scale);
    let result = match case.scenario {
        Scenario::ColdStart => measure_start(case, plan, &arena, deadline),
        Scenario::Fib | Scenario::FibLarge => measure_fib(case, plan, &arena, deadline),
        _ => measure_running(case, plan, &arena, deadline),
    };
    if let Some(keep) = &plan.keep {
        let name = format!("{}-{}", case.scenario.name(), case.daemon.name());
        keep_files(&arena, &keep.join(name));
    }
    result
}

/// The daemon is up before the load begins.
fn measure_running(
    case: &Case,
    plan: &Plan,
    arena: &Arena,
    deadline: Duration,
) -> Result<Measured> {
    let Some(mut process) = spawn(case.daemon, &case.setup, arena, &plan.programs)? else {
        return arena.in_load(|| drive(case, deadline, Box::new(|_| ())));
    };
    wait_until_listening(&mut process, arena)?;
    let asker = match case.scenario {
        Scenario::Queries => case
            .daemon
            .query(&case.setup, arena, &plan.programs)
            .map(Asker::start),
        _ => None,
    };
    let mut edit = match case.scenario {
        Scenario::Reload => {
            let command = case.daemon.edit(&case.setup, arena, &plan.programs)?;
            command.map(quiet)
        }
        _ => None,
    };
    let changing = asker.as_ref().map(Asker::switch);
    let pid = process.pid();
    let (tell, told) = mpsc::channel();
    let follower = move |stage: &str| match stage {
        "running" | "paced" => {
            if let Some(changing) = &changing {
                changing.store(stage == "running", Ordering::Relaxed);
            }
        }
        // The receiving end lives until the load is through.
        "loaded" => drop(tell.send(usage_of_tree(pid))),
        // Whether it worked is seen at the routes.
        "edit" => drop(edit.as_mut().map(Command::spawn)),
        _ => (),
    };
    let result = arena.in_load(move || drive(case, deadline, Box::new(follower)));
    let answers = asker.map(Asker::finish);
    let mut measured = finish(result, process)?;
    let values = &mut measured.values;
    if let Ok(loaded) = told.try_recv() {
        values.insert("rss_loaded".to_owned(), loaded.rss as f64);
        values.insert("cpu_loaded_s".to_owned(), loaded.cpu_seconds);
    }
    if let Some(answers) = answers {
        let answer = answers?;
        values.insert("query_s".to_owned(), answer.seconds);
        values.insert("query_octets".to_owned(), answer.octets as f64);
    }
    Ok(measured)
}

/// Its output is for nobody.
fn quiet(mut command: Command) -> Command {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// The load knocks before the daemon is started; its clock begins with the
/// daemon's start.
fn measure_start(case: &Case, plan: &Plan, arena: &Arena, deadline: Duration) -> Result<Measured> {
    let (ready, is_ready) = mpsc::channel();
    let follower = move |stage: &str| {
        if stage == "start" {
            let _ = ready.send(());
        }
    };
    std::thread::scope(|scope| {
        let load =
            scope.spawn(move || arena.in_load(move || drive(case, deadline, Box::new(follower))));
        // Here and not on the load's thread: the kernel kills the daemon when
        // the thread ends that started it.
        let process = is_ready
            .recv()
            .map_err(|_| Error::Load("the load did not begin".to_owned()))
            .and_then(|()| spawn(case.daemon, &case.setup, arena, &plan.programs));
        let result = load
            .join()
            .unwrap_or_else(|_| Err(Error::Load("the load generator panicked".to_owned())));
        match process {
            Ok(Some(process)) => finish(result, process),
            Ok(None) => result,
            Err(error) => Err(error),
        }
    })
}

/// The daemon is up before the load begins, and puts routes into the kernel.
fn measure_fib(case: &Case, plan: &Plan, arena: &Arena, deadline: Duration) -> Result<Measured> {
    let Some(mut process) = spawn(case.daemon, &case.setup, arena, &plan.programs)? else {
        return fib::measure(case, arena, None, deadline);
    };
    wait_until_listening(&mut process, arena)?;
    let pid = process.pid();
    let result = fib::measure(case, arena, Some(pid), deadline);
    finish(result, process)
}

/// Adds what the daemon has used, and ends it.
fn finish(result: Result<Measured>, mut process: Process) -> Result<Measured> {
    let usage = process.usage();
    let alive = process.check_alive();
    process.stop(STOPS_WITHIN);
    alive?;
    let mut measured = result?;
    let values = &mut measured.values;
    let Usage {
        peak_rss,
        rss,
        cpu_seconds,
    } = usage;
    // Sizes of memory are far below 2^53.
    values.insert("peak_rss".to_owned(), peak_rss as f64);
    values.insert("rss".to_owned(), rss as f64);
    values.insert("cpu_s".to_owned(), cpu_seconds);
    Ok(measured)
}

fn keep_files(arena: &Arena, target: &std::path::Path) {
    let copied = std::fs::create_dir_all(target).is_ok()
        && ["daemon.conf", "daemon.log"].iter().all(|name| {
            let source = arena.path(name);
            !source.exists() || std::fs::copy(source, target.join(name)).is_ok()
        });
    if !copied {
        eprintln!(
            "the daemon's files could not be kept in {}",
            target.display()
        );
    }
}

/// A tenth of a second of looking whether somebody else works here.
fn warn_if_busy() {
    let before = CpuClock::now();
    std::thread::sleep(Duration::from_millis(100));
    let busy = CpuClock::now().busy_since(before);
    if busy > IDLE {
        eprintln!(
            "warning: other work takes {:.0} % of this machine; times will be too long",
            100.0 * busy
        );
    }
}

/// The version, and for our own program what it was built from, if that was
/// told: the checkout may have moved on since the build.
fn version(daemon: Daemon, plan: &Plan) -> String {
    let version = daemon.version(&plan.programs).unwrap_or_default();
    match &plan.commit {
        Some(commit) if daemon == Daemon::Holdfast => format!("{version} ({commit})"),
        _ => version,
    }
}

/// A run in a line.
fn line(case: &Case, outcome: &Outcome) -> String {
    let head = format!(
        "{} {} {}",
        case.scenario.name(),
        case.daemon.name(),
        case.variant
    );
    let tail = match outcome {
        Outcome::Done { values, notes } => case
            .scenario
            .metrics()
            .iter()
            .filter_map(|metric| {
                let value = values.get(metric.key)? / metric.divisor;
                let (digits, unit) = (metric.digits, metric.unit);
                Some(format!("{} {value:.digits$} {unit}", metric.heading))
            })
            .chain(notes.iter().cloned())
            .collect::<Vec<_>>()
            .join(", "),
        Outcome::Skipped { reason } => format!("left out: {reason}"),
        Outcome::Failed { reason } => format!("FAILED: {reason}"),
        Outcome::Impossible { reason } => format!("not possible: {reason}"),
    };
    format!("{}: {tail}", head.trim_end())
}
