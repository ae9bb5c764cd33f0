//! A reader of routing table dumps (MRT TABLE_DUMP_V2, RFC 6396 section 4.3).

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::load::Error;
use crate::load::prefix::{Family, Prefix};
use crate::load::table::{AttributeSet, Segment, Table};

const TABLE_DUMP_V2: u16 = 13;
const RIB_IPV4_UNICAST: u16 = 2;
const RIB_IPV6_UNICAST: u16 = 4;

/// Reads the routes of the peer that has most of them.
pub(crate) fn read(path: &Path, family: Family) -> Result<Table, Error> {
    let mut counts: HashMap<u16, usize> = HashMap::new();
    each_entry(path, family, |_, peer, _| {
        *counts.entry(peer).or_default() += 1;
    })?;
    let fullest = counts
        .into_iter()
        .max_by_key(|&(peer, count)| (count, u16::MAX - peer));
    let Some((peer, _)) = fullest else {
        return Err(Error::Mrt(format!("no {family:?} unicast routes")));
    };
    let mut numbers: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut groups: Vec<(AttributeSet, Vec<Prefix>)> = Vec::new();
    each_entry(path, family, |prefix, from, octets| {
        if from == peer {
            let next = groups.len();
            let number = *numbers.entry(octets.to_vec()).or_insert(next);
            if number == next {
                groups.push((attributes(octets).unwrap_or_default(), Vec::new()));
            }
            groups[number].1.push(prefix);
        }
    })?;
    Ok(Table::from_groups(family, groups))
}

fn open(path: &Path) -> Result<Box<dyn Read>, Error> {
    let name = path.display().to_string();
    let tool = match path.extension().and_then(|e| e.to_str()) {
        Some("gz") => "gzip",
        Some("bz2") => "bzip2",
        _ => {
            let file = File::open(path).map_err(Error::io(&name))?;
            return Ok(Box::new(BufReader::with_capacity(1 << 20, file)));
        }
    };
    let child = Command::new(tool)
        .arg("-dc")
        .arg(path)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Error::io(format!("{tool} -dc {name}")))?;
    match child.stdout {
        Some(output) => Ok(Box::new(BufReader::with_capacity(1 << 20, output))),
        None => Err(Error::Mrt(format!("{tool} gave no output"))),
    }
}

/// Calls `each` with every prefix, peer number and attribute block.
fn each_entry(
    path: &Path,
    family: Family,
    mut each: impl FnMut(Prefix, u16, &[u8]),
) -> Result<(), Error> {
    let wanted = match family {
        Family::Ipv4 => RIB_IPV4_UNICAST,
        Family::Ipv6 => RIB_IPV6_UNICAST,
    };
    let mut input = open(path)?;
    let mut header = [0u8; 12];
    let mut body = Vec::new();
    loop {
        match input.read_exact(&mut header) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(Error::io("read")(error)),
        }
        let kind = u16::from_be_bytes([header[4], header[5]]);
        let subtype = u16::from_be_bytes([header[6], header[7]]);
        let length = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
        if length > 1 << 24 {
            return Err(Error::Mrt(format!("a record of {length} octets")));
        }
        body.resize(length as usize, 0);
        input.read_exact(&mut body).map_err(Error::io("read"))?;
        if (kind, subtype) == (TABLE_DUMP_V2, wanted) && entries(&body, family, &mut each).is_none()
        {
            return Err(Error::Mrt("a RIB record is cut off".into()));
        }
    }
}

/// The entries of one RIB record.
fn entries(body: &[u8], family: Family, each: &mut impl FnMut(Prefix, u16, &[u8])) -> Option<()> {
    let (&len, rest) = body.get(4..)?.split_first()?;
    if len > family.max_len() {
        return None;
    }
    let (address, rest) = rest.split_at_checked(usize::from(len).div_ceil(8))?;
    let mut octets = [0; 16];
    octets[..address.len()].copy_from_slice(address);
    let prefix = Prefix::from_bits(u128::from_be_bytes(octets), len);
    let (count, mut rest) = rest.split_first_chunk::<2>()?;
    for _ in 0..u16::from_be_bytes(*count) {
        let (head, tail) = rest.split_first_chunk::<8>()?;
        let length = usize::from(u16::from_be_bytes([head[6], head[7]]));
        let (block, tail) = tail.split_at_checked(length)?;
        each(prefix, u16::from_be_bytes([head[0], head[1]]), block);
        rest = tail;
    }
    Some(())
}

/// The attributes of an entry, whose AS numbers have four octets (section
/// 4.3.4). The AS number of the collector's peer is taken off the path: the
/// sender takes that peer's place.
fn attributes(block: &[u8]) -> Option<AttributeSet> {
    let mut set = AttributeSet::default();
    let mut rest = block;
    while !rest.is_empty() {
        let (head, tail) = rest.split_first_chunk::<3>()?;
        let (length, tail) = match head[0] & 0x10 {
            0 => (usize::from(head[2]), tail),
            _ => {
                let (&low, tail) = tail.split_first()?;
                (usize::from(u16::from_be_bytes([head[2], low])), tail)
            }
        };
        let (value, tail) = tail.split_at_checked(length)?;
        let words = || value.chunks_exact(4).map(word).collect::<Vec<u32>>();
        match head[1] {
            1 => set.origin = *value.first()?,
            2 => set.path = as_path(value)?,
            4 => set.med = words().first().copied(),
            6 => set.atomic = true,
            7 => set.aggregator = aggregator(&words()),
            8 => set.communities = words(),
            32 => {
                let words = words();
                let triples = words.chunks_exact(3);
                set.large_communities = triples.map(|t| [t[0], t[1], t[2]]).collect();
            }
            _ => {}
        }
        rest = tail;
    }
    Some(set)
}

fn word(octets: &[u8]) -> u32 {
    octets.iter().fold(0, |word, &o| word << 8 | u32::from(o))
}

fn aggregator(words: &[u32]) -> Option<(u32, Ipv4Addr)> {
    match words {
        [asn, address] => Some((*asn, Ipv4Addr::from_bits(*address))),
        _ => None,
    }
}

fn as_path(mut value: &[u8]) -> Option<Vec<Segment>> {
    let mut path = Vec::new();
    while !value.is_empty() {
        let (head, tail) = value.split_first_chunk::<2>()?;
        let (asns, tail) = tail.split_at_checked(usize::from(head[1]) * 4)?;
        path.push(Segment {
            is_set: head[0] == 1,
            asns: asns.chunks_exact(4).map(word).collect(),
        });
        value = tail;
    }
    if let Some(first) = path.first_mut()
        && !first.is_set
        && !first.asns.is_empty()
    {
        first.asns.remove(0);
    }
    path.retain(|segment| !segment.asns.is_empty());
    Some(path)
}
