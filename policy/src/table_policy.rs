//! Policies of the table as a whole: of aggregates and of what is forwarded.

use std::net::IpAddr;
use std::sync::Arc;

use holdfast_rib::{
    AggregatePolicy, AggregateRoute, Attributes, DenyReason, ForwardingPolicy, PathSource,
    Rewritten, RouteContext, Verdict,
};
use ipnet::IpNet;

use crate::compiled::source_protocol;
use crate::compiled::{Applied, CompiledRouteMap, Direction, ObjectKind, Policies, RouteView};
use crate::peer_policy::Bound;

/// What somebody calls a route map by; one that does not exist denies all.
type Map = Bound<CompiledRouteMap>;

fn bind(policies: &Policies, name: &str) -> Option<Map> {
    Bound::new(ObjectKind::RouteMap, Some(&name.to_owned()), |name| {
        policies.route_map(name).cloned()
    })
}

fn verdict(map: &Map, route: &RouteView<'_>) -> Verdict {
    match map.is.as_ref().map(|map| map.apply(route)) {
        None | Some(Applied::Denied) => Verdict::Deny(DenyReason::Filtered),
        Some(Applied::Unchanged) => Verdict::Accept,
        Some(Applied::Changed(new)) => Verdict::AcceptWith(Arc::new(Rewritten {
            attributes: new.attributes,
            weight: Some(new.weight),
        })),
    }
}

/// The route maps of an aggregate (`suppress-map`, `route-map`).
///
/// Two are equal where they decide alike.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregateMaps {
    suppress: Option<Map>,
    originate: Option<Map>,
}

impl AggregateMaps {
    /// The maps by their names; none where none is named. A `suppress-map`
    /// that does not exist suppresses nothing, a `route-map` that does not
    /// exist denies the aggregate, as in FRR.
    pub fn new(
        policies: &Policies,
        suppress: Option<&str>,
        originate: Option<&str>,
    ) -> Option<AggregateMaps> {
        let maps = AggregateMaps {
            suppress: suppress.and_then(|name| bind(policies, name)),
            originate: originate.and_then(|name| bind(policies, name)),
        };
        (maps.suppress.is_some() || maps.originate.is_some()).then_some(maps)
    }

    fn view<'a>(route: &AggregateRoute<'a>) -> RouteView<'a> {
        let source = match route.source {
            PathSource::Local(source) => Some(source),
            PathSource::Peer(_) => None,
        };
        RouteView {
            weight: route.weight,
            source_protocol: Some(source_protocol(source)),
            original_next_hop: route.attributes.next_hop,
            original_med: route.attributes.med,
            ..RouteView::new(route.prefix, route.attributes)
        }
    }
}

impl AggregatePolicy for AggregateMaps {
    fn suppresses(&self, contributor: &AggregateRoute<'_>) -> bool {
        let map = self.suppress.as_ref();
        map.is_some_and(|map| !matches!(verdict(map, &Self::view(contributor)), Verdict::Deny(_)))
    }

    fn originate(&self, aggregate: &AggregateRoute<'_>) -> Verdict {
        match &self.originate {
            Some(map) => verdict(map, &Self::view(aggregate)),
            None => Verdict::Accept,
        }
    }
}

/// One route map for all that goes into the kernel.
///
/// Two are equal where they decide alike.
#[derive(Debug, Clone, PartialEq)]
pub struct TableMap {
    map: Option<Map>,
}

impl TableMap {
    /// The map of this name; one that does not exist denies all, as in FRR.
    pub fn new(policies: &Policies, name: &str) -> TableMap {
        TableMap {
            map: bind(policies, name),
        }
    }

    fn verdict(&self, route: &RouteView<'_>) -> Verdict {
        match &self.map {
            Some(map) => verdict(map, route),
            None => Verdict::Deny(DenyReason::Filtered),
        }
    }

    /// The source address of this host's packets on a route of ours in the
    /// kernel, where the map sets one (`ip protocol bgp route-map`, `set src`).
    /// Of the attributes, next hop and MED count.
    ///
    /// # Errors
    /// [`DenyReason::Filtered`]: the kernel is not to have the route.
    pub fn source(
        &self,
        prefix: IpNet,
        attributes: &Attributes<'_>,
    ) -> Result<Option<IpAddr>, DenyReason> {
        let map = self.map.as_ref().and_then(|map| map.is.as_ref());
        let map = map.ok_or(DenyReason::Filtered)?;
        let route = RouteView {
            source_protocol: Some(source_protocol(None)),
            original_next_hop: attributes.next_hop,
            original_med: attributes.med,
            ..RouteView::new(prefix, attributes)
        };
        match map.apply(&route) {
            Applied::Denied => Err(DenyReason::Filtered),
            Applied::Unchanged => Ok(None),
            Applied::Changed(changed) => Ok(changed.src),
        }
    }
}

/// `table-map`.
impl ForwardingPolicy for TableMap {
    fn install(&self, route: &RouteContext<'_>) -> Verdict {
        self.verdict(&RouteView::of(Direction::In, route))
    }
}
