//! `show bgp summary`.

use std::io::{self, Write};

use holdfast_api::v1;
use serde_json::{Map, Value, json};

use super::json::{Slashes, pretty};
use super::{Family, View, afi_of, is_established, memory, peer_family, state_name};

/// The column of the neighbor is at least this wide.
const NEIGHBOR_WIDTH: usize = 16;
/// Longest description shown, in the normal and the wide layout.
const DESCRIPTION: usize = 20;
const WIDE_DESCRIPTION: usize = 64;
/// What FRR reports per peer group.
const PEER_GROUP_BYTES: usize = 64;

/// Which peers are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PeerFilter {
    pub(crate) established: bool,
    pub(crate) failed: bool,
    pub(crate) address: Option<String>,
    pub(crate) asn: Option<u32>,
    /// `remote-as internal` (false) or `external` (true).
    pub(crate) external: Option<bool>,
}

impl PeerFilter {
    fn is_set(&self) -> bool {
        *self != Self::default()
    }

    fn admits(&self, peer: &v1::Peer) -> bool {
        let up = is_established(peer);
        (!self.established || up)
            && (!self.failed || !up)
            && self
                .address
                .as_ref()
                .is_none_or(|address| *address == peer.address)
            && self.asn.is_none_or(|asn| asn == peer.remote_as)
            && self
                .external
                .is_none_or(|external| external == peer.external)
    }
}

/// How much is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) terse: bool,
    pub(crate) wide: bool,
}

/// The summary of one family.
pub(crate) struct Summary<'a> {
    view: View<'a>,
    family: Family,
    filter: &'a PeerFilter,
    /// Peers that are active in the family.
    peers: Vec<(&'a v1::Peer, &'a v1::PeerFamily)>,
}

impl<'a> Summary<'a> {
    pub(crate) fn new(
        view: View<'a>,
        family: Family,
        peers: &'a [v1::Peer],
        filter: &'a PeerFilter,
    ) -> Self {
        let peers = peers
            .iter()
            .filter_map(|peer| peer_family(peer, family).map(|found| (peer, found)))
            .collect();
        Self {
            view,
            family,
            filter,
            peers,
        }
    }

    /// Whether no peer is configured for the family.
    pub(crate) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    fn listed(&self) -> impl Iterator<Item = (&'a v1::Peer, &'a v1::PeerFamily)> + '_ {
        self.peers
            .iter()
            .copied()
            .filter(|(peer, _)| self.filter.admits(peer))
    }

    fn table(&self) -> v1::TableInfo {
        let api = self.family.api() as i32;
        self.view
            .global
            .tables
            .iter()
            .find(|table| table.family == api)
            .copied()
            .unwrap_or_default()
    }

    fn peer_memory(&self) -> u64 {
        self.peers.iter().map(|(peer, _)| peer.memory_bytes).sum()
    }

    fn failed(&self) -> usize {
        self.listed()
            .filter(|(peer, _)| !is_established(peer))
            .count()
    }

    /// The family's title, for answers that cover several families.
    pub(crate) fn title(&self, out: &mut dyn Write) -> io::Result<()> {
        let instance = self.view.title();
        writeln!(out, "\n{} Summary ({instance}):", self.family.title())
    }

    /// Whether only failed peers were asked for and there is none.
    fn is_all_well(&self) -> bool {
        self.filter.failed && self.failed() == 0
    }

    /// The text, without the title.
    pub(crate) fn text(&self, out: &mut dyn Write, layout: Layout) -> io::Result<()> {
        if self.is_all_well() {
            return writeln!(out, "% No failed BGP neighbors found");
        }
        let global = self.view.global;
        writeln!(
            out,
            "BGP router identifier {}, local AS number {} vrf-id {}",
            global.router_id, global.asn, global.vrf_id
        )?;
        if !layout.terse {
            self.sizes(out)?;
        }
        let width = self
            .listed()
            .map(|(peer, _)| peer.address.len() + 1)
            .fold(NEIGHBOR_WIDTH, usize::max);
        write!(out, "\n{:width$}", "Neighbor")?;
        if self.filter.failed {
            writeln!(out, "EstdCnt DropCnt ResetTime Reason")?;
        } else {
            let local = if layout.wide { "    LocalAS" } else { "" };
            write!(out, "V         AS{local}   MsgRcvd   MsgSent   TblVer")?;
            writeln!(out, "  InQ OutQ  Up/Down State/PfxRcd   PfxSnt Desc")?;
        }
        let mut shown = 0;
        for (peer, family) in self.listed() {
            shown += 1;
            write!(out, "{:width$}", peer.address)?;
            if self.filter.failed {
                self.failed_row(out, peer)?;
            } else {
                self.row(out, peer, family, layout)?;
            }
        }
        writeln!(out)?;
        if self.filter.is_set() {
            writeln!(out, "Displayed neighbors {shown}")?;
        }
        writeln!(out, "Total number of neighbors {}", self.peers.len())
    }

    fn sizes(&self, out: &mut dyn Write) -> io::Result<()> {
        let table = self.table();
        let peers = self.peers.len();
        writeln!(out, "BGP table version {}", table.version)?;
        writeln!(
            out,
            "RIB entries {}, using {} of memory",
            table.prefixes,
            memory(table.memory_bytes)
        )?;
        writeln!(
            out,
            "Peers {peers}, using {} of memory",
            memory(self.peer_memory())
        )?;
        let groups = self.view.global.peer_groups.len();
        if groups > 0 {
            let bytes = (groups * PEER_GROUP_BYTES) as u64;
            writeln!(
                out,
                "Peer groups {groups}, using {} of memory",
                memory(bytes)
            )?;
        }
        if table.dampening.is_some() {
            writeln!(out, "Dampening enabled.")?;
        }
        Ok(())
    }

    fn row(
        &self,
        out: &mut dyn Write,
        peer: &v1::Peer,
        family: &v1::PeerFamily,
        layout: Layout,
    ) -> io::Result<()> {
        write!(out, "4 {:>10}", peer.remote_as)?;
        if layout.wide {
            write!(out, " {:>10}", peer.local_as)?;
        }
        let counts = |counts: &Option<v1::MessageCounts>| counts.map_or(0, |counts| counts.total);
        write!(
            out,
            " {:>9} {:>9} {:>8} {:>4} {:>4} {:>8}",
            counts(&peer.received),
            counts(&peer.sent),
            family.table_version,
            0,
            peer.out_queue,
            self.view.clock.interval(peer.established_ms)
        )?;
        if !is_established(peer) {
            write!(out, " {:>12} {:>8}", summary_state(peer), 0)?;
        } else {
            if family.inbound_policy_missing {
                write!(out, " {:>12}", "(Policy)")?;
            } else {
                write!(out, " {:>12}", family.accepted)?;
            }
            if family.outbound_policy_missing {
                write!(out, " {:>8}", "(Policy)")?;
            } else {
                write!(out, " {:>8}", family.sent)?;
            }
        }
        let limit = if layout.wide {
            WIDE_DESCRIPTION
        } else {
            DESCRIPTION
        };
        let description = shortened(&peer.description, limit);
        writeln!(
            out,
            " {}",
            if description.is_empty() {
                "N/A"
            } else {
                description
            }
        )
    }

    fn failed_row(&self, out: &mut dyn Write, peer: &v1::Peer) -> io::Result<()> {
        writeln!(
            out,
            "{:>7} {:>7} {:>9} {}",
            peer.connections_established,
            peer.connections_dropped,
            self.view.clock.interval(peer.established_ms),
            LastReset::of(self.view, peer).text(peer)
        )
    }

    /// The JSON object of the family.
    pub(crate) fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.is_all_well() {
            let none = json!({
                "failedPeersCount": 0, "dynamicPeers": 0, "totalPeers": self.peers.len(),
            });
            pretty(out, &none, 0, Slashes::Plain)?;
            return writeln!(out);
        }
        let global = self.view.global;
        let table = self.table();
        let mut document = json!({
            "routerId": global.router_id,
            "as": global.asn,
            "vrfId": self.view.global.vrf_id,
            "vrfName": self.view.name(),
            "tableVersion": table.version,
            "ribCount": table.prefixes,
            "ribMemory": table.memory_bytes,
            "peerCount": self.peers.len(),
            "peerMemory": self.peer_memory(),
        });
        let groups = global.peer_groups.len();
        if groups > 0 {
            document["peerGroupCount"] = json!(groups);
            document["peerGroupMemory"] = json!(groups * PEER_GROUP_BYTES);
        }
        if table.dampening.is_some() {
            document["dampeningEnabled"] = json!(true);
        }
        let mut peers = Map::new();
        for (peer, family) in self.listed() {
            let entry = if self.filter.failed {
                self.failed_json(peer)
            } else {
                self.peer_json(peer, family)
            };
            peers.insert(peer.address.clone(), entry);
        }
        let shown = if self.filter.failed {
            self.peers.len()
        } else {
            peers.len()
        };
        document["peers"] = Value::Object(peers);
        let failed = if self.filter.established {
            self.peers
                .iter()
                .filter(|(peer, _)| !is_established(peer))
                .count()
        } else {
            self.failed()
        };
        document["failedPeers"] = json!(failed);
        document["displayedPeers"] = json!(shown);
        document["totalPeers"] = json!(self.peers.len());
        document["dynamicPeers"] = json!(0);
        if !self.filter.failed {
            // Text, not a boolean: FRR's readers expect it so.
            document["bestPath"] = json!({"multiPathRelax": global.multipath_relax.to_string()});
        }
        pretty(out, &document, 0, Slashes::Plain)?;
        writeln!(out)
    }

    fn peer_json(&self, peer: &v1::Peer, family: &v1::PeerFamily) -> Value {
        let up = is_established(peer);
        let mut entry = Map::new();
        if !peer.hostname.is_empty() {
            entry.insert("hostname".into(), json!(peer.hostname));
        }
        entry.insert("remoteAs".into(), json!(peer.remote_as));
        entry.insert("localAs".into(), json!(peer.local_as));
        entry.insert("version".into(), json!(4));
        entry.insert(
            "msgRcvd".into(),
            json!(peer.received.map_or(0, |counts| counts.total)),
        );
        entry.insert(
            "msgSent".into(),
            json!(peer.sent.map_or(0, |counts| counts.total)),
        );
        entry.insert("tableVersion".into(), json!(family.table_version));
        entry.insert("outq".into(), json!(peer.out_queue));
        entry.insert("inq".into(), json!(0));
        self.uptime_json(&mut entry, peer, true);
        let shown = |count: u64, held_back: bool| if up && !held_back { count } else { 0 };
        let received = shown(family.accepted, family.inbound_policy_missing);
        entry.insert("pfxRcd".into(), json!(received));
        let sent = shown(family.sent, family.outbound_policy_missing);
        entry.insert("pfxSnt".into(), json!(sent));
        entry.insert("state".into(), json!(summary_state(peer)));
        entry.insert("peerState".into(), json!(peer_state(peer, family)));
        entry.insert(
            "connectionsEstablished".into(),
            json!(peer.connections_established),
        );
        entry.insert("connectionsDropped".into(), json!(peer.connections_dropped));
        if !peer.description.is_empty() {
            entry.insert("desc".into(), json!(peer.description));
        }
        entry.insert("idType".into(), json!(afi_of(&peer.address)));
        Value::Object(entry)
    }

    fn uptime_json(&self, entry: &mut Map<String, Value>, peer: &v1::Peer, with_epoch: bool) {
        let clock = self.view.clock;
        let since = peer.established_ms;
        let elapsed = if since == 0 {
            0
        } else {
            clock.seconds_since(since) * 1000
        };
        entry.insert("peerUptime".into(), json!(clock.interval(since)));
        entry.insert("peerUptimeMsec".into(), json!(elapsed));
        if since != 0 && with_epoch {
            entry.insert("peerUptimeEstablishedEpoch".into(), json!(since / 1000));
        }
    }

    fn failed_json(&self, peer: &v1::Peer) -> Value {
        let mut entry = Map::new();
        entry.insert(
            "connectionsEstablished".into(),
            json!(peer.connections_established),
        );
        entry.insert("connectionsDropped".into(), json!(peer.connections_dropped));
        self.uptime_json(&mut entry, peer, true);
        let reset = LastReset::of(self.view, peer);
        entry.insert("lastResetDueTo".into(), json!(reset.reason));
        entry.insert("lastResetCode".into(), json!(reset.code));
        entry.insert("idType".into(), json!(afi_of(&peer.address)));
        Value::Object(entry)
    }
}

/// The state, with the administrator's word on it.
fn summary_state(peer: &v1::Peer) -> &'static str {
    if peer.admin_down {
        "Idle (Admin)"
    } else {
        state_name(peer)
    }
}

fn peer_state(peer: &v1::Peer, family: &v1::PeerFamily) -> &'static str {
    if peer.admin_down {
        "Admin"
    } else if family.inbound_policy_missing || family.outbound_policy_missing {
        "Policy"
    } else {
        "OK"
    }
}

/// When and why the session went down the last time.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastReset<'a> {
    /// Milliseconds since the epoch; 0 = never.
    pub(super) at_ms: u64,
    pub(super) reason: &'a str,
    /// FRR's number of the reason.
    pub(super) code: u32,
}

impl<'a> LastReset<'a> {
    /// A peer that was shut from the start counts as reset by that, as FRR
    /// has it.
    pub(super) fn of(view: View<'_>, peer: &'a v1::Peer) -> Self {
        const ADMIN_SHUTDOWN: u32 = 11;
        if peer.admin_down && peer.last_reset_ms == 0 {
            return Self {
                at_ms: view.global.started_ms,
                reason: "Admin. shutdown",
                code: ADMIN_SHUTDOWN,
            };
        }
        Self {
            at_ms: peer.last_reset_ms,
            reason: &peer.last_reset_reason,
            code: peer.last_reset_code,
        }
    }

    /// The reason, or the NOTIFICATION if one did it.
    pub(super) fn text(&self, peer: &v1::Peer) -> String {
        if peer.last_notification.is_empty() {
            return self.reason.to_owned();
        }
        let way = if peer.last_notification_sent {
            "sent"
        } else {
            "received"
        };
        format!("Notification {way} ({})", peer.last_notification)
    }
}

/// A `text` of `limit` bytes or more, cut at the end of a word if there is one.
fn shortened(text: &str, limit: usize) -> &str {
    if text.len() < limit {
        return text;
    }
    let end = (0..=limit)
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0);
    let head = &text[..end];
    head.rfind(' ').map_or(head, |blank| &head[..blank])
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn descriptions_are_cut_at_words() {
        assert_eq!(shortened("leaf-uplink", 20), "leaf-uplink");
        assert_eq!(shortened("a rather long description", 20), "a rather long");
        assert_eq!(shortened("nobody listens there", 20), "nobody listens");
        assert_eq!(
            shortened("aaaaaaaaaaaaaaaaaaaaaaaaaaa", 20),
            "aaaaaaaaaaaaaaaaaaaa"
        );
        assert_eq!(shortened("äöüäöüäöüäöüäöü", 5), "äö");
    }
}
