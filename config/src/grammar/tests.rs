use super::*;

fn grammar() -> Grammar<&'static str> {
    Grammar::builder()
        .glossary(&[
            ("show", "Show"),
            ("show bgp", "BGP"),
            ("summary", "All peers"),
            ("summary json", "As JSON"),
            ("bfd", "BFD"),
            ("A.B.C.D", "An address"),
            ("neighbor", "A peer"),
            ("WORD", "A group"),
            ("timers (0-65535)", "Keepalive"),
        ])
        .row("show bgp summary [json]", "summary")
        .row("show bfd peers", "bfd")
        .row("show [ip] bgp A.B.C.D/M$prefix", "prefix")
        .row(
            "neighbor <A.B.C.D|X:X::X:X|WORD>$peer description LINE...$text",
            "description",
        )
        .row(
            "neighbor <A.B.C.D|X:X::X:X|WORD>$peer timers (0-65535)$k (0-65535)$h",
            "timers",
        )
        .row(
            "neighbor <A.B.C.D|X:X::X:X|WORD>$peer timers connect (1-65535)$c",
            "connect",
        )
        .row(
            "neighbor <A.B.C.D|X:X::X:X|WORD>$peer remote-as <(1-9)|internal>$as",
            "as",
        )
        .row("neighbor WORD$group peer-group", "group")
        .hidden_row("secret", "secret")
        .build()
}

fn payload(line: &str) -> &'static str {
    grammar()
        .parse(line)
        .unwrap_or_else(|error| panic!("{line}: {error:?}"))
        .payload
}

#[test]
fn patterns_that_cannot_be_read_are_reported() {
    for pattern in ["a [b", "a b>", "(5-1)", "(x)", "<a|b"] {
        let grammar = Grammar::builder().row(pattern, ()).build();
        assert_eq!(grammar.pattern_errors().len(), 1, "{pattern}");
        assert!(grammar.parse("a").is_err(), "{pattern}");
    }
    assert_eq!(self::grammar().pattern_errors(), []);
}

#[test]
fn unique_beginnings_are_enough() {
    assert_eq!(payload("sh bg su"), "summary");
    assert_eq!(payload("sh bg su j"), "summary");
    assert_eq!(payload("sh bf p"), "bfd");
    // Only one of the two goes on like that.
    assert_eq!(payload("sh b su"), "summary");
    assert_eq!(payload("nei 10.0.0.1 t 3 9"), "timers");
    assert_eq!(payload("nei 10.0.0.1 t con 9"), "connect");
}

#[test]
fn errors_say_which_word_and_what_was_expected() {
    let error = |line: &str| grammar().parse(line).unwrap_err();
    let strings = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        error("show b"),
        MatchError::Ambiguous {
            word: 1,
            expected: strings(&["bfd", "bgp"])
        }
    );
    assert_eq!(
        error("show bgp foo"),
        MatchError::Unknown {
            word: 2,
            expected: strings(&["A.B.C.D/M", "summary"])
        }
    );
    assert_eq!(
        error("show bgp"),
        MatchError::Incomplete {
            word: 2,
            expected: strings(&["A.B.C.D/M", "summary"])
        }
    );
    assert_eq!(
        error("show bgp summary json more"),
        MatchError::Unknown {
            word: 4,
            expected: strings(&[CR])
        }
    );
    assert_eq!(
        error("neighbor 10.0.0.1 remote-as 10"),
        MatchError::Unknown {
            word: 3,
            expected: strings(&["(1-9)", "internal"])
        }
    );
    assert_eq!(error("").word(), 0);
}

#[test]
fn values_are_typed_and_named() {
    let grammar = grammar();
    let found = grammar.parse("neighbor 10.0.0.1 timers 3 9").unwrap();
    assert_eq!(found.address("peer"), Some("10.0.0.1".parse().unwrap()));
    assert_eq!(
        (found.number::<u16>("k"), found.number::<u16>("h")),
        (Some(3), Some(9))
    );
    assert_eq!(found.word_of("h"), Some(4));
    let found = grammar.parse("neighbor fd00::1 remote-as int").unwrap();
    assert_eq!(found.text("as"), Some("internal"));
    let found = grammar
        .parse("neighbor G description  a  longer   text ")
        .unwrap();
    assert_eq!(
        (found.text("peer"), found.text("text")),
        (Some("G"), Some("a longer text"))
    );
    let found = grammar.parse("show ip bgp 10.0.0.0/8").unwrap();
    assert!(found.has("ip") && !found.has("json"));
    assert_eq!(
        found.get("prefix"),
        Some(&Value::Ipv4Prefix("10.0.0.0/8".parse().unwrap()))
    );
}

#[test]
fn keywords_beat_values_and_typed_values_beat_words() {
    let grammar = Grammar::builder()
        .row("clear WORD", "word")
        .row("clear A.B.C.D", "address")
        .row("clear all", "all")
        .row("clear allowed", "allowed")
        .build();
    for (line, payload) in [
        ("clear x", "word"),
        ("clear 1.2.3.4", "address"),
        ("clear all", "all"),
        ("clear allo", "allowed"),
        ("clear a.b", "word"),
    ] {
        assert_eq!(*grammar.parse(line).unwrap().payload, payload, "{line}");
    }
    // A beginning of both keywords: not a word, but a question.
    let error = grammar.parse("clear al").unwrap_err();
    assert!(
        matches!(error, MatchError::Ambiguous { word: 1, .. }),
        "{error:?}"
    );
}

#[test]
fn numbers_are_plain_digits_in_range() {
    let grammar = Grammar::builder().row("n (1-255)", ()).build();
    for good in ["1", "255", "007"] {
        assert!(grammar.parse(&format!("n {good}")).is_ok(), "{good}");
    }
    for bad in [
        "0",
        "256",
        "+1",
        "-1",
        "1.0",
        "0x1",
        "99999999999999999999999",
    ] {
        assert!(grammar.parse(&format!("n {bad}")).is_err(), "{bad}");
    }
}

fn help(line: &str) -> Vec<(String, String)> {
    let items = grammar()
        .help(line)
        .unwrap_or_else(|error| panic!("{line}: {error:?}"));
    items
        .into_iter()
        .map(|item| (item.token, item.text))
        .collect()
}

fn tokens(line: &str) -> Vec<String> {
    help(line).into_iter().map(|(token, _)| token).collect()
}

#[test]
fn help_lists_what_may_follow() {
    assert_eq!(tokens(""), ["neighbor", "show"]);
    assert_eq!(tokens("sh"), ["show"]);
    assert_eq!(tokens("neighbor "), ["A.B.C.D", "WORD", "X:X::X:X"]);
    assert_eq!(
        tokens("neighbor 10.0.0.1 timers "),
        ["(0-65535)", "connect"]
    );
    assert_eq!(
        tokens("neighbor 10.0.0.1 "),
        ["description", "remote-as", "timers"]
    );
    assert_eq!(
        tokens("neighbor G "),
        ["description", "peer-group", "remote-as", "timers"]
    );
    assert_eq!(tokens("neighbor G description "), ["LINE..."]);
    assert_eq!(tokens("neighbor G description some "), [CR, "LINE..."]);
    assert_eq!(tokens("show bgp summary "), [CR, "json"]);
    assert_eq!(
        help("show bgp summary j"),
        [("json".to_owned(), "As JSON".to_owned())]
    );
    assert_eq!(tokens("show bgp 10"), ["A.B.C.D/M"]);
    let secret = grammar().help("sec").unwrap_err();
    assert!(
        matches!(secret, MatchError::Unknown { word: 0, .. }),
        "{secret:?}"
    );
    let ambiguous = grammar().help("show b ").unwrap_err();
    assert!(
        matches!(ambiguous, MatchError::Ambiguous { word: 1, .. }),
        "{ambiguous:?}"
    );
    let unknown = grammar().help("show foo ").unwrap_err();
    assert!(
        matches!(unknown, MatchError::Unknown { word: 1, .. }),
        "{unknown:?}"
    );
}

#[test]
fn the_longest_glossary_key_wins() {
    assert_eq!(help("show b")[0], ("bfd".to_owned(), "BFD".to_owned()));
    assert_eq!(help("show b")[1], ("bgp".to_owned(), "BGP".to_owned()));
    assert_eq!(help("neighbor 10.0.0.1 timers ")[0].1, "Keepalive");
    assert!(grammar().unexplained().contains(&"show ip bgp".to_owned()));
}

#[test]
fn completion_asks_for_values() {
    let values = |slot: &Slot<'_>| match (slot.kind, slot.name) {
        (TokenKind::Ipv4, Some("peer")) => vec!["10.0.0.2".to_owned(), "10.0.0.9".to_owned()],
        (TokenKind::Word(_), _) => vec!["CILIUM".to_owned()],
        _ => Vec::new(),
    };
    let complete = |line: &str| -> Vec<String> {
        grammar()
            .complete(line, values)
            .into_iter()
            .map(|candidate| candidate.word)
            .collect()
    };
    assert_eq!(complete("ne"), ["neighbor"]);
    assert_eq!(complete("neighbor "), ["10.0.0.2", "10.0.0.9", "CILIUM"]);
    assert_eq!(complete("neighbor 10.0.0.9"), ["10.0.0.9"]);
    assert_eq!(complete("neighbor C"), ["CILIUM"]);
    assert_eq!(complete("neighbor 10.0.0.2 re"), ["remote-as"]);
    assert_eq!(complete("neighbor 10.0.0.2 remote-as "), ["internal"]);
    assert_eq!(complete("nonsense "), Vec::<String>::new());
}

#[test]
fn suggestions_are_near() {
    let grammar = grammar();
    let description = "neighbor <A.B.C.D|X:X::X:X|WORD> description LINE...";
    assert_eq!(
        grammar.suggest("neighbour 1.1.1.1 description some text"),
        Some(description)
    );
    assert_eq!(
        grammar.suggest("shwo bgp summary"),
        Some("show bgp summary [json]")
    );
    assert_eq!(grammar.suggest("interface eth0"), None);
    assert_eq!(grammar.suggest(""), None);
    assert_eq!(
        nearest_word("extrenal", ["internal", "external"]),
        Some("external")
    );
    assert_eq!(nearest_word("ospf", ["kernel", "static"]), None);
}

#[test]
fn distance_counts_edits() {
    for (a, b, edits) in [
        ("", "", 0),
        ("abc", "", 3),
        ("abc", "abd", 1),
        ("abcd", "acbd", 1),
        ("kitten", "sitting", 3),
    ] {
        assert_eq!(distance(a, b), edits, "{a} {b}");
        assert_eq!(distance(b, a), edits, "{b} {a}");
    }
}

#[test]
fn words_know_their_columns() {
    let words = words("  äh  bgp\tx");
    let found: Vec<_> = words.iter().map(|word| (word.text, word.column)).collect();
    assert_eq!(found, [("äh", 3), ("bgp", 7), ("x", 11)]);
}
