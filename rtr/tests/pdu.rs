//! Messages as octets, and octets that are none.

use bytes::{Bytes, BytesMut};
use holdfast_rtr::Vrp;
use holdfast_rtr::pdu::{ErrorCode, Pdu, Timing, Version, put, take};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::prelude::*;

fn vrp(text: &str, max_length: u8, asn: u32) -> Vrp {
    Vrp {
        prefix: text.parse().unwrap(),
        max_length,
        asn,
    }
}

/// The octets of RFC 8210's pictures.
#[test]
fn messages_are_what_the_rfc_draws() {
    let timing = Some(Timing {
        refresh: 1,
        retry: 2,
        expire: 3,
    });
    let cases: [(Version, Pdu, &[u8]); 8] = [
        (Version::V1, Pdu::ResetQuery, &[1, 2, 0, 0, 0, 0, 0, 8]),
        (
            Version::V1,
            Pdu::SerialQuery {
                session: 0x1234,
                serial: 0x0102_0304,
            },
            &[1, 1, 0x12, 0x34, 0, 0, 0, 12, 1, 2, 3, 4],
        ),
        (
            Version::V0,
            Pdu::SerialNotify {
                session: 7,
                serial: 9,
            },
            &[0, 0, 0, 7, 0, 0, 0, 12, 0, 0, 0, 9],
        ),
        (Version::V0, Pdu::CacheReset, &[0, 8, 0, 0, 0, 0, 0, 8]),
        (
            Version::V1,
            Pdu::Prefix {
                announce: true,
                vrp: vrp("192.0.2.0/24", 28, 65_001),
            },
            &[
                1, 4, 0, 0, 0, 0, 0, 20, 1, 24, 28, 0, 192, 0, 2, 0, 0, 0, 0xfd, 0xe9,
            ],
        ),
        (
            Version::V1,
            Pdu::Prefix {
                announce: false,
                vrp: vrp("2001:db8::/32", 48, 0),
            },
            &[
                1, 6, 0, 0, 0, 0, 0, 32, 0, 32, 48, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0,
                0, 0, 0, 0, 0, 0, 0, 0,
            ],
        ),
        (
            Version::V1,
            Pdu::EndOfData {
                session: 1,
                serial: 2,
                timing,
            },
            &[
                1, 7, 0, 1, 0, 0, 0, 24, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3,
            ],
        ),
        (
            Version::V0,
            Pdu::EndOfData {
                session: 1,
                serial: 2,
                timing: None,
            },
            &[0, 7, 0, 1, 0, 0, 0, 12, 0, 0, 0, 2],
        ),
    ];
    for (version, pdu, octets) in cases {
        let mut out = BytesMut::new();
        put(version, &pdu, &mut out);
        assert_eq!(&out[..], octets, "{pdu:?}");
        assert_eq!(take(&mut out), Ok(Some((version, pdu))));
        assert!(out.is_empty());
    }
}

#[test]
fn what_is_wrong_is_told_with_its_code() {
    let cases: [(&[u8], ErrorCode); 9] = [
        (&[2, 2, 0, 0, 0, 0, 0, 8], ErrorCode::UnsupportedVersion),
        (&[1, 2, 0, 0, 0, 0, 0, 7], ErrorCode::CorruptData),
        (&[1, 2, 0, 0, 0, 2, 0, 0], ErrorCode::CorruptData),
        (&[1, 2, 0, 0, 0, 0, 0, 9, 0], ErrorCode::CorruptData),
        (&[1, 5, 0, 0, 0, 0, 0, 8], ErrorCode::UnsupportedType),
        (&[0, 9, 0, 0, 0, 0, 0, 8], ErrorCode::UnsupportedType),
        // 33 bits, a maximum below the length, host bits.
        (
            &[
                1, 4, 0, 0, 0, 0, 0, 20, 1, 33, 33, 0, 0, 0, 0, 0, 0, 0, 0, 1,
            ],
            ErrorCode::CorruptData,
        ),
        (
            &[
                1, 4, 0, 0, 0, 0, 0, 20, 1, 24, 23, 0, 10, 0, 0, 0, 0, 0, 0, 1,
            ],
            ErrorCode::CorruptData,
        ),
        (
            &[1, 4, 0, 0, 0, 0, 0, 20, 1, 8, 8, 0, 10, 1, 0, 0, 0, 0, 0, 1],
            ErrorCode::CorruptData,
        ),
    ];
    for (octets, code) in cases {
        let error = take(&mut BytesMut::from(octets)).unwrap_err();
        assert_eq!(error.code, code, "{octets:?}: {error}");
        assert!(octets.starts_with(&error.about) && !error.about.is_empty());
    }
}

fn a_vrp() -> impl Strategy<Value = Vrp> {
    let v4 = (any::<u32>(), 0u8..=32, 0u8..=32).prop_map(|(bits, length, more)| {
        let net = Ipv4Net::new(bits.into(), length).unwrap().trunc();
        (IpNet::V4(net), more.max(length))
    });
    let v6 = (any::<u128>(), 0u8..=128, 0u8..=128).prop_map(|(bits, length, more)| {
        let net = Ipv6Net::new(bits.into(), length).unwrap().trunc();
        (IpNet::V6(net), more.max(length))
    });
    (prop_oneof![v4, v6], any::<u32>()).prop_map(|((prefix, max_length), asn)| Vrp {
        prefix,
        max_length,
        asn,
    })
}

fn a_pdu() -> impl Strategy<Value = Pdu> {
    let numbers = || (any::<u16>(), any::<u32>());
    let octets = proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        numbers().prop_map(|(session, serial)| Pdu::SerialNotify { session, serial }),
        numbers().prop_map(|(session, serial)| Pdu::SerialQuery { session, serial }),
        Just(Pdu::ResetQuery),
        Just(Pdu::CacheReset),
        any::<u16>().prop_map(|session| Pdu::CacheResponse { session }),
        (any::<bool>(), a_vrp()).prop_map(|(announce, vrp)| Pdu::Prefix { announce, vrp }),
        (octets, "[a-z ]{0,20}").prop_map(|(about, text)| Pdu::ErrorReport {
            code: ErrorCode::CorruptData,
            about: Bytes::from(about),
            text,
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(pdus in proptest::collection::vec(a_pdu(), 0..8), cut in 0usize..9) {
        let mut out = BytesMut::new();
        for pdu in &pdus {
            put(Version::V1, pdu, &mut out);
        }
        // A message that is not complete waits for the rest.
        let rest = out.split_off(out.len().saturating_sub(cut));
        let mut found = Vec::new();
        while let Some((version, pdu)) = take(&mut out).unwrap() {
            prop_assert_eq!(version, Version::V1);
            found.push(pdu);
        }
        out.unsplit(rest);
        while let Some((_, pdu)) = take(&mut out).unwrap() {
            found.push(pdu);
        }
        prop_assert_eq!(found, pdus);
    }

    #[test]
    fn no_octets_are_too_much(octets in proptest::collection::vec(any::<u8>(), 0..80), kind in 0u8..12) {
        let mut buffer = BytesMut::from(&octets[..]);
        if let [version, place, _, _, a, b, c, length, ..] = &mut buffer[..] {
            (*version, *place, *a, *b, *c) = (*version % 2, kind, 0, 0, 0);
            *length %= 90;
        }
        let before = buffer.len();
        if let Ok(Some(_)) = take(&mut buffer) {
            prop_assert!(buffer.len() < before);
        }
    }
}
