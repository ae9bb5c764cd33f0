//! Where an instance lives: which table its routes go into, and which part of
//! the host its neighbors are on.

use holdfast_config::InstanceName;
use holdfast_config::model::Config;
use holdfast_fib::{self as fib, KernelView};

use super::SpeakerOptions;

/// See the [module](self).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Realm {
    /// The host, and the table that the daemon was started for.
    Host,
    /// The host, and no table: a view.
    View,
    /// The host, but for the routes: they go into this table.
    Table(u32),
    /// What belongs to a VRF device.
    Device(Device),
    /// The VRF has neither a device nor a table, or another's: sessions wait.
    Nowhere,
}

/// A VRF device of the kernel's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) name: String,
    pub(super) ifindex: u32,
    pub(super) table: u32,
}

impl Realm {
    /// Where the configuration and the kernel put an instance.
    pub(super) fn of(
        name: &InstanceName,
        config: &Config,
        options: &SpeakerOptions,
        view: &KernelView,
    ) -> Realm {
        let vrf = match name {
            InstanceName::Default => return Realm::Host,
            InstanceName::View(_) => return Realm::View,
            InstanceName::Vrf(vrf) => vrf,
        };
        let device = view.interface_named(vrf);
        if let Some(device) = device.filter(|_| options.kernel)
            && let Some(table) = device.vrf_table
        {
            return Realm::Device(Device {
                name: vrf.clone(),
                ifindex: device.ifindex,
                table,
            });
        }
        match config.vrfs.get(vrf).and_then(|vrf| vrf.table) {
            Some(table) => Realm::Table(table),
            None => Realm::Nowhere,
        }
    }

    /// The table that routes go into.
    pub(super) fn table(&self, options: &SpeakerOptions) -> Option<u32> {
        match self {
            Realm::Host => Some(options.table),
            Realm::Table(table) => Some(*table),
            Realm::Device(device) => Some(device.table),
            Realm::View | Realm::Nowhere => None,
        }
    }

    /// The table that next hops mean something in.
    pub(super) fn resolve_table(&self) -> u32 {
        match self {
            Realm::Device(device) => device.table,
            Realm::Host | Realm::View | Realm::Table(_) | Realm::Nowhere => fib::MAIN_TABLE,
        }
    }

    /// The VRF device whose interfaces are the instance's; none for those of
    /// no VRF.
    pub(super) fn device(&self) -> Option<&Device> {
        match self {
            Realm::Device(device) => Some(device),
            Realm::Host | Realm::View | Realm::Table(_) | Realm::Nowhere => None,
        }
    }

    /// FRR's number of the VRF: that of its device. Where there is none, the
    /// table's stands for it, and -1 says that it is unknown.
    pub(super) fn vrf_id(&self) -> i32 {
        let number = match self {
            Realm::Host | Realm::View => Some(0),
            Realm::Table(table) => i32::try_from(*table).ok(),
            Realm::Device(device) => i32::try_from(device.ifindex).ok(),
            Realm::Nowhere => None,
        };
        number.unwrap_or(-1)
    }

    /// What is said where it begins, `owner` having its table.
    pub(super) fn announce(&self, name: &InstanceName, owner: Option<&InstanceName>) {
        match self {
            _ if owner.is_some() => tracing::error!(
                instance = %name,
                owner = owner.map(tracing::field::display),
                "the table is another instance's: sessions wait"
            ),
            Realm::Host | Realm::View => {}
            Realm::Table(table) => {
                tracing::info!(instance = %name, table, "routes go into a table")
            }
            Realm::Device(Device { ifindex, table, .. }) => {
                tracing::info!(instance = %name, ifindex, table, "VRF device found");
            }
            Realm::Nowhere => tracing::warn!(
                instance = %name,
                "no VRF device of that name, and no table of its own is configured: sessions wait"
            ),
        }
    }
}
