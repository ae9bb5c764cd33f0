//! A daemon that answers from memory.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures::{Stream, stream};
use holdfast_api::{Client, Holdfast, HoldfastServer, v1};
use holdfast_config::frr::{Outcome, Session, to_frr};
use ipnet::IpNet;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status};

/// What the daemon knows.
#[derive(Default)]
pub(crate) struct Recorded {
    pub(crate) global: v1::Global,
    pub(crate) peers: Vec<v1::Peer>,
    /// Loc-RIB, then what was received and advertised, each with its family
    /// and peer.
    pub(crate) tables: Vec<(v1::Family, v1::Table, String, Vec<v1::Route>)>,
    pub(crate) next_hops: Vec<v1::NextHop>,
    pub(crate) fib: Vec<(v1::Family, Vec<v1::FibRoute>)>,
    /// Text of the running configuration, unless lines were applied.
    pub(crate) config: Option<String>,
    pub(crate) total_paths: u64,
    /// Lists and route maps, each in a chunk of its own.
    pub(crate) policy: Vec<v1::PolicyObject>,
    pub(crate) session: Mutex<Session>,
    pub(crate) cleared: Arc<Mutex<Vec<v1::ClearRequest>>>,
    pub(crate) caches: Vec<v1::RpkiCache>,
    pub(crate) roas: Vec<v1::Roa>,
    pub(crate) ordered: Arc<Mutex<Vec<v1::RpkiOrder>>>,
    pub(crate) cleared_flaps: Arc<Mutex<Vec<v1::ClearDampeningRequest>>>,
}

type Chunks<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Small chunks, so that every table takes several.
const CHUNK: usize = 3;

/// Whether `prefix` is what a request for `wanted` means.
fn longest<'r, R>(routes: &'r [R], wanted: &str, prefix: fn(&R) -> &str) -> Option<&'r R> {
    let parsed = |route: &&R| prefix(route).parse::<IpNet>().expect("a prefix");
    if wanted.contains('/') {
        return routes.iter().find(|route| prefix(route) == wanted);
    }
    let address: std::net::IpAddr = wanted.parse().ok()?;
    routes
        .iter()
        .filter(|route| parsed(route).contains(&address))
        .max_by_key(|route| parsed(route).prefix_len())
}

impl Recorded {
    fn routes(&self, request: &v1::ListRoutesRequest) -> Vec<v1::Route> {
        let table = |wanted: v1::Table, peer: &str| {
            self.tables
                .iter()
                .find(|(family, table, of, _)| {
                    *family as i32 == request.family && *table == wanted && of == peer
                })
                .map(|(_, _, _, routes)| routes.clone())
                .unwrap_or_default()
        };
        match v1::Table::try_from(request.table).expect("a table") {
            v1::Table::LocRib => {
                let routes = table(v1::Table::LocRib, "");
                if request.longer {
                    let within: IpNet = request.prefix.parse().expect("a prefix");
                    let inside = |route: &v1::Route| {
                        within.contains(&route.prefix.parse::<IpNet>().expect("a prefix"))
                    };
                    routes.into_iter().filter(inside).collect()
                } else if request.prefix.is_empty() {
                    routes
                } else {
                    let found = longest(&routes, &request.prefix, |route| &route.prefix);
                    found.cloned().into_iter().collect()
                }
            }
            v1::Table::Accepted => {
                let mut routes = table(v1::Table::LocRib, "");
                for route in &mut routes {
                    route.paths.retain(|path| path.peer == request.peer);
                }
                routes.retain(|route| !route.paths.is_empty());
                routes
            }
            other => table(other, &request.peer),
        }
    }

    fn chunk(&self, family: i32, routes: &[v1::Route]) -> v1::RouteChunk {
        let table = self
            .global
            .tables
            .iter()
            .find(|table| table.family == family);
        let (_, _, _, all) = self
            .tables
            .iter()
            .find(|(known, table, _, _)| *known as i32 == family && *table == v1::Table::LocRib)
            .cloned()
            .unwrap_or((
                v1::Family::Unspecified,
                v1::Table::LocRib,
                String::new(),
                Vec::new(),
            ));
        let paths = all.iter().flat_map(|route| &route.paths);
        let counted = |path: &&v1::Path| !path.flapping.is_some_and(|f| f.withdrawn);
        let paths = paths.filter(counted).count();
        v1::RouteChunk {
            table_version: table.map_or(0, |table| table.version),
            router_id: self.global.router_id.clone(),
            local_as: self.global.asn,
            default_local_pref: self.global.default_local_pref,
            routes: routes.to_vec(),
            total_prefixes: all.len() as u64,
            total_paths: self.total_paths.max(paths as u64),
        }
    }
}

#[tonic::async_trait]
impl Holdfast for Recorded {
    async fn get_global(
        &self,
        request: Request<v1::GetGlobalRequest>,
    ) -> Result<Response<v1::Global>, Status> {
        let instance = request.into_inner().instance;
        if !matches!(instance.as_str(), "" | "default") {
            return Err(Status::not_found("no such instance"));
        }
        let mut global = self.global.clone();
        global.instance = "default".to_owned();
        let hostname = self
            .session
            .lock()
            .expect("the session")
            .config
            .hostname
            .clone();
        global.hostname = hostname.unwrap_or(global.hostname);
        Ok(Response::new(global))
    }

    async fn list_instances(
        &self,
        _: Request<v1::ListInstancesRequest>,
    ) -> Result<Response<v1::ListInstancesResponse>, Status> {
        let default = self.global.bgp_configured.then(|| v1::Instance {
            name: "default".to_owned(),
            kind: v1::InstanceKind::InstanceDefault as i32,
            asn: self.global.asn,
        });
        Ok(Response::new(v1::ListInstancesResponse {
            instances: default.into_iter().collect(),
        }))
    }

    async fn list_peers(
        &self,
        _: Request<v1::ListPeersRequest>,
    ) -> Result<Response<v1::ListPeersResponse>, Status> {
        Ok(Response::new(v1::ListPeersResponse {
            peers: self.peers.clone(),
        }))
    }

    type ListRoutesStream = Chunks<v1::RouteChunk>;

    async fn list_routes(
        &self,
        request: Request<v1::ListRoutesRequest>,
    ) -> Result<Response<Self::ListRoutesStream>, Status> {
        let request = request.into_inner();
        let routes = self.routes(&request);
        let mut chunks: Vec<_> = routes
            .chunks(CHUNK)
            .map(|part| Ok(self.chunk(request.family, part)))
            .collect();
        if chunks.is_empty() {
            chunks.push(Ok(self.chunk(request.family, &[])));
        }
        Ok(Response::new(Box::pin(stream::iter(chunks))))
    }

    type ListFibStream = Chunks<v1::FibChunk>;

    async fn list_fib(
        &self,
        request: Request<v1::ListFibRequest>,
    ) -> Result<Response<Self::ListFibStream>, Status> {
        let request = request.into_inner();
        let known = self
            .fib
            .iter()
            .find(|(family, _)| *family as i32 == request.family);
        let mut routes = known.map(|(_, routes)| routes.clone()).unwrap_or_default();
        if !request.prefix.is_empty() {
            let found = longest(&routes, &request.prefix, |route| &route.prefix).cloned();
            routes = found.into_iter().collect();
        }
        let chunks: Vec<_> = routes
            .chunks(CHUNK)
            .map(|part| {
                Ok(v1::FibChunk {
                    routes: part.to_vec(),
                })
            })
            .collect();
        Ok(Response::new(Box::pin(stream::iter(chunks))))
    }

    async fn list_next_hops(
        &self,
        request: Request<v1::ListNextHopsRequest>,
    ) -> Result<Response<v1::ListNextHopsResponse>, Status> {
        let wanted = &request.get_ref().address;
        let mut next_hops = self.next_hops.clone();
        next_hops.retain(|n| wanted.is_empty() || n.address == *wanted);
        Ok(Response::new(v1::ListNextHopsResponse { next_hops }))
    }

    type WatchStream = Chunks<v1::WatchEvent>;

    async fn watch(
        &self,
        _: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("nothing changes here"))
    }

    async fn get_config(
        &self,
        _: Request<v1::GetConfigRequest>,
    ) -> Result<Response<v1::ConfigText>, Status> {
        let session = self.session.lock().expect("the session");
        let text = self
            .config
            .clone()
            .unwrap_or_else(|| to_frr(&session.config));
        Ok(Response::new(v1::ConfigText { text, revision: 1 }))
    }

    async fn apply_lines(
        &self,
        request: Request<v1::ApplyLinesRequest>,
    ) -> Result<Response<v1::ApplyLinesResponse>, Status> {
        let request = request.into_inner();
        let mut session = self.session.lock().expect("the session");
        session.mode = holdfast_config::frr::Mode::Config;
        for line in &request.context {
            session
                .apply_line(line)
                .map_err(|error| Status::invalid_argument(error.to_string()))?;
        }
        let mut context = request.context.clone();
        let mut results = Vec::new();
        for line in &request.lines {
            let result = session.apply_line(line);
            if let Ok(Outcome::Entered(mode)) = &result {
                let depth = usize::from(mode.parent().is_some())
                    + usize::from(mode.parent().and_then(|mode| mode.parent()).is_some());
                context.truncate(depth.saturating_sub(1));
                if depth > context.len() {
                    context.push(line.clone());
                }
            }
            let error = result
                .err()
                .map(|error| error.to_string().replacen("% ", "", 1));
            results.push(v1::LineResult {
                ok: error.is_none(),
                error: error.unwrap_or_default(),
            });
        }
        Ok(Response::new(v1::ApplyLinesResponse {
            context,
            results,
            revision: 2,
        }))
    }

    async fn replace_config(
        &self,
        _: Request<v1::ReplaceConfigRequest>,
    ) -> Result<Response<v1::ReplaceConfigResponse>, Status> {
        Err(Status::unimplemented("no shell asks for it"))
    }

    async fn write_config(
        &self,
        _: Request<v1::WriteConfigRequest>,
    ) -> Result<Response<v1::WriteConfigResponse>, Status> {
        match self.global.config_path.as_str() {
            "" => Err(Status::failed_precondition(
                "no configuration file was given",
            )),
            path => Ok(Response::new(v1::WriteConfigResponse {
                path: path.to_owned(),
            })),
        }
    }

    type ListPolicyStream = Chunks<v1::PolicyChunk>;

    async fn list_policy(
        &self,
        request: Request<v1::ListPolicyRequest>,
    ) -> Result<Response<Self::ListPolicyStream>, Status> {
        let request = request.into_inner();
        let wanted = |object: &&v1::PolicyObject| {
            object.kind == request.kind && (request.name.is_empty() || request.name == object.name)
        };
        let objects = self.policy.iter().filter(wanted).cloned();
        let chunks: Vec<_> = objects
            .map(|object| {
                Ok(v1::PolicyChunk {
                    objects: vec![object],
                })
            })
            .collect();
        Ok(Response::new(Box::pin(stream::iter(chunks))))
    }

    async fn clear_policy_counters(
        &self,
        _: Request<v1::ClearPolicyCountersRequest>,
    ) -> Result<Response<v1::ClearPolicyCountersResponse>, Status> {
        Err(Status::unimplemented("nothing counts here"))
    }

    async fn explain_route(
        &self,
        _: Request<v1::ExplainRouteRequest>,
    ) -> Result<Response<v1::RouteExplanation>, Status> {
        Err(Status::unimplemented("nothing decides here"))
    }

    async fn test_policy(
        &self,
        _: Request<v1::TestPolicyRequest>,
    ) -> Result<Response<v1::TestPolicyResponse>, Status> {
        Err(Status::unimplemented("there is no policy here"))
    }

    async fn clear(
        &self,
        request: Request<v1::ClearRequest>,
    ) -> Result<Response<v1::ClearResponse>, Status> {
        use v1::clear_request::Target;
        let request = request.into_inner();
        let fits = |peer: &&v1::Peer| match request.target.as_ref().expect("a target") {
            Target::All(_) => true,
            Target::Address(address) => *address == peer.address,
            Target::Asn(asn) => *asn == peer.remote_as,
            Target::External(_) => peer.external,
            Target::PeerGroup(group) => *group == peer.peer_group,
        };
        let peers = self.peers.iter().filter(fits).count() as u32;
        self.cleared.lock().expect("what was cleared").push(request);
        Ok(Response::new(v1::ClearResponse { peers }))
    }

    type ListRoasStream = Chunks<v1::RoaChunk>;

    async fn list_roas(
        &self,
        request: Request<v1::ListRoasRequest>,
    ) -> Result<Response<Self::ListRoasStream>, Status> {
        let request = request.into_inner();
        let wanted = |roa: &&v1::Roa| {
            let of = || -> Option<bool> {
                let prefix: IpNet = request.prefix.parse().ok()?;
                let covers = roa.prefix.parse::<IpNet>().ok()?.contains(&prefix);
                Some(covers && u32::from(prefix.prefix_len()) <= roa.max_length)
            };
            of().unwrap_or(true) && request.asn.is_none_or(|asn| asn == roa.asn)
        };
        let roas: Vec<v1::Roa> = self.roas.iter().filter(wanted).cloned().collect();
        let chunk = |part: &[v1::Roa]| {
            Ok(v1::RoaChunk {
                roas: part.to_vec(),
            })
        };
        let chunks: Vec<_> = roas.chunks(CHUNK).map(chunk).collect();
        Ok(Response::new(Box::pin(stream::iter(chunks))))
    }

    async fn list_rpki_caches(
        &self,
        _: Request<v1::ListRpkiCachesRequest>,
    ) -> Result<Response<v1::ListRpkiCachesResponse>, Status> {
        Ok(Response::new(v1::ListRpkiCachesResponse {
            caches: self.caches.clone(),
            ..Default::default()
        }))
    }

    async fn control_rpki(
        &self,
        request: Request<v1::ControlRpkiRequest>,
    ) -> Result<Response<v1::ControlRpkiResponse>, Status> {
        let order = request.get_ref().order();
        self.ordered.lock().expect("the orders").push(order);
        Ok(Response::new(v1::ControlRpkiResponse {}))
    }

    async fn clear_dampening(
        &self,
        request: Request<v1::ClearDampeningRequest>,
    ) -> Result<Response<v1::ClearDampeningResponse>, Status> {
        let mut cleared = self.cleared_flaps.lock().expect("what was cleared");
        cleared.push(request.into_inner());
        Ok(Response::new(v1::ClearDampeningResponse {}))
    }
}

/// A daemon on a socket and threads of its own, for as long as this lives.
pub(crate) struct Daemon {
    directory: tempfile::TempDir,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Daemon {
    pub(crate) fn start(recorded: Recorded) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let entered = runtime.enter();
        let listener = tokio::net::UnixListener::bind(directory.path().join("bgpd.sock"));
        let incoming = UnixListenerStream::new(listener.expect("a socket"));
        let server = tonic::transport::Server::builder().add_service(HoldfastServer::new(recorded));
        runtime.spawn(async move {
            server
                .serve_with_incoming(incoming)
                .await
                .expect("the server");
        });
        drop(entered);
        Self {
            directory,
            runtime: Some(runtime),
        }
    }

    pub(crate) fn socket(&self) -> std::path::PathBuf {
        self.directory.path().join("bgpd.sock")
    }

    /// A file beside the socket.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) async fn client(&self) -> Client {
        holdfast_api::connect(self.socket())
            .await
            .expect("a connection")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Not dropped in place: a runtime may not wait inside of another.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
