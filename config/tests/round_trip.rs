//! Whatever the model says, both spellings carry it without loss.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use holdfast_config::frr::{Session, to_frr};
use holdfast_config::{
    AfConfig, Api, Bgp, Config, GracefulRestart, Leniency, Log, LogFile, LogLevel, Neighbor,
    NextHopSelf, PeerAf, PeerKind, PeerSettings, Prefix, Profile, Redistribute, RedistributeSource,
    RemoteAs, Shutdown, Spelling, Timers, UpdateSource, diff, parse_str, to_toml,
    to_toml_with_defaults, validate,
};
use ipnet::{Ipv4Net, Ipv6Net};
use proptest::collection::{btree_map, btree_set};
use proptest::option;
use proptest::prelude::*;

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
        (1_u32..=3).prop_map(RemoteAs::Number),
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

fn peer_af() -> impl Strategy<Value = PeerAf> {
    let next_hop_self =
        prop::sample::select(vec![NextHopSelf::Off, NextHopSelf::On, NextHopSelf::Force]);
    let flag = || option::of(any::<bool>());
    (flag(), option::of(next_hop_self), flag(), flag()).prop_map(|parts| PeerAf {
        activate: parts.0,
        next_hop_self: parts.1,
        soft_reconfiguration_inbound: parts.2,
        route_reflector_client: parts.3,
    })
}

fn settings() -> impl Strategy<Value = PeerSettings> {
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
        peer_af(),
        peer_af(),
    );
    (session, rest).prop_map(|(session, rest)| PeerSettings {
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
        ipv4_unicast: rest.4,
        ipv6_unicast: rest.5,
    })
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

fn af<P: Prefix>(prefix: impl Strategy<Value = P>) -> impl Strategy<Value = AfConfig<P>> {
    let source = prop::sample::select(RedistributeSource::ALL.to_vec());
    let options = option::of(any::<u32>()).prop_map(|metric| Redistribute { metric });
    (
        btree_set(prefix, 0..4),
        btree_map(source, options, 0..3),
        1_u16..=256,
        1_u16..=256,
    )
        .prop_map(
            |(networks, redistribute, maximum_paths, maximum_paths_ibgp)| AfConfig {
                networks,
                redistribute,
                maximum_paths,
                maximum_paths_ibgp,
            },
        )
}

fn families() -> impl Strategy<Value = (AfConfig<Ipv4Net>, AfConfig<Ipv6Net>)> {
    let ipv4 = (any::<u32>(), 0_u8..=32)
        .prop_map(|(bits, length)| Ipv4Net::new(bits.into(), length).unwrap().trunc());
    let ipv6 = (any::<u128>(), 0_u8..=128)
        .prop_map(|(bits, length)| Ipv6Net::new(bits.into(), length).unwrap().trunc());
    (af(ipv4), af(ipv6))
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

fn bgp() -> impl Strategy<Value = Bgp> {
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
    let flags = any::<[bool; 9]>();
    (numbers, flags, graceful_restart(), peers, families()).prop_map(
        |(numbers, flags, graceful_restart, (groups, neighbors), (ipv4, ipv6))| Bgp {
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
    let groups = bgp.peer_groups.values_mut().filter(|group| {
        group
            .remote_as
            .is_some_and(|remote| !is_internal(asn, remote))
    });
    let external = bgp
        .neighbors
        .iter_mut()
        .filter(|(address, _)| !reflectors.contains(address));
    for settings in groups.chain(external.map(|(_, neighbor)| &mut neighbor.settings)) {
        settings.ipv4_unicast.route_reflector_client = None;
        settings.ipv6_unicast.route_reflector_client = None;
    }
}

fn config() -> impl Strategy<Value = Config> {
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
    );
    (names, flags, log(), option::weighted(0.9, bgp())).prop_map(|(names, flags, log, bgp)| {
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
            api: Api {
                socket: names.2,
                group: names.3,
            },
            bgp,
        };
        config.bgp.iter_mut().for_each(fit);
        config.normalize();
        assert_eq!(validate(&config), [], "{config:#?}");
        config
    })
}

fn read(text: &str, spelling: Spelling) -> Result<Config, TestCaseError> {
    parse_str("file", text, spelling, Leniency::Strict)
        .map(|loaded| loaded.config)
        .map_err(|errors| {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            TestCaseError::fail(format!("{}\n{text}", errors.join("\n")))
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn frr_text_carries_the_model(config in config()) {
        let text = to_frr(&config);
        let back = read(&text, Spelling::Frr)?;
        prop_assert_eq!(&back, &config, "{}", text);
        prop_assert_eq!(to_frr(&back), text);
    }

    #[test]
    fn toml_carries_the_model(config in config()) {
        let text = to_toml(&config);
        let back = read(&text, Spelling::Toml)?;
        prop_assert_eq!(&back, &config, "{}", text);
        let shown = to_toml_with_defaults(&config);
        let mut back = read(&shown, Spelling::Toml)?;
        back.api = config.api.clone();
        prop_assert_eq!(&back, &config, "{}", shown);
    }

    #[test]
    fn the_normal_form_means_the_same(config in config(), more in settings()) {
        let mut config = config;
        if let Some(bgp) = &mut config.bgp {
            // Says a lot that holds anyway.
            for neighbor in bgp.neighbors.values_mut() {
                let own = &mut neighbor.settings;
                own.passive = own.passive.or(more.passive);
                own.shutdown = own.shutdown.take().or_else(|| more.shutdown.clone());
                own.ipv4_unicast.activate = own.ipv4_unicast.activate.or(more.ipv4_unicast.activate);
                own.ipv6_unicast.next_hop_self = more.ipv6_unicast.next_hop_self;
            }
        }
        let mut normal = config.clone();
        normal.normalize();
        let effective = |config: &Config| -> BTreeMap<IpAddr, _> {
            let bgp = config.bgp.iter();
            bgp.flat_map(|bgp| bgp.effective_peers().map(|peer| (peer.address, peer))).collect()
        };
        prop_assert_eq!(effective(&normal), effective(&config));
        let mut again = normal.clone();
        again.normalize();
        prop_assert_eq!(again, normal);
    }

    #[test]
    fn a_diff_is_empty_for_the_same_only(old in config(), new in config()) {
        prop_assert!(diff(&old, &old).is_empty());
        prop_assert_eq!(diff(&old, &old).to_string(), "");
        if to_frr(&old) == to_frr(&new) {
            prop_assert_eq!(&old, &new);
        }
        if old.bgp.as_ref().map(|bgp| bgp.asn) != new.bgp.as_ref().map(|bgp| bgp.asn) {
            prop_assert!(!diff(&old, &new).is_empty());
        }
    }

    /// No line makes the parser fall over, and a line that is not taken
    /// changes nothing.
    #[test]
    fn any_line_is_taken_or_refused(
        config in config(),
        lines in prop::collection::vec("(no )?(neighbor |bgp |router bgp |network )?[ -~]{0,24}", 0..8),
    ) {
        let mut session = Session::new(config);
        for line in lines {
            let before = session.clone();
            if session.apply_line(&line).is_err() {
                prop_assert_eq!(&session.config, &before.config);
                prop_assert_eq!(session.mode, before.mode);
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "([ -~]{0,30}\n){0,6}") {
        for spelling in [Spelling::Frr, Spelling::Toml] {
            if let Err(errors) = parse_str("file", &text, spelling, Leniency::Strict) {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    prop_assert!(error.to_string().starts_with("file"));
                }
            }
        }
    }
}
