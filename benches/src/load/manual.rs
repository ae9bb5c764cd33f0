//! One session by hand: a sender that stays, a receiver that counts.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::load::scenario::{Circle, Outcome, Params, Stage};
use crate::load::{
    Announcer, Command, Control, Encoded, Error, Expect, Goal, Hub, PrefixIndex, SessionConfig,
    SessionId, Tracker,
};

/// How often progress is told and commands are looked for.
const GLANCE: Duration = Duration::from_millis(20);

/// How a session by hand ends, and what it does meanwhile.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stay {
    /// Ends after so many seconds; without it on [`Command::Stop`].
    pub seconds: Option<f64>,
    /// Flaps a part of the table at the rate of the parameters.
    pub flap: bool,
}

/// Announces a table and stays. Withdraws and announces it again on command.
///
/// # Errors
/// When the session does not come up in time, or the table cannot be made.
pub fn send(params: &Params, stay: Stay, control: &mut Control) -> Result<Outcome, Error> {
    let params = localized(params)?;
    let table = params.table()?;
    let (mut hub, id) = dial(&params, false)?;
    let local = hub.config(id).local;
    let announcer = Announcer {
        asn: params.first_as,
        ibgp: params.first_as == params.daemon_as,
        next_hop: params.next_hop_of(local),
        path_id: None,
    };
    let announcement = Encoded::table(&table, &announcer);
    let withdrawal = Encoded::withdrawal(&table, None);
    let step = (1.0 / params.flapping.clamp(1e-6, 1.0)) as usize;
    let positions: Vec<usize> = (0..table.len()).step_by(step.max(1)).collect();
    let mut circle = stay
        .flap
        .then(|| Circle::new(&table, &positions, &announcer));
    hub.set_greeting(id, announcement.clone());
    params.bring_up(&mut hub, &[id])?;
    control.tell("up", &[]);
    let start = Instant::now();
    let mut flapped = 0u64;
    let mut told = false;
    while stay
        .seconds
        .is_none_or(|s| start.elapsed().as_secs_f64() < s)
    {
        match control.command() {
            Some(Command::Stop) => break,
            Some(Command::Withdraw) => hub.send(id, &withdrawal),
            Some(Command::Announce) => hub.send(id, &announcement),
            Some(Command::Continue) | None => {}
        }
        if let Some(circle) = &mut circle
            && hub.is_up(id)
        {
            let due = (start.elapsed().as_secs_f64() * f64::from(params.rate)) as u64;
            while flapped < due {
                let messages = circle.take((due - flapped) as usize);
                flapped += messages.messages;
                hub.send(id, &messages);
            }
        }
        if !told && hub.is_up(id) && hub.drained(id) {
            told = true;
            control.tell("sent", &[("prefixes", table.len() as f64)]);
        }
        let wait = match circle {
            Some(_) => Duration::from_millis(1),
            None => GLANCE,
        };
        hub.step(wait)?;
    }
    let octets = hub.stats(id).octets_sent;
    Ok(Outcome {
        prefixes: table.len(),
        sets: table.sets().len(),
        senders: 1,
        counts: BTreeMap::from([("octets".into(), octets), ("flaps".into(), flapped)]),
        ..Outcome::default()
    })
}

/// Counts what comes in. With a size of the table in `params` it ends when
/// all of that table's prefixes are there.
///
/// # Errors
/// When the session does not come up in time, or is lost.
pub fn receive(params: &Params, stay: Stay, control: &mut Control) -> Result<Outcome, Error> {
    let known = params.prefixes.is_some() || params.mrt.is_some();
    let params = localized(params)?;
    let index = match known {
        true => PrefixIndex::new(params.table()?.prefixes()),
        false => PrefixIndex::new(&[]),
    };
    let family = params.family.unwrap_or_default();
    let (mut hub, id) = dial(&params, true)?;
    let mut tracker = Tracker::new(family, Arc::new(index), Expect::Any);
    if !known {
        tracker.set_goal(Goal::Present(usize::MAX));
    }
    if let Some(wanted) = params.expect {
        tracker.set_goal(Goal::Present(wanted));
    }
    hub.track(id, tracker);
    params.bring_up(&mut hub, &[id])?;
    control.tell("up", &[]);
    let (start, mut last_told, mut told) = (Instant::now(), Instant::now(), 0);
    while stay
        .seconds
        .is_none_or(|s| start.elapsed().as_secs_f64() < s)
    {
        hub.step(GLANCE)?;
        let Some(tracker) = hub.tracker(id) else {
            break;
        };
        if tracker.stats.updates != told && last_told.elapsed() > Duration::from_secs(1) {
            (told, last_told) = (tracker.stats.updates, Instant::now());
            control.tell("received", &progress(tracker));
        }
        if tracker.reached().is_some() || control.command() == Some(Command::Stop) {
            break;
        }
        if hub.stats(id).losses > 0 {
            return Err(hub.loss(&[id]));
        }
    }
    Ok(received(&hub, id, start))
}

fn progress(tracker: &Tracker) -> [(&'static str, f64); 4] {
    [
        ("updates", tracker.stats.updates as f64),
        ("announced", tracker.stats.announced as f64),
        ("withdrawn", tracker.stats.withdrawn as f64),
        ("present", tracker.present() as f64),
    ]
}

fn received(hub: &Hub, id: SessionId, start: Instant) -> Outcome {
    let mut outcome = Outcome {
        receivers: 1,
        ..Outcome::default()
    };
    let Some(tracker) = hub.tracker(id) else {
        return outcome;
    };
    outcome.prefixes = tracker.present();
    for (name, value) in progress(tracker) {
        outcome.counts.insert(name.into(), value as u64);
    }
    let octets = hub.stats(id).octets_received;
    outcome.counts.insert("octets".into(), octets);
    let times = [
        ("first-update", tracker.stats.first_update),
        ("end-of-rib", tracker.stats.end_of_rib),
        ("last-update", tracker.stats.last_update),
        ("complete", tracker.reached()),
    ];
    for (name, time) in times {
        if let Some(time) = time {
            outcome.stages.push(Stage {
                name: name.into(),
                seconds: time.saturating_duration_since(start).as_secs_f64(),
                generator_cpu_seconds: 0.0,
            });
        }
    }
    outcome
}

/// Fills in the local address that the kernel would choose, and refuses AS
/// numbers that are none.
fn localized(params: &Params) -> Result<Params, Error> {
    let mut params = params.clone();
    params.check_session(1)?;
    if params.local.is_none() {
        let any = match params.to {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let what = format!("no route to {}", params.to);
        let address = UdpSocket::bind(SocketAddr::new(any, 0))
            .and_then(|socket| {
                socket.connect(SocketAddr::new(params.to, params.port))?;
                socket.local_addr()
            })
            .map_err(Error::io(what))?;
        params.local = Some(address.ip());
    }
    Ok(params.resolve())
}

fn dial(params: &Params, end_of_rib: bool) -> Result<(Hub, SessionId), Error> {
    let local = params.local.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let remote = SocketAddr::new(params.to, params.port);
    let mut config = SessionConfig::new(local, remote, params.first_as);
    config.listen = params.listen;
    config.hold_time_secs = params.hold_time;
    config.families = vec![params.family.unwrap_or_default()];
    config.end_of_rib = end_of_rib;
    let mut hub = Hub::new()?;
    let id = hub.add(config)?;
    Ok((hub, id))
}
