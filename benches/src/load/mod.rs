//! A generator of BGP load: any number of sessions in one thread, messages
//! encoded before the clock starts, completion that is exact.
//!
//! ```text
//! Table --encode--> Encoded --Hub::send--> [session] ==TCP==> daemon under test
//!   |                                                              |
//!   +--PrefixIndex--> Tracker <--walk-- [session] <==TCP===========+
//! ```
//!
//! The generator shares the processors with the daemon that it measures, so
//! it does as little as possible: a sender writes buffers that exist already,
//! a receiver walks over lengths, finds the position of each prefix in the
//! known table and sets a bit. It shares no code with any daemon, so an error
//! in a codec cannot hide behind itself.
//!
//! [`Hub`] is the event loop: it brings sessions up, keeps them alive, sends
//! and receives. It works only inside of [`Hub::step`] and what is built on
//! it. The [`scenario`]s are whole measurements, each a function from
//! parameters to an outcome; the binary `bgpload` is a shell around them.
//!
//! | to change | look into |
//! | --- | --- |
//! | what tables look like | `synth` |
//! | what is on the wire | `encode`, `open`, `walk` |
//! | what counts as complete | [`tracker`] |
//! | connections and timers | `session`, [`hub`] |
//! | what is measured | [`scenario`] |

pub mod control;
mod encode;
pub mod hub;
mod index;
pub mod latency;
pub mod manual;
mod mrt;
mod open;
mod prefix;
mod random;
pub mod scenario;
mod session;
mod synth;
mod table;
pub mod tracker;
mod walk;

#[cfg(test)]
mod tests;

pub use control::{Command, Control, Event};
pub use encode::{Announcer, Encoded, Encoder};
pub use hub::{Hub, SessionId};
pub use index::PrefixIndex;
pub use latency::{Latency, Marks};
pub use open::{AddPath, Open};
pub use prefix::{Family, Prefix};
pub use random::Random;
pub use session::{SessionConfig, SessionStats};
pub use table::{AttributeSet, SETS_PER_1000, Segment, Table, TableSpec};
pub use tracker::{Expect, Goal, Tracker, TrackerStats};

/// Why a measurement did not come to an end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A socket or a file failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The reason.
        source: std::io::Error,
    },
    /// A file is not a table dump.
    #[error("MRT file: {0}")]
    Mrt(String),
    /// A stage took longer than allowed.
    #[error("{stage}: not finished after {seconds:.1} s: {state}")]
    Timeout {
        /// What was waited for.
        stage: String,
        /// How long, in seconds.
        seconds: f64,
        /// How far it came.
        state: String,
    },
    /// A session that had to stay up went down.
    #[error("session {session} went down: {reason}")]
    SessionLost {
        /// Which one, by its local address.
        session: String,
        /// What ended it.
        reason: String,
    },
    /// Parameters that cannot be used.
    #[error("{0}")]
    Parameters(String),
}

impl Error {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
