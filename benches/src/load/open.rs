//! OPEN messages: what the generator offers and what it learns of the peer.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::load::prefix::Family;

/// What a session offers of ADD-PATH (RFC 7911 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AddPath {
    /// The capability is not sent.
    #[default]
    Off,
    /// Receives several paths.
    Receive,
    /// Sends several paths.
    Send,
    /// Both.
    Both,
}

impl AddPath {
    fn bits(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::Receive => 1,
            Self::Send => 2,
            Self::Both => 3,
        }
    }
}

/// An OPEN message (RFC 4271 section 4.2), as far as the generator needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The AS number; four octets when the capability is there.
    pub asn: u32,
    /// The offered hold time in seconds.
    pub hold_time_secs: u16,
    /// The BGP identifier.
    pub router_id: Ipv4Addr,
    /// Multiprotocol capabilities for unicast (RFC 4760 section 8).
    pub families: Vec<Family>,
    /// Four-octet AS numbers (RFC 6793).
    pub four_octet_as: bool,
    /// Route refresh (RFC 2918).
    pub route_refresh: bool,
    /// ADD-PATH for all `families`.
    pub add_path: AddPath,
    /// Graceful restart with this restart time in seconds (RFC 4724).
    pub restart_time_secs: Option<u16>,
}

impl Open {
    /// The body of the message.
    pub fn encode(&self) -> Vec<u8> {
        let mut capabilities = Vec::new();
        for family in &self.families {
            let [high, low] = family.afi().to_be_bytes();
            capabilities.extend_from_slice(&[1, 4, high, low, 0, 1]);
        }
        if self.route_refresh {
            capabilities.extend_from_slice(&[2, 0]);
        }
        if self.four_octet_as {
            capabilities.extend_from_slice(&[65, 4]);
            capabilities.extend_from_slice(&self.asn.to_be_bytes());
        }
        if let Some(seconds) = self.restart_time_secs {
            capabilities.extend_from_slice(&[64, 2 + 4 * self.families.len() as u8]);
            capabilities.extend_from_slice(&(seconds & 0xfff).to_be_bytes());
            for family in &self.families {
                let [high, low] = family.afi().to_be_bytes();
                capabilities.extend_from_slice(&[high, low, 1, 0]);
            }
        }
        if self.add_path != AddPath::Off {
            capabilities.extend_from_slice(&[69, 4 * self.families.len() as u8]);
            for family in &self.families {
                let [high, low] = family.afi().to_be_bytes();
                capabilities.extend_from_slice(&[high, low, 1, self.add_path.bits()]);
            }
        }
        let short = u16::try_from(self.asn).unwrap_or(23_456);
        let mut body = vec![4];
        body.extend_from_slice(&short.to_be_bytes());
        body.extend_from_slice(&self.hold_time_secs.to_be_bytes());
        body.extend_from_slice(&self.router_id.octets());
        let length = capabilities.len() as u8;
        body.extend_from_slice(&[length + 2, 2, length]);
        body.extend_from_slice(&capabilities);
        body
    }

    /// Reads the body of a message. `None` if it is cut off.
    pub fn decode(body: &[u8]) -> Option<Self> {
        let (fixed, parameters) = body.split_first_chunk::<10>()?;
        let [_, as0, as1, hold0, hold1, a, b, c, d, _] = *fixed;
        let mut open = Self {
            asn: u32::from(u16::from_be_bytes([as0, as1])),
            hold_time_secs: u16::from_be_bytes([hold0, hold1]),
            router_id: Ipv4Addr::new(a, b, c, d),
            families: Vec::new(),
            four_octet_as: false,
            route_refresh: false,
            add_path: AddPath::Off,
            restart_time_secs: None,
        };
        // RFC 9072: a length and type of 255 start the extended form.
        let extended = fixed[9] == 255 && parameters.first() == Some(&255);
        let mut rest = match extended {
            true => parameters.get(3..)?,
            false => parameters,
        };
        while let Some((&kind, tail)) = rest.split_first() {
            let (length, tail) = match extended {
                true => {
                    let (length, tail) = tail.split_first_chunk::<2>()?;
                    (usize::from(u16::from_be_bytes(*length)), tail)
                }
                false => {
                    let (&length, tail) = tail.split_first()?;
                    (usize::from(length), tail)
                }
            };
            let (value, tail) = tail.split_at_checked(length)?;
            if kind == 2 {
                open.read_capabilities(value)?;
            }
            rest = tail;
        }
        if open.families.is_empty() {
            open.families.push(Family::Ipv4);
        }
        Some(open)
    }

    fn read_capabilities(&mut self, mut rest: &[u8]) -> Option<()> {
        while let Some((head, tail)) = rest.split_first_chunk::<2>() {
            let (value, tail) = tail.split_at_checked(usize::from(head[1]))?;
            match (head[0], value) {
                (1, [0, 1, _, 1]) => self.families.push(Family::Ipv4),
                (1, [0, 2, _, 1]) => self.families.push(Family::Ipv6),
                (2, _) => self.route_refresh = true,
                (64, [high, low, ..]) => {
                    self.restart_time_secs = Some(u16::from_be_bytes([*high, *low]) & 0xfff);
                }
                (65, [a, b, c, d]) => {
                    self.four_octet_as = true;
                    self.asn = u32::from_be_bytes([*a, *b, *c, *d]);
                }
                (69, value) => {
                    let modes = value.chunks_exact(4).map(|tuple| tuple[3]);
                    self.add_path = match modes.fold(0, |all, mode| all | mode) {
                        1 => AddPath::Receive,
                        2 => AddPath::Send,
                        3 => AddPath::Both,
                        _ => AddPath::Off,
                    };
                }
                _ => {}
            }
            rest = tail;
        }
        Some(())
    }
}
