//! What happens to attributes on their way to a peer (RFC 4271 section 5.1,
//! RFC 4456, RFC 5065, RFC 7311, RFC 7947), as a value: most routes are told apart, or withdrawn,
//! without being changed.

use std::net::Ipv4Addr;

use bgp_wire::{NextHop, PathAttributes};

use crate::attrs::AttrRef;
use crate::bandwidth::Carried;
use crate::peer::CommunityKinds;

/// Attribute flags (RFC 4271 section 4.3).
const TRANSITIVE: u8 = 0x40;
const PARTIAL: u8 = 0x20;

/// The changes to one set for one kind of receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) next_hop: NextHop,
    /// The route was learned from a peer, not originated by us.
    pub(crate) learned: bool,
    pub(crate) aigp: Aigp,
    pub(crate) bandwidth: BandwidthEdit,
    pub(crate) towards: Towards,
    /// Which communities the receiver gets.
    pub(crate) communities: CommunityKinds,
}

/// Takes off the kinds that are not to be sent.
fn keep_communities(kinds: CommunityKinds, attributes: &mut PathAttributes) {
    let CommunityKinds {
        standard,
        extended,
        large,
    } = kinds;
    if !standard {
        attributes.communities.clear();
    }
    if !extended {
        attributes.extended_communities.clear();
        attributes.ipv6_extended_communities.clear();
    }
    if !large {
        attributes.large_communities.clear();
    }
}

/// What becomes of link bandwidth (draft-ietf-idr-link-bandwidth).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BandwidthEdit {
    /// In place of the path's own, unless it is nothing.
    pub(crate) carried: Carried,
    /// The AS that we are to the receiver.
    pub(crate) asn: u32,
    /// The receiver reads an integer, not a float.
    pub(crate) integer: bool,
}

impl BandwidthEdit {
    fn finish(self, attributes: &mut PathAttributes) {
        if self.integer {
            for community in &mut attributes.extended_communities {
                *community = community.link_bandwidth_to_integer();
            }
        }
    }
}

/// What becomes of AIGP (RFC 7311).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aigp {
    /// "The AIGP attribute MUST NOT be sent on any BGP session for which
    /// AIGP_SESSION is disabled" (section 3.3).
    Forbidden,
    /// The next hop stays, and so does the value (section 3.4.3); or the route
    /// begins here.
    Unchanged,
    /// We are the next hop, and so much nearer to the receiver.
    Further(u32),
}

impl Aigp {
    /// A next hop on a link of ours has no metric, but "A MUST be increased by
    /// a non-zero amount" (section 3.4.3).
    pub(crate) fn further(distance: u32) -> Aigp {
        Aigp::Further(distance.max(1))
    }

    /// "MUST be capped at its maximum unsigned value" (section 3.4.3).
    fn apply(self, attributes: &mut PathAttributes) {
        match self {
            Aigp::Forbidden => attributes.aigp = None,
            Aigp::Unchanged => {}
            Aigp::Further(distance) => {
                if let Some(aigp) = &mut attributes.aigp {
                    aigp.metric = aigp.metric.saturating_add(distance.into());
                }
            }
        }
    }
}

/// Which boundary the route crosses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Towards {
    /// Another AS.
    External {
        /// The peer is a client of our route server: path and MED stay.
        transparent: bool,
        /// The AS that we are to the peer, and the one behind it where it is
        /// another: prepended in this order, the first outermost.
        prepend: (u32, Option<u32>),
    },
    /// Another member AS of our confederation (RFC 5065).
    Confederation {
        /// LOCAL_PREF of what has none.
        local_pref: u32,
        /// Our member AS.
        prepend: u32,
    },
    /// A peer in our AS.
    Internal {
        /// LOCAL_PREF of what has none.
        local_pref: u32,
        /// The route is reflected: ORIGINATOR_ID if it has none, CLUSTER_ID.
        reflected: Option<(Ipv4Addr, Ipv4Addr)>,
    },
}

impl Edit {
    /// The attributes as export policy sees them.
    pub(crate) fn before_policy(&self, set: &AttrRef) -> PathAttributes {
        let mut attributes = set.decode();
        attributes.next_hop = Some(self.next_hop);
        self.aigp.apply(&mut attributes);
        let BandwidthEdit { carried, asn, .. } = self.bandwidth;
        carried.replace(asn, &mut attributes.extended_communities);
        attributes.unknown.retain(|raw| raw.flags & TRANSITIVE != 0);
        if self.learned {
            // Section 9: passed on by one who does not know it.
            attributes
                .unknown
                .iter_mut()
                .for_each(|raw| raw.flags |= PARTIAL);
        }
        match self.towards {
            Towards::External { transparent, .. } => {
                // Section 5.1.4: a MED is not passed on to a third AS.
                if self.learned && !transparent {
                    attributes.med = None;
                }
            }
            // RFC 5065 section 4: MED and LOCAL_PREF stay.
            Towards::Confederation { local_pref, .. } => {
                attributes.local_pref.get_or_insert(local_pref);
            }
            Towards::Internal {
                local_pref,
                reflected,
            } => {
                // Section 5.1.5: always present inside of the AS.
                attributes.local_pref.get_or_insert(local_pref);
                if let Some((originator, cluster)) = reflected {
                    // RFC 4456 section 8: who brought it in, and who passed it
                    // on.
                    attributes.originator_id.get_or_insert(originator);
                    attributes.cluster_list.insert(0, cluster);
                }
            }
        }
        attributes
    }

    /// What comes after export policy: the AS boundary.
    pub(crate) fn after_policy(&self, mut attributes: PathAttributes) -> PathAttributes {
        if self.aigp == Aigp::Forbidden {
            attributes.aigp = None;
        }
        match self.towards {
            Towards::Internal {
                local_pref,
                reflected,
            } => {
                attributes.local_pref.get_or_insert(local_pref);
                if reflected.is_none() {
                    // A policy may have set it; only a reflector says it.
                    forget_reflection(&mut attributes);
                }
            }
            Towards::Confederation {
                local_pref,
                prepend,
            } => {
                attributes.local_pref.get_or_insert(local_pref);
                forget_reflection(&mut attributes);
                // Extended communities stay: the confederation is one AS to
                // them (RFC 4360 section 6).
                attributes.as_path = attributes.as_path.prepend_confederation(prepend, 1);
            }
            Towards::External {
                transparent,
                prepend,
            } => leave(&mut attributes, (!transparent).then_some(prepend)),
        }
        keep_communities(self.communities, &mut attributes);
        self.bandwidth.finish(&mut attributes);
        attributes
    }
}

/// Who passed a route on within an AS is that AS's own affair (RFC 4456
/// section 8).
fn forget_reflection(attributes: &mut PathAttributes) {
    attributes.originator_id = None;
    attributes.cluster_list.clear();
}

/// Takes attributes out of the AS, and of the confederation. `prepend` is who
/// we are, and what is behind that; none where we leave no trace.
fn leave(attributes: &mut PathAttributes, prepend: Option<(u32, Option<u32>)>) {
    attributes.local_pref = None;
    forget_reflection(attributes);
    // RFC 4360 section 6, RFC 5701 section 2: these do not leave the AS.
    attributes
        .extended_communities
        .retain(|community| community.is_transitive());
    attributes
        .ipv6_extended_communities
        .retain(|community| community.is_transitive());
    // RFC 5065 section 4: what is inside of it is nobody else's business.
    if attributes.as_path.has_confederation_segments() {
        attributes.as_path = attributes.as_path.without_confederation();
    }
    if let Some((outermost, behind)) = prepend {
        if let Some(behind) = behind {
            attributes.as_path = attributes.as_path.prepend(behind, 1);
        }
        attributes.as_path = attributes.as_path.prepend(outermost, 1);
    }
}
