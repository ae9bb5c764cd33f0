//! Which rows make up which mode, and the lines that move between modes.

use std::sync::LazyLock;

use ipnet::{Ipv4Net, Ipv6Net};

use crate::grammar::{Builder, Grammar};
use crate::instances::{InstanceName, can_be_table, taken};
use crate::model::{Bgp, Family};
use crate::validate::{no_name, no_table, table_taken};

use super::glossary::GLOSSARY;
use super::row::{Apply, Args, Command, Print, Rejection, Row};
use super::session::{Mode, Outcome, Session};
use super::{
    communities, family, global, instance, lists, matches, membership, peer, route_map, rpki, sets,
    statics,
};

/// The commands of `mode`, without those of the modes above it.
pub(super) fn grammar(mode: Mode) -> &'static Grammar<Command> {
    static CONFIG: LazyLock<Grammar<Command>> = LazyLock::new(|| {
        build(
            global::ROWS
                .iter()
                .chain(statics::ROWS)
                .chain(lists::ROWS)
                .chain(communities::ROWS.into_iter().flatten())
                .chain(route_map::ROWS)
                .chain(&[rpki::ENTER])
                .chain(&ENTER_BGP)
                .chain(&[ENTER_VRF, LINE_VTY])
                .chain(&LEAVE)
                .copied(),
        )
    });
    static ROUTER_BGP: LazyLock<Grammar<Command>> = LazyLock::new(|| {
        let old_places = family::rows::<Ipv4Net>().into_iter().map(Row::hidden);
        let rows = instance::ROWS
            .iter()
            .chain(membership::ROWS)
            .chain(peer::ROWS)
            .copied();
        build(rows.chain([ENTER_FAMILY]).chain(old_places).chain(LEAVE))
    });
    static IPV4: LazyLock<Grammar<Command>> =
        LazyLock::new(|| build(family::rows::<Ipv4Net>().into_iter().chain(LEAVE_FAMILY)));
    static IPV6: LazyLock<Grammar<Command>> =
        LazyLock::new(|| build(family::rows::<Ipv6Net>().into_iter().chain(LEAVE_FAMILY)));
    static VRF: LazyLock<Grammar<Command>> =
        LazyLock::new(|| build([VRF_TABLE].into_iter().chain(VRF_ROUTES).chain(LEAVE_VRF)));
    static ROUTE_MAP: LazyLock<Grammar<Command>> = LazyLock::new(|| {
        let clauses = matches::ROWS.into_iter().chain(sets::ROWS).flatten();
        let rows = route_map::ENTRY.iter().chain(clauses).copied();
        build(rows.chain(LEAVE_ROUTE_MAP))
    });
    static RPKI: LazyLock<Grammar<Command>> =
        LazyLock::new(|| build(rpki::ROWS.iter().copied().chain(LEAVE)));
    static LINE: LazyLock<Grammar<Command>> = LazyLock::new(|| build(LEAVE.into_iter()));
    match mode {
        Mode::Config => &CONFIG,
        Mode::RouterBgp => &ROUTER_BGP,
        Mode::AddressFamily(Family::Ipv4Unicast) => &IPV4,
        Mode::AddressFamily(Family::Ipv6Unicast) => &IPV6,
        Mode::Vrf => &VRF,
        Mode::RouteMap => &ROUTE_MAP,
        Mode::Rpki => &RPKI,
        Mode::LineVty => &LINE,
    }
}

fn build(rows: impl Iterator<Item = Row>) -> Grammar<Command> {
    let add = |builder: Builder<Command>, pattern, command: Command| {
        if command.row.hidden {
            builder.hidden_row(pattern, command)
        } else {
            builder.row(pattern, command)
        }
    };
    let empty = Grammar::builder().glossary(GLOSSARY);
    let typed = rows.filter(|row| !row.set.is_empty());
    typed
        .fold(empty, |builder, row| {
            let builder = add(builder, row.set.trim_end(), Command { row, on: true });
            if row.no.is_empty() {
                builder
            } else {
                add(builder, row.no.trim_end(), Command { row, on: false })
            }
        })
        .build()
}

const fn moving(
    set: &'static str,
    apply: fn(&mut Session, &Args<'_>) -> Result<Outcome, Rejection>,
) -> Row {
    Row::new(set, "", Apply::Session(apply), Print::Nothing)
}

const ENTER_BGP: [Row; 2] = [
    Row::new(
        "router bgp [(1-4294967295)$asn]",
        "no router bgp [(1-4294967295)$asn]",
        Apply::Session(router_bgp),
        Print::Nothing,
    ),
    Row::new(
        "router bgp (1-4294967295)$asn <view|vrf>$kind VIEWVRFNAME$name",
        "no router bgp (1-4294967295)$asn <view|vrf>$kind VIEWVRFNAME$name",
        Apply::Session(router_bgp),
        Print::Nothing,
    ),
];

/// FRR's block, which has no `table` there.
const ENTER_VRF: Row = Row::new(
    "vrf VRFNAME$vrf",
    "no vrf VRFNAME$vrf",
    Apply::Session(vrf),
    Print::Nothing,
);

const VRF_TABLE: Row = Row::new(
    "table (1-4294967295)$table",
    "no table [(1-4294967295)]",
    Apply::Session(vrf_table),
    Print::Nothing,
);

/// Such a line would leave the block and be a route of the default VRF.
const VRF_ROUTES: [Row; 2] = [
    Row::new(
        "ip route LINE...",
        "no ip route LINE...",
        Apply::Session(vrf_route),
        Print::Nothing,
    )
    .hidden(),
    Row::new(
        "ipv6 route LINE...",
        "no ipv6 route LINE...",
        Apply::Session(vrf_route),
        Print::Nothing,
    )
    .hidden(),
];

const LEAVE_VRF: [Row; 4] = [
    moving("exit-vrf", exit),
    moving("exit", exit),
    moving("quit", exit),
    moving("end", end),
];

const LEAVE_ROUTE_MAP: [Row; 4] = [
    moving("exit-route-map", exit),
    moving("exit", exit),
    moving("quit", exit),
    moving("end", end),
];

const LINE_VTY: Row = moving("line vty", |session, _| {
    session.mode = Mode::LineVty;
    Ok(Outcome::Entered(session.mode))
});

const ENTER_FAMILY: Row = moving(
    "address-family <ipv4|ipv6>$afi [unicast]",
    |session, args| {
        let ipv6 = args.found.text("afi") == Some("ipv6");
        let family = if ipv6 {
            Family::Ipv6Unicast
        } else {
            Family::Ipv4Unicast
        };
        session.mode = Mode::AddressFamily(family);
        Ok(Outcome::Entered(session.mode))
    },
);

const LEAVE: [Row; 3] = [
    moving("exit", exit),
    moving("quit", exit),
    moving("end", end),
];

const LEAVE_FAMILY: [Row; 4] = [
    moving("exit-address-family", exit),
    moving("exit", exit),
    moving("quit", exit),
    moving("end", end),
];

fn exit(session: &mut Session, _: &Args<'_>) -> Result<Outcome, Rejection> {
    let parent = session.mode.parent();
    session.mode = parent.unwrap_or_default();
    Ok(parent.map_or(Outcome::Left, Outcome::Entered))
}

fn end(session: &mut Session, _: &Args<'_>) -> Result<Outcome, Rejection> {
    session.mode = Mode::Config;
    Ok(Outcome::Left)
}

/// Which instance a `router bgp` line is about.
fn instance_name(session: &Session, args: &Args<'_>) -> Result<InstanceName, Rejection> {
    let Some(name) = args.text("name") else {
        return Ok(InstanceName::Default);
    };
    if args.on && !InstanceName::can_be_named(&name) {
        return Err(Rejection::at("name", no_name(&name)));
    }
    let (own, other) = match args.found.text("kind") {
        Some("vrf") => (InstanceName::Vrf(name.clone()), InstanceName::View(name)),
        _ => (InstanceName::View(name.clone()), InstanceName::Vrf(name)),
    };
    if args.on && session.config.instance(&other).is_some() {
        let message = format!("there is a BGP instance of that name: {other}");
        return Err(Rejection::at("name", message));
    }
    Ok(own)
}

fn vrf(session: &mut Session, args: &Args<'_>) -> Result<Outcome, Rejection> {
    let name = args.text("vrf").unwrap_or_default();
    if args.on {
        if !InstanceName::can_be_named(&name) {
            return Err(Rejection::at("vrf", no_name(&name)));
        }
        session.config.vrfs.entry(name.clone()).or_default();
        session.vrf = name;
        session.mode = Mode::Vrf;
        return Ok(Outcome::Entered(session.mode));
    }
    let vrfs = &mut session.config.vrfs;
    match vrfs.get_mut(&name) {
        None => {
            let message = format!("VRF {name} does not exist");
            return Err(Rejection::at("vrf", message));
        }
        Some(vrf) if vrf.bgp.is_some() => vrf.table = None,
        Some(_) => drop(vrfs.remove(&name)),
    }
    Ok(Outcome::Applied)
}

fn vrf_route(session: &mut Session, _: &Args<'_>) -> Result<Outcome, Rejection> {
    let vrf = session.config.vrfs.get(&session.vrf);
    let table = match vrf.and_then(|vrf| vrf.table) {
        Some(table) => table.to_string(),
        None => "N".to_owned(),
    };
    Err(Rejection::new(format!(
        "a VRF has no static routes of its own; outside of this block, \"table {table}\" at the \
         end of the line puts a route into its table"
    )))
}

fn vrf_table(session: &mut Session, args: &Args<'_>) -> Result<Outcome, Rejection> {
    let table = args.when_on(args.number::<u32>("table"));
    if let Some(table) = table {
        if !can_be_table(table) {
            return Err(Rejection::at("table", no_table(table)));
        }
        let others = session.config.vrfs.iter();
        let mut others = others.filter(|(name, _)| **name != session.vrf);
        if let Some((owner, _)) = others.find(|(_, vrf)| vrf.table == Some(table)) {
            return Err(Rejection::at("table", table_taken(table, owner)));
        }
    }
    let vrf = session.config.vrfs.entry(session.vrf.clone()).or_default();
    let before = std::mem::replace(&mut vrf.table, table);
    // Its neighbors are the host's then, as those of others.
    let name = InstanceName::Vrf(session.vrf.clone());
    let config = &session.config;
    let neighbors = config.instance(&name).map(|bgp| &bgp.neighbors);
    let mut neighbors = neighbors.into_iter().flat_map(|all| all.keys());
    let conflict = neighbors.find_map(|address| {
        let owner = config.other_owner(&name, *address)?;
        Some(taken(*address, &owner))
    });
    if let Some(message) = conflict {
        if let Some(vrf) = session.config.vrfs.get_mut(&session.vrf) {
            vrf.table = before;
        }
        return Err(Rejection::at("table", message));
    }
    Ok(Outcome::Applied)
}

fn router_bgp(session: &mut Session, args: &Args<'_>) -> Result<Outcome, Rejection> {
    let asn = args.number::<u32>("asn");
    let name = instance_name(session, args)?;
    let running = session.config.instance(&name).map(|bgp| bgp.asn);
    match (asn, running) {
        (Some(asn), Some(running)) if asn != running && args.on => {
            let message = format!("BGP is already running; AS is {running}");
            return Err(Rejection::at("asn", message));
        }
        (Some(asn), Some(running)) if asn != running => {
            return Err(Rejection::at("asn", "Can't find BGP instance"));
        }
        (None, None) if args.on => return Err(Rejection::new("Please specify ASN and VRF")),
        (_, None) if !args.on => return Err(Rejection::new("Can't find BGP instance")),
        (None, Some(_)) if !args.on && session.config.instances().nth(1).is_some() => {
            return Err(Rejection::new("Please specify ASN and VRF"));
        }
        (Some(asn), None) => {
            let bgp = Bgp::new(asn, &args.defaults);
            session.config.set_instance(&name, Some(bgp));
        }
        _ => {}
    }
    if !args.on {
        session.config.set_instance(&name, None);
        return Ok(Outcome::Applied);
    }
    session.instance = name;
    session.mode = Mode::RouterBgp;
    Ok(Outcome::Entered(session.mode))
}
