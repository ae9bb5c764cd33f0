//! OpenBGPD: three processes, the children of the one that is started.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::runner::arena::{Arena, DAEMON_V4};
use crate::runner::error::{Result, io};
use crate::runner::setup::{DAEMON_AS, Setup};

pub(super) const PROGRAM: &str = "/usr/sbin/bgpd";
pub(super) const COMMAND_LINE: &str = "/usr/sbin/bgpd -d -f FILE";
/// Where its unprivileged processes are locked up; Debian makes it at boot.
const JAIL: &str = "/run/openbgpd";

pub(super) fn config(setup: &Setup, arena: &Arena) -> String {
    let mut text = format!(
        "AS {DAEMON_AS}\nrouter-id {DAEMON_V4}\nfib-update no\nreject as-set no\nsocket \"{}\"\n\
         listen on {}\n",
        arena.path("openbgpd.sock").display(),
        setup.daemon_address(),
    );
    for neighbor in &setup.neighbors {
        let _ = write!(
            text,
            "neighbor {} {{\n  remote-as {}\n  passive\n",
            neighbor.address, neighbor.asn
        );
        if setup.reflector {
            text.push_str("  route-reflector\n");
        }
        if setup.add_path {
            text.push_str("  announce add-path recv yes\n  announce add-path send all\n");
        }
        text.push_str("}\n");
    }
    if setup.policy.is_some() {
        text.push_str(POLICY);
    } else {
        text.push_str("allow from any\nallow to any\n");
    }
    text
}

/// The same as for BIRD. The last rule that matches wins, `quick` ends it.
const POLICY: &str = "\
prefix-set private { 10.0.0.0/8 or-longer, 172.16.0.0/12 or-longer, 192.168.0.0/16 or-longer }
deny quick from any prefix-set private
deny quick from any AS 64666
allow from any set { localpref 150 community 65000:1 }
deny quick to any community 65000:666
allow to any set prepend-self 1
";

pub(super) fn command(arena: &Arena, file: &Path) -> Result<Command> {
    std::fs::create_dir_all(JAIL).map_err(io(JAIL))?;
    let mut command = arena.daemon_command(PROGRAM);
    command.arg("-d").arg("-f").arg(file);
    Ok(command)
}

pub(super) fn query(arena: &Arena) -> Command {
    let mut command = Command::new("/usr/sbin/bgpctl");
    command
        .arg("-s")
        .arg(arena.path("openbgpd.sock"))
        .args(["-j", "show", "rib"]);
    command
}
