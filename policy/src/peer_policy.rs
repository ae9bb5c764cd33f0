//! Policy of a neighbor, by its names: the filters of both directions and both
//! families, in the order in which FRR asks them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bgp_wire::Family;
use holdfast_rib::{DenyReason, Policy, RouteContext, Verdict};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::compiled::{
    AccessList, AsPathList, CompiledRouteMap, Direction, ListVerdict, Memo, NoVisitor, Object,
    ObjectKind, Outcome, Policies, PrefixList, RouteView, Trace, number,
};

/// What is configured for a neighbor in one family and one direction, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Filters {
    /// `neighbor X distribute-list NAME`.
    pub distribute_list: Option<String>,
    /// `neighbor X prefix-list NAME`.
    pub prefix_list: Option<String>,
    /// `neighbor X filter-list NAME`.
    pub filter_list: Option<String>,
    /// `neighbor X route-map NAME`.
    pub route_map: Option<String>,
    /// `neighbor X unsuppress-map NAME`, on the way out: stands in for the
    /// route map where an aggregate stands for the route.
    pub unsuppress_map: Option<String>,
    /// `neighbor X default-originate`, on the way out: the peer is told a
    /// default route of ours, and none that the table has.
    pub default_originate: bool,
}

impl Filters {
    /// A route map and nothing else.
    pub fn route_map(name: impl Into<String>) -> Filters {
        Filters {
            route_map: Some(name.into()),
            ..Filters::default()
        }
    }

    /// Whether nothing is configured.
    pub fn is_empty(&self) -> bool {
        *self == Filters::default()
    }
}

/// What is known of a neighbor beside what the table knows.
#[derive(Debug, Clone, Default)]
pub struct PeerFacts {
    /// The interface that names it (unnumbered).
    pub interface: Option<Arc<str>>,
    /// Round trip time in milliseconds, which its session keeps up to date.
    pub rtt_ms: Arc<AtomicU32>,
}

/// A name, and what it stands for.
#[derive(Debug, Clone)]
pub(crate) struct Bound<L> {
    object: Object,
    /// None where there is no such thing: it then denies.
    pub(crate) is: Option<Arc<L>>,
}

/// Most are the same allocation, and then nobody needs to look inside.
impl<L: PartialEq> PartialEq for Bound<L> {
    fn eq(&self, other: &Bound<L>) -> bool {
        let same = match (&self.is, &other.is) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one == other,
            (one, other) => one.is_none() && other.is_none(),
        };
        same && self.object == other.object
    }
}

impl<L> Bound<L> {
    pub(crate) fn new(
        kind: ObjectKind,
        name: Option<&String>,
        find: impl FnOnce(&str) -> Option<Arc<L>>,
    ) -> Option<Bound<L>> {
        name.map(|name| Bound {
            object: Object::new(kind, name),
            is: find(name),
        })
    }

    fn ask(&self, ask: impl FnOnce(&L) -> ListVerdict) -> ListVerdict {
        self.is.as_deref().map_or(ListVerdict::REFUSED, ask)
    }
}

#[derive(Debug, Clone, PartialEq)]
enum BoundPrefixList {
    V4(Bound<PrefixList<Ipv4Net>>),
    V6(Bound<PrefixList<Ipv6Net>>),
}

impl BoundPrefixList {
    const fn object(&self) -> &Object {
        match self {
            BoundPrefixList::V4(list) => &list.object,
            BoundPrefixList::V6(list) => &list.object,
        }
    }

    /// Whether it permits, which is counted.
    #[inline]
    fn permits(&self, prefix: IpNet) -> bool {
        match (self, prefix) {
            (BoundPrefixList::V4(Bound { is: Some(list), .. }), IpNet::V4(net)) => {
                list.permits_counted(net)
            }
            (BoundPrefixList::V6(Bound { is: Some(list), .. }), IpNet::V6(net)) => {
                list.permits_counted(net)
            }
            _ => false,
        }
    }

    fn verdict(&self, prefix: IpNet) -> ListVerdict {
        match (self, prefix) {
            (BoundPrefixList::V4(list), IpNet::V4(net)) => list.ask(|list| list.verdict(net)),
            (BoundPrefixList::V6(list), IpNet::V6(net)) => list.ask(|list| list.verdict(net)),
            _ => ListVerdict::REFUSED,
        }
    }
}

/// The filters of one family and one direction.
#[derive(Debug, Clone, Default)]
struct Chain {
    /// By which [`Attributes`](holdfast_rib::Attributes) know it.
    number: usize,
    distribute: Option<Bound<AccessList>>,
    prefix: Option<BoundPrefixList>,
    filter: Option<Bound<AsPathList>>,
    map: Option<Bound<CompiledRouteMap>>,
    /// The same with another map, for what an aggregate stands for.
    unsuppressing: Option<Box<Chain>>,
    /// Default routes are denied.
    no_default: bool,
}

impl PartialEq for Chain {
    fn eq(&self, other: &Chain) -> bool {
        let Chain {
            number: _,
            distribute,
            prefix,
            filter,
            map,
            unsuppressing,
            no_default,
        } = self;
        (distribute, prefix) == (&other.distribute, &other.prefix)
            && (filter, map) == (&other.filter, &other.map)
            && (unsuppressing, no_default) == (&other.unsuppressing, &other.no_default)
    }
}

impl Chain {
    fn new(policies: &Policies, filters: &Filters, family: Family) -> Chain {
        use ObjectKind as Kind;
        let prefix_list = filters.prefix_list.as_ref();
        let distribute = filters.distribute_list.as_ref();
        Chain {
            number: number(),
            distribute: match family {
                Family::Ipv4Unicast => Bound::new(Kind::AccessList, distribute, |name| {
                    policies.access_list(name).cloned()
                }),
                Family::Ipv6Unicast => Bound::new(Kind::Ipv6AccessList, distribute, |name| {
                    policies.ipv6_access_list(name).cloned()
                }),
            },
            prefix: match family {
                Family::Ipv4Unicast => Bound::new(Kind::IpPrefixList, prefix_list, |name| {
                    policies.ip_prefix_list(name).cloned()
                })
                .map(BoundPrefixList::V4),
                Family::Ipv6Unicast => Bound::new(Kind::Ipv6PrefixList, prefix_list, |name| {
                    policies.ipv6_prefix_list(name).cloned()
                })
                .map(BoundPrefixList::V6),
            },
            filter: Bound::new(Kind::AsPathList, filters.filter_list.as_ref(), |name| {
                policies.as_path_list(name).cloned()
            }),
            map: Bound::new(Kind::RouteMap, filters.route_map.as_ref(), |name| {
                policies.route_map(name).cloned()
            }),
            unsuppressing: filters.unsuppress_map.as_ref().map(|name| {
                let instead = Filters {
                    route_map: Some(name.clone()),
                    unsuppress_map: None,
                    ..filters.clone()
                };
                Box::new(Chain::new(policies, &instead, family))
            }),
            no_default: filters.default_originate,
        }
    }

    const fn is_empty(&self) -> bool {
        self.distribute.is_none()
            && self.prefix.is_none()
            && self.filter.is_none()
            && self.map.is_none()
    }

    fn may_deny(&self) -> bool {
        let lists = self.distribute.is_some() || self.prefix.is_some() || self.filter.is_some();
        let map = self.map.as_ref();
        let denies = map.is_some_and(|map| map.is.as_ref().is_none_or(|map| map.may_deny()));
        lists || denies || self.no_default
    }

    /// Whether a map says so.
    fn any(&self, says: impl Fn(&CompiledRouteMap) -> bool) -> bool {
        let chains = [Some(self), self.unsuppressing.as_deref()];
        let maps = chains.into_iter().flatten();
        let mut maps = maps.filter_map(|chain| chain.map.as_ref()?.is.as_ref());
        maps.any(|map| says(map))
    }

    fn depends_on_peer(&self) -> bool {
        self.any(CompiledRouteMap::export_depends_on_peer)
    }

    fn uses_rpki(&self) -> bool {
        self.any(CompiledRouteMap::uses_rpki)
    }

    fn uses(&self, all: &mut BTreeSet<Object>) {
        all.extend(self.distribute.iter().map(|list| list.object.clone()));
        all.extend(self.prefix.iter().map(|list| list.object().clone()));
        all.extend(self.filter.iter().map(|list| list.object.clone()));
        if let Some(map) = &self.map {
            all.insert(map.object.clone());
            all.extend(map.is.iter().flat_map(|map| map.uses()).cloned());
        }
        if let Some(chain) = &self.unsuppressing {
            chain.uses(all);
        }
    }

    /// Whether the lists permit that ask for the prefix.
    #[inline]
    fn lists_permit(&self, prefix: IpNet) -> bool {
        let ask = |list: &Bound<AccessList>| list.ask(|list| list.verdict(prefix)).permits();
        self.distribute.as_ref().is_none_or(ask)
            && self.prefix.as_ref().is_none_or(|list| list.permits(prefix))
    }

    /// The same, uncounted; what each says is told to `heard`.
    fn hear_lists(&self, prefix: IpNet, mut heard: impl FnMut(&Object, ListVerdict)) -> bool {
        if let Some(list) = &self.distribute {
            let verdict = list.ask(|list| list.verdict(prefix));
            heard(&list.object, verdict);
            if !verdict.permits() {
                return false;
            }
        }
        if let Some(list) = &self.prefix {
            let verdict = list.verdict(prefix);
            heard(list.object(), verdict);
            if !verdict.permits() {
                return false;
            }
        }
        true
    }

    fn verdict(&self, route: &RouteView<'_>) -> Verdict {
        const DENIED: Verdict = Verdict::Deny(DenyReason::Filtered);
        if !self.lists_permit(route.prefix) {
            return DENIED;
        }
        if self.filter.is_none() && self.map.is_none() {
            return Verdict::Accept;
        }
        let counted = self.map.as_ref().and_then(|map| map.is.as_ref());
        let memo = route
            .attributes
            .memo(self.number, || core::cell::RefCell::new(Memo::new(counted)));
        let mut memo = memo.borrow_mut();
        if let Some(list) = &self.filter {
            let ask = || {
                list.ask(|list| list.verdict(&route.attributes.as_path))
                    .permits()
            };
            if !*memo.filter.get_or_insert_with(ask) {
                return DENIED;
            }
        }
        let Some(map) = &self.map else {
            return Verdict::Accept;
        };
        let Some(map) = &map.is else {
            return DENIED;
        };
        match memo.walk(map, route, &mut NoVisitor) {
            Outcome::Denied => DENIED,
            Outcome::Permitted(state) => match memo.rewritten(state) {
                None => Verdict::Accept,
                Some(rewritten) => Verdict::AcceptWith(rewritten),
            },
        }
    }

    fn explain(&self, route: &RouteView<'_>, trace: &mut Trace) -> Verdict {
        const DENIED: Verdict = Verdict::Deny(DenyReason::Filtered);
        let heard = |list: &Object, verdict| trace.list(list.to_string(), verdict);
        if !self.hear_lists(route.prefix, heard) {
            return DENIED;
        }
        if let Some(list) = &self.filter {
            let verdict = list.ask(|list| list.verdict(&route.attributes.as_path));
            trace.list(list.object.to_string(), verdict);
            if !verdict.permits() {
                return DENIED;
            }
        }
        let Some(map) = &self.map else {
            return Verdict::Accept;
        };
        let Some(map) = &map.is else {
            trace.list(map.object.to_string(), ListVerdict::REFUSED);
            return DENIED;
        };
        let mut memo = Memo::new(None);
        match memo.walk(map, route, trace) {
            Outcome::Denied => DENIED,
            Outcome::Permitted(state) => match memo.rewritten(state) {
                None => Verdict::Accept,
                Some(rewritten) => Verdict::AcceptWith(rewritten),
            },
        }
    }
}

/// Policy of a neighbor, for both families and directions.
///
/// Two are equal where they decide alike, so that a reload can see whom it
/// concerns.
///
/// ```
/// use bgp_wire::Family;
/// use holdfast_policy::model::{Match, PolicyConfig, RouteMap, RouteMapEntry};
/// use holdfast_policy::{Compiler, Direction, Filters, PeerPolicy};
///
/// let map = RouteMap::new().entry(10, RouteMapEntry::permit().matching(Match::Metric(5)));
/// let config = PolicyConfig::default().with_route_map("IN", map);
/// let policies = Compiler::new(&config).compile()?;
/// let filters = Filters::route_map("IN");
/// let policy = PeerPolicy::new()
///     .with(&policies, Family::Ipv4Unicast, Direction::In, &filters);
/// assert!(policy.uses().iter().any(|object| object.name == "IN"));
/// # Ok::<(), holdfast_policy::CompileErrors>(())
/// ```
#[derive(Debug, Clone)]
pub struct PeerPolicy {
    /// By direction, then by family.
    chains: [[Chain; 2]; 2],
    /// What has no filters denies what is external (RFC 8212).
    requires_policy: bool,
    facts: PeerFacts,
}

impl PartialEq for PeerPolicy {
    fn eq(&self, other: &PeerPolicy) -> bool {
        self.requires_policy == other.requires_policy
            && self.facts.interface == other.facts.interface
            && self.chains == other.chains
    }
}

impl Default for PeerPolicy {
    fn default() -> PeerPolicy {
        PeerPolicy::new()
    }
}

impl PeerPolicy {
    /// Without filters: denies all in both directions where the session is
    /// external (RFC 8212).
    pub fn new() -> PeerPolicy {
        PeerPolicy {
            chains: Default::default(),
            requires_policy: true,
            facts: PeerFacts::default(),
        }
    }

    /// With the filters of a family and a direction, which mean what they mean
    /// among these policies.
    #[must_use]
    pub fn with(
        mut self,
        policies: &Policies,
        family: Family,
        direction: Direction,
        filters: &Filters,
    ) -> PeerPolicy {
        *self.chain_mut(family, direction) = Chain::new(policies, filters, family);
        self
    }

    /// Whether external sessions need a policy (`bgp ebgp-requires-policy`).
    #[must_use]
    pub const fn requires_policy(mut self, requires: bool) -> PeerPolicy {
        self.requires_policy = requires;
        self
    }

    /// With what else is known of the neighbor.
    #[must_use]
    pub fn facts(mut self, facts: PeerFacts) -> PeerPolicy {
        self.facts = facts;
        self
    }

    const fn chain(&self, family: Family, direction: Direction) -> &Chain {
        let [[in4, in6], [out4, out6]] = &self.chains;
        match (direction, family) {
            (Direction::In, Family::Ipv4Unicast) => in4,
            (Direction::In, Family::Ipv6Unicast) => in6,
            (Direction::Out, Family::Ipv4Unicast) => out4,
            (Direction::Out, Family::Ipv6Unicast) => out6,
        }
    }

    const fn chain_mut(&mut self, family: Family, direction: Direction) -> &mut Chain {
        let [[in4, in6], [out4, out6]] = &mut self.chains;
        match (direction, family) {
            (Direction::In, Family::Ipv4Unicast) => in4,
            (Direction::In, Family::Ipv6Unicast) => in6,
            (Direction::Out, Family::Ipv4Unicast) => out4,
            (Direction::Out, Family::Ipv6Unicast) => out6,
        }
    }

    /// Whether a family is decided alike in a direction.
    pub fn same(&self, other: &PeerPolicy, family: Family, direction: Direction) -> bool {
        self.requires_policy == other.requires_policy
            && self.facts.interface == other.facts.interface
            && self.chain(family, direction) == other.chain(family, direction)
    }

    /// What it uses by name, directly or through something else, whether that
    /// exists or not.
    pub fn uses(&self) -> BTreeSet<Object> {
        let mut all = BTreeSet::new();
        self.chains
            .iter()
            .flatten()
            .for_each(|chain| chain.uses(&mut all));
        all
    }

    /// Whether origin validation is asked for in a direction.
    pub fn uses_rpki(&self, direction: Direction) -> bool {
        let families = Family::ALL.into_iter();
        families
            .map(|family| self.chain(family, direction))
            .any(Chain::uses_rpki)
    }

    fn verdict(&self, direction: Direction, route: &RouteContext<'_>) -> Verdict {
        let chain = self.chain(route.family, direction);
        if chain.no_default && route.prefix.prefix_len() == 0 {
            return Verdict::Deny(DenyReason::Filtered);
        }
        if chain.is_empty() {
            return self.without(route);
        }
        chain.verdict(&self.view(direction, route))
    }

    /// The verdict and what led to it.
    pub fn explain(&self, direction: Direction, route: &RouteContext<'_>) -> (Verdict, Trace) {
        let mut trace = Trace::default();
        let chain = self.chain(route.family, direction);
        let verdict = match chain.is_empty() {
            true => self.without(route),
            false => chain.explain(&self.view(direction, route), &mut trace),
        };
        if verdict == Verdict::Deny(DenyReason::NoPolicy) {
            trace.steps.push(crate::compiled::Step::NoPolicy);
        }
        (verdict, trace)
    }

    /// Where nothing is configured.
    fn without(&self, route: &RouteContext<'_>) -> Verdict {
        match self.requires_policy && route.peer.is_external() {
            true => Verdict::Deny(DenyReason::NoPolicy),
            false => Verdict::Accept,
        }
    }

    fn view<'a>(&'a self, direction: Direction, route: &RouteContext<'a>) -> RouteView<'a> {
        RouteView {
            peer_interface: self.facts.interface.as_deref(),
            rtt_ms: self.facts.rtt_ms.load(Ordering::Relaxed),
            ..RouteView::of(direction, route)
        }
    }
}

impl Policy for PeerPolicy {
    fn import(&self, route: &RouteContext<'_>) -> Verdict {
        self.verdict(Direction::In, route)
    }

    fn export(&self, route: &RouteContext<'_>) -> Verdict {
        self.verdict(Direction::Out, route)
    }

    fn unsuppresses(&self, route: &RouteContext<'_>) -> bool {
        !matches!(self.export_suppressed(route), Verdict::Deny(_))
    }

    fn export_suppressed(&self, route: &RouteContext<'_>) -> Verdict {
        let chain = self.chain(route.family, Direction::Out);
        match &chain.unsuppressing {
            Some(chain) => chain.verdict(&self.view(Direction::Out, route)),
            None => Verdict::Deny(DenyReason::Filtered),
        }
    }

    fn export_depends_on_peer(&self) -> bool {
        let families = Family::ALL.into_iter();
        families
            .map(|family| self.chain(family, Direction::Out))
            .any(Chain::depends_on_peer)
    }

    fn export_may_deny(&self) -> bool {
        let families = Family::ALL.into_iter();
        families
            .map(|family| self.chain(family, Direction::Out))
            .any(|chain| chain.may_deny() || (chain.is_empty() && self.requires_policy))
    }
}
