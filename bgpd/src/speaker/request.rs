//! What the speaker asks the core. Answers that can be long come in pages, so
//! that no question holds the core up.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bgp_wire::Family;
use holdfast_api::v1;
use holdfast_config::InstanceName;
use holdfast_config::model::Config;
use holdfast_policy::Policies;
use holdfast_rib::{
    AdvertisedRoute, Attributes, DenyReason, Page, PathSource, PeerId, PeerInfo, PrefixView,
    ReceivedRoute, Rejection,
};
use ipnet::IpNet;
use tokio::sync::oneshot;

use super::SpeakerError;
use super::convert::{self, Shown};
use super::core::{Answer, Core};
use super::filter::PathTest;
use super::leak::{Link, Taker};
use super::named::names;
use super::nexthops::KnownNextHop;
use super::peers::Peer;
use super::realm::Realm;
use super::rpki::{RoaNews, Snapshot};
use super::trial::{TrialAnswer, TrialQuery};

/// Prefixes in one page.
const PAGE: usize = 512;
/// How long after the last question about routes the memory is given back that
/// only questions need.
const REST: Duration = Duration::from_secs(60);

/// A question or an order.
pub(super) enum Request {
    Global(oneshot::Sender<v1::Global>),
    Peers(Option<IpAddr>, oneshot::Sender<Vec<v1::Peer>>),
    Routes(RoutesQuery, Answer<RoutesPage>),
    /// MEDs of the best paths of these prefixes, 0 where there is none.
    Meds(Vec<IpNet>, oneshot::Sender<Vec<u32>>),
    /// Next hops and neighbors, as the core knows them; or one.
    NextHops(Option<IpAddr>, oneshot::Sender<Vec<KnownNextHop>>),
    /// Validated already, with the instance's own part as `bgp`.
    Apply(Box<Config>, oneshot::Sender<()>),
    /// The instances whose routes are taken over, and no others.
    Import(BTreeMap<InstanceName, Link>, oneshot::Sender<()>),
    /// Those who take routes over, and no others.
    Export(Vec<Taker>, oneshot::Sender<()>),
    Clear(v1::ClearRequest, Answer<u32>),
    /// Other ROAs count.
    Roas(RoaNews),
    /// What was made of lists and route maps; cheap to pass on.
    Policies(oneshot::Sender<Policies>),
    /// What became of the paths of a prefix.
    Explain(Selection, Answer<v1::RouteExplanation>),
    /// A neighbor whose session is up.
    PeerInfo(IpAddr, oneshot::Sender<Option<PeerInfo>>),
    /// Routes that policy is to be tried on.
    Trial(TrialQuery, TrialAnswer),
    ClearDampening(Option<Family>, Option<Selection>, Answer<()>),
    Stop {
        graceful: bool,
        done: oneshot::Sender<()>,
    },
}

/// Which routes.
#[derive(Debug, Clone)]
pub(super) struct RoutesQuery {
    pub(super) family: Family,
    pub(super) table: v1::Table,
    pub(super) peer: Option<IpAddr>,
    pub(super) selection: Selection,
    /// Where the page before ended.
    pub(super) after: Option<IpNet>,
    /// The answer has to say who the neighbors are.
    pub(super) with_peers: bool,
}

/// Which part of a table.
#[derive(Debug, Clone, Copy)]
pub(super) enum Selection {
    All,
    Prefix(IpNet),
    Longest(IpAddr),
    Longer(IpNet),
}

/// A page of routes, as the table holds them.
pub(super) struct RoutesPage {
    /// What the chunk says beside the routes.
    head: v1::RouteChunk,
    /// The AS that others take our own routes to be from.
    origin_as: u32,
    rows: Rows,
    /// The neighbors of the paths, where they were asked for.
    peers: HashMap<PeerId, PeerInfo>,
    pub(super) next: Option<IpNet>,
}

/// Pointers into the table, mostly, and what has to be known of peers.
enum Rows {
    Table(Vec<PrefixView>, HashMap<PeerId, Shown>),
    /// A single prefix, and whom it is advertised to.
    One(
        Option<Box<PrefixView>>,
        HashMap<PeerId, Shown>,
        Vec<v1::AdvertisedTo>,
    ),
    Received(Vec<ReceivedRoute>, Box<Shown>),
    Advertised(Vec<(AdvertisedRoute, Option<PrefixView>)>),
}

impl RoutesPage {
    /// Takes out the paths of the table that do not pass.
    pub(super) fn sift(&mut self, test: &PathTest) {
        let peers = &self.peers;
        let sift = |view: &mut PrefixView| {
            let prefix = view.prefix;
            view.paths.retain(|path| {
                let from = match path.source {
                    PathSource::Peer(id) => peers.get(&id),
                    PathSource::Local(_) => None,
                };
                let attributes = Attributes::of(&path.attributes);
                test.lets(prefix, &attributes, (path.weight, from))
            });
            !view.paths.is_empty()
        };
        match &mut self.rows {
            Rows::Table(views, _) => views.retain_mut(sift),
            Rows::One(view, _, _) => {
                if view.as_deref_mut().is_some_and(|view| !sift(view)) {
                    *view = None;
                }
            }
            Rows::Received(..) | Rows::Advertised(_) => {}
        }
    }

    /// Puts the page into words: not on the core's time.
    pub(super) fn into_chunk(self, validation: &Snapshot) -> v1::RouteChunk {
        let ours = !matches!(self.rows, Rows::Advertised(_));
        let origin_as = self.origin_as;
        let mut chunk = self.in_words();
        for route in chunk.routes.iter_mut().filter(|_| ours) {
            validation.mark(route, origin_as);
        }
        chunk
    }

    fn in_words(self) -> v1::RouteChunk {
        let route = |view: &PrefixView, shown: &HashMap<PeerId, Shown>| {
            convert::route(view, |source| match source {
                PathSource::Local(_) => None,
                PathSource::Peer(id) => shown.get(&id),
            })
        };
        let routes = match self.rows {
            Rows::Table(views, shown) => views.iter().map(|view| route(view, &shown)).collect(),
            Rows::One(view, shown, advertised_to) => {
                let routes = view.iter().map(|view| v1::Route {
                    advertised_to: advertised_to.clone(),
                    ..route(view, &shown)
                });
                routes.collect()
            }
            Rows::Received(received, shown) => convert::received_routes(&received, &shown),
            Rows::Advertised(rows) => convert::advertised_routes(&rows),
        };
        v1::RouteChunk {
            routes,
            ..self.head
        }
    }
}

impl Core {
    pub(super) fn request(&mut self, request: Request) {
        // An asker that went away misses its answer; that is its affair.
        match request {
            Request::Global(answer) => drop(answer.send(self.global())),
            Request::Peers(address, answer) => drop(answer.send(self.list_peers(address))),
            Request::Routes(query, answer) => drop(answer.send(self.routes(&query))),
            Request::Meds(prefixes, answer) => drop(answer.send(self.meds(&prefixes))),
            Request::NextHops(address, answer) => drop(answer.send(self.next_hops(address))),
            Request::Apply(config, answer) => {
                self.configure(*config);
                let _ = answer.send(());
            }
            Request::Import(links, answer) => {
                self.set_givers(links);
                let _ = answer.send(());
            }
            Request::Export(takers, answer) => {
                self.set_takers(takers);
                let _ = answer.send(());
            }
            Request::Policies(answer) => drop(answer.send(self.policies.compiled().clone())),
            Request::Explain(asked, answer) => drop(answer.send(self.explain(asked))),
            Request::PeerInfo(address, answer) => drop(answer.send(self.peer_info(address))),
            Request::Trial(query, answer) => drop(answer.send(self.trial_page(&query))),
            Request::Clear(request, answer) => drop(answer.send(self.clear(&request))),
            Request::Roas(news) => self.roas_changed(&news),
            Request::ClearDampening(family, selection, answer) => {
                drop(answer.send(self.clear_dampening(family, selection)));
            }
            Request::Stop { .. } => {}
        }
    }

    fn global(&self) -> v1::Global {
        let bgp = self.config.bgp.as_ref();
        let rib = self.rib.config();
        v1::Global {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            frr_version: super::FRR_VERSION.to_owned(),
            hostname: self.hostname().unwrap_or_default(),
            instance: self.name.word().to_owned(),
            kind: convert::instance_kind(&self.name) as i32,
            bgp_configured: bgp.is_some(),
            asn: bgp.map_or(0, |b| b.asn),
            router_id: rib.router_id.to_string(),
            default_local_pref: rib.default_local_pref,
            multipath_relax: rib.multipath_relax,
            ebgp_requires_policy: bgp.is_some_and(|b| b.ebgp_requires_policy),
            graceful_restart: bgp.is_some_and(|b| b.graceful_restart.enabled),
            started_ms: self.started_ms,
            tables: Family::ALL
                .into_iter()
                .map(|f| self.table_info(f))
                .collect(),
            config_path: self.options.config_path.clone().unwrap_or_default(),
            kernel: self.options.kernel,
            peer_groups: bgp
                .map(|b| b.peer_groups.keys().cloned().collect())
                .unwrap_or_default(),
            vrf_id: self.realm.vrf_id(),
            table: self
                .realm
                .table(&self.options)
                .filter(|_| self.options.kernel)
                .unwrap_or(0),
            vrf_unknown: self.realm == Realm::Nowhere,
            confederation_identifier: bgp.and_then(|b| b.confederation_identifier).unwrap_or(0),
        }
    }

    fn table_info(&self, family: Family) -> v1::TableInfo {
        let summary = self.rib.summary(family);
        v1::TableInfo {
            family: convert::family(family) as i32,
            version: summary.version,
            prefixes: summary.prefixes as u64,
            paths: summary.paths as u64,
            memory_bytes: convert::table_memory(&summary),
            dampening: self.dampening(family).map(super::dampening::shown),
        }
    }

    fn list_peers(&self, address: Option<IpAddr>) -> Vec<v1::Peer> {
        let groups = convert::groups(&self.rib);
        let of = |peer: &Peer| {
            let default = |family| {
                let mut known = Family::ALL.into_iter();
                let family = known.find(|known| convert::family(*known) == family);
                family.is_some_and(|family| self.rib.has_default_route(peer.id, family))
            };
            let policies = names(&peer.settings, self.policies.compiled(), default);
            convert::peer(peer, &self.rib, &self.config, (&groups, policies))
        };
        match address {
            Some(address) => self.peers.get(&address).map(of).into_iter().collect(),
            None => self.peers.values().map(of).collect(),
        }
    }

    fn meds(&self, prefixes: &[IpNet]) -> Vec<u32> {
        let med = |prefix: &IpNet| {
            let view = self.rib.prefix(*prefix)?;
            let best = view.paths.iter().find(|p| p.best)?;
            best.attributes.med()
        };
        prefixes.iter().map(|p| med(p).unwrap_or(0)).collect()
    }

    // ===== routes =====

    fn routes(&mut self, query: &RoutesQuery) -> Result<RoutesPage, SpeakerError> {
        if self.config.bgp.is_none() {
            return Err(SpeakerError::NoBgp);
        }
        self.rest_at = Some(Instant::now() + REST);
        let (rows, next) = match query.table {
            v1::Table::LocRib => self.loc_rib(query),
            v1::Table::Received => self.received(query, self.of_peer(query)?),
            v1::Table::Filtered => self.filtered(query, self.of_peer(query)?),
            v1::Table::Accepted => self.accepted(query, self.of_peer(query)?),
            v1::Table::Advertised => self.advertised(query, self.of_peer(query)?),
            v1::Table::Flapping => self.flapping(query)?,
        };
        let summary = self.rib.summary(query.family);
        let rib = self.rib.config();
        let confederation = rib.confederation.as_ref();
        Ok(RoutesPage {
            origin_as: confederation.map_or(rib.local_as, |c| c.identifier),
            head: v1::RouteChunk {
                table_version: summary.version,
                router_id: rib.router_id.to_string(),
                local_as: rib.local_as,
                default_local_pref: rib.default_local_pref,
                routes: Vec::new(),
                total_prefixes: summary.prefixes as u64,
                total_paths: summary.paths as u64,
            },
            peers: match query.with_peers {
                true => self.peers_of(&rows),
                false => HashMap::new(),
            },
            rows,
            next,
        })
    }

    /// The neighbors that paths of a page came from.
    fn peers_of(&self, rows: &Rows) -> HashMap<PeerId, PeerInfo> {
        let views: Vec<&PrefixView> = match rows {
            Rows::Table(views, _) => views.iter().collect(),
            Rows::One(view, _, _) => view.as_deref().into_iter().collect(),
            Rows::Received(..) | Rows::Advertised(_) => Vec::new(),
        };
        let mut peers = HashMap::new();
        for path in views.into_iter().flat_map(|view| &view.paths) {
            if let PathSource::Peer(id) = path.source
                && let Entry::Vacant(place) = peers.entry(id)
                && let Some(info) = self.rib.peer(id)
            {
                place.insert(info.clone());
            }
        }
        peers
    }

    /// Routes that flapped lately, of all peers or of one.
    fn flapping(&self, query: &RoutesQuery) -> Result<(Rows, Option<IpNet>), SpeakerError> {
        let of = match query.peer {
            Some(_) => Some(PathSource::Peer(self.of_peer(query)?.id)),
            None => None,
        };
        let mut page = self.rib.flapping(query.family, query.after, PAGE);
        for view in &mut page.items {
            view.paths
                .retain(|path| of.is_none_or(|of| path.source == of));
        }
        page.items.retain(|view| !view.paths.is_empty());
        Ok(self.page(page))
    }

    fn of_peer(&self, query: &RoutesQuery) -> Result<&Peer, SpeakerError> {
        let address = query.peer.ok_or(SpeakerError::NoSuchPeer)?;
        self.peers.get(&address).ok_or(SpeakerError::NoSuchPeer)
    }

    fn loc_rib(&self, query: &RoutesQuery) -> (Rows, Option<IpNet>) {
        match query.selection {
            Selection::Prefix(prefix) => (self.one(self.rib.prefix(prefix)), None),
            Selection::Longest(address) => (self.one(self.rib.longest_match(address)), None),
            Selection::Longer(prefix) => self.page(self.rib.longer(prefix, query.after, PAGE)),
            Selection::All => self.page(self.rib.table(query.family, query.after, PAGE)),
        }
    }

    fn one(&self, view: Option<PrefixView>) -> Rows {
        let to = view
            .as_ref()
            .map(|view| self.rib.advertised_to(view.prefix));
        let to = to
            .into_iter()
            .flatten()
            .filter_map(|id| self.peer_by_id(id));
        let shown = self.shown(view.as_slice());
        Rows::One(
            view.map(Box::new),
            shown,
            to.map(convert::advertised_to).collect(),
        )
    }

    fn page(&self, page: Page<PrefixView>) -> (Rows, Option<IpNet>) {
        let shown = self.shown(&page.items);
        (Rows::Table(page.items, shown), page.next)
    }

    /// What the paths of these prefixes show of the peers that sent them.
    fn shown(&self, views: &[PrefixView]) -> HashMap<PeerId, Shown> {
        let mut shown = HashMap::new();
        for path in views.iter().flat_map(|view| &view.paths) {
            if let PathSource::Peer(id) = path.source
                && let Entry::Vacant(place) = shown.entry(id)
            {
                let peer = || self.peer_by_id(id).map(Shown::of);
                let source = self.leaks.sources.get(&id);
                let source = source.map(|source| source.shown.clone());
                if let Some(shown) = source.or_else(peer) {
                    place.insert(shown);
                }
            }
        }
        shown
    }

    /// One prefix in words, for those who watch.
    pub(super) fn route(&self, view: &PrefixView) -> v1::Route {
        let shown = self.shown(std::slice::from_ref(view));
        convert::route(view, |source| match source {
            PathSource::Local(_) => None,
            PathSource::Peer(id) => shown.get(&id),
        })
    }

    fn received(&self, query: &RoutesQuery, peer: &Peer) -> (Rows, Option<IpNet>) {
        let page = self.rib.received(peer.id, query.family, query.after, PAGE);
        let shown = Box::new(Shown::of(peer));
        (Rows::Received(page.items, shown), page.next)
    }

    /// What a peer sent and policy refused.
    fn filtered(&self, query: &RoutesQuery, peer: &Peer) -> (Rows, Option<IpNet>) {
        let page = self.rib.received(peer.id, query.family, query.after, PAGE);
        let refused = page.items.into_iter();
        let by_filter = Some(Rejection::Policy(DenyReason::Filtered));
        let refused = refused.filter(|route| route.rejected == by_filter);
        let shown = Box::new(Shown::of(peer));
        (Rows::Received(refused.collect(), shown), page.next)
    }

    fn accepted(&self, query: &RoutesQuery, peer: &Peer) -> (Rows, Option<IpNet>) {
        self.page(self.rib.accepted(peer.id, query.family, query.after, PAGE))
    }

    fn advertised(&self, query: &RoutesQuery, peer: &Peer) -> (Rows, Option<IpNet>) {
        let page = self
            .rib
            .advertised(peer.id, query.family, query.after, PAGE);
        let rows = page.items.into_iter().map(|advertised| {
            // Weight is ours and does not travel; it is shown as the table
            // has it.
            let view = self.rib.prefix(advertised.prefix);
            (advertised, view)
        });
        (Rows::Advertised(rows.collect()), page.next)
    }
}
