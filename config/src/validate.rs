//! What must hold for a configuration as a whole, however it was spelled.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::frr::{BOTH_SUPPRESS, LISTS_TWICE, SUPPRESS_BELOW_REUSE, lists_twice, no_aggregate};
use crate::instances::{DEFAULT, InstanceName, can_be_table, taken};
use crate::model::{
    AfConfig, AllowAsIn, Bgp, Config, Dampening, Family, MAX_RESILIENT_TIMER_SECS, Neighbor,
    PeerKind, PeerPolicy, PeerSettings, Prefix, RemoteAs, Rpki, Shutdown, UpdateSource,
};

/// What a problem is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Settings outside of BGP.
    Global,
    /// The VRF itself.
    Vrf,
    /// The BGP instance.
    Bgp,
    /// A peer group, by name.
    PeerGroup(String),
    /// A neighbor, by address.
    Neighbor(IpAddr),
    /// An address family.
    Family(Family),
}

/// Something wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// The instance that it is in; the default one for settings outside of
    /// BGP.
    pub instance: InstanceName,
    /// What it is about.
    pub subject: Subject,
    /// What is wrong.
    pub message: String,
}

/// Every problem of a configuration; none means that it can take effect.
pub fn validate(config: &Config) -> Vec<Problem> {
    let mut problems = Problems::default();
    check_global(config, &mut problems);
    check_vrfs(config, &mut problems);
    let mut owners = BTreeMap::new();
    for (name, bgp) in config.instances() {
        problems.instance = name.clone();
        check_name(config, &name, &mut problems);
        check_bgp(bgp, &mut problems);
        check_imports(&name, bgp, &mut problems);
        let place = config.place_of(&name);
        for address in bgp.neighbors.keys() {
            problems.subject = Some(Subject::Neighbor(*address));
            let owner = owners.entry((place.clone(), *address));
            let owner = owner.or_insert_with(|| name.clone());
            problems.check(*owner == name, || taken(*address, owner));
        }
    }
    problems.found
}

fn check_name(config: &Config, name: &InstanceName, problems: &mut Problems) {
    problems.subject = Some(Subject::Bgp);
    if name.is_default() {
        return;
    }
    let word = name.word();
    problems.check(InstanceName::can_be_named(word), || no_name(word));
    let same = name.is_view()
        && config
            .instance(&InstanceName::Vrf(word.to_owned()))
            .is_some();
    problems.check(!same, || format!("there is a VRF named \"{word}\" already"));
}

/// What is said about a name that no VRF or view can have.
pub(crate) fn no_name(word: &str) -> String {
    format!(
        "\"{word}\" cannot name a VRF or view: it must be one word, and not \"default\" or \"all\""
    )
}

fn check_vrfs(config: &Config, problems: &mut Problems) {
    let mut owners = BTreeMap::new();
    for (name, vrf) in &config.vrfs {
        problems.instance = InstanceName::Vrf(name.clone());
        problems.subject = Some(Subject::Vrf);
        if vrf.bgp.is_none() {
            problems.check(InstanceName::can_be_named(name), || no_name(name));
        }
        let Some(table) = vrf.table else { continue };
        problems.check(can_be_table(table), || no_table(table));
        let owner = owners.entry(table).or_insert(name);
        problems.check(*owner == name, || table_taken(table, owner));
    }
}

/// What is said about a table that no VRF can have.
pub(crate) fn no_table(table: u32) -> String {
    format!("table {table} cannot be a VRF's")
}

/// What is said about a table that another VRF has.
pub(crate) fn table_taken(table: u32, owner: &str) -> String {
    format!("table {table} is vrf {owner}'s already")
}

fn check_imports(name: &InstanceName, bgp: &Bgp, problems: &mut Problems) {
    let lists = [
        (Family::Ipv4Unicast, &bgp.ipv4_unicast.import_vrfs),
        (Family::Ipv6Unicast, &bgp.ipv6_unicast.import_vrfs),
    ];
    for (family, imports) in lists {
        problems.subject = Some(Subject::Family(family));
        for from in imports {
            if let Some(message) = no_import(name, from) {
                problems.check(false, || message);
            }
        }
    }
}

/// What is said where an instance cannot take over routes of another.
pub(crate) fn no_import(name: &InstanceName, from: &str) -> Option<String> {
    if name.is_view() {
        return Some("a view shares no routes with other instances".to_owned());
    }
    if name.word() == from {
        // FRR's text.
        return Some(format!("Cannot import vrf {from} into itself"));
    }
    let fits = from == DEFAULT || InstanceName::can_be_named(from);
    (!fits).then(|| no_name(from))
}

fn check_bgp(bgp: &Bgp, problems: &mut Problems) {
    check_instance(bgp, problems);
    for (name, group) in &bgp.peer_groups {
        problems.subject = Some(Subject::PeerGroup(name.clone()));
        check_group(bgp, name, group, problems);
    }
    for (address, neighbor) in &bgp.neighbors {
        problems.subject = Some(Subject::Neighbor(*address));
        check_neighbor(bgp, *address, neighbor, problems);
    }
    check_members(bgp, problems);
    check_family(&bgp.ipv4_unicast, problems);
    check_family(&bgp.ipv6_unicast, problems);
}

#[derive(Default)]
struct Problems {
    instance: InstanceName,
    subject: Option<Subject>,
    found: Vec<Problem>,
}

impl Problems {
    fn check(&mut self, holds: bool, message: impl FnOnce() -> String) {
        if !holds {
            let subject = self.subject.clone().unwrap_or(Subject::Global);
            self.found.push(Problem {
                instance: self.instance.clone(),
                subject,
                message: message(),
            });
        }
    }
}

/// Text that is one word of a line: not empty, no blanks, no control characters.
fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn is_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

fn check_global(config: &Config, problems: &mut Problems) {
    problems.subject = Some(Subject::Global);
    let words = [
        ("hostname", &config.hostname),
        ("API group", &config.api.group),
    ];
    for (what, word) in words {
        let fits = word.as_deref().is_none_or(is_word);
        problems.check(fits, || {
            format!("the {what} must be one word without blanks")
        });
    }
    for problem in crate::statics::problems(&config.static_routes) {
        problems.check(false, || problem);
    }
    for problem in crate::policy::problems(&config.policy) {
        problems.check(false, || problem);
    }
    check_rpki(&config.rpki, problems);
    check_name_of(&config.ip_protocol_route_map, problems);
    check_name_of(&config.ipv6_protocol_route_map, problems);
    let delay = config.route_map_delay_secs.unwrap_or(0);
    problems.check(delay <= 600, || {
        "the delay of route maps must be 0 to 600 seconds".to_owned()
    });
    let version = config.frr_version.as_deref();
    problems.check(version.is_none_or(is_line), || {
        "the FRR version must be one line".to_owned()
    });
    let log_file = config.log.file.as_ref().map(|file| &file.path);
    for (what, path) in [
        ("log file", log_file),
        ("API socket", config.api.socket.as_ref()),
    ] {
        let fits = path.is_none_or(|path| path.to_str().is_some_and(is_word));
        problems.check(fits, || {
            format!("the path of the {what} must not contain blanks")
        });
    }
    let precision = config.log.timestamp_precision.unwrap_or(0);
    problems.check(precision <= 12, || {
        "timestamp precision must be 0 to 12".to_owned()
    });
}

/// A list or route map is named by one word.
fn check_name_of(name: &Option<String>, problems: &mut Problems) {
    let fits = name.as_deref().is_none_or(is_word);
    problems.check(fits, || {
        "the name of a list or route map must be one word".to_owned()
    });
}

fn check_rpki(rpki: &Rpki, problems: &mut Problems) {
    for (what, secs, range) in [
        ("polling period", rpki.polling_period_secs, 1..=86_400),
        ("retry interval", rpki.retry_interval_secs, 1..=7200),
        ("expire interval", rpki.expire_interval_secs, 600..=172_800),
    ] {
        problems.check(secs.is_none_or(|secs| range.contains(&secs)), || {
            let (low, high) = (range.start(), range.end());
            format!("the {what} of RPKI must be {low} to {high} seconds")
        });
    }
    for (preference, cache) in &rpki.caches {
        let fits = is_word(&cache.host);
        problems.check(*preference != 0 && cache.port != 0 && fits, || {
            format!("there can be no RPKI cache \"{}\"", cache.host)
        });
    }
}

fn check_policy(policy: &PeerPolicy, problems: &mut Problems) {
    let names = [
        &policy.route_map,
        &policy.prefix_list,
        &policy.distribute_list,
        &policy.filter_list,
    ];
    for names in names {
        check_name_of(&names.inbound, problems);
        check_name_of(&names.outbound, problems);
    }
    check_name_of(&policy.unsuppress_map, problems);
    let default = policy.default_originate.as_ref();
    check_name_of(&default.and_then(|d| d.route_map.clone()), problems);
    if let Some(map) = &policy.advertise_map {
        check_name_of(&Some(map.advertise.clone()), problems);
        check_name_of(&Some(map.condition.clone()), problems);
    }
    check_dampening(policy.dampening, problems);
    problems.check(!lists_twice(policy), || LISTS_TWICE.to_owned());
}

fn check_instance(bgp: &Bgp, problems: &mut Problems) {
    problems.subject = Some(Subject::Bgp);
    problems.check(bgp.asn != 0, || "AS 0 is reserved (RFC 7607)".to_owned());
    problems.check(bgp.confederation_identifier != Some(0), || {
        "AS 0 is reserved (RFC 7607)".to_owned()
    });
    problems.check(!bgp.confederation_peers.contains(&0), || {
        "AS 0 is reserved (RFC 7607)".to_owned()
    });
    problems.check(!bgp.confederation_peers.contains(&bgp.asn), || {
        "the local AS is not one of the other members of its confederation".to_owned()
    });
    problems.check(bgp.timers.is_valid(), || HOLD_TIME.to_owned());
    problems.check(bgp.connect_retry_secs != 0, || CONNECT_RETRY.to_owned());
    let times = [
        ("restart time", bgp.graceful_restart.restart_time_secs),
        ("stale path time", bgp.graceful_restart.stalepath_time_secs),
    ];
    for (what, seconds) in times {
        let fits = (1..=4095).contains(&seconds);
        problems.check(fits, || format!("the {what} must be 1 to 4095 seconds"));
    }
    let timer = bgp.conditional_advertisement_secs;
    problems.check(timer.is_none_or(|secs| (5..=240).contains(&secs)), || {
        "the timer of conditional advertisements must be 5 to 240 seconds".to_owned()
    });
    let zero = bgp.cluster_id.is_some_and(|id| id.is_unspecified());
    problems.check(!zero, || "the cluster ID must not be 0.0.0.0".to_owned());
}

const HOLD_TIME: &str = "the hold time must be 0 or at least 3 seconds";
/// What is said about a password that [`can_be_password`] refuses.
pub(crate) const PASSWORD: &str = "the password must be 1 to 80 characters without blanks";
const CONNECT_RETRY: &str = "the connect retry time must be at least 1 second";

fn check_group(bgp: &Bgp, name: &str, group: &PeerSettings, problems: &mut Problems) {
    let fits = is_word(name) && name.parse::<IpAddr>().is_err();
    problems.check(fits, || {
        format!("\"{name}\" cannot name a peer group: it must be one word, and no address")
    });
    check_settings(group, problems);
    check_reflection(group, bgp.group_kind(name, None), problems);
}

fn check_neighbor(bgp: &Bgp, address: IpAddr, neighbor: &Neighbor, problems: &mut Problems) {
    problems.check(can_be_neighbor(address), || no_neighbor(address));
    let own = &neighbor.settings;
    check_settings(own, problems);
    check_reflection(own, bgp.neighbor_kind(address), problems);
    let group = bgp.group_of(neighbor);
    if let (Some(name), None) = (&neighbor.peer_group, group) {
        let message = format!("neighbor {address} is in peer group {name}, which is not defined");
        problems.check(false, || message);
        return;
    }
    let group_as = group.and_then(|group| group.remote_as);
    let has_as = group_as.or(own.remote_as).is_some();
    problems.check(has_as, || match &neighbor.peer_group {
        Some(name) => format!("neighbor {address} has no remote-as, nor has its peer group {name}"),
        None => format!("neighbor {address} has no remote-as"),
    });
    let overrides = group_as.is_some() && own.remote_as.is_some();
    problems.check(!overrides, || {
        format!("neighbor {address} cannot override the remote-as of its peer group")
    });
}

/// What is said about an address that [`can_be_neighbor`] refuses.
pub(crate) fn no_neighbor(address: IpAddr) -> String {
    format!("{address} cannot be a neighbor")
}

/// Whether an address is that of one host.
pub(crate) fn can_be_neighbor(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !address.is_unspecified() && !address.is_multicast() && !broadcast
}

fn check_settings(settings: &PeerSettings, problems: &mut Problems) {
    let asn = settings.remote_as != Some(RemoteAs::Number(0));
    problems.check(asn, || "AS 0 is reserved (RFC 7607)".to_owned());
    check_family_settings(settings, problems);
    let description = settings.description.as_deref();
    problems.check(description.is_none_or(is_line), || {
        "the description must be one line".to_owned()
    });
    problems.check(
        settings.timers.is_none_or(|timers| timers.is_valid()),
        || HOLD_TIME.to_owned(),
    );
    problems.check(settings.connect_retry_secs != Some(0), || {
        CONNECT_RETRY.to_owned()
    });
    let hops = settings.ebgp_multihop != Some(0);
    problems.check(hops, || "ebgp-multihop must be at least 1".to_owned());
    problems.check(settings.port != Some(0), || {
        "the port must be at least 1".to_owned()
    });
    let password = settings.password.as_deref();
    problems.check(password.is_none_or(can_be_password), || PASSWORD.to_owned());
    if let Some(UpdateSource::Interface(name)) = &settings.update_source {
        let fits = is_word(name) && name.parse::<IpAddr>().is_err();
        problems.check(fits, || format!("\"{name}\" cannot be an interface"));
    }
    if let Some(Shutdown::On {
        message: Some(message),
    }) = &settings.shutdown
    {
        problems.check(is_line(message), || {
            "the shutdown message must be one line".to_owned()
        });
    }
}

/// Whether a password fits: the limit is the kernel's, TCP_MD5SIG_MAXKEYLEN.
pub(crate) fn can_be_password(word: &str) -> bool {
    is_word(word) && word.len() <= 80
}

fn check_family_settings(settings: &PeerSettings, problems: &mut Problems) {
    for family in Family::ALL {
        check_policy(&settings.af(family).policy, problems);
        let times = match settings.af(family).allowas_in {
            Some(AllowAsIn::Times(times)) => times,
            Some(AllowAsIn::Origin) | None => 1,
        };
        problems.check((1..=10).contains(&times), || {
            "allowas-in must be 1 to 10".to_owned()
        });
    }
}

fn check_reflection(settings: &PeerSettings, kind: Option<PeerKind>, problems: &mut Problems) {
    let client = |family| settings.af(family).route_reflector_client == Some(true);
    let reflects = Family::ALL.into_iter().any(client);
    problems.check(!reflects || kind == Some(PeerKind::Internal), || {
        "only internal peers can be route-reflector clients".to_owned()
    });
}

/// A group without an AS of its own takes members of one kind.
fn check_members(bgp: &Bgp, problems: &mut Problems) {
    for (address, neighbor) in &bgp.neighbors {
        let (Some(name), Some(own)) = (&neighbor.peer_group, neighbor.settings.remote_as) else {
            continue;
        };
        if bgp
            .group_of(neighbor)
            .is_none_or(|group| group.remote_as.is_some())
        {
            continue;
        }
        problems.subject = Some(Subject::Neighbor(*address));
        let same = bgp.group_kind(name, None) == Some(bgp.resolve_remote(own).kind);
        problems.check(same, || {
            format!("the members of peer group {name} must be all internal or all external")
        });
    }
}

fn check_family<P: Prefix>(af: &AfConfig<P>, problems: &mut Problems) {
    problems.subject = Some(Subject::Family(P::FAMILY));
    for (what, paths) in [
        ("maximum-paths", af.maximum_paths),
        ("maximum-paths-ibgp", af.maximum_paths_ibgp),
    ] {
        let fits = (1..=256).contains(&paths);
        problems.check(fits, || format!("{what} must be 1 to 256"));
    }
    check_origination(af, problems);
    if let Some(resilient) = af.resilient {
        problems.check(resilient.buckets > 0, || {
            "buckets of maximum-paths resilient must be 1 to 65535".to_owned()
        });
        for (what, secs) in [
            ("idle", resilient.idle_timer_secs),
            ("unbalanced", resilient.unbalanced_timer_secs),
        ] {
            problems.check(secs <= MAX_RESILIENT_TIMER_SECS, || {
                format!("{what}-timer must be 0 to {MAX_RESILIENT_TIMER_SECS}")
            });
        }
    }
}

fn check_origination<P: Prefix>(af: &AfConfig<P>, problems: &mut Problems) {
    for network in af.networks.values() {
        check_name_of(&network.route_map, problems);
    }
    for options in af.redistribute.values() {
        check_name_of(&options.route_map, problems);
    }
    for (prefix, aggregate) in &af.aggregates {
        check_name_of(&aggregate.route_map, problems);
        check_name_of(&aggregate.suppress_map, problems);
        if let Some(message) = no_aggregate(*prefix) {
            problems.check(false, || message);
        }
        let both = aggregate.summary_only && aggregate.suppress_map.is_some();
        problems.check(!both, || BOTH_SUPPRESS.to_owned());
    }
    check_name_of(&af.import_vrf_route_map, problems);
    check_name_of(&af.table_map, problems);
    check_dampening(af.dampening, problems);
}

fn check_dampening(damping: Option<Dampening>, problems: &mut Problems) {
    if let Some(damping) = damping {
        let in_range = (1..=45).contains(&damping.half_life_mins)
            && (1..=20_000).contains(&damping.reuse)
            && (1..=50_000).contains(&damping.suppress)
            && damping.max_suppress_mins > 0;
        problems.check(in_range, || "dampening is out of range".to_owned());
        let contradict = damping.suppress < damping.reuse;
        problems.check(!contradict, || SUPPRESS_BELOW_REUSE.to_owned());
    }
}
