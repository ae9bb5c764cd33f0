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

mod aggregate;
mod aggregating;
mod attrs;
mod bandwidth;
mod chunks;
mod config;
mod damped;
mod dampening;
mod decision;
mod edit;
mod explain;
mod export;
mod exporting;
mod family_rib;
mod fib;
mod forwarding;
mod gate;
mod group;
mod import;
mod listed;
mod listing;
mod local;
mod nexthop;
mod order;
mod path;
mod peer;
mod plan;
mod policy;
mod query;
mod region;
mod region_policy;
mod rib;
mod shared;
mod slots;
mod table;
mod transform;
mod view;
mod watch;

pub use aggregate::{Aggregate, AggregatePolicy, AggregateRoute};
pub use attrs::AttrRef;
pub use config::{Confederation, LinkBandwidth, MaxPaths, RibConfig};
pub use dampening::{Dampening, Flapping};
pub use decision::{
    Appended, AsPathKey, Candidate, Rules, Selection, Step, appended, compare, in_line, joined,
    parted, removal_is_idle, select, step_before_med,
};
pub use explain::{Comparison, Explained, ExplainedPath, Offered, PathName, Standing, ask_import};
pub use export::{ExportBatch, GroupAnnouncement, GroupBatch, GroupMember};
pub use fib::{FibAnswer, FibChange, FibKind, FibNextHop, FibRoute, Forwarding};
pub use group::GroupId;
pub use local::{LOCAL_WEIGHT, LocalRoute, LocalSource};
pub use nexthop::{NextHopState, Through, TrackEvent, TrackedNextHop};
pub use peer::{AddPathSend, AllowAsIn, CommunityKinds, PeerFamily, PeerId, PeerInfo};
pub use plan::Audience;
pub use policy::{
    Attributes, DenyReason, ForwardingPolicy, Policy, Redo, Rewritten, RouteContext, Verdict,
};
pub use region::Region;
pub use rib::{Rib, RouteEvent, UpdateSummary};
pub use view::{
    AdvertisedRoute, Invalid, Page, PathSource, PathView, PeerCounters, PrefixView, ReceivedRoute,
    Rejection, TableSummary,
};
pub use watch::Watcher;
