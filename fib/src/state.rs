//! Our routes, and the part of the kernel's state they depend on. Apart from the sockets, so
//! that a dump may fill it while they are in use.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use hashbrown::HashMap;
use ipnet::IpNet;

use crate::codec::{Notice, PROTOCOL_BGP, PROTOCOL_STATIC, RouteNotice};
use crate::handle::{
    Changes, Family, FibOptions, Kernel, RouteStatus, Source, TrackKey, ViaDefault,
};
use crate::kernel::{Effects, Foreign, ForeignTables, Mirror};
use crate::object::ObjectTable;
use crate::reconcile::Seconds;
use crate::redistribute::{Offer, Offers, worth_telling};
use crate::resolve::{Always, ByMirror, Resolve};
use crate::route::{KernelKind, KernelRoute, Resolution, RouteKind};
use crate::statics::{Change, StaticRoute, StaticStatus, Statics, Surroundings};
use crate::tables::Tables;
use crate::view::is_link_local;
use crate::ways::{Ways, covering};

/// See the [module](self).
pub(crate) struct State {
    pub(crate) table: u32,
    resolve_table: u32,
    pub(crate) via_default: ViaDefault,
    /// The largest weight that the kernel takes.
    pub(crate) max_weight: u16,
    kernel: Kernel,
    pub(crate) mirror: Mirror,
    /// Routes of others in tables that we write to or tell of, beside the one that next hops are
    /// resolved in.
    others: BTreeMap<u32, ForeignTables>,
    /// Of these, the tables that are told of.
    followed: BTreeSet<u32>,
    /// Of these, the tables in which next hops of single routes mean something.
    lent: BTreeSet<u32>,
    /// Of these, the tables that were not read yet.
    unread: BTreeSet<u32>,
    statics: Statics,
    /// Routes of BGP that next hops may be reached by.
    ways: Ways,
    pub(crate) tables: Tables,
    pub(crate) effects: Effects,
}

/// Resolves by what a [`State`] knows; other parts of it may be changed meanwhile.
macro_rules! resolver {
    ($state:expr) => {
        ByMirror {
            mirror: &$state.mirror,
            elsewhere: &$state.others,
            via_default: $state.via_default,
            max_weight: $state.max_weight,
            ways: Some(&$state.ways),
        }
    };
}

/// What was known before a dump.
pub(crate) struct Before {
    objects: ObjectTable,
    mirror: Mirror,
    others: BTreeMap<u32, ForeignTables>,
}

/// Whose route it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Bgp,
    Static,
    Other,
}

impl State {
    pub(crate) fn new(options: &FibOptions, tables: Tables, max_weight: u16) -> Self {
        let mut state = Self {
            table: options.table,
            resolve_table: options.resolve_table,
            via_default: options.resolve_via_default,
            max_weight,
            kernel: options.kernel,
            mirror: Mirror::default(),
            others: BTreeMap::new(),
            followed: BTreeSet::new(),
            lent: BTreeSet::new(),
            unread: BTreeSet::new(),
            statics: Statics::default(),
            ways: Ways::default(),
            tables,
            effects: Effects::default(),
        };
        state.mirror.vrf = options.vrf;
        if state.table != state.resolve_table {
            state.others.insert(state.table, ForeignTables::default());
        }
        state
    }

    // ===== notifications =====

    /// Takes in one notification.
    pub(crate) fn hear(&mut self, notice: Notice) {
        match notice {
            Notice::Route(route) => self.hear_route(route),
            Notice::Nexthop(object) if self.tables.sets.objects.is_ours(object.id) => {
                if object.gone {
                    self.effects.foreign_lost = true;
                    self.effects.touched.everything();
                }
                self.tables.object(&object);
            }
            notice => self.mirror.update(&notice, &mut self.effects),
        }
        // At once, since the next notification may be about a route that came after the loss.
        let objects = std::mem::take(&mut self.effects.lost_objects);
        let losses = std::mem::take(&mut self.effects.losses);
        for table in self.others.values_mut() {
            table.lose_objects(&objects);
        }
        if losses.is_empty() {
            return;
        }
        let up = self.mirror.up();
        for &loss in &losses {
            self.tables.lose(loss);
            for table in self.others.values_mut() {
                table.lose(loss, &up);
            }
        }
    }

    /// Of others' routes that went with a link or an object the kernel says as little as of ours.
    pub(crate) fn settle_losses(&mut self) {
        if std::mem::take(&mut self.effects.foreign_lost) {
            self.restore_foreign();
        }
    }

    fn owner(&self, notice: &RouteNotice) -> Owner {
        match notice.protocol {
            PROTOCOL_BGP if notice.table == self.table => Owner::Bgp,
            PROTOCOL_STATIC if self.tables.owns_statics(notice.table) => Owner::Static,
            _ => Owner::Other,
        }
    }

    fn hear_route(&mut self, notice: RouteNotice) {
        let owner = self.owner(&notice);
        let (table, key) = (notice.table, (notice.prefix, notice.route.metric));
        if owner == Owner::Other {
            self.hear_other(&notice);
        }
        let over = notice.replaced && !notice.gone;
        if !self.writes(table) {
            return;
        }
        if owner == Owner::Other {
            let others = self.others_in(table);
            let (present, subnet) = others.map_or((false, false), |others| {
                (others.has(key.0, key.1), others.has_subnet(key.0))
            });
            self.tables.set_foreign(table, key, present, over);
            self.tables.set_subnet(table, key.0, subnet);
            return;
        }
        if over && let Some(others) = self.others_in(table).filter(|o| o.has(key.0, key.1)) {
            others.overwritten(key.0, key.1);
            self.effects.at(key.0);
            self.tables.set_foreign(table, key, false, false);
        }
        match owner {
            Owner::Static => self.tables.own_static(notice),
            Owner::Bgp | Owner::Other => {
                self.bgp_changed(notice.prefix);
                self.tables.own(notice);
            }
        }
    }

    fn hear_other(&mut self, notice: &RouteNotice) {
        if notice.table == self.resolve_table {
            // What a BGP daemon of another table has here is no way to anywhere.
            if notice.protocol != PROTOCOL_BGP {
                self.mirror.routes.update(notice);
                self.effects.at(notice.prefix);
            }
        } else if notice.protocol == PROTOCOL_BGP && !self.tells_of(notice.table) {
            // Next hops do not resolve through it, and it may be a full table.
        } else if let Some(others) = self.others.get_mut(&notice.table) {
            others.update(notice);
            self.effects.touched.add(notice.prefix);
            self.effects.resolution |= self.lent.contains(&notice.table);
        }
    }

    /// Whether the table matters to more than next hops.
    fn tells_of(&self, table: u32) -> bool {
        self.followed.contains(&table) || self.writes(table)
    }

    /// Whether routes of ours are in the table.
    fn writes(&self, table: u32) -> bool {
        table == self.table || self.tables.owns_statics(table)
    }

    /// Routes of others in a table that is known.
    fn others_in(&mut self, table: u32) -> Option<&mut ForeignTables> {
        match table == self.resolve_table {
            true => Some(&mut self.mirror.routes),
            false => self.others.get_mut(&table),
        }
    }

    // ===== dumps =====

    /// The tables whose routes are known in full.
    pub(crate) fn dumped(&self) -> BTreeSet<u32> {
        let others = self.others.keys().copied();
        others.chain([self.resolve_table]).collect()
    }

    /// A full dump is about to begin. Returns what was known before.
    pub(crate) fn begin_dump(&mut self) -> Before {
        self.unread.clear();
        // Each of the prefixes to come would be a long list.
        self.effects.everything();
        let empty = self
            .others
            .keys()
            .map(|table| (*table, ForeignTables::default()));
        let empty = empty.collect();
        let mut before = Before {
            objects: self.tables.begin_dump(),
            mirror: std::mem::take(&mut self.mirror),
            others: std::mem::replace(&mut self.others, empty),
        };
        self.mirror.vrf = before.mirror.vrf;
        // These follow from the rest.
        self.mirror.statics = std::mem::take(&mut before.mirror.statics);
        before
    }

    /// The dump is complete.
    pub(crate) fn end_dump(&mut self, old: &Before) {
        self.effects = old.mirror.effects_of(&self.mirror);
        self.restore_foreign();
        self.tables.end_dump();
    }

    /// The dump broke off. Half a picture is worse than an old one.
    pub(crate) fn abort_dump(&mut self, mut old: Before) {
        self.tables.abort_dump(old.objects);
        old.mirror.statics = std::mem::take(&mut self.mirror.statics);
        self.mirror = old.mirror;
        self.others = old.others;
        self.restore_foreign();
    }

    fn restore_foreign(&mut self) {
        let written = [self.table].into_iter().chain(self.statics.tables());
        for table in written.collect::<BTreeSet<u32>>() {
            let others = match table == self.resolve_table {
                true => Some(&self.mirror.routes),
                false => self.others.get(&table),
            };
            if let Some(others) = others {
                self.tables.restore_foreign(table, others);
            }
        }
    }

    /// One message of a dump.
    pub(crate) fn hear_dump(&mut self, notice: Notice) {
        match notice {
            Notice::Nexthop(object) if self.tables.sets.objects.is_ours(object.id) => {
                self.tables.object(&object);
            }
            Notice::Route(route) => match self.owner(&route) {
                Owner::Bgp => self.tables.own(route),
                Owner::Static => self.tables.own_static(route),
                Owner::Other => self.hear_other(&route),
            },
            notice => self.mirror.update(&notice, &mut Effects::default()),
        }
    }

    /// The tables that are to be read before anything is written.
    pub(crate) fn take_unread(&mut self) -> BTreeSet<u32> {
        if !self.unread.is_empty() {
            // Each of their prefixes alone would be a long list.
            self.effects.everything();
        }
        std::mem::take(&mut self.unread)
    }

    /// A table was read for the first time.
    pub(crate) fn read(&mut self, table: u32) {
        if let Some(others) = self.others.get(&table) {
            self.tables.restore_foreign(table, others);
        }
        self.effects.resolution |= self.lent.contains(&table);
    }

    // ===== next hops =====

    /// A next hop has one more user. Routes that were there before may lead to it.
    pub(crate) fn track(&mut self, key: TrackKey) {
        let counts = self.kernel == Kernel::On && self.table == self.resolve_table;
        if !counts || is_link_local(key.address) || !self.ways.add(key.address) {
            return;
        }
        for prefix in covering(key.address) {
            let route = self.tables.wanted(prefix);
            self.effects.resolution |= self.ways.changed(prefix, route);
        }
    }

    /// A next hop has one user less.
    pub(crate) fn untrack(&mut self, key: TrackKey) {
        self.ways.remove(key.address);
    }

    pub(crate) fn resolve(&self, key: TrackKey) -> Option<Arc<Resolution>> {
        let resolver = resolver!(self);
        let found = match self.kernel {
            Kernel::On => resolver.resolve(key, false),
            Kernel::Off => Always.resolve(key, false),
        };
        found.map(Arc::new)
    }

    /// Has the tables known in which next hops of these routes mean something.
    fn lend(&mut self, changes: &Changes) {
        let routes = changes.iter().filter_map(|(_, route)| route.as_ref());
        let hops = routes.flat_map(|route| match &route.kind {
            RouteKind::Unicast(hops) => hops.as_slice(),
            _ => &[],
        });
        for table in hops.filter_map(|hop| hop.table) {
            let new = table != self.resolve_table && self.lent.insert(table);
            if new && self.kernel == Kernel::On && !self.others.contains_key(&table) {
                self.others.insert(table, ForeignTables::default());
                self.unread.insert(table);
            }
        }
    }

    pub(crate) fn apply(&mut self, changes: Changes, now: Seconds) {
        self.lend(&changes);
        for (prefix, route) in changes {
            let route = route.as_ref();
            if self.kernel == Kernel::Off {
                self.tables.desire(prefix, route, now, &Always);
                continue;
            }
            // What it changes for next hops is looked at with the rest, before anything is
            // written.
            self.effects.resolution |= self.ways.changed(prefix, route);
            let resolver = resolver!(self);
            self.tables.desire(prefix, route, now, &resolver);
        }
    }

    pub(crate) fn re_resolve(&mut self) {
        if self.kernel == Kernel::On {
            let resolver = resolver!(self);
            self.tables.re_resolve(&resolver);
        }
    }

    /// Whether routes are written by way of nexthop objects from now on.
    pub(crate) fn use_objects(&mut self, yes: bool, max_weight: u16) {
        self.max_weight = max_weight;
        self.tables.sets.use_objects(yes);
        self.re_resolve();
    }

    /// Tries again what the kernel refused.
    pub(crate) fn retry(&mut self) {
        if self.kernel == Kernel::On {
            let resolver = resolver!(self);
            self.tables.retry(&resolver);
        }
    }

    // ===== static routes =====

    pub(crate) fn has_statics(&self) -> bool {
        !self.statics.is_empty()
    }

    /// Wants these static routes and no others.
    pub(crate) fn set_statics(&mut self, routes: Vec<StaticRoute>, now: Seconds) {
        let gone = self.statics.set(routes, self.table);
        for table in self.statics.tables().collect::<Vec<u32>>() {
            self.own_table(table);
        }
        for change in gone {
            self.change_static(&change, now);
        }
        self.effects.resolution = true;
        self.resolve_statics(now);
    }

    /// From now on, static routes of this table are ours.
    fn own_table(&mut self, table: u32) {
        if !self.tables.own_statics(table) || self.kernel == Kernel::Off {
            return;
        }
        let Some(others) = self.others_in(table) else {
            self.others.insert(table, ForeignTables::default());
            self.unread.insert(table);
            return;
        };
        for (prefix, route) in others.extract(PROTOCOL_STATIC) {
            self.effects.at(prefix);
            let key = (prefix, route.metric);
            self.tables.set_foreign(table, key, false, false);
            // Those of an object that went in silence are gone, too.
            if self.exists(&route) {
                self.tables.own_static(RouteNotice {
                    prefix,
                    table,
                    protocol: PROTOCOL_STATIC,
                    route,
                    replaced: false,
                    gone: false,
                });
            }
        }
    }

    fn exists(&self, route: &KernelRoute) -> bool {
        match route.kind {
            KernelKind::Nexthop(id) => {
                let ours = self.tables.sets.objects.hops(id);
                !ours.is_empty() || !self.mirror.hops(route).is_empty()
            }
            _ => true,
        }
    }

    /// Works out static routes anew, if something changed that they depend on.
    pub(crate) fn resolve_statics(&mut self, now: Seconds) {
        if !self.effects.resolution || self.statics.is_empty() {
            return;
        }
        let around = Surroundings {
            mirror: (self.kernel == Kernel::On).then_some(&self.mirror),
            resolve_table: self.resolve_table,
            via_default: self.via_default,
        };
        for change in self.statics.resolve(around) {
            self.change_static(&change, now);
        }
    }

    fn change_static(&mut self, change: &Change, now: Seconds) {
        let Change { table, prefix, .. } = *change;
        if table == self.resolve_table {
            let chosen = self.statics.chosen(table, prefix);
            let route = chosen.map(|(route, _)| Foreign {
                protocol: PROTOCOL_STATIC,
                route: KernelRoute::clone(route),
            });
            self.mirror.statics.put(prefix, route);
            self.effects.at(prefix);
        }
        let others = match table == self.resolve_table {
            true => Some(&self.mirror.routes),
            false => self.others.get(&table),
        };
        let none = ForeignTables::default();
        let others = others.unwrap_or(&none);
        let resolver = resolver!(self);
        match self.kernel {
            Kernel::On => self.tables.desire_static(change, others, now, &resolver),
            Kernel::Off => self.tables.desire_static(change, others, now, &Always),
        }
    }

    pub(crate) fn static_status(&self, epoch: Instant) -> Vec<StaticStatus> {
        let around = Surroundings {
            mirror: (self.kernel == Kernel::On).then_some(&self.mirror),
            resolve_table: self.resolve_table,
            via_default: self.via_default,
        };
        let mut rows = self.statics.status(self.table, around);
        let families = [Family::V4, Family::V6].into_iter();
        let kernel = families.flat_map(|family| self.tables.static_status(family, epoch));
        let mut kernel: HashMap<IpNet, RouteStatus> = kernel.map(|row| (row.prefix, row)).collect();
        for row in rows.iter_mut().filter(|row| row.selected) {
            row.kernel = kernel.remove(&row.route.prefix.trunc());
        }
        rows
    }

    // ===== redistribution =====

    /// Tells of the routes in these tables.
    pub(crate) fn follow(&mut self, mut tables: BTreeSet<u32>) {
        tables.remove(&self.resolve_table);
        if tables == self.followed || self.kernel == Kernel::Off {
            return;
        }
        let needed = |table: u32, followed: &BTreeSet<u32>, tables: &Tables, own: u32| {
            followed.contains(&table) || tables.owns_statics(table) || table == own
        };
        let lent = &self.lent;
        self.followed = tables;
        let (followed, own) = (&self.followed, self.table);
        self.others
            .retain(|table, _| lent.contains(table) || needed(*table, followed, &self.tables, own));
        for table in followed {
            if !self.others.contains_key(table) || lent.contains(table) {
                self.others.insert(*table, ForeignTables::default());
                self.unread.insert(*table);
            }
        }
        self.unread.retain(|table| self.others.contains_key(table));
        self.effects.touched.everything();
    }

    /// The kernel may have another route of BGP for this prefix: they hide static ones of a
    /// higher metric.
    pub(crate) fn bgp_changed(&mut self, prefix: IpNet) {
        if !self.mirror.statics.at(prefix).is_empty() {
            self.effects.touched.add(prefix);
        }
    }

    /// All that may be redistributed.
    pub(crate) fn redistributable(&self) -> Offers {
        let mut found = self.mirror.redistributable();
        for prefix in self.statics.in_use(self.resolve_table) {
            self.offer_static(prefix, &mut found);
        }
        for table in &self.followed {
            let Some(others) = self.others.get(table) else {
                continue;
            };
            let foreign = others.iter();
            for (prefix, foreign) in foreign.filter(|(_, f)| !self.is_our_static(*table, f)) {
                let offer = self.mirror.offer_of(prefix, foreign);
                offer_once(&mut found, (prefix, Source::Table(*table)), offer);
            }
        }
        found
    }

    /// The same for one prefix.
    pub(crate) fn redistributable_at(&self, prefix: IpNet) -> Offers {
        let mut found = self.mirror.redistributable_at(prefix);
        self.offer_static(prefix, &mut found);
        for table in &self.followed {
            let foreign = self.others.get(table).map_or(&[][..], |o| o.at(prefix));
            for foreign in foreign.iter().filter(|f| !self.is_our_static(*table, f)) {
                let offer = self.mirror.offer_of(prefix, foreign);
                offer_once(&mut found, (prefix, Source::Table(*table)), offer);
            }
        }
        found
    }

    /// Whether it is a static route in the table that BGP's go to: if not of this FIB, then of
    /// the one that has the static routes.
    fn is_our_static(&self, table: u32, foreign: &Foreign) -> bool {
        table == self.table && foreign.protocol == PROTOCOL_STATIC
    }

    /// Our static route of a prefix, unless another route has a lower metric: of these the
    /// kernel uses only the best.
    fn offer_static(&self, prefix: IpNet, found: &mut Offers) {
        let Some((route, gateway)) = self.statics.chosen(self.resolve_table, prefix) else {
            return;
        };
        let other = self
            .mirror
            .routes
            .at(prefix)
            .first()
            .map(|f| f.route.metric);
        let hidden = other.is_some_and(|metric| metric <= route.metric)
            || (self.table == self.resolve_table
                && self
                    .tables
                    .best_metric(prefix)
                    .is_some_and(|m| m < route.metric));
        if !hidden && worth_telling(prefix) {
            let offer = Offer {
                ifindex: route.hops().first().map(|hop| hop.ifindex),
                metric: 0,
                next_hop: gateway.filter(|gateway| !is_link_local(*gateway)),
            };
            found.insert((prefix, Source::Static), offer);
        }
    }
}

fn offer_once(found: &mut Offers, key: (IpNet, Source), offer: Option<Offer>) {
    if let Some(offer) = offer {
        found.entry(key).or_insert(offer);
    }
}
