//! The BGP instances of a configuration and their names.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::{Bgp, Config};

/// The default instance's name where instances are named.
pub(crate) const DEFAULT: &str = "default";

/// Words that stand for something else wherever an instance is named.
const RESERVED: [&str; 2] = [DEFAULT, "all"];

/// Tables of the kernel that are nobody's VRF: `default`, `main` and `local`.
const KERNELS_TABLES: std::ops::RangeInclusive<u32> = 253..=255;

/// Which BGP instance of a configuration: the default one sorts first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceName {
    /// `router bgp N`.
    #[default]
    Default,
    /// `router bgp N vrf NAME`.
    Vrf(String),
    /// `router bgp N view NAME`.
    View(String),
}

impl InstanceName {
    /// The name alone: `default`, or that of the VRF or view.
    pub fn word(&self) -> &str {
        match self {
            Self::Default => DEFAULT,
            Self::Vrf(name) | Self::View(name) => name,
        }
    }

    /// Whether this is the default instance.
    pub fn is_default(&self) -> bool {
        *self == Self::Default
    }

    /// Whether this is a view.
    pub fn is_view(&self) -> bool {
        matches!(self, Self::View(_))
    }

    /// Whether this is a VRF's.
    pub fn is_vrf(&self) -> bool {
        matches!(self, Self::Vrf(_))
    }

    /// Whether `name` can be that of a VRF or view.
    pub(crate) fn can_be_named(name: &str) -> bool {
        let word = !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control());
        word && !RESERVED.contains(&name)
    }

    /// The line that leads to the instance, whose AS is `asn`.
    pub fn router_line(&self, asn: u32) -> String {
        match self {
            Self::Default => format!("router bgp {asn}"),
            Self::Vrf(name) => format!("router bgp {asn} vrf {name}"),
            Self::View(name) => format!("router bgp {asn} view {name}"),
        }
    }

    /// What is said in front of a message about the instance.
    pub(crate) fn prefix(&self) -> Cow<'_, str> {
        match self {
            Self::Default => Cow::Borrowed(""),
            Self::Vrf(name) => Cow::Owned(format!("vrf {name}: ")),
            Self::View(name) => Cow::Owned(format!("view {name}: ")),
        }
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default instance"),
            Self::Vrf(name) => write!(f, "vrf {name}"),
            Self::View(name) => write!(f, "view {name}"),
        }
    }
}

/// Whether a VRF may have this table of the kernel's.
pub(crate) fn can_be_table(table: u32) -> bool {
    table != 0 && !KERNELS_TABLES.contains(&table)
}

impl Config {
    /// Every BGP instance: the default one, then the VRFs and the views by name.
    pub fn instances(&self) -> impl Iterator<Item = (InstanceName, &Bgp)> {
        let default = self.bgp.iter().map(|bgp| (InstanceName::Default, bgp));
        let vrfs = self.vrfs.iter().filter_map(|(name, vrf)| {
            let bgp = vrf.bgp.as_ref()?;
            Some((InstanceName::Vrf(name.clone()), bgp))
        });
        let views = self.views.iter();
        let views = views.map(|(name, bgp)| (InstanceName::View(name.clone()), bgp));
        default.chain(vrfs).chain(views)
    }

    /// Every BGP instance to edit, in no particular order.
    pub fn instances_mut(&mut self) -> impl Iterator<Item = &mut Bgp> {
        let vrfs = self.vrfs.values_mut().filter_map(|vrf| vrf.bgp.as_mut());
        self.bgp
            .iter_mut()
            .chain(vrfs)
            .chain(self.views.values_mut())
    }

    /// One instance, if it is configured.
    pub fn instance(&self, name: &InstanceName) -> Option<&Bgp> {
        match name {
            InstanceName::Default => self.bgp.as_ref(),
            InstanceName::Vrf(name) => self.vrfs.get(name)?.bgp.as_ref(),
            InstanceName::View(name) => self.views.get(name),
        }
    }

    /// One instance to edit, if it is configured.
    pub fn instance_mut(&mut self, name: &InstanceName) -> Option<&mut Bgp> {
        match name {
            InstanceName::Default => self.bgp.as_mut(),
            InstanceName::Vrf(name) => self.vrfs.get_mut(name)?.bgp.as_mut(),
            InstanceName::View(name) => self.views.get_mut(name),
        }
    }

    /// Puts an instance in place of the one of that name, or removes it.
    pub fn set_instance(&mut self, name: &InstanceName, bgp: Option<Bgp>) {
        match (name, bgp) {
            (InstanceName::Default, bgp) => self.bgp = bgp,
            (InstanceName::Vrf(name), bgp @ Some(_)) => {
                self.vrfs.entry(name.clone()).or_default().bgp = bgp;
            }
            (InstanceName::Vrf(name), None) => {
                if let Some(vrf) = self.vrfs.get_mut(name) {
                    vrf.bgp = None;
                    if vrf.table.is_none() {
                        self.vrfs.remove(name);
                    }
                }
            }
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
                InstanceName::Vrf(_) | InstanceName::View(_) => BTreeMap::new(),
            },
            policy: self.policy.clone(),
            route_map_delay_secs: self.route_map_delay_secs,
            ip_protocol_route_map: self.ip_protocol_route_map.clone(),
            ipv6_protocol_route_map: self.ipv6_protocol_route_map.clone(),
            rpki: self.rpki.clone(),
            api: self.api.clone(),
            bgp: self.instance(name).cloned(),
            vrfs: BTreeMap::new(),
            views: BTreeMap::new(),
        }
    }

    /// Where the neighbors of an instance are: a VRF without a table of its own
    /// to name has a device, to which its sessions are bound; all others share
    /// the host.
    pub(crate) fn place_of(&self, name: &InstanceName) -> Place {
        match name {
            InstanceName::Vrf(vrf) if self.vrfs.get(vrf).is_none_or(|v| v.table.is_none()) => {
                Place::Device(vrf.clone())
            }
            _ => Place::Host,
        }
    }

    /// The instance other than `name` that has a neighbor of this address in
    /// the same place. A connection from there could belong to either.
    pub(crate) fn other_owner(&self, name: &InstanceName, address: IpAddr) -> Option<InstanceName> {
        let place = self.place_of(name);
        self.instances()
            .filter(|(other, _)| self.place_of(other) == place)
            .find(|(other, bgp)| other != name && bgp.neighbors.contains_key(&address))
            .map(|(other, _)| other)
    }
}

/// Where addresses mean something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// The host.
    Host,
    /// The VRF device of this name.
    Device(String),
}

/// What is said about a neighbor that another instance has already.
pub(crate) fn taken(address: IpAddr, owner: &InstanceName) -> String {
    format!("{address} is a neighbor of {owner} already")
}
