//! What the table as a whole is told: identity and decision knobs.

use std::net::Ipv4Addr;

/// The table's own identity and the knobs of the decision process.
///
/// MED comparison is always deterministic: paths are grouped by neighbouring
/// AS first, so the order in which routes arrive never matters. For the same
/// reason there is no "older path" step and the router ID is always compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RibConfig {
    /// Our AS number.
    pub local_as: u32,
    /// Our BGP identifier; also the cluster ID unless one is set.
    pub router_id: Ipv4Addr,
    /// CLUSTER_ID (RFC 4456 section 7); none means the router ID.
    pub cluster_id: Option<Ipv4Addr>,
    /// Multipath members need equally long AS paths only; otherwise external
    /// ones also need the same neighbouring AS, internal ones equal AS paths.
    pub multipath_relax: bool,
    /// Compare MED between different neighbouring ASes too.
    pub always_compare_med: bool,
    /// A missing MED is the worst (4294967295) instead of the best (0).
    pub missing_as_worst: bool,
    /// LOCAL_PREF of paths that carry none, and of what is sent to iBGP.
    pub default_local_pref: u32,
    /// Multipath limits of IPv4 unicast.
    pub max_paths_v4: MaxPaths,
    /// Multipath limits of IPv6 unicast.
    pub max_paths_v6: MaxPaths,
}

/// How many paths of equal merit are used at once; 1 is no multipath, and 0
/// means the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPaths {
    /// Limit where the best path is external.
    pub ebgp: u16,
    /// Limit where the best path is internal.
    pub ibgp: u16,
}

impl Default for MaxPaths {
    fn default() -> Self {
        MaxPaths { ebgp: 1, ibgp: 1 }
    }
}

impl RibConfig {
    /// The defaults for an AS and an identifier: LOCAL_PREF 100, one path, no
    /// knob set.
    pub fn new(local_as: u32, router_id: Ipv4Addr) -> RibConfig {
        RibConfig {
            local_as,
            router_id,
            cluster_id: None,
            multipath_relax: false,
            always_compare_med: false,
            missing_as_worst: false,
            default_local_pref: 100,
            max_paths_v4: MaxPaths::default(),
            max_paths_v6: MaxPaths::default(),
        }
    }

    /// The cluster ID in force.
    pub fn cluster_id(&self) -> Ipv4Addr {
        self.cluster_id.unwrap_or(self.router_id)
    }

    /// The multipath limits of a family.
    pub fn max_paths(&self, family: bgp_wire::Family) -> MaxPaths {
        match family {
            bgp_wire::Family::Ipv4Unicast => self.max_paths_v4,
            bgp_wire::Family::Ipv6Unicast => self.max_paths_v6,
        }
    }
}
