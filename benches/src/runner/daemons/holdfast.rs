//! This project's daemon.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use super::Programs;
use crate::runner::arena::{Arena, DAEMON_V4};
use crate::runner::policies::Policy;
use crate::runner::setup::{DAEMON_AS, MAX_PATHS, Setup};

pub(super) const COMMAND_LINE: &str = "bgpd -n -f FILE --socket SOCKET --log-level warn";

pub(super) fn config(setup: &Setup) -> String {
    let policy = setup.policy.map(Policy::frr).unwrap_or_default();
    let mut text = format!(
        "hostname bench\n{policy}!\nrouter bgp {DAEMON_AS}\n bgp router-id {DAEMON_V4}\n \
         no bgp ebgp-requires-policy\n"
    );
    if setup.kernel {
        text.push_str(" bgp bestpath as-path multipath-relax\n");
    }
    // Writing into a String does not fail.
    for neighbor in &setup.neighbors {
        let (address, asn) = (neighbor.address, neighbor.asn);
        let _ = write!(
            text,
            " neighbor {address} remote-as {asn}\n neighbor {address} passive\n"
        );
    }
    let family = if setup.ipv6 { "ipv6" } else { "ipv4" };
    let _ = write!(text, " !\n address-family {family} unicast\n");
    if setup.kernel {
        let _ = writeln!(text, "  maximum-paths {MAX_PATHS}");
    }
    for neighbor in &setup.neighbors {
        let address = neighbor.address;
        let _ = writeln!(text, "  neighbor {address} activate");
        if setup.reflector {
            let _ = writeln!(text, "  neighbor {address} route-reflector-client");
        }
        if setup.add_path {
            let _ = writeln!(text, "  neighbor {address} addpath-tx-all-paths");
        }
        let ways = setup.policy.map(|policy| policy.directions(neighbor.index));
        if ways.is_some_and(|ways| ways.inbound) {
            let _ = writeln!(text, "  neighbor {address} route-map IN in");
        }
        if ways.is_some_and(|ways| ways.outbound) {
            let _ = writeln!(text, "  neighbor {address} route-map OUT out");
        }
    }
    text.push_str(" exit-address-family\nexit\n");
    text
}

pub(super) fn command(setup: &Setup, arena: &Arena, programs: &Programs, file: &Path) -> Command {
    let mut command = arena.daemon_command(&programs.bgpd);
    if !setup.kernel {
        command.arg("-n");
    }
    command
        .args(["--log-level", "warn", "-f"])
        .arg(file)
        .arg("--socket")
        .arg(arena.path("api.sock"));
    command
}

/// Types lines into the shell, in the mode for the configuration.
pub(super) fn edit(arena: &Arena, programs: &Programs, lines: &[String]) -> Command {
    let mut command = Command::new(&programs.vtysh);
    command.arg("--socket").arg(arena.path("api.sock"));
    command.args(["-c", "configure terminal"]);
    for line in lines {
        command.args(["-c", line]);
    }
    command
}

pub(super) fn query(setup: &Setup, arena: &Arena, programs: &Programs) -> Command {
    let mut command = Command::new(&programs.vtysh);
    let family = if setup.ipv6 { "ipv6" } else { "ipv4" };
    command
        .arg("--socket")
        .arg(arena.path("api.sock"))
        .args(["-c", &format!("show bgp {family} unicast json")]);
    command
}
