//! Import and export policy: what answers the questions that the table asks
//! through [`holdfast_rib::Policy`].
//!
//! [`model`] says what an operator asked for: lists and route maps, in FRR's
//! terms. [`Compiler`] makes [`Policies`] of it, which decide in tens of
//! nanoseconds, and [`PeerPolicy`] is what a table asks about a neighbor's
//! routes. None of it needs a daemon:
//!
//! ```
//! use bgp_wire::{AsPath, Origin, PathAttributes};
//! use holdfast_policy::model::{
//!     Action, Delta, ListKind, Match, PolicyConfig, PrefixEntry, PrefixList, RouteMap,
//!     RouteMapEntry, Set,
//! };
//! use holdfast_policy::{Applied, Compiler, RouteView};
//! use holdfast_rib::Attributes;
//!
//! let customers = PrefixList::new().entry(5, PrefixEntry {
//!     le: Some(24),
//!     ..PrefixEntry::exactly(Action::Permit, "192.0.2.0/23".parse()?)
//! });
//! let map = RouteMap::new()
//!     .entry(10, RouteMapEntry::permit()
//!         .matching(Match::ip_address(ListKind::Prefix("CUSTOMERS".into())))
//!         .setting(Set::LocalPreference(Delta::To(200))))
//!     .entry(20, RouteMapEntry::deny());
//! let config = PolicyConfig::default()
//!     .with_ip_prefix_list("CUSTOMERS", customers)
//!     .with_route_map("FROM-CUSTOMER", map);
//! let policies = Compiler::new(&config).local_as(64500).compile()?;
//!
//! let attributes = Attributes::new(PathAttributes {
//!     origin: Origin::Igp,
//!     as_path: AsPath::from_sequence([64501]),
//!     ..PathAttributes::default()
//! });
//! let map = policies.route_map("FROM-CUSTOMER").ok_or("no such map")?;
//! let theirs = map.apply(&RouteView::new("192.0.2.0/24".parse()?, &attributes));
//! assert!(matches!(theirs, Applied::Changed(new) if new.attributes.local_pref == Some(200)));
//! let other = map.apply(&RouteView::new("198.51.100.0/24".parse()?, &attributes));
//! assert_eq!(other, Applied::Denied);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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

mod builder;
mod builtin;
mod compiled;
pub mod model;
mod peer_policy;
mod table_policy;

pub use builtin::{AcceptAll, Directional, EbgpRequiresPolicy};
pub use compiled::{
    AccessList, Applied, AsPathList, Changed, CommunityList, Comparable, CompileError,
    CompileErrors, CompiledRouteMap, Compiler, Counters, Direction, EntryHits, ListVerdict, Object,
    ObjectKind, PathPattern, Pattern, PatternError, Policies, PrefixList, PrefixNet, RoaTable,
    RouteView, Step, Trace, origin_of, source_protocol,
};
pub use peer_policy::{Filters, PeerFacts, PeerPolicy};
pub use table_policy::{AggregateMaps, TableMap};
