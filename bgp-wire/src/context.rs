//! What decoding and encoding must know of a session.

use crate::family::FamilySet;

/// Which side of an AS boundary the peer is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerKind {
    /// Another AS.
    External,
    /// The same AS.
    Internal,
    /// Another member AS of the same confederation (RFC 5065): an external
    /// session that carries the attributes of an internal one.
    Confederation,
}

impl PeerKind {
    /// Whether LOCAL_PREF is sent and accepted (RFC 4271 section 5.1.5,
    /// RFC 5065 section 4.2).
    pub const fn carries_local_pref(self) -> bool {
        !matches!(self, PeerKind::External)
    }
}

/// What the OPENs agreed on, as far as bytes depend on it. Plain data, so that
/// tests can make one up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodecContext {
    /// eBGP or iBGP: decides which attributes are errors (RFC 7606).
    pub peer_kind: PeerKind,
    /// Both ends speak 4-octet AS numbers (RFC 6793).
    pub four_octet_as: bool,
    /// Messages up to 65,535 octets (RFC 8654), else 4,096.
    pub extended_message: bool,
    /// Families whose MP NLRI is accepted; others are ignored.
    pub families: FamilySet,
    /// Families in which the peer sends path identifiers (RFC 7911).
    pub add_path_receive: FamilySet,
    /// Families in which we send path identifiers.
    pub add_path_send: FamilySet,
    /// Families whose next hop may be IPv6 while the NLRI is IPv4 (RFC 8950).
    pub extended_next_hop: FamilySet,
}

impl CodecContext {
    /// What a session has when neither side sent a capability: IPv4 unicast,
    /// 2-octet AS numbers, messages of 4,096 octets.
    pub const fn baseline(peer_kind: PeerKind) -> CodecContext {
        let mut families = FamilySet::EMPTY;
        families.insert(crate::family::Family::Ipv4Unicast);
        CodecContext {
            peer_kind,
            four_octet_as: false,
            extended_message: false,
            families,
            add_path_receive: FamilySet::EMPTY,
            add_path_send: FamilySet::EMPTY,
            extended_next_hop: FamilySet::EMPTY,
        }
    }

    /// Largest message in octets, header included.
    pub const fn max_message_len(&self) -> usize {
        if self.extended_message { 65_535 } else { 4_096 }
    }
}
