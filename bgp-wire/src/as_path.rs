//! AS_PATH (RFC 4271 section 4.3 and 5.1.2, RFC 5065, RFC 6793).

/// The kind of an AS_PATH segment; the value is the one on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum SegmentKind {
    /// AS_SET: unordered.
    Set = 1,
    /// AS_SEQUENCE: ordered.
    Sequence = 2,
    /// AS_CONFED_SEQUENCE (RFC 5065).
    ConfedSequence = 3,
    /// AS_CONFED_SET (RFC 5065).
    ConfedSet = 4,
}

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Segment {
    /// What the numbers mean together.
    pub kind: SegmentKind,
    /// The AS numbers, 1 to 255 of them on the wire.
    pub asns: Vec<u32>,
}

/// A path of AS numbers, always in 4-octet form. The representation is private
/// so that it can become smaller.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct AsPath {
    segments: Vec<Segment>,
}
