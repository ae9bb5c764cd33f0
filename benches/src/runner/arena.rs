//! The network of one run: a namespace for the daemon, one for the load.
//!
//! ```text
//!   daemon's namespace                load's namespace
//!   10.99.0.1/16   ---- veth pair ----  10.99.64.0/18 (all of it is local)
//!   fd99::1/64                          fd99::64:1 .. fd99::64:20
//! ```
//!
//! Two namespaces, since a daemon rejects a next hop that is an address of its
//! own host. Nothing leaks: a run's sockets, addresses and neighbour entries
//! end with the namespaces.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sched::{CloneFlags, setns};

use super::error::{Error, Result, io};

const NETNS_DIR: &str = "/run/netns";
const PREFIX: &str = "hfb";

/// The daemon's IPv4 address.
pub const DAEMON_V4: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// The daemon's IPv6 address.
pub const DAEMON_V6: Ipv6Addr = Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, 1);
/// The daemon's link.
pub const DAEMON_LINK: &str = "dut0";
/// How many IPv6 addresses the load has. Unlike for IPv4, the kernel does not
/// answer neighbour discovery for a whole local prefix, so they are listed.
const V6_LOAD_ADDRESSES: u16 = 20;

/// The address of the load's session number `index`, from 0.
///
/// IPv4 has room for 16,382 of them, IPv6 for 20.
pub fn load_address(index: u16, ipv6: bool) -> IpAddr {
    let number = index + 1;
    if ipv6 {
        return Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0x64, number).into();
    }
    let base = u32::from(Ipv4Addr::new(10, 99, 64, 0));
    Ipv4Addr::from(base + u32::from(number)).into()
}

/// The two namespaces; dropping it removes them.
#[derive(Debug)]
pub struct Arena {
    daemon: String,
    load: String,
    directory: tempfile::TempDir,
}

impl Arena {
    /// Makes the namespaces, the link between them and the addresses.
    ///
    /// # Errors
    ///
    /// `ip` or `sysctl` failed; mostly for want of root.
    pub fn new() -> Result<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let id = format!(
            "{PREFIX}{}-{}",
            std::process::id(),
            COUNTER.fetch_add(1, Ordering::Relaxed)
        );
        let directory = tempfile::Builder::new()
            .prefix("holdfast-bench-")
            .tempdir()
            .map_err(io("a temporary directory"))?;
        let arena = Self {
            daemon: format!("{id}-dut"),
            load: format!("{id}-load"),
            directory,
        };
        arena.build()?;
        Ok(arena)
    }

    fn build(&self) -> Result<()> {
        let (daemon, load) = (self.daemon.as_str(), self.load.as_str());
        ip(&format!("netns add {daemon}"))?;
        ip(&format!("netns add {load}"))?;
        ip(&format!(
            "link add {DAEMON_LINK} netns {daemon} type veth peer name load0 netns {load}"
        ))?;
        for namespace in [daemon, load] {
            ip(&format!("-n {namespace} link set lo up"))?;
            // Hundreds of neighbours are in use at once; the default limit of
            // the neighbour table is shared by all namespaces.
            sysctl(namespace, "net.ipv4.neigh.default.gc_thresh3=16384");
        }
        ip(&format!(
            "-n {daemon} addr add {DAEMON_V4}/16 dev {DAEMON_LINK}"
        ))?;
        ip(&format!(
            "-n {daemon} addr add {DAEMON_V6}/64 dev {DAEMON_LINK} nodad"
        ))?;
        ip(&format!("-n {load} addr add 10.99.255.254/16 dev load0"))?;
        ip(&format!("-n {load} route add local 10.99.64.0/18 dev lo"))?;
        for index in 0..V6_LOAD_ADDRESSES {
            let address = load_address(index, true);
            ip(&format!("-n {load} addr add {address}/64 dev load0 nodad"))?;
        }
        ip(&format!("-n {daemon} link set {DAEMON_LINK} up"))?;
        ip(&format!("-n {load} link set load0 up"))?;
        Ok(())
    }

    /// A directory for this run's files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A command that runs in the daemon's namespace, and that the kernel
    /// kills when the thread that started it ends.
    pub fn daemon_command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.daemon])
            .args(["setpriv", "--pdeathsig", "KILL", "--"])
            .arg(program);
        command
    }

    /// Whether something in the daemon's namespace listens on port 179.
    ///
    /// # Errors
    ///
    /// The namespace cannot be entered.
    pub fn daemon_listens(&self) -> Result<bool> {
        inside(&self.daemon, || {
            let tables = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];
            Ok(tables.iter().any(|path| {
                std::fs::read_to_string(path)
                    .is_ok_and(|table| table.lines().any(is_listening_for_bgp))
            }))
        })
    }

    /// Runs `work` on a thread in the load's namespace. Threads that it starts
    /// are there as well.
    ///
    /// # Errors
    ///
    /// The namespace cannot be entered, or `work` failed or panicked.
    pub fn in_load<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        inside(&self.load, work)
    }

    /// As [`Self::in_load`], in the daemon's namespace.
    ///
    /// # Errors
    ///
    /// As [`Self::in_load`].
    pub fn in_daemon<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        inside(&self.daemon, work)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for name in [&self.daemon, &self.load] {
            if let Err(error) = ip(&format!("netns del {name}")) {
                eprintln!("{error}");
            }
        }
    }
}

/// Runs `work` on a thread in a namespace.
fn inside<T: Send>(namespace: &str, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let path = Path::new(NETNS_DIR).join(namespace);
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let file = File::open(&path).map_err(io(&path))?;
            setns(file, CloneFlags::CLONE_NEWNET).map_err(|error| io(&path)(error.into()))?;
            work()
        });
        thread
            .join()
            .unwrap_or_else(|_| Err(Error::Load("the load generator panicked".to_owned())))
    })
}

/// Whether a line of /proc/net/tcp is a listening socket (state 0A) on port 179.
fn is_listening_for_bgp(line: &str) -> bool {
    let mut words = line.split_whitespace().skip(1);
    let local = words.next().unwrap_or_default();
    let state = words.nth(1).unwrap_or_default();
    local.ends_with(":00B3") && state == "0A"
}

/// Removes the namespaces of runs that were killed before they could do so.
pub fn sweep_abandoned() {
    let Ok(entries) = std::fs::read_dir(NETNS_DIR) else {
        return;
    };
    for name in entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
    {
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next())
            .and_then(|owner| owner.parse::<u32>().ok());
        let abandoned = owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        if abandoned && let Err(error) = ip(&format!("netns del {name}")) {
            eprintln!("{error}");
        }
    }
}

/// A sysctl that makes a run smoother; one that the kernel lacks is no error.
fn sysctl(namespace: &str, assignment: &str) {
    let result = run(
        "ip",
        &["netns", "exec", namespace, "sysctl", "-qw", assignment],
    );
    drop(result);
}

fn ip(words: &str) -> Result<()> {
    let arguments: Vec<&str> = words.split_whitespace().collect();
    run("ip", &arguments).map(drop)
}

/// Runs a program to its end and returns what it printed.
///
/// # Errors
///
/// It cannot be started, or its exit status is not 0.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(io(program))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(Error::Command {
        command: format!("{program} {}", arguments.join(" ")),
        output: format!(
            "{text}{}",
            String::from_utf8_lossy(&output.stderr).trim_end()
        ),
    })
}
