//! AS_PATH (RFC 4271 section 4.3 and 5.1.2, RFC 5065, RFC 6793).

use core::fmt;
use core::str::FromStr;

/// The AS number that stands for one that does not fit into two octets
/// (RFC 6793 section 9).
pub const AS_TRANS: u32 = 23_456;

/// Most AS numbers that one segment can hold: its length is one octet.
pub const MAX_SEGMENT_LEN: usize = 255;

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

impl SegmentKind {
    /// The kind of a segment type on the wire, none where it is not defined.
    pub const fn from_wire(value: u8) -> Option<SegmentKind> {
        match value {
            1 => Some(SegmentKind::Set),
            2 => Some(SegmentKind::Sequence),
            3 => Some(SegmentKind::ConfedSequence),
            4 => Some(SegmentKind::ConfedSet),
            _ => None,
        }
    }

    /// Whether the segment lives inside of a confederation only (RFC 5065).
    pub const fn is_confederation(self) -> bool {
        matches!(self, SegmentKind::ConfedSequence | SegmentKind::ConfedSet)
    }

    /// What encloses the numbers in text, as FRR writes them.
    const fn brackets(self) -> (&'static str, char, &'static str) {
        match self {
            SegmentKind::Sequence => ("", ' ', ""),
            SegmentKind::Set => ("{", ',', "}"),
            SegmentKind::ConfedSequence => ("(", ' ', ")"),
            SegmentKind::ConfedSet => ("[", ',', "]"),
        }
    }
}

/// One segment that owns its numbers, to build a path from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Segment {
    /// What the numbers mean together.
    pub kind: SegmentKind,
    /// The AS numbers, 1 to 255 of them on the wire.
    pub asns: Vec<u32>,
}

/// One segment of an [`AsPath`], as lent by [`AsPath::segments`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SegmentRef<'a> {
    /// What the numbers mean together.
    pub kind: SegmentKind,
    /// The AS numbers, 1 to 255 of them.
    pub asns: &'a [u32],
}

impl SegmentRef<'_> {
    /// What the segment counts in the comparison of path lengths: the numbers
    /// of a sequence, 1 for a set (RFC 4271 section 9.1.2.2), 0 for what is
    /// inside of the confederation (RFC 5065 section 5.3).
    pub const fn hop_count(&self) -> usize {
        match self.kind {
            SegmentKind::Sequence => self.asns.len(),
            SegmentKind::Set => 1,
            SegmentKind::ConfedSequence | SegmentKind::ConfedSet => 0,
        }
    }
}

/// A path of AS numbers, always in 4-octet form. The representation is private
/// so that it can become smaller.
///
/// A segment is one header word (kind, number of AS numbers) and the numbers
/// behind it, all segments in one allocation; the empty path has none. Every
/// segment holds 1 to 255 numbers: the constructors see to it.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct AsPath {
    words: Box<[u32]>,
}

/// The word in front of a segment's numbers.
const fn header(kind: SegmentKind, len: usize) -> u32 {
    (kind as u32) << 16 | len as u32
}

/// Collects segments into a path: splits what is too long for one segment.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    words: Vec<u32>,
}

impl Builder {
    pub(crate) fn with_capacity(words: usize) -> Builder {
        Builder {
            words: Vec::with_capacity(words),
        }
    }

    pub(crate) fn push(&mut self, kind: SegmentKind, asns: &[u32]) {
        for part in asns.chunks(MAX_SEGMENT_LEN) {
            self.words.push(header(kind, part.len()));
            self.words.extend_from_slice(part);
        }
    }

    /// Appends one segment of `len` numbers; the caller made sure that it is
    /// 1 to 255 of them.
    pub(crate) fn push_iter(
        &mut self,
        kind: SegmentKind,
        len: u8,
        asns: impl Iterator<Item = u32>,
    ) {
        self.words.push(header(kind, usize::from(len)));
        self.words.extend(asns);
    }

    pub(crate) fn finish(self) -> AsPath {
        AsPath {
            words: self.words.into_boxed_slice(),
        }
    }
}

/// Iterator over the segments of a path.
#[derive(Debug, Clone)]
pub struct Segments<'a> {
    words: &'a [u32],
}

impl<'a> Iterator for Segments<'a> {
    type Item = SegmentRef<'a>;

    fn next(&mut self) -> Option<SegmentRef<'a>> {
        let (head, rest) = self.words.split_first()?;
        let kind = SegmentKind::from_wire((head >> 16) as u8)?;
        let (asns, rest) = rest.split_at_checked((head & 0xff) as usize)?;
        self.words = rest;
        Some(SegmentRef { kind, asns })
    }
}

// ===== impl AsPath =====

impl AsPath {
    /// The path of a route that originates here.
    pub fn empty() -> AsPath {
        AsPath::default()
    }

    /// A path of AS_SEQUENCE segments, leftmost (nearest) number first.
    pub fn from_sequence(asns: impl AsRef<[u32]>) -> AsPath {
        let mut builder = Builder::default();
        builder.push(SegmentKind::Sequence, asns.as_ref());
        builder.finish()
    }

    /// A path of the given segments. Empty segments are left out; a segment of
    /// more than 255 numbers becomes several.
    pub fn from_segments(segments: impl IntoIterator<Item = Segment>) -> AsPath {
        let mut builder = Builder::default();
        for segment in segments {
            builder.push(segment.kind, &segment.asns);
        }
        builder.finish()
    }

    /// The segments, leftmost first.
    pub fn segments(&self) -> Segments<'_> {
        Segments { words: &self.words }
    }

    /// All AS numbers from left to right, whatever the kind of their segment.
    pub fn asns(&self) -> impl Iterator<Item = u32> + '_ {
        self.segments().flat_map(|s| s.asns.iter().copied())
    }

    /// Whether the path has no segment.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Length for the comparison of routes (RFC 4271 section 9.1.2.2 a): a set
    /// counts as 1, confederation segments as 0 (RFC 5065 section 5.3).
    pub fn hop_count(&self) -> usize {
        self.segments().map(|s| s.hop_count()).sum()
    }

    /// What the segments inside of the confederation count where they are
    /// compared too: a set counts as 1 (`bgp bestpath as-path confed`).
    pub fn confederation_hop_count(&self) -> usize {
        let confederation = self.segments().filter(|s| s.kind.is_confederation());
        confederation
            .map(|s| match s.kind {
                SegmentKind::ConfedSequence => s.asns.len(),
                _ => 1,
            })
            .sum()
    }

    /// The member AS that a route came from: the leftmost number, where the
    /// path begins with an AS_CONFED_SEQUENCE (RFC 5065 section 5.1).
    pub fn first_member_as(&self) -> Option<u32> {
        let first = self.segments().next()?;
        match first.kind {
            SegmentKind::ConfedSequence => first.asns.first().copied(),
            _ => None,
        }
    }

    /// Whether the AS is outside of the confederation segments: an AS that is
    /// identified by its confederation is looked for there only.
    pub fn contains_outside_confederation(&self, asn: u32) -> bool {
        let outside = self.segments().filter(|s| !s.kind.is_confederation());
        outside.flat_map(|s| s.asns).any(|a| *a == asn)
    }

    /// Whether the AS is anywhere in the path.
    pub fn contains(&self, asn: u32) -> bool {
        self.asns().any(|a| a == asn)
    }

    /// How often the AS is in the path.
    pub fn count(&self, asn: u32) -> usize {
        self.asns().filter(|a| *a == asn).count()
    }

    /// Whether there is a segment of a confederation (RFC 5065).
    pub fn has_confederation_segments(&self) -> bool {
        self.segments().any(|s| s.kind.is_confederation())
    }

    /// Whether there is an AS_SET or AS_CONFED_SET (RFC 9774 deprecates them).
    pub fn has_sets(&self) -> bool {
        self.segments()
            .any(|s| matches!(s.kind, SegmentKind::Set | SegmentKind::ConfedSet))
    }

    /// The neighbour AS, by which MED is compared: the leftmost number of the
    /// first segment that is not of the confederation, where that is an
    /// AS_SEQUENCE; none otherwise (RFC 4271 section 9.1.2.2 c, RFC 5065).
    pub fn first_as(&self) -> Option<u32> {
        let first = self.segments().find(|s| !s.kind.is_confederation())?;
        match first.kind {
            SegmentKind::Sequence => first.asns.first().copied(),
            _ => None,
        }
    }

    /// The AS that originated the route: the rightmost number of the last
    /// segment that is not of the confederation, where that is an AS_SEQUENCE;
    /// none otherwise (RFC 6811 section 2 calls that case "NONE").
    pub fn origin_as(&self) -> Option<u32> {
        let last = self
            .segments()
            .filter(|s| !s.kind.is_confederation())
            .last()?;
        match last.kind {
            SegmentKind::Sequence => last.asns.last().copied(),
            _ => None,
        }
    }

    /// The path with `asn` put in front `times` times (RFC 4271 section
    /// 5.1.2 b): into the first segment where that is an AS_SEQUENCE with room,
    /// else into a new one.
    #[must_use]
    pub fn prepend(&self, asn: u32, times: usize) -> AsPath {
        self.prepend_kind(SegmentKind::Sequence, asn, times)
    }

    /// As [`AsPath::prepend`], into an AS_CONFED_SEQUENCE: what a speaker does
    /// towards another member AS (RFC 5065 section 4.1 b).
    #[must_use]
    pub fn prepend_confederation(&self, asn: u32, times: usize) -> AsPath {
        self.prepend_kind(SegmentKind::ConfedSequence, asn, times)
    }

    fn prepend_kind(&self, kind: SegmentKind, asn: u32, times: usize) -> AsPath {
        let mut left = times;
        let mut builder = Builder::with_capacity(self.words.len() + times + 1);
        let mut segments = self.segments();
        let head = segments.clone().next().filter(|s| s.kind == kind);
        let room = head.map_or(0, |s| MAX_SEGMENT_LEN - s.asns.len());
        let joined = left.min(room);
        left -= joined;
        // The new segments, the short one first: the next prepend fills it.
        let mut part = left % MAX_SEGMENT_LEN;
        while left > 0 {
            let len = if part == 0 { MAX_SEGMENT_LEN } else { part };
            builder.push_iter(kind, len as u8, core::iter::repeat_n(asn, len));
            left -= len;
            part = 0;
        }
        if let Some(head) = head {
            segments.next();
            let len = (joined + head.asns.len()) as u8;
            let asns = core::iter::repeat_n(asn, joined).chain(head.asns.iter().copied());
            builder.push_iter(kind, len, asns);
        }
        builder.words.extend_from_slice(segments.words);
        builder.finish()
    }

    /// The path without the segments of a confederation: what leaves it
    /// (RFC 5065 section 4.1 c) and what AS4_PATH may carry (RFC 6793
    /// section 3).
    #[must_use]
    pub fn without_confederation(&self) -> AsPath {
        let mut builder = Builder::with_capacity(self.words.len());
        for segment in self.segments().filter(|s| !s.kind.is_confederation()) {
            builder.push(segment.kind, segment.asns);
        }
        builder.finish()
    }

    /// The path with every AS number passed through `f`; the shape stays.
    #[must_use]
    pub fn map_asns(&self, mut f: impl FnMut(u32) -> u32) -> AsPath {
        let mut builder = Builder::with_capacity(self.words.len());
        for segment in self.segments() {
            let asns = segment.asns.iter().map(|a| f(*a));
            builder.push_iter(segment.kind, segment.asns.len() as u8, asns);
        }
        builder.finish()
    }

    /// The true path behind the AS_PATH of a 2-octet speaker (`self`) and its
    /// AS4_PATH (RFC 6793 section 4.2.3). `as4` is ignored where `self` counts
    /// fewer hops; else it takes the place of as many rightmost hops as it
    /// has, and what is left of `self` stays in front.
    #[must_use]
    pub fn merge_as4(&self, as4: &AsPath) -> AsPath {
        let Some(mut keep) = self.hop_count().checked_sub(as4.hop_count()) else {
            return self.clone();
        };
        let mut builder = Builder::with_capacity(self.words.len());
        let mut tail = as4.segments();
        for segment in self.segments() {
            // Confederation segments count nothing: the leading ones and those
            // beside a segment that is kept stay as well.
            if segment.kind.is_confederation() {
                builder.push(segment.kind, segment.asns);
                continue;
            }
            if keep == 0 {
                break;
            }
            if keep >= segment.hop_count() {
                builder.push(segment.kind, segment.asns);
                keep -= segment.hop_count();
                continue;
            }
            // Only a sequence counts more than what is kept of it.
            let part = segment.asns.get(..keep).unwrap_or_default();
            push_joined(&mut builder, part, &mut tail);
            keep = 0;
        }
        builder.words.extend_from_slice(tail.words);
        builder.finish()
    }
}

/// Pushes the kept part of a sequence, in one segment with the sequence that
/// follows where both fit: they were one before the path was translated.
fn push_joined(builder: &mut Builder, part: &[u32], tail: &mut Segments<'_>) {
    let next = tail.clone().next();
    match next {
        Some(next)
            if next.kind == SegmentKind::Sequence
                && part.len() + next.asns.len() <= MAX_SEGMENT_LEN =>
        {
            tail.next();
            let asns = part.iter().chain(next.asns).copied();
            builder.push_iter(next.kind, (part.len() + next.asns.len()) as u8, asns);
        }
        _ => builder.push(SegmentKind::Sequence, part),
    }
}

impl FromIterator<u32> for AsPath {
    /// A path of AS_SEQUENCE segments, nearest number first.
    fn from_iter<I: IntoIterator<Item = u32>>(iter: I) -> AsPath {
        AsPath::from_sequence(iter.into_iter().collect::<Vec<u32>>())
    }
}

// ===== text =====

impl fmt::Display for AsPath {
    /// As FRR writes it: `65002 65001 {1,2} (65100) [3,4]`, empty for the
    /// empty path. An alternate form does not exist: numbers are asplain
    /// (RFC 5396).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.segments().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            let (open, separator, close) = segment.kind.brackets();
            f.write_str(open)?;
            for (index, asn) in segment.asns.iter().enumerate() {
                match index {
                    0 => write!(f, "{asn}")?,
                    _ => write!(f, "{separator}{asn}")?,
                }
            }
            f.write_str(close)?;
        }
        Ok(())
    }
}

impl fmt::Debug for AsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AsPath(\"{self}\")")
    }
}

/// Text that is not an AS path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an AS path: '{0}'")]
pub struct ParseAsPathError(String);

impl FromStr for AsPath {
    type Err = ParseAsPathError;

    /// Reads what [`AsPath`]'s `Display` writes. Spaces and commas both
    /// separate numbers; a set without numbers is an error.
    fn from_str(text: &str) -> Result<AsPath, ParseAsPathError> {
        let error = || ParseAsPathError(text.to_owned());
        let mut builder = Builder::default();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (kind, inner, after) = split_segment(rest).ok_or_else(error)?;
            let mut asns = Vec::new();
            for word in inner.split([' ', ',']).filter(|w| !w.is_empty()) {
                if !word.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(error());
                }
                asns.push(word.parse().map_err(|_| error())?);
            }
            if asns.is_empty() {
                return Err(error());
            }
            builder.push(kind, &asns);
            rest = after.trim_start();
        }
        Ok(builder.finish())
    }
}

/// Splits the first segment off: its kind, the text of its numbers, the rest.
fn split_segment(text: &str) -> Option<(SegmentKind, &str, &str)> {
    let enclosed = |kind: SegmentKind, close: char| {
        let mut chars = text.chars();
        chars.next();
        let (inner, rest) = chars.as_str().split_once(close)?;
        Some((kind, inner, rest))
    };
    match text.chars().next()? {
        '{' => enclosed(SegmentKind::Set, '}'),
        '(' => enclosed(SegmentKind::ConfedSequence, ')'),
        '[' => enclosed(SegmentKind::ConfedSet, ']'),
        _ => {
            let end = text.find(['{', '(', '[']).unwrap_or(text.len());
            let (inner, rest) = text.split_at_checked(end)?;
            Some((SegmentKind::Sequence, inner, rest))
        }
    }
}
