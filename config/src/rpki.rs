//! Where the ROAs for origin validation come from (RFC 6811, RFC 8210).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// Seconds between questions for news, where nothing else is configured.
pub const DEFAULT_RPKI_POLLING_SECS: u32 = 3600;
/// Seconds after which data that cannot be refreshed is dropped, likewise.
pub const DEFAULT_RPKI_EXPIRE_SECS: u32 = 7200;
/// Seconds between attempts after a failure, likewise.
pub const DEFAULT_RPKI_RETRY_SECS: u32 = 600;

/// The `rpki` block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rpki {
    /// `rpki polling_period`: seconds, 1 to 86400; `None` is
    /// [`DEFAULT_RPKI_POLLING_SECS`].
    pub polling_period_secs: Option<u32>,
    /// `rpki expire_interval`: seconds, 600 to 172800; `None` is
    /// [`DEFAULT_RPKI_EXPIRE_SECS`].
    pub expire_interval_secs: Option<u32>,
    /// `rpki retry_interval`: seconds, 1 to 7200; `None` is
    /// [`DEFAULT_RPKI_RETRY_SECS`].
    pub retry_interval_secs: Option<u32>,
    /// The caches by preference, 1 to 255: the lowest that works is used.
    pub caches: BTreeMap<u8, RpkiCache>,
}

/// One `rpki cache` line: a server that speaks RTR over TCP.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RpkiCache {
    /// Address or name of the server.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// The local address of the connection; `None` leaves it to the kernel.
    #[serde(default)]
    pub source: Option<Ipv4Addr>,
}

impl Rpki {
    /// Whether nothing is configured.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same without intervals that are the usual ones.
    pub(crate) fn normalize(&mut self) {
        for (secs, usual) in [
            (&mut self.polling_period_secs, DEFAULT_RPKI_POLLING_SECS),
            (&mut self.expire_interval_secs, DEFAULT_RPKI_EXPIRE_SECS),
            (&mut self.retry_interval_secs, DEFAULT_RPKI_RETRY_SECS),
        ] {
            *secs = secs.filter(|secs| *secs != usual);
        }
    }
}
