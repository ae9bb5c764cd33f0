//! Settings of neighbors and peer groups, and what they come to together.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::filter::{EffectivePolicy, PeerPolicy};
use crate::model::{BGP_PORT, Bgp, Family, Timers};

/// The AS number expected from a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemoteAs {
    /// Exactly this AS.
    Number(u32),
    /// The local AS.
    Internal,
    /// Any AS but the local one.
    External,
}

impl std::fmt::Display for RemoteAs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(asn) => write!(f, "{asn}"),
            Self::Internal => f.write_str("internal"),
            Self::External => f.write_str("external"),
        }
    }
}

/// Where connections to a peer start.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateSource {
    /// From this local address.
    Address(IpAddr),
    /// From the address of this interface.
    Interface(String),
}

impl From<&str> for UpdateSource {
    /// An address if it reads as one, else an interface.
    fn from(text: &str) -> Self {
        text.parse()
            .map_or_else(|_| Self::Interface(text.to_owned()), Self::Address)
    }
}

impl std::fmt::Display for UpdateSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Interface(name) => f.write_str(name),
        }
    }
}

/// Administrative shutdown of a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shutdown {
    /// The session may come up.
    #[default]
    Off,
    /// The session is kept down.
    On {
        /// Text sent to the peer with the Cease (RFC 9003).
        message: Option<String>,
    },
}

/// Whether routes are announced with this router as the next hop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NextHopSelf {
    /// The next hop follows RFC 4271 section 5.1.3.
    #[default]
    Off,
    /// Routes learned from external peers are announced with this router.
    On,
    /// Reflected routes too.
    Force,
}

/// How often this router's own AS may stand in a received AS path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AllowAsIn {
    /// So many times, 1 to 10.
    Times(u8),
    /// As often as it likes, where it originated the route.
    Origin,
}

/// What `allowas-in` means without a number.
pub(crate) const DEFAULT_ALLOW_AS_IN: u8 = 3;

/// Which paths beside the best are announced (RFC 7911).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddPathTx {
    /// All that are valid.
    AllPaths,
    /// The best of each neighboring AS.
    BestPerAs,
}

/// What can be said about a neighbor, and about a peer group for its members.
/// `None` means "not said here".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct PeerSettings {
    /// The AS number expected from the peer.
    pub remote_as: Option<RemoteAs>,
    /// Free text. A group's description is not its members', as in FRR.
    pub description: Option<String>,
    /// Keepalive interval and hold time.
    pub timers: Option<Timers>,
    /// Seconds between connection attempts, 1 to 65535.
    pub connect_retry_secs: Option<u16>,
    /// How many hops away an external peer may be, 1 to 255.
    pub ebgp_multihop: Option<u8>,
    /// Where connections to the peer start.
    pub update_source: Option<UpdateSource>,
    /// Wait for the peer to connect.
    pub passive: Option<bool>,
    /// Keep the session down.
    pub shutdown: Option<Shutdown>,
    /// TCP MD5 password (RFC 2385), 1 to 80 characters without blanks.
    pub password: Option<String>,
    /// The peer's TCP port.
    pub port: Option<u16>,
    /// Announce IPv4 routes with IPv6 next hops (RFC 8950).
    pub extended_nexthop: Option<bool>,
    /// Do not insist that an external peer is on a connected network.
    pub disable_connected_check: Option<bool>,
    /// An external peer is in the same AIGP administrative domain (RFC 7311):
    /// the attribute is taken from it and sent to it. To others it always is.
    pub aigp: Option<bool>,
    /// Link bandwidth to and from the peer is an integer, not a float.
    pub disable_link_bw_encoding_ieee: Option<bool>,
    /// Settings for IPv4 unicast.
    pub ipv4_unicast: PeerAf,
    /// Settings for IPv6 unicast.
    pub ipv6_unicast: PeerAf,
}

/// What can be said about a peer per address family. `None` means "not said
/// here".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct PeerAf {
    /// Exchange routes of the family.
    pub activate: Option<bool>,
    /// Announce this router as the next hop.
    pub next_hop_self: Option<NextHopSelf>,
    /// Keep what the peer sent as it was before policy.
    pub soft_reconfiguration_inbound: Option<bool>,
    /// The peer is a client of this route reflector (RFC 4456).
    pub route_reflector_client: Option<bool>,
    /// The peer is a client of this route server (RFC 7947).
    pub route_server_client: Option<bool>,
    /// Announce routes with the next hop they came with.
    pub next_hop_unchanged: Option<bool>,
    /// How often the own AS may stand in the peer's routes.
    pub allowas_in: Option<AllowAsIn>,
    /// Weight of the peer's routes, 0 to 65535.
    pub weight: Option<u16>,
    /// Which paths beside the best the peer gets.
    pub addpath_tx: Option<AddPathTx>,
    /// Do not offer to take several paths from the peer.
    pub disable_addpath_rx: Option<bool>,
    /// Lists and route maps, and which communities are sent.
    pub policy: PeerPolicy,
}

impl PeerSettings {
    /// The settings for one family.
    pub fn af(&self, family: Family) -> &PeerAf {
        match family {
            Family::Ipv4Unicast => &self.ipv4_unicast,
            Family::Ipv6Unicast => &self.ipv6_unicast,
        }
    }

    /// The settings for one family.
    pub fn af_mut(&mut self, family: Family) -> &mut PeerAf {
        match family {
            Family::Ipv4Unicast => &mut self.ipv4_unicast,
            Family::Ipv6Unicast => &mut self.ipv6_unicast,
        }
    }
}

/// A configured neighbor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Neighbor {
    /// The peer group that settles what the neighbor does not.
    pub peer_group: Option<String>,
    /// The neighbor's own settings.
    pub settings: PeerSettings,
}

/// Where a peer is, as seen from the local AS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerKind {
    /// iBGP.
    Internal,
    /// eBGP.
    External,
    /// Another member AS of the same confederation (RFC 5065): connected like
    /// an external peer, trusted like an internal one.
    Confederation,
}

/// The resolved `remote-as` of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Remote {
    /// Whether the peer is in the local AS.
    pub kind: PeerKind,
    /// The AS the peer must have; `None` accepts any AS of that kind.
    pub asn: Option<u32>,
}

/// What a neighbor gets after its peer group and the defaults had their say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectivePeer {
    /// The neighbor's address.
    pub address: IpAddr,
    /// The peer group it is a member of.
    pub peer_group: Option<String>,
    /// The AS number expected from it.
    pub remote: Remote,
    /// The AS that it sees here: the confederation's, where it is outside of
    /// it.
    pub local_as: u32,
    /// Free text.
    pub description: Option<String>,
    /// Keepalive interval and hold time to propose.
    pub timers: Timers,
    /// Seconds between connection attempts.
    pub connect_retry_secs: u16,
    /// How many hops away it may be; `None` when the peer must be on a
    /// connected network. Internal peers need none.
    pub ebgp_multihop: Option<u8>,
    /// Where connections to it start; `None` leaves that to the kernel.
    pub update_source: Option<UpdateSource>,
    /// Wait for it to connect.
    pub passive: bool,
    /// Keep the session down.
    pub shutdown: Shutdown,
    /// TCP MD5 password.
    pub password: Option<String>,
    /// Its TCP port.
    pub port: u16,
    /// Announce IPv4 routes with IPv6 next hops.
    pub extended_nexthop: bool,
    /// Do not insist on a connected network.
    pub disable_connected_check: bool,
    /// It gets AIGP though it is external.
    pub aigp: bool,
    /// Link bandwidth is an integer, not a float.
    pub disable_link_bw_encoding_ieee: bool,
    /// IPv4 unicast.
    pub ipv4_unicast: EffectiveAf,
    /// IPv6 unicast.
    pub ipv6_unicast: EffectiveAf,
}

/// What a neighbor gets for one address family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveAf {
    /// Exchange routes of the family.
    pub activate: bool,
    /// Announce this router as the next hop.
    pub next_hop_self: NextHopSelf,
    /// Keep what the peer sent as it was before policy.
    pub soft_reconfiguration_inbound: bool,
    /// The peer is a client of this route reflector.
    pub route_reflector_client: bool,
    /// The peer is a client of this route server.
    pub route_server_client: bool,
    /// Announce routes with the next hop they came with.
    pub next_hop_unchanged: bool,
    /// How often the own AS may stand in its routes; `None` is never.
    pub allowas_in: Option<AllowAsIn>,
    /// Weight of its routes.
    pub weight: u16,
    /// Which paths beside the best it gets; `None` is the best alone.
    pub addpath_tx: Option<AddPathTx>,
    /// Offer to take several paths from it.
    pub addpath_rx: bool,
    /// Lists and route maps, and which communities are sent.
    pub policy: EffectivePolicy,
}

impl EffectivePeer {
    /// The settings for one family.
    pub fn af(&self, family: Family) -> &EffectiveAf {
        match family {
            Family::Ipv4Unicast => &self.ipv4_unicast,
            Family::Ipv6Unicast => &self.ipv6_unicast,
        }
    }
}

impl Bgp {
    /// What the neighbor at `address` gets: its own settings, then its peer
    /// group's, then the defaults. `None` when there is no such neighbor, or
    /// neither it nor its group has a `remote-as`.
    pub fn effective(&self, address: IpAddr) -> Option<EffectivePeer> {
        let neighbor = self.neighbors.get(&address)?;
        let own = &neighbor.settings;
        let none = PeerSettings::default();
        let group = self.group_of(neighbor).unwrap_or(&none);
        let remote = self.resolve_remote(group.remote_as.or(own.remote_as)?);
        Some(EffectivePeer {
            address,
            peer_group: neighbor.peer_group.clone(),
            remote,
            local_as: self.local_as_towards(remote.kind),
            description: own.description.clone(),
            timers: own.timers.or(group.timers).unwrap_or(self.timers),
            connect_retry_secs: own
                .connect_retry_secs
                .or(group.connect_retry_secs)
                .unwrap_or(self.connect_retry_secs),
            ebgp_multihop: own.ebgp_multihop.or(group.ebgp_multihop),
            update_source: own
                .update_source
                .clone()
                .or_else(|| group.update_source.clone()),
            passive: own.passive.or(group.passive).unwrap_or(false),
            shutdown: own
                .shutdown
                .clone()
                .or_else(|| group.shutdown.clone())
                .unwrap_or_default(),
            password: own.password.clone().or_else(|| group.password.clone()),
            port: own.port.or(group.port).unwrap_or(BGP_PORT),
            extended_nexthop: own
                .extended_nexthop
                .or(group.extended_nexthop)
                .unwrap_or(false),
            disable_connected_check: own
                .disable_connected_check
                .or(group.disable_connected_check)
                .unwrap_or(false),
            aigp: own.aigp.or(group.aigp).unwrap_or(false),
            disable_link_bw_encoding_ieee: own
                .disable_link_bw_encoding_ieee
                .or(group.disable_link_bw_encoding_ieee)
                .unwrap_or(false),
            ipv4_unicast: self.effective_af(own, group, Family::Ipv4Unicast),
            ipv6_unicast: self.effective_af(own, group, Family::Ipv6Unicast),
        })
    }

    /// All neighbors that can be resolved, in address order.
    pub fn effective_peers(&self) -> impl Iterator<Item = EffectivePeer> + '_ {
        self.neighbors
            .keys()
            .filter_map(|address| self.effective(*address))
    }

    /// Whether neighbors that say nothing exchange routes of `family`.
    pub fn default_activate(&self, family: Family) -> bool {
        match family {
            Family::Ipv4Unicast => self.default_ipv4_unicast,
            Family::Ipv6Unicast => false,
        }
    }

    /// The AS that peers of a kind see here.
    pub fn local_as_towards(&self, kind: PeerKind) -> u32 {
        match kind {
            PeerKind::Internal | PeerKind::Confederation => self.asn,
            PeerKind::External => self.confederation_identifier.unwrap_or(self.asn),
        }
    }

    /// Whether the AS is another member of our confederation. Without an
    /// identifier there is none, whatever its members are.
    fn is_member_as(&self, asn: u32) -> bool {
        self.confederation_identifier.is_some() && self.confederation_peers.contains(&asn)
    }

    pub(crate) fn group_of(&self, neighbor: &Neighbor) -> Option<&PeerSettings> {
        self.peer_groups.get(neighbor.peer_group.as_ref()?)
    }

    pub(crate) fn resolve_remote(&self, remote_as: RemoteAs) -> Remote {
        match remote_as {
            RemoteAs::Number(asn) if asn == self.asn => Remote {
                kind: PeerKind::Internal,
                asn: Some(asn),
            },
            RemoteAs::Number(asn) if self.is_member_as(asn) => Remote {
                kind: PeerKind::Confederation,
                asn: Some(asn),
            },
            RemoteAs::Number(asn) => Remote {
                kind: PeerKind::External,
                asn: Some(asn),
            },
            RemoteAs::Internal => Remote {
                kind: PeerKind::Internal,
                asn: Some(self.asn),
            },
            RemoteAs::External => Remote {
                kind: PeerKind::External,
                asn: None,
            },
        }
    }

    /// The kind of a neighbor, as far as it is known yet.
    pub(crate) fn neighbor_kind(&self, address: IpAddr) -> Option<PeerKind> {
        let neighbor = self.neighbors.get(&address)?;
        let group = neighbor
            .peer_group
            .as_ref()
            .and_then(|name| self.group_kind(name, None));
        let own = neighbor
            .settings
            .remote_as
            .map(|own| self.resolve_remote(own).kind);
        group.or(own)
    }

    /// The kind of a group's members: from its own `remote-as`, or from the
    /// first member (other than `except`) that has one.
    pub(crate) fn group_kind(&self, name: &str, except: Option<IpAddr>) -> Option<PeerKind> {
        let own = self.peer_groups.get(name).and_then(|group| group.remote_as);
        let of_member = || {
            self.neighbors
                .iter()
                .filter(|(address, _)| Some(**address) != except)
                .filter(|(_, neighbor)| neighbor.peer_group.as_deref() == Some(name))
                .find_map(|(_, neighbor)| neighbor.settings.remote_as)
        };
        own.or_else(of_member)
            .map(|remote_as| self.resolve_remote(remote_as).kind)
    }

    fn effective_af(
        &self,
        own: &PeerSettings,
        group: &PeerSettings,
        family: Family,
    ) -> EffectiveAf {
        let (own, group) = (own.af(family), group.af(family));
        EffectiveAf {
            activate: own
                .activate
                .or(group.activate)
                .unwrap_or_else(|| self.default_activate(family)),
            next_hop_self: own
                .next_hop_self
                .or(group.next_hop_self)
                .unwrap_or_default(),
            soft_reconfiguration_inbound: own
                .soft_reconfiguration_inbound
                .or(group.soft_reconfiguration_inbound)
                .unwrap_or(false),
            route_reflector_client: own
                .route_reflector_client
                .or(group.route_reflector_client)
                .unwrap_or(false),
            route_server_client: own
                .route_server_client
                .or(group.route_server_client)
                .unwrap_or(false),
            next_hop_unchanged: own
                .next_hop_unchanged
                .or(group.next_hop_unchanged)
                .unwrap_or(false),
            allowas_in: own.allowas_in.or(group.allowas_in),
            weight: own.weight.or(group.weight).unwrap_or(0),
            addpath_tx: own.addpath_tx.or(group.addpath_tx),
            addpath_rx: !own
                .disable_addpath_rx
                .or(group.disable_addpath_rx)
                .unwrap_or(false),
            policy: EffectivePolicy::of(&own.policy, &group.policy),
        }
    }
}
