//! The keys of a peer's policy in one family.

use crate::model::{
    AdvertiseMap, AdvertiseWhen, DefaultOriginate, EffectivePolicy, InOut, PeerAf, PeerPolicy,
};

use super::keys::{Key, inline, quoted, read_table};
use super::origination::{read_dampening, write_dampening};
use super::reader::Item;

/// A list or route map for each direction.
macro_rules! both_ways {
    ($name:literal, $field:ident, $doc:literal) => {
        Key {
            name: $name,
            doc: concat!($doc, ": `{ in = \"A\", out = \"B\" }`."),
            read: |af: &mut PeerAf, item| read_table(IN_OUT, &mut af.policy.$field, item),
            write: |af| inline(IN_OUT, &af.policy.$field),
        }
    };
}

macro_rules! switch {
    ($name:literal, $field:ident, $doc:literal) => {
        Key {
            name: $name,
            doc: concat!($doc, ": true, as if unset, or false."),
            read: |af: &mut PeerAf, item| af.policy.$field = item.boolean(),
            write: |af| af.policy.$field.map(|on| on.to_string()),
        }
    };
}

pub(super) const ROUTE_MAP: Key<PeerAf> = both_ways!(
    "route-map",
    route_map,
    "Route maps for routes from and to the peer"
);
pub(super) const PREFIX_LIST: Key<PeerAf> = both_ways!(
    "prefix-list",
    prefix_list,
    "Prefix lists for routes from and to the peer"
);
pub(super) const DISTRIBUTE_LIST: Key<PeerAf> = both_ways!(
    "distribute-list",
    distribute_list,
    "Access lists for routes from and to the peer, not beside prefix lists"
);
pub(super) const FILTER_LIST: Key<PeerAf> = both_ways!(
    "filter-list",
    filter_list,
    "AS-path lists for routes from and to the peer"
);
pub(super) const UNSUPPRESS_MAP: Key<PeerAf> = Key {
    name: "unsuppress-map",
    doc: "Route map of what is announced although an aggregate suppresses it.",
    read: |af, item| af.policy.unsuppress_map = item.text(),
    write: |af| af.policy.unsuppress_map.as_ref().map(quoted),
};
pub(super) const DEFAULT_ORIGINATE: Key<PeerAf> = Key {
    name: "default-originate",
    doc: "Announce a default route to the peer: true, or the name of a route map that has to \
          permit some route of the table.",
    read: |af, item| af.policy.default_originate = read_default_originate(item),
    write: |af| {
        let said = af.policy.default_originate.as_ref()?;
        Some(said.route_map.as_ref().map_or("true".to_owned(), quoted))
    },
};
pub(super) const ADVERTISE_MAP: Key<PeerAf> = Key {
    name: "advertise-map",
    doc: "What is announced on a condition: a table, see `advertise-map`.",
    read: |af, item| af.policy.advertise_map = read_advertise_map(item),
    write: |af| inline(ADVERTISE, &Draft::of(af.policy.advertise_map.as_ref()?)),
};
pub(super) const PEER_DAMPENING: Key<PeerAf> = Key {
    name: "dampening",
    doc: "As the family's `dampening`, for this peer's routes.",
    read: |af, item| af.policy.dampening = read_dampening(item),
    write: |af| write_dampening(af.policy.dampening?),
};
pub(super) const SEND_COMMUNITY: Key<PeerAf> = switch!(
    "send-community",
    send_community,
    "Send communities to the peer"
);
pub(super) const SEND_EXTENDED: Key<PeerAf> = switch!(
    "send-extended-community",
    send_extended_community,
    "Send extended communities"
);
pub(super) const SEND_LARGE: Key<PeerAf> = switch!(
    "send-large-community",
    send_large_community,
    "Send large communities"
);

pub(super) const IN_OUT: &[Key<InOut>] = &[
    Key {
        name: "in",
        doc: "For routes from the peer.",
        read: |names, item| names.inbound = item.text(),
        write: |names| names.inbound.as_ref().map(quoted),
    },
    Key {
        name: "out",
        doc: "For routes to the peer.",
        read: |names, item| names.outbound = item.text(),
        write: |names| names.outbound.as_ref().map(quoted),
    },
];

fn read_default_originate(item: &mut Item<'_, '_, '_, '_>) -> Option<DefaultOriginate> {
    match (item.as_bool(), item.as_text()) {
        (Some(true), _) => Some(DefaultOriginate { route_map: None }),
        (None, Some(name)) => Some(DefaultOriginate {
            route_map: Some(name.to_owned()),
        }),
        _ => item.wrong(&["true", "the name of a route map in quotes"]),
    }
}

/// A conditional advertisement as far as it was read.
#[derive(Default)]
pub(super) struct Draft {
    advertise: Option<String>,
    exist: Option<String>,
    non_exist: Option<String>,
}

pub(super) const ADVERTISE: &[Key<Draft>] = &[
    Key {
        name: "advertise",
        doc: "Route map of what is announced. Required.",
        read: |draft, item| draft.advertise = item.text(),
        write: |draft| draft.advertise.as_ref().map(quoted),
    },
    Key {
        name: "exist-map",
        doc: "While the table has a route that this route map permits.",
        read: |draft, item| draft.exist = item.text(),
        write: |draft| draft.exist.as_ref().map(quoted),
    },
    Key {
        name: "non-exist-map",
        doc: "Instead: while it has none.",
        read: |draft, item| draft.non_exist = item.text(),
        write: |draft| draft.non_exist.as_ref().map(quoted),
    },
];

impl Draft {
    fn of(map: &AdvertiseMap) -> Self {
        let condition = |when| (map.when == when).then(|| map.condition.clone());
        Self {
            advertise: Some(map.advertise.clone()),
            exist: condition(AdvertiseWhen::Exists),
            non_exist: condition(AdvertiseWhen::Missing),
        }
    }

    fn into_map(self) -> Option<AdvertiseMap> {
        let (when, condition) = match (self.exist, self.non_exist) {
            (Some(name), None) => (AdvertiseWhen::Exists, name),
            (None, Some(name)) => (AdvertiseWhen::Missing, name),
            _ => return None,
        };
        Some(AdvertiseMap {
            advertise: self.advertise?,
            when,
            condition,
        })
    }
}

fn read_advertise_map(item: &mut Item<'_, '_, '_, '_>) -> Option<AdvertiseMap> {
    let mut draft = Draft::default();
    let errors = item.sink.errors();
    read_table(ADVERTISE, &mut draft, item);
    let map = draft.into_map();
    if map.is_none() && item.sink.errors() == errors {
        let message = "advertise-map needs advertise, and either exist-map or non-exist-map";
        item.sink.error(item.value.span(), message);
    }
    map
}

/// What a peer gets, as settings: for showing what is not set.
pub(super) fn concrete(policy: EffectivePolicy) -> PeerPolicy {
    let EffectivePolicy {
        route_map,
        prefix_list,
        distribute_list,
        filter_list,
        unsuppress_map,
        default_originate,
        advertise_map,
        dampening,
        send_community,
        send_extended_community,
        send_large_community,
    } = policy;
    PeerPolicy {
        route_map,
        prefix_list,
        distribute_list,
        filter_list,
        unsuppress_map,
        default_originate,
        advertise_map,
        dampening,
        send_community: Some(send_community),
        send_extended_community: Some(send_extended_community),
        send_large_community: Some(send_large_community),
    }
}
