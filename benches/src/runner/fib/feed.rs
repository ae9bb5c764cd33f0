//! The load: several sessions that announce the same prefixes, each with its
//! own address as the next hop.

use std::time::{Duration, Instant};

use super::{Part, Stages};
use crate::load::scenario::bench::Bench;
use crate::load::{Encoded, SessionId};
use crate::runner::error::{Error, Result};
use crate::runner::load::of_load;
use crate::runner::process::usage_of_tree;

/// How often the event loop looks for what the observer has seen.
const GLANCE: Duration = Duration::from_millis(20);
/// A daemon is quiet when it used less than [`LITTLE`] in that time.
const QUIET: Duration = Duration::from_millis(500);
/// Two of the kernel's ticks.
const LITTLE: f64 = 0.021;

/// Announces, ends the last session, withdraws; between these the daemon
/// `pid` may come to rest.
pub(super) fn run(mut bench: Bench<'_>, stages: &mut Stages, pid: u32) -> Result<()> {
    let senders = bench.senders.clone();
    let (mut announcements, mut withdrawals) = (Vec::new(), Vec::new());
    for (number, &id) in senders.iter().enumerate() {
        let announcer = bench.announcer(number, None);
        announcements.push((id, Encoded::table(&bench.table, &announcer)));
        withdrawals.push((id, Encoded::withdrawal(&bench.table, None)));
    }
    stages.prepare()?;
    bench.bring_up().map_err(of_load)?;
    rest(&mut bench, pid)?;
    bench.hub.set_bulk(true);
    let mut up = senders;
    announce(&mut bench, stages, Part::Install, &announcements, &up)?;
    rest(&mut bench, pid)?;
    if up.len() > 1 {
        // The last one: with most daemons its paths are not the best ones, so
        // that there is little to be told to the others.
        let lost = up.pop();
        withdrawals.pop();
        stages.begin(Part::Loss);
        lost.into_iter().for_each(|id| bench.hub.stop(id));
        follow(&mut bench, stages, &up)?;
        rest(&mut bench, pid)?;
    }
    announce(&mut bench, stages, Part::Withdraw, &withdrawals, &up)
}

/// Sends each session its messages and waits for what they do to the kernel.
fn announce(
    bench: &mut Bench<'_>,
    stages: &mut Stages,
    part: Part,
    messages: &[(SessionId, Encoded)],
    up: &[SessionId],
) -> Result<()> {
    stages.begin(part);
    for (id, encoded) in messages {
        bench.hub.send(*id, encoded);
    }
    follow(bench, stages, up)
}

/// Keeps the sessions going until the observer has seen what it waits for.
fn follow(bench: &mut Bench<'_>, stages: &mut Stages, up: &[SessionId]) -> Result<()> {
    while !stages.is_over()? {
        bench.hub.step(GLANCE).map_err(of_load)?;
        if !up.iter().all(|&id| bench.hub.is_up(id)) {
            return Err(of_load(bench.hub.loss(up)));
        }
    }
    Ok(())
}

/// Waits until the daemon does nothing any more.
fn rest(bench: &mut Bench<'_>, pid: u32) -> Result<()> {
    let end = bench.params.deadline();
    let mut used = usage_of_tree(pid).cpu_seconds;
    while Instant::now() < end {
        bench.hub.run_for(QUIET).map_err(of_load)?;
        let now = usage_of_tree(pid).cpu_seconds;
        if now - used < LITTLE {
            return Ok(());
        }
        used = now;
    }
    Err(Error::Timeout(
        "the daemon does not come to rest".to_owned(),
    ))
}
