//! The configuration model, its TOML and FRR spellings, validation and diff.
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

pub mod model;
mod peer;

pub use model::{
    AfConfig, Api, Bgp, Config, Defaults, EffectiveAf, EffectivePeer, Family, GracefulRestart, Log,
    LogFile, LogLevel, Neighbor, NextHopSelf, PeerAf, PeerKind, PeerSettings, Prefix, Profile,
    Redistribute, RedistributeSource, Remote, RemoteAs, Shutdown, Timers, UpdateSource,
};
