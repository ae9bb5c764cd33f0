//! BIRD 2: one protocol per neighbour, a kernel protocol only where routes are
//! to go into the kernel.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::runner::arena::{Arena, DAEMON_V4, DAEMON_V6};
use crate::runner::policies::Policy;
use crate::runner::setup::{DAEMON_AS, MAX_PATHS, Setup};

pub(super) const PROGRAM: &str = "/usr/sbin/bird";
pub(super) const COMMAND_LINE: &str = "bird -f -c FILE -s SOCKET -P PIDFILE";

pub(super) fn config(setup: &Setup) -> String {
    let mut text = format!(
        "log stderr {{ warning, error, fatal, bug }};\nrouter id {DAEMON_V4};\n\
         protocol device {{}}\n"
    );
    if let Some(policy) = setup.policy {
        text.push_str(&policy.bird());
    }
    if setup.kernel {
        // Scans are for what others do to the table, and nobody does here.
        let _ = writeln!(
            text,
            "protocol kernel {{\n  learn no;\n  persist no;\n  scan time 3600;\n  \
             merge paths on limit {MAX_PATHS};\n  ipv4 {{ import none; export all; }};\n}}"
        );
    }
    for neighbor in &setup.neighbors {
        let _ = writeln!(
            text,
            "protocol bgp p{} {{\n  local {} as {DAEMON_AS};\n  neighbor {} as {};\n  direct;\n  \
             passive yes;",
            neighbor.index,
            if setup.ipv6 {
                DAEMON_V6.to_string()
            } else {
                DAEMON_V4.to_string()
            },
            neighbor.address,
            neighbor.asn,
        );
        if setup.reflector {
            text.push_str("  rr client;\n");
        }
        let family = if setup.ipv6 { "ipv6" } else { "ipv4" };
        let filtered = setup.policy.map(|policy| policy.directions(neighbor.index));
        let import = match filtered {
            Some(ways) if ways.inbound => "filter policy_in",
            _ => "all",
        };
        let export = match filtered {
            Some(ways) if ways.outbound => "filter policy_out",
            _ => "all",
        };
        // Without, an edit of what comes in would ask the neighbor for all of it.
        let kept = match setup.policy {
            Some(Policy::In) if neighbor.index == 0 => " import table yes;",
            _ => "",
        };
        let add_path = if setup.add_path {
            " add paths yes;"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "  {family} {{ import {import}; export {export};{add_path}{kept} }};\n}}"
        );
    }
    text
}

pub(super) fn command(arena: &Arena, file: &Path) -> Command {
    let mut command = arena.daemon_command(PROGRAM);
    command
        .arg("-f")
        .arg("-c")
        .arg(file)
        .arg("-s")
        .arg(arena.path("bird.ctl"))
        .arg("-P")
        .arg(arena.path("bird.pid"));
    command
}

/// What makes it take its configuration anew.
pub(super) fn reconfigure(arena: &Arena) -> Command {
    let mut command = Command::new("/usr/sbin/birdc");
    command
        .arg("-s")
        .arg(arena.path("bird.ctl"))
        .arg("configure");
    command
}

pub(super) fn query(arena: &Arena) -> Command {
    let mut command = Command::new("/usr/sbin/birdc");
    command
        .arg("-s")
        .arg(arena.path("bird.ctl"))
        .args(["show", "route"]);
    command
}
