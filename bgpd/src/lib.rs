//! The daemon: state machine, sessions, speaker, API server.

pub mod fsm;
