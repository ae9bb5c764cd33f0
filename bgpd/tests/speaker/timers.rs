//! Sessions by themselves, with a core that the test plays: time, and writers
//! and cores that stand still.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bgp_wire::update::Prefixes;
use bgp_wire::{Cease, ErrorCode, Message, NextHop, PeerKind};
use bgpd::fsm::{Event, PeerParams, RemoteAs, Reset, ResetCause, State};
use bgpd::session::outbound::{Outbound, SharedBatch};
use bgpd::session::transport::TransportParams;
use bgpd::session::{Command, FromSession, Report, SessionConfig, SessionHandle};
use holdfast_policy::AcceptAll;
use holdfast_rib::{GroupBatch, PeerId, PeerInfo, Rib, RibConfig};
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::peer::{Hello, Peer, accept, attributes, nlri};
use crate::rig::{Net, PORT, eventually, soon};

fn config(net: Net, host: u8) -> SessionConfig {
    let mut params = PeerParams::new(65001, Ipv4Addr::new(10, 0, 0, 1), RemoteAs::Number(65002));
    params.timing.connect_retry = Duration::from_secs(120);
    SessionConfig {
        params,
        transport: TransportParams {
            peer: net.host(host),
            port: PORT,
            source: Some(net.host(1)),
            password: None,
            hops: Some(1),
            ifindex: 0,
            device: None,
        },
    }
}

struct Lone {
    handle: SessionHandle,
    reports: mpsc::Receiver<FromSession>,
}

impl Lone {
    fn start(config: SessionConfig, room: usize) -> Lone {
        let (core, reports) = mpsc::channel(room);
        let handle = SessionHandle::spawn(PeerId(7), config, core);
        handle.tell(Command::Event(Event::ManualStart));
        Lone { handle, reports }
    }

    /// The data lane of the session that comes up.
    async fn up(&mut self) -> mpsc::Sender<Box<Outbound>> {
        soon("a session", async {
            loop {
                match self.reports.recv().await.unwrap().report {
                    Report::Up { data, .. } => return data,
                    _ => continue,
                }
            }
        })
        .await
    }

    fn state(&self) -> State {
        self.handle.status.shown().state
    }
}

/// What a core would have to say: that many routes with large attributes.
fn batches(count: u16) -> Vec<GroupBatch> {
    let mut rib = Rib::new(RibConfig::new(65001, Ipv4Addr::new(10, 0, 0, 1)));
    let source = PeerInfo::new(
        PeerKind::External,
        65001,
        65009,
        "192.0.2.9".parse().unwrap(),
    );
    let mut to = PeerInfo::new(
        PeerKind::External,
        65001,
        65002,
        "192.0.2.2".parse().unwrap(),
    );
    to.local_v4 = Some(Ipv4Addr::new(192, 0, 2, 1));
    rib.peer_up(PeerId(1), source, Arc::new(AcceptAll));
    rib.peer_up(PeerId(2), to, Arc::new(AcceptAll));
    for index in 0..count {
        let mut shared = attributes(&[65009, 65100 + u32::from(index)]);
        shared.communities = vec![bgp_wire::Community(9); 400];
        let [high, low] = index.to_be_bytes();
        let next_hop = shared.next_hop.take().unwrap();
        let update = bgp_wire::Update {
            announced: vec![bgp_wire::Announcement {
                next_hop,
                prefixes: Prefixes::V4(vec![nlri(&format!("10.{high}.{low}.0/24"))]),
            }],
            attributes: shared,
            ..bgp_wire::Update::default()
        };
        rib.update(PeerId(1), update, 0);
    }
    let hop = NextHop::V4(Ipv4Addr::new(192, 0, 2, 200)).addr();
    let reached = holdfast_rib::NextHopState::new(0, true);
    rib.take_tracking();
    rib.next_hop_changed(hop, Some(reached));
    let mut batches = Vec::new();
    let of_peer = |rib: &Rib| {
        let mut groups = rib.pending_groups().into_iter();
        groups.find(|group| rib.members(*group).contains(&PeerId(2)))
    };
    while let Some(group) = of_peer(&rib) {
        batches.extend(rib.export_group(group, 4096));
    }
    batches
}

fn outbound(batch: GroupBatch) -> Box<Outbound> {
    let mut members = batch.members.iter();
    Box::new(Outbound {
        member: *members.find(|member| member.peer == PeerId(2)).unwrap(),
        begin_refresh: false,
        batch: Arc::new(SharedBatch::new(batch)),
        end_of_rib: false,
        end_of_refresh: false,
        ready: Arc::default(),
    })
}

async fn listener(at: SocketAddr, buffer: usize) -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.set_recv_buffer_size(buffer).unwrap();
    socket.bind(&at.into()).unwrap();
    socket.listen(8).unwrap();
    TcpListener::from_std(socket.into()).unwrap()
}

/// RFC 9687. What the peer reads in the end is whole messages, and 8/0.
#[tokio::test]
async fn a_peer_that_reads_nothing_is_given_up_with_a_notification() {
    let net = Net::new();
    let listener = listener(net.at(2), 4096).await;
    let mut config = config(net, 2);
    config.params.timing.send_hold = Some(Duration::from_millis(300));
    let mut session = Lone::start(config, 64);
    let mut peer = accept(&listener).await;
    assert!(peer.handshake(&Hello::new(65002)).await);
    let data = session.up().await;
    // More than both ends' buffers take.
    let send = async move {
        for batch in batches(8000) {
            if data.send(outbound(batch)).await.is_err() {
                break;
            }
        }
    };
    let sending = tokio::spawn(send);
    eventually("the send hold timer", || async {
        (session.state() != State::Established).then_some(())
    })
    .await;
    let last = peer.farewell().await;
    assert_eq!(
        (last.code, last.subcode),
        (ErrorCode::SendHoldTimer as u8, 0)
    );
    soon("the data lane's end", sending).await.unwrap();
    let reset = session.handle.status.shown().last_reset.clone().unwrap().0;
    assert_eq!(reset.cause, ResetCause::SendHoldTimerExpired);
}

/// Our keepalives go on while a reader takes its time with a large table, and
/// its slowness is no reason to end the session.
#[tokio::test]
async fn keepalives_go_between_the_pieces_of_a_large_table() {
    let net = Net::new();
    let listener = listener(net.at(2), 4096).await;
    let mut config = config(net, 2);
    config.params.hold_time_secs = 3;
    let mut session = Lone::start(config, 64);
    let mut peer = accept(&listener).await;
    assert!(peer.handshake(&Hello::new(65002)).await);
    let data = session.up().await;
    let sending = tokio::spawn(async move {
        for batch in batches(8000) {
            data.send(outbound(batch)).await.unwrap();
        }
        data
    });
    let start = Instant::now();
    let (mut keepalives, mut routes) = (0, 0);
    while routes < 8000 {
        match peer.next().await {
            Some(Message::Update(update)) => routes += crate::peer::said(&update).0.len(),
            Some(Message::Keepalive) => {
                keepalives += 1;
                assert!(peer.try_send(&Message::Keepalive).await);
            }
            other => panic!("{other:?}"),
        }
        if routes % 40 == 0 {
            // About four seconds for all of it: longer than the hold time.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert!(start.elapsed() > Duration::from_secs(3));
    assert!(keepalives >= 2, "{keepalives}");
    assert_eq!(session.state(), State::Established);
    soon("the sender", sending).await.unwrap();
}

/// A core that is busy for longer than the hold time is not the peer's fault;
/// a peer that is silent while nothing waits is dead.
#[tokio::test]
async fn the_hold_timer_tells_a_busy_core_from_a_dead_peer() {
    let net = Net::new();
    let listener = listener(net.at(2), 65_536).await;
    let mut config = config(net, 2);
    config.params.hold_time_secs = 3;
    let mut session = Lone::start(config, 4);
    let mut peer = accept(&listener).await;
    assert!(peer.handshake(&Hello::new(65002)).await);
    session.up().await;
    // Four reads fill the lane; the rest waits in the session and in the socket.
    for index in 0..200u8 {
        peer.announce(&[&format!("10.0.{index}.0/24")], &attributes(&[65002]))
            .await;
        if index < 4 {
            let status = &session.handle.status;
            eventually("a read", || async {
                let read = status.received.updates.load(Ordering::Relaxed);
                (read > u64::from(index)).then_some(())
            })
            .await;
        }
    }
    let busy = Instant::now() + Duration::from_secs(5);
    while Instant::now() < busy {
        assert_eq!(session.state(), State::Established);
        peer.find(|m| matches!(m, Message::Keepalive).then_some(()))
            .await;
    }
    let (mut updates, mut down) = (0, false);
    while !down {
        match soon("a report", session.reports.recv())
            .await
            .unwrap()
            .report
        {
            Report::Updates { heard, .. } => updates += heard.len(),
            Report::Down { .. } => down = true,
            _ => {}
        }
    }
    assert_eq!(
        updates, 200,
        "nothing is lost, and all of it before the end"
    );
    let last = peer.farewell().await;
    assert_eq!((last.code, last.subcode), (ErrorCode::HoldTimer as u8, 0));
}

/// Without a core nobody uses what the peer says, nor says what it hears.
#[tokio::test]
async fn a_session_ends_when_the_core_is_gone() {
    let net = Net::new();
    let listener = listener(net.at(2), 65_536).await;
    let mut session = Lone::start(config(net, 2), 64);
    let mut peer = accept(&listener).await;
    assert!(peer.handshake(&Hello::new(65002)).await);
    let _data = session.up().await;
    drop(session.reports);
    let last = peer.farewell().await;
    assert_eq!(last.cease_reason(), Some(Cease::AdministrativeShutdown));
}

/// The attempt that was given up was taken for the end of all attempts, and
/// the success of the next one was noticed when a timer came by.
#[tokio::test]
async fn an_attempt_that_was_given_up_does_not_hide_the_next_one() {
    let net = Net::new();
    // A backlog of one that is taken: whoever comes now waits.
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&net.at(3).into()).unwrap();
    full.listen(0).unwrap();
    let occupant = std::net::TcpStream::connect(net.at(3)).unwrap();
    let session = Lone::start(config(net, 3), 64);
    eventually("an attempt", || async {
        (session.state() == State::Connect).then_some(())
    })
    .await;
    let listener = listener(net.at(2), 65_536).await;
    let reset = Reset::configuration(ResetCause::UserReset);
    let change = Command::Configure(Box::new(config(net, 2)), Some(reset));
    session.handle.tell(change);
    let mut peer = accept(&listener).await;
    assert!(peer.handshake(&Hello::new(65002)).await);
    drop(occupant);
}

/// Whoever can send from a peer's address must not crowd out the operator.
#[tokio::test]
async fn a_flood_of_connections_does_not_crowd_out_commands() {
    let net = Net::new();
    let listener = listener(net.at(1), 65_536).await;
    let mut quiet = config(net, 2);
    quiet.params.passive = true;
    let session = Lone::start(quiet, 64);
    // On this one thread the session does not run until we wait.
    let mut callers = Vec::new();
    for _ in 0..100 {
        let (caller, accepted) = tokio::join!(Peer::dial(net, 2, 1), listener.accept());
        callers.push((caller, accepted.unwrap().0));
    }
    let mut kept = Vec::new();
    for (caller, accepted) in callers {
        session.handle.offer(accepted);
        kept.push(caller);
    }
    let (done, ended) = tokio::sync::oneshot::channel();
    let stop = Event::ManualStop(bgpd::fsm::Stop::shutdown());
    session.handle.tell(Command::Quit(stop, done));
    soon("the end", ended).await.expect("the command was taken");
}

#[test]
fn batches_hold_what_they_should() {
    let all = batches(10);
    let routes: usize = all
        .iter()
        .flat_map(|b| &b.announced)
        .map(|part| part.prefixes.len())
        .sum();
    assert_eq!(routes, 10);
    let marked = all.iter().any(|b| b.end_of_rib);
    assert!(marked);
}
