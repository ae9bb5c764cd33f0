//! The keys of `[bgp.neighbor.X]` and `[bgp.peer-group.X]`.

use crate::model::{
    AddPathTx, AllowAsIn, EffectiveAf, EffectivePeer, NextHopSelf, PeerAf, PeerKind, PeerSettings,
    RemoteAs, Shutdown, UpdateSource,
};

use super::filter;
use super::instance::{read_timers, write_timers};
use super::keys::{Key, inline, quoted, read_table};
use super::reader::Item;

macro_rules! switch {
    ($name:literal, $field:ident, $doc:literal) => {
        Key {
            name: $name,
            doc: concat!($doc, ": true or false."),
            read: |settings, item| settings.$field = item.boolean(),
            write: |settings| settings.$field.map(|on| on.to_string()),
        }
    };
}

pub(super) const KEYS: &[Key<PeerSettings>] = &[
    Key {
        name: "remote-as",
        doc: "The AS of the peer: a number from 1 to 4294967295, \"internal\" for the local AS, \
              or \"external\" for any other.",
        read: |peer, item| peer.remote_as = read_remote_as(item),
        write: |peer| peer.remote_as.map(write_remote_as),
    },
    Key {
        name: "description",
        doc: "Text about the peer.",
        read: |peer, item| peer.description = item.text(),
        write: |peer| peer.description.as_ref().map(quoted),
    },
    Key {
        name: "timers",
        doc: "Timers of the peer: `{ keepalive-secs = 60, hold-secs = 180 }`.",
        read: |peer, item| peer.timers = read_timers(item),
        write: |peer| peer.timers.map(write_timers),
    },
    Key {
        name: "connect-retry-secs",
        doc: "Seconds between connection attempts, 1 to 65535.",
        read: |peer, item| peer.connect_retry_secs = item.number(1..=u16::MAX),
        write: |peer| peer.connect_retry_secs.map(|seconds| seconds.to_string()),
    },
    Key {
        name: "ebgp-multihop",
        doc: "How many hops away an external peer may be, 1 to 255; true is 255.",
        read: read_multihop,
        write: |peer| peer.ebgp_multihop.map(|hops| hops.to_string()),
    },
    Key {
        name: "update-source",
        doc: "Where connections to the peer start: an address or an interface.",
        read: |peer, item| {
            peer.update_source = item.text().map(|text| UpdateSource::from(text.as_str()));
        },
        write: |peer| peer.update_source.as_ref().map(quoted),
    },
    switch!("passive", passive, "Wait for the peer to connect"),
    Key {
        name: "shutdown",
        doc: "Keep the session down: true, false, or the text that is sent to the peer (RFC 9003).",
        read: read_shutdown,
        write: |peer| peer.shutdown.as_ref().map(write_shutdown),
    },
    Key {
        name: "password",
        doc: "TCP MD5 password (RFC 2385), 1 to 80 characters without blanks.",
        read: |peer, item| peer.password = item.text(),
        write: |peer| peer.password.as_ref().map(quoted),
    },
    Key {
        name: "port",
        doc: "TCP port of the peer, 1 to 65535.",
        read: |peer, item| peer.port = item.number(1..=u16::MAX),
        write: |peer| peer.port.map(|port| port.to_string()),
    },
    switch!(
        "extended-nexthop",
        extended_nexthop,
        "IPv4 routes with IPv6 next hops (RFC 8950)"
    ),
    switch!(
        "disable-connected-check",
        disable_connected_check,
        "Do not insist that an external peer is on a connected network"
    ),
    switch!(
        "aigp",
        aigp,
        "Accumulated IGP metrics from and to an external peer (RFC 7311)"
    ),
    switch!(
        "disable-link-bw-encoding-ieee",
        disable_link_bw_encoding_ieee,
        "Link bandwidth to and from the peer is an integer, not a float"
    ),
    Key {
        name: "ipv4-unicast",
        doc: "Settings for IPv4 unicast: a table, see `neighbor ipv4-unicast`.",
        read: |peer, item| read_table(AF, &mut peer.ipv4_unicast, item),
        write: |peer| inline(AF, &peer.ipv4_unicast),
    },
    Key {
        name: "ipv6-unicast",
        doc: "Settings for IPv6 unicast: a table, see `neighbor ipv6-unicast`.",
        read: |peer, item| read_table(AF, &mut peer.ipv6_unicast, item),
        write: |peer| inline(AF, &peer.ipv6_unicast),
    },
];

pub(super) const AF: &[Key<PeerAf>] = &[
    switch!("activate", activate, "Exchange routes of the family"),
    Key {
        name: "next-hop-self",
        doc: "Announce this router as the next hop: true, false, or \"force\" for reflected \
              routes too.",
        read: |af, item| af.next_hop_self = read_next_hop_self(item),
        write: |af| af.next_hop_self.map(write_next_hop_self),
    },
    switch!(
        "soft-reconfiguration-inbound",
        soft_reconfiguration_inbound,
        "Keep what the peer sent as it was before policy"
    ),
    switch!(
        "route-reflector-client",
        route_reflector_client,
        "Reflect routes to the peer"
    ),
    switch!(
        "route-server-client",
        route_server_client,
        "The peer is a client of this route server (RFC 7947)"
    ),
    switch!(
        "next-hop-unchanged",
        next_hop_unchanged,
        "Announce routes with the next hop they came with"
    ),
    Key {
        name: "allowas-in",
        doc: "How often the own AS may stand in the peer's routes: 1 to 10, or \"origin\" where \
              it is the one that originated them.",
        read: |af, item| af.allowas_in = read_allowas_in(item),
        write: |af| af.allowas_in.map(write_allowas_in),
    },
    Key {
        name: "weight",
        doc: "Weight of the peer's routes, 0 to 65535; the higher is preferred.",
        read: |af, item| af.weight = item.number(0..=u16::MAX),
        write: |af| af.weight.map(|weight| weight.to_string()),
    },
    Key {
        name: "addpath-tx",
        doc: "Which paths beside the best the peer gets (RFC 7911): \"all-paths\", or \
              \"best-per-as\" for the best of each neighboring AS.",
        read: |af, item| af.addpath_tx = item.one_of(&ADDPATH_TX),
        write: |af| af.addpath_tx.map(write_addpath_tx),
    },
    switch!(
        "disable-addpath-rx",
        disable_addpath_rx,
        "Do not offer to take several paths from the peer"
    ),
    filter::ROUTE_MAP,
    filter::PREFIX_LIST,
    filter::DISTRIBUTE_LIST,
    filter::FILTER_LIST,
    filter::UNSUPPRESS_MAP,
    filter::DEFAULT_ORIGINATE,
    filter::ADVERTISE_MAP,
    filter::PEER_DAMPENING,
    filter::SEND_COMMUNITY,
    filter::SEND_EXTENDED,
    filter::SEND_LARGE,
];

const ADDPATH_TX: [(&str, AddPathTx); 2] = [
    ("all-paths", AddPathTx::AllPaths),
    ("best-per-as", AddPathTx::BestPerAs),
];

fn write_addpath_tx(value: AddPathTx) -> String {
    let word = ADDPATH_TX.iter().find(|(_, known)| *known == value);
    quoted(word.map_or("", |(word, _)| word))
}

fn read_allowas_in(item: &mut Item<'_, '_, '_, '_>) -> Option<AllowAsIn> {
    match (item.as_number(&(1..=10)), item.as_text()) {
        (Some(times), _) => Some(AllowAsIn::Times(times)),
        (None, Some("origin")) => Some(AllowAsIn::Origin),
        _ => item.wrong(&["a number from 1 to 10", "\"origin\""]),
    }
}

fn write_allowas_in(value: AllowAsIn) -> String {
    match value {
        AllowAsIn::Times(times) => times.to_string(),
        AllowAsIn::Origin => quoted("origin"),
    }
}

fn read_remote_as(item: &mut Item<'_, '_, '_, '_>) -> Option<RemoteAs> {
    match (item.as_number(&(1..=u32::MAX)), item.as_text()) {
        (Some(asn), _) => Some(RemoteAs::Number(asn)),
        (_, Some("internal")) => Some(RemoteAs::Internal),
        (_, Some("external")) => Some(RemoteAs::External),
        _ => item.wrong(&[
            "a number from 1 to 4294967295",
            "\"internal\"",
            "\"external\"",
        ]),
    }
}

fn write_remote_as(remote_as: RemoteAs) -> String {
    match remote_as {
        RemoteAs::Number(asn) => asn.to_string(),
        RemoteAs::Internal | RemoteAs::External => quoted(remote_as),
    }
}

fn read_multihop(peer: &mut PeerSettings, item: &mut Item<'_, '_, '_, '_>) {
    peer.ebgp_multihop = match (item.as_bool(), item.as_number(&(1..=u8::MAX))) {
        (Some(true), _) => Some(u8::MAX),
        (None, Some(hops)) => Some(hops),
        _ => item.wrong(&["a number from 1 to 255", "true"]),
    };
}

fn read_shutdown(peer: &mut PeerSettings, item: &mut Item<'_, '_, '_, '_>) {
    peer.shutdown = match (item.as_bool(), item.as_text()) {
        (Some(false), _) => Some(Shutdown::Off),
        (Some(true), _) => Some(Shutdown::On { message: None }),
        (None, Some(message)) => Some(Shutdown::On {
            message: Some(message.to_owned()),
        }),
        (None, None) => item.wrong(&["true", "false", "a message in quotes"]),
    };
}

fn write_shutdown(shutdown: &Shutdown) -> String {
    match shutdown {
        Shutdown::Off => false.to_string(),
        Shutdown::On { message: None } => true.to_string(),
        Shutdown::On {
            message: Some(message),
        } => quoted(message),
    }
}

fn read_next_hop_self(item: &mut Item<'_, '_, '_, '_>) -> Option<NextHopSelf> {
    match (item.as_bool(), item.as_text()) {
        (Some(false), _) => Some(NextHopSelf::Off),
        (Some(true), _) => Some(NextHopSelf::On),
        (None, Some("force")) => Some(NextHopSelf::Force),
        _ => item.wrong(&["true", "false", "\"force\""]),
    }
}

fn write_next_hop_self(value: NextHopSelf) -> String {
    match value {
        NextHopSelf::Off => false.to_string(),
        NextHopSelf::On => true.to_string(),
        NextHopSelf::Force => quoted("force"),
    }
}

/// What a peer gets, as settings: for showing what is not set.
pub(super) fn concrete(peer: EffectivePeer) -> PeerSettings {
    let remote_as = match (peer.remote.asn, peer.remote.kind) {
        (Some(asn), _) => RemoteAs::Number(asn),
        (None, PeerKind::Internal) => RemoteAs::Internal,
        (None, PeerKind::External | PeerKind::Confederation) => RemoteAs::External,
    };
    PeerSettings {
        remote_as: Some(remote_as),
        description: peer.description,
        timers: Some(peer.timers),
        connect_retry_secs: Some(peer.connect_retry_secs),
        ebgp_multihop: peer.ebgp_multihop,
        update_source: peer.update_source,
        passive: Some(peer.passive),
        shutdown: Some(peer.shutdown),
        password: peer.password,
        port: Some(peer.port),
        extended_nexthop: Some(peer.extended_nexthop),
        disable_connected_check: Some(peer.disable_connected_check),
        aigp: Some(peer.aigp),
        disable_link_bw_encoding_ieee: Some(peer.disable_link_bw_encoding_ieee),
        ipv4_unicast: concrete_af(peer.ipv4_unicast),
        ipv6_unicast: concrete_af(peer.ipv6_unicast),
    }
}

fn concrete_af(af: EffectiveAf) -> PeerAf {
    PeerAf {
        activate: Some(af.activate),
        next_hop_self: Some(af.next_hop_self),
        soft_reconfiguration_inbound: Some(af.soft_reconfiguration_inbound),
        route_reflector_client: Some(af.route_reflector_client),
        route_server_client: Some(af.route_server_client),
        next_hop_unchanged: Some(af.next_hop_unchanged),
        allowas_in: af.allowas_in,
        weight: Some(af.weight),
        addpath_tx: af.addpath_tx,
        disable_addpath_rx: Some(!af.addpath_rx),
        policy: filter::concrete(af.policy),
    }
}
