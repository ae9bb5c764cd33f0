//! The text of what a route map matches and sets: the words that name the
//! clause, and its values.
//!
//! An entry has at most one clause of each name. They stand in the order of
//! their texts, as FRR prints them, but for those that change the same thing, such
//! as the AS path: FRR runs those as they were typed, and so do we. It prints them
//! by their texts all the same, and what it reads back does something else. Here
//! they are printed as they run.

use bgp_wire::{Community, ExtendedCommunity, Family, LargeCommunity};
use holdfast_policy::model::{
    AsPathPrepend, BandwidthSet, CommunityChange, CommunityCompare, Delta, ExcludeAsns, ListKind,
    Match, MetricSet, NextHopKind, NextHopSet, OtherProtocol, PeerMatch, ReplaceAs, RouteMapEntry,
    RpkiState, Set, SourceProtocol,
};

use crate::origination::origin_word;

/// A clause of a route map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Clause {
    Match(Match),
    Set(Set),
}

/// The text of a clause.
pub(crate) struct ClauseText {
    /// Which of its kind there can be one of in an entry.
    pub(crate) name: &'static str,
    /// The rest of the line.
    pub(crate) values: String,
}

impl std::fmt::Display for ClauseText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)?;
        if !self.values.is_empty() {
            write!(f, " {}", self.values)?;
        }
        Ok(())
    }
}

fn text(name: &'static str, values: impl ToString) -> ClauseText {
    ClauseText {
        name,
        values: values.to_string(),
    }
}

/// Puts a clause in its place, instead of the one of its name.
pub(crate) fn put(entry: &mut RouteMapEntry, clause: Clause) {
    match clause {
        Clause::Match(clause) => put_into(&mut entry.matches, clause, match_text),
        Clause::Set(clause) => put_into(&mut entry.sets, normal_set(clause), set_text),
    }
}

fn put_into<T>(clauses: &mut Vec<T>, clause: T, text: fn(&T) -> ClauseText) {
    let new = text(&clause);
    clauses.retain(|old| text(old).name != new.name);
    let new = new.to_string();
    let at = clauses.partition_point(|old| rank(&text(old).to_string()) <= rank(&new));
    clauses.insert(at, clause);
}

/// Lines that change the same thing begin with one of these.
const TOGETHER: [&str; 4] = [
    "set as-path",
    "set comm",
    "set large-comm",
    "set ipv6 next-hop",
];

/// What the lines of an entry are sorted by; those of one rank stay in their order.
pub(crate) fn rank(line: &str) -> &str {
    let shared = TOGETHER.into_iter().find(|group| line.starts_with(group));
    shared.unwrap_or(line)
}

/// Takes the clause of this name out of an entry.
pub(crate) fn remove(entry: &mut RouteMapEntry, name: &str) {
    entry
        .matches
        .retain(|clause| match_text(clause).name != name);
    entry.sets.retain(|clause| set_text(clause).name != name);
}

/// Brings clauses into their order; of those of one name the last stays.
pub(crate) fn normalize(entry: &mut RouteMapEntry) {
    for clause in std::mem::take(&mut entry.matches) {
        put(entry, Clause::Match(clause));
    }
    for clause in std::mem::take(&mut entry.sets) {
        put(entry, Clause::Set(clause));
    }
}

/// Communities are set, not listed: in order, and none twice.
fn normal_set(clause: Set) -> Set {
    let sorted = |mut all: Vec<Community>| {
        all.sort_unstable();
        all.dedup();
        all
    };
    match clause {
        Set::Community(CommunityChange::Replace(all)) => {
            Set::Community(CommunityChange::Replace(sorted(all)))
        }
        Set::Community(CommunityChange::Add(all)) => {
            Set::Community(CommunityChange::Add(sorted(all)))
        }
        other => other,
    }
}

// ===== match =====

/// The line of a `match` clause.
pub(crate) fn match_text(clause: &Match) -> ClauseText {
    match clause {
        Match::Address(family, list) => address(*family, list),
        Match::PrefixLen(Family::Ipv4Unicast, length) => {
            text("match ip address prefix-len", length)
        }
        Match::PrefixLen(Family::Ipv6Unicast, length) => {
            text("match ipv6 address prefix-len", length)
        }
        Match::NextHop(family, kind) => next_hop(*family, kind),
        Match::RouteSource(ListKind::Access(name)) => text("match ip route-source", name),
        Match::RouteSource(ListKind::Prefix(name)) => {
            text("match ip route-source prefix-list", name)
        }
        Match::AsPath(name) => text("match as-path", name),
        Match::Community(name, compare) => text("match community", compared(name, *compare)),
        Match::LargeCommunity(name, compare) => {
            text("match large-community", compared(name, *compare))
        }
        Match::ExtCommunity(name) => text("match extcommunity", name),
        Match::Alias(name) => text("match alias", name),
        Match::LocalPreference(value) => text("match local-preference", value),
        Match::Metric(value) => text("match metric", value),
        Match::Origin(origin) => text("match origin", origin_word(*origin)),
        Match::Peer(PeerMatch::Address(address)) => text("match peer", address),
        Match::Peer(PeerMatch::Interface(name)) => text("match peer", name),
        Match::Peer(PeerMatch::Local) => text("match peer", "local"),
        Match::Interface(name) => text("match interface", name),
        Match::Tag(tag) => text("match tag", tag),
        Match::SourceProtocol(protocol) => text("match source-protocol", protocol_word(*protocol)),
        Match::SourceInstance(number) => text("match source-instance", number),
        Match::SourceVrf(name) => text("match source-vrf", name),
        Match::Rpki(state) => text("match rpki", rpki_word(*state)),
        Match::Probability(percent) => text("match probability", percent),
    }
}

fn address(family: Family, list: &ListKind) -> ClauseText {
    match (family, list) {
        (Family::Ipv4Unicast, ListKind::Access(name)) => text("match ip address", name),
        (Family::Ipv6Unicast, ListKind::Access(name)) => text("match ipv6 address", name),
        (Family::Ipv4Unicast, ListKind::Prefix(name)) => text("match ip address prefix-list", name),
        (Family::Ipv6Unicast, ListKind::Prefix(name)) => {
            text("match ipv6 address prefix-list", name)
        }
    }
}

fn next_hop(family: Family, kind: &NextHopKind) -> ClauseText {
    let names = match family {
        Family::Ipv4Unicast => [
            "match ip next-hop",
            "match ip next-hop prefix-list",
            "match ip next-hop address",
            "match ip next-hop prefix-len",
            "match ip next-hop type",
        ],
        Family::Ipv6Unicast => [
            "match ipv6 next-hop",
            "match ipv6 next-hop prefix-list",
            "match ipv6 next-hop address",
            "match ipv6 next-hop prefix-len",
            "match ipv6 next-hop type",
        ],
    };
    let [access, prefix, address, length, kind_of] = names;
    match kind {
        NextHopKind::List(ListKind::Access(name)) => text(access, name),
        NextHopKind::List(ListKind::Prefix(name)) => text(prefix, name),
        NextHopKind::Address(value) => text(address, value),
        NextHopKind::PrefixLen(value) => text(length, value),
        NextHopKind::Blackhole => text(kind_of, "blackhole"),
    }
}

fn compared(name: &str, compare: CommunityCompare) -> String {
    match compare {
        CommunityCompare::All => name.to_owned(),
        CommunityCompare::Exact => format!("{name} exact-match"),
        CommunityCompare::Any => format!("{name} any"),
    }
}

/// The words of what origin validation says.
pub(crate) const RPKI_STATES: [(&str, RpkiState); 3] = [
    ("valid", RpkiState::Valid),
    ("invalid", RpkiState::Invalid),
    ("notfound", RpkiState::NotFound),
];

fn rpki_word(state: RpkiState) -> &'static str {
    match state {
        RpkiState::Valid => "valid",
        RpkiState::Invalid => "invalid",
        RpkiState::NotFound => "notfound",
    }
}

/// The words of where routes are from.
pub(crate) const PROTOCOLS: [(&str, SourceProtocol); 19] = [
    ("bgp", SourceProtocol::Bgp),
    ("connected", SourceProtocol::Connected),
    ("kernel", SourceProtocol::Kernel),
    ("static", SourceProtocol::Static),
    ("babel", SourceProtocol::Other(OtherProtocol::Babel)),
    ("eigrp", SourceProtocol::Other(OtherProtocol::Eigrp)),
    ("isis", SourceProtocol::Other(OtherProtocol::Isis)),
    ("nhrp", SourceProtocol::Other(OtherProtocol::Nhrp)),
    (
        "openfabric",
        SourceProtocol::Other(OtherProtocol::Openfabric),
    ),
    ("ospf", SourceProtocol::Other(OtherProtocol::Ospf)),
    ("ospf6", SourceProtocol::Other(OtherProtocol::Ospf6)),
    ("pim", SourceProtocol::Other(OtherProtocol::Pim)),
    ("rip", SourceProtocol::Other(OtherProtocol::Rip)),
    ("ripng", SourceProtocol::Other(OtherProtocol::Ripng)),
    ("sharp", SourceProtocol::Other(OtherProtocol::Sharp)),
    ("system", SourceProtocol::Other(OtherProtocol::System)),
    ("table", SourceProtocol::Other(OtherProtocol::Table)),
    ("vnc", SourceProtocol::Other(OtherProtocol::Vnc)),
    (
        "vnc-direct",
        SourceProtocol::Other(OtherProtocol::VncDirect),
    ),
];

fn protocol_word(protocol: SourceProtocol) -> &'static str {
    let known = PROTOCOLS.iter().find(|(_, known)| *known == protocol);
    known.map_or("", |(word, _)| word)
}

// ===== set =====

/// The line of a `set` clause.
pub(crate) fn set_text(clause: &Set) -> ClauseText {
    match clause {
        Set::LocalPreference(delta) => text("set local-preference", delta_text(*delta)),
        Set::Metric(metric) => text("set metric", metric_text(*metric)),
        Set::Weight(weight) => text("set weight", weight),
        Set::Origin(origin) => text("set origin", origin_word(*origin)),
        Set::AsPathPrepend(AsPathPrepend::Asns(asns)) => text("set as-path prepend", words(asns)),
        Set::AsPathPrepend(AsPathPrepend::LastAs(times)) => {
            text("set as-path prepend", format!("last-as {times}"))
        }
        Set::AsPathExclude(exclude) => text("set as-path exclude", exclude_text(exclude)),
        Set::AsPathReplace(replace) => text("set as-path replace", replace_text(*replace)),
        Set::Community(change) => text("set community", change_text(change, community_word)),
        Set::CommListDelete(name) => text("set comm-list", format!("{name} delete")),
        Set::LargeCommunity(change) => text(
            "set large-community",
            change_text(change, LargeCommunity::to_string),
        ),
        Set::LargeCommListDelete(name) => text("set large-comm-list", format!("{name} delete")),
        Set::ExtCommunityRt(all) => text("set extcommunity rt", numbers(all)),
        Set::ExtCommunitySoo(all) => text("set extcommunity soo", numbers(all)),
        Set::ExtCommunityBandwidth {
            bandwidth,
            non_transitive,
        } => text(
            "set extcommunity bandwidth",
            bandwidth_text(*bandwidth, *non_transitive),
        ),
        Set::ExtCommunityNone => text("set extcommunity none", ""),
        Set::Src(address) => text("set src", address),
        Set::Tag(tag) => text("set tag", tag),
        Set::Table(table) => text("set table", table),
        Set::Distance(distance) => text("set distance", distance),
        Set::OriginatorId(id) => text("set originator-id", id),
        Set::AtomicAggregate => text("set atomic-aggregate", ""),
        Set::Aggregator(aggregator) => text(
            "set aggregator as",
            format!("{} {}", aggregator.asn, aggregator.address),
        ),
        Set::AigpMetric(None) => text("set aigp-metric", "igp-metric"),
        Set::AigpMetric(Some(metric)) => text("set aigp-metric", metric),
        Set::NextHop(next_hop) => text("set ip next-hop", next_hop_text(*next_hop)),
        Set::Ipv6NextHopGlobal(address) => text("set ipv6 next-hop global", address),
        Set::Ipv6NextHopLocal(address) => text("set ipv6 next-hop local", address),
        Set::Ipv6NextHopPeerAddress => text("set ipv6 next-hop peer-address", ""),
        Set::Ipv6NextHopPreferGlobal => text("set ipv6 next-hop prefer-global", ""),
    }
}

fn next_hop_text(next_hop: NextHopSet) -> String {
    match next_hop {
        NextHopSet::Address(address) => address.to_string(),
        NextHopSet::PeerAddress => "peer-address".to_owned(),
        NextHopSet::Unchanged => "unchanged".to_owned(),
    }
}

fn delta_text(delta: Delta) -> String {
    match delta {
        Delta::To(value) => value.to_string(),
        Delta::Add(value) => format!("+{value}"),
        Delta::Subtract(value) => format!("-{value}"),
    }
}

fn metric_text(metric: MetricSet) -> String {
    match metric {
        MetricSet::By(delta) => delta_text(delta),
        MetricSet::Rtt => "rtt".to_owned(),
        MetricSet::AddRtt => "+rtt".to_owned(),
        MetricSet::SubtractRtt => "-rtt".to_owned(),
        MetricSet::Igp => "igp".to_owned(),
        MetricSet::Aigp => "aigp".to_owned(),
    }
}

fn exclude_text(exclude: &ExcludeAsns) -> String {
    match exclude {
        ExcludeAsns::Asns(asns) => words(asns),
        ExcludeAsns::All => "all".to_owned(),
        ExcludeAsns::List(name) => format!("as-path-access-list {name}"),
    }
}

fn replace_text(replace: ReplaceAs) -> String {
    let from = replace.from.map_or("any".to_owned(), |asn| asn.to_string());
    let to = replace.to.map(|asn| format!(" {asn}")).unwrap_or_default();
    format!("{from}{to}")
}

fn bandwidth_text(bandwidth: BandwidthSet, non_transitive: bool) -> String {
    let value = match bandwidth {
        BandwidthSet::Mbits(mbits) => mbits.to_string(),
        BandwidthSet::Cumulative => "cumulative".to_owned(),
        BandwidthSet::NumMultipaths => "num-multipaths".to_owned(),
    };
    let more = if non_transitive {
        " non-transitive"
    } else {
        ""
    };
    format!("{value}{more}")
}

/// How a change of communities is written.
fn change_text<C>(change: &CommunityChange<C>, word: fn(&C) -> String) -> String {
    let words = |all: &[C]| all.iter().map(word).collect::<Vec<_>>().join(" ");
    match change {
        CommunityChange::Replace(all) => words(all),
        CommunityChange::Add(all) => format!("{} additive", words(all)),
        CommunityChange::None => "none".to_owned(),
    }
}

/// FRR's name of 0:0.
pub(crate) const INTERNET: &str = "internet";

/// A community as FRR's configuration has it.
pub(crate) fn community_word(community: &Community) -> String {
    match community.0 {
        0 => INTERNET.to_owned(),
        _ => community.to_string(),
    }
}

/// A community from a word of a line. FRR takes no plain numbers.
pub(crate) fn community_of(word: &str) -> Option<Community> {
    if word == INTERNET {
        return Some(Community(0));
    }
    let number = word.bytes().all(|byte| byte.is_ascii_digit());
    word.parse().ok().filter(|_| !number)
}

/// Extended communities without the words that say their kind.
fn numbers(all: &[ExtendedCommunity]) -> String {
    let number = |community: &ExtendedCommunity| {
        let text = community.to_string();
        let value = text.split_once(':').map(|(_, value)| value.to_owned());
        value.unwrap_or_default()
    };
    all.iter().map(number).collect::<Vec<_>>().join(" ")
}

fn words<T: ToString>(all: &[T]) -> String {
    all.iter().map(T::to_string).collect::<Vec<_>>().join(" ")
}
