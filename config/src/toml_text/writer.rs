//! The text of a configuration in TOML, and the reference of its keys.

use std::fmt::Write;

use holdfast_policy::model::{RouteMap, RouteMapEntry};
use ipnet::{Ipv4Net, Ipv6Net};

use crate::instances::InstanceName;
use crate::model::{
    AfConfig, Aggregate, Bgp, Config, Defaults, Family, Network, PeerSettings, Prefix, Vrf,
};

use super::keys::{Key, quoted};
use super::origination::Options;
use super::policy::{self, ListText, Table};
use super::{filter, global, instance, origination, peer, rpki, statics};

/// The configuration as TOML, without what holds by default.
pub fn to_toml(config: &Config) -> String {
    Writer {
        text: String::new(),
        defaults: false,
    }
    .config(config)
}

/// The configuration as TOML with every default. A value that would come from
/// a peer group or the instance is shown as a comment, because saying it would
/// fix it; so is a key that has no default.
pub fn to_toml_with_defaults(config: &Config) -> String {
    Writer {
        text: String::new(),
        defaults: true,
    }
    .config(config)
}

struct Writer {
    text: String,
    defaults: bool,
}

impl Writer {
    fn config(mut self, config: &Config) -> String {
        let fresh = Config::default();
        if self.defaults {
            // The tables follow below, key by key.
            let inline = ["log", "api"];
            let keys = global::KEYS
                .iter()
                .filter(|key| !inline.contains(&key.name));
            self.keys(keys, config, &fresh);
            self.header("log");
            self.keys(global::LOG.iter(), &config.log, &fresh.log);
            self.header("api");
            self.keys(
                global::API.iter(),
                &global::concrete_api(&config.api),
                &fresh.api,
            );
        } else {
            self.keys(global::KEYS.iter(), config, &fresh);
        }
        self.policy(config);
        for (name, vrf) in &config.vrfs {
            if vrf.table.is_some() || vrf.bgp.is_none() || self.defaults {
                self.header(&format!("vrf.{}", key_text(name)));
                self.keys(instance::VRF.iter(), vrf, &Vrf::default());
            }
        }
        for (name, bgp) in config.instances() {
            let path = match &name {
                InstanceName::Default => "bgp".to_owned(),
                InstanceName::Vrf(name) => format!("vrf.{}.bgp", key_text(name)),
                InstanceName::View(name) => format!("view.{}", key_text(name)),
            };
            self.bgp(&path, bgp, &config.defaults());
        }
        self.text
    }

    fn policy(&mut self, config: &Config) {
        for (path, table) in policy::tables(config) {
            let parts: Vec<String> = path.iter().map(|part| key_text(part)).collect();
            self.header(&parts.join("."));
            match table {
                Table::List(keys, list) => self.keys(keys.iter(), &list, &ListText::default()),
                Table::Aliases(aliases) => {
                    for (community, alias) in aliases {
                        self.line(&format!("{} = {}", key_text(community), quoted(alias)));
                    }
                }
                Table::Map(map) => self.keys(policy::MAP.iter(), map, &RouteMap::default()),
                Table::Entry(entry) => {
                    let fresh = RouteMapEntry::default();
                    self.keys(policy::MAP_ENTRY.iter(), entry, &fresh);
                }
            }
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn header(&mut self, path: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.line(&format!("[{path}]"));
    }

    /// The keys whose value differs from that of `fresh`, or all of them.
    fn keys<'k, T: 'static>(
        &mut self,
        keys: impl Iterator<Item = &'k Key<T>>,
        value: &T,
        fresh: &T,
    ) {
        for key in keys {
            match ((key.write)(value), (key.write)(fresh)) {
                (None, _) if self.defaults && !is_table(key.name) => {
                    self.line(&format!("# {} is not set", key.name));
                }
                (Some(text), default) if self.defaults || default.as_ref() != Some(&text) => {
                    self.line(&format!("{} = {text}", key.name));
                }
                _ => {}
            }
        }
    }

    fn bgp(&mut self, path: &str, bgp: &Bgp, defaults: &Defaults) {
        let fresh = Bgp::new(bgp.asn, defaults);
        self.header(path);
        self.line(&format!("asn = {}", bgp.asn));
        self.keys(instance::KEYS.iter(), bgp, &fresh);
        self.family::<Ipv4Net>(&format!("{path}.ipv4-unicast"), bgp);
        self.family::<Ipv6Net>(&format!("{path}.ipv6-unicast"), bgp);
        for (name, group) in &bgp.peer_groups {
            self.header(&format!("{path}.peer-group.{}", key_text(name)));
            self.peer(group, None);
        }
        for (address, neighbor) in &bgp.neighbors {
            self.header(&format!("{path}.neighbor.{}", quoted(address)));
            if let Some(group) = &neighbor.peer_group {
                self.line(&format!("peer-group = {}", quoted(group)));
            }
            let effective = bgp.effective(*address).map(peer::concrete);
            self.peer(&neighbor.settings, effective.as_ref());
        }
    }

    fn family<P: Prefix>(&mut self, path: &str, bgp: &Bgp) {
        let fresh = AfConfig::<P>::default();
        if self.defaults || *P::af(bgp) != fresh {
            self.header(path);
            self.keys(instance::af_keys::<P>().iter(), P::af(bgp), &fresh);
        }
    }

    fn peer(&mut self, settings: &PeerSettings, effective: Option<&PeerSettings>) {
        for key in peer::KEYS {
            if let Some(text) = (key.write)(settings) {
                self.line(&format!("{} = {text}", key.name));
            } else if self.defaults && !is_table(key.name) {
                self.unset(key, effective);
            }
        }
        if let (true, Some(effective)) = (self.defaults, effective) {
            for family in Family::ALL {
                self.peer_family(family, settings, effective);
            }
        }
    }

    fn unset(&mut self, key: &Key<PeerSettings>, effective: Option<&PeerSettings>) {
        match effective.and_then(key.write) {
            Some(text) => self.line(&format!("# {} = {text}", key.name)),
            None => self.line(&format!("# {} is not set", key.name)),
        }
    }

    /// What a neighbor gets for a family, as a comment: its own settings are
    /// written above.
    fn peer_family(&mut self, family: Family, own: &PeerSettings, effective: &PeerSettings) {
        let name = family.as_str().replace(' ', "-");
        for key in peer::AF {
            let said = (key.write)(own.af(family)).is_some();
            if let (false, Some(text)) = (said, (key.write)(effective.af(family))) {
                self.line(&format!("# {name}.{} = {text}", key.name));
            }
        }
    }
}

/// The keys that stand for a table of their own.
fn is_table(name: &str) -> bool {
    matches!(name, "ipv4-unicast" | "ipv6-unicast" | "log" | "api")
}

/// A key, quoted only where TOML needs it.
fn key_text(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// The reference of all keys in Markdown: a table of rows per section.
pub fn reference() -> String {
    let mut text = String::new();
    section(&mut text, "Top level", global::KEYS);
    section(&mut text, "entries of static-routes", statics::ENTRY);
    section(&mut text, "log", global::LOG);
    section(&mut text, "log.file", global::LOG_FILE);
    section(&mut text, "api", global::API);
    section(&mut text, "bgp, vrf.NAME.bgp, view.NAME", instance::KEYS);
    section(&mut text, "vrf.NAME", instance::VRF);
    section(
        &mut text,
        "bgp.timers, bgp.neighbor.X.timers",
        instance::TIMERS,
    );
    section(
        &mut text,
        "bgp.graceful-restart",
        instance::GRACEFUL_RESTART,
    );
    section(
        &mut text,
        "bgp.ipv4-unicast, bgp.ipv6-unicast",
        instance::af_keys::<Ipv4Net>(),
    );
    section(
        &mut text,
        "entries of network",
        <Network as Options<Ipv4Net>>::KEYS,
    );
    section(
        &mut text,
        "entries of aggregate",
        <Aggregate as Options<Ipv4Net>>::KEYS,
    );
    section(&mut text, "entries of redistribute", origination::SOURCE);
    section(
        &mut text,
        "bgp.ipv4-unicast.dampening, bgp.ipv6-unicast.dampening, and those of a neighbor",
        origination::DAMPENING,
    );
    section(
        &mut text,
        "bgp.ipv4-unicast.resilient, bgp.ipv6-unicast.resilient",
        instance::RESILIENT,
    );
    section(&mut text, "bgp.neighbor.X, bgp.peer-group.X", peer::KEYS);
    section(
        &mut text,
        "bgp.neighbor.X.ipv4-unicast and .ipv6-unicast",
        peer::AF,
    );
    section(
        &mut text,
        "route-map, prefix-list, distribute-list and filter-list of a neighbor",
        filter::IN_OUT,
    );
    section(&mut text, "advertise-map of a neighbor", filter::ADVERTISE);
    policy_sections(&mut text);
    text
}

fn policy_sections(text: &mut String) {
    section(text, "rpki", rpki::KEYS);
    section(text, "rpki.cache", rpki::CACHE);
    let lists = "ip-prefix-list.NAME, ipv6-prefix-list.NAME";
    section(text, lists, policy::PREFIX_LIST);
    let lists = "access-list.NAME, ipv6-access-list.NAME";
    section(text, lists, policy::ACCESS_LIST);
    section(text, "as-path-list.NAME", policy::AS_PATH_LIST);
    let lists = "community-list.NAME, large-community-list.NAME, extcommunity-list.NAME";
    section(text, lists, policy::COMMUNITY_LIST);
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "## community-alias\n\nNames by community: `\"65000:1\" = \"customers\"`.\n"
    );
    section(text, "route-map.NAME", policy::MAP);
    section(text, "route-map.NAME.NUMBER", policy::MAP_ENTRY);
}

fn section<T>(text: &mut String, title: &str, keys: &[Key<T>]) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "## {title}\n\n| key | meaning |\n| --- | --- |");
    if title.starts_with("bgp, ") {
        let _ = writeln!(
            text,
            "| `asn` | The local AS number, 1 to 4294967295. Required. |"
        );
    }
    if title.starts_with("bgp.neighbor.X, ") {
        let _ = writeln!(
            text,
            "| `peer-group` | The group of a neighbor (neighbors only). |"
        );
    }
    for key in keys {
        let _ = writeln!(text, "| `{}` | {} |", key.name, key.doc);
    }
    text.push('\n');
}
