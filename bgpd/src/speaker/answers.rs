//! What the FIB says of routes, as the table takes it.

use holdfast_fib as fib;
use holdfast_rib::FibAnswer;
use ipnet::IpNet;

/// What became of a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) prefix: IpNet,
    pub(super) answer: FibAnswer,
    /// How many batches of changes the FIB had taken when it said so; none
    /// where it does not say, and is believed to know of all of them.
    pub(super) taken: Option<u64>,
}

/// An event that may be an answer.
pub(super) trait Answers {
    /// The answer; none where the event is about something else.
    fn answer(&self) -> Option<Answer>;
}

impl Answers for fib::Event {
    fn answer(&self) -> Option<Answer> {
        let (prefix, answer) = match self {
            fib::Event::RouteInstalled(prefix) => (*prefix, FibAnswer::Installed),
            fib::Event::RouteFailed {
                prefix,
                error: fib::RouteError::Foreign,
            } => (*prefix, FibAnswer::Foreign),
            fib::Event::RouteFailed { prefix, .. } => (*prefix, FibAnswer::Failed),
            _ => return None,
        };
        Some(Answer {
            prefix,
            answer,
            taken: None,
        })
    }
}

/// The changes so that each route of them is answered, though it may be what
/// the FIB has already and says nothing about when it is asked for again: a
/// route that was not wanted for a moment is. The last word on a prefix wins,
/// so the kernel notices nothing.
pub(super) fn all_answered(changes: fib::Changes) -> fib::Changes {
    let changes = changes.into_iter();
    let asked = changes.flat_map(|(prefix, route)| {
        let before = route.is_some().then_some((prefix, None));
        before.into_iter().chain([(prefix, route)])
    });
    asked.collect()
}
