//! What is said to one cache, and what is kept of what it says (RFC 8210
//! sections 6 to 8). Time comes in, nothing goes out but [`Action`]s.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::Vrp;
use crate::pdu::{ErrorCode, Pdu, PduError, Timing, Version};

/// Values of section 6 for where neither cache nor operator says anything.
pub const DEFAULT_TIMING: Timing = Timing {
    refresh: 3_600,
    retry: 600,
    expire: 7_200,
};
/// An answer that does not come within this time is none.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the caller is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send it.
    Send(Version, Pdu),
    /// Close the connection; [`Session::deadline`] says when to open the next.
    Close,
    /// The data is other than it was.
    Changed(Delta),
}

/// How data differs from data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    /// What came.
    pub announced: Vec<Vrp>,
    /// What went.
    pub withdrawn: Vec<Vrp>,
}

impl Delta {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.announced.is_empty() && self.withdrawn.is_empty()
    }
}

/// What the operator said of a cache's times, in seconds; `None` takes what the
/// cache says, or [`DEFAULT_TIMING`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `rpki polling_period`.
    pub refresh: Option<u32>,
    /// `rpki retry_interval`.
    pub retry: Option<u32>,
    /// `rpki expire_interval`.
    pub expire: Option<u32>,
}

/// Data that is coming in.
#[derive(Debug)]
struct Incoming {
    /// In place of what there is, not on top of it.
    whole: bool,
    /// All of it; or what is to come and was not there, or to go and was.
    data: BTreeSet<Vrp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// There is no connection.
    Down,
    /// A question was asked.
    Answer,
    /// Data is coming.
    Data,
    /// Until it is time to ask again.
    Rest,
}

/// One cache, over all connections to it.
#[derive(Debug)]
pub struct Session {
    overrides: Overrides,
    version: Version,
    /// The version of this connection is settled.
    settled: bool,
    /// Session and serial number of the data, where it can be added to.
    known: Option<(u16, u32)>,
    data: BTreeSet<Vrp>,
    incoming: Option<Incoming>,
    /// What the cache said of its times.
    said: Timing,
    timing: Timing,
    /// The data is what the cache has, as far as this connection knows.
    current: bool,
    /// The end of the last complete data.
    updated: Option<Instant>,
    waiting: Waiting,
    /// When to act: ask, give up waiting, or connect.
    next: Instant,
}

impl Session {
    /// A cache that was never asked; [`deadline`](Self::deadline) is now.
    pub fn new(overrides: Overrides, now: Instant) -> Session {
        let mut session = Session {
            overrides,
            version: Version::V1,
            settled: false,
            known: None,
            data: BTreeSet::new(),
            incoming: None,
            said: DEFAULT_TIMING,
            timing: DEFAULT_TIMING,
            current: false,
            updated: None,
            waiting: Waiting::Down,
            next: now,
        };
        session.take_timing();
        session
    }

    /// Begins with data of before, which counts until the cache has said all, or
    /// until it is too old.
    pub fn keep(&mut self, data: BTreeSet<Vrp>, updated: Option<Instant>) {
        self.data = data;
        self.updated = updated;
    }

    /// The end of the last complete data, while it may be used.
    pub fn updated(&self) -> Option<Instant> {
        self.updated
    }

    /// The data of the cache, empty once it is too old.
    pub fn data(&self) -> &BTreeSet<Vrp> {
        &self.data
    }

    /// Whether there is data that may be used, even if there is none in it.
    pub fn has_data(&self) -> bool {
        self.updated.is_some()
    }

    /// Whether there is a connection over which all of the data came, or was
    /// said to be as it was.
    pub fn is_current(&self) -> bool {
        self.current
    }

    /// The operator says other times.
    pub fn set_overrides(&mut self, overrides: Overrides, now: Instant) {
        self.overrides = overrides;
        self.take_timing();
        let wait = match self.waiting {
            Waiting::Down => self.timing.retry,
            Waiting::Rest => self.timing.refresh,
            Waiting::Answer | Waiting::Data => return,
        };
        self.next = self.next.min(now + Duration::from_secs(wait.into()));
    }

    /// Session and serial number of the data.
    pub fn serial(&self) -> Option<(u16, u32)> {
        self.known
    }

    /// The version of the protocol that is spoken.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        self.waiting != Waiting::Down
    }

    /// When to call [`tick`](Self::tick), or to connect where there is no
    /// connection.
    pub fn deadline(&self) -> Instant {
        match self.expires() {
            Some(expires) if expires < self.next => expires,
            _ => self.next,
        }
    }

    fn expires(&self) -> Option<Instant> {
        Some(self.updated? + Duration::from_secs(self.timing.expire.into()))
    }

    fn take_timing(&mut self) {
        let said = self.said;
        let Overrides {
            refresh,
            retry,
            expire,
        } = self.overrides;
        // The bounds of section 6; a cache must not make us ask all the time.
        self.timing = Timing {
            refresh: refresh.unwrap_or(said.refresh).clamp(1, 86_400),
            retry: retry.unwrap_or(said.retry).clamp(1, 7_200),
            expire: expire.unwrap_or(said.expire).clamp(600, 172_800),
        };
    }

    /// Whether it is time to connect.
    pub fn wants_connection(&self, now: Instant) -> bool {
        self.waiting == Waiting::Down && now >= self.next
    }

    /// There is a connection.
    pub fn connected(&mut self, now: Instant) -> Vec<Action> {
        self.settled = false;
        self.current = false;
        vec![self.ask(now)]
    }

    /// The connection is gone, or did not come about.
    pub fn closed(&mut self, now: Instant) {
        self.incoming = None;
        self.current = false;
        self.waiting = Waiting::Down;
        self.next = now + Duration::from_secs(self.timing.retry.into());
    }

    /// Asks for what is new, or for everything.
    fn ask(&mut self, now: Instant) -> Action {
        self.incoming = None;
        self.waiting = Waiting::Answer;
        self.next = now + PATIENCE;
        let question = match self.known {
            Some((session, serial)) => Pdu::SerialQuery { session, serial },
            None => Pdu::ResetQuery,
        };
        Action::Send(self.version, question)
    }

    /// A deadline has passed.
    pub fn tick(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.expires().is_some_and(|at| now >= at) {
            self.known = None;
            self.updated = None;
            let withdrawn: Vec<Vrp> = std::mem::take(&mut self.data).into_iter().collect();
            if !withdrawn.is_empty() {
                let announced = Vec::new();
                actions.push(Action::Changed(Delta {
                    announced,
                    withdrawn,
                }));
            }
        }
        if now < self.next {
            return actions;
        }
        match self.waiting {
            Waiting::Down => {}
            Waiting::Rest => actions.push(self.ask(now)),
            Waiting::Answer | Waiting::Data => {
                self.closed(now);
                actions.push(Action::Close);
            }
        }
        actions
    }

    /// The octets of the connection make no sense.
    pub fn broken(&mut self, error: PduError, now: Instant) -> Vec<Action> {
        self.fail(error.code, error.why, error.about, now)
    }

    fn fail(&mut self, code: ErrorCode, text: String, about: Bytes, now: Instant) -> Vec<Action> {
        self.closed(now);
        let report = Pdu::ErrorReport { code, about, text };
        vec![Action::Send(self.version, report), Action::Close]
    }

    /// A message of the cache.
    pub fn received(&mut self, version: Version, pdu: Pdu, now: Instant) -> Vec<Action> {
        if version != self.version {
            // Section 7: the first answer may be of an older version, and then
            // all are.
            if self.settled || version > self.version {
                let text = format!("version {} after {}", version as u8, self.version as u8);
                return self.fail(ErrorCode::UnexpectedVersion, text, Bytes::new(), now);
            }
            self.version = version;
        }
        if let Pdu::ErrorReport { code, text, .. } = pdu {
            return self.reported(code, &text, now);
        }
        self.settled = true;
        match pdu {
            Pdu::SerialNotify { session, serial } => self.notified((session, serial), now),
            Pdu::CacheResponse { session } => self.answered(session, now),
            Pdu::Prefix { announce, vrp } => self.payload(announce, vrp, now),
            Pdu::EndOfData {
                session,
                serial,
                timing,
            } => self.complete((session, serial), timing, now),
            Pdu::CacheReset if self.waiting == Waiting::Answer => {
                self.known = None;
                vec![self.ask(now)]
            }
            Pdu::RouterKey if self.waiting == Waiting::Data => Vec::new(),
            other => {
                let text = format!("not expected now: {other:?}");
                self.fail(ErrorCode::InvalidRequest, text, Bytes::new(), now)
            }
        }
    }

    fn reported(&mut self, code: ErrorCode, text: &str, now: Instant) -> Vec<Action> {
        tracing::debug!(?code, text, "the cache reports an error");
        match code {
            // Not fatal: ask again after a while.
            ErrorCode::NoDataAvailable if self.waiting == Waiting::Answer => {
                self.waiting = Waiting::Rest;
                self.next = now + Duration::from_secs(self.timing.retry.into());
                return Vec::new();
            }
            ErrorCode::UnsupportedVersion if !self.settled => {
                self.version = Version::V0;
                self.closed(now);
                self.next = now;
            }
            _ => {
                // What there is may be what the cache complains about.
                self.known = None;
                self.closed(now);
            }
        }
        vec![Action::Close]
    }

    fn notified(&mut self, news: (u16, u32), now: Instant) -> Vec<Action> {
        match self.known {
            // Another session: what we have is of a cache that is no more.
            Some((session, _)) if session != news.0 => self.known = None,
            Some(known) if known == news => return Vec::new(),
            _ => {}
        }
        match self.waiting {
            Waiting::Rest => vec![self.ask(now)],
            // The answer that is on its way may have it already; if it does
            // not, the cache says so again or we ask in time.
            Waiting::Answer | Waiting::Data | Waiting::Down => Vec::new(),
        }
    }

    fn answered(&mut self, session: u16, now: Instant) -> Vec<Action> {
        if self.waiting != Waiting::Answer {
            let text = "a response to no question".to_owned();
            return self.fail(ErrorCode::InvalidRequest, text, Bytes::new(), now);
        }
        match self.known {
            Some((known, _)) if known != session => {
                // Section 5.5: no data of two sessions is mixed.
                self.known = None;
                self.closed(now);
                self.next = now;
                return vec![Action::Close];
            }
            _ => {}
        }
        self.waiting = Waiting::Data;
        self.next = now + PATIENCE;
        self.incoming = Some(Incoming {
            whole: self.known.is_none(),
            data: BTreeSet::new(),
        });
        Vec::new()
    }

    fn payload(&mut self, announce: bool, vrp: Vrp, now: Instant) -> Vec<Action> {
        let Some(incoming) = &mut self.incoming else {
            let text = format!("{vrp} without a response");
            return self.fail(ErrorCode::InvalidRequest, text, Bytes::new(), now);
        };
        self.next = now + PATIENCE;
        let (code, text) = match (incoming.whole, announce) {
            (true, true) if incoming.data.insert(vrp) => return Vec::new(),
            (true, false) => (ErrorCode::UnknownWithdrawal, "withdrawn"),
            (true, true) => (ErrorCode::DuplicateAnnouncement, "announced twice"),
            (false, _) => match self.change(announce, vrp) {
                Ok(()) => return Vec::new(),
                Err(error) => error,
            },
        };
        self.known = None;
        self.fail(code, format!("{vrp} {text}"), Bytes::new(), now)
    }

    /// Notes a change to what there is; it counts at the end of the data.
    fn change(&mut self, announce: bool, vrp: Vrp) -> Result<(), (ErrorCode, &'static str)> {
        let Some(incoming) = &mut self.incoming else {
            return Ok(());
        };
        // What is in there is the other way round than in what there is.
        let present = incoming.data.contains(&vrp) != self.data.contains(&vrp);
        match (announce, present) {
            (true, true) => Err((ErrorCode::DuplicateAnnouncement, "announced twice")),
            (false, false) => Err((ErrorCode::UnknownWithdrawal, "withdrawn and not there")),
            _ => {
                if !incoming.data.remove(&vrp) {
                    incoming.data.insert(vrp);
                }
                Ok(())
            }
        }
    }

    fn complete(&mut self, news: (u16, u32), timing: Option<Timing>, now: Instant) -> Vec<Action> {
        let Some(incoming) = self.incoming.take() else {
            let text = "the end of no data".to_owned();
            return self.fail(ErrorCode::InvalidRequest, text, Bytes::new(), now);
        };
        let delta = match incoming.whole {
            true => Delta {
                announced: incoming.data.difference(&self.data).copied().collect(),
                withdrawn: self.data.difference(&incoming.data).copied().collect(),
            },
            false => {
                let present = |vrp: &Vrp| self.data.contains(vrp);
                let (withdrawn, announced) = incoming.data.iter().copied().partition(present);
                Delta {
                    announced,
                    withdrawn,
                }
            }
        };
        match incoming.whole {
            true => self.data = incoming.data,
            false => {
                for vrp in &delta.withdrawn {
                    self.data.remove(vrp);
                }
                self.data.extend(&delta.announced);
            }
        }
        self.said = timing.unwrap_or(DEFAULT_TIMING);
        self.take_timing();
        self.current = true;
        self.known = Some(news);
        self.updated = Some(now);
        self.waiting = Waiting::Rest;
        self.next = now + Duration::from_secs(self.timing.refresh.into());
        // Without a change it is still news that there is data.
        vec![Action::Changed(delta)]
    }
}
