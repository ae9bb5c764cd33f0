//! The routing information base: paths, decision, multipath, what was sent to
//! whom. No I/O, no clock: events go into a [`Rib`], deltas are pulled out, and
//! the same events give the same deltas in the same order.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::unreachable
    )
)]

mod attrs;
mod config;
mod decision;
mod export;
mod fib;
mod local;
mod nexthop;
mod peer;
mod policy;
mod rib;
mod view;

pub use attrs::AttrRef;
pub use config::{MaxPaths, RibConfig};
pub use decision::Step;
pub use export::ExportBatch;
pub use fib::{FibChange, FibKind, FibNextHop, FibRoute};
pub use local::{LOCAL_WEIGHT, LocalRoute, LocalSource};
pub use nexthop::{NextHopState, TrackEvent};
pub use peer::{PeerId, PeerInfo};
pub use policy::{DenyReason, Policy, Rewritten, RouteContext, Verdict};
pub use rib::{Rib, UpdateSummary};
pub use view::{
    AdvertisedRoute, Invalid, Page, PathSource, PathView, PeerCounters, PrefixView, ReceivedRoute,
    Rejection, TableSummary,
};
