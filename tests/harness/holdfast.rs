//! This project's daemon and shell.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::process::Process;
use super::router::{Answer, Router};
use super::{Namespace, SOON, Topology, wait_for};

/// A running `bgpd`.
pub(crate) struct Holdfast {
    namespace: Namespace,
    directory: PathBuf,
    log: PathBuf,
    extra: Vec<String>,
    /// Another file than the one that was built.
    program: Option<PathBuf>,
    process: Option<Process>,
}

impl Holdfast {
    /// Starts the daemon on `config` (FRR syntax) and waits until it answers.
    pub(crate) fn start(topology: &Topology, namespace: &Namespace, config: &str) -> Self {
        Self::start_with(topology, namespace, config, &[])
    }

    /// As [`Self::start`], with more arguments on the command line.
    pub(crate) fn start_with(
        topology: &Topology,
        namespace: &Namespace,
        config: &str,
        extra: &[&str],
    ) -> Self {
        let mut daemon = Self::prepare(topology, namespace, config);
        daemon.extra = extra.iter().map(|&argument| argument.to_owned()).collect();
        daemon.launch();
        daemon
    }

    /// Writes the files without starting anything.
    pub(crate) fn prepare(topology: &Topology, namespace: &Namespace, config: &str) -> Self {
        let directory = topology.daemon_directory(&format!("holdfast-{}", namespace.label()));
        std::fs::write(directory.join("frr.conf"), config).expect("the configuration's file");
        let log = directory.join("bgpd.log");
        topology.add_log(&format!("bgpd of {}", namespace.label()), &log);
        Self {
            namespace: namespace.clone(),
            directory,
            log,
            extra: Vec::new(),
            program: None,
            process: None,
        }
    }

    fn launch(&mut self) {
        self.spawn();
        wait_for(SOON, "bgpd's shell answers", || {
            if let Some(status) = self.process().ended() {
                return Err(format!("bgpd ended: {status}"));
            }
            let answer = self.shell(&["show version"]);
            if answer.code == Some(0) {
                Ok(())
            } else {
                Err(format!("{answer:?}"))
            }
        });
    }

    /// Starts the process without waiting for anything.
    pub(crate) fn spawn(&mut self) {
        let program = self.program.clone().unwrap_or_else(|| binary("bgpd"));
        let mut command = self.namespace.command(program);
        command
            .arg("-f")
            .arg(self.config_file())
            .arg("--socket")
            .arg(self.socket())
            .args(&self.extra);
        let label = format!("bgpd of {}", self.namespace.label());
        self.process = Some(Process::start(&label, command, &self.log));
    }

    /// The daemon gets these arguments from its next start on.
    pub(crate) fn set_arguments(&mut self, extra: &[String]) {
        self.extra = extra.to_vec();
    }

    /// As [`Self::start`], from a file of its own that can be replaced.
    pub(crate) fn start_installed(
        topology: &Topology,
        namespace: &Namespace,
        config: &str,
    ) -> Self {
        let mut daemon = Self::prepare(topology, namespace, config);
        daemon.upgrade();
        daemon.launch();
        daemon
    }

    /// Replaces the program's file as a package does: a new file takes the
    /// name of the old one, which the running process goes on using.
    pub(crate) fn upgrade(&mut self) {
        let program = self.directory.join("bgpd");
        let fresh = self.directory.join("bgpd.new");
        std::fs::copy(binary("bgpd"), &fresh).expect("a copy of the program");
        std::fs::rename(&fresh, &program).expect("the new program");
        self.program = Some(program);
    }

    /// Whether the running process is of the file that is installed now.
    pub(crate) fn runs_installed(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let inode = |path: &Path| std::fs::metadata(path).map(|file| (file.dev(), file.ino()));
        let process = self.process.as_ref().expect("bgpd runs");
        let running = inode(Path::new(&format!("/proc/{}/exe", process.pid())));
        let installed = inode(self.program.as_deref().expect("an installed program"));
        running.expect("a process") == installed.expect("a file")
    }

    /// Everything it has logged, in all its lives.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The socket of the API.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("bgpd.sock")
    }

    /// The child; panics if it was stopped.
    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("bgpd runs")
    }
}

impl Router for Holdfast {
    fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    fn shell(&self, commands: &[&str]) -> Answer {
        let mut shell = Command::new(binary("vtysh"));
        shell.arg("--socket").arg(self.socket());
        for command in commands {
            shell.args(["-c", command]);
        }
        let output = shell.output().expect("vtysh");
        Answer {
            code: output.status.code(),
            text: String::from_utf8_lossy(&output.stdout).into_owned(),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn config_file(&self) -> PathBuf {
        self.directory.join("frr.conf")
    }

    fn reload(&mut self, config: &str) {
        std::fs::write(self.config_file(), config).expect("the configuration's file");
        self.process().signal(Signal::SIGHUP);
    }

    fn stop(&mut self) -> ExitStatus {
        let status = self.process().terminate(Duration::from_secs(20));
        self.process = None;
        status
    }

    fn kill(&mut self) {
        self.process = None;
    }

    fn restart(&mut self) {
        self.process = None;
        self.launch();
    }

    fn freeze(&self) {
        self.process.as_ref().expect("bgpd runs").freeze();
    }

    fn thaw(&self) {
        self.process.as_ref().expect("bgpd runs").thaw();
    }
}

/// One of this project's programs, built if need be.
///
/// The programs belong to other packages than the tests, so cargo does not
/// build them for us; they are in the directory above the test's own.
/// `HOLDFAST_BIN_DIR` names another directory, and nothing is built then.
pub(crate) fn binary(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(find_programs).join(name)
}

fn find_programs() -> PathBuf {
    if let Some(directory) = std::env::var_os("HOLDFAST_BIN_DIR") {
        return directory.into();
    }
    let test = std::env::current_exe().expect("the test's path");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("the profile's directory")
        .to_owned();
    let target = profile.parent().expect("the target directory");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "build",
            "--quiet",
            "-p",
            "holdfast-bgpd",
            "-p",
            "vtysh",
            "--bins",
            "--target-dir",
        ])
        .arg(target);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("cargo");
    assert!(status.success(), "bgpd and vtysh do not build");
    profile
}
