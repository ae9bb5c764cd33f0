//! Static routes (`ip route`, `ipv6 route`) and what makes two of them one.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::model::Config;

/// The distance of a static route whose line names none.
pub const DEFAULT_STATIC_DISTANCE: u8 = 1;
/// A route of this distance is kept in the configuration and never used.
pub const UNUSABLE_DISTANCE: u8 = 255;

/// Static routes by prefix, which has no host bits; those of a prefix in
/// their order, none twice.
pub type StaticRoutes = BTreeMap<IpNet, Vec<StaticPath>>;

/// One `ip route` line without its prefix. Lines of equal prefix, table and
/// distance share the load; of several distances the lowest that works counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StaticPath {
    /// The kernel's table; `None` is the one that all else is written to.
    pub table: Option<u32>,
    /// Administrative distance, 1 to 255.
    pub distance: u8,
    /// Where packets go.
    pub target: StaticTarget,
    /// A number that policy may look at; paths of one distance share it.
    pub tag: Option<u32>,
}

/// Where packets to a static route go. The order is that of FRR's lines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StaticTarget {
    /// Every destination is a neighbor on this interface.
    Interface(String),
    /// They are dropped.
    Drop(StaticDrop),
    /// To a router, by whatever way leads to it.
    Gateway(IpAddr),
    /// To a router on an interface.
    GatewayOn {
        /// The router.
        gateway: IpAddr,
        /// Name of the interface, which need not exist yet.
        interface: String,
        /// The router is on the link whatever the addresses say.
        onlink: bool,
    },
}

/// How packets are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StaticDrop {
    /// Without a word.
    Blackhole,
    /// Without a word, spelled `Null0`.
    Null0,
    /// With an ICMP unreachable.
    Reject,
}

impl StaticDrop {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Blackhole, Self::Null0, Self::Reject];

    /// The word that names it in both spellings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blackhole => "blackhole",
            Self::Null0 => "Null0",
            Self::Reject => "reject",
        }
    }
}

impl StaticTarget {
    /// Whether a line about `other` is about this target as well: such a line
    /// takes the place of the other.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Drop(_), Self::Drop(_)) => true,
            (
                Self::GatewayOn {
                    gateway, interface, ..
                },
                Self::GatewayOn {
                    gateway: other_gateway,
                    interface: other_interface,
                    ..
                },
            ) => (gateway, interface) == (other_gateway, other_interface),
            (one, other) => one == other,
        }
    }

    /// The router, where there is one.
    pub fn gateway(&self) -> Option<IpAddr> {
        match self {
            Self::Gateway(gateway) | Self::GatewayOn { gateway, .. } => Some(*gateway),
            Self::Interface(_) | Self::Drop(_) => None,
        }
    }

    /// The interface, where one is named.
    pub fn interface(&self) -> Option<&str> {
        match self {
            Self::Interface(interface) | Self::GatewayOn { interface, .. } => Some(interface),
            Self::Gateway(_) | Self::Drop(_) => None,
        }
    }

    /// Whether the router counts as on the link.
    pub fn onlink(&self) -> bool {
        matches!(self, Self::GatewayOn { onlink: true, .. })
    }
}

impl StaticPath {
    /// Whether the two are used together, or instead of each other: packets
    /// cannot be dropped and forwarded at the same time.
    fn contradicts(&self, other: &Self) -> bool {
        let drops = |path: &Self| matches!(path.target, StaticTarget::Drop(_));
        (self.table, self.distance) == (other.table, other.distance) && drops(self) != drops(other)
    }
}

/// Why a static route is not taken, in FRR's words.
pub(crate) const CONTRADICTION: &str =
    "Route cannot have blackhole and non-blackhole nexthops simultaneously";

/// Adds a path, in place of one with the same target. The tag goes for all
/// paths of its distance.
///
/// # Errors
/// [`CONTRADICTION`], and nothing changed.
pub(crate) fn insert(
    routes: &mut StaticRoutes,
    prefix: IpNet,
    path: StaticPath,
) -> Result<(), &'static str> {
    let is_same = |old: &StaticPath| old.table == path.table && old.target.is_same(&path.target);
    let known = routes.get(&prefix).into_iter().flatten();
    if known
        .filter(|old| !is_same(old))
        .any(|old| old.contradicts(&path))
    {
        return Err(CONTRADICTION);
    }
    let paths = routes.entry(prefix.trunc()).or_default();
    paths.retain(|old| !is_same(old));
    for other in paths.iter_mut() {
        if (other.table, other.distance) == (path.table, path.distance) {
            other.tag = path.tag;
        }
    }
    let at = paths.partition_point(|old| *old < path);
    paths.insert(at, path);
    Ok(())
}

/// Removes the path to a target, whatever its distance. Returns whether there
/// was one.
pub(crate) fn remove(
    routes: &mut StaticRoutes,
    prefix: IpNet,
    (table, target): (Option<u32>, &StaticTarget),
) -> bool {
    let Some(paths) = routes.get_mut(&prefix) else {
        return false;
    };
    let before = paths.len();
    paths.retain(|old| old.table != table || !old.target.is_same(target));
    let found = paths.len() != before;
    if paths.is_empty() {
        routes.remove(&prefix);
    }
    found
}

impl Config {
    /// All static routes in the order in which FRR prints them: IPv4 first,
    /// short prefixes first.
    pub fn static_routes(&self) -> impl Iterator<Item = (IpNet, &StaticPath)> {
        let mut prefixes: Vec<&IpNet> = self.static_routes.keys().collect();
        prefixes
            .sort_by_key(|prefix| (prefix.addr().is_ipv6(), prefix.prefix_len(), prefix.addr()));
        let paths = |prefix: &IpNet| self.static_routes.get(prefix).into_iter().flatten();
        prefixes
            .into_iter()
            .flat_map(move |prefix| paths(prefix).map(move |path| (*prefix, path)))
    }
}

impl fmt::Display for StaticPath {
    /// The rest of the line after the prefix.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            StaticTarget::Interface(interface) => write!(f, "{interface}")?,
            StaticTarget::Drop(drop) => write!(f, "{}", drop.as_str())?,
            StaticTarget::Gateway(gateway) => write!(f, "{gateway}")?,
            StaticTarget::GatewayOn {
                gateway, interface, ..
            } => write!(f, "{gateway} {interface}")?,
        }
        if let Some(tag) = self.tag {
            write!(f, " tag {tag}")?;
        }
        if self.distance != DEFAULT_STATIC_DISTANCE {
            write!(f, " {}", self.distance)?;
        }
        if let Some(table) = self.table {
            write!(f, " table {table}")?;
        }
        if self.target.onlink() {
            write!(f, " onlink")?;
        }
        Ok(())
    }
}

/// Whether a name can be that of an interface in a line: one word that is not
/// taken for something else there.
pub(crate) fn is_interface(name: &str) -> bool {
    let word = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control());
    let fits = name.len() <= MAX_INTERFACE && !name.contains('/');
    let number = name.bytes().all(|byte| byte.is_ascii_digit());
    let taken = WORDS.contains(&name)
        || name.contains('?')
        || name.eq_ignore_ascii_case(StaticDrop::Null0.as_str())
        || StaticDrop::ALL.iter().any(|drop| drop.as_str() == name)
        || name.parse::<IpAddr>().is_ok();
    word && fits && !number && !taken
}

/// What FRR's lines for static routes may go on with, also where we do not.
const WORDS: [&str; 9] = [
    "onlink",
    "tag",
    "table",
    "label",
    "color",
    "bfd",
    "segments",
    "vrf",
    "nexthop-vrf",
];

/// `IFNAMSIZ` without the zero at the end.
const MAX_INTERFACE: usize = 15;

/// What makes a path impossible for a prefix, in words.
pub(crate) fn misfit(prefix: &IpNet, path: &StaticPath) -> Option<String> {
    let foreign = |gateway: IpAddr| gateway.is_ipv4() != prefix.addr().is_ipv4();
    if path.target.gateway().is_some_and(foreign) {
        return Some(format!("{prefix} needs a gateway of its own family"));
    }
    if let Some(name) = path.target.interface().filter(|name| !is_interface(name)) {
        return Some(format!("\"{name}\" cannot be the name of an interface"));
    }
    let zero = [
        ("distance", path.distance == 0),
        ("tag", path.tag == Some(0)),
        ("table", path.table == Some(0)),
    ];
    let (what, _) = zero.into_iter().find(|(_, zero)| *zero)?;
    Some(format!("the {what} of {prefix} must not be 0"))
}

/// The same routes in their normal form. Of contradictions the first stays.
pub(crate) fn normalized(routes: StaticRoutes) -> StaticRoutes {
    let mut normal = StaticRoutes::new();
    for (prefix, paths) in routes {
        for path in paths {
            let _ = insert(&mut normal, prefix.trunc(), path);
        }
    }
    normal
}

/// Everything wrong with static routes that were not read from a file.
pub(crate) fn problems(routes: &StaticRoutes) -> Vec<String> {
    let mut found = Vec::new();
    for (prefix, paths) in routes {
        found.extend(paths.iter().filter_map(|path| misfit(prefix, path)));
        let contradicts = |path: &StaticPath| paths.iter().any(|other| path.contradicts(other));
        if paths.iter().any(contradicts) {
            found.push(format!("{prefix}: {CONTRADICTION}"));
        }
    }
    found
}
