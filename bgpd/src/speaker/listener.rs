//! Accepting connections and handing them to the peer that they come from.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use super::configure::registry;
use super::core::Registry;
use crate::session::transport::canonical;

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
pub(super) async fn accept(listeners: Arc<[TcpListener]>, index: usize, peers: Registry) {
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
