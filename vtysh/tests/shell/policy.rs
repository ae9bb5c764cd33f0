//! Lists and route maps: what comes in pieces is one answer, and names are
//! completed.

use holdfast_api::v1;
use vtysh::Shell;

use crate::recorded;
use crate::server::{Daemon, Recorded};

async fn answer(shell: &mut Shell, line: &str) -> String {
    let mut out = Vec::new();
    shell.execute(line, &mut out).await.expect("an answer");
    String::from_utf8(out).expect("UTF-8")
}

fn entry(seq: u32, text: &str) -> v1::PolicyEntry {
    v1::PolicyEntry {
        seq,
        permit: true,
        text: text.to_owned(),
        prefix: text.to_owned(),
        hits: 7,
        evaluated: 9,
        action: "Exit routemap".to_owned(),
        ..Default::default()
    }
}

fn object(kind: v1::PolicyKind, name: &str, entries: Vec<v1::PolicyEntry>) -> v1::PolicyObject {
    v1::PolicyObject {
        kind: kind as i32,
        name: name.to_owned(),
        entries,
        ..Default::default()
    }
}

fn router() -> Recorded {
    use v1::PolicyKind as Kind;
    let mut recorded = recorded::lab();
    recorded.policy = vec![
        // One list in two pieces.
        object(
            Kind::PolicyIpPrefixList,
            "NETS",
            vec![entry(5, "10.0.0.0/8")],
        ),
        object(
            Kind::PolicyIpPrefixList,
            "NETS",
            vec![entry(10, "11.0.0.0/8")],
        ),
        object(Kind::PolicyRouteMap, "MAP-IN", vec![entry(10, "")]),
        object(Kind::PolicyRouteMap, "MAP-OUT", Vec::new()),
        object(Kind::PolicyCommunityList, "BLUE", vec![entry(5, "65001:1")]),
    ];
    recorded
}

#[tokio::test]
async fn a_list_in_pieces_is_one() {
    let daemon = Daemon::start(router());
    let mut shell = Shell::new(daemon.client().await).await.expect("a daemon");
    assert_eq!(
        answer(&mut shell, "show ip prefix-list").await,
        "BGP: ip prefix-list NETS: 2 entries\n   seq 5 permit 10.0.0.0/8\n   \
         seq 10 permit 11.0.0.0/8\n"
    );
    let json = answer(&mut shell, "show ip prefix-list NETS json").await;
    let document: serde_json::Value = serde_json::from_str(&json).expect("one document");
    assert_eq!(document["BGP"]["NETS"]["entries"][1]["sequenceNumber"], 10);
    let json = answer(&mut shell, "show route-map json").await;
    let document: serde_json::Value = serde_json::from_str(&json).expect("one document");
    let rule = &document["BGP"]["MAP-IN"]["rules"][0];
    assert_eq!(
        (&rule["invoked"], &rule["evaluated"]),
        (&7.into(), &9.into())
    );
}

#[tokio::test]
async fn entries_say_what_they_count_where_a_map_is_not_optimized() {
    let mut recorded = router();
    for map in &mut recorded.policy {
        map.optimization_disabled = true;
    }
    let daemon = Daemon::start(recorded);
    let mut shell = Shell::new(daemon.client().await).await.expect("a daemon");
    let text = answer(&mut shell, "show route-map MAP-IN").await;
    assert!(text.contains(" permit, sequence 10 Invoked 9\n"), "{text}");
    assert!(text.contains("Optimization: disabled"), "{text}");
}

#[tokio::test]
async fn names_are_completed() {
    let daemon = Daemon::start(router());
    let mut shell = Shell::new(daemon.client().await).await.expect("a daemon");
    let words = async |shell: &mut Shell, line: &str| -> Vec<String> {
        let candidates = shell.complete(line).await.into_iter();
        candidates.map(|candidate| candidate.word).collect()
    };
    assert_eq!(
        words(&mut shell, "show route-map MAP-").await,
        ["MAP-IN", "MAP-OUT"]
    );
    assert_eq!(words(&mut shell, "show ip prefix-list NE").await, ["NETS"]);
    assert_eq!(
        words(&mut shell, "show bgp community-list BL").await,
        ["BLUE"]
    );
    assert_eq!(words(&mut shell, "policy test MAP-I").await, ["MAP-IN"]);
    for line in [
        "configure",
        "router bgp 65000",
        "address-family ipv4 unicast",
    ] {
        let mut out = Vec::new();
        shell.execute(line, &mut out).await.expect("an answer");
    }
    assert_eq!(
        words(&mut shell, "neighbor 10.0.0.1 route-map MAP-").await,
        ["MAP-IN", "MAP-OUT"]
    );
    assert_eq!(
        words(&mut shell, "neighbor 10.0.0.1 prefix-list N").await,
        ["NETS"]
    );
}
