//! Import and export policy: what answers the questions that the table asks
//! through [`holdfast_rib::Policy`].
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

mod builtin;
pub mod model;

pub use builtin::{AcceptAll, Directional, EbgpRequiresPolicy};
