//! A peer that says what the test wants, in well-formed messages or not.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bgp_wire::update::{Announcement, Nlri, Prefixes};
use bgp_wire::{
    AsPath, Capability, CodecContext, Decoder, Family, FamilySet, Message, NextHop, Notification,
    Open, Origin, PathAttributes, PeerKind, RouteRefresh, RouteRefreshKind, Update, V4,
    decode_message, encode_announcements,
};
use bytes::BytesMut;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::rig::{Net, Router, soon};

pub(crate) fn both() -> FamilySet {
    Family::ALL.into_iter().collect()
}

/// How the peer introduces itself.
#[derive(Debug, Clone)]
pub(crate) struct Hello {
    pub(crate) asn: u16,
    pub(crate) id: Ipv4Addr,
    pub(crate) hold: u16,
    pub(crate) capabilities: Vec<Capability>,
}

impl Hello {
    /// IPv4, four-octet AS numbers and plain route refresh.
    pub(crate) fn new(asn: u16) -> Hello {
        Hello {
            asn,
            id: Ipv4Addr::new(10, 9, 9, 9),
            hold: 180,
            capabilities: vec![
                Capability::Multiprotocol(Family::Ipv4Unicast.afi_safi()),
                Capability::RouteRefresh,
                Capability::FourOctetAs(asn.into()),
            ],
        }
    }

    pub(crate) fn and(mut self, capability: Capability) -> Hello {
        self.capabilities.push(capability);
        self
    }

    fn open(&self) -> Message {
        Message::Open(Open {
            version: 4,
            my_as: self.asn,
            hold_time_secs: self.hold,
            bgp_id: self.id,
            capabilities: self.capabilities.clone(),
        })
    }
}

pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    pub(crate) theirs: Option<Open>,
    buffer: BytesMut,
    decoder: Decoder,
    context: CodecContext,
}

fn context(extended: bool) -> CodecContext {
    CodecContext {
        peer_kind: PeerKind::External,
        four_octet_as: true,
        extended_message: extended,
        families: both(),
        add_path_receive: FamilySet::EMPTY,
        add_path_send: FamilySet::EMPTY,
        extended_next_hop: FamilySet::EMPTY,
    }
}

impl Peer {
    pub(crate) fn on(stream: TcpStream) -> Peer {
        Peer {
            stream,
            theirs: None,
            buffer: BytesMut::new(),
            decoder: Decoder::new(),
            context: context(false),
        }
    }

    /// Connects to a router, without a word.
    pub(crate) async fn dial(net: Net, from: u8, to: u8) -> Peer {
        Peer::dial_with(net, from, to, None).await.unwrap()
    }

    async fn dial_with(net: Net, from: u8, to: u8, buffer: Option<usize>) -> std::io::Result<Peer> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        if let Some(size) = buffer {
            socket.set_recv_buffer_size(size)?;
        }
        socket.bind(&SocketAddr::new(net.host(from), 0).into())?;
        let socket = tokio::net::TcpSocket::from_std_stream(socket.into());
        socket.connect(net.at(to)).await.map(Peer::on)
    }

    /// A session with a router that has the peer configured (passive, so that
    /// it does not connect by itself). Tries again while it is being damped.
    pub(crate) async fn up(router: &Router, host: u8, hello: Hello) -> Peer {
        Peer::up_with(router, host, hello, None).await
    }

    /// The same with a receive buffer of that size.
    pub(crate) async fn up_with(
        router: &Router,
        host: u8,
        hello: Hello,
        buffer: Option<usize>,
    ) -> Peer {
        let session = async {
            loop {
                if let Ok(mut peer) = Peer::dial_with(router.net, host, router.host, buffer).await
                    && peer.handshake(&hello).await
                {
                    return peer;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        soon("a session", session).await
    }

    /// OPEN and KEEPALIVE both ways; whether it came to that.
    pub(crate) async fn handshake(&mut self, hello: &Hello) -> bool {
        if !self.try_send(&hello.open()).await {
            return false;
        }
        let Some(Message::Open(open)) = self.next().await else {
            return false;
        };
        let extended = |list: &[Capability]| list.contains(&Capability::ExtendedMessage);
        if extended(&open.capabilities) && extended(&hello.capabilities) {
            self.decoder.set_extended_message(true);
            self.context.extended_message = true;
        }
        self.theirs = Some(open);
        self.try_send(&Message::Keepalive).await
            && matches!(self.next().await, Some(Message::Keepalive))
    }

    pub(crate) async fn try_send(&mut self, message: &Message) -> bool {
        let mut out = BytesMut::new();
        message.encode(&self.context, &mut out).unwrap();
        self.stream.write_all(&out).await.is_ok()
    }

    pub(crate) async fn send(&mut self, message: Message) {
        assert!(self.try_send(&message).await, "the router has hung up");
    }

    pub(crate) async fn update(&mut self, update: Update) {
        self.send(Message::Update(Box::new(update))).await;
    }

    pub(crate) async fn end_of_rib(&mut self, family: Family) {
        self.update(Update::end_of_rib(family)).await;
    }

    pub(crate) async fn refresh(&mut self, family: Family, kind: RouteRefreshKind) {
        self.send(Message::RouteRefresh(RouteRefresh {
            family: family.afi_safi(),
            kind,
        }))
        .await;
    }

    /// Announces IPv4 prefixes that share attributes, in full messages.
    pub(crate) async fn announce(&mut self, prefixes: &[&str], attributes: &PathAttributes) {
        let list: Vec<_> = prefixes.iter().map(|p| nlri(p)).collect();
        self.announce_all(&list, attributes).await;
    }

    pub(crate) async fn announce_all(
        &mut self,
        list: &[Nlri<ipnet::Ipv4Net>],
        attributes: &PathAttributes,
    ) {
        let mut out = BytesMut::new();
        encode_announcements::<V4>(&self.context, attributes, list, &mut out).unwrap();
        self.stream.write_all(&out).await.unwrap();
    }

    pub(crate) async fn withdraw(&mut self, prefixes: &[&str]) {
        self.update(Update {
            withdrawn: vec![Prefixes::V4(prefixes.iter().map(|p| nlri(p)).collect())],
            ..Update::default()
        })
        .await;
    }

    /// The next message; none at the end.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        soon("a message", async {
            loop {
                if let Some(frame) = self.decoder.decode(&mut self.buffer).unwrap() {
                    return Some(decode_message(&self.context, &frame.bytes).unwrap());
                }
                match self.stream.read_buf(&mut self.buffer).await {
                    Ok(n) if n > 0 => {}
                    _ => return None,
                }
            }
        })
        .await
    }

    /// The next message that `pick` likes; those before it are dropped.
    pub(crate) async fn find<T>(&mut self, mut pick: impl FnMut(&Message) -> Option<T>) -> T {
        loop {
            let Some(message) = self.next().await else {
                panic!("closed");
            };
            if let Some(found) = pick(&message) {
                return found;
            }
        }
    }

    /// The next UPDATE.
    pub(crate) async fn next_update(&mut self) -> Update {
        self.find(|message| match message {
            Message::Update(update) => Some(update.as_ref().clone()),
            _ => None,
        })
        .await
    }

    /// Reads to the End-of-RIB of IPv4.
    pub(crate) async fn initial(&mut self) -> Vec<Update> {
        let mut updates = Vec::new();
        loop {
            let update = self.next_update().await;
            if update.end_of_rib == Some(Family::Ipv4Unicast) {
                return updates;
            }
            updates.push(update);
        }
    }

    /// The NOTIFICATION that ends the session: the connection must be closed
    /// after it.
    pub(crate) async fn farewell(&mut self) -> Notification {
        let last = self
            .find(|message| match message {
                Message::Notification(n) => Some(n.clone()),
                _ => None,
            })
            .await;
        assert_eq!(self.next().await, None, "a word after the last");
        last
    }
}

/// Waits for a router to connect.
pub(crate) async fn accept(listener: &TcpListener) -> Peer {
    let (stream, _) = soon("a connection", listener.accept()).await.unwrap();
    Peer::on(stream)
}

pub(crate) fn nlri(prefix: &str) -> Nlri<ipnet::Ipv4Net> {
    Nlri {
        path_id: 0,
        prefix: prefix.parse().unwrap(),
    }
}

/// Attributes of a route from an external peer.
pub(crate) fn attributes(path: &[u32]) -> PathAttributes {
    PathAttributes {
        origin: Origin::Igp,
        as_path: AsPath::from_sequence(path),
        next_hop: Some(NextHop::V4(Ipv4Addr::new(192, 0, 2, 200))),
        ..PathAttributes::default()
    }
}

/// What is announced and what withdrawn in an UPDATE, IPv4.
pub(crate) fn said(update: &Update) -> (Vec<String>, Vec<String>) {
    let text = |prefixes: &Prefixes| -> Vec<String> {
        match prefixes {
            Prefixes::V4(list) => list.iter().map(|n| n.prefix.to_string()).collect(),
            Prefixes::V6(list) => list.iter().map(|n| n.prefix.to_string()).collect(),
        }
    };
    let announced = |a: &Announcement| text(&a.prefixes);
    (
        update.announced.iter().flat_map(announced).collect(),
        update.withdrawn.iter().flat_map(text).collect(),
    )
}

/// A neighbor that the router waits for.
pub(crate) fn passive(router: &Router, host: u8, asn: u32) -> String {
    let peer: IpAddr = router.net.host(host);
    format!("{} neighbor {peer} passive\n", router.neighbor(host, asn))
}
