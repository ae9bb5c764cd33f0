//! The writing half of a connection.
//!
//! Two lanes lead here. The control lane carries OPEN, KEEPALIVE,
//! NOTIFICATION and ROUTE-REFRESH, and is served first; the data lane carries
//! what the routing core wants announced, and is encoded here, so that
//! neither waits for the other's sender.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bgp_wire::{CodecContext, Message};
use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::outbound::{self, Outbound};
use super::status::Status;

/// Control messages that may wait. The state machine sends one now and then;
/// a lane that is full belongs to a peer that reads nothing.
pub const CONTROL_LANE: usize = 32;

/// Batches that may wait while one is being written: the core makes the next
/// only when there is room, from what is true by then.
pub const DATA_LANE: usize = 1;

/// How long a closing connection may take to send its last words.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Octets gathered before they are handed to the kernel.
const CHUNK: usize = 64 * 1024;

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
        data: mpsc::Receiver<Outbound>,
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
    pub socket: OwnedWriteHalf,
    /// The control lane.
    pub control: mpsc::Receiver<Control>,
    /// Where to report.
    pub events: mpsc::Sender<WriterEvent>,
    /// Counters.
    pub status: Arc<Status>,
    /// RFC 9687: how long a write may make no progress; none for ever.
    pub send_hold: Option<Duration>,
    /// What is left of the message that a write stopped in.
    pub rest: Bytes,
}

impl Writer {
    /// Runs to the end of the connection.
    pub async fn run(mut self) {
        let mut buffer = BytesMut::new();
        let mut data: Option<(CodecContext, mpsc::Receiver<Outbound>)> = None;
        loop {
            let step = tokio::select! {
                biased;
                control = self.control.recv() => match control {
                    Some(Control::Send(message)) => {
                        let context = data.as_ref().map(|d| d.0);
                        let last = is_last(&message);
                        let sent = self.send(&message, context, &mut buffer).await;
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
                    Some(context) => self.announce(batch, context, &mut buffer).await,
                    None => Ok(()),
                },
            };
            if let Err(event) = step {
                let stuck = matches!(event, WriterEvent::SendHoldExpired);
                // The session may be gone already; then nobody needs to know.
                let _ = self.events.send(event).await;
                if stuck {
                    self.last_words(buffer).await;
                }
                return;
            }
        }
        let _ = timeout(CLOSE_TIMEOUT, self.socket.shutdown()).await;
    }

    /// The send hold time is over: the NOTIFICATION that follows is tried all
    /// the same, behind the rest of the message that the peer has a part of.
    async fn last_words(mut self, mut buffer: BytesMut) {
        buffer.clear();
        buffer.extend_from_slice(&self.rest);
        while let Some(Control::Send(message)) = self.control.recv().await {
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
        buffer: &mut BytesMut,
    ) -> Result<(), WriterEvent> {
        let context = context.unwrap_or_else(outbound::initial_context);
        if let Err(error) = message.encode(&context, buffer) {
            tracing::error!(%error, "a control message could not be encoded");
            buffer.clear();
            return Ok(());
        }
        self.status.count_sent(message);
        self.flush(buffer).await
    }

    /// Encodes a batch piece by piece, so that a keepalive waits for one chunk
    /// at most.
    async fn announce(
        &mut self,
        batch: Outbound,
        context: CodecContext,
        buffer: &mut BytesMut,
    ) -> Result<(), WriterEvent> {
        let mut encoder = outbound::Encoder::new(batch, context);
        loop {
            let more = encoder.fill(buffer, CHUNK, &self.status);
            self.flush(buffer).await?;
            if !more {
                break;
            }
            while let Ok(control) = self.control.try_recv() {
                let last = match control {
                    Control::Send(message) => {
                        self.send(&message, Some(context), buffer).await?;
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
        }
        Ok(())
    }

    async fn flush(&mut self, buffer: &mut BytesMut) -> Result<(), WriterEvent> {
        let whole: Bytes = buffer.split().freeze();
        let mut bytes = whole.clone();
        while !bytes.is_empty() {
            let write = self.socket.write_buf(&mut bytes);
            let written = match self.send_hold {
                Some(time) => timeout(time, write).await,
                None => Ok(write.await),
            };
            match written {
                Ok(Ok(0)) => return Err(WriterEvent::Failed(io::ErrorKind::WriteZero.into())),
                Ok(Ok(_)) => self.status.wrote(),
                Ok(Err(error)) => return Err(WriterEvent::Failed(error)),
                Err(_) => {
                    self.rest = rest_of_message(&whole, whole.len() - bytes.len());
                    return Err(WriterEvent::SendHoldExpired);
                }
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

/// What comes from `written` on until the end of the message that begins
/// before it. `messages` begins with a message.
fn rest_of_message(messages: &Bytes, written: usize) -> Bytes {
    let mut end = 0;
    while end < written {
        let length = match messages.get(end + 16..end + 18) {
            Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
            _ => break,
        };
        end += length.max(1);
    }
    messages.slice(written..end.clamp(written, messages.len()))
}

/// The next batch, or never while there is no data lane.
async fn next(data: &mut Option<(CodecContext, mpsc::Receiver<Outbound>)>) -> Outbound {
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
