//! What the table as a whole is told: identity and decision knobs.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// A confederation (RFC 5065) as one of its members knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confederation {
    /// The AS that the confederation is to everybody outside.
    pub identifier: u32,
    /// The other member ASes.
    pub members: BTreeSet<u32>,
}

/// How paths that are used together share the traffic where they carry link
/// bandwidth (draft-ietf-idr-link-bandwidth).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LinkBandwidth {
    /// By link bandwidth where all of them have it, else equally.
    #[default]
    WhenAll,
    /// Equally.
    Ignore,
    /// By link bandwidth; those without it are not used where others have it.
    SkipMissing,
    /// By link bandwidth; those without it get a hundredth of what the others
    /// carry together.
    DefaultWeight,
}

/// The table's own identity and the knobs of the decision process.
///
/// MED comparison is always deterministic: paths are grouped by neighbouring
/// AS first, so the order in which routes arrive never matters. For the same
/// reason there is no "older path" step and the router ID is always compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RibConfig {
    /// Our AS number; in a confederation that of our member AS.
    pub local_as: u32,
    /// Our BGP identifier; also the cluster ID unless one is set.
    pub router_id: Ipv4Addr,
    /// CLUSTER_ID (RFC 4456 section 7); none means the router ID.
    pub cluster_id: Option<Ipv4Addr>,
    /// Multipath members need equally long AS paths only; otherwise external
    /// ones also need the same neighbouring AS, internal ones equal AS paths.
    pub multipath_relax: bool,
    /// External, internal and confederation paths may be used together.
    pub peer_type_multipath_relax: bool,
    /// Leave the length of the AS path out of the decision.
    pub as_path_ignore: bool,
    /// Count what is inside of the confederation into the length too.
    pub as_path_confederation: bool,
    /// Compare AIGP (RFC 7311) before the AS path.
    pub compare_aigp: bool,
    /// What link bandwidth does.
    pub link_bandwidth: LinkBandwidth,
    /// Compare MED between different neighbouring ASes too.
    pub always_compare_med: bool,
    /// A missing MED is the worst (4294967295) instead of the best (0).
    pub missing_as_worst: bool,
    /// Reflect between clients (RFC 4456 section 10 has them fully meshed where
    /// this is off).
    pub client_to_client_reflection: bool,
    /// The confederation that `local_as` is a member of, if it is one.
    pub confederation: Option<Confederation>,
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
    /// Paths used together have been reflected equally often; the shorter
    /// CLUSTER_LIST is preferred before the router ID.
    pub equal_cluster_length: bool,
}

impl Default for MaxPaths {
    fn default() -> Self {
        MaxPaths {
            ebgp: 1,
            ibgp: 1,
            equal_cluster_length: false,
        }
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
            peer_type_multipath_relax: false,
            as_path_ignore: false,
            as_path_confederation: false,
            compare_aigp: false,
            link_bandwidth: LinkBandwidth::WhenAll,
            always_compare_med: false,
            missing_as_worst: false,
            client_to_client_reflection: true,
            confederation: None,
            default_local_pref: 100,
            max_paths_v4: MaxPaths::default(),
            max_paths_v6: MaxPaths::default(),
        }
    }

    /// The cluster ID in force.
    pub fn cluster_id(&self) -> Ipv4Addr {
        self.cluster_id.unwrap_or(self.router_id)
    }

    /// The AS that we are to an external peer: the confederation, where we are
    /// in one.
    pub fn outer_as(&self) -> u32 {
        let confederation = self.confederation.as_ref();
        confederation.map_or(self.local_as, |outer| outer.identifier)
    }

    /// The multipath limits of a family.
    pub fn max_paths(&self, family: bgp_wire::Family) -> MaxPaths {
        match family {
            bgp_wire::Family::Ipv4Unicast => self.max_paths_v4,
            bgp_wire::Family::Ipv6Unicast => self.max_paths_v6,
        }
    }
}
