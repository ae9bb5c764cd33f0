//! The same commands to both routers, and what differs in their answers.

use std::collections::BTreeMap;
use std::path::Path;

use crate::compare::{Deliberate, Documents, Found, Place};
use crate::harness::Router;
use crate::harness::router::Answer;
use crate::text;

/// Differences that stay, with why.
const DELIBERATE: &[Deliberate] = &[
    Deliberate {
        command: "neighbors",
        place: Place::Value(&["estimatedRttInMsecs"]),
        reason: ROUND_TRIP,
    },
    Deliberate {
        command: "neighbors",
        place: Place::Line("Estimated round trip time:"),
        reason: ROUND_TRIP,
    },
    Deliberate {
        command: "neighbors",
        place: Place::Value(&["messageStats", "routeRefreshSent"]),
        reason: REFRESH,
    },
    Deliberate {
        command: "neighbors",
        place: Place::Value(&["messageStats", "routeRefreshRecv"]),
        reason: REFRESH,
    },
    Deliberate {
        command: "neighbors",
        place: Place::Line("    Route Refresh: "),
        reason: REFRESH,
    },
    Deliberate {
        command: "summary",
        place: Place::Line("    65001 "),
        reason: ECHO,
    },
    Deliberate {
        command: "summary",
        place: Place::Line("    65020 "),
        reason: ECHO,
    },
    Deliberate {
        command: "summary",
        place: Place::Line("    6510"),
        reason: ECHO,
    },
    Deliberate {
        command: "203.0.113",
        place: Place::Line("  Advertised to non peer-group peers:"),
        reason: ECHO,
    },
    Deliberate {
        command: "203.0.113",
        place: Place::Line("  10."),
        reason: ECHO,
    },
    Deliberate {
        command: "203.0.113",
        place: Place::Value(&["advertisedTo"]),
        reason: ECHO,
    },
    Deliberate {
        command: "advertised-routes",
        place: Place::Value(&["advertisedRoutes", "*"]),
        reason: ECHO,
    },
    Deliberate {
        command: "advertised-routes",
        place: Place::Value(&["advertisedRoutes"]),
        reason: ECHO,
    },
    Deliberate {
        command: "advertised-routes",
        place: Place::Value(&["*", "nextHop"]),
        reason: ON_THE_WIRE,
    },
    Deliberate {
        command: "advertised-routes",
        place: Place::Value(&["*", "nextHopGlobal"]),
        reason: ON_THE_WIRE,
    },
    Deliberate {
        command: "advertised-routes",
        place: Place::Value(&["*", "path"]),
        reason: ON_THE_WIRE,
    },
    Deliberate {
        command: "advertised-routes",
        place: Place::Value(&["*", "locPrf"]),
        reason: ON_THE_WIRE,
    },
    Deliberate {
        command: "advertised-routes",
        place: Place::Line("*> "),
        reason: ON_THE_WIRE,
    },
    Deliberate {
        // What did not fit into the line of a long prefix.
        command: "advertised-routes",
        place: Place::Line("                     "),
        reason: ON_THE_WIRE,
    },
    Deliberate {
        command: "advertised-routes",
        place: Place::Line("Total number of prefixes"),
        reason: ECHO,
    },
    Deliberate {
        command: "show",
        place: Place::Value(&["addPath"]),
        reason: ADD_PATH,
    },
    Deliberate {
        command: "show",
        place: Place::Value(&["addPath", "*", "*"]),
        reason: ADD_PATH,
    },
    Deliberate {
        command: "show",
        place: Place::Line("    AddPath:"),
        reason: ADD_PATH,
    },
    Deliberate {
        command: "show",
        place: Place::Line("Unicast: RX "),
        reason: ADD_PATH,
    },
    Deliberate {
        command: "show",
        place: Place::Value(&["longLivedGracefulRestart"]),
        reason: LONG_LIVED,
    },
    Deliberate {
        command: "show",
        place: Place::Line("Long-lived Graceful Restart:"),
        reason: LONG_LIVED,
    },
    Deliberate {
        command: "show",
        place: Place::Value(&["pfxSnt"]),
        reason: ECHO,
    },
    Deliberate {
        command: "show",
        place: Place::Value(&["sentPrefixCounter"]),
        reason: ECHO,
    },
    Deliberate {
        command: "show",
        place: Place::Value(&["totalPrefixCounter"]),
        reason: ECHO,
    },
    Deliberate {
        command: "show",
        place: Place::Value(&["advertisedTo", "*"]),
        reason: ECHO,
    },
    Deliberate {
        command: "show",
        place: Place::Line("  192.168.10.101 192.168.20.100 192.168.30.1"),
        reason: ECHO,
    },
    Deliberate {
        command: "show bgp ipv6 unicast 2001:db8:a",
        place: Place::Line("  192.168.30.1 2001:db8:40::1"),
        reason: ECHO,
    },
    Deliberate {
        command: "show",
        place: Place::Value(&["lastResetDueTo"]),
        reason: FIRST_RESET,
    },
    Deliberate {
        command: "show",
        place: Place::Value(&["lastResetCode"]),
        reason: FIRST_RESET,
    },
    Deliberate {
        command: "show",
        place: Place::Line("No AFI/SAFI activated for peer"),
        reason: FIRST_RESET,
    },
    Deliberate {
        command: "show",
        place: Place::Line("  Last read never"),
        reason: "FRR counts from the peer's creation, and nothing was read",
    },
    Deliberate {
        command: "10.0.1.2 received-routes",
        place: Place::Value(&["receivedRoutes", "*", "metric"]),
        reason: BEFORE_POLICY,
    },
    Deliberate {
        command: "10.0.1.2 received-routes",
        place: Place::Value(&["receivedRoutes", "*", "locPrf"]),
        reason: BEFORE_POLICY,
    },
    Deliberate {
        command: "10.0.1.2 received-routes",
        place: Place::Value(&["receivedRoutes", "*", "weight"]),
        reason: BEFORE_POLICY,
    },
    Deliberate {
        command: "10.0.1.2 received-routes",
        place: Place::Line("*> "),
        reason: BEFORE_POLICY,
    },
    Deliberate {
        command: "10.0.2.2 received-routes",
        place: Place::Value(&["receivedRoutes", "*", "metric"]),
        reason: BEFORE_POLICY,
    },
    Deliberate {
        command: "10.0.2.2 received-routes",
        place: Place::Value(&["receivedRoutes", "*", "locPrf"]),
        reason: BEFORE_POLICY,
    },
    Deliberate {
        command: "10.0.2.2 received-routes",
        place: Place::Value(&["receivedRoutes", "*", "weight"]),
        reason: BEFORE_POLICY,
    },
    Deliberate {
        command: "10.0.2.2 received-routes",
        place: Place::Line("*> "),
        reason: BEFORE_POLICY,
    },
    Deliberate {
        command: "show route-map",
        place: Place::Value(&["evaluated"]),
        reason: HITS,
    },
    Deliberate {
        command: "show route-map",
        place: Place::Value(&["invoked"]),
        reason: HITS,
    },
    Deliberate {
        command: "show route-map",
        place: Place::Line("Invoked"),
        reason: HITS,
    },
    Deliberate {
        command: "prefix-list",
        place: Place::Value(&["hitCount"]),
        reason: HITS,
    },
    Deliberate {
        command: "prefix-list",
        place: Place::Line("(hit count: "),
        reason: HITS,
    },
    Deliberate {
        command: "prefix-list",
        place: Place::Line("Prefix-list with the last deletion/insertion"),
        reason: "which list was edited last is not kept",
    },
];

const BEFORE_POLICY: &str = "this daemon shows what came; FRR what its route map made of it";
const HITS: &str = "FRR asks its policies more often for the same routes, and counts what an \
                    entry sent on to another one; this daemon counts what matched";
const ROUND_TRIP: &str = "FRR measures the round trip time; this daemon does not";
const REFRESH: &str = "this daemon asks the peer for its routes again where FRR uses a stored copy";
const ADD_PATH: &str = "FRR always offers to receive additional paths; this daemon has none";
const LONG_LIVED: &str = "FRR always offers long-lived graceful restart; this daemon has none";
const ON_THE_WIRE: &str = "this daemon shows what it sent; FRR what it had before it set the next hop \
                           and its own AS";
const ECHO: &str = "FRR sends routes back to where they came from";
const FIRST_RESET: &str = "in FRR, the order of the configuration's lines decides what a session \
                           waited for before it was first up";

fn write_answer(kind: &str, command: &str, answer: &Answer) {
    let Some(directory) = std::env::var_os("HOLDFAST_SHOW_DIR") else {
        return;
    };
    let directory = Path::new(&directory).join(kind);
    std::fs::create_dir_all(&directory).expect("a directory for the answers");
    let name = command.replace([' ', '/', '|'], "_");
    let text = format!("{}{}", answer.text, answer.errors);
    std::fs::write(directory.join(name), text).expect("an answer's file");
}

/// Collects the differences between this project's answers and FRR's.
pub(crate) struct Comparison<'r> {
    ours: &'r dyn Router,
    theirs: &'r dyn Router,
    differences: Vec<String>,
    /// How often each reason for a difference was met.
    deliberate: BTreeMap<&'static str, usize>,
}

impl<'r> Comparison<'r> {
    pub(crate) fn new([ours, theirs]: [&'r dyn Router; 2]) -> Self {
        Self {
            ours,
            theirs,
            differences: Vec::new(),
            deliberate: BTreeMap::new(),
        }
    }

    /// Compares the text of these commands, errors included.
    pub(crate) fn text(&mut self, commands: &[&str]) {
        for command in commands {
            self.one_text(command);
        }
    }

    /// Compares the text of these commands, and what they say with `json`.
    pub(crate) fn text_and_json(&mut self, commands: &[&str]) {
        for command in commands {
            self.one_text(command);
            self.one_json(&format!("{command} json"));
        }
    }

    /// Fails the test if anything differs that should not.
    pub(crate) fn finish(self) {
        for (reason, count) in &self.deliberate {
            eprintln!("{count} times: {reason}");
        }
        assert!(
            self.differences.is_empty(),
            "{} differences\n{}",
            self.differences.len(),
            self.differences.join("\n")
        );
    }

    fn answers(&self, command: &str) -> [Answer; 2] {
        let lines: Vec<&str> = command.split(" / ").collect();
        let ours = self.ours.shell(&lines);
        let theirs = self.theirs.shell(&lines);
        write_answer("holdfast", command, &ours);
        write_answer("frr", command, &theirs);
        [ours, theirs]
    }

    fn codes(&mut self, command: &str, ours: &Answer, theirs: &Answer) {
        if ours.code != theirs.code {
            let text = format!("exit code: ours {:?}; FRR's {:?}", ours.code, theirs.code);
            self.note(command, Found::Whole(text));
        }
    }

    fn one_text(&mut self, command: &str) {
        let [ours, theirs] = self.answers(command);
        self.codes(command, &ours, &theirs);
        let whole = |answer: &Answer| format!("{}{}", answer.text, answer.errors);
        for found in text::compare(&whole(&ours), &whole(&theirs)) {
            self.note(command, found);
        }
    }

    fn one_json(&mut self, command: &str) {
        let [ours, theirs] = self.answers(command);
        self.codes(command, &ours, &theirs);
        let parse = |answer: &Answer| serde_json::from_str::<serde_json::Value>(&answer.text).ok();
        match (parse(&ours), parse(&theirs)) {
            (Some(a), Some(b)) => {
                for found in Documents::compare(&a, &b) {
                    self.note(command, found);
                }
            }
            (None, None) if ours.text == theirs.text => {}
            _ => {
                let text = format!("\n    ours {}\n    FRR's {}", ours.text, theirs.text);
                self.note(command, Found::Whole(text));
            }
        }
    }

    fn note(&mut self, command: &str, found: Found) {
        let known = DELIBERATE
            .iter()
            .find(|known| command.contains(known.command) && found.is_at(known.place));
        match known {
            Some(known) => *self.deliberate.entry(known.reason).or_default() += 1,
            None => self.differences.push(format!("{command}: {found}")),
        }
    }
}
