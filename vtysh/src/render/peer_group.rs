//! `show bgp peer-group` and `show bgp vrfs`.

use std::io::{self, Write};

use holdfast_api::v1;
use serde_json::{Map, Value, json};

use super::json::document;
use super::{Family, View, is_established, peer_family, state_name};

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

/// Writes the one routing table there is, the default one.
pub(crate) fn vrfs(
    out: &mut dyn Write,
    view: View<'_>,
    peers: &[v1::Peer],
    as_json: bool,
) -> io::Result<()> {
    let up = peers.iter().filter(|peer| is_established(peer)).count();
    let (id, configured) = (&view.global.router_id, peers.len());
    if as_json {
        let entry = json!({
            "type": "DFLT", "vrfId": 0, "routerId": id, "numConfiguredPeers": configured,
            "numEstablishedPeers": up, "l3vni": 0, "rmac": "00:00:00:00:00:00",
            "interface": "unknown",
        });
        return document(out, &json!({"vrfs": {"default": entry}, "totalVrfs": 1}));
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
    writeln!(
        out,
        "{:4}  {:<5}  {id:16}  {configured:<9}  {up:<10}  {:37}",
        "DFLT", 0, "default"
    )?;
    writeln!(
        out,
        "{:11}  {:<16}  {:21}  {:20}",
        " ", 0, "00:00:00:00:00:00", "unknown"
    )?;
    writeln!(out, "\nTotal number of VRFs (including default): 1")
}
