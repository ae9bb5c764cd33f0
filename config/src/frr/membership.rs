//! Lines that make and remove neighbors and peer groups.

use std::net::IpAddr;

use crate::model::{Bgp, Family, Neighbor, PeerKind, PeerSettings, RemoteAs};

use super::row::{Apply, Args, Done, Print, Rejection, Row};

/// Printed by [`group_lines`] and [`neighbor_lines`].
pub(super) const ROWS: &[Row] = &[
    Row::new(
        "neighbor <A.B.C.D|X:X::X:X|WORD>$peer remote-as <(1-4294967295)|internal|external>$as",
        "no neighbor <A.B.C.D|X:X::X:X|WORD>$peer remote-as [<(1-4294967295)|internal|external>]",
        Apply::Bgp(remote_as),
        Print::Nothing,
    ),
    Row::new(
        "neighbor WORD$group peer-group",
        "no neighbor WORD$group peer-group",
        Apply::Bgp(peer_group),
        Print::Nothing,
    ),
    Row::new(
        "neighbor <A.B.C.D|X:X::X:X>$peer peer-group NAME$group",
        "no neighbor <A.B.C.D|X:X::X:X>$peer peer-group [NAME]",
        Apply::Bgp(member),
        Print::Nothing,
    ),
    Row::new(
        "no neighbor <A.B.C.D|X:X::X:X|WORD>$peer",
        "",
        Apply::Bgp(remove),
        Print::Nothing,
    ),
];

/// The lines that make a peer group.
pub(super) fn group_lines(name: &str, settings: &PeerSettings) -> Vec<String> {
    let mut lines = vec![format!("neighbor {name} peer-group")];
    lines.extend(
        settings
            .remote_as
            .map(|asn| format!("neighbor {name} remote-as {asn}")),
    );
    lines
}

/// The lines that make a neighbor.
pub(super) fn neighbor_lines(address: IpAddr, neighbor: &Neighbor) -> Vec<String> {
    let remote_as = neighbor.settings.remote_as;
    let remote_as = remote_as.map(|asn| format!("neighbor {address} remote-as {asn}"));
    let group = neighbor.peer_group.as_ref();
    let group = group.map(|name| format!("neighbor {address} peer-group {name}"));
    remote_as.into_iter().chain(group).collect()
}

fn no_group(message: &'static str) -> Rejection {
    Rejection::at("group", message)
}

fn remote_as(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    let value = match (args.number::<u32>("as"), args.found.text("as")) {
        (Some(asn), _) => Some(RemoteAs::Number(asn)),
        (None, Some("internal")) => Some(RemoteAs::Internal),
        (None, Some(_)) => Some(RemoteAs::External),
        (None, None) => None,
    };
    match (args.address("peer"), value) {
        (Some(address), Some(value)) if args.on => neighbor_remote_as(bgp, address, value),
        (None, Some(value)) if args.on => {
            group_remote_as(bgp, args.found.text("peer").unwrap_or_default(), value)
        }
        (Some(address), _) => {
            bgp.neighbors.remove(&address);
            Ok(())
        }
        (None, _) => no_group_remote_as(bgp, args.found.text("peer").unwrap_or_default()),
    }
}

const MIXED: &str = "Peer-group members must be all internal or all external.";
const OVERRIDE: &str = "Peer-group member cannot override remote-as of peer-group.";

fn neighbor_remote_as(bgp: &mut Bgp, address: IpAddr, value: RemoteAs) -> Done {
    let kind = bgp.resolve_remote(value).kind;
    let group = bgp
        .neighbors
        .get(&address)
        .and_then(|neighbor| neighbor.peer_group.clone());
    if let Some(name) = group {
        if bgp
            .peer_groups
            .get(&name)
            .is_some_and(|group| group.remote_as.is_some())
        {
            return Err(Rejection::at("peer", OVERRIDE));
        }
        if bgp
            .group_kind(&name, Some(address))
            .is_some_and(|members| members != kind)
        {
            return Err(Rejection::at("peer", MIXED));
        }
    }
    let settings = &mut bgp.neighbors.entry(address).or_default().settings;
    settings.remote_as = Some(value);
    if kind != PeerKind::Internal {
        forget_reflection(settings);
    }
    Ok(())
}

/// Only internal peers can be clients of a route reflector.
fn forget_reflection(settings: &mut PeerSettings) {
    for family in Family::ALL {
        settings.af_mut(family).route_reflector_client = None;
    }
}

fn group_remote_as(bgp: &mut Bgp, name: &str, value: RemoteAs) -> Done {
    let kind = bgp.resolve_remote(value).kind;
    let Some(group) = bgp.peer_groups.get_mut(name) else {
        return Err(Rejection::at(
            "peer",
            "Create the peer-group or interface first",
        ));
    };
    group.remote_as = Some(value);
    if kind != PeerKind::Internal {
        forget_reflection(group);
    }
    for settings in members(bgp, name) {
        settings.remote_as = None;
        if kind != PeerKind::Internal {
            forget_reflection(settings);
        }
    }
    Ok(())
}

/// Without the group's AS its members have none: they go, as in FRR.
fn no_group_remote_as(bgp: &mut Bgp, name: &str) -> Done {
    let Some(group) = bgp.peer_groups.get_mut(name) else {
        return Err(Rejection::at("peer", "Create the peer-group first"));
    };
    if group.remote_as.take().is_some() {
        bgp.neighbors
            .retain(|_, neighbor| neighbor.peer_group.as_deref() != Some(name));
    }
    Ok(())
}

/// The members of a group.
pub(super) fn members<'a>(
    bgp: &'a mut Bgp,
    name: &'a str,
) -> impl Iterator<Item = &'a mut PeerSettings> {
    bgp.neighbors
        .values_mut()
        .filter(move |neighbor| neighbor.peer_group.as_deref() == Some(name))
        .map(|neighbor| &mut neighbor.settings)
}

fn peer_group(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    let name = args.text("group").unwrap_or_default();
    if name.parse::<IpAddr>().is_ok() {
        return Err(no_group("The name of a peer-group cannot be an address"));
    }
    if args.on {
        bgp.peer_groups.entry(name).or_default();
        return Ok(());
    }
    remove_group(bgp, &name, "group")
}

fn remove_group(bgp: &mut Bgp, name: &str, value: &'static str) -> Done {
    if bgp.peer_groups.remove(name).is_none() {
        return Err(Rejection::at(value, "Create the peer-group first"));
    }
    bgp.neighbors
        .retain(|_, neighbor| neighbor.peer_group.as_deref() != Some(name));
    Ok(())
}

fn remove(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    match args.address("peer") {
        Some(address) => {
            bgp.neighbors.remove(&address);
            Ok(())
        }
        None => remove_group(bgp, args.found.text("peer").unwrap_or_default(), "peer"),
    }
}

/// `neighbor X peer-group G`. Taking it back removes the neighbor, as in FRR.
fn member(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    let Some(address) = args.address("peer") else {
        return Ok(());
    };
    if !args.on {
        bgp.neighbors.remove(&address);
        return Ok(());
    }
    let name = args.text("group").unwrap_or_default();
    let Some(group) = bgp.peer_groups.get(&name) else {
        return Err(no_group("Configure the peer-group first"));
    };
    let group_has_as = group.remote_as.is_some();
    let neighbor = bgp.neighbors.get(&address);
    let current = neighbor.and_then(|neighbor| neighbor.peer_group.as_ref());
    if current.is_some_and(|current| *current != name) {
        return Err(no_group("Cannot change the peer-group. Deconfigure first"));
    }
    let own = neighbor.and_then(|neighbor| neighbor.settings.remote_as);
    let kind = own.map(|own| bgp.resolve_remote(own).kind);
    let members = bgp.group_kind(&name, Some(address));
    if !group_has_as && kind.is_some() && members.is_some() && kind != members {
        return Err(no_group(MIXED));
    }
    let joins = current.is_none();
    let neighbor = bgp.neighbors.entry(address).or_default();
    neighbor.peer_group = Some(name);
    if group_has_as {
        neighbor.settings.remote_as = None;
        if members.is_some_and(|kind| kind != PeerKind::Internal) {
            forget_reflection(&mut neighbor.settings);
        }
    }
    if joins {
        for family in Family::ALL {
            neighbor.settings.af_mut(family).activate = None;
        }
    }
    Ok(())
}
