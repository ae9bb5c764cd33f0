//! Random configurations that are valid and in their normal form.

pub(crate) mod policy;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use holdfast_config::{
    AddPathTx, AfConfig, AllowAsIn, Api, BestpathBandwidth, Bgp, Config, Family, GracefulRestart,
    Log, LogFile, LogLevel, MAX_RESILIENT_TIMER_SECS, Neighbor, Network, NextHopSelf, PeerAf,
    PeerKind, PeerSettings, Prefix, Profile, Redistribute, RedistributeSource, RemoteAs,
    ResilientPaths, Shutdown, StaticDrop, StaticPath, StaticRoutes, StaticTarget, Timers,
    UpdateSource, Vrf, validate,
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::{btree_map, btree_set};
use proptest::option;
use proptest::prelude::*;

/// Not the name of any instance that is made here.
const IMPORTS: [&str; 2] = ["elsewhere", "v-1.x_y"];

const GROUPS: [&str; 3] = ["CILIUM", "spines", "g-1.x_y"];

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z][a-zA-Z0-9_.-]{0,8}"
}

fn line() -> impl Strategy<Value = String> {
    "[!-~]{1,6}( [!-~]{1,6}){0,2}|[äß中]{1,4}"
}

fn path() -> impl Strategy<Value = PathBuf> {
    "/[a-z]{1,6}/[a-z.]{1,6}".prop_map(PathBuf::from)
}

fn timers() -> impl Strategy<Value = Timers> {
    (any::<u16>(), prop_oneof![Just(0_u16), 3..=u16::MAX]).prop_map(
        |(keepalive_secs, hold_secs)| Timers {
            keepalive_secs,
            hold_secs,
        },
    )
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (1_u8..=4).prop_map(|last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))),
        (1_u16..=4).prop_map(|last| IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last))),
    ]
}

fn remote_as() -> impl Strategy<Value = RemoteAs> {
    prop_oneof![
        (1_u32..=5).prop_map(RemoteAs::Number),
        any::<u32>().prop_map(|asn| RemoteAs::Number(asn.max(1))),
        Just(RemoteAs::Internal),
        Just(RemoteAs::External),
    ]
}

fn level() -> impl Strategy<Value = LogLevel> {
    prop::sample::select(LogLevel::ALL.to_vec())
}

fn log() -> impl Strategy<Value = Log> {
    let file = (path(), level()).prop_map(|(path, level)| LogFile { path, level });
    (
        option::of(level()),
        option::of(level()),
        option::of(file),
        option::of(0_u8..=12),
    )
        .prop_map(|(syslog, stdout, file, timestamp_precision)| Log {
            syslog,
            stdout,
            file,
            timestamp_precision,
        })
}

fn peer_af() -> BoxedStrategy<PeerAf> {
    let next_hop_self =
        prop::sample::select(vec![NextHopSelf::Off, NextHopSelf::On, NextHopSelf::Force]);
    let flag = || option::of(any::<bool>());
    let allowas_in = prop_oneof![
        (1_u8..=10).prop_map(AllowAsIn::Times),
        Just(AllowAsIn::Origin)
    ];
    let addpath_tx = prop::sample::select(vec![AddPathTx::AllPaths, AddPathTx::BestPerAs]);
    let flags = (flag(), flag(), flag(), flag(), flag(), flag());
    (
        flags,
        option::of(next_hop_self),
        option::of(allowas_in),
        option::of(any::<u16>()),
        option::of(addpath_tx),
        policy::peer_policy(),
    )
        .prop_map(
            |(flags, next_hop_self, allowas_in, weight, addpath_tx, policy)| PeerAf {
                activate: flags.0,
                next_hop_self,
                soft_reconfiguration_inbound: flags.1,
                route_reflector_client: flags.2,
                route_server_client: flags.3,
                next_hop_unchanged: flags.4,
                allowas_in,
                weight,
                addpath_tx,
                disable_addpath_rx: flags.5,
                policy,
            },
        )
        .boxed()
}

/// What is said about a peer or group.
pub(crate) fn settings() -> BoxedStrategy<PeerSettings> {
    let shutdown = prop_oneof![
        Just(Shutdown::Off),
        option::of(line()).prop_map(|message| Shutdown::On { message })
    ];
    let source = prop_oneof![
        address().prop_map(UpdateSource::Address),
        word().prop_map(UpdateSource::Interface)
    ];
    let flag = || option::of(any::<bool>());
    let session = (
        option::of(remote_as()),
        option::of(line()),
        option::of(timers()),
        option::of(1..=u16::MAX),
        option::of(1..=u8::MAX),
        option::of(source),
        option::of(shutdown),
        option::of("[!-~]{1,12}"),
    );
    let rest = (
        option::of(1..=u16::MAX),
        flag(),
        flag(),
        flag(),
        (flag(), flag()),
        peer_af(),
        peer_af(),
    );
    (session, rest)
        .prop_map(|(session, rest)| PeerSettings {
            remote_as: session.0,
            description: session.1,
            timers: session.2,
            connect_retry_secs: session.3,
            ebgp_multihop: session.4,
            update_source: session.5,
            shutdown: session.6,
            password: session.7,
            port: rest.0,
            passive: rest.1,
            extended_nexthop: rest.2,
            disable_connected_check: rest.3,
            aigp: rest.4.0,
            disable_link_bw_encoding_ieee: rest.4.1,
            ipv4_unicast: rest.5,
            ipv6_unicast: rest.6,
        })
        .boxed()
}

fn neighbor() -> impl Strategy<Value = Neighbor> {
    (
        option::of(prop::sample::select(GROUPS.to_vec())),
        settings(),
    )
        .prop_map(|(group, settings)| Neighbor {
            peer_group: group.map(str::to_owned),
            settings,
        })
}

fn is_host<P: Prefix>(prefix: &P) -> bool {
    let length = match P::FAMILY {
        Family::Ipv4Unicast => "/32",
        Family::Ipv6Unicast => "/128",
    };
    prefix.to_string().ends_with(length)
}

fn af<P: Prefix>(prefix: BoxedStrategy<P>) -> impl Strategy<Value = AfConfig<P>> {
    let source = prop_oneof![
        3 => prop::sample::select(RedistributeSource::ALL.to_vec()),
        1 => (1..=u16::MAX).prop_map(RedistributeSource::Table),
    ];
    let map = || option::weighted(0.3, policy::name());
    let options = (option::of(any::<u32>()), map());
    let options = options.prop_map(|(metric, route_map)| Redistribute { metric, route_map });
    let network = map().prop_map(|route_map| Network { route_map });
    let more = (map(), map(), option::of(policy::dampening()));
    (
        btree_map(prefix.clone(), network, 0..4),
        btree_map(prefix, policy::aggregate(), 0..3),
        btree_map(source, options, 0..3),
        1_u16..=256,
        1_u16..=256,
        any::<bool>(),
        option::of(resilient()),
        btree_set(prop::sample::select(IMPORTS.to_vec()), 0..2),
        more,
    )
        .prop_map(
            |(networks, aggregates, redistribute, ebgp, ibgp, equal, resilient, imports, more)| {
                AfConfig {
                    networks,
                    aggregates: aggregates
                        .into_iter()
                        .filter(|(p, _)| !is_host(p))
                        .collect(),
                    redistribute,
                    maximum_paths: ebgp,
                    maximum_paths_ibgp: ibgp,
                    equal_cluster_length: equal,
                    resilient,
                    import_vrfs: imports.into_iter().map(str::to_owned).collect(),
                    import_vrf_route_map: more.0,
                    table_map: more.1,
                    dampening: more.2,
                }
            },
        )
}

fn resilient() -> impl Strategy<Value = ResilientPaths> {
    let timer = || prop_oneof![Just(0), Just(120), 0..=MAX_RESILIENT_TIMER_SECS];
    (1..=u16::MAX, timer(), timer()).prop_map(|(buckets, idle, unbalanced)| ResilientPaths {
        buckets,
        idle_timer_secs: idle,
        unbalanced_timer_secs: unbalanced,
    })
}

fn families() -> impl Strategy<Value = (AfConfig<Ipv4Net>, AfConfig<Ipv6Net>)> {
    (
        af(policy::ipv4_net().boxed()).boxed(),
        af(policy::ipv6_net().boxed()).boxed(),
    )
}

fn static_target(gateway: IpAddr) -> impl Strategy<Value = StaticTarget> {
    let interface = || "[a-z]{2}[0-9]{1,3}(\\.[0-9]{1,3})?";
    prop_oneof![
        Just(StaticTarget::Gateway(gateway)),
        interface().prop_map(StaticTarget::Interface),
        prop::sample::select(StaticDrop::ALL.to_vec()).prop_map(StaticTarget::Drop),
        (interface(), any::<bool>()).prop_map(move |(interface, onlink)| {
            StaticTarget::GatewayOn {
                gateway,
                interface,
                onlink,
            }
        }),
    ]
}

/// Few prefixes, so that several paths of one meet.
fn static_routes() -> impl Strategy<Value = StaticRoutes> {
    let prefixes = ["10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32"];
    let path = prop::sample::select(prefixes.to_vec()).prop_flat_map(|prefix| {
        let prefix: IpNet = prefix.parse().unwrap();
        let gateways = match prefix {
            IpNet::V4(_) => ["192.0.2.1", "192.0.2.20"],
            IpNet::V6(_) => ["2001:db8::1", "fe80::1"],
        };
        let gateway = prop::sample::select(gateways.to_vec());
        let target = gateway.prop_flat_map(|gateway| static_target(gateway.parse().unwrap()));
        let table = option::weighted(0.2, 1..=u32::MAX);
        let tag = option::weighted(0.3, 1..=u32::MAX);
        let distance = prop_oneof![2 => Just(1_u8), 1 => 1..=u8::MAX];
        (Just(prefix), table, distance, target, tag)
    });
    prop::collection::vec(path, 0..6).prop_map(|paths| {
        let mut routes = StaticRoutes::new();
        for (prefix, table, distance, target, tag) in paths {
            routes.entry(prefix).or_default().push(StaticPath {
                table,
                distance,
                target,
                tag,
            });
        }
        routes
    })
}

fn graceful_restart() -> impl Strategy<Value = GracefulRestart> {
    (any::<bool>(), 1_u16..=4095, 1_u16..=4095, any::<bool>()).prop_map(
        |(enabled, restart_time_secs, stalepath_time_secs, preserve_fw_state)| GracefulRestart {
            enabled,
            restart_time_secs,
            stalepath_time_secs,
            preserve_fw_state,
        },
    )
}

fn bgp() -> BoxedStrategy<Bgp> {
    let numbers = (
        1_u32..=3,
        option::of(1..=u32::MAX),
        option::of(1..=u32::MAX),
        any::<u32>(),
        timers(),
        1..=u16::MAX,
    );
    let peers = (
        btree_map(
            prop::sample::select(GROUPS.to_vec()),
            settings(),
            GROUPS.len(),
        ),
        btree_map(address(), neighbor(), 0..6),
    );
    let flags = any::<[bool; 17]>();
    let confederation = (
        option::of(1..=u32::MAX),
        btree_set(4_u32..=6, 0..3),
        option::of(any::<u32>()),
        option::of(5_u16..=240),
    );
    let bandwidth = option::of(prop::sample::select(BestpathBandwidth::ALL.to_vec()));
    let rest = (graceful_restart(), (confederation, bandwidth));
    (numbers, flags, rest, peers, families())
        .prop_map(
            |(
                numbers,
                flags,
                (graceful_restart, (more, bandwidth)),
                (groups, neighbors),
                (ipv4, ipv6),
            )| Bgp {
                asn: numbers.0,
                router_id: numbers.1.map(Ipv4Addr::from),
                cluster_id: numbers.2.map(Ipv4Addr::from),
                default_local_preference: numbers.3,
                timers: numbers.4,
                connect_retry_secs: numbers.5,
                ebgp_requires_policy: flags[0],
                multipath_relax: flags[1],
                default_ipv4_unicast: flags[2],
                log_neighbor_changes: flags[3],
                network_import_check: flags[4],
                deterministic_med: flags[5],
                always_compare_med: flags[6],
                bestpath_compare_routerid: flags[7],
                bestpath_med_missing_as_worst: flags[8],
                bestpath_med_confed: flags[9],
                bestpath_as_path_ignore: flags[10],
                bestpath_as_path_confed: flags[11],
                bestpath_peer_type_multipath_relax: flags[12],
                fast_external_failover: flags[13],
                client_to_client_reflection: flags[14],
                bestpath_aigp: flags[15],
                bestpath_bandwidth: bandwidth,
                suppress_fib_pending: flags[16],
                confederation_identifier: more.0,
                confederation_peers: more.1,
                coalesce_time_ms: more.2,
                conditional_advertisement_secs: more.3,
                graceful_restart,
                peer_groups: groups
                    .into_iter()
                    .map(|(name, group)| (name.to_owned(), group))
                    .collect(),
                neighbors,
                ipv4_unicast: ipv4,
                ipv6_unicast: ipv6,
            },
        )
        .boxed()
}

/// Makes the peers of a random instance fit together.
fn fit(bgp: &mut Bgp) {
    let is_internal =
        |asn: u32, remote| matches!(remote, RemoteAs::Internal) || remote == RemoteAs::Number(asn);
    let asn = bgp.asn;
    let mut reflectors = BTreeSet::new();
    for neighbor in bgp.neighbors.values_mut() {
        let settings = &mut neighbor.settings;
        let group = neighbor
            .peer_group
            .as_ref()
            .map(|name| &bgp.peer_groups[name]);
        match group.map(|group| group.remote_as) {
            Some(Some(_)) => settings.remote_as = None,
            // The members of a group without AS are of one kind: internal.
            Some(None) => settings.remote_as = Some(RemoteAs::Internal),
            None => settings.remote_as = settings.remote_as.or(Some(RemoteAs::External)),
        }
    }
    for (address, neighbor) in &bgp.neighbors {
        if bgp.effective(*address).unwrap().remote.kind == PeerKind::Internal {
            reflectors.insert(*address);
        }
        assert!(
            neighbor
                .peer_group
                .as_ref()
                .is_none_or(|name| bgp.peer_groups.contains_key(name))
        );
    }
    let members: BTreeSet<String> = bgp
        .neighbors
        .values()
        .filter_map(|neighbor| neighbor.peer_group.clone())
        .collect();
    let groups = bgp
        .peer_groups
        .iter_mut()
        .filter(|(name, group)| match group.remote_as {
            Some(remote) => !is_internal(asn, remote),
            None => !members.contains(*name),
        })
        .map(|(_, group)| group);
    let external = bgp
        .neighbors
        .iter_mut()
        .filter(|(address, _)| !reflectors.contains(address));
    for settings in groups.chain(external.map(|(_, neighbor)| &mut neighbor.settings)) {
        settings.ipv4_unicast.route_reflector_client = None;
        settings.ipv6_unicast.route_reflector_client = None;
    }
}

/// A whole configuration.
pub(crate) fn config() -> BoxedStrategy<Config> {
    let version = option::of(prop_oneof![Just("8.4.4"), Just("7.3"), Just("10.2-dev x")]);
    let names = (
        version,
        option::of(word()),
        option::of(path()),
        option::of(word()),
    );
    let flags = (
        any::<bool>(),
        option::of(any::<bool>()),
        option::of(any::<bool>()),
        any::<bool>(),
        any::<bool>(),
        option::of(any::<bool>()),
        option::of(any::<bool>()),
        option::of(any::<bool>()),
        option::of(any::<bool>()),
    );
    let views = prop_oneof![
        2 => Just(BTreeMap::new()),
        1 => btree_map("[A-Z]{1,6}", bgp(), 1..3),
    ];
    let vrf = (option::of(1_u32..=252), option::of(bgp()));
    let vrf = vrf.prop_map(|(table, bgp)| Vrf { table, bgp });
    let vrfs = prop_oneof![
        2 => Just(BTreeMap::new()),
        1 => btree_map("v[A-Z]{1,6}", vrf, 1..3),
    ];
    let instances = (option::weighted(0.9, bgp()), vrfs.boxed(), views.boxed()).boxed();
    let map = || option::weighted(0.3, policy::name());
    let delay = option::of(0_u16..=600);
    let policy = (policy::policy(), delay, map(), map(), policy::rpki());
    let instances = (instances, static_routes().boxed(), policy.boxed()).boxed();
    (names, flags, log(), instances)
        .prop_map(|(names, flags, log, (instances, statics, policy))| {
            let (bgp, vrfs, views) = instances;
            let mut config = Config {
                frr_version: names.0.map(str::to_owned),
                frr_defaults: if flags.0 {
                    Profile::Datacenter
                } else {
                    Profile::Traditional
                },
                hostname: names.1,
                log,
                ip_forwarding: flags.1,
                ipv6_forwarding: flags.2,
                integrated_vtysh: flags.3,
                ip_nht_resolve_via_default: flags.5,
                ipv6_nht_resolve_via_default: flags.6,
                suppress_fib_pending: flags.4,
                nexthop_objects: flags.7,
                nexthop_compat_mode: flags.8,
                static_routes: statics,
                policy: policy.0,
                route_map_delay_secs: policy.1,
                ip_protocol_route_map: policy.2,
                ipv6_protocol_route_map: policy.3,
                rpki: policy.4,
                api: Api {
                    socket: names.2,
                    group: names.3,
                },
                bgp,
                vrfs,
                views,
            };
            // An address is a neighbor of one instance only, unless it is behind a device.
            let (mut taken, mut tables) = (BTreeSet::new(), BTreeSet::new());
            for vrf in config.vrfs.values_mut() {
                vrf.table = vrf.table.filter(|table| tables.insert(*table));
            }
            let vrfs = config.vrfs.values_mut().filter(|vrf| vrf.table.is_some());
            let vrfs = vrfs.filter_map(|vrf| vrf.bgp.as_mut());
            let host = config.bgp.iter_mut().chain(vrfs);
            for bgp in host.chain(config.views.values_mut()) {
                bgp.neighbors.retain(|address, _| taken.insert(*address));
            }
            for bgp in config.views.values_mut() {
                bgp.ipv4_unicast.import_vrfs.clear();
                bgp.ipv6_unicast.import_vrfs.clear();
            }
            config.instances_mut().for_each(fit);
            config.normalize();
            assert_eq!(validate(&config), [], "{config:#?}");
            config
        })
        .boxed()
}
