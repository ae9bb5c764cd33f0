//! `show bgp update-groups`: which peers are told the same, and how far it got.

use std::collections::BTreeMap;
use std::io::{self, Write};

use holdfast_api::v1;
use serde_json::{Map, Value, json};

use super::json::document;
use super::{Family, View, is_established, peer_family};

/// A group, as its members tell of it.
struct Group<'a> {
    family: Family,
    /// When the first of those that are in it now came.
    created_ms: u64,
    /// The table's version that all members have been told.
    version: u64,
    /// Joined sessions whose transfer of the table is not complete.
    joining: usize,
    members: Vec<&'a str>,
}

/// The groups of the families, by their numbers; numbers are of one family.
fn groups<'a>(
    peers: &'a [v1::Peer],
    families: &[Family],
    wanted: Option<u32>,
) -> BTreeMap<(Family, u32), Group<'a>> {
    let mut groups = BTreeMap::new();
    for family in families {
        for peer in peers.iter().filter(|peer| is_established(peer)) {
            let Some(found) = peer_family(peer, *family) else {
                continue;
            };
            let id = found.update_group;
            if id == 0 || wanted.is_some_and(|wanted| wanted != id) {
                continue;
            }
            let group = groups.entry((*family, id)).or_insert(Group {
                family: *family,
                created_ms: u64::MAX,
                version: u64::MAX,
                joining: 0,
                members: Vec::new(),
            });
            group.created_ms = group.created_ms.min(peer.established_ms);
            group.version = group.version.min(found.table_version);
            group.joining += usize::from(!found.end_of_rib_sent);
            group.members.push(&peer.address);
        }
    }
    groups
}

/// Writes the groups of the families, or the one of them with this number.
pub(crate) fn update_groups(
    out: &mut dyn Write,
    view: View<'_>,
    peers: &[v1::Peer],
    (families, wanted): (&[Family], Option<u32>),
) -> io::Result<()> {
    for ((_, id), group) in groups(peers, families, wanted) {
        let created = view.clock.date(group.created_ms);
        writeln!(out, "Update-group {id}:")?;
        writeln!(out, "  Created: {created}")?;
        writeln!(out, "  Address family: {}", group.family.title())?;
        writeln!(out, "  MRAI value (seconds): 0\n")?;
        writeln!(out, "  Update-subgroup {id}:")?;
        writeln!(out, "    Created: {created}")?;
        writeln!(out, "    Version: {}", group.version)?;
        writeln!(out, "    Peers still joining: {}", group.joining)?;
        writeln!(out, "    Peers:")?;
        for member in &group.members {
            writeln!(out, "      - {member}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// The same for programs, by family and number.
pub(crate) fn update_groups_json(
    out: &mut dyn Write,
    peers: &[v1::Peer],
    (families, wanted): (&[Family], Option<u32>),
) -> io::Result<()> {
    let mut by_family = Map::new();
    for ((family, id), group) in groups(peers, families, wanted) {
        let entry = json!({
            "createdEpoch": group.created_ms / 1000,
            "mrai": 0,
            "version": group.version,
            "peersJoining": group.joining,
            "peers": group.members,
        });
        let family = by_family
            .entry(family.key())
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(groups) = family {
            groups.insert(id.to_string(), entry);
        }
    }
    document(out, &Value::Object(by_family))
}
