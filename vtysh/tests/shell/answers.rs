//! Answers against what FRR 8.4.4 printed.

use holdfast_api::v1;
use vtysh::{Clock, Shell, Status};

use crate::recorded;
use crate::server::{Daemon, Recorded};

/// What a shell writes for one command at a time.
pub(crate) async fn answer(daemon: &Daemon, now_secs: u64, command: &str) -> (Status, String) {
    let clock = Clock {
        now_ms: now_secs * 1000,
        utc: true,
    };
    let shell = Shell::new(daemon.client().await).await.expect("a shell");
    let mut out = Vec::new();
    let status = shell
        .with_clock(clock)
        .execute(command, &mut out)
        .await
        .expect("an answer");
    (status, String::from_utf8(out).expect("UTF-8"))
}

/// Compares every section of a golden file, and shows the first difference of
/// each that differs.
pub(crate) async fn compare(recorded: Recorded, name: &str) {
    let path = format!("{}/tests/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let golden = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let daemon = Daemon::start(recorded);
    let mut differences = Vec::new();
    let mut count = 0;
    for (now, command, expected) in sections(&golden) {
        let (_, got) = answer(&daemon, now, command).await;
        count += 1;
        if got != expected {
            differences.push(difference(command, &got, &expected));
        }
    }
    assert!(count >= 8, "{path} has {count} sections");
    assert!(
        differences.is_empty(),
        "{} of {count}:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

/// The time, the command and the text of each section.
fn sections(golden: &str) -> Vec<(u64, &str, String)> {
    let mut sections: Vec<(u64, &str, String)> = Vec::new();
    for line in golden.split_inclusive('\n') {
        if let Some((now, command)) = line
            .strip_prefix("=== [")
            .and_then(|head| head.split_once("] "))
        {
            sections.push((
                now.parse().expect("seconds"),
                command.trim_end(),
                String::new(),
            ));
        } else if let Some((_, _, text)) = sections.last_mut() {
            text.push_str(line);
        }
    }
    sections
}

fn difference(command: &str, got: &str, expected: &str) -> String {
    let mut lines = got.lines().zip(expected.lines()).enumerate();
    let at = lines.find(|(_, (got, expected))| got != expected);
    let at = at.map_or(
        got.lines().count().min(expected.lines().count()),
        |(line, _)| line,
    );
    let line = |text: &str| text.lines().nth(at).map(|line| format!("{line:?}"));
    format!(
        "{command}: line {}\n  got      {}\n  expected {}",
        at + 1,
        line(got).unwrap_or_else(|| "the end".into()),
        line(expected).unwrap_or_else(|| "the end".into())
    )
}

#[tokio::test]
async fn a_small_router_answers_as_frr() {
    compare(recorded::r1(), "r1").await;
}

#[tokio::test]
async fn every_sort_of_path_is_shown_as_frr_shows_it() {
    compare(recorded::lab(), "lab").await;
}

#[tokio::test]
async fn without_bgp_the_errors_are_frrs() {
    compare(recorded::none(), "none").await;
}

#[tokio::test]
async fn missing_policies_and_shut_sessions_are_told_as_frr_tells_them() {
    compare(recorded::policy(), "policy").await;
}

#[tokio::test]
async fn stale_paths_are_marked_as_frr_marks_them() {
    compare(recorded::stale(), "stale").await;
}

/// FRR 8.4.4 has a word for what waits for the kernel, and explains the mark of
/// what it refused.
#[tokio::test]
async fn what_the_kernel_has_is_told() {
    for (failure, installed, marks, words) in [
        (
            true,
            false,
            "r>",
            ["\"fibPending\":true", "\"ribFailure\":true"],
        ),
        (
            false,
            true,
            "*>",
            ["\"fibInstalled\":true", "\"valid\":true"],
        ),
    ] {
        let mut recorded = recorded::r1();
        let tables = recorded.tables.iter_mut();
        let v4 = v1::Family::Ipv4Unicast;
        let mut v4 = tables.filter(|(f, t, _, _)| *f == v4 && *t == v1::Table::LocRib);
        let (_, _, _, routes) = v4.next().expect("a table");
        let mut learned = routes.iter_mut().filter(|route| !route.paths[0].sourced);
        let route = learned.next().expect("a learned route");
        let path = &mut route.paths[0];
        assert!(path.best);
        path.rib_failure = failure;
        path.fib_installed = installed;
        path.fib_pending = !installed;
        let prefix = route.prefix.clone();
        let daemon = Daemon::start(recorded);
        let (_, text) = answer(&daemon, 0, "show bgp ipv4 unicast").await;
        let line = text.lines().find(|line| line.contains(&prefix));
        assert!(line.is_some_and(|line| line.starts_with(marks)), "{text}");
        let (_, json) = answer(&daemon, 0, &format!("show bgp ipv4 unicast {prefix} json")).await;
        for word in words {
            assert!(json.contains(word), "{json}");
        }
        let (_, table) = answer(&daemon, 0, "show bgp ipv4 unicast json").await;
        assert_eq!(table.contains("\"ribFailure\":true"), failure, "{table}");
    }
}

/// FRR 8.4.4 shows the IPv6 groups where nothing says otherwise; its numbers of
/// events inside of a group have no counterpart.
#[tokio::test]
async fn update_groups_are_told_by_their_members() {
    let mut recorded = recorded::r1();
    let first = recorded.peers.iter().find(|p| p.address == "10.0.0.2");
    let mut second = first.expect("the peer").clone();
    second.address = "10.0.0.3".into();
    second.established_ms += 7000;
    second.families[0].end_of_rib_sent = false;
    let mut elsewhere = second.clone();
    elsewhere.address = "10.0.0.4".into();
    elsewhere.families[0].update_group = 2;
    let mut down = second.clone();
    down.address = "10.0.0.5".into();
    down.state = v1::SessionState::Active as i32;
    recorded.peers.extend([second, elsewhere, down]);
    let daemon = Daemon::start(recorded);
    let (_, text) = answer(&daemon, 0, "show bgp ipv4 update-groups 1").await;
    let members: Vec<&str> = text.lines().filter(|l| l.starts_with("      - ")).collect();
    assert_eq!(members, ["      - 10.0.0.2", "      - 10.0.0.3"], "{text}");
    assert!(text.starts_with("Update-group 1:\n  Created: "), "{text}");
    assert!(text.contains("    Peers still joining: 1\n"), "{text}");
    let (_, text) = answer(&daemon, 0, "show ip bgp update-groups").await;
    let groups: Vec<&str> = text.lines().filter(|l| l.starts_with("Update-g")).collect();
    assert_eq!(groups, ["Update-group 1:", "Update-group 2:"]);
    let (_, text) = answer(&daemon, 0, "show ip bgp update-groups json").await;
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let group = &json["ipv4Unicast"]["1"];
    assert_eq!(group["peers"], serde_json::json!(["10.0.0.2", "10.0.0.3"]));
    let (_, text) = answer(&daemon, 0, "show bgp update-groups").await;
    assert_eq!(text, "");
}

/// As FRR from 8.5 on, of which there is no recording here.
#[tokio::test]
async fn an_accumulated_metric_stands_behind_the_local_preference() {
    let mut recorded = recorded::r1();
    let known = &mut recorded.tables[0].3;
    let prefix = "198.51.100.0/24";
    let route = known.iter_mut().find(|route| route.prefix == prefix);
    let path = &mut route.expect("the route").paths[0];
    let attributes = path.attributes.as_mut().expect("attributes");
    attributes.local_pref = Some(100);
    attributes.aigp_metric = Some(u64::MAX - 1);
    let daemon = Daemon::start(recorded);
    let (_, text) = answer(&daemon, 0, "show bgp ipv4 unicast 198.51.100.0/24").await;
    let line = "localpref 100, aigp-metric 18446744073709551614, valid, external, best";
    assert!(text.contains(line), "{text}");
    let (_, text) = answer(&daemon, 0, "show bgp ipv4 unicast 198.51.100.0/24 json").await;
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["paths"][0]["aigpMetric"], u64::MAX - 1, "{text}");
}

/// FRR 8.4.4 does; only of peers outside of the confederation its JSON says that
/// they are in it.
#[tokio::test]
async fn peers_of_a_confederation_are_called_that() {
    let mut recorded = recorded::r1();
    recorded.global.confederation_identifier = 65500;
    let mut inside = recorded.peers[0].clone();
    (inside.address, inside.external) = ("10.0.0.3".into(), false);
    let mut member = recorded.peers[0].clone();
    (member.address, member.confederation) = ("10.0.0.4".into(), true);
    recorded.peers.extend([inside, member]);
    let daemon = Daemon::start(recorded);
    for (address, link, key) in [
        ("10.0.0.2", "external", "nbrExternalLink"),
        ("10.0.0.3", "confed-internal", "nbrConfedInternalLink"),
        ("10.0.0.4", "confed-external", "nbrConfedExternalLink"),
    ] {
        let show = format!("show bgp neighbors {address}");
        let (_, text) = answer(&daemon, 0, &show).await;
        assert!(text.contains(&format!(", {link} link\n")), "{text}");
        let under = text.contains("  Neighbor under common administration\n");
        assert_eq!(under, address == "10.0.0.4", "{text}");
        let (_, text) = answer(&daemon, 0, &format!("{show} json")).await;
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(json[address][key], true, "{text}");
    }
}
