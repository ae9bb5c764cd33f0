//! RFC 6793: speakers of 2-octet AS numbers.

use bgp_wire::{
    Aggregator, AsPath, NextHop, Nlri, Origin, PathAttributes, PeerKind, V4, encode_announcements,
};
use bytes::BytesMut;

use crate::builder::*;

const EXTERNAL: PeerKind = PeerKind::External;

/// What an UPDATE of an old speaker with these attributes says.
fn received(as_path: &str, others: &[Vec<u8>]) -> PathAttributes {
    let mut attributes = vec![origin(), attribute(0x40, 2, &hex(as_path)), next_hop()];
    attributes.extend_from_slice(others);
    let bytes = update(&[], &attributes, &NLRI);
    let decoded = decode(&old_context(EXTERNAL), &bytes).expect("no reset");
    assert_eq!(announced(&decoded), ["203.0.113.0/24"]);
    decoded.attributes
}

fn as4_path(value: &str) -> Vec<u8> {
    attribute(0xc0, 17, &hex(value))
}

#[test]
fn paths_are_merged() {
    // 100 23456 23456 and 70000 70001
    let merged = received("0203 0064 5ba0 5ba0", &[as4_path("0202 00011170 00011171")]);
    assert_eq!(merged.as_path.to_string(), "100 70000 70001");
    // A set counts as one.
    let merged = received(
        "0202 0064 5ba0 0102 0001 0002",
        &[as4_path("0201 00011170 0102 00000001 00000002")],
    );
    assert_eq!(merged.as_path.to_string(), "100 70000 {1,2}");
}

#[test]
fn a_shorter_as_path_wins() {
    let kept = received("0201 0064", &[as4_path("0202 00011170 00011171")]);
    assert_eq!(kept.as_path.to_string(), "100");
}

#[test]
fn confederation_segments_in_as4_path_are_left_out() {
    let merged = received("0202 0064 5ba0", &[as4_path("0301 0000fde9 0201 00011170")]);
    assert_eq!(merged.as_path.to_string(), "100 70000");
}

#[test]
fn malformed_as4_attributes_are_discarded() {
    for bad in [
        "",
        "0202 00011170",
        "0501 00011170",
        "0200",
        "0201 00000000",
        "02010001117000",
    ] {
        let kept = received("0202 0064 5ba0", &[as4_path(bad)]);
        assert_eq!(kept.as_path.to_string(), "100 23456", "{bad}");
    }
    let aggregator = attribute(0xc0, 7, &hex("5ba0 c0000201"));
    for bad in ["", "00011170 c00002", "00000000 c0000201"] {
        let bad = attribute(0xc0, 18, &hex(bad));
        let kept = received("0201 0064", &[aggregator.clone(), bad]);
        assert_eq!(kept.aggregator.expect("kept").asn, 23456);
    }
}

#[test]
fn flags_of_as4_attributes_are_checked() {
    for (code, value) in [(17, "0201 00011170"), (18, "00011170 c0000201")] {
        for flags in [0x40, 0x80] {
            let bad = attribute(flags, code, &hex(value));
            let attributes = [
                origin(),
                attribute(0x40, 2, &hex("0201 5ba0")),
                next_hop(),
                bad,
            ];
            let bytes = update(&[], &attributes, &NLRI);
            let decoded = decode(&old_context(EXTERNAL), &bytes).expect("no reset");
            assert_eq!(withdrawn(&decoded), ["203.0.113.0/24"]);
        }
    }
}

#[test]
fn aggregators_are_merged() {
    let as4 = attribute(0xc0, 18, &hex("00011170 c0000209"));
    let hidden = attribute(0xc0, 7, &hex("5ba0 c0000201"));
    let merged = received(
        "0201 5ba0",
        &[hidden, as4.clone(), as4_path("0201 00011170")],
    );
    let expected = Aggregator {
        asn: 70000,
        id: [192, 0, 2, 9].into(),
    };
    assert_eq!(merged.aggregator, Some(expected));
    assert_eq!(merged.as_path.to_string(), "70000");
    // An aggregator that was not hidden makes both AS4 attributes void.
    let plain = attribute(0xc0, 7, &hex("0064 c0000201"));
    let kept = received(
        "0201 5ba0",
        &[plain, as4.clone(), as4_path("0201 00011170")],
    );
    assert_eq!(kept.aggregator.expect("kept").asn, 100);
    assert_eq!(kept.as_path.to_string(), "23456");
    // Alone it says nothing.
    assert_eq!(received("0201 5ba0", &[as4]).aggregator, None);
}

/// The attributes that an old speaker is sent, by code.
fn sent(path: &str, aggregator: Option<u32>) -> Vec<(u8, String)> {
    let attributes = PathAttributes {
        origin: Origin::Igp,
        as_path: path.parse().expect("a path"),
        next_hop: Some(NextHop::V4([192, 0, 2, 1].into())),
        aggregator: aggregator.map(|asn| Aggregator {
            asn,
            id: [192, 0, 2, 1].into(),
        }),
        ..PathAttributes::default()
    };
    let prefixes = [Nlri {
        path_id: 0,
        prefix: "203.0.113.0/24".parse().expect("a prefix"),
    }];
    let mut out = BytesMut::new();
    let ctx = old_context(EXTERNAL);
    encode_announcements::<V4>(&ctx, &attributes, &prefixes, &mut out).expect("fits");
    let mut block = &out[23..out.len() - 4];
    let mut sent = Vec::new();
    while let [_, code, len, rest @ ..] = block {
        let (value, rest) = rest.split_at(usize::from(*len));
        sent.push((*code, to_hex(value)));
        block = rest;
    }
    sent.retain(|(code, _)| !matches!(code, 1 | 3));
    sent
}

#[test]
fn numbers_that_do_not_fit_are_hidden_and_told() {
    let expected = [
        (2, "0202fde95ba0".to_owned()),
        (17, "02020000fde900011170".to_owned()),
    ];
    assert_eq!(sent("65001 70000", None), expected);
    assert_eq!(
        sent("65001", Some(70000)),
        [
            (2, "0201fde9".to_owned()),
            (7, "5ba0c0000201".to_owned()),
            (18, "00011170c0000201".to_owned()),
        ]
    );
}

#[test]
fn nothing_is_told_where_nothing_is_hidden() {
    assert_eq!(sent("65001 65535 {1,2}", Some(65535)).len(), 2);
    assert_eq!(sent("", None), [(2, String::new())]);
}

#[test]
fn confederation_segments_are_not_told() {
    let told = sent("(65100) 65001 70000", None);
    assert_eq!(told[0].1, "0301fe4c0202fde95ba0");
    assert_eq!(told[1], (17, "02020000fde900011170".to_owned()));
    assert_eq!(sent("(70000) 65001", None).len(), 1);
}

#[test]
fn merging_with_leading_confederation_segments() {
    let merge = |path: &str, as4: &str| {
        let parse = |text: &str| text.parse::<AsPath>().expect("a path");
        parse(path).merge_as4(&parse(as4)).to_string()
    };
    assert_eq!(merge("(65100) 100 23456", "70000"), "(65100) 100 70000");
    assert_eq!(merge("(65100) 23456", "70000"), "(65100) 70000");
    assert_eq!(merge("100 {1,2} 23456", "70000"), "100 {1,2} 70000");
    assert_eq!(merge("100 200", ""), "100 200");
    assert_eq!(merge("", ""), "");
}
