//! BIRD 2 as a peer.

use std::path::PathBuf;
use std::process::Command;

use super::process::Process;
use super::{Namespace, SOON, Topology, run, wait_for};

/// A running `bird` with its control socket.
pub(crate) struct Bird {
    namespace: Namespace,
    directory: PathBuf,
    log: PathBuf,
    process: Option<Process>,
}

impl Bird {
    /// Starts BIRD on `config`; `log` lines are added here.
    pub(crate) fn start(topology: &Topology, namespace: &Namespace, config: &str) -> Self {
        let directory = topology.daemon_directory(&format!("bird-{}", namespace.label()));
        let log = directory.join("bird.log");
        topology.add_log(&format!("bird of {}", namespace.label()), &log);
        let mut bird = Self {
            namespace: namespace.clone(),
            directory,
            log,
            process: None,
        };
        bird.write(config);
        bird.restart();
        bird
    }

    fn write(&self, config: &str) {
        let text = format!("log stderr all;\nprotocol device {{}}\n{config}");
        std::fs::write(self.directory.join("bird.conf"), text).expect("the configuration's file");
    }

    /// Starts it, the running one being killed first, and waits for its shell.
    pub(crate) fn restart(&mut self) {
        self.process = None;
        let file = self.directory.join("bird.conf");
        let check = run(
            "/usr/sbin/bird",
            &["-p", "-c", file.to_str().expect("a path in UTF-8")],
        );
        assert!(check.is_ok(), "bird refuses the configuration: {check:?}");
        let mut command = self.namespace.command("/usr/sbin/bird");
        command
            .arg("-f")
            .arg("-c")
            .arg(file)
            .arg("-s")
            .arg(self.directory.join("bird.ctl"))
            .arg("-P")
            .arg(self.directory.join("bird.pid"));
        let label = format!("bird of {}", self.namespace.label());
        self.process = Some(Process::start(&label, command, &self.log));
        wait_for(SOON, "bird's shell answers", || {
            let text = self.birdc("show status");
            if text.contains("is up and running") {
                Ok(())
            } else {
                Err(text)
            }
        });
    }

    /// Kills it without a goodbye.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    pub(crate) fn freeze(&self) {
        self.process.as_ref().expect("bird runs").freeze();
    }

    pub(crate) fn thaw(&self) {
        self.process.as_ref().expect("bird runs").thaw();
    }

    /// Replaces the configuration of the running daemon.
    pub(crate) fn configure(&self, config: &str) {
        self.write(config);
        let text = self.birdc("configure");
        assert!(
            text.contains("Reconfigur"),
            "bird refused the configuration: {text}"
        );
    }

    /// The answer of its shell to one command.
    pub(crate) fn birdc(&self, command: &str) -> String {
        let output = Command::new("/usr/sbin/birdc")
            .arg("-s")
            .arg(self.directory.join("bird.ctl"))
            .args(command.split_whitespace())
            .output()
            .expect("birdc");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// How many routes a table holds.
    pub(crate) fn count(&self, table: &str) -> usize {
        let text = self.birdc(&format!("show route count table {table}"));
        let number = text
            .lines()
            .find_map(|line| line.split_once(" of ")?.0.trim().parse().ok());
        number.unwrap_or_default()
    }
}
