//! The router under test, whichever program plays it.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::Value;

use super::{Frr, Holdfast, Namespace, SOON, Topology, wait_for};

/// Which program plays the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RouterKind {
    Holdfast,
    Frr,
}

/// The choice made by `HOLDFAST_ROUTER`; anything but `frr` is this project.
pub(crate) fn kind() -> RouterKind {
    match std::env::var("HOLDFAST_ROUTER").as_deref() {
        Ok("frr") => RouterKind::Frr,
        _ => RouterKind::Holdfast,
    }
}

/// Starts the router under test on `config` (FRR syntax) and waits until its
/// shell answers.
pub(crate) fn start(topology: &Topology, namespace: &Namespace, config: &str) -> Box<dyn Router> {
    match kind() {
        RouterKind::Holdfast => Box::new(Holdfast::start(topology, namespace, config)),
        RouterKind::Frr => Box::new(Frr::start(topology, namespace, config)),
    }
}

/// What a shell command gave.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The exit status of the shell.
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
    pub(crate) errors: String,
}

/// A daemon with a vtysh: this project's, or FRR.
pub(crate) trait Router: Sync {
    fn namespace(&self) -> &Namespace;

    /// Runs commands in one shell.
    fn shell(&self, commands: &[&str]) -> Answer;

    /// The file that the configuration was read from, and is written to.
    fn config_file(&self) -> PathBuf;

    /// Replaces the configuration of the running daemon.
    fn reload(&mut self, config: &str);

    /// SIGTERM, and the daemon's exit status.
    fn stop(&mut self) -> ExitStatus;

    /// SIGKILL.
    fn kill(&mut self);

    /// Starts it again on its configuration, after it was stopped or killed.
    fn restart(&mut self);

    fn freeze(&self);

    fn thaw(&self);

    /// The text of one command.
    fn vtysh(&self, command: &str) -> String {
        self.shell(&[command]).text
    }

    /// The parsed JSON of one command; `Null` if it answered with none.
    fn json(&self, command: &str) -> Value {
        serde_json::from_str(&self.vtysh(command)).unwrap_or(Value::Null)
    }

    /// `bgpState` of a neighbour; empty if there is no such neighbour.
    fn state(&self, neighbor: &str) -> String {
        self.neighbor(neighbor)["bgpState"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// What `show bgp neighbors X json` says of the neighbour.
    fn neighbor(&self, neighbor: &str) -> Value {
        self.json(&format!("show bgp neighbors {neighbor} json"))[neighbor].clone()
    }

    /// How often the neighbour's session was established.
    fn connections(&self, neighbor: &str) -> u64 {
        self.neighbor(neighbor)["connectionsEstablished"]
            .as_u64()
            .unwrap_or_default()
    }

    #[track_caller]
    fn wait_established(&self, neighbors: &[&str]) {
        for neighbor in neighbors {
            wait_for(
                Duration::from_secs(90),
                &format!("{neighbor} Established"),
                || {
                    let state = self.state(neighbor);
                    if state == "Established" {
                        Ok(())
                    } else {
                        Err(state)
                    }
                },
            );
        }
    }

    /// The paths of a prefix, as `show bgp <family> unicast PREFIX json` has
    /// them; empty if there are none.
    fn paths(&self, prefix: &str) -> Vec<Value> {
        let family = family_word(prefix);
        let mut table = self.json(&format!("show bgp {family} unicast {prefix} json"));
        match table["paths"].take() {
            Value::Array(paths) => paths,
            _ => Vec::new(),
        }
    }

    /// Waits until the prefix has exactly `count` paths.
    #[track_caller]
    fn wait_paths(&self, prefix: &str, count: usize) -> Vec<Value> {
        wait_for(SOON, &format!("{count} paths of {prefix}"), || {
            let paths = self.paths(prefix);
            if paths.len() == count {
                Ok(paths)
            } else {
                Err(format!("{paths:?}"))
            }
        })
    }

    /// The number of prefixes in a table (`ipv4` or `ipv6`).
    fn prefix_count(&self, family: &str) -> usize {
        let table = self.json(&format!("show bgp {family} unicast json"));
        table["routes"].as_object().map_or(0, serde_json::Map::len)
    }
}

/// `ipv4` or `ipv6`, by the look of a prefix.
pub(crate) fn family_word(prefix: &str) -> &'static str {
    if prefix.contains(':') { "ipv6" } else { "ipv4" }
}
