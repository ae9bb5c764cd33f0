//! Prefixes as the wire carries them: checked once, cut out of the message
//! without a copy, and read when somebody wants them.

use core::marker::PhantomData;

use bytes::{Bytes, BytesMut};

use crate::attribute::{NextHop, PathAttributes};
use crate::family::{AddressFamily, Family, V4, V6};
use crate::fault::{Action, Fault};
use crate::nlri::{self, NlriError};
use crate::reader::Reader;
use crate::update::{Announcement, Nlri, Prefixes, Update};

// ===== a field, borrowed =====

/// Prefixes inside of a message: checked, and not copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PrefixField<'a> {
    pub(crate) family: Family,
    pub(crate) add_path: bool,
    octets: &'a [u8],
}

impl<'a> PrefixField<'a> {
    /// Checks the field.
    pub(crate) fn check(
        family: Family,
        add_path: bool,
        field: Reader<'a>,
    ) -> Result<PrefixField<'a>, NlriError> {
        match family {
            Family::Ipv4Unicast => nlri::check::<V4>(field, add_path)?,
            Family::Ipv6Unicast => nlri::check::<V6>(field, add_path)?,
        };
        Ok(PrefixField {
            family,
            add_path,
            octets: field.as_slice(),
        })
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    fn list<F: AddressFamily>(self) -> Prefixes {
        let mut list = Vec::with_capacity(self.count());
        list.extend(self.iter::<F>());
        F::wrap(list)
    }

    pub(crate) fn to_list(self) -> Prefixes {
        match self.family {
            Family::Ipv4Unicast => self.list::<V4>(),
            Family::Ipv6Unicast => self.list::<V6>(),
        }
    }

    /// The prefixes; the caller knows that the family is `F`.
    fn iter<F: AddressFamily>(self) -> PackedIter<'a, F> {
        PackedIter::new(self.octets, self.add_path)
    }

    /// How many there are, by their lengths.
    fn count(self) -> usize {
        let skip = if self.add_path { 4 } else { 0 };
        let mut octets = self.octets;
        let mut count = 0;
        while let Some(len) = octets.get(skip) {
            count += 1;
            let size = skip + 1 + usize::from(*len).div_ceil(8);
            octets = octets.get(size..).unwrap_or_default();
        }
        count
    }

    /// The field as a part of the buffer that it lies in; of any other buffer it
    /// is a copy.
    pub(crate) fn cut_from(self, body: &Bytes) -> PackedPrefixes {
        let start = (self.octets.as_ptr() as usize).wrapping_sub(body.as_ptr() as usize);
        let end = start.wrapping_add(self.octets.len());
        let octets = if start <= end && end <= body.len() {
            body.slice(start..end)
        } else {
            Bytes::copy_from_slice(self.octets)
        };
        PackedPrefixes {
            family: self.family,
            add_path: self.add_path,
            octets,
        }
    }
}

// ===== impl PackedPrefixes =====

/// Prefixes of one family as the wire carries them (RFC 4271 section 4.3), each
/// behind a path identifier where add-path is used (RFC 7911). What is inside
/// was checked when it was made, so reading it cannot fail. A clone shares the
/// octets.
///
/// Two values with equal octets hold equal prefixes; the reverse is not true:
/// host bits that a speaker left in a prefix stay, and are cleared on reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedPrefixes {
    family: Family,
    add_path: bool,
    octets: Bytes,
}

impl PackedPrefixes {
    /// Prefixes of a family, each behind a path identifier where `add_path`.
    ///
    /// # Errors
    /// [`NlriError`] where a length is more than the family has bits, or where
    /// the octets end inside of a prefix. Its offsets count from the first of
    /// `octets`.
    pub fn new(family: Family, add_path: bool, octets: Bytes) -> Result<Self, NlriError> {
        PrefixField::check(family, add_path, Reader::new(&octets))?;
        Ok(PackedPrefixes {
            family,
            add_path,
            octets,
        })
    }

    /// No prefixes.
    pub const fn empty(family: Family) -> PackedPrefixes {
        PackedPrefixes {
            family,
            add_path: false,
            octets: Bytes::new(),
        }
    }

    /// The prefixes of a list, in its order; with path identifiers where any of
    /// them is not 0.
    pub fn from_list(prefixes: &Prefixes) -> PackedPrefixes {
        match prefixes {
            Prefixes::V4(list) => PackedPrefixes::pack::<V4>(list),
            Prefixes::V6(list) => PackedPrefixes::pack::<V6>(list),
        }
    }

    /// As [`PackedPrefixes::from_list`], of prefixes whose family is a type.
    pub fn pack<F: AddressFamily>(list: &[Nlri<F::Prefix>]) -> PackedPrefixes {
        let add_path = list.iter().any(|nlri| nlri.path_id != 0);
        let len = list
            .iter()
            .map(|nlri| nlri::encoded_len::<F>(nlri, add_path));
        let mut octets = BytesMut::with_capacity(len.sum());
        for nlri in list {
            nlri::encode::<F>(nlri, add_path, &mut octets);
        }
        PackedPrefixes {
            family: F::FAMILY,
            add_path,
            octets: octets.freeze(),
        }
    }

    fn field(&self) -> PrefixField<'_> {
        PrefixField {
            family: self.family,
            add_path: self.add_path,
            octets: &self.octets,
        }
    }

    /// The family.
    pub const fn family(&self) -> Family {
        self.family
    }

    /// Whether each prefix has a path identifier.
    pub const fn add_path(&self) -> bool {
        self.add_path
    }

    /// Whether there is no prefix.
    pub const fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// The prefixes as on the wire.
    pub const fn octets(&self) -> &Bytes {
        &self.octets
    }

    /// How many prefixes there are. Walks over all of them.
    pub fn count(&self) -> usize {
        self.field().count()
    }

    /// The prefixes in their order, host bits cleared; path identifier 0 where
    /// there are none. Empty where `F` is not the family.
    pub fn iter<F: AddressFamily>(&self) -> PackedIter<'_, F> {
        let mut field = self.field();
        if self.family != F::FAMILY {
            field.octets = &[];
        }
        field.iter()
    }

    /// The prefixes as a list.
    pub fn to_list(&self) -> Prefixes {
        self.field().to_list()
    }
}

/// The prefixes of a [`PackedPrefixes`].
#[derive(Debug, Clone)]
pub struct PackedIter<'a, F> {
    octets: &'a [u8],
    add_path: bool,
    family: PhantomData<F>,
}

impl<'a, F> PackedIter<'a, F> {
    /// The prefixes of octets that were checked.
    pub(crate) const fn new(octets: &'a [u8], add_path: bool) -> PackedIter<'a, F> {
        PackedIter {
            octets,
            add_path,
            family: PhantomData,
        }
    }
}

impl<F: AddressFamily> Iterator for PackedIter<'_, F> {
    type Item = Nlri<F::Prefix>;

    #[inline]
    fn next(&mut self) -> Option<Nlri<F::Prefix>> {
        let mut path_id = 0;
        if self.add_path {
            let (id, rest) = self.octets.split_first_chunk()?;
            path_id = u32::from_be_bytes(*id);
            self.octets = rest;
        }
        let (len, rest) = self.octets.split_first()?;
        // The octets behind the prefix are masked away: a fixed number of octets
        // is read faster than a counted one.
        let prefix = F::from_wire(rest, *len)?;
        self.octets = rest.get(usize::from(*len).div_ceil(8)..)?;
        Some(Nlri { path_id, prefix })
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let least = 1 + if self.add_path { 4 } else { 0 };
        let most = least + usize::from(F::MAX_LEN) / 8;
        let octets = self.octets.len();
        (octets.div_ceil(most), Some(octets / least))
    }
}

impl<F: AddressFamily> core::iter::FusedIterator for PackedIter<'_, F> {}

// ===== impl PackedUpdate =====

/// Prefixes that are reachable by a next hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedAnnouncement {
    /// NEXT_HOP, or that of MP_REACH_NLRI.
    pub next_hop: NextHop,
    /// The prefixes.
    pub prefixes: PackedPrefixes,
}

/// As [`Update`], with the prefixes left in the message. Where a
/// treat-as-withdraw error was found, the announced prefixes are among the
/// withdrawn ones already.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackedUpdate {
    /// Withdrawn prefixes, none of the lists empty: WITHDRAWN ROUTES,
    /// MP_UNREACH_NLRI, then what an error withdrew. Two lists may be of one
    /// family.
    pub withdrawn: Vec<PackedPrefixes>,
    /// Announced prefixes, none of the lists empty: MP_REACH_NLRI, then NLRI. To
    /// be applied after the withdrawals: a prefix in both is announced
    /// (RFC 4271 section 4.3).
    pub announced: Vec<PackedAnnouncement>,
    /// The attributes that the announcements share; `next_hop` is none here.
    /// The default where nothing is announced.
    pub attributes: PathAttributes,
    /// Set when the message is an End-of-RIB marker (RFC 4724 section 2) of a
    /// family that was negotiated.
    pub end_of_rib: Option<Family>,
    /// What was wrong and yet is no reason to end the session (RFC 7606), in
    /// the order of the message.
    pub faults: Vec<Fault>,
}

impl PackedUpdate {
    /// The strongest action that was taken for an error, none without one.
    pub fn worst_action(&self) -> Option<Action> {
        self.faults.iter().map(|fault| fault.action).max()
    }

    /// The same with the prefixes as lists.
    pub fn to_update(&self) -> Update {
        let mut update = Update {
            announced: self.announced.iter().map(unpack).collect(),
            attributes: self.attributes.clone(),
            end_of_rib: self.end_of_rib,
            faults: self.faults.clone(),
            ..Update::default()
        };
        for prefixes in &self.withdrawn {
            update.withdraw(prefixes.to_list());
        }
        update
    }
}

fn unpack(announcement: &PackedAnnouncement) -> Announcement {
    Announcement {
        next_hop: announcement.next_hop,
        prefixes: announcement.prefixes.to_list(),
    }
}
