//! The FRR spelling: `frr.conf`, `configure terminal` and `show running-config`.
//!
//! A line is declared once, as a row: the pattern that parses, explains and
//! completes it, the function that applies it, and the one that prints it. The
//! files group rows by what they are about:
//!
//! | file | lines |
//! | --- | --- |
//! | `global` | outside of blocks |
//! | `statics` | `ip route` and `ipv6 route` |
//! | `instance` | `bgp ...` and `timers bgp` |
//! | `membership` | what makes and removes neighbors and peer groups |
//! | `peer` | settings of neighbors and groups |
//! | `family` | `address-family` blocks |
//! | `modes` | which rows a mode has, and how to move between modes |

mod family;
mod file;
mod global;
mod glossary;
mod instance;
mod membership;
mod modes;
mod peer;
mod print;
mod row;
mod session;
mod statics;

pub(crate) use file::parse;
pub use print::{running_config, to_frr};
pub use row::Command;
pub(crate) use session::MANY;
pub use session::{LineError, LineErrorKind, Mode, Outcome, Session, grammar};

#[cfg(test)]
mod tests;
