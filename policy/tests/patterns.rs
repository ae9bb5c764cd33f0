//! Regular expressions: the dialect, and the short cuts that need no text.

use bgp_wire::{AsPath, Segment, SegmentKind};
use holdfast_policy::{PathPattern, Pattern};
use proptest::collection::vec;
use proptest::prelude::*;

fn matches(pattern: &str, text: &str) -> bool {
    Pattern::new(pattern).unwrap().matches(text)
}

#[test]
fn underscore_is_a_delimiter_or_an_end() {
    for text in [
        "65001",
        "1 65001",
        "65001 1",
        "{1,65001}",
        "(65001 2)",
        "1 65001 2",
    ] {
        assert!(matches("_65001_", text), "{text}");
    }
    for text in ["", "165001", "650011", "1 650010", "[65001,1]"] {
        assert!(!matches("_65001_", text), "{text}");
    }
    assert!(matches("^65001_", "65001 1") && !matches("^65001_", "{65001}"));
    assert!(matches("_(1|2)_3$", "9 2 3") && !matches("_(1|2)_3$", "9 4 3"));
}

#[test]
fn posix_extended_expressions() {
    let cases = [
        ("^$", "", true),
        ("", "1 2", true),
        ("a|b", "cb", true),
        ("^(1|2)+$", "1212", true),
        ("^1{2}$", "11", true),
        ("^1{2,}$", "111", true),
        ("^1{,2}$", "111", false),
        ("^1{1,2}$", "11", true),
        // A repetition of a repetition, not one that is lazy.
        ("^(1+?)$", "", true),
        ("^a**$", "aaa", true),
        // A parenthesis that closes nothing is one.
        ("^a)$", "a)", true),
        ("^()$", "", true),
        ("^[]a]+$", "]a", true),
        ("^[^]a]$", "b", true),
        ("^[a-c-]+$", "b-", true),
        ("^[[:digit:][:space:]]+$", "1 2", true),
        ("^[[.-.]x]$", "-", true),
        ("^[[=a=]]$", "a", true),
        // A backslash in brackets is one.
        (r"^[\]$", r"\", true),
        (r"^\.$", ".", true),
        (r"^\.$", "x", false),
        // What is not an escape of GNU's is the character.
        (r"^\d$", "d", true),
        (r"^\w+\W\w+$", "a b", true),
        (r"\<2\>", "1 2 3", true),
        (r"\<2\>", "22", false),
        (r"\`1", "12", true),
        (r"2\'", "12", true),
        (r"^\{1,2\}$", "{1,2}", true),
        ("a.c", "a\nc", true),
        ("x^", "x", false),
    ];
    for (pattern, text, expected) in cases {
        assert_eq!(matches(pattern, text), expected, "{pattern} over {text:?}");
    }
}

#[test]
fn what_is_no_expression_is_told_with_its_place() {
    let cases = [
        ("*1", 1, "nothing to repeat"),
        ("1|*", 3, "nothing to repeat"),
        ("^*", 2, "nothing to repeat"),
        ("1(2", 2, "not closed"),
        ("12[a", 3, "not closed"),
        (r"1\", 2, "backslash"),
        (r"(1)\1", 5, "references back"),
        ("1{2", 2, "not a count"),
        ("1{3,2}", 2, "not a count"),
        ("1{999}", 5, "more than 255"),
        ("[b-a]", 5, "range"),
        ("[[:nope:]]", 2, "class"),
        ("_{1,2}{", 7, "not a count"),
    ];
    for (pattern, column, reason) in cases {
        let error = Pattern::new(pattern).unwrap_err();
        assert_eq!(error.column, column, "{pattern}: {error}");
        assert!(error.reason.contains(reason), "{pattern}: {error}");
    }
    let large = "(((a{200}){200}){200}){200}";
    assert!(
        Pattern::new(large)
            .unwrap_err()
            .reason
            .contains("too large")
    );
    let deep = "(".repeat(200_000);
    assert!(Pattern::new(&deep).is_err());
}

#[test]
fn no_expression_takes_longer_than_its_text() {
    // A matcher that goes back tries 2^60 ways.
    let pattern = Pattern::new("^(1|1)*(1 |1 )*2$").unwrap();
    assert!(!pattern.matches(&"1 1".repeat(60)));
}

fn as_path() -> impl Strategy<Value = AsPath> {
    let kind = prop::sample::select(vec![
        SegmentKind::Sequence,
        SegmentKind::Sequence,
        SegmentKind::Set,
        SegmentKind::ConfedSequence,
        SegmentKind::ConfedSet,
    ]);
    // Numbers that are parts of each other.
    let asn = prop::sample::select(vec![1u32, 2, 11, 12, 21, 112, 211]);
    let segment = (kind, vec(asn, 1..4)).prop_map(|(kind, asns)| Segment { kind, asns });
    vec(segment, 0..4).prop_map(AsPath::from_segments)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn short_cuts_say_what_the_automaton_says(path in as_path(), asn in 1u32..30) {
        let shapes = ["^N_", "_N$", "_N_", "^N$", "^$", ".*", "", "^N", "N$", "_N", "N_", "N"];
        for shape in shapes {
            let text = shape.replace('N', &asn.to_string());
            let short = PathPattern::new(&text).unwrap();
            let whole = Pattern::new(&text).unwrap().matches(&path.to_string());
            prop_assert_eq!(short.matches(&path), whole, "{} over {}", text, path);
        }
    }

    #[test]
    fn no_text_makes_it_fall_over(text in "[\\[\\](){}|*+?^$_.,a1:\\\\-]{0,24}") {
        if let Ok(pattern) = Pattern::new(&text) {
            pattern.matches("1 a1 (2)");
        }
    }
}
