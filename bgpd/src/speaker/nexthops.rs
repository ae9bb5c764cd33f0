//! Next hops as they are shown: what the table knows of each, and by which way
//! the kernel reaches it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use holdfast_api::v1;
use holdfast_config::model::{PeerKind, Shutdown};
use holdfast_fib::{KernelView, Resolution, TrackKey};
use holdfast_rib::NextHopState;

use super::Speaker;
use super::SpeakerError;
use super::core::{Core, is_link_local};
use super::peers::Peer;
use super::request::Request;

/// A next hop of paths, or the address of a neighbor that is not shut down.
#[derive(Debug, Clone)]
pub(super) struct KnownNextHop {
    key: TrackKey,
    /// What the table goes by; none for a neighbor's address that no path has
    /// as next hop.
    tracked: Option<Option<NextHopState>>,
    paths: usize,
    neighbor: bool,
    must_be_connected: bool,
    last_update_ms: u64,
}

impl Core {
    /// All that are known, or one.
    pub(super) fn next_hops(&self, wanted: Option<IpAddr>) -> Vec<KnownNextHop> {
        let mut known: BTreeMap<IpAddr, KnownNextHop> = BTreeMap::new();
        for tracked in self.rib.next_hops() {
            let peers = tracked.users.iter();
            let mut peers = peers.filter_map(|(id, _)| self.peer_by_id(*id));
            let changed = self.next_hop_changed_ms.get(&tracked.addr);
            let next_hop = KnownNextHop {
                key: self.track_key(tracked.addr),
                tracked: Some(tracked.state),
                paths: tracked.users.iter().map(|(_, paths)| paths).sum(),
                neighbor: false,
                must_be_connected: peers.any(must_be_connected),
                last_update_ms: changed.copied().unwrap_or(self.started_ms),
            };
            known.insert(tracked.addr, next_hop);
        }
        let wanted_up = |peer: &&Peer| matches!(peer.settings.shutdown, Shutdown::Off);
        for peer in self.peers.values().filter(wanted_up) {
            let address = peer.settings.address;
            let entry = known.entry(address).or_insert_with(|| KnownNextHop {
                key: TrackKey {
                    address,
                    ifindex: peer.shared_ifindex().filter(|_| is_link_local(address)),
                },
                tracked: None,
                paths: 0,
                neighbor: true,
                must_be_connected: false,
                last_update_ms: established_ms(peer).unwrap_or(self.started_ms),
            });
            entry.neighbor = true;
            entry.must_be_connected |= must_be_connected(peer);
        }
        match wanted {
            None => known.into_values().collect(),
            Some(address) => known.remove(&address).into_iter().collect(),
        }
    }
}

/// Whether the neighbor, and what it names as next hop, is reached without a
/// router in between or not at all.
fn must_be_connected(peer: &Peer) -> bool {
    let settings = &peer.settings;
    settings.remote.kind != PeerKind::Internal
        && settings.ebgp_multihop.is_none_or(|hops| hops <= 1)
        && !settings.disable_connected_check
}

fn established_ms(peer: &Peer) -> Option<u64> {
    let shown = peer.session.status.shown();
    Some(shown.established_ms).filter(|at| *at > 0)
}

impl Speaker {
    /// Next hops of paths and addresses of neighbors that are not shut down, IPv4
    /// first, by address.
    ///
    /// # Errors
    /// The address is none, [`SpeakerError::NoInstance`] or
    /// [`SpeakerError::Stopped`].
    pub async fn next_hops(
        &self,
        request: &v1::ListNextHopsRequest,
    ) -> Result<Vec<v1::NextHop>, SpeakerError> {
        let bad = |_| SpeakerError::BadPrefix(request.address.clone());
        let wanted = match request.address.as_str() {
            "" => None,
            text => Some(text.parse::<IpAddr>().map_err(bad)?),
        };
        let speaker = self.named(&request.instance);
        let known = speaker.ask(|answer| Request::NextHops(wanted, answer));
        let known = known.await?;
        let view = self.fib.view();
        let door = speaker.door()?;
        if door.name.is_view() {
            // Nobody resolves anything for it.
            return Ok(known.iter().map(|k| next_hop(k, None, &view)).collect());
        }
        let keys = known.iter().map(|known| known.key).collect();
        let found = door.fib.resolve(keys).await?;
        let rows = known.iter().zip(&found);
        Ok(rows.map(|(k, f)| next_hop(k, f.as_ref(), &view)).collect())
    }
}

fn next_hop(
    known: &KnownNextHop,
    found: Option<&Arc<Resolution>>,
    view: &KernelView,
) -> v1::NextHop {
    let state = match known.tracked {
        Some(state) => state,
        None => found.map(|found| NextHopState::new(found.metric, found.connected)),
    };
    let state = state.filter(|state| state.connected || !known.must_be_connected);
    let found = found.filter(|_| state.is_some());
    v1::NextHop {
        address: known.key.address.to_string(),
        valid: state.is_some(),
        metric: state.map_or(0, |state| state.metric),
        paths: known.paths as u64,
        neighbor: known.neighbor,
        must_be_connected: known.must_be_connected,
        via: found
            .and_then(|found| found.via)
            .map(|via| via.to_string())
            .unwrap_or_default(),
        protocol: found.map(|found| protocol(found)).unwrap_or_default(),
        ways: found.map(|found| ways(found, view)).unwrap_or_default(),
        last_update_ms: known.last_update_ms,
    }
}

fn ways(found: &Resolution, view: &KernelView) -> Vec<v1::NextHopWay> {
    let way = |hop: &holdfast_fib::KernelHop| v1::NextHopWay {
        gateway: hop.gateway.map(|g| g.to_string()).unwrap_or_default(),
        ifindex: hop.ifindex,
        interface: view
            .interface(hop.ifindex)
            .map(|interface| interface.name.clone())
            .unwrap_or_default(),
        weight: hop.weight.into(),
    };
    found.multipath.iter().map(way).collect()
}

/// zebra's word for who made the route (`RTPROT_*`).
fn protocol(found: &Resolution) -> String {
    if found.connected {
        return "connected".to_owned();
    }
    let word = match found.protocol {
        // Of staticd; what others call static is the kernel's to zebra.
        196 => "static",
        186 => "bgp",
        187 => "isis",
        188 => "ospf",
        189 | 190 => "rip",
        192 => "eigrp",
        42 => "babel",
        _ => "kernel",
    };
    word.to_owned()
}
