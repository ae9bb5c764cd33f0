//! What a policy is told of a route, and what it makes of it.

use core::cell::OnceCell;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use bgp_wire::{Family, NextHop, PathAttributes};
use holdfast_rib::{Attributes, LocalSource, PeerInfo, Rewritten, RouteContext};
use ipnet::IpNet;

use crate::model::{OtherProtocol, SourceProtocol};

/// Which way a route goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the peer to us.
    In,
    /// From us to the peer.
    Out,
}

/// A route as a route map sees it. What is not known has a value that no
/// `match` asks for, or none.
///
/// All but the prefix has to be the same for all routes that are asked about
/// with one value of [`Attributes`]: what depends on it is found out once.
#[derive(Debug, Clone, Copy)]
pub struct RouteView<'a> {
    /// Prefix.
    pub prefix: IpNet,
    /// Attributes.
    pub attributes: &'a Attributes<'a>,
    /// Which way it goes.
    pub direction: Direction,
    /// The peer that it comes from or goes to.
    pub peer: Option<&'a PeerInfo>,
    /// The interface that names the peer, where one does (unnumbered).
    pub peer_interface: Option<&'a str>,
    /// The peer that it was learned from; none where it is our own.
    pub learned_from: Option<&'a PeerInfo>,
    /// Weight, which never travels.
    pub weight: u32,
    /// Tag, as the kernel's routes have it; 0 is none.
    pub tag: u32,
    /// Where the next hop is.
    pub interface: Option<&'a str>,
    /// Where it is from, where it was redistributed or goes to the kernel.
    pub source_protocol: Option<SourceProtocol>,
    /// Which of several of that protocol.
    pub source_instance: u8,
    /// The table that it is from.
    pub source_vrf: Option<&'a str>,
    /// Round trip time to the peer, in milliseconds.
    pub rtt_ms: u32,
    /// Metric to the next hop.
    pub igp_metric: u32,
    /// How many paths are used together.
    pub num_multipaths: u32,
    /// What they carry together, in octets per second; 0 is not known.
    pub cumulative_bandwidth: u64,
    /// Length of the prefix that resolves the next hop.
    pub next_hop_prefix_len: Option<u8>,
    /// The next hop before it was made the one to send.
    pub original_next_hop: Option<NextHop>,
    /// The MED before it was taken out for the receiver.
    pub original_med: Option<u32>,
    /// What is set is set on these in place of the route's own (FRR's
    /// `default-originate route-map`).
    pub onto: Option<&'a PathAttributes>,
}

/// What `match source-protocol` says of a route of our own, or of a learned one.
pub const fn source_protocol(source: Option<LocalSource>) -> SourceProtocol {
    match source {
        None | Some(LocalSource::Network | LocalSource::Aggregate) => SourceProtocol::Bgp,
        Some(LocalSource::Connected) => SourceProtocol::Connected,
        Some(LocalSource::Static) => SourceProtocol::Static,
        Some(LocalSource::Kernel) => SourceProtocol::Kernel,
        Some(LocalSource::Table) => SourceProtocol::Other(OtherProtocol::Table),
    }
}

impl<'a> RouteView<'a> {
    /// A route of our own of which no more is known, on its way in.
    pub const fn new(prefix: IpNet, attributes: &'a Attributes<'a>) -> RouteView<'a> {
        RouteView {
            prefix,
            attributes,
            direction: Direction::In,
            peer: None,
            peer_interface: None,
            learned_from: None,
            weight: 0,
            tag: 0,
            interface: None,
            source_protocol: None,
            source_instance: 0,
            source_vrf: None,
            rtt_ms: 0,
            igp_metric: 0,
            num_multipaths: 1,
            cumulative_bandwidth: 0,
            next_hop_prefix_len: None,
            original_next_hop: None,
            original_med: None,
            onto: None,
        }
    }

    /// A route as the table asks about it.
    pub fn of(direction: Direction, route: &RouteContext<'a>) -> RouteView<'a> {
        RouteView {
            direction,
            peer: Some(route.peer),
            learned_from: route.learned_from,
            weight: route.weight,
            source_protocol: Some(source_protocol(route.source)),
            original_next_hop: route.original_next_hop,
            original_med: route.original_med,
            ..RouteView::new(route.prefix, route.attributes)
        }
    }

    /// The family of the prefix.
    pub const fn family(&self) -> Family {
        match self.prefix {
            IpNet::V4(_) => Family::Ipv4Unicast,
            IpNet::V6(_) => Family::Ipv6Unicast,
        }
    }
}

/// What `set` lines made of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The attributes, whole.
    pub attributes: PathAttributes,
    /// Weight.
    pub weight: u32,
    /// Tag; 0 is none.
    pub tag: u32,
    /// Administrative distance, where it was set.
    pub distance: Option<u8>,
    /// The kernel's table, where it was set.
    pub table: Option<u32>,
    /// The source address of this host's packets, where it was set.
    pub src: Option<IpAddr>,
    /// `set ipv6 next-hop prefer-global` was there: no link-local address any
    /// more.
    pub prefers_global: bool,
    /// The one that there was, for lines that ask for it.
    pub let_go: Option<Ipv6Addr>,
    /// `set ipv6 next-hop peer-address` was there on the way out: what comes
    /// after it does not count, as in FRR.
    pub is_peer_address: bool,
}

impl Changed {
    /// A route before anything was set.
    pub fn before(view: &RouteView<'_>) -> Changed {
        Changed {
            attributes: match view.onto {
                Some(onto) => onto.clone(),
                None => PathAttributes::clone(view.attributes),
            },
            weight: view.weight,
            tag: view.tag,
            distance: None,
            table: None,
            src: None,
            prefers_global: false,
            let_go: None,
            is_peer_address: false,
        }
    }

    /// Whether anything is set in the end.
    pub fn differs(&self, view: &RouteView<'_>) -> bool {
        let rest = (self.weight, self.tag, self.distance, self.table, self.src);
        rest != (view.weight, view.tag, None, None, None) || self.attributes != **view.attributes
    }
}

/// What `set` lines made of a route, to be handed out many times.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// For the table.
    pub(crate) new: Arc<Rewritten>,
    /// Whether it is anything new to the table.
    pub(crate) is_new: bool,
    rest: Rest,
}

/// [`Changed`] without attributes.
#[derive(Debug, Clone, Copy)]
struct Rest {
    weight: u32,
    tag: u32,
    distance: Option<u8>,
    table: Option<u32>,
    src: Option<IpAddr>,
    prefers_global: bool,
    let_go: Option<Ipv6Addr>,
    is_peer_address: bool,
}

impl Kept {
    pub(crate) fn new(changed: Changed, view: &RouteView<'_>) -> Kept {
        let weight = (changed.weight != view.weight).then_some(changed.weight);
        Kept {
            is_new: weight.is_some() || changed.attributes != **view.attributes,
            new: Arc::new(Rewritten {
                attributes: changed.attributes,
                weight,
            }),
            rest: Rest {
                weight: changed.weight,
                tag: changed.tag,
                distance: changed.distance,
                table: changed.table,
                src: changed.src,
                prefers_global: changed.prefers_global,
                let_go: changed.let_go,
                is_peer_address: changed.is_peer_address,
            },
        }
    }

    pub(crate) fn changed(&self) -> Changed {
        let Rest {
            weight,
            tag,
            distance,
            table,
            src,
            prefers_global,
            let_go,
            is_peer_address,
        } = self.rest;
        Changed {
            attributes: self.new.attributes.clone(),
            weight,
            tag,
            distance,
            table,
            src,
            prefers_global,
            let_go,
            is_peer_address,
        }
    }
}

/// A route as it is in the middle of a route map.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) view: &'a RouteView<'a>,
    /// What was set so far.
    pub(crate) kept: Option<&'a Kept>,
    /// The text of the AS path, once somebody wanted it.
    pub(crate) path_text: &'a OnceCell<String>,
    /// Whether lists count that they were asked.
    pub(crate) counts: bool,
}

impl<'a> Seen<'a> {
    pub(crate) fn attributes(self) -> &'a PathAttributes {
        match self.kept {
            Some(kept) => &kept.new.attributes,
            None => self.view.attributes,
        }
    }

    /// A link-local next hop that the table does without.
    pub(crate) fn let_go(self) -> Option<Ipv6Addr> {
        self.kept.and_then(|kept| kept.rest.let_go)
    }

    pub(crate) fn tag(self) -> u32 {
        self.kept.map_or(self.view.tag, |kept| kept.rest.tag)
    }
}
