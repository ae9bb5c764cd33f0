//! What the programs refuse before they do anything.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const BENCH: &str = env!("CARGO_BIN_EXE_bench");
const BGPLOAD: &str = env!("CARGO_BIN_EXE_bgpload");

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .output()
        .expect("it starts")
}

/// What a program that must not succeed says.
fn refused(program: &str, arguments: &[&str]) -> String {
    let output = run(program, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{arguments:?}: {said}");
    said
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of UTF-8")
}

#[test]
fn no_round_is_not_a_number_of_rounds() {
    for option in ["--runs", "--slow-rounds"] {
        let said = refused(BENCH, &[option, "0"]);
        assert!(said.contains("0 is not in 1.."), "{said}");
    }
}

#[test]
fn a_daemon_that_is_not_there_is_told_before_anything_runs() {
    let directory = tempfile::tempdir().expect("a directory");
    let results = directory.path().join("results.jsonl");
    let common = ["--quick", "--results", text(&results)];
    let said = refused(BENCH, &[&common[..], &["--bgpd", "/nonexistent"]].concat());
    assert!(said.contains("/nonexistent: there is no such"), "{said}");
    assert!(!results.exists());
}

#[test]
fn no_run_that_ends_is_a_failure() {
    let directory = tempfile::tempdir().expect("a directory");
    let results = directory.path().join("results.jsonl");
    // Direct cannot do this scenario, wherever it runs.
    let which = ["--scenarios", "cold-start", "--daemons", "direct"];
    let common = ["--quick", "--runs", "1", "--results", text(&results)];
    let said = refused(BENCH, &[&common[..], &which].concat());
    assert!(said.contains("no run came to its end"), "{said}");
}

#[test]
fn a_variant_that_no_scenario_has_is_told_with_those_that_there_are() {
    let directory = tempfile::tempdir().expect("a directory");
    let results = directory.path().join("results.jsonl");
    let common = ["--quick", "--runs", "1", "--results", text(&results)];
    for (scenario, variant, known) in [("fib", "3", "1, 16, 4"), ("ipv6", "1", "none at all")] {
        let which = ["--scenarios", scenario, "--variants", variant];
        let said = refused(BENCH, &[&common[..], &which].concat());
        let reason = format!("no variant \"{variant}\", but {known}");
        assert!(said.contains(&reason), "{said}");
    }
    assert!(!results.exists());
}

#[test]
fn a_report_without_results_leaves_the_page_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let (results, page) = (
        directory.path().join("results.jsonl"),
        directory.path().join("page.md"),
    );
    std::fs::write(&page, "no markers\n").expect("a page");
    let common = ["--results", text(&results), "--page", text(&page)];
    let report = [&common[..], &["--report-only"]].concat();
    let said = refused(BENCH, &report);
    assert!(said.contains("there is no such file"), "{said}");
    std::fs::write(&results, "").expect("a file");
    let said = refused(BENCH, &report);
    assert!(said.contains("there are no results in it"), "{said}");
    // Not after hours either.
    let said = refused(BENCH, &common);
    assert!(said.contains("the page has no block"), "{said}");
    let left = std::fs::read_to_string(&page).expect("the page");
    assert_eq!(left, "no markers\n");
}

#[test]
fn results_that_cannot_be_kept_are_told_before_anything_runs() {
    let said = refused(BENCH, &["--quick", "--results", "/dev/full"]);
    assert!(said.contains("/dev/full: not a regular file"), "{said}");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("none/results.jsonl");
    let said = refused(BENCH, &["--quick", "--results", text(&path)]);
    assert!(said.contains("No such file or directory"), "{said}");
    assert!(!directory.path().join("none").exists());
}

#[test]
fn numbers_that_are_no_as_are_refused() {
    for option in ["--as", "--daemon-as"] {
        for number in ["0", "4294967296"] {
            let said = refused(BGPLOAD, &["send", option, number]);
            assert!(said.contains("is not in 1..=4294967295"), "{said}");
        }
    }
    let json = ["send", "--json-params", r#"{"first_as":0}"#];
    let said = refused(BGPLOAD, &json);
    assert!(said.contains("AS 0 is no AS number"), "{said}");
    // The second session would be one too many.
    let said = refused(
        BGPLOAD,
        &["full-table", "--as", "4294967295", "--print-peers"],
    );
    assert!(said.contains("no AS numbers for 2 sessions"), "{said}");
}

#[test]
fn nobody_at_the_address_is_told_with_the_address() {
    // A port of our own where nobody listens any more.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener
        .local_addr()
        .expect("an address")
        .port()
        .to_string();
    drop(listener);
    for verb in ["send", "receive", "full-table"] {
        let begin = Instant::now();
        let said = refused(
            BGPLOAD,
            &[
                verb,
                "--table",
                "10",
                "--port",
                &port,
                "--connect-timeout",
                "0.3",
            ],
        );
        assert!(
            said.contains(&format!("connect to 127.0.0.1:{port}: not finished")),
            "{said}"
        );
        assert!(said.contains("refused"), "{said}");
        assert!(begin.elapsed() < Duration::from_secs(60), "{said}");
    }
}

#[test]
fn help_shows_how_a_dump_is_sent() {
    let output = run(BGPLOAD, &["send", "--help"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("bgpload send --mrt "), "{said}");
}

#[test]
fn a_next_hop_of_the_other_family_is_refused() {
    for (verb, address, family) in [
        ("full-table", "2001:db8::1", "Ipv4"),
        ("send", "2001:db8::1", "Ipv4"),
        ("ipv6", "192.0.2.1", "Ipv6"),
    ] {
        let said = refused(BGPLOAD, &[verb, "--table", "10", "--next-hop", address]);
        let reason = format!("{address} is no next hop for {family} routes");
        assert!(said.contains(&reason), "{said}");
    }
}
