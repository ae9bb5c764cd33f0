//! An edit of policy is told to those whom it concerns, once, and to nobody
//! else; no session ends for it.
//!
//! ```text
//!   BIRD 10.0.1.2 announces 40 routes; 10.0.2.2 to 10.0.8.2 listen
//!     |
//!   10.0.N.1 router
//! ```

#[path = "policy/generate.rs"]
#[allow(dead_code, reason = "what is generated is another test's")]
mod generate;
mod harness;
#[path = "policy/lab.rs"]
#[allow(dead_code, reason = "FRR is another test's")]
mod lab;
#[path = "chaos/random.rs"]
#[allow(dead_code, reason = "what is generated is another test's")]
mod random;

use std::fmt::Write;

use generate::{PEERS, Version, bird_session};
use harness::{Holdfast, Router, SOON, need, wait_for};
use lab::Lab;

const ROUTES: usize = 40;

fn bird() -> String {
    let mut text = "router id 10.0.1.2;\n".to_owned();
    for n in 1..=PEERS {
        let announced = if n == 1 { ROUTES } else { 0 };
        let routes: String = (0..announced)
            .map(|route| format!("  route 198.18.{route}.0/24 blackhole;\n"))
            .collect();
        text += &bird_session(Version::V4, n, 65_100 + n, &routes, "");
    }
    text
}

/// Neighbors 2 to 4 share one map, 5 has another that uses the same list, the
/// others have none that does.
fn router() -> String {
    let mut text = "frr version 8.4.4
hostname router
ip prefix-list SOME seq 5 permit 198.18.0.0/21 le 24
ip prefix-list OTHER seq 5 permit 198.18.32.0/21 le 24
bgp community-list standard NOBODY seq 5 permit 65009:9
router bgp 65000
 bgp router-id 10.0.0.1
 no bgp ebgp-requires-policy
"
    .to_owned();
    for n in 1..=PEERS {
        let asn = 65_100 + n;
        let _ = writeln!(text, " neighbor 10.0.{n}.2 remote-as {asn}");
        let _ = writeln!(text, " neighbor 10.0.{n}.2 timers connect 1");
    }
    text += " address-family ipv4 unicast\n  neighbor 10.0.1.2 route-map IN in\n";
    for n in 2..=4 {
        let _ = writeln!(text, "  neighbor 10.0.{n}.2 route-map SHARED out");
    }
    text += "  neighbor 10.0.5.2 route-map ALONE out
  neighbor 10.0.6.2 prefix-list OTHER out
 exit-address-family
exit
route-map IN permit 10
 match community NOBODY
 set metric 5
exit
route-map IN permit 20
exit
route-map SHARED permit 10
 match ip address prefix-list SOME
 set community 65000:1
exit
route-map SHARED permit 20
exit
route-map ALONE deny 10
 match ip address prefix-list SOME
exit
route-map ALONE permit 20
exit
";
    text
}

/// Announcements and withdrawals that each neighbor has received.
fn told(lab: &Lab<Holdfast>) -> Vec<(u64, u64)> {
    let of = |n: usize| {
        let text = lab.birdc(&format!("show protocols all p{n}"));
        let count = |what: &str| -> u64 {
            let line = text.lines().find(|line| line.contains(what));
            let numbers = line.and_then(|line| line.split_once(':'));
            let first = numbers.and_then(|(_, numbers)| numbers.split_whitespace().next());
            first.and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        (count("Import updates:"), count("Import withdraws:"))
    };
    (1..=PEERS).map(of).collect()
}

/// Types lines, waits until as many announcements and withdrawals came to each
/// neighbor as are expected, and sees that it stays so until a change of the
/// table has made its way to all.
fn edit(lab: &Lab<Holdfast>, lines: &[&str], expected: [(u64, u64); PEERS]) {
    let before = told(lab);
    let commands: Vec<&str> = ["configure terminal"]
        .iter()
        .chain(lines)
        .copied()
        .collect();
    let answer = lab.router.shell(&commands);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let wanted: Vec<(u64, u64)> = before
        .iter()
        .zip(expected)
        .map(|(before, more)| (before.0 + more.0, before.1 + more.1))
        .collect();
    let arrived = || match told(lab) {
        now if now == wanted => Ok(()),
        now => Err(format!("{now:?} instead of {wanted:?}")),
    };
    wait_for(SOON, &format!("what {lines:?} changes"), arrived);
    // What was still to come would come before this.
    let network = [
        "configure terminal",
        "router bgp 65000",
        "network 203.0.113.0/24",
    ];
    lab.router.shell(&network);
    let passes = |n: usize| n != 6;
    let marked: Vec<(u64, u64)> = (1..=PEERS)
        .zip(&wanted)
        .map(|(n, wanted)| (wanted.0 + u64::from(passes(n)), wanted.1))
        .collect();
    wait_for(SOON, "the mark", || match told(lab) {
        now if now == marked => Ok(()),
        now => Err(format!("{lines:?}: {now:?} instead of {marked:?}")),
    });
    let network = [
        "configure terminal",
        "router bgp 65000",
        "no network 203.0.113.0/24",
    ];
    lab.router.shell(&network);
    let back: Vec<(u64, u64)> = (1..=PEERS)
        .zip(&marked)
        .map(|(n, marked)| (marked.0, marked.1 + u64::from(passes(n))))
        .collect();
    wait_for(SOON, "its withdrawal", || match told(lab) {
        now if now == back => Ok(()),
        now => Err(format!("{now:?} instead of {back:?}")),
    });
}

#[test]
fn an_edit_is_told_once_to_those_whom_it_concerns() {
    need!("/usr/sbin/bird");
    let lab = Lab::start((&router(), &bird()), |topology, namespace, config| {
        Holdfast::start(topology, namespace, config)
    });
    lab.settle();
    lab.router.shell(&[
        "configure terminal",
        "router bgp 65000",
        "no bgp network import-check",
    ]);
    let all: Vec<(u64, u64)> = [0, 40, 40, 40, 32, 8, 40, 40].map(|n| (n, 0)).to_vec();
    wait_for(SOON, "the table", || match told(&lab) {
        now if now == all => Ok(()),
        now => Err(format!("{now:?}")),
    });
    let none = (0, 0);
    // A clause of a map that three share: they hear of the routes that match.
    let lines = ["route-map SHARED permit 10", "set community 65000:2"];
    let three = [none, (8, 0), (8, 0), (8, 0), none, none, none, none];
    edit(&lab, &lines, three);
    // The same again.
    edit(&lab, &lines, [none; PEERS]);
    // A list that two maps use: a route more is dressed, or denied.
    let lines = ["ip prefix-list SOME seq 10 permit 198.18.20.0/24"];
    edit(
        &lab,
        &lines,
        [none, (1, 0), (1, 0), (1, 0), (0, 1), none, none, none],
    );
    // An entry that says what another one says already.
    let lines = ["ip prefix-list SOME seq 15 permit 198.18.20.0/24"];
    edit(&lab, &lines, [none; PEERS]);
    // A list that matches nothing of what there is, for what comes in.
    let lines = ["bgp community-list standard NOBODY seq 10 permit 65009:8"];
    edit(&lab, &lines, [none; PEERS]);
    // A map and lists that nobody uses.
    let lines = [
        "route-map UNUSED permit 10",
        "set metric 9",
        "exit",
        "ip prefix-list UNUSED permit any",
    ];
    edit(&lab, &lines, [none; PEERS]);
    // A description.
    let lines = ["route-map SHARED permit 10", "description routes of some"];
    edit(&lab, &lines, [none; PEERS]);
    // A filter in another's place that lets the same pass.
    let lines = [
        "ip prefix-list AGAIN seq 7 permit 198.18.32.0/21 ge 21 le 24",
        "router bgp 65000",
        "address-family ipv4 unicast",
        "neighbor 10.0.6.2 prefix-list AGAIN out",
    ];
    edit(&lab, &lines, [none; PEERS]);
    for n in 1..=PEERS {
        let connections = lab.router.connections(&format!("10.0.{n}.2"));
        assert_eq!(connections, 1, "10.0.{n}.2 was connected again");
    }
}
