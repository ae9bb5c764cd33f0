//! What was wrong with an UPDATE, and what RFC 7606 asks for.

use core::fmt;
use std::net::IpAddr;

use crate::attribute::{code, code_name};
use crate::nlri::NlriError;
use crate::notification::UpdateError;
use crate::reader::Truncated;

/// What to do about an error; the strongest of a message wins (RFC 7606
/// section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Attribute discard: the routes are used without it.
    Discard,
    /// Treat-as-withdraw: the routes of the message are withdrawn.
    TreatAsWithdraw,
    /// AFI/SAFI disable. Decoding asks for a reset where this would be allowed
    /// too: RFC 7606 leaves the choice, and a reset heals.
    DisableFamily,
    /// Session reset.
    Reset,
}

impl Action {
    /// The name of the action in RFC 7606.
    pub const fn name(self) -> &'static str {
        match self {
            Action::Discard => "attribute discard",
            Action::TreatAsWithdraw => "treat-as-withdraw",
            Action::DisableFamily => "AFI/SAFI disable",
            Action::Reset => "session reset",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What was found to be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Reason {
    /// The Optional or Transitive bit is not what the attribute demands.
    #[error("flags 0x{0:02x} conflict with the attribute")]
    Flags(u8),
    /// The length is impossible for the attribute.
    #[error("length {0} is impossible")]
    Length(usize),
    /// ORIGIN is none of IGP, EGP, INCOMPLETE.
    #[error("value {0} is undefined")]
    OriginValue(u8),
    /// A segment type that does not exist.
    #[error("segment type {0} is undefined")]
    SegmentType(u8),
    /// A segment without AS numbers.
    #[error("segment is empty")]
    EmptySegment,
    /// A segment reaches over the end of its attribute.
    #[error("segment reaches over the end")]
    SegmentOverrun,
    /// AS number 0 (RFC 7607).
    #[error("AS number is 0")]
    AsZero,
    /// Confederation segments from outside of the confederation (RFC 5065).
    #[error("confederation segment from outside of the confederation")]
    ConfederationSegment,
    /// No AS_CONFED_SEQUENCE in front, from another member AS (RFC 5065).
    #[error("no AS_CONFED_SEQUENCE in front")]
    NoConfederationSequence,
    /// A next hop that no host can have.
    #[error("next hop {0} is not the address of a host")]
    NextHop(IpAddr),
    /// A well-known attribute is missing.
    #[error("is missing")]
    Missing,
    /// A second one; the first is used.
    #[error("is there more than once")]
    Duplicate,
    /// The attribute reaches over the end of the attributes.
    #[error("reaches over the end of the attributes")]
    Overrun,
    /// Fewer octets are left than an attribute's header has.
    #[error("octets left are no attribute")]
    ShortHeader,
    /// The next hop's length does not belong to the family (RFC 7606 section
    /// 7.11).
    #[error("next hop length {0} is impossible")]
    NextHopLength(u8),
    /// The attribute ends too early.
    #[error(transparent)]
    Truncated(#[from] Truncated),
    /// A prefix that cannot be read, and none behind it.
    #[error(transparent)]
    Prefix(#[from] NlriError),
    /// A well-known attribute that we do not know.
    #[error("is well-known and not recognised")]
    UnknownWellKnown,
    /// An accumulated metric that says nothing (RFC 7311 section 3.2).
    #[error("metric is the highest there is")]
    MetricTooHigh,
    /// Not accepted from this kind of peer.
    #[error("is not accepted from this kind of peer")]
    UnexpectedPeer,
}

impl Reason {
    /// The UPDATE Message Error subcode of an error that resets the session,
    /// and whether its data is the attribute (RFC 4271 section 6.3).
    pub(crate) const fn subcode(self, attribute: u8) -> (UpdateError, bool) {
        match self {
            Reason::AsZero if attribute == code::AS_PATH => (UpdateError::MalformedAsPath, false),
            Reason::Flags(_) => (UpdateError::AttributeFlags, true),
            Reason::Length(_) => (UpdateError::AttributeLength, true),
            Reason::OriginValue(_) => (UpdateError::InvalidOrigin, true),
            Reason::SegmentType(_)
            | Reason::EmptySegment
            | Reason::SegmentOverrun
            | Reason::ConfederationSegment
            | Reason::NoConfederationSequence => (UpdateError::MalformedAsPath, false),
            Reason::NextHop(_) => (UpdateError::InvalidNextHop, true),
            Reason::AsZero
            | Reason::MetricTooHigh
            | Reason::UnexpectedPeer
            | Reason::NextHopLength(_)
            | Reason::Truncated(_)
            | Reason::Prefix(_) => (UpdateError::OptionalAttribute, true),
            Reason::UnknownWellKnown => (UpdateError::UnrecognizedWellKnown, true),
            Reason::Missing => (UpdateError::MissingWellKnown, false),
            Reason::Duplicate | Reason::Overrun | Reason::ShortHeader => {
                (UpdateError::MalformedAttributeList, false)
            }
        }
    }
}

/// One error of an UPDATE that the session survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fault {
    /// What it asks for.
    pub action: Action,
    /// The code of the attribute, 0 where none can be told.
    pub attribute: u8,
    /// What is wrong.
    pub reason: Reason,
    /// Where the attribute begins: octets from the start of the message.
    pub offset: usize,
}

impl fmt::Display for Fault {
    /// `treat-as-withdraw: ORIGIN at octet 23: value 3 is undefined`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.action)?;
        match code_name(self.attribute) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "attribute {}", self.attribute)?,
        }
        write!(f, " at octet {}: {}", self.offset, self.reason)
    }
}
