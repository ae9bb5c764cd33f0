//! Network namespaces and the links between them.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use nix::sched::{CloneFlags, setns};

use super::kernel::{self, Family, KernelRoute};
use super::run;

const NETNS_DIR: &str = "/run/netns";
const PREFIX: &str = "hft";

/// One test's private network, and the directory of its daemons' files.
///
/// Dropping it removes the namespaces; if the test is failing, the logs of
/// its daemons are printed first.
#[derive(Clone)]
pub(crate) struct Topology(Arc<Inner>);

struct Inner {
    id: String,
    directory: tempfile::TempDir,
    namespaces: Mutex<Vec<String>>,
    logs: Mutex<Vec<(String, PathBuf)>>,
}

impl Topology {
    pub(crate) fn new() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let directory = tempfile::Builder::new()
            .prefix("holdfast-test-")
            .tempdir()
            .expect("a temporary directory");
        open_to_all(directory.path());
        Self(Arc::new(Inner {
            id: format!("{PREFIX}{}-{number}", std::process::id()),
            directory,
            namespaces: Mutex::default(),
            logs: Mutex::default(),
        }))
    }

    /// Makes a namespace with its loopback up.
    pub(crate) fn namespace(&self, label: &str) -> Namespace {
        let name = format!("{}-{label}", self.0.id);
        must(run("ip", &["netns", "add", &name]));
        self.0
            .namespaces
            .lock()
            .expect("namespaces")
            .push(name.clone());
        let namespace = Namespace {
            name: name.into(),
            label: label.into(),
        };
        namespace.ip("link set lo up");
        namespace.sysctl("net.ipv4.conf.all.rp_filter", "0");
        namespace.sysctl("net.ipv4.conf.default.rp_filter", "0");
        namespace.sysctl("net.ipv6.conf.all.accept_dad", "0");
        namespace.sysctl("net.ipv6.conf.default.accept_dad", "0");
        namespace
    }

    /// Joins two namespaces by a pair of interfaces, each with its addresses
    /// (`address/length`, several separated by spaces).
    pub(crate) fn link(&self, left: End<'_>, right: End<'_>) {
        must(run(
            "ip",
            &[
                "link",
                "add",
                left.interface,
                "netns",
                &left.namespace.name,
                "type",
                "veth",
                "peer",
                "name",
                right.interface,
                "netns",
                &right.namespace.name,
            ],
        ));
        for end in [left, right] {
            for address in end.addresses.split_whitespace() {
                end.namespace
                    .ip(&format!("addr add {address} dev {}", end.interface));
            }
            end.namespace.ip(&format!("link set {} up", end.interface));
        }
    }

    /// A source, a router and an observer in a row. The router's addresses are
    /// 10.1.0.1 and 2001:db8:1::1 towards the source, 10.2.0.1 and
    /// 2001:db8:2::1 towards the observer; the others have the 2 in each.
    pub(crate) fn three_in_a_row(&self) -> (Namespace, Namespace, Namespace) {
        let (source, middle, observer) = (
            self.namespace("source"),
            self.namespace("router"),
            self.namespace("observer"),
        );
        self.link(
            source.end("eth0", "10.1.0.2/24 2001:db8:1::2/64"),
            middle.end("eth1", "10.1.0.1/24 2001:db8:1::1/64"),
        );
        self.link(
            observer.end("eth0", "10.2.0.2/24 2001:db8:2::2/64"),
            middle.end("eth2", "10.2.0.1/24 2001:db8:2::1/64"),
        );
        (source, middle, observer)
    }

    /// A fresh directory for a daemon's files, writable by any user, because
    /// FRR gives up root.
    pub(crate) fn daemon_directory(&self, label: &str) -> PathBuf {
        let path = self.0.directory.path().join(label);
        std::fs::create_dir_all(&path).expect("a daemon's directory");
        open_to_all(&path);
        path
    }

    /// Names a log file that is shown if the test fails.
    pub(crate) fn add_log(&self, label: &str, path: &Path) {
        let mut logs = self.0.logs.lock().expect("logs");
        if !logs.iter().any(|(_, known)| known == path) {
            logs.push((label.to_owned(), path.to_owned()));
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (label, path) in self.logs.get_mut().expect("logs").iter() {
                eprintln!("===== log of {label} =====\n{}", tail(path, log_lines()));
            }
        }
        for name in self.namespaces.get_mut().expect("namespaces").iter() {
            if let Err(error) = run("ip", &["netns", "del", name]) {
                eprintln!("{error}");
            }
        }
    }
}

/// One end of a link.
#[derive(Clone, Copy)]
pub(crate) struct End<'a> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) interface: &'a str,
    pub(crate) addresses: &'a str,
}

/// A network namespace; a handle that may be copied.
#[derive(Clone, Debug)]
pub(crate) struct Namespace {
    name: Arc<str>,
    label: Arc<str>,
}

impl Namespace {
    /// One end of a link, in this namespace.
    pub(crate) fn end<'a>(&'a self, interface: &'a str, addresses: &'a str) -> End<'a> {
        End {
            namespace: self,
            interface,
            addresses,
        }
    }

    /// The short name that the test gave.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Runs `ip` with these words in this namespace; panics if it fails.
    #[track_caller]
    pub(crate) fn ip(&self, words: &str) -> String {
        let mut arguments = vec!["-n", &*self.name];
        arguments.extend(words.split_whitespace());
        must(run("ip", &arguments))
    }

    /// As [`Self::ip`], where it may fail.
    pub(crate) fn try_ip(&self, words: &str) -> Result<String, String> {
        let mut arguments = vec!["-n", &*self.name];
        arguments.extend(words.split_whitespace());
        run("ip", &arguments)
    }

    /// What `ip -j` lists; empty if it lists nothing.
    pub(crate) fn listing(&self, words: &str) -> Vec<serde_json::Value> {
        kernel::listing(&self.name, words)
    }

    /// Makes an interface that leads nowhere and is up, with addresses on it.
    ///
    /// A pair of virtual Ethernet ends, since not every kernel has dummies.
    pub(crate) fn stub(&self, interface: &str, addresses: &str) {
        self.ip(&format!(
            "link add {interface} type veth peer name {interface}-end"
        ));
        self.ip(&format!("link set {interface}-end up"));
        for address in addresses.split_whitespace() {
            self.ip(&format!("addr add {address} dev {interface}"));
        }
        self.ip(&format!("link set {interface} up"));
    }

    pub(crate) fn sysctl(&self, key: &str, value: &str) {
        let assignment = format!("{key}={value}");
        must(run(
            "ip",
            &["netns", "exec", &self.name, "sysctl", "-qw", &assignment],
        ));
    }

    /// A counter of the kernel's TCP (`TcpExt` in /proc/net/netstat).
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let text = self
            .inside(|| std::fs::read_to_string("/proc/thread-self/net/netstat"))
            .expect("netstat");
        let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
        let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
            return 0;
        };
        names
            .split_whitespace()
            .zip(values.split_whitespace())
            .find(|(found, _)| *found == name)
            .and_then(|(_, value)| value.parse().ok())
            .unwrap_or_default()
    }

    /// A command that will run in this namespace, and that the kernel kills
    /// when the thread that started it ends, so that nothing outlives a test.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args([
            "netns",
            "exec",
            &*self.name,
            "setpriv",
            "--pdeathsig",
            "KILL",
            "--",
        ]);
        command.arg(program);
        command
    }

    /// Runs a program in this namespace to its end.
    pub(crate) fn exec(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program)
            .args(arguments)
            .output()
            .unwrap_or_else(|error| panic!("{program} in {}: {error}", self.label))
    }

    /// The main table's routes.
    pub(crate) fn routes(&self, family: Family) -> Vec<KernelRoute> {
        kernel::routes(&self.name, family)
    }

    /// A table's routes.
    pub(crate) fn routes_in(&self, family: Family, table: u32) -> Vec<KernelRoute> {
        kernel::routes_in(&self.name, family, &table.to_string())
    }

    /// The routes of BGP in a table: prefixes with their gateways.
    pub(crate) fn bgp_routes(&self, family: Family, table: u32) -> Vec<(String, String)> {
        let routes = self.routes_in(family, table);
        let ours = routes.iter().filter(|route| route.protocol == "bgp");
        let mut ours: Vec<_> = ours
            .map(|route| (route.destination.clone(), route.gateways().join(" ")))
            .collect();
        ours.sort();
        ours
    }

    /// The routes of the main table to exactly `destination`.
    pub(crate) fn routes_to(&self, destination: &str) -> Vec<KernelRoute> {
        let family = if destination.contains(':') {
            Family::V6
        } else {
            Family::V4
        };
        self.routes(family)
            .into_iter()
            .filter(|route| route.destination == destination)
            .collect()
    }

    /// Runs `work` on a thread inside of this namespace. Sockets that it makes
    /// stay in the namespace and may be used from anywhere.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let file = File::open(Path::new(NETNS_DIR).join(&*self.name))
                        .expect("the namespace's file");
                    setns(file, CloneFlags::CLONE_NEWNET).expect("setns");
                    work()
                })
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A TCP server that says `greeting` to each connection and closes it.
    pub(crate) fn greeter(&self, address: SocketAddr, greeting: &str) -> Greeter {
        let listener = self
            .inside(|| TcpListener::bind(address))
            .expect("a listening socket");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let greeting = greeting.to_owned();
        listener
            .set_nonblocking(true)
            .expect("a socket that does not block");
        let thread = std::thread::spawn(move || {
            use std::io::Write as _;
            while !stopped.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((mut stream, _)) => drop(stream.write_all(greeting.as_bytes())),
                    Err(_) => std::thread::sleep(std::time::Duration::from_millis(2)),
                }
            }
        });
        Greeter {
            stop,
            thread: Some(thread),
        }
    }
}

/// A running [`Namespace::greeter`]; dropping it stops the server.
pub(crate) struct Greeter {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Greeter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Whether namespaces and links can be made here.
pub(crate) fn probe() -> Result<(), String> {
    let name = format!("{PREFIX}{}-probe", std::process::id());
    run("ip", &["netns", "add", &name])?;
    let made = run(
        "ip",
        &[
            "-n", &name, "link", "add", "probe0", "type", "veth", "peer", "name", "probe1",
        ],
    );
    run("ip", &["netns", "del", &name])?;
    made.map(drop)
}

/// Removes the namespaces of test processes that were killed before they
/// could do so.
pub(crate) fn sweep_abandoned() {
    let Ok(entries) = std::fs::read_dir(NETNS_DIR) else {
        return;
    };
    for name in entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
    {
        let Some(owner) = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next())
        else {
            continue;
        };
        if owner.parse::<u32>().is_ok() && !Path::new("/proc").join(owner).exists() {
            // Another test process may sweep at the same moment.
            drop(run("ip", &["netns", "del", &name]));
        }
    }
}

/// How much of a log a failure shows: `HOLDFAST_LOG_LINES`.
fn log_lines() -> usize {
    let lines = std::env::var("HOLDFAST_LOG_LINES").ok();
    lines.and_then(|text| text.parse().ok()).unwrap_or(120)
}

/// The last `lines` lines of a file.
fn tail(path: &Path, lines: usize) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).expect("permissions");
}

#[track_caller]
fn must(result: Result<String, String>) -> String {
    result.unwrap_or_else(|error| panic!("{error}"))
}
