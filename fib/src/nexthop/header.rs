//! `struct nhmsg`.

use netlink_packet_core::{DecodeError, Emitable, Parseable};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::RouteProtocol;

/// Octets of `struct nhmsg`.
pub(crate) const HEADER_LENGTH: usize = 8;

/// `struct nhmsg`: what each message about a nexthop object begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NexthopHeader {
    /// The family of the gateway; unspecified for groups.
    pub(crate) family: AddressFamily,
    /// `nh_scope`, which only the kernel fills.
    pub(crate) scope: u8,
    /// Who made it.
    pub(crate) protocol: RouteProtocol,
    /// `RTNH_F_*`.
    pub(crate) flags: u32,
}

impl Default for NexthopHeader {
    fn default() -> Self {
        Self {
            family: AddressFamily::Unspec,
            scope: 0,
            protocol: RouteProtocol::Unspec,
            flags: 0,
        }
    }
}

impl Emitable for NexthopHeader {
    fn buffer_len(&self) -> usize {
        HEADER_LENGTH
    }

    fn emit(&self, buffer: &mut [u8]) {
        let [a, b, c, d] = self.flags.to_ne_bytes();
        let family = u8::from(self.family);
        let octets = [family, self.scope, self.protocol.into(), 0, a, b, c, d];
        if let Some(start) = buffer.first_chunk_mut() {
            *start = octets;
        }
    }
}

impl Parseable<[u8]> for NexthopHeader {
    fn parse(buffer: &[u8]) -> Result<Self, DecodeError> {
        let Some(&[family, scope, protocol, _, a, b, c, d]) = buffer.first_chunk() else {
            let message = format!("a header of {} octets, not {HEADER_LENGTH}", buffer.len());
            return Err(message.into());
        };
        Ok(Self {
            family: family.into(),
            scope,
            protocol: protocol.into(),
            flags: u32::from_ne_bytes([a, b, c, d]),
        })
    }
}
