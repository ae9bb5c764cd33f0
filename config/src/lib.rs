//! The configuration model, its TOML and FRR spellings, validation and diff.
//!
//! ```
//! use holdfast_config::frr::{Session, to_frr};
//! use holdfast_config::{Leniency, Spelling, diff, parse_str, to_toml, validate};
//!
//! let text = "router bgp 65000\n neighbor 10.0.0.1 remote-as external\n";
//! let loaded = parse_str("frr.conf", text, Spelling::Frr, Leniency::Strict).unwrap();
//! assert!(to_toml(&loaded.config).contains("[bgp.neighbor.\"10.0.0.1\"]"));
//!
//! // An edit, line by line as in `configure terminal`, and what it would do.
//! let mut session = Session::new(loaded.config.clone());
//! session.apply_line("router bgp 65000").unwrap();
//! session.apply_line("neighbor 10.0.0.1 timers 3 9").unwrap();
//! let candidate = session.into_config();
//! assert!(validate(&candidate).is_empty());
//! let plan = diff(&loaded.config, &candidate);
//! assert_eq!(plan.to_string(), "neighbor 10.0.0.1: session stays\n");
//! assert!(to_frr(&candidate).contains(" neighbor 10.0.0.1 timers 3 9\n"));
//! ```
//!
//! Only [`load`] does I/O, and only by reading the file it is given.
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

mod clause;
pub mod diff;
mod error;
mod filter;
pub mod frr;
pub mod grammar;
mod instances;
mod load;
pub mod model;
mod normal;
mod origination;
mod peer;
mod policy;
mod rpki;
mod statics;
mod toml_text;
mod validate;
pub mod words;

pub use diff::{ConfigDiff, diff};
pub use error::ConfigError;
pub use load::{Leniency, Loaded, Spelling, load, parse_str};
pub use toml_text::{reference as toml_reference, to_toml, to_toml_with_defaults};
pub use validate::{Problem, Subject, validate};

pub use model::{
    AddPathTx, AdvertiseMap, AdvertiseWhen, AfConfig, Aggregate, AllowAsIn, Api, BestpathBandwidth,
    Bgp, Config, DEFAULT_IDLE_TIMER_SECS, Dampening, DefaultOriginate, Defaults, EffectiveAf,
    EffectivePeer, EffectivePolicy, Family, GracefulRestart, InOut, InstanceName, Log, LogFile,
    LogLevel, MAX_RESILIENT_TIMER_SECS, Neighbor, Network, NextHopSelf, PeerAf, PeerKind,
    PeerPolicy, PeerSettings, Prefix, Profile, Redistribute, RedistributeSource, Remote, RemoteAs,
    ResilientPaths, Rpki, RpkiCache, Shutdown, StaticDrop, StaticPath, StaticRoutes, StaticTarget,
    Timers, UpdateSource, Vrf,
};
