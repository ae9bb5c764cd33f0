//! Answers as FRR 8.4.4 prints them, from the API's messages.
//!
//! Every function writes to a `Write` as it goes. Tables come as a stream of
//! chunks and are written chunk by chunk.

mod dampening;
mod fib;
mod json;
mod lists;
mod neighbor;
mod neighbor_json;
mod nexthop;
mod peer_group;
mod prefix;
mod route_map;
mod rpki;
mod summary;
mod table;
mod time;
mod trace;
mod update_group;
mod why;

pub(crate) use dampening::{FlapColumns, FlapTable, parameters, parameters_json};
pub(crate) use fib::{FibCounts, FibHead, FibTable, Vrf, fib_entry, fib_entry_json, fib_summary};
pub(crate) use json::{document, entries};
pub(crate) use lists::{
    ListStyle, PrefixQuestion, access_lists, access_lists_json, aliases, aliases_json,
    as_path_lists, as_path_lists_json, community_lists, prefix_list_entry, prefix_list_search,
    prefix_lists, prefix_lists_json,
};
pub(crate) use neighbor::neighbor;
pub(crate) use neighbor_json::neighbor_json;
pub(crate) use nexthop::{NextHopPath, next_hop, next_hops_json, tracked, tracked_json};
pub(crate) use peer_group::{peer_groups, peer_groups_json, vrfs};
pub(crate) use prefix::{PathFilter, prefix, prefix_json};
pub(crate) use route_map::{route_maps, route_maps_json};
pub(crate) use rpki::{
    RoaTable, rpki_connections, rpki_connections_json, rpki_servers, rpki_servers_json,
};
pub(crate) use summary::{Layout, PeerFilter, Summary};
pub(crate) use table::{RouteTable, Selection, TableStyle};
pub use time::Clock;
pub(crate) use trace::{trial, trial_json};
pub(crate) use update_group::{update_groups, update_groups_json};
pub(crate) use why::{why, why_json};

use holdfast_api::v1;

/// What all answers of one command share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) global: &'a v1::Global,
    pub(crate) clock: Clock,
}

impl View<'_> {
    /// The instance's name, as `vrfName` has it.
    pub(crate) fn name(&self) -> &str {
        match self.global.instance.as_str() {
            "" => "default",
            name => name,
        }
    }

    fn is_view(&self) -> bool {
        self.global.kind() == v1::InstanceKind::InstanceView
    }

    /// The instance in titles: `VRF default`, `VIEW RED`.
    pub(crate) fn title(&self) -> String {
        let kind = if self.is_view() { "VIEW" } else { "VRF" };
        format!("{kind} {}", self.name())
    }

    /// The table of a prefix: `table default`, `vrf RED`.
    pub(crate) fn table(&self) -> String {
        let kind = if self.global.instance.is_empty() || self.name() == "default" {
            "table"
        } else {
            "vrf"
        };
        format!("{kind} {}", self.name())
    }

    /// Whether the router is in a confederation (RFC 5065).
    pub(crate) fn is_confederation(self) -> bool {
        self.global.confederation_identifier != 0
    }
}

/// An address family that the shell knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const ALL: [Self; 2] = [Self::V4, Self::V6];

    pub(crate) fn api(self) -> v1::Family {
        match self {
            Self::V4 => v1::Family::Ipv4Unicast,
            Self::V6 => v1::Family::Ipv6Unicast,
        }
    }

    /// The family behind a number of the API, if it is one.
    pub(crate) fn from_api(family: i32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|known| known.api() as i32 == family)
    }

    /// `IPv4 Unicast`.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::V4 => "IPv4 Unicast",
            Self::V6 => "IPv6 Unicast",
        }
    }

    /// The family of an address or prefix, by the look of it.
    pub(crate) fn of(address: &str) -> Self {
        match address.contains(':') {
            true => Self::V6,
            false => Self::V4,
        }
    }

    /// `ipv4`.
    pub(crate) fn afi(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }

    /// `IPv4`.
    pub(crate) fn afi_title(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// `ipv4Unicast`.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::V4 => "ipv4Unicast",
            Self::V6 => "ipv6Unicast",
        }
    }
}

/// `ipv4` or `ipv6`, by the look of an address or prefix.
pub(crate) fn afi_of(address: &str) -> &'static str {
    if address.contains(':') {
        "ipv6"
    } else {
        "ipv4"
    }
}

/// A peer's or path's number of the family, if it is active there.
pub(crate) fn peer_family(peer: &v1::Peer, family: Family) -> Option<&v1::PeerFamily> {
    peer.families
        .iter()
        .find(|known| known.family == family.api() as i32 && known.active)
}

/// Whether the peer's session is up.
pub(crate) fn is_established(peer: &v1::Peer) -> bool {
    peer.state == v1::SessionState::Established as i32
}

/// The state machine's word for the state.
pub(crate) fn state_name(peer: &v1::Peer) -> &'static str {
    match v1::SessionState::try_from(peer.state) {
        Ok(v1::SessionState::Connect) => "Connect",
        Ok(v1::SessionState::Active) => "Active",
        Ok(v1::SessionState::OpenSent) => "OpenSent",
        Ok(v1::SessionState::OpenConfirm) => "OpenConfirm",
        Ok(v1::SessionState::Established) => "Established",
        Ok(v1::SessionState::Idle | v1::SessionState::Unspecified) | Err(_) => "Idle",
    }
}

/// What an entry does with what matches.
pub(crate) fn action_word(permit: bool) -> &'static str {
    match permit {
        true => "permit",
        false => "deny",
    }
}

/// A number of bytes, in the unit that FRR would choose.
pub(crate) fn memory(bytes: u64) -> String {
    let (mut mebi, mut kibi) = (bytes >> 20, bytes >> 10);
    if mebi > 10 {
        mebi += (bytes >> 19) & 1;
        format!("{mebi} MiB")
    } else if kibi > 10 {
        kibi += (bytes >> 9) & 1;
        format!("{kibi} KiB")
    } else if bytes == 1 {
        "1 byte".to_owned()
    } else {
        format!("{bytes} bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::memory;

    #[test]
    fn memory_is_rounded_to_the_unit() {
        assert_eq!(memory(0), "0 bytes");
        assert_eq!(memory(1), "1 byte");
        assert_eq!(memory(5376), "5376 bytes");
        assert_eq!(memory(1_482_928), "1448 KiB");
        assert_eq!(memory(5_190_248), "5069 KiB");
        assert_eq!(memory(20 << 20), "20 MiB");
    }
}
