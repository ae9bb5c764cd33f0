//! A policy is edited while a full table stands.

use std::time::Duration;

use crate::load::scenario::bench::{Bench, Watch};
use crate::load::scenario::params::{Outcome, Params};
use crate::load::{Control, Encoded, Error, Expect, Goal};

/// How long it is watched whether more comes than is needed.
const AFTERWARDS: Duration = Duration::from_secs(3);

/// Loads the table to all receivers. At the stage `edit` somebody edits the
/// daemon's policy so that the routes of an eighth of the address space
/// (32.0.0.0/3) get the community of the parameters; it is over when all
/// receivers have all of those with it. What they were told beyond, and
/// sessions that were lost, are noted.
pub(crate) fn run(params: &Params, control: &mut Control) -> Result<Outcome, Error> {
    let mut bench = Bench::new(params, control)?;
    let sender = bench.senders[0];
    let announcement = Encoded::table(&bench.table, &bench.announcer(0, None));
    let receivers = bench.receivers.clone();
    bench.track(&receivers, &Expect::Any);
    bench.bring_up()?;
    bench.exchange("loaded", &[(sender, announcement)], &receivers)?;
    // What a daemon does behind the last announcement.
    bench.hub.run_for(AFTERWARDS)?;
    let prefixes = bench.table.prefixes().iter();
    let wanted = prefixes.filter(|prefix| prefix.octets[0] >> 5 == 1).count();
    for &id in &receivers {
        if let Some(tracker) = bench.hub.tracker_mut(id) {
            tracker.expect_community(bench.params.community);
            tracker.set_goal(Goal::Present(wanted));
            tracker.reset_stats();
        }
    }
    edit(&mut bench, wanted)?;
    bench.finish()
}

fn edit(bench: &mut Bench<'_>, wanted: usize) -> Result<(), Error> {
    let receivers = bench.receivers.clone();
    bench.hub.set_bulk(true);
    let watch = Watch::start();
    bench.control.tell("edit", &[]);
    let deadline = bench.params.deadline();
    let end = bench.hub.wait_goal("reloaded", &receivers, deadline)?;
    bench.hub.set_bulk(false);
    bench.outcome.stages.push(watch.stop("reloaded", end));
    bench.hub.run_for(AFTERWARDS)?;
    bench.first_update("reloaded", watch.start, &receivers);
    let mut note = |what: String| bench.outcome.notes.push(what);
    let told = |what: &str| bench.outcome.counts.get(what).copied().unwrap_or(0);
    let needed = (wanted * receivers.len()) as u64;
    let (announced, withdrawn) = (told("reloaded-announced"), told("reloaded-withdrawn"));
    if announced > needed {
        note(format!(
            "announced {announced} routes where {needed} changed"
        ));
    }
    if withdrawn > 0 {
        note(format!("withdrew {withdrawn} routes"));
    }
    let ids = bench.senders.iter().chain(&receivers);
    let losses: u32 = ids.map(|&id| bench.hub.stats(id).losses).sum();
    if losses > 0 {
        note(format!("lost {losses} sessions"));
    }
    bench.outcome.counts.insert("needed".into(), needed);
    Ok(())
}
