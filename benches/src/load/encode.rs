//! Messages, encoded before the clock starts.

use std::net::IpAddr;

use bytes::{Bytes, BytesMut};

use crate::load::prefix::{Family, Prefix};
use crate::load::table::{AttributeSet, Table};

/// The longest message (RFC 4271 section 4.1).
const MAX_MESSAGE: usize = 4096;
const HEADER: usize = 19;
/// Octets per buffer: few writes, and a keepalive never waits for long.
const CHUNK: usize = 1 << 20;

/// The global administrator of the large community that marks a route.
pub(crate) const MARK_ADMIN: u32 = 4_200_000_042;

/// Who announces: what the sender adds to an attribute set.
#[derive(Debug, Clone)]
pub struct Announcer {
    /// The sender's AS number.
    pub asn: u32,
    /// The session is internal: no AS number is prepended, LOCAL_PREF is set.
    pub ibgp: bool,
    /// The next hop. IPv6 routes need an IPv6 address; an IPv4 address
    /// becomes an IPv4-mapped one.
    pub next_hop: IpAddr,
    /// The path identifier, when the session negotiated ADD-PATH in this
    /// direction (RFC 7911).
    pub path_id: Option<u32>,
}

/// Messages ready to be written, cut into buffers at message boundaries.
#[derive(Debug, Clone, Default)]
pub struct Encoded {
    /// The buffers, of about a megabyte each.
    pub chunks: Vec<Bytes>,
    /// How many messages.
    pub messages: u64,
    /// How many announced or withdrawn prefixes.
    pub prefixes: u64,
}

impl Encoded {
    /// The size in octets.
    pub fn octets(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    /// All routes of `table`, then an End-of-RIB.
    pub fn table(table: &Table, announcer: &Announcer) -> Self {
        let mut encoder = Encoder::new(table.family());
        for (set, prefixes) in table.groups() {
            encoder.announce(announcer, set, prefixes, None);
        }
        encoder.end_of_rib();
        encoder.finish()
    }

    /// Withdrawals of all prefixes of `table`, in its order.
    pub fn withdrawal(table: &Table, path_id: Option<u32>) -> Self {
        let mut encoder = Encoder::new(table.family());
        encoder.withdraw(table.prefixes(), path_id);
        encoder.finish()
    }

    /// The End-of-RIB marker of `family` (RFC 4724 section 2).
    pub fn end_of_rib(family: Family) -> Self {
        let mut encoder = Encoder::new(family);
        encoder.end_of_rib();
        encoder.finish()
    }
}

/// Appends messages to buffers.
#[derive(Debug)]
pub struct Encoder {
    family: Family,
    open: BytesMut,
    done: Encoded,
    /// The attributes of the set at hand, without those that hold NLRI.
    attributes: Vec<u8>,
    body: Vec<u8>,
    scratch: Vec<u8>,
}

impl Encoder {
    /// An encoder of routes of `family`.
    pub fn new(family: Family) -> Self {
        Self {
            family,
            open: BytesMut::new(),
            done: Encoded::default(),
            attributes: Vec::new(),
            body: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Announces `prefixes` with `set`, in as few messages as possible. A
    /// `mark` is a number that the receiver recognises.
    pub fn announce(
        &mut self,
        announcer: &Announcer,
        set: &AttributeSet,
        prefixes: &[Prefix],
        mark: Option<u32>,
    ) {
        self.attributes.clear();
        put_attributes(
            &mut self.attributes,
            &mut self.scratch,
            announcer,
            set,
            mark,
        );
        let next_hop = next_hop(self.family, announcer.next_hop);
        if self.family == Family::Ipv4 {
            put_attribute(&mut self.attributes, 0x40, 3, &next_hop);
        }
        // Header, two lengths, and for MP_REACH_NLRI its fixed part.
        let fixed = HEADER + 4 + self.attributes.len() + 9 + next_hop.len();
        let room = MAX_MESSAGE.saturating_sub(fixed);
        for run in Runs::new(prefixes, announcer.path_id, room) {
            self.scratch.clear();
            put_nlri(&mut self.scratch, run, announcer.path_id);
            self.body.clear();
            match self.family {
                Family::Ipv4 => {
                    self.body.extend_from_slice(&[0, 0]);
                    put_u16(&mut self.body, self.attributes.len());
                    self.body.extend_from_slice(&self.attributes);
                    self.body.extend_from_slice(&self.scratch);
                }
                Family::Ipv6 => {
                    let length = 5 + next_hop.len() + self.scratch.len();
                    self.body.extend_from_slice(&[0, 0]);
                    put_u16(&mut self.body, 4 + length + self.attributes.len());
                    self.body.extend_from_slice(&[0x90, 14]);
                    put_u16(&mut self.body, length);
                    self.body
                        .extend_from_slice(&[0, 2, 1, next_hop.len() as u8]);
                    self.body.extend_from_slice(&next_hop);
                    self.body.push(0);
                    self.body.extend_from_slice(&self.scratch);
                    self.body.extend_from_slice(&self.attributes);
                }
            }
            self.push(run.len());
        }
    }

    /// Withdraws `prefixes`, in as few messages as possible.
    pub fn withdraw(&mut self, prefixes: &[Prefix], path_id: Option<u32>) {
        let room = MAX_MESSAGE - HEADER - 4 - 7;
        for run in Runs::new(prefixes, path_id, room) {
            self.scratch.clear();
            put_nlri(&mut self.scratch, run, path_id);
            self.body.clear();
            match self.family {
                Family::Ipv4 => {
                    put_u16(&mut self.body, self.scratch.len());
                    self.body.extend_from_slice(&self.scratch);
                    self.body.extend_from_slice(&[0, 0]);
                }
                Family::Ipv6 => {
                    self.body.extend_from_slice(&[0, 0]);
                    put_u16(&mut self.body, 4 + 3 + self.scratch.len());
                    self.body.extend_from_slice(&[0x90, 15]);
                    put_u16(&mut self.body, 3 + self.scratch.len());
                    self.body.extend_from_slice(&[0, 2, 1]);
                    self.body.extend_from_slice(&self.scratch);
                }
            }
            self.push(run.len());
        }
    }

    /// Appends the End-of-RIB marker of the family (RFC 4724 section 2).
    pub fn end_of_rib(&mut self) {
        self.body.clear();
        match self.family {
            Family::Ipv4 => self.body.extend_from_slice(&[0, 0, 0, 0]),
            Family::Ipv6 => self
                .body
                .extend_from_slice(&[0, 0, 0, 6, 0x80, 15, 3, 0, 2, 1]),
        }
        self.push(0);
    }

    /// How many messages were encoded since the last [`Self::finish`].
    pub fn messages(&self) -> u64 {
        self.done.messages
    }

    /// What was encoded; the encoder starts again.
    pub fn finish(&mut self) -> Encoded {
        self.cut();
        std::mem::take(&mut self.done)
    }

    /// Ends a message whose body is in `self.body`.
    fn push(&mut self, prefixes: usize) {
        put_message(&mut self.open, 2, &self.body);
        self.done.messages += 1;
        self.done.prefixes += prefixes as u64;
        if self.open.len() > CHUNK - MAX_MESSAGE {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if !self.open.is_empty() {
            let full = std::mem::take(&mut self.open);
            self.done.chunks.push(full.freeze());
        }
    }
}

/// Splits prefixes into runs that fit into `room` octets each.
struct Runs<'a> {
    rest: &'a [Prefix],
    extra: usize,
    room: usize,
}

impl<'a> Runs<'a> {
    fn new(rest: &'a [Prefix], path_id: Option<u32>, room: usize) -> Self {
        let extra = match path_id {
            Some(_) => 5,
            None => 1,
        };
        Self { rest, extra, room }
    }
}

impl<'a> Iterator for Runs<'a> {
    type Item = &'a [Prefix];

    fn next(&mut self) -> Option<&'a [Prefix]> {
        let mut octets = 0;
        let fits = |prefix: &&Prefix| {
            octets += self.extra + prefix.wire_octets();
            octets <= self.room
        };
        // One prefix goes out in any case, so that the split comes to an end.
        let count = self.rest.iter().take_while(fits).count().max(1);
        let (run, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(run)
    }
}

/// Appends a message with its header.
pub(crate) fn put_message(out: &mut BytesMut, kind: u8, body: &[u8]) {
    out.extend_from_slice(&[0xff; 16]);
    out.extend_from_slice(&((HEADER + body.len()) as u16).to_be_bytes());
    out.extend_from_slice(&[kind]);
    out.extend_from_slice(body);
}

fn put_u16(out: &mut Vec<u8>, value: usize) {
    out.extend_from_slice(&(value as u16).to_be_bytes());
}

fn put_nlri(out: &mut Vec<u8>, prefixes: &[Prefix], path_id: Option<u32>) {
    for prefix in prefixes {
        if let Some(id) = path_id {
            out.extend_from_slice(&id.to_be_bytes());
        }
        prefix.put(out);
    }
}

fn next_hop(family: Family, address: IpAddr) -> Vec<u8> {
    match (family, address) {
        (Family::Ipv4, IpAddr::V4(address)) => address.octets().to_vec(),
        (Family::Ipv6, IpAddr::V4(address)) => address.to_ipv6_mapped().octets().to_vec(),
        (Family::Ipv6, IpAddr::V6(address)) => address.octets().to_vec(),
        // IPv4 routes over IPv6 sessions need a next hop of their own family.
        (Family::Ipv4, IpAddr::V6(address)) => {
            let last = address.octets();
            vec![10, last[13], last[14], last[15]]
        }
    }
}

fn put_attribute(out: &mut Vec<u8>, flags: u8, code: u8, value: &[u8]) {
    match u8::try_from(value.len()) {
        Ok(length) => out.extend_from_slice(&[flags, code, length]),
        Err(_) => {
            out.extend_from_slice(&[flags | 0x10, code]);
            put_u16(out, value.len());
        }
    }
    out.extend_from_slice(value);
}

/// Appends the attributes except next hop and NLRI.
fn put_attributes(
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
    announcer: &Announcer,
    set: &AttributeSet,
    mark: Option<u32>,
) {
    put_attribute(out, 0x40, 1, &[set.origin]);
    put_path(scratch, announcer, set);
    put_attribute(out, 0x40, 2, scratch);
    if let Some(med) = set.med {
        put_attribute(out, 0x80, 4, &med.to_be_bytes());
    }
    if announcer.ibgp {
        put_attribute(out, 0x40, 5, &100u32.to_be_bytes());
    }
    if set.atomic {
        put_attribute(out, 0x40, 6, &[]);
    }
    if let Some((asn, address)) = set.aggregator {
        put_words(scratch, [asn, address.to_bits()]);
        put_attribute(out, 0xc0, 7, scratch);
    }
    if !set.communities.is_empty() {
        put_words(scratch, set.communities.iter().copied());
        put_attribute(out, 0xc0, 8, scratch);
    }
    if !set.large_communities.is_empty() || mark.is_some() {
        let marks = mark.map(|number| [MARK_ADMIN, 0, number]);
        let all = set.large_communities.iter().copied().chain(marks);
        put_words(scratch, all.flatten());
        put_attribute(out, 0xc0, 32, scratch);
    }
}

fn put_words(scratch: &mut Vec<u8>, words: impl IntoIterator<Item = u32>) {
    scratch.clear();
    for word in words {
        scratch.extend_from_slice(&word.to_be_bytes());
    }
}

/// Writes an AS path with four-octet numbers; external sessions prepend the
/// sender's number.
fn put_path(out: &mut Vec<u8>, announcer: &Announcer, set: &AttributeSet) {
    out.clear();
    let mut own = (!announcer.ibgp).then_some(announcer.asn);
    let starts_with_room = matches!(set.path.first(), Some(s) if !s.is_set && s.asns.len() < 255);
    if let Some(asn) = own
        && !starts_with_room
    {
        out.extend_from_slice(&[2, 1]);
        out.extend_from_slice(&asn.to_be_bytes());
        own = None;
    }
    for segment in &set.path {
        let own = own.take();
        let count = segment.asns.len() + usize::from(own.is_some());
        let kind = match segment.is_set {
            true => 1,
            false => 2,
        };
        out.extend_from_slice(&[kind, count as u8]);
        for asn in own.iter().chain(&segment.asns) {
            out.extend_from_slice(&asn.to_be_bytes());
        }
    }
}
