//! The commands of the enable mode, as rows of the grammar.

use std::sync::LazyLock;

use holdfast_config::grammar::{Builder, Grammar};

/// What a line of the enable mode does. Its values are in the match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Summary,
    Routes,
    Prefix,
    Neighbors,
    NeighborRoutes,
    PeerGroup,
    UpdateGroups,
    Vrfs,
    Views,
    FilteredRoutes,
    PrefixLists,
    AccessLists,
    AsPathLists,
    CommunityLists,
    Aliases,
    RouteMaps,
    ClearPolicy,
    TestPolicy,
    Fib,
    FibSummary,
    Tracking,
    NextHops,
    Roas,
    RpkiServers,
    RpkiConnections,
    /// Start, stop, reset.
    Rpki,
    RunningConfig,
    StartupConfig,
    Write,
    Version,
    Daemons,
    Vrf,
    History,
    Clear,
    Flapping,
    NeighborFlapping,
    Dampening,
    ClearDampening,
    Configure,
    /// Accepted for the sake of scripts; the shell is always privileged.
    Privilege,
    Exit,
    /// `end`, where there is nothing to end.
    Nothing,
    List,
    Find,
    Do,
    Paginate,
    NoPaginate,
    Length,
}

/// Commands of the enable mode.
pub(crate) fn enable() -> &'static Grammar<Command> {
    static GRAMMAR: LazyLock<Grammar<Command>> = LazyLock::new(|| {
        let builder = Grammar::builder().glossary(GLOSSARY);
        ROWS.iter().fold(builder, add).build()
    });
    &GRAMMAR
}

/// Commands of the shell itself that every configuration mode has as well.
pub(crate) fn everywhere() -> &'static Grammar<Command> {
    static GRAMMAR: LazyLock<Grammar<Command>> = LazyLock::new(|| {
        let builder = Grammar::builder().glossary(GLOSSARY);
        let builder = builder.row("do LINE...$command", Command::Do);
        ROWS.iter()
            .filter(|(_, command)| command.is_everywhere())
            .fold(builder, add)
            .build()
    });
    &GRAMMAR
}

impl Command {
    fn is_everywhere(self) -> bool {
        matches!(self, Self::List | Self::Find)
    }
}

fn add(builder: Builder<Command>, row: &(&'static str, Command)) -> Builder<Command> {
    builder.row(row.0, row.1)
}

macro_rules! bgp {
    ($rest:literal) => {
        concat!(
            "show [ip] bgp [<view|vrf> NAME$vrf] [<ipv4|ipv6>$afi [unicast]] ",
            $rest
        )
    };
}

const ROWS: &[(&str, Command)] = &[
    (
        bgp!(
            "summary [<established|failed>$state] \
             [<neighbor <A.B.C.D|X:X::X:X>$peer|\
             remote-as <(1-4294967295)$asn|<internal|external>$kind>>] [terse] [wide] [json]"
        ),
        Command::Summary,
    ),
    (bgp!("[wide] [json]"), Command::Routes),
    (
        bgp!(
            "<A.B.C.D|A.B.C.D/M|X:X::X:X|X:X::X:X/M>$prefix \
             [<bestpath|multipath|longer-prefixes|why>$part] [json]"
        ),
        Command::Prefix,
    ),
    (
        bgp!("neighbors [<A.B.C.D|X:X::X:X|WORD>$peer] [json]"),
        Command::Neighbors,
    ),
    (
        bgp!(
            "neighbors <A.B.C.D|X:X::X:X|WORD>$peer \
             <advertised-routes|received-routes|filtered-routes|routes>$table [wide] [json]"
        ),
        Command::NeighborRoutes,
    ),
    (
        bgp!(
            "<prefix-list PREFIXLIST$prefix_list|access-list ACCESSLIST$access_list|\
             route-map RMAP$route_map|filter-list ASPATHLIST$as_path_list|alias ALIAS$alias> \
             [wide] [json]"
        ),
        Command::FilteredRoutes,
    ),
    (
        bgp!(
            "<community-list COMMLIST$community_list|large-community-list LARGELIST$large_list> \
             [exact-match] [wide] [json]"
        ),
        Command::FilteredRoutes,
    ),
    (
        bgp!(
            "<community|large-community> [COMMUNITY$c1 [COMMUNITY$c2 [COMMUNITY$c3 \
             [COMMUNITY$c4]]]] [exact-match] [wide] [json]"
        ),
        Command::FilteredRoutes,
    ),
    (bgp!("regexp LINE...$regex"), Command::FilteredRoutes),
    (
        "show <ip|ipv6>$afi prefix-list [PREFIXLIST$prefix_list [seq (1-4294967295)$seq]] [json]",
        Command::PrefixLists,
    ),
    (
        "show <ip|ipv6>$afi prefix-list <summary|detail>$style [PREFIXLIST$prefix_list] [json]",
        Command::PrefixLists,
    ),
    (
        "show <ip|ipv6>$afi prefix-list PREFIXLIST$prefix_list \
         <A.B.C.D/M|X:X::X:X/M>$prefix [<longer|first-match>$how]",
        Command::PrefixLists,
    ),
    (
        "show <ip|ipv6>$afi access-list [ACCESSLIST$access_list] [json]",
        Command::AccessLists,
    ),
    (
        "show <bgp|ip> as-path-access-list [ASPATHLIST$as_path_list] [json]",
        Command::AsPathLists,
    ),
    (
        "show bgp <community-list|large-community-list|extcommunity-list>$kind",
        Command::CommunityLists,
    ),
    (
        "show bgp <community-list COMMLIST$list|large-community-list LARGELIST$list|\
         extcommunity-list EXTLIST$list> detail",
        Command::CommunityLists,
    ),
    ("show bgp community-alias [json]", Command::Aliases),
    ("show route-map [RMAP$route_map] [json]", Command::RouteMaps),
    (
        "clear route-map counters [RMAP$route_map]",
        Command::ClearPolicy,
    ),
    (
        "clear <ip|ipv6>$afi prefix-list \
         [PREFIXLIST$prefix_list [<A.B.C.D/M|X:X::X:X/M>$prefix]]",
        Command::ClearPolicy,
    ),
    (
        "policy test RMAP$route_map [<in|out>$way] LINE...$rest",
        Command::TestPolicy,
    ),
    (
        bgp!("dampening <dampened-paths|flap-statistics>$flapping [json]"),
        Command::Flapping,
    ),
    (bgp!("dampening parameters [json]"), Command::Dampening),
    (
        bgp!(
            "neighbors <A.B.C.D|X:X::X:X|WORD>$peer \
             <dampened-routes|flap-statistics>$flapping [json]"
        ),
        Command::NeighborFlapping,
    ),
    (
        bgp!("neighbors <A.B.C.D|X:X::X:X|WORD>$peer dampening parameters [json]"),
        Command::Dampening,
    ),
    (
        "show [ip] bgp [<view|vrf> NAME$vrf] peer-group [PGNAME$group] [json]",
        Command::PeerGroup,
    ),
    (
        bgp!("update-groups [(1-4294967295)$group] [json]"),
        Command::UpdateGroups,
    ),
    (
        bgp!("nexthop [<A.B.C.D|X:X::X:X>$address] [detail] [json]"),
        Command::NextHops,
    ),
    (
        bgp!("rpki <valid|invalid|notfound>$rpki_state [wide] [json]"),
        Command::Routes,
    ),
    ("show rpki prefix-table [json]", Command::Roas),
    (
        "show rpki prefix <A.B.C.D/M|X:X::X:X/M>$prefix [(1-4294967295)$asn] [json]",
        Command::Roas,
    ),
    (
        "show rpki as-number (1-4294967295)$asn [json]",
        Command::Roas,
    ),
    ("show rpki cache-server [json]", Command::RpkiServers),
    (
        "show rpki cache-connection [json]",
        Command::RpkiConnections,
    ),
    ("rpki <start|stop|reset>$order", Command::Rpki),
    ("show [ip] bgp vrfs [json]", Command::Vrfs),
    ("show [ip] bgp <view|views>", Command::Views),
    (
        "show <ip|ipv6>$afi route [vrf NAME$vrf] [<bgp|connected|kernel|static>$protocol] [json]",
        Command::Fib,
    ),
    (
        "show <ip|ipv6>$afi route [vrf NAME$vrf] \
         <A.B.C.D|A.B.C.D/M|X:X::X:X|X:X::X:X/M>$prefix [json]",
        Command::Fib,
    ),
    (
        "show <ip|ipv6>$afi route [vrf NAME$vrf] summary [json]",
        Command::FibSummary,
    ),
    (
        "show <ip|ipv6>$afi nht [vrf NAME$vrf] [<A.B.C.D|X:X::X:X>$address] [json]",
        Command::Tracking,
    ),
    (
        "show running-config [<bgpd|zebra>] [no-header]",
        Command::RunningConfig,
    ),
    ("show startup-config", Command::StartupConfig),
    ("show version", Command::Version),
    ("show daemons", Command::Daemons),
    ("show vrf", Command::Vrf),
    ("show history", Command::History),
    (
        "write terminal [<bgpd|zebra>] [no-header]",
        Command::RunningConfig,
    ),
    ("write [<memory|file|integrated>]", Command::Write),
    ("copy running-config startup-config", Command::Write),
    (
        "clear [ip] bgp [<view|vrf> NAME$vrf] [<ipv4|ipv6>$afi [unicast]] \
         <*$all|<A.B.C.D|X:X::X:X>$peer|(1-4294967295)$asn|external|peer-group PGNAME$group> \
         [<soft [<in|out>$way]|<in|out>$way>]",
        Command::Clear,
    ),
    (
        "clear [ip] bgp [<view|vrf> NAME$vrf] [<ipv4|ipv6>$afi [unicast]] \
         dampening [<A.B.C.D|A.B.C.D/M|X:X::X:X|X:X::X:X/M>$prefix]",
        Command::ClearDampening,
    ),
    ("configure [terminal]", Command::Configure),
    ("enable", Command::Privilege),
    ("disable", Command::Privilege),
    ("exit", Command::Exit),
    ("quit", Command::Exit),
    ("end", Command::Nothing),
    ("list [permutations]", Command::List),
    ("find LINE...$regex", Command::Find),
    ("terminal paginate", Command::Paginate),
    ("no terminal paginate", Command::NoPaginate),
    ("terminal length (0-4294967295)", Command::Length),
    ("no terminal length [(0-4294967295)]", Command::Length),
];

const GLOSSARY: &[(&str, &str)] = &[
    ("show", "What is configured and running"),
    ("show ip", "IPv4"),
    ("show ipv6", "IPv6"),
    ("ip", "IPv4"),
    ("bgp", "Border Gateway Protocol"),
    ("route bgp", "Routes of BGP"),
    ("route NAME bgp", "Routes of BGP"),
    ("connected", "Subnets of interfaces"),
    ("kernel", "Routes of others"),
    ("static", "Static routes"),
    ("vrf", "One routing table of several"),
    ("view", "One BGP instance of several"),
    ("prefix-list", "Prefix lists, or routes that one permits"),
    ("access-list", "Access lists, or routes that one permits"),
    ("filter-list", "Routes that an AS-path access list permits"),
    ("route-map", "Route maps, or routes that one permits"),
    ("alias", "Routes with the community of this name"),
    ("community", "Routes with communities"),
    ("large-community", "Routes with large communities"),
    (
        "community-list",
        "Community lists, or routes that one permits",
    ),
    (
        "large-community-list",
        "Large community lists, or routes that one permits",
    ),
    ("extcommunity-list", "Extended community lists"),
    ("community-alias", "Names of communities"),
    ("as-path-access-list", "AS-path access lists"),
    ("regexp", "Routes whose AS path matches"),
    ("regexp LINE...", "Regular expression"),
    ("exact-match", "And no other communities"),
    ("PREFIXLIST", "Name of a prefix list"),
    ("ACCESSLIST", "Name of an access list"),
    ("ASPATHLIST", "Name of an AS-path access list"),
    ("RMAP", "Name of a route map"),
    ("ALIAS", "Name of a community"),
    ("COMMLIST", "Name or number of a community list"),
    ("LARGELIST", "Name or number of a large community list"),
    ("EXTLIST", "Name or number of an extended community list"),
    (
        "COMMUNITY",
        "Community: AA:NN, a well-known one's name, or AA:BB:CC",
    ),
    ("seq", "One entry"),
    ("seq (1-4294967295)", "Its number"),
    ("prefix-list summary", "How many entries they have"),
    ("prefix-list detail", "How often their entries decided"),
    ("longer", "And entries inside of it"),
    ("first-match", "The first entry"),
    ("counters", "How often they were used"),
    ("policy", "Try policy"),
    (
        "test",
        "What a route map would do; nothing is counted or changed",
    ),
    ("test RMAP in", "To what comes"),
    ("test RMAP out", "To what goes"),
    (
        "test RMAP LINE...",
        "prefix P, peer A, as-path \"...\", community ..., large-community ..., med N, \
         local-preference N, origin O, next-hop A, weight N, family F, json",
    ),
    ("test RMAP in LINE...", "prefix P, peer A, and attributes"),
    ("test RMAP out LINE...", "prefix P, peer A, and attributes"),
    (
        "why",
        "Why the best path is the best one, and what became of the others",
    ),
    (
        "filtered-routes",
        "What the neighbor sent and policy refused",
    ),
    ("views", "BGP instances beside the default one"),
    ("NAME", "Its name: default, all, or that of a view"),
    ("show vrf", "Routing tables beside the default one"),
    ("vrfs", "Routing tables with BGP in them"),
    ("ipv4", "IPv4 routes"),
    ("ipv6", "IPv6 routes"),
    ("unicast", "Unicast routes"),
    ("summary", "Neighbors and their states, one a line"),
    ("route summary", "Numbers of routes"),
    ("established", "Only sessions that are up"),
    ("failed", "Only sessions that are not up, and why"),
    ("neighbor", "Only this neighbor"),
    ("remote-as", "Only neighbors of this AS"),
    ("internal", "Neighbors in our own AS"),
    ("external", "Neighbors in other ASes"),
    ("terse", "Without numbers of the tables"),
    ("wide", "With wider columns"),
    ("json", "For programs"),
    ("A.B.C.D", "IPv4 address"),
    ("A.B.C.D/M", "IPv4 prefix"),
    ("X:X::X:X", "IPv6 address"),
    ("X:X::X:X/M", "IPv6 prefix"),
    ("WORD", "Name of a neighbor"),
    ("PGNAME", "Name of a peer group"),
    ("(1-4294967295)", "AS number"),
    ("bestpath", "Only the best path"),
    ("multipath", "Only the paths in use"),
    ("longer-prefixes", "The prefix and all inside of it"),
    ("neighbors", "Neighbors in full"),
    ("advertised-routes", "What was sent to the neighbor"),
    ("received-routes", "What the neighbor sent, before policy"),
    ("routes", "What the neighbor sent and policy let in"),
    ("dampening", "Routes that flap (RFC 2439)"),
    ("dampened-paths", "Those that are suppressed"),
    ("dampened-routes", "Its routes that are suppressed"),
    ("flap-statistics", "How often routes flapped"),
    ("parameters", "When routes are suppressed"),
    ("peer-group", "Peer groups and their members"),
    ("update-groups", "Neighbors that are told the same"),
    ("update-groups (1-4294967295)", "Number of the group"),
    ("rpki", "Origin validation"),
    ("show rpki", "ROAs, and the caches they come from"),
    ("rpki valid", "Routes whose origin a ROA allows"),
    ("rpki invalid", "Routes whose origin ROAs forbid"),
    ("rpki notfound", "Routes that no ROA is about"),
    ("prefix-table", "All ROAs"),
    ("rpki prefix", "ROAs that a route of this prefix may match"),
    ("as-number", "ROAs of an AS"),
    ("cache-server", "Caches that are configured"),
    ("cache-connection", "How it stands with the caches"),
    ("rpki start", "Talk to the caches"),
    ("rpki stop", "Leave them, and do without ROAs"),
    ("rpki reset", "Ask all caches again for everything"),
    ("route", "Routes in the kernel"),
    ("nht", "Next hops, and how the kernel reaches them"),
    ("nexthop", "Next hops, and how many paths are by them"),
    ("detail", "As without"),
    ("running-config", "The configuration in use"),
    ("startup-config", "The configuration as saved"),
    ("bgpd", "The part about BGP"),
    ("zebra", "The part about the kernel"),
    ("no-header", "Without the lines in front"),
    ("version", "Versions of this program"),
    ("daemons", "Daemons that the shell talks to"),
    ("history", "Lines typed before"),
    ("write", "Save or show the configuration"),
    ("write terminal", "Show the configuration in use"),
    ("memory", "Save it to its file"),
    ("file", "Save it to its file"),
    ("integrated", "Save it to its file"),
    ("copy", "Save the configuration"),
    ("clear", "Reset or refresh"),
    ("*", "All neighbors"),
    ("soft", "Without closing sessions"),
    ("in", "Have routes sent again, and judge them anew"),
    ("out", "Send routes again"),
    ("configure", "Change the configuration"),
    ("terminal", "From this terminal"),
    ("enable terminal", "Settings of this terminal"),
    ("enable", "Take all privileges; they are there already"),
    ("disable", "Give up privileges; they are kept"),
    ("exit", "Leave the shell"),
    ("quit", "Leave the shell"),
    ("end", "Stay where you are"),
    ("list", "All commands of this mode"),
    ("permutations", "One a line"),
    ("find", "Commands of all modes that match"),
    ("REGEX...", "Regular expression"),
    ("paginate", "Show long answers page by page"),
    ("length", "Lines of the screen; taken from the terminal"),
    ("(0-4294967295)", "Number of lines"),
    ("no", "Take a setting back"),
    ("do", "A command of the enable mode"),
    ("LINE...", "The command"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_read_and_every_token_explained() {
        for grammar in [enable(), everywhere()] {
            assert_eq!(grammar.pattern_errors(), []);
            assert_eq!(grammar.unexplained(), Vec::<String>::new());
        }
    }

    #[test]
    fn commands_are_found_by_their_beginnings() {
        for (line, command) in [
            ("sh bg su", Command::Summary),
            (
                "show bgp vrf all ipv4 unicast summary failed json",
                Command::Summary,
            ),
            ("show bgp", Command::Routes),
            ("sh ip bg js", Command::Routes),
            ("show ip bgp 10.0.0.0/8 longer json", Command::Prefix),
            ("show bgp ipv6 2001:db8::1", Command::Prefix),
            ("show ip bgp nei", Command::Neighbors),
            (
                "show bgp neighbors 10.0.0.1 routes",
                Command::NeighborRoutes,
            ),
            ("show bgp neighbor 10.0.0.1 json", Command::Neighbors),
            ("show bgp upd", Command::UpdateGroups),
            ("show bgp view", Command::Views),
            ("show ip bgp views", Command::Views),
            ("show bgp view RED", Command::Routes),
            ("show ip bgp view RED summ json", Command::Summary),
            ("clear bgp view RED * soft", Command::Clear),
            ("show ip bgp update-groups 3 json", Command::UpdateGroups),
            ("show bgp ipv4 unicast rpki inv json", Command::Routes),
            ("show rpki prefix-t json", Command::Roas),
            ("show rpki prefix 192.0.2.0/24 65001", Command::Roas),
            ("show rpki as 65001", Command::Roas),
            ("show rpki cache-s", Command::RpkiServers),
            ("show rpki cache-c json", Command::RpkiConnections),
            ("rpki reset", Command::Rpki),
            ("show ip ro", Command::Fib),
            ("show ip nht", Command::Tracking),
            ("show ipv6 nht 2001:db8::1 json", Command::Tracking),
            ("show bgp nexthop", Command::NextHops),
            ("show bgp ipv4 unicast nexthop json", Command::NextHops),
            ("show ip bgp vrf all nexthop json", Command::NextHops),
            ("show bgp nexthop 10.0.0.1 detail", Command::NextHops),
            ("show ipv6 route static json", Command::Fib),
            ("show ip route conn", Command::Fib),
            ("sh ru", Command::RunningConfig),
            ("wr", Command::Write),
            ("wr t", Command::RunningConfig),
            ("wr me", Command::Write),
            ("conf t", Command::Configure),
            ("clear ip bgp * soft in", Command::Clear),
            ("clear bgp 65001", Command::Clear),
            ("clear ip bgp dampening 10.0.0.0/8", Command::ClearDampening),
            ("show bgp ipv4 dampening flap", Command::Flapping),
            ("show ip bgp dampening parameters json", Command::Dampening),
            (
                "show bgp neighbors 10.0.0.1 dampened-routes",
                Command::NeighborFlapping,
            ),
            ("clear bgp peer-group X out", Command::Clear),
            ("find a b", Command::Find),
        ] {
            let found = enable()
                .parse(line)
                .unwrap_or_else(|error| panic!("{line}: {error:?}"));
            assert_eq!(*found.payload, command, "{line}");
        }
    }
}
