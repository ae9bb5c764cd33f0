//! Route maps.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bgp_wire::{Community, ExtendedCommunity, Family, LargeCommunity, Origin};
use serde::{Deserialize, Serialize};

use super::{Action, text};

/// `route-map NAME`. The first entry that matches decides, unless it says how to
/// go on; what none matches is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct RouteMap {
    /// By sequence number, 1 to 65535.
    pub entries: BTreeMap<u16, RouteMapEntry>,
    /// `route-map NAME optimization`. Kept to be printed back: maps are always
    /// compiled.
    pub optimization: bool,
}

impl Default for RouteMap {
    fn default() -> Self {
        RouteMap {
            entries: BTreeMap::new(),
            optimization: true,
        }
    }
}

/// `route-map NAME permit|deny N`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct RouteMapEntry {
    /// What becomes of a route that matches.
    pub action: Action,
    /// `description`.
    pub description: Option<String>,
    /// All have to match.
    pub matches: Vec<Match>,
    /// What is changed in a route that is permitted, in this order.
    pub sets: Vec<Set>,
    /// `call NAME`: another route map has its say, and its changes stay.
    pub call: Option<String>,
    /// What comes after a route was permitted.
    pub on_match: OnMatch,
}

/// Where the walk goes on after an entry that permits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnMatch {
    /// Nowhere: the route is permitted.
    #[default]
    Exit,
    /// `on-match next`, `continue`: at the next entry.
    Next,
    /// `on-match goto N`, `continue N`: at the first entry from this number on.
    Goto(u16),
}

/// Which kind of list is meant, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListKind {
    /// An access list.
    Access(String),
    /// A prefix list.
    Prefix(String),
}

/// What a `match` line asks for. Families are those of the line (`ip`, `ipv6`):
/// it matches no route of the other one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Match {
    /// `match ip|ipv6 address NAME`, `... prefix-list NAME`: the prefix.
    Address(#[serde(with = "family")] Family, ListKind),
    /// `match ip|ipv6 address prefix-len N`.
    PrefixLen(#[serde(with = "family")] Family, u8),
    /// `match ip|ipv6 next-hop ...`.
    NextHop(#[serde(with = "family")] Family, NextHopKind),
    /// `match ip route-source NAME`, `... prefix-list NAME`: the address of the
    /// peer that the route was learned from.
    RouteSource(ListKind),
    /// `match as-path NAME`.
    AsPath(String),
    /// `match community NAME [exact-match|any]`.
    Community(String, CommunityCompare),
    /// `match large-community NAME [exact-match|any]`.
    LargeCommunity(String, CommunityCompare),
    /// `match extcommunity NAME`.
    ExtCommunity(String),
    /// `match alias NAME`: a community with this alias.
    Alias(String),
    /// `match local-preference N`.
    LocalPreference(u32),
    /// `match metric N`.
    Metric(u32),
    /// `match origin`.
    Origin(#[serde(with = "origin")] Origin),
    /// `match peer`: who sent the route, or who is to get it.
    Peer(PeerMatch),
    /// `match interface NAME`: where the next hop is.
    Interface(String),
    /// `match tag N`.
    Tag(u32),
    /// `match source-protocol NAME`.
    SourceProtocol(SourceProtocol),
    /// `match source-instance N`.
    SourceInstance(u8),
    /// `match source-vrf NAME`.
    SourceVrf(String),
    /// `match rpki` (RFC 6811).
    Rpki(RpkiState),
    /// `match probability N`: so many percent of prefixes, always the same ones.
    Probability(u8),
}

/// What `match ip|ipv6 next-hop` looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NextHopKind {
    /// `NAME`, `prefix-list NAME`.
    List(ListKind),
    /// `address A.B.C.D`, `address X:X::X:X`.
    Address(IpAddr),
    /// `prefix-len N`.
    PrefixLen(u8),
    /// `type blackhole`.
    Blackhole,
}

/// How communities are compared with a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommunityCompare {
    /// The route has all communities of an entry.
    #[default]
    All,
    /// `exact-match`: it has these and no others.
    Exact,
    /// `any`: it has one of them.
    Any,
}

/// Which peer `match peer` means.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerMatch {
    /// By address.
    Address(IpAddr),
    /// The unnumbered one of an interface.
    Interface(String),
    /// `local`: the route is our own.
    Local,
}

/// Where a redistributed route is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceProtocol {
    /// BGP itself.
    Bgp,
    /// Subnets of interfaces.
    Connected,
    /// Other routes of the kernel.
    Kernel,
    /// Static routes.
    Static,
    /// A protocol that does not run here: FRR's name of it, which no route has.
    Other(OtherProtocol),
}

/// Protocols of FRR that do not run here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "names of protocols")]
pub enum OtherProtocol {
    Babel,
    Eigrp,
    Isis,
    Nhrp,
    Openfabric,
    Ospf,
    Ospf6,
    Pim,
    Rip,
    Ripng,
    Sharp,
    System,
    Table,
    Vnc,
    VncDirect,
}

/// What origin validation says of a route (RFC 6811 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RpkiState {
    /// A ROA covers it and agrees.
    Valid,
    /// ROAs cover it and none agrees.
    Invalid,
    /// No ROA covers it.
    NotFound,
}

/// What a `set` line changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Set {
    /// `set local-preference [+|-]N`.
    LocalPreference(Delta),
    /// `set metric ...`.
    Metric(MetricSet),
    /// `set weight N`.
    Weight(u32),
    /// `set origin`.
    Origin(#[serde(with = "origin")] Origin),
    /// `set as-path prepend ...`.
    AsPathPrepend(AsPathPrepend),
    /// `set as-path exclude ...`.
    AsPathExclude(ExcludeAsns),
    /// `set as-path replace ...`.
    AsPathReplace(ReplaceAs),
    /// `set community ...`.
    Community(CommunityChange<Community>),
    /// `set comm-list NAME delete`.
    CommListDelete(String),
    /// `set large-community ...`.
    LargeCommunity(CommunityChange<LargeCommunity>),
    /// `set large-comm-list NAME delete`.
    LargeCommListDelete(String),
    /// `set extcommunity rt ...`: beside the extended communities that there
    /// are.
    ExtCommunityRt(#[serde(with = "text::many")] Vec<ExtendedCommunity>),
    /// `set extcommunity soo ...`: likewise.
    ExtCommunitySoo(#[serde(with = "text::many")] Vec<ExtendedCommunity>),
    /// `set extcommunity bandwidth ...`.
    ExtCommunityBandwidth {
        /// How much.
        bandwidth: BandwidthSet,
        /// The community does not leave the AS.
        non_transitive: bool,
    },
    /// `set extcommunity none`.
    ExtCommunityNone,
    /// `set ip next-hop ...`.
    NextHop(NextHopSet),
    /// `set ipv6 next-hop global X:X::X:X`.
    Ipv6NextHopGlobal(Ipv6Addr),
    /// `set ipv6 next-hop local X:X::X:X`.
    Ipv6NextHopLocal(Ipv6Addr),
    /// `set ipv6 next-hop peer-address`.
    Ipv6NextHopPeerAddress,
    /// `set ipv6 next-hop prefer-global`: packets go to the global address where
    /// there is a link-local one too.
    Ipv6NextHopPreferGlobal,
    /// `set src ADDRESS`: of packets of this host, where the route map is for
    /// the kernel.
    Src(IpAddr),
    /// `set tag N`.
    Tag(u32),
    /// `set table N`: of the kernel.
    Table(u32),
    /// `set distance N`.
    Distance(u8),
    /// `set originator-id A.B.C.D`.
    OriginatorId(Ipv4Addr),
    /// `set atomic-aggregate`.
    AtomicAggregate,
    /// `set aggregator as N A.B.C.D`.
    Aggregator(AggregatorSet),
    /// `set aigp-metric igp-metric|N`; none is the metric to the next hop.
    AigpMetric(Option<u32>),
}

/// A number that is set, added or taken away. It stays within 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delta {
    /// `N`.
    To(u32),
    /// `+N`.
    Add(u32),
    /// `-N`.
    Subtract(u32),
}

/// `set metric`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetricSet {
    /// A number.
    By(Delta),
    /// `rtt`: the round trip time to the peer in milliseconds.
    Rtt,
    /// `+rtt`.
    AddRtt,
    /// `-rtt`.
    SubtractRtt,
    /// `igp`: the metric to the next hop.
    Igp,
    /// `aigp`: the route's AIGP.
    Aigp,
}

/// `set as-path prepend`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AsPathPrepend {
    /// These, the first outermost.
    Asns(Vec<u32>),
    /// `last-as N`: the path's first AS so many times.
    LastAs(u8),
}

/// `set as-path exclude`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExcludeAsns {
    /// These.
    Asns(Vec<u32>),
    /// `all`.
    All,
    /// `as-path-access-list NAME`: each AS that the list permits by itself.
    List(String),
}

/// `set as-path replace`: by our own AS, or another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReplaceAs {
    /// The AS to replace; none is `any`.
    pub from: Option<u32>,
    /// By which; none is ours.
    pub to: Option<u32>,
}

/// `set community`, `set large-community`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[serde(bound = "C: super::Listable")]
pub enum CommunityChange<C> {
    /// These in place of those that there are.
    Replace(#[serde(with = "text::many")] Vec<C>),
    /// `additive`.
    Add(#[serde(with = "text::many")] Vec<C>),
    /// `none`.
    None,
}

/// `set extcommunity bandwidth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BandwidthSet {
    /// In Mbit/s (of a million), 1 to 25600.
    Mbits(u32),
    /// `cumulative`: of all paths that are used.
    Cumulative,
    /// `num-multipaths`: as many as there are such paths.
    NumMultipaths,
}

/// `set ip next-hop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NextHopSet {
    /// An address.
    Address(Ipv4Addr),
    /// `peer-address`: the peer's on import, ours on export.
    PeerAddress,
    /// `unchanged`.
    Unchanged,
}

/// `set aggregator`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AggregatorSet {
    /// The AS.
    pub asn: u32,
    /// The router.
    pub address: Ipv4Addr,
}

/// Families by the first word of the line.
mod family {
    use bgp_wire::Family;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(family: &Family, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(match family {
            Family::Ipv4Unicast => "ip",
            Family::Ipv6Unicast => "ipv6",
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Family, D::Error> {
        match String::deserialize(from)?.as_str() {
            "ip" => Ok(Family::Ipv4Unicast),
            "ipv6" => Ok(Family::Ipv6Unicast),
            other => Err(D::Error::custom(format!("neither ip nor ipv6: '{other}'"))),
        }
    }
}

/// Origins by their names.
mod origin {
    use bgp_wire::Origin;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(origin: &Origin, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(match origin {
            Origin::Igp => "igp",
            Origin::Egp => "egp",
            Origin::Incomplete => "incomplete",
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Origin, D::Error> {
        match String::deserialize(from)?.as_str() {
            "igp" => Ok(Origin::Igp),
            "egp" => Ok(Origin::Egp),
            "incomplete" => Ok(Origin::Incomplete),
            other => Err(D::Error::custom(format!("not an origin: '{other}'"))),
        }
    }
}
