//! A full table from one session to another.

use crate::load::scenario::bench::{Bench, session};
use crate::load::scenario::params::{Outcome, Params, Role};
use crate::load::{Control, Encoded, Error, Expect};

/// Loads the table, lets a late receiver have it, and withdraws it.
pub(crate) fn run(params: &Params, control: &mut Control) -> Result<Outcome, Error> {
    let mut bench = Bench::new(params, control)?;
    let sender = bench.senders[0];
    let announcement = Encoded::table(&bench.table, &bench.announcer(0, None));
    let withdrawal = Encoded::withdrawal(&bench.table, None);
    let receivers = bench.receivers.clone();
    bench.track(&receivers, &Expect::Any);
    bench.bring_up()?;
    bench.exchange("loaded", &[(sender, announcement)], &receivers)?;
    join_late(&mut bench)?;
    bench.withdraw(&[(sender, withdrawal)])?;
    bench.finish()
}

/// A receiver that comes when the table is there: the time that the daemon
/// needs to send what it has, from the moment the session is up.
fn join_late(bench: &mut Bench<'_>) -> Result<(), Error> {
    let Some(peer) = bench.peers.iter().find(|peer| peer.role == Role::Late) else {
        return Ok(());
    };
    let id = bench.hub.add(session(&bench.params, peer))?;
    bench.track(&[id], &Expect::Any);
    bench.receivers.push(id);
    bench.hub.bring_up(&[id], bench.params.deadline())?;
    bench.exchange("late", &[], &[id])
}
