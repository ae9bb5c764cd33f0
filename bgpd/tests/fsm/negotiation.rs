//! What the peer's OPEN must be, and what the two OPENs agree on.

use std::net::Ipv4Addr;
use std::time::Duration;

use bgp_wire::{
    AddPathMode, AfiSafi, Capability, Family, FamilySet, GracefulRestart, LongLivedFamily, Open,
    PeerKind, Role as BgpRole,
};
use bgpd::fsm::{
    AddPathOffer, Event, Hostname, Negotiated, PeerParams, RemoteAs, ResetCause, State,
};

use crate::rig::{
    HIGH_ID, LOCAL_AS, LOCAL_ID, REMOTE_AS, Rig, open_with, params, peer_open, secs,
    sent_notification, up_of,
};

const V4: AfiSafi = AfiSafi::IPV4_UNICAST;
const V6: AfiSafi = AfiSafi::IPV6_UNICAST;

/// The NOTIFICATION that an OPEN is answered with, or none where it is accepted.
fn rejection(params: PeerParams, open: Open) -> Option<(u8, u8, Vec<u8>)> {
    let (mut rig, conn) = Rig::open_sent(params);
    let actions = rig.open(conn, open);
    let notification = sent_notification(&actions, conn);
    let expected = if notification.is_some() {
        State::Idle
    } else {
        State::OpenConfirm
    };
    assert_eq!(rig.fsm.state(), expected);
    notification.map(|n| (n.code, n.subcode, n.data))
}

fn code(params: PeerParams, open: Open) -> Option<(u8, u8)> {
    rejection(params, open).map(|(code, subcode, _)| (code, subcode))
}

fn agreed(params: PeerParams, open: Open) -> Negotiated {
    let (mut rig, conn) = Rig::open_confirm(params, open);
    let actions = rig.event(Event::Keepalive(conn));
    (*up_of(&actions).expect("up").negotiated).clone()
}

fn remote(kind: RemoteAs) -> PeerParams {
    PeerParams {
        remote_as: kind,
        ..params()
    }
}

fn open_of(asn: u32, bgp_id: Ipv4Addr) -> Open {
    PeerParams::new(asn, bgp_id, RemoteAs::External).open()
}

/// An OPEN as someone with 2-octet numbers sends it, or worse.
fn raw_as(my_as: u16, capability: Option<u32>) -> Open {
    let mut open = open_with(vec![Capability::Multiprotocol(V4)]);
    open.my_as = my_as;
    open.capabilities
        .extend(capability.map(Capability::FourOctetAs));
    open
}

// ===== AS =====

#[test]
fn the_peers_as_must_be_the_configured_one() {
    let bad = Some((2, 2));
    let number = |n| remote(RemoteAs::Number(n));
    assert_eq!(code(number(REMOTE_AS), open_of(REMOTE_AS, HIGH_ID)), None);
    assert_eq!(code(number(REMOTE_AS), open_of(1, HIGH_ID)), bad);
    assert_eq!(code(number(REMOTE_AS), open_of(LOCAL_AS, HIGH_ID)), bad);
    assert_eq!(code(number(80_000), open_of(80_000, HIGH_ID)), None);
    assert_eq!(code(number(80_000), open_of(80_001, HIGH_ID)), bad);
    let internal = || remote(RemoteAs::Internal);
    assert_eq!(code(internal(), open_of(LOCAL_AS, HIGH_ID)), None);
    assert_eq!(code(internal(), open_of(REMOTE_AS, HIGH_ID)), bad);
    let external = || remote(RemoteAs::External);
    assert_eq!(code(external(), open_of(REMOTE_AS, HIGH_ID)), None);
    assert_eq!(code(external(), open_of(LOCAL_AS, HIGH_ID)), bad);
}

/// RFC 6793: what the 2-octet field and the capability may say together.
#[test]
fn the_two_as_fields_must_agree() {
    let any = || remote(RemoteAs::External);
    let bad = Some((2, 2));
    for (my_as, capability, expected) in [
        (65_002, None, None),
        (65_002, Some(65_002), None),
        (23_456, Some(80_000), None),
        // A small number behind AS_TRANS is odd, but clear.
        (23_456, Some(65_002), None),
        (65_002, Some(65_003), bad),
        (65_002, Some(80_000), bad),
        // AS_TRANS alone is no one's.
        (23_456, None, bad),
        (0, None, bad),
        (0, Some(0), bad),
        (0, Some(65_002), bad),
        (65_002, Some(0), bad),
        (23_456, Some(0), bad),
    ] {
        assert_eq!(
            code(any(), raw_as(my_as, capability)),
            expected,
            "{my_as} {capability:?}"
        );
    }
}

#[test]
fn an_as_error_has_no_data() {
    assert_eq!(
        rejection(params(), open_of(1, HIGH_ID)),
        Some((2, 2, vec![]))
    );
}

#[test]
fn without_the_capability_on_both_sides_as_numbers_have_two_octets() {
    let old_peer = raw_as(65_002, None);
    assert!(!agreed(params(), old_peer.clone()).codec.four_octet_as);
    let mut old_we = params();
    old_we.four_octet_as = false;
    let result = agreed(old_we, peer_open(HIGH_ID));
    assert!(!result.four_octet_as && !result.codec.four_octet_as);
    assert!(agreed(params(), peer_open(HIGH_ID)).codec.four_octet_as);
    assert_eq!(agreed(params(), old_peer).remote_as, 65_002);
}

#[test]
fn the_kind_of_peer_follows_from_the_as() {
    let internal = agreed(remote(RemoteAs::Internal), open_of(LOCAL_AS, HIGH_ID));
    assert_eq!(internal.peer_kind(), PeerKind::Internal);
    let external = agreed(remote(RemoteAs::External), open_of(80_000, HIGH_ID));
    assert_eq!(external.peer_kind(), PeerKind::External);
    assert_eq!(external.remote_as, 80_000);
}

/// RFC 5065 section 4: between member ASes the OPEN carries theirs, and roles
/// say nothing (RFC 9234 section 4).
#[test]
fn another_member_as_is_neither_external_nor_internal() {
    let member = PeerParams {
        confederation: true,
        role: Some(BgpRole::Provider),
        ..remote(RemoteAs::Number(64_513))
    };
    let capabilities = member.local_capabilities();
    let role = |c: &Capability| matches!(c, Capability::Role(_));
    assert!(!capabilities.iter().any(role), "{capabilities:?}");
    let result = agreed(member.clone(), open_of(64_513, HIGH_ID));
    assert_eq!(result.peer_kind(), PeerKind::Confederation);
    assert_eq!(result.codec.peer_kind, PeerKind::Confederation);
    let outside = PeerParams {
        confederation: false,
        ..member.clone()
    };
    assert_eq!(
        member.needs_reset(&outside),
        Some(ResetCause::RemoteAsChanged)
    );
}

// ===== identifier, version, hold time =====

/// RFC 6286 section 2.1.
#[test]
fn an_identifier_is_not_zero_and_not_ours_within_the_as() {
    let bad = Some((2, 3));
    assert_eq!(code(params(), peer_open(Ipv4Addr::UNSPECIFIED)), bad);
    assert_eq!(
        code(remote(RemoteAs::Internal), open_of(LOCAL_AS, LOCAL_ID)),
        bad
    );
    assert_eq!(
        code(params(), peer_open(LOCAL_ID)),
        None,
        "another AS may have it"
    );
    assert_eq!(code(params(), peer_open(Ipv4Addr::new(224, 0, 0, 1))), None);
    assert_eq!(agreed(params(), peer_open(HIGH_ID)).remote_id, HIGH_ID);
}

#[test]
fn another_version_is_answered_with_ours() {
    let mut open = peer_open(HIGH_ID);
    open.version = 3;
    assert_eq!(rejection(params(), open), Some((2, 1, vec![0, 4])));
}

#[test]
fn the_lesser_hold_time_holds() {
    // Ours, the keepalive time we want, the peer's; the hold time, ours between
    // KEEPALIVEs.
    for (ours, wanted, theirs, hold, keepalive) in [
        (180, 60, 90, 90, 30),
        (90, 30, 180, 90, 30),
        (180, 60, 180, 180, 60),
        (9, 60, 180, 9, 3),
        (180, 10, 90, 90, 10),
        (180, 60, 3, 3, 1),
        (180, 0, 90, 90, 30),
        (4, 60, 180, 4, 1),
        (0, 60, 90, 0, 0),
        (90, 30, 0, 0, 0),
    ] {
        let local = PeerParams {
            hold_time_secs: ours,
            keepalive_secs: wanted,
            ..params()
        };
        let mut open = peer_open(HIGH_ID);
        open.hold_time_secs = theirs;
        let result = agreed(local, open);
        let got = (result.hold_time, result.keepalive);
        assert_eq!(
            got,
            (secs(hold), secs(keepalive)),
            "{ours} {wanted} {theirs}"
        );
    }
}

#[test]
fn hold_times_of_one_and_two_seconds_are_refused() {
    for hold in [1u16, 2] {
        let mut open = peer_open(HIGH_ID);
        open.hold_time_secs = hold;
        let data = hold.to_be_bytes().to_vec();
        assert_eq!(rejection(params(), open), Some((2, 6, data)));
    }
}

// ===== families =====

fn families(list: &[Family]) -> FamilySet {
    list.iter().copied().collect()
}

fn with_families(list: &[Family]) -> PeerParams {
    PeerParams {
        families: families(list),
        ..params()
    }
}

#[test]
fn families_are_those_of_both() {
    use Family::{Ipv4Unicast, Ipv6Unicast};
    let multi = |pairs: &[AfiSafi]| {
        let list = pairs.iter().map(|p| Capability::Multiprotocol(*p));
        open_with(list.chain([Capability::FourOctetAs(REMOTE_AS)]).collect())
    };
    let evpn = AfiSafi { afi: 25, safi: 70 };
    let both = &[Ipv4Unicast, Ipv6Unicast][..];
    for (ours, theirs, common) in [
        (both, &[V4, V6][..], both),
        (both, &[V6][..], &[Ipv6Unicast][..]),
        (both, &[V4, evpn][..], &[Ipv4Unicast][..]),
        (both, &[V4, V4][..], &[Ipv4Unicast][..]),
        // RFC 4760 section 8: no capability means IPv4 unicast.
        (both, &[][..], &[Ipv4Unicast][..]),
        (&[Ipv6Unicast][..], &[V4, V6][..], &[Ipv6Unicast][..]),
    ] {
        let result = agreed(with_families(ours), multi(theirs));
        assert_eq!(result.families, families(common));
        assert_eq!(result.codec.families, families(common));
    }
    // Nothing in common: 2/7 with the capabilities that we ask for.
    let ours_v6 = vec![1, 4, 0, 2, 0, 1];
    let none = rejection(with_families(&[Ipv6Unicast]), multi(&[V4]));
    assert_eq!(none, Some((2, 7, ours_v6.clone())));
    assert_eq!(
        rejection(with_families(&[Ipv6Unicast]), multi(&[])),
        Some((2, 7, ours_v6))
    );
    let only_evpn = rejection(with_families(both), multi(&[evpn]));
    assert_eq!(
        only_evpn,
        Some((2, 7, vec![1, 4, 0, 1, 0, 1, 1, 4, 0, 2, 0, 1]))
    );
}

#[test]
fn a_peer_without_families_does_not_start() {
    let mut rig = Rig::new(with_families(&[]));
    assert!(rig.event(Event::ManualStart).is_empty());
    assert_eq!(rig.fsm.state(), State::Idle);
    assert_eq!(
        rig.fsm.last_reset().map(|r| r.cause),
        Some(ResetCause::NoFamily)
    );
    // Once there is one, it does.
    rig.fsm.update_params(params());
    rig.event(Event::AutomaticStart);
    assert_eq!(rig.fsm.state(), State::Connect);
}

// ===== other capabilities =====

#[test]
fn a_capability_counts_where_both_have_it() {
    let with = agreed(params(), peer_open(HIGH_ID));
    assert!(with.route_refresh && with.enhanced_route_refresh && with.extended_message);
    assert!(with.codec.extended_message);
    assert_eq!(with.codec.max_message_len(), 65_535);

    let bare = open_with(vec![Capability::FourOctetAs(REMOTE_AS)]);
    let without = agreed(params(), bare);
    assert!(!without.route_refresh && !without.enhanced_route_refresh);
    assert!(!without.extended_message && !without.codec.extended_message);

    let silent = PeerParams {
        route_refresh: false,
        extended_message: false,
        ..params()
    };
    let ours = agreed(silent, peer_open(HIGH_ID));
    assert!(!ours.route_refresh && !ours.enhanced_route_refresh && !ours.extended_message);
}

#[test]
fn unknown_and_repeated_capabilities_change_nothing() {
    let mut open = peer_open(HIGH_ID);
    let plain = agreed(params(), open.clone());
    open.capabilities.extend(open.capabilities.clone());
    open.capabilities.push(Capability::Unknown {
        code: 200,
        value: vec![1, 2, 3],
    });
    let mut odd = agreed(params(), open.clone());
    assert_eq!(
        odd.remote_capabilities, open.capabilities,
        "shown as they came"
    );
    odd.remote_capabilities = plain.remote_capabilities.clone();
    assert_eq!(odd, plain);
}

#[test]
fn add_path_goes_where_one_sends_and_the_other_receives() {
    use AddPathMode::{Both, Receive, Send};
    for (ours, theirs, receive, send) in [
        (Some(Both), Some(Both), true, true),
        (Some(Send), Some(Receive), false, true),
        (Some(Receive), Some(Send), true, false),
        (Some(Both), Some(Send), true, false),
        (Some(Both), Some(Receive), false, true),
        (Some(Send), Some(Send), false, false),
        (Some(Receive), Some(Receive), false, false),
        (Some(Both), None, false, false),
        (None, Some(Both), false, false),
    ] {
        let mut local = params();
        local.add_path = ours
            .map(|mode| AddPathOffer {
                family: Family::Ipv4Unicast,
                mode,
            })
            .into_iter()
            .collect();
        let mut open = peer_open(HIGH_ID);
        if let Some(mode) = theirs {
            // IPv6 is not negotiated: what is offered for it does not count.
            open.capabilities
                .push(Capability::AddPath(vec![(V4, mode), (V6, Both)]));
        }
        let result = agreed(local, open);
        let expected = |on: bool| families(if on { &[Family::Ipv4Unicast] } else { &[] });
        assert_eq!(
            result.add_path_receive,
            expected(receive),
            "{ours:?} {theirs:?}"
        );
        assert_eq!(result.add_path_send, expected(send), "{ours:?} {theirs:?}");
        assert_eq!(result.codec.add_path_receive, result.add_path_receive);
        assert_eq!(result.codec.add_path_send, result.add_path_send);
    }
}

#[test]
fn ipv6_next_hops_need_both_and_the_right_tuple() {
    let v4 = families(&[Family::Ipv4Unicast]);
    let local = PeerParams {
        extended_next_hop: v4,
        ..params()
    };
    let offer = |list: Vec<(AfiSafi, u16)>| {
        let mut open = peer_open(HIGH_ID);
        open.capabilities.push(Capability::ExtendedNextHop(list));
        open
    };
    let result = agreed(local.clone(), offer(vec![(V4, 2)]));
    assert_eq!(
        (result.extended_next_hop, result.codec.extended_next_hop),
        (v4, v4)
    );
    let none = FamilySet::EMPTY;
    assert_eq!(
        agreed(local.clone(), offer(vec![(V4, 1)])).extended_next_hop,
        none
    );
    assert_eq!(agreed(local, peer_open(HIGH_ID)).extended_next_hop, none);
    assert_eq!(
        agreed(params(), offer(vec![(V4, 2)])).extended_next_hop,
        none
    );
}

#[test]
fn graceful_restart_needs_both_and_the_n_bit_too() {
    let restart = |notification| GracefulRestart {
        notification,
        restart_time_secs: 90,
        families: vec![(V4, true)],
        ..GracefulRestart::default()
    };
    for (ours, theirs, graceful, keeps) in [
        (Some(true), Some(true), true, true),
        (Some(true), Some(false), true, false),
        (Some(false), Some(true), true, false),
        (Some(true), None, false, false),
        (None, Some(true), false, false),
    ] {
        let local = PeerParams {
            graceful_restart: ours.map(restart),
            ..params()
        };
        let mut open = peer_open(HIGH_ID);
        open.capabilities
            .extend(theirs.map(|n| Capability::GracefulRestart(restart(n))));
        let result = agreed(local, open);
        let expected = theirs.filter(|_| graceful).map(restart);
        assert_eq!(result.graceful_restart, expected, "{ours:?} {theirs:?}");
        assert_eq!(result.graceful_notification, keeps, "{ours:?} {theirs:?}");
    }
}

#[test]
fn the_peers_name_is_told() {
    let mut open = peer_open(HIGH_ID);
    open.capabilities.push(Capability::Fqdn {
        hostname: "leaf1".to_owned(),
        domain: "example".to_owned(),
    });
    let expected = Hostname {
        host: "leaf1".to_owned(),
        domain: "example".to_owned(),
    };
    assert_eq!(agreed(params(), open).hostname, Some(expected));
    assert_eq!(agreed(params(), peer_open(HIGH_ID)).hostname, None);
}

#[test]
fn long_lived_graceful_restart_needs_both_and_graceful_restart() {
    let long_lived = |secs| LongLivedFamily {
        family: V4,
        forwarding_preserved: true,
        stale_time_secs: secs,
    };
    let local = PeerParams {
        graceful_restart: Some(GracefulRestart::default()),
        long_lived: vec![long_lived(60)],
        ..params()
    };
    let mut open = peer_open(HIGH_ID);
    let theirs = vec![long_lived(3600)];
    open.capabilities
        .push(Capability::LongLivedGracefulRestart(theirs.clone()));
    // RFC 9494 section 4.2: ignored without graceful restart.
    assert_eq!(agreed(local.clone(), open.clone()).long_lived, []);
    open.capabilities
        .push(Capability::GracefulRestart(GracefulRestart::default()));
    assert_eq!(agreed(local.clone(), open.clone()).long_lived, theirs);
    assert_eq!(agreed(params(), open).long_lived, []);
    let ours = Capability::LongLivedGracefulRestart(vec![long_lived(60)]);
    assert!(local.local_capabilities().contains(&ours));
    let without = PeerParams {
        graceful_restart: None,
        ..local
    };
    assert!(!without.local_capabilities().contains(&ours));
}

// ===== roles (RFC 9234) =====

fn with_role(role: BgpRole) -> PeerParams {
    PeerParams {
        role: Some(role),
        ..params()
    }
}

fn open_with_roles(roles: &[BgpRole]) -> Open {
    let mut open = peer_open(HIGH_ID);
    open.capabilities
        .extend(roles.iter().copied().map(Capability::Role));
    open
}

#[test]
fn roles_must_fit_together() {
    use BgpRole::{Customer, Peer, Provider, RouteServer, RouteServerClient};
    let all = [Provider, RouteServer, RouteServerClient, Customer, Peer];
    let fitting = [
        (Provider, Customer),
        (Customer, Provider),
        (RouteServer, RouteServerClient),
        (RouteServerClient, RouteServer),
        (Peer, Peer),
    ];
    for ours in all {
        for theirs in all {
            let expected = (!fitting.contains(&(ours, theirs))).then_some((2, 11));
            let got = code(with_role(ours), open_with_roles(&[theirs]));
            assert_eq!(got, expected, "{ours:?} {theirs:?}");
        }
    }
    let result = agreed(with_role(Customer), open_with_roles(&[Provider, Provider]));
    assert_eq!(result.remote_role, Some(Provider));
    let two = open_with_roles(&[Provider, Peer]);
    assert_eq!(code(with_role(Customer), two), Some((2, 11)));
    let mut unknown = peer_open(HIGH_ID);
    unknown.capabilities.push(Capability::Unknown {
        code: 9,
        value: vec![77],
    });
    assert_eq!(code(with_role(Customer), unknown), Some((2, 11)));
}

#[test]
fn a_missing_role_matters_in_strict_mode_only() {
    let lax = with_role(BgpRole::Customer);
    let strict = PeerParams {
        strict_role: true,
        ..lax.clone()
    };
    assert_eq!(code(lax, peer_open(HIGH_ID)), None);
    assert_eq!(code(strict, peer_open(HIGH_ID)), Some((2, 11)));
    // Who has no role of his own does not look at the peer's.
    assert_eq!(code(params(), open_with_roles(&[BgpRole::Provider])), None);
}

#[test]
fn roles_mean_nothing_within_an_as() {
    let internal = PeerParams {
        remote_as: RemoteAs::Internal,
        strict_role: true,
        ..with_role(BgpRole::Provider)
    };
    assert_eq!(code(internal.clone(), open_of(LOCAL_AS, HIGH_ID)), None);
    let ours = Capability::Role(BgpRole::Provider);
    assert!(!internal.local_capabilities().contains(&ours));
    assert!(
        with_role(BgpRole::Provider)
            .local_capabilities()
            .contains(&ours)
    );
}

// ===== our OPEN =====

#[test]
fn our_open_says_what_the_parameters_say() {
    let full = PeerParams {
        families: families(&Family::ALL),
        extended_next_hop: families(&[Family::Ipv4Unicast]),
        add_path: vec![AddPathOffer {
            family: Family::Ipv6Unicast,
            mode: AddPathMode::Both,
        }],
        graceful_restart: Some(GracefulRestart {
            restart_time_secs: 120,
            ..GracefulRestart::default()
        }),
        restarting: true,
        hostname: Some(Hostname {
            host: "tor1".to_owned(),
            domain: String::new(),
        }),
        hold_time_secs: 9,
        ..PeerParams::new(80_000, LOCAL_ID, RemoteAs::External)
    };
    let open = full.open();
    assert_eq!((open.version, open.my_as, open.asn()), (4, 23_456, 80_000));
    assert_eq!((open.hold_time_secs, open.bgp_id), (9, LOCAL_ID));
    let restart = GracefulRestart {
        restarting: true,
        restart_time_secs: 120,
        ..GracefulRestart::default()
    };
    let expected = vec![
        Capability::Multiprotocol(V4),
        Capability::Multiprotocol(V6),
        Capability::RouteRefresh,
        Capability::ExtendedNextHop(vec![(V4, 2)]),
        Capability::ExtendedMessage,
        Capability::GracefulRestart(restart),
        Capability::FourOctetAs(80_000),
        Capability::AddPath(vec![(V6, AddPathMode::Both)]),
        Capability::EnhancedRouteRefresh,
        Capability::Fqdn {
            hostname: "tor1".to_owned(),
            domain: String::new(),
        },
    ];
    assert_eq!(open.capabilities, expected);

    let bare = PeerParams {
        capabilities: false,
        ..full
    };
    assert!(bare.open().capabilities.is_empty());
    assert_eq!(params().open().my_as, 65_001);
}

#[test]
fn names_of_any_length_leave_an_open_that_can_be_sent() {
    // The cut falls into the middle of a character of two octets.
    let long = format!("{}\u{e9}{}", "h".repeat(63), "t".repeat(5000));
    for (host, domain) in [("h".repeat(245), long.clone()), (long, "d".repeat(64))] {
        let params = PeerParams {
            hostname: Some(Hostname { host, domain }),
            ..params()
        };
        let mut octets = bytes::BytesMut::new();
        let open = params.open();
        let Some(Capability::Fqdn { hostname, domain }) = open.capabilities.last() else {
            panic!("{open:?}");
        };
        for name in [hostname, domain] {
            let whole = ["h".repeat(63), "h".repeat(64), "d".repeat(64)];
            assert!(whole.contains(name), "{name}");
        }
        let message = bgp_wire::Message::Open(open);
        let context = bgp_wire::CodecContext::baseline(PeerKind::External);
        message.encode(&context, &mut octets).unwrap();
    }
}

#[test]
fn without_capabilities_of_our_own_ipv4_unicast_still_works() {
    let bare = PeerParams {
        capabilities: false,
        ..params()
    };
    let result = agreed(bare, peer_open(HIGH_ID));
    assert_eq!(result.families, families(&[Family::Ipv4Unicast]));
    assert!(!result.four_octet_as && !result.route_refresh);
}

#[test]
fn only_changes_that_the_session_rests_on_need_a_reset() {
    let old = params();
    let change = |f: fn(&mut PeerParams)| {
        let mut new = old.clone();
        f(&mut new);
        old.needs_reset(&new)
    };
    assert_eq!(change(|_| ()), None);
    assert_eq!(change(|p| p.hold_time_secs = 9), None);
    assert_eq!(change(|p| p.keepalive_secs = 3), None);
    assert_eq!(
        change(|p| p.timing.connect_retry = Duration::from_secs(1)),
        None
    );
    assert_eq!(change(|p| p.restarting = true), None);
    let id = change(|p| p.local_id = HIGH_ID);
    assert_eq!(id, Some(ResetCause::RouterIdChanged));
    assert_eq!(change(|p| p.local_as = 1), Some(ResetCause::LocalAsChanged));
    let remote = change(|p| p.remote_as = RemoteAs::Internal);
    assert_eq!(remote, Some(ResetCause::RemoteAsChanged));
    let family = change(|p| p.families.insert(Family::Ipv6Unicast));
    assert_eq!(family, Some(ResetCause::FamilyActivated));
    assert_eq!(
        change(|p| p.passive = true),
        Some(ResetCause::PassiveChanged)
    );
    let capability = change(|p| p.extended_message = false);
    assert_eq!(capability, Some(ResetCause::CapabilityChanged));
}
