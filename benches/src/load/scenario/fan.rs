//! Many senders of the same prefixes, and many receivers.

use crate::load::scenario::bench::Bench;
use crate::load::scenario::params::{Outcome, Params};
use crate::load::{Control, Encoded, Error, Expect, Goal, SessionId};

/// All senders announce every prefix at the same time, with different paths.
/// It is over when each prefix was passed on with its best path.
pub(crate) fn run_in(params: &Params, control: &mut Control) -> Result<Outcome, Error> {
    let mut bench = Bench::new(params, control)?;
    let senders = bench.senders.clone();
    let (mut announcements, mut withdrawals) = (Vec::new(), Vec::new());
    for (number, &id) in senders.iter().enumerate() {
        let variant = bench.table.variant(number, senders.len());
        let announcer = bench.announcer(number, None);
        announcements.push((id, Encoded::table(&variant, &announcer)));
        withdrawals.push((id, Encoded::withdrawal(&variant, None)));
    }
    let receivers = bench.receivers.clone();
    let expect = via_winners(&bench);
    bench.track(&receivers, &expect);
    bench.bring_up()?;
    bench.exchange("loaded", &announcements, &receivers)?;
    // From here on any path keeps a prefix alive.
    for &id in &receivers {
        if let Some(tracker) = bench.hub.tracker_mut(id) {
            tracker.expect_any();
        }
    }
    bench.withdraw(&withdrawals)?;
    bench.finish()
}

/// Every prefix by way of the sender whose variant is best.
pub(crate) fn via_winners(bench: &Bench<'_>) -> Expect {
    Expect::Via {
        position: usize::from(!bench.params.ibgp()),
        first_asn: bench.params.first_as,
        winners: bench.table.winners(bench.senders.len()).into(),
    }
}

/// The senders share the table; every other session gets all of it. With
/// internal sessions the senders are clients of the reflector, too, and get
/// what the others announced.
pub(crate) fn run_out(params: &Params, control: &mut Control) -> Result<Outcome, Error> {
    let mut bench = Bench::new(params, control)?;
    let senders = bench.senders.clone();
    let (mut announcements, mut withdrawals) = (Vec::new(), Vec::new());
    for (number, &id) in senders.iter().enumerate() {
        let part = bench.table.slice(bench.share(number));
        announcements.push((id, Encoded::table(&part, &bench.announcer(number, None))));
        withdrawals.push((id, Encoded::withdrawal(&part, None)));
    }
    let receivers = bench.receivers.clone();
    bench.track(&receivers, &Expect::Any);
    if bench.params.ibgp() {
        bench.track(&senders, &Expect::Any);
        exclude_own(&mut bench);
        bench.receivers.extend(&senders);
    }
    let listeners: Vec<SessionId> = bench.receivers.clone();
    bench.bring_up()?;
    bench.exchange("loaded", &announcements, &listeners)?;
    bench.hub.set_goal(&listeners, Goal::Absent);
    bench.withdraw(&withdrawals)?;
    bench.finish()
}

/// The senders do not wait for what they announced themselves.
pub(crate) fn exclude_own(bench: &mut Bench<'_>) {
    for (number, id) in bench.senders.clone().into_iter().enumerate() {
        let own = bench.share(number);
        if let Some(tracker) = bench.hub.tracker_mut(id) {
            tracker.exclude(own.start as u32..own.end as u32);
        }
    }
}
