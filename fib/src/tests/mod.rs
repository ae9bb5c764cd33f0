//! Tests of the pure parts.

mod codec;
mod mirror;
mod nexthop;
mod reconcile;
mod statics;
mod ways;
mod weights;
