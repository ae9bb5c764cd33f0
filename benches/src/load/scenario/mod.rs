//! The measurements, each a function from parameters to an outcome.
//!
//! Every scenario starts with sessions that are up (cold-start: that come
//! up), with all messages encoded, and with a daemon that knows no routes.
//! Stages, in seconds from the first octet written until the last receiver
//! has what it waits for:
//!
//! | scenario | stages | other results |
//! | --- | --- | --- |
//! | full-table, ipv6, policy | `loaded`, `late` with a late receiver, `withdrawn` | |
//! | fan-in | `loaded`: every prefix by way of its best path; `withdrawn` | |
//! | fan-out, reflector | `loaded`, `withdrawn` | |
//! | add-path | `loaded`: every prefix with all its paths; `withdrawn` | |
//! | churn, queries | `loaded`, `paced`, `full-speed` | latency `paced`; rate `full-speed-updates` |
//! | lone-change | `loaded` | latency `lone` |
//! | cold-start | `first-up`, `all-up`, `full`, from the start | |
//! | growth | `step-N` for N routes | |
//! | reload | `loaded`; `reloaded` after somebody edited the policy at `edit` | |
//!
//! `NAME-first-update` is when the first receiver got its first UPDATE in
//! stage `NAME`.

mod add_path;
pub(crate) mod bench;
mod churn;
mod cold_start;
mod fan;
mod full_table;
mod growth;
mod params;
mod reload;

pub(crate) use churn::Circle;
pub use params::{Outcome, Params, Peer, Role, Scenario, Stage};

use crate::load::{Control, Error};

/// Runs the scenario that `params` names.
///
/// # Errors
/// [`Error::Timeout`] when a stage does not come to an end, else what went
/// wrong with a session, a socket or the parameters.
pub fn run(params: &Params, control: &mut Control) -> Result<Outcome, Error> {
    match params.scenario {
        Scenario::FullTable | Scenario::Ipv6 | Scenario::Policy => full_table::run(params, control),
        Scenario::FanIn => fan::run_in(params, control),
        Scenario::FanOut | Scenario::Reflector => fan::run_out(params, control),
        Scenario::Churn | Scenario::Queries => churn::run(params, control),
        Scenario::LoneChange => churn::run_lone(params, control),
        Scenario::ColdStart => cold_start::run(params, control),
        Scenario::AddPath => add_path::run(params, control),
        Scenario::Growth => growth::run(params, control),
        Scenario::Reload => reload::run(params, control),
    }
}
