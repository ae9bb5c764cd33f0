//! VRFs, and routes that cross from one instance to another.

use std::collections::BTreeSet;

use bgpd::SpeakerOptions;
use holdfast_api::v1;

use crate::peer::{Hello, Peer, attributes, said};
use crate::rig::{Net, Router, eventually, loc_rib, options, parse};
use crate::views::{Instances, has, is_up, router, text};

const RED: &str = " vrf RED";
const BLUE: &str = " vrf BLUE";
const TABLES: &str = "vrf RED\n table 101\nexit-vrf\nvrf BLUE\n table 102\nexit-vrf\n";

/// With tables, and with these imports: who takes, from whom.
async fn run(router: &Router, instances: Instances<'_>, imports: &[(&str, &str)]) {
    let mut lines = format!("{TABLES}{}", text(router, instances));
    for (to, from) in imports {
        lines += &format!(
            "router bgp 65001{to}\naddress-family ipv4 unicast\nimport vrf {from}\nexit\nexit\n"
        );
    }
    router.speaker.configure(parse(&lines)).await.unwrap();
}

/// The prefixes of an instance, those that were taken over with their origin.
async fn prefixes(router: &Router, instance: &str) -> BTreeSet<(String, String)> {
    let request = v1::ListRoutesRequest {
        instance: instance.to_owned(),
        ..loc_rib(v1::Family::Ipv4Unicast)
    };
    let routes = router.routes(request).await;
    let best = routes.iter().filter_map(|route| {
        let best = route.paths.iter().find(|path| path.best)?;
        Some((route.prefix.clone(), best.imported_from.clone()))
    });
    best.collect()
}

fn many(numbers: std::ops::Range<u32>) -> Vec<String> {
    let prefix = |n: u32| format!("10.{}.{}.0/24", n >> 8, n & 255);
    numbers.map(prefix).collect()
}

#[tokio::test]
async fn a_whole_table_crosses_and_what_changes_in_it() {
    let instances: Instances<'_> = &[(RED, &[(2, 65002)]), (BLUE, &[(4, 65004), (5, 65005)])];
    let router = router(&[]).await;
    run(&router, instances, &[]).await;
    let mut two = Peer::up(&router, 2, Hello::new(65002)).await;
    let mut four = Peer::up(&router, 4, Hello::new(65004)).await;
    let mut five = Peer::up(&router, 5, Hello::new(65005)).await;
    assert!(five.initial().await.is_empty());
    // More than one batch, before anybody takes it.
    let all = many(0..5000);
    let texts: Vec<&str> = all.iter().map(String::as_str).collect();
    for part in texts.chunks(200) {
        two.announce(part, &attributes(&[65002, 64999])).await;
    }
    eventually("the table of RED", || async {
        (prefixes(&router, "RED").await.len() == 5000).then_some(())
    })
    .await;
    run(&router, instances, &[(BLUE, "RED")]).await;
    let expected = |numbers: std::ops::Range<u32>| -> BTreeSet<_> {
        let taken = many(numbers).into_iter();
        taken.map(|prefix| (prefix, "RED".to_owned())).collect()
    };
    eventually("all of it in BLUE", || async {
        (prefixes(&router, "BLUE").await == expected(0..5000)).then_some(())
    })
    .await;
    // What goes there goes here, and what is better here stays.
    for part in texts[2000..].chunks(200) {
        two.withdraw(part).await;
    }
    four.announce(&texts[..1], &attributes(&[65004])).await;
    eventually("what is left of it in BLUE", || async {
        let mut left = expected(1..2000);
        left.insert((all[0].clone(), String::new()));
        (prefixes(&router, "BLUE").await == left).then_some(())
    })
    .await;
    // The other neighbor heard all of it, with our address.
    let mut known = BTreeSet::new();
    while known.len() != 2000 {
        let update = five.next_update().await;
        if let Some(announcement) = update.announced.first() {
            let ours = std::net::IpAddr::from([192, 0, 2, router.host]);
            assert_eq!(announcement.next_hop.addr(), ours);
        }
        let (announced, withdrawn) = said(&update);
        known.extend(announced);
        for prefix in withdrawn {
            known.remove(&prefix);
        }
    }
    // A session that ends over there.
    drop(two);
    has(&router, "BLUE", &[&format!("{} 65004", all[0])]).await;
}

#[tokio::test]
async fn a_route_crosses_once() {
    let instances: Instances<'_> = &[
        ("", &[(2, 65002)]),
        (RED, &[(3, 65003)]),
        (BLUE, &[(4, 65004)]),
    ];
    let router = router(&[]).await;
    let circle = [("", "BLUE"), (RED, "default"), (BLUE, "RED")];
    run(&router, instances, &circle).await;
    for (host, asn) in [(2, 65002), (3, 65003), (4, 65004)] {
        let mut peer = Peer::up(&router, host, Hello::new(asn)).await;
        let path = attributes(&[u32::from(asn)]);
        peer.announce(&[&format!("198.51.{host}.0/24")], &path)
            .await;
        let name = ["", "RED", "BLUE"][usize::from(host) - 2];
        let next = ["RED", "BLUE", ""][usize::from(host) - 2];
        let after = ["BLUE", "", "RED"][usize::from(host) - 2];
        let line = format!("198.51.{host}.0/24 {asn}");
        has(&router, name, &[&line]).await;
        has(&router, next, &[&line]).await;
        // What has come last to the one before is not told on: by then this
        // one has been.
        has(&router, after, &[]).await;
        peer.withdraw(&[&format!("198.51.{host}.0/24")]).await;
        has(&router, next, &[]).await;
        has(&router, name, &[]).await;
        drop(peer);
    }
}

#[tokio::test]
async fn without_device_and_table_sessions_wait_and_are_in_nobodys_way() {
    let router = router(&[]).await;
    // The same neighbor as the default instance's.
    let both: Instances<'_> = &[("", &[(2, 65002)]), (RED, &[(2, 65002)])];
    let lines = text(&router, both);
    router.speaker.configure(parse(&lines)).await.unwrap();
    let _two = Peer::up(&router, 2, Hello::new(65002)).await;
    eventually("the default instance's session", || async {
        is_up(&router, "", 2).await.then_some(())
    })
    .await;
    assert!(!is_up(&router, "RED", 2).await);
    let global = router.speaker.instance("RED").global().await.unwrap();
    assert_eq!(global.kind(), v1::InstanceKind::InstanceVrf);
    assert!(global.vrf_unknown && global.vrf_id == -1 && global.table == 0);
    let peers = router.speaker.instance("RED").peers(None).await.unwrap();
    assert_eq!(peers[0].state(), v1::SessionState::Idle);
    // With a table it would be the same neighbor twice.
    let answer = router.lines(&["vrf RED"], &["table 101"]).await;
    let owner = "is a neighbor of the default instance already";
    assert!(answer.results[0].error.ends_with(owner), "{answer:?}");
    assert!(is_up(&router, "", 2).await);
}

#[tokio::test]
async fn the_table_of_the_default_instance_is_no_vrfs() {
    let net = Net::new();
    let options = SpeakerOptions {
        table: 101,
        ..options(net, 1)
    };
    let router = Router::with(net, 1, 65001, options).await;
    let instances: Instances<'_> = &[(RED, &[(2, 65002)]), (BLUE, &[(3, 65003)])];
    run(&router, instances, &[]).await;
    for (name, waits) in [("RED", true), ("BLUE", false)] {
        let global = router.speaker.instance(name).global().await.unwrap();
        assert_eq!(global.vrf_unknown, waits, "{name}");
    }
    // A table of its own ends the wait.
    let answer = router.lines(&["vrf RED"], &["table 103"]).await;
    assert!(answer.results[0].ok, "{answer:?}");
    let global = router.speaker.instance("RED").global().await.unwrap();
    assert!(!global.vrf_unknown);
    assert_eq!(global.vrf_id, 103);
    let _two = Peer::up(&router, 2, Hello::new(65002)).await;
}
