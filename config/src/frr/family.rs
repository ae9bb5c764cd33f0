//! Lines of an `address-family` block, written once for both families.

use crate::model::{
    AddPathTx, AllowAsIn, Bgp, DEFAULT_MAXIMUM_PATHS, NextHopSelf, PeerAf, PeerKind, Prefix,
    ResilientPaths,
};

use crate::peer::DEFAULT_ALLOW_AS_IN;

use super::membership::members;
use super::row::{AfFlag, Apply, Args, Done, Print, Rejection, Row, Said, flag_said};
use super::session::target;
use super::{filter, import, origination};

macro_rules! peer {
    ($rest:literal) => {
        concat!("neighbor <A.B.C.D|X:X::X:X|WORD>$peer ", $rest)
    };
}

macro_rules! no_peer {
    ($rest:literal) => {
        concat!("no neighbor <A.B.C.D|X:X::X:X|WORD>$peer ", $rest)
    };
}

/// The rows of one family, in the order in which FRR prints them.
pub(super) fn rows<P: Prefix>() -> Vec<Row> {
    let mut rows = origination::rows::<P>();
    rows.extend(peers::<P>());
    rows.extend(maximum_paths::<P>());
    rows.extend(import::rows::<P>());
    rows
}

/// A switch of a peer.
macro_rules! switch {
    ($family:expr, $text:literal, $field:ident) => {
        Row::new(
            peer!($text),
            no_peer!($text),
            Apply::AfFlag(
                $family,
                AfFlag {
                    get: |af| af.$field,
                    set: |af, on| af.$field = on,
                },
            ),
            Print::Flag,
        )
    };
}

fn peers<P: Prefix>() -> Vec<Row> {
    let mut rows = vec![Row::new(
        peer!("activate"),
        no_peer!("activate"),
        Apply::Bgp(activate::<P>),
        Print::PeerAf(activation_said),
    )];
    rows.extend(add_path::<P>());
    rows.extend(announcing::<P>());
    rows.extend(filter::announcing::<P>());
    rows.extend(accepting::<P>());
    rows.extend(filter::rows::<P>());
    rows.push(switch!(
        P::FAMILY,
        "attribute-unchanged next-hop",
        next_hop_unchanged
    ));
    rows
}

fn add_path<P: Prefix>() -> [Row; 3] {
    [
        Row::new(
            peer!("addpath-tx-all-paths"),
            no_peer!("addpath-tx-all-paths"),
            Apply::Bgp(|bgp, args| addpath_tx::<P>(bgp, args, AddPathTx::AllPaths)),
            Print::PeerAf(|own, group| {
                let all = addpath_tx_said(own, group) == Some(AddPathTx::AllPaths);
                all.then(|| Said::on("addpath-tx-all-paths"))
            }),
        ),
        Row::new(
            peer!("addpath-tx-bestpath-per-AS"),
            no_peer!("addpath-tx-bestpath-per-AS"),
            Apply::Bgp(|bgp, args| addpath_tx::<P>(bgp, args, AddPathTx::BestPerAs)),
            Print::PeerAf(|own, group| {
                let per_as = addpath_tx_said(own, group) == Some(AddPathTx::BestPerAs);
                per_as.then(|| Said::on("addpath-tx-bestpath-per-AS"))
            }),
        ),
        switch!(P::FAMILY, "disable-addpath-rx", disable_addpath_rx),
    ]
}

fn accepting<P: Prefix>() -> [Row; 4] {
    [
        switch!(
            P::FAMILY,
            "soft-reconfiguration inbound",
            soft_reconfiguration_inbound
        ),
        Row::new(
            peer!("route-server-client"),
            no_peer!("route-server-client"),
            Apply::Bgp(route_server_client::<P>),
            Print::PeerAf(|own, group| {
                let inherited = group.and_then(|group| group.route_server_client);
                flag_said(own.route_server_client, inherited, "route-server-client")
            }),
        ),
        Row::new(
            peer!("allowas-in [<(1-10)$times|origin>]"),
            no_peer!("allowas-in [<(1-10)|origin>]"),
            Apply::Bgp(allowas_in::<P>),
            Print::PeerAf(|own, _| {
                Some(Said::on(match own.allowas_in? {
                    AllowAsIn::Times(DEFAULT_ALLOW_AS_IN) => "allowas-in".to_owned(),
                    AllowAsIn::Times(times) => format!("allowas-in {times}"),
                    AllowAsIn::Origin => "allowas-in origin".to_owned(),
                }))
            }),
        ),
        Row::new(
            peer!("weight (0-65535)$weight"),
            no_peer!("weight [(0-65535)]"),
            Apply::Bgp(|bgp, args| {
                let weight = args.when_on(args.number("weight"));
                target(bgp, args)?.settings.af_mut(P::FAMILY).weight = weight;
                Ok(())
            }),
            Print::PeerAf(|own, _| Some(Said::on(format!("weight {}", own.weight?)))),
        ),
    ]
}

fn announcing<P: Prefix>() -> [Row; 2] {
    [
        Row::new(
            peer!("route-reflector-client"),
            no_peer!("route-reflector-client"),
            Apply::Bgp(route_reflector_client::<P>),
            Print::PeerAf(|own, group| {
                let inherited = group.and_then(|group| group.route_reflector_client);
                flag_said(
                    own.route_reflector_client,
                    inherited,
                    "route-reflector-client",
                )
            }),
        ),
        Row::new(
            peer!("next-hop-self [force]"),
            no_peer!("next-hop-self [force]"),
            Apply::Bgp(next_hop_self::<P>),
            Print::PeerAf(next_hop_self_said),
        ),
    ]
}

fn maximum_paths<P: Prefix>() -> [Row; 3] {
    [
        Row::new(
            "maximum-paths (1-256)$paths",
            "no maximum-paths [(1-256)]",
            Apply::Bgp(|bgp, args| {
                P::af_mut(bgp).maximum_paths = paths(args);
                Ok(())
            }),
            Print::Bgp(|bgp, _| paths_line("maximum-paths", P::af(bgp).maximum_paths)),
        ),
        Row::new(
            "maximum-paths ibgp (1-256)$paths [equal-cluster-length]",
            "no maximum-paths ibgp [(1-256)] [equal-cluster-length]",
            Apply::Bgp(|bgp, args| {
                let af = P::af_mut(bgp);
                af.maximum_paths_ibgp = paths(args);
                af.equal_cluster_length = args.on && args.found.has("equal-cluster-length");
                Ok(())
            }),
            Print::Bgp(|bgp, _| {
                let af = P::af(bgp);
                if af.equal_cluster_length {
                    let paths = af.maximum_paths_ibgp;
                    return vec![format!("maximum-paths ibgp {paths} equal-cluster-length")];
                }
                paths_line("maximum-paths ibgp", af.maximum_paths_ibgp)
            }),
        ),
        // FRR has it for groups of next hops that are named in the configuration only.
        Row::new(
            "maximum-paths resilient buckets (1-65535)$buckets [idle-timer (0-4294967)$idle] \
             [unbalanced-timer (0-4294967)$unbalanced]",
            "no maximum-paths resilient [buckets (1-65535) [idle-timer (0-4294967)] \
             [unbalanced-timer (0-4294967)]]",
            Apply::Bgp(|bgp, args| {
                P::af_mut(bgp).resilient = args.when_on(resilient(args));
                Ok(())
            }),
            Print::Bgp(|bgp, _| P::af(bgp).resilient.iter().map(resilient_line).collect()),
        ),
    ]
}

fn resilient(args: &Args<'_>) -> Option<ResilientPaths> {
    let usual = ResilientPaths::new(args.number("buckets")?);
    Some(ResilientPaths {
        idle_timer_secs: args.number("idle").unwrap_or(usual.idle_timer_secs),
        unbalanced_timer_secs: args
            .number("unbalanced")
            .unwrap_or(usual.unbalanced_timer_secs),
        ..usual
    })
}

fn resilient_line(resilient: &ResilientPaths) -> String {
    let usual = ResilientPaths::new(resilient.buckets);
    let timer = |name, secs: u32, usual: u32| match secs == usual {
        true => String::new(),
        false => format!(" {name} {secs}"),
    };
    let (idle, unbalanced) = (resilient.idle_timer_secs, resilient.unbalanced_timer_secs);
    format!(
        "maximum-paths resilient buckets {}{}{}",
        resilient.buckets,
        timer("idle-timer", idle, usual.idle_timer_secs),
        timer("unbalanced-timer", unbalanced, usual.unbalanced_timer_secs),
    )
}

fn paths(args: &Args<'_>) -> u16 {
    args.when_on(args.number("paths"))
        .unwrap_or(DEFAULT_MAXIMUM_PATHS)
}

fn paths_line(text: &str, paths: u16) -> Vec<String> {
    (paths != DEFAULT_MAXIMUM_PATHS)
        .then(|| format!("{text} {paths}"))
        .into_iter()
        .collect()
}

/// What a group says now goes for all of its members, as in FRR.
fn activate<P: Prefix>(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    let default = bgp.default_activate(P::FAMILY);
    let target = target(bgp, args)?;
    let group = target.group.and_then(|group| group.af(P::FAMILY).activate);
    let inherited = group.unwrap_or(default);
    target.settings.af_mut(P::FAMILY).activate = Some(args.on).filter(|on| *on != inherited);
    if let Some(name) = args.found.text("peer") {
        for settings in members(bgp, name) {
            settings.af_mut(P::FAMILY).activate = None;
        }
    }
    Ok(())
}

fn activation_said(own: &PeerAf, _: Option<&PeerAf>) -> Option<Said> {
    own.activate.map(|on| Said {
        on,
        text: "activate".to_owned(),
    })
}

fn route_reflector_client<P: Prefix>(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    let kind = match args.address("peer") {
        Some(address) => bgp.neighbor_kind(address),
        None => bgp.group_kind(args.found.text("peer").unwrap_or_default(), None),
    };
    let target = target(bgp, args)?;
    if args.on && kind != Some(PeerKind::Internal) {
        return Err(Rejection::at(
            "peer",
            "Invalid command. Not an internal neighbor",
        ));
    }
    let group = target
        .group
        .and_then(|group| group.af(P::FAMILY).route_reflector_client);
    let off = super::row::switched_off(group);
    let value = if args.on { Some(true) } else { off };
    target.settings.af_mut(P::FAMILY).route_reflector_client = value;
    Ok(())
}

/// FRR leaves the next hop alone from then on, and says so in a line of its own.
fn route_server_client<P: Prefix>(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    let target = target(bgp, args)?;
    let group = target
        .group
        .and_then(|group| group.af(P::FAMILY).route_server_client);
    let own = target.settings.af_mut(P::FAMILY);
    if args.on {
        own.route_server_client = Some(true);
        own.next_hop_unchanged = Some(true);
    } else {
        own.route_server_client = super::row::switched_off(group);
        own.next_hop_unchanged = own.next_hop_unchanged.filter(|on| !on);
    }
    Ok(())
}

/// Taking back the one that is not said does nothing, as in FRR.
fn addpath_tx<P: Prefix>(bgp: &mut Bgp, args: &Args<'_>, which: AddPathTx) -> Done {
    let own = &mut target(bgp, args)?.settings.af_mut(P::FAMILY).addpath_tx;
    if args.on {
        *own = Some(which);
    } else if *own == Some(which) {
        *own = None;
    }
    Ok(())
}

/// What a member says beyond its group.
fn addpath_tx_said(own: &PeerAf, group: Option<&PeerAf>) -> Option<AddPathTx> {
    let inherited = group.and_then(|group| group.addpath_tx);
    own.addpath_tx.filter(|own| inherited != Some(*own))
}

fn allowas_in<P: Prefix>(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    let value = if args.found.has("origin") {
        AllowAsIn::Origin
    } else {
        AllowAsIn::Times(args.number("times").unwrap_or(DEFAULT_ALLOW_AS_IN))
    };
    target(bgp, args)?.settings.af_mut(P::FAMILY).allowas_in = args.when_on(Some(value));
    Ok(())
}

/// FRR has a switch for each of the two, and prints `force` first when both
/// are on: the plain form must not weaken it.
fn next_hop_self<P: Prefix>(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    let target = target(bgp, args)?;
    let group = target
        .group
        .and_then(|group| group.af(P::FAMILY).next_hop_self);
    let own = &mut target.settings.af_mut(P::FAMILY).next_hop_self;
    let force = args.found.has("force");
    let off = match group {
        Some(NextHopSelf::On | NextHopSelf::Force) => Some(NextHopSelf::Off),
        Some(NextHopSelf::Off) | None => None,
    };
    *own = match (args.on, force, *own) {
        (true, true, _) | (true, false, Some(NextHopSelf::Force)) => Some(NextHopSelf::Force),
        (true, false, _) => Some(NextHopSelf::On),
        (false, _, _) => off,
    };
    Ok(())
}

fn next_hop_self_said(own: &PeerAf, group: Option<&PeerAf>) -> Option<Said> {
    match (
        own.next_hop_self?,
        group.and_then(|group| group.next_hop_self),
    ) {
        (NextHopSelf::On, _) => Some(Said::on("next-hop-self")),
        (NextHopSelf::Force, _) => Some(Said::on("next-hop-self force")),
        (NextHopSelf::Off, Some(NextHopSelf::On | NextHopSelf::Force)) => {
            Some(Said::off("next-hop-self"))
        }
        (NextHopSelf::Off, _) => None,
    }
}
