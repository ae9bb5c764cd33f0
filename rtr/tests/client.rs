//! Several caches over TCP, played by the tests.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::BytesMut;
use holdfast_rtr::Vrp;
use holdfast_rtr::client::{CacheConfig, CacheStatus, Client, spawn};
use holdfast_rtr::pdu::{Pdu, Timing, Version, put, take};
use holdfast_rtr::session::{Delta, Overrides};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

fn vrp(n: u8) -> Vrp {
    Vrp {
        prefix: format!("198.51.{n}.0/24").parse().unwrap(),
        max_length: 24,
        asn: u32::from(n),
    }
}

/// A cache that a test plays.
struct Cache {
    listener: TcpListener,
    connection: Option<(TcpStream, BytesMut)>,
}

impl Cache {
    async fn start() -> Cache {
        Cache {
            listener: TcpListener::bind(("127.0.0.1", 0)).await.unwrap(),
            connection: None,
        }
    }

    fn config(&self, preference: u8) -> CacheConfig {
        CacheConfig {
            host: "127.0.0.1".to_owned(),
            source: None,
            port: self.listener.local_addr().unwrap().port(),
            preference,
            overrides: Overrides {
                retry: Some(1),
                ..Overrides::default()
            },
        }
    }

    /// The next message of the router, over a new connection if need be.
    async fn hears(&mut self) -> Pdu {
        let hear = async {
            loop {
                if self.connection.is_none() {
                    let (socket, _) = self.listener.accept().await.unwrap();
                    self.connection = Some((socket, BytesMut::new()));
                }
                let Some((socket, buffer)) = &mut self.connection else {
                    continue;
                };
                if let Some((_, pdu)) = take(buffer).unwrap() {
                    return pdu;
                }
                if socket.read_buf(buffer).await.unwrap_or(0) == 0 {
                    self.connection = None;
                }
            }
        };
        timeout(SOON, hear)
            .await
            .expect("the router says something")
    }

    async fn says(&mut self, pdus: &[Pdu]) {
        let mut out = BytesMut::new();
        for pdu in pdus {
            put(Version::V1, pdu, &mut out);
        }
        let (socket, _) = self.connection.as_mut().expect("a connection");
        socket.write_all(&out).await.unwrap();
    }

    async fn answers(&mut self, (session, serial): (u16, u32), payloads: &[(bool, u8)]) {
        let mut pdus = vec![Pdu::CacheResponse { session }];
        let payload = |&(announce, n): &(bool, u8)| Pdu::Prefix {
            announce,
            vrp: vrp(n),
        };
        pdus.extend(payloads.iter().map(payload));
        let timing = Some(Timing {
            refresh: 3_600,
            retry: 600,
            expire: 7_200,
        });
        pdus.push(Pdu::EndOfData {
            session,
            serial,
            timing,
        });
        self.says(&pdus).await;
    }
}

/// What the router makes of it.
struct Router {
    client: Client,
    deltas: mpsc::Receiver<Delta>,
    has: BTreeSet<u8>,
}

impl Router {
    fn start(caches: &[CacheConfig]) -> Router {
        let (client, deltas) = spawn();
        client.configure(caches.to_vec());
        Router {
            client,
            deltas,
            has: BTreeSet::new(),
        }
    }

    /// Waits until it has these payloads. Nothing comes twice, or goes that
    /// was not there.
    async fn has(&mut self, wanted: &[u8]) {
        let wanted: BTreeSet<u8> = wanted.iter().copied().collect();
        let deadline = tokio::time::Instant::now() + SOON;
        while self.has != wanted {
            let next = tokio::time::timeout_at(deadline, self.deltas.recv()).await;
            let delta = next
                .unwrap_or_else(|_| panic!("{:?} and not {wanted:?}", self.has))
                .expect("the task");
            for vrp in delta.withdrawn {
                assert!(self.has.remove(&(vrp.asn as u8)), "{vrp} was not there");
            }
            for vrp in delta.announced {
                assert!(self.has.insert(vrp.asn as u8), "{vrp} again");
            }
        }
    }
}

#[tokio::test]
async fn a_cache_that_goes_and_comes_back_is_asked_for_what_is_new() {
    let mut cache = Cache::start().await;
    let mut router = Router::start(&[cache.config(1)]);
    assert_eq!(cache.hears().await, Pdu::ResetQuery);
    cache.answers((7, 1), &[(true, 1), (true, 2)]).await;
    router.has(&[1, 2]).await;
    let status = &router.client.status()[0];
    assert!(status.connected && status.in_use && status.error.is_none());
    assert_eq!((status.serial, status.payloads), (Some((7, 1)), 2));

    cache
        .says(&[Pdu::SerialNotify {
            session: 7,
            serial: 2,
        }])
        .await;
    assert_eq!(
        cache.hears().await,
        Pdu::SerialQuery {
            session: 7,
            serial: 1
        }
    );
    cache.answers((7, 2), &[(false, 1), (true, 3)]).await;
    router.has(&[2, 3]).await;

    cache.connection = None;
    assert_eq!(
        cache.hears().await,
        Pdu::SerialQuery {
            session: 7,
            serial: 2
        }
    );
    // It restarted: another session, and everything anew.
    cache.says(&[Pdu::CacheResponse { session: 8 }]).await;
    assert_eq!(cache.hears().await, Pdu::ResetQuery);
    cache.answers((8, 1), &[(true, 3), (true, 4)]).await;
    router.has(&[3, 4]).await;

    // Serial reset.
    cache
        .says(&[Pdu::SerialNotify {
            session: 8,
            serial: 9,
        }])
        .await;
    assert_eq!(
        cache.hears().await,
        Pdu::SerialQuery {
            session: 8,
            serial: 1
        }
    );
    cache.says(&[Pdu::CacheReset]).await;
    assert_eq!(cache.hears().await, Pdu::ResetQuery);
    cache.answers((8, 9), &[(true, 4)]).await;
    router.has(&[4]).await;

    router.client.reset();
    assert_eq!(cache.hears().await, Pdu::ResetQuery);
    cache.answers((8, 9), &[(true, 5)]).await;
    router.has(&[5]).await;
}

#[tokio::test]
async fn the_preferred_cache_counts_while_it_has_data_and_those_alike_together() {
    let (mut first, mut second, mut other) = (
        Cache::start().await,
        Cache::start().await,
        Cache::start().await,
    );
    let configs = [second.config(2), first.config(1), other.config(2)];
    let mut router = Router::start(&configs);
    second.hears().await;
    second.answers((2, 1), &[(true, 1), (true, 2)]).await;
    router.has(&[1, 2]).await;
    other.hears().await;
    other.answers((3, 1), &[(true, 2), (true, 3)]).await;
    router.has(&[1, 2, 3]).await;
    // What the one withdraws the other still has.
    second
        .says(&[Pdu::SerialNotify {
            session: 2,
            serial: 2,
        }])
        .await;
    second.hears().await;
    second.answers((2, 2), &[(false, 2), (false, 1)]).await;
    router.has(&[2, 3]).await;

    first.hears().await;
    first.answers((1, 1), &[(true, 9)]).await;
    router.has(&[9]).await;
    let in_use: Vec<bool> = router.client.status().iter().map(|s| s.in_use).collect();
    assert_eq!(in_use, [true, false, false]);
    // Taken out of the configuration; the others kept what they had.
    router.client.configure(configs[..1].to_vec());
    router.has(&[]).await;
    second
        .says(&[Pdu::SerialNotify {
            session: 2,
            serial: 3,
        }])
        .await;
    second.hears().await;
    second.answers((2, 3), &[(true, 6)]).await;
    router.has(&[6]).await;
    router.client.configure(Vec::new());
    router.has(&[]).await;
}

#[tokio::test]
async fn a_cache_that_talks_nonsense_is_told_and_left_until_later() {
    let mut cache = Cache::start().await;
    let mut router = Router::start(&[cache.config(1)]);
    assert_eq!(cache.hears().await, Pdu::ResetQuery);
    let (socket, _) = cache.connection.as_mut().unwrap();
    socket.write_all(&[1, 99, 0, 0, 0, 0, 0, 8]).await.unwrap();
    assert!(matches!(cache.hears().await, Pdu::ErrorReport { .. }));
    assert_eq!(cache.hears().await, Pdu::ResetQuery);
    let status = router.client.status();
    let error = status[0].error.clone().unwrap_or_default();
    assert!(error.contains("type 99"), "{error}");
    cache.answers((1, 1), &[(true, 1)]).await;
    router.has(&[1]).await;
    assert_eq!(router.client.status()[0].error, None);
}

#[tokio::test]
async fn another_cache_takes_over_and_data_stays_while_there_is_none() {
    let (mut first, mut second) = (Cache::start().await, Cache::start().await);
    let configs = [first.config(1), second.config(2)];
    let mut router = Router::start(&configs);
    first.hears().await;
    first.answers((1, 1), &[(true, 1)]).await;
    router.has(&[1]).await;
    second.hears().await;
    second.answers((2, 1), &[(true, 1), (true, 2)]).await;
    wait(&router.client, |status| status[1].payloads == 2).await;
    assert!(router.client.status()[0].in_use);
    first.connection = None;
    router.has(&[1, 2]).await;
    assert!(router.client.status()[1].in_use);
    // Back, but without a word on its data yet.
    let question = Pdu::SerialQuery {
        session: 1,
        serial: 1,
    };
    assert_eq!(first.hears().await, question);
    assert!(router.client.status()[1].in_use);
    first.answers((1, 2), &[(true, 3)]).await;
    router.has(&[1, 3]).await;
    // Both go, in this order: what counted last goes on counting.
    first.connection = None;
    router.has(&[1, 2]).await;
    drop(first);
    second.connection = None;
    drop(second);
    wait(&router.client, |status| status.iter().all(|s| !s.connected)).await;
    let status = router.client.status();
    assert!(!status[0].in_use && status[1].in_use);
    router.has(&[1, 2]).await;
}

#[tokio::test]
async fn other_times_leave_the_connection_and_the_data_alone() {
    let mut cache = Cache::start().await;
    let mut config = cache.config(1);
    let mut router = Router::start(std::slice::from_ref(&config));
    cache.hears().await;
    cache.answers((1, 1), &[(true, 1)]).await;
    router.has(&[1]).await;
    config.overrides.refresh = Some(1);
    router.client.configure(vec![config.clone()]);
    let question = Pdu::SerialQuery {
        session: 1,
        serial: 1,
    };
    assert_eq!(cache.hears().await, question);
    assert!(router.client.status()[0].in_use);
    // From another address it is another connection.
    config.source = Some([127, 0, 0, 2].into());
    router.client.configure(vec![config]);
    router.has(&[]).await;
    cache.connection = None;
    assert_eq!(cache.hears().await, Pdu::ResetQuery);
    let peer = cache
        .connection
        .as_ref()
        .map(|(socket, _)| socket.peer_addr());
    let from = peer.and_then(Result::ok).map(|address| address.ip());
    assert_eq!(from, Some([127, 0, 0, 2].into()));
}

/// Waits until the caches are so.
async fn wait(client: &Client, is: impl Fn(&[CacheStatus]) -> bool) {
    let mut watch = client.watch_status();
    let seen = timeout(SOON, watch.wait_for(|status| is(status))).await;
    seen.expect("the caches are not so").expect("the task");
}
