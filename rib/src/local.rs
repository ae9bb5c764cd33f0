//! Routes that are our own.

use bgp_wire::{NextHop, Origin, PathAttributes};

/// Where a route of our own comes from. The order is the tie-break between
/// sources of the same prefix that are equal otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum LocalSource {
    /// A `network` statement, or an embedder's announcement.
    Network,
    /// An aggregate ([`Rib::set_aggregates`](crate::Rib::set_aggregates)), which
    /// the table makes itself.
    Aggregate,
    /// Redistributed connected route.
    Connected,
    /// Redistributed static route.
    Static,
    /// Redistributed kernel route.
    Kernel,
    /// Redistributed route of another table of the kernel.
    Table,
}

/// The weight of local routes unless policy says otherwise.
pub const LOCAL_WEIGHT: u32 = 32_768;

/// A route of our own. Several sources may hold the same prefix: each is a
/// path of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalRoute {
    /// Its source.
    pub source: LocalSource,
    /// Attributes; an empty AS path, and no next hop where packets end here.
    pub attributes: PathAttributes,
    /// Weight, usually [`LOCAL_WEIGHT`].
    pub weight: u32,
}

impl LocalRoute {
    /// A route with the usual attributes of its source: ORIGIN is IGP for
    /// [`LocalSource::Network`] and [`LocalSource::Aggregate`], else incomplete; MED is `metric`.
    pub fn new(source: LocalSource, next_hop: Option<NextHop>, metric: u32) -> LocalRoute {
        LocalRoute {
            source,
            attributes: PathAttributes {
                origin: match source {
                    LocalSource::Network | LocalSource::Aggregate => Origin::Igp,
                    LocalSource::Connected
                    | LocalSource::Static
                    | LocalSource::Kernel
                    | LocalSource::Table => Origin::Incomplete,
                },
                next_hop,
                med: Some(metric),
                ..PathAttributes::default()
            },
            weight: LOCAL_WEIGHT,
        }
    }
}
