//! The scenarios: what is run, in which sizes, and which numbers come out.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::daemons::Daemon;
use super::policies::Policy;
use super::setup::Setup;

/// A scenario of the report, in its order.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// A full IPv4 table through the daemon, and its withdrawal.
    FullTable,
    /// Ten neighbours announce the same prefixes.
    FanIn,
    /// Many neighbours receive a table.
    FanOut,
    /// A part of a table changes all the time.
    Churn,
    /// A daemon starts in front of hundreds of neighbours.
    ColdStart,
    /// An IPv6 table.
    Ipv6,
    /// A route reflector and its clients.
    Reflector,
    /// Several paths per prefix.
    AddPath,
    /// A full table through a policy.
    Policy,
    /// A policy is edited while a full table stands.
    Reload,
    /// The whole table is shown while it changes.
    Queries,
    /// Single changes in an idle daemon with a full table.
    LoneChange,
    /// Tables of growing sizes.
    Growth,
    /// Routes into the kernel, with several next hops.
    Fib,
    /// The same with many more routes.
    FibLarge,
}

/// A number that comes out of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Its key in the raw results.
    pub key: &'static str,
    /// Its column, without the unit.
    pub heading: &'static str,
    /// The unit of the column.
    pub unit: &'static str,
    /// What a value is divided by for the column.
    pub divisor: f64,
    /// Digits behind the point.
    pub digits: usize,
}

const fn metric(
    key: &'static str,
    heading: &'static str,
    (unit, divisor, digits): (&'static str, f64, usize),
) -> Metric {
    Metric {
        key,
        heading,
        unit,
        divisor,
        digits,
    }
}

const SECONDS: (&str, f64, usize) = ("s", 1.0, 3);
const MILLISECONDS: (&str, f64, usize) = ("ms", 1e-3, 2);
const MICROSECONDS: (&str, f64, usize) = ("µs", 1e-6, 0);
const MEGABYTES: (&str, f64, usize) = ("MB", 1e6, 1);
const PER_SECOND: (&str, f64, usize) = ("1/s", 1.0, 0);

const ANNOUNCE: Metric = metric("announce_s", "announce", SECONDS);
const WITHDRAW: Metric = metric("withdraw_s", "withdraw", SECONDS);
const P50: Metric = metric("p50_s", "p50", MILLISECONDS);
const P99: Metric = metric("p99_s", "p99", MILLISECONDS);
const PEAK_RSS: Metric = metric("peak_rss", "peak RSS", MEGABYTES);
const CPU: Metric = metric("cpu_s", "CPU", ("s", 1.0, 2));

/// How large a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// As reported.
    Full,
    /// A hundredth or so, for a smoke test.
    Quick,
}

/// The numbers of a scenario's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Prefixes of the table.
    pub prefixes: usize,
    /// Sessions that announce.
    pub senders: u16,
    /// Sessions that receive.
    pub receivers: u16,
    /// For how long a part changes; zero where nothing does.
    pub duration: Duration,
    /// Changes per second in that time.
    pub rate: u32,
    /// How many single changes are made; 0 where none are.
    pub changes: usize,
}

/// A scenario in one of its settings, for one daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The scenario.
    pub scenario: Scenario,
    /// Who is in the middle.
    pub daemon: Daemon,
    /// The name of the setting; empty if there is only one.
    pub variant: String,
    /// The load.
    pub sizes: Sizes,
    /// The daemon's configuration.
    pub setup: Setup,
}

impl Scenario {
    /// All, in the order of the report.
    pub const ALL: [Self; 15] = [
        Self::FullTable,
        Self::FanIn,
        Self::FanOut,
        Self::Churn,
        Self::ColdStart,
        Self::Ipv6,
        Self::Reflector,
        Self::AddPath,
        Self::Policy,
        Self::Reload,
        Self::Queries,
        Self::LoneChange,
        Self::Growth,
        Self::Fib,
        Self::FibLarge,
    ];

    /// The word for it on the command line, in the results and in the page.
    pub fn name(self) -> &'static str {
        match self {
            Self::FullTable => "full-table",
            Self::FanIn => "fan-in",
            Self::FanOut => "fan-out",
            Self::Churn => "churn",
            Self::ColdStart => "cold-start",
            Self::Ipv6 => "ipv6",
            Self::Reflector => "reflector",
            Self::AddPath => "add-path",
            Self::Policy => "policy",
            Self::Reload => "reload",
            Self::Queries => "queries",
            Self::LoneChange => "lone-change",
            Self::Growth => "growth",
            Self::Fib => "fib",
            Self::FibLarge => "fib-large",
        }
    }

    /// The numbers that come out, the most telling one first.
    pub fn metrics(self) -> Vec<Metric> {
        let mut metrics = match self {
            Self::FullTable | Self::Ipv6 | Self::Policy | Self::FanOut | Self::Reflector => {
                vec![ANNOUNCE, WITHDRAW]
            }
            Self::FanIn | Self::AddPath | Self::Growth => vec![ANNOUNCE],
            Self::Churn => vec![
                P50,
                P99,
                metric("updates_per_s", "updates at full speed", PER_SECOND),
            ],
            Self::ColdStart => vec![metric("start_s", "start to all full", SECONDS)],
            Self::Queries => vec![
                metric("query_s", "a query", SECONDS),
                metric("p50_s", "p50 of changes", MILLISECONDS),
                metric("p99_s", "p99 of changes", MILLISECONDS),
            ],
            Self::Fib | Self::FibLarge => vec![
                metric("install_s", "install", SECONDS),
                metric("loss_s", "loss", SECONDS),
                WITHDRAW,
            ],
            Self::Reload => vec![
                metric("reload_s", "reload", SECONDS),
                metric("reload_first_s", "first change", SECONDS),
                metric("told_share", "told/changed", ("times", 1.0, 2)),
            ],
            Self::LoneChange => vec![
                metric("p50_s", "p50", MICROSECONDS),
                metric("p99_s", "p99", MICROSECONDS),
            ],
        };
        metrics.extend([PEAK_RSS, CPU]);
        metrics
    }

    /// How long a stage of a run may take until the run counts as failed.
    pub fn deadline(self, scale: Scale) -> Duration {
        match (scale, self) {
            (Scale::Quick, _) => Duration::from_secs(30),
            (
                Scale::Full,
                Self::FullTable
                | Self::LoneChange
                | Self::Growth
                | Self::FibLarge
                | Self::Policy
                | Self::Reload,
            ) => Duration::from_secs(300),
            (Scale::Full, _) => Duration::from_secs(120),
        }
    }

    /// How many runs there are in the place of one, if runs are short: the
    /// shorter they are, the more does chance weigh.
    pub fn multiplier(self, scale: Scale) -> u32 {
        match (scale, self) {
            (Scale::Full, Self::FanOut) => 3,
            _ => 1,
        }
    }

    /// Everything that is run for a daemon.
    pub fn cases(self, daemon: Daemon, scale: Scale) -> Vec<Case> {
        let case = |variant: &str, sizes: Sizes, setup: Setup| Case {
            scenario: self,
            daemon,
            variant: variant.to_owned(),
            sizes,
            setup,
        };
        let sizes = self.sizes(scale);
        let setup = self.setup(sizes);
        match self {
            Self::ColdStart if daemon == Daemon::Frr => {
                let mut coalesced = setup.clone();
                coalesced.coalesce_ms = Some(100);
                vec![
                    case("", sizes, setup),
                    case("coalesce-time 100", sizes, coalesced),
                ]
            }
            Self::Policy => POLICIES
                .into_iter()
                .map(|(variant, policy)| {
                    let setup = Setup {
                        policy,
                        ..setup.clone()
                    };
                    case(variant, sizes, setup)
                })
                .collect(),
            Self::Reload => [("out", Policy::Out), ("in", Policy::In)]
                .into_iter()
                .map(|(variant, policy)| {
                    let setup = Setup {
                        policy: Some(policy),
                        ..setup.clone()
                    };
                    case(variant, sizes, setup)
                })
                .collect(),
            Self::Growth => growth(scale)
                .into_iter()
                .map(|(variant, sizes)| case(variant, sizes, self.setup(sizes)))
                .collect(),
            Self::Fib | Self::FibLarge => NEXT_HOPS
                .into_iter()
                .map(|senders| {
                    let sizes = Sizes { senders, ..sizes };
                    case(&senders.to_string(), sizes, self.setup(sizes))
                })
                .collect(),
            _ => vec![case("", sizes, setup)],
        }
    }

    /// Whether this daemon takes part. Those that don't are not mentioned.
    pub fn includes(self, daemon: Daemon) -> bool {
        match daemon {
            Daemon::Direct => matches!(self, Self::FullTable | Self::Ipv6),
            Daemon::Holdfast | Daemon::Bird => true,
            // Their policies are other languages.
            Daemon::Gobgp | Daemon::Openbgpd if matches!(self, Self::Policy | Self::Reload) => {
                false
            }
            Daemon::Frr => self != Self::Growth,
            // GoBGP leaves the kernel to FRR's zebra, OpenBGPD to OpenBSD's.
            Daemon::Gobgp | Daemon::Openbgpd => self != Self::Growth && !self.is_fib(),
            Daemon::Writer | Daemon::GroupWriter => self.is_fib(),
        }
    }

    /// Whether routes go into the kernel. Its variants are numbers of next hops.
    pub fn is_fib(self) -> bool {
        matches!(self, Self::Fib | Self::FibLarge)
    }

    fn setup(self, sizes: Sizes) -> Setup {
        let sessions = sizes.senders + sizes.receivers;
        match self {
            Self::Ipv6 => Setup::external_ipv6(sessions),
            Self::Reflector => Setup::reflector(sessions),
            Self::AddPath => Setup {
                add_path: true,
                ..Setup::external(sessions)
            },
            Self::Fib | Self::FibLarge => Setup {
                kernel: true,
                ..Setup::external(sessions)
            },
            _ => Setup::external(sessions),
        }
    }

    fn sizes(self, scale: Scale) -> Sizes {
        let full = match self {
            Self::FullTable | Self::Growth | Self::Policy => table(1_000_000, 1, 1),
            Self::Reload => table(1_000_000, 1, 10),
            Self::FanIn => table(100_000, 10, 1),
            Self::FanOut => table(20_000, 2, 64),
            Self::Churn | Self::Queries => Sizes {
                duration: Duration::from_secs(20),
                rate: 20_000,
                ..table(200_000, 1, 1)
            },
            Self::ColdStart => table(10, 500, 1),
            Self::Ipv6 => table(200_000, 1, 1),
            Self::Reflector => table(20_000, 10, 90),
            Self::AddPath => table(100_000, 4, 1),
            Self::LoneChange => Sizes {
                changes: 1000,
                ..table(1_000_000, 1, 1)
            },
            // Of senders there are as many as next hops.
            Self::Fib => table(100_000, 1, 0),
            Self::FibLarge => table(1_000_000, 1, 0),
        };
        match scale {
            Scale::Full => full,
            Scale::Quick if self.is_fib() => table(1000, 1, 0),
            Scale::Quick => full.quick(),
        }
    }
}

impl Sizes {
    fn quick(self) -> Self {
        Self {
            prefixes: (self.prefixes / 100).max(10),
            senders: self.senders.div_ceil(10).max(self.senders.min(4)),
            receivers: self.receivers.div_ceil(10),
            duration: self.duration / 10,
            rate: self.rate / 10,
            changes: self.changes / 10,
        }
    }
}

fn table(prefixes: usize, senders: u16, receivers: u16) -> Sizes {
    Sizes {
        prefixes,
        senders,
        receivers,
        duration: Duration::ZERO,
        rate: 0,
        changes: 0,
    }
}

/// The variants of [`Scenario::Policy`].
const POLICIES: [(&str, Option<Policy>); 5] = [
    ("none", None),
    ("simple", Some(Policy::Simple)),
    ("lists-1000", Some(Policy::Lists(1000))),
    ("lists-10000", Some(Policy::Lists(10_000))),
    ("map", Some(Policy::Map)),
];

/// Next hops of a prefix in the variants of [`Scenario::Fib`]; as many sessions
/// announce it.
const NEXT_HOPS: [u16; 3] = [1, 4, 16];

/// The sizes of [`Scenario::Growth`]; the variant is the number of routes.
pub fn growth(scale: Scale) -> Vec<(&'static str, Sizes)> {
    match scale {
        Scale::Full => vec![
            ("10000", table(10_000, 1, 1)),
            ("100000", table(100_000, 1, 1)),
            ("1000000", table(1_000_000, 1, 1)),
            ("4000000", table(1_000_000, 4, 1)),
        ],
        Scale::Quick => vec![("1000", table(1000, 1, 1)), ("8000", table(2000, 4, 1))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_has_a_setup_for_every_session() {
        for scenario in Scenario::ALL {
            for daemon in Daemon::ALL {
                for scale in [Scale::Full, Scale::Quick] {
                    for case in scenario.cases(daemon, scale) {
                        let sessions = case.sizes.senders + case.sizes.receivers;
                        assert_eq!(case.setup.neighbors.len(), usize::from(sessions));
                        assert!(case.sizes.prefixes > 0);
                    }
                }
            }
            assert!(scenario.includes(Daemon::Holdfast));
        }
    }

    #[test]
    fn names_are_those_of_the_results() {
        for scenario in Scenario::ALL {
            let json = serde_json::to_string(&scenario).expect("JSON");
            assert_eq!(json, format!("\"{}\"", scenario.name()));
        }
        for daemon in Daemon::ALL {
            let json = serde_json::to_string(&daemon).expect("JSON");
            assert_eq!(json, format!("\"{}\"", daemon.name()));
        }
    }
}
