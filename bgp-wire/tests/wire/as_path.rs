//! AS paths as values and as text.

use bgp_wire::{AsPath, Segment, SegmentKind};

fn path(text: &str) -> AsPath {
    text.parse().expect("a path")
}

#[test]
fn text_and_back() {
    for text in [
        "",
        "65001",
        "65002 65001 {1,2} (65100)",
        "(65100 65101) [1,2] 4200000000",
        "{7}",
    ] {
        assert_eq!(path(text).to_string(), text);
    }
    assert_eq!(path(" 1  2 ").to_string(), "1 2");
    assert_eq!(path("{1 2}").to_string(), "{1,2}");
    assert_eq!(path("1 2{3}4").to_string(), "1 2 {3} 4");
    for bad in [
        "x",
        "1 -2",
        "{}",
        "{1",
        "1}",
        "(1]",
        "4294967296",
        "+1",
        "()",
    ] {
        assert!(bad.parse::<AsPath>().is_err(), "{bad}");
    }
}

#[test]
fn lengths() {
    for (text, hops) in [
        ("", 0),
        ("1 2 3", 3),
        ("1 {2,3,4}", 2),
        ("(1 2) 3", 1),
        ("[1,2] 3 {4}", 2),
    ] {
        assert_eq!(path(text).hop_count(), hops, "{text}");
    }
    assert!(path("").is_empty() && AsPath::empty().is_empty());
    assert!(!path("(1)").is_empty());
}

#[test]
fn members() {
    let path = path("(9) 1 1 {2,3}");
    assert!(path.contains(9) && path.contains(3) && !path.contains(4));
    assert_eq!((path.count(1), path.count(9), path.count(7)), (2, 1, 0));
    assert!(path.has_sets() && path.has_confederation_segments());
    assert!(path.asns().eq([9, 1, 1, 2, 3]));
}

#[test]
fn neighbour_and_origin() {
    for (text, first, origin) in [
        ("", None, None),
        ("1 2", Some(1), Some(2)),
        ("(9 8) 1 2", Some(1), Some(2)),
        ("{1,2} 3", None, Some(3)),
        ("1 {2,3}", Some(1), None),
        ("(9)", None, None),
        ("1 (9)", Some(1), Some(1)),
    ] {
        assert_eq!(path(text).first_as(), first, "{text}");
        assert_eq!(path(text).origin_as(), origin, "{text}");
    }
}

/// RFC 5065 sections 4.1 and 5.1.
#[test]
fn inside_of_a_confederation() {
    let inside = path("(64513 64514) [64515,64516] 65010 64513");
    assert_eq!(inside.confederation_hop_count(), 3);
    assert_eq!(inside.first_member_as(), Some(64513));
    assert!(inside.contains_outside_confederation(64513));
    assert!(!inside.contains_outside_confederation(64514));
    assert!(inside.contains(64514));
    let outside = path("65010 (64513)");
    assert_eq!(outside.first_member_as(), None);
    assert_eq!(path("[64515] 1").first_member_as(), None);
    assert_eq!(path("").first_member_as(), None);
    assert_eq!(path("").confederation_hop_count(), 0);
}

#[test]
fn prepending() {
    assert_eq!(path("").prepend(1, 1).to_string(), "1");
    assert_eq!(path("2").prepend(1, 3).to_string(), "1 1 1 2");
    assert_eq!(path("2").prepend(1, 0), path("2"));
    let before_set = path("{2}").prepend(1, 1);
    assert_eq!(before_set.to_string(), "1 {2}");
    assert_eq!(before_set.segments().count(), 2);
    assert_eq!(path("(9) 2").prepend(1, 1).to_string(), "1 (9) 2");
    assert_eq!(
        path("(9) 2").prepend_confederation(1, 1).to_string(),
        "(1 9) 2"
    );
    assert_eq!(path("2").prepend_confederation(1, 2).to_string(), "(1 1) 2");
}

#[test]
fn prepending_to_full_segments() {
    for (len, times, lens) in [
        (254, 1, vec![255]),
        (255, 1, vec![1, 255]),
        (254, 3, vec![2, 255]),
        (255, 255, vec![255, 255]),
        (255, 300, vec![45, 255, 255]),
        (0, 256, vec![1, 255]),
    ] {
        let long = AsPath::from_sequence(vec![2; len]).prepend(1, times);
        let found: Vec<usize> = long.segments().map(|s| s.asns.len()).collect();
        assert_eq!(found, lens, "{len} {times}");
        assert_eq!(long.hop_count(), len + times);
        assert!(long.asns().take(times).all(|a| a == 1));
        assert_eq!(long.count(2), len);
    }
}

#[test]
fn building() {
    let segments = vec![
        Segment {
            kind: SegmentKind::Sequence,
            asns: vec![1, 2],
        },
        Segment {
            kind: SegmentKind::Set,
            asns: vec![],
        },
        Segment {
            kind: SegmentKind::ConfedSet,
            asns: vec![3],
        },
    ];
    assert_eq!(AsPath::from_segments(segments).to_string(), "1 2 [3]");
    assert_eq!(AsPath::from_sequence([1, 2]), [1, 2].into_iter().collect());
    assert_eq!(AsPath::from_sequence([0; 0]), AsPath::empty());
    assert_eq!(path("1 {2}").map_asns(|a| a + 1).to_string(), "2 {3}");
    assert_eq!(
        path("(1) 2 [3] 4").without_confederation().to_string(),
        "2 4"
    );
}
