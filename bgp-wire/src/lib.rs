//! BGP messages to and from bytes: no I/O, no state, no clock.
//!
//! A [`CodecContext`] says what the session negotiated; [`Message`] is what
//! travels. Decoding an UPDATE never fails as a whole for an error that
//! RFC 7606 lets a speaker survive: the errors come back beside what could
//! be read, each with the action it asks for.
//!
//! ```text
//! bytes -> Decoder -> Frame -> decode_message -> Message
//!                                  | Err: the NOTIFICATION to send
//!                          decode_update_packed -> PackedUpdate, no list made
//!
//! Message -> encode -> bytes;  routes -> encode_announcements -> many UPDATEs
//! ```
//!
//! | to change | look into |
//! | --- | --- |
//! | which attributes exist, their flags, what an error in one costs | `attribute_table` |
//! | how a value is read or written | `attribute_decode`, `attribute_encode` |
//! | what attributes say together (missing, repeated, 2-octet AS numbers) | `update_decode` |
//! | how attributes are kept in memory as octets | [`attribute_block`] |
//! | prefixes that stay in the message | [`packed`] |
//! | how prefixes are spread over messages | [`packing`] |
//! | capabilities, the checks of an OPEN | [`capability`], [`open`] |
//! | header errors, message lengths | [`frame`] |
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::unreachable
    )
)]

pub mod as_path;
pub mod attribute;
pub mod attribute_block;
mod attribute_decode;
mod attribute_encode;
mod attribute_table;
pub mod capability;
pub mod community;
pub mod context;
mod decode;
pub mod encode;
pub mod family;
pub mod fault;
pub mod frame;
pub mod nlri;
pub mod notification;
pub mod open;
pub mod packed;
pub mod packing;
pub mod reader;
pub mod update;
mod update_decode;

pub use as_path::{AS_TRANS, AsPath, Segment, SegmentKind, SegmentRef};
pub use attribute::{Aggregator, Aigp, NextHop, Origin, PartialBits, PathAttributes, RawAttribute};
pub use attribute_block::{decode_attribute_block, encode_attribute_block, put_attribute_block};
pub use capability::{AddPathMode, Capability, GracefulRestart, LongLivedFamily, Role};
pub use community::{Community, ExtendedCommunity, Ipv6ExtendedCommunity, LargeCommunity};
pub use context::{CodecContext, PeerKind};
pub use decode::decode_message;
pub use encode::EncodeError;
pub use family::{AddressFamily, AfiSafi, Family, FamilySet, V4, V6};
pub use fault::{Action, Fault, Reason};
pub use frame::{Decoder, Frame, MessageKind};
pub use notification::{
    Cease, ErrorCode, FsmError, HeaderError, Notification, OpenError, UpdateError,
};
pub use open::Open;
pub use packed::{PackedAnnouncement, PackedIter, PackedPrefixes, PackedUpdate};
pub use packing::{
    encode_announcements, encode_announcements_noting, encode_end_of_rib, encode_withdrawals,
};
pub use update::{Announcement, Nlri, Prefixes, RouteRefresh, RouteRefreshKind, Update};
pub use update_decode::{UpdateParts, decode_attributes, decode_update_packed};

/// One BGP message (RFC 4271 section 4, RFC 2918).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// OPEN, section 4.2.
    Open(Open),
    /// UPDATE, section 4.3.
    Update(Box<Update>),
    /// NOTIFICATION, section 4.5.
    Notification(Notification),
    /// KEEPALIVE, section 4.4.
    Keepalive,
    /// ROUTE-REFRESH, RFC 2918 and RFC 7313.
    RouteRefresh(RouteRefresh),
}
