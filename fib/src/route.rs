//! What callers ask for ([`Route`]) and what is written for it ([`KernelRoute`]).

use std::net::IpAddr;

use ipnet::IpNet;

/// A route as its owner wants it: next hops as learned, not yet resolved.
///
/// Routes are shared: hand the same `Arc<Route>` for every prefix that uses the same set, then
/// resolving and storing it costs once per set and not once per prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Route {
    /// The kernel's metric (`RTA_PRIORITY`), lower wins. For BGP the administrative distance,
    /// 20 or 200. For IPv6 the kernel knows no 0; 0 means its default of 1024.
    pub metric: u32,
    /// What happens to packets that match.
    pub kind: RouteKind,
    /// Preferred source address (`RTA_PREFSRC`) for packets of this host; must be one of the
    /// host's own, else the kernel refuses the route.
    pub prefsrc: Option<IpAddr>,
    /// Flows keep their next hop when others of the set come and go.
    pub resilient: Option<Resilient>,
}

/// How several next hops share flows so that one that stays keeps its flows: the kernel hashes
/// flows to buckets, and next hops own buckets. Those of a next hop that goes are dealt out to the
/// others at once; one that comes gets buckets as they fall idle.
///
/// Routes of the same next hops and of the same numbers here share one group, whatever their
/// family. Takes nexthop objects and Linux 5.13; without, routes are as they would be with `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Resilient {
    /// Buckets of the group, 1 or more. A next hop without one gets no flows, so there should be
    /// several for each. A group cannot change them: another number is another group.
    pub buckets: u16,
    /// Seconds without a packet after which a bucket may go to another next hop; 0 moves it as
    /// soon as shares are to change. At most [`MAX_TIMER_SECS`](Self::MAX_TIMER_SECS).
    pub idle_timer_secs: u32,
    /// Seconds for which shares may differ from what they should be before busy buckets move too;
    /// 0 is for ever. At most [`MAX_TIMER_SECS`](Self::MAX_TIMER_SECS).
    pub unbalanced_timer_secs: u32,
}

impl Resilient {
    /// Ticks of the kernel's timers in a second.
    pub(crate) const TICKS: u32 = 100;
    /// The longest timer, in seconds; longer ones count as this. The kernel counts timers in
    /// jiffies, up to a thousand a second, in 32 bits, and does not look whether they fit.
    pub const MAX_TIMER_SECS: u32 = u32::MAX / 1000;
}

/// What a route does with a packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RouteKind {
    /// Forward by one of these. Members that do not resolve are left out; a route without any
    /// resolved member is not installed until one resolves.
    Unicast(Vec<NextHop>),
    /// Drop without a word (`RTN_BLACKHOLE`).
    Blackhole,
    /// Drop and answer ICMP host unreachable (`RTN_UNREACHABLE`).
    Unreachable,
    /// Drop and answer ICMP administratively prohibited (`RTN_PROHIBIT`).
    Prohibit,
}

/// One member of a unicast route, as learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NextHop {
    /// The next hop's address. An IPv6 address is fine for an IPv4 prefix (RFC 8950).
    pub gateway: IpAddr,
    /// The interface, needed for a link-local `gateway` and for `onlink`.
    pub ifindex: Option<u32>,
    /// Share of the traffic relative to the other members, 1 to 65535; scaled to what
    /// the kernel takes.
    pub weight: u16,
    /// Pretend the gateway is on the link of `ifindex` whatever the addresses say
    /// (`RTNH_F_ONLINK`).
    pub onlink: bool,
    /// The table in which the next hop means something, if it is not the one that next hops are
    /// resolved in: it is reached as from there, and written with its interface and `onlink`.
    pub table: Option<u32>,
}

impl NextHop {
    /// A next hop of weight 1 which is resolved by its address alone.
    #[must_use]
    pub fn new(gateway: IpAddr) -> Self {
        Self {
            gateway,
            ifindex: None,
            weight: 1,
            onlink: false,
            table: None,
        }
    }

    /// A next hop of weight 1 on a known interface, as for link-local addresses.
    #[must_use]
    pub fn on_interface(gateway: IpAddr, ifindex: u32) -> Self {
        Self {
            gateway,
            ifindex: Some(ifindex),
            weight: 1,
            onlink: false,
            table: None,
        }
    }
}

/// A route in the kernel's terms: what is written, and what dumps and notifications say.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KernelRoute {
    /// `RTA_PRIORITY`.
    pub metric: u32,
    /// Type and next hops.
    pub kind: KernelKind,
    /// `RTA_PREFSRC`.
    pub prefsrc: Option<IpAddr>,
}

/// Type and next hops of a [`KernelRoute`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KernelKind {
    /// `RTN_UNICAST`; sorted, without duplicates, one or more.
    Unicast(Vec<KernelHop>),
    /// `RTN_UNICAST` through the nexthop object of this number (`RTA_NH_ID`), which says all else.
    Nexthop(u32),
    /// `RTN_BLACKHOLE`.
    Blackhole,
    /// `RTN_UNREACHABLE`.
    Unreachable,
    /// `RTN_PROHIBIT`.
    Prohibit,
    /// Another `RTN_*` type (throw, NAT); never written by us.
    Other(u8),
}

/// How packets are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Drop {
    /// Without a word (`RTN_BLACKHOLE`).
    Blackhole,
    /// With ICMP host unreachable (`RTN_UNREACHABLE`).
    Unreachable,
    /// With ICMP administratively prohibited (`RTN_PROHIBIT`).
    Prohibit,
}

impl Drop {
    /// What routes of this kind do to packets, if they drop them.
    #[must_use]
    pub fn of(kind: &KernelKind) -> Option<Self> {
        match kind {
            KernelKind::Blackhole => Some(Self::Blackhole),
            KernelKind::Unreachable => Some(Self::Unreachable),
            KernelKind::Prohibit => Some(Self::Prohibit),
            KernelKind::Unicast(_) | KernelKind::Nexthop(_) | KernelKind::Other(_) => None,
        }
    }
}

impl From<Drop> for KernelKind {
    fn from(drop: Drop) -> Self {
        match drop {
            Drop::Blackhole => Self::Blackhole,
            Drop::Unreachable => Self::Unreachable,
            Drop::Prohibit => Self::Prohibit,
        }
    }
}

/// A resolved next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KernelHop {
    /// The router on the link; `None` when the destination itself is on the link.
    pub gateway: Option<IpAddr>,
    /// The interface packets leave by.
    pub ifindex: u32,
    /// 1 to 256; in a group of nexthop objects up to 65535 ([`max_weight`]).
    ///
    /// [`max_weight`]: crate::FibHandle::max_weight
    pub weight: u16,
    /// `RTNH_F_ONLINK`.
    pub onlink: bool,
}

impl KernelRoute {
    /// The next hops, empty for everything but unicast.
    #[must_use]
    pub fn hops(&self) -> &[KernelHop] {
        match &self.kind {
            KernelKind::Unicast(hops) => hops,
            _ => &[],
        }
    }
}

/// How a tracked address, or a next hop of a route, is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The router to send to, `None` when the address itself is on a link of this host. Of
    /// several equal ones the first of `multipath`.
    pub gateway: Option<IpAddr>,
    /// The interface packets leave by; 0 without a kernel.
    pub ifindex: u32,
    /// That interface's name; empty without a kernel.
    pub ifname: String,
    /// Metric of the route that reaches it, 0 when connected: the "IGP metric" of the decision
    /// process (RFC 4271 section 9.1.2.2 e).
    pub metric: u32,
    /// Whether the address is on a link of this host.
    pub connected: bool,
    /// The route that reaches it; `None` when a link-local address or `onlink` needed none.
    pub via: Option<IpNet>,
    /// Who made that route (`RTPROT_*`); the kernel where there is none.
    pub protocol: u8,
    /// All hops when the route that reaches it has several; one element otherwise, and none where
    /// packets are dropped.
    pub multipath: Vec<KernelHop>,
    /// The route that covers the address drops packets, and so does what is routed by it.
    pub drops: Option<Drop>,
    /// Whether that route is one that was [applied](crate::FibHandle::apply): `via` is its
    /// prefix.
    pub through_own: bool,
    /// Then how it is reached without such routes, if it is. By this goes what is about the
    /// prefix `via` itself: no route resolves through itself.
    pub otherwise: Option<Box<Resolution>>,
}
