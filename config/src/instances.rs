//! The BGP instances of a configuration and their names.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::{Bgp, Config};

/// Words that stand for something else wherever a view is named.
const RESERVED: [&str; 2] = ["default", "all"];

/// Which BGP instance of a configuration: the default one sorts first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceName {
    /// `router bgp N`.
    #[default]
    Default,
    /// `router bgp N view NAME`.
    View(String),
}

impl InstanceName {
    /// The instance that the API and `show bgp view NAME` mean by `name`:
    /// nothing and `default` are the default one.
    pub fn from_word(name: &str) -> Self {
        match name {
            "" | "default" => Self::Default,
            name => Self::View(name.to_owned()),
        }
    }

    /// The name alone: `default`, or that of the view.
    pub fn word(&self) -> &str {
        match self {
            Self::Default => "default",
            Self::View(name) => name,
        }
    }

    /// Whether this is a view.
    pub fn is_view(&self) -> bool {
        matches!(self, Self::View(_))
    }

    /// Whether `name` can be that of a view.
    pub(crate) fn can_be_view(name: &str) -> bool {
        let word = !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control());
        word && !RESERVED.contains(&name)
    }

    /// The line that leads to the instance, whose AS is `asn`.
    pub fn router_line(&self, asn: u32) -> String {
        match self {
            Self::Default => format!("router bgp {asn}"),
            Self::View(name) => format!("router bgp {asn} view {name}"),
        }
    }

    /// What is said in front of a message about the instance.
    pub(crate) fn prefix(&self) -> Cow<'_, str> {
        match self {
            Self::Default => Cow::Borrowed(""),
            Self::View(name) => Cow::Owned(format!("view {name}: ")),
        }
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default instance"),
            Self::View(name) => write!(f, "view {name}"),
        }
    }
}

impl Config {
    /// Every BGP instance: the default one, then the views by name.
    pub fn instances(&self) -> impl Iterator<Item = (InstanceName, &Bgp)> {
        let default = self.bgp.iter().map(|bgp| (InstanceName::Default, bgp));
        let views = self.views.iter();
        default.chain(views.map(|(name, bgp)| (InstanceName::View(name.clone()), bgp)))
    }

    /// One instance, if it is configured.
    pub fn instance(&self, name: &InstanceName) -> Option<&Bgp> {
        match name {
            InstanceName::Default => self.bgp.as_ref(),
            InstanceName::View(name) => self.views.get(name),
        }
    }

    /// One instance to edit, if it is configured.
    pub fn instance_mut(&mut self, name: &InstanceName) -> Option<&mut Bgp> {
        match name {
            InstanceName::Default => self.bgp.as_mut(),
            InstanceName::View(name) => self.views.get_mut(name),
        }
    }

    /// Puts an instance in place of the one of that name, or removes it.
    pub fn set_instance(&mut self, name: &InstanceName, bgp: Option<Bgp>) {
        match (name, bgp) {
            (InstanceName::Default, bgp) => self.bgp = bgp,
            (InstanceName::View(name), Some(bgp)) => drop(self.views.insert(name.clone(), bgp)),
            (InstanceName::View(name), None) => drop(self.views.remove(name)),
        }
    }

    /// The configuration as one instance has it: what holds for the whole
    /// process, and that instance in the default one's place.
    #[must_use]
    pub fn of_instance(&self, name: &InstanceName) -> Self {
        Self {
            frr_version: self.frr_version.clone(),
            frr_defaults: self.frr_defaults,
            hostname: self.hostname.clone(),
            log: self.log.clone(),
            ip_forwarding: self.ip_forwarding,
            ipv6_forwarding: self.ipv6_forwarding,
            ip_nht_resolve_via_default: self.ip_nht_resolve_via_default,
            ipv6_nht_resolve_via_default: self.ipv6_nht_resolve_via_default,
            nexthop_objects: self.nexthop_objects,
            nexthop_compat_mode: self.nexthop_compat_mode,
            integrated_vtysh: self.integrated_vtysh,
            suppress_fib_pending: self.suppress_fib_pending,
            // The kernel's routes belong to the default one.
            static_routes: match name {
                InstanceName::Default => self.static_routes.clone(),
                InstanceName::View(_) => BTreeMap::new(),
            },
            api: self.api.clone(),
            bgp: self.instance(name).cloned(),
            views: BTreeMap::new(),
        }
    }

    /// The instance other than `name` that has a neighbor of this address. A
    /// connection from there could belong to either.
    pub(crate) fn other_owner(&self, name: &InstanceName, address: IpAddr) -> Option<InstanceName> {
        self.instances()
            .find(|(other, bgp)| other != name && bgp.neighbors.contains_key(&address))
            .map(|(other, _)| other)
    }
}

/// What is said about a neighbor that another instance has already.
pub(crate) fn taken(address: IpAddr, owner: &InstanceName) -> String {
    format!("{address} is a neighbor of {owner} already")
}
