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
    pub(crate) permits: bool,
}

/// The first line that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found(u32);

impl Found {
    /// Its number in the table.
    pub(crate) const fn line(self) -> u32 {
        self.0 >> 1
    }

    /// What it says. It is here so that nobody has to look for the line.
    pub(crate) const fn permits(self) -> bool {
        self.0 & 1 == 1
    }
}

/// Which line is the first one that matches, up to a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Span {
    to: u8,
    line: u32,
}

const NONE: u32 = u32::MAX;

/// A node as it is looked up. There are four to a line of the processor's cache,
/// since what a large table costs is the waiting for memory.
#[derive(Debug, Clone, Copy)]
struct Node<B> {
    bits: B,
    len: u8,
    /// The lengths that `line` is for, where there is one line; `SPANS` and
    /// nothing where `line` says where the spans begin.
    min: u8,
    max: u8,
    /// Whether the node of the other side, of the bit 0, is the next one.
    has_left: bool,
    line: u32,
    right: u32,
}

/// As the shortest length of a node: it has several lines.
const SPANS: u8 = u8::MAX;

/// A node while the table is made.
#[derive(Debug, Clone, Copy)]
struct Branch<B> {
    bits: B,
    len: u8,
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
        let mut tree = Tree::new();
        let mut own: Vec<Vec<(Line<B>, u32)>> = vec![Vec::new()];
        // Ascending as the lines are, whatever they say.
        for (number, line) in (0..NONE / 2).zip(lines) {
            if line.min > line.max || line.len > B::WIDTH {
                continue;
            }
            let node = tree.node(line.bits.head(line.len), line.len);
            own.resize(tree.branches.len(), Vec::new());
            if let Some(own) = own.get_mut(node as usize) {
                own.push((line, number << 1 | u32::from(line.permits)));
            }
        }
        let mut table = PrefixTable {
            nodes: Vec::with_capacity(tree.branches.len()),
            spans: Vec::new(),
            entrances: Box::default(),
        };
        table.arrange(&tree, &own);
        table.open();
        table
    }

    /// Puts nodes next to those below them, since what is looked at together is
    /// to be in one place of memory, and gives every one the spans of itself and
    /// those above.
    fn arrange(&mut self, tree: &Tree<B>, own: &[Vec<(Line<B>, u32)>]) {
        let mut known: HashMap<Vec<Span>, u32> = HashMap::new();
        let mut left: Vec<(u32, Option<u32>, Vec<Span>)> = vec![(0, None, vec![Span::nothing()])];
        while let Some((number, right_of, above)) = left.pop() {
            let Some(branch) = tree.at(number) else {
                continue;
            };
            let place = u32::try_from(self.nodes.len()).unwrap_or(NONE);
            if let Some(parent) = right_of.and_then(|at| self.nodes.get_mut(at as usize)) {
                parent.right = place;
            }
            let lines = own.get(number as usize).map_or(&[][..], Vec::as_slice);
            let merged = merged::<B>(&above, lines);
            let [one, other] = branch.children;
            if other != NONE {
                left.push((other, Some(place), merged.clone()));
            }
            if one != NONE {
                left.push((one, None, merged.clone()));
            }
            let (min, max, line) =
                single(&merged).unwrap_or_else(|| (SPANS, 0, self.spans_of(merged, &mut known)));
            self.nodes.push(Node {
                bits: branch.bits,
                len: branch.len,
                min,
                max,
                has_left: one != NONE,
                line,
                right: NONE,
            });
        }
    }

    /// Where these spans begin.
    fn spans_of(&mut self, merged: Vec<Span>, known: &mut HashMap<Vec<Span>, u32>) -> u32 {
        let spans = &mut self.spans;
        *known.entry(merged).or_insert_with_key(|merged| {
            spans.extend_from_slice(merged);
            u32::try_from(spans.len() - merged.len()).unwrap_or(NONE)
        })
    }

    fn at(&self, node: u32) -> Option<&Node<B>> {
        self.nodes.get(node as usize)
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
            let next = node.child(found, bits.bit(node.len));
            match self.at(next) {
                Some(below) if below.len <= len && below.bits.common(bits) >= below.len => {
                    found = next;
                }
                _ => break,
            }
        }
        found
    }

    /// The first line that matches the prefix.
    #[inline]
    pub(crate) fn first(&self, (bits, len): (B, u8)) -> Option<Found> {
        let from = match self.entrances.get(bits.top()) {
            Some(entrance) if len >= 16 => *entrance,
            _ => 0,
        };
        let node = self.at(self.descend(from, bits, len))?;
        if node.min != SPANS {
            return (node.min <= len && len <= node.max).then_some(Found(node.line));
        }
        let spans = self.spans.get(node.line as usize..)?;
        let span = spans.iter().find(|span| len <= span.to)?;
        (span.line != NONE).then_some(Found(span.line))
    }
}

impl<B: Bits> Node<B> {
    /// The node of a side, of this one at its place.
    #[inline]
    fn child(&self, place: u32, side: bool) -> u32 {
        match side {
            true => self.right,
            false if self.has_left => place + 1,
            false => NONE,
        }
    }
}

/// The nodes of a table while it is made.
struct Tree<B> {
    branches: Vec<Branch<B>>,
}

// ===== impl Tree =====

impl<B: Bits> Tree<B> {
    fn new() -> Tree<B> {
        Tree {
            branches: vec![Branch::new(B::ZERO, 0)],
        }
    }

    fn at(&self, branch: u32) -> Option<&Branch<B>> {
        self.branches.get(branch as usize)
    }

    fn add(&mut self, branch: Branch<B>) -> u32 {
        self.branches.push(branch);
        u32::try_from(self.branches.len() - 1).unwrap_or(NONE)
    }

    fn link(&mut self, parent: u32, side: bool, child: u32) {
        let place = self.branches.get_mut(parent as usize);
        if let Some(place) = place.and_then(|branch| branch.children.get_mut(usize::from(side))) {
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
            let [left, right] = above.children;
            let next = if side { right } else { left };
            let Some(below) = self.at(next).copied() else {
                let new = self.add(Branch::new(bits, len));
                self.link(parent, side, new);
                return new;
            };
            let common = bits.common(below.bits).min(below.len).min(len);
            if common == below.len {
                parent = next;
                continue;
            }
            let between = self.add(Branch::new(bits.head(common), common));
            self.link(parent, side, between);
            self.link(between, below.bits.bit(common), next);
            parent = between;
        }
    }
}

impl<B> Branch<B> {
    const fn new(bits: B, len: u8) -> Branch<B> {
        Branch {
            bits,
            len,
            children: [NONE; 2],
        }
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

/// The lengths of the only line; no lengths where there is none. None where
/// there are several.
fn single(spans: &[Span]) -> Option<(u8, u8, u32)> {
    let mut found = None;
    let mut from = 0;
    for span in spans {
        if span.line != NONE {
            if found.is_some() {
                return None;
            }
            found = Some((from, span.to, span.line));
        }
        from = span.to.saturating_add(1);
    }
    Some(found.unwrap_or((1, 0, NONE)))
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
    /// Of what lines say, of which prefixes and of which lengths; no prefix is
    /// `any`, of both families.
    pub(crate) fn new(
        lines: impl Iterator<Item = (bool, Option<IpNet>, u8, u8)> + Clone,
    ) -> PrefixTables {
        // Lines keep their number in both tables: those of the other family
        // match no length.
        fn line<B: Bits>(permits: bool, net: Option<(B, u8)>, lengths: (u8, u8)) -> Line<B> {
            let (bits, len) = net.unwrap_or((B::ZERO, 0));
            let (min, max) = lengths;
            let max = max.min(B::WIDTH);
            Line {
                bits,
                len,
                min,
                max,
                permits,
            }
        }
        let never = (1, 0);
        let v4 = lines.clone().map(|(permits, net, min, max)| match net {
            None => line(permits, None, (min, max)),
            Some(IpNet::V4(net)) => line(permits, Some(net.bits()), (min, max)),
            Some(IpNet::V6(_)) => line(permits, None, never),
        });
        let v6 = lines.map(|(permits, net, min, max)| match net {
            None => line(permits, None, (min, max)),
            Some(IpNet::V6(net)) => line(permits, Some(net.bits()), (min, max)),
            Some(IpNet::V4(_)) => line(permits, None, never),
        });
        PrefixTables {
            v4: PrefixTable::new(v4),
            v6: PrefixTable::new(v6),
        }
    }

    /// The first line that matches the prefix.
    pub(crate) fn first(&self, prefix: IpNet) -> Option<Found> {
        match prefix {
            IpNet::V4(net) => self.v4.first(net.bits()),
            IpNet::V6(net) => self.v6.first(net.bits()),
        }
    }
}
