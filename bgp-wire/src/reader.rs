//! A cursor over received octets that knows where in the message it stands.

/// What is left to read of a slice, with the absolute offset of its first
/// octet. A copy is a checkpoint; a sub-reader ([`Reader::take`]) cannot leave
/// the TLV it was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader<'a> {
    data: &'a [u8],
    offset: usize,
}

/// More octets were asked for than are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("at octet {at}: {needed} octets needed, {left} left")]
pub struct Truncated {
    /// Absolute offset at which the read began.
    pub at: usize,
    /// Octets that the read wanted.
    pub needed: usize,
    /// Octets that there were.
    pub left: usize,
}

impl<'a> Reader<'a> {
    /// A reader of all of `data`, whose first octet is at offset 0.
    pub const fn new(data: &'a [u8]) -> Reader<'a> {
        Reader::at(data, 0)
    }

    /// A reader of all of `data`, whose first octet is at `offset`.
    pub const fn at(data: &'a [u8], offset: usize) -> Reader<'a> {
        Reader { data, offset }
    }

    /// Absolute offset of the next octet.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Octets left.
    pub const fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// What is left, without reading it.
    pub const fn as_slice(&self) -> &'a [u8] {
        self.data
    }

    const fn truncated(&self, needed: usize) -> Truncated {
        Truncated {
            at: self.offset,
            needed,
            left: self.data.len(),
        }
    }

    /// Reads `len` octets as a reader of their own.
    ///
    /// # Errors
    /// [`Truncated`] where fewer are left; nothing is read then.
    pub const fn take(&mut self, len: usize) -> Result<Reader<'a>, Truncated> {
        match self.data.split_at_checked(len) {
            Some((head, tail)) => {
                let taken = Reader::at(head, self.offset);
                self.data = tail;
                self.offset += len;
                Ok(taken)
            }
            None => Err(self.truncated(len)),
        }
    }

    /// Reads `N` octets.
    ///
    /// # Errors
    /// [`Truncated`] where fewer are left; nothing is read then.
    pub const fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        match self.data.split_first_chunk::<N>() {
            Some((head, tail)) => {
                self.data = tail;
                self.offset += N;
                Ok(*head)
            }
            None => Err(self.truncated(N)),
        }
    }

    /// Reads one octet.
    ///
    /// # Errors
    /// [`Truncated`] where none is left.
    pub fn u8(&mut self) -> Result<u8, Truncated> {
        let [octet] = self.array()?;
        Ok(octet)
    }

    /// Reads two octets in network order.
    ///
    /// # Errors
    /// [`Truncated`] where fewer are left.
    pub fn u16(&mut self) -> Result<u16, Truncated> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Reads four octets in network order.
    ///
    /// # Errors
    /// [`Truncated`] where fewer are left.
    pub fn u32(&mut self) -> Result<u32, Truncated> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Reads all that is left.
    pub const fn rest(&mut self) -> Reader<'a> {
        let rest = *self;
        self.offset += self.data.len();
        self.data = &[];
        rest
    }

    /// All of it as an array, where it has just this length.
    pub fn exactly<const N: usize>(&self) -> Option<[u8; N]> {
        self.data.try_into().ok()
    }
}
