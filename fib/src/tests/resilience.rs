//! Resilient groups where the kernel does not take them.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use nix::errno::Errno;

use super::reconcile::Links;
use crate::object::{Group, Object, ObjectOperation, ObjectVerb};
use crate::route::{NextHop, Resilient, Route, RouteKind};
use crate::tables::Tables;

fn route(buckets: u16, links: &[u8]) -> Arc<Route> {
    let hop = |n: &u8| NextHop::new(Ipv4Addr::new(10, 0, *n, 2).into());
    Arc::new(Route {
        metric: 20,
        kind: RouteKind::Unicast(links.iter().map(hop).collect()),
        prefsrc: None,
        resilient: Some(Resilient {
            buckets,
            idle_timer_secs: 1,
            unbalanced_timer_secs: 0,
        }),
    })
}

/// What is written until nothing is left to write, where `refusal` is the answer to resilient
/// groups.
fn write(fib: &mut Tables, links: &Links, refusal: Option<Errno>) -> Vec<Group> {
    let mut groups = Vec::new();
    loop {
        let operations = fib.object_operations();
        if operations.is_empty() {
            return groups;
        }
        for operation in operations {
            let mut result = Ok(());
            if let ObjectOperation {
                verb: ObjectVerb::Set(Object::Group(group)),
                ..
            } = &operation
            {
                groups.push(group.clone());
                if let (Some(_), Some(errno)) = (group.resilient, refusal) {
                    result = Err(errno);
                }
            }
            fib.object_completed(&operation, result);
        }
        if fib.sets.note_refused() {
            fib.re_resolve(links);
        }
    }
}

fn kinds(groups: &[Group]) -> Vec<bool> {
    groups.iter().map(|g| g.resilient.is_some()).collect()
}

fn desire(fib: &mut Tables, prefix: &str, route: &Arc<Route>, links: &Links) {
    fib.desire(prefix.parse().unwrap(), Some(route), 0, links);
}

#[test]
fn a_kernel_that_has_none_is_asked_once() {
    let (mut fib, links) = (Tables::new(254, false, true), Links::default());
    desire(&mut fib, "192.0.2.0/24", &route(8, &[1, 2]), &links);
    let written = write(&mut fib, &links, Some(Errno::EOPNOTSUPP));
    assert_eq!(kinds(&written), [true, false]);
    desire(&mut fib, "192.0.3.0/24", &route(8, &[2, 3]), &links);
    fib.retry(&links);
    let written = write(&mut fib, &links, Some(Errno::EOPNOTSUPP));
    assert_eq!(kinds(&written), [false]);
}

#[test]
fn a_kernel_known_to_have_none_is_not_asked() {
    let (mut fib, links) = (Tables::new(254, false, true), Links::default());
    fib.sets.forgo_resilience();
    desire(&mut fib, "192.0.2.0/24", &route(8, &[1, 2]), &links);
    let written = write(&mut fib, &links, None);
    assert_eq!(kinds(&written), [false]);
}

#[test]
fn one_that_is_refused_is_plain_until_the_retry() {
    let (mut fib, links) = (Tables::new(254, false, true), Links::default());
    desire(&mut fib, "192.0.2.0/24", &route(8, &[1, 2]), &links);
    let written = write(&mut fib, &links, Some(Errno::ENOMEM));
    assert_eq!(kinds(&written), [true, false]);
    assert!(fib.has_refused());
    assert_eq!(write(&mut fib, &links, None), []);
    assert!(fib.retry(&links));
    let written = write(&mut fib, &links, None);
    assert_eq!(kinds(&written), [true]);
    assert!(!fib.has_refused());
}

#[test]
fn a_member_that_is_refused_is_no_reason_to_give_the_kind_up() {
    let (mut fib, mut links) = (Tables::new(254, false, true), Links::default());
    desire(&mut fib, "192.0.2.0/24", &route(8, &[1, 2, 3]), &links);
    // The kernel knows already that the link is down.
    let operations = fib.object_operations();
    for operation in operations {
        let result = match &operation.verb {
            ObjectVerb::Set(Object::Hop(hop)) if hop.ifindex == 3 => Err(Errno::ENETDOWN),
            ObjectVerb::Set(Object::Group(_)) => Err(Errno::EINVAL),
            _ => Ok(()),
        };
        fib.object_completed(&operation, result);
    }
    assert!(fib.sets.note_refused());
    fib.re_resolve(&links);
    let written = write(&mut fib, &links, None);
    assert_eq!(kinds(&written), [true]);
    assert_eq!(written.iter().map(|g| g.members.len()).max(), Some(2));
    links.down = BTreeSet::from([3]);
    fib.re_resolve(&links);
    assert_eq!(write(&mut fib, &links, None), []);
}
