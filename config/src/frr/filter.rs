//! Lines of an `address-family` block about a peer's policy: lists, route maps,
//! and which communities are sent.

use crate::filter::{AdvertiseMap, AdvertiseWhen, DefaultOriginate, PeerPolicy};
use crate::model::{Bgp, PeerAf, Prefix};

use super::origination::{dampening_text, damping};
use super::row::{Apply, Args, Done, Print, Rejection, Row, Said};
use super::session::target;

macro_rules! peer {
    ($rest:literal) => {
        concat!("neighbor <A.B.C.D|X:X::X:X|WORD>$peer ", $rest)
    };
}

macro_rules! no_peer {
    ($rest:literal) => {
        concat!("no neighbor <A.B.C.D|X:X::X:X|WORD>$peer ", $rest)
    };
}

/// A list or route map for one direction.
macro_rules! filter {
    ($family:ty, $word:literal, $token:literal, $way:literal, $($field:ident).+) => {
        Row::new(
            concat!(
                "neighbor <A.B.C.D|X:X::X:X|WORD>$peer ", $word, " ", $token, "$name ", $way
            ),
            concat!(
                "no neighbor <A.B.C.D|X:X::X:X|WORD>$peer ", $word, " ", $token, " ", $way
            ),
            Apply::Bgp(|bgp, args| {
                let policy = &mut target(bgp, args)?.settings.af_mut(<$family>::FAMILY).policy;
                let before = policy.clone();
                policy.$($field).+ = args.when_on(args.text("name"));
                if lists_twice(policy) {
                    *policy = before;
                    return Err(Rejection::at("name", LISTS_TWICE));
                }
                Ok(())
            }),
            Print::PeerAf(|own, group| {
                let name = own.policy.$($field).+.as_ref()?;
                let inherited = group.and_then(|group| group.policy.$($field).+.as_ref());
                let said = || Said::on(format!(concat!($word, " {} ", $way), name));
                (inherited != Some(name)).then(said)
            }),
        )
    };
}

macro_rules! both_ways {
    ($family:ty, $word:literal, $token:literal, $field:ident) => {
        [
            filter!($family, $word, $token, "in", $field.inbound),
            filter!($family, $word, $token, "out", $field.outbound),
        ]
    };
}

/// FRR's text about a prefix list and an access list for the same routes.
pub(crate) const LISTS_TWICE: &str = "Prefix/distribute list can not co-exist";

/// Whether there are a prefix list and an access list for the same routes.
pub(crate) fn lists_twice(policy: &PeerPolicy) -> bool {
    let (prefix, access) = (&policy.prefix_list, &policy.distribute_list);
    prefix.inbound.is_some() && access.inbound.is_some()
        || prefix.outbound.is_some() && access.outbound.is_some()
}

/// The lines that FRR prints after those about routes from the peer.
pub(super) fn rows<P: Prefix>() -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(both_ways!(
        P,
        "distribute-list",
        "ACCESSLIST_NAME",
        distribute_list
    ));
    rows.extend(both_ways!(P, "prefix-list", "PREFIXLIST_NAME", prefix_list));
    rows.extend(both_ways!(P, "route-map", "RMAP_NAME", route_map));
    rows.extend(conditional::<P>());
    rows.extend(both_ways!(
        P,
        "filter-list",
        "AS_PATH_FILTER_NAME",
        filter_list
    ));
    rows.push(dampening::<P>());
    rows
}

/// As FRR has it since 10; 8.4 does not know it.
fn dampening<P: Prefix>() -> Row {
    Row::new(
        peer!("dampening [(1-45)$half [(1-20000)$reuse (1-50000)$suppress (1-255)$max]]"),
        no_peer!("dampening [(1-45) [(1-20000) (1-50000) (1-255)]]"),
        Apply::Bgp(|bgp, args| {
            let said = args.when_on(Some(damping(args)?));
            policy::<P>(bgp, args)?.dampening = said;
            Ok(())
        }),
        Print::PeerAf(|own, group| {
            let said = own.policy.dampening.as_ref()?;
            let inherited = group.and_then(|group| group.policy.dampening.as_ref());
            (inherited != Some(said)).then(|| Said::on(dampening_text(said)))
        }),
    )
}

fn conditional<P: Prefix>() -> [Row; 2] {
    [
        Row::new(
            peer!("unsuppress-map RMAP_NAME$name"),
            no_peer!("unsuppress-map [RMAP_NAME]"),
            Apply::Bgp(|bgp, args| {
                let name = args.when_on(args.text("name"));
                policy::<P>(bgp, args)?.unsuppress_map = name;
                Ok(())
            }),
            Print::PeerAf(|own, group| {
                let name = own.policy.unsuppress_map.as_ref()?;
                let inherited = group.and_then(|group| group.policy.unsuppress_map.as_ref());
                let said = || Said::on(format!("unsuppress-map {name}"));
                (inherited != Some(name)).then(said)
            }),
        ),
        Row::new(
            peer!(
                "advertise-map RMAP_NAME$advertise <exist-map|non-exist-map>$when \
                 RMAP_NAME$condition"
            ),
            no_peer!("advertise-map RMAP_NAME <exist-map|non-exist-map> RMAP_NAME"),
            Apply::Bgp(advertise_map::<P>),
            Print::PeerAf(|own, group| {
                let map = own.policy.advertise_map.as_ref()?;
                let inherited = group.and_then(|group| group.policy.advertise_map.as_ref());
                let AdvertiseMap {
                    advertise,
                    when,
                    condition,
                } = map;
                let text = format!("advertise-map {advertise} {} {condition}", when.as_str());
                (inherited != Some(map)).then(|| Said::on(text))
            }),
        ),
    ]
}

fn policy<'a, P: Prefix>(
    bgp: &'a mut Bgp,
    args: &Args<'_>,
) -> Result<&'a mut PeerPolicy, Rejection> {
    Ok(&mut target(bgp, args)?.settings.af_mut(P::FAMILY).policy)
}

/// Taking it back needs no names that fit, as in FRR.
fn advertise_map<P: Prefix>(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    let word = args.text("when");
    let mut all = AdvertiseWhen::ALL.into_iter();
    let when = all.find(|when| Some(when.as_str()) == word.as_deref());
    let map = when.map(|when| AdvertiseMap {
        advertise: args.text("advertise").unwrap_or_default(),
        when,
        condition: args.text("condition").unwrap_or_default(),
    });
    policy::<P>(bgp, args)?.advertise_map = args.when_on(map);
    Ok(())
}

// ===== what is sent =====

/// The lines that FRR prints before those about routes from the peer.
pub(super) fn announcing<P: Prefix>() -> [Row; 4] {
    let more = |print| Row::new("", "", Apply::Nothing, print);
    [
        Row::new(
            peer!("send-community [both|all|extended|large|standard]"),
            no_peer!("send-community [both|all|extended|large|standard]"),
            Apply::Bgp(send_community::<P>),
            Print::PeerAf(|own, group| {
                let [standard, extended, large] = sent(own, group);
                let all = standard.filter(|_| standard == extended && standard == large);
                if let Some(on) = all {
                    return Some(switched(on, "send-community all"));
                }
                Some(switched(standard?, "send-community"))
            }),
        ),
        more(Print::PeerAf(|own, group| {
            let [standard, extended, large] = sent(own, group);
            let told = standard == extended && standard == large;
            extended
                .filter(|_| !told)
                .map(|on| switched(on, "send-community extended"))
        })),
        more(Print::PeerAf(|own, group| {
            let [standard, extended, large] = sent(own, group);
            let told = standard == extended && standard == large;
            large
                .filter(|_| !told)
                .map(|on| switched(on, "send-community large"))
        })),
        Row::new(
            peer!("default-originate [route-map RMAP_NAME$name]"),
            no_peer!("default-originate [route-map RMAP_NAME]"),
            Apply::Bgp(|bgp, args| {
                let route_map = args.text("name");
                let said = args.when_on(Some(DefaultOriginate { route_map }));
                policy::<P>(bgp, args)?.default_originate = said;
                Ok(())
            }),
            Print::PeerAf(|own, group| {
                let said = own.policy.default_originate.as_ref()?;
                let inherited = group.and_then(|group| group.policy.default_originate.as_ref());
                let route_map = said.route_map.as_ref();
                let route_map = route_map.map(|name| format!(" route-map {name}"));
                let text = format!("default-originate{}", route_map.unwrap_or_default());
                (inherited != Some(said)).then(|| Said::on(text))
            }),
        ),
    ]
}

fn switched(on: bool, text: &str) -> Said {
    Said {
        on,
        text: text.to_owned(),
    }
}

/// What is said of each kind beyond what holds anyway.
fn sent(own: &PeerAf, group: Option<&PeerAf>) -> [Option<bool>; 3] {
    let kinds = |policy: &PeerPolicy| {
        [
            policy.send_community,
            policy.send_extended_community,
            policy.send_large_community,
        ]
    };
    let own = kinds(&own.policy);
    let group = group.map(|group| kinds(&group.policy)).unwrap_or_default();
    let mut said = own;
    for (said, group) in said.iter_mut().zip(group) {
        *said = said.filter(|on| *on != group.unwrap_or(true));
    }
    said
}

fn send_community<P: Prefix>(bgp: &mut Bgp, args: &Args<'_>) -> Done {
    let target = target(bgp, args)?;
    let none = PeerPolicy::default();
    let group = target
        .group
        .map_or(&none, |group| &group.af(P::FAMILY).policy);
    let own = &mut target.settings.af_mut(P::FAMILY).policy;
    let word = |word| args.found.has(word);
    let (both, all) = (word("both"), word("all"));
    let plain = !both && !all && !word("extended") && !word("large");
    let kinds = [
        (
            plain || both || all,
            &mut own.send_community,
            group.send_community,
        ),
        (
            word("extended") || both || all,
            &mut own.send_extended_community,
            group.send_extended_community,
        ),
        (
            word("large") || all,
            &mut own.send_large_community,
            group.send_large_community,
        ),
    ];
    for (_, own, group) in kinds.into_iter().filter(|(meant, ..)| *meant) {
        *own = Some(args.on).filter(|on| *on != group.unwrap_or(true));
    }
    Ok(())
}
