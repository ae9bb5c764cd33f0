//! The BGP state machine of one peer (RFC 4271 section 8) as a pure value.
//!
//! No socket, no task, no clock: the session task turns bytes and passed
//! deadlines into an [`Event`], hands it to [`Fsm::handle`] with the present
//! time, and carries out the [`Action`]s in their order. What RFC 4271 calls
//! "the FSM" exists once per connection; this value owns up to two of them, the
//! one we opened and the one the peer opened, so that collisions (section 6.8)
//! are decided inside of it. The state of the peer is the highest of the two.
//!
//! ```text
//!            start                 up / OPEN sent       OPEN / KEEPALIVE      KEEPALIVE
//!   Idle ------------> Connect ------------------> OpenSent --------> OpenConfirm --------> Established
//!    ^ ^    (passive)     |  ^  ConnectRetry           |                   |                     |
//!    | |  \-> Active <----+--+                         | TCP lost          | anything wrong      |
//!    | |         ^----------------------------------- -+                   |                     |
//!    | +-- IdleHold (back-off) ---------------------------------------------+---------------------+
//!    +---- ManualStop, GracefulStop
//! ```
//!
//! Rules that the session task must keep:
//!
//! * Ids of connections come from the machine: in [`Action::Connect`] for ours,
//!   from [`Fsm::next_conn_id`] for accepted ones. An id is never used again,
//!   and events of an id that is no longer alive are ignored and counted.
//! * After every `handle`, wake up at [`Fsm::next_deadline`] and send
//!   [`Event::Tick`].
//! * Hand over what can be read before `Tick`: a process that was suspended
//!   must not take its own sleep for the peer's silence.
//! * [`Action::Close`] means: write what was sent before, then close. No event
//!   of that connection is expected afterwards.

mod action;
mod collision;
mod conn;
mod conn_events;
mod ending;
mod event;
mod history;
mod ids;
mod jitter;
mod machine;
mod negotiate;
mod params;
mod peer_events;
mod reset;

pub use action::{Action, Outgoing, SessionDown, SessionUp};
pub use event::{AutomaticStop, Event, Reset, Restart, Stop};
pub use history::{Entry, History, Ring};
pub use ids::{ConnId, ConnState, Generation, Role, State};
pub use machine::{ConnInfo, Counters, Fsm, IdleReason, SessionInfo, Timers};
pub use negotiate::Negotiated;
pub use params::{AddPathOffer, Hostname, PeerParams, RemoteAs, Timing};
pub use reset::{Direction, DownReason, LastReset, ResetCause};
