//! Random routes, lists and route maps.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

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

/// A family of addresses: the same things, written otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V4,
    V6,
}

impl Version {
    /// Both, each with sessions of its own.
    pub(crate) const ALL: &'static [Version] = &[Version::V4, Version::V6];

    /// The address of a host beside a peer: the router is 1, BIRD 2.
    pub(crate) fn host(self, n: usize, host: usize) -> String {
        match self {
            Version::V4 => format!("10.0.{n}.{host}"),
            Version::V6 => format!("2001:db8:{n}::{host}"),
        }
    }

    /// What the router and BIRD call the family.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Version::V4 => "ipv4",
            Version::V6 => "ipv6",
        }
    }

    /// What names of BIRD's sessions and tables end with, before the number.
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Version::V4 => "",
            Version::V6 => "six",
        }
    }

    /// In the router's lines about prefixes and next hops.
    fn keyword(self) -> &'static str {
        match self {
            Version::V4 => "ip",
            Version::V6 => "ipv6",
        }
    }

    /// Before `access-list`.
    fn access(self) -> &'static str {
        match self {
            Version::V4 => "",
            Version::V6 => "ipv6 ",
        }
    }

    fn bits(self) -> usize {
        match self {
            Version::V4 => 32,
            Version::V6 => 128,
        }
    }
}

/// BIRD's session with a table of its own, which announces these static routes
/// through a filter: `all`, or its statements in braces.
pub(crate) fn bird_session(
    version: Version,
    n: usize,
    asn: usize,
    routes: &str,
    filter: &str,
) -> String {
    let (word, mark) = (version.word(), version.mark());
    let (here, there) = (version.host(n, 2), version.host(n, 1));
    format!(
        "{word} table t{mark}{n};
protocol static s{mark}{n} {{ {word} {{ table t{mark}{n}; }};\n{routes}}}
protocol bgp p{mark}{n} {{
  local {here} as {asn};
  neighbor {there} as 65000;
  graceful restart on;
  connect retry time 1;
  connect delay time 1;
  error wait time 1, 2;
  {word} {{
    table t{mark}{n};
    import all;
    export filter {{ if source != RTS_STATIC then reject; {filter} accept; }};
  }};
}}
"
    )
}

/// Everything that both routers and BIRD read.
pub(crate) struct Scene {
    halves: Vec<Half>,
}

/// What there is of one family.
struct Half {
    version: Version,
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
    version: Version,
}

impl Scene {
    pub(crate) fn new(random: &mut Random) -> Scene {
        let halves = Version::ALL.iter().map(|&version| {
            let random = &mut *random;
            Writer { random, version }.half()
        });
        Scene {
            halves: halves.collect(),
        }
    }

    /// The configuration of the router.
    pub(crate) fn router(&self) -> String {
        let mut text = "frr version 8.4.4\nhostname router\n".to_owned();
        text.extend(self.halves.iter().map(|half| half.lists.as_str()));
        text += "router bgp 65000\n bgp router-id 10.0.0.1\n bgp bestpath compare-routerid\n";
        let peers = || (1..=PEERS).flat_map(|n| self.halves.iter().map(move |half| (n, half)));
        for (n, half) in peers() {
            let (neighbor, asn) = (half.version.host(n, 2), peer_as(n));
            let _ = writeln!(text, " neighbor {neighbor} remote-as {asn}");
            let _ = writeln!(text, " neighbor {neighbor} timers connect 1");
        }
        for half in &self.halves {
            let _ = writeln!(text, " address-family {} unicast", half.version.word());
            for (n, other) in peers() {
                let neighbor = other.version.host(n, 2);
                let no = match other.version == half.version {
                    true => "",
                    false => "no ",
                };
                let _ = writeln!(text, "  {no}neighbor {neighbor} activate");
            }
            text += &half.neighbors;
            text += " exit-address-family\n";
        }
        text += "exit\n";
        text.extend(self.halves.iter().map(|half| half.maps.as_str()));
        text
    }

    /// BIRD's: every session announces all routes of its family.
    pub(crate) fn bird(&self) -> String {
        let mut text = "router id 10.0.1.2;\n".to_owned();
        for half in &self.halves {
            let dress = format!("dress{}()", half.version.mark());
            let _ = writeln!(text, "function {dress} {{");
            for (prefix, attributes) in &half.routes {
                let _ = writeln!(text, "  if net = {prefix} then {{ {attributes} }}");
            }
            text += "}\n";
            let routes = half.routes.iter();
            let routes: String = routes
                .map(|(prefix, _)| format!("route {prefix} blackhole;\n"))
                .collect();
            let filter = format!("{dress};");
            for n in 1..=PEERS {
                text += &bird_session(half.version, n, peer_as(n), &routes, &filter);
            }
        }
        text
    }
}

impl Writer<'_> {
    fn half(&mut self) -> Half {
        let mut routes: Vec<(String, String)> = Vec::new();
        while routes.len() < ROUTES {
            let prefix = self.prefix();
            if routes.iter().all(|(known, _)| *known != prefix) {
                let attributes = self.attributes();
                routes.push((prefix, attributes));
            }
        }
        Half {
            version: self.version,
            routes,
            lists: self.lists(),
            maps: self.maps(),
            neighbors: self.neighbors(),
        }
    }

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
        match self.version {
            Version::V4 => {
                let length = self.pick(&[8usize, 16, 20, 22, 24, 24, 24, 26, 28, 32]);
                let bits: u32 = (20 + self.below(4) as u32) << 24
                    | (self.below(4) as u32) << 16
                    | (self.below(8) as u32) << 13
                    | (self.below(256) as u32);
                let mask = u32::MAX << (32 - length);
                format!("{}/{length}", Ipv4Addr::from_bits(bits & mask))
            }
            Version::V6 => {
                let length = self.pick(&[16usize, 32, 36, 40, 48, 48, 48, 52, 64, 128]);
                let bits: u128 = (0x2a00 + self.below(4) as u128) << 112
                    | (self.below(4) as u128) << 96
                    | (self.below(8) as u128) << 93
                    | (self.below(4) as u128) << 80
                    | (self.below(256) as u128);
                let mask = u128::MAX << (128 - length);
                format!("{}/{length}", Ipv6Addr::from_bits(bits & mask))
            }
        }
    }

    /// What next hops of IPv6 are in.
    fn hops(&mut self) -> String {
        let n = 1 + self.below(PEERS);
        match self.below(6) {
            0 => "fe80::/10".to_owned(),
            1 => "2001:db8::/32".to_owned(),
            2 => format!("2001:db8:{n}::2/128"),
            3 => format!("2001:db8:{n}::50/124"),
            _ => format!("2001:db8:{n}::/64"),
        }
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
        // Without the link-local one, and a third party's for some peers.
        if self.version == Version::V6 && self.one_in(3) {
            let n = 1 + self.below(PEERS);
            let _ = write!(text, " bgp_next_hop = {};", self.version.host(n, 55));
        }
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
            self.address_lists(&mut text, list);
            match self.version {
                Version::V4 => self.attribute_lists(&mut text, list),
                Version::V6 => self.hop_lists(&mut text, list),
            }
        }
        text
    }

    fn address_lists(&mut self, text: &mut String, list: usize) {
        let (keyword, access) = (self.version.keyword(), self.version.access());
        let bits = self.version.bits();
        for seq in 1..=1 + self.below(4) {
            let (action, prefix) = (self.action(), self.prefix());
            let length: usize = prefix
                .split('/')
                .nth(1)
                .and_then(|l| l.parse().ok())
                .unwrap();
            let range = match self.below(4) {
                0 if length < bits => format!(" ge {}", length + 1 + self.below(bits - length)),
                1 if length < bits => format!(" le {}", length + 1 + self.below(bits - length)),
                2 if length < bits - 2 => format!(" ge {} le {}", length + 1, length + 2),
                _ => String::new(),
            };
            let what = match self.one_in(6) {
                true => "any".to_owned(),
                false => format!("{prefix}{range}"),
            };
            let _ = writeln!(
                text,
                "{keyword} prefix-list P{list} seq {} {action} {what}",
                seq * 5
            );
            let exact = if self.one_in(3) { " exact-match" } else { "" };
            let prefix = self.prefix();
            let _ = writeln!(
                text,
                "{access}access-list A{list} seq {} {action} {prefix}{exact}",
                seq * 5
            );
        }
    }

    /// What both families ask for.
    fn attribute_lists(&mut self, text: &mut String, list: usize) {
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

    fn hop_lists(&mut self, text: &mut String, list: usize) {
        for seq in 1..=1 + self.below(3) {
            let (action, hops) = (self.action(), self.hops());
            let range = if hops.ends_with("/128") {
                ""
            } else {
                " le 128"
            };
            let _ = writeln!(
                text,
                "ipv6 prefix-list N{list} seq {seq} {action} {hops}{range}"
            );
            let (action, hops) = (self.action(), self.hops());
            let _ = writeln!(text, "ipv6 access-list M{list} seq {seq} {action} {hops}");
        }
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
        let mark = self.version.mark();
        for n in 0..CALLED {
            self.map(&mut text, &format!("CALLED{mark}{n}"), None);
        }
        for n in 1..=PEERS {
            self.map(&mut text, &format!("IN{mark}{n}"), Some(CALLED));
            self.map(&mut text, &format!("OUT{mark}{n}"), Some(CALLED));
        }
        text
    }

    /// In the name of a route map of this family, once in `n` times of the other.
    fn map_mark(&mut self, n: usize) -> &'static str {
        match self.version == Version::V6 && !self.one_in(n) {
            true => self.version.mark(),
            false => Version::V4.mark(),
        }
    }

    fn map(&mut self, text: &mut String, name: &str, called: Option<usize>) {
        let entries = 1 + self.below(4);
        for entry in 1..=entries {
            let action = if self.one_in(5) { "deny" } else { "permit" };
            let _ = writeln!(text, "route-map {name} {action} {}", entry * 10);
            for line in self.matches(name) {
                let _ = writeln!(text, " match {line}");
            }
            if action == "permit" {
                for line in self.sets() {
                    let _ = writeln!(text, " set {line}");
                }
                if let Some(called) = called.filter(|_| self.one_in(4)) {
                    let n = self.below(called);
                    let mark = self.map_mark(4);
                    let _ = writeln!(text, " call CALLED{mark}{n}");
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
    fn matches(&mut self, map: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let mut used = Vec::new();
        for _ in 0..self.below(3) {
            let kind = self.below(match self.version {
                Version::V4 => 15,
                Version::V6 => 22,
            });
            if used.contains(&kind) {
                continue;
            }
            used.push(kind);
            let list = self.below(LISTS);
            let keyword = self.version.keyword();
            lines.push(match kind {
                0 | 1 => format!("{keyword} address prefix-list P{list}"),
                2 => format!("{keyword} address A{list}"),
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
                11 => format!("{keyword} next-hop prefix-list P{list}"),
                12 => {
                    // No receiver of a route is one to FRR.
                    let host = if map.starts_with("IN") { 2 } else { 3 };
                    format!("peer {}", self.version.host(1 + self.below(PEERS), host))
                }
                13 => format!("local-preference {}", self.pick(&[100, 150, 200])),
                14 if self.version == Version::V4 => "ip next-hop address 10.0.1.2".to_owned(),
                14 | 15 => format!("ipv6 next-hop prefix-list N{list}"),
                16 | 17 => format!("ipv6 next-hop M{list}"),
                18 => "ipv6 next-hop address 2001:db8:1::2".to_owned(),
                19 => "ipv6 next-hop address fe80::2".to_owned(),
                20 => format!("ip address prefix-list P{list}"),
                _ => format!("ip next-hop prefix-list P{list}"),
            });
        }
        // One about communities, one about prefixes' addresses.
        let mut kinds = Vec::new();
        lines.retain(|line| {
            let kind = match line.as_str() {
                line if line.contains(" address prefix-list") => "prefix-list",
                line if line.starts_with("ip address") => "access",
                line if line.starts_with("ipv6 address") => "access",
                line if line.contains("next-hop prefix-list") => "hop prefix-list",
                line if line.contains("next-hop address") => "hop address",
                line if line.contains("next-hop") => "hop access",
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
            let kind = self.below(match self.version {
                Version::V4 => 14,
                Version::V6 => 18,
            });
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
                12 => {
                    let address = self.version.host(1 + self.below(PEERS), 77);
                    match self.version {
                        Version::V4 => format!("ip next-hop {address}"),
                        Version::V6 => format!("ipv6 next-hop global {address}"),
                    }
                }
                13 => "atomic-aggregate".to_owned(),
                14 => format!("ipv6 next-hop global {}", self.version.host(1, 77)),
                15 => "ipv6 next-hop local fe80::77".to_owned(),
                16 => "ipv6 next-hop peer-address".to_owned(),
                _ => "ipv6 next-hop prefer-global".to_owned(),
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
            let neighbor = self.version.host(n, 2);
            for (way, word) in [("in", "IN"), ("out", "OUT")] {
                let mark = self.map_mark(8);
                let _ = writeln!(
                    text,
                    "  neighbor {neighbor} route-map {word}{mark}{n} {way}"
                );
                let list = self.below(LISTS);
                match self.below(6) {
                    0 => drop(writeln!(
                        text,
                        "  neighbor {neighbor} prefix-list P{list} {way}"
                    )),
                    1 => drop(writeln!(
                        text,
                        "  neighbor {neighbor} filter-list S{list} {way}"
                    )),
                    2 => drop(writeln!(
                        text,
                        "  neighbor {neighbor} distribute-list A{list} {way}"
                    )),
                    _ => {}
                }
            }
        }
        text
    }
}
