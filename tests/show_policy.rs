//! What the shell shows of policy, held against FRR: the same policies, and
//! BIRD announcing the same routes, twice.
//!
//! ```text
//!  BIRD 10.0.1.2 (AS 65001), 10.0.2.2 (AS 65002) --- router 10.0.1.1, 10.0.2.1 (AS 65000)
//!                 10.0.3.9 (nobody listens)
//! ```
//!
//! FRR answers for zebra and for bgpd, this daemon for BGP alone: what zebra
//! says is taken out before answers are compared. `HOLDFAST_SHOW_DIR` names a
//! directory to write all answers to.

#[path = "show/compare.rs"]
mod compare;
#[path = "show/comparison.rs"]
mod comparison;
#[path = "show_policy/explained.rs"]
mod explained;
mod harness;
#[path = "show/text.rs"]
mod text;

use std::path::PathBuf;
use std::process::ExitStatus;

use comparison::Comparison;
use harness::router::Answer;
use harness::{Bird, Frr, Holdfast, Namespace, Router, SOON, Topology, need, wait_for};

const CONFIG: &str = "frr version 8.4.4
frr defaults traditional
hostname HOST
!
ip prefix-list P4 description The four
ip prefix-list P4 seq 5 permit 10.0.0.0/8 ge 16 le 24
ip prefix-list P4 seq 10 deny 10.1.0.0/16 le 32
ip prefix-list P4 seq 15 permit any
ip prefix-list Q4 seq 7 permit 198.51.100.0/24
ipv6 prefix-list P6 seq 5 permit 2001:db8::/32 ge 48
ipv6 prefix-list P6 seq 10 deny any
access-list 10 seq 5 permit 10.1.1.1 0.0.0.0
access-list 10 seq 10 permit 10.0.0.0 0.0.255.255
access-list 10 seq 15 permit any
access-list 110 seq 5 permit ip 10.0.0.0 0.255.255.255 255.255.0.0 0.0.255.255
access-list 110 seq 10 deny ip any host 255.255.255.0
access-list AL seq 5 permit 10.0.0.0/8
access-list AL seq 10 deny 10.1.0.0/16 exact-match
ipv6 access-list AL6 seq 5 permit 2001:db8::/32 exact-match
ipv6 access-list AL6 seq 10 deny any
bgp as-path access-list AP seq 5 permit _65001$
bgp as-path access-list AP seq 10 deny .*
bgp as-path access-list ANY seq 5 permit .*
bgp community-list 1 seq 5 permit 65001:1 65001:2
bgp community-list standard CS seq 5 permit 65001:1 no-export
bgp community-list standard CS seq 10 deny internet
bgp community-list standard C2 seq 5 permit 65001:2
bgp community-list expanded CE seq 5 permit 65001:2
bgp large-community-list 2 seq 5 deny 65001:1:2
bgp large-community-list expanded LE seq 5 permit 65001:.*
bgp large-community-list standard LS seq 5 permit 65001:1:1
bgp extcommunity-list 3 seq 5 permit soo 65001:9
bgp extcommunity-list expanded EE seq 5 permit RT:.*
bgp extcommunity-list standard ES seq 5 permit rt 65001:7
bgp community alias 65001:1:1 green
!
route-map SUB permit 10
 match as-path AP
 set weight 7
exit
route-map IN permit 5
 description first of them
 match ip address prefix-list Q4
 match metric 7
 set local-preference 300
 on-match next
exit
route-map IN deny 10
 match community CS
exit
route-map IN permit 20
 match ip address prefix-list P4
 call SUB
 set community 65000:5 additive
 set metric +5
 continue 40
exit
route-map IN permit 40
 set local-preference 150
exit
route-map IN2 permit 10
 match ip address prefix-list P4
 set local-preference 120
exit
route-map OUT permit 10
 set metric 99
exit
!
router bgp 65000
 bgp router-id 10.9.9.1
 neighbor 10.0.1.2 remote-as 65001
 neighbor 10.0.2.2 remote-as 65002
 neighbor 10.0.3.9 remote-as 65009
 address-family ipv4 unicast
  neighbor 10.0.1.2 soft-reconfiguration inbound
  neighbor 10.0.1.2 distribute-list AL out
  neighbor 10.0.1.2 prefix-list P4 in
  neighbor 10.0.1.2 filter-list AP in
  neighbor 10.0.1.2 filter-list ANY out
  neighbor 10.0.1.2 route-map IN in
  neighbor 10.0.1.2 route-map OUT out
  neighbor 10.0.2.2 soft-reconfiguration inbound
  neighbor 10.0.2.2 route-map IN2 in
  neighbor 10.0.2.2 route-map OUT out
  neighbor 10.0.3.9 distribute-list NOPE in
  neighbor 10.0.3.9 prefix-list NOPE out
  neighbor 10.0.3.9 route-map OUT out
  neighbor 10.0.3.9 unsuppress-map NOPE
 exit-address-family
exit
!
end
";

const BIRD: &str = "router id 10.9.9.2;
protocol static s1 {
  ipv4;
  route 10.1.0.0/16 blackhole;
  route 10.2.0.0/20 blackhole;
  route 10.2.16.0/20 blackhole;
  route 198.51.100.0/24 blackhole;
  route 203.0.113.0/24 blackhole;
  route 203.0.113.0/25 blackhole;
}
function dress() {
  if net = 10.2.0.0/20 then {
    bgp_community.add((65001, 1));
    bgp_community.add((65535, 65281));
    return true;
  }
  if net = 203.0.113.0/25 then {
    bgp_community.add((65001, 1));
    bgp_large_community.add((65001, 1, 1));
    return true;
  }
  bgp_community.add((65001, 2));
  bgp_med = 7;
  return true;
}
template bgp peer {
  graceful restart on;
  connect retry time 1;
  connect delay time 1;
  error wait time 1, 2;
}
protocol bgp p1 from peer {
  local 10.0.1.2 as 65001;
  neighbor 10.0.1.1 as 65000;
  ipv4 { import all; export filter {
    if source != RTS_STATIC then reject;
    dress();
    accept;
  }; };
}
protocol bgp p2 from peer {
  local 10.0.2.2 as 65002;
  neighbor 10.0.2.1 as 65000;
  ipv4 { import all; export filter {
    if source != RTS_STATIC then reject;
    if net = 203.0.113.0/24 then reject;
    bgp_path.prepend(64999);
    accept;
  }; };
}
";

/// The network once.
pub(crate) struct Network<R> {
    pub(crate) router: R,
    _bird: Bird,
    _topology: Topology,
}

impl<R: Router> Network<R> {
    pub(crate) fn start(start: impl Fn(&Topology, &Namespace, &str) -> R) -> Self {
        let host = nix::unistd::gethostname().expect("the host's name");
        let config = CONFIG.replace("HOST", &host.to_string_lossy());
        let topology = Topology::new();
        let (here, there) = (topology.namespace("router"), topology.namespace("peers"));
        // Link-local addresses would be shown, and are others each time.
        here.sysctl("net.ipv6.conf.default.addr_gen_mode", "1");
        topology.link(
            there.end("eth0", "10.0.1.2/24 10.0.2.2/24"),
            here.end("eth1", "10.0.1.1/24 10.0.2.1/24"),
        );
        let nobody = topology.namespace("nobody");
        topology.link(
            nobody.end("eth0", "10.0.3.9/24"),
            here.end("eth2", "10.0.3.1/24"),
        );
        let router = start(&topology, &here, &config);
        let bird = Bird::start(&topology, &there, BIRD);
        let network = Self {
            router,
            _bird: bird,
            _topology: topology,
        };
        network.settle();
        network
    }

    /// Waits until everything was said in both directions.
    fn settle(&self) {
        for neighbor in ["10.0.1.2", "10.0.2.2"] {
            wait_for(SOON, &format!("End-of-RIB with {neighbor}"), || {
                let info = self.router.neighbor(neighbor)["gracefulRestartInfo"].clone();
                let family = "ipv4Unicast";
                match info["endOfRibSend"][family] == true && info["endOfRibRecv"][family] == true {
                    true => Ok(()),
                    false => Err(info.to_string()),
                }
            });
        }
        self.router.wait_paths("10.1.0.0/16", 2);
        wait_for(SOON, "routes that are reached", || {
            match self.router.prefix_count("ipv4") {
                6 => Ok(()),
                other => Err(other.to_string()),
            }
        });
    }
}

/// FRR without what zebra says.
struct BgpPart(Frr);

/// The part of a text that bgpd wrote.
fn bgp_part(command: &str, text: &str) -> String {
    let is_search = command.contains("prefix-list ") && !text.contains("BGP:");
    let lines: Vec<&str> = text.lines().collect();
    if command.ends_with("json") && command.starts_with("show ") {
        // Two documents, one after the other.
        let second = text.find("}\n{").map(|at| at + 2);
        return second.map_or(text, |at| &text[at..]).to_owned();
    }
    if is_search && lines.len() > 1 && lines.len().is_multiple_of(2) {
        let half: Vec<&str> = lines[lines.len() / 2..].to_vec();
        return format!("{}\n", half.join("\n"));
    }
    let mut kept = String::new();
    let mut zebra = false;
    for line in lines {
        zebra = match line {
            line if line.starts_with("ZEBRA:") => true,
            line if line.starts_with("BGP:") => false,
            _ => zebra,
        };
        if !zebra {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

impl Router for BgpPart {
    fn namespace(&self) -> &Namespace {
        self.0.namespace()
    }

    fn shell(&self, commands: &[&str]) -> Answer {
        let answer = self.0.shell(commands);
        let command = commands.first().copied().unwrap_or_default();
        let of_both = ["prefix-list", "access-list", "route-map"];
        let of_both = of_both
            .iter()
            .any(|word| command.split_whitespace().nth(2) == Some(word))
            || command.starts_with("show route-map");
        match of_both && !command.starts_with("show bgp") {
            true => Answer {
                text: bgp_part(command, &answer.text),
                ..answer
            },
            false => answer,
        }
    }

    fn config_file(&self) -> PathBuf {
        self.0.config_file()
    }

    fn reload(&mut self, config: &str) {
        self.0.reload(config);
    }

    fn stop(&mut self) -> ExitStatus {
        self.0.stop()
    }

    fn kill(&mut self) {
        self.0.kill();
    }

    fn restart(&mut self) {
        self.0.restart();
    }

    fn freeze(&self) {
        self.0.freeze();
    }

    fn thaw(&self) {
        self.0.thaw();
    }
}

/// Commands whose text and JSON are compared.
const SHOWN: &[&str] = &[
    "show route-map",
    "show route-map IN",
    "show route-map NOPE",
    "show ip prefix-list",
    "show ip prefix-list P4",
    "show ip prefix-list P4 seq 10",
    "show ip prefix-list summary",
    "show ip prefix-list summary P4",
    "show ip prefix-list detail",
    "show ip prefix-list detail Q4",
    "show ipv6 prefix-list",
    "show ipv6 prefix-list P6",
    "show ipv6 prefix-list detail P6",
    "show ip access-list",
    "show ip access-list AL",
    "show ip access-list 10",
    "show ip access-list 110",
    "show ip access-list NOPE",
    "show ipv6 access-list",
    "show ipv6 access-list AL6",
    "show bgp as-path-access-list",
    "show bgp as-path-access-list AP",
    "show bgp as-path-access-list NOPE",
    "show ip as-path-access-list",
    "show ip as-path-access-list AP",
    "show bgp ipv4 unicast prefix-list P4",
    "show bgp ipv4 unicast prefix-list Q4",
    "show bgp ipv4 unicast prefix-list NOPE",
    "show ip bgp prefix-list P4",
    "show bgp prefix-list P4",
    "show bgp ipv4 unicast access-list AL",
    "show bgp ipv4 unicast access-list 10",
    "show bgp ipv4 unicast access-list NOPE",
    "show bgp ipv4 unicast route-map SUB",
    "show bgp ipv4 unicast route-map IN",
    "show bgp ipv4 unicast route-map NOPE",
    "show bgp ipv4 unicast filter-list AP",
    "show bgp ipv4 unicast filter-list ANY",
    "show bgp ipv4 unicast filter-list NOPE",
    "show bgp ipv4 unicast community-list C2",
    "show bgp ipv4 unicast community-list C2 exact-match",
    "show bgp ipv4 unicast community-list CE",
    "show bgp ipv4 unicast community-list CS",
    "show bgp ipv4 unicast community-list 1",
    "show bgp ipv4 unicast community-list NOPE",
    "show bgp ipv4 unicast large-community-list LS",
    "show bgp ipv4 unicast large-community-list LS exact-match",
    "show bgp ipv4 unicast large-community-list LE",
    "show bgp ipv4 unicast large-community-list NOPE",
    "show bgp ipv4 unicast community",
    "show bgp ipv4 unicast community 65001:1",
    "show bgp ipv4 unicast community 65001:2",
    "show bgp ipv4 unicast community 65001:1 exact-match",
    "show bgp ipv4 unicast community no-export",
    "show bgp ipv4 unicast community foo",
    "show bgp ipv4 unicast large-community",
    "show bgp ipv4 unicast large-community 65001:1:1",
    "show bgp ipv4 unicast large-community 1:2",
    "show bgp ipv4 unicast regexp _65001_",
    "show bgp ipv4 unicast regexp ^65002_",
    "show bgp ipv4 unicast regexp ^$",
    "show bgp ipv4 unicast regexp ((",
    "show bgp ipv4 unicast alias green",
    "show bgp ipv4 unicast alias nope",
    "show bgp ipv4 unicast neighbors 10.0.1.2 filtered-routes",
    "show bgp ipv4 unicast neighbors 10.0.2.2 filtered-routes",
    "show bgp ipv4 unicast neighbors 10.0.3.9 filtered-routes",
    "show bgp ipv4 unicast neighbors 10.0.1.2 received-routes",
    "show bgp ipv4 unicast neighbors 10.0.2.2 received-routes",
    "show bgp ipv4 unicast neighbors 10.0.2.2 routes",
    "show bgp ipv4 unicast neighbors 10.0.2.2 advertised-routes",
    "show bgp neighbors 10.0.1.2",
    "show bgp neighbors 10.0.2.2",
    "show bgp neighbors 10.0.3.9",
];

/// Commands that FRR has no JSON of.
const TEXT_ONLY: &[&str] = &[
    "show ip prefix-list NOPE",
    "show ip prefix-list summary NOPE",
    "show ip prefix-list P4 10.1.0.0/16",
    "show ip prefix-list P4 10.1.0.0/16 longer",
    "show ip prefix-list P4 10.2.0.0/16 longer",
    "show ip prefix-list P4 0.0.0.0/0 longer",
    "show ip prefix-list P4 0.0.0.0/0 first-match",
    "show bgp community-list",
    "show bgp community-list CS detail",
    "show bgp community-list 1 detail",
    "show bgp community-list NOPE detail",
    "show bgp large-community-list",
    "show bgp large-community-list LE detail",
    "show bgp large-community-list 2 detail",
    "show bgp large-community-list NOPE detail",
    "show bgp extcommunity-list",
    "show bgp extcommunity-list ES",
    "show bgp extcommunity-list 3 detail",
    "show bgp extcommunity-list NOPE detail",
    "clear ip prefix-list NOPE",
    "clear ip prefix-list P4",
    "clear ip prefix-list P4 10.1.0.0/16",
    "clear ip prefix-list",
    "clear route-map counters IN",
];

#[test]
fn every_answer_about_policy_is_as_frr_gives_it() {
    need!(
        "bird",
        "/usr/lib/frr/bgpd",
        "/usr/lib/frr/zebra",
        "/usr/bin/vtysh"
    );
    // A daemon ends with the thread that started it, so one after the other.
    let theirs = Network::start(|topology, at, config| BgpPart(Frr::start(topology, at, config)));
    let ours = Network::start(Holdfast::start);
    let routers: [&dyn Router; 2] = [&ours.router, &theirs.router];
    let mut comparison = Comparison::new(routers);
    comparison.text_and_json(SHOWN);
    comparison.text(TEXT_ONLY);
    comparison.finish();
}
