//! Accepting connections and handing them to the peer that they come from.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::configure::registry;
use super::core::Registry;
use crate::session::transport::canonical;

/// Wait after a failed accept: out of file descriptors is not mended by
/// trying again at once.
const RETRY: Duration = Duration::from_millis(100);

/// Accepts on one socket until it is aborted. Connections from
/// addresses that no peer has are closed at once (RFC 4271 section 8.2.1).
pub(super) async fn accept(listeners: Arc<[TcpListener]>, index: usize, peers: Registry) {
    let Some(listener) = listeners.get(index) else {
        return;
    };
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
            None => tracing::info!(%address, "connection refused: no such neighbor"),
        }
    }
}
