//! What a results file may be, and what is said of runs that all failed.

use super::*;

fn record(outcome: Outcome, quick: bool) -> Record {
    Record {
        batch: 1,
        scenario: Scenario::FullTable,
        daemon: Daemon::Bird,
        variant: String::new(),
        version: String::new(),
        machine: Machine {
            processor: "a processor".to_owned(),
            cores: 2,
            memory: 8_000_000_000,
            kernel: "6.1".to_owned(),
        },
        load_average: 0.1,
        quick,
        outcome,
    }
}

fn done() -> Outcome {
    Outcome::Done {
        values: BTreeMap::new(),
        notes: Vec::new(),
    }
}

fn failed(reason: &str) -> Outcome {
    Outcome::Failed {
        reason: reason.to_owned(),
    }
}

#[test]
fn what_is_no_regular_file_is_neither_read_nor_written() {
    let directory = tempfile::tempdir().expect("a directory");
    for path in [Path::new("/dev/full"), directory.path()] {
        let results = Results::new(path);
        for error in [results.read().err(), results.check_writable().err()] {
            let text = error.expect("refused").to_string();
            assert!(text.ends_with(": not a regular file"), "{text}");
        }
    }
}

#[test]
fn directories_are_created_only_when_that_is_asked_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let inner = directory.path().join("a/b");
    let results = Results::new(&inner.join("results.jsonl"));
    assert!(results.check_writable().is_err());
    assert!(results.add(&record(done(), false)).is_err());
    assert!(!directory.path().join("a").exists());
    results.create_directory().expect("directories");
    results.check_writable().expect("a file");
    let kept = record(failed("x"), false);
    results.add(&kept).expect("a line");
    results.check_writable().expect("nothing is cut off");
    assert_eq!(results.read().expect("records"), [kept]);
}

#[test]
fn a_report_needs_records_of_full_size() {
    let directory = tempfile::tempdir().expect("a directory");
    let results = Results::new(&directory.path().join("results.jsonl"));
    let complaint = || results.read_for_report().err().map(|e| e.to_string());
    let says = |words: &str| complaint().is_some_and(|text| text.contains(words));
    assert!(says("no such file"), "{:?}", complaint());
    results.check_writable().expect("a file");
    assert!(says("no results"), "{:?}", complaint());
    results.add(&record(done(), true)).expect("a line");
    assert!(says("quick"), "{:?}", complaint());
    results.add(&record(done(), false)).expect("a line");
    assert_eq!(complaint(), None);
}

#[test]
fn runs_that_all_fail_are_complained_about() {
    let some = [record(failed("too\nlate"), false), record(done(), false)];
    assert_eq!(complaint(&some), None);
    let text = complaint(&some[..1]).expect("a complaint");
    assert_eq!(text, "the first one, full-table bird: too late");
    assert!(complaint(&[]).is_some());
}
