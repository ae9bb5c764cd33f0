//! The `set` lines of a route map.

use std::net::IpAddr;

use bgp_wire::{ExtendedCommunity, LargeCommunity};
use holdfast_policy::model::{
    AggregatorSet, AsPathPrepend, BandwidthSet, CommunityChange, Delta, ExcludeAsns, Listable,
    MetricSet, NextHopSet, ReplaceAs, Set,
};

use crate::clause::{Clause, community_of};
use crate::origination::ORIGINS;

use super::matches::unread;
use super::row::{Apply, Args, Print, Rejection, Row};

/// A clause by its name, its values, and what may follow `no`.
macro_rules! clause {
    ($name:literal, $values:literal, $no:literal, $build:expr) => {
        Row::new(
            concat!($name, " ", $values),
            concat!("no ", $name, " ", $no),
            Apply::Clause($name, |args| {
                let build: fn(&Args<'_>) -> Result<Set, Rejection> = $build;
                build(args).map(Clause::Set)
            }),
            Print::Nothing,
        )
    };
}

/// A number, and what it is set to.
macro_rules! number {
    ($name:literal, $range:literal, $set:expr) => {
        Row::new(
            concat!($name, " ", $range, "$value"),
            concat!("no ", $name, " [", $range, "]"),
            Apply::Clause($name, |args| {
                let value = args.number("value").ok_or_else(unread)?;
                Ok(Clause::Set($set(value)))
            }),
            Print::Nothing,
        )
    };
}

const NUMBERS: [Row; 7] = [
    clause!(
        "set local-preference",
        "PREFERENCE$value",
        "[PREFERENCE]",
        |args| {
            let text = args.text("value").unwrap_or_default();
            Ok(Set::LocalPreference(delta(&text).ok_or_else(unread)?))
        }
    ),
    clause!("set metric", "METRIC$value", "[METRIC]", |args| {
        metric(&args.text("value").unwrap_or_default()).map(Set::Metric)
    }),
    number!("set weight", "(0-4294967295)", Set::Weight),
    number!("set tag", "(1-4294967295)", Set::Tag),
    number!("set table", "(1-4294967295)", Set::Table),
    number!("set distance", "(0-255)", Set::Distance),
    clause!(
        "set aigp-metric",
        "<igp-metric|(1-4294967295)$value>",
        "[<igp-metric|(1-4294967295)>]",
        |args| Ok(Set::AigpMetric(args.number("value")))
    ),
];

const PATHS: [Row; 9] = [
    clause!(
        "set origin",
        "<egp|igp|incomplete>$value",
        "[<egp|igp|incomplete>]",
        |args| Ok(Set::Origin(
            args.one_of("value", &ORIGINS).ok_or_else(unread)?
        ))
    ),
    clause!("set as-path prepend", "LINE...$asns", "[LINE...]", |args| {
        Ok(Set::AsPathPrepend(AsPathPrepend::Asns(asns(args)?)))
    }),
    Row::new(
        "set as-path prepend last-as (1-10)$times",
        "no set as-path prepend last-as [(1-10)]",
        Apply::Clause("set as-path prepend", |args| {
            let times = args.number("times").ok_or_else(unread)?;
            let prepend = AsPathPrepend::LastAs(times);
            Ok(Clause::Set(Set::AsPathPrepend(prepend)))
        }),
        Print::Nothing,
    ),
    clause!("set as-path exclude", "LINE...$asns", "[LINE...]", |args| {
        Ok(Set::AsPathExclude(ExcludeAsns::Asns(asns(args)?)))
    }),
    clause!("set as-path exclude", "all", "all", |_| Ok(
        Set::AsPathExclude(ExcludeAsns::All)
    )),
    Row::new(
        "set as-path exclude as-path-access-list AS_PATH_FILTER_NAME$list",
        "no set as-path exclude as-path-access-list [AS_PATH_FILTER_NAME]",
        Apply::Clause("set as-path exclude", |args| {
            let list = args.text("list").ok_or_else(unread)?;
            Ok(Clause::Set(Set::AsPathExclude(ExcludeAsns::List(list))))
        }),
        Print::Nothing,
    ),
    clause!(
        "set as-path replace",
        "<any|(1-4294967295)$from> [(1-4294967295)$to]",
        "[<any|(1-4294967295)> [(1-4294967295)]]",
        |args| Ok(Set::AsPathReplace(ReplaceAs {
            from: args.number("from"),
            to: args.number("to"),
        }))
    ),
    clause!("set atomic-aggregate", "", "", |_| Ok(Set::AtomicAggregate)),
    clause!(
        "set aggregator as",
        "(1-4294967295)$asn A.B.C.D$address",
        "[(1-4294967295) A.B.C.D]",
        |args| match (args.number("asn"), args.address("address")) {
            (Some(asn), Some(IpAddr::V4(address))) => {
                Ok(Set::Aggregator(AggregatorSet { asn, address }))
            }
            _ => Err(unread()),
        }
    ),
];

const COMMUNITIES: [Row; 10] = [
    clause!("set community", "LINE...$all", "[LINE...]", |args| {
        let text = args.text("all").unwrap_or_default();
        let change = change(&text, community_of).ok_or_else(|| {
            Rejection::at("all", format!("Malformed communities attribute '{text}'"))
        })?;
        Ok(Set::Community(change))
    }),
    clause!("set community", "none", "none", |_| Ok(Set::Community(
        CommunityChange::None
    ))),
    clause!(
        "set comm-list",
        "COMMUNITY_LIST_NAME$list delete",
        "[COMMUNITY_LIST_NAME [delete]]",
        |args| Ok(Set::CommListDelete(args.text("list").ok_or_else(unread)?))
    ),
    clause!("set large-community", "LINE...$all", "[LINE...]", |args| {
        let text = args.text("all").unwrap_or_default();
        let change = change(&text, |word| word.parse::<LargeCommunity>().ok());
        Ok(Set::LargeCommunity(change.ok_or_else(unread)?))
    }),
    clause!("set large-community", "none", "none", |_| Ok(
        Set::LargeCommunity(CommunityChange::None)
    )),
    clause!(
        "set large-comm-list",
        "LCOMMUNITY_LIST_NAME$list delete",
        "[LCOMMUNITY_LIST_NAME [delete]]",
        |args| Ok(Set::LargeCommListDelete(
            args.text("list").ok_or_else(unread)?
        ))
    ),
    clause!("set extcommunity rt", "LINE...$all", "[LINE...]", |args| {
        Ok(Set::ExtCommunityRt(extended(args, "rt")?))
    }),
    clause!("set extcommunity soo", "LINE...$all", "[LINE...]", |args| {
        Ok(Set::ExtCommunitySoo(extended(args, "soo")?))
    }),
    clause!(
        "set extcommunity bandwidth",
        "<(1-25600)$value|cumulative|num-multipaths> [non-transitive]",
        "[<(1-25600)|cumulative|num-multipaths> [non-transitive]]",
        |args| {
            let bandwidth = match args.number("value") {
                Some(mbits) => BandwidthSet::Mbits(mbits),
                None if args.found.has("cumulative") => BandwidthSet::Cumulative,
                None => BandwidthSet::NumMultipaths,
            };
            Ok(Set::ExtCommunityBandwidth {
                bandwidth,
                non_transitive: args.found.has("non-transitive"),
            })
        }
    ),
    clause!("set extcommunity none", "", "", |_| Ok(
        Set::ExtCommunityNone
    )),
];

const ADDRESSES: [Row; 8] = [
    clause!("set ip next-hop", "A.B.C.D$address", "[A.B.C.D]", |args| {
        match args.address("address") {
            Some(IpAddr::V4(address)) if !address.is_unspecified() && address.octets()[0] < 224 => {
                Ok(Set::NextHop(NextHopSet::Address(address)))
            }
            _ => Err(Rejection::at("address", "nexthop address is not valid")),
        }
    }),
    clause!("set ip next-hop", "peer-address", "peer-address", |_| Ok(
        Set::NextHop(NextHopSet::PeerAddress)
    )),
    clause!("set ip next-hop", "unchanged", "unchanged", |_| Ok(
        Set::NextHop(NextHopSet::Unchanged)
    )),
    clause!(
        "set ipv6 next-hop global",
        "X:X::X:X$address",
        "[X:X::X:X]",
        |args| match args.address("address") {
            Some(IpAddr::V6(address))
                if !address.is_unspecified() && !address.is_unicast_link_local() =>
            {
                Ok(Set::Ipv6NextHopGlobal(address))
            }
            _ => Err(Rejection::at("address", "Invalid global nexthop")),
        }
    ),
    clause!(
        "set ipv6 next-hop local",
        "X:X::X:X$address",
        "[X:X::X:X]",
        |args| match args.address("address") {
            Some(IpAddr::V6(address)) if address.is_unicast_link_local() => {
                Ok(Set::Ipv6NextHopLocal(address))
            }
            _ => Err(Rejection::at("address", "Invalid link-local nexthop")),
        }
    ),
    clause!("set ipv6 next-hop peer-address", "", "", |_| Ok(
        Set::Ipv6NextHopPeerAddress
    )),
    clause!("set ipv6 next-hop prefer-global", "", "", |_| Ok(
        Set::Ipv6NextHopPreferGlobal
    )),
    clause!(
        "set src",
        "<A.B.C.D|X:X::X:X>$address",
        "[<A.B.C.D|X:X::X:X>]",
        |args| Ok(Set::Src(args.address("address").ok_or_else(unread)?))
    ),
];

const IDS: [Row; 1] = [clause!(
    "set originator-id",
    "A.B.C.D$id",
    "[A.B.C.D]",
    |args| match args.address("id") {
        Some(IpAddr::V4(id)) => Ok(Set::OriginatorId(id)),
        _ => Err(unread()),
    }
)];

/// All of them.
pub(super) const ROWS: [&[Row]; 5] = [&NUMBERS, &PATHS, &COMMUNITIES, &ADDRESSES, &IDS];

fn delta(text: &str) -> Option<Delta> {
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|_| digits)
    };
    if let Some(rest) = text.strip_prefix('+') {
        number(rest).map(Delta::Add)
    } else if let Some(rest) = text.strip_prefix('-') {
        number(rest).map(Delta::Subtract)
    } else {
        number(text).map(Delta::To)
    }
}

fn metric(text: &str) -> Result<MetricSet, Rejection> {
    let rejected = |message: &str| Err(Rejection::at("value", message));
    Ok(match text {
        "rtt" => MetricSet::Rtt,
        "+rtt" => MetricSet::AddRtt,
        "-rtt" => MetricSet::SubtractRtt,
        "igp" => MetricSet::Igp,
        "aigp" => MetricSet::Aigp,
        _ => match delta(text) {
            Some(Delta::Add(0)) => return rejected("Can't add zero to metric"),
            Some(Delta::Subtract(0)) => return rejected("Can't subtract zero from metric"),
            Some(delta) => MetricSet::By(delta),
            None => return rejected(&unread().message),
        },
    })
}

fn asns(args: &Args<'_>) -> Result<Vec<u32>, Rejection> {
    let text = args.text("asns").unwrap_or_default();
    if text.starts_with("last-as") {
        return Err(Rejection::at(
            "asns",
            "last-as is followed by a number from 1 to 10",
        ));
    }
    let number = |word: &str| {
        let digits = word.bytes().all(|byte| byte.is_ascii_digit());
        let asn = word.parse::<u32>().ok().filter(|asn| digits && *asn > 0);
        asn.ok_or_else(|| Rejection::at("asns", format!("\"{word}\" is no AS number")))
    };
    text.split_whitespace().map(number).collect()
}

/// Communities, and `additive` among them.
fn change<C: Listable>(text: &str, read: fn(&str) -> Option<C>) -> Option<CommunityChange<C>> {
    let (additive, words): (Vec<&str>, Vec<&str>) = text
        .split_whitespace()
        .partition(|word| *word == "additive");
    let all: Vec<C> = words.into_iter().map(read).collect::<Option<_>>()?;
    if all.is_empty() {
        return None;
    }
    Some(match additive.is_empty() {
        true => CommunityChange::Replace(all),
        false => CommunityChange::Add(all),
    })
}

fn extended(args: &Args<'_>, kind: &str) -> Result<Vec<ExtendedCommunity>, Rejection> {
    let text = args.text("all").unwrap_or_default();
    let community = |word: &str| format!("{kind}:{word}").parse();
    let all: Result<Vec<_>, _> = text.split_whitespace().map(community).collect();
    all.map_err(|_| unread())
}
