//! The kernel's FIB: puts routes into it, resolves next hops through it, and keeps both true.
//!
//! This crate knows prefixes and next hops, never BGP.
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

mod handle;
mod route;
mod task;
mod view;

pub use handle::{
    Changes, Event, Family, FibError, FibHandle, FibOptions, Kernel, MAIN_TABLE, OnShutdown,
    RouteError, RouteStatus, Source, Stale, TrackKey, spawn,
};
pub use route::{KernelHop, KernelKind, KernelRoute, NextHop, Resolution, Route, RouteKind};
pub use view::{Address, Interface, KernelView};
