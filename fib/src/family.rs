//! What differs between IPv4 and IPv6, so that everything else is written once.

use std::fmt::Debug;
use std::hash::Hash;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A prefix of one address family.
pub(crate) trait Prefix:
    prefix_trie::Prefix + Copy + Eq + Ord + Hash + Debug + Into<IpNet> + Send + 'static
{
    /// The metric the kernel uses when asked for 0.
    const METRIC_FOR_ZERO: u32;

    /// The host prefix of `address` when it is of this family.
    fn host(address: IpAddr) -> Option<Self>;
}

impl Prefix for Ipv4Net {
    const METRIC_FOR_ZERO: u32 = 0;

    fn host(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(address) => Some(address.into()),
            IpAddr::V6(_) => None,
        }
    }
}

impl Prefix for Ipv6Net {
    /// `IP6_RT_PRIO_USER`.
    const METRIC_FOR_ZERO: u32 = 1024;

    fn host(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V6(address) => Some(address.into()),
            IpAddr::V4(_) => None,
        }
    }
}
