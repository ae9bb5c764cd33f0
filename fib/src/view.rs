//! A read-only picture of the host's interfaces and addresses, shared without locks.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

/// One interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's number of it.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// Administratively up and with a carrier (`IFF_UP` and `IFF_RUNNING`).
    pub up: bool,
    /// Administratively up (`IFF_UP`).
    pub admin_up: bool,
    /// `IFF_LOOPBACK`.
    pub loopback: bool,
    /// Maximum transmission unit in bytes.
    pub mtu: u32,
    /// The bridge, bond or VRF it belongs to.
    pub master: Option<u32>,
    /// The table, where this is a VRF device.
    pub vrf_table: Option<u32>,
    /// Its addresses, sorted.
    pub addresses: Vec<Address>,
}

/// An address of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The address with its prefix length, host bits kept.
    pub net: IpNet,
    /// The other end of a point-to-point link.
    pub peer: Option<IpNet>,
    /// Not yet usable: duplicate address detection runs or has failed (RFC 4862 section 5.4).
    pub tentative: bool,
    /// An alias behind another address of the same subnet (`IFA_F_SECONDARY`, IPv4 only).
    pub secondary: bool,
}

impl Address {
    /// The subnet this address puts on the link; for point-to-point links the other end.
    #[must_use]
    pub fn subnet(&self) -> IpNet {
        self.peer.unwrap_or(self.net).trunc()
    }
}

/// A port of a bridge that is in a VRF has two masters; more are a circle.
const MASTERS: usize = 4;

/// The host's interfaces and addresses at one moment. Get the newest from
/// [`FibHandle::view`](crate::FibHandle::view), and keep it as long as you like.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KernelView {
    /// Sorted by number.
    pub(crate) interfaces: Vec<Interface>,
    /// Without a kernel every address counts as connected.
    pub(crate) assume_connected: bool,
}

impl KernelView {
    /// All interfaces, sorted by number.
    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Whether there are VRF devices.
    #[must_use]
    pub fn has_vrfs(&self) -> bool {
        self.interfaces.iter().any(|i| i.vrf_table.is_some())
    }

    /// What belongs to a VRF: its device and the interfaces in it. Without a
    /// number, what belongs to none.
    #[must_use]
    pub fn of_vrf(&self, device: Option<u32>) -> Self {
        let belongs = |interface: &&Interface| self.vrf_of(interface) == device;
        let interfaces = self.interfaces.iter().filter(belongs);
        Self {
            interfaces: interfaces.cloned().collect(),
            assume_connected: self.assume_connected,
        }
    }

    /// The VRF device that an interface belongs to: itself, its master, or its
    /// master's, as with a bridge in a VRF.
    fn vrf_of(&self, interface: &Interface) -> Option<u32> {
        let masters = std::iter::successors(Some(interface), |i| self.interface(i.master?));
        let mut masters = masters.take(MASTERS);
        masters.find(|i| i.vrf_table.is_some()).map(|i| i.ifindex)
    }

    /// The interface of this number.
    #[must_use]
    pub fn interface(&self, ifindex: u32) -> Option<&Interface> {
        let at = self
            .interfaces
            .binary_search_by_key(&ifindex, |i| i.ifindex)
            .ok()?;
        self.interfaces.get(at)
    }

    /// The interface of this name.
    #[must_use]
    pub fn interface_named(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|i| i.name == name)
    }

    /// The interface whose subnet `address` is in, the longest prefix first; `None` when it is
    /// on no link that is up. Link-local addresses are on every link and therefore never found.
    #[must_use]
    pub fn connected_interface(&self, address: IpAddr) -> Option<&Interface> {
        if is_link_local(address) {
            return None;
        }
        let usable = self.interfaces.iter().filter(|i| i.up);
        let subnets = usable.flat_map(|i| i.addresses.iter().map(move |a| (a.subnet(), i)));
        subnets
            .filter(|(subnet, _)| subnet.contains(&address))
            .max_by_key(|(subnet, _)| subnet.prefix_len())
            .map(|(_, interface)| interface)
    }

    /// Whether `address` is in the subnet of an interface that is up, or one of the host's own.
    /// A link-local address counts when some interface other than the loopback is up.
    #[must_use]
    pub fn is_connected(&self, address: IpAddr) -> bool {
        if self.assume_connected {
            return true;
        }
        if is_link_local(address) {
            return self.interfaces.iter().any(|i| i.up && !i.loopback);
        }
        self.connected_interface(address).is_some()
    }

    /// Every address of the host, loopback included.
    pub fn local_addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.interfaces
            .iter()
            .flat_map(|i| i.addresses.iter().map(|a| a.net.addr()))
    }

    /// Whether `address` is one of the host's own.
    #[must_use]
    pub fn is_local(&self, address: IpAddr) -> bool {
        self.local_addresses().any(|own| own == address)
    }

    /// The addresses of one interface; empty for a number that is not known.
    #[must_use]
    pub fn addresses(&self, ifindex: u32) -> &[Address] {
        self.interface(ifindex).map_or(&[], |i| &i.addresses)
    }

    /// The usable IPv6 link-local address of an interface, the second half of a 32-octet next
    /// hop (RFC 2545 section 3).
    #[must_use]
    pub fn link_local(&self, ifindex: u32) -> Option<Ipv6Addr> {
        self.addresses(ifindex)
            .iter()
            .filter(|a| !a.tentative)
            .find_map(|a| match a.net.addr() {
                IpAddr::V6(v6) if v6.is_unicast_link_local() => Some(v6),
                _ => None,
            })
    }

    /// The usable address of an interface in the family of `like` that is neither link-local
    /// nor loopback: the one whose subnet holds `like`, else the first.
    #[must_use]
    pub fn global_address(&self, ifindex: u32, like: IpAddr) -> Option<IpAddr> {
        let mut candidates = self.addresses(ifindex).iter().filter(|a| {
            let addr = a.net.addr();
            !a.tentative
                && addr.is_ipv4() == like.is_ipv4()
                && !is_link_local(addr)
                && !addr.is_loopback()
        });
        let first = candidates.clone().next();
        candidates
            .find(|a| a.net.contains(&like))
            .or(first)
            .map(|a| a.net.addr())
    }
}

/// `169.254.0.0/16` is left out: routers number real links from it.
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}
