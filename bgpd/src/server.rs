//! The API server: gRPC over a Unix socket. Every call is one of the
//! speaker's, so an embedder misses nothing.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;

use holdfast_api::{Holdfast, HoldfastServer, v1};
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::{Request, Response, Status};

use crate::speaker::{Speaker, SpeakerError};

/// Read and write for owner and group, nothing for others.
const MODE: u32 = 0o660;
/// Clients that may wait to be accepted.
const BACKLOG: i32 = 128;
/// Chunks that may wait for a slow reader; the core makes no more meanwhile.
const CHUNKS: usize = 2;
/// Largest message taken: a whole configuration.
const MAX_MESSAGE: usize = 256 << 20;

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Serves a speaker's API.
#[derive(Debug, Clone)]
pub struct Server {
    speaker: Speaker,
}

/// A socket that is being listened on. Its file goes with it.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    file: SocketFile,
}

/// The socket's file; removed when dropped, unless another has its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    id: Option<(u64, u64)>,
}

impl SocketFile {
    fn new(path: &Path) -> SocketFile {
        SocketFile {
            path: path.to_owned(),
            id: file_id(path),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.id.is_some() && file_id(&self.path) == self.id {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn file_id(path: &Path) -> Option<(u64, u64)> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}

impl Socket {
    /// Opens the API's socket, owned by `group` where such a group exists. A
    /// file left by a daemon that is gone is replaced; one that answers is not.
    ///
    /// # Errors
    /// The system's; `AddrInUse` where another daemon answers, and
    /// `AlreadyExists` where a file is in the way that is no socket.
    pub fn open(path: &Path, group: Option<&str>) -> io::Result<Socket> {
        // The usual directory is on a file system that begins empty. Another
        // one that is missing is a typing error.
        if path == Path::new(holdfast_api::DEFAULT_SOCKET)
            && let Some(directory) = path.parent()
        {
            std::fs::create_dir_all(directory)?;
        }
        make_room(path)?;
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&socket2::SockAddr::unix(path)?)?;
        let file = SocketFile::new(path);
        if let Some(group) = group
            && let Ok(Some(group)) = nix::unistd::Group::from_name(group)
        {
            // Not root: the group stays the process's own.
            let _ = std::os::unix::fs::chown(path, None, Some(group.gid.as_raw()));
        }
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE))?;
        // Only now can anybody connect. (A mask for the bind would be the whole
        // process's, other files that are made meanwhile included.)
        socket.listen(BACKLOG)?;
        let listener = UnixListener::from_std(std::os::fd::OwnedFd::from(socket).into())?;
        Ok(Socket { listener, file })
    }
}

/// Removes the socket of a daemon that is gone: one that refuses connections.
/// Anything else at that path is somebody's.
fn make_room(path: &Path) -> io::Result<()> {
    let Ok(meta) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !meta.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file that is no socket",
        ));
    }
    let probe = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
    // A daemon that stands still has a full backlog: to wait for it would be
    // to stand still as well.
    probe.set_nonblocking(true)?;
    match probe.connect(&socket2::SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        _ => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another daemon answers there",
        )),
    }
}

impl Server {
    /// A server for this speaker.
    pub fn new(speaker: Speaker) -> Server {
        Server { speaker }
    }

    /// Serves until `stop` completes, then removes the socket's file.
    ///
    /// # Errors
    /// The transport's.
    pub async fn serve(
        self,
        socket: Socket,
        stop: impl Future<Output = ()>,
    ) -> Result<(), tonic::transport::Error> {
        let Socket { listener, file } = socket;
        let result = tonic::transport::Server::builder()
            .add_service(HoldfastServer::new(self).max_decoding_message_size(MAX_MESSAGE))
            .serve_with_incoming_shutdown(UnixListenerStream::new(listener), stop)
            .await;
        drop(file);
        result
    }
}

fn status(error: SpeakerError) -> Status {
    let text = error.to_string();
    match error {
        SpeakerError::NoBgp => Status::failed_precondition(text),
        SpeakerError::NoSuchPeer | SpeakerError::NoInstance(_) => Status::not_found(text),
        SpeakerError::NoSuchPolicy(_) | SpeakerError::NoSuchPrefix => Status::not_found(text),
        SpeakerError::NotUp(_) => Status::failed_precondition(text),
        SpeakerError::BadFilter(_) => Status::invalid_argument(text),
        SpeakerError::BadPrefix(_) | SpeakerError::Config(_) => Status::invalid_argument(text),
        SpeakerError::NoFile => Status::failed_precondition(text),
        SpeakerError::Write { .. }
        | SpeakerError::Listen { .. }
        | SpeakerError::NoNetAdmin
        | SpeakerError::Fib(_) => Status::internal(text),
        SpeakerError::Stopped => Status::unavailable(text),
    }
}

#[tonic::async_trait]
impl Holdfast for Server {
    type ListRoutesStream = Streamed<v1::RouteChunk>;
    type ListFibStream = Streamed<v1::FibChunk>;
    type ListPolicyStream = Streamed<v1::PolicyChunk>;
    type WatchStream = Streamed<v1::WatchEvent>;
    type ListRoasStream = Streamed<v1::RoaChunk>;

    async fn get_global(
        &self,
        request: Request<v1::GetGlobalRequest>,
    ) -> Result<Response<v1::Global>, Status> {
        self.speaker
            .instance(&request.get_ref().instance)
            .global()
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn list_instances(
        &self,
        _: Request<v1::ListInstancesRequest>,
    ) -> Result<Response<v1::ListInstancesResponse>, Status> {
        let instances = self.speaker.instances().await.map_err(status)?;
        Ok(Response::new(v1::ListInstancesResponse { instances }))
    }

    async fn list_peers(
        &self,
        request: Request<v1::ListPeersRequest>,
    ) -> Result<Response<v1::ListPeersResponse>, Status> {
        let request = request.into_inner();
        let speaker = self.speaker.instance(&request.instance);
        let address = match request.address.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| status(SpeakerError::NoSuchPeer))?),
        };
        let peers = speaker.peers(address).await.map_err(status)?;
        Ok(Response::new(v1::ListPeersResponse { peers }))
    }

    async fn list_routes(
        &self,
        request: Request<v1::ListRoutesRequest>,
    ) -> Result<Response<Self::ListRoutesStream>, Status> {
        let mut routes = self.speaker.routes(request.get_ref()).map_err(status)?;
        // Errors of the first chunk are the call's.
        let first = routes.next().await.map_err(status)?;
        let (sender, receiver) = mpsc::channel(CHUNKS);
        tokio::spawn(async move {
            let mut next = Ok(first);
            loop {
                let item = match next {
                    Ok(Some(chunk)) => Ok(chunk),
                    Ok(None) => break,
                    Err(error) => Err(status(error)),
                };
                let last = item.is_err();
                // A reader that went away needs nothing more.
                if sender.send(item).await.is_err() || last {
                    break;
                }
                next = routes.next().await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn list_fib(
        &self,
        request: Request<v1::ListFibRequest>,
    ) -> Result<Response<Self::ListFibStream>, Status> {
        let routes = self.speaker.fib_routes(request.get_ref()).await;
        let mut routes = routes.map_err(status)?;
        let (sender, receiver) = mpsc::channel(CHUNKS);
        tokio::spawn(async move {
            while let Some(chunk) = routes.next().await.transpose() {
                // A reader that went away needs nothing more.
                if sender.send(chunk.map_err(status)).await.is_err() {
                    break;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn list_next_hops(
        &self,
        request: Request<v1::ListNextHopsRequest>,
    ) -> Result<Response<v1::ListNextHopsResponse>, Status> {
        let next_hops = self.speaker.next_hops(request.get_ref()).await;
        let next_hops = next_hops.map_err(status)?;
        Ok(Response::new(v1::ListNextHopsResponse { next_hops }))
    }

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let watch = self.speaker.watch(request.into_inner());
        let mut watch = watch.map_err(status)?;
        let (sender, receiver) = mpsc::channel(CHUNKS);
        tokio::spawn(async move {
            loop {
                let event = tokio::select! {
                    event = watch.next() => event,
                    () = sender.closed() => break,
                };
                let Some(event) = event else { break };
                if sender.send(Ok(event)).await.is_err() {
                    break;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn get_config(
        &self,
        request: Request<v1::GetConfigRequest>,
    ) -> Result<Response<v1::ConfigText>, Status> {
        let text = self.speaker.config_text(request.into_inner()).await;
        text.map(Response::new).map_err(status)
    }

    async fn apply_lines(
        &self,
        request: Request<v1::ApplyLinesRequest>,
    ) -> Result<Response<v1::ApplyLinesResponse>, Status> {
        let applied = self.speaker.apply_lines(request.get_ref()).await;
        applied.map(Response::new).map_err(status)
    }

    async fn replace_config(
        &self,
        request: Request<v1::ReplaceConfigRequest>,
    ) -> Result<Response<v1::ReplaceConfigResponse>, Status> {
        let replaced = self.speaker.replace(request.get_ref()).await;
        replaced.map(Response::new).map_err(status)
    }

    async fn write_config(
        &self,
        _: Request<v1::WriteConfigRequest>,
    ) -> Result<Response<v1::WriteConfigResponse>, Status> {
        let path = self.speaker.write_config().await.map_err(status)?;
        Ok(Response::new(v1::WriteConfigResponse { path }))
    }

    async fn list_roas(
        &self,
        request: Request<v1::ListRoasRequest>,
    ) -> Result<Response<Self::ListRoasStream>, Status> {
        let roas = self.speaker.roas(request.get_ref()).map_err(status)?;
        let chunks = tokio_stream::iter(roas.map(Ok));
        Ok(Response::new(Box::pin(chunks)))
    }

    async fn list_rpki_caches(
        &self,
        _: Request<v1::ListRpkiCachesRequest>,
    ) -> Result<Response<v1::ListRpkiCachesResponse>, Status> {
        Ok(Response::new(self.speaker.rpki_caches()))
    }

    async fn control_rpki(
        &self,
        request: Request<v1::ControlRpkiRequest>,
    ) -> Result<Response<v1::ControlRpkiResponse>, Status> {
        let order = request.get_ref().order();
        self.speaker.control_rpki(order).await.map_err(status)?;
        Ok(Response::new(v1::ControlRpkiResponse {}))
    }

    async fn clear(
        &self,
        request: Request<v1::ClearRequest>,
    ) -> Result<Response<v1::ClearResponse>, Status> {
        let peers = self.speaker.clear(request.into_inner()).await;
        let peers = peers.map_err(status)?;
        Ok(Response::new(v1::ClearResponse { peers }))
    }

    async fn list_policy(
        &self,
        request: Request<v1::ListPolicyRequest>,
    ) -> Result<Response<Self::ListPolicyStream>, Status> {
        let chunks = self.speaker.policy_objects(request.get_ref()).await;
        let chunks = chunks.map_err(status)?.into_iter().map(Ok);
        Ok(Response::new(Box::pin(tokio_stream::iter(chunks))))
    }

    async fn clear_policy_counters(
        &self,
        request: Request<v1::ClearPolicyCountersRequest>,
    ) -> Result<Response<v1::ClearPolicyCountersResponse>, Status> {
        let cleared = self.speaker.clear_policy_counters(request.get_ref()).await;
        let objects = cleared.map_err(status)?;
        Ok(Response::new(v1::ClearPolicyCountersResponse { objects }))
    }

    async fn explain_route(
        &self,
        request: Request<v1::ExplainRouteRequest>,
    ) -> Result<Response<v1::RouteExplanation>, Status> {
        let explained = self.speaker.explain_route(request.get_ref()).await;
        explained.map(Response::new).map_err(status)
    }

    async fn test_policy(
        &self,
        request: Request<v1::TestPolicyRequest>,
    ) -> Result<Response<v1::TestPolicyResponse>, Status> {
        let tested = self.speaker.test_policy(request.get_ref()).await;
        tested.map(Response::new).map_err(status)
    }

    async fn clear_dampening(
        &self,
        request: Request<v1::ClearDampeningRequest>,
    ) -> Result<Response<v1::ClearDampeningResponse>, Status> {
        let done = self.speaker.clear_dampening(request.get_ref()).await;
        done.map_err(status)?;
        Ok(Response::new(v1::ClearDampeningResponse {}))
    }
}
