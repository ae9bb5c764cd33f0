//! Starts the daemons under test and measures them.

pub mod arena;
pub mod daemons;
mod error;
pub mod process;
pub mod setup;

pub use error::{Error, Result};
