//! Accepting connections and handing them to the peer that they come from.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::SpeakerError;
use super::configure::registry;
use super::core::Registry;
use crate::session::md5;
use crate::session::transport::{self, canonical};

/// Sockets that are listened on in one place: the host, or a VRF device.
#[derive(Debug, Default)]
pub(super) struct Listening {
    /// The sessions that connections are for.
    pub(super) registry: Registry,
    sockets: Arc<[TcpListener]>,
    accepting: JoinSet<()>,
    /// MD5 keys that the sockets have.
    keys: BTreeMap<IpAddr, String>,
}

impl Listening {
    /// On the host.
    pub(super) fn on_host(addresses: &[SocketAddr]) -> Result<Listening, SpeakerError> {
        let open = |addr: &SocketAddr| {
            let socket = transport::listen(*addr, None);
            socket.map_err(|error| SpeakerError::Listen { addr: *addr, error })
        };
        let sockets: Result<Vec<_>, _> = addresses.iter().map(open).collect();
        Ok(Listening::on(sockets?))
    }

    /// On a VRF device, as far as it has the addresses: without a listener
    /// sessions come up as well, only not from the other side.
    pub(super) fn on_device(addresses: &[SocketAddr], device: &str) -> Listening {
        let open = |addr: &SocketAddr| {
            let socket = transport::listen(*addr, Some(device));
            socket
                .inspect_err(|error| tracing::warn!(%addr, device, %error, "cannot listen"))
                .ok()
        };
        Listening::on(addresses.iter().filter_map(open).collect())
    }

    fn on(sockets: Vec<TcpListener>) -> Listening {
        let mut listening = Listening {
            sockets: sockets.into(),
            ..Listening::default()
        };
        for index in 0..listening.sockets.len() {
            let (sockets, peers) = (Arc::clone(&listening.sockets), &listening.registry);
            let accept = accept(sockets, index, Arc::clone(peers));
            listening.accepting.spawn(accept);
        }
        listening
    }

    /// The ports are free again when this returns.
    pub(super) async fn close(&mut self) {
        self.accepting.shutdown().await;
        self.sockets = Arc::new([]);
        registry(&self.registry).clear();
    }

    /// A listener needs the key of every peer that may connect to it.
    pub(super) fn apply_keys(&mut self, wanted: BTreeMap<IpAddr, String>) {
        let before = std::mem::replace(&mut self.keys, wanted);
        for address in before.keys().filter(|a| !self.keys.contains_key(a)) {
            self.set_key(*address, "");
        }
        for (address, key) in &self.keys {
            if before.get(address) != Some(key) {
                self.set_key(*address, key);
            }
        }
    }

    fn set_key(&self, peer: IpAddr, key: &str) {
        for socket in self.sockets.iter() {
            let fits = socket
                .local_addr()
                .is_ok_and(|local| local.is_ipv4() == peer.is_ipv4());
            if !fits {
                continue;
            }
            if let Err(error) = md5::set_key(socket, peer, key) {
                tracing::error!(%peer, %error, "MD5 key not set; the peer cannot connect");
            }
        }
    }
}

/// Wait after a failed accept: out of file descriptors is not mended by
/// trying again at once.
const RETRY: Duration = Duration::from_millis(100);

/// At least this long between two lines about refused connections: whoever can
/// reach the port could fill a disk with them.
const QUIET: Duration = Duration::from_secs(10);

/// Counts refusals between two log lines.
#[derive(Debug, Default)]
struct Refusals {
    logged: Option<Instant>,
    silent: u64,
}

impl Refusals {
    fn add(&mut self, address: IpAddr) {
        tracing::debug!(%address, "connection refused: no such neighbor");
        if self.logged.is_some_and(|at| at.elapsed() < QUIET) {
            self.silent += 1;
            return;
        }
        let others = std::mem::take(&mut self.silent);
        tracing::info!(%address, others, "connections refused: no such neighbor");
        self.logged = Some(Instant::now());
    }
}

/// Accepts on one socket until it is aborted. Connections from
/// addresses that no peer has are closed at once (RFC 4271 section 8.2.1).
async fn accept(listeners: Arc<[TcpListener]>, index: usize, peers: Registry) {
    let Some(listener) = listeners.get(index) else {
        return;
    };
    let mut refusals = Refusals::default();
    loop {
        let (stream, remote) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accept");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        let address = canonical(remote.ip());
        let session = registry(&peers).get(&address).cloned();
        match session {
            Some(session) => session.offer(stream),
            None => refusals.add(address),
        }
    }
}
