//! Prefix lists, access lists and AS-path access lists.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::Action;

/// Lists by name.
pub type Lists<L> = BTreeMap<String, L>;

/// `ip prefix-list NAME`, `ipv6 prefix-list NAME`. The first entry that matches
/// decides; what none matches is refused. A list without entries permits all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PrefixList<N> {
    /// `description`.
    #[serde(default = "none")]
    pub description: Option<String>,
    /// By sequence number, 1 to 4294967295.
    #[serde(default = "BTreeMap::new")]
    pub entries: BTreeMap<u32, PrefixEntry<N>>,
}

fn none<T>() -> Option<T> {
    None
}

impl<N> Default for PrefixList<N> {
    fn default() -> Self {
        PrefixList {
            description: None,
            entries: BTreeMap::new(),
        }
    }
}

/// An entry of a prefix list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PrefixEntry<N> {
    /// What becomes of what matches.
    pub action: Action,
    /// Matches what lies inside; none is `any`.
    pub prefix: Option<N>,
    /// The least length. Without `ge` and `le` the length is the prefix's.
    #[serde(default = "none")]
    pub ge: Option<u8>,
    /// The greatest length; without it and with `ge`, the family's.
    #[serde(default = "none")]
    pub le: Option<u8>,
}

/// `access-list NAME`, `ipv6 access-list NAME`. The first entry that matches
/// decides; what none matches is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct AccessList {
    /// `remark`.
    pub remark: Option<String>,
    /// By sequence number, 1 to 4294967295.
    pub entries: BTreeMap<u32, AccessEntry>,
}

/// An entry of an access list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AccessEntry {
    /// What becomes of what matches.
    pub action: Action,
    /// What it matches.
    pub matches: AccessMatch,
}

/// What an entry of an access list matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessMatch {
    /// Everything.
    Any,
    /// What lies inside of the prefix.
    Prefix(IpNet),
    /// The prefix itself (`exact-match`).
    Exact(IpNet),
    /// Addresses of the network (numbers 1 to 99 and 1300 to 1999).
    Standard(WildcardAddress),
    /// Addresses of the network, and of its mask (numbers 100 to 199 and 2000
    /// to 2699).
    Extended(WildcardAddress, WildcardAddress),
}

/// An address of which some bits count: `A.B.C.D W.W.W.W`, `host A.B.C.D`, `any`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WildcardAddress {
    /// The bits that count.
    pub address: Ipv4Addr,
    /// Bits that do not count are 1.
    pub wildcard: Ipv4Addr,
}

impl WildcardAddress {
    /// Every address.
    pub const ANY: WildcardAddress = WildcardAddress {
        address: Ipv4Addr::UNSPECIFIED,
        wildcard: Ipv4Addr::BROADCAST,
    };

    /// Whether it matches the address.
    pub const fn matches(self, address: Ipv4Addr) -> bool {
        let care = !self.wildcard.to_bits();
        (self.address.to_bits() ^ address.to_bits()) & care == 0
    }
}

/// `bgp as-path access-list NAME`. The first entry that matches decides; what
/// none matches is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct AsPathList {
    /// By sequence number.
    pub entries: BTreeMap<u32, AsPathEntry>,
}

/// An entry of an AS-path access list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AsPathEntry {
    /// What becomes of what matches.
    pub action: Action,
    /// Extended regular expression (POSIX 1003.2) over the path as it is
    /// shown; `_` is a delimiter, the beginning or the end.
    pub regex: String,
}
