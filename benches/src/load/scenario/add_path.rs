//! Several paths per prefix (RFC 7911).

use crate::load::scenario::bench::Bench;
use crate::load::scenario::params::{Outcome, Params};
use crate::load::{Control, Encoded, Error, Expect};

/// Every prefix reaches the receiver with all its paths, which come from as
/// many senders, or from one that gives them identifiers.
pub(crate) fn run(params: &Params, control: &mut Control) -> Result<Outcome, Error> {
    let mut bench = Bench::new(params, control)?;
    let paths = usize::from(bench.params.paths);
    let one_sender = bench.params.one_sender;
    if !one_sender && bench.senders.len() != paths {
        return Err(Error::Parameters(
            "add-path: as many senders as paths".into(),
        ));
    }
    let (mut announcements, mut withdrawals) = (Vec::new(), Vec::new());
    for path in 0..paths {
        let (number, path_id) = match one_sender {
            true => (0, Some(path as u32 + 1)),
            false => (path, None),
        };
        let variant = bench.table.variant(path, paths);
        let announcer = bench.announcer(number, path_id);
        let id = bench.senders[number];
        announcements.push((id, Encoded::table(&variant, &announcer)));
        withdrawals.push((id, Encoded::withdrawal(&variant, path_id)));
    }
    let receivers = bench.receivers.clone();
    bench.track(&receivers, &Expect::Paths(bench.params.paths));
    bench.bring_up()?;
    bench.exchange("loaded", &announcements, &receivers)?;
    bench.withdraw(&withdrawals)?;
    bench.finish()
}
