//! The BGP instances: a core for each, made, changed and ended as the
//! configuration and the kernel say.
//!
//! What there is once for the whole process is here: the running
//! configuration, the listening sockets and their keys. Each core knows its
//! own instance only. The default one's is always there, because it is the one
//! that the kernel's main table belongs to; a VRF's has another table; a view's
//! has no kernel, so that every next hop counts as reachable and nothing of it
//! is forwarded.
//!
//! ```text
//!   Speaker --Order(16)--> instances --Request::Apply, Stop--> core (default)
//!      |                                                  \--> core (a VRF)
//!      +------- Request, by way of the directory --------------^
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use holdfast_api::v1;
use holdfast_config::InstanceName;
use holdfast_config::model::{Bgp, Config, Rpki};
use holdfast_fib::{self as fib, FibHandle, KernelView};
use holdfast_policy::RoaTable;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::{Id, JoinError, JoinSet};

use super::core::{Answer, Core, Lanes, Parts, Registry};
use super::leak::{Leak, Link, Taker};
use super::listener::Listening;
use super::realm::Realm;
use super::request::Request;
use super::restart::Restarting;
use super::rpki::{Caches, RoaNews};
use super::watch::{Interest, Watchers};
use super::{SpeakerError, SpeakerOptions};

/// Requests that may wait for a core.
const REQUESTS: usize = 64;
/// Reports of sessions that may wait for a core, each of up to one read:
/// enough that the core has something to do, few enough that memory stays small
/// when peers are faster than we are.
const REPORTS: usize = 16;
/// Routes of other instances that may wait for a core, each a batch.
const LEAKS: usize = 4;
/// Orders that may wait.
pub(super) const ORDERS: usize = 16;

/// What is asked of the process as a whole.
pub(super) enum Order {
    /// The running configuration and its revision.
    Config(oneshot::Sender<(Config, u64)>),
    /// Validated already; answers with a line per change and the revision.
    Apply(Box<Config>, Answer<(Vec<String>, u64)>),
    /// `rpki start`, `stop` and `reset`.
    Rpki(v1::RpkiOrder, oneshot::Sender<()>),
    Stop {
        graceful: bool,
        done: oneshot::Sender<()>,
    },
}

/// The way to a core.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub(super) name: InstanceName,
    pub(super) requests: mpsc::Sender<Request>,
    /// The core has the strong one, so that watches end with it.
    pub(super) watchers: broadcast::WeakSender<Arc<v1::WatchEvent>>,
    pub(super) interest: Arc<Interest>,
    /// Where routes of other instances go to be taken over.
    leaks: mpsc::Sender<Leak>,
    /// Where its routes go.
    pub(super) fib: FibHandle,
    /// The kernel's table, if they go there.
    pub(super) table: Option<u32>,
    /// Next hops resolve in that table too: others' routes there are the
    /// instance's.
    pub(super) owns_table: bool,
}

/// The way to each core, by the name that stands for it.
#[derive(Debug, Clone, Default)]
pub(super) struct Directory(Arc<RwLock<HashMap<String, Door>>>);

impl Directory {
    /// The way to one core; none where there is no such instance.
    pub(super) fn door(&self, name: &str) -> Option<Door> {
        let doors = self.0.read().unwrap_or_else(PoisonError::into_inner);
        doors.get(name).cloned()
    }

    fn edit<T>(&self, edit: impl FnOnce(&mut HashMap<String, Door>) -> T) -> T {
        edit(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A core that was not asked to end.
#[derive(Debug)]
struct Running {
    task: Id,
    realm: Realm,
    /// No other core has or had this number.
    serial: u64,
    /// Whose numbers its nexthop objects have, where it has a kernel.
    object_block: Option<u32>,
}

/// The task that owns all of this.
pub(super) struct Instances {
    options: SpeakerOptions,
    config: Config,
    /// Counts changes of the configuration.
    revision: u64,
    directory: Directory,
    /// The host's sockets, and those of VRF devices by the VRF's name.
    listening: Listening,
    devices: BTreeMap<InstanceName, Listening>,
    /// The default instance's FIB, which knows the host's interfaces.
    host: FibHandle,
    view: watch::Receiver<Arc<KernelView>>,
    cores: JoinSet<()>,
    running: BTreeMap<InstanceName, Running>,
    next_serial: u64,
    started: Instant,
    caches: Caches,
    /// What the caches said; a lane that has ended is nobody's fault but the
    /// end's.
    roa_news: mpsc::Receiver<RoaNews>,
    roas: Arc<RoaTable>,
}

impl Instances {
    /// With the default instance's core, and nothing configured.
    pub(super) fn new(
        options: SpeakerOptions,
        (host, fib_events): (FibHandle, mpsc::Receiver<fib::Event>),
        restart: Option<Restarting>,
        listening: Listening,
        (caches, roa_news): (Caches, mpsc::Receiver<RoaNews>),
    ) -> Self {
        let mut instances = Self {
            options: options.clone(),
            config: Config::default(),
            revision: 0,
            directory: Directory::default(),
            listening,
            devices: BTreeMap::new(),
            host: host.clone(),
            view: host.watch_view(),
            cores: JoinSet::new(),
            running: BTreeMap::new(),
            next_serial: 0,
            started: Instant::now(),
            caches,
            roa_news,
            roas: Arc::default(),
        };
        let object_block = options.kernel.then(|| fib::object_block(options.table));
        let name = (InstanceName::Default, Realm::Host, object_block);
        instances.start(name, options, (host, fib_events), restart);
        instances
    }

    pub(super) fn directory(&self) -> Directory {
        self.directory.clone()
    }

    /// Runs until told to stop, until nobody is left who could tell it, or
    /// until a core ends by itself: better no speaker than half of one.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Config(answer)) => {
                        drop(answer.send((self.config.clone(), self.revision)));
                    }
                    Some(Order::Apply(config, answer)) => {
                        let result = self.apply(*config).await;
                        drop(answer.send(result.map(|changes| (changes, self.revision))));
                    }
                    Some(Order::Rpki(order, answer)) => {
                        self.caches.control(order);
                        let _ = answer.send(());
                    }
                    Some(Order::Stop { graceful, done }) => {
                        self.stop(graceful).await;
                        let _ = done.send(());
                        return;
                    }
                    None => return self.stop(false).await,
                },
                Ok(()) = self.view.changed() => self.view_changed().await,
                Some(news) = self.roa_news.recv() => self.roas_changed(news).await,
                Some(end) = self.cores.join_next_with_id() => {
                    let id = id_of(&end);
                    let running = self.running.iter().find(|(_, running)| running.task == id);
                    if let Some((name, _)) = running {
                        tracing::error!(instance = %name, "a routing core has ended");
                        // Nobody finds those that are cut off now.
                        self.directory.edit(HashMap::clear);
                        return;
                    }
                }
            }
        }
    }

    /// Tells every core; those that start later begin with it.
    async fn roas_changed(&mut self, news: RoaNews) {
        self.roas = Arc::clone(&news.roas);
        for name in self.running.keys() {
            if let Some(door) = self.directory.door(name.word()) {
                // One that is gone needs no news.
                let _ = door.requests.send(Request::Roas(news.clone())).await;
            }
        }
    }

    // ===== cores =====

    fn start(
        &mut self,
        (name, realm, object_block): (InstanceName, Realm, Option<u32>),
        options: SpeakerOptions,
        (fib, fib_events): (FibHandle, mpsc::Receiver<fib::Event>),
        restart: Option<Restarting>,
    ) {
        let (requests, request_lane) = mpsc::channel(REQUESTS);
        let (reports, report_lane) = mpsc::channel(REPORTS);
        let (leaks, leak_lane) = mpsc::channel(LEAKS);
        let watchers = Watchers::new(options.kernel);
        let door = Door {
            name: name.clone(),
            requests,
            watchers: watchers.events.downgrade(),
            interest: Arc::clone(&watchers.interest),
            leaks,
            fib: fib.clone(),
            table: realm.table(&options).filter(|_| options.kernel),
            owns_table: matches!(realm, Realm::Host | Realm::Device(_)),
        };
        let listening = match realm.device() {
            Some(device) => {
                let listening = Listening::on_device(&options.listen, &device.name);
                self.devices
                    .entry(name.clone())
                    .insert_entry(listening)
                    .into_mut()
            }
            None => &mut self.listening,
        };
        let registry = match realm {
            // Nobody connects to sessions that wait.
            Realm::Nowhere => Registry::default(),
            _ => Arc::clone(&listening.registry),
        };
        let core = Core::new(Parts {
            name: name.clone(),
            realm: realm.clone(),
            options,
            host: self.host.clone(),
            fib,
            reports,
            watchers,
            registry,
            restart,
            serial: self.next_serial,
            roas: Arc::clone(&self.roas),
        });
        let lanes = Lanes {
            requests: request_lane,
            reports: report_lane,
            leaks: leak_lane,
            fib: fib_events,
        };
        let task = self.cores.spawn(core.run(lanes)).id();
        let serial = self.next_serial;
        self.next_serial += 1;
        self.directory
            .edit(|doors| doors.insert(name.word().to_owned(), door));
        self.running.insert(
            name,
            Running {
                task,
                realm,
                serial,
                object_block,
            },
        );
    }

    /// Starts the core of a VRF or view.
    async fn start_other(&mut self, name: &InstanceName, realm: Realm) -> Result<(), SpeakerError> {
        realm.announce(name, self.owner_before(name).as_ref());
        let mut options = self.options.clone();
        let table = realm.table(&options).filter(|_| options.kernel);
        options.kernel = table.is_some();
        options.table = table.unwrap_or(options.table);
        let object_block = table.and_then(|table| self.free_object_block(table));
        options.adopt_stale = table.and_then(|_| self.restart_time(name));
        let fib = fib::spawn(fib::FibOptions {
            resolve_table: realm.resolve_table(),
            vrf: realm.device().map(|device| device.ifindex),
            object_block,
            ..super::fib_options(&options)
        });
        let (fib, events) = fib.await?;
        let restart = Restarting::found(&fib, options.adopt_stale).await?;
        self.start(
            (name.clone(), realm, object_block),
            options,
            (fib, events),
            restart,
        );
        Ok(())
    }

    /// Numbers for the nexthop objects of a table: its own ones, or the next that
    /// no other table of ours has.
    fn free_object_block(&self, table: u32) -> Option<u32> {
        let taken: BTreeSet<u32> = self
            .running
            .values()
            .filter_map(|r| r.object_block)
            .collect();
        let own = fib::object_block(table);
        let mut blocks = (0..fib::OBJECT_BLOCKS).map(|at| (own + at) % fib::OBJECT_BLOCKS);
        blocks.find(|block| !taken.contains(block))
    }

    /// How much longer a graceful restart of a VRF's may take. Only what is there
    /// from the start can be one.
    fn restart_time(&self, name: &InstanceName) -> Option<Duration> {
        let restart = self.config.instance(name)?.graceful_restart;
        let time = Duration::from_secs(restart.restart_time_secs.into());
        let left = time.checked_sub(self.started.elapsed());
        left.filter(|_| restart.enabled)
    }

    /// Has a core end. It is not to be found any more; the answer comes when
    /// its sessions are closed.
    async fn end(&mut self, name: &InstanceName, graceful: bool) -> oneshot::Receiver<()> {
        let (done, ended) = oneshot::channel();
        self.running.remove(name);
        if let Some(mut listening) = self.devices.remove(name) {
            listening.close().await;
        }
        if let Some(door) = self.directory.edit(|doors| doors.remove(name.word())) {
            // One that is gone already drops the answer's sender.
            let _ = door.requests.send(Request::Stop { graceful, done }).await;
        }
        ended
    }

    async fn stop(&mut self, graceful: bool) {
        self.caches.configure(&Rpki::default());
        self.listening.close().await;
        // The default one first: without it, nobody takes what ends now for an
        // instance that is not configured.
        let names: Vec<InstanceName> = self.running.keys().cloned().collect();
        let mut ends = Vec::new();
        for name in names {
            let graceful = match self.config.instance(&name) {
                Some(bgp) if !name.is_default() => bgp.graceful_restart.enabled,
                _ => graceful,
            };
            ends.push(self.end(&name, graceful).await);
        }
        for end in ends {
            let _ = end.await;
        }
    }

    // ===== the configuration =====

    /// Takes a configuration that was validated. Returns a line per change, as
    /// a dry run would have told it. Each core compares its own part.
    async fn apply(&mut self, config: Config) -> Result<Vec<String>, SpeakerError> {
        if config == self.config {
            return Ok(Vec::new());
        }
        self.revision += 1;
        let old = std::mem::replace(&mut self.config, config);
        let plan = holdfast_config::diff(&old, &self.config).to_string();
        self.caches.configure(&self.config.rpki);
        self.arrange().await?;
        Ok(plan.lines().map(str::to_owned).collect())
    }

    /// VRF devices may have come or gone.
    async fn view_changed(&mut self) {
        let moved = |(name, running): (&InstanceName, &Running)| self.realm(name) != running.realm;
        if self.running.iter().any(moved)
            && let Err(error) = self.arrange().await
        {
            tracing::error!(%error, "VRFs do not follow their devices");
        }
    }

    fn realm(&self, name: &InstanceName) -> Realm {
        match self.owner_before(name) {
            Some(_) => Realm::Nowhere,
            None => self.wanted_realm(name),
        }
    }

    fn wanted_realm(&self, name: &InstanceName) -> Realm {
        Realm::of(name, &self.config, &self.options, &self.host.view())
    }

    /// The instance that has the table which a VRF would have: two owners would
    /// delete each other's routes. The first by name gets it.
    fn owner_before(&self, name: &InstanceName) -> Option<InstanceName> {
        if !name.is_vrf() {
            return None;
        }
        let table = self.wanted_realm(name).table(&self.options)?;
        if table == self.options.table {
            return Some(InstanceName::Default);
        }
        let instances = self.config.instances().map(|(other, _)| other);
        let mut before = instances.filter(|other| other.is_vrf() && other < name);
        before.find(|other| self.wanted_realm(other).table(&self.options) == Some(table))
    }

    /// Has the cores be those that the configuration and the kernel ask for,
    /// and gives each its part of the configuration.
    async fn arrange(&mut self) -> Result<(), SpeakerError> {
        // Those that go say goodbye before others may take their neighbors.
        let mut ends = Vec::new();
        for name in self.running.keys().cloned().collect::<Vec<_>>() {
            if name.is_default() {
                continue;
            }
            if self.config.instance(&name).is_none() {
                // Its peers are told that they are not configured any more.
                self.tell(&name).await?;
                ends.push(self.end(&name, false).await);
            } else if self.running.get(&name).map(|r| &r.realm) != Some(&self.realm(&name)) {
                tracing::info!(instance = %name, "moves to another table or device");
                ends.push(self.end(&name, false).await);
            }
        }
        for end in ends {
            let _ = end.await;
        }
        self.apply_keys();
        let others = self.config.instances().map(|(name, _)| name);
        let others: Vec<_> = others.filter(|name| !name.is_default()).collect();
        for name in [InstanceName::Default].into_iter().chain(others) {
            if !self.running.contains_key(&name) {
                self.start_other(&name, self.realm(&name)).await?;
                // The sockets of a device are new.
                self.apply_keys();
            }
            self.tell(&name).await?;
        }
        self.link().await
    }

    /// Gives a core its part of the configuration.
    async fn tell(&self, name: &InstanceName) -> Result<(), SpeakerError> {
        let config = Box::new(self.config.of_instance(name));
        self.ask(name, |done| Request::Apply(config, done)).await
    }

    async fn ask(
        &self,
        name: &InstanceName,
        request: impl FnOnce(oneshot::Sender<()>) -> Request,
    ) -> Result<(), SpeakerError> {
        let door = self.directory.door(name.word());
        let door = door.ok_or(SpeakerError::Stopped)?;
        let (done, finished) = oneshot::channel();
        let sent = door.requests.send(request(done)).await;
        sent.map_err(|_| SpeakerError::Stopped)?;
        finished.await.map_err(|_| SpeakerError::Stopped)
    }

    /// Tells the cores whose routes they take over, then those whose routes are
    /// taken who takes them: nothing comes that is not expected.
    async fn link(&self) -> Result<(), SpeakerError> {
        let mut lanes: HashMap<InstanceName, Vec<Taker>> = HashMap::new();
        for (name, running) in &self.running {
            let links = self.links_of(name);
            let Some(door) = self.directory.door(name.word()) else {
                continue;
            };
            for (from, link) in &links {
                let taker = Taker {
                    serial: running.serial,
                    families: link.families,
                    lane: door.leaks.clone(),
                };
                lanes.entry(from.clone()).or_default().push(taker);
            }
            self.ask(name, |done| Request::Import(links, done)).await?;
        }
        for name in self.running.keys() {
            let lanes = lanes.remove(name).unwrap_or_default();
            self.ask(name, |done| Request::Export(lanes, done)).await?;
        }
        Ok(())
    }

    /// The instances that one takes routes from, as far as they are there.
    fn links_of(&self, name: &InstanceName) -> BTreeMap<InstanceName, Link> {
        let mut links: BTreeMap<InstanceName, Link> = BTreeMap::new();
        let Some(bgp) = self.config.instance(name) else {
            return links;
        };
        let families = [
            (bgp_wire::Family::Ipv4Unicast, &bgp.ipv4_unicast.import_vrfs),
            (bgp_wire::Family::Ipv6Unicast, &bgp.ipv6_unicast.import_vrfs),
        ];
        let lists = families.into_iter();
        for (family, from) in lists.flat_map(|(f, names)| names.iter().map(move |n| (f, n))) {
            let from = match from.as_str() {
                "default" => InstanceName::Default,
                vrf => InstanceName::Vrf(vrf.to_owned()),
            };
            if let Some(running) = self.running.get(&from) {
                let link = links.entry(from).or_insert_with(|| Link {
                    serial: running.serial,
                    resolve_table: running.realm.resolve_table(),
                    vrf_id: running.realm.vrf_id(),
                    families: bgp_wire::FamilySet::EMPTY,
                });
                link.families.insert(family);
            }
        }
        links
    }

    /// Each place needs the keys of the peers that are there.
    fn apply_keys(&mut self) {
        let keys = |bgp: &Bgp| -> BTreeMap<IpAddr, String> {
            let peers = bgp.effective_peers();
            peers
                .filter_map(|peer| Some((peer.address, peer.password?)))
                .collect()
        };
        let mut host = BTreeMap::new();
        for (name, bgp) in self.config.instances() {
            match self.devices.get_mut(&name) {
                Some(device) => device.apply_keys(keys(bgp)),
                None => host.extend(keys(bgp)),
            }
        }
        self.listening.apply_keys(host);
    }
}

fn id_of(end: &Result<(Id, ()), JoinError>) -> Id {
    match end {
        Ok((id, ())) => *id,
        Err(error) => error.id(),
    }
}
