//! What the FIB says of routes, as the table takes it.

use holdfast_fib::{Event, RouteError};
use holdfast_rib::FibAnswer;
use ipnet::IpNet;

/// What became of a prefix, and how many batches of changes the FIB had taken
/// when it said so; none where the event is about something else.
pub(super) fn answer(event: &Event) -> Option<(IpNet, FibAnswer, u64)> {
    match event {
        Event::RouteInstalled { prefix, taken } => Some((*prefix, FibAnswer::Installed, *taken)),
        Event::RouteFailed {
            prefix,
            error,
            taken,
        } => {
            let answer = match error {
                RouteError::Foreign | RouteError::Hidden => FibAnswer::Foreign,
                _ => FibAnswer::Failed,
            };
            Some((*prefix, answer, *taken))
        }
        _ => None,
    }
}
