//! Changes in a table that is loaded: flapping prefixes, and single changes.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::load::latency::Marks;
use crate::load::scenario::bench::{Bench, Watch};
use crate::load::scenario::params::{Outcome, Params};
use crate::load::{Announcer, Control, Encoded, Encoder, Error, Expect, Random, Table};

/// How many prefixes take turns in carrying marks.
const RING: usize = 1000;
const TICK: Duration = Duration::from_millis(1);
/// Messages queued at a time at full speed.
const BURST: usize = 5000;

/// The messages of all flapping prefixes, one prefix in each, in a circle:
/// every prefix in turn gets another path, is withdrawn, and comes back.
pub(crate) struct Circle {
    octets: Bytes,
    /// Where each message ends.
    ends: Vec<usize>,
    next: usize,
}

impl Circle {
    pub(crate) fn new(table: &Table, positions: &[usize], announcer: &Announcer) -> Self {
        let other = table.variant(1, 1);
        let mut encoder = Encoder::new(table.family());
        let mut octets = BytesMut::new();
        let mut ends = Vec::with_capacity(positions.len() * 3);
        for round in 0..3 {
            for (number, &position) in positions.iter().enumerate() {
                let prefix = &table.prefixes()[position..=position];
                let set = table.set_of(position);
                match (round + number) % 3 {
                    0 => encoder.announce(announcer, &other.sets()[set], prefix, None),
                    1 => encoder.withdraw(prefix, announcer.path_id),
                    _ => encoder.announce(announcer, &table.sets()[set], prefix, None),
                }
                for chunk in encoder.finish().chunks {
                    octets.extend_from_slice(&chunk);
                }
                ends.push(octets.len());
            }
        }
        Self {
            octets: octets.freeze(),
            ends,
            next: 0,
        }
    }

    /// The next messages, up to `count` of them, without a copy.
    pub(crate) fn take(&mut self, count: usize) -> Encoded {
        let last = (self.next + count).min(self.ends.len());
        let start = match self.next {
            0 => 0,
            next => self.ends[next - 1],
        };
        let taken = last - self.next;
        let chunk = self.octets.slice(start..self.ends[last - 1]);
        self.next = last % self.ends.len();
        Encoded {
            chunks: vec![chunk],
            messages: taken as u64,
            prefixes: taken as u64,
        }
    }
}

/// Loads the table; then flaps a part of it at a fixed rate, with marks, and
/// then as fast as the daemon takes it. Without an end of that last part, the
/// outcome has a note instead of its number.
pub(crate) fn run(params: &Params, control: &mut Control) -> Result<Outcome, Error> {
    let mut bench = load(params, control)?;
    let table = bench.table.clone();
    let flapping = (table.len() as f64 * bench.params.flapping.clamp(0.0, 0.9)) as usize;
    let stride = (table.len() / flapping.max(1)).max(1);
    let positions: Vec<usize> = (0..table.len()).step_by(stride).take(flapping).collect();
    if positions.is_empty() || stride < 2 {
        return Err(Error::Parameters(
            "churn: a part of the table has to flap".into(),
        ));
    }
    let announcer = bench.announcer(0, None);
    let mut circle = Circle::new(&table, &positions, &announcer);
    let ring = (1..table.len()).step_by(stride).take(RING).collect();
    let mut marks = Marks::new(ring);
    watch_marks(&mut bench);
    if bench.params.rate > 0 {
        paced(&mut bench, &mut circle, &mut marks)?;
        bench
            .outcome
            .latency_micros
            .insert("paced".into(), marks.latency());
    }
    // A daemon that is behind already would only be pushed further back.
    if marks.outstanding() > 0 {
        bench
            .outcome
            .notes
            .push("nothing was sent at full speed, since earlier changes were missing".into());
        return bench.finish();
    }
    // The latencies stand, whether or not the daemon survives the flood.
    match full_speed(&mut bench, &mut circle, &mut marks) {
        Ok(()) => (),
        Err(error @ (Error::Timeout { .. } | Error::SessionLost { .. })) => bench
            .outcome
            .notes
            .push(format!("no number at full speed: {error}")),
        Err(error) => return Err(error),
    }
    bench.finish()
}

/// Brings the sessions up and the table to the receiver.
fn load<'a>(params: &Params, control: &'a mut Control) -> Result<Bench<'a>, Error> {
    let mut bench = Bench::new(params, control)?;
    let sender = bench.senders[0];
    let announcement = Encoded::table(&bench.table, &bench.announcer(0, None));
    let receivers = bench.receivers.clone();
    bench.track(&receivers, &Expect::Any);
    bench.bring_up()?;
    bench.exchange("loaded", &[(sender, announcement)], &receivers)?;
    bench.hub.run_for(Duration::from_secs(1))?;
    Ok(bench)
}

fn watch_marks(bench: &mut Bench<'_>) {
    if let Some(tracker) = bench.hub.tracker_mut(bench.receivers[0]) {
        tracker.watch_marks();
    }
}

fn collect(bench: &mut Bench<'_>, marks: &mut Marks) {
    if let Some(tracker) = bench.hub.tracker_mut(bench.receivers[0]) {
        marks.arrived(tracker.take_marks());
    }
}

/// Sends at the fixed rate, a millisecond's worth at a time, whatever the
/// daemon does: what it is late with counts as latency.
fn paced(bench: &mut Bench<'_>, circle: &mut Circle, marks: &mut Marks) -> Result<(), Error> {
    bench.control.stage(&mut bench.hub, "running", &[])?;
    let (sender, table) = (bench.senders[0], bench.table.clone());
    let announcer = bench.announcer(0, None);
    let watch = Watch::start();
    let length = bench.params.seconds;
    let (mut sent, mut marked, mut next) = (0u64, 0u64, watch.start);
    loop {
        let now = Instant::now();
        let elapsed = now.duration_since(watch.start).as_secs_f64();
        if elapsed >= length {
            break;
        }
        if now >= next {
            next = now + TICK;
            let due = (elapsed * f64::from(bench.params.rate)) as u64;
            while sent < due {
                let messages = circle.take((due - sent) as usize);
                sent += messages.messages;
                bench.hub.send(sender, &messages);
            }
            let due = (elapsed * f64::from(bench.params.marks)) as u64;
            while marked < due {
                let (_, message) = marks.next(&table, &announcer);
                bench.hub.send(sender, &message);
                marked += 1;
            }
        }
        bench.hub.step(next.saturating_duration_since(now))?;
        collect(bench, marks);
    }
    await_marks(bench, marks)?;
    let stage = watch.stop("paced", Instant::now());
    bench.outcome.stages.push(stage);
    bench.outcome.counts.insert("paced-updates".into(), sent);
    let rate = sent as f64 / length;
    bench
        .outcome
        .rates
        .insert("paced-updates-sent".into(), rate);
    bench
        .control
        .stage(&mut bench.hub, "paced", &[("updates", sent as f64)])
}

/// Keeps the socket full, for a time or for a number of messages, whichever is
/// over first. The rate is the number of UPDATE messages sent,
/// divided by the time from the first one until a mark behind the last one
/// has come out of the daemon.
///
/// # Errors
/// [`Error::Timeout`] if the daemon does not come to the end of its backlog.
fn full_speed(bench: &mut Bench<'_>, circle: &mut Circle, marks: &mut Marks) -> Result<(), Error> {
    let (sender, table) = (bench.senders[0], bench.table.clone());
    let announcer = bench.announcer(0, None);
    bench.hub.set_bulk(true);
    let watch = Watch::start();
    let end = watch.start + Duration::from_secs_f64(bench.params.seconds.clamp(0.0, 1e6));
    let mut sent = 0;
    let most = bench.params.flood;
    while Instant::now() < end && sent < most {
        if bench.hub.drained(sender) {
            let messages = circle.take(BURST);
            sent += messages.messages;
            bench.hub.send(sender, &messages);
        }
        let wait = match bench.hub.drained(sender) {
            true => Duration::ZERO,
            false => Duration::from_millis(10),
        };
        bench.hub.step(wait)?;
    }
    let (last, message) = marks.next(&table, &announcer);
    bench.hub.send(sender, &message);
    await_marks(bench, marks)?;
    bench.hub.set_bulk(false);
    let Some(arrival) = marks.arrival(last) else {
        return Err(Error::Timeout {
            stage: "what was queued".into(),
            seconds: bench.params.timeout,
            state: "the change behind it did not arrive".into(),
        });
    };
    let stage = watch.stop("full-speed", arrival);
    let rate = sent as f64 / stage.seconds;
    bench
        .outcome
        .counts
        .insert("full-speed-updates".into(), sent);
    bench
        .outcome
        .rates
        .insert("full-speed-updates".into(), rate);
    bench.outcome.stages.push(stage);
    bench
        .control
        .stage(&mut bench.hub, "full-speed", &[("rate", rate)])
}

/// Waits for the marks that are on their way; gives up at the deadline.
fn await_marks(bench: &mut Bench<'_>, marks: &mut Marks) -> Result<(), Error> {
    let deadline = bench.params.deadline();
    while marks.outstanding() > 0 && Instant::now() < deadline {
        if bench.hub.stats(bench.receivers[0]).losses > 0
            || bench.hub.stats(bench.senders[0]).losses > 0
        {
            let ids = [bench.senders[0], bench.receivers[0]];
            return Err(bench.hub.loss(&ids));
        }
        bench.hub.step(Duration::from_millis(10))?;
        collect(bench, marks);
    }
    Ok(())
}

/// Loads the table; then changes one prefix at a time, and waits for each.
pub(crate) fn run_lone(params: &Params, control: &mut Control) -> Result<Outcome, Error> {
    let mut bench = load(params, control)?;
    let (sender, table) = (bench.senders[0], bench.table.clone());
    let announcer = bench.announcer(0, None);
    let ring = (0..table.len())
        .step_by((table.len() / RING).max(1))
        .collect();
    let mut marks = Marks::new(ring);
    watch_marks(&mut bench);
    let mut random = Random::new(bench.params.seed);
    bench.control.stage(&mut bench.hub, "running", &[])?;
    let watch = Watch::start();
    for _ in 0..bench.params.changes {
        let (_, message) = marks.next(&table, &announcer);
        bench.hub.send(sender, &message);
        await_marks(&mut bench, &mut marks)?;
        if marks.outstanding() > 0 {
            break;
        }
        bench
            .hub
            .run_for(Duration::from_micros(1000 + random.below(4000)))?;
    }
    bench
        .outcome
        .stages
        .push(watch.stop("lone", Instant::now()));
    bench
        .outcome
        .latency_micros
        .insert("lone".into(), marks.latency());
    bench.finish()
}
