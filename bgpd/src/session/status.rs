//! What a session shows of itself: counters and the last known state, shared
//! with whoever answers `show` so that nobody has to ask the session.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bgp_wire::Message;

use crate::fsm::{Entry, LastReset, Negotiated, State};

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// Messages by type.
#[derive(Debug, Default)]
pub struct Counts {
    /// OPEN.
    pub opens: AtomicU64,
    /// NOTIFICATION.
    pub notifications: AtomicU64,
    /// UPDATE.
    pub updates: AtomicU64,
    /// KEEPALIVE.
    pub keepalives: AtomicU64,
    /// ROUTE-REFRESH.
    pub route_refreshes: AtomicU64,
}

impl Counts {
    fn count(&self, message: &Message) {
        let counter = match message {
            Message::Open(_) => &self.opens,
            Message::Update(_) => &self.updates,
            Message::Notification(_) => &self.notifications,
            Message::Keepalive => &self.keepalives,
            Message::RouteRefresh(_) => &self.route_refreshes,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts in the API's form.
    pub fn to_api(&self) -> holdfast_api::v1::MessageCounts {
        let get = |c: &AtomicU64| c.load(Ordering::Relaxed);
        let counts = holdfast_api::v1::MessageCounts {
            opens: get(&self.opens),
            notifications: get(&self.notifications),
            updates: get(&self.updates),
            keepalives: get(&self.keepalives),
            route_refreshes: get(&self.route_refreshes),
            total: 0,
        };
        holdfast_api::v1::MessageCounts {
            total: counts.opens
                + counts.notifications
                + counts.updates
                + counts.keepalives
                + counts.route_refreshes,
            ..counts
        }
    }
}

/// What changes with the state machine, not with every message.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The peer's state.
    pub state: State,
    /// What the running session agreed on.
    pub negotiated: Option<Arc<Negotiated>>,
    /// Ends of the running session's connection.
    pub ends: Option<(SocketAddr, SocketAddr)>,
    /// When the session came up, or when it was lost; 0 = never up.
    pub established_ms: u64,
    /// When the next connection attempt is due; 0 = none is waited for.
    pub next_connect_ms: u64,
    /// The last reset and when it was, in Unix milliseconds.
    pub last_reset: Option<(LastReset, u64)>,
    /// State changes, oldest first, with Unix milliseconds.
    pub history: Vec<(Entry, u64)>,
}

/// Shared by a session's tasks and the core.
#[derive(Debug)]
pub struct Status {
    /// Messages sent.
    pub sent: Counts,
    /// Messages received.
    pub received: Counts,
    /// Times the session came up.
    pub established: AtomicU64,
    /// Times it was lost.
    pub dropped: AtomicU64,
    last_read_ms: AtomicU64,
    last_write_ms: AtomicU64,
    last_update_ms: AtomicU64,
    shown: Mutex<Shown>,
}

impl Default for Status {
    fn default() -> Self {
        Status {
            sent: Counts::default(),
            received: Counts::default(),
            established: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            last_read_ms: AtomicU64::new(0),
            last_write_ms: AtomicU64::new(0),
            last_update_ms: AtomicU64::new(0),
            shown: Mutex::new(Shown {
                state: State::Idle,
                negotiated: None,
                ends: None,
                established_ms: 0,
                next_connect_ms: 0,
                last_reset: None,
                history: Vec::new(),
            }),
        }
    }
}

impl Status {
    /// A message was sent.
    pub fn count_sent(&self, message: &Message) {
        self.sent.count(message);
    }

    /// `count` UPDATEs were sent.
    pub fn count_sent_updates(&self, count: u64) {
        self.sent.updates.fetch_add(count, Ordering::Relaxed);
    }

    /// A message came that is no UPDATE.
    pub fn count_received(&self, message: &Message) {
        self.received.count(message);
        self.last_read_ms.store(now_ms(), Ordering::Relaxed);
    }

    /// `count` UPDATEs came.
    pub fn count_received_updates(&self, count: u64) {
        self.received.updates.fetch_add(count, Ordering::Relaxed);
        let now = now_ms();
        self.last_read_ms.store(now, Ordering::Relaxed);
        self.last_update_ms.store(now, Ordering::Relaxed);
    }

    /// The socket took something.
    pub fn wrote(&self) {
        self.last_write_ms.store(now_ms(), Ordering::Relaxed);
    }

    /// Unix milliseconds of the last read, write and UPDATE; 0 = never.
    pub fn last_times(&self) -> (u64, u64, u64) {
        (
            self.last_read_ms.load(Ordering::Relaxed),
            self.last_write_ms.load(Ordering::Relaxed),
            self.last_update_ms.load(Ordering::Relaxed),
        )
    }

    /// What the state machine says. Held for a moment only, never across an
    /// await.
    pub fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
