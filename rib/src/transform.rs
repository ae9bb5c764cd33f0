//! The export rules: whether a peer is told of a path, and with which
//! attributes (RFC 4271 sections 5.1 and 9.2, RFC 4456, RFC 1997, RFC 7947).

use std::net::IpAddr;

use bgp_wire::{Community, Family, NextHop, PathAttributes};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ipnet::IpNet;

use crate::attrs::{AttrRef, Interner};
use crate::config::RibConfig;
use crate::import::is_link_local;
use crate::peer::{PeerId, PeerInfo};
use crate::policy::{Policy, RouteContext, Verdict};
use crate::shared::{Peer, Shared};
use crate::view::PathSource;

/// Attribute flags (RFC 4271 section 4.3).
const TRANSITIVE: u8 = 0x40;
const PARTIAL: u8 = 0x20;

/// Makes what one peer is sent. Lives for one portion, in which paths that
/// share attributes and source are worked out once.
pub(crate) struct Exporter<'a> {
    config: &'a RibConfig,
    peers: &'a [Option<Peer>],
    interner: &'a mut Interner,
    id: PeerId,
    to: &'a PeerInfo,
    policy: &'a dyn Policy,
    family: Family,
    cache: HashMap<(usize, PathSource), Option<Prepared>, RandomState>,
}

/// Attributes for this peer before export policy, and after it where policy
/// changes nothing.
struct Prepared {
    before: PathAttributes,
    unchanged: Option<AttrRef>,
}

/// The path to be sent.
pub(crate) struct Route<'a> {
    pub(crate) prefix: IpNet,
    pub(crate) source: PathSource,
    pub(crate) attributes: &'a AttrRef,
    pub(crate) weight: u32,
}

impl<'a> Exporter<'a> {
    /// For a peer that is known.
    pub(crate) fn new(shared: &'a mut Shared, id: PeerId, family: Family) -> Option<Exporter<'a>> {
        let Shared {
            config,
            peers,
            interner,
            ..
        } = shared;
        let peer = peers.get(id.0 as usize)?.as_ref()?;
        Some(Exporter {
            config,
            peers,
            interner,
            id,
            to: &peer.info,
            policy: peer.policy.as_ref(),
            family,
            cache: HashMap::default(),
        })
    }

    /// What the peer is to hold for the route; none if it is not told of it.
    pub(crate) fn export(&mut self, route: &Route<'_>) -> Option<AttrRef> {
        let key = (route.attributes.address(), route.source);
        if !self.cache.contains_key(&key) {
            let prepared = self.prepare(route).map(|before| Prepared {
                before,
                unchanged: None,
            });
            self.cache.insert(key, prepared);
        }
        let prepared = self.cache.get_mut(&key)?.as_mut()?;
        let learned_from = match route.source {
            PathSource::Local(_) => None,
            PathSource::Peer(peer) => info(self.peers, peer),
        };
        let verdict = self.policy.export(&RouteContext {
            peer: self.to,
            learned_from,
            family: self.family,
            prefix: route.prefix,
            attributes: &prepared.before,
            weight: route.weight,
        });
        match verdict {
            Verdict::Deny(_) => None,
            Verdict::Accept => {
                if prepared.unchanged.is_none() {
                    let done = finish(self.config, self.to, self.family, prepared.before.clone());
                    prepared.unchanged = Some(self.interner.intern(done));
                }
                prepared.unchanged.clone()
            }
            Verdict::AcceptWith(new) => {
                new.attributes.next_hop?;
                let done = finish(self.config, self.to, self.family, new.attributes);
                Some(self.interner.intern(done))
            }
        }
    }

    /// The attributes for this peer as export policy sees them.
    fn prepare(&self, route: &Route<'_>) -> Option<PathAttributes> {
        let from = match route.source {
            PathSource::Local(_) => None,
            // Split horizon: nobody is told what he said himself.
            PathSource::Peer(peer) if peer == self.id => return None,
            PathSource::Peer(peer) => Some(info(self.peers, peer)?),
        };
        if !self.communities_allow(route.attributes) || !self.reflection_allows(from, route) {
            return None;
        }
        let mut attributes = (**route.attributes).clone();
        attributes.next_hop = Some(self.next_hop(from, route.attributes)?);
        attributes.unknown.retain(|raw| raw.flags & TRANSITIVE != 0);
        if from.is_some() {
            // Section 9: passed on by one who does not know it.
            attributes
                .unknown
                .iter_mut()
                .for_each(|raw| raw.flags |= PARTIAL);
        }
        if self.to.is_external() {
            // Section 5.1.4: a MED is not passed on to a third AS.
            if from.is_some() && !self.transparent() {
                attributes.med = None;
            }
        } else {
            // Section 5.1.5: always present inside of the AS.
            attributes
                .local_pref
                .get_or_insert(self.config.default_local_pref);
            if let Some(from) = from.filter(|from| !from.is_external()) {
                // RFC 4456 section 8: who brought it in, and who passed it on.
                attributes.originator_id.get_or_insert(from.router_id);
                attributes.cluster_list.insert(0, self.config.cluster_id());
            }
        }
        Some(attributes)
    }

    /// RFC 1997. There is no confederation, so the subconfed community means
    /// what NO_EXPORT means.
    fn communities_allow(&self, attributes: &PathAttributes) -> bool {
        let has = |community| attributes.communities.contains(&community);
        let leaves = self.to.is_external();
        !(has(Community::NO_ADVERTISE)
            || leaves && (has(Community::NO_EXPORT) || has(Community::NO_EXPORT_SUBCONFED)))
    }

    /// RFC 4271 section 9.2: internal routes stay with the peer that was told,
    /// unless we reflect (RFC 4456 section 6): from clients to everybody, from
    /// others to clients.
    fn reflection_allows(&self, from: Option<&PeerInfo>, route: &Route<'_>) -> bool {
        let Some(from) = from.filter(|from| !from.is_external()) else {
            return true;
        };
        if self.to.is_external() {
            return true;
        }
        let client = |peer: &PeerInfo| peer.reflector_client.contains(self.family);
        (client(from) || client(self.to))
            && route.attributes.originator_id != Some(self.to.router_id)
    }

    fn transparent(&self) -> bool {
        self.to.route_server_client.contains(self.family)
    }

    /// RFC 4271 section 5.1.3.
    fn next_hop(&self, from: Option<&PeerInfo>, attributes: &PathAttributes) -> Option<NextHop> {
        let ours = own_next_hop(self.to, self.family);
        let Some(current) = attributes.next_hop.filter(|hop| self.may_keep(*hop)) else {
            return ours;
        };
        let ours_set = |set: bool| {
            if set {
                ours
            } else {
                Some(beyond_link(current))
            }
        };
        let forced = self.to.next_hop_self_force.contains(self.family);
        let wanted = forced || self.to.next_hop_self.contains(self.family);
        match (self.to.is_external(), from) {
            (true, Some(from)) if self.transparent() && from.is_external() => Some(current),
            (true, _) if !wanted && self.on_shared_subnet(current) => Some(current),
            (true, _) | (false, None) => ours,
            (false, Some(from)) if from.is_external() => ours_set(wanted),
            (false, Some(_)) => ours_set(forced),
        }
    }

    /// Whether the peer could use this next hop: never its own address, no
    /// other link's address, and an IPv6 one for an IPv4 prefix only where
    /// that was negotiated (RFC 8950).
    fn may_keep(&self, next_hop: NextHop) -> bool {
        let addr = next_hop.addr();
        let fits = match (self.family, next_hop) {
            (Family::Ipv4Unicast, NextHop::V6 { .. }) => {
                self.to.extended_next_hop.contains(self.family)
            }
            (Family::Ipv4Unicast, NextHop::V4(addr)) => !addr.is_unspecified(),
            (Family::Ipv6Unicast, NextHop::V6 { global, .. }) => !global.is_unspecified(),
            (Family::Ipv6Unicast, NextHop::V4(_)) => false,
        };
        fits && addr != self.to.address && !is_link_local(addr)
    }

    /// A third party on the subnet that we share with the peer.
    fn on_shared_subnet(&self, next_hop: NextHop) -> bool {
        let addr: IpAddr = next_hop.addr();
        !self.to.ebgp_multihop && self.to.shared_subnets.iter().any(|net| net.contains(&addr))
    }
}

fn info(peers: &[Option<Peer>], id: PeerId) -> Option<&PeerInfo> {
    Some(&peers.get(id.0 as usize)?.as_ref()?.info)
}

/// A next hop as it is named to somebody who does not share its link: without
/// the link-local address (RFC 2545 section 3).
fn beyond_link(next_hop: NextHop) -> NextHop {
    match next_hop {
        NextHop::V4(_) => next_hop,
        NextHop::V6 { global, .. } => NextHop::V6 {
            global,
            link_local: None,
        },
    }
}

/// Our own address as next hop, in the family that the peer can use; none
/// where we have none. Where there is no global IPv6 address the link-local
/// one takes both places, as other speakers on unnumbered links send it.
fn own_next_hop(to: &PeerInfo, family: Family) -> Option<NextHop> {
    let v6 = || {
        let global = to.local_v6.or(to.local_link_local)?;
        Some(NextHop::V6 {
            global,
            link_local: to.local_link_local,
        })
    };
    match family {
        Family::Ipv6Unicast => v6(),
        Family::Ipv4Unicast => match to.local_v4 {
            Some(addr) => Some(NextHop::V4(addr)),
            None if to.extended_next_hop.contains(family) => v6(),
            None => None,
        },
    }
}

/// What comes after export policy: the AS boundary.
fn finish(
    config: &RibConfig,
    to: &PeerInfo,
    family: Family,
    mut attributes: PathAttributes,
) -> PathAttributes {
    if !to.is_external() {
        attributes
            .local_pref
            .get_or_insert(config.default_local_pref);
        return attributes;
    }
    attributes.local_pref = None;
    attributes.originator_id = None;
    attributes.cluster_list.clear();
    // RFC 4360 section 6, RFC 5701 section 2: these do not leave the AS.
    attributes
        .extended_communities
        .retain(|community| community.is_transitive());
    attributes
        .ipv6_extended_communities
        .retain(|community| community.is_transitive());
    if !to.route_server_client.contains(family) {
        if to.local_as != config.local_as && !to.replace_as {
            attributes.as_path = attributes.as_path.prepend(config.local_as, 1);
        }
        attributes.as_path = attributes.as_path.prepend(to.local_as, 1);
    }
    attributes
}
