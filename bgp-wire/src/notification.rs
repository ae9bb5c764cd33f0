//! NOTIFICATION (RFC 4271 section 4.5): typed codes, subcodes and data.

use core::fmt;

/// A NOTIFICATION. `code` and `subcode` are kept as numbers so that what a
/// peer sends can always be shown; [`ErrorCode`] and [`Cease`] name them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Notification {
    /// Error code.
    pub code: u8,
    /// Error subcode; 0 is "unspecific".
    pub subcode: u8,
    /// Data, what RFC 4271 section 6 asks for.
    pub data: Vec<u8>,
}

/// Error codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ErrorCode {
    /// Message Header Error.
    Header = 1,
    /// OPEN Message Error.
    Open = 2,
    /// UPDATE Message Error.
    Update = 3,
    /// Hold Timer Expired.
    HoldTimer = 4,
    /// Finite State Machine Error.
    Fsm = 5,
    /// Cease.
    Cease = 6,
    /// ROUTE-REFRESH Message Error (RFC 7313).
    RouteRefresh = 7,
    /// Send Hold Timer Expired (RFC 9687).
    SendHoldTimer = 8,
}

/// Message Header Error subcodes (RFC 4271 section 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum HeaderError {
    /// Connection Not Synchronized: the marker is not all ones.
    NotSynchronized = 1,
    /// Bad Message Length; data is the length field.
    BadLength = 2,
    /// Bad Message Type; data is the type field.
    BadType = 3,
}

/// OPEN Message Error subcodes (RFC 4271 section 6.2, RFC 5492, RFC 9234).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpenError {
    /// Unspecific.
    Unspecific = 0,
    /// Unsupported Version Number; data is the version to use, two octets.
    UnsupportedVersion = 1,
    /// Bad Peer AS.
    BadPeerAs = 2,
    /// Bad BGP Identifier.
    BadBgpIdentifier = 3,
    /// Unsupported Optional Parameter.
    UnsupportedParameter = 4,
    /// Unacceptable Hold Time.
    UnacceptableHoldTime = 6,
    /// Unsupported Capability; data is the capabilities that are missed.
    UnsupportedCapability = 7,
    /// Role Mismatch (RFC 9234).
    RoleMismatch = 11,
}

/// UPDATE Message Error subcodes (RFC 4271 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum UpdateError {
    /// Malformed Attribute List.
    MalformedAttributeList = 1,
    /// Unrecognized Well-known Attribute; data is the attribute.
    UnrecognizedWellKnown = 2,
    /// Missing Well-known Attribute; data is the attribute's code.
    MissingWellKnown = 3,
    /// Attribute Flags Error; data is the attribute.
    AttributeFlags = 4,
    /// Attribute Length Error; data is the attribute.
    AttributeLength = 5,
    /// Invalid ORIGIN Attribute; data is the attribute.
    InvalidOrigin = 6,
    /// Invalid NEXT_HOP Attribute; data is the attribute.
    InvalidNextHop = 8,
    /// Optional Attribute Error; data is the attribute.
    OptionalAttribute = 9,
    /// Invalid Network Field.
    InvalidNetwork = 10,
    /// Malformed AS_PATH.
    MalformedAsPath = 11,
}

/// Finite State Machine Error subcodes (RFC 6608).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FsmError {
    /// Unspecified Error.
    Unspecified = 0,
    /// Receive Unexpected Message in OpenSent State.
    OpenSent = 1,
    /// Receive Unexpected Message in OpenConfirm State.
    OpenConfirm = 2,
    /// Receive Unexpected Message in Established State.
    Established = 3,
}

/// Cease subcodes (RFC 4486, RFC 8203, RFC 8538, RFC 9384).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cease {
    /// Maximum Number of Prefixes Reached.
    MaximumPrefixes = 1,
    /// Administrative Shutdown.
    AdministrativeShutdown = 2,
    /// Peer De-configured.
    PeerDeconfigured = 3,
    /// Administrative Reset.
    AdministrativeReset = 4,
    /// Connection Rejected.
    ConnectionRejected = 5,
    /// Other Configuration Change.
    OtherConfigurationChange = 6,
    /// Connection Collision Resolution.
    ConnectionCollision = 7,
    /// Out of Resources.
    OutOfResources = 8,
    /// Hard Reset (RFC 8538).
    HardReset = 9,
    /// BFD Down (RFC 9384).
    BfdDown = 10,
}

/// Longest shutdown communication in octets (RFC 9003 section 2).
pub const MAX_SHUTDOWN_COMMUNICATION: usize = 255;

// ===== constructors =====

impl Notification {
    /// A NOTIFICATION of plain numbers.
    pub fn new(code: u8, subcode: u8, data: impl Into<Vec<u8>>) -> Notification {
        Notification {
            code,
            subcode,
            data: data.into(),
        }
    }

    /// Message Header Error.
    pub fn header(error: HeaderError, data: impl Into<Vec<u8>>) -> Notification {
        Notification::new(ErrorCode::Header as u8, error as u8, data)
    }

    /// OPEN Message Error.
    pub fn open(error: OpenError, data: impl Into<Vec<u8>>) -> Notification {
        Notification::new(ErrorCode::Open as u8, error as u8, data)
    }

    /// UPDATE Message Error.
    pub fn update(error: UpdateError, data: impl Into<Vec<u8>>) -> Notification {
        Notification::new(ErrorCode::Update as u8, error as u8, data)
    }

    /// Hold Timer Expired.
    pub fn hold_timer_expired() -> Notification {
        Notification::new(ErrorCode::HoldTimer as u8, 0, [])
    }

    /// Send Hold Timer Expired (RFC 9687).
    pub fn send_hold_timer_expired() -> Notification {
        Notification::new(ErrorCode::SendHoldTimer as u8, 0, [])
    }

    /// Finite State Machine Error (RFC 6608); data is the type of the message
    /// that was not expected.
    pub fn fsm(error: FsmError, data: impl Into<Vec<u8>>) -> Notification {
        Notification::new(ErrorCode::Fsm as u8, error as u8, data)
    }

    /// Cease without data.
    pub fn cease(reason: Cease) -> Notification {
        Notification::new(ErrorCode::Cease as u8, reason as u8, [])
    }

    /// Cease for an exceeded prefix limit, with the data that RFC 4486
    /// section 4 suggests: AFI, SAFI, and the limit.
    pub fn maximum_prefixes(family: crate::family::AfiSafi, limit: u32) -> Notification {
        let mut data = family.afi.to_be_bytes().to_vec();
        data.push(family.safi);
        data.extend_from_slice(&limit.to_be_bytes());
        Notification::new(ErrorCode::Cease as u8, Cease::MaximumPrefixes as u8, data)
    }

    /// Cease with a shutdown communication (RFC 9003): `reason` is
    /// [`Cease::AdministrativeShutdown`] or [`Cease::AdministrativeReset`].
    /// Text of more than 255 octets is cut at the end of a character; empty
    /// text sends no data.
    pub fn shutdown(reason: Cease, text: &str) -> Notification {
        let mut end = text.len().min(MAX_SHUTDOWN_COMMUNICATION);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text.get(..end).unwrap_or_default().as_bytes();
        let mut data = Vec::with_capacity(1 + text.len());
        if !text.is_empty() {
            data.push(text.len() as u8);
            data.extend_from_slice(text);
        }
        Notification::new(ErrorCode::Cease as u8, reason as u8, data)
    }

    /// Cease / Hard Reset around another NOTIFICATION (RFC 8538 section 3.1):
    /// its code, subcode and data become the data.
    pub fn hard_reset(inner: &Notification) -> Notification {
        let mut data = vec![inner.code, inner.subcode];
        data.extend_from_slice(&inner.data);
        Notification::new(ErrorCode::Cease as u8, Cease::HardReset as u8, data)
    }
}

// ===== reading =====

impl Notification {
    /// The error code, where it is one we know.
    pub const fn error_code(&self) -> Option<ErrorCode> {
        Some(match self.code {
            1 => ErrorCode::Header,
            2 => ErrorCode::Open,
            3 => ErrorCode::Update,
            4 => ErrorCode::HoldTimer,
            5 => ErrorCode::Fsm,
            6 => ErrorCode::Cease,
            7 => ErrorCode::RouteRefresh,
            8 => ErrorCode::SendHoldTimer,
            _ => return None,
        })
    }

    /// The reason of a Cease, where it is one and we know it.
    pub const fn cease_reason(&self) -> Option<Cease> {
        Some(match (self.code, self.subcode) {
            (6, 1) => Cease::MaximumPrefixes,
            (6, 2) => Cease::AdministrativeShutdown,
            (6, 3) => Cease::PeerDeconfigured,
            (6, 4) => Cease::AdministrativeReset,
            (6, 5) => Cease::ConnectionRejected,
            (6, 6) => Cease::OtherConfigurationChange,
            (6, 7) => Cease::ConnectionCollision,
            (6, 8) => Cease::OutOfResources,
            (6, 9) => Cease::HardReset,
            (6, 10) => Cease::BfdDown,
            _ => return None,
        })
    }

    /// The text of a shutdown communication (RFC 9003 section 2), for
    /// Administrative Shutdown and Administrative Reset. None where there is
    /// none, or its length does not match the data, or it is not UTF-8: such a
    /// NOTIFICATION is still a Cease, only its text is not to be shown.
    pub fn shutdown_communication(&self) -> Option<&str> {
        if !matches!(
            self.cease_reason(),
            Some(Cease::AdministrativeShutdown | Cease::AdministrativeReset)
        ) {
            return None;
        }
        let (len, text) = self.data.split_first()?;
        if *len == 0 || usize::from(*len) != text.len() {
            return None;
        }
        core::str::from_utf8(text).ok()
    }

    /// What a Hard Reset carries (RFC 8538 section 3.1).
    pub fn hard_reset_cause(&self) -> Option<Notification> {
        if self.cease_reason() != Some(Cease::HardReset) {
            return None;
        }
        match self.data.as_slice() {
            [code, subcode, data @ ..] => Some(Notification::new(*code, *subcode, data)),
            _ => None,
        }
    }

    /// The name of the code, as in IANA's registry and in FRR's output.
    pub const fn code_name(&self) -> &'static str {
        match self.code {
            1 => "Message Header Error",
            2 => "OPEN Message Error",
            3 => "UPDATE Message Error",
            4 => "Hold Timer Expired",
            5 => "Neighbor Events Error",
            6 => "Cease",
            7 => "ROUTE-REFRESH Message Error",
            8 => "Send Hold Timer Expired",
            _ => "Unknown Error",
        }
    }

    /// The name of the subcode; empty for codes that have none.
    pub const fn subcode_name(&self) -> &'static str {
        match (self.code, self.subcode) {
            (4 | 8, _) => "",
            (_, 0) => "Unspecific",
            (1, 1) => "Connection Not Synchronized",
            (1, 2) => "Bad Message Length",
            (1, 3) => "Bad Message Type",
            (2, 1) => "Unsupported Version Number",
            (2, 2) => "Bad Peer AS",
            (2, 3) => "Bad BGP Identifier",
            (2, 4) => "Unsupported Optional Parameter",
            (2, 5) => "Authentication Failure",
            (2, 6) => "Unacceptable Hold Time",
            (2, 7) => "Unsupported Capability",
            (2, 11) => "Role Mismatch",
            (3, 1) => "Malformed Attribute List",
            (3, 2) => "Unrecognized Well-known Attribute",
            (3, 3) => "Missing Well-known Attribute",
            (3, 4) => "Attribute Flags Error",
            (3, 5) => "Attribute Length Error",
            (3, 6) => "Invalid ORIGIN Attribute",
            (3, 7) => "AS Routing Loop",
            (3, 8) => "Invalid NEXT_HOP Attribute",
            (3, 9) => "Optional Attribute Error",
            (3, 10) => "Invalid Network Field",
            (3, 11) => "Malformed AS_PATH",
            (5, 1) => "Receive Unexpected Message in OpenSent State",
            (5, 2) => "Receive Unexpected Message in OpenConfirm State",
            (5, 3) => "Receive Unexpected Message in Established State",
            (6, 1) => "Maximum Number of Prefixes Reached",
            (6, 2) => "Administrative Shutdown",
            (6, 3) => "Peer De-configured",
            (6, 4) => "Administrative Reset",
            (6, 5) => "Connection Rejected",
            (6, 6) => "Other Configuration Change",
            (6, 7) => "Connection Collision Resolution",
            (6, 8) => "Out of Resources",
            (6, 9) => "Hard Reset",
            (6, 10) => "BFD Down",
            (7, 1) => "Invalid Message Length",
            _ => "Unknown",
        }
    }
}

impl fmt::Display for Notification {
    /// `Cease/Administrative Shutdown`, `Hold Timer Expired`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code_name())?;
        match self.subcode_name() {
            "" => Ok(()),
            name => write!(f, "/{name}"),
        }
    }
}
