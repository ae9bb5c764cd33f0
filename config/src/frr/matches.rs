//! The `match` lines of a route map.

use bgp_wire::Family;
use holdfast_policy::model::{CommunityCompare, ListKind, Match, NextHopKind, PeerMatch};

use crate::clause::{Clause, PROTOCOLS, RPKI_STATES};
use crate::origination::ORIGINS;

use super::row::{Apply, Args, Print, Rejection, Row};

/// A clause by its name, its values, and what may follow `no`.
macro_rules! clause {
    ($name:literal, $values:literal, $no:literal, $build:expr) => {
        Row::new(
            concat!($name, " ", $values),
            concat!("no ", $name, " ", $no),
            Apply::Clause($name, |args| {
                let build: fn(&Args<'_>) -> Option<Match> = $build;
                build(args).map(Clause::Match).ok_or_else(unread)
            }),
            Print::Nothing,
        )
    };
}

/// The lines about addresses that both families have.
macro_rules! address_clauses {
    ($family:expr, $address:literal, $next_hop:literal, $word:literal, $access:literal, $length:literal) => {
        [
            clause!($address, $access, "[WORD]", |args| {
                let list = ListKind::Access(args.text("list")?);
                Some(Match::Address($family, list))
            }),
            Row::new(
                concat!($address, " prefix-list PREFIXLIST_NAME$list"),
                concat!("no ", $address, " prefix-list [PREFIXLIST_NAME]"),
                Apply::Clause(concat!($address, " prefix-list"), |args| {
                    let list = ListKind::Prefix(args.text("list").unwrap_or_default());
                    Ok(Clause::Match(Match::Address($family, list)))
                }),
                Print::Nothing,
            ),
            Row::new(
                concat!($address, " prefix-len ", $length, "$length"),
                concat!("no ", $address, " prefix-len [", $length, "]"),
                Apply::Clause(concat!($address, " prefix-len"), |args| {
                    let length = args.number("length").unwrap_or_default();
                    Ok(Clause::Match(Match::PrefixLen($family, length)))
                }),
                Print::Nothing,
            ),
            clause!($next_hop, $access, "[WORD]", |args| {
                let list = ListKind::Access(args.text("list")?);
                Some(Match::NextHop($family, NextHopKind::List(list)))
            }),
            Row::new(
                concat!($next_hop, " prefix-list PREFIXLIST_NAME$list"),
                concat!("no ", $next_hop, " prefix-list [PREFIXLIST_NAME]"),
                Apply::Clause(concat!($next_hop, " prefix-list"), |args| {
                    let list = ListKind::Prefix(args.text("list").unwrap_or_default());
                    let list = NextHopKind::List(list);
                    Ok(Clause::Match(Match::NextHop($family, list)))
                }),
                Print::Nothing,
            ),
            Row::new(
                concat!($next_hop, " address ", $word, "$address"),
                concat!("no ", $next_hop, " address [", $word, "]"),
                Apply::Clause(concat!($next_hop, " address"), |args| {
                    let address = args.address("address").ok_or_else(unread)?;
                    let address = NextHopKind::Address(address);
                    Ok(Clause::Match(Match::NextHop($family, address)))
                }),
                Print::Nothing,
            ),
            Row::new(
                concat!($next_hop, " prefix-len ", $length, "$length"),
                concat!("no ", $next_hop, " prefix-len [", $length, "]"),
                Apply::Clause(concat!($next_hop, " prefix-len"), |args| {
                    let length = args.number("length").unwrap_or_default();
                    let length = NextHopKind::PrefixLen(length);
                    Ok(Clause::Match(Match::NextHop($family, length)))
                }),
                Print::Nothing,
            ),
            Row::new(
                concat!($next_hop, " type blackhole"),
                concat!("no ", $next_hop, " type [blackhole]"),
                Apply::Clause(concat!($next_hop, " type"), |_| {
                    let blackhole = NextHopKind::Blackhole;
                    Ok(Clause::Match(Match::NextHop($family, blackhole)))
                }),
                Print::Nothing,
            ),
        ]
    };
}

const IPV4: [Row; 8] = address_clauses!(
    Family::Ipv4Unicast,
    "match ip address",
    "match ip next-hop",
    "A.B.C.D",
    "ACCESSLIST4_NAME$list",
    "(0-32)"
);

/// How the address was said before there were lists.
const IPV6_NEXT_HOP: [Row; 1] = [Row::new(
    "match ipv6 next-hop X:X::X:X$address",
    "no match ipv6 next-hop X:X::X:X",
    Apply::Clause("match ipv6 next-hop address", |args| {
        let address = NextHopKind::Address(args.address("address").ok_or_else(unread)?);
        Ok(Clause::Match(Match::NextHop(Family::Ipv6Unicast, address)))
    }),
    Print::Nothing,
)
.hidden()];

const IPV6: [Row; 8] = address_clauses!(
    Family::Ipv6Unicast,
    "match ipv6 address",
    "match ipv6 next-hop",
    "X:X::X:X",
    "ACCESSLIST6_NAME$list",
    "(0-128)"
);

const ROUTE_SOURCE: [Row; 2] = [
    clause!(
        "match ip route-source",
        "ACCESSLIST4_NAME$list",
        "[WORD]",
        |args| Some(Match::RouteSource(ListKind::Access(args.text("list")?)))
    ),
    clause!(
        "match ip route-source prefix-list",
        "PREFIXLIST_NAME$list",
        "[PREFIXLIST_NAME]",
        |args| Some(Match::RouteSource(ListKind::Prefix(args.text("list")?)))
    ),
];

const ATTRIBUTES: [Row; 9] = [
    clause!(
        "match as-path",
        "AS_PATH_FILTER_NAME$list",
        "[AS_PATH_FILTER_NAME]",
        |args| Some(Match::AsPath(args.text("list")?))
    ),
    clause!(
        "match community",
        "COMMUNITY_LIST_NAME$list [exact-match|any]",
        "[COMMUNITY_LIST_NAME [exact-match|any]]",
        |args| Some(Match::Community(args.text("list")?, compared(args)))
    ),
    clause!(
        "match large-community",
        "LCOMMUNITY_LIST_NAME$list [exact-match|any]",
        "[LCOMMUNITY_LIST_NAME [exact-match|any]]",
        |args| Some(Match::LargeCommunity(args.text("list")?, compared(args)))
    ),
    clause!(
        "match extcommunity",
        "EXTCOMMUNITY_LIST_NAME$list",
        "[EXTCOMMUNITY_LIST_NAME]",
        |args| Some(Match::ExtCommunity(args.text("list")?))
    ),
    clause!("match alias", "ALIAS_NAME$alias", "[ALIAS_NAME]", |args| {
        Some(Match::Alias(args.text("alias")?))
    }),
    clause!(
        "match local-preference",
        "(0-4294967295)$value",
        "[(0-4294967295)]",
        |args| Some(Match::LocalPreference(args.number("value")?))
    ),
    clause!(
        "match metric",
        "(0-4294967295)$value",
        "[(0-4294967295)]",
        |args| Some(Match::Metric(args.number("value")?))
    ),
    clause!(
        "match origin",
        "<egp|igp|incomplete>$value",
        "[<egp|igp|incomplete>]",
        |args| Some(Match::Origin(args.one_of("value", &ORIGINS)?))
    ),
    clause!(
        "match rpki",
        "<valid|invalid|notfound>$value",
        "[<valid|invalid|notfound>]",
        |args| Some(Match::Rpki(args.one_of("value", &RPKI_STATES)?))
    ),
];

macro_rules! protocols {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            "<bgp|connected|kernel|static|babel|eigrp|isis|nhrp|openfabric|ospf|ospf6|pim|rip|\
             ripng|sharp|system|table|vnc|vnc-direct>",
            $after
        )
    };
}

const SOURCES: [Row; 7] = [
    clause!(
        "match peer",
        "<local|A.B.C.D|X:X::X:X|INTERFACE>$value",
        "[<local|A.B.C.D|X:X::X:X|INTERFACE>]",
        |args| {
            let peer = match (args.address("value"), args.text("value")) {
                (Some(address), _) => PeerMatch::Address(address),
                (None, Some(word)) if word == "local" => PeerMatch::Local,
                (None, word) => PeerMatch::Interface(word?),
            };
            Some(Match::Peer(peer))
        }
    ),
    clause!("match interface", "INTERFACE$name", "[INTERFACE]", |args| {
        Some(Match::Interface(args.text("name")?))
    }),
    clause!(
        "match tag",
        "(1-4294967295)$value",
        "[(1-4294967295)]",
        |args| Some(Match::Tag(args.number("value")?))
    ),
    Row::new(
        protocols!("match source-protocol ", "$value"),
        protocols!("no match source-protocol [", "]"),
        Apply::Clause("match source-protocol", |args| {
            let protocol = args.one_of("value", &PROTOCOLS).ok_or_else(unread)?;
            Ok(Clause::Match(Match::SourceProtocol(protocol)))
        }),
        Print::Nothing,
    ),
    clause!(
        "match source-instance",
        "(0-255)$value",
        "[(0-255)]",
        |args| Some(Match::SourceInstance(args.number("value")?))
    ),
    clause!("match source-vrf", "VRFNAME$vrf", "[VRFNAME]", |args| Some(
        Match::SourceVrf(args.text("vrf")?)
    )),
    clause!("match probability", "(0-100)$value", "[(0-100)]", |args| {
        Some(Match::Probability(args.number("value")?))
    }),
];

/// All of them.
pub(super) const ROWS: [&[Row]; 6] = [
    &IPV4,
    &IPV6,
    &IPV6_NEXT_HOP,
    &ROUTE_SOURCE,
    &ATTRIBUTES,
    &SOURCES,
];

/// What is said about a value that its token took and the clause does not.
pub(super) fn unread() -> Rejection {
    Rejection::new("Argument form is unsupported or malformed.")
}

fn compared(args: &Args<'_>) -> CommunityCompare {
    if args.found.has("exact-match") {
        CommunityCompare::Exact
    } else if args.found.has("any") {
        CommunityCompare::Any
    } else {
        CommunityCompare::All
    }
}
