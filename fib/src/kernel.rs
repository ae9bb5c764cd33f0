//! A mirror of what the kernel knows about links, addresses and routes of others. Pure: it is
//! told by dumps and notifications, and tells what that changed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

use crate::codec::{Notice, RouteNotice};
use crate::family::Prefix;
use crate::object::{ObjectNotice, ObjectTable};
use crate::reconcile::Taken;
use crate::redistribute::PROTOCOL_KERNEL;
use crate::route::{KernelHop, KernelKind, KernelRoute};
use crate::view::{Address, Interface, KernelView};

const IFF_UP: u32 = 1;
const IFF_LOOPBACK: u32 = 1 << 3;
const IFF_RUNNING: u32 = 1 << 6;
const IFF_LOWER_UP: u32 = 1 << 16;

/// A network interface as the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) ifindex: u32,
    pub(crate) name: String,
    pub(crate) flags: u32,
    pub(crate) mtu: u32,
    pub(crate) master: Option<u32>,
    /// The table, where this is a VRF device.
    pub(crate) vrf_table: Option<u32>,
}

impl Link {
    pub(crate) fn admin_up(&self) -> bool {
        self.flags & IFF_UP != 0
    }

    /// Up, and able to carry packets.
    pub(crate) fn usable(&self) -> bool {
        self.admin_up() && self.flags & IFF_RUNNING != 0
    }

    /// Able to keep nexthop objects: the kernel deletes those on a link that is down or has no
    /// carrier (`nexthop_flush_dev`).
    fn keeps_objects(&self) -> bool {
        self.admin_up() && self.flags & (IFF_RUNNING | IFF_LOWER_UP) != 0
    }

    fn loopback(&self) -> bool {
        self.flags & IFF_LOOPBACK != 0
    }
}

/// A route that is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Foreign {
    pub(crate) protocol: u8,
    pub(crate) route: KernelRoute,
}

impl Foreign {
    /// Whether it is what the kernel makes of an address of a link.
    pub(crate) fn is_subnet(&self) -> bool {
        let hops = self.route.hops();
        let on_link = !hops.is_empty() && hops.iter().all(|hop| hop.gateway.is_none());
        self.protocol == PROTOCOL_KERNEL && on_link
    }

    /// Whether `old` is this route, or this route before next hops were added.
    fn grew_from(&self, old: &Self) -> bool {
        let same = (self.protocol, self.route.metric) == (old.protocol, old.route.metric);
        let hops = self.route.hops();
        let grown = !hops.is_empty() && old.route.hops().iter().all(|hop| hops.contains(hop));
        *self == *old || (same && grown && !old.route.hops().is_empty())
    }
}

/// Removes `gone` from the routes of a prefix. IPv6 also tells single next hops of a multipath
/// route as gone.
fn remove_foreign(list: &mut Vec<Foreign>, gone: &Foreign) {
    if let Some(at) = list.iter().position(|old| old == gone) {
        list.remove(at);
        return;
    }
    let Some(at) = list.iter().position(|old| old.grew_from(gone)) else {
        return;
    };
    if let Some(KernelKind::Unicast(hops)) = list.get_mut(at).map(|old| &mut old.route.kind) {
        hops.retain(|hop| !gone.route.hops().contains(hop));
    }
}

/// The routes of others in one table, for one family; per prefix in the order of their metric.
#[derive(Debug, Clone)]
pub(crate) struct ForeignTable<P: Prefix> {
    routes: PrefixMap<P, Vec<Foreign>>,
}

impl<P: Prefix> Default for ForeignTable<P> {
    fn default() -> Self {
        Self {
            routes: PrefixMap::new(),
        }
    }
}

impl<P: Prefix> ForeignTable<P> {
    /// Adds or removes the route of a notice.
    fn update(&mut self, prefix: P, notice: &RouteNotice) {
        let new = Foreign {
            protocol: notice.protocol,
            route: notice.route.clone(),
        };
        let list = self.routes.entry(prefix).or_default();
        if notice.gone {
            remove_foreign(list, &new);
        } else {
            // IPv6 tells the whole set of next hops again when one is appended.
            list.retain(|old| match notice.replaced {
                true => old.route.metric != new.route.metric,
                false => !new.grew_from(old),
            });
            let at = list.partition_point(|old| old.route.metric <= new.route.metric);
            list.insert(at, new);
        }
        if list.is_empty() {
            self.routes.remove(&prefix);
        }
    }

    /// One of our routes took the place of whatever had this metric.
    fn overwritten(&mut self, prefix: P, metric: u32) {
        if let Some(list) = self.routes.get_mut(&prefix) {
            list.retain(|old| old.route.metric != metric);
            if list.is_empty() {
                self.routes.remove(&prefix);
            }
        }
    }

    /// Whether someone has this prefix with this metric.
    pub(crate) fn has(&self, prefix: P, metric: u32) -> bool {
        let list = self.routes.get(&prefix);
        list.is_some_and(|list| list.iter().any(|r| r.route.metric == metric))
    }

    /// Drops what the kernel drops without a word when a link goes down: routes with no next hop
    /// left. Of a multipath route it keeps the dead members and revives them later.
    fn lose(&mut self, dead: impl Fn(&KernelRoute) -> bool) -> bool {
        let mut lost = false;
        for list in self.routes.values_mut() {
            let before = list.len();
            list.retain(|r| !dead(&r.route));
            lost |= list.len() != before;
        }
        if lost {
            self.routes.retain(|_, list| !list.is_empty());
        }
        lost
    }

    /// The routes that cover `address`, longest prefix first, each in the order of metrics.
    pub(crate) fn covering(&self, address: P) -> Vec<(P, &[Foreign])> {
        let mut found: Vec<_> = self
            .routes
            .cover(&address)
            .map(|(prefix, list)| (prefix, list.as_slice()))
            .collect();
        found.reverse();
        found
    }

    pub(crate) fn at(&self, prefix: &P) -> &[Foreign] {
        self.routes.get(prefix).map_or(&[], Vec::as_slice)
    }

    /// Puts the only route of a prefix in place.
    fn put(&mut self, prefix: P, route: Option<Foreign>) {
        match route {
            Some(route) => drop(self.routes.insert(prefix, vec![route])),
            None => drop(self.routes.remove(&prefix)),
        }
    }

    /// Takes the routes of a protocol out.
    fn extract(&mut self, protocol: u8) -> Vec<(IpNet, KernelRoute)> {
        let mut found = Vec::new();
        let mut emptied = Vec::new();
        for (prefix, list) in self.routes.iter_mut() {
            let all = std::mem::take(list);
            let (theirs, others) = all.into_iter().partition(|r| r.protocol == protocol);
            *list = others;
            let theirs: Vec<Foreign> = theirs;
            found.extend(theirs.into_iter().map(|r| (prefix.into(), r.route)));
            if list.is_empty() {
                emptied.push(prefix);
            }
        }
        for prefix in emptied {
            self.routes.remove(&prefix);
        }
        found
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (IpNet, &Foreign)> + '_ {
        self.routes
            .iter()
            .flat_map(|(prefix, list)| list.iter().map(move |r| (prefix.into(), r)))
    }

    /// Whether the prefix is the subnet of a link.
    pub(crate) fn has_subnet(&self, prefix: P) -> bool {
        let list = self.routes.get(&prefix);
        list.is_some_and(|list| list.iter().any(Foreign::is_subnet))
    }

    /// Every prefix and metric in use, and the subnets of links.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (P, Taken)> + '_ {
        self.routes.iter().flat_map(|(prefix, list)| {
            let metrics = list.iter().map(|foreign| Taken::By(foreign.route.metric));
            let subnet = list.iter().any(Foreign::is_subnet);
            let subnet = subnet.then_some(Taken::Subnet).into_iter();
            metrics.chain(subnet).map(move |taken| (prefix, taken))
        })
    }
}

/// Both families of a table.
#[derive(Debug, Clone, Default)]
pub(crate) struct ForeignTables {
    pub(crate) v4: ForeignTable<Ipv4Net>,
    pub(crate) v6: ForeignTable<Ipv6Net>,
}

impl ForeignTables {
    pub(crate) fn update(&mut self, notice: &RouteNotice) {
        match notice.prefix {
            IpNet::V4(prefix) => self.v4.update(prefix, notice),
            IpNet::V6(prefix) => self.v6.update(prefix, notice),
        }
    }

    pub(crate) fn overwritten(&mut self, prefix: IpNet, metric: u32) {
        match prefix {
            IpNet::V4(prefix) => self.v4.overwritten(prefix, metric),
            IpNet::V6(prefix) => self.v6.overwritten(prefix, metric),
        }
    }

    pub(crate) fn has(&self, prefix: IpNet, metric: u32) -> bool {
        match prefix {
            IpNet::V4(prefix) => self.v4.has(prefix, metric),
            IpNet::V6(prefix) => self.v6.has(prefix, metric),
        }
    }

    pub(crate) fn has_subnet(&self, prefix: IpNet) -> bool {
        match prefix {
            IpNet::V4(prefix) => self.v4.has_subnet(prefix),
            IpNet::V6(prefix) => self.v6.has_subnet(prefix),
        }
    }

    /// The routes of a prefix in the order of their metric.
    pub(crate) fn at(&self, prefix: IpNet) -> &[Foreign] {
        match prefix {
            IpNet::V4(prefix) => self.v4.at(&prefix),
            IpNet::V6(prefix) => self.v6.at(&prefix),
        }
    }

    /// Puts the only route of a prefix in place.
    pub(crate) fn put(&mut self, prefix: IpNet, route: Option<Foreign>) {
        match prefix {
            IpNet::V4(prefix) => self.v4.put(prefix, route),
            IpNet::V6(prefix) => self.v6.put(prefix, route),
        }
    }

    /// Takes the routes of a protocol out.
    pub(crate) fn extract(&mut self, protocol: u8) -> Vec<(IpNet, KernelRoute)> {
        let mut found = self.v4.extract(protocol);
        found.extend(self.v6.extract(protocol));
        found
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (IpNet, &Foreign)> + '_ {
        self.v4.iter().chain(self.v6.iter())
    }

    /// Drops the routes that use nexthop objects which are gone.
    pub(crate) fn lose_objects(&mut self, gone: &BTreeSet<u32>) {
        if gone.is_empty() {
            return;
        }
        let dead = |route: &KernelRoute| matches!(route.kind, KernelKind::Nexthop(id) if gone.contains(&id));
        self.v4.lose(dead);
        self.v6.lose(dead);
    }

    /// Applies a [`Loss`]; `up` are the links that are not down.
    pub(crate) fn lose(&mut self, loss: Loss, up: &BTreeSet<u32>) -> bool {
        let mut lost = false;
        if loss.concerns_v4() {
            lost |= self.v4.lose(|route| loss.ends(route, up));
        }
        if loss.concerns_v6() {
            lost |= self.v6.lose(|route| loss.ends(route, up));
        }
        lost
    }
}

/// An event that makes the kernel drop routes, in part without telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The link went down or away.
    Link(u32),
    /// The link has no carrier any more, which ends the nexthop objects on it and what uses
    /// them. Routes that name their next hops themselves stay.
    Carrier(u32),
    /// The link lost its last IPv4 address, which ends IPv4 on it.
    LinkV4(u32),
    /// The address is no longer the host's own, so nothing may be sent from it.
    Address(IpAddr),
}

impl Loss {
    pub(crate) fn concerns_v4(self) -> bool {
        !matches!(self, Self::Address(IpAddr::V6(_)))
    }

    pub(crate) fn concerns_v6(self) -> bool {
        !matches!(self, Self::LinkV4(_) | Self::Address(IpAddr::V4(_)))
    }

    /// The route is gone with it.
    pub(crate) fn kills(self, route: &KernelRoute) -> bool {
        match self {
            Self::Link(ifindex) | Self::LinkV4(ifindex) => {
                let hops = route.hops();
                !hops.is_empty() && hops.iter().all(|hop| hop.ifindex == ifindex)
            }
            Self::Carrier(_) => false,
            Self::Address(address) => route.prefsrc == Some(address),
        }
    }

    /// As [`kills`](Self::kills), where next hops may be dead already: the kernel keeps those of
    /// links that are down for as long as another one lives.
    fn ends(self, route: &KernelRoute, up: &BTreeSet<u32>) -> bool {
        let (Self::Link(lost) | Self::LinkV4(lost)) = self else {
            return self.kills(route);
        };
        let hops = route.hops();
        let dead = |ifindex: u32| ifindex == lost || !up.contains(&ifindex);
        hops.iter().any(|hop| hop.ifindex == lost) && hops.iter().all(|hop| dead(hop.ifindex))
    }

    /// The route is still there, but not as it was written.
    pub(crate) fn maims(self, route: &KernelRoute) -> bool {
        match self {
            Self::Link(ifindex) | Self::LinkV4(ifindex) => {
                route.hops().iter().any(|hop| hop.ifindex == ifindex)
            }
            Self::Carrier(_) | Self::Address(_) => false,
        }
    }
}

/// Prefixes that something happened to.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Any of them.
    pub(crate) all: bool,
    /// These, where it is not any.
    pub(crate) prefixes: BTreeSet<IpNet>,
}

impl Touched {
    pub(crate) fn add(&mut self, prefix: IpNet) {
        if !self.all {
            self.prefixes.insert(prefix);
        }
    }

    pub(crate) fn everything(&mut self) {
        self.all = true;
        self.prefixes.clear();
    }
}

impl Effects {
    /// Whether there is something to draw consequences of.
    pub(crate) fn is_pending(&self) -> bool {
        self.resolution || self.touched.all || !self.touched.prefixes.is_empty()
    }

    /// What resolves and what is redistributed may be all different.
    pub(crate) fn everything(&mut self) {
        self.resolution = true;
        self.touched.everything();
    }

    /// What resolves through a prefix, and whether it is redistributed.
    pub(crate) fn at(&mut self, prefix: IpNet) {
        self.resolution = true;
        self.touched.add(prefix);
    }
}

/// What changed since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Interfaces that are new, changed or gone.
    pub(crate) interfaces: BTreeSet<u32>,
    /// Names of those that are gone.
    pub(crate) removed: BTreeMap<u32, String>,
    /// What resolves may have changed.
    pub(crate) resolution: bool,
    /// What may be redistributed differently.
    pub(crate) touched: Touched,
    /// Nexthop objects of others that are gone, and with them their routes in all tables.
    pub(crate) lost_objects: BTreeSet<u32>,
    /// The kernel dropped routes of others without a word on each.
    pub(crate) foreign_lost: bool,
    /// Routes the kernel dropped without a word, in order.
    pub(crate) losses: Vec<Loss>,
}

/// Links, addresses and routes of others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mirror {
    /// The VRF device whose links and addresses count; none for those in no VRF.
    pub(crate) vrf: Option<u32>,
    links: BTreeMap<u32, Link>,
    pub(crate) addresses: BTreeMap<u32, Vec<Address>>,
    pub(crate) routes: ForeignTables,
    /// Static routes of ours in the same table that are in use, resolved.
    pub(crate) statics: ForeignTables,
    /// Nexthop objects of others.
    objects: ObjectTable,
}

impl Mirror {
    /// Takes in a link or an address.
    pub(crate) fn update(&mut self, notice: &Notice, effects: &mut Effects) {
        match notice {
            Notice::Link { link, gone: false } => self.set_link(link, effects),
            Notice::Link { link, gone: true } => self.remove_link(link.ifindex, effects),
            Notice::Address {
                ifindex,
                address,
                gone: false,
            } => {
                self.set_address(*ifindex, *address, effects);
            }
            Notice::Address {
                ifindex,
                address,
                gone: true,
            } => {
                self.remove_address(*ifindex, *address, effects);
            }
            Notice::Nexthop(object) => self.set_object(object, effects),
            Notice::Route(route) => {
                self.routes.update(route);
                effects.at(route.prefix);
            }
        }
    }

    fn set_link(&mut self, link: &Link, effects: &mut Effects) {
        let old = self.links.insert(link.ifindex, link.clone());
        if old.as_ref() == Some(link) {
            return;
        }
        effects.interfaces.insert(link.ifindex);
        effects.removed.remove(&link.ifindex);
        effects.everything();
        let Some(old) = old else { return };
        if old.admin_up() && !link.admin_up() {
            self.lose(Loss::Link(link.ifindex), effects);
        } else if old.keeps_objects() && !link.keeps_objects() {
            self.lose(Loss::Carrier(link.ifindex), effects);
        }
    }

    fn remove_link(&mut self, ifindex: u32, effects: &mut Effects) {
        self.addresses.remove(&ifindex);
        if let Some(old) = self.links.remove(&ifindex) {
            effects.interfaces.insert(ifindex);
            effects.removed.insert(ifindex, old.name);
            self.lose(Loss::Link(ifindex), effects);
        }
    }

    fn set_address(&mut self, ifindex: u32, address: Address, effects: &mut Effects) {
        let list = self.addresses.entry(ifindex).or_default();
        if list.contains(&address) {
            return;
        }
        list.retain(|old| !same_address(old, &address));
        list.push(address);
        list.sort_unstable();
        effects.interfaces.insert(ifindex);
        effects.everything();
    }

    fn remove_address(&mut self, ifindex: u32, address: Address, effects: &mut Effects) {
        let Some(list) = self.addresses.get_mut(&ifindex) else {
            return;
        };
        let before = list.len();
        list.retain(|old| !same_address(old, &address));
        if list.len() == before {
            return;
        }
        let ipv4_left = list.iter().any(|a| a.net.addr().is_ipv4());
        effects.interfaces.insert(ifindex);
        effects.everything();
        let own = address.net.addr();
        if !self.is_local(own) {
            self.lose(Loss::Address(own), effects);
        }
        if own.is_ipv4() && !ipv4_left {
            self.lose(Loss::LinkV4(ifindex), effects);
        }
    }

    /// Takes in a nexthop object of others.
    pub(crate) fn set_object(&mut self, notice: &ObjectNotice, effects: &mut Effects) {
        if notice.gone {
            let gone = self.take_out([notice.id].into());
            effects.lost_objects.extend(gone);
            effects.foreign_lost = true;
        } else {
            self.objects.insert(notice.id, notice.object.clone());
        }
        effects.everything();
    }

    /// Takes nexthop objects out, with the routes that use what is gone. Returns all that is.
    fn take_out(&mut self, gone: BTreeSet<u32>) -> BTreeSet<u32> {
        let (gone, _) = self.objects.take_out(gone);
        self.routes.lose_objects(&gone);
        gone
    }

    /// The next hops of a route of others.
    pub(crate) fn hops(&self, route: &KernelRoute) -> Vec<KernelHop> {
        match route.kind {
            KernelKind::Nexthop(id) => self.objects.hops(id),
            _ => route.hops().to_vec(),
        }
    }

    fn lose(&mut self, loss: Loss, effects: &mut Effects) {
        if let Loss::Link(ifindex) | Loss::Carrier(ifindex) = loss {
            let gone = self.take_out(self.objects.on_link(ifindex));
            effects.lost_objects.extend(gone);
        }
        let up = self.up();
        self.routes.lose(loss, &up);
        effects.foreign_lost = true;
        effects.everything();
        effects.losses.push(loss);
    }

    pub(crate) fn link(&self, ifindex: u32) -> Option<&Link> {
        self.links.get(&ifindex)
    }

    pub(crate) fn link_named(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == name)
    }

    /// The links that are not down.
    pub(crate) fn up(&self) -> BTreeSet<u32> {
        let up = self.links.values().filter(|link| link.admin_up());
        up.map(|link| link.ifindex).collect()
    }

    pub(crate) fn usable(&self, ifindex: u32) -> bool {
        self.link(ifindex).is_some_and(Link::usable)
    }

    /// Whether the link is in the VRF that counts.
    pub(crate) fn counts(&self, ifindex: u32) -> bool {
        let masters = std::iter::successors(self.link(ifindex), |link| self.link(link.master?));
        // A port of a bridge that is in a VRF has two; more are a circle.
        let mut masters = masters.take(4);
        let device = masters.find(|link| link.vrf_table.is_some());
        device.map(|device| device.ifindex) == self.vrf
    }

    /// Whether the address is one of our own where it counts.
    pub(crate) fn is_own(&self, address: IpAddr) -> bool {
        let has = |list: &[Address]| list.iter().any(|own| own.net.addr() == address);
        let mut links = self.addresses.iter();
        links.any(|(ifindex, list)| has(list) && self.counts(*ifindex))
    }

    /// Whether the address is one of the host's own.
    pub(crate) fn is_local(&self, address: IpAddr) -> bool {
        self.addresses
            .values()
            .flatten()
            .any(|own| own.net.addr() == address)
    }

    pub(crate) fn interface(&self, ifindex: u32) -> Option<Interface> {
        let link = self.links.get(&ifindex)?;
        Some(Interface {
            ifindex,
            name: link.name.clone(),
            up: link.usable(),
            admin_up: link.admin_up(),
            loopback: link.loopback(),
            mtu: link.mtu,
            master: link.master,
            vrf_table: link.vrf_table,
            addresses: self.addresses.get(&ifindex).cloned().unwrap_or_default(),
        })
    }

    pub(crate) fn view(&self) -> KernelView {
        KernelView {
            interfaces: self
                .links
                .keys()
                .filter_map(|&ifindex| self.interface(ifindex))
                .collect(),
            assume_connected: false,
        }
    }

    /// The effects of taking `newer` in place of this mirror.
    pub(crate) fn effects_of(&self, newer: &Self) -> Effects {
        let mut effects = Effects::default();
        effects.everything();
        let numbers: BTreeSet<u32> = self
            .links
            .keys()
            .chain(newer.links.keys())
            .copied()
            .collect();
        for ifindex in numbers {
            let (old, new) = (self.interface(ifindex), newer.interface(ifindex));
            if old == new {
                continue;
            }
            effects.interfaces.insert(ifindex);
            if let (Some(old), None) = (old, new) {
                effects.removed.insert(ifindex, old.name);
            }
        }
        effects
    }
}

fn same_address(a: &Address, b: &Address) -> bool {
    (a.net, a.peer) == (b.net, b.peer)
}
