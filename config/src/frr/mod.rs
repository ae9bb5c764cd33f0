//! The FRR spelling: `frr.conf`, `configure terminal` and `show running-config`.
//!
//! A line is declared once, as a row: the pattern that parses, explains and
//! completes it, the function that applies it, and the one that prints it. The
//! files group rows by what they are about:
//!
//! | file | lines |
//! | --- | --- |
//! | `global` | outside of blocks |
//! | `lists` | prefix lists and access lists |
//! | `communities` | AS-path access lists, community lists and aliases |
//! | `route_map`, `matches`, `sets` | route maps |
//! | `rpki` | the `rpki` block |
//! | `statics` | `ip route` and `ipv6 route` |
//! | `instance` | `bgp ...` and `timers bgp` |
//! | `membership` | what makes and removes neighbors and peer groups |
//! | `peer` | settings of neighbors and groups |
//! | `family` | `address-family` blocks |
//! | `origination`, `filter`, `import` | in them: what is ours, policy of peers, what is taken over |
//! | `modes` | which rows a mode has, and how to move between modes |

mod communities;
mod family;
mod file;
mod filter;
mod global;
mod glossary;
mod import;
mod instance;
mod lists;
mod matches;
mod membership;
mod modes;
mod origination;
mod peer;
mod print;
mod route_map;
mod row;
mod rpki;
mod session;
mod sets;
mod statics;

pub(crate) use communities::{
    Kind as ListedCommunity, entry_text as community_entry_text, list_title,
};
pub(crate) use file::parse;
pub(crate) use filter::{LISTS_TWICE, lists_twice};
pub(crate) use lists::{access_entry_text, prefix_entry_text};
pub(crate) use origination::{BOTH_SUPPRESS, SUPPRESS_BELOW_REUSE, no_aggregate};
pub use print::{running_config, to_frr};
pub use row::Command;
pub use session::{LineError, LineErrorKind, Mode, Outcome, Session, grammar};
pub(crate) use session::{MANY, clause_of};

#[cfg(test)]
mod tests;
