//! Lines of an `address-family` block about what is announced as our own, and
//! about routes that flap.

use std::net::IpAddr;

use bgp_wire::Origin;
use ipnet::Ipv4Net;

use crate::grammar::Value;
use crate::model::{
    Aggregate, Bgp, Dampening, Family, Network, Prefix, Redistribute, RedistributeSource,
};
use crate::origination::{ORIGINS, origin_word};

use super::row::{Apply, Args, Done, Print, Rejection, Row};

/// The rows of one family, in the order in which FRR prints them.
pub(super) fn rows<P: Prefix>() -> Vec<Row> {
    let mut rows = networks::<P>().to_vec();
    if P::FAMILY == Family::Ipv4Unicast {
        rows.push(CLASSFUL);
    }
    rows.extend(aggregates::<P>());
    rows.push(redistribution::<P>());
    rows.push(dampening::<P>());
    rows
}

/// As it was said before prefixes had lengths.
const CLASSFUL: Row = Row::new(
    "network A.B.C.D$address [mask A.B.C.D$mask] [route-map RMAP_NAME$map]",
    "no network A.B.C.D$address [mask A.B.C.D$mask] [route-map RMAP_NAME]",
    Apply::Bgp(classful_network),
    Print::Nothing,
)
.hidden();

/// ` route-map NAME`, if there is one.
fn with_map(name: Option<&String>) -> String {
    name.map(|name| format!(" route-map {name}"))
        .unwrap_or_default()
}

fn networks<P: Prefix>() -> [Row; 2] {
    let print = Print::Bgp(|bgp, _| {
        let networks = P::af(bgp).networks.iter();
        networks
            .map(|(prefix, network)| {
                format!("network {prefix}{}", with_map(network.route_map.as_ref()))
            })
            .collect()
    });
    let ipv4 = (
        "network A.B.C.D/M$prefix [route-map RMAP_NAME$map]",
        "no network A.B.C.D/M$prefix [route-map RMAP_NAME]",
    );
    let ipv6 = (
        "network X:X::X:X/M$prefix [route-map RMAP_NAME$map]",
        "no network X:X::X:X/M$prefix [route-map RMAP_NAME]",
    );
    let (own, other) = match P::FAMILY {
        Family::Ipv4Unicast => (ipv4, ipv6),
        Family::Ipv6Unicast => (ipv6, ipv4),
    };
    [
        Row::new(own.0, own.1, Apply::Bgp(network::<P>), print),
        // FRR takes such a line one mode up and announces it in the other
        // family, which is never what was meant.
        Row::new(
            other.0,
            other.1,
            Apply::Bgp(foreign_network::<P>),
            Print::Nothing,
        )
        .hidden(),
    ]
}

/// The prefix in `$prefix`, host bits cleared as FRR does.
fn prefix<P: Prefix>(args: &Args<'_>) -> Option<P> {
    let text = match args.found.get("prefix")? {
        Value::Ipv4Prefix(prefix) => prefix.to_string(),
        Value::Ipv6Prefix(prefix) => prefix.to_string(),
        _ => return None,
    };
    text.parse::<P>().ok().map(P::truncated)
}

fn network<P: Prefix>(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    let Some(prefix) = prefix::<P>(args) else {
        return Ok(());
    };
    announce(bgp, prefix, "prefix", args)
}

/// Says or takes back a network; `value` is where its prefix stands in the line.
fn announce<P: Prefix>(bgp: &mut Bgp, prefix: P, value: &'static str, args: &Args<'_>) -> Done {
    let networks = &mut P::af_mut(bgp).networks;
    if args.on {
        let route_map = args.text("map");
        networks.insert(prefix, Network { route_map });
    } else if networks.remove(&prefix).is_none() {
        return Err(Rejection::at(value, "Can't find static route specified"));
    }
    Ok(())
}

/// `network A.B.C.D [mask A.B.C.D]`: without a mask, of the address's class.
fn classful_network(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    let not_a_prefix = || Rejection::at("address", "Malformed prefix");
    let Some(IpAddr::V4(address)) = args.address("address") else {
        return Err(not_a_prefix());
    };
    let length = match (args.address("mask"), address.octets()) {
        (Some(IpAddr::V4(mask)), _) => ipnet::ipv4_mask_to_prefix(mask)
            .map_err(|_| Rejection::at("mask", "the ones of a netmask are all in front"))?,
        (_, [0..=127, ..]) => 8,
        (_, [128..=191, ..]) => 16,
        (_, [192..=223, ..]) => 24,
        _ => return Err(not_a_prefix()),
    };
    let prefix = Ipv4Net::new(address, length).map_err(|_| not_a_prefix())?;
    announce(bgp, prefix.trunc(), "address", args)
}

fn foreign_network<P: Prefix>(_: &mut Bgp, _: &Args<'_>) -> Done {
    let version = match P::FAMILY {
        Family::Ipv4Unicast => "IPv6",
        Family::Ipv6Unicast => "IPv4",
    };
    let message = format!("an {version} prefix cannot be in {}", P::FAMILY.as_str());
    Err(Rejection::at("prefix", message))
}

// ===== aggregates =====

macro_rules! aggregate {
    ($prefix:literal) => {
        (
            // In the order in which they are printed; any other order would be
            // thousands of commands to the tree.
            concat!(
                "aggregate-address ",
                $prefix,
                "$prefix [as-set] [summary-only] [route-map RMAP_NAME$map] \
                 [origin <egp|igp|incomplete>$origin_word] [matching-MED-only] \
                 [suppress-map RMAP_NAME$suppress]"
            ),
            concat!("aggregate-address ", $prefix, "$prefix LINE...$options"),
            // Options that are said of what goes do not matter.
            concat!("no aggregate-address ", $prefix, "$prefix [LINE...]"),
        )
    };
}

fn aggregates<P: Prefix>() -> [Row; 2] {
    let (set, any_order, no) = match P::FAMILY {
        Family::Ipv4Unicast => aggregate!("A.B.C.D/M"),
        Family::Ipv6Unicast => aggregate!("X:X::X:X/M"),
    };
    let print = Print::Bgp(|bgp, _| {
        let aggregates = P::af(bgp).aggregates.iter();
        aggregates
            .map(|(prefix, options)| format!("aggregate-address {prefix}{}", options_text(options)))
            .collect()
    });
    let apply = Apply::Bgp(aggregate::<P>);
    [
        Row::new(set, no, apply, print),
        Row::new(any_order, "", apply, Print::Nothing).hidden(),
    ]
}

/// The options of a line: as the tree read them, or in an order of their own.
fn options_of(args: &Args<'_>) -> Result<Aggregate, Rejection> {
    let Some(text) = args.found.text("options") else {
        return Ok(Aggregate {
            as_set: args.found.has("as-set"),
            summary_only: args.found.has("summary-only"),
            matching_med_only: args.found.has("matching-MED-only"),
            origin: args.one_of("origin_word", &ORIGINS),
            route_map: args.text("map"),
            suppress_map: args.text("suppress"),
        });
    };
    let mut options = Aggregate::default();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let mut value = || {
            let missing = || Rejection::at("options", format!("\"{word}\" needs a value"));
            words.next().ok_or_else(missing)
        };
        match word {
            "as-set" => options.as_set = true,
            "summary-only" => options.summary_only = true,
            "matching-MED-only" => options.matching_med_only = true,
            "route-map" => options.route_map = Some(value()?.to_owned()),
            "suppress-map" => options.suppress_map = Some(value()?.to_owned()),
            "origin" => options.origin = Some(origin_of(value()?)?),
            _ => {
                let message = format!("an aggregate has no option \"{word}\"");
                return Err(Rejection::at("options", message));
            }
        }
    }
    Ok(options)
}

fn origin_of(word: &str) -> Result<Origin, Rejection> {
    let known = ORIGINS.iter().find(|(name, _)| *name == word);
    let unknown = || Rejection::at("options", format!("\"{word}\" is no origin"));
    known.map(|(_, origin)| *origin).ok_or_else(unknown)
}

fn options_text(options: &Aggregate) -> String {
    let Aggregate {
        as_set,
        summary_only,
        matching_med_only,
        origin,
        route_map,
        suppress_map,
    } = options;
    let flag = |on: bool, text: &str| if on { text.to_owned() } else { String::new() };
    let origin = origin.map(|origin| format!(" origin {}", origin_word(origin)));
    let suppress = suppress_map.as_ref();
    let suppress = suppress.map(|name| format!(" suppress-map {name}"));
    [
        flag(*as_set, " as-set"),
        flag(*summary_only, " summary-only"),
        with_map(route_map.as_ref()),
        origin.unwrap_or_default(),
        flag(*matching_med_only, " matching-MED-only"),
        suppress.unwrap_or_default(),
    ]
    .concat()
}

/// The options of a line are all there are: it takes the place of another.
fn aggregate<P: Prefix>(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    let Some(prefix) = prefix::<P>(args) else {
        return Ok(());
    };
    let aggregates = &mut P::af_mut(bgp).aggregates;
    if !args.on {
        return match aggregates.remove(&prefix) {
            Some(_) => Ok(()),
            None => Err(Rejection::at(
                "prefix",
                "There is no aggregate-address configuration.",
            )),
        };
    }
    if let Some(message) = no_aggregate(prefix) {
        return Err(Rejection::at("prefix", message));
    }
    let options = options_of(args)?;
    if options.summary_only && options.suppress_map.is_some() {
        return Err(Rejection::at("suppress", BOTH_SUPPRESS));
    }
    aggregates.insert(prefix, options);
    Ok(())
}

/// What is said of an aggregate that nothing can be in.
pub(crate) fn no_aggregate<P: Prefix>(prefix: P) -> Option<String> {
    let host = match P::FAMILY {
        Family::Ipv4Unicast => "/32",
        Family::Ipv6Unicast => "/128",
    };
    let message = format!(
        "Specified prefix: {prefix} will not result in any useful aggregation, disallowing"
    );
    prefix.to_string().ends_with(host).then_some(message)
}

/// What is said where all, and some, of what is aggregated is kept back.
pub(crate) const BOTH_SUPPRESS: &str =
    "'summary-only' and 'suppress-map' can't be used at the same time";

// ===== redistribution =====

fn redistribution<P: Prefix>() -> Row {
    Row::new(
        "redistribute <<kernel|connected|static>$source|table (1-65535)$table_value> \
         {metric (0-4294967295)$metric_value|route-map RMAP_NAME$map}",
        "no redistribute <<kernel|connected|static>$source|table (1-65535)$table_value> \
         {metric (0-4294967295)|route-map RMAP_NAME}",
        Apply::Bgp(redistribute::<P>),
        Print::Bgp(|bgp, _| {
            let lines = P::af(bgp).redistribute.iter().map(|(source, options)| {
                let metric = options.metric.map(|metric| format!(" metric {metric}"));
                let metric = metric.unwrap_or_default();
                let map = with_map(options.route_map.as_ref());
                format!("redistribute {source}{metric}{map}")
            });
            lines.collect()
        }),
    )
}

/// Options that are said of what goes do not matter, as in FRR.
fn redistribute<P: Prefix>(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    let name = args.found.text("source");
    let named = RedistributeSource::ALL
        .into_iter()
        .find(|source| Some(source.as_str()) == name);
    let table = args.number("table_value").map(RedistributeSource::Table);
    let Some(source) = named.or(table) else {
        return Ok(());
    };
    let redistribute = &mut P::af_mut(bgp).redistribute;
    if args.on {
        let options = Redistribute {
            metric: args.number("metric_value"),
            route_map: args.text("map"),
        };
        redistribute.insert(source, options);
    } else {
        redistribute.remove(&source);
    }
    Ok(())
}

// ===== dampening =====

fn dampening<P: Prefix>() -> Row {
    Row::new(
        "bgp dampening [(1-45)$half [(1-20000)$reuse (1-50000)$suppress (1-255)$max]]",
        "no bgp dampening [(1-45) [(1-20000) (1-50000) (1-255)]]",
        Apply::Bgp(damp::<P>),
        Print::Bgp(|bgp, _| {
            P::af(bgp)
                .dampening
                .iter()
                .map(|damping| format!("bgp {}", dampening_text(damping)))
                .collect()
        }),
    )
}

fn damp<P: Prefix>(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    P::af_mut(bgp).dampening = args.when_on(Some(damping(args)?));
    Ok(())
}

/// What a line says.
pub(super) fn damping(args: &Args<'_>) -> Result<Dampening, Rejection> {
    let usual = match args.number("half") {
        Some(minutes) => Dampening::with_half_life(minutes),
        None => Dampening::default(),
    };
    let damping = Dampening {
        half_life_mins: usual.half_life_mins,
        reuse: args.number("reuse").unwrap_or(usual.reuse),
        suppress: args.number("suppress").unwrap_or(usual.suppress),
        max_suppress_mins: args.number("max").unwrap_or(usual.max_suppress_mins),
    };
    if args.on && damping.suppress < damping.reuse {
        return Err(Rejection::at("suppress", SUPPRESS_BELOW_REUSE));
    }
    Ok(damping)
}

/// FRR's text about limits that contradict each other.
pub(crate) const SUPPRESS_BELOW_REUSE: &str = "Suppress value cannot be less than reuse value";

pub(super) fn dampening_text(damping: &Dampening) -> String {
    let Dampening {
        half_life_mins,
        reuse,
        suppress,
        max_suppress_mins,
    } = *damping;
    if *damping == Dampening::default() {
        "dampening".to_owned()
    } else if *damping == Dampening::with_half_life(half_life_mins) {
        format!("dampening {half_life_mins}")
    } else {
        format!("dampening {half_life_mins} {reuse} {suppress} {max_suppress_mins}")
    }
}
