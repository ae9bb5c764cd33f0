//! The API's socket and its calls.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use bgpd::server::{Server, Socket};
use holdfast_api::{Client, v1};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::peer::{Hello, Peer, attributes, nlri, passive};
use crate::rig::{Net, Router, eventually, soon};

async fn client(path: &Path) -> Client {
    holdfast_api::connect(path).await.unwrap()
}

struct Served {
    router: Router,
    path: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
    _directory: tempfile::TempDir,
}

impl Served {
    async fn start() -> Served {
        let net = Net::new();
        let router = Router::start(net, 1, 65001).await;
        router.run(&passive(&router, 2, 65002)).await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("api.sock");
        let socket = Socket::open(&path, None).unwrap();
        let (stop, stopped) = oneshot::channel();
        let server = Server::new(router.speaker.clone());
        let task = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            server.serve(socket, stopped).await.unwrap();
        });
        Served {
            router,
            path,
            stop: Some(stop),
            task,
            _directory: directory,
        }
    }

    async fn stop(&mut self) {
        drop(self.stop.take());
        soon("the server's end", &mut self.task).await.unwrap();
    }
}

#[tokio::test]
async fn the_socket_is_for_owner_and_group_and_goes_with_the_server() {
    let mut served = Served::start().await;
    let mode = std::fs::metadata(&served.path)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
    let mut client = client(&served.path).await;
    let global = client
        .get_global(v1::GetGlobalRequest::default())
        .await
        .unwrap();
    assert_eq!(global.into_inner().asn, 65001);
    served.stop().await;
    assert!(!served.path.exists());
}

#[tokio::test]
async fn a_second_daemon_leaves_the_first_ones_socket_alone() {
    let served = Served::start().await;
    let inode = || std::fs::metadata(&served.path).unwrap().ino();
    let before = inode();
    let error = Socket::open(&served.path, None).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert_eq!(inode(), before);
    client(&served.path).await;
}

#[tokio::test]
async fn what_a_dead_daemon_left_is_replaced_and_what_is_no_socket_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("api.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let socket = Socket::open(&path, None).unwrap();
    drop(socket);
    assert!(!path.exists(), "a socket that was never served goes, too");
    std::fs::write(&path, "precious").unwrap();
    let error = Socket::open(&path, None).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

/// The end of a daemon must not take the socket of its successor along.
#[tokio::test]
async fn a_socket_that_took_our_place_stays() {
    let mut served = Served::start().await;
    std::fs::remove_file(&served.path).unwrap();
    let next = Socket::open(&served.path, None).unwrap();
    served.stop().await;
    assert!(served.path.exists());
    drop(next);
}

#[tokio::test]
async fn requests_name_an_instance() {
    let served = Served::start().await;
    let mut client = client(&served.path).await;
    let view = "router bgp 65009 view RED";
    let answer = served.router.lines(&[], &[view]).await;
    assert!(answer.results[0].ok, "{answer:?}");
    let list = client.list_instances(v1::ListInstancesRequest {}).await;
    let list = list.unwrap().into_inner().instances;
    let names: Vec<_> = list.iter().map(|i| (i.name.as_str(), i.asn)).collect();
    assert_eq!(names, [("default", 65001), ("RED", 65009)]);
    for (instance, asn, peers) in [("", 65001, 1), ("default", 65001, 1), ("RED", 65009, 0)] {
        let instance = instance.to_owned();
        let request = v1::GetGlobalRequest {
            instance: instance.clone(),
        };
        let global = client.get_global(request).await.unwrap().into_inner();
        assert_eq!(global.asn, asn, "{instance}");
        let request = v1::ListPeersRequest {
            instance: instance.clone(),
            ..v1::ListPeersRequest::default()
        };
        let listed = client.list_peers(request).await.unwrap().into_inner();
        assert_eq!(listed.peers.len(), peers, "{instance}");
    }
    let nowhere = "BLUE".to_owned();
    let request = v1::ListRoutesRequest {
        instance: nowhere.clone(),
        ..crate::rig::loc_rib(v1::Family::Ipv4Unicast)
    };
    let status = client.list_routes(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
    let request = v1::WatchRequest {
        instance: nowhere,
        ..v1::WatchRequest::default()
    };
    let status = client.watch(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
    assert_eq!(status.message(), "no BGP instance is named \"BLUE\"");
}

#[tokio::test]
async fn errors_have_their_codes() {
    let served = Served::start().await;
    let mut client = client(&served.path).await;
    let routes =
        |family: v1::Family, table: v1::Table, peer: &str, prefix: &str| v1::ListRoutesRequest {
            family: family.into(),
            table: table.into(),
            peer: peer.to_owned(),
            prefix: prefix.to_owned(),
            ..v1::ListRoutesRequest::default()
        };
    use v1::{Family, Table};
    for (request, code) in [
        (
            routes(Family::Unspecified, Table::LocRib, "", ""),
            tonic::Code::InvalidArgument,
        ),
        (
            routes(Family::Ipv4Unicast, Table::LocRib, "", "2001::/16"),
            tonic::Code::InvalidArgument,
        ),
        (
            routes(Family::Ipv4Unicast, Table::Received, "192.0.2.99", ""),
            tonic::Code::NotFound,
        ),
        (
            routes(Family::Ipv4Unicast, Table::Received, "nobody", ""),
            tonic::Code::NotFound,
        ),
    ] {
        let status = client.list_routes(request.clone()).await.unwrap_err();
        assert_eq!(status.code(), code, "{request:?}");
    }
    let written = client.write_config(v1::WriteConfigRequest {}).await;
    assert_eq!(written.unwrap_err().code(), tonic::Code::FailedPrecondition);
    let clear = client.clear(v1::ClearRequest::default()).await;
    assert_eq!(clear.unwrap_err().code(), tonic::Code::NotFound);
}

/// Clients that go away in the middle of an answer, or do not read it.
#[tokio::test]
async fn clients_that_leave_or_stand_still_hold_nobody_up() {
    let mut served = Served::start().await;
    // Without a kernel the FIB is kept for those who watch it.
    let _watch = served.router.speaker.watch(v1::WatchRequest {
        fib: true,
        ..v1::WatchRequest::default()
    });
    let mut peer = Peer::up(&served.router, 2, Hello::new(65002)).await;
    let list: Vec<_> = (0..20_000u32)
        .map(|n| nlri(&format!("10.{}.{}.0/24", n / 256, n % 256)))
        .collect();
    peer.announce_all(&list, &attributes(&[65002])).await;
    eventually("the routes", || async {
        (served.router.peer(2).await.families[0].accepted == 20_000).then_some(())
    })
    .await;
    let request = crate::rig::loc_rib(v1::Family::Ipv4Unicast);
    for _ in 0..10 {
        let mut leaving = client(&served.path).await;
        let mut routes = leaving
            .list_routes(request.clone())
            .await
            .unwrap()
            .into_inner();
        assert!(!routes.message().await.unwrap().unwrap().routes.is_empty());
    }
    let mut still = client(&served.path).await;
    let mut unread = still
        .list_routes(request.clone())
        .await
        .unwrap()
        .into_inner();
    let watch = v1::WatchRequest {
        routes: true,
        ..v1::WatchRequest::default()
    };
    let mut unwatched = still.watch(watch).await.unwrap().into_inner();

    let mut reading = client(&served.path).await;
    let mut all = reading.list_routes(request).await.unwrap().into_inner();
    let mut count = 0;
    while let Some(chunk) = soon("a chunk", all.message()).await.unwrap() {
        count += chunk.routes.len();
    }
    assert_eq!(count, 20_000);
    let mut count = 0;
    let request = v1::ListFibRequest {
        instance: String::new(),
        family: v1::Family::Ipv4Unicast.into(),
        prefix: String::new(),
        protocol: String::new(),
    };
    let mut fib = reading.list_fib(request).await.unwrap().into_inner();
    while let Some(chunk) = soon("a chunk", fib.message()).await.unwrap() {
        assert!(chunk.routes.iter().all(|route| route.installed));
        count += chunk.routes.len();
    }
    assert_eq!(count, 20_000);
    // What waits for the one that stands still waits there.
    drop(peer);
    served.router.has(&[]).await;
    assert!(unread.message().await.unwrap().is_some());
    assert!(unwatched.message().await.unwrap().is_some());
    drop((unread, unwatched, still, all, fib, reading));
    served.stop().await;
}
