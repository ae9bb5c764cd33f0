//! The gRPC API: generated types, client and server, and the way to its
//! socket. `proto/holdfast.proto` is the reference.

use std::path::{Path, PathBuf};

/// Types, client and server as generated from `holdfast.proto`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("holdfast.v1");
}

pub use v1::holdfast_client::HoldfastClient;
pub use v1::holdfast_server::{Holdfast, HoldfastServer};

/// Where the daemon listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/holdfast/api.sock";

/// A client of the daemon's API.
pub type Client = HoldfastClient<tonic::transport::Channel>;

/// Connects to the API's Unix socket. The connection is opened at once, so an
/// error says that nobody listens there or that the socket may not be used.
///
/// # Errors
/// The transport's error when the socket cannot be connected.
pub async fn connect(socket: impl AsRef<Path>) -> Result<Client, tonic::transport::Error> {
    let path: PathBuf = socket.as_ref().to_path_buf();
    // The URI is never resolved: the connector below ignores it.
    let channel = tonic::transport::Endpoint::from_static("http://holdfast")
        .connect_with_connector(tower::service_fn(move |_| {
            let path = path.clone();
            async move {
                let stream = tokio::net::UnixStream::connect(path).await?;
                Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(stream))
            }
        }))
        .await?;
    // Route chunks are a few hundred kilobytes; configurations can be larger.
    Ok(HoldfastClient::new(channel)
        .max_decoding_message_size(256 << 20)
        .max_encoding_message_size(256 << 20))
}
