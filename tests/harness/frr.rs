//! FRR's zebra and bgpd, as a peer or in the router's place.

use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use super::process::Process;
use super::router::{Answer, Router};
use super::{Namespace, SOON, Topology, run, wait_for};

const DAEMONS: &str = "/usr/lib/frr";
const SHELL: &str = "/usr/bin/vtysh";

/// A pair of zebra and bgpd with sockets and files of their own.
pub(crate) struct Frr {
    namespace: Namespace,
    topology: Topology,
    directory: PathBuf,
    /// More arguments for bgpd.
    arguments: &'static [&'static str],
    /// The daemons beside zebra.
    names: &'static [&'static str],
    /// bgpd first, so that it is dropped before the zebra it talks to.
    daemons: Vec<Process>,
}

impl Frr {
    /// Starts both daemons and gives them `config` through the shell.
    pub(crate) fn start(topology: &Topology, namespace: &Namespace, config: &str) -> Self {
        Self::start_with(topology, namespace, config, (&["bgpd"], &[]))
    }

    /// With staticd as well, for `ip route` lines.
    pub(crate) fn start_with_staticd(
        topology: &Topology,
        namespace: &Namespace,
        config: &str,
    ) -> Self {
        Self::start_with(topology, namespace, config, (&["bgpd", "staticd"], &[]))
    }

    /// A peer that learns routes but leaves its kernel alone, which is quicker.
    pub(crate) fn start_without_kernel(
        topology: &Topology,
        namespace: &Namespace,
        config: &str,
    ) -> Self {
        Self::start_with(topology, namespace, config, (&["bgpd"], &["--no_kernel"]))
    }

    /// With the module for origin validation, which a package of its own has.
    pub(crate) fn start_validating(
        topology: &Topology,
        namespace: &Namespace,
        config: &str,
    ) -> Self {
        Self::start_with(topology, namespace, config, (&["bgpd"], &["-M", "rpki"]))
    }

    /// Whether that module is installed.
    pub(crate) fn can_validate() -> bool {
        let architecture = std::env::consts::ARCH;
        let module = format!("/usr/lib/{architecture}-linux-gnu/frr/modules/bgpd_rpki.so");
        std::path::Path::new(&module).exists()
    }

    fn start_with(
        topology: &Topology,
        namespace: &Namespace,
        config: &str,
        (names, arguments): (&'static [&'static str], &'static [&'static str]),
    ) -> Self {
        let directory = topology.daemon_directory(&format!("frr-{}", namespace.label()));
        std::fs::write(directory.join("frr.conf"), config).expect("the configuration's file");
        std::fs::write(
            directory.join("vtysh.conf"),
            "service integrated-vtysh-config\n",
        )
        .expect("vtysh.conf");
        for daemon in ["zebra", "bgpd", "staticd"] {
            std::fs::write(directory.join(format!("{daemon}.conf")), "")
                .expect("an empty configuration");
        }
        let mut frr = Self {
            namespace: namespace.clone(),
            topology: topology.clone(),
            directory,
            arguments,
            names,
            daemons: Vec::new(),
        };
        frr.launch();
        frr
    }

    fn launch(&mut self) {
        let zebra = self.daemon("zebra", &[]);
        self.wait_for_socket("zebra");
        let mut daemons = Vec::new();
        for name in self.names {
            daemons.push(self.launch_one(name));
        }
        daemons.push(zebra);
        self.daemons = daemons;
        self.read_config();
    }

    fn launch_one(&self, name: &str) -> Process {
        let arguments = if name == "bgpd" { self.arguments } else { &[] };
        let daemon = self.daemon(name, arguments);
        self.wait_for_socket(name);
        daemon
    }

    fn read_config(&self) {
        let file = self.path("frr.conf");
        let answer = self.run_shell(&["-f", &file]);
        assert_eq!(
            answer.code,
            Some(0),
            "FRR refused the configuration: {answer:?}"
        );
    }

    fn daemon(&self, name: &str, extra: &[&str]) -> Process {
        let label = format!("{name} of {}", self.namespace.label());
        let log = self.directory.join(format!("{name}.log"));
        self.topology.add_log(&label, &log);
        let mut command = self.namespace.command(format!("{DAEMONS}/{name}"));
        command
            .args(["-P", "0", "--log", "stdout", "--log-level", "debug"])
            .args(["--vty_socket", &self.path("")])
            .args(["-z", &self.path("zserv.api")])
            .args(["-i", &self.path(&format!("{name}.pid"))])
            .args(["-f", &self.path(&format!("{name}.conf"))])
            .args(extra);
        Process::start(&label, command, &log)
    }

    fn wait_for_socket(&self, daemon: &str) {
        let socket = self.path(&format!("{daemon}.vty"));
        wait_for(SOON, &format!("the shell's socket of {daemon}"), || {
            std::os::unix::net::UnixStream::connect(&socket)
                .map(drop)
                .map_err(|error| error.to_string())
        });
    }

    fn path(&self, name: &str) -> String {
        self.directory
            .join(name)
            .to_str()
            .expect("a path in UTF-8")
            .to_owned()
    }

    fn run_shell(&self, arguments: &[&str]) -> Answer {
        let directory = self.path("");
        let output = Command::new(SHELL)
            .args(["--vty_socket", &directory, "--config_dir", &directory])
            .args(arguments)
            .output()
            .expect("vtysh");
        Answer {
            code: output.status.code(),
            text: String::from_utf8_lossy(&output.stdout).into_owned(),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Kills bgpd without a goodbye. zebra stays, and keeps the routes in the
    /// kernel where graceful restart is configured.
    pub(crate) fn kill_bgpd(&mut self) {
        self.daemons.remove(0);
    }

    /// Starts bgpd again after [`Self::kill_bgpd`], on this configuration.
    pub(crate) fn restart_bgpd(&mut self, config: &str) {
        std::fs::write(self.config_file(), config).expect("the configuration's file");
        let bgpd = self.launch_one("bgpd");
        self.daemons.insert(0, bgpd);
        self.read_config();
    }

    fn bgpd(&mut self) -> &mut Process {
        self.daemons.first_mut().expect("FRR runs")
    }
}

impl Router for Frr {
    fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    fn shell(&self, commands: &[&str]) -> Answer {
        let arguments: Vec<&str> = commands
            .iter()
            .flat_map(|command| ["-c", command])
            .collect();
        self.run_shell(&arguments)
    }

    fn config_file(&self) -> PathBuf {
        self.directory.join("frr.conf")
    }

    fn reload(&mut self, config: &str) {
        let file = self.path("frr.conf");
        std::fs::write(&file, config).expect("the configuration's file");
        let directory = self.path("");
        let reload = format!("{DAEMONS}/frr-reload.py");
        let result = run(
            "/usr/bin/python3",
            &[
                &reload,
                "--reload",
                "--vty_socket",
                &directory,
                "--confdir",
                &directory,
                "--rundir",
                &directory,
                "--stdout",
                &file,
            ],
        );
        if let Err(error) = result {
            panic!("{error}");
        }
    }

    fn stop(&mut self) -> ExitStatus {
        let status = self.bgpd().terminate(Duration::from_secs(20));
        for daemon in self.daemons.iter_mut().skip(1) {
            daemon.terminate(Duration::from_secs(20));
        }
        self.daemons.clear();
        status
    }

    fn kill(&mut self) {
        self.daemons.clear();
    }

    fn restart(&mut self) {
        self.daemons.clear();
        self.launch();
    }

    fn freeze(&self) {
        self.daemons.first().expect("FRR runs").freeze();
    }

    fn thaw(&self) {
        self.daemons.first().expect("FRR runs").thaw();
    }
}
