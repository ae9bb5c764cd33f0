//! What a route map would do: to a made-up route, or to what a neighbor sent or
//! is to be sent. Nothing is counted, and nothing comes of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use bgp_wire::{Family, NextHop, Origin, PathAttributes};
use holdfast_api::v1;
use holdfast_policy::model::SourceProtocol;
use holdfast_policy::{Applied, CompiledRouteMap, Direction, RouteView};
use holdfast_rib::{
    Attributes, Offered, PeerId, PeerInfo, ReceivedRoute, RouteContext, ask_import,
};
use ipnet::IpNet;

use super::core::{Answer, Core};
use super::request::Request;
use super::trace::{Decision, changes, decision, next_hop_words, steps};
use super::{Speaker, SpeakerError, family};

/// Routes in one page.
const PAGE: usize = 512;
/// With no more routes than that all of them are shown.
const ALL: usize = 3;
/// Of more, so many of each way through the map.
const EXAMPLES: usize = 2;
/// And so many ways.
const WAYS: usize = 12;

/// Which live routes.
#[derive(Debug, Clone)]
pub(super) struct TrialQuery {
    peer: IpAddr,
    family: Family,
    out: bool,
    prefix: Option<IpNet>,
    after: Option<IpNet>,
}

/// A page of them, and who has to be known.
pub(super) struct TrialPage {
    rows: TrialRows,
    peers: HashMap<PeerId, PeerInfo>,
    /// The neighbor.
    peer: PeerInfo,
    next: Option<IpNet>,
}

enum TrialRows {
    In(Vec<ReceivedRoute>),
    Out(Vec<Offered>),
}

pub(super) type TrialAnswer = Answer<TrialPage>;

impl Core {
    /// A neighbor as its session came up.
    pub(super) fn peer_info(&self, address: IpAddr) -> Option<PeerInfo> {
        let peer = self.peers.get(&address)?;
        self.rib.peer(peer.id).cloned()
    }

    pub(super) fn trial_page(&self, query: &TrialQuery) -> Result<TrialPage, SpeakerError> {
        let peer = self.peers.get(&query.peer);
        let peer = peer.ok_or(SpeakerError::NoSuchPeer)?;
        let info = self.rib.peer(peer.id);
        let info = info.ok_or(SpeakerError::NotUp(query.peer))?.clone();
        let (family, after) = (query.family, query.after);
        if !query.out {
            let page = match query.prefix {
                Some(prefix) => self.rib.received_in(peer.id, prefix),
                None => self.rib.received(peer.id, family, after, PAGE),
            };
            return Ok(TrialPage {
                rows: TrialRows::In(page.items),
                peers: HashMap::new(),
                peer: info,
                next: page.next,
            });
        }
        let page = match query.prefix {
            Some(prefix) => self.rib.offered_in(peer.id, prefix),
            None => self.rib.offered(peer.id, family, after, PAGE),
        };
        let from = page.items.iter().filter_map(|row| row.learned_from);
        let from: BTreeSet<PeerId> = from.collect();
        let known = from
            .into_iter()
            .filter_map(|id| Some((id, self.rib.peer(id)?.clone())));
        Ok(TrialPage {
            peers: known.collect(),
            rows: TrialRows::Out(page.items),
            peer: info,
            next: page.next,
        })
    }
}

impl Speaker {
    /// What a route map makes of a made-up route, or of a neighbor's live
    /// routes. It counts nothing and changes nothing.
    ///
    /// # Errors
    /// [`SpeakerError::NoSuchPolicy`], [`SpeakerError::NoSuchPeer`],
    /// [`SpeakerError::NotUp`]; [`SpeakerError::BadFilter`] for attributes that
    /// are none.
    pub async fn test_policy(
        &self,
        request: &v1::TestPolicyRequest,
    ) -> Result<v1::TestPolicyResponse, SpeakerError> {
        let speaker = self.named(&request.instance);
        let policies = speaker.policies().await?;
        let name = &request.route_map;
        let missing = || SpeakerError::NoSuchPolicy(format!("{name} route-map not found"));
        let map = policies.route_map(name).ok_or_else(missing)?;
        let direction = match request.out {
            true => Direction::Out,
            false => Direction::In,
        };
        let mut trial = Trial {
            map,
            direction,
            outcome: v1::TestPolicyResponse::default(),
            ways: BTreeMap::new(),
            entries: BTreeMap::new(),
        };
        match &request.attributes {
            Some(made_up) => speaker.try_made_up(request, made_up, &mut trial).await?,
            None => speaker.try_live(request, &mut trial).await?,
        }
        Ok(trial.finish())
    }

    async fn try_made_up(
        &self,
        request: &v1::TestPolicyRequest,
        made_up: &v1::TestAttributes,
        trial: &mut Trial<'_>,
    ) -> Result<(), SpeakerError> {
        let prefix = prefix_of(&request.prefix)?;
        let attributes = made_up_attributes(made_up)?;
        let peer = match request.peer.as_str() {
            "" => None,
            text => {
                let address = text.parse().map_err(|_| SpeakerError::NoSuchPeer)?;
                let info = self
                    .ask(|answer| Request::PeerInfo(address, answer))
                    .await?;
                Some(info.ok_or(SpeakerError::NotUp(address))?)
            }
        };
        let attributes = Attributes::new(attributes);
        let is_in = trial.direction == Direction::In;
        let view = RouteView {
            direction: trial.direction,
            peer: peer.as_ref(),
            learned_from: peer.as_ref().filter(|_| is_in),
            weight: made_up.weight,
            source_protocol: Some(SourceProtocol::Bgp),
            original_next_hop: attributes.next_hop,
            original_med: attributes.med,
            ..RouteView::new(prefix, &attributes)
        };
        trial.route(&view, 0);
        Ok(())
    }

    async fn try_live(
        &self,
        request: &v1::TestPolicyRequest,
        trial: &mut Trial<'_>,
    ) -> Result<(), SpeakerError> {
        let prefix = match request.prefix.as_str() {
            "" => None,
            text => Some(prefix_of(text)?),
        };
        let family = match (prefix, request.family()) {
            (Some(IpNet::V4(_)), _) | (None, v1::Family::Unspecified) => Family::Ipv4Unicast,
            (Some(IpNet::V6(_)), _) => Family::Ipv6Unicast,
            (None, named) => family(named)?,
        };
        let mut query = TrialQuery {
            peer: request.peer.parse().map_err(|_| SpeakerError::NoSuchPeer)?,
            family,
            out: request.out,
            prefix,
            after: None,
        };
        loop {
            let asked = query.clone();
            let page = self.ask(|answer| Request::Trial(asked, answer)).await??;
            query.after = page.next;
            trial.page(&page);
            if query.after.is_none() || query.prefix.is_some() {
                return Ok(());
            }
        }
    }
}

fn prefix_of(text: &str) -> Result<IpNet, SpeakerError> {
    let bad = |_| SpeakerError::BadPrefix(text.to_owned());
    Ok(text.parse::<IpNet>().map_err(bad)?.trunc())
}

fn made_up_attributes(of: &v1::TestAttributes) -> Result<PathAttributes, SpeakerError> {
    let bad = |what: &str, text: &str| SpeakerError::BadFilter(format!("{what} malformed: {text}"));
    let next_hop = match of.next_hop.as_str() {
        "" => None,
        text => Some(match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(addr)) => NextHop::V4(addr),
            Ok(IpAddr::V6(global)) => NextHop::V6 {
                global,
                link_local: None,
            },
            Err(_) => return Err(bad("Next hop", text)),
        }),
    };
    let plain = of.communities.join(" ");
    let plain = holdfast_config::words::communities(&plain).ok_or_else(|| bad("Community", &plain));
    let large = of.large_communities.join(" ");
    let large = holdfast_config::words::large_communities(&large);
    let large = large.ok_or_else(|| bad("Large-community", &of.large_communities.join(" ")));
    Ok(PathAttributes {
        origin: match of.origin() {
            v1::Origin::Igp => Origin::Igp,
            v1::Origin::Egp => Origin::Egp,
            v1::Origin::Incomplete => Origin::Incomplete,
        },
        as_path: of
            .as_path
            .parse()
            .map_err(|_| bad("AS path", &of.as_path))?,
        next_hop,
        med: of.med,
        local_pref: of.local_pref,
        communities: plain?,
        large_communities: large?,
        ..PathAttributes::default()
    })
}

/// Which entries matched on the way, and how it ended.
type Way = Vec<v1::TraceStep>;

/// A trial while it goes on.
struct Trial<'m> {
    map: &'m Arc<CompiledRouteMap>,
    direction: Direction,
    outcome: v1::TestPolicyResponse,
    /// How many routes took a way through the map.
    ways: BTreeMap<Vec<(i32, u32, bool)>, usize>,
    entries: BTreeMap<Decision, u64>,
}

impl Trial<'_> {
    fn page(&mut self, page: &TrialPage) {
        match &page.rows {
            TrialRows::In(rows) => {
                for row in rows {
                    let path_id = row.path_id;
                    ask_import(&page.peer, row.prefix, &row.attributes, |context| {
                        self.context(context, path_id);
                    });
                }
            }
            TrialRows::Out(rows) => {
                for row in rows {
                    let attributes = Attributes::new(row.attributes.clone());
                    let from = row.learned_from.and_then(|id| page.peers.get(&id));
                    let context = RouteContext {
                        peer: &page.peer,
                        learned_from: from,
                        family: match row.prefix {
                            IpNet::V4(_) => Family::Ipv4Unicast,
                            IpNet::V6(_) => Family::Ipv6Unicast,
                        },
                        prefix: row.prefix,
                        attributes: &attributes,
                        weight: row.weight,
                        source: row.source,
                        original_next_hop: row.original_next_hop,
                        original_med: row.original_med,
                    };
                    self.context(&context, 0);
                }
            }
        }
    }

    fn context(&mut self, context: &RouteContext<'_>, path_id: u32) {
        self.route(&RouteView::of(self.direction, context), path_id);
    }

    fn route(&mut self, view: &RouteView<'_>, path_id: u32) {
        let (applied, trace) = self.map.explain(view);
        let changed = match &applied {
            Applied::Changed(changed) => changes(view.attributes, view.weight, changed),
            Applied::Denied | Applied::Unchanged => Vec::new(),
        };
        let permitted = applied != Applied::Denied;
        match permitted {
            true => self.outcome.permitted += 1,
            false => self.outcome.denied += 1,
        }
        self.outcome.changed += u64::from(!changed.is_empty());
        if let Some(decision) = decision(&trace) {
            *self.entries.entry(decision).or_default() += 1;
        }
        let steps: Way = steps(&trace);
        let way: Vec<(i32, u32, bool)> = steps
            .iter()
            .map(|step| (step.kind, step.seq, step.holds || step.permit))
            .collect();
        let is_room = self.ways.len() < WAYS || self.outcome.routes.len() < ALL;
        let taken = match self.ways.get_mut(&way) {
            Some(taken) => taken,
            None if is_room => self.ways.entry(way).or_default(),
            None => return,
        };
        *taken += 1;
        if *taken > EXAMPLES && self.outcome.routes.len() >= ALL {
            return;
        }
        self.outcome.routes.push(v1::TestedRoute {
            prefix: view.prefix.to_string(),
            path_id,
            permitted,
            trace: steps,
            changes: changed,
            as_path: view.attributes.as_path.to_string(),
            next_hop: next_hop_words(view.attributes.next_hop),
        });
    }

    fn finish(mut self) -> v1::TestPolicyResponse {
        let entries = self.entries.into_iter();
        self.outcome.entries = entries
            .map(|(decision, routes)| v1::TestedEntry {
                route_map: decision.map,
                seq: decision.seq.map_or(0, u32::from),
                permit: decision.permits,
                routes,
            })
            .collect();
        self.outcome
    }
}
