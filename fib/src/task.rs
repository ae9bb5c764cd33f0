//! The task that owns all state.

use crate::handle::{Channels, FibError, FibOptions};

/// Starts the task.
pub(crate) async fn start(_options: FibOptions, channels: Channels) -> Result<(), FibError> {
    let Channels {
        commands,
        events,
        view,
    } = channels;
    drop((commands, events, view));
    Err(FibError::Closed)
}
