//! The generator's scenarios in the sizes of a case.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::arena::load_address;
use super::daemons::Daemon;
use super::error::{Error, Result};
use super::policies::EDITED;
use super::scenarios::{Case, Scenario};
use super::setup::{DAEMON_AS, FIRST_LOAD_AS};
use crate::load::scenario::{self, Outcome, Params};
use crate::load::{
    Announcer, Control, Encoded, Expect, Goal, Hub, PrefixIndex, SessionConfig, SessionId, Tracker,
};

/// The numbers of a run by the keys of the metrics; times in seconds.
pub(super) type Values = BTreeMap<String, f64>;

/// What a run brought.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    /// The numbers.
    pub(super) values: Values,
    /// Why some of them lack.
    pub(super) notes: Vec<String>,
}

/// Is told the names of the stages that the load reaches, on its thread.
pub(super) type Follower = Box<dyn FnMut(&str)>;

/// Puts the load of a case on the daemon. To be called in the load's
/// namespace; `deadline` is for each stage.
pub(super) fn drive(case: &Case, deadline: Duration, mut follower: Follower) -> Result<Measured> {
    let params = params(case, deadline);
    if case.daemon == Daemon::Direct {
        let values = direct(&params).map_err(of_load)?;
        let notes = Vec::new();
        return Ok(Measured { values, notes });
    }
    let mut control = Control::new().with_listener(move |event| follower(&event.event));
    let outcome = scenario::run(&params, &mut control).map_err(of_load)?;
    let values = values(case, &outcome)?;
    let notes = outcome.notes;
    Ok(Measured { values, notes })
}

/// The generator's error as one of the runner, which treats slow daemons in
/// another way than broken ones.
pub(super) fn of_load(error: crate::load::Error) -> Error {
    match error {
        crate::load::Error::Timeout { .. } => Error::Timeout(error.to_string()),
        _ => Error::Load(error.to_string()),
    }
}

/// The generator's parameters for a case.
pub(super) fn params(case: &Case, deadline: Duration) -> Params {
    use crate::load::scenario::Scenario as Load;
    let sizes = case.sizes;
    let scenario = match case.scenario {
        Scenario::FullTable => Load::FullTable,
        // The same sessions and routes; what becomes of them is seen elsewhere.
        Scenario::FanIn | Scenario::Fib | Scenario::FibLarge => Load::FanIn,
        Scenario::FanOut => Load::FanOut,
        Scenario::Churn => Load::Churn,
        Scenario::ColdStart => Load::ColdStart,
        Scenario::Ipv6 => Load::Ipv6,
        Scenario::Reflector => Load::Reflector,
        Scenario::AddPath => Load::AddPath,
        Scenario::Policy => Load::Policy,
        Scenario::Reload => Load::Reload,
        Scenario::Queries => Load::Queries,
        Scenario::LoneChange => Load::LoneChange,
        // Each size is a daemon of its own here.
        Scenario::Growth if sizes.senders > 1 => Load::FanIn,
        Scenario::Growth => Load::FullTable,
    };
    Params {
        scenario,
        to: case.setup.daemon_address(),
        daemon_as: DAEMON_AS,
        local: Some(load_address(0, case.setup.ipv6)),
        first_as: FIRST_LOAD_AS,
        timeout: deadline.as_secs_f64(),
        prefixes: Some(sizes.prefixes),
        senders: Some(sizes.senders.into()),
        receivers: Some(sizes.receivers.into()),
        // At most the 4 senders of add-path.
        paths: sizes.senders.min(255) as u8,
        seconds: sizes.duration.as_secs_f64(),
        rate: sizes.rate,
        // So that the backlog of the slowest has an end, and fits into memory.
        flood: 100 * u64::from(sizes.rate),
        changes: u32::try_from(sizes.changes).unwrap_or(u32::MAX),
        community: EDITED,
        no_withdraw: matches!(case.scenario, Scenario::Growth),
        ..Params::default()
    }
}

/// The outcome in the words of the metrics.
fn values(case: &Case, outcome: &Outcome) -> Result<Values> {
    let mut values = Values::new();
    let stages = [
        ("loaded", "announce_s"),
        ("withdrawn", "withdraw_s"),
        ("full", "start_s"),
        ("reloaded", "reload_s"),
        ("reloaded-first-update", "reload_first_s"),
        ("all-up", "all_up_s"),
        ("loaded-first-update", "first_update_s"),
    ];
    for (stage, key) in stages {
        if let Some(seconds) = outcome.seconds(stage) {
            values.insert(key.to_owned(), seconds);
        }
    }
    for latency in ["paced", "lone"]
        .iter()
        .filter_map(|part| outcome.latency_micros.get(*part))
    {
        if latency.lost > 0 {
            let all = latency.count + latency.lost;
            let lost = latency.lost;
            return Err(Error::Timeout(format!(
                "{lost} of {all} changes did not arrive"
            )));
        }
        values.insert("p50_s".to_owned(), latency.p50 * 1e-6);
        values.insert("p99_s".to_owned(), latency.p99 * 1e-6);
        values.insert("max_s".to_owned(), latency.max * 1e-6);
    }
    if let Some(rate) = outcome.rates.get("full-speed-updates") {
        values.insert("updates_per_s".to_owned(), *rate);
    }
    let count = |what: &str| outcome.counts.get(what).map(|count| *count as f64);
    if let Some((needed, announced)) = count("needed").zip(count("reloaded-announced")) {
        values.insert("told_share".to_owned(), announced / needed.max(1.0));
    }
    let generator: f64 = outcome
        .stages
        .iter()
        .map(|stage| stage.generator_cpu_seconds)
        .sum();
    values.insert("generator_cpu_s".to_owned(), generator);
    let main = case
        .scenario
        .metrics()
        .first()
        .map_or("", |metric| metric.key);
    if main != "query_s" && !values.contains_key(main) {
        return Err(Error::Load(format!("the generator does not tell {main}")));
    }
    Ok(values)
}

/// The same table from a sender to a receiver without anybody in between:
/// what the generator and the kernel need.
fn direct(params: &Params) -> std::result::Result<Values, crate::load::Error> {
    let table = params.table()?;
    let ipv6 = params.to.is_ipv6();
    let announcer = Announcer {
        asn: FIRST_LOAD_AS,
        ibgp: false,
        next_hop: load_address(0, ipv6),
        path_id: None,
    };
    let announcement = Encoded::table(&table, &announcer);
    let withdrawal = Encoded::withdrawal(&table, None);
    let mut hub = Hub::new()?;
    let (sender, receiver) = pair(&mut hub, load_address(1, ipv6), &announcer, &table)?;
    let index = Arc::new(PrefixIndex::new(table.prefixes()));
    hub.track(receiver, Tracker::new(table.family(), index, Expect::Any));
    let deadline = || Instant::now() + Duration::from_secs_f64(params.timeout);
    hub.bring_up(&[sender, receiver], deadline())?;
    let mut values = Values::new();
    let parts = [
        ("announce_s", Goal::Present(table.len()), announcement),
        ("withdraw_s", Goal::Absent, withdrawal),
    ];
    for (key, goal, messages) in parts {
        hub.set_goal(&[receiver], goal);
        let start = Instant::now();
        hub.send(sender, &messages);
        let end = hub.wait_goal(key, &[receiver], deadline())?;
        values.insert(key.to_owned(), end.duration_since(start).as_secs_f64());
    }
    Ok(values)
}

/// A sender and the receiver that it connects to.
fn pair(
    hub: &mut Hub,
    receiver: IpAddr,
    announcer: &Announcer,
    table: &crate::load::Table,
) -> std::result::Result<(SessionId, SessionId), crate::load::Error> {
    let port = 179;
    let sender = SocketAddr::new(announcer.next_hop, 0);
    let mut config = SessionConfig::new(receiver, sender, DAEMON_AS);
    config.listen = Some(port);
    config.families = vec![table.family()];
    config.end_of_rib = true;
    let to = hub.add(config)?;
    let remote = SocketAddr::new(receiver, port);
    let mut config = SessionConfig::new(announcer.next_hop, remote, announcer.asn);
    config.families = vec![table.family()];
    let from = hub.add(config)?;
    Ok((from, to))
}
