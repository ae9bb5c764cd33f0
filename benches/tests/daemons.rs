//! Every daemon takes the configuration of every kind of scenario.

use holdfast_bench::runner::arena::Arena;
use holdfast_bench::runner::daemons::{Daemon, Programs, spawn, wait_until_listening};
use holdfast_bench::runner::policies::Policy;
use holdfast_bench::runner::setup::Setup;

fn setups() -> Vec<(&'static str, Setup)> {
    let with = |change: fn(&mut Setup)| {
        let mut setup = Setup::external(3);
        change(&mut setup);
        setup
    };
    vec![
        ("external", Setup::external(3)),
        ("IPv6", Setup::external_ipv6(3)),
        ("reflector", Setup::reflector(3)),
        ("add-path", with(|setup| setup.add_path = true)),
        ("policy", with(|setup| setup.policy = Some(Policy::Simple))),
        (
            "lists",
            with(|setup| setup.policy = Some(Policy::Lists(100))),
        ),
        ("map", with(|setup| setup.policy = Some(Policy::Map))),
        (
            "policy to edit",
            with(|setup| setup.policy = Some(Policy::Out)),
        ),
        (
            "the same inbound",
            with(|setup| setup.policy = Some(Policy::In)),
        ),
        ("kernel", with(|setup| setup.kernel = true)),
        ("coalesce", with(|setup| setup.coalesce_ms = Some(100))),
    ]
}

#[test]
fn other_daemons_start_on_every_setup() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: network namespaces need root");
        return;
    }
    let programs = Programs::find(None);
    for daemon in [Daemon::Bird, Daemon::Frr, Daemon::Gobgp, Daemon::Openbgpd] {
        if !daemon.program(&programs).is_some_and(|path| path.exists()) {
            eprintln!("skipped: {} is not installed", daemon.title());
            continue;
        }
        for (name, setup) in setups() {
            let arena = Arena::new().expect("namespaces");
            let mut process = spawn(daemon, &setup, &arena, &programs)
                .expect("it starts")
                .expect("a daemon");
            wait_until_listening(&mut process, &arena)
                .unwrap_or_else(|error| panic!("{} {name}: {error}", daemon.title()));
            // A line that FRR does not know is only a word in its log.
            let log = process.log_tail(200);
            let complaint = ["nknown command", "error"]
                .iter()
                .find(|word| log.contains(*word));
            assert_eq!(complaint, None, "{} {name}: {log}", daemon.title());
        }
    }
}
