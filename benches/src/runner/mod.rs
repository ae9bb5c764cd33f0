//! Starts the daemons under test, puts the load on them and measures.
//!
//! ```text
//! bench -> rounds -> arena      two namespaces and a link
//!                 -> daemons    configuration, start, readiness
//!                 -> load       the generator's scenario, in the other namespace
//!                 -> fib         the generator, and a look at the kernel's routes
//!                 -> process    peak memory and CPU time
//!                 -> results    a JSON line per run -> report -> docs/benchmarks.md
//! ```
//!
//! | to change | look into |
//! | --- | --- |
//! | which sizes and numbers a scenario has | [`scenarios`] |
//! | how a daemon is configured and started | [`daemons`] |
//! | how the kernel's routes are observed | `fib` |
//! | the order of runs | [`rounds`] |
//! | how many runs there are | `turns` |
//! | what the tables look like | [`report`] |

pub mod arena;
pub mod daemons;
mod error;
mod fib;
mod load;
pub mod machine;
mod plot;
pub mod policies;
pub mod process;
mod queries;
pub mod report;
pub mod results;
pub mod rounds;
pub mod scenarios;
pub mod setup;
pub mod stats;
mod turns;

pub use error::{Error, Result};
