//! The routing information base: paths, decision, multipath, what was sent to whom.
