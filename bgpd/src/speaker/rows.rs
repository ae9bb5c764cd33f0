//! The kernel's routes as `show ip route` lists them: those of BGP, static ones, and those of
//! others.

use holdfast_api::v1;
use holdfast_config::model::Config;
use holdfast_fib::{self as fib, KernelHop, KernelKind, StaticHop, StaticKind};
use ipnet::IpNet;

use super::originate::static_paths;
use super::{Speaker, SpeakerError};
use crate::session::status::now_ms;

/// One route.
#[derive(Debug)]
pub(super) enum Row {
    Bgp {
        status: fib::RouteStatus,
        selected: bool,
    },
    Static {
        status: Box<fib::StaticStatus>,
        selected: bool,
        tag: u32,
    },
    Other {
        route: Box<fib::OtherRoute>,
        selected: bool,
    },
}

impl Row {
    /// The routes of a protocol, or of all, by prefix. Of one prefix the
    /// selected one comes first. Routes of others are there `with_others` only.
    pub(super) async fn gather(
        speaker: &Speaker,
        family: fib::Family,
        (protocol, with_others): (&str, bool),
    ) -> Result<Vec<Row>, SpeakerError> {
        let of = |name: &str| match protocol {
            "" => name == "bgp",
            "all" => true,
            protocol => name == protocol,
        };
        let bgp = speaker.fib.routes(family).await?;
        let bgp = bgp.into_iter().map(|status| Row::Bgp {
            status,
            selected: false,
        });
        let mut rows: Vec<Row> = bgp.collect();
        let is_v4 = family == fib::Family::V4;
        let (config, _) = speaker.config().await?;
        let mut statics = speaker.fib.statics().await?;
        statics.retain(|row| row.route.prefix.addr().is_ipv4() == is_v4);
        rows.extend(statics.into_iter().map(|status| Row::Static {
            tag: tag(&config, &status.route, speaker.options.table),
            status: Box::new(status),
            selected: false,
        }));
        // There may be a full table of these: only where it matters.
        let wanted =
            !protocol.is_empty() || rows.iter().any(|row| matches!(row, Row::Static { .. }));
        if wanted && with_others {
            let others = speaker.fib.others(family).await?;
            rows.extend(others.into_iter().map(|route| Row::Other {
                route: Box::new(route),
                selected: false,
            }));
        }
        select(&mut rows);
        rows.retain(|row| of(row.protocol()));
        Ok(rows)
    }

    pub(super) fn prefix(&self) -> IpNet {
        match self {
            Row::Bgp { status, .. } => status.prefix,
            Row::Static { status, .. } => status.route.prefix,
            Row::Other { route, .. } => route.prefix,
        }
    }

    fn protocol(&self) -> &'static str {
        match self {
            Row::Bgp { .. } => "bgp",
            Row::Static { .. } => "static",
            Row::Other { route, .. } if route.connected => "connected",
            Row::Other { .. } => "kernel",
        }
    }

    /// The kernel's metric.
    fn metric(&self) -> u32 {
        match self {
            Row::Bgp { status, .. } => match (&status.route, &status.resolved) {
                (Some(route), _) => route.metric,
                (None, Some(resolved)) => resolved.metric,
                (None, None) => 0,
            },
            Row::Static { status, .. } => status.route.metric,
            Row::Other { route, .. } => route.route.metric,
        }
    }

    /// Whether the kernel has it.
    fn is_there(&self) -> bool {
        match self {
            Row::Bgp { status, .. } => status.installed,
            Row::Static { status, .. } => status.kernel.as_ref().is_some_and(|k| k.installed),
            Row::Other { route, .. } => route.active,
        }
    }

    fn selected(&self) -> &bool {
        match self {
            Row::Bgp { selected, .. }
            | Row::Static { selected, .. }
            | Row::Other { selected, .. } => selected,
        }
    }

    fn selected_mut(&mut self) -> &mut bool {
        match self {
            Row::Bgp { selected, .. }
            | Row::Static { selected, .. }
            | Row::Other { selected, .. } => selected,
        }
    }

    /// In the API's terms; what is BGP's, others know better.
    pub(super) fn fib_route(
        &self,
        table: u32,
        started_ms: u64,
        view: &fib::KernelView,
    ) -> v1::FibRoute {
        let route = v1::FibRoute {
            prefix: self.prefix().to_string(),
            protocol: self.protocol().to_owned(),
            selected: *self.selected(),
            installed: self.is_there(),
            table,
            since_ms: started_ms,
            ..v1::FibRoute::default()
        };
        match self {
            Row::Bgp { .. } => route,
            Row::Other { route: other, .. } => v1::FibRoute {
                // The kernel's of IPv6 says nothing but that it is one.
                metric: if other.connected {
                    0
                } else {
                    other.route.metric
                },
                next_hops: hops(other.route.hops(), view),
                drop: drop_word(&other.route.kind),
                ..route
            },
            Row::Static { status, tag, .. } => v1::FibRoute {
                distance: status.route.metric,
                tag: *tag,
                ..static_route(route, status, view)
            },
        }
    }
}

/// Of those that the kernel has for a prefix, it uses the one of the lowest
/// metric, which is put first.
fn select(rows: &mut [Row]) {
    rows.sort_by_key(|row| (row.prefix(), row.metric()));
    for group in rows.chunk_by_mut(|a, b| a.prefix() == b.prefix()) {
        let used = group.iter().position(Row::is_there);
        if let Some(before) = used.and_then(|used| group.get_mut(..=used)) {
            before.rotate_right(1);
            if let Some(first) = before.first_mut() {
                *first.selected_mut() = true;
            }
        }
    }
}

fn tag(config: &Config, route: &fib::StaticRoute, default_table: u32) -> u32 {
    let tables = (route.table.unwrap_or(default_table), default_table);
    let mut of_route = static_paths(config, route.prefix, tables)
        .filter(|path| u32::from(path.distance) == route.metric);
    of_route.next().and_then(|path| path.tag).unwrap_or(0)
}

fn static_route(
    shown: v1::FibRoute,
    status: &fib::StaticStatus,
    view: &fib::KernelView,
) -> v1::FibRoute {
    let kernel = status.kernel.as_ref();
    let ago = kernel.map(|kernel| kernel.since.elapsed().as_millis());
    let ago = ago.and_then(|ago| u64::try_from(ago).ok());
    let resolved = kernel.and_then(|kernel| kernel.resolved.as_ref());
    let error = kernel.and_then(|kernel| kernel.error.as_ref());
    let dropped = resolved.is_some_and(|resolved| resolved.hops().is_empty());
    v1::FibRoute {
        since_ms: ago.map_or(shown.since_ms, |ago| now_ms().saturating_sub(ago)),
        nexthop_group: kernel.and_then(|kernel| kernel.object).unwrap_or(0),
        error: error.map(ToString::to_string).unwrap_or_default(),
        drop: match (&status.route.kind, resolved) {
            (StaticKind::Blackhole, _) => "blackhole".to_owned(),
            (StaticKind::Unreachable, _) => "unreachable".to_owned(),
            (StaticKind::Via(_), resolved) => {
                resolved.map(|r| drop_word(&r.kind)).unwrap_or_default()
            }
        },
        next_hops: match &status.route.kind {
            StaticKind::Via(ways) => ways
                .iter()
                .zip(&status.hops)
                .flat_map(|(way, hops)| static_hops((way, dropped), hops, view))
                .collect(),
            _ => Vec::new(),
        },
        ..shown
    }
}

/// A way and where it leads; one that leads nowhere, or to where packets are
/// `dropped`, as it was asked for.
fn static_hops(
    (way, dropped): (&StaticHop, bool),
    found: &[KernelHop],
    view: &fib::KernelView,
) -> Vec<v1::FibNextHop> {
    let gateway = way.gateway.map(|g| g.to_string()).unwrap_or_default();
    if found.is_empty() {
        let interface = way.interface.clone().unwrap_or_default();
        let known = view.interface_named(&interface);
        return vec![v1::FibNextHop {
            address: gateway,
            ifindex: known.map_or(0, |interface| interface.ifindex),
            interface,
            active: dropped,
            weight: 1,
            onlink: way.onlink,
            ..v1::FibNextHop::default()
        }];
    }
    let mut shown = hops(found, view);
    for hop in &mut shown {
        if hop.address != gateway {
            hop.via = std::mem::replace(&mut hop.address, gateway.clone());
        }
    }
    shown
}

fn hops(hops: &[KernelHop], view: &fib::KernelView) -> Vec<v1::FibNextHop> {
    let shown = hops.iter().map(|hop| {
        let interface = view.interface(hop.ifindex);
        v1::FibNextHop {
            address: hop.gateway.map(|g| g.to_string()).unwrap_or_default(),
            via: String::new(),
            ifindex: hop.ifindex,
            interface: interface.map(|i| i.name.clone()).unwrap_or_default(),
            active: interface.is_some_and(|i| i.up),
            weight: hop.weight.into(),
            onlink: hop.onlink,
        }
    });
    shown.collect()
}

pub(super) fn drop_word(kind: &KernelKind) -> String {
    let word = match kind {
        KernelKind::Blackhole => "blackhole",
        KernelKind::Unreachable => "unreachable",
        KernelKind::Prohibit => "prohibit",
        KernelKind::Unicast(_) | KernelKind::Nexthop(_) | KernelKind::Other(_) => "",
    };
    word.to_owned()
}
