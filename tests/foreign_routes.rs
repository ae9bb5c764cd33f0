//! Another program that changes more routes than anybody can listen to: the
//! kernel drops notifications, and what BGP says still comes out right.

mod harness;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use harness::{Bird, Holdfast, Namespace, Router, SOON, Topology, need};
use harness::{router, wait_for, wait_until};

/// Routes that the other program adds and deletes; `HOLDFAST_FOREIGN_ROUTES`
/// says another number.
const FOREIGN: u32 = 200_000;
/// Networks of each half of what BIRD announces.
const HALF: u32 = 1_000;
/// So many of them are one run of `ip`.
const CHUNK: u32 = 20_000;
/// What a route of somebody else may cost, in octets, and what the daemon may
/// take beside that: a debug build, with a socket buffer of 8 MB.
const EACH: u64 = 400;
const BESIDE: u64 = 80 << 20;
/// Routes that are added while the tables are read anew, and redistributed.
const ADDED: u8 = 60;
/// Longer than a session lives that hears nothing.
const LONG: Duration = Duration::from_secs(12);

const CONFIG: &str = "router bgp 65000
 bgp router-id 10.0.0.1
 no bgp ebgp-requires-policy
 neighbor 10.1.0.2 remote-as 65001
 neighbor 10.1.0.2 timers 3 9
 neighbor 10.1.0.2 timers connect 1
 address-family ipv4 unicast
  redistribute static
 exit-address-family
exit
";

/// 198.18.0.0/32 and so on, or 198.19.0.0/32 and so on.
fn networks(half: u32) -> impl Iterator<Item = String> {
    (0..HALF).map(move |index| {
        let v4 = std::net::Ipv4Addr::from((198 << 24) + ((18 + half) << 16) + index);
        format!("{v4}/32")
    })
}

fn bird() -> String {
    let mut text = String::from("router id 10.1.0.2;\n");
    for half in 0..2 {
        writeln!(text, "protocol static half{half} {{\n  ipv4;").expect("a string takes all");
        for network in networks(half) {
            writeln!(text, "  route {network} blackhole;").expect("a string takes all");
        }
        text += "}\n";
    }
    text + "protocol bgp upstream {
  local 10.1.0.2 as 65001;
  neighbor 10.1.0.1 as 65000;
  hold time 9;
  connect delay time 1;
  connect retry time 2;
  error wait time 1, 2;
  ipv4 { import none; export where source = RTS_STATIC; };
}
"
}

// ===== the other program =====

/// Adds all of its routes and deletes them, again and again, until it is
/// dropped; none is left then.
struct Flood {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicU32>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    fn start(topology: &Topology, namespace: &Namespace, routes: u32) -> Self {
        let directory = topology.daemon_directory("flood");
        let batches: Vec<PathBuf> = ["add", "del"]
            .iter()
            .flat_map(|verb| {
                (0..routes)
                    .step_by(CHUNK as usize)
                    .map(move |from| (verb, from))
            })
            .map(|(verb, from)| {
                let file = directory.join(format!("{verb}-{from}"));
                write_batch(&file, verb, from..routes.min(from + CHUNK));
                file
            })
            .collect();
        let (stop, rounds) = (Arc::<AtomicBool>::default(), Arc::<AtomicU32>::default());
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&rounds));
        let namespace = namespace.clone();
        let thread = std::thread::spawn(move || {
            let stopped = || stopped.load(Ordering::Relaxed);
            while !stopped() {
                for batch in batches.iter().take_while(|_| !stopped()) {
                    namespace.ip(&format!("-batch {}", batch.display()));
                }
                counted.fetch_add(u32::from(!stopped()), Ordering::Relaxed);
            }
            namespace.ip("-4 route flush proto 99");
        });
        Self {
            stop,
            rounds,
            thread: Some(thread),
        }
    }

    fn rounds(&self) -> u32 {
        self.rounds.load(Ordering::Relaxed)
    }

    fn finish(&mut self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the flood");
        }
        self.rounds()
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn write_batch(file: &Path, verb: &str, routes: std::ops::Range<u32>) {
    let mut text = String::new();
    for index in routes {
        let address = std::net::Ipv4Addr::from((20 << 24) + index);
        writeln!(text, "route {verb} blackhole {address}/32 proto 99").expect("a string takes all");
    }
    std::fs::write(file, text).expect("a file");
}

// ===== what is there =====

fn installed(namespace: &Namespace) -> BTreeSet<String> {
    let listing = namespace.ip("-4 route show proto bgp");
    let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
    let lines = listing
        .lines()
        .filter(|line| !line.starts_with(char::is_whitespace));
    lines
        .filter_map(first)
        .map(|address| format!("{address}/32"))
        .collect()
}

/// Octets that a process has in memory now, and had at most.
fn memory(pid: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let value = |key: &str| {
        let line = status
            .lines()
            .find(|line| line.starts_with(key))
            .expect("a line");
        let kilobytes = line
            .split_whitespace()
            .nth(1)
            .and_then(|word| word.parse::<u64>().ok());
        kilobytes.expect("a number") << 10
    };
    (value("VmRSS:"), value("VmHWM:"))
}

/// What BIRD announces now.
struct Announced<'a> {
    bird: &'a Bird,
    halves: [bool; 2],
}

impl Announced<'_> {
    fn change(&mut self, half: usize) {
        self.halves[half] = !self.halves[half];
        let verb = if self.halves[half] {
            "enable"
        } else {
            "disable"
        };
        self.bird.birdc(&format!("{verb} half{half}"));
    }

    fn all(&self) -> bool {
        self.halves == [true, true]
    }

    /// Waits until the kernel has that and nothing else; how long it took.
    #[track_caller]
    fn wait_installed(&self, namespace: &Namespace) -> Duration {
        let start = Instant::now();
        let half = |half: u32| networks(half).filter(move |_| self.halves[half as usize]);
        let wanted: BTreeSet<String> = half(0).chain(half(1)).collect();
        wait_for(SOON, "the kernel has what is announced", || {
            let found = installed(namespace);
            match found == wanted {
                true => Ok(()),
                false => Err(format!("{} in place of {}", found.len(), wanted.len())),
            }
        });
        start.elapsed()
    }
}

/// Has the kernel drop notifications, the daemon being frozen. A route of ours
/// that goes meanwhile is known from the tables only.
fn overflow(router: &Holdfast, namespace: &Namespace, announced: &mut Announced<'_>) {
    let dropped = || {
        let sockets = namespace.inside(|| std::fs::read_to_string("/proc/thread-self/net/netlink"));
        let sockets = sockets.expect("the netlink sockets");
        let drops = |line: &str| line.split_whitespace().nth(8)?.parse::<u64>().ok();
        sockets.lines().filter_map(drops).sum::<u64>()
    };
    let before = dropped();
    router.freeze();
    wait_until(SOON, "notifications to be dropped", || dropped() > before);
    namespace.ip("route del 198.18.0.7/32 proto bgp");
    announced.change(1);
    router.thaw();
    // Some before the tables are read, some meanwhile, some after.
    for last in 0..ADDED {
        namespace.ip(&format!(
            "route add blackhole 203.0.113.{last} proto static"
        ));
    }
    announced.wait_installed(namespace);
    let log = router.log();
    assert!(log.contains("the kernel dropped notifications"), "{log}");
}

#[test]
fn a_flood_of_routes_of_others_changes_nothing_but_the_work() {
    need!("bird", "birdc");
    if router::kind() == harness::RouterKind::Frr {
        return;
    }
    let routes = std::env::var("HOLDFAST_FOREIGN_ROUTES");
    let routes = routes.map_or(FOREIGN, |text| text.parse().expect("a number of routes"));
    let topology = Topology::new();
    let (source, middle, _) = topology.three_in_a_row();
    let mut router = Holdfast::start(&topology, &middle, CONFIG);
    let bird = Bird::start(&topology, &source, &bird());
    router.wait_established(&["10.1.0.2"]);
    let both: BTreeSet<String> = networks(0).chain(networks(1)).collect();
    wait_until(SOON, "all routes", || installed(&middle) == both);
    let pid = router.process().pid();
    let (before, _) = memory(pid);

    let mut flood = Flood::start(&topology, &middle, routes);
    let start = Instant::now();
    let mut announced = Announced {
        bird: &bird,
        halves: [true, true],
    };
    overflow(&router, &middle, &mut announced);
    let (mut changes, mut longest) = (0, Duration::ZERO);
    while flood.rounds() < 1 || start.elapsed() < LONG || !announced.all() {
        announced.change(changes % 2);
        longest = longest.max(announced.wait_installed(&middle));
        changes += 1;
    }
    let rounds = flood.finish();
    announced.wait_installed(&middle);
    println!(
        "{routes} routes of others added and deleted {rounds} times; meanwhile {changes} changes \
         of {HALF} routes, each right within {longest:.1?}; {} times read anew",
        router
            .log()
            .matches("the kernel dropped notifications")
            .count()
    );
    let (after, peak) = memory(pid);
    println!(
        "in memory: {} MB before, {} MB after, {} MB at most",
        before >> 20,
        after >> 20,
        peak >> 20
    );
    assert!(peak < BESIDE + u64::from(routes) * EACH, "{peak} octets");
    assert_eq!(router.connections("10.1.0.2"), 1, "the session stayed up");
    wait_for(SOON, "all static routes are redistributed", || {
        let table = router.json("show bgp ipv4 unicast json");
        let known = |last: &u8| !table["routes"][format!("203.0.113.{last}/32")].is_null();
        let missing: Vec<u8> = (0..ADDED).filter(|last| !known(last)).collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(format!("without {missing:?}")),
        }
    });
    // What it believes is what there is.
    let listing = router.vtysh("show ip route bgp");
    let known = listing
        .lines()
        .filter(|line| line.starts_with("B>*"))
        .count();
    assert_eq!(known, both.len());
}
