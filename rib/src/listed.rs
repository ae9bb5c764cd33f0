//! What the peer of an update group was told, path by path, for those groups
//! where it cannot be worked out from the table.

use smallvec::SmallVec;

use crate::attrs::{AttrId, Interner};
use crate::chunks::Chunks;
use crate::path::{pack_source, unpack_source};
use crate::view::PathSource;

/// What tells the paths of a prefix apart: the source, and the identifier that
/// the source gave.
pub(crate) type PathKey = (PathSource, u32);

/// A path that a peer was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) key: PathKey,
    /// Our identifier, 0 where the peer takes one path.
    pub(crate) path_id: u32,
    /// As they went out.
    pub(crate) attributes: AttrId,
}

impl Listed {
    pub(crate) fn says_the_same(&self, other: &Listed) -> bool {
        self.path_id == other.path_id && self.attributes == other.attributes
    }
}

/// The paths of one prefix.
pub(crate) type Paths = SmallVec<[Listed; 4]>;

/// Slots in a piece of the first links.
const PIECE: usize = 1024;
/// No link follows.
const END: u32 = u32::MAX;

/// A told path in memory: 20 octets, of which there are as many as paths in
/// the table.
#[derive(Debug, Clone, Copy)]
struct Link {
    attributes: AttrId,
    source: u32,
    source_path_id: u32,
    path_id: u32,
    next: u32,
}

/// What was told, by slot.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    /// The first link of each slot, in pieces that are there when a slot of
    /// theirs was used.
    first: Vec<Vec<u32>>,
    links: Chunks<Link>,
}

impl Default for Listing {
    fn default() -> Listing {
        Listing {
            first: Vec::new(),
            links: Chunks::new(),
        }
    }
}

const fn split(slot: u32) -> (usize, usize) {
    (slot as usize / PIECE, slot as usize % PIECE)
}

impl Listing {
    fn first(&self, slot: u32) -> u32 {
        let (piece, at) = split(slot);
        let first = self.first.get(piece).and_then(|piece| piece.get(at));
        first.copied().unwrap_or(END)
    }

    fn set_first(&mut self, slot: u32, link: u32) {
        let (piece, at) = split(slot);
        if self.first.len() <= piece {
            if link == END {
                return;
            }
            self.first.resize_with(piece + 1, Vec::new);
        }
        let Some(piece) = self.first.get_mut(piece) else {
            return;
        };
        if piece.is_empty() && link != END {
            piece.resize(PIECE, END);
        }
        if let Some(first) = piece.get_mut(at) {
            *first = link;
        }
    }

    /// What was told of a slot.
    pub(crate) fn of(&self, slot: u32) -> Paths {
        let mut at = self.first(slot);
        let mut paths = Paths::new();
        while let Some(link) = self.links.get(at) {
            paths.push(Listed {
                key: (unpack_source(link.source), link.source_path_id),
                path_id: link.path_id,
                attributes: link.attributes,
            });
            at = link.next;
        }
        paths
    }

    /// Puts down what is told of a slot now; what was told is given back.
    pub(crate) fn replace(&mut self, slot: u32, paths: &[Listed], interner: &mut Interner) {
        for path in paths {
            interner.hold(path.attributes);
        }
        let mut before = self.first(slot);
        while let Some(link) = self.links.remove(before) {
            interner.release(link.attributes);
            before = link.next;
        }
        let mut next = END;
        for path in paths.iter().rev() {
            let (source, source_path_id) = path.key;
            next = self.links.insert(Link {
                attributes: path.attributes,
                source: pack_source(source),
                source_path_id,
                path_id: path.path_id,
                next,
            });
        }
        self.set_first(slot, next);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self, interner: &mut Interner) {
        for (_, link) in self.links.iter() {
            interner.release(link.attributes);
        }
        *self = Listing::default();
    }
}
