//! Answers to queries: snapshots that hold pointers, not copies.

use bgp_wire::NextHop;
use ipnet::IpNet;

use crate::attrs::AttrRef;
use crate::dampening::Flapping;
use crate::decision::Step;
use crate::fib::Forwarding;
use crate::local::LocalSource;
use crate::peer::PeerId;
use crate::policy::DenyReason;

/// Where a path comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathSource {
    /// One of our own routes.
    Local(LocalSource),
    /// A peer.
    Peer(PeerId),
}

/// Why a received route is kept but is no path of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rejection {
    /// Our AS stands in AS_PATH (RFC 4271 section 9.1.2).
    AsPathLoop,
    /// ORIGINATOR_ID is our identifier (RFC 4456 section 8).
    OriginatorLoop,
    /// CLUSTER_LIST holds our cluster ID (RFC 4456 section 8).
    ClusterLoop,
    /// The next hop is one of our own addresses (RFC 4271 section 5.1.3).
    OwnNextHop,
    /// The next hop is no address of a host (RFC 4271 section 6.3).
    MartianNextHop,
    /// The prefix is multicast, loopback or link-local (RFC 4271 section 6.3).
    MartianPrefix,
    /// There is no next hop, or it is of a family that cannot carry the
    /// prefix's.
    NoNextHop,
    /// Import policy.
    Policy(DenyReason),
}

impl Rejection {
    /// Short text for logs and people.
    pub const fn text(self) -> &'static str {
        match self {
            Rejection::AsPathLoop => "as-path contains our own AS",
            Rejection::OriginatorLoop => "originator is us",
            Rejection::ClusterLoop => "reflected from the same cluster",
            Rejection::OwnNextHop => "next hop is our own address",
            Rejection::MartianNextHop => "next hop is not a host address",
            Rejection::MartianPrefix => "prefix is multicast, loopback or link-local",
            Rejection::NoNextHop => "no usable next hop",
            Rejection::Policy(reason) => reason.text(),
        }
    }
}

/// Why a path of the table takes no part in the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Invalid {
    /// No route to the next hop (or not known yet).
    Unresolved,
    /// The next hop of a single-hop peer in another AS is not on a connected subnet.
    NotConnected,
}

/// A path that import policy accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathView {
    /// Where it comes from.
    pub source: PathSource,
    /// The peer's path identifier (RFC 7911), 0 without add-path.
    pub path_id: u32,
    /// Attributes after import policy.
    pub attributes: AttrRef,
    /// Weight.
    pub weight: u32,
    /// None where the path takes part in the decision.
    pub invalid: Option<Invalid>,
    /// The one best path.
    pub best: bool,
    /// Member of the multipath set; the best path is one if there are others.
    pub multipath: bool,
    /// Kept over a restart of the peer, not yet heard again (RFC 4724).
    pub stale: bool,
    /// Metric to the next hop; none where it is not resolved or local.
    pub igp_metric: Option<u32>,
    /// The `now` of the update that last changed it.
    pub last_update: u64,
    /// How it flaps, where there is a record of that. A path that is withdrawn
    /// is none of the table; it is listed after the others.
    pub flapping: Option<Flapping>,
}

/// A prefix with all its accepted paths, the best first, the others by source
/// and path identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixView {
    /// The prefix.
    pub prefix: IpNet,
    /// The table version at which its best path last changed.
    pub version: u64,
    /// The step that decided for the best path against the runner-up; none
    /// where no path is valid.
    pub reason: Option<Step>,
    /// The kernel has a route of another origin in place of the best path's
    /// (FRR's RIB-failure).
    pub rib_failure: bool,
    /// An aggregate stands for the prefix: peers are not told of it, unless
    /// their policy [says otherwise](crate::Policy::unsuppresses).
    pub suppressed: bool,
    /// How far the best path is on its way into the kernel; none where it is
    /// one of ours, where there is none, and unless
    /// [`Rib::set_fib_gate`](crate::Rib::set_fib_gate) is on.
    pub forwarding: Option<Forwarding>,
    /// The paths; at least one.
    pub paths: Vec<PathView>,
}

/// A route as a peer sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedRoute {
    /// The prefix.
    pub prefix: IpNet,
    /// Path identifier, 0 without add-path.
    pub path_id: u32,
    /// Attributes before import policy.
    pub attributes: AttrRef,
    /// Why it is no path of the table; none where it is one.
    pub rejected: Option<Rejection>,
    /// Kept over a restart of the peer.
    pub stale: bool,
    /// The `now` of the update that last changed it.
    pub last_update: u64,
}

/// A route as it was sent to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdvertisedRoute {
    /// The prefix.
    pub prefix: IpNet,
    /// The path identifier that it was sent with; 0 where the peer takes one
    /// path of a prefix only.
    pub path_id: u32,
    /// Attributes as they went out.
    pub attributes: AttrRef,
}

impl AdvertisedRoute {
    /// The next hop that was sent.
    pub fn next_hop(&self) -> Option<NextHop> {
        self.attributes.next_hop()
    }
}

/// A piece of an answer, in the order of the prefixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items. There may be fewer than asked for even if more follow: the
    /// limit also bounds the prefixes looked at.
    pub items: Vec<T>,
    /// Where the next piece starts: pass it as `after`. None at the end.
    pub next: Option<IpNet>,
}

impl<T> Page<T> {
    /// These items of it, as all that there is.
    pub(crate) fn only(mut self, wanted: impl Fn(&T) -> bool) -> Page<T> {
        self.items.retain(wanted);
        self.next = None;
        self
    }
}

/// Numbers of a family's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableSummary {
    /// Prefixes with at least one accepted path.
    pub prefixes: usize,
    /// Accepted paths.
    pub paths: usize,
    /// Grows by one with each change of a best path.
    pub version: u64,
}

/// Numbers of a peer in a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PeerCounters {
    /// Routes in Adj-RIB-In, rejected ones too.
    pub received: usize,
    /// Those that import policy and the sanity checks let pass.
    pub accepted: usize,
    /// Prefixes advertised and not withdrawn.
    pub sent: usize,
}
