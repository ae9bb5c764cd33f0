//! Much to say, and somebody who does not listen.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bgp_wire::{Capability, Community, Message};
use holdfast_api::v1;

use crate::peer::{Hello, Peer, attributes, passive, said};
use crate::rig::{Net, Router, eventually, loc_rib, soon};

/// What a reader holds: prefix and MED.
type Held = BTreeMap<String, u32>;

fn apply(held: &mut Held, message: &Message) {
    let Message::Update(update) = message else {
        return;
    };
    let (announced, withdrawn) = said(update);
    for prefix in withdrawn {
        held.remove(&prefix);
    }
    for prefix in announced {
        held.insert(
            prefix,
            *update
                .attributes
                .as_path
                .asns()
                .collect::<Vec<_>>()
                .last()
                .unwrap(),
        );
    }
}

/// Reads until `done` says so.
async fn read_until(peer: &mut Peer, held: &mut Held, done: impl Fn(&Held) -> bool) {
    while !done(held) {
        match peer.next().await {
            Some(message) => apply(held, &message),
            None => panic!("closed"),
        }
    }
}

/// Routes with large attributes, the last AS of whose path is `mark`.
pub(crate) async fn feed(feeder: &mut Peer, routes: std::ops::Range<u32>, mark: u32) {
    for index in routes {
        let mut route = attributes(&[65002, 100_000 + index % 1000, mark]);
        route.communities = vec![Community(index); 700];
        let prefix = format!("10.{}.{}.0/24", index / 256, index % 256);
        feeder.announce(&[&prefix], &route).await;
    }
}

/// One peer reads nothing for a while, another all the time: in the end both
/// hold the same, and the one that reads was not kept waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_peer_holds_nobody_up_and_ends_with_the_same_routes() {
    const ROUTES: u32 = 4000;
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    let all = [2, 3, 4].map(|h| passive(&router, h, 65000 + u32::from(h)));
    router.run(&all.concat()).await;
    let mut feeder = Peer::up(&router, 2, Hello::new(65002)).await;
    let mut fast = Peer::up(&router, 3, Hello::new(65003)).await;
    let mut slow = Peer::up_with(&router, 4, Hello::new(65004), Some(4096)).await;
    let (mut at_fast, mut at_slow) = (Held::new(), Held::new());
    fast.initial().await;

    // 11 MB: more than the buffers between us and the slow one hold.
    let all_here = |held: &Held| held.len() == ROUTES as usize;
    tokio::join!(
        feed(&mut feeder, 0..ROUTES, 65_100),
        read_until(&mut fast, &mut at_fast, all_here)
    );
    let sent = router.peer(4).await.families[0].sent;
    assert!(
        sent < u64::from(ROUTES),
        "nothing was held back from the slow one"
    );
    // Its share changes while it waits: some go, some are others now.
    let gone: Vec<String> = (0..1000)
        .map(|n| format!("10.{}.{}.0/24", n / 256, n % 256))
        .collect();
    for part in gone.chunks(100) {
        let part: Vec<&str> = part.iter().map(String::as_str).collect();
        feeder.withdraw(&part).await;
    }
    let changed = |held: &Held| {
        held.len() == ROUTES as usize - 1000 + 1
            && held.values().filter(|mark| **mark == 65_200).count() == 1000
            && held.contains_key("203.0.113.0/24")
    };
    let change = async {
        feed(&mut feeder, 3000..ROUTES, 65_200).await;
        feeder
            .announce(&["203.0.113.0/24"], &attributes(&[65002, 65_300]))
            .await;
    };
    tokio::join!(change, read_until(&mut fast, &mut at_fast, changed));
    let start = Instant::now();
    read_until(&mut slow, &mut at_slow, changed).await;
    assert_eq!(at_slow, at_fast);
    assert!(start.elapsed() < Duration::from_secs(15));
    assert_eq!(router.peer(4).await.connections_dropped, 0);
}

/// Questions are answered while a table is being learned, and a reader of a
/// long answer that stops reading holds up nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_are_answered_while_a_table_comes_in() {
    let net = Net::new();
    let router = Router::start(net, 1, 65001).await;
    let both = [2, 3].map(|h| passive(&router, h, 65000 + u32::from(h)));
    router.run(&both.concat()).await;
    let wide = Hello::new(65002).and(Capability::ExtendedMessage);
    let mut feeder = Peer::up(&router, 2, wide).await;
    let mut reader = Peer::up(&router, 3, Hello::new(65003)).await;
    let list: Vec<_> = (0..60_000u32)
        .map(|n| {
            crate::peer::nlri(&format!(
                "{}.{}.{}.0/24",
                11 + n / 65_536,
                n / 256 % 256,
                n % 256
            ))
        })
        .collect();
    let feed = tokio::spawn(async move {
        for part in list.chunks(500) {
            feeder
                .announce_all(part, &attributes(&[65002, 65_100]))
                .await;
        }
        feeder
    });
    let drain = tokio::spawn(async move { while reader.next().await.is_some() {} });
    eventually("the first routes", || async {
        (router.peer(2).await.families[0].received > 1000).then_some(())
    })
    .await;
    let table = loc_rib(v1::Family::Ipv4Unicast);
    let mut stuck = router.speaker.routes(&table).unwrap();
    stuck.next().await.unwrap();
    let mut slowest = Duration::ZERO;
    soon("the table", async {
        loop {
            let asked = Instant::now();
            let peer = router.peer(2).await;
            slowest = slowest.max(asked.elapsed());
            if peer.families[0].received == 60_000 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    // In a debug build on a busy machine; what it must not be is all of it.
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    // A page goes on from where the last one ended, whatever happened since.
    let mut rest = 0;
    while let Some(chunk) = stuck.next().await.unwrap() {
        rest += chunk.routes.len();
    }
    assert!(rest > 50_000, "{rest}");
    drop(soon("the feeder", feed).await.unwrap());
    eventually("the routes' end", || async {
        (router.speaker.global().await.unwrap().tables[0].prefixes == 0).then_some(())
    })
    .await;
    drop(router);
    drain.abort();
}
