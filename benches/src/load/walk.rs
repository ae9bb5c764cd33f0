//! Walks over received octets: message lengths, then the lengths of an
//! UPDATE, then prefixes. Attributes are looked at only where asked for.

use crate::load::encode::MARK_ADMIN;
use crate::load::prefix::Family;

/// The type code of an UPDATE.
pub(crate) const UPDATE: u8 = 2;
const HEADER: usize = 19;

/// A message's type, its body, and the octets behind it.
pub(crate) type Split<'a> = (u8, &'a [u8], &'a [u8]);

/// Splits one message off: its type, its body, and what follows. `None` when
/// there is not a whole message.
///
/// # Errors
/// The length field, when it cannot be one (RFC 4271 section 6.1).
pub(crate) fn split_message(octets: &[u8]) -> Result<Option<Split<'_>>, u16> {
    let Some(header) = octets.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let length = u16::from_be_bytes([header[16], header[17]]);
    if usize::from(length) < HEADER || header[0] != 0xff {
        return Err(length);
    }
    match octets.split_at_checked(usize::from(length)) {
        Some((message, rest)) => Ok(Some((header[18], &message[HEADER..], rest))),
        None => Ok(None),
    }
}

/// The parts of an UPDATE of one address family.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Parts<'a> {
    /// Packed withdrawn prefixes.
    pub(crate) withdrawn: &'a [u8],
    /// Packed announced prefixes.
    pub(crate) announced: &'a [u8],
    /// The attribute block.
    pub(crate) attributes: &'a [u8],
    /// Nothing but the End-of-RIB marker of the family.
    pub(crate) end_of_rib: bool,
}

/// Cuts the body of an UPDATE. `None` if a length leads outside of it.
pub(crate) fn parts(body: &[u8], family: Family) -> Option<Parts<'_>> {
    let (withdrawn, rest) = counted(body)?;
    let (attributes, announced) = counted(rest)?;
    let mut parts = Parts {
        attributes,
        ..Parts::default()
    };
    if family == Family::Ipv4 {
        parts.withdrawn = withdrawn;
        parts.announced = announced;
        parts.end_of_rib = body.len() == 4;
        if !withdrawn.is_empty() || !announced.is_empty() || parts.end_of_rib {
            return Some(parts);
        }
    }
    multiprotocol(&mut parts, family)?;
    Some(parts)
}

/// Takes the NLRI out of MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760).
fn multiprotocol(parts: &mut Parts<'_>, family: Family) -> Option<()> {
    let wanted = [0, family.afi() as u8, 1];
    let mut others = false;
    let mut empty_unreach = false;
    for (code, value) in Attributes(parts.attributes) {
        match code {
            14 if value.starts_with(&wanted) => {
                let next_hop = usize::from(*value.get(3)?);
                parts.announced = value.get(4 + next_hop + 1..)?;
            }
            15 if value.starts_with(&wanted) => {
                parts.withdrawn = &value[3..];
                empty_unreach = value.len() == 3;
            }
            _ => others = true,
        }
    }
    parts.end_of_rib = empty_unreach && !others && parts.announced.is_empty();
    Some(())
}

/// A run of octets behind its two-octet length.
fn counted(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = octets.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// Codes and values of a block of attributes; ends where a length is wrong.
pub(crate) struct Attributes<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u8, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (head, tail) = self.0.split_first_chunk::<3>()?;
        let (length, tail) = match head[0] & 0x10 {
            0 => (usize::from(head[2]), tail),
            _ => {
                let (&low, tail) = tail.split_first()?;
                (usize::from(u16::from_be_bytes([head[2], low])), tail)
            }
        };
        let (value, rest) = tail.split_at_checked(length)?;
        self.0 = rest;
        Some((head[1], value))
    }
}

/// The AS number at `position` of the first segment of the AS path.
pub(crate) fn path_hop(attributes: &[u8], position: usize) -> Option<u32> {
    let (_, path) = Attributes(attributes).find(|&(code, _)| code == 2)?;
    let (head, asns) = path.split_first_chunk::<2>()?;
    if position >= usize::from(head[1]) {
        return None;
    }
    let octets = asns.get(4 * position..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*octets))
}

/// The number in the large community that marks a route.
pub(crate) fn mark(attributes: &[u8]) -> Option<u32> {
    let (_, value) = Attributes(attributes).find(|&(code, _)| code == 32)?;
    let admin = MARK_ADMIN.to_be_bytes();
    let community = value.chunks_exact(12).find(|c| c.starts_with(&admin))?;
    let number = community.last_chunk::<4>()?;
    Some(u32::from_be_bytes(*number))
}

/// Whether a community is there.
pub(crate) fn has_community(attributes: &[u8], wanted: u32) -> bool {
    let communities = Attributes(attributes).find(|&(code, _)| code == 8);
    let wanted = wanted.to_be_bytes();
    communities.is_some_and(|(_, list)| list.chunks_exact(4).any(|one| one == wanted))
}

/// One prefix: its address as two left-aligned halves, and its length.
pub(crate) type Key = ((u64, u64), u8);

/// Packed IPv4 or IPv6 prefixes, with path identifiers if `add_path`.
pub(crate) struct Nlri<'a> {
    octets: &'a [u8],
    max_len: u8,
    add_path: bool,
}

impl<'a> Nlri<'a> {
    pub(crate) fn new(octets: &'a [u8], family: Family, add_path: bool) -> Self {
        Self {
            octets,
            max_len: family.max_len(),
            add_path,
        }
    }
}

impl Iterator for Nlri<'_> {
    type Item = (u32, Key);

    /// The next path identifier (0 without ADD-PATH) and prefix. What is cut
    /// off or too long ends the walk.
    #[inline]
    fn next(&mut self) -> Option<(u32, Key)> {
        let mut path_id = 0;
        if self.add_path {
            let (id, rest) = self.octets.split_first_chunk::<4>()?;
            path_id = u32::from_be_bytes(*id);
            self.octets = rest;
        }
        let (&len, rest) = self.octets.split_first()?;
        if len > self.max_len {
            return None;
        }
        let (address, tail) = rest.split_at_checked(usize::from(len).div_ceil(8))?;
        let halves = match rest.first_chunk::<8>() {
            // Reading eight octets at once is safe here; what belongs to the
            // next prefix is masked away.
            Some(eight) if len <= 64 => (masked(u64::from_be_bytes(*eight), len), 0),
            _ => slow_halves(address, len),
        };
        self.octets = tail;
        Some((path_id, (halves, len)))
    }
}

#[inline]
fn masked(bits: u64, len: u8) -> u64 {
    match len {
        0 => 0,
        _ => bits & (u64::MAX << (64 - u32::from(len))),
    }
}

/// The halves of an address at the end of a message or longer than 64 bits.
fn slow_halves(address: &[u8], len: u8) -> (u64, u64) {
    let mut octets = [0; 16];
    octets[..address.len()].copy_from_slice(address);
    let bits = u128::from_be_bytes(octets);
    let high = masked((bits >> 64) as u64, len.min(64));
    let low = masked(bits as u64, len.saturating_sub(64));
    (high, low)
}
