//! GoBGP as a peer.

use std::path::PathBuf;

use serde_json::Value;

use super::process::Process;
use super::{Namespace, SOON, Topology, wait_for};

/// A running `gobgpd`; its API listens on the namespace's loopback.
pub(crate) struct Gobgp {
    namespace: Namespace,
    config: PathBuf,
    log: PathBuf,
    process: Option<Process>,
}

impl Gobgp {
    /// Starts GoBGP on `config` (TOML) and waits until its API answers.
    pub(crate) fn start(topology: &Topology, namespace: &Namespace, config: &str) -> Self {
        let directory = topology.daemon_directory(&format!("gobgp-{}", namespace.label()));
        let file = directory.join("gobgpd.toml");
        std::fs::write(&file, config).expect("the configuration's file");
        let log = directory.join("gobgpd.log");
        topology.add_log(&format!("gobgpd of {}", namespace.label()), &log);
        let mut gobgp = Self {
            namespace: namespace.clone(),
            config: file,
            log,
            process: None,
        };
        gobgp.restart();
        gobgp
    }

    /// Starts it, the running one being killed first.
    pub(crate) fn restart(&mut self) {
        self.process = None;
        let mut command = self.namespace.command("/usr/bin/gobgpd");
        command
            .args(["--api-hosts", "127.0.0.1:50051", "--pprof-disable", "-f"])
            .arg(&self.config);
        let label = format!("gobgpd of {}", self.namespace.label());
        self.process = Some(Process::start(&label, command, &self.log));
        wait_for(SOON, "gobgpd's API answers", || {
            self.run("global").map(drop)
        });
    }

    /// Kills it without a goodbye.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// The answer of its command line tool; panics if that fails.
    #[track_caller]
    pub(crate) fn gobgp(&self, words: &str) -> String {
        self.run(words)
            .unwrap_or_else(|error| panic!("gobgp {words}: {error}"))
    }

    /// The same, parsed.
    #[track_caller]
    pub(crate) fn json(&self, words: &str) -> Value {
        serde_json::from_str(&self.gobgp(&format!("{words} -j"))).unwrap_or(Value::Null)
    }

    /// The paths of a prefix in its global table; empty if there are none.
    pub(crate) fn paths(&self, prefix: &str) -> Vec<Value> {
        let family = super::router::family_word(prefix);
        let table: Value = match self.run(&format!("global rib -a {family} {prefix} -j")) {
            Ok(text) => serde_json::from_str(&text).unwrap_or(Value::Null),
            Err(_) => Value::Null,
        };
        table[prefix].as_array().cloned().unwrap_or_default()
    }

    fn run(&self, words: &str) -> Result<String, String> {
        let arguments: Vec<&str> = words.split_whitespace().collect();
        let output = self.namespace.exec("/usr/bin/gobgp", &arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        Err(format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
    }
}
