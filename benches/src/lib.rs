//! Benchmarks of BGP daemons: the load that is put on them and the runner
//! that starts them, watches them and writes the report.

pub mod load;
pub mod runner;
