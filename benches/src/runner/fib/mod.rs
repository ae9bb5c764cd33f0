//! The way into the kernel: how long until the routes are where packets are
//! forwarded, until a lost next hop is out of them, and until they are gone.
//!
//! ```text
//!   load's namespace              daemon's namespace
//!   feed: sessions   == TCP ==>   daemon, or the writer --netlink--> kernel
//!     |  begins a stage                                                |
//!     +----------------------->   observer  <---- asks for routes -----+
//! ```
//!
//! | to change | look into |
//! | --- | --- |
//! | what is announced, lost and withdrawn | `feed` |
//! | when a stage is over | `watch` |
//! | which prefixes are asked for | `sample` |
//! | what a route's next hops are | `routes` |
//! | the limit that daemons are compared with | `writer` |

mod feed;
mod netlink;
mod routes;
mod sample;
#[cfg(test)]
mod tests;
mod watch;
mod writer;

use std::time::{Duration, Instant};

use self::routes::Hops;
use self::watch::{Goal, Watch};
use self::writer::{Style, Writer};
use super::arena::Arena;
use super::daemons::Daemon;
use super::error::{Error, Result};
use super::load::{Measured, Values, of_load, params};
use super::scenarios::Case;
use crate::load::scenario::bench::{Bench, thread_cpu_seconds};
use crate::load::{Control, Table};

/// A part of a run that is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Until all routes are there with all next hops.
    Install,
    /// Until one next hop is out of all of them.
    Loss,
    /// Until all routes are gone.
    Withdraw,
}

/// The clock of the parts.
struct Stages {
    watch: Watch,
    hops: u16,
    deadline: Duration,
    running: Option<(Part, Instant)>,
    values: Values,
}

impl Part {
    /// The key of its metric.
    fn key(self) -> &'static str {
        match self {
            Self::Install => "install_s",
            Self::Loss => "loss_s",
            Self::Withdraw => "withdraw_s",
        }
    }
}

impl Stages {
    fn new(watch: Watch, hops: u16, deadline: Duration) -> Self {
        Self {
            watch,
            hops,
            deadline,
            running: None,
            values: Values::new(),
        }
    }

    /// Waits until the observer is ready and none of the routes is there.
    ///
    /// # Errors
    ///
    /// There are such routes.
    fn prepare(&self) -> Result<()> {
        self.watch.begin(Goal::Gone, Instant::now() + self.deadline);
        self.watch.wait().map(drop)
    }

    /// Begins a part now.
    fn begin(&mut self, part: Part) {
        let goal = match part {
            Part::Install => Goal::By(Hops::first(self.hops)),
            Part::Loss => Goal::By(Hops::first(self.hops.saturating_sub(1))),
            Part::Withdraw => Goal::Gone,
        };
        let start = Instant::now();
        self.running = Some((part, start));
        self.watch.begin(goal, start + self.deadline);
    }

    /// Whether the part that was begun is over; notes its length.
    ///
    /// # Errors
    ///
    /// It did not end in time.
    fn is_over(&mut self) -> Result<bool> {
        match self.watch.poll()? {
            Some(seen) => self.note(seen),
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Waits until the part that was begun is over.
    ///
    /// # Errors
    ///
    /// It did not end in time.
    fn wait(&mut self) -> Result<()> {
        let seen = self.watch.wait()?;
        self.note(seen);
        Ok(())
    }

    fn note(&mut self, seen: watch::Seen) {
        if let Some((part, start)) = self.running.take() {
            let seconds = seen.at.saturating_duration_since(start).as_secs_f64();
            self.values.insert(part.key().to_owned(), seconds);
            for (key, value) in [
                ("observer_cpu_s", seen.cpu_seconds),
                ("looks", f64::from(seen.looks)),
            ] {
                *self.values.entry(key.to_owned()).or_default() += value;
            }
        }
    }
}

/// Puts the load of a case on the daemon, whose process is `pid`, and looks at
/// the kernel; without a daemon the writer of the case does its work.
/// `deadline` is for each part.
pub(super) fn measure(
    case: &Case,
    arena: &Arena,
    pid: Option<u32>,
    deadline: Duration,
) -> Result<Measured> {
    let params = params(case, deadline);
    let table = params.table().map_err(of_load)?;
    let (watch, observer) = watch::pair();
    let stages = Stages::new(watch, case.sizes.senders, deadline);
    std::thread::scope(|scope| {
        let prefixes = table.prefixes();
        let observing = scope.spawn(move || arena.in_daemon(|| observer.run(prefixes)));
        let result = match pid {
            Some(pid) => arena.in_load(|| {
                let mut stages = stages;
                let mut control = Control::new();
                let bench = Bench::new(&params, &mut control).map_err(of_load)?;
                feed::run(bench, &mut stages, pid)?;
                Ok(stages.values)
            }),
            None => arena.in_daemon(|| write(case, &table, stages)),
        };
        let observed = observing
            .join()
            .unwrap_or_else(|_| Err(Error::Load("the observer panicked".to_owned())));
        // If there is no observer, that is why there is no result.
        observed?;
        let values = result?;
        let notes = Vec::new();
        Ok(Measured { values, notes })
    })
}

/// The parts without a daemon.
fn write(case: &Case, table: &Table, mut stages: Stages) -> Result<Values> {
    let style = match case.daemon {
        Daemon::GroupWriter => Style::Group,
        _ => Style::Multipath,
    };
    let mut writer = Writer::new(style, table.prefixes(), case.sizes.senders)?;
    stages.prepare()?;
    stages.begin(Part::Install);
    writer.install()?;
    stages.wait()?;
    if case.sizes.senders > 1 {
        stages.begin(Part::Loss);
        writer.lose()?;
        stages.wait()?;
    }
    stages.begin(Part::Withdraw);
    writer.withdraw()?;
    stages.wait()?;
    let mut values = stages.values;
    values.insert("cpu_s".to_owned(), thread_cpu_seconds());
    Ok(values)
}
