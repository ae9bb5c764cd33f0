//! Prefixes as they stand on the wire (RFC 4271 section 4.3, RFC 7911).

use bytes::{BufMut, BytesMut};

use crate::family::AddressFamily;
use crate::reader::{Reader, Truncated};
use crate::update::Nlri;

/// A list of prefixes that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NlriError {
    /// A length of more bits than an address has.
    #[error("at octet {at}: prefix length {len} is too long")]
    Length {
        /// Offset of the length octet.
        at: usize,
        /// The length in bits.
        len: u8,
    },
    /// The field ends inside of a prefix.
    #[error(transparent)]
    Truncated(#[from] Truncated),
}

/// Reads prefixes until the end of the field, each behind a path identifier
/// where `add_path`. Host bits are cleared.
///
/// # Errors
/// [`NlriError`]: what follows the error cannot be read either.
pub fn decode<F: AddressFamily>(
    mut reader: Reader<'_>,
    add_path: bool,
) -> Result<Vec<Nlri<F::Prefix>>, NlriError> {
    // A common prefix takes 4 octets (IPv4 /24), 7 (IPv6 /48): rather one
    // reallocation in a strange message than much slack in all others.
    let common = usize::from(F::MAX_LEN) / 8 + if add_path { 4 } else { 0 };
    let mut prefixes = Vec::with_capacity(reader.len().div_ceil(common));
    while !reader.is_empty() {
        let path_id = if add_path { reader.u32()? } else { 0 };
        let at = reader.offset();
        let len = reader.u8()?;
        if len > F::MAX_LEN {
            return Err(NlriError::Length { at, len });
        }
        let octets = reader.take(usize::from(len).div_ceil(8))?;
        let prefix = F::from_wire(octets.as_slice(), len).ok_or(NlriError::Length { at, len })?;
        prefixes.push(Nlri { path_id, prefix });
    }
    Ok(prefixes)
}

/// Octets that a prefix takes.
pub fn encoded_len<F: AddressFamily>(nlri: &Nlri<F::Prefix>, add_path: bool) -> usize {
    let prefix = 1 + usize::from(F::prefix_len(&nlri.prefix)).div_ceil(8);
    if add_path { 4 + prefix } else { prefix }
}

/// Writes one prefix.
pub fn encode<F: AddressFamily>(nlri: &Nlri<F::Prefix>, add_path: bool, out: &mut BytesMut) {
    if add_path {
        out.put_u32(nlri.path_id);
    }
    // Length and address at once: each write to the buffer has its price.
    let len = F::prefix_len(&nlri.prefix);
    let mut octets = [len; 17];
    let [_, address @ ..] = &mut octets;
    *address = F::octets(&nlri.prefix);
    let count = 1 + usize::from(len).div_ceil(8);
    out.put_slice(octets.get(..count).unwrap_or(&octets));
}
