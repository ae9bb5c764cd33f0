//! Real FRR reads what is printed here, and what it prints is read here.
//!
//! Needs root, FRR and iproute2; without them the test says so and passes.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use bgp_wire::Family as BgpFamily;
use common::config;
use holdfast_config::frr::to_frr;
use holdfast_config::model::DEFAULT_MAXIMUM_PATHS;
use holdfast_config::{
    Bgp, Config, Family, InstanceName, Leniency, NextHopSelf, PeerKind, PeerPolicy, PeerSettings,
    RedistributeSource, RemoteAs, Shutdown, Spelling, parse_str,
};
use holdfast_policy::model::{
    CommunityCompare, CommunityList, ExcludeAsns, Listable, Lists, Match, MetricSet, NextHopKind,
    OnMatch, OtherProtocol, PolicyConfig, Set, SourceProtocol,
};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

const ZEBRA: &str = "/usr/lib/frr/zebra";
const BGPD: &str = "/usr/lib/frr/bgpd";

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}"))
}

/// Why real FRR cannot be run here, if it cannot.
fn missing() -> Option<String> {
    for path in [ZEBRA, BGPD, "/usr/bin/vtysh"] {
        if !Path::new(path).exists() {
            return Some(format!("{path} is not installed"));
        }
    }
    let uid = Command::new("id").arg("-u").output().ok()?;
    if uid.stdout != b"0\n" {
        return Some("not root".to_owned());
    }
    match Command::new("ip").args(["netns", "list"]).output() {
        Ok(output) if output.status.success() => None,
        _ => Some("no network namespaces".to_owned()),
    }
}

/// zebra and bgpd in a network namespace and path space of their own.
struct Frr {
    name: String,
    folder: tempfile::TempDir,
}

impl Frr {
    fn start() -> Self {
        let name = format!("hfconf{}", std::process::id());
        let folder = tempfile::tempdir().unwrap();
        let frr = Self { name, folder };
        assert!(run("ip", &["netns", "add", &frr.name]).status.success());
        for path in [frr.state(), frr.etc()] {
            std::fs::create_dir_all(&path).unwrap();
            assert!(
                run("chown", &["frr:frr", path.to_str().unwrap()])
                    .status
                    .success()
            );
        }
        assert!(
            run("chmod", &["777", frr.folder.path().to_str().unwrap()])
                .status
                .success()
        );
        std::fs::write(frr.etc().join("vtysh.conf"), "").unwrap();
        for (program, more) in [(ZEBRA, &[][..]), (BGPD, &["-p", "0"][..])] {
            let pid = frr.pid_file(program);
            let mut arguments = vec!["netns", "exec", &frr.name, program, "-d", "-N", &frr.name];
            arguments.extend(["-i", pid.to_str().unwrap()]);
            arguments.extend(more);
            let output = run("ip", &arguments);
            assert!(output.status.success(), "{program}: {output:?}");
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while !frr
            .vtysh(&["-c", "show running-config"])
            .contains("frr version")
        {
            assert!(Instant::now() < deadline, "FRR does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        frr
    }

    fn state(&self) -> PathBuf {
        Path::new("/var/run/frr").join(&self.name)
    }

    fn etc(&self) -> PathBuf {
        Path::new("/etc/frr").join(&self.name)
    }

    fn pid_file(&self, program: &str) -> PathBuf {
        let name = Path::new(program).file_name().unwrap();
        self.folder.path().join(name).with_extension("pid")
    }

    fn vtysh(&self, arguments: &[&str]) -> String {
        let output = run("vtysh", &[&["-N", self.name.as_str()], arguments].concat());
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Replaces the instances, lists and route maps by those in `text`; gives
    /// FRR's complaints.
    fn load(&self, text: &str) -> String {
        let running = self.running_config();
        self.forget_policy(&running);
        for line in running
            .lines()
            .filter(|line| line.starts_with("router bgp"))
        {
            let answer = self.vtysh(&["-c", "configure terminal", "-c", &format!("no {line}")]);
            assert_eq!(answer, "", "no {line}");
        }
        let path = self.folder.path().join("frr.conf");
        std::fs::write(&path, text).unwrap();
        self.vtysh(&["-f", path.to_str().unwrap()])
    }

    /// Takes back what is outside of the instances, list by list.
    fn forget_policy(&self, running: &str) {
        let names: BTreeSet<String> = running.lines().filter_map(policy_of).collect();
        for chunk in names.into_iter().collect::<Vec<_>>().chunks(40) {
            let mut arguments = vec!["-c".to_owned(), "configure terminal".to_owned()];
            for line in chunk {
                arguments.extend(["-c".to_owned(), format!("no {line}")]);
            }
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            self.vtysh(&arguments);
        }
        let left: Vec<String> = self
            .running_config()
            .lines()
            .filter_map(policy_of)
            .collect();
        assert_eq!(left, Vec::<String>::new());
    }

    fn running_config(&self) -> String {
        let text = self.vtysh(&["-c", "show running-config"]);
        let (_, config) = text.split_once("Current configuration:\n!\n").unwrap();
        config.to_owned()
    }
}

/// The beginning of a line that stands for the whole list or route map.
fn policy_of(line: &str) -> Option<String> {
    let line = line.strip_prefix("no ").unwrap_or(line);
    let words: Vec<&str> = line.split(' ').collect();
    let take = match words.as_slice() {
        ["ip" | "ipv6", "protocol", ..] => 3,
        ["ip" | "ipv6", "prefix-list" | "access-list", ..] => 3,
        ["access-list" | "route-map", ..] => 2,
        ["bgp", "as-path", ..] => 4,
        ["bgp", "community", "alias", ..] => 5,
        ["bgp", list, "standard" | "expanded", ..] if list.ends_with("-list") => 4,
        ["bgp", list, ..] if list.ends_with("-list") => 3,
        ["bgp", "route-map", ..] => 3,
        _ => return None,
    };
    let head: Vec<&str> = words.into_iter().take(take).collect();
    Some(match head.as_slice() {
        ["route-map", name] => format!("route-map {name}"),
        _ => head.join(" "),
    })
}

impl Drop for Frr {
    fn drop(&mut self) {
        for program in [BGPD, ZEBRA] {
            if let Ok(pid) = std::fs::read_to_string(self.pid_file(program)) {
                run("kill", &["-9", pid.trim()]);
            }
        }
        run("ip", &["netns", "del", &self.name]);
        // Nothing is left to be done about a folder that stays.
        let _ = std::fs::remove_dir_all(self.state());
        let _ = std::fs::remove_dir_all(self.etc());
    }
}

/// The instances alone, without what has no spelling in FRR, and without what
/// FRR takes and then drops.
fn for_frr(config: Config) -> Option<Config> {
    let mut plain = Config {
        frr_version: Some("8.4.4".to_owned()),
        ..Config::default()
    };
    for (name, bgp) in config.instances() {
        let mut bgp = instance_for_frr(bgp.clone())?;
        // A view puts nothing into the kernel: FRR forgets the line.
        bgp.suppress_fib_pending &= !name.is_view();
        // FRR takes the line apart into targets and distinguishers, and makes instances.
        bgp.ipv4_unicast.import_vrfs.clear();
        bgp.ipv6_unicast.import_vrfs.clear();
        // Which it prints in the words of VPNs then.
        bgp.ipv4_unicast.import_vrf_route_map = None;
        bgp.ipv6_unicast.import_vrf_route_map = None;
        // It has one dampening for all of them.
        if !name.is_default() {
            (bgp.ipv4_unicast.dampening, bgp.ipv6_unicast.dampening) = (None, None);
        }
        plain.set_instance(&name, Some(bgp));
    }
    plain.policy = policy_for_frr(config.policy.clone());
    plain.route_map_delay_secs = config.route_map_delay_secs;
    plain.ip_protocol_route_map = config.ip_protocol_route_map.clone();
    plain.ipv6_protocol_route_map = config.ipv6_protocol_route_map.clone();
    plain.normalize();
    plain.instances().next()?;
    Some(plain)
}

fn instance_for_frr(mut bgp: Bgp) -> Option<Bgp> {
    // FRR has these since version 10.
    let groups = bgp.peer_groups.values_mut();
    let neighbors = bgp.neighbors.values_mut().map(|n| &mut n.settings);
    for settings in groups.chain(neighbors) {
        for family in Family::ALL {
            settings.af_mut(family).policy.dampening = None;
        }
    }
    // FRR has it for IPv4 alone.
    let sources = &mut bgp.ipv6_unicast.redistribute;
    sources.retain(|source, _| !matches!(source, RedistributeSource::Table(_)));
    for settings in bgp.peer_groups.values_mut() {
        no_pipes(settings);
    }
    for neighbor in bgp.neighbors.values_mut() {
        no_pipes(&mut neighbor.settings);
    }
    bgp.connect_retry_secs = Config::default().defaults().connect_retry_secs;
    without_aigp(&mut bgp);
    // FRR refuses nothing here and means something else by it.
    if bgp.confederation_identifier == Some(bgp.asn) {
        return None;
    }
    if bgp.confederation_identifier.is_some() {
        by_number(&mut bgp);
    }
    let peers: Vec<_> = bgp.effective_peers().collect();
    for peer in peers {
        let Some(neighbor) = bgp.neighbors.get_mut(&peer.address) else {
            continue;
        };
        drop_off(&mut neighbor.settings);
        // Of a group's lists some shine through, and some exclude those of a member.
        if neighbor.peer_group.is_some() {
            for family in Family::ALL {
                neighbor.settings.af_mut(family).policy = PeerPolicy::default();
            }
        }
        // What the group says of these shines through in FRR's member.
        if neighbor.peer_group.is_some() {
            for family in Family::ALL {
                neighbor.settings.af_mut(family).allowas_in = None;
            }
        }
        if peer.remote.kind == PeerKind::Internal {
            neighbor.settings.ebgp_multihop = None;
        }
        // FRR does not print what holds anyway.
        let hops = &mut neighbor.settings.ebgp_multihop;
        *hops = hops.filter(|hops| *hops != 1);
    }
    // With as many paths as by default FRR does not print the line.
    let most = DEFAULT_MAXIMUM_PATHS;
    let ipv4 = &mut bgp.ipv4_unicast;
    ipv4.equal_cluster_length &= ipv4.maximum_paths_ibgp != most;
    let ipv6 = &mut bgp.ipv6_unicast;
    ipv6.equal_cluster_length &= ipv6.maximum_paths_ibgp != most;
    (ipv4.resilient, ipv6.resilient) = (None, None);
    for group in bgp.peer_groups.values_mut() {
        group.port = None;
        group.ebgp_multihop = None;
        // FRR prints it with the members too.
        for family in Family::ALL {
            group.af_mut(family).disable_addpath_rx = None;
        }
    }
    Some(bgp)
}

/// In a confederation FRR 8.4 takes an `internal` peer for one of the
/// confederation, whom only an AS number makes one of the member AS.
fn by_number(bgp: &mut Bgp) {
    let asn = bgp.asn;
    let neighbors = bgp.neighbors.values_mut();
    let settings = neighbors.map(|neighbor| &mut neighbor.settings);
    for settings in settings.chain(bgp.peer_groups.values_mut()) {
        if settings.remote_as == Some(RemoteAs::Internal) {
            settings.remote_as = Some(RemoteAs::Number(asn));
        }
    }
}

/// FRR knows it from 8.5 on.
fn without_aigp(bgp: &mut Bgp) {
    bgp.bestpath_aigp = false;
    let neighbors = bgp.neighbors.values_mut();
    let settings = neighbors.map(|neighbor| &mut neighbor.settings);
    for settings in settings.chain(bgp.peer_groups.values_mut()) {
        settings.aigp = None;
    }
}

/// To vtysh, what follows `|` is a filter for what the line prints.
fn no_pipes(settings: &mut PeerSettings) {
    let plain = |text: &mut String| *text = text.replace('|', "/");
    settings.description.iter_mut().for_each(plain);
    if let Some(Shutdown::On {
        message: Some(message),
    }) = &mut settings.shutdown
    {
        plain(message);
    }
}

/// A member of a group cannot have less than its group in FRR.
fn drop_off(own: &mut PeerSettings) {
    for flag in [
        &mut own.passive,
        &mut own.extended_nexthop,
        &mut own.disable_connected_check,
        &mut own.disable_link_bw_encoding_ieee,
    ] {
        *flag = flag.filter(|on| *on);
    }
    own.shutdown = own
        .shutdown
        .take()
        .filter(|shutdown| *shutdown != Shutdown::Off);
    for family in Family::ALL {
        let af = own.af_mut(family);
        for flag in [
            &mut af.soft_reconfiguration_inbound,
            &mut af.route_reflector_client,
            &mut af.route_server_client,
            &mut af.next_hop_unchanged,
            &mut af.disable_addpath_rx,
        ] {
            *flag = flag.filter(|on| *on);
        }
        af.next_hop_self = af.next_hop_self.filter(|value| *value != NextHopSelf::Off);
    }
}

fn instances(text: &str) -> Vec<(InstanceName, Bgp)> {
    let loaded = parse_str("running-config", text, Spelling::Frr, Leniency::Lenient);
    let loaded = loaded.unwrap_or_else(|errors| panic!("{errors:#?}\n{text}"));
    owned(&loaded.config)
}

fn policy(text: &str) -> PolicyConfig {
    let loaded = parse_str("running-config", text, Spelling::Frr, Leniency::Lenient);
    loaded.unwrap().config.policy
}

/// What 8.4 knows, and prints in the same order.
fn policy_for_frr(mut policy: PolicyConfig) -> PolicyConfig {
    let plain = |text: &mut Option<String>| {
        *text = text.take().map(|text| text.replace('|', "/"));
    };
    for list in policy.ip_prefix_lists.values_mut() {
        plain(&mut list.description);
        once(&mut list.entries, |entry| format!("{entry:?}"));
        list.entries
            .retain(|_, e| e.ge != Some(0) && e.le != Some(0));
    }
    for list in policy.ipv6_prefix_lists.values_mut() {
        plain(&mut list.description);
        once(&mut list.entries, |entry| format!("{entry:?}"));
        list.entries
            .retain(|_, e| e.ge != Some(0) && e.le != Some(0));
    }
    let access = policy.access_lists.values_mut();
    for list in access.chain(policy.ipv6_access_lists.values_mut()) {
        plain(&mut list.remark);
        once(&mut list.entries, |entry| format!("{entry:?}"));
    }
    for list in policy.as_path_lists.values_mut() {
        once(&mut list.entries, |entry| format!("{entry:?}"));
    }
    // They come in the order of a hash.
    while policy.community_aliases.len() > 1 {
        policy.community_aliases.pop_first();
    }
    styled(&mut policy.community_lists);
    styled(&mut policy.large_community_lists);
    styled(&mut policy.ext_community_lists);
    for map in policy.route_maps.values_mut() {
        // Maps with the line come in an order of their own.
        map.optimization = true;
        for entry in map.entries.values_mut() {
            plain(&mut entry.description);
            // It refuses to go on where nothing is permitted.
            if !entry.action.permits() {
                entry.on_match = OnMatch::Exit;
            }
            entry.matches.retain(known_match);
            entry.sets.retain(known_set);
        }
    }
    policy.route_maps.retain(|_, map| !map.entries.is_empty());
    policy
}

/// An entry with the number of another is none to FRR if it says the same.
fn once<E>(entries: &mut BTreeMap<u32, E>, text: impl Fn(&E) -> String) {
    let mut seen = BTreeSet::new();
    entries.retain(|_, entry| seen.insert(text(entry)));
}

/// Numbers are names of lists of the style that they stand for, entries are
/// there once.
fn styled<C: Listable>(lists: &mut Lists<CommunityList<C>>) {
    lists.retain(|name, list| match (name.parse::<u32>(), list.expanded) {
        (Ok(number), true) => (100..=500).contains(&number),
        (Ok(number), false) => (1..=99).contains(&number),
        (Err(_), _) => true,
    });
    for list in lists.values_mut() {
        once(&mut list.entries, |entry| format!("{entry:?}"));
    }
}

fn known_match(clause: &Match) -> bool {
    match clause {
        Match::Community(_, compare) | Match::LargeCommunity(_, compare) => {
            *compare != CommunityCompare::Any
        }
        Match::NextHop(BgpFamily::Ipv6Unicast, NextHopKind::PrefixLen(_)) => false,
        Match::SourceProtocol(SourceProtocol::Other(OtherProtocol::VncDirect)) => false,
        // Only aliases that there are already.
        Match::Alias(_) => false,
        // Without the module for RPKI.
        Match::Rpki(_) => false,
        _ => true,
    }
}

fn known_set(clause: &Set) -> bool {
    match clause {
        Set::AigpMetric(_) | Set::Metric(MetricSet::Igp | MetricSet::Aigp) => false,
        Set::AsPathExclude(exclude) => matches!(exclude, ExcludeAsns::Asns(_)),
        Set::AsPathReplace(replace) => replace.to.is_none(),
        // Only addresses of this host.
        Set::Src(_) => false,
        _ => true,
    }
}

fn owned(config: &Config) -> Vec<(InstanceName, Bgp)> {
    let instances = config.instances();
    instances.map(|(name, bgp)| (name, bgp.clone())).collect()
}

/// Says which line is the first that differs.
#[track_caller]
fn assert_same(running: &str, printed: &str) {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (running, printed) = (lines(running), lines(printed));
    for (index, line) in running.iter().enumerate() {
        let before = index.saturating_sub(3);
        assert_eq!(
            Some(line),
            printed.get(index),
            "after {:?}",
            &running[before..index]
        );
    }
    assert_eq!(running.len(), printed.len());
}

#[test]
fn frr_takes_what_is_printed_and_prints_the_same() {
    if let Some(reason) = missing() {
        eprintln!("skipped: {reason}");
        return;
    }
    let frr = Frr::start();
    let mut runner = TestRunner::deterministic();
    let (mut tried, mut views, mut vrfs) = (0, 0, 0);
    while tried < 20 || views < 5 || vrfs < 5 {
        let random = config().new_tree(&mut runner).unwrap().current();
        let Some(config) = for_frr(random) else {
            continue;
        };
        tried += 1;
        views += config.views.len();
        vrfs += config.vrfs.len();
        let text = sets_by_text(&to_frr(&config));
        let complaints = frr.load(&text);
        let failed = ["line ", "failed"]
            .iter()
            .any(|word| complaints.contains(word));
        assert!(!failed, "{complaints}\n{text}");
        let running = frr.running_config();
        let block = |text: &str| {
            let from = text.find("router bgp").unwrap();
            text[from..].to_owned()
        };
        assert_same(&block(&running), &block(&text));
        assert_eq!(instances(&running), owned(&config));
        assert_eq!(policy(&running), policy(&text));
    }
}

/// With what each entry sets in the order of the texts, which is how FRR prints it,
/// whatever the order it is done in.
fn sets_by_text(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let of_one_entry =
        |one: &&str, next: &&str| one.starts_with(" set ") == next.starts_with(" set ");
    for lines in lines.chunk_by_mut(of_one_entry) {
        if lines.iter().all(|line| line.starts_with(" set ")) {
            lines.sort_unstable();
        }
    }
    lines.join("\n") + "\n"
}
