//! `show bgp peer-group` and `show bgp vrfs`.

use std::io::{self, Write};

use holdfast_api::v1;
use serde_json::{Map, Value, json};

use super::json::document;
use super::{Family, is_established, peer_family, state_name};

fn members<'a>(peers: &'a [v1::Peer], group: &str) -> Vec<&'a v1::Peer> {
    peers
        .iter()
        .filter(|peer| peer.peer_group == group)
        .collect()
}

fn kind(members: &[&v1::Peer]) -> &'static str {
    match members.first() {
        Some(member) if !member.external => "internal",
        _ => "external",
    }
}

/// The AS of all members, or 0 when they differ or have been told by kind.
fn remote_as(members: &[&v1::Peer]) -> u32 {
    let by_kind =
        |peer: &v1::Peer| peer.remote_as_configured_external || peer.remote_as_configured_internal;
    match members {
        [first, rest @ ..]
            if !by_kind(first) && rest.iter().all(|peer| peer.remote_as == first.remote_as) =>
        {
            first.remote_as
        }
        _ => 0,
    }
}

fn families(members: &[&v1::Peer]) -> Vec<&'static str> {
    let active = |family: &Family| {
        members
            .iter()
            .any(|peer| peer_family(peer, *family).is_some())
    };
    Family::ALL
        .into_iter()
        .filter(active)
        .map(Family::title)
        .collect()
}

/// Writes the peer groups named `groups`.
pub(crate) fn peer_groups(
    out: &mut dyn Write,
    peers: &[v1::Peer],
    groups: &[&str],
) -> io::Result<()> {
    for group in groups {
        let members = members(peers, group);
        writeln!(
            out,
            "\nBGP peer-group {group}, remote AS {}",
            remote_as(&members)
        )?;
        writeln!(out, "  Peer-group type is {}", kind(&members))?;
        write!(out, "  Configured address-families:")?;
        let families = families(&members);
        if families.is_empty() {
            write!(out, " none")?;
        }
        for family in families {
            write!(out, " {family};")?;
        }
        writeln!(out)?;
        if !members.is_empty() {
            writeln!(out, "  Peer-group members:")?;
        }
        for member in members {
            let state = if member.admin_down {
                "Idle (Admin)"
            } else {
                state_name(member)
            };
            writeln!(out, "    {}  {state} ", member.address)?;
        }
    }
    Ok(())
}

/// Writes the peer groups named `groups` as one document.
pub(crate) fn peer_groups_json(
    out: &mut dyn Write,
    peers: &[v1::Peer],
    groups: &[&str],
) -> io::Result<()> {
    let mut all = Map::new();
    for group in groups {
        let members = members(peers, group);
        let mut listed = Map::new();
        for member in &members {
            let state = if member.admin_down {
                "Idle (Admin)"
            } else {
                state_name(member)
            };
            listed.insert(member.address.clone(), json!({ "status": state }));
        }
        let mut entry = Map::new();
        entry.insert("remoteAs".into(), json!(remote_as(&members)));
        entry.insert("type".into(), json!(kind(&members)));
        entry.insert(
            "addressFamiliesConfigured".into(),
            json!(families(&members)),
        );
        entry.insert("members".into(), Value::Object(listed));
        all.insert((*group).to_owned(), Value::Object(entry));
    }
    document(out, &Value::Object(all))
}

/// `show bgp vrfs`: the default instance and those of VRFs, each with its peers.
pub(crate) fn vrfs(
    out: &mut dyn Write,
    instances: &[(v1::Global, Vec<v1::Peer>)],
    as_json: bool,
) -> io::Result<()> {
    if as_json {
        let entries = instances.iter().map(|(global, peers)| {
            let name = global.instance.clone();
            (name, vrf_json(global, peers))
        });
        let entries: serde_json::Map<_, _> = entries.collect();
        let total = entries.len();
        return document(out, &json!({"vrfs": entries, "totalVrfs": total}));
    }
    writeln!(
        out,
        "{:4}  {:5}  {:16}  {:9}  {:10}  {:37}",
        "Type", "Id", "routerId", "#PeersCfg", "#PeersEstb", "Name"
    )?;
    writeln!(
        out,
        "{:11}  {:16}  {:21}  {:6}",
        " ", "L3-VNI", "RouterMAC", "Interface"
    )?;
    for (global, peers) in instances {
        let up = peers.iter().filter(|peer| is_established(peer)).count();
        let (id, router, configured) = (global.vrf_id, &global.router_id, peers.len());
        writeln!(
            out,
            "{:>4}  {id:<5}  {router:16}  {configured:<9}  {up:<10}  {:37}",
            vrf_type(global),
            global.instance
        )?;
        writeln!(
            out,
            "{:11}  {:<16}  {:21}  {:20}",
            " ", 0, "00:00:00:00:00:00", "unknown"
        )?;
        if global.vrf_unknown {
            writeln!(out, "{:11}  No VRF device and no table: sessions wait", " ")?;
        }
    }
    let total = instances.len();
    writeln!(out, "\nTotal number of VRFs (including default): {total}")
}

fn vrf_type(global: &v1::Global) -> &'static str {
    match global.kind() {
        v1::InstanceKind::InstanceDefault => "DFLT",
        _ => "VRF",
    }
}

fn vrf_json(global: &v1::Global, peers: &[v1::Peer]) -> serde_json::Value {
    let up = peers.iter().filter(|peer| is_established(peer)).count();
    let mut entry = json!({
        "type": vrf_type(global), "vrfId": global.vrf_id, "routerId": global.router_id,
        "numConfiguredPeers": peers.len(), "numEstablishedPeers": up, "l3vni": 0,
        "rmac": "00:00:00:00:00:00", "interface": "unknown",
    });
    if global.vrf_unknown
        && let Some(entry) = entry.as_object_mut()
    {
        entry.insert("waiting".to_owned(), json!(true));
    }
    entry
}
