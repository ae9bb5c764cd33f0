//! Whatever happens, in the end the kernel has what it should.
//!
//! The daemon has four links with a speaker at the end of each. Random things
//! happen: routes are announced and withdrawn, sessions and links come and go,
//! somebody deletes and replaces the daemon's routes and nexthop objects by
//! hand, other routes appear in their place, notifications are lost, the
//! daemon is killed. After every few of them the kernel must come to have
//! exactly the routes that a naive model works out, and the routes of others
//! as they were.
//!
//! `HOLDFAST_CHAOS_STEPS` says how many steps each test takes,
//! `HOLDFAST_CHAOS_SEED` repeats a run, and `HOLDFAST_CHAOS_SEEDS` says how many
//! seeds from that one on are taken.

#[path = "chaos/model.rs"]
mod model;
#[path = "chaos/observed.rs"]
mod observed;
#[path = "chaos/plan.rs"]
mod plan;
#[path = "chaos/random.rs"]
mod random;
#[path = "chaos/speech.rs"]
mod speech;
#[path = "chaos/stage.rs"]
mod stage;
#[path = "chaos/step.rs"]
mod step;

mod harness;

use std::time::{Duration, Instant};

use harness::need;
use random::Random;
use stage::{Stage, Variant};
use step::Step;

/// Steps of each test when nobody says otherwise.
const STEPS: usize = 100;
/// How long a route that was deleted by hand may be away.
const BACK_AGAIN: Duration = Duration::from_secs(10);

const fn variant(
    graceful: bool,
    objects: bool,
    netlink_buffer: Option<usize>,
    compat_mode: bool,
) -> Variant {
    Variant {
        graceful,
        objects,
        netlink_buffer,
        compat_mode,
    }
}

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|error| panic!("{name}: {error}")),
    )
}

/// A run: what was done, for a failure to tell.
struct Run {
    stage: Stage,
    random: Random,
    title: String,
    trail: Vec<String>,
    /// How long what was deleted by hand was away.
    back: Vec<Duration>,
    settled: Vec<Duration>,
}

impl Run {
    fn step(&mut self) {
        let step = step::choose(&mut self.random, &self.stage.world);
        let number = self.trail.len();
        self.trail.push(format!("{number}: {step:?}"));
        if let Step::Restart { stop, objects } = step {
            return self.restart(stop, objects);
        }
        let by_hand = matches!(
            step,
            Step::DeleteRoutes(_) | Step::FlushRoutes | Step::DeleteObjects(_) | Step::FlushObjects
        );
        let measured = by_hand && self.random.coin();
        if measured {
            self.settle();
        }
        let begun = Instant::now();
        let done = self.stage.carry_out(&step);
        if !done {
            self.trail[number] += " (not possible)";
        }
        if measured && done {
            self.settle();
            self.back.push(begun.elapsed());
        }
    }

    /// A graceful restart, which no route notices that is there before and
    /// after.
    fn restart(&mut self, stop: bool, objects: bool) {
        self.settle();
        let Some(kept) = self.stage.restart(stop, objects) else {
            return;
        };
        let begun = Instant::now();
        let mut good = 0;
        while good < 2 {
            let missing = self.stage.missing(&kept);
            if !missing.is_empty() {
                self.fail(&missing);
            }
            let differences = self.stage.differences();
            good = if differences.is_empty() { good + 1 } else { 0 };
            if begun.elapsed() > self.stage.patience() {
                self.fail(&differences);
            }
        }
    }

    /// Waits until the kernel is as it should be, and stays so.
    fn settle(&mut self) {
        let begun = Instant::now();
        let mut good = 0;
        loop {
            let differences = self.stage.differences();
            match differences.is_empty() {
                true => good += 1,
                false => good = 0,
            }
            if good == 2 {
                self.stage.rest();
                self.settled.push(begun.elapsed());
                return;
            }
            if begun.elapsed() > self.stage.patience() {
                self.fail(&differences);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn fail(&self, differences: &[String]) -> ! {
        eprintln!("the world: {:?}", self.stage.world);
        eprintln!("{}", self.stage.describe());
        panic!("{}:\n{}", self.title, differences.join("\n"));
    }

    fn tale(&self) -> String {
        let from = self.trail.len().saturating_sub(1000);
        let trail = &self.trail[from..];
        format!("{}; the last steps:\n{}", self.title, trail.join("\n"))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.tale());
        }
    }
}

fn run(name: &str, variant: Variant, seed: u64, steps: usize) {
    let title = format!("{name}, HOLDFAST_CHAOS_SEED={seed}");
    eprintln!("{title}");
    let begun = Instant::now();
    let mut run = Run {
        stage: Stage::new(variant),
        random: Random::new(seed),
        title,
        trail: Vec::new(),
        back: Vec::new(),
        settled: Vec::new(),
    };
    run.settle();
    while run.trail.len() < steps {
        for _ in 0..=run.random.below(6) {
            run.step();
        }
        run.settle();
    }
    let longest = |times: &[Duration]| times.iter().max().copied().unwrap_or_default();
    let back = longest(&run.back);
    eprintln!(
        "{}: {steps} steps in {:?}; at rest after {:?} at most, by hand {back:?}",
        run.title,
        begun.elapsed(),
        longest(&run.settled)
    );
    assert!(back < BACK_AGAIN, "deleted routes were away for {back:?}");
}

fn runs(name: &str, variant: Variant) {
    let steps = setting("HOLDFAST_CHAOS_STEPS").map_or(STEPS, |steps| steps as usize);
    let seed = setting("HOLDFAST_CHAOS_SEED").unwrap_or(1);
    let seeds = setting("HOLDFAST_CHAOS_SEEDS").unwrap_or(1);
    for seed in seed..seed + seeds {
        run(name, variant, seed, steps);
    }
}

#[test]
fn the_kernel_has_what_it_should() {
    need!();
    runs("usual", variant(false, true, None, true));
}

#[test]
fn the_kernel_has_what_it_should_after_graceful_restarts() {
    need!();
    runs("graceful, compat mode 0", variant(true, true, None, false));
}

#[test]
fn the_kernel_has_what_it_should_though_it_was_not_heard() {
    need!();
    runs("small buffer", variant(true, true, Some(4096), true));
}

#[test]
fn the_kernel_has_what_it_should_without_objects() {
    need!();
    runs("no objects", variant(false, false, Some(8192), false));
}
