//! BGP instances beside the default one.

use bgp_wire::{Cease, Message};
use bgpd::SpeakerError;
use holdfast_api::v1;
use holdfast_api::v1::watch_event::Event;

use crate::peer::{Hello, Peer, attributes, passive, said};
use crate::rig::{Net, Router, eventually, loc_rib, parse, soon};

/// Instances, each with the hosts and AS numbers of its neighbors.
pub(crate) type Instances<'a> = &'a [(&'a str, &'a [(u8, u32)])];

/// A router with the default instance and two views, and the neighbors of
/// each.
pub(crate) async fn router(instances: Instances<'_>) -> Router {
    router_at(Net::new(), instances).await
}

async fn router_at(net: Net, instances: Instances<'_>) -> Router {
    let router = Router::start(net, 1, 65001).await;
    router
        .speaker
        .configure(parse(&text(&router, instances)))
        .await
        .unwrap();
    router
}

pub(crate) fn text(router: &Router, instances: Instances<'_>) -> String {
    let mut text = String::new();
    for (name, neighbors) in instances {
        text += &format!(
            "router bgp 65001{name}\n bgp router-id 10.0.0.1\n no bgp ebgp-requires-policy\n"
        );
        for (host, asn) in *neighbors {
            text += &passive(router, *host, *asn);
        }
        text += "exit\n";
    }
    text
}

/// The AS paths of the best routes of an instance.
async fn paths(router: &Router, instance: &str) -> Vec<String> {
    let request = v1::ListRoutesRequest {
        instance: instance.to_owned(),
        ..loc_rib(v1::Family::Ipv4Unicast)
    };
    let routes = router.routes(request).await;
    let best = routes.iter().flat_map(|route| {
        let paths = route.paths.iter().filter(|path| path.best);
        paths.map(|path| {
            let attributes = path.attributes.as_ref().unwrap();
            format!("{} {}", route.prefix, attributes.as_path_text)
        })
    });
    best.collect()
}

pub(crate) async fn has(router: &Router, instance: &str, expected: &[&str]) {
    eventually(&format!("{instance}: {expected:?}"), || async {
        (paths(router, instance).await == expected).then_some(())
    })
    .await;
}

pub(crate) async fn is_up(router: &Router, instance: &str, host: u8) -> bool {
    let address = Some(router.net.host(host));
    let peers = router.speaker.instance(instance).peers(address).await;
    let up = v1::SessionState::Established;
    peers.unwrap().iter().any(|peer| peer.state() == up)
}

const RED: &str = " view RED";
const BLUE: &str = " view BLUE";

#[tokio::test]
async fn what_one_instance_hears_the_others_do_not() {
    let router = router(&[
        ("", &[(2, 65002), (3, 65003)]),
        (BLUE, &[(4, 65004), (5, 65005)]),
        (RED, &[(6, 65006), (7, 65007)]),
    ])
    .await;
    let mut from = Vec::new();
    let mut to = Vec::new();
    for (host, asn) in [(2u8, 65002u16), (4, 65004), (6, 65006)] {
        from.push((asn, Peer::up(&router, host, Hello::new(asn)).await));
        let mut peer = Peer::up(&router, host + 1, Hello::new(asn + 1)).await;
        assert!(peer.initial().await.is_empty());
        to.push(peer);
    }
    for (asn, peer) in &mut from {
        let path = attributes(&[u32::from(*asn), 64999]);
        peer.announce(&["203.0.113.0/24"], &path).await;
    }
    for ((instance, (asn, _)), peer) in ["", "BLUE", "RED"].iter().zip(&from).zip(&mut to) {
        has(&router, instance, &[&format!("203.0.113.0/24 {asn} 64999")]).await;
        let update = peer.next_update().await;
        let path = update.attributes.as_path.to_string();
        assert_eq!(said(&update).0, ["203.0.113.0/24"]);
        assert_eq!(path, format!("65001 {asn} 64999"));
    }
    // What is withdrawn in one stays in the others.
    from[1].1.withdraw(&["203.0.113.0/24"]).await;
    assert_eq!(said(&to[1].next_update().await).1, ["203.0.113.0/24"]);
    has(&router, "BLUE", &[]).await;
    has(&router, "RED", &["203.0.113.0/24 65006 64999"]).await;
    has(&router, "", &["203.0.113.0/24 65002 64999"]).await;
}

#[tokio::test]
async fn views_do_without_a_default_instance() {
    let router = router(&[(RED, &[(2, 65002)])]).await;
    let mut peer = Peer::up(&router, 2, Hello::new(65002)).await;
    peer.announce(&["203.0.113.0/24"], &attributes(&[65002]))
        .await;
    has(&router, "RED", &["203.0.113.0/24 65002"]).await;
    assert!(!router.speaker.global().await.unwrap().bgp_configured);
    let routes = router.speaker.routes(&loc_rib(v1::Family::Ipv4Unicast));
    let error = routes.unwrap().next().await.unwrap_err();
    assert!(matches!(error, SpeakerError::NoBgp), "{error}");
    let global = router.speaker.instance("RED").global().await.unwrap();
    assert_eq!((global.asn, global.instance.as_str()), (65001, "RED"));
    assert_eq!(global.kind(), v1::InstanceKind::InstanceView);
    assert!(!global.kernel);
    let instances = router.speaker.instances().await.unwrap();
    let names: Vec<_> = instances.iter().map(|i| (i.name.as_str(), i.asn)).collect();
    assert_eq!(names, [("RED", 65001)]);
}

#[tokio::test]
async fn a_change_of_one_instance_leaves_the_others_alone() {
    let both = [("", &[(2, 65002)][..]), (RED, &[(3, 65003)][..])];
    let router = router(&both).await;
    let _two = Peer::up(&router, 2, Hello::new(65002)).await;
    let mut three = Peer::up(&router, 3, Hello::new(65003)).await;
    // A setting of the view that resets its sessions.
    let reset = text(&router, &both).replace(
        "view RED\n bgp router-id 10.0.0.1",
        "view RED\n bgp router-id 10.0.0.7",
    );
    let changes = router.speaker.configure(parse(&reset)).await.unwrap();
    assert_eq!(
        changes,
        ["view RED: router-id changes: all sessions are reset"]
    );
    three.farewell().await;
    assert!(is_up(&router, "", 2).await);
    // The view goes, and another one comes.
    let mut three = Peer::up(&router, 3, Hello::new(65003)).await;
    let other = text(&router, &[both[0], (BLUE, &[(4, 65004)])]);
    let changes = router.speaker.configure(parse(&other)).await.unwrap();
    assert_eq!(changes, ["view BLUE: BGP starts", "view RED: BGP stops"]);
    let last = three.farewell().await;
    assert_eq!(last.cease_reason(), Some(Cease::PeerDeconfigured));
    let _four = Peer::up(&router, 4, Hello::new(65004)).await;
    let error = router.speaker.instance("RED").peers(None).await;
    let error = error.unwrap_err().to_string();
    assert_eq!(error, "no BGP instance is named \"RED\"");
    assert!(is_up(&router, "", 2).await);
    assert_eq!(router.peer(2).await.connections_established, 1);
    // The default one goes, and the view stays.
    let alone = text(&router, &[(BLUE, &[(4, 65004)])]);
    let changes = router.speaker.configure(parse(&alone)).await.unwrap();
    assert_eq!(changes, ["BGP stops"]);
    assert!(is_up(&router, "BLUE", 4).await);
}

#[tokio::test]
async fn a_neighbor_may_move_to_another_instance() {
    let router = router(&[("", &[(2, 65002)]), (RED, &[(3, 65003)])]).await;
    let mut two = Peer::up(&router, 2, Hello::new(65002)).await;
    let mut three = Peer::up(&router, 3, Hello::new(65003)).await;
    // They change places, with the instances that there are.
    let moved = text(&router, &[("", &[(3, 65003)]), (RED, &[(2, 65002)])]);
    router.speaker.configure(parse(&moved)).await.unwrap();
    let last = two.farewell().await;
    assert_eq!(last.cease_reason(), Some(Cease::PeerDeconfigured));
    three.farewell().await;
    let _two = Peer::up(&router, 2, Hello::new(65002)).await;
    let _three = Peer::up(&router, 3, Hello::new(65003)).await;
    eventually("both", || async {
        (is_up(&router, "", 3).await && is_up(&router, "RED", 2).await).then_some(())
    })
    .await;
    assert_eq!(router.speaker.peers(None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn lines_lead_into_a_view_and_out_of_it() {
    let router = router(&[("", &[(2, 65002)])]).await;
    let (two, three) = (router.net.host(2), router.net.host(3));
    let answer = router
        .lines(
            &[],
            &[
                "router bgp 65009 view RED",
                &format!("neighbor {three} remote-as 65003"),
                "address-family ipv6 unicast",
            ],
        )
        .await;
    assert!(answer.results.iter().all(|r| r.ok), "{answer:?}");
    let context = ["router bgp 65009 view RED", "address-family ipv6 unicast"];
    assert_eq!(answer.context, context);
    let answer = router.lines(&context, &["network 2001:db8::/32"]).await;
    assert!(answer.results.iter().all(|r| r.ok), "{answer:?}");
    let request = v1::ListRoutesRequest {
        instance: "RED".to_owned(),
        ..loc_rib(v1::Family::Ipv6Unicast)
    };
    // Without the kernel's table there is nothing to check it against.
    assert_eq!(router.routes(request).await.len(), 1);
    let line = format!("neighbor {two} remote-as 65002");
    let answer = router.lines(&context[..1], &[&line]).await;
    let refused = format!("{two} is a neighbor of the default instance already");
    assert_eq!(answer.results[0].error, refused);
    assert_eq!(answer.context, context[..1]);
    let answer = router.lines(&[], &["no router bgp 65009 view RED"]).await;
    assert!(answer.results[0].ok, "{answer:?}");
    let instances = router.speaker.instances().await.unwrap();
    assert_eq!(instances.len(), 1);
}

#[tokio::test]
async fn orders_and_watches_are_about_one_instance() {
    let router = router(&[("", &[(2, 65002)]), (RED, &[(3, 65003)])]).await;
    let _two = Peer::up(&router, 2, Hello::new(65002)).await;
    let mut three = Peer::up(&router, 3, Hello::new(65003)).await;
    eventually("both", || async {
        (is_up(&router, "", 2).await && is_up(&router, "RED", 3).await).then_some(())
    })
    .await;
    let watch = |instance: &str| {
        router.speaker.watch(v1::WatchRequest {
            routes: true,
            fib: true,
            instance: instance.to_owned(),
            ..v1::WatchRequest::default()
        })
    };
    let mut red = watch("RED").unwrap();
    assert!(matches!(watch("BLUE"), Err(SpeakerError::NoInstance(name)) if name == "BLUE"));
    three
        .announce(&["203.0.113.0/24"], &attributes(&[65003]))
        .await;
    three
        .announce(&["198.51.100.0/24"], &attributes(&[65003]))
        .await;
    for expected in ["203.0.113.0/24", "198.51.100.0/24"] {
        let event = soon("an event", red.next()).await.unwrap().event;
        assert!(
            matches!(&event, Some(Event::Route(change)) if change.prefix == expected),
            "{event:?}"
        );
    }
    let clear = |instance: &str| {
        router.speaker.clear(v1::ClearRequest {
            target: Some(v1::clear_request::Target::All(true)),
            instance: instance.to_owned(),
            ..v1::ClearRequest::default()
        })
    };
    assert_eq!(clear("RED").await.unwrap(), 1);
    let last = three.farewell().await;
    assert_eq!(last.cease_reason(), Some(Cease::AdministrativeReset));
    assert!(is_up(&router, "", 2).await);
    assert!(clear("BLUE").await.is_err());
}

#[tokio::test]
async fn a_stop_ends_the_sessions_of_all() {
    let router = router(&[("", &[(2, 65002)]), (RED, &[(3, 65003)])]).await;
    let mut two = Peer::up(&router, 2, Hello::new(65002)).await;
    let mut three = Peer::up(&router, 3, Hello::new(65003)).await;
    let (_, last, other) =
        tokio::join!(router.speaker.stop(false), two.farewell(), three.farewell());
    assert_eq!(last.cease_reason(), Some(Cease::AdministrativeShutdown));
    assert_eq!(other.cease_reason(), Some(Cease::AdministrativeShutdown));
    let red = router.speaker.instance("RED");
    let error = red.global().await.unwrap_err();
    assert!(matches!(error, SpeakerError::Stopped), "{error}");
}

/// The lines of a neighbor that is connected to, with FRR's timers.
fn active(router: &Router, host: u8, asn: u32) -> String {
    let lines = router.neighbor(host, asn);
    let lines = lines
        .lines()
        .filter(|line| !line.contains("timers connect"));
    lines.map(|line| format!("{line}\n")).collect()
}

#[tokio::test]
async fn a_neighbor_that_moves_need_not_wait_for_its_timers() {
    let net = Net::new();
    let far = Router::start(net, 2, 65002).await;
    far.run(&active(&far, 1, 65001)).await;
    let near = router_at(net, &[("", &[]), (RED, &[])]).await;
    let neighbor = active(&near, 2, 65002);
    for (view, instance, before) in [("", "", "RED"), (RED, "RED", ""), ("", "", "RED")] {
        let head = format!("router bgp 65001{view}\n bgp router-id 10.0.0.1\n");
        let text = text(&near, &[("", &[]), (RED, &[])]);
        let text = text.replace(&head, &format!("{head}{neighbor}"));
        near.speaker.configure(parse(&text)).await.unwrap();
        let peers = near.speaker.instance(before).peers(None).await.unwrap();
        assert!(peers.is_empty(), "{peers:?}");
        eventually("a session", || async {
            is_up(&near, instance, 2).await.then_some(())
        })
        .await;
    }
}

/// The listener's keys are those of all instances.
#[tokio::test]
async fn a_password_is_for_the_instance_that_has_the_neighbor() {
    let net = Net::new();
    let far = Router::start(net, 2, 65002).await;
    let near = router_at(net, &[]).await;
    let password = |host: u8, password: Option<&str>| {
        let address = net.host(host);
        let line = |word| format!(" neighbor {address} password {word}\n");
        password.map_or(String::new(), line)
    };
    let turns: [(&str, &str, &[&str], Option<&str>); 5] = [
        ("", "", &[""], Some("one")),
        (RED, "RED", &["", RED], Some("one")),
        (BLUE, "BLUE", &["", BLUE], Some("two")),
        ("", "", &["", RED], Some("two")),
        (RED, "RED", &["", RED], None),
    ];
    for (view, instance, views, word) in turns {
        far.run(&format!("{}{}", far.neighbor(1, 65001), password(1, word)))
            .await;
        // It is the listener that has to know the key.
        let neighbor = format!("{}{}", passive(&near, 2, 65002), password(2, word));
        let all: Vec<_> = views.iter().map(|view| (*view, &[][..])).collect();
        let head = format!("router bgp 65001{view}\n bgp router-id 10.0.0.1\n");
        let text = text(&near, &all).replace(&head, &format!("{head}{neighbor}"));
        near.speaker.configure(parse(&text)).await.unwrap();
        eventually(&format!("a session of {instance:?}"), || async {
            is_up(&near, instance, 2).await.then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_view_ends_gracefully_where_it_is_told_to_itself() {
    let both = [("", &[(2, 65002)][..]), (RED, &[(3, 65003)][..])];
    for (graceful, told) in [(RED, false), ("", true)] {
        let router = router(&both).await;
        let head = format!("router bgp 65001{graceful}\n");
        let text = text(&router, &both).replace(&head, &format!("{head} bgp graceful-restart\n"));
        router.speaker.configure(parse(&text)).await.unwrap();
        let _two = Peer::up(&router, 2, Hello::new(65002)).await;
        let mut three = Peer::up(&router, 3, Hello::new(65003)).await;
        three.initial().await;
        let ended = async {
            loop {
                match three.next().await {
                    Some(Message::Notification(_)) => return true,
                    Some(_) => {}
                    None => return false,
                }
            }
        };
        let (_, heard) = tokio::join!(router.speaker.stop(told), soon("the end", ended));
        assert_eq!(heard, told);
    }
}

/// What a call about an instance may come to while instances come and go.
fn known<T>(result: Result<T, SpeakerError>) {
    match result {
        Ok(_) | Err(SpeakerError::NoInstance(_) | SpeakerError::NoBgp) => {}
        Err(error) => panic!("{error}"),
    }
}

async fn ask_about(router: &Router, instance: &str) {
    let speaker = router.speaker.instance(instance);
    known(speaker.global().await);
    known(speaker.peers(None).await);
    let request = v1::ListRoutesRequest {
        instance: instance.to_owned(),
        ..loc_rib(v1::Family::Ipv4Unicast)
    };
    known(router.speaker.routes(&request).unwrap().next().await);
    known(router.speaker.watch(v1::WatchRequest {
        routes: true,
        instance: instance.to_owned(),
        ..v1::WatchRequest::default()
    }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn instances_come_and_go_while_others_ask() {
    let router = std::sync::Arc::new(router(&[("", &[(2, 65002)])]).await);
    let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut asking = tokio::task::JoinSet::new();
    for instance in ["", "RED", "BLUE", "RED", "BLUE"] {
        let (router, over) = (router.clone(), over.clone());
        asking.spawn(async move {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                ask_about(&router, instance).await;
                // One that is to be passed from instance to instance.
                drop(Peer::dial(router.net, 3, router.host).await);
            }
        });
    }
    let three = [(3, 65003)];
    let turns: [Instances<'_>; 5] = [
        &[("", &[(2, 65002)]), (RED, &three)],
        &[("", &[(2, 65002)]), (BLUE, &three)],
        &[("", &[(2, 65002)]), (BLUE, &[]), (RED, &three)],
        &[("", &three), (BLUE, &[(2, 65002)])],
        &[(RED, &[(2, 65002), (3, 65003)])],
    ];
    for turn in turns.iter().cycle().take(40) {
        let wanted = parse(&text(&router, turn));
        soon("a change", router.speaker.configure(wanted))
            .await
            .unwrap();
    }
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    while let Some(end) = soon("those who ask", asking.join_next()).await {
        end.unwrap();
    }
    let instances = router.speaker.instances().await.unwrap();
    let names: Vec<_> = instances.iter().map(|i| i.name.as_str()).collect();
    assert_eq!(names, ["RED"]);
    let _three = Peer::up(&router, 3, Hello::new(65003)).await;
    let _two = Peer::up(&router, 2, Hello::new(65002)).await;
    soon("a stop", router.speaker.stop(false)).await;
}
