//! The router's side of the RPKI to Router protocol: version 1 (RFC 8210) and
//! version 0 (RFC 6810).
//!
//! | what | where |
//! | --- | --- |
//! | octets to messages and back | [`pdu`] |
//! | what is said to a cache when, and what it said: no clock, no socket | [`session`] |
//! | connections to several caches, of which the preferred ones count | [`client`] |
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

pub mod client;
pub mod pdu;
pub mod session;

use std::fmt;

use ipnet::IpNet;

/// A validated ROA payload: an AS that may originate a prefix (RFC 6811
/// section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Vrp {
    /// The prefix, without host bits.
    pub prefix: IpNet,
    /// The longest prefix inside of it that may be announced.
    pub max_length: u8,
    /// The AS; 0 is nobody.
    pub asn: u32,
}

impl fmt::Display for Vrp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{} AS{}", self.prefix, self.max_length, self.asn)
    }
}
