//! Modes, errors, help and completion.

use vtysh::{Shell, Status};

use crate::recorded;
use crate::server::{Daemon, Recorded};

/// Carries out lines and returns the prompts and answers as on a terminal.
async fn converse(shell: &mut Shell, lines: &[&str]) -> String {
    let mut out = Vec::new();
    for line in lines {
        out.extend_from_slice(format!("{}{line}\n", shell.prompt()).as_bytes());
        shell.execute(line, &mut out).await.expect("an answer");
    }
    out.extend_from_slice(shell.prompt().as_bytes());
    String::from_utf8(out).expect("UTF-8")
}

async fn shell(recorded: Recorded) -> (Daemon, Shell) {
    let daemon = Daemon::start(recorded);
    let shell = Shell::new(daemon.client().await).await.expect("a shell");
    (daemon, shell)
}

#[tokio::test]
async fn prompts_and_errors_follow_the_mode() {
    let (_daemon, mut shell) = shell(recorded::none()).await;
    let lines = [
        "conf t",
        "router bgp 65001",
        " neighbor 10.0.0.77 timers 3 9",
        "neighbor 10.0.0.77 remote-as 65002",
        "neigh 10.0.0.77 timers 3 9",
        "neighbor 10.0.0.77",
        "address-family ipv4 unicast",
        "network 10.0.0.0/24",
        "do show daemons",
        "show daemons",
        "neighbor 10.0.0.77 remote-as 65003",
        "address-family ipv6",
        "exit-address-family",
        " exit",
        "foo bar",
        "hostname r9",
        "router bgp 65009",
        "router bgp",
        "end",
        "ex",
    ];
    let expected = "\
r1# conf t
r1(config)# router bgp 65001
r1(config-router)#  neighbor 10.0.0.77 timers 3 9
% Specify remote-as or peer-group commands first
r1(config-router)# neighbor 10.0.0.77 remote-as 65002
r1(config-router)# neigh 10.0.0.77 timers 3 9
r1(config-router)# neighbor 10.0.0.77
% Command incomplete: neighbor 10.0.0.77
r1(config-router)# address-family ipv4 unicast
r1(config-router-af)# network 10.0.0.0/24
r1(config-router-af)# do show daemons
 zebra bgpd
r1(config-router-af)# show daemons
% Unknown command: show daemons
r1(config-router-af)# neighbor 10.0.0.77 remote-as 65003
r1(config-router-af)# address-family ipv6
r1(config-router-af)# exit-address-family
r1(config-router)#  exit
r1(config)# foo bar
% Unknown command: foo bar
r1(config)# hostname r9
r9(config)# router bgp 65009
BGP is already running; AS is 65001
r9(config)# router bgp
r9(config-router)# end
r9# ex
r9# ";
    let got = converse(&mut shell, &lines).await;
    assert_eq!(
        got.lines().collect::<Vec<_>>(),
        expected.lines().collect::<Vec<_>>()
    );
    let mut out = Vec::new();
    shell
        .execute("show running-config no-header", &mut out)
        .await
        .expect("an answer");
    let text = String::from_utf8(out).expect("UTF-8");
    assert!(
        text.contains("\n neighbor 10.0.0.77 timers 3 9\n"),
        "{text}"
    );
    assert!(text.contains("\n  network 10.0.0.0/24\n"), "{text}");
    assert!(text.ends_with("\nend\n"), "{text}");
}

#[tokio::test]
async fn statuses_tell_scripts_what_happened() {
    let (_daemon, mut shell) = shell(recorded::r1()).await;
    for (line, status) in [
        ("", Status::Done),
        ("! a comment", Status::Done),
        ("clear bgp 1.2.3.4", Status::Done),
        ("show bgp neighbors 1.2.3.4", Status::Done),
        ("show foo", Status::Failed),
        ("clear bgp", Status::Failed),
        ("configure", Status::Done),
        ("foo", Status::Failed),
        ("do exit", Status::Done),
        ("do show foo", Status::Failed),
        ("end", Status::Done),
        ("exit", Status::Exit),
    ] {
        let got = shell
            .execute(line, &mut Vec::new())
            .await
            .expect("an answer");
        assert_eq!(got, status, "{line}");
    }
}

#[tokio::test]
async fn clear_says_what_to_whom() {
    use holdfast_api::v1::{ClearKind, Family, clear_request::Target};
    let recorded = recorded::lab();
    let cleared = std::sync::Arc::clone(&recorded.cleared);
    let (_daemon, mut shell) = shell(recorded).await;
    let peer = |address: &str| Target::Address(address.to_owned());
    for (line, kind, target, family) in [
        (
            "clear bgp *",
            ClearKind::ClearHard,
            Target::All(true),
            Family::Unspecified,
        ),
        (
            "clear ip bgp 10.0.12.2",
            ClearKind::ClearHard,
            peer("10.0.12.2"),
            Family::Unspecified,
        ),
        (
            "clear bgp ipv6 unicast 2001:db8:12:0::2 soft",
            ClearKind::ClearSoft,
            peer("2001:db8:12::2"),
            Family::Ipv6Unicast,
        ),
        (
            "clear bgp 65002 in",
            ClearKind::ClearSoftIn,
            Target::Asn(65002),
            Family::Unspecified,
        ),
        (
            "clear bgp external soft out",
            ClearKind::ClearSoftOut,
            Target::External(true),
            Family::Unspecified,
        ),
        (
            "clear bgp ipv4 peer-group FAB soft in",
            ClearKind::ClearSoftIn,
            Target::PeerGroup("FAB".into()),
            Family::Ipv4Unicast,
        ),
    ] {
        let mut out = Vec::new();
        shell.execute(line, &mut out).await.expect("an answer");
        assert_eq!(String::from_utf8_lossy(&out), "", "{line}");
        let request = cleared.lock().expect("requests").pop().expect("a request");
        assert_eq!((request.kind(), request.family()), (kind, family), "{line}");
        assert_eq!(request.target, Some(target), "{line}");
    }
}

#[tokio::test]
async fn saving_tells_the_file_or_why_not() {
    let note = "Note: this version of vtysh never writes vtysh.conf\nBuilding Configuration...\n";
    let (_daemon, mut saved) = shell(recorded::r1()).await;
    for line in [
        "write",
        "write memory",
        "copy running-config startup-config",
    ] {
        let mut out = Vec::new();
        saved.execute(line, &mut out).await.expect("an answer");
        let expected =
            format!("{note}Integrated configuration saved to /etc/frr/r1/frr.conf\n[OK]\n");
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
    let (_daemon, mut unsaved) = shell(recorded::none()).await;
    let mut out = Vec::new();
    let status = unsaved
        .execute("write file", &mut out)
        .await
        .expect("an answer");
    assert_eq!(status, Status::Failed);
    let expected = format!("{note}% no configuration file was given\n");
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

#[tokio::test]
async fn a_file_is_applied_at_once_and_its_errors_counted() {
    let (_daemon, mut shell) = shell(recorded::none()).await;
    let mut out = Vec::new();
    let text = "! comment\nrouter bgp 65001\n neighbor 1.1.1.9 timers 3 9\n bgp router-id 1.1.1.1\nexit\nfoo bar\n";
    let status = shell.load(text, &mut out).await.expect("an answer");
    assert_eq!(status, Status::Failed);
    assert_eq!(
        String::from_utf8_lossy(&out),
        "line 3: % Specify remote-as or peer-group commands first\n\
         line 6: % Unknown command: foo bar\n"
    );
    out.clear();
    shell
        .execute("show running-config | include router", &mut out)
        .await
        .expect("an answer");
    assert_eq!(
        String::from_utf8_lossy(&out),
        "router bgp 65001\n bgp router-id 1.1.1.1\n"
    );
}

#[tokio::test]
async fn help_lists_what_may_follow() {
    let (_daemon, mut shell) = shell(recorded::r1()).await;
    let text = shell.help_text("show bgp summary ").await;
    let tokens: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(
        tokens,
        [
            "<cr>",
            "established",
            "failed",
            "json",
            "neighbor",
            "remote-as",
            "terse",
            "wide"
        ]
    );
    // Live values stand below the token they are for.
    let text = shell.help_text("clear bgp ").await;
    assert!(
        text.contains("\n  A.B.C.D         IPv4 address\n     10.0.0.2 10.0.0.9 \n"),
        "{text}"
    );
    assert!(text.contains("\n     2001:db8::2 \n"), "{text}");
    assert_eq!(
        shell.help_text("show foo ").await,
        "% There is no matched command.\n"
    );
    assert_eq!(shell.help_text("c").await.lines().count(), 3);
    shell
        .execute("configure", &mut Vec::new())
        .await
        .expect("an answer");
    let text = shell.help_text("").await;
    for token in [
        "  do ",
        "  end ",
        "  exit ",
        "  find ",
        "  hostname ",
        "  list ",
        "  router ",
    ] {
        assert!(text.contains(token), "no {token:?} in\n{text}");
    }
    let text = shell.help_text("do show bgp nei").await;
    assert!(text.starts_with("  neighbors  "), "{text}");
}

#[tokio::test]
async fn completion_knows_keywords_and_values() {
    let (_daemon, mut shell) = shell(recorded::lab()).await;
    let words = async |shell: &mut Shell, line: &str| -> Vec<String> {
        shell
            .complete(line)
            .await
            .into_iter()
            .map(|candidate| candidate.word)
            .collect()
    };
    assert_eq!(words(&mut shell, "show bgp nei").await, ["neighbors"]);
    assert_eq!(
        words(&mut shell, "show running-config | inc").await,
        ["include"]
    );
    assert_eq!(
        words(&mut shell, "show ip bgp neighbors 10.0.14.").await,
        ["10.0.14.4", "10.0.14.44", "10.0.14.99"]
    );
    assert_eq!(words(&mut shell, "clear bgp peer-group ").await, ["FAB"]);
    assert_eq!(words(&mut shell, "show foo ").await, Vec::<String>::new());
    shell
        .execute("configure", &mut Vec::new())
        .await
        .expect("an answer");
    assert_eq!(words(&mut shell, "rout").await, ["route-map", "router"]);
    assert_eq!(words(&mut shell, "do clear bgp 10.9").await, ["10.9.9.9"]);
}

#[tokio::test]
async fn history_list_and_find_show_lines() {
    let (_daemon, mut shell) = shell(recorded::r1()).await;
    let mut out = Vec::new();
    for line in ["show daemons", "show history"] {
        shell.execute(line, &mut out).await.expect("an answer");
    }
    assert_eq!(
        String::from_utf8_lossy(&out),
        " zebra bgpd\nshow daemons\nshow history\n"
    );
    out.clear();
    shell
        .execute("find bgp.*summary", &mut out)
        .await
        .expect("an answer");
    let found = String::from_utf8_lossy(&out).into_owned();
    assert!(
        found.starts_with("  (enable)  show [ip] bgp [<view|vrf> NAME] "),
        "{found}"
    );
    assert_eq!(found.lines().count(), 1, "{found}");
    out.clear();
    shell.execute("find [", &mut out).await.expect("an answer");
    assert_eq!(String::from_utf8_lossy(&out), "% Regex syntax error\n");
    out.clear();
    shell.execute("list", &mut out).await.expect("an answer");
    assert!(String::from_utf8_lossy(&out).contains("\n    configure [terminal]\n"));
}

#[tokio::test]
async fn version_names_both_programs() {
    let (_daemon, mut shell) = shell(recorded::r1()).await;
    let mut out = Vec::new();
    shell
        .execute("show version", &mut out)
        .await
        .expect("an answer");
    let text = String::from_utf8_lossy(&out);
    assert!(text.starts_with("Holdfast 0.1.0 (r1) on Linux("), "{text}");
    // What Ansible's facts look for.
    assert!(text.contains("FRRouting 8.4.4 (r1)"), "{text}");
}

#[tokio::test]
async fn a_daemon_that_went_away_is_an_error() {
    let (daemon, mut shell) = shell(recorded::r1()).await;
    drop(daemon);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while shell
        .execute("show bgp summary", &mut Vec::new())
        .await
        .is_ok()
    {
        assert!(
            tokio::time::Instant::now() < deadline,
            "answers without a daemon"
        );
        tokio::task::yield_now().await;
    }
}
