//! The state machine, tested through its public face: no sockets, no clock.

mod chance;
mod chaos;
mod collision;
mod endings;
mod negotiation;
mod network;
mod record;
mod rig;
mod table;
mod timers;
