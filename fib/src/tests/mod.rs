//! Tests of the pure parts.

mod codec;
mod mirror;
mod nexthop;
mod reconcile;
mod resilience;
mod statics;
mod vrf;
mod ways;
mod weights;
