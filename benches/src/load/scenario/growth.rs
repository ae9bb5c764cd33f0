//! More and more routes, with a halt after each step.

use crate::load::scenario::bench::Bench;
use crate::load::scenario::fan::via_winners;
use crate::load::scenario::params::{Outcome, Params};
use crate::load::{Control, Encoded, Error, Expect, Goal};

/// The first sender announces its table in steps; then each of the others
/// adds its own paths to the same prefixes. Ends with everything loaded.
pub(crate) fn run(params: &Params, control: &mut Control) -> Result<Outcome, Error> {
    let mut bench = Bench::new(params, control)?;
    let receivers = bench.receivers.clone();
    bench.track(&receivers, &Expect::Any);
    bench.bring_up()?;
    let size = bench.table.len();
    let mut steps = bench.params.steps.clone();
    steps.sort_unstable();
    steps.dedup();
    let first = bench.table.variant(0, bench.senders.len());
    let mut done = 0;
    for &routes in steps.iter().filter(|&&routes| routes <= size) {
        let part = first.slice(done..routes);
        let messages = Encoded::table(&part, &bench.announcer(0, None));
        done = routes;
        bench.hub.set_goal(&receivers, Goal::Present(routes));
        let sender = bench.senders[0];
        bench.exchange(&format!("step-{routes}"), &[(sender, messages)], &receivers)?;
    }
    let feeds = (1..bench.senders.len()).filter(|feed| steps.contains(&((feed + 1) * size)));
    for feed in feeds.collect::<Vec<_>>() {
        if done < size {
            return Err(Error::Parameters(
                "growth: no step for the whole table".into(),
            ));
        }
        add_feed(&mut bench, feed)?;
    }
    bench.finish()
}

/// One more sender with its paths. It is over when the prefixes of which it
/// has the best path were passed on again.
fn add_feed(bench: &mut Bench<'_>, feed: usize) -> Result<(), Error> {
    let feeds = bench.senders.len();
    let variant = bench.table.variant(feed, feeds);
    let messages = Encoded::table(&variant, &bench.announcer(feed, None));
    let winners = bench.table.winners(feeds);
    let goal = winners.iter().filter(|&&w| usize::from(w) <= feed).count();
    let receivers = bench.receivers.clone();
    let expect = via_winners(bench);
    for &id in &receivers {
        if let Some(tracker) = bench.hub.tracker_mut(id) {
            if feed == 1 {
                tracker.expect_via(expect.clone(), 0);
            }
            tracker.set_goal(Goal::Present(goal));
        }
    }
    let routes = (feed + 1) * bench.table.len();
    let sender = bench.senders[feed];
    bench.exchange(&format!("step-{routes}"), &[(sender, messages)], &receivers)
}
