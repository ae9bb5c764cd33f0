//! What the configuration says of a peer, and the OPEN that follows from it.

use std::net::Ipv4Addr;
use std::time::Duration;

use bgp_wire::{
    AddPathMode, Capability, Family, FamilySet, GracefulRestart, LongLivedFamily, Open, PeerKind,
    Role as BgpRole,
};

use super::reset::ResetCause;

/// AS_TRANS (RFC 6793) as the 2-octet field of the OPEN has it.
pub(super) const AS_TRANS: u16 = bgp_wire::AS_TRANS as u16;

/// AFI of the next hops that RFC 8950 brings to IPv4 prefixes.
pub(super) const AFI_IPV6: u16 = 2;

/// Which AS a peer may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RemoteAs {
    /// This one.
    Number(u32),
    /// Ours.
    Internal,
    /// Any but ours.
    External,
}

impl RemoteAs {
    /// Whether a peer with that AS is the one we want.
    pub const fn accepts(self, local_as: u32, remote_as: u32) -> bool {
        match self {
            RemoteAs::Number(number) => number == remote_as,
            RemoteAs::Internal => local_as == remote_as,
            RemoteAs::External => local_as != remote_as,
        }
    }
}

/// What is offered as ADD-PATH in a family (RFC 7911).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddPathOffer {
    /// The family.
    pub family: Family,
    /// The directions, from our side.
    pub mode: AddPathMode,
}

/// Octets of a name that go into the Fqdn capability, as in FRR: both names
/// together always fit into its length octet.
const MAX_NAME: usize = 64;

/// As much of a name as the Fqdn capability takes.
fn cut(name: &str) -> String {
    let mut cut = name.to_owned();
    cut.truncate(name.floor_char_boundary(MAX_NAME));
    cut
}

/// A host and domain name; the Fqdn capability carries the first 64 octets of
/// each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hostname {
    /// Host name.
    pub host: String,
    /// Domain name, may be empty.
    pub domain: String,
}

/// Timers that the OPEN does not carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between two attempts to connect (RFC 4271 section 10: 120 s).
    pub connect_retry: Duration,
    /// How long we wait for an OPEN (RFC 4271 section 8.2.2: 4 min).
    pub open_hold: Duration,
    /// First back-off after an error; doubles with each further one.
    pub idle_hold_min: Duration,
    /// Longest back-off.
    pub idle_hold_max: Duration,
    /// A session that was up that long clears the back-off.
    pub stable_after: Duration,
    /// How long the peer may take no data; none for the RFC 9687 default, the
    /// greater of 8 minutes and twice the hold time. Zero turns it off.
    pub send_hold: Option<Duration>,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            connect_retry: Duration::from_secs(120),
            open_hold: Duration::from_secs(240),
            idle_hold_min: Duration::from_secs(1),
            idle_hold_max: Duration::from_secs(60),
            stable_after: Duration::from_secs(60),
            send_hold: None,
        }
    }
}

/// What the configuration says of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerParams {
    /// Our AS towards this peer.
    pub local_as: u32,
    /// Our BGP identifier.
    pub local_id: Ipv4Addr,
    /// The peer's AS.
    pub remote_as: RemoteAs,
    /// The peer is in another member AS of our confederation (RFC 5065).
    pub confederation: bool,
    /// Hold time in seconds that we offer: 0, or at least 3.
    pub hold_time_secs: u16,
    /// Longest time between KEEPALIVEs in seconds; a third of the negotiated
    /// hold time where that is less.
    pub keepalive_secs: u16,
    /// The other timers.
    pub timing: Timing,
    /// Never connect, only listen.
    pub passive: bool,
    /// Active address families.
    pub families: FamilySet,
    /// Whether the OPEN carries capabilities at all
    /// (`dont-capability-negotiate` turns it off).
    pub capabilities: bool,
    /// Announce RFC 2918 and RFC 7313.
    pub route_refresh: bool,
    /// Announce RFC 6793.
    pub four_octet_as: bool,
    /// Announce RFC 8654.
    pub extended_message: bool,
    /// Families whose routes may have an IPv6 next hop (RFC 8950).
    pub extended_next_hop: FamilySet,
    /// ADD-PATH per family.
    pub add_path: Vec<AddPathOffer>,
    /// Graceful restart as announced (RFC 4724); `restarting` is taken from the
    /// field below.
    pub graceful_restart: Option<GracefulRestart>,
    /// We come back from a graceful restart: sets the R bit.
    pub restarting: bool,
    /// Long-lived graceful restart per family (RFC 9494); announced with
    /// `graceful_restart` only.
    pub long_lived: Vec<LongLivedFamily>,
    /// Our role towards a peer in another AS (RFC 9234).
    pub role: Option<BgpRole>,
    /// Refuse a peer that announces no role.
    pub strict_role: bool,
    /// Our name for the Fqdn capability.
    pub hostname: Option<Hostname>,
    /// Capabilities beyond those, as they are.
    pub extra_capabilities: Vec<Capability>,
}

impl PeerParams {
    /// A peer with the usual settings: hold time 180 s, KEEPALIVE 60 s, IPv4
    /// unicast, all capabilities that cost nothing.
    pub fn new(local_as: u32, local_id: Ipv4Addr, remote_as: RemoteAs) -> PeerParams {
        PeerParams {
            local_as,
            local_id,
            remote_as,
            confederation: false,
            hold_time_secs: 180,
            keepalive_secs: 60,
            timing: Timing::default(),
            passive: false,
            families: FamilySet::from_iter([Family::Ipv4Unicast]),
            capabilities: true,
            route_refresh: true,
            four_octet_as: true,
            extended_message: true,
            extended_next_hop: FamilySet::EMPTY,
            add_path: Vec::new(),
            graceful_restart: None,
            restarting: false,
            long_lived: Vec::new(),
            role: None,
            strict_role: false,
            hostname: None,
            extra_capabilities: Vec::new(),
        }
    }

    /// Which side of the AS boundary a peer with that AS is on.
    pub const fn peer_kind(&self, remote_as: u32) -> PeerKind {
        if self.local_as == remote_as {
            PeerKind::Internal
        } else if self.confederation {
            PeerKind::Confederation
        } else {
            PeerKind::External
        }
    }

    /// Our role, where the peer is in another AS: roles mean nothing inside of
    /// one (RFC 9234 section 4), nor of a confederation, which is one.
    pub const fn external_role(&self) -> Option<BgpRole> {
        match self.remote_as {
            _ if self.confederation => None,
            RemoteAs::Internal => None,
            RemoteAs::Number(number) if number == self.local_as => None,
            RemoteAs::Number(_) | RemoteAs::External => self.role,
        }
    }

    /// The capabilities that our OPEN carries, in the order of their codes but
    /// for those from `extra_capabilities`, which come last.
    pub fn local_capabilities(&self) -> Vec<Capability> {
        let mut list = Vec::new();
        if !self.capabilities {
            return list;
        }
        list.extend(
            self.families
                .iter()
                .map(|f| Capability::Multiprotocol(f.afi_safi())),
        );
        if self.route_refresh {
            list.push(Capability::RouteRefresh);
        }
        let next_hops: Vec<_> = self
            .extended_next_hop
            .intersection(self.families)
            .iter()
            .map(|f| (f.afi_safi(), AFI_IPV6))
            .collect();
        if !next_hops.is_empty() {
            list.push(Capability::ExtendedNextHop(next_hops));
        }
        if self.extended_message {
            list.push(Capability::ExtendedMessage);
        }
        list.extend(self.external_role().map(Capability::Role));
        if let Some(restart) = &self.graceful_restart {
            list.push(Capability::GracefulRestart(GracefulRestart {
                restarting: self.restarting,
                ..restart.clone()
            }));
        }
        if self.four_octet_as {
            list.push(Capability::FourOctetAs(self.local_as));
        }
        let add_path: Vec<_> = self
            .add_path
            .iter()
            .filter(|offer| self.families.contains(offer.family))
            .map(|offer| (offer.family.afi_safi(), offer.mode))
            .collect();
        if !add_path.is_empty() {
            list.push(Capability::AddPath(add_path));
        }
        if self.route_refresh {
            list.push(Capability::EnhancedRouteRefresh);
        }
        if self.graceful_restart.is_some() && !self.long_lived.is_empty() {
            list.push(Capability::LongLivedGracefulRestart(
                self.long_lived.clone(),
            ));
        }
        if let Some(name) = &self.hostname {
            list.push(Capability::Fqdn {
                hostname: cut(&name.host),
                domain: cut(&name.domain),
            });
        }
        list.extend(self.extra_capabilities.iter().cloned());
        list
    }

    /// Our OPEN (RFC 4271 section 4.2).
    pub fn open(&self) -> Open {
        Open {
            version: 4,
            my_as: u16::try_from(self.local_as).unwrap_or(AS_TRANS),
            hold_time_secs: self.hold_time_secs,
            bgp_id: self.local_id,
            capabilities: self.local_capabilities(),
        }
    }

    /// Whether going from these parameters to `new` needs a new session, and
    /// the cause to reset it with. Hold time, keepalive and the other timers
    /// take effect with the next session, as in other daemons.
    pub fn needs_reset(&self, new: &PeerParams) -> Option<ResetCause> {
        // Taken apart without `..`: a new field does not compile until someone
        // decided about it.
        let PeerParams {
            local_as,
            local_id,
            remote_as,
            confederation,
            hold_time_secs: _,
            keepalive_secs: _,
            timing: _,
            passive,
            families,
            capabilities,
            route_refresh,
            four_octet_as,
            extended_message,
            extended_next_hop,
            add_path,
            graceful_restart: _,
            restarting: _,
            long_lived,
            role,
            strict_role,
            hostname: _,
            extra_capabilities,
        } = self;
        let capabilities_changed = *capabilities != new.capabilities
            || *route_refresh != new.route_refresh
            || *four_octet_as != new.four_octet_as
            || *extended_message != new.extended_message
            || *extended_next_hop != new.extended_next_hop
            || *add_path != new.add_path
            || *long_lived != new.long_lived
            || *role != new.role
            || *strict_role != new.strict_role
            || *extra_capabilities != new.extra_capabilities;
        [
            (*local_id != new.local_id, ResetCause::RouterIdChanged),
            (*local_as != new.local_as, ResetCause::LocalAsChanged),
            (*remote_as != new.remote_as, ResetCause::RemoteAsChanged),
            (
                *confederation != new.confederation,
                ResetCause::RemoteAsChanged,
            ),
            (*families != new.families, ResetCause::FamilyActivated),
            (*passive != new.passive, ResetCause::PassiveChanged),
            (capabilities_changed, ResetCause::CapabilityChanged),
        ]
        .into_iter()
        .find_map(|(changed, cause)| changed.then_some(cause))
    }
}
