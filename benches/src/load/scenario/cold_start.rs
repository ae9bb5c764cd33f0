//! Many sessions and a daemon that just starts.

use std::time::Instant;

use crate::load::scenario::bench::{Bench, Watch};
use crate::load::scenario::fan::exclude_own;
use crate::load::scenario::params::{Outcome, Params, Stage};
use crate::load::{Control, Encoded, Error, Expect, Hub, SessionId, Tracker};

/// Every session announces its prefixes as soon as it is up, and waits for
/// those of all the others. The clock starts at the stage `start`: whoever
/// starts the daemon does so when that is told, or holds there and starts
/// daemon and clock together. Sessions that are lost come back.
pub(crate) fn run(params: &Params, control: &mut Control) -> Result<Outcome, Error> {
    let mut bench = Bench::new(params, control)?;
    let senders = bench.senders.clone();
    for (number, &id) in senders.iter().enumerate() {
        let part = bench.table.slice(bench.share(number));
        let greeting = Encoded::table(&part, &bench.announcer(number, None));
        bench.hub.set_greeting(id, greeting);
    }
    let receivers = bench.receivers.clone();
    bench.track(&receivers, &Expect::Any);
    bench.track(&senders, &Expect::Any);
    exclude_own(&mut bench);
    bench.control.stage(&mut bench.hub, "start", &[])?;

    bench.hub.set_bulk(true);
    let watch = Watch::start();
    let all: Vec<SessionId> = senders.iter().chain(&receivers).copied().collect();
    let mut next = 0;
    let full = |hub: &Hub, id: SessionId| hub.tracker(id).and_then(Tracker::reached).is_some();
    bench
        .hub
        .run_until("everyone full", bench.params.deadline(), |hub| {
            while all.get(next).is_some_and(|&id| full(hub, id)) {
                next += 1;
            }
            // One that was full may have been lost since.
            if next == all.len() && !all.iter().all(|&id| full(hub, id)) {
                next = 0;
            }
            next == all.len()
        })?;
    conclude(&mut bench, watch, &all)?;
    bench.finish()
}

fn conclude(bench: &mut Bench<'_>, watch: Watch, all: &[SessionId]) -> Result<(), Error> {
    let reached = |&id: &SessionId| bench.hub.tracker(id).and_then(Tracker::reached);
    let end = all.iter().filter_map(reached).max();
    let full = watch.stop("full", end.unwrap_or_else(Instant::now));
    let ups = || all.iter().filter_map(|&id| bench.hub.stats(id).established);
    let since = |when: Option<Instant>| {
        when.map_or(0.0, |w| {
            w.saturating_duration_since(watch.start).as_secs_f64()
        })
    };
    let times = [
        ("first-up", since(ups().min())),
        ("all-up", since(ups().max())),
    ];
    for (name, seconds) in times {
        bench.outcome.stages.push(Stage {
            name: name.into(),
            seconds,
            generator_cpu_seconds: 0.0,
        });
    }
    let losses: u64 = all
        .iter()
        .map(|&id| u64::from(bench.hub.stats(id).losses))
        .sum();
    bench.outcome.counts.insert("losses".into(), losses);
    let seconds = full.seconds;
    bench.outcome.stages.push(full);
    bench
        .control
        .stage(&mut bench.hub, "full", &[("seconds", seconds)])
}
