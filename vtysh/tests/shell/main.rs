//! The whole shell against a daemon that answers from recorded data.
//!
//! `tests/golden/*.txt` hold what FRR 8.4.4 printed. A section starts with
//! `=== [now] command`, `now` in seconds since the Unix epoch. A few numbers of
//! FRR's own making are ours there: a subgroup is its update group, an installed
//! nexthop group is the group, and what never happened was 0 ms ago.

mod answers;
mod binary;
mod dampening;
mod frr_json;
mod modes;
mod nexthops;
mod policy;
mod recorded;
mod rpki;
mod server;
mod terminal;
