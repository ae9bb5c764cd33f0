//! Random routes, lists and route maps.

use std::fmt::Write;

use super::random::Random;

/// Sessions of BIRD's.
pub(crate) const PEERS: usize = 8;
const ROUTES: usize = 40;
const LISTS: usize = 4;
/// Route maps that others call.
const CALLED: usize = 3;

/// The AS of a peer.
pub(crate) fn peer_as(n: usize) -> usize {
    65_100 + n
}

/// BIRD's session with a table of its own, which announces these static routes
/// through a filter: `all`, or its statements in braces.
pub(crate) fn bird_session(n: usize, asn: usize, routes: &str, filter: &str) -> String {
    format!(
        "ipv4 table t{n};
protocol static s{n} {{ ipv4 {{ table t{n}; }};\n{routes}}}
protocol bgp p{n} {{
  local 10.0.{n}.2 as {asn};
  neighbor 10.0.{n}.1 as 65000;
  graceful restart on;
  connect retry time 1;
  connect delay time 1;
  error wait time 1, 2;
  ipv4 {{
    table t{n};
    import all;
    export filter {{ if source != RTS_STATIC then reject; {filter} accept; }};
    next hop self;
  }};
}}
"
    )
}

/// Everything that both routers and BIRD read.
pub(crate) struct Scene {
    /// Prefixes, and what BIRD's filter does to them.
    routes: Vec<(String, String)>,
    lists: String,
    maps: String,
    neighbors: String,
}

const ASNS: [u32; 6] = [64_500, 64_501, 64_502, 3_356, 174, 4_200_000_001];
const COMMUNITIES: [&str; 6] = [
    "65001:1",
    "65001:2",
    "65002:1",
    "3356:70",
    "no-export",
    "1:1",
];

struct Writer<'r> {
    random: &'r mut Random,
}

impl Scene {
    pub(crate) fn new(random: &mut Random) -> Scene {
        let mut writer = Writer { random };
        let mut routes: Vec<(String, String)> = Vec::new();
        while routes.len() < ROUTES {
            let prefix = writer.prefix();
            if routes.iter().all(|(known, _)| *known != prefix) {
                let attributes = writer.attributes();
                routes.push((prefix, attributes));
            }
        }
        let lists = writer.lists();
        let maps = writer.maps();
        let neighbors = writer.neighbors();
        Scene {
            routes,
            lists,
            maps,
            neighbors,
        }
    }

    /// The configuration of the router.
    pub(crate) fn router(&self) -> String {
        let mut text = format!("frr version 8.4.4\nhostname router\n{}", self.lists);
        text += "router bgp 65000\n bgp router-id 10.0.0.1\n bgp bestpath compare-routerid\n";
        for n in 1..=PEERS {
            let asn = peer_as(n);
            let _ = writeln!(text, " neighbor 10.0.{n}.2 remote-as {asn}");
            let _ = writeln!(text, " neighbor 10.0.{n}.2 timers connect 1");
        }
        let neighbors = &self.neighbors;
        let _ = write!(
            text,
            " address-family ipv4 unicast\n{neighbors} exit-address-family\nexit\n"
        );
        text + &self.maps
    }

    /// BIRD's: every session announces all routes.
    pub(crate) fn bird(&self) -> String {
        let mut text = "router id 10.0.1.2;\nfunction dress() {\n".to_owned();
        for (prefix, attributes) in &self.routes {
            let _ = writeln!(text, "  if net = {prefix} then {{ {attributes} }}");
        }
        text += "}\n";
        let routes = self.routes.iter();
        let routes: String = routes
            .map(|(prefix, _)| format!("route {prefix} blackhole;\n"))
            .collect();
        for n in 1..=PEERS {
            text += &bird_session(n, peer_as(n), &routes, "dress();");
        }
        text
    }
}

impl Writer<'_> {
    fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound)
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.random.once_in(n)
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        self.random.pick(list)
    }

    fn prefix(&mut self) -> String {
        let length = self.pick(&[8usize, 16, 20, 22, 24, 24, 24, 26, 28, 32]);
        let bits: u32 = (20 + self.below(4) as u32) << 24
            | (self.below(4) as u32) << 16
            | (self.below(8) as u32) << 13
            | (self.below(256) as u32);
        let mask = u32::MAX << (32 - length);
        format!("{}/{length}", std::net::Ipv4Addr::from_bits(bits & mask))
    }

    /// Statements of BIRD's filter language.
    fn attributes(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.below(4) {
            let asn = self.pick(&ASNS);
            let _ = write!(text, "bgp_path.prepend({asn}); ");
        }
        for _ in 0..self.below(4) {
            let (a, b) = (self.pick(&[65_001, 65_002, 3_356]), self.pick(&[1, 2, 70]));
            let _ = write!(text, "bgp_community.add(({a},{b})); ");
        }
        for _ in 0..self.below(3) {
            let (a, b) = (self.pick(&[65_001, 65_002]), self.below(3));
            let _ = write!(text, "bgp_large_community.add(({a},{b},7)); ");
        }
        if self.one_in(3) {
            let n = self.below(3);
            let _ = write!(text, "bgp_ext_community.add((rt,65001,{n})); ");
        }
        if self.random.coin() {
            let metric = self.pick(&[0, 5, 10, 100]);
            let _ = write!(text, "bgp_med = {metric}; ");
        }
        let origin = self.pick(&["ORIGIN_IGP", "ORIGIN_EGP", "ORIGIN_INCOMPLETE"]);
        let _ = write!(text, "bgp_origin = {origin};");
        text
    }

    fn action(&mut self) -> &'static str {
        match self.below(4) {
            0 => "deny",
            _ => "permit",
        }
    }

    fn lists(&mut self) -> String {
        let mut text = String::new();
        for list in 0..LISTS {
            for seq in 1..=1 + self.below(4) {
                let (action, prefix) = (self.action(), self.prefix());
                let length: usize = prefix
                    .split('/')
                    .nth(1)
                    .and_then(|l| l.parse().ok())
                    .unwrap();
                let range = match self.below(4) {
                    0 if length < 32 => format!(" ge {}", length + 1 + self.below(32 - length)),
                    1 if length < 32 => format!(" le {}", length + 1 + self.below(32 - length)),
                    2 if length < 30 => format!(" ge {} le {}", length + 1, length + 2),
                    _ => String::new(),
                };
                let what = match self.one_in(6) {
                    true => "any".to_owned(),
                    false => format!("{prefix}{range}"),
                };
                let _ = writeln!(
                    text,
                    "ip prefix-list P{list} seq {} {action} {what}",
                    seq * 5
                );
                let exact = if self.one_in(3) { " exact-match" } else { "" };
                let prefix = self.prefix();
                let _ = writeln!(
                    text,
                    "access-list A{list} seq {} {action} {prefix}{exact}",
                    seq * 5
                );
            }
            for seq in 1..=1 + self.below(3) {
                let action = self.action();
                let regex = self.path_regex();
                let _ = writeln!(
                    text,
                    "bgp as-path access-list S{list} seq {seq} {action} {regex}"
                );
                let (a, b) = (self.pick(&COMMUNITIES), self.pick(&COMMUNITIES));
                let both = if self.one_in(3) && a != b {
                    format!("{a} {b}")
                } else {
                    a.to_owned()
                };
                let action = self.action();
                let _ = writeln!(
                    text,
                    "bgp community-list standard C{list} seq {seq} {action} {both}"
                );
                let regex = self.pick(&[
                    "65001:.",
                    "_65001:1_",
                    "^65001:1$",
                    "3356:70",
                    ".*",
                    "^$",
                    "65001:[12] 65002:1",
                ]);
                let action = self.action();
                let _ = writeln!(
                    text,
                    "bgp community-list expanded X{list} seq {seq} {action} {regex}"
                );
                let (a, b) = (self.pick(&[65_001, 65_002]), self.below(3));
                let action = self.action();
                let _ = writeln!(
                    text,
                    "bgp large-community-list standard L{list} seq {seq} {action} {a}:{b}:7"
                );
                let action = self.action();
                let n = self.below(3);
                let _ = writeln!(
                    text,
                    "bgp extcommunity-list standard E{list} seq {seq} {action} rt 65001:{n}"
                );
            }
        }
        text
    }

    fn path_regex(&mut self) -> String {
        let (a, b) = (self.pick(&ASNS), self.pick(&ASNS));
        match self.below(9) {
            0 => format!("_{a}_"),
            1 => format!("^{a}_"),
            2 => format!("_{a}$"),
            3 => format!("{a} {b}"),
            4 => format!("^[0-9]+_{a}"),
            5 => format!("({a}|{b})"),
            6 => "^[0-9]+$".to_owned(),
            7 => "^651.. [0-9]+$".to_owned(),
            _ => ".*".to_owned(),
        }
    }

    fn maps(&mut self) -> String {
        let mut text = String::new();
        for n in 0..CALLED {
            self.map(&mut text, &format!("CALLED{n}"), None);
        }
        for n in 1..=PEERS {
            self.map(&mut text, &format!("IN{n}"), Some(CALLED));
            self.map(&mut text, &format!("OUT{n}"), Some(CALLED));
        }
        text
    }

    fn map(&mut self, text: &mut String, name: &str, called: Option<usize>) {
        let entries = 1 + self.below(4);
        for entry in 1..=entries {
            let action = if self.one_in(5) { "deny" } else { "permit" };
            let _ = writeln!(text, "route-map {name} {action} {}", entry * 10);
            for line in self.matches() {
                let _ = writeln!(text, " match {line}");
            }
            if action == "permit" {
                for line in self.sets() {
                    let _ = writeln!(text, " set {line}");
                }
                if let Some(called) = called.filter(|_| self.one_in(4)) {
                    let _ = writeln!(text, " call CALLED{}", self.below(called));
                }
                match self.below(6) {
                    0 => *text += " on-match next\n",
                    1 => {
                        let to = (entry + 1 + self.below(2)) * 10;
                        let _ = writeln!(text, " on-match goto {to}");
                    }
                    _ => {}
                }
            }
            *text += "exit\n";
        }
        // Most maps let the rest pass.
        if !self.one_in(4) {
            let _ = writeln!(text, "route-map {name} permit 100\nexit");
        }
    }

    /// Lines of different kinds: a second one of a kind takes the first one's place.
    fn matches(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut used = Vec::new();
        for _ in 0..self.below(3) {
            let kind = self.below(15);
            if used.contains(&kind) {
                continue;
            }
            used.push(kind);
            let list = self.below(LISTS);
            lines.push(match kind {
                0 | 1 => format!("ip address prefix-list P{list}"),
                2 => format!("ip address A{list}"),
                3 => format!("as-path S{}", self.below(LISTS)),
                4 => format!("as-path S{list}"),
                5 => {
                    let how = self.pick(&["", " exact-match"]);
                    format!("community C{list}{how}")
                }
                6 => format!("community X{list}"),
                7 => format!("large-community L{list}"),
                8 => format!("extcommunity E{list}"),
                9 => format!("metric {}", self.pick(&[5, 10, 100])),
                10 => format!("origin {}", self.pick(&["igp", "egp", "incomplete"])),
                11 => format!("ip next-hop prefix-list P{list}"),
                12 => format!("peer 10.0.{}.2", 1 + self.below(PEERS)),
                13 => format!("local-preference {}", self.pick(&[100, 150, 200])),
                _ => "ip next-hop address 10.0.1.2".to_owned(),
            });
        }
        // One about communities, one about prefixes' addresses.
        let mut kinds = Vec::new();
        lines.retain(|line| {
            let kind = match line.as_str() {
                line if line.starts_with("ip address prefix-list") => "prefix-list",
                line if line.starts_with("ip address prefix-len") => "prefix-len",
                line if line.starts_with("ip address") => "access",
                line if line.starts_with("community") => "community",
                line => line.split(' ').next().unwrap_or_default(),
            }
            .to_owned();
            let new = !kinds.contains(&kind);
            kinds.push(kind);
            new
        });
        lines
    }

    fn sets(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut used = Vec::new();
        for _ in 0..self.below(4) {
            let kind = self.below(14);
            if used.contains(&kind) {
                continue;
            }
            used.push(kind);
            lines.push(match kind {
                0 => {
                    let by = self.pick(&["", "+", "-"]);
                    format!("local-preference {by}{}", self.pick(&[50, 150, 200]))
                }
                1 => {
                    let by = self.pick(&["", "+", "-"]);
                    format!("metric {by}{}", self.pick(&[3, 7, 20]))
                }
                2 => format!("weight {}", self.pick(&[0, 10, 500])),
                3 => format!("origin {}", self.pick(&["igp", "egp", "incomplete"])),
                4 => match self.one_in(3) {
                    true => format!("as-path prepend last-as {}", 1 + self.below(2)),
                    false => format!("as-path prepend {} {}", self.pick(&ASNS), self.pick(&ASNS)),
                },
                5 => format!("as-path exclude {}", self.pick(&ASNS)),
                6 => {
                    let how = self.pick(&["", " additive"]);
                    format!(
                        "community {}{how}",
                        self.pick(&["65009:9", "65009:9 65001:1", "no-export 1:2"])
                    )
                }
                7 => "community none".to_owned(),
                8 => format!("comm-list {} delete", self.pick(&["C0", "C1", "X2"])),
                9 => {
                    let how = self.pick(&["", " additive"]);
                    format!("large-community 65009:1:2{how}")
                }
                10 => format!("large-comm-list L{} delete", self.below(LISTS)),
                11 => format!("extcommunity rt 65009:{}", self.below(3)),
                // Never a peer's own: FRR would tell it so.
                12 => format!("ip next-hop 10.0.{}.77", 1 + self.below(PEERS)),
                _ => "atomic-aggregate".to_owned(),
            });
        }
        // `community none` and `community ...` are one clause.
        if lines.iter().any(|line| line == "community none") {
            lines.retain(|line| line == "community none" || !line.starts_with("community"));
        }
        lines
    }

    fn neighbors(&mut self) -> String {
        let mut text = String::new();
        for n in 1..=PEERS {
            for (way, word) in [("in", "IN"), ("out", "OUT")] {
                let _ = writeln!(text, "  neighbor 10.0.{n}.2 route-map {word}{n} {way}");
                let list = self.below(LISTS);
                match self.below(6) {
                    0 => drop(writeln!(
                        text,
                        "  neighbor 10.0.{n}.2 prefix-list P{list} {way}"
                    )),
                    1 => drop(writeln!(
                        text,
                        "  neighbor 10.0.{n}.2 filter-list S{list} {way}"
                    )),
                    2 => drop(writeln!(
                        text,
                        "  neighbor 10.0.{n}.2 distribute-list A{list} {way}"
                    )),
                    _ => {}
                }
            }
        }
        text
    }
}
