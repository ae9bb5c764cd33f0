//! Prefixes with bounds of length, of which the first that matches decides, as
//! a table with one lookup whatever the number of them.
//!
//! A binary trie whose nodes are skipped where nothing branches off. Every node
//! knows what is decided for each length of a prefix inside of it by itself and
//! all nodes above it together, so the deepest node that contains a prefix says
//! it all. A large table is entered by the first 16 bits.

use core::fmt;
use std::collections::HashMap;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The bits of an address, the first one uppermost.
pub(crate) trait Bits: Copy + Eq + fmt::Debug {
    /// How many there are.
    const WIDTH: u8;
    const ZERO: Self;
    fn bit(self, at: u8) -> bool;
    /// How many bits are the same from the first one on.
    fn common(self, other: Self) -> u8;
    /// With only the first so many bits.
    fn head(self, len: u8) -> Self;
    /// The first 16 bits.
    fn top(self) -> usize;
    fn from_top(top: u16) -> Self;
}

macro_rules! bits {
    ($t:ty, $width:expr) => {
        impl Bits for $t {
            const WIDTH: u8 = $width;
            const ZERO: Self = 0;
            #[inline]
            fn bit(self, at: u8) -> bool {
                (self >> (Self::WIDTH - 1 - at.min(Self::WIDTH - 1))) & 1 == 1
            }
            #[inline]
            fn common(self, other: Self) -> u8 {
                (self ^ other).leading_zeros() as u8
            }
            #[inline]
            fn head(self, len: u8) -> Self {
                match Self::WIDTH - len.min(Self::WIDTH) {
                    Self::WIDTH => 0,
                    rest => self >> rest << rest,
                }
            }
            #[inline]
            fn top(self) -> usize {
                (self >> (Self::WIDTH - 16)) as usize
            }
            fn from_top(top: u16) -> Self {
                Self::from(top) << (Self::WIDTH - 16)
            }
        }
    };
}

bits!(u32, 32);
bits!(u128, 128);

/// A prefix as bits and length.
pub(crate) trait Net: Copy {
    type Bits: Bits;
    fn bits(self) -> (Self::Bits, u8);
}

impl Net for Ipv4Net {
    type Bits = u32;
    #[inline]
    fn bits(self) -> (u32, u8) {
        (self.network().to_bits(), self.prefix_len())
    }
}

impl Net for Ipv6Net {
    type Bits = u128;
    #[inline]
    fn bits(self) -> (u128, u8) {
        (self.network().to_bits(), self.prefix_len())
    }
}

/// A line of the table: matches prefixes inside of one, of these lengths.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<B> {
    pub(crate) bits: B,
    pub(crate) len: u8,
    pub(crate) min: u8,
    pub(crate) max: u8,
}

/// Which line is the first one that matches, up to a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Span {
    to: u8,
    line: u32,
}

const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Node<B> {
    bits: B,
    len: u8,
    /// Where its spans begin.
    spans: u32,
    children: [u32; 2],
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct PrefixTable<B> {
    nodes: Vec<Node<B>>,
    spans: Vec<Span>,
    /// By the first 16 bits, for prefixes that have them: the deepest node of
    /// no more than 16 bits that contains them. Empty in a small table.
    entrances: Box<[u32]>,
}

/// From so many nodes on the entrances are worth their memory.
const LARGE: usize = 1024;

// ===== impl PrefixTable =====

impl<B: Bits> PrefixTable<B> {
    /// A table of lines, which are numbered in this order. A line without a
    /// length that can match is left out.
    pub(crate) fn new(lines: impl IntoIterator<Item = Line<B>>) -> PrefixTable<B> {
        let mut table = PrefixTable {
            nodes: vec![Node::new(B::ZERO, 0)],
            spans: Vec::new(),
            entrances: Box::default(),
        };
        let mut own: Vec<Vec<(Line<B>, u32)>> = vec![Vec::new()];
        for (number, line) in (0..NONE).zip(lines) {
            if line.min > line.max || line.len > B::WIDTH {
                continue;
            }
            let node = table.node(line.bits.head(line.len), line.len);
            own.resize(table.nodes.len(), Vec::new());
            if let Some(own) = own.get_mut(node as usize) {
                own.push((line, number));
            }
        }
        table.merge(&own);
        table.open();
        table
    }

    fn at(&self, node: u32) -> Option<&Node<B>> {
        self.nodes.get(node as usize)
    }

    fn add(&mut self, node: Node<B>) -> u32 {
        self.nodes.push(node);
        u32::try_from(self.nodes.len() - 1).unwrap_or(NONE)
    }

    fn link(&mut self, parent: u32, side: bool, child: u32) {
        let place = self.nodes.get_mut(parent as usize);
        if let Some(place) = place.and_then(|node| node.children.get_mut(usize::from(side))) {
            *place = child;
        }
    }

    /// The node of a prefix, made where there is none.
    fn node(&mut self, bits: B, len: u8) -> u32 {
        let mut parent = 0;
        loop {
            let Some(above) = self.at(parent) else {
                return parent;
            };
            if above.len == len {
                return parent;
            }
            let side = bits.bit(above.len);
            let next = above.child(side);
            let Some(below) = self.at(next).copied() else {
                let new = self.add(Node::new(bits, len));
                self.link(parent, side, new);
                return new;
            };
            let common = bits.common(below.bits).min(below.len).min(len);
            if common == below.len {
                parent = next;
                continue;
            }
            let between = self.add(Node::new(bits.head(common), common));
            self.link(parent, side, between);
            self.link(between, below.bits.bit(common), next);
            parent = between;
        }
    }

    /// Gives every node the spans of itself and those above.
    fn merge(&mut self, own: &[Vec<(Line<B>, u32)>]) {
        let mut known: HashMap<Vec<Span>, u32> = HashMap::new();
        let mut left: Vec<(u32, Vec<Span>)> = vec![(0, vec![Span::nothing()])];
        while let Some((number, above)) = left.pop() {
            let lines = own.get(number as usize).map_or(&[][..], Vec::as_slice);
            let merged = merged::<B>(&above, lines);
            let Some(node) = self.nodes.get_mut(number as usize) else {
                continue;
            };
            let spans = &mut self.spans;
            node.spans = *known.entry(merged).or_insert_with_key(|merged| {
                spans.extend_from_slice(merged);
                u32::try_from(spans.len() - merged.len()).unwrap_or(NONE)
            });
            let children = node.children;
            let merged = merged_at(&self.spans, node.spans);
            for child in children.into_iter().filter(|child| *child != NONE) {
                left.push((child, merged.to_vec()));
            }
        }
    }

    fn open(&mut self) {
        if self.nodes.len() < LARGE {
            return;
        }
        let entrance = |top: u16| self.descend(0, B::from_top(top), 16);
        self.entrances = (0..=u16::MAX).map(entrance).collect();
    }

    /// The deepest node below one that contains the prefix.
    #[inline]
    fn descend(&self, from: u32, bits: B, len: u8) -> u32 {
        let mut found = from;
        while let Some(node) = self.at(found) {
            let next = node.child(bits.bit(node.len));
            match self.at(next) {
                Some(below) if below.len <= len && below.bits.common(bits) >= below.len => {
                    found = next;
                }
                _ => break,
            }
        }
        found
    }

    /// The number of the first line that matches the prefix.
    #[inline]
    pub(crate) fn first(&self, (bits, len): (B, u8)) -> Option<u32> {
        let from = match self.entrances.get(bits.top()) {
            Some(entrance) if len >= 16 => *entrance,
            _ => 0,
        };
        let node = self.at(self.descend(from, bits, len))?;
        let spans = self.spans.get(node.spans as usize..)?;
        let span = spans.iter().find(|span| len <= span.to)?;
        (span.line != NONE).then_some(span.line)
    }
}

impl<B: Bits> Node<B> {
    const fn new(bits: B, len: u8) -> Node<B> {
        Node {
            bits,
            len,
            spans: 0,
            children: [NONE; 2],
        }
    }

    #[inline]
    fn child(&self, side: bool) -> u32 {
        let [left, right] = self.children;
        if side { right } else { left }
    }
}

impl Span {
    const fn nothing() -> Span {
        Span {
            to: u8::MAX,
            line: NONE,
        }
    }
}

/// Spans end with the one to the greatest length.
fn merged_at(spans: &[Span], from: u32) -> &[Span] {
    let spans = spans.get(from as usize..).unwrap_or_default();
    let end = spans.iter().position(|span| span.to == u8::MAX);
    end.and_then(|end| spans.get(..=end)).unwrap_or_default()
}

/// Spans with further lines: for each length the first line of all.
fn merged<B: Bits>(above: &[Span], lines: &[(Line<B>, u32)]) -> Vec<Span> {
    if lines.is_empty() {
        return above.to_vec();
    }
    let mut first = [NONE; 129];
    let mut from = 0;
    for span in above {
        let to = usize::from(span.to).min(first.len() - 1);
        first
            .iter_mut()
            .take(to + 1)
            .skip(from)
            .for_each(|line| *line = span.line);
        from = to + 1;
    }
    for (line, number) in lines {
        let (min, max) = (usize::from(line.min), usize::from(line.max));
        let lengths = first.iter_mut().take(max + 1).skip(min);
        lengths.for_each(|first| *first = (*first).min(*number));
    }
    let mut spans: Vec<Span> = Vec::new();
    for (len, line) in (0..=B::WIDTH).zip(first) {
        match spans.last_mut() {
            Some(last) if last.line == line => last.to = len,
            _ => spans.push(Span { to: len, line }),
        }
    }
    if let Some(last) = spans.last_mut() {
        last.to = u8::MAX;
    }
    spans
}

/// The tables of both families.
#[derive(Debug, Clone)]
pub(crate) struct PrefixTables {
    v4: PrefixTable<u32>,
    v6: PrefixTable<u128>,
}

impl PrefixTables {
    /// Of prefixes with lengths; no prefix is `any`, of both families.
    pub(crate) fn new(
        lines: impl Iterator<Item = (Option<IpNet>, u8, u8)> + Clone,
    ) -> PrefixTables {
        // Lines keep their number in both tables: those of the other family
        // match no length.
        fn line<B: Bits>(net: Option<(B, u8)>, lengths: (u8, u8)) -> Line<B> {
            let (bits, len) = net.unwrap_or((B::ZERO, 0));
            let (min, max) = lengths;
            let max = max.min(B::WIDTH);
            Line {
                bits,
                len,
                min,
                max,
            }
        }
        let never = (1, 0);
        let v4 = lines.clone().map(|(net, min, max)| match net {
            None => line(None, (min, max)),
            Some(IpNet::V4(net)) => line(Some(net.bits()), (min, max)),
            Some(IpNet::V6(_)) => line(None, never),
        });
        let v6 = lines.map(|(net, min, max)| match net {
            None => line(None, (min, max)),
            Some(IpNet::V6(net)) => line(Some(net.bits()), (min, max)),
            Some(IpNet::V4(_)) => line(None, never),
        });
        PrefixTables {
            v4: PrefixTable::new(v4),
            v6: PrefixTable::new(v6),
        }
    }

    /// The number of the first line that matches the prefix.
    pub(crate) fn first(&self, prefix: IpNet) -> Option<u32> {
        match prefix {
            IpNet::V4(net) => self.v4.first(net.bits()),
            IpNet::V6(net) => self.v6.first(net.bits()),
        }
    }
}
