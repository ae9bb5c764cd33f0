//! What a scenario is told, and what it gives back.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::load::latency::Latency;
use crate::load::{AddPath, Error, Family, Hub, SessionId, Table, TableSpec};

/// The measurements.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// A full table passes from one session to another, and is withdrawn.
    #[default]
    FullTable,
    /// Several senders announce the same prefixes with different paths.
    FanIn,
    /// Two senders, many receivers.
    FanOut,
    /// A part of a stable table flaps, at a fixed rate and at full speed.
    Churn,
    /// Many sessions come up at once with a daemon that just starts.
    ColdStart,
    /// A full table of IPv6.
    Ipv6,
    /// Internal sessions through a route reflector.
    Reflector,
    /// Several paths per prefix (RFC 7911).
    AddPath,
    /// As full-table, for a daemon with policies.
    Policy,
    /// A policy is edited while a full table stands.
    Reload,
    /// As churn, while somebody asks the daemon for its tables.
    Queries,
    /// Single changes in a full and quiet table.
    LoneChange,
    /// More and more routes, with a halt after each step.
    Growth,
}

/// What a scenario is told. What is left out has the scenario's default;
/// [`Params::resolve`] fills that in.
#[derive(Debug, Clone, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The scenario.
    #[arg(skip)]
    pub scenario: Scenario,
    /// The address of the daemon under test.
    #[arg(long, default_value = "127.0.0.1")]
    pub to: IpAddr,
    /// The daemon's port.
    #[arg(long, default_value_t = 179)]
    pub port: u16,
    /// The daemon's AS number. Internal sessions use it as their own.
    #[arg(long, default_value_t = 65000, value_parser = clap::value_parser!(u32).range(1..))]
    pub daemon_as: u32,
    /// The address of the first session; the others count up from it. The
    /// senders come first, then the receivers. [default: 127.1.0.1, or
    /// fd00::1:1 for an IPv6 daemon]
    #[arg(long)]
    pub local: Option<IpAddr>,
    /// The AS number of the first session; the others count up from it.
    #[arg(
        long = "as",
        default_value_t = 65001,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub first_as: u32,
    /// Listen on this port and let the daemon connect.
    #[arg(long)]
    pub listen: Option<u16>,
    /// The next hop of what is announced. [default: each session's address,
    /// or for loopback addresses one of 198.18.0.0/16 or 2001:2::/48]
    #[arg(long)]
    pub next_hop: Option<IpAddr>,
    /// The hold time that is offered, in seconds.
    #[arg(long, default_value_t = 240)]
    pub hold_time: u16,
    /// How long a stage may take, in seconds.
    #[arg(long, default_value_t = 120.0)]
    pub timeout: f64,
    /// How long to try to connect while nobody answers, in seconds. Does not
    /// matter with --listen, and with cold-start, where a daemon is waited for.
    #[arg(long, default_value_t = 30.0)]
    pub connect_timeout: f64,
    /// How many prefixes: the whole table, or per session with cold-start.
    #[arg(long = "table", visible_alias = "prefixes")]
    pub prefixes: Option<usize>,
    /// How many attribute sets. [default: 93 per 1000 prefixes]
    #[arg(long, default_value_t = 0)]
    pub sets: usize,
    /// The seed of the table.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// No path ends in an AS_SET, which some daemons refuse.
    #[arg(long)]
    pub no_as_sets: bool,
    /// The address family.
    #[arg(long)]
    pub family: Option<Family>,
    /// Take the table from this MRT file (TABLE_DUMP_V2; .gz and .bz2 too).
    #[arg(long)]
    pub mrt: Option<PathBuf>,
    /// How many sessions announce; with cold-start and reflector all do both.
    #[arg(long)]
    pub senders: Option<usize>,
    /// How many sessions listen.
    #[arg(long)]
    pub receivers: Option<usize>,
    /// How many of the prefixes the daemon lets through. [default: all]
    #[arg(long)]
    pub expect: Option<usize>,
    /// How many paths per prefix (add-path).
    #[arg(long, default_value_t = 4)]
    pub paths: u8,
    /// All paths come from one session with path identifiers (add-path).
    #[arg(long)]
    pub one_sender: bool,
    /// How long the paced and the full-speed part take, in seconds (churn).
    #[arg(long, default_value_t = 20.0)]
    pub seconds: f64,
    /// UPDATE messages per second (churn).
    #[arg(long, default_value_t = 20_000)]
    pub rate: u32,
    /// How many UPDATE messages are sent at full speed at most. Some daemons
    /// read much faster than they work, and keep all of it in memory.
    #[arg(long, default_value_t = 2_000_000)]
    pub flood: u64,
    /// Marked prefixes per second (churn).
    #[arg(long, default_value_t = 150)]
    pub marks: u32,
    /// The share of the table that flaps (churn).
    #[arg(long, default_value_t = 0.1)]
    pub flapping: f64,
    /// How many single changes (lone-change).
    #[arg(long, default_value_t = 1000)]
    pub changes: u32,
    /// The community that an edit of the policy gives to the routes of
    /// 32.0.0.0/3 (reload). [default: 65000:2]
    #[arg(long, default_value_t = 65_000 << 16 | 2)]
    pub community: u32,
    /// Numbers of routes at which growth halts. Up to the size of the table
    /// they come from the first sender; then the other senders add theirs.
    #[arg(long, value_delimiter = ',')]
    pub steps: Vec<usize>,
    /// A second receiver joins when the table is loaded (full-table).
    #[arg(long)]
    pub late_receiver: bool,
    /// Stop after the table is loaded, without withdrawing it.
    #[arg(long)]
    pub no_withdraw: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            scenario: Scenario::FullTable,
            to: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 179,
            daemon_as: 65000,
            local: None,
            first_as: 65001,
            listen: None,
            next_hop: None,
            hold_time: 240,
            timeout: 120.0,
            connect_timeout: 30.0,
            prefixes: None,
            sets: 0,
            seed: 1,
            no_as_sets: false,
            family: None,
            mrt: None,
            senders: None,
            receivers: None,
            expect: None,
            paths: 4,
            one_sender: false,
            seconds: 20.0,
            rate: 20_000,
            flood: 2_000_000,
            marks: 150,
            flapping: 0.1,
            changes: 1000,
            community: 65_000 << 16 | 2,
            steps: Vec::new(),
            late_receiver: false,
            no_withdraw: false,
        }
    }
}

/// What a session of a scenario does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Announces.
    Sender,
    /// Listens.
    Receiver,
    /// Does both.
    Both,
    /// Listens, and joins later than the others.
    Late,
}

/// A session that the daemon has to have a neighbor for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The session's address.
    pub address: IpAddr,
    /// The session's AS number.
    pub asn: u32,
    /// What it does.
    pub role: Role,
    /// The address family that it negotiates.
    pub family: Family,
    /// What it offers of ADD-PATH, seen from the session; the daemon needs
    /// the opposite.
    pub add_path: AddPath,
}

impl Params {
    /// The next hop of what a session of this address announces. No daemon
    /// takes a loopback address for one, so it is of the range for benchmarks
    /// then (RFC 2544 appendix C, RFC 5180 section 8).
    pub(crate) fn next_hop_of(&self, address: IpAddr) -> IpAddr {
        self.next_hop.unwrap_or(match address {
            IpAddr::V4(v4) if v4.is_loopback() => {
                let [_, _, third, fourth] = v4.octets();
                Ipv4Addr::new(198, 18, third, fourth).into()
            }
            IpAddr::V6(v6) if v6.is_loopback() => Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 1).into(),
            address => address,
        })
    }

    /// Parameters of `scenario` with all its defaults.
    pub fn of(scenario: Scenario) -> Self {
        let params = Self {
            scenario,
            ..Self::default()
        };
        params.resolve()
    }

    /// Fills in what was left out.
    #[must_use]
    pub fn resolve(mut self) -> Self {
        let (prefixes, senders, receivers) = match self.scenario {
            Scenario::FullTable | Scenario::Policy | Scenario::LoneChange => (1_000_000, 1, 1),
            Scenario::FanIn => (100_000, 10, 1),
            Scenario::FanOut => (20_000, 2, 64),
            Scenario::Churn | Scenario::Queries => (200_000, 1, 1),
            Scenario::ColdStart => (10, 500, 0),
            Scenario::Ipv6 => (200_000, 1, 1),
            Scenario::Reflector => (20_000, 10, 90),
            Scenario::AddPath => (100_000, usize::from(self.paths), 1),
            Scenario::Growth => (1_000_000, 4, 1),
            Scenario::Reload => (1_000_000, 1, 10),
        };
        let senders = match (self.scenario, self.one_sender) {
            (Scenario::AddPath, true) => 1,
            _ => senders,
        };
        self.prefixes.get_or_insert(prefixes);
        self.senders.get_or_insert(senders);
        self.receivers.get_or_insert(receivers);
        let family = match (self.scenario, self.to) {
            (Scenario::Ipv6, _) | (_, IpAddr::V6(_)) => Family::Ipv6,
            _ => Family::Ipv4,
        };
        self.family.get_or_insert(family);
        self.local.get_or_insert(match self.to {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(127, 1, 0, 1)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 1, 1)),
        });
        if self.steps.is_empty() {
            let size = self.prefixes.unwrap_or(prefixes);
            let feeds = (1..=self.senders.unwrap_or(1)).map(|feed| feed * size);
            self.steps = [10_000, 100_000]
                .into_iter()
                .filter(|&s| s < size)
                .chain(feeds)
                .collect();
        }
        self
    }

    /// Whether the sessions are internal.
    pub fn ibgp(&self) -> bool {
        self.scenario == Scenario::Reflector
    }

    /// The sessions, in the order of their addresses: what the daemon's
    /// configuration has to name.
    pub fn peers(&self) -> Vec<Peer> {
        let params = self.clone().resolve();
        let senders = params.senders.unwrap_or(1);
        let receivers = params.receivers.unwrap_or(1);
        let late = usize::from(params.late_receiver);
        let peer = |number: usize| Peer {
            address: params.address(number),
            asn: match params.ibgp() {
                true => params.daemon_as,
                // [`Self::check`] refuses what does not fit.
                false => params.first_as.saturating_add(number as u32),
            },
            role: params.role(number, senders, receivers),
            family: params.family.unwrap_or_default(),
            add_path: params.add_path_of(number, senders),
        };
        (0..senders + receivers + late).map(peer).collect()
    }

    fn role(&self, number: usize, senders: usize, receivers: usize) -> Role {
        let all = matches!(self.scenario, Scenario::ColdStart | Scenario::Reflector);
        match number {
            n if n < senders && all => Role::Both,
            n if n < senders => Role::Sender,
            n if n < senders + receivers => Role::Receiver,
            _ => Role::Late,
        }
    }

    fn add_path_of(&self, number: usize, senders: usize) -> AddPath {
        match self.scenario {
            Scenario::AddPath if number >= senders => AddPath::Receive,
            Scenario::AddPath if self.one_sender => AddPath::Send,
            _ => AddPath::Off,
        }
    }

    fn address(&self, number: usize) -> IpAddr {
        match self.local {
            Some(IpAddr::V4(first)) => IpAddr::V4(Ipv4Addr::from_bits(
                first.to_bits().wrapping_add(number as u32),
            )),
            Some(IpAddr::V6(first)) => IpAddr::V6(Ipv6Addr::from_bits(
                first.to_bits().wrapping_add(number as u128),
            )),
            None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    /// The table of the scenario: its size, family and seed, or the MRT file.
    ///
    /// # Errors
    /// As [`Table::from_mrt`]; [`Error::Parameters`] for more prefixes than
    /// the address space has room for.
    pub fn table(&self) -> Result<Table, Error> {
        let params = self.clone().resolve();
        let family = params.family.unwrap_or_default();
        let mut prefixes = params.prefixes.unwrap_or(0);
        if let Some(path) = &params.mrt {
            return Table::from_mrt(path, family);
        }
        if params.scenario == Scenario::ColdStart {
            prefixes *= params.senders.unwrap_or(1);
        }
        if prefixes == 0 || prefixes > 8_000_000 {
            return Err(Error::Parameters(format!("a table of {prefixes} prefixes")));
        }
        Ok(Table::synthetic(&TableSpec {
            family,
            prefixes,
            sets: params.sets,
            seed: params.seed,
            as_sets: !params.no_as_sets,
        }))
    }

    /// Refuses AS numbers that a session cannot have, 0 (RFC 7607 section 2)
    /// and what has more than 32 bits.
    /// Also a next hop that routes of the family cannot have.
    pub(crate) fn check_session(&self, sessions: usize) -> Result<(), Error> {
        let family = self.clone().resolve().family.unwrap_or_default();
        let wrong = |address: &IpAddr| address.is_ipv4() != (family == Family::Ipv4);
        if let Some(address) = self.next_hop.filter(wrong) {
            return Err(Error::Parameters(format!(
                "{address} is no next hop for {family:?} routes"
            )));
        }
        let last = u64::from(self.first_as) + sessions.max(1) as u64 - 1;
        if self.first_as == 0 || self.daemon_as == 0 {
            return Err(Error::Parameters("AS 0 is no AS number".into()));
        }
        match !self.ibgp() && last > u64::from(u32::MAX) {
            true => Err(Error::Parameters(format!(
                "there are no AS numbers for {sessions} sessions from {} on",
                self.first_as
            ))),
            false => Ok(()),
        }
    }

    /// Refuses AS numbers that the sessions cannot have, and those that would
    /// make an external session internal.
    ///
    /// # Errors
    /// [`Error::Parameters`]
    pub fn check(&self) -> Result<(), Error> {
        let sessions = self.peers().len();
        self.check_session(sessions)?;
        let last = self.first_as.saturating_add(sessions.max(1) as u32 - 1);
        match !self.ibgp() && (self.first_as..=last).contains(&self.daemon_as) {
            true => Err(Error::Parameters(format!(
                "the daemon's AS {} is among those of the sessions, {} to {last}",
                self.daemon_as, self.first_as,
            ))),
            false => Ok(()),
        }
    }

    /// Waits until all of `ids` are established.
    ///
    /// # Errors
    /// [`Error::Timeout`] when nobody answers, or the sessions do not come up
    /// in time.
    pub(crate) fn bring_up(&self, hub: &mut Hub, ids: &[SessionId]) -> Result<(), Error> {
        let deadline = self.deadline();
        let patience = Duration::from_secs_f64(self.connect_timeout.clamp(0.1, 1e6));
        hub.reach(ids, deadline.min(Instant::now() + patience))?;
        hub.bring_up(ids, deadline)
    }

    /// The end of a stage that begins now.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_secs_f64(self.timeout.clamp(0.1, 1e6))
    }
}

/// A timed part of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Processor time of the generator in it, in seconds.
    pub generator_cpu_seconds: f64,
}

/// What a scenario gives back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The scenario.
    pub scenario: Scenario,
    /// How many distinct prefixes were used.
    pub prefixes: usize,
    /// How many attribute sets they had.
    pub sets: usize,
    /// How many sessions announced.
    pub senders: usize,
    /// How many sessions listened.
    pub receivers: usize,
    /// The timed parts, in their order.
    pub stages: Vec<Stage>,
    /// Latencies, by the part of the scenario.
    pub latency_micros: BTreeMap<String, Latency>,
    /// Rates per second.
    pub rates: BTreeMap<String, f64>,
    /// Counters.
    pub counts: BTreeMap<String, u64>,
    /// What lacks, and why, where the rest is worth telling nevertheless.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl Outcome {
    /// The length of a stage in seconds.
    pub fn seconds(&self, stage: &str) -> Option<f64> {
        let stage = self.stages.iter().find(|s| s.name == stage)?;
        Some(stage.seconds)
    }
}
