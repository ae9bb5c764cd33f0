//! Routers on addresses of their own, and waiting for what they do.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use bgpd::{Speaker, SpeakerOptions};
use holdfast_api::v1;
use holdfast_config::model::Config;
use holdfast_config::{Leniency, Spelling, parse_str};

/// Where everybody listens; addresses are never shared.
pub(crate) const PORT: u16 = 21790;
/// Long enough on a machine that does ten other things.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Addresses that no other test uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Net(u8, u8);

impl Net {
    pub(crate) fn new() -> Net {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let process = u8::try_from(std::process::id() % 200).unwrap_or(0);
        Net(20 + process, NEXT.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn host(self, host: u8) -> IpAddr {
        Ipv4Addr::new(127, self.0, self.1, host).into()
    }

    pub(crate) fn at(self, host: u8) -> SocketAddr {
        SocketAddr::new(self.host(host), PORT)
    }
}

/// A speaker, and where it is.
pub(crate) struct Router {
    pub(crate) speaker: Speaker,
    pub(crate) net: Net,
    pub(crate) host: u8,
    pub(crate) asn: u32,
}

pub(crate) fn options(net: Net, host: u8) -> SpeakerOptions {
    SpeakerOptions {
        listen: vec![net.at(host)],
        next_hop_v4: Some(Ipv4Addr::new(192, 0, 2, host)),
        ..SpeakerOptions::default()
    }
}

pub(crate) fn parse(text: &str) -> Config {
    match parse_str("test", text, Spelling::Frr, Leniency::Strict) {
        Ok(loaded) => loaded.config,
        Err(errors) => panic!("{errors:?}\n{text}"),
    }
}

/// Waits until `look` finds what it looks for.
pub(crate) async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Fails the test where something does not end in time.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("takes too long: {what}"),
    }
}

impl Router {
    pub(crate) async fn start(net: Net, host: u8, asn: u32) -> Router {
        Router::with(net, host, asn, options(net, host)).await
    }

    pub(crate) async fn with(net: Net, host: u8, asn: u32, options: SpeakerOptions) -> Router {
        Router {
            speaker: Speaker::start(options).await.unwrap(),
            net,
            host,
            asn,
        }
    }

    /// The lines of a neighbor on another host of the net.
    pub(crate) fn neighbor(&self, host: u8, asn: u32) -> String {
        let (peer, own) = (self.net.host(host), self.net.host(self.host));
        format!(
            " neighbor {peer} remote-as {asn}\n neighbor {peer} port {PORT}\n \
             neighbor {peer} update-source {own}\n neighbor {peer} timers connect 1\n"
        )
    }

    pub(crate) fn text(&self, more: &str) -> String {
        format!(
            "router bgp {}\n bgp router-id 10.0.0.{}\n no bgp ebgp-requires-policy\n{more}",
            self.asn, self.host
        )
    }

    /// Makes the instance with these lines the configuration.
    pub(crate) async fn run(&self, more: &str) -> Vec<String> {
        self.speaker
            .configure(parse(&self.text(more)))
            .await
            .unwrap()
    }

    pub(crate) async fn lines(&self, context: &[&str], lines: &[&str]) -> v1::ApplyLinesResponse {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        let request = v1::ApplyLinesRequest {
            context: owned(context),
            lines: owned(lines),
        };
        self.speaker.apply_lines(&request).await.unwrap()
    }

    /// A line in `router bgp`.
    pub(crate) async fn line(&self, line: &str) {
        let context = format!("router bgp {}", self.asn);
        let answer = self.lines(&[&context], &[line]).await;
        assert!(answer.results.iter().all(|r| r.ok), "{line}: {answer:?}");
    }

    pub(crate) async fn peer(&self, host: u8) -> v1::Peer {
        let mut peers = self.speaker.peers(Some(self.net.host(host))).await.unwrap();
        peers.pop().unwrap()
    }

    pub(crate) async fn state(&self, host: u8) -> v1::SessionState {
        self.peer(host).await.state()
    }

    pub(crate) async fn established(&self, host: u8) -> v1::Peer {
        eventually("established", || async {
            let peer = self.peer(host).await;
            (peer.state() == v1::SessionState::Established).then_some(peer)
        })
        .await
    }

    /// All routes of a table.
    pub(crate) async fn routes(&self, request: v1::ListRoutesRequest) -> Vec<v1::Route> {
        let mut routes = self.speaker.routes(&request).unwrap();
        let mut all = Vec::new();
        while let Some(chunk) = routes.next().await.unwrap() {
            all.extend(chunk.routes);
        }
        all
    }

    /// The prefixes of IPv4 with a best path.
    pub(crate) async fn prefixes(&self) -> Vec<String> {
        let routes = self.routes(loc_rib(v1::Family::Ipv4Unicast)).await;
        let used = routes.iter().filter(|r| r.paths.iter().any(|p| p.best));
        used.map(|r| r.prefix.clone()).collect()
    }

    /// Waits until these are the prefixes.
    pub(crate) async fn has(&self, prefixes: &[&str]) {
        eventually(&format!("{prefixes:?}"), || async {
            (self.prefixes().await == prefixes).then_some(())
        })
        .await;
    }
}

pub(crate) fn loc_rib(family: v1::Family) -> v1::ListRoutesRequest {
    v1::ListRoutesRequest {
        family: family.into(),
        ..v1::ListRoutesRequest::default()
    }
}
