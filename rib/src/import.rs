//! What becomes of a route that a peer sent: normalised, checked, and passed
//! through import policy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use bgp_wire::{AsPath, Community, Family, NextHop, PathAttributes, PeerKind};
use ipnet::IpNet;
use smallvec::SmallVec;

use crate::attrs::{AttrId, AttrRef};
use crate::bandwidth::with_floats;
use crate::config::RibConfig;
use crate::peer::{AllowAsIn, PeerId, PeerInfo};
use crate::policy::{Attributes, Rewritten, RouteContext, Verdict};
use crate::shared::{Peer, Shared};
use crate::view::Rejection;

/// The outcome for one route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Imported {
    pub(crate) post: Option<AttrId>,
    pub(crate) rejected: Option<Rejection>,
    /// From another table, which judged it and its next hop.
    pub(crate) taken_over: bool,
}

impl Imported {
    fn rejected(reason: Rejection) -> Imported {
        Imported {
            post: None,
            rejected: Some(reason),
            taken_over: false,
        }
    }
}

/// Decides on routes of a peer that share attributes: what does not depend on
/// the prefix is decided once.
pub(crate) struct Importer {
    peer: Arc<Peer>,
    family: Family,
    set: AttrRef,
    pub(crate) pre: AttrId,
    looped: Option<Rejection>,
    /// Its sender is about to go (RFC 8326).
    drained: bool,
    /// What becomes of a route that policy leaves as it is.
    unchanged: Option<Imported>,
    /// What became of what policy made of others. They are kept so that their
    /// addresses stay theirs.
    rewritten: SmallVec<[(Arc<Rewritten>, Imported); 1]>,
}

/// A policy that makes more of one set makes something else of each prefix,
/// and then it does not help to know.
const REWRITTEN_MAX: usize = 8;

impl Importer {
    /// None for an unknown peer.
    pub(crate) fn new(
        shared: &mut Shared,
        peer: PeerId,
        family: Family,
        set: &AttrRef,
    ) -> Option<Importer> {
        let peer = Arc::clone(shared.peer(peer)?);
        let pre = shared.interner.intern(set)?;
        // The table's own allocation, not the caller's.
        let set = as_imported(&peer.info, shared.interner.set(pre)?);
        let attributes = set.decode();
        let looped = find_loop(&shared.config, &peer.info, family, &attributes);
        let drained = is_drained(&peer.info, &attributes);
        Some(Importer {
            peer,
            family,
            set,
            pre,
            looped,
            drained,
            unchanged: None,
            rewritten: SmallVec::new(),
        })
    }

    /// The set, for [`import`](Self::import).
    pub(crate) fn set(&self) -> AttrRef {
        self.set.clone()
    }

    /// Decides on one prefix. The attributes are those of the set.
    pub(crate) fn import(
        &mut self,
        shared: &mut Shared,
        prefix: IpNet,
        attributes: &Attributes<'_>,
    ) -> Imported {
        if self.peer.info.imported.is_some() {
            return Imported {
                post: Some(self.pre),
                rejected: None,
                taken_over: true,
            };
        }
        if is_martian_prefix(prefix) {
            return Imported::rejected(Rejection::MartianPrefix);
        }
        if let Some(reason) = self.looped {
            return Imported::rejected(reason);
        }
        let info = &self.peer.info;
        let weight = info.family(self.family).weight;
        let verdict = self.peer.policy.import(&RouteContext {
            peer: info,
            learned_from: Some(info),
            family: self.family,
            prefix,
            attributes,
            weight,
            source: None,
            original_next_hop: self.set.next_hop(),
            original_med: self.set.med(),
        });
        match verdict {
            Verdict::Deny(reason) => Imported::rejected(Rejection::Policy(reason)),
            Verdict::Accept => {
                if let Some(known) = self.unchanged {
                    return known;
                }
                let set = match self.drained {
                    true => least_preferred(self.set.decode(), weight),
                    false => self.set.with_weight(weight),
                };
                let imported = self.accept(shared, &set);
                self.unchanged = Some(imported);
                imported
            }
            Verdict::AcceptWith(new) => self.rewrite(shared, &new, weight),
        }
    }

    fn rewrite(&mut self, shared: &mut Shared, new: &Arc<Rewritten>, weight: u32) -> Imported {
        let mut known = self.rewritten.iter();
        if let Some((_, imported)) = known.find(|(known, _)| Arc::ptr_eq(known, new)) {
            return *imported;
        }
        let weight = new.weight.unwrap_or(weight);
        let set = match is_drained(&self.peer.info, &new.attributes) {
            true => least_preferred(new.attributes.clone(), weight),
            false => AttrRef::weighted(&new.attributes, weight),
        };
        let imported = self.accept(shared, &set);
        if self.rewritten.len() < REWRITTEN_MAX {
            self.rewritten.push((Arc::clone(new), imported));
        }
        imported
    }

    fn accept(&self, shared: &mut Shared, set: &AttrRef) -> Imported {
        let own = &shared.own_addresses;
        let by = match resolve_by(&self.peer.info, self.family, own, set.next_hop()) {
            Ok(by) => by,
            Err(reason) => return Imported::rejected(reason),
        };
        let Some(post) = shared.interner.intern(set) else {
            return Imported::rejected(Rejection::NoNextHop);
        };
        let reach = by.map(|addr| shared.tracker.id(addr));
        shared.interner.set_reach(post, reach);
        Imported {
            post: Some(post),
            rejected: None,
            taken_over: false,
        }
    }
}

/// What a peer sent, as policy sees it.
pub(crate) fn as_imported(peer: &PeerInfo, sent: &AttrRef) -> AttrRef {
    let mut set = sent.clone();
    if !peer.takes_aigp() {
        // RFC 7311 section 3.3: as if we did not know it. What came is kept,
        // since the session may be allowed to have it later.
        set = set.without_aigp();
    }
    match peer.integer_bandwidth {
        true => with_floats(&set),
        false => set,
    }
}

/// Prefixes that no packet between hosts is routed by: "semantically
/// incorrect", to be logged and ignored (RFC 4271 section 6.3). The rest of
/// 240.0.0.0/4 is left alone, since some networks use it.
fn is_martian_prefix(prefix: IpNet) -> bool {
    match prefix {
        IpNet::V4(net) => {
            let addr = net.network();
            (addr.is_multicast() && net.prefix_len() >= 4)
                || (addr.is_loopback() && net.prefix_len() >= 8)
                || addr.is_broadcast()
        }
        IpNet::V6(net) => {
            let addr = net.network();
            (addr.is_multicast() && net.prefix_len() >= 8)
                || (addr.is_unicast_link_local() && net.prefix_len() >= 10)
                || (net.prefix_len() == 128 && (addr.is_loopback() || addr.is_unspecified()))
        }
    }
}

/// Whether an external neighbor asks to be avoided: the GRACEFUL_SHUTDOWN
/// community, if import policy left it there (RFC 8326 section 4.1).
fn is_drained(peer: &PeerInfo, attributes: &PathAttributes) -> bool {
    let asked = &attributes.communities;
    peer.kind == PeerKind::External && asked.contains(&Community::GRACEFUL_SHUTDOWN)
}

/// With a local preference of 0, as RFC 8326 section 4.1 recommends and FRR
/// does without being told.
fn least_preferred(attributes: PathAttributes, weight: u32) -> AttrRef {
    let attributes = PathAttributes {
        local_pref: Some(0),
        ..attributes
    };
    AttrRef::weighted(&attributes, weight)
}

/// The loops of RFC 4271 section 9.1.2 and RFC 4456 section 8. In a
/// confederation neither its own AS nor that of our member AS may be there
/// (RFC 5065 section 4).
fn find_loop(
    config: &RibConfig,
    peer: &PeerInfo,
    family: Family,
    attributes: &PathAttributes,
) -> Option<Rejection> {
    let path = &attributes.as_path;
    let looped = |asn| is_looped(path, asn, peer.family(family).allow_as_in);
    // The confederation's number says something outside of its segments only:
    // inside of them a member may have the same.
    let outer = config.outer_as();
    let around = outer != config.local_as && path.contains_outside_confederation(outer);
    if looped(config.local_as) || looped(peer.local_as) || (around && looped(outer)) {
        return Some(Rejection::AsPathLoop);
    }
    if attributes.originator_id == Some(config.router_id) {
        return Some(Rejection::OriginatorLoop);
    }
    if attributes.cluster_list.contains(&config.cluster_id()) {
        return Some(Rejection::ClusterLoop);
    }
    None
}

fn is_looped(path: &AsPath, asn: u32, allowed: AllowAsIn) -> bool {
    match allowed {
        AllowAsIn::Times(times) => path.count(asn) > usize::from(times),
        AllowAsIn::Origin => path.contains(asn) && path.origin_as() != Some(asn),
    }
}

/// The address that has to be resolved for a next hop, none where the
/// interface of the session says it all; or what is wrong with it.
fn resolve_by(
    peer: &PeerInfo,
    family: Family,
    own: &[IpAddr],
    next_hop: Option<NextHop>,
) -> Result<Option<IpAddr>, Rejection> {
    let next_hop = next_hop.ok_or(Rejection::NoNextHop)?;
    let fits = match (family, next_hop) {
        (Family::Ipv4Unicast, NextHop::V4(_)) => true,
        (Family::Ipv6Unicast, NextHop::V4(_)) => false,
        (Family::Ipv4Unicast, NextHop::V6 { .. }) => peer.extended_next_hop.contains(family),
        (Family::Ipv6Unicast, NextHop::V6 { .. }) => true,
    };
    if !fits {
        return Err(Rejection::NoNextHop);
    }
    let addr = next_hop.addr();
    if is_martian(addr) {
        return Err(Rejection::MartianNextHop);
    }
    if own.binary_search(&addr).is_ok() || is_session_address(peer, addr) {
        return Err(Rejection::OwnNextHop);
    }
    if !is_link_local(addr) {
        return Ok(Some(addr));
    }
    let on_link = peer.local_link_local.is_some() || is_link_local(peer.address);
    if on_link {
        Ok(None)
    } else {
        Err(Rejection::NoNextHop)
    }
}

/// Whether it is our end of the session.
fn is_session_address(peer: &PeerInfo, addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => peer.local_v4 == Some(addr),
        IpAddr::V6(addr) => peer.local_v6 == Some(addr) || peer.local_link_local == Some(addr),
    }
}

/// IPv6 link-local, which means something on one interface only.
pub(crate) fn is_link_local(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(_) => false,
        IpAddr::V6(addr) => addr.is_unicast_link_local(),
    }
}

/// No address of a host: RFC 4271 section 6.3 asks for a valid one.
fn is_martian(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => is_martian_v4(addr),
        IpAddr::V6(addr) => is_martian_v6(addr),
    }
}

fn is_martian_v4(addr: Ipv4Addr) -> bool {
    let [first, ..] = addr.octets();
    first == 0 || first == 127 || first >= 224
}

fn is_martian_v6(addr: Ipv6Addr) -> bool {
    addr.is_unspecified() || addr.is_loopback() || addr.is_multicast()
}
