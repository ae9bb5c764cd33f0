//! What the FIB says of routes, as the table takes it.

use holdfast_fib as fib;
use holdfast_rib::FibAnswer;
use ipnet::IpNet;

/// What became of a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) prefix: IpNet,
    pub(super) answer: FibAnswer,
    /// How many batches of changes the FIB had taken when it said so.
    pub(super) taken: u64,
}

/// An event that may be an answer.
pub(super) trait Answers {
    /// The answer; none where the event is about something else.
    fn answer(&self) -> Option<Answer>;
}

impl Answers for fib::Event {
    fn answer(&self) -> Option<Answer> {
        let (prefix, answer, taken) = match self {
            fib::Event::RouteInstalled { prefix, taken } => (prefix, FibAnswer::Installed, taken),
            fib::Event::RouteFailed {
                prefix,
                error: fib::RouteError::Foreign,
                taken,
            } => (prefix, FibAnswer::Foreign, taken),
            fib::Event::RouteFailed { prefix, taken, .. } => (prefix, FibAnswer::Failed, taken),
            _ => return None,
        };
        Some(Answer {
            prefix: *prefix,
            answer,
            taken: *taken,
        })
    }
}
