//! One TCP connection of a session: its reading half, and the lanes that lead
//! to its writer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bgp_wire::{CodecContext, Decoder, Frame, Message, MessageKind, Notification};
use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::outbound::{self, Outbound};
use super::status::Status;
use super::writer::{CONTROL_LANE, Control, DATA_LANE, Writer, WriterEvent};
use crate::fsm::ConnId;

/// Most octets asked for in one read: a few messages of the largest size.
const READ_SIZE: usize = 64 * 1024;

/// Least octets asked for in one read: a few small messages. The allocator has
/// this much at hand, where a page makes it tidy up first.
const READ_SIZE_MIN: usize = 1000;

/// Places in the control lane that only a NOTIFICATION, the start of a session
/// and the end of a connection may take.
const RESERVED: usize = 4;

/// How long a closed connection is still read, so that the kernel does not
/// answer what the peer is sending with a reset that would overtake our
/// NOTIFICATION.
const LINGER: Duration = Duration::from_secs(2);

/// A connection that is up.
#[derive(Debug)]
pub struct Connection {
    /// Its id in the state machine.
    pub id: ConnId,
    /// Our end.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
    /// What messages are decoded with: the initial context until the session
    /// on this connection is up.
    pub context: CodecContext,
    /// Whether the session runs on this connection.
    pub established: bool,
    /// Octets read and not yet taken apart.
    pub buffer: BytesMut,
    decoder: Decoder,
    /// Octets to ask for in the next read.
    read_size: usize,
    read: OwnedReadHalf,
    control: mpsc::Sender<Box<Control>>,
    /// Until the writer has said it.
    last_word: Option<oneshot::Receiver<WriterEvent>>,
    writer: JoinHandle<()>,
}

/// What came by a connection.
#[derive(Debug)]
pub enum Incoming {
    /// A message that is no UPDATE.
    Message(Message),
    /// An UPDATE, not taken apart yet.
    Update(Frame),
    /// An UPDATE before the session was up.
    EarlyUpdate,
    /// A ROUTE-REFRESH before the session was up.
    EarlyRefresh,
}

/// What a connection has to say.
#[derive(Debug)]
pub enum Happened {
    /// This many octets were read; 0 at the end.
    Read(io::Result<usize>),
    /// The writer's word; none when it has ended.
    Writer(Option<WriterEvent>),
}

impl Connection {
    /// Takes over a connected socket and starts its writer.
    pub fn new(
        id: ConnId,
        stream: TcpStream,
        status: Arc<Status>,
        send_hold: Option<Duration>,
    ) -> io::Result<Connection> {
        let (local, remote) = (stream.local_addr()?, stream.peer_addr()?);
        let (read, write) = stream.into_split();
        let (control, control_lane) = mpsc::channel(CONTROL_LANE);
        let (event_lane, last_word) = oneshot::channel();
        let writer = Writer::new(write, control_lane, event_lane, status, send_hold);
        Ok(Connection {
            id,
            local,
            remote,
            context: outbound::initial_context(),
            established: false,
            buffer: BytesMut::new(),
            decoder: Decoder::new(),
            read_size: READ_SIZE_MIN,
            read,
            control,
            last_word: Some(last_word),
            writer: tokio::spawn(writer.run()),
        })
    }

    /// Waits for the next thing to happen. May be dropped and called again.
    pub async fn next(&mut self, reading: bool) -> (ConnId, Happened) {
        let (read, buffer) = (&mut self.read, &mut self.buffer);
        let read = read_some(read, buffer, &mut self.read_size);
        let happened = tokio::select! {
            biased;
            event = said(&mut self.last_word) => Happened::Writer(event),
            read = read, if reading => Happened::Read(read),
        };
        (self.id, happened)
    }

    /// Everything was taken apart that can be: a connection that waits holds
    /// no memory for what may come.
    pub fn rest(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    /// Reads what is there without waiting.
    pub fn try_read(&mut self) -> io::Result<usize> {
        self.buffer.reserve(READ_SIZE);
        let read = self.read.try_read_buf(&mut self.buffer);
        if !matches!(read, Ok(1..)) {
            self.rest();
        }
        read
    }

    /// The next whole message in the buffer.
    ///
    /// # Errors
    /// What to tell the peer before the connection is closed.
    pub fn next_message(&mut self) -> Result<Option<Incoming>, Notification> {
        let Some(frame) = self.decoder.decode(&mut self.buffer)? else {
            return Ok(None);
        };
        // What only a running session can understand is not taken apart
        // before: the machine refuses it by its kind (RFC 6608).
        let early = !self.established;
        match frame.kind {
            MessageKind::Update if early => Ok(Some(Incoming::EarlyUpdate)),
            MessageKind::Update => Ok(Some(Incoming::Update(frame))),
            MessageKind::RouteRefresh if early => Ok(Some(Incoming::EarlyRefresh)),
            _ => bgp_wire::decode_message(&self.context, &frame.bytes)
                .map(|message| Some(Incoming::Message(message))),
        }
    }

    /// Sends by the control lane. False where the lane is full: the peer reads
    /// nothing. A KEEPALIVE is left out then, since what waits before it says
    /// the same as soon as it is read: it is for the send hold timer to give
    /// the connection up. The last places are for a NOTIFICATION and the end.
    pub fn send(&self, message: Message) -> bool {
        let last = matches!(message, Message::Notification(_));
        if !last && self.control.capacity() <= RESERVED {
            return matches!(message, Message::Keepalive);
        }
        self.control
            .try_send(Box::new(Control::Send(message)))
            .is_ok()
    }

    /// The session is up on this connection: opens the data lane.
    pub fn establish(&mut self, context: CodecContext) -> mpsc::Sender<Box<Outbound>> {
        let (sender, data) = mpsc::channel(DATA_LANE);
        self.context = context;
        self.decoder.set_extended_message(context.extended_message);
        self.established = true;
        // Where the lane is full the writer is stuck in a write that has to
        // fail or expire; the session ends with it.
        let _ = self
            .control
            .try_send(Box::new(Control::Established { context, data }));
        sender
    }

    /// Sends what was given before, closes, and goes on reading for a moment.
    /// The future ends when the connection is gone; nothing is announced on it
    /// from the call on.
    pub fn close(mut self) -> impl Future<Output = ()> + Send {
        let _ = self.control.try_send(Box::new(Control::Close));
        async move {
            // Also ends a writer whose lane was full, once it looks.
            drop(self.control);
            let linger = async {
                let _ = (&mut self.writer).await;
                // Small: it is a part of the task, and hundreds may end at once.
                let mut scrap = [0u8; 256];
                while matches!(self.read.read(&mut scrap).await, Ok(n) if n > 0) {}
            };
            if tokio::time::timeout(LINGER, linger).await.is_err() {
                self.writer.abort();
            }
        }
    }
}

/// The writer's last word, once.
async fn said(last_word: &mut Option<oneshot::Receiver<WriterEvent>>) -> Option<WriterEvent> {
    let Some(word) = last_word else {
        return std::future::pending().await;
    };
    let event = word.await.ok();
    *last_word = None;
    event
}

/// Reads what is there, into a buffer that is made when something is, and as
/// large as what came before it says. May be dropped and called again.
async fn read_some(
    read: &mut OwnedReadHalf,
    buffer: &mut BytesMut,
    size: &mut usize,
) -> io::Result<usize> {
    read.readable().await?;
    buffer.reserve(*size);
    let count = read.read_buf(buffer).await?;
    // What was read is kept until the core has looked at it: hundreds of peers
    // that say little must not take a large buffer each.
    *size = if count >= *size { *size * 4 } else { count };
    *size = (*size).clamp(READ_SIZE_MIN, READ_SIZE);
    Ok(count)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use bgp_wire::Capability;
    use tokio::net::TcpListener;

    use super::*;
    use crate::fsm::{Fsm, PeerParams, RemoteAs};

    /// A connection and the peer's end of it.
    async fn connection() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (far, _) = listener.accept().await.unwrap();
        let params = PeerParams::new(65001, Ipv4Addr::new(192, 0, 2, 1), RemoteAs::External);
        let id = Fsm::new(params, 1).next_conn_id();
        let connection = Connection::new(id, near.unwrap(), Arc::default(), None);
        (connection.unwrap(), far)
    }

    #[tokio::test]
    async fn a_look_that_finds_nothing_leaves_no_buffer() {
        let (mut connection, far) = connection().await;
        let nothing = connection.try_read().unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(connection.buffer.capacity(), 0);
        // What is there is read, and a part of a message stays.
        assert_eq!(far.try_write(&[0xff; 5]).unwrap(), 5);
        while connection.try_read().is_err() {
            connection.read.readable().await.unwrap();
        }
        assert!(connection.try_read().is_err());
        assert_eq!(connection.buffer.len(), 5);
    }

    #[tokio::test]
    async fn nothing_follows_an_open_that_cannot_be_encoded() {
        let (mut connection, mut far) = connection().await;
        let mut params = PeerParams::new(65001, Ipv4Addr::LOCALHOST, RemoteAs::External);
        params.extra_capabilities = vec![Capability::Unknown {
            code: 200,
            value: vec![0; 256],
        }];
        assert!(connection.send(Message::Open(params.open())));
        connection.send(Message::Keepalive);
        let deadline = Duration::from_secs(10);
        let happened = tokio::time::timeout(deadline, connection.next(false)).await;
        let (_, happened) = happened.expect("the connection goes on");
        let Happened::Writer(Some(WriterEvent::Failed(error))) = happened else {
            panic!("{happened:?}");
        };
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        drop(connection);
        let mut seen = Vec::new();
        far.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen, []);
    }

    #[tokio::test]
    async fn a_writer_that_is_gone_without_a_word_is_noticed_once() {
        let (mut connection, _far) = connection().await;
        connection.writer.abort();
        let (_, happened) = connection.next(false).await;
        assert!(matches!(happened, Happened::Writer(None)), "{happened:?}");
        let again = futures::future::FutureExt::now_or_never(connection.next(true));
        assert!(again.is_none(), "{again:?}");
    }
}
