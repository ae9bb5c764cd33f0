//! The daemon: state machine, sessions, speaker, API server.
