//! The path attributes that we interpret: one row each. Flags, acceptance and
//! the reaction to errors are looked up here and nowhere else.

use bytes::BytesMut;

use crate::attribute::code::*;
use crate::attribute::flag::{OPTIONAL, TRANSITIVE};
use crate::attribute_decode::{self as decode, Sink};
use crate::attribute_encode::{self as encode, Outgoing};
use crate::context::{CodecContext, PeerKind};
use crate::fault::{Action, Reason};
use crate::reader::Reader;

/// From whom an attribute is accepted; from others it is discarded unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AcceptedFrom {
    /// Every peer.
    All,
    /// All but those of another AS (RFC 7606 sections 7.5, 7.9, 7.10).
    Inside,
    /// Speakers of 2-octet AS numbers (RFC 6793 section 4.1).
    OldSpeakers,
}

impl AcceptedFrom {
    /// Whether the peer of this session is among them.
    pub(crate) const fn accepts(self, ctx: &CodecContext) -> bool {
        match self {
            AcceptedFrom::All => true,
            AcceptedFrom::Inside => !matches!(ctx.peer_kind, PeerKind::External),
            AcceptedFrom::OldSpeakers => !ctx.four_octet_as,
        }
    }
}

/// Reads an attribute's value into the sink.
type Decode = for<'a> fn(&mut Sink<'a>, Reader<'a>) -> Result<(), Reason>;
/// Writes an attribute's value; false, and nothing written, where the route
/// does not have the attribute.
type Encode = fn(&Outgoing<'_>, &mut BytesMut) -> bool;

/// What the codec knows of one attribute.
pub(crate) struct Descriptor {
    /// Type code.
    pub(crate) code: u8,
    /// Name in IANA's registry.
    pub(crate) name: &'static str,
    /// The Optional and Transitive bits.
    pub(crate) flags: u8,
    /// From whom it is accepted.
    pub(crate) accepted_from: AcceptedFrom,
    /// What to do about a malformed value.
    pub(crate) on_error: Action,
    /// Reads the value.
    pub(crate) decode: Decode,
    /// Writes the value. MP_REACH_NLRI and MP_UNREACH_NLRI belong to the
    /// message and are written with it.
    pub(crate) encode: Encode,
}

const WELL_KNOWN: u8 = TRANSITIVE;
const NON_TRANSITIVE: u8 = OPTIONAL;
const OPTIONAL_TRANSITIVE: u8 = OPTIONAL | TRANSITIVE;

macro_rules! rows {
    ($($code:ident $name:literal $flags:ident $from:ident $action:ident $decode:ident $encode:ident;)*) => {
        &[$(Descriptor {
            code: $code,
            name: $name,
            flags: $flags,
            accepted_from: AcceptedFrom::$from,
            on_error: Action::$action,
            decode: decode::$decode,
            encode: encode::$encode,
        }),*]
    };
}

/// The rows, by ascending code: the order in which attributes are sent.
#[rustfmt::skip]
pub(crate) static TABLE: &[Descriptor] = rows! {
    ORIGIN "ORIGIN" WELL_KNOWN All TreatAsWithdraw origin origin;
    AS_PATH "AS_PATH" WELL_KNOWN All TreatAsWithdraw as_path as_path;
    NEXT_HOP "NEXT_HOP" WELL_KNOWN All TreatAsWithdraw next_hop next_hop;
    MED "MULTI_EXIT_DISC" NON_TRANSITIVE All TreatAsWithdraw med med;
    LOCAL_PREF "LOCAL_PREF" WELL_KNOWN Inside TreatAsWithdraw local_pref local_pref;
    ATOMIC_AGGREGATE "ATOMIC_AGGREGATE" WELL_KNOWN All Discard atomic_aggregate atomic_aggregate;
    AGGREGATOR "AGGREGATOR" OPTIONAL_TRANSITIVE All Discard aggregator aggregator;
    COMMUNITIES "COMMUNITIES" OPTIONAL_TRANSITIVE All TreatAsWithdraw communities communities;
    ORIGINATOR_ID "ORIGINATOR_ID" NON_TRANSITIVE Inside TreatAsWithdraw originator_id originator_id;
    CLUSTER_LIST "CLUSTER_LIST" NON_TRANSITIVE Inside TreatAsWithdraw cluster_list cluster_list;
    MP_REACH_NLRI "MP_REACH_NLRI" NON_TRANSITIVE All Reset mp_reach absent;
    MP_UNREACH_NLRI "MP_UNREACH_NLRI" NON_TRANSITIVE All Reset mp_unreach absent;
    EXTENDED_COMMUNITIES "EXTENDED COMMUNITIES" OPTIONAL_TRANSITIVE All TreatAsWithdraw extended_communities extended_communities;
    AS4_PATH "AS4_PATH" OPTIONAL_TRANSITIVE OldSpeakers Discard as4_path as4_path;
    AS4_AGGREGATOR "AS4_AGGREGATOR" OPTIONAL_TRANSITIVE OldSpeakers Discard as4_aggregator as4_aggregator;
    IPV6_EXTENDED_COMMUNITIES "IPv6 Address Specific Extended Community" OPTIONAL_TRANSITIVE All TreatAsWithdraw ipv6_extended_communities ipv6_extended_communities;
    AIGP "AIGP" NON_TRANSITIVE All Discard aigp aigp;
    LARGE_COMMUNITIES "LARGE_COMMUNITY" OPTIONAL_TRANSITIVE All TreatAsWithdraw large_communities large_communities;
    ONLY_TO_CUSTOMER "Only to Customer (OTC)" OPTIONAL_TRANSITIVE All TreatAsWithdraw only_to_customer only_to_customer;
};

impl Descriptor {
    /// What to do where the Optional or Transitive bit is wrong (RFC 7606
    /// section 3 c). An AIGP that claims to be transitive is malformed like any
    /// other (RFC 7311 section 3.2).
    pub(crate) const fn on_wrong_flags(&self) -> Action {
        match self.code {
            AIGP => self.on_error,
            _ => Action::TreatAsWithdraw,
        }
    }
}

/// The row of a code. Looked up for every attribute received: no search.
pub(crate) fn descriptor(code: u8) -> Option<&'static Descriptor> {
    let index = match code {
        ORIGIN..=CLUSTER_LIST => code - ORIGIN,
        MP_REACH_NLRI..=AS4_AGGREGATOR => code - MP_REACH_NLRI + 10,
        IPV6_EXTENDED_COMMUNITIES => 15,
        AIGP => 16,
        LARGE_COMMUNITIES => 17,
        ONLY_TO_CUSTOMER => 18,
        _ => return None,
    };
    TABLE.get(usize::from(index)).filter(|row| row.code == code)
}

/// The name of an attribute that we interpret, as in IANA's registry.
pub fn code_name(code: u8) -> Option<&'static str> {
    descriptor(code).map(|row| row.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_and_nothing_else() {
        let found = (0..=u8::MAX).filter_map(descriptor).map(|row| row.code);
        assert!(found.eq(TABLE.iter().map(|row| row.code)));
        assert!(TABLE.is_sorted_by_key(|row| row.code));
    }
}
