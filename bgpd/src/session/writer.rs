//! The writing half of a connection.
//!
//! Two lanes lead here. The control lane carries OPEN, KEEPALIVE,
//! NOTIFICATION and ROUTE-REFRESH, and is served first; the data lane carries
//! what the routing core wants announced, shared with the writers of the peers
//! that are told the same: whoever gets to a batch first encodes it. So neither
//! lane waits for the other's sender.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bgp_wire::{CodecContext, Family, Message, RouteRefresh, RouteRefreshKind, encode_end_of_rib};
use bytes::{Buf, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::chunks::Chunks;
use super::outbound::{self, Outbound};
use super::status::Status;

/// Control messages that may wait. The state machine sends one now and then;
/// a lane that is full belongs to a peer that reads nothing.
pub const CONTROL_LANE: usize = 32;

/// Batches that may wait while one is being written: the core makes the next
/// only when there is room, from what is true by then.
pub const DATA_LANE: usize = 2;

/// How long a closing connection may take to send its last words.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Octets gathered before they are handed to the kernel; a keepalive waits for
/// so much at most.
const FLUSH: usize = 256 * 1024;

/// Pieces gathered before they are handed to the kernel: as many as the runtime
/// gives it at once.
const FLUSH_PIECES: usize = 64;

/// What the control lane carries.
#[derive(Debug)]
pub enum Control {
    /// Send this message.
    Send(Message),
    /// The session is up: announcements may come by this lane.
    Established {
        /// What was negotiated.
        context: CodecContext,
        /// The data lane.
        data: mpsc::Receiver<Box<Outbound>>,
    },
    /// Nothing comes after this: send what waits, then close for writing.
    Close,
}

/// What the writer tells its session.
#[derive(Debug)]
pub enum WriterEvent {
    /// The socket failed.
    Failed(io::Error),
    /// Nothing could be written for the send hold time (RFC 9687).
    SendHoldExpired,
}

/// Writes until told to close, or until the socket fails.
#[derive(Debug)]
pub struct Writer {
    /// The socket.
    socket: OwnedWriteHalf,
    /// The control lane.
    control: mpsc::Receiver<Box<Control>>,
    /// Where to report why it ended.
    events: Option<oneshot::Sender<WriterEvent>>,
    /// Counters.
    status: Arc<Status>,
    /// RFC 9687: how long a write may make no progress; none for ever.
    send_hold: Option<Duration>,
    /// What waits to be written.
    queue: Chunks,
}

impl Writer {
    /// A writer that has nothing to write yet.
    pub fn new(
        socket: OwnedWriteHalf,
        control: mpsc::Receiver<Box<Control>>,
        events: oneshot::Sender<WriterEvent>,
        status: Arc<Status>,
        send_hold: Option<Duration>,
    ) -> Writer {
        Writer {
            socket,
            control,
            events: Some(events),
            status,
            send_hold,
            queue: Chunks::default(),
        }
    }

    /// Runs to the end of the connection.
    pub async fn run(mut self) {
        let mut data: Option<(CodecContext, mpsc::Receiver<Box<Outbound>>)> = None;
        loop {
            let step = tokio::select! {
                biased;
                control = self.control.recv() => match control.map(|control| *control) {
                    Some(Control::Send(message)) => {
                        let context = data.as_ref().map(|d| d.0);
                        let last = is_last(&message);
                        let sent = self.send(&message, context).await;
                        if last && sent.is_ok() {
                            break;
                        }
                        sent
                    }
                    Some(Control::Established { context, data: lane }) => {
                        data = Some((context, lane));
                        Ok(())
                    }
                    Some(Control::Close) | None => break,
                },
                batch = next(&mut data) => match data.as_ref().map(|d| d.0) {
                    Some(context) => self.announce(*batch, context).await,
                    None => Ok(()),
                },
            };
            if let Err(event) = step {
                let stuck = matches!(event, WriterEvent::SendHoldExpired);
                // The session may be gone already; then nobody needs to know.
                let _ = self.events.take().map(|events| events.send(event));
                if stuck {
                    self.last_words().await;
                }
                return;
            }
        }
        let _ = timeout(CLOSE_TIMEOUT, self.socket.shutdown()).await;
    }

    /// The send hold time is over: the NOTIFICATION that follows is tried all
    /// the same, behind the rest of the message that the peer has a part of.
    async fn last_words(mut self) {
        let mut buffer = BytesMut::from(&self.queue.rest_of_message()[..]);
        while let Some(control) = self.control.recv().await
            && let Control::Send(message) = *control
        {
            if matches!(message, Message::Notification(_))
                && message
                    .encode(&outbound::initial_context(), &mut buffer)
                    .is_ok()
            {
                self.status.count_sent(&message);
            }
        }
        let write = async {
            self.socket.write_all(&buffer).await?;
            self.socket.shutdown().await
        };
        let _ = timeout(CLOSE_TIMEOUT, write).await;
    }

    async fn send(
        &mut self,
        message: &Message,
        context: Option<CodecContext>,
    ) -> Result<(), WriterEvent> {
        self.put(message, &context.unwrap_or_else(outbound::initial_context))?;
        self.flush().await
    }

    /// Queues a message. One that cannot be encoded is left out, but nothing
    /// may go before the OPEN: without it the connection ends.
    fn put(&mut self, message: &Message, context: &CodecContext) -> Result<(), WriterEvent> {
        let mut buffer = BytesMut::new();
        match message.encode(context, &mut buffer) {
            Ok(()) => {
                self.status.count_sent(message);
                self.queue.push(buffer.freeze());
            }
            Err(error) => {
                tracing::error!(%error, "a message could not be encoded");
                if matches!(message, Message::Open(_)) {
                    let text = format!("the OPEN could not be encoded: {error}");
                    let error = io::Error::new(io::ErrorKind::InvalidData, text);
                    return Err(WriterEvent::Failed(error));
                }
            }
        }
        Ok(())
    }

    fn put_mark(
        &mut self,
        family: Family,
        kind: RouteRefreshKind,
        context: &CodecContext,
    ) -> Result<(), WriterEvent> {
        let message = Message::RouteRefresh(RouteRefresh {
            family: family.afi_safi(),
            kind,
        });
        self.put(&message, context)
    }

    /// Writes what a batch has for this peer.
    async fn announce(
        &mut self,
        outbound: Outbound,
        context: CodecContext,
    ) -> Result<(), WriterEvent> {
        let Outbound {
            member,
            begin_refresh,
            batch,
            end_of_rib,
            end_of_refresh,
            ready: _,
        } = outbound;
        let family = batch.family();
        if begin_refresh {
            self.put_mark(family, RouteRefreshKind::Begin, &context)?;
        }
        for part in batch.parts(&context).await {
            let Some(octets) = part.octets_for(&member) else {
                continue;
            };
            self.queue.push(octets);
            self.status.count_sent_updates(part.updates);
            if self.queue.remaining() >= FLUSH || self.queue.pieces() >= FLUSH_PIECES {
                self.flush().await?;
                self.urgent(context).await?;
            }
        }
        // Octets that others wait for are not kept until ours are gone.
        drop(batch);
        if end_of_rib {
            let mut marker = BytesMut::new();
            // Of a fixed size that fits into every message.
            if encode_end_of_rib(family, &mut marker).is_ok() {
                self.status.count_sent_updates(1);
                self.queue.push(marker.freeze());
            }
        }
        if end_of_refresh {
            self.put_mark(family, RouteRefreshKind::End, &context)?;
        }
        self.flush().await
    }

    /// Sends what the control lane has in the middle of a batch.
    async fn urgent(&mut self, context: CodecContext) -> Result<(), WriterEvent> {
        while let Ok(control) = self.control.try_recv() {
            let last = match *control {
                Control::Send(message) => {
                    self.send(&message, Some(context)).await?;
                    is_last(&message)
                }
                Control::Established { .. } => false,
                Control::Close => true,
            };
            if last {
                let _ = timeout(CLOSE_TIMEOUT, self.socket.shutdown()).await;
                return Err(WriterEvent::Failed(io::ErrorKind::ConnectionAborted.into()));
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), WriterEvent> {
        while self.queue.has_remaining() {
            let write = self.socket.write_buf(&mut self.queue);
            let written = match self.send_hold {
                Some(time) => timeout(time, write).await,
                None => Ok(write.await),
            };
            match written {
                Ok(Ok(0)) => return Err(WriterEvent::Failed(io::ErrorKind::WriteZero.into())),
                Ok(Ok(_)) => self.status.wrote(),
                Ok(Err(error)) => return Err(WriterEvent::Failed(error)),
                Err(_) => return Err(WriterEvent::SendHoldExpired),
            }
        }
        Ok(())
    }
}

/// Whether nothing may follow the message: announcements may be ready before
/// the `Close` is there.
const fn is_last(message: &Message) -> bool {
    matches!(message, Message::Notification(_))
}

/// The next batch, or never while there is no data lane.
async fn next(data: &mut Option<(CodecContext, mpsc::Receiver<Box<Outbound>>)>) -> Box<Outbound> {
    match data {
        Some((_, lane)) => match lane.recv().await {
            Some(batch) => {
                batch.ready.notify_one();
                batch
            }
            // The core has let go of this session; its end comes by control.
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}
