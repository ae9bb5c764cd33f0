//! Which lists and route maps a neighbor's policy names.

use holdfast_api::v1;
use holdfast_config::model::{EffectivePeer, Family as ConfigFamily};
use holdfast_policy::Policies;

/// The names in each family that is active, and which of them exist.
/// `told_default` says whether the neighbor is told a default route of ours.
pub(super) fn names(
    settings: &EffectivePeer,
    known: &Policies,
    told_default: impl Fn(v1::Family) -> bool,
) -> Vec<v1::PeerPolicyNames> {
    let families = [
        (ConfigFamily::Ipv4Unicast, v1::Family::Ipv4Unicast),
        (ConfigFamily::Ipv6Unicast, v1::Family::Ipv6Unicast),
    ];
    let active = families
        .into_iter()
        .filter(|(f, _)| settings.af(*f).activate);
    active
        .map(|(family, shown)| {
            let policy = &settings.af(family).policy;
            let default = policy.default_originate.clone();
            let default = default.and_then(|default| default.route_map);
            let is_v4 = family == ConfigFamily::Ipv4Unicast;
            let prefix_list = |name: &str| match is_v4 {
                true => known.ip_prefix_list(name).is_some(),
                false => known.ipv6_prefix_list(name).is_some(),
            };
            let access_list = |name: &str| match is_v4 {
                true => known.access_list(name).is_some(),
                false => known.ipv6_access_list(name).is_some(),
            };
            let as_path_list = |name: &str| known.as_path_list(name).is_some();
            let route_map = |name: &str| known.route_map(name).is_some();
            v1::PeerPolicyNames {
                family: shown as i32,
                prefix_list_in: named(&policy.prefix_list.inbound, prefix_list),
                prefix_list_out: named(&policy.prefix_list.outbound, prefix_list),
                distribute_list_in: named(&policy.distribute_list.inbound, access_list),
                distribute_list_out: named(&policy.distribute_list.outbound, access_list),
                filter_list_in: named(&policy.filter_list.inbound, as_path_list),
                filter_list_out: named(&policy.filter_list.outbound, as_path_list),
                route_map_in: named(&policy.route_map.inbound, route_map),
                route_map_out: named(&policy.route_map.outbound, route_map),
                unsuppress_map: named(&policy.unsuppress_map, route_map),
                send_communities: policy.send_community,
                send_extended_communities: policy.send_extended_community,
                send_large_communities: policy.send_large_community,
                default_originate: policy.default_originate.is_some(),
                default_route_map: default.and_then(|name| named(&Some(name), route_map)),
                default_sent: told_default(shown),
            }
        })
        .collect()
}

fn named(name: &Option<String>, exists: impl Fn(&str) -> bool) -> Option<v1::PolicyName> {
    name.as_ref().map(|name| v1::PolicyName {
        exists: exists(name),
        name: name.clone(),
    })
}
