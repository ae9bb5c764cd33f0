//! FRR's `bgpd`, alone where nothing goes into the kernel: without zebra it
//! takes all next hops for valid.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::User;

use crate::runner::arena::{Arena, DAEMON_V4};
use crate::runner::error::{Error, Result, io};
use crate::runner::policies::Policy;
use crate::runner::setup::{DAEMON_AS, MAX_PATHS, Setup};

pub(super) const PROGRAM: &str = "/usr/lib/frr/bgpd";
pub(super) const COMMAND_LINE: &str = "/usr/lib/frr/bgpd -n -Z -S -P 0 -f FILE -i PIDFILE --vty_socket DIR --log stdout --log-level warnings";

/// Whom zebra runs as.
const USER: &str = "frr";

/// It reads a prefix list in a time that grows with the square of its length:
/// 1000 entries in 8 s, 2000 in 34 s on the machine of the report.
pub(super) fn obstacle(setup: &Setup) -> Option<&'static str> {
    match setup.policy {
        Some(Policy::Lists(entries)) if entries > 2000 => {
            Some("it takes a quarter of an hour to read a prefix list of that length")
        }
        _ => None,
    }
}

pub(super) fn config(setup: &Setup) -> String {
    // Before its use: FRR looks at what is defined later only after some
    // seconds, and then asks the neighbours to send everything again.
    let policy = setup.policy.map(Policy::frr).unwrap_or_default();
    let mut text = format!(
        "frr defaults traditional\nhostname bench\n{policy}!\nrouter bgp {DAEMON_AS}\n \
         bgp router-id {DAEMON_V4}\n no bgp ebgp-requires-policy\n \
         no bgp default ipv4-unicast\n no bgp network import-check\n"
    );
    if setup.policy.is_some() {
        // How long an edit waits for further ones; 5 s if nothing is said.
        text.push_str(" bgp route-map delay-timer 1\n");
    }
    if let Some(milliseconds) = setup.coalesce_ms {
        let _ = writeln!(text, " coalesce-time {milliseconds}");
    }
    if setup.kernel {
        text.push_str(" bgp bestpath as-path multipath-relax\n");
    }
    for neighbor in &setup.neighbors {
        let (address, asn) = (neighbor.address, neighbor.asn);
        let _ = write!(
            text,
            " neighbor {address} remote-as {asn}\n neighbor {address} passive\n"
        );
        if !setup.reflector && !setup.kernel {
            // The interfaces are zebra's to know.
            let _ = writeln!(text, " neighbor {address} disable-connected-check");
        }
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
        if let Some(policy) = setup.policy {
            let ways = policy.directions(neighbor.index);
            if ways.inbound {
                let _ = writeln!(text, "  neighbor {address} route-map IN in");
            }
            if ways.outbound {
                let _ = writeln!(text, "  neighbor {address} route-map OUT out");
            }
            if policy == Policy::In && ways.inbound {
                // Without, an edit would ask the neighbor for everything.
                let _ = writeln!(text, "  neighbor {address} soft-reconfiguration inbound");
            }
        }
    }
    text.push_str(" exit-address-family\nexit\n");
    text
}

/// Starts zebra, and `bgpd` as soon as zebra can be talked to. The shell becomes
/// `bgpd`, so that zebra is its child; the kernel ends zebra with it. The
/// receive buffer is that of Debian's configuration. Unlike `bgpd`, zebra
/// insists on giving its privileges up.
const WITH_ZEBRA: &str = "\
setpriv --pdeathsig KILL -- /usr/lib/frr/zebra -P 0 -s 90000000 --log stdout \
  --log-level warnings -f /dev/null -z \"$1/zserv\" -i \"$1/zebra.pid\" --vty_socket \"$1\" &
until [ -S \"$1/zserv\" ]; do
  kill -0 $! || exit 1
  sleep 0.02
done
exec /usr/lib/frr/bgpd -S -P 0 --log stdout --log-level warnings -f \"$2\" -z \"$1/zserv\" \
  -i \"$1/bgpd.pid\" --vty_socket \"$1\"
";

/// Makes a directory for the sockets of both, which zebra can write to.
fn directory_of_zebra(arena: &Arena) -> Result<PathBuf> {
    let directory = arena.path("frr");
    std::fs::create_dir_all(&directory).map_err(io(&directory))?;
    let passable = Permissions::from_mode(0o711);
    std::fs::set_permissions(arena.directory(), passable).map_err(io(&directory))?;
    let user = User::from_name(USER).ok().flatten();
    let (uid, gid) = user
        .map(|user| (user.uid.as_raw(), user.gid.as_raw()))
        .ok_or_else(|| Error::Daemon(format!("there is no user {USER}")))?;
    chown(&directory, Some(uid), Some(gid)).map_err(io(&directory))?;
    Ok(directory)
}

fn with_zebra(arena: &Arena, file: &Path) -> Result<Command> {
    let mut command = arena.daemon_command("sh");
    command.args(["-c", WITH_ZEBRA, "sh"]);
    command.arg(directory_of_zebra(arena)?).arg(file);
    Ok(command)
}

pub(super) fn command(setup: &Setup, arena: &Arena, file: &Path) -> Result<Command> {
    if setup.kernel {
        return with_zebra(arena, file);
    }
    let mut command = arena.daemon_command(PROGRAM);
    command
        .args(["-n", "-Z", "-S", "-P", "0"])
        .args(["--log", "stdout", "--log-level", "warnings"])
        .arg("-f")
        .arg(file)
        .arg("-i")
        .arg(arena.path("bgpd.pid"))
        .arg("--vty_socket")
        .arg(arena.directory());
    Ok(command)
}

/// Types lines into the shell, in the mode for the configuration.
pub(super) fn edit(arena: &Arena, lines: &[String]) -> Command {
    let mut command = Command::new("/usr/bin/vtysh");
    command.arg("--vty_socket").arg(arena.directory());
    command.args(["-d", "bgpd", "-c", "configure terminal"]);
    for line in lines {
        command.args(["-c", line]);
    }
    command
}

pub(super) fn query(setup: &Setup, arena: &Arena) -> Command {
    let mut command = Command::new("/usr/bin/vtysh");
    let family = if setup.ipv6 { "ipv6" } else { "ipv4" };
    command.arg("--vty_socket").arg(arena.directory()).args([
        "-d",
        "bgpd",
        "-c",
        &format!("show bgp {family} unicast json"),
    ]);
    command
}
