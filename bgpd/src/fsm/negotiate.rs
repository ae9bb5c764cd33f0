//! Checks of the peer's OPEN that depend on the configuration, and what the two
//! OPENs agree on (RFC 4271 section 6.2, RFC 5492, RFC 6286, RFC 6793).

use std::net::Ipv4Addr;
use std::time::Duration;

use bgp_wire::capability::code;
use bgp_wire::{
    AddPathMode, AfiSafi, Capability, CodecContext, Family, FamilySet, GracefulRestart,
    LongLivedFamily, Notification, Open, OpenError, PeerKind, Role as BgpRole,
};

use super::params::{AFI_IPV6, AS_TRANS, Hostname, PeerParams};

/// What the OPENs agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// The peer's AS.
    pub remote_as: u32,
    /// The peer's BGP identifier.
    pub remote_id: Ipv4Addr,
    /// Hold time; zero means that neither side sends KEEPALIVEs.
    pub hold_time: Duration,
    /// Longest time between our KEEPALIVEs; zero where the hold time is.
    pub keepalive: Duration,
    /// Families that both ends carry. A peer that announces none carries IPv4
    /// unicast (RFC 4760 section 8).
    pub families: FamilySet,
    /// Both ends speak 4-octet AS numbers.
    pub four_octet_as: bool,
    /// Both ends take messages up to 65,535 octets.
    pub extended_message: bool,
    /// The peer answers ROUTE-REFRESH (RFC 2918).
    pub route_refresh: bool,
    /// Both ends mark begin and end of a refresh (RFC 7313).
    pub enhanced_route_refresh: bool,
    /// Families in which the peer sends path identifiers.
    pub add_path_receive: FamilySet,
    /// Families in which we send path identifiers.
    pub add_path_send: FamilySet,
    /// Families whose next hop may be IPv6 while the NLRI is IPv4.
    pub extended_next_hop: FamilySet,
    /// The peer's graceful restart, where both ends announced it.
    pub graceful_restart: Option<GracefulRestart>,
    /// Both ends keep routes over a NOTIFICATION (N bit, RFC 8538).
    pub graceful_notification: bool,
    /// The peer's long-lived graceful restart (RFC 9494), where both ends
    /// announced it and graceful restart too.
    pub long_lived: Vec<LongLivedFamily>,
    /// The peer's role (RFC 9234), where we have one too.
    pub remote_role: Option<BgpRole>,
    /// The peer's name.
    pub hostname: Option<Hostname>,
    /// The peer's capabilities as they came.
    pub remote_capabilities: Vec<Capability>,
    /// Ours as they were sent.
    pub local_capabilities: Vec<Capability>,
    /// What the codec has to know.
    pub codec: CodecContext,
}

impl Negotiated {
    /// eBGP or iBGP.
    pub const fn peer_kind(&self) -> PeerKind {
        self.codec.peer_kind
    }
}

/// Checks the peer's OPEN against the parameters, and works out what it and our
/// own agree on. The error is the NOTIFICATION to send.
///
/// The codec has checked the form already; version, hold time and identifier
/// are looked at again, because they cost nothing and everything relies on them.
pub(super) fn negotiate(
    params: &PeerParams,
    ours: &Open,
    theirs: &Open,
) -> Result<Negotiated, Notification> {
    if theirs.version != 4 {
        return Err(Notification::open(OpenError::UnsupportedVersion, [0, 4]));
    }
    let remote_as = check_as(params, theirs)?;
    let peer_kind = params.peer_kind(remote_as);
    check_id(ours, theirs, peer_kind)?;
    if matches!(theirs.hold_time_secs, 1 | 2) {
        return Err(Notification::open(
            OpenError::UnacceptableHoldTime,
            theirs.hold_time_secs.to_be_bytes(),
        ));
    }
    let families = common_families(params, theirs)?;
    let remote_role = check_role(params, theirs, peer_kind)?;

    let both = |wanted: fn(&Capability) -> bool| {
        ours.capabilities.iter().any(wanted) && theirs.capabilities.iter().any(wanted)
    };
    let hold_secs = ours.hold_time_secs.min(theirs.hold_time_secs);
    let four_octet_as = both(|c| matches!(c, Capability::FourOctetAs(_)));
    let extended_message = both(|c| matches!(c, Capability::ExtendedMessage));
    let route_refresh = both(|c| matches!(c, Capability::RouteRefresh));
    let (add_path_receive, add_path_send) = add_path(ours, theirs, families);
    let extended_next_hop = next_hop_families(ours)
        .intersection(next_hop_families(theirs))
        .intersection(families);
    let our_restart = restart(ours);
    let graceful_restart = our_restart.and(restart(theirs)).cloned();
    let graceful_notification = our_restart.is_some_and(|r| r.notification)
        && graceful_restart.as_ref().is_some_and(|r| r.notification);

    Ok(Negotiated {
        remote_as,
        remote_id: theirs.bgp_id,
        hold_time: Duration::from_secs(hold_secs.into()),
        keepalive: keepalive_time(hold_secs, params.keepalive_secs),
        families,
        four_octet_as,
        extended_message,
        route_refresh,
        enhanced_route_refresh: both(|c| matches!(c, Capability::EnhancedRouteRefresh)),
        add_path_receive,
        add_path_send,
        extended_next_hop,
        long_lived: graceful_restart
            .as_ref()
            .and(long_lived(ours))
            .and(long_lived(theirs))
            .map(<[_]>::to_vec)
            .unwrap_or_default(),
        graceful_restart,
        graceful_notification,
        remote_role,
        hostname: hostname(theirs),
        remote_capabilities: theirs.capabilities.clone(),
        local_capabilities: ours.capabilities.clone(),
        codec: CodecContext {
            peer_kind,
            four_octet_as,
            extended_message,
            families,
            add_path_receive,
            add_path_send,
            extended_next_hop,
        },
    })
}

/// RFC 4271 section 6.2 and RFC 6793: the AS must be the configured one, must
/// not be 0, and the 2-octet field must agree with the capability. AS_TRANS
/// without the capability is no one's AS.
fn check_as(params: &PeerParams, theirs: &Open) -> Result<u32, Notification> {
    let capability = theirs.capabilities.iter().find_map(|c| match c {
        Capability::FourOctetAs(asn) => Some(*asn),
        _ => None,
    });
    let remote_as = match capability {
        Some(asn) if theirs.my_as == AS_TRANS || asn == u32::from(theirs.my_as) => asn,
        Some(_) => 0,
        None if theirs.my_as == AS_TRANS => 0,
        None => u32::from(theirs.my_as),
    };
    if remote_as == 0 || !params.remote_as.accepts(params.local_as, remote_as) {
        return Err(Notification::open(OpenError::BadPeerAs, []));
    }
    Ok(remote_as)
}

/// RFC 6286 section 2.1: not 0, and within an AS not ours.
fn check_id(ours: &Open, theirs: &Open, kind: PeerKind) -> Result<(), Notification> {
    let clash = kind == PeerKind::Internal && theirs.bgp_id == ours.bgp_id;
    if theirs.bgp_id.is_unspecified() || clash {
        return Err(Notification::open(OpenError::BadBgpIdentifier, []));
    }
    Ok(())
}

/// The families that both ends carry. With none in common the session would
/// carry nothing: Unsupported Capability, with ours as the data, since those
/// are what we ask for (RFC 5492 section 5).
fn common_families(params: &PeerParams, theirs: &Open) -> Result<FamilySet, Notification> {
    let announced: Vec<AfiSafi> = theirs
        .capabilities
        .iter()
        .filter_map(|c| match c {
            Capability::Multiprotocol(pair) => Some(*pair),
            _ => None,
        })
        .collect();
    let remote = if announced.is_empty() {
        FamilySet::from_iter([Family::Ipv4Unicast])
    } else {
        known(announced)
    };
    let common = params.families.intersection(remote);
    if common.is_empty() {
        let data = params
            .families
            .iter()
            .flat_map(|f| multiprotocol_tlv(f.afi_safi()));
        return Err(Notification::open(
            OpenError::UnsupportedCapability,
            data.collect::<Vec<u8>>(),
        ));
    }
    Ok(common)
}

/// RFC 9234 section 4.2: the roles of both ends must fit together; a peer that
/// announces two different ones has none that fits. A peer without one is
/// refused in strict mode.
fn check_role(
    params: &PeerParams,
    theirs: &Open,
    kind: PeerKind,
) -> Result<Option<BgpRole>, Notification> {
    let Some(ours) = params.role.filter(|_| kind == PeerKind::External) else {
        return Ok(None);
    };
    let fitting = match ours {
        BgpRole::Provider => BgpRole::Customer,
        BgpRole::Customer => BgpRole::Provider,
        BgpRole::RouteServer => BgpRole::RouteServerClient,
        BgpRole::RouteServerClient => BgpRole::RouteServer,
        BgpRole::Peer => BgpRole::Peer,
    };
    let mut announced = theirs.capabilities.iter().filter_map(|c| match c {
        Capability::Role(role) => Some(Some(*role)),
        // A role that we do not know does not fit either.
        Capability::Unknown {
            code: code::ROLE, ..
        } => Some(None),
        _ => None,
    });
    match announced.next() {
        None if !params.strict_role => Ok(None),
        Some(Some(role)) if role == fitting && announced.all(|other| other == Some(role)) => {
            Ok(Some(role))
        }
        _ => Err(Notification::open(OpenError::RoleMismatch, [])),
    }
}

/// The capability of RFC 4760 as it stands on the wire: code, length, AFI,
/// reserved, SAFI.
const fn multiprotocol_tlv(pair: AfiSafi) -> [u8; 6] {
    let [high, low] = pair.afi.to_be_bytes();
    [1, 4, high, low, 0, pair.safi]
}

fn known(pairs: impl IntoIterator<Item = AfiSafi>) -> FamilySet {
    pairs
        .into_iter()
        .filter_map(Family::from_afi_safi)
        .collect()
}

/// The lesser of what is configured and a third of the hold time, but not under
/// a second (RFC 4271 section 4.4).
fn keepalive_time(hold_secs: u16, configured_secs: u16) -> Duration {
    if hold_secs == 0 {
        return Duration::ZERO;
    }
    let third = (hold_secs / 3).max(1);
    let secs = if configured_secs == 0 {
        third
    } else {
        third.min(configured_secs)
    };
    Duration::from_secs(secs.into())
}

/// RFC 7911 section 4: identifiers flow where the sender can send and the
/// receiver can receive. Of a family that is listed more than once the first
/// entry holds.
fn add_path(ours: &Open, theirs: &Open, families: FamilySet) -> (FamilySet, FamilySet) {
    let mode = |open: &Open, family: Family| {
        open.capabilities
            .iter()
            .filter_map(|c| match c {
                Capability::AddPath(list) => Some(list),
                _ => None,
            })
            .flatten()
            .find_map(|(pair, mode)| (*pair == family.afi_safi()).then_some(*mode))
    };
    let sends = |m: Option<AddPathMode>| matches!(m, Some(AddPathMode::Send | AddPathMode::Both));
    let receives =
        |m: Option<AddPathMode>| matches!(m, Some(AddPathMode::Receive | AddPathMode::Both));
    let receive = families
        .iter()
        .filter(|f| receives(mode(ours, *f)) && sends(mode(theirs, *f)));
    let send = families
        .iter()
        .filter(|f| sends(mode(ours, *f)) && receives(mode(theirs, *f)));
    (receive.collect(), send.collect())
}

/// The IPv4 families for which an OPEN offers IPv6 next hops.
fn next_hop_families(open: &Open) -> FamilySet {
    let pairs = open
        .capabilities
        .iter()
        .filter_map(|c| match c {
            Capability::ExtendedNextHop(list) => Some(list),
            _ => None,
        })
        .flatten()
        .filter(|(_, afi)| *afi == AFI_IPV6)
        .map(|(pair, _)| *pair);
    known(pairs)
}

fn restart(open: &Open) -> Option<&GracefulRestart> {
    open.capabilities.iter().find_map(|c| match c {
        Capability::GracefulRestart(restart) => Some(restart),
        _ => None,
    })
}

fn long_lived(open: &Open) -> Option<&[LongLivedFamily]> {
    open.capabilities.iter().find_map(|c| match c {
        Capability::LongLivedGracefulRestart(families) => Some(families.as_slice()),
        _ => None,
    })
}

fn hostname(open: &Open) -> Option<Hostname> {
    open.capabilities.iter().find_map(|c| match c {
        Capability::Fqdn { hostname, domain } => Some(Hostname {
            host: hostname.clone(),
            domain: domain.clone(),
        }),
        _ => None,
    })
}
