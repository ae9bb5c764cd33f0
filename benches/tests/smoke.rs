//! A small run of one scenario ends with complete results. Says nothing of
//! times, since other tests run beside it.

use std::path::{Path, PathBuf};
use std::process::Command;

use holdfast_bench::runner::daemons::{Daemon, Programs};
use holdfast_bench::runner::results::{Outcome, Record, Results};
use holdfast_bench::runner::rounds::{Plan, run};
use holdfast_bench::runner::scenarios::{Scale, Scenario};

/// Our daemon; it is in another package, so cargo does not build it for us.
fn our_bgpd() -> PathBuf {
    let test = std::env::current_exe().expect("the test's path");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("the profile's directory");
    let target = profile.parent().expect("the target directory");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet", "-p", "holdfast-bgpd", "--bins"])
        .arg("--target-dir")
        .arg(target);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(
        cargo.status().expect("cargo").success(),
        "bgpd does not build"
    );
    profile.join("bgpd")
}

fn quick(scenarios: &[Scenario], daemons: &[Daemon], variants: &[&str]) -> Vec<Record> {
    let directory = tempfile::tempdir().expect("a directory");
    let results = Results::new(&directory.path().join("results.jsonl"));
    let plan = Plan {
        scenarios: scenarios.to_vec(),
        daemons: daemons.to_vec(),
        variants: variants.iter().map(ToString::to_string).collect(),
        rounds: 1,
        slow_rounds: None,
        scale: Scale::Quick,
        programs: Programs::find(Some(our_bgpd())),
        commit: None,
        batch: None,
        keep: None,
    };
    let mut ended = Vec::new();
    let records = run(&plan, &results, |scenario| {
        ended.push(scenario);
        Ok(())
    })
    .expect("results");
    assert_eq!(ended, scenarios);
    // Not the records themselves: the last digit of a number may change in JSON.
    let who = |records: &[Record]| -> Vec<(Scenario, Daemon)> {
        records
            .iter()
            .map(|record| (record.scenario, record.daemon))
            .collect()
    };
    assert_eq!(who(&results.read().expect("the file")), who(&records));
    records
}

fn assert_complete(record: &Record) {
    let Outcome::Done { values, notes } = &record.outcome else {
        panic!(
            "{:?} {:?}: {:?}",
            record.scenario, record.daemon, record.outcome
        );
    };
    assert_eq!(notes, &Vec::<String>::new(), "{record:?}");
    let is_daemon = record.daemon.command_line().is_some();
    for metric in record.scenario.metrics() {
        if !is_daemon && ["peak_rss", "cpu_s"].contains(&metric.key) {
            continue;
        }
        assert!(
            values.contains_key(metric.key),
            "{} of {record:?}",
            metric.key
        );
    }
    if is_daemon {
        assert!(values["peak_rss"] > 0.0, "{record:?}");
    }
}

#[test]
fn a_quick_full_table_is_complete() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: network namespaces need root");
        return;
    }
    let mut daemons = vec![Daemon::Holdfast, Daemon::Direct];
    if Path::new("/usr/sbin/bird").exists() {
        daemons.push(Daemon::Bird);
    }
    let records = quick(&[Scenario::FullTable], &daemons, &[]);
    assert_eq!(records.len(), daemons.len());
    records.iter().for_each(assert_complete);
}

#[test]
fn a_quick_way_into_the_kernel_is_complete() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: network namespaces need root");
        return;
    }
    let mut daemons = vec![Daemon::Holdfast, Daemon::Writer, Daemon::GroupWriter];
    for (daemon, path) in [
        (Daemon::Bird, "/usr/sbin/bird"),
        (Daemon::Frr, "/usr/lib/frr/zebra"),
    ] {
        if Path::new(path).exists() {
            daemons.push(daemon);
        }
    }
    let records = quick(&[Scenario::Fib], &daemons, &["4"]);
    assert_eq!(records.len(), daemons.len());
    records.iter().for_each(assert_complete);
}
