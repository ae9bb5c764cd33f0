//! What the tests of policies share.
#![allow(dead_code, unreachable_pub, reason = "not every test needs all of it")]

use std::net::IpAddr;

use bgp_wire::{AsPath, Community, NextHop, PathAttributes, PeerKind};
use holdfast_policy::model::{PolicyConfig, RouteMap, RouteMapEntry, Set};
use holdfast_policy::{Applied, Changed, Compiler, Policies, RouteView};
use holdfast_rib::{Attributes, PeerInfo};
use ipnet::IpNet;

pub const LOCAL_AS: u32 = 64500;

pub fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

pub fn path(text: &str) -> AsPath {
    text.parse().unwrap()
}

pub fn communities(text: &str) -> Vec<Community> {
    text.split_whitespace()
        .map(|c| c.parse().unwrap())
        .collect()
}

pub fn peer(kind: PeerKind) -> PeerInfo {
    let address: IpAddr = "192.0.2.1".parse().unwrap();
    let mut peer = PeerInfo::new(kind, LOCAL_AS, 64501, address);
    peer.local_v4 = Some("192.0.2.254".parse().unwrap());
    peer
}

/// A route with a path, communities and a next hop.
pub fn attributes() -> PathAttributes {
    PathAttributes {
        as_path: path("64501 64502"),
        next_hop: Some(NextHop::V4("192.0.2.1".parse().unwrap())),
        ..PathAttributes::default()
    }
}

pub fn compile(config: &PolicyConfig) -> Policies {
    Compiler::new(config).local_as(LOCAL_AS).compile().unwrap()
}

pub fn one_map(map: RouteMap) -> PolicyConfig {
    PolicyConfig::default().with_route_map("M", map)
}

/// What the map M makes of a route.
pub fn apply(config: &PolicyConfig, prefix: &str, attributes: PathAttributes) -> Applied {
    let policies = compile(config);
    let attributes = Attributes::new(attributes);
    let view = RouteView::new(net(prefix), &attributes);
    policies.route_map("M").unwrap().apply(&view)
}

/// What the map M makes of the usual route, which it has to permit.
pub fn changed(config: &PolicyConfig, attributes: PathAttributes) -> Changed {
    match apply(config, "10.0.0.0/24", attributes.clone()) {
        Applied::Changed(changed) => *changed,
        Applied::Unchanged => {
            let attributes = Attributes::new(attributes);
            Changed::before(&RouteView::new(net("10.0.0.0/24"), &attributes))
        }
        Applied::Denied => panic!("denied"),
    }
}

/// What these lines make of attributes.
pub fn set(lines: impl IntoIterator<Item = Set>, attributes: PathAttributes) -> PathAttributes {
    let entry = lines
        .into_iter()
        .fold(RouteMapEntry::permit(), RouteMapEntry::setting);
    changed(&one_map(RouteMap::new().entry(10, entry)), attributes).attributes
}
