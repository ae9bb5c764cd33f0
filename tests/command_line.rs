//! What the daemon says to a command line that it cannot follow.

mod harness;

use std::process::{Command, Output};

use harness::holdfast::binary;

/// Runs the daemon without a kernel or a port, which it must not survive.
fn bgpd(arguments: &[&str]) -> (Option<i32>, String) {
    ended(Command::new(binary("bgpd")).args(arguments))
}

fn ended(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.output().expect("the program starts");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[test]
fn a_level_that_does_not_exist_is_refused() {
    let (code, error) = bgpd(&["-n", "-p", "0", "--log-level", "warnin"]);
    assert_eq!(code, Some(1), "{error}");
    let expected = "bgpd: --log-level \"warnin\": expected off, error, warn, info, debug, trace";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn table_zero_is_refused() {
    let (code, error) = bgpd(&["-n", "-p", "0", "--table", "0"]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("0 is not in 1..=4294967295"), "{error}");
}

#[test]
fn a_socket_in_a_directory_that_is_missing_is_refused() {
    let folder = tempfile::tempdir().expect("a directory");
    let missing = folder.path().join("missing");
    let socket = missing.join("bgpd.sock");
    let socket = socket.to_str().expect("a plain path");
    let (code, error) = bgpd(&["-n", "-p", "0", "--socket", socket]);
    assert_eq!(code, Some(1), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains(socket), "{error}");
    assert!(error.contains("No such file or directory"), "{error}");
    assert!(!missing.exists());
}

#[test]
fn a_kernel_that_may_not_be_written_to_is_said_at_once() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: dropping rights needs root");
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let socket = folder.path().join("bgpd.sock");
    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set=-net_admin", "--inh-caps=-net_admin", "--"])
        .arg(binary("bgpd"))
        .args(["-p", "0", "--socket"])
        .arg(&socket);
    let (code, error) = ended(&mut command);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("CAP_NET_ADMIN"), "{error}");
    assert!(error.contains("-n"), "{error}");
}
