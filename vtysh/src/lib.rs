//! The shell: command tree, completion, help, and rendering over the API's
//! types.
//!
//! A [`Shell`] is one conversation with the daemon. It takes lines as they are
//! typed in FRR's vtysh and writes answers as FRR 8.4.4 writes them. It knows
//! the API and nothing else of the daemon, and nothing of terminals: the
//! binary `vtysh` puts a line editor in front of it.
//!
//! | module | what it does |
//! | --- | --- |
//! | `commands` | the commands of the enable mode, as rows of the grammar |
//! | `shell` | modes, dispatch, errors |
//! | `config` | lines of the configuration modes |
//! | `bgp`, `fib`, `system` | the commands |
//! | `assist` | `?` and TAB, with live values |
//! | `pipe` | `\| include` and its like |
//! | `render` | answers from the API's messages |

mod assist;
mod bgp;
mod commands;
mod config;
mod dampening;
mod fib;
mod nexthops;
mod pipe;
mod policy;
mod render;
mod rpki;
mod shell;
mod system;

pub use holdfast_config::grammar::{Candidate, HelpItem};
pub use render::Clock;
pub use shell::{Error, Shell, Status};
