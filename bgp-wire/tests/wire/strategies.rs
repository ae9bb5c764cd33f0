//! Random messages and sessions that the codec must carry unchanged.

use std::net::{Ipv4Addr, Ipv6Addr};

use bgp_wire::family::AfiSafi;
use bgp_wire::{
    AddPathMode, AddressFamily, Aggregator, Aigp, Announcement, AsPath, Capability, CodecContext,
    Community, ExtendedCommunity, Family, FamilySet, GracefulRestart, Ipv6ExtendedCommunity,
    LargeCommunity, LongLivedFamily, Message, NextHop, Nlri, Notification, Open, Origin,
    PartialBits, PathAttributes, PeerKind, Prefixes, RawAttribute, Role, RouteRefresh,
    RouteRefreshKind, Segment, SegmentKind, Update, V4, V6,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

// ===== sessions =====

fn families() -> impl Strategy<Value = FamilySet> {
    any::<(bool, bool)>().prop_map(|(v4, v6)| {
        let chosen = [(v4, Family::Ipv4Unicast), (v6, Family::Ipv6Unicast)];
        chosen.into_iter().filter(|c| c.0).map(|c| c.1).collect()
    })
}

/// A session that speaks to itself: what is sent is received the same way.
pub(crate) fn contexts() -> impl Strategy<Value = CodecContext> {
    let kinds = prop_oneof![Just(PeerKind::External), Just(PeerKind::Internal)];
    let bits = any::<(bool, bool, bool)>();
    (kinds, bits, families()).prop_map(|(peer_kind, (four, long, enhe), add_path)| CodecContext {
        peer_kind,
        four_octet_as: four,
        extended_message: long,
        families: Family::ALL.into_iter().collect(),
        add_path_receive: add_path,
        add_path_send: add_path,
        extended_next_hop: [Family::Ipv4Unicast].into_iter().filter(|_| enhe).collect(),
    })
}

// ===== attributes =====

/// Segments outside of a confederation; paths of eBGP have no others.
pub(crate) fn as_paths() -> impl Strategy<Value = AsPath> {
    let kinds = prop_oneof![Just(SegmentKind::Sequence), Just(SegmentKind::Set)];
    let asn = prop_oneof![1..=70_000u32, 1..=u32::MAX];
    let segment = (kinds, vec(asn, 1..6)).prop_map(|(kind, asns)| Segment { kind, asns });
    vec(segment, 0..4).prop_map(|segments| canonical(&AsPath::from_segments(segments)))
}

/// A path through an old speaker comes back with neighbouring sequences as
/// they were only where nothing had to be joined: join them before.
fn canonical(path: &AsPath) -> AsPath {
    let mut segments: Vec<Segment> = Vec::new();
    for segment in path.segments() {
        match segments.last_mut() {
            Some(last) if last.kind == segment.kind && last.kind == SegmentKind::Sequence => {
                last.asns.extend_from_slice(segment.asns);
            }
            _ => segments.push(Segment {
                kind: segment.kind,
                asns: segment.asns.to_vec(),
            }),
        }
    }
    AsPath::from_segments(segments)
}

fn origins() -> impl Strategy<Value = Origin> {
    prop_oneof![
        Just(Origin::Igp),
        Just(Origin::Egp),
        Just(Origin::Incomplete)
    ]
}

fn aggregators() -> impl Strategy<Value = Aggregator> {
    let asn = prop_oneof![1..=65_535u32, 65_536..=u32::MAX];
    (asn, any::<Ipv4Addr>()).prop_map(|(asn, id)| Aggregator { asn, id })
}

fn unknown() -> impl Strategy<Value = Vec<RawAttribute>> {
    let code = prop_oneof![Just(11u8), Just(20), 40..=255u8];
    btree_map(code, vec(any::<u8>(), 0..300), 0..3).prop_map(|map| {
        let raw = map.into_iter().map(|(code, value)| RawAttribute {
            flags: 0xe0,
            code,
            value,
        });
        raw.collect()
    })
}

/// With TLVs of unknown types and further AIGP TLVs behind the first.
pub(crate) fn aigps() -> impl Strategy<Value = Aigp> {
    let unknown = (2..=255u8, vec(any::<u8>(), 0..9)).prop_map(|(kind, value)| {
        let header = [kind, 0, value.len() as u8 + 3];
        [&header[..], &value].concat()
    });
    let further = any::<u64>().prop_map(|m| [&[1, 0, 11][..], &m.to_be_bytes()].concat());
    let metric = prop_oneof![0..1000u64, 0..u64::MAX];
    (metric, vec(prop_oneof![unknown, further], 0..3)).prop_map(|(metric, others)| Aigp {
        metric,
        others: others.concat(),
    })
}

type Numbers = (
    Option<u32>,
    Option<u32>,
    bool,
    Option<Ipv4Addr>,
    Option<u32>,
);
type Lists = (
    Vec<u32>,
    Vec<Ipv4Addr>,
    Vec<[u8; 8]>,
    Vec<[u8; 20]>,
    Vec<(u32, u32, u32)>,
);

fn numbers() -> impl Strategy<Value = Numbers> {
    let otc = option::of(1..=u32::MAX);
    (
        any::<Option<u32>>(),
        any::<Option<u32>>(),
        any::<bool>(),
        any::<Option<Ipv4Addr>>(),
        otc,
    )
}

fn lists() -> impl Strategy<Value = Lists> {
    (
        vec(any::<u32>(), 0..80),
        vec(any::<Ipv4Addr>(), 0..4),
        vec(any::<[u8; 8]>(), 0..4),
        vec(any::<[u8; 20]>(), 0..3),
        vec(any::<(u32, u32, u32)>(), 0..4),
    )
}

/// Attributes of a route that a peer of this kind may send.
pub(crate) fn attributes(peer_kind: PeerKind) -> impl Strategy<Value = PathAttributes> {
    let parts = (
        origins(),
        as_paths(),
        option::of(aggregators()),
        numbers(),
        lists(),
        unknown(),
        any::<bool>(),
        option::of(aigps()),
    );
    parts.prop_map(
        move |(origin, as_path, aggregator, numbers, lists, unknown, partial, aigp)| {
            let (med, local_pref, atomic_aggregate, originator_id, only_to_customer) = numbers;
            let (communities, clusters, extended, ipv6, mut large) = lists;
            large.sort();
            large.dedup();
            let internal = peer_kind == PeerKind::Internal;
            let mut bits = PartialBits::default();
            if partial && !communities.is_empty() {
                bits.insert(8);
            }
            PathAttributes {
                origin,
                as_path,
                next_hop: None,
                med,
                local_pref: internal.then_some(local_pref.unwrap_or(100)),
                atomic_aggregate,
                aggregator,
                communities: communities.into_iter().map(Community).collect(),
                originator_id: originator_id.filter(|_| internal),
                cluster_list: clusters.into_iter().filter(|_| internal).collect(),
                extended_communities: extended.into_iter().map(ExtendedCommunity).collect(),
                ipv6_extended_communities: ipv6.into_iter().map(Ipv6ExtendedCommunity).collect(),
                aigp,
                large_communities: large
                    .into_iter()
                    .map(|(a, b, c)| LargeCommunity::new(a, b, c))
                    .collect(),
                only_to_customer,
                unknown,
                partial: bits,
            }
        },
    )
}

// ===== prefixes and next hops =====

/// Prefixes of a family, with identifiers where the session has them.
pub(crate) fn nlri<F: AddressFamily>(
    count: impl Into<proptest::collection::SizeRange>,
    add_path: bool,
) -> impl Strategy<Value = Vec<Nlri<F::Prefix>>> {
    let one = (any::<u32>(), any::<[u8; 16]>(), 0..=F::MAX_LEN);
    let one = one.prop_map(move |(id, octets, len)| Nlri {
        path_id: if add_path { id } else { 0 },
        prefix: F::from_wire(&octets, len).expect("a possible length"),
    });
    vec(one, count)
}

fn next_hop_v4() -> impl Strategy<Value = NextHop> {
    (1..=126u8, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| NextHop::V4([a, b, c, d].into()))
}

pub(crate) fn next_hop_v6() -> impl Strategy<Value = NextHop> {
    let link_local = any::<u64>().prop_map(|id| Ipv6Addr::from((0xfe80 << 112) | u128::from(id)));
    let global = any::<u64>().prop_map(|id| Ipv6Addr::from((0x2001_0db8 << 96) | u128::from(id)));
    (global, option::of(link_local))
        .prop_map(|(global, link_local)| NextHop::V6 { global, link_local })
}

/// An announcement that the session can carry.
pub(crate) fn announcement(ctx: CodecContext) -> BoxedStrategy<Announcement> {
    let add_path = |family| ctx.add_path_send.contains(family);
    let v4 = nlri::<V4>(1..40, add_path(Family::Ipv4Unicast))
        .prop_map(Prefixes::V4)
        .boxed();
    let v6 = nlri::<V6>(1..40, add_path(Family::Ipv6Unicast)).prop_map(Prefixes::V6);
    let make = |(next_hop, prefixes)| Announcement { next_hop, prefixes };
    let classic = (next_hop_v4(), v4.clone()).prop_map(make).boxed();
    let ipv6 = (next_hop_v6(), v6).prop_map(make).boxed();
    if ctx.extended_next_hop.contains(Family::Ipv4Unicast) {
        let mixed = (next_hop_v6(), v4).prop_map(make);
        return prop_oneof![classic, ipv6, mixed].boxed();
    }
    prop_oneof![classic, ipv6].boxed()
}

// ===== messages =====

fn updates(ctx: CodecContext) -> BoxedStrategy<Update> {
    let add_path = |family| ctx.add_path_send.contains(family);
    let v4 = nlri::<V4>(0..20, add_path(Family::Ipv4Unicast)).prop_map(Prefixes::V4);
    let v6 = nlri::<V6>(0..20, add_path(Family::Ipv6Unicast)).prop_map(Prefixes::V6);
    let announced = option::of((announcement(ctx), attributes(ctx.peer_kind)));
    (v4, v6, announced)
        .prop_map(|(v4, v6, announced)| {
            let withdrawn = [v4, v6].into_iter().filter(|p| !p.is_empty()).collect();
            let (announced, attributes) = match announced {
                Some((announcement, attributes)) => (vec![announcement], attributes),
                None => (Vec::new(), PathAttributes::default()),
            };
            Update {
                withdrawn,
                announced,
                attributes,
                ..Update::default()
            }
        })
        .prop_filter("an UPDATE without content is another message", |update| {
            !update.withdrawn.is_empty() || !update.announced.is_empty()
        })
        .boxed()
}

fn afi_safis() -> impl Strategy<Value = AfiSafi> {
    any::<(u16, u8)>().prop_map(|(afi, safi)| AfiSafi { afi, safi })
}

fn capabilities() -> impl Strategy<Value = Capability> {
    let modes = prop_oneof![
        Just(AddPathMode::Receive),
        Just(AddPathMode::Send),
        Just(AddPathMode::Both)
    ];
    let restart = (
        any::<(bool, bool)>(),
        0..4096u16,
        vec((afi_safis(), any::<bool>()), 0..4),
    );
    let long_lived = (afi_safis(), any::<bool>(), 0..1u32 << 24);
    let names = ("[a-z0-9-]{0,20}", "[a-z0-9.]{0,20}");
    prop_oneof![
        afi_safis().prop_map(Capability::Multiprotocol),
        Just(Capability::RouteRefresh),
        vec((afi_safis(), any::<u16>()), 0..4).prop_map(Capability::ExtendedNextHop),
        Just(Capability::ExtendedMessage),
        (0..5u8).prop_map(|r| Capability::Role(Role::from_wire(r).expect("a role"))),
        restart.prop_map(
            |((restarting, notification), restart_time_secs, families)| {
                Capability::GracefulRestart(GracefulRestart {
                    restarting,
                    notification,
                    restart_time_secs,
                    families,
                })
            }
        ),
        (1..=u32::MAX).prop_map(Capability::FourOctetAs),
        vec((afi_safis(), modes), 0..4).prop_map(Capability::AddPath),
        Just(Capability::EnhancedRouteRefresh),
        vec(long_lived, 0..3).prop_map(|list| {
            let families = list
                .into_iter()
                .map(|(family, preserved, secs)| LongLivedFamily {
                    family,
                    forwarding_preserved: preserved,
                    stale_time_secs: secs,
                });
            Capability::LongLivedGracefulRestart(families.collect())
        }),
        names.prop_map(|(hostname, domain)| Capability::Fqdn { hostname, domain }),
        (80..=255u8, vec(any::<u8>(), 0..=255))
            .prop_map(|(code, value)| Capability::Unknown { code, value }),
    ]
}

pub(crate) fn opens() -> impl Strategy<Value = Open> {
    let hold = prop_oneof![Just(0u16), 3..=u16::MAX];
    (1..=u16::MAX, hold, 1..=u32::MAX, vec(capabilities(), 0..10)).prop_map(
        |(my_as, hold_time_secs, id, capabilities)| Open {
            version: 4,
            my_as,
            hold_time_secs,
            bgp_id: Ipv4Addr::from(id),
            capabilities,
        },
    )
}

pub(crate) fn notifications() -> impl Strategy<Value = Notification> {
    (any::<u8>(), any::<u8>(), vec(any::<u8>(), 0..300))
        .prop_map(|(code, subcode, data)| Notification::new(code, subcode, data))
}

fn route_refreshes() -> impl Strategy<Value = RouteRefresh> {
    let kinds = prop_oneof![
        Just(RouteRefreshKind::Request),
        Just(RouteRefreshKind::Begin),
        Just(RouteRefreshKind::End),
        (3..=255u8).prop_map(RouteRefreshKind::Unknown),
    ];
    (afi_safis(), kinds).prop_map(|(family, kind)| RouteRefresh { family, kind })
}

/// Messages that a session can carry.
pub(crate) fn messages_of(ctx: CodecContext) -> BoxedStrategy<Message> {
    let families = prop_oneof![Just(Family::Ipv4Unicast), Just(Family::Ipv6Unicast)];
    let markers = families.prop_map(|f| Message::Update(Box::new(Update::end_of_rib(f))));
    prop_oneof![
        2 => opens().prop_map(Message::Open),
        6 => updates(ctx).prop_map(|u| Message::Update(Box::new(u))),
        1 => markers,
        1 => notifications().prop_map(Message::Notification),
        1 => Just(Message::Keepalive),
        1 => route_refreshes().prop_map(Message::RouteRefresh),
    ]
    .boxed()
}

/// A session and a message that it can carry.
pub(crate) fn messages() -> impl Strategy<Value = (CodecContext, Message)> {
    contexts().prop_flat_map(|ctx| (Just(ctx), messages_of(ctx)))
}
