//! The daemon: state machine, sessions, speaker, API server.
//!
//! | module | what | I/O |
//! | --- | --- | --- |
//! | [`fsm`] | the state machine of RFC 4271 section 8, as a value | none |
//! | [`session`] | a peer's connections around its machine | sockets |
//! | [`speaker`] | table, configuration, kernel: a router as a library | channels |
//! | [`server`] | the gRPC API over a Unix socket | socket |

pub mod fsm;
pub mod server;
pub mod session;
pub mod speaker;

pub use speaker::{Speaker, SpeakerError, SpeakerOptions};
