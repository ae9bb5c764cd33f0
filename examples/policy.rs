//! Policies without a daemon: lists and a route map as data, compiled, asked and
//! explained.
//!
//! ```text
//! $ cargo run --example policy
//! 10.244.3.0/24: local preference 200
//! 192.0.2.0/24: denied
//! ...
//! ```
#![allow(clippy::print_stdout, reason = "it is what the example is for")]

use std::error::Error;

use holdfast::policy::model::{
    Action, Delta, ListKind, Match, PolicyConfig, PrefixEntry, PrefixList, RouteMap, RouteMapEntry,
    Set,
};
use holdfast::policy::{Applied, Compiler, RouteView};
use holdfast::rib::Attributes;
use holdfast::wire::{AsPath, Origin, PathAttributes};
use ipnet::IpNet;

fn main() -> Result<(), Box<dyn Error>> {
    let pods = PrefixList::new().entry(
        5,
        PrefixEntry {
            le: Some(32),
            ..PrefixEntry::exactly(Action::Permit, "10.244.0.0/16".parse()?)
        },
    );
    let of_pods = Match::ip_address(ListKind::Prefix("PODS".into()));
    let map = RouteMap::new().entry(
        10,
        RouteMapEntry::permit()
            .matching(of_pods)
            .setting(Set::LocalPreference(Delta::To(200))),
    );
    let config = PolicyConfig::default()
        .with_ip_prefix_list("PODS", pods)
        .with_route_map("FROM-NODES", map);
    let policies = Compiler::new(&config).local_as(64500).compile()?;
    let map = policies.route_map("FROM-NODES").ok_or("it was compiled")?;

    let attributes = Attributes::new(PathAttributes {
        origin: Origin::Igp,
        as_path: AsPath::from_sequence([64501]),
        ..PathAttributes::default()
    });
    for prefix in ["10.244.3.0/24", "192.0.2.0/24"] {
        let prefix: IpNet = prefix.parse()?;
        let route = RouteView::new(prefix, &attributes);
        match map.apply(&route) {
            Applied::Denied => println!("{prefix}: denied"),
            Applied::Unchanged => println!("{prefix}: as it came"),
            Applied::Changed(new) => {
                let preference = new.attributes.local_pref.unwrap_or(100);
                println!("{prefix}: local preference {preference}");
            }
        }
        let (_, trace) = map.explain(&route);
        for step in &trace.steps {
            println!("  {step:?}");
        }
    }
    Ok(())
}
