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

pub mod diff;
mod error;
pub mod frr;
pub mod grammar;
mod load;
pub mod model;
mod normal;
mod peer;
mod toml_text;
mod validate;

pub use diff::{ConfigDiff, diff};
pub use error::ConfigError;
pub use load::{Leniency, Loaded, Spelling, load, parse_str};
pub use toml_text::{reference as toml_reference, to_toml, to_toml_with_defaults};
pub use validate::{Problem, Subject, validate};

pub use model::{
    AfConfig, Api, Bgp, Config, Defaults, EffectiveAf, EffectivePeer, Family, GracefulRestart, Log,
    LogFile, LogLevel, Neighbor, NextHopSelf, PeerAf, PeerKind, PeerSettings, Prefix, Profile,
    Redistribute, RedistributeSource, Remote, RemoteAs, Shutdown, Timers, UpdateSource,
};
