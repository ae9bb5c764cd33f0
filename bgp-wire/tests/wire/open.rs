//! RFC 4271 section 6.2, RFC 5492, 6286, 6793, 7607, 9072: the OPEN.

use bgp_wire::family::AfiSafi;
use bgp_wire::{
    AddPathMode, Capability, GracefulRestart, LongLivedFamily, Message, Notification, Open,
    PeerKind, Role, decode_message,
};
use bytes::BytesMut;

use crate::builder::*;

pub(crate) fn plain() -> Open {
    Open {
        version: 4,
        my_as: 65001,
        hold_time_secs: 90,
        bgp_id: [192, 0, 2, 1].into(),
        capabilities: Vec::new(),
    }
}

/// An OPEN with the given optional parameters, their length included.
fn open(parameters: &str) -> Vec<u8> {
    let mut body = hex("04 fde9 005a c0000201");
    body.extend(hex(parameters));
    message(1, &body)
}

fn decode_open(bytes: &[u8]) -> Result<Open, Notification> {
    match decode_message(&context(PeerKind::External), bytes)? {
        Message::Open(open) => Ok(open),
        other => panic!("not an OPEN: {other:?}"),
    }
}

fn refused(bytes: &[u8]) -> (u8, u8) {
    let error = decode_open(bytes).expect_err("must be refused");
    if error.subcode != 1 {
        assert!(error.data.is_empty());
    }
    (error.code, error.subcode)
}

#[test]
fn without_capabilities() {
    assert_eq!(decode_open(&open("00")), Ok(plain()));
    // A Capabilities parameter without any is one, too.
    assert_eq!(decode_open(&open("02 0200")), Ok(plain()));
}

#[test]
fn wrong_version_is_answered_by_ours() {
    for version in [0, 3, 5, 255] {
        let mut bytes = open("00");
        bytes[19] = version;
        let expected = Notification::new(2, 1, [0, 4]);
        assert_eq!(decode_open(&bytes), Err(expected));
    }
}

#[test]
fn hold_time() {
    for (hold, good) in [(0, true), (1, false), (2, false), (3, true), (65535, true)] {
        let mut bytes = open("00");
        bytes[22..24].copy_from_slice(&u16::to_be_bytes(hold));
        match good {
            true => assert_eq!(decode_open(&bytes).expect("fine").hold_time_secs, hold),
            false => assert_eq!(refused(&bytes), (2, 6)),
        }
    }
}

#[test]
fn identifier_0_is_refused_and_any_other_is_fine() {
    for (id, good) in [
        ([0, 0, 0, 0], false),
        ([224, 0, 0, 1], true),
        ([255, 255, 255, 255], true),
        ([0, 0, 0, 1], true),
    ] {
        let mut bytes = open("00");
        bytes[24..28].copy_from_slice(&id);
        match good {
            true => assert_eq!(decode_open(&bytes).expect("fine").bgp_id.octets(), id),
            false => assert_eq!(refused(&bytes), (2, 3)),
        }
    }
}

#[test]
fn as_0_is_refused_in_both_places() {
    let mut bytes = open("00");
    bytes[20..22].copy_from_slice(&[0, 0]);
    assert_eq!(refused(&bytes), (2, 2));
    assert_eq!(refused(&open("08 02 06 41 04 00000000")), (2, 2));
}

#[test]
fn as_trans_and_the_true_number() {
    let mut bytes = open("08 02 06 41 04 fffe0001");
    bytes[20..22].copy_from_slice(&23456u16.to_be_bytes());
    let open = decode_open(&bytes).expect("fine");
    assert_eq!((open.my_as, open.asn()), (23456, 0xfffe_0001));
}

#[test]
fn unknown_parameters() {
    for parameter in ["03 01 01 00", "02 63 00", "03 00 01 00"] {
        assert_eq!(refused(&open(parameter)), (2, 4), "{parameter}");
    }
}

#[test]
fn malformed_parameters() {
    for parameters in [
        "01",             // no parameter there
        "01 02",          // a type without length
        "02 02 01",       // a length over the end
        "03 02 01 41",    // a capability without length
        "04 02 02 41 04", // a capability over the end
        "00 00",          // octets behind the parameters
        "04 02 00",       // fewer octets than parameters
    ] {
        assert_eq!(refused(&open(parameters)), (2, 0), "{parameters}");
    }
}

#[test]
fn known_capabilities_of_impossible_length() {
    for capability in [
        "01 03 000101",
        "01 05 0001000101",
        "02 01 00",
        "05 05 0001000100",
        "06 01 00",
        "09 02 0000",
        "40 01 00",
        "40 03 007800",
        "41 02 fde9",
        "45 03 000101",
        "46 01 00",
        "47 06 000101800000",
    ] {
        let octets = hex(capability);
        let parameter = format!(
            "{:02x} 02 {:02x} {capability}",
            octets.len() + 2,
            octets.len()
        );
        assert_eq!(refused(&open(&parameter)), (2, 0), "{capability}");
    }
}

#[test]
fn capabilities_in_one_or_many_parameters() {
    let one = decode_open(&open("0a 02 08 0200 4104 0000fde9")).expect("fine");
    let many = decode_open(&open("0c 02 02 0200 02 06 4104 0000fde9")).expect("fine");
    assert_eq!(one, many);
    assert_eq!(
        one.capabilities,
        [Capability::RouteRefresh, Capability::FourOctetAs(65001)]
    );
}

#[test]
fn unknown_and_repeated_capabilities_are_kept() {
    let open = decode_open(&open("0b 02 09 c8 03 010203 02 00 02 00")).expect("fine");
    let unknown = Capability::Unknown {
        code: 200,
        value: vec![1, 2, 3],
    };
    let refresh = Capability::RouteRefresh;
    assert_eq!(open.capabilities, [unknown, refresh.clone(), refresh]);
}

#[test]
fn unknown_values_make_a_capability_unknown() {
    for (octets, code) in [
        ("09 01 05", 9),
        ("45 04 00010104", 69),
        ("45 04 00010100", 69),
    ] {
        let len = hex(octets).len();
        let parameter = format!("{:02x} 02 {len:02x} {octets}", len + 2);
        let open = decode_open(&open(&parameter)).expect("fine");
        assert!(
            matches!(open.capabilities[..], [Capability::Unknown { code: c, .. }] if c == code)
        );
    }
    // The name of a host is no reason to be without a session.
    let open = decode_open(&open("06 02 04 49 02 05 41")).expect("fine");
    assert!(matches!(
        open.capabilities[..],
        [Capability::Unknown { code: 73, .. }]
    ));
}

#[test]
fn extended_parameters() {
    let refresh = vec![Capability::RouteRefresh];
    // The first length is ignored as long as it is not 0 (RFC 9072 section 2).
    for parameters in [
        "ff ff 0005 02 0002 0200",
        "01 ff 0005 02 0002 0200",
        "07 ff 0005 02 0002 0200",
    ] {
        assert_eq!(
            decode_open(&open(parameters))
                .expect(parameters)
                .capabilities,
            refresh
        );
    }
    for parameters in [
        "ff ff",
        "ff ff 00",
        "ff ff 0006 02 0002 0200",
        "ff ff 0004 02 0002 0200",
        "ff ff 0005 02 0003 0200",
        "ff ff 0002 02 00",
        "00 ff 0005 02 0002 0200",
        "ff 02 02 0200",
    ] {
        assert_eq!(refused(&open(parameters)), (2, 0), "{parameters}");
    }
}

#[test]
fn the_extended_form_is_sent_only_where_it_is_needed() {
    let ctx = context(PeerKind::External);
    for (len, extended) in [(0, false), (251, false), (252, true), (255, true)] {
        let mut open = plain();
        open.capabilities.push(Capability::Unknown {
            code: 200,
            value: vec![7; len],
        });
        let mut out = BytesMut::new();
        Message::Open(open.clone())
            .encode(&ctx, &mut out)
            .expect("fits");
        assert_eq!(out[29] == 255, extended, "{len}");
        assert_eq!(decode_open(&out), Ok(open));
    }
}

#[test]
fn every_capability_has_its_octets() {
    let both = [AfiSafi::IPV4_UNICAST, AfiSafi::IPV6_UNICAST];
    for (capability, octets) in [
        (Capability::Multiprotocol(both[1]), "01 04 00020001"),
        (Capability::RouteRefresh, "02 00"),
        (
            Capability::ExtendedNextHop(vec![(both[0], 2)]),
            "05 06 000100010002",
        ),
        (Capability::ExtendedMessage, "06 00"),
        (Capability::Role(Role::Customer), "09 01 03"),
        (
            Capability::GracefulRestart(GracefulRestart {
                restarting: true,
                notification: true,
                restart_time_secs: 120,
                families: vec![(both[0], true), (both[1], false)],
            }),
            "40 0a c078 00010180 00020100",
        ),
        (Capability::FourOctetAs(65001), "41 04 0000fde9"),
        (
            Capability::AddPath(vec![
                (both[0], AddPathMode::Receive),
                (both[1], AddPathMode::Both),
            ]),
            "45 08 00010101 00020103",
        ),
        (Capability::EnhancedRouteRefresh, "46 00"),
        (
            Capability::LongLivedGracefulRestart(vec![LongLivedFamily {
                family: both[0],
                forwarding_preserved: true,
                stale_time_secs: 0x01_0203,
            }]),
            "47 07 000101 80010203",
        ),
        (
            Capability::Fqdn {
                hostname: "r1".to_owned(),
                domain: "lab".to_owned(),
            },
            "49 07 02 7231 03 6c6162",
        ),
    ] {
        let mut out = BytesMut::new();
        capability.encode(&mut out).expect("fits");
        assert_eq!(to_hex(&out), to_hex(&hex(octets)));
        let parameter = format!("{:02x} 02 {:02x} {octets}", out.len() + 2, out.len());
        let decoded = decode_open(&open(&parameter)).expect("fine");
        assert_eq!(decoded.capabilities, [capability]);
    }
}

#[test]
fn capabilities_that_do_not_fit_are_refused() {
    let restart = GracefulRestart {
        restart_time_secs: 4096,
        ..GracefulRestart::default()
    };
    for capability in [
        Capability::GracefulRestart(restart),
        Capability::Unknown {
            code: 200,
            value: vec![0; 256],
        },
        Capability::Fqdn {
            hostname: "x".repeat(256),
            domain: String::new(),
        },
    ] {
        assert!(capability.encode(&mut BytesMut::new()).is_err());
    }
}
