//! Prefixes as they stand on the wire (RFC 4271 section 4.3, RFC 7911).

use bytes::{BufMut, BytesMut};

use crate::family::AddressFamily;
use crate::packed::PackedIter;
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
    reader: Reader<'_>,
    add_path: bool,
) -> Result<Vec<Nlri<F::Prefix>>, NlriError> {
    let count = check::<F>(reader, add_path)?;
    let mut prefixes = Vec::with_capacity(count);
    prefixes.extend(PackedIter::<F>::new(reader.as_slice(), add_path));
    Ok(prefixes)
}

/// Walks over prefixes until the end of the field without reading them; how
/// many there are.
///
/// # Errors
/// As [`decode`].
pub(crate) fn check<F: AddressFamily>(
    field: Reader<'_>,
    add_path: bool,
) -> Result<usize, NlriError> {
    let skip = if add_path { 4 } else { 0 };
    let mut octets = field.as_slice();
    let mut count = 0;
    while !octets.is_empty() {
        let after = octets.get(skip).filter(|len| **len <= F::MAX_LEN);
        let after = after.and_then(|len| octets.get(skip + 1 + usize::from(*len).div_ceil(8)..));
        let Some(after) = after else {
            let at = field.offset() + field.len() - octets.len();
            return Err(refusal::<F>(Reader::at(octets, at), add_path));
        };
        octets = after;
        count += 1;
    }
    Ok(count)
}

/// What is wrong with the first prefix of a field in which [`check`] found an
/// error.
#[cold]
fn refusal<F: AddressFamily>(mut reader: Reader<'_>, add_path: bool) -> NlriError {
    let mut read = || -> Result<NlriError, Truncated> {
        if add_path {
            reader.u32()?;
        }
        let at = reader.offset();
        let len = reader.u8()?;
        if len <= F::MAX_LEN {
            reader.take(usize::from(len).div_ceil(8))?;
        }
        Ok(NlriError::Length { at, len })
    };
    read().unwrap_or_else(NlriError::Truncated)
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

/// Writes prefixes into just the octets that they take ([`encoded_len`]); what
/// does not fit is left out.
pub(crate) fn fill<F: AddressFamily>(list: &[Nlri<F::Prefix>], add_path: bool, to: &mut [u8]) {
    let mut left = Some(to);
    for nlri in list {
        left = left.and_then(|to| fill_one::<F>(nlri, add_path, to));
    }
}

/// Writes one prefix and returns the room behind it.
#[inline]
fn fill_one<'o, F: AddressFamily>(
    nlri: &Nlri<F::Prefix>,
    add_path: bool,
    mut to: &'o mut [u8],
) -> Option<&'o mut [u8]> {
    if add_path {
        let (id, rest) = to.split_first_chunk_mut()?;
        *id = nlri.path_id.to_be_bytes();
        to = rest;
    }
    let len = F::prefix_len(&nlri.prefix);
    let (first, to) = to.split_first_mut()?;
    *first = len;
    let address = F::octets(&nlri.prefix);
    let count = usize::from(len).div_ceil(8);
    // A fixed number of octets is written faster than a counted one, and those
    // that are too many are written over by what follows.
    if F::MAX_LEN == 32
        && let Some(window) = to.first_chunk_mut::<4>()
    {
        let [a, b, c, d, ..] = address;
        *window = [a, b, c, d];
    } else if let Some(window) = to.first_chunk_mut::<16>() {
        *window = address;
    } else {
        to.get_mut(..count)?.copy_from_slice(address.get(..count)?);
    }
    to.get_mut(count..)
}
