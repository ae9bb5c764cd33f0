//! Holdfast: a BGP routing daemon with a kernel FIB, as a library.
//!
//! This crate is a facade: it re-exports what a program needs that embeds the
//! speaker, or only a part of it.
//!
//! | module | for |
//! | --- | --- |
//! | [`speaker`], [`Speaker`] | a whole router in the process |
//! | [`wire`] | BGP messages to and from bytes |
//! | [`rib`] | the table: decision, multipath, what was sent to whom |
//! | [`policy`] | import and export policy |
//! | [`config`] | the configuration model and its two spellings |
//! | [`api`] | the types that the speaker answers with, and the gRPC client |
//! | [`fsm`] | the state machine of RFC 4271 section 8 |
//!
//! ```no_run
//! use holdfast::config::{Leniency, Spelling, parse_str};
//! use holdfast::{Speaker, SpeakerOptions};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let text = "router bgp 65000\n bgp router-id 192.0.2.1\n neighbor 192.0.2.2 remote-as 65001";
//! let config = parse_str("mine", text, Spelling::Frr, Leniency::Strict)
//!     .map_err(|errors| errors[0].clone())?
//!     .config;
//! let speaker = Speaker::start(SpeakerOptions::default()).await?;
//! speaker.configure(config).await?;
//! for peer in speaker.peers(None).await? {
//!     println!("{} {}", peer.address, peer.state().as_str_name());
//! }
//! speaker.stop(false).await;
//! # Ok(())
//! # }
//! ```

pub use bgp_wire as wire;
pub use bgpd::{Speaker, SpeakerError, SpeakerOptions, fsm, server, speaker};
pub use holdfast_api as api;
pub use holdfast_config as config;
pub use holdfast_policy as policy;
pub use holdfast_rib as rib;
