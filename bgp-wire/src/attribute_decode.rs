//! The values of path attributes: one function per row of the table, each
//! reading one value. A function sees only its own attribute; what several of
//! them say together is judged in `update_decode`.

use std::collections::HashSet;
use std::hash::Hash;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::as_path::{AsPath, Builder, SegmentKind};
use crate::attribute::{Aggregator, Aigp, NextHop, Origin, PathAttributes};
use crate::community::{Community, ExtendedCommunity, Ipv6ExtendedCommunity, LargeCommunity};
use crate::context::{CodecContext, PeerKind};
use crate::family::{AfiSafi, Family};
use crate::fault::Reason;
use crate::nlri::NlriError;
use crate::packed::PrefixField;
use crate::reader::{Reader, Truncated};

/// An MP attribute as far as it was read.
#[derive(Debug, Default)]
pub(crate) enum Multiprotocol<T> {
    /// Not there.
    #[default]
    Absent,
    /// Of a family that was not negotiated; whether there are prefixes in it.
    Ignored(bool),
    /// Read.
    Read(T),
}

/// Where the values go.
#[derive(Debug)]
pub(crate) struct Sink<'a> {
    pub(crate) ctx: &'a CodecContext,
    pub(crate) attributes: PathAttributes,
    pub(crate) next_hop: Option<Ipv4Addr>,
    pub(crate) as4_path: Option<AsPath>,
    pub(crate) as4_aggregator: Option<Aggregator>,
    pub(crate) mp_reach: Multiprotocol<(NextHop, PrefixField<'a>)>,
    pub(crate) mp_unreach: Multiprotocol<PrefixField<'a>>,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(ctx: &'a CodecContext) -> Sink<'a> {
        Sink {
            ctx,
            attributes: PathAttributes::default(),
            next_hop: None,
            as4_path: None,
            as4_aggregator: None,
            mp_reach: Multiprotocol::Absent,
            mp_unreach: Multiprotocol::Absent,
        }
    }
}

/// The value as an array of the length that it must have.
fn exactly<const N: usize>(value: Reader<'_>) -> Result<[u8; N], Reason> {
    value.exactly().ok_or(Reason::Length(value.len()))
}

fn number(value: Reader<'_>) -> Result<u32, Reason> {
    exactly(value).map(u32::from_be_bytes)
}

/// A list of values of `N` octets, at least one of them.
fn list<const N: usize, T>(value: Reader<'_>, f: impl Fn([u8; N]) -> T) -> Result<Vec<T>, Reason> {
    match value.as_slice().as_chunks::<N>() {
        ([], _) | (_, [_, ..]) => Err(Reason::Length(value.len())),
        (chunks, []) => Ok(chunks.iter().map(|chunk| f(*chunk)).collect()),
    }
}

// ===== RFC 4271 =====

pub(crate) fn origin(sink: &mut Sink<'_>, value: Reader<'_>) -> Result<(), Reason> {
    let [origin] = exactly(value)?;
    sink.attributes.origin = Origin::from_wire(origin).ok_or(Reason::OriginValue(origin))?;
    Ok(())
}

pub(crate) fn as_path(sink: &mut Sink<'_>, value: Reader<'_>) -> Result<(), Reason> {
    let path = read_as_path(value, sink.ctx.four_octet_as)?;
    let first = path.segments().next().map(|s| s.kind);
    match sink.ctx.peer_kind {
        // RFC 5065 section 5: an error from outside of the confederation.
        PeerKind::External if path.has_confederation_segments() => {
            return Err(Reason::ConfederationSegment);
        }
        // And its absence is one from another member AS.
        PeerKind::Confederation if first != Some(SegmentKind::ConfedSequence) => {
            return Err(Reason::NoConfederationSequence);
        }
        _ => sink.attributes.as_path = path,
    }
    Ok(())
}

/// Reads segments (RFC 7606 section 7.2): their type must exist, they are not
/// empty and end with the attribute, and no AS number is 0 (RFC 7607).
fn read_as_path(mut value: Reader<'_>, four_octet_as: bool) -> Result<AsPath, Reason> {
    // Room for just what a path of one segment takes, as nearly all are.
    let (width, words) = match four_octet_as {
        true => (4, value.len() / 4 + 1),
        false => (2, value.len() / 2),
    };
    let mut builder = Builder::with_capacity(if value.is_empty() { 0 } else { words });
    while !value.is_empty() {
        let kind = value.u8().map_err(|_| Reason::SegmentOverrun)?;
        let kind = SegmentKind::from_wire(kind).ok_or(Reason::SegmentType(kind))?;
        let len = value.u8().map_err(|_| Reason::SegmentOverrun)?;
        if len == 0 {
            return Err(Reason::EmptySegment);
        }
        let asns = value
            .take(usize::from(len) * width)
            .map_err(|_| Reason::SegmentOverrun)?
            .as_slice();
        if four_octet_as {
            let asns = asns.as_chunks().0.iter().map(|a| u32::from_be_bytes(*a));
            builder.push_iter(kind, len, asns);
        } else {
            let asns = asns.as_chunks().0.iter().map(|a| u16::from_be_bytes(*a));
            builder.push_iter(kind, len, asns.map(u32::from));
        }
    }
    let path = builder.finish();
    if path.contains(0) {
        return Err(Reason::AsZero);
    }
    Ok(path)
}

pub(crate) fn next_hop(sink: &mut Sink<'_>, value: Reader<'_>) -> Result<(), Reason> {
    let addr = Ipv4Addr::from(exactly::<4>(value)?);
    if !NextHop::V4(addr).is_host() {
        return Err(Reason::NextHop(addr.into()));
    }
    sink.next_hop = Some(addr);
    Ok(())
}

pub(crate) fn med(sink: &mut Sink<'_>, value: Reader<'_>) -> Result<(), Reason> {
    sink.attributes.med = Some(number(value)?);
    Ok(())
}

pub(crate) fn local_pref(sink: &mut Sink<'_>, value: Reader<'_>) -> Result<(), Reason> {
    sink.attributes.local_pref = Some(number(value)?);
    Ok(())
}

pub(crate) fn atomic_aggregate(sink: &mut Sink<'_>, value: Reader<'_>) -> Result<(), Reason> {
    let [] = exactly(value)?;
    sink.attributes.atomic_aggregate = true;
    Ok(())
}

pub(crate) fn aggregator(sink: &mut Sink<'_>, value: Reader<'_>) -> Result<(), Reason> {
    sink.attributes.aggregator = Some(read_aggregator(value, sink.ctx.four_octet_as)?);
    Ok(())
}

fn read_aggregator(value: Reader<'_>, four_octet_as: bool) -> Result<Aggregator, Reason> {
    let (asn, id) = if four_octet_as {
        let [a0, a1, a2, a3, id @ ..]: [u8; 8] = exactly(value)?;
        (u32::from_be_bytes([a0, a1, a2, a3]), id)
    } else {
        let [a0, a1, id @ ..]: [u8; 6] = exactly(value)?;
        (u32::from(u16::from_be_bytes([a0, a1])), id)
    };
    if asn == 0 {
        return Err(Reason::AsZero);
    }
    Ok(Aggregator {
        asn,
        id: Ipv4Addr::from(id),
    })
}

// ===== communities =====

pub(crate) fn communities(sink: &mut Sink<'_>, value: Reader<'_>) -> Result<(), Reason> {
    sink.attributes.communities = list(value, |c| Community(u32::from_be_bytes(c)))?;
    Ok(())
}

pub(crate) fn extended_communities(sink: &mut Sink<'_>, value: Reader<'_>) -> Result<(), Reason> {
    sink.attributes.extended_communities = list(value, ExtendedCommunity)?;
    Ok(())
}

pub(crate) fn ipv6_extended_communities(
    sink: &mut Sink<'_>,
    value: Reader<'_>,
) -> Result<(), Reason> {
    sink.attributes.ipv6_extended_communities = list(value, Ipv6ExtendedCommunity)?;
    Ok(())
}

pub(crate) fn large_communities(sink: &mut Sink<'_>, value: Reader<'_>) -> Result<(), Reason> {
    let mut communities = list(value, |octets: [u8; 12]| {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = octets;
        LargeCommunity {
            global: u32::from_be_bytes([a, b, c, d]),
            local1: u32::from_be_bytes([e, f, g, h]),
            local2: u32::from_be_bytes([i, j, k, l]),
        }
    })?;
    // "A receiving speaker MUST silently remove redundant BGP Large Community
    // values" (RFC 8092 section 3).
    remove_repeated(&mut communities);
    sink.attributes.large_communities = communities;
    Ok(())
}

/// Keeps the first of equal values. A list as long as a message allows must
/// not take quadratic time; a usual one needs no set.
fn remove_repeated<T: Copy + Eq + Hash>(values: &mut Vec<T>) {
    const SHORT: usize = 16;
    if values.len() > SHORT {
        let mut seen = HashSet::with_capacity(values.len());
        values.retain(|value| seen.insert(*value));
        return;
    }
    let mut kept = Vec::with_capacity(values.len());
    for value in values.drain(..) {
        if !kept.contains(&value) {
            kept.push(value);
        }
    }
    *values = kept;
}

// ===== RFC 4456, RFC 6793, RFC 9234 =====

pub(crate) fn originator_id(sink: &mut Sink<'_>, value: Reader<'_>) -> Result<(), Reason> {
    sink.attributes.originator_id = Some(Ipv4Addr::from(exactly::<4>(value)?));
    Ok(())
}

pub(crate) fn cluster_list(sink: &mut Sink<'_>, value: Reader<'_>) -> Result<(), Reason> {
    sink.attributes.cluster_list = list::<4, _>(value, Ipv4Addr::from)?;
    Ok(())
}

/// Segments of a confederation do not belong here; they are left out and the
/// rest is used (RFC 6793 section 6).
pub(crate) fn as4_path(sink: &mut Sink<'_>, value: Reader<'_>) -> Result<(), Reason> {
    // An empty AS4_PATH says nothing; RFC 6793 section 6 wants 6 octets.
    if value.is_empty() {
        return Err(Reason::Length(0));
    }
    let path = read_as_path(value, true)?;
    sink.as4_path = Some(if path.has_confederation_segments() {
        path.without_confederation()
    } else {
        path
    });
    Ok(())
}

pub(crate) fn as4_aggregator(sink: &mut Sink<'_>, value: Reader<'_>) -> Result<(), Reason> {
    sink.as4_aggregator = Some(read_aggregator(value, true)?);
    Ok(())
}

/// An OTC of AS 0 says nothing that a route could be held against; it is
/// malformed like any other AS 0 (RFC 7607).
pub(crate) fn only_to_customer(sink: &mut Sink<'_>, value: Reader<'_>) -> Result<(), Reason> {
    match number(value)? {
        0 => Err(Reason::AsZero),
        asn => {
            sink.attributes.only_to_customer = Some(asn);
            Ok(())
        }
    }
}

// ===== RFC 7311 =====

/// "An AIGP attribute MUST NOT be considered to be malformed because it
/// contains more than one TLV of a given type or because it contains TLVs of
/// unknown types" (section 3.2). Without an AIGP TLV it says nothing.
pub(crate) fn aigp(sink: &mut Sink<'_>, mut value: Reader<'_>) -> Result<(), Reason> {
    const HEADER_LEN: u16 = 3;
    let mut metric = None;
    let mut others = Vec::new();
    if value.is_empty() {
        return Err(Reason::Length(0));
    }
    while !value.is_empty() {
        let start = value;
        let kind = value.u8()?;
        let len = value.u16()?;
        let inside = len.checked_sub(HEADER_LEN);
        let inside = inside.ok_or(Reason::Length(len.into()))?;
        let mut content = value.take(inside.into())?;
        if kind == Aigp::TLV && len != Aigp::TLV_LEN {
            return Err(Reason::Length(len.into()));
        }
        if kind == Aigp::TLV && metric.is_none() {
            metric = Some(u64::from_be_bytes(content.array()?));
        } else {
            let whole = start.as_slice().get(..usize::from(len));
            others.extend_from_slice(whole.unwrap_or_default());
        }
    }
    if metric == Some(u64::MAX) {
        return Err(Reason::MetricTooHigh);
    }
    sink.attributes.aigp = metric.map(|metric| Aigp { metric, others });
    Ok(())
}

// ===== RFC 4760, RFC 2545, RFC 8950 =====

/// The family of an MP attribute, where it was negotiated.
fn read_family(ctx: &CodecContext, value: &mut Reader<'_>) -> Result<Option<Family>, Truncated> {
    let pair = AfiSafi {
        afi: value.u16()?,
        safi: value.u8()?,
    };
    Ok(Family::from_afi_safi(pair).filter(|f| ctx.families.contains(*f)))
}

/// Checks prefixes that the peer sent.
pub(crate) fn check_prefixes<'a>(
    ctx: &CodecContext,
    family: Family,
    field: Reader<'a>,
) -> Result<PrefixField<'a>, NlriError> {
    PrefixField::check(family, ctx.add_path_receive.contains(family), field)
}

pub(crate) fn mp_reach<'a>(sink: &mut Sink<'a>, mut value: Reader<'a>) -> Result<(), Reason> {
    let Some(family) = read_family(sink.ctx, &mut value)? else {
        sink.mp_reach = Multiprotocol::Ignored(has_prefixes(value));
        return Ok(());
    };
    let len = value.u8()?;
    let next_hop = value.take(usize::from(len))?;
    let _reserved = value.u8()?;
    let next_hop = read_next_hop(sink.ctx, family, next_hop).ok_or(Reason::NextHopLength(len))?;
    let prefixes = check_prefixes(sink.ctx, family, value)?;
    sink.mp_reach = Multiprotocol::Read((next_hop, prefixes));
    Ok(())
}

/// Whether anything stands behind the next hop of a family that is ignored.
fn has_prefixes(mut value: Reader<'_>) -> bool {
    let skipped = value
        .u8()
        .and_then(|len| value.take(usize::from(len) + 1))
        .is_ok();
    skipped && !value.is_empty()
}

/// The next hop by its length (RFC 4760 section 3, RFC 2545 section 3, RFC 8950
/// section 3); none where the family has no next hop of that length.
fn read_next_hop(ctx: &CodecContext, family: Family, value: Reader<'_>) -> Option<NextHop> {
    let v6_allowed = family == Family::Ipv6Unicast || ctx.extended_next_hop.contains(family);
    match value.len() {
        4 if family == Family::Ipv4Unicast => {
            value.exactly().map(|a: [u8; 4]| NextHop::V4(a.into()))
        }
        16 if v6_allowed => value.exactly().map(|a: [u8; 16]| NextHop::V6 {
            global: a.into(),
            link_local: None,
        }),
        32 if v6_allowed => {
            let (global, link_local) = value.as_slice().split_first_chunk::<16>()?;
            let link_local: [u8; 16] = link_local.try_into().ok()?;
            Some(pair_next_hop(
                Ipv6Addr::from(*global),
                Ipv6Addr::from(link_local),
            ))
        }
        _ => None,
    }
}

/// A second address that is not link-local has no meaning and is left out; a
/// first address of `::` says that there is the link-local one only.
fn pair_next_hop(global: Ipv6Addr, link_local: Ipv6Addr) -> NextHop {
    let link_local = Some(link_local).filter(Ipv6Addr::is_unicast_link_local);
    match link_local {
        Some(only) if global.is_unspecified() => NextHop::V6 {
            global: only,
            link_local: None,
        },
        link_local => NextHop::V6 { global, link_local },
    }
}

pub(crate) fn mp_unreach<'a>(sink: &mut Sink<'a>, mut value: Reader<'a>) -> Result<(), Reason> {
    sink.mp_unreach = match read_family(sink.ctx, &mut value)? {
        Some(family) => Multiprotocol::Read(check_prefixes(sink.ctx, family, value)?),
        None => Multiprotocol::Ignored(!value.is_empty()),
    };
    Ok(())
}
