//! OPEN (RFC 4271 section 4.2, RFC 5492, RFC 6793, RFC 9072).

use std::net::Ipv4Addr;

use crate::capability::Capability;

/// An OPEN, with the capabilities of all its optional parameters in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Version, 4.
    pub version: u8,
    /// My Autonomous System: 2 octets on the wire; AS_TRANS (23456) where the
    /// true number does not fit.
    pub my_as: u16,
    /// Hold time in seconds: 0, or at least 3.
    pub hold_time_secs: u16,
    /// BGP identifier.
    pub bgp_id: Ipv4Addr,
    /// Capabilities.
    pub capabilities: Vec<Capability>,
}

impl Open {
    /// The sender's AS: the 4-octet capability's where it was sent.
    pub fn asn(&self) -> u32 {
        self.capabilities
            .iter()
            .find_map(|c| match c {
                Capability::FourOctetAs(asn) => Some(*asn),
                _ => None,
            })
            .unwrap_or(u32::from(self.my_as))
    }
}
