//! The kernel's FIB: puts routes into it, resolves next hops through it, and keeps both true.
//!
//! This crate knows prefixes and next hops, never BGP. It is a reconciler and not a command
//! pipe: it holds what should be installed, learns what is installed, and closes the difference
//! in batches. A route deleted by hand, an interface that went, notifications that were lost and
//! a restart are all the same case.
//!
//! | file | what |
//! | --- | --- |
//! | `handle` | [`FibHandle`], [`Event`], [`FibOptions`]: the face |
//! | `route`, `view` | the types both sides share |
//! | `reconcile`, `class`, `entries` | wanted against present, pure |
//! | `kernel`, `resolve`, `ways` | mirror of links, addresses and routes of others; next hops, pure |
//! | `statics`, `redistribute` | which static routes work; what there is to redistribute, pure |
//! | `sets`, `objects` | sets of next hops, and the nexthop objects that stand for them, pure |
//! | `codec`, `nexthop` | netlink messages to bytes and back, pure |
//! | `state`, `tables` | all of the above together, pure |
//! | `netlink`, `task`, `outbox` | sockets, and the task that owns the rest |
//!
//! What holds:
//! - Routes of others are never written over or deleted. Ours are those with `proto bgp` in the
//!   table that [`FibOptions::table`] names, and those with `proto 196` in tables that there are
//!   static routes for.
//! - A next hop resolves through routes of others and static ones, and these are worked out from
//!   what was asked for; a tracked one also through a route of ours whose own next hops need none
//!   of these. So nothing resolves through itself.
//! - Nothing the kernel sees depends on hash order.
//! - One table has one owner: routes with `proto bgp` that nobody applied are deleted.
//!
//! What to know:
//! - Next-hop sets are nexthop objects, which all prefixes of a set share. One that is lost is a
//!   single message. Kernels before 5.3 get the next hops with each route (`RTA_MULTIPATH`).
//! - Deleting is the kernel's slowest operation on a full table; `net.ipv4.fib_sync_mem` says
//!   how often it has to stop and free memory on the way.
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

mod class;
mod codec;
mod entries;
mod family;
mod handle;
mod kernel;
mod netlink;
mod nexthop;
mod object;
mod objects;
mod outbox;
mod reconcile;
mod redistribute;
mod resolve;
mod route;
mod sets;
mod state;
mod statics;
mod tables;
mod task;
#[cfg(test)]
mod tests;
mod view;
mod ways;

pub use handle::{
    Changes, Event, Family, FibError, FibHandle, FibOptions, Kernel, MAIN_TABLE, OnShutdown,
    OtherRoute, RouteError, RouteStatus, Source, Stale, Statistics, TrackKey, ViaDefault, spawn,
};
pub use nix::errno::Errno;
pub use objects::{OBJECT_BLOCKS, object_block};
pub use route::{
    Drop, KernelHop, KernelKind, KernelRoute, NextHop, Resilient, Resolution, Route, RouteKind,
};
pub use statics::{StaticHop, StaticKind, StaticRoute, StaticStatus};
pub use view::{Address, Interface, KernelView};
