//! A small world in which random events make sense: few peers, prefixes and
//! attributes, chosen so that they collide in every way that matters.

use std::net::{IpAddr, Ipv4Addr};

use bgp_wire::{
    Aigp, AsPath, Community, ExtendedCommunity, FamilySet, NextHop, Origin, PathAttributes,
};
use holdfast_rib::{
    AddPathSend, Aggregate, AggregatePolicy, AllowAsIn, FibAnswer, LinkBandwidth, LocalRoute,
    LocalSource, MaxPaths, NextHopState, PeerInfo, RibConfig,
};
use ipnet::IpNet;
use proptest::prelude::*;

use super::*;

pub const PEERS: u32 = 12;

pub const PREFIXES: [&str; 9] = [
    "0.0.0.0/0",
    "198.18.0.0/15",
    "198.18.0.0/16",
    "198.18.1.0/24",
    "198.18.2.0/24",
    "203.0.113.0/25",
    "2001:db8:100::/48",
    "2001:db8:100::/49",
    "2001:db8:200::/56",
];

const PATHS: [&str; 12] = [
    "65001",
    "65001 65010",
    "65002 65010",
    "65002",
    "65003 65010",
    "65001 65000",
    "",
    "65001 65002",
    "(65100) 65001",
    "(65101 65000)",
    "65000 65500",
    "(65500 65100)",
];

const HOPS: [&str; 11] = [
    "192.0.2.1",
    "192.0.2.2",
    "192.0.2.50",
    "198.51.100.7",
    "10.0.0.4",
    "192.0.2.100",
    "10.9.9.9",
    "127.0.0.1",
    "2001:db8::1",
    "2001:db8::2",
    "fe80::1",
];

#[derive(Debug, Clone)]
pub enum Event {
    Up(u32, u8, u8),
    Down(u32, u8),
    Announce(u32, Vec<(IpNet, u32)>, Box<PathAttributes>),
    Withdraw(u32, Vec<(IpNet, u32)>),
    NextHop(IpAddr, Option<NextHopState>),
    Originate(IpNet, Box<LocalRoute>),
    WithdrawLocal(IpNet, LocalSource),
    Config(u16),
    /// Other aggregates than before.
    Aggregates(u16),
    Own(bool),
    SetPolicy(u32, u8),
    /// A default route beside the table, of this MED.
    DefaultRoute(u32, Family, Option<u32>),
    SetPeer(u32, u8),
    /// Addresses of ours towards a peer come and go.
    OurSide(u32, u8),
    MarkStale(u32, Family),
    Sweep(u32, Family),
    EndOfRib(u32, Family),
    RefreshIn(u32),
    RefreshOut(u32, Family, bool),
    Export(u32, usize),
    TakeFib(usize),
    /// A member of a group lags behind.
    Isolate(u32, Family),
    /// Routes are to be written in another way.
    RepeatFib(Family),
    /// Peers are told what the kernel has, or what the table has.
    Gate(bool),
    /// The kernel takes batches of changes.
    KernelTakes(usize),
    /// It writes routes.
    KernelWrites(usize),
    /// Its answers are heard.
    KernelSays(usize),
    /// It takes no route of a prefix, or takes them again.
    Block(IpNet, Option<FibAnswer>),
    /// It loses a route.
    Lose(IpNet),
    /// Take everything there is to take.
    Settle,
}

/// Peers that differ little, so that they share their groups.
const ALIKE: [u32; 6] = [0, 7, 1, 4, 9, 5];

/// Those peers are up, and what they may announce as next hop is there.
pub fn alike_and_up() -> Vec<Event> {
    let ups = ALIKE.into_iter().map(|peer| Event::Up(peer, 0, 3));
    let hops = HOPS.into_iter();
    let hops = hops.map(|hop| Event::NextHop(ip(hop), state(1, true)));
    ups.chain(hops).collect()
}

impl Event {
    /// The event in a world where peers and policies hardly differ: one in which
    /// groups have several members that announce routes themselves.
    pub fn among_alike(mut self) -> Event {
        // Sessions last longer, so that groups come to rest.
        if let Event::Up(peer, variant, policy) = self
            && variant % 2 == 1
        {
            self = match variant % 4 {
                1 => Event::SetPolicy(peer, policy),
                _ => Event::Settle,
            };
        }
        let (peer, variant, policy) = match &mut self {
            Event::Up(peer, variant, policy) => (Some(peer), Some(variant), Some(policy)),
            Event::SetPolicy(peer, policy) => (Some(peer), None, Some(policy)),
            Event::SetPeer(peer, variant) => (Some(peer), Some(variant), None),
            Event::Down(peer, _)
            | Event::Announce(peer, ..)
            | Event::Withdraw(peer, _)
            | Event::MarkStale(peer, _)
            | Event::Sweep(peer, _)
            | Event::EndOfRib(peer, _)
            | Event::RefreshIn(peer)
            | Event::OurSide(peer, _)
            | Event::RefreshOut(peer, ..)
            | Event::DefaultRoute(peer, ..)
            | Event::Export(peer, _)
            | Event::Isolate(peer, _) => (Some(peer), None, None),
            _ => (None, None, None),
        };
        if let Some(peer) = peer {
            *peer = ALIKE[*peer as usize % ALIKE.len()];
        }
        if let Some(variant) = variant {
            // One in four is no client, and takes itself for the next hop.
            *variant = if *variant % 4 == 0 { 2 } else { 0 };
        }
        if let Some(policy) = policy {
            // 132 is a 0 and 134 a 2 in another allocation, 129 a 3.
            let other = *policy & 128 != 0;
            *policy = match (*policy % 6, other) {
                (0, false) => 0,
                (0, true) => 132,
                (1, false) => 2,
                (1, true) => 134,
                (_, false) => 3,
                (_, true) => 129,
            };
        }
        self
    }
}

/// What a peer is like; `variant` changes what may change.
pub fn peer(number: u32, variant: u8) -> PeerInfo {
    let mut info = match number {
        0 => external(65001, "192.0.2.1"),
        1 => PeerInfo {
            local_link_local: Some("fe80::100".parse().unwrap()),
            ..external(65001, "192.0.2.2")
        },
        2 => PeerInfo {
            ebgp_multihop: true,
            extended_next_hop: only(V4),
            shared_subnets: Vec::new(),
            local_v4: None,
            ..external(65002, "198.51.100.7")
        },
        3 => PeerInfo {
            next_hop_self: both(),
            ..client("10.0.0.3")
        },
        4 => client("10.0.0.4"),
        5 => internal("10.0.0.5"),
        // Like others, so that they share their groups.
        7 => external(65003, "192.0.2.50"),
        8 => PeerInfo {
            local_v4: Some(v4("203.0.113.100")),
            local_v6: Some("2001:db8:c::100".parse().unwrap()),
            shared_subnets: vec![net("203.0.113.0/24"), net("2001:db8:c::/64")],
            ..external(65004, "203.0.113.8")
        },
        9 => client("10.0.0.9"),
        10 => member(65100, "10.0.0.10"),
        11 => PeerInfo {
            next_hop_self: only(V4),
            ..member(65101, "10.0.0.11")
        },
        _ => PeerInfo {
            route_server_client: only(V4),
            ..external(65006, "2001:db8::6")
        },
    };
    if variant & 1 != 0 {
        info.families = only(V4);
    }
    if variant & 2 != 0 {
        info.router_id = Ipv4Addr::new(1, 1, 1, number as u8 % 2);
        info.next_hop_self_force = both();
        info.reflector_client = FamilySet::EMPTY;
        info.ipv4.allow_as_in = AllowAsIn::Times(1);
        info.ipv6.allow_as_in = AllowAsIn::Origin;
    }
    info.integer_bandwidth = [2, 9].contains(&number) != (variant & 4 != 0);
    info.aigp = [0, 2, 7].contains(&number) != (variant & 2 != 0);
    if variant & 4 != 0 {
        info.ipv4.weight = 7;
        info.ipv6.weight = 8;
        info.local_v6 = None;
        info.ebgp_multihop = !info.ebgp_multihop;
    }
    info.ipv4.next_hop_unchanged = variant & 24 == 8;
    info.ipv4.send_communities.standard = variant & 12 != 12;
    info.ipv6.send_communities.extended = variant & 10 != 10;
    (info.ipv4.add_path, info.ipv6.add_path) = match variant >> 4 & 7 {
        1 => (AddPathSend::All, AddPathSend::All),
        2 => (AddPathSend::BestPerAs, AddPathSend::All),
        3 => (AddPathSend::BestPerAs, AddPathSend::Best),
        _ => (AddPathSend::Best, AddPathSend::Best),
    };
    if variant & 192 == 192 && info.is_external() {
        info.route_server_client = both();
    }
    info
}

/// The peer with other addresses on our side; `bits` say which there are.
pub fn our_side(info: PeerInfo, bits: u8) -> PeerInfo {
    let has = |bit: u8| bits & 1 << bit != 0;
    PeerInfo {
        local_v4: has(0).then(|| v4("192.0.2.100")),
        local_v6: has(1).then(|| "2001:db8::100".parse().unwrap()),
        local_link_local: has(2).then(|| "fe80::1".parse().unwrap()),
        shared_subnets: match has(3) {
            true => vec![net("192.0.2.0/24"), net("2001:db8::/64")],
            false => Vec::new(),
        },
        ..info
    }
}

pub fn policy(number: u8) -> TestPolicy {
    match number % 6 {
        0 => TestPolicy::Deny,
        1 => TestPolicy::Rewrite {
            local_pref: 300,
            weight: 5,
        },
        2 => TestPolicy::DenyCommunity(Community(0xffde_0001)),
        _ => TestPolicy::Accept,
    }
}

pub fn config_variant(variant: u16) -> RibConfig {
    let paths = variant >> 4 & 3;
    let max = MaxPaths {
        ebgp: paths + 1,
        ibgp: paths,
        equal_cluster_length: false,
    };
    RibConfig {
        multipath_relax: variant & 1 != 0,
        always_compare_med: variant & 2 != 0,
        missing_as_worst: variant & 4 != 0,
        default_local_pref: if variant & 8 != 0 { 150 } else { 100 },
        cluster_id: (variant & 64 != 0).then_some(Ipv4Addr::new(10, 0, 0, 9)),
        max_paths_v4: max,
        max_paths_v6: max,
        client_to_client_reflection: variant & 256 == 0,
        as_path_confederation: variant & 512 != 0,
        as_path_ignore: variant & 3072 == 1024,
        peer_type_multipath_relax: variant & 4096 != 0,
        compare_aigp: variant & 8192 != 0,
        link_bandwidth: match variant >> 14 {
            0 => LinkBandwidth::WhenAll,
            1 => LinkBandwidth::Ignore,
            2 => LinkBandwidth::SkipMissing,
            _ => LinkBandwidth::DefaultWeight,
        },
        ..if variant & 128 != 0 {
            confederation()
        } else {
            config()
        }
    }
}

const AGGREGATES: [&str; 5] = [
    "198.18.0.0/15",
    "198.18.0.0/16",
    "198.18.0.0/22",
    "2001:db8:100::/48",
    "2001:db8::/32",
];

/// Three bits say what there is of each.
pub fn aggregates(bits: u16) -> Vec<(IpNet, Aggregate)> {
    let policy = |kind| Some(Arc::new(TestAggregatePolicy(kind)) as Arc<dyn AggregatePolicy>);
    let settings = |kind: u16| {
        let plain = Aggregate::default();
        Some(match kind {
            0 | 1 => return None,
            2 => plain,
            3 => Aggregate {
                summary_only: true,
                ..plain
            },
            4 => Aggregate {
                as_set: true,
                summary_only: true,
                ..plain
            },
            5 => Aggregate {
                matching_med_only: true,
                summary_only: true,
                ..plain
            },
            6 => Aggregate {
                policy: policy(0),
                ..plain
            },
            _ => Aggregate {
                as_set: true,
                origin: Some(Origin::Egp),
                policy: policy(1),
                ..plain
            },
        })
    };
    let kinds = AGGREGATES.iter().enumerate();
    kinds
        .filter_map(|(at, prefix)| Some((net(prefix), settings(bits >> (3 * at) & 7)?)))
        .collect()
}

pub fn own_addresses(yes: bool) -> Vec<IpAddr> {
    if yes {
        vec![ip("10.9.9.9"), ip("2001:db8::2")]
    } else {
        Vec::new()
    }
}

// ===== Strategies =====

fn a_prefix() -> impl Strategy<Value = IpNet> {
    (0..PREFIXES.len()).prop_map(|i| net(PREFIXES[i]))
}

/// Prefixes of one family with identifiers, each once.
fn some_prefixes() -> impl Strategy<Value = Vec<(IpNet, u32)>> {
    let id = prop_oneof![4 => Just(0u32), 1 => Just(1u32)];
    (a_prefix(), prop::collection::vec((a_prefix(), id), 1..4)).prop_map(|(first, mut list)| {
        list.retain(|(net, _)| family_of(*net) == family_of(first));
        list.push((first, 0));
        list.sort_unstable();
        list.dedup();
        list
    })
}

fn a_next_hop() -> impl Strategy<Value = NextHop> {
    (0..HOPS.len(), any::<bool>()).prop_map(|(i, both)| match hop(HOPS[i]) {
        NextHop::V6 { global, .. } if both => NextHop::V6 {
            global,
            link_local: Some("fe80::2".parse().unwrap()),
        },
        hop => hop,
    })
}

fn one_in<T: Clone + core::fmt::Debug>(odds: u32, value: T) -> impl Strategy<Value = Option<T>> {
    prop_oneof![odds => Just(None), 1 => Just(Some(value))]
}

/// So near to each other that the metric of the next hop decides.
fn an_aigp() -> impl Strategy<Value = Option<Aigp>> {
    let metric = prop_oneof![6 => 100u64..103, 1 => Just(u64::MAX - 2)];
    let others = prop_oneof![6 => Just(Vec::new()), 1 => Just(vec![99, 0, 4, 7])];
    prop::option::of((metric, others).prop_map(|(metric, others)| Aigp { metric, others }))
}

/// Mostly there, since one path without it can change all.
fn some_bandwidth() -> impl Strategy<Value = Vec<ExtendedCommunity>> {
    let rate = prop_oneof![
        3 => Just(1000.0),
        3 => Just(3000.0),
        2 => Just(6000.0),
        1 => Just(0.0),
        1 => Just(7.0),
        1 => Just(9e8),
        1 => Just(f32::MAX),
    ];
    let one = (64_512u32..64_514, rate, prop::bool::weighted(0.8))
        .prop_map(|(asn, rate, leaves)| ExtendedCommunity::link_bandwidth(asn, rate, leaves));
    prop_oneof![
        1 => Just(Vec::new()),
        4 => one.clone().prop_map(|one| vec![one]),
        1 => prop::collection::vec(one, 2),
        1 => Just(vec![ExtendedCommunity([0, 2, 0, 1, 0, 0, 0, 1])]),
    ]
}

prop_compose! {
    fn some_attributes()(
        path in 0..PATHS.len(),
        origin in prop_oneof![3 => Just(Origin::Igp), 1 => Just(Origin::Incomplete)],
        next_hop in a_next_hop(),
        med in prop::option::of(0u32..3),
        local_pref in prop_oneof![3 => Just(None), 1 => (99u32..102).prop_map(Some)],
        community in prop_oneof![
            12 => Just(None),
            1 => Just(Some(Community::NO_EXPORT)),
            1 => Just(Some(Community::NO_ADVERTISE)),
            1 => Just(Some(Community::GRACEFUL_SHUTDOWN)),
            2 => Just(Some(Community(0xffde_0001))),
        ],
        originator in prop_oneof![
            6 => Just(None),
            1 => Just(Some(Ipv4Addr::new(10, 0, 0, 4))),
            1 => Just(Some(Ipv4Addr::new(9, 9, 9, 9))),
        ],
        us in one_in(20, Ipv4Addr::new(10, 255, 0, 1)),
        clusters in prop::collection::vec(Just(Ipv4Addr::new(10, 0, 0, 8)), 0..3),
        loops in one_in(12, Ipv4Addr::new(10, 0, 0, 9)),
        aigp in an_aigp(),
        extended_communities in some_bandwidth(),
    ) -> PathAttributes {
        PathAttributes {
            origin,
            as_path: PATHS[path].parse::<AsPath>().unwrap(),
            next_hop: Some(next_hop),
            med,
            local_pref,
            communities: community.into_iter().collect(),
            originator_id: us.or(originator),
            cluster_list: clusters.into_iter().chain(loops).collect(),
            aigp,
            extended_communities,
            ..PathAttributes::default()
        }
    }
}

fn a_source() -> impl Strategy<Value = LocalSource> {
    prop_oneof![
        Just(LocalSource::Network),
        Just(LocalSource::Connected),
        Just(LocalSource::Static),
    ]
}

fn a_local_route() -> impl Strategy<Value = LocalRoute> {
    (a_source(), prop::option::of(a_next_hop()), 0u32..2, 0u32..3).prop_map(
        |(source, next_hop, metric, weight)| LocalRoute {
            weight: if weight == 0 { 0 } else { 32_768 },
            ..LocalRoute::new(source, next_hop, metric)
        },
    )
}

fn a_state() -> impl Strategy<Value = Option<NextHopState>> {
    let resolved = (1u32..3, prop::bool::weighted(0.8)).prop_map(|(m, c)| state(m, c));
    prop_oneof![1 => Just(None), 4 => resolved]
}

fn a_refusal() -> impl Strategy<Value = Option<FibAnswer>> {
    prop_oneof![
        2 => Just(None),
        1 => Just(Some(FibAnswer::Foreign)),
        1 => Just(Some(FibAnswer::Failed)),
    ]
}

fn a_family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(V4), Just(V6)]
}

pub fn an_event() -> impl Strategy<Value = Event> {
    let hops = (0..HOPS.len()).prop_map(|i| ip(HOPS[i]));
    prop_oneof![
        8 => (0..PEERS, any::<u8>(), any::<u8>()).prop_map(|(p, v, k)| Event::Up(p, v, k)),
        2 => (0..PEERS, 0u8..4).prop_map(|(p, k)| Event::Down(p, k)),
        40 => (0..PEERS, some_prefixes(), some_attributes())
            .prop_map(|(p, n, a)| Event::Announce(p, n, Box::new(a))),
        10 => (0..PEERS, some_prefixes()).prop_map(|(p, n)| Event::Withdraw(p, n)),
        8 => (hops, a_state()).prop_map(|(a, s)| Event::NextHop(a, s)),
        4 => (a_prefix(), a_local_route()).prop_map(|(n, r)| Event::Originate(n, Box::new(r))),
        3 => (a_prefix(), a_source()).prop_map(|(n, s)| Event::WithdrawLocal(n, s)),
        2 => any::<u16>().prop_map(Event::Config),
        4 => any::<u16>().prop_map(Event::Aggregates),
        1 => any::<bool>().prop_map(Event::Own),
        3 => (0..PEERS, any::<u8>()).prop_map(|(p, k)| Event::SetPolicy(p, k)),
        3 => (0..PEERS, a_family(), prop::option::weighted(0.7, 0u32..2))
            .prop_map(|(p, f, m)| Event::DefaultRoute(p, f, m)),
        2 => (0..PEERS, any::<u8>()).prop_map(|(p, v)| Event::SetPeer(p, v)),
        3 => (0..PEERS, any::<u8>()).prop_map(|(p, b)| Event::OurSide(p, b)),
        1 => (0..PEERS, a_family()).prop_map(|(p, f)| Event::MarkStale(p, f)),
        1 => (0..PEERS, a_family()).prop_map(|(p, f)| Event::Sweep(p, f)),
        1 => (0..PEERS, a_family()).prop_map(|(p, f)| Event::EndOfRib(p, f)),
        1 => (0..PEERS).prop_map(Event::RefreshIn),
        3 => (0..PEERS, a_family(), any::<bool>())
            .prop_map(|(p, f, r)| Event::RefreshOut(p, f, r)),
        20 => (0..PEERS, 1usize..6).prop_map(|(p, b)| Event::Export(p, b)),
        8 => (1usize..4).prop_map(Event::TakeFib),
        2 => prop::bool::weighted(0.7).prop_map(Event::Gate),
        6 => (1usize..3).prop_map(Event::KernelTakes),
        6 => (1usize..4).prop_map(Event::KernelWrites),
        6 => (1usize..4).prop_map(Event::KernelSays),
        4 => (a_prefix(), a_refusal()).prop_map(|(p, a)| Event::Block(p, a)),
        2 => a_prefix().prop_map(Event::Lose),
        2 => (0..PEERS, a_family()).prop_map(|(p, f)| Event::Isolate(p, f)),
        1 => a_family().prop_map(Event::RepeatFib),
        3 => Just(Event::Settle),
    ]
}
