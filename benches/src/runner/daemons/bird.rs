//! BIRD 2: one protocol per neighbour, a kernel protocol only where routes are
//! to go into the kernel.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::runner::arena::{Arena, DAEMON_V4, DAEMON_V6};
use crate::runner::setup::{DAEMON_AS, MAX_PATHS, Setup};

pub(super) const PROGRAM: &str = "/usr/sbin/bird";
pub(super) const COMMAND_LINE: &str = "bird -f -c FILE -s SOCKET -P PIDFILE";

pub(super) fn config(setup: &Setup) -> String {
    let mut text = format!(
        "log stderr {{ warning, error, fatal, bug }};\nrouter id {DAEMON_V4};\n\
         protocol device {{}}\n"
    );
    if setup.policy {
        text.push_str(POLICY);
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
        let (import, export) = if setup.policy {
            ("filter policy_in", "filter policy_out")
        } else {
            ("all", "all")
        };
        let add_path = if setup.add_path {
            " add paths yes;"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "  {family} {{ import {import}; export {export};{add_path} }};\n}}"
        );
    }
    text
}

/// Refuses a prefix list and an AS, sets a preference and a community; refuses
/// one community on the way out and prepends.
const POLICY: &str = "\
filter policy_in {
  if net ~ [ 10.0.0.0/8+, 172.16.0.0/12+, 192.168.0.0/16+ ] then reject;
  if bgp_path ~ [= * 64666 * =] then reject;
  bgp_local_pref = 150;
  bgp_community.add((65000, 1));
  accept;
}
filter policy_out {
  if (65000, 666) ~ bgp_community then reject;
  bgp_path.prepend(65000);
  accept;
}
";

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

pub(super) fn query(arena: &Arena) -> Command {
    let mut command = Command::new("/usr/sbin/birdc");
    command
        .arg("-s")
        .arg(arena.path("bird.ctl"))
        .args(["show", "route"]);
    command
}
