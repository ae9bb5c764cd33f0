//! Origin validation: ROAs from the caches, made into snapshots and given to all
//! cores, and what the API says about it.
//!
//! ```text
//!   caches <-> rtr task --Delta(4)--> keeper --RoaNews(1)--> instances --> cores
//!                                        `----> snapshot (watch) ----> API calls
//! ```
//!
//! The keeper puts the table together on its own time: a core is given what is
//! ready, with the prefixes that it has to look at again.

use std::sync::Arc;

use bgp_wire::{AsPath, Segment, SegmentKind};
use holdfast_api::v1;
use holdfast_config::model::Rpki;
use holdfast_policy::model::RpkiState;
use holdfast_policy::{RoaTable, origin_of};
use holdfast_rib::{PeerId, Policy, Redo, Region};
use holdfast_rtr::client::{self, CacheConfig, CacheStatus, Client};
use holdfast_rtr::session::{Delta, Overrides};
use ipnet::IpNet;
use tokio::sync::{mpsc, watch};

use super::core::Core;
use super::instances::Order;
use super::policies::PolicyBook;
use super::{Speaker, SpeakerError};

/// Payloads after which the keeper lets others run.
const TURN: usize = 4_096;
/// Payloads in one chunk of an answer.
const CHUNK: usize = 1_024;

/// ROAs that are others than before.
#[derive(Debug, Clone)]
pub(super) struct RoaNews {
    pub(super) roas: Arc<RoaTable>,
    /// Where validation may say something else.
    pub(super) region: Arc<Region>,
}

/// What counts now.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    pub(super) roas: Arc<RoaTable>,
    /// Caches are configured, and not stopped.
    in_use: bool,
    /// `rpki stop`.
    stopped: bool,
}

/// The way to the caches, for the task that has the configuration.
#[derive(Debug)]
pub(super) struct Caches {
    client: Client,
    shown: Arc<watch::Sender<Snapshot>>,
    configured: Vec<CacheConfig>,
    stopped: bool,
}

/// What answers calls about it.
#[derive(Debug, Clone)]
pub(super) struct View {
    client: Client,
    snapshot: watch::Receiver<Snapshot>,
}

/// Starts the tasks, without caches. They end when nobody is left who talks to
/// them.
pub(super) fn spawn() -> (Caches, mpsc::Receiver<RoaNews>, View) {
    let (client, deltas) = client::spawn();
    let (shown, snapshot) = watch::channel(Snapshot::default());
    let shown = Arc::new(shown);
    let (news, lane) = mpsc::channel(1);
    tokio::spawn(keep(deltas, Arc::clone(&shown), news));
    let caches = Caches {
        client: client.clone(),
        shown,
        configured: Vec::new(),
        stopped: false,
    };
    (caches, lane, View { client, snapshot })
}

/// Puts the table together. Snapshots share what did not change.
async fn keep(
    mut deltas: mpsc::Receiver<Delta>,
    shown: Arc<watch::Sender<Snapshot>>,
    news: mpsc::Sender<RoaNews>,
) {
    let mut table = RoaTable::new();
    while let Some(delta) = deltas.recv().await {
        let withdrawn = delta.withdrawn.iter().map(|vrp| (false, vrp));
        let announced = delta.announced.iter().map(|vrp| (true, vrp));
        let mut changed: Vec<IpNet> = Vec::new();
        for (number, (announce, vrp)) in withdrawn.chain(announced).enumerate() {
            let differs = match announce {
                true => table.insert(vrp.prefix, vrp.max_length, vrp.asn),
                false => table.remove(vrp.prefix, vrp.max_length, vrp.asn),
            };
            changed.extend(differs.then_some(vrp.prefix));
            if number % TURN == TURN - 1 {
                tokio::task::yield_now().await;
            }
        }
        let roas = Arc::new(table.clone());
        tracing::info!(
            announced = delta.announced.len(),
            withdrawn = delta.withdrawn.len(),
            payloads = roas.len(),
            "ROAs changed"
        );
        shown.send_modify(|shown| shown.roas = Arc::clone(&roas));
        let region = Arc::new(changed.into_iter().collect());
        if news.send(RoaNews { roas, region }).await.is_err() {
            return;
        }
    }
}

impl Caches {
    /// Talks to the caches that are configured, and to no others.
    pub(super) fn configure(&mut self, rpki: &Rpki) {
        let configured = caches(rpki);
        if configured != self.configured {
            self.configured = configured;
            self.apply();
        }
    }

    /// `rpki start`, `stop` and `reset`.
    pub(super) fn control(&mut self, order: v1::RpkiOrder) {
        match order {
            v1::RpkiOrder::RpkiStart => self.stopped = false,
            v1::RpkiOrder::RpkiStop => self.stopped = true,
            v1::RpkiOrder::RpkiReset => return self.client.reset(),
        }
        self.apply();
    }

    fn apply(&self) {
        let caches = match self.stopped {
            true => Vec::new(),
            false => self.configured.clone(),
        };
        let (in_use, stopped) = (!caches.is_empty(), self.stopped);
        self.shown.send_modify(|shown| {
            shown.in_use = in_use;
            shown.stopped = stopped;
        });
        self.client.configure(caches);
    }
}

fn caches(rpki: &Rpki) -> Vec<CacheConfig> {
    let overrides = Overrides {
        refresh: rpki.polling_period_secs,
        retry: rpki.retry_interval_secs,
        expire: rpki.expire_interval_secs,
    };
    let caches = rpki.caches.iter();
    caches
        .map(|(preference, cache)| CacheConfig {
            host: cache.host.clone(),
            source: cache.source.map(Into::into),
            port: cache.port,
            preference: *preference,
            overrides,
        })
        .collect()
}

// ===== the core =====

impl Core {
    /// Other ROAs count from now on. Only what they may say something else of is
    /// looked at again, of peers and routes of our own that ask for them.
    pub(super) fn roas_changed(&mut self, news: &RoaNews) {
        if !self.policies.set_roas(&news.roas) {
            return;
        }
        self.apply_conditions();
        let requires_policy = self.requires_policy();
        let mut changed: Vec<(PeerId, Arc<dyn Policy>, Redo)> = Vec::new();
        for peer in self.peers.values_mut() {
            if let Some(before) = peer.policy() {
                let policy =
                    self.conditions
                        .policy(&mut self.policies, requires_policy, &peer.settings);
                if let Some(redo) = PolicyBook::redo(Some(before), &policy) {
                    changed.push((peer.id, Arc::clone(&policy.both), redo));
                    peer.set_policy(policy);
                }
            }
        }
        if !changed.is_empty() {
            self.rib.set_policies_within(changed, &news.region);
            self.tidy_policies();
        }
        self.refresh_table_policies();
        self.apply_defaults();
        self.originate_within(&news.region);
    }
}

// ===== what is shown =====

impl Snapshot {
    /// Notes on the paths of a route what is known of it; `asn` is what others
    /// take our own to be from.
    pub(super) fn mark(&self, route: &mut v1::Route, asn: u32) {
        let Ok(prefix) = route.prefix.parse::<IpNet>() else {
            return;
        };
        for path in route.paths.iter_mut().filter(|_| self.in_use) {
            let attributes = path.attributes.as_ref();
            let as_path = attributes.map(as_path).unwrap_or_default();
            let state = self.roas.validate(prefix, origin_of(&as_path, asn));
            path.rpki_state = match state {
                RpkiState::Valid => v1::RpkiState::RpkiValid,
                RpkiState::Invalid => v1::RpkiState::RpkiInvalid,
                RpkiState::NotFound => v1::RpkiState::RpkiNotFound,
            } as i32;
        }
    }
}

fn as_path(attributes: &v1::Attributes) -> AsPath {
    let segments = attributes.as_path.iter().map(|segment| Segment {
        kind: match segment.kind() {
            v1::SegmentKind::SegmentSet => SegmentKind::Set,
            v1::SegmentKind::SegmentConfedSequence => SegmentKind::ConfedSequence,
            v1::SegmentKind::SegmentConfedSet => SegmentKind::ConfedSet,
            v1::SegmentKind::SegmentSequence | v1::SegmentKind::SegmentUnspecified => {
                SegmentKind::Sequence
            }
        },
        asns: segment.asns.clone(),
    });
    AsPath::from_segments(segments)
}

impl View {
    pub(super) fn snapshot(&self) -> Snapshot {
        self.snapshot.borrow().clone()
    }

    fn caches(&self) -> v1::ListRpkiCachesResponse {
        let snapshot = self.snapshot();
        let (v4, v6) = snapshot.roas.lens();
        v1::ListRpkiCachesResponse {
            caches: self.client.status().iter().map(cache).collect(),
            stopped: snapshot.stopped,
            ipv4_payloads: v4 as u64,
            ipv6_payloads: v6 as u64,
        }
    }
}

fn cache(status: &CacheStatus) -> v1::RpkiCache {
    let config = &status.config;
    v1::RpkiCache {
        host: config.host.clone(),
        port: config.port.into(),
        preference: config.preference.into(),
        source: config.source.map(|s| s.to_string()).unwrap_or_default(),
        connected: status.connected,
        in_use: status.in_use,
        version: status.version as u32,
        session: status.serial.map(|(session, _)| session.into()),
        serial: status.serial.map(|(_, serial)| serial),
        payloads: status.payloads as u64,
        error: status.error.clone().unwrap_or_default(),
    }
}

/// Payloads in chunks, as they were when they were asked for.
#[derive(Debug)]
pub struct Roas(std::vec::IntoIter<(IpNet, u8, u32)>);

impl Iterator for Roas {
    type Item = v1::RoaChunk;

    fn next(&mut self) -> Option<v1::RoaChunk> {
        let roas: Vec<v1::Roa> = self
            .0
            .by_ref()
            .take(CHUNK)
            .map(|(prefix, max_len, asn)| v1::Roa {
                prefix: prefix.to_string(),
                max_length: max_len.into(),
                asn,
            })
            .collect();
        (!roas.is_empty()).then_some(v1::RoaChunk { roas })
    }
}

impl Speaker {
    /// Validated ROA payloads, by prefix.
    ///
    /// # Errors
    /// The request names a prefix that is none.
    pub fn roas(&self, request: &v1::ListRoasRequest) -> Result<Roas, SpeakerError> {
        let roas = self.rpki.snapshot().roas;
        let mut list: Vec<_> = match request.prefix.as_str() {
            "" => roas.iter().collect(),
            text => {
                let prefix: IpNet = text
                    .parse()
                    .map_err(|_| SpeakerError::BadPrefix(text.to_owned()))?;
                let mut covering = roas.covering(prefix);
                covering.retain(|(_, max_len, _)| prefix.prefix_len() <= *max_len);
                covering
            }
        };
        if let Some(wanted) = request.asn {
            list.retain(|(_, _, asn)| *asn == wanted);
        }
        Ok(Roas(list.into_iter()))
    }

    /// How it stands with the caches that payloads come from.
    pub fn rpki_caches(&self) -> v1::ListRpkiCachesResponse {
        self.rpki.caches()
    }

    /// Starts or stops origin validation, or has all caches say everything again.
    /// Stopped, there are no payloads.
    ///
    /// # Errors
    /// [`SpeakerError::Stopped`].
    pub async fn control_rpki(&self, order: v1::RpkiOrder) -> Result<(), SpeakerError> {
        self.order(|done| Order::Rpki(order, done)).await
    }
}
