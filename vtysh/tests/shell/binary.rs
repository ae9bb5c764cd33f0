//! The program `vtysh`: arguments, exit codes, scripts.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::recorded;
use crate::server::Daemon;

fn vtysh(daemon: &Daemon) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vtysh"));
    command.arg("--socket").arg(daemon.socket());
    command
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("vtysh");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn commands_share_the_mode_and_stop_at_the_first_error() {
    let daemon = Daemon::start(recorded::none());
    let (code, text, _) = run(vtysh(&daemon).args([
        "-c",
        "conf t",
        "-c",
        "router bgp 65001\nneighbor 10.0.0.1 remote-as 65002",
        "-c",
        "do show running-config | include neighbor",
        "-c",
        "neighbor 10.0.0.2 timers 3 9",
        "-c",
        "do show daemons",
    ]));
    assert_eq!(code, Some(1));
    assert_eq!(
        text,
        " neighbor 10.0.0.1 remote-as 65002\n% Specify remote-as or peer-group commands first\n"
    );
}

#[test]
fn what_the_daemon_has_to_say_is_no_failure() {
    let daemon = Daemon::start(recorded::r1());
    let (code, text, _) =
        run(vtysh(&daemon).args(["-E", "-c", "clear bgp 1.2.3.4", "-c", "show daemons"]));
    assert_eq!(code, Some(0));
    assert_eq!(
        text,
        "r1# clear bgp 1.2.3.4\n% BGP: Unknown neighbor - \"1.2.3.4\"\nr1# show daemons\n zebra bgpd\n"
    );
    let (code, text, _) = run(vtysh(&daemon).args(["-c", "exit", "-c", "show daemons"]));
    assert_eq!((code, text.as_str()), (Some(0), ""));
}

#[test]
fn a_file_of_lines_is_applied() {
    let daemon = Daemon::start(recorded::none());
    let file = daemon.path("lines.conf");
    std::fs::write(&file, "hostname r7\nrouter bgp 65001\nexit\n").expect("a file");
    let (code, text, _) = run(vtysh(&daemon).arg("-f").arg(&file));
    assert_eq!((code, text.as_str()), (Some(0), ""));
    std::fs::write(&file, "foo\n").expect("a file");
    let (code, text, _) = run(vtysh(&daemon).arg("-f").arg(&file));
    assert_eq!(
        (code, text.as_str()),
        (Some(2), "line 1: % Unknown command: foo\n")
    );
    let (code, _, errors) = run(vtysh(&daemon).arg("-f").arg(daemon.path("nowhere")));
    assert_eq!(code, Some(1));
    assert!(errors.starts_with("vtysh: cannot read "), "{errors}");
}

#[test]
fn a_script_on_the_standard_input_is_echoed() {
    let daemon = Daemon::start(recorded::none());
    let mut child = vtysh(&daemon)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("vtysh");
    let mut input = child.stdin.take().expect("the input");
    input
        .write_all(b"conf t\nfoo bar\nend\nshow daemons\n")
        .expect("a script");
    drop(input);
    let output = child.wait_with_output().expect("the output");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let (banner, rest) = text.split_at(text.find("r1# ").expect("a prompt"));
    assert!(
        banner.starts_with("\nHello, this is Holdfast (version "),
        "{banner}"
    );
    assert_eq!(
        rest,
        "r1# conf t\nr1(config)# foo bar\n% Unknown command: foo bar\nr1(config)# end\n\
         r1# show daemons\n zebra bgpd\nr1# \n"
    );
}

#[test]
fn without_a_daemon_the_socket_and_the_remedy_are_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("bgpd.sock");
    let mut command = Command::new(env!("CARGO_BIN_EXE_vtysh"));
    command
        .arg("--socket")
        .arg(&socket)
        .args(["-c", "show version"]);
    let (code, text, errors) = run(&mut command);
    assert_eq!((code, text.as_str()), (Some(1), ""));
    let expected = format!(
        "vtysh: cannot connect to {}: No such file",
        socket.display()
    );
    assert!(errors.starts_with(&expected), "{errors}");
    assert!(errors.contains("Is bgpd running?"), "{errors}");
    // A socket file that nobody listens on any more.
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket"));
    let (code, _, errors) = run(&mut command);
    assert_eq!(code, Some(1));
    assert!(errors.contains("Connection refused"), "{errors}");
    assert!(errors.contains("--socket PATH"), "{errors}");
}
