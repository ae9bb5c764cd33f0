//! Communities as text.

use bgp_wire::{Community, ExtendedCommunity, Ipv6ExtendedCommunity, LargeCommunity};

use crate::builder::hex;

#[test]
fn standard() {
    for (community, text) in [
        (Community::new(65000, 1), "65000:1"),
        (Community(0), "internet"),
        (Community::new(0, 1), "0:1"),
        (Community::GRACEFUL_SHUTDOWN, "graceful-shutdown"),
        (Community::ACCEPT_OWN, "accept-own"),
        (Community::LLGR_STALE, "llgr-stale"),
        (Community::NO_LLGR, "no-llgr"),
        (Community::BLACKHOLE, "blackhole"),
        (Community::NO_EXPORT, "no-export"),
        (Community::NO_ADVERTISE, "no-advertise"),
        (Community::NO_EXPORT_SUBCONFED, "local-AS"),
        (Community::NO_PEER, "no-peer"),
        (Community(0xffff_0009), "65535:9"),
    ] {
        assert_eq!(community.to_string(), text);
        assert_eq!(text.parse(), Ok(community));
    }
    assert_eq!("65535:666".parse(), Ok(Community::BLACKHOLE));
    assert_eq!("4259840001".parse(), Ok(Community::new(65000, 1)));
    assert_eq!("NO-EXPORT".parse(), Ok(Community::NO_EXPORT));
    for bad in [
        "",
        ":",
        "65536:1",
        "1:65536",
        "1:2:3",
        "a:b",
        "+1:2",
        "4294967296",
    ] {
        assert!(bad.parse::<Community>().is_err(), "{bad}");
    }
}

#[test]
fn large() {
    let community = LargeCommunity::new(4_200_000_000, 1, 2);
    assert_eq!(community.to_string(), "4200000000:1:2");
    assert_eq!("4200000000:1:2".parse(), Ok(community));
    for bad in ["1:2", "1:2:3:4", "1::3", "4294967296:1:2"] {
        assert!(bad.parse::<LargeCommunity>().is_err(), "{bad}");
    }
}

#[test]
fn extended_and_back() {
    for (octets, text) in [
        ("0002 fde8 00000001", "RT:65000:1"),
        ("0003 fde8 00000001", "SoO:65000:1"),
        ("0102 c0000201 0007", "RT:192.0.2.1:7"),
        ("0203 fa56ea00 0007", "SoO:4200000000:7"),
    ] {
        let community = ExtendedCommunity(hex(octets).try_into().expect("8 octets"));
        assert_eq!(community.to_string(), text);
        assert_eq!(text.parse(), Ok(community));
    }
    for bad in ["RT:1", "XX:1:2", "RT:70000:70000", "RT:192.0.2.1:65536", ""] {
        assert!(bad.parse::<ExtendedCommunity>().is_err(), "{bad}");
    }
}

#[test]
fn extended_one_way() {
    for (octets, text) in [
        ("030b 0000 00000064", "Color:100"),
        ("4300 000000000002", "OVS:invalid"),
        ("030c 000000000008", "UNK:3, 12"),
        ("8006 000000000000", "UNK:128, 6"),
    ] {
        let community = ExtendedCommunity(hex(octets).try_into().expect("8 octets"));
        assert_eq!(community.to_string(), text);
    }
    let ipv6 = hex("0002 20010db8000000000000000000000001 0007");
    let ipv6 = Ipv6ExtendedCommunity(ipv6.try_into().expect("20 octets"));
    assert_eq!(ipv6.to_string(), "RT:2001:db8::1:7");
}

#[test]
fn link_bandwidth() {
    for (rate, text) in [
        (12_500_000.0, "LB:65000:12500000 (100.000 Mbps)"),
        (125_000_000.0, "LB:65000:125000000 (1.000 Gbps)"),
        (1_000.0, "LB:65000:1000 (8.000 Kbps)"),
        (100.0, "LB:65000:100 (800 bps)"),
    ] {
        let community = ExtendedCommunity::link_bandwidth(65000, rate, false);
        assert_eq!(community.to_string(), text);
        assert_eq!(community.as_link_bandwidth(), Some(rate));
        assert!(!community.is_transitive());
    }
    let wide = ExtendedCommunity::link_bandwidth(4_200_000_000, 1.0, true);
    assert!(wide.is_transitive());
    assert_eq!(wide.to_string(), "LB:23456:1 (8 bps)");
    let nan = ExtendedCommunity::link_bandwidth(1, f32::NAN, false);
    assert_eq!(nan.as_link_bandwidth(), None);
    let target = ExtendedCommunity::route_target(1, 2).expect("fits");
    assert_eq!(target.as_link_bandwidth(), None);
}

#[test]
fn link_bandwidth_as_an_integer_and_back() {
    let rate = 12_500_000.0;
    for transitive in [true, false] {
        let float = ExtendedCommunity::link_bandwidth(65000, rate, transitive);
        let integer = float.link_bandwidth_to_integer();
        assert_eq!(integer.0[4..], 12_500_000_u32.to_be_bytes());
        assert_eq!(integer.0[..4], float.0[..4]);
        assert_eq!(integer.link_bandwidth_from_integer(), float);
    }
    let most = ExtendedCommunity::link_bandwidth(1, f32::MAX, true);
    assert_eq!(most.link_bandwidth_to_integer().0[4..], [0xff; 4]);
    let target = ExtendedCommunity::route_target(1, 2).unwrap();
    assert_eq!(target.link_bandwidth_to_integer(), target);
    assert_eq!(target.link_bandwidth_from_integer(), target);
}
