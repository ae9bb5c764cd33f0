//! The writer and the observer against the kernel, in a namespace.

use std::time::{Duration, Instant};

use super::netlink::{Batch, DELNEXTHOP, DELROUTE, INET, MAIN, Socket};
use super::routes::{Hops, NHA_ID, RTA_DST};
use super::watch::{Goal, Watch, pair};
use super::writer::{Style, Writer};
use crate::load::Table;
use crate::runner::arena::Arena;
use crate::runner::error::{Error, Result};

/// Until what should come has come, on a machine with other work.
const PATIENCE: Duration = Duration::from_secs(30);
/// Until what should not come has not come.
const IMPATIENCE: Duration = Duration::from_millis(50);

fn is_root() -> bool {
    let root = nix::unistd::Uid::effective().is_root();
    if !root {
        eprintln!("skipped: network namespaces need root");
    }
    root
}

/// Runs `work` in a namespace with an observer of the table beside it.
fn observed(table: &Table, work: impl FnOnce(Watch) -> Result<()> + Send) {
    let arena = Arena::new().expect("namespaces");
    let (watch, observer) = pair();
    std::thread::scope(|scope| {
        let arena = &arena;
        let observing = scope.spawn(move || arena.in_daemon(|| observer.run(table.prefixes())));
        arena.in_daemon(|| work(watch)).expect("the work");
        observing.join().expect("no panic").expect("a socket");
    });
}

fn seen(watch: &Watch, goal: Goal) -> Result<()> {
    watch.begin(goal, Instant::now() + PATIENCE);
    watch.wait().map(drop)
}

/// What the observer says of a goal that is not reached.
fn missed(watch: &Watch, goal: Goal) -> String {
    watch.begin(goal, Instant::now() + IMPATIENCE);
    match watch.wait() {
        Err(Error::Timeout(reason)) => reason,
        other => panic!("{goal:?}: {other:?}"),
    }
}

#[test]
fn what_the_writer_writes_is_seen() {
    if !is_root() {
        return;
    }
    let table = Table::ipv4(3000, 1);
    for style in [Style::Multipath, Style::Group] {
        for hops in [1, 4] {
            observed(&table, |watch| {
                let mut writer = Writer::new(style, table.prefixes(), hops)?;
                seen(&watch, Goal::Gone)?;
                missed(&watch, Goal::By(Hops::first(hops)));
                writer.install()?;
                seen(&watch, Goal::By(Hops::first(hops)))?;
                if hops > 1 {
                    missed(&watch, Goal::By(Hops::first(hops - 1)));
                    writer.lose()?;
                    seen(&watch, Goal::By(Hops::first(hops - 1)))?;
                }
                missed(&watch, Goal::Gone);
                writer.withdraw()?;
                seen(&watch, Goal::Gone)
            });
        }
    }
}

#[test]
fn one_route_that_lacks_is_found() {
    if !is_root() {
        return;
    }
    let table = Table::ipv4(5000, 1);
    observed(&table, |watch| {
        let goal = Goal::By(Hops::first(2));
        let mut writer = Writer::new(Style::Group, table.prefixes(), 2)?;
        writer.install()?;
        seen(&watch, goal)?;
        // In the middle, where the sample hardly is.
        let lost = table.prefixes()[2500];
        let mut batch = Batch::default();
        let fixed = [INET, lost.len, 0, 0, MAIN, 0, 0, 0, 0, 0, 0, 0];
        batch.begin(DELROUTE, 0, &fixed);
        batch.attribute(RTA_DST, &lost.octets[..4]);
        batch.acknowledge_last();
        let mut socket = Socket::new().expect("a socket");
        socket.run(&batch).expect("the route is deleted");
        let reason = missed(&watch, goal);
        assert!(reason.starts_with("1 of 5000 routes"), "{reason}");
        Ok(())
    });
}

#[test]
fn routes_that_go_with_their_group_are_missed() {
    if !is_root() {
        return;
    }
    let table = Table::ipv4(100, 1);
    observed(&table, |watch| {
        let mut writer = Writer::new(Style::Group, table.prefixes(), 2)?;
        writer.install()?;
        seen(&watch, Goal::By(Hops::first(2)))?;
        let mut batch = Batch::default();
        // Both members, and with them the group and its routes.
        for id in [1001u32, 1002] {
            batch.begin(DELNEXTHOP, 0, &[0; 8]);
            batch.attribute(NHA_ID, &id.to_ne_bytes());
        }
        batch.acknowledge_last();
        let mut socket = Socket::new().expect("a socket");
        socket.run(&batch).expect("the objects are deleted");
        seen(&watch, Goal::Gone)
    });
}
