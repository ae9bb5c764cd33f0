//! GoBGP: a TOML file with a section per neighbour.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::runner::arena::{Arena, DAEMON_V4, DAEMON_V6};
use crate::runner::setup::{DAEMON_AS, Setup};

pub(super) const PROGRAM: &str = "/usr/bin/gobgpd";
pub(super) const COMMAND_LINE: &str =
    "gobgpd --api-hosts unix://SOCKET --pprof-disable -l warn -t toml -f FILE";

pub(super) fn config(setup: &Setup) -> String {
    let listen = if setup.ipv6 {
        DAEMON_V6.to_string()
    } else {
        DAEMON_V4.to_string()
    };
    let mut text = format!(
        "[global.config]\nas = {DAEMON_AS}\nrouter-id = \"{DAEMON_V4}\"\n\
         local-address-list = [\"{listen}\"]\n"
    );
    if setup.policy.is_some() {
        text.push_str(POLICY_GLOBAL);
    }
    let family = if setup.ipv6 {
        "ipv6-unicast"
    } else {
        "ipv4-unicast"
    };
    for neighbor in &setup.neighbors {
        let _ = write!(
            text,
            "[[neighbors]]\n[neighbors.config]\nneighbor-address = \"{}\"\npeer-as = {}\n\
             [neighbors.transport.config]\npassive-mode = true\n",
            neighbor.address, neighbor.asn
        );
        if setup.reflector {
            let _ = write!(
                text,
                "[neighbors.route-reflector.config]\nroute-reflector-client = true\n\
                 route-reflector-cluster-id = \"{DAEMON_V4}\"\n"
            );
        }
        let _ = write!(
            text,
            "[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = \"{family}\"\n"
        );
        if setup.add_path {
            let _ = write!(
                text,
                "[neighbors.afi-safis.add-paths.config]\nreceive = true\nsend-max = 8\n"
            );
        }
    }
    if setup.policy.is_some() {
        text.push_str(POLICY);
    }
    text
}

const POLICY_GLOBAL: &str = "\
[global.apply-policy.config]
import-policy-list = [\"policy-in\"]
default-import-policy = \"accept-route\"
export-policy-list = [\"policy-out\"]
default-export-policy = \"accept-route\"
";

/// The same as for BIRD.
const POLICY: &str = "\
[[defined-sets.prefix-sets]]
prefix-set-name = \"private\"
[[defined-sets.prefix-sets.prefix-list]]
ip-prefix = \"10.0.0.0/8\"
masklength-range = \"8..32\"
[[defined-sets.prefix-sets.prefix-list]]
ip-prefix = \"172.16.0.0/12\"
masklength-range = \"12..32\"
[[defined-sets.prefix-sets.prefix-list]]
ip-prefix = \"192.168.0.0/16\"
masklength-range = \"16..32\"
[[defined-sets.bgp-defined-sets.as-path-sets]]
as-path-set-name = \"bad\"
as-path-list = [\"_64666_\"]
[[defined-sets.bgp-defined-sets.community-sets]]
community-set-name = \"stop\"
community-list = [\"65000:666\"]
[[policy-definitions]]
name = \"policy-in\"
[[policy-definitions.statements]]
name = \"private\"
[policy-definitions.statements.conditions.match-prefix-set]
prefix-set = \"private\"
[policy-definitions.statements.actions]
route-disposition = \"reject-route\"
[[policy-definitions.statements]]
name = \"bad\"
[policy-definitions.statements.conditions.bgp-conditions.match-as-path-set]
as-path-set = \"bad\"
[policy-definitions.statements.actions]
route-disposition = \"reject-route\"
[[policy-definitions.statements]]
name = \"rest\"
[policy-definitions.statements.actions]
route-disposition = \"accept-route\"
[policy-definitions.statements.actions.bgp-actions]
set-local-pref = 150
[policy-definitions.statements.actions.bgp-actions.set-community]
options = \"add\"
[policy-definitions.statements.actions.bgp-actions.set-community.set-community-method]
communities-list = [\"65000:1\"]
[[policy-definitions]]
name = \"policy-out\"
[[policy-definitions.statements]]
name = \"stop\"
[policy-definitions.statements.conditions.bgp-conditions.match-community-set]
community-set = \"stop\"
[policy-definitions.statements.actions]
route-disposition = \"reject-route\"
[[policy-definitions.statements]]
name = \"prepend\"
[policy-definitions.statements.actions]
route-disposition = \"accept-route\"
[policy-definitions.statements.actions.bgp-actions.set-as-path-prepend]
as = \"65000\"
repeat-n = 1
";

pub(super) fn command(arena: &Arena, file: &Path) -> Command {
    let mut command = arena.daemon_command(PROGRAM);
    command
        .arg("--api-hosts")
        .arg(socket(arena))
        .args(["--pprof-disable", "-l", "warn", "-t", "toml", "-f"])
        .arg(file);
    command
}

fn socket(arena: &Arena) -> String {
    format!("unix://{}", arena.path("gobgp.sock").display())
}

pub(super) fn query(setup: &Setup, arena: &Arena) -> Command {
    let mut command = Command::new("/usr/bin/gobgp");
    let family = if setup.ipv6 { "ipv6" } else { "ipv4" };
    command
        .arg("--target")
        .arg(socket(arena))
        .args(["global", "rib", "-a", family, "-j"]);
    command
}
