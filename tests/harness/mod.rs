//! The whole-system harness: network namespaces, the router under test, and
//! real BGP speakers on the other end of the wire.
//!
//! A test builds a [`Topology`] (its own namespaces, so addresses may repeat
//! between tests that run at the same time), starts daemons in it, and waits
//! for conditions. Nothing sleeps for luck; every wait has a deadline and says
//! what it last saw. When a test fails, the logs of all of its daemons are
//! printed.
//!
//! `HOLDFAST_ROUTER=frr` puts FRR in the router's place, which checks the
//! tests themselves: what fails then is a wrong test or a known deviation.
#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "each test file uses its own part of the harness"
)]

pub(crate) mod bird;
pub(crate) mod frr;
pub(crate) mod gobgp;
pub(crate) mod holdfast;
pub(crate) mod kernel;
pub(crate) mod netns;
pub(crate) mod process;
pub(crate) mod router;
pub(crate) mod scripted;
pub(crate) mod stayrtr;
pub(crate) mod traffic;
pub(crate) mod wire;

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub(crate) use bird::Bird;
pub(crate) use frr::Frr;
pub(crate) use gobgp::Gobgp;
pub(crate) use holdfast::Holdfast;
pub(crate) use kernel::{Family, KernelRoute};
pub(crate) use netns::{Namespace, Topology};
pub(crate) use router::{Router, RouterKind};
pub(crate) use scripted::{Event, Fate, Scripted};
pub(crate) use stayrtr::Stayrtr;
pub(crate) use traffic::{Count, Stream, Traffic};

/// How long a condition that should come true soon may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(40);

/// How often a condition is looked at again.
const POLL: Duration = Duration::from_millis(50);

/// Leaves the test with a line of explanation when the machine cannot run it.
///
/// Takes the names of the programs that the test needs beside `ip`.
macro_rules! need {
    ($($program:literal),* $(,)?) => {
        if let Some(reason) = $crate::harness::unable(&[$($program),*]) {
            eprintln!("skipped: {reason}");
            return;
        }
    };
}
pub(crate) use need;

/// Why this machine cannot run a test that needs `programs`; `None` if it can.
pub(crate) fn unable(programs: &[&str]) -> Option<String> {
    static NAMESPACES: OnceLock<Option<String>> = OnceLock::new();
    let general = NAMESPACES.get_or_init(|| {
        if !nix::unistd::geteuid().is_root() {
            return Some("needs root for network namespaces".to_owned());
        }
        netns::sweep_abandoned();
        netns::probe().err()
    });
    if general.is_some() {
        return general.clone();
    }
    let mut wanted = programs.to_vec();
    if router::kind() == RouterKind::Frr {
        wanted.extend(["/usr/lib/frr/bgpd", "/usr/lib/frr/zebra", "/usr/bin/vtysh"]);
    }
    wanted
        .into_iter()
        .find(|program| !installed(program))
        .map(|program| format!("{program} is not installed"))
}

fn installed(program: &str) -> bool {
    if program.starts_with('/') {
        return Path::new(program).exists();
    }
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path)
            .chain(["/usr/sbin".into(), "/sbin".into()])
            .any(|directory| directory.join(program).exists())
    })
}

/// Looks at `condition` until it is `Ok`, and returns what it found.
///
/// `Err` carries what was seen instead. Panics after `deadline` with `what`
/// and the last thing seen.
#[track_caller]
pub(crate) fn wait_for<T>(
    deadline: Duration,
    what: &str,
    mut condition: impl FnMut() -> Result<T, String>,
) -> T {
    let start = Instant::now();
    loop {
        match condition() {
            Ok(found) => return found,
            Err(seen) if start.elapsed() >= deadline => {
                panic!("{what}: not within {deadline:?}; last seen: {seen}")
            }
            Err(_) => std::thread::sleep(POLL),
        }
    }
}

/// Looks at `condition` until it holds; returns how long that took.
#[track_caller]
pub(crate) fn wait_until(
    deadline: Duration,
    what: &str,
    mut condition: impl FnMut() -> bool,
) -> Duration {
    let start = Instant::now();
    wait_for(deadline, what, || {
        condition()
            .then_some(())
            .ok_or_else(|| "not yet".to_owned())
    });
    start.elapsed()
}

/// Runs a program of the host to its end; its output, or both outputs as error.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "{program} {}: {}\n{text}{errors}",
        arguments.join(" "),
        output.status
    ))
}

/// A file of the repository, by its path from the root.
pub(crate) fn repository_file(path: &str) -> String {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&full).unwrap_or_else(|error| panic!("{}: {error}", full.display()))
}
