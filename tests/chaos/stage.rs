//! The network that it all happens in, and how steps are carried out.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use super::model::{Foreign, World};
use super::observed::Observed;
use super::plan::{self, LINKS, SUBNETS};
use super::speech;
use super::step::Step;
use crate::harness::{Event, Holdfast, Namespace, Router, Scripted, Topology, wire};

/// What a run may choose beside its steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant {
    pub(crate) graceful: bool,
    pub(crate) objects: bool,
    /// Octets; none for the daemon's own choice.
    pub(crate) netlink_buffer: Option<usize>,
    /// `net.ipv4.nexthop_compat_mode`.
    pub(crate) compat_mode: bool,
}

/// How long a graceful restart takes at most.
const RESTART_TIME: Duration = Duration::from_secs(4);

/// The network, the daemon, and what is known of them.
pub(crate) struct Stage {
    topology: Topology,
    pub(crate) router: Namespace,
    far: Namespace,
    daemon: Holdfast,
    sessions: Vec<Option<Scripted>>,
    pub(crate) world: World,
    variant: Variant,
    /// A session that should not have ended did.
    complaint: Option<String>,
    /// Links that went and came: the daemon may end the session a second time
    /// when it hears of that.
    shaken: [bool; LINKS],
    /// When the daemon was started last.
    started: Instant,
}

impl Stage {
    pub(crate) fn new(variant: Variant) -> Self {
        let topology = Topology::new();
        let router = topology.namespace("router");
        let far = topology.namespace("far");
        far.sysctl("net.ipv6.conf.all.keep_addr_on_down", "1");
        far.sysctl("net.ipv6.conf.default.keep_addr_on_down", "1");
        // Sessions that outlive a lost link come back with it. Not every
        // kernel has it.
        for namespace in [&router, &far] {
            namespace.sysctl("net.ipv4.tcp_retries2", "255");
            drop(namespace.exec("sysctl", &["-qw", "net.ipv4.tcp_rto_max_ms=1000"]));
        }
        let mode = if variant.compat_mode { "1" } else { "0" };
        router.sysctl("net.ipv4.nexthop_compat_mode", mode);
        for link in 0..LINKS {
            let name = plan::interface(link);
            let (ours, theirs) = (addresses(link, 1), addresses(link, 2));
            topology.link(router.end(&name, &ours), far.end(&name, &theirs));
        }
        let world = World {
            graceful: variant.graceful,
            ..World::new()
        };
        let daemon = Holdfast::prepare(&topology, &router, &config(&world));
        let mut stage = Self {
            topology,
            router,
            far,
            daemon,
            sessions: (0..LINKS).map(|_| None).collect(),
            world,
            variant,
            complaint: None,
            shaken: [false; LINKS],
            started: Instant::now(),
        };
        stage.start(variant.graceful, variant.objects);
        stage
    }

    // ===== The daemon =====

    fn start(&mut self, graceful: bool, objects: bool) {
        let mut arguments = vec!["--log-level".to_owned(), "debug".to_owned()];
        if !objects {
            arguments.push("--no-nexthop-objects".to_owned());
        }
        if let Some(octets) = self.variant.netlink_buffer {
            arguments.extend(["--netlink-buffer".to_owned(), octets.to_string()]);
        }
        self.daemon.set_arguments(&arguments);
        self.world.graceful = graceful;
        self.write_config();
        self.daemon.spawn();
        self.world.runs = true;
        self.started = Instant::now();
    }

    fn write_config(&self) {
        let text = config(&self.world);
        std::fs::write(self.daemon.config_file(), text).expect("the configuration's file");
    }

    fn ended(&mut self) {
        self.world.runs = false;
        for speaker in 0..LINKS {
            self.hang_up(speaker, false);
        }
    }

    /// Restarts a daemon that restarts gracefully. Returns the prefixes whose
    /// routes have to stay all the time.
    pub(crate) fn restart(&mut self, stop: bool, objects: bool) -> Option<BTreeSet<IpNet>> {
        if !self.world.runs || !self.world.graceful {
            return None;
        }
        let prefixes = |world: &World| -> BTreeSet<IpNet> {
            let expected = world.expected().into_keys();
            expected
                .filter(|prefix| !world.is_barred(*prefix))
                .collect()
        };
        let before = prefixes(&self.world);
        self.daemon_step(if stop { &Step::Stop } else { &Step::Kill });
        let gone = self.missing(&before);
        assert!(gone.is_empty(), "at the end of the daemon: {gone:?}");
        self.start(true, objects);
        let mut after = self.world.clone();
        for speaker in 0..LINKS {
            after.speakers[speaker].up = after.speakers[speaker].wants && after.may_be_up(speaker);
        }
        Some(before.intersection(&prefixes(&after)).copied().collect())
    }

    /// Prefixes that the kernel has no route of the daemon's for.
    pub(crate) fn missing(&self, kept: &BTreeSet<IpNet>) -> Vec<String> {
        let there = Observed::read(&self.router).prefixes();
        let missing = kept.difference(&there);
        missing
            .map(|prefix| format!("{prefix} was lost by a graceful restart"))
            .collect()
    }

    // ===== Sessions =====

    fn hang_up(&mut self, speaker: usize, cease: bool) {
        self.world.speakers[speaker].up = false;
        if let Some(session) = self.sessions[speaker].take()
            && cease
        {
            session.send(&wire::notification(6, 2));
        }
    }

    /// Sessions that can be up and are not are tried once.
    fn call(&mut self) {
        for speaker in 0..LINKS {
            let wants = self.world.speakers[speaker].wants && self.world.may_be_up(speaker);
            if wants && self.sessions[speaker].is_none() {
                self.call_from(speaker);
            }
        }
    }

    fn call_from(&mut self, speaker: usize) {
        let (local, remote) = plan::session(speaker);
        let (local, remote) = (local.to_string(), remote.to_string());
        let Ok(mut session) = Scripted::connect(&self.far, &local, &remote) else {
            return;
        };
        if session.handshake(&speech::open(speaker)).is_err() {
            return;
        }
        let table = self.world.speakers[speaker].table.iter();
        let mut octets: Vec<u8> = table
            .flat_map(|(prefix, said)| speech::announce(speaker, *prefix, said))
            .collect();
        octets.extend(speech::end_of_rib());
        session.send(&octets);
        self.sessions[speaker] = Some(session);
        self.world.speakers[speaker].up = true;
    }

    /// Notes sessions that the daemon ended.
    fn listen(&mut self) {
        for speaker in 0..LINKS {
            let Some(session) = &self.sessions[speaker] else {
                continue;
            };
            let events = std::iter::from_fn(|| session.next(Duration::ZERO));
            let is_end = |event: &Event| match event {
                Event::Closed => true,
                Event::Message(kind, _) => *kind == wire::NOTIFICATION,
            };
            let end = events.filter(is_end).last();
            match end {
                Some(_) if self.shaken[speaker] => self.hang_up(speaker, false),
                Some(end) => self.complaint = Some(format!("session of {speaker}: {end:?}")),
                None => {}
            }
        }
    }

    /// All is at rest.
    pub(crate) fn rest(&mut self) {
        self.shaken = [false; LINKS];
    }

    /// Whether something may be said on a session, and is heard at once.
    fn can_say(&self, speaker: usize) -> bool {
        self.sessions[speaker].is_none() || self.world.links[speaker].usable()
    }

    fn say(&self, speaker: usize, octets: &[u8]) {
        if let Some(session) = &self.sessions[speaker] {
            session.send(octets);
        }
    }

    /// Sessions that end with their link.
    fn link_lost(&mut self, link: usize) {
        if !plan::is_multihop(link) {
            self.shaken[link] = true;
            self.hang_up(link, false);
        }
    }

    // ===== Steps =====

    /// Carries out a step. Returns whether it was possible.
    pub(crate) fn carry_out(&mut self, step: &Step) -> bool {
        match step {
            Step::Announce(speaker, said) => self.announce(*speaker, said),
            Step::Withdraw(speaker, prefixes) => self.withdraw(*speaker, prefixes),
            Step::Burst(speaker, said) => self.burst(*speaker, said),
            Step::Drop { speaker, cease } => self.drop_session(*speaker, *cease),
            Step::Return(speaker) => {
                !std::mem::replace(&mut self.world.speakers[*speaker].wants, true)
            }
            Step::RouterLink { link, up } => self.router_link(*link, *up),
            Step::FarLink { link, up } => self.far_link(*link, *up),
            Step::Flap { link, far, times } => self.flap(*link, *far, *times),
            Step::Address {
                link,
                v6,
                second,
                there,
            } => self.address((*link, *v6, *second), *there),
            Step::Storm { .. } => self.storm(step),
            Step::Kill | Step::Stop | Step::Start { .. } | Step::Reload { .. } => {
                self.daemon_step(step)
            }
            Step::CompatMode(on) => {
                let mode = if *on { "1" } else { "0" };
                self.router.sysctl("net.ipv4.nexthop_compat_mode", mode);
                true
            }
            _ => self.kernel_step(step),
        }
    }

    /// Steps of somebody with a shell.
    fn kernel_step(&mut self, step: &Step) -> bool {
        let ids = || -> Vec<u64> { Observed::read(&self.router).objects.into_keys().collect() };
        match step {
            Step::DeleteRoutes(prefixes) => self.batch(&deletions(prefixes)),
            Step::FlushRoutes => self.batch(&[
                "-4 route flush proto bgp".to_owned(),
                "-6 route flush proto bgp".to_owned(),
            ]),
            Step::DeleteObjects(numbers) => {
                let ids = ids();
                let id = |n: &usize| ids.get(n % ids.len().max(1));
                let lines = numbers.iter().filter_map(id);
                let lines: Vec<String> = lines.map(|id| format!("nexthop del id {id}")).collect();
                self.batch(&lines)
            }
            Step::FlushObjects => self.batch(&["nexthop flush proto bgp".to_owned()]),
            Step::ReplaceObject { number, words } => {
                let ids = ids();
                let Some(id) = ids.get(number % ids.len().max(1)) else {
                    return false;
                };
                self.router
                    .try_ip(&format!("nexthop replace id {id} {words}"))
                    .is_ok()
            }
            Step::Forge {
                prefix,
                metric,
                hop,
            } => {
                let hops = Foreign {
                    protocol: "bgp",
                    hops: vec![hop.clone()],
                };
                let words = route_words("replace", *prefix, *metric, &hops);
                let free = !self.world.foreign.contains_key(&(*prefix, *metric));
                free && !plan::is_v6(*prefix) && self.router.try_ip(&words).is_ok()
            }
            Step::Foreign {
                verb,
                prefix,
                metric,
                route,
            } => {
                // Only IPv4 takes a second route of the same metric for what it is.
                let second = self.world.foreign.contains_key(&(*prefix, *metric));
                if *verb == "append" && (second || plan::is_v6(*prefix)) {
                    return false;
                }
                let words = route_words(verb, *prefix, *metric, route);
                let done = self.router.try_ip(&words).is_ok();
                if done {
                    let key = (*prefix, *metric);
                    self.world.foreign.insert(key, route.clone());
                }
                done
            }
            Step::DeleteForeign(number) => self.delete_foreign(*number),
            _ => false,
        }
    }

    /// Runs `ip` on lines, whether they succeed or not.
    fn batch(&self, lines: &[String]) -> bool {
        self.batch_in(&self.router, lines)
    }

    fn batch_in(&self, namespace: &Namespace, lines: &[String]) -> bool {
        let file = self.topology.daemon_directory("batch").join("lines");
        std::fs::write(&file, lines.join("\n") + "\n").expect("a file");
        drop(namespace.try_ip(&format!("-force -batch {}", file.display())));
        !lines.is_empty()
    }

    fn announce(&mut self, speaker: usize, said: &[(IpNet, super::model::Announcement)]) -> bool {
        if !self.can_say(speaker) {
            return false;
        }
        let mut octets = Vec::new();
        for (prefix, said) in said {
            octets.extend(speech::announce(speaker, *prefix, said));
            let table = &mut self.world.speakers[speaker].table;
            table.insert(*prefix, said.clone());
        }
        self.say(speaker, &octets);
        true
    }

    fn withdraw(&mut self, speaker: usize, prefixes: &[IpNet]) -> bool {
        if !self.can_say(speaker) {
            return false;
        }
        let octets: Vec<u8> = prefixes.iter().flat_map(|p| speech::withdraw(*p)).collect();
        self.say(speaker, &octets);
        for prefix in prefixes {
            self.world.speakers[speaker].table.remove(prefix);
        }
        true
    }

    fn burst(&mut self, speaker: usize, said: &[(IpNet, super::model::Announcement)]) -> bool {
        let prefixes: Vec<IpNet> = said.iter().map(|(prefix, _)| *prefix).collect();
        let mut done = false;
        for _ in 0..10 {
            done = self.announce(speaker, said) && self.withdraw(speaker, &prefixes);
        }
        done && self.announce(speaker, said)
    }

    fn drop_session(&mut self, speaker: usize, cease: bool) -> bool {
        // On a lost link nobody would hear of it.
        let heard = self.world.links[speaker].usable() || self.sessions[speaker].is_none();
        if heard {
            self.hang_up(speaker, cease);
            self.world.speakers[speaker].wants = false;
        }
        heard
    }

    fn router_link(&mut self, link: usize, up: bool) -> bool {
        if self.world.links[link].up == up {
            return false;
        }
        let name = plan::interface(link);
        if up {
            self.world.links[link].up = true;
            self.world.links[link].addresses[1] = [true; SUBNETS];
            let mut lines = vec![format!("link set {name} up")];
            lines.extend(v6_addresses(link));
            return self.batch(&lines);
        }
        self.router.ip(&format!("link set {name} down"));
        self.world.link_down(link);
        self.link_lost(link);
        true
    }

    fn far_link(&mut self, link: usize, up: bool) -> bool {
        if std::mem::replace(&mut self.world.links[link].far_up, up) == up {
            return false;
        }
        let (name, word) = (plan::interface(link), if up { "up" } else { "down" });
        self.far.ip(&format!("link set {name} {word}"));
        if !up {
            self.link_lost(link);
        }
        true
    }

    fn flap(&mut self, link: usize, far: bool, times: usize) -> bool {
        if !self.world.links[link].usable() {
            return false;
        }
        let name = plan::interface(link);
        let mut lines = Vec::new();
        for _ in 0..times {
            lines.push(format!("link set {name} down"));
            lines.push(format!("link set {name} up"));
        }
        if far {
            self.batch_in(&self.far, &lines);
        } else {
            lines.extend(v6_addresses(link));
            self.batch(&lines);
            self.world.link_down(link);
            self.world.links[link].up = true;
            self.world.links[link].addresses[1] = [true; SUBNETS];
        }
        self.link_lost(link);
        true
    }

    fn address(&mut self, (link, v6, second): (usize, bool, usize), there: bool) -> bool {
        let state = &self.world.links[link];
        if !state.up || state.addresses[usize::from(v6)][second] == there {
            return false;
        }
        let session = v6 == plan::session_is_v6(link) && second == 0;
        if !there && session {
            if !self.drop_session(link, true) {
                return false;
            }
            self.world.speakers[link].wants = true;
        }
        let subnet = plan::subnet(link, v6, second);
        if !there {
            // A route by a gateway that is not on a link any more is something
            // the kernel has only because it was there before.
            let gone = |route: &Foreign| route.hops.iter().any(|h| subnet.contains(&h.gateway));
            let foreign = &self.world.foreign;
            let gone = foreign.iter().filter(|(_, route)| gone(route));
            let keys: Vec<(IpNet, u32)> = gone.map(|(key, _)| *key).collect();
            keys.into_iter().for_each(|key| self.remove_foreign(key));
        }
        let address = plan::host(link, v6, second, 1);
        let (verb, name) = (if there { "add" } else { "del" }, plan::interface(link));
        let length = subnet.prefix_len();
        self.router
            .ip(&format!("addr {verb} {address}/{length} dev {name}"));
        self.world.links[link].addresses[usize::from(v6)][second] = there;
        true
    }

    fn delete_foreign(&mut self, number: usize) -> bool {
        let keys: Vec<(IpNet, u32)> = self.world.foreign.keys().copied().collect();
        let key = keys.get(number % keys.len().max(1)).copied();
        key.map(|key| self.remove_foreign(key)).is_some()
    }

    /// It has to be there.
    fn remove_foreign(&mut self, (prefix, metric): (IpNet, u32)) {
        if let Some(route) = self.world.foreign.remove(&(prefix, metric)) {
            let (family, protocol) = (family(prefix), route.protocol);
            let route = format!("{prefix} metric {metric} proto {protocol}");
            self.router.ip(&format!("{family} route del {route}"));
        }
    }

    fn storm(&mut self, step: &Step) -> bool {
        let Step::Storm {
            frozen,
            routes,
            deleted,
            flap,
        } = step
        else {
            return false;
        };
        let frozen = *frozen && self.world.runs;
        if frozen {
            self.daemon.freeze();
        }
        let storm = |verb: &str| -> Vec<String> {
            let line =
                |n: usize| format!("route {verb} blackhole 100.64.{}.{}/32", n / 256, n % 256);
            (0..*routes).map(|n| line(n) + " proto 97").collect()
        };
        self.batch(&storm("add"));
        self.batch(&deletions(deleted));
        if let Some(link) = flap {
            self.flap(*link, false, 1);
        }
        self.batch(&storm("del"));
        if frozen {
            self.daemon.thaw();
        }
        true
    }

    fn daemon_step(&mut self, step: &Step) -> bool {
        match step {
            Step::Start { graceful, objects } if !self.world.runs => {
                self.start(*graceful, *objects);
            }
            Step::Reload { maximum_paths } => {
                self.world.maximum_paths = *maximum_paths;
                if self.world.runs {
                    let text = config(&self.world);
                    self.wait_for_signals();
                    self.daemon.reload(&text);
                }
            }
            Step::Kill if self.world.runs => {
                self.daemon.kill();
                self.ended();
            }
            Step::Stop if self.world.runs => {
                self.wait_for_signals();
                let before = Observed::read(&self.router);
                let status = self.daemon.stop();
                assert!(status.success(), "bgpd: {status}");
                let after = Observed::read(&self.router);
                let graceful = self.world.graceful;
                assert!(
                    graceful || after.is_clean(),
                    "routes stayed: {before:?} {after:?}"
                );
                self.ended();
            }
            _ => return false,
        }
        true
    }

    /// A daemon that has just begun would be ended by a signal.
    fn wait_for_signals(&self) {
        let what = "bgpd's shell answers";
        crate::harness::wait_until(Duration::from_secs(20), what, || {
            self.daemon.shell(&["show version"]).code == Some(0)
        });
    }

    // ===== The comparison =====

    /// The kernel's state at both ends, for a failure to show.
    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        for namespace in [&self.router, &self.far] {
            for words in [
                "-br addr", "route", "-6 route", "-6 neigh", "neigh", "nexthop",
            ] {
                text += &format!("{}: ip {words}\n", namespace.label());
                text += &namespace.try_ip(words).unwrap_or_else(|error| error);
            }
        }
        text
    }

    /// How long it may take until all is as it should be.
    pub(crate) fn patience(&self) -> Duration {
        let restart = RESTART_TIME.saturating_sub(self.started.elapsed());
        Duration::from_secs(25) + restart
    }

    /// What is not as it should be.
    pub(crate) fn differences(&mut self) -> Vec<String> {
        if !self.world.runs {
            return Vec::new();
        }
        if let Some(status) = self.daemon.process().ended() {
            return vec![format!("bgpd ended: {status}")];
        }
        self.listen();
        self.call();
        let mut found = Observed::read(&self.router).differences(&self.world);
        found.extend(self.complaint.clone());
        for (speaker, state) in self.world.speakers.iter().enumerate() {
            if state.wants && !state.up && self.world.may_be_up(speaker) {
                found.push(format!("session of {speaker} is not up"));
            }
        }
        found
    }
}

impl std::fmt::Debug for Observed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.summary())
    }
}

fn addresses(link: usize, host: u8) -> String {
    let mut all = Vec::new();
    for (v6, length) in [(false, 24), (true, 64)] {
        for second in 0..SUBNETS {
            all.push(format!("{}/{length}", plan::host(link, v6, second, host)));
        }
    }
    all.join(" ")
}

/// They go with the link, and have to be added again.
fn v6_addresses(link: usize) -> Vec<String> {
    let name = plan::interface(link);
    let address = |second| plan::host(link, true, second, 1);
    let line = |second| format!("addr replace {}/64 dev {name}", address(second));
    (0..SUBNETS).map(line).collect()
}

fn family(prefix: IpNet) -> &'static str {
    if plan::is_v6(prefix) { "-6" } else { "-4" }
}

fn deletions(prefixes: &[IpNet]) -> Vec<String> {
    let line = |prefix: &IpNet| format!("{} route del {prefix} proto bgp", family(*prefix));
    prefixes.iter().map(line).collect()
}

fn route_words(verb: &str, prefix: IpNet, metric: u32, route: &Foreign) -> String {
    let kind = if route.hops.is_empty() {
        "blackhole "
    } else {
        ""
    };
    let mut words = format!(
        "{} route {verb} {kind}{prefix} metric {metric} proto {}",
        family(prefix),
        route.protocol
    );
    let many = route.hops.len() > 1;
    for hop in &route.hops {
        if many {
            words += " nexthop";
        }
        words += &format!(" via {} dev {}", hop.gateway, plan::interface(hop.link));
        if many {
            words += &format!(" weight {}", hop.weight);
        }
    }
    words
}

fn config(world: &World) -> String {
    let mut text =
        String::from("router bgp 65000\n bgp router-id 10.0.0.1\n no bgp ebgp-requires-policy\n");
    if world.graceful {
        let seconds = RESTART_TIME.as_secs();
        text += &format!(" bgp graceful-restart\n bgp graceful-restart restart-time {seconds}\n");
    }
    let neighbors: Vec<String> = (0..LINKS)
        .map(|speaker| plan::session(speaker).0.to_string())
        .collect();
    for (speaker, address) in neighbors.iter().enumerate() {
        text += &format!(" neighbor {address} remote-as 65100\n");
        text += &format!(" neighbor {address} timers connect 1\n");
        if plan::is_multihop(speaker) {
            text += &format!(" neighbor {address} ebgp-multihop 2\n");
        }
        if plan::mixes_families(speaker) {
            text += &format!(" neighbor {address} capability extended-nexthop\n");
        }
    }
    for family in ["ipv4", "ipv6"] {
        text += &format!(" address-family {family} unicast\n");
        text += &format!("  maximum-paths {}\n", world.maximum_paths);
        for address in &neighbors {
            text += &format!("  neighbor {address} activate\n");
        }
        text += " exit-address-family\n";
    }
    text + "exit\n"
}
