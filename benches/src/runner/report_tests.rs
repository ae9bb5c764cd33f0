//! What the page says of given results.

use std::collections::BTreeMap;

use super::*;
use crate::runner::machine::Machine;
use crate::runner::results::Outcome;

fn record(daemon: Daemon, batch: u64, outcome: Outcome) -> Record {
    Record {
        batch,
        scenario: Scenario::FullTable,
        daemon,
        variant: String::new(),
        version: format!("{} 1.0", daemon.name()),
        machine: Machine {
            processor: "a processor".to_owned(),
            cores: 2,
            memory: 8_000_000_000,
            kernel: "6.1".to_owned(),
        },
        load_average: 0.1,
        quick: false,
        outcome,
    }
}

fn done(announce: f64, rss: f64) -> Outcome {
    let values = [
        ("announce_s", announce),
        ("withdraw_s", 1.0),
        ("peak_rss", rss),
        ("cpu_s", 1.0),
    ];
    Outcome::Done {
        values: values
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect::<BTreeMap<_, _>>(),
        notes: Vec::new(),
    }
}

fn row_of<'a>(table: &'a str, title: &str) -> Vec<&'a str> {
    table
        .lines()
        .find(|line| line.starts_with(&format!("| {title} |")))
        .unwrap_or_else(|| panic!("no row {title} in\n{table}"))
        .split('|')
        .map(str::trim)
        .collect()
}

#[test]
fn ratios_are_of_medians() {
    let records = vec![
        record(Daemon::Holdfast, 1, done(1.0, 50e6)),
        record(Daemon::Bird, 1, done(2.0, 100e6)),
        record(Daemon::Holdfast, 1, done(9.0, 50e6)),
        record(Daemon::Bird, 1, done(2.0, 100e6)),
        record(Daemon::Holdfast, 1, done(1.0, 50e6)),
    ];
    let table = table(Scenario::FullTable, &records);
    let ours = row_of(&table, "Holdfast");
    assert_eq!(ours[2..7], ["3", "1.000", "1.000", "50.0", "1.00"]);
    assert_eq!(ours[7..11], ["", "", "", ""]);
    assert_eq!(ours[11], "800 %");
    let bird = row_of(&table, "BIRD");
    assert_eq!(bird[7..11], ["0.50", "1.00", "0.50", "1.00"]);
}

#[test]
fn failures_and_obstacles_are_shown() {
    let failed = Outcome::Failed {
        reason: "too\nlate".to_owned(),
    };
    let impossible = Outcome::Impossible {
        reason: "it lacks that".to_owned(),
    };
    let records = vec![
        record(Daemon::Bird, 1, done(2.0, 1e6)),
        record(Daemon::Bird, 1, failed.clone()),
        record(Daemon::Frr, 1, failed),
        record(Daemon::Gobgp, 1, impossible),
    ];
    let table = table(Scenario::FullTable, &records);
    assert_eq!(row_of(&table, "BIRD")[2..4], ["2, 1 failed", "2.000"]);
    assert_eq!(row_of(&table, "FRR")[2..4], ["1, 1 failed", "-"]);
    assert_eq!(row_of(&table, "GoBGP")[2..4], ["-", "-"]);
    assert!(
        table.contains("BIRD: 1 of 2 runs failed: too late"),
        "{table}"
    );
    assert!(table.contains("GoBGP: it lacks that."), "{table}");
}

#[test]
fn what_lacks_in_a_run_is_told_below_and_does_not_count_as_failed() {
    let values = BTreeMap::from([("p50_s".to_owned(), 0.002), ("p99_s".to_owned(), 0.004)]);
    let notes = vec!["no number at full speed".to_owned()];
    let skipped = Outcome::Skipped {
        reason: "the first one took 140 s".to_owned(),
    };
    let mut records = vec![
        record(Daemon::Openbgpd, 1, Outcome::Done { values, notes }),
        record(Daemon::Openbgpd, 1, skipped.clone()),
        record(Daemon::Openbgpd, 1, skipped),
    ];
    for record in &mut records {
        record.scenario = Scenario::Churn;
    }
    let table = table(Scenario::Churn, &records);
    let row = row_of(&table, "OpenBGPD");
    assert_eq!(row[2..6], ["1", "2.00", "4.00", "-"], "{table}");
    for note in [
        "- OpenBGPD: in 1 of 1 runs no number at full speed\n",
        "- OpenBGPD: 2 runs were left out: the first one took 140 s\n",
    ] {
        assert!(table.contains(note), "{table}");
    }
}

#[test]
fn only_the_latest_batch_counts_and_quick_runs_never() {
    let mut quick = record(Daemon::Bird, 3, done(0.1, 1e6));
    quick.quick = true;
    let records = vec![
        record(Daemon::Bird, 1, done(2.0, 1e6)),
        record(Daemon::Holdfast, 1, done(2.0, 1e6)),
        record(Daemon::Holdfast, 2, done(1.0, 1e6)),
        quick,
    ];
    let table = table(Scenario::FullTable, &records);
    assert_eq!(row_of(&table, "Holdfast")[2..4], ["1", "1.000"]);
    assert_eq!(row_of(&table, "BIRD")[2..4], ["1", "2.000"]);
    assert!(table.contains("- BIRD: measured earlier"), "{table}");
    assert!(!table.contains("- Holdfast: measured earlier"), "{table}");
}

#[test]
fn a_block_is_replaced_and_the_rest_kept() {
    let page = "# Title\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nend\n";
    let once = replace_block(page, "x", "new").expect("a block");
    assert_eq!(
        once,
        "# Title\n<!-- bench:x -->\n\nnew\n\n<!-- /bench:x -->\nend\n"
    );
    assert_eq!(replace_block(&once, "x", "new").expect("a block"), once);
    assert!(replace_block(page, "y", "new").is_err());
}

#[test]
fn the_page_of_this_project_has_all_blocks() {
    let page = include_str!("../../../docs/benchmarks.md");
    for name in Scenario::ALL.map(Scenario::name).iter().chain(&["machine"]) {
        replace_block(page, name, "").unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn thousands_are_grouped() {
    assert_eq!(grouped("1234567.25"), "1,234,567.25");
    assert_eq!(grouped("1234"), "1234");
    assert_eq!(grouped("12345"), "12,345");
}

#[test]
fn a_page_without_the_blocks_is_left_as_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let page = directory.path().join("page.md");
    // The first block that is written is there, the second is not.
    let before = "<!-- bench:machine -->\nold\n<!-- /bench:machine -->\n";
    std::fs::write(&page, before).expect("a page");
    let records = [record(Daemon::Bird, 1, done(2.0, 1e6))];
    let error = write(&page, directory.path(), &records).expect_err("no block");
    let said = error.to_string();
    assert!(said.contains("page.md"), "{said}");
    assert!(said.contains("bench:full-table"), "{said}");
    let left = std::fs::read_to_string(&page).expect("the page");
    assert_eq!(left, before);
}

#[test]
fn next_hops_are_compared_with_as_many() {
    let of = |daemon, variant: &str, install: f64| {
        let values = BTreeMap::from([("install_s".to_owned(), install)]);
        let notes = Vec::new();
        Record {
            scenario: Scenario::Fib,
            variant: variant.to_owned(),
            ..record(daemon, 1, Outcome::Done { values, notes })
        }
    };
    let records = [
        of(Daemon::Holdfast, "16", 4.0),
        of(Daemon::Holdfast, "1", 1.0),
        of(Daemon::Writer, "16", 2.0),
        of(Daemon::Writer, "1", 0.1),
    ];
    let table = table(Scenario::Fib, &records);
    let titles: Vec<&str> = table
        .lines()
        .skip(2)
        .filter_map(|line| Some(line.split('|').nth(1)?.trim()))
        .collect();
    let writer = "only writing, next hops in each route";
    let (one, many) = (
        format!("{writer}, 1 next hop"),
        format!("{writer}, 16 next hops"),
    );
    let expected = [
        "Holdfast, 1 next hop",
        &one,
        "Holdfast, 16 next hops",
        &many,
    ];
    assert_eq!(titles, expected);
    assert_eq!(row_of(&table, &many)[8], "2.00", "{table}");
    assert_eq!(row_of(&table, &one)[8], "10.00", "{table}");
}
