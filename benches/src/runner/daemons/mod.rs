//! The daemons under test: configuration, start and readiness of each.

mod bird;
mod frr;
mod gobgp;
mod holdfast;
mod openbgpd;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::arena::Arena;
use super::error::{Error, Result, io};
use super::policies::{Policy, edit_bird};
use super::process::Process;
use super::setup::Setup;

/// How long a daemon may take until it listens.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// What stands in the middle.
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
#[serde(rename_all = "lowercase")]
pub enum Daemon {
    /// This project's `bgpd`.
    Holdfast,
    /// BIRD 2.
    Bird,
    /// FRR's `bgpd`, with zebra where routes go into the kernel.
    Frr,
    /// GoBGP.
    Gobgp,
    /// OpenBGPD.
    Openbgpd,
    /// Nothing: the sender's session ends at the receiver.
    Direct,
    /// No daemon: the runner writes the routes into the kernel, each with the
    /// list of its next hops.
    #[serde(rename = "writer")]
    #[value(name = "writer")]
    Writer,
    /// The same with one nexthop group for all routes.
    #[serde(rename = "writer-group")]
    #[value(name = "writer-group")]
    GroupWriter,
}

impl Daemon {
    /// All of them, in the order of a round.
    pub const ALL: [Self; 8] = [
        Self::Holdfast,
        Self::Bird,
        Self::Frr,
        Self::Gobgp,
        Self::Openbgpd,
        Self::Direct,
        Self::Writer,
        Self::GroupWriter,
    ];

    /// The word for it on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Holdfast => "holdfast",
            Self::Bird => "bird",
            Self::Frr => "frr",
            Self::Gobgp => "gobgp",
            Self::Openbgpd => "openbgpd",
            Self::Direct => "direct",
            Self::Writer => "writer",
            Self::GroupWriter => "writer-group",
        }
    }

    /// The name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Holdfast => "Holdfast",
            Self::Bird => "BIRD",
            Self::Frr => "FRR",
            Self::Gobgp => "GoBGP",
            Self::Openbgpd => "OpenBGPD",
            Self::Direct => "nothing in between",
            Self::Writer => "only writing, next hops in each route",
            Self::GroupWriter => "only writing, a nexthop group",
        }
    }

    /// Why it cannot be set up so, if it cannot.
    pub fn obstacle(self, setup: &Setup) -> Option<&'static str> {
        match self {
            Self::Direct => (setup.neighbors.len() != 2)
                .then_some("only a scenario of one sender and one receiver goes without a daemon"),
            Self::Frr => frr::obstacle(setup),
            Self::Holdfast
            | Self::Bird
            | Self::Gobgp
            | Self::Openbgpd
            | Self::Writer
            | Self::GroupWriter => None,
        }
    }

    /// The program that is measured; nothing where there is no daemon.
    pub fn program(self, programs: &Programs) -> Option<PathBuf> {
        Some(match self {
            Self::Holdfast => programs.bgpd.clone(),
            Self::Bird => bird::PROGRAM.into(),
            Self::Frr => frr::PROGRAM.into(),
            Self::Gobgp => gobgp::PROGRAM.into(),
            Self::Openbgpd => openbgpd::PROGRAM.into(),
            Self::Direct | Self::Writer | Self::GroupWriter => return None,
        })
    }

    /// What the program says of its version, in one line.
    pub fn version(self, programs: &Programs) -> Option<String> {
        let program = self.program(programs)?;
        let flag = if self == Self::Openbgpd {
            "-V"
        } else {
            "--version"
        };
        let output = Command::new(program).arg(flag).output().ok()?;
        // BIRD and OpenBGPD write theirs to standard error.
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text)
            .lines()
            .next()
            .map(str::to_owned)
    }

    /// The command that starts it, with placeholders in capitals.
    pub fn command_line(self) -> Option<&'static str> {
        Some(match self {
            Self::Holdfast => holdfast::COMMAND_LINE,
            Self::Bird => bird::COMMAND_LINE,
            Self::Frr => frr::COMMAND_LINE,
            Self::Gobgp => gobgp::COMMAND_LINE,
            Self::Openbgpd => openbgpd::COMMAND_LINE,
            Self::Direct | Self::Writer | Self::GroupWriter => return None,
        })
    }

    /// The configuration file's text.
    pub fn config(self, setup: &Setup, arena: &Arena) -> String {
        match self {
            Self::Holdfast => holdfast::config(setup),
            Self::Bird => bird::config(setup),
            Self::Frr => frr::config(setup),
            Self::Gobgp => gobgp::config(setup),
            Self::Openbgpd => openbgpd::config(setup, arena),
            Self::Direct | Self::Writer | Self::GroupWriter => String::new(),
        }
    }

    /// The command that shows the whole table, if the daemon runs in `arena`.
    pub fn query(self, setup: &Setup, arena: &Arena, programs: &Programs) -> Option<Command> {
        Some(match self {
            Self::Holdfast => holdfast::query(setup, arena, programs),
            Self::Bird => bird::query(arena),
            Self::Frr => frr::query(setup, arena),
            Self::Gobgp => gobgp::query(setup, arena),
            Self::Openbgpd => openbgpd::query(arena),
            Self::Direct | Self::Writer | Self::GroupWriter => return None,
        })
    }

    /// Edits the policy of a daemon that runs in `arena` as the scenario's policy
    /// says, by what a person would type; returns the command that does it.
    ///
    /// # Errors
    ///
    /// Its file cannot be written.
    pub fn edit(
        self,
        setup: &Setup,
        arena: &Arena,
        programs: &Programs,
    ) -> Result<Option<Command>> {
        let Some(lines) = setup.policy.and_then(Policy::edit_frr) else {
            return Ok(None);
        };
        Ok(match self {
            Self::Holdfast => Some(holdfast::edit(arena, programs, &lines)),
            Self::Frr => Some(frr::edit(arena, &lines)),
            Self::Bird => {
                let file = arena.path("daemon.conf");
                let text = edit_bird(&self.config(setup, arena));
                std::fs::write(&file, text).map_err(io(&file))?;
                Some(bird::reconfigure(arena))
            }
            _ => None,
        })
    }

    /// That command for people.
    pub fn query_words(self) -> Option<&'static str> {
        Some(match self {
            Self::Holdfast | Self::Frr => "vtysh -c 'show bgp ipv4 unicast json'",
            Self::Bird => "birdc show route",
            Self::Gobgp => "gobgp global rib -j",
            Self::Openbgpd => "bgpctl -j show rib",
            Self::Direct | Self::Writer | Self::GroupWriter => return None,
        })
    }
}

/// Where this project's programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The daemon.
    pub bgpd: PathBuf,
    /// The shell.
    pub vtysh: PathBuf,
}

impl Programs {
    /// Both in the directory of the running program, or as `bgpd` says.
    pub fn find(bgpd: Option<PathBuf>) -> Self {
        let here = std::env::current_exe()
            .ok()
            .and_then(|path| path.parent().map(Path::to_owned))
            .unwrap_or_default();
        let bgpd = bgpd.unwrap_or_else(|| here.join("bgpd"));
        let vtysh = bgpd.with_file_name("vtysh");
        Self { bgpd, vtysh }
    }
}

/// Starts a daemon and returns at once; `None` where there is none.
///
/// # Errors
///
/// Its files cannot be written or the program not be started.
pub fn spawn(
    daemon: Daemon,
    setup: &Setup,
    arena: &Arena,
    programs: &Programs,
) -> Result<Option<Process>> {
    let config = daemon.config(setup, arena);
    let file = arena.path("daemon.conf");
    std::fs::write(&file, config).map_err(io(&file))?;
    let command = match daemon {
        Daemon::Holdfast => holdfast::command(setup, arena, programs, &file),
        Daemon::Bird => bird::command(arena, &file),
        Daemon::Frr => frr::command(setup, arena, &file)?,
        Daemon::Gobgp => gobgp::command(arena, &file),
        Daemon::Openbgpd => openbgpd::command(arena, &file)?,
        Daemon::Direct | Daemon::Writer | Daemon::GroupWriter => return Ok(None),
    };
    Process::start(command, &arena.path("daemon.log")).map(Some)
}

/// Waits until the daemon accepts connections on port 179.
///
/// The wait is a look at the kernel's list of listening sockets, not a
/// connection, which would be an event for the daemon.
///
/// # Errors
///
/// The daemon ended, or does not listen after a minute.
pub fn wait_until_listening(process: &mut Process, arena: &Arena) -> Result<()> {
    let deadline = Instant::now() + STARTS_WITHIN;
    loop {
        process.check_alive()?;
        if arena.daemon_listens()? {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Error::Daemon(format!(
                "the daemon does not listen; its log ends with:\n{}",
                process.log_tail(8)
            )));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
