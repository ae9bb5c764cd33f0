//! What policy says about a peer, by the names of lists and route maps. A name
//! may stand for nothing yet.

use serde::{Deserialize, Serialize};

use crate::origination::Dampening;

/// Names for the two directions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct InOut {
    /// For routes from the peer.
    pub inbound: Option<String>,
    /// For routes to the peer.
    pub outbound: Option<String>,
}

impl InOut {
    /// What the group says where this says nothing.
    fn or(&self, group: &Self) -> Self {
        Self {
            inbound: or(&self.inbound, &group.inbound),
            outbound: or(&self.outbound, &group.outbound),
        }
    }

    /// The two names as they are edited, printed and compared.
    pub(crate) fn both_mut(&mut self) -> [&mut Option<String>; 2] {
        [&mut self.inbound, &mut self.outbound]
    }
}

fn or<T: Clone>(own: &Option<T>, group: &Option<T>) -> Option<T> {
    own.clone().or_else(|| group.clone())
}

/// `default-originate`: the peer gets a default route of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct DefaultOriginate {
    /// Only while the table has a route that it permits, with its changes.
    pub route_map: Option<String>,
}

/// `advertise-map A exist-map B`: what A permits is announced while the table
/// has, or does not have, what B permits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AdvertiseMap {
    /// The route map of what is announced.
    pub advertise: String,
    /// Whether the table has to have it.
    pub when: AdvertiseWhen,
    /// The route map of what is looked for.
    pub condition: String,
}

/// When a conditional advertisement is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdvertiseWhen {
    /// `exist-map`.
    Exists,
    /// `non-exist-map`.
    Missing,
}

impl AdvertiseWhen {
    /// Both words.
    pub const ALL: [Self; 2] = [Self::Exists, Self::Missing];

    /// The word of a line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exists => "exist-map",
            Self::Missing => "non-exist-map",
        }
    }
}

/// What can be said about a peer's policy for one family. `None` means "not
/// said here".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct PeerPolicy {
    /// `route-map NAME in|out`.
    pub route_map: InOut,
    /// `prefix-list NAME in|out`.
    pub prefix_list: InOut,
    /// `distribute-list NAME in|out`: an access list. Not beside a prefix list
    /// of the same direction.
    pub distribute_list: InOut,
    /// `filter-list NAME in|out`: an AS-path access list.
    pub filter_list: InOut,
    /// `unsuppress-map NAME`: what it permits is announced although an
    /// aggregate suppresses it.
    pub unsuppress_map: Option<String>,
    /// `default-originate`.
    pub default_originate: Option<DefaultOriginate>,
    /// `advertise-map`.
    pub advertise_map: Option<AdvertiseMap>,
    /// `dampening`: settings of its own, in place of the family's (RFC 2439).
    pub dampening: Option<Dampening>,
    /// Send communities (RFC 1997).
    pub send_community: Option<bool>,
    /// Send extended communities (RFC 4360).
    pub send_extended_community: Option<bool>,
    /// Send large communities (RFC 8092).
    pub send_large_community: Option<bool>,
}

/// A peer's policy for one family after its group and the defaults had their
/// say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectivePolicy {
    /// Route maps.
    pub route_map: InOut,
    /// Prefix lists.
    pub prefix_list: InOut,
    /// Access lists.
    pub distribute_list: InOut,
    /// AS-path access lists.
    pub filter_list: InOut,
    /// The route map of what is announced although it is suppressed.
    pub unsuppress_map: Option<String>,
    /// The peer gets a default route.
    pub default_originate: Option<DefaultOriginate>,
    /// What is announced on a condition.
    pub advertise_map: Option<AdvertiseMap>,
    /// Dampening in place of the family's.
    pub dampening: Option<Dampening>,
    /// Send communities.
    pub send_community: bool,
    /// Send extended communities.
    pub send_extended_community: bool,
    /// Send large communities.
    pub send_large_community: bool,
}

impl EffectivePolicy {
    /// What a peer gets from its own settings and those of its group.
    pub(crate) fn of(own: &PeerPolicy, group: &PeerPolicy) -> Self {
        let sent = |own: Option<bool>, group: Option<bool>| own.or(group).unwrap_or(true);
        Self {
            route_map: own.route_map.or(&group.route_map),
            prefix_list: own.prefix_list.or(&group.prefix_list),
            distribute_list: own.distribute_list.or(&group.distribute_list),
            filter_list: own.filter_list.or(&group.filter_list),
            unsuppress_map: or(&own.unsuppress_map, &group.unsuppress_map),
            default_originate: or(&own.default_originate, &group.default_originate),
            advertise_map: or(&own.advertise_map, &group.advertise_map),
            dampening: own.dampening.or(group.dampening),
            send_community: sent(own.send_community, group.send_community),
            send_extended_community: sent(
                own.send_extended_community,
                group.send_extended_community,
            ),
            send_large_community: sent(own.send_large_community, group.send_large_community),
        }
    }

    /// Whether there is a policy for routes from the peer (RFC 8212).
    pub fn filters_inbound(&self) -> bool {
        self.filters()
            .into_iter()
            .any(|names| names.inbound.is_some())
    }

    /// Whether there is a policy for routes to the peer (RFC 8212).
    pub fn filters_outbound(&self) -> bool {
        self.filters()
            .into_iter()
            .any(|names| names.outbound.is_some())
    }

    fn filters(&self) -> [&InOut; 4] {
        [
            &self.route_map,
            &self.prefix_list,
            &self.distribute_list,
            &self.filter_list,
        ]
    }
}

impl PeerPolicy {
    /// Drops what the group says as well, and "off" or "on" where it holds
    /// anyway: FRR does not repeat it.
    pub(crate) fn normalize(&mut self, group: &Self) {
        let names = [
            (&mut self.route_map, &group.route_map),
            (&mut self.prefix_list, &group.prefix_list),
            (&mut self.distribute_list, &group.distribute_list),
            (&mut self.filter_list, &group.filter_list),
        ];
        for (own, group) in names {
            let mut group = group.clone();
            for (own, group) in own.both_mut().into_iter().zip(group.both_mut()) {
                drop_repeated(own, group);
            }
        }
        drop_repeated(&mut self.unsuppress_map, &group.unsuppress_map);
        drop_repeated(&mut self.default_originate, &group.default_originate);
        drop_repeated(&mut self.advertise_map, &group.advertise_map);
        drop_repeated(&mut self.dampening, &group.dampening);
        let sent = [
            (&mut self.send_community, group.send_community),
            (
                &mut self.send_extended_community,
                group.send_extended_community,
            ),
            (&mut self.send_large_community, group.send_large_community),
        ];
        for (own, group) in sent {
            *own = own.filter(|own| *own != group.unwrap_or(true));
        }
    }
}

fn drop_repeated<T: PartialEq>(own: &mut Option<T>, group: &Option<T>) {
    if own == group {
        *own = None;
    }
}
