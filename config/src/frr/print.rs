//! `show running-config`: the text of a configuration, as FRR lays it out.

use std::fmt::Write;
use std::net::IpAddr;

use ipnet::{Ipv4Net, Ipv6Net};

use crate::instances::InstanceName;
use crate::model::{Bgp, Config, Defaults, Neighbor, PeerSettings, Prefix};

use super::membership::{group_lines, neighbor_lines};
use super::row::{Apply, Print, Row, Shown, flag_said};
use super::{communities, family, global, instance, lists, peer, route_map, rpki, statics};

/// The whole configuration as text that `vtysh -f` accepts, from `frr version`
/// to `end`. Defaults are left out.
pub fn to_frr(config: &Config) -> String {
    let mut text = String::new();
    for row in global::ROWS {
        if let Print::Config(print) = row.print {
            push(&mut text, "", print(config));
        }
    }
    text.push_str("!\n");
    for (name, vrf) in &config.vrfs {
        if vrf.table.is_some() || vrf.bgp.is_none() {
            push(&mut text, "", [format!("vrf {name}")]);
            let table = vrf.table.map(|table| format!("table {table}"));
            push(&mut text, " ", table);
            push(&mut text, "", ["exit-vrf".to_owned(), "!".to_owned()]);
        }
    }
    let static_routes = statics::lines(config);
    if !static_routes.is_empty() {
        push(&mut text, "", static_routes);
        text.push_str("!\n");
    }
    for (name, bgp) in config.instances() {
        router_bgp(&mut text, &name, bgp, &config.defaults());
    }
    for block in policy_blocks(config) {
        push(&mut text, "", block);
        text.push_str("!\n");
    }
    text.push_str("end\n");
    text
}

/// What follows the instances.
fn policy_blocks(config: &Config) -> impl Iterator<Item = Vec<String>> {
    let lists = lists::blocks(config).into_iter();
    lists
        .chain(communities::blocks(config))
        .chain(route_map::blocks(config))
        .chain(route_map::protocol_blocks(config))
        .chain([rpki::block(config)])
        .filter(|block| !block.is_empty())
}

/// What `show running-config` answers, with FRR's heading.
pub fn running_config(config: &Config) -> String {
    format!(
        "Building configuration...\n\nCurrent configuration:\n!\n{}",
        to_frr(config)
    )
}

fn push(text: &mut String, indent: &str, lines: impl IntoIterator<Item = String>) {
    for line in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{indent}{line}");
    }
}

fn router_bgp(text: &mut String, name: &InstanceName, bgp: &Bgp, defaults: &Defaults) {
    let fresh = Bgp::new(bgp.asn, defaults);
    push(text, "", [name.router_line(bgp.asn)]);
    for row in instance::ROWS {
        push(text, " ", instance_lines(row, bgp, &fresh, defaults));
    }
    for (name, settings) in &bgp.peer_groups {
        push(text, " ", group_lines(name, settings));
        push(
            text,
            " ",
            peer_lines(
                name,
                Shown {
                    settings,
                    group: None,
                },
            ),
        );
    }
    for (address, neighbor) in in_order(bgp) {
        let shown = Shown {
            settings: &neighbor.settings,
            group: bgp.group_of(neighbor),
        };
        push(text, " ", neighbor_lines(address, neighbor));
        push(text, " ", peer_lines(&address.to_string(), shown));
    }
    address_family::<Ipv4Net>(text, bgp, defaults);
    address_family::<Ipv6Net>(text, bgp, defaults);
    text.push_str("exit\n!\n");
}

/// FRR prints the members of groups first, group by group.
fn in_order(bgp: &Bgp) -> Vec<(IpAddr, &Neighbor)> {
    let mut neighbors: Vec<_> = bgp.neighbors.iter().map(|(at, peer)| (*at, peer)).collect();
    neighbors.sort_by_key(|(address, neighbor)| {
        (
            neighbor.peer_group.is_none(),
            neighbor.peer_group.as_deref(),
            *address,
        )
    });
    neighbors
}

fn instance_lines(row: &Row, bgp: &Bgp, fresh: &Bgp, defaults: &Defaults) -> Vec<String> {
    match (row.print, row.apply) {
        (Print::Bgp(print), _) => print(bgp, defaults),
        (Print::Flag, Apply::BgpFlag(flag)) => {
            let on = (flag.get)(bgp);
            let no = if on { "" } else { "no " };
            let changed = on != (flag.get)(fresh);
            changed
                .then(|| format!("{no}{}", row.set))
                .into_iter()
                .collect()
        }
        _ => Vec::new(),
    }
}

fn peer_lines(peer: &str, shown: Shown<'_>) -> Vec<String> {
    let said = peer::ROWS
        .iter()
        .filter_map(|row| match (row.print, row.apply) {
            (Print::Peer(print), _) => print(shown),
            (Print::Flag, Apply::PeerFlag(flag)) => {
                let group = shown.group.and_then(flag.get);
                flag_said((flag.get)(shown.settings), group, row.flag_text())
            }
            _ => None,
        });
    said.map(|said| said.about(peer)).collect()
}

fn address_family<P: Prefix>(text: &mut String, bgp: &Bgp, defaults: &Defaults) {
    let rows = family::rows::<P>();
    // The lines about the instance surround those about the peers.
    let is_about_peers = |row: &Row| matches!(row.print, Print::PeerAf(_) | Print::Flag);
    let first_peer = rows.iter().position(is_about_peers).unwrap_or(rows.len());
    let (before, rest) = rows.split_at(first_peer);
    let instance = |rows: &[Row]| -> Vec<String> {
        rows.iter()
            .flat_map(|row| instance_lines(row, bgp, bgp, defaults))
            .collect()
    };
    let mut lines = instance(before);
    for (name, settings) in &bgp.peer_groups {
        lines.extend(family_lines::<P>(rest, name, settings, None));
    }
    for (address, neighbor) in in_order(bgp) {
        let (peer, group) = (address.to_string(), bgp.group_of(neighbor));
        lines.extend(family_lines::<P>(rest, &peer, &neighbor.settings, group));
    }
    lines.extend(instance(rest));
    if lines.is_empty() {
        return;
    }
    push(
        text,
        " ",
        [
            "!".to_owned(),
            format!("address-family {}", P::FAMILY.as_str()),
        ],
    );
    push(text, "  ", lines);
    push(text, " ", ["exit-address-family".to_owned()]);
}

fn family_lines<P: Prefix>(
    rows: &[Row],
    peer: &str,
    settings: &PeerSettings,
    group: Option<&PeerSettings>,
) -> Vec<String> {
    let own = settings.af(P::FAMILY);
    let group = group.map(|group| group.af(P::FAMILY));
    let said = rows.iter().filter_map(|row| match (row.print, row.apply) {
        (Print::PeerAf(print), _) => print(own, group),
        (Print::Flag, Apply::AfFlag(_, flag)) => {
            flag_said((flag.get)(own), group.and_then(flag.get), row.flag_text())
        }
        _ => None,
    });
    said.map(|said| said.about(peer)).collect()
}
