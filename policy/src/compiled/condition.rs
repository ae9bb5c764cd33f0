//! `match` lines, compiled.

use core::hash::Hasher as _;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use bgp_wire::{Community, ExtendedCommunity, Family, LargeCommunity, NextHop, Origin};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::as_path_list::AsPathList;
use super::community_list::CommunityList;
use super::prefix_list::{AccessList, PrefixList};
use super::roa::{Validation, origin_of};
use super::route::{Direction, Seen};
use crate::model::{CommunityCompare, Match, PeerMatch, RpkiState, SourceProtocol};

/// A `match` line.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) source: Match,
    pub(crate) test: Test,
    /// Where its outcome is kept; none where it depends on the prefix.
    pub(crate) place: Option<usize>,
}

/// A list for addresses. One that does not exist is none, and matches nothing.
#[derive(Debug, Clone)]
pub(crate) enum AddressList {
    Access(Family, Arc<AccessList>),
    V4(Arc<PrefixList<Ipv4Net>>),
    V6(Arc<PrefixList<Ipv6Net>>),
    Missing,
}

impl AddressList {
    #[inline]
    fn permits(&self, prefix: IpNet, counts: bool) -> bool {
        match (self, prefix) {
            (AddressList::V4(list), IpNet::V4(net)) if counts => list.permits_counted(net),
            (AddressList::V6(list), IpNet::V6(net)) if counts => list.permits_counted(net),
            (AddressList::V4(list), IpNet::V4(net)) => list.permits(net),
            (AddressList::V6(list), IpNet::V6(net)) => list.permits(net),
            (AddressList::Access(Family::Ipv4Unicast, list), IpNet::V4(_))
            | (AddressList::Access(Family::Ipv6Unicast, list), IpNet::V6(_)) => {
                list.verdict(prefix).permits()
            }
            _ => false,
        }
    }
}

/// What a line asks.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    Address(AddressList),
    PrefixLen(Family, u8),
    NextHopList(AddressList),
    NextHopAddress(IpAddr),
    NextHopPrefixLen(Family, u8),
    Blackhole(Family),
    RouteSource(AddressList),
    AsPath(Arc<AsPathList>),
    Community(Arc<CommunityList<Community>>, CommunityCompare),
    LargeCommunity(Arc<CommunityList<LargeCommunity>>, CommunityCompare),
    ExtCommunity(Arc<CommunityList<ExtendedCommunity>>),
    Alias(Vec<Community>, Vec<LargeCommunity>),
    LocalPreference(u32),
    Metric(u32),
    Origin(Origin),
    Peer(PeerMatch),
    Interface(String),
    Tag(u32),
    SourceProtocol(SourceProtocol),
    SourceInstance(u8),
    SourceVrf(String),
    Rpki(RpkiState, Validation),
    /// So many percent, and what the choice is mixed with.
    Probability(u8, u64),
    /// A list that does not exist.
    Never,
}

impl Test {
    /// Whether it asks for the prefix.
    pub(crate) const fn is_of_prefix(&self) -> bool {
        matches!(
            self,
            Test::Address(_) | Test::PrefixLen(..) | Test::Rpki(..) | Test::Probability(..)
        )
    }

    #[inline]
    pub(crate) fn holds(&self, route: Seen<'_>) -> bool {
        match self {
            Test::Address(list) => list.permits(route.view.prefix, route.counts),
            Test::PrefixLen(family, len) => {
                let prefix = route.view.prefix;
                route.view.family() == *family && prefix.prefix_len() == *len
            }
            Test::Rpki(state, by) => rpki(by, route) == *state,
            Test::Probability(percent, seed) => chosen(route.view.prefix, *percent, *seed),
            _ => self.holds_for_attributes(route),
        }
    }

    fn holds_for_attributes(&self, route: Seen<'_>) -> bool {
        let attributes = || route.attributes();
        match self {
            Test::NextHopList(list) => {
                let permits = |addr: IpAddr| list.permits(addr.into(), route.counts);
                next_hop(route).is_some_and(permits) || link_local(route).is_some_and(permits)
            }
            Test::NextHopAddress(addr) => {
                next_hop(route) == Some(*addr) || link_local(route) == Some(*addr)
            }
            Test::NextHopPrefixLen(family, len) => {
                let of_family = route.view.family() == *family;
                of_family && route.view.next_hop_prefix_len == Some(*len)
            }
            Test::Blackhole(family) => route.view.family() == *family && is_blackhole(route),
            Test::RouteSource(list) => {
                let from = route.view.learned_from;
                from.is_some_and(|peer| list.permits(peer.address.into(), route.counts))
            }
            Test::AsPath(list) => {
                let path = &attributes().as_path;
                list.verdict_with(path, route.path_text).permits()
            }
            Test::Community(list, compare) => {
                list.verdict(&attributes().communities, *compare).permits()
            }
            Test::LargeCommunity(list, compare) => {
                let communities = &attributes().large_communities;
                list.verdict(communities, *compare).permits()
            }
            Test::ExtCommunity(list) => {
                let communities = &attributes().extended_communities;
                list.verdict(communities, CommunityCompare::All).permits()
            }
            Test::Alias(plain, large) => {
                let attributes = attributes();
                plain.iter().any(|c| attributes.communities.contains(c))
                    || large
                        .iter()
                        .any(|c| attributes.large_communities.contains(c))
            }
            Test::LocalPreference(value) => attributes().local_pref.unwrap_or(0) == *value,
            Test::Metric(value) => med(route).unwrap_or(0) == *value,
            Test::Origin(origin) => attributes().origin == *origin,
            Test::Peer(peer) => is_peer(peer, route),
            Test::Interface(name) => route.view.interface == Some(name.as_str()),
            Test::Tag(tag) => route.tag() == *tag,
            Test::SourceProtocol(protocol) => route.view.source_protocol == Some(*protocol),
            Test::SourceInstance(instance) => route.view.source_instance == *instance,
            Test::SourceVrf(name) => route.view.source_vrf == Some(name.as_str()),
            Test::Never
            | Test::Address(_)
            | Test::PrefixLen(..)
            | Test::Rpki(..)
            | Test::Probability(..) => false,
        }
    }
}

/// The global address of the next hop.
/// As it came, unless a line set another one.
fn med(route: Seen<'_>) -> Option<u32> {
    let now = route.attributes().med;
    let untouched = now == route.view.attributes.med;
    route.view.original_med.filter(|_| untouched).or(now)
}

fn next_hop(route: Seen<'_>) -> Option<IpAddr> {
    let now = route.attributes().next_hop;
    // On the way out it may be ours already; FRR sees to that after policy.
    let untouched = now == route.view.attributes.next_hop;
    let learned = route.view.original_next_hop.filter(|_| untouched);
    learned.or(now).map(NextHop::addr)
}

/// The link-local address beside it. On the way out only one that was set: FRR
/// does without the learned one by then, and has not put ours there.
fn link_local(route: Seen<'_>) -> Option<IpAddr> {
    let view = route.view;
    let now = route.attributes().next_hop;
    let Some(NextHop::V6 { link_local, .. }) = now else {
        return None;
    };
    let ours = view.peer.and_then(|peer| peer.local_link_local);
    let counts = |addr: &Ipv6Addr| match view.direction {
        Direction::In => true,
        Direction::Out => now != view.attributes.next_hop && Some(*addr) != ours,
    };
    let there = link_local.filter(counts).or(route.let_go());
    there.map(IpAddr::V6)
}

/// A route without a next hop goes nowhere, unless an interface is known.
fn is_blackhole(route: Seen<'_>) -> bool {
    let hop = next_hop(route);
    route.view.interface.is_none() && hop.is_none_or(|addr| addr.is_unspecified())
}

fn is_peer(wanted: &PeerMatch, route: Seen<'_>) -> bool {
    match wanted {
        PeerMatch::Address(address) => route.view.peer.is_some_and(|peer| peer.address == *address),
        PeerMatch::Interface(name) => route.view.peer_interface == Some(name.as_str()),
        PeerMatch::Local => route.view.learned_from.is_none(),
    }
}

fn rpki(by: &Validation, route: Seen<'_>) -> RpkiState {
    let view = route.view;
    // On the way out the AS counts that the receiver will see (RFC 8893 section
    // 3).
    let other = view
        .peer
        .filter(|peer| view.direction == Direction::Out && peer.is_external() && peer.replace_as);
    let asn = other.map_or(by.asn, |peer| peer.local_as);
    let origin = origin_of(&route.attributes().as_path, asn);
    by.roas.validate(view.prefix, origin)
}

/// Whether the prefix is among so many percent. The same prefix always is, or
/// never: an answer that changed by itself would be a route that flaps.
fn chosen(prefix: IpNet, percent: u8, seed: u64) -> bool {
    let mut hasher = Fnv(seed ^ Fnv::BASIS);
    match prefix.network() {
        IpAddr::V4(addr) => hasher.write(&addr.octets()),
        IpAddr::V6(addr) => hasher.write(&addr.octets()),
    }
    hasher.write(&[prefix.prefix_len()]);
    hasher.finish() % 100 < u64::from(percent)
}

/// A seed of a name and a number.
pub(crate) fn seed_of(name: &str, number: u32) -> u64 {
    let mut hasher = Fnv(Fnv::BASIS);
    hasher.write(name.as_bytes());
    hasher.write(&number.to_be_bytes());
    hasher.finish()
}

/// A hash that is the same everywhere and forever: choices outlive a restart.
struct Fnv(u64);

impl Fnv {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
}

impl core::hash::Hasher for Fnv {
    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = (self.0 ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Its lower bits alone say too little of the last octets.
    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ self.0 >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ mixed >> 33
    }
}

// ===== for people =====

impl Condition {
    /// What the route has where the line asks for something.
    pub(crate) fn actual(&self, route: Seen<'_>) -> String {
        let view = route.view;
        let number = |value: Option<u32>| value.map_or_else(none, |value| value.to_string());
        match &self.source {
            Match::Address(..) | Match::PrefixLen(..) | Match::Probability(_) => {
                view.prefix.to_string()
            }
            Match::NextHop(..) => next_hop(route).map_or_else(none, |addr| addr.to_string()),
            Match::RouteSource(_) => {
                let from = view.learned_from;
                from.map_or_else(|| "local".to_owned(), |peer| peer.address.to_string())
            }
            Match::AsPath(_) => route.attributes().as_path.to_string(),
            Match::Community(..) => list_of(&route.attributes().communities),
            Match::LargeCommunity(..) => list_of(&route.attributes().large_communities),
            Match::ExtCommunity(_) => list_of(&route.attributes().extended_communities),
            Match::Alias(_) => {
                let plain = list_of(&route.attributes().communities);
                let large = list_of(&route.attributes().large_communities);
                format!("{plain} {large}")
            }
            Match::LocalPreference(_) => number(route.attributes().local_pref),
            Match::Metric(_) => number(med(route)),
            Match::Origin(_) => format!("{:?}", route.attributes().origin).to_lowercase(),
            Match::Peer(_) => match (view.peer_interface, view.peer) {
                (Some(name), _) => name.to_owned(),
                (None, Some(peer)) => peer.address.to_string(),
                (None, None) => "local".to_owned(),
            },
            Match::Interface(_) => view.interface.map_or_else(none, str::to_owned),
            Match::Tag(_) => route.tag().to_string(),
            Match::SourceProtocol(_) => match view.source_protocol {
                Some(protocol) => format!("{protocol:?}").to_lowercase(),
                None => none(),
            },
            Match::SourceInstance(_) => view.source_instance.to_string(),
            Match::SourceVrf(_) => view.source_vrf.map_or_else(none, str::to_owned),
            Match::Rpki(_) => match &self.test {
                Test::Rpki(_, by) => format!("{:?}", rpki(by, route)).to_lowercase(),
                _ => none(),
            },
        }
    }
}

fn none() -> String {
    "none".to_owned()
}

fn list_of<C: ToString>(communities: &[C]) -> String {
    let texts: Vec<String> = communities.iter().map(ToString::to_string).collect();
    texts.join(" ")
}
