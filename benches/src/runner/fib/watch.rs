//! Finds out when the kernel's routes are as they should be.
//!
//! The kernel says nothing when a nexthop object goes and takes routes with
//! it, so notifications do not tell the truth; and a look at all of a million
//! routes takes a second. So a sample of the prefixes is asked for one by one
//! (`RTM_GETROUTE` with `RTM_F_FIB_MATCH`), as follows:
//!
//! ```text
//!            +---- not yet: a pause --------+
//!            v                              |
//!   one prefix: is it as wanted? -----------+
//!            | yes
//!            v
//!   all of the sample? --- no: that one is asked for now --> (up)
//!            | yes: the time is noted
//!            v
//!   all routes? --- no: stragglers join the sample --> (up)
//!            | yes
//!            v
//!   the noted time is the result
//! ```
//!
//! The pause is a thousandth of the time that has passed, so that the questions
//! neither slow the daemon down nor make short times inexact.
//!
//! A route through a nexthop object counts with the next hops that the object
//! has at that moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::netlink::{Batch, GETROUTE, INET, Socket};
use super::routes::{Hops, Objects, RTA_DST, Route, Way};
use super::sample::Sample;
use crate::load::scenario::bench::thread_cpu_seconds;
use crate::load::{Prefix, PrefixIndex};
use crate::runner::error::{Error, Result, io};

/// The shortest pause after an answer that is not as wanted.
const SHORT_PAUSE: Duration = Duration::from_micros(500);
/// The longest one, and the one where only a look at all routes can tell.
const LONG_PAUSE: Duration = Duration::from_millis(20);
/// How many prefixes are asked for at a time.
const BATCH: usize = 128;
/// `RTM_F_LOOKUP_TABLE | RTM_F_FIB_MATCH`.
const FIB_MATCH: u32 = 0x3000;

/// How the routes of a table should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// All are there, each by way of exactly these.
    By(Hops),
    /// None is there.
    Gone,
}

impl Goal {
    /// Whether a prefix is as it should be, given its route.
    fn is_met(self, way: Option<Way>, objects: &Objects) -> bool {
        match (self, way) {
            (Self::By(hops), Some(way)) => objects.resolve(way) == hops,
            (Self::Gone, None) => true,
            _ => false,
        }
    }
}

/// What a wait brought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    /// When the sample was as wanted, confirmed by a look at all routes.
    pub(super) at: Instant,
    /// How many looks at all routes it took.
    pub(super) looks: u32,
    /// What the observer used of a processor until then, seconds.
    pub(super) cpu_seconds: f64,
}

/// What is to be waited for, and until when.
#[derive(Clone, Copy, Debug)]
struct Order {
    goal: Goal,
    begin: Instant,
    deadline: Instant,
}

/// Gives orders to an [`Observer`], which is on a thread of its own.
#[derive(Debug)]
pub(super) struct Watch {
    orders: Sender<Order>,
    seen: Receiver<Result<Seen>>,
    given_up: Arc<AtomicBool>,
}

/// Carries out the orders of a [`Watch`].
#[derive(Debug)]
pub(super) struct Observer {
    orders: Receiver<Order>,
    seen: Sender<Result<Seen>>,
    given_up: Arc<AtomicBool>,
}

/// Who gives orders, and who carries them out.
pub(super) fn pair() -> (Watch, Observer) {
    let (orders, ordered) = channel();
    let (tell, seen) = channel();
    let given_up = Arc::new(AtomicBool::new(false));
    let watch = Watch {
        orders,
        seen,
        given_up: Arc::clone(&given_up),
    };
    let observer = Observer {
        orders: ordered,
        seen: tell,
        given_up,
    };
    (watch, observer)
}

impl Watch {
    /// Begins to wait for `goal`.
    pub(super) fn begin(&self, goal: Goal, deadline: Instant) {
        // If nobody is there, `poll` will say so.
        let _ = self.orders.send(Order {
            goal,
            begin: Instant::now(),
            deadline,
        });
    }

    /// What came out of the wait, once it is over.
    ///
    /// # Errors
    ///
    /// The time is over, or the kernel could not be asked.
    pub(super) fn poll(&self) -> Result<Option<Seen>> {
        match self.seen.try_recv() {
            Ok(seen) => seen.map(Some),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(Error::Load("the observer ended".to_owned())),
        }
    }

    /// As [`Self::poll`], but waits for it.
    ///
    /// # Errors
    ///
    /// As [`Self::poll`].
    pub(super) fn wait(&self) -> Result<Seen> {
        self.seen
            .recv()
            .unwrap_or_else(|_| Err(Error::Load("the observer ended".to_owned())))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
    }
}

impl Observer {
    /// Carries out orders until nobody is there to give more. To be called on
    /// a thread in the daemon's namespace.
    ///
    /// # Errors
    ///
    /// There is no socket.
    pub(super) fn run(self, prefixes: &[Prefix]) -> Result<()> {
        let mut kernel = Kernel::new(prefixes)?;
        while let Ok(order) = self.orders.recv() {
            let seen = kernel.wait(order, &self.given_up);
            if self.seen.send(seen).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// The kernel's routes, of which those to the prefixes of one table matter.
struct Kernel<'a> {
    socket: Socket,
    prefixes: &'a [Prefix],
    index: PrefixIndex,
    sample: Sample,
    batch: Batch,
}

impl<'a> Kernel<'a> {
    fn new(prefixes: &'a [Prefix]) -> Result<Self> {
        Ok(Self {
            socket: Socket::new().map_err(of_kernel)?,
            prefixes,
            index: PrefixIndex::new(prefixes),
            sample: Sample::new(prefixes),
            batch: Batch::default(),
        })
    }

    fn wait(&mut self, order: Order, given_up: &AtomicBool) -> Result<Seen> {
        let mut straggler = 0;
        let mut looks = 0;
        let cpu = thread_cpu_seconds();
        let goal = order.goal;
        while !given_up.load(Ordering::Relaxed) {
            if Instant::now() > order.deadline {
                return Err(self.late(goal));
            }
            let positions = self.sample.positions().to_vec();
            let one = positions.get(straggler..=straggler).unwrap_or_default();
            if self.first_bad(one, goal)?.is_some() {
                std::thread::sleep(pause(order.begin.elapsed()));
                continue;
            }
            if let Some(bad) = self.first_bad(&positions, goal)? {
                straggler = bad;
                continue;
            }
            let at = Instant::now();
            let cpu_seconds = thread_cpu_seconds() - cpu;
            looks += 1;
            let stragglers = self.stragglers(goal)?;
            if stragglers.is_empty() {
                return Ok(Seen {
                    at,
                    looks,
                    cpu_seconds,
                });
            }
            if self.sample.extend(&stragglers) == 0 {
                std::thread::sleep(LONG_PAUSE);
            }
        }
        Err(Error::Load("nobody waits any more".to_owned()))
    }

    /// The number of the first of `positions` whose prefix is not as wanted.
    fn first_bad(&mut self, positions: &[u32], goal: Goal) -> Result<Option<usize>> {
        for (number, chunk) in positions.chunks(BATCH).enumerate() {
            let ways = self.ways_of(chunk).map_err(of_kernel)?;
            let objects = self.objects(&ways).map_err(of_kernel)?;
            if let Some(bad) = ways.iter().position(|way| !goal.is_met(*way, &objects)) {
                return Ok(Some(number * BATCH + bad));
            }
        }
        Ok(None)
    }

    /// Asks for the routes to some prefixes.
    fn ways_of(&mut self, positions: &[u32]) -> nix::Result<Vec<Option<Way>>> {
        let [f0, f1, f2, f3] = FIB_MATCH.to_ne_bytes();
        self.batch.clear();
        for &position in positions {
            let fixed = [INET, 32, 0, 0, 0, 0, 0, 0, f0, f1, f2, f3];
            let address = self.prefixes[position as usize].octets;
            self.batch.begin(GETROUTE, 0, &fixed);
            self.batch.attribute(RTA_DST, &address[..4]);
        }
        let prefixes = self.prefixes;
        let mut ways = vec![None; positions.len()];
        let mut failure = Ok(());
        self.socket.ask(&self.batch, |number, answer| {
            let route = match answer {
                Ok(message) => message.as_ref().and_then(Route::read),
                // No route at all.
                Err(Errno::ENETUNREACH) => None,
                Err(error) => {
                    failure = Err(error);
                    None
                }
            };
            if let (Some(route), Some(way)) = (route, ways.get_mut(number)) {
                // A shorter prefix answers if this one is not there.
                let asked = prefixes[positions[number] as usize];
                *way = (route.prefix == asked).then_some(route.way);
            }
        })?;
        failure.map(|()| ways)
    }

    /// The nexthop objects, if routes go through any.
    fn objects(&mut self, ways: &[Option<Way>]) -> nix::Result<Objects> {
        let any = ways.iter().any(|way| matches!(way, Some(Way::Object(_))));
        match any {
            true => Objects::ask(&mut self.socket),
            false => Ok(Objects::default()),
        }
    }

    /// The positions of all prefixes that are not as wanted, by a look at all
    /// routes.
    fn stragglers(&mut self, goal: Goal) -> Result<Vec<u32>> {
        let mut ways = vec![None; self.prefixes.len()];
        let index = &self.index;
        self.socket
            .dump(
                GETROUTE,
                &[INET, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                |message| {
                    let Some(route) = Route::read(&message) else {
                        return;
                    };
                    if let Some(position) = index.position(&route.prefix) {
                        ways[position as usize] = Some(route.way);
                    }
                },
            )
            .map_err(of_kernel)?;
        let objects = self.objects(&ways).map_err(of_kernel)?;
        Ok((0..)
            .zip(ways)
            .filter(|(_, way)| !goal.is_met(*way, &objects))
            .map(|(position, _)| position)
            .collect())
    }

    /// The error of a goal that was not reached in time.
    fn late(&mut self, goal: Goal) -> Error {
        let state = match self.stragglers(goal) {
            Ok(left) => format!("{} of {}", left.len(), self.prefixes.len()),
            Err(error) => return error,
        };
        let wanted = match goal {
            Goal::By(_) => "there by way of all next hops and of no other",
            Goal::Gone => "gone",
        };
        Error::Timeout(format!("{state} routes are not {wanted} in time"))
    }
}

/// The pause between questions when so much time has passed.
fn pause(passed: Duration) -> Duration {
    (passed / 1000).clamp(SHORT_PAUSE, LONG_PAUSE)
}

/// The error of a request to the kernel.
pub(super) fn of_kernel(error: Errno) -> Error {
    io("netlink")(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_wants_exactly_its_next_hops() {
        let none = Objects::default();
        let goal = Goal::By(Hops::first(2));
        assert!(goal.is_met(Some(Way::Hops(Hops::first(2))), &none));
        assert!(!goal.is_met(Some(Way::Hops(Hops::first(1))), &none));
        assert!(!goal.is_met(Some(Way::Hops(Hops::first(3))), &none));
        assert!(!goal.is_met(Some(Way::Object(1)), &none));
        assert!(!goal.is_met(None, &none));
        assert!(Goal::Gone.is_met(None, &none));
        assert!(!Goal::Gone.is_met(Some(Way::Hops(Hops::first(2))), &none));
    }

    #[test]
    fn a_pause_is_a_thousandth_of_the_time() {
        assert_eq!(pause(Duration::ZERO), SHORT_PAUSE);
        assert_eq!(pause(Duration::from_secs(3)), Duration::from_millis(3));
        assert_eq!(pause(Duration::from_secs(300)), LONG_PAUSE);
    }

    #[test]
    fn who_is_no_longer_watched_for_ends() {
        let (watch, observer) = pair();
        drop(watch);
        assert!(observer.given_up.load(Ordering::Relaxed));
        assert!(observer.orders.recv().is_err());
        let (watch, observer) = pair();
        drop(observer);
        watch.begin(Goal::Gone, Instant::now());
        assert!(watch.poll().is_err());
        assert!(watch.wait().is_err());
    }
}
